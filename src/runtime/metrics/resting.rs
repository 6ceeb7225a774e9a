//! Who is at rest, and where: [`crate::engine::cold`].
//!
//! units    subjects, bytes, times

use super::registrar::Registrar;
use crate::engine::cold::Resting;
use prometheus::{IntCounter, IntGauge};

/// See the module.
#[derive(Debug)]
pub struct RestingMetrics {
    here: IntGauge,
    away: IntGauge,
    away_bytes: IntGauge,
    refused: IntCounter,
}

impl RestingMetrics {
    pub(super) fn register(r: &Registrar<'_>) -> Self {
        let subjects = r.int_gauges("fenghuo_resting_subjects");
        Self {
            here: subjects.with_label_values(&["memory"]),
            away: subjects.with_label_values(&["disk"]),
            away_bytes: r.int_gauge("fenghuo_resting_disk_bytes"),
            refused: r.int_counter("fenghuo_resting_failures_total"),
        }
    }

    /// What all runs of this process come to.
    pub fn show(&self, resting: Resting) {
        let value = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.here.set(value(resting.here));
        self.away.set(value(resting.away));
        self.away_bytes.set(value(resting.away_bytes));
    }

    /// Counts what was not taken between two looks at one run.
    pub fn refused(&self, before: Resting, now: Resting) {
        self.refused
            .inc_by(now.refused.saturating_sub(before.refused));
    }
}

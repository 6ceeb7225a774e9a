//! What the national exchange counts.

use crate::runtime::exchange::Outcome;
use crate::runtime::exchange::desk::Standing;
use crate::runtime::exchange::reconcile::Compared;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

const DIFFERENCES: [&str; 4] = ["lost", "doubled", "changed", "foreign"];

/// Handles of the exchange's metrics.
#[derive(Debug, Clone)]
pub struct ExchangeMetrics {
    attempts: [IntCounter; 5],
    waiting: IntGauge,
    parked: IntGauge,
    oldest: IntGauge,
    differences: [IntGauge; 4],
    compared: IntGauge,
}

impl ExchangeMetrics {
    pub(super) fn new(
        attempts: &IntCounterVec,
        waiting: IntGauge,
        parked: IntGauge,
        oldest: IntGauge,
        (differences, compared): (&IntGaugeVec, IntGauge),
    ) -> Self {
        let words = ["accepted", "refused", "unsure", "denied", "untrusted"];
        Self {
            attempts: words.map(|word| attempts.with_label_values(&[word])),
            waiting,
            parked,
            oldest,
            differences: DIFFERENCES.map(|kind| differences.with_label_values(&[kind])),
            compared,
        }
    }

    /// What a comparison with the far end came to.
    pub fn compared(&self, compared: &Compared) {
        let all = &compared.difference;
        let kinds = [&all.lost, &all.doubled, &all.changed, &all.foreign];
        for (gauge, ids) in self.differences.iter().zip(kinds) {
            gauge.set(i64::try_from(ids.len()).unwrap_or(i64::MAX));
        }
        self.compared.set(compared.at_ms / 1_000);
    }

    /// Counts an attempt.
    pub fn attempt(&self, outcome: &Outcome) {
        let [accepted, refused, unsure, denied, untrusted] = &self.attempts;
        match outcome {
            Outcome::Accepted(_) => accepted,
            Outcome::Refused(_) => refused,
            Outcome::Unsure { .. } => unsure,
            Outcome::Denied(_) => denied,
            Outcome::Untrusted(_) => untrusted,
        }
        .inc();
    }

    /// How things stand; the age of the oldest is in ms.
    pub fn standing(&self, standing: &Standing, age_ms: i64) {
        self.waiting
            .set(i64::try_from(standing.waiting).unwrap_or(i64::MAX));
        self.parked
            .set(i64::try_from(standing.parked.len()).unwrap_or(i64::MAX));
        self.oldest.set(age_ms / 1_000);
    }
}

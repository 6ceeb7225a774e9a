//! What is counted of each rule, and how long its calls take.
//!
//! units    time: seconds of one processor, of the calls that were timed, one place of the stream in
//!          [`TIMED_EVERY`](crate::engine::sentence::TIMED_EVERY)

use super::registrar::Registrar;
use prometheus::{Counter, CounterVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use std::time::Duration;

/// The counts of one rule.
#[derive(Debug, Clone)]
pub struct RuleMetrics {
    /// How often it fired.
    pub firings: IntCounter,
    /// How often it failed.
    pub errors: IntCounter,
    /// How often the interpreter contradicted its compiled form.
    pub differences: IntCounter,
    /// 1 while it is suspended.
    pub suspended: IntGauge,
    timed_calls: IntCounter,
    timed_seconds: Counter,
}

impl RuleMetrics {
    /// A call of it took so long.
    pub fn took(&self, ns: u64) {
        self.timed_calls.inc();
        self.timed_seconds
            .inc_by(Duration::from_nanos(ns).as_secs_f64());
    }
}

#[derive(Debug)]
pub(super) struct RuleFamilies {
    firings: IntCounterVec,
    errors: IntCounterVec,
    differences: IntCounterVec,
    suspended: IntGaugeVec,
    timed_calls: IntCounterVec,
    timed_seconds: CounterVec,
}

impl RuleFamilies {
    pub(super) fn register(r: &Registrar<'_>) -> Self {
        Self {
            firings: r.int_counters("fenghuo_rule_firings_total"),
            errors: r.int_counters("fenghuo_rule_errors_total"),
            differences: r.int_counters("fenghuo_rule_differences_total"),
            suspended: r.int_gauges("fenghuo_rule_suspended"),
            timed_calls: r.int_counters("fenghuo_rule_timed_calls_total"),
            timed_seconds: r.counters("fenghuo_rule_timed_seconds_total"),
        }
    }

    pub(super) fn of(&self, rule: &str, line: &str) -> RuleMetrics {
        let labels = [rule, line];
        RuleMetrics {
            firings: self.firings.with_label_values(&labels),
            errors: self.errors.with_label_values(&labels),
            differences: self.differences.with_label_values(&labels),
            suspended: self.suspended.with_label_values(&labels),
            timed_calls: self.timed_calls.with_label_values(&labels),
            timed_seconds: self.timed_seconds.with_label_values(&labels),
        }
    }

    /// Shows no rule as suspended any more, and none that is not in force.
    pub(super) fn forget_suspended(&self) {
        self.suspended.reset();
    }
}

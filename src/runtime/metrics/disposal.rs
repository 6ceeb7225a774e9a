//! What is counted of disposal and sanctions.

use crate::engine::desk::Counts;
use crate::engine::desk::case::{State, VERDICTS};
use crate::engine::desk::sanction::Stand;
use crate::engine::desk::task::Word;
use crate::engine::subject::view::Level;
use crate::engine::warning::Message;
use crate::engine::work::Sent;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

/// Handles of the desk's metrics. Every label is from a closed list.
#[derive(Debug)]
pub struct DisposalMetrics {
    pub(super) cases: IntGaugeVec,
    pub(super) unclaimed: IntGaugeVec,
    pub(super) overdue: IntGauge,
    pub(super) undated: IntGauge,
    pub(super) steps: IntCounterVec,
    pub(super) feedback: IntCounterVec,
    pub(super) orders: IntCounterVec,
    pub(super) sanctions: IntGaugeVec,
    pub(super) halted: IntGauge,
}

impl DisposalMetrics {
    /// Shows every child from the start, at nought.
    pub(super) fn opened(self) -> Self {
        for word in Word::ALL {
            self.steps.with_label_values(&[word.name()]);
        }
        for verdict in VERDICTS {
            for on_time in ["yes", "no"] {
                self.feedback.with_label_values(&[verdict, on_time]);
            }
        }
        for order in ["impose", "lift"] {
            self.orders.with_label_values(&[order]);
        }
        self.standing(&Counts::default());
        self
    }

    /// Counts what left.
    pub fn count(&self, sent: &[Sent]) {
        for one in sent {
            match &one.message {
                Message::Task(task) => {
                    self.steps.with_label_values(&[task.step.name()]).inc();
                    if task.step == Word::FedBack {
                        let on_time = if task.on_time == Some(true) {
                            "yes"
                        } else {
                            "no"
                        };
                        self.feedback
                            .with_label_values(&[task.verdict.as_str(), on_time])
                            .inc();
                    }
                }
                Message::Measure(order) => {
                    self.orders.with_label_values(&[order.order.as_str()]).inc();
                }
                Message::Warning(_) | Message::Sanction(_) => {}
            }
        }
    }

    /// How things stand.
    pub fn standing(&self, counts: &Counts) {
        for state in State::ALL {
            let count = counts.cases.get(&state).copied().unwrap_or(0);
            self.cases.with_label_values(&[state.name()]).set(count);
        }
        for stand in Stand::ALL {
            let count = counts.sanctions.get(&stand).copied().unwrap_or(0);
            self.sanctions.with_label_values(&[stand.name()]).set(count);
        }
        for level in Level::ALL {
            let count = counts.unclaimed.get(&level).copied().unwrap_or(0);
            self.unclaimed
                .with_label_values(&[level.title()])
                .set(count);
        }
        self.overdue.set(counts.overdue);
        self.undated.set(counts.undated);
        self.halted.set(counts.halted);
    }
}

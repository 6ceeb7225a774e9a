//! What is counted of disposal and sanctions.

use super::registrar::Registrar;
use crate::engine::desk::case::{State, VERDICTS};
use crate::engine::desk::count::Counts;
use crate::engine::desk::sanction::Stand;
use crate::engine::desk::task::Word;
use crate::engine::frequency::{Kept, Standard, is_prompted};
use crate::engine::input::{Disposition, Input};
use crate::engine::province::Province;
use crate::engine::schema::{Stream, field};
use crate::engine::subject::view::Level;
use crate::engine::warning::Message;
use crate::engine::work::Sent;
use crate::runtime::pipeline::Stepped;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

/// Handles of the desk's metrics. Every label is from a closed list.
#[derive(Debug)]
pub struct DisposalMetrics {
    cases: IntGaugeVec,
    unclaimed: IntGaugeVec,
    overdue: IntGauge,
    undated: IntGauge,
    steps: IntCounterVec,
    feedback: IntCounterVec,
    orders: IntCounterVec,
    sanctions: IntGaugeVec,
    halted: IntGauge,
    inspections: IntCounterVec,
}

impl DisposalMetrics {
    pub(super) fn register(r: &Registrar<'_>) -> Self {
        let metrics = Self {
            cases: r.int_gauges("fenghuo_disposal_cases"),
            unclaimed: r.int_gauges("fenghuo_disposal_unclaimed"),
            overdue: r.int_gauge("fenghuo_disposal_overdue"),
            undated: r.int_gauge("fenghuo_disposal_undated"),
            steps: r.int_counters("fenghuo_disposal_steps_total"),
            feedback: r.int_counters("fenghuo_disposal_feedback_total"),
            orders: r.int_counters("fenghuo_sanction_orders_total"),
            sanctions: r.int_gauges("fenghuo_sanction_cases"),
            halted: r.int_gauge("fenghuo_sanction_halted_rules"),
            inspections: r.int_counters("fenghuo_inspections_total"),
        };
        metrics.opened()
    }

    /// Shows every child from the start, at nought.
    fn opened(self) -> Self {
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
        for kept in Kept::ALL {
            self.inspections.with_label_values(&[kept.name()]);
        }
        self.standing(&Counts::default());
        self
    }

    /// Counts new inspections of firms by whether they are more than is allowed, by what is known after the batch.
    pub fn inspected(&self, province: &Province, stepped: &Stepped) {
        let Some(standard) = Standard::of(province.set()) else {
            return;
        };
        let inputs = stepped.commit.inputs.iter();
        let events = inputs.filter_map(|input| match input {
            Input::Event(event) => Some(event),
            Input::Clock(_) => None,
        });
        for (event, done) in events.zip(&stepped.outcome.dispositions) {
            let is_new = *done == Disposition::Applied && event.is_live();
            if event.stream != Stream::Inspection || !is_new {
                continue;
            }
            let home = event.home().and_then(|home| province.subject(home));
            if let Some(facts) = home.as_ref().and_then(|home| home.facts()) {
                let is_prompted = is_prompted(event.fields.text(field::trigger));
                let kept = standard.judge(facts, event.occurred_at, is_prompted);
                self.inspections.with_label_values(&[kept.name()]).inc();
            }
        }
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

//! What a run has come to so far, for summaries: counts, the warnings as they stand, latencies.
//!
//! shape    one line a warning that is told; accounts by connector; an hdrhistogram of µs from read to durable
//! units    latency: µs, 3 significant digits, at most an hour

use super::journal::{Account, Head};
use super::keeper::Delivery;
use super::pipeline::Stepped;
use super::run::{Durable, Watch};
use crate::engine::episode::Transition;
use crate::engine::input::Outcome;
use crate::engine::province::Province;
use crate::engine::subject::state::Status;
use crate::engine::warning::{Message, Sanction, Warning};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// See the module.
#[derive(Debug, Default)]
pub struct Digest {
    inner: Mutex<Inner>,
}

/// What a digest holds.
#[derive(Debug, Clone, Default)]
pub struct Inner {
    /// What came of the records, by connector.
    pub accounts: BTreeMap<String, Account>,
    /// The warnings told in this run, by their id, as they stand.
    pub warnings: BTreeMap<String, Warning>,
    /// The sanction proposals told in this run, as they stand.
    pub sanctions: BTreeMap<String, Sanction>,
    /// How often each transition was told.
    pub transitions: BTreeMap<Transition, u64>,
    /// Failures of rules, by rule, with the first message.
    pub rule_faults: BTreeMap<String, (u64, String)>,
    /// How often each rule was called.
    pub rule_calls: BTreeMap<String, u64>,
    /// Rules that were suspended.
    pub suspended: Vec<String>,
    /// From read to durable, µs.
    pub latency_us: Option<Histogram<u64>>,
    /// Records made durable.
    pub records: u64,
}

impl Digest {
    /// A copy of what it holds.
    pub fn take(&self) -> Inner {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Inner {
    fn note(&mut self, message: &Message) {
        match message {
            Message::Warning(warning) => {
                *self.transitions.entry(warning.transition).or_default() += 1;
                self.warnings
                    .insert(warning.warning_id.clone(), warning.as_ref().clone());
            }
            Message::Sanction(sanction) => {
                self.sanctions
                    .insert(sanction.sanction_id.clone(), sanction.as_ref().clone());
            }
            Message::Task(_) | Message::Measure(_) => {}
        }
    }

    /// Records read.
    pub fn read_total(&self) -> u64 {
        self.accounts.values().map(|a| a.read).sum()
    }

    /// The warnings that were not taken back, the open ones first, then the gravest, then by score, then by id.
    pub fn gravest(&self) -> Vec<&Warning> {
        let is_open = |w: &Warning| w.status == Status::Open;
        let mut list: Vec<&Warning> = self
            .warnings
            .values()
            .filter(|w| w.status != Status::Withdrawn)
            .collect();
        list.sort_by(|a, b| {
            is_open(b)
                .cmp(&is_open(a))
                .then(b.level.cmp(&a.level))
                .then(b.score.total_cmp(&a.score))
                .then(a.warning_id.cmp(&b.warning_id))
        });
        list
    }
}

impl Watch for Digest {
    fn recovered(&self, _province: &Province, head: &Head, _replayed: u64) {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .accounts = head.tally.clone();
    }

    fn stepped(&self, province: &Province, stepped: &Stepped) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for (connector, account) in &stepped.accounts {
            super::keeper::add(
                inner.accounts.entry(connector.clone()).or_default(),
                account,
            );
        }
        for sent in &stepped.outcome.sent {
            inner.note(&sent.message);
        }
        for fault in &stepped.outcome.faults {
            let rule = province.set().rules().get(fault.fault.rule);
            let id = rule.map_or_else(String::new, |r| r.manifest().id.to_string());
            inner
                .rule_faults
                .entry(id)
                .or_insert_with(|| (0, fault.fault.message.clone()))
                .0 += 1;
        }
        for (rule, calls) in province.set().rules().iter().zip(&stepped.outcome.calls) {
            let id = rule.manifest().id.as_ref();
            match inner.rule_calls.get_mut(id) {
                Some(known) => *known += calls,
                None => {
                    inner.rule_calls.insert(id.to_owned(), *calls);
                }
            }
        }
        for at in &stepped.outcome.suspended {
            inner.suspended.extend(
                province
                    .set()
                    .rules()
                    .get(*at)
                    .map(|r| r.manifest().id.to_string()),
            );
        }
    }

    fn durable(&self, durable: &Durable) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let records = u64::try_from(durable.records).unwrap_or(0);
        inner.records += records;
        if inner.latency_us.is_none() {
            inner.latency_us = Histogram::new_with_bounds(1, 3_600_000_000, 3).ok();
        }
        if let Some(histogram) = &mut inner.latency_us {
            histogram.saturating_record_n(durable.latency_us.max(1), records);
        }
    }
}

/// Several that watch as one.
#[expect(missing_debug_implementations, reason = "a list of trait objects")]
pub struct Watchers<'a>(pub Vec<&'a dyn Watch>);

impl Watch for Watchers<'_> {
    fn recovered(&self, province: &Province, head: &Head, replayed: u64) {
        self.0
            .iter()
            .for_each(|w| w.recovered(province, head, replayed));
    }

    fn stepped(&self, province: &Province, stepped: &Stepped) {
        self.0.iter().for_each(|w| w.stepped(province, stepped));
    }

    fn durable(&self, durable: &Durable) {
        self.0.iter().for_each(|w| w.durable(durable));
    }

    fn delivered(&self, deliveries: &[Delivery]) {
        self.0.iter().for_each(|w| w.delivered(deliveries));
    }

    fn ingested(&self, accounts: &mut dyn Iterator<Item = (&str, &Account)>) {
        let accounts: Vec<_> = accounts.collect();
        self.0
            .iter()
            .for_each(|w| w.ingested(&mut accounts.iter().copied()));
    }

    fn source_fault(&self, message: &str) {
        self.0.iter().for_each(|w| w.source_fault(message));
    }

    fn adopted(&self, outcome: &Outcome) {
        self.0.iter().for_each(|w| w.adopted(outcome));
    }

    fn rules(&self, province: &Province, failure: Option<&str>) {
        self.0.iter().for_each(|w| w.rules(province, failure));
    }
}

//! What the doors see of a run. An embedded process has one; a process in a cluster one for each partition that it owns.
//!
//! What is counted is counted for all runs together. What stands (subjects, cases, bytes, what waits) is kept by run and shown
//! as the sum; when a partition goes to another process, its part goes.

use super::{Doors, seconds};
use crate::engine::cold::Resting;
use crate::engine::desk::count::Counts;
use crate::engine::desk::sanction::Stand;
use crate::engine::episode::Transition;
use crate::engine::event::SubjectKind;
use crate::engine::input::Outcome;
use crate::engine::province::Province;
use crate::engine::reject::RejectCode;
use crate::engine::settle::standing;
use crate::engine::time::EventTime;
use crate::engine::warning::Message;
use crate::engine::work::Sent;
use crate::runtime::journal::{Account, Head};
use crate::runtime::keeper::Delivery;
use crate::runtime::metrics::{Outcome as Became, SanctionStatus, Transition as Told};
use crate::runtime::pipeline::Stepped;
use crate::runtime::run::{Durable, Watch};
use std::collections::{BTreeMap, VecDeque};
use std::sync::PoisonError;

/// What one run has told.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// What was stepped and is not yet durable, batch by batch.
    pending: VecDeque<Vec<Message>>,
    journal_bytes: u64,
    state_bytes: u64,
    subjects: BTreeMap<SubjectKind, i64>,
    waiting: usize,
    oldest_ms: Option<u64>,
    desk: Counts,
    clock: Option<EventTime>,
    resting: Resting,
}

/// The doors, as the run of one partition is seen through them.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'d> {
    pub(super) doors: &'d Doors,
    pub(super) number: u32,
}

impl Seen<'_> {
    /// The run is over and another process may have the partition: nothing of it is shown any more.
    pub fn leave(&self, is_of: &dyn Fn(&str) -> bool) {
        self.shares(|shares| drop(shares.remove(&self.number)));
        self.doors.service.forget(is_of);
        self.count_open();
        self.sum();
    }

    /// How long taking the partition over took, µs.
    pub fn took_over(&self, us: u64) {
        let cluster = self.doors.cluster();
        cluster.take_over_seconds.observe(seconds(us));
    }

    fn shares<T>(&self, with: impl FnOnce(&mut BTreeMap<u32, Share>) -> T) -> T {
        let shares = self.doors.shares.lock();
        with(&mut shares.unwrap_or_else(PoisonError::into_inner))
    }

    fn share<T>(&self, with: impl FnOnce(&mut Share) -> T) -> T {
        self.shares(|shares| with(shares.entry(self.number).or_default()))
    }

    /// Shows what all runs come to.
    fn sum(&self) {
        let metrics = &self.doors.metrics;
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.shares(|shares| {
            let of = |part: fn(&Share) -> u64| gauge(shares.values().map(part).sum());
            metrics.journal_bytes.set(of(|share| share.journal_bytes));
            metrics.state_bytes.set(of(|share| share.state_bytes));
            metrics
                .outbox_entries
                .set(of(|share| u64::try_from(share.waiting).unwrap_or(u64::MAX)));
            let oldest = shares.values().filter_map(|share| share.oldest_ms).max();
            let now = self.doors.clock.now();
            metrics.outbox_oldest(oldest.map(|ms| now.plus_ms(gauge(ms).saturating_neg())));
            for kind in SubjectKind::ALL {
                let count = shares
                    .values()
                    .filter_map(|share| share.subjects.get(&kind));
                metrics.subjects(kind, count.sum());
            }
            if let Some(clock) = shares.values().filter_map(|share| share.clock).max() {
                metrics.logical_clock(clock);
            }
            let resting = shares.values().map(|share| share.resting);
            metrics
                .resting
                .show(resting.fold(Resting::default(), Resting::and));
        });
    }

    /// Shows how cases and sanctions of all runs stand.
    fn sum_desks(&self) {
        let mut counts = Counts::default();
        self.shares(|shares| shares.values().for_each(|share| counts.add(&share.desk)));
        let metrics = &self.doors.metrics;
        metrics.disposal().standing(&counts);
        let of = |stands: &[Stand]| stands.iter().filter_map(|s| counts.sanctions.get(s)).sum();
        let lifted = [Stand::Lifted, Stand::Lapsed, Stand::Rejected];
        for (status, stands) in [
            (
                SanctionStatus::Proposed,
                &[Stand::Proposed, Stand::Halfway][..],
            ),
            (SanctionStatus::Confirmed, &[Stand::InForce, Stand::Lifting]),
            (SanctionStatus::Lifted, &lifted),
        ] {
            metrics.sanctions(status, of(stands));
        }
    }

    fn desk(&self, province: &Province) {
        let counts = province.desk().count();
        self.share(|share| share.desk = counts);
        self.sum_desks();
    }

    /// Counts what is about to leave and keeps it until it is durable.
    fn told(&self, outcome: &Outcome) {
        let metrics = &self.doors.metrics;
        metrics.disposal().count(&outcome.sent);
        crate::runtime::refusals::log(&outcome.sent);
        let messages: Vec<Message> = outcome.sent.iter().map(|s| s.message.clone()).collect();
        for message in &messages {
            if let Message::Warning(w) = message {
                let told = match w.transition {
                    Transition::Raised => Told::Raised,
                    Transition::Revised => Told::Revised,
                    Transition::Withdrawn => Told::Withdrawn,
                    Transition::Ended | Transition::Closed => Told::Ended,
                };
                let region = (!w.region.is_empty()).then_some(w.region.as_str());
                let of = (w.level, w.rule_id.as_str());
                metrics.warnings().told(of, region, told);
            }
        }
        self.share(|share| share.pending.push_back(messages));
    }

    /// Takes up how warnings and proposals stand.
    fn posted(&self, messages: Vec<Message>) {
        for alerts in &self.doors.alerts {
            alerts.post(&messages);
        }
        self.doors.service.post(messages);
    }

    fn count_open(&self) {
        let metrics = &self.doors.metrics;
        let show = |standing: &_| metrics.warnings().open(standing);
        self.doors.service.with_standing(show);
    }

    fn became(&self, stepped: &Stepped) {
        let accounts = stepped.accounts.iter();
        self.ingested(&mut accounts.map(|(connector, account)| (connector.as_str(), account)));
        for (connector, times) in &stepped.times {
            let Some(counts) = self.doors.counts.get(connector) else {
                continue;
            };
            counts.watermark(times.newest);
            for late_ms in &times.late_ms {
                counts
                    .lateness_seconds
                    .observe(seconds(late_ms.saturating_mul(1_000)));
            }
        }
    }

    /// Takes up who is at rest; shown with the rest of the sum.
    fn rest(&self, province: &Province) {
        let now = province.resting();
        let before = self.share(|share| core::mem::replace(&mut share.resting, now));
        self.doors.metrics.resting.refused(before, now);
    }

    fn suspensions(&self, province: &Province) {
        let rules = self.doors.rules.lock();
        let rules = rules.unwrap_or_else(PoisonError::into_inner);
        for (rule, conduct) in rules.iter().zip(&province.globals.conduct) {
            let is_suspended = conduct.suspended_since.is_some();
            rule.suspended.set(i64::from(is_suspended));
        }
    }

    fn spoke(&self, province: &Province, stepped: &Stepped) {
        self.suspensions(province);
        let metrics = &self.doors.metrics;
        let rules = self.doors.rules.lock();
        let rules = rules.unwrap_or_else(PoisonError::into_inner);
        for (rule, firings) in rules.iter().zip(&stepped.outcome.firings) {
            rule.firings.inc_by(*firings);
        }
        for fault in &stepped.outcome.faults {
            if let Some(rule) = rules.get(fault.fault.rule) {
                rule.errors.inc();
            }
        }
        for fault in stepped.outcome.faults.iter().take(1) {
            tracing::warn!(subject = %fault.subject, message = fault.fault.message, "a rule failed");
        }
        for (at, ns) in &stepped.outcome.timed {
            if let Some(rule) = rules.get(*at) {
                rule.took(*ns);
            }
        }
        metrics.rule_checks.inc_by(stepped.outcome.checked);
        for difference in &stepped.outcome.differences {
            if let Some(rule) = rules.get(difference.fault.rule) {
                rule.differences.inc();
            }
            tracing::error!(subject = %difference.subject, message = difference.fault.message, "a rule is not run as it is written");
        }
        for at in &stepped.outcome.suspended {
            let id = province
                .set()
                .rules()
                .get(*at)
                .map_or("", |r| r.manifest().id.as_ref());
            tracing::error!(
                rule = id,
                "rule suspended: it keeps failing; mend it and reload, what it owes is judged then"
            );
        }
        self.share(|share| share.clock = Some(province.clock()));
        self.rest(province);
        metrics.logical_clock(province.clock());
    }
}

impl Watch for Seen<'_> {
    fn recovered(&self, province: &Province, head: &Head, replayed: u64) {
        let court = province.court();
        for shard in province.shards() {
            for subject in shard.spoken_of() {
                self.posted(standing(&court, &subject));
            }
        }
        self.count_open();
        self.desk(province);
        self.rest(province);
        self.doors.ready();
        self.doors.in_force(province.set());
        self.doors.service.show_rules(province);
        tracing::info!(commit = head.commit, replayed, clock = %province.clock(), "state recovered");
    }

    fn stepped(&self, province: &Province, stepped: &Stepped) {
        self.became(stepped);
        self.spoke(province, stepped);
        let is_task = |sent: &Sent| matches!(sent.message, Message::Task(_));
        if stepped.outcome.sent.iter().any(is_task) {
            self.desk(province);
        }
        self.told(&stepped.outcome);
    }

    fn ingested(&self, accounts: &mut dyn Iterator<Item = (&str, &Account)>) {
        let now = self.doors.clock.now();
        for (connector, account) in accounts {
            let deadly = account.refused.get(RejectCode::Deadly.name());
            let deadly = deadly.copied().unwrap_or(0);
            self.doors.metrics.deadly_records.inc_by(deadly);
            let Some(counts) = self.doors.counts.get(connector) else {
                continue;
            };
            counts.records.inc_by(account.read);
            counts.heard(now);
            counts.events(Became::Applied, account.applied);
            counts.events(Became::Duplicate, account.duplicates);
            counts.events(Became::Stale, account.stale);
            for (code, count) in &account.refused {
                let code = RejectCode::ALL.into_iter().find(|c| c.name() == code);
                match code {
                    Some(RejectCode::TooOld) => counts.events(Became::TooOld, *count),
                    Some(code) => counts.refused(code, *count),
                    None => {}
                }
                self.doors.metrics.dead_letters.inc_by(*count);
            }
        }
    }

    fn adopted(&self, outcome: &Outcome) {
        self.told(outcome);
    }

    fn delivered(&self, deliveries: &[Delivery]) {
        let metrics = &self.doors.metrics;
        for delivery in deliveries {
            let sink = metrics.sink(&delivery.sink);
            sink.deliveries.inc_by(delivery.delivered);
            sink.failures.inc_by(delivery.failures);
        }
        self.share(|share| {
            share.waiting = deliveries.iter().map(|d| d.waiting).max().unwrap_or(0);
            share.oldest_ms = deliveries.iter().filter_map(|d| d.oldest_ms).max();
        });
        self.sum();
    }

    fn durable(&self, durable: &Durable) {
        let messages = self.share(|share| share.pending.pop_front());
        let any = messages.as_ref().is_some_and(|m| !m.is_empty());
        self.posted(messages.unwrap_or_default());
        if any {
            self.count_open();
        }
        if durable.is_rules {
            return;
        }
        for (receipt, what) in &durable.receipts {
            let service = &self.doors.service;
            service.settle(*receipt, what.read, what.refused_total);
        }
        let records = u64::try_from(durable.records).unwrap_or(0);
        let (metrics, now) = (&self.doors.metrics, self.doors.clock.now());
        metrics.end_to_end(durable.latency_us, records, now);
        metrics.commit_seconds.observe(seconds(durable.commit_us));
        self.share(|share| {
            share.journal_bytes = durable.journal_bytes;
            share.state_bytes = durable.state_bytes;
            // Kinds that were not counted stand as they did.
            let counted = durable.subjects.iter();
            share.subjects.extend(counted.map(|(k, n)| (*k, *n)));
        });
        self.sum();
    }

    fn source_fault(&self, message: &str) {
        tracing::error!(message, "a source cannot be read; the others go on");
    }

    fn rules(&self, province: &Province, failure: Option<&str>) {
        let doors = self.doors;
        let set = province.set();
        if let Some(why) = failure {
            doors.metrics.rule_set_failures.inc();
            tracing::error!(why, "rules were not loaded; those in force stay");
            return;
        }
        doors.in_force(set);
        doors.service.show_rules(province);
        *doors.rules.lock().unwrap_or_else(PoisonError::into_inner) =
            super::rule_metrics(&doors.metrics, set);
        self.suspensions(province);
        self.count_open();
        tracing::info!(hash = set.hash(), "rules are in force");
    }
}

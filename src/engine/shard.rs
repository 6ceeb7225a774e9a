//! A shard: the subjects that one owner keeps, and how work is done on them.
//!
//! Work comes in two passes over a batch. In the first, individuals take facts and judge them; what that means for regions,
//! industries and departments goes out as [`Tally`] values. In the second, collectives take those in the order of their
//! places in the stream. Individuals never look at collectives, so the passes give the same result wherever a batch ends.
//!
//! shape    subjects by their key (`slots`); a heap of times at which they want to be looked at
//! cost     one look-up a work; see `judge` for the rest
//! why      a plain map owned by one thread is 2.3 times as fast as a shared one at two threads

use super::cold::{Attic, Rest, Resting};
use super::event::{Event, SubjectKey, SubjectKind};
use super::judge::Court;
use super::keep::{bury, put, remove, trim};
use super::moved::Moved;
use super::remark::{Settled, is_known, remark};
use super::rule::RuleSet;
use super::schema::Stream;
use super::sentence::{Changed, Sentence, TIMED_EVERY};
use super::settle::{self, expire, next_due, settle, settle_fact};
use super::slots::{Slot, Slots};
use super::subject::state::Subject;
use super::tally::{tally_change, tally_findings};
use super::time::{DAY_MS, EventTime};
use super::work::{Names, Outputs, SentTally, Tally, What, Work, collect};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

/// The subjects of one owner.
#[derive(Debug, Default)]
pub struct Shard {
    slots: Slots<Slot>,
    individuals: BinaryHeap<Reverse<(EventTime, Arc<SubjectKey>)>>,
    collectives: BinaryHeap<Reverse<(EventTime, Arc<SubjectKey>)>>,
    dirty: Vec<Arc<SubjectKey>>,
    kinds: BTreeMap<SubjectKind, i64>,
    rest: Rest,
    /// Lent to what comes of a pass.
    names: Names,
    /// What individuals of any shard told the collectives of this one, until its second pass.
    told: Vec<SentTally>,
}

impl Shard {
    /// The first pass: does the works of individuals in their order.
    pub fn run(&mut self, court: &Court<'_>, works: &[Work], out: &mut Outputs) {
        core::mem::swap(&mut self.names, &mut out.names);
        for work in works {
            self.perform(court, work, false, out);
        }
        core::mem::swap(&mut self.names, &mut out.names);
        self.lay_to_rest();
    }

    /// Takes up what individuals told its collectives, for the second pass.
    pub(super) fn be_told(&mut self, tallies: &mut Vec<SentTally>) {
        self.told.append(tallies);
    }

    /// The second pass: collectives count what they were told, in the order of the places; of one place, in the order of the
    /// individuals' keys. `others` are hours that ended and words of officers, in that order too: of one place, hours come
    /// before counts and words after.
    pub(super) fn run_told(&mut self, court: &Court<'_>, others: &[&Work], out: &mut Outputs) {
        let mut told = core::mem::take(&mut self.told);
        // What is taken away comes before what is added: a record that moves between firms is one for a region.
        told.sort_by(|a, b| {
            (a.seq, a.clock, a.tally.add)
                .cmp(&(b.seq, b.clock, b.tally.add))
                .then_with(|| a.from.cmp(&b.from))
        });
        let mut others = others.iter().peekable();
        for sent in &told {
            let here = (sent.seq, sent.clock);
            let is_before = |work: &&&Work| {
                let there = (work.seq, work.clock);
                there < here || (there == here && matches!(work.what, What::Tick))
            };
            while let Some(work) = others.next_if(is_before) {
                self.perform(court, work, true, out);
            }
            self.count(&at(court, sent.seq, sent.clock), sent.seq, &sent.tally, out);
        }
        for work in others {
            self.perform(court, work, true, out);
        }
        // Its room is for the next time.
        told.clear();
        self.told = told;
    }

    fn perform(&mut self, court: &Court<'_>, work: &Work, collectives: bool, out: &mut Outputs) {
        let court = at(court, work.seq, work.clock);
        match &work.what {
            What::Put { .. } | What::Withdraw { .. } => self.take(&court, work, out),
            What::Hear { subject, event } => self.hear(&court, work.seq, (subject, event), out),
            What::Tick => self.tick(&court, work.seq, collectives, out),
        }
    }

    /// How many individuals are kept ready; the others are packed when nothing happens to them.
    pub fn set_warm_max(&mut self, max: usize) {
        self.rest.warm_max = max;
        self.lay_to_rest();
    }

    /// Where subjects at rest are put away from now on; lent before there are any.
    pub fn set_attic(&mut self, attic: Box<dyn Attic>) {
        self.rest.attic = Some(attic);
    }

    /// Says that all subjects are going to be looked at.
    pub fn foresee(&self) {
        if let Some(attic) = &self.rest.attic {
            attic.foresee();
        }
    }

    /// How many subjects are at rest, and where.
    pub fn resting(&self) -> Resting {
        self.rest.resting
    }

    pub(super) fn lay_to_rest(&mut self) {
        if self.rest.warm.len() <= self.rest.warm_max {
            return;
        }
        self.learn();
        while self.rest.warm_max < self.rest.warm.len() {
            let Some(key) = self.rest.warm.pop_front() else {
                return;
            };
            let Some(slot) = self.slots.get_mut(&key) else {
                continue;
            };
            if core::mem::take(&mut slot.is_used) {
                self.rest.warm.push_back(key);
            } else {
                self.pack(&key);
            }
        }
    }

    /// Unpacks a subject that is at rest.
    fn wake(&mut self, key: &Arc<SubjectKey>) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.is_used = true;
            if slot.wake(&mut self.rest).1 {
                self.rest.warm.push_back(Arc::clone(slot.shared_key()));
            }
        }
    }

    /// A subject that was read back from the store.
    pub fn restore(&mut self, court: &Court<'_>, subject: Subject) {
        let key = Arc::clone(&subject.key);
        *self.kinds.entry(key.kind).or_default() += 1;
        *self
            .slots
            .get_or_make(&key, || Slot::new(Subject::new(Arc::clone(&key)))) = Slot::new(subject);
        self.schedule(court, &key);
        if key.kind.is_collective() {
            return;
        }
        if self.rest.warm.len() < self.rest.warm_max {
            self.rest.warm.push_back(key);
        } else {
            self.learn();
            self.pack(&key);
        }
    }

    /// Whether a subject is known.
    pub(super) fn has(&self, key: &SubjectKey) -> bool {
        self.slots.get(key).is_some()
    }

    /// Makes the dictionary of those at rest, once there are subjects to make it of.
    fn learn(&mut self) {
        if self.rest.needs_samples() {
            let keys: Vec<_> = self.rest.warm.iter().take(256).map(Arc::clone).collect();
            let samples = keys.iter().filter_map(|key| self.slots.get(key));
            self.rest.learn(samples.filter_map(Slot::ready));
        }
    }

    fn pack(&mut self, key: &SubjectKey) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.lay_to_rest(&mut self.rest);
        }
    }

    /// The subject of this key.
    pub fn get(&self, key: &SubjectKey) -> Option<Cow<'_, Subject>> {
        self.slots.get(key).map(|slot| slot.subject(&self.rest))
    }

    /// All subjects, in the order of their keys.
    pub fn subjects(&self) -> impl Iterator<Item = Cow<'_, Subject>> {
        self.those(|_| true)
    }

    /// The subjects of which rules have said something, in the order of their keys; who rests and is none of them is not unpacked.
    pub fn spoken_of(&self) -> impl Iterator<Item = Cow<'_, Subject>> {
        self.those(Slot::is_spoken_of)
    }

    fn those(&self, is_one: impl Fn(&Slot) -> bool) -> impl Iterator<Item = Cow<'_, Subject>> {
        let mut those: Vec<&Slot> = self.slots.values().filter(|slot| is_one(slot)).collect();
        those.sort_by(|a, b| a.shared_key().cmp(b.shared_key()));
        those.into_iter().map(|slot| slot.subject(&self.rest))
    }

    /// The keys of all subjects, in order.
    pub fn keys(&self) -> Vec<Arc<SubjectKey>> {
        let keys = self.slots.values().map(Slot::shared_key);
        let mut keys: Vec<Arc<SubjectKey>> = keys.map(Arc::clone).collect();
        keys.sort();
        keys
    }

    /// The keys of the subjects that a change of rules concerns, in order.
    pub(super) fn concerned(&self, moved: &Moved<'_>) -> Vec<Arc<SubjectKey>> {
        if moved.is_nothing() {
            return Vec::new();
        }
        let slots = self.slots.values();
        let concerned = slots.filter(|slot| slot.is_concerned(moved, &self.rest));
        let mut keys: Vec<_> = concerned
            .map(|slot| Arc::clone(slot.shared_key()))
            .collect();
        keys.sort();
        keys
    }

    /// A subject to be changed.
    pub(super) fn subject_mut(&mut self, key: &Arc<SubjectKey>) -> &mut Subject {
        self.ready(key)
    }

    /// The number of subjects of each kind.
    pub fn kinds(&self) -> &BTreeMap<SubjectKind, i64> {
        &self.kinds
    }

    /// The number of subjects.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no subject.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The subjects that changed since this was last asked, in the order of their keys.
    pub fn drain_dirty(&mut self) -> Vec<Arc<SubjectKey>> {
        let mut dirty = core::mem::take(&mut self.dirty);
        for key in &dirty {
            if let Some(slot) = self.slots.get_mut(key) {
                slot.is_dirty = false;
            }
        }
        dirty.sort();
        dirty
    }

    /// How many subjects changed since [`Shard::drain_dirty`].
    pub fn dirty_len(&self) -> usize {
        self.dirty.len()
    }

    /// The subject of this key, made or woken where that is needed, as one that changes.
    fn ready(&mut self, key: &Arc<SubjectKey>) -> &mut Subject {
        let (kinds, rest) = (&mut self.kinds, &mut self.rest);
        let slot = self.slots.get_or_make(key, || {
            *kinds.entry(key.kind).or_default() += 1;
            if !key.kind.is_collective() {
                rest.warm.push_back(Arc::clone(key));
            }
            Slot::new(Subject::new(Arc::clone(key)))
        });
        slot.is_used = true;
        if !slot.is_dirty {
            slot.is_dirty = true;
            self.dirty.push(Arc::clone(key));
        }
        let (subject, was_resting) = slot.wake(rest);
        if was_resting {
            rest.warm.push_back(Arc::clone(&subject.key));
        }
        subject
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one row or step after the other; splitting would hide the order"
    )]
    fn take(&mut self, court: &Court<'_>, work: &Work, out: &mut Outputs) {
        let (key, cause, changed, old) = match &work.what {
            What::Put {
                subject,
                event,
                key,
                replaces,
                is_home,
                rank: _,
            } => {
                let who = self.ready(subject);
                let old = if *replaces { remove(who, *key) } else { None };
                if !put(who, event, *key, out) {
                    return;
                }
                if *is_home {
                    tally_change((court, work), subject, old.as_ref(), Some(event), out);
                }
                let was =
                    replaces.then(|| old.as_ref().map_or(event.occurred_at, |e| e.occurred_at));
                let now = Some(Arc::clone(event));
                (
                    subject,
                    event.as_ref(),
                    Changed {
                        stream: event.stream,
                        key: *key,
                        was,
                        old: old.clone(),
                        now,
                    },
                    old,
                )
            }
            What::Withdraw {
                subject,
                event,
                key,
                rank,
                is_home,
                remember,
            } => {
                let who = self.ready(subject);
                let old = remove(who, *key);
                if *remember {
                    bury(who, event, *key, *rank, old.as_ref());
                }
                if *is_home {
                    tally_change((court, work), subject, old.as_ref(), None, out);
                }
                let time = old.as_ref().map_or(event.occurred_at, |e| e.occurred_at);
                let changed = Changed {
                    stream: event.stream,
                    key: *key,
                    was: Some(time),
                    old: old.clone(),
                    now: None,
                };
                (subject, event.as_ref(), changed, old)
            }
            What::Hear { .. } | What::Tick => return,
        };
        let who = self.ready(key);
        trim(court, who, changed.stream, out);
        let mut sentence = Sentence::default();
        let was_known = court.asked.risks && is_known(who);
        court.judge_fact(who, &changed, &mut sentence);
        let messages = settle_fact(court, who, &sentence, changed.stream);
        let settled = Settled {
            seq: work.seq,
            sentence: &sentence,
            messages: &messages,
            cause: Some(cause),
            was_known,
        };
        remark(court, who, &settled, out);
        let anchors = [old, changed.now.clone()];
        if court.set.listens_to_findings() {
            tally_findings(court, work, who, &sentence, &anchors, out);
        }
        collect((work.seq, false), key, messages, sentence, out);
        self.schedule(court, key);
    }

    fn count(&mut self, court: &Court<'_>, seq: u64, tally: &Tally, out: &mut Outputs) {
        let event = &tally.event;
        let feeds = court.set.feeds(tally.subject.kind, event.stream);
        if feeds.is_empty() {
            return;
        }
        let who = self.ready(&tally.subject);
        let horizon = court
            .clock
            .plus_ms(-retention_ms(court.set, event.stream))
            .day();
        if let Some(groups) = who.groups_mut() {
            for feed in feeds {
                groups.count(feed, (event, tally.add), horizon);
            }
        }
        let mut sentence = Sentence::default();
        let was_known = court.asked.risks && is_known(who);
        court.judge_count(who, event, &mut sentence);
        let messages = settle_fact(court, who, &sentence, event.stream);
        let settled = Settled {
            seq,
            sentence: &sentence,
            messages: &messages,
            cause: Some(event),
            was_known,
        };
        remark(court, who, &settled, out);
        collect((seq, true), &tally.subject, messages, sentence, out);
        self.schedule(court, &tally.subject);
    }

    fn hear(
        &mut self,
        court: &Court<'_>,
        seq: u64,
        (subject, event): (&Arc<SubjectKey>, &Event),
        out: &mut Outputs,
    ) {
        if self.get(subject).is_none_or(|s| s.core.is_none()) {
            return;
        }
        let who = self.ready(subject);
        let was_known = court.asked.risks && is_known(who);
        let messages = settle::hear(court, who, event);
        let sentence = Sentence::default();
        let settled = Settled {
            seq,
            sentence: &sentence,
            messages: &messages,
            cause: Some(event),
            was_known,
        };
        remark(court, who, &settled, out);
        collect((seq, true), subject, messages, sentence, out);
        self.schedule(court, subject);
    }

    fn tick(&mut self, court: &Court<'_>, seq: u64, collectives: bool, out: &mut Outputs) {
        let heap = if collectives {
            &mut self.collectives
        } else {
            &mut self.individuals
        };
        let mut due = Vec::new();
        while heap
            .peek()
            .is_some_and(|Reverse((at, _))| *at <= court.clock)
        {
            due.extend(heap.pop().map(|Reverse((_, key))| key));
        }
        due.sort();
        due.dedup();
        for key in due {
            self.wake(&key);
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.due = EventTime::MAX;
                // What is due follows from the state alone, so a restart wakes subjects at the same places.
                if slot
                    .ready()
                    .and_then(next_due)
                    .is_none_or(|due| court.clock < due)
                {
                    self.schedule(court, &key);
                    continue;
                }
            }
            let who = self.ready(&key);
            let mut sentence = Sentence::default();
            let checks: Vec<_> = who
                .core
                .as_ref()
                .map(|c| {
                    c.checks
                        .iter()
                        .filter(|c| c.at <= court.clock)
                        .cloned()
                        .collect()
                })
                .unwrap_or_default();
            let was_known = court.asked.risks && is_known(who);
            for check in &checks {
                court.judge_check(who, check, &mut sentence);
            }
            let mut messages = settle(court, who, &sentence);
            messages.extend(expire(court, who));
            let settled = Settled {
                seq,
                sentence: &sentence,
                messages: &messages,
                cause: None,
                was_known,
            };
            remark(court, who, &settled, out);
            if !collectives && court.set.listens_to_findings() {
                let work = Work {
                    seq,
                    clock: court.clock,
                    what: What::Tick,
                };
                tally_findings(court, &work, who, &sentence, &[None, None], out);
            }
            collect((seq, collectives), &key, messages, sentence, out);
            self.schedule(court, &key);
        }
    }

    pub(super) fn schedule(&mut self, court: &Court<'_>, key: &Arc<SubjectKey>) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let Some(due) = slot.ready().and_then(next_due) else {
            return;
        };
        let due = due.max(court.clock.plus_ms(1));
        if due < slot.due {
            slot.due = due;
            let heap = if key.kind.is_collective() {
                &mut self.collectives
            } else {
                &mut self.individuals
            };
            heap.push(Reverse((due, Arc::clone(key))));
        }
    }
}

/// What judging is done with at a place of the stream.
fn at<'c>(court: &Court<'c>, seq: u64, clock: EventTime) -> Court<'c> {
    Court {
        clock,
        stopwatch: court.stopwatch.filter(|_| seq.is_multiple_of(TIMED_EVERY)),
        ..*court
    }
}

/// How long facts of a stream are kept: what the rules look back on, and the allowance for late facts.
pub fn retention_ms(set: &RuleSet, stream: Stream) -> i64 {
    set.history_ms(stream)
        .saturating_add(set.scoring().late_ms_max)
        .saturating_add(DAY_MS)
}

//! The whole of the core: every subject, the record index, the logical clock, and the step over a batch of inputs.
//!
//! State is a fold over [`Input`]s: the same inputs in the same order give the same state and the same messages, however
//! they are cut into batches and however many shards there are. A restart is a fold over what was journalled.
//!
//! The logical clock is the latest arrival time seen, or what a [`Input::Clock`] says. When it passes an hour every shard
//! gets a tick, at that place in the stream; when it passes a day the batch is cut there, and rules that keep failing are
//! suspended.
//!
//! cost     admission is sequential (one look-up an event); the rest is done by shards, in parallel if the crew is

use super::event::{SubjectKey, SubjectKind};
use super::hash::FixedState;
use super::input::{Conduct, Crew, Disposition, FAULT_SHARE, FAULTS_MAX, Globals, Input, Outcome};
use super::judge::Court;
use super::record::{Admission, Keepers, Prepared, RecordIndex};
use super::rule::RuleSet;
use super::schema::Stream;
use super::shard::{Shard, retention_ms};
use super::subject::state::Subject;
use super::time::{EventTime, HOUR_MS};
use super::work::{Fault, Outputs, Sent, SentTally, What, Work};
use hashbrown::HashMap;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All subjects, and what they are judged with.
#[derive(Debug)]
pub struct Province {
    set: Arc<RuleSet>,
    shards: Vec<Shard>,
    index: RecordIndex,
    /// What it keeps beside its subjects.
    pub globals: Globals,
    suspended: Vec<bool>,
    collectives: HashMap<SubjectKey, Arc<SubjectKey>, FixedState>,
    forgotten: Vec<super::event::RecordKey>,
    /// One in so many facts is judged by one of its rules in the interpreter as well; 0: none. Changes nothing that is kept
    /// or leaves.
    pub check_every: u32,
}

#[derive(Default)]
struct Segment {
    works: Vec<Vec<Work>>,
    /// Feedback on collectives, for the second pass.
    words: Vec<Work>,
    ticks: bool,
}

impl Province {
    /// An empty province of so many shards.
    pub fn new(set: Arc<RuleSet>, shards: u32) -> Self {
        let mut province = Self {
            set,
            shards: (0..shards.max(1)).map(|_| Shard::default()).collect(),
            index: RecordIndex::default(),
            globals: Globals::default(),
            suspended: Vec::new(),
            collectives: HashMap::default(),
            forgotten: Vec::new(),
            check_every: 0,
        };
        province.restore_globals(Globals::default());
        province
    }

    /// The rules in force.
    pub fn set(&self) -> &Arc<RuleSet> {
        &self.set
    }

    /// The logical clock.
    pub fn clock(&self) -> EventTime {
        self.globals.clock.unwrap_or(EventTime(0))
    }

    /// What judging is done with now.
    pub fn court(&self) -> Court<'_> {
        Court {
            set: &self.set,
            suspended: &self.suspended,
            clock: self.clock(),
            check_every: self.check_every,
            is_filling: false,
        }
    }

    /// Which rules are suspended, by place in the set.
    pub(super) fn suspensions(&self) -> &[bool] {
        &self.suspended
    }

    /// Puts another set in the place of this one; only `adopt` knows what else that means.
    pub(super) fn replace_set(&mut self, set: Arc<RuleSet>, globals: Globals) {
        self.set = set;
        self.restore_globals(globals);
    }

    /// The shards.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The shards, to take their changes.
    pub fn shards_mut(&mut self) -> &mut [Shard] {
        &mut self.shards
    }

    /// The subject of this key.
    pub fn subject(&self, key: &SubjectKey) -> Option<Cow<'_, Subject>> {
        self.shards
            .get(self.place(key))
            .and_then(|shard| shard.get(key))
    }

    /// How many individuals are kept ready in all shards together; the others are packed while nothing happens to them. Changes
    /// nothing that is kept or leaves.
    pub fn set_warm_max(&mut self, max: usize) {
        let each = max.div_ceil(self.shards.len().max(1));
        for shard in &mut self.shards {
            shard.set_warm_max(each);
        }
    }

    /// How many subjects are at rest.
    pub fn at_rest(&self) -> usize {
        self.shards.iter().map(Shard::at_rest).sum()
    }

    /// How many subjects of each kind there are.
    pub fn count_by_kind(&self) -> BTreeMap<SubjectKind, i64> {
        let mut counts = BTreeMap::new();
        for shard in &self.shards {
            for (kind, count) in shard.kinds() {
                *counts.entry(*kind).or_default() += count;
            }
        }
        counts
    }

    /// The number of records known.
    pub fn records(&self) -> usize {
        self.index.len()
    }

    /// Takes up a subject that was read back from the store. [`Province::restore_globals`] comes first.
    pub fn restore_subject(&mut self, subject: Subject) {
        if let Some(facts) = subject.facts() {
            for (stream, list) in facts.streams() {
                for fact in list {
                    if let (Some(rank), Some(event)) = (fact.rank(), fact.event(stream)) {
                        self.index.restore(fact.key, rank, &event.subjects);
                    }
                }
            }
            for dead in facts.tombstones() {
                self.index
                    .restore(dead.key, dead.rank, core::slice::from_ref(&subject.key));
            }
        }
        let place = self.place(&subject.key);
        let court = Court {
            set: &self.set,
            suspended: &self.suspended,
            clock: self.globals.clock.unwrap_or(EventTime(0)),
            check_every: 0,
            is_filling: false,
        };
        if let Some(shard) = self.shards.get_mut(place) {
            shard.restore(&court, subject);
        }
    }

    /// Takes up what was kept beside the subjects; conduct of rules that are no longer in the set is let go.
    pub fn restore_globals(&mut self, mut globals: Globals) {
        let old = core::mem::take(&mut globals.conduct);
        for rule in self.set.rules() {
            let id = rule.manifest().id.as_ref();
            let known = old.iter().find(|c| c.rule == id).cloned();
            globals.conduct.push(known.unwrap_or_else(|| Conduct {
                rule: id.to_owned(),
                ..Conduct::default()
            }));
        }
        self.suspended = globals
            .conduct
            .iter()
            .map(|c| c.suspended_since.is_some())
            .collect();
        self.globals = globals;
    }

    /// Steps over a batch of inputs.
    pub fn step(&mut self, inputs: &[Input], prepared: &[Prepared], crew: &dyn Crew) -> Outcome {
        let mut outcome = Outcome::default();
        let mut segment = self.segment();
        let mut prepared = prepared.iter();
        for input in inputs {
            self.globals.seq = self.globals.seq.saturating_add(1);
            match input {
                Input::Clock(time) => self.advance(*time, &mut segment, crew, &mut outcome),
                Input::Event(event) => {
                    self.advance(event.arrived_at, &mut segment, crew, &mut outcome);
                    if let Some(prepared) = prepared.next() {
                        let disposition = self.admit(prepared, &mut segment);
                        outcome.dispositions.push(disposition);
                    }
                }
            }
        }
        self.run(&mut segment, crew, &mut outcome);
        outcome
    }

    fn segment(&self) -> Segment {
        Segment {
            works: self.shards.iter().map(|_| Vec::new()).collect(),
            words: Vec::new(),
            ticks: false,
        }
    }

    fn place(&self, key: &SubjectKey) -> usize {
        let shards = u32::try_from(self.shards.len()).unwrap_or(1);
        usize::try_from(key.shard(shards)).unwrap_or(0)
    }

    /// Moves the clock on; at an hour's end the shards get a tick, at a day's end the batch is cut.
    fn advance(
        &mut self,
        time: EventTime,
        segment: &mut Segment,
        crew: &dyn Crew,
        outcome: &mut Outcome,
    ) {
        let Some(clock) = self.globals.clock else {
            self.globals.clock = Some(time);
            return;
        };
        if time <= clock {
            return;
        }
        let hour = EventTime(time.0.div_euclid(HOUR_MS) * HOUR_MS);
        if clock < hour {
            if clock.day() < time.day() {
                self.run(segment, crew, outcome);
                self.close_day(outcome);
            }
            self.globals.clock = Some(hour);
            for works in &mut segment.works {
                works.push(Work {
                    seq: self.globals.seq,
                    clock: hour,
                    what: What::Tick,
                });
            }
            segment.ticks = true;
        }
        self.globals.clock = Some(time);
    }

    fn close_day(&mut self, outcome: &mut Outcome) {
        for key in self.forgotten.drain(..) {
            self.index.forget(key);
        }
        let clock = self.globals.clock;
        for (at, conduct) in self.globals.conduct.iter_mut().enumerate() {
            let fails = FAULTS_MAX <= conduct.faults
                && conduct.calls < conduct.faults.saturating_mul(FAULT_SHARE);
            if fails && conduct.suspended_since.is_none() {
                // From the beginning of the day on which it failed, so that the failures are made good as well.
                conduct.suspended_since = clock.map(|clock| EventTime::from_day(clock.day()));
                outcome.suspended.push(at);
                if let Some(slot) = self.suspended.get_mut(at) {
                    *slot = true;
                }
            }
            (conduct.calls, conduct.faults) = (0, 0);
        }
    }

    fn admit(&mut self, prepared: &Prepared, segment: &mut Segment) -> Disposition {
        let event = &prepared.event;
        let clock = self.clock();
        // A withdrawal is never too old: what rested on the fact may still stand.
        if event.is_live()
            && !event.stream.is_standing()
            && event.occurred_at < clock.plus_ms(-retention_ms(&self.set, event.stream))
        {
            return Disposition::TooOld;
        }
        let none: Keepers = Arc::from([]);
        let (keepers, old) = match self.index.admit(prepared) {
            Admission::Duplicate => return Disposition::Duplicate,
            Admission::Stale => return Disposition::Stale,
            Admission::New { keepers } => (keepers, none),
            Admission::Newer { keepers, old } => (keepers, old),
        };
        let is_live = event.is_live();
        if is_live && event.stream == Stream::Feedback {
            let collectives = event.subjects.iter().filter(|s| s.kind.is_collective());
            segment.words.extend(collectives.map(|subject| Work {
                seq: self.globals.seq,
                clock,
                what: What::Hear {
                    subject: Arc::new(subject.clone()),
                    event: Arc::clone(event),
                },
            }));
        }
        for (at, subject) in old.iter().enumerate() {
            if is_live && keepers.contains(subject) {
                continue;
            }
            self.push(
                segment,
                subject,
                What::Withdraw {
                    subject: Arc::clone(subject),
                    event: Arc::clone(event),
                    key: prepared.key,
                    rank: prepared.rank,
                    is_home: at == 0,
                    remember: !is_live && at == 0,
                },
            );
        }
        for (at, subject) in keepers.iter().enumerate() {
            let what = if is_live {
                What::Put {
                    subject: Arc::clone(subject),
                    event: Arc::clone(event),
                    key: prepared.key,
                    rank: prepared.rank,
                    replaces: old.contains(subject),
                    is_home: at == 0,
                }
            } else if at == 0 && !old.contains(subject) {
                // A withdrawal of what nobody had yet: remembered, so that it stays away when it comes.
                What::Withdraw {
                    subject: Arc::clone(subject),
                    event: Arc::clone(event),
                    key: prepared.key,
                    rank: prepared.rank,
                    is_home: false,
                    remember: true,
                }
            } else {
                continue;
            };
            self.push(segment, subject, what);
        }
        Disposition::Applied
    }

    fn push(&self, segment: &mut Segment, subject: &SubjectKey, what: What) {
        let work = Work {
            seq: self.globals.seq,
            clock: self.clock(),
            what,
        };
        if let Some(works) = segment.works.get_mut(self.place(subject)) {
            works.push(work);
        }
    }

    /// Runs the works so far: individuals, then the collectives on what came of it.
    fn run(&mut self, segment: &mut Segment, crew: &dyn Crew, outcome: &mut Outcome) {
        if segment.works.iter().all(Vec::is_empty) && segment.words.is_empty() {
            return;
        }
        let first = core::mem::replace(segment, self.segment());
        let court = Court {
            set: &self.set,
            suspended: &self.suspended,
            clock: EventTime(0),
            check_every: self.check_every,
            is_filling: false,
        };
        let mut outputs = crew.each(&mut self.shards, &|at, shard| {
            let mut out = Outputs::default();
            if let Some(works) = first.works.get(at) {
                shard.run(&court, works, false, &mut out);
            }
            out
        });
        let tallies: Vec<SentTally> = outputs
            .iter_mut()
            .flat_map(|out| core::mem::take(&mut out.tallies))
            .collect();
        let second = self.second_pass(&first, tallies);
        let court = Court {
            set: &self.set,
            suspended: &self.suspended,
            clock: EventTime(0),
            check_every: self.check_every,
            is_filling: false,
        };
        outputs.extend(crew.each(&mut self.shards, &|at, shard| {
            let mut out = Outputs::default();
            if let Some(works) = second.get(at) {
                shard.run(&court, works, true, &mut out);
            }
            out
        }));
        self.gather(outputs, outcome);
    }

    /// The collectives' works, in the order of their places; of one place, in the order of the individuals' keys.
    fn second_pass(&mut self, first: &Segment, mut tallies: Vec<SentTally>) -> Vec<Vec<Work>> {
        // What is taken away comes before what is added: a record that moves between firms is one for a region.
        tallies.sort_by(|a, b| {
            (a.seq, a.clock, a.tally.add)
                .cmp(&(b.seq, b.clock, b.tally.add))
                .then_with(|| a.from.cmp(&b.from))
        });
        let ticks: Vec<&Work> = first
            .works
            .first()
            .map(|works| {
                works
                    .iter()
                    .filter(|w| matches!(w.what, What::Tick))
                    .collect()
            })
            .unwrap_or_default();
        let mut ticks = ticks.into_iter().peekable();
        let mut works: Vec<Vec<Work>> = self.shards.iter().map(|_| Vec::new()).collect();
        let mut told: Vec<(Arc<SubjectKey>, Work)> = tallies
            .into_iter()
            .map(|sent| {
                let (seq, clock, mut tally) = (sent.seq, sent.clock, sent.tally);
                tally.subject = self.collective(&tally.subject);
                let key = Arc::clone(&tally.subject);
                let what = What::Tally(tally);
                (key, Work { seq, clock, what })
            })
            .collect();
        if !first.words.is_empty() {
            told.extend(first.words.iter().filter_map(|work| match &work.what {
                What::Hear { subject, .. } => Some((Arc::clone(subject), work.clone())),
                What::Put { .. } | What::Withdraw { .. } | What::Tally(_) | What::Tick => None,
            }));
            // Stable: at one place counts come before words.
            told.sort_by_key(|(_, work)| (work.seq, work.clock));
        }
        for (key, work) in told {
            let before = |tick: &&Work| tick.seq <= work.seq && tick.clock <= work.clock;
            while let Some(tick) = ticks.next_if(before) {
                for works in &mut works {
                    works.push(tick.clone());
                }
            }
            let place = self.place(&key);
            if let Some(works) = works.get_mut(place) {
                works.push(work);
            }
        }
        for tick in ticks {
            for works in &mut works {
                works.push(tick.clone());
            }
        }
        works
    }

    fn collective(&mut self, key: &Arc<SubjectKey>) -> Arc<SubjectKey> {
        Arc::clone(
            self.collectives
                .entry(key.as_ref().clone())
                .or_insert_with(|| Arc::clone(key)),
        )
    }

    /// A fact is a call of every rule of its place, or a debt of those that are suspended, whether the rule was looked at or
    /// the index kept it away.
    fn count_seats(&self, out: &mut Outputs) {
        for (seat, count) in out.seats.iter().enumerate().filter(|(_, n)| 0 < **n) {
            for at in self.set.anchored_at(seat) {
                let is_suspended = self.suspended.get(*at).copied().unwrap_or(false);
                let counts = if is_suspended {
                    &mut out.debts
                } else {
                    &mut out.calls
                };
                if let Some(place) = counts.get_mut(*at) {
                    *place += count;
                }
            }
        }
    }

    pub(super) fn gather(&mut self, outputs: Vec<Outputs>, outcome: &mut Outcome) {
        let size = self.set.rules().len();
        let mut sent: Vec<Sent> = Vec::new();
        let mut faults: Vec<Fault> = Vec::new();
        outcome.calls.resize(size, 0);
        outcome.firings.resize(size, 0);
        for mut out in outputs {
            self.count_seats(&mut out);
            sent.extend(out.sent);
            faults.extend(out.faults);
            outcome.checked += out.checked;
            outcome.differences.extend(out.differences);
            self.forgotten.extend(out.forgotten);
            for (at, conduct) in self.globals.conduct.iter_mut().enumerate() {
                let of = |list: &[u64]| list.get(at).copied().unwrap_or(0);
                conduct.calls += of(&out.calls);
                conduct.debt += of(&out.debts);
                if let (Some(calls), Some(firings)) =
                    (outcome.calls.get_mut(at), outcome.firings.get_mut(at))
                {
                    *calls += of(&out.calls);
                    *firings += of(&out.firings);
                }
            }
        }
        // Stable: what one subject says at one place stays in its order.
        sent.sort_by(|a, b| {
            (a.seq, a.is_collective)
                .cmp(&(b.seq, b.is_collective))
                .then_with(|| a.subject.cmp(&b.subject))
        });
        faults.sort_by(|a, b| a.seq.cmp(&b.seq).then_with(|| a.subject.cmp(&b.subject)));
        for fault in &faults {
            if let Some(conduct) = self.globals.conduct.get_mut(fault.fault.rule) {
                conduct.faults += 1;
            }
        }
        outcome.sent.extend(sent);
        outcome.faults.extend(faults);
    }
}

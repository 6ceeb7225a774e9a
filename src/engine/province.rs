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

mod pass;
mod restore;
mod resting;

pub use restore::Restored;

use super::desk::{Cue, Desk, Item};
use super::event::{SubjectKey, SubjectKind};
use super::input::{Conduct, Crew, Disposition, FAULT_SHARE, FAULTS_MAX, Globals, Input, Outcome};
use super::judge::Court;
use super::owner::Scope;
use super::record::{Admission, Keepers, Prepared, RecordIndex};
use super::remark::Asked;
use super::rule::RuleSet;
use super::schema::Stream;
use super::sentence::Stopwatch;
use super::shard::{Shard, retention_ms};
use super::subject::state::Subject;
use super::time::{EventTime, HOUR_MS};
use super::work::{What, Work};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
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
    forgotten: Vec<super::event::RecordKey>,
    /// What officers do about what leaves.
    desk: Desk,
    cues: Vec<Cue>,
    /// Records that officers joined, or tried to join, to key events: what becomes of them is for the desk.
    followed: BTreeSet<super::event::RecordKey>,
    /// Which subjects belong to it; none: all.
    scope: Option<Scope>,
    /// One in so many facts is judged by one of its rules in the interpreter as well; 0: none. Changes nothing that is kept
    /// or leaves.
    pub check_every: u32,
    /// What times the calls of rules, on one place of the stream in [`TIMED_EVERY`](super::sentence::TIMED_EVERY). Changes
    /// nothing that is kept or leaves.
    pub stopwatch: Option<Stopwatch>,
    /// What is told beside messages. Changes nothing that is kept.
    pub asked: Asked,
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
            forgotten: Vec::new(),
            desk: Desk::default(),
            cues: Vec::new(),
            followed: BTreeSet::new(),
            scope: None,
            check_every: 0,
            stopwatch: None,
            asked: Asked::default(),
        };
        province.restore_globals(Globals::default());
        province
    }

    /// Leaves all subjects alone that do not belong to `scope`; said before the first step.
    pub fn set_scope(&mut self, scope: Option<Scope>) {
        self.scope = scope;
    }

    fn holds(&self, subject: &SubjectKey) -> bool {
        self.scope.is_none_or(|scope| scope.holds(subject))
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
            stopwatch: None,
            is_filling: false,
            asked: self.asked,
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

    /// The subject of this key, to be changed.
    pub(super) fn subject_mut(&mut self, key: &Arc<SubjectKey>) -> Option<&mut Subject> {
        let place = self.place(key);
        self.shards
            .get_mut(place)
            .map(|shard| shard.subject_mut(key))
    }

    /// The subject of this key.
    pub fn subject(&self, key: &SubjectKey) -> Option<Cow<'_, Subject>> {
        self.shards
            .get(self.place(key))
            .and_then(|shard| shard.get(key))
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

    /// The desk.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The desk, to take its changes.
    pub fn desk_mut(&mut self) -> &mut Desk {
        &mut self.desk
    }

    /// Takes up what the desk kept. [`Province::restore_globals`] comes first.
    pub fn restore_desk(&mut self, items: impl IntoIterator<Item = Item>) {
        for item in items {
            self.desk.restore(&self.set, item);
        }
        self.followed = self.desk.followed().collect();
        for origin in self.desk.acts() {
            self.index.restore_unkept(origin.key, origin.rank);
        }
        let day = EventTime::from_day(self.clock().day());
        self.desk.forget(day.plus_days(-super::desk::KEPT_DAYS));
    }

    /// Computes the desk's deadlines anew, after the calendar changed.
    pub(super) fn recalculate(&mut self, outcome: &mut Outcome) {
        let place = super::desk::Place {
            set: &self.set,
            seq: self.globals.seq,
            clock: self.clock(),
        };
        outcome.sent.extend(self.desk.recalculate(place));
    }

    fn tell_desk(&mut self, what: super::desk::What) {
        let (seq, clock) = (self.globals.seq, self.clock());
        self.cues.push(Cue { seq, clock, what });
    }

    /// Takes up what was kept beside the subjects; conduct of rules that are no longer in the set is let go.
    pub fn restore_globals(&mut self, mut globals: Globals) {
        let old = core::mem::take(&mut globals.conduct).into_iter();
        let mut old: BTreeMap<String, Conduct> =
            old.map(|known| (known.rule.clone(), known)).collect();
        for rule in self.set.rules() {
            let id = rule.manifest().id.as_ref();
            let known = old.remove(id);
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
            self.tell_desk(super::desk::What::Tick);
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
            && !Stream::UNREAD.contains(&event.stream)
            && event.occurred_at < clock.plus_ms(-retention_ms(&self.set, event.stream))
        {
            return Disposition::TooOld;
        }
        if self.scope.is_some() && !self.concerns(prepared) {
            return Disposition::Duplicate;
        }
        let none = Keepers::default();
        let (applied, keepers, old) = match self.index.admit(prepared) {
            Admission::Duplicate => return Disposition::Duplicate,
            Admission::Stale => return Disposition::Stale,
            Admission::New { keepers } => (Disposition::Applied, keepers, none),
            Admission::Newer { keepers, old } => (Disposition::Replaced, keepers, old),
        };
        let is_live = event.is_live();
        self.note_for_desk(prepared);
        if Stream::UNREAD.contains(&event.stream) {
            return applied;
        }
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
        // What moves away, for good or to another partition, is remembered by the first that had it here.
        let is_gone = !is_live || !keepers.iter().any(|keeper| self.holds(keeper));
        let first = old.iter().position(|subject| self.holds(subject));
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
                    remember: is_gone && Some(at) == first,
                },
            );
        }
        self.put(prepared, (&keepers, &old), segment);
        applied
    }

    /// Gives a fact, or a withdrawal of what nobody had, to those who keep it.
    fn put(
        &self,
        prepared: &Prepared,
        (keepers, old): (&Keepers, &Keepers),
        segment: &mut Segment,
    ) {
        let event = &prepared.event;
        let is_live = event.is_live();
        let first = keepers.iter().position(|subject| self.holds(subject));
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
            } else if Some(at) == first && !old.contains(subject) {
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
    }

    /// What officers do and find out, and what inspections and penalties there are, is for the desk as well.
    fn note_for_desk(&mut self, prepared: &Prepared) {
        let event = &prepared.event;
        let is_live = event.is_live();
        let concerns = match event.stream {
            Stream::Action => {
                if is_live {
                    self.note_act(prepared);
                }
                return;
            }
            Stream::Feedback => is_live,
            Stream::Inspection | Stream::Penalty | Stream::National | Stream::Catalogue => true,
            _ => false,
        };
        if concerns || self.followed.contains(&prepared.key) {
            self.tell_desk(super::desk::What::Record(prepared.clone()));
        }
    }

    /// An act; one that joins a record to a key event is told whether the record is known at this place, and has it followed.
    fn note_act(&mut self, prepared: &Prepared) {
        let what = match super::desk::key_event::joins(&prepared.event) {
            Some(key) => {
                self.followed.insert(key);
                super::desk::What::Join(prepared.clone(), self.index.knows(key))
            }
            None => super::desk::What::Record(prepared.clone()),
        };
        self.tell_desk(what);
    }

    /// The version of a record that holds, if an individual keeps it.
    pub fn fact(&self, key: super::event::RecordKey) -> Option<super::event::Event> {
        let keepers = self.index.keepers(key)?;
        keepers.iter().find_map(|keeper| {
            let subject = self.subject(keeper)?;
            let (stream, fact) = subject.facts()?.find(key)?;
            fact.event(stream)
        })
    }

    /// Whether an event is about a subject that belongs here, or changes a record that is known here.
    fn concerns(&self, prepared: &Prepared) -> bool {
        let mut subjects = prepared.event.subjects.iter();
        subjects.any(|subject| self.holds(subject)) || self.index.knows(prepared.key)
    }

    fn push(&self, segment: &mut Segment, subject: &SubjectKey, what: What) {
        if !self.holds(subject) {
            return;
        }
        let work = Work {
            seq: self.globals.seq,
            clock: self.clock(),
            what,
        };
        if let Some(works) = segment.works.get_mut(self.place(subject)) {
            works.push(work);
        }
    }
}

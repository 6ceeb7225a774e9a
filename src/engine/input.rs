//! What the core is given and what it gives back: inputs, dispositions, outcomes, and what it keeps beside subjects.

use super::event::Event;
use super::remark::Remark;
use super::schema::Stream;
use super::shard::Shard;
use super::time::EventTime;
use super::work::{Fault, Outputs, Sent};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One input of the fold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Input {
    /// A fact.
    Event(Arc<Event>),
    /// The clock of the world, told by the shell.
    Clock(EventTime),
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disposition {
    /// It changed the state: the first that is known of its record.
    Applied,
    /// It changed the state, in the place of an older version of its record.
    Replaced,
    /// This very version was known.
    Duplicate,
    /// A later version was known.
    Stale,
    /// It happened before everything that the rules look back on.
    TooOld,
}

/// Who runs the shards: in turn, or in parallel.
pub trait Crew {
    /// Does the job once with every shard.
    fn each(
        &self,
        shards: &mut [Shard],
        job: &(dyn Fn(usize, &mut Shard) -> Outputs + Sync),
    ) -> Vec<Outputs>;
}

/// One after the other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Crew for Alone {
    fn each(
        &self,
        shards: &mut [Shard],
        job: &(dyn Fn(usize, &mut Shard) -> Outputs + Sync),
    ) -> Vec<Outputs> {
        shards
            .iter_mut()
            .enumerate()
            .map(|(at, shard)| job(at, shard))
            .collect()
    }
}

/// What the province keeps beside its subjects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Globals {
    /// How many inputs there were.
    pub seq: u64,
    /// The logical clock; before the first input, the earliest time.
    pub clock: Option<EventTime>,
    /// How each rule fares, in the order of the set.
    pub conduct: Vec<Conduct>,
    /// Streams of which facts are kept only from a time on, because no rule asked for older ones when they came.
    pub kept: Vec<(Stream, EventTime)>,
}

impl Globals {
    /// From when on facts of a stream are all there; `None`: from the beginning.
    pub fn kept_from(&self, stream: Stream) -> Option<EventTime> {
        let found = self.kept.iter().find(|(kept, _)| *kept == stream);
        found.map(|(_, from)| *from)
    }
}

/// How a rule fares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conduct {
    /// The rule's id.
    pub rule: String,
    /// Calls since the last day's end.
    pub calls: u64,
    /// Failures since the last day's end.
    pub faults: u64,
    /// Since when it is suspended, logical time.
    pub suspended_since: Option<EventTime>,
    /// How many judgements it owes since then.
    pub debt: u64,
    /// From which event time on the text in force has judged every fact; `None`: from the first record on.
    pub judged_from: Option<EventTime>,
    /// From which event time on its windows reach over everything that they ask for; `None`: always.
    pub whole_from: Option<EventTime>,
    /// How many past facts it was filled back over when it came into force.
    pub filled: u64,
}

/// The failures a day from which a rule is suspended, if they are also more than one in [`FAULT_SHARE`] calls.
pub const FAULTS_MAX: u64 = 5;
/// See [`FAULTS_MAX`].
pub const FAULT_SHARE: u64 = 1_000;

/// What a step gives.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What became of each event, in the order of the inputs; clocks have none.
    pub dispositions: Vec<Disposition>,
    /// What leaves, in order.
    pub sent: Vec<Sent>,
    /// What is told beside messages, if it was asked for, in order.
    pub remarks: Vec<Remark>,
    /// Rules that failed, in order.
    pub faults: Vec<Fault>,
    /// How many judgements were held to the interpreter.
    pub checked: u64,
    /// Those that it contradicts: a fault of this program.
    pub differences: Vec<Fault>,
    /// Calls of each rule.
    pub calls: Vec<u64>,
    /// Findings of each rule that appeared or changed.
    pub firings: Vec<u64>,
    /// The calls that were timed: the rule's place in the set, nanoseconds. Not the same in another run.
    pub timed: Vec<(usize, u64)>,
    /// Rules that were suspended in this step.
    pub suspended: Vec<usize>,
}

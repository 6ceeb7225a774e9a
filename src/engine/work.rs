//! What shards are given to do, and what they give back, each at its place in the stream.
//!
//! A place is the number of the input that caused it. Whatever leaves a shard carries its place, so that the outputs of
//! several shards are put into one order that does not depend on how many shards there are.

use super::event::{Event, Rank, RecordKey, SubjectKey};
use super::hash::FixedState;
use super::remark::Remark;
use super::sentence::{RuleFault, Sentence};
use super::time::EventTime;
use super::warning::Message;
use hashbrown::HashSet;
use std::sync::Arc;

/// One thing to do, at its place in the stream.
#[derive(Debug, Clone)]
pub struct Work {
    /// The place in the stream: the number of the input that caused it.
    pub seq: u64,
    /// The logical clock at that place.
    pub clock: EventTime,
    /// What to do.
    pub what: What,
}

/// What there is to do.
#[derive(Debug, Clone)]
pub enum What {
    /// A fact for an individual to keep.
    Put {
        /// The individual.
        subject: Arc<SubjectKey>,
        /// The event.
        event: Arc<Event>,
        /// Its record.
        key: RecordKey,
        /// Its version.
        rank: Rank,
        /// Whether an older version may be there.
        replaces: bool,
        /// Whether this individual speaks for the fact towards collectives.
        is_home: bool,
    },
    /// A fact for an individual to give up.
    Withdraw {
        /// The individual.
        subject: Arc<SubjectKey>,
        /// The event that withdraws it, or that moves it elsewhere.
        event: Arc<Event>,
        /// Its record.
        key: RecordKey,
        /// The version.
        rank: Rank,
        /// Whether this individual speaks for the fact towards collectives.
        is_home: bool,
        /// Whether the withdrawal is to be remembered here: no when the fact moved.
        remember: bool,
    },
    /// What officers found out about a warning on a collective.
    Hear {
        /// The collective.
        subject: Arc<SubjectKey>,
        /// The feedback.
        event: Arc<Event>,
    },
    /// The logical clock passed an hour.
    Tick,
}

/// A fact or finding that a collective adds to its counts, or takes back.
#[derive(Debug, Clone)]
pub struct Tally {
    /// The collective.
    pub subject: Arc<SubjectKey>,
    /// Whether it is added.
    pub add: bool,
    /// The fact.
    pub event: Arc<Event>,
}

/// A message at its place among all that leave.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The place in the stream.
    pub seq: u64,
    /// Whether a collective says it; those come after individuals.
    pub is_collective: bool,
    /// Who says it.
    pub subject: Arc<SubjectKey>,
    /// The message.
    pub message: Message,
}

/// A tally at its place.
#[derive(Debug, Clone)]
pub struct SentTally {
    /// The place in the stream.
    pub seq: u64,
    /// The clock there.
    pub clock: EventTime,
    /// The individual that caused it.
    pub from: Arc<SubjectKey>,
    /// The tally.
    pub tally: Tally,
}

/// Keys of collectives, each once: every fact names some.
#[derive(Debug, Default)]
pub struct Names(HashSet<Arc<SubjectKey>, FixedState>);

impl Names {
    /// The same key, shared with all that it was given out for.
    pub(super) fn shared(&mut self, key: &SubjectKey) -> Arc<SubjectKey> {
        if let Some(known) = self.0.get(key) {
            return Arc::clone(known);
        }
        let key = Arc::new(key.clone());
        self.0.insert(Arc::clone(&key));
        key
    }
}

/// A rule that failed, at its place.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The place in the stream.
    pub seq: u64,
    /// On whom.
    pub subject: Arc<SubjectKey>,
    /// What failed.
    pub fault: RuleFault,
}

/// What a pass gives.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Messages, in the shard's own order.
    pub sent: Vec<Sent>,
    /// Tallies for collectives, in the shard's own order.
    pub tallies: Vec<SentTally>,
    /// The same by the shard that owns whom they are for, when the pass is over.
    pub told: Vec<Vec<SentTally>>,
    /// The keys that tallies name.
    pub names: Names,
    /// Rules that failed.
    pub faults: Vec<Fault>,
    /// How often a fact was judged by all rules of its place ([`super::rule::RuleSet::seat`]).
    pub seats: Vec<u64>,
    /// How often each rule was called beside that, by place in the set; who is beyond the end was not.
    pub calls: Vec<u64>,
    /// How many anchors of each rule were judged to fill it back over the past, by place in the set.
    pub filled: Vec<u64>,
    /// How many judgements were held to the interpreter.
    pub checked: u64,
    /// Those that it contradicts.
    pub differences: Vec<Fault>,
    /// How often each suspended rule would have been called.
    pub debts: Vec<u64>,
    /// How often each rule's finding on an anchor appeared or changed.
    pub firings: Vec<u64>,
    /// The calls that were timed: the rule's place in the set, nanoseconds.
    pub timed: Vec<(usize, u64)>,
    /// What is told beside messages, if it was asked for.
    pub remarks: Vec<Remark>,
    /// Records past every window.
    pub forgotten: Vec<RecordKey>,
}

/// Takes up what a judgement came to, at its place.
pub(super) fn collect(
    (seq, is_collective): (u64, bool),
    key: &Arc<SubjectKey>,
    messages: Vec<Message>,
    sentence: Sentence,
    out: &mut Outputs,
) {
    for (from, to) in [
        (&sentence.calls, &mut out.calls),
        (&sentence.debts, &mut out.debts),
    ] {
        for (rule, n) in from {
            add(to, *rule, u64::from(*n));
        }
    }
    if let Some(seat) = sentence.seat {
        add(&mut out.seats, seat, 1);
    }
    for shift in sentence.shifts.iter().filter(|s| s.new.is_some()) {
        add(&mut out.firings, shift.rule, 1);
    }
    let placed = |fault| Fault {
        seq,
        subject: Arc::clone(key),
        fault,
    };
    out.faults.extend(sentence.faults.into_iter().map(placed));
    out.checked += u64::from(sentence.checked);
    out.timed.extend(sentence.timed);
    out.differences
        .extend(sentence.differences.into_iter().map(placed));
    out.sent.extend(messages.into_iter().map(|message| Sent {
        seq,
        is_collective,
        subject: Arc::clone(key),
        message,
    }));
}

/// Adds to a count by place; a list is no longer than it has to be, so that a batch does not cost what the set is large.
pub(super) fn add(counts: &mut Vec<u64>, at: usize, n: u64) {
    if counts.len() <= at {
        counts.resize(at.saturating_add(1), 0);
    }
    if let Some(count) = counts.get_mut(at) {
        *count += n;
    }
}

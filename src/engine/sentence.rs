//! What is put to judgement, and what comes of it.

use super::event::{Event, RecordKey};
use super::rule::Rule;
use super::schema::{Field, Stream};
use super::subject::groups::GroupKey;
use super::subject::state::Finding;
use super::subject::view::{Anchor, Verdict};
use super::time::EventTime;
use std::sync::Arc;

/// Tells nanoseconds from some moment on. The core never reads a clock: the shell lends it one, and what comes of it goes
/// back to the shell with the counts and into nothing that is kept or leaves.
pub type Stopwatch = fn() -> u64;

/// The works of one place in so many are timed: a prime, so that sources that take turns are all met.
pub const TIMED_EVERY: u64 = 61;

/// A fact that came, changed or went.
#[derive(Debug, Clone)]
pub struct Changed {
    /// Its stream.
    pub stream: Stream,
    /// Its record.
    pub key: RecordKey,
    /// When the older version had happened, if there was one.
    pub was: Option<EventTime>,
    /// The fact as it was, if it is known.
    pub old: Option<Arc<Event>>,
    /// The fact as it is now, if it stands.
    pub now: Option<Arc<Event>>,
}

impl Changed {
    /// The fields that an update changed, when it changed nothing else; `None` when other anchors may see more than
    /// fields: a fact that came, went, or moved in time.
    pub fn fields(&self) -> Option<Vec<Field>> {
        let (old, now) = (self.old.as_ref()?, self.now.as_ref()?);
        let same_place = old.stream == now.stream
            && old.occurred_at == now.occurred_at
            && old.precision == now.precision;
        same_place.then(|| old.fields.differing(&now.fields))
    }
}

/// A rule that failed on an anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// The rule's place in the set.
    pub rule: usize,
    /// What was judged.
    pub anchor: Anchor,
    /// The rule's message, with line and column.
    pub message: String,
}

/// A finding that is not what it was.
#[derive(Debug, Clone)]
pub struct Shift {
    /// The rule's place in the set.
    pub rule: usize,
    /// The group, on collectives.
    pub group: Option<Arc<GroupKey>>,
    /// What it was.
    pub old: Option<Finding>,
    /// What it is.
    pub new: Option<Finding>,
    /// The record that changed, if one of the older finding's facts was withdrawn or corrected.
    pub lost: Option<RecordKey>,
}

/// What came of judging.
#[derive(Debug, Default)]
pub struct Sentence {
    /// Findings that changed.
    pub shifts: Vec<Shift>,
    /// Rules that failed.
    pub faults: Vec<RuleFault>,
    /// Where a fact was judged by all rules of its place ([`super::rule::RuleSet::seat`]), looked at or not.
    pub seat: Option<usize>,
    /// How often each rule was called beside that, by place in the set.
    pub calls: Vec<(usize, u32)>,
    /// How many judgements were held to the interpreter.
    pub checked: u32,
    /// Those that it contradicts.
    pub differences: Vec<RuleFault>,
    /// How often a suspended rule would have been called.
    pub debts: Vec<(usize, u32)>,
    /// The calls that were timed: the rule's place in the set, nanoseconds.
    pub timed: Vec<(usize, u64)>,
}

/// Whether a finding stands on a record.
pub(super) fn rests_on(finding: &Finding, key: RecordKey) -> bool {
    finding.anchor == Anchor::Fact(key) || finding.evidence.contains(&key)
}

/// The times of a verdict.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spoken {
    pub(super) anchor_time: EventTime,
    pub(super) since: Option<EventTime>,
    pub(super) judged_at: EventTime,
    pub(super) next_at: Option<EventTime>,
}

/// The finding that a verdict makes; none if the rule said nothing.
pub(super) fn finding_of(
    rule: &Rule,
    anchor: Anchor,
    group: Option<&Arc<GroupKey>>,
    spoken: Spoken,
    verdict: Verdict,
) -> Option<Finding> {
    let since = spoken.since.filter(|_| verdict.speaks())?;
    Some(Finding {
        rule: Arc::clone(&rule.manifest().id),
        group: group.cloned(),
        anchor,
        anchor_time: spoken.anchor_time,
        since,
        judged_at: spoken.judged_at,
        next_at: spoken.next_at,
        warning: verdict.warning,
        signal: verdict.signal,
        sanction: verdict.sanction,
        evidence: verdict.evidence.into(),
        observed: verdict.observed.into(),
    })
}

/// Counts a call of a rule; the same rule may stand in the list several times.
pub(super) fn count(counts: &mut Vec<(usize, u32)>, rule: usize) {
    match counts.last_mut() {
        Some((last, n)) if *last == rule => *n = n.saturating_add(1),
        _ => counts.push((rule, 1)),
    }
}

//! A new way of counting begins with what individuals keep.
//!
//! A collective counts what some rule asks for and nothing else. When a rule set comes into force that asks for a group that
//! nothing asked for before, its counts are made from the facts and findings that individuals hold, as if it had been counted
//! all the time. What was counted under such a group by an earlier set is let go first: there is a gap in it.
//!
//! bounds   as [`super::subject::series`]; nothing older than what individuals keep
//! cost     none without such a group; else one pass over all facts of its streams

use super::event::{Event, SubjectKey, SubjectKind};
use super::province::Province;
use super::rule::{Feed, Rule, RuleSet};
use super::schema::Stream;
use super::shard::{Shard, retention_ms};
use super::subject::groups::{GroupKey, Groups};
use super::subject::state::{Holdings, Subject};
use super::tally::{anchor_event, finding_event};
use super::time::EventTime;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The groups of collectives that only the new set counts.
struct Fresh<'a> {
    set: &'a RuleSet,
    feeds: Vec<(SubjectKind, Stream, &'a Feed)>,
    clock: EventTime,
}

/// What was counted, by collective.
type Counted = BTreeMap<Arc<SubjectKey>, Groups>;

impl Province {
    /// Counts for collectives what `old` did not ask for and the set in force does.
    pub(super) fn recount(&mut self, old: &RuleSet) {
        let set = Arc::clone(self.set());
        let fresh = Fresh::of(old, &set, self.clock());
        if fresh.feeds.is_empty() {
            return;
        }
        let mut counted = Counted::new();
        // In the order of the keys, whatever the shards: bounds cut off the same everywhere.
        let mut keys: Vec<Arc<SubjectKey>> = self.shards().iter().flat_map(Shard::keys).collect();
        keys.sort_unstable();
        for key in keys.iter().filter(|key| !key.kind.is_collective()) {
            if let Some(subject) = self.subject(key) {
                fresh.count_all(&subject, &mut counted);
            }
        }
        for key in keys.iter().filter(|key| key.kind.is_collective()) {
            let known = self.subject(key);
            if known.is_some_and(|subject| matches!(&subject.holdings, Holdings::Groups(groups) if fresh.is_among(key.kind, groups))) {
                counted.entry(Arc::clone(key)).or_default();
            }
        }
        for (key, new) in counted {
            let Some(groups) = self.subject_mut(&key).and_then(Subject::groups_mut) else {
                continue;
            };
            groups.replace(|group| fresh.is_of(key.kind, group), new);
        }
    }
}

/// The days of a collective from `since` on, on which something was counted that a rule is judged on; none for an individual.
pub(super) fn counted_days(
    subject: &Subject,
    rule: &Rule,
    since: EventTime,
) -> Vec<(Arc<GroupKey>, i32)> {
    let Holdings::Groups(groups) = &subject.holdings else {
        return Vec::new();
    };
    let mut due = Vec::new();
    for (key, series) in groups.in_order() {
        let is_judged = rule.manifest().on.contains(&key.stream)
            && (rule.feeds(key.stream).next()).is_some_and(|feed| feed.key == key.by);
        if is_judged {
            let group = Arc::new(key.clone());
            let days = series.slice(since.day().saturating_sub(1), i32::MAX);
            due.extend(days.iter().map(|day| (Arc::clone(&group), day.day)));
        }
    }
    due
}

/// Whether an individual speaks for a fact.
fn is_home(event: &Event, subject: &Subject) -> bool {
    let mut individuals = event.subjects.iter().filter(|s| !s.kind.is_collective());
    individuals.next() == Some(subject.key.as_ref())
}

impl<'a> Fresh<'a> {
    fn of(old: &RuleSet, set: &'a RuleSet, clock: EventTime) -> Self {
        let kinds = SubjectKind::ALL
            .into_iter()
            .filter(|kind| kind.is_collective());
        let mut feeds = Vec::new();
        for kind in kinds {
            for stream in Stream::ALL {
                let known = old.feeds(kind, stream);
                let all = set.feeds(kind, stream).iter();
                feeds.extend(
                    all.filter(|feed| !known.contains(feed))
                        .map(|feed| (kind, stream, feed)),
                );
            }
        }
        Self { set, feeds, clock }
    }

    fn is_of(&self, kind: SubjectKind, group: &GroupKey) -> bool {
        self.feeds
            .iter()
            .any(|(of, stream, feed)| (*of, *stream, &feed.key) == (kind, group.stream, &group.by))
    }

    fn is_among(&self, kind: SubjectKind, groups: &Groups) -> bool {
        groups.any(|group| self.is_of(kind, group))
    }

    /// What an individual speaks for.
    fn count_all(&self, subject: &Subject, counted: &mut Counted) {
        let has = |stream| self.feeds.iter().any(|(_, of, _)| *of == stream);
        let Some(facts) = subject.facts() else { return };
        for (stream, facts) in facts.streams().filter(|(stream, _)| has(*stream)) {
            let events = facts.iter().filter_map(|fact| fact.event(stream));
            for event in events.filter(|event| is_home(event, subject)) {
                self.count(&event, &event, counted);
            }
        }
        let core = subject.core.as_ref().filter(|_| has(Stream::Finding));
        for finding in core.iter().flat_map(|core| &core.findings) {
            let anchor = anchor_event(subject, finding, None);
            if let Some(anchor) = anchor.filter(|event| is_home(event, subject)) {
                let event = finding_event(subject, finding, &anchor, &finding.rule);
                self.count(&anchor, &event, counted);
            }
        }
    }

    /// Counts an event in the collectives that `concerned` names.
    fn count(&self, concerned: &Event, event: &Event, counted: &mut Counted) {
        let horizon = self
            .clock
            .plus_ms(-retention_ms(self.set, event.stream))
            .day();
        if event.occurred_at.day() < horizon {
            return;
        }
        for subject in concerned.subjects.iter().filter(|s| s.kind.is_collective()) {
            for (_, _, feed) in self
                .feeds
                .iter()
                .filter(|(kind, stream, _)| (*kind, *stream) == (subject.kind, event.stream))
            {
                let groups = counted.entry(Arc::new(subject.clone())).or_default();
                groups.count(feed, (event, true), horizon);
            }
        }
    }
}

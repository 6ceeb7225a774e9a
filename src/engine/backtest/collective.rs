//! Regions, industries and departments in a back-test: counts of the whole past, each day of a group judged once.

use super::{Life, Plan, Seat, Turn, chain, judgement, live};
use crate::engine::event::{Event, SubjectKey};
use crate::engine::hash::FixedState;
use crate::engine::rule::{Feed, Memo, RuleSet};
use crate::engine::subject::groups::Groups;
use crate::engine::subject::state::{Holdings, Subject};
use crate::engine::subject::view::{Anchor, View};
use crate::engine::time::{DAY_MS, EventTime};
use crate::engine::work::SentTally;
use hashbrown::HashMap;
use std::sync::Arc;

/// The counts of collectives, while they grow.
#[derive(Debug, Default)]
pub struct Counts(HashMap<SubjectKey, Groups, FixedState>);

impl Counts {
    /// What was counted, in the order of subjects.
    pub fn in_order(self) -> Vec<(SubjectKey, Groups)> {
        let mut all: Vec<(SubjectKey, Groups)> = self.0.into_iter().collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// Counts a fact that an individual keeps, in every collective that it names.
    pub fn count(&mut self, plan: &Plan<'_>, event: &Event) {
        for subject in event.subjects.iter().filter(|s| s.kind.is_collective()) {
            let feeds = plan.set.feeds(subject.kind, event.stream);
            self.put(feeds, subject, event, true);
        }
    }

    /// Counts what rules found on individuals, in the order in which they told it.
    pub fn add(&mut self, plan: &Plan<'_>, tallies: &[SentTally]) {
        for SentTally { tally, .. } in tallies {
            let feeds = plan.set.feeds(tally.subject.kind, tally.event.stream);
            self.put(feeds, &tally.subject, &tally.event, tally.add);
        }
    }

    fn put(&mut self, feeds: &[Feed], subject: &SubjectKey, event: &Event, add: bool) {
        if feeds.is_empty() {
            return;
        }
        let groups = self.0.entry_ref(subject).or_default();
        for feed in feeds {
            // Nothing goes: the whole of the past is counted.
            groups.count(feed, (event, add), i32::MIN);
        }
    }
}

/// What was counted of one collective in several places.
pub fn merged(all: Vec<Groups>) -> Groups {
    let mut all = all.into_iter();
    let mut merged = all.next().unwrap_or_default();
    all.for_each(|groups| merged.absorb(groups));
    merged
}

/// Judges one collective by its counts.
pub fn collective(plan: &Plan<'_>, key: &Arc<SubjectKey>, groups: Groups) -> Life {
    let mut life = Life {
        firings: vec![0; plan.set.rules().len()],
        ..Life::default()
    };
    let groups = Arc::new(groups);
    let mut turns: Vec<Turn> = Vec::new();
    for (group, series) in groups.in_order() {
        let rules: Vec<usize> = plan
            .set
            .readers(key.kind, group.stream)
            .iter()
            .copied()
            .filter(|at| {
                plan.set.rules().get(*at).is_some_and(|rule| {
                    rule.manifest().on.contains(&group.stream)
                        && rule
                            .feeds(group.stream)
                            .next()
                            .is_some_and(|f| f.key == group.by)
                })
            })
            .collect();
        if rules.is_empty() {
            continue;
        }
        let group = Arc::new(group.clone());
        let view = View::Collective {
            key: Arc::clone(key),
            groups: Arc::clone(&groups),
            group: Arc::clone(&group),
        };
        for day in series.slice(i32::MIN, i32::MAX) {
            let as_of = EventTime::from_day(day.day).plus_ms(DAY_MS - 1);
            let seat = Seat {
                view: &view,
                anchor: Anchor::Day(day.day),
                group: Some(&group),
                event: None,
                as_of,
                clock: as_of,
                seq: 0,
            };
            let mut memo = Memo::default();
            life.anchors += 1;
            let place = RuleSet::seat(key.kind, group.stream);
            let judged = judgement(&seat, as_of);
            let concerned = plan.set.concerned(place, &judged, &mut memo);
            let is_concerned = |at: &&usize| {
                concerned
                    .as_ref()
                    .is_none_or(|some| some.binary_search(at).is_ok())
            };
            for at in rules.iter().filter(is_concerned) {
                if let Some(rule) = plan.set.rules().get(*at) {
                    chain(plan, (*at, rule), &seat, &mut memo, (&mut turns, &mut life));
                }
            }
        }
    }
    let mut subject = Subject::new(Arc::clone(key));
    subject.holdings = Holdings::Groups(groups);
    live(plan, &mut subject, turns, &[], &mut life);
    life
}

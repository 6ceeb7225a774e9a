//! Regions, industries and departments in a back-test: counts of the whole past, each day of a group judged once.

use super::{Life, Plan, Seat, Turn, chain, live};
use crate::engine::event::{Event, SubjectKey};
use crate::engine::rule::{Feed, Memo};
use crate::engine::subject::series::{Groups, Recent};
use crate::engine::subject::state::{Holdings, Subject};
use crate::engine::subject::view::{Anchor, View};
use crate::engine::time::{DAY_MS, EventTime};
use crate::engine::work::SentTally;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The counts of collectives.
pub type Counts = BTreeMap<Arc<SubjectKey>, Groups>;

/// Counts a fact that an individual keeps, in every collective that it names.
pub fn count(plan: &Plan<'_>, event: &Event, counts: &mut Counts) {
    for subject in event.subjects.iter().filter(|s| s.kind.is_collective()) {
        let feeds = plan.set.feeds(subject.kind, event.stream);
        put(feeds, subject, event, true, counts);
    }
}

/// Counts what rules found on individuals, in the order in which they told it.
pub fn add(plan: &Plan<'_>, tallies: &[SentTally], counts: &mut Counts) {
    for SentTally { tally, .. } in tallies {
        let feeds = plan.set.feeds(tally.subject.kind, tally.event.stream);
        put(feeds, &tally.subject, &tally.event, tally.add, counts);
    }
}

fn put(feeds: &[Feed], subject: &SubjectKey, event: &Event, add: bool, counts: &mut Counts) {
    if feeds.is_empty() {
        return;
    }
    let fact = Recent {
        time: event.occurred_at,
        id: format!("{}/{}", event.source, event.record_id).into(),
    };
    if !counts.contains_key(subject) {
        counts.insert(Arc::new(subject.clone()), Groups::default());
    }
    let Some(groups) = counts.get_mut(subject) else {
        return;
    };
    for feed in feeds {
        let key = feed.group(event.stream, &event.fields);
        let value = feed.distinct_value(&event.fields);
        let value = value.as_deref().filter(|v| !v.is_empty());
        groups.count(&key, fact.clone(), value, add, i32::MIN);
    }
}

/// Adds counts to others.
pub fn merge(into: &mut Counts, from: Counts) {
    for (key, groups) in from {
        let to = into.entry(key).or_default();
        for (group, series) in groups.0 {
            to.0.entry(group).or_default().absorb(series);
        }
    }
}

/// Judges one collective by its counts.
pub fn collective(plan: &Plan<'_>, key: &Arc<SubjectKey>, groups: Groups) -> Life {
    let mut life = Life {
        firings: vec![0; plan.set.rules().len()],
        ..Life::default()
    };
    let groups = Arc::new(groups);
    let mut turns: Vec<Turn> = Vec::new();
    for (group, series) in &groups.0 {
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
            for at in &rules {
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

//! Which anchors a change can reach: the facts of an individual, and the days of a collective's groups, whose judgement sees it.
//!
//! A fact at time `t` is seen by the anchors from `t` to `t` plus the history of a rule; by one that looks again later, also from
//! anchors before it.
//!
//! units    ms since 1970-01-01 UTC; days since then, in Shanghai
//! cost     two binary searches a stream or group, and what is found

use super::event::{Event, RecordKey};
use super::judge::Bench;
use super::rule::Rule;
use super::schema::Stream;
use super::subject::groups::GroupKey;
use super::subject::state::Holdings;
use super::subject::view::Anchor;
use super::time::{DAY_MS, EventTime, as_of};
use std::sync::Arc;

impl Bench<'_, '_> {
    /// Whether no other fact is as late as a time, so that no judgement of another fact can see it.
    pub(super) fn is_last(&self, changed: RecordKey, from: EventTime) -> bool {
        self.subject.facts().is_none_or(|facts| {
            facts.streams().all(|(stream, _)| {
                let after = EventTime(from.0.saturating_sub(DAY_MS));
                let late = facts.window(stream, after, EventTime::MAX).iter();
                late.filter(|fact| fact.key != changed)
                    .all(|fact| as_of(fact.time, fact.precision) < from)
            })
        })
    }

    /// The anchors of a rule whose judgement can reach the time from `from` to `through`, with their as-of times.
    pub(super) fn anchors(
        &self,
        rule: &Rule,
        from: EventTime,
        through: EventTime,
    ) -> Vec<(RecordKey, EventTime)> {
        let manifest = rule.manifest();
        // A rule that looks again later may see the fact from an anchor before it.
        let back_ms = if manifest.uses_checks {
            manifest.history_ms.max(366 * DAY_MS)
        } else {
            0
        };
        let mut anchors = Vec::new();
        let Some(facts) = self.subject.facts() else {
            return anchors;
        };
        for stream in &manifest.on {
            let back_ms = if stream.is_standing() && manifest.uses_checks {
                i64::MAX
            } else {
                back_ms
            };
            let after = EventTime(from.0.saturating_sub(back_ms).saturating_sub(DAY_MS));
            for fact in facts.window(*stream, after, through) {
                let as_of = as_of(fact.time, fact.precision);
                if manifest.uses_checks || from <= as_of {
                    anchors.push((fact.key, as_of));
                }
            }
        }
        anchors
    }

    /// The days of a collective's group whose judgement by a rule can see the fact.
    /// `known` are the groups of the fact so far: most rules count in the same.
    pub(super) fn days_of<'r>(
        &mut self,
        (at, rule): (usize, &'r Arc<Rule>),
        event: &Event,
        known: &mut Vec<(Stream, &'r str, Arc<GroupKey>)>,
        due: &mut Vec<(Arc<GroupKey>, i32, usize)>,
    ) {
        let manifest = rule.manifest();
        let day = event.occurred_at.day();
        let span = i32::try_from(manifest.history_ms / DAY_MS).unwrap_or(i32::MAX);
        for stream in &manifest.on {
            let Some(feed) = rule.feeds(*stream).next() else {
                continue;
            };
            let same = known
                .iter()
                .find(|(s, key, _)| (s, *key) == (stream, &*feed.key));
            let group = if let Some((.., group)) = same {
                Arc::clone(group)
            } else {
                let group = Arc::new(feed.group(*stream, &event.fields));
                known.push((*stream, &feed.key, Arc::clone(&group)));
                group
            };
            let Holdings::Groups(groups) = &self.subject.holdings else {
                return;
            };
            let days = groups.get(&group).map_or(&[][..], |series| {
                series.slice(day.saturating_sub(1), day.saturating_add(span))
            });
            let has_day = days.first().is_some_and(|first| first.day == day);
            due.extend(
                days.iter()
                    .filter(|d| !self.court.is_frozen(EventTime::from_day(d.day)))
                    .map(|d| (Arc::clone(&group), d.day, at)),
            );
            // The day itself may have lost its last fact.
            if !has_day && *stream == event.stream {
                let anchor = Anchor::Day(day);
                self.set_check(&manifest.id, Some(&group), anchor, None);
                self.set_finding(at, rule, Some(&group), anchor, None, None);
            }
        }
    }
}

//! The one subject of a scenario, and what a rule says of it.

use super::compiled::{Judgement, Rule};
use super::scenario::judge;
use super::who::Given;
use crate::engine::event::{Event, Fields, Op, SubjectKey, SubjectKind, Validity, Value};
use crate::engine::schema::{Stream, field};
use crate::engine::subject::facts::{Fact, Facts};
use crate::engine::subject::groups::{GroupKey, Groups};
use crate::engine::subject::view::{Anchor, Verdict, View};
use crate::engine::time::{EventTime, Precision, as_of};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The most times that one anchor is judged again.
const CHECKS_MAX: usize = 16;

/// A subject under test.
#[derive(Debug)]
pub(super) struct Stage {
    rule: Arc<Rule>,
    subject: Arc<SubjectKey>,
    events: Vec<Arc<Event>>,
    tags: Vec<Box<str>>,
    added: usize,
    clock: EventTime,
    had_something: bool,
}

/// What the rule said of one anchor.
#[derive(Debug)]
pub(super) struct Said {
    /// When the anchor happened.
    pub time: EventTime,
    /// What was said.
    pub verdict: Verdict,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(warning) = &self.verdict.warning {
            let (level, points) = (warning.level.title(), warning.points);
            parts.push(format!("{level}色预警({points} 分)“{}”", warning.message));
        }
        if let Some(signal) = &self.verdict.signal {
            parts.push(format!("信号“{}”", signal.message));
        }
        if let Some(sanction) = &self.verdict.sanction {
            parts.push(format!("惩戒建议 {}", sanction.measures.join("、")));
        }
        write!(f, "{} {}", self.time, parts.join(","))
    }
}

impl Stage {
    /// A subject of the rule's first kind, without facts.
    pub(super) fn new(rule: Arc<Rule>) -> Self {
        let kind = rule
            .manifest()
            .subjects
            .first()
            .copied()
            .unwrap_or(SubjectKind::Enterprise);
        let key = match kind {
            SubjectKind::Region => "320100",
            SubjectKind::Industry => "H",
            _ => "测试主体",
        };
        Self {
            rule,
            subject: Arc::new(SubjectKey::new(kind, key)),
            events: Vec::new(),
            tags: Vec::new(),
            added: 0,
            clock: EventTime::MIN,
            had_something: false,
        }
    }

    /// Since when a licence or tag is held that a test gives without a date.
    pub(super) fn since() -> EventTime {
        EventTime::parse("2000-01-01").map_or(EventTime(0), |(time, _)| time)
    }

    /// Adds a fact; gives its name.
    pub(super) fn add(
        &mut self,
        stream: Stream,
        time: EventTime,
        precision: Precision,
        fields: Fields,
    ) -> String {
        self.added += 1;
        let record_id = self.added.to_string();
        self.move_clock(time, precision);
        self.events.push(Arc::new(Event {
            source: "test".into(),
            record_id: record_id.clone().into(),
            version: 0,
            op: Op::Insert,
            stream,
            occurred_at: time,
            precision,
            arrived_at: time,
            validity: Validity::Valid,
            subjects: vec![SubjectKey::clone(&self.subject)],
            fields,
        }));
        record_id
    }

    /// Gives the subject a tag.
    pub(super) fn tag(&mut self, tag: &str) {
        self.tags.push(tag.into());
        let mut fields = Fields::new();
        fields.set(field::tags, Value::List(self.tags.clone().into()));
        self.add(
            Stream::RegistryChange,
            Self::since(),
            Precision::Day,
            fields,
        );
    }

    /// Takes a fact back; `had_something` is whether the rule had said something before.
    pub(super) fn withdraw(&mut self, id: &str, had_something: bool) -> bool {
        let before = self.events.len();
        self.events.retain(|event| event.record_id != id);
        self.had_something |= had_something;
        self.events.len() < before
    }

    /// Whether the rule had said something before a fact was taken back.
    pub(super) fn had_something(&self) -> bool {
        self.had_something
    }

    /// Moves the clock to the end of a time, never back.
    pub(super) fn move_clock(&mut self, time: EventTime, precision: Precision) {
        self.clock = self.clock.max(as_of(time, precision));
    }

    /// Everything that the rule says of the facts there are, in the order of anchors.
    pub(super) fn judge(&self) -> Given<Vec<Said>> {
        let mut said = if self.subject.kind.is_collective() {
            self.judge_groups()?
        } else {
            self.judge_facts()?
        };
        said.retain(|s| {
            s.verdict.warning.is_some()
                || s.verdict.signal.is_some()
                || s.verdict.sanction.is_some()
        });
        Ok(said)
    }

    fn judge_facts(&self) -> Given<Vec<Said>> {
        let mut facts = Facts::default();
        for event in &self.events {
            facts.insert(event.stream, Fact::of(event));
        }
        let view = View::Individual {
            key: Arc::clone(&self.subject),
            facts: Arc::new(facts),
        };
        let mut anchors: Vec<&Arc<Event>> = self
            .events
            .iter()
            .filter(|event| self.rule.manifest().on.contains(&event.stream))
            .collect();
        anchors.sort_by_key(|event| (event.occurred_at, event.record_key()));
        let mut said = Vec::with_capacity(anchors.len());
        for event in anchors {
            let judgement = Judgement {
                view: &view,
                anchor: Anchor::Fact(event.record_key()),
                event: Some(event),
                as_of: as_of(event.occurred_at, event.precision),
            };
            said.push(Said {
                time: event.occurred_at,
                verdict: self.judge_with_checks(judgement)?,
            });
        }
        Ok(said)
    }

    fn judge_groups(&self) -> Given<Vec<Said>> {
        let mut groups = Groups::default();
        let mut anchors: BTreeSet<(i32, GroupKey)> = BTreeSet::new();
        for event in &self.events {
            for (at, feed) in self.rule.feeds(event.stream).enumerate() {
                let key = GroupKey {
                    stream: event.stream,
                    by: feed.key.clone(),
                    values: feed.values(&event.fields),
                };
                if at == 0 && self.rule.manifest().on.contains(&event.stream) {
                    anchors.insert((event.occurred_at.day(), key.clone()));
                }
                let value = feed.distinct_value(&event.fields);
                let series = groups.series_mut(key);
                series.add(event.occurred_at, || event.id().into(), value.as_deref());
            }
        }
        let groups = Arc::new(groups);
        let mut said = Vec::with_capacity(anchors.len());
        for (day, group) in anchors {
            let view = View::Collective {
                key: Arc::clone(&self.subject),
                groups: Arc::clone(&groups),
                group: Arc::new(group),
            };
            let judgement = Judgement {
                view: &view,
                anchor: Anchor::Day(day),
                event: None,
                as_of: as_of(EventTime::from_day(day), Precision::Day),
            };
            said.push(Said {
                time: EventTime::from_day(day),
                verdict: self.judge_with_checks(judgement)?,
            });
        }
        Ok(said)
    }

    /// The last judgement of an anchor that is due by the clock.
    fn judge_with_checks(&self, mut judgement: Judgement<'_>) -> Given<Verdict> {
        let mut verdict = judge(&self.rule, &judgement)?;
        for _ in 0..CHECKS_MAX {
            match verdict.check_at.filter(|at| *at <= self.clock) {
                Some(at) => judgement.as_of = at,
                None => break,
            }
            verdict = judge(&self.rule, &judgement)?;
        }
        Ok(verdict)
    }
}

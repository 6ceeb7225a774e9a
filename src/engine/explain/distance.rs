//! How far a verdict is from another one: more facts, fewer facts, another amount.
//!
//! Nothing is computed from the rule's text: each supposition is judged by the rule itself, and the first that gives another
//! level is told. Supposed facts say what the anchor says (of another stream: nothing but that they happened), stand at the
//! anchor's time and belong to no dispute that is known, so that each counts by itself. Amounts are tried at the numbers that
//! the rule compared, and one beside them, the nearest first.
//!
//! bounds   [`SUPPOSED_MAX`] facts a stream, [`AMOUNTS_MAX`] amounts a field
//! cost     one judgement a supposition

use super::{Place, account, anchor_event};
use crate::engine::event::{Event, Fields, Value};
use crate::engine::rule::{Compared, Judgement, Memo, Rule};
use crate::engine::schema::{Field, Stream, field};
use crate::engine::subject::facts::{Fact, Facts};
use crate::engine::subject::groups::{GroupKey, Groups};
use crate::engine::subject::state::{Holdings, Subject};
use crate::engine::subject::view::{Anchor, Level, Verdict, View};
use crate::engine::time::EventTime;
use rust_decimal::Decimal;
use std::sync::Arc;

/// The most facts that are supposed of one stream.
pub const SUPPOSED_MAX: usize = 64;
/// The most amounts that are tried of one field.
const AMOUNTS_MAX: usize = 32;

/// What would have to be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    /// So many more facts.
    More {
        /// The stream.
        stream: Stream,
        /// How many.
        count: usize,
    },
    /// So many of the newest facts fewer.
    Fewer {
        /// The stream.
        stream: Stream,
        /// How many.
        count: usize,
    },
    /// Another number in a field of the anchor.
    Amount {
        /// The field's name.
        field: &'static str,
        /// The number it holds, as text.
        from: String,
        /// The number that would do.
        to: String,
    },
}

/// The nearest change of one kind that would give another verdict.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Distance {
    /// What would have to be otherwise.
    #[serde(flatten)]
    pub change: Change,
    /// The level then; none if there would be no warning any more.
    pub level: Option<Level>,
    /// One Chinese sentence.
    pub words: String,
}

fn level(verdict: &Verdict) -> Option<Level> {
    verdict.warning.as_ref().map(|w| w.level)
}

/// Another level than before; none if there would be no warning any more.
struct Turned(Option<Level>);

/// One judgement that is supposed to be otherwise.
struct Trial<'a> {
    rule: &'a Rule,
    subject: &'a Subject,
    place: &'a Place,
    /// The level as it is.
    before: Option<Level>,
}

/// The nearest changes that would give the verdict another level, by stream and field.
pub fn distances(rule: &Rule, subject: &Subject, place: &Place) -> Vec<Distance> {
    let Some(now) = account(rule, subject, place) else {
        return Vec::new();
    };
    let Ok(verdict) = &now.verdict else {
        return Vec::new();
    };
    let trial = Trial {
        rule,
        subject,
        place,
        before: level(verdict),
    };
    match (&subject.holdings, &place.group) {
        (Holdings::Groups(groups), Some(group)) => trial.counts(groups, group),
        _ => subject
            .facts()
            .and_then(|facts| Some((facts, anchor_event(facts, place.anchor)?)))
            .map_or_else(Vec::new, |(facts, event)| {
                trial.facts(facts, &event, &now.compared)
            }),
    }
}

impl Trial<'_> {
    /// The level if the subject had these facts, if it is another one.
    fn judge(&self, view: &View, event: Option<&Arc<Event>>) -> Option<Turned> {
        let judgement = Judgement {
            view,
            anchor: self.place.anchor,
            event,
            as_of: self.place.as_of,
        };
        let verdict = self.rule.decide(&judgement, &mut Memo::default()).ok()?;
        let after = level(&verdict);
        (after != self.before).then_some(Turned(after))
    }

    fn with(&self, facts: &Facts, event: &Arc<Event>) -> Option<Turned> {
        let view = View::Individual {
            key: Arc::clone(&self.subject.key),
            facts: Arc::new(facts.clone()),
        };
        self.judge(&view, Some(event))
    }

    fn streams(&self) -> impl Iterator<Item = Stream> {
        let reads = self.rule.manifest().reads.iter();
        reads.copied().filter(|stream| !stream.is_standing())
    }

    fn facts(&self, facts: &Facts, event: &Arc<Event>, compared: &[Compared]) -> Vec<Distance> {
        let mut found = Vec::new();
        for stream in self.streams() {
            found.extend(self.more(facts, event, stream));
        }
        if self.before.is_some() {
            for stream in self.streams() {
                found.extend(self.fewer(facts, event, stream));
            }
        }
        let numbers = event.fields.iter().filter_map(|(field, value)| {
            let number = match value {
                Value::Int(number) => Decimal::from(*number),
                Value::Decimal(number) => *number,
                _ => return None,
            };
            self.rule.mentions_any(&[field]).then_some((field, number))
        });
        for (field, number) in numbers {
            found.extend(self.amount(facts, event, (field, number), compared));
        }
        found
    }

    fn more(&self, facts: &Facts, event: &Arc<Event>, stream: Stream) -> Option<Distance> {
        let mut supposed = facts.clone();
        for count in 1..=SUPPOSED_MAX {
            let extra = supposition(event, stream, self.place.as_of, count);
            supposed.insert(stream, Fact::of(&extra));
            if let Some(Turned(after)) = self.with(&supposed, event) {
                return Some(more(stream, count, after));
            }
        }
        None
    }

    fn fewer(&self, facts: &Facts, event: &Arc<Event>, stream: Stream) -> Option<Distance> {
        let window = facts.window(stream, EventTime::MIN, self.place.as_of);
        let others = window.iter().rev().map(|fact| fact.key);
        let others = others.filter(|key| Anchor::Fact(*key) != self.place.anchor);
        let mut left = facts.clone();
        for (count, key) in (1..=SUPPOSED_MAX).zip(others) {
            left.remove(stream, key);
            if let Some(Turned(after)) = self.with(&left, event) {
                return Some(fewer(stream, count, after));
            }
        }
        None
    }

    fn amount(
        &self,
        facts: &Facts,
        event: &Arc<Event>,
        (field, number): (Field, Decimal),
        compared: &[Compared],
    ) -> Option<Distance> {
        let sides = compared.iter().flat_map(|c| [&c.left, &c.right]);
        let seen = sides.filter_map(|side| side.parse::<Decimal>().ok());
        let mut tried: Vec<Decimal> = seen
            .flat_map(|n| [n, n + Decimal::ONE, n - Decimal::ONE])
            .filter(|n| *n != number && !n.is_sign_negative())
            .collect();
        tried.sort_by_key(|n| ((*n - number).abs(), *n));
        tried.dedup();
        for to in tried.into_iter().take(AMOUNTS_MAX) {
            let value = match event.fields.get(field)? {
                Value::Int(_) => Value::Int(i64::try_from(to).ok().filter(|n| to == (*n).into())?),
                _ => Value::Decimal(to),
            };
            let mut other = Event::clone(event);
            other.fields.set(field, value);
            let mut supposed = facts.clone();
            supposed.insert(event.stream, Fact::of_record(&other, event.record_key()));
            if let Some(Turned(after)) = self.with(&supposed, &Arc::new(other)) {
                let title = field.spec().title;
                return Some(Distance {
                    words: format!("若{title}为 {to}（现为 {number}），{}", then(after)),
                    change: Change::Amount {
                        field: field.name(),
                        from: number.to_string(),
                        to: to.to_string(),
                    },
                    level: after,
                });
            }
        }
        None
    }

    /// More facts in the judged group, on the judged day.
    fn counts(&self, groups: &Arc<Groups>, group: &Arc<GroupKey>) -> Vec<Distance> {
        let mut found = Vec::new();
        for stream in self.streams() {
            let mut supposed = Groups::clone(groups);
            for count in 1..=SUPPOSED_MAX {
                for feed in self.rule.feeds(stream) {
                    let key = GroupKey {
                        stream,
                        by: feed.key.clone(),
                        values: group.values.clone(),
                    };
                    let name = format!("假设-{count}");
                    let series = supposed.series_mut(key);
                    let value = feed.distinct.map(|_| name.as_str());
                    series.add(self.place.as_of, || name.as_str().into(), value);
                }
                let view = View::Collective {
                    key: Arc::clone(&self.subject.key),
                    groups: Arc::new(supposed.clone()),
                    group: Arc::clone(group),
                };
                if let Some(Turned(after)) = self.judge(&view, None) {
                    found.push(more(stream, count, after));
                    break;
                }
            }
        }
        found
    }
}

fn then(level: Option<Level>) -> String {
    level.map_or("即不再预警".to_owned(), |l| {
        format!("即为{}色预警", l.title())
    })
}

fn more(stream: Stream, count: usize, level: Option<Level>) -> Distance {
    Distance {
        words: format!("再有 {count} 件{}{}", stream.title(), then(level)),
        change: Change::More { stream, count },
        level,
    }
}

fn fewer(stream: Stream, count: usize, level: Option<Level>) -> Distance {
    Distance {
        words: format!("若最近 {count} 件{}撤回，{}", stream.title(), then(level)),
        change: Change::Fewer { stream, count },
        level,
    }
}

fn supposition(anchor: &Event, stream: Stream, at: EventTime, number: usize) -> Event {
    let mut fields = if anchor.stream == stream {
        anchor.fields.clone()
    } else {
        Fields::new()
    };
    if anchor.stream == Stream::Complaint && stream == Stream::Complaint {
        let own = format!("假设-{number}");
        fields.set(field::dispute_group, Value::Text(own.into()));
    }
    Event {
        source: "supposed".into(),
        record_id: number.to_string().into(),
        stream,
        occurred_at: at,
        arrived_at: at,
        fields,
        ..anchor.clone()
    }
}

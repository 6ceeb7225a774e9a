//! The answers to the questions of [`super::who`], as functions of a subject's facts alone.
//!
//! Here is what a question means; `who` adds what a judgement notes of it, and [`super::guard`] asks the same functions,
//! so that both ways of running a rule give the same answer.

use super::convert::{to_dynamic, to_value};
use super::who::{Given, field_of};
use crate::engine::event::{RecordKey, Value};
use crate::engine::schema::{Field, Stream, field};
use crate::engine::subject::facts::{Fact, Facts};
use crate::engine::subject::peek::{Peek, ValueRef};
use crate::engine::time::{DAY_MS, EventTime};
use rhai::{Array, INT, Map};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Digits after the point of an average.
const AVERAGE_DIGITS: u32 = 4;

/// How many, as an integer.
pub(super) fn int(count: usize) -> INT {
    INT::try_from(count).unwrap_or(INT::MAX)
}

/// Fields with the values that a fact may have in them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter(Vec<(Field, Vec<Value>)>);

impl Filter {
    /// A filter of these fields and values, in the order of names, as Rhai's maps have them.
    pub(super) fn new(mut fields: Vec<(Field, Vec<Value>)>) -> Self {
        fields.sort_by_key(|(field, _)| field.name());
        Self(fields)
    }

    /// The filter with more fields.
    pub(super) fn and(&self, mut more: Vec<(Field, Vec<Value>)>) -> Self {
        more.extend(self.0.iter().cloned());
        Self::new(more)
    }

    /// Reads `#{ result: "不合格", trigger: ["计划", "双随机"] }`.
    pub(super) fn read(stream: Stream, map: &Map) -> Given<Self> {
        let mut fields = Vec::with_capacity(map.len());
        for (name, wanted) in map {
            let field = field_of(stream, name)?;
            let wanted = match wanted.read_lock::<Array>() {
                Some(array) => array.clone(),
                None => vec![wanted.clone()],
            };
            let mut values = Vec::with_capacity(wanted.len());
            for value in &wanted {
                match to_value(field, value) {
                    Ok(value) => values.push(value),
                    Err(message) => return super::convert::fail(message),
                }
            }
            fields.push((field, values));
        }
        Ok(Self(fields))
    }

    /// The filter as an explanation shows it.
    pub(super) fn text(&self) -> Box<str> {
        let fields: Vec<String> = self
            .0
            .iter()
            .map(|(field, values)| {
                let values: Vec<String> = values
                    .iter()
                    .map(|value| to_dynamic(value).to_string())
                    .collect();
                format!("{}={}", field.name(), values.join("/"))
            })
            .collect();
        fields.join(",").into_boxed_str()
    }
}

impl Filter {
    /// The filter as what facts are held against.
    pub(super) fn as_fits(&self) -> &dyn Fits {
        self
    }
}

/// What facts can be held against.
pub(super) trait Fits {
    /// Whether a fact fits.
    fn fits(&self, peek: &Peek<'_>) -> bool;
}

impl Fits for Filter {
    /// Whether the fields hold such values. A list field fits if any of its entries does.
    fn fits(&self, peek: &Peek<'_>) -> bool {
        self.0.iter().all(|(field, wanted)| {
            // Where the bytes can be looked at as they stand, they are.
            match wanted.as_slice() {
                [Value::Text(text)] => return peek.is_text(*field, text),
                [Value::List(words)] => return peek.list_has(*field, words),
                _ => {}
            }
            peek.get(*field)
                .is_some_and(|held| wanted.iter().any(|value| fits(&held, value)))
        })
    }
}

fn fits(held: &ValueRef<'_>, wanted: &Value) -> bool {
    match (held, wanted) {
        (ValueRef::Bool(held), Value::Bool(wanted)) => held == wanted,
        (ValueRef::Int(held), Value::Int(wanted)) => held == wanted,
        (ValueRef::Decimal(held), Value::Decimal(wanted)) => held == wanted,
        (ValueRef::Text(held), Value::Text(wanted)) => *held == wanted.as_str(),
        (ValueRef::Time(held, _), Value::Time(wanted, _)) => held == wanted,
        (ValueRef::List(held), Value::List(wanted)) => {
            wanted.iter().any(|entry| held.contains(&entry.as_ref()))
        }
        _ => false,
    }
}

/// The facts of a stream later than `after` and not later than `through`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'a> {
    facts: &'a Facts,
    stream: Stream,
    after: EventTime,
    through: EventTime,
}

impl<'a> Window<'a> {
    /// The window of the last `ms` before `as_of`.
    pub(super) fn new(facts: &'a Facts, stream: Stream, ms: i64, as_of: EventTime) -> Self {
        Self {
            facts,
            stream,
            after: as_of.plus_ms(ms.saturating_neg()),
            through: as_of,
        }
    }

    /// All facts of the stream up to `as_of`.
    pub(super) fn whole(facts: &'a Facts, stream: Stream, as_of: EventTime) -> Self {
        Self {
            facts,
            stream,
            after: EventTime::MIN,
            through: as_of,
        }
    }

    /// Its stream.
    pub(super) fn stream(&self) -> Stream {
        self.stream
    }

    /// Where it begins.
    pub(super) fn after(&self) -> EventTime {
        self.after
    }

    fn slice(&self) -> &'a [Fact] {
        self.facts.window(self.stream, self.after, self.through)
    }

    /// How many facts.
    pub(super) fn len(&self) -> usize {
        self.slice().len()
    }

    /// The facts with their places in the stream, oldest first.
    pub(super) fn places(&self) -> impl DoubleEndedIterator<Item = (usize, &'a Fact)> + use<'a> {
        let after = self.after;
        let from = self
            .facts
            .of(self.stream)
            .partition_point(|fact| fact.time <= after);
        self.slice()
            .iter()
            .enumerate()
            .map(move |(at, fact)| (from.saturating_add(at), fact))
    }

    /// The facts with a look into them, oldest first.
    pub(super) fn peeks(&self) -> impl DoubleEndedIterator<Item = (&'a Fact, Peek<'a>)> + use<'a> {
        self.slice()
            .iter()
            .filter_map(|fact| Some((fact, fact.peek()?)))
    }

    /// The facts that fit, oldest first.
    pub(super) fn fitting<'f>(
        &self,
        filter: Option<&'f dyn Fits>,
    ) -> impl DoubleEndedIterator<Item = (&'a Fact, Peek<'a>)> + use<'a, 'f> {
        self.peeks()
            .filter(move |(_, peek)| filter.is_none_or(|filter| filter.fits(peek)))
    }

    /// The newest fact that fits, with its place in the stream.
    pub(super) fn newest(&self, filter: Option<&dyn Fits>) -> Option<(usize, &'a Fact)> {
        self.places().rev().find(|(_, fact)| {
            filter.is_none_or(|filter| fact.peek().is_some_and(|peek| filter.fits(&peek)))
        })
    }

    /// The sum of a number field; `each` gets the facts that have it. `None` if it goes beyond what a decimal holds.
    pub(super) fn sum(&self, field: Field, mut each: impl FnMut(&'a Fact)) -> Option<Decimal> {
        let mut total = Decimal::ZERO;
        for (fact, peek) in self.peeks() {
            let part = match peek.get(field) {
                Some(ValueRef::Decimal(part)) => part,
                Some(ValueRef::Int(part)) => Decimal::from(part),
                _ => continue,
            };
            each(fact);
            total = total.checked_add(part)?;
        }
        Some(total)
    }

    /// How many different values a field has; `each` gets the facts that have it.
    pub(super) fn distinct(&self, field: Field, mut each: impl FnMut(&'a Fact)) -> INT {
        let mut values = Vec::new();
        for (fact, peek) in self.peeks() {
            if let Some(value) = peek.get(field) {
                values.push(value);
                each(fact);
            }
        }
        int(different(values))
    }

    /// How many facts that fit, those that say the same in a field counted once, those that do not state it each.
    pub(super) fn count_by(
        &self,
        field: Field,
        filter: Option<&dyn Fits>,
        mut each: impl FnMut(&'a Fact),
    ) -> INT {
        let mut values = Vec::new();
        let mut silent = 0;
        for (fact, peek) in self.fitting(filter) {
            match peek.get(field) {
                Some(value) => values.push(value),
                None => silent += 1,
            }
            each(fact);
        }
        int(different(values) + silent)
    }
}

fn different(mut values: Vec<ValueRef<'_>>) -> usize {
    values.sort_unstable();
    values.dedup();
    values.len()
}

/// `count` facts in `ms`, as so many in `days` days.
pub(super) fn average(count: INT, ms: i64, days: i64) -> Decimal {
    let per = Decimal::from(days.saturating_mul(DAY_MS)) / Decimal::from(ms);
    (Decimal::from(count) * per)
        .round_dp(AVERAGE_DIGITS)
        .normalize()
}

/// The name that the newest fact with one gives the subject.
pub(super) fn name(facts: &Facts, as_of: EventTime) -> Option<&str> {
    let newest = facts.streams().filter_map(|(stream, _)| {
        let mut facts = Window::whole(facts, stream, as_of).peeks().rev();
        facts.find_map(|(fact, peek)| Some((fact.time, peek.text(field::name)?)))
    });
    newest.max().map(|(_, name)| name)
}

/// A fact of a standing stream: its place and what it says.
pub(super) type Standing<'a> = (usize, &'a Fact, Peek<'a>);

fn standing(
    facts: &Facts,
    stream: Stream,
    as_of: EventTime,
) -> impl DoubleEndedIterator<Item = Standing<'_>> {
    Window::whole(facts, stream, as_of)
        .places()
        .filter_map(|(at, fact)| Some((at, fact, fact.peek()?)))
}

fn text<'a>(peek: &Peek<'a>, field: Field) -> &'a str {
    peek.text(field).unwrap_or("")
}

/// Whether a field has this text; an absent one is empty.
fn says(peek: &Peek<'_>, field: Field, text: &str) -> bool {
    peek.is_text(field, text) || (text.is_empty() && peek.text(field).is_none())
}

/// The time that a field holds.
pub(super) fn time(peek: &Peek<'_>, field: Field) -> Option<EventTime> {
    match peek.get(field) {
        Some(ValueRef::Time(time, _)) => Some(time),
        _ => None,
    }
}

/// The latest word on each licence, in the order of their names and numbers.
pub(super) fn licences(facts: &Facts, as_of: EventTime) -> Vec<Standing<'_>> {
    let mut all: Vec<_> = standing(facts, Stream::Licence, as_of)
        .map(|(at, fact, peek)| {
            let kind = text(&peek, field::licence_kind);
            let number = text(&peek, field::licence_no);
            ((kind, number), (at, fact, peek))
        })
        .collect();
    // Of the same one the newest comes last, and stays.
    all.sort_by_key(|(key, _)| *key);
    let is_latest = |at: usize| {
        all.get(at).map(|(key, _)| key) != all.get(at.saturating_add(1)).map(|(k, _)| k)
    };
    let kept = (0..all.len()).filter(|at| is_latest(*at));
    kept.filter_map(|at| all.get(at).map(|(_, standing)| *standing))
        .collect()
}

/// The licence of this name: of several the one that still stands and lasts longest, so that a renewed or second licence
/// speaks for the holder.
pub(super) fn licence<'a>(facts: &'a Facts, as_of: EventTime, kind: &str) -> Option<Standing<'a>> {
    licence_of(&licences(facts, as_of), kind)
}

/// The same, of [`licences`].
pub(super) fn licence_of<'a>(licences: &[Standing<'a>], kind: &str) -> Option<Standing<'a>> {
    licences
        .iter()
        .filter(|(_, _, peek)| says(peek, field::licence_kind, kind))
        .max_by_key(|(_, fact, peek)| {
            let has_ended = matches!(
                text(peek, field::licence_act),
                "注销" | "撤销" | "撤回" | "吊销"
            );
            let valid_to = time(peek, field::valid_to).unwrap_or(EventTime::MAX);
            (!has_ended, valid_to, fact.time, fact.key)
        })
        .copied()
}

/// The newest entry of a list on which the subject still stands.
pub(super) fn entry<'a>(facts: &'a Facts, as_of: EventTime, list: &str) -> Option<Standing<'a>> {
    let mut open: BTreeMap<&str, Standing<'a>> = BTreeMap::new();
    for (at, fact, peek) in standing(facts, Stream::ListChange, as_of) {
        if !says(&peek, field::list_type, list) {
            continue;
        }
        let id = text(&peek, field::entry_id);
        match text(&peek, field::action) {
            "" | "add" | "repair_revoked" => {
                open.insert(id, (at, fact, peek));
            }
            // A removal that names no entry ends all of them.
            _ if id.is_empty() => open.clear(),
            _ => {
                open.remove(id);
            }
        }
    }
    open.into_values()
        .filter(|(_, _, peek)| time(peek, field::removed_at).is_none_or(|at| as_of < at))
        .max_by_key(|(at, ..)| *at)
}

/// Whether the latest registration that states tags has this one, and which fact that is.
pub(super) fn tag(
    facts: &Facts,
    as_of: EventTime,
    tag: &str,
) -> Option<(bool, (EventTime, RecordKey))> {
    standing(facts, Stream::RegistryChange, as_of)
        .rev()
        .find_map(|(_, fact, peek)| match peek.get(field::tags) {
            Some(ValueRef::List(tags)) => Some((tags.contains(&tag), (fact.time, fact.key))),
            _ => None,
        })
}

/// The registration: its facts and what holds of each field.
#[derive(Debug)]
pub(super) struct Registry<'a> {
    /// The newest fact.
    pub newest: &'a Fact,
    /// How many facts.
    pub count: usize,
    /// Each field as the latest fact that states it has it, but `changed_items` of the newest fact only.
    pub fields: BTreeMap<Field, ValueRef<'a>>,
}

/// The registration, if there is one.
pub(super) fn registry(facts: &Facts, as_of: EventTime) -> Option<Registry<'_>> {
    let mut all: Option<Registry<'_>> = None;
    for (_, fact, peek) in standing(facts, Stream::RegistryChange, as_of) {
        let registry = all.get_or_insert_with(|| Registry {
            newest: fact,
            count: 0,
            fields: BTreeMap::new(),
        });
        registry.fields.remove(&field::changed_items);
        registry.fields.extend(peek.iter());
        registry.newest = fact;
        registry.count += 1;
    }
    all
}

/// What the registration says in a field: as [`Registry::fields`] has it, without the rest.
pub(super) fn registered<'a>(
    facts: &'a Facts,
    newest: &'a Fact,
    as_of: EventTime,
    wanted: Field,
) -> Option<ValueRef<'a>> {
    if wanted == field::changed_items {
        return newest.peek()?.get(wanted);
    }
    let mut latest = standing(facts, Stream::RegistryChange, as_of).rev();
    latest.find_map(|(_, _, peek)| peek.get(wanted))
}

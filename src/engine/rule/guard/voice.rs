//! What a rule says, without Rhai: `warn(#{ … })` and its like, texts with expressions in them, and questions aloud.
//!
//! When a rule has something to say, its tree runs once more from the start, this time with notes: each question goes
//! through [`noted`], which writes question, answer and facts into the context as it does for Rhai, and what is said is
//! read by the very functions that Rhai calls ([`says`]). So a verdict is the same to the last word, or there is none and
//! Rhai judges.
//!
//! cost     a few microseconds, where Rhai takes some thirty

use super::compile::Compiler;
use super::eval::{Eval, Stop};
use super::operate::MADE_BYTES_MAX;
use super::questions::{fit, record};
use super::value::{Constant, Value};
use super::{Question, Span, Tree, Wanted, Whose};
use crate::engine::event::RecordKey;
use crate::engine::rule::ask::Filter;
use crate::engine::rule::context::Context;
use crate::engine::rule::convert::to_value;
use crate::engine::rule::says::{self, Speech};
use crate::engine::rule::{noted, who};
use crate::engine::schema::Stream;
use crate::engine::subject::facts::Facts;
use crate::engine::subject::view::Anchor;
use crate::engine::time::EventTime;
use rhai::{Array, Dynamic, Expr, ImmutableString, Map};
use std::borrow::Cow;
use std::fmt::Write;
use std::rc::Rc;

/// A call that says something.
#[derive(Debug, Clone)]
pub(in crate::engine::rule) struct Saying {
    speech: Speech,
    /// The entries of its map, in the order of the text.
    entries: Vec<(ImmutableString, Tree)>,
}

impl Saying {
    /// What its entries are made of.
    pub(super) fn trees(&self) -> impl Iterator<Item = &Tree> {
        self.entries.iter().map(|(_, tree)| tree)
    }
}

impl Compiler<'_> {
    /// A call of `warn`, `signal` or `sanction` with a map that stands in the rule.
    pub(super) fn saying(&mut self, speech: Speech, words: &Expr) -> Option<Saying> {
        let entries = if let Expr::Map(entries, _) = words {
            let entries = entries.0.iter();
            entries
                .map(|(key, value)| Some((key.name.as_str().into(), self.tree(value)?)))
                .collect::<Option<_>>()?
        } else {
            let value = self.fixed(words)?;
            let map = value.read_lock::<Map>()?;
            map.iter()
                .map(|(key, value)| {
                    Some((key.as_str().into(), Tree::Constant(Constant::read(value)?)))
                })
                .collect::<Option<_>>()?
        };
        Some(Saying { speech, entries })
    }
}

impl<'a> Eval<'a, '_> {
    /// Says it.
    pub(super) fn say(&mut self, saying: &'a Saying) -> Result<(), Stop<'a>> {
        let context = self.notes.ok_or(Stop::Unknown)?;
        let mut map = Map::new();
        let mut named = None;
        for (key, tree) in &saying.entries {
            let value = self.value(tree)?;
            if key == "evidence" {
                named = named_facts(&value, context)?;
            } else {
                map.insert(key.as_str().into(), dynamic(&value)?);
            }
        }
        says::say(saying.speech, context, &map).map_err(|_| Stop::Unknown)?;
        if named.is_some() {
            context.book().named = named;
        }
        Ok(())
    }

    /// A text with expressions in it.
    pub(super) fn joined(&mut self, parts: &'a [Tree]) -> Result<Value<'a>, Stop<'a>> {
        let mut text = String::new();
        for part in parts {
            let done = match self.value(part)? {
                Value::Unit => Ok(()),
                Value::Bool(value) => write!(text, "{value}"),
                Value::Int(value) => write!(text, "{value}"),
                Value::Decimal(value) => write!(text, "{value}"),
                Value::Time(value) => write!(text, "{value}"),
                Value::Text(value) => text.write_str(value),
                Value::Made(value) => text.write_str(&value),
                Value::Fixed(_)
                | Value::List(_)
                | Value::Record(_)
                | Value::Registry(_)
                | Value::Anchor => return Err(Stop::Unknown),
            };
            if done.is_err() || MADE_BYTES_MAX < text.len() {
                return Err(Stop::Unknown);
            }
        }
        Ok(Value::Made(Rc::new(text)))
    }

    /// How evidence names a fact, or what is judged.
    pub(super) fn id(&mut self, of: &'a Tree) -> Result<Value<'a>, Stop<'a>> {
        let context = self.notes.ok_or(Stop::Unknown)?;
        let id = match self.value(of)? {
            Value::Anchor => context.anchor_id(),
            Value::Record(record) => record.fact.peek().ok_or(Stop::Unknown)?.id(),
            _ => return Err(Stop::Unknown),
        };
        Ok(Value::Made(Rc::new(id)))
    }

    /// The answer to a question, with a note of it.
    pub(super) fn ask_aloud(
        &mut self,
        question: &'a Question,
        context: &Context,
    ) -> Result<Value<'a>, Stop<'a>> {
        // What is counted of a judged group is asked in the same words.
        match question {
            Question::Count(stream, span, Wanted::All) => {
                let count = noted::count(context, *stream, whole(span));
                return told(count).map(Value::Int);
            }
            Question::Distinct(stream, field, span) => {
                let count = noted::distinct(context, (*stream, *field), whole(span));
                return told(count).map(Value::Int);
            }
            Question::Average(stream, span, days) => {
                let average = noted::average(context, *stream, whole(span), *days);
                return told(average).map(Value::Decimal);
            }
            _ => {}
        }
        let Whose::Individual(facts, _) = self.sight.whose else {
            return Err(Stop::Unknown);
        };
        let us = (context, facts);
        let unit = |number: Option<i64>| number.map_or(Value::Unit, Value::Int);
        Ok(match question {
            Question::Count(stream, span, wanted) => {
                let filter = self.filter_of(wanted)?.ok_or(Stop::Unknown)?;
                Value::Int(noted::count_fitting(us, *stream, whole(span), &filter))
            }
            Question::CountBy(stream, field, span, wanted) => {
                let filter = self.filter_of(wanted)?;
                let (what, span) = ((*stream, *field), whole(span));
                Value::Int(noted::count_by(us, what, span, filter.as_deref()))
            }
            Question::Sum(stream, field, span) => {
                let total = noted::sum(us, (*stream, *field), whole(span));
                Value::Decimal(total.ok_or(Stop::Unknown)?)
            }
            Question::List(stream, span, wanted) => {
                let filter = self.filter_of(wanted)?;
                let found = noted::list(us, *stream, whole(span), filter.as_deref());
                let places = found.ok_or(Stop::Unknown)?;
                self.spend(places.len())?;
                records(facts, *stream, &places, false)?
            }
            Question::Last(stream, _, wanted) => {
                let filter = self.filter_of(wanted)?;
                let found = noted::last(us, *stream, filter.as_deref());
                one(facts, *stream, found, false)?
            }
            Question::DaysSince(stream, _, wanted) => {
                let filter = self.filter_of(wanted)?;
                unit(noted::days_since(us, *stream, filter.as_deref()))
            }
            standing => return self.standing_aloud(standing, us),
        })
    }

    fn standing_aloud(
        &mut self,
        question: &'a Question,
        us: (&Context, &'a Facts),
    ) -> Result<Value<'a>, Stop<'a>> {
        let (_, facts) = us;
        Ok(match question {
            Question::Licence(kind) => {
                let kind = self.text(kind)?.into();
                one(facts, Stream::Licence, noted::licence(us, &kind), true)?
            }
            Question::Licences => {
                let places = noted::licences(us);
                self.spend(places.len())?;
                records(facts, Stream::Licence, &places, true)?
            }
            Question::OnList(list) => {
                let list = self.text(list)?.into();
                Value::Bool(noted::on_list(us, &list))
            }
            Question::ListEntry(list) => {
                let list = self.text(list)?.into();
                let found = noted::list_entry(us, &list);
                one(facts, Stream::ListChange, found, false)?
            }
            Question::HasTag(tag) => {
                let tag = self.text(tag)?.into();
                Value::Bool(noted::has_tag(us, &tag))
            }
            Question::Registry => {
                let found = noted::registry(us);
                found.map_or(Value::Unit, |registry| Value::Registry(registry.newest))
            }
            _ => return Err(Stop::Unknown),
        })
    }

    /// A filter with all its values, in the order of the names of its fields, as Rhai's maps have them.
    fn filter_of(&mut self, wanted: &'a Wanted) -> Result<Option<Cow<'a, Filter>>, Stop<'a>> {
        let (made, fixed) = match wanted {
            Wanted::All => return Ok(None),
            Wanted::Fixed(filter) => return Ok(Some(Cow::Borrowed(filter))),
            Wanted::Made(made, fixed) => (made, fixed),
        };
        let mut fields = Vec::with_capacity(made.len());
        for (field, tree) in made {
            let value = fit(*field, self.value(tree)?).ok_or(Stop::Unknown)?;
            let value = to_value(*field, &dynamic(&value)?).map_err(|_| Stop::Unknown)?;
            fields.push((*field, vec![value]));
        }
        let filter = match fixed {
            None => Filter::new(fields),
            Some(fixed) => fixed.and(fields),
        };
        Ok(Some(Cow::Owned(filter)))
    }
}

fn whole(span: &Span) -> noted::Span<'_> {
    (span.ms, &span.text)
}

/// What a question gives; what fails in it is Rhai's to tell.
fn told<'a, T>(given: who::Given<T>) -> Result<T, Stop<'a>> {
    given.map_err(|_| Stop::Unknown)
}

fn one(
    facts: &Facts,
    stream: Stream,
    at: Option<usize>,
    is_licence: bool,
) -> Result<Value<'_>, Stop<'_>> {
    let Some(at) = at else { return Ok(Value::Unit) };
    let fact = facts.of(stream).get(at).ok_or(Stop::Unknown)?;
    Ok(record(stream, fact, is_licence))
}

fn records<'a>(
    facts: &'a Facts,
    stream: Stream,
    places: &[usize],
    is_licence: bool,
) -> Result<Value<'a>, Stop<'a>> {
    let all = places
        .iter()
        .map(|at| one(facts, stream, Some(*at), is_licence));
    Ok(Value::List(Rc::new(all.collect::<Result<_, _>>()?)))
}

/// The facts that a rule names itself: records, or a list of them.
fn named_facts<'a>(
    value: &Value<'a>,
    context: &Context,
) -> Result<Option<Vec<(EventTime, RecordKey)>>, Stop<'a>> {
    let mut named = Vec::new();
    let mut name = |value: &Value<'a>| {
        match value {
            Value::Unit => {}
            Value::Record(record) => named.push((record.fact.time, record.fact.key)),
            Value::Anchor => match context.anchor {
                Anchor::Fact(key) => named.push((context.anchor_time(), key)),
                Anchor::Day(_) => {}
            },
            _ => return Err(Stop::Unknown),
        }
        Ok(())
    };
    match value.items() {
        Some(items) => items.iter().try_for_each(|item| name(&item))?,
        None if value.is_unit() => return Ok(None),
        None => name(value)?,
    }
    Ok(Some(named))
}

/// The value as Rhai has it.
fn dynamic<'a>(value: &Value<'a>) -> Result<Dynamic, Stop<'a>> {
    Ok(match value {
        Value::Unit => Dynamic::UNIT,
        Value::Bool(value) => Dynamic::from(*value),
        Value::Int(value) => Dynamic::from(*value),
        Value::Decimal(value) => Dynamic::from(*value),
        Value::Text(text) => (*text).into(),
        Value::Made(text) => text.as_str().into(),
        Value::Time(time) => Dynamic::from(*time),
        Value::Fixed(_) | Value::List(_) => {
            let items = value.items().ok_or(Stop::Unknown)?;
            let array: Result<Array, _> = items.iter().map(|item| dynamic(&item)).collect();
            Dynamic::from(array?)
        }
        Value::Record(_) | Value::Registry(_) | Value::Anchor => return Err(Stop::Unknown),
    })
}

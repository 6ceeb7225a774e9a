//! Questions to `who`: from their text to the tree, and from the tree to the answer.

use super::compile::Compiler;
use super::eval::{Eval, Stop};
use super::value::{Record, Value};
use super::{Question, Span, Tree, Wanted, Whose};
use crate::engine::rule::ask::{self, Filter, Fits, Window, int};
use crate::engine::rule::convert::to_value;
use crate::engine::rule::who::LIST_LENGTH_MAX;
use crate::engine::schema::{Field, FieldType, Stream};
use crate::engine::subject::facts::{Fact, Facts};
use crate::engine::subject::groups::{GroupKey, Groups};
use crate::engine::subject::peek::{Peek, ValueRef};
use crate::engine::time::{DAY_MS, parse_span_ms};
use rhai::{Array, Expr, FnCallExpr};
use std::rc::Rc;

/// The question that a method of `who` is.
pub(super) fn question(compiler: &mut Compiler<'_>, call: &FnCallExpr) -> Option<Question> {
    let (name, arguments) = (call.name.as_str(), call.args.as_slice());
    match (name, arguments) {
        ("registry", []) => return Some(Question::Registry),
        ("licences", []) => return Some(Question::Licences),
        ("licence", [only]) => return Some(Question::Licence(compiler.tree(only)?)),
        ("on_list", [only]) => return Some(Question::OnList(compiler.tree(only)?)),
        ("list_entry", [only]) => return Some(Question::ListEntry(compiler.tree(only)?)),
        ("has_tag", [only]) => return Some(Question::HasTag(compiler.tree(only)?)),
        _ => {}
    }
    let (first, rest) = arguments.split_first()?;
    let stream = Stream::by_name(&fixed_text(compiler, first)?)?;
    let history_ms = compiler.manifest.history_ms;
    Some(match (name, rest) {
        ("count", [span]) => Question::Count(stream, span_of(compiler, stream, span)?, Wanted::All),
        ("count", [span, filter]) => Question::Count(
            stream,
            span_of(compiler, stream, span)?,
            wanted(compiler, stream, filter)?,
        ),
        ("list", [span]) => Question::List(stream, span_of(compiler, stream, span)?, Wanted::All),
        ("list", [span, filter]) => Question::List(
            stream,
            span_of(compiler, stream, span)?,
            wanted(compiler, stream, filter)?,
        ),
        ("weekly_average", [span]) => {
            Question::Average(stream, span_of(compiler, stream, span)?, 7)
        }
        ("daily_average", [span]) => Question::Average(stream, span_of(compiler, stream, span)?, 1),
        ("last", []) => Question::Last(stream, history_ms, Wanted::All),
        ("last", [filter]) => Question::Last(stream, history_ms, wanted(compiler, stream, filter)?),
        ("days_since", []) => Question::DaysSince(stream, history_ms, Wanted::All),
        ("days_since", [filter]) => {
            Question::DaysSince(stream, history_ms, wanted(compiler, stream, filter)?)
        }
        ("sum", [field, span]) => {
            let field = field_of(compiler, stream, field)?;
            if !matches!(field.spec().field_type, FieldType::Int | FieldType::Decimal) {
                return None;
            }
            Question::Sum(stream, field, span_of(compiler, stream, span)?)
        }
        ("distinct", [field, span]) => Question::Distinct(
            stream,
            field_of(compiler, stream, field)?,
            span_of(compiler, stream, span)?,
        ),
        ("count_by", [field, span]) => {
            let field = field_of(compiler, stream, field)?;
            Question::CountBy(stream, field, span_of(compiler, stream, span)?, Wanted::All)
        }
        ("count_by", [field, span, filter]) => {
            let field = field_of(compiler, stream, field)?;
            let filter = wanted(compiler, stream, filter)?;
            Question::CountBy(stream, field, span_of(compiler, stream, span)?, filter)
        }
        _ => return None,
    })
}

fn fixed_text(compiler: &Compiler<'_>, expression: &Expr) -> Option<String> {
    let value = compiler.fixed(expression)?;
    value.is_string().then(|| value.to_string())
}

/// A window, within the rule's history; a longer one fails in Rhai.
fn span_of(compiler: &Compiler<'_>, stream: Stream, expression: &Expr) -> Option<Span> {
    let text = fixed_text(compiler, expression)?;
    let ms = parse_span_ms(&text)?;
    let is_held = ms <= compiler.manifest.history_ms || stream.is_standing();
    is_held.then(|| Span {
        ms,
        text: text.into(),
    })
}

fn field_of(compiler: &Compiler<'_>, stream: Stream, expression: &Expr) -> Option<Field> {
    Field::of(stream, &fixed_text(compiler, expression)?)
}

/// `#{ result: "不合格", trigger: p.triggers, problem_type: kind }`
fn wanted(compiler: &mut Compiler<'_>, stream: Stream, expression: &Expr) -> Option<Wanted> {
    let Expr::Map(entries, _) = expression else {
        return None;
    };
    let mut fixed = Vec::new();
    let mut made = Vec::new();
    for (key, value) in &entries.0 {
        let field = Field::of(stream, &key.name)?;
        match compiler.fixed(value) {
            Some(value) => {
                let values = match value.read_lock::<Array>() {
                    Some(array) => array.clone(),
                    None => vec![value.clone()],
                };
                let values: Result<Vec<_>, _> = values.iter().map(|v| to_value(field, v)).collect();
                fixed.push((field, values.ok()?));
            }
            None => made.push((field, compiler.tree(value)?)),
        }
    }
    if made.is_empty() {
        return Some(Wanted::Fixed(Filter::new(fixed)));
    }
    if fixed.is_empty() {
        return Some(Wanted::Made(made, None));
    }
    Some(Wanted::Made(made, Some(Filter::new(fixed))))
}

impl<'a> Eval<'a, '_> {
    /// The answer to a question, from the memo if another rule asked it before.
    pub(super) fn ask(
        &mut self,
        question: &'a Question,
        number: Option<u32>,
    ) -> Result<Value<'a>, Stop<'a>> {
        if let Some(context) = self.notes {
            return self.ask_aloud(question, context);
        }
        if let Some(known) = number.and_then(|number| self.memo.get(number)) {
            return Ok(known.clone());
        }
        let answer = match self.sight.whose {
            Whose::Individual(facts, _) => self.answer(question, facts)?,
            Whose::Collective(groups, group, _) => self.count_groups(question, groups, group)?,
        };
        if let Some(number) = number {
            self.memo.keep(number, answer.clone());
        }
        Ok(answer)
    }

    /// What is counted of the judged group, by whole days.
    fn count_groups(
        &self,
        question: &Question,
        groups: &'a Groups,
        group: &'a GroupKey,
    ) -> Result<Value<'a>, Stop<'a>> {
        let (stream, distinct, ms) = match question {
            Question::Count(stream, span, Wanted::All) | Question::Average(stream, span, _) => {
                (*stream, None, span.ms)
            }
            Question::Distinct(stream, field, span) => (*stream, Some(*field), span.ms),
            _ => return Err(Stop::Unknown),
        };
        let days = i32::try_from(ms / DAY_MS).unwrap_or(i32::MAX);
        if ms % DAY_MS != 0 || days == 0 {
            return Err(Stop::Unknown);
        }
        let core = self.sight.core;
        let feed = core.feed(stream, distinct).ok_or(Stop::Unknown)?;
        let series = feed.series(stream, groups, group);
        let through = self.sight.as_of.day();
        let after = through.saturating_sub(days);
        let count = match distinct {
            None => series.map_or(0, |series| series.count(after, through)),
            Some(_) => series.map_or(0, |series| series.distinct(after, through)),
        };
        Ok(match question {
            Question::Average(_, span, per) => Value::Decimal(ask::average(count, span.ms, *per)),
            _ => Value::Int(count),
        })
    }

    /// The answer of an individual's facts.
    fn answer(&mut self, question: &'a Question, facts: &'a Facts) -> Result<Value<'a>, Stop<'a>> {
        let as_of = self.sight.as_of;
        let window = |stream: Stream, ms: i64| Window::new(facts, stream, ms, as_of);
        Ok(match question {
            Question::Count(stream, span, Wanted::All) => {
                Value::Int(int(window(*stream, span.ms).len()))
            }
            Question::Count(stream, span, wanted) => {
                let filter = self.filter(wanted)?;
                let window = window(*stream, span.ms);
                Value::Int(int(window.fitting(filter.get()).count()))
            }
            Question::CountBy(stream, field, span, wanted) => {
                let filter = self.filter(wanted)?;
                let window = window(*stream, span.ms);
                Value::Int(window.count_by(*field, filter.get(), |_| ()))
            }
            Question::Sum(stream, field, span) => {
                let sum = window(*stream, span.ms).sum(*field, |_| ());
                Value::Decimal(sum.ok_or(Stop::Unknown)?)
            }
            Question::Distinct(stream, field, span) => {
                Value::Int(window(*stream, span.ms).distinct(*field, |_| ()))
            }
            Question::Average(stream, span, days) => {
                let count = int(window(*stream, span.ms).len());
                Value::Decimal(ask::average(count, span.ms, *days))
            }
            Question::List(stream, span, wanted) => self.list(window(*stream, span.ms), wanted)?,
            Question::Last(stream, ms, wanted) => {
                match self.newest(facts, (*stream, *ms), wanted)? {
                    None => Value::Unit,
                    Some((_, fact)) => record(*stream, fact, false),
                }
            }
            Question::DaysSince(stream, ms, wanted) => {
                match self.newest(facts, (*stream, *ms), wanted)? {
                    None => Value::Unit,
                    Some((_, fact)) => {
                        Value::Int(i64::from(as_of.day()) - i64::from(fact.time.day()))
                    }
                }
            }
            standing => return self.answer_standing(standing, facts),
        })
    }

    /// The answer to a question about what holds of the subject.
    fn answer_standing(
        &mut self,
        question: &'a Question,
        facts: &'a Facts,
    ) -> Result<Value<'a>, Stop<'a>> {
        let as_of = self.sight.as_of;
        Ok(match question {
            Question::Licence(kind) => {
                let kind = self.text(kind)?;
                let held = self.licences(facts);
                ask::licence_of(&held, kind).map_or(Value::Unit, |(_, fact, _)| {
                    record(Stream::Licence, fact, true)
                })
            }
            Question::Licences => {
                let held = self.licences(facts);
                let all: Vec<_> = held
                    .iter()
                    .map(|(_, fact, _)| record(Stream::Licence, fact, true))
                    .collect();
                self.spend(all.len())?;
                Value::List(Rc::new(all))
            }
            Question::OnList(list) => {
                let list = self.text(list)?;
                Value::Bool(ask::entry(facts, as_of, list).is_some())
            }
            Question::ListEntry(list) => {
                let list = self.text(list)?;
                ask::entry(facts, as_of, list).map_or(Value::Unit, |(_, fact, _)| {
                    record(Stream::ListChange, fact, false)
                })
            }
            Question::HasTag(tag) => {
                let tag = self.text(tag)?;
                Value::Bool(ask::tag(facts, as_of, tag).is_some_and(|(has, _)| has))
            }
            Question::Registry => {
                let newest = Window::whole(facts, Stream::RegistryChange, as_of).newest(None);
                newest.map_or(Value::Unit, |(_, fact)| Value::Registry(fact))
            }
            _ => return Err(Stop::Unknown),
        })
    }

    fn licences(&mut self, facts: &'a Facts) -> Rc<[ask::Standing<'a>]> {
        let as_of = self.sight.as_of;
        let held = self
            .memo
            .licences
            .get_or_insert_with(|| ask::licences(facts, as_of).into());
        Rc::clone(held)
    }

    fn list(&mut self, window: Window<'a>, wanted: &'a Wanted) -> Result<Value<'a>, Stop<'a>> {
        let filter = self.filter(wanted)?;
        let items: Vec<Value<'a>> = window
            .fitting(filter.get())
            .take(LIST_LENGTH_MAX + 1)
            .map(|(fact, _)| record(window.stream(), fact, false))
            .collect();
        if LIST_LENGTH_MAX < items.len() {
            return Err(Stop::Unknown);
        }
        self.spend(items.len())?;
        Ok(Value::List(Rc::new(items)))
    }

    fn newest(
        &mut self,
        facts: &'a Facts,
        (stream, ms): (Stream, i64),
        wanted: &'a Wanted,
    ) -> Result<Option<(usize, &'a Fact)>, Stop<'a>> {
        let filter = self.filter(wanted)?;
        let window = if stream.is_standing() {
            Window::whole(facts, stream, self.sight.as_of)
        } else {
            Window::new(facts, stream, ms, self.sight.as_of)
        };
        Ok(window.newest(filter.get()))
    }

    pub(super) fn text(&mut self, tree: &'a Tree) -> Result<&'a str, Stop<'a>> {
        match self.value(tree)? {
            Value::Text(text) => Ok(text),
            _ => Err(Stop::Unknown),
        }
    }

    fn filter(&mut self, wanted: &'a Wanted) -> Result<Ready<'a>, Stop<'a>> {
        match wanted {
            Wanted::All => Ok(Ready::All),
            Wanted::Fixed(filter) => Ok(Ready::Fixed(filter)),
            Wanted::Made(made, fixed) => {
                let mut fields = Vec::with_capacity(made.len());
                for (field, tree) in made {
                    let value = fit(*field, self.value(tree)?).ok_or(Stop::Unknown)?;
                    fields.push((*field, value));
                }
                Ok(Ready::Made(fields, fixed.as_ref()))
            }
        }
    }
}

/// A filter that can be asked.
enum Ready<'a> {
    All,
    Fixed(&'a Filter),
    Made(Vec<(Field, Value<'a>)>, Option<&'a Filter>),
}

impl Ready<'_> {
    fn get(&self) -> Option<&dyn Fits> {
        match self {
            Self::All => None,
            Self::Fixed(filter) => Some(*filter),
            Self::Made(..) => Some(self),
        }
    }
}

impl Fits for Ready<'_> {
    fn fits(&self, peek: &Peek<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Fixed(filter) => filter.fits(peek),
            Self::Made(fields, fixed) => {
                fields
                    .iter()
                    .all(|(field, value)| holds(peek, *field, value))
                    && fixed.is_none_or(|fixed| fixed.fits(peek))
            }
        }
    }
}

/// Whether a field holds a value, or its list has it among its entries.
fn holds(peek: &Peek<'_>, field: Field, value: &Value<'_>) -> bool {
    match (peek.get(field), value) {
        (Some(ValueRef::Bool(held)), Value::Bool(value)) => held == *value,
        (Some(ValueRef::Int(held)), Value::Int(value)) => held == *value,
        (Some(ValueRef::Decimal(held)), Value::Decimal(value)) => held == *value,
        (Some(ValueRef::Text(held)), value) => value.text() == Some(held),
        (Some(ValueRef::List(held)), value) => {
            value.text().is_some_and(|text| held.contains(&text))
        }
        _ => false,
    }
}

/// A fact as a value.
pub(super) fn record(stream: Stream, fact: &Fact, is_licence: bool) -> Value<'_> {
    Value::Record(Record {
        fact,
        stream,
        is_licence,
    })
}

/// A value as what the field can hold, for the types that filters are made of.
pub(super) fn fit(field: Field, value: Value<'_>) -> Option<Value<'_>> {
    match (field.spec().field_type, value) {
        (FieldType::Bool, value @ Value::Bool(_))
        | (FieldType::Int, value @ Value::Int(_))
        | (FieldType::Decimal, value @ Value::Decimal(_)) => Some(value),
        (FieldType::Decimal, Value::Int(value)) => Some(Value::Decimal(value.into())),
        (FieldType::Text | FieldType::List, value) => value.text().is_some().then_some(value),
        _ => None,
    }
}

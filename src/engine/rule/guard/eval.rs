//! Runs the tree of a guard.
//!
//! Every doubt is [`Stop::Unknown`]: a failure in Rhai, a type that guards do not know, a step that is not understood.

use super::value::{Record, Value};
use super::{Comparison, Each, FUEL_MAX, Function, Guard, Operation, Sight, Step, Tree};
use crate::engine::schema::{Field, Stream, field};
use crate::engine::subject::peek::ValueRef;
use crate::engine::time::EventTime;
use rust_decimal::Decimal;
use std::cmp::Ordering;
use std::rc::Rc;

/// Why the next step is not taken.
#[derive(Debug)]
pub(super) enum Stop<'a> {
    Unknown,
    Return(Value<'a>),
    Continue,
    Break,
}

type Got<'a> = Result<Value<'a>, Stop<'a>>;

/// One run.
pub(super) struct Eval<'a> {
    pub(super) sight: Sight<'a>,
    pub(super) history_ms: i64,
    on: &'a [Stream],
    slots: Vec<Value<'a>>,
    fuel: u32,
}

/// Whether the rule comes to its end, or to a `return`, saying nothing.
pub(super) fn run<'a>(guard: &'a Guard, sight: Sight<'a>) -> bool {
    let mut eval = Eval {
        sight,
        history_ms: guard.history_ms,
        on: &guard.on,
        slots: vec![Value::Unit; guard.slots],
        fuel: FUEL_MAX,
    };
    matches!(eval.block(&guard.body), Ok(_) | Err(Stop::Return(_)))
}

impl<'a> Eval<'a> {
    /// Takes so many steps from what is left.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Stop<'a>> {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.fuel = self.fuel.checked_sub(steps).ok_or(Stop::Unknown)?;
        Ok(())
    }

    fn block(&mut self, steps: &'a [Step]) -> Got<'a> {
        let mut result = Value::Unit;
        for step in steps {
            self.spend(1)?;
            result = Value::Unit;
            match step {
                Step::Set(slot, tree) => {
                    let value = self.value(tree)?;
                    self.set(*slot, value);
                }
                Step::If(condition, yes, no) => {
                    result = if self.truth(condition)? {
                        self.block(yes)?
                    } else {
                        self.block(no)?
                    };
                }
                Step::For(slot, list, body) => self.for_each(*slot, list, body)?,
                Step::Value(tree) => result = self.value(tree)?,
                Step::Nothing => {}
                Step::Return(None) => return Err(Stop::Return(Value::Unit)),
                Step::Return(Some(tree)) => return Err(Stop::Return(self.value(tree)?)),
                Step::Continue => return Err(Stop::Continue),
                Step::Break => return Err(Stop::Break),
                Step::Unknown => return Err(Stop::Unknown),
            }
        }
        Ok(result)
    }

    fn set(&mut self, slot: usize, value: Value<'a>) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = value;
        }
    }

    fn for_each(&mut self, slot: usize, list: &'a Tree, body: &'a [Step]) -> Result<(), Stop<'a>> {
        let Value::List(items) = self.value(list)? else {
            return Err(Stop::Unknown);
        };
        for item in items.iter() {
            self.set(slot, item.clone());
            match self.block(body) {
                Ok(_) | Err(Stop::Continue) => {}
                Err(Stop::Break) => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    fn truth(&mut self, tree: &'a Tree) -> Result<bool, Stop<'a>> {
        match self.value(tree)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(Stop::Unknown),
        }
    }

    /// The value of an expression.
    pub(super) fn value(&mut self, tree: &'a Tree) -> Got<'a> {
        self.spend(1)?;
        Ok(match tree {
            Tree::Constant(value) => Value::constant(value),
            Tree::Slot(slot) => self.slots.get(*slot).cloned().unwrap_or(Value::Unit),
            Tree::Anchor => Value::Anchor,
            Tree::Now => Value::Time(self.sight.as_of),
            Tree::Field(of, field) => self.field(of, *field)?,
            Tree::Time(of) => match self.value(of)? {
                Value::Anchor => Value::Time(self.sight.event.occurred_at),
                Value::Record(record) => Value::Time(record.fact.time),
                Value::Registry(registry) => Value::Time(registry.time),
                _ => return Err(Stop::Unknown),
            },
            Tree::Stream(of) => match self.value(of)? {
                Value::Anchor => Value::Text(self.sight.event.stream.name()),
                Value::Record(record) => Value::Text(record.stream.name()),
                _ => return Err(Stop::Unknown),
            },
            Tree::Question(question) => self.answer(question)?,
            Tree::And(parts) => Value::Bool(self.until(parts, false)?),
            Tree::Or(parts) => Value::Bool(self.until(parts, true)?),
            Tree::Coalesce(parts) => {
                for part in parts {
                    let value = self.value(part)?;
                    if !value.is_unit() {
                        return Ok(value);
                    }
                }
                Value::Unit
            }
            Tree::Not(of) => Value::Bool(!self.truth(of)?),
            Tree::Negative(of) => match self.value(of)? {
                Value::Int(number) => Value::Int(number.checked_neg().ok_or(Stop::Unknown)?),
                Value::Decimal(number) => Value::Decimal(-number),
                _ => return Err(Stop::Unknown),
            },
            Tree::Compare(how, pair) => self.compare(*how, pair)?,
            Tree::Arithmetic(what, pair) => self.arithmetic(*what, pair)?,
            Tree::Call(function, arguments) => self.call(*function, arguments)?,
            Tree::Each(each, list, slot, body) => self.each(*each, list, *slot, body)?,
            Tree::Block(steps) => self.block(steps)?,
            Tree::Inline(arguments, body) => {
                for (slot, tree) in arguments {
                    let value = self.value(tree)?;
                    self.set(*slot, value);
                }
                match self.block(body) {
                    Ok(value) | Err(Stop::Return(value)) => value,
                    Err(_) => return Err(Stop::Unknown),
                }
            }
        })
    }

    /// Whether a part is `wanted`, looked at from the left until one is.
    fn until(&mut self, parts: &'a [Tree], wanted: bool) -> Result<bool, Stop<'a>> {
        for part in parts {
            if self.truth(part)? == wanted {
                return Ok(wanted);
            }
        }
        Ok(!wanted)
    }

    fn field(&mut self, of: &'a Tree, wanted: Field) -> Got<'a> {
        match self.value(of)? {
            Value::Anchor => self.anchor_field(wanted),
            Value::Record(record) => record_field(&record, wanted),
            Value::Registry(registry) if wanted.spec().is_of(Stream::RegistryChange) => {
                Ok(registry.fields.get(&wanted).map_or(Value::Unit, Value::of))
            }
            _ => Err(Stop::Unknown),
        }
    }

    fn anchor_field(&self, wanted: Field) -> Got<'a> {
        let event = self.sight.event;
        // A field that only another stream of the rule has is not there.
        let is_known = |stream: &Stream| wanted.spec().is_of(*stream);
        if !is_known(&event.stream) && !self.on.iter().any(is_known) {
            return Err(Stop::Unknown);
        }
        let held = event.fields.get(wanted);
        Ok(held.map_or(Value::Unit, |value| Value::of(&ValueRef::from(value))))
    }

    fn compare(&mut self, how: Comparison, pair: &'a [Tree; 2]) -> Got<'a> {
        let [left, right] = pair;
        let (left, right) = (self.value(left)?, self.value(right)?);
        let order = |holds: fn(Ordering) -> bool| left.order(&right).map(holds);
        let holds = match how {
            Comparison::Equal => left.equals(&right),
            Comparison::NotEqual => left.equals(&right).map(|same| !same),
            Comparison::Less => order(Ordering::is_lt),
            Comparison::LessOrEqual => order(Ordering::is_le),
            Comparison::Greater => order(Ordering::is_gt),
            Comparison::GreaterOrEqual => order(Ordering::is_ge),
        };
        holds.map(Value::Bool).ok_or(Stop::Unknown)
    }

    fn arithmetic(&mut self, what: Operation, pair: &'a [Tree; 2]) -> Got<'a> {
        let [left, right] = pair;
        let pair = (self.value(left)?, self.value(right)?);
        if let (Value::Int(a), Value::Int(b)) = pair {
            let result = match what {
                Operation::Add => a.checked_add(b),
                Operation::Subtract => a.checked_sub(b),
                Operation::Multiply => a.checked_mul(b),
                Operation::Divide => a.checked_div(b),
            };
            return result.map(Value::Int).ok_or(Stop::Unknown);
        }
        let number = |value: &Value<'_>| match value {
            Value::Int(number) => Ok(Decimal::from(*number)),
            Value::Decimal(number) => Ok(*number),
            _ => Err(Stop::Unknown),
        };
        let (a, b) = (number(&pair.0)?, number(&pair.1)?);
        let result = match what {
            Operation::Add => a.checked_add(b),
            Operation::Subtract => a.checked_sub(b),
            Operation::Multiply => a.checked_mul(b),
            Operation::Divide => a.checked_div(b),
        };
        result.map(Value::Decimal).ok_or(Stop::Unknown)
    }

    fn each(&mut self, each: Each, list: &'a Tree, slot: usize, body: &'a [Step]) -> Got<'a> {
        let Value::List(items) = self.value(list)? else {
            return Err(Stop::Unknown);
        };
        let mut kept = Vec::new();
        for item in items.iter() {
            self.set(slot, item.clone());
            let (Ok(Value::Bool(truth)) | Err(Stop::Return(Value::Bool(truth)))) = self.block(body)
            else {
                return Err(Stop::Unknown);
            };
            match each {
                Each::Some if truth => return Ok(Value::Bool(true)),
                Each::All if !truth => return Ok(Value::Bool(false)),
                Each::Filter if truth => kept.push(item.clone()),
                _ => {}
            }
        }
        Ok(match each {
            Each::Some => Value::Bool(false),
            Each::All => Value::Bool(true),
            Each::Filter => Value::List(Rc::new(kept)),
        })
    }

    fn call(&mut self, function: Function, arguments: &'a [Tree]) -> Got<'a> {
        let mut values = arguments.iter();
        let mut next = || values.next().ok_or(Stop::Unknown);
        let first = next()?;
        let first = self.value(first)?;
        let calendar = self.sight.calendar;
        let known = match function {
            Function::Abs => match first {
                Value::Int(number) => number.checked_abs().map(Value::Int),
                Value::Decimal(number) => Some(Value::Decimal(number.abs())),
                _ => None,
            },
            Function::Len => match first {
                Value::List(items) => Some(Value::Int(crate::engine::rule::ask::int(items.len()))),
                _ => None,
            },
            Function::IsEmpty => match first {
                Value::List(items) => Some(Value::Bool(items.is_empty())),
                Value::Text(text) => Some(Value::Bool(text.is_empty())),
                _ => None,
            },
            Function::Date => match first {
                Value::Text(text) => EventTime::parse(text).map(|(time, _)| Value::Time(time)),
                _ => None,
            },
            Function::YearStart => moment(&first).and_then(|time| {
                let first = jiff::civil::Date::new(time.date().year(), 1, 1).ok()?;
                Some(Value::Time(EventTime::from_date(first)))
            }),
            _ => {
                let second = next()?;
                let second = self.value(second)?;
                match function {
                    Function::Min => lesser(first, second, Ordering::is_le),
                    Function::Max => lesser(first, second, Ordering::is_ge),
                    Function::Contains => contains(&first, &second),
                    Function::DaysBetween => moment(&first)
                        .zip(moment(&second))
                        .map(|(from, to)| Value::Int(i64::from(to.day()) - i64::from(from.day()))),
                    Function::WorkingDays => moment(&first)
                        .zip(moment(&second))
                        .and_then(|(from, to)| calendar.working_days(from, to).ok())
                        .map(Value::Int),
                    Function::AddDays => moment(&first)
                        .zip(int(&second))
                        .map(|(time, days)| Value::Time(time.plus_days(days))),
                    Function::AddWorkingDays => moment(&first)
                        .zip(int(&second))
                        .and_then(|(time, days)| calendar.add_working_days(time, days).ok())
                        .map(Value::Time),
                    _ => None,
                }
            }
        };
        known.ok_or(Stop::Unknown)
    }
}

fn record_field<'a>(record: &Record<'a>, wanted: Field) -> Got<'a> {
    let wanted = if record.is_licence && wanted == field::name {
        field::licence_kind
    } else {
        wanted
    };
    if !wanted.spec().is_of(record.stream) {
        return Err(Stop::Unknown);
    }
    Ok(record.peek.get(wanted).map_or(Value::Unit, Value::of))
}

fn moment(value: &Value<'_>) -> Option<EventTime> {
    match value {
        Value::Time(time) => Some(*time),
        Value::Text(text) => EventTime::parse(text).map(|(time, _)| time),
        _ => None,
    }
}

fn int(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

/// The first value if it stands so to the second, else the second; of a whole and a decimal number a decimal one.
fn lesser<'a>(
    first: Value<'a>,
    second: Value<'a>,
    holds: fn(Ordering) -> bool,
) -> Option<Value<'a>> {
    let (first, second) = match (first, second) {
        (Value::Int(a), Value::Decimal(b)) => (Value::Decimal(a.into()), Value::Decimal(b)),
        (Value::Decimal(a), Value::Int(b)) => (Value::Decimal(a), Value::Decimal(b.into())),
        (
            pair @ (Value::Int(_) | Value::Decimal(_) | Value::Time(_)),
            other @ (Value::Int(_) | Value::Decimal(_) | Value::Time(_)),
        ) => (pair, other),
        _ => return None,
    };
    Some(if holds(first.order(&second)?) {
        first
    } else {
        second
    })
}

fn contains<'a>(whole: &Value<'a>, part: &Value<'a>) -> Option<Value<'a>> {
    match (whole, part) {
        (Value::Text(whole), Value::Text(part)) => Some(Value::Bool(whole.contains(part))),
        (Value::List(items), part) => {
            for item in items.iter() {
                if item.equals(part)? {
                    return Some(Value::Bool(true));
                }
            }
            Some(Value::Bool(false))
        }
        _ => None,
    }
}

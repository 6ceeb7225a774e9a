//! Runs the tree of a guard.
//!
//! Every doubt is [`Stop::Unknown`]: a failure in Rhai, a type that guards do not know, a step that is not understood.

use super::operate::{any_of, arithmetic, changed, contains, deduped, int, lesser, moment, sorted};
use super::value::{Items, Record, Value};
use super::{
    Comparison, Each, FUEL_MAX, Function, Guard, Look, Memo, Question, Sight, Step, Tree, Voice,
    Whose,
};
use crate::engine::rule::context::Context;
use crate::engine::rule::{ask, numbers};
use crate::engine::schema::{Field, Stream, field};
use crate::engine::subject::peek::ValueRef;
use crate::engine::time::EventTime;
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
pub(super) struct Eval<'a, 'm> {
    pub(super) sight: Sight<'a>,
    pub(super) memo: &'m mut Memo<'a>,
    slots: Vec<Value<'a>>,
    check_at: Option<EventTime>,
    fuel: u32,
    /// Where questions and words go, when the rule speaks.
    pub(super) notes: Option<&'m Context>,
}

/// Whether the rule comes to its end, or to a `return`, saying nothing.
pub(super) fn run<'a>(guard: &'a Guard, sight: Sight<'a>, memo: &mut Memo<'a>) -> Look {
    // What other rules left in them is never read: a variable is set before it is used.
    let mut slots = core::mem::take(&mut memo.spare);
    if slots.len() < guard.slots {
        slots.resize(guard.slots, Value::Unit);
    }
    let mut eval = Eval {
        sight,
        memo,
        slots,
        check_at: None,
        fuel: FUEL_MAX,
        notes: None,
    };
    let look = match eval.block(&guard.body) {
        Ok(_) | Err(Stop::Return(_)) => Look::Silent(eval.check_at),
        Err(_) => Look::Unknown,
    };
    eval.memo.spare = eval.slots;
    look
}

/// Whether the rule comes to its end, or to a `return`, with everything noted; see [`super::voice`].
pub(super) fn speak<'a>(voice: &'a Voice, sight: Sight<'a>, context: &Context) -> bool {
    let mut eval = Eval {
        sight,
        memo: &mut Memo::default(),
        slots: vec![Value::Unit; voice.slots],
        check_at: None,
        fuel: FUEL_MAX,
        notes: Some(context),
    };
    let ran = eval.block(&voice.body);
    context.book().check_at = eval.check_at;
    matches!(ran, Ok(_) | Err(Stop::Return(_)))
}

/// The answer to a question as a number; see [`super::measure`].
pub(super) fn measure<'a>(
    question: &'a Question,
    number: u32,
    sight: Sight<'a>,
    memo: &mut Memo<'a>,
) -> Option<i64> {
    let mut eval = Eval {
        sight,
        memo,
        slots: Vec::new(),
        check_at: None,
        fuel: FUEL_MAX,
        notes: None,
    };
    match eval.ask(question, Some(number)).ok()? {
        Value::Int(number) => Some(number),
        Value::Unit | Value::Bool(false) => Some(0),
        list @ (Value::List(_) | Value::Fixed(_)) => i64::try_from(list.items()?.len()).ok(),
        Value::Bool(true) | Value::Record(_) | Value::Registry(_) => Some(1),
        _ => None,
    }
}

impl<'a> Eval<'a, '_> {
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
                Step::Change(slot, what, tree) => {
                    let value = self.value(tree)?;
                    let place = self.slots.get_mut(*slot).ok_or(Stop::Unknown)?;
                    let before = core::mem::replace(place, Value::Unit);
                    let after = changed(*what, before, &value).ok_or(Stop::Unknown)?;
                    self.set(*slot, after);
                }
                Step::Sort(slot) => self.change_list(*slot, sorted)?,
                Step::Dedup(slot) => self.change_list(*slot, deduped)?,
                Step::Check(tree) => self.check(tree)?,
                Step::Say(saying) => self.say(saying)?,
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
                Step::Unknown(_) => return Err(Stop::Unknown),
            }
        }
        Ok(result)
    }

    fn set(&mut self, slot: usize, value: Value<'a>) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = value;
        }
    }

    #[inline(never)]
    fn change_list(
        &mut self,
        slot: usize,
        change: fn(Vec<Value<'a>>) -> Option<Vec<Value<'a>>>,
    ) -> Result<(), Stop<'a>> {
        let items = self.slots.get(slot).and_then(Value::items);
        let items = items.ok_or(Stop::Unknown)?;
        self.spend(items.len())?;
        let changed = change(items.iter().collect()).ok_or(Stop::Unknown)?;
        self.set(slot, Value::List(Rc::new(changed)));
        Ok(())
    }

    /// Notes the earliest time at which the rule wants to be asked again.
    fn check(&mut self, tree: &'a Tree) -> Result<(), Stop<'a>> {
        let time = moment(&self.value(tree)?).ok_or(Stop::Unknown)?;
        if self.sight.as_of < time {
            self.check_at = Some(self.check_at.map_or(time, |earlier| earlier.min(time)));
        }
        Ok(())
    }

    #[inline(never)]
    fn for_each(&mut self, slot: usize, list: &'a Tree, body: &'a [Step]) -> Result<(), Stop<'a>> {
        let items = self.value(list)?.items().ok_or(Stop::Unknown)?;
        for item in items.iter() {
            self.set(slot, item);
            match self.block(body) {
                Ok(_) | Err(Stop::Continue) => {}
                Err(Stop::Break) => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    fn truth(&mut self, tree: &'a Tree) -> Result<bool, Stop<'a>> {
        match tree {
            Tree::Not(of) => self.truth(of).map(|truth| !truth),
            Tree::And(parts) => self.until(parts, false),
            Tree::Or(parts) => self.until(parts, true),
            Tree::Compare(how, pair) => self.compare(*how, pair),
            Tree::AnyOf(whole, words) => {
                let whole = self.value(whole)?;
                self.spend(words.constants().len())?;
                any_of(&whole, words).ok_or(Stop::Unknown)
            }
            _ => match self.value(tree)? {
                Value::Bool(truth) => Ok(truth),
                _ => Err(Stop::Unknown),
            },
        }
    }

    /// The value of an expression: leaves here, where it costs little, the rest in [`Eval::compound`].
    pub(super) fn value(&mut self, tree: &'a Tree) -> Got<'a> {
        self.spend(1)?;
        match tree {
            Tree::Constant(value) => Ok(Value::constant(value)),
            Tree::Slot(slot) => Ok(self.slots.get(*slot).cloned().unwrap_or(Value::Unit)),
            Tree::Anchor => Ok(Value::Anchor),
            Tree::Now => Ok(Value::Time(self.sight.as_of)),
            Tree::Field(of, field) => self.field(of, *field),
            Tree::Coalesce(parts) => {
                for part in parts {
                    let value = self.value(part)?;
                    if !value.is_unit() {
                        return Ok(value);
                    }
                }
                Ok(Value::Unit)
            }
            Tree::Question(question, number) => self.ask(question, *number),
            Tree::And(_) | Tree::Or(_) | Tree::Not(_) | Tree::Compare(..) => {
                self.truth(tree).map(Value::Bool)
            }
            _ => self.compound(tree),
        }
    }

    /// What seldom stands in a rule, or costs more than coming here.
    #[inline(never)]
    fn compound(&mut self, tree: &'a Tree) -> Got<'a> {
        Ok(match tree {
            Tree::Name => self.name(),
            Tree::At(pair) => self.item(pair)?,
            Tree::Time(of) => self.time(of)?,
            Tree::Stream(of) => self.stream(of)?,
            Tree::Negative(of) => match self.value(of)? {
                Value::Int(number) => Value::Int(number.checked_neg().ok_or(Stop::Unknown)?),
                Value::Decimal(number) => Value::Decimal(-number),
                _ => return Err(Stop::Unknown),
            },
            Tree::Arithmetic(what, pair) => {
                let [left, right] = &**pair;
                let (left, right) = (self.value(left)?, self.value(right)?);
                arithmetic(*what, &left, &right).ok_or(Stop::Unknown)?
            }
            Tree::Call(function, arguments) => self.call(*function, arguments)?,
            Tree::Joined(parts) => self.joined(parts)?,
            Tree::Id(of) => self.id(of)?,
            Tree::AnyOf(..) => Value::Bool(self.truth(tree)?),
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
            // Leaves; see `value`.
            _ => return Err(Stop::Unknown),
        })
    }

    fn time(&mut self, of: &'a Tree) -> Got<'a> {
        Ok(Value::Time(match self.value(of)? {
            Value::Anchor => match self.sight.whose {
                Whose::Individual(_, event) => event.occurred_at,
                Whose::Collective(_, _, day) => day,
            },
            Value::Record(record) => record.fact.time,
            Value::Registry(newest) => newest.time,
            _ => return Err(Stop::Unknown),
        }))
    }

    fn stream(&mut self, of: &'a Tree) -> Got<'a> {
        Ok(Value::Text(match self.value(of)? {
            Value::Anchor => match self.sight.whose {
                Whose::Individual(_, event) => event.stream.name(),
                Whose::Collective(_, group, _) => group.stream.name(),
            },
            Value::Record(record) => record.stream.name(),
            _ => return Err(Stop::Unknown),
        }))
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
        if matches!(of, Tree::Anchor) {
            return self.anchor_field(wanted);
        }
        match self.value(of)? {
            Value::Anchor => self.anchor_field(wanted),
            Value::Record(record) => record_field(record, wanted),
            Value::Registry(newest) if wanted.spec().is_of(Stream::RegistryChange) => {
                let held = match self.sight.whose {
                    Whose::Individual(facts, _) => {
                        ask::registered(facts, newest, self.sight.as_of, wanted)
                    }
                    Whose::Collective(..) => return Err(Stop::Unknown),
                };
                Ok(held.map_or(Value::Unit, |held| Value::of(&held)))
            }
            _ => Err(Stop::Unknown),
        }
    }

    fn anchor_field(&self, wanted: Field) -> Got<'a> {
        let on = &self.sight.core.manifest.on;
        match self.sight.whose {
            Whose::Individual(_, event) => {
                // A field that only another stream of the rule has is not there.
                let is_known = wanted.spec().is_of(event.stream)
                    || on.iter().any(|stream| wanted.spec().is_of(*stream));
                if !is_known {
                    return Err(Stop::Unknown);
                }
                let held = event.fields.get(wanted);
                Ok(held.map_or(Value::Unit, |value| Value::of(&ValueRef::from(value))))
            }
            Whose::Collective(_, group, _) => {
                let by = &self.sight.core.manifest.by;
                let at = by.iter().position(|field| *field == wanted);
                let held = group.values.get(at.ok_or(Stop::Unknown)?);
                let held = held.filter(|value| !value.is_empty());
                Ok(held.map_or(Value::Unit, |value| Value::Text(value)))
            }
        }
    }

    /// The subject's name, as `who.name` gives it.
    fn name(&self) -> Value<'a> {
        let key = self.sight.key;
        let name = match self.sight.whose {
            Whose::Individual(facts, event) => {
                let stated = event.fields.text(field::name);
                stated.or_else(|| ask::name(facts, self.sight.as_of))
            }
            Whose::Collective(..) => None,
        };
        Value::Text(name.unwrap_or(&key.key))
    }

    /// `list[i]`, for a place that is there.
    fn item(&mut self, pair: &'a [Tree; 2]) -> Got<'a> {
        let [list, at] = pair;
        let items = self.value(list)?.items().ok_or(Stop::Unknown)?;
        let Value::Int(at) = self.value(at)? else {
            return Err(Stop::Unknown);
        };
        let at = usize::try_from(at).ok();
        at.and_then(|at| items.get(at)).ok_or(Stop::Unknown)
    }

    fn compare(&mut self, how: Comparison, pair: &'a [Tree; 2]) -> Result<bool, Stop<'a>> {
        self.spend(1)?;
        let [left, right] = pair;
        let left = self.value(left)?;
        // What stands in the rule needs no run.
        let right = match right {
            Tree::Constant(value) => Value::constant(value),
            other => self.value(other)?,
        };
        let order = |holds: fn(Ordering) -> bool| left.order(&right).map(holds);
        let holds = match how {
            Comparison::Equal => left.equals(&right),
            Comparison::NotEqual => left.equals(&right).map(|same| !same),
            Comparison::Less => order(Ordering::is_lt),
            Comparison::LessOrEqual => order(Ordering::is_le),
            Comparison::Greater => order(Ordering::is_gt),
            Comparison::GreaterOrEqual => order(Ordering::is_ge),
        };
        holds.ok_or(Stop::Unknown)
    }

    #[inline(never)]
    fn each(&mut self, each: Each, list: &'a Tree, slot: usize, body: &'a [Step]) -> Got<'a> {
        let items = self.value(list)?.items().ok_or(Stop::Unknown)?;
        let mut kept = Vec::new();
        if each == Each::Map {
            return self.mapped(&items, slot, body);
        }
        for item in items.iter() {
            self.set(slot, item.clone());
            let (Ok(Value::Bool(truth)) | Err(Stop::Return(Value::Bool(truth)))) = self.block(body)
            else {
                return Err(Stop::Unknown);
            };
            match each {
                Each::Some if truth => return Ok(Value::Bool(true)),
                Each::All if !truth => return Ok(Value::Bool(false)),
                Each::Filter if truth => kept.push(item),
                _ => {}
            }
        }
        Ok(match each {
            Each::Some => Value::Bool(false),
            Each::All => Value::Bool(true),
            Each::Filter | Each::Map => Value::List(Rc::new(kept)),
        })
    }

    fn mapped(&mut self, items: &Items<'a>, slot: usize, body: &'a [Step]) -> Got<'a> {
        let mut made = Vec::with_capacity(items.len());
        for item in items.iter() {
            self.set(slot, item);
            let (Ok(value) | Err(Stop::Return(value))) = self.block(body) else {
                return Err(Stop::Unknown);
            };
            made.push(value);
        }
        Ok(Value::List(Rc::new(made)))
    }

    #[inline(never)]
    fn call(&mut self, function: Function, arguments: &'a [Tree]) -> Got<'a> {
        let mut values = arguments.iter();
        let mut next = || values.next().ok_or(Stop::Unknown);
        let first = next()?;
        let first = self.value(first)?;
        let calendar = &self.sight.core.shared.calendar;
        let known = match function {
            Function::Abs => match first {
                Value::Int(number) => number.checked_abs().map(Value::Int),
                Value::Decimal(number) => Some(Value::Decimal(number.abs())),
                _ => None,
            },
            Function::Round => {
                let digits = match arguments.get(1) {
                    None => 0,
                    Some(tree) => int(&self.value(tree)?).ok_or(Stop::Unknown)?,
                };
                match first {
                    Value::Int(number) => Some(Value::Int(number)),
                    Value::Decimal(number) => Some(Value::Decimal(numbers::round(number, digits))),
                    _ => None,
                }
            }
            Function::Len => first.items().map(|items| Value::Int(ask::int(items.len()))),
            Function::IsEmpty => match first.items() {
                Some(items) => Some(Value::Bool(items.len() == 0)),
                None => first.text().map(|text| Value::Bool(text.is_empty())),
            },
            Function::Date => first
                .text()
                .and_then(EventTime::parse)
                .map(|(time, _)| Value::Time(time)),
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

fn record_field(record: Record<'_>, wanted: Field) -> Got<'_> {
    let wanted = if record.is_licence && wanted == field::name {
        field::licence_kind
    } else {
        wanted
    };
    if !wanted.spec().is_of(record.stream) {
        return Err(Stop::Unknown);
    }
    let peek = record.fact.peek().ok_or(Stop::Unknown)?;
    Ok(peek
        .get(wanted)
        .map_or(Value::Unit, |value| Value::of(&value)))
}

//! What an expression of a guard can be, worked out before any fact is seen.
//!
//! An expression is *sure* when it has a value for every subject and every fact: no type that does not fit, no overflow,
//! no window that is too long. Only what is sure may stand before a condition that keeps a rule from being looked at;
//! otherwise the rule might fail there, and a failure is never hidden.
//!
//! cost     at load only

use super::super::who::LIST_LENGTH_MAX;
use super::clause::{self, Atom};
use super::value::Constant;
use super::{Comparison, Each, Function, Operation, Question, Step, Tree, Wanted};
use crate::engine::rule::manifest::Manifest;
use crate::engine::schema::{Field, FieldType, Stream, field};
use crate::engine::subject::facts::STREAM_FACTS_MAX;
use crate::engine::subject::series::COUNT_MAX;
use crate::engine::time::DAY_MS;
use rust_decimal::prelude::ToPrimitive;

const UNIT: u16 = 1;
const BOOL: u16 = 1 << 1;
const INT: u16 = 1 << 2;
const DECIMAL: u16 = 1 << 3;
const TEXT: u16 = 1 << 4;
const TIME: u16 = 1 << 5;
const LIST: u16 = 1 << 6;
const RECORD: u16 = 1 << 7;
const REGISTRY: u16 = 1 << 8;
const ANCHOR: u16 = 1 << 9;
const NUMBER: u16 = INT | DECIMAL;

/// Numbers up to this size can be added, taken away and multiplied once without overflow of either type.
const SIZE_MAX: u64 = 1 << 30;

/// What a value can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds {
    of: u16,
    /// What the items of a list can be.
    item: u16,
    /// The stream of a record, or of the records of a list.
    stream: Option<Stream>,
    /// How far from zero a number can be.
    size: u64,
}

impl Kinds {
    fn of(of: u16) -> Self {
        Self {
            of,
            item: 0,
            stream: None,
            size: u64::MAX,
        }
    }

    fn number(of: u16, size: u64) -> Self {
        Self {
            size,
            ..Self::of(of)
        }
    }

    fn records(of: u16, item: u16, stream: Stream) -> Self {
        Self {
            item,
            stream: Some(stream),
            ..Self::of(of)
        }
    }

    fn is(self, only: u16) -> bool {
        self.of & !only == 0
    }

    /// What it is if it is not `()`.
    pub(super) fn without_unit(self) -> Self {
        Self {
            of: self.of & !UNIT,
            ..self
        }
    }

    /// What an item of a list can be.
    pub(super) fn item(self) -> Self {
        Self {
            stream: self.stream,
            ..Self::of(self.item)
        }
    }

    /// One or the other; `None` for records of different streams.
    pub(super) fn or(self, other: Self) -> Option<Self> {
        let is_one_stream = self.stream == other.stream || self.is(UNIT) || other.is(UNIT);
        is_one_stream.then(|| Self {
            of: self.of | other.of,
            item: self.item | other.item,
            stream: self.stream.or(other.stream),
            size: self.size.max(other.size),
        })
    }

    /// Whether it is true or false.
    pub(super) fn is_bool(self) -> bool {
        self.is(BOOL)
    }

    /// Whether it can be asked whether the other is in it.
    fn contains(self, part: Self) -> bool {
        let is_list = self.is(LIST) && self.item().without_unit().are_ordered(part.without_unit());
        is_list || (self.is(TEXT) && part.is(TEXT))
    }

    /// Whether two values can be compared for order.
    fn are_ordered(self, other: Self) -> bool {
        let both = self.of | other.of;
        [NUMBER, TEXT, TIME, BOOL]
            .iter()
            .any(|kind| both & !kind == 0)
    }
}

/// Works out kinds, with what is known of the variables so far.
#[derive(Debug, Clone)]
pub(super) struct Knowledge<'a> {
    manifest: &'a Manifest,
    slots: Vec<Option<Kinds>>,
    doubts: Vec<Atom>,
}

impl<'a> Knowledge<'a> {
    /// Nothing is known of so many variables.
    pub(super) fn new(manifest: &'a Manifest, slots: usize) -> Self {
        Self {
            manifest,
            slots: vec![None; slots],
            doubts: Vec::new(),
        }
    }

    /// Where one of these holds, what was called sure so far may fail after all.
    pub(super) fn doubts(&self) -> &[Atom] {
        &self.doubts
    }

    fn doubt(&mut self, question: &Question, number: Option<u32>, least: i64) {
        let doubt = clause::asked(question, number, least);
        let is_known = self.doubts.iter().any(|known| match (known, &doubt) {
            (Atom::Asked(a), Atom::Asked(b)) => a.number == b.number && a.least <= b.least,
            (Atom::Facts(a, few), Atom::Facts(b, many)) => a == b && few <= many,
            _ => false,
        });
        if !is_known {
            self.doubts.push(doubt);
        }
    }

    /// What a variable can hold, if it is known.
    pub(super) fn of_slot(&self, slot: usize) -> Option<Kinds> {
        self.slots.get(slot).copied().flatten()
    }

    /// Whether a variable is a list that can be sorted.
    pub(super) fn can_sort(&self, slot: usize) -> bool {
        self.of_slot(slot).is_some_and(|kinds| {
            let item = kinds.item();
            kinds.is(LIST) && (item.is(INT) || item.is(TEXT))
        })
    }

    /// Notes what a variable holds from here on.
    pub(super) fn set(&mut self, slot: usize, kinds: Option<Kinds>) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = kinds;
        }
    }

    /// What an expression can be, if it is sure.
    pub(super) fn kinds(&mut self, tree: &Tree) -> Option<Kinds> {
        Some(match tree {
            Tree::Constant(value) => constant(value),
            Tree::Slot(slot) => (*self.slots.get(*slot)?)?,
            Tree::Anchor => Kinds::of(ANCHOR),
            Tree::Now => Kinds::of(TIME),
            Tree::Name => Kinds::of(TEXT),
            Tree::Field(of, wanted) => {
                let of = self.kinds(of)?;
                self.field(of, *wanted)?
            }
            Tree::Time(of) => {
                let of = self.kinds(of)?;
                of.is(ANCHOR | RECORD | REGISTRY).then(|| Kinds::of(TIME))?
            }
            Tree::Stream(of) => {
                let of = self.kinds(of)?;
                of.is(ANCHOR | RECORD).then(|| Kinds::of(TEXT))?
            }
            Tree::Question(question, number) => {
                if let Question::List(..) = **question {
                    let least = i64::try_from(LIST_LENGTH_MAX).ok()?;
                    self.doubt(question, *number, least.saturating_add(1));
                }
                self.question(question)?
            }
            Tree::And(parts) => self.all_bool(parts, Comparison::NotEqual)?,
            Tree::Or(parts) => self.all_bool(parts, Comparison::Equal)?,
            Tree::Not(of) => self.kinds(of).filter(|kinds| kinds.is_bool())?,
            Tree::Coalesce(parts) => self.coalesce(parts)?,
            Tree::Compare(how, pair) => {
                let [left, right] = &**pair;
                self.compare(*how, left, right)?
            }
            Tree::Arithmetic(what, pair) => {
                let [left, right] = &**pair;
                self.arithmetic(*what, left, right)?
            }
            Tree::Call(function, arguments) => self.call(*function, arguments)?,
            Tree::AnyOf(whole, words) => {
                let whole = self.kinds(whole)?;
                let words = words.constants().iter().map(constant);
                let word = Kinds::of(words.fold(0, |all, kinds| all | kinds.of));
                whole.contains(word).then(|| Kinds::of(BOOL))?
            }
            Tree::Each(each, list, slot, body) => self.each(*each, list, *slot, body)?,
            Tree::Block(steps) => match last_item(steps) {
                Some(slot) => {
                    let list = self.of_slot(slot).filter(|kinds| kinds.is(LIST))?;
                    list.item().or(Kinds::of(UNIT))?
                }
                None => self.kinds(only_value(steps)?)?,
            },
            Tree::Inline(sets, steps) => {
                for (slot, tree) in sets {
                    let kinds = self.kinds(tree);
                    self.set(*slot, Some(kinds?));
                }
                self.kinds(only_value(steps)?)?
            }
            Tree::At(_) | Tree::Negative(_) | Tree::Joined(_) | Tree::Id(_) => return None,
        })
    }

    /// Parts of an `&&` or `||`. Those after `x != ()`, or `x == ()`, are looked at only where the variable is not `()`.
    fn all_bool(&mut self, parts: &[Tree], guarded: Comparison) -> Option<Kinds> {
        let mut narrowed = Vec::new();
        let mut are_sure = true;
        for part in parts {
            are_sure &= self.kinds(part).is_some_and(Kinds::is_bool);
            if let Tree::Compare(how, pair) = part
                && *how == guarded
                && let [Tree::Slot(slot), Tree::Constant(Constant::Unit)] = &**pair
                && let Some(kinds) = self.of_slot(*slot)
            {
                narrowed.push((*slot, kinds));
                self.set(*slot, Some(kinds.without_unit()));
            }
        }
        for (slot, kinds) in narrowed.into_iter().rev() {
            self.set(slot, Some(kinds));
        }
        are_sure.then(|| Kinds::of(BOOL))
    }

    fn field(&self, of: Kinds, wanted: Field) -> Option<Kinds> {
        let held = match wanted.spec().field_type {
            FieldType::Bool => BOOL,
            FieldType::Int => INT,
            FieldType::Decimal => DECIMAL,
            FieldType::Text => TEXT,
            FieldType::Time => TIME,
            FieldType::List => LIST,
        };
        let held = Kinds {
            item: TEXT,
            ..Kinds::of(held | UNIT)
        };
        if of.is(ANCHOR) && self.manifest.is_collective() {
            return self
                .manifest
                .by
                .contains(&wanted)
                .then(|| Kinds::of(TEXT | UNIT));
        }
        let is_known = if of.is(ANCHOR) {
            let mut on = self.manifest.on.iter();
            on.any(|stream| wanted.spec().is_of(*stream))
        } else if of.is(RECORD) {
            // `name` of a licence is another field, a text like the first.
            of.stream.is_some_and(|stream| wanted.spec().is_of(stream))
                || (of.stream == Some(Stream::Licence) && wanted == field::name)
        } else {
            of.is(REGISTRY) && wanted.spec().is_of(Stream::RegistryChange)
        };
        is_known.then_some(held)
    }

    fn coalesce(&mut self, parts: &[Tree]) -> Option<Kinds> {
        let (last, before) = parts.split_last()?;
        let mut all = Kinds::of(0);
        all.size = 0;
        for part in before {
            let kinds = self.kinds(part)?.without_unit();
            all = if all.of == 0 { kinds } else { all.or(kinds)? };
        }
        let last = self.kinds(last)?;
        if all.of == 0 {
            Some(last)
        } else {
            all.or(last)
        }
    }

    fn compare(&mut self, how: Comparison, left: &Tree, right: &Tree) -> Option<Kinds> {
        let (left, right) = (self.kinds(left)?, self.kinds(right)?);
        let are_fit = match how {
            Comparison::Equal | Comparison::NotEqual => {
                left.is(UNIT)
                    || right.is(UNIT)
                    || left.without_unit().are_ordered(right.without_unit())
            }
            _ => left.are_ordered(right),
        };
        are_fit.then(|| Kinds::of(BOOL))
    }

    /// Sums and products of small numbers; a quotient by a number that stands in the rule.
    fn arithmetic(&mut self, what: Operation, left: &Tree, right: &Tree) -> Option<Kinds> {
        let divisor = match right {
            Tree::Constant(Constant::Int(number)) => *number != 0,
            Tree::Constant(Constant::Decimal(number)) => {
                // A quotient is not larger than what is divided.
                rust_decimal::Decimal::ONE <= number.abs()
            }
            _ => false,
        };
        let (left, right) = (self.kinds(left)?, self.kinds(right)?);
        if !left.is(NUMBER) || !right.is(NUMBER) || SIZE_MAX < left.size.max(right.size) {
            return None;
        }
        let of = if left.is(INT) && right.is(INT) {
            INT
        } else {
            DECIMAL
        };
        let size = match what {
            Operation::Add | Operation::Subtract => left.size.saturating_add(right.size),
            Operation::Multiply => left.size.saturating_mul(right.size),
            Operation::Divide if divisor => left.size,
            Operation::Divide => return None,
        };
        Some(Kinds::number(of, size))
    }

    fn call(&mut self, function: Function, arguments: &[Tree]) -> Option<Kinds> {
        let mut kinds = Vec::with_capacity(arguments.len());
        for argument in arguments {
            kinds.push(self.kinds(argument)?);
        }
        Some(match (function, kinds.as_slice()) {
            (Function::Len, [list]) if list.is(LIST) => {
                Kinds::number(INT, u64::try_from(LIST_LENGTH_MAX).ok()?)
            }
            (Function::IsEmpty, [what]) if what.is(LIST) || what.is(TEXT) => Kinds::of(BOOL),
            (Function::Min | Function::Max, [left, right])
                if (left.is(NUMBER) && right.is(NUMBER)) || (left.is(TIME) && right.is(TIME)) =>
            {
                left.or(*right)?
            }
            (Function::Contains, [whole, part]) => {
                whole.contains(*part).then(|| Kinds::of(BOOL))?
            }
            (Function::DaysBetween, [from, to]) if from.is(TIME) && to.is(TIME) => {
                Kinds::number(INT, u64::from(u32::MAX))
            }
            (Function::AddDays, [time, days]) if time.is(TIME) && days.is(INT) => Kinds::of(TIME),
            _ => return None,
        })
    }

    fn each(&mut self, each: Each, list: &Tree, slot: usize, body: &[Step]) -> Option<Kinds> {
        let kinds = self.kinds(list).filter(|kinds| kinds.is(LIST))?;
        self.set(slot, Some(kinds.item()));
        let mut given = only_value(body).and_then(|tree| self.kinds(tree));
        if each != Each::Map {
            given = given.filter(|given| given.is_bool());
        }
        if given.is_none() {
            // A closure that may fail does so only if there is an item.
            let (question, number) = root(list)?;
            self.doubt(question, number, 1);
        }
        Some(match each {
            Each::Some | Each::All => Kinds::of(BOOL),
            Each::Filter => kinds,
            Each::Map => Kinds {
                item: given.map_or(u16::MAX, |given| given.of),
                stream: given.and_then(|given| given.stream),
                ..Kinds::of(LIST)
            },
        })
    }

    fn question(&mut self, question: &Question) -> Option<Kinds> {
        let count = Kinds::number(INT, u64::try_from(STREAM_FACTS_MAX).ok()?);
        if self.manifest.is_collective() {
            return group_count(question);
        }
        Some(match question {
            Question::Count(stream, _, wanted) | Question::CountBy(stream, _, _, wanted) => {
                self.is_sure(*stream, wanted).then_some(count)?
            }
            Question::Distinct(..) => count,
            Question::Average(..) => Kinds::number(DECIMAL, count.size.saturating_mul(7)),
            Question::DaysSince(stream, _, wanted) => self
                .is_sure(*stream, wanted)
                .then(|| Kinds::number(INT | UNIT, u64::from(u32::MAX)))?,
            Question::Last(stream, _, wanted) => self
                .is_sure(*stream, wanted)
                .then(|| Kinds::records(RECORD | UNIT, 0, *stream))?,
            // As long as it is short; see the witness.
            Question::List(stream, _, wanted) => self
                .is_sure(*stream, wanted)
                .then(|| Kinds::records(LIST, RECORD, *stream))?,
            Question::Licence(kind) => self
                .is_text(kind)
                .then(|| Kinds::records(RECORD | UNIT, 0, Stream::Licence))?,
            Question::Licences => Kinds::records(LIST, RECORD, Stream::Licence),
            Question::ListEntry(list) => self
                .is_text(list)
                .then(|| Kinds::records(RECORD | UNIT, 0, Stream::ListChange))?,
            Question::OnList(what) | Question::HasTag(what) => {
                self.is_text(what).then(|| Kinds::of(BOOL))?
            }
            Question::Registry => Kinds::of(REGISTRY | UNIT),
            Question::Sum(..) => return None,
        })
    }

    fn is_text(&mut self, tree: &Tree) -> bool {
        self.kinds(tree).is_some_and(|kinds| kinds.is(TEXT))
    }

    fn is_sure(&mut self, stream: Stream, wanted: &Wanted) -> bool {
        let Wanted::Made(made, _) = wanted else {
            return true;
        };
        made.iter().all(|(field, tree)| {
            let needed = match field.spec().field_type {
                FieldType::Bool => BOOL,
                FieldType::Int => INT,
                FieldType::Decimal => NUMBER,
                FieldType::Text | FieldType::List => TEXT,
                FieldType::Time => return false,
            };
            field.spec().is_of(stream) && self.kinds(tree).is_some_and(|kinds| kinds.is(needed))
        })
    }
}

/// The question whose answer a list is made of.
fn root(list: &Tree) -> Option<(&Question, Option<u32>)> {
    match list {
        Tree::Question(question, number) => Some((question, *number)),
        Tree::Each(Each::Filter | Each::Map, list, ..) => root(list),
        _ => None,
    }
}

/// The variable whose last item `if list.is_empty() { () } else { list[list.len() - 1] }` gives.
pub(super) fn last_item(steps: &[Step]) -> Option<usize> {
    let [Step::If(Tree::Call(Function::IsEmpty, list), yes, no)] = steps else {
        return None;
    };
    let [Tree::Slot(slot)] = list.as_slice() else {
        return None;
    };
    let is_slot = |tree: &Tree| matches!(tree, Tree::Slot(same) if same == slot);
    let is_unit = match only_value(yes) {
        None => yes.iter().all(|step| matches!(step, Step::Nothing)),
        Some(tree) => matches!(tree, Tree::Constant(Constant::Unit)),
    };
    let Tree::At(pair) = only_value(no)? else {
        return None;
    };
    let [of, Tree::Arithmetic(Operation::Subtract, place)] = &**pair else {
        return None;
    };
    let [
        Tree::Call(Function::Len, counted),
        Tree::Constant(Constant::Int(1)),
    ] = &**place
    else {
        return None;
    };
    let is_same = is_slot(of) && matches!(counted.as_slice(), [of] if is_slot(of));
    (is_unit && is_same).then_some(*slot)
}

/// The expression that a block is, if it is nothing else.
pub(super) fn only_value(steps: &[Step]) -> Option<&Tree> {
    let mut steps = steps.iter().filter(|step| !matches!(step, Step::Nothing));
    match (steps.next(), steps.next()) {
        (Some(Step::Value(tree) | Step::Return(Some(tree))), None) => Some(tree),
        _ => None,
    }
}

fn constant(value: &Constant) -> Kinds {
    match value {
        Constant::Unit => Kinds::of(UNIT),
        Constant::Bool(_) => Kinds::of(BOOL),
        Constant::Int(number) => Kinds::number(INT, number.unsigned_abs()),
        Constant::Decimal(number) => {
            let size = number.abs().ceil().to_u64();
            Kinds::number(DECIMAL, size.unwrap_or(u64::MAX))
        }
        Constant::Text(_) => Kinds::of(TEXT),
        Constant::List(items) => {
            let item = items
                .iter()
                .map(constant)
                .fold(0, |all, kinds| all | kinds.of);
            Kinds {
                item,
                ..Kinds::of(LIST)
            }
        }
    }
}

/// What is counted of a group, by whole days.
fn group_count(question: &Question) -> Option<Kinds> {
    let count_max = u64::try_from(COUNT_MAX).ok()?;
    let (span, is_average) = match question {
        Question::Count(_, span, Wanted::All) | Question::Distinct(_, _, span) => (span, false),
        Question::Average(_, span, _) => (span, true),
        _ => return None,
    };
    let is_whole = DAY_MS <= span.ms && span.ms % DAY_MS == 0;
    let kinds = if is_average {
        Kinds::number(DECIMAL, count_max.saturating_mul(7))
    } else {
        Kinds::number(INT, count_max)
    };
    is_whole.then_some(kinds)
}

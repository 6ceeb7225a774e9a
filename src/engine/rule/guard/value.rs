//! The values of a guard: those of Rhai that it understands, borrowed from the facts and the tree.

use crate::engine::schema::Stream;
use crate::engine::subject::facts::Fact;
use crate::engine::subject::peek::ValueRef;
use crate::engine::time::EventTime;
use memchr::memmem::Finder;
use rhai::{Array, Dynamic};
use rust_decimal::Decimal;
use std::cmp::Ordering;
use std::rc::Rc;

/// A value that stands in the rule.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::engine::rule) enum Constant {
    Unit,
    Bool(bool),
    Int(i64),
    Decimal(Decimal),
    Text(Box<str>),
    List(Vec<Constant>),
}

impl Constant {
    /// The constant that a literal is, if it is one that guards understand.
    pub(super) fn read(value: &Dynamic) -> Option<Self> {
        if value.is_unit() {
            Some(Self::Unit)
        } else if let Ok(value) = value.as_bool() {
            Some(Self::Bool(value))
        } else if let Ok(value) = value.as_int() {
            Some(Self::Int(value))
        } else if let Ok(value) = value.as_decimal() {
            Some(Self::Decimal(value))
        } else if value.is_string() {
            Some(Self::Text(value.to_string().into()))
        } else {
            let items = value.read_lock::<Array>()?;
            items
                .iter()
                .map(Self::read)
                .collect::<Option<_>>()
                .map(Self::List)
        }
    }
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Unit,
    Bool(bool),
    Int(i64),
    Decimal(Decimal),
    Text(&'a str),
    /// A text that the guard put together.
    Made(Rc<String>),
    Time(EventTime),
    /// A list that stands in the rule.
    Fixed(&'a [Constant]),
    List(Rc<Vec<Value<'a>>>),
    Record(Record<'a>),
    /// The registration: its newest fact.
    Registry(&'a Fact),
    Anchor,
}

/// The items of a list.
#[derive(Debug, Clone)]
pub(super) enum Items<'a> {
    Fixed(&'a [Constant]),
    Made(Rc<Vec<Value<'a>>>),
}

impl<'a> Items<'a> {
    /// How many.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Fixed(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    /// One of them.
    pub(super) fn get(&self, at: usize) -> Option<Value<'a>> {
        match self {
            Self::Fixed(items) => items.get(at).map(Value::constant),
            Self::Made(items) => items.get(at).cloned(),
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

/// A fact.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub fact: &'a Fact,
    pub stream: Stream,
    pub is_licence: bool,
}

/// Words that stand in the rule, ready to be looked for.
#[derive(Debug, Clone)]
pub(in crate::engine::rule) struct Words {
    constants: Vec<Constant>,
    /// One for each, if all are texts.
    finders: Vec<Finder<'static>>,
}

impl Words {
    /// The words of a list.
    pub(super) fn new(constants: &[Constant]) -> Self {
        let finders: Option<Vec<_>> = constants
            .iter()
            .map(|word| match word {
                Constant::Text(text) => Some(Finder::new(text.as_bytes()).into_owned()),
                _ => None,
            })
            .collect();
        Self {
            constants: constants.to_vec(),
            finders: finders.unwrap_or_default(),
        }
    }

    /// As they stand in the rule.
    pub(super) fn constants(&self) -> &[Constant] {
        &self.constants
    }

    /// What looks for them in a text, if all are texts.
    pub(super) fn finders(&self) -> Option<impl Iterator<Item = &Finder<'static>>> {
        (self.finders.len() == self.constants.len()).then(|| self.finders.iter())
    }
}

impl<'a> Value<'a> {
    /// A list of texts.
    pub(super) fn texts(texts: impl Iterator<Item = &'a str>) -> Self {
        Self::List(Rc::new(texts.map(Value::Text).collect()))
    }

    /// What a field holds.
    pub(super) fn of(value: &ValueRef<'a>) -> Self {
        match value {
            ValueRef::Bool(value) => Self::Bool(*value),
            ValueRef::Int(value) => Self::Int(*value),
            ValueRef::Decimal(value) => Self::Decimal(*value),
            ValueRef::Text(value) => Self::Text(value),
            ValueRef::Time(time, _) => Self::Time(*time),
            ValueRef::List(values) => Self::texts(values.iter().copied()),
        }
    }

    /// What stands in the rule.
    pub(super) fn constant(value: &'a Constant) -> Self {
        match value {
            Constant::Unit => Self::Unit,
            Constant::Bool(value) => Self::Bool(*value),
            Constant::Int(value) => Self::Int(*value),
            Constant::Decimal(value) => Self::Decimal(*value),
            Constant::Text(value) => Self::Text(value),
            Constant::List(values) => Self::Fixed(values),
        }
    }

    /// The items, if it is a list.
    pub(super) fn items(&self) -> Option<Items<'a>> {
        match self {
            Self::Fixed(items) => Some(Items::Fixed(items)),
            Self::List(items) => Some(Items::Made(Rc::clone(items))),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Made(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is `()`.
    pub(super) fn is_unit(&self) -> bool {
        matches!(self, Self::Unit)
    }

    /// The number, as a decimal one.
    pub(super) fn number(&self) -> Option<Decimal> {
        match self {
            Self::Int(value) => Some(Decimal::from(*value)),
            Self::Decimal(value) => Some(*value),
            _ => None,
        }
    }

    /// How two values stand to each other; `None` where Rhai fails or guards do not know.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            _ => match self.text().zip(other.text()) {
                Some((a, b)) => Some(a.cmp(b)),
                None => Some(self.number()?.cmp(&other.number()?)),
            },
        }
    }

    /// Whether two values are the same; `None` where Rhai fails or guards do not know.
    pub(super) fn equals(&self, other: &Self) -> Option<bool> {
        if self.is_unit() || other.is_unit() {
            return Some(self.is_unit() && other.is_unit());
        }
        self.order(other).map(Ordering::is_eq)
    }
}

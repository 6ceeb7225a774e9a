//! The values of a guard: those of Rhai that it understands, borrowed from the facts and the tree.

use crate::engine::schema::{Field, Stream};
use crate::engine::subject::facts::Fact;
use crate::engine::subject::peek::{Peek, ValueRef};
use crate::engine::time::EventTime;
use rhai::{Array, Dynamic};
use rust_decimal::Decimal;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A value that stands in the rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constant {
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
    Made(Rc<str>),
    Time(EventTime),
    List(Rc<Vec<Value<'a>>>),
    Record(Record<'a>),
    Registry(Rc<Registry<'a>>),
    Anchor,
}

/// A fact.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub fact: &'a Fact,
    pub peek: Peek<'a>,
    pub stream: Stream,
    pub is_licence: bool,
}

/// The registration.
#[derive(Debug)]
pub(super) struct Registry<'a> {
    pub time: EventTime,
    pub fields: BTreeMap<Field, ValueRef<'a>>,
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
            Constant::List(values) => {
                Self::List(Rc::new(values.iter().map(Value::constant).collect()))
            }
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

//! A stored fact's fields without taking them apart: texts stay where they are.
//!
//! A rule that filters a window looks into every fact of it. Decoding each into an [`Event`](crate::engine::event::Event)
//! costs about ten allocations; a [`Peek`] borrows the texts from the stored bytes and costs two.

use crate::engine::event::{Op, Rank, SubjectKind, Value};
use crate::engine::schema::Field;
use crate::engine::time::{EventTime, Precision};
use rust_decimal::Decimal;
use serde::Deserialize;

/// What a field holds, borrowed; the variants stand in the order of [`Value`], whose bytes it reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum ValueRef<'a> {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// An exact decimal number.
    Decimal(#[serde(with = "rust_decimal::serde::str")] Decimal),
    /// Text.
    Text(#[serde(borrow)] &'a str),
    /// A time and how exactly it is known.
    Time(EventTime, Precision),
    /// Several codes or words.
    List(#[serde(borrow)] Vec<&'a str>),
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Decimal(value) => Self::Decimal(*value),
            Value::Text(value) => Self::Text(value),
            Value::Time(time, precision) => Self::Time(*time, *precision),
            Value::List(values) => Self::List(values.iter().map(AsRef::as_ref).collect()),
        }
    }
}

impl ValueRef<'_> {
    /// The same, owned.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Decimal(value) => Value::Decimal(*value),
            Self::Text(value) => Value::Text((*value).into()),
            Self::Time(time, precision) => Value::Time(*time, *precision),
            Self::List(values) => Value::List(values.iter().map(|v| (*v).into()).collect()),
        }
    }
}

/// The fields of a stored fact.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Peek<'a> {
    #[serde(borrow)]
    source: &'a str,
    #[serde(borrow)]
    record_id: &'a str,
    rank: Rank,
    op: Op,
    arrived_at: EventTime,
    #[serde(borrow)]
    subjects: Vec<(SubjectKind, &'a str)>,
    #[serde(borrow)]
    fields: Vec<(Field, ValueRef<'a>)>,
}

impl<'a> Peek<'a> {
    /// Looks into the bytes of a fact.
    pub(super) fn of(body: &'a [u8]) -> Option<Self> {
        postcard::from_bytes(body).ok()
    }

    /// What the field holds, if it is there.
    pub fn get(&self, field: Field) -> Option<&ValueRef<'a>> {
        let at = self.fields.binary_search_by_key(&field, |(f, _)| *f).ok()?;
        self.fields.get(at).map(|(_, value)| value)
    }

    /// The field's text, if it holds one.
    pub fn text(&self, field: Field) -> Option<&'a str> {
        match self.get(field) {
            Some(ValueRef::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The fields in the order of the schema.
    pub fn iter(&self) -> impl Iterator<Item = (Field, &ValueRef<'a>)> {
        self.fields.iter().map(|(field, value)| (*field, value))
    }

    /// How evidence names the fact: `source/record id@version`.
    pub fn id(&self) -> String {
        format!("{}/{}@{}", self.source, self.record_id, self.rank.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{Event, Fields, SubjectKey, Validity};
    use crate::engine::schema::{Stream, field};
    use crate::engine::subject::facts::Fact;

    #[test]
    fn a_peek_sees_what_was_stored() {
        let (time, precision) = EventTime::parse("2026-03-01 08:30:00").unwrap();
        let mut fields = Fields::new();
        for (field, value) in [
            (field::name, Value::Text("甲公司".into())),
            (field::is_malicious, Value::Bool(true)),
            (field::group_size, Value::Int(-3)),
            (field::amount, Value::Decimal(Decimal::new(12_000_050, 2))),
            (field::accepted_at, Value::Time(time, precision)),
            (
                field::keywords,
                Value::List(Box::new(["闭店".into(), "".into()])),
            ),
        ] {
            fields.set(field, value);
        }
        let event = Event {
            source: "s".into(),
            record_id: "工单 1".into(),
            version: 7,
            op: Op::Update,
            stream: Stream::Complaint,
            occurred_at: time,
            precision,
            arrived_at: time,
            validity: Validity::Valid,
            subjects: vec![SubjectKey::new(SubjectKind::Region, "320106")],
            fields,
        };
        let fact = Fact::of(&event, event.rank());
        let peek = fact.peek().unwrap();
        assert_eq!(peek.id(), event.id());
        assert_eq!(peek.text(field::name), Some("甲公司"));
        assert_eq!(peek.get(field::topic), None);
        let seen: Vec<_> = peek
            .iter()
            .map(|(field, value)| (field, value.to_value()))
            .collect();
        let kept: Vec<_> = event
            .fields
            .iter()
            .map(|(field, value)| (field, value.clone()))
            .collect();
        assert_eq!(seen, kept);
        for (_, value) in event.fields.iter() {
            assert_eq!(&ValueRef::from(value).to_value(), value);
        }
    }
}

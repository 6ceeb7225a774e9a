//! A stored fact's fields without taking them apart: texts stay where they are.
//!
//! A rule that filters a window looks into every fact of it. Decoding each into an [`Event`](crate::engine::event::Event)
//! costs about ten allocations; a [`Peek`] reads one field where it stands and costs none.

use super::body;
use crate::engine::event::{Rank, Value};
use crate::engine::schema::Field;
use crate::engine::time::{EventTime, Precision};
use rust_decimal::Decimal;
use serde::Deserialize;

/// What a field holds, borrowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueRef<'a> {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// An exact decimal number.
    Decimal(Decimal),
    /// Text.
    Text(&'a str),
    /// A time and how exactly it is known.
    Time(EventTime, Precision),
    /// Several codes or words.
    List(Vec<&'a str>),
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
#[derive(Debug, Clone, Copy)]
pub struct Peek<'a> {
    body: &'a [u8],
    table: &'a [u8],
    values: &'a [u8],
}

#[derive(Deserialize)]
struct Name<'a> {
    source: &'a str,
    record_id: &'a str,
    rank: Rank,
}

impl<'a> Peek<'a> {
    /// Looks into the bytes of a fact.
    pub(super) fn of(body: &'a [u8]) -> Option<Self> {
        let (table, values) = body::split(body)?;
        Some(Self {
            body,
            table,
            values,
        })
    }

    fn bytes(&self, field: Field) -> Option<&'a [u8]> {
        let mut from = 0_usize;
        for (held, length) in body::rows(self.table) {
            if field <= held {
                return (field == held)
                    .then(|| self.values.get(from..from.saturating_add(length)))
                    .flatten();
            }
            from = from.saturating_add(length);
        }
        None
    }

    /// What the field holds, if it is there.
    pub fn get(&self, field: Field) -> Option<ValueRef<'a>> {
        body::value(self.bytes(field)?)
    }

    /// The field's text, if it holds one.
    pub fn text(&self, field: Field) -> Option<&'a str> {
        match self.get(field) {
            Some(ValueRef::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether the field holds this very text.
    pub fn is_text(&self, field: Field, text: &str) -> bool {
        matches!(
            self.bytes(field).and_then(<[u8]>::split_first),
            Some((&body::TEXT, held)) if held == text.as_bytes()
        )
    }

    /// Whether the field holds a list with one of these words.
    pub fn list_has(&self, field: Field, words: &[Box<str>]) -> bool {
        self.bytes(field)
            .is_some_and(|bytes| body::list_has(bytes, words))
    }

    /// The fields in the order of the schema.
    pub fn iter(&self) -> impl Iterator<Item = (Field, ValueRef<'a>)> + use<'a> {
        let values = self.values;
        let mut from = 0_usize;
        body::rows(self.table).filter_map(move |(field, length)| {
            let to = from.saturating_add(length);
            let bytes = values.get(from..to)?;
            from = to;
            Some((field, body::value(bytes)?))
        })
    }

    /// How evidence names the fact: `source/record id@version`.
    pub fn id(&self) -> String {
        let name =
            body::tail(self.body).and_then(|tail| postcard::take_from_bytes::<Name<'_>>(tail).ok());
        name.map_or_else(String::new, |(name, _)| {
            format!("{}/{}@{}", name.source, name.record_id, name.rank.version)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{Event, Fields, Op, SubjectKey, SubjectKind, Validity};
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

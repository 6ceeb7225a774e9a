//! A stored fact's fields without taking them apart: texts stay where they are.
//!
//! A rule that filters a window looks into every fact of it. Decoding each into an [`Event`](crate::engine::event::Event)
//! costs about ten allocations; a [`Peek`] reads one field where it stands and costs none.

use super::body::Content;
use crate::engine::event::Value;
use crate::engine::schema::Field;
use crate::engine::time::{EventTime, Precision};
use rust_decimal::Decimal;

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
    content: Content<'a>,
}

impl<'a> Peek<'a> {
    /// Looks into the content of a fact.
    pub(super) fn of(content: Content<'a>) -> Self {
        Self { content }
    }

    /// What the field holds, if it is there.
    pub fn get(&self, field: Field) -> Option<ValueRef<'a>> {
        self.content.value(self.content.find(field)?)
    }

    /// The field's text, if it holds one.
    pub fn text(&self, field: Field) -> Option<&'a str> {
        self.content.text(self.content.find(field)?)
    }

    /// Whether the field holds this very text.
    pub fn is_text(&self, field: Field, text: &str) -> bool {
        self.text(field) == Some(text)
    }

    /// Whether the field holds a list with one of these words.
    pub fn list_has(&self, field: Field, words: &[Box<str>]) -> bool {
        let place = self.content.find(field);
        place.is_some_and(|place| self.content.list_has(place, words))
    }

    /// The fields in the order of the schema.
    pub fn iter(&self) -> impl Iterator<Item = (Field, ValueRef<'a>)> + use<'a> {
        self.content.iter()
    }

    /// How evidence names the fact: `source/record id@version`.
    pub fn id(&self) -> String {
        let name = self.content.name();
        name.map_or_else(String::new, |(source, record_id, version)| {
            format!("{source}/{record_id}@{version}")
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
        let fact = Fact::of(&event);
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

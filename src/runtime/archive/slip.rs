//! An event on its way from the archive to the judgement: borrowed from the columns, narrowed to what can be looked at.
//!
//! Taking an event apart into owned pieces costs more than judging it. A slip borrows its texts from the columns that were
//! read; [`parcel`](super::parcel) packs it for the bucket of its subject, and it becomes an event only when that is judged.

use crate::engine::event::{
    Event, Fields, Op, Rank, RecordKey, SubjectKey, SubjectKind, Validity, Value,
};
use crate::engine::rule::RuleSet;
use crate::engine::schema::{Field, Stream};
use crate::engine::time::{EventTime, Precision};
use rust_decimal::Decimal;
use std::sync::Arc;

/// What a field holds, borrowed. A decimal is its sixteen bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// An exact decimal number.
    Decimal([u8; 16]),
    /// Text.
    Text(&'a str),
    /// A time and how exactly it is known.
    Time(EventTime, Precision),
    /// Several codes or words.
    List(Vec<&'a str>),
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip<'a> {
    /// The input's number.
    pub seq: u64,
    /// The identity of the record.
    pub key: RecordKey,
    /// The order of this version.
    pub rank: Rank,
    /// As in [`Event`].
    pub op: Op,
    /// As in [`Event`].
    pub stream: Stream,
    /// As in [`Event`].
    pub occurred_at: EventTime,
    /// As in [`Event`].
    pub precision: Precision,
    /// As in [`Event`].
    pub arrived_at: EventTime,
    /// As in [`Event`].
    pub validity: Validity,
    /// As in [`Event`].
    pub source: &'a str,
    /// As in [`Event`].
    pub record_id: &'a str,
    /// All individuals, and the collectives that count it.
    pub subjects: Vec<(SubjectKind, &'a str)>,
    /// The fields that can be looked at, by row, in the order of the schema.
    pub fields: Vec<(Field, Piece<'a>)>,
}

/// What is read of an archive.
#[derive(Debug, Clone)]
pub struct Wanted {
    fields: Vec<bool>,
    /// By kind and stream, see [`seat`].
    subjects: Vec<bool>,
}

/// Where a kind of subject and a stream stand in [`Wanted::subjects`].
fn seat(kind: SubjectKind, stream: Stream) -> usize {
    number(kind) * STREAMS + stream_number(stream)
}

/// How many streams there are.
const STREAMS: usize = Stream::ALL.len() + Stream::UNREAD.len();

/// A kind's place in [`SubjectKind::ALL`].
pub(super) fn number(kind: SubjectKind) -> usize {
    SubjectKind::ALL
        .iter()
        .position(|k| *k == kind)
        .unwrap_or(0)
}

/// A stream's place in [`Stream::ALL`]; what no rule reads stands behind them.
pub(super) fn stream_number(stream: Stream) -> usize {
    let mut all = Stream::ALL.iter().chain(&Stream::UNREAD);
    all.position(|s| *s == stream).unwrap_or(STREAMS - 1)
}

/// The stream at such a place.
pub(super) fn stream_at(number: usize) -> Option<Stream> {
    match number.checked_sub(Stream::ALL.len()) {
        None => Stream::ALL.get(number).copied(),
        Some(behind) => Stream::UNREAD.get(behind).copied(),
    }
}

impl Wanted {
    /// What these rule sets can look at, and these fields besides.
    pub fn of(sets: &[Arc<RuleSet>], besides: &[Field]) -> Self {
        let mut fields = vec![false; usize::from(u8::MAX) + 1];
        let read = sets.iter().flat_map(|set| set.fields());
        for field in read.chain(besides.iter().copied()) {
            if let Some(slot) = fields.get_mut(usize::from(field.row())) {
                *slot = true;
            }
        }
        let streams = Stream::ALL.into_iter().chain(Stream::UNREAD);
        let seats = SubjectKind::ALL
            .into_iter()
            .flat_map(|kind| streams.clone().map(move |stream| (kind, stream)));
        let subjects = seats
            .map(|(kind, stream)| {
                !kind.is_collective() || sets.iter().any(|set| set.counts(kind, stream))
            })
            .collect();
        Self { fields, subjects }
    }

    /// Everything.
    pub fn all() -> Self {
        Self {
            fields: vec![true; usize::from(u8::MAX) + 1],
            subjects: vec![true; SubjectKind::ALL.len() * STREAMS],
        }
    }

    /// Whether the field is read.
    pub fn field(&self, field: Field) -> bool {
        let wanted = self.fields.get(usize::from(field.row()));
        wanted.copied().unwrap_or(false)
    }

    /// Whether such a subject of a fact of this stream matters.
    pub fn subject(&self, kind: SubjectKind, stream: Stream) -> bool {
        let wanted = self.subjects.get(seat(kind, stream));
        wanted.copied().unwrap_or(true)
    }
}

impl<'a> From<&'a Value> for Piece<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Bool(is) => Self::Bool(*is),
            Value::Int(number) => Self::Int(*number),
            Value::Decimal(number) => Self::Decimal(number.serialize()),
            Value::Text(text) => Self::Text(text),
            Value::Time(time, precision) => Self::Time(*time, *precision),
            Value::List(list) => Self::List(list.iter().map(AsRef::as_ref).collect()),
        }
    }
}

impl Piece<'_> {
    fn to_value(&self) -> Value {
        match self {
            Self::Bool(is) => Value::Bool(*is),
            Self::Int(number) => Value::Int(*number),
            Self::Decimal(bytes) => Value::Decimal(Decimal::deserialize(*bytes)),
            Self::Text(text) => Value::Text((*text).into()),
            Self::Time(time, precision) => Value::Time(*time, *precision),
            Self::List(list) => Value::List(list.iter().map(|text| (*text).into()).collect()),
        }
    }
}

impl<'a> Slip<'a> {
    /// The slip of an event.
    pub fn of(seq: u64, event: &'a Event, wanted: &Wanted) -> Self {
        let subjects = event.subjects.iter();
        let fields = event.fields.iter();
        Self {
            seq,
            key: event.record_key(),
            rank: event.rank(),
            op: event.op,
            stream: event.stream,
            occurred_at: event.occurred_at,
            precision: event.precision,
            arrived_at: event.arrived_at,
            validity: event.validity,
            source: &event.source,
            record_id: &event.record_id,
            subjects: subjects
                .filter(|s| wanted.subject(s.kind, event.stream))
                .map(|s| (s.kind, s.key.as_ref()))
                .collect(),
            fields: fields
                .filter(|(field, _)| wanted.field(*field))
                .map(|(field, value)| (field, value.into()))
                .collect(),
        }
    }

    /// Whether this version says that the fact stands.
    pub fn is_live(&self) -> bool {
        self.op != Op::Delete && self.validity == Validity::Valid
    }

    /// What a field holds.
    pub fn get(&self, field: Field) -> Option<Value> {
        let mut fields = self.fields.iter();
        fields
            .find(|(f, _)| *f == field)
            .map(|(_, piece)| piece.to_value())
    }

    /// The event, as far as it was read.
    pub fn event(&self) -> Event {
        let mut fields = Fields::with_capacity(self.fields.len());
        for (field, piece) in &self.fields {
            fields.set(*field, piece.to_value());
        }
        Event {
            source: self.source.into(),
            record_id: self.record_id.into(),
            version: self.rank.version,
            op: self.op,
            stream: self.stream,
            occurred_at: self.occurred_at,
            precision: self.precision,
            arrived_at: self.arrived_at,
            validity: self.validity,
            subjects: self
                .subjects
                .iter()
                .map(|(kind, key)| SubjectKey::new(*kind, key))
                .collect(),
            fields,
        }
    }
}

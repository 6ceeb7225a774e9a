//! One canonical fact about subjects, as every stage after the connector sees it.
//!
//! An [`Event`] says what happened (`stream`, `fields`), when (`occurred_at` with its precision), how a source changed
//! its mind (`op`, `version`, `validity`) and whom it concerns (`subjects`). The first subject is its *home*: the
//! individual that keeps the fact. Regions, industries and departments only count it.
//!
//! Identity is (source system, record id), [`Event::record_key`]. Of two versions of a record the one with the greater
//! [`Event::rank`] holds, whatever the order of arrival.
//!
//! shape    about 25 fields of the 90 in [`super::schema`]; absent fields take no room
//! units    amounts in yuan; times as [`EventTime`]

use super::schema::{Field, Stream};
use super::time::{EventTime, Precision};
use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sm3::{Digest, Sm3};
use std::fmt;

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// An exact decimal number: money in yuan, a ratio.
    Decimal(#[serde(with = "rust_decimal::serde::str")] Decimal),
    /// Text, at most 1,024 bytes.
    Text(CompactString),
    /// A time and how exactly it is known.
    Time(EventTime, Precision),
    /// Several codes or words, at most 64.
    List(Box<[Box<str>]>),
}

/// What the source did with its record (`cd_operation`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// A new record.
    #[default]
    Insert,
    /// A later version of a record.
    Update,
    /// The record is taken back.
    Delete,
}

/// Whether the fact may still be used.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Validity {
    /// The fact stands.
    #[default]
    Valid,
    /// The act was revoked or declared void (撤销).
    Revoked,
    /// The reporter took it back (撤回).
    Retracted,
    /// Credit was repaired: the fact must not be used any more (信用修复).
    Repaired,
    /// Its publicity is suspended in a reorganisation (屏蔽).
    Shielded,
    /// The source deleted the record.
    Deleted,
}

impl Validity {
    /// The word that warnings use for it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Valid => "有效",
            Self::Revoked => "已撤销",
            Self::Retracted => "已撤回",
            Self::Repaired => "已信用修复",
            Self::Shielded => "已屏蔽",
            Self::Deleted => "已删除",
        }
    }
}

/// What kind of thing is supervised or watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// An enterprise, self-employed business, institution: key is the unified social credit code (USCC).
    Enterprise,
    /// A natural person: key is a keyed hash.
    Person,
    /// A licence or licensed establishment: key is the licence number.
    Licence,
    /// A place: key is a normalised address or coordinates.
    Place,
    /// Special equipment.
    Equipment,
    /// A project.
    Project,
    /// A record whose subject could not be resolved: key is `source/record id`. It waits for resolution.
    Unresolved,
    /// A region: key is a GB/T 2260 code of 6 digits (district, or city ending in 00).
    Region,
    /// An industry: key is the section letter of GB/T 4754.
    Industry,
    /// A department: key is its USCC, else its name.
    Department,
}

impl SubjectKind {
    /// All kinds, individuals first.
    pub const ALL: [Self; 10] = [
        Self::Enterprise,
        Self::Person,
        Self::Licence,
        Self::Place,
        Self::Equipment,
        Self::Project,
        Self::Unresolved,
        Self::Region,
        Self::Industry,
        Self::Department,
    ];

    /// The word in subject keys, connectors and rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enterprise => "enterprise",
            Self::Person => "person",
            Self::Licence => "licence",
            Self::Place => "place",
            Self::Equipment => "equipment",
            Self::Project => "project",
            Self::Unresolved => "unresolved",
            Self::Region => "region",
            Self::Industry => "industry",
            Self::Department => "department",
        }
    }

    /// The kind with this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// A collective counts what happens in it and keeps no single facts; its state is bounded whatever it sees.
    pub fn is_collective(self) -> bool {
        matches!(self, Self::Region | Self::Industry | Self::Department)
    }
}

/// Who or what a fact concerns, written `enterprise:91320100…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubjectKey {
    /// What kind of thing it is.
    pub kind: SubjectKind,
    /// Its key within the kind, at most 200 bytes; up to 24 stand here, as a code of 18 does, and have no memory of their own.
    pub key: CompactString,
}

impl SubjectKey {
    /// A subject of this kind and key.
    pub fn new(kind: SubjectKind, key: &str) -> Self {
        Self {
            kind,
            key: key.into(),
        }
    }

    /// Reads `kind:key`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, key) = text.split_once(':')?;
        (!key.is_empty()).then_some(Self::new(SubjectKind::by_name(kind)?, key))
    }

    /// The shard that owns this subject: `murmur2(key) % shards`, as Kafka's default partitioner has it.
    pub fn shard(&self, shards: u32) -> u32 {
        if shards <= 1 {
            return 0;
        }
        // Its text, put together without the machinery of formats and where possible in place: this is asked for every fact.
        let parts = [self.kind.name(), ":", &self.key].map(str::as_bytes);
        let mut room = [0_u8; 96];
        let mut length = 0;
        for part in parts {
            let end = length + part.len();
            let Some(place) = room.get_mut(length..end) else {
                return owner(&parts.concat(), shards);
            };
            place.copy_from_slice(part);
            length = end;
        }
        owner(room.get(..length).unwrap_or_default(), shards)
    }
}

fn owner(text: &[u8], shards: u32) -> u32 {
    (super::hash::murmur2(text) & 0x7fff_ffff) % shards
}

impl fmt::Display for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.key)
    }
}

/// The identity of a source record: the first 128 bits of SM3(source system, 0, record id).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordKey(pub [u8; 16]);

impl RecordKey {
    /// The key of record `record_id` of system `source`.
    pub fn of(source: &str, record_id: &str) -> Self {
        let mut hash = Sm3::new();
        hash.update(source.as_bytes());
        hash.update([0]);
        hash.update(record_id.as_bytes());
        Self(super::hash::first_16(&hash.finalize()))
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::hash::hex(&self.0))
    }
}

/// The fields of an event: each once, in the order of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Fields(Vec<(Field, Value)>);

impl Fields {
    /// No fields.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// No fields yet, with room for `count`.
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// What the field holds, if it is there.
    pub fn get(&self, field: Field) -> Option<&Value> {
        self.0
            .binary_search_by_key(&field, |(f, _)| *f)
            .ok()
            .and_then(|at| self.0.get(at))
            .map(|(_, v)| v)
    }

    /// The field's text, if it holds one.
    pub fn text(&self, field: Field) -> Option<&str> {
        match self.get(field) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Sets a field, replacing what it held.
    pub fn set(&mut self, field: Field, value: Value) {
        if self.0.last().is_none_or(|(last, _)| *last < field) {
            self.0.push((field, value));
            return;
        }
        match self.0.binary_search_by_key(&field, |(f, _)| *f) {
            Ok(at) => {
                if let Some(slot) = self.0.get_mut(at) {
                    slot.1 = value;
                }
            }
            Err(at) => self.0.insert(at, (field, value)),
        }
    }

    /// The fields in which two differ, in the order of the schema.
    pub fn differing(&self, other: &Self) -> Vec<Field> {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut fields = Vec::new();
        while let Some(field) = mine
            .peek()
            .into_iter()
            .chain(theirs.peek())
            .map(|(f, _)| *f)
            .min()
        {
            let value = mine.next_if(|(f, _)| *f == field);
            let other = theirs.next_if(|(f, _)| *f == field);
            if value != other {
                fields.push(field);
            }
        }
        fields
    }

    /// The fields in the order of the schema.
    pub fn iter(&self) -> impl Iterator<Item = (Field, &Value)> {
        self.0.iter().map(|(field, value)| (*field, value))
    }
}

/// One canonical fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The source system's code (`cd_source` or the connector's own).
    pub source: CompactString,
    /// The record's key in that system (`cd_id`).
    pub record_id: CompactString,
    /// The source's own time of this version, ms since 1970-01-01 UTC, or another number that grows (`cd_time`).
    pub version: i64,
    /// What the source did.
    pub op: Op,
    /// What kind of fact it is.
    pub stream: Stream,
    /// When it happened.
    pub occurred_at: EventTime,
    /// How exactly that is known.
    pub precision: Precision,
    /// When it reached us by the source's own words: exchange time, else report time, else `occurred_at`.
    pub arrived_at: EventTime,
    /// Whether it may still be used.
    pub validity: Validity,
    /// Whom it concerns, the home first. Never empty: a record without a subject is its own `unresolved` subject.
    pub subjects: Vec<SubjectKey>,
    /// What it says.
    pub fields: Fields,
}

impl Event {
    /// The identity of the record that this event is a version of.
    pub fn record_key(&self) -> RecordKey {
        RecordKey::of(&self.source, &self.record_id)
    }

    /// How evidence names this version: `source/record id@version`.
    pub fn id(&self) -> String {
        format!("{}/{}@{}", self.source, self.record_id, self.version)
    }

    /// Whether this version says that the fact stands.
    pub fn is_live(&self) -> bool {
        self.op != Op::Delete && self.validity == Validity::Valid
    }

    /// The individual that keeps this fact.
    pub fn home(&self) -> Option<&SubjectKey> {
        self.subjects.first()
    }

    /// The first subject of a kind.
    pub fn subject(&self, kind: SubjectKind) -> Option<&SubjectKey> {
        self.subjects.iter().find(|subject| subject.kind == kind)
    }

    /// What decides between versions: the source's version, then a delete over the rest, then the content, so that
    /// every order of arrival ends with the same version.
    pub fn rank(&self) -> Rank {
        Rank {
            version: self.version,
            deletes: self.op == Op::Delete,
            content: self.content_hash(),
        }
    }

    fn content_hash(&self) -> u64 {
        let mut bytes = Vec::with_capacity(256);
        // Insert and update with the same content are the same version.
        let content = (
            &self.stream,
            &self.occurred_at,
            self.validity,
            &self.subjects,
            &self.fields,
        );
        if let Ok(done) = postcard::to_extend(&content, core::mem::take(&mut bytes)) {
            bytes = done;
        }
        super::hash::sip64(&bytes)
    }
}

/// The order of a record's versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rank {
    /// The source's version.
    pub version: i64,
    /// A delete of the same version counts after the rest.
    pub deletes: bool,
    /// A hash of the content, for versions that the source does not tell apart.
    pub content: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::schema::field;
    use proptest::prelude::*;

    #[test]
    fn a_value_is_no_larger_than_a_text() {
        assert_eq!(size_of::<Value>(), size_of::<CompactString>());
        assert_eq!(size_of::<(Field, Value)>(), 32);
    }

    const SOME: [Field; 5] = [
        field::name,
        field::region,
        field::kind,
        field::amount,
        field::result,
    ];

    fn fields() -> impl Strategy<Value = Fields> {
        let value = proptest::option::of(0..3_i64);
        proptest::collection::vec(value, SOME.len()).prop_map(|values| {
            let mut fields = Fields::new();
            for (field, value) in SOME.into_iter().zip(values) {
                if let Some(value) = value {
                    fields.set(field, Value::Int(value));
                }
            }
            fields
        })
    }

    proptest! {
        #[test]
        fn two_differ_in_the_fields_whose_values_differ((a, b) in (fields(), fields())) {
            let mut differing = SOME.to_vec();
            differing.sort();
            differing.retain(|field| a.get(*field) != b.get(*field));
            prop_assert_eq!(a.differing(&b), differing);
        }
    }
}

//! What a connector's TOML file may say, as written. [`super::compile`] checks it and makes it quick.
//!
//! Every table refuses keys that it does not have. Names that are checked later carry their place in the file.

use super::coerce::Unknown;
use super::personal::Personal;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// A name with its place.
pub(super) type Name = Spanned<String>;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    /// The connector's name, and the source system's unless `record.source` says another.
    pub(super) id: Name,
    /// What people call the feed.
    pub(super) title: String,
    /// Who sends it.
    pub(super) agency: String,
    pub(super) stream: Name,
    pub(super) format: Spanned<Format>,
    #[serde(default)]
    pub(super) charset: Charset,
    pub(super) unknown_columns: Option<UnknownColumns>,
    /// Silent for longer than this: a sign of trouble.
    pub(super) silence_hours: Option<Spanned<i64>>,
    /// How long after the fact a record may come and still be on time.
    pub(super) late_days: Option<Spanned<i64>>,
    /// How far ahead of now a fact may be, for clocks that differ.
    pub(super) future_minutes: Option<Spanned<i64>>,
    /// Words that mean nothing, in every field of the feed.
    #[serde(default)]
    pub(super) absent: Vec<String>,
    pub(super) record: Option<RecordSpec>,
    #[serde(default)]
    pub(super) validity: Vec<ValiditySpec>,
    pub(super) subjects: Option<SubjectsSpec>,
    #[serde(default)]
    pub(super) fields: BTreeMap<Name, FieldSpec>,
    /// Code tables, by name: the source's code = the word of the vocabulary.
    #[serde(default)]
    pub(super) tables: BTreeMap<String, BTreeMap<String, String>>,
    /// Lists of words to look for, by name: the word = its spellings.
    #[serde(default)]
    pub(super) words: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// Columns of personal data and what becomes of them.
    #[serde(default)]
    pub(super) personal: BTreeMap<Name, Personal>,
    #[serde(default)]
    pub(super) columns: ColumnsSpec,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// CSV with a header.
    Csv,
    /// One JSON object per line.
    Json,
    /// Canonical events, one JSON object per line.
    Canonical,
    /// One message in XML a line, plain or in Base64.
    Xml,
}

/// How characters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(super) enum Charset {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// GB 18030, which holds GBK and GB 2312.
    #[serde(rename = "gb18030")]
    Gb18030,
}

/// What to do with a column that the file does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum UnknownColumns {
    /// Refuse the record: the feed has changed.
    Reject,
    /// Pass over it.
    Ignore,
}

/// `[record]`: identity, version, operation and times.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordSpec {
    /// The code of the source system.
    pub(super) source: Option<Name>,
    /// A column that holds it.
    pub(super) source_column: Option<Name>,
    /// JSON objects of which the first that is not null is the row.
    #[serde(default)]
    pub(super) row: Vec<Name>,
    /// The columns of the record's id, joined by `/`.
    pub(super) id: Spanned<Vec<Name>>,
    pub(super) version: Option<FieldSpec>,
    pub(super) op: Option<OpSpec>,
    pub(super) test: Option<TestSpec>,
    pub(super) occurred_at: Spanned<FieldSpec>,
    pub(super) arrived_at: Option<FieldSpec>,
}

/// `record.op`: the spellings of the operations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpSpec {
    pub(super) column: Name,
    #[serde(default)]
    pub(super) insert: Vec<String>,
    #[serde(default)]
    pub(super) update: Vec<String>,
    #[serde(default)]
    pub(super) delete: Vec<String>,
}

/// `record.test`: the mark of test rows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestSpec {
    pub(super) column: Name,
    /// The values of rows that are no test; an empty cell is none either.
    pub(super) live: Vec<String>,
}

/// `[[validity]]`: when the fact may not be used any more. The first that holds decides.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ValiditySpec {
    pub(super) column: Name,
    /// Holds when the cell is filled.
    pub(super) filled: Option<bool>,
    /// Holds when the cell is one of these.
    #[serde(default)]
    pub(super) values: Vec<String>,
    /// Holds when the cell contains one of these.
    #[serde(default)]
    pub(super) contains: Vec<String>,
    pub(super) becomes: super::super::event::Validity,
}

/// `[subjects]`: whom the record concerns.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubjectsSpec {
    /// The subject is a natural person when this holds.
    pub(super) person_when: Option<WhenSpec>,
    /// Ways to find the individual that keeps the fact; the first that succeeds holds.
    pub(super) home: Vec<IdentitySpec>,
    /// Further individuals that the fact concerns.
    #[serde(default)]
    pub(super) also: Vec<IdentitySpec>,
}

/// A column and the values at which something holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhenSpec {
    pub(super) column: Name,
    pub(super) values: Vec<String>,
}

/// One way to find an individual.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentitySpec {
    pub(super) kind: Name,
    pub(super) column: Name,
    #[serde(rename = "as")]
    pub(super) as_: Name,
    /// Put before the key.
    #[serde(default)]
    pub(super) prefix: String,
    /// Pads a whole number with zeros to this many digits.
    pub(super) digits: Option<Spanned<usize>>,
}

/// One field: where it comes from and how it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldSpec {
    pub(super) column: Option<Name>,
    /// Several columns: the first that is filled (for `keywords`, all of them).
    pub(super) columns: Option<Spanned<Vec<Name>>>,
    /// A constant instead of a column.
    pub(super) value: Option<Name>,
    #[serde(rename = "as")]
    pub(super) as_: Option<Name>,
    /// `absent` (if nothing is said) or `reject`.
    pub(super) missing: Option<Spanned<MissingSpec>>,
    /// What stands for a missing value.
    pub(super) default: Option<Name>,
    /// Words that mean nothing in this field.
    #[serde(default)]
    pub(super) absent: Vec<String>,
    pub(super) unit: Option<Name>,
    pub(super) separator: Option<Name>,
    pub(super) table: Option<Name>,
    pub(super) unknown: Option<Spanned<Unknown>>,
    pub(super) yes: Option<Spanned<Vec<String>>>,
    pub(super) no: Option<Spanned<Vec<String>>>,
    pub(super) words: Option<Name>,
    pub(super) filled: Option<Name>,
    pub(super) empty: Option<Name>,
    pub(super) length: Option<Spanned<usize>>,
    pub(super) order: Option<Spanned<Vec<String>>>,
    pub(super) zone: Option<Name>,
}

/// What a missing value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum MissingSpec {
    /// The field is left out.
    Absent,
    /// The record is refused.
    Reject,
}

/// `[columns]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnsSpec {
    /// Columns that are known and not read.
    #[serde(default)]
    pub(super) ignored: Vec<Name>,
    /// Columns that only the script reads.
    #[serde(default)]
    pub(super) script: Vec<Name>,
}

//! The columns of an archive file, and events to and from them.
//!
//! One row is one event. The envelope comes first, then one column for every field of the schema, under the field's name;
//! a time has a second column `<name>_precision`, so that how exactly it is known is kept and never guessed. A field that a
//! row does not state is null. `extra` holds, as JSON, what stands in a field under another type than the schema's.
//!
//! shape    amounts are decimal text (exact, any scale); times are UTC milliseconds; lists are lists of text
//! bounds   [`ROWS_MAX`] rows a row group and file
//! errors   a cell that no event can hold (an unknown stream, a missing record id) names its column and row

mod read;
mod scan;

pub use read::read;
pub use scan::Scan;

use crate::engine::event::{Event, Op, Validity, Value};
use crate::engine::schema::{FIELDS, Field, FieldType};
use crate::engine::time::Precision;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, LazyLock};

/// The most rows of a file; files of one row group, so that a damaged one loses little.
pub const ROWS_MAX: usize = 65_536;

/// A row: the input's number, and the event.
pub type Row = (u64, Arc<Event>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaf {
    Seq,
    Source,
    RecordId,
    Version,
    Op,
    Stream,
    OccurredAt,
    Precision,
    ArrivedAt,
    Validity,
    Subjects,
    Field(Field),
    FieldPrecision(Field),
    Extra,
    RecordKey,
    Content,
}

/// What one row has in one column.
enum Cell {
    Null,
    Int(i64),
    Bool(bool),
    Bytes(ByteArray),
    List(Vec<ByteArray>),
    Key(FixedLenByteArray),
}

static LEAVES: LazyLock<Vec<Leaf>> = LazyLock::new(|| {
    let mut leaves = vec![
        Leaf::Seq,
        Leaf::Source,
        Leaf::RecordId,
        Leaf::Version,
        Leaf::Op,
        Leaf::Stream,
        Leaf::OccurredAt,
        Leaf::Precision,
        Leaf::ArrivedAt,
        Leaf::Validity,
        Leaf::Subjects,
    ];
    for (row, spec) in (0_u8..).zip(FIELDS) {
        let field = Field::at_row(row);
        leaves.push(Leaf::Field(field));
        if spec.field_type == FieldType::Time {
            leaves.push(Leaf::FieldPrecision(field));
        }
    }
    leaves.extend([Leaf::Extra, Leaf::RecordKey, Leaf::Content]);
    leaves
});

impl Leaf {
    /// The column's name, its type in Parquet, and what it says.
    fn describe(self) -> (String, &'static str, String) {
        match self {
            Self::FieldPrecision(field) => (
                format!("{}_precision", field.name()),
                "text",
                format!("how exactly `{}` is known", field.name()),
            ),
            Self::Field(field) => {
                let kind = match field.spec().field_type {
                    FieldType::Bool => "boolean",
                    FieldType::Int => "bigint",
                    FieldType::Decimal | FieldType::Text => "text",
                    FieldType::Time => "timestamp",
                    FieldType::List => "text[]",
                };
                (field.name().to_owned(), kind, field.spec().title.to_owned())
            }
            _ => {
                let (name, kind, note) = self.envelope();
                (name.to_owned(), kind, note.to_owned())
            }
        }
    }

    /// The same of a column that is no field.
    fn envelope(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Seq => (
                "seq",
                "bigint",
                "number of the input; unique, grows in the order of arrival",
            ),
            Self::Source => ("source", "text", "source system"),
            Self::RecordId => ("record_id", "text", "the record's key in the source system"),
            Self::Version => (
                "version",
                "bigint",
                "version of the record; the greatest holds",
            ),
            Self::Op => ("op", "text", "`insert`, `update`, `delete`"),
            Self::Stream => (
                "stream",
                "text",
                "kind of fact: `complaint`, `inspection` …",
            ),
            Self::OccurredAt => ("occurred_at", "timestamp", "when it happened"),
            Self::Precision => (
                "precision",
                "text",
                "how exactly that is known: `day`, `minute`, `second`",
            ),
            Self::ArrivedAt => (
                "arrived_at",
                "timestamp",
                "when it reached the engine by the source's words",
            ),
            Self::Validity => (
                "validity",
                "text",
                "`valid`, `revoked`, `retracted`, `repaired`, `shielded`, `deleted`",
            ),
            Self::Subjects => (
                "subjects",
                "text[]",
                "whom it concerns, `kind:key`, the home first",
            ),
            Self::Extra => (
                "extra",
                "text",
                "JSON of fields that hold another type than their column",
            ),
            Self::RecordKey => (
                "record_key",
                "blob",
                "identity of the record: 16 bytes of SM3(source, 0, record id)",
            ),
            Self::Content => (
                "content",
                "bigint",
                "hash of what the version says; tells versions of the same number apart",
            ),
            Self::Field(_) | Self::FieldPrecision(_) => ("", "", ""),
        }
    }

    fn is_required(self) -> bool {
        !matches!(
            self,
            Self::Subjects
                | Self::Field(_)
                | Self::FieldPrecision(_)
                | Self::Extra
                | Self::RecordKey
                | Self::Content
        )
    }
}

/// The columns as a markdown table: the reference in the archive's document.
pub fn column_table() -> String {
    let mut table = String::from("| column | type | what |\n|---|---|---|\n");
    for leaf in LEAVES.iter() {
        let (name, kind, note) = leaf.describe();
        let _ = writeln!(table, "| `{name}` | {kind} | {note} |");
    }
    table
}

fn schema() -> Result<Arc<Type>, ParquetError> {
    let mut text = String::from("message event {\n");
    for leaf in LEAVES.iter() {
        let (name, kind, _) = leaf.describe();
        let need = if leaf.is_required() {
            "required"
        } else {
            "optional"
        };
        let _ = match kind {
            "bigint" => writeln!(text, "{need} int64 {name};"),
            "boolean" => writeln!(text, "{need} boolean {name};"),
            "blob" => writeln!(text, "{need} fixed_len_byte_array(16) {name};"),
            "timestamp" => writeln!(text, "{need} int64 {name} (TIMESTAMP(MILLIS, true));"),
            "text[]" => writeln!(
                text,
                "{need} group {name} (LIST) {{ repeated group list {{ required binary element (STRING); }} }}"
            ),
            _ => writeln!(text, "{need} binary {name} (STRING);"),
        };
    }
    text.push('}');
    Ok(Arc::new(parse_message_type(&text)?))
}

fn bytes(text: &str) -> ByteArray {
    ByteArray::from(text.as_bytes().to_vec())
}

fn fits(field: Field, value: &Value) -> bool {
    // A number that is no row has no column.
    let known = usize::from(field.row()) < FIELDS.len();
    known
        && matches!(
            (field.spec().field_type, value),
            (FieldType::Bool, Value::Bool(_))
                | (FieldType::Int, Value::Int(_))
                | (FieldType::Decimal, Value::Decimal(_))
                | (FieldType::Text, Value::Text(_))
                | (FieldType::Time, Value::Time(..))
                | (FieldType::List, Value::List(_))
        )
}

fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::Day => "day",
        Precision::Minute => "minute",
        Precision::Second => "second",
    }
}

fn cell(leaf: Leaf, (seq, event): &Row) -> Cell {
    match leaf {
        Leaf::Seq => Cell::Int(i64::try_from(*seq).unwrap_or(i64::MAX)),
        Leaf::Source => Cell::Bytes(bytes(&event.source)),
        Leaf::RecordId => Cell::Bytes(bytes(&event.record_id)),
        Leaf::Version => Cell::Int(event.version),
        Leaf::Op => Cell::Bytes(bytes(match event.op {
            Op::Insert => "insert",
            Op::Update => "update",
            Op::Delete => "delete",
        })),
        Leaf::Stream => Cell::Bytes(bytes(event.stream.name())),
        Leaf::OccurredAt => Cell::Int(event.occurred_at.0),
        Leaf::Precision => Cell::Bytes(bytes(precision_name(event.precision))),
        Leaf::ArrivedAt => Cell::Int(event.arrived_at.0),
        Leaf::Validity => Cell::Bytes(bytes(match event.validity {
            Validity::Valid => "valid",
            Validity::Revoked => "revoked",
            Validity::Retracted => "retracted",
            Validity::Repaired => "repaired",
            Validity::Shielded => "shielded",
            Validity::Deleted => "deleted",
        })),
        Leaf::Subjects => Cell::List(
            event
                .subjects
                .iter()
                .map(|s| bytes(&s.to_string()))
                .collect(),
        ),
        Leaf::Field(field) => match event.fields.get(field).filter(|v| fits(field, v)) {
            None => Cell::Null,
            Some(Value::Bool(is)) => Cell::Bool(*is),
            Some(Value::Int(number)) => Cell::Int(*number),
            Some(Value::Decimal(number)) => Cell::Bytes(bytes(&number.to_string())),
            Some(Value::Text(text)) => Cell::Bytes(bytes(text)),
            Some(Value::Time(time, _)) => Cell::Int(time.0),
            Some(Value::List(list)) => Cell::List(list.iter().map(|t| bytes(t)).collect()),
        },
        Leaf::FieldPrecision(field) => match event.fields.get(field) {
            Some(Value::Time(_, precision)) => Cell::Bytes(bytes(precision_name(*precision))),
            Some(_) | None => Cell::Null,
        },
        Leaf::RecordKey => {
            let key = event.record_key().0.to_vec();
            Cell::Key(FixedLenByteArray::from(key))
        }
        Leaf::Content => Cell::Int(event.rank().content.cast_signed()),
        Leaf::Extra => {
            let extra: Vec<(u8, &Value)> = event
                .fields
                .iter()
                .filter(|(field, value)| !fits(*field, value))
                .map(|(field, value)| (field.row(), value))
                .collect();
            if extra.is_empty() {
                return Cell::Null;
            }
            Cell::Bytes(bytes(&serde_json::to_string(&extra).unwrap_or_default()))
        }
    }
}

/// Levels and values of one column.
#[derive(Debug, Default)]
struct Chunk {
    ints: Vec<i64>,
    bools: Vec<bool>,
    bytes: Vec<ByteArray>,
    keys: Vec<FixedLenByteArray>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl Chunk {
    fn push(&mut self, cell: Cell) {
        let mut level = 1;
        match cell {
            Cell::Null => level = 0,
            Cell::Int(number) => self.ints.push(number),
            Cell::Bool(is) => self.bools.push(is),
            Cell::Bytes(bytes) => self.bytes.push(bytes),
            Cell::Key(key) => self.keys.push(key),
            Cell::List(list) => {
                for (at, item) in list.into_iter().enumerate() {
                    self.bytes.push(item);
                    self.definition.push(2);
                    self.repetition.push(i16::from(0 < at));
                    level = -1;
                }
            }
        }
        if 0 <= level {
            self.definition.push(level);
            self.repetition.push(0);
        }
    }
}

/// Writes rows as one file of one row group. Gives the writer back, to be made durable.
pub fn write<W: Write + Send>(writer: W, rows: &[Row]) -> Result<W, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_created_by("fenghuo".to_owned())
        .build();
    let mut file = SerializedFileWriter::new(writer, schema()?, Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for leaf in LEAVES.iter() {
        let mut chunk = Chunk::default();
        for row in rows {
            chunk.push(cell(*leaf, row));
        }
        let definition = (!leaf.is_required()).then_some(chunk.definition.as_slice());
        let repetition = Some(chunk.repetition.as_slice());
        let Some(mut column) = group.next_column()? else {
            return Err(ParquetError::General(
                "the schema has too few columns".to_owned(),
            ));
        };
        match column.untyped() {
            ColumnWriter::Int64ColumnWriter(w) => w.write_batch(&chunk.ints, definition, None),
            ColumnWriter::BoolColumnWriter(w) => w.write_batch(&chunk.bools, definition, None),
            ColumnWriter::ByteArrayColumnWriter(w) => {
                let is_list = leaf.describe().1 == "text[]";
                w.write_batch(&chunk.bytes, definition, repetition.filter(|_| is_list))
            }
            ColumnWriter::FixedLenByteArrayColumnWriter(w) => {
                w.write_batch(&chunk.keys, definition, None)
            }
            _ => Err(ParquetError::General(
                "a column of no known type".to_owned(),
            )),
        }?;
        column.close()?;
    }
    group.close()?;
    file.into_inner()
}

//! Events from the columns of an archive file.
//!
//! errors   a cell that no event can hold names its column; a column with too few or too many values as well

use super::{Cell, Chunk, LEAVES, Leaf, Row};
use crate::engine::event::{Event, Fields, Op, SubjectKey, Validity, Value};
use crate::engine::schema::{Field, FieldType, Stream};
use crate::engine::time::{EventTime, Precision};
use parquet::column::reader::ColumnReader;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads the rows of a row group.
pub fn read(group: &dyn RowGroupReader) -> Result<Vec<Row>, ParquetError> {
    let count = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    let blank = Event {
        source: "".into(),
        record_id: "".into(),
        version: 0,
        op: Op::Insert,
        stream: Stream::Complaint,
        occurred_at: EventTime(0),
        precision: Precision::Day,
        arrived_at: EventTime(0),
        validity: Validity::Valid,
        subjects: Vec::new(),
        fields: Fields::new(),
    };
    let columns = Columns::of(group);
    let mut rows: Vec<(u64, Event)> = vec![(0, blank); count];
    for leaf in LEAVES.iter() {
        // Made again from the rest.
        if matches!(leaf, Leaf::RecordKey | Leaf::Content) {
            continue;
        }
        let name = leaf.describe().0;
        if columns.place(*leaf).is_none() {
            // A field that the schema got after the file was written.
            if leaf.is_required() {
                return Err(ParquetError::General(format!(
                    "column \"{name}\" is missing"
                )));
            }
            continue;
        }
        if columns.is_null(*leaf) {
            continue;
        }
        let mut rows_left = rows.iter_mut();
        cells(columns.chunk(*leaf)?, *leaf, &mut |cell| {
            let Some(row) = rows_left.next() else {
                return Err(ParquetError::General(format!(
                    "column \"{name}\" has too many values"
                )));
            };
            put(*leaf, row, cell).ok_or_else(|| {
                ParquetError::General(format!("column \"{name}\" holds what no event can say"))
            })
        })?;
        if rows_left.next().is_some() {
            return Err(ParquetError::General(format!(
                "column \"{name}\" has too few values"
            )));
        }
    }
    Ok(rows
        .into_iter()
        .map(|(seq, event)| (seq, Arc::new(event)))
        .collect())
}

/// The columns of a row group by name.
pub(super) struct Columns<'g> {
    group: &'g dyn RowGroupReader,
    places: BTreeMap<&'g str, usize>,
}

impl<'g> Columns<'g> {
    pub(super) fn of(group: &'g dyn RowGroupReader) -> Self {
        let columns = group.metadata().columns().iter().enumerate();
        let places = columns
            .filter_map(|(at, column)| Some((column.column_path().parts().first()?.as_str(), at)))
            .collect();
        Self { group, places }
    }

    pub(super) fn rows(&self) -> usize {
        usize::try_from(self.group.metadata().num_rows()).unwrap_or(0)
    }

    pub(super) fn place(&self, leaf: Leaf) -> Option<usize> {
        self.places.get(leaf.describe().0.as_str()).copied()
    }

    /// Whether no row has a value, by the file's own count. An empty list counts as null as well, so of lists it is not known.
    pub(super) fn is_null(&self, leaf: Leaf) -> bool {
        let Some(at) = self.place(leaf) else {
            return true;
        };
        if leaf.is_required() || leaf.describe().1 == "text[]" {
            return false;
        }
        let column = self.group.metadata().column(at);
        let nulls = column
            .statistics()
            .and_then(parquet::file::statistics::Statistics::null_count_opt);
        nulls == u64::try_from(column.num_values()).ok()
    }

    /// The levels and values of a column.
    pub(super) fn chunk(&self, leaf: Leaf) -> Result<Chunk, ParquetError> {
        let missing =
            || ParquetError::General(format!("column \"{}\" is missing", leaf.describe().0));
        let at = self.place(leaf).ok_or_else(missing)?;
        chunk(self.group.get_column_reader(at)?, self.rows())
    }
}

type Put<'a> = &'a mut dyn FnMut(Cell) -> Result<(), ParquetError>;

/// Reads values of a reader until it has given all records.
macro_rules! drain {
    ($reader:ident, $count:ident, $chunk:ident, $values:ident) => {{
        let mut read = 0;
        while read < $count {
            let (definition, repetition) = (&mut $chunk.definition, &mut $chunk.repetition);
            let values = &mut $chunk.$values;
            let got =
                $reader.read_records($count - read, Some(definition), Some(repetition), values)?;
            if got.0 == 0 {
                break;
            }
            read += got.0;
        }
    }};
}

fn chunk(reader: ColumnReader, count: usize) -> Result<Chunk, ParquetError> {
    let mut chunk = Chunk::default();
    match reader {
        ColumnReader::Int64ColumnReader(mut r) => drain!(r, count, chunk, ints),
        ColumnReader::BoolColumnReader(mut r) => drain!(r, count, chunk, bools),
        ColumnReader::ByteArrayColumnReader(mut r) => drain!(r, count, chunk, bytes),
        ColumnReader::FixedLenByteArrayColumnReader(mut r) => drain!(r, count, chunk, keys),
        _ => {
            return Err(ParquetError::General(
                "a column of no known type".to_owned(),
            ));
        }
    }
    Ok(chunk)
}

/// Gives every record of a column, in order.
fn cells(chunk: Chunk, leaf: Leaf, put: Put<'_>) -> Result<(), ParquetError> {
    if leaf.describe().1 == "text[]" {
        return gather(&chunk, put);
    }
    let ints = chunk.ints.into_iter().map(Cell::Int);
    let bools = chunk.bools.into_iter().map(Cell::Bool);
    let bytes = chunk.bytes.into_iter().map(Cell::Bytes);
    scatter(ints.chain(bools).chain(bytes), leaf, &chunk.definition, put)
}

fn scatter(
    mut values: impl Iterator<Item = Cell>,
    leaf: Leaf,
    definition: &[i16],
    put: Put<'_>,
) -> Result<(), ParquetError> {
    if leaf.is_required() {
        return values.try_for_each(put);
    }
    for level in definition {
        let cell = if *level == 0 { None } else { values.next() };
        put(cell.unwrap_or(Cell::Null))?;
    }
    Ok(())
}

fn gather(chunk: &Chunk, put: Put<'_>) -> Result<(), ParquetError> {
    let mut values = chunk.bytes.iter();
    let mut open: Option<Cell> = None;
    for (definition, repetition) in chunk.definition.iter().zip(&chunk.repetition) {
        if *repetition == 0
            && let Some(cell) = open.take()
        {
            put(cell)?;
        }
        let list = match open.take() {
            Some(Cell::List(list)) => Some(list),
            _ => (*definition != 0).then(Vec::new),
        };
        open = Some(match list {
            None => Cell::Null,
            Some(mut list) => {
                if *definition == 2 {
                    list.extend(values.next().cloned());
                }
                Cell::List(list)
            }
        });
    }
    open.map_or(Ok(()), put)
}

pub(super) fn text(bytes: &ByteArray) -> Option<&str> {
    std::str::from_utf8(bytes.data()).ok()
}

pub(super) fn precision_of(name: &str) -> Option<Precision> {
    Some(match name {
        "day" => Precision::Day,
        "minute" => Precision::Minute,
        "second" => Precision::Second,
        _ => return None,
    })
}

pub(super) fn op_of(name: &str) -> Option<Op> {
    Some(match name {
        "insert" => Op::Insert,
        "update" => Op::Update,
        "delete" => Op::Delete,
        _ => return None,
    })
}

pub(super) fn validity_of(name: &str) -> Option<Validity> {
    Some(match name {
        "valid" => Validity::Valid,
        "revoked" => Validity::Revoked,
        "retracted" => Validity::Retracted,
        "repaired" => Validity::Repaired,
        "shielded" => Validity::Shielded,
        "deleted" => Validity::Deleted,
        _ => return None,
    })
}

/// Puts a cell into its event; `None` if no event can hold it.
fn put(leaf: Leaf, (seq, event): &mut (u64, Event), cell: Cell) -> Option<()> {
    match (leaf, cell) {
        (_, Cell::Null) => {}
        (Leaf::Seq, Cell::Int(number)) => *seq = u64::try_from(number).ok()?,
        (Leaf::Version, Cell::Int(number)) => event.version = number,
        (Leaf::OccurredAt, Cell::Int(ms)) => event.occurred_at = EventTime(ms),
        (Leaf::ArrivedAt, Cell::Int(ms)) => event.arrived_at = EventTime(ms),
        (Leaf::Source, Cell::Bytes(b)) => event.source = text(&b)?.into(),
        (Leaf::RecordId, Cell::Bytes(b)) => event.record_id = text(&b)?.into(),
        (Leaf::Op, Cell::Bytes(b)) => {
            event.op = op_of(text(&b)?)?;
        }
        (Leaf::Stream, Cell::Bytes(b)) => event.stream = Stream::by_name(text(&b)?)?,
        (Leaf::Precision, Cell::Bytes(b)) => event.precision = precision_of(text(&b)?)?,
        (Leaf::Validity, Cell::Bytes(b)) => {
            event.validity = validity_of(text(&b)?)?;
        }
        (Leaf::Subjects, Cell::List(list)) => {
            event.subjects = list
                .iter()
                .map(|b| text(b).and_then(SubjectKey::parse))
                .collect::<Option<_>>()?;
        }
        (Leaf::Field(field), cell) => event.fields.set(field, value(field, cell)?),
        (Leaf::FieldPrecision(field), Cell::Bytes(b)) => {
            let precision = precision_of(text(&b)?)?;
            if let Some(Value::Time(time, _)) = event.fields.get(field) {
                let time = *time;
                event.fields.set(field, Value::Time(time, precision));
            }
        }
        (Leaf::Extra, Cell::Bytes(b)) => {
            let extra: Vec<(u8, Value)> = serde_json::from_slice(b.data()).ok()?;
            for (row, value) in extra {
                event.fields.set(Field::at_row(row), value);
            }
        }
        _ => return None,
    }
    Some(())
}

fn value(field: Field, cell: Cell) -> Option<Value> {
    Some(match (field.spec().field_type, cell) {
        (FieldType::Bool, Cell::Bool(is)) => Value::Bool(is),
        (FieldType::Int, Cell::Int(number)) => Value::Int(number),
        (FieldType::Time, Cell::Int(ms)) => Value::Time(EventTime(ms), Precision::Day),
        (FieldType::Decimal, Cell::Bytes(b)) => Value::Decimal(text(&b)?.parse().ok()?),
        (FieldType::Text, Cell::Bytes(b)) => Value::Text(text(&b)?.into()),
        (FieldType::List, Cell::List(list)) => Value::List(
            list.iter()
                .map(|b| text(b).map(Box::from))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

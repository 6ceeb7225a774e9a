//! A row group read for a back-test: only the columns that can be looked at, and no owned event.
//!
//! Columns are read one after the other and then walked together, row by row; each row is a [`Slip`] that borrows from them.
//!
//! cost     about 0.02 µs a value
//! errors   as in [`read`](super::read); a column that is not read is not checked

use super::super::slip::{Piece, Slip, Wanted};
use super::read::{Columns, op_of, precision_of, text, validity_of};
use super::{Chunk, LEAVES, Leaf};
use crate::engine::event::{Op, Rank, RecordKey, SubjectKind};
use crate::engine::schema::{Field, FieldType, Stream};
use crate::engine::time::EventTime;
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;
use rust_decimal::Decimal;

/// A column with the place up to which it was walked.
#[derive(Debug, Default)]
struct Walk {
    chunk: Chunk,
    is_required: bool,
    level: usize,
    value: usize,
}

impl Walk {
    fn of(columns: &Columns<'_>, leaf: Leaf) -> Result<Self, ParquetError> {
        Ok(Self {
            chunk: columns.chunk(leaf)?,
            is_required: leaf.is_required(),
            ..Self::default()
        })
    }

    /// Where the value of the next row is; `None` if it has none.
    fn next(&mut self) -> Option<usize> {
        let is_set = self.is_required || self.chunk.definition.get(self.level) == Some(&1);
        self.level += 1;
        let at = self.value;
        self.value += usize::from(is_set);
        is_set.then_some(at)
    }

    fn int(&mut self) -> Option<i64> {
        let at = self.next()?;
        self.chunk.ints.get(at).copied()
    }
}

/// The columns of a row group.
#[derive(Debug)]
pub struct Scan {
    rows: usize,
    envelope: [Walk; ENVELOPE.len()],
    fields: Vec<(Field, Walk, Option<Walk>)>,
}

/// The columns that say what an event is, in the order of [`Scan::envelope`].
const ENVELOPE: [Leaf; 13] = [
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
    Leaf::RecordKey,
    Leaf::Content,
    Leaf::Subjects,
];

impl Scan {
    /// Reads the wanted columns of a row group. `None` if the file does not say everything that has to be known: it is older
    /// than these columns, or has fields of another type than the schema's.
    pub fn of(group: &dyn RowGroupReader, wanted: &Wanted) -> Result<Option<Self>, ParquetError> {
        let columns = Columns::of(group);
        if columns.place(Leaf::RecordKey).is_none()
            || columns.place(Leaf::Content).is_none()
            || !columns.is_null(Leaf::Extra)
        {
            return Ok(None);
        }
        let mut envelope: [Walk; ENVELOPE.len()] = Default::default();
        for (walk, leaf) in envelope.iter_mut().zip(ENVELOPE) {
            *walk = Walk::of(&columns, leaf)?;
        }
        let mut fields = Vec::new();
        for leaf in LEAVES.iter() {
            let Leaf::Field(field) = *leaf else { continue };
            if !wanted.field(field) || columns.is_null(*leaf) {
                continue;
            }
            let precision = match field.spec().field_type {
                FieldType::Time => Some(Walk::of(&columns, Leaf::FieldPrecision(field))?),
                _ => None,
            };
            fields.push((field, Walk::of(&columns, *leaf)?, precision));
        }
        let rows = columns.rows();
        Ok(Some(Self {
            rows,
            envelope,
            fields,
        }))
    }

    /// Gives every row, in order.
    pub fn each(
        mut self,
        wanted: &Wanted,
        tell: &mut dyn FnMut(&Slip<'_>),
    ) -> Result<(), ParquetError> {
        let mut places = Vec::with_capacity(self.fields.len());
        for _ in 0..self.rows {
            // Walking changes the places, reading borrows the columns: one after the other.
            let own = Own::next(&mut self.envelope).ok_or_else(|| bad("of the envelope"))?;
            places.clear();
            for (field, walk, precision) in &mut self.fields {
                let from = walk.value;
                let is_set = match field.spec().field_type {
                    FieldType::List => walk.list(),
                    _ => walk.next().is_some(),
                };
                let precision = precision.as_mut().and_then(Walk::next);
                places.push((is_set, from, walk.value, precision));
            }
            let mut slip = own.slip(&self.envelope, wanted)?;
            for ((field, walk, precisions), (is_set, from, to, precision)) in
                self.fields.iter().zip(&places)
            {
                if !is_set {
                    continue;
                }
                let mut piece =
                    piece(*field, &walk.chunk, *from, *to).ok_or_else(|| bad(field.name()))?;
                if let Piece::Time(_, known) = &mut piece
                    && let Some((walk, at)) = precisions.as_ref().zip(*precision)
                {
                    let name = walk.chunk.bytes.get(at).and_then(text);
                    *known = name
                        .and_then(precision_of)
                        .ok_or_else(|| bad(field.name()))?;
                }
                slip.fields.push((*field, piece));
            }
            tell(&slip);
        }
        Ok(())
    }
}

impl Walk {
    /// Goes over the list of the next row; whether there is one.
    fn list(&mut self) -> bool {
        let Some(first) = self.chunk.definition.get(self.level) else {
            return false;
        };
        let is_set = *first != 0;
        self.value += usize::from(*first == 2);
        self.level += 1;
        while self.chunk.repetition.get(self.level) == Some(&1) {
            self.level += 1;
            self.value += 1;
        }
        is_set
    }
}

fn bad(name: &str) -> ParquetError {
    ParquetError::General(format!("column \"{name}\" holds what no event can say"))
}

fn piece(field: Field, chunk: &Chunk, from: usize, to: usize) -> Option<Piece<'_>> {
    Some(match field.spec().field_type {
        FieldType::Bool => Piece::Bool(*chunk.bools.get(from)?),
        FieldType::Int => Piece::Int(*chunk.ints.get(from)?),
        FieldType::Time => Piece::Time(
            EventTime(*chunk.ints.get(from)?),
            crate::engine::time::Precision::Day,
        ),
        FieldType::Decimal => {
            let number: Decimal = text(chunk.bytes.get(from)?)?.parse().ok()?;
            Piece::Decimal(number.serialize())
        }
        FieldType::Text => Piece::Text(text(chunk.bytes.get(from)?)?),
        FieldType::List => Piece::List(
            chunk
                .bytes
                .get(from..to)?
                .iter()
                .map(text)
                .collect::<Option<_>>()?,
        ),
    })
}

/// Where the envelope of one row stands in its columns.
struct Own {
    seq: u64,
    version: i64,
    occurred_at: EventTime,
    arrived_at: EventTime,
    content: u64,
    at: usize,
    subjects: (usize, usize),
}

impl Own {
    fn next(envelope: &mut [Walk; ENVELOPE.len()]) -> Option<Self> {
        let [
            seq,
            source,
            _,
            version,
            _,
            _,
            occurred_at,
            _,
            arrived_at,
            _,
            _,
            content,
            subjects,
        ] = envelope;
        let at = source.next()?;
        let from = subjects.value;
        subjects.list();
        Some(Self {
            at,
            seq: u64::try_from(seq.int()?).ok()?,
            version: version.int()?,
            occurred_at: EventTime(occurred_at.int()?),
            arrived_at: EventTime(arrived_at.int()?),
            content: content.int()?.cast_unsigned(),
            subjects: (from, subjects.value),
        })
    }

    fn slip<'a>(
        &self,
        envelope: &'a [Walk; ENVELOPE.len()],
        wanted: &Wanted,
    ) -> Result<Slip<'a>, ParquetError> {
        let [
            _,
            source,
            record_id,
            _,
            op,
            stream,
            _,
            precision,
            _,
            validity,
            key,
            _,
            subjects,
        ] = envelope;
        let word = |walk: &'a Walk| walk.chunk.bytes.get(self.at).and_then(text);
        let read = || {
            let stream = Stream::by_name(word(stream)?)?;
            let op = op_of(word(op)?)?;
            let (from, to) = self.subjects;
            let mut concerned = Vec::with_capacity(to - from);
            for whom in subjects.chunk.bytes.get(from..to)? {
                let (kind, name) = text(whom)?.split_once(':')?;
                let kind = SubjectKind::by_name(kind)?;
                if name.is_empty() {
                    return None;
                }
                if wanted.subject(kind, stream) {
                    concerned.push((kind, name));
                }
            }
            Some(Slip {
                seq: self.seq,
                key: RecordKey(key.chunk.keys.get(self.at)?.data().try_into().ok()?),
                rank: Rank {
                    version: self.version,
                    deletes: op == Op::Delete,
                    content: self.content,
                },
                op,
                stream,
                occurred_at: self.occurred_at,
                precision: precision_of(word(precision)?)?,
                arrived_at: self.arrived_at,
                validity: validity_of(word(validity)?)?,
                source: word(source)?,
                record_id: word(record_id)?,
                subjects: concerned,
                fields: Vec::with_capacity(12),
            })
        };
        read().ok_or_else(|| bad("of the envelope"))
    }
}

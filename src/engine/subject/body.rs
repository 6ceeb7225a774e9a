//! How a fact's content is kept: so that one field is found and read without taking the rest apart, in as few bytes as that allows.
//!
//! ```text
//! body   number: bytes of the table │ table: (field, number: length and kind) … │ values, one after the other │ tail
//! tail   source │ record id │ version after arrival │ op │ arrival after event │ number of subjects: (kind, key) …
//! number base 64, the low digits first, each a byte below 0x80; the last one below 0x40
//! item   number: twice a length, then so many bytes; or twice the number of a word and one (`words`)
//! ```
//!
//! Whatever is no text is below 0x80, so a body is text from end to end: a text in it is a slice, and is never checked again.
//! Times stand as distances from the fact's own time, in seconds where they have no part of one. What many facts say is a number
//! of [`words`] in memory and the text itself in the store ([`rewritten`]). A text that is the record's id is not written twice.
//!
//! Most questions of rules look at one or two fields of many facts, and never at the tail. Finding a field passes over the
//! table, two or three bytes a field.
//!
//! errors   text that is no body gives `None`
//! cost     writing about 0.5 µs; one field about 20 ns

mod digits;

use super::peek::ValueRef;
use super::words;
use crate::engine::event::{Event, Fields, Op, SubjectKey, SubjectKind};
use crate::engine::schema::{FIELDS, Field};
use crate::engine::time::{EventTime, Precision};
use digits::{Reader, number, put_item, put_length, put_number, put_time, zigzag};
use rust_decimal::Decimal;

/// What a field holds, in the low bits of its number in the table.
pub(super) const NO: u8 = 0;
pub(super) const YES: u8 = 1;
const INT: u8 = 2;
const DECIMAL: u8 = 3;
/// The payload is the text.
pub(super) const TEXT: u8 = 4;
/// The payload is the number of a word; 0 is the record's id.
pub(super) const WORD: u8 = 5;
const TIME: u8 = 6;
pub(super) const LIST: u8 = 7;
const KINDS: u64 = 8;

// Rows are written in a byte, beside two that are no rows.
const _: () = assert!(FIELDS.len() < 0x7e);

/// A decimal's sign is kept beside a mantissa of zero.
const NEGATIVE_ZERO: u8 = 0x20;
/// The kind of a subject whose key is `source/record id`.
const ITSELF: u8 = 0x40;

/// What the values of a body are written against.
#[derive(Debug, Clone, Copy)]
struct Frame<'a> {
    time: EventTime,
    record_id: &'a str,
    /// Whether words are written as numbers.
    in_words: bool,
}

impl Frame<'_> {
    fn put_text(&self, out: &mut String, text: &str, row: u8) -> u8 {
        if text == self.record_id {
            put_number(out, 0);
            return WORD;
        }
        let known = if self.in_words {
            words::number_of(text, row)
        } else {
            None
        };
        if let Some(number) = known {
            put_number(out, u128::from(number));
            WORD
        } else {
            out.push_str(text);
            TEXT
        }
    }

    /// Appends a value; gives its kind.
    fn put(&self, out: &mut String, value: &ValueRef<'_>, row: u8) -> u8 {
        match value {
            ValueRef::Bool(false) => NO,
            ValueRef::Bool(true) => YES,
            ValueRef::Int(value) => {
                put_number(out, zigzag(i128::from(*value)));
                INT
            }
            ValueRef::Decimal(value) => {
                let is_raw = value.is_zero() && value.is_sign_negative();
                let scale = u8::try_from(value.scale()).unwrap_or(0);
                let sign = if is_raw { NEGATIVE_ZERO } else { 0 };
                out.push(char::from(scale | sign));
                put_number(out, zigzag(value.mantissa()));
                DECIMAL
            }
            ValueRef::Text(value) => self.put_text(out, value, row),
            ValueRef::Time(time, precision) => {
                put_time(out, (*time, *precision), self.time);
                TIME
            }
            ValueRef::List(values) => {
                for value in values {
                    put_item(out, value, self.in_words.then_some(row));
                }
                LIST
            }
        }
    }
}

/// What stands behind the fields.
#[derive(Debug, Clone)]
pub(super) struct Tail<'a> {
    pub(super) source: &'a str,
    pub(super) record_id: &'a str,
    pub(super) version: i64,
    pub(super) op: Op,
    pub(super) arrived_at: EventTime,
    pub(super) subjects: Vec<SubjectKey>,
}

fn put_tail(out: &mut String, tail: &Tail<'_>, frame: Frame<'_>) {
    let words = |of| frame.in_words.then_some(of);
    put_item(out, tail.source, words(words::OF_SOURCES));
    put_item(out, tail.record_id, None);
    put_number(
        out,
        zigzag(i128::from(tail.version) - i128::from(tail.arrived_at.0)),
    );
    out.push(match tail.op {
        Op::Insert => '\0',
        Op::Update => '\u{1}',
        Op::Delete => '\u{2}',
    });
    put_time(out, (tail.arrived_at, Precision::Day), frame.time);
    put_length(out, tail.subjects.len());
    for subject in &tail.subjects {
        let kind = SubjectKind::ALL
            .iter()
            .position(|kind| *kind == subject.kind);
        let kind = kind.and_then(|at| u8::try_from(at).ok()).unwrap_or(0);
        let is_itself = subject
            .key
            .strip_prefix(tail.source)
            .and_then(|rest| rest.strip_prefix('/'))
            == Some(tail.record_id);
        if is_itself {
            out.push(char::from(kind | ITSELF));
        } else {
            out.push(char::from(kind));
            // Firms are too many to be words.
            let of = subject.kind.is_collective().then_some(words::OF_SUBJECTS);
            put_item(out, &subject.key, of.and_then(words));
        }
    }
}

fn assemble<'v>(
    values: impl Iterator<Item = (Field, ValueRef<'v>)>,
    tail: &Tail<'_>,
    frame: Frame<'_>,
) -> Box<str> {
    let (mut table, mut content) = (String::with_capacity(96), String::with_capacity(384));
    for (field, value) in values {
        let before = content.len();
        let kind = frame.put(&mut content, &value, field.row());
        let length = u128::try_from(content.len().saturating_sub(before)).unwrap_or(0);
        table.push(char::from(field.row()));
        put_number(&mut table, (length * u128::from(KINDS)) | u128::from(kind));
    }
    put_tail(&mut content, tail, frame);
    let mut body = String::with_capacity(table.len() + content.len() + 2);
    put_length(&mut body, table.len());
    body.push_str(&table);
    body.push_str(&content);
    body.into_boxed_str()
}

/// The content of an event, with words as numbers.
pub(super) fn encode(event: &Event) -> Box<str> {
    let tail = Tail {
        source: &event.source,
        record_id: &event.record_id,
        version: event.version,
        op: event.op,
        arrived_at: event.arrived_at,
        subjects: event.subjects.clone(),
    };
    let frame = Frame {
        time: event.occurred_at,
        record_id: &event.record_id,
        in_words: true,
    };
    assemble(
        event
            .fields
            .iter()
            .map(|(field, value)| (field, ValueRef::from(value))),
        &tail,
        frame,
    )
}

/// The same content with words as numbers, or as the texts that they are.
pub(super) fn rewritten(body: &str, time: EventTime, in_words: bool) -> Option<Box<str>> {
    let content = Content::of(body, time)?;
    let tail = content.tail()?;
    let frame = Frame {
        time,
        record_id: tail.record_id,
        in_words,
    };
    Some(assemble(content.iter(), &tail, frame))
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) field: Field,
    pub(super) kind: u8,
    length: usize,
}

fn rows(table: &[u8]) -> impl Iterator<Item = Row> {
    let mut rest = table;
    core::iter::from_fn(move || {
        let (field, after) = rest.split_first()?;
        let (head, after) = number(after)?;
        rest = after;
        Some(Row {
            field: Field::at_row(*field),
            kind: u8::try_from(head % KINDS).unwrap_or(0),
            length: usize::try_from(head / KINDS).unwrap_or(usize::MAX),
        })
    })
}

/// The parts of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content<'a> {
    table: &'a [u8],
    values: &'a str,
    /// When the fact happened.
    time: EventTime,
}

impl<'a> Content<'a> {
    pub(super) fn of(body: &'a str, time: EventTime) -> Option<Self> {
        let (length, rest) = number(body.as_bytes())?;
        let table = rest.get(..usize::try_from(length).ok()?)?;
        let values = body.get(
            body.len()
                .checked_sub(rest.len())?
                .checked_add(table.len())?..,
        )?;
        Some(Self {
            table,
            values,
            time,
        })
    }

    /// Where a field stands: its row, and where its value begins.
    pub(super) fn find(&self, field: Field) -> Option<(Row, usize)> {
        let mut from = 0_usize;
        for row in rows(self.table) {
            if field <= row.field {
                return (field == row.field).then_some((row, from));
            }
            from = from.saturating_add(row.length);
        }
        None
    }

    /// The bytes of a value.
    pub(super) fn payload(&self, (row, from): (Row, usize)) -> Option<&'a str> {
        self.values.get(from..from.checked_add(row.length)?)
    }

    /// The text of a value that is a text or a word.
    pub(super) fn text(&self, place: (Row, usize)) -> Option<&'a str> {
        let payload = self.payload(place)?;
        match place.0.kind {
            TEXT => Some(payload),
            WORD => match number(payload.as_bytes())?.0 {
                0 => self.record_id(),
                number => words::word(number),
            },
            _ => None,
        }
    }

    /// The value at a place.
    pub(super) fn value(&self, place: (Row, usize)) -> Option<ValueRef<'a>> {
        let mut payload = Reader(self.payload(place)?);
        Some(match place.0.kind {
            NO => ValueRef::Bool(false),
            YES => ValueRef::Bool(true),
            INT => ValueRef::Int(i64::try_from(payload.wide()?).ok()?),
            DECIMAL => {
                let head = payload.byte()?;
                let scale = u32::from(head & !NEGATIVE_ZERO);
                let mut value = Decimal::try_from_i128_with_scale(payload.wide()?, scale).ok()?;
                if head & NEGATIVE_ZERO != 0 {
                    value.set_sign_negative(true);
                }
                ValueRef::Decimal(value)
            }
            TEXT | WORD => ValueRef::Text(self.text(place)?),
            TIME => {
                let (time, precision) = payload.time(self.time)?;
                ValueRef::Time(time, precision)
            }
            _ => {
                let mut items = Vec::new();
                while !payload.0.is_empty() {
                    items.push(payload.item()?);
                }
                ValueRef::List(items)
            }
        })
    }

    /// Whether a list among its entries has one of these words; other values have none.
    pub(super) fn list_has(&self, place: (Row, usize), wanted: &[Box<str>]) -> bool {
        if place.0.kind != LIST {
            return false;
        }
        let mut rest = Reader(self.payload(place).unwrap_or_default());
        while let Some(entry) = rest.item() {
            if wanted.iter().any(|word| word.as_ref() == entry) {
                return true;
            }
        }
        false
    }

    /// The fields in the order of the schema.
    pub(super) fn iter(self) -> impl Iterator<Item = (Field, ValueRef<'a>)> + use<'a> {
        let mut from = 0_usize;
        rows(self.table).filter_map(move |row| {
            let place = (row, from);
            from = from.saturating_add(row.length);
            Some((row.field, self.value(place)?))
        })
    }

    fn tail_reader(&self) -> Option<Reader<'a>> {
        let length = rows(self.table).map(|row| row.length).sum();
        self.values.get(length..).map(Reader)
    }

    fn record_id(&self) -> Option<&'a str> {
        let mut tail = self.tail_reader()?;
        tail.item()?;
        tail.item()
    }

    /// What stands behind the fields.
    pub(super) fn tail(&self) -> Option<Tail<'a>> {
        let mut rest = self.tail_reader()?;
        let (source, record_id) = (rest.item()?, rest.item()?);
        let behind = rest.wide()?;
        let op = match rest.byte()? {
            0 => Op::Insert,
            1 => Op::Update,
            2 => Op::Delete,
            _ => return None,
        };
        let (arrived_at, _) = rest.time(self.time)?;
        let version = i64::try_from(behind.checked_add(i128::from(arrived_at.0))?).ok()?;
        let count = usize::try_from(rest.number()?).ok()?;
        let mut subjects = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            let kind = rest.byte()?;
            let named = *SubjectKind::ALL.get(usize::from(kind & !ITSELF))?;
            subjects.push(if kind & ITSELF == 0 {
                SubjectKey::new(named, rest.item()?)
            } else {
                SubjectKey::new(named, &format!("{source}/{record_id}"))
            });
        }
        Some(Tail {
            source,
            record_id,
            version,
            op,
            arrived_at,
            subjects,
        })
    }

    /// How evidence names the fact: source, record id, version.
    pub(super) fn name(&self) -> Option<(&'a str, &'a str, i64)> {
        let mut rest = self.tail_reader()?;
        let (source, record_id) = (rest.item()?, rest.item()?);
        let behind = rest.wide()?;
        rest.byte()?;
        let (arrived_at, _) = rest.time(self.time)?;
        let version = i64::try_from(behind.checked_add(i128::from(arrived_at.0))?).ok()?;
        Some((source, record_id, version))
    }

    /// All fields, owned.
    pub(super) fn fields(&self) -> Option<Fields> {
        let mut fields = Fields::with_capacity(self.table.len() / 2);
        let mut from = 0_usize;
        for row in rows(self.table) {
            fields.set(row.field, self.value((row, from))?.to_value());
            from = from.saturating_add(row.length);
        }
        Some(fields)
    }
}

#[cfg(test)]
mod tests;

//! Canonical events as JSON lines: the form of fixtures, of feedback and of the event topic.
//!
//! ```text
//! {"source":"hotline-order","record_id":"A1","version":1772325000000,"op":"insert","stream":"complaint",
//!  "occurred_at":"2026-03-01T08:30:00+08:00","arrived_at":"2026-03-01T09:00:00+08:00","validity":"valid",
//!  "subjects":["enterprise:91320106…","region:320106"],"fields":{"problem_type":"食品安全","amount":"12.50"}}
//! ```
//!
//! A time to the day is a plain date. Decimals are strings, so that no reader makes floats of them (numbers are read too).
//! `version` is 0, `op` insert, `validity` valid and `arrived_at` the time of the fact when they are left out. Writing
//! and reading give the same event again.
//!
//! errors   an unknown key, stream or field, a value of another type: a reject that names it

use super::super::event::{Event, Fields, Op, SubjectKey, SubjectKind, Validity, Value};
use super::super::region;
use super::super::reject::{Reject, RejectCode};
use super::super::schema::{Field, FieldType, Stream, field};
use super::super::time::{EventTime, Precision};
use super::coerce::{LIST_ITEMS_MAX, kept};
use super::json::{Json, Scanner};
use super::{moment, subjects, text};
use compact_str::CompactString;
use rust_decimal::Decimal;
use std::borrow::Cow;
use std::fmt::Write;

/// The longest key of a subject and id of a record that is read, in bytes.
const KEY_BYTES_MAX: usize = 200;
/// The most subjects of an event.
const SUBJECTS_MAX: usize = 64;

/// Writes an event as one line, without the line end. The order of keys is fixed: same event, same bytes.
pub fn write(event: &Event) -> String {
    let mut out = String::with_capacity(512);
    out.push_str("{\"source\":");
    string(&event.source, &mut out);
    out.push_str(",\"record_id\":");
    string(&event.record_id, &mut out);
    put(&mut out, format_args!(",\"version\":{}", event.version));
    put(&mut out, format_args!(",\"op\":\"{}\"", op_name(event.op)));
    put(
        &mut out,
        format_args!(",\"stream\":\"{}\"", event.stream.name()),
    );
    out.push_str(",\"occurred_at\":\"");
    time(event.occurred_at, event.precision, &mut out);
    out.push_str("\",\"arrived_at\":\"");
    time(event.arrived_at, Precision::Second, &mut out);
    put(
        &mut out,
        format_args!("\",\"validity\":\"{}\"", validity_name(event.validity)),
    );
    out.push_str(",\"subjects\":[");
    for (at, subject) in event.subjects.iter().enumerate() {
        if 0 < at {
            out.push(',');
        }
        string(&subject.to_string(), &mut out);
    }
    out.push_str("],\"fields\":{");
    for (at, (field, value)) in event.fields.iter().enumerate() {
        if 0 < at {
            out.push(',');
        }
        put(&mut out, format_args!("\"{}\":", field.name()));
        self::value(value, &mut out);
    }
    out.push_str("}}");
    out
}

/// Reads one line.
pub fn read(line: &str) -> Result<Event, Reject> {
    let mut scanner = Scanner::new(line);
    if scanner.value()? != Json::Object {
        let message = "not JSON as it is read here: the record is not an object";
        return Err(Reject::new(RejectCode::BadJson, message));
    }
    let mut draft = Draft::default();
    // The stream says what the fields are; it may stand behind them.
    let mut fields: Vec<(Cow<'_, str>, Raw<'_>)> = Vec::with_capacity(32);
    scanner.object(&mut |scanner, key| {
        let value = scanner.value()?;
        match (&*key, value) {
            ("fields", Json::Object) => scanner.object(&mut |scanner, key| {
                let raw = raw(&key, scanner)?;
                fields.push((key, raw));
                Ok(())
            }),
            ("subjects", Json::Array) => scanner.array(&mut |scanner| {
                let item = scanner.value()?;
                draft.subject(&item)
            }),
            (_, value) => draft.set(&key, &value),
        }
    })?;
    scanner.end()?;
    draft.finish(fields).map(with_current_regions)
}

/// Region codes that were replaced become those that replaced them, as a mapped feed would have it.
fn with_current_regions(mut event: Event) -> Event {
    let current = |code: &str| region::normalise(code).filter(|now| *now != code);
    if let Some(now) = event.fields.text(field::region).and_then(current) {
        event.fields.set(field::region, Value::Text(now.into()));
    }
    let mut subjects: Vec<SubjectKey> = Vec::with_capacity(event.subjects.len());
    for mut subject in event.subjects {
        if subject.kind == SubjectKind::Region
            && let Some(now) = current(&subject.key)
        {
            subject.key = now.into();
        }
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    event.subjects = subjects;
    event
}

/// A field's value before its type is known.
enum Raw<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    List(Vec<Cow<'a, str>>),
}

fn raw<'a>(name: &str, scanner: &mut Scanner<'a>) -> Result<Raw<'a>, Reject> {
    Ok(match scanner.value()? {
        Json::Null => Raw::Null,
        Json::Bool(truth) => Raw::Bool(truth),
        Json::Number(number) => Raw::Number(number),
        Json::Text(text) => Raw::Text(text),
        Json::Array => {
            let mut items = Vec::new();
            scanner.array(&mut |scanner| match scanner.value()? {
                Json::Text(item) => {
                    items.push(item);
                    Ok(())
                }
                _ => Err(bad(&format!("field {name:?}: a list holds strings"))),
            })?;
            Raw::List(items)
        }
        Json::Object => return Err(bad(&format!("field {name:?} is an object"))),
    })
}

#[cold]
fn bad(message: &str) -> Reject {
    Reject::new(RejectCode::BadValue, message)
}

#[cold]
fn not(what: &str, given: &str, expected: &str) -> Reject {
    bad(&format!(
        "{what}: {:?} is not {expected}",
        text::shortened(given)
    ))
}

/// An event while its keys are read.
#[derive(Default)]
struct Draft {
    source: Option<CompactString>,
    record_id: Option<CompactString>,
    version: i64,
    op: Op,
    stream: Option<Stream>,
    occurred_at: Option<(EventTime, Precision)>,
    arrived_at: Option<EventTime>,
    validity: Validity,
    subjects: Vec<SubjectKey>,
}

/// The keys beside `subjects` and `fields`.
const KEYS: [&str; 8] = [
    "source",
    "record_id",
    "version",
    "op",
    "stream",
    "occurred_at",
    "arrived_at",
    "validity",
];

impl Draft {
    fn set(&mut self, key: &str, value: &Json<'_>) -> Result<(), Reject> {
        if !KEYS.contains(&key) && !matches!(key, "subjects" | "fields") {
            let message = format!("key {:?} is not of a canonical event", text::shortened(key));
            return Err(Reject::new(RejectCode::UnknownColumn, message));
        }
        let text = match value {
            Json::Text(text) => &**text,
            Json::Number(number) if key == "version" => number,
            Json::Null if matches!(key, "arrived_at" | "validity" | "op" | "version") => {
                return Ok(());
            }
            _ => return Err(bad(&format!("key {key:?}: not a value of its kind"))),
        };
        match key {
            "source" => self.source = Some(id(key, text)?),
            "record_id" => self.record_id = Some(id(key, text)?),
            "version" => {
                let version = text.parse();
                self.version = version.map_err(|_| not(key, text, "a whole number"))?;
            }
            "op" => {
                let mut all = [Op::Insert, Op::Update, Op::Delete].into_iter();
                self.op = all.find(|op| op_name(*op) == text).ok_or_else(|| {
                    let message = format!(
                        "op: {:?} is not insert, update or delete",
                        text::shortened(text)
                    );
                    Reject::new(RejectCode::BadOperation, message)
                })?;
            }
            "stream" => {
                let stream = Stream::fed()
                    .chain([Stream::Finding])
                    .find(|stream| stream.name() == text);
                self.stream = Some(stream.ok_or_else(|| not(key, text, "a stream"))?);
            }
            "occurred_at" => self.occurred_at = Some(read_time(key, text)?),
            "arrived_at" => self.arrived_at = Some(read_time(key, text)?.0),
            "validity" => {
                let found = VALIDITIES.into_iter().find(|v| validity_name(*v) == text);
                self.validity = found.ok_or_else(|| not(key, text, "a validity"))?;
            }
            _ => return Err(bad(&format!("key {key:?}: not a value of its kind"))),
        }
        Ok(())
    }

    fn subject(&mut self, item: &Json<'_>) -> Result<(), Reject> {
        let Json::Text(text) = item else {
            return Err(bad("subjects: a list of \"kind:key\" is expected"));
        };
        let text = kept(text)
            .map_err(|problem| Reject::new(problem.code, format!("subjects: {}", problem.what)))?;
        let subject = SubjectKey::parse(&text)
            .filter(|subject| subject.key.len() <= KEY_BYTES_MAX)
            .ok_or_else(|| not("subjects", &text, "a subject (expected kind:key)"))?;
        if self.subjects.len() == SUBJECTS_MAX {
            return Err(bad("subjects: more than 64"));
        }
        if !self.subjects.contains(&subject) {
            self.subjects.push(subject);
        }
        Ok(())
    }

    fn finish(self, raw_fields: Vec<(Cow<'_, str>, Raw<'_>)>) -> Result<Event, Reject> {
        let missing =
            |key: &str| Reject::new(RejectCode::MissingField, format!("key {key:?} is absent"));
        let source = self.source.ok_or_else(|| missing("source"))?;
        let record_id = self.record_id.ok_or_else(|| missing("record_id"))?;
        let stream = self.stream.ok_or_else(|| missing("stream"))?;
        let (occurred_at, precision) = self.occurred_at.ok_or_else(|| missing("occurred_at"))?;
        let mut fields = Fields::new();
        for (name, raw) in raw_fields {
            let Some(field) = Field::of(stream, &name) else {
                let message = format!(
                    "{} has no field {:?}",
                    stream.name(),
                    text::shortened(&name)
                );
                return Err(Reject::new(RejectCode::UnknownColumn, message));
            };
            if let Some(value) = typed(field, raw)? {
                fields.set(field, value);
            }
        }
        let mut subjects = self.subjects;
        // Individuals first, in the order given.
        subjects.sort_by_key(|subject| subject.kind.is_collective());
        if subjects
            .first()
            .is_none_or(|subject| subject.kind.is_collective())
        {
            let key = format!("{source}/{record_id}");
            let key = text::prefix(&key, KEY_BYTES_MAX);
            subjects.insert(0, SubjectKey::new(SubjectKind::Unresolved, key));
        }
        if !subjects.iter().any(|subject| subject.kind.is_collective()) {
            subjects::add_collectives(&fields, &mut subjects);
        }
        Ok(Event {
            source,
            record_id,
            version: self.version,
            op: self.op,
            stream,
            occurred_at,
            precision,
            arrived_at: self.arrived_at.unwrap_or(occurred_at),
            validity: if self.op == Op::Delete && self.validity == Validity::Valid {
                Validity::Deleted
            } else {
                self.validity
            },
            subjects,
            fields,
        })
    }
}

fn id(key: &str, text: &str) -> Result<CompactString, Reject> {
    let id = kept(text)
        .map_err(|problem| Reject::new(problem.code, format!("{key}: {}", problem.what)))?;
    if id.is_empty() || KEY_BYTES_MAX < id.len() {
        return Err(not(key, text, "an id (expected 1 to 200 bytes)"));
    }
    Ok(id)
}

fn read_time(key: &str, text: &str) -> Result<(EventTime, Precision), Reject> {
    let time = moment::common(text.as_bytes()).or_else(|| EventTime::parse(text));
    time.ok_or_else(|| {
        let message = format!(
            "{key}: {:?} is not a time (expected 2026-03-01 or 2026-03-01T08:30:00+08:00)",
            text::shortened(text)
        );
        Reject::new(RejectCode::BadTime, message)
    })
}

/// A value of the field's type, `None` for null.
fn typed(field: Field, raw: Raw<'_>) -> Result<Option<Value>, Reject> {
    let wanted = field.spec().field_type;
    let keep = |text: &str| {
        kept(text).map_err(|problem| {
            Reject::new(
                problem.code,
                format!("field {:?}: {}", field.name(), problem.what),
            )
        })
    };
    Ok(Some(match (wanted, raw) {
        (_, Raw::Null) => return Ok(None),
        (FieldType::Bool, Raw::Bool(truth)) => Value::Bool(truth),
        (FieldType::Int, Raw::Number(number)) => Value::Int(
            number
                .parse()
                .map_err(|_| not(field.name(), number, "a whole number"))?,
        ),
        (FieldType::Decimal, Raw::Number(number)) => decimal(field, number)?,
        (FieldType::Decimal, Raw::Text(number)) => decimal(field, &number)?,
        (FieldType::Text, Raw::Text(text)) => Value::Text(keep(&text)?),
        (FieldType::Time, Raw::Text(text)) => {
            let (time, precision) = read_time(field.name(), &text)?;
            Value::Time(time, precision)
        }
        (FieldType::List, Raw::List(items)) => {
            if LIST_ITEMS_MAX < items.len() {
                return Err(bad(&format!(
                    "field {:?}: more than 64 entries",
                    field.name()
                )));
            }
            let items = items.iter().map(|item| keep(item).map(Into::into));
            let items: Result<Vec<_>, _> = items.collect();
            Value::List(items?.into())
        }
        (_, Raw::Bool(_) | Raw::Number(_) | Raw::Text(_) | Raw::List(_)) => {
            return Err(bad(&format!(
                "field {:?}: not a value of its type ({wanted:?})",
                field.name()
            )));
        }
    }))
}

fn decimal(field: Field, number: &str) -> Result<Value, Reject> {
    let plain = number
        .bytes()
        .all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    let number_read = plain
        .then(|| Decimal::from_str_exact(number).ok())
        .flatten();
    number_read
        .map(Value::Decimal)
        .ok_or_else(|| not(field.name(), number, "a decimal number"))
}

const VALIDITIES: [Validity; 6] = [
    Validity::Valid,
    Validity::Revoked,
    Validity::Retracted,
    Validity::Repaired,
    Validity::Shielded,
    Validity::Deleted,
];

fn op_name(op: Op) -> &'static str {
    match op {
        Op::Insert => "insert",
        Op::Update => "update",
        Op::Delete => "delete",
    }
}

fn validity_name(validity: Validity) -> &'static str {
    match validity {
        Validity::Valid => "valid",
        Validity::Revoked => "revoked",
        Validity::Retracted => "retracted",
        Validity::Repaired => "repaired",
        Validity::Shielded => "shielded",
        Validity::Deleted => "deleted",
    }
}

/// Writing into a string cannot fail.
fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(arguments);
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest
        .bytes()
        .position(|b| b == b'"' || b == b'\\' || b < 0x20)
    {
        let (plain, after) = rest.split_at(at);
        out.push_str(plain);
        match after.chars().next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some(c) => put(out, format_args!("\\u{:04x}", u32::from(c))),
            None => {}
        }
        rest = after.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
}

/// To the day a date; to the minute `2026-03-01T08:30+08:00`; else seconds, with ms when there are any.
fn time(time: EventTime, precision: Precision, out: &mut String) {
    let date = time.date();
    put(
        out,
        format_args!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()),
    );
    let ms = time.ms_of_day();
    let (hours, minutes, seconds, ms) =
        (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    match precision {
        Precision::Day if hours + minutes + seconds + ms == 0 => return,
        Precision::Minute if seconds + ms == 0 => {
            put(out, format_args!("T{hours:02}:{minutes:02}"));
        }
        Precision::Day | Precision::Minute | Precision::Second => {
            put(out, format_args!("T{hours:02}:{minutes:02}:{seconds:02}"));
        }
    }
    if 0 < ms {
        put(out, format_args!(".{ms:03}"));
    }
    out.push_str("+08:00");
}

fn value(value: &Value, out: &mut String) {
    match value {
        Value::Bool(truth) => put(out, format_args!("{truth}")),
        Value::Int(number) => put(out, format_args!("{number}")),
        Value::Decimal(number) => put(out, format_args!("\"{number}\"")),
        Value::Text(text) => string(text, out),
        Value::Time(at, precision) => {
            out.push('"');
            time(*at, *precision, out);
            out.push('"');
        }
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if 0 < at {
                    out.push(',');
                }
                string(item, out);
            }
            out.push(']');
        }
    }
}

#[cfg(test)]
#[path = "canonical_tests.rs"]
mod tests;

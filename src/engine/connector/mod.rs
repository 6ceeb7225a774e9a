//! From raw bytes of an agency's feed to canonical events.
//!
//! ```text
//! bytes → Framer → record → Decoder: [ charset → cells by slot → fields, subjects, validity → script ] → Event | Reject
//! ```
//!
//! A feed is one TOML file (`connectors/*.toml`, described in `connectors/README.md`), checked whole by [`Connector::parse`]
//! before the first record. One record gives exactly one event or one reject; nothing is dropped in silence.
//!
//! cost     about 1 to 2 µs per record; columns are found by slot, and nothing is built that no field reads
//! errors   a wrong file is a [`ConnectorError`] that points into it; a wrong record is a [`super::reject::Reject`]

mod bytes;
pub mod canonical;
mod cell;
mod coerce;
mod compile;
mod csv;
mod decode;
mod frame;
mod json;
mod mapping;
mod moment;
mod personal;
mod plan;
mod read;
mod rows;
mod script;
mod spec;
mod subjects;
mod text;
mod xml;

pub use decode::Decoder;
pub use frame::{Frame, Framer, Framing, RECORD_BYTES_MAX};

use super::schema::Stream;
use super::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use compile::Place;
use plan::Plan;
use script::Script;
use spec::{Charset, Format, Spec};
use std::fmt;

/// How far ahead of now a fact may be when the file says nothing, in minutes.
const FUTURE_MINUTES: i64 = 5;

/// One agency feed, as its TOML file describes it.
#[derive(Debug)]
pub struct Connector {
    id: Box<str>,
    title: Box<str>,
    agency: Box<str>,
    stream: Stream,
    charset: Charset,
    silence_hours: Option<i64>,
    late_ms_max: Option<i64>,
    future_ms_max: i64,
    layout: Layout,
    script: Option<Script>,
}

/// How a record is laid out.
#[derive(Debug)]
enum Layout {
    Csv(Plan),
    Json(Plan),
    Canonical,
    Xml(Plan),
}

impl Connector {
    /// Reads and checks a connector. `name` is the file's name for messages, `script` the text of the sibling `.rhai`
    /// file if there is one.
    pub fn parse(name: &str, toml: &str, script: Option<&str>) -> Result<Self, ConnectorError> {
        let place = Place {
            file: name,
            text: toml,
        };
        let spec: Spec =
            toml::from_str(toml).map_err(|error| ConnectorError::of_toml(place, &error))?;
        let id = spec.id.get_ref();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if id.is_empty() || 64 < id.len() || !id.bytes().all(plain) {
            let message = format!("id {id:?} is not a name (expected a-z, 0-9 and -, at most 64)");
            return Err(place.error(spec.id.span(), message));
        }
        let known = Stream::fed;
        let Some(stream) = known().find(|stream| stream.name() == spec.stream.get_ref()) else {
            return Err(place.unknown("stream", &spec.stream, known().map(Stream::name)));
        };
        let above_zero = |number: &Option<toml::Spanned<i64>>| match number {
            Some(number) if *number.get_ref() <= 0 || 100_000 < *number.get_ref() => {
                Err(place.error(number.span(), "expected a number from 1 to 100,000"))
            }
            number => Ok(number.as_ref().map(|number| *number.get_ref())),
        };
        let layout = match spec.format.get_ref() {
            Format::Csv => Layout::Csv(compile::compile(place, &spec, stream)?),
            Format::Json => Layout::Json(compile::compile(place, &spec, stream)?),
            Format::Xml => Layout::Xml(compile::compile(place, &spec, stream)?),
            Format::Canonical => {
                only_canonical(place, &spec, script.is_some())?;
                Layout::Canonical
            }
        };
        let script = script
            .map(|source| Script::parse(name, source))
            .transpose()?;
        Ok(Self {
            stream,
            silence_hours: above_zero(&spec.silence_hours)?,
            late_ms_max: above_zero(&spec.late_days)?.map(|days| days * DAY_MS),
            future_ms_max: above_zero(&spec.future_minutes)?.unwrap_or(FUTURE_MINUTES) * MINUTE_MS,
            charset: spec.charset,
            id: spec.id.into_inner().into(),
            title: spec.title.into(),
            agency: spec.agency.into(),
            layout,
            script,
        })
    }

    /// The connector's name, `credit-penalty`; also the source system of its events unless the file names another.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it replaces personal data by keyed hashes, so that it needs a key.
    pub fn hashes_personal_data(&self) -> bool {
        match &self.layout {
            Layout::Json(plan) | Layout::Csv(plan) | Layout::Xml(plan) => {
                plan.columns.iter().any(|column| {
                    matches!(
                        column.personal,
                        Some(personal::Personal::Hash | personal::Personal::Identity)
                    )
                })
            }
            Layout::Canonical => false,
        }
    }

    /// Whether its records are changes with the row before and after.
    pub fn reads_changes(&self) -> bool {
        match &self.layout {
            Layout::Json(plan) | Layout::Csv(plan) => plan.outer.is_some(),
            Layout::Xml(_) | Layout::Canonical => false,
        }
    }

    /// What people call the feed.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Who sends it.
    pub fn agency(&self) -> &str {
        &self.agency
    }

    /// The kind of fact that it brings.
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// How its bytes are cut into records. A CSV feed begins each file with a header.
    pub fn framing(&self) -> Framing {
        match self.layout {
            Layout::Csv(_) => Framing::Csv,
            Layout::Json(_) | Layout::Canonical | Layout::Xml(_) => Framing::Lines,
        }
    }

    /// After how many hours without a record the feed's silence is a sign of trouble.
    pub fn silence_hours(&self) -> Option<i64> {
        self.silence_hours
    }

    /// How long after the fact a record is still on time, in ms; later ones are used all the same.
    pub fn late_ms_max(&self) -> Option<i64> {
        self.late_ms_max
    }

    /// How far ahead of now a fact may be, in ms.
    pub fn future_ms_max(&self) -> i64 {
        self.future_ms_max
    }

    /// After how many ms without a record the feed's silence is a sign of trouble.
    pub fn silence_ms(&self) -> Option<i64> {
        self.silence_hours.map(|hours| hours * HOUR_MS)
    }
}

/// A canonical feed maps nothing.
fn only_canonical(place: Place<'_>, spec: &Spec, has_script: bool) -> Result<(), ConnectorError> {
    let mapped = spec.record.is_some()
        || spec.subjects.is_some()
        || !spec.validity.is_empty()
        || !spec.fields.is_empty()
        || !spec.personal.is_empty()
        || !spec.columns.ignored.is_empty()
        || spec.charset != Charset::Utf8
        || has_script;
    if mapped {
        let message = "a canonical feed is UTF-8 and maps nothing: \
             leave out record, validity, subjects, fields, personal, columns and the script";
        return Err(place.error(spec.format.span(), message));
    }
    Ok(())
}

/// What is wrong with a connector's file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorError {
    /// The file.
    pub file: Box<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: Box<str>,
    /// What to do, when that is clear.
    pub help: Option<Box<str>>,
}

impl std::error::Error for ConnectorError {}

impl fmt::Display for ConnectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.message
        )?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl ConnectorError {
    /// An error at a byte of a text.
    fn at(file: &str, text: &str, byte: usize, message: String) -> Self {
        let before = text::prefix(text, byte);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            file: file.into(),
            line: before.matches('\n').count() + 1,
            column: before
                .get(line_start..)
                .map_or(0, |line| line.chars().count())
                + 1,
            message: message.into(),
            help: None,
        }
    }

    /// Points at the nearest of the known names, or lists them when none is near.
    fn with_nearest<'k>(mut self, name: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        let distance = |other: &str| edits(name, other);
        let nearest = known.iter().min_by_key(|other| distance(other));
        self.help = nearest.map(|nearest| {
            if distance(nearest) <= name.chars().count().div_ceil(3) {
                format!("did you mean {nearest:?}?").into()
            } else {
                format!("known are: {}", known.join(", ")).into()
            }
        });
        self
    }

    /// An error of the TOML reader; of an unknown key, with the nearest known one.
    fn of_toml(place: Place<'_>, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let message = error.message();
        // serde: unknown field `a`, expected `b` or `c`.
        let mut quoted = message.split('`').skip(1).step_by(2);
        let unknown = ["unknown field", "unknown variant"]
            .iter()
            .any(|what| message.starts_with(what));
        match quoted.next().filter(|_| unknown) {
            Some(name) => {
                let what = if message.starts_with("unknown field") {
                    "key"
                } else {
                    "word"
                };
                Self::at(
                    place.file,
                    place.text,
                    start,
                    format!("unknown {what} {name:?}"),
                )
                .with_nearest(name, quoted)
            }
            None => Self::at(place.file, place.text, start, message.replace('`', "\"")),
        }
    }
}

/// Levenshtein distance in characters.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            let change = diagonal + usize::from(from != *to);
            diagonal = above;
            left = change.min(above + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;

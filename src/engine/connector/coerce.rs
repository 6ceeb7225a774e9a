//! The closed list of what can be made of a cell.
//!
//! A coercion takes the text of one filled cell to a value of one field type, or says what it expected. What is absent, which
//! column is personal and what happens when nothing is there is decided before, in the field's plan. There are no
//! expressions: what is cleverer is a function in the connector's script.
//!
//! units    amounts end in yuan, exact, with two decimals where that loses nothing
//! errors   a [`Problem`]: the code and what was expected; the caller names connector, field and value

use super::super::event::Value;
use super::super::identity;
use super::super::industry;
use super::super::region;
use super::super::reject::RejectCode;
use super::super::schema::FieldType;
use super::super::time::{EventTime, Precision};
use super::cell::Cell;
use super::moment::{self, Moment};
use super::text::{TEXT_BYTES_MAX, Words, clean, free};
use compact_str::CompactString;
use rust_decimal::Decimal;
use std::borrow::Cow;

/// The most entries that a list keeps.
pub(super) const LIST_ITEMS_MAX: usize = 64;
/// The most decimal places of an amount in yuan.
const SCALE_MAX: u32 = 12;

/// What to do with a value that the coercion does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unknown {
    /// Refuse the record.
    Reject,
    /// Leave the field out.
    Absent,
    /// Keep the source's own word.
    Keep,
    /// Take it for no.
    No,
}

/// One way to read a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Coercion {
    /// Text as it stands, at most 1,024 bytes.
    Text,
    /// Text that people wrote: numbers of people replaced.
    FreeText,
    /// A whole number.
    Integer,
    /// An exact decimal number.
    Decimal,
    /// Money; a bare number is multiplied by the factor of its unit.
    Amount { factor: u32 },
    /// Yes or no by their spellings.
    Bool {
        yes: Vec<Box<str>>,
        no: Vec<Box<str>>,
        unknown: Unknown,
    },
    /// A day.
    Date,
    /// A time; without a zone it is at `offset_ms` from UTC.
    DateTime { offset_ms: i64 },
    /// Milliseconds since 1970-01-01 UTC.
    EpochMs,
    /// A code by its table, in order of the code.
    Code {
        table: Vec<(Box<str>, Box<str>)>,
        unknown: Unknown,
    },
    /// Several entries.
    List { separators: Box<[char]> },
    /// The first of `order` that is among several entries, else the first entry.
    Gravest {
        separators: Box<[char]>,
        order: Vec<Box<str>>,
    },
    /// How many entries there are.
    Count { separators: Box<[char]> },
    /// The words that stand in a text.
    Keywords(Box<Words>),
    /// One word when the cell is filled, another when it is not.
    Presence { filled: Box<str>, empty: Box<str> },
    /// A region's current code.
    Region,
    /// An industry: section letter and digits.
    Industry { unknown: Unknown },
    /// A unified social credit code.
    Uscc { unknown: Unknown },
    /// Digits only, of a length if one is given.
    Digits { length: Option<usize> },
}

/// What a coercion made: a value, or nothing.
pub(super) type Made = Result<Option<Value>, Problem>;

/// Why a value could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// What is wrong.
    pub(super) code: RejectCode,
    /// `not a date (expected YYYY-MM-DD)`.
    pub(super) what: Cow<'static, str>,
}

fn problem(code: RejectCode, what: &'static str) -> Problem {
    Problem {
        code,
        what: Cow::Borrowed(what),
    }
}

fn bad(what: &'static str) -> Problem {
    problem(RejectCode::BadValue, what)
}

impl Coercion {
    /// The names of all coercions, as connectors write them.
    pub(super) const NAMES: [&str; 19] = [
        "text",
        "free_text",
        "integer",
        "decimal",
        "amount",
        "bool",
        "date",
        "datetime",
        "epoch_ms",
        "code",
        "list",
        "gravest",
        "count",
        "keywords",
        "presence",
        "region",
        "industry",
        "uscc",
        "digits",
    ];

    /// The type of the values that the coercion of this name gives.
    pub(super) fn gives(name: &str) -> Option<FieldType> {
        Some(match name {
            "text" | "free_text" | "code" | "gravest" | "presence" | "region" | "industry"
            | "uscc" | "digits" => FieldType::Text,
            "integer" | "count" => FieldType::Int,
            "decimal" | "amount" => FieldType::Decimal,
            "bool" => FieldType::Bool,
            "date" | "datetime" | "epoch_ms" => FieldType::Time,
            "list" | "keywords" => FieldType::List,
            _ => return None,
        })
    }

    /// Reads a filled cell.
    pub(super) fn cell(&self, cell: &Cell<'_>) -> Made {
        match cell {
            Cell::Absent => Ok(None),
            Cell::Text(text) => self.text(text),
            Cell::List(items) => self.items(items.iter().map(AsRef::as_ref)),
            Cell::Nested => Err(bad("an object (expected a simple value)")),
        }
    }

    /// Reads the text of a filled cell.
    pub(super) fn text(&self, text: &str) -> Made {
        let made = match self {
            Self::Text => Value::Text(kept(text)?),
            Self::FreeText => Value::Text(free(text).into()),
            Self::Integer => Value::Int(integer(text)?),
            Self::Decimal => Value::Decimal(decimal(text)?),
            Self::Amount { factor } => Value::Decimal(amount(text, *factor)?),
            Self::Bool { yes, no, unknown } => return truth(text, yes, no, *unknown),
            Self::Date | Self::DateTime { .. } | Self::EpochMs => {
                return Ok(self
                    .time(text)?
                    .map(|(time, exact)| Value::Time(time, exact)));
            }
            Self::Code { table, unknown } => return code(text, table, *unknown),
            Self::List { separators }
            | Self::Gravest { separators, .. }
            | Self::Count { separators } => {
                return self.items(text.split(&separators[..]));
            }
            Self::Keywords(words) => {
                let mut found = Vec::new();
                words.mark(text, &mut found);
                return Ok((!found.is_empty()).then(|| Value::List(words.named(found))));
            }
            Self::Presence { filled, .. } => Value::Text((**filled).into()),
            Self::Region => return Ok(region::normalise(text).map(|code| Value::Text(code.into()))),
            Self::Industry { unknown } => match industry::normalise(text) {
                Some(code) => Value::Text(code.into()),
                None => {
                    return unknown_value(
                        *unknown,
                        "an industry (expected a letter A to T or a class of GB/T 4754)",
                    );
                }
            },
            Self::Uscc { unknown } => {
                let code = identity::normalise(text);
                if !identity::check_uscc(&code).is_well_formed() {
                    return unknown_value(
                        *unknown,
                        "a unified social credit code (expected 18 characters of GB 32100)",
                    );
                }
                Value::Text(code.into())
            }
            Self::Digits { length } => Value::Text(digits(text, *length)?),
        };
        Ok(Some(made))
    }

    /// Reads a time; `None` for a stand-in.
    pub(super) fn time(&self, text: &str) -> Result<Option<(EventTime, Precision)>, Problem> {
        let offset_ms = match self {
            Self::EpochMs => return epoch_ms(text).map(Some),
            Self::DateTime { offset_ms } => *offset_ms,
            _ => moment::SHANGHAI_MS,
        };
        match moment::read(text, offset_ms) {
            Moment::Nothing => Ok(None),
            Moment::Bad => Err(problem(
                RejectCode::BadTime,
                "not a date that exists (expected YYYY-MM-DD, or with HH:MM:SS)",
            )),
            Moment::Time(time, _) if *self == Self::Date => {
                Ok(Some((EventTime::from_day(time.day()), Precision::Day)))
            }
            Moment::Time(time, _) if time.ms_of_day() == 0 => Ok(Some((time, Precision::Day))),
            Moment::Time(time, precision) => Ok(Some((time, precision))),
        }
    }

    fn items<'t>(&self, items: impl Iterator<Item = &'t str>) -> Made {
        let items = items.map(str::trim).filter(|item| !item.is_empty());
        match self {
            Self::List { .. } => list(items),
            Self::Count { .. } => {
                let count = i64::try_from(items.count()).unwrap_or(i64::MAX);
                Ok(Some(Value::Int(count)))
            }
            Self::Gravest { order, .. } => {
                let items: Vec<&str> = items.collect();
                let gravest = order.iter().find(|word| items.contains(&&***word));
                match (gravest, items.first()) {
                    (Some(word), _) => Ok(Some(Value::Text((**word).into()))),
                    (None, Some(first)) => Ok(Some(Value::Text(kept(first)?))),
                    (None, None) => Ok(None),
                }
            }
            _ => Err(bad("a list (expected a simple value)")),
        }
    }
}

/// Text for an id or a name as a field keeps it.
pub(super) fn kept(text: &str) -> Result<CompactString, Problem> {
    let text = clean(text)
        .map_err(|code| problem(code, "text with a control character (send it without)"))?;
    if TEXT_BYTES_MAX < text.len() {
        return Err(bad("longer than 1,024 bytes"));
    }
    Ok(text.into())
}

fn unknown_value(unknown: Unknown, what: &'static str) -> Made {
    match unknown {
        Unknown::Reject => Err(Problem {
            code: RejectCode::BadValue,
            what: Cow::Owned(format!("not {what}")),
        }),
        Unknown::Absent | Unknown::Keep | Unknown::No => Ok(None),
    }
}

/// A list of at most [`LIST_ITEMS_MAX`]; what is beyond is counted in its last entry, so that nothing goes in silence.
fn list<'t>(items: impl Iterator<Item = &'t str>) -> Made {
    let mut kept_items: Vec<Box<str>> = Vec::new();
    let mut beyond = 0_usize;
    for item in items {
        if kept_items.len() < LIST_ITEMS_MAX - 1 {
            kept_items.push(kept(item)?.into());
        } else {
            beyond += 1;
        }
    }
    if 0 < beyond {
        kept_items.push(format!("…(另有{beyond}项)").into());
    }
    Ok((!kept_items.is_empty()).then(|| Value::List(kept_items.into())))
}

fn integer(text: &str) -> Result<i64, Problem> {
    let text = text.trim();
    // `61.0` is how spreadsheets write 61.
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number = plain.then(|| whole.parse().ok()).flatten();
    number.ok_or_else(|| bad("not a whole number"))
}

fn decimal(text: &str) -> Result<Decimal, Problem> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.len() <= 28
        && digits.bytes().any(|b| b.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number = plain.then(|| Decimal::from_str_exact(text).ok()).flatten();
    number.ok_or_else(|| bad("not a decimal number (expected digits and one point)"))
}

/// `2000`, `1,234.50`, `0.2万元`, `罚款2000元`, `¥300`: a unit in the text holds over the column's.
fn amount(text: &str, factor: u32) -> Result<Decimal, Problem> {
    const EXPECTED: &str = "not an amount (expected a number, with 元 or 万元 after it or not)";
    let text = text.trim();
    let text = ["罚款", "人民币", "¥", "￥"]
        .into_iter()
        .fold(text, |text, word| {
            text.strip_prefix(word).unwrap_or(text).trim_start()
        });
    let (number, factor) = if let Some(number) = text.strip_suffix("万元") {
        (number, 10_000)
    } else if let Some(number) = text.strip_suffix('元') {
        (number, 1)
    } else {
        (text, factor)
    };
    let number = number.trim();
    let value = if number.contains(',') {
        decimal(&without_thousands(number).ok_or_else(|| bad(EXPECTED))?)
    } else {
        decimal(number)
    };
    let value = value.map_err(|_| bad(EXPECTED))?;
    if value.is_sign_negative() && !value.is_zero() {
        return Err(bad("an amount below zero"));
    }
    let yuan = value
        .checked_mul(Decimal::from(factor))
        .map(|yuan| yuan.normalize())
        .filter(|yuan| yuan.scale() <= SCALE_MAX)
        .ok_or_else(|| bad("an amount with more digits than money has"))?;
    let mut cents = yuan;
    if cents.scale() <= 2 {
        cents.rescale(2);
    }
    Ok(cents)
}

/// `1,234,567.8` without its commas; `None` when they do not stand at the thousands.
fn without_thousands(number: &str) -> Option<String> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let fits = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    if !fits || fraction.contains(',') {
        return None;
    }
    Some(number.replace(',', ""))
}

fn truth(text: &str, yes: &[Box<str>], no: &[Box<str>], unknown: Unknown) -> Made {
    let text = text.trim();
    if yes.iter().any(|word| **word == *text) {
        return Ok(Some(Value::Bool(true)));
    }
    if no.iter().any(|word| **word == *text) {
        return Ok(Some(Value::Bool(false)));
    }
    match unknown {
        Unknown::No => Ok(Some(Value::Bool(false))),
        Unknown::Absent | Unknown::Keep => Ok(None),
        Unknown::Reject => Err(Problem {
            code: RejectCode::UnknownCode,
            what: Cow::Owned(format!(
                "neither yes ({}) nor no ({})",
                yes.join(", "),
                no.join(", ")
            )),
        }),
    }
}

fn code(text: &str, table: &[(Box<str>, Box<str>)], unknown: Unknown) -> Made {
    let text = text.trim();
    if let Ok(at) = table.binary_search_by(|(code, _)| (**code).cmp(text)) {
        return Ok(table.get(at).map(|(_, word)| Value::Text((**word).into())));
    }
    match unknown {
        Unknown::Keep => Ok(Some(Value::Text(kept(text)?))),
        Unknown::Absent | Unknown::No => Ok(None),
        Unknown::Reject => Err(problem(
            RejectCode::UnknownCode,
            "not in the connector's table (add it there, or say unknown = \"keep\")",
        )),
    }
}

fn digits(text: &str, length: Option<usize>) -> Result<CompactString, Problem> {
    let code = identity::normalise(text);
    let fits = code.bytes().all(|b| b.is_ascii_digit())
        && length.is_none_or(|length| code.len() == length)
        && (1..=64).contains(&code.len());
    if fits {
        return Ok(code.into());
    }
    Err(Problem {
        code: RejectCode::BadValue,
        what: match length {
            Some(length) => Cow::Owned(format!("not a code of {length} digits")),
            None => Cow::Borrowed("not a code of digits"),
        },
    })
}

fn epoch_ms(text: &str) -> Result<(EventTime, Precision), Problem> {
    let ms = integer(text).ok();
    let (first, last) = (
        EventTime::parse("1990-01-01"),
        EventTime::parse("2098-12-31"),
    );
    let within = |ms: &i64| {
        first.is_none_or(|(time, _)| time.0 <= *ms) && last.is_none_or(|(time, _)| *ms <= time.0)
    };
    ms.filter(within)
        .map(|ms| (EventTime(ms), Precision::Second))
        .ok_or_else(|| {
            problem(
                RejectCode::BadTime,
                "not a time in ms since 1970 (seconds are not ms)",
            )
        })
}

#[cfg(test)]
#[path = "coerce_tests.rs"]
mod tests;

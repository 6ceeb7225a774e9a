//! Dirt: what is wrong with real feeds, at stated rates, each piece counted.
//!
//! Every kind is a row of one table: its name in `manifest.json`, its rate, of what the rate is, and what a reader must do
//! with it. Three sorts there are. *Harmless* dirt is another way of writing the same thing and must change nothing.
//! *Subject* dirt takes away or spoils the code of the subject. *Refused* dirt makes a record that no reader may accept, under
//! the reject code that stands in the table; a record has at most one of these, so that the count of refusals by code is exact.
//! Evidence of a bad actor gets harmless dirt only, so that the truth holds whatever the rates are.
//!
//! units    rates in records per 10,000

use super::dice::Dice;
use super::feed::{Feed, Form};
use super::record::Record;
use crate::engine::reject::RejectCode;
use RejectCode::{
    BadCsv, BadEncoding, BadJson, BadOperation, BadTime, DuplicateKey, MissingField, TestRow,
    UnknownCode, UnknownColumn,
};

/// A row of the table.
#[derive(Debug)]
pub struct KindSpec {
    /// The name in the manifest.
    pub name: &'static str,
    /// How many of 10,000, unless a plan says otherwise.
    pub per_10k: u32,
    /// Of what.
    pub of: &'static str,
    /// What it is.
    pub note: &'static str,
    /// The code under which a reader refuses it.
    pub refused: Option<RejectCode>,
}

macro_rules! kinds {
    ($($id:ident, $name:literal, $rate:literal, $of:literal, $refused:expr, $note:literal;)*) => {
        /// A kind of dirt.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $(#[doc = $note] $id),* }

        impl Kind {
            /// All kinds, in the order of the table.
            pub const ALL: [Self; 30] = [$(Self::$id),*];

            /// Its row of the table.
            pub fn spec(self) -> &'static KindSpec {
                match self { $(Self::$id => &KindSpec {
                    name: $name, per_10k: $rate, of: $of, note: $note, refused: $refused,
                }),* }
            }
        }
    };
}

kinds! {
    Duplicate, "duplicate", 100, "records", None, "the same bytes come again, within two days";
    ResentBatch, "resent_batch", 100, "batches of a day", None, "a whole day's batch of a feed comes again the next day";
    OutOfOrder, "out_of_order", 200, "later versions", None, "a later version arrives before the first";
    Corrected, "corrected", 60, "records with versions", None, "a later version changes what the first said";
    Deleted, "deleted", 20, "inspections, licences, coercive measures", None, "the source deletes the record";
    Retracted, "retracted", 150, "orders", None, "the citizen takes the order back";
    Revoked, "revoked", 150, "penalties", None, "the penalty is revoked: a later version gives the reason";
    Repaired, "repaired", 6000, "list entries", None, "the entry is removed later";
    ManyChannels, "many_channels", 150, "orders", None, "the same dispute comes again through 12315, in the same group";
    NoCode, "no_code", 2500, "orders", None, "free text without a credit code: the subject waits for resolution";
    Person, "person", 150, "inspections, licences and penalties", None, "the subject is a natural person";
    LowerCaseCode, "lower_case_code", 100, "records with a code", None, "the code in lower case";
    FullWidthCode, "full_width_code", 20, "records with a code", None, "the code in full-width characters";
    BadCheckDigit, "bad_check_digit", 30, "records with a code", None, "the last character is wrong: well formed, another subject, flagged";
    MaskedCode, "masked_code", 30, "records with a code", None, "parts of the code are hidden by *";
    PlaceholderCode, "placeholder_code", 20, "records with a code", None, "zeros instead of a code";
    HalfWidthBrackets, "half_width_brackets", 3000, "names with brackets", None, "(南京) for （南京）";
    LongRegion, "long_region", 300, "records with a region", None, "12 digits of region";
    RetiredRegion, "retired_region", 3000, "records of merged districts", None, "the code that the district had before its reform";
    SentinelDate, "sentinel_date", 100, "records with an optional date", None, "1900-01-01, 2099-12-31 or 9999-9-9 for none";
    AmountWithUnit, "amount_with_unit", 500, "records with an amount", None, "the unit in the cell: 罚款2000元, 0.2万元";
    TestRow, "test_row", 20, "inspections", Some(TestRow), "env_flag says test";
    BrokenLine, "broken_json", 10, "records in JSON", Some(BadJson), "the line is cut off";
    TwiceKey, "duplicate_key", 5, "records in JSON", Some(DuplicateKey), "a key stands twice";
    StrangeColumn, "unknown_column", 5, "records in JSON", Some(UnknownColumn), "a key that the layout does not have";
    WrongColumns, "wrong_columns", 10, "rows of CSV", Some(BadCsv), "a row with one column too many";
    BadBytes, "bad_encoding", 10, "rows in GB18030", Some(BadEncoding), "bytes that are not of the character set";
    UnknownTerm, "unknown_code", 20, "records with a closed term", Some(UnknownCode), "a term that is not in the table";
    Mended, "mended", 9000, "refused records", None, "what was refused comes again within a day, as it should have been";
    Unreadable, "bad_or_missing", 20, "records", None, "a date that does not exist, an empty column that must be filled, or an unknown operation";
}

/// How much dirt there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirt([u32; 30]);

impl Default for Dirt {
    /// The rates of the table.
    fn default() -> Self {
        Self(Kind::ALL.map(|kind| kind.spec().per_10k))
    }
}

impl Dirt {
    /// None at all.
    pub fn none() -> Self {
        Self([0; 30])
    }

    /// The rate of a kind, per 10,000.
    pub fn per_10k(&self, kind: Kind) -> u32 {
        Kind::ALL
            .iter()
            .zip(self.0)
            .find(|(each, _)| **each == kind)
            .map_or(0, |(_, rate)| rate)
    }

    /// The same with another rate of a kind; more than 10,000 is taken as 10,000.
    #[must_use]
    pub fn with(mut self, kind: Kind, per_10k: u32) -> Self {
        for (each, rate) in Kind::ALL.iter().zip(&mut self.0) {
            if *each == kind {
                *rate = per_10k.min(10_000);
            }
        }
        self
    }

    /// Whether one more case of the kind is to be made.
    pub(super) fn strikes(&self, kind: Kind, dice: &mut Dice) -> bool {
        dice.chance(self.per_10k(kind))
    }
}

/// A line as it leaves, and whether a reader must refuse it.
#[derive(Debug)]
pub(super) struct Soiled {
    pub(super) line: Vec<u8>,
    pub(super) kinds: Vec<Kind>,
    pub(super) refused: Option<RejectCode>,
    /// The line as it should have been, if its sender finds out.
    pub(super) mended: Option<Vec<u8>>,
}

/// Districts whose code changed, with the code before.
const RETIRED: [(&str, &str); 8] = [
    ("320213", "320202"),
    ("320508", "320503"),
    ("320509", "320584"),
    ("320613", "320602"),
    ("320685", "320621"),
    ("320812", "320802"),
    ("320904", "320982"),
    ("321012", "321088"),
];

/// Writes a record with the dirt that strikes it.
pub(super) fn soil(mut record: Record, dirt: &Dirt, dice: &mut Dice) -> Soiled {
    harmless(&mut record, dirt, dice);
    let mut refused = None;
    let mut mended = None;
    if !record.is_evidence {
        subject(&mut record, dirt, dice);
        if let Some(spoilt) = unreadable(&record, dirt, dice) {
            mended = Some(record.line());
            record.set(spoilt.column, spoilt.text);
            record.kinds.push(spoilt.kind);
            refused = Some(spoilt.code);
        }
    }
    let mut line = record.line();
    if !record.is_evidence && refused.is_none() {
        let whole = line.clone();
        if let Some(kind) = broken(&record, &mut line, dirt, dice) {
            record.kinds.push(kind);
            refused = kind.spec().refused;
            mended = Some(whole);
        }
    }
    Soiled {
        line,
        kinds: record.kinds,
        refused,
        mended: mended.filter(|_| dirt.strikes(Kind::Mended, dice)),
    }
}

fn harmless(record: &mut Record, dirt: &Dirt, dice: &mut Dice) {
    let places = record.feed.places();
    let code = record.get(places.code).to_owned();
    if !code.is_empty() && dirt.strikes(Kind::LowerCaseCode, dice) {
        let lower = code.to_ascii_lowercase();
        if lower != code {
            record.set(places.code, lower);
            record.kinds.push(Kind::LowerCaseCode);
        }
    } else if !code.is_empty() && dirt.strikes(Kind::FullWidthCode, dice) {
        let wide: String = code.chars().map(full_width).collect();
        record.set(places.code, wide);
        record.kinds.push(Kind::FullWidthCode);
    }
    let name_column = match record.feed {
        Feed::HotlineOrder => "TARGETNAME",
        _ => places.name,
    };
    let name = record.get(name_column);
    if name.contains('（') && dirt.strikes(Kind::HalfWidthBrackets, dice) {
        let half = name.replace('（', "(").replace('）', ")");
        record.set(name_column, half);
        record.kinds.push(Kind::HalfWidthBrackets);
    }
    let region = record.get(places.region).to_owned();
    if region.len() == 6 {
        let old = RETIRED.iter().find(|(now, _)| *now == region);
        if let Some((_, old)) = old.filter(|_| dirt.strikes(Kind::RetiredRegion, dice)) {
            record.set(places.region, *old);
            record.kinds.push(Kind::RetiredRegion);
        } else if dirt.strikes(Kind::LongRegion, dice) {
            record.set(places.region, format!("{region}001000"));
            record.kinds.push(Kind::LongRegion);
        }
    }
    optional_date(record, dirt, dice);
    amount(record, dirt, dice);
}

/// A stand-in where a date is optional and absent.
fn optional_date(record: &mut Record, dirt: &Dirt, dice: &mut Dice) {
    let column = match record.feed {
        Feed::HotlineOrder => "FINISHTIME",
        Feed::SupervisionInspection => "rectify_due_date",
        Feed::CreditLicence => "XK_YXQZI",
        Feed::CreditPenalty => "CF_GSJZQ",
        Feed::MarketRegister => "opt_to",
        Feed::SupervisionCoercion => "force_end_date",
        Feed::AbnormalList | Feed::SeriousList | Feed::Feedback => return,
    };
    if record.get(column).is_empty() && dirt.strikes(Kind::SentinelDate, dice) {
        record.set(column, dice.pick(&["1900-01-01", "2099-12-31", "9999-9-9"]));
        record.kinds.push(Kind::SentinelDate);
    }
}

fn amount(record: &mut Record, dirt: &Dirt, dice: &mut Dice) {
    let (column, unit) = match record.feed {
        Feed::HotlineOrder => ("AMOUNT", "元"),
        Feed::CreditPenalty => ("CF_NR_FK", "万元"),
        Feed::MarketRegister => ("reg_capt", "万元"),
        _ => return,
    };
    let text = record.get(column);
    if !text.is_empty() && dirt.strikes(Kind::AmountWithUnit, dice) {
        let with_unit = format!("{text}{unit}");
        record.set(column, with_unit);
        record.kinds.push(Kind::AmountWithUnit);
    }
}

fn subject(record: &mut Record, dirt: &Dirt, dice: &mut Dice) {
    let column = record.feed.places().code;
    let code = record.get(column).to_owned();
    if code.len() != 18 || record.is_person || !record.kinds.is_empty() {
        return;
    }
    let head = code.get(..6).unwrap_or_default();
    if dirt.strikes(Kind::BadCheckDigit, dice) {
        let last = if code.ends_with('7') { '8' } else { '7' };
        record.set(
            column,
            format!("{}{last}", code.get(..17).unwrap_or_default()),
        );
        record.kinds.push(Kind::BadCheckDigit);
    } else if dirt.strikes(Kind::MaskedCode, dice) {
        record.set(
            column,
            format!("{head}******{}", code.get(12..).unwrap_or_default()),
        );
        record.kinds.push(Kind::MaskedCode);
    } else if dirt.strikes(Kind::PlaceholderCode, dice) {
        record.set(column, "00000000000000000X");
        record.kinds.push(Kind::PlaceholderCode);
    }
}

/// What spoils a cell, and the code under which the record is then refused.
struct Spoilt {
    column: &'static str,
    text: &'static str,
    kind: Kind,
    code: RejectCode,
}

/// A cell that cannot be read.
fn unreadable(record: &Record, dirt: &Dirt, dice: &mut Dice) -> Option<Spoilt> {
    let places = record.feed.places();
    let spoilt = |column, text, kind, code| {
        Some(Spoilt {
            column,
            text,
            kind,
            code,
        })
    };
    if record.feed == Feed::SupervisionInspection && dirt.strikes(Kind::TestRow, dice) {
        return spoilt("env_flag", "1", Kind::TestRow, TestRow);
    }
    if !record.get(places.term).is_empty() && dirt.strikes(Kind::UnknownTerm, dice) {
        return spoilt(places.term, "Q9", Kind::UnknownTerm, UnknownCode);
    }
    if places.time.is_empty() || !dirt.strikes(Kind::Unreadable, dice) {
        return None;
    }
    let has_op = !record.get("cd_operation").is_empty();
    match dice.below(if has_op { 3 } else { 2 }) {
        0 => spoilt(places.time, "2026-02-30", Kind::Unreadable, BadTime),
        1 => spoilt(places.name, "", Kind::Unreadable, MissingField),
        _ => spoilt("cd_operation", "x", Kind::Unreadable, BadOperation),
    }
}

/// A line that cannot be read.
fn broken(record: &Record, line: &mut Vec<u8>, dirt: &Dirt, dice: &mut Dice) -> Option<Kind> {
    let kind = match record.feed.form() {
        Form::Json | Form::Change => {
            if dirt.strikes(Kind::BrokenLine, dice) {
                line.truncate(line.len() * 2 / 3);
                while !line.is_empty() && core::str::from_utf8(line).is_err() {
                    line.pop();
                }
                Kind::BrokenLine
            } else if dirt.strikes(Kind::TwiceKey, dice) {
                twice_first_key(line);
                Kind::TwiceKey
            } else if record.feed.form() == Form::Json && dirt.strikes(Kind::StrangeColumn, dice) {
                line.pop();
                line.extend_from_slice(b",\"TMPFIELD\":\"1\"}");
                Kind::StrangeColumn
            } else {
                return None;
            }
        }
        form @ (Form::Csv | Form::CsvGb18030) => {
            if dirt.strikes(Kind::WrongColumns, dice) {
                line.extend_from_slice(b",1");
                Kind::WrongColumns
            } else if form == Form::CsvGb18030 && dirt.strikes(Kind::BadBytes, dice) {
                line.extend_from_slice(&[0xff, 0xff]);
                Kind::BadBytes
            } else {
                return None;
            }
        }
        Form::Canonical => return None,
    };
    Some(kind)
}

/// Writes the outer object's first key again at its end.
fn twice_first_key(line: &mut Vec<u8>) {
    let end = line
        .iter()
        .skip(2)
        .position(|b| *b == b'"')
        .map_or(0, |at| at + 3);
    let key = line.get(1..end).unwrap_or_default().to_vec();
    line.pop();
    line.push(b',');
    line.extend_from_slice(&key);
    line.extend_from_slice(b":\"1\"}");
}

fn full_width(c: char) -> char {
    match c {
        '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_set_one_by_one() {
        let dirt = Dirt::none().with(Kind::NoCode, 20_000);
        assert_eq!(dirt.per_10k(Kind::NoCode), 10_000);
        assert_eq!(dirt.per_10k(Kind::Duplicate), 0);
        assert_eq!(Dirt::default().per_10k(Kind::Duplicate), 100);
        let names: std::collections::BTreeSet<_> =
            Kind::ALL.iter().map(|k| k.spec().name).collect();
        assert_eq!(names.len(), Kind::ALL.len());
    }

    #[test]
    fn a_key_is_written_twice() {
        let mut line = br#"{"a":"1","b":"2"}"#.to_vec();
        twice_first_key(&mut line);
        assert_eq!(line, br#"{"a":"1","b":"2","a":"1"}"#);
    }
}

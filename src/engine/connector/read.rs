//! How one value is to be read: the coercion that a field names, with only the keys that belong to it.

use super::super::event::Value;
use super::super::schema::{Field, FieldType};
use super::super::time::{HOUR_MS, MINUTE_MS};
use super::ConnectorError;
use super::coerce::{Coercion, Unknown};
use super::compile::{Columns, Place, boxed};
use super::moment::SHANGHAI_MS;
use super::personal::Personal;
use super::plan::{Missing, Read};
use super::spec::{FieldSpec, MissingSpec, Name, Spec};
use super::text::Words;
use std::ops::Range;

/// What the reading of a value is compiled against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) place: Place<'a>,
    pub(super) spec: &'a Spec,
}

/// The keys that belong to each coercion, beside those of every field.
const KEYS: [(&str, &[&str]); 12] = [
    ("amount", &["unit"]),
    ("bool", &["yes", "no", "unknown"]),
    ("datetime", &["zone"]),
    ("code", &["table", "unknown"]),
    ("list", &["separator"]),
    ("gravest", &["separator", "order"]),
    ("count", &["separator"]),
    ("keywords", &["words"]),
    ("presence", &["filled", "empty"]),
    ("industry", &["unknown"]),
    ("uscc", &["unknown"]),
    ("digits", &["length"]),
];

impl Reader<'_> {
    /// The reading of a field of the schema.
    pub(super) fn read_field(
        &self,
        columns: &mut Columns<'_>,
        field: Field,
        name: &Name,
        spec: &FieldSpec,
    ) -> Result<Read, ConnectorError> {
        let wanted = field.spec().field_type;
        let coercion_name = match &spec.as_ {
            Some(name) => name.get_ref().as_str(),
            None => default_coercion(wanted).ok_or_else(|| {
                let fitting: Vec<_> = fitting(wanted).collect();
                let message = format!(
                    "say how to read {:?}: as = one of {}",
                    field.name(),
                    fitting.join(", ")
                );
                self.place.error(name.span(), message)
            })?,
        };
        let at = spec.as_.as_ref().unwrap_or(name);
        let Some(given) = Coercion::gives(coercion_name) else {
            return Err(self.place.unknown("coercion", at, Coercion::NAMES));
        };
        if given != wanted {
            let message = format!(
                "{:?} is a {:?} field, {coercion_name:?} gives {given:?}; fitting are {}",
                field.name(),
                wanted,
                fitting(wanted).collect::<Vec<_>>().join(", ")
            );
            return Err(self.place.error(at.span(), message));
        }
        if coercion_name == "region" && field.name() != "region" {
            let message = "as = \"region\" belongs to the field region: it sets region_raw too";
            return Err(self.place.error(at.span(), message));
        }
        self.read(columns, spec, coercion_name, name.span())
    }

    /// The reading of a time, or of one of the `other` coercions.
    pub(super) fn read_time(
        &self,
        columns: &mut Columns<'_>,
        spec: &FieldSpec,
        around: Range<usize>,
        other: &[&str],
    ) -> Result<Read, ConnectorError> {
        let Some(name) = &spec.as_ else {
            let message = "say how to read it: as = \"date\", \"datetime\" or \"epoch_ms\"";
            return Err(self.place.error(around, message));
        };
        let coercion_name = name.get_ref().as_str();
        if Coercion::gives(coercion_name) != Some(FieldType::Time)
            && !other.contains(&coercion_name)
        {
            let known = ["date", "datetime", "epoch_ms"];
            let known = known.into_iter().chain(other.iter().copied());
            return Err(self.place.unknown("reading of a time", name, known));
        }
        self.read(columns, spec, coercion_name, around)
    }

    /// A constant, read as the field's own type is.
    pub(super) fn constant(
        &self,
        field: Field,
        name: &Name,
        spec: &FieldSpec,
    ) -> Result<Value, ConnectorError> {
        let Some(value) = &spec.value else {
            return Err(self.place.error(name.span(), "value is needed"));
        };
        if spec.column.is_some() || spec.columns.is_some() || spec.as_.is_some() {
            let message = "a constant has no column and no coercion";
            return Err(self.place.error(value.span(), message));
        }
        self.check_keys(spec, "")?;
        let coercion = match field.spec().field_type {
            FieldType::Text => Coercion::Text,
            FieldType::Int => Coercion::Integer,
            FieldType::Decimal => Coercion::Decimal,
            FieldType::Time => Coercion::Date,
            FieldType::Bool => Coercion::Bool {
                yes: vec!["true".into()],
                no: vec!["false".into()],
                unknown: Unknown::Reject,
            },
            FieldType::List => Coercion::List {
                separators: Box::from([';']),
            },
        };
        self.made(&coercion, value)
    }

    fn made(&self, coercion: &Coercion, value: &Name) -> Result<Value, ConnectorError> {
        match coercion.text(value.get_ref()) {
            Ok(Some(made)) => Ok(made),
            Ok(None) => Err(self.place.error(value.span(), "this means nothing")),
            Err(problem) => {
                let message = format!("{:?} is {}", value.get_ref(), problem.what);
                Err(self.place.error(value.span(), message))
            }
        }
    }

    fn read(
        &self,
        columns: &mut Columns<'_>,
        spec: &FieldSpec,
        coercion_name: &str,
        around: Range<usize>,
    ) -> Result<Read, ConnectorError> {
        self.check_keys(spec, coercion_name)?;
        let names: Vec<&Name> = match (&spec.column, &spec.columns) {
            (Some(name), None) => vec![name],
            (None, Some(names)) if !names.get_ref().is_empty() => names.get_ref().iter().collect(),
            _ => {
                let message = "say column = \"..\" or columns = [\"..\", ..], one of them";
                return Err(self.place.error(around, message));
            }
        };
        let allowed: &[Personal] = match coercion_name {
            "text" => &[Personal::Mask, Personal::Hash],
            "count" => &[Personal::Count],
            "keywords" => &[Personal::Keywords],
            _ => &[],
        };
        let reader = format!("as = {coercion_name:?}");
        let rejects =
            spec.missing.as_ref().map(|missing| *missing.get_ref()) == Some(MissingSpec::Reject);
        let mut slots = Vec::new();
        for name in &names {
            let slot = columns.slot(name, &reader, allowed)?;
            if rejects && names.len() == 1 {
                columns.need(slot);
            }
            slots.push(slot);
        }
        let coercion = self.coercion(spec, coercion_name, around)?;
        let missing = match &spec.default {
            Some(value) if rejects => {
                let message = "missing = \"reject\" leaves no room for a default";
                return Err(self.place.error(value.span(), message));
            }
            Some(value) => Missing::Default(self.made(&coercion, value)?),
            None if rejects => Missing::Reject,
            None => Missing::Absent,
        };
        let absent = self.spec.absent.iter().chain(&spec.absent);
        Ok(Read {
            slots: slots.into(),
            coercion,
            absent: absent.map(|word| word.as_str().into()).collect(),
            missing,
        })
    }

    /// Refuses keys that mean nothing for the coercion.
    fn check_keys(&self, spec: &FieldSpec, coercion_name: &str) -> Result<(), ConnectorError> {
        let given = [
            ("unit", spec.unit.as_ref().map(Name::span)),
            ("separator", spec.separator.as_ref().map(Name::span)),
            ("table", spec.table.as_ref().map(Name::span)),
            ("unknown", spec.unknown.as_ref().map(toml::Spanned::span)),
            ("yes", spec.yes.as_ref().map(toml::Spanned::span)),
            ("no", spec.no.as_ref().map(toml::Spanned::span)),
            ("words", spec.words.as_ref().map(Name::span)),
            ("filled", spec.filled.as_ref().map(Name::span)),
            ("empty", spec.empty.as_ref().map(Name::span)),
            ("length", spec.length.as_ref().map(toml::Spanned::span)),
            ("order", spec.order.as_ref().map(toml::Spanned::span)),
            ("zone", spec.zone.as_ref().map(Name::span)),
        ];
        let belongs = KEYS.iter().find(|(name, _)| *name == coercion_name);
        let belongs = belongs.map_or(&[][..], |(_, keys)| keys);
        for (key, span) in given {
            if let Some(span) = span.filter(|_| !belongs.contains(&key)) {
                let message = match coercion_name {
                    "" => format!("{key} means nothing for a constant"),
                    name => format!("{key} means nothing for as = {name:?}"),
                };
                return Err(self.place.error(span, message));
            }
        }
        Ok(())
    }

    fn coercion(
        &self,
        spec: &FieldSpec,
        name: &str,
        around: Range<usize>,
    ) -> Result<Coercion, ConnectorError> {
        let unknown = spec
            .unknown
            .as_ref()
            .map_or(Unknown::Reject, |unknown| *unknown.get_ref());
        let need = |key: &str| {
            let message = format!("as = {name:?} needs {key}");
            self.place.error(around.clone(), message)
        };
        let separators = || {
            let separator = spec.separator.as_ref().ok_or_else(|| need("separator"))?;
            Ok(separator.get_ref().chars().collect::<Box<[char]>>())
        };
        Ok(match name {
            "free_text" => Coercion::FreeText,
            "integer" => Coercion::Integer,
            "decimal" => Coercion::Decimal,
            "amount" => self.amount(spec.unit.as_ref().ok_or_else(|| need("unit"))?)?,
            "bool" => Coercion::Bool {
                yes: spec
                    .yes
                    .as_ref()
                    .map(|yes| boxed(yes.get_ref()).into())
                    .ok_or_else(|| need("yes"))?,
                no: spec
                    .no
                    .as_ref()
                    .map(|no| boxed(no.get_ref()).into())
                    .unwrap_or_default(),
                unknown,
            },
            "date" => Coercion::Date,
            "datetime" => Coercion::DateTime {
                offset_ms: self.zone(spec.zone.as_ref())?,
            },
            "epoch_ms" => Coercion::EpochMs,
            "code" => self.code(spec.table.as_ref().ok_or_else(|| need("table"))?, unknown)?,
            "list" => Coercion::List {
                separators: separators()?,
            },
            "gravest" => Coercion::Gravest {
                separators: separators()?,
                order: spec
                    .order
                    .as_ref()
                    .map(|order| boxed(order.get_ref()).into())
                    .ok_or_else(|| need("order"))?,
            },
            "count" => Coercion::Count {
                separators: separators()?,
            },
            "keywords" => self.keywords(spec.words.as_ref().ok_or_else(|| need("words"))?)?,
            "presence" => Coercion::Presence {
                filled: word(spec.filled.as_ref().ok_or_else(|| need("filled"))?),
                empty: word(spec.empty.as_ref().ok_or_else(|| need("empty"))?),
            },
            "region" => Coercion::Region,
            "industry" => Coercion::Industry { unknown },
            "uscc" => Coercion::Uscc { unknown },
            "digits" => Coercion::Digits {
                length: spec.length.as_ref().map(|length| *length.get_ref()),
            },
            _ => Coercion::Text,
        })
    }

    fn amount(&self, unit: &Name) -> Result<Coercion, ConnectorError> {
        match unit.get_ref().as_str() {
            "元" => Ok(Coercion::Amount { factor: 1 }),
            "万元" => Ok(Coercion::Amount { factor: 10_000 }),
            _ => Err(self.place.unknown("unit", unit, ["元", "万元"])),
        }
    }

    /// `+08:00`, `-05:00`, `Z`; Asia/Shanghai when nothing is said.
    fn zone(&self, zone: Option<&Name>) -> Result<i64, ConnectorError> {
        let Some(zone) = zone else {
            return Ok(SHANGHAI_MS);
        };
        let text = zone.get_ref().as_str();
        let parsed = match text.as_bytes() {
            b"Z" => Some(0),
            [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
                let hours: Option<i64> = text.get(1..3).and_then(|h| h.parse().ok());
                let minutes: Option<i64> = text.get(4..6).and_then(|m| m.parse().ok());
                let size = hours
                    .zip(minutes)
                    .filter(|(h, m)| (0..=14).contains(h) && (0..=59).contains(m))
                    .map(|(h, m)| h * HOUR_MS + m * MINUTE_MS);
                size.map(|ms| if *sign == b'-' { -ms } else { ms })
            }
            _ => None,
        };
        parsed.ok_or_else(|| {
            let message = format!("{text:?} is not a zone (expected \"+08:00\" or \"Z\")");
            self.place.error(zone.span(), message)
        })
    }

    fn code(&self, table: &Name, unknown: Unknown) -> Result<Coercion, ConnectorError> {
        let Some(rows) = self.spec.tables.get(table.get_ref()) else {
            let known = self.spec.tables.keys().map(String::as_str);
            return Err(self.place.unknown("table", table, known));
        };
        let table = rows
            .iter()
            .map(|(code, word)| (code.as_str().into(), word.as_str().into()))
            .collect();
        Ok(Coercion::Code { table, unknown })
    }

    fn keywords(&self, words: &Name) -> Result<Coercion, ConnectorError> {
        let Some(list) = self.spec.words.get(words.get_ref()) else {
            let known = self.spec.words.keys().map(String::as_str);
            return Err(self.place.unknown("list of words", words, known));
        };
        let words = list
            .iter()
            .map(|(word, spellings)| (word.as_str(), spellings.as_slice()));
        Ok(Coercion::Keywords(Box::new(Words::new(words))))
    }
}

fn word(name: &Name) -> Box<str> {
    name.get_ref().as_str().into()
}

/// The coercion of a field that names none.
fn default_coercion(field_type: FieldType) -> Option<&'static str> {
    match field_type {
        FieldType::Text => Some("text"),
        FieldType::Int => Some("integer"),
        FieldType::Decimal => Some("decimal"),
        FieldType::Bool | FieldType::Time | FieldType::List => None,
    }
}

fn fitting(field_type: FieldType) -> impl Iterator<Item = &'static str> {
    Coercion::NAMES
        .into_iter()
        .filter(move |name| Coercion::gives(name) == Some(field_type))
}

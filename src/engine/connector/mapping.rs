//! What a record's cells mean: identity, version, operation, times, fields and validity, by the connector's plan.
//!
//! A delete may come with nothing but its id: what it lacks is left out instead of refused, and its time is then that of
//! its arrival. A record without an individual is its own `unresolved` subject.
//!
//! units    versions: ms since 1970-01-01 UTC, or the source's own number
//! errors   every message names the field, the column and the value; of personal columns no value

use super::super::event::{Event, Fields, Op, SubjectKey, SubjectKind, Validity, Value};
use super::super::reject::{Reject, RejectCode};
use super::super::schema::field;
use super::super::time::{EventTime, Precision};
use super::cell::{Cell, Row, Slot};
use super::coerce::{Coercion, Problem, kept};
use super::personal::{Personal, PersonalKey, mask};
use super::plan::{FieldSource, Missing, Plan, Read, When};
use super::subjects::{self, Individuals};
use super::{Connector, text};
use compact_str::{CompactString, format_compact};

/// The longest id of a record, in bytes.
const ID_BYTES_MAX: usize = 96;
/// The longest code of a sender within a feed, in bytes.
const SOURCE_BYTES_MAX: usize = 32;

/// A cell that says something: not absent, empty, `\N` or one of the words that mean nothing.
pub(super) fn filled<'c, 'a>(cell: &'c Cell<'a>, absent: &[Box<str>]) -> Option<&'c Cell<'a>> {
    let says = match cell {
        Cell::Absent => false,
        Cell::Text(text) => {
            let nothing = match text.len() {
                0 => true,
                2 => matches!(&**text, "\\N" | "\\n"),
                4 => matches!(&**text, "NULL" | "null"),
                6 => **text == *"(null)",
                _ => false,
            };
            !nothing && !absent.iter().any(|word| **word == **text)
        }
        Cell::List(items) => !items.is_empty(),
        Cell::Nested => true,
    };
    says.then_some(cell)
}

/// One record on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mapping<'m, 'a> {
    pub(super) connector: &'m Connector,
    pub(super) plan: &'m Plan,
    pub(super) row: &'m Row<'a>,
    pub(super) key: &'m PersonalKey,
}

impl Mapping<'_, '_> {
    /// The event that the record means.
    pub(super) fn event(&self) -> Result<Event, Reject> {
        let record = &self.plan.record;
        self.check_live()?;
        let source = match record.source_slot {
            Some(slot) => format_compact!("{}:{}", record.source, self.source_code(slot)?),
            None => record.source.as_ref().into(),
        };
        let record_id = self.record_id()?;
        let op = self.op()?;
        let arrived_at = match &record.arrived_at {
            Some(read) => self.time(read, "arrived_at")?,
            None => None,
        };
        let version = self.version()?;
        let (occurred_at, precision) = self.occurred_at(op, arrived_at)?;
        let individuals = subjects::individuals(self.plan, self.row, self.key);
        let mut fields = self.fields(&individuals, op)?;
        if let Some(script) = &self.connector.script {
            script.extend(self, &mut fields)?;
        }
        let mut subjects = individuals.keys;
        if subjects.is_empty() {
            let key = format!("{source}/{record_id}");
            subjects.push(SubjectKey::new(SubjectKind::Unresolved, &key));
        }
        subjects::add_collectives(&fields, &mut subjects);
        Ok(Event {
            version,
            op,
            stream: self.connector.stream,
            occurred_at,
            precision,
            arrived_at: arrived_at.map_or(occurred_at, |(time, _)| time),
            validity: self.validity(op),
            subjects,
            fields,
            source,
            record_id,
        })
    }

    /// Refuses test rows in a production feed.
    fn check_live(&self) -> Result<(), Reject> {
        let Some((slot, live)) = &self.plan.record.test else {
            return Ok(());
        };
        match filled(self.row.get(*slot), &[]) {
            Some(Cell::Text(mark)) if !live.iter().any(|value| **value == *mark.trim()) => {
                let message = format!(
                    "a test row: column {:?} is {:?}",
                    self.column(*slot),
                    text::shortened(mark)
                );
                Err(Reject::new(RejectCode::TestRow, message))
            }
            _ => Ok(()),
        }
    }

    fn column(&self, slot: Slot) -> &str {
        let column = self.plan.columns.get(usize::from(slot.0));
        column.map_or("", |column| &column.name)
    }

    fn personal(&self, slot: Slot) -> Option<Personal> {
        let column = self.plan.columns.get(usize::from(slot.0));
        column.and_then(|column| column.personal)
    }

    fn part_of_id(&self, slot: Slot) -> Result<CompactString, Reject> {
        let Some(cell) = filled(self.row.get(slot), &[]) else {
            let message = format!("column {:?} is empty: no identity", self.column(slot));
            return Err(Reject::new(RejectCode::MissingField, message));
        };
        let part = match cell {
            Cell::Text(text) => kept(text),
            Cell::Absent | Cell::List(_) | Cell::Nested => {
                Coercion::Text.cell(cell).map(|_| "".into())
            }
        };
        let part = part.map_err(|problem| self.refuse("id", slot, cell, &problem))?;
        if ID_BYTES_MAX < part.len() {
            let message = format!("column {:?} is longer than 96 bytes", self.column(slot));
            return Err(Reject::new(RejectCode::BadValue, message));
        }
        Ok(part)
    }

    /// The sender's code within the feed: cells of at most 32 bytes.
    fn source_code(&self, slot: Slot) -> Result<CompactString, Reject> {
        let code = self.part_of_id(slot)?;
        if SOURCE_BYTES_MAX < code.len() {
            let message = format!("column {:?} is longer than 32 bytes", self.column(slot));
            return Err(Reject::new(RejectCode::BadValue, message));
        }
        Ok(code)
    }

    fn record_id(&self) -> Result<CompactString, Reject> {
        let slots = &self.plan.record.id;
        if let [slot] = **slots {
            return self.part_of_id(slot);
        }
        let mut id = String::new();
        for slot in slots {
            if !id.is_empty() {
                id.push('/');
            }
            id.push_str(&self.part_of_id(*slot)?);
        }
        if ID_BYTES_MAX < id.len() {
            let message = "the record's id is longer than 96 bytes";
            return Err(Reject::new(RejectCode::BadValue, message));
        }
        Ok(id.into())
    }

    fn op(&self) -> Result<Op, Reject> {
        let Some(plan) = &self.plan.record.op else {
            return Ok(Op::Insert);
        };
        let text = match self.row.get(plan.slot) {
            Cell::Text(text) => text.trim(),
            Cell::Absent | Cell::List(_) | Cell::Nested => "",
        };
        let is = |words: &[Box<str>]| words.iter().any(|word| **word == *text);
        if is(&plan.insert) {
            Ok(Op::Insert)
        } else if is(&plan.update) {
            Ok(Op::Update)
        } else if is(&plan.delete) {
            Ok(Op::Delete)
        } else {
            let message = format!(
                "column {:?}: {:?} is no operation (expected {})",
                self.column(plan.slot),
                text::shortened(text),
                [&plan.insert[..], &plan.update, &plan.delete]
                    .concat()
                    .join(", ")
            );
            Err(Reject::new(RejectCode::BadOperation, message))
        }
    }

    /// The time that a reading gives, `None` when nothing is there.
    fn time(&self, read: &Read, name: &str) -> Result<Option<(EventTime, Precision)>, Reject> {
        let Some((slot, cell)) = self.first_filled(read) else {
            return Ok(None);
        };
        let time = match cell {
            Cell::Text(text) => read.coercion.time(text),
            Cell::Absent | Cell::List(_) | Cell::Nested => read.coercion.cell(cell).map(|_| None),
        };
        time.map_err(|problem| self.refuse(name, slot, cell, &problem))
    }

    fn version(&self) -> Result<i64, Reject> {
        let Some(read) = &self.plan.record.version else {
            return Ok(0);
        };
        if read.coercion != Coercion::Integer {
            return Ok(self.time(read, "version")?.map_or(0, |(time, _)| time.0));
        }
        match self.value(read, "version")? {
            Some(Value::Int(version)) => Ok(version),
            _ => Ok(0),
        }
    }

    fn occurred_at(
        &self,
        op: Op,
        arrived_at: Option<(EventTime, Precision)>,
    ) -> Result<(EventTime, Precision), Reject> {
        let read = &self.plan.record.occurred_at;
        match self.time(read, "occurred_at") {
            Ok(Some(time)) => Ok(time),
            Ok(None) | Err(_) if op == Op::Delete && arrived_at.is_some() => {
                Ok(arrived_at.unwrap_or_default())
            }
            Ok(None) => {
                let columns: Vec<&str> = read.slots.iter().map(|slot| self.column(*slot)).collect();
                let message = format!(
                    "column {:?} is empty or a stand-in: no time of the fact",
                    columns.join(", ")
                );
                Err(Reject::new(RejectCode::BadTime, message))
            }
            Err(reject) => Err(reject),
        }
    }

    fn validity(&self, op: Op) -> Validity {
        if op == Op::Delete {
            return Validity::Deleted;
        }
        let holds = |when: &When, cell: &Cell<'_>| match (when, filled(cell, &self.plan.absent)) {
            (When::Filled, Some(_)) => true,
            (When::Equals(values), Some(Cell::Text(text))) => {
                values.iter().any(|value| **value == *text.trim())
            }
            (When::Contains(parts), Some(Cell::Text(text))) => {
                parts.iter().any(|part| text.contains(&**part))
            }
            (_, None) | (When::Equals(_) | When::Contains(_), Some(_)) => false,
        };
        let mut plans = self.plan.validity.iter();
        let found = plans.find(|plan| holds(&plan.when, self.row.get(plan.slot)));
        found.map_or(Validity::Valid, |plan| plan.becomes)
    }

    fn fields(&self, individuals: &Individuals, op: Op) -> Result<Fields, Reject> {
        let mut fields = Fields::with_capacity(self.plan.fields.len() + 2);
        for plan in &self.plan.fields {
            let value = match &plan.source {
                FieldSource::Constant(value) => Ok(Some(value.clone())),
                FieldSource::Read(read) => self.value(read, plan.field.name()),
            };
            let value = match value {
                Ok(value) => value,
                Err(_) if op == Op::Delete => None,
                Err(reject) => return Err(reject),
            };
            let value = match value {
                Some(Value::Text(name)) if individuals.is_person && plan.field == field::name => {
                    Some(Value::Text(mask(&name).into()))
                }
                Some(_) if individuals.is_person && plan.field == field::address => None,
                value => value,
            };
            if let Some(value) = value {
                fields.set(plan.field, value);
            }
            if plan.field == field::region
                && let FieldSource::Read(read) = &plan.source
                && let Some((_, Cell::Text(raw))) = self.first_filled(read)
                && let Ok(raw) = kept(text::prefix(raw, 64))
            {
                fields.set(field::region_raw, Value::Text(raw));
            }
        }
        if let Some(valid) = individuals.uscc_valid {
            fields.set(field::uscc_valid, Value::Bool(valid));
        }
        Ok(fields)
    }

    fn first_filled(&self, read: &Read) -> Option<(Slot, &Cell<'_>)> {
        read.slots
            .iter()
            .find_map(|slot| filled(self.row.get(*slot), &read.absent).map(|cell| (*slot, cell)))
    }

    /// What a reading gives, with what it means when nothing is there.
    fn value(&self, read: &Read, name: &str) -> Result<Option<Value>, Reject> {
        let made = match &read.coercion {
            Coercion::Keywords(words) => {
                let mut found = Vec::new();
                for slot in &read.slots {
                    if let Cell::Text(text) = self.row.get(*slot) {
                        words.mark(text, &mut found);
                    }
                }
                (!found.is_empty()).then(|| Value::List(words.named(found)))
            }
            coercion => match self.first_filled(read) {
                Some((slot, cell)) => self
                    .coerced(coercion, slot, cell)
                    .map_err(|problem| self.refuse(name, slot, cell, &problem))?,
                None => match coercion {
                    Coercion::Presence { empty, .. } => Some(Value::Text((**empty).into())),
                    _ => None,
                },
            },
        };
        match (made, &read.missing) {
            (Some(value), _) => Ok(Some(value)),
            (None, Missing::Absent) => Ok(None),
            (None, Missing::Default(value)) => Ok(Some(value.clone())),
            (None, Missing::Reject) => {
                let columns: Vec<&str> = read.slots.iter().map(|slot| self.column(*slot)).collect();
                let message = format!("field {name:?}: column {:?} is empty", columns.join(", "));
                Err(Reject::new(RejectCode::MissingField, message))
            }
        }
    }

    fn coerced(
        &self,
        coercion: &Coercion,
        slot: Slot,
        cell: &Cell<'_>,
    ) -> Result<Option<Value>, Problem> {
        match (self.personal(slot), cell) {
            (Some(Personal::Hash), Cell::Text(text)) => {
                Ok(Some(Value::Text(self.key.text(text).into())))
            }
            (Some(Personal::Mask), Cell::Text(text)) => coercion.text(&mask(text)),
            _ => coercion.cell(cell),
        }
    }

    /// `field "amount", column "CF_NR_FK": "两千" is not an amount (..)`; of a personal column without the value.
    #[cold]
    fn refuse(&self, name: &str, slot: Slot, cell: &Cell<'_>, problem: &Problem) -> Reject {
        let value = match cell {
            _ if self.personal(slot).is_some() => "a value that is not shown".to_owned(),
            Cell::Text(text) => format!("{:?}", text::shortened(text)),
            Cell::Absent => "nothing".to_owned(),
            Cell::List(_) => "a list".to_owned(),
            Cell::Nested => "a value".to_owned(),
        };
        let message = format!(
            "field {name:?}, column {:?}: {value} is {}",
            self.column(slot),
            problem.what
        );
        Reject::new(problem.code, message)
    }
}

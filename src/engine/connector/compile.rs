//! From what a TOML file says to a [`Plan`], or to the place in the file that is wrong.
//!
//! Everything that can be wrong with a connector is found here, before the first record: unknown names (with the nearest
//! known one), coercions that do not fit the field, keys that mean nothing where they stand, personal columns that
//! something would read in the clear.

use super::super::event::SubjectKind;
use super::super::schema::{Field, Stream};
use super::ConnectorError;
use super::cell::{ColumnTable, Slot, Use};
use super::personal::Personal;
use super::plan::{
    Column, FieldPlan, FieldSource, Identifier, IdentityPlan, OpPlan, Plan, RecordPlan,
    SubjectsPlan, ValidityPlan, When,
};
use super::read::Reader;
use super::spec::{
    IdentitySpec, Name, OpSpec, RecordSpec, Spec, SubjectsSpec, UnknownColumns, ValiditySpec,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// The file that is being compiled, for messages that point at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Place<'_> {
    /// An error at a span of the file.
    pub(super) fn error(&self, span: Range<usize>, message: impl Into<String>) -> ConnectorError {
        ConnectorError::at(self.file, self.text, span.start, message.into())
    }

    /// `unknown <what> "<name>"`, with the nearest of the known names.
    pub(super) fn unknown<'k>(
        &self,
        what: &str,
        name: &Name,
        known: impl IntoIterator<Item = &'k str>,
    ) -> ConnectorError {
        let error = self.error(name.span(), format!("unknown {what} {:?}", name.get_ref()));
        error.with_nearest(name.get_ref(), known)
    }
}

/// The columns that a connector reads, as they are met.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    place: Place<'a>,
    personal: &'a BTreeMap<Name, Personal>,
    has_rows: bool,
    slots: BTreeMap<String, Slot>,
    by_slot: Vec<Column>,
}

impl Columns<'_> {
    /// The slot of a column for a reader (`a "text" field`) that may read personal columns treated as one of `allowed`.
    pub(super) fn slot(
        &mut self,
        name: &Name,
        reader: &str,
        allowed: &[Personal],
    ) -> Result<Slot, ConnectorError> {
        let column = name.get_ref();
        let personal = self.personal.get(name).copied();
        if let Some(treatment) = personal.filter(|t| !allowed.contains(t)) {
            let message = format!(
                "column {column:?} is personal ({:?}): {reader} may not read it",
                treatment.name()
            );
            return Err(self.place.error(name.span(), message));
        }
        if let Some(slot) = self.slots.get(column) {
            return Ok(*slot);
        }
        let Ok(number) = u16::try_from(self.by_slot.len()) else {
            return Err(self.place.error(name.span(), "more than 65,535 columns"));
        };
        let outer = column.strip_prefix('/').filter(|_| self.has_rows);
        self.by_slot.push(Column {
            name: outer.unwrap_or(column).into(),
            personal,
            is_needed: false,
            is_outer: outer.is_some(),
        });
        self.slots.insert(column.clone(), Slot(number));
        Ok(Slot(number))
    }

    /// Says that a CSV header without this column is refused.
    pub(super) fn need(&mut self, slot: Slot) {
        if let Some(column) = self.by_slot.get_mut(usize::from(slot.0)) {
            column.is_needed = true;
        }
    }
}

/// Checks a CSV or JSON connector.
pub(super) fn compile(
    place: Place<'_>,
    spec: &Spec,
    stream: Stream,
) -> Result<Plan, ConnectorError> {
    let start = spec.format.span();
    let Some(record) = &spec.record else {
        return Err(place.error(start, "a [record] table is needed: id, occurred_at"));
    };
    let Some(subjects) = &spec.subjects else {
        return Err(place.error(start, "a [subjects] table is needed: home"));
    };
    let Some(unknown_columns) = spec.unknown_columns else {
        return Err(place.error(
            start,
            "unknown_columns is needed: \"reject\" if the layout is fixed, \"ignore\" if columns may come",
        ));
    };
    let mut columns = Columns {
        place,
        personal: &spec.personal,
        has_rows: !record.row.is_empty(),
        slots: BTreeMap::new(),
        by_slot: Vec::new(),
    };
    let reader = Reader { place, spec };
    let record_plan = compile_record(&reader, &mut columns, record)?;
    let validity = spec
        .validity
        .iter()
        .map(|validity| compile_validity(place, &mut columns, validity))
        .collect::<Result<_, _>>()?;
    let subjects = compile_subjects(place, &mut columns, subjects)?;
    let fields = compile_fields(&reader, &mut columns, stream)?;
    for name in &spec.columns.script {
        columns.slot(name, "the script", &[Personal::Mask, Personal::Hash])?;
    }
    let (table, outer) = tables(place, spec, record, &columns)?;
    Ok(Plan {
        columns: columns.by_slot.into(),
        table,
        outer,
        row_count: u8::try_from(record.row.len()).unwrap_or(u8::MAX),
        rejects_unknown: unknown_columns == UnknownColumns::Reject,
        absent: boxed(&spec.absent),
        record: record_plan,
        validity,
        subjects,
        fields,
    })
}

fn compile_record(
    reader: &Reader<'_>,
    columns: &mut Columns<'_>,
    record: &RecordSpec,
) -> Result<RecordPlan, ConnectorError> {
    let place = reader.place;
    if record.id.get_ref().is_empty() {
        return Err(place.error(record.id.span(), "record.id names no column"));
    }
    let mut id = Vec::new();
    for name in record.id.get_ref() {
        let slot = columns.slot(name, "the record's id", &[])?;
        columns.need(slot);
        id.push(slot);
    }
    let source_slot = record
        .source_column
        .as_ref()
        .map(|name| columns.slot(name, "the source's code", &[]))
        .transpose()?;
    let source = record.source.as_ref().unwrap_or(&reader.spec.id);
    if source.get_ref().is_empty() || 64 < source.get_ref().len() {
        return Err(place.error(source.span(), "a source has 1 to 64 characters"));
    }
    let version = record
        .version
        .as_ref()
        .map(|version| reader.read_time(columns, version, record.id.span(), &["integer"]))
        .transpose()?;
    let at = record.occurred_at.span();
    let occurred_at = reader.read_time(columns, record.occurred_at.get_ref(), at, &[])?;
    if let [slot] = *occurred_at.slots {
        columns.need(slot);
    }
    let arrived_at = record
        .arrived_at
        .as_ref()
        .map(|time| reader.read_time(columns, time, record.id.span(), &[]))
        .transpose()?;
    let test = record
        .test
        .as_ref()
        .map(|test| {
            let slot = columns.slot(&test.column, "the mark of test rows", &[])?;
            Ok::<_, ConnectorError>((slot, boxed(&test.live)))
        })
        .transpose()?;
    Ok(RecordPlan {
        source: source.get_ref().as_str().into(),
        source_slot,
        id: id.into(),
        version,
        op: record
            .op
            .as_ref()
            .map(|op| compile_op(columns, op))
            .transpose()?,
        test,
        occurred_at,
        arrived_at,
    })
}

fn compile_op(columns: &mut Columns<'_>, op: &OpSpec) -> Result<OpPlan, ConnectorError> {
    let slot = columns.slot(&op.column, "the operation", &[])?;
    columns.need(slot);
    Ok(OpPlan {
        slot,
        insert: boxed(&op.insert),
        update: boxed(&op.update),
        delete: boxed(&op.delete),
    })
}

fn compile_validity(
    place: Place<'_>,
    columns: &mut Columns<'_>,
    validity: &ValiditySpec,
) -> Result<ValidityPlan, ConnectorError> {
    let slot = columns.slot(&validity.column, "the validity", &[])?;
    let when = match (
        validity.filled,
        &validity.values[..],
        &validity.contains[..],
    ) {
        (Some(true), [], []) => When::Filled,
        (None, values, []) if !values.is_empty() => When::Equals(boxed(values)),
        (None, [], parts) if !parts.is_empty() => When::Contains(boxed(parts)),
        _ => {
            let message = "say one of: filled = true, values = [..], contains = [..]";
            return Err(place.error(validity.column.span(), message));
        }
    };
    Ok(ValidityPlan {
        slot,
        when,
        becomes: validity.becomes,
    })
}

fn compile_subjects(
    place: Place<'_>,
    columns: &mut Columns<'_>,
    subjects: &SubjectsSpec,
) -> Result<SubjectsPlan, ConnectorError> {
    let person_when = subjects
        .person_when
        .as_ref()
        .map(|when| {
            let slot = columns.slot(&when.column, "subjects.person_when", &[])?;
            Ok::<_, ConnectorError>((slot, boxed(&when.values)))
        })
        .transpose()?;
    let mut compile = |identities: &[IdentitySpec]| {
        identities
            .iter()
            .map(|identity| compile_identity(place, columns, identity))
            .collect::<Result<Box<[_]>, _>>()
    };
    Ok(SubjectsPlan {
        person_when,
        home: compile(&subjects.home)?,
        also: compile(&subjects.also)?,
    })
}

fn compile_identity(
    place: Place<'_>,
    columns: &mut Columns<'_>,
    identity: &IdentitySpec,
) -> Result<IdentityPlan, ConnectorError> {
    let individuals = || {
        SubjectKind::ALL
            .into_iter()
            .filter(|kind| !kind.is_collective())
    };
    let kind = SubjectKind::by_name(identity.kind.get_ref())
        .filter(|kind| !kind.is_collective() && *kind != SubjectKind::Unresolved)
        .ok_or_else(|| {
            let names = individuals().map(SubjectKind::name);
            place.unknown("kind of individual", &identity.kind, names)
        })?;
    let digits = identity.digits.as_ref().map(|digits| *digits.get_ref());
    let (identifier, allowed): (_, &[Personal]) = match identity.as_.get_ref().as_str() {
        "uscc" => (Identifier::Uscc, &[Personal::Identity]),
        "reg_no" => (Identifier::RegNo, &[Personal::Identity]),
        "org_code" => (Identifier::OrgCode, &[Personal::Identity]),
        "citizen_id" => (Identifier::CitizenId, &[Personal::Identity, Personal::Hash]),
        "digits" => (Identifier::Digits, &[]),
        "whole_number" => (Identifier::WholeNumber(digits.unwrap_or(1)), &[]),
        "text" => (Identifier::Text, &[]),
        _ => return Err(place.unknown("identifier", &identity.as_, Identifier::NAMES)),
    };
    if let Some(digits) = &identity.digits
        && (identifier != Identifier::WholeNumber(*digits.get_ref()) || 20 < *digits.get_ref())
    {
        let message = "digits (at most 20) belongs to as = \"whole_number\"";
        return Err(place.error(digits.span(), message));
    }
    if (kind == SubjectKind::Person) != (identifier == Identifier::CitizenId) {
        let message = "a person is found by citizen_id, and only a person is";
        return Err(place.error(identity.as_.span(), message));
    }
    if kind == SubjectKind::Person && !columns.personal.contains_key(&identity.column) {
        let message = format!(
            "column {:?} holds citizen numbers: name it in [personal] as \"hash\" or \"identity\"",
            identity.column.get_ref()
        );
        return Err(place.error(identity.column.span(), message));
    }
    let reader = format!("a subject by {}", identity.as_.get_ref());
    Ok(IdentityPlan {
        kind,
        slot: columns.slot(&identity.column, &reader, allowed)?,
        identifier,
        prefix: identity.prefix.as_str().into(),
    })
}

fn compile_fields(
    reader: &Reader<'_>,
    columns: &mut Columns<'_>,
    stream: Stream,
) -> Result<Box<[FieldPlan]>, ConnectorError> {
    let mut plans = Vec::new();
    for (name, spec) in &reader.spec.fields {
        let Some(field) = Field::of(stream, name.get_ref()) else {
            let known = Field::all_of(stream).map(Field::name);
            let what = format!("field of {}", stream.name());
            return Err(reader.place.unknown(&what, name, known));
        };
        if matches!(field.name(), "uscc_valid" | "region_raw") {
            let message = format!("{:?} is set by every connector itself", field.name());
            return Err(reader.place.error(name.span(), message));
        }
        let source = if spec.value.is_some() {
            FieldSource::Constant(reader.constant(field, name, spec)?)
        } else {
            FieldSource::Read(reader.read_field(columns, field, name, spec)?)
        };
        plans.push(FieldPlan { field, source });
    }
    plans.sort_by_key(|plan| plan.field);
    Ok(plans.into())
}

/// The tables of column names: of the row, and of the outermost object when the row lies inside of it.
fn tables(
    place: Place<'_>,
    spec: &Spec,
    record: &RecordSpec,
    columns: &Columns<'_>,
) -> Result<(ColumnTable, Option<ColumnTable>), ConnectorError> {
    for name in &spec.columns.ignored {
        if columns.slots.contains_key(name.get_ref()) {
            let message = format!(
                "column {:?} is read; it cannot be ignored too",
                name.get_ref()
            );
            return Err(place.error(name.span(), message));
        }
    }
    let read = columns
        .slots
        .iter()
        .map(|(name, slot)| (name.as_str(), Use::Slot(*slot)));
    let unread = spec.columns.ignored.iter().chain(spec.personal.keys());
    let all = read.chain(unread.map(|name| (name.get_ref().as_str(), Use::Ignored)));
    let mut inner = Vec::new();
    let mut outer = Vec::new();
    for (name, column_use) in all {
        let (side, name) = match name.strip_prefix('/').filter(|_| columns.has_rows) {
            Some(name) => (&mut outer, name),
            None => (&mut inner, name),
        };
        side.push((name.into(), column_use));
        for (at, _) in name.match_indices('.') {
            side.push((name.get(..at).unwrap_or_default().into(), Use::Inside));
        }
    }
    for (name, number) in record.row.iter().zip(0_u8..) {
        outer.push((name.get_ref().as_str().into(), Use::Row(number)));
    }
    let outer = columns.has_rows.then(|| ColumnTable::new(outer));
    Ok((ColumnTable::new(inner), outer))
}

/// Texts as a plan keeps them.
pub(super) fn boxed(texts: &[String]) -> Box<[Box<str>]> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

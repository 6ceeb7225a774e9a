//! A record's text into cells by slot, for CSV and JSON.

use super::super::reject::{Reject, RejectCode};
use super::cell::{Cell, ColumnTable, Row, Use};
use super::json::{Json, Scanner};
use super::plan::Plan;
use super::{csv, text};
use std::borrow::Cow;

/// The columns of a CSV file in the order of its header: the slot to keep each cell in, or none.
#[derive(Debug)]
pub(super) struct Header(Box<[Option<super::cell::Slot>]>);

/// Reads a header row against a connector.
pub(super) fn header(plan: &Plan, row: &str) -> Result<Header, Reject> {
    let mut names: Vec<String> = Vec::new();
    csv::split(row, &mut |_, name| {
        names.push(name.trim().to_owned());
        Ok(())
    })?;
    let mut places = Vec::new();
    for (at, name) in names.iter().enumerate() {
        if names.get(..at).is_some_and(|before| before.contains(name)) {
            let message = format!("the header has column {:?} twice", text::shortened(name));
            return Err(Reject::new(RejectCode::BadCsv, message));
        }
        places.push(match plan.table.get(name) {
            Some(Use::Slot(slot)) => Some(slot),
            None if plan.rejects_unknown => return Err(unknown(name)),
            Some(Use::Ignored | Use::Inside | Use::Row(_)) | None => None,
        });
    }
    for column in &plan.columns {
        if column.is_needed && !names.iter().any(|name| **name == *column.name) {
            let message = format!(
                "the header has no column {:?}, which this feed needs",
                column.name
            );
            return Err(Reject::new(RejectCode::MissingField, message));
        }
    }
    Ok(Header(places.into()))
}

/// Reads a CSV row by its file's header.
pub(super) fn csv_row<'a>(plan: &Plan, header: &Header, text: &'a str) -> Result<Row<'a>, Reject> {
    let mut row = Row::new(plan.columns.len());
    let count = csv::split(text, &mut |at, cell| {
        if let Some(Some(slot)) = header.0.get(at) {
            row.set(*slot, Cell::Text(trimmed(cell)));
        }
        Ok(())
    })?;
    if count != header.0.len() {
        let message = format!(
            "the row has {count} columns, the header has {}",
            header.0.len()
        );
        return Err(Reject::new(RejectCode::BadCsv, message));
    }
    Ok(row)
}

/// Reads a JSON record.
pub(super) fn json_row<'a>(plan: &Plan, text: &'a str) -> Result<Row<'a>, Reject> {
    let mut scanner = Scanner::new(text);
    if scanner.value()? != Json::Object {
        let message = "not JSON as it is read here: the record is not an object";
        return Err(Reject::new(RejectCode::BadJson, message));
    }
    let row = match &plan.outer {
        None => {
            let mut row = Row::new(plan.columns.len());
            read_object(plan, &plan.table, "", &mut scanner, &mut row)?;
            row
        }
        Some(outer) => json_row_inside(plan, outer, &mut scanner)?,
    };
    scanner.end()?;
    Ok(row)
}

/// A record whose row is the first of several objects that is not null.
fn json_row_inside<'a>(
    plan: &Plan,
    outer: &ColumnTable,
    scanner: &mut Scanner<'a>,
) -> Result<Row<'a>, Reject> {
    let mut beside = Row::new(plan.columns.len());
    let mut rows: Vec<Option<Row<'a>>> = (0..plan.row_count).map(|_| None).collect();
    scanner.object(&mut |scanner, key| {
        let column_use = outer.get(&key);
        let value = scanner.value()?;
        if let (Some(Use::Row(number)), Json::Object) = (column_use, &value) {
            let mut row = Row::new(plan.columns.len());
            read_object(plan, &plan.table, "", scanner, &mut row)?;
            if let Some(place) = rows.get_mut(usize::from(number)) {
                *place = Some(row);
            }
            return Ok(());
        }
        keep(plan, outer, column_use, &key, value, scanner, &mut beside)
    })?;
    let Some(mut row) = rows.into_iter().flatten().next() else {
        let message = "the record holds no row: every object that may be the row is null or absent";
        return Err(Reject::new(RejectCode::MissingField, message));
    };
    for (column, number) in plan.columns.iter().zip(0_u16..) {
        let slot = super::cell::Slot(number);
        if column.is_outer {
            row.set(slot, beside.get(slot).clone());
        }
    }
    Ok(row)
}

/// The keys of an object; `prefix` is its path with a point at the end, empty for the row itself.
fn read_object<'a>(
    plan: &Plan,
    table: &ColumnTable,
    prefix: &str,
    scanner: &mut Scanner<'a>,
    row: &mut Row<'a>,
) -> Result<(), Reject> {
    scanner.object(&mut |scanner, key| {
        let path = if prefix.is_empty() {
            key
        } else {
            Cow::Owned(format!("{prefix}{key}"))
        };
        let column_use = table.get(&path);
        let value = scanner.value()?;
        keep(plan, table, column_use, &path, value, scanner, row)
    })
}

#[expect(
    clippy::too_many_arguments,
    reason = "the place of a value: its table, path and scanner"
)]
fn keep<'a>(
    plan: &Plan,
    table: &ColumnTable,
    column_use: Option<Use>,
    path: &str,
    value: Json<'a>,
    scanner: &mut Scanner<'a>,
    row: &mut Row<'a>,
) -> Result<(), Reject> {
    match column_use {
        Some(Use::Slot(slot)) => {
            let cell = cell(value, scanner)?;
            row.set(slot, cell);
            Ok(())
        }
        Some(Use::Inside) if value == Json::Object => {
            read_object(plan, table, &format!("{path}."), scanner, row)
        }
        Some(Use::Inside) if value != Json::Null => {
            let message = format!("column {path:?} is not an object (columns lie inside of it)");
            Err(Reject::new(RejectCode::BadValue, message))
        }
        None if plan.rejects_unknown => Err(unknown(path)),
        Some(Use::Ignored | Use::Inside | Use::Row(_)) | None => scanner.pass(&value),
    }
}

fn cell<'a>(value: Json<'a>, scanner: &mut Scanner<'a>) -> Result<Cell<'a>, Reject> {
    match value {
        Json::Array => {
            let mut items = Vec::new();
            let mut is_simple = true;
            scanner.array(&mut |scanner| {
                let item = scanner.value()?;
                match item {
                    Json::Object | Json::Array => {
                        is_simple = false;
                        scanner.pass(&item)?;
                    }
                    item => items.extend(simple(item)),
                }
                Ok(())
            })?;
            Ok(if is_simple {
                Cell::List(items)
            } else {
                Cell::Nested
            })
        }
        Json::Object => {
            scanner.pass(&Json::Object)?;
            Ok(Cell::Nested)
        }
        simple_value => {
            Ok(simple(simple_value).map_or(Cell::Absent, |text| Cell::Text(trimmed(text))))
        }
    }
}

/// The text of a simple value; `None` for null and for what nests.
fn simple(value: Json<'_>) -> Option<Cow<'_, str>> {
    match value {
        Json::Text(text) => Some(text),
        Json::Number(text) => Some(Cow::Borrowed(text)),
        Json::Bool(true) => Some(Cow::Borrowed("true")),
        Json::Bool(false) => Some(Cow::Borrowed("false")),
        Json::Null | Json::Object | Json::Array => None,
    }
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text::trimmed(text)),
        Cow::Owned(text) if text::trimmed(&text).len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

#[cold]
fn unknown(name: &str) -> Reject {
    Reject::new(
        RejectCode::UnknownColumn,
        format!(
            "column {:?} is not in the connector (name it under columns.ignored, or map it)",
            text::shortened(name)
        ),
    )
}

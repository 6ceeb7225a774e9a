//! One CSV row into cells, as RFC 4180 has it.
//!
//! A quote opens a quoted cell only at the cell's start; elsewhere it is a character like any other (`3" pipe`). After a
//! closing quote only a comma or the row's end may follow: anything else is a row that its writer did not mean.
//!
//! cost     cells are borrowed from the row, except quoted ones that hold doubled quotes

use super::super::reject::{Reject, RejectCode};
use std::borrow::Cow;

/// Gives each cell with its place, counted from 0, and returns how many there are.
pub(super) fn split<'a>(
    row: &'a str,
    each: &mut dyn FnMut(usize, Cow<'a, str>) -> Result<(), Reject>,
) -> Result<usize, Reject> {
    let mut rest = row;
    let mut count = 0;
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(inside) => quoted(inside, count)?,
            None => plain(rest),
        };
        each(count, cell)?;
        count += 1;
        match after {
            Some(after) => rest = after,
            None => return Ok(count),
        }
    }
}

fn plain(text: &str) -> (Cow<'_, str>, Option<&str>) {
    match text.bytes().position(|b| b == b',') {
        Some(at) => (
            Cow::Borrowed(text.get(..at).unwrap_or_default()),
            text.get(at + 1..),
        ),
        None => (Cow::Borrowed(text), None),
    }
}

fn quoted(text: &str, count: usize) -> Result<(Cow<'_, str>, Option<&str>), Reject> {
    let mut owned = String::new();
    let mut rest = text;
    loop {
        let Some(at) = rest.bytes().position(|b| b == b'"') else {
            return Err(Reject::new(
                RejectCode::BadCsv,
                format!(
                    "column {}: the quote is not closed (a quote inside a quoted cell is written twice)",
                    count + 1
                ),
            ));
        };
        let (part, after) = (
            rest.get(..at).unwrap_or_default(),
            rest.get(at + 1..).unwrap_or_default(),
        );
        if let Some(next) = after.strip_prefix('"') {
            owned.push_str(part);
            owned.push('"');
            rest = next;
            continue;
        }
        let cell = if owned.is_empty() {
            Cow::Borrowed(part)
        } else {
            owned.push_str(part);
            Cow::Owned(owned)
        };
        return match after.strip_prefix(',') {
            Some(next) => Ok((cell, Some(next))),
            None if after.is_empty() => Ok((cell, None)),
            None => Err(Reject::new(
                RejectCode::BadCsv,
                format!(
                    "column {}: text after the closing quote (a quote inside a quoted cell is written twice)",
                    count + 1
                ),
            )),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(row: &str) -> Result<Vec<String>, Reject> {
        let mut cells = Vec::new();
        split(row, &mut |_, cell| {
            cells.push(cell.into_owned());
            Ok(())
        })?;
        Ok(cells)
    }

    #[test]
    fn rows() {
        assert_eq!(cells("a,,c").unwrap(), ["a", "", "c"]);
        assert_eq!(cells("").unwrap(), [""]);
        assert_eq!(cells("a,").unwrap(), ["a", ""]);
        assert_eq!(
            cells("\"a,\"\"b\"\"\",3\" 管").unwrap(),
            ["a,\"b\"", "3\" 管"]
        );
        assert_eq!(cells("\"\",\"\"").unwrap(), ["", ""]);
        for bad in ["\"a", "a,\"b\"c", "\"a\"\"", "\""] {
            assert_eq!(cells(bad).unwrap_err().code, RejectCode::BadCsv, "{bad}");
        }
    }
}

//! What a record holds before it means anything: cells by column, and the table that finds a column by its name.
//!
//! A connector gives each column that it reads a *slot*, once, when it is parsed. A record then is a row of cells by slot,
//! and nothing on the way looks a name up again, but for the keys of JSON, which cost one hash each.

use std::borrow::Cow;

/// What stands in a column of one record. Absent is a column that is not there, or JSON's null.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Cell<'a> {
    /// Nothing.
    #[default]
    Absent,
    /// Text as it was written, trimmed; a JSON number or truth value by its text.
    Text(Cow<'a, str>),
    /// A JSON array of simple values.
    List(Vec<Cow<'a, str>>),
    /// A JSON object, or an array that holds more than simple values: no coercion reads it.
    Nested,
}

/// The place of a column in a row of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(pub(super) u16);

/// The cells of one record.
#[derive(Debug)]
pub(super) struct Row<'a>(Vec<Cell<'a>>);

impl<'a> Row<'a> {
    /// A row of `count` absent cells.
    pub(super) fn new(count: usize) -> Self {
        Self((0..count).map(|_| Cell::Absent).collect())
    }

    pub(super) fn get(&self, slot: Slot) -> &Cell<'a> {
        self.0.get(usize::from(slot.0)).unwrap_or(&Cell::Absent)
    }

    pub(super) fn set(&mut self, slot: Slot, cell: Cell<'a>) {
        if let Some(place) = self.0.get_mut(usize::from(slot.0)) {
            *place = cell;
        }
    }
}

/// What a connector does with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Its cell is kept in this slot.
    Slot(Slot),
    /// It is known and not read.
    Ignored,
    /// A JSON object in which a column lies (`a` for the column `a.b`).
    Inside,
    /// A JSON object that is the row (`after`), by its place in the connector's order.
    Row(u8),
}

/// A name and what is done with its column.
type Named = (Box<str>, Use);

/// Columns by name: a fixed open-addressing table.
#[derive(Debug)]
pub(super) struct ColumnTable {
    places: Box<[Option<Named>]>,
    mask: usize,
}

impl ColumnTable {
    /// A table of these columns; of two with one name the first holds.
    pub(super) fn new(columns: impl IntoIterator<Item = Named>) -> Self {
        let columns: Vec<_> = columns.into_iter().collect();
        let size = (columns.len() * 2).next_power_of_two().max(8);
        let mut table = Self {
            places: vec![None; size].into_boxed_slice(),
            mask: size - 1,
        };
        for (name, column_use) in columns {
            let at = table.find(&name);
            if let Some(place @ None) = table.places.get_mut(at) {
                *place = Some((name, column_use));
            }
        }
        table
    }

    /// What is done with the column of this name, `None` when the connector does not know it.
    pub(super) fn get(&self, name: &str) -> Option<Use> {
        let place = self.places.get(self.find(name))?;
        place.as_ref().map(|(_, column_use)| *column_use)
    }

    /// The place of a name, or the free place where it would stand. Half of the places are free, so the search ends.
    fn find(&self, name: &str) -> usize {
        let hash = key_hash(name.as_bytes());
        let mut at = usize::try_from(hash >> 32).unwrap_or_default() & self.mask;
        while let Some(Some((taken, _))) = self.places.get(at) {
            if **taken == *name {
                break;
            }
            at = (at + 1) & self.mask;
        }
        at
    }
}

/// A quick hash of a key, eight bytes at a time (the one of Firefox and rustc). Not for security: see where it is used.
pub(super) fn key_hash(bytes: &[u8]) -> u64 {
    const K: u64 = 0x517c_c1b7_2722_0a95;
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(K);
    let mut hash = u64::try_from(bytes.len()).unwrap_or_default();
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(chunks.remainder()) {
        *to = *from;
    }
    hash = mix(hash, u64::from_le_bytes(word));
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_their_whole_name() {
        let names: Vec<Box<str>> = (0..100_u16).map(|n| format!("CF_{n}").into()).collect();
        let table = ColumnTable::new(names.iter().cloned().zip((0..).map(|n| Use::Slot(Slot(n)))));
        for (name, n) in names.iter().zip(0..) {
            assert_eq!(table.get(name), Some(Use::Slot(Slot(n))));
        }
        assert_eq!(table.get("CF_"), None);
        assert_eq!(table.get("cf_1"), None);
        assert_eq!(ColumnTable::new([]).get("a"), None);
    }
}

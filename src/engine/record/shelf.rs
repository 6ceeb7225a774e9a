//! Where the record index keeps its entries: shelves of some tens, in the order of their keys, with hardly any room to spare.
//!
//! A hash table of a million entries has room for up to two, and three while it grows. Here each shelf is a list that is as long
//! as it has to be, and when shelves get full one more of them is divided, so that there is never a moment at which everything is
//! moved (linear hashing). Keys are hashes already, so their first bits say which shelf.
//!
//! shape    an entry is 36 bytes: key, version, content hash, who keeps it; about 42 a record with all that is around it
//! bounds   [`SHELF_MEAN_MAX`] entries a shelf on the average; less than 2^31 lists of keepers
//! cost     a look-up is one shelf, and some five steps on it; putting one in moves half a shelf, 400 bytes
//! source   Litwin, "Linear hashing: a new tool for file and table addressing", VLDB 1980

use crate::engine::event::{Rank, RecordKey};

/// The most entries of a shelf, on the average, before one more is divided.
const SHELF_MEAN_MAX: usize = 24;
/// Entries for which room is made at once.
const ROOM: usize = 2;
/// Where an entry says that its version deletes the record.
const DELETES: u32 = 1 << 31;

/// What is known of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: RecordKey,
    pub(super) rank: Rank,
    /// The number of a list, below 2^31.
    pub(super) keepers: u32,
}

/// An entry as it is kept, without the bytes that would only put it in line.
#[derive(Debug, Clone, Copy)]
struct Kept {
    key: [u8; 16],
    version: [u8; 8],
    content: [u8; 8],
    keepers: u32,
}

impl From<Entry> for Kept {
    fn from(entry: Entry) -> Self {
        let deletes = if entry.rank.deletes { DELETES } else { 0 };
        Self {
            key: entry.key.0,
            version: entry.rank.version.to_le_bytes(),
            content: entry.rank.content.to_le_bytes(),
            keepers: entry.keepers | deletes,
        }
    }
}

impl From<Kept> for Entry {
    fn from(kept: Kept) -> Self {
        Self {
            key: RecordKey(kept.key),
            rank: Rank {
                version: i64::from_le_bytes(kept.version),
                deletes: kept.keepers & DELETES != 0,
                content: u64::from_le_bytes(kept.content),
            },
            keepers: kept.keepers & !DELETES,
        }
    }
}

/// All entries.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    /// At least one as soon as there is an entry.
    shelves: Vec<Vec<Kept>>,
    len: usize,
}

/// The first bits of a key.
fn bits(key: &[u8; 16]) -> usize {
    let first = key.first_chunk::<8>().copied().unwrap_or_default();
    usize::try_from(u64::from_le_bytes(first) >> 1).unwrap_or(0)
}

impl Shelves {
    /// The shelf of a key: that of its low bits, of one bit less where the shelf is not yet divided.
    fn shelf(&self, key: &[u8; 16]) -> usize {
        let wide = self.shelves.len().next_power_of_two();
        let at = bits(key) & wide.saturating_sub(1);
        if at < self.shelves.len() {
            at
        } else {
            at & (wide / 2).saturating_sub(1)
        }
    }

    pub(super) fn get(&self, key: RecordKey) -> Option<Entry> {
        let shelf = self.shelves.get(self.shelf(&key.0))?;
        let at = shelf.binary_search_by_key(&key.0, |kept| kept.key).ok()?;
        shelf.get(at).map(|kept| Entry::from(*kept))
    }

    /// Puts an entry in, in the place of one with its key.
    pub(super) fn put(&mut self, entry: Entry) {
        if self.shelves.len().saturating_mul(SHELF_MEAN_MAX) <= self.len {
            self.divide();
        }
        let place = self.shelf(&entry.key.0);
        let Some(shelf) = self.shelves.get_mut(place) else {
            return;
        };
        match shelf.binary_search_by_key(&entry.key.0, |kept| kept.key) {
            Ok(at) => {
                if let Some(kept) = shelf.get_mut(at) {
                    *kept = entry.into();
                }
            }
            Err(at) => {
                if shelf.len() == shelf.capacity() {
                    shelf.reserve_exact(ROOM);
                }
                shelf.insert(at, entry.into());
                self.len = self.len.saturating_add(1);
            }
        }
    }

    pub(super) fn remove(&mut self, key: RecordKey) {
        let place = self.shelf(&key.0);
        let Some(shelf) = self.shelves.get_mut(place) else {
            return;
        };
        if let Ok(at) = shelf.binary_search_by_key(&key.0, |kept| kept.key) {
            shelf.remove(at);
            self.len = self.len.saturating_sub(1);
            if shelf.len().saturating_add(ROOM * 2) < shelf.capacity() {
                shelf.shrink_to(shelf.len().saturating_add(ROOM));
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a shelf and gives it what is its own of the one that had its keys.
    fn divide(&mut self) {
        let new = self.shelves.len();
        // The highest bit of the new number tells the two apart.
        let bit = new.checked_ilog2().map_or(0, |bit| 1 << bit);
        let old = self.shelves.get_mut(new ^ bit).map(core::mem::take);
        let (stay, go): (Vec<Kept>, Vec<Kept>) = old
            .unwrap_or_default()
            .into_iter()
            .partition(|kept| bits(&kept.key) & bit == 0);
        let snug = |list: &[Kept]| {
            let mut shelf = Vec::with_capacity(list.len().saturating_add(ROOM));
            shelf.extend_from_slice(list);
            shelf
        };
        if let Some(shelf) = self.shelves.get_mut(new ^ bit) {
            *shelf = snug(&stay);
        }
        self.shelves.push(snug(&go));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn entry() -> impl Strategy<Value = Entry> {
        // Few different keys, so that they come again; some that differ in their last byte alone.
        let key = (0_u16..400, 0_u8..2).prop_map(|(n, last)| {
            let mut key = crate::engine::hash::first_16(
                &crate::engine::hash::sip64(&n.to_le_bytes()).to_le_bytes(),
            );
            key[15] = last;
            RecordKey(key)
        });
        (key, any::<(i64, bool, u64)>(), 0..DELETES).prop_map(
            |(key, (version, deletes, content), keepers)| Entry {
                key,
                rank: Rank {
                    version,
                    deletes,
                    content,
                },
                keepers,
            },
        )
    }

    proptest! {
        #[test]
        fn shelves_hold_what_a_map_holds(steps in prop::collection::vec((entry(), 0_u8..4), 0..1_500)) {
            let (mut shelves, mut map) = (Shelves::default(), BTreeMap::new());
            for (entry, what) in steps {
                if what == 0 {
                    shelves.remove(entry.key);
                    map.remove(&entry.key);
                } else {
                    shelves.put(entry);
                    map.insert(entry.key, entry);
                }
                prop_assert_eq!(shelves.get(entry.key), map.get(&entry.key).copied());
                prop_assert_eq!(shelves.len(), map.len());
            }
            for (key, entry) in &map {
                prop_assert_eq!(shelves.get(*key), Some(*entry));
            }
            prop_assert!(shelves.shelves.iter().all(|shelf| shelf.is_sorted_by_key(|kept| kept.key)));
        }
    }

    #[test]
    fn there_is_little_room_to_spare() {
        assert_eq!(size_of::<Kept>(), 36);
        let mut shelves = Shelves::default();
        for n in 0_u64..100_000 {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&crate::engine::hash::sip64(&n.to_le_bytes()).to_le_bytes());
            shelves.put(Entry {
                key: RecordKey(key),
                rank: Rank {
                    version: 0,
                    deletes: false,
                    content: n,
                },
                keepers: 0,
            });
        }
        let room: usize = shelves.shelves.iter().map(Vec::capacity).sum();
        assert!(room < 108_000, "room for {room}");
    }
}

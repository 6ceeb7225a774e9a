//! Durable state: one ordered map from bytes to bytes, written in atomic batches.
//!
//! [`DiskStore`] keeps it with sled, [`MemoryStore`] for tests and back-tests, and [`CrashStore`] is the twin that
//! fails on command. A [`Batch`] is there as a whole or not at all, and durable when [`Store::commit`] returns. Every
//! store keeps a [`Root`]: a sum over all its entries that tells two stores apart and finds entries that went missing.
//!
//! shape    keys begin with a short prefix (`j/`, `o/`, ..); keys that begin with a zero byte belong to the store
//! bounds   key 1 to [`KEY_SIZE_BYTES_MAX`] bytes, value up to [`VALUE_SIZE_BYTES_MAX`]; longer values go in chunks, see
//!          [`codec::put_chunked`]. Above that, sled writes them to files that it never syncs
//! errors   the first fault of a store is its last answer: every later call returns the same one, and the process has
//!          to end (exit code 3) and start again. Memory may be ahead of the disk then, so going on would be a lie
//! source   measured with sled 0.34.7: see the header of [`disk`]

pub mod codec;
pub mod crash;
pub mod disk;
pub mod memory;
pub mod root;
pub mod stream;

pub use crash::CrashStore;
pub use disk::{DiskOptions, DiskStore};
pub use memory::MemoryStore;
pub use root::{Ledger, Root};

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The most bytes of a key.
pub const KEY_SIZE_BYTES_MAX: usize = 256;
/// The most bytes of a value. Sled keeps up to 16 values a page and a page must stay below a quarter of a segment.
pub const VALUE_SIZE_BYTES_MAX: usize = 4_000;
/// Keys that begin with this byte belong to the store itself; scans, counts and the root leave them out.
pub(crate) const RESERVED: u8 = 0;
/// Where a store keeps its [`Ledger`].
pub(crate) const LEDGER_KEY: &[u8] = b"\0ledger";
/// Present from the first to the last batch of an import.
pub(crate) const IMPORTING_KEY: &[u8] = b"\0importing";

/// What a scan calls for each entry, with key and value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// An ordered map that survives.
pub trait Store: Send {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits all entries whose key begins with `prefix`, in key order. The visitor's error ends the scan and is
    /// returned as it is; it is no fault of the store.
    fn scan(&self, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Applies the whole batch or nothing; durable when it returns. An empty batch costs nothing.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// What the store says of itself: root, number of entries and bytes, kept up with every commit.
    fn ledger(&self) -> Ledger;

    /// The sum over all entries.
    fn root(&self) -> Root {
        self.ledger().root
    }

    /// Reads everything, checks every checksum, and compares root and counts with what was kept.
    fn verify(&self) -> Result<VerifyReport, StoreError>;

    /// Bytes on disk; in memory, bytes of keys and values.
    fn size_bytes(&self) -> u64;
}

/// What a full check has found in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyReport {
    /// The root, counts and bytes, as recomputed.
    pub ledger: Ledger,
}

/// Changes that belong together. The last word on a key counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value. A key or value beyond its limit is a bug of the caller.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let key = key.into();
        assert_own_key(&key);
        self.put_any(key, value.into());
    }

    /// Deletes a key; one that is not there is no error.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        let key = key.into();
        assert_own_key(&key);
        self.delete_any(key);
    }

    /// The number of changed keys.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Bytes of keys and values put into it, for deciding when to commit.
    pub fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets all changes.
    pub fn clear(&mut self) {
        self.changes.clear();
        self.bytes = 0;
    }

    /// The changes in key order; `None` deletes.
    pub fn changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    pub(crate) fn put_any(&mut self, key: Vec<u8>, value: Vec<u8>) {
        assert!(
            value.len() <= VALUE_SIZE_BYTES_MAX,
            "a value has at most {VALUE_SIZE_BYTES_MAX} bytes, not {}; put it in chunks",
            value.len()
        );
        self.bytes = self.bytes.saturating_add(key.len() + value.len());
        self.changes.insert(key, Some(value));
    }

    pub(crate) fn delete_any(&mut self, key: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(key.len());
        self.changes.insert(key, None);
    }
}

fn assert_own_key(key: &[u8]) {
    assert!(
        !key.is_empty() && key.len() <= KEY_SIZE_BYTES_MAX,
        "a key has 1 to {KEY_SIZE_BYTES_MAX} bytes, not {}",
        key.len()
    );
    assert!(
        key.first() != Some(&RESERVED),
        "keys that begin with a zero byte belong to the store"
    );
}

/// What can go wrong with a store. It can be copied because a store gives its first fault again and again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the directory.
    #[error(
        "store \"{}\" is in use by another process{}; stop that one first, or give this one a directory of its own",
        directory.display(), holder.as_ref().map(|id| format!(" (id {id})")).unwrap_or_default()
    )]
    Locked {
        /// The store's directory.
        directory: PathBuf,
        /// The process id that the lock file names.
        holder: Option<String>,
    },
    /// The engine has put values into files that it never syncs.
    #[error(
        "store \"{}\": {count} files in blobs/, which are not safe against a power cut; export with the version that wrote them, import into a new directory",
        directory.display()
    )]
    Blobs {
        /// The store's directory.
        directory: PathBuf,
        /// How many.
        count: usize,
    },
    /// The operating system refused.
    #[error("store: cannot {doing} \"{}\"", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// The engine refused.
    #[error("store: the engine failed to {doing}")]
    Engine {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: Arc<sled::Error>,
    },
    /// The engine panicked, as it does on some damaged files.
    #[error(
        "store: the engine panicked when it should {doing}: {message}; the files are damaged or the engine has a bug, rebuild the store"
    )]
    Panicked {
        /// What was tried.
        doing: &'static str,
        /// What the engine said.
        message: String,
    },
    /// An entry is not what was written.
    #[error("store: entry {key}: {what}; the store is damaged, rebuild or import it")]
    Damaged {
        /// The key, readable: ASCII as it is, other bytes as `\xNN`.
        key: String,
        /// What does not fit.
        what: String,
    },
    /// Entries went missing, came from elsewhere or were exchanged.
    #[error(
        "store: the entries do not add up: kept {kept}, found {found}; the store is damaged, rebuild or import it"
    )]
    Unbalanced {
        /// What the store has kept with every commit.
        kept: Ledger,
        /// What its entries come to.
        found: Ledger,
    },
    /// An import was cut off.
    #[error("store \"{}\" holds half an import; delete the directory and import again", directory.display())]
    HalfImported {
        /// The store's directory.
        directory: PathBuf,
    },
    /// An import needs an empty store.
    #[error("store: has {entries} entries already; import into a new directory")]
    NotEmpty {
        /// How many entries it has.
        entries: u64,
    },
    /// An export stream cannot be written or read, or is not whole.
    #[error("export stream: {what}, at entry {entry}")]
    Stream {
        /// What does not fit.
        what: String,
        /// Entries before this place.
        entry: u64,
        /// The operating system's reason, if it was one.
        #[source]
        source: Option<Arc<io::Error>>,
    },
    /// The log that a store is a copy of cannot be used now.
    #[error("state log: {what}")]
    Log {
        /// What is wrong.
        what: String,
    },
    /// The log that a store is a copy of cannot be used, and waiting does not mend it.
    #[error("state log: {what}")]
    LogUnfit {
        /// What is wrong and what to do.
        what: String,
    },
    /// Another process owns the log from now on.
    #[error("{place} is owned by another process now")]
    Lost {
        /// The partition.
        place: String,
    },
    /// The crash-testing twin was told to fail here.
    #[error("store: crash asked for at operation {operation}")]
    Injected {
        /// Which one, from 0.
        operation: u64,
    },
}

impl StoreError {
    /// A damaged entry, for those who decode what they stored.
    pub fn damaged(key: &[u8], what: impl Into<String>) -> Self {
        Self::Damaged {
            key: key.escape_ascii().to_string(),
            what: what.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_sorted_and_the_last_word_counts() {
        let mut batch = Batch::new();
        batch.put(*b"b", *b"1");
        batch.put(*b"a", *b"2");
        batch.delete(*b"b");
        let changes: Vec<_> = batch.changes().collect();
        assert_eq!(changes, [(&b"a"[..], Some(&b"2"[..])), (&b"b"[..], None)]);
        assert_eq!(batch.size_bytes(), 5);
    }

    #[test]
    #[should_panic(expected = "put it in chunks")]
    fn a_value_that_is_too_long_is_a_bug() {
        Batch::new().put(*b"a", vec![0; VALUE_SIZE_BYTES_MAX + 1]);
    }

    #[test]
    #[should_panic(expected = "belong to the store")]
    fn the_stores_own_keys_are_out_of_reach() {
        Batch::new().put(*b"\0ledger", *b"1");
    }
}

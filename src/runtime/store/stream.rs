//! A store as a stream of bytes: `fenghuo state export` and `state import`.
//!
//! The stream depends on the entries only, so equal stores export equal bytes, whatever engine holds them.
//!
//! shape    head: `FHSTATE1`, 8 bytes
//!          entry: key length (u32) | value length (u32) | key | value | crc32c (u32) of all four
//!          end: 0xFFFF_FFFF (u32) | entries (u64) | bytes (u64) | root (u128) | crc32c (u32) of all four
//!          numbers little-endian, entries in key order, nothing after the end
//! errors   [`StoreError::Stream`] names the entry; an import that was cut off leaves a store that refuses to open
//! cost     one pass; an import commits about every [`BATCH_SIZE_BYTES`]

use super::{
    Batch, IMPORTING_KEY, KEY_SIZE_BYTES_MAX, Ledger, RESERVED, Root, Store, StoreError,
    VALUE_SIZE_BYTES_MAX,
};
use std::io::{self, Read, Write};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"FHSTATE1";
/// In the place of a key's length: no more entries.
const END: u32 = u32::MAX;
/// Bytes that an import puts into one commit.
const BATCH_SIZE_BYTES: usize = 1 << 20;

/// Writes everything that a store holds.
pub fn export(store: &dyn Store, writer: &mut dyn Write) -> Result<Ledger, StoreError> {
    let mut written = Ledger::default();
    writer.write_all(MAGIC).map_err(broken("cannot write", 0))?;
    store.scan(b"", &mut |key, value| {
        let mut entry = Vec::with_capacity(key.len() + value.len() + 12);
        entry.extend_from_slice(&length(key).to_le_bytes());
        entry.extend_from_slice(&length(value).to_le_bytes());
        entry.extend_from_slice(key);
        entry.extend_from_slice(value);
        entry.extend_from_slice(&crc32c::crc32c(&entry).to_le_bytes());
        let wrote = writer.write_all(&entry);
        wrote.map_err(broken("cannot write", written.entries))?;
        written.add(key, value);
        Ok(())
    })?;
    if written != store.ledger() {
        let kept = store.ledger();
        return Err(StoreError::Unbalanced {
            kept,
            found: written,
        });
    }
    let wrote = writer.write_all(&end_of(written));
    wrote
        .and_then(|()| writer.flush())
        .map_err(broken("cannot write", written.entries))?;
    Ok(written)
}

/// Reads a whole export into an empty store and checks that it is all there. After an error the store is not to be
/// used: delete it.
pub fn import(store: &mut dyn Store, reader: &mut dyn Read) -> Result<Ledger, StoreError> {
    let entries = store.ledger().entries;
    if entries != 0 {
        return Err(StoreError::NotEmpty { entries });
    }
    let mut magic = [0; MAGIC.len()];
    read(reader, &mut magic, 0)?;
    if &magic != MAGIC {
        return Err(wrong("does not begin with FHSTATE1", 0));
    }
    let mut batch = Batch::new();
    batch.put_any(IMPORTING_KEY.to_vec(), Vec::new());
    let mut found = Ledger::default();
    let mut previous = Vec::new();
    while let Some((key, value)) = next_entry(reader, found)? {
        if key <= previous {
            return Err(wrong("keys out of order", found.entries));
        }
        found.add(&key, &value);
        previous.clone_from(&key);
        batch.put(key, value);
        if batch.size_bytes() >= BATCH_SIZE_BYTES {
            store.commit(&batch)?;
            batch.clear();
        }
    }
    if reader
        .read(&mut [0])
        .map_err(broken("cannot read", found.entries))?
        != 0
    {
        return Err(wrong("bytes after the end", found.entries));
    }
    // Two commits, so that the mark is on disk before anything can be missing.
    store.commit(&batch)?;
    let mut last = Batch::new();
    last.delete_any(IMPORTING_KEY.to_vec());
    store.commit(&last)?;
    store.verify().map(|report| report.ledger)
}

/// The next entry, or nothing once the end agrees with what was `found`.
#[expect(clippy::type_complexity, reason = "a key and a value")]
fn next_entry(
    reader: &mut dyn Read,
    found: Ledger,
) -> Result<Option<(Vec<u8>, Vec<u8>)>, StoreError> {
    let at = found.entries;
    let key_length = read_u32(reader, at)?;
    if key_length == END {
        let expected = end_of(found);
        let mut end = vec![0; expected.len() - 4];
        read(reader, &mut end, at)?;
        return if expected.ends_with(&end) {
            Ok(None)
        } else {
            Err(wrong("the end does not agree with the entries", at))
        };
    }
    let value_length = read_u32(reader, at)?;
    let mut checked = key_length.to_le_bytes().to_vec();
    checked.extend_from_slice(&value_length.to_le_bytes());
    let head = checked.len();
    let key_size = usize::try_from(key_length).unwrap_or(usize::MAX);
    let value_size = usize::try_from(value_length).unwrap_or(usize::MAX);
    if key_size == 0 || key_size > KEY_SIZE_BYTES_MAX || value_size > VALUE_SIZE_BYTES_MAX {
        return Err(wrong("a key or value of impossible length", at));
    }
    checked.resize(head + key_size + value_size, 0);
    read(reader, checked.get_mut(head..).unwrap_or_default(), at)?;
    if read_u32(reader, at)? != crc32c::crc32c(&checked) {
        return Err(wrong("checksum does not fit", at));
    }
    let value = checked.split_off(head + key_size);
    let key = checked.split_off(head);
    if key.first() == Some(&RESERVED) {
        return Err(wrong("a key that belongs to the store", at));
    }
    Ok(Some((key, value)))
}

fn end_of(ledger: Ledger) -> Vec<u8> {
    let Ledger {
        root: Root(root),
        entries,
        bytes,
    } = ledger;
    let mut end = END.to_le_bytes().to_vec();
    end.extend_from_slice(&entries.to_le_bytes());
    end.extend_from_slice(&bytes.to_le_bytes());
    end.extend_from_slice(&root.to_le_bytes());
    end.extend_from_slice(&crc32c::crc32c(&end).to_le_bytes());
    end
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(END)
}

fn read_u32(reader: &mut dyn Read, entry: u64) -> Result<u32, StoreError> {
    let mut bytes = [0; 4];
    read(reader, &mut bytes, entry)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read(reader: &mut dyn Read, into: &mut [u8], entry: u64) -> Result<(), StoreError> {
    reader.read_exact(into).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            wrong("ends too early", entry)
        } else {
            broken("cannot read", entry)(error)
        }
    })
}

fn wrong(what: &str, entry: u64) -> StoreError {
    StoreError::Stream {
        what: what.to_owned(),
        entry,
        source: None,
    }
}

fn broken(what: &'static str, entry: u64) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Stream {
        what: what.to_owned(),
        entry,
        source: Some(Arc::new(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::store::{DiskStore, MemoryStore};

    fn filled(entries: usize) -> MemoryStore {
        let mut store = MemoryStore::default();
        let mut batch = Batch::new();
        for number in 0..entries {
            batch.put(format!("k/{number:06}"), vec![7; number % 50]);
        }
        store.commit(&batch).unwrap();
        store
    }

    #[test]
    fn a_store_goes_through_the_stream_and_back() {
        let store = filled(1_000);
        let mut stream = Vec::new();
        export(&store, &mut stream).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut disk = DiskStore::open(directory.path()).unwrap();
        let ledger = import(&mut disk, &mut stream.as_slice()).unwrap();
        assert_eq!(ledger, store.ledger());
        let mut again = Vec::new();
        export(&disk, &mut again).unwrap();
        assert!(again == stream, "equal stores export equal bytes");

        let error = import(&mut disk, &mut stream.as_slice()).unwrap_err();
        assert!(matches!(error, StoreError::NotEmpty { entries: 1_000 }));
    }

    #[test]
    fn every_flip_and_every_cut_is_found() {
        let mut stream = Vec::new();
        export(&filled(4), &mut stream).unwrap();
        for at in 0..stream.len() {
            let mut damaged = stream.clone();
            damaged[at] ^= 0x10;
            let result = import(&mut MemoryStore::default(), &mut damaged.as_slice());
            assert!(result.is_err(), "byte {at}");
            let result = import(&mut MemoryStore::default(), &mut &stream[..at]);
            assert!(result.is_err(), "cut at {at}");
        }
        stream.push(0);
        import(&mut MemoryStore::default(), &mut stream.as_slice()).unwrap_err();
    }

    #[test]
    fn half_an_import_does_not_open() {
        let mut stream = Vec::new();
        let mut store = filled(3);
        let mut batch = Batch::new();
        for number in 0..400 {
            batch.put(format!("l/{number:06}"), vec![1; 4_000]);
        }
        store.commit(&batch).unwrap();
        export(&store, &mut stream).unwrap();
        stream.truncate(stream.len() - 10);
        let directory = tempfile::tempdir().unwrap();
        let mut disk = DiskStore::open(directory.path()).unwrap();
        import(&mut disk, &mut stream.as_slice()).unwrap_err();
        drop(disk);
        let error = DiskStore::open(directory.path()).unwrap_err();
        assert!(matches!(error, StoreError::HalfImported { .. }), "{error}");
    }
}

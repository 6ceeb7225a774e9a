//! How a value lies in the store: its envelope, and the chunks of a long one.
//!
//! shape    envelope: format (u8, now 1) | payload | crc32c (u32, little-endian) over key, format and payload. The key
//!          is under the checksum, so a value that ends up under another key is found out
//! shape    chunks: key = prefix | index (u32, big-endian); the payload of chunk 0 begins with the total length
//!          (u64, little-endian); all but the last are full
//! errors   a checksum, format or chunk that does not fit is [`StoreError::Damaged`] and names the key

use super::{Batch, Store, StoreError, VALUE_SIZE_BYTES_MAX};

/// The format that is written.
const FORMAT: u8 = 1;
/// Bytes of the total length at the head of chunk 0.
const TOTAL_SIZE_BYTES: usize = 8;

/// A payload in its envelope.
pub fn seal(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(payload.len() + 5);
    stored.push(FORMAT);
    stored.extend_from_slice(payload);
    let crc = checksum(key, &stored);
    stored.extend_from_slice(&crc.to_le_bytes());
    stored
}

/// The payload of an envelope, checked.
pub fn open<'a>(key: &[u8], stored: &'a [u8]) -> Result<&'a [u8], StoreError> {
    let Some((checked, crc)) = stored.split_last_chunk::<4>() else {
        return Err(StoreError::damaged(key, "shorter than its envelope"));
    };
    let kept = u32::from_le_bytes(*crc);
    let found = checksum(key, checked);
    if kept != found {
        let what = format!("checksum {found:08x}, expected {kept:08x}");
        return Err(StoreError::damaged(key, what));
    }
    match checked.split_first() {
        Some((&FORMAT, payload)) => Ok(payload),
        Some((format, _)) => {
            let what = format!("format {format}, this version reads {FORMAT}; use a newer one");
            Err(StoreError::damaged(key, what))
        }
        None => Err(StoreError::damaged(key, "empty envelope")),
    }
}

fn checksum(key: &[u8], checked: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), checked)
}

/// The key of one chunk.
pub fn chunk_key(prefix: &[u8], index: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 4);
    key.extend_from_slice(prefix);
    key.extend_from_slice(&index.to_be_bytes());
    key
}

/// Sets a value of any length, in chunks under `prefix`, and deletes the chunks that a longer one has left in `store`.
/// One batch may set a prefix once; no other keys may begin with it.
pub fn put_chunked(
    store: &dyn Store,
    batch: &mut Batch,
    prefix: &[u8],
    bytes: &[u8],
) -> Result<(), StoreError> {
    let count_before = stored_count(store, prefix)?;
    let total = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let (first, rest) = bytes.split_at(bytes.len().min(VALUE_SIZE_BYTES_MAX - TOTAL_SIZE_BYTES));
    let mut head = total.to_le_bytes().to_vec();
    head.extend_from_slice(first);
    batch.put(chunk_key(prefix, 0), head);
    let mut count = 1;
    for chunk in rest.chunks(VALUE_SIZE_BYTES_MAX) {
        batch.put(chunk_key(prefix, count), chunk);
        count += 1;
    }
    for index in count..count_before {
        batch.delete(chunk_key(prefix, index));
    }
    Ok(())
}

/// Deletes a value that was set in chunks.
pub fn delete_chunked(
    store: &dyn Store,
    batch: &mut Batch,
    prefix: &[u8],
) -> Result<(), StoreError> {
    for index in 0..stored_count(store, prefix)? {
        batch.delete(chunk_key(prefix, index));
    }
    Ok(())
}

/// The value that was set in chunks under `prefix`.
pub fn get_chunked(store: &dyn Store, prefix: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(head) = store.get(&chunk_key(prefix, 0))? else {
        return Ok(None);
    };
    let total = total_of(prefix, &head)?;
    let mut bytes = Vec::with_capacity(total);
    bytes.extend_from_slice(head.get(TOTAL_SIZE_BYTES..).unwrap_or_default());
    for index in 1..count_of(total) {
        let key = chunk_key(prefix, index);
        let Some(chunk) = store.get(&key)? else {
            return Err(StoreError::damaged(&key, "this chunk is missing"));
        };
        bytes.extend_from_slice(&chunk);
    }
    if bytes.len() != total {
        let what = format!("chunks of {} bytes, expected {total}", bytes.len());
        return Err(StoreError::damaged(prefix, what));
    }
    Ok(Some(bytes))
}

fn stored_count(store: &dyn Store, prefix: &[u8]) -> Result<u32, StoreError> {
    match store.get(&chunk_key(prefix, 0))? {
        Some(head) => Ok(count_of(total_of(prefix, &head)?)),
        None => Ok(0),
    }
}

fn total_of(prefix: &[u8], head: &[u8]) -> Result<usize, StoreError> {
    let total = head.first_chunk::<TOTAL_SIZE_BYTES>();
    total
        .and_then(|total| usize::try_from(u64::from_le_bytes(*total)).ok())
        .ok_or_else(|| StoreError::damaged(prefix, "chunk 0 has no total length"))
}

/// Chunks of a value of this length.
fn count_of(total: usize) -> u32 {
    let count = (total + TOTAL_SIZE_BYTES).div_ceil(VALUE_SIZE_BYTES_MAX);
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::store::MemoryStore;

    #[test]
    fn every_flipped_bit_and_every_wrong_key_is_found() {
        let stored = seal(b"j/1", b"payload");
        assert_eq!(open(b"j/1", &stored).unwrap(), b"payload");
        for bit in 0..stored.len() * 8 {
            let mut damaged = stored.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(b"j/1", &damaged).is_err(), "bit {bit}");
        }
        assert!(open(b"j/2", &stored).is_err());
        assert!(open(b"j/1", &stored[..3]).is_err());
        assert!(open(b"j/1", &[]).is_err());
    }

    #[test]
    fn a_newer_format_says_so() {
        let mut stored = vec![2, b'x'];
        let crc = checksum(b"k", &stored);
        stored.extend_from_slice(&crc.to_le_bytes());
        let error = open(b"k", &stored).unwrap_err().to_string();
        assert!(error.contains("format 2, this version reads 1"), "{error}");
    }

    #[test]
    fn chunks_grow_shrink_and_go() {
        let mut store = MemoryStore::default();
        let sizes = [0, 1, 3_992, 3_993, 7_992, 7_993, 40_000, 12, 3_993];
        for size in sizes {
            let bytes: Vec<u8> = (0..=250_u8).cycle().take(size).collect();
            let mut batch = Batch::new();
            put_chunked(&store, &mut batch, b"p/", &bytes).unwrap();
            store.commit(&batch).unwrap();
            assert_eq!(get_chunked(&store, b"p/").unwrap(), Some(bytes));
            let count = u64::from(count_of(size));
            assert_eq!(store.ledger().entries, count, "{size} bytes");
        }
        let mut batch = Batch::new();
        batch.delete(chunk_key(b"p/", 1));
        let mut torn = store.clone();
        torn.commit(&batch).unwrap();
        let error = get_chunked(&torn, b"p/").unwrap_err().to_string();
        assert!(error.contains("this chunk is missing"), "{error}");

        let mut batch = Batch::new();
        delete_chunked(&store, &mut batch, b"p/").unwrap();
        store.commit(&batch).unwrap();
        assert_eq!(store.ledger(), crate::runtime::store::Ledger::default());
        assert_eq!(get_chunked(&store, b"p/").unwrap(), None);
    }
}

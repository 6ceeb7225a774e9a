//! How durable state is laid out in the store: a journal of inputs, images of subjects, the head and the outbox.
//!
//! State is a fold over inputs, so a commit need only add the batch's inputs to the journal: a few sequential values
//! instead of one random value a subject. From time to time the subjects that changed are written as *images*, packed in
//! the order of their keys, and the journal before that point is let go. A start reads the newest image of each and steps
//! over the rest of the journal with the rule set that was in force, and from one set to the next where the journal says so.
//!
//! ```text
//! h                    head: Head, postcard
//! g<run:8><block:4>    images of run `run`, packed: (length, image)*
//! c<block:8><chunk:4>  what the desk keeps, of the same runs: LZ4 over postcard
//! j<commit:8><chunk:4> inputs of a commit, LZ4 over postcard
//! o<commit:8><chunk:4> what a commit sends out, until every sink has it
//! r<hash>:<chunk:4>    sources of the rule set with this hash
//! kscope               which subjects belong to this state: Scope, postcard; not there: all
//! a<commit:8><chunk:4> that another rule set came into force with this commit: Change, postcard
//! p<commit:8><chunk:4> which partitions records went to, of the ingest stage
//! ```
//!
//! shape    values at most 4,000 bytes (`store`); numbers big-endian, so that key order is time order
//! why      measured: per-subject values allow 12,000 to 15,000 updates a second with durable commits, see `benches/README.md`
//! errors   a value that cannot be decoded is a damaged store: the process stops and says which key

use super::sink::{OutboxEntry, SinkPosition};
use super::store::{Batch, Store, StoreError, VALUE_SIZE_BYTES_MAX};
use crate::engine::desk::Item;
use crate::engine::input::{Globals, Input};
use crate::engine::owner::Scope;
use crate::engine::rule::RuleSources;
use crate::engine::subject::state::Subject;
use crate::engine::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format of what this module writes.
pub const FORMAT: u16 = 6;
/// The oldest format that is read: the same, but without changes of rules, after which all images were written anew.
const FORMAT_READ_MIN: u16 = 5;
const SCOPE_KEY: &[u8] = b"kscope";
/// The tag of changes of rules.
pub const CHANGE: u8 = b'a';

/// Where everything stands after a commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// [`FORMAT`].
    pub format: u16,
    /// The number of the last commit.
    pub commit: u64,
    /// The first commit whose journal is still needed.
    pub journal_from: u64,
    /// Bytes of journal since the last image run.
    pub journal_bytes: u64,
    /// The number of the next image block to be written.
    pub next_run: u64,
    /// The image blocks that count: from this one,
    pub images_from: u64,
    /// up to and without this one. Blocks beyond belong to a run that was cut off.
    pub images_to: u64,
    /// What the province keeps beside its subjects, as of the last image run.
    pub base: Globals,
    /// The hash of the rule set in force.
    pub rule_set: String,
    /// The number of shards.
    pub shards: u32,
    /// How far every source is read, by its name.
    pub sources: BTreeMap<String, SourcePosition>,
    /// How far every sink is, by its name.
    pub sinks: BTreeMap<String, SinkMark>,
    /// The first commit whose outbox some sink still needs.
    pub outbox_from: u64,
    /// The number of the next outbox entry.
    pub next_entry: u64,
    /// What was read and what became of it.
    pub tally: BTreeMap<String, Account>,
}

/// How far a sink is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SinkMark {
    /// Its own position.
    pub position: SinkPosition,
    /// The first outbox entry that it does not have.
    pub next_entry: u64,
}

/// How far a source is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePosition {
    /// How far each file is dealt with.
    pub files: BTreeMap<String, FilePosition>,
}

/// How far a file is dealt with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePosition {
    /// Bytes.
    pub offset: u64,
    /// Records, the header not counted.
    pub number: u64,
    /// When the last one arrived by its own words: what is refused next goes with it.
    pub arrived_at: EventTime,
}

/// What was read of a connector and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Records read.
    pub read: u64,
    /// Events that changed the state.
    pub applied: u64,
    /// Records whose very version was known.
    pub duplicates: u64,
    /// Records of which a later version was known.
    pub stale: u64,
    /// Records refused, by code.
    pub refused: BTreeMap<String, u64>,
}

impl Account {
    /// All refused records.
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }
}

fn key(tag: u8, number: u64, chunk: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(13);
    key.push(tag);
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(&chunk.to_be_bytes());
    key
}

/// A value that is not what this module wrote.
fn damaged(key: &[u8], what: &str) -> StoreError {
    StoreError::damaged(key, what)
}

/// Writes bytes as chunks under (tag, number, 0..).
pub fn put_chunks(batch: &mut Batch, tag: u8, number: u64, bytes: &[u8]) {
    for (chunk, part) in (0_u32..).zip(bytes.chunks(VALUE_SIZE_BYTES_MAX)) {
        batch.put(key(tag, number, chunk), part.to_vec());
    }
}

/// Deletes the chunks under (tag, number).
pub fn delete_chunks(
    batch: &mut Batch,
    store: &dyn Store,
    tag: u8,
    number: u64,
) -> Result<(), StoreError> {
    let mut prefix = vec![tag];
    prefix.extend_from_slice(&number.to_be_bytes());
    store.scan(&prefix, &mut |key, _| {
        batch.delete(key.to_vec());
        Ok(())
    })
}

/// Reads everything under a tag, number by number in rising order.
pub fn read_chunks(
    store: &dyn Store,
    tag: u8,
    each: &mut dyn FnMut(u64, Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut current: Option<(u64, Vec<u8>)> = None;
    store.scan(&[tag], &mut |key, value| {
        let number = key
            .get(1..9)
            .and_then(|bytes| <[u8; 8]>::try_from(bytes).ok())
            .map(u64::from_be_bytes)
            .ok_or_else(|| damaged(key, "a key of another length"))?;
        match &mut current {
            Some((at, bytes)) if *at == number => bytes.extend_from_slice(value),
            Some(_) | None => {
                if let Some((at, bytes)) = current.replace((number, value.to_vec())) {
                    each(at, bytes)?;
                }
            }
        }
        Ok(())
    })?;
    match current {
        Some((at, bytes)) => each(at, bytes),
        None => Ok(()),
    }
}

/// Reads the head; none in a new store.
pub fn read_head(store: &dyn Store) -> Result<Option<Head>, StoreError> {
    let mut bytes = Vec::new();
    store.scan(b"h", &mut |_, value| {
        bytes.extend_from_slice(value);
        Ok(())
    })?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut head: Head =
        postcard::from_bytes(&bytes).map_err(|_| damaged(b"h", "a head that cannot be read"))?;
    if !(FORMAT_READ_MIN..=FORMAT).contains(&head.format) {
        return Err(damaged(
            b"h",
            &format!("format {}, expected {FORMAT}", head.format),
        ));
    }
    // What is written from here on is of the new one.
    head.format = FORMAT;
    Ok(Some(head))
}

/// Writes the head.
pub fn put_head(batch: &mut Batch, store: &dyn Store, head: &Head) -> Result<(), StoreError> {
    let bytes = postcard::to_stdvec(head).unwrap_or_default();
    let mut old = Vec::new();
    store.scan(b"h", &mut |key, _| {
        old.push(key.to_vec());
        Ok(())
    })?;
    let mut count = 0;
    for (chunk, part) in (0_u32..).zip(bytes.chunks(VALUE_SIZE_BYTES_MAX)) {
        batch.put(key(b'h', 0, chunk), part.to_vec());
        count += 1;
    }
    for key in old.into_iter().skip(count) {
        batch.delete(key);
    }
    Ok(())
}

/// Inputs as they stand in the journal.
pub fn encode_inputs(inputs: &[Input]) -> Vec<u8> {
    packed(inputs, 512)
}

/// The items, compressed; `bytes_each` is room for one of them, so that the bytes are not moved while they grow.
fn packed<T: Serialize>(items: &[T], bytes_each: usize) -> Vec<u8> {
    let room = Vec::with_capacity(items.len().saturating_mul(bytes_each));
    lz4_flex::compress_prepend_size(&postcard::to_extend(items, room).unwrap_or_default())
}

/// Inputs back from the journal.
pub fn decode_inputs(commit: u64, bytes: &[u8]) -> Result<Vec<Input>, StoreError> {
    lz4_flex::decompress_size_prepended(bytes)
        .ok()
        .and_then(|bytes| postcard::from_bytes(&bytes).ok())
        .ok_or_else(|| damaged(&key(b'j', commit, 0), "inputs that cannot be read"))
}

/// What leaves, as it stands in the outbox.
pub fn encode_entries(entries: &[OutboxEntry]) -> Vec<u8> {
    packed(entries, 2_048)
}

/// What leaves, back from the outbox.
pub fn decode_entries(commit: u64, bytes: &[u8]) -> Result<Vec<OutboxEntry>, StoreError> {
    lz4_flex::decompress_size_prepended(bytes)
        .ok()
        .and_then(|bytes| postcard::from_bytes(&bytes).ok())
        .ok_or_else(|| damaged(&key(b'o', commit, 0), "entries that cannot be read"))
}

/// Packs images: each its length, four bytes big-endian, and its bytes.
/// `room` is used for it, so that the bytes are not moved while they grow.
pub fn pack_images<S: std::borrow::Borrow<Subject>>(
    subjects: impl Iterator<Item = S>,
    room: &mut Vec<u8>,
) -> Vec<u8> {
    room.clear();
    for subject in subjects {
        let image = subject.borrow().to_bytes();
        room.extend_from_slice(&u32::try_from(image.len()).unwrap_or(u32::MAX).to_be_bytes());
        room.extend_from_slice(&image);
    }
    lz4_flex::compress_prepend_size(room)
}

/// Unpacks images.
pub fn unpack_images(run: u64, bytes: &[u8]) -> Result<Vec<Subject>, StoreError> {
    let bad = || damaged(&key(b'g', run, 0), "an image that cannot be read");
    let bytes = lz4_flex::decompress_size_prepended(bytes).map_err(|_| bad())?;
    let mut subjects = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| bad())?;
        let (image, tail) = tail.split_at_checked(length).ok_or_else(bad)?;
        subjects.push(Subject::from_bytes(image).ok_or_else(bad)?);
        rest = tail;
    }
    Ok(subjects)
}

/// What the desk keeps, as an image block.
pub fn encode_items(items: &[&Item]) -> Vec<u8> {
    lz4_flex::compress_prepend_size(&postcard::to_stdvec(items).unwrap_or_default())
}

/// What the desk keeps, back from an image block.
pub fn decode_items(run: u64, bytes: &[u8]) -> Result<Vec<Item>, StoreError> {
    lz4_flex::decompress_size_prepended(bytes)
        .ok()
        .and_then(|bytes| postcard::from_bytes(&bytes).ok())
        .ok_or_else(|| damaged(&key(b'c', run, 0), "cases that cannot be read"))
}

/// Says which subjects belong to this state.
pub fn put_scope(batch: &mut Batch, scope: Scope) {
    batch.put(SCOPE_KEY, postcard::to_stdvec(&scope).unwrap_or_default());
}

/// Which subjects belong to this state; none: all.
pub fn read_scope(store: &dyn Store) -> Result<Option<Scope>, StoreError> {
    let Some(bytes) = store.get(SCOPE_KEY)? else {
        return Ok(None);
    };
    let scope = postcard::from_bytes(&bytes);
    scope
        .map(Some)
        .map_err(|_| damaged(SCOPE_KEY, "a scope that cannot be read"))
}

/// Writes the sources of a rule set, if they are not there.
pub fn put_rules(batch: &mut Batch, hash: &str, sources: &RuleSources) {
    let bytes = lz4_flex::compress_prepend_size(&postcard::to_stdvec(sources).unwrap_or_default());
    for (chunk, part) in (0_u32..).zip(bytes.chunks(VALUE_SIZE_BYTES_MAX)) {
        batch.put(format!("r{hash}:{chunk:04}").into_bytes(), part.to_vec());
    }
}

/// One rule set in the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The hash of the set that was in force up to the commit.
    pub from: String,
    /// The hash of the set that is in force from it on.
    pub to: String,
}

/// Writes into the journal that another rule set came into force with a commit.
pub fn put_change(batch: &mut Batch, commit: u64, change: &Change) {
    let bytes = postcard::to_stdvec(change).unwrap_or_default();
    put_chunks(batch, CHANGE, commit, &bytes);
}

/// The changes of rules in the journal, by commit.
pub fn read_changes(store: &dyn Store) -> Result<BTreeMap<u64, Change>, StoreError> {
    let mut changes = BTreeMap::new();
    read_chunks(store, CHANGE, &mut |commit, bytes| {
        let change = postcard::from_bytes(&bytes);
        let bad = |_| {
            damaged(
                &key(CHANGE, commit, 0),
                "a change of rules that cannot be read",
            )
        };
        changes.insert(commit, change.map_err(bad)?);
        Ok(())
    })?;
    Ok(changes)
}

/// Reads the sources of the rule set with this hash.
pub fn read_rules(store: &dyn Store, hash: &str) -> Result<Option<RuleSources>, StoreError> {
    let mut bytes = Vec::new();
    let prefix = format!("r{hash}:");
    store.scan(prefix.as_bytes(), &mut |_, value| {
        bytes.extend_from_slice(value);
        Ok(())
    })?;
    if bytes.is_empty() {
        return Ok(None);
    }
    lz4_flex::decompress_size_prepended(&bytes)
        .ok()
        .and_then(|bytes| postcard::from_bytes(&bytes).ok())
        .map(Some)
        .ok_or_else(|| damaged(prefix.as_bytes(), "rule sources that cannot be read"))
}

/// The hashes of all rule sets in the store.
pub fn rule_sets(store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let mut hashes = Vec::new();
    store.scan(b"r", &mut |key, _| {
        let name = String::from_utf8_lossy(key);
        if let Some((hash, chunk)) = name.trim_start_matches('r').split_once(':')
            && chunk == "0000"
        {
            hashes.push(hash.to_owned());
        }
        Ok(())
    })?;
    Ok(hashes)
}

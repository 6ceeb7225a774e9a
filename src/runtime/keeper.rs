//! The keeper makes batches durable, one atomic commit each, and only then lets their messages leave.
//!
//! A commit holds the batch's inputs, how far the sources are read, what is to leave and how far the sinks are. Messages
//! stay in the outbox until every sink has them; after a crash the file sink is cut back to the length that the last
//! commit knew and gets the rest again, so that the file is the same to the byte.
//!
//! Images are written along the way: a run of blocks is spread over the next commits and counts from the commit that
//! completes it; until then the older images and the whole journal hold.
//!
//! bounds   [`RUN_BYTES_MAX`] of images a commit; old journal goes [`SWEEP_KEYS_MAX`] keys a commit
//! errors   a fault of the store or of the file sink ends the process; a web hook that does not answer is tried again

use super::archive::ArchiveError;
use super::archive::columns::Row;
use super::archive::keep::Keep;
use super::clock::Stopwatch;
use super::journal::{
    Account, CHANGE, Change, FilePosition, Head, SinkMark, delete_chunks, encode_entries,
    encode_inputs, put_change, put_chunks, put_head, put_rules, read_changes,
};
use super::sink::{OutboxEntry, Sink, SinkError};
use super::store::{Batch, Store, StoreError};
use crate::engine::input::{Globals, Input};
use crate::engine::rule::RuleSources;
use std::collections::VecDeque;
use std::fmt;

/// Image bytes written with one commit.
pub const RUN_BYTES_MAX: usize = 2 << 20;
/// Keys of old journal deleted with one commit.
pub const SWEEP_KEYS_MAX: usize = 1_024;

/// Entries given to a sink at once.
const DELIVER_MAX: usize = 4_096;

/// A batch to be made durable.
#[derive(Debug, Default)]
pub struct Commit {
    /// The inputs, for the journal.
    pub inputs: Vec<Input>,
    /// What is to leave.
    pub entries: Vec<OutboxEntry>,
    /// How far each (source, file) is read.
    pub positions: Vec<(String, String, FilePosition)>,
    /// What came of the records, by connector.
    pub accounts: Vec<(String, Account)>,
    /// Images to write from now on.
    pub images: Option<Images>,
    /// A rule set that is in force from now on.
    pub rules: Option<(String, RuleSources)>,
    /// What goes into the archive of events.
    pub archived: Vec<Row>,
    /// Which partitions records went to, of the ingest stage.
    pub routes: Vec<u8>,
}

/// A run of images: all subjects that changed, or all there are.
#[derive(Debug)]
pub struct Images {
    /// What the province keeps beside its subjects, at the same place.
    pub base: Globals,
    /// Packed blocks, each with its tag: `g` subjects, `c` what the desk keeps.
    pub blocks: VecDeque<(u8, Vec<u8>)>,
    /// Whether they are all subjects, so that older blocks can go.
    pub is_full: bool,
}

#[derive(Debug)]
struct Run {
    images: Images,
    /// The commit from which the journal is still needed once the run is whole.
    journal_from: u64,
    /// The number of its first block.
    first_block: u64,
}

/// Why the keeper cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The store.
    #[error("cannot make a batch durable")]
    Store(#[from] StoreError),
    /// The archive of events.
    #[error("cannot keep the archive of events")]
    Archive(#[from] ArchiveError),
    /// A sink that must not fail.
    #[error("sink \"{name}\" cannot deliver")]
    Sink {
        /// The sink.
        name: String,
        /// Why.
        #[source]
        cause: SinkError,
    },
}

/// An entry of a commit that a sink does not have yet.
#[derive(Debug)]
struct Waiting {
    commit: u64,
    since: Stopwatch,
    entry: OutboxEntry,
}

/// What came of a sink's deliveries since it was last asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The sink.
    pub sink: String,
    /// Entries that it took.
    pub delivered: u64,
    /// Tries that failed and will be made again.
    pub failures: u64,
    /// Entries that wait for it.
    pub waiting: usize,
    /// How long the oldest of them has waited, ms; after a start, since the start.
    pub oldest_ms: Option<u64>,
}

struct Door {
    sink: Box<dyn Sink>,
    /// Entries of commits that the sink does not have yet.
    waiting: VecDeque<Waiting>,
    /// What came of deliveries since somebody last asked.
    delivered: u64,
    failures: u64,
    /// Since when it asked for patience, and for how long, ms.
    pause: Option<(Stopwatch, u64)>,
}

/// See the module.
pub struct Keeper {
    store: Box<dyn Store>,
    head: Head,
    doors: Vec<Door>,
    run: Option<Run>,
    sweep: VecDeque<(u8, u64)>,
    /// The commits that put a rule set into force, as far as the journal has them.
    changes: Vec<u64>,
    archive: Option<Keep>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl Keeper {
    /// A keeper that goes on from `head`; `waiting` is what stands in the outbox, by commit.
    pub fn new(
        store: Box<dyn Store>,
        head: Head,
        sinks: Vec<Box<dyn Sink>>,
        waiting: &[(u64, Vec<OutboxEntry>)],
    ) -> Result<Self, KeepError> {
        let changes = read_changes(store.as_ref())?;
        let mut keeper = Self {
            changes: changes.into_keys().collect(),
            store,
            head,
            doors: Vec::new(),
            run: None,
            sweep: VecDeque::new(),
            archive: None,
        };
        for mut sink in sinks {
            let name = sink.name().to_owned();
            let mark = keeper.head.sinks.get(&name).cloned().unwrap_or_default();
            sink.resume(&mark.position)
                .map_err(|cause| KeepError::Sink { name, cause })?;
            // What an earlier delivery has got beyond the recorded position was cut off or is told apart by its id.
            let from = mark.next_entry;
            let waiting = waiting
                .iter()
                .flat_map(|(commit, entries)| entries.iter().map(|e| (*commit, e)))
                .filter(|(_, entry)| from <= entry.seq)
                .map(|(commit, entry)| Waiting {
                    commit,
                    since: Stopwatch::start(),
                    entry: entry.clone(),
                })
                .collect();
            keeper.doors.push(Door {
                sink,
                waiting,
                delivered: 0,
                failures: 0,
                pause: None,
            });
        }
        Ok(keeper)
    }

    /// Keeps events in an archive from now on.
    pub fn set_archive(&mut self, keep: Keep) {
        self.archive = Some(keep);
    }

    /// Where everything stands.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The store, to look at.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Whether a run of images is still being written.
    pub fn is_imaging(&self) -> bool {
        self.run.is_some()
    }

    /// What came of deliveries since this was last asked, by sink.
    pub fn deliveries(&mut self) -> Vec<Delivery> {
        let told = self.doors.iter_mut().map(|door| Delivery {
            sink: door.sink.name().to_owned(),
            delivered: core::mem::take(&mut door.delivered),
            failures: core::mem::take(&mut door.failures),
            waiting: door.waiting.len(),
            oldest_ms: door
                .waiting
                .front()
                .map(|first| first.since.elapsed_us() / 1_000),
        });
        told.collect()
    }

    /// Makes a batch durable, then lets its messages leave.
    pub fn commit(&mut self, commit: Commit) -> Result<(), KeepError> {
        let first_block = self.head.next_run;
        let mut batch = Batch::new();
        let number = self.head.commit + 1;
        self.head.commit = number;
        if !commit.inputs.is_empty() {
            let bytes = encode_inputs(&commit.inputs);
            self.head.journal_bytes += u64::try_from(bytes.len()).unwrap_or(0);
            put_chunks(&mut batch, b'j', number, &bytes);
        }
        if !commit.routes.is_empty() {
            put_chunks(&mut batch, b'p', number, &commit.routes);
        }
        for (source, file, to) in commit.positions {
            self.head
                .sources
                .entry(source)
                .or_default()
                .files
                .insert(file, to);
        }
        for (connector, account) in commit.accounts {
            add(self.head.tally.entry(connector).or_default(), &account);
        }
        if let Some((hash, sources)) = commit.rules {
            put_rules(&mut batch, &hash, &sources);
            let from = core::mem::replace(&mut self.head.rule_set, hash.clone());
            if !from.is_empty() {
                put_change(&mut batch, number, &Change { from, to: hash });
                self.changes.push(number);
            }
        }
        let mut entries = commit.entries;
        let before = self.head.next_entry;
        for entry in &mut entries {
            entry.seq = self.head.next_entry;
            self.head.next_entry += 1;
        }
        if !entries.is_empty() {
            put_chunks(&mut batch, b'o', number, &encode_entries(&entries));
        }
        if let Some(images) = commit.images {
            // The journal up to and with this commit is in the images.
            self.run = Some(Run {
                images,
                journal_from: number + 1,
                first_block,
            });
            self.head.journal_bytes = 0;
        }
        self.put_images(&mut batch);
        self.note_sinks(&mut batch, before)?;
        self.sweep(&mut batch)?;
        put_head(&mut batch, self.store.as_ref(), &self.head)?;
        // The archive is never behind the store.
        if let Some(archive) = &mut self.archive {
            archive.append(&commit.archived)?;
        }
        self.store.commit(&batch)?;
        if let Some(archive) = &mut self.archive {
            archive.settle()?;
        }
        let since = Stopwatch::start();
        for door in &mut self.doors {
            door.waiting.extend(entries.iter().map(|entry| Waiting {
                commit: number,
                since,
                entry: entry.clone(),
            }));
        }
        self.deliver()
    }

    /// Writes on a run of images, and delivers what waits, when nothing arrives.
    pub fn idle(&mut self) -> Result<(), KeepError> {
        if self.run.is_some() || !self.sweep.is_empty() {
            return self.commit(Commit::default());
        }
        self.deliver()
    }

    /// Lets what waits leave for as long as `has_patience` says (it is asked with the time to the next try, ms, and waits),
    /// then records the sinks' last positions. What waits still is in the store and leaves at the next start; gives how
    /// many entries that are, by sink.
    pub fn finish(
        &mut self,
        mut has_patience: impl FnMut(u64) -> bool,
    ) -> Result<Vec<(String, usize)>, KeepError> {
        while self.run.is_some() {
            self.commit(Commit::default())?;
        }
        self.deliver()?;
        while let Some(wait_ms) = self.next_try_ms() {
            if !has_patience(wait_ms) {
                break;
            }
            self.deliver()?;
        }
        self.commit(Commit::default())?;
        if let Some(archive) = &mut self.archive {
            archive.close()?;
        }
        let waiting = self.doors.iter().filter(|door| !door.waiting.is_empty());
        Ok(waiting
            .map(|door| (door.sink.name().to_owned(), door.waiting.len()))
            .collect())
    }

    /// The time to the next try of a delivery, ms; nothing if no sink has anything to take.
    fn next_try_ms(&self) -> Option<u64> {
        let waiting = self.doors.iter().filter(|door| !door.waiting.is_empty());
        let left = waiting.map(|door| {
            door.pause.as_ref().map_or(0, |(since, ms)| {
                ms.saturating_sub(since.elapsed_us() / 1_000)
            })
        });
        left.min()
    }

    fn put_images(&mut self, batch: &mut Batch) {
        let Some(run) = &mut self.run else { return };
        let mut bytes = 0;
        while bytes < RUN_BYTES_MAX {
            let Some((tag, block)) = run.images.blocks.pop_front() else {
                break;
            };
            bytes += block.len();
            put_chunks(batch, tag, self.head.next_run, &block);
            self.head.next_run += 1;
        }
        if !run.images.blocks.is_empty() {
            return;
        }
        if let Some(run) = self.run.take() {
            self.sweep
                .extend((self.head.journal_from..run.journal_from).map(|n| (b'j', n)));
            // The images are of a province in which these rules are in force.
            let past = self.changes.iter().filter(|n| **n < run.journal_from);
            self.sweep.extend(past.map(|n| (CHANGE, *n)));
            self.changes.retain(|n| run.journal_from <= *n);
            self.head.journal_from = run.journal_from;
            self.head.base = run.images.base;
            if run.images.is_full {
                let old = self.head.images_from..run.first_block;
                self.sweep.extend(old.flat_map(|n| [(b'g', n), (b'c', n)]));
                self.head.images_from = run.first_block;
            }
            self.head.images_to = self.head.next_run;
        }
    }

    /// Takes up how far the sinks are; what all of them have leaves the outbox.
    fn note_sinks(&mut self, batch: &mut Batch, before: u64) -> Result<(), KeepError> {
        for door in &mut self.doors {
            let name = door.sink.name().to_owned();
            door.sink.sync().map_err(|cause| KeepError::Sink {
                name: name.clone(),
                cause,
            })?;
            let next_entry = door.waiting.front().map_or(before, |first| first.entry.seq);
            let mark = SinkMark {
                position: door.sink.position(),
                next_entry,
            };
            self.head.sinks.insert(name, mark);
        }
        let oldest = self
            .doors
            .iter()
            .filter_map(|door| door.waiting.front().map(|first| first.commit))
            .min()
            .unwrap_or(self.head.commit);
        for number in self.head.outbox_from..oldest {
            delete_chunks(batch, self.store.as_ref(), b'o', number)?;
        }
        self.head.outbox_from = self.head.outbox_from.max(oldest);
        Ok(())
    }

    fn sweep(&mut self, batch: &mut Batch) -> Result<(), KeepError> {
        let before = batch.len();
        while batch.len() - before < SWEEP_KEYS_MAX {
            let Some((tag, number)) = self.sweep.pop_front() else {
                break;
            };
            delete_chunks(batch, self.store.as_ref(), tag, number)?;
        }
        Ok(())
    }

    fn deliver(&mut self) -> Result<(), KeepError> {
        for door in &mut self.doors {
            if door
                .pause
                .as_ref()
                .is_some_and(|(since, ms)| since.elapsed_us() < ms * 1_000)
            {
                continue;
            }
            door.pause = None;
            while !door.waiting.is_empty() && door.pause.is_none() {
                let entries: Vec<OutboxEntry> = door
                    .waiting
                    .iter()
                    .take(DELIVER_MAX)
                    .map(|waiting| waiting.entry.clone())
                    .collect();
                let delivered = door
                    .sink
                    .deliver(&entries)
                    .map_err(|cause| KeepError::Sink {
                        name: door.sink.name().to_owned(),
                        cause,
                    })?;
                let done = delivered.count.min(entries.len());
                door.waiting.drain(..done);
                door.delivered += u64::try_from(done).unwrap_or(0);
                door.failures += u64::from(delivered.retry.is_some());
                door.pause = delivered
                    .retry
                    .map(|retry| (Stopwatch::start(), retry.after_ms));
            }
        }
        Ok(())
    }
}

pub(super) fn add(to: &mut Account, from: &Account) {
    to.read += from.read;
    to.applied += from.applied;
    to.duplicates += from.duplicates;
    to.stale += from.stale;
    for (code, count) in &from.refused {
        *to.refused.entry(code.clone()).or_default() += count;
    }
}

#[cfg(test)]
mod tests;

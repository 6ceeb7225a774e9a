//! The store of an owner: every commit goes to the state log first, then into the store on this machine.
//!
//! ```text
//! open cache ─▶ catch up with the log ─▶ claim ─▶ read up to the claim ─▶ own, if it is valid
//! commit: append ─▶ acknowledged without a gap? ─▶ cache          a gap: read the log; another owner: lost
//! ```
//!
//! The cache is never ahead of the log. One that is damaged is put aside, one that is behind what the log still has goes; both are made again
//! from the last copy of the whole state and the batches after it. What leaves does so after the commit, so after the
//! look at gaps: a process that was frozen and wakes up finds the gap and tells nobody anything.
//!
//! bounds   caught up in commits of [`GROUP_BYTES`]; a copy is written when the log since the last one is longer than told and
//!          than twice the state
//! errors   [`StoreError::Lost`] when another process owns the partition; [`StoreError::Log`] when the log cannot be used

use super::follower::{Follower, Position, Whole};
use super::log::Log;
use super::wire::{Delta, Kind, Record, parts};
use crate::engine::owner::{Acknowledged, Epoch, Reading, acknowledged};
use crate::runtime::clock::Stopwatch;
use crate::runtime::metrics::{Behind, ClusterMetrics};
use crate::runtime::store::{Batch, DiskStore, Ledger, Store, StoreError, VerifyReport, Visit};
use std::path::{Path, PathBuf};

/// Bytes of changes put into the cache at once while it catches up.
const GROUP_BYTES: usize = 1 << 20;
/// Where the cache keeps how far it is. The store leaves such keys out of its sums.
const POSITION_KEY: &[u8] = b"\0log";
/// Claims that are tried before the partition is given up for a while.
const CLAIMS_MAX: usize = 4;

/// Who wants to own what.
#[derive(Debug, Clone)]
pub struct Claimant {
    /// The process, for people who look at the log.
    pub name: String,
    /// A number that tells this run of the process from others.
    pub session: u32,
    /// The partition, for messages.
    pub place: String,
    /// How many partitions the events have.
    pub partitions: u32,
    /// Bytes of log after which a copy of the whole state is written.
    pub copy_after_bytes: u64,
    /// What is counted.
    pub metrics: ClusterMetrics,
}

/// How a take-over went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TakeOver {
    /// Records of the log that were read.
    pub records: u64,
    /// Those that counted for nobody.
    pub void: u64,
    /// Whether the cache was made anew.
    pub is_rebuilt: bool,
    /// How long it took, µs.
    pub took_us: u64,
}

/// A cache on disk that follows a log.
pub struct Cache {
    disk: DiskStore,
    directory: PathBuf,
    follower: Follower,
    partitions: u32,
    /// Shows how many records of the log are still to be read.
    behind: Option<Behind>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("directory", &self.directory)
            .field("position", &self.follower.position())
            .finish_non_exhaustive()
    }
}

impl Cache {
    /// Opens the cache in a directory; one that is damaged is put aside.
    pub fn open(directory: &Path, partitions: u32) -> Result<Self, StoreError> {
        let disk = match DiskStore::open(directory) {
            Err(error @ (StoreError::Locked { .. } | StoreError::Io { .. })) => return Err(error),
            Err(error) => {
                tracing::warn!(directory = %directory.display(), %error, "the cache is damaged; it is put aside and made again from the log");
                aside(directory)?;
                DiskStore::open(directory)?
            }
            Ok(disk) => disk,
        };
        let position = match disk.get(POSITION_KEY)? {
            Some(bytes) => postcard::from_bytes(&bytes)
                .map_err(|_| StoreError::damaged(POSITION_KEY, "a position that cannot be read"))?,
            None => Position::default(),
        };
        Ok(Self {
            disk,
            directory: directory.to_owned(),
            follower: Follower::new(position, partitions),
            partitions,
            behind: None,
        })
    }

    /// The same, which shows how far it is behind its log.
    #[must_use]
    pub fn shown_by(self, behind: Behind) -> Self {
        Self {
            behind: Some(behind),
            ..self
        }
    }

    /// How far it is.
    pub fn position(&self) -> Position {
        self.follower.position()
    }

    /// What it comes to.
    pub fn ledger(&self) -> Ledger {
        self.disk.ledger()
    }

    fn anew(self, is_damaged: bool) -> Result<Self, StoreError> {
        let Self {
            disk,
            directory,
            partitions,
            behind,
            ..
        } = self;
        drop(disk);
        if is_damaged {
            aside(&directory)?;
        } else {
            // All that is in it, and more, is in the log.
            std::fs::remove_dir_all(&directory).map_err(|source| StoreError::Io {
                doing: "remove",
                path: directory.clone(),
                source: std::sync::Arc::new(source),
            })?;
        }
        let cache = Self::open(&directory, partitions)?;
        Ok(Self { behind, ..cache })
    }

    /// Reads what the log has got; a cache that cannot be brought up to it is made anew.
    pub fn catch_up(mut self, log: &mut dyn Log) -> Result<(Self, TakeOver), StoreError> {
        let mut took = TakeOver::default();
        let (low, high) = log.bounds()?;
        let next = self.position().next;
        if next < low && self.position().reading != Reading::default() || high < next {
            if high < next {
                return Err(StoreError::LogUnfit {
                    what: format!(
                        "it ends at offset {high}, but {next} records were already read: the topic was made anew or lost records; restore it, or use another prefix"
                    ),
                });
            }
            took.is_rebuilt = true;
            self = self.anew(false)?;
        }
        match self.follow(log, (low, high), &mut took) {
            Ok(()) => Ok((self, took)),
            Err(StoreError::Unbalanced { .. } | StoreError::Damaged { .. }) if !took.is_rebuilt => {
                tracing::warn!(directory = %self.directory.display(), "the cache is not what the log says; it is put aside and made again");
                took.is_rebuilt = true;
                self = self.anew(true)?;
                self.follow(log, (low, high), &mut took)?;
                Ok((self, took))
            }
            Err(error) => Err(error),
        }
    }

    fn follow(
        &mut self,
        log: &mut dyn Log,
        (low, high): (u64, u64),
        took: &mut TakeOver,
    ) -> Result<(), StoreError> {
        if self.position().next < low {
            self.follower.begin_at(low);
        }
        let mut group = Batch::new();
        let (follower, disk, behind) = (&mut self.follower, &mut self.disk, &self.behind);
        log.read((follower.position().next, high), &mut |offset, bytes| {
            took.records += 1;
            if let Some(behind) = behind {
                behind.set(high.saturating_sub(offset + 1));
            }
            match follower.take(offset, bytes)? {
                None => return Ok(()),
                Some(Whole::Batch(delta)) => {
                    if group.is_empty() && delta.ledger() != disk.ledger() {
                        return Err(unbalanced(disk.ledger(), delta.ledger()));
                    }
                    delta.add_to(&mut group);
                }
                Some(Whole::Copy(delta)) => {
                    let expected = delta.ledger();
                    let mut copy = Batch::new();
                    delta.add_to(&mut copy);
                    commit_in_groups(disk, &copy)?;
                    if disk.ledger() != expected {
                        return Err(unbalanced(disk.ledger(), expected));
                    }
                    // Only now does it say how far it is: what was cut off before is begun anew.
                    note(&mut group, follower.position());
                }
            }
            if GROUP_BYTES <= group.size_bytes() {
                note(&mut group, follower.position());
                disk.commit(&group)?;
                group.clear();
            }
            Ok(())
        })?;
        took.void += follower.take_void();
        if follower.is_between() {
            note(&mut group, follower.position());
        }
        disk.commit(&group)
    }

    /// Appends a claim, and reads up to it; the store of the partition if the claim is valid.
    pub fn claim(
        self,
        mut log: Box<dyn Log>,
        claimant: &Claimant,
    ) -> Result<(LogStore, TakeOver), StoreError> {
        let watch = Stopwatch::start();
        let mut all = TakeOver::default();
        let mut cache = self;
        for _ in 0..CLAIMS_MAX {
            let (caught, took) = cache.catch_up(log.as_mut())?;
            cache = caught;
            all.records += took.records;
            all.void += took.void;
            all.is_rebuilt |= took.is_rebuilt;
            let epoch = cache.position().reading.next_epoch(claimant.session);
            let claim = Record::Claim {
                epoch,
                partitions: claimant.partitions,
                instance: &claimant.name,
            };
            let offset = log.append(&[claim.encode()])?.first().copied();
            let (caught, took) = cache.catch_up(log.as_mut())?;
            cache = caught;
            all.records += took.records;
            all.void += took.void;
            claimant.metrics.void.inc_by(took.void);
            if cache.follower.claimed_at() == offset {
                claimant.metrics.won.inc();
                all.took_us = watch.elapsed_us();
                let store = LogStore {
                    cache,
                    log,
                    epoch,
                    claimant: claimant.clone(),
                    fault: None,
                };
                return Ok((store, all));
            }
            claimant.metrics.lost.inc();
        }
        Err(StoreError::Lost {
            place: claimant.place.clone(),
        })
    }
}

/// Whether what was appended stands in a row from the expected offset on.
fn follow(expected: u64, offsets: &[u64]) -> bool {
    let mut in_row = (expected..).zip(offsets);
    in_row.all(|(expected, offset)| acknowledged(expected, *offset) == Acknowledged::Next)
}

fn unbalanced(found: Ledger, kept: Ledger) -> StoreError {
    StoreError::Unbalanced { kept, found }
}

fn note(batch: &mut Batch, position: Position) {
    let bytes = postcard::to_stdvec(&position).unwrap_or_default();
    batch.put_any(POSITION_KEY.to_vec(), bytes);
}

fn commit_in_groups(disk: &mut DiskStore, whole: &Batch) -> Result<(), StoreError> {
    let mut group = Batch::new();
    for (key, value) in whole.changes() {
        if let Some(value) = value {
            group.put(key, value);
        }
        if GROUP_BYTES <= group.size_bytes() {
            disk.commit(&group)?;
            group.clear();
        }
    }
    disk.commit(&group)
}

/// Renames a directory out of the way, so that somebody can look at it.
fn aside(directory: &Path) -> Result<(), StoreError> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let target = (0..).map(|number| directory.with_file_name(format!("{name}.aside-{number}")));
    let target = target.into_iter().find(|path| !path.exists());
    let Some(target) = target.filter(|_| directory.exists()) else {
        return Ok(());
    };
    std::fs::rename(directory, &target).map_err(|source| StoreError::Io {
        doing: "put aside",
        path: directory.to_owned(),
        source: std::sync::Arc::new(source),
    })
}

/// See the module.
pub struct LogStore {
    cache: Cache,
    log: Box<dyn Log>,
    epoch: Epoch,
    claimant: Claimant,
    fault: Option<StoreError>,
}

impl std::fmt::Debug for LogStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogStore")
            .field("cache", &self.cache)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl LogStore {
    fn lost(&self) -> StoreError {
        StoreError::Lost {
            place: self.claimant.place.clone(),
        }
    }

    /// Appends, and looks whether anybody else did; the offset after the last record when these count.
    fn append(&mut self, records: &[Vec<u8>]) -> Result<u64, StoreError> {
        let watch = Stopwatch::start();
        let offsets = self.log.append(records)?;
        let seconds = std::time::Duration::from_micros(watch.elapsed_us()).as_secs_f64();
        self.claimant.metrics.append_seconds.observe(seconds);
        let expected = self.cache.position().next;
        let next = offsets.last().map_or(expected, |last| last + 1);
        if follow(expected, &offsets) {
            return Ok(next);
        }
        // Somebody wrote between: the log says whether it was one whose word counts.
        let mut follower = Follower::new(self.cache.position(), self.claimant.partitions);
        self.log.read((expected, next), &mut |offset, bytes| {
            follower.take(offset, bytes).map(|_| ())
        })?;
        let before = self.cache.position().reading.source_next();
        let has_it = before < follower.position().reading.source_next();
        if follower.owner() != Some(self.epoch) || !has_it {
            tracing::warn!(place = %self.claimant.place, "another process owns the partition now");
            return Err(self.lost());
        }
        Ok(next)
    }

    fn try_commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let number = self.cache.position().reading.source_next();
        let delta = Delta::of(batch, self.cache.disk.ledger());
        let records = parts(Kind::Batch, self.epoch, number, &delta.encode());
        let next = self.append(&records)?;
        let bytes: usize = records.iter().map(Vec::len).sum();
        let bytes = u64::try_from(bytes).unwrap_or(0);
        self.cache.follower.wrote(self.epoch, next, bytes);
        let mut kept = batch.clone();
        note(&mut kept, self.cache.position());
        self.cache.disk.commit(&kept)?;
        let since = self.cache.position().since_copy_bytes;
        let state = self.cache.disk.ledger().bytes;
        if self.claimant.copy_after_bytes.max(state.saturating_mul(2)) < since {
            self.copy()?;
        }
        Ok(())
    }

    /// Writes everything that the store holds to the log, then lets go of what was before.
    pub fn copy(&mut self) -> Result<(), StoreError> {
        let number = self.cache.position().reading.source_next();
        let delta = Delta::copy_of(&self.cache.disk)?;
        let records = parts(Kind::Copy, self.epoch, number, &delta.encode());
        let expected = self.cache.position().next;
        let offsets = self.log.append(&records)?;
        if !follow(expected, &offsets) {
            return Err(self.lost());
        }
        let next = offsets.last().map_or(expected, |last| last + 1);
        self.cache.follower.copied(next);
        let mut kept = Batch::new();
        note(&mut kept, self.cache.position());
        self.cache.disk.commit(&kept)?;
        if let Err(error) = self.log.trim(expected) {
            tracing::warn!(place = %self.claimant.place, %error, "the state log cannot be shortened; it goes on growing");
        }
        Ok(())
    }
}

impl Store for LogStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.cache.disk.get(key)
    }

    fn scan(&self, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.cache.disk.scan(prefix, each)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        if batch.is_empty() {
            return Ok(());
        }
        let done = self.try_commit(batch);
        done.inspect_err(|fault| self.fault = Some(fault.clone()))
    }

    fn ledger(&self) -> Ledger {
        self.cache.disk.ledger()
    }

    fn verify(&self) -> Result<VerifyReport, StoreError> {
        self.cache.disk.verify()
    }

    fn size_bytes(&self) -> u64 {
        self.cache.disk.size_bytes()
    }
}

#[cfg(test)]
mod tests;

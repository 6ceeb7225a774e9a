//! Crash-poison: what is worked on is noted beside the state before it is, so that a record that kills the process is found
//! and refused like any other bad record.
//!
//! ```text
//! note "at work" ─▶ decode, step ─▶ note "idle"        killed between the two: the next start reads "at work"
//! ```
//!
//! Most bad records are values (`engine::reject`), and rules are held within bounds; this is for what is left: an overflowing
//! stack, memory that is not there, a bug. What follows from deaths is worked out in [`doubt`]; a condemned record goes to the
//! dead letters with the code `deadly`, in the commit that moves past it.
//!
//! ```text
//! <state>/attempt.json   what is worked on now: null, "Batch", {"Decode": …} or {"Step": …}; written before and after each batch
//! <state>/doubt.json     what deaths have led to; written at a start after a death, and when it is over
//! ```
//!
//! Nothing is synced: a process that is killed loses nothing that it has written, and a machine that loses power has not been
//! killed by a record.
//!
//! bounds   what a sink or the keeper dies of is not a record's doing and is not found; nor is a clock that kills
//! errors   notes that cannot be written are logged once; the run goes on without them
//! cost     two writes of some bytes a batch; while it is careful two a record, and one commit a step

mod doubt;

pub use doubt::{Conclusion, Spot, Work};

use self::doubt::Doubt;
use crate::engine::hash::sm3_hex;
use crate::engine::reject::{Reject, RejectCode};
use rayon::prelude::*;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Where nothing is limited.
const ANY: usize = usize::MAX;
/// The fewest records that a thread decodes at a time.
const RECORDS_MIN: usize = 256;
/// A note is filled up to so many bytes, so that a short one covers a long one.
const NOTE_BYTES: usize = 1_024;

impl Spot {
    /// A record of a source that can be read again, by where it stands.
    pub fn at(source: &str, file: &str, offset: u64) -> Self {
        Self {
            source: source.to_owned(),
            file: file.to_owned(),
            offset: Some(offset),
        }
    }

    /// A record that was pushed, by what it is.
    pub fn pushed(source: &str, bytes: &[u8]) -> Self {
        Self {
            source: source.to_owned(),
            file: sm3_hex(&[bytes]),
            offset: None,
        }
    }
}

/// Held by who works on one record alone, so that nothing else in the process can be what kills it; the others hold it together.
#[derive(Debug, Clone, Default)]
pub struct Alone(Arc<RwLock<()>>);

/// See the module.
#[derive(Debug)]
pub struct Attempts {
    /// Where notes are; nothing is noted where it is not known.
    directory: Option<PathBuf>,
    alone: Alone,
    notes: Mutex<Notes>,
    /// Copies of what the notes say, for who asks often.
    step: AtomicUsize,
    condemns: AtomicBool,
    is_mute: AtomicBool,
}

#[derive(Debug, Default)]
struct Notes {
    doubt: Doubt,
    file: Option<File>,
    /// Who is at work on batches; one is noted as long as there is any.
    busy: u32,
    /// Condemned records of sources that cannot be read again, which were refused since the last commit.
    refused: Vec<Spot>,
}

/// At work until it is dropped; where a panic drops it, the note stays.
#[derive(Debug)]
pub struct Working<'a> {
    of: Option<(&'a Attempts, Work)>,
    _together: Option<RwLockReadGuard<'a, ()>>,
    _alone: Option<RwLockWriteGuard<'a, ()>>,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        if let Some((attempts, work)) = &self.of
            && !std::thread::panicking()
        {
            attempts.rest(work);
        }
    }
}

impl Attempts {
    /// Nothing is noted and nothing condemned.
    pub fn none() -> Arc<Self> {
        Arc::new(Self::with(None, Alone::default()))
    }

    /// Notes in a directory that belongs to this process alone.
    pub fn beside(directory: &Path, alone: &Alone) -> Arc<Self> {
        Arc::new(Self::with(Some(directory.to_owned()), alone.clone()))
    }

    fn with(directory: Option<PathBuf>, alone: Alone) -> Self {
        Self {
            directory,
            alone,
            notes: Mutex::default(),
            step: AtomicUsize::new(ANY),
            condemns: AtomicBool::new(false),
            is_mute: AtomicBool::new(false),
        }
    }

    /// Reads what the last process left, when `commit` is the last commit that is durable, and draws conclusions.
    pub fn begin(&self, commit: u64) {
        let Some(directory) = &self.directory else {
            return;
        };
        let mut notes = self.notes();
        let read = |name| read(&directory.join(name));
        notes.doubt = read("doubt.json")
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let left = read("attempt.json").and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let left: Option<Work> = left.unwrap_or_default();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        match options.open(directory.join("attempt.json")) {
            Ok(file) => notes.file = Some(file),
            Err(error) => self.complain(&error),
        }
        if let Some(work) = left {
            let conclusion = notes.doubt.died(&work, commit);
            told(&conclusion, commit);
            self.keep(&notes.doubt);
            self.note(&mut notes, None);
        }
        self.copy(&notes.doubt);
    }

    /// The most records of `max` that are worked on at a time.
    pub fn batch_max(&self, max: usize) -> usize {
        max.min(self.step.load(Ordering::Acquire))
    }

    /// Whether batches are committed one by one and nothing is read ahead.
    pub fn is_careful(&self) -> bool {
        self.step.load(Ordering::Acquire) != ANY
    }

    /// Notes that a batch is worked on, or, while it is careful, one record alone.
    pub fn working(&self, work: Work) -> Working<'_> {
        if self.directory.is_none() {
            return Working {
                of: None,
                _together: None,
                _alone: None,
            };
        }
        let lock = &self.alone.0;
        let (together, alone) = if self.is_careful() {
            (
                None,
                Some(lock.write().unwrap_or_else(PoisonError::into_inner)),
            )
        } else {
            (
                Some(lock.read().unwrap_or_else(PoisonError::into_inner)),
                None,
            )
        };
        let mut notes = self.notes();
        notes.busy += 1;
        if notes.busy == 1 {
            self.note(&mut notes, Some(&work));
        }
        Working {
            of: Some((self, work)),
            _together: together,
            _alone: alone,
        }
    }

    /// Works on one record, unless it is condemned. While it is careful it is noted alone; else it is part of a batch that is.
    pub fn on<T>(
        &self,
        spot: impl FnOnce() -> Spot,
        work: impl FnOnce() -> T,
    ) -> Result<T, Reject> {
        let condemns = self.condemns.load(Ordering::Acquire);
        if !condemns && !self.is_careful() {
            return Ok(work());
        }
        let spot = spot();
        if condemns {
            let mut notes = self.notes();
            if notes.doubt.is_condemned(&spot) {
                let reject = deadly(&spot);
                if spot.offset.is_none() {
                    notes.refused.push(spot);
                }
                return Err(reject);
            }
        }
        let _working = self.is_careful().then(|| self.working(Work::Decode(spot)));
        Ok(work())
    }

    /// Decodes records, in parallel, or one after the other on this thread while it is careful: whoever waits to be alone must
    /// not keep a thread of the pool from those who are together.
    pub fn each<R: Sync, T: Send>(&self, records: &[R], decode: impl Fn(&R) -> T + Sync) -> Vec<T> {
        if self.is_careful() {
            return records.iter().map(decode).collect();
        }
        let records = records.par_iter().with_min_len(RECORDS_MIN);
        records.map(&decode).collect()
    }

    /// Takes note that so many records are durable.
    pub fn passed(&self, records: usize) {
        if !self.is_careful() && !self.condemns.load(Ordering::Acquire) {
            return;
        }
        let mut notes = self.notes();
        let refused = core::mem::take(&mut notes.refused);
        // Whoever sends it again may have mended it, or this version has been.
        for spot in &refused {
            notes.doubt.pardon(spot);
        }
        let is_over = notes.doubt.passed(records);
        if is_over {
            tracing::info!("no record has killed the process again; back to full batches");
        }
        if is_over || !refused.is_empty() {
            self.keep(&notes.doubt);
        }
        self.copy(&notes.doubt);
    }

    /// Takes back that anything is worked on: what ends the process now is no record's doing.
    pub fn absolve(&self) {
        let mut notes = self.notes();
        notes.busy = 0;
        self.note(&mut notes, None);
    }

    fn rest(&self, work: &Work) {
        let mut notes = self.notes();
        if notes.doubt.survived(work) {
            self.keep(&notes.doubt);
        }
        notes.busy = notes.busy.saturating_sub(1);
        if notes.busy == 0 {
            self.note(&mut notes, None);
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn copy(&self, doubt: &Doubt) {
        self.step
            .store(doubt.step().unwrap_or(ANY), Ordering::Release);
        self.condemns.store(doubt.condemns(), Ordering::Release);
    }

    fn note(&self, notes: &mut Notes, work: Option<&Work>) {
        let Some(file) = &mut notes.file else {
            return;
        };
        let mut bytes = serde_json::to_vec(&work).unwrap_or_default();
        bytes.resize(bytes.len().max(NOTE_BYTES), b' ');
        if let Err(error) = file.rewind().and_then(|()| file.write_all(&bytes)) {
            self.complain(&error);
        }
    }

    fn keep(&self, doubt: &Doubt) {
        let Some(directory) = &self.directory else {
            return;
        };
        let bytes = serde_json::to_vec(doubt).unwrap_or_default();
        let (new, path) = (
            directory.join("doubt.json.new"),
            directory.join("doubt.json"),
        );
        let kept = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &path));
        if let Err(error) = kept {
            self.complain(&error);
        }
    }

    fn complain(&self, error: &io::Error) {
        if !self.is_mute.swap(true, Ordering::AcqRel) {
            let directory = self.directory.as_deref().unwrap_or(Path::new("")).display();
            tracing::warn!(%directory, %error, "what is worked on cannot be noted; a record that kills the process will not be found");
        }
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let read = std::fs::read(path);
    if let Err(error) = &read
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "notes of the last process cannot be read");
    }
    read.ok()
}

fn deadly(spot: &Spot) -> Reject {
    let Spot {
        source,
        file,
        offset,
    } = spot;
    let at = match offset {
        Some(offset) => format!("{file}, offset {offset}"),
        None => format!("pushed, SM3 {file}"),
    };
    let message = format!(
        "source {source:?}: the process has ended over this record alone, three times running ({at}); it is left out. The log of the process says of what; when that is mended, \"fenghuo dlq replay\" reads it again"
    );
    Reject::new(RejectCode::Deadly, message)
}

fn told(conclusion: &Conclusion, commit: u64) {
    match conclusion {
        Conclusion::Noted => {
            tracing::warn!(
                commit,
                "the process before this one ended while it was at work"
            );
        }
        Conclusion::Careful(step) => tracing::warn!(
            commit,
            step,
            "the process has ended at work at this place before; batches are small now, to find out whether a record does it"
        ),
        Conclusion::Suspected(spot, deaths) => tracing::warn!(
            source = spot.source,
            file = spot.file,
            offset = spot.offset,
            deaths,
            "the process has ended over this record; if it does every time, the record is left out"
        ),
        Conclusion::Condemned(spot) => tracing::error!(
            source = spot.source,
            file = spot.file,
            offset = spot.offset,
            "the process has ended over this record every time; it goes to the dead letters unread"
        ),
    }
}

#[cfg(test)]
mod tests;

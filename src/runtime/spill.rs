//! Where subjects at rest are while nothing happens to them: a file beside the state, so that they leave memory.
//!
//! ```text
//! shard: pack ─ put ─▶ drawer ─ positioned write ─▶ <state>/resting, which has no name     wake ◀─ positioned read ─ get
//! ```
//!
//! The file is a cache and nothing else: made anew by each start, without a name as soon as it is open, never synced, so that
//! nothing is left of it after an end of any kind. The system keeps in memory of it what is used and there is room for; that is
//! not the process's own, and can be had back at any time.
//!
//! A [`Drawer`] is the part of one shard: it takes pieces of the file for itself and needs no lock. A place holds up to so many units
//! of [`UNIT_BYTES`] as its class says (up to 16 units each number of them is one, then four to a doubling), and one that is free
//! is given to the next that is of its class. Whoever goes through all subjects has a drawer's pieces read in their order first, so
//! that a disk is not asked for every subject by itself.
//!
//! shape    a place: first unit (32 bits), length (24), turn (8); in the file: CRC-32C of the turn and the bytes (4), the bytes
//! bounds   never longer than, class by class, what was in it at the fullest moment, a seventh, and [`PIECE_UNITS`] a drawer; a
//!          place is at most 31 bytes or a quarter larger than it need be. [`LENGTH_MAX`] bytes a subject, more stays in memory;
//!          8 bytes of memory a free place
//! errors   a write that fails leaves the subject in memory, is counted, and logged the first time. A read that fails, or gives
//!          other bytes than were written, ends the run as [`SpillError`]: see [`guarded`]
//! cost     a system call a subject laid to rest, and one a subject woken, about 1 µs each while the system has it in memory

use crate::engine::cold::{Attic, Place};
use crate::engine::province::Province;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What places are multiples of.
const UNIT_BYTES: u64 = 32;
/// Units that a drawer takes at once: 256 KiB.
const PIECE_UNITS: u64 = 8_192;
/// Places of more units are taken by themselves, so that the rest of a piece that is too short for one is at most an eighth.
const ALONE_UNITS: u64 = PIECE_UNITS / 8;
/// The most bytes of a subject that is put away: what 24 bits can say.
const LENGTH_MAX: usize = (1 << 24) - 1;
/// The most units of a file: what 32 bits can say, 128 GiB.
const UNITS_MAX: u64 = 1 << 32;
/// Bytes of the checksum.
const SUM_BYTES: usize = 4;

/// Bytes of a subject that the file does not give back.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read {bytes} bytes at offset {offset} of \"{}\", where a subject at rest was put away (the file has no name any more); see to the disk, then start again: the state itself is not concerned", path.display()
)]
pub struct SpillError {
    /// What the file was called.
    pub path: PathBuf,
    /// Where they should be.
    pub offset: u64,
    /// How many.
    pub bytes: usize,
    /// What the system said.
    pub source: io::Error,
}

/// Does work that may look at subjects at rest. The core has no way to say that one is lost; a [`Drawer`] unwinds to here.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, SpillError> {
    // What the work has changed is let go of by whoever gets the error: nothing of it is committed.
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| match payload.downcast::<SpillError>() {
        Ok(error) => *error,
        Err(bug) => resume_unwind(bug),
    })
}

/// Where subjects at rest go.
#[derive(Debug, Clone, Default)]
pub struct Spill {
    directory: Option<PathBuf>,
}

impl Spill {
    /// They stay in memory.
    pub fn none() -> Self {
        Self::default()
    }

    /// They go into a file in a directory that belongs to this process alone.
    pub fn beside(directory: &Path) -> Self {
        Self {
            directory: Some(directory.to_owned()),
        }
    }

    /// Lends the shards their drawers. Where there can be no file that is logged, and subjects stay in memory.
    pub fn lend(&self, province: &mut Province) {
        let Some(directory) = &self.directory else {
            return;
        };
        let path = directory.join("resting");
        match open(&path) {
            Ok(file) => {
                let drawers = Drawers::new(file, path);
                province.set_attics(|| Box::new(drawers.drawer()));
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no file can be made for subjects at rest; they stay in memory");
            }
        }
    }
}

/// Opens the file anew and takes its name away.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    // What departments said of firms is for nobody else.
    let file = options.mode(0o600).open(path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

/// The file, of which each shard has a drawer.
#[derive(Debug)]
struct Drawers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: File,
    path: PathBuf,
    /// The first unit that is nobody's.
    end: AtomicU64,
    is_mute: AtomicBool,
}

impl Drawers {
    fn new(file: File, path: PathBuf) -> Self {
        Self(Arc::new(Shared {
            file,
            path,
            end: AtomicU64::new(0),
            is_mute: AtomicBool::new(false),
        }))
    }

    fn drawer(&self) -> Drawer {
        Drawer {
            shared: Arc::clone(&self.0),
            piece: (0, 0),
            pieces: Vec::new(),
            free: Vec::new(),
            turn: 0,
            buffer: Vec::new(),
        }
    }
}

/// The part of one shard. See the module.
#[derive(Debug)]
struct Drawer {
    shared: Arc<Shared>,
    /// What is left of the piece that was taken last: its first unit, and the one after its last.
    piece: (u64, u64),
    /// The first units of all pieces.
    pieces: Vec<u64>,
    /// The first units of free places, by class.
    free: Vec<Vec<u64>>,
    /// Counts what is written, so that what was in a place before is not taken for what should be there.
    turn: u8,
    buffer: Vec<u8>,
}

/// The class of a place for so many bytes, and how many units it has.
fn class_of(bytes: usize) -> (usize, u64) {
    let units = u64::try_from(bytes)
        .unwrap_or(u64::MAX)
        .div_ceil(UNIT_BYTES);
    let below = units.max(1) - 1;
    if below < 16 {
        return (usize::try_from(below).unwrap_or(0), below + 1);
    }
    // Four to a doubling: the three highest bits count.
    let shift = below.ilog2() - 2;
    let class = 16 + u64::from(shift - 2) * 4 + (below >> shift) - 4;
    let units = ((below >> shift) + 1) << shift;
    (usize::try_from(class).unwrap_or(usize::MAX), units)
}

/// What is known of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts {
    unit: u64,
    length: usize,
    turn: u8,
}

impl From<Place> for Parts {
    fn from(Place(said): Place) -> Self {
        let [turn, ..] = said.to_le_bytes();
        Self {
            unit: said >> 32,
            length: usize::try_from(said >> 8 & 0xff_ffff).unwrap_or(0),
            turn,
        }
    }
}

impl From<Parts> for Place {
    fn from(parts: Parts) -> Self {
        let length = u64::try_from(parts.length).unwrap_or(0);
        Self(parts.unit << 32 | length << 8 | u64::from(parts.turn))
    }
}

fn sum(turn: u8, bytes: &[u8]) -> [u8; SUM_BYTES] {
    crc32c::crc32c_append(crc32c::crc32c(&[turn]), bytes).to_le_bytes()
}

impl Drawer {
    /// A place of this class; none if the file is as long as can be.
    fn take(&mut self, (class, units): (usize, u64)) -> Option<u64> {
        if let Some(unit) = self.free.get_mut(class).and_then(Vec::pop) {
            return Some(unit);
        }
        let take = |count| {
            let unit = self.shared.end.fetch_add(count, Ordering::Relaxed);
            (unit.saturating_add(count) <= UNITS_MAX).then_some(unit)
        };
        if ALONE_UNITS < units {
            return take(units);
        }
        if self.piece.1.saturating_sub(self.piece.0) < units {
            let unit = take(PIECE_UNITS)?;
            self.piece = (unit, unit + PIECE_UNITS);
            self.pieces.push(unit);
        }
        let unit = self.piece.0;
        self.piece.0 += units;
        Some(unit)
    }

    fn give_back(&mut self, class: usize, unit: u64) {
        if self.free.len() <= class {
            self.free.resize(class + 1, Vec::new());
        }
        if let Some(free) = self.free.get_mut(class) {
            free.push(unit);
        }
    }

    fn read(&self, parts: Parts) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; SUM_BYTES + parts.length];
        let offset = parts.unit * UNIT_BYTES;
        self.shared.file.read_exact_at(&mut bytes, offset)?;
        let (said, bytes) = bytes.split_at(SUM_BYTES);
        if said != sum(parts.turn, bytes) {
            let what = "the bytes there are not those that were written";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(bytes.to_vec())
    }
}

impl Attic for Drawer {
    fn put(&mut self, bytes: &[u8]) -> Option<Place> {
        if LENGTH_MAX < bytes.len() {
            return None;
        }
        let class = class_of(SUM_BYTES + bytes.len());
        let unit = self.take(class)?;
        self.turn = self.turn.wrapping_add(1);
        self.buffer.clear();
        self.buffer.extend_from_slice(&sum(self.turn, bytes));
        self.buffer.extend_from_slice(bytes);
        let Shared {
            file,
            path,
            is_mute,
            ..
        } = self.shared.as_ref();
        if let Err(error) = file.write_all_at(&self.buffer, unit * UNIT_BYTES) {
            if !is_mute.swap(true, Ordering::AcqRel) {
                tracing::warn!(path = %path.display(), %error, "a subject at rest cannot be put away and stays in memory, as will others; is the disk full?");
            }
            self.give_back(class.0, unit);
            return None;
        }
        Some(Place::from(Parts {
            unit,
            length: bytes.len(),
            turn: self.turn,
        }))
    }

    fn get(&self, place: Place) -> Vec<u8> {
        let parts = Parts::from(place);
        self.read(parts).unwrap_or_else(|source| {
            let error = SpillError {
                path: self.shared.path.clone(),
                offset: parts.unit * UNIT_BYTES,
                bytes: SUM_BYTES + parts.length,
                source,
            };
            tracing::error!(error = %error, because = %error.source, "a subject at rest is lost; the run ends");
            resume_unwind(Box::new(error))
        })
    }

    fn free(&mut self, place: Place) {
        let parts = Parts::from(place);
        let (class, _) = class_of(SUM_BYTES + parts.length);
        self.give_back(class, parts.unit);
    }

    /// Reads the pieces one after the other, so that the system has them in memory: one shard's share of the file, not all of it.
    fn foresee(&self) {
        let mut piece = vec![0; usize::try_from(PIECE_UNITS * UNIT_BYTES).unwrap_or(0)];
        for unit in &self.pieces {
            // The last is not full. Whatever is wrong is met again by who wants something.
            let _ = self.shared.file.read_at(&mut piece, unit * UNIT_BYTES);
        }
    }
}

#[cfg(test)]
mod tests;

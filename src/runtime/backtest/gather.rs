//! Events by subject: every event packed into the buckets of the individuals that keep it, and which version of a record holds.

use super::BacktestError;
use crate::engine::event::{Rank, RecordKey, SubjectKey, SubjectKind};
use crate::engine::hash::{FixedState, murmur2};
use crate::engine::record::Prepared;
use crate::engine::time::EventTime;
use crate::runtime::archive::columns::Row;
use crate::runtime::archive::parcel::{self, Parcel};
use crate::runtime::archive::slip::{Slip, Wanted};
use crate::runtime::archive::{self, Damage, Part};
use hashbrown::HashMap;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Into how many buckets subjects are spread; fixed, because partial results are kept by bucket. With so many, the events of
/// one bucket stay near the processor while its subjects are judged: ten million events make 9 MB a bucket.
pub const BUCKETS: u32 = 512;

/// Packed events stand in pieces of this many bytes, so that none is ever moved to make room.
const PIECE_BYTES: usize = 32 * 1024;
/// A piece with less room than this is full.
const ROOM_BYTES: usize = 2 * 1024;

/// The facts of a subject that hold, in the order of arrival.
pub type Kept = Vec<(u64, Prepared)>;

/// Looks at every event on its way, those after the end of the period too.
pub type Each<'a> = dyn Fn(&Slip<'_>) + Sync + 'a;

/// What of the events is taken.
#[derive(Clone, Copy)]
pub struct Taking<'a> {
    /// What is read.
    pub wanted: &'a Wanted,
    /// Those that came or happened after it are not yet known.
    pub until: EventTime,
    /// Who looks at them besides.
    pub each: &'a Each<'a>,
}

impl std::fmt::Debug for Taking<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taking")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// How many events there are.
#[derive(Debug, Clone, Copy)]
pub struct Tally {
    /// Events taken.
    pub events: u64,
    /// Events that came more than a day after they had happened.
    pub late: u64,
    /// The latest arrival.
    pub newest: EventTime,
    /// The first arrival.
    pub oldest: EventTime,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            events: 0,
            late: 0,
            newest: EventTime(i64::MIN),
            oldest: EventTime(i64::MAX),
        }
    }
}

impl Tally {
    fn note(&mut self, slip: &Slip<'_>) {
        self.events += 1;
        self.newest = self.newest.max(slip.arrived_at);
        self.oldest = self.oldest.min(slip.arrived_at);
        self.late += u64::from(slip.occurred_at.plus_days(1) < slip.arrived_at);
    }

    fn absorb(&mut self, other: &Self) {
        self.events += other.events;
        self.late += other.late;
        self.newest = self.newest.max(other.newest);
        self.oldest = self.oldest.min(other.oldest);
    }
}

/// Versions of records, by the first byte of their keys.
type Versions = Vec<(RecordKey, Rank)>;

/// Events, packed.
#[derive(Debug)]
pub struct Gathered {
    /// While events are taken.
    buckets: Vec<Mutex<Vec<Vec<u8>>>>,
    /// The same afterwards: the pieces of each bucket.
    pieces: Vec<Vec<Vec<u8>>>,
    versions: Vec<Mutex<Versions>>,
    /// Of records that came more than once: the version that holds.
    winners: Vec<HashMap<RecordKey, Rank, FixedState>>,
    tally: Mutex<Tally>,
    damage: Mutex<Vec<Damage>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place_of(key: RecordKey) -> usize {
    let [first, second, ..] = key.0;
    usize::from(u16::from_le_bytes([first, second])) % usize::try_from(BUCKETS).unwrap_or(1)
}

/// The packed events of one bucket.
#[derive(Default)]
struct Bag {
    full: Vec<Vec<u8>>,
    open: Vec<u8>,
}

impl Bag {
    /// Where the next event goes.
    fn room(&mut self) -> &mut Vec<u8> {
        if self.open.capacity() < self.open.len() + ROOM_BYTES {
            let full = core::mem::replace(&mut self.open, Vec::with_capacity(PIECE_BYTES));
            if !full.is_empty() {
                self.full.push(full);
            }
        }
        &mut self.open
    }

    fn pieces(self) -> impl Iterator<Item = Vec<u8>> {
        let all = self.full.into_iter().chain([self.open]);
        all.filter(|piece| !piece.is_empty())
    }
}

/// The events that one thread took, packed.
struct Sheaf<'a> {
    taking: Taking<'a>,
    tally: Tally,
    packed: Vec<Bag>,
    versions: Vec<Versions>,
    name: String,
}

impl<'a> Sheaf<'a> {
    fn new(taking: Taking<'a>) -> Self {
        Self {
            taking,
            tally: Tally::default(),
            packed: (0..BUCKETS).map(|_| Bag::default()).collect(),
            versions: (0..BUCKETS).map(|_| Versions::new()).collect(),
            name: String::new(),
        }
    }

    fn take(&mut self, slip: &Slip<'_>) {
        (self.taking.each)(slip);
        if self.taking.until < slip.arrived_at || self.taking.until < slip.occurred_at {
            return;
        }
        self.tally.note(slip);
        if let Some(versions) = self.versions.get_mut(place_of(slip.key)) {
            versions.push((slip.key, slip.rank));
        }
        if !slip.is_live() {
            return;
        }
        for (place, subject) in slip.subjects.iter().enumerate() {
            let before = slip.subjects.iter().take(place);
            if subject.0.is_collective() || before.into_iter().any(|s| s == subject) {
                continue;
            }
            self.name.clear();
            for part in [subject.0.name(), ":", subject.1] {
                self.name.push_str(part);
            }
            // As `SubjectKey::shard` has it.
            let bucket = (murmur2(self.name.as_bytes()) & 0x7fff_ffff) % BUCKETS;
            let packed = self.packed.get_mut(usize::try_from(bucket).unwrap_or(0));
            if let Some(bag) = packed {
                parcel::pack(slip, *subject, bag.room());
            }
        }
    }
}

impl Default for Gathered {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| Mutex::default()).collect(),
            versions: (0..BUCKETS).map(|_| Mutex::default()).collect(),
            pieces: Vec::new(),
            winners: Vec::new(),
            tally: Mutex::default(),
            damage: Mutex::default(),
        }
    }
}

impl Gathered {
    /// Takes the files of an archive, on all processors.
    pub fn take_parts(
        &self,
        parts: &[Part],
        taking: Taking<'_>,
        stop: &AtomicBool,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<(), BacktestError> {
        let next = AtomicUsize::new(0);
        let taken = rayon::broadcast(|_| {
            let mut sheaf = Sheaf::new(taking);
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                if stop.load(Ordering::Acquire) {
                    return Err(BacktestError::Interrupted);
                }
                let mut events = 0;
                let damage = archive::scan(part, taking.wanted, &mut |slip| {
                    events += 1;
                    sheaf.take(slip);
                });
                lock(&self.damage).extend(damage);
                told(events);
            }
            self.put(sheaf);
            Ok(())
        });
        taken.into_iter().collect()
    }

    /// Takes rows.
    pub fn take_rows(&self, rows: &[Row], taking: Taking<'_>) {
        let mut sheaf = Sheaf::new(taking);
        for (seq, event) in rows {
            sheaf.take(&Slip::of(*seq, event, taking.wanted));
        }
        self.put(sheaf);
    }

    fn put(&self, sheaf: Sheaf<'_>) {
        lock(&self.tally).absorb(&sheaf.tally);
        for (to, packed) in self.buckets.iter().zip(sheaf.packed) {
            lock(to).extend(packed.pieces());
        }
        for (to, mut versions) in self.versions.iter().zip(sheaf.versions) {
            lock(to).append(&mut versions);
        }
    }

    /// Decides which versions hold, when all is taken.
    pub fn settle(&mut self) {
        let taken = core::mem::take(&mut self.versions);
        self.winners = taken
            .into_par_iter()
            .map(|versions| {
                let mut versions = versions
                    .into_inner()
                    .unwrap_or_else(PoisonError::into_inner);
                versions.sort_unstable();
                let again = versions.chunk_by(|a, b| a.0 == b.0);
                again
                    .filter(|of_one| 1 < of_one.len())
                    .filter_map(<[_]>::last)
                    .copied()
                    .collect()
            })
            .collect();
        let buckets = core::mem::take(&mut self.buckets).into_iter();
        self.pieces = buckets
            .map(|pieces| pieces.into_inner().unwrap_or_else(PoisonError::into_inner))
            .collect();
        // Files are read in any order.
        lock(&self.damage).sort_by_key(|damage| damage.inputs);
    }

    /// The version of a record that holds, if it came more than once.
    fn winner(&self, key: RecordKey) -> Option<Rank> {
        self.winners.get(place_of(key))?.get(&key).copied()
    }

    /// How many events there are.
    pub fn tally(&self) -> Tally {
        *lock(&self.tally)
    }

    /// Files that could not be read whole.
    pub fn damage(&self) -> Vec<Damage> {
        lock(&self.damage).clone()
    }

    /// The subjects of a bucket in the order of their keys, each with its facts when its turn comes.
    pub fn subjects(
        &self,
        bucket: usize,
    ) -> impl Iterator<Item = (Arc<SubjectKey>, Kept)> + use<'_> {
        let mut places: HashMap<(SubjectKind, &str), usize, FixedState> = HashMap::default();
        let mut subjects: Vec<Parcels<'_>> = Vec::new();
        for piece in self.pieces.get(bucket).into_iter().flatten() {
            let mut rest = &piece[..];
            while let Some((parcel, after)) = Parcel::next(rest) {
                rest = after;
                let winner = self.winner(parcel.key);
                if winner.is_some_and(|winner| winner != parcel.rank) {
                    continue;
                }
                let whose = (parcel.kind, parcel.name);
                let at = *places.entry(whose).or_insert_with(|| {
                    subjects.push(Parcels::default());
                    subjects.len() - 1
                });
                if let Some(own) = subjects.get_mut(at) {
                    own.all.push(parcel);
                    own.again |= winner.is_some();
                }
            }
        }
        let mut ordered: Vec<((SubjectKind, &str), usize)> = places.into_iter().collect();
        ordered.sort_unstable();
        ordered.into_iter().map(move |((kind, name), at)| {
            let own = subjects.get_mut(at).map(core::mem::take);
            let kept = own.map_or_else(Kept::new, Parcels::open);
            (Arc::new(SubjectKey::new(kind, name)), kept)
        })
    }

    /// How many bytes all buckets have.
    pub fn bytes(&self) -> u64 {
        let all = (0..self.pieces.len()).map(|bucket| self.weight(bucket));
        u64::try_from(all.sum::<usize>()).unwrap_or(0)
    }

    /// How many bytes a bucket has: its share of the work.
    pub fn weight(&self, bucket: usize) -> usize {
        let pieces = self.pieces.get(bucket);
        pieces.map_or(0, |pieces| pieces.iter().map(Vec::len).sum())
    }
}

/// The parcels of one subject.
#[derive(Default)]
struct Parcels<'a> {
    all: Vec<Parcel<'a>>,
    /// Whether a record may be among them more than once.
    again: bool,
}

impl Parcels<'_> {
    fn open(mut self) -> Kept {
        self.all.sort_unstable_by_key(|p| (p.arrived_at, p.seq));
        if self.again {
            // The same version, sent again.
            let mut seen = BTreeSet::new();
            self.all.retain(|parcel| seen.insert(parcel.key));
        }
        let events = self.all.iter().filter_map(|parcel| {
            let one = Prepared {
                key: parcel.key,
                rank: parcel.rank,
                event: Arc::new(parcel.event()?),
            };
            Some((parcel.seq, one))
        });
        events.collect()
    }
}

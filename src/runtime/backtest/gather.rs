//! Events by subject: every event packed into the buckets of the individuals that keep it, and which version of a record holds.

use super::BacktestError;
use crate::engine::event::{Event, Rank, RecordKey, SubjectKey};
use crate::engine::hash::FixedState;
use crate::engine::record::Prepared;
use crate::engine::time::EventTime;
use crate::runtime::archive::columns::Row;
use crate::runtime::archive::{self, Damage, Part};
use hashbrown::HashMap;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Into how many buckets subjects are spread; fixed, because partial results are kept by bucket.
pub const BUCKETS: u32 = 64;

/// The facts of a subject that hold, in the order of arrival.
pub type Kept = Vec<(u64, Prepared)>;

/// Events, packed.
#[derive(Debug, Default)]
pub struct Gathered {
    buckets: Vec<Mutex<Vec<u8>>>,
    winners: Vec<Mutex<HashMap<RecordKey, Rank, FixedState>>>,
    /// Events taken.
    pub events: AtomicU64,
    /// Events that came more than a day after they had happened.
    pub late: AtomicU64,
    /// Files that could not be read whole.
    pub damage: Mutex<Vec<Damage>>,
    /// The latest arrival.
    newest: std::sync::atomic::AtomicI64,
    oldest: std::sync::atomic::AtomicI64,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Entry {
    place: u8,
    seq: u64,
    rank: Rank,
    event: Arc<Event>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gathered {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| Mutex::default()).collect(),
            winners: (0..BUCKETS).map(|_| Mutex::default()).collect(),
            newest: std::sync::atomic::AtomicI64::new(i64::MIN),
            oldest: std::sync::atomic::AtomicI64::new(i64::MAX),
            ..Self::default()
        }
    }

    /// Takes the files of an archive, on all processors.
    pub fn take_parts(
        &self,
        parts: &[Part],
        (until, stop): (EventTime, &AtomicBool),
        each: &(dyn Fn(&[Row]) + Sync),
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<(), BacktestError> {
        parts.par_iter().try_for_each(|part| {
            if stop.load(Ordering::Acquire) {
                return Err(BacktestError::Interrupted);
            }
            let (rows, damage) = archive::read(part);
            lock(&self.damage).extend(damage);
            each(&rows);
            self.take_rows(&rows, until);
            told(u64::try_from(rows.len()).unwrap_or(0));
            Ok(())
        })
    }

    /// Takes rows; those that came or happened after `until` are not yet known.
    pub fn take_rows(&self, rows: &[Row], until: EventTime) {
        let mut packed: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for (seq, event) in rows {
            if until < event.arrived_at || until < event.occurred_at {
                continue;
            }
            self.events.fetch_add(1, Ordering::Relaxed);
            self.newest.fetch_max(event.arrived_at.0, Ordering::Relaxed);
            self.oldest.fetch_min(event.arrived_at.0, Ordering::Relaxed);
            if event.occurred_at.plus_days(1) < event.arrived_at {
                self.late.fetch_add(1, Ordering::Relaxed);
            }
            let (key, rank) = (event.record_key(), event.rank());
            self.note(key, rank);
            if !event.is_live() {
                continue;
            }
            for (place, subject) in (0_u8..).zip(&event.subjects) {
                let again = event
                    .subjects
                    .iter()
                    .take(usize::from(place))
                    .any(|s| s == subject);
                if subject.kind.is_collective() || again {
                    continue;
                }
                let entry = Entry {
                    place,
                    seq: *seq,
                    rank,
                    event: Arc::clone(event),
                };
                let bytes = packed.entry(subject.shard(BUCKETS)).or_default();
                if let Ok(more) = postcard::to_extend(&entry, core::mem::take(bytes)) {
                    *bytes = more;
                }
            }
        }
        for (bucket, bytes) in packed {
            if let Some(to) = self.buckets.get(usize::try_from(bucket).unwrap_or(0)) {
                lock(to).extend(bytes);
            }
        }
    }

    fn note(&self, key: RecordKey, rank: Rank) {
        let place = usize::from(key.0[0]) % self.winners.len().max(1);
        if let Some(winners) = self.winners.get(place) {
            let mut winners = lock(winners);
            let best = winners.entry(key).or_insert(rank);
            *best = (*best).max(rank);
        }
    }

    fn holds(&self, key: RecordKey, rank: Rank) -> bool {
        let place = usize::from(key.0[0]) % self.winners.len().max(1);
        let winners = self.winners.get(place);
        winners.is_some_and(|winners| lock(winners).get(&key) == Some(&rank))
    }

    /// The latest arrival.
    pub fn newest(&self) -> EventTime {
        EventTime(self.newest.load(Ordering::Relaxed))
    }

    /// The first arrival.
    pub fn oldest(&self) -> EventTime {
        EventTime(self.oldest.load(Ordering::Relaxed))
    }

    /// The subjects of a bucket with their facts, in the order of their keys.
    pub fn subjects(&self, bucket: usize) -> BTreeMap<Arc<SubjectKey>, Kept> {
        let Some(bytes) = self.buckets.get(bucket) else {
            return BTreeMap::new();
        };
        let bytes = lock(bytes);
        let mut rest = bytes.as_slice();
        let mut subjects: HashMap<SubjectKey, Kept, FixedState> = HashMap::default();
        while let Ok((entry, after)) = postcard::take_from_bytes::<Entry>(rest) {
            rest = after;
            let key = entry.event.record_key();
            if !self.holds(key, entry.rank) {
                continue;
            }
            let Some(subject) = entry.event.subjects.get(usize::from(entry.place)) else {
                continue;
            };
            let one = Prepared {
                key,
                rank: entry.rank,
                event: Arc::clone(&entry.event),
            };
            if let Some(kept) = subjects.get_mut(subject) {
                kept.push((entry.seq, one));
            } else {
                subjects.insert(subject.clone(), vec![(entry.seq, one)]);
            }
        }
        let ordered = subjects.into_iter().map(|(key, mut kept)| {
            kept.sort_by_key(|(seq, one)| (one.event.arrived_at, *seq));
            // The same version, sent again.
            let mut seen = std::collections::BTreeSet::new();
            kept.retain(|(_, one)| seen.insert(one.key));
            (Arc::new(key), kept)
        });
        ordered.collect()
    }

    /// How many bytes all buckets have.
    pub fn bytes(&self) -> u64 {
        let all = (0..self.buckets.len()).map(|bucket| self.weight(bucket));
        u64::try_from(all.sum::<usize>()).unwrap_or(0)
    }

    /// How many bytes a bucket has: its share of the work.
    pub fn weight(&self, bucket: usize) -> usize {
        self.buckets
            .get(bucket)
            .map_or(0, |bytes| lock(bytes).len())
    }
}

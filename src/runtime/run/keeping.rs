//! The keeper's thread: parcels are committed one after the other, sinks are served meanwhile and waited for at the end.
//!
//! errors   the first fault is left on the [`Desk`]; the loop finds the channel closed

use super::{Durable, IDLE_MS, Watch};
use crate::engine::event::SubjectKind;
use crate::runtime::clock::Stopwatch;
use crate::runtime::keeper::{Commit, KeepError, Keeper};
use crate::runtime::pipeline::Receipt;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A batch on its way to the keeper.
pub(super) struct Parcel {
    pub(super) commit: Commit,
    pub(super) is_rules: bool,
    pub(super) subjects: BTreeMap<SubjectKind, i64>,
    pub(super) records: usize,
    pub(super) receipts: BTreeMap<u64, Receipt>,
    pub(super) watch: Stopwatch,
    /// Is told that it is durable; who waits hears of a failure by its end.
    pub(super) told: Option<SyncSender<()>>,
}

impl Parcel {
    /// A commit without records.
    pub(super) fn of(commit: Commit) -> Self {
        Self {
            commit,
            is_rules: false,
            subjects: BTreeMap::new(),
            records: 0,
            receipts: BTreeMap::new(),
            watch: Stopwatch::start(),
            told: None,
        }
    }
}

/// What the keeper tells the loop.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) imaging: AtomicBool,
    pub(super) journal_bytes: AtomicU64,
    pub(super) failed: Mutex<Option<KeepError>>,
}

impl Desk {
    pub(super) fn note(&self, keeper: &Keeper) {
        self.imaging.store(keeper.is_imaging(), Ordering::Release);
        self.journal_bytes
            .store(keeper.head().journal_bytes, Ordering::Release);
    }
}

/// Takes parcels until there are no more; the keeper, and what sinks have not taken.
pub(super) fn keep(
    mut keeper: Keeper,
    parcels: &Receiver<Parcel>,
    desk: &Desk,
    (watch, end): (&dyn Watch, (&AtomicBool, u64)),
) -> Option<(Keeper, Vec<(String, usize)>)> {
    let fail = |error: KeepError| {
        *desk.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    };
    loop {
        let kept = match parcels.recv_timeout(Duration::from_millis(IDLE_MS)) {
            Ok(parcel) => {
                let commit_watch = Stopwatch::start();
                keeper.commit(parcel.commit).map(|()| {
                    if let Some(told) = parcel.told {
                        // Whoever waits may be gone.
                        let _ = told.send(());
                    }
                    watch.durable(&Durable {
                        records: parcel.records,
                        latency_us: parcel.watch.elapsed_us(),
                        commit_us: commit_watch.elapsed_us(),
                        receipts: parcel.receipts,
                        journal_bytes: keeper.head().journal_bytes,
                        state_bytes: keeper.store().size_bytes(),
                        is_rules: parcel.is_rules,
                        subjects: parcel.subjects,
                    });
                })
            }
            Err(RecvTimeoutError::Timeout) => keeper.idle(),
            Err(RecvTimeoutError::Disconnected) => {
                let finished = finish(&mut keeper, end);
                watch.delivered(&keeper.deliveries());
                return match finished {
                    Ok(waiting) => Some((keeper, waiting)),
                    Err(error) => {
                        fail(error);
                        None
                    }
                };
            }
        };
        desk.note(&keeper);
        watch.delivered(&keeper.deliveries());
        if let Err(error) = kept {
            fail(error);
            return None;
        }
    }
}

/// Waits for sinks that have not taken everything, and says what is left.
pub(in crate::runtime) fn finish(
    keeper: &mut Keeper,
    (stop, last_deliveries_ms): (&AtomicBool, u64),
) -> Result<Vec<(String, usize)>, KeepError> {
    let watch = Stopwatch::start();
    let waiting = keeper.finish(|wait_ms| {
        let is_told = stop.load(Ordering::Acquire);
        let patience_ms = last_deliveries_ms / if is_told { 10 } else { 1 };
        if patience_ms * 1_000 <= watch.elapsed_us() {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(wait_ms.clamp(1, IDLE_MS)));
        true
    })?;
    for (sink, count) in &waiting {
        tracing::warn!(%sink, count, waited_ms = watch.elapsed_us() / 1_000, "the run ends before the sink has taken everything; the rest is in the state and leaves at the next start");
    }
    Ok(waiting)
}

//! The thread that sends: rounds of lanes that may, several at a time, written down in one commit a round.
//!
//! The keeper hands outputs over through [`ExchangeSink`]: when it has returned they are in the desk's store, so the
//! engine's outbox may forget them. A kill between the two commits brings them again, and the desk knows their numbers.
//!
//! threads  one that decides and writes, up to `parallel` that talk while a round lasts; stopping ends after the round
//! bounds   [`ROUND_MAX`] lanes a round
//! errors   a fault of the desk's store ends the process at the next hand-over; the far end's faults never do

use super::desk::{Desk, Fresh, Standing};
use super::lane::Breaker;
use super::{Adapter, ExchangeError, Outcome, Parcel, shape};
use crate::runtime::clock::Clock;
use crate::runtime::logging::chain;
use crate::runtime::metrics::ExchangeMetrics;
use crate::runtime::sink::{Delivered, OutboxEntry, OutputKind, Sink, SinkError, SinkPosition};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Lanes in one round.
pub const ROUND_MAX: usize = 128;
/// How long the thread waits when nothing says when to go on, ms.
const IDLE_MS: u64 = 1_000;
/// Ages of the oldest parcel at which somebody is told, ms.
const AGES_MS: [i64; 3] = [300_000, 900_000, 3_600_000];

struct Inner {
    desk: Desk,
    breaker: Breaker,
    is_stopping: bool,
    fault: Option<String>,
    told_age: usize,
}

/// The exchange of a run; clones are the same one.
#[derive(Clone)]
pub struct Exchange {
    shared: Arc<Shared>,
}

struct Shared {
    inner: Mutex<Inner>,
    wake: Condvar,
    adapter: Box<dyn Adapter>,
    clock: Clock,
    parallel: usize,
    province: String,
    /// A directory in which `fenghuo exchange` leaves what a person has decided, and reads how things stand.
    directory: PathBuf,
    metrics: OnceLock<ExchangeMetrics>,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("adapter", &self.shared.adapter.name())
            .finish_non_exhaustive()
    }
}

/// What an exchange is made of.
pub struct Equipment {
    /// What it remembers.
    pub desk: Desk,
    /// The way to the far end.
    pub adapter: Box<dyn Adapter>,
    /// The world's time.
    pub clock: Clock,
    /// Requests at the same time.
    pub parallel: usize,
    /// `320000`.
    pub province: String,
    /// Where people leave decisions and look.
    pub directory: PathBuf,
}

impl std::fmt::Debug for Equipment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Equipment")
            .field("adapter", &self.adapter.name())
            .finish_non_exhaustive()
    }
}

impl Exchange {
    /// An exchange that sends only when [`Exchange::round`] or [`Exchange::start`] is called.
    pub fn new(equipment: Equipment) -> Self {
        let inner = Inner {
            desk: equipment.desk,
            breaker: Breaker::default(),
            is_stopping: false,
            fault: None,
            told_age: 0,
        };
        let shared = Shared {
            inner: Mutex::new(inner),
            wake: Condvar::new(),
            adapter: equipment.adapter,
            clock: equipment.clock,
            parallel: equipment.parallel.max(1),
            province: equipment.province,
            directory: equipment.directory,
            metrics: OnceLock::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Counts from now on with these.
    pub fn count_with(&self, metrics: ExchangeMetrics) {
        // Only the first ones count; a run has one set.
        let _ = self.shared.metrics.set(metrics);
    }

    /// A sink for the keeper, and a thread that sends until the sink is dropped.
    pub fn start(&self) -> ExchangeSink {
        let exchange = self.clone();
        let thread = std::thread::spawn(move || exchange.turn());
        ExchangeSink {
            exchange: self.clone(),
            thread: Some(thread),
        }
    }

    /// A sink without a thread.
    pub fn sink(&self) -> ExchangeSink {
        ExchangeSink {
            exchange: self.clone(),
            thread: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        self.lock().desk.standing()
    }

    /// Looks into the desk.
    pub fn with_desk<T>(&self, look: impl FnOnce(&mut Desk) -> T) -> T {
        look(&mut self.lock().desk)
    }

    /// The way to the far end.
    pub fn adapter(&self) -> &dyn Adapter {
        self.shared.adapter.as_ref()
    }

    /// Sends what may be sent now and writes down what came of it. How many were tried, and when to come again.
    pub fn round(&self) -> Result<(usize, Option<i64>), ExchangeError> {
        let now = self.shared.clock.now().0;
        let (parcels, attempts, wake) = {
            let inner = self.lock();
            let allowed = inner.breaker.allows(ROUND_MAX, now);
            if allowed == 0 {
                return Ok((0, inner.breaker.open_until()));
            }
            let (parcels, wake) = inner.desk.ready(allowed, now)?;
            let attempts: Vec<u32> = parcels
                .iter()
                .map(|p| inner.desk.attempts(&p.subject))
                .collect();
            (parcels, attempts, wake)
        };
        if parcels.is_empty() {
            return Ok((0, wake));
        }
        let outcomes = self.talk(&parcels, &attempts);
        let tried: Vec<(Parcel, Outcome)> = parcels.into_iter().zip(outcomes).collect();
        let now = self.shared.clock.now().0;
        let mut inner = self.lock();
        for (parcel, outcome) in &tried {
            self.tell(parcel, outcome);
            if inner.breaker.note(outcome, now) {
                tracing::error!(
                    reason = outcome.reason(),
                    "the national exchange does not answer as it should; everything waits and is tried again by itself"
                );
            }
        }
        inner.desk.settle(&tried, now)?;
        Ok((tried.len(), Some(now)))
    }

    fn talk(&self, parcels: &[Parcel], attempts: &[u32]) -> Vec<Outcome> {
        let next = AtomicUsize::new(0);
        let slots: Vec<Mutex<Option<Outcome>>> = parcels.iter().map(|_| Mutex::default()).collect();
        std::thread::scope(|scope| {
            for _ in 0..self.shared.parallel.min(parcels.len()) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let (Some(parcel), Some(slot)) = (parcels.get(at), slots.get(at)) else {
                            return;
                        };
                        let before = attempts.get(at).copied().unwrap_or(0);
                        let outcome = self.shared.adapter.send(parcel, before);
                        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                    }
                });
            }
        });
        let unsaid = || Outcome::Unsure {
            reason: "nothing was tried".to_owned(),
            after_ms: None,
        };
        let taken = slots
            .into_iter()
            .map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
        taken
            .map(|outcome| outcome.unwrap_or_else(unsaid))
            .collect()
    }

    fn tell(&self, parcel: &Parcel, outcome: &Outcome) {
        if let Some(metrics) = self.shared.metrics.get() {
            metrics.attempt(outcome);
        }
        let (id, subject) = (parcel.id.as_str(), parcel.subject.as_str());
        match outcome {
            Outcome::Accepted(_) => tracing::debug!(id, "the far end has signed for it"),
            Outcome::Unsure { reason, .. } => {
                tracing::debug!(id, reason, "not now; it is tried again");
            }
            Outcome::Refused(reason) => tracing::error!(
                id,
                subject,
                reason,
                "the far end refuses this; its subject waits, others go on: mend it, then `fenghuo exchange retry <subject>`"
            ),
            Outcome::Denied(reason) => tracing::warn!(
                id,
                reason,
                "the far end does not know us: secret, clock or address"
            ),
            Outcome::Untrusted(reason) => tracing::error!(
                reason,
                "TLS with the far end fails, nothing is sent: look at the certificates of both sides"
            ),
        }
    }

    fn turn(&self) {
        loop {
            let round = self.decisions().and_then(|()| self.round());
            let wake = match round {
                Ok((_, wake)) => wake,
                Err(error) => {
                    let why = chain(&error);
                    tracing::error!(
                        why,
                        "the exchange's store fails; the process ends at the next commit"
                    );
                    self.lock().fault = Some(why);
                    return;
                }
            };
            self.gauge();
            let now = self.shared.clock.now().0;
            let wait = wake.map_or(IDLE_MS, |at| {
                u64::try_from(at.saturating_sub(now))
                    .unwrap_or(0)
                    .min(IDLE_MS)
            });
            let inner = self.lock();
            if inner.is_stopping {
                return;
            }
            if 0 < wait {
                drop(
                    self.shared
                        .wake
                        .wait_timeout(inner, Duration::from_millis(wait)),
                );
            }
        }
    }

    /// Says how things stand, to metrics, to people who look, and aloud when something waits too long.
    fn gauge(&self) {
        let now = self.shared.clock.now().0;
        let (standing, age, is_worse) = {
            let mut inner = self.lock();
            let standing = inner.desk.standing();
            let age = standing
                .oldest_ms
                .map_or(0, |since| now.saturating_sub(since));
            let told = AGES_MS.iter().filter(|limit| **limit < age).count();
            let is_worse = inner.told_age < told;
            inner.told_age = told;
            (standing, age, is_worse)
        };
        if is_worse {
            tracing::warn!(
                minutes = age / 60_000,
                waiting = standing.waiting,
                parked = standing.parked.len(),
                "the oldest message to the national exchange waits too long"
            );
        }
        if let Some(metrics) = self.shared.metrics.get() {
            metrics.standing(&standing, age);
        }
        let path = self.shared.directory.join("status.json");
        let text = serde_json::to_vec(&standing).unwrap_or_default();
        let part = path.with_extension("part");
        let written = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &path));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "cannot write how the exchange stands");
        }
    }

    /// Carries out what people have left in the directory.
    fn decisions(&self) -> Result<(), ExchangeError> {
        for order in super::orders::take(&self.shared.directory) {
            let found = self
                .lock()
                .desk
                .set_parked(&order.subject, order.park.as_deref())?;
            tracing::info!(
                subject = order.subject,
                park = order.park,
                found,
                "a person has decided on a lane"
            );
        }
        Ok(())
    }
}

/// Takes outputs over from the keeper.
#[derive(Debug)]
pub struct ExchangeSink {
    exchange: Exchange,
    thread: Option<JoinHandle<()>>,
}

impl Sink for ExchangeSink {
    fn name(&self) -> &'static str {
        "exchange"
    }

    fn resume(&mut self, _position: &SinkPosition) -> Result<(), SinkError> {
        Ok(())
    }

    fn deliver(&mut self, entries: &[OutboxEntry]) -> Result<Delivered, SinkError> {
        let shared = &self.exchange.shared;
        let now = shared.clock.now().0;
        let mut inner = self.exchange.lock();
        if let Some(what) = &inner.fault {
            return Err(SinkError::Exchange { what: what.clone() });
        }
        let fresh: Vec<Fresh<'_>> = entries
            .iter()
            .filter(|entry| entry.kind == OutputKind::Warning)
            .map(|entry| Fresh {
                seq: entry.seq,
                id: &entry.id,
                subject: &entry.subject,
                line: &entry.line,
            })
            .collect();
        let until = entries.last().map_or(0, |entry| entry.seq + 1);
        let province = shared.province.as_str();
        let bad = inner
            .desk
            .take(&fresh, until, now, &|line, lane_no| {
                shape::risk_warning(line, lane_no, province)
            })
            .map_err(|error| SinkError::Exchange {
                what: chain(&error),
            })?;
        drop(inner);
        for (id, why) in bad {
            tracing::error!(
                id,
                why,
                "a warning cannot be put into the national form and is NOT sent; this is a bug, please report it"
            );
        }
        shared.wake.notify_all();
        Ok(Delivered {
            count: entries.len(),
            ..Delivered::default()
        })
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn position(&self) -> SinkPosition {
        SinkPosition::default()
    }
}

impl Drop for ExchangeSink {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.exchange.lock().is_stopping = true;
            self.exchange.shared.wake.notify_all();
            // A thread that panicked has said why.
            let _ = thread.join();
        }
    }
}

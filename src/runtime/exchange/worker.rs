//! The threads that send: lanes that may, several at a time; what came of them is written down together.
//!
//! threads  one that decides and writes, `parallel` that talk. One that waits for a slow answer holds up its own lane only.
//!          Stopping waits for what is under way
//! bounds   [`ROUND_MAX`] lanes under way or about to be
//! errors   a fault of the desk's store ends the process at the next hand-over; the far end's faults never do

use super::desk::{Desk, Fresh, Shape, Standing, Unshaped};
use super::handover::ExchangeSink;
use super::lane::Breaker;
use super::reconcile::Last;
use super::{Adapter, Bundle, ExchangeError, Outcome, Parcel, Tried};
use crate::runtime::clock::Clock;
use crate::runtime::logging::chain;
use crate::runtime::metrics::ExchangeMetrics;
use crate::runtime::sink::OutputKind;
use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Lanes in one round, or under way.
pub const ROUND_MAX: usize = 128;
/// How often people's decisions are looked for and how things stand is written down, and the longest wait, ms.
const IDLE_MS: u64 = 1_000;
/// Ages of the oldest parcel at which somebody is told, ms.
const AGES_MS: [i64; 3] = [300_000, 900_000, 3_600_000];

pub(super) struct Inner {
    desk: Desk,
    breaker: Breaker,
    is_stopping: bool,
    fault: Option<String>,
    told_age: usize,
    /// Taken out to be sent, with the attempts before.
    jobs: VecDeque<Tried>,
    /// Whose parcels are taken out or under way.
    busy: BTreeSet<String>,
    /// What came of attempts and is not written down yet.
    done: Vec<(Parcel, Outcome)>,
    /// When the last bundle was taken out, ms.
    bundled_ms: i64,
    /// When what the far end holds is compared next, ms; nothing while that is under way, or if it is never.
    pub(super) compare_ms: Option<i64>,
}

impl Inner {
    /// Puts back what is taken out and not under way yet.
    fn give_back(&mut self) {
        for (parcel, _) in std::mem::take(&mut self.jobs) {
            self.busy.remove(&parcel.subject);
        }
    }
}

/// Parcels under way. Should their thread panic, the process ends at the next hand-over instead of waiting for them.
struct UnderWay<'a>(&'a Exchange, BTreeSet<String>);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut inner = self.0.lock();
            inner.fault = Some("a thread that sends has panicked; this is a bug".to_owned());
            inner.is_stopping = true;
            inner.busy.retain(|subject| !self.1.contains(subject));
            self.0.shared.wake.notify_all();
        }
    }
}

/// The exchange of a run; clones are the same one.
#[derive(Clone)]
pub struct Exchange {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// Something is to be decided or written down.
    wake: Condvar,
    /// Something is to be sent.
    work: Condvar,
    adapter: Box<dyn Adapter>,
    pub(super) clock: Clock,
    bundle: Bundle,
    parallel: usize,
    province: String,
    sends: Vec<OutputKind>,
    pub(super) reconcile_at_ms: Option<i64>,
    /// A directory in which `fenghuo exchange` leaves what a person has decided, and reads how things stand.
    pub(super) directory: PathBuf,
    pub(super) metrics: OnceLock<ExchangeMetrics>,
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
    /// What is sent.
    pub sends: Vec<OutputKind>,
    /// The time of the day, ms, at which what the far end holds is compared; none: only by command.
    pub reconcile_at_ms: Option<i64>,
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
        let mut desk = equipment.desk;
        let doubt_ms = equipment.adapter.doubt_ms();
        if 0 < doubt_ms {
            desk.rest_doubts(equipment.clock.now().0.saturating_add(doubt_ms));
        }
        let inner = Inner {
            desk,
            breaker: Breaker::default(),
            is_stopping: false,
            fault: None,
            told_age: 0,
            jobs: VecDeque::new(),
            busy: BTreeSet::new(),
            done: Vec::new(),
            bundled_ms: i64::MIN,
            compare_ms: None,
        };
        let bundle = equipment.adapter.bundle();
        // Bundles go one after the other.
        let parallel = if bundle.most == 1 {
            equipment.parallel.max(1)
        } else {
            1
        };
        let shared = Shared {
            inner: Mutex::new(inner),
            wake: Condvar::new(),
            work: Condvar::new(),
            adapter: equipment.adapter,
            clock: equipment.clock,
            bundle,
            parallel,
            province: equipment.province,
            sends: equipment.sends,
            reconcile_at_ms: equipment.reconcile_at_ms,
            directory: equipment.directory,
            metrics: OnceLock::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Counts from now on with these. What the last daily comparison came to holds until the next: a difference does not go
    /// away with a restart.
    pub fn count_with(&self, metrics: ExchangeMetrics) {
        if self.shared.reconcile_at_ms.is_some()
            && let Some(last) = Last::read(&self.shared.directory)
        {
            metrics.compared(&last);
        }
        // Only the first ones count; a run has one set.
        let _ = self.shared.metrics.set(metrics);
    }

    /// A sink for the keeper, and a thread that sends until the sink is dropped.
    pub fn start(&self) -> ExchangeSink {
        let exchange = self.clone();
        let thread = std::thread::spawn(move || exchange.turn());
        ExchangeSink::new(self.clone(), Some(thread))
    }

    /// A sink without a thread.
    pub fn sink(&self) -> ExchangeSink {
        ExchangeSink::new(self.clone(), None)
    }

    /// Takes outputs over, up to number `until`; durable when it returns. Those that cannot be shaped come back.
    pub(super) fn take(
        &self,
        fresh: &[Fresh<'_>],
        until: u64,
        shape: &Shape<'_>,
    ) -> Result<Unshaped, String> {
        let now = self.shared.clock.now().0;
        let mut inner = self.lock();
        if let Some(what) = &inner.fault {
            return Err(what.clone());
        }
        let taken = inner.desk.take(fresh, until, now, shape);
        drop(inner);
        self.shared.wake.notify_all();
        taken.map_err(|error| chain(&error))
    }

    /// Whether outputs of this kind are sent.
    pub fn sends(&self, kind: OutputKind) -> bool {
        self.shared.sends.contains(&kind)
    }

    /// GB/T 2260 code of the province.
    pub(super) fn province(&self) -> &str {
        &self.shared.province
    }

    /// Makes the threads end once what is under way is written down.
    pub(super) fn stop(&self) {
        self.lock().is_stopping = true;
        self.shared.wake.notify_all();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
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

    /// How long what was sent before the start still has to rest, ms; none when nothing has to.
    pub fn doubt_left_ms(&self) -> Option<u64> {
        let now = self.shared.clock.now().0;
        self.with_desk(|desk| desk.doubt_left_ms(now))
    }

    /// The way to the far end.
    pub fn adapter(&self) -> &dyn Adapter {
        self.shared.adapter.as_ref()
    }

    /// Sends what may be sent now and writes down what came of it. How many were tried, and when to come again.
    pub fn round(&self) -> Result<(usize, Option<i64>), ExchangeError> {
        let now = self.shared.clock.now().0;
        let (ready, wake) = {
            let inner = self.lock();
            let allowed = inner.breaker.allows(self.most(), now);
            if allowed == 0 {
                return Ok((0, inner.breaker.open_until()));
            }
            let is_deep = 1 < self.shared.bundle.most;
            inner.desk.ready(allowed, now, (&inner.busy, is_deep))?
        };
        if ready.is_empty() {
            return Ok((0, wake));
        }
        let outcomes = self.talk(&ready);
        let mut inner = self.lock();
        let tried = ready.into_iter().map(|(parcel, _)| parcel).zip(outcomes);
        inner.done.extend(tried);
        let tried = self.write_down(&mut inner)?;
        Ok((tried, Some(self.shared.clock.now().0)))
    }

    /// Writes down what came of attempts, in one commit; how many.
    fn write_down(&self, inner: &mut Inner) -> Result<usize, ExchangeError> {
        let now = self.shared.clock.now().0;
        let done = std::mem::take(&mut inner.done);
        for (parcel, outcome) in &done {
            self.tell(parcel, outcome);
            inner.busy.remove(&parcel.subject);
            if inner.breaker.note(outcome, now) {
                tracing::error!(
                    reason = outcome.reason(),
                    "the national exchange does not answer as it should; everything waits and is tried again by itself"
                );
                inner.give_back();
            }
        }
        if !done.is_empty() {
            inner.desk.settle(&done, now)?;
        }
        Ok(done.len())
    }

    fn talk(&self, parcels: &[Tried]) -> Vec<Outcome> {
        if 1 < self.shared.bundle.most {
            return self.shared.adapter.send_all(parcels);
        }
        let next = AtomicUsize::new(0);
        let slots: Vec<Mutex<Option<Outcome>>> = parcels.iter().map(|_| Mutex::default()).collect();
        std::thread::scope(|scope| {
            for _ in 0..self.shared.parallel.min(parcels.len()) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let (Some((parcel, attempts)), Some(slot)) =
                            (parcels.get(at), slots.get(at))
                        else {
                            return;
                        };
                        let outcome = self.shared.adapter.send(parcel, *attempts);
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
                tracing::warn!(
                    id,
                    reason,
                    "no usable answer of the far end; it is asked whether it has this, and gets the same bytes again if not"
                );
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

    /// Sends until it is told to stop.
    fn turn(&self) {
        std::thread::scope(|scope| {
            for _ in 0..self.shared.parallel {
                scope.spawn(|| self.work());
            }
            if let Err(error) = self.decide() {
                let why = chain(&error);
                tracing::error!(
                    why,
                    "the exchange's store fails; the process ends at the next commit"
                );
                self.lock().fault = Some(why);
            }
            self.lock().is_stopping = true;
            self.shared.work.notify_all();
        });
    }

    /// Takes out what is to be sent, and writes down what came of it.
    fn decide(&self) -> Result<(), ExchangeError> {
        let mut looked_ms = i64::MIN;
        loop {
            let now = self.shared.clock.now().0;
            if i64::try_from(IDLE_MS).unwrap_or(0) <= now.saturating_sub(looked_ms) {
                looked_ms = now;
                self.decisions()?;
                self.gauge();
                self.compare_if_due(now);
            }
            let mut inner = self.lock();
            self.write_down(&mut inner)?;
            if inner.is_stopping {
                inner.give_back();
                self.shared.work.notify_all();
                if inner.busy.is_empty() {
                    drop(inner);
                    self.gauge();
                    return Ok(());
                }
            }
            let wake = self.take_out(&mut inner)?;
            let wait = wake.map_or(IDLE_MS, |at| {
                u64::try_from(at.saturating_sub(now))
                    .unwrap_or(0)
                    .clamp(1, IDLE_MS)
            });
            if inner.done.is_empty() {
                drop(
                    self.shared
                        .wake
                        .wait_timeout(inner, Duration::from_millis(wait)),
                );
            }
        }
    }

    /// Parcels under way or about to be.
    fn most(&self) -> usize {
        if self.shared.bundle.most == 1 {
            ROUND_MAX
        } else {
            self.shared.bundle.most
        }
    }

    /// Fills up what is about to be sent; when to come again at the latest.
    fn take_out(&self, inner: &mut Inner) -> Result<Option<i64>, ExchangeError> {
        let now = self.shared.clock.now().0;
        let allowed = inner.breaker.allows(self.most(), now);
        if allowed == 0 {
            return Ok(inner.breaker.open_until());
        }
        let bundle = self.shared.bundle;
        let again_ms = inner.bundled_ms.saturating_add(bundle.every_ms);
        if now < again_ms {
            return Ok(Some(again_ms));
        }
        let most = allowed.saturating_sub(inner.busy.len());
        // Half empty first: looking through the lanes is not free.
        if inner.is_stopping || most * 2 < allowed {
            return Ok(None);
        }
        let is_deep = 1 < bundle.most;
        let (ready, wake) = inner.desk.ready(most, now, (&inner.busy, is_deep))?;
        if !ready.is_empty() {
            inner.bundled_ms = now;
        }
        for (parcel, attempts) in ready {
            inner.busy.insert(parcel.subject.clone());
            inner.jobs.push_back((parcel, attempts));
        }
        self.shared.work.notify_all();
        Ok(wake)
    }

    /// Sends one parcel, or one bundle, after the other.
    fn work(&self) {
        let mut inner = self.lock();
        loop {
            if inner.is_stopping {
                return;
            }
            let count = inner.jobs.len().min(self.shared.bundle.most);
            let jobs: Vec<Tried> = inner.jobs.drain(..count).collect();
            if jobs.is_empty() {
                inner = self
                    .shared
                    .work
                    .wait(inner)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            drop(inner);
            let subjects = jobs.iter().map(|(parcel, _)| parcel.subject.clone());
            let under_way = UnderWay(self, subjects.collect());
            let outcomes = self.shared.adapter.send_all(&jobs);
            drop(under_way);
            inner = self.lock();
            let parcels = jobs.into_iter().map(|(parcel, _)| parcel);
            inner.done.extend(parcels.zip(outcomes));
            self.shared.wake.notify_all();
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

//! The ingest stage: sources are read, decoded and masked, and events written to `fenghuo.event.v1`, keyed by subject.
//!
//! ```text
//! lanes ─ take ─▶ route ─▶ topic, acknowledged by all replicas ─▶ commit: positions, routes, refused records ─▶ dead letters
//! ```
//!
//! One process at a time does it, the owner of the one partition of `fenghuo.ingest.v1`, so the order of the events is
//! that of one reader. What was written and not committed when it ended is written again by the next; the engine stage knows
//! the records and their versions and takes no notice. What a frozen process still writes when it wakes is the same.
//!
//! bounds   `commit_events_max` records a commit
//! errors   as those of a run; a partition of the topic that is away is waited for

use super::routes::{RECORDS_MAX, Routes};
use super::teller::{Out, Teller};
use super::topic::Writer;
use crate::engine::connector::Connector;
use crate::engine::input::Globals;
use crate::engine::time::{EventTime, MINUTE_MS};
use crate::runtime::attempt::Attempts;
use crate::runtime::clock::Clock;
use crate::runtime::journal::{Account, FilePosition, Head, read_chunks, read_head};
use crate::runtime::keeper::{Commit, Images, Keeper};
use crate::runtime::pipeline::{PipelineError, dead_entry};
use crate::runtime::recover::read_waiting;
use crate::runtime::run::{MakeLanes, RunError, Watch, finish};
use crate::runtime::sink::Sink;
use crate::runtime::source::{Merge, Pull, Taken};
use crate::runtime::store::{Store, StoreError};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long it waits when nothing is ready, ms.
const IDLE_MS: u64 = 10;

/// What the stage is made of.
pub struct IngestJob {
    /// Where positions are kept.
    pub store: Box<dyn Store>,
    /// Makes the lanes.
    pub lanes: MakeLanes,
    /// Where it is noted what is worked on.
    pub attempts: Arc<Attempts>,
    /// The connectors that lanes refer to.
    pub connectors: Vec<Arc<Connector>>,
    /// Where refused records go.
    pub sinks: Vec<Box<dyn Sink>>,
    /// The most records a commit.
    pub batch_max: usize,
    /// The topic and its number of partitions.
    pub to: (String, u32),
    /// How long the end waits for sinks, ms; see [`crate::runtime::run::Job`].
    pub last_deliveries_ms: u64,
    /// Whether sources that cannot be read are waited for.
    pub is_live: bool,
    /// The clock, when the world's time drives the logical clock.
    pub clock: Option<Clock>,
}

impl std::fmt::Debug for IngestJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IngestJob")
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

struct Stage<'w> {
    merge: Merge,
    attempts: Arc<Attempts>,
    connectors: Vec<Arc<Connector>>,
    teller: Teller,
    writer: &'w Writer,
    topic: String,
    batch_max: usize,
}

/// Runs until the lanes are done or `stop` is set; whether everything was delivered.
pub(super) fn ingest(
    job: IngestJob,
    writer: &Writer,
    stop: &AtomicBool,
    watch: &dyn Watch,
) -> Result<bool, RunError> {
    let store = job.store;
    let head = read_head(store.as_ref()).map_err(recovering)?;
    let head = head.unwrap_or_else(|| Head {
        format: crate::runtime::journal::FORMAT,
        ..Head::default()
    });
    job.attempts.begin(head.commit);
    let waiting = read_waiting(store.as_ref(), &head).map_err(recovering)?;
    let mut routes = Routes::new(job.to.1, RECORDS_MAX);
    read_chunks(store.as_ref(), b'p', &mut |_, bytes| {
        let restored = routes.restore(&bytes);
        restored.ok_or_else(|| StoreError::damaged(b"p", "routes that cannot be read"))
    })
    .map_err(recovering)?;
    let mut stage = Stage {
        merge: Merge::new((job.lanes)(&head), Arc::clone(&job.attempts)),
        attempts: job.attempts,
        connectors: job.connectors,
        teller: Teller::new(routes, job.to.1, head.base.clock),
        writer,
        topic: job.to.0,
        batch_max: job.batch_max,
    };
    let mut keeper = Keeper::new(store, head, job.sinks, &waiting)?;
    let mut last_minute = EventTime::MIN;
    while !stop.load(Ordering::Acquire) {
        let now = job.clock.as_ref().map(Clock::now);
        let minute = now.map(|now| EventTime(now.0 - now.0.rem_euclid(MINUTE_MS)));
        let minute = minute.filter(|minute| last_minute < *minute);
        last_minute = minute.unwrap_or(last_minute);
        let (pull, commit) = stage.turn(minute, job.is_live, watch)?;
        match commit {
            Some(commit) => {
                let accounts = commit.accounts.clone();
                let records = commit.accounts.iter().map(|(_, a)| a.read).sum::<u64>();
                keeper.commit(commit)?;
                stage
                    .attempts
                    .passed(usize::try_from(records).unwrap_or(usize::MAX));
                watch.ingested(&mut accounts.iter().map(|(id, account)| (id.as_str(), account)));
            }
            None if matches!(pull, Pull::Done) => break,
            None => {
                keeper.idle()?;
                std::thread::park_timeout(Duration::from_millis(IDLE_MS));
            }
        }
        watch.delivered(&keeper.deliveries());
    }
    let waiting = finish(&mut keeper, (stop, job.last_deliveries_ms))?;
    Ok(waiting.is_empty())
}

pub(super) fn recovering(error: StoreError) -> RunError {
    crate::runtime::recover::RecoverError::Store(error).into()
}

impl Stage<'_> {
    fn turn(
        &mut self,
        minute: Option<EventTime>,
        is_live: bool,
        watch: &dyn Watch,
    ) -> Result<(Pull, Option<Commit>), RunError> {
        let max = self.attempts.batch_max(self.batch_max);
        let mut taken: Vec<Taken> = Vec::with_capacity(max);
        let pull = match self.merge.take(max, &mut taken) {
            Ok(pull) => pull,
            Err(fault) if is_live && !fault.is_final() => {
                watch.source_fault(&fault.to_string());
                Pull::Empty
            }
            Err(fault) => return Err(PipelineError::Source(fault).into()),
        };
        let mut out: Vec<Out> = Vec::new();
        if let Some(minute) = minute {
            self.teller.pass(minute, &BTreeSet::new(), &mut out);
        }
        let working = self.attempts.working(self.merge.work(&taken));
        for (_, record) in &taken {
            if let Some(event) = record.event() {
                self.teller.tell(event, &mut out);
            }
        }
        drop(working);
        if taken.is_empty() && out.is_empty() {
            return Ok((pull, None));
        }
        let topic = self.topic.as_str();
        let parcels = out
            .iter()
            .map(|(p, key, value)| (topic, *p, &key[..], &value[..]));
        let written = self.writer.put(parcels);
        written.map_err(|error| RunError::Keep(error.into()))?;
        Ok((pull, Some(self.commit(&taken))))
    }

    /// What is kept of records that were written: positions, counts, routes, the clock, and those that were refused.
    fn commit(&mut self, taken: &[Taken]) -> Commit {
        let mut positions: BTreeMap<(usize, &str), FilePosition> = BTreeMap::new();
        let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
        let mut commit = Commit::default();
        for (lane, record) in taken {
            let position = FilePosition {
                offset: record.place.to,
                number: record.place.number,
                arrived_at: record.arrived_at,
            };
            positions.insert((*lane, record.place.file.as_ref()), position);
            let connector = self.connectors.get(self.merge.connector(*lane));
            let id = connector.map_or("", |c| c.id());
            let account = accounts.entry(id.to_owned()).or_default();
            match &record.result {
                None => {}
                Some(Ok(_)) => {
                    account.read += 1;
                    account.applied += 1;
                }
                Some(Err(reject)) => {
                    account.read += 1;
                    let code = reject.code.name().to_owned();
                    *account.refused.entry(code).or_default() += 1;
                    let entry = dead_entry(id, record, reject, record.arrived_at);
                    commit.entries.push(entry);
                }
            }
        }
        let positions = positions.into_iter();
        commit.positions = positions
            .filter(|((lane, _), _)| self.merge.is_durable(*lane))
            .map(|((lane, file), to)| (self.merge.name(lane).to_owned(), file.to_owned(), to))
            .collect();
        commit.accounts = accounts.into_iter().collect();
        commit.routes = self.teller.routes.take_trail();
        commit.images = Some(Images {
            base: Globals {
                clock: self.teller.clock(),
                ..Globals::default()
            },
            blocks: VecDeque::new(),
            is_full: false,
        });
        commit
    }
}

//! The work of a process in a cluster: one run a partition that it owns; which those are, in `sharing`.
//!
//! ```text
//! member: partitions wished for ─▶ for each: take over ─▶ run ─▶ lost? ─▶ a moment ─▶ take over, if still wished for
//! ```
//!
//! bounds   two threads a partition that is owned
//! errors   [`ClusterError`]; what another process took over is none, what this machine cannot do ends the process

mod sharing;

use self::sharing::Stage;
use super::event::{EventLane, EventLaneSpec};
use super::ingest::{IngestJob, ingest};
use super::member::Group;
use super::standby::{Counted, Followers, Ready};
use super::store::{Cache, Claimant, LogStore, TakeOver};
use super::switchboard::Switchboard;
use super::terms::{ClusterError, partitions, refuse};
use super::told::Owner;
use super::topic::{TopicLog, Writer};
use crate::engine::event::SubjectKey;
use crate::engine::hash::murmur2;
use crate::engine::owner::Scope;
use crate::runtime::assembly::{AssemblyError, Parts, make_lanes};
use crate::runtime::attempt::{Alone, Attempts};
use crate::runtime::clock::{Clock, Stopwatch};
use crate::runtime::config::cluster::ClusterConfig;
use crate::runtime::config::{ClockKind, Config};
use crate::runtime::digest::Watchers;
use crate::runtime::doors::{Doors, DoorsError};
use crate::runtime::journal::{put_scope, read_scope};
use crate::runtime::kafka::tally::Tally;
use crate::runtime::kafka::{KafkaSink, Settings};
use crate::runtime::keeper::KeepError;
use crate::runtime::metrics::{ClusterMetrics, Metrics};
use crate::runtime::recover::RecoverError;
use crate::runtime::run::{Job, RunError, Watch, run};
use crate::runtime::sink::{OutputKind, Sink};
use crate::runtime::store::{Batch, Ledger, Store, StoreError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How often memberships of the two groups may be taken over within a minute; see [`Group::fenced_max`].
const ENGINE_FENCED_MAX: usize = 3;
const INGEST_FENCED_MAX: usize = 12;

/// Journal between the images of one partition, at the least.
const JOURNAL_BYTES_MIN: u64 = 1 << 20;

/// How long the run of a partition waits when no event is there, ms: two stages wait, one after the other.
const IDLE_MS: u64 = 5;

/// Which stages this process takes part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    /// Reads sources and writes events.
    pub ingests: bool,
    /// Reads events and judges.
    pub judges: bool,
}

/// A process in a cluster.
pub struct Process<'c> {
    config: &'c Config,
    cluster: &'c ClusterConfig,
    parts: Parts,
    key: Arc<[u8]>,
    base: &'c Path,
    until_end: bool,
    settings: Settings,
    prefix: &'c str,
    pub(super) partitions: u32,
    session: u32,
    tally: Tally,
    metrics: ClusterMetrics,
    board: Arc<Switchboard>,
    is_delivered: AtomicBool,
    alone: Alone,
}

impl std::fmt::Debug for Process<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

type Done = Result<(), RunError>;

impl<'c> Process<'c> {
    /// Looks whether the configuration can be shared, and whether the topics are there.
    pub fn new(
        config: &'c Config,
        parts: Parts,
        key: Arc<[u8]>,
        (base, until_end): (&'c Path, bool),
    ) -> Result<Self, ClusterError> {
        let needs = AssemblyError::NoKafka;
        let (Some(cluster), Some(kafka), Some(sink)) =
            (&config.cluster, &config.kafka, &config.sinks.kafka)
        else {
            return Err(needs.into());
        };
        refuse(config, &parts)?;
        let settings = Settings::new(kafka)?;
        let partitions = partitions(&settings, cluster)?;
        let now = Clock::System.now();
        let session = format!("{}/{}/{}", cluster.instance, std::process::id(), now.0);
        Ok(Self {
            config,
            cluster,
            parts,
            key,
            base,
            until_end,
            settings,
            prefix: &sink.prefix,
            partitions,
            session: murmur2(session.as_bytes()),
            tally: Tally::default(),
            metrics: Metrics::new(now).cluster(),
            board: Arc::new(Switchboard::new(partitions)),
            is_delivered: AtomicBool::new(true),
            alone: Alone::default(),
        })
    }

    /// Opens the doors of the process, and hands on what they ask until they are closed.
    pub fn open_doors(&mut self, clock: &Clock) -> Result<Doors, DoorsError> {
        let (doors, questions) = Doors::shared(
            self.config,
            (&self.parts.rules.0, &self.parts.connectors),
            (clock, self.tally.clone()),
            Arc::<Switchboard>::clone(&self.board),
        )?;
        self.metrics = doors.cluster();
        let board = Arc::clone(&self.board);
        std::thread::spawn(move || {
            for question in questions {
                board.put(question);
            }
        });
        Ok(doors)
    }

    /// Takes part until `stop` is set, or, until the end of the sources, until all is read and judged; whether all was
    /// delivered by then.
    pub fn run(
        &self,
        role: Role,
        stop: &AtomicBool,
        (watch, doors): (&dyn Watch, Option<&Doors>),
    ) -> Result<bool, ClusterError> {
        if let Some(doors) = doors {
            doors.ready();
        }
        let group = |stage: &str, topic: String, fenced_max| Group {
            fenced_max,
            id: format!("{}fenghuo-{stage}", self.cluster.prefix),
            topic,
            instance: format!("{}-{stage}", self.cluster.instance),
            session_timeout_ms: self.cluster.session_timeout_ms,
        };
        let ingest = Stage {
            name: "ingest",
            group: group("ingest", self.cluster.ingest_topic(), INGEST_FENCED_MAX),
            work: &|_, _, stop| self.ingest(stop, (watch, doors)),
            followers: None,
        };
        let directory = |partition| self.directory(partition);
        let followers = Followers {
            cluster: self.cluster,
            settings: &self.settings,
            partitions: self.partitions,
            metrics: &self.metrics,
            board: &self.board,
            directory: &directory,
        };
        let engine = Stage {
            name: "engine",
            group: group("engine", self.cluster.event_topic(), ENGINE_FENCED_MAX),
            work: &|partition, ready, stop| self.judge((partition, ready), stop, (watch, doors)),
            followers: (!self.until_end).then_some(&followers),
        };
        let done = match (role.ingests, role.judges) {
            (true, true) if self.until_end => self
                .share(&ingest, stop)
                .and_then(|()| self.share(&engine, stop)),
            (true, true) => std::thread::scope(|scope| {
                let ingests = scope.spawn(|| {
                    let done = self.share(&ingest, stop);
                    // Neither stage goes on without the other.
                    stop.store(true, Ordering::Release);
                    done
                });
                let judged = self.share(&engine, stop);
                stop.store(true, Ordering::Release);
                let ingested = ingests.join().map_err(|_| ClusterError::Gone)?;
                judged.and(ingested)
            }),
            (true, false) => self.share(&ingest, stop),
            (false, _) => self.share(&engine, stop),
        };
        done.map(|()| self.is_delivered.load(Ordering::Acquire))
    }

    /// Brings the caches of all partitions up to their logs; how each went, and what it comes to.
    pub fn rebuild(&self) -> Result<Vec<(u32, TakeOver, Ledger)>, ClusterError> {
        let topic = self.cluster.state_topic();
        let mut rebuilt = Vec::new();
        for partition in 0..self.partitions {
            let watch = Stopwatch::start();
            let stop = Arc::new(AtomicBool::new(false));
            let log = TopicLog::new(&self.settings, (&topic, partition), stop);
            let cache = Cache::open(&self.directory(partition), self.partitions);
            let caught = log.and_then(|mut log| cache?.catch_up(&mut log));
            let (cache, mut took) = caught.map_err(|error| ClusterError::Run {
                stage: "engine",
                partition,
                cause: Box::new(RecoverError::Store(error).into()),
            })?;
            took.took_us = watch.elapsed_us();
            rebuilt.push((partition, took, cache.ledger()));
        }
        Ok(rebuilt)
    }

    /// The topic of the state logs.
    pub(super) fn state_topic(&self) -> String {
        self.cluster.state_topic()
    }

    /// The topic of what the ingest stage keeps.
    pub(super) fn ingest_topic(&self) -> String {
        self.cluster.ingest_topic()
    }

    pub(super) fn directory(&self, partition: u32) -> PathBuf {
        self.config.engine.state.join(format!("p{partition}"))
    }

    pub(super) fn ingest_directory(&self) -> PathBuf {
        self.config.engine.state.join("ingest")
    }

    /// A log and its cache, as they are found.
    pub(super) fn open(
        &self,
        (topic, partition): (&str, u32),
        directory: &Path,
        stop: &Arc<AtomicBool>,
    ) -> Result<Ready, StoreError> {
        let mut log = TopicLog::new(&self.settings, (topic, partition), Arc::clone(stop))?;
        // It is let in while the cache is opened and read up.
        log.prepare()?;
        let cache = Cache::open(directory, self.partitions)?;
        Ok(Ready { log, cache })
    }

    /// The log and the cache of a partition that is judged: from its follower, or as they are found.
    fn ready(
        &self,
        partition: u32,
        followed: Option<Ready>,
        stop: &Arc<AtomicBool>,
    ) -> Result<Ready, StoreError> {
        if let Some(Ready { log, cache }) = followed {
            let log = log.under(stop);
            return Ok(Ready { log, cache });
        }
        let at = (&*self.cluster.state_topic(), partition);
        let Ready { log, cache } = self.open(at, &self.directory(partition), stop)?;
        let cache = cache.shown_by(self.metrics.behind(partition));
        Ok(Ready { log, cache })
    }

    /// Takes a partition of a log over.
    pub(super) fn own(
        &self,
        (topic, partition): (&str, u32),
        Ready { log, cache }: Ready,
    ) -> Result<(LogStore, TakeOver), RunError> {
        let claimant = Claimant {
            name: self.cluster.instance.clone(),
            session: self.session,
            place: format!("{topic}/{partition}"),
            partitions: self.partitions,
            copy_after_bytes: self.cluster.copy_after_bytes,
            metrics: self.metrics.clone(),
        };
        let claimed = cache.claim(Box::new(log), &claimant);
        claimed.map_err(|error| RecoverError::Store(error).into())
    }

    fn clock(&self) -> Option<Clock> {
        match self.config.engine.clock {
            ClockKind::Wall => Some(Clock::System),
            ClockKind::Events => None,
        }
    }

    fn ingest(&self, stop: &Arc<AtomicBool>, (watch, doors): (&dyn Watch, Option<&Doors>)) -> Done {
        // It is let in while the partition is taken over.
        let writer = Writer::new(&self.settings, Arc::clone(stop));
        let writer = writer.map_err(RecoverError::Store)?;
        let topic = self.cluster.ingest_topic();
        let ready = self
            .open((&topic, 0), &self.ingest_directory(), stop)
            .map_err(RecoverError::Store)?;
        let (store, took) = self.own((&topic, 0), ready)?;
        tracing::info!(?took, "this process reads the sources");
        let lanes = make_lanes(
            self.config,
            &self.parts,
            &self.key,
            (self.base, self.until_end, &Clock::System),
            &self.tally,
        );
        let lanes = lanes.map_err(|error| {
            let what = crate::runtime::logging::chain(&error);
            RecoverError::Store(StoreError::LogUnfit { what })
        })?;
        let job = IngestJob {
            store: Box::new(store),
            lanes,
            attempts: Attempts::beside(&self.ingest_directory(), &self.alone),
            connectors: self.parts.connectors.clone(),
            sinks: vec![Box::new(KafkaSink::new(
                self.settings.clone(),
                self.prefix,
                vec![OutputKind::DeadLetter],
            ))],
            batch_max: self.config.engine.commit_events_max,
            to: (self.cluster.event_topic(), self.partitions),
            last_deliveries_ms: self.config.engine.last_deliveries_seconds * 1_000,
            is_live: !self.until_end,
            clock: self.clock(),
        };
        let _reads = Counted::new(&self.metrics.ingests);
        // It has a number of its own beside those of the partitions that are judged.
        let seen = doors.map(|doors| doors.of(u32::MAX));
        let watchers = [
            Some(watch),
            seen.as_ref().map(|seen| -> &dyn Watch { seen }),
        ];
        let watchers = Watchers(watchers.into_iter().flatten().collect());
        let done = ingest(job, &writer, stop, &watchers);
        if let Some(seen) = &seen {
            seen.leave(&|_| false);
        }
        self.note(done?);
        Ok(())
    }

    fn judge(
        &self,
        (partition, ready): (u32, Option<Ready>),
        stop: &Arc<AtomicBool>,
        (watch, doors): (&dyn Watch, Option<&Doors>),
    ) -> Done {
        let started = Stopwatch::start();
        let topic = self.cluster.state_topic();
        let ready = self.ready(partition, ready, stop);
        let ready = ready.map_err(RecoverError::Store)?;
        let (mut store, took) = self.own((&topic, partition), ready)?;
        let scope = Scope {
            partition,
            partitions: self.partitions,
        };
        if read_scope(&store).map_err(RecoverError::Store)?.is_none() {
            let mut first = Batch::new();
            put_scope(&mut first, scope);
            store.commit(&first).map_err(KeepError::Store)?;
        }
        let spec = EventLaneSpec {
            settings: self.settings.clone(),
            topic: self.cluster.event_topic().into(),
            partition,
            until_end: self.until_end,
            tally: self.tally.clone(),
        };
        let told = OutputKind::told(self.config.sinks.asked);
        let sink = KafkaSink::of_scope(self.settings.clone(), self.prefix, (told, scope));
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(sink)];
        let job = Job {
            store: Box::new(store),
            rules: (Arc::clone(&self.parts.rules.0), self.parts.rules.1.clone()),
            connectors: Vec::new(),
            lanes: Box::new(move |head| {
                let position = head.sources.get(&spec.name());
                let known = position.and_then(|p| p.files.get(&spec.file()).copied());
                vec![Box::new(EventLane::new(spec, known))]
            }),
            attempts: Attempts::beside(&self.directory(partition), &self.alone),
            sinks,
            shards: 1,
            warm_subjects_max: self.config.engine.warm_subjects_max,
            spill: self.config.engine.spill(&self.directory(partition)),
            rule_check_every: self.config.engine.rule_check_every,
            asked: self.config.sinks.asked,
            clock: self.clock(),
            batch_max: self.config.engine.commit_events_max,
            journal_bytes_max: self.journal_bytes_max(),
            images_at_stop: false,
            questions: Some(self.board.connect(partition)),
            exchange: None,
            kafka: self.tally.clone(),
            archive: None,
            last_deliveries_ms: self.config.engine.last_deliveries_seconds * 1_000,
            idle_ms: IDLE_MS,
        };
        let _judges = Counted::new(&self.metrics.judged);
        let seen = doors.map(|doors| doors.of(partition));
        let watch = Owner {
            watch,
            seen,
            partition,
            started,
            took,
        };
        let done = run(job, stop, &watch);
        self.board.disconnect(partition);
        if let Some(seen) = seen {
            seen.leave(&|subject| SubjectKey::parse(subject).is_some_and(|key| scope.holds(&key)));
        }
        self.note(done?.waiting.is_empty());
        Ok(())
    }

    /// The journal of one partition between images. A process that takes partitions over steps over the journals of all of
    /// them, so together they may be as long as that of a process that has everything.
    fn journal_bytes_max(&self) -> u64 {
        let all = self.config.engine.checkpoint_journal_bytes;
        (all / u64::from(self.partitions.max(1))).max(JOURNAL_BYTES_MIN.min(all))
    }

    fn note(&self, is_delivered: bool) {
        self.is_delivered.fetch_and(is_delivered, Ordering::AcqRel);
    }
}

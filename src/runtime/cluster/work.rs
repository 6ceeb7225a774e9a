//! The work of a process in a cluster: what is refused, who owns what, one run a partition.
//!
//! ```text
//! member: partitions wished for ─▶ for each: take over ─▶ run ─▶ lost? ─▶ a moment ─▶ take over, if still wished for
//! ```
//!
//! bounds   two threads a partition that is owned
//! errors   [`ClusterError`]; what another process took over is none, what this machine cannot do ends the process

use super::event::{EventLane, EventLaneSpec};
use super::ingest::{IngestJob, ingest};
use super::member::{Group, Member};
use super::store::{Cache, Claimant, LogStore, TakeOver};
use super::terms::{ClusterError, partitions, refuse};
use super::told::Owner;
use super::topic::{TopicLog, Writer};
use crate::engine::hash::murmur2;
use crate::engine::owner::Scope;
use crate::runtime::assembly::{AssemblyError, Parts, make_lanes};
use crate::runtime::clock::{Clock, Stopwatch};
use crate::runtime::config::cluster::ClusterConfig;
use crate::runtime::config::{ClockKind, Config};
use crate::runtime::journal::{put_scope, read_scope};
use crate::runtime::kafka::tally::Tally;
use crate::runtime::kafka::{KafkaSink, Settings};
use crate::runtime::keeper::KeepError;
use crate::runtime::recover::RecoverError;
use crate::runtime::run::{Job, RunError, Watch, run};
use crate::runtime::sink::{OutputKind, Sink};
use crate::runtime::store::{Batch, Ledger, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope as Threads, ScopedJoinHandle};

/// How long a partition that was lost is left alone, µs, for the process with the lowest number.
const PATIENCE_US: u64 = 500_000;

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
    partitions: u32,
    session: u32,
    tally: Tally,
    is_delivered: AtomicBool,
}

impl std::fmt::Debug for Process<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

type Done = Result<(), RunError>;

/// A stage: what is shared, and what is done with a partition of it.
struct Stage<'s> {
    name: &'static str,
    group: Group,
    work: &'s (dyn Fn(u32, &Arc<AtomicBool>) -> Done + Sync),
}

struct Owned<'t> {
    stop: Arc<AtomicBool>,
    thread: ScopedJoinHandle<'t, Done>,
}

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
            is_delivered: AtomicBool::new(true),
        })
    }

    /// Takes part until `stop` is set, or, until the end of the sources, until all is read and judged; whether all was
    /// delivered by then.
    pub fn run(
        &self,
        role: Role,
        stop: &AtomicBool,
        watch: &dyn Watch,
    ) -> Result<bool, ClusterError> {
        let group = |stage: &str, topic: String| Group {
            id: format!("{}fenghuo-{stage}", self.cluster.prefix),
            topic,
            instance: format!("{}-{stage}", self.cluster.instance),
            session_timeout_ms: self.cluster.session_timeout_ms,
        };
        let ingest = Stage {
            name: "ingest",
            group: group("ingest", self.cluster.ingest_topic()),
            work: &|_, stop| self.ingest(stop, watch),
        };
        let engine = Stage {
            name: "engine",
            group: group("engine", self.cluster.event_topic()),
            work: &|partition, stop| self.judge(partition, stop, watch),
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

    fn directory(&self, partition: u32) -> PathBuf {
        self.config.engine.state.join(format!("p{partition}"))
    }

    /// Works on the partitions that the group gives to this process.
    fn share(&self, stage: &Stage<'_>, stop: &AtomicBool) -> Result<(), ClusterError> {
        let member = Member::join(&self.settings, stage.group.clone())?;
        std::thread::scope(|threads| {
            let mut owned = BTreeMap::new();
            let done = self.share_until(stage, (&member, stop), threads, &mut owned);
            for one in owned.values() {
                one.stop.store(true, Ordering::Release);
            }
            for (partition, one) in owned {
                match one.thread.join() {
                    Ok(Err(cause)) if done.is_ok() && !is_passing(&cause) => {
                        return Err(failed(stage, partition, cause));
                    }
                    Ok(_) => {}
                    Err(_) => return Err(ClusterError::Gone),
                }
            }
            done
        })
    }

    fn share_until<'t>(
        &self,
        stage: &Stage<'t>,
        (member, stop): (&Member, &AtomicBool),
        threads: &'t Threads<'t, '_>,
        owned: &mut BTreeMap<u32, Owned<'t>>,
    ) -> Result<(), ClusterError> {
        let mut done: BTreeSet<u32> = BTreeSet::new();
        let mut resting: BTreeMap<u32, Stopwatch> = BTreeMap::new();
        while !stop.load(Ordering::Acquire) {
            let wished = member.poll()?;
            for (partition, one) in owned.iter() {
                if !wished.contains(partition) {
                    one.stop.store(true, Ordering::Release);
                }
            }
            let ended: Vec<u32> = owned
                .iter()
                .filter(|(_, one)| one.thread.is_finished())
                .map(|(partition, _)| *partition)
                .collect();
            for partition in ended {
                let Some(one) = owned.remove(&partition) else {
                    continue;
                };
                match one.thread.join().map_err(|_| ClusterError::Gone)? {
                    Ok(()) if self.until_end && wished.contains(&partition) => {
                        done.insert(partition);
                    }
                    Ok(()) => {}
                    Err(cause) if is_passing(&cause) => {
                        tracing::warn!(stage = stage.name, partition, error = %crate::runtime::logging::chain(&cause), "partition given up");
                        resting.insert(partition, Stopwatch::start());
                    }
                    Err(cause) => return Err(failed(stage, partition, cause)),
                }
            }
            if self.until_end && !wished.is_empty() && wished.is_subset(&done) {
                return Ok(());
            }
            for partition in wished {
                let patience_us = PATIENCE_US + u64::from(self.session % 512) * 1_000;
                let rests = |rest: &Stopwatch| rest.elapsed_us() < patience_us;
                let is_free = !owned.contains_key(&partition) && !done.contains(&partition);
                if !is_free || resting.get(&partition).is_some_and(rests) {
                    continue;
                }
                let stop = Arc::new(AtomicBool::new(false));
                let (mine, work) = (Arc::clone(&stop), stage.work);
                let thread = threads.spawn(move || work(partition, &mine));
                owned.insert(partition, Owned { stop, thread });
            }
        }
        Ok(())
    }

    /// Takes a partition of a log over.
    fn own(
        &self,
        (topic, partition): (&str, u32),
        directory: &Path,
        stop: &Arc<AtomicBool>,
    ) -> Result<(LogStore, TakeOver), RunError> {
        let log = TopicLog::new(&self.settings, (topic, partition), Arc::clone(stop));
        let cache = Cache::open(directory, self.partitions);
        let claimant = Claimant {
            name: self.cluster.instance.clone(),
            session: self.session,
            place: format!("{topic}/{partition}"),
            partitions: self.partitions,
            copy_after_bytes: self.cluster.copy_after_bytes,
        };
        let claimed = cache.and_then(|cache| cache.claim(Box::new(log?), &claimant));
        claimed.map_err(|error| RecoverError::Store(error).into())
    }

    fn clock(&self) -> Option<Clock> {
        match self.config.engine.clock {
            ClockKind::Wall => Some(Clock::System),
            ClockKind::Events => None,
        }
    }

    fn ingest(&self, stop: &Arc<AtomicBool>, watch: &dyn Watch) -> Done {
        let topic = self.cluster.ingest_topic();
        let (store, took) =
            self.own((&topic, 0), &self.config.engine.state.join("ingest"), stop)?;
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
        let writer = Writer::new(&self.settings, Arc::clone(stop));
        let writer = writer.map_err(RecoverError::Store)?;
        let job = IngestJob {
            store: Box::new(store),
            lanes,
            connectors: self.parts.connectors.clone(),
            sinks: vec![Box::new(KafkaSink::new(
                self.settings.clone(),
                self.prefix,
                vec![OutputKind::DeadLetter],
            ))],
            batch_max: self.config.engine.commit_events_max,
            to: (self.cluster.event_topic(), self.partitions),
            last_deliveries_ms: self.config.engine.last_deliveries_seconds * 1_000,
            clock: self.clock(),
        };
        self.note(ingest(job, &writer, stop, watch)?);
        Ok(())
    }

    fn judge(&self, partition: u32, stop: &Arc<AtomicBool>, watch: &dyn Watch) -> Done {
        let started = Stopwatch::start();
        let topic = self.cluster.state_topic();
        let directory = self.directory(partition);
        let (mut store, took) = self.own((&topic, partition), &directory, stop)?;
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
            sinks,
            shards: 1,
            warm_subjects_max: self.config.engine.warm_subjects_max,
            rule_check_every: self.config.engine.rule_check_every,
            asked: self.config.sinks.asked,
            clock: self.clock(),
            batch_max: self.config.engine.commit_events_max,
            journal_bytes_max: self.config.engine.checkpoint_journal_bytes,
            questions: None,
            exchange: None,
            kafka: self.tally.clone(),
            archive: None,
            last_deliveries_ms: self.config.engine.last_deliveries_seconds * 1_000,
        };
        let watch = Owner {
            watch,
            partition,
            started,
            took,
        };
        let report = run(job, stop, &watch)?;
        self.note(report.waiting.is_empty());
        Ok(())
    }

    fn note(&self, is_delivered: bool) {
        self.is_delivered.fetch_and(is_delivered, Ordering::AcqRel);
    }
}

fn failed(stage: &Stage<'_>, partition: u32, cause: RunError) -> ClusterError {
    ClusterError::Run {
        stage: stage.name,
        partition,
        cause: Box::new(cause),
    }
}

/// Whether a later try may succeed: somebody else owns the partition, or the broker cannot be reached.
fn is_passing(error: &RunError) -> bool {
    let (RunError::Recover(RecoverError::Store(error)) | RunError::Keep(KeepError::Store(error))) =
        error
    else {
        return false;
    };
    matches!(error, StoreError::Lost { .. } | StoreError::Log { .. })
}

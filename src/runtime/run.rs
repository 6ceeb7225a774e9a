//! A run from start to end: recover, adopt the rules, loop, stop.
//!
//! ```text
//! open store ─▶ recover ─▶ adopt rules ─▶ ┌ loop: take, step ┐ ─▶ finish
//!                                          └ keeper: commit   ┘
//! ```
//!
//! Two threads: the loop (with the processors' pool beneath it) and the keeper. Stopping is a flag that the loop looks at
//! between batches; a hard stop at any moment is as safe, only the next start steps over a little more journal.
//!
//! errors   [`RunError`]; every one of them ends the process with exit code 3, and what was acknowledged is there

mod keeping;

#[cfg(feature = "rdkafka")]
pub(super) use self::keeping::finish;
use self::keeping::{Desk, Parcel, keep};
use super::archive::keep::Keep;
use super::attempt::Attempts;
use super::clock::{Clock, Stopwatch};
use super::exchange::worker::Exchange;
use super::journal::{Account, Head, read_scope};
use super::kafka::tally::Tally;
use super::keeper::{Commit, Delivery, KeepError, Keeper};
use super::logging::chain;
use super::pipeline::{Pipeline, PipelineError, Receipt, Stepped};
use super::recover::{RecoverError, Recovered, Together, recover_with};
use super::sink::{OutputKind, Sink};
use super::source::{Lane, Pull};
use super::spill::{Spill, SpillError, guarded};
use super::store::Store;
use crate::engine::connector::Connector;
use crate::engine::event::{SubjectKey, SubjectKind};
use crate::engine::input::Outcome;
use crate::engine::province::Province;
use crate::engine::remark::Asked;
use crate::engine::rule::{RuleSet, RuleSources};
use crate::engine::subject::state::Subject;
use crate::engine::time::{EventTime, MINUTE_MS};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long the loop waits when nothing is ready, ms, where its sources are files.
pub const IDLE_MS: u64 = 50;
/// How long it waits at first: what comes in drops is found at once, a quiet source is not asked all the time.
const IDLE_FIRST_MS: u64 = 2;

/// A journal this many times shorter than it may be is stepped over in a moment.
const LEFT_SHARE: u64 = 64;

/// What a run is made of.
pub struct Job {
    /// Where state is kept.
    pub store: Box<dyn Store>,
    /// The rules to run with.
    pub rules: (Arc<RuleSet>, RuleSources),
    /// The connectors that lanes refer to.
    pub connectors: Vec<Arc<Connector>>,
    /// Makes the lanes, given how far each source is read.
    pub lanes: MakeLanes,
    /// Where it is noted what is worked on.
    pub attempts: Arc<Attempts>,
    /// Where messages go.
    pub sinks: Vec<Box<dyn Sink>>,
    /// The number of shards of a new state.
    pub shards: u32,
    /// Individuals that are kept ready in memory.
    pub warm_subjects_max: usize,
    /// Where the others go.
    pub spill: Spill,
    /// One in so many facts is judged by one of its rules in the interpreter as well; 0: none.
    pub rule_check_every: u32,
    /// What is told beside messages.
    pub asked: Asked,
    /// The clock, when the world's time drives the logical clock; else records do.
    pub clock: Option<Clock>,
    /// The most records a batch.
    pub batch_max: usize,
    /// Journal bytes from which images are written.
    pub journal_bytes_max: u64,
    /// Whether images are written when the run is told to stop, so that the next start is quick.
    pub images_at_stop: bool,
    /// Questions from elsewhere, answered between batches.
    pub questions: Option<Receiver<Question>>,
    /// The national exchange; its sink is among the sinks.
    pub exchange: Option<Exchange>,
    /// How far each partition of a topic is read.
    pub kafka: Tally,
    /// Where every event that was applied is kept for back-tests.
    pub archive: Option<std::path::PathBuf>,
    /// How long the end waits for sinks that have not taken everything, ms; a tenth of it when told to stop.
    pub last_deliveries_ms: u64,
    /// The longest that the loop waits when nothing is ready, ms.
    pub idle_ms: u64,
}

/// Makes the lanes, given how far each source is read.
pub type MakeLanes = Box<dyn FnOnce(&Head) -> Vec<Box<dyn Lane>> + Send>;
/// Answers a question about a subject.
pub type AboutSubject = Box<dyn FnOnce(&Province, Option<&Subject>) + Send>;
/// Rules, checked and tested, and their sources.
pub type Loaded = (Arc<RuleSet>, RuleSources);
/// Is told the hash of the set that is in force; nothing if the loop has ended.
pub type Adopted = Box<dyn FnOnce(Option<String>) + Send>;

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}

/// A question to the loop.
pub enum Question {
    /// What is known of a subject.
    Subject(SubjectKey, AboutSubject),
    /// Put these rules into force, or tell those who watch why they could not be loaded.
    Adopt(Box<Result<Loaded, String>>, Adopted),
    /// Something arrived that is not a file; the loop need not wait.
    Wake,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(key, _) => f.debug_tuple("Subject").field(key).finish(),
            Self::Adopt(..) => f.write_str("Adopt"),
            Self::Wake => f.write_str("Wake"),
        }
    }
}

/// A batch that is durable.
#[derive(Debug, Default)]
pub struct Durable {
    /// How many records it had.
    pub records: usize,
    /// From taking its first record to durable, µs.
    pub latency_us: u64,
    /// The commit alone, µs.
    pub commit_us: u64,
    /// What became of pushed bodies.
    pub receipts: BTreeMap<u64, Receipt>,
    /// Bytes of journal since the last images.
    pub journal_bytes: u64,
    /// Bytes of the store.
    pub state_bytes: u64,
    /// Whether it put a rule set into force and no records.
    pub is_rules: bool,
    /// How many subjects of each kind there are, when somebody counted.
    pub subjects: BTreeMap<SubjectKind, i64>,
}

/// Who watches a run. Called from the keeper's thread and, while a batch is stepped, from whichever thread steps it.
pub trait Watch: Sync {
    /// The state is recovered.
    fn recovered(&self, _province: &Province, _head: &Head, _replayed: u64) {}
    /// A batch was stepped.
    fn stepped(&self, _province: &Province, _stepped: &Stepped) {}
    /// Records were read and written on for others to judge; what came of them, by connector.
    fn ingested(&self, _accounts: &mut dyn Iterator<Item = (&str, &Account)>) {}
    /// A batch is durable and its messages have left.
    fn durable(&self, _durable: &Durable) {}
    /// What came of deliveries since this was last said, by sink; also while nothing arrives.
    fn delivered(&self, _deliveries: &[Delivery]) {}
    /// A source cannot be read now; the run goes on with the others.
    fn source_fault(&self, _message: &str) {}
    /// What a change of rules had to say; it leaves with the commit that is told next.
    fn adopted(&self, _outcome: &Outcome) {}
    /// Another rule set is in force, or could not be loaded.
    fn rules(&self, _province: &Province, _failure: Option<&str>) {}
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// Where everything stands.
    pub head: Head,
    /// Subjects known.
    pub subjects: usize,
    /// Records known.
    pub records: usize,
    /// The province, as it is now.
    pub province: Province,
    /// Messages that sinks have not taken; they are in the store and leave at the next start.
    pub waiting: Vec<(String, usize)>,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// State cannot be recovered.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The loop.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The keeper.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// A subject at rest is lost.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// The keeper's thread is gone without a word: a bug.
    #[error("the keeper ended without a reason; this is a bug, please report it with the log")]
    KeeperGone,
}

/// Runs until the lanes are done or `stop` is set.
pub fn run(job: Job, stop: &AtomicBool, watch: &dyn Watch) -> Result<Report, RunError> {
    let attempts = Arc::clone(&job.attempts);
    guarded(|| run_until(job, stop, watch)).unwrap_or_else(|error| {
        attempts.absolve();
        Err(error.into())
    })
}

#[expect(
    clippy::too_many_lines,
    reason = "one row or step after the other; splitting would hide the order"
)]
fn run_until(job: Job, stop: &AtomicBool, watch: &dyn Watch) -> Result<Report, RunError> {
    let (set, sources) = job.rules;
    let recovered = match recover_with(job.store.as_ref(), (job.warm_subjects_max, &job.spill))? {
        Some(recovered) if recovered.head.shards != job.shards => {
            let (stored, configured) = (recovered.head.shards, job.shards);
            return Err(RecoverError::Shards { stored, configured }.into());
        }
        Some(recovered) => recovered,
        None => {
            let mut fresh = fresh(Arc::clone(&set), job.shards);
            let scope = read_scope(job.store.as_ref()).map_err(RecoverError::Store)?;
            fresh.province.set_scope(scope);
            job.spill.lend(&mut fresh.province);
            fresh
        }
    };
    let Recovered {
        province,
        head,
        waiting,
        replayed,
    } = recovered;
    watch.recovered(&province, &head, replayed);
    job.attempts.begin(head.commit);
    let lanes = ((job.lanes)(&head), Arc::clone(&job.attempts));
    let mut pipeline = Pipeline::new(province, lanes, job.connectors);
    pipeline.province.check_every = job.rule_check_every;
    pipeline.province.asked = job.asked;
    pipeline.province.stopwatch = Some(super::clock::ticks_ns);
    pipeline.province.set_warm_max(job.warm_subjects_max);
    let adopt = if head.rule_set == set.hash() {
        None
    } else {
        let outcome = if head.commit == 0 {
            Outcome::default()
        } else {
            pipeline.province.change_rules(&set, &Together)
        };
        watch.adopted(&outcome);
        if 0 < head.commit {
            watch.rules(&pipeline.province, None);
        }
        Some(Pipeline::adopt(set.hash(), sources, &outcome))
    };
    let mut keeper = Keeper::new(job.store, head, job.sinks, &waiting)?;
    let sends = |exchange: &Exchange| exchange.sends(OutputKind::Record);
    pipeline.is_reported = job.exchange.as_ref().is_some_and(sends);
    if let Some(dir) = &job.archive {
        let keep = Keep::open(dir, pipeline.province.globals.seq).map_err(KeepError::Archive)?;
        keeper.set_archive(keep);
        pipeline.is_archived = true;
    }
    if let Some(commit) = adopt {
        keeper.commit(commit)?;
        watch.durable(&Durable {
            is_rules: true,
            ..Durable::default()
        });
    }
    let desk = Desk::default();
    desk.note(&keeper);
    let settings = Settings {
        attempts: job.attempts,
        clock: job.clock,
        batch_max: job.batch_max,
        journal_bytes_max: job.journal_bytes_max,
        images_at_stop: job.images_at_stop,
        idle_ms: job.idle_ms,
        questions: job.questions,
    };
    let end = (stop, job.last_deliveries_ms);
    let (keeper, waiting) = std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Parcel>(1);
        let desk = &desk;
        let thread = scope.spawn(move || keep(keeper, &receiver, desk, (watch, end)));
        let looped = turn_until(&mut pipeline, &settings, &sender, (desk, stop, watch));
        if looped.is_ok() && settings.images_at_stop && stop.load(Ordering::Acquire) {
            leave_images(&mut pipeline, &settings, (&sender, desk));
        }
        drop(sender);
        let keeper = thread.join().map_err(|_| RunError::KeeperGone)?;
        if let Some(error) = desk
            .failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            return Err(error.into());
        }
        looped?;
        keeper.ok_or(RunError::KeeperGone)
    })?;
    Ok(Report {
        head: keeper.head().clone(),
        subjects: pipeline
            .province
            .shards()
            .iter()
            .map(crate::engine::shard::Shard::len)
            .sum(),
        records: pipeline.province.records(),
        province: pipeline.province,
        waiting,
    })
}

fn fresh(set: Arc<RuleSet>, shards: u32) -> Recovered {
    let head = Head {
        format: super::journal::FORMAT,
        shards,
        ..Head::default()
    };
    Recovered {
        province: Province::new(set, shards),
        head,
        waiting: Vec::new(),
        replayed: 0,
    }
}

struct Settings {
    attempts: Arc<Attempts>,
    clock: Option<Clock>,
    batch_max: usize,
    journal_bytes_max: u64,
    images_at_stop: bool,
    idle_ms: u64,
    questions: Option<Receiver<Question>>,
}

/// Images before the end, so that the next start has no journal to step over; who is gone already needs none.
fn leave_images(
    pipeline: &mut Pipeline,
    settings: &Settings,
    (sender, desk): (&SyncSender<Parcel>, &Desk),
) {
    let journal_bytes = desk.journal_bytes.load(Ordering::Acquire);
    let is_little = journal_bytes < settings.journal_bytes_max / LEFT_SHARE;
    if is_little || desk.imaging.swap(true, Ordering::AcqRel) {
        return;
    }
    let commit = Commit {
        images: Some(pipeline.checkpoint()),
        ..Commit::default()
    };
    // Whoever has failed says so.
    let _ = sender.send(Parcel::of(commit));
}

fn turn_until(
    pipeline: &mut Pipeline,
    settings: &Settings,
    sender: &SyncSender<Parcel>,
    (desk, stop, watch): (&Desk, &AtomicBool, &dyn Watch),
) -> Result<(), RunError> {
    let mut told: Option<String> = None;
    let mut last_minute = EventTime::MIN;
    let mut idle_ms = IDLE_FIRST_MS;
    while !stop.load(Ordering::Acquire) {
        let clock = settings
            .clock
            .as_ref()
            .map(Clock::now)
            .map(|now| EventTime(now.0 - now.0.rem_euclid(MINUTE_MS)));
        let clock = clock.filter(|minute| last_minute < *minute);
        last_minute = clock.unwrap_or(last_minute);
        let started = Stopwatch::start();
        let turned = pipeline.turn(settings.batch_max, clock, |province, stepped| {
            watch.stepped(province, stepped);
        });
        let (pull, stepped) = match turned {
            Ok(turned) => {
                told = None;
                turned
            }
            Err(PipelineError::Source(fault)) if settings.clock.is_some() && !fault.is_final() => {
                // A live run goes on: the source may come back. The same fault is told once.
                let message = chain(&fault);
                if told.as_ref() != Some(&message) {
                    watch.source_fault(&message);
                    told = Some(message);
                }
                (Pull::Empty, None)
            }
            Err(error) => return Err(error.into()),
        };
        let Some(mut stepped) = stepped else {
            if matches!(pull, Pull::Done) {
                return Ok(());
            }
            let waited = wait(settings, idle_ms);
            idle_ms = idle_ms.saturating_mul(2).min(settings.idle_ms);
            reply_all(pipeline, settings, sender, (waited, watch));
            continue;
        };
        let due = settings.journal_bytes_max <= desk.journal_bytes.load(Ordering::Acquire);
        if due && !desk.imaging.swap(true, Ordering::AcqRel) {
            stepped.commit.images = Some(pipeline.checkpoint());
        }
        idle_ms = IDLE_FIRST_MS;
        // While it is careful the next batch waits until this one is durable.
        let channel = settings.attempts.is_careful().then(|| sync_channel(1));
        let (told, durable) = channel.unzip();
        let parcel = Parcel {
            is_rules: false,
            subjects: pipeline.province.count_by_kind(),
            records: stepped.records,
            receipts: core::mem::take(&mut stepped.receipts),
            commit: stepped.commit,
            watch: started,
            told,
        };
        let records = parcel.records;
        if sender.send(parcel).is_err() || durable.is_some_and(|durable| durable.recv().is_err()) {
            return Ok(());
        }
        settings.attempts.passed(records);
        reply_all(pipeline, settings, sender, (None, watch));
    }
    Ok(())
}

fn wait(settings: &Settings, idle_ms: u64) -> Option<Question> {
    let idle = Duration::from_millis(idle_ms);
    if let Some(questions) = &settings.questions {
        questions.recv_timeout(idle).ok()
    } else {
        std::thread::park_timeout(idle);
        None
    }
}

fn reply_all(
    pipeline: &mut Pipeline,
    settings: &Settings,
    sender: &SyncSender<Parcel>,
    (first, watch): (Option<Question>, &dyn Watch),
) {
    let mut next = first;
    loop {
        let ready = || settings.questions.as_ref().and_then(|q| q.try_recv().ok());
        match next.take().or_else(ready) {
            None => return,
            Some(Question::Wake) => {}
            Some(Question::Subject(key, reply)) => {
                reply(
                    &pipeline.province,
                    pipeline.province.subject(&key).as_deref(),
                );
            }
            Some(Question::Adopt(loaded, reply)) => {
                reply(adopt(pipeline, sender, watch, *loaded));
            }
        }
    }
}

/// Puts rules into force at this place in the stream; gives the hash of those that are in force then.
fn adopt(
    pipeline: &mut Pipeline,
    sender: &SyncSender<Parcel>,
    watch: &dyn Watch,
    loaded: Result<Loaded, String>,
) -> Option<String> {
    let (set, sources) = match loaded {
        Ok(loaded) => loaded,
        Err(why) => {
            watch.rules(&pipeline.province, Some(&why));
            return None;
        }
    };
    if set.hash() != pipeline.province.set().hash() {
        let outcome = pipeline.province.change_rules(&set, &Together);
        watch.adopted(&outcome);
        let commit = Pipeline::adopt(set.hash(), sources, &outcome);
        let parcel = Parcel {
            is_rules: true,
            ..Parcel::of(commit)
        };
        sender.send(parcel).ok()?;
        watch.rules(&pipeline.province, None);
    }
    Some(set.hash().to_owned())
}

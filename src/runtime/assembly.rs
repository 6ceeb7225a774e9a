//! From a configuration to a job: store, lanes, sinks, key.
//!
//! errors   [`AssemblyError`] names the setting and says what to do; nothing has been touched by then but the store's lock

use super::alert::AlertsConfig;
use super::attempt::{Alone, Attempts};
use super::bundle::{self, BundleError};
use super::clock::Clock;
use super::config::exchange::{ExchangeConfig, Way};
use super::config::kafka::{KafkaConfig, KafkaSource};
use super::config::{ClockKind, Config, FileOrder, SourceConfig, SourceKind};
use super::exchange::batch::Batches;
use super::exchange::database::Database;
use super::exchange::desk::Desk;
use super::exchange::gateway::Gateway;
use super::exchange::worker::{Equipment, Exchange};
use super::exchange::{Adapter, ExchangeError};
use super::journal::Head;
use super::kafka::tally::Tally;
use super::rollout::place::PlaceError;
use super::run::{IDLE_MS, Job, MakeLanes};
use super::sink::{FileSink, OutputKind, Sink, StdoutSink, WebhookConfig, WebhookSink};
use super::source::{FileLane, FileLaneSpec, Lane};
use super::store::{DiskStore, StoreError};
use crate::engine::connector::Connector;
use crate::engine::rule::{RuleSet, RuleSources};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rules and connectors to run with.
#[derive(Debug)]
pub struct Parts {
    /// The rules, loaded, and their sources.
    pub rules: (Arc<RuleSet>, RuleSources),
    /// The connectors, in the order of their ids.
    pub connectors: Vec<Arc<Connector>>,
}

impl Parts {
    /// Those of the directories that the configuration names.
    pub fn of(config: &Config) -> Result<Self, AssemblyError> {
        let sources = config.rules.sources()?;
        let set = bundle::load_rules(config.rules.path(), &sources)?;
        let connectors = bundle::connectors_in(&config.connectors_dir)?;
        Ok(Self {
            rules: (Arc::new(set), sources),
            connectors,
        })
    }

    /// Those that are built in.
    pub fn shipped() -> Result<Self, AssemblyError> {
        let sources = bundle::shipped_rules();
        let set = bundle::load_rules(Path::new("rules"), &sources)?;
        Ok(Self {
            rules: (Arc::new(set), sources),
            connectors: bundle::shipped_connectors()?,
        })
    }
}

/// Why a configuration cannot be put to work.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// Rules or connectors.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Rules that are not where they should be, or not signed as they should be.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A source names a connector that is not there.
    #[error("a source names the connector \"{name}\", which is not in {dir}; there are: {known}", dir = dir.display())]
    NoConnector {
        /// As written.
        name: String,
        /// Where connectors were looked for.
        dir: PathBuf,
        /// Those there are.
        known: String,
    },
    /// The key for personal data cannot be read.
    #[error("engine.personal_key_file \"{}\" cannot be read; it holds at least 16 random bytes, readable by this user only", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// No key, but personal data.
    #[error(
        "engine.personal_key_file is not set, but a connector hashes personal data; make one: head -c 32 /dev/urandom > personal.key && chmod 600 personal.key"
    )]
    NoKey,
    /// A sink's token cannot be read.
    #[error("token_file \"{}\" of a sink cannot be read", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The national exchange.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The settings of Kafka.
    #[cfg(feature = "rdkafka")]
    #[error(transparent)]
    Kafka(#[from] super::kafka::SettingsError),
    /// This build cannot do it.
    #[error(
        "the configuration names Kafka, but this build is without it; build with the feature \"rdkafka\""
    )]
    NoKafka,
    /// A sink cannot be opened.
    #[error("cannot open a sink")]
    Sink(#[from] super::sink::SinkError),
}

/// The key for personal data, empty when none is set.
pub fn personal_key_bytes(config: &Config) -> Result<Arc<[u8]>, AssemblyError> {
    let Some(path) = &config.engine.personal_key_file else {
        return Ok(Arc::from([]));
    };
    let fault = |cause| AssemblyError::Key {
        path: path.clone(),
        cause,
    };
    let bytes = std::fs::read(path).map_err(fault)?;
    if bytes.len() < 16 {
        return Err(fault(std::io::Error::other(format!(
            "{} bytes are too few",
            bytes.len()
        ))));
    }
    Ok(Arc::from(bytes))
}

/// Reads the key for personal data, which must be set if a connector needs it.
pub fn personal_key(config: &Config, parts: &Parts) -> Result<Arc<[u8]>, AssemblyError> {
    if config.engine.personal_key_file.is_none()
        && parts.connectors.iter().any(|c| c.hashes_personal_data())
    {
        return Err(AssemblyError::NoKey);
    }
    personal_key_bytes(config)
}

/// Sinks as configured. Dead letters go where warnings go.
pub fn sinks(config: &Config) -> Result<Vec<Box<dyn Sink>>, AssemblyError> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    let told = OutputKind::told(config.sinks.asked);
    if let Some(dir) = &config.sinks.file {
        sinks.push(Box::new(FileSink::open(dir, &told)?));
    }
    if config.sinks.stdout {
        sinks.push(Box::new(StdoutSink::new(&[
            OutputKind::Warning,
            OutputKind::Sanction,
        ])));
    }
    if let Some(hook) = &config.sinks.webhook {
        let config = WebhookConfig {
            token: token(hook.token_file.as_deref())?,
            timeout_ms: hook.timeout_ms,
            ..WebhookConfig::new(&hook.url)
        };
        sinks.push(Box::new(WebhookSink::new(config)?));
    }
    if let (Some(sink), Some(kafka)) = (&config.sinks.kafka, &config.kafka) {
        sinks.push(kafka_sink(kafka, &sink.prefix, told)?);
    }
    Ok(sinks)
}

fn token(file: Option<&Path>) -> Result<Option<String>, AssemblyError> {
    let Some(path) = file else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|cause| AssemblyError::Token {
        path: path.to_owned(),
        cause,
    })?;
    Ok(Some(text.trim().to_owned()))
}

/// What each Alertmanager is told, as configured.
pub fn alertmanagers(config: &Config) -> Result<Vec<AlertsConfig>, AssemblyError> {
    let Some(told) = &config.sinks.alertmanager else {
        return Ok(Vec::new());
    };
    let token = token(told.token_file.as_deref())?;
    let one = |url: &String| AlertsConfig {
        url: url.clone(),
        token: token.clone(),
        link: told.link.clone(),
        level_min: told.level_min,
        refresh_ms: i64::try_from(told.refresh_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX),
        alerts_per_second_max: u32::try_from(told.alerts_per_second_max).unwrap_or(u32::MAX),
        timeout_ms: told.timeout_ms,
    };
    Ok(told.urls.iter().map(one).collect())
}

/// The national exchange as configured; its store is locked from here on.
pub fn exchange_of(config: &ExchangeConfig, clock: &Clock) -> Result<Exchange, ExchangeError> {
    let adapter: Box<dyn Adapter> = match &config.way {
        Way::Gateway(config) => Box::new(Gateway::new(config.clone(), clock.clone())?),
        Way::Batch(config) => Box::new(Batches::new(config.clone(), clock.clone())?),
        Way::Database(config) => Box::new(Database::new(config.clone(), clock.clone())?),
    };
    let desk = Desk::open(Box::new(DiskStore::open(config.dir.join("state"))?))?;
    Ok(Exchange::new(Equipment {
        desk,
        adapter,
        clock: clock.clone(),
        parallel: config.parallel,
        province: config.province.clone(),
        sends: config.sends.clone(),
        reconcile_at_ms: config.reconcile_at_ms,
        directory: config.dir.clone(),
    }))
}

/// A job that runs the configuration with these parts.
pub fn job(
    config: &Config,
    parts: Parts,
    key: &Arc<[u8]>,
    (base, until_end, clock): (&Path, bool, &Clock),
) -> Result<Job, AssemblyError> {
    let store = DiskStore::open(&config.engine.state)?;
    let attempts = Attempts::beside(&config.engine.state, &Alone::default());
    let kafka = Tally::default();
    let lanes = make_lanes(config, &parts, key, (base, until_end, clock), &kafka)?;
    let mut sinks = sinks(config)?;
    let exchange = match &config.exchange {
        None => None,
        Some(config) => {
            let exchange = exchange_of(config, clock)?;
            sinks.push(Box::new(exchange.start()));
            Some(exchange)
        }
    };
    Ok(Job {
        store: Box::new(store),
        rules: parts.rules,
        connectors: parts.connectors,
        lanes,
        attempts,
        sinks,
        shards: config.engine.shards,
        warm_subjects_max: config.engine.warm_subjects_max,
        spill: config.engine.spill(&config.engine.state),
        rule_check_every: config.engine.rule_check_every,
        asked: config.sinks.asked,
        last_deliveries_ms: config.engine.last_deliveries_seconds * 1_000,
        idle_ms: IDLE_MS,
        clock: match config.engine.clock {
            ClockKind::Wall => Some(clock.clone()),
            ClockKind::Events => None,
        },
        batch_max: config.engine.commit_events_max,
        journal_bytes_max: config.engine.checkpoint_journal_bytes,
        images_at_stop: true,
        questions: None,
        exchange,
        kafka,
        archive: config.archive.clone(),
    })
}

/// What makes the lanes of a configuration once it is known how far each source is read.
pub fn make_lanes(
    config: &Config,
    parts: &Parts,
    key: &Arc<[u8]>,
    how: (&Path, bool, &Clock),
    tally: &Tally,
) -> Result<MakeLanes, AssemblyError> {
    let specs = specs(config, parts, key, how, tally)?;
    Ok(Box::new(move |head| {
        specs.into_iter().map(|spec| lane(spec, head)).collect()
    }))
}

/// The lanes of a configuration, from the beginning of each source.
pub fn lanes(
    config: &Config,
    parts: &Parts,
    key: &Arc<[u8]>,
    how: (&Path, bool, &Clock),
) -> Result<Vec<Box<dyn Lane>>, AssemblyError> {
    let specs = specs(config, parts, key, how, &Tally::default())?;
    let head = Head::default();
    Ok(specs.into_iter().map(|spec| lane(spec, &head)).collect())
}

/// What a lane is made of.
#[derive(Debug)]
enum LaneSpec {
    File(Box<FileLaneSpec>),
    #[cfg(feature = "rdkafka")]
    Kafka(Box<super::kafka::KafkaLaneSpec>),
}

type Made = ((usize, Arc<Connector>), Arc<[u8]>, bool, Clock);

#[cfg(feature = "rdkafka")]
fn kafka_spec(
    (source, kafka): (&SourceConfig, &KafkaSource),
    cluster: &KafkaConfig,
    (connector, personal_key, until_end, clock): Made,
    tally: &Tally,
) -> Result<LaneSpec, AssemblyError> {
    Ok(LaneSpec::Kafka(Box::new(super::kafka::KafkaLaneSpec {
        name: format!("{}:kafka:{}", source.connector, kafka.topic),
        source: kafka.clone(),
        settings: super::kafka::Settings::new(cluster)?,
        connector,
        personal_key,
        until_end,
        clock,
        tally: tally.clone(),
    })))
}

#[cfg(not(feature = "rdkafka"))]
fn kafka_spec(
    _: (&SourceConfig, &KafkaSource),
    _: &KafkaConfig,
    _: Made,
    _: &Tally,
) -> Result<LaneSpec, AssemblyError> {
    Err(AssemblyError::NoKafka)
}

#[cfg(feature = "rdkafka")]
fn kafka_sink(
    cluster: &KafkaConfig,
    prefix: &str,
    told: Vec<OutputKind>,
) -> Result<Box<dyn Sink>, AssemblyError> {
    let settings = super::kafka::Settings::new(cluster)?;
    let sink = super::kafka::KafkaSink::new(settings, prefix, told);
    Ok(Box::new(sink))
}

#[cfg(not(feature = "rdkafka"))]
fn kafka_sink(
    _: &KafkaConfig,
    _: &str,
    _: Vec<OutputKind>,
) -> Result<Box<dyn Sink>, AssemblyError> {
    Err(AssemblyError::NoKafka)
}

fn specs(
    config: &Config,
    parts: &Parts,
    key: &Arc<[u8]>,
    how: (&Path, bool, &Clock),
    tally: &Tally,
) -> Result<Vec<LaneSpec>, AssemblyError> {
    let mut specs = Vec::new();
    for source in &config.sources {
        let found = parts
            .connectors
            .iter()
            .position(|c| c.id() == source.connector);
        let connector = found.and_then(|at| parts.connectors.get(at).map(|c| (at, Arc::clone(c))));
        let Some(connector) = connector else {
            let known: Vec<&str> = parts.connectors.iter().map(|c| c.id()).collect();
            return Err(AssemblyError::NoConnector {
                name: source.connector.clone(),
                dir: config.connectors_dir.clone(),
                known: known.join(", "),
            });
        };
        if let SourceKind::Kafka(kafka) = &source.kind {
            let cluster = config.kafka.as_ref().ok_or(AssemblyError::NoKafka)?;
            let (_, until_end, clock) = how;
            let made = (connector, Arc::clone(key), until_end, clock.clone());
            specs.push(kafka_spec((source, kafka), cluster, made, tally)?);
            continue;
        }
        specs.extend(spec(source, connector, key, how).map(|spec| LaneSpec::File(Box::new(spec))));
    }
    Ok(specs)
}

fn spec(
    source: &SourceConfig,
    connector: (usize, Arc<Connector>),
    key: &Arc<[u8]>,
    (base, until_end, clock): (&Path, bool, &Clock),
) -> Option<FileLaneSpec> {
    let (path, is_directory, glob, order) = match &source.kind {
        SourceKind::File { path, order } => (path.clone(), false, String::new(), *order),
        SourceKind::Directory { path, glob, order } => (path.clone(), true, glob.clone(), *order),
        SourceKind::Stdin => (PathBuf::from("-"), false, String::new(), FileOrder::Listed),
        SourceKind::Http | SourceKind::Kafka(_) => return None,
    };
    let shown = path
        .strip_prefix(base)
        .unwrap_or(&path)
        .display()
        .to_string();
    Some(FileLaneSpec {
        name: format!("{}:{shown}", source.connector),
        path,
        is_directory,
        glob,
        connector,
        personal_key: Arc::clone(key),
        is_merged: order == FileOrder::EventTime,
        until_end,
        now: clock.now(),
    })
}

fn lane(spec: LaneSpec, head: &Head) -> Box<dyn Lane> {
    match spec {
        LaneSpec::File(spec) => file_lane(*spec, head),
        #[cfg(feature = "rdkafka")]
        LaneSpec::Kafka(spec) => {
            let known = head.sources.get(&spec.name).map(|p| p.files.clone());
            Box::new(super::kafka::KafkaLane::new(
                *spec,
                known.unwrap_or_default(),
            ))
        }
    }
}

fn file_lane(spec: FileLaneSpec, head: &Head) -> Box<dyn Lane> {
    let known = head.sources.get(&spec.name).map(|p| p.files.clone());
    // What a pipe gives is gone once it is read; it begins anew.
    let positions = known
        .filter(|_| spec.path != Path::new("-"))
        .unwrap_or_default();
    Box::new(FileLane::new(spec, positions))
}

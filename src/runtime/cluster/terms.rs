//! On which terms a process takes part in a cluster: what is refused at the start, and which topics have to be there.
//!
//! errors   [`ClusterError`]

use super::member::MemberError;
use crate::engine::rule::RuleStatus;
use crate::engine::schema::Stream;
use crate::runtime::assembly::{AssemblyError, Parts};
use crate::runtime::config::cluster::ClusterConfig;
use crate::runtime::config::{Config, SourceKind};
use crate::runtime::kafka::{ANSWER, Heard, Settings, SettingsError};
use crate::runtime::run::RunError;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

/// Why a process cannot take part.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Something in the configuration needs all partitions at once.
    #[error("this cannot be shared among processes yet: {what}; {instead}")]
    Refused {
        /// What.
        what: String,
        /// What to do.
        instead: &'static str,
    },
    /// A topic is missing or of another shape.
    #[error("topic \"{topic}\": {what}")]
    Topic {
        /// The topic.
        topic: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// The parts of a job.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// The settings of Kafka.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The group.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// A partition.
    #[error("partition {partition} of {stage}")]
    Run {
        /// The stage.
        stage: &'static str,
        /// The partition.
        partition: u32,
        /// Why.
        #[source]
        cause: Box<RunError>,
    },
    /// A state that cannot be carried into the cluster.
    #[error("the state cannot be carried into the cluster: {what}")]
    Carry {
        /// Why, and what to do.
        what: String,
    },
    /// A thread ended without a word: a bug.
    #[error("a partition ended without a reason; this is a bug, please report it with the log")]
    Gone,
}

/// Refuses what would be judged wrongly when no process sees everything.
pub(super) fn refuse(config: &Config, parts: &Parts) -> Result<(), ClusterError> {
    let refused = |what: String, instead| Err(ClusterError::Refused { what, instead });
    let collective = parts.rules.0.rules().iter().find(|rule| {
        let manifest = rule.manifest();
        manifest.status != RuleStatus::Draft
            && manifest.status != RuleStatus::Retired
            && manifest.subjects.iter().any(|kind| kind.is_collective())
    });
    if let Some(rule) = collective {
        let what = format!(
            "rule {} ({}) counts what happens in a region, an industry or at a department, whose facts are with several owners",
            rule.manifest().id,
            rule.manifest().file
        );
        return refused(
            what,
            "run it in one process without [cluster], or set its status to draft",
        );
    }
    for source in &config.sources {
        if source.kind == SourceKind::Http {
            let what = format!("source {} of kind http", source.connector);
            return refused(what, "let it be written to a topic");
        }
        let mut named = parts.connectors.iter();
        let stream = named
            .find(|c| c.id() == source.connector)
            .map(|c| c.stream());
        let brings = match stream {
            Some(Stream::Action) => {
                Some("acts of officers, whose quotas and switches hold for the whole province")
            }
            Some(Stream::Catalogue) => {
                Some("the catalogue, by which warnings of the whole province find their route")
            }
            _ => None,
        };
        if let Some(brings) = brings {
            let what = format!("source {} brings {brings}", source.connector);
            return refused(what, "run it in one process without [cluster]");
        }
    }
    let others = [
        (config.sinks.file.is_some(), "[sinks.file]"),
        (config.sinks.stdout, "[sinks.stdout]"),
        (config.sinks.webhook.is_some(), "[sinks.webhook]"),
        (config.sinks.alertmanager.is_some(), "[sinks.alertmanager]"),
        (config.exchange.is_some(), "[exchange]"),
        (config.archive.is_some(), "[archive]"),
    ];
    match others.iter().find(|(is_there, _)| *is_there) {
        Some((_, name)) => refused(
            (*name).to_owned(),
            "only [sinks.kafka] has outputs of several owners in one order a subject; let a process read its topics",
        ),
        None => Ok(()),
    }
}

/// The number of partitions of the events, when all topics are there and fit.
pub(super) fn partitions(
    settings: &Settings,
    cluster: &ClusterConfig,
) -> Result<u32, ClusterError> {
    let wrong = |topic: &str, what: String| ClusterError::Topic {
        topic: topic.to_owned(),
        what,
    };
    let event = cluster.event_topic();
    let heard = Heard::default();
    let said = |error: KafkaError, consumer: Option<&BaseConsumer<Heard>>| {
        let why = heard.explain(&error, consumer);
        let what =
            format!("the Kafka cluster cannot be asked about it: {why}; check kafka.brokers");
        wrong(&event, what)
    };
    let consumer: BaseConsumer<Heard> = settings
        .reader()
        .create_with_context(heard.clone())
        .map_err(|error| said(error, None))?;
    let metadata = consumer
        .fetch_metadata(None, ANSWER)
        .map_err(|error| said(error, Some(&consumer)))?;
    let count = |topic: &str| {
        let found = metadata.topics().iter().find(|t| t.name() == topic);
        let count = found.map_or(0, |t| t.partitions().len());
        match u32::try_from(count) {
            Ok(0) | Err(_) => {
                let what = "it is not there; make it: fenghuo topics create".to_owned();
                Err(wrong(topic, what))
            }
            Ok(count) => Ok(count),
        }
    };
    let partitions = count(&event)?;
    for (topic, expected) in [
        (cluster.state_topic(), partitions),
        (cluster.ingest_topic(), 1),
    ] {
        let found = count(&topic)?;
        if found != expected {
            let what = format!(
                "it has {found} partitions, it needs {expected} (\"{event}\" has {partitions}); make it anew: fenghuo topics create"
            );
            return Err(wrong(&topic, what));
        }
    }
    Ok(partitions)
}

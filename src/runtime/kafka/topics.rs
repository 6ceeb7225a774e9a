//! The topics that a configuration needs: what is there, what is missing, what is wrong; and making the missing ones.
//!
//! Only topics of the sinks are made; those of sources belong to whoever fills them and are only looked at.
//!
//! errors   [`TopicsError`]: no `[kafka]`, a cluster that cannot be asked, a topic that it refuses to make

use super::client::{ANSWER, Heard, Settings, SettingsError};
use super::sink::topic_of;
use crate::runtime::clock::Stopwatch;
use crate::runtime::config::cluster::ClusterConfig;
use crate::runtime::config::{Config, SourceKind};
use crate::runtime::sink::OutputKind;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataTopic};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long new topics are waited for, µs, and how often they are looked for.
const SHOWN_US: u64 = 10_000_000;
const SHOWN_EVERY: Duration = Duration::from_millis(100);

/// How new topics are made.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Partitions a topic.
    pub partitions: i32,
    /// Copies of each.
    pub replication: i32,
    /// How long messages are kept, ms; -1: for good.
    pub retention_ms: i64,
}

/// How a topic stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub topic: String,
    /// Whether the engine writes it; else it reads it.
    pub is_written: bool,
    /// Partitions that there are; none if it is not there.
    pub partitions: Option<usize>,
    /// The fewest copies of a partition.
    pub replication: usize,
    /// What is wrong, in words.
    pub wrong: Vec<String>,
}

/// Why topics cannot be looked at or made.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// Nothing says where the cluster is.
    #[error("the configuration has no [kafka], so there is no cluster to ask")]
    NoCluster,
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The cluster does not answer.
    #[error(
        "the Kafka cluster at {brokers} does not answer: {why}; check kafka.brokers, and with TLS or SASL the files and the user"
    )]
    Cluster {
        /// As configured.
        brokers: String,
        /// Why.
        why: String,
    },
    /// It refuses to make a topic.
    #[error("topic \"{topic}\" cannot be made: {why}")]
    Refused {
        /// The topic.
        topic: String,
        /// Why.
        why: String,
    },
    /// No thread to wait on.
    #[error("cannot start waiting for the cluster")]
    Runtime(#[from] std::io::Error),
}

/// The topics of a configuration by name: whether each is written.
fn wanted(config: &Config) -> BTreeMap<String, bool> {
    let mut wanted = BTreeMap::new();
    for source in &config.sources {
        if let SourceKind::Kafka(source) = &source.kind {
            wanted.insert(source.topic.clone(), false);
        }
    }
    if let Some(sink) = &config.sinks.kafka {
        let told = OutputKind::told(config.sinks.asked).into_iter();
        wanted.extend(told.map(|kind| (topic_of(&sink.prefix, kind), true)));
    }
    if let Some(cluster) = &config.cluster {
        let topics = [
            cluster.event_topic(),
            cluster.state_topic(),
            cluster.ingest_topic(),
        ];
        wanted.extend(topics.map(|topic| (topic, true)));
    }
    wanted
}

fn compacted(config: &Config) -> Vec<String> {
    let told = OutputKind::told(config.sinks.asked).into_iter();
    let compacted = told.filter(|kind| kind.is_compacted());
    let sink = config.sinks.kafka.iter();
    sink.flat_map(|sink| compacted.clone().map(|kind| topic_of(&sink.prefix, kind)))
        .collect()
}

/// A cluster, to ask.
#[derive(Debug)]
pub struct Topics {
    settings: Settings,
    brokers: String,
    wanted: BTreeMap<String, bool>,
    /// Topics that keep everything: the logs of state.
    kept: Vec<String>,
    /// Topics that keep the last message of each key.
    compacted: Vec<String>,
    /// The topic that has one partition.
    single: Option<String>,
}

impl Topics {
    /// The topics of a configuration.
    pub fn of(config: &Config) -> Result<Self, TopicsError> {
        let kafka = config.kafka.as_ref().ok_or(TopicsError::NoCluster)?;
        Ok(Self {
            settings: Settings::new(kafka)?,
            brokers: kafka.brokers.clone(),
            wanted: wanted(config),
            kept: config
                .cluster
                .iter()
                .flat_map(|cluster| [cluster.state_topic(), cluster.ingest_topic()])
                .collect(),
            compacted: compacted(config),
            single: config.cluster.as_ref().map(ClusterConfig::ingest_topic),
        })
    }

    fn client(&self) -> Result<AdminClient<DefaultClientContext>, TopicsError> {
        self.settings
            .plain()
            .create()
            .map_err(|cause| self.cluster(&cause))
    }

    /// What the cluster has, or why it does not let us in.
    fn metadata(&self) -> Result<Metadata, TopicsError> {
        let heard = Heard::default();
        let consumer: BaseConsumer<Heard> = self
            .settings
            .reader()
            .create_with_context(heard.clone())
            .map_err(|cause| self.cluster(&cause))?;
        let asked = consumer.fetch_metadata(None, ANSWER);
        asked.map_err(|cause| TopicsError::Cluster {
            brokers: self.brokers.clone(),
            why: heard.explain(&cause, Some(&consumer)),
        })
    }

    fn cluster(&self, cause: &KafkaError) -> TopicsError {
        TopicsError::Cluster {
            brokers: self.brokers.clone(),
            why: cause.to_string(),
        }
    }

    /// How each topic stands. Written topics should have the same number of partitions.
    pub fn check(&self) -> Result<Vec<Standing>, TopicsError> {
        let metadata = self.metadata()?;
        let mut found: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for topic in metadata.topics().iter().filter(|t| t.error().is_none()) {
            let copies = topic.partitions().iter().map(|p| p.replicas().len()).min();
            found.insert(
                topic.name(),
                (topic.partitions().len(), copies.unwrap_or(0)),
            );
        }
        let single = self.single.as_deref();
        let brokers = metadata.brokers().len();
        let mut standings = standings((&self.wanted, single), &found, brokers);
        self.look_at_cleaning(&self.client()?, &mut standings)?;
        Ok(standings)
    }

    /// Whether what has to stay stays: the logs of state whole, of compacted topics the last message of each key.
    fn look_at_cleaning(
        &self,
        client: &AdminClient<DefaultClientContext>,
        standings: &mut [Standing],
    ) -> Result<(), TopicsError> {
        let is_looked_at = |s: &&mut Standing| {
            let matters = self.kept.contains(&s.topic) || self.compacted.contains(&s.topic);
            matters && s.partitions.is_some()
        };
        let mut looked_at: Vec<&mut Standing> = standings.iter_mut().filter(is_looked_at).collect();
        let names: Vec<String> = looked_at.iter().map(|s| s.topic.clone()).collect();
        let asked: Vec<ResourceSpecifier<'_>> = names
            .iter()
            .map(|topic| ResourceSpecifier::Topic(topic))
            .collect();
        if asked.is_empty() {
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let options = AdminOptions::new().request_timeout(Some(ANSWER));
        let told = runtime
            .block_on(client.describe_configs(&asked, &options))
            .map_err(|cause| self.cluster(&cause))?;
        for resource in told {
            let resource = match resource {
                Ok(resource) => resource,
                Err(error) => {
                    tracing::warn!(%error, "the settings of a topic cannot be read, so they are not checked");
                    continue;
                }
            };
            let OwnedResourceSpecifier::Topic(topic) = &resource.specifier else {
                continue;
            };
            let value = |name: &str| resource.get(name).and_then(|e| e.value.as_deref());
            let (policy, retention) = (value("cleanup.policy"), value("retention.ms"));
            let wrong = uncleaned(self.compacted.contains(topic), (policy, retention));
            let mut standing = looked_at.iter_mut().filter(|s| s.topic == *topic);
            if let (Some(standing), Some(wrong)) = (standing.next(), wrong) {
                standing.wrong.push(wrong);
            }
        }
        Ok(())
    }

    /// How many partitions a topic is made with.
    pub fn partitions_of(&self, topic: &str, shape: Shape) -> i32 {
        if self.single.as_deref() == Some(topic) {
            1
        } else {
            shape.partitions
        }
    }

    /// Makes the topics that are missing and are written, and waits until the cluster shows them.
    pub fn create(&self, missing: &[String], shape: Shape) -> Result<(), TopicsError> {
        let client = self.client()?;
        let retention = shape.retention_ms.to_string();
        // A message counts when two copies have it, where there are three.
        let min_in_sync = if 3 <= shape.replication { "2" } else { "1" };
        let topics: Vec<NewTopic<'_>> = missing
            .iter()
            .map(|topic| {
                let is_kept = self.kept.contains(topic);
                NewTopic::new(
                    topic,
                    self.partitions_of(topic, shape),
                    TopicReplication::Fixed(shape.replication),
                )
                .set(
                    "cleanup.policy",
                    if self.compacted.contains(topic) {
                        "compact"
                    } else {
                        "delete"
                    },
                )
                .set("retention.ms", if is_kept { "-1" } else { &retention })
                .set("min.insync.replicas", min_in_sync)
                .set("unclean.leader.election.enable", "false")
            })
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let made = runtime
            .block_on(client.create_topics(&topics, &options))
            .map_err(|cause| self.cluster(&cause))?;
        for result in made {
            if let Err((topic, code)) = result
                && code != rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists
            {
                let why = code.to_string();
                return Err(TopicsError::Refused { topic, why });
            }
        }
        self.await_shown(missing)
    }

    /// A topic is made when the controller says so; a moment later every broker knows it and its partitions have leaders.
    fn await_shown(&self, made: &[String]) -> Result<(), TopicsError> {
        let watch = Stopwatch::start();
        loop {
            let metadata = self.metadata()?;
            let mut left = made.iter().filter(|name| {
                let mut topics = metadata.topics().iter();
                let found = topics.find(|t| t.name() == **name && t.error().is_none());
                let is_led = |t: &MetadataTopic| {
                    !t.partitions().is_empty() && t.partitions().iter().all(|p| 0 <= p.leader())
                };
                !found.is_some_and(is_led)
            });
            let Some(topic) = left.next() else {
                return Ok(());
            };
            if SHOWN_US < watch.elapsed_us() {
                tracing::warn!(
                    topic,
                    "the topic was made, but the cluster does not show it yet"
                );
                return Ok(());
            }
            std::thread::park_timeout(SHOWN_EVERY);
        }
    }
}

/// What is wrong with how a topic is cleaned, as the broker says.
fn uncleaned(
    is_compacted: bool,
    (policy, retention): (Option<&str>, Option<&str>),
) -> Option<String> {
    if is_compacted {
        let is_wrong = policy.is_some_and(|policy| policy != "compact");
        return is_wrong.then(|| {
            let policy = policy.unwrap_or_default();
            format!("cleanup.policy = {policy}; it must be compact, so that the last message of each subject stays")
        });
    }
    let keeps = policy == Some("delete") && retention == Some("-1");
    (!keeps && policy.is_some()).then(|| {
        let (policy, retention) = (policy.unwrap_or_default(), retention.unwrap_or_default());
        format!("cleanup.policy = {policy}, retention.ms = {retention}; it must be delete and -1, so that the log of state stays whole")
    })
}

fn standings(
    (wanted, single): (&BTreeMap<String, bool>, Option<&str>),
    found: &BTreeMap<&str, (usize, usize)>,
    brokers: usize,
) -> Vec<Standing> {
    let counts = wanted.iter().filter(|(_, is_written)| **is_written);
    let most = counts
        .filter_map(|(topic, _)| found.get(topic.as_str()))
        .map(|f| f.0)
        .max();
    let standing = |(topic, is_written): (&String, &bool)| {
        let mut wrong = Vec::new();
        let (partitions, replication) = match found.get(topic.as_str()) {
            None => {
                wrong.push("not there".to_owned());
                (None, 0)
            }
            Some((partitions, replication)) => {
                let is_single = single == Some(topic.as_str());
                if is_single && *partitions != 1 {
                    wrong.push(format!("{partitions} partitions; it must have one"));
                }
                if *is_written && !is_single && Some(*partitions) != most {
                    let most = most.unwrap_or(0);
                    wrong.push(format!("{partitions} partitions where others have {most}; order per subject holds, load is uneven"));
                }
                if *is_written && *replication < brokers.min(3) {
                    wrong.push(format!("{replication} copies on {brokers} brokers: losing one broker may lose messages"));
                }
                (Some(*partitions), *replication)
            }
        };
        Standing {
            topic: topic.clone(),
            is_written: *is_written,
            partitions,
            replication,
            wrong,
        }
    };
    wanted.iter().map(standing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_stay_must_not_be_cleaned_away() {
        let wrong = |is_compacted, policy, retention| {
            uncleaned(is_compacted, (Some(policy), Some(retention))).is_some()
        };
        assert!(!wrong(false, "delete", "-1"));
        assert!(wrong(false, "delete", "604800000"));
        assert!(wrong(false, "compact", "-1"));
        assert!(!wrong(true, "compact", "604800000"));
        assert!(wrong(true, "delete", "-1"));
    }

    #[test]
    fn what_is_wrong_with_a_topic_is_said() {
        let wanted = [
            ("in".to_owned(), false),
            ("out-1".to_owned(), true),
            ("out-2".to_owned(), true),
            ("out-3".to_owned(), true),
        ];
        let found = [("in", (3, 1)), ("out-1", (8, 3)), ("out-2", (4, 1))];
        let standings = standings((&wanted.into(), None), &found.into(), 3);
        let wrong: Vec<usize> = standings.iter().map(|s| s.wrong.len()).collect();
        assert_eq!(wrong, [0, 0, 2, 1], "{standings:?}");
    }
}

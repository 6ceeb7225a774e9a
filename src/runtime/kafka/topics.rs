//! The topics that a configuration needs: what is there, what is missing, what is wrong; and making the missing ones.
//!
//! Only topics of the sinks are made; those of sources belong to whoever fills them and are only looked at.
//!
//! errors   [`TopicsError`]: no `[kafka]`, a cluster that cannot be asked, a topic that it refuses to make

use super::client::{ANSWER, Settings, SettingsError};
use super::sink::topic_of;
use crate::runtime::config::cluster::ClusterConfig;
use crate::runtime::config::{Config, SourceKind};
use crate::runtime::sink::OutputKind;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use std::collections::BTreeMap;

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
    #[error("the Kafka cluster at {brokers} does not answer; check kafka.brokers")]
    Cluster {
        /// As configured.
        brokers: String,
        /// Why.
        #[source]
        cause: KafkaError,
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
        wanted.extend(OutputKind::ALL.map(|kind| (topic_of(&sink.prefix, kind), true)));
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

/// A cluster, to ask.
#[derive(Debug)]
pub struct Topics {
    settings: Settings,
    brokers: String,
    wanted: BTreeMap<String, bool>,
    /// Topics that keep everything: the logs of state.
    kept: Vec<String>,
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
            single: config.cluster.as_ref().map(ClusterConfig::ingest_topic),
        })
    }

    fn client(&self) -> Result<AdminClient<DefaultClientContext>, TopicsError> {
        self.settings
            .plain()
            .create()
            .map_err(|cause| self.cluster(cause))
    }

    fn cluster(&self, cause: KafkaError) -> TopicsError {
        TopicsError::Cluster {
            brokers: self.brokers.clone(),
            cause,
        }
    }

    /// How each topic stands. Written topics should have the same number of partitions.
    pub fn check(&self) -> Result<Vec<Standing>, TopicsError> {
        let client = self.client()?;
        let metadata = client
            .inner()
            .fetch_metadata(None, ANSWER)
            .map_err(|cause| self.cluster(cause))?;
        let mut found: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for topic in metadata.topics().iter().filter(|t| t.error().is_none()) {
            let copies = topic.partitions().iter().map(|p| p.replicas().len()).min();
            found.insert(
                topic.name(),
                (topic.partitions().len(), copies.unwrap_or(0)),
            );
        }
        let single = self.single.as_deref();
        Ok(standings(
            (&self.wanted, single),
            &found,
            metadata.brokers().len(),
        ))
    }

    /// How many partitions a topic is made with.
    pub fn partitions_of(&self, topic: &str, shape: Shape) -> i32 {
        if self.single.as_deref() == Some(topic) {
            1
        } else {
            shape.partitions
        }
    }

    /// Makes the topics that are missing and are written; gives their names.
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
                .set("cleanup.policy", "delete")
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
            .map_err(|cause| self.cluster(cause))?;
        for result in made {
            if let Err((topic, code)) = result
                && code != rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists
            {
                let why = code.to_string();
                return Err(TopicsError::Refused { topic, why });
            }
        }
        Ok(())
    }
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

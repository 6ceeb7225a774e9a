//! `[cluster]`: how this process shares the subjects of the province with others, through the broker.
//!
//! units    `_ms` milliseconds; `copy_after_kb` KiB in the file, here bytes
//! errors   a name that Kafka would not take

use super::kafka::is_topic;
use super::table::{Table, TomlError};

/// How long a process may be silent before others take over, ms, 6,000..=300,000, when nothing is said.
pub const SESSION_TIMEOUT_MS: u64 = 45_000;
/// State log after which a copy of the whole state is written, KiB, 64..=67,108,864, when nothing is said.
pub const COPY_AFTER_KB: u64 = 262_144;
/// How many other processes follow the log of each partition, 0..=3, when nothing is said.
pub const STANDBY: u64 = 1;

/// `[cluster]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// The name of this process, its own and the same after a restart.
    pub instance: String,
    /// Stands before the names of the topics that hold the cluster together, and of its groups.
    pub prefix: String,
    /// How long this process may be silent before others take over.
    pub session_timeout_ms: u64,
    /// State log after which a copy of the whole state is written.
    pub copy_after_bytes: u64,
    /// How many other processes follow the log of each partition.
    pub standby: usize,
}

impl ClusterConfig {
    /// The topic between the stages.
    pub fn event_topic(&self) -> String {
        format!("{}fenghuo.event.v1", self.prefix)
    }

    /// The topic with the state of every partition.
    pub fn state_topic(&self) -> String {
        format!("{}fenghuo.state.v1", self.prefix)
    }

    /// The topic with the positions of the ingest stage; one partition.
    pub fn ingest_topic(&self) -> String {
        format!("{}fenghuo.ingest.v1", self.prefix)
    }
}

pub(super) fn cluster(
    file: &mut Table<'_>,
    has_topics: bool,
) -> Result<Option<ClusterConfig>, TomlError> {
    let Some(mut table) = file.table("cluster")? else {
        return Ok(None);
    };
    if !has_topics {
        let what = "[cluster] needs [kafka] and [sinks.kafka]: the broker holds it together";
        return Err(table.error(&table.at(), what));
    }
    let instance = table.need_text("instance")?;
    let prefix = table.text("prefix")?;
    let names = [Some(&instance), prefix.as_ref()];
    for (key, name) in ["instance", "prefix"].iter().zip(names) {
        if let Some(name) = name
            && (!is_topic(&name.value) || 200 < name.value.len())
        {
            let what = "at most 200 of a-z, A-Z, 0-9, \".\", \"_\" and \"-\"";
            let message = format!("\"{key}\" is \"{}\"; {what}", name.value);
            return Err(table.error(&name.at, message));
        }
    }
    let config = ClusterConfig {
        instance: instance.value,
        prefix: prefix.map(|prefix| prefix.value).unwrap_or_default(),
        session_timeout_ms: table.integer(
            "session_timeout_ms",
            SESSION_TIMEOUT_MS,
            6_000..=300_000,
        )?,
        copy_after_bytes: table.integer("copy_after_kb", COPY_AFTER_KB, 64..=67_108_864)? * 1_024,
        standby: usize::try_from(table.integer("standby", STANDBY, 0..=3)?).unwrap_or(0),
    };
    table.finish()?;
    Ok(Some(config))
}

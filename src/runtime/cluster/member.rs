//! Membership in a consumer group: which partitions this process shall try to own.
//!
//! Nothing is read through it: its partitions are paused. A member has a name of its own, so that a restart within the
//! session time moves nothing. During a rebalance it keeps what it has; whether it may is decided by the log.
//!
//! errors   [`MemberError`]: another process has the same name, or the client gives up

use crate::runtime::clock::Stopwatch;
use crate::runtime::kafka::Settings;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::groups::GroupMemberInfo;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a member that was told to give everything back waits for what it gets instead, µs.
const BETWEEN_US: u64 = 15_000_000;
/// Within which memberships that were taken over are counted ([`Group::fenced_max`]), µs.
const FENCED_US: u64 = 60_000_000;
/// How long the broker may take to list members.
const MEMBERS: Duration = Duration::from_secs(2);
/// A UUID as text, which the broker puts after the name of a member.
const UUID_CHARS: usize = 36;

/// Why there is no membership.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// Two processes with one name.
    #[error(
        "another process runs as cluster.instance = \"{instance}\"; every process needs a name of its own, give this one another and start it again"
    )]
    SameName {
        /// The name.
        instance: String,
    },
    /// The client has given up.
    #[error("the Kafka client has given up: {0}")]
    Client(String),
}

/// Which group, and as whom.
#[derive(Debug, Clone)]
pub struct Group {
    /// The group.
    pub id: String,
    /// The topic whose partitions are shared.
    pub topic: String,
    /// The name of this process.
    pub instance: String,
    /// How long a member may be silent before its partitions go to others, ms.
    pub session_timeout_ms: u64,
    /// How often the membership may be taken over within a minute before it is believed that another process has the name: a
    /// broker that answers slowly may take a process that asks twice for two. Of two processes with one name the first to be
    /// taken over once more ends, so of several groups only one may be so quick: else each may end by another group.
    pub fenced_max: usize,
}

impl Group {
    /// What stands after the name of a process in `instance`.
    fn suffix(&self) -> String {
        let stage = self.id.rsplit('-').next().unwrap_or_default();
        format!("-{stage}")
    }
}

#[derive(Debug, Default)]
struct Wish {
    partitions: BTreeSet<u32>,
    between: Option<Stopwatch>,
}

#[derive(Debug, Default)]
struct Ears(Mutex<Wish>);

impl ClientContext for Ears {}

impl ConsumerContext for Ears {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(_) = rebalance {
            let mut wish = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            wish.between = Some(Stopwatch::start());
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            if let Err(error) = consumer.pause(list) {
                tracing::warn!(%error, "partitions of the group cannot be paused");
            }
            let mut wish = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            wish.partitions = numbers(list);
            wish.between = None;
        }
    }
}

/// The name of a process from the number that the broker gave its membership: `name-ingest-<uuid>`.
fn name_of<'m>(member: &'m str, suffix: &str) -> Option<&'m str> {
    let end = member.len().checked_sub(UUID_CHARS + 1)?;
    member.get(..end)?.strip_suffix(suffix)
}

/// The partitions of a topic in an assignment: version (i16), topics, each with its partitions; all lengths i32, names i16.
fn assigned(mut bytes: &[u8], topic: &str) -> Option<BTreeSet<u32>> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (head, rest) = bytes.split_first_chunk::<N>()?;
        *bytes = rest;
        Some(*head)
    }
    if bytes.is_empty() {
        return Some(BTreeSet::new());
    }
    let mut all = BTreeSet::new();
    take::<2>(&mut bytes)?;
    for _ in 0..i32::from_be_bytes(take(&mut bytes)?) {
        let length = usize::try_from(i16::from_be_bytes(take(&mut bytes)?)).ok()?;
        let (name, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        for _ in 0..i32::from_be_bytes(take(&mut bytes)?) {
            let partition = i32::from_be_bytes(take(&mut bytes)?);
            if name == topic.as_bytes() {
                all.insert(u32::try_from(partition).ok()?);
            }
        }
    }
    Some(all)
}

fn numbers(list: &TopicPartitionList) -> BTreeSet<u32> {
    let elements = list.elements();
    let numbers = elements.iter().map(|e| u32::try_from(e.partition()));
    numbers.flatten().collect()
}

/// See the module.
pub struct Member {
    settings: Settings,
    consumer: BaseConsumer<Ears>,
    group: Group,
    /// When memberships of this process were taken over lately.
    fenced: Vec<Stopwatch>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl Member {
    /// Joins.
    pub fn join(settings: &Settings, group: Group) -> Result<Self, MemberError> {
        Ok(Self {
            settings: settings.clone(),
            consumer: Self::enter(settings, &group, Wish::default())?,
            group,
            fenced: Vec::new(),
        })
    }

    fn enter(
        settings: &Settings,
        group: &Group,
        wish: Wish,
    ) -> Result<BaseConsumer<Ears>, MemberError> {
        let said = |error: KafkaError| MemberError::Client(error.to_string());
        let session_ms = group.session_timeout_ms;
        let consumer: BaseConsumer<Ears> = settings
            .plain()
            .set("group.id", &group.id)
            .set("group.instance.id", &group.instance)
            .set("session.timeout.ms", session_ms.to_string())
            .set("heartbeat.interval.ms", (session_ms / 6).to_string())
            .set("partition.assignment.strategy", "range")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "latest")
            .set("queued.max.messages.kbytes", "64")
            .create_with_context(Ears(Mutex::new(wish)))
            .map_err(said)?;
        consumer.subscribe(&[&group.topic]).map_err(said)?;
        Ok(consumer)
    }

    /// Joins anew after the membership was taken over; keeps what it has meanwhile, as in any rebalance.
    fn join_again(&mut self) -> Result<(), MemberError> {
        self.fenced.retain(|since| since.elapsed_us() < FENCED_US);
        if self.group.fenced_max <= self.fenced.len() {
            let instance = self.group.instance.clone();
            return Err(MemberError::SameName { instance });
        }
        self.fenced.push(Stopwatch::start());
        tracing::warn!(group = %self.group.id, instance = self.group.instance, "the broker has given the membership to another client of this name; joining again");
        let wish = self.consumer.context().0.lock();
        let partitions = wish
            .unwrap_or_else(PoisonError::into_inner)
            .partitions
            .clone();
        let wish = Wish {
            partitions,
            between: Some(Stopwatch::start()),
        };
        self.consumer = Self::enter(&self.settings, &self.group, wish)?;
        Ok(())
    }

    /// The members of the group and what each has, as the broker knows it; nothing while it cannot say. Members without a
    /// name of their own are left out.
    pub fn members(&self) -> Option<BTreeMap<String, BTreeSet<u32>>> {
        let list = self
            .consumer
            .fetch_group_list(Some(&self.group.id), MEMBERS);
        let list = list
            .inspect_err(|error| tracing::debug!(group = %self.group.id, %error, "members"))
            .ok()?;
        let mut groups = list.groups().iter();
        // While partitions change hands nobody has any.
        let group = groups.find(|g| g.name() == self.group.id && g.state() == "Stable")?;
        let member = |m: &GroupMemberInfo| {
            let assigned = assigned(m.assignment().unwrap_or_default(), &self.group.topic)?;
            Some((name_of(m.id(), &self.group.suffix())?.to_owned(), assigned))
        };
        Some(group.members().iter().filter_map(member).collect())
    }

    /// Takes part for a moment; the partitions that this process shall try to own.
    pub fn poll(&mut self) -> Result<BTreeSet<u32>, MemberError> {
        if let Some(Err(error)) = self.consumer.poll(Duration::from_millis(100)) {
            tracing::debug!(group = %self.group.id, %error, "group");
        }
        if let Some((code, why)) = self.consumer.client().fatal_error() {
            if code != RDKafkaErrorCode::FencedInstanceId {
                return Err(MemberError::Client(format!("{code}: {why}")));
            }
            self.join_again()?;
        }
        let context = self.consumer.context();
        let wish = context.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_out = wish.between.is_some_and(|b| BETWEEN_US < b.elapsed_us());
        Ok(if is_out {
            BTreeSet::new()
        } else {
            wish.partitions.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_known_by_its_name_and_its_partitions() {
        let id = "fenghuo-1-engine-7f2c1c7a-9d5e-4f39-8a83-0a3c0d6f2b11";
        assert_eq!(name_of(id, "-engine"), Some("fenghuo-1"));
        assert_eq!(name_of("rdkafka-1", "-engine"), None);
        let mut bytes = vec![0, 1, 0, 0, 0, 2];
        for (topic, partitions) in [("other", &[9_i32][..]), ("event", &[0, 3])] {
            bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
            bytes.extend(topic.bytes());
            bytes.extend(i32::try_from(partitions.len()).unwrap().to_be_bytes());
            bytes.extend(partitions.iter().flat_map(|p| p.to_be_bytes()));
        }
        assert_eq!(assigned(&bytes, "event"), Some(BTreeSet::from([0, 3])));
        assert_eq!(assigned(&bytes[..9], "event"), None);
        assert_eq!(assigned(&[], "event"), Some(BTreeSet::new()));
    }
}

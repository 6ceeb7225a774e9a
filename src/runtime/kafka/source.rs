//! A lane of a Kafka topic: all of its partitions, from where the last durable commit stopped.
//!
//! Each partition is a file of the source, `topic/partition`; its position is the offset of the next message, kept in the
//! same commit as what came of the ones before. Librdkafka fetches in the background into a bounded buffer; the lane only
//! takes what is there. A partition whose queue is full pauses; so does everything when `rate_max` is used up.
//!
//! Messages without a key are read like others: the record says whom it is about. A message that is no record goes to the
//! dead letters with topic, partition and offset; one that is too long is kept cut.
//!
//! errors   a cluster that cannot be reached, or a topic that is not there, [`PATIENCE_US`] after the start, and, for good, messages that expired
//!          before they were read. While it runs, a broker that goes away is waited for.

use super::client::{ANSWER, Heard, Settings};
use super::envelope::{Opener, Wrapped};
use super::partitions::{Partition, Partitions};
use super::tally::Tally;
use crate::engine::connector::{Connector, Decoder, RECORD_BYTES_MAX};
use crate::engine::record::Prepared;
use crate::engine::reject::{Reject, RejectCode};
use crate::engine::time::EventTime;
use crate::runtime::attempt::{Attempts, Spot};
use crate::runtime::clock::{Clock, Stopwatch};
use crate::runtime::config::FileOrder;
use crate::runtime::config::kafka::{Envelope, KafkaSource};
use crate::runtime::dlq::BYTES_MAX;
use crate::runtime::journal::FilePosition;
use crate::runtime::source::{Decoded, Lane, Place, READY_MAX, Refill, SourceFault};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Headers;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Messages taken from librdkafka at once, and their bytes.
const POLL_MAX: usize = 4_096;
const POLL_BYTES_MAX: usize = 16 << 20;
/// How long to wait for a message that is known to be there.
const POLL_WAIT: Duration = Duration::from_millis(5);
/// Time between tries to reach the cluster at the start, µs.
const RETRY_US: u64 = 2_000_000;
/// How long a cluster that does not answer at the start is asked again before that is a fault, µs: a node that restarts is back by then.
const PATIENCE_US: u64 = 20_000_000;

/// What a Kafka lane is made of.
#[derive(Debug, Clone)]
pub struct KafkaLaneSpec {
    /// The source's name.
    pub name: String,
    /// What and how.
    pub source: KafkaSource,
    /// The cluster.
    pub settings: Settings,
    /// The connector and its place in the list.
    pub connector: (usize, Arc<Connector>),
    /// The key that personal data is hashed with.
    pub personal_key: Arc<[u8]>,
    /// Whether the end of the topic, as it is met, is the end of it.
    pub until_end: bool,
    /// No record may be later than now by more than the connector's allowance.
    pub clock: Clock,
    /// Where how far it is read is noted.
    pub tally: Tally,
}

/// See the module.
pub struct KafkaLane {
    spec: KafkaLaneSpec,
    attempts: Arc<Attempts>,
    topic: Arc<str>,
    positions: BTreeMap<String, FilePosition>,
    decoder: Decoder,
    opener: Opener,
    link: Option<Link>,
    tried: Option<Stopwatch>,
    /// When it was tried first.
    since: Option<Stopwatch>,
    ready: VecDeque<Decoded>,
    pace: Option<Pace>,
}

struct Link {
    consumer: BaseConsumer<Ears>,
    partitions: Partitions,
}

impl fmt::Debug for KafkaLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLane")
            .field("name", &self.spec.name)
            .finish_non_exhaustive()
    }
}

/// Hears librdkafka's statistics.
struct Ears {
    topic: Arc<str>,
    tally: Tally,
    heard: Heard,
}

impl ClientContext for Ears {
    fn error(&self, error: KafkaError, reason: &str) {
        self.heard.note(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(self.topic.as_ref()) else {
            return;
        };
        for (number, partition) in &topic.partitions {
            if let (0.., Ok(end)) = (*number, u64::try_from(partition.hi_offset)) {
                self.tally.ends_at(&self.topic, *number, end);
            }
        }
    }
}

impl ConsumerContext for Ears {}

/// So many records a second, no more than a second's worth at once.
#[derive(Debug)]
struct Pace {
    rate_max: u64,
    since: Stopwatch,
    taken: u64,
}

impl Pace {
    fn may_take(&mut self, max: usize) -> usize {
        let elapsed_us = self.since.elapsed_us();
        if 1_000_000 <= elapsed_us {
            (self.since, self.taken) = (Stopwatch::start(), 0);
        }
        // A tenth of a second's worth is there from the beginning.
        let allowed = self
            .rate_max
            .saturating_mul(elapsed_us.clamp(100_000, 1_000_000))
            / 1_000_000;
        let left = allowed.max(1).saturating_sub(self.taken);
        usize::try_from(left).unwrap_or(max).min(max)
    }

    fn took(&mut self, count: usize) {
        self.taken += u64::try_from(count).unwrap_or(0);
    }
}

struct Raw {
    partition: i32,
    offset: u64,
    value: Option<Vec<u8>>,
    is_too_long: bool,
    is_binary_cloud_event: bool,
}

impl KafkaLane {
    /// A lane that goes on from these positions, or begins anew.
    pub fn new(spec: KafkaLaneSpec, positions: BTreeMap<String, FilePosition>) -> Self {
        let connector = Arc::clone(&spec.connector.1);
        Self {
            topic: spec.source.topic.as_str().into(),
            positions,
            attempts: Attempts::none(),
            opener: Opener {
                envelope: spec.source.envelope,
                reads_changes: connector.reads_changes(),
            },
            decoder: Decoder::of_messages(connector, Arc::clone(&spec.personal_key)),
            link: None,
            tried: None,
            since: None,
            ready: VecDeque::new(),
            pace: spec.source.rate_max.map(|rate_max| Pace {
                rate_max,
                since: Stopwatch::start(),
                taken: 0,
            }),
            spec,
        }
    }

    fn fault(&self, what: impl Into<String>, is_final: bool) -> SourceFault {
        SourceFault::Topic {
            source_name: self.spec.name.clone(),
            what: what.into(),
            is_final,
        }
    }

    fn connect(&self) -> Result<Link, SourceFault> {
        let topic = self.spec.source.topic.as_str();
        let heard = Heard::default();
        let unreachable = |error: KafkaError, consumer: Option<&BaseConsumer<Ears>>| {
            let why = heard.explain(&error, consumer);
            let what = format!(
                "the Kafka cluster cannot be asked about topic \"{topic}\": {why}; check kafka.brokers"
            );
            self.fault(what, false)
        };
        let consumer: BaseConsumer<Ears> = self
            .spec
            .settings
            .reader()
            .create_with_context(Ears {
                topic: Arc::clone(&self.topic),
                tally: self.spec.tally.clone(),
                heard: heard.clone(),
            })
            .map_err(|error| unreachable(error, None))?;
        let metadata = consumer
            .fetch_metadata(Some(topic), ANSWER)
            .map_err(|error| unreachable(error, Some(&consumer)))?;
        let numbers: Vec<i32> = metadata
            .topics()
            .iter()
            .filter(|found| found.name() == topic && found.error().is_none())
            .flat_map(rdkafka::metadata::MetadataTopic::partitions)
            .map(rdkafka::metadata::MetadataPartition::id)
            .collect();
        if numbers.is_empty() {
            let what = format!("topic \"{topic}\" is not there; create it, or correct the name");
            return Err(self.fault(what, false));
        }
        let mut partitions = Partitions::default();
        let mut assigned = TopicPartitionList::new();
        for number in numbers {
            let marks = consumer
                .fetch_watermarks(topic, number, ANSWER)
                .map_err(|error| unreachable(error, Some(&consumer)))?;
            let partition = self.begin(number, marks)?;
            let offset = i64::try_from(partition.next).unwrap_or(i64::MAX);
            assigned
                .add_partition_offset(topic, number, Offset::Offset(offset))
                .map_err(|error| unreachable(error, Some(&consumer)))?;
            partitions.by_number.insert(number, partition);
        }
        consumer
            .assign(&assigned)
            .map_err(|error| unreachable(error, Some(&consumer)))?;
        Ok(Link {
            consumer,
            partitions,
        })
    }

    /// Where reading of a partition begins, which holds messages from `low` to before `high`.
    fn begin(&self, number: i32, (low, high): (i64, i64)) -> Result<Partition, SourceFault> {
        let (low, high) = (
            u64::try_from(low).unwrap_or(0),
            u64::try_from(high).unwrap_or(0),
        );
        let file = format!("{}/{number}", self.spec.source.topic);
        let known = self.positions.get(&file).copied();
        let next = match known {
            None if self.spec.source.is_from_latest => high,
            None => low,
            Some(position) if position.offset < low && !self.spec.source.goes_on_when_expired => {
                let what = format!(
                    "data expired before it was read: {file} was read up to offset {}, but the broker only has messages from {low} on. Nothing is skipped unasked: load the lost records from their source, then set when_expired = \"go-on\" in this [[source]]",
                    position.offset
                );
                return Err(self.fault(what, true));
            }
            Some(position) if high < position.offset => {
                let what = format!(
                    "{file} ends at offset {high}, but {} were already read: the topic was made anew or lost messages; give the new topic another name, or restore it",
                    position.offset
                );
                return Err(self.fault(what, true));
            }
            Some(position) => position.offset.max(low),
        };
        self.spec.tally.ends_at(&self.topic, number, high);
        let arrived_at = known.map_or(EventTime::MIN, |position| position.arrived_at);
        let expired = known.map_or(0, |position| low.saturating_sub(position.offset));
        if 0 < expired {
            tracing::error!(topic = %self.topic, partition = number, expired, "messages expired before they were read; reading goes on without them");
        }
        self.spec
            .tally
            .begins_at(&self.topic, number, (next, arrived_at), expired);
        Ok(Partition {
            file: file.into(),
            queue: VecDeque::new(),
            is_at_end: next == high,
            is_paused: false,
            next,
            arrived_at,
        })
    }

    /// Takes what librdkafka has; waits a moment if something is known to come.
    fn poll(&self, link: &mut Link) -> Result<Vec<Raw>, SourceFault> {
        let (mut raw, mut bytes) = (Vec::new(), 0);
        let mut wait = if link.partitions.is_awaited() {
            POLL_WAIT
        } else {
            Duration::ZERO
        };
        while raw.len() < POLL_MAX && bytes < POLL_BYTES_MAX {
            match link.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    let one = self.raw(&message);
                    bytes += one.value.as_ref().map_or(0, Vec::len);
                    if let Some(partition) = link.partitions.by_number.get_mut(&one.partition) {
                        partition.is_at_end = false;
                    }
                    raw.push(one);
                }
                Some(Err(KafkaError::PartitionEOF(number))) => {
                    if let Some(partition) = link.partitions.by_number.get_mut(&number) {
                        partition.is_at_end = true;
                    }
                }
                Some(Err(error)) => self.hear(&error)?,
            }
            wait = Duration::ZERO;
        }
        Ok(raw)
    }

    fn raw(&self, message: &impl Message) -> Raw {
        let value = message.payload();
        let is_too_long = value.is_some_and(|value| RECORD_BYTES_MAX < value.len());
        // One byte more than a dead letter holds, so that it shows as cut.
        let kept = value.map(|value| {
            let end = if is_too_long {
                BYTES_MAX + 1
            } else {
                value.len()
            };
            value.get(..end).unwrap_or_default().to_vec()
        });
        let is_binary_cloud_event = self.spec.source.envelope == Envelope::CloudEvents
            && message
                .headers()
                .is_some_and(|headers| headers.iter().any(|header| header.key == "ce_specversion"));
        Raw {
            partition: message.partition(),
            offset: u64::try_from(message.offset()).unwrap_or(0),
            value: kept,
            is_too_long,
            is_binary_cloud_event,
        }
    }

    /// What librdkafka says beside messages: most of it mends itself.
    fn hear(&self, error: &KafkaError) -> Result<(), SourceFault> {
        match error {
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ) => {
                let what = "data expired while it was being read: the broker no longer has the next message; start again for the offsets";
                Err(self.fault(what, true))
            }
            KafkaError::MessageConsumptionFatal(_) => {
                Err(self.fault(format!("the Kafka client has given up: {error}"), true))
            }
            _ => {
                tracing::warn!(source = %self.spec.name, %error, "kafka");
                Ok(())
            }
        }
    }

    fn decode(&self, raw: &Raw, now: EventTime) -> Vec<(Result<Prepared, Reject>, Vec<u8>)> {
        let id = self.spec.connector.1.id();
        let named = |reject: &Reject| {
            Reject::new(reject.code, format!("connector {id:?}: {}", reject.message))
        };
        let value = raw.value.as_deref();
        if raw.is_too_long {
            let what = "the message is longer than 256 KiB; deliver it in parts";
            let reject = named(&Reject::new(RejectCode::TooLong, what));
            return vec![(Err(reject), value.unwrap_or_default().to_vec())];
        }
        let wrapped = Wrapped {
            value,
            is_binary_cloud_event: raw.is_binary_cloud_event,
        };
        match self.opener.open(wrapped) {
            Ok(records) => records
                .into_iter()
                .map(|record| (self.decoder.decode(&record, now).map(Prepared::new), record))
                .collect(),
            Err(reject) => vec![(Err(named(&reject)), value.unwrap_or_default().to_vec())],
        }
    }

    /// Decodes in parallel and queues in the order of the offsets.
    fn queue(&self, link: &mut Link, raw: &[Raw]) {
        let now = self.spec.clock.now();
        let decode = |one: &Raw| {
            let file = link
                .partitions
                .by_number
                .get(&one.partition)
                .map(|p| &p.file);
            let file = file.map_or("", |file| file.as_ref());
            let spot = || Spot::at(&self.spec.name, file, one.offset);
            let done = self.attempts.on(spot, || self.decode(one, now));
            done.unwrap_or_else(|reject| vec![(Err(reject), one.value.clone().unwrap_or_default())])
        };
        let decoded = self.attempts.each(raw, decode);
        for (one, records) in raw.iter().zip(decoded) {
            let Some(partition) = link.partitions.by_number.get_mut(&one.partition) else {
                continue;
            };
            if records.is_empty() {
                // Passed over with the record before it, if that is still here.
                if let Some(before) = partition.queue.back_mut() {
                    before.place.to = one.offset + 1;
                }
            }
            let count = records.len();
            for (at, (result, bytes)) in (1..).zip(records) {
                if let Ok(prepared) = &result {
                    partition.arrived_at = prepared.event.arrived_at;
                }
                let range = (0, bytes.len());
                partition.queue.push_back(Decoded {
                    result: Some(result),
                    place: Place {
                        file: Arc::clone(&partition.file),
                        from: one.offset,
                        // A message counts as read with the last of its records.
                        to: one.offset + u64::from(at == count),
                        number: one.offset + 1,
                    },
                    block: Arc::new(bytes),
                    range,
                    header: None,
                    arrived_at: partition.arrived_at,
                    clock: None,
                    receipt: None,
                });
            }
        }
    }

    /// Pauses partitions whose queue is full, lets others go on.
    fn pause(&self, link: &mut Link) -> Result<(), SourceFault> {
        let (full, low) = link.partitions.tides();
        let list = |numbers: &[i32]| {
            let mut list = TopicPartitionList::new();
            for number in numbers {
                list.add_partition(&self.spec.source.topic, *number);
            }
            list
        };
        let fault = |error: KafkaError| self.fault(format!("cannot pause: {error}"), false);
        if !full.is_empty() {
            link.consumer.pause(&list(&full)).map_err(fault)?;
        }
        if !low.is_empty() {
            link.consumer.resume(&list(&low)).map_err(fault)?;
        }
        Ok(())
    }

    fn refill_from(&mut self, link: &mut Link) -> Result<Refill, SourceFault> {
        let raw = self.poll(link)?;
        self.queue(link, &raw);
        self.pause(link)?;
        let max = match &mut self.pace {
            None => READY_MAX,
            Some(pace) => pace.may_take(READY_MAX),
        };
        let is_merged = self.is_merged();
        link.partitions.take(is_merged, max, &mut self.ready);
        if let Some(pace) = &mut self.pace {
            pace.took(self.ready.len());
        }
        for (number, partition) in &link.partitions.by_number {
            let reading = (partition.next, partition.arrived_at);
            self.spec.tally.read_to(&self.topic, *number, reading);
        }
        Ok(if !self.ready.is_empty() {
            Refill::Ready
        } else if !link.partitions.is_done() {
            Refill::Awaited
        } else if self.spec.until_end {
            Refill::Done
        } else {
            Refill::Empty
        })
    }
}

impl Lane for KafkaLane {
    fn name(&self) -> &str {
        &self.spec.name
    }

    fn connector(&self) -> usize {
        self.spec.connector.0
    }

    fn refill(&mut self) -> Result<Refill, SourceFault> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None if self
                .tried
                .is_some_and(|tried| tried.elapsed_us() < RETRY_US) =>
            {
                return Ok(Refill::Awaited);
            }
            None => {
                let link = self.connect();
                self.tried = Some(Stopwatch::start());
                let since = *self.since.get_or_insert_with(Stopwatch::start);
                match link {
                    Err(SourceFault::Topic {
                        what,
                        is_final: false,
                        ..
                    }) if since.elapsed_us() < PATIENCE_US => {
                        tracing::warn!(topic = %self.topic, %what, "asked again");
                        return Ok(Refill::Awaited);
                    }
                    link => link?,
                }
            }
        };
        let refill = self.refill_from(&mut link);
        self.link = Some(link);
        refill
    }

    fn ready(&mut self) -> &mut VecDeque<Decoded> {
        &mut self.ready
    }

    fn watched_by(&mut self, attempts: &Arc<Attempts>) {
        self.attempts = Arc::clone(attempts);
    }

    fn is_merged(&self) -> bool {
        self.spec.source.order == FileOrder::EventTime
    }
}

//! Outputs into topics: warnings, sanction proposals, cases, dead letters, and what is told beside them.
//!
//! A message is a CloudEvent in binary mode: key the subject, value the line as it stands in the outbox, id in `ce_id`.
//! All outputs of a subject go to one partition, in order. A dead letter's value is the record as it came, with
//! `__streams.errors.*` headers that say where it stood and what is wrong. A subject against which nothing is held any more is
//! a message without a value, which takes it out of its compacted topic.
//!
//! The position is the offset after the last message of each partition that was acknowledged when it was committed. At the
//! start the topics are read from there: what had already arrived is not sent again. What a process that was killed still had
//! on the wire may arrive after that reading; such a copy has the same id and the same bytes.
//!
//! bounds   [`TAIL_MAX`] messages of a partition are read when no position is known
//! errors   a cluster that cannot be reached or does not take a message: the same output again later, never another one first
//! source   CloudEvents 1.0.2, Kafka binding 1.0.2; KIP-1034 for the headers of dead letters

use super::client::{ANSWER, Settings};
use crate::engine::owner::Scope;
use crate::engine::remark::SubjectRisk;
use crate::runtime::clock::Stopwatch;
use crate::runtime::dlq::DeadLetter;
use crate::runtime::sink::{
    Delivered, OutboxEntry, OutputKind, Retry, Sink, SinkError, SinkPosition,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Messages of a partition that are read at the start of a new state.
pub(super) const TAIL_MAX: i64 = 10_000;
/// How long a delivery waits for the cluster before others get their turn, µs.
const WAIT_US: u64 = 500_000;
/// How long the producer is heard at once: this long it takes whatever comes meanwhile.
const HEAR: Duration = Duration::from_millis(1);
/// Time to the next try, ms.
const RETRY_MS: u64 = 500;
/// How long the tail may take to read, µs.
const TAIL_US: u64 = 60_000_000;

/// What the cluster said of one message: its place in the outbox, and where it stands now or why not.
type Said = (u64, Result<(String, u64), String>);

/// Hears what became of messages.
#[derive(Debug, Clone, Default)]
struct Reports(Arc<Mutex<Vec<Said>>>);

impl Reports {
    fn drain(&self) -> Vec<Said> {
        core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, seq: Box<u64>) {
        let said = match result {
            Ok(message) => Ok((
                format!("{}/{}", message.topic(), message.partition()),
                u64::try_from(message.offset()).unwrap_or(0) + 1,
            )),
            Err((error, _)) => Err(error.to_string()),
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((*seq, said));
    }
}

/// See the module.
pub struct KafkaSink {
    settings: Settings,
    prefix: String,
    /// The kinds that have topics.
    kinds: Vec<OutputKind>,
    /// All subjects of its outputs are in this partition of topics with so many; none: in any.
    scope: Option<Scope>,
    producer: Option<BaseProducer<Reports>>,
    /// One that was made ahead of the first delivery: it takes half a second to be let in.
    spare: Option<BaseProducer<Reports>>,
    reports: Reports,
    offsets: BTreeMap<String, u64>,
    /// Ids that the topics had when this process began.
    there: BTreeSet<String>,
    /// The last entry that was given to the producer.
    sent_to: Option<u64>,
    /// Entries that are acknowledged and still in the outbox.
    done: BTreeSet<u64>,
}

impl fmt::Debug for KafkaSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSink")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// The name of the topic of a kind of output.
pub(super) fn topic_of(prefix: &str, kind: OutputKind) -> String {
    format!("{prefix}{}", kind.topic())
}

impl KafkaSink {
    /// A sink that connects when there is something to deliver.
    pub fn new(settings: Settings, prefix: &str, kinds: Vec<OutputKind>) -> Self {
        Self {
            kinds,
            settings,
            prefix: prefix.to_owned(),
            scope: None,
            producer: None,
            spare: None,
            reports: Reports::default(),
            offsets: BTreeMap::new(),
            there: BTreeSet::new(),
            sent_to: None,
            done: BTreeSet::new(),
        }
    }

    /// A sink for the outputs of these subjects only: the other partitions of its topics are others' business.
    pub fn of_scope(
        settings: Settings,
        prefix: &str,
        (kinds, scope): (Vec<OutputKind>, Scope),
    ) -> Self {
        Self {
            scope: Some(scope),
            ..Self::new(settings, prefix, kinds)
        }
    }

    /// Whether outputs of a kind may be in this partition of a topic with so many.
    fn concerns(&self, kind: OutputKind, partition: i32, partitions: usize) -> bool {
        let Some(scope) = self.scope.filter(|_| kind != OutputKind::DeadLetter) else {
            return true;
        };
        let is_alike = u32::try_from(partitions) == Ok(scope.partitions);
        !is_alike || u32::try_from(partition) == Ok(scope.partition)
    }

    fn make(&mut self) -> Result<BaseProducer<Reports>, KafkaError> {
        self.reports = Reports::default();
        let writer = self.settings.writer();
        writer.create_with_context(self.reports.clone())
    }

    /// Makes the producer, and reads what the topics have got beyond the position.
    fn open(&mut self) -> Result<BaseProducer<Reports>, String> {
        let said = |error: KafkaError| format!("the cluster does not answer: {error}");
        let producer = match self.spare.take() {
            Some(producer) => producer,
            None => self.make().map_err(said)?,
        };
        let consumer: BaseConsumer = self.settings.reader().create().map_err(said)?;
        let mut ends = BTreeMap::new();
        for kind in self.kinds.clone() {
            let topic = topic_of(&self.prefix, kind);
            let metadata = consumer
                .fetch_metadata(Some(&topic), ANSWER)
                .map_err(said)?;
            let found = metadata
                .topics()
                .iter()
                .find(|t| t.name() == topic && t.error().is_none());
            let partitions = found.map_or(&[][..], |t| t.partitions());
            if partitions.is_empty() {
                return Err(format!(
                    "topic \"{topic}\" is not there; make it: fenghuo topics create"
                ));
            }
            let mut assigned = TopicPartitionList::new();
            let count = partitions.len();
            let partitions = partitions.iter();
            for partition in partitions.filter(|p| self.concerns(kind, p.id(), count)) {
                let (low, high) = consumer
                    .fetch_watermarks(&topic, partition.id(), ANSWER)
                    .map_err(said)?;
                let key = format!("{topic}/{}", partition.id());
                let known = self.offsets.get(&key).and_then(|o| i64::try_from(*o).ok());
                let from = match known {
                    Some(known) if known <= high => known.max(low),
                    _ => low.max(high - TAIL_MAX),
                };
                if from < high {
                    let offset = Offset::Offset(from);
                    assigned
                        .add_partition_offset(&topic, partition.id(), offset)
                        .map_err(said)?;
                }
                ends.insert(key, u64::try_from(high).unwrap_or(0));
            }
            self.read_tail(&consumer, &assigned)?;
        }
        self.offsets.extend(ends);
        Ok(producer)
    }

    /// Reads partitions of one topic to their ends; an end is told with the number of the partition only, perhaps twice.
    fn read_tail(
        &mut self,
        consumer: &BaseConsumer,
        assigned: &TopicPartitionList,
    ) -> Result<(), String> {
        let mut left: BTreeSet<i32> = assigned
            .elements()
            .iter()
            .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        consumer
            .assign(assigned)
            .map_err(|error| error.to_string())?;
        let watch = Stopwatch::start();
        while !left.is_empty() {
            if TAIL_US < watch.elapsed_us() {
                return Err("the ends of the topics could not be read in a minute".to_owned());
            }
            match consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Ok(message)) => self.there.extend(id_of(&message)),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    left.remove(&partition);
                }
                Some(Err(error)) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// Gives entries to the producer that it does not have; stops when it is full.
    fn send(
        &mut self,
        producer: &BaseProducer<Reports>,
        entries: &[OutboxEntry],
    ) -> Result<(), String> {
        for entry in entries {
            if self.sent_to.is_some_and(|sent_to| entry.seq <= sent_to)
                || self.done.contains(&entry.seq)
            {
                continue;
            }
            // What was asked for once and is no more has no topic.
            if self.there.remove(&entry.id) || !self.kinds.contains(&entry.kind) {
                self.done.insert(entry.seq);
                self.sent_to = Some(entry.seq);
                continue;
            }
            let topic = topic_of(&self.prefix, entry.kind);
            let (value, headers) = message_of(entry)?;
            let mut record = BaseRecord::with_opaque_to(&topic, Box::new(entry.seq))
                .key(entry.subject.as_str())
                .headers(headers);
            if let Some(value) = &value {
                record = record.payload(value.as_slice());
            }
            match producer.send(record) {
                Ok(()) => self.sent_to = Some(entry.seq),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    return Ok(());
                }
                Err((error, _)) => {
                    return Err(format!("output {} is not taken: {error}", entry.id));
                }
            }
        }
        Ok(())
    }

    /// Hears the cluster until every entry is there, or for a while.
    fn hear(
        &mut self,
        producer: &BaseProducer<Reports>,
        entries: &[OutboxEntry],
    ) -> Result<(), String> {
        let watch = Stopwatch::start();
        loop {
            producer.poll(HEAR);
            for (seq, said) in self.reports.drain() {
                let (key, next) = said?;
                self.done.insert(seq);
                let offset = self.offsets.entry(key).or_default();
                *offset = (*offset).max(next);
            }
            if let Some((code, why)) = producer.client().fatal_error() {
                return Err(format!("{code}: {why}"));
            }
            let is_done = entries.iter().all(|entry| self.done.contains(&entry.seq));
            if is_done || WAIT_US < watch.elapsed_us() {
                return Ok(());
            }
            self.send(producer, entries)?;
        }
    }

    fn try_deliver(&mut self, entries: &[OutboxEntry]) -> Result<(), String> {
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => self.open()?,
        };
        self.send(&producer, entries)?;
        self.hear(&producer, entries)?;
        self.producer = Some(producer);
        Ok(())
    }
}

impl Sink for KafkaSink {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn resume(&mut self, position: &SinkPosition) -> Result<(), SinkError> {
        self.offsets.clone_from(&position.files);
        // Why it cannot be made is told at the first delivery.
        self.spare = self.make().ok();
        Ok(())
    }

    fn deliver(&mut self, entries: &[OutboxEntry]) -> Result<Delivered, SinkError> {
        let tried = self.try_deliver(entries);
        if let Err(reason) = &tried {
            // The producer is gone with what it held; all that is not acknowledged is sent again, after a look at the tail.
            tracing::warn!(sink = "kafka", %reason, "deliveries wait");
            self.sent_to = None;
        }
        let mut delivered = Delivered::default();
        for entry in entries {
            if !self.done.remove(&entry.seq) {
                break;
            }
            delivered.count += 1;
        }
        if delivered.count < entries.len() {
            delivered.retry = Some(Retry {
                after_ms: RETRY_MS,
                reason: tried
                    .err()
                    .unwrap_or_else(|| "the cluster has not answered yet".to_owned()),
            });
        }
        Ok(delivered)
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        // What is acknowledged is with all replicas in sync.
        Ok(())
    }

    fn position(&self) -> SinkPosition {
        SinkPosition {
            files: self.offsets.clone(),
            ..SinkPosition::default()
        }
    }
}

fn id_of(message: &impl Message) -> Option<String> {
    let headers = message.headers()?;
    let id = headers.iter().find(|header| header.key == "ce_id")?.value?;
    String::from_utf8(id.to_vec()).ok()
}

/// The value and the headers of an output; the same each time.
fn message_of(entry: &OutboxEntry) -> Result<(Option<Vec<u8>>, OwnedHeaders), String> {
    let text = |key, value: &str| Header {
        key,
        value: Some(value.as_bytes().to_vec()),
    };
    let mut headers = OwnedHeaders::new();
    for (key, value) in [
        ("ce_specversion", "1.0"),
        ("ce_id", &entry.id),
        ("ce_source", "/fenghuo"),
        ("ce_type", entry.kind.topic()),
        ("ce_subject", &entry.subject),
    ] {
        headers = insert(headers, &text(key, value));
    }
    if entry.kind != OutputKind::DeadLetter {
        let headers = insert(headers, &text("content-type", "application/json"));
        let is_gone = entry.kind == OutputKind::SubjectRisk && is_gone(&entry.line)?;
        return Ok(((!is_gone).then(|| entry.line.clone()), headers));
    }
    let letter = DeadLetter::from_line(&entry.line)?;
    let (topic, partition) = match letter.place.file.rsplit_once('/') {
        Some((topic, partition)) if partition.bytes().all(|b| b.is_ascii_digit()) => {
            (topic, partition)
        }
        _ => (letter.place.file.as_str(), "0"),
    };
    for (key, value) in [
        ("content-type", "application/octet-stream"),
        ("__streams.errors.exception", letter.reject.code.name()),
        ("__streams.errors.message", &letter.reject.message),
        ("__streams.errors.topic", topic),
        ("__streams.errors.partition", partition),
        ("__streams.errors.offset", &letter.place.offset.to_string()),
        ("fenghuo_connector", &letter.place.connector),
        (
            "fenghuo_truncated",
            if letter.is_truncated() {
                "true"
            } else {
                "false"
            },
        ),
    ] {
        headers = insert(headers, &text(key, value));
    }
    Ok((Some(letter.bytes), headers))
}

fn is_gone(line: &[u8]) -> Result<bool, String> {
    let risk: SubjectRisk =
        serde_json::from_slice(line).map_err(|error| format!("a subject's risk: {error}"))?;
    Ok(risk.is_gone)
}

fn insert(headers: OwnedHeaders, header: &Header<'_, Vec<u8>>) -> OwnedHeaders {
    headers.insert(Header {
        key: header.key,
        value: header.value.as_ref(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::reject::{Reject, RejectCode};
    use crate::runtime::dlq::Place;
    use crate::runtime::sink::entry;

    fn header(headers: &OwnedHeaders, key: &str) -> String {
        let found = headers.iter().find(|header| header.key == key);
        String::from_utf8(found.unwrap().value.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_warning_is_a_cloud_event() {
        let (value, headers) =
            message_of(&entry(3, OutputKind::Warning, "enterprise:烽火")).unwrap();
        assert_eq!(value.unwrap(), b"{\"seq\":3}");
        assert_eq!(header(&headers, "ce_id"), "id-3");
        assert_eq!(header(&headers, "ce_type"), "fenghuo.warning.v1");
        assert_eq!(header(&headers, "ce_subject"), "enterprise:烽火");
    }

    #[test]
    fn a_dead_letter_is_the_record_with_its_place() {
        let place = Place {
            connector: "hotline-order".to_owned(),
            file: "12345.order/3".to_owned(),
            offset: 42,
            line_no: 43,
        };
        let reject = Reject::new(RejectCode::BadJson, "not JSON");
        let letter = DeadLetter::new(place, reject, None, b"\xff{").to_entry(1);
        let (value, headers) = message_of(&letter).unwrap();
        assert_eq!(value.unwrap(), b"\xff{");
        assert_eq!(header(&headers, "__streams.errors.exception"), "bad_json");
        assert_eq!(header(&headers, "__streams.errors.topic"), "12345.order");
        assert_eq!(header(&headers, "__streams.errors.partition"), "3");
        assert_eq!(header(&headers, "__streams.errors.offset"), "42");
    }
}

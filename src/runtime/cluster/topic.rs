//! A state log in a partition of a topic.
//!
//! The producer is idempotent and waits for all replicas in sync, so what it appends stands in its order, once. It lives as
//! long as one claim: after an error it is let go of, and the next owner claims anew with another one.
//!
//! errors   [`StoreError::Log`]; a broker that is away is waited for, until the process shall stop

use super::log::{Each, Log};
use crate::runtime::clock::Stopwatch;
use crate::runtime::kafka::{ANSWER, Settings};
use crate::runtime::store::StoreError;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the producer is heard at once, ms: this long it takes whatever comes meanwhile.
const HEAR_MS: u64 = 1;
/// The same when nothing has been heard for [`AWAY_US`].
const HEAR_AWAY_MS: u64 = 20;
const AWAY_US: u64 = 500_000;
/// How long a process that shall stop waits for the broker, µs.
const STOP_US: u64 = 5_000_000;
/// How long reading may make no progress, µs.
const READ_US: u64 = 60_000_000;

/// Hears what became of messages, in the order in which they were given.
#[derive(Debug, Clone, Default)]
pub(super) struct Acks(Arc<Mutex<Vec<Result<u64, String>>>>);

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let said = match result {
            Ok(message) => Ok(u64::try_from(message.offset()).unwrap_or(0)),
            Err((error, _)) => Err(error.to_string()),
        };
        let mut acks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        acks.push(said);
    }
}

impl Acks {
    fn take(&self) -> Vec<Result<u64, String>> {
        core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A producer that waits for what it was given.
pub(super) struct Writer {
    producer: BaseProducer<Acks>,
    acks: Acks,
    stop: Arc<AtomicBool>,
}

/// A message: topic, partition, key, value.
pub(super) type Parcel<'m> = (&'m str, u32, &'m [u8], &'m [u8]);

impl Writer {
    pub(super) fn new(settings: &Settings, stop: Arc<AtomicBool>) -> Result<Self, StoreError> {
        let acks = Acks::default();
        let producer = settings
            .writer()
            .create_with_context(acks.clone())
            .map_err(|error| fault(&error))?;
        Ok(Self {
            producer,
            acks,
            stop,
        })
    }

    /// Sends all, in order within each partition; offsets in the order in which they were acknowledged.
    pub(super) fn put<'m>(
        &self,
        parcels: impl Iterator<Item = Parcel<'m>>,
    ) -> Result<Vec<u64>, StoreError> {
        let mut sent = 0;
        let mut done = Vec::new();
        for (topic, partition, key, value) in parcels {
            let mut record = BaseRecord::to(topic)
                .partition(i32::try_from(partition).unwrap_or(i32::MAX))
                .key(key)
                .payload(value);
            loop {
                match self.producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                        record = back;
                        self.hear(HEAR_MS, &mut done)?;
                    }
                    Err((error, _)) => return Err(fault(&error)),
                }
            }
            sent += 1;
        }
        let watch = Stopwatch::start();
        while done.len() < sent {
            let is_away = AWAY_US < watch.elapsed_us();
            self.hear(if is_away { HEAR_AWAY_MS } else { HEAR_MS }, &mut done)?;
            if self.stop.load(Ordering::Acquire) && STOP_US < watch.elapsed_us() {
                return Err(StoreError::Log {
                    what: "the broker does not answer, and this process shall stop".to_owned(),
                });
            }
        }
        Ok(done)
    }

    fn hear(&self, wait_ms: u64, done: &mut Vec<u64>) -> Result<(), StoreError> {
        self.producer.poll(Duration::from_millis(wait_ms));
        for said in self.acks.take() {
            done.push(said.map_err(|what| StoreError::Log { what })?);
        }
        if let Some((code, why)) = self.producer.client().fatal_error() {
            let what = format!("the producer has given up: {code}: {why}");
            return Err(StoreError::Log { what });
        }
        Ok(())
    }
}

/// See the module.
pub struct TopicLog {
    settings: Settings,
    topic: String,
    partition: u32,
    writer: Option<Writer>,
    reader: BaseConsumer,
    stop: Arc<AtomicBool>,
}

impl std::fmt::Debug for TopicLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicLog")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

fn fault(error: &KafkaError) -> StoreError {
    StoreError::Log {
        what: error.to_string(),
    }
}

impl TopicLog {
    /// The log in this partition.
    pub fn new(
        settings: &Settings,
        (topic, partition): (&str, u32),
        stop: Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        let reader = settings.reader();
        Ok(Self {
            reader: reader.create().map_err(|error| fault(&error))?,
            settings: settings.clone(),
            topic: topic.to_owned(),
            partition,
            writer: None,
            stop,
        })
    }

    /// Makes the producer before it is needed: it takes about half a second to be let in, as its library asks for its number
    /// and, while no broker is connected yet, asks again after 500 ms.
    pub fn prepare(&mut self) -> Result<(), StoreError> {
        if self.writer.is_none() {
            let writer = Writer::new(&self.settings, Arc::clone(&self.stop))?;
            self.writer = Some(writer);
        }
        Ok(())
    }

    /// The same, which ends its waits when another signal says so.
    #[must_use]
    pub fn under(self, stop: &Arc<AtomicBool>) -> Self {
        let writer = self.writer.map(|writer| Writer {
            stop: Arc::clone(stop),
            ..writer
        });
        Self {
            writer,
            stop: Arc::clone(stop),
            ..self
        }
    }

    fn number(&self) -> i32 {
        i32::try_from(self.partition).unwrap_or(i32::MAX)
    }

    fn at(&self, offset: u64) -> Result<TopicPartitionList, StoreError> {
        let mut list = TopicPartitionList::new();
        let offset = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
        list.add_partition_offset(&self.topic, self.number(), offset)
            .map_err(|error| fault(&error))?;
        Ok(list)
    }

    fn read_on(&self, (from, to): (u64, u64), each: &mut Each<'_>) -> Result<(), StoreError> {
        let mut next = from;
        let mut watch = Stopwatch::start();
        while next < to {
            match self.reader.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let offset = u64::try_from(message.offset()).unwrap_or(0);
                    if offset != next {
                        let what = format!(
                            "{}/{} goes from offset {next} to {offset}; nothing may be missing there: no transactions, no compaction, nothing deleted",
                            self.topic, self.partition
                        );
                        return Err(StoreError::Log { what });
                    }
                    each(offset, message.payload().unwrap_or_default())?;
                    next += 1;
                    watch = Stopwatch::start();
                }
                Some(Err(
                    error @ KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset),
                )) => return Err(fault(&error)),
                // What is said beside messages mends itself, or time runs out.
                Some(Err(_)) | None => {}
            }
            let is_stopping = self.stop.load(Ordering::Acquire);
            let limit_us = if is_stopping { STOP_US } else { READ_US };
            if limit_us < watch.elapsed_us() {
                let (topic, partition) = (&self.topic, self.partition);
                let what =
                    format!("{topic}/{partition} gives nothing after offset {next}, of {to}");
                return Err(StoreError::Log { what });
            }
        }
        Ok(())
    }
}

impl Log for TopicLog {
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<u64>, StoreError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => Writer::new(&self.settings, Arc::clone(&self.stop))?,
        };
        let (topic, partition) = (self.topic.as_str(), self.partition);
        let parcels = records
            .iter()
            .map(|record| (topic, partition, &b""[..], record.as_slice()));
        // After an error the writer is gone, and what it still held with it.
        let offsets = writer.put(parcels)?;
        self.writer = Some(writer);
        Ok(offsets)
    }

    fn bounds(&mut self) -> Result<(u64, u64), StoreError> {
        let (low, high) = self
            .reader
            .fetch_watermarks(&self.topic, self.number(), ANSWER)
            .map_err(|error| fault(&error))?;
        Ok((
            u64::try_from(low).unwrap_or(0),
            u64::try_from(high).unwrap_or(0),
        ))
    }

    fn read(&mut self, range: (u64, u64), each: &mut Each<'_>) -> Result<(), StoreError> {
        if range.1 <= range.0 {
            return Ok(());
        }
        let assigned = self.at(range.0)?;
        self.reader
            .assign(&assigned)
            .map_err(|error| fault(&error))?;
        let done = self.read_on(range, each);
        let unassigned = self.reader.unassign();
        done?;
        unassigned.map_err(|error| fault(&error))
    }

    fn trim(&mut self, before: u64) -> Result<(), StoreError> {
        let client: AdminClient<DefaultClientContext> = self
            .settings
            .plain()
            .create()
            .map_err(|error| fault(&error))?;
        let list = self.at(before)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::Log {
                what: error.to_string(),
            })?;
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let done = runtime.block_on(client.delete_records(&list, &options));
        done.map(|_| ()).map_err(|error| fault(&error))
    }
}

//! `fenghuo.event.v1`: events between the ingest stage and the engine stage, and the lane that reads a partition of it.
//!
//! ```text
//! key    the home of the event; partition murmur2(subject) mod partitions, and every other partition that has a part in it
//! value  format (u8, now 1) | postcard of Told: the clock, if it is ahead of the event's own time, and the event
//! ```
//!
//! A mark, a record without an event, tells all partitions that an hour passed, so that each sees the hours at the same
//! places between events as one engine would that reads everything.
//!
//! bounds   [`READY_MAX`] events ready; librdkafka's own buffer behind it
//! errors   as for other topics: what expired unread ends the run; what cannot be read is a dead letter

use crate::engine::event::Event;
use crate::engine::record::Prepared;
use crate::engine::reject::{Reject, RejectCode};
use crate::engine::time::EventTime;
use crate::runtime::attempt::{Attempts, Spot};
use crate::runtime::clock::Stopwatch;
use crate::runtime::journal::FilePosition;
use crate::runtime::kafka::tally::Tally;
use crate::runtime::kafka::{ANSWER, Settings};
use crate::runtime::source::{Decoded, Lane, Place, READY_MAX, Refill, SourceFault};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message, Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

const FORMAT: u8 = 1;
/// Time between tries to reach the cluster, µs.
const RETRY_US: u64 = 1_000_000;
/// No connector stands behind events that are decoded.
const NO_CONNECTOR: usize = usize::MAX;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The clock before the event, if the event does not say it by its own arrival.
    pub clock: Option<EventTime>,
    /// The event; none: a mark.
    pub event: Option<Arc<Event>>,
}

impl Told {
    /// As it stands in the topic.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).unwrap_or_default()
    }

    /// Reads a value.
    pub fn decode(value: &[u8]) -> Result<Self, Reject> {
        let bad = |what: String| Err(Reject::new(RejectCode::BadEncoding, what));
        match value.split_first() {
            Some((&FORMAT, rest)) => match postcard::from_bytes(rest) {
                Ok(told) => Ok(told),
                Err(error) => bad(format!("the event cannot be read: {error}")),
            },
            Some((format, _)) => bad(format!(
                "the event has format {format}, this version reads {FORMAT}; use a newer one"
            )),
            None => bad("an event without a value".to_owned()),
        }
    }
}

/// Where a lane reads.
#[derive(Debug, Clone)]
pub struct EventLaneSpec {
    /// The cluster.
    pub settings: Settings,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: u32,
    /// Whether its end, as it is met, is the end.
    pub until_end: bool,
    /// Where how far it is read is noted.
    pub tally: Tally,
}

impl EventLaneSpec {
    /// The source's name in positions.
    pub fn name(&self) -> String {
        format!("kafka:{}", self.topic)
    }

    /// The file's name in positions.
    pub fn file(&self) -> String {
        format!("{}/{}", self.topic, self.partition)
    }

    fn number(&self) -> i32 {
        i32::try_from(self.partition).unwrap_or(i32::MAX)
    }
}

/// See the module.
pub struct EventLane {
    spec: EventLaneSpec,
    attempts: Arc<Attempts>,
    name: String,
    file: Arc<str>,
    known: Option<FilePosition>,
    consumer: Option<BaseConsumer>,
    tried: Option<Stopwatch>,
    next: u64,
    arrived_at: EventTime,
    is_at_end: bool,
    ready: VecDeque<Decoded>,
}

impl std::fmt::Debug for EventLane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLane")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl EventLane {
    /// A lane that goes on from a position.
    pub fn new(spec: EventLaneSpec, known: Option<FilePosition>) -> Self {
        Self {
            name: spec.name(),
            attempts: Attempts::none(),
            file: spec.file().into(),
            next: known.map_or(0, |known| known.offset),
            arrived_at: known.map_or(EventTime::MIN, |known| known.arrived_at),
            spec,
            known,
            consumer: None,
            tried: None,
            is_at_end: false,
            ready: VecDeque::new(),
        }
    }

    fn fault(&self, what: String, is_final: bool) -> SourceFault {
        SourceFault::Topic {
            source_name: self.name.clone(),
            what,
            is_final,
        }
    }

    fn connect(&mut self) -> Result<BaseConsumer, SourceFault> {
        let said = |error: KafkaError| {
            let what = format!("the Kafka cluster cannot be asked about it: {error}");
            self.fault(what, false)
        };
        let consumer: BaseConsumer = self.spec.settings.reader().create().map_err(said)?;
        let (low, high) = consumer
            .fetch_watermarks(&self.spec.topic, self.spec.number(), ANSWER)
            .map_err(said)?;
        let (low, high) = (
            u64::try_from(low).unwrap_or(0),
            u64::try_from(high).unwrap_or(0),
        );
        let (file, next) = (&self.file, self.next);
        if self.known.is_some() && next < low {
            let what = format!(
                "data expired before it was read: {file} was read up to offset {next}, but the broker only has messages from {low} on. Nothing is skipped unasked"
            );
            return Err(self.fault(what, true));
        }
        if high < next {
            let what = format!(
                "{file} ends at offset {high}, but {next} were already read: the topic was made anew or lost messages"
            );
            return Err(self.fault(what, true));
        }
        let next = next.max(low);
        let mut list = TopicPartitionList::new();
        let offset = Offset::Offset(i64::try_from(next).unwrap_or(i64::MAX));
        list.add_partition_offset(&self.spec.topic, self.spec.number(), offset)
            .map_err(said)?;
        consumer.assign(&list).map_err(said)?;
        self.is_at_end = next == high;
        self.next = next;
        let (tally, topic, number) = (&self.spec.tally, &self.spec.topic, self.spec.number());
        tally.begins_at(topic, number, (next, self.arrived_at), 0);
        tally.ends_at(topic, number, high);
        Ok(consumer)
    }

    fn poll(&mut self, consumer: &BaseConsumer) -> Result<(), SourceFault> {
        let mut wait = Duration::from_millis(if self.is_at_end { 0 } else { 5 });
        while self.ready.len() < READY_MAX {
            match consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    self.is_at_end = false;
                    let offset = u64::try_from(message.offset()).unwrap_or(0);
                    self.take(offset, message.payload().unwrap_or_default());
                }
                Some(Err(KafkaError::PartitionEOF(_))) => self.is_at_end = true,
                Some(Err(
                    error @ (KafkaError::MessageConsumptionFatal(_)
                    | KafkaError::MessageConsumption(
                        RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
                    )),
                )) => return Err(self.fault(format!("cannot be read on: {error}"), true)),
                Some(Err(error)) => tracing::warn!(source = %self.name, %error, "kafka"),
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    fn take(&mut self, offset: u64, value: &[u8]) {
        let spot = || Spot::at(&self.name, &self.file, offset);
        let told = self.attempts.on(spot, || Told::decode(value));
        let (clock, result, block) = match told.and_then(core::convert::identity) {
            Ok(told) => {
                let event = told.event.map(Arc::unwrap_or_clone);
                let prepared = event.map(|event| Ok(Prepared::new(event)));
                (told.clock, prepared, Vec::new())
            }
            Err(reject) => (None, Some(Err(reject)), value.to_vec()),
        };
        if let Some(Ok(prepared)) = &result {
            self.arrived_at = prepared.event.arrived_at;
        }
        self.next = offset + 1;
        let range = (0, block.len());
        self.ready.push_back(Decoded {
            result,
            place: Place {
                file: Arc::clone(&self.file),
                from: offset,
                to: offset + 1,
                number: offset + 1,
            },
            block: Arc::new(block),
            range,
            header: None,
            arrived_at: self.arrived_at,
            clock,
            receipt: None,
        });
    }
}

impl Lane for EventLane {
    fn name(&self) -> &str {
        &self.name
    }

    fn connector(&self) -> usize {
        NO_CONNECTOR
    }

    fn refill(&mut self) -> Result<Refill, SourceFault> {
        let consumer = match self.consumer.take() {
            Some(consumer) => consumer,
            None if self.tried.is_some_and(|t| t.elapsed_us() < RETRY_US) => {
                return Ok(Refill::Awaited);
            }
            None => {
                self.tried = Some(Stopwatch::start());
                match self.connect() {
                    Ok(consumer) => consumer,
                    // Its partition may have no leader at the moment. To the end there is nothing to wait for.
                    Err(fault) if !self.spec.until_end && fault.may_pass() => {
                        tracing::warn!(%fault, "events are waited for");
                        return Ok(Refill::Awaited);
                    }
                    Err(fault) => return Err(fault),
                }
            }
        };
        self.poll(&consumer)?;
        self.consumer = Some(consumer);
        let reading = (self.next, self.arrived_at);
        self.spec
            .tally
            .read_to(&self.spec.topic, self.spec.number(), reading);
        Ok(if !self.ready.is_empty() {
            Refill::Ready
        } else if !self.is_at_end {
            Refill::Awaited
        } else if self.spec.until_end {
            Refill::Done
        } else {
            Refill::Empty
        })
    }

    fn ready(&mut self) -> &mut VecDeque<Decoded> {
        &mut self.ready
    }

    fn is_merged(&self) -> bool {
        false
    }

    fn watched_by(&mut self, attempts: &Arc<Attempts>) {
        self.attempts = Arc::clone(attempts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_goes_through_and_rubbish_is_refused() {
        let mark = Told {
            clock: Some(EventTime(3_600_000)),
            event: None,
        };
        assert_eq!(Told::decode(&mark.encode()).unwrap(), mark);
        Told::decode(b"{\"clock\":1}").unwrap_err();
        Told::decode(b"").unwrap_err();
    }
}

//! Kafka: topics as sources, topics as sinks, and what makes and checks topics.
//!
//! A source assigns itself all partitions of its topic and begins where the last durable commit of the state stopped;
//! no consumer group decides anything, and nothing is committed to the cluster. So an input counts exactly once in
//! effect: its position is in the same atomic commit as what it changed. A sink produces with `acks=all` and without gaps,
//! and reads the tail of its topics at the start, so that what had left before a crash is not sent again.
//!
//! Without the feature `rdkafka` only [`tally`] is here, and a configuration that names Kafka is refused with a message.
//!
//! source   settings: librdkafka's CONFIGURATION.md; those that lose data by default are set in `client`

pub mod tally;

#[cfg(feature = "rdkafka")]
mod client;
#[cfg(feature = "rdkafka")]
mod envelope;
#[cfg(feature = "rdkafka")]
mod partitions;
#[cfg(feature = "rdkafka")]
mod sink;
#[cfg(feature = "rdkafka")]
mod source;
#[cfg(feature = "rdkafka")]
pub mod topics;

#[cfg(feature = "rdkafka")]
pub(in crate::runtime) use client::{ANSWER, Heard};
#[cfg(feature = "rdkafka")]
pub use client::{Settings, SettingsError};
#[cfg(feature = "rdkafka")]
pub use sink::KafkaSink;
#[cfg(feature = "rdkafka")]
pub use source::{KafkaLane, KafkaLaneSpec};

//! How far topics are read, as it stands when someone looks.
//!
//! The lanes note it in a [`Tally`]; nothing is counted on the way of a message.
//!
//! bounds   one child a partition of a configured topic
//! cost     a walk over the partitions for each reading of the metrics

use super::registrar::Registrar;
use super::unix_seconds;
use crate::engine::time::EventTime;
use crate::runtime::kafka::tally::Tally;
use prometheus::{IntCounterVec, IntGaugeVec};
use std::sync::OnceLock;

/// See the module.
#[derive(Debug)]
pub struct KafkaMetrics {
    tally: OnceLock<Tally>,
    taken: IntCounterVec,
    lag: IntGaugeVec,
    watermark: IntGaugeVec,
    expired: IntGaugeVec,
}

impl KafkaMetrics {
    pub(super) fn register(r: &Registrar<'_>) -> Self {
        Self {
            tally: OnceLock::new(),
            taken: r.int_counters("fenghuo_kafka_messages_total"),
            lag: r.int_gauges("fenghuo_kafka_lag_messages"),
            watermark: r.int_gauges("fenghuo_kafka_watermark_timestamp_seconds"),
            expired: r.int_gauges("fenghuo_kafka_expired_messages"),
        }
    }

    /// Looks at what these lanes note from now on.
    pub fn watch(&self, tally: &Tally) {
        // A run has one tally.
        let _ = self.tally.set(tally.clone());
    }

    /// Takes up how far all partitions are read.
    pub(super) fn look(&self) {
        for (topic, partition, reading) in self.tally.get().map(Tally::readings).unwrap_or_default()
        {
            let labels = [&*topic, &partition.to_string()];
            let taken = self.taken.with_label_values(&labels);
            taken.inc_by(reading.taken.saturating_sub(taken.get()));
            let gauge = |gauges: &IntGaugeVec, value: u64| {
                let gauge = gauges.with_label_values(&labels);
                gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            };
            gauge(&self.lag, reading.lag());
            gauge(&self.expired, reading.expired);
            if reading.watermark != EventTime::MIN {
                let gauge = self.watermark.with_label_values(&labels);
                gauge.set(unix_seconds(reading.watermark));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::metrics::Metrics;
    use std::sync::Arc;

    #[test]
    fn partitions_are_shown_as_they_stand_and_counted_once() {
        let (metrics, tally) = (Metrics::new(EventTime(0)), Tally::default());
        let topic: Arc<str> = "orders".into();
        tally.begins_at(&topic, 1, (40, EventTime::MIN), 7);
        tally.ends_at(&topic, 1, 50);
        metrics.kafka.watch(&tally);
        let shown = || {
            let text = metrics.render(EventTime(0));
            let lines = text
                .lines()
                .filter(|line| line.starts_with("fenghuo_kafka"));
            lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
        };
        expect_test::expect![[r#"
            fenghuo_kafka_expired_messages{partition="1",topic="orders"} 7
            fenghuo_kafka_lag_messages{partition="1",topic="orders"} 10
            fenghuo_kafka_messages_total{partition="1",topic="orders"} 0"#]]
        .assert_eq(&shown());
        tally.read_to(&topic, 1, (44, EventTime(9_000)));
        let read = expect_test::expect![[r#"
            fenghuo_kafka_expired_messages{partition="1",topic="orders"} 7
            fenghuo_kafka_lag_messages{partition="1",topic="orders"} 6
            fenghuo_kafka_messages_total{partition="1",topic="orders"} 4
            fenghuo_kafka_watermark_timestamp_seconds{partition="1",topic="orders"} 9"#]];
        read.assert_eq(&shown());
        read.assert_eq(&shown());
    }
}

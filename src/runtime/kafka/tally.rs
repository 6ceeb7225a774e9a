//! How far each partition is read, for those who watch; written by the lanes, read by the metrics.
//!
//! bounds   one entry a partition of a configured topic

use crate::engine::time::EventTime;
use dashmap::DashMap;
use std::sync::Arc;

/// One partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The offset of the next message that goes to the loop.
    pub next: u64,
    /// The offset after the last message that the broker has.
    pub end: u64,
    /// When the last record that went to the loop arrived by its own words.
    pub watermark: EventTime,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            next: 0,
            end: 0,
            watermark: EventTime::MIN,
        }
    }
}

impl Reading {
    /// Messages that are there and not read.
    pub fn lag(&self) -> u64 {
        self.end.saturating_sub(self.next)
    }
}

/// All partitions of a run, by topic and partition.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<DashMap<(Arc<str>, i32), Reading>>);

impl Tally {
    /// Notes how far a partition is read.
    pub fn read_to(&self, topic: &Arc<str>, partition: i32, (next, watermark): (u64, EventTime)) {
        let mut reading = self.0.entry((Arc::clone(topic), partition)).or_default();
        reading.next = next;
        reading.end = reading.end.max(next);
        reading.watermark = reading.watermark.max(watermark);
    }

    /// Notes where a partition ends.
    pub fn ends_at(&self, topic: &Arc<str>, partition: i32, end: u64) {
        let mut reading = self.0.entry((Arc::clone(topic), partition)).or_default();
        reading.end = end;
    }

    /// All of them, by topic and partition.
    pub fn readings(&self) -> Vec<(Arc<str>, i32, Reading)> {
        let mut all: Vec<_> = self
            .0
            .iter()
            .map(|entry| (Arc::clone(&entry.key().0), entry.key().1, *entry.value()))
            .collect();
        all.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_what_is_there_and_not_read() {
        let tally = Tally::default();
        let topic: Arc<str> = "orders".into();
        tally.ends_at(&topic, 1, 10);
        tally.read_to(&topic, 1, (4, EventTime(7)));
        tally.read_to(&topic, 0, (3, EventTime(5)));
        let readings: Vec<(i32, u64, i64)> = tally
            .readings()
            .iter()
            .map(|(_, partition, r)| (*partition, r.lag(), r.watermark.0))
            .collect();
        assert_eq!(readings, [(0, 0, 5), (1, 6, 7)]);
    }
}

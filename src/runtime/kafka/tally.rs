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
    /// Messages that went to the loop since the run began, with those that were passed over as none.
    pub taken: u64,
    /// Messages that the broker had let go of before they were read, found when reading began.
    pub expired: u64,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            next: 0,
            end: 0,
            watermark: EventTime::MIN,
            taken: 0,
            expired: 0,
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
    /// Notes where reading of a partition begins, and how many messages before that are lost.
    pub fn begins_at(
        &self,
        topic: &Arc<str>,
        partition: i32,
        (next, watermark): (u64, EventTime),
        expired: u64,
    ) {
        let mut reading = self.0.entry((Arc::clone(topic), partition)).or_default();
        reading.next = next;
        reading.end = reading.end.max(next);
        reading.watermark = watermark;
        reading.expired = expired;
    }

    /// Notes how far a partition is read.
    pub fn read_to(&self, topic: &Arc<str>, partition: i32, (next, watermark): (u64, EventTime)) {
        let mut reading = self.0.entry((Arc::clone(topic), partition)).or_default();
        reading.taken += next.saturating_sub(reading.next);
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
        tally.begins_at(&topic, 1, (3, EventTime(6)), 2);
        tally.ends_at(&topic, 1, 10);
        tally.read_to(&topic, 1, (4, EventTime(7)));
        tally.begins_at(&topic, 0, (3, EventTime(5)), 0);
        let readings: Vec<_> = tally
            .readings()
            .iter()
            .map(|(_, partition, r)| (*partition, r.lag(), r.watermark.0, r.taken, r.expired))
            .collect();
        assert_eq!(readings, [(0, 0, 5, 0, 0), (1, 6, 7, 1, 2)]);
    }
}

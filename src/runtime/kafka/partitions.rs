//! The partitions of a topic that are read together: their queues, in which order records are taken, when one has to wait.
//!
//! Merged partitions give the record that arrived first by its own words, of equals the one of the lower partition; none
//! gives anything while another is known to have more that is not here yet. So the order depends on the records alone.
//! Without merging they are read in turn, one record each.
//!
//! bounds   [`QUEUE_MAX`] records a partition; then fetching pauses until [`QUEUE_LOW`] are left

use crate::engine::time::EventTime;
use crate::runtime::source::Decoded;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Records of a partition that wait to be taken, before its fetching pauses.
pub(super) const QUEUE_MAX: usize = 8_192;
/// Records left when it goes on.
pub(super) const QUEUE_LOW: usize = 2_048;

/// One partition.
#[derive(Debug)]
pub(super) struct Partition {
    /// `topic/partition`.
    pub file: Arc<str>,
    /// Records that are decoded.
    pub queue: VecDeque<Decoded>,
    /// Whether the broker has no more than what was fetched.
    pub is_at_end: bool,
    /// Whether fetching pauses.
    pub is_paused: bool,
    /// The offset of the next message to be taken.
    pub next: u64,
    /// When the last record arrived by its own words; what is refused goes with the one before.
    pub arrived_at: EventTime,
}

/// All partitions of a topic.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    /// By number.
    pub by_number: BTreeMap<i32, Partition>,
    turn: usize,
}

impl Partitions {
    /// Whether a partition has more that is not here yet.
    pub(super) fn is_awaited(&self) -> bool {
        self.by_number
            .values()
            .any(|p| p.queue.is_empty() && !p.is_at_end)
    }

    /// Whether everything that the broker had is taken.
    pub(super) fn is_done(&self) -> bool {
        self.by_number
            .values()
            .all(|p| p.queue.is_empty() && p.is_at_end)
    }

    /// Takes the next records, at most `max`.
    pub(super) fn take(&mut self, is_merged: bool, max: usize, out: &mut VecDeque<Decoded>) {
        for _ in 0..max {
            let number = if is_merged {
                if self.is_awaited() {
                    return;
                }
                self.first_arrived()
            } else {
                self.next_in_turn()
            };
            let Some(partition) = number.and_then(|n| self.by_number.get_mut(&n)) else {
                return;
            };
            if let Some(record) = partition.queue.pop_front() {
                partition.next = record.place.to;
                out.push_back(record);
            }
        }
    }

    fn first_arrived(&self) -> Option<i32> {
        self.by_number
            .iter()
            .filter_map(|(number, p)| p.queue.front().map(|record| (record.arrived_at, *number)))
            .min()
            .map(|(_, number)| number)
    }

    fn next_in_turn(&mut self) -> Option<i32> {
        let count = self.by_number.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            let (number, partition) = self.by_number.iter().nth(at)?;
            if !partition.queue.is_empty() {
                self.turn = at + 1;
                return Some(*number);
            }
        }
        None
    }

    /// Partitions whose fetching has to pause, and those that may go on; noted as done.
    pub(super) fn tides(&mut self) -> (Vec<i32>, Vec<i32>) {
        let (mut full, mut low) = (Vec::new(), Vec::new());
        for (number, partition) in &mut self.by_number {
            if !partition.is_paused && QUEUE_MAX <= partition.queue.len() {
                partition.is_paused = true;
                full.push(*number);
            } else if partition.is_paused && partition.queue.len() <= QUEUE_LOW {
                partition.is_paused = false;
                low.push(*number);
            }
        }
        (full, low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::reject::{Reject, RejectCode};
    use crate::runtime::source::Place;

    fn record(number: i32, offset: u64, arrived_at: i64) -> Decoded {
        Decoded {
            result: Some(Err(Reject::new(RejectCode::BadJson, ""))),
            place: Place {
                file: format!("t/{number}").into(),
                from: offset,
                to: offset + 1,
                number: offset + 1,
            },
            block: Arc::default(),
            range: (0, 0),
            header: None,
            arrived_at: EventTime(arrived_at),
            clock: None,
            receipt: None,
        }
    }

    fn partitions(arrivals: &[&[i64]]) -> Partitions {
        let mut partitions = Partitions::default();
        for (number, arrivals) in (0..).zip(arrivals) {
            let queue = (0..)
                .zip(*arrivals)
                .map(|(offset, arrived_at)| record(number, offset, *arrived_at));
            let partition = Partition {
                file: format!("t/{number}").into(),
                queue: queue.collect(),
                is_at_end: true,
                is_paused: false,
                next: 0,
                arrived_at: EventTime::MIN,
            };
            partitions.by_number.insert(number, partition);
        }
        partitions
    }

    fn taken(partitions: &mut Partitions, is_merged: bool) -> Vec<i64> {
        let mut out = VecDeque::new();
        partitions.take(is_merged, 100, &mut out);
        out.iter().map(|record| record.arrived_at.0).collect()
    }

    #[test]
    fn merged_partitions_give_what_arrived_first() {
        let mut all = partitions(&[&[3, 4, 9], &[1, 4, 5]]);
        assert_eq!(taken(&mut all, true), [1, 3, 4, 4, 5, 9]);
        assert!(all.is_done());
        assert_eq!(all.by_number[&0].next, 3);
    }

    #[test]
    fn merged_partitions_wait_for_one_that_has_more() {
        let mut all = partitions(&[&[3, 4], &[1]]);
        all.by_number.get_mut(&1).unwrap().is_at_end = false;
        assert_eq!(taken(&mut all, true), [1]);
        assert!(all.is_awaited() && !all.is_done());
        all.by_number.get_mut(&1).unwrap().is_at_end = true;
        assert_eq!(taken(&mut all, true), [3, 4]);
    }

    #[test]
    fn others_are_read_in_turn() {
        let mut all = partitions(&[&[10, 11, 12], &[20], &[30, 31]]);
        assert_eq!(taken(&mut all, false), [10, 20, 30, 11, 31, 12]);
    }

    #[test]
    fn a_full_queue_pauses_until_it_is_low() {
        let many: Vec<i64> = (0..8_192).collect();
        let mut all = partitions(&[&many, &[1]]);
        assert_eq!(all.tides(), (vec![0], Vec::new()));
        assert_eq!(all.tides(), (Vec::new(), Vec::new()));
        let mut out = VecDeque::new();
        all.take(false, 7_000, &mut out);
        assert_eq!(all.tides(), (Vec::new(), vec![0]));
    }
}

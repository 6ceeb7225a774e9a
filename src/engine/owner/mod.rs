//! Who owns a partition, decided by the order of its log alone.
//!
//! The log is a topic partition that several processes may append to. A process *claims* ownership by a record with an epoch
//! higher than every epoch before it, waits for its offset, and goes on from what the valid batches before it say. It then
//! appends *batches*: how far the source is read, what changed, what leaves. Everyone who reads the log applies the same rule:
//!
//! ```text
//! a claim is void if a claim with the same or a higher epoch stands before it
//! a batch is void if its epoch is not that of the last valid claim before it
//! ```
//!
//! An owner learns that another one has claimed because its offsets then have a gap: what is acknowledged at another offset
//! than the next is looked at again before anything leaves. Neither clocks nor leases nor transactions of the broker are
//! needed for safety; `model` goes through every order of claims, batches, crashes and late appends.
//!
//! bounds   an epoch number is 64 bits
//! errors   none: a void record is a value
//! source   the rule is that of fencing by epoch in a replicated log (Raft's terms, BookKeeper's ledgers), told by the reader

#[cfg(test)]
mod model;
mod standby;

pub use standby::standbys;

use super::event::SubjectKey;
use serde::{Deserialize, Serialize};

/// Which of all subjects belong to a partition: those whose key hashes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The partition, from 0.
    pub partition: u32,
    /// How many there are.
    pub partitions: u32,
}

impl Scope {
    /// Whether the subject belongs to it.
    pub fn holds(&self, subject: &SubjectKey) -> bool {
        subject.shard(self.partitions) == self.partition
    }
}

/// The epoch of a claim: unique, and ordered by number, then by process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Higher than every number that its process had read.
    pub number: u64,
    /// The process.
    pub instance: u32,
}

/// What stands in the log, as far as ownership goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A process wants to own the partition.
    Claim(Epoch),
    /// An owner has added to the state from one number to before another: offsets of the source, or numbers of its commits.
    Batch {
        /// The claim under which it was written.
        epoch: Epoch,
        /// The first number that is in it.
        from: u64,
        /// The number after the last.
        to: u64,
    },
}

/// Whether a record of the log counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It counts for every reader.
    Valid,
    /// It counts for none.
    Void,
}

/// What the log says up to some offset.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Reading {
    owner: Option<Epoch>,
    source_next: u64,
}

impl Reading {
    /// What a log says whose first record is a whole copy of the state, written under `owner`; what was before is in it.
    pub fn at_copy(owner: Epoch, source_next: u64) -> Self {
        Self {
            owner: Some(owner),
            source_next,
        }
    }

    /// Reads the next record.
    pub fn read(&mut self, entry: &Entry) -> Standing {
        match *entry {
            Entry::Claim(epoch) if self.owner < Some(epoch) => {
                self.owner = Some(epoch);
                Standing::Valid
            }
            Entry::Batch { epoch, from, to }
                if self.owner == Some(epoch) && from == self.source_next =>
            {
                self.source_next = to;
                Standing::Valid
            }
            Entry::Claim(_) | Entry::Batch { .. } => Standing::Void,
        }
    }

    /// The epoch with which a process may claim after this reading.
    pub fn next_epoch(&self, instance: u32) -> Epoch {
        let number = self.owner.map_or(0, |owner| owner.number) + 1;
        Epoch { number, instance }
    }

    /// The valid owner.
    pub fn owner(&self) -> Option<Epoch> {
        self.owner
    }

    /// Where it goes on: after the last valid batch.
    pub fn source_next(&self) -> u64 {
        self.source_next
    }
}

/// What an owner does when a batch of its own is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// Nobody wrote between: it is valid, its effects may leave.
    Next,
    /// Somebody wrote between: read the log up to here first.
    Gap,
}

/// Whether what is acknowledged at `offset` follows what this owner wrote before without a gap.
pub fn acknowledged(expected: u64, offset: u64) -> Acknowledged {
    if offset == expected {
        Acknowledged::Next
    } else {
        Acknowledged::Gap
    }
}

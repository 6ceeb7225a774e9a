//! What a state log says, record by record, for everyone who reads it: owners, new owners, standbys.
//!
//! Whether a record counts is decided by [`crate::engine::owner`]; here parts are put together, and a log that has lost its
//! beginning is refused.
//!
//! errors   [`StoreError::LogUnfit`]: a record that cannot be read, a log that begins in the middle, another number of partitions

use super::wire::{Delta, Kind, Record};
use crate::engine::owner::{Entry, Epoch, Reading, Standing};
use crate::runtime::store::StoreError;
use serde::{Deserialize, Serialize};

/// How far a log is read, as it is kept beside what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The offset of the next record.
    pub next: u64,
    /// What the records before it say.
    pub reading: Reading,
    /// Bytes since the last copy of the whole state.
    pub since_copy_bytes: u64,
}

/// Something that counts.
#[derive(Debug, PartialEq, Eq)]
pub enum Whole {
    /// Changes, to be applied to what was there.
    Batch(Delta),
    /// Everything; for who has nothing yet.
    Copy(Delta),
}

#[derive(Debug)]
struct Half {
    kind: Kind,
    epoch: Epoch,
    number: u64,
    parts: u32,
    bytes: Vec<u8>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Follower {
    position: Position,
    partitions: u32,
    half: Option<Half>,
    void: u64,
    claimed_at: Option<u64>,
}

impl Follower {
    /// A reader that goes on from a position.
    pub fn new(position: Position, partitions: u32) -> Self {
        Self {
            position,
            partitions,
            half: None,
            void: 0,
            claimed_at: None,
        }
    }

    /// How far it has read. Goes on from here only when no part of a batch is outstanding: see [`Follower::is_between`].
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether the last record was the end of a batch, or none is outstanding.
    pub fn is_between(&self) -> bool {
        self.half.is_none()
    }

    /// The valid owner so far.
    pub fn owner(&self) -> Option<Epoch> {
        self.position.reading.owner()
    }

    /// The offset of the last valid claim that was read.
    pub fn claimed_at(&self) -> Option<u64> {
        self.claimed_at
    }

    /// Void records seen since this was last asked.
    pub fn take_void(&mut self) -> u64 {
        core::mem::take(&mut self.void)
    }

    /// Begins at the oldest record that is left of a log.
    pub fn begin_at(&mut self, low: u64) {
        self.position.next = low;
    }

    /// Reads the next record; gives what it completes.
    pub fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<Option<Whole>, StoreError> {
        let is_first = self.position.reading == Reading::default();
        let record = Record::decode(offset, bytes)?;
        self.position.next = offset + 1;
        let length = u64::try_from(bytes.len()).unwrap_or(0);
        self.position.since_copy_bytes = self.position.since_copy_bytes.saturating_add(length);
        match record {
            Record::Claim {
                epoch, partitions, ..
            } => {
                if is_first && offset != 0 {
                    return Err(lost_beginning(offset));
                }
                self.claim(offset, epoch, partitions)?;
                Ok(None)
            }
            Record::Part {
                kind: Kind::Batch, ..
            } if is_first => Err(lost_beginning(offset)),
            Record::Part {
                kind,
                epoch,
                number,
                part,
                is_last,
                bytes,
            } => {
                let counts = self.owner() == Some(epoch) || (is_first && kind == Kind::Copy);
                if !counts || !self.add((kind, epoch, number, part), bytes) {
                    self.void += 1;
                    return Ok(None);
                }
                if is_last {
                    self.complete(offset)
                } else {
                    Ok(None)
                }
            }
        }
    }

    /// Takes note of a batch of one's own that went to the log without a gap: `records` with `bytes`, up to before `next`.
    pub fn wrote(&mut self, epoch: Epoch, next: u64, bytes: u64) {
        let number = self.position.reading.source_next();
        self.position.reading.read(&batch(epoch, number));
        self.position.next = next;
        self.position.since_copy_bytes = self.position.since_copy_bytes.saturating_add(bytes);
    }

    /// Takes note of a copy of one's own.
    pub fn copied(&mut self, next: u64) {
        self.position.next = next;
        self.position.since_copy_bytes = 0;
    }

    fn claim(&mut self, offset: u64, epoch: Epoch, partitions: u32) -> Result<(), StoreError> {
        if partitions != self.partitions {
            return Err(StoreError::LogUnfit {
                what: format!(
                    "it was written when the event topic had {partitions} partitions, now it has {}; subjects would be with other owners. Use topics with {partitions} partitions, or another prefix",
                    self.partitions
                ),
            });
        }
        if self.position.reading.read(&Entry::Claim(epoch)) == Standing::Valid {
            self.half = None;
            self.claimed_at = Some(offset);
        } else {
            self.void += 1;
        }
        Ok(())
    }

    fn add(&mut self, (kind, epoch, number, part): (Kind, Epoch, u64, u32), bytes: &[u8]) -> bool {
        let is_fresh = self.position.reading == Reading::default();
        if part == 0 && (is_fresh || number == self.position.reading.source_next()) {
            self.half = Some(Half {
                kind,
                epoch,
                number,
                parts: 1,
                bytes: bytes.to_vec(),
            });
            return true;
        }
        match &mut self.half {
            Some(half)
                if (half.kind, half.epoch, half.number, half.parts)
                    == (kind, epoch, number, part) =>
            {
                half.parts += 1;
                half.bytes.extend_from_slice(bytes);
                true
            }
            _ => {
                self.half = None;
                false
            }
        }
    }

    fn complete(&mut self, offset: u64) -> Result<Option<Whole>, StoreError> {
        let Some(half) = self.half.take() else {
            return Ok(None);
        };
        let is_fresh = self.position.reading == Reading::default();
        match half.kind {
            Kind::Copy => {
                self.position.since_copy_bytes = 0;
                if !is_fresh {
                    // Who has read everything before has it already.
                    return Ok(None);
                }
                self.position.reading = Reading::at_copy(half.epoch, half.number);
                Delta::decode(offset, &half.bytes).map(|delta| Some(Whole::Copy(delta)))
            }
            Kind::Batch => {
                let entry = batch(half.epoch, half.number);
                if self.position.reading.read(&entry) == Standing::Void {
                    self.void += 1;
                    return Ok(None);
                }
                Delta::decode(offset, &half.bytes).map(|delta| Some(Whole::Batch(delta)))
            }
        }
    }
}

fn batch(epoch: Epoch, number: u64) -> Entry {
    Entry::Batch {
        epoch,
        from: number,
        to: number + 1,
    }
}

fn lost_beginning(offset: u64) -> StoreError {
    StoreError::LogUnfit {
        what: format!(
            "it begins at offset {offset} with a record that needs those before it, which are gone; the topic must keep everything (retention.ms = -1, no compaction): restore it from a copy of the cluster, or export the state of a process that still has it"
        ),
    }
}

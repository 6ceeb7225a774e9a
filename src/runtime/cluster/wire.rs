//! The records of a state log, byte for byte.
//!
//! ```text
//! format (u8, now 1) | postcard of Record
//! Claim   a process wants to own the partition; says how many partitions there are
//! Part    a piece of a batch or of a copy of the whole state; the last one makes it count
//! ```
//!
//! A batch is what one commit changes in the store, keys and values, with the ledger of the store before it. A copy is
//! everything that a store holds, with its ledger. Either is cut into parts below the broker's limit on messages.
//!
//! bounds   [`PART_BYTES`] a part; a batch or copy is in memory as a whole
//! errors   [`StoreError::LogUnfit`] for what this version cannot read

use crate::engine::owner::Epoch;
use crate::runtime::store::{Batch, Ledger, Store, StoreError};
use serde::{Deserialize, Serialize};

/// Bytes of a part; brokers take messages of 1 MiB when nothing else is said.
pub const PART_BYTES: usize = 900_000;
const FORMAT: u8 = 1;

/// What a part belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Changes of one commit.
    Batch,
    /// Everything that the store holds.
    Copy,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record<'b> {
    /// See the module.
    Claim {
        /// The epoch.
        epoch: Epoch,
        /// How many partitions the events have; all claims of a log agree.
        partitions: u32,
        /// The process, for people who look at the log.
        instance: &'b str,
    },
    /// See the module.
    Part {
        /// What it is a part of.
        kind: Kind,
        /// The claim under which it was written.
        epoch: Epoch,
        /// The number of the batch; of a copy, the number of the batch that comes next.
        number: u64,
        /// Which part it is, from 0.
        part: u32,
        /// Whether it is the last.
        is_last: bool,
        /// Its bytes.
        #[serde(borrow)]
        bytes: &'b [u8],
    },
}

impl<'b> Record<'b> {
    /// The record as it is appended.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).unwrap_or_default()
    }

    /// Reads a record that stood at `offset`.
    pub fn decode(offset: u64, bytes: &'b [u8]) -> Result<Self, StoreError> {
        let unreadable = |what: &str| StoreError::LogUnfit {
            what: format!("the record at offset {offset} {what}"),
        };
        match bytes.split_first() {
            Some((&FORMAT, rest)) => postcard::from_bytes(rest)
                .map_err(|error| unreadable(&format!("cannot be read: {error}"))),
            Some((format, _)) => Err(unreadable(&format!(
                "has format {format}, this version reads {FORMAT}; use a newer one"
            ))),
            None => Err(unreadable("is empty; something else writes this topic")),
        }
    }
}

/// Changes of keys, and what the store comes to: before a batch, with a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    ledger: [u8; Ledger::SIZE_BYTES],
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Delta {
    /// What a commit changes in a store that comes to `before`.
    pub fn of(batch: &Batch, before: Ledger) -> Self {
        let changes = batch.changes();
        Self {
            ledger: before.to_bytes(),
            changes: changes
                .map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }

    /// Everything that a store holds.
    pub fn copy_of(store: &dyn Store) -> Result<Self, StoreError> {
        let mut changes = Vec::new();
        store.scan(b"", &mut |key, value| {
            changes.push((key.to_vec(), Some(value.to_vec())));
            Ok(())
        })?;
        Ok(Self {
            ledger: store.ledger().to_bytes(),
            changes,
        })
    }

    /// What the store comes to: before a batch, with a copy.
    pub fn ledger(&self) -> Ledger {
        Ledger::from_bytes(&self.ledger).unwrap_or_default()
    }

    /// Adds the changes to a batch.
    pub fn add_to(self, batch: &mut Batch) {
        for (key, value) in self.changes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
    }

    /// As bytes, to be cut into parts.
    pub fn encode(&self) -> Vec<u8> {
        lz4_flex::compress_prepend_size(&postcard::to_stdvec(self).unwrap_or_default())
    }

    /// From the bytes of all parts, of which the last stood at `offset`.
    pub fn decode(offset: u64, bytes: &[u8]) -> Result<Self, StoreError> {
        let delta = lz4_flex::decompress_size_prepended(bytes).ok();
        let delta = delta.and_then(|bytes| postcard::from_bytes(&bytes).ok());
        delta.ok_or_else(|| StoreError::LogUnfit {
            what: format!("the batch that ends at offset {offset} cannot be read"),
        })
    }
}

/// The records that carry these bytes.
pub fn parts(kind: Kind, epoch: Epoch, number: u64, bytes: &[u8]) -> Vec<Vec<u8>> {
    let count = bytes.len().div_ceil(PART_BYTES);
    let cut = (0_u32..).zip(bytes.chunks(PART_BYTES)).zip(1..);
    cut.map(|((part, bytes), nth)| {
        Record::Part {
            kind,
            epoch,
            number,
            part,
            is_last: nth == count,
            bytes,
        }
        .encode()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_beyond_a_message_go_in_parts() {
        let epoch = Epoch {
            number: 3,
            instance: 7,
        };
        let bytes: Vec<u8> = (0..=255).cycle().take(2 * PART_BYTES + 5).collect();
        let records = parts(Kind::Copy, epoch, 9, &bytes);
        let mut joined = Vec::new();
        let mut lasts = Vec::new();
        for record in &records {
            let Record::Part { bytes, is_last, .. } = Record::decode(0, record).unwrap() else {
                panic!("a part")
            };
            joined.extend_from_slice(bytes);
            lasts.push(is_last);
        }
        assert_eq!(lasts, [false, false, true]);
        assert!(joined == bytes, "the parts are the whole");
    }

    #[test]
    fn what_another_version_wrote_is_refused() {
        let error = Record::decode(5, &[2, 0, 0]).unwrap_err();
        assert!(
            error.to_string().contains("offset 5 has format 2"),
            "{error}"
        );
    }
}

//! A log of state: records in one order that all who read it agree on.
//!
//! [`super::topic::TopicLog`] keeps it in a partition of a topic; [`MemoryLog`] is for tests of what several processes do to it.
//!
//! errors   [`StoreError::Log`]; after an error of an append nobody knows whether it is there: let go of the log, read it anew

use crate::runtime::store::StoreError;

/// What a reader does with each record: its offset and bytes.
pub type Each<'a> = dyn FnMut(u64, &[u8]) -> Result<(), StoreError> + 'a;

/// See the module.
pub trait Log: Send {
    /// Appends records, one after the other; gives the offset of each when all are with all replicas in sync.
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<u64>, StoreError>;
    /// The offset of the oldest record, and the one after the newest.
    fn bounds(&mut self) -> Result<(u64, u64), StoreError>;
    /// Reads the records from an offset to before another.
    fn read(&mut self, range: (u64, u64), each: &mut Each<'_>) -> Result<(), StoreError>;
    /// Lets go of all records before an offset.
    fn trim(&mut self, before: u64) -> Result<(), StoreError>;
}

/// A log in memory; clones share it.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryLog {
    inner: std::sync::Arc<std::sync::Mutex<(u64, Vec<Vec<u8>>)>>,
}

#[cfg(test)]
impl Log for MemoryLog {
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<u64>, StoreError> {
        let mut inner = self.inner.lock().unwrap();
        let mut offsets = Vec::new();
        for record in records {
            offsets.push(inner.0 + u64::try_from(inner.1.len()).unwrap());
            inner.1.push(record.clone());
        }
        Ok(offsets)
    }

    fn bounds(&mut self) -> Result<(u64, u64), StoreError> {
        let inner = self.inner.lock().unwrap();
        Ok((inner.0, inner.0 + u64::try_from(inner.1.len()).unwrap()))
    }

    fn read(&mut self, (from, to): (u64, u64), each: &mut Each<'_>) -> Result<(), StoreError> {
        let (low, records) = self.inner.lock().unwrap().clone();
        for (offset, record) in (low..to).zip(&records).filter(|(at, _)| from <= *at) {
            each(offset, record)?;
        }
        Ok(())
    }

    fn trim(&mut self, before: u64) -> Result<(), StoreError> {
        let mut inner = self.inner.lock().unwrap();
        let gone = usize::try_from(before - inner.0).unwrap();
        inner.1.drain(..gone);
        inner.0 = before;
        Ok(())
    }
}

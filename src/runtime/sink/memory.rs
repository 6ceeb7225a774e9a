//! The twin of a sink that keeps everything in memory and crashes on command.
//!
//! It behaves like the file sink: what was delivered but not committed is cut off when it takes up again.

use super::{Delivered, OutboxEntry, Sink, SinkError, SinkPosition};

/// The key of its length in [`SinkPosition::files`].
const FILE: &str = "memory";

/// Keeps what it was given.
#[derive(Debug, Default)]
pub struct MemorySink {
    entries: Vec<OutboxEntry>,
    deliveries: u64,
    fail_at: Option<u64>,
}

impl MemorySink {
    /// A sink that never fails.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same sink, failing at this delivery, counted from 0: half of its entries are written by then.
    #[must_use]
    pub fn fail_at(mut self, delivery: u64) -> Self {
        self.fail_at = Some(self.deliveries.saturating_add(delivery));
        self
    }

    /// The same sink, failing no more: what a new process finds.
    #[must_use]
    pub fn restart(mut self) -> Self {
        self.fail_at = None;
        self
    }

    /// Everything delivered so far.
    pub fn entries(&self) -> &[OutboxEntry] {
        &self.entries
    }
}

impl Sink for MemorySink {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn resume(&mut self, position: &SinkPosition) -> Result<(), SinkError> {
        let committed = position.files.get(FILE).copied().unwrap_or(0);
        let count = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        if count < committed {
            return Err(SinkError::Shorter {
                path: FILE.into(),
                length: count,
                committed,
            });
        }
        self.entries
            .truncate(usize::try_from(committed).unwrap_or(usize::MAX));
        Ok(())
    }

    fn deliver(&mut self, entries: &[OutboxEntry]) -> Result<Delivered, SinkError> {
        let delivery = self.deliveries;
        if self.fail_at.is_some_and(|at| at < delivery) {
            return Err(SinkError::Injected { delivery });
        }
        self.deliveries += 1;
        if self.fail_at == Some(delivery) {
            let half = entries.iter().take(entries.len() / 2);
            self.entries.extend(half.cloned());
            return Err(SinkError::Injected { delivery });
        }
        self.entries.extend_from_slice(entries);
        Ok(Delivered {
            count: entries.len(),
            ..Delivered::default()
        })
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn position(&self) -> SinkPosition {
        let count = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        SinkPosition {
            files: [(FILE.to_owned(), count)].into(),
            parked: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::sink::{OutputKind, entry};

    #[test]
    fn a_failed_delivery_comes_again_whole() {
        let entries: Vec<_> = (0..4)
            .map(|seq| entry(seq, OutputKind::Warning, "a"))
            .collect();
        let mut sink = MemorySink::new().fail_at(1);
        sink.deliver(&entries[..2]).unwrap();
        let committed = sink.position();
        assert!(sink.deliver(&entries[2..]).is_err());
        assert!(sink.deliver(&entries[2..]).is_err(), "a fault is final");
        assert_eq!(sink.entries().len(), 3);

        let mut sink = sink.restart();
        sink.resume(&committed).unwrap();
        sink.deliver(&entries[2..]).unwrap();
        assert_eq!(sink.entries(), entries);
    }
}

//! Where the exchange takes outputs over from the keeper.
//!
//! When [`ExchangeSink::deliver`] has returned they are in the desk's store, so the engine's outbox may forget them. A kill
//! between the two commits brings them again, and the desk knows their numbers.

use super::desk::Fresh;
use super::shape;
use super::worker::Exchange;
use crate::runtime::sink::{Delivered, OutboxEntry, Sink, SinkError, SinkPosition};
use std::thread::JoinHandle;

/// Takes outputs over from the keeper.
#[derive(Debug)]
pub struct ExchangeSink {
    exchange: Exchange,
    thread: Option<JoinHandle<()>>,
}

impl ExchangeSink {
    /// A sink; the thread, if any, ends with it.
    pub(super) fn new(exchange: Exchange, thread: Option<JoinHandle<()>>) -> Self {
        Self { exchange, thread }
    }
}

impl Sink for ExchangeSink {
    fn name(&self) -> &'static str {
        "exchange"
    }

    fn resume(&mut self, _position: &SinkPosition) -> Result<(), SinkError> {
        Ok(())
    }

    fn deliver(&mut self, entries: &[OutboxEntry]) -> Result<Delivered, SinkError> {
        let going = entries
            .iter()
            .filter(|entry| self.exchange.sends(entry.kind) && shape::goes(entry));
        let fresh: Vec<Fresh<'_>> = going
            .map(|entry| Fresh {
                seq: entry.seq,
                id: &entry.id,
                subject: &entry.subject,
                kind: entry.kind,
                line: &entry.line,
            })
            .collect();
        let until = entries.last().map_or(0, |entry| entry.seq + 1);
        let province = self.exchange.province();
        let shape = |fresh: &Fresh<'_>, lane_no| {
            shape::message(fresh.kind, fresh.line, (lane_no, province))
        };
        let bad = self
            .exchange
            .take(&fresh, until, &shape)
            .map_err(|what| SinkError::Exchange { what })?;
        for (id, why) in bad {
            tracing::error!(
                id,
                why,
                "an output cannot be put into the national form and is NOT sent; this is a bug, please report it"
            );
        }
        Ok(Delivered {
            count: entries.len(),
            ..Delivered::default()
        })
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn position(&self) -> SinkPosition {
        SinkPosition::default()
    }
}

impl Drop for ExchangeSink {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.exchange.stop();
            // A thread that panicked has said why.
            let _ = thread.join();
        }
    }
}

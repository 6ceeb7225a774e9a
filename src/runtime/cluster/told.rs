//! Says when a partition was taken over, how long it took and what was read for it; the rest goes on to who watches.

use super::store::TakeOver;
use crate::engine::input::Outcome;
use crate::engine::province::Province;
use crate::runtime::clock::Stopwatch;
use crate::runtime::journal::Head;
use crate::runtime::keeper::Delivery;
use crate::runtime::pipeline::Stepped;
use crate::runtime::run::{Durable, Watch};

/// See the module.
pub(super) struct Owner<'w> {
    pub watch: &'w dyn Watch,
    pub partition: u32,
    pub started: Stopwatch,
    pub took: TakeOver,
}

impl Watch for Owner<'_> {
    fn recovered(&self, province: &Province, head: &Head, replayed: u64) {
        let took_ms = self.started.elapsed_us() / 1_000;
        let log_ms = self.took.took_us / 1_000;
        tracing::info!(
            partition = self.partition,
            took_ms,
            log_ms,
            records = self.took.records,
            void = self.took.void,
            rebuilt = self.took.is_rebuilt,
            replayed,
            "partition taken over"
        );
        self.watch.recovered(province, head, replayed);
    }

    fn stepped(&self, province: &Province, stepped: &Stepped) {
        self.watch.stepped(province, stepped);
    }

    fn durable(&self, durable: &Durable) {
        self.watch.durable(durable);
    }

    fn delivered(&self, deliveries: &[Delivery]) {
        self.watch.delivered(deliveries);
    }

    fn source_fault(&self, message: &str) {
        self.watch.source_fault(message);
    }

    fn adopted(&self, outcome: &Outcome) {
        self.watch.adopted(outcome);
    }

    fn rules(&self, province: &Province, failure: Option<&str>) {
        self.watch.rules(province, failure);
    }
}

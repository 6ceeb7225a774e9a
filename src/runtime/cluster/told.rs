//! Says when a partition was taken over, how long it took and what was read for it; the rest goes on to who watches.

use super::store::TakeOver;
use crate::engine::input::Outcome;
use crate::engine::province::Province;
use crate::runtime::clock::Stopwatch;
use crate::runtime::doors::Seen;
use crate::runtime::journal::Head;
use crate::runtime::keeper::Delivery;
use crate::runtime::pipeline::Stepped;
use crate::runtime::run::{Durable, Watch};

/// See the module.
pub(super) struct Owner<'w> {
    pub watch: &'w dyn Watch,
    /// The doors of the process, as this partition is seen through them.
    pub seen: Option<Seen<'w>>,
    pub partition: u32,
    pub started: Stopwatch,
    pub took: TakeOver,
}

impl Owner<'_> {
    fn each(&self, tell: impl Fn(&dyn Watch)) {
        tell(self.watch);
        if let Some(seen) = &self.seen {
            tell(seen);
        }
    }
}

impl Watch for Owner<'_> {
    fn recovered(&self, province: &Province, head: &Head, replayed: u64) {
        let took_ms = self.started.elapsed_us() / 1_000;
        if let Some(seen) = &self.seen {
            seen.took_over(self.started.elapsed_us());
        }
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
        self.each(|watch| watch.recovered(province, head, replayed));
    }

    fn stepped(&self, province: &Province, stepped: &Stepped) {
        self.each(|watch| watch.stepped(province, stepped));
    }

    fn durable(&self, durable: &Durable) {
        self.each(|watch| watch.durable(durable));
    }

    fn delivered(&self, deliveries: &[Delivery]) {
        self.each(|watch| watch.delivered(deliveries));
    }

    fn source_fault(&self, message: &str) {
        self.each(|watch| watch.source_fault(message));
    }

    fn adopted(&self, outcome: &Outcome) {
        self.each(|watch| watch.adopted(outcome));
    }

    fn rules(&self, province: &Province, failure: Option<&str>) {
        self.each(|watch| watch.rules(province, failure));
    }
}

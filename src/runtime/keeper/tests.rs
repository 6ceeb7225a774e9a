//! What the keeper says of deliveries.

use super::*;
use crate::runtime::sink::{Delivered, OutputKind, Retry, SinkPosition};
use crate::runtime::store::MemoryStore;

/// A sink that fails so many times before it takes everything.
struct Stubborn(u32);

impl Sink for Stubborn {
    fn name(&self) -> &'static str {
        "stubborn"
    }

    fn resume(&mut self, _position: &SinkPosition) -> Result<(), SinkError> {
        Ok(())
    }

    fn deliver(&mut self, entries: &[OutboxEntry]) -> Result<Delivered, SinkError> {
        let fails = 0 < self.0;
        self.0 = self.0.saturating_sub(1);
        Ok(Delivered {
            count: if fails { 0 } else { entries.len() },
            parked: 0,
            retry: fails.then(|| Retry {
                after_ms: 0,
                reason: "away".into(),
            }),
        })
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn position(&self) -> SinkPosition {
        SinkPosition::default()
    }
}

#[test]
fn deliveries_and_failures_are_told_once_and_what_waits_has_an_age() {
    let store = Box::new(MemoryStore::default());
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Stubborn(2))];
    let mut keeper = Keeper::new(store, Head::default(), sinks, &[]).unwrap();
    let entries = (0..3).map(|seq| OutboxEntry {
        seq,
        kind: OutputKind::Warning,
        subject: "enterprise:9132".into(),
        id: seq.to_string(),
        line: b"{}".to_vec(),
    });
    let mut told = Vec::new();
    keeper
        .commit(Commit {
            entries: entries.collect(),
            ..Commit::default()
        })
        .unwrap();
    told.extend(keeper.deliveries());
    for _ in 0..3 {
        keeper.idle().unwrap();
        told.extend(keeper.deliveries());
    }
    let counts: Vec<_> = told
        .iter()
        .map(|d| (d.delivered, d.failures, d.waiting, d.oldest_ms.is_some()))
        .collect();
    assert_eq!(
        counts,
        [
            (0, 1, 3, true),
            (0, 1, 3, true),
            (3, 0, 0, false),
            (0, 0, 0, false)
        ]
    );
    assert!(told.iter().all(|d| d.sink == "stubborn"));
}

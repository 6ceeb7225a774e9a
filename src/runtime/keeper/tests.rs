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

fn keeper_with(sinks: Vec<Box<dyn Sink>>) -> Keeper {
    let store = Box::new(MemoryStore::default());
    let mut keeper = Keeper::new(store, Head::default(), sinks, &[]).unwrap();
    let entries = (0..3).map(|seq| OutboxEntry {
        seq,
        kind: OutputKind::Warning,
        subject: "enterprise:9132".into(),
        id: seq.to_string(),
        line: b"{}".to_vec(),
    });
    keeper
        .commit(Commit {
            entries: entries.collect(),
            ..Commit::default()
        })
        .unwrap();
    keeper
}

#[test]
fn deliveries_and_failures_are_told_once_and_what_waits_has_an_age() {
    let mut keeper = keeper_with(vec![Box::new(Stubborn(2))]);
    let mut told = Vec::new();
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

#[test]
fn the_end_waits_for_a_slow_sink() {
    let mut keeper = keeper_with(vec![Box::new(Stubborn(3)), Box::new(Stubborn(0))]);
    let mut asked = 0;
    let waiting = keeper.finish(|_| {
        asked += 1;
        true
    });
    assert_eq!((waiting.unwrap(), asked), (vec![], 2));
    assert_eq!(keeper.head().sinks["stubborn"].next_entry, 3);
}

#[test]
fn what_a_sink_has_not_taken_at_the_end_is_told_and_stays() {
    let mut keeper = keeper_with(vec![Box::new(Stubborn(100))]);
    let mut asked = 0;
    let waiting = keeper.finish(|_| {
        asked += 1;
        asked < 5
    });
    assert_eq!(waiting.unwrap(), [("stubborn".to_owned(), 3)]);
    assert_eq!(asked, 5);
    assert_eq!(keeper.head().sinks["stubborn"].next_entry, 0);
}

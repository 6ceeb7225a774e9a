//! Facts that a subject no longer holds, put back from what was archived, so that what rested on them can be judged anew.
//!
//! Only what is past retention is put back: a fact that the subject holds, or knows to be withdrawn, stays as it is.

use crate::engine::event::{Event, Rank, RecordKey};
use crate::engine::subject::facts::{Fact, Facts};
use crate::engine::subject::state::{Holdings, Subject};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The subject with the archived facts that it let go. Gives how many there are; `events` are all versions that name it.
pub fn extend(subject: &mut Subject, events: Vec<Event>) -> usize {
    let mut versions: BTreeMap<RecordKey, (Rank, Event)> = BTreeMap::new();
    for event in events {
        let (key, rank) = (event.record_key(), event.rank());
        match versions.get(&key) {
            Some((known, _)) if rank <= *known => {}
            Some(_) | None => {
                versions.insert(key, (rank, event));
            }
        }
    }
    let Some(held) = subject.facts() else {
        return 0;
    };
    let mut facts = Facts::clone(held);
    let mut count = 0;
    for (key, (_, event)) in versions {
        let is_known = facts.find(key).is_some() || facts.tombstones().iter().any(|t| t.key == key);
        if is_known || !event.is_live() || !event.subjects.contains(&subject.key) {
            continue;
        }
        facts.insert(event.stream, Fact::of_record(&event, key));
        count += 1;
    }
    subject.holdings = Holdings::Facts(Arc::new(facts));
    count
}

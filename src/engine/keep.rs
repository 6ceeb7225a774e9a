//! How an individual takes facts, gives them up, and remembers what was withdrawn.
//!
//! bounds   as [`super::subject::facts`] has them; what had to go is named in [`Outputs::forgotten`]
//! cost     one place in a sorted list

use super::event::{Event, Rank, RecordKey, Validity};
use super::judge::Court;
use super::schema::Stream;
use super::shard::retention_ms;
use super::subject::facts::{Fact, Tombstone};
use super::subject::state::Subject;
use super::work::Outputs;
use std::sync::Arc;

pub(super) fn remove(subject: &mut Subject, key: RecordKey) -> Option<Arc<Event>> {
    let facts = subject.facts_mut()?;
    let (stream, _) = facts.find(key)?;
    facts.remove(stream, key)?.event(stream).map(Arc::new)
}

/// Puts a fact in; false when there are too many and this one is the oldest.
pub(super) fn put(subject: &mut Subject, event: &Event, key: RecordKey, out: &mut Outputs) -> bool {
    let Some(facts) = subject.facts_mut() else {
        return false;
    };
    let fact = Fact::of_record(event, key);
    facts.exhume(key);
    match facts.insert(event.stream, fact) {
        Some(gone) if gone == key => false,
        Some(gone) => {
            out.forgotten.push(gone);
            true
        }
        None => true,
    }
}

pub(super) fn bury(
    subject: &mut Subject,
    event: &Event,
    key: RecordKey,
    rank: Rank,
    old: Option<&Arc<Event>>,
) {
    let Some(facts) = subject.facts_mut() else {
        return;
    };
    let validity = match event.validity {
        Validity::Valid => Validity::Deleted,
        other => other,
    };
    let time = old.map_or(event.occurred_at, |e| e.occurred_at);
    facts.bury(Tombstone {
        key,
        rank,
        time,
        validity,
        id: event.id().into(),
    });
}

pub(super) fn trim(court: &Court<'_>, subject: &mut Subject, stream: Stream, out: &mut Outputs) {
    if stream.is_standing() {
        return;
    }
    let before = court.clock.plus_ms(-retention_ms(court.set, stream));
    let is_old = subject
        .facts()
        .and_then(|f| f.of(stream).first())
        .is_some_and(|f| f.time < before);
    if let (true, Some(facts)) = (is_old, subject.facts_mut()) {
        out.forgotten.extend(facts.trim(stream, before));
    }
}

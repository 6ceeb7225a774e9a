//! Which version of every record holds: the first stage, where events are told apart from echoes.
//!
//! Sources send insert, update and delete, send whole batches again and deliver updates before inserts. The index knows
//! of every record the version that holds and which individuals keep it, so that an echo or an older version changes
//! nothing, a newer one replaces the old wherever that stands, and a delete that names nobody still finds its fact.
//! It is derived from the subjects' facts and withdrawals and is made again from them at start.
//!
//! shape    40 bytes a record, and each different list of individuals once
//! cost     one look-up an event
//! bounds   a record is forgotten when its fact is past every window; a version that comes later still is too old

use super::event::{Event, Rank, RecordKey, SubjectKey};
use super::hash::FixedState;
use hashbrown::HashMap;
use std::sync::Arc;

/// The individuals that keep a fact; the first is its home.
pub type Keepers = Arc<[Arc<SubjectKey>]>;

/// An event with what is computed of it once.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The event.
    pub event: Arc<Event>,
    /// The identity of its record.
    pub key: RecordKey,
    /// The order of this version.
    pub rank: Rank,
}

impl Prepared {
    /// Computes identity and rank.
    pub fn new(event: Event) -> Self {
        let (key, rank) = (event.record_key(), event.rank());
        Self {
            event: Arc::new(event),
            key,
            rank,
        }
    }
}

/// What an event is to the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// The first that is known of the record.
    New {
        /// Who keeps it.
        keepers: Keepers,
    },
    /// A later version; the older one is kept by `old`.
    Newer {
        /// Who keeps it from now on.
        keepers: Keepers,
        /// Who keeps the older version.
        old: Keepers,
    },
    /// This very version is known.
    Duplicate,
    /// A later version is known.
    Stale,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    rank: Rank,
    keepers: u32,
}

/// The index.
#[derive(Debug, Default)]
pub struct RecordIndex {
    entries: HashMap<RecordKey, Entry, FixedState>,
    lists: Vec<Keepers>,
    ids: HashMap<Keepers, u32, FixedState>,
}

impl RecordIndex {
    /// Says what the event is and remembers its version.
    pub fn admit(&mut self, prepared: &Prepared) -> Admission {
        let known = self.entries.get(&prepared.key).copied();
        match known {
            Some(entry) if entry.rank == prepared.rank => return Admission::Duplicate,
            Some(entry) if prepared.rank < entry.rank => return Admission::Stale,
            Some(_) | None => {}
        }
        let event = &prepared.event;
        let old = known.and_then(|entry| self.list(entry.keepers));
        let names_somebody = event.subjects.iter().any(is_resolved);
        // A delete that names nobody leaves the fact with those who had it.
        let id = match known {
            Some(entry) if !event.is_live() && !names_somebody => entry.keepers,
            Some(_) | None => self.intern(&event.subjects),
        };
        self.entries.insert(
            prepared.key,
            Entry {
                rank: prepared.rank,
                keepers: id,
            },
        );
        let keepers = self.list(id).unwrap_or_else(|| Arc::from([]));
        match old {
            Some(old) => Admission::Newer { keepers, old },
            None => Admission::New { keepers },
        }
    }

    /// Takes up a version that a subject holds, when the index is made again.
    pub fn restore(&mut self, key: RecordKey, rank: Rank, subjects: &[SubjectKey]) {
        if self
            .entries
            .get(&key)
            .is_none_or(|entry| entry.rank <= rank)
        {
            let keepers = self.intern(subjects);
            self.entries.insert(key, Entry { rank, keepers });
        }
    }

    /// Takes up a version that no individual keeps, unless one of the record is known.
    pub fn restore_unkept(&mut self, key: RecordKey, rank: Rank) {
        if !self.entries.contains_key(&key) {
            self.restore(key, rank, &[]);
        }
    }

    /// Forgets a record whose fact is past every window.
    pub fn forget(&mut self, key: RecordKey) {
        self.entries.remove(&key);
    }

    /// Whether a version of the record is known.
    pub fn knows(&self, key: RecordKey) -> bool {
        self.entries.contains_key(&key)
    }

    /// Who keeps a record that is known.
    pub fn keepers(&self, key: RecordKey) -> Option<Keepers> {
        let entry = self.entries.get(&key)?;
        self.list(entry.keepers)
    }

    /// The number of records known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no record is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn list(&self, id: u32) -> Option<Keepers> {
        usize::try_from(id)
            .ok()
            .and_then(|at| self.lists.get(at))
            .map(Arc::clone)
    }

    fn intern(&mut self, subjects: &[SubjectKey]) -> u32 {
        let individuals: Vec<&SubjectKey> = subjects
            .iter()
            .filter(|s| !s.kind.is_collective())
            .collect();
        if let Some(id) = self.ids.get(&SameAs(&individuals)) {
            return *id;
        }
        let list: Keepers = individuals.into_iter().cloned().map(Arc::new).collect();
        let id = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
        self.lists.push(Arc::clone(&list));
        self.ids.insert(list, id);
        id
    }
}

fn is_resolved(subject: &SubjectKey) -> bool {
    !subject.kind.is_collective() && subject.kind != super::event::SubjectKind::Unresolved
}

/// A list of individuals as a key, without building the list first.
struct SameAs<'a>(&'a [&'a SubjectKey]);

impl std::hash::Hash for SameAs<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // As a slice hashes: its length, then each element.
        state.write_usize(self.0.len());
        for subject in self.0 {
            subject.hash(state);
        }
    }
}

impl hashbrown::Equivalent<Keepers> for SameAs<'_> {
    fn equivalent(&self, key: &Keepers) -> bool {
        self.0.len() == key.len() && self.0.iter().zip(key.iter()).all(|(a, b)| **a == **b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{Op, SubjectKind, Validity};
    use crate::engine::schema::Stream;
    use crate::engine::time::{EventTime, Precision};

    fn event(version: i64, op: Op, subject: &str) -> Prepared {
        Prepared::new(Event {
            source: "s".into(),
            record_id: "1".into(),
            version,
            op,
            stream: Stream::Penalty,
            occurred_at: EventTime::from_day(20_000),
            precision: Precision::Day,
            arrived_at: EventTime::from_day(20_000),
            validity: Validity::Valid,
            subjects: vec![
                SubjectKey::parse(subject).unwrap(),
                SubjectKey::new(SubjectKind::Region, "320100"),
            ],
            fields: crate::engine::event::Fields::new(),
        })
    }

    fn names(keepers: &Keepers) -> Vec<String> {
        keepers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn echoes_and_older_versions_change_nothing() {
        let mut index = RecordIndex::default();
        assert!(matches!(
            index.admit(&event(2, Op::Update, "enterprise:A")),
            Admission::New { .. }
        ));
        assert_eq!(
            index.admit(&event(2, Op::Update, "enterprise:A")),
            Admission::Duplicate
        );
        assert_eq!(
            index.admit(&event(1, Op::Insert, "enterprise:B")),
            Admission::Stale
        );
    }

    #[test]
    fn a_record_moves_and_a_nameless_delete_finds_it() {
        let mut index = RecordIndex::default();
        index.admit(&event(1, Op::Insert, "enterprise:A"));
        let Admission::Newer { keepers, old } = index.admit(&event(2, Op::Update, "enterprise:B"))
        else {
            panic!("a later version is newer")
        };
        assert_eq!(
            (names(&old), names(&keepers)),
            (
                vec!["enterprise:A".to_owned()],
                vec!["enterprise:B".to_owned()]
            )
        );
        let Admission::Newer { keepers, .. } = index.admit(&event(3, Op::Delete, "unresolved:s/1"))
        else {
            panic!("a delete is newer")
        };
        assert_eq!(names(&keepers), ["enterprise:B"]);
    }
}

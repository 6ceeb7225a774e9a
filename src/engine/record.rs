//! Which version of every record holds: the first stage, where events are told apart from echoes.
//!
//! Sources send insert, update and delete, send whole batches again and deliver updates before inserts. The index knows
//! of every record the version that holds and which individuals keep it, so that an echo or an older version changes
//! nothing, a newer one replaces the old wherever that stands, and a delete that names nobody still finds its fact.
//! It is derived from the subjects' facts and withdrawals and is made again from them at start.
//!
//! shape    some 40 bytes a record, see [`shelf`], and each different list of individuals once
//! cost     one look-up an event
//! bounds   a record is forgotten when its fact is past every window; a version that comes later still is too old

mod shelf;

use super::event::{Event, Rank, RecordKey, SubjectKey};
use super::hash::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry::{Occupied, Vacant};
use shelf::{Entry, Shelves};
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// The individuals that keep a fact; the first is its home. Most facts are kept by one, which takes no list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keepers {
    /// One.
    One(Arc<SubjectKey>),
    /// None, or several.
    Many(Arc<[Arc<SubjectKey>]>),
}

impl Default for Keepers {
    /// None.
    fn default() -> Self {
        Self::Many(Arc::default())
    }
}

impl Deref for Keepers {
    type Target = [Arc<SubjectKey>];

    fn deref(&self) -> &Self::Target {
        match self {
            Self::One(one) => core::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

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

/// The index.
#[derive(Debug, Default)]
pub struct RecordIndex {
    entries: Shelves,
    lists: Vec<Keepers>,
    /// The numbers of lists, by their hash.
    ids: HashTable<u32>,
}

impl RecordIndex {
    /// Says what the event is and remembers its version.
    pub fn admit(&mut self, prepared: &Prepared) -> Admission {
        let known = self.entries.get(prepared.key);
        match known {
            Some(entry) if entry.rank == prepared.rank => return Admission::Duplicate,
            Some(entry) if prepared.rank < entry.rank => return Admission::Stale,
            Some(_) | None => {}
        }
        let event = &prepared.event;
        let old = known.and_then(|entry| self.list(entry.keepers));
        let names_somebody = event.subjects.iter().any(is_resolved);
        // A delete that names nobody leaves the fact with those who had it.
        let keepers = match known {
            Some(entry) if !event.is_live() && !names_somebody => entry.keepers,
            Some(_) | None => self.intern(&event.subjects, None),
        };
        self.entries.put(Entry {
            key: prepared.key,
            rank: prepared.rank,
            keepers,
        });
        let keepers = self.list(keepers).unwrap_or_default();
        match old {
            Some(old) => Admission::Newer { keepers, old },
            None => Admission::New { keepers },
        }
    }

    /// Takes up a version that `holder` has, when the index is made again.
    pub fn restore(
        &mut self,
        (key, rank): (RecordKey, Rank),
        subjects: &[SubjectKey],
        holder: Option<&Arc<SubjectKey>>,
    ) {
        if self.entries.get(key).is_none_or(|entry| entry.rank <= rank) {
            let keepers = self.intern(subjects, holder);
            self.entries.put(Entry { key, rank, keepers });
        }
    }

    /// Takes up a version that no individual keeps, unless one of the record is known.
    pub fn restore_unkept(&mut self, key: RecordKey, rank: Rank) {
        if !self.knows(key) {
            self.restore((key, rank), &[], None);
        }
    }

    /// Forgets a record whose fact is past every window.
    pub fn forget(&mut self, key: RecordKey) {
        self.entries.remove(key);
    }

    /// Whether a version of the record is known.
    pub fn knows(&self, key: RecordKey) -> bool {
        self.entries.get(key).is_some()
    }

    /// Who keeps a record that is known.
    pub fn keepers(&self, key: RecordKey) -> Option<Keepers> {
        self.list(self.entries.get(key)?.keepers)
    }

    /// The number of records known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no record is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn list(&self, id: u32) -> Option<Keepers> {
        usize::try_from(id)
            .ok()
            .and_then(|at| self.lists.get(at))
            .cloned()
    }

    /// The number of the list of these; `known` is one of them, perhaps, of which there is a key to share.
    fn intern(&mut self, subjects: &[SubjectKey], known: Option<&Arc<SubjectKey>>) -> u32 {
        let individuals = subjects.iter().filter(|s| !s.kind.is_collective());
        let hash = hash_of(individuals.clone());
        let lists = &mut self.lists;
        let of = |id: &u32| usize::try_from(*id).ok().and_then(|at| lists.get(at));
        let is_this = |id: &u32| {
            of(id).is_some_and(|list| list.iter().map(AsRef::as_ref).eq(individuals.clone()))
        };
        let hash_again =
            |id: &u32| of(id).map_or(0, |list| hash_of(list.iter().map(AsRef::as_ref)));
        match self.ids.entry(hash, is_this, hash_again) {
            Occupied(known) => *known.get(),
            Vacant(place) => {
                let id = u32::try_from(lists.len()).unwrap_or(u32::MAX);
                place.insert(id);
                let share = |key: &SubjectKey| match known {
                    Some(known) if known.as_ref() == key => Arc::clone(known),
                    Some(_) | None => Arc::new(key.clone()),
                };
                let mut keys: Vec<Arc<SubjectKey>> = individuals.map(share).collect();
                lists.push(match keys.pop() {
                    Some(only) if keys.is_empty() => Keepers::One(only),
                    last => Keepers::Many(keys.into_iter().chain(last).collect()),
                });
                id
            }
        }
    }
}

fn hash_of<'a>(subjects: impl Iterator<Item = &'a SubjectKey>) -> u64 {
    let mut hasher = FixedState.build_hasher();
    subjects.for_each(|subject| subject.hash(&mut hasher));
    hasher.finish()
}

fn is_resolved(subject: &SubjectKey) -> bool {
    !subject.kind.is_collective() && subject.kind != super::event::SubjectKind::Unresolved
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

    #[test]
    fn keepers_are_small() {
        assert_eq!(size_of::<Keepers>(), 16);
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

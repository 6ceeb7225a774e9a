//! Which partitions an event goes to.
//!
//! It goes to the partition of each individual that it is about, and to those that have an older version of its record, so
//! that a fact that moves to another subject is taken back where it was. A version that is older than what is known goes
//! only where the newest one is kept: others could not tell, or not any more after a restart, that it is stale. Of a record that is not known any more, a change
//! or withdrawal goes to all partitions; those that have nothing to do with it leave it alone.
//!
//! shape    for each record 16 bytes of key, its newest version and the numbers of two lists of partitions; each different list once
//! bounds   [`RECORDS_MAX`] records, the oldest are forgotten first. Of a forgotten record an older version may count as new
//!          where the newer one is not known, and an insert about another subject leaves the old fact until its window passes

use crate::engine::event::{Event, Op, Rank, RecordKey, SubjectKey};
use crate::engine::hash::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Records whose partitions are remembered: about 1.5 GiB.
pub const RECORDS_MAX: usize = 20_000_000;

/// Records and where they went, as they are kept from commit to commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail(Vec<(RecordKey, Rank, [BTreeSet<u32>; 2])>);

/// See the module.
#[derive(Debug)]
pub struct Routes {
    partitions: u32,
    records_max: usize,
    /// The newest version, the list of all who had one, and of those who keep the newest.
    known: HashMap<RecordKey, (Rank, [u32; 2]), FixedState>,
    order: VecDeque<RecordKey>,
    lists: Vec<BTreeSet<u32>>,
    numbers: BTreeMap<BTreeSet<u32>, u32>,
    trail: Trail,
}

impl Routes {
    /// Routes into so many partitions.
    pub fn new(partitions: u32, records_max: usize) -> Self {
        Self {
            partitions,
            records_max,
            known: HashMap::default(),
            order: VecDeque::new(),
            lists: Vec::new(),
            numbers: BTreeMap::new(),
            trail: Trail::default(),
        }
    }

    /// The partitions of an event.
    pub fn of(&mut self, event: &Event) -> BTreeSet<u32> {
        let keepers = self.about(&event.subjects);
        let mut to = keepers.clone();
        let (key, rank) = (event.record_key(), event.rank());
        let known = self.known.get(&key).and_then(|(newest, [all, keep])| {
            let list = |number: &u32| self.lists.get(usize::try_from(*number).ok()?);
            Some((*newest, list(all)?, list(keep)?))
        });
        match known {
            Some((newest, _, keep)) if rank < newest => return keep.clone(),
            Some((newest, all, _)) if rank == newest => return all.clone(),
            Some((_, all, _)) => to.extend(all),
            None => {}
        }
        let is_placed = known.is_some() || (event.op == Op::Insert && event.is_live());
        self.remember((key, rank), [&to, &keepers]);
        self.trail.0.push((key, rank, [to.clone(), keepers]));
        if !is_placed {
            // Those that have nothing to do with it do not learn of it, so they are not remembered.
            to.extend(0..self.partitions);
        }
        to
    }

    fn about(&self, subjects: &[SubjectKey]) -> BTreeSet<u32> {
        let individuals = subjects.iter().filter(|s| !s.kind.is_collective());
        let to: BTreeSet<u32> = individuals.map(|s| s.shard(self.partitions)).collect();
        if to.is_empty() {
            return subjects
                .first()
                .map(|s| s.shard(self.partitions))
                .into_iter()
                .collect();
        }
        to
    }

    fn number(&mut self, list: &BTreeSet<u32>) -> u32 {
        let same = self.numbers.get(list).copied();
        same.unwrap_or_else(|| {
            let number = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
            self.lists.push(list.clone());
            self.numbers.insert(list.clone(), number);
            number
        })
    }

    fn remember(&mut self, (key, rank): (RecordKey, Rank), lists: [&BTreeSet<u32>; 2]) {
        let numbers = lists.map(|list| self.number(list));
        if self.known.insert(key, (rank, numbers)).is_none() {
            self.order.push_back(key);
        }
        if self.records_max < self.known.len()
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Takes up a record of which versions are in `all` and the newest in `keep`, to be kept like any other.
    pub fn carry(&mut self, (key, rank): (RecordKey, Rank), [all, keep]: [&BTreeSet<u32>; 2]) {
        self.remember((key, rank), [all, keep]);
        self.trail.0.push((key, rank, [all.clone(), keep.clone()]));
    }

    /// What was learnt since this was last asked, to be kept; nothing if nothing was.
    pub fn take_trail(&mut self) -> Vec<u8> {
        let trail = core::mem::take(&mut self.trail);
        if trail.0.is_empty() {
            return Vec::new();
        }
        postcard::to_stdvec(&trail).unwrap_or_default()
    }

    /// Takes up what was kept; none if it cannot be read.
    pub fn restore(&mut self, trail: &[u8]) -> Option<()> {
        let trail: Trail = postcard::from_bytes(trail).ok()?;
        for (key, rank, [all, keep]) in trail.0 {
            self.remember((key, rank), [&all, &keep]);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{Fields, SubjectKind, Validity};
    use crate::engine::schema::Stream;
    use crate::engine::time::{EventTime, Precision};

    fn event(record: (&str, i64), op: Op, firm: &str) -> Event {
        Event {
            source: "s".into(),
            record_id: record.0.into(),
            version: record.1,
            op,
            stream: Stream::Penalty,
            occurred_at: EventTime(0),
            precision: Precision::Day,
            arrived_at: EventTime(0),
            validity: Validity::Valid,
            subjects: vec![
                SubjectKey::new(SubjectKind::Enterprise, firm),
                SubjectKey::new(SubjectKind::Region, "320100"),
            ],
            fields: Fields::new(),
        }
    }

    fn place(firm: &str) -> u32 {
        SubjectKey::new(SubjectKind::Enterprise, firm).shard(8)
    }

    /// Two firms that are not in the same partition.
    fn apart() -> (String, String) {
        let other = (0..).map(|n| format!("B{n}"));
        let other = other.into_iter().find(|b| place(b) != place("A"));
        ("A".to_owned(), other.unwrap())
    }

    #[test]
    fn a_record_that_moves_goes_to_both_places_also_after_a_restart() {
        let (a, b) = apart();
        let mut routes = Routes::new(8, 10);
        assert_eq!(
            routes.of(&event(("1", 1), Op::Insert, &a)),
            BTreeSet::from([place(&a)])
        );
        let mut again = Routes::new(8, 10);
        again.restore(&routes.take_trail()).unwrap();
        let both = BTreeSet::from([place(&a), place(&b)]);
        assert_eq!(again.of(&event(("1", 2), Op::Insert, &b)), both);
        assert_eq!(
            again.of(&event(("1", 1), Op::Insert, &a)),
            BTreeSet::from([place(&b)]),
            "an echo goes where the newest is kept"
        );
        let third = (0..100).map(|n| format!("C{n}"));
        let mut third = third.filter(|c| !both.contains(&place(c)));
        let c = third.next().unwrap();
        let late = again.of(&event(("1", 0), Op::Insert, &c));
        assert!(
            !late.contains(&place(&c)),
            "who does not know that it is stale does not get it"
        );
    }

    #[test]
    fn a_change_of_a_record_that_is_not_known_goes_everywhere() {
        let (a, _) = apart();
        let mut routes = Routes::new(8, 1);
        routes.of(&event(("1", 1), Op::Insert, &a));
        routes.of(&event(("2", 1), Op::Insert, &a));
        assert_eq!(routes.of(&event(("1", 2), Op::Delete, &a)).len(), 8);
    }
}

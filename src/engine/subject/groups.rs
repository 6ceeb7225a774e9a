//! The groups of a collective: which facts are counted together, and the counts of each.
//!
//! Every fact is looked up in each group that it may belong to, by texts borrowed from it. A hash table finds them; whatever
//! leaves, is kept or is looked at goes through [`Groups::in_order`], so that no order rests on the table.
//!
//! shape    a group is (stream, the rule's `by` fields, their values)
//! bounds   [`GROUPS_MAX`] groups a collective
//! cost     one look-up; the order costs a sort

use super::series::Series;
use crate::engine::hash::FixedState;
use crate::engine::schema::Stream;
use hashbrown::{Equivalent, HashMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The most groups that one collective keeps.
pub const GROUPS_MAX: usize = 4_096;

/// Which facts are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKey {
    /// The stream.
    pub stream: Stream,
    /// The fields that group, joined by commas, then `|` and the field whose values are counted: `industry,problem_type|`.
    pub by: Arc<str>,
    /// The fields' values, in the same order; an absent field is an empty text.
    pub values: Box<[Box<str>]>,
}

impl GroupKey {
    /// `industry=H,problem_type=食品安全`; empty for the whole of a collective.
    pub fn describe(&self) -> String {
        let names = self.by.split('|').next().unwrap_or_default().split(',');
        let parts: Vec<String> = names
            .zip(self.values.iter())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        parts.join(",")
    }
}

/// A group to be looked up, borrowed from a fact.
#[derive(Debug, Hash)]
pub struct Sought<'a> {
    /// The stream.
    pub stream: Stream,
    /// As in [`GroupKey`].
    pub by: &'a str,
    /// The fields' values, in the same order.
    pub values: &'a [Cow<'a, str>],
}

impl Equivalent<GroupKey> for Sought<'_> {
    fn equivalent(&self, key: &GroupKey) -> bool {
        self.stream == key.stream
            && self.values.len() == key.values.len()
            && *self.by == *key.by
            && self.values.iter().zip(&key.values).all(|(a, b)| **a == **b)
    }
}

/// All groups of one collective.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Groups(HashMap<GroupKey, Series, FixedState>);

impl Groups {
    /// The series of a group.
    pub fn get(&self, key: &GroupKey) -> Option<&Series> {
        self.0.get(key)
    }

    /// The series of a group that a fact names.
    pub fn find(&self, sought: &Sought<'_>) -> Option<&Series> {
        self.0.get(sought)
    }

    /// The same, to be changed.
    pub fn find_mut(&mut self, sought: &Sought<'_>) -> Option<&mut Series> {
        self.0.get_mut(sought)
    }

    /// The series of a group, to be changed; an empty one is put there if there is none.
    pub fn series_mut(&mut self, key: GroupKey) -> &mut Series {
        self.0.entry(key).or_default()
    }

    /// Puts a series there, unless there are [`GROUPS_MAX`]; says whether it did.
    pub fn insert(&mut self, key: GroupKey, series: Series) -> bool {
        let has_room = self.0.len() < GROUPS_MAX;
        if has_room {
            self.0.insert(key, series);
        }
        has_room
    }

    /// Lets a group go.
    pub fn remove(&mut self, sought: &Sought<'_>) {
        self.0.remove(sought);
    }

    /// Takes the series of some groups from `new`, and no others; groups of the rest stay.
    pub fn replace(&mut self, mut is_one: impl FnMut(&GroupKey) -> bool, new: Self) {
        self.0.retain(|group, _| !is_one(group));
        self.0.extend(new.0);
    }

    /// Takes up what was counted of the same collective elsewhere.
    pub fn absorb(&mut self, other: Self) {
        for (group, series) in other.0 {
            self.series_mut(group).absorb(series);
        }
    }

    /// Whether a group is such a one.
    pub fn any(&self, is_one: impl FnMut(&GroupKey) -> bool) -> bool {
        self.0.keys().any(is_one)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order of their keys.
    pub fn in_order(&self) -> Vec<(&GroupKey, &Series)> {
        let mut all: Vec<(&GroupKey, &Series)> = self.0.iter().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.in_order()).finish()
    }
}

impl Serialize for Groups {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.in_order())
    }
}

impl<'de> Deserialize<'de> for Groups {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = BTreeMap::<GroupKey, Series>::deserialize(deserializer)?;
        Ok(Self(all.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::EventTime;

    fn key(value: &str) -> GroupKey {
        GroupKey {
            stream: Stream::Complaint,
            by: "industry|".into(),
            values: [value.into()].into(),
        }
    }

    fn sought<'a>(values: &'a [Cow<'a, str>]) -> Sought<'a> {
        Sought {
            stream: Stream::Complaint,
            by: "industry|",
            values,
        }
    }

    #[test]
    fn a_group_is_found_by_borrowed_texts_and_written_in_order() {
        let mut groups = Groups::default();
        for value in ["H", "C", "", "餐饮"] {
            let series = groups.series_mut(key(value));
            series.add(EventTime::from_day(20_000), || value.into(), None);
        }
        let values = [Cow::Borrowed("餐饮")];
        assert_eq!(groups.find(&sought(&values)), groups.get(&key("餐饮")));
        assert!(groups.find(&sought(&[])).is_none());
        let bytes = postcard::to_stdvec(&groups).unwrap();
        let (mut map, again) = (BTreeMap::new(), groups.clone());
        map.extend(again.in_order());
        assert_eq!(bytes, postcard::to_stdvec(&map).unwrap());
        assert_eq!(postcard::from_bytes::<Groups>(&bytes).unwrap(), groups);
        groups.remove(&sought(&values));
        let left = groups.in_order().into_iter().map(|(key, _)| key.describe());
        assert_eq!(
            left.collect::<Vec<_>>(),
            ["industry=", "industry=C", "industry=H"]
        );
    }
}

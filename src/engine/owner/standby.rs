//! Who follows the log of a partition that another process owns, so that it can take over at once.
//!
//! Every process works out the same from the same list of members: each partition ranks the members by a hash of both, the
//! owner is left out, the first ones stand by. When a member comes or goes, only the partitions that it is among the first
//! of change hands. Nothing rests on it: who is missing from a list costs time at a take-over and nothing else.
//!
//! cost     a hash for each member and partition
//! source   rendezvous hashing: Thaler, Ravishankar, IEEE/ACM Transactions on Networking, 1998

use crate::engine::hash::sip64;
use std::collections::{BTreeMap, BTreeSet};

/// The partitions whose logs `me` follows, when `count` members shall follow each that somebody else owns.
pub fn standbys(
    owners: &BTreeMap<String, BTreeSet<u32>>,
    me: &str,
    (count, partitions): (usize, u32),
) -> BTreeSet<u32> {
    let stands_by = |partition: &u32| {
        let others = owners
            .iter()
            .filter(|(_, owned)| !owned.contains(partition));
        let mut ranked: Vec<(u64, &str)> = others
            .map(|(name, _)| {
                (
                    sip64(format!("{name}/{partition}").as_bytes()),
                    name.as_str(),
                )
            })
            .collect();
        ranked.sort_unstable();
        ranked.iter().take(count).any(|(_, name)| *name == me)
    };
    (0..partitions).filter(stands_by).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(list: &[(&str, &[u32])]) -> BTreeMap<String, BTreeSet<u32>> {
        let owner =
            |(name, owned): &(&str, &[u32])| ((*name).to_owned(), owned.iter().copied().collect());
        list.iter().map(owner).collect()
    }

    #[test]
    fn of_two_each_follows_what_the_other_owns() {
        let two = owners(&[("a", &[0, 2]), ("b", &[1, 3])]);
        assert_eq!(standbys(&two, "a", (1, 4)), BTreeSet::from([1, 3]));
        assert_eq!(standbys(&two, "b", (1, 4)), BTreeSet::from([0, 2]));
        assert!(standbys(&two, "a", (0, 4)).is_empty());
        assert!(standbys(&two, "stranger", (1, 4)).is_empty());
    }

    #[test]
    fn each_partition_has_as_many_followers_as_asked_for_and_none_follows_its_own() {
        let all: Vec<u32> = (0..64).collect();
        let (first, second) = all.split_at(32);
        let many = owners(&[("a", first), ("b", second), ("c", &[]), ("d", &[])]);
        for count in 1..=3_usize {
            let by_name = |name: &str| standbys(&many, name, (count, 64));
            let mut followers = BTreeMap::new();
            for name in ["a", "b", "c", "d"] {
                for partition in by_name(name) {
                    assert!(!many[name].contains(&partition), "{name} owns {partition}");
                    *followers.entry(partition).or_insert(0) += 1;
                }
            }
            assert!(followers.values().all(|n| *n == count));
            assert_eq!(followers.len(), 64);
        }
        // One that leaves moves only what it followed.
        let mut fewer = many.clone();
        fewer.remove("d");
        let left = standbys(&many, "d", (1, 64));
        for name in ["a", "b", "c"] {
            let (before, after) = (
                standbys(&many, name, (1, 64)),
                standbys(&fewer, name, (1, 64)),
            );
            assert!(before.is_subset(&after));
            assert!(after.difference(&before).all(|p| left.contains(p)));
        }
    }
}

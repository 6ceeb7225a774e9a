//! What deaths say about records: from "it died" to "this record kills it".
//!
//! ```text
//! trusting ──2 deaths within a few commits──▶ careful, 64 records a step ──death──▶ careful, 1 record a step
//!    ▲                                                       │ the same record three times running, alone: condemned
//!    └──────────── enough records passed ◀───────────────────┘
//! ```
//!
//! While it is careful, records are decoded one by one and nothing is read ahead, so a death while one record is worked on is
//! that record's, or comes from outside. A record that is survived once is no suspect any more: what kills kills every time, so
//! three deaths running, each at the first try and with nothing else at work, are believed.
//! Pure: what is noted on disk and how is in the module above.
//!
//! bounds   [`CONDEMNED_MAX`] records are remembered, the newest

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Deaths within so many commits are deaths at the same place: so many batches are on their way at once.
const NEAR_COMMITS: u64 = 4;
/// Deaths at the same place after which it is careful.
const DEATHS_MAX: u32 = 2;
/// Deaths running at one record that condemn it.
const DEATHS_ALONE: u32 = 3;
/// Records a step at first.
const SOME: usize = 64;
/// Records that have to pass before it is trusting again: all that may have been on their way.
const SOME_LEFT: usize = 32_768;
/// The same, of the step of [`SOME`] records that it died at.
const ONE_LEFT: usize = 4 * SOME;
/// How many condemned records are remembered.
const CONDEMNED_MAX: usize = 1_000;

/// Where a record is found again after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// The source.
    pub source: String,
    /// The file or partition; the SM3 of the record, where the source cannot be read again.
    pub file: String,
    /// The offset of its first byte, or of its message; none where the source cannot be read again.
    pub offset: Option<u64>,
}

/// What was worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Many records, or none.
    Batch,
    /// One record is decoded, and nothing beside it is done in the process.
    Decode(Spot),
    /// The same, and it is judged.
    Step(Spot),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Care {
    #[default]
    Trusting,
    /// So many records a step, until `left` have passed.
    Careful { step: usize, left: usize },
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Doubt {
    care: Care,
    /// Deaths near to `commit`, the last commit that was durable at the last of them.
    deaths: u32,
    commit: u64,
    /// The last one that it died over alone, and how often running.
    suspect: Option<(Work, u32)>,
    condemned: VecDeque<Spot>,
}

/// What a death has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// It may have been chance.
    Noted,
    /// From now on so many records are worked on at a time.
    Careful(usize),
    /// So many deaths running at this record.
    Suspected(Spot, u32),
    /// The record is not worked on again.
    Condemned(Spot),
}

impl Doubt {
    /// The process died over `work`, when `commit` was the last commit that was durable.
    pub(super) fn died(&mut self, work: &Work, commit: u64) -> Conclusion {
        match (self.care, work) {
            (Care::Trusting, _) => {
                let is_near = 0 < self.deaths && commit.saturating_sub(self.commit) <= NEAR_COMMITS;
                self.deaths = if is_near { self.deaths + 1 } else { 1 };
                self.commit = commit;
                if self.deaths < DEATHS_MAX {
                    return Conclusion::Noted;
                }
                self.be_careful(SOME, SOME_LEFT)
            }
            (Care::Careful { .. }, Work::Batch) => self.be_careful(1, ONE_LEFT),
            (Care::Careful { step, left }, Work::Decode(spot) | Work::Step(spot)) => {
                let before = match &self.suspect {
                    Some((suspect, deaths)) if suspect == work => *deaths,
                    _ => 0,
                };
                if before + 1 < DEATHS_ALONE {
                    self.be_careful(step, left.max(ONE_LEFT));
                    self.suspect = Some((work.clone(), before + 1));
                    return Conclusion::Suspected(spot.clone(), before + 1);
                }
                self.suspect = None;
                if CONDEMNED_MAX <= self.condemned.len() {
                    self.condemned.pop_front();
                }
                self.condemned.push_back(spot.clone());
                // There may be another one behind it.
                self.be_careful(SOME, SOME_LEFT);
                Conclusion::Condemned(spot.clone())
            }
        }
    }

    /// This was survived; whether it was suspected.
    pub(super) fn survived(&mut self, work: &Work) -> bool {
        let is_suspect = matches!(&self.suspect, Some((suspect, _)) if suspect == work);
        if is_suspect {
            self.suspect = None;
        }
        is_suspect
    }

    /// So many records were worked on and are durable; whether it is trusting again.
    pub(super) fn passed(&mut self, records: usize) -> bool {
        let Care::Careful { step, left } = self.care else {
            return false;
        };
        let left = left.saturating_sub(records);
        let is_over = left == 0;
        if is_over {
            let condemned = core::mem::take(&mut self.condemned);
            *self = Self {
                condemned,
                ..Self::default()
            };
        } else {
            self.care = Care::Careful { step, left };
        }
        is_over
    }

    /// The most records that may be worked on at a time while it is careful.
    pub(super) fn step(&self) -> Option<usize> {
        match self.care {
            Care::Trusting => None,
            Care::Careful { step, .. } => Some(step),
        }
    }

    /// Whether any record is condemned.
    pub(super) fn condemns(&self) -> bool {
        !self.condemned.is_empty()
    }

    /// Whether this record is.
    pub(super) fn is_condemned(&self, spot: &Spot) -> bool {
        self.condemned.contains(spot)
    }

    /// Gives a record another chance.
    pub(super) fn pardon(&mut self, spot: &Spot) {
        self.condemned.retain(|condemned| condemned != spot);
    }

    fn be_careful(&mut self, step: usize, left: usize) -> Conclusion {
        self.care = Care::Careful { step, left };
        Conclusion::Careful(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn spot(offset: u64) -> Spot {
        Spot {
            source: "feed".to_owned(),
            file: "a.jsonl".to_owned(),
            offset: Some(offset),
        }
    }

    /// A process over `count` records of which some kill it, started again and again: what it left out, how often it died.
    struct World {
        count: u64,
        deadly: BTreeSet<u64>,
        batch: u64,
        /// Batches that are on their way when a later one kills.
        behind: u64,
    }

    impl World {
        fn live(&self) -> (BTreeSet<u64>, usize) {
            let (mut doubt, mut durable, mut commit) = (Doubt::default(), 0, 0);
            let (mut left_out, mut deaths) = (BTreeSet::new(), 0);
            while durable < self.count {
                let Some(work) =
                    self.until_death(&mut doubt, (&mut durable, &mut commit), &mut left_out)
                else {
                    break;
                };
                doubt.died(&work, commit);
                deaths += 1;
                assert!(deaths < 10_000, "it never ends");
            }
            (left_out, deaths)
        }

        fn until_death(
            &self,
            doubt: &mut Doubt,
            (durable, commit): (&mut u64, &mut u64),
            left_out: &mut BTreeSet<u64>,
        ) -> Option<Work> {
            while *durable < self.count {
                let step = doubt.step().map(|step| u64::try_from(step).unwrap());
                let end = self.count.min(*durable + step.unwrap_or(self.batch));
                let kills = (*durable..end)
                    .find(|at| self.deadly.contains(at) && !doubt.is_condemned(&spot(*at)));
                if let Some(at) = kills {
                    return Some(match step {
                        Some(1) => Work::Step(spot(at)),
                        _ => Work::Batch,
                    });
                }
                if step.is_none() {
                    // What is committed trails behind what is worked on; a later batch may take it all down.
                    let ahead = self.count.min(end + self.behind * self.batch);
                    let doomed =
                        |at: &u64| self.deadly.contains(at) && !doubt.is_condemned(&spot(*at));
                    if (end..ahead).any(|at| doomed(&at)) {
                        return Some(Work::Batch);
                    }
                }
                left_out.extend((*durable..end).filter(|at| doubt.is_condemned(&spot(*at))));
                doubt.passed(usize::try_from(end - *durable).unwrap());
                *durable = end;
                *commit += 1;
            }
            None
        }
    }

    proptest! {
        #[test]
        fn what_kills_is_left_out_and_nothing_else(
            deadly in proptest::collection::btree_set(0..60_000_u64, 0..6),
            batch in 50..8_000_u64,
            behind in 0..4_u64,
        ) {
            let world = World { count: 60_000, deadly: deadly.clone(), batch, behind };
            let (left_out, deaths) = world.live();
            prop_assert_eq!(left_out, deadly.clone());
            // Two to be careful, one a step, three alone; a neighbour takes one or two less.
            prop_assert!(deaths <= 6 * deadly.len(), "{} deaths", deaths);
        }
    }

    #[test]
    fn deaths_that_come_from_outside_condemn_nothing() {
        let mut doubt = Doubt::default();
        assert_eq!(doubt.died(&Work::Batch, 3), Conclusion::Noted);
        assert_eq!(doubt.died(&Work::Batch, 90), Conclusion::Noted);
        assert_eq!(doubt.died(&Work::Batch, 94), Conclusion::Careful(SOME));
        assert_eq!(doubt.died(&Work::Batch, 94), Conclusion::Careful(1));
        for (offset, deaths) in [(5, 1), (6, 1), (5, 1), (5, 2)] {
            let work = Work::Step(spot(offset));
            let suspected = Conclusion::Suspected(spot(offset), deaths);
            assert_eq!(doubt.died(&work, 94), suspected);
        }
        // It is decoded, which is not what it died over; then it is judged.
        assert!(!doubt.survived(&Work::Decode(spot(5))));
        assert!(doubt.survived(&Work::Step(spot(5))));
        let work = Work::Step(spot(5));
        assert_eq!(doubt.died(&work, 94), Conclusion::Suspected(spot(5), 1));
        assert_eq!(doubt.step(), Some(1));
        assert!(!doubt.passed(ONE_LEFT - 1));
        assert!(doubt.passed(1));
        assert_eq!(doubt, Doubt::default());
    }

    #[test]
    fn who_is_pardoned_may_kill_again() {
        let mut doubt = Doubt::default();
        for _ in 0..3 {
            doubt.died(&Work::Batch, 0);
        }
        let work = Work::Decode(spot(1));
        doubt.died(&work, 0);
        doubt.died(&work, 0);
        assert_eq!(doubt.died(&work, 0), Conclusion::Condemned(spot(1)));
        assert!(doubt.condemns() && doubt.is_condemned(&spot(1)));
        doubt.pardon(&spot(1));
        assert!(!doubt.condemns());
    }
}

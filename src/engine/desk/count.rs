//! How many cases, sanctions and rules stand where: what the metrics show.

use super::case::State;
use super::sanction::Stand;
use super::{Desk, Item};
use crate::engine::subject::view::Level;
use std::collections::BTreeMap;

/// See [`Desk::count`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cases by state.
    pub cases: BTreeMap<State, i64>,
    /// Sanctions by state.
    pub sanctions: BTreeMap<Stand, i64>,
    /// Cases that no one has claimed, by level.
    pub unclaimed: BTreeMap<Level, i64>,
    /// Open cases that are overdue.
    pub overdue: i64,
    /// Open cases whose deadline lies in a year that is not published.
    pub undated: i64,
    /// Rules whose sanctions are halted.
    pub halted: i64,
}

impl Counts {
    /// Adds what is counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        fn add<K: Ord + Copy>(to: &mut BTreeMap<K, i64>, from: &BTreeMap<K, i64>) {
            for (key, count) in from {
                *to.entry(*key).or_default() += count;
            }
        }
        add(&mut self.cases, &other.cases);
        add(&mut self.sanctions, &other.sanctions);
        add(&mut self.unclaimed, &other.unclaimed);
        self.overdue += other.overdue;
        self.undated += other.undated;
        self.halted += other.halted;
    }
}

impl Desk {
    /// How many cases stand in each state, and of those how many are overdue or have no computable deadline.
    pub fn count(&self) -> Counts {
        let mut counts = Counts::default();
        for item in self.items.values() {
            match item {
                Item::Case(case) => {
                    *counts.cases.entry(case.state).or_default() += 1;
                    if matches!(case.state, State::Dispatched | State::Returned) {
                        *counts.unclaimed.entry(case.level).or_default() += 1;
                    }
                    if case.is_open() {
                        counts.overdue += i64::from(case.is_overdue());
                        counts.undated += i64::from(case.is_undated());
                    }
                }
                Item::Order(order) => *counts.sanctions.entry(order.state).or_default() += 1,
                Item::Brake(brake) => counts.halted += i64::from(brake.is_halted),
                _ => {}
            }
        }
        counts
    }
}

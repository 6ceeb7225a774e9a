//! What a collective subject (region, industry, department) keeps: counts by day, not facts.
//!
//! A collective sees millions of facts, so it keeps a [`Series`] for each [group](super::groups) that some rule asks for: a count per day,
//! the different values per day where a rule counts them, and the newest few facts as evidence. A withdrawn fact is
//! subtracted from its own day, so counts stay exact; windows begin and end with days.
//!
//! shape    a day is 8 bytes
//! bounds   [`DISTINCT_MAX`] different values a group, [`RECENT_MAX`] facts as evidence;
//!          a window counts to [`COUNT_MAX`]
//! cost     add O(log days), count O(days in the window)

use crate::engine::time::EventTime;
use serde::{Deserialize, Serialize};

/// The most (day, value) pairs of one group whose different values are counted.
pub const DISTINCT_MAX: usize = 16_384;
/// Where counting ends: far above what a province sees in a window, and small enough that rules can reckon with it.
pub const COUNT_MAX: i64 = 1 << 28;
/// How many facts a group remembers as evidence.
pub const RECENT_MAX: usize = 20;

/// Facts of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCount {
    /// Days since 1970-01-01 in Shanghai.
    pub day: i32,
    /// How many facts.
    pub count: u32,
}

/// One fact as evidence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Recent {
    /// When it happened.
    pub time: EventTime,
    /// How evidence names it.
    pub id: Box<str>,
}

/// The counts of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    days: Vec<DayCount>,
    distinct: Vec<(i32, Box<str>, u32)>,
    recent: Vec<Recent>,
    truncated: bool,
}

impl Series {
    /// Counts a fact on its day; `value` is what the rule counts different values of, `id` how evidence names the fact, asked
    /// for only if it is among the newest.
    pub fn add(&mut self, time: EventTime, id: impl FnOnce() -> Box<str>, value: Option<&str>) {
        let day = time.day();
        match self.days.binary_search_by_key(&day, |d| d.day) {
            Ok(at) => {
                if let Some(slot) = self.days.get_mut(at) {
                    slot.count = slot.count.saturating_add(1);
                }
            }
            Err(at) => self.days.insert(at, DayCount { day, count: 1 }),
        }
        if let Some(value) = value {
            self.add_value(day, value);
        }
        let is_full = RECENT_MAX <= self.recent.len();
        if is_full && self.recent.first().is_some_and(|oldest| time < oldest.time) {
            return;
        }
        let fact = Recent { time, id: id() };
        let at = self.recent.partition_point(|r| *r < fact);
        self.recent.insert(at, fact);
        if RECENT_MAX < self.recent.len() {
            self.recent.remove(0);
        }
    }

    fn add_value(&mut self, day: i32, value: &str) {
        match self
            .distinct
            .binary_search_by(|(d, v, _)| (*d, v.as_ref()).cmp(&(day, value)))
        {
            Ok(at) => {
                if let Some(slot) = self.distinct.get_mut(at) {
                    slot.2 = slot.2.saturating_add(1);
                }
            }
            Err(at) if self.distinct.len() < DISTINCT_MAX => {
                self.distinct.insert(at, (day, value.into(), 1));
            }
            Err(_) => self.truncated = true,
        }
    }

    /// Takes a fact back from its day.
    pub fn remove(&mut self, time: EventTime, id: &str, value: Option<&str>) {
        let day = time.day();
        if let Ok(at) = self.days.binary_search_by_key(&day, |d| d.day)
            && let Some(slot) = self.days.get_mut(at)
        {
            slot.count = slot.count.saturating_sub(1);
            if slot.count == 0 {
                self.days.remove(at);
            }
        }
        if let Some(value) = value
            && let Ok(at) = self
                .distinct
                .binary_search_by(|(d, v, _)| (*d, v.as_ref()).cmp(&(day, value)))
            && let Some(slot) = self.distinct.get_mut(at)
        {
            slot.2 = slot.2.saturating_sub(1);
            if slot.2 == 0 {
                self.distinct.remove(at);
            }
        }
        self.recent.retain(|r| r.time != time || *r.id != *id);
    }

    /// How many facts on the days `after + 1 ..= through`, at most [`COUNT_MAX`].
    pub fn count(&self, after: i32, through: i32) -> i64 {
        let days = self.slice(after, through).iter();
        days.map(|d| i64::from(d.count)).sum::<i64>().min(COUNT_MAX)
    }

    /// How many different values on the days `after + 1 ..= through`.
    pub fn distinct(&self, after: i32, through: i32) -> i64 {
        let mut values: Vec<&str> = self
            .distinct
            .iter()
            .filter(|(day, ..)| after < *day && *day <= through)
            .map(|(_, v, _)| v.as_ref())
            .collect();
        values.sort_unstable();
        values.dedup();
        i64::try_from(values.len()).unwrap_or(i64::MAX)
    }

    /// The days `after + 1 ..= through` on which something happened, oldest first.
    pub fn slice(&self, after: i32, through: i32) -> &[DayCount] {
        let from = self.days.partition_point(|d| d.day <= after);
        let to = self.days.partition_point(|d| d.day <= through);
        self.days.get(from..to.max(from)).unwrap_or(&[])
    }

    /// The newest facts up to the end of a day, oldest first.
    pub fn recent(&self, through: i32) -> impl Iterator<Item = &Recent> {
        self.recent.iter().filter(move |r| r.time.day() <= through)
    }

    /// Lets go of days before `day`. Returns whether anything went.
    pub fn trim(&mut self, day: i32) -> bool {
        if self.days.first().is_none_or(|d| day <= d.day) {
            return false;
        }
        self.days.retain(|d| day <= d.day);
        self.distinct.retain(|(d, ..)| day <= *d);
        true
    }

    /// Takes up what another series of the same group counted.
    pub fn absorb(&mut self, other: Self) {
        for more in other.days {
            match self.days.binary_search_by_key(&more.day, |d| d.day) {
                Ok(at) => {
                    if let Some(slot) = self.days.get_mut(at) {
                        slot.count = slot.count.saturating_add(more.count);
                    }
                }
                Err(at) => self.days.insert(at, more),
            }
        }
        for (day, value, count) in other.distinct {
            let place = self
                .distinct
                .binary_search_by(|(d, v, _)| (*d, v.as_ref()).cmp(&(day, value.as_ref())));
            match place {
                Ok(at) => {
                    if let Some(slot) = self.distinct.get_mut(at) {
                        slot.2 = slot.2.saturating_add(count);
                    }
                }
                Err(at) if self.distinct.len() < DISTINCT_MAX => {
                    self.distinct.insert(at, (day, value, count));
                }
                Err(_) => self.truncated = true,
            }
        }
        self.recent.extend(other.recent);
        self.recent.sort();
        let old = self.recent.len().saturating_sub(RECENT_MAX);
        self.recent.drain(..old);
        self.truncated |= other.truncated;
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Whether some different values were not counted because there were too many.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }
}

//! Whether firms are inspected no more often than they may be: the compliance that the evaluation of supervision asks for.
//!
//! What is allowed is said by one rule, [`RULE`]: fewer than `params.min_times` days with planned inspections of one firm within
//! `params.window`. Inspections that were prompted (有因: by complaints, a warning, an order from above) do not count, and several on
//! one day are one. So the indicator and the warning never say different things, and its legal basis is the rule's.
//!
//! units    shares 0 to 1; days of Asia/Shanghai
//! bounds   of the past only inspections that are still kept count: as far back as the longest window of a rule on inspections
//! cost     one walk over the subjects for a period; the inspections of one firm for one inspection

use super::province::Province;
use super::rule::RuleSet;
use super::schema::{Stream, field};
use super::subject::facts::Facts;
use super::time::{EventTime, parse_span_ms};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The rule that says how often is too often.
pub const RULE: &str = "JC-006";
/// Inspections for a reason, which do not count.
const PROMPTED: &str = "有因";

/// How often is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standard {
    /// The rule that says so.
    pub rule: String,
    /// Its legal basis.
    pub basis: Vec<String>,
    /// The window, ms.
    pub window_ms: i64,
    /// From so many days with planned inspections in the window on it is too often.
    pub times: usize,
}

/// How an inspection stands to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// It was within what is allowed.
    Within,
    /// It was one too many.
    Over,
    /// It was prompted and does not count.
    Prompted,
}

impl Kept {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Within, Self::Over, Self::Prompted];

    /// The word in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Over => "over",
            Self::Prompted => "prompted",
        }
    }
}

/// An inspection, as far as this needs it.
struct Inspection {
    at: EventTime,
    is_prompted: bool,
    department: String,
}

impl Standard {
    /// What the rule set says; none when it has no such rule or the rule has not these parameters.
    pub fn of(set: &RuleSet) -> Option<Self> {
        let rule = set.rule(RULE)?;
        let entries: BTreeMap<String, String> = rule.entries().into_iter().collect();
        Some(Self {
            rule: RULE.to_owned(),
            basis: rule
                .manifest()
                .basis
                .iter()
                .map(ToString::to_string)
                .collect(),
            window_ms: parse_span_ms(entries.get("params.window")?)?,
            times: entries.get("params.min_times")?.parse().ok()?,
        })
    }

    /// How the planned inspections of a firm up to this time stand to it, at an inspection that is among its facts.
    pub fn judge(&self, facts: &Facts, at: EventTime, is_prompted: bool) -> Kept {
        if is_prompted {
            return Kept::Prompted;
        }
        let from = at.plus_ms(-self.window_ms);
        let window = facts.window(Stream::Inspection, from, at).iter();
        let planned = window.filter(|fact| {
            fact.peek()
                .is_some_and(|peek| !peek.is_text(field::trigger, PROMPTED))
        });
        self.allowed(&planned.map(|fact| fact.time.day()).collect())
    }

    fn weigh(&self, all: &[Inspection], at: EventTime, is_prompted: bool) -> Kept {
        if is_prompted {
            return Kept::Prompted;
        }
        let from = at.plus_ms(-self.window_ms);
        let counts = |one: &&Inspection| !one.is_prompted && from < one.at && one.at <= at;
        self.allowed(&all.iter().filter(counts).map(|one| one.at.day()).collect())
    }

    fn allowed(&self, days: &BTreeSet<i32>) -> Kept {
        if self.times <= days.len() {
            Kept::Over
        } else {
            Kept::Within
        }
    }
}

/// Whether the words of an inspection's origin say that it was prompted.
pub fn is_prompted(trigger: Option<&str>) -> bool {
    trigger == Some(PROMPTED)
}

fn inspections(facts: &Facts) -> Vec<Inspection> {
    let all = facts.of(Stream::Inspection).iter();
    all.filter_map(|fact| fact.event(Stream::Inspection))
        .map(|event| Inspection {
            at: event.occurred_at,
            is_prompted: is_prompted(event.fields.text(field::trigger)),
            department: event
                .fields
                .text(field::department)
                .unwrap_or_default()
                .to_owned(),
        })
        .collect()
}

/// How the inspections of one department, or all, kept to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Tally {
    /// Within what is allowed.
    pub within: u64,
    /// One too many.
    pub over: u64,
    /// Prompted, which do not count.
    pub prompted: u64,
    /// Within, of those that count.
    pub compliant_share: Option<f64>,
}

impl Tally {
    fn count(&mut self, kept: Kept) {
        match kept {
            Kept::Within => self.within += 1,
            Kept::Over => self.over += 1,
            Kept::Prompted => self.prompted += 1,
        }
    }

    fn close(&mut self) {
        let part = i64::try_from(self.within).unwrap_or(i64::MAX);
        self.compliant_share = super::desk::evaluation::ratio(part, self.within + self.over);
    }
}

/// The compliance of a period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Frequency {
    /// What is allowed, and who says so.
    pub standard: Standard,
    /// All inspections of firms.
    pub total: Tally,
    /// By the department that inspected.
    pub departments: BTreeMap<String, Tally>,
}

impl Frequency {
    /// Of the inspections from one day through another; none when no rule says what is allowed.
    pub fn of(province: &Province, from: EventTime, through: EventTime) -> Option<Self> {
        let mut found = Self {
            standard: Standard::of(province.set())?,
            total: Tally::default(),
            departments: BTreeMap::new(),
        };
        let days = from.day()..=through.day();
        for shard in province.shards() {
            for subject in shard.subjects() {
                let all = subject
                    .facts()
                    .map(|facts| inspections(facts))
                    .unwrap_or_default();
                for one in all.iter().filter(|one| days.contains(&one.at.day())) {
                    let kept = found.standard.weigh(&all, one.at, one.is_prompted);
                    found.total.count(kept);
                    let line = found.departments.entry(one.department.clone());
                    line.or_default().count(kept);
                }
            }
        }
        found.total.close();
        found.departments.values_mut().for_each(Tally::close);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspection(text: &str, is_prompted: bool) -> Inspection {
        let at = EventTime::parse(text).map(|(at, _)| at).unwrap();
        Inspection {
            at,
            is_prompted,
            department: String::new(),
        }
    }

    #[test]
    fn two_planned_days_within_sixty_are_one_too_many() {
        let standard = Standard {
            rule: RULE.to_owned(),
            basis: Vec::new(),
            window_ms: parse_span_ms("60d").unwrap(),
            times: 2,
        };
        let all = [
            inspection("2026-01-10 09:00", false),
            inspection("2026-01-10 15:00", false),
            inspection("2026-02-01 09:00", true),
            inspection("2026-03-10 09:00", false),
            inspection("2026-05-09 10:00", false),
        ];
        let found: Vec<Kept> = all
            .iter()
            .map(|one| standard.weigh(&all, one.at, one.is_prompted))
            .collect();
        // The second of January is the same day; March is 59 days after January, May is past the window of March.
        assert_eq!(
            found,
            [
                Kept::Within,
                Kept::Within,
                Kept::Prompted,
                Kept::Over,
                Kept::Within
            ]
        );
    }
}

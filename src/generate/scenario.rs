//! Bad actors: which scenarios there are, who plays them and when they begin.
//!
//! A scenario is a row of one table: the rule that should find it, in what line of business it plays, how many of 100,000 firms
//! play it, about how many records it takes, and how many days of the period it needs before and after its start. Every scenario
//! is played at least once if the period and the plan have room for it; together they take at most a fifth of the records.

use super::make::{Maker, Standing, Task};
use super::season::office_days_after;
use super::trade::{Class, class};
use std::collections::BTreeMap;

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scenario {
    /// The name in `truth.csv`.
    pub(super) name: &'static str,
    /// The rule that should find it.
    pub(super) rule: &'static str,
    /// What becomes of the warning in the end.
    pub(super) outcome: &'static str,
    /// Lines of business, by code; the actor takes one of them.
    pub(super) classes: &'static [&'static str],
    /// How many of 100,000 firms.
    pub(super) per_100k: u32,
    /// About how many records, at most.
    pub(super) records: u32,
    /// Days of the period before the start, and from the start to the end of the story.
    pub(super) lead_days: i32,
    pub(super) span_days: i32,
}

macro_rules! scenarios {
    ($($name:literal, $rule:literal, $outcome:literal, [$($class:literal),*], $rate:literal, $records:literal, $lead:literal, $span:literal;)*) => {
        /// All scenarios.
        pub(super) const SCENARIOS: &[Scenario] = &[$(Scenario {
            name: $name, rule: $rule, outcome: $outcome, classes: &[$($class),*], per_100k: $rate,
            records: $records, lead_days: $lead, span_days: $span,
        }),*];
    };
}

scenarios! {
    "prepaid_flight", "TS-003", "warned", ["8930", "8051", "8391"], 20, 30, 1, 18;
    "complaint_surge", "TS-001", "warned", ["5292", "6210", "7291"], 40, 40, 63, 15;
    "same_problem", "TS-002", "warned", ["5292", "5012", "7030"], 30, 30, 1, 20;
    "mass_complaint", "TS-004", "warned", ["7020", "8391"], 15, 3, 1, 11;
    "overdue_order", "TS-005", "warned", ["7020", "5012"], 25, 4, 1, 36;
    "unresolved_order", "TS-006", "warned", ["7020", "8111"], 25, 9, 1, 18;
    "food_poisoning", "TS-007", "warned", ["6210", "6291", "6220"], 15, 18, 1, 23;
    "repeated_failure", "JC-001", "warned", ["6210", "1411", "5251"], 40, 8, 1, 135;
    "rectification_overdue", "JC-002", "warned", ["3484", "6210"], 30, 2, 1, 28;
    "refused_inspection", "JC-003", "warned", ["7212", "5292"], 20, 2, 1, 5;
    "lift_entrapment", "JC-004", "warned", ["7020"], 15, 8, 1, 23;
    "chemical_licence_lapsed", "JC-005", "warned", ["5169"], 8, 4, 70, 19;
    "expired_licence", "XK-001", "warned", ["6210", "5251", "8425"], 50, 6, 70, 19;
    "licence_not_renewed", "XK-002", "warned", ["6291", "5212"], 60, 2, 1, 25;
    "major_penalty", "CF-002", "warned", ["2641", "1411", "8425"], 40, 2, 1, 24;
    "repeat_offender", "CF-001", "warned", ["6210", "5292", "1411"], 40, 6, 1, 140;
    "penalty_revoked", "CF-002", "withdrawn", ["1411", "4790"], 12, 3, 1, 110;
    "unpaid_fine", "CF-003", "warned", ["4790", "5431"], 40, 1, 1, 45;
    "serious_violation", "ML-001", "warned", ["1411", "5251", "8930"], 15, 2, 1, 3;
    "serious_repaired", "ML-001", "withdrawn", ["1411", "5212"], 8, 3, 1, 120;
    "out_of_reach", "ML-002", "warned", ["7212", "5292", "7519"], 60, 5, 1, 12;
    "deregistered_active", "DJ-001", "warned", ["6291", "5211", "8051"], 25, 8, 1, 54;
    "frequent_change", "DJ-002", "warned", ["7212", "5169"], 40, 4, 1, 142;
    "fund_raising", "DJ-003", "warned", ["6760"], 10, 14, 1, 40;
    "over_inspection", "JG-001", "warned", ["3484"], 6, 10, 1, 30;
    "district_cluster", "QY-001", "warned", ["8391"], 3, 60, 63, 16;
}

/// A bad actor.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    pub(super) scenario: Scenario,
    /// Its firm's number, and those of the firms that it needs beside it.
    pub(super) firms: Vec<u32>,
    /// The day on which it begins.
    pub(super) start: i32,
}

/// All bad actors.
#[derive(Debug, Default)]
pub(super) struct Actors {
    pub(super) list: Vec<Actor>,
    classes: BTreeMap<u32, &'static Class>,
}

impl Actors {
    /// The line of business that a firm must have for its part.
    pub(super) fn class_of(&self, index: u32) -> Option<&'static Class> {
        self.classes.get(&index).copied()
    }

    /// The actor whose firm this is.
    pub(super) fn of_firm(&self, index: u32) -> Option<&Actor> {
        self.list.iter().find(|actor| actor.firms.contains(&index))
    }

    /// The numbers of all firms that play.
    pub(super) fn firms(&self) -> impl Iterator<Item = u32> {
        self.classes.keys().copied()
    }
}

/// How many firms a scenario needs: four of one department, one otherwise.
fn firms_of(scenario: &Scenario) -> usize {
    match scenario.name {
        "over_inspection" => 4,
        _ => 1,
    }
}

impl Maker<'_> {
    /// Chooses the actors and puts them on the agenda.
    pub(super) fn cast(&mut self) {
        let mut records_left = self.plan.events / 5;
        let mut firms_left = self.born / 4;
        let wanted = |scenario: &Scenario, subjects: u64| {
            let count = subjects * u64::from(scenario.per_100k) / 100_000;
            count.max(1)
        };
        for round in 0..u64::MAX {
            let mut has_cast = false;
            for scenario in SCENARIOS {
                let records = u64::from(scenario.records) + 2;
                let firms = u32::try_from(firms_of(scenario)).unwrap_or(1);
                let has_room = records <= records_left && firms <= firms_left;
                if has_room
                    && round < wanted(scenario, self.plan.subjects)
                    && self.cast_one(scenario)
                {
                    records_left -= records;
                    firms_left -= firms;
                    has_cast = true;
                }
            }
            if !has_cast {
                break;
            }
        }
    }

    fn cast_one(&mut self, scenario: &Scenario) -> bool {
        let (first, last) = (self.from + scenario.lead_days, self.to - scenario.span_days);
        if last < first {
            return false;
        }
        // Half of them play in the last weeks, so that the period does not end in calm.
        let first = if self.dice.below(2) == 0 {
            first.max(last - 30)
        } else {
            first
        };
        let start = office_days_after(self.dice.between(first, last), 0);
        if last + 10 < start {
            return false;
        }
        let mut firms: Vec<u32> = Vec::new();
        let mut place = None;
        // One department, one district: the others must be of the first one's.
        for _ in 0..3000 {
            let index = self.dice.below(self.born);
            let own = self.firms.firm(index, None).place;
            let is_free =
                self.standing(index).is_free_of(Standing::ACTOR) && !firms.contains(&index);
            if is_free && place.is_none_or(|place| place == own) {
                firms.push(index);
                place = Some(own);
            }
            if firms.len() == firms_of(scenario) {
                break;
            }
        }
        if firms.len() < firms_of(scenario) {
            return false;
        }
        let class = class(self.dice.pick(scenario.classes));
        let number = self.actors.list.len();
        for index in &firms {
            self.set_standing(*index, |standing| standing.flags |= Standing::ACTOR);
            self.actors.classes.insert(*index, class);
        }
        self.actors.list.push(Actor {
            scenario: *scenario,
            firms,
            start,
        });
        self.agenda
            .entry(start)
            .or_default()
            .push(Task::Act(number));
        true
    }
}

impl Actor {
    /// The last day of the licence that the actor has when the period begins.
    pub(super) fn licence_to(&self) -> i32 {
        match self.scenario.name {
            "expired_licence" | "chemical_licence_lapsed" => self.start - 40,
            // It ends 32 days after the start, so that the reminder is due two days into the story.
            "licence_not_renewed" => self.start + 32,
            _ => self.start + 700,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::trade::CLASSES;

    #[test]
    fn scenarios_name_lines_of_business() {
        for scenario in SCENARIOS {
            for code in scenario.classes {
                assert!(CLASSES.iter().any(|class| class.code == *code), "{code}");
            }
            assert!(matches!(scenario.outcome, "warned" | "withdrawn"));
        }
    }
}

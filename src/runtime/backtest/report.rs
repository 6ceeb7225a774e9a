//! What a back-test found, counted: by rule, level, city, month and department, beside a baseline, and against outcomes.

use super::expect::Held;
use super::judge::{Side, Told};
use super::outcome::Measures;
use crate::engine::event::{SubjectKey, SubjectKind};
use crate::engine::region::{city_of, name_of};
use crate::engine::rule::RuleSet;
use crate::engine::subject::state::Status;
use crate::engine::subject::view::Level;
use crate::engine::time::EventTime;
use crate::runtime::archive::Damage;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Counts of some warnings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Warnings.
    pub warnings: u64,
    /// By level: 红, 橙, 黄, 蓝.
    pub levels: [u64; 4],
    /// Different subjects.
    pub subjects: u64,
    /// Those that were withdrawn again.
    pub withdrawn: u64,
}

/// What one rule did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RuleRow {
    /// Its name.
    pub name: String,
    /// Its warnings.
    pub counts: Counts,
    /// Findings that appeared or changed.
    pub firings: u64,
    /// Judgements that failed, and the first message.
    pub faults: Option<(u64, String)>,
    /// Its warnings under the baseline.
    pub baseline: Option<u64>,
}

/// What the new rules do that the baseline does not, by subject.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The baseline's rule set.
    pub rule_set: String,
    /// Warnings of the baseline.
    pub warnings: u64,
    /// Subjects that only the new rules warn of.
    pub newly_warned: Vec<String>,
    /// Subjects that only the baseline warns of.
    pub no_longer_warned: Vec<String>,
    /// Subjects that both warn of.
    pub both: u64,
    /// Of (subject, rule): how many both have.
    pub pairs_both: u64,
    /// Of (subject, rule): how many at least one has.
    pub pairs_either: u64,
}

/// What officers of a department would have to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// The department, or the city where a warning names none.
    pub department: String,
    /// Warnings in all.
    pub warnings: u64,
    /// Of them red or orange.
    pub grave: u64,
    /// In the busiest month.
    pub busiest_month: (String, u64),
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The first and the last day.
    pub period: (String, String),
    /// The rule set's hash.
    pub rule_set: String,
    /// Events known by the end.
    pub events: u64,
    /// Of them, those that came more than a day late: they count from their own time, as is known in the end.
    pub late_events: u64,
    /// Anchors judged.
    pub anchors: u64,
    /// All warnings.
    pub counts: Counts,
    /// Sanction proposals.
    pub sanctions: u64,
    /// By rule.
    pub rules: BTreeMap<String, RuleRow>,
    /// By city.
    pub cities: BTreeMap<String, Counts>,
    /// By month of raising.
    pub months: BTreeMap<String, Counts>,
    /// By department, busiest first.
    pub workload: Vec<Workload>,
    /// Beside the baseline.
    pub comparison: Option<Comparison>,
    /// Against outcomes.
    pub outcomes: Option<Measures>,
    /// Against outcomes, of the baseline.
    pub baseline_outcomes: Option<Measures>,
    /// Expectations.
    pub expectations: Vec<Held>,
    /// Drafts and rules in the shadow that were judged as if they were in service.
    pub tried: Vec<String>,
    /// Files that could not be read whole.
    pub damaged: Vec<Damage>,
    /// Subjects whose oldest facts had to go: their windows count at least what they say.
    pub truncated_subjects: u64,
}

/// The warnings raised from `from` to `to`.
pub fn within(side: &Side, (from, to): (EventTime, EventTime)) -> Vec<&Told> {
    let told = side.told.iter();
    told.filter(|t| from <= t.raised_at && t.raised_at <= to)
        .collect()
}

/// Counts warnings.
pub fn count<'a>(told: impl Iterator<Item = &'a Told>) -> Counts {
    let mut counts = Counts::default();
    let mut subjects = BTreeSet::new();
    for one in told {
        counts.warnings += 1;
        subjects.insert(one.subject.as_str());
        counts.withdrawn += u64::from(one.status == Status::Withdrawn);
        let place = Level::ALL
            .iter()
            .rev()
            .position(|level| *level == one.level);
        if let Some(slot) = place.and_then(|at| counts.levels.get_mut(at)) {
            *slot += 1;
        }
    }
    counts.subjects = u64::try_from(subjects.len()).unwrap_or(0);
    counts
}

fn grouped<'a>(told: &[&'a Told], key: impl Fn(&Told) -> String) -> BTreeMap<String, Counts> {
    let mut groups: BTreeMap<String, Vec<&'a Told>> = BTreeMap::new();
    for one in told {
        groups.entry(key(one)).or_default().push(one);
    }
    let counted = groups.into_iter();
    counted
        .map(|(key, list)| (key, count(list.into_iter())))
        .collect()
}

/// `2026-03`.
pub fn month(at: EventTime) -> String {
    at.to_string().get(..7).unwrap_or_default().to_owned()
}

fn city(told: &Told) -> String {
    let city = city_of(&told.region).and_then(name_of);
    city.unwrap_or("（未注明）").to_owned()
}

impl Report {
    /// Counts what a rule set gave.
    pub fn of(set: &RuleSet, side: &Side, period: (EventTime, EventTime)) -> Self {
        let told = within(side, period);
        let mut report = Self {
            period: (period.0.to_string(), period.1.date().to_string()),
            rule_set: set.hash().to_owned(),
            anchors: side.anchors,
            counts: count(told.iter().copied()),
            sanctions: side.sanctions,
            cities: grouped(&told, city),
            months: grouped(&told, |t| month(t.raised_at)),
            workload: workload(&told),
            truncated_subjects: side.truncated,
            ..Self::default()
        };
        let mut by_rule = grouped(&told, |t| t.rule.clone());
        for rule in set.rules() {
            let manifest = rule.manifest();
            let id = manifest.id.to_string();
            let row = RuleRow {
                name: manifest.name.to_string(),
                counts: by_rule.remove(&id).unwrap_or_default(),
                firings: side.firings.get(&id).copied().unwrap_or(0),
                faults: side.faults.get(&id).cloned(),
                baseline: None,
            };
            report.rules.insert(id, row);
        }
        for (id, counts) in by_rule {
            let row = RuleRow {
                name: "综合风险".to_owned(),
                counts,
                ..RuleRow::default()
            };
            report.rules.insert(id, row);
        }
        report
    }

    /// Sets a baseline beside it.
    pub fn compare(
        &mut self,
        side: &Side,
        (set, baseline): (&RuleSet, &Side),
        period: (EventTime, EventTime),
    ) {
        let (new, old) = (within(side, period), within(baseline, period));
        let subjects = |told: &[&Told]| -> BTreeSet<String> {
            told.iter().map(|t| t.subject.clone()).collect()
        };
        let pairs = |told: &[&Told]| -> BTreeSet<(String, String)> {
            told.iter()
                .map(|t| (t.subject.clone(), t.rule.clone()))
                .collect()
        };
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let (a, b) = (subjects(&new), subjects(&old));
        let (pa, pb) = (pairs(&new), pairs(&old));
        self.comparison = Some(Comparison {
            rule_set: set.hash().to_owned(),
            warnings: number(old.len()),
            newly_warned: a.difference(&b).cloned().collect(),
            no_longer_warned: b.difference(&a).cloned().collect(),
            both: number(a.intersection(&b).count()),
            pairs_both: number(pa.intersection(&pb).count()),
            pairs_either: number(pa.union(&pb).count()),
        });
        for (rule, counts) in grouped(&old, |t| t.rule.clone()) {
            let row = self.rules.entry(rule.clone()).or_insert_with(|| RuleRow {
                name: set
                    .rule(&rule)
                    .map_or_else(String::new, |r| r.manifest().name.to_string()),
                ..RuleRow::default()
            });
            row.baseline = Some(counts.warnings);
        }
        for row in self.rules.values_mut() {
            row.baseline = row.baseline.or(Some(0));
        }
    }
}

fn workload(told: &[&Told]) -> Vec<Workload> {
    let mut by: BTreeMap<String, Vec<&Told>> = BTreeMap::new();
    for one in told {
        let is_department =
            SubjectKey::parse(&one.subject).is_some_and(|s| s.kind == SubjectKind::Department);
        let name = if one.department.is_empty() && !is_department {
            city(one)
        } else {
            one.department.clone()
        };
        by.entry(name).or_default().push(one);
    }
    let mut list: Vec<Workload> = by
        .into_iter()
        .map(|(department, told)| {
            let counts = count(told.iter().copied());
            let [red, orange, ..] = counts.levels;
            let months = grouped(&told, |t| month(t.raised_at));
            let busiest = months
                .into_iter()
                .max_by(|a, b| a.1.warnings.cmp(&b.1.warnings).then(b.0.cmp(&a.0)));
            Workload {
                department,
                warnings: counts.warnings,
                grave: red + orange,
                busiest_month: busiest.map(|(m, c)| (m, c.warnings)).unwrap_or_default(),
            }
        })
        .collect();
    list.sort_by(|a, b| {
        b.warnings
            .cmp(&a.warnings)
            .then(a.department.cmp(&b.department))
    });
    list
}

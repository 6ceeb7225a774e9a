//! How disposal goes: what the yearly evaluation of supervision asks, from the cases on the desk.
//!
//! A case belongs to the day on which it was first dispatched. Shares are over those of which the answer is known, and absent
//! when there are none: `on_time_share` over cases with feedback and a computable deadline, `confirmed_share` (属实 or 部分属实)
//! over cases with a verdict.
//!
//! units    shares 0 to 1; times hours of the clock, from the first dispatch to the last feedback
//! cost     one walk over the cases

use super::case::{Case, State};
use super::task::Word;
use super::{Desk, Item};
use crate::engine::time::{EventTime, HOUR_MS};
use serde::Serialize;
use std::collections::BTreeMap;

/// How the cases of one rule, of one department, or all cases went.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Line {
    /// Cases dispatched.
    pub cases: u64,
    /// Of those, claimed by an officer.
    pub claimed: u64,
    /// With feedback.
    pub fed_back: u64,
    /// Fed back by the deadline.
    pub on_time: u64,
    /// Fed back after it.
    pub late: u64,
    /// 属实 or 部分属实.
    pub confirmed: u64,
    /// 不属实.
    pub refuted: u64,
    /// 无法核实.
    pub unverifiable: u64,
    /// Open, and past the present deadline.
    pub overdue: u64,
    /// That went to the superior because nothing happened in time.
    pub escalated: u64,
    /// Withdrawn, because the ground went away.
    pub withdrawn: u64,
    /// That are not the first of the same rule about the same subject.
    pub repeated: u64,
    /// Claimed, of all.
    pub claimed_share: Option<f64>,
    /// In time, of those fed back with a known deadline.
    pub on_time_share: Option<f64>,
    /// Confirmed, of those with a verdict.
    pub confirmed_share: Option<f64>,
    /// From dispatch to feedback, on the mean, hours.
    pub disposal_hours_mean: Option<f64>,
    #[serde(skip)]
    disposal_ms: i64,
}

/// The indicators of a period.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Evaluation {
    /// From this day.
    pub from: String,
    /// Through this day.
    pub through: String,
    /// All cases.
    pub total: Line,
    /// By rule.
    pub rules: BTreeMap<String, Line>,
    /// By responsible department.
    pub departments: BTreeMap<String, Line>,
}

impl Evaluation {
    /// Of the cases first dispatched from one day through another.
    pub fn of(desk: &Desk, from: EventTime, through: EventTime) -> Self {
        let mut evaluation = Self {
            from: EventTime::from_day(from.day()).to_string(),
            through: EventTime::from_day(through.day()).to_string(),
            ..Self::default()
        };
        let mut cases: Vec<(EventTime, &Case)> = desk
            .items()
            .filter_map(|item| match item {
                Item::Case(case) => Some((case.steps.first()?.at, &**case)),
                _ => None,
            })
            .collect();
        cases.sort_by(|a, b| (a.0, &a.1.id).cmp(&(b.0, &b.1.id)));
        let mut before: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (at, case) in cases {
            let same = before.entry((&case.rule, &case.subject)).or_default();
            let is_repeated = 0 < *same;
            *same += 1;
            if !(from.day()..=through.day()).contains(&at.day()) {
                continue;
            }
            let rule = evaluation.rules.entry(case.rule.clone()).or_default();
            rule.count(case, at, is_repeated);
            let department = evaluation.departments.entry(case.department.clone());
            department.or_default().count(case, at, is_repeated);
            evaluation.total.count(case, at, is_repeated);
        }
        let lines = evaluation.rules.values_mut();
        for line in lines.chain(evaluation.departments.values_mut()) {
            line.close();
        }
        evaluation.total.close();
        evaluation
    }
}

impl Line {
    fn count(&mut self, case: &Case, at: EventTime, is_repeated: bool) {
        let has = |word| case.steps.iter().any(|step| step.word == word);
        self.cases += 1;
        self.claimed += u64::from(has(Word::Claimed));
        self.escalated += u64::from(has(Word::Escalated));
        self.repeated += u64::from(is_repeated);
        self.withdrawn += u64::from(case.state == State::Withdrawn);
        self.overdue += u64::from(case.is_open() && case.is_overdue());
        let answered = case.steps.iter().rev().find(|s| s.word == Word::FedBack);
        let Some(answered) = answered.filter(|_| !case.verdict.is_empty()) else {
            return;
        };
        self.fed_back += 1;
        self.disposal_ms += answered.at.0 - at.0;
        match case.on_time {
            Some(true) => self.on_time += 1,
            Some(false) => self.late += 1,
            None => {}
        }
        match case.verdict.as_str() {
            "属实" | "部分属实" => self.confirmed += 1,
            "不属实" => self.refuted += 1,
            _ => self.unverifiable += 1,
        }
    }

    fn close(&mut self) {
        self.claimed_share = share(self.claimed, self.cases);
        self.on_time_share = share(self.on_time, self.on_time + self.late);
        self.confirmed_share = share(self.confirmed, self.fed_back);
        self.disposal_hours_mean = ratio(self.disposal_ms / (HOUR_MS / 3_600), self.fed_back)
            .map(|seconds| seconds / 3_600.0);
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    ratio(i64::try_from(part).unwrap_or(i64::MAX), whole)
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts and sums of milliseconds are far below 2^53"
)]
pub(in crate::engine) fn ratio(part: i64, whole: u64) -> Option<f64> {
    (0 < whole).then(|| part as f64 / whole as f64)
}

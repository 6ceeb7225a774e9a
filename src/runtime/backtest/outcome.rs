//! Outcomes: what later proved true of subjects, and how warnings and scores stand up to it.
//!
//! A CSV with the columns `subject`, `time`, `outcome` (1 or 0, true or false, 属实 or 不属实); further columns are facts that
//! are known before the outcome, for `rule fit --with`. A score is read as of the moment before the outcome.
//!
//! units    shares 0 to 1; lead time in days
//! source   AUC as the Mann-Whitney statistic, ties counted half; intervals by Wilson, 95 %

use super::BacktestError;
use super::judge::{Side, Told};
use crate::engine::time::{DAY_MS, EventTime};
use std::collections::BTreeMap;
use std::path::Path;

/// One outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// `enterprise:9132…`.
    pub subject: String,
    /// When it was found out.
    pub at: EventTime,
    /// Whether the worst was true.
    pub is_true: bool,
    /// The further columns.
    pub known: Vec<String>,
    /// Whom else it concerns, as the place where it was found: what was known of them counts as well.
    pub others: Vec<String>,
}

/// A file of outcomes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcomes {
    /// The names of the further columns.
    pub columns: Vec<String>,
    /// The outcomes, in the order of the file.
    pub rows: Vec<Outcome>,
}

/// How warnings and scores stand up to outcomes.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Measures {
    /// Outcomes in the period.
    pub cases: usize,
    /// Those that were true.
    pub true_cases: usize,
    /// Warnings whose subject had an outcome within the horizon.
    pub judged_warnings: usize,
    /// The share of them that were followed by a true one, with its interval.
    pub precision: Option<(f64, f64, f64)>,
    /// The share of true outcomes that a warning within the horizon came before.
    pub recall: Option<f64>,
    /// The median of the days from the first such warning to the outcome.
    pub lead_days: Option<i64>,
    /// The probability that the score puts a true outcome before a false one.
    pub auc: Option<f64>,
    /// The share of true outcomes in the first half of a list ranked by score.
    pub first_half: Option<f64>,
}

/// Reads outcomes.
pub fn read(path: &Path) -> Result<Outcomes, BacktestError> {
    let fault = |line: u64, what: String| BacktestError::Content {
        path: path.to_owned(),
        line,
        what,
    };
    let broken = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        fault(line, error.to_string())
    };
    let mut reader = csv::Reader::from_path(path).map_err(broken)?;
    let header = reader.headers().map_err(broken)?.clone();
    let place = |name: &str| {
        let found = header
            .iter()
            .position(|h| h.trim_start_matches('\u{feff}') == name);
        found.ok_or_else(|| fault(1, format!("there is no column \"{name}\"; the header is \"subject,time,outcome\" and what else is known")))
    };
    let needed = [place("subject")?, place("time")?, place("outcome")?];
    let others: Vec<usize> = (0..header.len())
        .filter(|at| !needed.contains(at))
        .collect();
    let of = |at: &usize| header.get(*at).unwrap_or_default().to_owned();
    let mut outcomes = Outcomes {
        columns: others.iter().map(of).collect(),
        rows: Vec::new(),
    };
    for row in reader.records() {
        let row = row.map_err(broken)?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |at: usize| row.get(at).unwrap_or_default().trim();
        let [subject, time, outcome] = needed.map(cell);
        let Some((at, _)) = EventTime::parse(time) else {
            return Err(fault(
                line,
                format!("\"{time}\" is no time; write it as 2026-03-01"),
            ));
        };
        let is_true = match outcome {
            "1" | "true" | "属实" => true,
            "0" | "false" | "不属实" => false,
            other => return Err(fault(line, format!("outcome \"{other}\" is not 1 or 0"))),
        };
        outcomes.rows.push(Outcome {
            subject: subject.to_owned(),
            at,
            is_true,
            known: others.iter().map(|at| cell(*at).to_owned()).collect(),
            others: Vec::new(),
        });
    }
    Ok(outcomes)
}

impl Outcomes {
    /// The moments at which scores are to be read, by subject.
    pub fn moments(&self) -> BTreeMap<String, Vec<EventTime>> {
        let mut moments: BTreeMap<String, Vec<EventTime>> = BTreeMap::new();
        for row in &self.rows {
            for subject in row.others.iter().chain([&row.subject]) {
                moments.entry(subject.clone()).or_default().push(row.at);
            }
        }
        for times in moments.values_mut() {
            times.sort_unstable();
            times.dedup();
        }
        moments
    }
}

/// Holds warnings and scores against the outcomes from `from` to `to`.
pub fn measure(
    outcomes: &Outcomes,
    side: &Side,
    (from, to): (EventTime, EventTime),
    horizon_days: i64,
) -> Measures {
    let rows: Vec<&Outcome> = outcomes
        .rows
        .iter()
        .filter(|o| from <= o.at && o.at <= to)
        .collect();
    let mut by_subject: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for row in &rows {
        by_subject.entry(&row.subject).or_default().push(row);
    }
    let horizon_ms = horizon_days.saturating_mul(DAY_MS);
    let precedes = |told: &Told, case: &Outcome| {
        told.raised_at < case.at && case.at.0.saturating_sub(told.raised_at.0) <= horizon_ms
    };
    let (mut judged, mut right) = (0, 0);
    for told in &side.told {
        let cases = by_subject.get(told.subject.as_str());
        let followed: Vec<&&Outcome> = cases
            .into_iter()
            .flatten()
            .filter(|c| precedes(told, c))
            .collect();
        judged += usize::from(!followed.is_empty());
        right += usize::from(followed.iter().any(|c| c.is_true));
    }
    let mut warned: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    for told in &side.told {
        warned.entry(&told.subject).or_default().push(told);
    }
    let truths: Vec<&&Outcome> = rows.iter().filter(|o| o.is_true).collect();
    let mut leads: Vec<i64> = truths
        .iter()
        .filter_map(|case| {
            let list = warned.get(case.subject.as_str())?;
            let first = list
                .iter()
                .filter(|t| precedes(t, case))
                .map(|t| t.raised_at)
                .min()?;
            Some((case.at.0 - first.0) / DAY_MS)
        })
        .collect();
    leads.sort_unstable();
    let scores: BTreeMap<(&str, EventTime), i64> = side
        .readings
        .iter()
        .map(|(subject, reading)| ((subject.as_str(), reading.at), reading.score))
        .collect();
    let ranked: Vec<(f64, bool)> = rows
        .iter()
        .map(|o| {
            let score = scores
                .get(&(o.subject.as_str(), o.at))
                .copied()
                .unwrap_or(0);
            (float(score), o.is_true)
        })
        .collect();
    Measures {
        cases: rows.len(),
        true_cases: truths.len(),
        judged_warnings: judged,
        precision: interval(right, judged),
        recall: share(leads.len(), truths.len()),
        lead_days: leads.get(leads.len() / 2).copied(),
        auc: auc(&ranked),
        first_half: first_half(&ranked),
    }
}

/// A whole number as a fraction's part; far below 2^53.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts and scores are far below 2^53"
)]
pub fn float(number: i64) -> f64 {
    number as f64
}

fn size(number: usize) -> f64 {
    float(i64::try_from(number).unwrap_or(i64::MAX))
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (0 < whole).then(|| size(part) / size(whole))
}

/// A share with its Wilson interval, 95 %.
pub fn interval(part: usize, whole: usize) -> Option<(f64, f64, f64)> {
    let p = share(part, whole)?;
    let (n, z) = (size(whole), 1.96_f64);
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    Some((p, (middle - half).max(0.0), (middle + half).min(1.0)))
}

/// The area under the ROC curve: the share of (true, false) pairs in the right order, ties counted half.
pub fn auc(ranked: &[(f64, bool)]) -> Option<f64> {
    let mut sorted: Vec<(f64, bool)> = ranked.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut pairs, mut truths) = (0.0, 0.0, 0.0);
    for same in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let right = size(same.iter().filter(|(_, is)| *is).count());
        let wrong = size(same.len()) - right;
        pairs += right * (below + wrong / 2.0);
        below += wrong;
        truths += right;
    }
    (0.0 < below && 0.0 < truths).then(|| pairs / (below * truths))
}

/// The share of true ones in the first half of the list, highest score first; of equal scores the expected share.
pub fn first_half(ranked: &[(f64, bool)]) -> Option<f64> {
    let mut sorted: Vec<(f64, bool)> = ranked.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let truths = size(sorted.iter().filter(|(_, is)| *is).count());
    let (mut room, mut found) = (size(sorted.len()) / 2.0, 0.0);
    for same in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let all = size(same.len());
        let taken = f64::min(room, all);
        found += size(same.iter().filter(|(_, is)| *is).count()) * taken / all;
        room -= taken;
    }
    (0.0 < truths).then(|| found / truths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_and_first_half_of_known_lists() {
        let list = [(3.0, true), (2.0, false), (1.0, true), (0.0, false)];
        assert_eq!((auc(&list), first_half(&list)), (Some(0.75), Some(0.5)));
        let ties = [(1.0, true), (1.0, false), (1.0, false), (1.0, true)];
        assert_eq!((auc(&ties), first_half(&ties)), (Some(0.5), Some(0.5)));
        assert_eq!(auc(&[(1.0, true)]), None);
    }
}

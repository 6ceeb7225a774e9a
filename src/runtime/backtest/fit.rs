//! Points and half-lives that outcomes speak for: penalised logistic regression over what rules had found before.
//!
//! One row is one outcome. A rule's feature is `2^(−age / half-life)` of its newest finding on the subject, as of the moment
//! before the outcome; 0 if it had found nothing. The half-life is the one of [`HALF_LIVES`] under which the feature alone
//! separates best; a fact known before the outcome (`--known`, `--with`) is one feature for each of its frequent values.
//! All is chosen on outcomes before the split: half-lives on all of them, the penalty on the last fifth. Outcomes from the
//! split on are only judged.
//!
//! units    coefficients are log-odds; [`POINTS_PER_LOG_ODDS`] risk points a log-odds
//! bounds   at least [`ROWS_MIN`] outcomes of each kind before the split; [`VALUES_MAX`] values a fact
//! source   L2-penalised logistic regression by L-BFGS (`smartcore`)

use super::outcome::{auc, first_half, float};
use crate::engine::time::{DAY_MS, EventTime};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};
use std::collections::BTreeMap;

/// The half-lives tried, days.
pub const HALF_LIVES: [i64; 6] = [30, 90, 180, 365, 730, 3_650];
/// The penalties tried.
const PENALTIES: [f64; 5] = [0.3, 1.0, 3.0, 10.0, 30.0];
/// Risk points that a rule gets for each unit of log-odds.
pub const POINTS_PER_LOG_ODDS: f64 = 25.0;
/// The fewest outcomes of each kind.
const ROWS_MIN: usize = 30;
/// The most values of a fact that get a feature; the rest share none.
const VALUES_MAX: usize = 40;
/// The fewest outcomes with a value that gets a feature.
const VALUE_ROWS_MIN: usize = 20;

/// One outcome with what was known before it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Case {
    /// When it was found out.
    pub at: EventTime,
    /// Whether it was true.
    pub is_true: bool,
    /// The age of each rule's newest finding, ms, by place among the rules.
    pub ages: BTreeMap<usize, i64>,
    /// Facts known before.
    pub known: Vec<String>,
    /// The score at that moment, hundredths.
    pub score: i64,
}

/// How well something ranks the outcomes after the split.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Rank {
    /// What ranks.
    pub name: String,
    /// See [`auc`].
    pub auc: Option<f64>,
    /// See [`first_half`].
    pub first_half: Option<f64>,
    /// The same before the split, on which it was fitted.
    pub auc_before: Option<f64>,
}

/// A rule's part in the fit.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Weight {
    /// Its place among the rules.
    pub rule: usize,
    /// Outcomes before the split at which it had found something.
    pub cases: usize,
    /// The share of them that were true.
    pub true_share: Option<f64>,
    /// The half-life that separates best.
    pub half_life_days: i64,
    /// Log-odds.
    pub coefficient: f64,
    /// Proposed points, 0 to 100.
    pub points: i64,
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Fitted {
    /// Its ranking.
    pub rank: Rank,
    /// The penalty chosen.
    pub penalty: f64,
    /// Rules.
    pub weights: Vec<Weight>,
    /// Facts: `column=value` and its log-odds.
    pub facts: Vec<(String, f64)>,
}

/// Why nothing can be fitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Too few outcomes.
    #[error(
        "before the split there are {truths} true and {others} other outcomes; each kind needs at least {ROWS_MIN}"
    )]
    TooFew {
        /// True ones.
        truths: usize,
        /// The others.
        others: usize,
    },
    /// The regression gave up.
    #[error("the regression found no solution: {0}")]
    NoSolution(String),
}

/// What is fitted on: which rules and which facts.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// What it is called.
    pub name: &'a str,
    /// How many rules there are.
    pub rules: usize,
    /// The names of the facts of [`Case::known`].
    pub columns: &'a [String],
    /// How many of the facts are used, from the first on.
    pub columns_used: usize,
    /// Outcomes from here on are only judged.
    pub split: EventTime,
}

/// How the scores as they are rank the outcomes after the split.
pub fn present(cases: &[Case], split: EventTime) -> Rank {
    let of = |after: bool| -> Vec<(f64, bool)> {
        let some = cases.iter().filter(|c| (split <= c.at) == after);
        some.map(|c| (float(c.score), c.is_true)).collect()
    };
    Rank {
        name: "现行计分".to_owned(),
        auc: auc(&of(true)),
        first_half: first_half(&of(true)),
        auc_before: auc(&of(false)),
    }
}

/// Fits on the cases before the split and judges on those after; the cases are in the order of their times.
pub fn fit(cases: &[Case], question: &Question<'_>) -> Result<Fitted, FitError> {
    let cut = cases.partition_point(|case| case.at < question.split);
    let (before, after) = cases.split_at(cut);
    let truths = before.iter().filter(|c| c.is_true).count();
    if truths < ROWS_MIN || before.len() - truths < ROWS_MIN {
        let others = before.len() - truths;
        return Err(FitError::TooFew { truths, others });
    }
    let features = Features::choose(before, question);
    let inner = before.len() * 4 / 5;
    let (first, last) = before.split_at(inner);
    let mut best: Option<(f64, f64)> = None;
    for penalty in PENALTIES {
        let Ok(model) = regress(&features, first, penalty) else {
            continue;
        };
        let reached = auc(&ranked(&features, &model, last)).unwrap_or(0.0);
        if best.is_none_or(|(most, _)| most < reached) {
            best = Some((reached, penalty));
        }
    }
    let penalty = best.map_or(1.0, |(_, penalty)| penalty);
    let model = regress(&features, before, penalty).map_err(FitError::NoSolution)?;
    let (fit_on, judged) = (
        ranked(&features, &model, before),
        ranked(&features, &model, after),
    );
    Ok(Fitted {
        rank: Rank {
            name: question.name.to_owned(),
            auc: auc(&judged),
            first_half: first_half(&judged),
            auc_before: auc(&fit_on),
        },
        penalty,
        weights: features.weights(before, &model),
        facts: features.facts(question, &model),
    })
}

/// Which numbers stand for a case.
struct Features {
    /// Rules with their half-lives.
    rules: Vec<(usize, i64)>,
    /// Facts with their values.
    facts: Vec<(usize, String)>,
}

/// Coefficients and the constant.
struct Model {
    coefficients: Vec<f64>,
    constant: f64,
}

fn feature(case: &Case, rule: usize, half_life_days: i64) -> f64 {
    case.ages.get(&rule).map_or(0.0, |age| {
        libm::exp2(-float(*age) / float(half_life_days.saturating_mul(DAY_MS)))
    })
}

impl Features {
    fn choose(before: &[Case], question: &Question<'_>) -> Self {
        let mut rules = Vec::new();
        for rule in 0..question.rules {
            if !before.iter().any(|case| case.ages.contains_key(&rule)) {
                continue;
            }
            let separation = |days: i64| {
                let list: Vec<(f64, bool)> = before
                    .iter()
                    .filter(|case| case.ages.contains_key(&rule))
                    .map(|case| (feature(case, rule, days), case.is_true))
                    .collect();
                list
            };
            // Under which half-life does a line through the origin of log-odds explain most: by squared correlation.
            let best = HALF_LIVES
                .into_iter()
                .map(|days| {
                    (
                        correlation(&with_zeroes(&separation(days), before, rule)).abs(),
                        days,
                    )
                })
                .max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            rules.extend(best.map(|(_, days)| (rule, days)));
        }
        let mut facts = Vec::new();
        for column in 0..question.columns_used {
            let mut values: BTreeMap<&str, usize> = BTreeMap::new();
            for case in before {
                if let Some(value) = case.known.get(column) {
                    *values.entry(value).or_default() += 1;
                }
            }
            let mut frequent: Vec<(&str, usize)> = values
                .into_iter()
                .filter(|(_, n)| VALUE_ROWS_MIN <= *n)
                .collect();
            frequent.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
            frequent.truncate(VALUES_MAX);
            facts.extend(
                frequent
                    .into_iter()
                    .map(|(value, _)| (column, value.to_owned())),
            );
        }
        Self { rules, facts }
    }

    fn row(&self, case: &Case) -> Vec<f64> {
        let rules = self
            .rules
            .iter()
            .map(|(rule, days)| feature(case, *rule, *days));
        let facts = self.facts.iter().map(|(column, value)| {
            f64::from(u8::from(
                case.known.get(*column).is_some_and(|known| known == value),
            ))
        });
        rules.chain(facts).collect()
    }

    fn weights(&self, before: &[Case], model: &Model) -> Vec<Weight> {
        self.rules
            .iter()
            .zip(&model.coefficients)
            .map(|((rule, days), coefficient)| {
                let found: Vec<&Case> = before
                    .iter()
                    .filter(|c| c.ages.contains_key(rule))
                    .collect();
                let truths = found.iter().filter(|c| c.is_true).count();
                Weight {
                    rule: *rule,
                    cases: found.len(),
                    true_share: super::outcome::interval(truths, found.len()).map(|(p, ..)| p),
                    half_life_days: *days,
                    coefficient: *coefficient,
                    points: points(*coefficient),
                }
            })
            .collect()
    }

    fn facts(&self, question: &Question<'_>, model: &Model) -> Vec<(String, f64)> {
        let coefficients = model.coefficients.iter().skip(self.rules.len());
        self.facts
            .iter()
            .zip(coefficients)
            .map(|((column, value), coefficient)| {
                let name = question.columns.get(*column).map_or("", String::as_str);
                (format!("{name}={value}"), *coefficient)
            })
            .collect()
    }
}

/// The cases at which the rule had found nothing count as zeroes.
fn with_zeroes(found: &[(f64, bool)], before: &[Case], rule: usize) -> Vec<(f64, bool)> {
    let others = before.iter().filter(|case| !case.ages.contains_key(&rule));
    found
        .iter()
        .copied()
        .chain(others.map(|case| (0.0, case.is_true)))
        .collect()
}

fn correlation(list: &[(f64, bool)]) -> f64 {
    let n = float(i64::try_from(list.len()).unwrap_or(1)).max(1.0);
    let y = |is: bool| f64::from(u8::from(is));
    let (mx, my) = (
        list.iter().map(|(x, _)| x).sum::<f64>() / n,
        list.iter().map(|(_, is)| y(*is)).sum::<f64>() / n,
    );
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, is) in list {
        let (dx, dy) = (x - mx, y(*is) - my);
        xy += dx * dy;
        xx += dx * dx;
        yy += dy * dy;
    }
    if xx <= 0.0 || yy <= 0.0 {
        0.0
    } else {
        xy / (xx * yy).sqrt()
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "clamped to 0..=100 first"
)]
fn points(coefficient: f64) -> i64 {
    (coefficient * POINTS_PER_LOG_ODDS)
        .clamp(0.0, 100.0)
        .round() as i64
}

fn regress(features: &Features, cases: &[Case], penalty: f64) -> Result<Model, String> {
    let rows: Vec<Vec<f64>> = cases.iter().map(|case| features.row(case)).collect();
    let width = rows.first().map_or(0, Vec::len);
    if width == 0 {
        return Err("no rule had found anything before an outcome".to_owned());
    }
    let x = DenseMatrix::from_2d_vec(&rows).map_err(|error| error.to_string())?;
    let y: Vec<u32> = cases.iter().map(|case| u32::from(case.is_true)).collect();
    let parameters = LogisticRegressionParameters::default().with_alpha(penalty);
    let model = LogisticRegression::fit(&x, &y, parameters).map_err(|error| error.to_string())?;
    Ok(Model {
        coefficients: (0..width)
            .map(|at| *model.coefficients().get((0, at)))
            .collect(),
        constant: *model.intercept().get((0, 0)),
    })
}

fn ranked(features: &Features, model: &Model, cases: &[Case]) -> Vec<(f64, bool)> {
    let score = |case: &Case| {
        let row = features.row(case);
        row.iter()
            .zip(&model.coefficients)
            .map(|(x, c)| x * c)
            .sum::<f64>()
            + model.constant
    };
    cases
        .iter()
        .map(|case| (score(case), case.is_true))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A world in which one rule matters, one does not, and a fact does.
    fn world(count: i64) -> Vec<Case> {
        let mut state = 1_u64;
        let mut draw = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % 100
        };
        (0..count)
            .map(|day| {
                let (found, noise, team) = (draw() < 50, draw() < 50, draw() < 50);
                let chance = 10 + 40 * u64::from(found) + 30 * u64::from(team);
                let mut ages = BTreeMap::new();
                ages.extend(found.then_some((0, DAY_MS)));
                ages.extend(noise.then_some((1, DAY_MS)));
                Case {
                    at: EventTime(day * DAY_MS),
                    is_true: draw() < chance,
                    ages,
                    known: vec![if team { "a" } else { "b" }.to_owned()],
                    score: 0,
                }
            })
            .collect()
    }

    #[test]
    fn what_matters_gets_the_points_and_later_outcomes_are_only_judged() {
        let cases = world(2_000);
        let columns = ["team".to_owned()];
        let question = |used| Question {
            name: "t",
            rules: 2,
            columns: &columns,
            columns_used: used,
            split: EventTime(1_500 * DAY_MS),
        };
        let fitted = fit(&cases, &question(0)).unwrap();
        assert!(
            20 < fitted.weights[0].points && fitted.weights[1].points < 8,
            "{fitted:?}"
        );
        assert!(0.65 < fitted.rank.auc.unwrap(), "{fitted:?}");
        let known = fit(&cases, &question(1)).unwrap();
        assert!(fitted.rank.auc < known.rank.auc);
        // Outcomes after the split do not reach the model.
        let mut turned = cases.clone();
        for case in turned.iter_mut().skip(1_500) {
            case.is_true = !case.is_true;
        }
        let again = fit(&turned, &question(0)).unwrap();
        assert_eq!(fitted.weights, again.weights);
        let sum = fitted.rank.auc.unwrap() + again.rank.auc.unwrap();
        assert!((sum - 1.0).abs() < 1e-9);
    }

    #[test]
    fn too_few_outcomes_are_an_error() {
        let question = Question {
            name: "t",
            rules: 2,
            columns: &[],
            columns_used: 0,
            split: EventTime(20 * DAY_MS),
        };
        assert!(matches!(
            fit(&world(40), &question),
            Err(FitError::TooFew { .. })
        ));
    }
}

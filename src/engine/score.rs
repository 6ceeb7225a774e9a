//! From findings to a subject's score, and from the score to a level.
//!
//! Each episode of a rule brings its points, halved every half-life of the rule's dimension since the facts that gave
//! them; a dimension is capped; the sum bends towards 100: `S = 100 · (1 − exp(−Σ / scale))`. All numbers come from
//! `rules/scoring.toml`. The score of any time is a function of the findings alone, so late, withdrawn and re-ordered
//! facts need no special path, and so is the composite level: [`Scoring::level_path`] walks it along event time.
//!
//! units    points: risk points; score: hundredths of a point, 0..=10,000
//! bounds   at most 100 points a finding; exponents are clamped, so nothing overflows
//! source   forward decay: Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009; numbers: proposal of the domain notes
//! why      `libm` is the same code on every machine, so every machine gets the same bytes

use super::subject::view::Level;
use super::time::{DAY_MS, EventTime, HOUR_MS};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Numbers of `rules/scoring.toml`, checked.
#[derive(Debug, Clone)]
pub struct Scoring {
    scale: f64,
    hysteresis: i64,
    levels: [i64; 4],
    dimensions: BTreeMap<Box<str>, Dimension>,
    deadlines: [Deadline; 4],
    /// Findings older than this no longer count, ms.
    pub life_ms: i64,
    /// A warning whose newest fact is older than this when first seen is muted, ms.
    pub late_ms_max: i64,
    /// The composite warning is raised from this level on.
    pub composite_from: Level,
}

/// One dimension of risk.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dimension {
    cap: i64,
    half_life_days: i64,
}

/// Until when officers have to act on a level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deadline {
    /// Hours to claim, where the level is counted in hours.
    pub claim_hours: i64,
    /// Working days to claim, where it is counted in days.
    pub claim_working_days: i64,
    /// Working days to verify.
    pub verify_working_days: i64,
    /// Working days to feed back.
    pub feedback_working_days: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    curve: Curve,
    level: BTreeMap<String, LevelRow>,
    hysteresis: Hysteresis,
    dimension: BTreeMap<Box<str>, Dimension>,
    finding: FindingRow,
    deadline: BTreeMap<String, Deadline>,
    late: Late,
    composite: Composite,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Curve {
    scale: i64,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LevelRow {
    code: String,
    from: i64,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hysteresis {
    points: i64,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FindingRow {
    life_days: i64,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Late {
    days_max: i64,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Composite {
    from_level: String,
}

/// What one episode brings to the score: its points, since when, in which dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contribution<'a> {
    /// The time of the facts.
    pub at: EventTime,
    /// Risk points.
    pub points: u8,
    /// The dimension's name.
    pub dimension: &'a str,
}

/// Why `scoring.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScoringError {
    /// Not the expected TOML.
    #[error("rules/scoring.toml: {0}")]
    Toml(#[from] toml::de::Error),
    /// A number or name that makes no sense.
    #[error("rules/scoring.toml: {0}")]
    Value(String),
}

impl Scoring {
    /// Reads and checks `scoring.toml`.
    pub fn parse(text: &str) -> Result<Self, ScoringError> {
        let file: File = toml::from_str(text)?;
        let bad = |what: String| ScoringError::Value(what);
        let mut levels = [0; 4];
        let mut deadlines = [Deadline::default(); 4];
        for (at, level) in Level::ALL.into_iter().enumerate() {
            let row = file
                .level
                .get(level.title())
                .ok_or_else(|| bad(format!("level \"{}\" is missing", level.title())))?;
            if row.code != level.code() {
                return Err(bad(format!(
                    "level \"{}\" has code \"{}\", expected \"{}\"",
                    level.title(),
                    row.code,
                    level.code()
                )));
            }
            let deadline = file
                .deadline
                .get(level.title())
                .ok_or_else(|| bad(format!("deadline \"{}\" is missing", level.title())))?;
            if let (Some(to), Some(due)) = (levels.get_mut(at), deadlines.get_mut(at)) {
                *to = row.from * 100;
                *due = *deadline;
            }
        }
        if file.level.len() != 4
            || !levels.is_sorted()
            || levels.iter().any(|from| !(1..=10_000).contains(from))
        {
            return Err(bad(
                "levels 蓝 黄 橙 红 must rise from above 0 to at most 100".into(),
            ));
        }
        if file.curve.scale <= 0
            || file.finding.life_days <= 0
            || file.late.days_max <= 0
            || file.hysteresis.points < 0
        {
            return Err(bad(
                "scale, life_days and days_max must be above zero".into()
            ));
        }
        if let Some((name, _)) = file
            .dimension
            .iter()
            .find(|(_, d)| d.half_life_days <= 0 || d.cap < 0)
        {
            return Err(bad(format!(
                "dimension \"{name}\" needs half_life_days above zero and a cap of at least zero"
            )));
        }
        let composite_from = Level::by_name(&file.composite.from_level).ok_or_else(|| {
            bad(format!(
                "composite.from_level \"{}\" is not 红, 橙, 黄 or 蓝",
                file.composite.from_level
            ))
        })?;
        Ok(Self {
            scale: to_f64(file.curve.scale),
            hysteresis: file.hysteresis.points * 100,
            levels,
            dimensions: file.dimension,
            deadlines,
            life_ms: file.finding.life_days.saturating_mul(DAY_MS),
            late_ms_max: file.late.days_max.saturating_mul(DAY_MS),
            composite_from,
        })
    }

    /// The deadlines of a level.
    pub fn deadline(&self, level: Level) -> Deadline {
        Level::ALL
            .iter()
            .zip(self.deadlines)
            .find(|(l, _)| **l == level)
            .map(|(_, d)| d)
            .unwrap_or_default()
    }

    /// The names of the dimensions, in order.
    pub fn dimensions(&self) -> impl Iterator<Item = &str> {
        self.dimensions.keys().map(AsRef::as_ref)
    }

    /// Whether the dimension is known.
    pub fn has_dimension(&self, name: &str) -> bool {
        self.dimensions.contains_key(name)
    }

    /// The score at `now`, hundredths. Contributions later than `now` or past their life do not count.
    pub fn score(&self, contributions: &[Contribution<'_>], now: EventTime) -> i64 {
        let mut total = 0.0;
        // Summed dimension by dimension and oldest first, so that rounding does not depend on the order of arrival.
        for (name, dimension) in &self.dimensions {
            let mut parts: Vec<(EventTime, u8)> = contributions
                .iter()
                .filter(|c| {
                    c.dimension == name.as_ref()
                        && c.at <= now
                        && now.0.saturating_sub(c.at.0) < self.life_ms
                })
                .map(|c| (c.at, c.points))
                .collect();
            parts.sort_unstable();
            let mut sum = 0.0;
            for (at, points) in parts {
                let age_days = to_f64((now.0 - at.0) / DAY_MS);
                sum += f64::from(points) * libm::exp2(-age_days / to_f64(dimension.half_life_days));
            }
            total += f64::min(sum, to_f64(dimension.cap));
        }
        to_hundredths(100.0 * (1.0 - libm::exp(-total / self.scale)))
    }

    /// The level at `now`, with hysteresis: it rises when the score reaches a threshold and falls only when the score is
    /// below it by more than the hysteresis. Walked along event time, so that the order of arrival does not matter.
    pub fn level_path(&self, contributions: &[Contribution<'_>], now: EventTime) -> Option<Level> {
        let mut times: Vec<EventTime> = contributions
            .iter()
            .map(|c| c.at)
            .filter(|at| *at <= now)
            .collect();
        times.sort_unstable();
        times.dedup();
        let mut level = None;
        let mut known: Vec<Contribution<'_>> = Vec::with_capacity(contributions.len());
        for time in times {
            level = self.fall(level, self.score(&known, time));
            known.extend(contributions.iter().filter(|c| c.at == time));
            level = self.rise(level, self.score(&known, time));
        }
        self.fall(level, self.score(&known, now))
    }

    /// The first full hour after `now` at which the level has fallen, if it has one and nothing else happens. A finding ages by
    /// days from its own time of day, so a fall is seldom at midnight; hours pass as ticks, and none before this sees it fallen.
    pub fn next_fall(
        &self,
        contributions: &[Contribution<'_>],
        now: EventTime,
    ) -> Option<EventTime> {
        let level = self.level_path(contributions, now)?;
        let hour = now.0.div_euclid(HOUR_MS);
        let at = |hours: i64| EventTime((hour + hours).saturating_mul(HOUR_MS));
        let (mut holds, mut fallen) = (0, self.life_ms / HOUR_MS + 1);
        while 1 < fallen - holds {
            let middle = holds + (fallen - holds) / 2;
            let score = self.score(contributions, at(middle));
            if self.fall(Some(level), score) == Some(level) {
                holds = middle;
            } else {
                fallen = middle;
            }
        }
        Some(at(fallen))
    }

    fn threshold(&self, level: Level) -> i64 {
        Level::ALL
            .iter()
            .zip(self.levels)
            .find(|(l, _)| **l == level)
            .map_or(i64::MAX, |(_, from)| from)
    }

    fn rise(&self, level: Option<Level>, score: i64) -> Option<Level> {
        let reached = Level::ALL
            .into_iter()
            .rev()
            .find(|l| self.threshold(*l) <= score);
        level.max(reached)
    }

    fn fall(&self, level: Option<Level>, score: i64) -> Option<Level> {
        let held = Level::ALL
            .into_iter()
            .rev()
            .find(|l| self.threshold(*l) - self.hysteresis <= score);
        level.min(held)
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "points, days and scales are far below 2^53"
)]
fn to_f64(number: i64) -> f64 {
    number as f64
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "clamped to 0..=100 first"
)]
fn to_hundredths(score: f64) -> i64 {
    libm::round(score.clamp(0.0, 100.0) * 100.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scoring() -> Scoring {
        Scoring::parse(include_str!("../../rules/scoring.toml")).unwrap()
    }

    fn at(day: i32, points: u8, dimension: &str) -> Contribution<'_> {
        Contribution {
            at: EventTime::from_day(day),
            points,
            dimension,
        }
    }

    #[test]
    fn the_curve_and_the_caps() {
        let s = scoring();
        let now = EventTime::from_day(20_000);
        assert_eq!(s.score(&[], now), 0);
        // 100·(1 − e^(−30/60)) = 39.35
        assert_eq!(s.score(&[at(20_000, 30, "penalty")], now), 3_935);
        // One half-life later half the points: 100·(1 − e^(−15/60)) = 22.12
        assert_eq!(
            s.score(&[at(20_000, 30, "penalty")], now.plus_days(365 - 1)),
            s.score(&[at(20_001, 30, "penalty")], now.plus_days(365))
        );
        // Complaints are capped at 35 points, however many there are.
        let many: Vec<_> = (0..50).map(|_| at(20_000, 25, "complaint")).collect();
        assert_eq!(
            s.score(&many, now),
            s.score(&[at(20_000, 35, "complaint")], now)
        );
    }

    #[test]
    fn a_level_falls_only_below_the_hysteresis() {
        let s = scoring();
        let list = [at(20_000, 56, "list")];
        let day0 = EventTime::from_day(20_000);
        assert_eq!(s.level_path(&list, day0), Some(Level::Orange));
        let fall = s.next_fall(&list, day0).unwrap();
        assert_eq!(s.level_path(&list, fall.plus_days(-1)), Some(Level::Orange));
        assert_eq!(s.level_path(&list, fall), Some(Level::Yellow));
        let score = s.score(&list, fall);
        assert!(5_400 < score && score < 5_500, "{score}");
    }

    #[test]
    fn a_fall_is_due_at_the_first_full_hour_after_it() {
        let s = scoring();
        let found_at = EventTime::from_day(20_000).plus_ms(16 * HOUR_MS + 420_000);
        let list = [Contribution {
            at: found_at,
            ..at(20_000, 56, "list")
        }];
        let fall = s.next_fall(&list, found_at).unwrap();
        assert_eq!(fall.0 % HOUR_MS, 0);
        let before = fall.plus_ms(-HOUR_MS);
        assert_eq!(s.level_path(&list, before), Some(Level::Orange));
        assert_eq!(s.level_path(&list, fall), Some(Level::Yellow));
        // Not at midnight, as it ages from its own time of day.
        assert_ne!(fall, EventTime::from_day(fall.day()));
    }
}

//! What is counted of warnings: what was told, what stands open, how the scores behind it lie. And which line a rule is of.
//!
//! A *line* (条线) is the folder in which a rule lies. It is shown under the Chinese name of its field of supervision; a
//! folder of a name that is not in [`TITLES`] is shown as it is called.
//!
//! bounds   [`LINES_MAX`] lines; those beyond, and rules that are gone, are 其他. Scores in [`BANDS`]

use super::table::CITIES;
use super::words::Transition;
use crate::engine::subject::view::Level;
use prometheus::{IntCounterVec, IntGaugeVec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most lines that are told apart.
pub const LINES_MAX: usize = 16;
/// The line of what belongs to none that is shown.
const OTHER: &str = "其他";
/// Folders of `rules/`, and the fields of supervision that they stand for. The composite warning lies in none.
const TITLES: [(&str, &str); 9] = [
    ("", "综合"),
    ("complaint", "投诉举报"),
    ("department", "履职监督"),
    ("inspection", "监督检查"),
    ("licence", "许可"),
    ("list", "信用名单"),
    ("penalty", "行政处罚"),
    ("region", "区域"),
    ("registry", "登记注册"),
];
/// Where a score lies: from the first number, below the second; 100 belongs to the last.
pub const BANDS: [&str; 5] = ["0-20", "20-40", "40-60", "60-80", "80-100"];

/// The warnings that stand open, counted in two ways.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// By level and rule.
    pub by_rule: BTreeMap<(Level, Arc<str>), i64>,
    /// By the band of the score.
    pub by_band: [i64; BANDS.len()],
}

impl Standing {
    /// One more, or with `-1` one fewer. `score` is 0 to 100.
    pub fn add(&mut self, level: Level, rule: &str, score: f64, count: i64) {
        match self.by_rule.get_mut(&(level, Arc::from(rule))) {
            Some(known) => *known += count,
            None => {
                self.by_rule.insert((level, Arc::from(rule)), count);
            }
        }
        let band = [20.0, 40.0, 60.0, 80.0]
            .iter()
            .filter(|from| **from <= score)
            .count();
        if let Some(known) = self.by_band.get_mut(band) {
            *known += count;
        }
    }
}

/// Handles of the warnings' metrics.
#[derive(Debug)]
pub struct WarningMetrics {
    told: IntCounterVec,
    open: IntGaugeVec,
    scores: IntGaugeVec,
    /// The title of each rule's line.
    lines: Mutex<BTreeMap<Arc<str>, String>>,
}

impl WarningMetrics {
    pub(super) fn new(told: IntCounterVec, open: IntGaugeVec, scores: IntGaugeVec) -> Self {
        let made = Self {
            told,
            open,
            scores,
            lines: Mutex::default(),
        };
        made.set_lines([]);
        made.open(&Standing::default());
        made
    }

    /// The rules in force, each with its folder. Shows every child of their lines, so that a graph has nought before the first
    /// warning.
    pub fn set_lines<'a>(&self, rules: impl IntoIterator<Item = (&'a Arc<str>, &'a str)>) {
        let mut titles = BTreeSet::from([title("").to_owned(), OTHER.to_owned()]);
        let mut lines = BTreeMap::new();
        for (rule, folder) in rules {
            let title = title(folder);
            let is_shown = titles.contains(title) || titles.len() < LINES_MAX;
            let shown = if is_shown { title } else { OTHER };
            titles.insert(shown.to_owned());
            lines.insert(Arc::clone(rule), shown.to_owned());
        }
        for line in &titles {
            for level in Level::ALL {
                for (city, _) in CITIES {
                    for (_, word) in Transition::ALL {
                        self.told
                            .with_label_values(&[level.title(), city, line, word]);
                    }
                }
            }
        }
        self.open.reset();
        for line in &titles {
            for level in Level::ALL {
                self.open.with_label_values(&[level.title(), line]).set(0);
            }
        }
        *self.lock() = lines;
    }

    /// The line of a rule.
    pub fn line(&self, rule: &str) -> String {
        match self.lock().get(rule) {
            Some(line) => line.clone(),
            None if rule == crate::engine::settle::COMPOSITE => title("").to_owned(),
            None => OTHER.to_owned(),
        }
    }

    /// Counts a warning's transition. `region` is the GB/T 2260 code of its subject, of which the city counts.
    pub fn told(&self, (level, rule): (Level, &str), region: Option<&str>, transition: Transition) {
        let labels = [
            level.title(),
            city(region),
            &self.line(rule),
            transition.word(),
        ];
        self.told.with_label_values(&labels).inc();
    }

    /// Shows what stands open.
    pub fn open(&self, standing: &Standing) {
        let mut counts: BTreeMap<(Level, String), i64> = BTreeMap::new();
        for ((level, rule), count) in &standing.by_rule {
            *counts.entry((*level, self.line(rule))).or_default() += count;
        }
        for ((level, line), count) in counts {
            self.open
                .with_label_values(&[level.title(), &line])
                .set(count);
        }
        for (band, count) in BANDS.into_iter().zip(standing.by_band) {
            self.scores.with_label_values(&[band]).set(count);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn title(folder: &str) -> &str {
    let known = TITLES.iter().find(|(name, _)| *name == folder);
    known.map_or(folder, |(_, title)| title)
}

fn city(region: Option<&str>) -> &'static str {
    let four = region
        .filter(|code| code.len() == 6 && !code.ends_with("0000"))
        .and_then(|code| code.get(..4));
    let found = four.and_then(|four| CITIES.iter().find(|(city, _)| city.starts_with(four)));
    found.map_or("other", |(city, _)| city)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::EventTime;
    use crate::runtime::metrics::Metrics;

    fn shown(metrics: &Metrics, name: &str) -> BTreeMap<String, i64> {
        let text = metrics.render(EventTime(0));
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines
            .map(|line| {
                let (labels, value) = line.rsplit_once(' ').unwrap();
                (labels.to_owned(), value.parse().unwrap())
            })
            .filter(|(_, value)| *value != 0)
            .collect()
    }

    #[test]
    fn a_rule_is_of_the_line_of_its_folder() {
        let metrics = Metrics::new(EventTime(0));
        let rules: Vec<(Arc<str>, String)> = [("A", "complaint"), ("B", "特种设备")]
            .into_iter()
            .map(|(id, folder)| (Arc::from(id), folder.to_owned()))
            .collect();
        let warnings = metrics.warnings();
        warnings.set_lines(rules.iter().map(|(id, folder)| (id, folder.as_str())));
        for (rule, line) in [
            ("A", "投诉举报"),
            ("B", "特种设备"),
            ("ZH-000", "综合"),
            ("gone", "其他"),
        ] {
            assert_eq!(warnings.line(rule), line, "{rule}");
        }
        warnings.told((Level::Red, "A"), Some("320506"), Transition::Raised);
        warnings.told((Level::Blue, "B"), Some("320000"), Transition::Muted);
        warnings.told((Level::Blue, "B"), None, Transition::Muted);
        let told = shown(&metrics, "fenghuo_warnings_total{");
        let name = "fenghuo_warnings_total";
        assert_eq!(
            told,
            BTreeMap::from([
                (
                    format!(
                        "{name}{{city=\"320500\",level=\"红\",line=\"投诉举报\",transition=\"raised\"}}"
                    ),
                    1
                ),
                (
                    format!(
                        "{name}{{city=\"other\",level=\"蓝\",line=\"特种设备\",transition=\"muted\"}}"
                    ),
                    2
                ),
            ])
        );
    }

    #[test]
    fn what_stands_open_is_counted_by_line_and_by_score() {
        let metrics = Metrics::new(EventTime(0));
        let mut standing = Standing::default();
        for (rule, score) in [("A", 0.0), ("A", 19.99), ("A", 20.0), ("ZH-000", 100.0)] {
            standing.add(Level::Orange, rule, score, 1);
        }
        standing.add(Level::Orange, "A", 19.99, -1);
        metrics.warnings().open(&standing);
        let open = shown(&metrics, "fenghuo_open_warnings{");
        let name = "fenghuo_open_warnings{level=\"橙\",line";
        assert_eq!(
            open,
            BTreeMap::from([
                (format!("{name}=\"其他\"}}"), 2),
                (format!("{name}=\"综合\"}}"), 1)
            ])
        );
        let scores = shown(&metrics, "fenghuo_open_warning_scores{");
        let bands = ["0-20", "20-40", "80-100"]
            .map(|band| (format!("fenghuo_open_warning_scores{{band=\"{band}\"}}"), 1));
        assert_eq!(scores, BTreeMap::from(bands));
    }

    #[test]
    fn lines_are_bounded() {
        let metrics = Metrics::new(EventTime(0));
        let rules: Vec<(Arc<str>, String)> = (0..100)
            .map(|n| (Arc::from(format!("R-{n}")), format!("folder-{n}")))
            .collect();
        metrics
            .warnings()
            .set_lines(rules.iter().map(|(id, folder)| (id, folder.as_str())));
        let text = metrics.render(EventTime(0));
        let open = text
            .lines()
            .filter(|line| line.starts_with("fenghuo_open_warnings{"))
            .count();
        assert_eq!(open, LINES_MAX * Level::ALL.len());
        assert_eq!(metrics.warnings().line("R-99"), "其他");
    }
}

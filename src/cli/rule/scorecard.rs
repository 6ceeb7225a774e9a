//! `fenghuo rule scorecard`: how each rule fared by what officers found out.
//!
//! A rule is to be *kept* when the interval of its precision lies above [`KEEP_FROM`], *retired* when it lies below
//! [`RETIRE_BELOW`] over at least [`CLOSED_MIN`] closed warnings, and *tuned* otherwise.

use super::super::args::Format;
use super::super::{CliError, Ending, say, say_json};
use super::past::{PastArgs, load};
use crate::engine::event::{Event, Rank, RecordKey};
use crate::engine::schema::{Stream, field};
use crate::runtime::archive::slip::Slip;
use crate::runtime::backtest::outcome::interval;
use crate::runtime::backtest::report::within;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// A rule whose precision is surely above this is kept.
const KEEP_FROM: f64 = 0.3;
/// A rule whose precision is surely below this is to be retired.
const RETIRE_BELOW: f64 = 0.2;
/// The fewest closed warnings for a verdict to retire.
const CLOSED_MIN: usize = 50;

/// `rule scorecard`
#[derive(Debug, clap::Args)]
pub struct ScorecardArgs {
    /// Which past.
    #[command(flatten)]
    pub past: PastArgs,
    /// The rules directory; without it, that of the configuration, else the shipped ones.
    #[arg(long)]
    pub rules: Option<PathBuf>,
}

#[derive(Debug, Default, serde::Serialize)]
struct Card {
    name: String,
    firings: u64,
    warnings: usize,
    confirmed: usize,
    unfounded: usize,
    undecided: usize,
    precision: Option<(f64, f64, f64)>,
    verdict: &'static str,
}

type Words = BTreeMap<RecordKey, (Rank, Event)>;

/// `rule scorecard`
pub(super) fn scorecard(args: &ScorecardArgs, format: Format) -> Result<Ending, CliError> {
    let (set, _) = load(args.rules.as_deref(), args.past.config.as_deref())?;
    let words: Mutex<Words> = Mutex::default();
    let past = args.past.gather(std::slice::from_ref(&set), &[], &|slip| {
        if slip.stream == Stream::Feedback {
            gather(
                slip,
                &mut words.lock().unwrap_or_else(PoisonError::into_inner),
            );
        }
    })?;
    let words = words.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut verdicts: BTreeMap<String, (crate::engine::time::EventTime, String)> = BTreeMap::new();
    for (_, event) in words.into_values().filter(|(_, event)| event.is_live()) {
        let fields = &event.fields;
        if let (Some(id), Some(verdict)) =
            (fields.text(field::warning_id), fields.text(field::verdict))
        {
            let at = event.occurred_at;
            let latest = verdicts
                .entry(id.to_owned())
                .or_insert((at, verdict.to_owned()));
            if latest.0 < at {
                *latest = (at, verdict.to_owned());
            }
        }
    }
    let sides = past.judge(vec![set.clone()], &BTreeMap::new())?;
    let Some(side) = sides.first() else {
        return Ok(Ending::Fine);
    };
    let mut cards: BTreeMap<String, Card> = BTreeMap::new();
    for rule in set.rules() {
        let manifest = rule.manifest();
        let card = Card {
            name: manifest.name.to_string(),
            firings: side.firings.get(manifest.id.as_ref()).copied().unwrap_or(0),
            ..Card::default()
        };
        cards.insert(manifest.id.to_string(), card);
    }
    for told in within(side, past.period) {
        let card = cards.entry(told.rule.clone()).or_default();
        card.warnings += 1;
        match verdicts
            .get(&told.warning_id)
            .map(|(_, verdict)| verdict.as_str())
        {
            Some("属实" | "部分属实") => card.confirmed += 1,
            Some("不属实") => card.unfounded += 1,
            Some(_) => card.undecided += 1,
            None => {}
        }
    }
    for card in cards.values_mut() {
        card.judge();
    }
    match format {
        Format::Json => say_json(&serde_json::json!({ "rule_set": set.hash(), "rules": cards })),
        Format::Table => say(&table(&cards)),
    }
    Ok(past.ending())
}

/// Keeps the latest version of every word of officers.
fn gather(slip: &Slip<'_>, words: &mut Words) {
    match words.get(&slip.key) {
        Some((known, _)) if slip.rank <= *known => {}
        Some(_) | None => {
            words.insert(slip.key, (slip.rank, slip.event()));
        }
    }
}

impl Card {
    fn judge(&mut self) {
        let closed = self.confirmed + self.unfounded;
        self.precision = interval(self.confirmed, closed);
        self.verdict = match self.precision {
            None => "尚无反馈",
            Some((_, low, _)) if KEEP_FROM <= low => "保留",
            Some((_, _, high)) if high < RETIRE_BELOW && CLOSED_MIN <= closed => "建议停用",
            Some(_) => "调整或再观察",
        };
    }
}

fn table(cards: &BTreeMap<String, Card>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(vec![
        "规则",
        "名称",
        "命中",
        "预警",
        "属实",
        "不属实",
        "未定",
        "准确率（95% 区间）",
        "结论",
    ]);
    for (id, card) in cards {
        let precision = card.precision.map_or_else(
            || "—".to_owned(),
            |(p, low, high)| {
                format!(
                    "{:.0} %（{:.0}–{:.0}）",
                    p * 100.0,
                    low * 100.0,
                    high * 100.0
                )
            },
        );
        let numbers = [
            card.warnings,
            card.confirmed,
            card.unfounded,
            card.undecided,
        ];
        let mut cells = vec![id.clone(), card.name.clone(), card.firings.to_string()];
        cells.extend(numbers.iter().map(ToString::to_string));
        cells.extend([precision, card.verdict.to_owned()]);
        table.add_row(cells);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_follow_the_interval() {
        let verdict = |confirmed, unfounded| {
            let mut card = Card {
                confirmed,
                unfounded,
                ..Card::default()
            };
            card.judge();
            card.verdict
        };
        assert_eq!(verdict(0, 0), "尚无反馈");
        assert_eq!(verdict(80, 20), "保留");
        assert_eq!(verdict(2, 98), "建议停用");
        assert_eq!(
            (verdict(1, 9), verdict(25, 75)),
            ("调整或再观察", "调整或再观察")
        );
    }
}

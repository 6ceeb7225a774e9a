//! `fenghuo rule sweep`: the same past under other values of a rule's parameter.

use super::super::args::Format;
use super::super::{CliError, Ending, say, say_json};
use super::past::{PastArgs, load};
use crate::engine::rule::{RuleSet, RuleSources, Severity};
use crate::runtime::backtest::BacktestError;
use crate::runtime::backtest::outcome::{self, Measures, Outcomes};
use crate::runtime::backtest::page::{escape, percent};
use crate::runtime::backtest::report::{Counts, count, within};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use rust_decimal::Decimal;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most values of a sweep.
const VALUES_MAX: usize = 64;

/// `rule sweep`
#[derive(Debug, clap::Args)]
pub struct SweepArgs {
    /// The rule's id.
    pub rule: String,
    /// The parameter and its values: `min_count=3..10` or `ratio=1.5..3:0.5`.
    pub values: String,
    /// Which past.
    #[command(flatten)]
    pub past: PastArgs,
    /// The rules directory; without it, that of the configuration, else the shipped ones.
    #[arg(long)]
    pub rules: Option<PathBuf>,
    /// Outcomes (CSV: subject,time,outcome): precision, recall, lead time.
    #[arg(long)]
    pub outcomes: Option<PathBuf>,
    /// How many days before an outcome a warning counts as having foreseen it.
    #[arg(long, default_value_t = 365)]
    pub horizon_days: i64,
    /// Write a page with a plot into this file.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

#[derive(Debug, serde::Serialize)]
struct Step {
    value: String,
    counts: Counts,
    outcomes: Option<Measures>,
}

/// `rule sweep`
pub(super) fn sweep(args: &SweepArgs, format: Format) -> Result<Ending, CliError> {
    let (set, sources) = load(args.rules.as_deref(), args.past.config.as_deref())?;
    let (name, values) = range(&args.values)?;
    let rule = set.rule(&args.rule).ok_or_else(|| {
        let known: Vec<&str> = set
            .rules()
            .iter()
            .map(|r| r.manifest().id.as_ref())
            .collect();
        CliError::Usage(format!(
            "there is no rule \"{}\"; there are: {}",
            args.rule,
            known.join(", ")
        ))
    })?;
    let file = rule.manifest().file.to_string();
    let sets = values
        .iter()
        .map(|value| with_value(&sources, (&file, &args.rule), &name, value))
        .collect::<Result<Vec<_>, _>>()?;
    let outcomes = args.outcomes.as_deref().map(outcome::read).transpose()?;
    let past = args.past.gather(&sets, &[], &|_| ())?;
    let moments = outcomes.as_ref().map(Outcomes::moments).unwrap_or_default();
    let sides = past.judge(sets, &moments)?;
    let mut steps = Vec::with_capacity(values.len());
    for (value, mut side) in values.iter().zip(sides) {
        // Only the rule itself: what others say does not change.
        side.told.retain(|told| told.rule == args.rule);
        steps.push(Step {
            value: value.to_string(),
            counts: count(within(&side, past.period).into_iter()),
            outcomes: outcomes
                .as_ref()
                .map(|o| outcome::measure(o, &side, past.period, args.horizon_days)),
        });
    }
    if let Some(path) = &args.out {
        write(path, &plot(&args.rule, &name, &steps))?;
    }
    match format {
        Format::Json => {
            say_json(&serde_json::json!({ "rule": args.rule, "parameter": name, "steps": steps }));
        }
        Format::Table => say(&table(&name, &steps)),
    }
    Ok(past.ending())
}

fn write(path: &Path, text: &str) -> Result<(), BacktestError> {
    std::fs::write(path, text).map_err(|cause| BacktestError::File {
        doing: "write",
        path: path.to_owned(),
        cause,
    })
}

/// Reads `name=a..b[:step]`.
fn range(text: &str) -> Result<(String, Vec<Decimal>), CliError> {
    let bad = || {
        CliError::Usage(format!(
            "\"{text}\" is no sweep; write it as min_count=3..10 or ratio=1.5..3:0.5, at most {VALUES_MAX} values"
        ))
    };
    let (name, values) = text.split_once('=').ok_or_else(bad)?;
    let (ends, step) = values.split_once(':').unwrap_or((values, "1"));
    let (from, to) = ends.split_once("..").ok_or_else(bad)?;
    let number = |text: &str| text.trim().parse::<Decimal>().map_err(|_| bad());
    let (mut at, to, step) = (number(from)?, number(to)?, number(step)?);
    let mut values = Vec::new();
    while at <= to {
        values.push(at);
        at = at.checked_add(step).ok_or_else(bad)?;
        if step <= Decimal::ZERO || VALUES_MAX < values.len() {
            return Err(bad());
        }
    }
    if values.is_empty() {
        return Err(bad());
    }
    Ok((name.trim().to_owned(), values))
}

/// The rule set with another value of a rule's parameter.
fn with_value(
    sources: &RuleSources,
    (file, rule): (&str, &str),
    name: &str,
    value: &Decimal,
) -> Result<Arc<RuleSet>, CliError> {
    let mut sources = sources.clone();
    let found = sources.files.iter_mut().find(|(path, _)| path == file);
    let text = found.map(|(_, text)| text).ok_or_else(|| {
        CliError::Usage(format!(
            "the text of rule \"{rule}\" is not in the rules directory"
        ))
    })?;
    *text = replaced(text, name, &value.to_string()).ok_or_else(|| {
        CliError::Usage(format!(
            "{file}: rule \"{rule}\" has no parameter \"{name}\" with a number; see params in its const RULE"
        ))
    })?;
    let loaded = RuleSet::trial(&sources).map_err(|found| {
        let first = found.iter().find(|d| d.severity == Severity::Error);
        CliError::Usage(format!(
            "with {name} = {value} the rules do not load: {}",
            first.map(ToString::to_string).unwrap_or_default()
        ))
    })?;
    Ok(Arc::new(loaded))
}

/// The text with another number after `name:` in `params`.
fn replaced(text: &str, name: &str, value: &str) -> Option<String> {
    let params = text.find("params:")?;
    let end = params + text.get(params..)?.find('}')?;
    let inside = text.get(params..end)?;
    let at = inside.match_indices(name).map(|(at, _)| at).find(|at| {
        let before = inside.get(..*at).and_then(|t| t.chars().next_back());
        let after = inside.get(at + name.len()..).map(str::trim_start);
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            && after.is_some_and(|t| t.starts_with(':'))
    })?;
    let colon = params + at + inside.get(at..)?.find(':')? + 1;
    let rest = text.get(colon..)?;
    let blanks = rest.len() - rest.trim_start().len();
    let number = rest.trim_start();
    let length = number
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-')
        .unwrap_or(number.len());
    if length == 0 {
        return None;
    }
    let tail = number.get(length..)?;
    Some(format!(
        "{}{}{value}{tail}",
        text.get(..colon)?,
        rest.get(..blanks)?
    ))
}

fn table(name: &str, steps: &[Step]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(vec![
        name,
        "预警",
        "红",
        "橙",
        "黄",
        "蓝",
        "主体",
        "准确率",
        "召回率",
        "提前天数",
    ]);
    for step in steps {
        let [red, orange, yellow, blue] = step.counts.levels;
        let numbers = [
            step.counts.warnings,
            red,
            orange,
            yellow,
            blue,
            step.counts.subjects,
        ];
        let mut cells = vec![step.value.clone()];
        cells.extend(numbers.iter().map(ToString::to_string));
        let m = step.outcomes.as_ref();
        cells.push(percent(m.and_then(|m| m.precision).map(|(p, ..)| p)));
        cells.push(percent(m.and_then(|m| m.recall)));
        cells.push(
            m.and_then(|m| m.lead_days)
                .map_or_else(|| "—".to_owned(), |d| d.to_string()),
        );
        table.add_row(cells);
    }
    table.to_string()
}

/// A page with the number of warnings for each value, and precision and recall where outcomes are given.
fn plot(rule: &str, name: &str, steps: &[Step]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"zh\"><meta charset=\"utf-8\"><title>{rule} {name}</title>\n<h1>{} · {}</h1>\n<svg width=\"720\" height=\"340\" style=\"font:12px sans-serif\">\n",
        escape(rule),
        escape(name)
    );
    let most = steps
        .iter()
        .map(|s| s.counts.warnings)
        .max()
        .unwrap_or(1)
        .max(1);
    let whole = |n: u64| outcome::float(i64::try_from(n).unwrap_or(i64::MAX));
    let width = 640.0 / outcome::float(i64::try_from(steps.len()).unwrap_or(1));
    let (mut precision, mut recall) = (String::new(), String::new());
    for (at, step) in (0_i64..).zip(steps) {
        let x = 40.0 + outcome::float(at) * width;
        let height = 260.0 * whole(step.counts.warnings) / whole(most);
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"#90a4ae\"/><text x=\"{x:.1}\" y=\"{:.1}\">{}</text><text x=\"{x:.1}\" y=\"315\">{}</text>",
            290.0 - height,
            width * 0.8,
            284.0 - height,
            step.counts.warnings,
            step.value
        );
        if let Some(m) = &step.outcomes {
            let middle = x + width * 0.4;
            if let Some((p, ..)) = m.precision {
                let _ = write!(precision, "{middle:.1},{:.1} ", 290.0 - 260.0 * p);
            }
            if let Some(r) = m.recall {
                let _ = write!(recall, "{middle:.1},{:.1} ", 290.0 - 260.0 * r);
            }
        }
    }
    let _ = writeln!(
        out,
        "<polyline points=\"{precision}\" fill=\"none\" stroke=\"#c62828\" stroke-width=\"2\"/><polyline points=\"{recall}\" fill=\"none\" stroke=\"#1565c0\" stroke-width=\"2\"/>\n<text x=\"40\" y=\"335\">柱：预警件数；红线：准确率；蓝线：召回率（满格 100 %）</text></svg></html>"
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_replaced_and_nothing_else() {
        let text = "const RULE = #{\n    params: #{ min_count: 15, count: 3 },\n};\nlet count: 1";
        let swept = replaced(text, "count", "7").unwrap();
        assert_eq!(swept, text.replace("count: 3", "count: 7"));
        assert_eq!(replaced(text, "other", "7"), None);
    }

    #[test]
    fn ranges() {
        let (name, values) = range("ratio=1.5..3:0.5").unwrap_or_default();
        let words: Vec<String> = values.iter().map(ToString::to_string).collect();
        assert_eq!(
            (name.as_str(), words.join(" ").as_str()),
            ("ratio", "1.5 2.0 2.5 3.0")
        );
        for bad in ["ratio", "a=1", "a=3..1", "a=1..3:0", "a=0..1000"] {
            assert!(range(bad).is_err(), "{bad}");
        }
    }
}

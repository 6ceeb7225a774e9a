//! `fenghuo rule backtest`: what rules would have said of the past, beside a baseline, expectations and outcomes.

use super::super::args::Format;
use super::super::{CliError, Ending, say, say_json};
use super::past::{PastArgs, load, load_trial};
use crate::engine::rule::RuleSet;
use crate::runtime::backtest::judge::Side;
use crate::runtime::backtest::outcome::{self, Measures, Outcomes};
use crate::runtime::backtest::page::{page, percent};
use crate::runtime::backtest::report::{Report, RuleRow, within};
use crate::runtime::backtest::{BacktestError, expect, sheet};
use crate::runtime::clock::Stopwatch;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `rule backtest`
#[derive(Debug, clap::Args)]
pub struct BacktestArgs {
    /// Which past.
    #[command(flatten)]
    pub past: PastArgs,
    /// The rules directory to try; without it, those of the configuration, else the shipped ones.
    #[arg(long)]
    pub rules: Option<PathBuf>,
    /// A rules directory to hold it against.
    #[arg(long)]
    pub baseline: Option<PathBuf>,
    /// Expectations (TOML); exit code 1 if one does not hold.
    #[arg(long)]
    pub expect: Option<PathBuf>,
    /// Outcomes (CSV: subject,time,outcome): precision, recall, lead time, AUC.
    #[arg(long)]
    pub outcomes: Option<PathBuf>,
    /// How many days before an outcome a warning counts as having foreseen it.
    #[arg(long, default_value_t = 365)]
    pub horizon_days: i64,
    /// Write report.html, report.xlsx, report.json and warnings.csv into this directory.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// `rule backtest`
pub(super) fn backtest(args: &BacktestArgs, format: Format) -> Result<Ending, CliError> {
    let config = args.past.config.as_deref();
    let (set, tried) = load_trial(args.rules.as_deref(), config)?;
    let mut sets = vec![set];
    if let Some(dir) = &args.baseline {
        sets.push(load(Some(dir), None)?.0);
    }
    let outcomes = args.outcomes.as_deref().map(outcome::read).transpose()?;
    let expectations = args.expect.as_deref().map(expect::read).transpose()?;
    let watch = Stopwatch::start();
    let past = args.past.gather(&sets, &[], &|_| ())?;
    let gathered = watch.elapsed_seconds();
    let moments = outcomes.as_ref().map(Outcomes::moments).unwrap_or_default();
    let sides = past.judge(sets.clone(), &moments)?;
    let elapsed = watch.elapsed_seconds();
    let mut report = report(
        &sets,
        &sides,
        (outcomes.as_ref(), args.horizon_days),
        past.period,
    );
    report.events = past.gathered.tally().events;
    report.late_events = past.gathered.tally().late;
    report.damaged.clone_from(&past.damage);
    report.tried = tried;
    let Some(side) = sides.first() else {
        return Ok(Ending::Fine);
    };
    let told = within(side, past.period);
    if let (Some(expectations), Some(set)) = (&expectations, sets.first()) {
        report.expectations = expect::check(expectations, &told, set);
    }
    if let Some(out) = &args.out {
        write(out, &report)?;
        sheet::csv(&out.join("warnings.csv"), &told)?;
        sheet::workbook(&out.join("report.xlsx"), &report, &told)?;
    }
    match format {
        Format::Json => say_json(&serde_json::json!(report)),
        Format::Table => say(&text(&report)),
    }
    speed(report.events, (gathered, elapsed));
    let failed = report.expectations.iter().any(|held| !held.held);
    Ok(if failed {
        Ending::Finding
    } else {
        past.ending()
    })
}

fn report(
    sets: &[Arc<RuleSet>],
    sides: &[Side],
    (outcomes, horizon): (Option<&Outcomes>, i64),
    period: (
        crate::engine::time::EventTime,
        crate::engine::time::EventTime,
    ),
) -> Report {
    let (Some(set), Some(side)) = (sets.first(), sides.first()) else {
        return Report::default();
    };
    let mut report = Report::of(set, side, period);
    report.outcomes = outcomes.map(|o| outcome::measure(o, side, period, horizon));
    if let (Some(set), Some(baseline)) = (sets.get(1), sides.get(1)) {
        report.compare(side, (set, baseline), period);
        report.baseline_outcomes = outcomes.map(|o| outcome::measure(o, baseline, period, horizon));
    }
    report
}

fn write(out: &Path, report: &Report) -> Result<(), CliError> {
    let put = |name: &str, text: String| {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|cause| BacktestError::File {
            doing: "write",
            path,
            cause,
        })
    };
    std::fs::create_dir_all(out)?;
    put("report.html", page(report))?;
    let json = serde_json::to_string_pretty(report).unwrap_or_default();
    put("report.json", json + "\n")?;
    Ok(())
}

/// The speed goes to standard error: two reports of the same past are the same.
fn speed(events: u64, (gathered, elapsed): (f64, f64)) {
    use std::io::Write;
    let events_number = outcome::float(i64::try_from(events).unwrap_or(i64::MAX));
    let _ = writeln!(
        std::io::stderr().lock(),
        "{events} events in {elapsed:.1} s ({gathered:.1} s reading), {:.0} events/s",
        events_number / elapsed.max(0.001)
    );
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_header(header.to_vec());
    table
}

fn text(report: &Report) -> String {
    let mut out = format!(
        "回测 {} 至 {}：{} 个事件（{} 个晚到一天以上），预警 {} 件，主体 {} 个，惩戒建议 {} 件\n规则集 {}\n",
        report.period.0,
        report.period.1,
        report.events,
        report.late_events,
        report.counts.warnings,
        report.counts.subjects,
        report.sanctions,
        report.rule_set
    );
    if !report.tried.is_empty() {
        let _ = writeln!(out, "按启用试算：{}", report.tried.join("、"));
    }
    let _ = writeln!(out, "{}", rules(report));
    for (title, groups) in [("地市", &report.cities), ("月份", &report.months)] {
        let mut list = table(&[title, "预警", "主体"]);
        for (key, counts) in groups {
            let numbers = [counts.warnings, counts.subjects].map(|n| n.to_string());
            list.add_row([std::slice::from_ref(key), &numbers].concat());
        }
        let _ = writeln!(out, "{list}");
    }
    if let Some(with) = &report.comparison {
        let _ = writeln!(
            out,
            "对比基线（{} 件）：新增主体 {}，不再预警 {}，两者都有 {}；（主体，规则）重合 {}/{}",
            with.warnings,
            with.newly_warned.len(),
            with.no_longer_warned.len(),
            with.both,
            with.pairs_both,
            with.pairs_either
        );
    }
    for (name, measures) in [
        ("结果对照", &report.outcomes),
        ("基线结果对照", &report.baseline_outcomes),
    ] {
        if let Some(measures) = measures {
            let _ = writeln!(out, "{name}：{}", words(measures));
        }
    }
    for held in &report.expectations {
        let _ = writeln!(out, "{}", held.words);
    }
    for (id, row) in &report.rules {
        if let Some((count, message)) = &row.faults {
            let _ = writeln!(out, "规则 {id} 出错 {count} 次：{message}");
        }
    }
    out
}

fn rules(report: &Report) -> Table {
    let mut rules = table(&[
        "规则", "名称", "预警", "红", "橙", "黄", "蓝", "主体", "撤回", "基线",
    ]);
    let speaks = |row: &RuleRow| 0 < row.counts.warnings || row.baseline.is_some_and(|b| 0 < b);
    for (id, row) in report.rules.iter().filter(|(_, row)| speaks(row)) {
        let counts = &row.counts;
        let [red, orange, yellow, blue] = counts.levels;
        let numbers = [
            counts.warnings,
            red,
            orange,
            yellow,
            blue,
            counts.subjects,
            counts.withdrawn,
        ];
        let mut cells = vec![id.clone(), row.name.clone()];
        cells.extend(numbers.iter().map(ToString::to_string));
        cells.push(row.baseline.map(|n| n.to_string()).unwrap_or_default());
        rules.add_row(cells);
    }
    rules
}

/// Measures in one line.
pub(super) fn words(m: &Measures) -> String {
    let precision = m.precision.map_or_else(
        || "—".to_owned(),
        |(p, low, high)| {
            format!(
                "{:.1} %（{:.1}–{:.1}）",
                p * 100.0,
                low * 100.0,
                high * 100.0
            )
        },
    );
    format!(
        "结果 {} 个，属实 {} 个；准确率 {precision}，召回率 {}，提前 {} 天（中位），AUC {}，前一半检出 {}",
        m.cases,
        m.true_cases,
        percent(m.recall),
        m.lead_days
            .map_or_else(|| "—".to_owned(), |d| d.to_string()),
        m.auc.map_or_else(|| "—".to_owned(), |a| format!("{a:.3}")),
        percent(m.first_half)
    )
}

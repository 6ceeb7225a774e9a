//! `fenghuo rule fit`: points and half-lives that outcomes speak for, and how well they rank outcomes they were not fitted on.

use super::super::archive::day;
use super::super::args::Format;
use super::super::{CliError, Ending, say, say_json};
use super::past::{Past, PastArgs, load};
use crate::engine::event::{RecordKey, Value};
use crate::engine::rule::RuleSet;
use crate::engine::schema::{Field, Stream};
use crate::engine::time::EventTime;
use crate::runtime::archive::slip::Slip;
use crate::runtime::backtest::BacktestError;
use crate::runtime::backtest::fit::{Case, Fitted, Question, Rank, fit, present};
use crate::runtime::backtest::judge::Side;
use crate::runtime::backtest::outcome::{self, Outcome, Outcomes};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// `rule fit`
#[derive(Debug, clap::Args)]
pub struct FitArgs {
    /// Which past.
    #[command(flatten)]
    pub past: PastArgs,
    /// The rules directory; without it, that of the configuration, else the shipped ones.
    #[arg(long)]
    pub rules: Option<PathBuf>,
    /// Outcomes (CSV: subject,time,outcome, and columns that are known before).
    #[arg(long, required_unless_present = "outcome")]
    pub outcomes: Option<PathBuf>,
    /// Instead of a file: the field of a stream that says it, `inspection.critical_items`; above zero, yes or 属实 is true.
    #[arg(long, conflicts_with = "outcomes")]
    pub outcome: Option<String>,
    /// Fit on outcomes before this day, judge on those from it on.
    #[arg(long)]
    pub split: String,
    /// Columns (or fields of the outcome's event) that are known before it, used in every model.
    #[arg(long, value_delimiter = ',')]
    pub known: Vec<String>,
    /// Further such columns: a second model is fitted with them.
    #[arg(long, value_delimiter = ',')]
    pub with: Vec<String>,
    /// Write the proposal into this file, which must not exist.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// `rule fit`
pub(super) fn run(args: &FitArgs, format: Format) -> Result<Ending, CliError> {
    let (set, sources) = load(args.rules.as_deref(), args.past.config.as_deref())?;
    let split = EventTime::from_day(day(&args.split)?);
    let columns: Vec<String> = args.known.iter().chain(&args.with).cloned().collect();
    let wanted = args
        .outcome
        .as_deref()
        .map(|text| Wanted::parse(text, &columns))
        .transpose()?;
    let found: Mutex<BTreeMap<RecordKey, (u64, Option<Outcome>)>> = Mutex::default();
    let besides = wanted.as_ref().map_or_else(Vec::new, Wanted::fields);
    let sets = [set.clone()];
    let past = args.past.gather(&sets, &besides, &|slip| {
        if let Some(wanted) = wanted.as_ref().filter(|w| w.stream == slip.stream) {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.gather(slip, &mut found);
        }
    })?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut outcomes = Outcomes {
        columns: columns.clone(),
        rows: found
            .into_values()
            .filter_map(|(_, outcome)| outcome)
            .collect(),
    };
    if let Some(path) = &args.outcomes {
        outcomes = chosen(outcome::read(path)?, &columns)?;
    }
    outcomes
        .rows
        .sort_by(|a, b| (a.at, &a.subject).cmp(&(b.at, &b.subject)));
    let sides = past.judge(vec![set.clone()], &outcomes.moments())?;
    let Some(side) = sides.first() else {
        return Ok(Ending::Fine);
    };
    let cases = cases(&past, side, &outcomes);
    let question = |name, columns_used| Question {
        name,
        rules: set.rules().len(),
        columns: &columns,
        columns_used,
        split,
    };
    let with = format!("拟合，另知 {}", args.with.join("、"));
    let mut fitted = vec![fit(&cases, &question("拟合", args.known.len()))?];
    if !args.with.is_empty() {
        fitted.push(fit(&cases, &question(&with, columns.len()))?);
    }
    let mut ranks = vec![present(&cases, split)];
    ranks.extend(fitted.iter().map(|f| f.rank.clone()));
    let before = cases.partition_point(|case| case.at < split);
    let counts = Counted {
        before,
        after: cases.len() - before,
        true_after: cases.iter().skip(before).filter(|c| c.is_true).count(),
    };
    if let (Some(path), Some(first)) = (&args.out, fitted.first()) {
        propose(path, &set, &sources.scoring, first)?;
    }
    match format {
        Format::Json => say_json(&serde_json::json!({
            "split": args.split, "fitted_on": counts.before, "judged_on": counts.after, "true_judged": counts.true_after,
            "ranks": ranks, "models": fitted,
            "rules": set.rules().iter().map(|r| r.manifest().id.as_ref()).collect::<Vec<_>>(),
        })),
        Format::Table => say(&text(&set, &counts, &ranks, &fitted)),
    }
    Ok(past.ending())
}

struct Counted {
    before: usize,
    after: usize,
    true_after: usize,
}

/// Which field of which stream says the outcome.
struct Wanted {
    stream: Stream,
    field: Field,
    known: Vec<Field>,
}

impl Wanted {
    fn parse(text: &str, columns: &[String]) -> Result<Self, CliError> {
        let usage = |what: String| CliError::Usage(what);
        let (stream, field) = text
            .split_once('.')
            .and_then(|(stream, field)| Some((Stream::by_name(stream)?, field)))
            .ok_or_else(|| {
                usage(format!(
                    "\"{text}\" is no stream.field, such as inspection.critical_items"
                ))
            })?;
        let of = |name: &str| {
            let found = Field::of(stream, name);
            found.ok_or_else(|| {
                usage(format!(
                    "stream \"{}\" has no field \"{name}\"",
                    stream.name()
                ))
            })
        };
        Ok(Self {
            stream,
            field: of(field)?,
            known: columns
                .iter()
                .map(|name| of(name))
                .collect::<Result<_, _>>()?,
        })
    }

    fn fields(&self) -> Vec<Field> {
        self.known.iter().copied().chain([self.field]).collect()
    }

    /// Takes up an outcome; of a record's versions the one that came last holds.
    fn gather(&self, slip: &Slip<'_>, found: &mut BTreeMap<RecordKey, (u64, Option<Outcome>)>) {
        let slot = found.entry(slip.key).or_insert((0, None));
        if slot.0 <= slip.seq {
            *slot = (
                slip.seq,
                slip.is_live().then(|| self.outcome(slip)).flatten(),
            );
        }
    }

    fn outcome(&self, slip: &Slip<'_>) -> Option<Outcome> {
        let is_true = match slip.get(self.field)? {
            Value::Bool(is) => is,
            Value::Int(number) => 0 < number,
            Value::Decimal(number) => number.is_sign_positive() && !number.is_zero(),
            Value::Text(text) => text == "属实",
            Value::Time(..) => true,
            Value::List(list) => !list.is_empty(),
        };
        let word = |field: &Field| match slip.get(*field) {
            Some(Value::Text(text)) => text.to_string(),
            Some(Value::Int(number)) => number.to_string(),
            Some(Value::Bool(is)) => is.to_string(),
            Some(_) | None => String::new(),
        };
        let individuals = slip
            .subjects
            .iter()
            .filter(|(kind, _)| !kind.is_collective());
        let mut names = individuals.map(|(kind, key)| format!("{}:{key}", kind.name()));
        Some(Outcome {
            subject: names.next()?,
            others: names.collect(),
            at: slip.occurred_at,
            is_true,
            known: self.known.iter().map(word).collect(),
        })
    }
}

/// The wanted columns of a file, in the order in which they are wanted.
fn chosen(outcomes: Outcomes, columns: &[String]) -> Result<Outcomes, CliError> {
    let mut places = Vec::new();
    for column in columns {
        let found = outcomes.columns.iter().position(|c| c == column);
        places.push(found.ok_or_else(|| {
            CliError::Usage(format!(
                "the outcomes have no column \"{column}\"; there are: {}",
                outcomes.columns.join(", ")
            ))
        })?);
    }
    let mut rows = outcomes.rows;
    for row in &mut rows {
        row.known = places
            .iter()
            .map(|at| row.known.get(*at).cloned().unwrap_or_default())
            .collect();
    }
    Ok(Outcomes {
        columns: columns.to_vec(),
        rows,
    })
}

fn cases(past: &Past, side: &Side, outcomes: &Outcomes) -> Vec<Case> {
    let readings: BTreeMap<(&str, EventTime), &crate::engine::backtest::Reading> = side
        .readings
        .iter()
        .map(|(subject, r)| ((subject.as_str(), r.at), r))
        .collect();
    let within = outcomes
        .rows
        .iter()
        .filter(|o| past.period.0 <= o.at && o.at <= past.period.1);
    within
        .map(|outcome| {
            let reading = readings.get(&(outcome.subject.as_str(), outcome.at));
            let others = outcome.others.iter();
            let around = others.filter_map(|s| readings.get(&(s.as_str(), outcome.at)));
            let mut ages = BTreeMap::new();
            for (rule, age, _) in reading.into_iter().chain(around).flat_map(|r| &r.found) {
                let newest = ages.entry(*rule).or_insert(*age);
                *newest = (*newest).min(*age);
            }
            Case {
                at: outcome.at,
                is_true: outcome.is_true,
                ages,
                known: outcome.known.clone(),
                score: reading.map_or(0, |r| r.score),
            }
        })
        .collect()
}

fn id(set: &RuleSet, rule: usize) -> (&str, &str) {
    set.rules().get(rule).map_or(("", ""), |r| {
        (r.manifest().id.as_ref(), r.manifest().name.as_ref())
    })
}

fn text(set: &RuleSet, counts: &Counted, ranks: &[Rank], fitted: &[Fitted]) -> String {
    let mut out = format!(
        "拟合用 {} 个结果，检验用 {} 个（其中属实 {} 个）\n",
        counts.before, counts.after, counts.true_after
    );
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(vec![
        "排序依据",
        "AUC（检验期）",
        "前一半检出",
        "AUC（拟合期）",
    ]);
    let number = |n: Option<f64>| n.map_or_else(|| "—".to_owned(), |n| format!("{n:.3}"));
    for rank in ranks {
        let half = crate::runtime::backtest::page::percent(rank.first_half);
        table.add_row([
            rank.name.clone(),
            number(rank.auc),
            half,
            number(rank.auc_before),
        ]);
    }
    let _ = writeln!(out, "{table}");
    for model in fitted {
        let _ = writeln!(out, "{}（惩罚 {}）", model.rank.name, model.penalty);
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(vec![
            "规则",
            "名称",
            "命中结果",
            "属实率",
            "半衰期（天）",
            "系数",
            "建议分",
        ]);
        for w in &model.weights {
            let (id, name) = id(set, w.rule);
            table.add_row([
                id.to_owned(),
                name.to_owned(),
                w.cases.to_string(),
                crate::runtime::backtest::page::percent(w.true_share),
                w.half_life_days.to_string(),
                format!("{:.2}", w.coefficient),
                w.points.to_string(),
            ]);
        }
        let _ = writeln!(out, "{table}");
        for (fact, coefficient) in &model.facts {
            let _ = writeln!(out, "  {fact} {coefficient:+.2}");
        }
    }
    out
}

/// Writes the proposal: `scoring.toml` with the half-lives that fit, and the points as comments, because they stand in rules.
fn propose(path: &Path, set: &RuleSet, scoring: &str, fitted: &Fitted) -> Result<(), CliError> {
    use std::io::Write as _;
    let mut half_lives: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    let mut text = String::from(
        "# 建议，由 `fenghuo rule fit` 算出；请审阅后自行合并，程序不会改动现行文件。\n# 规则的分值写在规则里，以下为建议分：\n",
    );
    for w in &fitted.weights {
        let (id, name) = id(set, w.rule);
        let _ = writeln!(
            text,
            "#   {id} {name}: {} 分，半衰期 {} 天（系数 {:.2}）",
            w.points, w.half_life_days, w.coefficient
        );
        if let Some(rule) = set.rules().get(w.rule)
            && 0.0 < w.coefficient
        {
            let sum = half_lives
                .entry(rule.manifest().dimension.as_ref())
                .or_default();
            let days = outcome::float(w.half_life_days);
            *sum = (sum.0 + w.coefficient * days, sum.1 + w.coefficient);
        }
    }
    for line in scoring.lines() {
        let name = line.split('=').next().unwrap_or_default().trim();
        if let (Some((sum, weight)), Some((before, after))) =
            (half_lives.get(name), line.split_once("half_life_days = "))
        {
            let old: String = after.chars().take_while(char::is_ascii_digit).collect();
            let rest = after.get(old.len()..).unwrap_or_default();
            let days = sum / weight;
            let _ = writeln!(
                text,
                "{before}half_life_days = {days:.0}{rest} # 原为 {old}"
            );
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    let fault = |cause| BacktestError::File {
        doing: "create a new file",
        path: path.to_owned(),
        cause,
    };
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(fault)?;
    file.write_all(text.as_bytes()).map_err(fault)?;
    Ok(())
}

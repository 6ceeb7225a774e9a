//! `report evaluation`: how disposal goes, as a table, as JSON or as Markdown.

use super::args::{Format, StateArgs};
use super::look::{open, table};
use super::{CliError, Ending, say, say_json};
use crate::engine::desk::evaluation::{Evaluation, Line};
use crate::engine::frequency::Frequency;
use crate::engine::time::{DAY_MS, EventTime};
use serde_json::json;

/// `report …`
#[derive(Debug, clap::Subcommand)]
pub enum ReportCommand {
    /// Claim rate, feedback in time, confirmed rate, disposal time, overdue, repeated: by rule and by department; and whether firms
    /// were inspected no more often than is allowed.
    Evaluation(EvaluationArgs),
}

/// `report evaluation`
#[derive(Debug, clap::Args)]
pub struct EvaluationArgs {
    /// Of cases first dispatched from this day.
    #[arg(long, default_value = "2000-01-01")]
    pub from: String,
    /// Through this day; without it, all.
    #[arg(long, default_value = "2099-12-31")]
    pub through: String,
    /// As Markdown.
    #[arg(long)]
    pub markdown: bool,
    /// Where state is.
    #[command(flatten)]
    pub state: StateArgs,
}

const HEADER: [&str; 11] = [
    "",
    "件数",
    "认领率",
    "反馈",
    "按期反馈率",
    "查实率",
    "平均处置(小时)",
    "超期未办",
    "升级",
    "重复预警",
    "撤销",
];

/// Carries out a report.
pub(super) fn report(command: &ReportCommand, format: Format) -> Result<Ending, CliError> {
    let ReportCommand::Evaluation(args) = command;
    let day = |text: &str| {
        EventTime::parse(text)
            .map(|(time, _)| time)
            .ok_or_else(|| CliError::Usage(format!("\"{text}\" is no day; write it as 2026-06-01")))
    };
    let (from, through) = (day(&args.from)?, day(&args.through)?);
    let recovered = open(&args.state)?;
    let found = Evaluation::of(recovered.province.desk(), from, through);
    let frequency = Frequency::of(&recovered.province, from, through);
    if format == Format::Json {
        let mut value = json!(found);
        if let Some(map) = value.as_object_mut() {
            map.insert("inspection_frequency".to_owned(), json!(frequency));
        }
        say_json(&value);
        return Ok(Ending::Fine);
    }
    let total = [("合计".to_owned(), &found.total)];
    let rules = found.rules.iter().map(|(key, line)| (key.clone(), line));
    let departments = found.departments.iter();
    let departments = departments.map(|(key, line)| (key.clone(), line));
    say(&format!("处置考核 {} 至 {}", found.from, found.through));
    for (title, lines) in [
        ("全部", Vec::from(total)),
        ("按规则", rules.collect()),
        ("按责任单位", departments.collect()),
    ] {
        say(&sheet(title, &lines, args.markdown));
    }
    if let Some(frequency) = &frequency {
        inspected(frequency, args.markdown);
    }
    Ok(Ending::Fine)
}

/// How often firms were inspected, held against what the rule allows.
fn inspected(frequency: &Frequency, is_markdown: bool) {
    let standard = &frequency.standard;
    say(&format!(
        "检查频次合规（标准见规则 {}：{} 日内对同一企业的计划检查少于 {} 次，有因检查不计；依据 {}）",
        standard.rule,
        standard.window_ms / DAY_MS,
        standard.times,
        standard.basis.join("、")
    ));
    let total = [("合计".to_owned(), &frequency.total)];
    let departments = frequency.departments.iter();
    let departments = departments.map(|(key, tally)| (key.clone(), tally));
    for (title, lines) in [
        ("全部检查", Vec::from(total)),
        ("按检查单位", departments.collect()),
    ] {
        let header = [title, "合规率", "未超频次", "超过频次", "有因检查"];
        let rows = lines.into_iter().map(|(key, tally)| {
            vec![
                key,
                share(tally.compliant_share),
                tally.within.to_string(),
                tally.over.to_string(),
                tally.prompted.to_string(),
            ]
        });
        say(&grid(&header, rows.collect(), is_markdown));
    }
}

fn sheet(title: &str, lines: &[(String, &Line)], is_markdown: bool) -> String {
    let mut header = HEADER;
    header[0] = title;
    let rows = lines.iter().map(|(key, line)| cells(key, line));
    grid(&header, rows.collect(), is_markdown)
}

fn grid(header: &[&str], rows: Vec<Vec<String>>, is_markdown: bool) -> String {
    if !is_markdown {
        let mut sheet = table(header);
        for row in rows {
            sheet.add_row(row);
        }
        return sheet.to_string();
    }
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = header.iter().map(|&text| text.to_owned()).collect();
    let mut text = row(&head);
    text.push_str(&row(&vec!["---".to_owned(); head.len()]));
    for cells in &rows {
        text.push_str(&row(cells));
    }
    text
}

fn share(part: Option<f64>) -> String {
    part.map_or_else(|| "—".to_owned(), |part| format!("{:.1}%", part * 100.0))
}

fn cells(key: &str, line: &Line) -> Vec<String> {
    let hours = line.disposal_hours_mean;
    vec![
        key.to_owned(),
        line.cases.to_string(),
        share(line.claimed_share),
        line.fed_back.to_string(),
        share(line.on_time_share),
        share(line.confirmed_share),
        hours.map_or_else(|| "—".to_owned(), |hours| format!("{hours:.1}")),
        line.overdue.to_string(),
        line.escalated.to_string(),
        line.repeated.to_string(),
        line.withdrawn.to_string(),
    ]
}

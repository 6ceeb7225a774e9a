//! `report evaluation`: how disposal goes, as a table, as JSON or as Markdown.

use super::args::{Format, StateArgs};
use super::look::{open, table};
use super::{CliError, Ending, say, say_json};
use crate::engine::desk::evaluation::{Evaluation, Line};
use crate::engine::time::EventTime;
use serde_json::json;

/// `report …`
#[derive(Debug, clap::Subcommand)]
pub enum ReportCommand {
    /// Claim rate, feedback in time, confirmed rate, disposal time, overdue, repeated: by rule and by department.
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
    if format == Format::Json {
        say_json(&json!(found));
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
    Ok(Ending::Fine)
}

fn sheet(title: &str, lines: &[(String, &Line)], is_markdown: bool) -> String {
    let mut header = HEADER;
    header[0] = title;
    if !is_markdown {
        let mut sheet = table(&header);
        for (key, line) in lines {
            sheet.add_row(cells(key, line));
        }
        return sheet.to_string();
    }
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = row(&header.map(str::to_owned));
    text.push_str(&row(&header.map(|_| "---".to_owned())));
    for (key, line) in lines {
        text.push_str(&row(&cells(key, line)));
    }
    text
}

fn cells(key: &str, line: &Line) -> Vec<String> {
    let share = |part: Option<f64>| {
        part.map_or_else(|| "—".to_owned(), |part| format!("{:.1}%", part * 100.0))
    };
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

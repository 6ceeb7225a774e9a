//! `fenghuo rule test`: the `test_…` functions inside rules, what they reach, and a report for build servers.

use super::args::TestArgs;
use super::{junit, sources, write_out};
use crate::cli::args::Format;
use crate::cli::{CliError, Ending, say, say_json};
use crate::engine::rule::{Coverage, Outcome, RuleSet, TestReport, cover, run_tests};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::json;
use std::path::Path;

/// `rule test`
pub(super) fn test(args: &TestArgs, format: Format) -> Result<Ending, CliError> {
    let found = sources(args.path.as_ref())?;
    let set = match RuleSet::load(&found.sources) {
        Ok(set) => set,
        Err(found) => {
            for diagnostic in &found {
                say(&format!("{diagnostic}\n"));
            }
            say("规则有错误，未运行测试");
            return Ok(Ending::Finding);
        }
    };
    let reports = run_tests(&set);
    let failed: Vec<&TestReport> = reports.iter().filter(|r| !r.is_passed()).collect();
    if let Some(file) = &args.junit {
        write_out(file, &junit::report(&reports))?;
    }
    let covered = if args.coverage || args.coverage_min.is_some() {
        cover(&set)
    } else {
        Vec::new()
    };
    match format {
        Format::Json => {
            let mut told = json!({
                "tests": reports.len(), "failed": failed.len(), "reports": reports,
            });
            if let Some(told) = told.as_object_mut().filter(|_| !covered.is_empty()) {
                told.insert("coverage".to_owned(), json!(covered));
            }
            say_json(&told);
        }
        Format::Table if args.junit.as_deref() == Some(Path::new("-")) => {}
        Format::Table => {
            for report in &failed {
                say(&failure(report));
            }
            if !covered.is_empty() {
                say(&table(&covered));
                for one in &covered {
                    missed(one, &set);
                }
            }
            say(&format!(
                "{} 条规则，{} 个测试，{} 个失败",
                set.rules().len(),
                reports.len(),
                failed.len()
            ));
        }
    }
    let wanted = args.coverage_min.map_or(0, usize::from);
    let below: Vec<&Coverage> = covered
        .iter()
        .filter(|one| share(one.branch_counts()) < wanted)
        .collect();
    for one in &below {
        let percent = share(one.branch_counts());
        let line = format!(
            "{} 的测试只走到 {percent}% 的分支，要求 {wanted}%",
            one.rule
        );
        if format == Format::Table {
            say(&line);
        }
    }
    Ok(if failed.is_empty() && below.is_empty() {
        Ending::Fine
    } else {
        Ending::Finding
    })
}

/// Whole percent, cut; all of nothing is all.
fn share((some, all): (usize, usize)) -> usize {
    (some * 100).checked_div(all).unwrap_or(100)
}

fn table(covered: &[Coverage]) -> String {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_header(["规则", "文件", "语句行", "分支"]);
    let cell = |(some, all)| format!("{some}/{all} {}%", share((some, all)));
    for one in covered {
        table.add_row([
            one.rule.clone(),
            one.file.clone(),
            cell(one.line_counts()),
            cell(one.branch_counts()),
        ]);
    }
    table.to_string()
}

/// The lines and branches that no test reaches, with their text.
fn missed(one: &Coverage, set: &RuleSet) {
    let source = set.rule(&one.rule).map_or("", |rule| rule.source());
    let text = |line: usize| {
        let line = line.checked_sub(1).and_then(|at| source.lines().nth(at));
        line.unwrap_or("").trim().to_owned()
    };
    for line in one.missed_lines() {
        say(&format!("{}:{line} 没有执行到  {}", one.file, text(line)));
    }
    for branch in one.missed_branches() {
        let (line, column) = (branch.line, branch.column);
        let place = format!("{}:{line}:{column}", one.file);
        say(&format!("{place} 没有走过“{}”  {}", branch.way, text(line)));
    }
}

fn failure(report: &TestReport) -> String {
    match &report.outcome {
        Outcome::Passed => String::new(),
        Outcome::Failed {
            message,
            line,
            column,
        } => {
            format!(
                "失败 {}:{line}:{column} {}\n  {message}\n",
                report.file, report.name
            )
        }
    }
}

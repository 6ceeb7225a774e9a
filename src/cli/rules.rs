//! `fenghuo rule check` and `rule test`.

use super::args::{Format, RuleArgs, RuleCommand};
use super::{CliError, Ending, say, say_json};
use crate::engine::rule::{Outcome, RuleSet, RuleSources, Severity, TestReport, run_tests};
use crate::runtime::bundle;
use serde_json::json;
use std::path::{Path, PathBuf};

/// `rule`
pub(super) fn rule(args: &RuleArgs, format: Format) -> Result<Ending, CliError> {
    match &args.command {
        RuleCommand::Check { path } => Ok(check(&sources(path.as_ref())?, format)),
        RuleCommand::Explain {
            subject,
            at,
            rule,
            state,
        } => super::explain::rule((subject, at, rule.as_deref()), state, format),
        RuleCommand::Test { path } => Ok(test(&sources(path.as_ref())?, format)),
    }
}

/// The sources under a path: a directory, or one rule file with the tables of the directory it lies in.
fn sources(path: Option<&PathBuf>) -> Result<RuleSources, CliError> {
    let Some(path) = path else {
        return Ok(bundle::shipped_rules());
    };
    if path.is_dir() {
        return Ok(bundle::rules_in(path)?);
    }
    if !path.exists() {
        return Err(CliError::Usage(format!(
            "\"{}\" does not exist; give a rules directory or a .rhai file",
            path.display()
        )));
    }
    let line = path.parent().unwrap_or_else(|| Path::new(""));
    let up = line.parent().filter(|up| !up.as_os_str().is_empty());
    let dir = up
        .filter(|up| up.join("laws.toml").exists())
        .unwrap_or(line);
    let mut sources = bundle::rules_in(if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    })?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    sources
        .files
        .retain(|(file, _)| *file == name || file.ends_with(&format!("/{name}")));
    Ok(sources)
}

fn check(sources: &RuleSources, format: Format) -> Ending {
    let (found, count) = match RuleSet::load(sources) {
        Ok(set) => (set.warnings().to_vec(), set.rules().len()),
        Err(found) => (found, sources.files.len()),
    };
    let errors = found
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    match format {
        Format::Json => say_json(&json!({
            "rules": count, "errors": errors, "diagnostics": found,
        })),
        Format::Table => {
            for diagnostic in &found {
                say(&format!("{diagnostic}\n"));
            }
            let warnings = found.len() - errors;
            say(&format!(
                "检查 {count} 条规则：{errors} 个错误，{warnings} 个提醒"
            ));
        }
    }
    if errors == 0 {
        Ending::Fine
    } else {
        Ending::Finding
    }
}

fn test(sources: &RuleSources, format: Format) -> Ending {
    let set = match RuleSet::load(sources) {
        Ok(set) => set,
        Err(found) => {
            for diagnostic in &found {
                say(&format!("{diagnostic}\n"));
            }
            say("规则有错误，未运行测试");
            return Ending::Finding;
        }
    };
    let reports = run_tests(&set);
    let failed: Vec<&TestReport> = reports.iter().filter(|r| !r.is_passed()).collect();
    match format {
        Format::Json => {
            say_json(
                &json!({ "tests": reports.len(), "failed": failed.len(), "reports": reports }),
            );
        }
        Format::Table => {
            for report in &failed {
                say(&failure(report));
            }
            say(&format!(
                "{} 条规则，{} 个测试，{} 个失败",
                set.rules().len(),
                reports.len(),
                failed.len()
            ));
        }
    }
    if failed.is_empty() {
        Ending::Fine
    } else {
        Ending::Finding
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

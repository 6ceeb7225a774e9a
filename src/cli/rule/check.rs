//! `fenghuo rule check`: what is wrong with rules, and `--fix` for what is certain.
//!
//! bounds   fixes are made in rounds, since one mends what hides another; [`ROUNDS_MAX`] rounds

use super::args::CheckArgs;
use super::{Found, sarif, sources, write_out};
use crate::cli::args::Format;
use crate::cli::{CliError, Ending, say, say_json};
use crate::engine::rule::{Diagnostic, RuleSet, RuleSources, Severity};
use crate::engine::time::EventTime;
use crate::runtime::clock::Clock;
use serde_json::json;
use std::io::IsTerminal;
use std::path::Path;

const ROUNDS_MAX: usize = 20;

/// `rule check`
pub(super) fn check(args: &CheckArgs, format: Format) -> Result<Ending, CliError> {
    let today = args
        .today
        .as_deref()
        .map_or_else(|| Ok(Clock::System.now()), day)?;
    let Found { mut sources, dir } = sources(args.path.as_ref())?;
    let mut made = Vec::new();
    if let (true, Some(dir)) = (args.fix, &dir) {
        made = fix(&mut sources, today, dir)?;
    }
    let found = found(&sources, today);
    let errors = found
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    let warnings = found.len() - errors;
    if let Some(file) = &args.sarif {
        let report = sarif::report(&found, dir.as_deref());
        write_out(file, &serde_json::to_string_pretty(&report)?)?;
    }
    let count = sources.files.len();
    match format {
        Format::Json => say_json(&json!({
            "rules": count, "errors": errors, "warnings": warnings, "diagnostics": found, "fixed": made,
        })),
        Format::Table if args.sarif.as_deref() == Some(Path::new("-")) => {}
        Format::Table => {
            for line in &made {
                say(&format!("已改 {line}"));
            }
            let is_coloured = is_coloured();
            for diagnostic in &found {
                if is_coloured {
                    say(&format!("{}\n", diagnostic.coloured()));
                } else {
                    say(&format!("{diagnostic}\n"));
                }
            }
            say(&format!(
                "检查 {count} 条规则：{errors} 个错误，{warnings} 个提醒"
            ));
            let fixable = found.iter().filter(|d| d.fix.is_some()).count();
            if 0 < fixable && !args.fix {
                say(&format!("其中 {fixable} 处可以用 --fix 自动改正"));
            }
        }
    }
    Ok(if errors == 0 && (warnings == 0 || !args.strict) {
        Ending::Fine
    } else {
        Ending::Finding
    })
}

/// On a terminal, unless colours are unwanted (`NO_COLOR`).
fn is_coloured() -> bool {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !is_unwanted
}

fn day(text: &str) -> Result<EventTime, CliError> {
    let parsed = EventTime::parse(text).map(|(time, _)| time);
    parsed.ok_or_else(|| CliError::Usage(format!("\"{text}\" is no day; write 2026-03-01")))
}

fn found(sources: &RuleSources, today: EventTime) -> Vec<Diagnostic> {
    match RuleSet::check(sources, today) {
        Ok(set) => set.warnings().to_vec(),
        Err(found) => found,
    }
}

/// Mends what is certain, round by round, and writes the files that have changed; says what was mended.
fn fix(sources: &mut RuleSources, today: EventTime, dir: &Path) -> Result<Vec<String>, CliError> {
    let mut made = Vec::new();
    let mut changed = std::collections::BTreeSet::new();
    for _ in 0..ROUNDS_MAX {
        let mut found = found(sources, today);
        found.retain(|d| d.fix.is_some());
        if found.is_empty() {
            break;
        }
        // From the end of each file, so that places before stay what they are.
        found.sort_by_key(|d| std::cmp::Reverse((d.line, d.fix.as_ref().map(|fix| fix.column))));
        for diagnostic in &found {
            let file = sources
                .files
                .iter_mut()
                .find(|(f, _)| *f == diagnostic.file);
            if let Some((name, text)) = file
                && let Some((mended, line)) = mend(text, diagnostic)
            {
                *text = mended;
                made.push(line);
                changed.insert(name.clone());
            }
        }
    }
    for (name, text) in sources.files.iter().filter(|(f, _)| changed.contains(f)) {
        std::fs::write(dir.join(name), text)?;
    }
    Ok(made)
}

/// The text with one fix made, and what was done; nothing if the place has changed.
fn mend(text: &str, diagnostic: &Diagnostic) -> Option<(String, String)> {
    let fix = diagnostic.fix.as_ref()?;
    let line_at = text
        .split_inclusive('\n')
        .take(diagnostic.line.checked_sub(1)?)
        .map(str::len)
        .sum::<usize>();
    let line = text.get(line_at..)?;
    let before = line.chars().take(fix.column.checked_sub(1)?);
    let at = line_at + before.map(char::len_utf8).sum::<usize>();
    let rest = text.get(at..)?.strip_prefix(fix.from.as_str())?;
    let mended = format!("{}{}{rest}", text.get(..at)?, fix.to);
    let told = format!(
        "{}:{}:{} {} → {}",
        diagnostic.file, diagnostic.line, fix.column, fix.from, fix.to
    );
    Some((mended, told))
}

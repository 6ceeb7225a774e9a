//! `fenghuo rule test`: the `test_…` functions inside rules.

use super::args::TestArgs;
use super::sources;
use crate::cli::args::Format;
use crate::cli::{CliError, Ending, say, say_json};
use crate::engine::rule::{Outcome, RuleSet, TestReport, run_tests};
use serde_json::json;

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
    Ok(if failed.is_empty() {
        Ending::Fine
    } else {
        Ending::Finding
    })
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

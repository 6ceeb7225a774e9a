//! `fenghuo rule …`: the analyst's bench. Each command is a file.
//!
//! exit codes: 1 if a rule has an error or a test fails

mod args;
mod backtest;
mod check;
mod diff;
mod junit;
mod list;
mod lsp;
mod new;
mod fit;
mod past;
mod plan;
mod repl;
mod sarif;
mod scorecard;
mod seal;
mod service;
mod sweep;
mod test;

use args::RuleCommand;

pub(super) use args::RuleArgs;

use super::args::Format;
use super::{CliError, Ending};
use crate::engine::rule::RuleSources;
use crate::runtime::bundle;
use std::path::{Path, PathBuf};

/// `rule`
pub(super) fn rule(args: &RuleArgs, format: Format) -> Result<Ending, CliError> {
    match &args.command {
        RuleCommand::Backtest(options) => backtest::backtest(options, format),
        RuleCommand::Check(options) => check::check(options, format),
        RuleCommand::Explain {
            subject,
            at,
            rule,
            ground,
        } => super::explain::rule((subject, at, rule.as_deref()), ground, format),
        RuleCommand::Fit(options) => fit::run(options, format),
        RuleCommand::Plan { path } => Ok(plan::plan(&sources(path.as_ref())?.sources, format)),
        RuleCommand::Scorecard(options) => scorecard::scorecard(options, format),
        RuleCommand::Sweep(options) => sweep::sweep(options, format),
        RuleCommand::Test(options) => test::test(options, format),
        RuleCommand::New(options) => new::new(options),
        RuleCommand::List(options) => list::list(options, format),
        RuleCommand::Status(state) => service::status(state, format),
        RuleCommand::Duel { id, state } => service::challenge(id.as_deref(), state, format),
        RuleCommand::Bundle { dir, out } => seal::bundle(dir, out),
        RuleCommand::Sign {
            bundle,
            key,
            name,
            role,
        } => seal::sign(bundle, key, (name, role)),
        RuleCommand::Verify { bundle, signers } => seal::verify(bundle, signers),
        RuleCommand::Diff(options) => diff::diff(options, format),
        RuleCommand::Repl { subject, at, state } => repl::repl((subject, at), state, format),
        RuleCommand::Lsp => lsp::lsp(),
        RuleCommand::Defs => {
            list::defs(format);
            Ok(Ending::Fine)
        }
    }
}

/// Rules and where they lie; without a directory, those built in.
struct Found {
    sources: RuleSources,
    dir: Option<PathBuf>,
}

/// The sources under a path: a directory, or one rule file with the tables of the directory it lies in.
fn sources(path: Option<&PathBuf>) -> Result<Found, CliError> {
    let Some(path) = path else {
        return Ok(Found {
            sources: bundle::shipped_rules(),
            dir: None,
        });
    };
    if path.is_dir() {
        return Ok(Found {
            sources: bundle::rules_in(path)?,
            dir: Some(path.clone()),
        });
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
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    let mut sources = bundle::rules_in(dir)?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    sources
        .files
        .retain(|(file, _)| *file == name || file.ends_with(&format!("/{name}")));
    Ok(Found {
        sources,
        dir: Some(dir.to_owned()),
    })
}

/// Writes to the file, or to standard output if it is `-`.
fn write_out(file: &Path, text: &str) -> Result<(), CliError> {
    if file == Path::new("-") {
        super::say(text);
        return Ok(());
    }
    Ok(std::fs::write(file, text)?)
}

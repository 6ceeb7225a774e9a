//! The commands under `rule` and their options, as `clap` reads them.

use crate::cli::args::StateArgs;
use clap::Subcommand;
use std::path::PathBuf;

/// `rule`
#[derive(Debug, clap::Args)]
pub struct RuleArgs {
    /// What to do with the rules.
    #[command(subcommand)]
    pub command: RuleCommand,
}

/// `rule …`
#[derive(Debug, Subcommand)]
pub enum RuleCommand {
    /// Say what is wrong with rules, with file, line and column.
    Check(CheckArgs),
    /// Say why rules warn of a subject or not: what was compared, what was seen, how far it is from another verdict.
    Explain {
        /// The subject, as `enterprise:9132…`.
        #[arg(long)]
        subject: String,
        /// As of when: `2026-03-01` or `2026-03-01 08:30`.
        #[arg(long)]
        at: String,
        /// Only this rule.
        #[arg(long)]
        rule: Option<String>,
        /// Where state is.
        #[command(flatten)]
        state: StateArgs,
    },
    /// Say how each rule is run: what keeps it from being looked at, and what is left to the interpreter.
    Plan {
        /// A rules directory, or one rule file; without it, the shipped rules.
        path: Option<PathBuf>,
    },
    /// Run the `test_…` functions inside rules.
    Test(TestArgs),
}

/// `rule check`
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// A rules directory, or one rule file; without it, the shipped rules.
    pub path: Option<PathBuf>,
    /// Write what is certain into the files: misspelt names, full-width marks, `=` for `==`.
    #[arg(long, requires = "path")]
    pub fix: bool,
    /// Warnings fail the check as well.
    #[arg(long)]
    pub strict: bool,
    /// The day as of which laws must be in force, `2026-03-01`; without it, today.
    #[arg(long)]
    pub today: Option<String>,
    /// Write a SARIF 2.1.0 report to this file; `-` for standard output.
    #[arg(long)]
    pub sarif: Option<PathBuf>,
}

/// `rule test`
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// A rules directory, or one rule file; without it, the shipped rules.
    pub path: Option<PathBuf>,
}

//! The commands under `rule` and their options, as `clap` reads them.

use crate::cli::args::{GroundArgs, StateArgs};
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
    /// Say what rules would have said of the past, beside a baseline, expectations and outcomes.
    Backtest(super::backtest::BacktestArgs),
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
        /// What it is explained from.
        #[command(flatten)]
        ground: GroundArgs,
    },
    /// Propose points and half-lives from outcomes, and say how well they rank outcomes they were not fitted on.
    Fit(super::fit::FitArgs),
    /// Say how each rule is run: what keeps it from being looked at, and what is left to the interpreter.
    Plan {
        /// A rules directory, or one rule file; without it, the shipped rules.
        path: Option<PathBuf>,
    },
    /// Say how each rule fared by what officers found out: firings, confirmed, unfounded, precision, keep or retire.
    Scorecard(super::scorecard::ScorecardArgs),
    /// Say what a rule would have said of the past under other values of a parameter.
    Sweep(super::sweep::SweepArgs),
    /// Run the `test_…` functions inside rules.
    Test(TestArgs),
    /// Begin a rule from one that checks and passes its tests.
    New(NewArgs),
    /// The rules with their state, subjects and streams.
    List(PathArgs),
    /// The rules in force in a recorded state, and from which event time on each has judged everything.
    Status(StateArgs),
    /// Whom a challenger would add and drop against the rule that it challenges.
    Duel {
        /// The challenger's id; without it, all challenges.
        id: Option<String>,
        /// Where state is.
        #[command(flatten)]
        state: StateArgs,
    },
    /// Put a rules directory into one file to be signed, once it checks and passes its tests.
    Bundle {
        /// The rules directory.
        dir: PathBuf,
        /// The file to write: `rules.fhb`.
        #[arg(long)]
        out: PathBuf,
    },
    /// Add a person's signature to a bundle.
    Sign {
        /// The bundle.
        bundle: PathBuf,
        /// The person's private key: `openssl genpkey -algorithm ed25519 -out maker.pem`.
        #[arg(long)]
        key: PathBuf,
        /// The person.
        #[arg(long)]
        name: String,
        /// `maker`: made the rules; `checker`: checked them.
        #[arg(long)]
        role: String,
    },
    /// Say whether two different people whose word counts have signed a bundle.
    Verify {
        /// The bundle.
        bundle: PathBuf,
        /// Whose signatures count.
        #[arg(long)]
        signers: PathBuf,
    },
    /// What another rule set changes.
    Diff(DiffArgs),
    /// Every word, field and key that a rule may use, with what it means.
    Defs,
    /// Ask a recorded subject in the words of rules, line by line.
    Repl {
        /// The subject, as `enterprise:9132…`.
        #[arg(long)]
        subject: String,
        /// As of when: `2026-03-01` or `2026-03-01 08:30`.
        #[arg(long)]
        at: String,
        /// Where state is.
        #[command(flatten)]
        state: StateArgs,
    },
    /// Serve an editor: diagnostics, quick fixes, hover, completion, tests; over standard input and output.
    Lsp,
}

/// Where rules are.
#[derive(Debug, clap::Args)]
pub struct PathArgs {
    /// A rules directory, or one rule file; without it, the shipped rules.
    pub path: Option<PathBuf>,
}

/// `rule new`
#[derive(Debug, clap::Args)]
pub struct NewArgs {
    /// The rule's id, unique in the rule set: TS-101.
    pub id: String,
    /// Its name, Chinese.
    #[arg(long)]
    pub name: String,
    /// The office that answers for it.
    #[arg(long)]
    pub owner: String,
    /// What it rests on: 《…》第…条.
    #[arg(long)]
    pub basis: String,
    /// The stream that it is judged on.
    #[arg(long, default_value = "complaint")]
    pub on: String,
    /// The line of business: the folder.
    #[arg(long, default_value = "complaint")]
    pub line: String,
    /// The file without its ending; without it, made from the id.
    #[arg(long)]
    pub file: Option<String>,
    /// The rules directory.
    #[arg(long, default_value = "rules")]
    pub dir: PathBuf,
}

/// `rule diff`
#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// The other rules directory.
    pub new: PathBuf,
    /// The rules directory that it is held against; without it, the shipped rules.
    #[arg(long)]
    pub old: Option<PathBuf>,
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
    /// Say which lines and branches of each rule its tests reach, and which they do not.
    #[arg(long)]
    pub coverage: bool,
    /// Fail if the tests of any rule take less than this share of its branches, percent; implies `--coverage`.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub coverage_min: Option<u8>,
    /// Write a JUnit report to this file; `-` for standard output.
    #[arg(long)]
    pub junit: Option<PathBuf>,
}

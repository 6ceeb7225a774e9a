//! The commands and their options, as `clap` reads them.

use crate::runtime::config::defaults;
use crate::runtime::logging::LogFormat;
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// 烽火: risk warnings from streams of complaints, inspections, licences and penalties.
#[derive(Debug, Parser)]
#[command(name = "fenghuo", version, about, propagate_version = true)]
pub struct Args {
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// How logs are written to standard error; `FENGHUO_LOG` filters them.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Json)]
    pub log: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what it does: a small province, generated, read, judged and summed up; needs no server and no configuration.
    Demo(DemoArgs),
    /// Read the sources of a configuration, judge, and deliver.
    Run(RunArgs),
    /// Write rules: check them, run the tests inside them, see why they warn.
    Rule(super::rule::RuleArgs),
    /// Look into durable state, check it, carry it elsewhere.
    #[command(subcommand)]
    State(StateCommand),
    /// Look at warnings.
    #[command(subcommand)]
    Warning(WarningCommand),
    /// Several warnings, sanctions and records tracked as one case (重点事件), and its report.
    #[command(subcommand)]
    KeyEvent(super::key_event::KeyEventCommand),
    /// Make a plausible province, with its dirt and its known bad actors.
    Generate(GenerateArgs),
    /// What is asked of supervision, from the cases in durable state.
    #[command(subcommand)]
    Report(super::report::ReportCommand),
    /// Look at refused records, or try them again.
    Dlq(DlqArgs),
    /// How the national exchange stands, and what waits for a decision.
    Exchange(ExchangeArgs),
    /// Events as Parquet files: fill an archive from sources, look at it, write it out.
    Archive(ArchiveArgs),
    /// Watch a running engine at the terminal: warnings, sources, sinks, rules.
    Top(TopArgs),
    /// Kafka topics that a configuration needs: make and check them.
    #[cfg(feature = "rdkafka")]
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// JSON Schemas of what leaves and the AsyncAPI document of its topics, for systems that read them.
    Contracts(ContractsArgs),
    /// Check the audit log.
    Audit(AuditArgs),
    /// Make a token for the HTTP doors.
    Token(TokenArgs),
}

/// `contracts`
#[derive(Debug, clap::Args)]
pub struct ContractsArgs {
    /// Write them into this directory.
    #[arg(long)]
    pub out: PathBuf,
}

/// `demo`
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Keep records, state and outputs in this directory; without it they go to a temporary one.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Firms.
    #[arg(long, default_value_t = 2_000)]
    pub subjects: u64,
    /// Records.
    #[arg(long, default_value_t = 20_000)]
    pub events: u64,
    /// The same seed gives the same province on every machine.
    #[arg(long, default_value_t = 2026)]
    pub seed: u64,
}

/// `run`
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The configuration; see `fixtures/config.example.toml`.
    #[arg(long)]
    pub config: PathBuf,
    /// Stop when the sources are exhausted.
    #[arg(long)]
    pub until_end: bool,
    /// In a [cluster]: which stages this process takes part in.
    #[arg(long, value_enum, default_value_t = RoleArg::All)]
    pub role: RoleArg,
}

/// `run --role`
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RoleArg {
    /// Read sources and write events.
    Ingest,
    /// Read events and judge.
    Engine,
    /// Both.
    All,
}

/// `topics …`
#[cfg(feature = "rdkafka")]
#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Make those that the sinks write and that are missing.
    Create(TopicsCreateArgs),
    /// Look at all of them; exit code 1 when something is wrong.
    Check {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
    },
}

/// `topics create`
#[cfg(feature = "rdkafka")]
#[derive(Debug, clap::Args)]
pub struct TopicsCreateArgs {
    /// The configuration.
    #[arg(long)]
    pub config: PathBuf,
    /// Say what would be made, make nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Partitions a topic.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    pub partitions: i32,
    /// Copies of each partition.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=9))]
    pub replication: i32,
    /// Days for which messages are kept; without it for good.
    #[arg(long)]
    pub retention_days: Option<u32>,
}

/// Where state is.
#[derive(Debug, Clone, clap::Args)]
pub struct StateArgs {
    /// The state directory.
    #[arg(long, default_value = defaults::STATE)]
    pub state: PathBuf,
}

/// What a verdict is explained from.
#[derive(Debug, Clone, clap::Args)]
pub struct GroundArgs {
    /// Where state is.
    #[command(flatten)]
    pub state: StateArgs,
    /// The archive of events: facts past retention are taken from it.
    #[arg(long)]
    pub archive: Option<PathBuf>,
    /// Judge by this rule set of the state, by its hash or the beginning of it, not by the one in force.
    #[arg(long)]
    pub rule_set: Option<String>,
}

/// `state …`
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// What is known of a subject: `enterprise:9132…`, `region:320100`, `department:…`.
    Show {
        /// The subject.
        subject: String,
        /// Where state is.
        #[command(flatten)]
        state: StateArgs,
    },
    /// Read everything, check every checksum, the sum over all entries, and that it can be recovered.
    Verify {
        /// Where state is.
        #[command(flatten)]
        state: StateArgs,
    },
    /// Write all of it to a file.
    Export {
        /// Where state is.
        #[command(flatten)]
        state: StateArgs,
        /// The file.
        file: PathBuf,
    },
    /// Read it from a file into a new state directory, or into the partitions of a new cluster.
    Import {
        /// Where state is.
        #[command(flatten)]
        state: StateArgs,
        /// The configuration of a cluster that is to go on from it, instead of a state directory.
        #[cfg(feature = "rdkafka")]
        #[arg(long, conflicts_with = "state")]
        config: Option<PathBuf>,
        /// The file.
        file: PathBuf,
    },
    /// In a [cluster]: bring the state of every partition up to its log, from nothing if it was deleted; owns nothing.
    #[cfg(feature = "rdkafka")]
    Rebuild {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
    },
}

/// `warning …`
#[derive(Debug, Subcommand)]
pub enum WarningCommand {
    /// The warnings as they stand, gravest first.
    List(WarningListArgs),
    /// Write one warning anew from the recorded facts, hold it against the stored one, and say how it came about.
    Explain {
        /// Its id, or the beginning of it.
        id: String,
        /// What it is explained from.
        #[command(flatten)]
        ground: GroundArgs,
    },
    /// Do something about a warning, a sanction, or the sanctions of a rule, at the HTTP door of a running engine.
    #[command(flatten)]
    Do(super::dispose::DoCommand),
    /// The course of a warning's disposal or of a sanction: who did what, when and why.
    Case {
        /// The id of a warning or a sanction, or `rule:<id>`.
        id: String,
        /// Where state is.
        #[command(flatten)]
        state: StateArgs,
    },
    /// One warning with its evidence, what the rule saw, its basis.
    Show {
        /// Its id, or the beginning of it.
        id: String,
        /// Where state is.
        #[command(flatten)]
        state: StateArgs,
    },
}

/// `warning list`
#[derive(Debug, clap::Args)]
pub struct WarningListArgs {
    /// Where state is.
    #[command(flatten)]
    pub state: StateArgs,
    /// Only this level: 红, 橙, 黄, 蓝 or P0 to P3.
    #[arg(long)]
    pub level: Option<String>,
    /// Only this city or district, by the beginning of its code: 3201.
    #[arg(long)]
    pub region: Option<String>,
    /// Only this rule.
    #[arg(long)]
    pub rule: Option<String>,
    /// Those that are over as well.
    #[arg(long)]
    pub all: bool,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
}

/// `generate`
#[derive(Debug, clap::Args)]
pub struct GenerateArgs {
    /// Firms.
    #[arg(long)]
    pub subjects: u64,
    /// Records in all feeds together.
    #[arg(long)]
    pub events: u64,
    /// The same seed gives the same bytes on every machine.
    #[arg(long, default_value_t = 2026)]
    pub seed: u64,
    /// Where to write; made if it is not there.
    #[arg(long)]
    pub out: PathBuf,
}

/// `top`
#[derive(Debug, clap::Args)]
pub struct TopArgs {
    /// Where the engine's doors are.
    #[arg(long, default_value = "http://127.0.0.1:9464")]
    pub url: String,
    /// A file with a token of role reader, mode 0600; needed when the engine has tokens.
    #[arg(long)]
    pub token_file: Option<PathBuf>,
    /// Who may vouch for the engine's certificate, PEM; without it the public ones.
    #[arg(long)]
    pub ca: Option<PathBuf>,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub every: u64,
    /// Print once, as plain lines, and end; so it does as well when the output is no terminal.
    #[arg(long)]
    pub once: bool,
}

/// `dlq`
#[derive(Debug, clap::Args)]
pub struct DlqArgs {
    /// What to do with refused records.
    #[command(subcommand)]
    pub command: DlqCommand,
}

/// `dlq …`
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// List refused records with their reasons.
    List {
        /// The file of dead letters.
        #[arg(long, default_value = "out/dead-letters.jsonl")]
        file: PathBuf,
        /// Only this connector.
        #[arg(long)]
        connector: Option<String>,
        /// Only this reason code.
        #[arg(long)]
        code: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Write the records' bytes to files, one a connector, so that a mended connector can read them again.
    Replay {
        /// The file of dead letters.
        #[arg(long, default_value = "out/dead-letters.jsonl")]
        file: PathBuf,
        /// Where to write `<connector>.<n>.jsonl` or `.csv`; a directory source of the same connector picks them up.
        #[arg(long)]
        out: PathBuf,
        /// Connectors to decode with; without it, the shipped ones.
        #[arg(long)]
        connectors: Option<PathBuf>,
        /// Only this connector.
        #[arg(long)]
        connector: Option<String>,
        /// Only say which records would be accepted now.
        #[arg(long)]
        dry_run: bool,
    },
}

/// `exchange`
#[derive(Debug, clap::Args)]
pub struct ExchangeArgs {
    /// The configuration with `[exchange]`.
    #[arg(long, global = true, default_value = "fenghuo.toml")]
    pub config: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: ExchangeCommand,
}

/// `exchange …`
#[derive(Debug, Subcommand)]
pub enum ExchangeCommand {
    /// What waits, what is parked and why, how many receipts there are.
    Status,
    /// Let a subject's messages wait until `retry`.
    Park {
        /// The subject: `enterprise:9132…`.
        subject: String,
        /// Why; shown by `status`.
        #[arg(long)]
        why: String,
    },
    /// Let a parked subject's messages go on, from the one that was refused.
    Retry {
        /// The subject: `enterprise:9132…`.
        subject: String,
    },
    /// Send all that may be sent now, without the engine.
    Send,
    /// Compare our receipts with what the far end holds, by id and by the hash of the bytes.
    Reconcile,
}

/// `archive`
#[derive(Debug, clap::Args)]
pub struct ArchiveArgs {
    /// What to do with the archive.
    #[command(subcommand)]
    pub command: ArchiveCommand,
}

/// `archive …`
#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// Read the sources of a configuration into the archive, without judging.
    Import {
        /// The configuration whose sources are read.
        #[arg(long)]
        config: PathBuf,
        /// The directory of the archive.
        #[arg(long)]
        archive: PathBuf,
    },
    /// Write events as canonical JSON lines.
    Export {
        /// The directory of the archive.
        #[arg(long)]
        archive: PathBuf,
        /// The first day of arrival: `2026-03-01`.
        #[arg(long)]
        from: Option<String>,
        /// The last day of arrival.
        #[arg(long)]
        to: Option<String>,
        /// The file.
        file: PathBuf,
    },
    /// What is in the archive, and which files are damaged.
    Info {
        /// The directory of the archive.
        #[arg(long)]
        archive: PathBuf,
    },
    /// The columns of its files, with types and meanings.
    Columns,
}

/// `audit`
#[derive(Debug, clap::Args)]
pub struct AuditArgs {
    /// What to do with the audit log.
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// `audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check the chain of hashes; names the first entry that was changed.
    Verify {
        /// The log.
        #[arg(long, default_value = defaults::AUDIT)]
        file: PathBuf,
    },
}

/// `token`
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// What to do with tokens.
    #[command(subcommand)]
    pub command: super::token::TokenCommand,
}

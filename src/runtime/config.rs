//! The configuration of `fenghuo run`: from the TOML as written to the values as used, every default and unit once.
//!
//! [`Config::load`] reads the file through [`table::Table`], so each complaint has a line and a column and an unknown key
//! is an error that names the nearest known one. What is checked here needs no other file; whether a connector exists
//! is checked by whoever loads the connectors, with [`table::error_at`] for the place.
//!
//! units    `_ms` milliseconds; `_kb` in the file is KiB, here bytes
//! bounds   at most 256 sources; numbers as in [`defaults`]
//! errors   [`ConfigError`]: the file cannot be read, or `file:line:column: …`

pub mod cluster;
pub mod engine;
pub mod exchange;
pub mod kafka;
pub mod sinks;
pub mod table;

use super::rollout::RulesPlace;
use cluster::{ClusterConfig, cluster};
use engine::engine;
pub use engine::{ClockKind, EngineConfig};
use exchange::{ExchangeConfig, exchange};
use kafka::{KafkaConfig, KafkaSource, kafka};
use sinks::{SinksConfig, sinks};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use table::{Placed, Table, TomlError};

/// What holds when the file is silent.
pub mod defaults {
    /// Where the durable state lies.
    pub const STATE: &str = "state";
    /// Shards of the engine, 1..=4096; fixed once a state exists.
    pub const SHARDS: u64 = 8;
    /// The least and the most bytes of a key for personal columns.
    pub const PERSONAL_KEY_BYTES: (u64, u64) = (32, 4_096);
    /// Records in one durable commit, 1..=100,000. Commits are smaller when fewer records are ready.
    pub const COMMIT_EVENTS_MAX: u64 = 4_096;
    /// Individuals kept ready: about 600 MiB of them. Others take some microseconds more when they are needed: with one in six at
    /// rest a record took 42 µs of processor time, with none 41, and the run a sixth longer.
    pub const WARM_SUBJECTS_MAX: u64 = 500_000;
    /// Whether the others go into a file.
    pub const RESTING_ON_DISK: bool = true;
    /// Facts of which one is judged by one rule in the interpreter as well: with 100 rules, one judgement in ten thousand.
    pub const RULE_CHECK_EVERY: u64 = 100;
    /// How long the end of a run waits for sinks that have not taken everything, s, 0..=3,600; a tenth of it after a signal to stop.
    pub const LAST_DELIVERIES_SECONDS: u64 = 60;
    /// Journal before images of the subjects that changed are written, KiB, 16..=67,108,864.
    pub const CHECKPOINT_JOURNAL_KB: u64 = 65_536;
    /// Where rules lie.
    pub const RULES_DIR: &str = "rules";
    /// Where connectors lie.
    pub const CONNECTORS_DIR: &str = "connectors";
    /// Which files of a directory are read.
    pub const GLOB: &str = "*";
    /// Where the file sink writes.
    pub const OUT_DIR: &str = "out";
    /// How long a webhook may take, ms, 100..=60,000.
    pub const WEBHOOK_TIMEOUT_MS: u64 = 5_000;
    /// How often Alertmanager is told again of an open warning, s, 5..=3,600.
    pub const ALERT_REFRESH_SECONDS: u64 = 60;
    /// Alerts a second to each Alertmanager, 1..=10,000.
    pub const ALERTS_PER_SECOND_MAX: u64 = 50;
    /// Where the doors listen.
    pub const LISTEN: &str = "127.0.0.1:9464";
    /// Where the national exchange keeps what waits, its receipts and decisions.
    pub const EXCHANGE_DIR: &str = "exchange";
    /// GB/T 2260 code of the province.
    pub const PROVINCE: &str = "320000";
    /// When receipts are compared with what the far end holds: 03:00.
    pub const RECONCILE_AT_MS: i64 = 3 * 3_600_000;
    /// Messages in one batch for the national exchange.
    pub const BATCH_ROWS: u64 = 1_000;
    /// Batches for the national exchange are not made more often.
    pub const BATCH_EVERY_SECONDS: u64 = 60;
    /// Requests to the national gateway at the same time, 1..=32.
    pub const EXCHANGE_PARALLEL: u64 = 8;
    /// How long a request to the national gateway may take, ms, 100..=60,000.
    pub const GATEWAY_TIMEOUT_MS: u64 = 10_000;
    /// Where the audit log is written.
    pub const AUDIT: &str = "audit.jsonl";
}

const SOURCES_MAX: usize = 256;

/// The configuration as used. All paths are resolved against the directory of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The engine and its state.
    pub engine: EngineConfig,
    /// Where rules lie.
    pub rules: RulesPlace,
    /// The folder of connectors.
    pub connectors_dir: PathBuf,
    /// Where records come from, in the order of the file; at least one.
    pub sources: Vec<SourceConfig>,
    /// Where warnings go; at least one.
    pub sinks: SinksConfig,
    /// The Kafka cluster; none if there is no `[kafka]`.
    pub kafka: Option<KafkaConfig>,
    /// How this process shares its work with others; none if there is no `[cluster]`.
    pub cluster: Option<ClusterConfig>,
    /// The national exchange; none if there is no `[exchange]`.
    pub exchange: Option<ExchangeConfig>,
    /// The doors; none if there is no `[http]`.
    pub http: Option<HttpConfig>,
    /// The audit log.
    pub audit: PathBuf,
    /// Where events are kept for back-tests; none if there is no `[archive]`.
    pub archive: Option<PathBuf>,
}

/// One `[[source]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// The connector that reads its records.
    pub connector: String,
    /// Where the records are.
    pub kind: SourceKind,
    /// Where `connector` stands in the file, for [`table::error_at`].
    pub connector_at: Range<usize>,
}

/// Where records of a source are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// One file, read to its end.
    File {
        /// The file.
        path: PathBuf,
        /// How it is mixed with other files.
        order: FileOrder,
    },
    /// The files of a directory, by name; files stay where they are, positions are kept in the state.
    Directory {
        /// The directory.
        path: PathBuf,
        /// Which file names; `*` and `?` are wild.
        glob: String,
        /// How they are mixed with other files.
        order: FileOrder,
    },
    /// Standard input, until it ends.
    Stdin,
    /// `POST /api/v1/events/<connector>`.
    Http,
    /// A Kafka topic.
    Kafka(KafkaSource),
}

/// How records of several files are mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOrder {
    /// Merged by event time with the other files of this order, as if they had arrived when they happened.
    EventTime,
    /// One file after the other, as listed.
    Listed,
}

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The token file.
    pub tokens: Option<PathBuf>,
    /// Certificate and key.
    pub tls: Option<TlsConfig>,
}

/// The PEM files of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The chain, the server's own certificate first.
    pub cert: PathBuf,
    /// The private key, mode 0600.
    pub key: PathBuf,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration \"{}\" cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error(transparent)]
    Content(#[from] TomlError),
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let dir = path.parent().unwrap_or_else(|| Path::new(""));
        Ok(Self::parse(&path.display().to_string(), &text, dir)?)
    }

    /// Checks a text; `name` is what messages call it, `dir` is where relative paths start.
    pub fn parse(name: &str, text: &str, dir: &Path) -> Result<Self, TomlError> {
        let mut file = Table::parse(name, text)?;
        let engine = engine(&mut file, dir)?;
        let rules = rules(&mut file, dir)?;
        let connectors_dir = one_path(
            &mut file,
            "connectors",
            "dir",
            dir,
            defaults::CONNECTORS_DIR,
        )?;
        let http = http(&mut file, dir)?;
        let kafka = kafka(&mut file, dir)?;
        let sources = sources(&mut file, dir, (http.is_some(), kafka.is_some()))?;
        let sinks = sinks(&mut file, dir)?;
        if sinks.kafka.is_some() && kafka.is_none() {
            return Err(file.error(&file.at(), "[sinks.kafka] needs [kafka] with its brokers"));
        }
        let cluster = cluster(&mut file, sinks.kafka.is_some())?;
        let exchange = exchange(&mut file, dir)?;
        let audit = one_path(&mut file, "audit", "path", dir, defaults::AUDIT)?;
        let archive = sinks::archive(&mut file, dir)?;
        file.finish()?;
        Ok(Self {
            engine,
            rules,
            connectors_dir,
            sources,
            sinks,
            kafka,
            cluster,
            exchange,
            http,
            audit,
            archive,
        })
    }
}

fn rules(file: &mut Table<'_>, dir: &Path) -> Result<RulesPlace, TomlError> {
    let Some(mut table) = file.table("rules")? else {
        return Ok(RulesPlace {
            is_watched: true,
            ..RulesPlace::directory(dir.join(defaults::RULES_DIR))
        });
    };
    let at = table.at();
    let bundle = path(&mut table, "bundle", dir)?;
    let place = path(&mut table, "dir", dir)?;
    if bundle.is_some() && place.is_some() {
        let message = "rules.dir and rules.bundle are both set; rules come from one of them";
        return Err(table.error(&at, message));
    }
    let signers = path(&mut table, "signers", dir)?;
    if signers.is_some() && bundle.is_none() {
        let message = "rules.signers needs rules.bundle: a folder cannot be signed; make a bundle with `fenghuo rule bundle`";
        return Err(table.error(&at, message));
    }
    let is_watched = table.flag("watch", true)?;
    table.finish()?;
    Ok(RulesPlace {
        dir: place.unwrap_or_else(|| dir.join(defaults::RULES_DIR)),
        bundle,
        signers,
        is_watched,
    })
}

fn sources(
    file: &mut Table<'_>,
    dir: &Path,
    (has_http, has_kafka): (bool, bool),
) -> Result<Vec<SourceConfig>, TomlError> {
    let tables = file.tables("source")?;
    if tables.is_empty() {
        return Err(file.missing("source"));
    }
    let mut seen = BTreeSet::new();
    let mut sources = Vec::with_capacity(tables.len());
    for mut table in tables {
        let at = table.at();
        let source = source(&mut table, dir)?;
        let same = match &source.kind {
            SourceKind::File { path, .. } | SourceKind::Directory { path, .. } => {
                path.display().to_string()
            }
            SourceKind::Stdin => "standard input".to_owned(),
            SourceKind::Http => format!("http {}", source.connector),
            SourceKind::Kafka(source) => format!("topic {}", source.topic),
        };
        if matches!(source.kind, SourceKind::Kafka(_)) && !has_kafka {
            let what = "a source of kind \"kafka\" needs [kafka] with its brokers";
            return Err(table.error(&at, what));
        }
        if source.kind == SourceKind::Http && !has_http {
            return Err(table.error(
                &at,
                "a source of kind \"http\" needs [http]; add it or choose another kind",
            ));
        }
        if !seen.insert(same.clone()) {
            let what = "; each place is read by one source";
            return Err(table.error(&at, format!("\"{same}\" is already a source{what}")));
        }
        if sources.len() == SOURCES_MAX {
            return Err(table.error(&at, format!("more than {SOURCES_MAX} sources")));
        }
        table.finish()?;
        sources.push(source);
    }
    Ok(sources)
}

#[derive(Clone, Copy)]
enum KindWord {
    File,
    Directory,
    Stdin,
    Http,
    Kafka,
}

fn source(table: &mut Table<'_>, dir: &Path) -> Result<SourceConfig, TomlError> {
    let kinds = [
        ("file", KindWord::File),
        ("directory", KindWord::Directory),
        ("stdin", KindWord::Stdin),
        ("http", KindWord::Http),
        ("kafka", KindWord::Kafka),
    ];
    let Some(kind) = table.optional_choice("kind", &kinds)? else {
        return Err(table.missing("kind"));
    };
    let connector = table.need_text("connector")?;
    let kind = match kind {
        KindWord::File => SourceKind::File {
            path: need_path(table, "path", dir)?,
            order: order(table)?,
        },
        KindWord::Directory => SourceKind::Directory {
            path: need_path(table, "path", dir)?,
            glob: glob(table)?,
            order: order(table)?,
        },
        KindWord::Stdin => SourceKind::Stdin,
        KindWord::Http => SourceKind::Http,
        KindWord::Kafka => SourceKind::Kafka(kafka::source(table)?),
    };
    Ok(SourceConfig {
        connector: connector.value,
        kind,
        connector_at: connector.at,
    })
}

fn order(table: &mut Table<'_>) -> Result<FileOrder, TomlError> {
    let orders = [
        ("event-time", FileOrder::EventTime),
        ("listed", FileOrder::Listed),
    ];
    table.choice("order", &orders, FileOrder::EventTime)
}

fn glob(table: &mut Table<'_>) -> Result<String, TomlError> {
    let Some(glob) = table.text("glob")? else {
        return Ok(defaults::GLOB.to_owned());
    };
    if glob.value.contains(['/', '\\', '[', '{']) {
        let what =
            "expected a file name in which `*` and `?` are wild; put directories into \"path\"";
        return Err(table.error(&glob.at, format!("\"glob\" is \"{}\"; {what}", glob.value)));
    }
    Ok(glob.value)
}

fn http(file: &mut Table<'_>, dir: &Path) -> Result<Option<HttpConfig>, TomlError> {
    let Some(mut table) = file.table("http")? else {
        return Ok(None);
    };
    let listen = table.text("listen")?.unwrap_or_else(|| Placed {
        value: defaults::LISTEN.to_owned(),
        at: table.at(),
    });
    let Ok(address) = listen.value.parse::<SocketAddr>() else {
        let what = "expected an address and a port like \"127.0.0.1:9464\"";
        return Err(table.error(
            &listen.at,
            format!("\"listen\" is \"{}\"; {what}", listen.value),
        ));
    };
    let tokens = path(&mut table, "tokens", dir)?;
    let cert = path(&mut table, "tls_cert", dir)?;
    let key = path(&mut table, "tls_key", dir)?;
    let tls = match (cert, key) {
        (Some(cert), Some(key)) => Some(TlsConfig { cert, key }),
        (None, None) => None,
        (Some(_), None) => return Err(table.error(&table.at(), "\"tls_cert\" needs \"tls_key\"")),
        (None, Some(_)) => return Err(table.error(&table.at(), "\"tls_key\" needs \"tls_cert\"")),
    };
    let config = HttpConfig {
        listen: address,
        tokens,
        tls,
    };
    if let Some(message) = config.exposed() {
        return Err(table.error(&listen.at, message));
    }
    table.finish()?;
    Ok(Some(config))
}

impl HttpConfig {
    /// Why these doors must not open: other machines could reach them, and something that guards them is missing.
    pub fn exposed(&self) -> Option<String> {
        let missing = match (&self.tokens, &self.tls) {
            (Some(_), Some(_)) => return None,
            (None, Some(_)) => "http.tokens is",
            (Some(_), None) => "http.tls_cert with http.tls_key is",
            (None, None) => "http.tokens and http.tls_cert with http.tls_key are",
        };
        if self.listen.ip().is_loopback() {
            return None;
        }
        Some(format!(
            "http.listen \"{}\" can be reached from other machines, but {missing} not set; set both, or listen on 127.0.0.1",
            self.listen
        ))
    }
}

fn one_path(
    file: &mut Table<'_>,
    section: &'static str,
    key: &'static str,
    dir: &Path,
    default: &str,
) -> Result<PathBuf, TomlError> {
    let Some(mut table) = file.table(section)? else {
        return Ok(dir.join(default));
    };
    let found = path(&mut table, key, dir)?;
    table.finish()?;
    Ok(found.unwrap_or_else(|| dir.join(default)))
}

fn path(
    table: &mut Table<'_>,
    key: &'static str,
    dir: &Path,
) -> Result<Option<PathBuf>, TomlError> {
    Ok(table.text(key)?.map(|text| dir.join(text.value)))
}

fn need_path(table: &mut Table<'_>, key: &'static str, dir: &Path) -> Result<PathBuf, TomlError> {
    Ok(dir.join(table.need_text(key)?.value))
}

/// A number whose bounds were checked, as the type that is used.
fn small<T: TryFrom<u64> + Default>(number: u64) -> T {
    T::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests;

//! `[kafka]`, a `[[source]]` of kind `kafka`, and `[sinks.kafka]`: which cluster, which topics, how they are read.
//!
//! Secrets never stand in the file: a password comes from a file of its owner or from the environment.
//!
//! units    `rate_max` records a second
//! errors   a source or sink without `[kafka]`, a password in two places or none, TLS files without TLS

use super::table::{Table, TomlError};
use super::{FileOrder, path};
use std::path::{Path, PathBuf};

/// `[kafka]`: where the cluster is and how it is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port,host:port`.
    pub brokers: String,
    /// Whether the way is encrypted.
    pub is_tls: bool,
    /// Who we are, when the cluster asks.
    pub sasl: Option<SaslConfig>,
    /// PEM file of the authorities to trust; without it those of the system.
    pub ca: Option<PathBuf>,
    /// PEM files of our certificate and its key, for mutual TLS.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Name and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslConfig {
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: &'static str,
    /// The name.
    pub user: String,
    /// Where the password is.
    pub password: PasswordPlace,
}

/// Where a password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordPlace {
    /// In a file that only its owner may read.
    File(PathBuf),
    /// In a variable of the environment.
    Environment(String),
}

/// A `[[source]]` of kind `kafka`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSource {
    /// The topic; all of its partitions are read.
    pub topic: String,
    /// What stands around a record.
    pub envelope: Envelope,
    /// Where reading begins when nothing was read yet.
    pub is_from_latest: bool,
    /// What to do when the topic no longer holds what was not read yet: stop, or go on with what is left.
    pub goes_on_when_expired: bool,
    /// Records a second at most; none: as fast as it goes.
    pub rate_max: Option<u64>,
    /// How its partitions are mixed with each other and with other sources.
    pub order: FileOrder,
}

/// What stands around a record in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// Nothing: the message is the record.
    None,
    /// A zero byte and four bytes of schema number, then JSON, as Confluent's registry clients write it.
    Confluent,
    /// A Debezium change event, with or without the schema of Kafka Connect around it.
    Debezium,
    /// A Canal flat message: one or more changed rows.
    Canal,
    /// A CloudEvent, binary or structured.
    CloudEvents,
}

/// `[sinks.kafka]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSinkConfig {
    /// Stands before the names of the topics.
    pub prefix: String,
}

pub(super) fn kafka(file: &mut Table<'_>, dir: &Path) -> Result<Option<KafkaConfig>, TomlError> {
    let Some(mut table) = file.table("kafka")? else {
        return Ok(None);
    };
    let brokers = table.need_text("brokers")?.value;
    let ways = [
        ("plaintext", (false, false)),
        ("tls", (true, false)),
        ("sasl-plaintext", (false, true)),
        ("sasl-tls", (true, true)),
    ];
    let (is_tls, is_sasl) = table.choice("security", &ways, (false, false))?;
    let sasl = if is_sasl {
        Some(sasl(&mut table, dir)?)
    } else {
        None
    };
    let (ca, cert, key) = if is_tls {
        (
            path(&mut table, "tls_ca", dir)?,
            path(&mut table, "tls_cert", dir)?,
            path(&mut table, "tls_key", dir)?,
        )
    } else {
        (None, None, None)
    };
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => return Err(table.error(&table.at(), "\"tls_cert\" and \"tls_key\" need each other")),
    };
    table.finish()?;
    Ok(Some(KafkaConfig {
        brokers,
        is_tls,
        sasl,
        ca,
        identity,
    }))
}

fn sasl(table: &mut Table<'_>, dir: &Path) -> Result<SaslConfig, TomlError> {
    let mechanisms = [
        ("PLAIN", "PLAIN"),
        ("SCRAM-SHA-256", "SCRAM-SHA-256"),
        ("SCRAM-SHA-512", "SCRAM-SHA-512"),
    ];
    let mechanism = table.choice("sasl_mechanism", &mechanisms, "SCRAM-SHA-512")?;
    let user = table.need_text("sasl_user")?.value;
    let file = path(table, "sasl_password_file", dir)?;
    let variable = table.text("sasl_password_env")?;
    let password = match (file, variable) {
        (Some(file), None) => PasswordPlace::File(file),
        (None, Some(variable)) => PasswordPlace::Environment(variable.value),
        _ => {
            let what = "one of \"sasl_password_file\" and \"sasl_password_env\" has to be set; a password in this file would be read by everyone who reads it";
            return Err(table.error(&table.at(), what));
        }
    };
    Ok(SaslConfig {
        mechanism,
        user,
        password,
    })
}

pub(super) fn source(table: &mut Table<'_>) -> Result<KafkaSource, TomlError> {
    let topic = table.need_text("topic")?;
    if !is_topic(&topic.value) {
        let what = "a topic's name has 1 to 249 of a-z, A-Z, 0-9, \".\", \"_\" and \"-\"";
        return Err(table.error(
            &topic.at,
            format!("\"topic\" is \"{}\"; {what}", topic.value),
        ));
    }
    let envelopes = [
        ("none", Envelope::None),
        ("confluent", Envelope::Confluent),
        ("debezium", Envelope::Debezium),
        ("canal", Envelope::Canal),
        ("cloudevents", Envelope::CloudEvents),
    ];
    let orders = [
        ("event-time", FileOrder::EventTime),
        ("as-they-come", FileOrder::Listed),
    ];
    let rate_max = table.integer("rate_max", 0, 0..=100_000_000)?;
    Ok(KafkaSource {
        topic: topic.value,
        envelope: table.choice("envelope", &envelopes, Envelope::None)?,
        is_from_latest: table.choice("from", &[("earliest", false), ("latest", true)], false)?,
        goes_on_when_expired: table.choice(
            "when_expired",
            &[("stop", false), ("go-on", true)],
            false,
        )?,
        rate_max: (rate_max != 0).then_some(rate_max),
        order: table.choice("order", &orders, FileOrder::EventTime)?,
    })
}

pub(super) fn sink(sink: &mut Table<'_>) -> Result<KafkaSinkConfig, TomlError> {
    let Some(prefix) = sink.text("prefix")? else {
        return Ok(KafkaSinkConfig {
            prefix: String::new(),
        });
    };
    if !is_topic(&prefix.value) || 200 < prefix.value.len() {
        let what = "it begins topic names: at most 200 of a-z, A-Z, 0-9, \".\", \"_\" and \"-\"";
        return Err(sink.error(
            &prefix.at,
            format!("\"prefix\" is \"{}\"; {what}", prefix.value),
        ));
    }
    Ok(KafkaSinkConfig {
        prefix: prefix.value,
    })
}

pub(super) fn is_topic(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty()
        && name.len() <= 249
        && name != "."
        && name != ".."
        && name.bytes().all(is_plain)
}

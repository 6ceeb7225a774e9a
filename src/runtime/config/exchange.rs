//! `[exchange]`: the way to the national exchange.

use super::sinks::check_url;
use super::table::{Table, TomlError};
use super::{defaults, need_path, path, small};
use crate::runtime::exchange::batch::{BatchConfig, Form, SIGNER};
use crate::runtime::exchange::database::DatabaseConfig;
use crate::runtime::exchange::gateway::{GatewayConfig, SecretFrom};
use crate::runtime::exchange::sign::Algorithm;
use crate::runtime::sink::OutputKind;
use std::path::{Path, PathBuf};

/// `[exchange]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeConfig {
    /// Its own store, decisions, status.
    pub dir: PathBuf,
    /// GB/T 2260 code of the province.
    pub province: String,
    /// Requests at the same time.
    pub parallel: usize,
    /// What is sent.
    pub sends: Vec<OutputKind>,
    /// The time of the day, ms, at which receipts are compared with what the far end holds; none: only by command.
    pub reconcile_at_ms: Option<i64>,
    /// The way to the far end.
    pub way: Way,
}

/// The way to the far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Signed HTTPS.
    Gateway(GatewayConfig),
    /// Signed files in a directory.
    Batch(BatchConfig),
    /// Tables of a front-end database.
    Database(DatabaseConfig),
}

pub(super) fn exchange(
    file: &mut Table<'_>,
    dir: &Path,
) -> Result<Option<ExchangeConfig>, TomlError> {
    let Some(mut table) = file.table("exchange")? else {
        return Ok(None);
    };
    let own = path(&mut table, "dir", dir)?.unwrap_or_else(|| dir.join(defaults::EXCHANGE_DIR));
    let province = match table.text("province")? {
        None => defaults::PROVINCE.to_owned(),
        Some(code) if code.value.len() == 6 && code.value.bytes().all(|b| b.is_ascii_digit()) => {
            code.value
        }
        Some(code) => {
            let what = "expected six digits of GB/T 2260 like \"320000\"";
            return Err(table.error(
                &code.at,
                format!("\"province\" is \"{}\"; {what}", code.value),
            ));
        }
    };
    let parallel = small(table.integer("parallel", defaults::EXCHANGE_PARALLEL, 1..=32)?);
    let sends = sends(&mut table)?;
    let reconcile_at_ms = reconcile_at(&mut table)?;
    let way = way(&mut table, dir, &province)?;
    table.finish()?;
    Ok(Some(ExchangeConfig {
        dir: own,
        province,
        parallel,
        sends,
        reconcile_at_ms,
        way,
    }))
}

fn sends(table: &mut Table<'_>) -> Result<Vec<OutputKind>, TomlError> {
    let usual = [OutputKind::Warning, OutputKind::Task, OutputKind::Measure];
    let Some(words) = table.texts("sends")? else {
        return Ok(usual.to_vec());
    };
    let one = |word: super::table::Placed<String>| {
        let known = usual.into_iter().chain([OutputKind::Record]);
        let found = known.into_iter().find(|kind| kind.name() == word.value);
        found.ok_or_else(|| {
            let what = "expected \"warning\", \"task\", \"measure\" or \"record\"";
            table.error(
                &word.at,
                format!("\"sends\" has \"{}\"; {what}", word.value),
            )
        })
    };
    words.into_iter().map(one).collect()
}

fn reconcile_at(table: &mut Table<'_>) -> Result<Option<i64>, TomlError> {
    let Some(text) = table.text("reconcile_at")? else {
        return Ok(Some(defaults::RECONCILE_AT_MS));
    };
    if text.value == "never" {
        return Ok(None);
    }
    let parts = text.value.split_once(':');
    let number = |digits: &str, below: i64| {
        let is_plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        digits
            .parse::<i64>()
            .ok()
            .filter(|n| is_plain && *n < below)
    };
    let at = parts.and_then(|(h, m)| Some(number(h, 24)? * 60 + number(m, 60)?));
    at.map(|minutes| Some(minutes * 60_000)).ok_or_else(|| {
        let what = "expected a time of the day like \"03:00\", or \"never\"";
        table.error(
            &text.at,
            format!("\"reconcile_at\" is \"{}\"; {what}", text.value),
        )
    })
}

fn way(table: &mut Table<'_>, dir: &Path, province: &str) -> Result<Way, TomlError> {
    let mut ways = Vec::new();
    if let Some(mut sub) = table.table("gateway")? {
        ways.push(Way::Gateway(gateway(&mut sub, dir)?));
        sub.finish()?;
    }
    if let Some(mut sub) = table.table("batch")? {
        ways.push(Way::Batch(batch(&mut sub, dir, province)?));
        sub.finish()?;
    }
    if let Some(mut sub) = table.table("database")? {
        ways.push(Way::Database(database(&mut sub, dir, province)?));
        sub.finish()?;
    }
    let what = "needs exactly one of \"gateway\", \"batch\" and \"database\"";
    match (ways.pop(), ways.is_empty()) {
        (Some(way), true) => Ok(way),
        (None, _) | (_, false) => Err(table.error(&table.at(), format!("[exchange] {what}"))),
    }
}

fn source(table: &mut Table<'_>, province: &str) -> Result<String, TomlError> {
    let source = table.text("source")?;
    Ok(source.map_or_else(|| province.to_owned(), |source| source.value))
}

fn batch(table: &mut Table<'_>, dir: &Path, province: &str) -> Result<BatchConfig, TomlError> {
    let forms = [("csv", Form::Csv), ("jsonl", Form::Jsonl)];
    let every = table.integer("every_seconds", defaults::BATCH_EVERY_SECONDS, 0..=86_400)?;
    Ok(BatchConfig {
        out: need_path(table, "out", dir)?,
        source: source(table, province)?,
        form: table.choice("format", &forms, Form::Csv)?,
        key: need_path(table, "key_file", dir)?,
        signer: table
            .text("signer_id")?
            .map_or_else(|| SIGNER.to_owned(), |id| id.value),
        rows_max: small(table.integer("rows_max", defaults::BATCH_ROWS, 1..=10_000)?),
        every_ms: i64::try_from(every).unwrap_or(0) * 1_000,
        held: path(table, "held_file", dir)?,
    })
}

fn database(
    table: &mut Table<'_>,
    dir: &Path,
    province: &str,
) -> Result<DatabaseConfig, TomlError> {
    let host = table.text("host")?;
    if let Some(host) = &host
        && !matches!(host.value.as_str(), "127.0.0.1" | "::1" | "localhost")
        && !host.value.starts_with('/')
    {
        let what = "the connection is not encrypted, so it has to be this machine (\"127.0.0.1\", or the directory of a socket); \
                    reach another one through a tunnel";
        return Err(table.error(&host.at, format!("\"host\" is \"{}\"; {what}", host.value)));
    }
    let name = table.need_text("table")?;
    let is_name = |part: &str| {
        !part.is_empty()
            && part.len() < 64
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if !name.value.split('.').all(is_name) || 2 < name.value.split('.').count() {
        let what = "expected small letters, digits and _ with at most one schema before, like \"jgxt.fxyj_out\"";
        return Err(table.error(&name.at, format!("\"table\" is \"{}\"; {what}", name.value)));
    }
    Ok(DatabaseConfig {
        host: host.map_or_else(|| "127.0.0.1".to_owned(), |host| host.value),
        port: u16::try_from(table.integer("port", 5_432, 1..=65_535)?).unwrap_or(5_432),
        database: table.need_text("database")?.value,
        user: table.need_text("user")?.value,
        password: path(table, "password_file", dir)?,
        table: name.value,
        source: source(table, province)?,
        rows_max: small(table.integer("rows_max", defaults::BATCH_ROWS, 1..=10_000)?),
        timeout_ms: table.integer("timeout_ms", defaults::GATEWAY_TIMEOUT_MS, 100..=60_000)?,
    })
}

fn gateway(table: &mut Table<'_>, dir: &Path) -> Result<GatewayConfig, TomlError> {
    let url = table.need_text("url")?;
    check_url(table, &url)?;
    let algorithms = [
        ("hmac-sha256", Algorithm::Sha256),
        ("hmac-sm3", Algorithm::Sm3),
    ];
    let secret = match (path(table, "secret_file", dir)?, table.text("secret_url")?) {
        (Some(file), None) => SecretFrom::File(file),
        (None, Some(refresh)) => {
            check_url(table, &refresh)?;
            SecretFrom::Refresh {
                url: refresh.value,
                app_key: need_path(table, "app_key_file", dir)?,
            }
        }
        (Some(_), Some(_)) => {
            return Err(table.error(
                &table.at(),
                "\"secret_file\" and \"secret_url\" exclude each other; keep one",
            ));
        }
        (None, None) => return Err(table.missing("secret_file")),
    };
    let client = match (path(table, "tls_cert", dir)?, path(table, "tls_key", dir)?) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) => return Err(table.error(&table.at(), "\"tls_cert\" needs \"tls_key\"")),
        (None, Some(_)) => return Err(table.error(&table.at(), "\"tls_key\" needs \"tls_cert\"")),
    };
    Ok(GatewayConfig {
        url: url.value,
        rid: table.need_text("rid")?.value,
        sid: table.need_text("sid")?.value,
        algorithm: table.choice("algorithm", &algorithms, Algorithm::Sha256)?,
        secret,
        client,
        ca: path(table, "ca", dir)?,
        timeout_ms: table.integer("timeout_ms", defaults::GATEWAY_TIMEOUT_MS, 100..=60_000)?,
    })
}

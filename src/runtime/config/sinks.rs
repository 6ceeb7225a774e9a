//! `[sinks.*]`: where warnings go. A configuration without any sink is refused, because warnings would reach nobody.

use super::table::{Placed, Table, TomlError};
use super::{defaults, path};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// `[sinks.*]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinksConfig {
    /// The directory of the file sink.
    pub file: Option<PathBuf>,
    /// Whether warnings go to standard output.
    pub stdout: bool,
    /// A webhook.
    pub webhook: Option<WebhookConfig>,
}

/// `[sinks.webhook]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// `https://…`, or `http://` on this machine.
    pub url: String,
    /// A file with a bearer token.
    pub token_file: Option<PathBuf>,
    /// How long a delivery may take.
    pub timeout_ms: u64,
}

pub(super) fn sinks(file: &mut Table<'_>, dir: &Path) -> Result<SinksConfig, TomlError> {
    let Some(mut table) = file.table("sinks")? else {
        return Err(file.missing("sinks"));
    };
    let mut config = SinksConfig::default();
    if let Some(mut sink) = table.table("file")? {
        config.file =
            Some(path(&mut sink, "dir", dir)?.unwrap_or_else(|| dir.join(defaults::OUT_DIR)));
        sink.finish()?;
    }
    if let Some(sink) = table.table("stdout")? {
        config.stdout = true;
        sink.finish()?;
    }
    if let Some(mut sink) = table.table("webhook")? {
        let url = sink.need_text("url")?;
        check_url(&sink, &url)?;
        config.webhook = Some(WebhookConfig {
            url: url.value,
            token_file: path(&mut sink, "token_file", dir)?,
            timeout_ms: sink.integer("timeout_ms", defaults::WEBHOOK_TIMEOUT_MS, 100..=60_000)?,
        });
        sink.finish()?;
    }
    if config == SinksConfig::default() && table.is_empty() {
        let what = "no sink: warnings would reach nobody; add [sinks.file], [sinks.stdout] or [sinks.webhook]";
        return Err(table.error(&table.at(), what));
    }
    table.finish()?;
    Ok(config)
}

pub(super) fn check_url(table: &Table<'_>, url: &Placed<String>) -> Result<(), TomlError> {
    if url.value.starts_with("https://") {
        return Ok(());
    }
    let host = url.value.strip_prefix("http://").map(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        let port = authority
            .rfind(':')
            .filter(|at| !authority.ends_with(']') && 0 < *at);
        authority
            .get(..port.unwrap_or(authority.len()))
            .unwrap_or("")
    });
    let local = host.is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    if local {
        return Ok(());
    }
    let what = "expected https://…, or http:// on this machine";
    Err(table.error(&url.at, format!("\"url\" is \"{}\"; {what}", url.value)))
}

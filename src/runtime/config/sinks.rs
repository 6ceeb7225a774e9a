//! `[sinks.*]`: where warnings go. A configuration without any sink is refused, because warnings would reach nobody.

use super::kafka::{KafkaSinkConfig, sink as kafka_sink};
use super::table::{Placed, Table, TomlError};
use super::{defaults, need_path, path};
use crate::engine::remark::Asked;
use crate::engine::subject::view::Level;
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
    /// Topics.
    pub kafka: Option<KafkaSinkConfig>,
    /// Alertmanagers that are told of open warnings.
    pub alertmanager: Option<AlertmanagerConfig>,
    /// What is told beside warnings, cases and dead letters.
    pub asked: Asked,
}

/// `[sinks.alertmanager]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertmanagerConfig {
    /// `https://…`, or `http://` on this machine; each is told everything, as a cluster wants it.
    pub urls: Vec<String>,
    /// A file with a bearer token.
    pub token_file: Option<PathBuf>,
    /// An address for people, with `{subject}` in it.
    pub link: Option<String>,
    /// The least level that is told.
    pub level_min: Level,
    /// How often an open warning is told again, s.
    pub refresh_seconds: u64,
    /// The most alerts a second to each.
    pub alerts_per_second_max: u64,
    /// How long a request may take.
    pub timeout_ms: u64,
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

/// `[archive]`: where events are kept for back-tests.
pub(super) fn archive(file: &mut Table<'_>, dir: &Path) -> Result<Option<PathBuf>, TomlError> {
    let Some(mut table) = file.table("archive")? else {
        return Ok(None);
    };
    let at = need_path(&mut table, "dir", dir)?;
    table.finish()?;
    Ok(Some(at))
}

pub(super) fn sinks(file: &mut Table<'_>, dir: &Path) -> Result<SinksConfig, TomlError> {
    let Some(mut table) = file.table("sinks")? else {
        return Err(file.missing("sinks"));
    };
    let mut config = SinksConfig::default();
    let asked = Asked {
        decisions: table.flag("decisions", false)?,
        risks: table.flag("subject_risks", false)?,
    };
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
    if let Some(mut sink) = table.table("kafka")? {
        config.kafka = Some(kafka_sink(&mut sink)?);
        sink.finish()?;
    }
    if let Some(mut sink) = table.table("alertmanager")? {
        config.alertmanager = Some(alertmanager(&mut sink, dir)?);
        sink.finish()?;
        let is_alone = config.file.is_none()
            && !config.stdout
            && config.webhook.is_none()
            && config.kafka.is_none();
        if is_alone && table.is_empty() {
            let what = "Alertmanager only shows what is open: sanction proposals and dead letters would reach nobody; \
                        add [sinks.file], [sinks.stdout], [sinks.webhook] or [sinks.kafka]";
            return Err(table.error(&table.at(), what));
        }
    }
    if config == SinksConfig::default() && table.is_empty() {
        let what = "no sink: warnings would reach nobody; add [sinks.file], [sinks.stdout], [sinks.webhook] or [sinks.kafka]";
        return Err(table.error(&table.at(), what));
    }
    table.finish()?;
    config.asked = asked;
    Ok(config)
}

fn alertmanager(sink: &mut Table<'_>, dir: &Path) -> Result<AlertmanagerConfig, TomlError> {
    let urls = sink.texts("urls")?.ok_or_else(|| sink.missing("urls"))?;
    if urls.is_empty() {
        return Err(sink.error(
            &sink.at(),
            "\"urls\" is empty; name one Alertmanager or more",
        ));
    }
    for url in &urls {
        check_url(sink, url)?;
    }
    let link = sink.text("link")?;
    if let Some(link) = &link
        && !link.value.contains("{subject}")
    {
        let what = "expected {subject} in it, for example \"https://grafana.example/d/fenghuo-subject?var-subject={subject}\"";
        return Err(sink.error(&link.at, format!("\"link\" is \"{}\"; {what}", link.value)));
    }
    let levels = Level::ALL.map(|level| (level.title(), level));
    Ok(AlertmanagerConfig {
        urls: urls.into_iter().map(|url| url.value).collect(),
        token_file: path(sink, "token_file", dir)?,
        link: link.map(|link| link.value),
        level_min: sink.choice("level_min", &levels, Level::Blue)?,
        refresh_seconds: sink.integer(
            "refresh_seconds",
            defaults::ALERT_REFRESH_SECONDS,
            5..=3_600,
        )?,
        alerts_per_second_max: sink.integer(
            "alerts_per_second_max",
            defaults::ALERTS_PER_SECOND_MAX,
            1..=10_000,
        )?,
        timeout_ms: sink.integer("timeout_ms", defaults::WEBHOOK_TIMEOUT_MS, 100..=60_000)?,
    })
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

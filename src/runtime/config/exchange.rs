//! `[exchange]`: the way to the national exchange.

use super::sinks::check_url;
use super::table::{Table, TomlError};
use super::{defaults, need_path, path, small};
use crate::runtime::exchange::gateway::{GatewayConfig, SecretFrom};
use crate::runtime::exchange::sign::Algorithm;
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
    /// The signed HTTPS way.
    pub gateway: GatewayConfig,
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
    let Some(mut sub) = table.table("gateway")? else {
        return Err(table.missing("gateway"));
    };
    let gateway = gateway(&mut sub, dir)?;
    sub.finish()?;
    table.finish()?;
    Ok(Some(ExchangeConfig {
        dir: own,
        province,
        parallel,
        gateway,
    }))
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

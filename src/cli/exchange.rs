//! `fenghuo exchange …`: how the national exchange stands, and what a person decides on a lane.
//!
//! The store belongs to the running engine. While one runs, `status` shows what it last wrote down (a second ago at most)
//! and `park` and `retry` leave a decision that it carries out within a second; `send` and `reconcile` need it stopped.

use super::args::{ExchangeArgs, ExchangeCommand, Format};
use super::{CliError, Ending, say, say_json};
use crate::runtime::assembly::exchange_of;
use crate::runtime::clock::Clock;
use crate::runtime::config::Config;
use crate::runtime::config::exchange::ExchangeConfig;
use crate::runtime::exchange::ExchangeError;
use crate::runtime::exchange::desk::Standing;
use crate::runtime::exchange::orders::{self, Order};
use crate::runtime::exchange::worker::Exchange;
use crate::runtime::store::StoreError;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// `exchange`
pub(super) fn exchange(args: &ExchangeArgs, format: Format) -> Result<Ending, CliError> {
    let config = Config::load(&args.config)?;
    let Some(config) = config.exchange else {
        let what = format!("\"{}\" has no [exchange]", args.config.display());
        return Err(CliError::Usage(what));
    };
    match &args.command {
        ExchangeCommand::Status => status(&config, format),
        ExchangeCommand::Park { subject, why } => decide(&config, subject, Some(why)),
        ExchangeCommand::Retry { subject } => decide(&config, subject, None),
        ExchangeCommand::Send => send(&config, format),
        ExchangeCommand::Reconcile => compare(&config, format),
    }
}

/// The exchange, or nothing while a running engine has it.
fn open(config: &ExchangeConfig) -> Result<Option<Exchange>, CliError> {
    match exchange_of(config, &Clock::System) {
        Ok(exchange) => Ok(Some(exchange)),
        Err(ExchangeError::Store(StoreError::Locked { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn status(config: &ExchangeConfig, format: Format) -> Result<Ending, CliError> {
    let standing: Standing = if let Some(exchange) = open(config)? {
        exchange.standing()
    } else {
        written(&config.dir.join("status.json"))?
    };
    show(&standing, format);
    Ok(if standing.parked.is_empty() {
        Ending::Fine
    } else {
        Ending::Finding
    })
}

/// What the running engine last wrote down.
fn written(path: &Path) -> Result<Standing, CliError> {
    let fault = |error: &dyn std::fmt::Display| {
        ExchangeError::Setting(format!(
            "the engine is running, but what it writes down cannot be read: \"{}\": {error}; ask again in a second",
            path.display()
        ))
    };
    let bytes = std::fs::read(path).map_err(|error| fault(&error))?;
    Ok(serde_json::from_slice(&bytes).map_err(|error| fault(&error))?)
}

fn show(standing: &Standing, format: Format) {
    match format {
        Format::Json => say_json(&json!(standing)),
        Format::Table => {
            say(&format!(
                "国家交换：待送 {} 条，涉及 {} 个主体；已取得回执 {} 份；暂停 {} 个主体",
                standing.waiting,
                standing.lanes,
                standing.receipts,
                standing.parked.len()
            ));
            for (subject, reason) in &standing.parked {
                say(&format!("  暂停 {subject}：{reason}"));
            }
        }
    }
}

fn decide(
    config: &ExchangeConfig,
    subject: &str,
    why: Option<&String>,
) -> Result<Ending, CliError> {
    let Some(exchange) = open(config)? else {
        let order = Order {
            subject: subject.to_owned(),
            park: why.cloned(),
        };
        orders::leave(&config.dir, &order)?;
        say(&format!("已交给运行中的引擎：{subject}"));
        return Ok(Ending::Fine);
    };
    if exchange.with_desk(|desk| desk.set_parked(subject, why.map(String::as_str)))? {
        say(&format!(
            "{}：{subject}",
            if why.is_some() {
                "已暂停"
            } else {
                "将继续报送"
            }
        ));
        Ok(Ending::Fine)
    } else {
        say(&format!("没有这个主体的报送队列：{subject}"));
        Ok(Ending::Finding)
    }
}

fn need(config: &ExchangeConfig) -> Result<Exchange, CliError> {
    open(config)?.ok_or_else(|| {
        CliError::Usage("the engine is running and has the exchange; stop it first".to_owned())
    })
}

/// Sends all that may be sent now, and stops where a lane has to wait.
fn send(config: &ExchangeConfig, format: Format) -> Result<Ending, CliError> {
    let exchange = need(config)?;
    // The far end may still be taking what the engine sent before it stopped; that rests first.
    while let Some(left_ms) = exchange.doubt_left_ms() {
        std::thread::park_timeout(Duration::from_millis(left_ms));
    }
    while 0 < exchange.round()?.0 {}
    let standing = exchange.standing();
    show(&standing, format);
    Ok(if standing.waiting == 0 {
        Ending::Fine
    } else {
        Ending::Finding
    })
}

fn compare(config: &ExchangeConfig, format: Format) -> Result<Ending, CliError> {
    let exchange = need(config)?;
    let compared = exchange.compare()?;
    let difference = &compared.difference;
    match format {
        Format::Json => say_json(&json!({
            "ours": compared.ours, "waiting": compared.waiting, "theirs": compared.theirs, "differences": difference.len(), "difference": difference,
        })),
        Format::Table => {
            say(&format!(
                "对账：我方回执 {} 份，在途 {} 条，对方持有 {} 条，差异 {} 处",
                compared.ours,
                compared.waiting,
                compared.theirs,
                difference.len()
            ));
            for (what, ids) in [
                ("对方签收后丢失", &difference.lost),
                ("对方重复入库", &difference.doubled),
                ("内容不一致", &difference.changed),
                ("非我方报送", &difference.foreign),
            ] {
                for id in ids {
                    say(&format!("  {what}：{id}"));
                }
            }
        }
    }
    Ok(if difference.is_empty() {
        Ending::Fine
    } else {
        Ending::Finding
    })
}

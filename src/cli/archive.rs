//! `fenghuo archive import|export|info`: events as Parquet files that other tools read.

use super::args::{ArchiveCommand, Format};
use super::progress::Progress;
use super::{CliError, Ending, say, say_json};
use crate::engine::connector::canonical;
use crate::engine::time::{EventTime, date_of_day};
use crate::runtime::archive::columns::Row;
use crate::runtime::archive::intake::take_in;
use crate::runtime::archive::{self, ArchiveError, Damage, Part};
use crate::runtime::assembly::{Parts, lanes, personal_key};
use crate::runtime::attempt::Attempts;
use crate::runtime::clock::Clock;
use crate::runtime::config::Config;
use crate::runtime::journal::Account;
use crate::runtime::source::Merge;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Rows gathered before files are written.
const WRITE_ROWS: usize = 262_144;

/// `archive`
pub(super) fn archive(command: &ArchiveCommand, format: Format) -> Result<Ending, CliError> {
    match command {
        ArchiveCommand::Import { config, archive } => import(config, archive, format),
        ArchiveCommand::Export {
            archive,
            from,
            to,
            file,
        } => export(archive, (from.as_deref(), to.as_deref()), file),
        ArchiveCommand::Info { archive } => info(archive, format),
        ArchiveCommand::Columns => {
            say(archive::columns::column_table().trim_end());
            Ok(Ending::Fine)
        }
    }
}

/// The sources of a configuration, read to their end; rows go to `put`.
pub(super) fn read_sources(
    path: &Path,
    next: u64,
    put: &mut dyn FnMut(Vec<Row>) -> Result<(), ArchiveError>,
) -> Result<BTreeMap<String, Account>, CliError> {
    let config = Config::load(path)?;
    let parts = Parts::of(&config)?;
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    let key = personal_key(&config, &parts)?;
    let lanes = lanes(&config, &parts, &key, (base, true, &Clock::System))?;
    let progress = Progress::new("records", None);
    let mut watched = |rows: Vec<Row>| {
        progress.add(u64::try_from(rows.len()).unwrap_or(0));
        put(rows)
    };
    let accounts = take_in(
        Merge::new(lanes, Attempts::none()),
        &parts.connectors,
        next,
        &mut watched,
    )?;
    progress.finish();
    Ok(accounts)
}

fn import(config: &Path, dir: &Path, format: Format) -> Result<Ending, CliError> {
    std::fs::create_dir_all(dir).map_err(archive::fault("create", dir))?;
    let next = match archive::parts(dir) {
        Ok(parts) => parts.iter().map(|p| p.to).max().unwrap_or(0) + 1,
        Err(ArchiveError::NoArchive { .. }) => 1,
        Err(error) => return Err(error.into()),
    };
    let (mut waiting, mut files, mut events) = (Vec::new(), 0, 0);
    let accounts = read_sources(config, next, &mut |rows| {
        events += rows.len();
        waiting.extend(rows);
        if WRITE_ROWS <= waiting.len() {
            files += archive::write(dir, &waiting)?;
            waiting.clear();
        }
        Ok(())
    })?;
    files += archive::write(dir, &waiting)?;
    match format {
        Format::Json => {
            say_json(&json!({ "events": events, "files": files, "accounts": accounts }));
        }
        Format::Table => {
            let refused: u64 = accounts.values().flat_map(|a| a.refused.values()).sum();
            let echoes: u64 = accounts.values().map(|a| a.duplicates + a.stale).sum();
            say(&format!(
                "已存入 {events} 个事件，{files} 个文件；重复或旧版 {echoes} 条，不能识别 {refused} 条"
            ));
        }
    }
    Ok(Ending::Fine)
}

/// Reads a day such as `2026-03-01`.
pub(super) fn day(text: &str) -> Result<i32, CliError> {
    let time = EventTime::parse(text).map(|(time, _)| time.day());
    time.ok_or_else(|| CliError::Usage(format!("\"{text}\" is no day; write it as 2026-03-01")))
}

/// Says what is damaged, once for each file.
pub(super) fn tell(damage: &[Damage]) {
    for one in damage {
        // Standard error that is gone is no reason to stop.
        let _ = writeln!(std::io::stderr().lock(), "warning: {one}");
    }
}

fn within(parts: &[Part], from: Option<i32>, to: Option<i32>) -> Vec<&Part> {
    parts
        .iter()
        .filter(|p| from.is_none_or(|from| from <= p.day) && to.is_none_or(|to| p.day <= to))
        .collect()
}

fn export(
    dir: &Path,
    (from, to): (Option<&str>, Option<&str>),
    file: &Path,
) -> Result<Ending, CliError> {
    let parts = archive::parts(dir)?;
    let (from, to) = (from.map(day).transpose()?, to.map(day).transpose()?);
    let out = std::fs::File::create(file).map_err(archive::fault("create", file))?;
    let mut out = std::io::BufWriter::new(out);
    let (mut damage, mut events) = (Vec::new(), 0_u64);
    for part in within(&parts, from, to) {
        let (rows, damaged) = archive::read(part);
        damage.extend(damaged);
        for (_, event) in &rows {
            writeln!(out, "{}", canonical::write(event)).map_err(archive::fault("write", file))?;
            events += 1;
        }
    }
    out.flush().map_err(archive::fault("write", file))?;
    tell(&damage);
    say(&format!("已写出 {events} 个事件到 {}", file.display()));
    Ok(ending(&damage))
}

fn ending(damage: &[Damage]) -> Ending {
    if damage.is_empty() {
        Ending::Fine
    } else {
        Ending::Finding
    }
}

fn info(dir: &Path, format: Format) -> Result<Ending, CliError> {
    let parts = archive::parts(dir)?;
    let (mut damage, mut events) = (Vec::new(), 0_u64);
    let mut streams: BTreeMap<&'static str, u64> = BTreeMap::new();
    for part in &parts {
        let (rows, damaged) = archive::read(part);
        damage.extend(damaged);
        events += u64::try_from(rows.len()).unwrap_or(0);
        for (_, event) in &rows {
            *streams.entry(event.stream.name()).or_default() += 1;
        }
    }
    let bytes: u64 = parts.iter().map(|p| p.bytes).sum();
    let days: Vec<i32> = parts.iter().map(|p| p.day).collect();
    let date = |day: Option<&i32>| day.map(|d| date_of_day(*d).to_string()).unwrap_or_default();
    let (first, last) = (date(days.iter().min()), date(days.iter().max()));
    let missing = missing(&parts);
    match format {
        Format::Json => say_json(&json!({
            "files": parts.len(), "events": events, "bytes": bytes, "first_day": first, "last_day": last,
            "streams": streams, "damaged": damage,
        })),
        Format::Table => {
            say(&format!(
                "{} 个文件，{events} 个事件，{:.1} MiB，{first} 至 {last}",
                parts.len(),
                mebibytes(bytes)
            ));
            for (stream, count) in &streams {
                say(&format!("  {stream} {count}"));
            }
            for one in &damage {
                say(&format!("损坏：{one}"));
            }
            if 0 < missing {
                say(&format!(
                    "编号不连续：缺 {missing} 个输入（重复、旧版和时钟不存档，属正常）"
                ));
            }
        }
    }
    Ok(ending(&damage))
}

/// How many numbers between the first and the last file no file covers.
fn missing(parts: &[Part]) -> u64 {
    let (mut covered_to, mut missing) = (None::<u64>, 0);
    for part in parts {
        if let Some(to) = covered_to {
            missing += part.from.saturating_sub(to.saturating_add(1));
        }
        covered_to = covered_to.max(Some(part.to));
    }
    missing
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "shown with one digit"
)]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

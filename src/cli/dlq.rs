//! Refused records: which they are, and trying them again.
//!
//! `replay` writes the bytes as they came to one file a connector, with the CSV header where there is one, so that a
//! directory source of the same connector picks them up; the record index sees to it that nothing counts twice.

use super::args::{DlqArgs, DlqCommand, Format};
use super::look::FileError;
use super::{CliError, Ending, say, say_json};
use crate::engine::connector::{Connector, Decoder, Framing};
use crate::engine::time::EventTime;
use crate::runtime::bundle;
use crate::runtime::dlq::{DeadLetter, read};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Characters of a reason in the list.
const REASON_CHARS_MAX: usize = 90;

/// `dlq`
pub(super) fn dlq(args: &DlqArgs, format: Format) -> Result<Ending, CliError> {
    match &args.command {
        DlqCommand::List {
            file,
            connector,
            code,
            limit,
        } => list(
            file,
            (connector.as_deref(), code.as_deref()),
            *limit,
            format,
        ),
        DlqCommand::Replay {
            file,
            out,
            connectors,
            connector,
            dry_run,
        } => {
            let known = match connectors {
                Some(dir) => bundle::connectors_in(dir)?,
                None => bundle::shipped_connectors()?,
            };
            replay(
                file,
                (!dry_run).then_some(out.as_path()),
                connector.as_deref(),
                &known,
            )
        }
    }
}

fn list(
    file: &Path,
    (connector, code): (Option<&str>, Option<&str>),
    limit: usize,
    format: Format,
) -> Result<Ending, CliError> {
    let mut found: Vec<DeadLetter> = Vec::new();
    let mut total = 0_u64;
    read(file, |_, letter| {
        let fits = connector.is_none_or(|c| letter.place.connector == c)
            && code.is_none_or(|c| letter.reject.code.name() == c);
        if fits {
            total += 1;
            if found.len() < limit {
                found.push(letter);
            }
        }
    })?;
    if format == Format::Json {
        let letters: Vec<_> = found
            .iter()
            .map(|l| json!({ "id": l.id(), "connector": l.place.connector, "file": l.place.file, "offset": l.place.offset,
                             "line_no": l.place.line_no, "code": l.reject.code.name(), "message": l.reject.message }))
            .collect();
        say_json(&json!({ "total": total, "dead_letters": letters }));
        return Ok(Ending::Fine);
    }
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_header(["数据源", "文件", "第几条", "原因", "说明"]);
    for letter in &found {
        let reason: String = letter
            .reject
            .message
            .chars()
            .take(REASON_CHARS_MAX)
            .collect();
        table.add_row(vec![
            letter.place.connector.clone(),
            letter.place.file.clone(),
            letter.place.line_no.to_string(),
            letter.reject.code.title().to_owned(),
            reason,
        ]);
    }
    say(&format!("{table}\n共 {total} 条，列出 {} 条", found.len()));
    Ok(Ending::Fine)
}

/// What is collected of one connector.
struct Pile {
    connector: Arc<Connector>,
    header: Vec<u8>,
    bytes: Vec<u8>,
    accepted: u64,
    refused: u64,
    first_reason: String,
}

fn replay(
    file: &Path,
    out: Option<&Path>,
    only: Option<&str>,
    known: &[Arc<Connector>],
) -> Result<Ending, CliError> {
    let mut piles: BTreeMap<String, Pile> = BTreeMap::new();
    let mut lost = 0_u64;
    read(file, |_, letter| {
        let id = &letter.place.connector;
        if only.is_some_and(|only| only != id) {
            return;
        }
        let Some(connector) = known.iter().find(|c| c.id() == id) else {
            lost += 1;
            return;
        };
        if letter.is_truncated() {
            lost += 1;
            return;
        }
        let pile = piles.entry(id.clone()).or_insert_with(|| Pile {
            connector: Arc::clone(connector),
            header: Vec::new(),
            bytes: Vec::new(),
            accepted: 0,
            refused: 0,
            first_reason: String::new(),
        });
        pile.add(&letter);
    })?;
    let mut refused = lost;
    for (id, pile) in &piles {
        refused += pile.refused;
        say(&format!(
            "{id}: 现在可接收 {} 条，仍拒收 {} 条{}",
            pile.accepted,
            pile.refused,
            pile.reason()
        ));
        if let (Some(out), false) = (out, pile.bytes.is_empty()) {
            let path = pile.write(out)?;
            say(&format!("  已写入 {path}"));
        }
    }
    if 0 < lost {
        say(&format!(
            "{lost} 条无法重放：原文过长已截断，或数据源不存在"
        ));
    }
    Ok(if refused == 0 {
        Ending::Fine
    } else {
        Ending::Finding
    })
}

impl Pile {
    fn add(&mut self, letter: &DeadLetter) {
        let mut decoder =
            Decoder::new(Arc::clone(&self.connector), Arc::from(b"replay".as_slice()));
        if let Some(header) = &letter.header
            && decoder.set_header(header).is_ok()
            && self.header != *header
        {
            if !self.header.is_empty() {
                // Another layout: it goes to a file of its own, in the next replay.
                self.refused += 1;
                return;
            }
            self.header.clone_from(header);
            self.bytes.extend_from_slice(header);
            self.bytes.push(b'\n');
        }
        match decoder.decode(&letter.bytes, EventTime::MAX) {
            Ok(_) => {
                self.accepted += 1;
                self.bytes.extend_from_slice(&letter.bytes);
                self.bytes.push(b'\n');
            }
            Err(reject) => {
                self.refused += 1;
                if self.first_reason.is_empty() {
                    self.first_reason = reject.to_string();
                }
            }
        }
    }

    fn reason(&self) -> String {
        if self.first_reason.is_empty() {
            String::new()
        } else {
            format!("，例如：{}", self.first_reason)
        }
    }

    fn write(&self, out: &Path) -> Result<String, CliError> {
        let fault = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| FileError {
                doing,
                path,
                source,
            }
        };
        std::fs::create_dir_all(out).map_err(fault("create", out))?;
        let ending = if matches!(self.connector.framing(), Framing::Csv) {
            "csv"
        } else {
            "jsonl"
        };
        let free = (1..=100_000_u32)
            .map(|n| out.join(format!("{}.{n}.{ending}", self.connector.id())))
            .find(|p| !p.exists());
        let path = free.unwrap_or_else(|| out.join(self.connector.id()));
        // Renamed when it is whole, so that a directory source never sees half of it.
        let partial = path.with_extension("part");
        std::fs::write(&partial, &self.bytes).map_err(fault("write", &partial))?;
        std::fs::rename(&partial, &path).map_err(fault("rename", &partial))?;
        Ok(path.display().to_string())
    }
}

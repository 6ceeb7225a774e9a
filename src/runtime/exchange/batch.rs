//! The way by files: signed batches in a directory that the far end, or whoever carries files to it, empties.
//!
//! ```text
//! <out>/2026112600001/records.csv     the rows (or records.jsonl)
//!                     manifest.json   what is in it: number, rows, SM3 of the rows, number and SM3 of the batch before
//!                     manifest.sig    SM2 signature of manifest.json, DER
//! ```
//!
//! A batch appears whole, by the renaming of its directory, and never changes. Its number is the day and five digits
//! (`cd_batch`), without gaps in a day; each manifest names the one before, so that a batch which was lost on the way shows. A
//! message counts as delivered when its batch lies there; whether the far end has taken it in says the comparison with a list
//! of what it holds (`held_file`).
//!
//! What was in the last batch is written down (`last.json`) before it appears, so a kill at any moment leads to the same
//! rows once: the batch is made to appear at the next start, or was there already.
//!
//! columns  `cd_id` (the message's id), `cd_time`, `cd_source`, `cd_batch`, `cd_operation` (i, u, d), `kind`, `record`,
//!          `subject`, `lane_no`, `body_sm3`, `body` (JSON)
//! source   `domain.md` §1.5 (control columns), §6.1; GB/T 32918 (SM2), GB/T 32905 (SM3), GB/T 39443 5.5 (by files)
//! errors   a directory that cannot be written is "not now"; a key that is none refuses the start

use super::{Adapter, Bundle, ExchangeError, Held, Outcome, Parcel, Receipt, Tried};
use crate::engine::hash::hex;
use crate::engine::time::EventTime;
use crate::runtime::clock::Clock;
use crate::runtime::logging::chain;
use crate::runtime::secret::read_secret;
use serde::{Deserialize, Serialize};
use sm2::dsa::SigningKey;
use sm2::dsa::signature::Signer;
use sm2::pkcs8::DecodePrivateKey;
use sm3::{Digest, Sm3};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Who signs, when nobody says otherwise: the id that the standard gives for this.
pub const SIGNER: &str = "1234567812345678";

/// Where to, and with which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchConfig {
    /// The exchange directory.
    pub out: PathBuf,
    /// `cd_source`.
    pub source: String,
    /// The form of the rows.
    pub form: Form,
    /// An SM2 key, PKCS#8 PEM, mode 0600.
    pub key: PathBuf,
    /// The signer's distinguishing id.
    pub signer: String,
    /// Rows in one batch.
    pub rows_max: usize,
    /// Not more often than this, ms.
    pub every_ms: i64,
    /// What the far end says it holds: JSON lines of `id` and `sm3`.
    pub held: Option<PathBuf>,
}

/// The form of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// CSV with a head line (RFC 4180).
    Csv,
    /// JSON lines.
    Jsonl,
}

impl Form {
    fn file(self) -> &'static str {
        match self {
            Self::Csv => "records.csv",
            Self::Jsonl => "records.jsonl",
        }
    }
}

/// A row, in the order of its columns.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    pub cd_id: &'a str,
    pub cd_time: String,
    pub cd_source: &'a str,
    pub cd_batch: &'a str,
    pub cd_operation: String,
    pub kind: String,
    pub record: String,
    pub subject: &'a str,
    pub lane_no: u32,
    pub body_sm3: &'a str,
    pub body: &'a str,
}

/// What a row needs of a message's bytes.
#[derive(Debug, Deserialize)]
struct Front {
    kind: String,
    record: String,
    operation: String,
}

impl<'a> Row<'a> {
    /// Of a message that was shaped here, at `now` in Asia/Shanghai.
    pub(super) fn of(
        parcel: &'a Parcel,
        (cd_source, cd_batch): (&'a str, &'a str),
        now: EventTime,
    ) -> Result<Self, String> {
        let front: Front =
            serde_json::from_slice(&parcel.body).map_err(|error| error.to_string())?;
        Ok(Self {
            cd_id: &parcel.id,
            cd_time: now.rfc3339(),
            cd_source,
            cd_batch,
            cd_operation: front.operation,
            kind: front.kind,
            record: front.record,
            subject: &parcel.subject,
            lane_no: parcel.lane_no,
            body_sm3: &parcel.body_sm3,
            body: std::str::from_utf8(&parcel.body).map_err(|error| error.to_string())?,
        })
    }
}

/// The number after `last` on the day of `now`: day and five digits.
pub(super) fn next_number(last: &str, now: EventTime) -> Result<String, String> {
    let date = now.date();
    let day = format!("{:04}{:02}{:02}", date.year(), date.month(), date.day());
    // A clock that was set back does not give a number twice.
    let day = last
        .get(..8)
        .filter(|before| day.as_str() < *before)
        .unwrap_or(&day);
    let count = match last.strip_prefix(day) {
        None => 1,
        Some(count) => count
            .parse::<u32>()
            .map_or(1, |count| count.saturating_add(1)),
    };
    if 99_999 < count {
        return Err(format!(
            "{day} has had its 99,999 batches; raise rows_max or every_seconds"
        ));
    }
    Ok(format!("{day}{count:05}"))
}

#[derive(Debug, Serialize)]
struct Manifest<'a> {
    cd_batch: &'a str,
    cd_source: &'a str,
    file: &'a str,
    rows: usize,
    sm3: String,
    made_at: String,
    before: &'a str,
    before_sm3: &'a str,
}

/// The last batch.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Last {
    number: String,
    manifest_sm3: String,
    signature: String,
    made_at: String,
    /// Ids and hashes of its rows, in order.
    rows: Vec<(String, String)>,
}

impl Last {
    /// What was in the last batch already.
    fn outcome(&self, parcel: &Parcel) -> Option<Outcome> {
        let at = self.rows.iter().position(|(id, _)| *id == parcel.id)?;
        let (_, sm3) = self.rows.get(at)?;
        if *sm3 != parcel.body_sm3 {
            let number = &self.number;
            return Some(Outcome::Refused(format!(
                "batch {number} has other bytes under this id"
            )));
        }
        let raw = serde_json::json!({
            "cd_batch": self.number, "row": at + 1, "manifest_sm3": self.manifest_sm3, "signature": self.signature,
        });
        Some(Outcome::Accepted(Receipt {
            number: format!("{}-{}", self.number, at + 1),
            accepted_at: self.made_at.clone(),
            raw: raw.to_string(),
        }))
    }
}

/// See the module.
pub struct Batches {
    config: BatchConfig,
    key: SigningKey,
    clock: Clock,
    last: Mutex<Last>,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches")
            .field("out", &self.config.out)
            .finish_non_exhaustive()
    }
}

impl Batches {
    /// Checks the key and the directory, and takes up after the last batch.
    pub fn new(config: BatchConfig, clock: Clock) -> Result<Self, ExchangeError> {
        let setting = |name: &str, path: &Path, why: String| {
            ExchangeError::Setting(format!(
                "exchange.batch.{name} \"{}\": {why}",
                path.display()
            ))
        };
        let pem = read_secret(&config.key, 1, 1 << 16)
            .map_err(|error| setting("key_file", &config.key, chain(&error)))?;
        let what = "holds no SM2 key; make one with openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:SM2";
        let key = std::str::from_utf8(pem.expose())
            .ok()
            .and_then(|pem| sm2::SecretKey::from_pkcs8_pem(pem).ok())
            .and_then(|secret| SigningKey::new(&config.signer, &secret).ok())
            .ok_or_else(|| setting("key_file", &config.key, what.to_owned()))?;
        let out = config.out.clone();
        let broken = |error: io::Error| setting("out", &out, error.to_string());
        fs::create_dir_all(&out).map_err(broken)?;
        let path = out.join(".last.json");
        let last = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let what = format!("{error}; without it a batch might go twice: put it back, or empty it after comparing");
                setting("out", &path, what)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Last::default(),
            Err(error) => return Err(broken(error)),
        };
        Ok(Self {
            config,
            key,
            clock,
            last: Mutex::new(last),
        })
    }

    fn hidden(&self, number: &str) -> PathBuf {
        self.config.out.join(format!(".{number}.part"))
    }

    /// Lets the last batch appear, if a kill or a fault came before it did.
    fn appear(&self, last: &Last) -> io::Result<()> {
        let hidden = self.hidden(&last.number);
        if last.number.is_empty() || !hidden.exists() {
            return Ok(());
        }
        fs::rename(hidden, self.config.out.join(&last.number))?;
        File::open(&self.config.out)?.sync_all()
    }

    /// Makes a batch of these.
    fn make(&self, last: &mut Last, parcels: &[&Parcel]) -> Result<(), String> {
        let said = |error: io::Error| format!("\"{}\": {error}", self.config.out.display());
        let now = self.clock.now();
        let number = next_number(&last.number, now)?;
        let rows = parcels.iter().map(|parcel| {
            let row = Row::of(parcel, (&self.config.source, &number), now);
            row.map_err(|why| format!("{}: {why}", parcel.id))
        });
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let records = write_rows(self.config.form, &rows)?;
        let manifest = Manifest {
            cd_batch: &number,
            cd_source: &self.config.source,
            file: self.config.form.file(),
            rows: rows.len(),
            sm3: hex(&Sm3::digest(&records)),
            made_at: now.rfc3339(),
            before: &last.number,
            before_sm3: &last.manifest_sm3,
        };
        let manifest = serde_json::to_vec_pretty(&manifest).map_err(|error| error.to_string())?;
        let signature = self
            .key
            .try_sign(&manifest)
            .map_err(|error| error.to_string())?;
        let signature = signature.to_der();
        let hidden = self.hidden(&number);
        // What a fault left under this number never appeared.
        if hidden.exists() {
            fs::remove_dir_all(&hidden).map_err(said)?;
        }
        fs::create_dir(&hidden).map_err(said)?;
        for (name, bytes) in [
            (self.config.form.file(), records.as_slice()),
            ("manifest.json", &manifest),
            ("manifest.sig", signature.as_bytes()),
        ] {
            write_durably(&hidden.join(name), bytes).map_err(said)?;
        }
        File::open(&hidden)
            .and_then(|dir| dir.sync_all())
            .map_err(said)?;
        let next = Last {
            number,
            manifest_sm3: hex(&Sm3::digest(&manifest)),
            signature: hex(signature.as_bytes()),
            made_at: now.rfc3339(),
            rows: parcels
                .iter()
                .map(|parcel| (parcel.id.clone(), parcel.body_sm3.clone()))
                .collect(),
        };
        let path = self.config.out.join(".last.json");
        let part = self.config.out.join(".last.part");
        let text = serde_json::to_vec(&next).map_err(|error| error.to_string())?;
        write_durably(&part, &text).map_err(said)?;
        fs::rename(&part, &path).map_err(said)?;
        File::open(&self.config.out)
            .and_then(|dir| dir.sync_all())
            .map_err(said)?;
        *last = next;
        self.appear(last).map_err(said)
    }
}

impl Adapter for Batches {
    fn name(&self) -> &'static str {
        "batch"
    }

    fn bundle(&self) -> Bundle {
        Bundle {
            // Two or more: parcels always go together here.
            most: self.config.rows_max.max(2),
            every_ms: self.config.every_ms,
        }
    }

    fn send(&self, parcel: &Parcel, attempts: u32) -> Outcome {
        let mut outcomes = self.send_all(&[(parcel.clone(), attempts)]);
        outcomes
            .pop()
            .unwrap_or_else(|| unsure("nothing was tried"))
    }

    fn send_all(&self, parcels: &[Tried]) -> Vec<Outcome> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.appear(&last) {
            let why = format!("\"{}\": {error}", self.config.out.display());
            return parcels.iter().map(|_| unsure(&why)).collect();
        }
        // A subject of whom something was refused waits with all of it.
        let mut refused = BTreeSet::new();
        let mut outcomes: Vec<Option<Outcome>> = Vec::new();
        for (parcel, _) in parcels {
            let known = last.outcome(parcel);
            if matches!(known, Some(Outcome::Refused(_))) {
                refused.insert(parcel.subject.as_str());
            }
            outcomes.push(known);
        }
        let fresh: Vec<&Parcel> = parcels
            .iter()
            .zip(&outcomes)
            .filter(|((parcel, _), known)| {
                known.is_none() && !refused.contains(parcel.subject.as_str())
            })
            .map(|((parcel, _), _)| parcel)
            .collect();
        let made = if fresh.is_empty() {
            Ok(())
        } else {
            self.make(&mut last, &fresh)
        };
        let why = made
            .err()
            .unwrap_or_else(|| "waits behind one that was refused".to_owned());
        parcels
            .iter()
            .zip(outcomes)
            .map(|((parcel, _), known)| {
                known
                    .or_else(|| last.outcome(parcel))
                    .unwrap_or_else(|| unsure(&why))
            })
            .collect()
    }

    fn list(&self) -> Result<Vec<Held>, String> {
        let Some(path) = &self.config.held else {
            let what = "needs a list of what the far end holds, JSON lines of \"id\" and \"sm3\"; name it in exchange.batch.held_file";
            return Err(format!("the comparison {what}"));
        };
        let text = fs::read_to_string(path)
            .map_err(|error| format!("exchange.batch.held_file \"{}\": {error}", path.display()))?;
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(at, line)| {
                serde_json::from_str(line)
                    .map_err(|error| format!("\"{}\" line {}: {error}", path.display(), at + 1))
            })
            .collect()
    }
}

fn unsure(why: &str) -> Outcome {
    Outcome::Unsure {
        reason: why.to_owned(),
        after_ms: None,
    }
}

fn write_rows(form: Form, rows: &[Row<'_>]) -> Result<Vec<u8>, String> {
    match form {
        Form::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in rows {
                writer.serialize(row).map_err(|error| error.to_string())?;
            }
            writer.into_inner().map_err(|error| error.to_string())
        }
        Form::Jsonl => {
            let mut text = Vec::new();
            for row in rows {
                serde_json::to_writer(&mut text, row).map_err(|error| error.to_string())?;
                text.push(b'\n');
            }
            Ok(text)
        }
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;

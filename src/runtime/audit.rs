//! The audit log: who did what to which, as a chain that shows every later hand.
//!
//! Each entry holds the hash of the one before it, so that an entry that is edited, taken out, put in or moved breaks
//! the chain from there on. Beside the log lies `<log>.head` with the number and hash of the last entry: it shows a
//! log that was cut at the end. An attacker who may write both can make a new chain, so the head should also go where
//! he cannot write; [`Audit::head`] gives it for that.
//!
//! **Fail closed**: [`Audit::append`] returns when the entry is on disk. When it does not, the act must be refused; the
//! first fault is final.
//!
//! shape    JSON lines: seq (from 1, without gaps), time, actor, role, action, object, result, prev, hash; hash = SM3 of
//!          the line's bytes up to `,"hash"`; prev of the first entry is 64 zeros
//! errors   [`AuditError::Broken`] names the first line that does not fit. A kill within `append` may leave part of a
//!          line, or a head that is one entry behind: neither was acknowledged, and [`Audit::open`] mends both
//! cost     an append: two syncs of a file and one of the directory, a few ms; for acts of people, not for records
//! source   GB/T 22239-2019 8.1.4.3 (audit); GB/T 32905 (SM3)

use crate::engine::hash::hex;
use crate::engine::time::EventTime;
use serde::{Deserialize, Serialize};
use sm3::{Digest, Sm3};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An act that has to be on record before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act<'a> {
    /// When.
    pub time: EventTime,
    /// Who.
    pub actor: &'a str,
    /// As what.
    pub role: &'a str,
    /// Did what: `rules.load`, `sanction.confirm`, ..
    pub action: &'a str,
    /// To which.
    pub object: &'a str,
    /// What came of it: `allowed`, `refused: ..`.
    pub result: &'a str,
}

/// One line, without its hash: the bytes that are hashed, save for the closing brace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Hashed<'a> {
    seq: u64,
    time: &'a str,
    actor: &'a str,
    role: &'a str,
    action: &'a str,
    object: &'a str,
    result: &'a str,
    prev: &'a str,
}

/// One line, as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// Its number, from 1.
    pub seq: u64,
    /// When, RFC 3339.
    pub time: String,
    /// Who.
    pub actor: String,
    /// As what.
    pub role: String,
    /// Did what.
    pub action: String,
    /// To which.
    pub object: String,
    /// What came of it.
    pub result: String,
    /// The hash of the entry before.
    pub prev: String,
    /// SM3 over the rest of the line.
    pub hash: String,
}

/// The end of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// How many entries.
    pub seq: u64,
    /// The hash of the last, 64 zeros for none.
    pub hash: String,
}

impl Head {
    fn start() -> Self {
        Self {
            seq: 0,
            hash: "0".repeat(64),
        }
    }
}

/// What can go wrong with the audit log.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// Another process writes it.
    #[error("audit log \"{}\" is in use by another process; stop that one first", path.display())]
    Locked {
        /// The log.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {doing} audit log \"{}\"", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// The chain does not hold.
    #[error("audit log \"{}\" line {line}: {what}; keep both files as they are and find out who changed them", path.display())]
    Broken {
        /// The log.
        path: PathBuf,
        /// The first line that does not fit, from 1.
        line: u64,
        /// What does not fit.
        what: String,
    },
}

/// What a check has found in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// The end of the chain.
    pub head: Head,
    /// Bytes after the last whole line: an append that was cut off and never acknowledged.
    pub torn_bytes: u64,
    /// Bytes of the whole lines.
    pub bytes: u64,
}

/// The log, open for appending.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    file: File,
    head: Head,
    length: u64,
    fault: Option<AuditError>,
}

impl Audit {
    /// Opens or begins a log, checks all of it, and mends what a kill has left.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, AuditError> {
        let path = path.as_ref().to_path_buf();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(AuditError::Locked { path }),
            Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
        }
        let report = verify(&path)?;
        file.set_len(report.bytes)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .and_then(|_| file.sync_all())
            .map_err(failed("cut the torn end of", &path))?;
        write_head(&path, &report.head)?;
        Ok(Self {
            path,
            file,
            head: report.head,
            length: report.bytes,
            fault: None,
        })
    }

    /// Puts an act on record. On an error the act must not be done.
    pub fn append(&mut self, act: &Act<'_>) -> Result<&Head, AuditError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        match self.write(act) {
            Ok(head) => self.head = head,
            Err(fault) => {
                self.fault = Some(fault.clone());
                return Err(fault);
            }
        }
        Ok(&self.head)
    }

    /// The end of the chain, to be kept where nobody who may write the log can write.
    pub fn head(&self) -> &Head {
        &self.head
    }

    fn write(&mut self, act: &Act<'_>) -> Result<Head, AuditError> {
        let seq = self.head.seq + 1;
        let time = act.time.rfc3339();
        let hashed = Hashed {
            seq,
            time: &time,
            actor: act.actor,
            role: act.role,
            action: act.action,
            object: act.object,
            result: act.result,
            prev: &self.head.hash,
        };
        let (line, hash) = line_of(&hashed);
        let on_disk = self
            .file
            .metadata()
            .map_err(failed("look at", &self.path))?;
        if on_disk.len() != self.length {
            return Err(AuditError::Broken {
                path: self.path.clone(),
                line: seq,
                what: format!(
                    "{} bytes instead of {}: somebody else writes to it",
                    on_disk.len(),
                    self.length
                ),
            });
        }
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .map_err(failed("append to", &self.path))?;
        self.length += u64::try_from(line.len()).unwrap_or(0);
        let head = Head { seq, hash };
        write_head(&self.path, &head)?;
        Ok(head)
    }
}

/// Checks the whole chain and its head; changes nothing. A log that is not there has no entries, and no head.
pub fn verify(path: &Path) -> Result<AuditReport, AuditError> {
    read(path, |_| ())
}

/// Checks like [`verify`] and visits every entry on the way, in order.
pub fn read(path: &Path, mut each: impl FnMut(AuditEntry)) -> Result<AuditReport, AuditError> {
    let kept = read_head(path)?;
    let mut report = AuditReport {
        head: Head::start(),
        torn_bytes: 0,
        bytes: 0,
    };
    let mut before = None;
    let mut reader = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return end_of_chain(path, kept, before.as_ref(), report);
        }
        Err(error) => return Err(failed("open", path)(error)),
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line);
        let size = u64::try_from(read.map_err(failed("read", path))?).unwrap_or(0);
        if line.last() != Some(&b'\n') {
            report.torn_bytes = size;
            return end_of_chain(path, kept, before.as_ref(), report);
        }
        let entry = entry_of(&line, &report.head).map_err(|what| AuditError::Broken {
            path: path.to_path_buf(),
            line: report.head.seq + 1,
            what,
        })?;
        report.bytes += size;
        let head = Head {
            seq: entry.seq,
            hash: entry.hash.clone(),
        };
        before = Some(std::mem::replace(&mut report.head, head));
        each(entry);
    }
}

/// Compares the end of the log with the head beside it, which may be one entry behind after a kill.
fn end_of_chain(
    path: &Path,
    kept: Option<Head>,
    before: Option<&Head>,
    report: AuditReport,
) -> Result<AuditReport, AuditError> {
    let found = &report.head;
    let fits = match &kept {
        Some(kept) => kept == found || before == Some(kept),
        // The first append of all was cut off before its head was written.
        None => found.seq <= 1,
    };
    if fits {
        return Ok(report);
    }
    let what = match kept {
        None => format!("{} entries, but the head file is missing", found.seq),
        Some(kept) if kept.seq > found.seq => {
            format!(
                "cut off: {} entries, the head names {}",
                found.seq, kept.seq
            )
        }
        Some(kept) => format!(
            "entry {} has hash {}, the head names entry {} with {}",
            found.seq, found.hash, kept.seq, kept.hash
        ),
    };
    Err(AuditError::Broken {
        path: path.to_path_buf(),
        line: found.seq + 1,
        what,
    })
}

/// The line with its end, and its hash.
fn line_of(hashed: &Hashed<'_>) -> (Vec<u8>, String) {
    // Texts and a number always make JSON.
    let mut line = serde_json::to_vec(hashed).unwrap_or_default();
    line.pop();
    let hash = hex(&Sm3::digest(&line));
    line.extend_from_slice(format!(",\"hash\":\"{hash}\"}}\n").as_bytes());
    (line, hash)
}

/// Reads a line that has to follow `head`. Every byte counts: it must be what this module would write.
fn entry_of(line: &[u8], head: &Head) -> Result<AuditEntry, String> {
    let entry: AuditEntry =
        serde_json::from_slice(line).map_err(|error| format!("not an entry: {error}"))?;
    if entry.seq != head.seq + 1 {
        return Err(format!(
            "entry {} where {} is expected: taken out, put in or moved",
            entry.seq,
            head.seq + 1
        ));
    }
    if entry.prev != head.hash {
        return Err(format!(
            "does not follow entry {}: that one or this one was changed",
            head.seq
        ));
    }
    let hashed = Hashed {
        seq: entry.seq,
        time: &entry.time,
        actor: &entry.actor,
        role: &entry.role,
        action: &entry.action,
        object: &entry.object,
        result: &entry.result,
        prev: &entry.prev,
    };
    let (expected, hash) = line_of(&hashed);
    if entry.hash != hash {
        return Err(format!(
            "hash {}, expected {hash}: it was changed",
            entry.hash
        ));
    }
    if expected != line {
        return Err("same content, other bytes: it was written again".to_owned());
    }
    Ok(entry)
}

fn head_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".head");
    PathBuf::from(name)
}

fn read_head(path: &Path) -> Result<Option<Head>, AuditError> {
    let head_path = head_path(path);
    match fs::read(&head_path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| AuditError::Broken {
                path: head_path,
                line: 1,
                what: format!("not a head: {error}"),
            }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read the head of", path)(error)),
    }
}

/// Writes the head beside the log: a new file, synced, in the place of the old one.
fn write_head(path: &Path, head: &Head) -> Result<(), AuditError> {
    let target = head_path(path);
    let mut fresh = target.clone().into_os_string();
    fresh.push(".new");
    let text = format!("{{\"seq\":{},\"hash\":\"{}\"}}\n", head.seq, head.hash);
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::create(&fresh)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_data()
        })
        .and_then(|()| fs::rename(&fresh, &target))
        .and_then(|()| File::open(directory)?.sync_all())
        .map_err(failed("write the head of", path))
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuditError {
    move |source| AuditError::Io {
        doing,
        path: path.to_path_buf(),
        source: Arc::new(source),
    }
}

#[cfg(test)]
mod tests;

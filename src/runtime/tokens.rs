//! Who may come through the doors: bearer tokens, of which only hashes are kept.
//!
//! A token is 256 random bits, shown once when [`create`] makes it. The file holds its SHA-256, a name, a role, the last day
//! on which it is good and, for `ingest`, the connectors that it may feed. [`TokenFile::find`] compares a presented token
//! with every entry without an early end, so that time tells nothing, and reads the file again when it has changed: a
//! token is revoked by deleting its entry.
//!
//! ```toml
//! [[token]]
//! name = "prometheus"
//! role = "reader"
//! sha256 = "64 hex digits"
//! expires = "2027-03-01"          # Shanghai's calendar, that day included
//! connectors = ["a-penalty"]      # only for role "ingest"; absent: all
//! ```
//!
//! bounds   at most 1,000 tokens, 1 MiB; a token lives at most 3,660 days
//! errors   a file that others may touch or that cannot be read lets nobody in
//! why      fast hash, not a password hash: 256 random bits cannot be guessed, whatever the hash costs

pub mod rights;

use super::config::table::{Placed, Table, TomlError};
use super::secret::{SecretError, Sensitive, read_secret};
use crate::engine::hash::hex;
use crate::engine::time::EventTime;
use jiff::civil::Date;
use rights::Role;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const TOKENS_MAX: usize = 1_000;
const FILE_BYTES_MAX: u64 = 1_024 * 1_024;
/// The longest life of a token, days.
pub const DAYS_MAX: i64 = 3_660;
const NAME_CHARS_MAX: usize = 64;
const PREFIX: &str = "fh_";

/// One entry of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Whom the audit log names.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The connectors it may feed; none means all.
    pub connectors: Option<Vec<String>>,
    sha256: [u8; 32],
    expires: Date,
}

impl Token {
    /// Whether it may feed this connector.
    pub fn may_feed(&self, connector: &str) -> bool {
        match &self.connectors {
            Some(list) => list.iter().any(|id| id == connector),
            None => true,
        }
    }
}

/// The tokens of one file.
#[derive(Debug, Default)]
pub struct Tokens(Vec<Arc<Token>>);

/// Why tokens cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be used.
    #[error("token file cannot be used")]
    Secret(#[from] SecretError),
    /// The file is not UTF-8.
    #[error("token file \"{0}\" is not UTF-8 text")]
    Encoding(String),
    /// Something in it is wrong.
    #[error(transparent)]
    Content(#[from] TomlError),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Request(String),
    /// The machine gave no random bytes.
    #[error("no random bytes from the system")]
    Random,
    /// The new file could not be written; the old one is as it was.
    #[error("token file \"{path}\" cannot be written")]
    Write {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Tokens {
    /// Reads the text of a token file.
    pub fn parse(name: &str, text: &str) -> Result<Self, TomlError> {
        let mut file = Table::parse(name, text)?;
        let tables = file.tables("token")?;
        let at = file.at();
        if TOKENS_MAX < tables.len() {
            return Err(file.error(&at, format!("more than {TOKENS_MAX} tokens")));
        }
        let mut tokens: Vec<Arc<Token>> = Vec::with_capacity(tables.len());
        for mut table in tables {
            let (token, name_at) = entry(&mut table)?;
            if tokens.iter().any(|t| t.name == token.name) {
                let what = "a second token of this name; the audit log could not tell them apart";
                return Err(table.error(&name_at, format!("\"{}\": {what}", token.name)));
            }
            table.finish()?;
            tokens.push(Arc::new(token));
        }
        file.finish()?;
        Ok(Self(tokens))
    }

    /// The token that was presented, if it is known and good on the day of `now`. Every entry is looked at.
    pub fn find(&self, presented: &str, now: EventTime) -> Option<Arc<Token>> {
        let hash: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        let today = now.date();
        let mut found = None;
        for token in &self.0 {
            if same(&token.sha256, &hash) && today <= token.expires {
                found = Some(token);
            }
        }
        found.map(Arc::clone)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn entry(table: &mut Table<'_>) -> Result<(Token, std::ops::Range<usize>), TomlError> {
    let name = table.need_text("name")?;
    if let Err(message) = check_name(&name.value) {
        return Err(table.error(&name.at, message));
    }
    let roles = Role::ALL.map(|role| (role.name(), role));
    let role = table.optional_choice("role", &roles)?;
    let role = role.ok_or_else(|| table.missing("role"))?;
    let sha256 = table.need_text("sha256")?;
    let Some(hash) = parse_hash(&sha256.value) else {
        let what =
            "\"sha256\" is not 64 hexadecimal digits; make the entry with `fenghuo token new`";
        return Err(table.error(&sha256.at, what));
    };
    let expires = table.need_text("expires")?;
    let Ok(date) = expires.value.parse::<Date>() else {
        let what = "expected a date like \"2027-03-01\"";
        let message = format!("\"expires\" is \"{}\"; {what}", expires.value);
        return Err(table.error(&expires.at, message));
    };
    let connectors = table.texts("connectors")?;
    if connectors.is_some() && role != Role::Ingest {
        let what = "\"connectors\" is only for role \"ingest\"";
        return Err(table.error(&name.at, format!("token \"{}\": {what}", name.value)));
    }
    let connectors =
        connectors.map(|list| list.into_iter().map(|c: Placed<String>| c.value).collect());
    let token = Token {
        name: name.value,
        role,
        connectors,
        sha256: hash,
        expires: date,
    };
    Ok((token, name.at))
}

/// Compares without an early end.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a.iter().zip(b).fold(0, |sum, (x, y)| sum | (x ^ y));
    std::hint::black_box(difference) == 0
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut hash = [0; 32];
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(hash)
}

fn check_name(name: &str) -> Result<(), String> {
    let good = |c: char| c.is_alphanumeric() || ['-', '_', '.'].contains(&c);
    if name.is_empty() || NAME_CHARS_MAX < name.chars().count() || !name.chars().all(good) {
        return Err(format!(
            "token name \"{}\": expected 1 to {NAME_CHARS_MAX} letters, digits, \"-\", \"_\" or \".\"",
            name.escape_debug()
        ));
    }
    Ok(())
}

/// A token file that is read again when it changes.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    current: Mutex<(Stamp, Arc<Tokens>)>,
}

/// What changes when someone saves a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<std::time::SystemTime>,
    size_bytes: u64,
    mode: u32,
    inode: u64,
}

impl TokenFile {
    /// Opens and reads a file.
    pub fn open(path: &Path) -> Result<Self, TokenError> {
        let stamp = Stamp::of(path);
        let tokens = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            current: Mutex::new((stamp, Arc::new(tokens))),
        })
    }

    /// The token that was presented, if it is known and good now. A file that went bad lets nobody in.
    pub fn find(&self, presented: &str, now: EventTime) -> Option<Arc<Token>> {
        self.fresh().find(presented, now)
    }

    fn fresh(&self) -> Arc<Tokens> {
        let stamp = Stamp::of(&self.path);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != stamp {
            let tokens = match read(&self.path) {
                Ok(tokens) => {
                    tracing::info!(count = tokens.len(), "token file read again");
                    tokens
                }
                Err(error) => {
                    let why = super::logging::chain(&error);
                    tracing::error!(error = %why, "token file cannot be used; nobody is let in");
                    Tokens::default()
                }
            };
            *current = (stamp, Arc::new(tokens));
        }
        Arc::clone(&current.1)
    }
}

impl Stamp {
    fn of(path: &Path) -> Self {
        let metadata = std::fs::metadata(path).ok();
        Self {
            modified: metadata.as_ref().and_then(|m| m.modified().ok()),
            size_bytes: metadata.as_ref().map_or(0, std::fs::Metadata::len),
            mode: metadata.as_ref().map_or(0, mode),
            inode: metadata.as_ref().map_or(0, inode),
        }
    }
}

#[cfg(unix)]
fn mode(metadata: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata)
}
#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}
#[cfg(not(unix))]
fn mode(_: &std::fs::Metadata) -> u32 {
    0
}
#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}

fn read(path: &Path) -> Result<Tokens, TokenError> {
    let bytes = read_secret(path, 0, FILE_BYTES_MAX)?;
    let name = path.display().to_string();
    let Ok(text) = std::str::from_utf8(bytes.expose()) else {
        return Err(TokenError::Encoding(name));
    };
    Ok(Tokens::parse(&name, text)?)
}

/// What a new token shall be.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Whom the audit log names.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// How many days it is good, today not counted, 1..=3,660.
    pub days: i64,
    /// The connectors it may feed; empty means all.
    pub connectors: Vec<String>,
}

/// Makes a token, adds its hash to the file (made with mode 0600 if absent) and gives the token itself, for the last time.
pub fn create(
    path: &Path,
    new: &NewToken,
    now: EventTime,
) -> Result<Sensitive<String>, TokenError> {
    check_name(&new.name).map_err(TokenError::Request)?;
    if !(1..=DAYS_MAX).contains(&new.days) {
        let what = format!("days is {}; expected 1 to {DAYS_MAX}", new.days);
        return Err(TokenError::Request(what));
    }
    let file = path.display().to_string();
    let mut text = if path.exists() {
        let bytes = read_secret(path, 0, FILE_BYTES_MAX)?;
        String::from_utf8(bytes.expose().clone()).map_err(|_| TokenError::Encoding(file.clone()))?
    } else {
        String::new()
    };
    let secret = random_token()?;
    let hash = hex(&Sha256::digest(secret.expose().as_bytes()));
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let expires = now.plus_days(new.days).date();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "[[token]]\nname = \"{}\"\nrole = \"{}\"\nsha256 = \"{hash}\"\nexpires = \"{expires}\"\n",
        new.name,
        new.role.name()
    );
    if !new.connectors.is_empty() {
        let list: Vec<String> = new.connectors.iter().map(|c| toml_text(c)).collect();
        let _ = writeln!(text, "connectors = [{}]", list.join(", "));
    }
    // The whole file must be good before it replaces the old one: a bad one would let nobody in.
    Tokens::parse(&file, &text)?;
    replace(path, &text).map_err(|source| TokenError::Write { path: file, source })?;
    Ok(secret)
}

fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn random_token() -> Result<Sensitive<String>, TokenError> {
    let mut bytes = [0_u8; 32];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| TokenError::Random)?;
    Ok(Sensitive::new(format!("{PREFIX}{}", hex(&bytes))))
}

/// Writes beside the file and renames, so that a reader sees the old file or the new one.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_added_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // What was wrong with the write matters more than whether the leftover goes.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests;

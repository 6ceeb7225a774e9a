//! What stands behind the doors: the few things that HTTP asks of the process, as traits and one set of flags.
//!
//! All calls may block for a moment (a lock, a disk) except [`Ingest::push`], which must answer at once.
//!
//! bounds   a body is at most 1 MiB, an answer as large as the caller's `limit` makes it

use super::answer::RequestId;
use crate::engine::event::SubjectKey;
use crate::engine::subject::view::Level;
use crate::runtime::paper::Form;
use axum::body::Bytes;
use serde::Serialize;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;

/// Takes records in.
pub trait Ingest: Send + Sync {
    /// Queues a body in the connector's framing. The receipt comes when every record of it is durable, as an event or as a
    /// dead letter; if the sender is dropped instead, what became of the records is not known. Never waits.
    fn push(
        &self,
        connector: &str,
        body: Bytes,
        request: &RequestId,
    ) -> Result<oneshot::Receiver<Receipt>, PushError>;
}

/// What became of a body's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Records found.
    pub read: u64,
    /// Records that are events now, repeated ones among them.
    pub accepted: u64,
    /// Records in the dead letters.
    pub refused: u64,
}

/// Why a body was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// No source of kind "http" has this connector.
    #[error("no http source has this connector")]
    UnknownConnector,
    /// The queue is full.
    #[error("the queue is full")]
    Full {
        /// When to try again.
        retry_after_s: u64,
    },
    /// The process is stopping.
    #[error("the process is stopping")]
    Draining,
    /// The body as a whole makes no sense, for example a CSV without its header.
    #[error("{0}")]
    Body(String),
}

/// Answers questions from what is committed.
pub trait ReadModel: Send + Sync {
    /// Where a subject is, in words, if another process has it.
    fn elsewhere(&self, _key: &SubjectKey) -> Option<String> {
        None
    }
    /// A subject's profile.
    fn subject(&self, key: &SubjectKey) -> Option<Value>;
    /// Warnings, the newest first.
    fn warnings(&self, query: &WarningQuery) -> Value;
    /// One warning with its revisions and evidence.
    fn warning(&self, id: &str) -> Option<Value>;
    /// The disposal of a warning, the life of a sanction, or the brake of a rule's sanctions, with its course.
    fn case(&self, id: &str) -> Option<Value>;
    /// All key events; `None` if the loop does not answer in time.
    fn key_events(&self) -> Option<Value>;
    /// A key event with its own course.
    fn key_event(&self, id: &str) -> Option<Value>;
    /// The report of a key event; an error says why it cannot be written.
    fn event_report(&self, id: &str, form: Form) -> Option<Result<Vec<u8>, String>>;
    /// The rule set in use.
    fn rules(&self) -> Value;
    /// What a challenger adds and drops against its champion, or why there is no such challenge; `None` if the loop does not
    /// answer in time.
    fn duel(&self, challenger: &str) -> Option<Result<Value, String>>;
}

/// Which warnings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarningQuery {
    /// Only this level.
    pub level: Option<Level>,
    /// Only this city: the first four digits of a GB/T 2260 code count.
    pub city: Option<String>,
    /// At most so many, 1..=500.
    pub limit: usize,
}

/// Does what people answer for.
pub trait Control: Send + Sync {
    /// Does it, durably, before it answers. The audit log has the request already.
    fn act(&self, actor: &str, act: &Act) -> Result<Value, ActError>;
}

/// A control act.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Load the rules again, whole or not at all.
    ReloadRules,
    /// What officers found out about a warning.
    Feedback {
        /// The warning's id.
        warning: String,
        /// The body, a JSON object.
        finding: Value,
    },
    /// What an officer does about a warning, a sanction, or a rule's sanctions.
    Dispose {
        /// The id of a warning or a sanction, `rule:<id>`, or `event:<id>`.
        object: String,
        /// The body: `act`, and `why`, `target`, `id` as needed.
        what: Value,
    },
}

/// Why an act was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// It concerns something that is not there.
    #[error("{0}")]
    NotFound(String),
    /// It makes no sense; nothing has changed.
    #[error("{0}")]
    Refused(String),
    /// It cannot be done now.
    #[error("{0}")]
    Unavailable(String),
}

/// One line of the audit log, before it gets its place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditEntry<'a> {
    /// The token's name, or `unknown from <address>`.
    pub actor: &'a str,
    /// The role, or `none`.
    pub role: &'a str,
    /// The action of the route table: `rules.reload`.
    pub action: &'a str,
    /// The path asked for, at most 200 characters of ASCII.
    pub object: &'a str,
    /// `requested`, `done`, `failed 409`, `denied 403`.
    pub result: &'a str,
}

/// Writes down who did what.
pub trait AuditSink: Send + Sync {
    /// Appends durably. An error refuses the act.
    fn append(&self, entry: &AuditEntry<'_>) -> Result<(), AuditFault>;
    /// The last entries, the newest first.
    fn recent(&self, limit: usize) -> Result<Value, AuditFault>;
}

/// The audit log cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("audit log: {0}")]
pub struct AuditFault(pub String);

/// Whether the process can do its work. Each flag is set by whoever knows.
#[derive(Debug, Default)]
pub struct Health {
    recovered: AtomicBool,
    sources: AtomicBool,
    poisoned: AtomicBool,
    draining: AtomicBool,
}

impl Health {
    /// The state has been read back.
    pub fn set_recovered(&self) {
        self.recovered.store(true, Ordering::Release);
    }

    /// The sources run, or do not.
    pub fn set_sources_running(&self, is_running: bool) {
        self.sources.store(is_running, Ordering::Release);
    }

    /// The store failed: nothing will be committed any more.
    pub fn set_poisoned(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    /// The process is stopping.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the process is stopping.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// What keeps the process from being ready; empty when it is.
    pub fn obstacles(&self) -> Vec<&'static str> {
        let on = |flag: &AtomicBool| flag.load(Ordering::Acquire);
        [
            (!on(&self.recovered), "state is being recovered"),
            (!on(&self.sources), "sources are not running"),
            (on(&self.poisoned), "store failed, restart needed"),
            (on(&self.draining), "stopping"),
        ]
        .into_iter()
        .filter_map(|(is_in_the_way, what)| is_in_the_way.then_some(what))
        .collect()
    }
}

//! Where outputs leave: files, standard output, a webhook.
//!
//! Outputs are committed to the store as [`OutboxEntry`]s first and delivered after, so each leaves at least once, in
//! order, with the same id and the same bytes. A sink's durable progress is a [`SinkPosition`], which the caller keeps
//! in the store:
//!
//! ```text
//! start:  resume(position of the store) → on a new store, commit position() once before the first delivery
//! loop:   deliver(entries) → sync() → commit { position(), delivered entries out of the outbox }
//! ```
//!
//! After a crash between `deliver` and the commit, the file sink cuts its files back to the committed lengths and the
//! entries come again: the files are the same, byte for byte. Standard output and webhooks may see a copy twice; the id
//! tells it.

pub mod file;
pub mod memory;
pub mod stdout;
pub mod webhook;

pub use file::FileSink;
pub use memory::MemorySink;
pub use stdout::StdoutSink;
pub use webhook::{WebhookConfig, WebhookSink};

use crate::engine::remark::Asked;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What an output is. New kinds go at the end: stored entries hold the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OutputKind {
    /// A warning: raised, revised, withdrawn or ended.
    Warning,
    /// A sanction proposal, or its lift.
    Sanction,
    /// A record that was refused, with its bytes.
    DeadLetter,
    /// A step of a case.
    Task,
    /// An order to a department to impose or lift measures.
    Measure,
    /// A record of supervision, or an item of the catalogue, as it is reported to the nation.
    Record,
    /// What one judgement came to; on request.
    Decision,
    /// How a subject stands; on request.
    SubjectRisk,
}

impl OutputKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Warning,
        Self::Sanction,
        Self::DeadLetter,
        Self::Task,
        Self::Measure,
        Self::Record,
        Self::Decision,
        Self::SubjectRisk,
    ];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Sanction => "sanction",
            Self::DeadLetter => "dead_letter",
            Self::Task => "task",
            Self::Measure => "measure",
            Self::Record => "record",
            Self::Decision => "decision",
            Self::SubjectRisk => "subject_risk",
        }
    }

    /// The file it is written to.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Warning => "warnings.jsonl",
            Self::Sanction => "sanctions.jsonl",
            Self::DeadLetter => "dead-letters.jsonl",
            Self::Task => "tasks.jsonl",
            Self::Measure => "measures.jsonl",
            Self::Record => "records.jsonl",
            Self::Decision => "decisions.jsonl",
            Self::SubjectRisk => "subject-risks.jsonl",
        }
    }

    /// The topic, and the type of its CloudEvents.
    pub fn topic(self) -> &'static str {
        match self {
            Self::Warning => "fenghuo.warning.v1",
            Self::Sanction => "fenghuo.sanction.v1",
            Self::DeadLetter => "fenghuo.dlq.v1",
            Self::Task => "fenghuo.task.v1",
            Self::Measure => "fenghuo.measure.v1",
            Self::Record => "fenghuo.record.v1",
            Self::Decision => "fenghuo.decision.v1",
            Self::SubjectRisk => "fenghuo.subject-risk.v1",
        }
    }

    /// Whether it may hold personal data: dead letters keep the bytes as they came, before any mask.
    pub fn is_private(self) -> bool {
        match self {
            Self::Warning
            | Self::Sanction
            | Self::Task
            | Self::Measure
            | Self::Record
            | Self::Decision
            | Self::SubjectRisk => false,
            Self::DeadLetter => true,
        }
    }

    /// Whether only the last output of a subject matters: its topic is compacted.
    pub fn is_compacted(self) -> bool {
        self == Self::SubjectRisk
    }

    /// What leaves when this is asked for: the kinds that always do, and those.
    pub fn told(asked: Asked) -> Vec<Self> {
        let mut kinds = Self::ALL.to_vec();
        kinds.retain(|kind| match kind {
            Self::Decision => asked.decisions,
            Self::SubjectRisk => asked.risks,
            Self::Warning
            | Self::Sanction
            | Self::DeadLetter
            | Self::Task
            | Self::Measure
            | Self::Record => true,
        });
        kinds
    }
}

/// One output on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// Its place in the order in which outputs leave.
    pub seq: u64,
    /// What it is.
    pub kind: OutputKind,
    /// Whom it is about (`enterprise:9132..`); outputs of one subject keep their order everywhere.
    pub subject: String,
    /// Its identity, the same for every copy.
    pub id: String,
    /// One JSON line without its end.
    pub line: Vec<u8>,
}

/// A sink's progress, kept in the store with the entries that it has taken out of the outbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkPosition {
    /// Committed length of each file in bytes, by file name.
    pub files: BTreeMap<String, u64>,
    /// Entries that the other side refused, in order.
    pub parked: Vec<Parked>,
}

/// An entry that the other side refused and that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The entry.
    pub entry: OutboxEntry,
    /// Why it was refused, or behind which one it waits.
    pub reason: String,
}

/// What a delivery came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Leading entries that are done: delivered, of no concern to this sink, or parked. They leave the outbox.
    pub count: usize,
    /// How many of those are parked; they are in the position now.
    pub parked: usize,
    /// Why it stopped before the end, if it did.
    pub retry: Option<Retry>,
}

/// The entry after the last done one could not be delivered now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How long to wait before the next try.
    pub after_ms: u64,
    /// What happened.
    pub reason: String,
}

/// A place where outputs leave.
pub trait Sink: Send {
    /// Its name, for metrics and keys in the store.
    fn name(&self) -> &str;

    /// Takes up from a committed position. It has to be called once, before anything is delivered.
    fn resume(&mut self, position: &SinkPosition) -> Result<(), SinkError>;

    /// Delivers entries in order. An error is a fault: the process has to end without committing.
    fn deliver(&mut self, entries: &[OutboxEntry]) -> Result<Delivered, SinkError>;

    /// Makes what was delivered durable; before the position is committed.
    fn sync(&mut self) -> Result<(), SinkError>;

    /// The progress to commit after [`Sink::sync`].
    fn position(&self) -> SinkPosition;
}

/// What can go wrong with a sink beyond the entry at hand.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// Another process writes the file.
    #[error("output file \"{}\" is in use by another process; stop that one, or choose another directory", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A file has lost bytes that the store counts as delivered.
    #[error(
        "output file \"{}\" has {length} bytes, but {committed} were delivered and committed; put the missing part back, or start a new store",
        path.display()
    )]
    Shorter {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
        /// What the store has committed, in bytes.
        committed: u64,
    },
    /// A file holds bytes of which the store knows nothing.
    #[error(
        "output file \"{}\" has {length} bytes that this store never wrote; move it away, or choose another directory",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
    },
    /// Somebody else has written to a file or cut it.
    #[error(
        "output file \"{}\" has {length} bytes instead of {expected}: somebody else writes to it; find out who, then start again",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
        /// What this process has written, in bytes.
        expected: u64,
    },
    /// The operating system refused.
    #[error("cannot {doing} \"{}\"", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// The configuration makes no sense.
    #[error("webhook: {what}")]
    Configuration {
        /// What is wrong and what to do.
        what: String,
    },
    /// The national exchange cannot take outputs over.
    #[error("exchange: {what}")]
    Exchange {
        /// Why not.
        what: String,
    },
    /// The crash-testing twin was told to fail here.
    #[error("sink: crash asked for at delivery {delivery}")]
    Injected {
        /// Which one, from 0.
        delivery: u64,
    },
}

#[cfg(test)]
pub(crate) fn entry(seq: u64, kind: OutputKind, subject: &str) -> OutboxEntry {
    OutboxEntry {
        seq,
        kind,
        subject: subject.to_owned(),
        id: format!("id-{seq}"),
        line: format!("{{\"seq\":{seq}}}").into_bytes(),
    }
}

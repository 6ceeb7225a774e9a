//! Where records come from, each as a *lane*: files one after the other, standard input, or what was pushed over HTTP.
//!
//! A lane reads blocks, splits them into records and decodes them in parallel, a few thousand at a time, and hands them
//! on in their own order with their place. Lanes with `order = "event-time"` are merged by the arrival time of their next
//! record; that order depends on the records alone, not on when they were read.
//!
//! bounds   [`BLOCK_BYTES`] a read, [`READY_MAX`] decoded records of it; a file that reads ahead reads on until it has as many
//!          ready as were taken at a time of late and a quarter more, so at most one read beyond that
//! errors   what is wrong with a record is a [`Reject`] with its place; what is wrong with a file is a [`SourceFault`]

mod files;
mod lane;
mod merge;
mod piped;
mod pushed;

pub use files::{FileLane, FileLaneSpec};
pub use lane::{Decoded, Lane, Pull, Refill};
pub use merge::{LaneCard, Merge, Taken};
pub use pushed::{PushLane, PushQueue, Pushed};

use std::path::PathBuf;
use std::sync::Arc;

/// Bytes read from a file at once.
pub const BLOCK_BYTES: usize = 1 << 20;
/// The most records that a lane decodes at a time.
pub const READY_MAX: usize = 8_192;

/// Where a record stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, or the name of the stream.
    pub file: Arc<str>,
    /// The offset of its first byte.
    pub from: u64,
    /// The offset after its last byte and line end: where reading goes on.
    pub to: u64,
    /// The number of the record in the file, from 1, header not counted.
    pub number: u64,
}

/// Why a source cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceFault {
    /// A file or directory cannot be read.
    #[error("source \"{source_name}\": cannot read {path}: check that it exists and may be read", path = path.display())]
    Read {
        /// The source.
        source_name: String,
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A file is shorter than what was already read of it.
    #[error(
        "source \"{source_name}\": {path} has {length} bytes, but {read} were already read: it was cut or replaced; restore it, or give the new file another name",
        path = path.display()
    )]
    Shrunk {
        /// The source.
        source_name: String,
        /// The path.
        path: PathBuf,
        /// Its length now, bytes.
        length: u64,
        /// How much of it was read, bytes.
        read: u64,
    },
    /// A topic cannot be read.
    #[error("source \"{source_name}\": {what}")]
    Topic {
        /// The source.
        source_name: String,
        /// What is wrong and what to do.
        what: String,
        /// Whether waiting cannot mend it.
        is_final: bool,
    },
}

impl SourceFault {
    /// Whether waiting cannot mend it, so that a live run stops as well.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Topic { is_final: true, .. })
    }

    /// Whether it is a topic that may be there again in a moment.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Topic {
                is_final: false,
                ..
            }
        )
    }
}

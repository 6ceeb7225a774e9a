//! Back-tests: what a rule set would have said over an archive of events, beside what another one would have.
//!
//! ```text
//! archive ─▶ gather: by subject into 64 buckets, packed ─▶ judge: one bucket a processor ─▶ collectives ─▶ report
//! ```
//!
//! Two runs give the same bytes, on any number of processors. What a bucket gave is kept in the work directory if one is
//! named, so that an interrupted back-test goes on where it was; the directory knows by a fingerprint what it belongs to.
//!
//! bounds   about 400 bytes a packed event and 40 a record in memory
//! errors   [`BacktestError`]; damaged files of the archive are named in the report and the rest is judged

pub mod expect;
pub mod fit;
pub mod gather;
pub mod judge;
pub mod outcome;
pub mod page;
pub mod report;
pub mod sheet;

use super::archive::ArchiveError;
use std::path::PathBuf;

/// Why a back-test cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file beside it: outcomes, expectations, partial results, reports.
    #[error("cannot {doing} \"{path}\"", path = path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// A file that says something that cannot be used.
    #[error("{path}:{line}: {what}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A workbook.
    #[error("cannot write the workbook \"{path}\"", path = path.display())]
    Workbook {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: rust_xlsxwriter::XlsxError,
    },
    /// The user stopped it.
    #[error("interrupted; start it again with the same --work directory and it goes on")]
    Interrupted,
}

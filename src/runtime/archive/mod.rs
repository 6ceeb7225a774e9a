//! The archive of events: what back-tests, `rule fit` and other tools read, one Parquet file (zstd) or more a day.
//!
//! ```text
//! <dir>/day=2026-03-01/000000000001-000000004711.parquet     inputs 1 to 4711, those that arrived on that day
//! <dir>/tail.log                                             what a running engine has not yet put into a file
//! ```
//!
//! The day is the day of arrival, so files are only ever added. A file's name says which inputs it holds, so a file that is
//! cut short or missing can be named together with what is lost. The columns are those of [`columns`]; any tool that reads
//! Parquet reads them. A file is written beside its place, made durable, then renamed.
//!
//! bounds   [`columns::ROWS_MAX`] events a file
//! errors   [`ArchiveError`]; a damaged file is a [`Damage`], a value: the other files are still read

pub mod columns;
pub mod intake;
pub mod keep;
pub mod parcel;
pub mod slip;

use crate::engine::time::{EventTime, date_of_day};
use columns::{ROWS_MAX, Row, Scan};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use slip::{Slip, Wanted};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the archive cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The disk.
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
    /// A file cannot be written as Parquet.
    #[error("cannot write \"{path}\" as Parquet", path = path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: ParquetError,
    },
    /// There is no archive.
    #[error("\"{path}\" is no archive: it has no day=… directories; make one with `fenghuo archive import`", path = path.display())]
    NoArchive {
        /// The directory.
        path: PathBuf,
    },
}

pub(crate) fn fault(
    doing: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> ArchiveError {
    let path = path.to_owned();
    move |cause| ArchiveError::File { doing, path, cause }
}

/// One file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The number of its first input.
    pub from: u64,
    /// The number of its last input.
    pub to: u64,
    /// The day of arrival, days since 1970-01-01 in Shanghai.
    pub day: i32,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

impl Part {
    /// How many inputs its numbers span: at least as many as it has events.
    pub fn events(&self) -> usize {
        let span = self.to.saturating_sub(self.from).saturating_add(1);
        usize::try_from(span).unwrap_or(usize::MAX).min(ROWS_MAX)
    }
}

/// A file that cannot be read whole.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
    /// How many events of it were read.
    pub readable: u64,
    /// The numbers of the inputs that it should hold.
    pub inputs: (u64, u64),
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "\"{}\" (inputs {} to {}) is damaged or cut short: {}; {} events of it were readable; import that day again from its source",
            self.file, self.inputs.0, self.inputs.1, self.why, self.readable
        )
    }
}

/// The files of an archive, in the order of their first inputs.
pub fn parts(dir: &Path) -> Result<Vec<Part>, ArchiveError> {
    let mut parts = Vec::new();
    let mut days = 0;
    for entry in std::fs::read_dir(dir).map_err(fault("read", dir))? {
        let path = entry.map_err(fault("read", dir))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some((time, _)) = name.strip_prefix("day=").and_then(EventTime::parse) else {
            continue;
        };
        days += 1;
        for file in std::fs::read_dir(&path).map_err(fault("read", &path))? {
            let file = file.map_err(fault("read", &path))?;
            let name = file.file_name().to_string_lossy().into_owned();
            let range = name
                .strip_suffix(".parquet")
                .and_then(|n| n.split_once('-'));
            let numbers = range.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            let Some((from, to)) = numbers else { continue };
            parts.push(Part {
                from,
                to,
                day: time.day(),
                bytes: file.metadata().map_err(fault("read", &path))?.len(),
                path: file.path(),
            });
        }
    }
    if days == 0 {
        return Err(ArchiveError::NoArchive {
            path: dir.to_owned(),
        });
    }
    parts.sort();
    Ok(parts)
}

fn damage(part: &Part, why: String, readable: u64) -> Damage {
    Damage {
        file: part.path.display().to_string(),
        why,
        readable,
        inputs: (part.from, part.to),
    }
}

type Reader = SerializedFileReader<bytes::Bytes>;

fn open(part: &Part) -> Result<Reader, String> {
    // A file is some hundred kilobytes: read at once, its columns are slices of it.
    let whole = std::fs::read(&part.path).map_err(|error| error.to_string())?;
    SerializedFileReader::new(bytes::Bytes::from(whole)).map_err(|error| error.to_string())
}

/// The events of a file. What is damaged is said beside what was readable.
pub fn read(part: &Part) -> (Vec<Row>, Option<Damage>) {
    let mut rows = Vec::new();
    let reader = match open(part) {
        Ok(reader) => reader,
        Err(why) => return (rows, Some(damage(part, why, 0))),
    };
    for at in 0..reader.num_row_groups() {
        let read = reader
            .get_row_group(at)
            .and_then(|group| columns::read(group.as_ref()));
        match read {
            Ok(mut more) => rows.append(&mut more),
            Err(error) => {
                let readable = u64::try_from(rows.len()).unwrap_or(0);
                return (rows, Some(damage(part, error.to_string(), readable)));
            }
        }
    }
    (rows, None)
}

/// Gives the events of a file, as far as they are wanted; only the columns for that are read. What is damaged is told after
/// what was readable.
pub fn scan(part: &Part, wanted: &Wanted, tell: &mut dyn FnMut(&Slip<'_>)) -> Option<Damage> {
    let reader = match open(part) {
        Ok(reader) => reader,
        Err(why) => return Some(damage(part, why, 0)),
    };
    let mut readable = 0_u64;
    for at in 0..reader.num_row_groups() {
        let mut counted = |slip: &Slip<'_>| {
            readable += 1;
            tell(slip);
        };
        let told = reader
            .get_row_group(at)
            .and_then(|group| scan_group(group.as_ref(), wanted, &mut counted));
        if let Err(error) = told {
            return Some(damage(part, error.to_string(), readable));
        }
    }
    None
}

fn scan_group(
    group: &dyn RowGroupReader,
    wanted: &Wanted,
    tell: &mut dyn FnMut(&Slip<'_>),
) -> Result<(), ParquetError> {
    if let Some(scan) = Scan::of(group, wanted)? {
        return scan.each(wanted, tell);
    }
    for (seq, event) in &columns::read(group)? {
        tell(&Slip::of(*seq, event, wanted));
    }
    Ok(())
}

/// Writes rows into files, one or more for each day of arrival; the rows are in the order of their numbers.
pub fn write(dir: &Path, rows: &[Row]) -> Result<u64, ArchiveError> {
    let mut days: BTreeMap<i32, Vec<Row>> = BTreeMap::new();
    for (seq, event) in rows {
        let of_day = days.entry(event.arrived_at.day()).or_default();
        of_day.push((*seq, Arc::clone(event)));
    }
    let mut files = 0;
    for (day, rows) in &days {
        for rows in rows.chunks(ROWS_MAX) {
            write_part(dir, *day, rows)?;
            files += 1;
        }
    }
    Ok(files)
}

fn write_part(dir: &Path, day: i32, rows: &[Row]) -> Result<(), ArchiveError> {
    let (Some((from, _)), Some((to, _))) = (rows.first(), rows.last()) else {
        return Ok(());
    };
    let date = date_of_day(day);
    let folder = dir.join(format!(
        "day={:04}-{:02}-{:02}",
        date.year(),
        date.month(),
        date.day()
    ));
    std::fs::create_dir_all(&folder).map_err(fault("create", &folder))?;
    let path = folder.join(format!("{from:012}-{to:012}.parquet"));
    let beside = path.with_extension("parquet.part");
    let file = File::create(&beside).map_err(fault("create", &beside))?;
    let buffered = std::io::BufWriter::with_capacity(1 << 20, file);
    let written = columns::write(buffered, rows).map_err(|cause| ArchiveError::Parquet {
        path: beside.clone(),
        cause,
    })?;
    let file = written
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .map_err(fault("write", &beside))?;
    file.sync_all().map_err(fault("make durable", &beside))?;
    std::fs::rename(&beside, &path).map_err(fault("rename", &beside))?;
    let folder_file = File::open(&folder).map_err(fault("open", &folder))?;
    folder_file
        .sync_all()
        .map_err(fault("make durable", &folder))
}

#[cfg(test)]
mod tests;

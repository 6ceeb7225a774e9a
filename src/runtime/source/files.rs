//! A lane of files: one file, a directory whose files are read in the order of their names, or standard input.
//!
//! A position is the number of bytes of each file that are dealt with; reading goes on there after a restart, with the
//! CSV header read again from the front. Files whose names begin with a dot or end in `.tmp` or `.part` are not yet there:
//! whoever delivers renames them when they are whole. A single file may grow; a record counts when its line is ended, or,
//! with `until_end`, at the end of the file.
//!
//! errors   a file that is gone or shorter than what was read of it is a fault; the lane reports it and stays where it is

use super::lane::{Decoded, Lane, Refill};
use super::piped::Piped;
use super::{BLOCK_BYTES, Place, READY_MAX, SourceFault};
use crate::engine::connector::{Connector, Decoder, Frame, Framer, Framing};
use crate::engine::record::Prepared;
use crate::engine::reject::{Reject, RejectCode};
use crate::engine::time::EventTime;
use crate::runtime::attempt::{Attempts, Spot};
use crate::runtime::journal::FilePosition;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is kept of a record that is too long: one byte more than a dead letter holds, so that it shows as cut.
const FRONT_BYTES: usize = crate::runtime::dlq::BYTES_MAX + 1;
/// So many decoded records are ready at least, if they are there, while what was taken is judged; more if more are taken at a time.
const AHEAD_MIN: usize = 512;

/// What a file lane is made of.
#[derive(Debug, Clone)]
pub struct FileLaneSpec {
    /// The source's name.
    pub name: String,
    /// A file, or a directory.
    pub path: PathBuf,
    /// Whether `path` is a directory; `-` is standard input.
    pub is_directory: bool,
    /// Which files of a directory: `*` and `?` are wild.
    pub glob: String,
    /// The connector and its place in the list.
    pub connector: (usize, Arc<Connector>),
    /// The key that personal data is hashed with.
    pub personal_key: Arc<[u8]>,
    /// Whether the lane is merged with others by arrival time.
    pub is_merged: bool,
    /// Whether the end of a file is the end of it.
    pub until_end: bool,
    /// No record may be later than this by more than the connector's allowance.
    pub now: EventTime,
}

/// See the module.
pub struct FileLane {
    spec: FileLaneSpec,
    attempts: Arc<Attempts>,
    positions: BTreeMap<String, FilePosition>,
    finished: BTreeMap<String, u64>,
    open: Option<Open>,
    ready: VecDeque<Decoded>,
    /// Records decoded since more were read ahead, and those that were ready then.
    fresh: usize,
    /// How many are taken at a time, of late.
    taken: usize,
    last_arrival: EventTime,
}

struct Open {
    name: Arc<str>,
    path: PathBuf,
    file: Box<dyn Read + Send>,
    framer: Framer,
    decoder: Decoder,
    /// Read but not yet framed.
    rest: Vec<u8>,
    /// Bytes of the last block.
    last_bytes: usize,
    /// The offset of the first byte of `rest`.
    offset: u64,
    number: u64,
    needs_header: bool,
    header: Option<Arc<[u8]>>,
    /// Where a record that is too long began, and its beginning.
    skipped: Option<(u64, Vec<u8>)>,
    /// Whether nothing will come any more.
    ended: bool,
}

struct Raw {
    range: (usize, usize),
    to: u64,
    from: u64,
    number: u64,
    /// The beginning of a record that is too long.
    front: Option<Arc<Vec<u8>>>,
}

impl Open {
    /// Keeps the beginning of a record that is too long, for the dead letters.
    fn skip(&mut self, at: u64, bytes: &[u8]) {
        let (_, front) = self.skipped.get_or_insert_with(|| (at, Vec::new()));
        let room = FRONT_BYTES.saturating_sub(front.len());
        front.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }
}

impl fmt::Debug for FileLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileLane")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl FileLane {
    /// A lane that goes on at these positions.
    pub fn new(spec: FileLaneSpec, positions: BTreeMap<String, FilePosition>) -> Self {
        Self {
            spec,
            attempts: Attempts::none(),
            positions,
            finished: BTreeMap::new(),
            open: None,
            ready: VecDeque::new(),
            fresh: 0,
            taken: 0,
            last_arrival: EventTime::MIN,
        }
    }

    fn fault(&self, path: &Path, cause: std::io::Error) -> SourceFault {
        SourceFault::Read {
            source_name: self.spec.name.clone(),
            path: path.to_owned(),
            cause,
        }
    }

    /// The files there are, with their names in positions, in order.
    fn list(&self) -> Result<Vec<(String, PathBuf)>, SourceFault> {
        if !self.spec.is_directory {
            let name = self
                .spec
                .path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            return Ok(vec![(name, self.spec.path.clone())]);
        }
        let entries =
            std::fs::read_dir(&self.spec.path).map_err(|e| self.fault(&self.spec.path, e))?;
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| self.fault(&self.spec.path, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let partial = [".tmp", ".part"].iter().any(|end| name.ends_with(end))
                || !matches(&self.spec.glob, &name);
            if !name.starts_with('.') && !partial && entry.path().is_file() {
                files.push((name, entry.path()));
            }
        }
        files.sort();
        Ok(files)
    }

    fn open_stdin(&mut self) -> bool {
        if self.finished.contains_key("-") {
            return false;
        }
        self.finished.insert("-".to_owned(), 0);
        self.open = Some(self.opened("-", PathBuf::from("-"), Box::new(Piped::stdin()), 0));
        true
    }

    fn opened(&self, name: &str, path: PathBuf, file: Box<dyn Read + Send>, offset: u64) -> Open {
        let connector = Arc::clone(&self.spec.connector.1);
        let framing = connector.framing();
        Open {
            name: Arc::from(name),
            path,
            file,
            framer: Framer::new(framing),
            decoder: Decoder::new(connector, Arc::clone(&self.spec.personal_key)),
            rest: Vec::new(),
            last_bytes: 0,
            offset,
            number: 0,
            needs_header: matches!(framing, Framing::Csv),
            header: None,
            skipped: None,
            ended: false,
        }
    }

    /// Opens the next file that has something new.
    fn open_next(&mut self) -> Result<bool, SourceFault> {
        if self.spec.path == Path::new("-") {
            return Ok(self.open_stdin());
        }
        for (name, path) in self.list()? {
            let length = std::fs::metadata(&path)
                .map_err(|e| self.fault(&path, e))?
                .len();
            let position = self.positions.get(&name).copied().unwrap_or_default();
            let read = position.offset;
            if length < read {
                let source_name = self.spec.name.clone();
                return Err(SourceFault::Shrunk {
                    source_name,
                    path,
                    length,
                    read,
                });
            }
            if self.finished.get(&name) == Some(&length) || (length == read && 0 < read) {
                continue;
            }
            let mut file = File::open(&path).map_err(|e| self.fault(&path, e))?;
            let at = path.clone();
            let mut front = self.opened(&name, path, Box::new(std::io::empty()), read);
            if 0 < read {
                front.number = position.number;
                self.last_arrival = position.arrived_at;
                if front.needs_header {
                    front.needs_header =
                        !read_header(&mut file, &mut front).map_err(|e| self.fault(&at, e))?;
                }
                file.seek(SeekFrom::Start(read))
                    .map_err(|e| self.fault(&at, e))?;
            }
            front.file = Box::new(file);
            self.open = Some(front);
            return Ok(true);
        }
        Ok(false)
    }

    /// Reads one block of the open file and decodes its records; false when nothing was gained.
    fn read_block(&mut self) -> Result<bool, SourceFault> {
        let Some(open) = self.open.as_mut() else {
            return Ok(false);
        };
        let mut block = core::mem::take(&mut open.rest);
        let before = block.len();
        let want = u64::try_from(BLOCK_BYTES.saturating_sub(before)).unwrap_or(u64::MAX);
        let full = want == 0;
        // Room for as much as the last block had: a file that is caught up with gives blocks alike, one that grows little ones.
        block.reserve_exact(open.last_bytes.min(BLOCK_BYTES).saturating_sub(before));
        let read = (&mut open.file)
            .take(want)
            .read_to_end(&mut block)
            .map(|_| ());
        if let Err(cause) = &read
            && cause.kind() != std::io::ErrorKind::WouldBlock
        {
            let (path, cause) = (
                open.path.clone(),
                std::io::Error::new(cause.kind(), cause.to_string()),
            );
            return Err(self.fault(&path, cause));
        }
        let gained = full || before < block.len();
        open.last_bytes = block.len();
        let ended = read.is_ok() && !gained;
        let complete = self.spec.until_end || self.spec.is_directory || open.name.as_ref() == "-";
        open.ended = ended;
        let at_end = ended && complete;
        let (raws, used) = frame(open, &block, at_end);
        open.rest = block.get(used..).unwrap_or_default().to_vec();
        open.offset += u64::try_from(used).unwrap_or(0);
        let none = raws.is_empty();
        self.decode(&Arc::new(block), raws);
        Ok(gained || !none)
    }

    fn decode(&mut self, block: &Arc<Vec<u8>>, raws: Vec<Raw>) {
        let Some(open) = self.open.as_ref() else {
            return;
        };
        let decoder = &open.decoder;
        let now = self.spec.now;
        let id = self.spec.connector.1.id();
        let (source, name, attempts) = (&self.spec.name, &open.name, &self.attempts);
        let results: Vec<Result<Prepared, Reject>> = attempts.each(&raws, |raw| {
            if raw.front.is_some() {
                let message = format!(
                    "connector \"{id}\": the record is longer than 256 KiB; deliver it in parts"
                );
                return Err(Reject::new(RejectCode::TooLong, message));
            }
            let bytes = block.get(raw.range.0..raw.range.1).unwrap_or_default();
            let spot = || Spot::at(source, name, raw.from);
            let decode = || decoder.decode(bytes, now).map(Prepared::new);
            attempts.on(spot, decode)?
        });
        self.fresh = self.fresh.saturating_add(raws.len());
        for (raw, result) in raws.into_iter().zip(results) {
            if let Ok(prepared) = &result {
                self.last_arrival = prepared.event.arrived_at;
            }
            self.ready.push_back(Decoded {
                result: Some(result),
                place: Place {
                    file: Arc::clone(&open.name),
                    from: raw.from,
                    to: raw.to,
                    number: raw.number,
                },
                range: raw
                    .front
                    .as_ref()
                    .map_or(raw.range, |front| (0, front.len())),
                block: raw.front.unwrap_or_else(|| Arc::clone(block)),
                header: open.header.clone(),
                arrived_at: self.last_arrival,
                clock: None,
                receipt: None,
            });
        }
    }
}

/// Splits a block into records. Gives them and how many bytes they took.
fn frame(open: &mut Open, block: &[u8], at_end: bool) -> (Vec<Raw>, usize) {
    let mut raws = Vec::new();
    let mut used = 0;
    while raws.len() < READY_MAX {
        let rest = block.get(used..).unwrap_or_default();
        let base = open.offset + u64::try_from(used).unwrap_or(0);
        let (range, consumed, too_long) = match open.framer.next(rest, at_end) {
            Frame::Record {
                start,
                end,
                consumed,
            } => ((used + start, used + end), consumed, false),
            Frame::Skip { consumed } => {
                open.skip(base, rest.get(..consumed).unwrap_or_default());
                used += consumed;
                continue;
            }
            Frame::TooLong { consumed } => {
                open.skip(base, rest.get(..consumed).unwrap_or_default());
                ((used, used), consumed, true)
            }
            Frame::NeedMore | Frame::End => break,
        };
        used += consumed;
        let to = base + u64::try_from(consumed).unwrap_or(0);
        if open.needs_header && !too_long {
            open.needs_header = false;
            let row = block.get(range.0..range.1).unwrap_or_default();
            if open.decoder.set_header(row).is_ok() {
                open.header = Some(Arc::from(row));
                continue;
            }
        }
        open.number += 1;
        let skipped = open.skipped.take();
        let from = skipped.as_ref().map_or(base, |(from, _)| *from);
        let front = skipped.map(|(_, front)| Arc::new(front));
        raws.push(Raw {
            range,
            from,
            to,
            number: open.number,
            front,
        });
    }
    (raws, used)
}

fn read_header(file: &mut File, open: &mut Open) -> std::io::Result<bool> {
    let mut front = Vec::new();
    file.take(u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX))
        .read_to_end(&mut front)?;
    Ok(match open.framer.next(&front, true) {
        Frame::Record { start, end, .. } => {
            let row = front.get(start..end).unwrap_or_default();
            open.header = Some(Arc::from(row));
            open.decoder.set_header(row).is_ok()
        }
        Frame::Skip { .. } | Frame::TooLong { .. } | Frame::NeedMore | Frame::End => false,
    })
}

/// Whether a name fits a pattern with `*` and `?`; an empty pattern fits all.
fn matches(pattern: &str, name: &str) -> bool {
    fn fits(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => {
                (0..=name.len()).any(|at| name.get(at..).is_some_and(|n| fits(rest, n)))
            }
            Some((c, rest)) => name
                .split_first()
                .is_some_and(|(n, tail)| (*c == '?' || c == n) && fits(rest, tail)),
        }
    }
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    pattern.is_empty() || fits(&pattern, &name)
}

impl Lane for FileLane {
    fn name(&self) -> &str {
        &self.spec.name
    }

    fn connector(&self) -> usize {
        self.spec.connector.0
    }

    fn refill(&mut self) -> Result<Refill, SourceFault> {
        while self.ready.is_empty() {
            if self.open.is_none() && !self.open_next()? {
                let over = self.spec.until_end || self.spec.path == Path::new("-");
                return Ok(if over { Refill::Done } else { Refill::Empty });
            }
            if self.read_block()? {
                continue;
            }
            if self
                .open
                .as_ref()
                .is_some_and(|open| open.name.as_ref() == "-" && !open.ended)
            {
                return Ok(Refill::Empty);
            }
            // The end of the file: directories and `until_end` go on to the next; a single live file stays open.
            let is_stdin = self.spec.path == Path::new("-");
            if !self.spec.until_end && !self.spec.is_directory && !is_stdin {
                return Ok(Refill::Empty);
            }
            if let Some(open) = self.open.take() {
                let position = FilePosition {
                    offset: open.offset,
                    number: open.number,
                    arrived_at: self.last_arrival,
                };
                self.positions.insert(open.name.to_string(), position);
                self.finished.insert(open.name.to_string(), open.offset);
            }
        }
        Ok(Refill::Ready)
    }

    fn read_ahead(&mut self) -> Result<(), SourceFault> {
        let is_file = self
            .open
            .as_ref()
            .is_some_and(|open| open.name.as_ref() != "-");
        let taken = self.fresh.saturating_sub(self.ready.len());
        // What is taken at a time changes from one time to the next.
        self.taken = taken.max(self.taken.saturating_sub(self.taken / 8));
        let wanted = self.taken.saturating_add(self.taken / 4).max(AHEAD_MIN);
        while is_file && self.ready.len() < wanted && self.read_block()? {
            // Judging comes first: what is read ahead fills the time in which a processor would have nothing to do.
            while rayon::yield_now() == Some(rayon::Yield::Executed) {}
        }
        self.fresh = self.ready.len();
        Ok(())
    }

    fn ready(&mut self) -> &mut VecDeque<Decoded> {
        &mut self.ready
    }

    fn is_merged(&self) -> bool {
        self.spec.is_merged
    }

    fn watched_by(&mut self, attempts: &Arc<Attempts>) {
        self.attempts = Arc::clone(attempts);
    }
}

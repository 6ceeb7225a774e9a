//! Outputs as JSON lines, one file a kind: `warnings.jsonl`, `sanctions.jsonl`, `tasks.jsonl`, `measures.jsonl`, `dead-letters.jsonl`.
//!
//! The committed lengths are in the store, not here. Taking up cuts every file back to its committed length, so what
//! a crash has half-written goes and comes again with the same bytes. A file that is shorter than that, or that holds
//! bytes although the store has never written it, is somebody's warnings lost: it stops the start and says so.
//!
//! files    opened and locked for as long as the sink lives; dead letters are readable by their owner only
//! errors   the first fault is final, as with the store

use super::{Delivered, OutboxEntry, OutputKind, Sink, SinkError, SinkPosition};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory of JSON-lines files.
#[derive(Debug)]
pub struct FileSink {
    outputs: BTreeMap<OutputKind, Output>,
    is_resumed: bool,
    fault: Option<SinkError>,
}

#[derive(Debug)]
struct Output {
    path: PathBuf,
    file: File,
    length: u64,
    is_dirty: bool,
    /// Lines of the delivery at hand.
    buffer: Vec<u8>,
}

impl FileSink {
    /// Opens the files of these kinds; entries of other kinds are of no concern.
    pub fn open(directory: &Path, kinds: &[OutputKind]) -> Result<Self, SinkError> {
        fs::create_dir_all(directory).map_err(failed("create", directory))?;
        let mut outputs = BTreeMap::new();
        for kind in kinds {
            outputs.insert(*kind, Output::open(directory, *kind)?);
        }
        let entries = File::open(directory).and_then(|directory| directory.sync_all());
        entries.map_err(failed("sync", directory))?;
        Ok(Self {
            outputs,
            is_resumed: false,
            fault: None,
        })
    }

    fn check(&self) -> Result<(), SinkError> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    fn each(
        &mut self,
        mut act: impl FnMut(&mut Output) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        self.check()?;
        for output in self.outputs.values_mut() {
            act(output).inspect_err(|fault| self.fault = Some(fault.clone()))?;
        }
        Ok(())
    }
}

impl Sink for FileSink {
    fn name(&self) -> &'static str {
        "file"
    }

    fn resume(&mut self, position: &SinkPosition) -> Result<(), SinkError> {
        self.each(|output| output.resume(position))?;
        self.is_resumed = true;
        Ok(())
    }

    fn deliver(&mut self, entries: &[OutboxEntry]) -> Result<Delivered, SinkError> {
        assert!(self.is_resumed, "a file sink takes up before it delivers");
        self.check()?;
        for entry in entries {
            assert!(
                !entry.line.contains(&b'\n'),
                "an output is one line, {:?} is not",
                entry.id
            );
            if let Some(output) = self.outputs.get_mut(&entry.kind) {
                output.buffer.extend_from_slice(&entry.line);
                output.buffer.push(b'\n');
            }
        }
        self.each(Output::write)?;
        Ok(Delivered {
            count: entries.len(),
            ..Delivered::default()
        })
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.each(Output::sync)
    }

    fn position(&self) -> SinkPosition {
        let files = self.outputs.iter();
        SinkPosition {
            files: files
                .map(|(kind, output)| (kind.file_name().to_owned(), output.length))
                .collect(),
            parked: Vec::new(),
        }
    }
}

impl Output {
    fn open(directory: &Path, kind: OutputKind) -> Result<Self, SinkError> {
        let path = directory.join(kind.file_name());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        if kind.is_private() {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let file = options.open(&path).map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SinkError::Locked { path }),
            Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
        }
        Ok(Self {
            path,
            file,
            length: 0,
            is_dirty: false,
            buffer: Vec::new(),
        })
    }

    fn resume(&mut self, position: &SinkPosition) -> Result<(), SinkError> {
        let length = self.length_on_disk()?;
        let path = self.path.clone();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match position.files.get(name.as_ref()) {
            None if length > 0 => return Err(SinkError::Foreign { path, length }),
            Some(&committed) if length < committed => {
                return Err(SinkError::Shorter {
                    path,
                    length,
                    committed,
                });
            }
            committed => self.length = committed.copied().unwrap_or(0),
        }
        if length > self.length {
            self.file
                .set_len(self.length)
                .and_then(|()| self.file.sync_all())
                .map_err(failed("cut", &path))?;
        }
        self.buffer.clear();
        Ok(())
    }

    fn write(&mut self) -> Result<(), SinkError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let length = self.length_on_disk()?;
        if length != self.length {
            return Err(SinkError::Changed {
                path: self.path.clone(),
                length,
                expected: self.length,
            });
        }
        self.is_dirty = true;
        self.file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(&self.buffer))
            .map_err(failed("write to", &self.path))?;
        let written = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        self.length = self.length.saturating_add(written);
        self.buffer.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        if self.is_dirty {
            let synced = self.file.sync_data();
            synced.map_err(failed("sync", &self.path))?;
            self.is_dirty = false;
        }
        Ok(())
    }

    fn length_on_disk(&self) -> Result<u64, SinkError> {
        let metadata = self.file.metadata();
        let metadata = metadata.map_err(failed("look at", &self.path))?;
        Ok(metadata.len())
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SinkError {
    move |source| SinkError::Io {
        doing,
        path: path.to_path_buf(),
        source: Arc::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::sink::entry;
    use tempfile::tempdir;

    fn resumed(directory: &Path, position: &SinkPosition) -> FileSink {
        let mut sink = FileSink::open(directory, &OutputKind::ALL).unwrap();
        sink.resume(position).unwrap();
        sink
    }

    fn outputs() -> Vec<OutboxEntry> {
        vec![
            entry(1, OutputKind::Warning, "enterprise:1"),
            entry(2, OutputKind::Sanction, "enterprise:1"),
            entry(3, OutputKind::Warning, "enterprise:2"),
        ]
    }

    #[test]
    fn a_crash_before_the_commit_leaves_the_same_bytes() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("warnings.jsonl");
        let mut sink = resumed(directory.path(), &SinkPosition::default());
        let mut committed = sink.position();
        for round in 0..3 {
            // Two tries; the first is cut off before its position is committed.
            assert_eq!(sink.deliver(&outputs()).unwrap().count, 3);
            drop(sink);
            sink = resumed(directory.path(), &committed);
            sink.deliver(&outputs()).unwrap();
            sink.sync().unwrap();
            committed = sink.position();
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(text, "{\"seq\":1}\n{\"seq\":3}\n".repeat(round + 1));
        }
        assert_eq!(committed.files["sanctions.jsonl"], 30);
        assert_eq!(committed.files["dead-letters.jsonl"], 0);
    }

    #[test]
    fn lost_bytes_are_loud() {
        let directory = tempdir().unwrap();
        let mut sink = resumed(directory.path(), &SinkPosition::default());
        sink.deliver(&outputs()).unwrap();
        let position = sink.position();
        drop(sink);
        let path = directory.path().join("warnings.jsonl");
        fs::write(&path, "{}\n").unwrap();
        let mut sink = FileSink::open(directory.path(), &OutputKind::ALL).unwrap();
        let error = sink.resume(&position).unwrap_err().to_string();
        assert!(
            error.contains("warnings.jsonl\" has 3 bytes, but 20"),
            "{error}"
        );
        assert!(sink.sync().is_err(), "a fault is final");
    }

    #[test]
    fn files_of_another_store_are_left_alone() {
        let directory = tempdir().unwrap();
        fs::write(directory.path().join("warnings.jsonl"), "{}\n").unwrap();
        let mut sink = FileSink::open(directory.path(), &OutputKind::ALL).unwrap();
        let error = sink.resume(&SinkPosition::default()).unwrap_err();
        assert!(matches!(error, SinkError::Foreign { length: 3, .. }));
        let text = fs::read_to_string(directory.path().join("warnings.jsonl"));
        assert_eq!(text.unwrap(), "{}\n");
    }

    #[test]
    fn a_second_writer_is_noticed() {
        let directory = tempdir().unwrap();
        let mut sink = resumed(directory.path(), &SinkPosition::default());
        let second = FileSink::open(directory.path(), &OutputKind::ALL);
        assert!(matches!(second, Err(SinkError::Locked { .. })));
        sink.deliver(&outputs()).unwrap();
        fs::write(directory.path().join("sanctions.jsonl"), "").unwrap();
        let error = sink.deliver(&outputs()).unwrap_err();
        assert!(matches!(error, SinkError::Changed { .. }));
    }

    #[cfg(unix)]
    #[test]
    fn dead_letters_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempdir().unwrap();
        let _sink = FileSink::open(directory.path(), &OutputKind::ALL).unwrap();
        let file = fs::metadata(directory.path().join("dead-letters.jsonl")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
}

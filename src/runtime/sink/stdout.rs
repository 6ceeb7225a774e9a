//! Outputs as JSON lines on standard output, for trials and pipes.
//!
//! What was written cannot be taken back, so after a crash the last lines may come twice, with the same bytes.

use super::{Delivered, OutboxEntry, OutputKind, Sink, SinkError, SinkPosition};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Lines to a writer.
#[derive(Debug)]
pub struct StdoutSink<W = io::Stdout> {
    writer: W,
    kinds: Vec<OutputKind>,
}

impl StdoutSink {
    /// Writes entries of these kinds to standard output.
    pub fn new(kinds: &[OutputKind]) -> Self {
        Self::to(io::stdout(), kinds)
    }
}

impl<W: Write + Send> StdoutSink<W> {
    /// Writes entries of these kinds to any writer.
    pub fn to(writer: W, kinds: &[OutputKind]) -> Self {
        Self {
            writer,
            kinds: kinds.to_vec(),
        }
    }
}

impl<W: Write + Send> Sink for StdoutSink<W> {
    fn name(&self) -> &'static str {
        "stdout"
    }

    fn resume(&mut self, _position: &SinkPosition) -> Result<(), SinkError> {
        Ok(())
    }

    fn deliver(&mut self, entries: &[OutboxEntry]) -> Result<Delivered, SinkError> {
        let mut lines = Vec::new();
        for entry in entries {
            if self.kinds.contains(&entry.kind) {
                lines.extend_from_slice(&entry.line);
                lines.push(b'\n');
            }
        }
        self.writer.write_all(&lines).map_err(failed)?;
        Ok(Delivered {
            count: entries.len(),
            ..Delivered::default()
        })
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.writer.flush().map_err(failed)
    }

    fn position(&self) -> SinkPosition {
        SinkPosition::default()
    }
}

fn failed(source: io::Error) -> SinkError {
    SinkError::Io {
        doing: "write to",
        path: Path::new("standard output").to_path_buf(),
        source: Arc::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::sink::entry;

    #[test]
    fn it_writes_the_kinds_it_was_asked_for() {
        let mut written = Vec::new();
        let mut sink = StdoutSink::to(&mut written, &[OutputKind::Warning]);
        let entries = [
            entry(1, OutputKind::Warning, "a"),
            entry(2, OutputKind::DeadLetter, "b"),
        ];
        assert_eq!(sink.deliver(&entries).unwrap().count, 2);
        sink.sync().unwrap();
        assert_eq!(written, b"{\"seq\":1}\n");
    }
}

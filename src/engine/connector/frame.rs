//! Bytes into records: where one record ends and the next begins.
//!
//! [`Framer`] is a pure splitter. It is shown a buffer, says where the next record lies in it, and is shown the same buffer
//! again, without what was consumed and perhaps with more at its end. What it finds does not depend on how the bytes were
//! cut into buffers. Records end at LF or CRLF; in CSV not inside quotes. Blank lines are passed over, and so is one
//! UTF-8 byte order mark at the start of a file. GB18030 never has the bytes of `"`, `,` or LF inside a character, so
//! this works on undecoded bytes.
//!
//! bounds   a record has at most [`RECORD_BYTES_MAX`]; a longer one is reported once, its bytes passed over
//! errors   a quote that is never closed would swallow the rest of a file: when the limit or the end is reached inside
//!          quotes, the record is cut at its first line end, and the lines after it are read afresh
//! cost     each byte is looked at once, whatever the number of calls

use memchr::{memchr, memchr2};

/// The longest record that is read, in bytes.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// How records are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One line, one record.
    Lines,
    /// CSV rows: line ends inside quotes belong to the row.
    Csv,
}

/// What lies at the front of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// A record at `start..end`; go on at `consumed`.
    Record {
        /// First byte of the record.
        start: usize,
        /// The byte after its last, without the line end.
        end: usize,
        /// Bytes of the buffer that are done with.
        consumed: usize,
    },
    /// Part of a record that is too long: done with, and [`Frame::TooLong`] will follow at its end.
    Skip {
        /// Bytes of the buffer that are done with.
        consumed: usize,
    },
    /// A record was too long and has been passed over.
    TooLong {
        /// Bytes of the buffer that are done with.
        consumed: usize,
    },
    /// No record ends in this buffer: show it again with more bytes.
    NeedMore,
    /// The buffer is empty and nothing will follow.
    End,
}

/// Where in a CSV row the scan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    FieldStart,
    Plain,
    Quoted,
    AfterQuote,
}

/// A splitter for one file or stream.
#[derive(Debug, Clone)]
pub struct Framer {
    framing: Framing,
    at_file_start: bool,
    /// Inside a record that is too long: pass over everything to the next line end.
    skipping: bool,
    /// Bytes of the current buffer already looked at.
    scanned: usize,
    place: Place,
    /// End of the first line of the record at hand, when it went on inside quotes.
    first_line_end: Option<usize>,
}

impl Framer {
    /// A splitter at the start of a file.
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            at_file_start: true,
            skipping: false,
            scanned: 0,
            place: Place::FieldStart,
            first_line_end: None,
        }
    }

    /// Looks at the front of `buffer`; `at_end` says that no bytes will follow it.
    pub fn next(&mut self, buffer: &[u8], at_end: bool) -> Frame {
        if self.at_file_start && buffer.len() < BOM.len() && !at_end && BOM.starts_with(buffer) {
            return Frame::NeedMore;
        }
        let mut start = self.start_of(buffer);
        if self.skipping {
            return self.skip(buffer, at_end);
        }
        while let Some(line_end) = blank_line(buffer.get(start..).unwrap_or_default()) {
            start += line_end;
            self.restart(start);
        }
        if start == buffer.len() {
            return if at_end { Frame::End } else { Frame::NeedMore };
        }
        self.scanned = self.scanned.max(start);
        let found = match self.framing {
            Framing::Lines => self.scan_line(buffer),
            Framing::Csv => self.scan_row(buffer),
        };
        let end = found.unwrap_or(buffer.len());
        if RECORD_BYTES_MAX < end - start {
            return self.too_long(buffer, start, at_end);
        }
        match found {
            Some(end) => self.record(buffer, start, end),
            None if !at_end => Frame::NeedMore,
            None => {
                let end = self.first_line_end.unwrap_or(buffer.len());
                self.record(buffer, start, end)
            }
        }
    }

    /// The byte order mark at the start of a file, passed over.
    fn start_of(&mut self, buffer: &[u8]) -> usize {
        if self.at_file_start && buffer.starts_with(BOM) {
            BOM.len()
        } else {
            0
        }
    }

    fn restart(&mut self, scanned: usize) {
        self.scanned = scanned;
        self.place = Place::FieldStart;
        self.first_line_end = None;
    }

    /// A record that ends at the line end `end`, or with the buffer.
    fn record(&mut self, buffer: &[u8], start: usize, end: usize) -> Frame {
        self.at_file_start = false;
        self.restart(0);
        let consumed = (end + 1).min(buffer.len());
        let body = buffer.get(start..end).unwrap_or_default();
        let end = end - usize::from(body.ends_with(b"\r"));
        Frame::Record {
            start,
            end,
            consumed,
        }
    }

    fn too_long(&mut self, buffer: &[u8], start: usize, at_end: bool) -> Frame {
        self.at_file_start = false;
        let first_line = buffer.get(start..).and_then(|rest| memchr(b'\n', rest));
        self.restart(0);
        if let Some(at) = first_line {
            return Frame::TooLong {
                consumed: start + at + 1,
            };
        }
        self.skipping = true;
        self.skip(buffer, at_end)
    }

    fn skip(&mut self, buffer: &[u8], at_end: bool) -> Frame {
        match memchr(b'\n', buffer) {
            Some(at) => {
                self.skipping = false;
                Frame::TooLong { consumed: at + 1 }
            }
            None if at_end => {
                self.skipping = false;
                Frame::TooLong {
                    consumed: buffer.len(),
                }
            }
            None if buffer.is_empty() => Frame::NeedMore,
            None => Frame::Skip {
                consumed: buffer.len(),
            },
        }
    }

    fn scan_line(&mut self, buffer: &[u8]) -> Option<usize> {
        let rest = buffer.get(self.scanned..)?;
        let found = memchr(b'\n', rest);
        let end = found.map(|at| self.scanned + at);
        self.scanned = end.unwrap_or(buffer.len());
        end
    }

    fn scan_row(&mut self, buffer: &[u8]) -> Option<usize> {
        let mut at = self.scanned;
        while let Some(byte) = buffer.get(at) {
            let rest = buffer.get(at..)?;
            self.place = match (self.place, byte) {
                (Place::Quoted, b'"') => Place::AfterQuote,
                (Place::Quoted, b'\n') => {
                    self.first_line_end.get_or_insert(at);
                    Place::Quoted
                }
                (Place::FieldStart | Place::AfterQuote, b'"') => Place::Quoted,
                (Place::FieldStart | Place::Plain | Place::AfterQuote, b'\n') => {
                    self.scanned = at;
                    return Some(at);
                }
                (Place::FieldStart | Place::Plain | Place::AfterQuote, b',') => Place::FieldStart,
                // What follows is of no account up to the next byte that may end a field or a row.
                (Place::Quoted, _) => {
                    at += memchr2(b'"', b'\n', rest).unwrap_or(rest.len());
                    continue;
                }
                (Place::FieldStart | Place::Plain | Place::AfterQuote, _) => {
                    self.place = Place::Plain;
                    at += memchr2(b',', b'\n', rest).unwrap_or(rest.len());
                    continue;
                }
            };
            at += 1;
        }
        self.scanned = buffer.len();
        None
    }
}

/// The length of an empty line at the front, with its end.
fn blank_line(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All records of `bytes` when it arrives in pieces that end at `cuts`; `None` stands for a record too long.
    fn records(framing: Framing, bytes: &[u8], cuts: &[usize]) -> Vec<Option<Vec<u8>>> {
        let mut framer = Framer::new(framing);
        let mut buffer = Vec::new();
        let mut found = Vec::new();
        let mut cuts = cuts.to_vec();
        cuts.retain(|cut| *cut < bytes.len());
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let mut from = 0;
        for cut in cuts {
            buffer.extend_from_slice(&bytes[from..cut]);
            from = cut;
            loop {
                match framer.next(&buffer, from == bytes.len()) {
                    Frame::Record {
                        start,
                        end,
                        consumed,
                    } => {
                        found.push(Some(buffer[start..end].to_vec()));
                        buffer.drain(..consumed);
                    }
                    Frame::TooLong { consumed } => {
                        found.push(None);
                        buffer.drain(..consumed);
                    }
                    Frame::Skip { consumed } => drop(buffer.drain(..consumed)),
                    Frame::NeedMore | Frame::End => break,
                }
            }
        }
        found
    }

    fn texts(framing: Framing, bytes: &[u8]) -> Vec<String> {
        records(framing, bytes, &[])
            .into_iter()
            .map(|r| r.map_or("<too long>".into(), |r| String::from_utf8(r).unwrap()))
            .collect()
    }

    #[test]
    fn line_ends_blank_lines_and_the_mark() {
        let bytes = b"\xef\xbb\xbf{1}\r\n\r\n\n{2}\n{3}";
        assert_eq!(texts(Framing::Lines, bytes), ["{1}", "{2}", "{3}"]);
        let bytes = b"a,\"x\ny\"\r\n\nb,c\"d\ne";
        assert_eq!(texts(Framing::Csv, bytes), ["a,\"x\ny\"", "b,c\"d", "e"]);
    }

    #[test]
    fn an_open_quote_spoils_one_line_only() {
        assert_eq!(
            texts(Framing::Csv, b"a,\"b\nc,d\ne,f\n"),
            ["a,\"b", "c,d", "e,f"]
        );
        let mut bytes = b"a,\"b\n".to_vec();
        bytes.extend(b"c,d\n".repeat(RECORD_BYTES_MAX / 4 + 10));
        let found = texts(Framing::Csv, &bytes);
        assert_eq!(found[0], "<too long>");
        assert_eq!(found.len(), RECORD_BYTES_MAX / 4 + 11);
    }

    #[test]
    fn a_long_record_is_reported_once_in_any_pieces() {
        let mut bytes = vec![b'x'; RECORD_BYTES_MAX + 100_000];
        bytes.extend(b"\n{2}\n");
        let cuts: Vec<usize> = (0..bytes.len()).step_by(10_000).collect();
        for cuts in [&cuts[..], &[]] {
            assert_eq!(
                records(Framing::Lines, &bytes, cuts),
                [None, Some(b"{2}".to_vec())]
            );
        }
        let whole = vec![b'x'; RECORD_BYTES_MAX];
        assert_eq!(records(Framing::Lines, &whole, &[])[0], Some(whole));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            bytes in proptest::collection::vec(proptest::sample::select(&b"ab,\"\"\n\r\xef\xbb\xbf"[..]), 0..60),
            cuts in proptest::collection::vec(0_usize..60, 0..8),
        ) {
            for framing in [Framing::Lines, Framing::Csv] {
                prop_assert_eq!(records(framing, &bytes, &cuts), records(framing, &bytes, &[]));
            }
        }

        #[test]
        fn rows_are_those_of_the_csv_crate(
            rows in proptest::collection::vec(proptest::collection::vec("[a-b\",\n 市]{0,6}", 2..4), 1..6),
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let bytes = writer.into_inner().unwrap();
            let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(&bytes[..]);
            let theirs: Vec<Vec<String>> = reader.records()
                .map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
            let ours: Vec<Vec<String>> = texts(Framing::Csv, &bytes).iter().map(|row| {
                let mut cells = Vec::new();
                super::super::csv::split(row, &mut |_, cell| { cells.push(cell.into_owned()); Ok(()) }).unwrap();
                cells
            }).collect();
            prop_assert_eq!(ours, theirs);
        }
    }
}

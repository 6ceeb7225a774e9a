//! Dead letters: records that were refused, with their bytes, place and reason.
//!
//! A dead letter leaves through the outbox like a warning, as [`OutputKind::DeadLetter`], so the file is cut back and
//! written again like the others. `fenghuo dlq list` and `replay` read it back with [`read`].
//!
//! shape    one JSON object a line; the record as `text` when it is UTF-8, else as `bytes_base64`
//! bounds   [`BYTES_MAX`] bytes of a record are kept; of a longer one also its length and SM3, and it cannot be replayed
//! errors   a line that is no dead letter is named by file and line
//! privacy  the bytes are as they came, before any mask: the file is for its owner only

use crate::engine::hash::{hex, sm3_hex};
use crate::engine::reject::{Reject, RejectCode};
use crate::engine::time::EventTime;
use crate::runtime::sink::{OutboxEntry, OutputKind};
use serde::{Deserialize, Serialize};
use sm3::{Digest, Sm3};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The most bytes of a record that are kept.
pub const BYTES_MAX: usize = 64 * 1024;

/// Where a record came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The connector's id.
    pub connector: String,
    /// The file, topic partition or door.
    pub file: String,
    /// Where it begins, in bytes (or the offset in the partition).
    pub offset: u64,
    /// Its line, from 1; 0 where there are no lines.
    pub line_no: u64,
}

/// A refused record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it came from.
    pub place: Place,
    /// What is wrong with it.
    pub reject: Reject,
    /// The logical time at which it was refused, to the second.
    pub received_at: Option<EventTime>,
    /// Its bytes, at most [`BYTES_MAX`].
    pub bytes: Vec<u8>,
    /// Its whole length.
    pub bytes_len: u64,
    /// SM3 of the whole record, for those that are cut.
    pub sm3: Option<String>,
    /// The header of the CSV file that it stood in, without which it cannot be read again.
    pub header: Option<Vec<u8>>,
}

/// How it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    connector: String,
    file: String,
    offset: u64,
    line_no: u64,
    code: RejectCode,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    received_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes_base64: Option<String>,
    bytes_len: u64,
    truncated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sm3: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header_base64: Option<String>,
}

impl DeadLetter {
    /// A dead letter of this record.
    pub fn new(
        place: Place,
        reject: Reject,
        received_at: Option<EventTime>,
        record: &[u8],
    ) -> Self {
        let is_long = record.len() > BYTES_MAX;
        Self {
            place,
            reject,
            received_at,
            bytes: kept(record).to_vec(),
            bytes_len: u64::try_from(record.len()).unwrap_or(u64::MAX),
            sm3: is_long.then(|| hex(&Sm3::digest(record))),
            header: None,
        }
    }

    /// The same with the header of its CSV file, in the file's own character set.
    #[must_use]
    pub fn with_header(self, header: Option<&[u8]>) -> Self {
        Self {
            header: header.map(<[u8]>::to_vec),
            ..self
        }
    }

    /// Whether only the beginning of the record was kept; then it cannot be replayed.
    pub fn is_truncated(&self) -> bool {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX) < self.bytes_len
    }

    /// Its identity: the same record refused at the same place for the same reason has the same one.
    pub fn id(&self) -> String {
        sm3_hex(&[
            b"dead letter",
            self.place.connector.as_bytes(),
            self.place.file.as_bytes(),
            &self.place.offset.to_be_bytes(),
            self.reject.code.name().as_bytes(),
            self.reject.message.as_bytes(),
            self.sm3.as_deref().unwrap_or_default().as_bytes(),
            &self.bytes,
        ])
    }

    /// One JSON line without its end.
    pub fn to_line(&self) -> Vec<u8> {
        let text = std::str::from_utf8(&self.bytes).ok().map(str::to_owned);
        let bytes_base64 = text.is_none().then(|| base64_of(&self.bytes));
        let line = Written {
            connector: self.place.connector.clone(),
            file: self.place.file.clone(),
            offset: self.place.offset,
            line_no: self.place.line_no,
            code: self.reject.code,
            message: self.reject.message.clone(),
            received_at: self.received_at.map(EventTime::rfc3339),
            text,
            bytes_base64,
            bytes_len: self.bytes_len,
            truncated: self.is_truncated(),
            sm3: self.sm3.clone(),
            header_base64: self.header.as_deref().map(base64_of),
        };
        // Texts and numbers always make JSON.
        serde_json::to_vec(&line).unwrap_or_default()
    }

    /// Reads [`DeadLetter::to_line`]; an error says what does not fit.
    pub fn from_line(line: &[u8]) -> Result<Self, String> {
        let line: Written = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let bytes = match (line.text, line.bytes_base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(base64)) => {
                bytes_of_base64(&base64).ok_or("bytes_base64 is not base64 (RFC 4648)")?
            }
            _ => return Err("expected either text or bytes_base64".to_owned()),
        };
        let header = match line.header_base64 {
            None => None,
            Some(base64) => {
                Some(bytes_of_base64(&base64).ok_or("header_base64 is not base64 (RFC 4648)")?)
            }
        };
        let received_at = match line.received_at {
            None => None,
            Some(text) => match EventTime::parse(&text) {
                Some((time, _)) => Some(time),
                None => return Err(format!("received_at {text:?} is not a time")),
            },
        };
        let letter = Self {
            place: Place {
                connector: line.connector,
                file: line.file,
                offset: line.offset,
                line_no: line.line_no,
            },
            reject: Reject::new(line.code, line.message),
            received_at,
            bytes,
            bytes_len: line.bytes_len,
            sm3: line.sm3,
            header,
        };
        if letter.is_truncated() == line.truncated {
            Ok(letter)
        } else {
            Err("bytes_len and truncated do not agree with the bytes".to_owned())
        }
    }

    /// As an output, in the place `seq` of the outbox.
    pub fn to_entry(&self, seq: u64) -> OutboxEntry {
        OutboxEntry {
            seq,
            kind: OutputKind::DeadLetter,
            subject: format!("connector:{}", self.place.connector),
            id: self.id(),
            line: self.to_line(),
        }
    }
}

/// The part of a record that is kept; text is not cut within a character.
fn kept(record: &[u8]) -> &[u8] {
    let Some((head, _)) = record.split_at_checked(BYTES_MAX) else {
        return record;
    };
    match std::str::from_utf8(head) {
        Err(error) if error.error_len().is_none() => {
            head.get(..error.valid_up_to()).unwrap_or_default()
        }
        _ => head,
    }
}

/// What can go wrong when dead letters are read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refused.
    #[error("cannot read dead letters \"{}\"", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line is no dead letter.
    #[error("\"{}\" line {line}: not a dead letter: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: u64,
        /// What does not fit.
        what: String,
    },
}

/// Reads a file of dead letters, each with its line number; returns how many. A last line without its end is being
/// written just now and left out.
pub fn read(path: &Path, mut each: impl FnMut(u64, DeadLetter)) -> Result<u64, ReadError> {
    let failed = |source| ReadError::Io {
        path: path.to_path_buf(),
        source,
    };
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut bytes = Vec::new();
    let mut line = 0;
    loop {
        bytes.clear();
        reader.read_until(b'\n', &mut bytes).map_err(failed)?;
        let Some((b'\n', whole)) = bytes.split_last() else {
            return Ok(line);
        };
        line += 1;
        let letter = DeadLetter::from_line(whole).map_err(|what| ReadError::Line {
            path: path.to_path_buf(),
            line,
            what,
        })?;
        each(line, letter);
    }
}

/// The alphabet of RFC 4648, section 4.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(group.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let sextet = usize::try_from(bits >> (18 - 6 * at) & 63).unwrap_or(0);
            let letter = ALPHABET.get(sextet).copied().unwrap_or(b'=');
            text.push(if at > group.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    text
}

pub(super) fn bytes_of_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for at in 0..4 {
            let sextet = match group.get(at) {
                Some(letter) => ALPHABET.iter().position(|known| known == letter)?,
                None => 0,
            };
            bits = bits << 6 | u32::try_from(sextet).ok()?;
        }
        let [_, three @ ..] = bits.to_be_bytes();
        bytes.extend(three.iter().take(group.len() - 1));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    fn letter(record: &[u8]) -> DeadLetter {
        let place = Place {
            connector: "market-complaint".to_owned(),
            file: "2026-03-01.csv".to_owned(),
            offset: 4_096,
            line_no: 17,
        };
        let reject = Reject::new(RejectCode::BadTime, "field \"jcrq\": \"2024-13-01\"");
        let received_at = EventTime::parse("2026-03-01 08:30:00").map(|(time, _)| time);
        DeadLetter::new(place, reject, received_at, record)
    }

    #[test]
    fn a_text_stays_readable() {
        let line = String::from_utf8(letter("投诉,2024-13-01\r".as_bytes()).to_line()).unwrap();
        expect![[r#"{"connector":"market-complaint","file":"2026-03-01.csv","offset":4096,"line_no":17,"code":"bad_time","message":"field \"jcrq\": \"2024-13-01\"","received_at":"2026-03-01T08:30:00+08:00","text":"投诉,2024-13-01\r","bytes_len":18,"truncated":false}"#]]
        .assert_eq(&line);
    }

    #[test]
    fn other_bytes_are_base64() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64_of(bytes.as_bytes()), text);
        }
        let line = String::from_utf8(letter(&[0xcd, 0xb6, 0xff]).to_line()).unwrap();
        assert!(
            line.contains(r#""bytes_base64":"zbb/","bytes_len":3"#),
            "{line}"
        );
        for bad in ["Zg", "Zg=", "Z===", "Zg=a", "Z*=="] {
            assert_eq!(bytes_of_base64(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_long_record_keeps_its_head_length_and_hash() {
        let record = "监".repeat(30_000);
        let long = letter(record.as_bytes());
        assert!(long.is_truncated());
        assert_eq!(long.bytes.len(), 65_535, "not cut within a character");
        assert_eq!(long.bytes_len, 90_000);
        assert_eq!(long.sm3, Some(hex(&Sm3::digest(record.as_bytes()))));
        assert_eq!(DeadLetter::from_line(&long.to_line()).unwrap(), long);
        assert!(letter(&vec![0xff; 70_000]).bytes.len() == BYTES_MAX);
    }

    #[test]
    fn a_file_is_read_back_without_the_line_at_work() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dead-letters.jsonl");
        let line = letter(b"x").to_line();
        std::fs::write(
            &path,
            [&line, &b"\n"[..], &line, b"\n", &line[..9]].concat(),
        )
        .unwrap();
        let mut lines = Vec::new();
        assert_eq!(
            read(&path, |line, letter| lines.push((line, letter))).unwrap(),
            2
        );
        assert_eq!(lines[1], (2, letter(b"x")));

        std::fs::write(&path, [&line, &b"\n{}\n"[..]].concat()).unwrap();
        let error = read(&path, |_, _| ()).unwrap_err().to_string();
        assert!(
            error.contains("line 2: not a dead letter: missing field"),
            "{error}"
        );
    }

    #[test]
    fn the_id_tells_records_and_places_apart() {
        let first = letter(b"x");
        assert_eq!(first.id(), letter(b"x").id());
        assert_ne!(first.id(), letter(b"y").id());
        let mut elsewhere = first.clone();
        elsewhere.place.offset += 1;
        assert_ne!(first.id(), elsewhere.id());
        let entry = first.to_entry(3);
        assert_eq!((entry.seq, entry.line), (3, first.to_line()));
        assert_eq!(entry.subject, "connector:market-complaint");
    }

    proptest! {
        #[test]
        fn every_record_comes_back(record in prop::collection::vec(any::<u8>(), 0..64)) {
            let first = letter(&record);
            let again = DeadLetter::from_line(&first.to_line()).unwrap();
            prop_assert_eq!(&again.bytes, &record);
            prop_assert_eq!(again, first);
        }
    }
}

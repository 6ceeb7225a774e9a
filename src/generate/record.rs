//! One record on its way out: cells by column, then bytes in the form of its feed.

use super::dirt::Kind;
use super::feed::{Feed, Form};
use crate::engine::event::Op;
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::LazyLock;

/// A cell's text.
pub(super) type Text = Cow<'static, str>;

/// A record before it is written.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Where it goes.
    pub(super) feed: Feed,
    /// Its cells, in the order of the feed's columns.
    pub(super) cells: Vec<(&'static str, Text)>,
    /// What the source did, for feeds of change events.
    pub(super) op: Op,
    /// When the source wrote it, ms since 1970, for feeds of change events.
    pub(super) written_ms: i64,
    /// The dirt that it already has.
    pub(super) kinds: Vec<Kind>,
    /// Evidence of a bad actor: no dirt may take it away.
    pub(super) is_evidence: bool,
    /// Its subject is a person.
    pub(super) is_person: bool,
}

impl Record {
    /// A record of these cells, which must be those of the feed's columns in their order.
    pub(super) fn new(feed: Feed, cells: Vec<(&'static str, Text)>) -> Self {
        debug_assert!(
            cells
                .iter()
                .map(|(name, _)| *name)
                .eq(feed.columns().iter().copied()),
            "the cells of {feed:?} are not its columns"
        );
        Self {
            feed,
            cells,
            op: Op::Insert,
            written_ms: 0,
            kinds: Vec::new(),
            is_evidence: false,
            is_person: false,
        }
    }

    /// What a column holds; empty when there is no such column.
    pub(super) fn get(&self, column: &str) -> &str {
        self.cells
            .iter()
            .find(|(name, _)| *name == column)
            .map_or("", |(_, text)| text)
    }

    /// Sets a column, if the record has it.
    pub(super) fn set(&mut self, column: &str, text: impl Into<Text>) {
        if let Some(cell) = self.cells.iter_mut().find(|(name, _)| *name == column) {
            cell.1 = text.into();
        }
    }

    /// The record's line, without its line end.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut text = String::with_capacity(700);
        match self.feed.form() {
            Form::Csv | Form::CsvGb18030 => self.csv(&mut text),
            Form::Json => self.object(&mut text),
            Form::Change => self.change(&mut text),
            Form::Canonical => text.push_str(self.get("line")),
        }
        if self.feed.form() == Form::CsvGb18030 {
            return gb18030(&text);
        }
        text.into_bytes()
    }

    fn csv(&self, out: &mut String) {
        for (at, (_, cell)) in self.cells.iter().enumerate() {
            if 0 < at {
                out.push(',');
            }
            if cell.contains(['"', ',', '\n', '\r']) {
                out.push('"');
                out.push_str(&cell.replace('"', "\"\""));
                out.push('"');
            } else {
                out.push_str(cell);
            }
        }
    }

    /// Empty cells are left out, as the hotline's interface does.
    fn object(&self, out: &mut String) {
        out.push('{');
        let mut is_first = true;
        for (name, cell) in self.cells.iter().filter(|(_, cell)| !cell.is_empty()) {
            if !is_first {
                out.push(',');
            }
            is_first = false;
            quote(out, name);
            out.push(':');
            quote(out, cell);
        }
        out.push('}');
    }

    fn change(&self, out: &mut String) {
        let (op, row) = match self.op {
            Op::Insert => ("c", "after"),
            Op::Update => ("u", "after"),
            Op::Delete => ("d", "before"),
        };
        let other = if row == "after" { "before" } else { "after" };
        let _ = write!(
            out,
            "{{\"op\":\"{op}\",\"ts_ms\":{},\"{other}\":null,\"{row}\":",
            self.written_ms
        );
        self.object(out);
        out.push('}');
    }
}

/// Appends a JSON string.
pub(super) fn quote(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\') {
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\0'..='\u{1f}' => out.push(' '),
                _ => out.push(c),
            }
        }
    } else {
        out.push_str(text);
    }
    out.push('"');
}

/// The first and last of the ideographs that stand in the table.
const HANZI: (u32, u32) = (0x4e00, 0x9fa5);

/// Two bytes of GB18030 for each ideograph: the encoder alone looks each one up in 0.1 µs and more.
static GB: LazyLock<Vec<[u8; 2]>> = LazyLock::new(|| {
    let encoded = |code| {
        let text = char::from_u32(code).map(String::from).unwrap_or_default();
        let bytes = encoding_rs::GB18030.encode(&text).0.into_owned();
        <[u8; 2]>::try_from(bytes.as_slice()).unwrap_or([b'?'; 2])
    };
    (HANZI.0..=HANZI.1).map(encoded).collect()
});

/// Text in GB18030.
fn gb18030(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut one = [0; 4];
    for c in text.chars() {
        let at = u32::from(c)
            .checked_sub(HANZI.0)
            .and_then(|at| usize::try_from(at).ok());
        if c.is_ascii() {
            out.extend_from_slice(c.encode_utf8(&mut one).as_bytes());
        } else if let Some(bytes) = at.and_then(|at| GB.get(at)) {
            out.extend_from_slice(bytes);
        } else {
            out.extend_from_slice(&encoding_rs::GB18030.encode(c.encode_utf8(&mut one)).0);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gb18030_is_what_the_encoder_writes() {
        let text = "南京（虚）ABC,；〔2026〕号€𠀀龥";
        assert_eq!(
            gb18030(text),
            encoding_rs::GB18030.encode(text).0.into_owned()
        );
        assert!(GB.iter().all(|bytes| *bytes != [b'?'; 2]));
    }

    #[test]
    fn forms() {
        let bare = |feed: Feed| {
            let empty = feed.columns().iter().map(|name| (*name, Text::from("")));
            let mut record = Record::new(feed, empty.collect());
            record.cells = vec![
                ("a", Text::from("x,\"y\"")),
                ("b", Text::from("")),
                ("c", Text::from("南")),
            ];
            record
        };
        let line = |feed| {
            let mut record = bare(feed);
            record.written_ms = 7;
            String::from_utf8_lossy(&record.line()).into_owned()
        };
        assert_eq!(line(Feed::CreditLicence), "\"x,\"\"y\"\"\",,南");
        assert_eq!(line(Feed::HotlineOrder), r#"{"a":"x,\"y\"","c":"南"}"#);
        assert_eq!(
            line(Feed::SeriousList),
            r#"{"op":"c","ts_ms":7,"before":null,"after":{"a":"x,\"y\"","c":"南"}}"#
        );
        assert_eq!(bare(Feed::MarketRegister).line().len(), 9 + 1 + 1 + 2);
    }
}

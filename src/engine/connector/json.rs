//! One JSON record, read once from front to back, hardened against what agency systems and attackers send.
//!
//! A pull scanner instead of a tree: numbers keep their text (money is never a float), strings are borrowed unless they
//! hold escapes, and what a connector does not know is passed over without being built.
//!
//! bounds   depth [`DEPTH_MAX`], [`KEYS_MAX`] keys and [`ITEMS_MAX`] items per record, numbers of [`NUMBER_CHARS_MAX`] characters, whole numbers
//!          of an i64, strings of [`STRING_BYTES_MAX`]
//! errors   a key twice in one object is refused (most readers silently take the last)
//! cost     one pass; about 1 ns per byte
//! source   RFC 8259; ECMA-404 for the grammar of numbers

use super::super::reject::{Reject, RejectCode};
use super::bytes::plain_string_end;
use super::cell::key_hash;
use std::borrow::Cow;

/// How deep values may nest.
pub(super) const DEPTH_MAX: u8 = 32;
/// How many keys a record may have, over all of its objects.
pub(super) const KEYS_MAX: u32 = 256;
/// How many items the arrays of a record may have.
pub(super) const ITEMS_MAX: u32 = 1_000;
/// How long the text of a number may be.
pub(super) const NUMBER_CHARS_MAX: usize = 32;
/// How long a string may be, as written.
pub(super) const STRING_BYTES_MAX: usize = 16 * 1024;

/// A value; of an object or array only that it begins here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    /// Go on with [`Scanner::object`] or [`Scanner::pass`].
    Object,
    /// Go on with [`Scanner::array`] or [`Scanner::pass`].
    Array,
}

/// A place in a record.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
    keys: u32,
    items: u32,
}

/// What is called for each key of an object; it must take the value.
pub(super) type EachKey<'a, 'f> =
    dyn FnMut(&mut Scanner<'a>, Cow<'a, str>) -> Result<(), Reject> + 'f;

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            keys: 0,
            items: 0,
        }
    }

    /// The next value. An object or array is only entered.
    pub(super) fn value(&mut self) -> Result<Json<'a>, Reject> {
        match self.peek() {
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'{') => self.enter().map(|()| Json::Object),
            Some(b'[') => self.enter().map(|()| Json::Array),
            Some(b'-' | b'0'..=b'9') => Ok(Json::Number(self.number()?)),
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            _ => Err(self.bad("a value is expected")),
        }
    }

    /// The keys of an object that was entered, to its end.
    pub(super) fn object(&mut self, each: &mut EachKey<'a, '_>) -> Result<(), Reject> {
        let mut seen = Seen::new();
        if self.peek() == Some(b'}') {
            self.leave();
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.bad("a key in double quotes is expected"));
            }
            let key = self.string()?;
            self.keys += 1;
            if KEYS_MAX < self.keys {
                return Err(self.bad("the record has more than 256 keys"));
            }
            if seen.had(key_hash(key.as_bytes())) {
                return Err(Reject::new(
                    RejectCode::DuplicateKey,
                    format!(
                        "key {:?} stands twice in one object; send each once",
                        super::text::shortened(&key)
                    ),
                ));
            }
            self.take(b':', "':' is expected after a key")?;
            each(self, key)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.leave();
                    return Ok(());
                }
                _ => return Err(self.bad("',' or '}' is expected")),
            }
        }
    }

    /// The items of an array that was entered, to its end.
    pub(super) fn array(
        &mut self,
        each: &mut dyn FnMut(&mut Self) -> Result<(), Reject>,
    ) -> Result<(), Reject> {
        if self.peek() == Some(b']') {
            self.leave();
            return Ok(());
        }
        loop {
            self.items += 1;
            if ITEMS_MAX < self.items {
                return Err(self.bad("the record has more than 1,000 array items"));
            }
            each(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.leave();
                    return Ok(());
                }
                _ => return Err(self.bad("',' or ']' is expected")),
            }
        }
    }

    /// Passes over the rest of a value that [`Scanner::value`] gave, checking it all the same.
    pub(super) fn pass(&mut self, value: &Json<'a>) -> Result<(), Reject> {
        match value {
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => Ok(()),
            Json::Object => self.object(&mut |scanner, _| {
                let value = scanner.value()?;
                scanner.pass(&value)
            }),
            Json::Array => self.array(&mut |scanner| {
                let value = scanner.value()?;
                scanner.pass(&value)
            }),
        }
    }

    /// Nothing but blanks may follow.
    pub(super) fn end(&mut self) -> Result<(), Reject> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.bad("one record per line: nothing may follow the value")),
        }
    }

    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    fn take(&mut self, byte: u8, expected: &str) -> Result<(), Reject> {
        if self.peek() != Some(byte) {
            return Err(self.bad(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn enter(&mut self) -> Result<(), Reject> {
        if self.depth == DEPTH_MAX {
            return Err(self.bad("values nest deeper than 32"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.at += 1;
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, Reject> {
        if !self
            .text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word))
        {
            return Err(self.bad("a value is expected"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn digits(&mut self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn next_is(&self, bytes: &[u8]) -> bool {
        self.text
            .as_bytes()
            .get(self.at)
            .is_some_and(|b| bytes.contains(b))
    }

    /// `-? (0 | 1-9 digits) (. digits)? ([eE] [+-]? digits)?`
    fn number(&mut self) -> Result<&'a str, Reject> {
        let start = self.at;
        self.at += usize::from(self.next_is(b"-"));
        let zero = self.next_is(b"0");
        let whole = self.digits();
        if whole == 0 || (zero && 1 < whole) {
            return Err(self.bad("a number is written without leading zeros"));
        }
        let mut is_whole = true;
        if self.next_is(b".") {
            is_whole = false;
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.bad("digits are expected after '.'"));
            }
        }
        if self.next_is(b"eE") {
            is_whole = false;
            self.at += 1;
            self.at += usize::from(self.next_is(b"+-"));
            if self.digits() == 0 {
                return Err(self.bad("digits are expected in an exponent"));
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if NUMBER_CHARS_MAX < text.len() {
            return Err(self.bad("a number has more than 32 characters; send it as a string"));
        }
        if is_whole && 18 < whole && text.parse::<i64>().is_err() {
            return Err(self.bad("a whole number is beyond 64 bits; send it as a string"));
        }
        Ok(text)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Reject> {
        self.at += 1;
        let start = self.at;
        let bytes = self.text.as_bytes().get(start..).unwrap_or_default();
        let Some(stop) = plain_string_end(bytes) else {
            return Err(self.bad("a string is not closed"));
        };
        self.at = start + stop;
        let plain = self.text.get(start..self.at).unwrap_or_default();
        let text = match bytes.get(stop) {
            Some(b'"') => {
                self.at += 1;
                Cow::Borrowed(plain)
            }
            _ => Cow::Owned(self.escaped(plain)?),
        };
        if STRING_BYTES_MAX < text.len() {
            return Err(self.bad("a string is longer than 16 KiB"));
        }
        Ok(text)
    }

    /// A string with escapes: `plain` is its beginning, and the scan stands at the first escape.
    fn escaped(&mut self, plain: &str) -> Result<String, Reject> {
        let mut text = String::from(plain);
        loop {
            let bytes = self.text.as_bytes().get(self.at..).unwrap_or_default();
            match bytes.first() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(0..=31) => {
                    return Err(self.bad("a control character in a string must be escaped"));
                }
                Some(_) => {
                    let stop = bytes
                        .iter()
                        .position(|b| matches!(b, b'"' | b'\\' | 0..=31))
                        .unwrap_or(bytes.len());
                    text.push_str(self.text.get(self.at..self.at + stop).unwrap_or_default());
                    self.at += stop;
                }
                None => return Err(self.bad("a string is not closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Reject> {
        let kind = self.text.as_bytes().get(self.at + 1).copied();
        self.at += 2;
        Ok(match kind {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.bad("an escape that JSON does not have")),
        })
    }

    fn unicode(&mut self) -> Result<char, Reject> {
        let high = self.hex4()?;
        let code = if (0xd800..0xdc00).contains(&high) {
            let follows = self.text.get(self.at..).unwrap_or_default();
            if !follows.starts_with("\\u") {
                return Err(self.bad("half of a surrogate pair"));
            }
            self.at += 2;
            let low = self.hex4()?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(self.bad("half of a surrogate pair"));
            }
            0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
        } else {
            high
        };
        char::from_u32(code).ok_or_else(|| self.bad("half of a surrogate pair"))
    }

    fn hex4(&mut self) -> Result<u32, Reject> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        let number = u32::from_str_radix(digits, 16).ok();
        let number = number.filter(|_| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(number) = number else {
            return Err(self.bad("four hexadecimal digits are expected after \\u"));
        };
        self.at += 4;
        Ok(number)
    }

    #[cold]
    fn bad(&self, what: &str) -> Reject {
        Reject::new(
            RejectCode::BadJson,
            format!("not JSON as it is read here: {what}, at byte {}", self.at),
        )
    }
}

/// The hashes of an object's keys. Two keys with one hash would be taken for the same; with 64 bits that is a refused
/// record by chance once in 10^15, and harmless.
struct Seen {
    bits: [u64; 16],
    hashes: Vec<u64>,
}

impl Seen {
    fn new() -> Self {
        Self {
            bits: [0; 16],
            hashes: Vec::with_capacity(48),
        }
    }

    fn had(&mut self, hash: u64) -> bool {
        let mut maybe = false;
        if let Some(word) = usize::try_from((hash >> 6) & 15)
            .ok()
            .and_then(|at| self.bits.get_mut(at))
        {
            let bit = 1_u64 << (hash & 63);
            maybe = *word & bit != 0;
            *word |= bit;
        }
        let had = maybe && self.hashes.contains(&hash);
        self.hashes.push(hash);
        had
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;

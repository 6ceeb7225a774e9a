//! The numbers, texts and times that a body is written in: base 64, words by number, distances.

use super::super::words;
use crate::engine::time::{EventTime, Precision};

const SECOND_MS: i64 = 1_000;
/// A time stands in milliseconds.
const MILLISECONDS: u8 = 0x10;
const DIGIT: u8 = 0x3f;
const MORE: u8 = 0x40;

/// Appends a number, the low digits first.
pub(super) fn put_number(out: &mut String, mut number: u128) {
    loop {
        let digit = u8::try_from(number & u128::from(DIGIT)).unwrap_or(0);
        number >>= 6;
        if number == 0 {
            out.push(char::from(digit));
            return;
        }
        out.push(char::from(digit | MORE));
    }
}

pub(super) fn put_length(out: &mut String, length: usize) {
    put_number(out, u128::try_from(length).unwrap_or(u128::MAX));
}

/// Small numbers of either sign as small numbers without.
pub(super) fn zigzag(number: i128) -> u128 {
    ((number << 1) ^ (number >> 127)).cast_unsigned()
}

pub(super) fn unzigzag(number: u128) -> i128 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Reads a number; gives the bytes after it as well.
pub(super) fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    // Nearly every one is one or two digits.
    match bytes {
        [low, rest @ ..] if *low < MORE => Some((u64::from(*low), rest)),
        [low, high, rest @ ..] if *high < MORE => {
            Some((u64::from(low & DIGIT) | (u64::from(*high) << 6), rest))
        }
        _ => {
            let (number, rest) = long_number(bytes)?;
            Some((u64::try_from(number).ok()?, rest))
        }
    }
}

#[cold]
fn long_number(bytes: &[u8]) -> Option<(u128, &[u8])> {
    let mut number = 0_u128;
    for (at, byte) in bytes.iter().enumerate().take(22) {
        number |= u128::from(byte & DIGIT).checked_shl(u32::try_from(at).ok()? * 6)?;
        if *byte < MORE {
            return Some((number, bytes.get(at.saturating_add(1)..)?));
        }
    }
    None
}

/// Reads what stands in a body after the table, part by part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a str);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.0.as_bytes().first()?;
        self.0 = self.0.get(1..)?;
        Some(byte)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let (number, rest) = number(self.0.as_bytes())?;
        self.0 = self.0.get(self.0.len().checked_sub(rest.len())?..)?;
        Some(number)
    }

    pub(super) fn wide(&mut self) -> Option<i128> {
        let (number, rest) = long_number(self.0.as_bytes())?;
        self.0 = self.0.get(self.0.len().checked_sub(rest.len())?..)?;
        Some(unzigzag(number))
    }

    pub(super) fn text(&mut self, length: usize) -> Option<&'a str> {
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }

    pub(super) fn item(&mut self) -> Option<&'a str> {
        let head = self.number()?;
        if head & 1 == 1 {
            return words::word(head >> 1);
        }
        self.text(usize::try_from(head >> 1).ok()?)
    }

    pub(super) fn time(&mut self, from: EventTime) -> Option<(EventTime, Precision)> {
        let head = self.byte()?;
        let precision = match head & !MILLISECONDS {
            0 => Precision::Day,
            1 => Precision::Minute,
            2 => Precision::Second,
            _ => return None,
        };
        let unit = if head & MILLISECONDS == 0 {
            i128::from(SECOND_MS)
        } else {
            1
        };
        let time = i128::from(from.0).checked_add(self.wide()?.checked_mul(unit)?)?;
        Some((EventTime(i64::try_from(time).ok()?), precision))
    }
}

/// Appends a text as an item, by its number if it is a word and words are wanted.
pub(super) fn put_item(out: &mut String, text: &str, of: Option<u8>) {
    if let Some(number) = of.and_then(|of| words::number_of(text, of)) {
        put_number(out, (u128::from(number) << 1) | 1);
    } else {
        put_length(out, text.len().saturating_mul(2));
        out.push_str(text);
    }
}

pub(super) fn put_time(
    out: &mut String,
    (time, precision): (EventTime, Precision),
    from: EventTime,
) {
    let distance = i128::from(time.0) - i128::from(from.0);
    let precision = match precision {
        Precision::Day => 0,
        Precision::Minute => 1,
        Precision::Second => 2,
    };
    let second = i128::from(SECOND_MS);
    if distance % second == 0 {
        out.push(char::from(precision));
        put_number(out, zigzag(distance / second));
    } else {
        out.push(char::from(precision | MILLISECONDS));
        put_number(out, zigzag(distance));
    }
}

//! Text as it may be kept: cleaned, free of numbers that name a person, and searched for words.
//!
//! Ids and names with control characters or marks that turn the reading direction are refused (two names that look alike
//! would be two subjects). In free text such characters become blanks, and numbers of telephones and citizens are replaced
//! by what they are: `请致电[电话]`. Names of people in free text are not recognised; a connector does not keep such columns.
//!
//! source   Unicode TR #36 on bidirectional text; telephone plan of China (mobile numbers: 11 digits from 13 to 19)

use super::super::identity::{check_citizen_id, half_width};
use super::super::reject::RejectCode;
use super::bytes::is_plain;
use std::borrow::Cow;

/// The longest text that a field keeps, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 1024;

/// `str::trim` with a short way for text that needs none: it begins and ends with visible ASCII or an ideograph.
#[inline]
pub(super) fn trimmed(text: &str) -> &str {
    // Blanks beyond ASCII begin with C2, E1, E2 or E3; ideographs of the common blocks with E4 to E9.
    let visible = |b: u8| (0x21..0x7f).contains(&b);
    let ideograph = |b: u8| (0xe4..0xf0).contains(&b);
    let starts = text
        .as_bytes()
        .first()
        .is_some_and(|b| visible(*b) || ideograph(*b));
    let ends = match text.as_bytes() {
        [.., last] if visible(*last) => true,
        [.., lead, _, _] => ideograph(*lead),
        _ => false,
    };
    if starts && ends { text } else { text.trim() }
}

/// Text for an id or a name: trimmed, runs of blanks made one; `Err` when it holds a control character.
pub(super) fn clean(text: &str) -> Result<Cow<'_, str>, RejectCode> {
    let text = trimmed(text);
    if is_plain(text.as_bytes()) {
        return Ok(Cow::Borrowed(text));
    }
    let mut spaces = false;
    let mut before = 0_u8;
    for byte in text.bytes() {
        if byte < 0x20 || byte == 0x7f {
            return Err(RejectCode::ControlCharacter);
        }
        spaces |= byte == b' ' && before == b' ';
        // Turning marks: U+200E, U+200F, U+202A..202E are E2 80 .., U+2066..2069 are E2 81 ..
        if before == 0xe2 && (byte == 0x80 || byte == 0x81) && text.chars().any(turns) {
            return Err(RejectCode::ControlCharacter);
        }
        before = byte;
    }
    if !spaces {
        return Ok(Cow::Borrowed(text));
    }
    Ok(Cow::Owned(single_blanks(text)))
}

fn single_blanks(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Text that people wrote: control characters become blanks, runs of blanks one, as [`clean`] has them (an event that goes through
/// a topic is the same after it), numbers of people are replaced, and it is cut at
/// [`TEXT_BYTES_MAX`] with `…` at its end.
pub(super) fn free(text: &str) -> Cow<'_, str> {
    let text = trimmed(text);
    let odd = |c: char| c.is_control() || turns(c);
    let text = if !is_plain(text.as_bytes()) && text.contains(odd) {
        Cow::Owned(text.replace(odd, " ").trim().to_owned())
    } else {
        Cow::Borrowed(text)
    };
    let text = if text.contains("  ") {
        Cow::Owned(single_blanks(&text))
    } else {
        text
    };
    let text = match without_numbers(&text) {
        Some(masked) => Cow::Owned(masked),
        None => text,
    };
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    let mut cut = String::from(prefix(&text, TEXT_BYTES_MAX - '…'.len_utf8()));
    cut.push('…');
    Cow::Owned(cut)
}

/// The longest prefix of at most `bytes_max` bytes that ends between characters.
pub(super) fn prefix(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// A value as a message may show it: short, and without numbers of people.
pub(super) fn shortened(text: &str) -> String {
    let short = prefix(text, 60);
    let mut shown = without_numbers(short).unwrap_or_else(|| short.to_owned());
    if short.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A run of digits (full width too, `X` at its end) in a text.
#[derive(Debug, Clone)]
struct Run {
    start: usize,
    end: usize,
    digits: String,
}

/// The text with telephone and citizen numbers replaced, `None` when it has none.
fn without_numbers(text: &str) -> Option<String> {
    let runs = runs(text);
    let mut masked = String::new();
    let mut done = 0;
    let mut at = 0;
    while let Some(run) = runs.get(at) {
        let Some((length, what)) = what_is(text, runs.get(at..).unwrap_or_default()) else {
            at += 1;
            continue;
        };
        masked.push_str(text.get(done..run.start)?);
        masked.push_str(what);
        done = runs.get(at + length - 1)?.end;
        at += length;
    }
    if done == 0 {
        return None;
    }
    masked.push_str(text.get(done..)?);
    Some(masked)
}

fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    // A number of people has ten digits at least; full-width ones have three bytes, EF first.
    let digits = text.bytes().filter(|b| b.is_ascii_digit() || *b == 0xef);
    if digits.count() < 10 {
        return runs;
    }
    for (at, c) in text.char_indices() {
        let plain = half_width(c);
        let end = at + c.len_utf8();
        match runs.last_mut() {
            Some(run) if run.end == at => {
                let closes = matches!(plain, 'X' | 'x') && run.digits.len() == 17;
                if plain.is_ascii_digit() || closes {
                    run.digits.push(plain.to_ascii_uppercase());
                    run.end = end;
                }
            }
            _ if plain.is_ascii_digit() => runs.push(Run {
                start: at,
                end,
                digits: plain.to_string(),
            }),
            _ => {}
        }
    }
    runs
}

/// What number of a person begins at the first run, and how many runs it takes.
fn what_is(text: &str, runs: &[Run]) -> Option<(usize, &'static str)> {
    let first = runs.first()?;
    let digits = first.digits.as_str();
    match digits.len() {
        11 if is_mobile(digits) => return Some((1, "[电话]")),
        13 if digits.starts_with("86") && is_mobile(digits.get(2..)?) => {
            return Some((1, "[电话]"));
        }
        15 | 18 if check_citizen_id(digits).is_well_formed() => return Some((1, "[证件号]")),
        _ => {}
    }
    let second = runs
        .get(1)
        .filter(|next| is_joint(text.get(first.end..next.start)))?;
    if digits.starts_with('0')
        && (3..=4).contains(&digits.len())
        && (7..=8).contains(&second.digits.len())
    {
        return Some((2, "[电话]"));
    }
    let third = runs
        .get(2)
        .filter(|next| is_joint(text.get(second.end..next.start)))?;
    let parts = (digits.len(), second.digits.len(), third.digits.len());
    (parts == (3, 4, 4) && is_mobile_start(digits)).then_some((3, "[电话]"))
}

fn is_mobile(digits: &str) -> bool {
    digits.len() == 11 && is_mobile_start(digits)
}

fn is_mobile_start(digits: &str) -> bool {
    matches!(digits.as_bytes(), [b'1', b'3'..=b'9', ..])
}

fn is_joint(between: Option<&str>) -> bool {
    matches!(between, Some("-" | " " | "－" | "—"))
}

/// Words to look for, each in several spellings, found in one pass over a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// Spelling and word, in order of the spelling.
    spellings: Vec<(Box<str>, u16)>,
    /// Each first character with the place of its first spelling, in order.
    firsts: Vec<(char, usize)>,
    names: Vec<Box<str>>,
    /// Which characters, by their low 10 bits, begin a spelling.
    starts: [u64; 16],
}

impl Words {
    /// Words with their spellings; blank spellings are passed over.
    pub(super) fn new<'s>(words: impl IntoIterator<Item = (&'s str, &'s [String])>) -> Self {
        let mut spellings: Vec<(Box<str>, u16)> = Vec::new();
        let mut names: Vec<Box<str>> = Vec::new();
        for (word, ways) in words {
            let number = u16::try_from(names.len()).unwrap_or(u16::MAX);
            names.push(word.into());
            let ways = ways.iter().filter(|way| !way.is_empty());
            spellings.extend(ways.map(|way| (Box::from(way.as_str()), number)));
        }
        spellings.sort_unstable();
        let mut firsts: Vec<(char, usize)> = Vec::new();
        let mut starts = [0_u64; 16];
        for (at, (spelling, _)) in spellings.iter().enumerate() {
            let Some(first) = spelling.chars().next() else {
                continue;
            };
            if firsts.last().is_none_or(|(c, _)| *c != first) {
                firsts.push((first, at));
            }
            let (word, bit) = start_bit(first);
            if let Some(bits) = starts.get_mut(word) {
                *bits |= bit;
            }
        }
        Self {
            spellings,
            firsts,
            names,
            starts,
        }
    }

    /// Marks the words that stand in `text`.
    pub(super) fn mark(&self, text: &str, found: &mut Vec<u16>) {
        for (at, c) in text.char_indices() {
            let (word, bit) = start_bit(c);
            if self.starts.get(word).is_none_or(|bits| bits & bit == 0) {
                continue;
            }
            let Ok(first) = self.firsts.binary_search_by_key(&c, |(c, _)| *c) else {
                continue;
            };
            let from = self.firsts.get(first).map_or(0, |(_, at)| *at);
            let to = self
                .firsts
                .get(first + 1)
                .map_or(self.spellings.len(), |(_, at)| *at);
            let rest = text.get(at..).unwrap_or_default();
            for (spelling, number) in self.spellings.get(from..to).unwrap_or_default() {
                if rest.starts_with(&**spelling) && !found.contains(number) {
                    found.push(*number);
                }
            }
        }
    }

    /// The words of these numbers, in the connector's order.
    pub(super) fn named(&self, mut found: Vec<u16>) -> Box<[Box<str>]> {
        found.sort_unstable();
        found
            .into_iter()
            .filter_map(|number| self.names.get(usize::from(number)).cloned())
            .collect()
    }
}

fn start_bit(c: char) -> (usize, u64) {
    let low = u32::from(c) & 1023;
    (
        usize::try_from(low >> 6).unwrap_or_default(),
        1_u64 << (low & 63),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_of_people_are_replaced() {
        for (text, expected) in [
            ("请致电13812345678", "请致电[电话]"),
            ("+8613812345678", "+[电话]"),
            ("138-1234-5678、138 1234 5678", "[电话]、[电话]"),
            ("座机025-83712345转8", "座机[电话]转8"),
            ("身份证11010519491231002X。", "身份证[证件号]。"),
            ("证号110105194912310021", "证号[证件号]"),
            ("１３８１２３４５６７８", "[电话]"),
            ("旧证110105491231002", "旧证[证件号]"),
            (
                "2026-03-01 交款 12345678901 元",
                "2026-03-01 交款 12345678901 元",
            ),
            ("代码91330100799655058B", "代码91330100799655058B"),
            ("执照320100000012345", "执照320100000012345"),
            ("工单202603010001382", "工单202603010001382"),
            ("a\u{0}b\nc", "a b c"),
            ("A  ! \r\n  B", "A ! B"),
        ] {
            assert_eq!(free(text), expected, "{text}");
        }
        let long = free(&"长".repeat(400)).into_owned();
        assert!(long.len() <= TEXT_BYTES_MAX && long.ends_with('…'));
    }

    #[test]
    fn names_are_cleaned_or_refused() {
        assert_eq!(clean("  A   B 店 ").unwrap(), "A B 店");
        for bad in ["a\u{0}b", "a\tb", "a\u{202e}b", "a\u{2066}", "\u{200f}a"] {
            assert_eq!(clean(bad), Err(RejectCode::ControlCharacter), "{bad:?}");
        }
        assert_eq!(clean("a\u{2014}b").unwrap(), "a\u{2014}b");
        for (at, c) in ('\u{0}'..'\u{3001}').enumerate() {
            let text = format!("{}{c}{}", "甲".repeat(at % 4), "b".repeat(at % 7));
            assert_eq!(trimmed(&text), text.trim(), "{c:?}");
            let looked_at = text.bytes().any(|b| b <= b' ' || b == 0x7f || b == 0xe2);
            assert_eq!(is_plain(text.as_bytes()), !looked_at, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn words_are_those_that_the_text_contains(
            text in "[闭店关门退费卡ab]{0,12}",
            spellings in proptest::collection::vec("[闭店关门退费卡ab]{1,3}", 1..8),
        ) {
            let lists: Vec<Vec<String>> = spellings.iter().map(|s| vec![s.clone()]).collect();
            let names: Vec<String> = (0..lists.len()).map(|n| n.to_string()).collect();
            let words = Words::new(names.iter().map(String::as_str).zip(lists.iter().map(Vec::as_slice)));
            let mut found = Vec::new();
            words.mark(&text, &mut found);
            let expected: Vec<Box<str>> = spellings.iter().zip(&names)
                .filter(|(spelling, _)| text.contains(spelling.as_str()))
                .map(|(_, name)| name.as_str().into()).collect();
            prop_assert_eq!(words.named(found).to_vec(), expected);
        }

        #[test]
        fn free_text_is_final_and_short(text in "\\PC{0,40}[0-9]{0,20}\\PC{0,5}") {
            let once = free(&text).into_owned();
            prop_assert_eq!(free(&once).into_owned(), once.clone());
            prop_assert!(once.len() <= TEXT_BYTES_MAX);
        }
    }
}

//! Places in a text: between the editor's (lines from 0, UTF-16) and ours (lines from 1, characters), and what stands
//! around a place.

use tower_lsp_server::ls_types::{Position, Range};

/// The place of a line and column from 1, the column in characters.
pub(super) fn position(text: &str, line: usize, column: usize) -> Position {
    let line_text = text.lines().nth(line.saturating_sub(1)).unwrap_or("");
    let before = line_text.chars().take(column.saturating_sub(1));
    let units: usize = before.map(char::len_utf16).sum();
    Position {
        line: number(line.saturating_sub(1)),
        character: number(units),
    }
}

/// The range of so many characters from a place on; of the whole line if the column is 0.
pub(super) fn range(text: &str, (line, column): (usize, usize), width: usize) -> Range {
    let length = text
        .lines()
        .nth(line.saturating_sub(1))
        .map_or(0, |line| line.chars().count());
    let (from, to) = if column == 0 {
        (1, length + 1)
    } else {
        (column, column + width.max(1))
    };
    Range {
        start: position(text, line, from),
        end: position(text, line, to),
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// What stands around a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Around<'a> {
    /// The line up to the word.
    pub before: &'a str,
    /// The word that the place is in, or at the end of.
    pub word: &'a str,
    /// The part of it before the place.
    pub begun: &'a str,
}

/// What stands around a place of the editor's.
pub(super) fn around(text: &str, at: Position) -> Around<'_> {
    let line = text
        .lines()
        .nth(usize::try_from(at.line).unwrap_or(usize::MAX))
        .unwrap_or("");
    let (mut units, mut byte) = (0, 0);
    for c in line.chars() {
        if usize::try_from(at.character).unwrap_or(usize::MAX) <= units {
            break;
        }
        units += c.len_utf16();
        byte += c.len_utf8();
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (left, right) = line.split_at_checked(byte).unwrap_or((line, ""));
    let begins = left.trim_end_matches(is_word).len();
    let ends = right.find(|c: char| !is_word(c)).unwrap_or(right.len());
    Around {
        before: line.get(..begins).unwrap_or(""),
        word: line.get(begins..byte + ends).unwrap_or(""),
        begun: line.get(begins..byte).unwrap_or(""),
    }
}

impl<'a> Around<'a> {
    /// The name before the dot that stands before the word.
    pub(super) fn receiver(&self) -> Option<&'a str> {
        let head = self.before.strip_suffix('.')?;
        let head = head.strip_suffix('?').unwrap_or(head);
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let begins = head.trim_end_matches(is_word).len();
        head.get(begins..)
    }

    /// Whether the word stands inside a text.
    pub(super) fn is_in_text(&self) -> bool {
        self.before.matches('"').count() % 2 == 1
    }

    /// The call whose arguments the word stands in.
    pub(super) fn call(&self) -> Option<Call<'a>> {
        let mut depth = 0_usize;
        for (at, c) in self.before.char_indices().rev() {
            match c {
                ')' => depth += 1,
                '(' if 0 < depth => depth -= 1,
                '(' => {
                    let head = self.before.get(..at)?;
                    let begins = head.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
                    return Some(Call {
                        name: head.get(begins.len()..)?,
                        arguments: self.before.get(at + 1..)?,
                    });
                }
                _ => {}
            }
        }
        None
    }
}

/// A call and what stands between its bracket and the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call<'a> {
    /// Its name.
    pub name: &'a str,
    arguments: &'a str,
}

impl<'a> Call<'a> {
    /// Which argument the word is in, from 0.
    pub(super) fn argument(&self) -> usize {
        let (mut depth, mut count) = (0_i32, 0);
        for c in self.arguments.chars() {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth -= 1,
                ',' if depth == 0 => count += 1,
                _ => {}
            }
        }
        count
    }

    /// The first argument, if it is a text and complete.
    pub(super) fn first_text(&self) -> Option<&'a str> {
        let rest = self.arguments.trim_start().strip_prefix('"')?;
        rest.split_once('"').map(|(text, _)| text)
    }

    /// Whether the word is in a map.
    pub(super) fn is_in_map(&self) -> bool {
        self.arguments.matches("#{").count() > self.arguments.matches('}').count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_words_receivers_and_calls() {
        let text = "    let 数 = who.count(\"complaint\", \"30d\", #{ prob";
        let end = position(text, 1, text.chars().count() + 1);
        let here = around(text, end);
        assert_eq!((here.word, here.receiver()), ("prob", None));
        let call = here.call().unwrap();
        assert_eq!((call.name, call.argument()), ("count", 2));
        assert_eq!(call.first_text(), Some("complaint"));
        assert!(call.is_in_map() && !here.is_in_text());
        let inside = around(text, position(text, 1, 18));
        assert_eq!(
            (inside.word, inside.begun, inside.receiver()),
            ("count", "c", Some("who"))
        );
    }

    #[test]
    fn counts_utf16_for_the_editor() {
        let text = "甲𠀀乙x";
        assert_eq!(position(text, 1, 4).character, 4);
        assert_eq!(around(text, position(text, 1, 5)).begun, "甲𠀀乙x");
        assert_eq!(range("ab\ncd", (2, 0), 0).end.character, 2);
    }
}

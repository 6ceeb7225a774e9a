//! The words of a rule's text with their places: for what the tree does not keep.
//!
//! Rhai's tree has no ends of expressions, no literals of `switch` and no comments. This reads the text without
//! understanding it: words, numbers, texts, marks. A text with `${…}` in it is one token.
//!
//! units    lines and columns from 1, columns in characters, as in Rhai's positions

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or keyword.
    Word,
    /// A number.
    Number,
    /// A text with its quotes; whether it is closed.
    Text,
    /// A comment to the end of the line or block.
    Comment,
    /// An operator or a bracket.
    Mark,
}

/// A token and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// What it is.
    pub token: Token,
    /// As written.
    pub text: &'a str,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Where it begins, bytes.
    pub start: usize,
}

impl Word<'_> {
    /// Whether it stands at this place.
    pub(super) fn is_at(&self, at: rhai::Position) -> bool {
        at.line() == Some(self.line) && at.position() == Some(self.column)
    }

    /// Its place.
    pub(super) fn position(&self) -> rhai::Position {
        let number = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        rhai::Position::new(number(self.line).max(1), number(self.column))
    }
}

/// Marks of more than one character, the longest first.
const MARKS: [&str; 22] = [
    "...", "..=", "===", "!==", "**=", "??=", "#{", "==", "!=", "<=", ">=", "&&", "||", "=>", "??",
    "..", "+=", "-=", "*=", "/=", "?.", "<>",
];

/// The tokens of a text, in order.
pub(super) fn words(source: &str) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let (mut line, mut column, mut at) = (1, 1, 0);
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let (token, length) = next(rest);
        let text = rest.get(..length).unwrap_or(rest);
        if let Some(token) = token {
            found.push(Word {
                token,
                text,
                line,
                column,
                start: at,
            });
        }
        for c in text.chars() {
            (line, column) = if c == '\n' {
                (line + 1, 1)
            } else {
                (line, column + 1)
            };
        }
        at += length.max(1);
    }
    found
}

/// The token at the beginning and its length in bytes; blanks are none.
fn next(rest: &str) -> (Option<Token>, usize) {
    let Some(first) = rest.chars().next() else {
        return (None, 1);
    };
    if first.is_whitespace() {
        return (None, first.len_utf8());
    }
    if rest.starts_with("//") {
        return (Some(Token::Comment), rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        let end = rest.find("*/").map_or(rest.len(), |at| at + 2);
        return (Some(Token::Comment), end);
    }
    if first == '"' || first == '\'' {
        return (Some(Token::Text), quoted(rest, first));
    }
    if first == '`' {
        return (Some(Token::Text), template(rest));
    }
    if first.is_ascii_digit() {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.');
        let end = end.unwrap_or(rest.len());
        // `1..7` is a range of two numbers.
        let end = rest.find("..").map_or(end, |dots| dots.min(end));
        return (Some(Token::Number), end);
    }
    if first.is_alphabetic() || first == '_' {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$');
        return (Some(Token::Word), end.unwrap_or(rest.len()));
    }
    let mark = MARKS.iter().find(|mark| rest.starts_with(**mark));
    (
        Some(Token::Mark),
        mark.map_or(first.len_utf8(), |mark| mark.len()),
    )
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\n' => return at,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn template(rest: &str) -> usize {
    let mut at = 1;
    let mut depth = 0_usize;
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if depth == 0 {
            if here.starts_with("${") {
                (depth, at) = (1, at + 2);
                continue;
            }
            let length = here.chars().next().map_or(1, char::len_utf8);
            at += length;
            if here.starts_with('`') {
                return at;
            }
            continue;
        }
        let (token, length) = next(here);
        if token == Some(Token::Mark) {
            match here.get(..length) {
                Some("{" | "#{") => depth += 1,
                Some("}") => depth -= 1,
                _ => {}
            }
        }
        at += length.max(1);
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_texts_comments_and_templates() {
        let source = "let 甲 = `a${if x { \"}\" } else { `b` }}c`; // 注\nn >= 3.5 && 1..7 'x'";
        let texts: Vec<&str> = words(source).iter().map(|word| word.text).collect();
        assert_eq!(
            texts,
            [
                "let",
                "甲",
                "=",
                "`a${if x { \"}\" } else { `b` }}c`",
                ";",
                "// 注",
                "n",
                ">=",
                "3.5",
                "&&",
                "1",
                "..",
                "7",
                "'x'"
            ]
        );
        let last = words(source).last().copied().unwrap();
        assert_eq!((last.line, last.column), (2, 18));
    }

    #[test]
    fn ends_with_what_is_not_closed() {
        for source in ["\"abc", "`a${b", "/* x", "'", "`", "${"] {
            let total: usize = words(source).iter().map(|word| word.text.len()).sum();
            assert_eq!(total, source.len(), "{source}");
        }
    }
}

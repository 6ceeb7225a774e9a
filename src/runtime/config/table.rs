//! A TOML file as written, read key by key: each value knows its line and column, and what nobody asked for is an error.
//!
//! A reader takes the keys that it knows out of a [`Table`] and then calls [`Table::finish`], which refuses the rest and
//! names the nearest key that would have been known.
//!
//! errors   [`TomlError`]: `file:line:column: what is wrong (what to do)`; columns count characters from 1
//! cost     start-up only

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// What is wrong with a TOML file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TomlError {
    /// The file as the user knows it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Lower case, quotes the value, says what to do.
    pub message: String,
}

impl fmt::Display for TomlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.message
        )
    }
}

impl std::error::Error for TomlError {}

/// A value and the bytes of the file it stands in.
#[derive(Debug, Clone)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Range<usize>,
}

#[derive(Debug)]
struct Source<'t> {
    name: String,
    text: &'t str,
}

/// One table of the file, from which known keys are taken.
#[derive(Debug)]
pub struct Table<'t> {
    source: Arc<Source<'t>>,
    path: String,
    at: Range<usize>,
    entries: Vec<(Placed<String>, Placed<DeValue<'t>>)>,
    asked: Vec<&'static str>,
}

impl<'t> Table<'t> {
    /// Parses a file; `name` is what messages call it.
    pub fn parse(name: &str, text: &'t str) -> Result<Self, TomlError> {
        let source = Arc::new(Source {
            name: name.to_owned(),
            text,
        });
        match DeTable::parse(text) {
            Ok(document) => {
                let at = document.span();
                Ok(Self::of(source, String::new(), at, document.into_inner()))
            }
            Err(error) => {
                let at = error.span().unwrap_or(0..0);
                let message = error.message().lines().collect::<Vec<_>>().join(" ");
                Err(source.error(&at, format!("not TOML: {message}")))
            }
        }
    }

    fn of(source: Arc<Source<'t>>, path: String, at: Range<usize>, table: DeTable<'t>) -> Self {
        let entries = table
            .into_iter()
            .map(|(key, value)| {
                let (key_at, value_at) = (key.span(), value.span());
                (
                    Placed {
                        value: key.into_inner().into_owned(),
                        at: key_at,
                    },
                    Placed {
                        value: value.into_inner(),
                        at: value_at,
                    },
                )
            })
            .collect();
        Self {
            source,
            path,
            at,
            entries,
            asked: Vec::new(),
        }
    }

    /// Whether no key is left that nobody asked for.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where the table stands.
    pub fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    /// An error at a place of this file.
    pub fn error(&self, at: &Range<usize>, message: impl Into<String>) -> TomlError {
        self.source.error(at, message)
    }

    /// The error that a key is missing.
    pub fn missing(&self, key: &str) -> TomlError {
        self.error(
            &self.at,
            format!("\"{}\" is missing; it has no default", self.full(key)),
        )
    }

    /// Text, if the key is there; empty text is an error.
    pub fn text(&mut self, key: &'static str) -> Result<Option<Placed<String>>, TomlError> {
        let Some(entry) = self.take(key) else {
            return Ok(None);
        };
        match entry.value {
            DeValue::String(text) if !text.trim().is_empty() => Ok(Some(Placed {
                value: text.into_owned(),
                at: entry.at,
            })),
            DeValue::String(_) => {
                Err(self.error(&entry.at, format!("\"{}\" is empty", self.full(key))))
            }
            other => Err(self.wrong(key, &entry.at, &other, "text in quotes")),
        }
    }

    /// Text that must be there.
    pub fn need_text(&mut self, key: &'static str) -> Result<Placed<String>, TomlError> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// A list of texts, if the key is there.
    pub fn texts(&mut self, key: &'static str) -> Result<Option<Vec<Placed<String>>>, TomlError> {
        let Some(entry) = self.take(key) else {
            return Ok(None);
        };
        let expected = "a list of texts";
        let DeValue::Array(items) = entry.value else {
            return Err(self.wrong(key, &entry.at, &entry.value, expected));
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            let at = item.span();
            match item.into_inner() {
                DeValue::String(text) => texts.push(Placed {
                    value: text.into_owned(),
                    at,
                }),
                other => return Err(self.wrong(key, &at, &other, expected)),
            }
        }
        Ok(Some(texts))
    }

    /// A whole number within bounds, or `default`.
    pub fn integer(
        &mut self,
        key: &'static str,
        default: u64,
        bounds: RangeInclusive<u64>,
    ) -> Result<u64, TomlError> {
        let Some(entry) = self.take(key) else {
            return Ok(default);
        };
        let (low, high) = (bounds.start(), bounds.end());
        let expected = format!("a whole number from {low} to {high}");
        let DeValue::Integer(number) = &entry.value else {
            return Err(self.wrong(key, &entry.at, &entry.value, &expected));
        };
        match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(value) if bounds.contains(&value) => Ok(value),
            _ => Err(self.error(
                &entry.at,
                format!(
                    "\"{}\" is {}; expected {expected}",
                    self.full(key),
                    number.as_str()
                ),
            )),
        }
    }

    /// `true` or `false`, or `default`.
    pub fn flag(&mut self, key: &'static str, default: bool) -> Result<bool, TomlError> {
        match self.take(key) {
            None => Ok(default),
            Some(Placed {
                value: DeValue::Boolean(value),
                ..
            }) => Ok(value),
            Some(other) => Err(self.wrong(key, &other.at, &other.value, "true or false")),
        }
    }

    /// One word of a closed list, or `default`.
    pub fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T, TomlError> {
        Ok(self.optional_choice(key, choices)?.unwrap_or(default))
    }

    /// One word of a closed list, if the key is there.
    pub fn optional_choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, TomlError> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text.value) {
            return Ok(Some(*value));
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        Err(self.error(
            &text.at,
            format!(
                "\"{}\" is \"{}\"; expected one of {}{}",
                self.full(key),
                text.value,
                quoted(&words),
                did_you_mean(&text.value, &words)
            ),
        ))
    }

    /// A table, if the key is there.
    pub fn table(&mut self, key: &'static str) -> Result<Option<Self>, TomlError> {
        let Some(entry) = self.take(key) else {
            return Ok(None);
        };
        let path = self.full(key);
        match entry.value {
            DeValue::Table(table) => Ok(Some(Self::of(
                Arc::clone(&self.source),
                path,
                entry.at,
                table,
            ))),
            other => Err(self.wrong(key, &entry.at, &other, &format!("a table [{path}]"))),
        }
    }

    /// A list of tables; none if the key is absent.
    pub fn tables(&mut self, key: &'static str) -> Result<Vec<Self>, TomlError> {
        let Some(entry) = self.take(key) else {
            return Ok(Vec::new());
        };
        let path = self.full(key);
        let expected = format!("tables [[{path}]]");
        let DeValue::Array(items) = entry.value else {
            return Err(self.wrong(key, &entry.at, &entry.value, &expected));
        };
        let mut tables = Vec::with_capacity(items.len());
        for item in items {
            let at = item.span();
            match item.into_inner() {
                DeValue::Table(table) => {
                    tables.push(Self::of(Arc::clone(&self.source), path.clone(), at, table));
                }
                other => return Err(self.wrong(key, &at, &other, &expected)),
            }
        }
        Ok(tables)
    }

    /// Refuses every key that nobody asked for.
    pub fn finish(self) -> Result<(), TomlError> {
        let Some((key, _)) = self.entries.iter().min_by_key(|(key, _)| key.at.start) else {
            return Ok(());
        };
        let place = match self.path.as_str() {
            "" => "the file".to_owned(),
            path => format!("[{path}]"),
        };
        Err(self.error(
            &key.at,
            format!(
                "unknown key \"{}\" in {place}; known here: {}{}",
                key.value,
                quoted(&self.asked),
                did_you_mean(&key.value, &self.asked)
            ),
        ))
    }

    fn take(&mut self, key: &'static str) -> Option<Placed<DeValue<'t>>> {
        self.asked.push(key);
        let at = self
            .entries
            .iter()
            .position(|(name, _)| name.value == key)?;
        Some(self.entries.swap_remove(at).1)
    }

    fn full(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn wrong(
        &self,
        key: &str,
        at: &Range<usize>,
        found: &DeValue<'_>,
        expected: &str,
    ) -> TomlError {
        self.error(
            at,
            format!(
                "\"{}\" is of type {}; expected {expected}",
                self.full(key),
                found.type_str()
            ),
        )
    }
}

impl Source<'_> {
    fn error(&self, at: &Range<usize>, message: impl Into<String>) -> TomlError {
        error_at(&self.name, self.text, at, message)
    }
}

/// An error at a place of a file.
pub fn error_at(
    name: &str,
    text: &str,
    at: &Range<usize>,
    message: impl Into<String>,
) -> TomlError {
    let before = text.get(..at.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    TomlError {
        file: name.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or("").chars().count() + 1,
        message: message.into(),
    }
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    words.join(", ")
}

fn did_you_mean(word: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|candidate| (edits(word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 3)
        .min();
    match near {
        Some((_, candidate)) => format!(" (did you mean \"{candidate}\"?)"),
        None => String::new(),
    }
}

/// How many letters must be put in, taken out or changed to make `a` from `b` (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, letter) in a.chars().enumerate() {
        let mut next = vec![line + 1];
        let mut left = line + 1;
        for (other, pair) in b.iter().zip(row.windows(2)) {
            let (corner, above) = match pair {
                [corner, above] => (*corner, *above),
                _ => (0, 0),
            };
            left = (corner + usize::from(letter != *other))
                .min(above + 1)
                .min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, distance) in [
            ("shards", "shards", 0),
            ("shard", "shards", 1),
            ("shrads", "shards", 2),
            ("", "abc", 3),
            ("分片", "分区", 1),
        ] {
            assert_eq!(edits(a, b), distance, "{a} {b}");
            assert_eq!(edits(b, a), distance, "{b} {a}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_at_a_place_of_it(text in "[a-c\\[\\]=\"{},.# \n0-9年]{0,60}") {
            let lines = text.matches('\n').count() + 1;
            let outcome = Table::parse("a.toml", &text).and_then(|mut table| {
                table.text("a")?;
                table.integer("b", 1, 1..=9)?;
                for mut inner in table.tables("c")? {
                    inner.texts("a")?;
                    inner.finish()?;
                }
                table.finish()
            });
            if let Err(error) = outcome {
                proptest::prop_assert!(1 <= error.line && error.line <= lines, "{error}");
                proptest::prop_assert!(1 <= error.column, "{error}");
            }
        }
    }

    #[test]
    fn places_count_characters() {
        let mut table = Table::parse("a.toml", "x = 1\n# 注释\n\"键\" = { shard = 3 }\n").unwrap();
        table.integer("x", 0, 0..=9).unwrap();
        let error = table.finish().unwrap_err();
        assert_eq!((error.line, error.column), (3, 1));
        let error = Table::parse("a.toml", "键 = ").unwrap_err();
        assert_eq!((error.file.as_str(), error.line), ("a.toml", 1));
    }
}

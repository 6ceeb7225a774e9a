//! What is wrong with a rule's text, for the analyst who wrote it.
//!
//! A [`Diagnostic`] names its place and says in Chinese what is wrong and what would be right. Its plain rendering is that
//! of a compiler:
//!
//! ```text
//! 错误[unknown-field]: 投诉举报(complaint)没有字段 problem_typ
//!   --> complaint/surge.rhai:14:40
//!    |
//! 14 |     let n = who.distinct("complaint", "problem_typ", "7d");
//!    |                                       ^^^^^^^^^^^^^
//!    = 提示: 是不是想写 problem_type?
//! ```

use super::codes::title;
use super::scan::words;
use rhai::Position;
use std::fmt;

/// Whether the rule set can be loaded with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but somebody should look.
    Warning,
}

/// What mends a finding for certain enough to be done by a program: one text of the line for another.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fix {
    /// The column where it begins, characters, from 1.
    pub column: usize,
    /// What stands there.
    pub from: String,
    /// What should.
    pub to: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Diagnostic {
    /// What kind of thing: `unknown-field`.
    pub code: &'static str,
    /// Whether it stops the load.
    pub severity: Severity,
    /// The file, as in the sources.
    pub file: String,
    /// The line, from 1; 0 if it is about the whole file.
    pub line: usize,
    /// The column in characters, from 1; 0 if it is about the whole line.
    pub column: usize,
    /// What is wrong, Chinese.
    pub message: String,
    /// What would be right, Chinese; may be empty.
    pub help: String,
    /// The line's text.
    pub source_line: String,
    /// How many characters it is about, from the column on; 0 if unknown.
    pub width: usize,
    /// What `rule check --fix` does about it.
    pub fix: Option<Fix>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "错误",
            Severity::Warning => "警告",
        };
        writeln!(f, "{severity}[{}]: {}", self.code, self.message)?;
        if self.line == 0 {
            write!(f, "  --> {}", self.file)?;
        } else {
            let number = self.line.to_string();
            let pad = " ".repeat(number.len());
            writeln!(f, "{pad} --> {}:{}:{}", self.file, self.line, self.column)?;
            writeln!(f, "{pad} |")?;
            write!(f, "{number} | {}", self.source_line.trim_end())?;
            if 0 < self.column {
                write!(f, "\n{pad} | {}{}", self.blanks_before(), self.carets())?;
            }
        }
        if !self.help.is_empty() {
            write!(f, "\n  = 提示: {}", self.help)?;
        }
        Ok(())
    }
}

impl Diagnostic {
    /// Writing `to` for `from`, if that stands at the place, or in the word there.
    fn mended(&self, from: String, to: String) -> Option<Fix> {
        let rest = self.source_line.chars().skip(self.column.checked_sub(1)?);
        let rest: String = rest.collect();
        let about: String = rest.chars().take(self.width.max(1)).collect();
        let at = if rest.starts_with(&from) {
            0
        } else {
            about.find(&from)?
        };
        let before = about.get(..at)?.chars().count();
        let column = self.column + before;
        Some(Fix { column, from, to })
    }

    /// As many marks as what it is about is wide.
    fn carets(&self) -> String {
        let about = self.source_line.chars().skip(self.column.saturating_sub(1));
        let wide: usize = about
            .take(self.width)
            .map(|c| if c.is_ascii() { 1 } else { 2 })
            .sum();
        "^".repeat(wide.max(1))
    }

    /// Blanks as wide as the text before the column; a Chinese character is two wide.
    fn blanks_before(&self) -> String {
        self.source_line
            .chars()
            .take(self.column.saturating_sub(1))
            .map(|c| match c {
                '\t' => "\t",
                c if c.is_ascii() => " ",
                _ => "  ",
            })
            .collect()
    }
}

/// What would be right, and what to write for what if that is all there is to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Help {
    text: String,
    mend: Option<(String, String)>,
}

impl Help {
    /// A name was meant that is near to the one written; else `otherwise` is said.
    pub(super) fn near(wanted: &str, near: Option<&str>, otherwise: impl Into<String>) -> Self {
        match near {
            Some(name) => Self {
                text: format!("是不是想写 {name}?"),
                mend: Some((wanted.to_owned(), name.to_owned())),
            },
            None => otherwise.into().into(),
        }
    }

    /// The same help, with what to write for what.
    pub(super) fn mending(text: impl Into<String>, from: &str, to: &str) -> Self {
        Self {
            text: text.into(),
            mend: Some((from.to_owned(), to.to_owned())),
        }
    }
}

impl From<&str> for Help {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Help {
    fn from(text: String) -> Self {
        Self { text, mend: None }
    }
}

/// Collects what is wrong with one file.
#[derive(Debug)]
pub(super) struct Report<'a> {
    file: &'a str,
    source: &'a str,
    out: &'a mut Vec<Diagnostic>,
    only_warns: bool,
}

impl<'a> Report<'a> {
    /// A report on the file, added to `out`.
    pub(super) fn new(file: &'a str, source: &'a str, out: &'a mut Vec<Diagnostic>) -> Self {
        Self {
            file,
            source,
            out,
            only_warns: false,
        }
    }

    /// Adds an error.
    pub(super) fn error(
        &mut self,
        code: &'static str,
        at: Position,
        message: impl Into<String>,
        help: impl Into<Help>,
    ) {
        self.add(Severity::Error, code, at, (message.into(), help.into()));
    }

    /// Adds a warning.
    pub(super) fn warning(
        &mut self,
        code: &'static str,
        at: Position,
        message: impl Into<String>,
        help: impl Into<Help>,
    ) {
        self.add(Severity::Warning, code, at, (message.into(), help.into()));
    }

    /// The text that is reported on.
    pub(super) fn source(&self) -> &'a str {
        self.source
    }

    /// Whether something of this code is reported on the file.
    pub(super) fn has(&self, code: &str) -> bool {
        self.out
            .iter()
            .any(|d| d.file == self.file && d.code == code)
    }

    /// How many errors of other codes are reported on the file.
    pub(super) fn errors_beside(&self, code: &str) -> usize {
        let errors = self.out.iter().filter(|d| d.severity == Severity::Error);
        errors
            .filter(|d| d.file == self.file && d.code != code)
            .count()
    }

    /// Whether an error is reported at this place already, or one of the same code on its line.
    pub(super) fn has_error_at(&self, at: Position, code: &str) -> bool {
        let (line, column) = (at.line().unwrap_or(0), at.position().unwrap_or(0));
        self.out.iter().any(|d| {
            d.severity == Severity::Error
                && d.file == self.file
                && d.line == line
                && (d.column == column || d.code == code)
        })
    }

    /// From now on what is found does not stop the load.
    pub(super) fn only_warns(&mut self, only_warns: bool) {
        self.only_warns = only_warns;
    }

    /// Adds what was found.
    pub(super) fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        at: Position,
        (message, help): (String, Help),
    ) {
        debug_assert!(title(code).is_some(), "{code} is not in the table of codes");
        let line = at.line().unwrap_or(0);
        let word = words(self.source).into_iter().find(|word| word.is_at(at));
        let severity = if self.only_warns {
            Severity::Warning
        } else {
            severity
        };
        let mut diagnostic = Diagnostic {
            code,
            severity,
            file: self.file.to_owned(),
            line,
            column: at.position().unwrap_or(0),
            message,
            help: help.text,
            source_line: line
                .checked_sub(1)
                .and_then(|at| self.source.lines().nth(at))
                .unwrap_or("")
                .to_owned(),
            width: word.map_or(0, |word| {
                word.text.lines().next().unwrap_or("").chars().count()
            }),
            fix: None,
        };
        diagnostic.fix = help.mend.and_then(|(from, to)| diagnostic.mended(from, to));
        if !self.out.contains(&diagnostic) {
            self.out.push(diagnostic);
        }
    }
}

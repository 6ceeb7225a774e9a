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
//!    |
//!    = 提示: 是不是想写 problem_type?
//! ```
//!
//! source   `annotate-snippets`, the renderer of rustc, which knows how wide Chinese characters are

use super::codes::title;
use super::scan::words;
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use rhai::Position;
use std::fmt;
use std::ops::Range;

/// Wider than any line: none is cut.
const COLUMNS_MAX: usize = 100_000;
const PLAIN: Renderer = Renderer::plain().term_width(COLUMNS_MAX);
const COLOURED: Renderer = Renderer::styled().term_width(COLUMNS_MAX);

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
        f.write_str(&self.rendered(&PLAIN))
    }
}

impl Diagnostic {
    /// As [`fmt::Display`] says it, with the colours of a terminal.
    pub fn coloured(&self) -> String {
        self.rendered(&COLOURED)
    }

    fn rendered(&self, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR.with_name("错误"),
            Severity::Warning => Level::WARNING.with_name("警告"),
        };
        let title = level.primary_title(&self.message).id(self.code);
        let group = if self.line == 0 {
            title.element(Origin::path(&self.file))
        } else {
            let mark = AnnotationKind::Primary.span(self.marked());
            let source = Snippet::source(&self.source_line).line_start(self.line);
            title.element(source.path(&self.file).annotation(mark))
        };
        let help = Level::HELP.with_name("提示").message(&self.help);
        let help = (!self.help.is_empty()).then_some(help);
        renderer.render(&[group.elements(help)])
    }

    /// What of the line is marked, bytes: a word, a place, or all of it when there is no column.
    fn marked(&self) -> Range<usize> {
        let line = self.source_line.trim_end();
        let bytes = |count: usize| line.chars().take(count).map(char::len_utf8).sum();
        match self.column.checked_sub(1) {
            Some(before) => bytes(before)..bytes(before + self.width.max(1)),
            None => line.len() - line.trim_start().len()..line.len(),
        }
    }

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

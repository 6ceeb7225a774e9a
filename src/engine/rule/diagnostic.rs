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
//!    |                                       ^
//!    = 提示: 是不是想写 problem_type?
//! ```

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
                write!(f, "\n{pad} | {}^", self.blanks_before())?;
            }
        }
        if !self.help.is_empty() {
            write!(f, "\n  = 提示: {}", self.help)?;
        }
        Ok(())
    }
}

impl Diagnostic {
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

/// Collects what is wrong with one file.
#[derive(Debug)]
pub(super) struct Report<'a> {
    file: &'a str,
    source: &'a str,
    out: &'a mut Vec<Diagnostic>,
}

impl<'a> Report<'a> {
    /// A report on the file, added to `out`.
    pub(super) fn new(file: &'a str, source: &'a str, out: &'a mut Vec<Diagnostic>) -> Self {
        Self { file, source, out }
    }

    /// Adds an error.
    pub(super) fn error(
        &mut self,
        code: &'static str,
        at: Position,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Error, code, at, [message.into(), help.into()]);
    }

    /// Adds a warning.
    pub(super) fn warning(
        &mut self,
        code: &'static str,
        at: Position,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Warning, code, at, [message.into(), help.into()]);
    }

    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        at: Position,
        [message, help]: [String; 2],
    ) {
        let line = at.line().unwrap_or(0);
        let diagnostic = Diagnostic {
            code,
            severity,
            file: self.file.to_owned(),
            line,
            column: at.position().unwrap_or(0),
            message,
            help,
            source_line: line
                .checked_sub(1)
                .and_then(|at| self.source.lines().nth(at))
                .unwrap_or("")
                .to_owned(),
        };
        if !self.out.contains(&diagnostic) {
            self.out.push(diagnostic);
        }
    }
}

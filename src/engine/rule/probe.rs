//! A line of Rhai asked of a subject: the question of a rule without the rule, for trying things out.
//!
//! The line stands in a `decide` of its own, with `ev`, `who` and the same sealed engine, so that what it gives is what it
//! would give in a rule. It looks back [`HISTORY`]; facts older than the rules in force need may be gone from the state.

use super::compiled::{Judgement, Rule};
use super::diagnostic::{Diagnostic, Report, Severity};
use super::error::RuleError;
use super::guard::Questions;
use super::loaded::{Entry, load_rule};
use super::record::Record;
use super::set::RuleSet;
use crate::engine::event::SubjectKind;
use crate::engine::schema::{Field, Stream};
use crate::engine::subject::view::Verdict;
use rhai::{Array, Dynamic};

/// How far back a line may look.
const HISTORY: &str = "3650d";
/// The most records of a list that are shown.
const SHOWN_MAX: usize = 20;

/// What a line gave.
#[derive(Debug)]
pub struct Answer {
    /// Its value, Chinese where it is none of Rhai's own; or why it failed.
    pub value: Result<String, RuleError>,
    /// What it said with `warn` and its like.
    pub verdict: Verdict,
}

impl RuleSet {
    /// A rule that is nothing but these lines, on all records of individuals of this kind. What is wrong comes back with
    /// lines counted from the first of them.
    pub fn probe(&self, kind: SubjectKind, lines: &str) -> Result<Rule, Vec<Diagnostic>> {
        let streams = Stream::ALL.into_iter().filter(|s| *s != Stream::Finding);
        let on: Vec<String> = streams.map(|s| format!("\"{}\"", s.name())).collect();
        let basis = self.laws().iter().next().map_or("", |law| &law.title);
        let dimension = self.scoring().dimensions().next().unwrap_or("");
        let head = format!(
            "const RULE = #{{ id: \"-\", name: \"-\", owner: \"-\", basis: [\"《{basis}》\"], dimension: \"{dimension}\", \
             subject: \"{}\", on: [{}], history: \"{HISTORY}\" }}; fn decide(ev, who, p) {{\n",
            kind.name(),
            on.join(",")
        );
        let text = format!("{head}{lines}\n}}");
        let mut found = Vec::new();
        let mut report = Report::new("-", &text, &mut found);
        let mut questions = Questions::default();
        let rule = load_rule(
            ("-", &text),
            Entry::Stored,
            self.shared(),
            &mut questions,
            &mut report,
        );
        found.retain(|d| d.severity == Severity::Error);
        for diagnostic in &mut found {
            diagnostic.line = diagnostic.line.saturating_sub(1);
        }
        match rule {
            Some(rule) if found.is_empty() => Ok(rule),
            _ => Err(found),
        }
    }
}

impl Rule {
    /// What the last line of `decide` gives.
    pub fn answer(&self, judgement: &Judgement<'_>) -> Answer {
        let (context, ran) = self.evaluate(&self.core.shared.engine, judgement);
        Answer {
            value: ran.map(|value| shown(&value)),
            verdict: context.verdict(true),
        }
    }
}

/// A value in a few words: of a list how long it is, of a record when it was and which.
pub(super) fn brief(value: &Dynamic) -> String {
    if let Some(list) = value.read_lock::<Array>() {
        return format!("{} 项", list.len());
    }
    if let Some(record) = value.read_lock::<Record>() {
        return format!("{} {}", record.time(), record.id());
    }
    if value.is_unit() {
        return "无".to_owned();
    }
    shown(value)
}

fn shown(value: &Dynamic) -> String {
    if value.is_unit() {
        return "（空）".to_owned();
    }
    if let Ok(truth) = value.as_bool() {
        return if truth { "是" } else { "否" }.to_owned();
    }
    if let Some(record) = value.read_lock::<Record>() {
        return record_text(&record);
    }
    if let Some(list) = value.read_lock::<Array>() {
        let lines: Vec<String> = list.iter().take(SHOWN_MAX).map(shown).collect();
        let more = if SHOWN_MAX < list.len() { "\n…" } else { "" };
        return format!("{} 项\n{}{more}", list.len(), lines.join("\n"));
    }
    value.to_string()
}

fn record_text(record: &Record) -> String {
    let stream = record.stream();
    let fields: Vec<String> = Field::all_of(stream)
        .filter_map(|field| {
            let value = record.value(field)?;
            let value = super::convert::to_dynamic(value);
            Some(format!("{}={value}", field.name()))
        })
        .collect();
    format!(
        "{} {} {} {}",
        record.time(),
        stream.name(),
        record.id(),
        fields.join(" ")
    )
}

//! Tests of the rule engine.

use super::*;
use crate::engine::event::{Event, Fields, Op, SubjectKey, SubjectKind, Validity, Value};
use crate::engine::schema::{Field, Stream};
use crate::engine::subject::facts::{Fact, Facts};
use crate::engine::subject::view::{Anchor, Verdict, View};
use crate::engine::time::{EventTime, as_of};
use std::sync::Arc;

mod answers;
mod attacks;
mod checks;
mod examples;
mod failures;
mod gate;
mod groups;
mod index;
mod mangled;
mod quiet;
mod reuse;
mod verdicts;

/// A table of measures of its own: the repository's one changes with the national list.
const MEASURES: &str = r#"
measure = [
  { code = "M-1", name = "限制任职", aliases = ["限制高管任职"], basis = "清单", edition = "2024" },
  { code = "M-2", name = "限制参与政府采购", basis = "清单", edition = "2024" },
  { code = "M-3", name = "限制申请财政资金", basis = "清单", edition = "2024" },
  { code = "M-4", name = "限制消费", basis = "清单", edition = "2024" },
]
"#;

const SANCTIONS: &str = r#"
limits = { per_rule_and_day = 2, receive_working_days = 1, apply_working_days = 3 }
order = [
  { code = "M-1", departments = ["甲局"] },
  { code = "M-2", departments = ["甲局"] },
  { code = "M-3", departments = ["乙局"] },
  { code = "M-4", departments = ["乙局"] },
]
"#;

/// Sources with these rules and the tables of the repository.
pub(super) fn sources(files: &[(&str, &str)]) -> RuleSources {
    RuleSources {
        files: files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect(),
        calendar: include_str!("../../../../rules/calendar.toml").to_owned(),
        scoring: include_str!("../../../../rules/scoring.toml").to_owned(),
        laws: include_str!("../../../../rules/laws.toml").to_owned(),
        measures: MEASURES.to_owned(),
        routing: include_str!("../../../../rules/routing.toml").to_owned(),
        sanctions: SANCTIONS.to_owned(),
    }
}

/// A rule set that must load; what the checks say of it is not asked, so that what fails when it runs can be tried.
pub(super) fn load(files: &[(&str, &str)]) -> RuleSet {
    RuleSet::restore(&sources(files)).unwrap_or_else(|diagnostics| {
        let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
        let text: Vec<String> = errors.map(ToString::to_string).collect();
        panic!("{}", text.join("\n"))
    })
}

/// Runs the tests of a set.
pub(super) fn run_all(set: &RuleSet) -> Vec<TestReport> {
    run_tests(set)
}

/// A rule text: more of the manifest, the body of `decide`, more functions. `decide` begins on line 6.
pub(super) fn rule(manifest: &str, body: &str, functions: &str) -> String {
    let on = if manifest.starts_with("on:") || manifest.contains(" on:") {
        ""
    } else {
        "on: [\"complaint\"],"
    };
    let history = if manifest.contains("history:") {
        ""
    } else {
        "history: \"365d\","
    };
    format!(
        "//! 试验规则\nconst RULE = #{{ id: \"T-1\", name: \"试验\", owner: \"信用监管处\",\n  \
         basis: [\"《中华人民共和国行政处罚法》\"], {on} {history}\n  {manifest} }};\n\n\
         fn decide(ev, who, p) {{\n{body}\n}}\n{functions}\n"
    )
}

/// A rule set of one such rule.
fn one(manifest: &str, body: &str, functions: &str) -> RuleSet {
    load(&[("complaint/t.rhai", &rule(manifest, body, functions))])
}

/// What is wrong with such a rule, one line each: code, place, message.
fn wrong(manifest: &str, body: &str, functions: &str) -> String {
    let text = rule(manifest, body, functions);
    let diagnostics = match RuleSet::load(&sources(&[("complaint/t.rhai", &text)])) {
        Ok(set) => set.warnings().to_vec(),
        Err(diagnostics) => diagnostics,
    };
    let lines: Vec<String> = diagnostics
        .iter()
        .filter(|d| !matches!(d.code, "no-tests" | "never-speaks"))
        .map(|d| {
            format!(
                "{} {}:{} {} | {}",
                d.code, d.line, d.column, d.message, d.help
            )
        })
        .collect();
    lines.join("\n")
}

/// Runs the tests of such a rule; all must pass.
fn passes(manifest: &str, body: &str, functions: &str) {
    let reports = run_tests(&one(manifest, body, functions));
    assert!(!reports.is_empty());
    let failed: Vec<_> = reports
        .iter()
        .filter(|report| !report.is_passed())
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A fact of a stream.
pub(super) fn event(
    number: u32,
    stream: Stream,
    time: &str,
    fields: &[(Field, Value)],
) -> Arc<Event> {
    let (occurred_at, precision) = EventTime::parse(time).unwrap();
    let mut all = Fields::new();
    for (field, value) in fields {
        all.set(*field, value.clone());
    }
    Arc::new(Event {
        source: "s".into(),
        record_id: number.to_string().into(),
        version: 1,
        op: Op::Insert,
        stream,
        occurred_at,
        precision,
        arrived_at: occurred_at,
        validity: Validity::Valid,
        subjects: vec![SubjectKey::new(SubjectKind::Enterprise, "91")],
        fields: all,
    })
}

/// An enterprise with these facts.
pub(super) fn enterprise(events: &[Arc<Event>]) -> View {
    let mut facts = Facts::default();
    for event in events {
        facts.insert(event.stream, Fact::of(event));
    }
    View::Individual {
        key: Arc::new(SubjectKey::new(SubjectKind::Enterprise, "91")),
        facts: Arc::new(facts),
    }
}

/// What the only rule of a set says of a fact.
fn judge(set: &RuleSet, view: &View, event: &Arc<Event>) -> Result<Verdict, RuleError> {
    set.rules()[0].decide(
        &Judgement {
            view,
            anchor: Anchor::Fact(event.record_key()),
            event: Some(event),
            as_of: as_of(event.occurred_at, event.precision),
        },
        &mut Memo::default(),
    )
}

/// How many cases the property tests of rules try: what `PROPTEST_CASES` says, or a few.
pub(super) fn cases() -> u32 {
    match proptest::test_runner::Config::default().cases {
        // Proptest's own default.
        256 => 24,
        wanted => wanted,
    }
}

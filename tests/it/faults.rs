//! A rule that keeps failing is suspended aloud, owes what it did not judge, and stops nobody else.

use crate::support::project;
use fenghuo::engine::event::{Event, Fields, Op, SubjectKey, SubjectKind, Validity, Value};
use fenghuo::engine::input::{Alone, Input, Outcome};
use fenghuo::engine::province::Province;
use fenghuo::engine::record::Prepared;
use fenghuo::engine::rule::{RuleSet, RuleSources};
use fenghuo::engine::schema::{Stream, field};
use fenghuo::engine::time::{EventTime, Precision};
use fenghuo::engine::warning::Message;
use fenghuo::runtime::bundle;
use std::sync::Arc;

/// Two rules on complaints: `XX-002` fails where `group_size` is absent, unless it is mended.
fn set(condition: &str) -> Arc<RuleSet> {
    let shipped = bundle::rules_in(&project("rules")).unwrap();
    let rule = |id: &str, condition: &str| {
        format!(
            "//! 试验\nconst RULE = #{{ id: \"{id}\", name: \"试验\", owner: \"信用监管处\", \
             basis: [\"《市场监督管理投诉举报处理办法》\"], on: [\"complaint\"] }};\n\
             fn decide(ev, who, p) {{\n    if {condition} {{ return; }}\n    \
             warn(#{{ level: \"黄\", score: 10, message: \"试验\" }})\n}}\n"
        )
    };
    let files = vec![
        (
            "complaint/one.rhai".to_owned(),
            rule("XX-001", "ev.problem_type != \"食品安全\""),
        ),
        ("complaint/two.rhai".to_owned(), rule("XX-002", condition)),
    ];
    let sources = RuleSources { files, ..shipped };
    Arc::new(RuleSet::load(&sources).unwrap_or_else(|found| panic!("{}", found[0])))
}

fn event(number: i32) -> Event {
    let mut fields = Fields::new();
    fields.set(field::problem_type, Value::Text("食品安全".into()));
    let at = EventTime::from_day(20_000).plus_ms(i64::from(number) * 3 * 3_600_000);
    Event {
        source: "s".into(),
        record_id: number.to_string().into(),
        version: 0,
        op: Op::Insert,
        stream: Stream::Complaint,
        occurred_at: at,
        precision: Precision::Second,
        arrived_at: at,
        validity: Validity::Valid,
        subjects: vec![SubjectKey::new(
            SubjectKind::Enterprise,
            &format!("f{number}"),
        )],
        fields,
    }
}

fn step(province: &mut Province, numbers: std::ops::Range<i32>) -> Outcome {
    let events: Vec<Event> = numbers.map(event).collect();
    let inputs: Vec<Input> = events
        .iter()
        .cloned()
        .map(Arc::new)
        .map(Input::Event)
        .collect();
    let prepared: Vec<Prepared> = events.into_iter().map(Prepared::new).collect();
    province.step(&inputs, &prepared, &Alone)
}

fn warned(outcome: &Outcome, rule: &str) -> usize {
    let id = format!("\"rule_id\":\"{rule}\"");
    outcome
        .sent
        .iter()
        .filter(|s| matches!(s.message, Message::Warning(_)))
        .filter(|s| {
            String::from_utf8(s.message.to_line())
                .unwrap()
                .contains(&id)
        })
        .count()
}

#[test]
fn a_rule_that_keeps_failing_is_suspended_and_judges_what_it_owes_once_mended() {
    let mut province = Province::new(set("ev.group_size < 3"), 2);
    // Eight complaints a day: the first day's failures suspend the rule at its end.
    let first = step(&mut province, 0..24);
    assert_eq!(first.suspended, [1]);
    assert_eq!(first.faults.len(), 8, "failures of the first day alone");
    assert!(
        first.faults[0].fault.message.contains("two.rhai:4:"),
        "{}",
        first.faults[0].fault.message
    );
    assert_eq!(warned(&first, "XX-001"), 24, "the other rule goes on");
    assert_eq!(warned(&first, "XX-002"), 0);
    let owed = province.globals.conduct[1].debt;
    assert_eq!(owed, 16);
    // The same rules again change nothing; mended ones judge what is owed.
    let same = province.change_rules(&set("ev.group_size < 3"), &Alone);
    assert!(same.sent.is_empty() && province.globals.conduct[1].suspended_since.is_some());
    let mended = province.change_rules(&set("(ev.group_size ?? 3) < 3"), &Alone);
    assert_eq!(
        warned(&mended, "XX-002"),
        24,
        "the first day's failures are made good too"
    );
    assert_eq!(province.globals.conduct[1].debt, 0);
    assert_eq!(warned(&step(&mut province, 24..25), "XX-002"), 1);
}

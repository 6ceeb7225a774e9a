//! What is told beside warnings: decisions keep books with the messages, the last risk of a subject is how it stands, and
//! neither depends on how a stream is run. `UPDATE_EXPECT=1 cargo test --test it golden` writes the example anew.

use crate::order::{event, spec};
use crate::support::{canonical_events, project, shipped_set};
use fenghuo::engine::episode::Transition;
use fenghuo::engine::event::{Event, SubjectKey};
use fenghuo::engine::input::{Alone, Input, Outcome};
use fenghuo::engine::province::Province;
use fenghuo::engine::record::Prepared;
use fenghuo::engine::remark::{Asked, Said, SubjectRisk};
use fenghuo::engine::rule::RuleSet;
use fenghuo::engine::settle::{COMPOSITE, score};
use fenghuo::engine::subject::state::Status;
use fenghuo::engine::warning::Message;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

static SET: LazyLock<Arc<RuleSet>> = LazyLock::new(shipped_set);
const BOTH: Asked = Asked {
    decisions: true,
    risks: true,
};

fn province(shards: u32, asked: Asked) -> Province {
    let mut province = Province::new(Arc::clone(&SET), shards);
    province.asked = asked;
    province
}

fn step(province: &mut Province, events: &[Event]) -> Outcome {
    let inputs: Vec<Input> = events
        .iter()
        .cloned()
        .map(Arc::new)
        .map(Input::Event)
        .collect();
    let prepared: Vec<Prepared> = events.iter().cloned().map(Prepared::new).collect();
    province.step(&inputs, &prepared, &Alone)
}

fn lines(outcome: &Outcome) -> Vec<String> {
    let line =
        |remark: &fenghuo::engine::remark::Remark| String::from_utf8(remark.to_line()).unwrap();
    outcome.remarks.iter().map(line).collect()
}

#[test]
fn golden_a_revoked_penalty_as_it_is_told_beside_warnings() {
    let dir = project("fixtures/scenarios/trap-revoked-penalty");
    let (events, _) = canonical_events(&dir.join("events.jsonl"));
    let told = lines(&step(&mut province(1, BOTH), &events));
    let text = told.join("\n") + "\n";
    expect_test::expect_file![dir.join("beside.jsonl")].assert_eq(&text);
}

/// A step tells of every message of a rule, but for those that time or officers bring, which decision it came of.
fn keeps_books(outcome: &Outcome) {
    let mut named = BTreeSet::new();
    for remark in &outcome.remarks {
        if let Said::Decision(decision) = &remark.said {
            named.extend(decision.told.iter().map(|told| told.id.clone()));
            assert_eq!(decision.told.is_empty(), decision.silence.is_some());
        }
    }
    let mut sent = BTreeSet::new();
    for message in outcome.sent.iter().map(|sent| &sent.message) {
        let (rule, transition) = match message {
            Message::Warning(warning) => (&warning.rule_id, warning.transition),
            Message::Sanction(sanction) => (&sanction.rule_id, sanction.transition),
            Message::Task(_) | Message::Measure(_) => continue,
        };
        sent.insert(message.id().to_owned());
        let by_judgement = matches!(transition, Transition::Raised | Transition::Withdrawn);
        if rule != COMPOSITE && by_judgement {
            let line = String::from_utf8(message.to_line()).unwrap();
            assert!(named.contains(message.id()), "no decision tells of {line}");
        }
    }
    let unsent: Vec<_> = named.difference(&sent).collect();
    assert!(unsent.is_empty(), "told and not sent: {unsent:?}");
}

/// Holds the last risk of every subject against the subject.
fn is_how_they_stand(province: &Province, last: &BTreeMap<String, SubjectRisk>) {
    let court = province.court();
    for shard in province.shards() {
        for subject in shard.subjects() {
            let core = subject.core.clone().unwrap_or_default();
            let open = core.episodes.iter().filter(|e| e.status == Status::Open);
            let open = open.count();
            let key = subject.key.to_string();
            let told = last.get(&key).filter(|risk| !risk.is_gone);
            if core.findings.is_empty() && open == 0 {
                assert_eq!(told, None, "nothing is held against {key}");
                continue;
            }
            let told = told.unwrap_or_else(|| panic!("{key} is not told"));
            assert_eq!(told.open.len(), open, "{key}");
            assert_eq!(
                told.findings.to_string(),
                core.findings.len().to_string(),
                "{key}"
            );
            // Time alone lowers a score; nothing is told then.
            if told.as_of == province.clock().rfc3339() {
                let score = score(&court, &subject);
                let expected = format!("{}.{:02}", score / 100, score % 100);
                assert_eq!(format!("{:.2}", told.score), expected, "{key}");
            }
        }
    }
    for key in last.keys() {
        let key = SubjectKey::parse(key).unwrap();
        assert!(province.subject(&key).is_some(), "{key} is nobody");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn remarks_keep_books_and_do_not_depend_on_how_a_stream_is_run(
        specs in proptest::collection::vec(spec(), 1..60),
    ) {
        let events: Vec<Event> = specs.iter().map(event).collect();
        let at_once = step(&mut province(1, BOTH), &events);
        prop_assert_eq!(lines(&at_once), lines(&step(&mut province(3, BOTH), &events)));
        let silent = step(&mut province(1, Asked::default()), &events);
        prop_assert!(silent.remarks.is_empty());
        let messages = |outcome: &Outcome| -> Vec<Vec<u8>> {
            outcome.sent.iter().map(|sent| sent.message.to_line()).collect()
        };
        prop_assert_eq!(messages(&silent), messages(&at_once));
        let (mut singly, mut last) = (Vec::new(), BTreeMap::new());
        let mut one_by_one = province(2, BOTH);
        for event in &events {
            let outcome = step(&mut one_by_one, core::slice::from_ref(event));
            keeps_books(&outcome);
            singly.extend(lines(&outcome));
            for remark in outcome.remarks {
                if let Said::Risk(risk) = remark.said {
                    last.insert(risk.subject.clone(), *risk);
                }
            }
            is_how_they_stand(&one_by_one, &last);
        }
        prop_assert_eq!(lines(&at_once), singly.clone());
        let ids: BTreeSet<String> = singly
            .iter()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].to_string())
            .collect();
        prop_assert_eq!(ids.len(), singly.len(), "two remarks with one id");
    }
}

#[test]
fn scenarios_keep_books_too() {
    let folders = std::fs::read_dir(project("fixtures/scenarios")).unwrap();
    let mut told = 0;
    for folder in folders.map(|entry| entry.unwrap().path()) {
        if !folder.is_dir() {
            continue;
        }
        let (events, _) = canonical_events(&folder.join("events.jsonl"));
        let (mut province, mut last) = (province(2, BOTH), BTreeMap::new());
        let outcome = step(&mut province, &events);
        keeps_books(&outcome);
        told += outcome.remarks.len();
        for remark in outcome.remarks {
            if let Said::Risk(risk) = remark.said {
                last.insert(risk.subject.clone(), *risk);
            }
        }
        is_how_they_stand(&province, &last);
    }
    assert!(100 < told, "{told}");
}

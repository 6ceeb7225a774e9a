//! Scenarios that an analyst can read: what goes in, and every line that must come out.
//!
//! Each folder of `fixtures/scenarios` has `README.md` (the story), `events.jsonl` (canonical events in the order of
//! arrival) and `expected.jsonl` (what is refused, then warnings and sanction proposals in the order in which they leave). Every scenario runs
//! many times: with 1, 2 and 8 shards, cut into batches of one, and with a restart after every input. All give the same
//! bytes. `UPDATE_EXPECT=1 cargo test --test it golden` writes the expected files; read the difference before committing.

use crate::support::{canonical_events, project, shipped_set};
use fenghuo::engine::desk::Item;
use fenghuo::engine::event::Event;
use fenghuo::engine::explain::{Place, account, places};
use fenghuo::engine::input::{Alone, Input};
use fenghuo::engine::province::Province;
use fenghuo::engine::record::Prepared;
use fenghuo::engine::rule::{Judgement, Look, Memo, Rule, RuleSet};
use fenghuo::engine::subject::state::Subject;
use fenghuo::engine::subject::view::Anchor;
use fenghuo::engine::time::EventTime;
use fenghuo::runtime::event_report::paper;
use fenghuo::runtime::journal::{decode_items, encode_items};
use fenghuo::runtime::paper::Form;
use std::path::PathBuf;
use std::sync::Arc;

fn scenarios() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(project("fixtures/scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    dirs.sort();
    dirs
}

fn lines(province: &mut Province, events: &[Event]) -> Vec<String> {
    let inputs: Vec<Input> = events
        .iter()
        .cloned()
        .map(Arc::new)
        .map(Input::Event)
        .collect();
    let prepared: Vec<Prepared> = events.iter().cloned().map(Prepared::new).collect();
    let outcome = province.step(&inputs, &prepared, &Alone);
    assert!(outcome.faults.is_empty(), "{:?}", outcome.faults);
    outcome
        .sent
        .iter()
        .map(|sent| String::from_utf8(sent.message.to_line()).unwrap())
        .collect()
}

/// The same province again, from bytes.
fn restart(province: &Province, set: &Arc<RuleSet>, shards: u32) -> Province {
    let mut again = Province::new(Arc::clone(set), shards);
    again.restore_globals(province.globals.clone());
    for shard in province.shards() {
        for subject in shard.subjects() {
            again.restore_subject(Subject::from_bytes(&subject.to_bytes()).unwrap());
        }
    }
    let items: Vec<&Item> = province.desk().items().collect();
    let block = encode_items(&items);
    again.restore_desk(decode_items(0, &block).unwrap());
    again
}

#[test]
fn every_scenario_comes_out_as_expected_however_it_is_run() {
    let set = shipped_set();
    for dir in scenarios() {
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        let (events, rejects) = canonical_events(&dir.join("events.jsonl"));
        let once = lines(&mut Province::new(Arc::clone(&set), 1), &events);
        let refused = rejects
            .iter()
            .map(|reject| format!("{{\"refused\":{:?}}}\n", reject.to_string()));
        let told = once.iter().map(|line| format!("{line}\n"));
        let text = refused.chain(told).collect::<String>();
        expect_test::expect_file![dir.join("expected.jsonl")].assert_eq(&text);
        for shards in [2, 8] {
            let other = lines(&mut Province::new(Arc::clone(&set), shards), &events);
            assert_eq!(once, other, "{name}: {shards} shards");
        }
        let mut whole = Province::new(Arc::clone(&set), 2);
        let mut broken = Province::new(Arc::clone(&set), 2);
        let (mut singly, mut restarted) = (Vec::new(), Vec::new());
        for event in &events {
            singly.extend(lines(&mut whole, core::slice::from_ref(event)));
            restarted.extend(lines(&mut broken, core::slice::from_ref(event)));
            broken = restart(&broken, &set, 2);
        }
        assert_eq!(once, singly, "{name}: in batches of one");
        assert_eq!(once, restarted, "{name}: with a restart after every input");
    }
}

/// A scenario with key events has `report.md`: the report of each, as an officer reads it.
#[test]
fn key_events_are_reported_as_expected() {
    let set = shipped_set();
    let mut reports = 0;
    for dir in scenarios() {
        let (events, _) = canonical_events(&dir.join("events.jsonl"));
        let mut province = Province::new(Arc::clone(&set), 2);
        lines(&mut province, &events);
        let write = |province: &Province| -> String {
            let events = province.desk().key_events();
            events
                .map(|event| paper(province, event).markdown())
                .collect()
        };
        let text = write(&province);
        if text.is_empty() {
            continue;
        }
        reports += 1;
        assert_eq!(text, write(&restart(&province, &set, 2)), "after a restart");
        expect_test::expect_file![dir.join("report.md")].assert_eq(&text);
        for event in province.desk().key_events() {
            for form in [Form::Html, Form::Xlsx] {
                let bytes = paper(&province, event).write(form).unwrap();
                assert!(!bytes.is_empty(), "{form:?}");
            }
        }
    }
    assert!(0 < reports, "no scenario has a key event");
}

#[test]
fn every_shipped_rule_has_a_scenario_in_which_it_speaks() {
    let set = shipped_set();
    let spoken: String = scenarios()
        .iter()
        .map(|dir| std::fs::read_to_string(dir.join("expected.jsonl")).unwrap_or_default())
        .collect();
    for rule in set.rules() {
        let manifest = rule.manifest();
        let id = format!("\"rule_id\":\"{}\"", manifest.id);
        assert!(
            spoken.contains(&id) || rule.source().contains("signal("),
            "rule {} ({}) speaks in no scenario of fixtures/scenarios",
            manifest.id,
            manifest.name
        );
    }
}

/// In every scenario, on every fact: a rule that has nothing to say is known to by its first look, and costs no Rhai.
#[test]
fn a_shipped_rule_that_says_nothing_costs_no_rhai() {
    let set = shipped_set();
    let mut silent = 0;
    for dir in scenarios() {
        let (events, _) = canonical_events(&dir.join("events.jsonl"));
        let mut province = Province::new(Arc::clone(&set), 1);
        lines(&mut province, &events);
        for subject in province
            .shards()
            .iter()
            .flat_map(fenghuo::engine::shard::Shard::subjects)
        {
            let times: Vec<EventTime> = events.iter().map(|e| e.occurred_at).collect();
            for rule in set.rules() {
                let mut places: Vec<Place> = times
                    .iter()
                    .flat_map(|time| places(rule, &subject, *time))
                    .collect();
                places.sort_by(|a, b| (a.anchor, &a.group).cmp(&(b.anchor, &b.group)));
                places.dedup_by(|a, b| (a.anchor, &a.group) == (b.anchor, &b.group));
                for place in places {
                    silent += usize::from(is_spared(rule, &subject, &place));
                }
            }
        }
    }
    assert!(500 < silent, "{silent} silent judgements");
}

/// Whether a rule says nothing here; the first look must then have known it.
fn is_spared(rule: &Rule, subject: &Subject, place: &Place) -> bool {
    let traced = account(rule, subject, place).unwrap();
    let verdict = traced.verdict.unwrap();
    if verdict.speaks() {
        return false;
    }
    let view = subject.view(place.group.as_ref()).unwrap();
    let event = match (subject.facts(), place.anchor) {
        (Some(facts), Anchor::Fact(key)) => {
            let (stream, fact) = facts.find(key).unwrap();
            fact.event(stream).map(Arc::new)
        }
        _ => None,
    };
    let judgement = Judgement {
        view: &view,
        anchor: place.anchor,
        event: event.as_ref(),
        as_of: place.as_of,
    };
    let look = rule.look(&judgement, &mut Memo::default());
    let id = &rule.manifest().id;
    assert_eq!(
        look,
        Look::Silent(verdict.check_at),
        "{id} on {}",
        subject.key
    );
    true
}

//! Stored warnings are written anew from the recorded facts, and a verdict says how it came about.

use crate::province::{Package, fenghuo};
use fenghuo::engine::event::SubjectKey;
use fenghuo::engine::explain::{Place, account, distances, reproduce};
use fenghuo::engine::province::Province;
use fenghuo::engine::settle::standing;
use fenghuo::engine::subject::state::{Finding, Status};
use fenghuo::engine::subject::view::Verdict;
use fenghuo::engine::warning::{Message, Warning};
use fenghuo::runtime::recover::recover;
use fenghuo::runtime::store::DiskStore;
use std::process::Output;

/// The warnings that stand, in the order of their ids, which are hashes: as good as random, and the same every time.
fn warnings(province: &Province) -> Vec<Warning> {
    let court = province.court();
    let subjects = province
        .shards()
        .iter()
        .flat_map(fenghuo::engine::shard::Shard::subjects);
    let mut all: Vec<Warning> = subjects
        .flat_map(|subject| standing(&court, &subject))
        .filter_map(|message| match message {
            Message::Warning(warning) => Some(*warning),
            Message::Sanction(_) | Message::Task(_) | Message::Measure(_) => None,
        })
        .filter(|warning| warning.status != Status::Withdrawn)
        .collect();
    all.sort_by(|a, b| a.warning_id.cmp(&b.warning_id));
    all
}

fn explain(package: &Package, arguments: &[&str]) -> Output {
    fenghuo()
        .args(arguments)
        .arg("--state")
        .arg(package.path("state"))
        .output()
        .unwrap()
}

/// The verdict that a finding keeps, without what only goes with explanations.
fn kept(finding: &Finding) -> Verdict {
    Verdict {
        warning: finding.warning.clone(),
        signal: finding.signal.clone(),
        sanction: finding.sanction.clone(),
        check_at: finding.next_at,
        observed: finding.observed.to_vec(),
        evidence: finding.evidence.to_vec(),
    }
}

/// Writes a warning anew; false if what its window held is past retention, and it says so.
fn holds(province: &Province, warning: &Warning) -> bool {
    let court = province.court();
    let kept_since = province
        .clock()
        .plus_ms(-province.set().scoring().late_ms_max);
    let key = SubjectKey::parse(&warning.subject).unwrap();
    let subject = province.subject(&key).unwrap();
    let again = reproduce(&court, &subject, &warning.warning_id).unwrap();
    let findings = &subject.core.as_ref().unwrap().findings;
    if !again.is_same {
        let is_kept = findings.iter().all(|f| kept_since <= f.anchor_time);
        assert!(!is_kept, "{}: {:?}", warning.warning_id, again.reasons);
        assert!(again.reasons.iter().all(|r| r.contains("保留期")));
        return false;
    }
    for finding in findings.iter().filter(|f| kept_since <= f.anchor_time) {
        let Some(rule) = province.set().rule(&finding.rule) else {
            continue;
        };
        let place = Place {
            anchor: finding.anchor,
            group: finding.group.clone(),
            as_of: finding.judged_at,
        };
        let verdict = account(rule, &subject, &place).unwrap().verdict.unwrap();
        assert_eq!(verdict, kept(finding), "explained by another judgement");
    }
    // A state that says something else than the rule does not pass.
    let mut other = subject.into_owned();
    let all = &mut other.core.as_mut().unwrap().findings;
    let mut of_rule = all.iter_mut().filter(|f| {
        f.rule.as_ref() == warning.rule_id
            && f.group.as_ref().map(|g| g.describe()).unwrap_or_default() == warning.group
    });
    if let Some(call) = of_rule.next().and_then(|finding| finding.warning.as_mut()) {
        call.points = 99;
        let again = reproduce(&court, &other, &warning.warning_id).unwrap();
        assert!(!again.is_same && !again.reasons.is_empty());
    }
    true
}

#[test]
fn stored_warnings_are_written_anew() {
    let wanted: usize = std::env::var("FENGHUO_EXPLAINED").map_or(15, |n| n.parse().unwrap());
    // About 12 warnings a thousand firms; a third of them is past retention when the run ends.
    let subjects = u64::try_from(wanted).unwrap() * if 15 < wanted { 130 } else { 60 };
    let package = Package::generate(subjects, subjects * 10, 11);
    if 15 < wanted {
        package.set("commit_events_max = 64", "commit_events_max = 8192");
        package.set(
            "checkpoint_journal_kb = 32",
            "checkpoint_journal_kb = 65536",
        );
    }
    package.run();
    let chosen = {
        let store = DiskStore::open(package.path("state")).unwrap();
        let province = recover(&store).unwrap().unwrap().province;
        let all = warnings(&province);
        let same: Vec<&Warning> = all
            .iter()
            .filter(|warning| holds(&province, warning))
            .take(wanted)
            .collect();
        assert_eq!(same.len(), wanted, "of {} warnings", all.len());
        same[0].clone()
    };
    let id = chosen.warning_id.as_str();
    let out = explain(&package, &["warning", "explain", id]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(
        out.status.success() && text.contains("逐字节一致"),
        "{text}"
    );
    let out = explain(&package, &["--format", "json", "warning", "explain", id]);
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json["reproduction"]["is_same"], true);
    assert_eq!(json["rule_set"], chosen.rule_set.as_str());
}

#[test]
fn a_silent_rule_says_what_stopped_it_and_how_far_it_is() {
    use fenghuo::engine::event::{Event, Fields, Op, Validity};
    use fenghuo::engine::input::{Alone, Input};
    use fenghuo::engine::record::Prepared;
    use fenghuo::engine::schema::Stream;
    use fenghuo::engine::time::{EventTime, Precision};
    let set = crate::support::shipped_set();
    let mut province = Province::new(std::sync::Arc::clone(&set), 2);
    let key = SubjectKey::parse("enterprise:91320106MA1TEST000").unwrap();
    for day in 1..4 {
        let (time, _) = EventTime::parse(&format!("2026-06-0{day}")).unwrap();
        let prepared = Prepared::new(Event {
            source: "t".into(),
            record_id: day.to_string().into(),
            version: 1,
            op: Op::Insert,
            stream: Stream::Complaint,
            occurred_at: time,
            precision: Precision::Day,
            arrived_at: time,
            validity: Validity::Valid,
            subjects: vec![key.clone()],
            fields: Fields::new(),
        });
        let input = Input::Event(std::sync::Arc::clone(&prepared.event));
        province.step(&[input], &[prepared], &Alone);
    }
    let subject = province.subject(&key).unwrap();
    let rule = set.rule("TS-001").unwrap();
    let (at, _) = EventTime::parse("2026-06-05").unwrap();
    let places = fenghuo::engine::explain::places(rule, &subject, at);
    let traced = account(rule, &subject, &places[0]).unwrap();
    assert!(!traced.verdict.unwrap().speaks());
    let stopped: Vec<String> = traced
        .compared
        .iter()
        .map(|c| format!("{} {} {} {}", c.left, c.operator, c.right, c.held))
        .collect();
    assert_eq!(stopped, ["3 < 5 true"]);
    let far: Vec<String> = distances(rule, &subject, &places[0])
        .into_iter()
        .map(|d| d.words)
        .collect();
    assert_eq!(far, ["再有 2 件投诉举报即为黄色预警"]);
}

//! Stored warnings are written anew from the recorded facts, and a verdict says how it came about.

use crate::province::{Package, fenghuo};
use fenghuo::engine::event::SubjectKey;
use fenghuo::engine::explain::{Place, account, distances, reproduce};
use fenghuo::engine::input::{Alone, Input};
use fenghuo::engine::judge::Court;
use fenghuo::engine::province::Province;
use fenghuo::engine::rule::RuleSet;
use fenghuo::engine::settle::{COMPOSITE, standing};
use fenghuo::engine::subject::state::{Finding, Status, Subject};
use fenghuo::engine::subject::view::Verdict;
use fenghuo::engine::warning::{Message, Warning};
use fenghuo::runtime::recover::recover;
use fenghuo::runtime::store::DiskStore;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;

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
    let again = reproduce(&court, &[], &subject, &warning.warning_id).unwrap();
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
        let again = reproduce(&court, &[], &other, &warning.warning_id).unwrap();
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
        let province = recover(&store, usize::MAX).unwrap().unwrap().province;
        let all = warnings(&province);
        let same: Vec<&Warning> = all
            .iter()
            .filter(|warning| holds(&province, warning))
            .take(wanted)
            .collect();
        assert_eq!(same.len(), wanted, "of {} warnings", all.len());
        let of_rule = same.into_iter().find(|w| w.rule_id != COMPOSITE);
        of_rule.unwrap().clone()
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
    explained_though_its_rule_changes(&package, &chosen);
}

/// The text of its rule changes; the warning is still explained by the one that made it. When the rule is gone, that is said.
fn explained_though_its_rule_changes(package: &Package, chosen: &Warning) {
    let id = chosen.warning_id.as_str();
    let file = change_rule(package, &chosen.rule_id);
    let out = explain(package, &["warning", "explain", id]);
    let text = String::from_utf8(out.stdout).unwrap();
    let short = &chosen.rule_set[..12];
    assert!(out.status.success(), "{text}");
    assert!(
        text.contains(&format!("项按当时的规则集 {short}）")),
        "{text}"
    );
    assert!(
        text.starts_with(&format!("按当时的规则集 {short}\n{} ", chosen.rule_id)),
        "{text}"
    );
    std::fs::remove_file(file).unwrap();
    package.run();
    let out = explain(package, &["warning", "explain", id]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&format!("规则 {} 已停用", chosen.rule_id)),
        "{text}"
    );
    let (at, set) = (chosen.last_event_at.as_str(), &chosen.rule_set);
    let told = text
        .lines()
        .find(|line| line.contains("当时的规则还在"))
        .unwrap();
    assert!(
        told.contains(&format!(
            "--at \"{at}\" --rule {} --rule-set ",
            chosen.rule_id
        )),
        "{text}"
    );
    let of = [
        "--subject",
        &chosen.subject,
        "--at",
        at,
        "--rule",
        &chosen.rule_id,
    ];
    let out = explain(
        package,
        &[&["rule", "explain"], &of[..], &["--rule-set", set]].concat(),
    );
    assert!(out.status.success(), "{out:?}");
}

/// Lets every message of a rule begin with another word, and puts that into force; gives the rule's file.
fn change_rule(package: &Package, id: &str) -> PathBuf {
    let folders = std::fs::read_dir(package.path("rules")).unwrap();
    let files = folders.filter_map(|folder| std::fs::read_dir(folder.unwrap().path()).ok());
    let paths = files.flatten().map(|file| file.unwrap().path());
    let is_it = |text: &str| text.contains(&format!("\"{id}\",")) && text.contains("const RULE");
    let (path, text) = paths
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .find(|(_, text)| is_it(text))
        .unwrap();
    assert!(text.contains("message: "), "{text}");
    std::fs::write(&path, text.replace("message: ", "message: \"新：\" + ")).unwrap();
    package.run();
    path
}

#[test]
fn a_silent_rule_says_what_stopped_it_and_how_far_it_is() {
    use fenghuo::engine::event::{Event, Fields, Op, Validity};
    use fenghuo::engine::record::Prepared;
    use fenghuo::engine::schema::Stream;
    use fenghuo::engine::time::{EventTime, Precision};
    let set = crate::support::shipped_set();
    let mut province = Province::new(Arc::clone(&set), 2);
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
        let input = Input::Event(Arc::clone(&prepared.event));
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

/// The shipped tables with one rule: fines from this limit on.
fn large(limit: i64) -> Arc<RuleSet> {
    let mut sources = fenghuo::runtime::bundle::shipped_rules();
    let rule = format!(
        r#"//! 罚款数额大：罚款满一定数额的，应当关注。
const RULE = #{{
    id: "T-001", name: "罚款数额大", owner: "法规处", basis: ["《中华人民共和国行政处罚法》第六十三条"],
    on: ["penalty"], params: #{{ limit: {limit} }},
}};
fn decide(ev, who, p) {{
    let fine = ev.amount ?? 0;
    if fine < p.limit {{ return; }}
    warn(#{{ level: "黄", score: 5, message: `罚款 ${{fine}} 元` }})
}}
fn test_a() {{ let t = scenario(); t.add("penalty", "2026-01-01", #{{ amount: {limit} }}); t.expect("黄", "罚款"); }}
fn test_b() {{ let t = scenario(); t.add("penalty", "2026-01-01", #{{ amount: 9999 }}); t.expect_none(); }}
"#
    );
    sources.files = vec![("penalty/large.rhai".to_owned(), rule)];
    Arc::new(RuleSet::load(&sources).unwrap_or_else(|d| panic!("{d:?}")))
}

/// A subject of one penalty, with this fine, judged by a rule for fines from 10,000 on.
fn fined(amount: i64) -> (Arc<RuleSet>, Province, SubjectKey) {
    use fenghuo::engine::event::{Event, Fields, Op, Validity, Value};
    use fenghuo::engine::record::Prepared;
    use fenghuo::engine::schema::{Stream, field};
    use fenghuo::engine::time::{EventTime, Precision};
    let set = large(10_000);
    let mut province = Province::new(Arc::clone(&set), 2);
    let key = SubjectKey::parse("enterprise:91320106MA1TEST000").unwrap();
    let (time, _) = EventTime::parse("2026-06-01").unwrap();
    let mut fields = Fields::new();
    fields.set(field::amount, Value::Decimal(amount.into()));
    let prepared = Prepared::new(Event {
        source: "t".into(),
        record_id: "1".into(),
        version: 1,
        op: Op::Insert,
        stream: Stream::Penalty,
        occurred_at: time,
        precision: Precision::Day,
        arrived_at: time,
        validity: Validity::Valid,
        subjects: vec![key.clone()],
        fields,
    });
    let input = Input::Event(Arc::clone(&prepared.event));
    province.step(&[input], &[prepared], &Alone);
    (set, province, key)
}

#[test]
fn an_amount_says_at_which_number_the_verdict_turns_and_lines_say_what_they_saw() {
    let (at, _) = fenghuo::engine::time::EventTime::parse("2026-06-05").unwrap();
    for (amount, words) in [
        (8_500, "若金额为 10000（现为 8500），即为黄色预警"),
        (12_000, "若金额为 9999（现为 12000），即不再预警"),
    ] {
        let (set, province, key) = fined(amount);
        let subject = province.subject(&key).unwrap();
        let rule = set.rule("T-001").unwrap();
        let places = fenghuo::engine::explain::places(rule, &subject, at);
        let far = distances(rule, &subject, &places[0]);
        let far: Vec<&str> = far.iter().map(|d| d.words.as_str()).collect();
        assert_eq!(far, [words]);
        let traced = account(rule, &subject, &places[0]).unwrap();
        let seen: Vec<String> = traced
            .values
            .iter()
            .map(|seen| format!("{} {} = {}", seen.line, seen.what, seen.value))
            .collect();
        let (field, variable) = (
            format!("7 ev.amount = {amount}"),
            format!("7 fine = {amount}"),
        );
        assert_eq!(seen, [field, variable]);
    }
}

/// The id of a subject's first warning.
fn warning_of(province: &Province, subject: &Subject) -> String {
    let all = standing(&province.court(), subject);
    let id = all.into_iter().find_map(|message| match message {
        Message::Warning(warning) => Some(warning.warning_id),
        _ => None,
    });
    id.unwrap()
}

#[test]
fn a_warning_of_an_older_text_is_written_anew_by_that_text() {
    let (old, mut province, key) = fined(12_000);
    province.change_rules(&large(20_000), &Alone);
    let subject = province.subject(&key).unwrap();
    let id = warning_of(&province, &subject);
    let court = province.court();
    let by = |set| Court {
        set,
        suspended: &[],
        ..court
    };
    let other = large(15_000);
    for (elders, reason) in [
        (vec![], "规则文本已更换"),
        (
            vec![by(&other)],
            "规则文本已更换，所存的另外 1 个文本也得不出",
        ),
    ] {
        let again = reproduce(&court, &elders, &subject, &id).unwrap();
        assert!(
            !again.is_same && again.reasons[0].contains(reason),
            "{again:?}"
        );
    }
    let again = reproduce(&court, &[by(&other), by(&old)], &subject, &id).unwrap();
    assert!(again.is_same, "{again:?}");
    assert_eq!(
        again.rule_sets,
        BTreeMap::from([(old.hash().to_owned(), 1)])
    );
}

#[test]
fn a_warning_of_a_retired_rule_is_not_said_to_be_written_anew() {
    let (_, mut province, key) = fined(12_000);
    let mut sources = fenghuo::runtime::bundle::shipped_rules();
    sources
        .files
        .retain(|(file, _)| file == "complaint/surge.rhai");
    province.change_rules(&Arc::new(RuleSet::load(&sources).unwrap()), &Alone);
    let subject = province.subject(&key).unwrap();
    let id = warning_of(&province, &subject);
    let again = reproduce(&province.court(), &[], &subject, &id).unwrap();
    assert!(!again.is_same);
    assert_eq!(
        again.reasons,
        ["规则 T-001 已停用，它的研判随停用而清除，无从重算"]
    );
}

#[test]
fn a_fact_past_retention_is_put_back_from_the_archive() {
    let (set, province, key) = fined(12_000);
    let mut subject = province.subject(&key).unwrap().into_owned();
    let event = {
        let facts = subject.facts().unwrap();
        let (stream, facts) = facts.streams().next().unwrap();
        facts[0].event(stream).unwrap()
    };
    let id = warning_of(&province, &subject);
    let court = province.court();
    subject
        .facts_mut()
        .unwrap()
        .remove(event.stream, event.record_key());
    assert!(!reproduce(&court, &[], &subject, &id).is_some_and(|again| again.is_same));
    assert_eq!(
        fenghuo::engine::explain::extend(&mut subject, vec![event.clone(), event]),
        1
    );
    assert!(reproduce(&court, &[], &subject, &id).unwrap().is_same);
    assert_eq!(court.set.hash(), set.hash());
}

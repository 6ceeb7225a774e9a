//! What a verdict holds beside the sentence: what was seen, and the facts it rests on.

use super::*;
use crate::engine::schema::field;
use crate::engine::subject::view::{EVIDENCE_MAX, Level, OBSERVED_MAX};

const SAY: &str = "warn(#{ level: \"橙\", score: 40.5, message: \"x\" });";

fn observed(verdict: &Verdict) -> Vec<String> {
    verdict
        .observed
        .iter()
        .map(|o| format!("{} → {}", o.what, o.value))
        .collect()
}

fn facts() -> Vec<Arc<Event>> {
    let text = |text: &str| Value::Text(text.into());
    vec![
        event(
            1,
            Stream::Complaint,
            "2026-01-05",
            &[(field::topic, text("食品"))],
        ),
        event(
            2,
            Stream::Penalty,
            "2026-02-01",
            &[(field::amount, Value::Decimal(5.into()))],
        ),
        event(
            3,
            Stream::Complaint,
            "2026-03-03",
            &[(field::topic, text("食品"))],
        ),
        event(
            4,
            Stream::Complaint,
            "2026-03-05",
            &[(field::topic, text("退费"))],
        ),
        event(5, Stream::Complaint, "2026-03-20", &[]),
    ]
}

fn keys(events: &[Arc<Event>], numbers: &[usize]) -> Vec<crate::engine::event::RecordKey> {
    numbers.iter().map(|n| events[n - 1].record_key()).collect()
}

#[test]
fn keeps_each_question_with_its_answer() {
    let body = "
        let n = who.count(\"complaint\", \"7d\");
        who.count(\"complaint\", \"90d\", #{ topic: [\"食品\", \"退费\"] });
        who.sum(\"penalty\", \"amount\", \"90d\"); who.distinct(\"complaint\", \"topic\", \"90d\");
        who.weekly_average(\"complaint\", \"90d\"); who.list(\"complaint\", \"90d\");
        who.last(\"penalty\"); who.last(\"inspection\"); who.days_since(\"penalty\");
        who.on_list(\"abnormal\"); who.has_tag(\"重点\"); who.licence(\"食品经营许可证\"); who.registry();
    ";
    let set = one("", &format!("{body}{SAY}"), "");
    let events = facts();
    let view = enterprise(&events);
    let verdict = judge(&set, &view, &events[3]).unwrap();
    let wanted = [
        "count(complaint, 7d) → 2",
        "count(complaint, topic=食品/退费, 90d) → 3",
        "sum(penalty, amount, 90d) → 5",
        "distinct(complaint, topic, 90d) → 2",
        "weekly_average(complaint, 90d) → 0.2333",
        "list(complaint, 90d) → 3 条",
        "last(penalty) → 2026-02-01",
        "last(inspection) → 无",
        "days_since(penalty) → 32",
        "on_list(abnormal) → 否",
        "has_tag(重点) → 否",
        "licence(食品经营许可证) → 无",
        "registry() → 0 条",
    ];
    assert_eq!(observed(&verdict), wanted);
    let warning = verdict.warning.unwrap();
    assert_eq!((warning.level, warning.points), (Level::Orange, 41));

    // Nothing said: no texts, unless they are asked for.
    let set = one("", body, "");
    assert_eq!(judge(&set, &view, &events[3]).unwrap(), Verdict::default());
    let judgement = Judgement {
        view: &view,
        anchor: Anchor::Fact(events[3].record_key()),
        event: Some(&events[3]),
        as_of: as_of(events[3].occurred_at, events[3].precision),
    };
    assert_eq!(
        observed(&set.rules()[0].explain(&judgement).unwrap()),
        wanted
    );
}

#[test]
fn evidence_is_what_counted_without_the_anchor_oldest_first() {
    let events = facts();
    let view = enterprise(&events);
    for (body, numbers) in [
        ("who.count(\"complaint\", \"7d\");", vec![3]),
        ("who.count(\"complaint\", \"90d\");", vec![1, 3]),
        (
            "who.count(\"complaint\", \"90d\", #{ topic: \"退费\" });",
            vec![],
        ),
        (
            "who.count(\"complaint\", \"7d\"); who.sum(\"penalty\", \"amount\", \"90d\");",
            vec![2, 3],
        ),
        (
            "who.list(\"complaint\", \"90d\"); who.count(\"complaint\", \"90d\");",
            vec![1, 3],
        ),
        ("who.last(\"penalty\");", vec![2]),
        ("who.weekly_average(\"complaint\", \"90d\");", vec![]),
        ("", vec![]),
    ] {
        let set = one("", &format!("{body}{SAY}"), "");
        let verdict = judge(&set, &view, &events[3]).unwrap();
        assert_eq!(verdict.evidence, keys(&events, &numbers), "{body}");
    }
    let body = "let all = who.list(\"complaint\", \"90d\"); who.count(\"penalty\", \"90d\");
        signal(#{ message: \"y\", evidence: all.filter(|x| x.topic == \"食品\") });";
    let set = one("", body, "");
    let verdict = judge(&set, &view, &events[3]).unwrap();
    assert_eq!(verdict.evidence, keys(&events, &[1, 3]));
    assert_eq!(verdict.signal.unwrap().points, 0);
}

#[test]
fn evidence_and_questions_are_bounded() {
    let events: Vec<_> = (0..80)
        .map(|n| {
            event(
                n,
                Stream::Complaint,
                &format!("2026-01-{:02} 08:{:02}:00", n / 10 + 1, n % 60),
                &[],
            )
        })
        .collect();
    let view = enterprise(&events);
    let set = one(
        "",
        &format!("for i in 0..90 {{ who.count(\"complaint\", \"30d\"); }} {SAY}"),
        "",
    );
    let verdict = judge(&set, &view, &events[79]).unwrap();
    assert_eq!(verdict.evidence.len(), EVIDENCE_MAX);
    assert!(verdict.evidence.contains(&events[78].record_key()));
    assert!(!verdict.evidence.contains(&events[79].record_key()));
    assert!(!verdict.evidence.contains(&events[0].record_key()));
    assert_eq!(verdict.observed.len(), OBSERVED_MAX);
}

#[test]
fn says_several_things_at_once_and_the_last_of_each_holds() {
    let body = "
        warn(#{ level: \"红\", score: 90, message: \"a\" });
        warn(#{ level: \"P3\", score: 10, message: \"b\", suggest: \"约谈\" });
        signal(#{ score: 5, message: \"s\" });
        sanction(#{ measures: [\"限制高管任职\", \"M-4\"], partners: \"税务局\", message: \"c\", months: 36 });
        check_on(\"2026-05-01\"); check_on(\"2026-04-01\"); check_on(\"2026-01-01\");
    ";
    let events = facts();
    let verdict = judge(&one("", body, ""), &enterprise(&events), &events[3]).unwrap();
    let warning = verdict.warning.unwrap();
    assert_eq!(
        (warning.level, warning.message.as_ref()),
        (Level::Blue, "b")
    );
    assert_eq!(warning.suggest.as_deref(), Some("约谈"));
    assert_eq!(verdict.signal.unwrap().points, 5);
    let sanction = verdict.sanction.unwrap();
    assert_eq!((sanction.months, sanction.review), (Some(36), true));
    assert_eq!(sanction.partners.len(), 1);
    assert_eq!(verdict.check_at.unwrap().to_string(), "2026-04-01");
}

#[test]
fn later_facts_are_not_seen() {
    let set = one(
        "",
        "signal(#{ message: `${who.count(\"complaint\", \"90d\")}` });",
        "",
    );
    let events = facts();
    let view = enterprise(&events);
    let message = |at: usize| {
        judge(&set, &view, &events[at])
            .unwrap()
            .signal
            .unwrap()
            .message
    };
    assert_eq!(
        (
            message(0).as_ref(),
            message(2).as_ref(),
            message(3).as_ref()
        ),
        ("1", "2", "3")
    );
}

#[test]
fn checks_withdrawals_and_the_clock_of_a_scenario() {
    passes(
        "on: [\"inspection\"],",
        "
        if ev.rectify_due_at == () || ev.is_rectified == true { return; }
        let due = add_working_days(ev.rectify_due_at, 5);
        if who.now < due { check_on(due); return; }
        if who.list(\"inspection\", \"90d\").some(|x| x.result == \"合格\" && x.time > ev.time) { return; }
        warn(#{ level: \"黄\", score: 20, message: `整改逾期,应于 ${due} 前` });
        ",
        "
        fn test_未到期_不预警() {
            let t = scenario();
            t.add(\"inspection\", \"2026-03-02\", #{ result: \"不合格\", rectify_due_at: \"2026-03-06\" });
            t.at(\"2026-03-12\");
            t.expect_none();
        }
        fn test_到期_预警_撤回后撤销() {
            let t = scenario();
            let id = t.add(\"inspection\", \"2026-03-02\", #{ result: \"不合格\", rectify_due_at: \"2026-03-06\" });
            t.at(\"2026-03-13\");
            t.expect(\"黄\", \"2026-03-13 前\");
            t.withdraw(id);
            t.expect_withdrawn();
        }
        fn test_复查合格_不预警() {
            let t = scenario();
            t.add(\"inspection\", \"2026-03-02\", #{ result: \"不合格\", rectify_due_at: \"2026-03-06\" });
            t.add(\"inspection\", \"2026-03-10\", #{ result: \"合格\" });
            t.at(\"2026-04-01\");
            t.expect_none();
        }
        ",
    );
}

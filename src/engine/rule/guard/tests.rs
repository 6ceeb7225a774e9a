//! A guard and Rhai give the same answer, on whatever rule and whatever facts.

use super::super::tests::{cases, enterprise, event, load, rule, sources};
use super::super::{Judgement, Rule, RuleSet};
use super::{Look, Memo};
use crate::engine::event::{Event, Fields, SubjectKey, SubjectKind, Value};
use crate::engine::schema::{Field, Stream, field};
use crate::engine::subject::groups::Groups;
use crate::engine::subject::view::{Anchor, Verdict, View};
use crate::engine::time::{DAY_MS, EventTime, Precision, as_of};
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::sync::Arc;

fn judgement<'a>(view: &'a View, event: &'a Arc<Event>) -> Judgement<'a> {
    Judgement {
        view,
        anchor: Anchor::Fact(event.record_key()),
        event: Some(event),
        as_of: as_of(event.occurred_at, event.precision),
    }
}

/// Whether the guard decided; it must be right if it did.
fn agrees<'a>(rule: &'a Rule, view: &'a View, event: &'a Arc<Event>, memo: &mut Memo<'a>) -> bool {
    let judgement = judgement(view, event);
    let look = rule.look(&judgement, memo);
    let verdict = rule.judge(&judgement, false);
    if look != Look::Unknown {
        let verdict = verdict.unwrap_or_else(|error| panic!("{error}: {}", rule.source()));
        assert!(
            look.agrees(&verdict),
            "{look:?} {verdict:?} {}",
            rule.source()
        );
    }
    look != Look::Unknown
}

const MANIFEST: &str =
    "history: \"90d\", params: #{ n: 3, d: 2.5, words: [\"食\", \"退费\"], w: \"30d\" },";

fn words(texts: &[&str]) -> Value {
    Value::List(texts.iter().map(|text| (*text).into()).collect())
}

fn text_value(text: &str) -> Value {
    Value::Text(text.into())
}

fn add(number: u32, stream: Stream, day: &str, fields: &[(Field, Value)]) -> Arc<Event> {
    event(number, stream, &format!("2026-{day}"), fields)
}

fn facts() -> Vec<Arc<Event>> {
    let mut facts = standing();
    facts.extend([
        add(
            4,
            Stream::Complaint,
            "02-20",
            &[
                (field::topic, text_value("食品")),
                (field::amount, Value::Decimal(12.into())),
                (field::group_size, Value::Int(40)),
                (field::complainant, text_value("a")),
            ],
        ),
        add(
            5,
            Stream::Inspection,
            "02-25",
            &[
                (field::result, text_value("不合格")),
                (field::critical_items, Value::Int(2)),
            ],
        ),
        add(
            6,
            Stream::Complaint,
            "03-01",
            &[
                (field::topic, text_value("退费")),
                (field::is_malicious, Value::Bool(true)),
                (field::keywords, words(&["闭店", "退费"])),
                (field::complainant, text_value("b")),
            ],
        ),
        add(
            7,
            Stream::Penalty,
            "03-02",
            &[(field::amount, Value::Decimal(Decimal::new(500_050, 2)))],
        ),
        add(8, Stream::Complaint, "03-03", &[]),
        add(
            9,
            Stream::Complaint,
            "03-04",
            &[
                (field::amount, Value::Decimal(0.into())),
                (field::topic, text_value("")),
                (field::complainant, text_value("a")),
            ],
        ),
    ]);
    facts
}

fn standing() -> Vec<Arc<Event>> {
    let valid_to = Value::Time(EventTime::from_day(20_500), Precision::Day);
    vec![
        add(
            1,
            Stream::RegistryChange,
            "01-01",
            &[
                (field::tags, words(&["重点"])),
                (field::reg_state, text_value("存续")),
            ],
        ),
        add(
            2,
            Stream::ListChange,
            "01-02",
            &[
                (field::list_type, text_value("abnormal")),
                (field::reason, text_value("失联")),
            ],
        ),
        add(
            3,
            Stream::Licence,
            "01-03",
            &[
                (field::licence_kind, text_value("食品经营许可证")),
                (field::valid_to, valid_to),
            ],
        ),
    ]
}

fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (-3_i64..9).prop_map(|n| n.to_string()),
        prop::sample::select(vec![
            "0.5",
            "2.50",
            "p.n",
            "p.d",
            "ev.amount",
            "(ev.amount ?? 0)",
            "(ev.group_size ?? 1)",
            "who.count(\"complaint\", \"7d\")",
            "who.count(\"complaint\", p.w, #{ topic: \"食品\" })",
            "who.count(\"complaint\", p.w, #{ topic: ev.topic ?? \"\" })",
            "who.count(\"complaint\", p.w, #{ topic: ev.topic })",
            "who.count(\"complaint\", p.w, #{ keywords: p.words, is_malicious: true })",
            "who.count_by(\"complaint\", \"complainant\", \"90d\")",
            "who.sum(\"penalty\", \"amount\", \"90d\")",
            "who.distinct(\"complaint\", \"topic\", \"90d\")",
            "who.weekly_average(\"complaint\", \"90d\")",
            "who.days_since(\"penalty\")",
            "(who.days_since(\"inspection\", #{ result: \"合格\" }) ?? 99)",
            "days_between(ev.time, who.now)",
            "days_between(year_start(ev.time), ev.time)",
            "working_days(\"2026-02-10\", ev.time)",
            "(who.last(\"inspection\").critical_items ?? 0)",
            "who.list(\"complaint\", \"90d\").map(|x| days_between(x.time, ev.time)).len()",
            "who.list(\"complaint\", \"90d\").map(|x| days_between(x.time, ev.time))[0]",
            "p.words.len()",
            "spread(who.list(\"complaint\", p.w), ev)",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (
                inner.clone(),
                prop::sample::select(vec!["+", "-", "*", "/"]),
                inner.clone()
            )
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (
                prop::sample::select(vec!["min", "max"]),
                inner.clone(),
                inner.clone()
            )
                .prop_map(|(f, a, b)| format!("{f}({a}, {b})")),
            inner.clone().prop_map(|a| format!("abs({a})")),
            inner.prop_map(|a| format!("f({a})")),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "\"食品\"",
        "\"\"",
        "ev.topic",
        "(ev.topic ?? \"\")",
        "ev.stream",
        "(who.registry().reg_state ?? \"\")",
        "(who.list_entry(\"abnormal\") ?? ev).reason",
        "who.licence(\"食品经营许可证\").name",
        "who.name",
        "p.words[1]",
        "p.words[ev.group_size ?? 0]",
        "(\"食\" + who.name)",
        "(ev.topic + \"品\")",
        "(ev.topic + ev.amount)",
    ])
    .prop_map(str::to_owned)
}

fn list() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "who.list(\"complaint\", \"90d\")",
        "who.list(\"complaint\", p.w, #{ complainant: \"a\" })",
        "who.list(\"complaint\", \"90d\").filter(|x| x.topic == \"食品\" || x.amount == ())",
        "who.list(\"complaint\", \"90d\").filter(|x| x.amount > 1)",
        "who.list(\"complaint\", \"90d\").filter(|x| x.time < ev.time)",
        "who.licences()",
        "(ev.keywords ?? [])",
        "p.words",
    ])
    .prop_map(str::to_owned)
}

fn condition() -> impl Strategy<Value = String> {
    let compare = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        4 => (number(), compare.clone(), number()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        2 => (text(), compare.clone(), text()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        1 => (number(), compare, text()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        1 => (number(), prop::sample::select(vec!["==", "!="])).prop_map(|(a, op)| format!("{a} {op} ()")),
        1 => text().prop_map(|a| {
            // What the call is made on cannot be used inside; that is refused at load.
            let words = if a.contains("p.words") { "[\"食\", \"退费\"]" } else { "p.words" };
            format!("{words}.some(|w| {a}.contains(w))")
        }),
        1 => list().prop_map(|a| format!("{a}.is_empty()")),
        1 => list().prop_map(|a| format!("{a}.len() >= 2")),
        1 => list().prop_map(|a| format!("\"退费\" in {a}")),
        1 => list().prop_map(|a| format!("{a}.all(|x| x != ())")),
        2 => prop::sample::select(vec![
            "ev.is_malicious == true", "who.on_list(\"abnormal\")", "who.has_tag(\"重点\")", "ev.is_malicious",
            "who.licence(\"食品经营许可证\").valid_to < ev.time", "ev.time > date(\"2026-03-01\")",
            "add_working_days(ev.time, 3) > who.now", "who.registry() == ()", "true",
        ]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (
                inner.clone(),
                prop::sample::select(vec!["&&", "||"]),
                inner.clone()
            )
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("(if {a} {{ {b} }} else {{ {c} }})")),
        ]
    })
}

const HELPER: &str = "fn f(x) { if x == () { return 0; } let y = x; y + 1 }
    fn spread(rows, ev) { let d = rows.map(|x| days_between(x.time, ev.time)); d.sort(); d.dedup(); d.len() }";

/// Rules that return if the condition holds, and if it does not; and one that gets there over a variable and a loop.
fn rules(conditions: &[String]) -> RuleSet {
    let parser = super::super::sandbox::engine();
    let say = "warn(#{ level: \"蓝\", score: 1, message: \"x\" });";
    let mut files = Vec::new();
    for (at, condition) in conditions.iter().enumerate() {
        let bodies = [
            format!("if {condition} {{ return; }} {say}"),
            format!("if !({condition}) {{ return; }} {say}"),
            format!(
                "let end = false; for w in p.words {{ if w == \"食\" {{ continue; }} let c = {condition}; \
                 if c {{ end = true; break; }} }} let kind = ev.topic ?? return; if end {{ return; }} {say}"
            ),
            format!(
                "let n = ev.group_size ?? p.d; n += 2; n *= 3; let t = who.name; t += ev.topic ?? \"\"; \
                 check_on(add_days(who.now, 3)); if t.contains(\"食\") {{ check_on(add_days(ev.time, 1)); }} \
                 if n < 10 || {condition} {{ return; }} {say}"
            ),
        ];
        for (kind, body) in bodies.iter().enumerate() {
            let text = rule(MANIFEST, body, HELPER).replace("T-1", &format!("T-{at}-{kind}"));
            // What is nested too deep is refused at load.
            if parser.compile(&text).is_ok() {
                files.push((format!("complaint/{at}-{kind}.rhai"), text));
            }
        }
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    load(&files)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn a_guard_is_never_wrong(conditions in prop::collection::vec(condition(), 12)) {
        let set = rules(&conditions);
        let facts = facts();
        let view = enterprise(&facts);
        for event in facts.iter().filter(|event| event.stream == Stream::Complaint) {
            let mut memo = Memo::default();
            for rule in set.rules() {
                agrees(rule, &view, event, &mut memo);
            }
        }
    }
}

#[test]
fn a_guard_decides_what_rules_are_made_of() {
    let set = rules(&[
        "who.count(\"complaint\", \"7d\") < p.n".to_owned(),
        "(ev.amount ?? 0) < 5 && who.list(\"complaint\", \"30d\").filter(|x| x.topic == \"食品\").len() < 9".to_owned(),
        "!p.words.some(|w| (ev.topic ?? \"\").contains(w)) || f(ev.group_size) > 1".to_owned(),
    ]);
    let facts = facts();
    let view = enterprise(&facts);
    for at in 0..3 {
        for event in facts
            .iter()
            .filter(|event| event.stream == Stream::Complaint)
        {
            let silent = |kind| {
                let rule = set.rule(&format!("T-{at}-{kind}")).unwrap();
                agrees(rule, &view, event, &mut Memo::default())
            };
            let guard = &set.rule(&format!("T-{at}-0")).unwrap().guard;
            assert!(
                silent(0) != silent(1),
                "rule {at} on {}: {guard:?}",
                event.id()
            );
        }
    }
}

#[test]
fn a_guard_knows_when_a_rule_wants_to_look_again() {
    let facts = facts();
    let view = enterprise(&facts);
    let (may, june) = ("2026-05-01", "2026-06-01");
    for (body, at) in [
        (format!("check_on(\"{may}\"); return;"), Some(may)),
        (
            format!("check_on(\"{june}\"); if p.n == 3 {{ check_on(\"{may}\"); return; }}"),
            Some(may),
        ),
        ("check_on(ev.time); return;".to_owned(), None),
        (
            "let d = p.words; d.sort(); d.dedup(); if d.len() == 2 { return; }".to_owned(),
            None,
        ),
        (
            "let w = p.words; let t = who.name; t += \"食\"; if t.contains(w[0]) { return; }"
                .to_owned(),
            None,
        ),
    ] {
        let set = load(&[("complaint/t.rhai", &rule(MANIFEST, &body, ""))]);
        let judgement = judgement(&view, &facts[7]);
        let look = set.rules()[0].look(&judgement, &mut Memo::default());
        let at = at.map(|day| EventTime::parse(day).unwrap().0);
        assert_eq!(look, Look::Silent(at), "{body}");
        assert!(
            look.agrees(&set.rules()[0].judge(&judgement, false).unwrap()),
            "{body}"
        );
    }
}

#[test]
fn what_is_not_understood_is_left_to_rhai() {
    let facts = facts();
    let view = enterprise(&facts);
    for body in [
        "let x = [1]; x.push(2); return;",
        "check_on(\"2026年\"); return;",
        "let x = [2, 1.5]; x.sort(); return;",
        "let x = [1]; let y = x[3]; return;",
        "let x = ev.topic; x += 1; return;",
        "signal(#{ message: \"x\" }); return;",
        "if ev.amount > \"1\" { return; }",
        "let x = 0; x -= \"a\"; return;",
        "if ev.group_size + 1 > 0 { return; }",
        "for i in 0..3 { } return;",
        "p.n = 5; return;",
        "throw \"x\";",
        "let x = 1 / 0; return;",
        "if ev.stream { return; }",
        "switch p.n { 3 => { return; } }",
    ] {
        let set = load(&[("complaint/t.rhai", &rule(MANIFEST, body, ""))]);
        // The eighth complaint states nothing.
        let judgement = judgement(&view, &facts[7]);
        let look = set.rules()[0].look(&judgement, &mut Memo::default());
        assert_eq!(look, Look::Unknown, "{body}");
    }
}

#[test]
fn a_long_run_is_left_to_rhai() {
    let facts: Vec<_> = (0..900)
        .map(|n| event(n, Stream::Complaint, "2026-03-01", &[]))
        .collect();
    let view = enterprise(&facts);
    let body = "for x in who.list(\"complaint\", \"7d\") { for y in who.list(\"complaint\", \"7d\") { let z = 1; } } return;";
    let set = load(&[("complaint/t.rhai", &rule(MANIFEST, body, ""))]);
    let judgement = judgement(&view, &facts[0]);
    let look = set.rules()[0].look(&judgement, &mut Memo::default());
    assert_eq!(look, Look::Unknown);
    assert!(set.rules()[0].judge(&judgement, false).is_err());
}

fn group_number() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "0",
        "2",
        "p.n",
        "1.5",
        "who.count(\"complaint\", \"7d\")",
        "who.count(\"complaint\", \"12h\")",
        "who.count(\"complaint\", p.w)",
        "who.count(\"inspection\", \"30d\")",
        "who.distinct(\"complaint\", \"complainant\", \"30d\")",
        "who.daily_average(\"complaint\", \"30d\")",
        "who.weekly_average(\"inspection\", \"90d\")",
        "who.list(\"complaint\", \"7d\").len()",
        "days_between(ev.time, who.now)",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(2, 6, 2, |inner| {
        let sign = prop::sample::select(vec!["+", "-", "*", "/"]);
        (inner.clone(), sign, inner).prop_map(|(a, op, b)| format!("({a} {op} {b})"))
    })
}

fn group_condition() -> impl Strategy<Value = String> {
    let compare = prop::sample::select(vec!["==", "<", ">="]);
    prop_oneof![
        4 => (group_number(), compare, group_number()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        1 => prop::sample::select(vec![
            "ev.problem_type == \"预付卡\"", "ev.problem_type == ()", "ev.topic == ()", "ev.stream == \"complaint\"",
            "who.name.contains(\"32\")", "who.on_list(\"abnormal\")",
        ]).prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn a_guard_of_counts_is_never_wrong(
        conditions in prop::collection::vec(group_condition(), 12),
        facts in prop::collection::vec((0_i32..100, 0_usize..3, 0_usize..3, any::<bool>()), 0..40),
    ) {
        let manifest = "subject: \"region\", by: [\"problem_type\"], on: [\"complaint\", \"inspection\"], \
                        history: \"90d\", params: #{ n: 3, w: \"30d\" },";
        let texts: Vec<(String, String)> = conditions
            .iter()
            .enumerate()
            .map(|(at, condition)| {
                let body = format!("if {condition} {{ return; }} warn(#{{ level: \"蓝\", score: 1, message: \"x\" }});");
                (format!("region/{at}.rhai"), rule(manifest, &body, "").replace("T-1", &format!("T-{at}")))
            })
            .collect();
        // What a rule on counts may not ask is refused at load; each condition stands for itself.
        for (path, text) in &texts {
            let Ok(set) = RuleSet::restore(&sources(&[(path, text)])) else { continue };
            let rule = &set.rules()[0];
            for (view, day) in groups(rule, &facts) {
                let judgement = Judgement { view: &view, anchor: Anchor::Day(day), event: None, as_of: EventTime::from_day(day).plus_ms(DAY_MS - 1) };
                let look = rule.look(&judgement, &mut Memo::default());
                let verdict = rule.judge(&judgement, false);
                let View::Collective { key, group, .. } = &view else {
                    panic!("{view:?}");
                };
                let seat = RuleSet::seat(key.kind, group.stream);
                let mut memo = Memo::default();
                let concerned = set.concerned(seat, &judgement, &mut memo).unwrap();
                let decided = rule.decide(&judgement, &mut memo);
                assert_eq!(decided.is_err(), verdict.is_err(), "{text}");
                assert_eq!(decided.as_ref().ok(), verdict.as_ref().ok(), "{text}");
                if look != Look::Unknown || concerned.is_empty() {
                    let verdict = verdict.unwrap_or_else(|error| panic!("{error}: {text}"));
                    assert!(look.agrees(&verdict), "{look:?} {verdict:?} {text}");
                    assert!(!concerned.is_empty() || verdict == Verdict::default(), "{verdict:?} {text}");
                }
            }
        }
    }
}

/// Counts as a shard keeps them, seen from each group of the judged streams on each of its days.
fn groups(rule: &Rule, facts: &[(i32, usize, usize, bool)]) -> Vec<(View, i32)> {
    let mut groups = Groups::default();
    let mut anchors = std::collections::BTreeSet::new();
    for (number, (day, kind, who, is_complaint)) in facts.iter().enumerate() {
        let stream = if *is_complaint {
            Stream::Complaint
        } else {
            Stream::Inspection
        };
        let mut fields = Fields::new();
        let kind = ["", "预付卡", "食品"][*kind];
        fields.set(field::problem_type, text_value(kind));
        fields.set(field::complainant, text_value(["a", "b", "c"][*who]));
        for (at, feed) in rule.feeds(stream).enumerate() {
            let key = feed.group(stream, &fields);
            if at == 0 {
                anchors.insert((key.clone(), 20_000 + day));
            }
            let value = feed.distinct_value(&fields);
            let (time, id) = (EventTime::from_day(20_000 + day), number.to_string());
            let series = groups.series_mut(key);
            series.add(time, || id.into(), value.as_deref());
        }
    }
    let (key, groups) = (
        Arc::new(SubjectKey::new(SubjectKind::Region, "320106")),
        Arc::new(groups),
    );
    let seen = anchors.into_iter().map(|(group, day)| {
        let view = View::Collective {
            key: Arc::clone(&key),
            groups: Arc::clone(&groups),
            group: Arc::new(group),
        };
        (view, day)
    });
    seen.collect()
}

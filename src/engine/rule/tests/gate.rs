//! The index over a rule set keeps nothing away that would have said something, asked for another look, or failed.

use super::*;
use crate::engine::event::Value as Held;
use crate::engine::schema::field;
use crate::engine::time::{DAY_MS, Precision};
use proptest::prelude::*;
use rust_decimal::Decimal;

const MANIFEST: &str = "on: [\"complaint\", \"inspection\"], history: \"90d\", \
     params: #{ n: 3, d: 2.5, words: [\"食\", \"食品经营许可证\"], kinds: [\"食品\", \"退费\"], w: \"30d\" },";
const SAY: &str = "warn(#{ level: \"蓝\", score: 1, message: \"x\" });";

/// How rules speak; some of it fails on some facts, some of it only Rhai understands.
const SAYS: [&str; 12] = [
    SAY,
    "warn(#{ level: if p.n > 2 { \"红\" } else { \"橙\" }, score: 40, suggest: ev.topic, \
     message: `${ev.topic ?? \"无\"}${ev.amount}元，${ev.time}起${who.count(\"complaint\", \"2w\", #{ topic: \"食品\" })}次` \
     + if ev.is_malicious == true { `（恶意${ev.is_malicious}）` } else { \"\" } });",
    "signal(#{ score: p.d, message: `${who.name}：${who.sum(\"penalty\", \"amount\", \"90d\")} ${who.days_since(\"penalty\")} \
     ${who.distinct(\"complaint\", \"complainant\", \"30d\")} ${who.weekly_average(\"complaint\", \"4w\")} \
     ${who.daily_average(\"complaint\", \"30d\")}`, evidence: who.list(\"complaint\", p.w) });",
    "sanction(#{ measures: [\"限制消费\"], partners: \"甲\", months: 12, message: who.name, evidence: who.last(\"complaint\") });",
    "sanction(#{ measures: p.kinds, partners: [\"甲\"], message: \"x\" });",
    "warn(#{ level: \"黄\", score: ev.amount ?? 1, message: ev.topic }); signal(#{ message: \"y\", evidence: ev });",
    "let rows = who.list(\"complaint\", \"30d\", #{ result: ev.topic ?? \"\" }); warn(#{ level: \"蓝\", score: 1, message: \"x\" });",
    "let rows = who.list(\"complaint\", \"30d\", #{ topic: ev.topic ?? \"食品\", complainant: [\"a\", \"b\"] }); \
     warn(#{ level: \"蓝\", score: 1, message: `${rows.len()} 件${ev.id}，${(ev.amount ?? 1.25).round(1)}，${who.count_by(\"complaint\", \"complainant\", \"30d\", #{ topic: ev.topic ?? \"食品\" })} 人`, \
     evidence: rows });",
    "let reg = who.registry() ?? return; let lic = who.licence(\"食品经营许可证\"); \
     warn(#{ level: \"红\", score: 50, message: `${reg.reg_state} ${reg.time} ${who.has_tag(\"重点\")} ${lic == ()} ${who.licences().len()}`, \
     evidence: who.licences() });",
    "let entry = who.list_entry(\"abnormal\"); let was = who.on_list(\"serious\"); check_on(add_days(ev.time, 30)); \
     warn(#{ level: \"蓝\", score: 1, message: `${was}${who.last(\"inspection\", #{ result: \"不合格\" }) == ()}`, evidence: [ev, entry] });",
    "warn(#{ level: \"蓝\", score: 1, message: `${p.kinds}` });",
    "warn(#{ level: ev.topic ?? \"蓝\", score: 1, message: \"x\", evidence: ev.topic });",
];

/// What rules begin with; some of it fails on some facts.
const STATEMENTS: [&str; 45] = [
    "if ev.topic != \"食品\" { return; }",
    "if \"退费\" != (ev.topic ?? \"\") { return; }",
    "if (ev.topic ?? \"食品\") != \"食品\" { return; }",
    "if !(ev.topic == \"食品\" || ev.is_malicious == true) { return; }",
    "if ev.is_malicious == true { return; }",
    "if ev.is_malicious != true { return; }",
    "if ev.is_malicious { return; }",
    "if ev.topic == () && ev.amount == () { return; }",
    "let kind = ev.topic ?? return;",
    "let kind = ev.topic ?? return; if kind == \"食品\" { return; }",
    "if (ev.amount ?? 0) < p.n { return; }",
    "if (ev.amount ?? 9) < p.n { return; }",
    "if ev.amount < p.d { return; }",
    "let n = ev.group_size ?? return; if n <= 5 { return; }",
    "if !p.kinds.contains(ev.topic ?? \"\") { return; }",
    "if !p.kinds.contains(ev.topic) { return; }",
    "let c = who.count(\"complaint\", \"7d\"); if c < p.n { return; }",
    "if who.count(\"complaint\", p.w, #{ topic: \"食品\" }) < 2 || ev.amount > 5 { return; }",
    "if who.count(\"penalty\", \"90d\") == 0 { return; }",
    "if who.count(\"complaint\", p.w, #{ topic: ev.topic ?? \"\" }) <= 1 { return; }",
    "if who.count_by(\"complaint\", \"complainant\", \"90d\") - who.count(\"penalty\", \"90d\") < 2 { return; }",
    "let usual = (who.count(\"complaint\", \"90d\") - who.count(\"complaint\", \"7d\")) / 8.0; \
     if who.count(\"complaint\", \"7d\") < 2 || who.count(\"complaint\", \"7d\") < usual * p.n { return; }",
    "if max(ev.group_size ?? 1, who.count(\"complaint\", \"7d\")) < 3 { return; }",
    "if min(ev.group_size ?? 1, who.count(\"complaint\", \"7d\")) < 2 { return; }",
    "if who.sum(\"penalty\", \"amount\", \"90d\") < 5 { return; }",
    "let rows = who.list(\"complaint\", \"30d\").filter(|x| x.topic == \"食品\"); if rows.len() < 2 { return; }",
    "let rows = who.list(\"complaint\", \"30d\").filter(|x| x.keywords.contains(\"退费\")); if rows.len() < 2 { return; }",
    "let rows = who.list(\"penalty\", \"90d\").filter(|x| x.amount > 1); if rows.is_empty() { return; }",
    "let rows = who.list(\"complaint\", \"30d\").filter(|x| x.amount > 1); if ev.topic != \"食品\" { return; }",
    "if !who.list(\"penalty\", \"90d\").some(|x| x.amount > 100) { return; }",
    "let d = who.list(\"complaint\", p.w).map(|x| days_between(x.time, ev.time)); d.sort(); d.dedup(); if d.len() < 2 { return; }",
    "let entry = who.list_entry(\"abnormal\") ?? return; if entry.removed_at != () { return; }",
    "if !who.on_list(\"abnormal\") { return; }",
    "if !who.has_tag(\"重点\") && ev.topic != \"食品\" { return; }",
    "let reg = who.registry() ?? return; if !p.words.some(|w| (reg.reg_state ?? \"\").contains(w)) { return; }",
    "let lic = who.licence(\"食品经营许可证\"); if lic == () || lic.valid_to == () || lic.valid_to >= ev.time { return; }",
    "if ev.stream == \"inspection\" { return; }",
    "let seen = ev.time; if ev.stream == \"complaint\" { seen = ev.disputed_at ?? ev.time; } if seen < ev.time { return; }",
    "let a = ev.topic ?? \"\"; let b = a; a = \"食品\"; if b != \"食品\" { return; }",
    "let z = 10 / (ev.group_size ?? 1);",
    "let last = who.last(\"inspection\", #{ result: \"不合格\" }); if last == () { return; }",
    "if (who.days_since(\"penalty\") ?? 99) > 30 { return; }",
    "if ev.topic != () || ev.is_malicious == true { return; }",
    "let rows = who.list(\"penalty\", \"90d\").filter(|x| x.amount != ()); \
     let last = if rows.is_empty() { () } else { rows[rows.len() - 1] }; \
     let bad = last != () && (last.amount ?? 0) > 1; if !bad && who.count(\"complaint\", \"7d\") < 2 { return; }",
    "let last = who.last(\"penalty\"); if last == () || (last.amount ?? 0) < 2 { return; } if ev.topic != \"食品\" { return; }",
];

const ENDS: [&str; 6] = [
    "SAY",
    "if ev.topic == \"食品\" { SAY }",
    "if who.count(\"complaint\", \"30d\") >= 4 || ev.is_malicious == true { SAY }",
    "for l in who.licences() { if l.valid_to == () { continue; } SAY }",
    "for k in p.words { let lic = who.licence(k); if lic == () || lic.valid_to == () { continue; } SAY }",
    "if ev.amount == () { check_on(add_days(ev.time, 9)); return; } SAY",
];

fn body() -> impl Strategy<Value = String> {
    let statements = prop::collection::vec(prop::sample::select(STATEMENTS.to_vec()), 0..4);
    let ends = prop::sample::select(ENDS.to_vec());
    let says = prop::sample::select(SAYS.to_vec());
    (statements, ends, says).prop_map(|(statements, end, say)| {
        format!("{}\n{}", statements.join("\n"), end.replace("SAY", say))
    })
}

fn held() -> impl Strategy<Value = Vec<(Field, Held)>> {
    let text = |words: Vec<&'static str>| {
        prop::sample::select(words).prop_map(|word| Held::Text(word.into()))
    };
    let some = |field: Field, value: BoxedStrategy<Held>| {
        prop::option::of(value).prop_map(move |value| value.map(|value| (field, value)))
    };
    let fields = vec![
        some(field::topic, text(vec!["食品", "退费", ""]).boxed()).boxed(),
        some(field::complainant, text(vec!["a", "b", "c"]).boxed()).boxed(),
        some(
            field::is_malicious,
            any::<bool>().prop_map(Held::Bool).boxed(),
        )
        .boxed(),
        some(field::group_size, (0_i64..9).prop_map(Held::Int).boxed()).boxed(),
        some(
            field::amount,
            (0_i64..900)
                .prop_map(|n| Held::Decimal(Decimal::new(n, 2)))
                .boxed(),
        )
        .boxed(),
        some(
            field::keywords,
            Just(Held::List(Box::new(["退费".into()]))).boxed(),
        )
        .boxed(),
        some(field::result, text(vec!["合格", "不合格"]).boxed()).boxed(),
        some(field::list_type, text(vec!["abnormal", "serious"]).boxed()).boxed(),
        some(field::reg_state, text(vec!["存续", "食"]).boxed()).boxed(),
        some(
            field::tags,
            Just(Held::List(Box::new(["重点".into()]))).boxed(),
        )
        .boxed(),
        some(
            field::licence_kind,
            text(vec!["食品经营许可证", "食"]).boxed(),
        )
        .boxed(),
        some(
            field::valid_to,
            (20_480_i32..20_540)
                .prop_map(|day| Held::Time(EventTime::from_day(day), Precision::Day))
                .boxed(),
        )
        .boxed(),
    ];
    fields.prop_map(|fields| fields.into_iter().flatten().collect())
}

fn facts() -> impl Strategy<Value = Vec<Arc<Event>>> {
    let streams = vec![
        Stream::Complaint,
        Stream::Complaint,
        Stream::Complaint,
        Stream::Inspection,
        Stream::Penalty,
        Stream::Licence,
        Stream::ListChange,
        Stream::RegistryChange,
    ];
    let one = (prop::sample::select(streams), 0_i64..60, held());
    prop::collection::vec(one, 1..10).prop_map(|facts| {
        facts
            .into_iter()
            .enumerate()
            .map(|(number, (stream, day, mut fields))| {
                fields.retain(|(field, _)| field.spec().is_of(stream));
                let time = EventTime(EventTime::from_day(20_480).0 + day * DAY_MS)
                    .date()
                    .to_string();
                event(u32::try_from(number).unwrap(), stream, &time, &fields)
            })
            .collect()
    })
}

fn load_bodies(bodies: &[String]) -> RuleSet {
    let files: Vec<(String, String)> = bodies
        .iter()
        .enumerate()
        .map(|(at, body)| {
            let text = rule(MANIFEST, body, "").replace("T-1", &format!("T-{at:03}"));
            (format!("complaint/{at:03}.rhai"), text)
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    load(&files)
}

/// Judges every fact by all rules, as the index has it and in plain Rhai; gives how many judgements the index saved.
fn compare(set: &RuleSet, facts: &[Arc<Event>]) -> usize {
    let view = enterprise(facts);
    let mut saved = 0;
    for event in facts {
        let judgement = Judgement {
            view: &view,
            anchor: Anchor::Fact(event.record_key()),
            event: Some(event),
            as_of: as_of(event.occurred_at, event.precision),
        };
        let anchored = set.anchored(SubjectKind::Enterprise, event.stream);
        let seat = RuleSet::seat(SubjectKind::Enterprise, event.stream);
        let mut memo = Memo::default();
        let concerned = set.concerned(seat, &judgement, &mut memo).unwrap();
        assert!(concerned.iter().all(|at| anchored.contains(at)));
        for at in anchored {
            let rule = &set.rules()[*at];
            let plain = rule.judge(&judgement, false);
            if concerned.contains(at) {
                let decided = rule.decide(&judgement, &mut memo);
                assert_eq!(decided.is_err(), plain.is_err(), "{}", rule.source());
                assert_eq!(decided.ok(), plain.ok(), "{}", rule.source());
            } else {
                saved += 1;
                let verdict = plain.unwrap_or_else(|error| panic!("{error}: {}", rule.source()));
                assert_eq!(
                    verdict,
                    Verdict::default(),
                    "{}\n{:?} {:?}",
                    rule.source(),
                    rule.witness,
                    facts
                );
            }
        }
    }
    saved
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn the_index_keeps_nothing_away_that_speaks(bodies in prop::collection::vec(body(), 8), facts in facts()) {
        compare(&load_bodies(&bodies), &facts);
    }
}

#[test]
fn the_index_keeps_away_what_cannot_speak() {
    let (topic, other) = (Held::Text("退费".into()), Held::Text("物业".into()));
    let facts = [
        event(1, Stream::Complaint, "2026-03-01", &[(field::topic, other)]),
        event(2, Stream::Complaint, "2026-03-02", &[(field::topic, topic)]),
    ];
    // What each beginning saves of the two judgements.
    for (beginning, saved) in [
        (STATEMENTS[0], 2),
        (STATEMENTS[1], 1),
        (STATEMENTS[3], 2),
        (STATEMENTS[5], 2),
        (STATEMENTS[10], 2),
        (STATEMENTS[14], 1),
        (STATEMENTS[16], 2),
        (STATEMENTS[17], 2),
        (STATEMENTS[18], 2),
        (STATEMENTS[22], 2),
        (STATEMENTS[25], 1),
        (STATEMENTS[27], 2),
        (STATEMENTS[30], 1),
        (STATEMENTS[31], 2),
        (STATEMENTS[32], 2),
        (STATEMENTS[34], 2),
        (STATEMENTS[35], 2),
        (STATEMENTS[40], 2),
        (STATEMENTS[42], 2),
        (STATEMENTS[43], 1),
        (STATEMENTS[44], 2),
        // What it cannot know: the text of a field that may be absent against a list, a failure.
        (STATEMENTS[6], 0),
        (STATEMENTS[12], 0),
        (STATEMENTS[24], 0),
        (STATEMENTS[38], 0),
    ] {
        let set = load_bodies(&[format!("{beginning} {SAY}")]);
        assert_eq!(
            compare(&set, &facts),
            saved,
            "{beginning}: {:?}",
            set.rules()[0].witness
        );
    }
    let loops = [ENDS[3], ENDS[4]].map(|end| end.replace("SAY", SAY));
    assert_eq!(compare(&load_bodies(&loops), &facts), 4);
}

#[test]
fn a_rule_that_is_not_run_as_it_is_written_is_found() {
    use crate::engine::judge::Court;
    use crate::engine::sentence::{Changed, Sentence, Stopwatch};
    use crate::engine::subject::state::Subject;
    fn stopped() -> u64 {
        7
    }
    let set = load_bodies(&[format!("if ev.topic != \"食品\" {{ return; }} {SAY}")]);
    let fact = event(
        1,
        Stream::Complaint,
        "2026-03-01",
        &[(field::topic, Held::Text("食品".into()))],
    );
    let view = enterprise(std::slice::from_ref(&fact));
    let judgement = Judgement {
        view: &view,
        anchor: Anchor::Fact(fact.record_key()),
        event: Some(&fact),
        as_of: as_of(fact.occurred_at, fact.precision),
    };
    let rule = &set.rules()[0];
    assert_eq!(rule.check(&judgement, false), Ok(()));
    // As if the index had kept it away.
    let difference = rule.check(&judgement, true).unwrap_err();
    assert!(
        difference.contains("rule T-000: the index says"),
        "{difference}"
    );

    let mut subject = Subject::new(Arc::new(fact.subjects[0].clone()));
    subject
        .facts_mut()
        .unwrap()
        .insert(fact.stream, Fact::of(&fact));
    let changed = Changed {
        stream: fact.stream,
        key: fact.record_key(),
        was: None,
        old: None,
        now: Some(Arc::clone(&fact)),
    };
    let lent: Option<Stopwatch> = Some(stopped);
    for (check_every, checked) in [(0, 0), (1, 1)] {
        let court = Court {
            set: &set,
            suspended: &[],
            clock: judgement.as_of,
            check_every,
            stopwatch: lent.filter(|_| 0 < check_every),
            is_filling: false,
            asked: crate::engine::remark::Asked::default(),
        };
        let mut sentence = Sentence::default();
        court.judge_fact(&mut subject, &changed, &mut sentence);
        assert_eq!((sentence.checked, sentence.differences.len()), (checked, 0));
        // Timed where a stopwatch is lent, and nothing else is other.
        assert_eq!(sentence.timed, vec![(0, 0); usize::from(0 < check_every)]);
    }
}

#[test]
fn a_rule_can_be_left_to_the_interpreter() {
    let manifest = format!("{MANIFEST} interpreted: true,");
    let set = one(
        &manifest,
        &format!("if ev.topic != \"食品\" {{ return; }} {SAY}"),
        "",
    );
    let plan = &set.plan()[0];
    assert!(
        plan.is_interpreted && !plan.is_compiled && !plan.is_gated(),
        "{plan:?}"
    );
    let text = wrong("interpreted: \"是\",", "return;", "");
    assert!(text.contains("interpreted 应为 true 或 false"), "{text}");
}

#[test]
fn a_plan_says_what_is_left_to_the_interpreter() {
    let set = load_bodies(&[
        format!("if ev.topic != \"食品\" {{ return; }}\nlet x = [1];\nx.push(2);\n{SAY}"),
        format!("if who.count(\"complaint\", \"7d\") < 3 {{ return; }}\n{SAY}"),
    ]);
    let plans = set.plan();
    let needs = |at: usize| plans[at].gates[0].needs.clone().unwrap();
    assert_eq!(needs(0), "ev.topic 为“食品”");
    assert_eq!(plans[0].left_to_rhai, [9]);
    assert_eq!(needs(1), "who.count(complaint, 7d) ≥ 3");
    assert!(plans[1].is_complete() && !plans[0].is_complete());
}

#[test]
fn what_rules_say_needs_no_rhai() {
    let facts = [
        event(
            1,
            Stream::Licence,
            "2026-01-05",
            &[(field::licence_kind, Held::Text("食品经营许可证".into()))],
        ),
        event(
            2,
            Stream::RegistryChange,
            "2026-01-06",
            &[(field::reg_state, Held::Text("存续".into()))],
        ),
        event(
            3,
            Stream::Complaint,
            "2026-03-01",
            &[(field::topic, Held::Text("食品".into()))],
        ),
    ];
    let view = enterprise(&facts);
    let judgement = Judgement {
        view: &view,
        anchor: Anchor::Fact(facts[2].record_key()),
        event: Some(&facts[2]),
        as_of: as_of(facts[2].occurred_at, facts[2].precision),
    };
    let spoken = SAYS.map(|say| {
        let set = load_bodies(&[say.to_owned()]);
        set.rules()[0].speak(&judgement).is_some()
    });
    // What is Rhai's to tell: measures that are none, a list put together, a list in a text, a level that is none.
    let expected: Vec<bool> = (0..SAYS.len())
        .map(|at| ![4, 9, 10, 11].contains(&at))
        .collect();
    assert_eq!(spoken.to_vec(), expected);
}

#[test]
fn a_rule_on_groups_waits_on_a_count() {
    let manifest = "on: [\"complaint\"], subject: \"region\", by: [\"problem_type\"], history: \"63d\", params: #{ least: 20 },";
    let body = "if ev.problem_type == () { return; } let week = who.count(\"complaint\", \"7d\"); \
         let usual = (who.count(\"complaint\", \"63d\") - week) / 8.0; let more = week - usual; \
         if week < p.least || more <= 0 || more * more < 9 * max(1.0, usual) { return; } \
         warn(#{ level: \"黄\", score: 1, message: `${week} ${usual.round(1)}` });";
    let set = load(&[("region/t.rhai", &rule(manifest, body, ""))]);
    let plan = set.plan();
    assert_eq!(
        plan[0].gates[0].needs.as_deref(),
        Some("who.count(complaint, 7d) ≥ 20")
    );
    assert!(plan[0].is_complete());
}

//! A rule comes into service on a running province: what it says of the past, whom it wakes, and what is noted.

use crate::support::project;
use fenghuo::engine::duel::duel;
use fenghuo::engine::event::{Event, Fields, Op, SubjectKey, SubjectKind, Validity, Value};
use fenghuo::engine::input::{Alone, Conduct, Input, Outcome};
use fenghuo::engine::province::Province;
use fenghuo::engine::record::Prepared;
use fenghuo::engine::rule::{RuleSet, RuleSources};
use fenghuo::engine::schema::{Stream, field};
use fenghuo::engine::subject::state::Holdings;
use fenghuo::engine::time::{DAY_MS, EventTime, Precision};
use fenghuo::engine::warning::Message;
use fenghuo::engine::work::Sent;
use fenghuo::runtime::bundle;
use fenghuo::runtime::recover::Together;
use proptest::prelude::*;
use std::sync::Arc;

/// The first day of the stories.
const DAY: i32 = 20_000;

/// A rule that speaks from so many complaints within a span.
pub(crate) fn rule(id: &str, manifest: &str, span: &str, least: u32) -> (String, String) {
    let text = format!(
        "//! 试验\nconst RULE = #{{ id: \"{id}\", name: \"试验{id}\", owner: \"信用监管处\", \
         basis: [\"《市场监督管理投诉举报处理办法》\"], on: [\"complaint\"], history: \"{span}\", {manifest} }};\n\
         fn decide(ev, who, p) {{\n    if who.count(\"complaint\", \"{span}\") < {least} {{ return; }}\n    \
         warn(#{{ level: \"黄\", score: 10, message: \"试验\" }})\n}}\n"
    );
    (format!("complaint/{}.rhai", id.to_lowercase()), text)
}

fn set(files: Vec<(String, String)>) -> Arc<RuleSet> {
    let shipped = bundle::rules_in(&project("rules")).unwrap();
    let sources = RuleSources { files, ..shipped };
    Arc::new(RuleSet::load(&sources).unwrap_or_else(|found| panic!("{}", found[0])))
}

fn base() -> (String, String) {
    rule("XX-000", "status: \"active\"", "60d", 90)
}

/// A complaint about firm `firm` on a day of the story, as the `number`th record.
pub(crate) fn complaint(number: usize, (day, firm): (i32, u8)) -> Event {
    let mut fields = Fields::new();
    fields.set(field::problem_type, Value::Text("食品安全".into()));
    let at = EventTime::from_day(DAY + day).plus_ms(i64::try_from(number).unwrap() * 1_000);
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
        subjects: vec![firm_key(firm), region_key(firm)],
        fields,
    }
}

fn firm_key(firm: u8) -> SubjectKey {
    SubjectKey::new(SubjectKind::Enterprise, &format!("f{firm}"))
}

/// Firms lie in one of two cities.
fn region_key(firm: u8) -> SubjectKey {
    let code = ["320100", "320500"][usize::from(firm % 2)];
    SubjectKey::new(SubjectKind::Region, code)
}

fn step(province: &mut Province, first: usize, days: &[(i32, u8)]) -> Outcome {
    let events: Vec<Event> = (first..)
        .zip(days)
        .map(|(number, day)| complaint(number, *day))
        .collect();
    let inputs: Vec<Input> = events
        .iter()
        .cloned()
        .map(Arc::new)
        .map(Input::Event)
        .collect();
    let prepared: Vec<Prepared> = events.into_iter().map(Prepared::new).collect();
    province.step(&inputs, &prepared, &Alone)
}

/// What is sent, as `rule transition`.
pub(crate) fn told(outcome: &Outcome) -> Vec<String> {
    let mut told = Vec::new();
    let is_said = |sent: &&Sent| !matches!(sent.message, Message::Task(_));
    for sent in outcome.sent.iter().filter(is_said) {
        let line: serde_json::Value = serde_json::from_slice(&sent.message.to_line()).unwrap();
        let word = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        told.push(format!("{} {}", word("rule_id"), word("transition")));
    }
    told
}

/// What is told anew.
fn raised(outcome: &Outcome) -> Vec<String> {
    let mut told = told(outcome);
    told.retain(|line| line.ends_with(" raised"));
    told
}

fn conduct<'a>(province: &'a Province, id: &str) -> &'a Conduct {
    let found = province.globals.conduct.iter().find(|c| c.rule == id);
    found.unwrap_or_else(|| panic!("no {id}"))
}

/// The anchors on which a rule has a finding, by firm.
fn findings(province: &Province, id: &str) -> Vec<String> {
    let mut all = Vec::new();
    for shard in province.shards() {
        for subject in shard.subjects() {
            let findings = subject.core.iter().flat_map(|core| &core.findings);
            for finding in findings.filter(|f| f.rule.as_ref() == id) {
                all.push(format!("{} {:?}", subject.key, finding.anchor));
            }
        }
    }
    all.sort();
    all
}

const STORY: [(i32, u8); 6] = [(1, 1), (20, 1), (30, 1), (40, 2), (50, 1), (55, 2)];

#[test]
fn a_rule_judges_from_its_coming_into_force() {
    let mut province = Province::new(set(vec![base()]), 2);
    step(&mut province, 0, &STORY);
    let clock = province.clock();
    let adopted = province.change_rules(&set(vec![base(), rule("XX-001", "", "30d", 2)]), &Alone);
    assert_eq!(told(&adopted), Vec::<String>::new());
    let noted = conduct(&province, "XX-001");
    assert_eq!((noted.judged_from, noted.filled), (Some(clock), 0));
    assert_eq!(
        conduct(&province, "XX-000").judged_from,
        None,
        "it was there before"
    );
    assert_eq!(findings(&province, "XX-001").len(), 0);
    let next = step(&mut province, 6, &[(56, 1)]);
    assert_eq!(told(&next), ["XX-001 raised"]);
}

#[test]
fn a_rule_that_is_filled_back_wakes_nobody_until_something_happens() {
    let mut province = Province::new(set(vec![base()]), 2);
    step(&mut province, 0, &STORY);
    let clock = province.clock();
    let filled = rule("XX-001", "fill: \"30d\"", "30d", 2);
    let adopted = province.change_rules(&set(vec![base(), filled]), &Alone);
    assert_eq!(told(&adopted), Vec::<String>::new());
    let noted = conduct(&province, "XX-001");
    assert_eq!(noted.judged_from, Some(clock.plus_ms(-30 * DAY_MS)));
    assert_eq!(noted.filled, 4, "the complaints of the last thirty days");
    assert_eq!(findings(&province, "XX-001").len(), 3);
    // A restart tells nobody either.
    let quiet = step(&mut province, 6, &[(56, 3)]);
    assert_eq!(told(&quiet), Vec::<String>::new());
    let next = step(&mut province, 7, &[(57, 2)]);
    assert_eq!(told(&next), ["XX-001 raised"]);
}

#[test]
fn the_past_can_be_asked_for_later() {
    let mut province = Province::new(set(vec![base()]), 2);
    step(&mut province, 0, &STORY);
    let clock = province.clock();
    let with = |more: &str| set(vec![base(), rule("XX-001", more, "30d", 2)]);
    province.change_rules(&with("status: \"shadow\","), &Alone);
    assert_eq!(findings(&province, "XX-001").len(), 0);
    province.change_rules(&with("status: \"active\", fill: \"30d\","), &Alone);
    assert_eq!(findings(&province, "XX-001").len(), 3);
    let noted = conduct(&province, "XX-001");
    assert_eq!(noted.judged_from, Some(clock.plus_ms(-30 * DAY_MS)));
    // A shorter past takes nothing back.
    assert_eq!(
        told(&province.change_rules(&with("fill: \"5d\","), &Alone)),
        Vec::<String>::new()
    );
    assert_eq!(findings(&province, "XX-001").len(), 3);
    let noted = conduct(&province, "XX-001");
    assert_eq!(noted.judged_from, Some(clock.plus_ms(-30 * DAY_MS)));
}

#[test]
fn a_shadow_that_is_put_into_service_wakes_nobody_for_the_past() {
    let mut province = Province::new(
        set(vec![
            base(),
            rule("XX-001", "status: \"shadow\",", "30d", 2),
        ]),
        2,
    );
    assert_eq!(told(&step(&mut province, 0, &STORY)), Vec::<String>::new());
    let shadowed = findings(&province, "XX-001");
    assert_eq!(shadowed.len(), 4);
    let active = set(vec![
        base(),
        rule("XX-001", "status: \"active\",", "30d", 2),
    ]);
    assert_eq!(
        told(&province.change_rules(&active, &Alone)),
        Vec::<String>::new()
    );
    assert_eq!(findings(&province, "XX-001"), shadowed);
    assert_eq!(
        conduct(&province, "XX-001").judged_from,
        None,
        "it has judged from the first record on, in the shadow"
    );
    let next = step(&mut province, 6, &[(57, 2)]);
    assert_eq!(told(&next), ["XX-001 raised"]);
}

#[test]
fn a_window_longer_than_what_was_kept_is_said_to_be_short() {
    let mut province = Province::new(set(vec![base()]), 2);
    step(&mut province, 0, &[(1, 1), (200, 1)]);
    let clock = province.clock();
    let long = set(vec![base(), rule("XX-001", "", "365d", 2)]);
    province.change_rules(&long, &Alone);
    let kept = province.globals.kept_from(Stream::Complaint).unwrap();
    // What the older set asked for, and how late a fact may come.
    let late_ms = province.set().scoring().late_ms_max;
    assert_eq!(kept, clock.plus_ms(-61 * DAY_MS - late_ms));
    let whole = conduct(&province, "XX-001").whole_from;
    assert_eq!(whole, Some(kept.plus_ms(365 * DAY_MS)));
    assert_eq!(conduct(&province, "XX-000").whole_from, None);
    // The same set again, or one that asks for less, loses nothing of what is known of the gap.
    province.change_rules(&long, &Alone);
    assert_eq!(province.globals.kept_from(Stream::Complaint), Some(kept));
    province.change_rules(&set(vec![base()]), &Alone);
    assert_eq!(province.globals.kept_from(Stream::Complaint), None);
}

#[test]
fn a_challenger_is_held_against_its_champion() {
    let challenger = rule(
        "XX-001-B",
        "status: \"shadow\", challenges: \"XX-001\"",
        "30d",
        3,
    );
    let mut province = Province::new(
        set(vec![
            rule("XX-001", "cooldown: \"5d\"", "10d", 2),
            challenger,
        ]),
        2,
    );
    // Firm 1: both. Firm 2: only the champion. Firm 3: only the challenger.
    let days = [
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 2),
        (5, 2),
        (6, 3),
        (18, 3),
        (30, 3),
    ];
    step(&mut province, 0, &days);
    let duel = duel(&province, "XX-001-B").unwrap();
    let keys = |list: &[SubjectKey]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(keys(&duel.both), ["enterprise:f1"]);
    assert_eq!(keys(&duel.dropped), ["enterprise:f2"]);
    assert_eq!(keys(&duel.added), ["enterprise:f3"]);
}

/// What the cities have counted.
fn counted(province: &Province) -> Vec<String> {
    let regions = [0, 1].map(|firm| province.subject(&region_key(firm)));
    let groups = regions
        .iter()
        .flatten()
        .map(|region| match &region.holdings {
            Holdings::Groups(groups) => format!("{} {:?}", region.key, groups.in_order()),
            Holdings::Facts(_) => panic!("a region keeps no facts"),
        });
    groups.collect()
}

/// Rules on cities: by kind of complaint, and by what rules found.
fn on_cities(least: u32) -> Vec<(String, String)> {
    let of = |id, stream: &str, by| {
        let manifest = format!("subject: \"region\", by: [\"{by}\"], fill: \"60d\"");
        let (file, text) = rule(id, &manifest, "30d", least);
        (
            file,
            text.replace("\"complaint\"", &format!("\"{stream}\"")),
        )
    };
    vec![
        base(),
        rule("XX-001", "", "30d", 2),
        of("XX-002", "complaint", "problem_type"),
        of("XX-003", "finding", "rule"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A rule on cities that comes later, or goes and comes back, finds the counts that it would have made.
    #[test]
    fn cities_count_as_if_they_had_been_asked_from_the_start(
        mut days in proptest::collection::vec((0..55_i32, 0..4_u8), 1..40),
        cuts in (0_usize..40, 0_usize..40),
        was_there in any::<bool>(),
        least in 1_u32..4,
    ) {
        days.sort_unstable();
        let (gone, back) = (cuts.0.min(cuts.1).min(days.len()), cuts.0.max(cuts.1).min(days.len()));
        let without = || set(vec![base(), rule("XX-001", "", "30d", 2)]);
        let with = || set(on_cities(least));
        let mut always = Province::new(with(), 2);
        step(&mut always, 0, &days);
        let mut later = Province::new(if was_there { with() } else { without() }, 3);
        step(&mut later, 0, &days[..gone]);
        later.change_rules(&without(), &Alone);
        step(&mut later, gone, &days[gone..back]);
        prop_assert_eq!(raised(&later.change_rules(&with(), &Together)), Vec::<String>::new());
        step(&mut later, back, &days[back..]);
        prop_assert_eq!(counted(&later), counted(&always));
        for id in ["XX-001", "XX-002", "XX-003"] {
            prop_assert_eq!(findings(&later, id), findings(&always, id));
        }
    }

    /// Filled back far enough, a rule knows what it would have known had it been there from the start.
    #[test]
    fn filled_back_is_as_if_it_had_been_there(
        mut days in proptest::collection::vec((0..55_i32, 0..4_u8), 1..40),
        cut in 0_usize..40,
        least in 1_u32..4,
    ) {
        days.sort_unstable();
        let cut = cut.min(days.len());
        let (before, after) = days.split_at(cut);
        let later = || set(vec![base(), rule("XX-001", "fill: \"60d\"", "30d", least)]);
        let mut always = Province::new(later(), 2);
        step(&mut always, 0, &days);
        let mut filled = Province::new(set(vec![base()]), 2);
        step(&mut filled, 0, before);
        prop_assert_eq!(told(&filled.change_rules(&later(), &Together)), Vec::<String>::new());
        step(&mut filled, cut, after);
        prop_assert_eq!(findings(&filled, "XX-001"), findings(&always, "XX-001"));
    }
}

//! What one judgement costs: the worked rules over a firm with a plausible history; and what one event costs with 10, 100 and
//! 1,000 rules loaded, by the index and by the interpreter.

use criterion::{Criterion, criterion_group, criterion_main};
use fenghuo::engine::event::{Event, Fields, Op, SubjectKey, SubjectKind, Validity, Value};
use fenghuo::engine::rule::{Judgement, Memo, RuleSet, RuleSources};
use fenghuo::engine::schema::{Stream, field};
use fenghuo::engine::subject::facts::{Fact, Facts};
use fenghuo::engine::subject::view::{Anchor, View};
use fenghuo::engine::time::{EventTime, Precision, as_of};
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;

const RULES: [(&str, &str); 4] = [
    (
        "complaint/surge.rhai",
        include_str!("../src/engine/rule/tests/rules/complaint_surge.rhai"),
    ),
    (
        "inspection/sampling.rhai",
        include_str!("../src/engine/rule/tests/rules/failed_sampling_with_penalty.rhai"),
    ),
    (
        "joint/joint_sanction.rhai",
        include_str!("../src/engine/rule/tests/rules/joint_sanction.rhai"),
    ),
    (
        "licence/expired.rhai",
        include_str!("../src/engine/rule/tests/rules/licence_expired_trading.rhai"),
    ),
];

fn event(stream: Stream, day: i32, number: i32, fields: Fields) -> Arc<Event> {
    let time = EventTime::from_day(day);
    Arc::new(Event {
        source: "bench".into(),
        record_id: number.to_string().into(),
        version: 0,
        op: Op::Insert,
        stream,
        occurred_at: time,
        precision: Precision::Day,
        arrived_at: time,
        validity: Validity::Valid,
        subjects: vec![SubjectKey::new(SubjectKind::Enterprise, "91320100MA1")],
        fields,
    })
}

fn judge(criterion: &mut Criterion) {
    let sources = RuleSources {
        files: RULES
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect(),
        calendar: include_str!("../rules/calendar.toml").to_owned(),
        scoring: include_str!("../rules/scoring.toml").to_owned(),
        laws: include_str!("../rules/laws.toml").to_owned(),
        measures: include_str!("../rules/measures.toml").to_owned(),
        routing: include_str!("../rules/routing.toml").to_owned(),
        sanctions: include_str!("../rules/sanctions.toml").to_owned(),
    };
    let Ok(set) = RuleSet::load(&sources) else {
        return;
    };
    let mut facts = Facts::default();
    let mut fields = Fields::new();
    fields.set(field::problem_type, Value::Text("食品安全".into()));
    let mut last = None;
    for number in 0..12 {
        let event = event(
            Stream::Complaint,
            20_500 + number * 20,
            number,
            fields.clone(),
        );
        facts.insert(Stream::Complaint, Fact::of(&event));
        last = Some(event);
    }
    let Some(complaint) = last else { return };
    let mut fields = Fields::new();
    fields.set(field::amount, Value::Decimal(2_000.into()));
    fields.set(field::kind_of_penalty, Value::Text("罚款".into()));
    let penalty = event(Stream::Penalty, 20_720, 100, fields);
    facts.insert(Stream::Penalty, Fact::of(&penalty));
    let mut fields = Fields::new();
    fields.set(field::result, Value::Text("不合格".into()));
    let inspection = event(Stream::Inspection, 20_700, 101, fields);
    facts.insert(Stream::Inspection, Fact::of(&inspection));
    let mut fields = Fields::new();
    fields.set(field::licence_kind, Value::Text("食品经营许可证".into()));
    fields.set(
        field::valid_to,
        Value::Time(EventTime::from_day(20_800), Precision::Day),
    );
    let licence = event(Stream::Licence, 19_000, 102, fields);
    facts.insert(Stream::Licence, Fact::of(&licence));
    let view = View::Individual {
        key: Arc::new(SubjectKey::new(SubjectKind::Enterprise, "91320100MA1")),
        facts: Arc::new(facts),
    };
    for rule in set.rules() {
        let event = match rule.manifest().on.first() {
            Some(Stream::Penalty) => &penalty,
            Some(Stream::Inspection) => &inspection,
            _ => &complaint,
        };
        let judgement = Judgement {
            view: &view,
            anchor: Anchor::Fact(event.record_key()),
            event: Some(event),
            as_of: as_of(event.occurred_at, event.precision),
        };
        criterion.bench_function(&format!("decide {}", rule.manifest().id), |bench| {
            bench.iter(|| black_box(rule.decide(black_box(&judgement), &mut Memo::default())));
        });
    }
}

/// A rule that few events concern, by a text, an amount, a window, or what holds of the firm; if `is_mixed`, of every sixteen
/// one that cannot be kept away.
fn text(number: usize, is_mixed: bool) -> String {
    let condition = match number % (15 + usize::from(is_mixed)) {
        0..8 => format!("if ev.problem_type != \"问题{number}\" {{ return; }}"),
        8..11 => format!(
            "if (ev.group_size ?? 1) < {} {{ return; }}",
            5 + number % 50
        ),
        11..14 => format!(
            "if who.count(\"complaint\", \"{}d\") < {} {{ return; }}",
            1 + number % 30,
            15 + number % 20
        ),
        14 => format!(
            "let entry = who.list_entry(\"serious\") ?? return; if entry.reason != \"事由{number}\" {{ return; }}"
        ),
        _ => format!("if (ev.title ?? \"\").contains(\"词{number}\") == false {{ return; }}"),
    };
    format!(
        "const RULE = #{{ id: \"B-{number:04}\", name: \"试验\", owner: \"处\", basis: [\"《中华人民共和国行政处罚法》第一条\"], \
         on: [\"complaint\"], history: \"365d\", dimension: \"complaint\" }};\n\
         fn decide(ev, who, p) {{ {condition} warn(#{{ level: \"蓝\", score: 1, message: \"x\" }}); }}\n"
    )
}

/// So many such rules.
fn load(count: usize, is_mixed: bool) -> RuleSet {
    let sources = RuleSources {
        files: (0..count)
            .map(|number| (format!("complaint/{number}.rhai"), text(number, is_mixed)))
            .collect(),
        calendar: include_str!("../rules/calendar.toml").to_owned(),
        scoring: include_str!("../rules/scoring.toml").to_owned(),
        laws: include_str!("../rules/laws.toml").to_owned(),
        measures: include_str!("../rules/measures.toml").to_owned(),
        routing: include_str!("../rules/routing.toml").to_owned(),
        sanctions: include_str!("../rules/sanctions.toml").to_owned(),
    };
    RuleSet::load(&sources).unwrap_or_else(|found| {
        let first = found.first().map(ToString::to_string);
        let _ = writeln!(
            std::io::stderr(),
            "the bench's rules do not load: {first:?}"
        );
        std::process::exit(1);
    })
}

/// A firm with six complaints, and the last of them.
fn firm() -> Option<(View, Arc<Event>)> {
    let mut facts = Facts::default();
    let mut fields = Fields::new();
    fields.set(field::problem_type, Value::Text("食品安全".into()));
    let title = "反映某超市销售过期牛奶，要求退款并查处";
    fields.set(field::title, Value::Text(title.into()));
    let mut last = None;
    for number in 0..6 {
        let day = 20_500 + number * 20;
        let event = event(Stream::Complaint, day, number, fields.clone());
        facts.insert(Stream::Complaint, Fact::of(&event));
        last = Some(event);
    }
    let view = View::Individual {
        key: Arc::new(SubjectKey::new(SubjectKind::Enterprise, "91320100MA1")),
        facts: Arc::new(facts),
    };
    Some((view, last?))
}

fn many(criterion: &mut Criterion) {
    let Some((view, complaint)) = firm() else {
        return;
    };
    let judgement = Judgement {
        view: &view,
        anchor: Anchor::Fact(complaint.record_key()),
        event: Some(&complaint),
        as_of: as_of(complaint.occurred_at, complaint.precision),
    };
    let seat = RuleSet::seat(SubjectKind::Enterprise, Stream::Complaint);
    for (count, is_mixed) in [
        (10_usize, false),
        (100, false),
        (1_000, false),
        (1_000, true),
    ] {
        let set = load(count, is_mixed);
        let kind = if is_mixed { "mixed" } else { "selective" };
        criterion.bench_function(&format!("event {count} {kind} rules, indexed"), |bench| {
            bench.iter(|| {
                let mut memo = Memo::default();
                let concerned = set.concerned(seat, black_box(&judgement), &mut memo);
                let places = concerned.iter().flatten();
                for rule in places.filter_map(|at| set.rules().get(*at)) {
                    let _ = black_box(rule.decide(&judgement, &mut memo));
                }
            });
        });
        criterion.bench_function(&format!("event {count} {kind} rules, Rhai"), |bench| {
            bench.iter(|| {
                for rule in set.rules() {
                    let _ = black_box(rule.explain(black_box(&judgement)));
                }
            });
        });
    }
}

criterion_group!(benches, judge, many);
criterion_main!(benches);

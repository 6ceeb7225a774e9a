//! A back-test says what a run says: every anchor judged once gives the messages of the stream, and nothing later is known.

use crate::province::{Package, fenghuo};
use crate::support::shipped_set;
use fenghuo::engine::backtest::{Plan, individual};
use fenghuo::engine::event::{Event, Fields, Op, SubjectKey, SubjectKind, Validity, Value};
use fenghuo::engine::input::{Alone, Input};
use fenghuo::engine::province::Province;
use fenghuo::engine::record::Prepared;
use fenghuo::engine::rule::RuleSet;
use fenghuo::engine::schema::{Stream, field};
use fenghuo::engine::time::{EventTime, HOUR_MS, Precision};
use fenghuo::engine::warning::Message;
use fenghuo::engine::work::Sent;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

static SET: LazyLock<Arc<RuleSet>> = LazyLock::new(shipped_set);
/// 2026-01-05.
const FIRST_DAY: i32 = 20_458;
const DAYS: i32 = 60;

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// The fields of a made fact of a stream.
fn fields(stream: Stream, number: usize, variant: usize, at: EventTime) -> Fields {
    let mut fields = Fields::new();
    fields.set(field::name, text("某公司"));
    match stream {
        Stream::Complaint => {
            fields.set(
                field::problem_type,
                text(["食品安全", "预付卡"][variant % 2]),
            );
            fields.set(field::complainant, text(&format!("c{number}")));
            fields.set(field::kind, text("投诉"));
            fields.set(field::group_size, Value::Int([1, 1, 35, 2][variant]));
        }
        Stream::Inspection => {
            let result = ["合格", "不合格", "不合格", "不配合检查情节严重"][variant];
            fields.set(field::result, text(result));
            let due = Value::Time(at.plus_days(15), Precision::Day);
            fields.set(field::rectify_due_at, due);
        }
        Stream::Penalty => {
            fields.set(
                field::illegal_type,
                text(["虚假宣传", "无证经营"][variant % 2]),
            );
            fields.set(
                field::kind_of_penalty,
                text(["罚款", "责令停产停业"][variant / 2]),
            );
            let due = Value::Time(at.plus_days(20), Precision::Day);
            fields.set(field::due_at, due);
        }
        Stream::Licence => {
            fields.set(field::licence_kind, text("食品经营许可证"));
            fields.set(field::licence_act, text("核发"));
            let to = at.plus_days([20, 40, 60, 400][variant]);
            fields.set(field::valid_to, Value::Time(to, Precision::Day));
        }
        _ => {
            fields.set(field::list_type, text(["abnormal", "serious"][variant % 2]));
            fields.set(field::action, text("add"));
            fields.set(field::reason, text("通过登记的住所无法联系"));
        }
    }
    fields
}

/// Events in order, known at once, on whole hours; of a firm, each on another hour of the day. So what a rule asked to see
/// again some days later is due at a tick, and never at the moment of another event of the firm.
fn events(specs: &[(i32, i64, usize, usize, usize)]) -> Vec<Event> {
    let streams = [
        Stream::Complaint,
        Stream::Complaint,
        Stream::Inspection,
        Stream::Penalty,
        Stream::Licence,
        Stream::ListChange,
    ];
    let mut events: BTreeMap<(EventTime, usize), Event> = BTreeMap::new();
    let mut taken = std::collections::BTreeSet::new();
    for (number, (day, hour, stream, firm, variant)) in specs.iter().enumerate() {
        if !taken.insert((*firm, *hour)) {
            continue;
        }
        let at = EventTime::from_day(FIRST_DAY + day).plus_ms(hour * HOUR_MS);
        let stream = streams[*stream];
        let event = Event {
            source: "s".into(),
            record_id: number.to_string().into(),
            version: 1,
            op: Op::Insert,
            stream,
            occurred_at: at,
            precision: Precision::Second,
            arrived_at: at,
            validity: Validity::Valid,
            subjects: vec![SubjectKey::new(
                SubjectKind::Enterprise,
                &format!("firm-{firm}"),
            )],
            fields: fields(stream, number, *variant, at),
        };
        events.insert((at, number), event);
    }
    events.into_values().collect()
}

fn lines_of_a_run(events: &[Event], until: EventTime) -> BTreeMap<String, Vec<String>> {
    let mut province = Province::new(Arc::clone(&SET), 2);
    let mut inputs = Vec::new();
    let mut next = events.iter().peekable();
    let mut hour = EventTime::from_day(FIRST_DAY);
    while hour <= until {
        inputs.push(Input::Clock(hour));
        hour = hour.plus_ms(HOUR_MS);
        while let Some(event) = next.next_if(|event| event.arrived_at < hour) {
            inputs.push(Input::Event(Arc::new(event.clone())));
        }
    }
    let prepared: Vec<Prepared> = events.iter().cloned().map(Prepared::new).collect();
    let outcome = province.step(&inputs, &prepared, &Alone);
    assert!(outcome.faults.is_empty(), "{:?}", outcome.faults);
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // A back-test has no officers.
    let is_said = |sent: &&Sent| !matches!(sent.message, Message::Task(_));
    for sent in outcome.sent.iter().filter(is_said) {
        let line = String::from_utf8(sent.message.to_line()).unwrap();
        lines
            .entry(sent.message.subject().to_owned())
            .or_default()
            .push(line);
    }
    lines
}

fn lines_of_a_backtest(events: &[Event], until: EventTime) -> BTreeMap<String, Vec<String>> {
    let mut kept: BTreeMap<SubjectKey, Vec<(u64, Prepared)>> = BTreeMap::new();
    for (seq, event) in (1..).zip(events) {
        let of = kept.entry(event.home().unwrap().clone()).or_default();
        of.push((seq, Prepared::new(event.clone())));
    }
    let plan = Plan { set: &SET, until };
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, kept) in kept {
        let life = individual(&plan, &Arc::new(key), &kept, &[]);
        assert!(life.faults.is_empty(), "{:?}", life.faults);
        for message in life.messages {
            let line = String::from_utf8(message.to_line()).unwrap();
            lines
                .entry(message.subject().to_owned())
                .or_default()
                .push(line);
        }
    }
    lines
}

fn specs() -> impl Strategy<Value = Vec<(i32, i64, usize, usize, usize)>> {
    prop::collection::vec(
        (0..DAYS, 1_i64..24, 0_usize..6, 0_usize..3, 0_usize..4),
        1..90,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_backtest_says_what_a_run_says(specs in specs()) {
        let events = events(&specs);
        let until = EventTime::from_day(FIRST_DAY + DAYS + 60);
        prop_assert_eq!(lines_of_a_backtest(&events, until), lines_of_a_run(&events, until));
    }

    #[test]
    fn no_later_record_influences_a_score(specs in specs(), cut in 1..DAYS) {
        let events = events(&specs);
        let moment = EventTime::from_day(FIRST_DAY + cut);
        let until = EventTime::from_day(FIRST_DAY + DAYS + 60);
        let earlier: Vec<Event> = events.iter().filter(|e| e.occurred_at < moment).cloned().collect();
        // What comes later is also another: turned around, and of other kinds.
        let mut other: Vec<Event> = earlier.clone();
        for event in events.iter().filter(|e| moment <= e.occurred_at) {
            let mut event = event.clone();
            event.fields = fields(event.stream, 7, 3, event.occurred_at);
            other.push(event);
        }
        let readings = |events: &[Event]| {
            let mut all = Vec::new();
            for firm in 0..3 {
                let key = SubjectKey::new(SubjectKind::Enterprise, &format!("firm-{firm}"));
                let kept: Vec<(u64, Prepared)> = (1..)
                    .zip(events.iter().filter(|e| e.home() == Some(&key)).cloned().map(Prepared::new))
                    .collect();
                let plan = Plan { set: &SET, until };
                all.push(individual(&plan, &Arc::new(key), &kept, &[moment]).readings);
            }
            all
        };
        let now = readings(&events);
        prop_assert_eq!(&now, &readings(&earlier));
        prop_assert_eq!(&now, &readings(&other));
    }
}

fn json(args: &[&str]) -> (Option<i32>, serde_json::Value) {
    let output = fenghuo()
        .args(["--format", "json"])
        .args(args)
        .output()
        .unwrap();
    let said = serde_json::from_slice(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (
        output.status.code(),
        said.unwrap_or_else(|e| panic!("{args:?}: {e}: {errors}")),
    )
}

#[test]
fn the_engine_keeps_an_archive_that_a_backtest_reads() {
    let package = Package::generate(150, 3_000, 21);
    let kept = package.path("archive").display().to_string();
    package.set("[engine]", "[archive]\ndir = \"archive\"\n\n[engine]");
    package.run();
    let (code, info) = json(&["archive", "info", "--archive", &kept]);
    assert_eq!(code, Some(0));
    let imported = package.path("imported").display().to_string();
    let config = package.path("fenghuo.toml").display().to_string();
    json(&[
        "archive",
        "import",
        "--config",
        &config,
        "--archive",
        &imported,
    ]);
    let (_, again) = json(&["archive", "info", "--archive", &imported]);
    assert_eq!(info["streams"], again["streams"], "kept and imported");
    let work = package.path("work").display().to_string();
    let out = package.path("report").display().to_string();
    let all = [
        "rule",
        "backtest",
        "--archive",
        &kept,
        "--work",
        &work,
        "--out",
        &out,
    ];
    let (code, report) = json(&all);
    assert_eq!(code, Some(0), "{report}");
    let read = |name: &str| std::fs::read(package.path("report").join(name)).unwrap();
    let files = ["report.html", "report.json", "report.xlsx", "warnings.csv"];
    let first: Vec<Vec<u8>> = files.iter().map(|name| read(name)).collect();
    // Again, and as if interrupted: what is left of partial results is taken up.
    let (_, second) = json(&all);
    assert_eq!(report, second);
    assert_eq!(
        first,
        files.iter().map(|name| read(name)).collect::<Vec<_>>()
    );
    assert!(
        report["counts"]["warnings"].as_u64().unwrap() > 20,
        "{}",
        report["counts"]
    );
    hold_to_the_run(&package, &read("warnings.csv"));
    // A draft is tried as if it were in service.
    let rule = package.path("rules/complaint/surge.rhai");
    let text = std::fs::read_to_string(&rule).unwrap();
    std::fs::write(
        &rule,
        text.replacen("    id:", "    status: \"draft\",\n    id:", 1),
    )
    .unwrap();
    let rules = package.path("rules").display().to_string();
    let (_, tried) = json(&["rule", "backtest", "--archive", &kept, "--rules", &rules]);
    assert_eq!(tried["tried"], serde_json::json!(["TS-001（draft）"]));
    assert_eq!(tried["rules"]["TS-001"], report["rules"]["TS-001"]);
    let expect = package.path("expect.toml");
    std::fs::write(&expect, "[[expect]]\nlevel = \"红\"\nat_most = 0\n").unwrap();
    let expect = expect.display().to_string();
    let (code, report) = json(&["rule", "backtest", "--archive", &kept, "--expect", &expect]);
    assert_eq!(
        (code, &report["expectations"][0]["held"]),
        (Some(1), &serde_json::json!(false))
    );
}

/// The back-test warns of what the run warned of, at the same level and with the same end; what only the run said it took back
/// later, because a record was withdrawn or closed after the fact: a back-test knows that from the start.
fn hold_to_the_run(package: &Package, csv: &[u8]) {
    let mut run: BTreeMap<String, (String, String)> = BTreeMap::new();
    let grave = |level: &str| "蓝黄橙红".find(level);
    for line in std::fs::read_to_string(package.path("out/warnings.jsonl"))
        .unwrap()
        .lines()
    {
        let warning: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| warning[name].as_str().unwrap().to_owned();
        let told = run.entry(text("warning_id")).or_default();
        let level = text("level");
        if told.0.is_empty() || grave(&told.0) < grave(&level) {
            told.0 = level;
        }
        told.1 = text("status");
    }
    let csv = csv.strip_prefix("\u{feff}".as_bytes()).unwrap_or(csv);
    let mut again: BTreeMap<String, (String, String)> = BTreeMap::new();
    for row in csv::Reader::from_reader(csv).records() {
        let row = row.unwrap();
        again.insert(row[0].to_owned(), (row[5].to_owned(), row[9].to_owned()));
    }
    for (id, told) in &again {
        assert_eq!(Some(told), run.get(id), "{id}");
    }
    for (id, (_, status)) in run.iter().filter(|(id, _)| !again.contains_key(*id)) {
        assert_eq!(status, "withdrawn", "{id} was said by the run alone");
    }
}

//! Canonical events survive writing and reading, and what is wrong with one is named.

use super::*;
use crate::engine::time::DAY_MS;
use expect_test::expect;
use proptest::prelude::*;

const LINE: &str = concat!(
    r#"{"source":"hotline-order","record_id":"A1","version":1772325000000,"op":"insert","stream":"complaint","#,
    r#""occurred_at":"2026-03-01T08:30:00+08:00","arrived_at":"2026-03-01T09:00:00+08:00","validity":"valid","#,
    r#""subjects":["enterprise:91320106MA0TEST01X","region:320106"],"fields":{"problem_type":"食品安全","#,
    r#""keywords":["退费","失联"],"is_real_name":true,"group_size":3,"due_at":"2026-03-10","amount":"12.50"}}"#,
);

#[test]
fn a_line_is_read_and_written_again() {
    let event = read(LINE).unwrap();
    assert_eq!(write(&event), LINE);
    assert_eq!(event.precision, Precision::Second);
}

#[test]
fn what_is_left_out_has_a_meaning() {
    let read = |fields: &str| {
        let head = r#""stream":"penalty","source":"s","record_id":"1","occurred_at":"2026-03-01""#;
        read(&format!("{{{fields},{head}}}")).unwrap()
    };
    let event = read(r#""fields":{"region":"320106","amount":3}"#);
    expect![[r#"
        {"source":"s","record_id":"1","version":0,"op":"insert","stream":"penalty","occurred_at":"2026-03-01",
            "arrived_at":"2026-03-01T00:00:00+08:00","validity":"valid","subjects":["unresolved:s/1","region:320106","region:320100"],
            "fields":{"region":"320106","amount":"3"}}
    "#]].assert_eq(&crate::engine::connector::tests::wrapped(&write(&event)));
    let event = read(r#""op":"delete","subjects":["region:320100","enterprise:X"]"#);
    assert_eq!(event.validity, Validity::Deleted);
    assert_eq!(event.home().unwrap().to_string(), "enterprise:X");
}

#[test]
fn what_is_wrong_is_named() {
    let head = r#""source":"s","record_id":"1","stream":"penalty","occurred_at":"2026-03-01""#;
    let mut all = String::new();
    for line in [
        "[]".to_owned(),
        "{}".to_owned(),
        format!("{{{head},\"source\":\"t\"}}"),
        format!("{{{head},\"extra\":1}}"),
        format!("{{{head},\"fields\":{{\"valid_to\":\"2026-01-01\"}}}}"),
        format!("{{{head},\"fields\":{{\"amount\":\"1e3\"}}}}"),
        format!("{{{head},\"fields\":{{\"amount\":{{}}}}}}"),
        format!("{{{head},\"fields\":{{\"name\":\"a\\u0000\"}}}}"),
        format!("{{{head},\"fields\":{{\"name\":1}}}}"),
        format!("{{{head},\"subjects\":[\"firm:1\"]}}"),
        format!("{{{head},\"op\":\"x\"}}"),
        format!("{{{head},\"arrived_at\":\"2026-13-01\"}}"),
        format!("{{{head}}} x"),
    ] {
        all.push_str(&read(&line).unwrap_err().to_string());
        all.push('\n');
    }
    expect![[r#"
        bad_json: not JSON as it is read here: the record is not an object
        missing_field: key "source" is absent
        duplicate_key: key "source" stands twice in one object; send each once
        unknown_column: key "extra" is not of a canonical event
        unknown_column: penalty has no field "valid_to"
        bad_value: amount: "1e3" is not a decimal number
        bad_value: field "amount" is an object
        control_character: field "name": text with a control character (send it without)
        bad_value: field "name": not a value of its type (Text)
        bad_value: subjects: "firm:1" is not a subject (expected kind:key)
        bad_operation: op: "x" is not insert, update or delete
        bad_time: arrived_at: "2026-13-01" is not a time (expected 2026-03-01 or 2026-03-01T08:30:00+08:00)
        bad_json: not JSON as it is read here: one record per line: nothing may follow the value, at byte 77
    "#]]
    .assert_eq(&all);
}

fn any_value(field_type: FieldType) -> BoxedStrategy<Value> {
    let text = "[a-z食品\"\\\\{}]{1,8}";
    match field_type {
        FieldType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        FieldType::Int => any::<i64>().prop_map(Value::Int).boxed(),
        FieldType::Decimal => (any::<i64>(), 0_u32..12)
            .prop_map(|(number, scale)| Value::Decimal(Decimal::new(number, scale)))
            .boxed(),
        FieldType::Text => text.prop_map(|t| Value::Text(t.into())).boxed(),
        FieldType::Time => any_time().prop_map(|(t, p)| Value::Time(t, p)).boxed(),
        FieldType::List => proptest::collection::vec(text.prop_map(Box::from), 0..4)
            .prop_map(|items| Value::List(items.into()))
            .boxed(),
    }
}

fn any_time() -> impl Strategy<Value = (EventTime, Precision)> {
    (0_i32..20_000, 0_i64..DAY_MS, 0_u8..3).prop_map(|(day, ms, precision)| {
        let day = EventTime::from_day(day);
        match precision {
            0 => (day, Precision::Day),
            1 => (day.plus_ms(ms / 60_000 * 60_000), Precision::Minute),
            _ => (day.plus_ms(ms), Precision::Second),
        }
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    (0_usize..9)
        .prop_flat_map(|at| {
            let stream = Stream::ALL[at];
            let fields: Vec<_> = Field::all_of(stream)
                .map(|f| {
                    proptest::option::of(any_value(f.spec().field_type)).prop_map(move |v| (f, v))
                })
                .collect();
            (
                Just(stream),
                fields,
                any_time(),
                any_time(),
                any::<i64>(),
                0_usize..6,
                "[a-z/]{1,9}",
            )
        })
        .prop_map(
            |(stream, values, (occurred_at, precision), (arrived_at, _), version, validity, id)| {
                let mut fields = Fields::new();
                for (field, value) in values {
                    if let Some(value) = value {
                        fields.set(field, value);
                    }
                }
                let op = if validity == 5 {
                    Op::Delete
                } else {
                    Op::Update
                };
                Event {
                    source: "s".into(),
                    record_id: id.into(),
                    version,
                    op,
                    stream,
                    occurred_at,
                    precision,
                    arrived_at,
                    validity: VALIDITIES[validity],
                    subjects: vec![
                        SubjectKey::new(SubjectKind::Place, "a:b"),
                        SubjectKey::new(SubjectKind::Region, "320106"),
                    ],
                    fields,
                }
            },
        )
}

proptest! {
    #[test]
    fn reading_gives_what_was_written(event in any_event()) {
        let line = write(&event);
        prop_assert_eq!(read(&line), Ok(event));
        prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&line).is_ok());
    }

    #[test]
    fn nothing_panics(line in "\\PC{0,40}|[{}\":,a-z0-9]{0,40}") {
        let _ = read(&line);
    }
}

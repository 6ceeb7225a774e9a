//! A body gives back what was put in, whatever that is, by every way of reading it; the event is the oracle.

use super::super::facts::{Fact, Facts};
use super::*;
use crate::engine::event::{Validity, Value};
use crate::engine::schema::{Stream, field};
use proptest::prelude::*;

fn precision() -> impl Strategy<Value = Precision> {
    prop_oneof![
        Just(Precision::Day),
        Just(Precision::Minute),
        Just(Precision::Second)
    ]
}

/// Texts that come again, texts that do not, empty ones, the record's own id, and what looks like a number of this layout.
fn text() -> impl Strategy<Value = Box<str>> {
    prop_oneof![
        prop::sample::select(vec![
            "",
            "合格",
            "南京市玄武区市场监督管理局",
            "投诉",
            "R-1",
            "s",
            "\u{1}@\0"
        ])
        .prop_map(Into::into),
        "\\PC{0,40}".prop_map(Into::into),
        "[闭店退费a-c]{60,90}".prop_map(Into::into),
    ]
}

fn decimal() -> impl Strategy<Value = Decimal> {
    let extreme = vec![
        Decimal::MAX,
        Decimal::MIN,
        Decimal::ZERO,
        -Decimal::ZERO,
        -Decimal::new(0, 2),
        Decimal::new(0, 28),
    ];
    prop_oneof![
        prop::sample::select(extreme),
        (any::<i64>(), 0_u32..29).prop_map(|(n, scale)| Decimal::new(n, scale)),
    ]
}

fn time() -> impl Strategy<Value = EventTime> {
    prop_oneof![
        Just(EventTime::MIN),
        Just(EventTime::MAX),
        any::<i64>().prop_map(EventTime),
        (0_i64..2_000_000_000).prop_map(|s| EventTime(s * 1_000)),
        (10_000_i32..21_000).prop_map(EventTime::from_day),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        prop_oneof![any::<i64>(), -3_i64..300].prop_map(Value::Int),
        decimal().prop_map(Value::Decimal),
        text().prop_map(|text| Value::Text(text.into())),
        text().prop_map(|text| Value::Text(text.into())),
        (time(), precision()).prop_map(|(time, precision)| Value::Time(time, precision)),
        prop::collection::vec(text(), 0..5).prop_map(|list| Value::List(list.into())),
    ]
}

fn subject() -> impl Strategy<Value = SubjectKey> {
    let key = prop_oneof![Just("320106".into()), Just("s/R-1".into()), text()];
    (prop::sample::select(SubjectKind::ALL.to_vec()), key)
        .prop_map(|(kind, key): (_, Box<str>)| SubjectKey::new(kind, &key))
}

prop_compose! {
    fn event()(
        source in prop_oneof![Just("s".into()), text()],
        record_id in prop_oneof![Just("R-1".into()), text()],
        op in prop::sample::select(vec![Op::Insert, Op::Update, Op::Delete]),
        (version, occurred_at, precision, arrived_at) in (any::<i64>(), time(), precision(), time()),
        subjects in prop::collection::vec(subject(), 0..4),
        values in prop::collection::btree_map(0..u8::try_from(FIELDS.len()).unwrap(), value(), 0..24),
    ) -> Event {
        let mut fields = Fields::new();
        for (row, value) in values {
            fields.set(Field::at_row(row), value);
        }
        Event {
            source: source.into(), record_id: record_id.into(), version, op, stream: Stream::Complaint, occurred_at, precision, arrived_at,
            validity: Validity::Valid, subjects, fields,
        }
    }
}

/// A decimal's very bytes: equal ones may be written differently.
fn exact(value: &Value) -> Option<[u8; 16]> {
    match value {
        Value::Decimal(value) => Some(value.serialize()),
        _ => None,
    }
}

fn agrees(fact: &Fact, event: &Event) -> Result<(), TestCaseError> {
    let back = fact.event(event.stream);
    prop_assert_eq!(back.as_ref(), Some(event));
    let peek = fact.peek().unwrap();
    prop_assert_eq!(peek.id(), event.id());
    let seen: Vec<_> = peek
        .iter()
        .map(|(field, value)| (field, value.to_value()))
        .collect();
    let kept: Vec<_> = event
        .fields
        .iter()
        .map(|(field, value)| (field, value.clone()))
        .collect();
    prop_assert_eq!(&seen, &kept);
    for ((_, seen), (_, kept)) in seen.iter().zip(&kept) {
        prop_assert_eq!(exact(seen), exact(kept));
    }
    for row in 0..u8::try_from(FIELDS.len()).unwrap() {
        let field = Field::at_row(row);
        let kept = event.fields.get(field);
        prop_assert_eq!(peek.get(field), kept.map(ValueRef::from));
        prop_assert_eq!(peek.text(field), event.fields.text(field));
        for wanted in ["", "合格", "R-1", "别的"] {
            prop_assert_eq!(
                peek.is_text(field, wanted),
                event.fields.text(field) == Some(wanted)
            );
            let has = matches!(kept, Some(Value::List(list)) if list.iter().any(|entry| entry.as_ref() == wanted));
            prop_assert_eq!(peek.list_has(field, &["没有".into(), wanted.into()]), has);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_is_put_in_is_read_by_every_way(event in event()) {
        // The second time texts are words, the third they have been.
        let facts = [Fact::of(&event), Fact::of(&event), Fact::of(&event)];
        for fact in &facts {
            agrees(fact, &event)?;
            prop_assert_eq!(fact, &facts[0]);
            prop_assert!(fact.size_bytes() <= facts[0].size_bytes());
        }
        // The store's bytes do not depend on what was a word.
        let stored = postcard::to_stdvec(&facts[0]).unwrap();
        prop_assert_eq!(&postcard::to_stdvec(&facts[2]).unwrap(), &stored);
        let back: Fact = postcard::from_bytes(&stored).unwrap();
        agrees(&back, &event)?;
        prop_assert_eq!(&back, &facts[2]);
    }

    #[test]
    fn what_is_no_body_is_read_as_nothing(body in "[\\x00-\\x7f]{0,60}|\\PC{0,30}", time in time()) {
        if let Some(content) = Content::of(&body, time) {
            for row in 0..u8::try_from(FIELDS.len()).unwrap() {
                if let Some(place) = content.find(Field::at_row(row)) {
                    let _ = (content.value(place), content.text(place), content.list_has(place, &["a".into()]));
                }
            }
            let _ = (content.tail(), content.name(), content.fields(), content.iter().count());
        }
        let _ = rewritten(&body, time, false);
    }

    #[test]
    fn facts_come_back_from_the_store(events in prop::collection::vec(event(), 0..12)) {
        let mut facts = Facts::default();
        for event in &events {
            facts.insert(event.stream, Fact::of(event));
        }
        let back: Facts = postcard::from_bytes(&postcard::to_stdvec(&facts).unwrap()).unwrap();
        prop_assert_eq!(back, facts);
    }
}

#[test]
fn the_longest_record_comes_back() {
    let mut fields = Fields::new();
    fields.set(field::note, Value::Text("长".repeat(3_500_000).into()));
    fields.set(
        field::keywords,
        Value::List(Box::new(["店".repeat(1_000).into(), "".into()])),
    );
    let event = Event {
        source: "s".into(),
        record_id: "R-1".into(),
        version: 1,
        op: Op::Insert,
        stream: Stream::Complaint,
        occurred_at: EventTime(0),
        precision: Precision::Second,
        arrived_at: EventTime(5),
        validity: Validity::Valid,
        subjects: vec![SubjectKey::new(
            SubjectKind::Enterprise,
            "91320106MA1MT35H56",
        )],
        fields,
    };
    let fact = Fact::of(&event);
    assert_eq!(fact.event(event.stream), Some(event));
}

#[test]
fn a_plain_fact_is_small() {
    let day = EventTime::from_day(20_000);
    let event = |id: &str| {
        let mut fields = Fields::new();
        for (field, text) in [
            (field::name, "甲公司"),
            (field::region, "320106"),
            (field::department, "南京市鼓楼区市场监督管理局"),
            (field::department_code, "11320106012345678X"),
            (field::inspection_no, id),
            (field::result, "合格"),
        ] {
            fields.set(field, Value::Text(text.into()));
        }
        fields.set(
            field::rectify_due_at,
            Value::Time(day.plus_days(10), Precision::Day),
        );
        let subjects = [
            (SubjectKind::Enterprise, "91320106MA1MT35H56"),
            (SubjectKind::Region, "320106"),
        ];
        Event {
            source: "supervision".into(),
            record_id: id.into(),
            version: day.0,
            op: Op::Insert,
            stream: Stream::Inspection,
            occurred_at: day,
            precision: Precision::Day,
            arrived_at: day,
            validity: Validity::Valid,
            subjects: subjects
                .map(|(kind, key)| SubjectKey::new(kind, key))
                .into(),
            fields,
        }
    };
    for id in ["FH-1", "FH-2"] {
        Fact::of(&event(id));
    }
    let bytes = Fact::of(&event("FH-3")).size_bytes() - size_of::<Fact>();
    assert!(bytes < 80, "{bytes} bytes");
}

//! Examples of each coercion, and the properties of money and times.

use super::*;
use proptest::prelude::*;

fn show(made: Made) -> String {
    match made {
        Ok(Some(Value::Text(text))) => text.into(),
        Ok(Some(Value::Decimal(number))) => number.to_string(),
        Ok(Some(Value::Int(number))) => number.to_string(),
        Ok(Some(Value::Bool(truth))) => truth.to_string(),
        Ok(Some(Value::List(items))) => items.join("|"),
        Ok(Some(Value::Time(time, precision))) => format!("{time} {precision:?}"),
        Ok(None) => "nothing".into(),
        Err(problem) => problem.code.name().into(),
    }
}

fn check(coercion: &Coercion, examples: &[(&str, &str)]) {
    for (text, expected) in examples {
        assert_eq!(show(coercion.text(text)), *expected, "{text:?}");
    }
}

#[test]
fn money() {
    let ten_thousands = Coercion::Amount { factor: 10_000 };
    check(
        &ten_thousands,
        &[
            ("0.2", "2000.00"),
            ("0.200000", "2000.00"),
            ("5,000000", "bad_value"),
            ("12.3456789", "123456.789"),
            ("罚款2000元", "2000.00"),
            ("1.5万元", "15000.00"),
            ("0", "0.00"),
            ("-1", "bad_value"),
            ("1e5", "bad_value"),
            ("1_000", "bad_value"),
            ("", "bad_value"),
            (".", "bad_value"),
            ("两千", "bad_value"),
            ("9999999999999999999999999999", "bad_value"),
        ],
    );
    check(
        &Coercion::Amount { factor: 1 },
        &[
            ("1,234,567.8", "1234567.80"),
            ("¥ 300", "300.00"),
            ("12,34", "bad_value"),
            ("3万元", "30000.00"),
        ],
    );
}

#[test]
fn numbers_and_truth() {
    check(
        &Coercion::Integer,
        &[
            ("61.0", "61"),
            ("-3", "-3"),
            ("61.5", "bad_value"),
            ("+1", "bad_value"),
            ("9223372036854775808", "bad_value"),
            ("", "bad_value"),
        ],
    );
    let spellings = |unknown| Coercion::Bool {
        yes: vec!["1".into(), "是".into()],
        no: vec!["2".into()],
        unknown,
    };
    check(
        &spellings(Unknown::Reject),
        &[
            ("1", "true"),
            (" 是 ", "true"),
            ("2", "false"),
            ("0", "unknown_code"),
        ],
    );
    check(&spellings(Unknown::No), &[("0", "false")]);
    check(&spellings(Unknown::Absent), &[("0", "nothing")]);
}

#[test]
fn times() {
    check(
        &Coercion::Date,
        &[
            ("2017-7-7", "2017-07-07 Day"),
            ("2017-07-07 23:59:59", "2017-07-07 Day"),
            ("2099-12-31", "nothing"),
            ("1900-01-01", "nothing"),
            ("9999-9-9", "nothing"),
            ("2024-13-01", "bad_time"),
            ("长期", "bad_time"),
        ],
    );
    check(
        &Coercion::DateTime {
            offset_ms: moment::SHANGHAI_MS,
        },
        &[
            ("2026-03-01 08:30:00", "2026-03-01 08:30:00 Second"),
            ("2026-03-01 08:30", "2026-03-01 08:30:00 Minute"),
            ("2026-03-01 00:00:00", "2026-03-01 Day"),
        ],
    );
    check(
        &Coercion::EpochMs,
        &[
            ("1772325000000", "2026-03-01 08:30:00 Second"),
            ("1772325000", "bad_time"),
            ("99999999999999", "bad_time"),
            ("x", "bad_time"),
        ],
    );
}

#[test]
fn lists_codes_and_words() {
    let separators: Box<[char]> = Box::from([';', '，']);
    let list = Coercion::List {
        separators: separators.clone(),
    };
    check(
        &list,
        &[
            ("a; b，;c", "a|b|c"),
            (";", "nothing"),
            ("a\u{0};b", "control_character"),
        ],
    );
    let long: Vec<String> = (0..70).map(|n| n.to_string()).collect();
    assert!(show(list.text(&long.join(";"))).ends_with("|62|…(另有7项)"));
    let count = Coercion::Count {
        separators: separators.clone(),
    };
    check(&count, &[("，张三，李四", "2")]);
    let gravest = Coercion::Gravest {
        separators,
        order: vec!["吊销许可证".into(), "罚款".into()],
    };
    check(
        &gravest,
        &[
            ("罚款;吊销许可证", "吊销许可证"),
            ("警告;责令改正", "警告"),
            ("罚款", "罚款"),
        ],
    );
    let code = |unknown| Coercion::Code {
        table: vec![
            ("01".into(), "日常检查".into()),
            ("02".into(), "专项检查".into()),
        ],
        unknown,
    };
    check(
        &code(Unknown::Reject),
        &[("02", "专项检查"), ("03", "unknown_code")],
    );
    check(&code(Unknown::Keep), &[("03", "03")]);
    check(&code(Unknown::Absent), &[("03", "nothing")]);
}

#[test]
fn codes_of_places_and_bodies() {
    check(
        &Coercion::Region,
        &[("320202", "320213"), ("110000", "nothing")],
    );
    let industry = |unknown| Coercion::Industry { unknown };
    check(
        &industry(Unknown::Reject),
        &[("5132", "F5132"), ("餐饮", "bad_value")],
    );
    check(&industry(Unknown::Absent), &[("餐饮", "nothing")]);
    check(
        &Coercion::Uscc {
            unknown: Unknown::Absent,
        },
        &[
            ("91330100799655058b", "91330100799655058B"),
            ("11010519491231002X", "nothing"),
        ],
    );
    check(
        &Coercion::Digits { length: Some(4) },
        &[
            ("1234", "1234"),
            ("123", "bad_value"),
            ("12a4", "bad_value"),
        ],
    );
    check(
        &Coercion::Text,
        &[
            (" 甲  乙 ", "甲 乙".trim()),
            ("a\u{202e}", "control_character"),
        ],
    );
    assert_eq!(show(Coercion::Text.text(&"a".repeat(1025))), "bad_value");
}

#[test]
fn every_coercion_has_a_type() {
    for name in Coercion::NAMES {
        assert!(Coercion::gives(name).is_some(), "{name}");
    }
}

proptest! {
    #[test]
    fn ten_thousands_become_yuan_exactly(cents in 0_u64..10_000_000_000) {
        let yuan = Decimal::new(i64::try_from(cents).unwrap(), 2);
        let text = (yuan / Decimal::from(10_000)).to_string();
        prop_assert_eq!(show(Coercion::Amount { factor: 10_000 }.text(&text)), yuan.to_string());
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,20}|[0-9.,元万-]{0,12}") {
        for coercion in [
            Coercion::Text, Coercion::FreeText, Coercion::Integer, Coercion::Decimal,
            Coercion::Amount { factor: 10_000 }, Coercion::Date, Coercion::EpochMs, Coercion::Region,
            Coercion::Industry { unknown: Unknown::Reject }, Coercion::Uscc { unknown: Unknown::Reject },
        ] {
            let _ = coercion.text(&text);
        }
    }
}

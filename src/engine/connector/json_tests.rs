//! What JSON is refused, and that the rest is what serde_json reads.

use super::*;
use proptest::prelude::*;

fn check(text: &str) -> Result<(), Reject> {
    let mut scanner = Scanner::new(text);
    let value = scanner.value()?;
    scanner.pass(&value)?;
    scanner.end()
}

#[test]
fn what_is_refused() {
    let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
    let keys: Vec<String> = (0..257).map(|n| format!("\"k{n}\":1")).collect();
    for text in [
        "",
        "{",
        "{\"a\":1,}",
        "[1,]",
        "01",
        "1.",
        "1e",
        "+1",
        "NaN",
        "'a'",
        "\"a",
        "\"\u{1}\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "{} {}",
        "9223372036854775808",
        "123456789012345678901234567890.123",
        "nul",
        "{a:1}",
        "\"\\u+123\"",
        &deep,
        &format!("{{{}}}", keys.join(",")),
    ] {
        assert_eq!(check(text).unwrap_err().code, RejectCode::BadJson, "{text}");
    }
    assert_eq!(
        check("{\"a\":1,\"b\":{\"a\":1},\"\\u0061\":2}")
            .unwrap_err()
            .code,
        RejectCode::DuplicateKey
    );
}

#[test]
fn texts_and_numbers_are_exact() {
    let mut scanner = Scanner::new("\"a\\u5357\\ud83d\\ude00\\n\"");
    assert_eq!(
        scanner.value().unwrap(),
        Json::Text("a南\u{1f600}\n".into())
    );
    assert_eq!(
        Scanner::new(" -12.50 ").value().unwrap(),
        Json::Number("-12.50")
    );
    assert_eq!(
        Scanner::new("9223372036854775807").value().unwrap(),
        Json::Number("9223372036854775807")
    );
}

proptest! {
    #[test]
    fn agrees_with_serde_json(text in "[\\[\\]{}:,\"\\\\u0a1\\-.eE \ntrue]{0,16}") {
        let ours = check(&text);
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text);
        match ours {
            Ok(()) => prop_assert!(theirs.is_ok(), "{}", text),
            Err(reject) if reject.code == RejectCode::BadJson => prop_assert!(theirs.is_err(), "{}", text),
            Err(_) => {}
        }
    }

    #[test]
    fn reads_what_serde_json_writes(texts in proptest::collection::vec(".{0,8}", 0..6)) {
        let written = serde_json::to_string(&texts).unwrap();
        let mut scanner = Scanner::new(&written);
        let mut read = Vec::new();
        prop_assert_eq!(scanner.value().unwrap(), Json::Array);
        scanner.array(&mut |scanner| {
            if let Json::Text(text) = scanner.value()? { read.push(text.into_owned()); }
            Ok(())
        }).unwrap();
        prop_assert_eq!(read, texts);
    }
}

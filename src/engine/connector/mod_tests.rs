//! Connectors as files: what is refused and where it points; and records of a small feed on their way.

use super::*;
use crate::engine::event::Event;
use crate::engine::reject::Reject;
use crate::engine::time::EventTime;
use expect_test::expect;
use proptest::prelude::*;
use std::sync::Arc;

const FEED: &str = r#"
id = "test-feed"
title = "试验"
agency = "示例局"
stream = "complaint"
format = "json"
unknown_columns = "reject"

[record]
id = ["id"]
occurred_at = { column = "at", as = "datetime" }

[subjects]
home = [{ kind = "enterprise", column = "firm.code", as = "uscc" }]

[fields]
name = { column = "firm.name" }
title = { column = "title", as = "free_text" }
complainant = { column = "phone" }
amount = { column = "money", as = "amount", unit = "元" }
keywords = { column = "title", as = "keywords", words = "risk" }
group_size = { column = "people", as = "integer", default = "1" }

[words.risk]
"退费" = ["退费", "退款"]

[personal]
phone = "hash"
owner = "drop"
"#;

fn error(change: (&str, &str)) -> String {
    assert!(FEED.contains(change.0), "{}", change.0);
    let toml = FEED.replacen(change.0, change.1, 1);
    Connector::parse("x.toml", &toml, None)
        .unwrap_err()
        .to_string()
}

fn decoder(toml: &str, script: Option<&str>) -> Decoder {
    let connector = Connector::parse("x.toml", toml, script).map_err(|e| e.to_string());
    Decoder::new(Arc::new(connector.unwrap()), Arc::from(&b"key"[..]))
}

/// Lines of at most about 140 characters, broken after commas.
pub(super) fn wrapped(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut width = 0;
        for part in line.split_inclusive(',') {
            if 0 < width && 140 < width + part.chars().count() {
                out.push_str("\n    ");
                width = 4;
            }
            out.push_str(part);
            width += part.chars().count();
        }
        out.push('\n');
    }
    out
}

fn decode(record: &str) -> Result<Event, Reject> {
    decoder(FEED, None).decode(record.as_bytes(), EventTime::MAX)
}

#[test]
fn what_is_wrong_with_a_file_is_pointed_at() {
    let changes = [
        ("agency =", "agncy ="),
        ("stream = \"complaint\"", "stream = \"complaints\""),
        ("format = \"json\"", "format = \"jsonl\""),
        ("id = \"test-feed\"", "id = \"Test Feed\""),
        ("unknown_columns = \"reject\"\n", ""),
        ("as = \"datetime\" }", "as = \"date_time\" }"),
        ("as = \"datetime\" }", "as = \"text\" }"),
        ("column = \"at\"", "colunm = \"at\""),
        ("kind = \"enterprise\"", "kind = \"enterprize\""),
        ("as = \"uscc\"", "as = \"citizen_id\""),
        ("amount =", "ammount ="),
        ("amount =", "valid_to ="),
        ("as = \"amount\", unit = \"元\"", "as = \"amount\""),
        ("unit = \"元\"", "unit = \"美元\""),
        ("as = \"amount\", unit = \"元\"", "as = \"text\""),
        (
            "as = \"integer\", default = \"1\"",
            "as = \"integer\", unit = \"元\"",
        ),
        ("default = \"1\"", "default = \"one\""),
        ("words = \"risk\"", "words = \"risks\""),
        ("column = \"phone\"", "column = \"owner\""),
        ("column = \"money\"", "column = \"phone\""),
        ("phone = \"hash\"", "phone = \"hush\""),
        ("[personal]", "[columns]\nignored = [\"at\"]\n[personal]"),
        (
            "column = \"title\", as = \"free_text\"",
            "as = \"free_text\"",
        ),
        (
            "group_size = {",
            "is_real_name = { column = \"x\" }\ngroup_size = {",
        ),
        ("id = [\"id\"]", "id = []"),
        ("[words.risk]", "[words.risk"),
    ];
    let all: Vec<String> = changes.into_iter().map(error).collect();
    expect![[r#"
        x.toml:4:1: unknown key "agncy"; did you mean "agency"?
        x.toml:5:10: unknown stream "complaints"; did you mean "complaint"?
        x.toml:6:10: unknown word "jsonl"; did you mean "json"?
        x.toml:2:6: id "Test Feed" is not a name (expected a-z, 0-9 and -, at most 64)
        x.toml:6:10: unknown_columns is needed: "reject" if the layout is fixed, "ignore" if columns may come
        x.toml:11:37: unknown reading of a time "date_time"; did you mean "datetime"?
        x.toml:11:37: unknown reading of a time "text"; known are: date, datetime, epoch_ms
        x.toml:11:17: unknown key "colunm"; did you mean "column"?
        x.toml:14:18: unknown kind of individual "enterprize"; did you mean "enterprise"?
        x.toml:14:59: a person is found by citizen_id, and only a person is
        x.toml:20:1: unknown field of complaint "ammount"; did you mean "amount"?
        x.toml:20:1: unknown field of complaint "valid_to"; known are: name, region, region_raw, department, department_code, industry, domain,
             item_code, address, uscc_valid, reported_at, note, order_no, channel, kind, title, category, problem_type, topic, keywords,
             disputed_at, is_real_name, complainant, group_size, urgency, dispute_group, status, accepted_at, due_at, closed_at, result,
             satisfaction, rework_count, is_malicious, amount
        x.toml:20:1: as = "amount" needs unit
        x.toml:20:52: unknown unit "美元"; did you mean "元"?
        x.toml:20:35: "amount" is a Decimal field, "text" gives Text; fitting are decimal, amount
        x.toml:22:58: unit means nothing for as = "integer"
        x.toml:22:61: "one" is not a whole number
        x.toml:21:57: unknown list of words "risks"; did you mean "risk"?
        x.toml:19:26: column "owner" is personal ("drop"): as = "text" may not read it
        x.toml:20:21: column "phone" is personal ("hash"): as = "amount" may not read it
        x.toml:28:9: unknown word "hush"; did you mean "hash"?
        x.toml:28:12: column "at" is read; it cannot be ignored too
        x.toml:18:1: say column = ".." or columns = ["..", ..], one of them
        x.toml:22:1: say how to read "is_real_name": as = one of bool
        x.toml:10:6: record.id names no column
        x.toml:24:12: unclosed table, expected "]"
    "#]].assert_eq(&wrapped(&all.join("\n")));
}

#[test]
fn a_script_is_checked_and_sealed() {
    let parse = |script| {
        Connector::parse("x.toml", FEED, Some(script))
            .unwrap_err()
            .to_string()
    };
    let all = [
        parse("fn map(row) { row.id + }"),
        parse("fn other(row) { }"),
        parse("fn map(row) { eval(\"1\") }"),
        parse("fn map(row) { undefined_name }"),
    ];
    expect![[r#"
        x.rhai:1:24: Unexpected '}'
        x.rhai:1:1: the script has no fn map(row)
        x.rhai:1:15: reserved keyword 'eval' is disabled
        x.rhai:1:15: Undefined variable: undefined_name
    "#]]
    .assert_eq(&wrapped(&all.join("\n")));
    let run = |script| {
        let record = r#"{"id":"1","at":"2026-03-01","title":"甲/乙","phone":"1"}"#;
        match decoder(FEED, Some(script)).decode(record.as_bytes(), EventTime::MAX) {
            Ok(event) => canonical::write(&event),
            Err(reject) => reject.to_string(),
        }
    };
    let all = [
        run(
            "fn map(row) { #{ topic: row.title.split(\"/\")[0], rework_count: 2, closed_at: \"2026-03-02\", amount: 3 } }",
        ),
        run("fn map(row) { #{ status: row.phone } }"),
        run("fn map(row) { #{ topik: 1 } }"),
        run("fn map(row) { #{ topic: 1 } }"),
        run("fn map(row) { loop { } }"),
        run("fn map(row) { row.nothing }"),
        run("fn map(row) { sleep(1) }"),
        run("fn map(row) { #{ status: timestamp() } }"),
    ];
    expect![[r#"
        {"source":"test-feed","record_id":"1","version":0,"op":"insert","stream":"complaint","occurred_at":"2026-03-01",
            "arrived_at":"2026-03-01T00:00:00+08:00","validity":"valid","subjects":["unresolved:test-feed/1"],"fields":{"title":"甲/乙","topic":"甲",
            "complainant":"e3ebc86a8783e2fee9e152c4a081b964","group_size":1,"closed_at":"2026-03-02","rework_count":2,"amount":"3"}}
        {"source":"test-feed","record_id":"1","version":0,"op":"insert","stream":"complaint","occurred_at":"2026-03-01",
            "arrived_at":"2026-03-01T00:00:00+08:00","validity":"valid","subjects":["unresolved:test-feed/1"],"fields":{"title":"甲/乙",
            "complainant":"e3ebc86a8783e2fee9e152c4a081b964","group_size":1,"status":"e3ebc86a8783e2fee9e152c4a081b964"}}
        script_failed: connector "test-feed": the script failed: complaint has no field "topik"
        script_failed: connector "test-feed": the script failed: field "topic" is Text, the script gave i64
        script_failed: connector "test-feed": the script failed: Too many operations
        script_failed: connector "test-feed": the script failed: Property not found: nothing (line 1, position 19)
        script_failed: connector "test-feed": the script failed: Function not found: sleep (i64) (line 1, position 15)
        script_failed: connector "test-feed": the script failed: Function not found: timestamp () (line 1, position 26)
    "#]].assert_eq(&wrapped(&all.join("\n")));
}

#[test]
fn records_become_events_or_say_why_not() {
    let records = [
        concat!(
            r#"{"id":"1","at":"2026-03-01 08:30:00","firm":{"code":"91320505ma0ex0026e","name":"示例健身"},"#,
            r#""title":"要退款，电话13800001234","phone":"13800001234","money":12.5,"people":null,"owner":"张三"}"#
        ),
        r#"{"id":7,"at":"2026-03-01","firm":null}"#,
        r#"{"id":"1","at":"2026-03-01","firm":{"code":"1","nickname":"x"}}"#,
        r#"{"id":"1","at":"2026-03-01","other":1}"#,
        r#"{"id":"1","at":"2026-02-30"}"#,
        r#"{"id":"1"}"#,
        r#"{"at":"2026-03-01"}"#,
        r#"{"id":"1","at":"2026-03-01","money":"-5"}"#,
        r#"{"id":"1","at":"2026-03-01","money":{"a":1}}"#,
        r#"{"id":"1","at":"2026-03-01","firm":{"name":"a\u202eb"}}"#,
        r#"{"id":"a\u0000","at":"2026-03-01"}"#,
        r#"{"id":"1","at":"13800001234"}"#,
        r#"{"id":"1","at":"2026-03-01","people":99999999999999999999}"#,
        "[1]",
    ];
    let all: Vec<String> = records
        .into_iter()
        .map(|record| match decode(record) {
            Ok(event) => canonical::write(&event),
            Err(reject) => reject.to_string(),
        })
        .collect();
    expect![[r#"
        {"source":"test-feed","record_id":"1","version":0,"op":"insert","stream":"complaint","occurred_at":"2026-03-01T08:30:00+08:00",
            "arrived_at":"2026-03-01T08:30:00+08:00","validity":"valid","subjects":["enterprise:91320505MA0EX0026E"],"fields":{"name":"示例健身",
            "uscc_valid":true,"title":"要退款，电话[电话]","keywords":["退费"],"complainant":"538c211c10c86c060b386e47c0fabcf1","group_size":1,
            "amount":"12.50"}}
        {"source":"test-feed","record_id":"7","version":0,"op":"insert","stream":"complaint","occurred_at":"2026-03-01",
            "arrived_at":"2026-03-01T00:00:00+08:00","validity":"valid","subjects":["unresolved:test-feed/7"],"fields":{"group_size":1}}
        unknown_column: connector "test-feed": column "firm.nickname" is not in the connector (name it under columns.ignored, or map it)
        unknown_column: connector "test-feed": column "other" is not in the connector (name it under columns.ignored, or map it)
        bad_time: connector "test-feed": field "occurred_at", column "at": "2026-02-30" is not a date that exists (expected YYYY-MM-DD,
             or with HH:MM:SS)
        bad_time: connector "test-feed": column "at" is empty or a stand-in: no time of the fact
        missing_field: connector "test-feed": column "id" is empty: no identity
        bad_value: connector "test-feed": field "amount", column "money": "-5" is an amount below zero
        bad_value: connector "test-feed": field "amount", column "money": a value is an object (expected a simple value)
        control_character: connector "test-feed": field "name", column "firm.name": "a\u{202e}b" is text with a control character (send it without)
        control_character: connector "test-feed": field "id", column "id": "a\0" is text with a control character (send it without)
        bad_time: connector "test-feed": field "occurred_at", column "at": "[电话]" is not a date that exists (expected YYYY-MM-DD, or with HH:MM:SS)
        bad_json: connector "test-feed": not JSON as it is read here: a whole number is beyond 64 bits; send it as a string, at byte 57
        bad_json: connector "test-feed": not JSON as it is read here: the record is not an object
    "#]].assert_eq(&wrapped(&all.join("\n")));
}

#[test]
fn the_future_and_the_size_have_limits() {
    let decoder = decoder(FEED, None);
    let record = br#"{"id":"1","at":"2026-03-01 08:30:00"}"#;
    let at = |text| EventTime::parse(text).unwrap().0;
    assert!(decoder.decode(record, at("2026-03-01 08:25:00")).is_ok());
    let reject = decoder
        .decode(record, at("2026-03-01 08:24:59"))
        .unwrap_err();
    assert_eq!(reject.code.name(), "future_time");
    let reject = decoder.decode(&vec![b' '; RECORD_BYTES_MAX + 1], EventTime::MAX);
    assert_eq!(reject.unwrap_err().code.name(), "too_long");
    let reject = decoder.decode(b"{\"id\":\"\xd6\xd0\"}", EventTime::MAX);
    assert_eq!(reject.unwrap_err().code.name(), "bad_encoding");
}

#[test]
fn headers_are_checked_once_per_file() {
    let toml = FEED.replace("format = \"json\"", "format = \"csv\"");
    let mut decoder = decoder(&toml, None);
    let mut all = vec![
        decoder
            .decode(b"1,2026-03-01", EventTime::MAX)
            .unwrap_err()
            .to_string(),
    ];
    for header in ["id,at,id", "id,title", "id,at,extra", "\"id"] {
        all.push(
            decoder
                .set_header(header.as_bytes())
                .unwrap_err()
                .to_string(),
        );
    }
    decoder.set_header(b"at,id,money").unwrap();
    for row in [
        "2026-03-01,1",
        "2026-03-01,1,\"2\"x",
        "2026-03-01,1,\"1,200\"",
    ] {
        all.push(match decoder.decode(row.as_bytes(), EventTime::MAX) {
            Ok(event) => canonical::write(&event),
            Err(reject) => reject.to_string(),
        });
    }
    expect![[r#"
        bad_csv: connector "test-feed": a row before the file's header
        bad_csv: connector "test-feed": the header has column "id" twice
        missing_field: connector "test-feed": the header has no column "at", which this feed needs
        unknown_column: connector "test-feed": column "extra" is not in the connector (name it under columns.ignored, or map it)
        bad_csv: connector "test-feed": column 1: the quote is not closed (a quote inside a quoted cell is written twice)
        bad_csv: connector "test-feed": the row has 2 columns, the header has 3
        bad_csv: connector "test-feed": column 3: text after the closing quote (a quote inside a quoted cell is written twice)
        {"source":"test-feed","record_id":"1","version":0,"op":"insert","stream":"complaint","occurred_at":"2026-03-01",
            "arrived_at":"2026-03-01T00:00:00+08:00","validity":"valid","subjects":["unresolved:test-feed/1"],"fields":{"group_size":1,
            "amount":"1200.00"}}
    "#]].assert_eq(&wrapped(&all.join("\n")));
}

#[test]
fn a_decoder_may_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Decoder>();
}

#[test]
fn the_nearest_name_is_by_edits() {
    assert_eq!(edits("amount", "ammount"), 1);
    assert_eq!(edits("", "abc"), 3);
    assert_eq!(edits("名称", "名"), 1);
}

proptest! {
    #[test]
    fn any_bytes_are_an_event_or_a_reject(bytes in proptest::collection::vec(any::<u8>(), 0..80), now in any::<i64>()) {
        let _ = decoder(FEED, None).decode(&bytes, EventTime(now));
        let toml = FEED.replace("format = \"json\"", "format = \"csv\"\ncharset = \"gb18030\"");
        let mut csv = decoder(&toml, None);
        let _ = csv.set_header(&bytes);
        csv.set_header(b"id,at,title,money").unwrap();
        let _ = csv.decode(&bytes, EventTime(now));
    }

    #[test]
    fn any_text_in_any_column_is_an_event_or_a_reject(
        id in "\\PC{0,6}", at in "[0-9 :-]{0,19}|2026-03-01", money in "[0-9.,元万]{0,9}", title in "(\\PC| ){0,20}",
    ) {
        let record = serde_json::json!({"id": id, "at": at, "money": money, "title": title, "firm": {"code": id}});
        let text = record.to_string();
        if let Ok(event) = decode(&text) {
            prop_assert_eq!(canonical::read(&canonical::write(&event)), Ok(event));
        }
    }
}

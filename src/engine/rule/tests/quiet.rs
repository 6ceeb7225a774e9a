//! What is right is not spoken against: guards against empty values, thresholds, branches, loops, functions, in the ways in
//! which analysts write them.

use super::*;

fn quiet(manifest: &str, body: &str, functions: &str) {
    let speaks = "  warn(#{ level: \"黄\", score: 1, message: \"x\" })";
    let said = wrong(manifest, &format!("{body}\n{speaks}"), functions);
    assert_eq!(said, "", "{body}");
}

#[test]
fn what_may_be_empty_is_asked_in_many_ways() {
    for body in [
        "  if ev.amount == () { return; }\n  if ev.amount < 1000 { return; }",
        "  if ev.amount != () && ev.amount < 1000 { return; }",
        "  if ev.amount == () || ev.amount < 1000 { return; }",
        "  if !(ev.amount != () && ev.amount >= 1000) { return; }",
        "  let money = ev.amount ?? return;\n  if money < 1000 { return; }",
        "  ev.amount ?? return;\n  if ev.amount < 1000 { return; }",
        "  let seen = who.last(\"inspection\");\n  if seen == () { return; }\n  if seen.result == \"合格\" { return; }",
        "  let seen = who.last(\"inspection\");\n  if seen != () && seen.time > ev.time { return; }",
        "  let seen = who.last(\"inspection\");\n  let bad = seen != () && seen.result == \"不合格\";\n  if bad && seen.time < ev.time { return; }",
        "  let seen = who.last(\"inspection\") ?? return;\n  if days_between(seen.time, ev.time) > 3 { return; }",
        "  if who.last(\"inspection\") != () && who.last(\"inspection\").result == \"合格\" { return; }",
        "  for x in who.list(\"complaint\", \"30d\") { if x.amount == () { continue; } if x.amount > 3 { return; } }",
        "  let n = if ev.amount == () { 0 } else { ev.amount };\n  if n < 3 { return; }",
        "  if (ev.is_real_name ?? false) && ev.is_malicious != true { return; }",
        "  if ev.amount?.round(0) == 3 { return; }",
        "  if who.list(\"complaint\", \"30d\", #{ keywords: \"退费\" }).some(|x| x.keywords.contains(\"闭店\")) { return; }",
    ] {
        quiet("", body, "");
    }
}

#[test]
fn thresholds_and_branches_that_can_be_reached() {
    let n = "  let n = who.count(\"complaint\", \"30d\");\n";
    for body in [
        "  if n < 3 { return; }\n  let level = if n >= 10 { \"红\" } else if n >= 5 { \"橙\" } else { \"黄\" };\n  if level == \"红\" { return; }",
        "  if n < p.low { return; }\n  if p.high <= n { return; }",
        "  let m = 0;\n  for i in 0..n { m += 1; }\n  if m > 3 { return; }",
        "  let found = false;\n  for x in who.list(\"complaint\", \"30d\") { if x.topic == \"a\" { found = true; break; } }\n  if found { return; }",
        "  let m = 0;\n  who.list(\"complaint\", \"30d\").for_each(|x| m += 1);\n  if m > 3 { return; }",
        "  if ev.time.month >= 12 || ev.time.hour < 6 { return; }",
        "  let share = n / 8.0;\n  if share > 0.5 { return; }",
        "  if max(n, 3) > 3 && min(n, 3) < 3 && abs(n - 5) > 2 { return; }",
        "  let word = switch n { 0 => \"无\", 1..5 => \"少\", _ => \"多\" };\n  if word == \"无\" { return; }",
        "  let days = who.days_since(\"inspection\") ?? 999;\n  if days > 365 { return; }",
        "  if p.switched_on && n > 3 { return; }",
        "  if n % 2 == 0 { return; }\n  while n > 3 { n -= 1; }",
        "  let rows = [];\n  rows.push(n);\n  if rows.len() > 0 && rows[0] > 3 { return; }",
    ] {
        let manifest = "params: #{ low: 3, high: 9, switched_on: true },";
        let known = wrong(manifest, &format!("{n}{body}"), "");
        let rest: Vec<&str> = known
            .lines()
            .filter(|line| !line.starts_with("unused-param"))
            .collect();
        assert!(rest.is_empty(), "{body}: {rest:?}");
    }
}

#[test]
fn functions_of_the_rule_are_known_by_their_calls() {
    quiet(
        "",
        "  if money(ev) < 1000 || !often(who, 3) { return; }",
        "fn money(x) { if x.amount == () { return 0; } x.amount }\n\
         fn often(w, least) { w.count(\"complaint\", \"30d\") >= least }",
    );
    quiet(
        "",
        "  if depth(3) > 2 { return; }",
        "fn depth(n) { if n <= 0 { 0 } else { depth(n - 1) + 1 } }",
    );
}

#[test]
fn rules_on_collectives_read_their_groups() {
    quiet(
        "subject: \"region\", by: [\"industry\", \"problem_type\"],",
        "  if ev.industry == \"\" || ev.problem_type == \"食品安全\" { return; }\n  \
         if who.count(\"complaint\", \"7d\") < 3 + who.weekly_average(\"complaint\", \"28d\") { return; }",
        "",
    );
}

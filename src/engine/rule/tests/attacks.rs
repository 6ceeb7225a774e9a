//! Scripts that want to harm: each ends in an error, soon, without a panic.

use super::*;

/// What becomes of a rule with this body: the load's or the run's message.
fn fate(body: &str, functions: &str) -> String {
    let text = rule("", body, functions);
    // As a stored set, so that what the checks would stop runs.
    let set = match RuleSet::restore(&sources(&[("complaint/t.rhai", &text)])) {
        Ok(set) => set,
        Err(found) => {
            let mut errors = found.iter().filter(|d| d.severity == Severity::Error);
            return format!("load: {}", errors.next().unwrap().message);
        }
    };
    let event = event(1, Stream::Complaint, "2026-03-01", &[]);
    match judge(&set, &enterprise(&[Arc::clone(&event)]), &event) {
        Ok(_) => "ran".to_owned(),
        Err(error) => format!("run: {}", error.message),
    }
}

#[test]
fn what_never_ends_is_stopped() {
    for (body, functions, message) in [
        ("loop { }", "", "run: 运算步数超过上限"),
        (
            "let x = 0; while true { x += 1; }",
            "",
            "run: 运算步数超过上限",
        ),
        (
            "for i in 0..9000000000000 { let y = i; }",
            "",
            "run: 运算步数超过上限",
        ),
        ("f(1);", "fn f(x) { f(x + 1) }", "run: 函数调用层数超过上限"),
        // As deep as expressions may be, at every level of calls: the stack must hold.
        (
            "f(1);",
            "fn f(x) { [[[[[[[[f(x + 1)]]]]]]]] }",
            "run: 函数调用层数超过上限",
        ),
        (
            "f(1);",
            "fn f(x) { g(x) } fn g(x) { f(x) }",
            "run: 函数调用层数超过上限",
        ),
        (
            "let f = |x| x; for i in 0..1000000 { f.call(i); }",
            "",
            "run: 运算步数超过上限",
        ),
    ] {
        let fate = fate(body, functions);
        assert!(fate.starts_with(message), "{body}: {fate}");
    }
}

#[test]
fn what_grows_without_bound_is_stopped() {
    for body in [
        "let s = \"xxxxxxxxxxxxxxxx\"; loop { s += s; }",
        "let s = \"x\"; s.pad(1000000000, \"y\");",
        "let a = [1]; loop { a += a; }",
        "let a = []; a.pad(1000000000, 1);",
        "let a = [1]; loop { a = [a, a]; }",
        "let m = #{}; for i in 0..1000000 { m[`k${i}`] = i; }",
        "let a = [0]; for i in 0..1000 { a = [a]; }",
        "let s = \"\"; for i in 0..100000 { s = `${s}${s}12345678`; }",
        "let a = []; for i in 0..100000 { a.push(\"12345678\"); }",
    ] {
        let fate = fate(body, "");
        assert!(
            fate.starts_with("run: 数据超过上限") || fate.starts_with("run: 运算步数超过上限"),
            "{body}: {fate}"
        );
    }
}

#[test]
fn doors_to_the_outside_are_shut() {
    for body in [
        "sleep(10);",
        "timestamp();",
        "exit(1);",
        "eval(\"1\");",
        "print(\"x\");",
        "debug(\"x\");",
        "import \"x\" as y;",
        "export x;",
        "let f = Fn(\"sle\" + \"ep\"); f.call(10);",
        "let f = Fn(\"eval\"); f.call(\"1\");",
        "let x = blob(1000000000);",
        "let x = read_file(\"/etc/passwd\");",
        "let x = rand();",
        "let x = global::y;",
        "let x = [1].to_json();",
    ] {
        let fate = fate(body, "");
        assert!(fate.starts_with("load:"), "{body}: {fate}");
    }
    let fate = fate("\"sleep\".call(1);", "");
    assert!(fate.starts_with("run:"), "{fate}");
}

#[test]
fn what_is_too_deep_or_too_much_does_not_compile() {
    let parens = format!("let x = {}1{};", "(".repeat(500), ")".repeat(500));
    let minus = format!("let x = {}1;", "- ".repeat(500));
    let closures = format!("let x = {}1;", "|a| ".repeat(200));
    let ifs = format!("{} {}", "if true {".repeat(300), "}".repeat(300));
    let arrays = format!("let x = {}{};", "[".repeat(300), "]".repeat(300));
    let text = format!("let x = \"{}\";", "x".repeat(20_000));
    let dots = format!("let x = ev{};", ".topic".repeat(300));
    for body in [&parens, &minus, &closures, &ifs, &arrays, &text, &dots] {
        let fate = fate(body, "");
        assert!(
            !fate.starts_with("ran"),
            "{}: {fate}",
            &body[..30.min(body.len())]
        );
    }
    let functions: Vec<String> = (0..40).map(|n| format!("fn f{n}() {{}}")).collect();
    assert_eq!(
        fate("", &functions.join("\n")),
        "load: 函数(含测试与匿名函数)太多"
    );
    assert!(
        fate(&format!("// {}", "x".repeat(70_000)), "").starts_with("load: 规则文件超过 64 KiB")
    );
    let many: Vec<String> = (0..80).map(|n| format!("let v{n} = {n};")).collect();
    assert_eq!(fate(&many.join("\n"), ""), "run: 变量个数超过上限");
}

#[test]
fn nothing_is_carried_from_one_judgement_to_the_next() {
    let set = one(
        "params: #{ n: 1, list: [1] },",
        "  p.n += 1; p.list.push(2);\n  warn(#{ level: \"蓝\", score: 1, message: `${p.n} ${p.list.len()}` });",
        "",
    );
    let event = event(1, Stream::Complaint, "2026-03-01", &[]);
    let view = enterprise(&[Arc::clone(&event)]);
    for _ in 0..3 {
        let verdict = judge(&set, &view, &event).unwrap();
        assert_eq!(verdict.warning.unwrap().message.as_ref(), "2 2");
    }
}

#[test]
fn many_threads_judge_with_one_rule_set() {
    use rayon::prelude::*;
    let set = one(
        "",
        "  warn(#{ level: \"蓝\", score: 1, message: `${who.count(\"complaint\", \"7d\")} 件` });",
        "",
    );
    let events: Vec<_> = (1..=9)
        .map(|day| event(day, Stream::Complaint, &format!("2026-03-0{day}"), &[]))
        .collect();
    let view = enterprise(&events);
    let messages: Vec<String> = (0..2_000_usize)
        .into_par_iter()
        .map(|n| {
            judge(&set, &view, &events[n % 9])
                .unwrap()
                .warning
                .unwrap()
                .message
                .into()
        })
        .collect();
    for (n, message) in messages.iter().enumerate() {
        assert_eq!(message, &format!("{} 件", (n % 9 + 1).min(7)));
    }
}

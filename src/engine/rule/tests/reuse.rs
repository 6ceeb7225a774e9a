//! Rules that stay are taken from the set before.

use super::*;

/// Three files; the text of the second says how many complaints.
fn files(least: &str) -> Vec<(String, String)> {
    let body = |least: &str| {
        format!(
            "    if who.count(\"complaint\", \"30d\") < {least} {{ return; }}\n    warn(#{{ level: \"蓝\", score: 1, message: \"试验\" }})"
        )
    };
    let of = |number: u8, least: &str| {
        let path = format!("complaint/rule_{number}.rhai");
        let text = rule("history: \"30d\",", &body(least), "");
        (path, text.replace("T-1", &format!("XX-00{number}")))
    };
    vec![of(1, "5"), of(2, least), of(3, "5")]
}

fn whole(files: Vec<(String, String)>) -> RuleSources {
    RuleSources {
        files,
        ..sources(&[])
    }
}

fn words(found: &[Diagnostic]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}

fn today() -> EventTime {
    EventTime::from_day(20_600)
}

#[test]
fn only_what_changed_is_compiled_again() {
    let before = RuleSet::load(&whole(files("5"))).unwrap();
    let sources = whole(files("7"));
    let after = RuleSet::check_after(&before, &sources, today()).unwrap();
    let anew = RuleSet::check(&sources, today()).unwrap();
    let kept: Vec<bool> = before
        .rules()
        .iter()
        .zip(after.rules())
        .map(|(was, is)| Arc::ptr_eq(was, is))
        .collect();
    assert_eq!(kept, [true, false, true]);
    assert_eq!(after.hash(), anew.hash());
    assert_eq!(words(after.warnings()), words(anew.warnings()));
    assert!(!after.warnings().is_empty(), "rules without tests");
    assert_eq!(after.rules()[1].source(), sources.files[1].1);
}

#[test]
fn what_a_basis_comes_to_is_looked_at_on_the_day() {
    let mut sources = whole(files("5"));
    let before = RuleSet::load(&sources).unwrap();
    sources.files.pop();
    let law = before
        .laws()
        .iter()
        .find(|law| law.title == "中华人民共和国行政处罚法");
    assert!(law.is_some_and(|law| law.repealed.is_none()));
    // Before the law on which all rest came into force.
    let long_ago = EventTime::parse("1990-01-01").unwrap().0;
    let after = RuleSet::check_after(&before, &sources, long_ago).unwrap();
    let anew = RuleSet::check(&sources, long_ago).unwrap();
    assert_eq!(words(after.warnings()), words(anew.warnings()));
    assert!(Arc::ptr_eq(&before.rules()[0], &after.rules()[0]));
    assert_ne!(after.warnings().len(), before.warnings().len());
}

#[test]
fn nothing_is_taken_over_under_other_tables_or_for_a_trial() {
    let before = RuleSet::load(&whole(files("5"))).unwrap();
    let mut sources = whole(files("5"));
    sources.laws.push_str("\n# 改\n");
    let after = RuleSet::check_after(&before, &sources, today()).unwrap();
    let is_shared = |(was, is): (&Arc<Rule>, &Arc<Rule>)| Arc::ptr_eq(was, is);
    assert!(!before.rules().iter().zip(after.rules()).any(is_shared));
    assert!(!before.shares_tables_with(&after));
}

#[test]
fn mistakes_are_found_beside_rules_that_stay() {
    let before = RuleSet::load(&whole(files("5"))).unwrap();
    let sources = whole(files("ev.nothing_such"));
    let after = RuleSet::check_after(&before, &sources, today()).unwrap_err();
    let anew = RuleSet::check(&sources, today()).unwrap_err();
    assert_eq!(words(&after), words(&anew));
}

#[test]
fn numbers_of_questions_that_nobody_asks_are_let_go() {
    let mut set = RuleSet::load(&whole(files("5"))).unwrap();
    let mut anew = 0;
    for days in 1..20 {
        let mut changed = files("5");
        let (_, text) = changed.last_mut().unwrap();
        *text = text.replace("\"30d\")", &format!("\"{days}d\")"));
        let next = RuleSet::check_after(&set, &whole(changed), today()).unwrap();
        anew += usize::from(!Arc::ptr_eq(&set.rules()[0], &next.rules()[0]));
        set = next;
    }
    assert!((1..10).contains(&anew), "{anew}");
}

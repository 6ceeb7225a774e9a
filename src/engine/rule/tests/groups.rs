//! Rules on regions, industries and departments.

use super::*;

#[test]
fn a_group_is_counted_by_day_and_by_its_fields() {
    passes(
        "subject: \"region\", by: [\"industry\", \"problem_type\"],",
        "
        let n = who.count(\"complaint\", \"7d\");
        let people = who.distinct(\"complaint\", \"complainant\", \"7d\");
        let fines = who.count(\"inspection\", \"30d\");
        if n < 3 { return; }
        warn(#{ level: \"黄\", score: 20,
            message: `${who.key} ${ev.industry} ${ev.problem_type ?? \"无\"}:${n} 件 ${people} 人 ${fines} 次,均 ${who.daily_average(\"complaint\", \"7d\").round(2)}` });
        "
        .replace("let fines = who.count(\"inspection\", \"30d\");", "let fines = 0;")
        .as_str(),
        "
        fn test_同组三件() {
            let t = scenario();
            for d in 1..=3 {
                t.add(\"complaint\", `2026-03-0${d}`, #{ industry: \"H\", problem_type: \"食品\", complainant: `c${d % 2}` });
                t.add(\"complaint\", `2026-03-0${d}`, #{ industry: \"F\" });
            }
            t.expect(\"黄\", \"320100 H 食品:3 件 2 人 0 次,均 0.43\");
        }
        fn test_不同组不相加() {
            let t = scenario();
            t.add(\"complaint\", \"2026-03-01\", #{ industry: \"H\", problem_type: \"食品\" });
            t.add(\"complaint\", \"2026-03-02\", #{ industry: \"H\", problem_type: \"退费\" });
            t.add(\"complaint\", \"2026-03-03\", #{ industry: \"F\", problem_type: \"食品\" });
            t.expect_none();
        }
        fn test_窗口为整日() {
            let t = scenario();
            t.add(\"complaint\", \"2026-03-01\", #{ industry: \"H\" });
            t.add(\"complaint\", \"2026-03-01 23:00\", #{ industry: \"H\" });
            t.add(\"complaint\", \"2026-03-08 01:00\", #{ industry: \"H\" });
            t.expect_none();
            t.add(\"complaint\", \"2026-03-03\", #{ industry: \"H\" });
            t.add(\"complaint\", \"2026-03-02\", #{ industry: \"H\" });
            t.expect(\"黄\", \"无:3 件\");
        }
        ",
    );
}

#[test]
fn other_streams_are_counted_with_the_same_values() {
    passes(
        "subject: [\"department\"], by: [\"industry\"], on: [\"penalty\"],",
        "if who.count(\"inspection\", \"30d\") < 2 { return; }
         signal(#{ message: `${ev.industry} ${who.count(\"inspection\", \"30d\")}` });",
        "fn test_a() {
            let t = scenario();
            t.add(\"inspection\", \"2026-03-01\", #{ industry: \"H\" });
            t.add(\"inspection\", \"2026-03-02\", #{ industry: \"H\" });
            t.add(\"inspection\", \"2026-03-02\", #{ industry: \"F\" });
            t.add(\"penalty\", \"2026-03-02\", #{ industry: \"F\" });
            t.expect_none();
            t.add(\"penalty\", \"2026-03-02\", #{ industry: \"H\" });
            t.expect_signal(\"H 2\");
        }",
    );
}

#[test]
fn findings_on_the_firms_of_a_region() {
    let set = one(
        "subject: \"region\", on: [\"finding\"], by: [\"rule\"],",
        "if who.distinct(\"finding\", \"subject\", \"30d\") < 2 { return; }
         warn(#{ level: \"橙\", score: 20, message: `${ev.rule}` });",
        "fn test_a() {
            let t = scenario();
            t.add(\"finding\", \"2026-03-01\", #{ rule: \"A\", subject: \"x\", points: 10 });
            t.add(\"finding\", \"2026-03-02\", #{ rule: \"A\", subject: \"x\", points: 10 });
            t.expect_none();
            t.add(\"finding\", \"2026-03-02\", #{ rule: \"A\", subject: \"y\", points: 10 });
            t.expect(\"橙\", \"A\");
        }",
    );
    assert!(set.listens_to_findings());
    assert!(
        run_tests(&set).iter().all(TestReport::is_passed),
        "{:#?}",
        run_tests(&set)
    );
    let feeds = set.feeds(SubjectKind::Region, Stream::Finding);
    assert_eq!(feeds.len(), 1);
    assert_eq!(feeds[0].key.as_ref(), "rule|subject");
}

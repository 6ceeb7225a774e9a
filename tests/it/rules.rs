//! The shipped rules: they load without a word, pass their own tests, rest on known laws, and the guide tells no lies.

use fenghuo::engine::rule::{Diagnostic, RuleSet, RuleSources, RuleStatus, run_tests};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All rule files under `folder` by their path in it.
fn rule_files(folder: &Path, below: &Path, files: &mut Vec<(String, String)>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(below)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rule_files(folder, &path, files);
        } else if path.extension().is_some_and(|ext| ext == "rhai") {
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            files.push((name.to_owned(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The rules of `folder`, with the calendar and the scoring of the province.
pub(crate) fn sources(folder: &str) -> RuleSources {
    let folder = root().join(folder);
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let mut files = Vec::new();
    rule_files(&folder, &folder, &mut files);
    RuleSources {
        files,
        calendar: read(root().join("rules/calendar.toml")),
        scoring: read(root().join("rules/scoring.toml")),
        laws: read(folder.join("laws.toml")),
        measures: read(folder.join("measures.toml")),
        routing: read(root().join("rules/routing.toml")),
        sanctions: read(root().join("rules/sanctions.toml")),
    }
}

fn text(diagnostics: &[Diagnostic]) -> String {
    let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    lines.join("\n\n")
}

/// Loads the rules; nothing may be wrong with them, and all of their tests must pass.
fn load_and_test(sources: &RuleSources) -> RuleSet {
    let set = RuleSet::load(sources)
        .map_err(|found| text(&found))
        .unwrap();
    assert!(set.warnings().is_empty(), "{}", text(set.warnings()));
    let failed: Vec<_> = run_tests(&set)
        .into_iter()
        .filter(|t| !t.is_passed())
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    set
}

#[test]
fn the_province_s_rules_load_and_pass_their_tests() {
    let set = load_and_test(&sources("rules"));
    assert!(20 <= set.rules().len());
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for rule in set.rules() {
        *lines.entry(&rule.manifest().line).or_default() += 1;
        assert_eq!(rule.manifest().status, RuleStatus::Active);
        assert!(
            !rule.manifest().summary.is_empty(),
            "{}",
            rule.manifest().file
        );
    }
    assert_eq!(lines.len(), 9, "{lines:?}");
}

#[test]
fn chicago_s_rules_load_and_pass_their_tests() {
    let set = load_and_test(&sources("fixtures/chicago/rules"));
    assert!(5 <= set.rules().len());
}

/// Each rule shows both sides: a test that expects something, and one that expects nothing.
#[test]
fn every_rule_has_a_test_that_warns_and_one_that_does_not() {
    for folder in ["rules", "fixtures/chicago/rules"] {
        for (file, source) in sources(folder).files {
            let says = ["t.expect(", "t.expect_signal(", "t.expect_sanction("];
            assert!(says.iter().any(|call| source.contains(call)), "{file}");
            assert!(source.contains("t.expect_none()"), "{file}");
        }
    }
}

/// Every complete rule in the guide is a rule: it loads among the laws of the province, and its tests pass.
#[test]
fn the_rules_of_the_guide_work() {
    let guide = std::fs::read_to_string(root().join("rules/README.md")).unwrap();
    let blocks: Vec<&str> = guide
        .split("```rhai\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block))
        .collect();
    assert!(6 <= blocks.len());
    let files = blocks
        .iter()
        .enumerate()
        .map(|(at, block)| (format!("complaint/guide-{at}.rhai"), (*block).to_owned()))
        .collect();
    load_and_test(&RuleSources {
        files,
        ..sources("rules")
    });
}

/// Every fragment in the guide runs in a rule on the stream that it names, and nothing is said against it.
#[test]
fn the_fragments_of_the_guide_run() {
    let guide = std::fs::read_to_string(root().join("rules/README.md")).unwrap();
    let blocks: Vec<&str> = guide
        .split("```rhai on=")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block))
        .collect();
    assert!(3 <= blocks.len());
    for (at, block) in blocks.iter().enumerate() {
        let (stream, body) = block.split_once('\n').unwrap();
        let says = "warn(#{ level: \"黄\", score: 1, message: \"x\" })";
        let text = format!(
            "//! x\nconst RULE = #{{ id: \"X-{at}\", name: \"x\", owner: \"x\", on: [\"{stream}\"], history: \"365d\",\n\
             basis: [\"《中华人民共和国行政处罚法》第六十三条\"], dimension: \"complaint\" }};\n\
             fn decide(ev, who, p) {{\n{body}\n{says}\n}}\n\
             fn test_a() {{ let t = scenario(); t.expect_none(); t.add(\"{stream}\", \"2026-06-01\", #{{}}); \
             let id = t.add(\"{stream}\", \"2026-06-02\", #{{}}); t.withdraw(id); }}\n\
             fn test_b() {{ let t = scenario(); if false {{ t.expect(\"黄\", \"x\"); }} }}\n"
        );
        load_and_test(&RuleSources {
            files: vec![(format!("complaint/fragment-{at}.rhai"), text)],
            ..sources("rules")
        });
    }
}

/// The report that the guide shows is one that the check gives.
#[test]
fn the_report_in_the_guide_is_a_real_one() {
    let guide = std::fs::read_to_string(root().join("rules/README.md")).unwrap();
    let (_, rest) = guide.split_once("报错的样子：\n\n```text\n").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    let expected = std::fs::read_to_string(root().join("tests/broken/expected.txt")).unwrap();
    assert!(expected.contains(shown), "{shown}");
}

//! The analyst's bench, from the command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn fenghuo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fenghuo"))
        .args(arguments)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr];
    parts
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .concat()
}

/// A rules directory with the province's tables and no rules.
fn bare_rules(dir: &Path) {
    std::fs::create_dir_all(dir.join("complaint")).unwrap();
    for table in ["calendar", "scoring", "laws", "measures"] {
        let name = format!("{table}.toml");
        std::fs::copy(root().join("rules").join(&name), dir.join(&name)).unwrap();
    }
}

#[test]
fn what_fix_mends_is_clean_afterwards() {
    let scratch = tempfile::tempdir().unwrap();
    let mut mended = 0;
    let mut names: Vec<PathBuf> = std::fs::read_dir(root().join("tests/broken"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "rhai"))
        .collect();
    names.sort();
    let dir = scratch.path();
    bare_rules(dir);
    for path in names {
        let file = dir.join("complaint/broken.rhai");
        std::fs::copy(&path, &file).unwrap();
        let before = std::fs::read_to_string(&file).unwrap();
        let file_name = file.to_str().unwrap();
        let checked = fenghuo(&[
            "rule",
            "check",
            file_name,
            "--fix",
            "--strict",
            "--today",
            "2026-11-02",
        ]);
        if std::fs::read_to_string(&file).unwrap() == before {
            continue;
        }
        mended += 1;
        assert_eq!(
            checked.status.code(),
            Some(0),
            "{}\n{}",
            path.display(),
            said(&checked)
        );
    }
    assert!(15 <= mended, "{mended}");
}

#[test]
fn a_sarif_report_names_rule_place_and_replacement() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    bare_rules(dir);
    let broken = root().join("tests/broken/wide-comma.rhai");
    std::fs::copy(broken, dir.join("complaint/broken.rhai")).unwrap();
    let checked = fenghuo(&["rule", "check", dir.to_str().unwrap(), "--sarif", "-"]);
    assert_eq!(checked.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(report["version"], "2.1.0");
    let result = &report["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "wide-mark");
    assert_eq!(result["level"], "error");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["region"]["startLine"], 14);
    assert_eq!(place["region"]["startColumn"], 34);
    assert_eq!(place["region"]["endColumn"], 35);
    let change = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert_eq!(change["insertedContent"]["text"], ",");
    let rules = report["runs"][0]["tool"]["driver"]["rules"]
        .as_array()
        .unwrap();
    assert!(rules.iter().any(|rule| rule["id"] == "wide-mark"));
}

/// Begins a rule on complaints.
fn new_rule(dir: &Path, id: &str) -> Output {
    let basis = "《市场监督管理投诉举报处理办法》第三十八条";
    let place = dir.to_str().unwrap();
    let name = [
        "--name",
        "试写的规则",
        "--owner",
        "信用监管处",
        "--basis",
        basis,
    ];
    fenghuo(&[&["rule", "new", id, "--dir", place], name.as_slice()].concat())
}

#[test]
fn a_new_rule_checks_passes_its_tests_and_is_covered() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    bare_rules(dir);
    let made = new_rule(dir, "TS-801");
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let place = dir.to_str().unwrap();
    let checked = fenghuo(&["rule", "check", place, "--strict"]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let tested = fenghuo(&["rule", "test", place, "--coverage-min", "100"]);
    assert_eq!(tested.status.code(), Some(0), "{}", said(&tested));
    // A second one of the same name or number is refused, and nothing is overwritten.
    assert_eq!(new_rule(dir, "TS-801").status.code(), Some(2));
    let file = dir.join("complaint/ts_801.rhai");
    std::fs::rename(&file, dir.join("complaint/other.rhai")).unwrap();
    let twin = new_rule(dir, "TS-801");
    assert_eq!(twin.status.code(), Some(1), "{}", said(&twin));
    assert!(!file.exists());
}

#[test]
fn coverage_and_junit_tell_what_is_missing() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    bare_rules(dir);
    new_rule(dir, "TS-801");
    let file = dir.join("complaint/ts_801.rhai");
    let text = std::fs::read_to_string(&file).unwrap();
    let more = "    if who.on_list(\"serious\") { return; }\n\n    warn(#{";
    std::fs::write(
        &file,
        text.replace("\n    warn(#{", more)
            .replace("3 件\"", "4 件\""),
    )
    .unwrap();
    let junit = dir.join("report.xml");
    let (place, report) = (dir.to_str().unwrap(), junit.to_str().unwrap());
    let tested = fenghuo(&["rule", "test", place, "--coverage", "--junit", report]);
    assert_eq!(tested.status.code(), Some(1));
    let told = said(&tested);
    assert!(
        told.contains("complaint/ts_801.rhai:16:5 没有走过“条件成立”"),
        "{told}"
    );
    assert!(told.contains("3/4 75%"), "{told}");
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(
        xml.contains("<testsuite name=\"TS-801\" tests=\"3\" failures=\"2\""),
        "{xml}"
    );
    assert!(xml.contains("应有蓝色预警且含“4 件”"), "{xml}");
}

#[test]
fn list_diff_and_defs_show_what_there_is() {
    let scratch = tempfile::tempdir().unwrap();
    let (old, new) = (scratch.path().join("old"), scratch.path().join("new"));
    for dir in [&old, &new] {
        bare_rules(dir);
        new_rule(dir, "TS-801");
    }
    new_rule(&new, "TS-802");
    let file = new.join("complaint/ts_801.rhai");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("min_count: 3", "min_count: 5")).unwrap();
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let same = fenghuo(&["rule", "diff", old, "--old", old]);
    assert_eq!(same.status.code(), Some(0), "{}", said(&same));
    let differs = fenghuo(&["rule", "diff", new, "--old", old, "--format", "json"]);
    assert_eq!(differs.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&differs.stdout).unwrap();
    let changes = told["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2);
    let entry = &changes[0]["entries"][0];
    assert_eq!(
        (&entry["key"], &entry["old"], &entry["new"]),
        (&"params.min_count".into(), &"3".into(), &"5".into())
    );
    assert_eq!(changes[1]["kind"], "added");
    let list = fenghuo(&["rule", "list", new, "--format", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(told["rules"][1]["id"], "TS-802");
    assert_eq!(told["rules"][1]["tests"].as_array().unwrap().len(), 3);
    let defs = fenghuo(&["rule", "defs", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&defs.stdout).unwrap();
    assert_eq!(told["streams"][0]["name"], "complaint");
    assert!(
        told["words"]
            .as_array()
            .unwrap()
            .iter()
            .any(|word| word["name"] == "count_by")
    );
}

#[test]
fn a_recorded_subject_answers_in_the_words_of_rules() {
    let scratch = tempfile::tempdir().unwrap();
    let place = scratch.path().to_str().unwrap();
    let made = fenghuo(&[
        "demo",
        "--out",
        place,
        "--subjects",
        "50",
        "--events",
        "600",
    ]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let state = format!("{place}/state");
    let list = fenghuo(&[
        "warning", "list", "--all", "--state", &state, "--format", "json",
    ]);
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let warnings = list
        .as_array()
        .or_else(|| list["warnings"].as_array())
        .unwrap();
    let subjects = warnings
        .iter()
        .map(|warning| warning["subject"].as_str().unwrap());
    let subject = subjects
        .into_iter()
        .find(|s| s.starts_with("enterprise:"))
        .unwrap();
    let arguments = [
        "rule",
        "repl",
        "--subject",
        subject,
        "--at",
        "2026-12-31",
        "--state",
        &state,
    ];
    let lines = "who.count(\"complaint\", \"3650d\")\nlet n = 20\nn * 2 + 2\nwho.cuont(1)\nev.amount < ()\n\
        if n > 3 { warn(#{ level: \"黄\", score: 3, message: `有 ${n} 件` }) }\n:at 2000-01-01\nwho.now\n:quit\n";
    let mut child = Command::new(env!("CARGO_BIN_EXE_fenghuo"))
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let told = said(&output);
    let told: Vec<&str> = told.lines().collect();
    assert!(told[0].parse::<u64>().is_ok(), "{told:?}");
    assert_eq!(told[1..3], ["20", "42"], "{told:?}");
    assert_eq!(
        told[3..5],
        ["who 没有方法 cuont", "  提示: 是不是想写 count?"],
        "{told:?}"
    );
    assert!(told[5].starts_with("出错：比较 < 的一边没有值"), "{told:?}");
    assert_eq!(told[6], "黄色预警（3 分）：有 20 件", "{told:?}");
    assert_eq!(told[8], "2000-01-01 23:59:59 之前没有记录", "{told:?}");
}

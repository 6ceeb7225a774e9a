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

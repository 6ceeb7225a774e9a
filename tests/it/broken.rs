//! Broken rules, one mistake each, as analysts make them: `tests/broken/`. Each is reported at the line that is marked `←`,
//! with help, and nothing else is said of it. What is said of each is in `expected.txt`.

use crate::rules::sources;
use fenghuo::engine::rule::{Diagnostic, RuleSet, RuleSources};
use fenghuo::engine::time::EventTime;
use std::fmt::Write;
use std::path::PathBuf;

const MARK: &str = " // ←";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/broken")
}

/// The broken rules by name.
fn broken() -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "rhai"));
    paths.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths
        .iter()
        .map(|path| (name(path), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// What the check says of a rule among the province's tables and one rule in service.
fn said(name: &str, text: &str) -> Vec<Diagnostic> {
    let shipped = sources("rules");
    let surge = "complaint/surge.rhai";
    let mut files = vec![(format!("complaint/{name}"), text.to_owned())];
    files.extend(shipped.files.into_iter().filter(|(path, _)| path == surge));
    let sources = RuleSources {
        files,
        ..sources("rules")
    };
    let today = EventTime::parse("2026-11-02").unwrap().0;
    let mut found = match RuleSet::check(&sources, today) {
        Ok(set) => set.warnings().to_vec(),
        Err(found) => found,
    };
    found.retain(|diagnostic| diagnostic.file != surge);
    found
}

#[test]
fn every_mistake_is_reported_at_its_line_with_help() {
    let broken = broken();
    assert!(40 <= broken.len());
    let mut all = String::new();
    let mut astray = Vec::new();
    for (name, text) in &broken {
        let marked = text.lines().position(|line| line.contains(MARK)).unwrap() + 1;
        let found = said(name, text);
        if found.is_empty() || found.iter().any(|d| d.line != marked || d.help.is_empty()) {
            let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
            astray.push(format!(
                "{name}: line {marked} is wrong, but\n{}",
                lines.join("\n")
            ));
        }
        for diagnostic in found {
            let _ = writeln!(all, "{diagnostic}\n");
        }
    }
    assert!(astray.is_empty(), "{}", astray.join("\n\n"));
    expect_test::expect_file![folder().join("expected.txt")].assert_eq(&all);
}

#[test]
fn on_a_terminal_the_same_is_said_in_colours() {
    let (name, text) = &broken()[0];
    let [one] = &said(name, text)[..] else {
        panic!("one mistake each");
    };
    let coloured = one.coloured();
    let mut plain = String::new();
    for (at, part) in coloured.split('\u{1b}').enumerate() {
        plain.push_str(if at == 0 {
            part
        } else {
            part.split_once('m').unwrap().1
        });
    }
    assert_eq!(plain, one.to_string());
    assert_ne!(coloured, plain);
}

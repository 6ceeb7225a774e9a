//! The house rules that a compiler does not check: the pure core's border, headers, lengths, language.

use crate::support::project;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 550;
const COLUMNS_MAX: usize = 280;
/// What the core must not name, and what to do instead.
const FOREIGN: [(&str, &str); 13] = [
    (
        "tokio",
        "the core has no tasks; return a value and let runtime act",
    ),
    ("rdkafka", "the core has no broker; runtime has"),
    ("sled", "the core has no disk; runtime::store has"),
    ("dashmap", "the core is owned by one thread; runtime shares"),
    (
        "prometheus",
        "the core counts in its outcome; runtime::metrics exports",
    ),
    (
        "tracing",
        "the core does not log; it returns faults and rejects",
    ),
    ("std::fs", "the core reads no files; pass the text in"),
    ("std::net", "the core has no network"),
    ("std::env", "the core has no environment; pass the value in"),
    (
        "std::thread",
        "the core has no threads; a Crew runs the shards",
    ),
    ("SystemTime", "time is an input"),
    ("Instant", "time is an input"),
    ("rand::", "the core has no chance"),
];

fn files(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

fn sources(dirs: &[&str], ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for dir in dirs {
        files(&project(dir), ending, &mut found);
    }
    found.sort();
    found
        .into_iter()
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// The code without comment lines, so that a header may speak of what the code must not name.
fn code(text: &str) -> String {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_core_is_pure() {
    let mut faults = Vec::new();
    for (path, text) in sources(&["src/engine"], ".rs") {
        let code = code(&text);
        for (word, instead) in FOREIGN {
            if code.contains(word) {
                faults.push(format!("{}: names {word}: {instead}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_source_file_opens_with_a_header_and_stays_short() {
    let mut faults = Vec::new();
    for (path, text) in sources(&["src", "tests", "benches"], ".rs") {
        let at = path.display();
        if !text.starts_with("//! ") {
            faults.push(format!(
                "{at}: does not begin with a `//! ` header that says what it means"
            ));
        }
        let lines = text.lines().count();
        if FILE_LINES_MAX < lines {
            faults.push(format!(
                "{at}: {lines} lines, at most {FILE_LINES_MAX}; split it by what a reader looks for"
            ));
        }
        for (number, line) in text.lines().enumerate() {
            let is_sample = path.to_string_lossy().contains("tests");
            if !is_sample && COLUMNS_MAX < line.chars().count() {
                faults.push(format!(
                    "{at}:{}: longer than {COLUMNS_MAX} columns",
                    number + 1
                ));
            }
            if line.contains("TODO") || line.contains("FIXME") {
                faults.push(format!("{at}:{}: finish it or take it out", number + 1));
            }
        }
    }
    let faults: Vec<_> = faults
        .into_iter()
        .filter(|f| !f.contains("tidy.rs"))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn tests_neither_sleep_nor_are_ignored() {
    for (path, text) in sources(&["src", "tests"], ".rs") {
        let code = code(&text);
        for word in ["#[ign", "thread::sl"]
            .iter()
            .zip(["ore]", "eep("])
            .map(|(a, b)| format!("{a}{b}"))
        {
            assert!(!code.contains(&word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn the_map_stays_a_map() {
    let text = std::fs::read_to_string(project("ARCHITECTURE.md")).unwrap();
    assert!(
        text.lines().count() < 300,
        "ARCHITECTURE.md is a map: under 300 lines"
    );
    let mut modules = Vec::new();
    for (path, _) in sources(&["src/engine", "src/runtime"], ".rs") {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.parent().unwrap().ends_with("engine") || path.parent().unwrap().ends_with("runtime")
        {
            modules.push(stem);
        }
    }
    for module in modules.iter().filter(|m| *m != "mod") {
        assert!(
            text.contains(&format!("`{module}`")) || text.contains(&format!("{module}.rs")),
            "ARCHITECTURE.md does not name {module}"
        );
    }
}

#[test]
fn every_data_folder_explains_itself() {
    for folder in [
        "connectors",
        "rules",
        "fixtures",
        "benches",
        "grafana",
        "fixtures/chicago",
    ] {
        assert!(
            project(folder).join("README.md").exists(),
            "{folder}/README.md is missing"
        );
    }
}

/// A merge that was left half done reads as text to every other test.
#[test]
fn no_file_keeps_the_marks_of_a_merge() {
    let mut faults = Vec::new();
    let listed = std::process::Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(project(""))
        .output();
    // A source archive has no repository; then the folders alone are looked at.
    let paths: Vec<PathBuf> = match listed {
        Ok(out) if out.status.success() && !out.stdout.is_empty() => {
            String::from_utf8_lossy(&out.stdout)
                .split('\0')
                .filter(|name| !name.is_empty())
                .map(project)
                .collect()
        }
        _ => {
            let mut found = vec![project("README.md"), project("ARCHITECTURE.md")];
            for dir in ["src", "tests", "rules", "connectors", "grafana"] {
                files(&project(dir), "", &mut found);
            }
            found
        }
    };
    assert!(paths.len() > 100, "only {} files found", paths.len());
    for path in paths {
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if line.starts_with(concat!("<<<", "<<<< "))
                || line.starts_with(concat!(">>>", ">>>> "))
            {
                faults.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A back-test reads the columns that rules name and those that the engine looks at; whoever makes the engine look at another
/// field has to say so in `engine/rule/needs.rs`.
#[test]
fn every_field_that_the_engine_looks_at_is_read_in_back_tests() {
    use fenghuo::engine::rule::{ENGINE_FIELDS, STANDING_FIELDS};
    let known: Vec<&str> = ENGINE_FIELDS
        .iter()
        .chain(&STANDING_FIELDS)
        .map(|field| field.name())
        .collect();
    // The desk acts on what officers do, connectors make events, explanations, rule tests and the evaluation run on whole events.
    let beside = [
        "/desk/",
        "/frequency.rs",
        "/connector/",
        "/explain/",
        "/tests",
        "tests.rs",
        "/scenario.rs",
        "/stage.rs",
        "/needs.rs",
        "/schema.rs",
        // Back-tests tell warnings, nothing beside them.
        "/remark.rs",
    ];
    let mut missing = Vec::new();
    for (path, text) in sources(&["src/engine"], ".rs") {
        let name = path.display().to_string();
        if beside.iter().any(|part| name.contains(part)) {
            continue;
        }
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for after in text.split("field::").skip(1) {
            let end = after.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            let field = &after[..end.unwrap_or(after.len())];
            // Findings are made by the engine, not read of an archive.
            let is_made = name.ends_with("tally.rs");
            if !field.is_empty() && !is_made && !known.contains(&field) {
                missing.push(format!("{name}: {field}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

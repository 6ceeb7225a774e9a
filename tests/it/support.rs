//! What several suites need: places in the project, the shipped rules, events from files, dashboards.

use fenghuo::engine::connector::canonical;
use fenghuo::engine::event::Event;
use fenghuo::engine::reject::Reject;
use fenghuo::engine::rule::RuleSet;
use fenghuo::runtime::bundle;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A path below the project's root.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The shipped rules, loaded.
pub(crate) fn shipped_set() -> Arc<RuleSet> {
    let sources = bundle::rules_in(&project("rules")).unwrap();
    Arc::new(bundle::load_rules(&project("rules"), &sources).unwrap())
}

/// The events of a file of canonical JSON lines, and why lines are none.
pub(crate) fn canonical_events(path: &Path) -> (Vec<Event>, Vec<Reject>) {
    let text = std::fs::read_to_string(path).unwrap();
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match canonical::read(line) {
            Ok(event) => events.push(event),
            Err(reject) => rejects.push(reject),
        }
    }
    (events, rejects)
}

/// File name and content of each dashboard.
pub(crate) fn dashboards() -> Vec<(String, Value)> {
    let mut found: Vec<_> = std::fs::read_dir(project("grafana/dashboards"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(5 < found.len(), "dashboards are missing");
    found
}

/// The items at a place; none where there is no list.
pub(crate) fn list<'a>(value: &'a Value, at: &str) -> &'a [Value] {
    value
        .pointer(at)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The text at a place; empty where there is none.
pub(crate) fn word<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or("")
}

//! What several suites need: places in the project, the shipped rules, events from files.

use fenghuo::engine::connector::canonical;
use fenghuo::engine::event::Event;
use fenghuo::engine::reject::Reject;
use fenghuo::engine::rule::RuleSet;
use fenghuo::runtime::bundle;
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

//! How each rule of a set is run: what keeps it from being looked at, what is understood without Rhai, what is left to it.
//!
//! An analyst reads it to see why a rule is dear, and what to write first so that it is not.

use super::guard::{gaps, words};
use super::{Rule, RuleSet, gate};
use serde::Serialize;

/// How a rule is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Its id.
    pub id: String,
    /// Its file.
    pub file: String,
    /// What keeps it, stream by stream.
    pub gates: Vec<StreamGate>,
    /// Whether it has a first look without Rhai.
    pub is_compiled: bool,
    /// Whether its manifest says that Rhai shall run it.
    pub is_interpreted: bool,
    /// Lines that are left to Rhai: a judgement that comes there is Rhai's from the start.
    pub left_to_rhai: Vec<usize>,
}

/// What keeps a rule from being looked at on the facts of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamGate {
    /// The stream.
    pub stream: &'static str,
    /// What an event or a subject must show; none if the rule is looked at on every fact.
    pub needs: Option<String>,
}

impl Plan {
    /// Whether nothing is left to Rhai.
    pub fn is_complete(&self) -> bool {
        self.is_compiled && self.left_to_rhai.is_empty()
    }

    /// Whether the index keeps it on every stream.
    pub fn is_gated(&self) -> bool {
        self.gates.iter().all(|gate| gate.needs.is_some())
    }

    fn of(rule: &Rule) -> Self {
        let manifest = rule.manifest();
        let gates = manifest.on.iter().map(|stream| StreamGate {
            stream: stream.name(),
            needs: gate::best(rule, *stream).map(|clause| words(&clause)),
        });
        let found = rule.guard.as_ref().map(gaps).unwrap_or_default();
        Self {
            id: manifest.id.to_string(),
            file: manifest.file.to_string(),
            gates: gates.collect(),
            is_compiled: rule.guard.is_some(),
            is_interpreted: manifest.is_interpreted,
            left_to_rhai: found.iter().filter_map(|gap| gap.at.line()).collect(),
        }
    }
}

impl RuleSet {
    /// How each rule is run, in the order of ids.
    pub fn plan(&self) -> Vec<Plan> {
        self.rules().iter().map(|rule| Plan::of(rule)).collect()
    }
}

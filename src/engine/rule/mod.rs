//! The rule engine: analysts' rules in Rhai, checked before they run, sealed while they run.
//!
//! A [`RuleSet`] is loaded from [`RuleSources`] whole or not at all. For a fact it says which rules concern it
//! ([`RuleSet::anchored`], [`RuleSet::readers`], [`RuleSet::feeds`]); [`Rule::decide`] judges one anchor of one subject as
//! of one moment and gives a [`Verdict`](crate::engine::subject::view::Verdict): a function of what is passed in, with no
//! clock and no state of its own. [`run_tests`] runs the tests that the rules bring along.
//!
//! ```text
//! source text → sandbox (compile) → manifest → analyse (names, streams, windows) → set (indexes)
//! decide(ev, who, p):  record = ev   who, standing, group = who   says = warn signal sanction check_on   dates
//! ```

mod analyse;
mod api;
mod ask;
mod asked;
mod basis;
mod bodies;
mod captured;
mod check;
mod codes;
mod compare;
mod compiled;
mod context;
mod convert;
mod coverage;
mod dates;
mod diagnostic;
mod entries;
mod error;
mod gate;
mod group;
mod guard;
mod law;
mod loaded;
mod manifest;
mod names;
mod needs;
mod noted;
mod numbers;
mod once;
mod plan;
mod probe;
mod record;
mod sandbox;
mod says;
mod scan;
mod scenario;
mod service;
mod set;
mod stage;
mod standing;
mod syntax;
mod tails;
#[cfg(test)]
mod tests;
mod trace;
mod vocabulary;
mod who;

use std::sync::Arc;

pub use codes::CODES;
pub use compiled::{Feed, Judgement, Rule};
pub use coverage::{Branch, Coverage, cover};
pub use diagnostic::{Diagnostic, Fix, Severity};
pub use error::RuleError;
pub use guard::{Look, Memo};
pub use law::{Law, Laws, Measure, Measures};
pub use manifest::{Manifest, RuleStatus};
pub use needs::{ENGINE_FIELDS, STANDING_FIELDS};
pub use plan::{Plan, StreamGate};
pub use probe::Answer;
pub use scenario::{Outcome, TestReport};
pub use set::{RuleSet, RuleSources};
pub use trace::{Compared, Shown, Traced};
pub use vocabulary::{Group, MANIFEST, WORDS, Word, fields_by_stream, manifest_table, word_table};

/// Runs the tests of all rules, whatever their status, in the order of ids.
pub fn run_tests(set: &RuleSet) -> Vec<TestReport> {
    run_tests_of(set.rules())
}

/// Runs the tests of these rules.
pub fn run_tests_of<'a>(rules: impl IntoIterator<Item = &'a Arc<Rule>>) -> Vec<TestReport> {
    rules.into_iter().flat_map(scenario::run).collect()
}

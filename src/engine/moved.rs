//! Which rules of a set that goes are not in the one that comes, or say other things of themselves there; and which subjects
//! that concerns.
//!
//! What a rule has said of a subject is told by the rule's manifest and counted by the tables that all rules share. Where none of
//! these moved nothing can change. A subject at rest is not unpacked to see that: beside its bytes stand [`Marks`].
//!
//! shape    marks are 4 bytes a subject, a bit for each rule that has said something of it
//! cost     a comparison of two manifests a rule; a look-up a finding, check and episode of a subject that is ready

use super::hash::FixedState;
use super::rule::RuleSet;
use super::subject::state::Core;
use hashbrown::HashSet;
use std::hash::BuildHasher;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(super) struct Moved<'a> {
    /// Whether the tables are others, which can concern everybody.
    all: bool,
    ids: HashSet<&'a str, FixedState>,
    marks: Marks,
}

impl<'a> Moved<'a> {
    /// What moved from a set to another.
    pub(super) fn between(old: &'a RuleSet, new: &RuleSet) -> Self {
        let is_other = |id: &str, at: usize| {
            let (was, is) = (old.rules().get(at), new.rule(id));
            let (Some(was), Some(is)) = (was, is) else {
                return true;
            };
            !Arc::ptr_eq(was, is) && was.manifest() != is.manifest()
        };
        let ids = old.rules().iter().map(|rule| rule.manifest().id.as_ref());
        let moved = ids.enumerate().filter(|(at, id)| is_other(id, *at));
        let ids: HashSet<&str, FixedState> = moved.map(|(_, id)| id).collect();
        let mut marks = Marks::default();
        ids.iter().for_each(|id| marks.add(id));
        Self {
            all: !old.shares_tables_with(new),
            ids,
            marks,
        }
    }

    /// Whether nobody is concerned.
    pub(super) fn is_nothing(&self) -> bool {
        !self.all && self.ids.is_empty()
    }

    /// Whether it can concern a subject with these marks.
    pub(super) fn may_concern(&self, marks: Marks) -> bool {
        marks.0 != 0 && (self.all || marks.0 & self.marks.0 != 0)
    }

    /// Whether it concerns a subject of which rules have said this.
    pub(super) fn concerns(&self, core: &Core) -> bool {
        self.all || rules_of(core).any(|id| self.ids.contains(id))
    }
}

/// Which rules have said something of a subject, roughly: a bit for each, of 32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks(u32);

impl Marks {
    /// Those of what rules have said.
    pub(super) fn of(core: Option<&Core>) -> Self {
        let mut marks = Self::default();
        core.into_iter()
            .flat_map(rules_of)
            .for_each(|id| marks.add(id));
        marks
    }

    fn add(&mut self, id: &str) {
        self.0 |= 1 << (FixedState.hash_one(id) % 32);
    }
}

fn rules_of(core: &Core) -> impl Iterator<Item = &str> {
    let findings = core.findings.iter().map(|finding| finding.rule.as_ref());
    let checks = core.checks.iter().map(|check| check.rule.as_ref());
    let episodes = core.episodes.iter().map(|episode| episode.rule.as_ref());
    findings.chain(checks).chain(episodes)
}

//! Where verdicts are written down: a subject's findings, and the times at which rules want to look again.
//!
//! One finding a rule, group and anchor. What changes goes out as a [`Shift`], which says whether a record that the older
//! finding rested on is lost.
//!
//! cost     one binary search in the subject's findings; nothing for a subject that has none and gets none

use super::event::RecordKey;
use super::judge::Bench;
use super::rule::Rule;
use super::sentence::{Shift, rests_on};
use super::subject::groups::GroupKey;
use super::subject::state::{Check, Finding};
use super::subject::view::Anchor;
use super::time::EventTime;
use std::sync::Arc;

impl Bench<'_, '_> {
    /// Notes, or forgets, when a rule wants to look at an anchor again.
    pub(super) fn set_check(
        &mut self,
        rule: &Arc<str>,
        group: Option<&Arc<GroupKey>>,
        anchor: Anchor,
        at: Option<EventTime>,
    ) {
        if at.is_none()
            && self
                .subject
                .core
                .as_ref()
                .is_none_or(|core| core.checks.is_empty())
        {
            return;
        }
        let checks = &mut self.subject.core_mut().checks;
        let place = checks.binary_search_by(|c| {
            (c.rule.as_ref(), c.group.as_ref(), c.anchor).cmp(&(rule.as_ref(), group, anchor))
        });
        match (place, at) {
            (Ok(found), Some(at)) => {
                if let Some(check) = checks.get_mut(found) {
                    check.at = at;
                }
            }
            (Ok(found), None) => {
                checks.remove(found);
            }
            (Err(place), Some(at)) => {
                let check = Check {
                    rule: Arc::clone(rule),
                    group: group.cloned(),
                    anchor,
                    at,
                };
                checks.insert(place, check);
            }
            (Err(_), None) => {}
        }
    }

    /// Puts what a rule found at an anchor in the place of what it had found there.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of one place or judgement"
    )]
    pub(super) fn set_finding(
        &mut self,
        at: usize,
        rule: &Arc<Rule>,
        group: Option<&Arc<GroupKey>>,
        anchor: Anchor,
        finding: Option<Finding>,
        lost: Option<RecordKey>,
    ) {
        let id = &rule.manifest().id;
        if finding.is_none()
            && self
                .subject
                .core
                .as_ref()
                .is_none_or(|c| c.findings.is_empty())
        {
            return;
        }
        let core = self.subject.core_mut();
        let place = core.place_of(id, group, anchor);
        let old = match place {
            Ok(found) => core.findings.get(found).cloned(),
            Err(_) => None,
        };
        let rests_on_lost = match (&old, lost) {
            // A record that was only updated and still carries the finding is not lost.
            (Some(old), Some(lost)) => {
                rests_on(old, lost) && !finding.as_ref().is_some_and(|new| rests_on(new, lost))
            }
            _ => false,
        };
        if old == finding && !rests_on_lost {
            return;
        }
        match (place, &finding) {
            (Ok(found), Some(new)) => {
                if let Some(slot) = core.findings.get_mut(found) {
                    slot.clone_from(new);
                }
            }
            (Ok(found), None) => {
                core.findings.remove(found);
            }
            (Err(place), Some(new)) => {
                core.findings.insert(place, new.clone());
                core.limit(id, group);
            }
            (Err(_), None) => {}
        }
        let lost = lost.filter(|_| rests_on_lost);
        self.out.shifts.push(Shift {
            rule: at,
            group: group.cloned(),
            old,
            new: finding,
            lost,
        });
    }

    /// Drops the findings that rest on a lost record and whose own anchor is past every window.
    pub(super) fn drop_orphans(&mut self, at: usize, rule: &Arc<Rule>, lost: RecordKey) {
        let Some(core) = self.subject.core.as_ref() else {
            return;
        };
        let Some(facts) = self.subject.facts() else {
            return;
        };
        let id = &rule.manifest().id;
        let orphans: Vec<Anchor> = core
            .findings
            .iter()
            .filter(|f| f.rule == *id && rests_on(f, lost))
            .filter(|f| matches!(f.anchor, Anchor::Fact(key) if facts.find(key).is_none()))
            .map(|f| f.anchor)
            .collect();
        for anchor in orphans {
            self.set_finding(at, rule, None, anchor, None, Some(lost));
        }
    }

    /// Drops the findings of some rules at a frozen anchor if they rest on a lost record.
    pub(super) fn drop_if_rests_on(
        &mut self,
        rules: &[usize],
        anchor: Anchor,
        lost: Option<RecordKey>,
    ) {
        let (Some(lost), set) = (lost, self.court.set) else {
            return;
        };
        for at in rules {
            let (Some(rule), Some(core)) = (set.rules().get(*at), self.subject.core.as_ref())
            else {
                continue;
            };
            let found = core.place_of(&rule.manifest().id, None, anchor).ok();
            if found
                .and_then(|p| core.findings.get(p))
                .is_some_and(|f| rests_on(f, lost))
            {
                self.set_finding(*at, rule, None, anchor, None, Some(lost));
            }
        }
    }
}

//! What officers found out closes an episode, and what they found unfounded no longer counts.
//!
//! Feedback is a fact like any other: it names a warning by its id and gives a verdict. An episode so named is closed; with
//! the verdict 不属实 its points leave the subject's score. Feedback about a warning that the subject does not have
//! changes nothing.
//!
//! cost     nothing for a subject without feedback

use super::episode::{Cluster, Step, Transition, overlaps};
use super::schema::{Stream, field};
use super::subject::state::{Core, EpisodeKind, Finding, Status, Subject};
use super::warning::transition_id;

/// The verdict that takes a finding's points away.
pub const UNFOUNDED: &str = "不属实";

/// Closes the episodes that feedback names.
pub(super) fn close(subject: &Subject, core: &mut Core, steps: &mut Vec<Step>) {
    let Some(facts) = subject.facts() else { return };
    for fact in facts.of(Stream::Feedback) {
        let Some(event) = fact.event(Stream::Feedback) else {
            continue;
        };
        let (Some(id), Some(verdict)) = (
            event.fields.text(field::warning_id),
            event.fields.text(field::verdict),
        ) else {
            continue;
        };
        let found = core.episodes.iter().position(|e| {
            e.kind == EpisodeKind::Warning
                && matches!(e.status, Status::Open | Status::Ended | Status::Closed)
                && transition_id(&subject.key, &e.rule, e.number) == id
        });
        let Some(episode) = found.and_then(|at| core.episodes.get(at)) else {
            continue;
        };
        if episode.verdict.as_deref() == Some(verdict) {
            continue;
        }
        let rule = std::sync::Arc::clone(&episode.rule);
        let number = core.next_number(&rule);
        let Some(episode) = found.and_then(|at| core.episodes.get_mut(at)) else {
            continue;
        };
        episode.status = Status::Closed;
        episode.verdict = Some(verdict.into());
        steps.push(Step {
            transition: Transition::Closed,
            number,
            episode: episode.clone(),
            previous_level: None,
            lead: None,
            findings: episode.findings_told,
            why: match verdict {
                "属实" => "经核查属实",
                "部分属实" => "经核查部分属实",
                UNFOUNDED => "经核查不属实，不再计分",
                _ => "已反馈",
            },
        });
    }
}

/// Whether officers found a cluster unfounded.
pub(super) fn is_unfounded(core: &Core, cluster: &Cluster<'_>, of: &Finding) -> bool {
    core.episodes.iter().any(|e| {
        e.verdict.as_deref() == Some(UNFOUNDED)
            && e.rule == of.rule
            && e.group == of.group
            && overlaps(e, cluster, 0)
    })
}

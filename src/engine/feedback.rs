//! What officers found out closes an episode, and what they found unfounded no longer counts.
//!
//! Feedback names a warning by its id and gives a verdict. An episode so named is closed; with the verdict 不属实 its points
//! leave the subject's score. An individual keeps feedback as a fact like any other; a collective, which keeps no facts,
//! hears it once. Either way the latest word holds: by its time, then its version, then its record, so the verdict ends the
//! same in every order of arrival. Feedback about a warning that the subject does not have changes nothing.
//!
//! cost     nothing for a subject without feedback

use super::episode::{Cluster, Step, Transition, overlaps};
use super::event::{Event, RecordKey, SubjectKey};
use super::schema::{Stream, field};
use super::subject::state::{Core, EpisodeKind, Finding, Status, Subject};
use super::time::EventTime;
use super::warning::transition_id;
use std::sync::Arc;

/// The verdict that takes a finding's points away.
pub const UNFOUNDED: &str = "不属实";

/// Which of several words of officers is the latest: time, version, record.
pub type Latest = (EventTime, i64, RecordKey);

/// Closes the episodes that the feedback among an individual's facts names.
pub(super) fn close(subject: &Subject, core: &mut Core, steps: &mut Vec<Step>) {
    let Some(facts) = subject.facts() else { return };
    for fact in facts.of(Stream::Feedback) {
        if let Some(event) = fact.event(Stream::Feedback) {
            hear(&subject.key, core, &event, steps);
        }
    }
}

/// Closes the episode that a word of feedback names, if it is the latest word on it.
pub(super) fn hear(key: &SubjectKey, core: &mut Core, event: &Event, steps: &mut Vec<Step>) {
    let (Some(id), Some(verdict)) = (
        event.fields.text(field::warning_id),
        event.fields.text(field::verdict),
    ) else {
        return;
    };
    // Anything else is no verdict; the desk says so aloud.
    if !super::desk::case::VERDICTS.contains(&verdict) {
        return;
    }
    let found = core.episodes.iter().position(|e| {
        e.kind == EpisodeKind::Warning
            && matches!(e.status, Status::Open | Status::Ended | Status::Closed)
            && transition_id(key, &e.rule, e.number) == id
    });
    let word: Latest = (event.occurred_at, event.version, event.record_key());
    let Some(episode) = found.and_then(|at| core.episodes.get_mut(at)) else {
        return;
    };
    if episode.heard.is_some_and(|heard| word <= heard) {
        return;
    }
    episode.heard = Some(word);
    if episode.verdict.as_deref() == Some(verdict) {
        return;
    }
    let rule = Arc::clone(&episode.rule);
    let number = core.next_number(&rule);
    let Some(episode) = found.and_then(|at| core.episodes.get_mut(at)) else {
        return;
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

/// Whether officers found a cluster unfounded.
pub(super) fn is_unfounded(core: &Core, cluster: &Cluster<'_>, of: &Finding) -> bool {
    core.episodes.iter().any(|e| {
        e.verdict.as_deref() == Some(UNFOUNDED)
            && e.rule == of.rule
            && e.group == of.group
            && overlaps(e, cluster, 0)
    })
}

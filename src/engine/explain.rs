//! Why a subject is warned of, or why not, and how far it is from another verdict.
//!
//! Everything here runs the core again over the facts that the subject holds: [`reproduce`] judges every finding of an
//! episode anew, each by the rule set that gives it again, and writes the warning anew, to be held against the stored one byte by byte; [`account`] judges one anchor
//! with all that the rule compared; [`distances`] judges it with supposed facts until the verdict is another one;
//! [`extend`] puts facts back that are past retention and were archived.
//! Nothing is kept: the subject that is looked at stays as it is.
//!
//! bounds   [`SUPPOSED_MAX`] supposed facts a stream
//! errors   what cannot be reproduced says why: a fact past retention, a withdrawn one, a rule no longer in force

mod beyond;
mod distance;

pub use beyond::extend;
pub use distance::{Change, Distance, SUPPOSED_MAX, distances};

use super::event::{Event, RecordKey};
use super::judge::Court;
use super::rule::{Answer, Judgement, Rule, Traced};
use super::sentence::Sentence;
use super::settle::{COMPOSITE, standing};
use super::subject::facts::Facts;
use super::subject::groups::GroupKey;
use super::subject::state::{Check, Finding, Status, Subject};
use super::subject::view::Anchor;
use super::time::{DAY_MS, EventTime, as_of};
use super::warning::{Message, Warning};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What came of writing a stored warning anew.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Reproduction {
    /// Whether every byte is the same.
    pub is_same: bool,
    /// How many findings were judged anew.
    pub findings: usize,
    /// How many of them each rule set gives again, by its hash.
    pub rule_sets: BTreeMap<String, usize>,
    /// Why it is not the same, Chinese; empty if it is.
    pub reasons: Vec<String>,
}

/// Judges the findings behind a standing warning anew and writes it anew; `None` if the subject has no such warning.
///
/// The words are those of the rule set in force, `court`. A finding that it does not give again was made by an older text of
/// the rule: `elders` are asked in their order.
pub fn reproduce(
    court: &Court<'_>,
    elders: &[Court<'_>],
    subject: &Subject,
    warning_id: &str,
) -> Option<Reproduction> {
    let stored = warning(court, subject, warning_id)?;
    let is_mine = |f: &Finding| {
        stored.rule_id == COMPOSITE
            || (f.rule.as_ref() == stored.rule_id
                && f.group.as_ref().map(|g| g.describe()).unwrap_or_default() == stored.group)
    };
    let mut again = subject.clone();
    let core = again.core_mut();
    let mine: Vec<Finding> = core
        .findings
        .iter()
        .filter(|f| is_mine(f))
        .cloned()
        .collect();
    core.findings.retain(|f| !is_mine(f));
    let mut reasons = Vec::new();
    let mut rule_sets: BTreeMap<String, usize> = BTreeMap::new();
    for old in &mine {
        let mut courts = std::iter::once(court).chain(elders);
        match courts.find_map(|court| Some((court, judged(court, &again, old)?))) {
            Some((court, with)) => {
                again = with;
                *rule_sets.entry(court.set.hash().to_owned()).or_default() += 1;
            }
            None => reasons.push(reason(court, elders, (subject, old))),
        }
    }
    let is_retired = stored.rule_id != COMPOSITE && court.set.rule(&stored.rule_id).is_none();
    if mine.is_empty() && is_retired && stored.status != Status::Withdrawn {
        reasons.push(format!(
            "规则 {} 已停用，它的研判随停用而清除，无从重算",
            stored.rule_id
        ));
    }
    let line = warning(court, &again, warning_id);
    let bytes = |w: Warning| Message::Warning(Box::new(w)).to_line();
    let is_same = reasons.is_empty() && line.map(bytes) == Some(bytes(stored));
    if !is_same && reasons.is_empty() {
        reasons.push("重新书写的预警与存储的不同".to_owned());
    }
    reasons.sort();
    reasons.dedup();
    Some(Reproduction {
        is_same,
        findings: mine.len(),
        rule_sets,
        reasons,
    })
}

/// The subject with this finding judged anew; `None` if that comes to something else.
fn judged(court: &Court<'_>, subject: &Subject, old: &Finding) -> Option<Subject> {
    let check = Check {
        rule: Arc::clone(&old.rule),
        group: old.group.clone(),
        anchor: old.anchor,
        at: old.judged_at,
    };
    let mut again = subject.clone();
    court.judge_check(&mut again, &check, &mut Sentence::default());
    let core = again.core_mut();
    let at = core.place_of(&old.rule, old.group.as_ref(), old.anchor);
    (core.findings.get(at.ok()?) == Some(old)).then_some(again)
}

fn warning(court: &Court<'_>, subject: &Subject, id: &str) -> Option<Warning> {
    standing(court, subject).into_iter().find_map(|m| match m {
        Message::Warning(w) if w.warning_id == id => Some(*w),
        Message::Warning(_) | Message::Sanction(_) | Message::Task(_) | Message::Measure(_) => None,
    })
}

fn reason(court: &Court<'_>, elders: &[Court<'_>], (subject, old): (&Subject, &Finding)) -> String {
    let Some(at) = court.set.place(&old.rule) else {
        return format!("规则 {} 已不在规则集中", old.rule);
    };
    if court.suspended.get(at).copied().unwrap_or(false) {
        return format!("规则 {} 因连续出错已暂停", old.rule);
    }
    let held = |key: &RecordKey| subject.facts().is_none_or(|f| f.find(*key).is_some());
    let anchor_held = match old.anchor {
        Anchor::Fact(key) => held(&key),
        Anchor::Day(_) => true,
    };
    if !anchor_held || !old.evidence.iter().all(held) {
        return format!(
            "规则 {} 在 {} 的研判所依据的部分事实已超过保留期",
            old.rule, old.anchor_time
        );
    }
    if old.anchor_time < court.clock.plus_ms(-court.set.scoring().late_ms_max) {
        return format!(
            "规则 {} 在 {} 的研判早于保留期，当时看到的时间窗已不完整",
            old.rule, old.anchor_time
        );
    }
    let tried = if elders.is_empty() {
        String::new()
    } else {
        format!("，所存的另外 {} 个文本也得不出当时的结论", elders.len())
    };
    format!(
        "规则 {} 在 {} 的研判与重算不同：作出研判后规则文本已更换{tried}",
        old.rule, old.anchor_time
    )
}

/// One anchor to be explained.
#[derive(Debug, Clone)]
pub struct Place {
    /// What is judged.
    pub anchor: Anchor,
    /// The group, on collectives.
    pub group: Option<Arc<GroupKey>>,
    /// As of when.
    pub as_of: EventTime,
}

/// The newest anchors of a rule on a subject up to a time: one for an individual, one a group for a collective.
pub fn places(rule: &Rule, subject: &Subject, at: EventTime) -> Vec<Place> {
    let manifest = rule.manifest();
    if !manifest.subjects.contains(&subject.key.kind) {
        return Vec::new();
    }
    if let Some(facts) = subject.facts() {
        let newest = manifest
            .on
            .iter()
            .filter_map(|stream| facts.window(*stream, EventTime::MIN, at).last())
            .max_by_key(|fact| (fact.time, fact.key));
        return newest
            .map(|fact| Place {
                anchor: Anchor::Fact(fact.key),
                group: None,
                as_of: as_of(fact.time, fact.precision),
            })
            .into_iter()
            .collect();
    }
    let super::subject::state::Holdings::Groups(groups) = &subject.holdings else {
        return Vec::new();
    };
    let mut places = Vec::new();
    for (key, series) in groups.in_order() {
        let is_judged = manifest.on.contains(&key.stream)
            && rule
                .feeds(key.stream)
                .next()
                .is_some_and(|f| f.key == key.by);
        let days = series.slice(i32::MIN, at.day());
        if let (true, Some(day)) = (is_judged, days.last()) {
            places.push(Place {
                anchor: Anchor::Day(day.day),
                group: Some(Arc::new(key.clone())),
                as_of: EventTime::from_day(day.day).plus_ms(DAY_MS - 1),
            });
        }
    }
    places
}

fn anchor_event(facts: &Facts, anchor: Anchor) -> Option<Arc<Event>> {
    let Anchor::Fact(key) = anchor else {
        return None;
    };
    let (stream, fact) = facts.find(key)?;
    fact.event(stream).map(Arc::new)
}

/// Judges one anchor with all that the rule compared; `None` if the subject no longer holds it.
pub fn account(rule: &Rule, subject: &Subject, place: &Place) -> Option<Traced> {
    at(subject, place, |judgement| rule.trace(judgement))
}

/// What a line asked of the subject gives; see [`crate::engine::rule::RuleSet::probe`].
pub fn answer(rule: &Rule, subject: &Subject, place: &Place) -> Option<Answer> {
    at(subject, place, |judgement| rule.answer(judgement))
}

fn at<T>(subject: &Subject, place: &Place, ask: impl FnOnce(&Judgement<'_>) -> T) -> Option<T> {
    let view = subject.view(place.group.as_ref())?;
    let event = match subject.facts() {
        Some(facts) => Some(anchor_event(facts, place.anchor)?),
        None => None,
    };
    Some(ask(&Judgement {
        view: &view,
        anchor: place.anchor,
        event: event.as_ref(),
        as_of: place.as_of,
    }))
}

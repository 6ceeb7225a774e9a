//! What is told beside warnings, when it is asked for: what each judgement came to and why, and how each subject stands.
//!
//! A [`Decision`] is a finding that appeared, changed or was dropped, or a rule that failed: with what the rule saw, the records
//! it rests on, the record that brought it about, and what was told because of it; when nothing was, why not ([`Silence`]).
//! A [`SubjectRisk`] is how a subject stands after its findings or warnings changed; the last one says it all. One that says
//! `is_gone` takes the subject back: nothing is held against it any more.
//!
//! shape    flat objects; field order is the order of the structs
//! units    times RFC 3339 +08:00; score 0.00 to 100.00 as of `as_of`, it falls by itself afterwards; points 0 to 100
//! identity SM3 over the place in the stream, the number at that place and the body: the same inputs give the same id and bytes
//! cost     nothing when nothing is asked for; else in proportion to the findings that changed

use super::episode::Transition;
use super::event::{Event, SubjectKey};
use super::hash::sm3_hex;
use super::judge::Court;
use super::rule::RuleStatus;
use super::schema::{Stream, field};
use super::sentence::{RuleFault, Sentence, Shift};
use super::settle::standing_of;
use super::subject::state::{Core, EpisodeKind, Finding, Status, Subject};
use super::subject::view::{Anchor, Level, Observation};
use super::time::date_of_day;
use super::warning::{Message, evidence_of, hundredths, transition_id};
use super::work::Outputs;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Every judgement that changed something.
    pub decisions: bool,
    /// How subjects stand.
    pub risks: bool,
}

/// What became of a rule's finding on an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The rule says something where it said nothing.
    Found,
    /// It says something else, or rests on other records.
    Changed,
    /// It says nothing any more.
    Dropped,
    /// It failed; what it had said stays.
    Failed,
}

/// Why a finding told nobody anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// The rule is on trial.
    Shadow,
    /// A rule that is new in service was taken over the past.
    Past,
    /// The rule gives points without a warning.
    PointsOnly,
    /// The facts were too old when they came.
    TooLate,
    /// What was told of the rule before holds as it was told.
    AsTold,
}

/// A message that a judgement had part in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Told {
    /// Its `id` in the topic of warnings or of sanctions.
    pub id: String,
    /// `warning` or `sanction`.
    pub kind: String,
    /// What it tells.
    pub transition: Transition,
}

/// What one judgement came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Decision {
    /// The same for every copy.
    pub id: String,
    /// What became of the finding.
    pub change: Change,
    /// `enterprise:9132…`.
    pub subject: String,
    /// What part of a collective it is about.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub group: String,
    /// The rule's id.
    pub rule_id: String,
    /// The rule's name.
    pub rule_name: String,
    /// `active` or `shadow`.
    pub rule_status: String,
    /// What was judged: a record, `source/record id@version`, or a day; absent when the record is gone and not the cause.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub anchor: String,
    /// The record that brought it about; absent when time did, or a change of the rules.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub cause: String,
    /// As of when it was judged; absent of a rule that failed.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub judged_as_of: String,
    /// Logical time of the judgement.
    pub generated_at: String,
    /// The level, of a warning.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level: Option<Level>,
    /// Risk points.
    pub points: u8,
    /// What the rule says; of a dropped finding, what it had said.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub message: String,
    /// Measures that it proposes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub measures: Vec<String>,
    /// What the rule saw.
    pub observed: Vec<Observation>,
    /// The records it rests on, of those that still stand.
    pub evidence: Vec<String>,
    /// Messages that came of it.
    pub told: Vec<Told>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub silence: Option<Silence>,
    /// How the rule failed, with line and column.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub failure: String,
    /// The hash of the rule set that judged.
    pub rule_set: String,
}

/// A warning or sanction proposal that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Open {
    /// `warning_id` or `sanction_id` of its messages.
    pub id: String,
    /// `warning` or `sanction`.
    pub kind: String,
    /// The rule's id.
    pub rule_id: String,
    /// What part of a collective it is about.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub group: String,
    /// The level; absent of a sanction.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level: Option<Level>,
    /// One Chinese sentence.
    pub message: String,
    /// Since when, logical time.
    pub since: String,
}

/// How a subject stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SubjectRisk {
    /// The same for every copy.
    pub id: String,
    /// `enterprise:9132…`.
    pub subject: String,
    /// Nothing is held against it any more. In a topic that is a message without a value.
    #[serde(skip_serializing_if = "core::ops::Not::not", default)]
    pub is_gone: bool,
    /// The subject's name, if one is known.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub subject_name: String,
    /// The score as of `as_of`.
    pub score: f64,
    /// The level of the score; absent below 蓝.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level: Option<Level>,
    /// The credit class that the register gave last.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub credit_class: String,
    /// Findings that are held against it.
    pub findings: u32,
    /// Its open warnings and sanction proposals, oldest first.
    pub open: Vec<Open>,
    /// Logical time.
    pub as_of: String,
    /// The hash of the rule set that judged.
    pub rule_set: String,
}

/// One of the two.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// What one judgement came to.
    Decision(Box<Decision>),
    /// How the subject stands.
    Risk(Box<SubjectRisk>),
}

/// Something told beside messages, at its place among all that leave.
#[derive(Debug, Clone, PartialEq)]
pub struct Remark {
    /// The place in the stream.
    pub seq: u64,
    /// Whether it is about a collective; those come after individuals.
    pub is_collective: bool,
    /// Whom it is about.
    pub subject: Arc<SubjectKey>,
    /// What is told.
    pub said: Said,
}

impl Remark {
    /// Its id.
    pub fn id(&self) -> &str {
        match &self.said {
            Said::Decision(decision) => &decision.id,
            Said::Risk(risk) => &risk.id,
        }
    }

    /// One JSON line without its end.
    pub fn to_line(&self) -> Vec<u8> {
        match &self.said {
            Said::Decision(decision) => serde_json::to_vec(decision),
            Said::Risk(risk) => serde_json::to_vec(risk),
        }
        .unwrap_or_default()
    }

    fn set_id(&mut self, number: u64) {
        let body = self.to_line();
        let place = format!("{}/{number}", self.seq);
        let id = sm3_hex(&[place.as_bytes(), &body]);
        match &mut self.said {
            Said::Decision(decision) => decision.id = id,
            Said::Risk(risk) => risk.id = id,
        }
    }
}

/// Puts remarks of several shards into one order and gives them their ids.
pub(super) fn arrange(remarks: &mut [Remark]) {
    // Stable: what is said of one subject at one place stays in its order.
    remarks.sort_by(|a, b| {
        (a.seq, a.is_collective)
            .cmp(&(b.seq, b.is_collective))
            .then_with(|| a.subject.cmp(&b.subject))
    });
    let same = |a: &Remark, b: &Remark| (a.seq, &a.subject) == (b.seq, &b.subject);
    for run in remarks.chunk_by_mut(same) {
        for (number, remark) in (0..).zip(run) {
            remark.set_id(number);
        }
    }
}

/// Whether anything is held against a subject.
pub(super) fn is_known(subject: &Subject) -> bool {
    subject.core.as_ref().is_some_and(|core| {
        !core.findings.is_empty() || core.episodes.iter().any(|e| e.status == Status::Open)
    })
}

/// What was settled of a subject at a place.
pub(super) struct Settled<'s> {
    /// The place in the stream.
    pub seq: u64,
    /// What was judged.
    pub sentence: &'s Sentence,
    /// What is told of it.
    pub messages: &'s [Message],
    /// The record that brought it about.
    pub cause: Option<&'s Event>,
    /// Whether anything was held against the subject before.
    pub was_known: bool,
}

/// Tells beside messages what was asked for.
pub(super) fn remark(
    court: &Court<'_>,
    subject: &Subject,
    settled: &Settled<'_>,
    out: &mut Outputs,
) {
    let mut say = |said| {
        out.remarks.push(Remark {
            seq: settled.seq,
            is_collective: subject.key.kind.is_collective(),
            subject: Arc::clone(&subject.key),
            said,
        });
    };
    if court.asked.decisions {
        for shift in &settled.sentence.shifts {
            if let Some(decision) = decision(court, subject, settled, shift) {
                say(Said::Decision(Box::new(decision)));
            }
        }
        for fault in &settled.sentence.faults {
            if let Some(decision) = failed(court, subject, settled, fault) {
                say(Said::Decision(Box::new(decision)));
            }
        }
    }
    if court.asked.risks {
        let is_known = is_known(subject);
        let is_moved = !settled.sentence.shifts.is_empty() || !settled.messages.is_empty();
        if is_known && is_moved || settled.was_known && !is_known {
            say(Said::Risk(Box::new(risk(court, subject, is_known))));
        }
    }
}

fn blank(court: &Court<'_>, subject: &Subject, rule: usize) -> Option<Decision> {
    let manifest = court.set.rules().get(rule)?.manifest();
    Some(Decision {
        id: String::new(),
        change: Change::Failed,
        subject: subject.key.to_string(),
        group: String::new(),
        rule_id: manifest.id.to_string(),
        rule_name: manifest.name.to_string(),
        rule_status: manifest.status.name().to_owned(),
        anchor: String::new(),
        cause: String::new(),
        judged_as_of: String::new(),
        generated_at: court.clock.rfc3339(),
        level: None,
        points: 0,
        message: String::new(),
        measures: Vec::new(),
        observed: Vec::new(),
        evidence: Vec::new(),
        told: Vec::new(),
        silence: None,
        failure: String::new(),
        rule_set: court.set.hash().to_owned(),
    })
}

fn failed(
    court: &Court<'_>,
    subject: &Subject,
    settled: &Settled<'_>,
    fault: &RuleFault,
) -> Option<Decision> {
    Some(Decision {
        anchor: anchor(subject, fault.anchor, settled.cause),
        cause: settled.cause.map(Event::id).unwrap_or_default(),
        failure: fault.message.clone(),
        ..blank(court, subject, fault.rule)?
    })
}

fn decision(
    court: &Court<'_>,
    subject: &Subject,
    settled: &Settled<'_>,
    shift: &Shift,
) -> Option<Decision> {
    let (change, finding) = match (&shift.old, &shift.new) {
        (None, Some(new)) => (Change::Found, new),
        (Some(_), Some(new)) => (Change::Changed, new),
        (Some(old), None) => (Change::Dropped, old),
        (None, None) => return None,
    };
    let status = court.set.rules().get(shift.rule)?.manifest().status;
    let group = shift.group.as_ref().map(|g| g.describe());
    let group = group.unwrap_or_default();
    let told = told(settled.messages, &finding.rule, &group);
    let (warning, signal, sanction) = (&finding.warning, &finding.signal, &finding.sanction);
    let points = warning.as_ref().map(|w| w.points);
    let messages = [
        warning.as_ref().map(|w| &w.message),
        signal.as_ref().map(|s| &s.message),
        sanction.as_ref().map(|s| &s.message),
    ];
    let measures = sanction.iter().flat_map(|s| s.measures.iter());
    Some(Decision {
        change,
        group,
        anchor: anchor(subject, finding.anchor, settled.cause),
        cause: settled.cause.map(Event::id).unwrap_or_default(),
        judged_as_of: finding.judged_at.rfc3339(),
        level: warning.as_ref().map(|w| w.level),
        points: points.or(signal.as_ref().map(|s| s.points)).unwrap_or(0),
        message: messages
            .into_iter()
            .flatten()
            .next()
            .map(ToString::to_string)
            .unwrap_or_default(),
        measures: measures.map(ToString::to_string).collect(),
        observed: finding.observed.to_vec(),
        evidence: evidence_of(subject, finding),
        silence: told
            .is_empty()
            .then(|| silence(court, subject.core.as_deref(), status, finding)),
        told,
        ..blank(court, subject, shift.rule)?
    })
}

fn told(messages: &[Message], rule: &str, group: &str) -> Vec<Told> {
    let told = |message: &Message| {
        let (kind, transition) = match message {
            Message::Warning(w) if w.rule_id == rule && w.group == group => {
                ("warning", w.transition)
            }
            Message::Sanction(s) if s.rule_id == rule => ("sanction", s.transition),
            Message::Warning(_) | Message::Sanction(_) | Message::Task(_) | Message::Measure(_) => {
                return None;
            }
        };
        Some(Told {
            id: message.id().to_owned(),
            kind: kind.to_owned(),
            transition,
        })
    };
    messages.iter().filter_map(told).collect()
}

fn silence(
    court: &Court<'_>,
    core: Option<&Core>,
    status: RuleStatus,
    finding: &Finding,
) -> Silence {
    let is_muted = |core: &Core| {
        core.episodes.iter().any(|e| {
            e.status == Status::Muted
                && e.rule == finding.rule
                && e.group == finding.group
                && (e.first_at..=e.last_at).contains(&finding.since)
        })
    };
    if status == RuleStatus::Shadow {
        Silence::Shadow
    } else if court.is_filling {
        Silence::Past
    } else if finding.warning.is_none() && finding.sanction.is_none() {
        Silence::PointsOnly
    } else if core.is_some_and(is_muted) {
        Silence::TooLate
    } else {
        Silence::AsTold
    }
}

fn anchor(subject: &Subject, anchor: Anchor, cause: Option<&Event>) -> String {
    match anchor {
        Anchor::Day(day) => date_of_day(day).to_string(),
        Anchor::Fact(key) => {
            let cause = cause.filter(|event| event.record_key() == key);
            let kept = || {
                let (stream, fact) = subject.facts()?.find(key)?;
                fact.event(stream).map(|event| event.id())
            };
            cause.map(Event::id).or_else(kept).unwrap_or_default()
        }
    }
}

fn risk(court: &Court<'_>, subject: &Subject, is_known: bool) -> SubjectRisk {
    let empty = Core::default();
    let core = subject.core.as_deref().unwrap_or(&empty);
    let (score, level) = if is_known {
        standing_of(court, core)
    } else {
        (0, None)
    };
    let named = core
        .episodes
        .iter()
        .rev()
        .find(|e| !e.told.name.is_empty())
        .filter(|_| is_known);
    let open = core.episodes.iter().filter(|e| e.status == Status::Open);
    SubjectRisk {
        id: String::new(),
        subject: subject.key.to_string(),
        is_gone: !is_known,
        subject_name: named.map(|e| e.told.name.to_string()).unwrap_or_default(),
        score: hundredths(score),
        level,
        credit_class: if is_known {
            credit_class(subject)
        } else {
            String::new()
        },
        findings: u32::try_from(core.findings.len()).unwrap_or(u32::MAX),
        open: open
            .map(|e| Open {
                id: transition_id(&subject.key, &e.rule, e.number),
                kind: match e.kind {
                    EpisodeKind::Warning => "warning",
                    EpisodeKind::Sanction => "sanction",
                }
                .to_owned(),
                rule_id: e.rule.to_string(),
                group: e.group.as_ref().map(|g| g.describe()).unwrap_or_default(),
                level: (e.kind == EpisodeKind::Warning).then_some(e.level),
                message: e.told.message.to_string(),
                since: e.opened_at.rfc3339(),
            })
            .collect(),
        as_of: court.clock.rfc3339(),
        rule_set: court.set.hash().to_owned(),
    }
}

/// The class in the newest entry of the register that names one.
fn credit_class(subject: &Subject) -> String {
    let entries = subject
        .facts()
        .map_or(&[][..], |facts| facts.of(Stream::RegistryChange));
    let class = |fact: &super::subject::facts::Fact| {
        let event = fact.event(Stream::RegistryChange)?;
        let class = event.fields.text(field::credit_class)?;
        (!class.is_empty()).then(|| class.to_owned())
    };
    entries.iter().rev().find_map(class).unwrap_or_default()
}

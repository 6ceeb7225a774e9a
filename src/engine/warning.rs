//! What leaves: warnings and joint-sanction proposals as JSON, the same bytes for the same facts.
//!
//! One line is one transition of an episode. `id` is SM3 over (subject, rule, transition number) and so the same
//! wherever it is computed; `warning_id` is the id of the episode's opening transition and ties its lines together.
//! Everything that a reader needs to contest it is inside: evidence by record, the values that the rule saw, the legal
//! basis, the rule set's hash. All times are event time or logical time, never a machine's clock.
//!
//! shape    a flat object; field order is the order of this struct
//! units    times RFC 3339 +08:00; score 0.00 to 100.00; points 0 to 100
//! source   fields of the national `riskWarning` message are a subset; the exchange adapter picks them

use super::calendar::Calendar;
use super::desk::task::{Measure, Task};
use super::episode::{Step, Transition};
use super::event::{Event, RecordKey, SubjectKey};
use super::hash::sm3_hex;
use super::rule::{Manifest, RuleSet};
use super::schema::field;
use super::subject::state::{EpisodeKind, Finding, Holdings, Status, Subject, Told};
use super::subject::view::{Anchor, Level, Observation};
use super::time::{EventTime, as_of};
use serde::{Deserialize, Serialize};

/// A warning, as it leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Warning {
    /// SM3 of (subject, rule, transition number), 64 hex digits.
    pub id: String,
    /// The id of the episode's opening transition.
    pub warning_id: String,
    /// What happened to the episode.
    pub transition: Transition,
    /// The number of this transition.
    pub transition_number: u32,
    /// Where the episode stands after it.
    pub status: Status,
    /// How often it was revised.
    pub revision: u32,
    /// `enterprise:9132…`.
    pub subject: String,
    /// The subject's name, if one is known.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub subject_name: String,
    /// What part of a collective it is about: `industry=H,problem_type=食品安全`.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub group: String,
    /// The rule's id.
    pub rule_id: String,
    /// The rule's name.
    pub rule_name: String,
    /// 红, 橙, 黄, 蓝.
    pub level: Level,
    /// P0 to P3.
    pub level_code: String,
    /// The level before, when it changed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous_level: Option<Level>,
    /// One Chinese sentence.
    pub message: String,
    /// Why this transition, when the message does not say it.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub reason: String,
    /// Risk points of the rule.
    pub points: u8,
    /// The subject's score after it, 0 to 100.
    pub score: f64,
    /// When the facts began.
    pub first_event_at: String,
    /// When the newest fact happened.
    pub last_event_at: String,
    /// Logical time of this transition.
    pub generated_at: String,
    /// Whether the newest fact arrived more than a day after it had happened.
    pub is_late: bool,
    /// GB/T 2260 code.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub region: String,
    /// The department that acted last.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub department: String,
    /// The domain of supervision (监管领域) of the fact that the verdict is about, if it names one.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub domain: String,
    /// The catalogue item (监管事项目录编码, 14 digits) of that fact, if it names one.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub item_code: String,
    /// How many findings it rests on.
    pub findings: u32,
    /// The records it rests on: `source/record id@version`.
    pub evidence: Vec<String>,
    /// What the rule saw.
    pub observed: Vec<Observation>,
    /// Laws and articles.
    pub basis: Vec<String>,
    /// What officers might do.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub suggest: String,
    /// Until when to act; absent when the episode is over.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub due: Option<Due>,
    /// The hash of the rule set that judged.
    pub rule_set: String,
}

/// Until when officers have to act, by the published calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Due {
    /// To claim it.
    pub claim_at: String,
    /// To verify it.
    pub verify_at: String,
    /// To feed back.
    pub feedback_at: String,
}

/// A proposal of joint measures, as it leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Sanction {
    /// SM3 of (subject, rule, transition number).
    pub id: String,
    /// The id of the opening transition.
    pub sanction_id: String,
    /// `raised` proposes, `withdrawn` and `ended` lift.
    pub transition: Transition,
    /// The number of this transition.
    pub transition_number: u32,
    /// `proposed` until an officer confirms; `lifted` when its ground is gone or its time is over.
    pub status: String,
    /// The subject.
    pub subject: String,
    /// The subject's name.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub subject_name: String,
    /// The rule's id.
    pub rule_id: String,
    /// The rule's name.
    pub rule_name: String,
    /// Measures of `rules/measures.toml`.
    pub measures: Vec<String>,
    /// The departments asked.
    pub partners: Vec<String>,
    /// One Chinese sentence.
    pub message: String,
    /// Why it is lifted.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub lift_reason: String,
    /// From when.
    pub effective_from: String,
    /// Until when; absent: until it is lifted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effective_to: Option<String>,
    /// An officer has to confirm it, always.
    pub needs_review: bool,
    /// Logical time of this transition.
    pub generated_at: String,
    /// The records it rests on.
    pub evidence: Vec<String>,
    /// Laws and articles.
    pub basis: Vec<String>,
    /// The hash of the rule set that judged.
    pub rule_set: String,
}

/// One of the four.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A warning.
    Warning(Box<Warning>),
    /// A sanction proposal.
    Sanction(Box<Sanction>),
    /// A step of a case.
    Task(Box<Task>),
    /// An order to a department.
    Measure(Box<Measure>),
}

impl Message {
    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Warning(warning) => &warning.id,
            Self::Sanction(sanction) => &sanction.id,
            Self::Task(task) => &task.id,
            Self::Measure(measure) => &measure.id,
        }
    }

    /// Whom it concerns.
    pub fn subject(&self) -> &str {
        match self {
            Self::Warning(warning) => &warning.subject,
            Self::Sanction(sanction) => &sanction.subject,
            Self::Task(task) => &task.subject,
            Self::Measure(measure) => &measure.subject,
        }
    }

    /// One JSON line without its end.
    pub fn to_line(&self) -> Vec<u8> {
        match self {
            Self::Warning(warning) => serde_json::to_vec(warning),
            Self::Sanction(sanction) => serde_json::to_vec(sanction),
            Self::Task(task) => serde_json::to_vec(task),
            Self::Measure(measure) => serde_json::to_vec(measure),
        }
        .unwrap_or_default()
    }
}

/// The id of a transition.
pub fn transition_id(subject: &SubjectKey, rule: &str, number: u32) -> String {
    sm3_hex(&[
        subject.to_string().as_bytes(),
        rule.as_bytes(),
        number.to_string().as_bytes(),
    ])
}

/// What putting a step into words needs.
#[derive(Debug)]
pub struct Clerk<'a> {
    /// The rules.
    pub set: &'a RuleSet,
    /// The rule that the step is of.
    pub manifest: &'a Manifest,
    /// The subject, for the evidence.
    pub subject: &'a Subject,
    /// The subject's score, hundredths.
    pub score: i64,
    /// The logical clock.
    pub clock: EventTime,
}

impl Clerk<'_> {
    /// Puts a step into words.
    pub fn write(&self, step: &Step) -> Message {
        match step.episode.kind {
            EpisodeKind::Warning => Message::Warning(Box::new(self.warning(step))),
            EpisodeKind::Sanction => Message::Sanction(Box::new(self.sanction(step))),
        }
    }

    fn warning(&self, step: &Step) -> Warning {
        let (episode, key) = (&step.episode, &self.subject.key);
        let call = step.lead.as_ref().and_then(|f| f.warning.as_ref());
        let suggest = call
            .and_then(|c| c.suggest.as_deref())
            .or(self.manifest.suggest.as_deref());
        let is_on = episode.status == Status::Open;
        let (domain, item_code) = self.matter(step.lead.as_ref());
        Warning {
            id: transition_id(key, &episode.rule, step.number),
            warning_id: transition_id(key, &episode.rule, episode.number),
            transition: step.transition,
            transition_number: step.number,
            status: episode.status,
            revision: episode.revision,
            subject: key.to_string(),
            subject_name: episode.told.name.to_string(),
            group: episode
                .group
                .as_ref()
                .map(|g| g.describe())
                .unwrap_or_default(),
            rule_id: episode.rule.to_string(),
            rule_name: self.manifest.name.to_string(),
            level: episode.level,
            level_code: episode.level.code().to_owned(),
            previous_level: step.previous_level,
            message: episode.told.message.to_string(),
            reason: step.why.to_owned(),
            points: call.map_or(0, |c| c.points),
            score: hundredths(self.score),
            first_event_at: episode.first_at.rfc3339(),
            last_event_at: episode.last_at.rfc3339(),
            generated_at: self.clock.rfc3339(),
            is_late: episode.last_at.plus_days(1) < self.clock
                && step.transition != Transition::Ended,
            region: episode.told.region.to_string(),
            department: episode.told.department.to_string(),
            domain,
            item_code,
            findings: step.findings,
            evidence: self.evidence(step.lead.as_ref()),
            observed: step
                .lead
                .as_ref()
                .map(|f| f.observed.to_vec())
                .unwrap_or_default(),
            basis: self
                .manifest
                .basis
                .iter()
                .map(ToString::to_string)
                .collect(),
            suggest: if is_on {
                suggest.unwrap_or_default().to_owned()
            } else {
                String::new()
            },
            due: if is_on {
                Some(self.due(episode.level, episode.opened_at))
            } else {
                None
            },
            rule_set: self.set.hash().to_owned(),
        }
    }

    fn sanction(&self, step: &Step) -> Sanction {
        let (episode, key) = (&step.episode, &self.subject.key);
        let call = step.lead.as_ref().and_then(|f| f.sanction.as_ref());
        let list = |list: Option<&[Box<str>]>| -> Vec<String> {
            list.unwrap_or_default()
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        let is_on = episode.status == Status::Open;
        Sanction {
            id: transition_id(key, &episode.rule, step.number),
            sanction_id: transition_id(key, &episode.rule, episode.number),
            transition: step.transition,
            transition_number: step.number,
            status: if is_on { "proposed" } else { "lifted" }.to_owned(),
            subject: key.to_string(),
            subject_name: episode.told.name.to_string(),
            rule_id: episode.rule.to_string(),
            rule_name: self.manifest.name.to_string(),
            measures: list(call.map(|c| c.measures.as_ref())),
            partners: list(call.map(|c| c.partners.as_ref())),
            message: episode.told.message.to_string(),
            lift_reason: step.why.to_owned(),
            effective_from: episode.first_at.rfc3339(),
            effective_to: (episode.ends_at != EventTime::MAX).then(|| episode.ends_at.rfc3339()),
            needs_review: true,
            generated_at: self.clock.rfc3339(),
            evidence: self.evidence(step.lead.as_ref()),
            basis: self
                .manifest
                .basis
                .iter()
                .map(ToString::to_string)
                .collect(),
            rule_set: self.set.hash().to_owned(),
        }
    }

    /// Domain and catalogue item of the fact that the verdict is about.
    fn matter(&self, lead: Option<&Finding>) -> (String, String) {
        let event = lead.and_then(|finding| anchor_event(self.subject, finding));
        let text = |of| {
            let told = event.as_ref().and_then(|event| event.fields.text(of));
            told.unwrap_or_default().to_owned()
        };
        (text(field::domain), text(field::item_code))
    }

    fn due(&self, level: Level, from: EventTime) -> Due {
        let deadline = self.set.scoring().deadline(level);
        let calendar = self.set.calendar();
        let claim_at = if 0 < deadline.claim_hours {
            from.plus_ms(deadline.claim_hours * super::time::HOUR_MS)
                .rfc3339()
        } else {
            working(calendar, from, deadline.claim_working_days)
        };
        Due {
            claim_at,
            verify_at: working(calendar, from, deadline.verify_working_days),
            feedback_at: working(calendar, from, deadline.feedback_working_days),
        }
    }

    fn evidence(&self, lead: Option<&Finding>) -> Vec<String> {
        lead.map(|lead| evidence_of(self.subject, lead))
            .unwrap_or_default()
    }
}

/// The records that a finding rests on and that still stand: `source/record id@version`, oldest first.
pub(super) fn evidence_of(subject: &Subject, lead: &Finding) -> Vec<String> {
    match (&subject.holdings, lead.anchor, &lead.group) {
        (Holdings::Facts(facts), Anchor::Fact(anchor), _) => {
            let mut keys: Vec<RecordKey> = lead.evidence.to_vec();
            if !keys.contains(&anchor) {
                keys.push(anchor);
            }
            let mut known: Vec<(EventTime, String)> = keys
                .into_iter()
                .filter_map(|key| facts.find(key))
                .filter_map(|(stream, fact)| fact.event(stream))
                .map(|event| (event.occurred_at, event.id()))
                .collect();
            known.sort_unstable();
            known.into_iter().map(|(_, id)| id).collect()
        }
        (Holdings::Groups(groups), Anchor::Day(day), Some(group)) => groups
            .get(group)
            .map(|series| series.recent(day).map(|r| r.id.to_string()).collect())
            .unwrap_or_default(),
        (Holdings::Facts(_) | Holdings::Groups(_), Anchor::Fact(_) | Anchor::Day(_), _) => {
            Vec::new()
        }
    }
}

/// What an episode tells of its place, taken from the finding's anchor.
pub fn told(subject: &Subject, finding: &Finding) -> Told {
    let message = match (&finding.warning, &finding.sanction) {
        (Some(warning), _) => warning.message.clone(),
        (None, Some(sanction)) => sanction.message.clone(),
        (None, None) => Box::from(""),
    };
    told_at(subject, finding, message)
}

/// As [`told`], of the sanction call.
pub fn told_sanction(subject: &Subject, finding: &Finding) -> Told {
    let message = finding
        .sanction
        .as_ref()
        .map(|s| s.message.clone())
        .unwrap_or_default();
    told_at(subject, finding, message)
}

/// The fact that a finding is about, if it is about one.
fn anchor_event(subject: &Subject, finding: &Finding) -> Option<Event> {
    match (finding.anchor, subject.facts()) {
        (Anchor::Fact(key), Some(facts)) => facts
            .find(key)
            .and_then(|(stream, fact)| fact.event(stream)),
        (Anchor::Fact(_) | Anchor::Day(_), _) => None,
    }
}

fn told_at(subject: &Subject, finding: &Finding, message: Box<str>) -> Told {
    let event = anchor_event(subject, finding);
    let text = |f| {
        event
            .as_ref()
            .and_then(|e| e.fields.text(f))
            .unwrap_or_default()
            .into()
    };
    let mut told = Told {
        message,
        name: text(field::name),
        region: text(field::region),
        department: text(field::department),
    };
    match subject.key.kind {
        super::event::SubjectKind::Region => told.region = subject.key.key.as_str().into(),
        super::event::SubjectKind::Department => told.department = subject.key.key.as_str().into(),
        _ => {}
    }
    told
}

fn working(calendar: &Calendar, from: EventTime, days: i64) -> String {
    match calendar.add_working_days(from, days) {
        // Until the end of that day.
        Ok(day) => as_of(day, super::time::Precision::Day).rfc3339(),
        Err(unpublished) => unpublished.to_string(),
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "at most 10,000"
)]
pub(super) fn hundredths(score: i64) -> f64 {
    score as f64 / 100.0
}

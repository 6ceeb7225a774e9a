//! The state of one subject, as a value that can be stored and read back.
//!
//! A [`Subject`] is facts (or counts) and, once a rule has said something, a [`Core`]: findings, episodes, checks to
//! come and the transition numbers. It is a fold over inputs; [`Subject::to_bytes`] gives an image of it and
//! [`Subject::from_bytes`] the same subject again.
//!
//! shape    most firms have no core; then a subject is its facts and about 100 bytes
//! bounds   [`FINDINGS_MAX`] findings a rule (or group), the oldest go first; [`EPISODES_MAX`] episodes a rule
//! errors   an image that cannot be decoded is a damaged store and named as such by the caller

use super::facts::Facts;
use super::groups::{GroupKey, Groups};
use super::view::{Anchor, Level, Observation, SanctionCall, SignalCall, View, WarnCall};
use crate::engine::event::{RecordKey, SubjectKey};
use crate::engine::time::EventTime;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most findings that one rule keeps on one subject (or one group of a collective).
pub const FINDINGS_MAX: usize = 64;
/// The most episodes that one rule keeps on one subject (or one group of a collective).
pub const EPISODES_MAX: usize = 16;

/// What a rule said of one anchor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: Arc<str>,
    /// The group, on collectives.
    pub group: Option<Arc<GroupKey>>,
    /// What was judged.
    pub anchor: Anchor,
    /// When the anchor happened.
    pub anchor_time: EventTime,
    /// Since when the rule says so: the anchor's as-of time, or the first check that found it.
    pub since: EventTime,
    /// As of when it was judged last.
    pub judged_at: EventTime,
    /// When the rule wants to look again.
    pub next_at: Option<EventTime>,
    /// The warning, if the rule raised one.
    pub warning: Option<WarnCall>,
    /// The sign, if the rule gave one.
    pub signal: Option<SignalCall>,
    /// The sanction proposal, if the rule made one.
    pub sanction: Option<SanctionCall>,
    /// The facts it rests on beside the anchor.
    pub evidence: Box<[RecordKey]>,
    /// What the rule saw.
    pub observed: Box<[Observation]>,
}

/// A judgement that a rule asked for at a later time, still to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The rule's id.
    pub rule: Arc<str>,
    /// The group, on collectives.
    pub group: Option<Arc<GroupKey>>,
    /// What is to be judged.
    pub anchor: Anchor,
    /// When.
    pub at: EventTime,
}

/// What an episode is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EpisodeKind {
    /// A warning.
    Warning,
    /// A joint-sanction proposal.
    Sanction,
}

/// Where an episode stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It holds.
    Open,
    /// Its time is over; nothing was wrong with it.
    Ended,
    /// What it rested on is gone.
    Withdrawn,
    /// It was too old when first seen: recorded, not sent.
    Muted,
    /// Officers gave their verdict.
    Closed,
}

/// One warning or sanction proposal from its first transition to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// The rule's id.
    pub rule: Arc<str>,
    /// The group, on collectives.
    pub group: Option<Arc<GroupKey>>,
    /// What it is about.
    pub kind: EpisodeKind,
    /// The number of its opening transition among those of the rule on the subject.
    pub number: u32,
    /// How often it was revised.
    pub revision: u32,
    /// Where it stands.
    pub status: Status,
    /// The level last told (of a sanction: 红).
    pub level: Level,
    /// The first finding's time.
    pub first_at: EventTime,
    /// The last finding's time.
    pub last_at: EventTime,
    /// When it ends if nothing more happens.
    pub ends_at: EventTime,
    /// How many findings it had when last told.
    pub findings_told: u32,
    /// When it was opened, logical time.
    pub opened_at: EventTime,
    /// What officers found out, once they said so: 属实, 部分属实, 不属实, 无法核实.
    pub verdict: Option<Box<str>>,
    /// Which word of officers that verdict is: later ones take its place, earlier ones do not.
    pub heard: Option<crate::engine::feedback::Latest>,
    /// What was last told of it, needed again when all it rested on is gone.
    pub told: Told,
}

/// The words of an episode that was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The message.
    pub message: Box<str>,
    /// The subject's name.
    pub name: Box<str>,
    /// The region's code.
    pub region: Box<str>,
    /// The department's name.
    pub department: Box<str>,
}

/// What rules made of a subject.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Core {
    /// Findings in the order of (rule, group, anchor).
    pub findings: Vec<Finding>,
    /// Episodes in the order of their opening.
    pub episodes: Vec<Episode>,
    /// Checks to come, in the order of (rule, group, anchor).
    pub checks: Vec<Check>,
    /// The last transition number of each rule.
    pub numbers: Vec<(Arc<str>, u32)>,
}

impl Core {
    /// The next transition number of a rule.
    pub fn next_number(&mut self, rule: &Arc<str>) -> u32 {
        if let Some((_, number)) = self.numbers.iter_mut().find(|(r, _)| r == rule) {
            *number = number.saturating_add(1);
            return *number;
        }
        self.numbers.push((Arc::clone(rule), 1));
        1
    }

    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
            && self.episodes.is_empty()
            && self.checks.is_empty()
            && self.numbers.is_empty()
    }
}

impl Core {
    /// Where the finding of a rule on an anchor is, or belongs.
    pub fn place_of(
        &self,
        rule: &str,
        group: Option<&Arc<GroupKey>>,
        anchor: Anchor,
    ) -> Result<usize, usize> {
        self.findings.binary_search_by(|f| {
            (f.rule.as_ref(), f.group.as_ref(), f.anchor).cmp(&(rule, group, anchor))
        })
    }

    /// Lets the oldest finding of a rule (and group) go when there are more than [`FINDINGS_MAX`].
    pub(in crate::engine) fn limit(&mut self, rule: &str, group: Option<&Arc<GroupKey>>) {
        let of_rule = |f: &Finding| f.rule.as_ref() == rule && f.group.as_ref() == group;
        let mut of: Vec<(EventTime, usize)> = self
            .findings
            .iter()
            .enumerate()
            .filter(|(_, f)| of_rule(f))
            .map(|(at, f)| (f.judged_at, at))
            .collect();
        if of.len() <= FINDINGS_MAX {
            return;
        }
        of.sort_unstable();
        if let Some((_, oldest)) = of.first() {
            self.findings.remove(*oldest);
        }
        let Some((from, _)) = of.get(1).copied() else {
            return;
        };
        self.episodes.retain(|e| {
            e.rule.as_ref() != rule
                || e.group.as_ref() != group
                || e.status == Status::Open
                || from <= e.ends_at
        });
    }
}

/// What a subject keeps of the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holdings {
    /// An individual's facts.
    Facts(Arc<Facts>),
    /// A collective's counts.
    Groups(Arc<Groups>),
}

/// One subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Who it is.
    pub key: Arc<SubjectKey>,
    /// Its facts or counts.
    pub holdings: Holdings,
    /// What the rules made of it.
    pub core: Option<Box<Core>>,
}

impl Subject {
    /// A subject of which nothing is known.
    pub fn new(key: Arc<SubjectKey>) -> Self {
        let holdings = if key.kind.is_collective() {
            Holdings::Groups(Arc::default())
        } else {
            Holdings::Facts(Arc::default())
        };
        Self {
            key,
            holdings,
            core: None,
        }
    }

    /// Its facts; none for a collective.
    pub fn facts(&self) -> Option<&Arc<Facts>> {
        match &self.holdings {
            Holdings::Facts(facts) => Some(facts),
            Holdings::Groups(_) => None,
        }
    }

    /// Its facts, to be changed; none for a collective.
    pub fn facts_mut(&mut self) -> Option<&mut Facts> {
        match &mut self.holdings {
            Holdings::Facts(facts) => Some(Arc::make_mut(facts)),
            Holdings::Groups(_) => None,
        }
    }

    /// Its counts, to be changed; none for an individual.
    pub fn groups_mut(&mut self) -> Option<&mut Groups> {
        match &mut self.holdings {
            Holdings::Groups(groups) => Some(Arc::make_mut(groups)),
            Holdings::Facts(_) => None,
        }
    }

    /// The subject as a rule sees it; `group` is what is judged on a collective.
    pub fn view(&self, group: Option<&Arc<GroupKey>>) -> Option<View> {
        match (&self.holdings, group) {
            (Holdings::Facts(facts), _) => Some(View::Individual {
                key: Arc::clone(&self.key),
                facts: Arc::clone(facts),
            }),
            (Holdings::Groups(groups), Some(group)) => Some(View::Collective {
                key: Arc::clone(&self.key),
                groups: Arc::clone(groups),
                group: Arc::clone(group),
            }),
            (Holdings::Groups(_), None) => None,
        }
    }

    /// Its core, made when first needed.
    pub fn core_mut(&mut self) -> &mut Core {
        self.core.get_or_insert_default()
    }

    /// All of it as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// The subject that gave these bytes; `None` if no subject did.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

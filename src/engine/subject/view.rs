//! What a rule may look at: one subject, its facts or its counts, as of the judging time.

use super::facts::Facts;
use super::groups::{GroupKey, Groups};
use crate::engine::event::{RecordKey, SubjectKey};
use crate::engine::time::EventTime;
use std::sync::Arc;

/// The subject as a rule sees it. Cloning it copies pointers.
#[derive(Debug, Clone)]
pub enum View {
    /// A firm, licence, place …: it has facts.
    Individual {
        /// Who it is.
        key: Arc<SubjectKey>,
        /// Its live facts.
        facts: Arc<Facts>,
    },
    /// A region, industry or department: it has counts.
    Collective {
        /// Who it is.
        key: Arc<SubjectKey>,
        /// Its counts.
        groups: Arc<Groups>,
        /// The group that is judged: its stream is the anchor's; other streams are looked up with the same `by` values.
        group: Arc<GroupKey>,
    },
}

impl View {
    /// Who it is.
    pub fn key(&self) -> &SubjectKey {
        match self {
            Self::Individual { key, .. } | Self::Collective { key, .. } => key,
        }
    }
}

/// What is judged.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum Anchor {
    /// A fact of an individual.
    Fact(RecordKey),
    /// A day of a collective's group, days since 1970-01-01.
    Day(i32),
}

/// How the warning levels are ordered: a later one is graver.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub enum Level {
    /// 蓝, P3.
    #[serde(rename = "蓝")]
    Blue,
    /// 黄, P2.
    #[serde(rename = "黄")]
    Yellow,
    /// 橙, P1.
    #[serde(rename = "橙")]
    Orange,
    /// 红, P0.
    #[serde(rename = "红")]
    Red,
}

impl Level {
    /// All levels, the gravest last.
    pub const ALL: [Self; 4] = [Self::Blue, Self::Yellow, Self::Orange, Self::Red];

    /// The colour: 红, 橙, 黄, 蓝.
    pub fn title(self) -> &'static str {
        match self {
            Self::Red => "红",
            Self::Orange => "橙",
            Self::Yellow => "黄",
            Self::Blue => "蓝",
        }
    }

    /// The code of the national exchange: P0 to P3.
    pub fn code(self) -> &'static str {
        match self {
            Self::Red => "P0",
            Self::Orange => "P1",
            Self::Yellow => "P2",
            Self::Blue => "P3",
        }
    }

    /// The level of this colour or code.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|level| level.title() == name || level.code() == name)
    }
}

/// What a rule says of one anchor at one judging time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// A warning, if the rule raised one.
    pub warning: Option<WarnCall>,
    /// A sign that is no warning by itself, if the rule gave one.
    pub signal: Option<SignalCall>,
    /// A joint-sanction proposal, if the rule made one.
    pub sanction: Option<SanctionCall>,
    /// When the rule wants to look again, later than the judging time.
    pub check_at: Option<EventTime>,
    /// The values that the rule saw, in the order in which it asked: `count(complaint, 7d)` → `6`; at most
    /// [`OBSERVED_MAX`]. Kept only if the rule said something.
    pub observed: Vec<Observation>,
    /// The facts that the verdict rests on, at most [`EVIDENCE_MAX`], oldest first; without the anchor.
    pub evidence: Vec<RecordKey>,
}

impl Verdict {
    /// Whether the rule said anything.
    pub fn speaks(&self) -> bool {
        self.warning.is_some() || self.signal.is_some() || self.sanction.is_some()
    }
}

/// The most facts that one verdict names.
pub const EVIDENCE_MAX: usize = 50;
/// The most questions to `who` that one verdict keeps.
pub const OBSERVED_MAX: usize = 20;

/// What a rule passed to `warn`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WarnCall {
    /// How grave.
    pub level: Level,
    /// Risk points, 0 to 100.
    pub points: u8,
    /// One Chinese sentence.
    pub message: Box<str>,
    /// What officers might do.
    pub suggest: Option<Box<str>>,
}

/// What a rule passed to `signal`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SignalCall {
    /// Risk points, 0 to 100.
    pub points: u8,
    /// One Chinese sentence.
    pub message: Box<str>,
}

/// What a rule passed to `sanction`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SanctionCall {
    /// Measure codes or names, known in `rules/measures.toml`.
    pub measures: Box<[Box<str>]>,
    /// The departments asked.
    pub partners: Box<[Box<str>]>,
    /// One Chinese sentence.
    pub message: Box<str>,
    /// How long, months.
    pub months: Option<u16>,
    /// Whether an officer must look at it first. Always true in what leaves; kept as the rule wrote it.
    pub review: bool,
}

/// One value that a rule saw.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Observation {
    /// What was asked: `count(complaint, 7d)`.
    pub what: Box<str>,
    /// The answer as text.
    pub value: Box<str>,
}

//! What leaves the desk: the steps of cases, and orders to departments.
//!
//! shape    flat objects; the order of fields is that of the structs
//! units    times RFC 3339 +08:00

use super::act::Act;
use super::case::Due;
use super::{Place, STEPS_MAX};
use crate::engine::event::{Rank, RecordKey};
use crate::engine::record::Prepared;
use crate::engine::time::EventTime;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(($name:ident, $word:literal, $title:literal),)*) => {
        /// What happened to a case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Word { $(#[doc = $title] $name),* }

        impl Word {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word in metrics and messages.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// The Chinese word.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

words! {
    (Dispatched, "dispatched", "派发"),
    (Revised, "revised", "预警更新"),
    (Ended, "ended", "预警到期"),
    (Withdrawn, "withdrawn", "撤销"),
    (Claimed, "claimed", "认领"),
    (Verifying, "verifying", "核查"),
    (Disposing, "disposing", "处置"),
    (FedBack, "fed_back", "反馈"),
    (Closed, "closed", "办结"),
    (Reopened, "reopened", "发回重办"),
    (Returned, "returned", "退回"),
    (Transferred, "transferred", "转办"),
    (Merged, "merged", "合并"),
    (Escalated, "escalated", "升级"),
    (Reminded, "reminded", "催办"),
    (Overdue, "overdue", "超期"),
    (Linked, "linked", "关联记录"),
    (Unlinked, "unlinked", "关联记录已撤销"),
    (DueChanged, "due_changed", "期限重新计算"),
    (Refused, "refused", "动作未予受理"),
    (Proposed, "proposed", "提出惩戒建议"),
    (Confirmed, "confirmed", "确认"),
    (InForce, "in_force", "惩戒生效"),
    (Rejected, "rejected", "不予惩戒"),
    (Received, "received", "签收"),
    (Applied, "applied", "措施落实"),
    (Lifting, "lifting", "启动解除"),
    (Removed, "removed", "措施解除"),
    (Lifted, "lifted", "惩戒解除"),
    (Lapsed, "lapsed", "建议失效"),
    (Halted, "halted", "停用惩戒"),
    (Released, "released", "恢复惩戒"),
    (Opened, "opened", "立为重点事件"),
    (Joined, "joined", "并入重点事件"),
    (Left, "left", "移出重点事件"),
}

/// Which record an officer's act was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its record.
    pub key: RecordKey,
    /// Its version.
    pub rank: Rank,
}

impl Origin {
    /// Of an event.
    pub fn of(record: &Prepared) -> Self {
        Self {
            key: record.key,
            rank: record.rank,
        }
    }
}

/// One step of a case, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its number in the case, from 1.
    pub number: u32,
    /// What happened.
    pub word: Word,
    /// When, logical time.
    pub at: EventTime,
    /// Who; empty: the system.
    pub actor: String,
    /// Why, or what.
    pub why: String,
    /// The record, if an officer did it.
    pub origin: Option<Origin>,
}

/// Adds a step to a course and gives its number. There is always room for what changes something; refusals and reminders
/// beyond [`STEPS_MAX`] steps are let go, and give no number: whoever floods a case does not keep officers and departments
/// from it.
pub(super) fn record(
    steps: &mut Vec<Step>,
    place: Place<'_>,
    word: Word,
    (act, why): (Option<&Act>, &str),
) -> Option<u32> {
    let is_idle = matches!(word, Word::Refused | Word::Reminded);
    if is_idle && STEPS_MAX <= steps.len() {
        return None;
    }
    let number = steps.last().map_or(0, |step| step.number).saturating_add(1);
    steps.push(Step {
        number,
        word,
        at: place.clock,
        actor: act.map(|act| act.actor.clone()).unwrap_or_default(),
        why: why.to_owned(),
        origin: act.map(|act| act.origin),
    });
    Some(number)
}

/// A step of a case, as it leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Task {
    /// SM3 of (case, number).
    pub id: String,
    /// The warning's or the sanction's id, `rule:…`, or `event:…`.
    pub case_id: String,
    /// The step's number.
    pub number: u32,
    /// What happened.
    pub step: Word,
    /// The same in Chinese.
    pub step_title: String,
    /// Where the case stands after it.
    pub state: String,
    /// The subject.
    pub subject: String,
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub subject_name: String,
    /// Of a key event: what it is called.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub title: String,
    /// The rule.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub rule_id: String,
    /// The warning's level: 红, 橙, 黄, 蓝.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub level: String,
    /// The department that is to act.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub department: String,
    /// The department above it.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub superior: String,
    /// Who did it; absent: the system.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub actor: String,
    /// As what.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub role: String,
    /// The act's id, as whoever sent it called it.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub act_id: String,
    /// Why, or what.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub why: String,
    /// The record of the act or the linked record.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub record: String,
    /// What officers found out, once they said so.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub verdict: String,
    /// Whether the feedback came in time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on_time: Option<bool>,
    /// What is to be done next and by when.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub due: Option<Due>,
    /// Inspections and penalties found since; of a key event, all that belongs to it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub linked: Vec<String>,
    /// Logical time of the step.
    pub at: String,
}

impl Task {
    /// A step of which only this is known.
    pub fn bare(case: &str, subject: &str, clock: EventTime) -> Self {
        Self {
            id: String::new(),
            case_id: case.to_owned(),
            number: 0,
            step: Word::Refused,
            step_title: Word::Refused.title().to_owned(),
            state: String::new(),
            subject: subject.to_owned(),
            subject_name: String::new(),
            title: String::new(),
            rule_id: String::new(),
            level: String::new(),
            department: String::new(),
            superior: String::new(),
            actor: String::new(),
            role: String::new(),
            act_id: String::new(),
            why: String::new(),
            record: String::new(),
            verdict: String::new(),
            on_time: None,
            due: None,
            linked: Vec::new(),
            at: clock.rfc3339(),
        }
    }
}

/// A measure that a department is asked to take or to lift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OrderedMeasure {
    /// This system's code.
    pub code: String,
    /// The name.
    pub name: String,
    /// What allows it.
    pub basis: String,
    /// The edition of that.
    pub edition: String,
    /// The memorandum under which departments act together.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub memorandum: String,
}

/// An order to one department, as it leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Measure {
    /// SM3 of (sanction, number).
    pub id: String,
    /// The sanction.
    pub sanction_id: String,
    /// The step's number in the sanction.
    pub number: u32,
    /// `impose` or `lift`.
    pub order: String,
    /// Of a lift: the id of the order that it lifts, which the department has received.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub lifts: String,
    /// The department.
    pub department: String,
    /// The subject.
    pub subject: String,
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub subject_name: String,
    /// The rule that proposed it.
    pub rule_id: String,
    /// What to do, or to stop doing.
    pub measures: Vec<OrderedMeasure>,
    /// Why.
    pub reason: String,
    /// The officers who confirmed it.
    pub confirmed_by: Vec<String>,
    /// From when.
    pub effective_from: String,
    /// Until when; absent: until it is lifted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effective_to: Option<String>,
    /// Logical time of the order.
    pub issued_at: String,
}

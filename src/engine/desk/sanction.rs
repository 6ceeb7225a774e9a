//! The life of a joint sanction: proposed, confirmed by an officer (the gravest by two), ordered from each department,
//! received, carried out, and lifted as surely as it was imposed.
//!
//! A proposal is never an act: nothing leaves for a department before an officer has confirmed it. A lift waits behind its
//! order until the department has received the order, so it cannot come first at the far end. Quota and kill switch of a rule
//! hold orders back, never lifts.

use super::act::{Act, ActKind};
use super::brake::{Brake, task};
use super::task::{Measure, OrderedMeasure, Step, Word, record};
use super::{Place, Tray};
use crate::engine::episode::Transition;
use crate::engine::hash::sm3_hex;
use crate::engine::rule::RuleSet;
use crate::engine::time::{EventTime, Precision, as_of};
use crate::engine::warning::Sanction;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a sanction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stand {
    /// It waits for an officer.
    Proposed,
    /// One officer has confirmed it; it waits for a second.
    Halfway,
    /// Departments have their orders.
    InForce,
    /// Departments are told to stop.
    Lifting,
    /// All have stopped.
    Lifted,
    /// An officer said no.
    Rejected,
    /// Its ground went away before anybody confirmed it.
    Lapsed,
}

impl Stand {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Proposed,
        Self::Halfway,
        Self::InForce,
        Self::Lifting,
        Self::Lifted,
        Self::Rejected,
        Self::Lapsed,
    ];

    /// The word in messages and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Halfway => "halfway",
            Self::InForce => "in_force",
            Self::Lifting => "lifting",
            Self::Lifted => "lifted",
            Self::Rejected => "rejected",
            Self::Lapsed => "lapsed",
        }
    }

    /// The Chinese word.
    pub fn title(self) -> &'static str {
        match self {
            Self::Proposed => "待确认",
            Self::Halfway => "待第二人确认",
            Self::InForce => "生效",
            Self::Lifting => "解除中",
            Self::Lifted => "已解除",
            Self::Rejected => "不予惩戒",
            Self::Lapsed => "建议失效",
        }
    }
}

/// What one department has been asked.
#[expect(
    clippy::struct_excessive_bools,
    reason = "a department answers each question on its own, in any order"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The department.
    pub department: String,
    /// Codes of its measures.
    pub codes: Vec<String>,
    /// The id of the order.
    pub order_id: String,
    /// When it was ordered.
    pub ordered_at: EventTime,
    /// Whether it said that it has the order.
    pub is_received: bool,
    /// Whether it said that the order is carried out.
    pub is_applied: bool,
    /// Whether the lift has left.
    pub is_lifted: bool,
    /// Whether it said that it has stopped.
    pub is_removed: bool,
    told: bool,
}

/// A sanction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The sanction's id.
    pub id: String,
    /// Where it stands.
    pub state: Stand,
    /// The rule.
    pub rule: String,
    /// The subject.
    pub subject: String,
    /// Its name.
    pub subject_name: String,
    /// The measures as the rule names them.
    pub measures: Vec<String>,
    /// What the proposal says.
    pub message: String,
    /// Why it is lifted.
    pub lift_reason: String,
    /// From when.
    pub effective_from: String,
    /// Until when.
    pub effective_to: Option<String>,
    /// Whether its ground holds.
    pub is_grounded: bool,
    /// Who confirmed it.
    pub confirmed_by: Vec<String>,
    /// The departments.
    pub lanes: Vec<Lane>,
    /// The course.
    pub steps: Vec<Step>,
    /// When it was over.
    pub over_at: Option<EventTime>,
}

impl Order {
    /// A sanction that is proposed; none for a lift of what is not known.
    pub fn new(sanction: &Sanction) -> Option<Self> {
        (sanction.status == "proposed").then(|| Self {
            id: sanction.sanction_id.clone(),
            state: Stand::Lapsed,
            rule: sanction.rule_id.clone(),
            subject: sanction.subject.clone(),
            subject_name: sanction.subject_name.clone(),
            measures: Vec::new(),
            message: String::new(),
            lift_reason: String::new(),
            effective_from: String::new(),
            effective_to: None,
            is_grounded: false,
            confirmed_by: Vec::new(),
            lanes: Vec::new(),
            steps: Vec::new(),
            over_at: None,
        })
    }

    /// Takes up what became of the proposal.
    pub fn hear(&mut self, place: Place<'_>, sanction: &Sanction, tray: &mut Tray) {
        if sanction.status == "proposed" {
            self.is_grounded = true;
            self.measures.clone_from(&sanction.measures);
            self.message.clone_from(&sanction.message);
            self.effective_from.clone_from(&sanction.effective_from);
            self.effective_to.clone_from(&sanction.effective_to);
            match self.state {
                Stand::Lapsed | Stand::Lifted => self.propose(place, tray),
                _ => self.step(place, Word::Revised, (None, "惩戒建议有更新,请复核"), tray),
            }
            return;
        }
        self.is_grounded = false;
        self.lift_reason.clone_from(&sanction.lift_reason);
        let word = match sanction.transition {
            Transition::Ended => Word::Ended,
            _ => Word::Withdrawn,
        };
        match self.state {
            Stand::Proposed | Stand::Halfway => {
                (self.state, self.over_at) = (Stand::Lapsed, Some(place.clock));
                self.step(place, Word::Lapsed, (None, &sanction.lift_reason), tray);
            }
            Stand::InForce => {
                self.state = Stand::Lifting;
                self.step(place, Word::Lifting, (None, &sanction.lift_reason), tray);
                self.lift(place, tray);
            }
            Stand::Lifting | Stand::Lifted | Stand::Rejected | Stand::Lapsed => {
                self.step(place, word, (None, &sanction.lift_reason), tray);
            }
        }
    }

    fn propose(&mut self, place: Place<'_>, tray: &mut Tray) {
        (self.state, self.over_at) = (Stand::Proposed, None);
        self.confirmed_by.clear();
        self.lanes.clear();
        let why = format!("{}:{}", self.measures.join("、"), self.message);
        self.step(place, Word::Proposed, (None, &why), tray);
    }

    /// Does what an officer or a department says, or says why not.
    pub fn act(&mut self, place: Place<'_>, act: &Act, brake: &mut Brake, tray: &mut Tray) {
        let done = match act.kind {
            ActKind::Confirm => self.confirm(place, act, brake, tray),
            ActKind::Reject => self.reject(place, act, tray),
            ActKind::Receive | ActKind::Apply | ActKind::Remove => self.answer(place, act, tray),
            kind => Err(format!("惩戒建议不能{}", kind.title())),
        };
        if let Err(why) = done {
            self.step(place, Word::Refused, (Some(act), &why), tray);
        }
    }

    fn reject(&mut self, place: Place<'_>, act: &Act, tray: &mut Tray) -> Result<(), String> {
        if !matches!(self.state, Stand::Proposed | Stand::Halfway) {
            return Err(format!("惩戒处于“{}”,不能否决", self.state.title()));
        }
        (self.state, self.over_at) = (Stand::Rejected, Some(place.clock));
        self.step(place, Word::Rejected, (Some(act), &act.why), tray);
        Ok(())
    }

    fn confirm(
        &mut self,
        place: Place<'_>,
        act: &Act,
        brake: &mut Brake,
        tray: &mut Tray,
    ) -> Result<(), String> {
        if !matches!(self.state, Stand::Proposed | Stand::Halfway) {
            return Err(format!("惩戒处于“{}”,不能确认", self.state.title()));
        }
        if self.confirmed_by.contains(&act.actor) {
            return Err(format!("“{}”已确认过,须由另一人确认", act.actor));
        }
        if brake.is_halted {
            return Err(format!("规则 {} 的惩戒已停用:{}", self.rule, brake.why));
        }
        let (by_department, needs_two) = self.departments(place)?;
        let persons = self.confirmed_by.len() + 1;
        if persons < if needs_two { 2 } else { 1 } {
            self.confirmed_by.push(act.actor.clone());
            self.state = Stand::Halfway;
            let why = "其中有须两人确认的措施,待第二人确认";
            self.step(place, Word::Confirmed, (Some(act), why), tray);
            return Ok(());
        }
        brake.count(place, tray)?;
        self.confirmed_by.push(act.actor.clone());
        self.state = Stand::InForce;
        self.step(place, Word::InForce, (Some(act), &act.why), tray);
        for (department, codes) in by_department {
            let mut lane = Lane {
                department,
                codes,
                order_id: String::new(),
                ordered_at: place.clock,
                is_received: false,
                is_applied: false,
                is_lifted: false,
                is_removed: false,
                told: false,
            };
            let order = self.order(place, &lane, "impose");
            lane.order_id.clone_from(&order.id);
            tray.measure(order);
            self.lanes.push(lane);
        }
        Ok(())
    }

    /// Which department does what, and whether two persons have to confirm it.
    fn departments(
        &self,
        place: Place<'_>,
    ) -> Result<(BTreeMap<String, Vec<String>>, bool), String> {
        let mut list: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut needs_two = false;
        for name in &self.measures {
            let measure = place.set.measures().get(name);
            let row = measure.and_then(|m| place.set.offices().order(&m.code));
            let Some(row) = row else {
                return Err(format!("措施“{name}”没有写明实施部门(sanctions.toml)"));
            };
            if !row.is_in_force(place.clock) {
                return Err(format!("措施“{name}”的依据当日不在有效期内"));
            }
            needs_two |= row.two_persons;
            for department in &row.departments {
                let codes = list.entry(department.clone()).or_default();
                codes.push(row.code.clone());
            }
        }
        Ok((list, needs_two))
    }

    fn answer(&mut self, place: Place<'_>, act: &Act, tray: &mut Tray) -> Result<(), String> {
        let found = self
            .lanes
            .iter()
            .position(|lane| lane.department == act.target);
        let Some(lane) = found.and_then(|at| self.lanes.get_mut(at)) else {
            return Err(format!("没有发给“{}”的惩戒措施", act.target));
        };
        let word = match act.kind {
            ActKind::Remove if !lane.is_lifted => {
                return Err("尚未发出解除,不能反馈措施解除".to_owned());
            }
            ActKind::Remove => {
                lane.is_removed = true;
                Word::Removed
            }
            ActKind::Apply if lane.is_lifted => {
                return Err("已发出解除,不再落实".to_owned());
            }
            ActKind::Apply => {
                (lane.is_received, lane.is_applied) = (true, true);
                Word::Applied
            }
            _ if lane.is_received => return Err("已签收".to_owned()),
            _ => {
                lane.is_received = true;
                Word::Received
            }
        };
        lane.told = false;
        let why = format!("{} {}", act.target, act.why).trim_end().to_owned();
        self.step(place, word, (Some(act), &why), tray);
        if self.state == Stand::Lifting {
            self.lift(place, tray);
        }
        Ok(())
    }

    /// Sends the lift to every department that has its order; ends when all have stopped.
    fn lift(&mut self, place: Place<'_>, tray: &mut Tray) {
        let mut lanes = core::mem::take(&mut self.lanes);
        for lane in lanes.iter_mut().filter(|l| l.is_received && !l.is_lifted) {
            lane.is_lifted = true;
            (lane.ordered_at, lane.told) = (place.clock, false);
            tray.measure(self.order(place, lane, "lift"));
        }
        let all = lanes.iter().all(|lane| lane.is_removed);
        self.lanes = lanes;
        if !all {
            return;
        }
        (self.state, self.over_at) = (Stand::Lifted, Some(place.clock));
        let why = self.lift_reason.clone();
        self.step(place, Word::Lifted, (None, &why), tray);
        if self.is_grounded {
            self.propose(place, tray);
        }
    }

    /// Tells once when a department is late with its answer.
    pub fn remind(&mut self, place: Place<'_>, tray: &mut Tray) {
        for at in 0..self.lanes.len() {
            let Some(lane) = self.lanes.get_mut(at) else {
                continue;
            };
            let Some(due) = due(place.set, lane) else {
                continue;
            };
            if place.clock < due {
                continue;
            }
            lane.told = true;
            let what = match (lane.is_lifted, lane.is_received) {
                (true, _) => "反馈解除情况",
                (false, true) => "反馈落实情况",
                (false, false) => "签收惩戒措施",
            };
            let why = format!("{}:未按期{what}", lane.department);
            self.step(place, Word::Overdue, (None, &why), tray);
        }
    }

    /// When time alone changes something next.
    pub fn next_timer(&self, set: &RuleSet) -> Option<EventTime> {
        self.lanes.iter().filter_map(|lane| due(set, lane)).min()
    }

    fn order(&mut self, place: Place<'_>, lane: &Lane, order: &str) -> Measure {
        let number = self.next_number();
        let measures = lane.codes.iter().filter_map(|code| {
            let measure = place.set.measures().get(code)?;
            let row = place.set.offices().order(code);
            Some(OrderedMeasure {
                code: measure.code.clone(),
                name: measure.name.clone(),
                basis: measure.basis.clone(),
                edition: measure.edition.clone(),
                memorandum: row.map(|row| row.memorandum.clone()).unwrap_or_default(),
            })
        });
        let is_lift = order == "lift";
        let measure = Measure {
            id: sm3_hex(&[self.id.as_bytes(), number.to_string().as_bytes()]),
            sanction_id: self.id.clone(),
            number,
            order: order.to_owned(),
            lifts: if is_lift {
                lane.order_id.clone()
            } else {
                String::new()
            },
            department: lane.department.clone(),
            subject: self.subject.clone(),
            subject_name: self.subject_name.clone(),
            rule_id: self.rule.clone(),
            measures: measures.collect(),
            reason: if is_lift {
                self.lift_reason.clone()
            } else {
                self.message.clone()
            },
            confirmed_by: self.confirmed_by.clone(),
            effective_from: self.effective_from.clone(),
            effective_to: self.effective_to.clone(),
            issued_at: place.clock.rfc3339(),
        };
        let word = if is_lift {
            Word::Lifting
        } else {
            Word::InForce
        };
        self.steps.push(Step {
            number,
            word,
            at: place.clock,
            actor: String::new(),
            why: format!("{} {order}", lane.department),
            origin: None,
        });
        measure
    }

    fn next_number(&self) -> u32 {
        self.steps.last().map_or(0, |step| step.number) + 1
    }

    fn step(
        &mut self,
        place: Place<'_>,
        word: Word,
        (act, why): (Option<&Act>, &str),
        tray: &mut Tray,
    ) {
        let Some(number) = record(&mut self.steps, place, word, (act, why)) else {
            return;
        };
        let mut task = task(&self.id, &self.subject, number, (place, word, act, why));
        self.state.name().clone_into(&mut task.state);
        task.subject_name.clone_from(&self.subject_name);
        task.rule_id.clone_from(&self.rule);
        tray.task(task);
    }
}

fn due(set: &RuleSet, lane: &Lane) -> Option<EventTime> {
    let is_done = if lane.is_lifted {
        lane.is_removed
    } else {
        lane.is_applied
    };
    if lane.told || is_done {
        return None;
    }
    let limits = &set.offices().limits;
    let days = if lane.is_received {
        limits.apply_working_days
    } else {
        limits.receive_working_days
    };
    let day = set
        .calendar()
        .add_working_days(lane.ordered_at, days)
        .ok()?;
    Some(as_of(day, Precision::Day))
}

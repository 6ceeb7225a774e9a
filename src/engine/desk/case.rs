//! The disposal of one warning: 派发 → 认领 → 核查 → 处置 → 反馈 → 办结, with 退回, 合并, 撤销 beside.
//!
//! An act that the state does not allow is refused aloud and changes nothing but the course. Three deadlines follow one
//! another: to claim, to verify, to feed back; one working day before each a reminder is told, at its end it is overdue,
//! and when another period has passed the case goes to the department above.

use super::act::{Act, ActKind};
use super::routes::Address;
use super::task::{Step, Task, Word, record};
use super::{Place, STEPS_MAX, Tray};
use crate::engine::calendar::Unpublished;
use crate::engine::episode::Transition;
use crate::engine::event::Event;
use crate::engine::hash::sm3_hex;
use crate::engine::rule::RuleSet;
use crate::engine::schema::Stream;
use crate::engine::subject::view::Level;
use crate::engine::time::{EventTime, HOUR_MS, Precision, as_of};
use crate::engine::warning::Warning;
use serde::{Deserialize, Serialize};

/// The four verdicts.
pub const VERDICTS: [&str; 4] = ["属实", "部分属实", "不属实", "无法核实"];

/// Where a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// There is no case.
    None,
    /// 派发.
    Dispatched,
    /// 退回: the department says that it is not responsible.
    Returned,
    /// 认领.
    Claimed,
    /// 核查.
    Verifying,
    /// 处置.
    Disposing,
    /// 反馈.
    FedBack,
    /// 办结.
    Closed,
    /// 合并.
    Merged,
    /// 撤销.
    Withdrawn,
}

impl State {
    /// All states of a case.
    pub const ALL: [Self; 9] = [
        Self::Dispatched,
        Self::Returned,
        Self::Claimed,
        Self::Verifying,
        Self::Disposing,
        Self::FedBack,
        Self::Closed,
        Self::Merged,
        Self::Withdrawn,
    ];

    /// The word in messages and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Dispatched => "dispatched",
            Self::Returned => "returned",
            Self::Claimed => "claimed",
            Self::Verifying => "verifying",
            Self::Disposing => "disposing",
            Self::FedBack => "fed_back",
            Self::Closed => "closed",
            Self::Merged => "merged",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The Chinese word.
    pub fn title(self) -> &'static str {
        match self {
            Self::None => "无",
            Self::Dispatched => "派发",
            Self::Returned => "退回",
            Self::Claimed => "认领",
            Self::Verifying => "核查",
            Self::Disposing => "处置",
            Self::FedBack => "反馈",
            Self::Closed => "办结",
            Self::Merged => "合并",
            Self::Withdrawn => "撤销",
        }
    }
}

/// What is to be done next, and by when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Due {
    /// 认领, 核查 or 反馈.
    pub what: String,
    /// By when, RFC 3339; absent when the year is not published.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub at: String,
    /// Why it cannot be computed.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub problem: String,
}

/// A case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The warning's id, or `task:` and the number of a joint task of the nation.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// The warning's level.
    pub level: Level,
    /// From when the deadlines to verify and to feed back count.
    pub start: EventTime,
    /// From when the deadline to claim counts.
    pub dispatched_at: EventTime,
    /// The subject.
    pub subject: String,
    /// Its name.
    pub subject_name: String,
    /// The rule.
    pub rule: String,
    /// The region.
    pub region: String,
    /// The department that is to act.
    pub department: String,
    /// The one above.
    pub superior: String,
    /// Who claimed it.
    pub holder: String,
    /// What officers found out.
    pub verdict: String,
    heard: Option<(EventTime, i64, crate::engine::event::RecordKey)>,
    /// Whether the feedback came in time.
    pub on_time: Option<bool>,
    /// The warning that it was merged into.
    pub merged_into: String,
    /// Inspections and penalties found since.
    pub linked: Vec<String>,
    /// How often a department said that it is not responsible.
    pub returns: u16,
    /// How far the present deadline has been told: 1 reminded, 2 overdue, 3 escalated.
    told: u8,
    due_told: Option<EventTime>,
    /// The course.
    pub steps: Vec<Step>,
    /// When it was over.
    pub over_at: Option<EventTime>,
}

impl Case {
    /// A case for a warning that is new; none for one that is over.
    pub fn new(warning: &Warning) -> Option<Self> {
        if !matches!(warning.transition, Transition::Raised | Transition::Revised) {
            return None;
        }
        let subject = warning.subject.clone();
        Some(Self {
            subject_name: warning.subject_name.clone(),
            rule: warning.rule_id.clone(),
            region: warning.region.clone(),
            ..Self::blank(&warning.warning_id, subject, warning.level)
        })
    }

    /// A case of which only this is known.
    pub(super) fn blank(id: &str, subject: String, level: Level) -> Self {
        Self {
            id: id.to_owned(),
            state: State::None,
            level,
            start: EventTime(0),
            dispatched_at: EventTime(0),
            subject,
            subject_name: String::new(),
            rule: String::new(),
            region: String::new(),
            department: String::new(),
            superior: String::new(),
            holder: String::new(),
            verdict: String::new(),
            heard: None,
            on_time: None,
            merged_into: String::new(),
            linked: Vec::new(),
            returns: 0,
            told: 0,
            due_told: None,
            steps: Vec::new(),
            over_at: None,
        }
    }

    /// Whether a department still has to feed back.
    pub fn is_open(&self) -> bool {
        matches!(
            self.state,
            State::Dispatched
                | State::Returned
                | State::Claimed
                | State::Verifying
                | State::Disposing
        )
    }

    /// Whether the present deadline has passed.
    pub fn is_overdue(&self) -> bool {
        2 <= self.told
    }

    /// Whether the present deadline lies in a year that is not published.
    pub fn is_undated(&self) -> bool {
        self.is_open() && self.due_told.is_none()
    }

    /// Takes up what became of the warning; `domain` is that of its catalogue item, for a fact that names none.
    pub fn hear(&mut self, place: Place<'_>, (warning, domain): (&Warning, &str), tray: &mut Tray) {
        let before = self.level;
        self.level = warning.level;
        match warning.transition {
            Transition::Raised | Transition::Revised if self.state == State::None => {
                (self.start, self.dispatched_at) = (place.clock, place.clock);
                (self.department, self.superior) = place.set.offices().route(Address {
                    item: &warning.item_code,
                    rule: &self.rule,
                    domain: match warning.domain.as_str() {
                        "" => domain,
                        named => named,
                    },
                    region: &self.region,
                });
                self.state = State::Dispatched;
                self.step(place, Word::Dispatched, (None, ""), tray);
            }
            Transition::Raised | Transition::Revised => {
                let rises = before < warning.level;
                if rises {
                    (self.start, self.told) = (place.clock, 0);
                }
                let is_over = matches!(self.state, State::FedBack | State::Closed);
                if is_over && rises {
                    self.dispatch(place.clock);
                    self.step(place, Word::Reopened, (None, "预警升级"), tray);
                } else {
                    self.step(place, Word::Revised, (None, &warning.reason), tray);
                }
            }
            Transition::Withdrawn => {
                self.over(State::Withdrawn, place.clock);
                self.step(place, Word::Withdrawn, (None, &warning.reason), tray);
            }
            Transition::Ended => self.step(place, Word::Ended, (None, &warning.reason), tray),
            // The desk has heard the feedback itself.
            Transition::Closed => {}
        }
    }

    /// Takes up what officers found out.
    pub fn feed_back(&mut self, place: Place<'_>, act: &Act, tray: &mut Tray) {
        if !VERDICTS.contains(&act.why.as_str()) {
            let why = format!("核查结论“{}”不是 {}", act.why, VERDICTS.join("、"));
            return self.refuse(place, act, &why, tray);
        }
        if self.heard.is_some_and(|heard| act.rank() <= heard) {
            return self.refuse(place, act, "已有更晚作出的反馈", tray);
        }
        if matches!(self.state, State::Merged | State::Withdrawn) {
            let why = format!("预警已{}", self.state.title());
            return self.refuse(place, act, &why, tray);
        }
        self.heard = Some(act.rank());
        if self.is_open() {
            let due = self.deadline(place.set, "反馈");
            self.on_time = due.ok().map(|due| place.clock <= due);
            self.state = State::FedBack;
        }
        self.told = 0;
        self.verdict.clone_from(&act.why);
        self.step(place, Word::FedBack, (Some(act), &act.why), tray);
    }

    /// Does what an officer asks, or says why not.
    pub fn act(&mut self, place: Place<'_>, act: &Act, tray: &mut Tray) {
        let (word, state) = match self.may(act) {
            Ok(change) => change,
            Err(why) => return self.refuse(place, act, &why, tray),
        };
        match act.kind {
            ActKind::Claim => self.holder.clone_from(&act.actor),
            ActKind::Return => self.returns = self.returns.saturating_add(1),
            ActKind::Transfer => {
                self.department.clone_from(&act.target);
                self.dispatch(place.clock);
            }
            ActKind::Escalate => self.department.clone_from(&self.superior),
            ActKind::Merge => self.merged_into.clone_from(&act.target),
            ActKind::Reopen => (self.verdict, self.on_time) = (String::new(), None),
            _ => {}
        }
        if state != self.state {
            self.told = 0;
        }
        self.state = state;
        self.over_at = matches!(state, State::Closed | State::Merged).then_some(place.clock);
        let why = match act.target.as_str() {
            "" => act.why.clone(),
            target => format!("{target} {}", act.why).trim_end().to_owned(),
        };
        self.step(place, word, (Some(act), &why), tray);
    }

    /// What an act makes of the present state.
    fn may(&self, act: &Act) -> Result<(Word, State), String> {
        use State::{Claimed, Closed, Dispatched, Disposing, FedBack, Merged, Returned, Verifying};
        let holder = || -> Result<(), String> {
            if self.holder == act.actor {
                return Ok(());
            }
            Err(format!("由“{}”认领,须由其办理或先转办", self.holder))
        };
        match (act.kind, self.state) {
            (ActKind::Claim, Dispatched | Returned) => Ok((Word::Claimed, Claimed)),
            (ActKind::Claim, Claimed | Verifying | Disposing) => {
                Err(format!("已由“{}”认领", self.holder))
            }
            (ActKind::Verify, Claimed) => holder().map(|()| (Word::Verifying, Verifying)),
            (ActKind::Dispose, Verifying) => holder().map(|()| (Word::Disposing, Disposing)),
            (ActKind::Close, FedBack) => Ok((Word::Closed, Closed)),
            (ActKind::Reopen, FedBack | Closed) if self.holder.is_empty() => {
                Ok((Word::Reopened, Dispatched))
            }
            (ActKind::Reopen, FedBack | Closed) => Ok((Word::Reopened, Verifying)),
            (ActKind::Return, Dispatched | Claimed) => Ok((Word::Returned, Returned)),
            (ActKind::Transfer, _) if self.is_open() => Ok((Word::Transferred, Dispatched)),
            (ActKind::Merge, _) if self.is_open() && act.target != self.id => {
                Ok((Word::Merged, Merged))
            }
            (ActKind::Escalate, state) if self.is_open() => Ok((Word::Escalated, state)),
            (ActKind::Remind, state) if self.is_open() => Ok((Word::Reminded, state)),
            (kind, state) => Err(format!("预警处于“{}”,不能{}", state.title(), kind.title())),
        }
    }

    /// Ties a record to the case, or notes that it no longer holds.
    pub fn link(&mut self, place: Place<'_>, event: &Event, tray: &mut Tray) {
        let record = format!("{}/{}", event.source, event.record_id);
        let known = self.linked.iter().position(|linked| *linked == record);
        let word = match (known, event.is_live()) {
            (None, true) if self.linked.len() < STEPS_MAX => {
                self.linked.push(record.clone());
                Word::Linked
            }
            (Some(at), false) => {
                self.linked.remove(at);
                Word::Unlinked
            }
            _ => return,
        };
        let what = if event.stream == Stream::Penalty {
            "行政处罚"
        } else {
            "监管检查"
        };
        self.step(place, word, (None, &format!("{what} {record}")), tray);
    }

    /// Reminds, marks as overdue, goes up.
    pub fn remind(&mut self, place: Place<'_>, tray: &mut Tray) {
        while let Some((word, at)) = self.next_mark(place.set) {
            if place.clock < at {
                return;
            }
            self.told = match word {
                Word::Reminded => 1,
                Word::Overdue => 2,
                _ => 3,
            };
            let (what, department) = (self.stage(), self.department.clone());
            let why = match word {
                Word::Reminded => format!("{department}:{what}期限将至"),
                Word::Overdue => format!("{department}:未按期{what}"),
                _ => format!("{department}超期仍未{what},报 {}", self.superior),
            };
            self.step(place, word, (None, &why), tray);
        }
    }

    /// Computes the deadline anew; tells if it moved.
    pub fn recalculate(&mut self, place: Place<'_>, tray: &mut Tray) {
        if !self.is_open() {
            return;
        }
        let due = self.deadline(place.set, self.stage()).ok();
        if due == self.due_told {
            return;
        }
        if due.is_some_and(|due| place.clock < due) {
            self.told = 0;
        }
        self.step(
            place,
            Word::DueChanged,
            (None, "工作日历或时限已调整"),
            tray,
        );
    }

    /// When time alone changes something next.
    pub fn next_timer(&self, set: &RuleSet) -> Option<EventTime> {
        self.next_mark(set).map(|(_, at)| at)
    }

    fn next_mark(&self, set: &RuleSet) -> Option<(Word, EventTime)> {
        if !self.is_open() {
            return None;
        }
        let due = self.deadline(set, self.stage()).ok()?;
        let calendar = set.calendar();
        let hours = set.scoring().deadline(self.level).claim_hours;
        let in_hours = self.stage() == "认领" && 0 < hours;
        let from = self.from();
        match self.told {
            0 => {
                let before = calendar.add_working_days(due, -1).ok();
                let before = before.filter(|at| !in_hours && from < *at);
                Some(before.map_or((Word::Overdue, due), |at| (Word::Reminded, at)))
            }
            1 => Some((Word::Overdue, due)),
            2 if in_hours => Some((Word::Escalated, due.plus_ms(hours * HOUR_MS))),
            2 => {
                let next = calendar.add_working_days(due, 1).ok()?;
                Some((Word::Escalated, as_of(next, Precision::Day)))
            }
            _ => None,
        }
    }

    fn stage(&self) -> &'static str {
        match self.state {
            State::Dispatched | State::Returned => "认领",
            State::Claimed => "核查",
            _ => "反馈",
        }
    }

    fn from(&self) -> EventTime {
        match self.stage() {
            "认领" => self.dispatched_at.max(self.start),
            _ => self.start,
        }
    }

    fn deadline(&self, set: &RuleSet, stage: &str) -> Result<EventTime, Unpublished> {
        let numbers = set.scoring().deadline(self.level);
        let from = self.from();
        let days = match stage {
            "认领" if 0 < numbers.claim_hours => {
                return Ok(from.plus_ms(numbers.claim_hours * HOUR_MS));
            }
            "认领" => numbers.claim_working_days,
            "核查" => numbers.verify_working_days,
            _ => numbers.feedback_working_days,
        };
        let day = set.calendar().add_working_days(from, days)?;
        Ok(as_of(day, Precision::Day))
    }

    fn due(&mut self, set: &RuleSet) -> Option<Due> {
        self.due_told = None;
        if !self.is_open() {
            return None;
        }
        let what = self.stage().to_owned();
        let (at, problem) = match self.deadline(set, &what) {
            Ok(at) => {
                self.due_told = Some(at);
                (at.rfc3339(), String::new())
            }
            Err(unpublished) => (String::new(), unpublished.message()),
        };
        Some(Due { what, at, problem })
    }

    pub(super) fn dispatch(&mut self, clock: EventTime) {
        (self.state, self.dispatched_at, self.told) = (State::Dispatched, clock, 0);
        (self.holder, self.over_at) = (String::new(), None);
    }

    pub(super) fn over(&mut self, state: State, clock: EventTime) {
        (self.state, self.told, self.over_at) = (state, 0, Some(clock));
    }

    fn refuse(&mut self, place: Place<'_>, act: &Act, why: &str, tray: &mut Tray) {
        self.step(place, Word::Refused, (Some(act), why), tray);
    }

    pub(super) fn step(
        &mut self,
        place: Place<'_>,
        word: Word,
        (act, why): (Option<&Act>, &str),
        tray: &mut Tray,
    ) {
        let Some(number) = record(&mut self.steps, place, word, (act, why)) else {
            return;
        };
        let due = self.due(place.set);
        let mut task = Task::bare(&self.id, &self.subject, place.clock);
        task.id = sm3_hex(&[self.id.as_bytes(), number.to_string().as_bytes()]);
        (task.number, task.step) = (number, word);
        word.title().clone_into(&mut task.step_title);
        self.state.name().clone_into(&mut task.state);
        self.level.title().clone_into(&mut task.level);
        task.subject_name.clone_from(&self.subject_name);
        task.rule_id.clone_from(&self.rule);
        task.department.clone_from(&self.department);
        task.superior.clone_from(&self.superior);
        if let Some(act) = act {
            (task.actor, task.role) = (act.actor.clone(), act.role.clone());
            task.act_id.clone_from(&act.id);
        }
        why.clone_into(&mut task.why);
        task.verdict.clone_from(&self.verdict);
        (task.on_time, task.due) = (self.on_time, due);
        task.linked.clone_from(&self.linked);
        tray.task(task);
    }
}

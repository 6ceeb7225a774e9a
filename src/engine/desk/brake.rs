//! What holds the sanctions of a rule back: a quota a day, and a switch that two persons have to release.
//!
//! It holds orders back, never lifts.

use super::act::{Act, ActKind};
use super::task::{Step, Task, Word, record};
use super::{Place, Tray};
use crate::engine::hash::sm3_hex;
use serde::{Deserialize, Serialize};

/// A rule's quota and kill switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    /// `rule:<id>`.
    pub id: String,
    /// The subject under which its steps leave.
    pub subject: String,
    /// Whether no sanction of the rule may come into force.
    pub is_halted: bool,
    /// Why.
    pub why: String,
    /// Who wants it released; two are needed.
    pub released_by: Vec<String>,
    day: i32,
    count: u32,
    /// The course.
    pub steps: Vec<Step>,
}

impl Brake {
    /// A rule that is not halted.
    pub fn new(rule: &str, subject: &str) -> Self {
        Self {
            id: format!("rule:{rule}"),
            subject: subject.to_owned(),
            is_halted: false,
            why: String::new(),
            released_by: Vec::new(),
            day: 0,
            count: 0,
            steps: Vec::new(),
        }
    }

    /// Counts a sanction that comes into force; halts the rule when the day's quota is used up.
    pub fn count(&mut self, place: Place<'_>, tray: &mut Tray) -> Result<(), String> {
        let day = place.clock.day();
        if self.day != day {
            (self.day, self.count) = (day, 0);
        }
        let quota = place.set.offices().limits.per_rule_and_day;
        if self.count < quota {
            self.count += 1;
            return Ok(());
        }
        self.is_halted = true;
        self.why = format!("当日已生效 {quota} 件,达到限额");
        let why = self.why.clone();
        self.step(place, Word::Halted, (None, &why), tray);
        Err(format!("{why},须两人恢复后再确认"))
    }

    /// Halts or releases.
    pub fn act(&mut self, place: Place<'_>, act: &Act, tray: &mut Tray) {
        match (act.kind, self.is_halted) {
            (ActKind::Halt, false) => {
                (self.is_halted, self.why) = (true, act.why.clone());
                self.released_by.clear();
                self.step(place, Word::Halted, (Some(act), &act.why), tray);
            }
            (ActKind::Release, true) if self.released_by.contains(&act.actor) => {
                let why = format!("“{}”已同意恢复,须由另一人同意", act.actor);
                self.step(place, Word::Refused, (Some(act), &why), tray);
            }
            (ActKind::Release, true) => {
                self.released_by.push(act.actor.clone());
                if self.released_by.len() < 2 {
                    self.step(
                        place,
                        Word::Confirmed,
                        (Some(act), "待第二人同意恢复"),
                        tray,
                    );
                    return;
                }
                (self.is_halted, self.count) = (false, 0);
                self.why.clear();
                self.released_by.clear();
                self.step(place, Word::Released, (Some(act), &act.why), tray);
            }
            (kind, is_halted) => {
                let now = if is_halted { "停用" } else { "启用" };
                let why = format!("规则的惩戒处于“{now}”,不能{}", kind.title());
                self.step(place, Word::Refused, (Some(act), &why), tray);
            }
        }
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
        if self.is_halted { "halted" } else { "active" }.clone_into(&mut task.state);
        tray.task(task);
    }
}

pub(super) fn task(
    id: &str,
    subject: &str,
    number: u32,
    (place, word, act, why): (Place<'_>, Word, Option<&Act>, &str),
) -> Task {
    let mut task = Task::bare(id, subject, place.clock);
    task.id = sm3_hex(&[id.as_bytes(), number.to_string().as_bytes()]);
    (task.number, task.step) = (number, word);
    word.title().clone_into(&mut task.step_title);
    if let Some(act) = act {
        (task.actor, task.role) = (act.actor.clone(), act.role.clone());
        task.act_id.clone_from(&act.id);
    }
    why.clone_into(&mut task.why);
    task
}

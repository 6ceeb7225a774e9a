//! Joint tasks of the nation (协同监管任务): each is a case of its own, under the nation's number.
//!
//! A task is no sign of risk and so no warning: it is work that was asked for. It is dispatched by `rules/routing.toml` like a
//! warning without a level (as 黄), claimed, verified and fed back under `task:<number>`, and what comes of it goes back to the nation
//! under that number. When the nation ends a task that nobody has fed back, its case is withdrawn.
//!
//! source   `domain.md` §1.8 (`superviseData`): the number is the nation's `taskNo`

use super::case::{Case, State};
use super::routes::Address;
use super::task::Word;
use super::{Desk, Item, Place, Tray};
use crate::engine::event::Event;
use crate::engine::schema::field;
use crate::engine::subject::view::Level;
use crate::engine::work::Sent;

/// How the id of a joint task's case begins.
pub const PREFIX: &str = "task:";
/// What stands in place of a rule, in routes and in the evaluation.
pub const RULE: &str = "GJ-TASK";
/// The kind of a national event that is a task.
const KIND: &str = "协同任务";
/// Why a task has no level of its own: the nation gives none.
const LEVEL: Level = Level::Yellow;

impl Desk {
    /// A task that the nation sends down, changes or ends.
    pub(super) fn joint_task(&mut self, place: Place<'_>, event: &Event, out: &mut Vec<Sent>) {
        let number = event.fields.text(field::national_no);
        let key = format!("{PREFIX}{}", number.unwrap_or(&event.record_id));
        if !self.items.contains_key(&key) {
            if !event.is_live() || event.fields.text(field::kind) != Some(KIND) {
                return;
            }
            let case = Case::of_task(&key, event);
            self.items.insert(key.clone(), Item::Case(Box::new(case)));
        }
        self.change(place, &key, out, |item, tray| {
            if let Item::Case(case) = item {
                case.hear_task(place, event, tray);
            }
        });
    }
}

impl Case {
    /// A case for a task, before it is dispatched.
    fn of_task(key: &str, event: &Event) -> Self {
        let text = |of| event.fields.text(of).unwrap_or_default().to_owned();
        let subject = event.home().map(ToString::to_string).unwrap_or_default();
        let mut case = Self::blank(key, subject, LEVEL);
        case.subject_name = text(field::name);
        RULE.clone_into(&mut case.rule);
        case.region = text(field::region);
        case
    }

    fn hear_task(&mut self, place: Place<'_>, event: &Event, tray: &mut Tray) {
        let text = |of| event.fields.text(of).unwrap_or_default();
        if !event.is_live() {
            let why = "国家已结束任务";
            if self.is_open() {
                self.over(State::Withdrawn, place.clock);
                self.step(place, Word::Withdrawn, (None, why), tray);
            } else {
                self.step(place, Word::Ended, (None, why), tray);
            }
            return;
        }
        if self.state != State::None {
            return self.step(place, Word::Revised, (None, text(field::title)), tray);
        }
        (self.department, self.superior) = place.set.offices().route(Address {
            item: text(field::item_code),
            rule: RULE,
            domain: text(field::domain),
            region: &self.region,
        });
        self.dispatch(place.clock);
        self.start = place.clock;
        let why = format!("{}：{}", text(field::initiator), text(field::title));
        self.step(place, Word::Dispatched, (None, &why), tray);
    }
}

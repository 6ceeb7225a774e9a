//! After the warning: what officers do about it, by when, and what comes of it.
//!
//! The desk is one for the whole province. It is given what leaves the shards in its one order, and, at their places in that
//! order, what officers did, what was found at inspections and in penalties, and the hours that passed. So its state is a fold as
//! well, and does not depend on shards, batches or restarts. Every step of a case leaves as a [`Task`]; every order to a
//! department leaves as a [`Measure`]; the id of either is SM3(case, number).
//!
//! A deadline is not kept: the start and the level are, and the calendar in force says the rest. When the calendar changes,
//! deadlines are computed anew, and those that move are told.
//!
//! cost     a look-up in a tree a message, act, inspection or penalty; timers only when they are due
//! bounds   refusals and reminders up to [`STEPS_MAX`] steps of a case; what is over is let go after [`KEPT_DAYS`]

pub mod act;
pub mod brake;
pub mod case;
pub mod count;
pub mod evaluation;
pub mod joint;
pub mod key_event;
pub mod matter;
pub mod offices;
pub mod routes;
pub mod sanction;
pub mod task;
#[cfg(test)]
mod joined_tests;
#[cfg(test)]
mod tests;

use self::act::{Act, ActKind};
use self::brake::Brake;
use self::case::{Case, State};
use self::key_event::{KeyEvent, Kind};
use self::matter::Matter;
use self::sanction::Order;
use self::task::{Measure, Step, Task, Word};
use super::event::{Event, SubjectKey};
use super::record::Prepared;
use super::rule::RuleSet;
use super::schema::{Stream, field};
use super::time::EventTime;
use super::warning::Message;
use super::work::Sent;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// From so many steps of a case on, what changes nothing (refusals, reminders) is let go.
pub const STEPS_MAX: usize = 512;
/// How long a case that is over is kept, days: records of law enforcement are looked into for three years.
pub const KEPT_DAYS: i64 = 1_096;

/// What the desk is given beside messages, at its place in the stream.
#[derive(Debug, Clone)]
pub struct Cue {
    /// The place.
    pub seq: u64,
    /// The logical clock there.
    pub clock: EventTime,
    /// What it is.
    pub what: What,
}

/// See [`Cue`].
#[derive(Debug, Clone)]
pub enum What {
    /// An hour passed.
    Tick,
    /// An act of an officer, a word of feedback, an inspection, a penalty, or what a key event follows.
    Record(Prepared),
    /// An act that joins a record to a key event, and whether the record is known.
    Join(Prepared, bool),
}

/// One thing that the desk keeps, as it stands in an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Item {
    /// A warning's disposal.
    Case(Box<Case>),
    /// A sanction's life.
    Order(Box<Order>),
    /// A rule's quota and kill switch.
    Brake(Box<Brake>),
    /// An act that belongs to nothing, kept so that its echo stays an echo after a restart.
    Stray(Box<Stray>),
    /// Several warnings and records tracked as one.
    Event(Box<KeyEvent>),
    /// An item of the catalogue.
    Matter(Box<Matter>),
}

/// See [`Item::Stray`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// `stray:` and the act's record.
    pub id: String,
    /// The one step: that it was refused.
    pub steps: Vec<Step>,
}

impl Item {
    /// Its key: the id of the warning or sanction, `rule:…`, or `event:…`.
    pub fn key(&self) -> &str {
        match self {
            Self::Case(case) => &case.id,
            Self::Order(order) => &order.id,
            Self::Brake(brake) => &brake.id,
            Self::Stray(stray) => &stray.id,
            Self::Event(event) => &event.id,
            Self::Matter(matter) => &matter.id,
        }
    }

    /// Its course.
    pub fn steps(&self) -> &[Step] {
        match self {
            Self::Case(case) => &case.steps,
            Self::Order(order) => &order.steps,
            Self::Brake(brake) => &brake.steps,
            Self::Stray(stray) => &stray.steps,
            Self::Event(event) => &event.steps,
            Self::Matter(matter) => &matter.steps,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Desk {
    items: BTreeMap<String, Item>,
    open: BTreeMap<String, BTreeSet<String>>,
    timers: BTreeSet<(EventTime, String)>,
    /// The timer of each item that has one: an old one must not move it ahead of others, as a restart would not know of it.
    due: BTreeMap<String, EventTime>,
    dirty: BTreeSet<String>,
    /// By record, the key events to which it was joined.
    followers: BTreeMap<String, BTreeSet<String>>,
}

/// A place in the stream with the rules in force there.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The rules.
    pub set: &'a RuleSet,
    /// The number of the input.
    pub seq: u64,
    /// The logical clock.
    pub clock: EventTime,
}

/// What a step leaves behind.
#[derive(Debug, Default)]
pub struct Tray {
    /// Steps of cases and orders to departments, in order.
    pub out: Vec<Message>,
}

impl Tray {
    /// Adds a step.
    pub fn task(&mut self, task: Task) {
        self.out.push(Message::Task(Box::new(task)));
    }

    /// Adds an order.
    pub fn measure(&mut self, measure: Measure) {
        self.out.push(Message::Measure(Box::new(measure)));
    }
}

impl Desk {
    /// All that is kept, by key.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    /// One of them.
    pub fn get(&self, key: &str) -> Option<&Item> {
        self.items.get(key)
    }

    /// The keys of what changed since the last time.
    pub fn drain_dirty(&mut self) -> Vec<String> {
        core::mem::take(&mut self.dirty).into_iter().collect()
    }

    /// Takes up what was read back from the store.
    pub fn restore(&mut self, set: &RuleSet, item: Item) {
        let key = item.key().to_owned();
        self.items.insert(key.clone(), item);
        self.index(set, &key);
    }

    /// The records of officers among what is kept, for the index that tells echoes apart.
    pub fn acts(&self) -> impl Iterator<Item = task::Origin> {
        self.items
            .values()
            .flat_map(Item::steps)
            .filter_map(|step| step.origin)
    }

    /// Goes through messages and cues in their one order; gives the messages with what the desk says after each.
    pub fn work(&mut self, set: &RuleSet, cues: Vec<Cue>, sent: Vec<Sent>) -> Vec<Sent> {
        let mut out = Vec::with_capacity(sent.len());
        let mut cues = cues.into_iter().peekable();
        for one in sent {
            while let Some(cue) = cues.next_if(|cue| cue.seq <= one.seq) {
                self.cue(set, &cue, &mut out);
            }
            let told = self.hear(set, &one);
            out.push(one);
            out.extend(told);
        }
        for cue in cues {
            self.cue(set, &cue, &mut out);
        }
        out
    }

    /// Computes every deadline anew, by another calendar or other numbers; tells those that moved.
    pub fn recalculate(&mut self, place: Place<'_>) -> Vec<Sent> {
        let keys: Vec<String> = self.items.keys().cloned().collect();
        let mut out = Vec::new();
        self.timers.clear();
        self.due.clear();
        for key in keys {
            let mut tray = Tray::default();
            if let Some(Item::Case(case)) = self.items.get_mut(&key) {
                case.recalculate(place, &mut tray);
            }
            if !tray.out.is_empty() {
                self.dirty.insert(key.clone());
            }
            self.index(place.set, &key);
            out.extend(leave(place.seq, tray));
        }
        out
    }

    fn cue(&mut self, set: &RuleSet, cue: &Cue, out: &mut Vec<Sent>) {
        let place = Place {
            set,
            seq: cue.seq,
            clock: cue.clock,
        };
        match &cue.what {
            What::Tick => self.tick(place, out),
            What::Join(record, is_known) => self.act(place, (record, *is_known), out),
            What::Record(record) => {
                match record.event.stream {
                    Stream::Action => return self.act(place, (record, false), out),
                    Stream::Feedback if record.event.is_live() => self.feedback(place, record, out),
                    Stream::Inspection | Stream::Penalty => self.link(place, &record.event, out),
                    Stream::Catalogue => self.matter(place, record),
                    Stream::National => self.joint_task(place, &record.event, out),
                    _ => {}
                }
                self.follow(place, &record.event, out);
            }
        }
    }

    fn tick(&mut self, place: Place<'_>, out: &mut Vec<Sent>) {
        while let Some((due, key)) = self.timers.first().cloned() {
            if place.clock < due {
                break;
            }
            self.timers.remove(&(due, key.clone()));
            self.change(place, &key, out, |item, tray| match item {
                Item::Case(case) => case.remind(place, tray),
                Item::Order(order) => order.remind(place, tray),
                _ => {}
            });
        }
        let oldest = place.clock.plus_days(-KEPT_DAYS);
        if place.clock.ms_of_day() < super::time::HOUR_MS {
            self.forget(oldest);
        }
    }

    /// Lets go what has been over since before this time, and belongs to no key event that is kept.
    pub fn forget(&mut self, oldest: EventTime) {
        let is_over =
            |item: &Item| matches!(item, Item::Event(e) if e.over_at.is_some_and(|at| at < oldest));
        self.items.retain(|_, item| !is_over(item));
        let tracked = self.tracked();
        self.items.retain(|key, item| match item {
            _ if tracked.contains(key) => true,
            Item::Case(case) => case.over_at.is_none_or(|at| oldest <= at),
            Item::Order(order) => order.over_at.is_none_or(|at| oldest <= at),
            Item::Brake(_) | Item::Event(_) | Item::Matter(_) => true,
            Item::Stray(stray) => stray.steps.iter().all(|step| oldest <= step.at),
        });
    }

    /// Changes one item and keeps the indexes in line.
    fn change(
        &mut self,
        place: Place<'_>,
        key: &str,
        out: &mut Vec<Sent>,
        change: impl FnOnce(&mut Item, &mut Tray),
    ) {
        let Some(item) = self.items.get_mut(key) else {
            return;
        };
        let mut tray = Tray::default();
        change(item, &mut tray);
        self.dirty.insert(key.to_owned());
        self.index(place.set, key);
        out.extend(leave(place.seq, tray));
    }

    /// Timers and the list of a subject's open cases.
    fn index(&mut self, set: &RuleSet, key: &str) {
        let Some(item) = self.items.get(key) else {
            return;
        };
        let (due, subject, is_open) = match item {
            Item::Case(case) => (case.next_timer(set), Some(&case.subject), case.is_open()),
            Item::Order(order) => (order.next_timer(set), None, false),
            _ => (None, None, false),
        };
        if let Item::Event(event) = item {
            let records = event.members.iter().filter(|m| m.kind == Kind::Record);
            for record in records {
                let list = self.followers.entry(record.id.clone()).or_default();
                list.insert(key.to_owned());
            }
        }
        if let Some(old) = self.due.remove(key) {
            self.timers.remove(&(old, key.to_owned()));
        }
        if let Some(due) = due {
            self.timers.insert((due, key.to_owned()));
            self.due.insert(key.to_owned(), due);
        }
        if let Some(subject) = subject {
            if is_open {
                let list = self.open.entry(subject.clone()).or_default();
                list.insert(key.to_owned());
            } else if let Some(list) = self.open.get_mut(subject) {
                list.remove(key);
                if list.is_empty() {
                    self.open.remove(subject.as_str());
                }
            }
        }
    }

    fn hear(&mut self, set: &RuleSet, sent: &Sent) -> Vec<Sent> {
        let (key, told_at) = match &sent.message {
            Message::Warning(warning) => (&warning.warning_id, &warning.generated_at),
            Message::Sanction(sanction) => (&sanction.sanction_id, &sanction.generated_at),
            Message::Task(_) | Message::Measure(_) => return Vec::new(),
        };
        let clock = EventTime::parse(told_at).map_or(EventTime(0), |(time, _)| time);
        let place = Place {
            set,
            seq: sent.seq,
            clock,
        };
        let key = key.clone();
        let domain = match &sent.message {
            Message::Warning(warning) if !warning.item_code.is_empty() => {
                self.domain_of(&warning.item_code)
            }
            _ => String::new(),
        };
        let mut out = Vec::new();
        if !self.items.contains_key(&key) {
            let item = match &sent.message {
                Message::Warning(warning) => Case::new(warning).map(|c| Item::Case(Box::new(c))),
                Message::Sanction(sanction) => {
                    Order::new(sanction).map(|o| Item::Order(Box::new(o)))
                }
                Message::Task(_) | Message::Measure(_) => None,
            };
            let Some(item) = item else { return out };
            self.items.insert(key.clone(), item);
        }
        self.change(place, &key, &mut out, |item, tray| {
            match (item, &sent.message) {
                (Item::Case(case), Message::Warning(warning)) => {
                    case.hear(place, (warning, &domain), tray);
                }
                (Item::Order(order), Message::Sanction(sanction)) => {
                    order.hear(place, sanction, tray);
                }
                _ => {}
            }
        });
        out
    }

    fn feedback(&mut self, place: Place<'_>, record: &Prepared, out: &mut Vec<Sent>) {
        let Some(id) = record.event.fields.text(field::warning_id) else {
            return;
        };
        let act = Act::of_feedback(record);
        if !matches!(self.items.get(id), Some(Item::Case(_))) {
            let why = format!("没有编号为“{id}”的预警");
            return self.refuse(place, &act, &why, out);
        }
        self.change(place, id, out, |item, tray| {
            if let Item::Case(case) = item {
                case.feed_back(place, &act, tray);
            }
        });
    }

    /// Ties an inspection or penalty to the open cases of the firms that it concerns.
    fn link(&mut self, place: Place<'_>, event: &Arc<Event>, out: &mut Vec<Sent>) {
        if self.open.is_empty() {
            return;
        }
        let mut keys: BTreeSet<String> = BTreeSet::new();
        for subject in event.subjects.iter().filter(|s| !s.kind.is_collective()) {
            keys.extend(
                self.open
                    .get(&subject.to_string())
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
        }
        for key in keys {
            self.change(place, &key, out, |item, tray| {
                if let Item::Case(case) = item {
                    case.link(place, event, tray);
                }
            });
        }
    }

    fn act(
        &mut self,
        place: Place<'_>,
        (record, is_known): (&Prepared, bool),
        out: &mut Vec<Sent>,
    ) {
        let act = match Act::read(record) {
            Ok(act) => act,
            Err(why) => {
                let act = Act::unread(record);
                return self.refuse(place, &act, &why, out);
            }
        };
        if act.object.starts_with(key_event::PREFIX) {
            return self.act_on_event(place, (&act, is_known), out);
        }
        if let Some(rule) = act.object.strip_prefix("rule:")
            && !self.items.contains_key(&act.object)
        {
            if place.set.rule(rule).is_none() {
                let why = format!("没有规则 {rule}");
                return self.refuse(place, &act, &why, out);
            }
            let brake = Item::Brake(Box::new(Brake::new(rule, &act.subject)));
            self.items.insert(act.object.clone(), brake);
        }
        if act.kind == ActKind::Merge
            && !matches!(self.items.get(&act.target), Some(Item::Case(c)) if c.is_open())
        {
            let why = format!("要并入的预警“{}”不存在或已了结", act.target);
            return self.refuse(place, &act, &why, out);
        }
        let Some(item) = self.items.get(&act.object) else {
            let why = format!("没有编号为“{}”的预警、惩戒建议或规则", act.object);
            return self.refuse(place, &act, &why, out);
        };
        if let Item::Order(order) = item {
            return self.act_on_order(place, &act, &order.rule.clone(), out);
        }
        let object = act.object.clone();
        self.change(place, &object, out, |item, tray| match item {
            Item::Case(case) => case.act(place, &act, tray),
            Item::Brake(brake) => brake.act(place, &act, tray),
            _ => {}
        });
    }

    fn act_on_order(&mut self, place: Place<'_>, act: &Act, rule: &str, out: &mut Vec<Sent>) {
        let key = format!("rule:{rule}");
        let mut brake = match self.items.remove(&key) {
            Some(Item::Brake(brake)) => brake,
            _ => Box::new(Brake::new(rule, &act.subject)),
        };
        let object = act.object.clone();
        let before = brake.clone();
        self.change(place, &object, out, |item, tray| {
            if let Item::Order(order) = item {
                order.act(place, act, &mut brake, tray);
            }
        });
        if *brake != *before || !brake.steps.is_empty() {
            if *brake != *before {
                self.dirty.insert(key.clone());
            }
            self.items.insert(key, Item::Brake(brake));
        }
    }

    /// Says no to an act that has no case to be recorded in, and remembers it.
    fn refuse(&mut self, place: Place<'_>, act: &Act, why: &str, out: &mut Vec<Sent>) {
        refuse(place, act, why, out);
        let stray = Stray {
            id: format!("stray:{}", super::hash::hex(&act.origin.key.0)),
            steps: vec![Step {
                number: 1,
                word: Word::Refused,
                at: place.clock,
                actor: act.actor.clone(),
                why: why.to_owned(),
                origin: Some(act.origin),
            }],
        };
        self.dirty.insert(stray.id.clone());
        self.items
            .insert(stray.id.clone(), Item::Stray(Box::new(stray)));
    }
}

fn leave(seq: u64, tray: Tray) -> impl Iterator<Item = Sent> {
    tray.out.into_iter().map(move |message| Sent {
        seq,
        is_collective: false,
        subject: Arc::new(
            SubjectKey::parse(message.subject())
                .unwrap_or_else(|| SubjectKey::new(super::event::SubjectKind::Unresolved, "")),
        ),
        message,
    })
}

/// Says no to an act that has no case to be recorded in.
fn refuse(place: Place<'_>, act: &Act, why: &str, out: &mut Vec<Sent>) {
    let mut tray = Tray::default();
    let mut task = Task::bare(&act.object, &act.subject, place.clock);
    State::None.name().clone_into(&mut task.state);
    task.id = super::hash::sm3_hex(&[act.object.as_bytes(), act.id.as_bytes()]);
    task.act_id.clone_from(&act.id);
    (task.actor, task.role) = (act.actor.clone(), act.role.clone());
    why.clone_into(&mut task.why);
    tray.task(task);
    out.extend(leave(place.seq, tray));
}

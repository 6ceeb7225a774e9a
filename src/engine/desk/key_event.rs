//! Key events (重点事件): several warnings, sanctions and records that an officer tracks as one case.
//!
//! An officer opens one with a title and a reason, joins warnings, sanctions and records to it, takes out what does not belong,
//! and closes it with a conclusion; every act has who, when and why. What is joined keeps its own course: the whole course of the
//! event is its own steps and theirs, in the order of time, so nothing is written twice and nothing can differ.
//!
//! shape    the object of an act is `event:<id>`, the id chosen by who opens it; the target of `join` and `leave` is the id of a
//!          warning or sanction, or `source/record id` of a record; the target of `open` is the title
//! errors   an act that does not fit is refused aloud, with the reason, and changes nothing but the course
//! bounds   [`MEMBERS_MAX`] members; what is joined is kept as long as the event is

use super::act::{Act, ActKind};
use super::task::{Step, Task, Word, record};
use super::{Desk, Item, Place, Tray};
use crate::engine::event::{Event, RecordKey};
use crate::engine::hash::sm3_hex;
use crate::engine::schema::field;
use crate::engine::time::EventTime;
use crate::engine::work::Sent;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How the id of a key event begins.
pub const PREFIX: &str = "event:";
/// The most members of one event: beyond it nobody reads the report, and its course would fill the desk.
pub const MEMBERS_MAX: usize = 1_000;
/// The most bytes of an id, which stands in paths of the HTTP door.
const ID_BYTES_MAX: usize = 100;
/// The most bytes of a title.
const TITLE_BYTES_MAX: usize = 300;

/// Where a key event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// It is tracked.
    Open,
    /// It is over.
    Closed,
}

impl Phase {
    /// The word in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }

    /// The Chinese word.
    pub fn title(self) -> &'static str {
        match self {
            Self::Open => "跟踪中",
            Self::Closed => "已结案",
        }
    }
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 预警.
    Warning,
    /// 惩戒.
    Sanction,
    /// 记录: a complaint, an inspection, a penalty …
    Record,
}

impl Kind {
    /// The Chinese word.
    pub fn title(self) -> &'static str {
        match self {
            Self::Warning => "预警",
            Self::Sanction => "惩戒",
            Self::Record => "记录",
        }
    }
}

/// One thing that belongs to an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The id of a warning or sanction, or `source/record id`.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// When it was joined.
    pub joined_at: EventTime,
    /// Who joined it.
    pub joined_by: String,
    /// Why.
    pub why: String,
    /// Of a record: whether it has been withdrawn since.
    pub is_withdrawn: bool,
}

/// A key event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEvent {
    /// `event:…`.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// Where it stands.
    pub state: Phase,
    /// The subject that the opening act named.
    pub subject: String,
    /// Who opened it.
    pub opened_by: String,
    /// Why.
    pub reason: String,
    /// What it came to.
    pub conclusion: String,
    /// What belongs to it, in the order in which it was joined.
    pub members: Vec<Member>,
    /// Its own course.
    pub steps: Vec<Step>,
    /// When it was over.
    pub over_at: Option<EventTime>,
}

/// The identity of the record that the target of a `join` names: `source/record id`.
pub fn record_of(target: &str) -> Option<RecordKey> {
    let (source, record) = target.split_once('/')?;
    Some(RecordKey::of(source, record))
}

/// The record that an act joins to a key event, if it is such an act.
pub fn joins(act: &Event) -> Option<RecordKey> {
    let is_join = act.fields.text(field::act) == Some(ActKind::Join.name());
    let target = act.fields.text(field::target).filter(|_| is_join)?;
    record_of(target)
}

impl KeyEvent {
    /// An event that has no course yet.
    fn new(act: &Act) -> Self {
        Self {
            id: act.object.clone(),
            title: act.target.clone(),
            state: Phase::Open,
            subject: act.subject.clone(),
            opened_by: act.actor.clone(),
            reason: act.why.clone(),
            conclusion: String::new(),
            members: Vec::new(),
            steps: Vec::new(),
            over_at: None,
        }
    }

    /// Whether this belongs to it.
    pub fn has(&self, id: &str) -> bool {
        self.members.iter().any(|member| member.id == id)
    }

    /// Does what an officer asks, or says why not. `member` is the target of a `join`, or whether
    /// the event may be taken up again; `busy` is what keeps it from being closed.
    fn act(
        &mut self,
        place: Place<'_>,
        act: &Act,
        (member, busy): (Result<Kind, String>, &[String]),
        tray: &mut Tray,
    ) {
        let done = match (act.kind, self.state) {
            (ActKind::Open, _) if self.steps.is_empty() => Ok(Word::Opened),
            (ActKind::Open, _) => Err(format!("已由“{}”立为重点事件", self.opened_by)),
            (ActKind::Join, Phase::Open) => member.and_then(|kind| self.join(place, act, kind)),
            (ActKind::Leave, Phase::Open) => self.leave(act),
            (ActKind::Close, Phase::Open) => self.close(place, act, busy),
            (ActKind::Reopen, Phase::Closed) => member.map(|_| {
                (self.state, self.over_at) = (Phase::Open, None);
                self.conclusion.clear();
                Word::Reopened
            }),
            (kind, state) => Err(format!("重点事件{},不能{}", state.title(), kind.title())),
        };
        match done {
            Ok(word) => {
                let why = match act.kind {
                    ActKind::Close | ActKind::Reopen => act.why.clone(),
                    _ => format!("{} {}", act.target, act.why),
                };
                self.step(place, word, (Some(act), &why), tray);
            }
            Err(why) => self.step(place, Word::Refused, (Some(act), &why), tray),
        }
    }

    fn join(&mut self, place: Place<'_>, act: &Act, kind: Kind) -> Result<Word, String> {
        if self.has(&act.target) {
            return Err(format!("“{}”已在本事件中", act.target));
        }
        if MEMBERS_MAX <= self.members.len() {
            return Err(format!("已有 {MEMBERS_MAX} 项,不能再并入"));
        }
        self.members.push(Member {
            id: act.target.clone(),
            kind,
            joined_at: place.clock,
            joined_by: act.actor.clone(),
            why: act.why.clone(),
            is_withdrawn: false,
        });
        Ok(Word::Joined)
    }

    fn leave(&mut self, act: &Act) -> Result<Word, String> {
        let found = self.members.iter().position(|m| m.id == act.target);
        let at = found.ok_or_else(|| format!("“{}”不在本事件中", act.target))?;
        self.members.remove(at);
        Ok(Word::Left)
    }

    fn close(&mut self, place: Place<'_>, act: &Act, busy: &[String]) -> Result<Word, String> {
        if act.why.is_empty() {
            return Err("结案须写明结论(note)".to_owned());
        }
        if let Some(first) = busy.first() {
            return Err(format!("还有 {} 件预警未反馈,如 {first}", busy.len()));
        }
        (self.state, self.over_at) = (Phase::Closed, Some(place.clock));
        self.conclusion.clone_from(&act.why);
        Ok(Word::Closed)
    }

    /// Notes that a record that belongs to it no longer holds, or holds again.
    fn follow(&mut self, place: Place<'_>, (record, is_live): (&str, bool), tray: &mut Tray) {
        let found = self.members.iter_mut().find(|m| m.id == record);
        let Some(member) = found.filter(|member| member.is_withdrawn == is_live) else {
            return;
        };
        member.is_withdrawn = !is_live;
        let word = if is_live {
            Word::Linked
        } else {
            Word::Unlinked
        };
        self.step(place, word, (None, record), tray);
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
        let mut task = Task::bare(&self.id, &self.subject, place.clock);
        task.id = sm3_hex(&[self.id.as_bytes(), number.to_string().as_bytes()]);
        (task.number, task.step) = (number, word);
        word.title().clone_into(&mut task.step_title);
        self.state.name().clone_into(&mut task.state);
        task.title.clone_from(&self.title);
        if let Some(act) = act {
            (task.actor, task.role) = (act.actor.clone(), act.role.clone());
            task.act_id.clone_from(&act.id);
        }
        why.clone_into(&mut task.why);
        task.linked = self.members.iter().map(|m| m.id.clone()).collect();
        tray.task(task);
    }
}

impl Desk {
    /// The key events, by id.
    pub fn key_events(&self) -> impl Iterator<Item = &KeyEvent> {
        // The character after `:` ends the range of ids that begin with `event:`.
        let range = self.items.range(PREFIX.to_owned().."event;".to_owned());
        range.filter_map(|(_, item)| match item {
            Item::Event(event) => Some(&**event),
            _ => None,
        })
    }

    /// What belongs to key events, which is kept as long as they are.
    pub(super) fn tracked(&self) -> BTreeSet<String> {
        let members = self.key_events().flat_map(|event| &event.members);
        members.map(|member| member.id.clone()).collect()
    }

    /// The records that key events follow.
    pub fn followed(&self) -> impl Iterator<Item = RecordKey> {
        let members = self.key_events().flat_map(|event| &event.members);
        members
            .filter(|member| member.kind == Kind::Record)
            .filter_map(|member| record_of(&member.id))
    }

    /// An act on a key event; `is_known` says whether the record that a `join` names is known.
    pub(super) fn act_on_event(
        &mut self,
        place: Place<'_>,
        (act, is_known): (&Act, bool),
        out: &mut Vec<Sent>,
    ) {
        if !self.items.contains_key(&act.object) {
            if let Err(why) = may_begin(act) {
                return self.refuse(place, act, &why, out);
            }
            let event = Item::Event(Box::new(KeyEvent::new(act)));
            self.items.insert(act.object.clone(), event);
        }
        let member = match act.kind {
            ActKind::Reopen => self.may_reopen(&act.object).map(|()| Kind::Warning),
            _ => self.member(act, is_known),
        };
        let busy = self.busy(&act.object);
        self.change(place, &act.object, out, |item, tray| {
            if let Item::Event(event) = item {
                event.act(place, act, (member, &busy), tray);
            }
        });
    }

    /// What the target of a `join` is.
    fn member(&self, act: &Act, is_known: bool) -> Result<Kind, String> {
        if act.target.contains('/') {
            let none = || format!("没有记录“{}”(写作 来源/记录号)", act.target);
            return is_known.then_some(Kind::Record).ok_or_else(none);
        }
        let kind = match self.items.get(&act.target) {
            Some(Item::Case(_)) => Kind::Warning,
            Some(Item::Order(_)) => Kind::Sanction,
            _ => return Err(format!("没有编号为“{}”的预警或惩戒建议", act.target)),
        };
        self.is_free(&act.target, &act.object).map(|()| kind)
    }

    /// Whether no other open event has it.
    fn is_free(&self, id: &str, event: &str) -> Result<(), String> {
        let has =
            |other: &&KeyEvent| other.id != event && other.state == Phase::Open && other.has(id);
        match self.key_events().find(has) {
            Some(other) => Err(format!(
                "“{id}”已并入重点事件 {}“{}”",
                other.id, other.title
            )),
            None => Ok(()),
        }
    }

    fn may_reopen(&self, event: &str) -> Result<(), String> {
        let Some(Item::Event(found)) = self.items.get(event) else {
            return Ok(());
        };
        let mut members = found.members.iter().filter(|m| m.kind != Kind::Record);
        members.try_for_each(|m| self.is_free(&m.id, event))
    }

    /// The warnings of an event on which departments still have to feed back.
    fn busy(&self, event: &str) -> Vec<String> {
        let Some(Item::Event(event)) = self.items.get(event) else {
            return Vec::new();
        };
        let is_busy =
            |id: &str| matches!(self.items.get(id), Some(Item::Case(case)) if case.is_open());
        let ids = event.members.iter().map(|member| member.id.clone());
        ids.filter(|id| is_busy(id)).collect()
    }

    /// Tells the key events that follow a record what became of it.
    pub(super) fn follow(&mut self, place: Place<'_>, event: &Event, out: &mut Vec<Sent>) {
        if self.followers.is_empty() {
            return;
        }
        let record = format!("{}/{}", event.source, event.record_id);
        let keys = self.followers.get(&record).cloned().unwrap_or_default();
        for key in keys {
            let mut tray = Tray::default();
            if let Some(Item::Event(item)) = self.items.get_mut(&key) {
                item.follow(place, (&record, event.is_live()), &mut tray);
            }
            if !tray.out.is_empty() {
                self.dirty.insert(key);
                out.extend(super::leave(place.seq, tray));
            }
        }
    }
}

fn may_begin(act: &Act) -> Result<(), String> {
    let id = act.object.strip_prefix(PREFIX).unwrap_or_default();
    if act.kind != ActKind::Open {
        return Err(format!("没有编号为“{}”的重点事件,须先立(open)", act.object));
    }
    let is_plain = |text: &str, bytes_max: usize| {
        !text.is_empty() && text.len() <= bytes_max && !text.contains(char::is_control)
    };
    if !is_plain(id, ID_BYTES_MAX) || id.contains(|c: char| c.is_whitespace() || c == '/') {
        return Err(format!(
            "编号“{id}”不能用:须不含空白和斜线,至多 {ID_BYTES_MAX} 字节"
        ));
    }
    if !is_plain(&act.target, TITLE_BYTES_MAX) {
        return Err(format!(
            "重点事件须有名称(target),至多 {TITLE_BYTES_MAX} 字节"
        ));
    }
    Ok(())
}

//! What an officer did, read from a fact of the stream `action`.
//!
//! shape    `{act, warning_id, actor, actor_role, target, note}`; `warning_id` names a warning, a sanction, `rule:<id>` or `event:<id>`
//! errors   an act that cannot be read is refused aloud with the reason

use super::task::Origin;
use crate::engine::event::RecordKey;
use crate::engine::record::Prepared;
use crate::engine::schema::field;
use crate::engine::time::EventTime;

macro_rules! acts {
    ($(($name:ident, $word:literal, $title:literal),)*) => {
        /// What can be done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ActKind { $(#[doc = $title] $name),* }

        impl ActKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word in a record.
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

acts! {
    (Claim, "claim", "认领"),
    (Verify, "verify", "开始核查"),
    (Dispose, "dispose", "开始处置"),
    (Close, "close", "办结"),
    (Reopen, "reopen", "发回重办"),
    (Return, "return", "退回"),
    (Transfer, "transfer", "转办"),
    (Merge, "merge", "合并"),
    (Escalate, "escalate", "升级"),
    (Remind, "remind", "催办"),
    (Confirm, "confirm", "确认惩戒"),
    (Reject, "reject", "不予惩戒"),
    (Receive, "receive", "签收"),
    (Apply, "apply", "措施落实"),
    (Remove, "remove", "措施解除"),
    (Halt, "halt", "停用惩戒"),
    (Release, "release", "恢复惩戒"),
    (Feedback, "feedback", "反馈"),
    (Open, "open", "立为重点事件"),
    (Join, "join", "并入重点事件"),
    (Leave, "leave", "移出重点事件"),
}

/// An act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// The record's id: the same act twice is one act.
    pub id: String,
    /// Which record and version it was.
    pub origin: Origin,
    /// When it was done.
    pub at: EventTime,
    /// Who.
    pub actor: String,
    /// As what.
    pub role: String,
    /// On what: the id of a warning or a sanction, `rule:<id>`, or `event:<id>`.
    pub object: String,
    /// The subject that the record names.
    pub subject: String,
    /// What.
    pub kind: ActKind,
    /// To whom: a department, or the warning to merge into; of a key event, its title, or what to join.
    pub target: String,
    /// Why; of feedback: the verdict.
    pub why: String,
}

impl Act {
    /// Reads an act, or says in Chinese why it is none.
    pub fn read(record: &Prepared) -> Result<Self, String> {
        let mut act = Self::unread(record);
        let word = record.event.fields.text(field::act).unwrap_or_default();
        let known = ActKind::ALL
            .iter()
            .find(|kind| kind.name() == word && **kind != ActKind::Feedback);
        let Some(kind) = known else {
            let words: Vec<&str> = ActKind::ALL.iter().map(|kind| kind.name()).collect();
            return Err(format!("动作“{word}”不在 {} 之中", words.join("、")));
        };
        act.kind = *kind;
        if act.actor.is_empty() {
            return Err("没有写明经办人(actor)".to_owned());
        }
        if act.role != "officer" {
            return Err(format!("角色“{}”无权处置,需要 officer", act.role));
        }
        let needs_why = matches!(
            kind,
            ActKind::Return
                | ActKind::Reject
                | ActKind::Reopen
                | ActKind::Halt
                | ActKind::Release
                | ActKind::Merge
                | ActKind::Open
                | ActKind::Join
                | ActKind::Leave
        );
        if needs_why && act.why.is_empty() {
            return Err(format!("{}须写明理由(note)", kind.title()));
        }
        let needs_target = matches!(
            kind,
            ActKind::Transfer
                | ActKind::Merge
                | ActKind::Receive
                | ActKind::Apply
                | ActKind::Remove
                | ActKind::Open
                | ActKind::Join
                | ActKind::Leave
        );
        if needs_target && act.target.is_empty() {
            return Err(format!("{}须写明对象(target)", kind.title()));
        }
        Ok(act)
    }

    /// What can be read of it in any case.
    pub fn unread(record: &Prepared) -> Self {
        let event = &record.event;
        let text = |f| event.fields.text(f).unwrap_or_default().to_owned();
        Self {
            id: event.record_id.to_string(),
            origin: Origin::of(record),
            at: event.occurred_at,
            actor: text(field::actor),
            role: text(field::actor_role),
            object: text(field::warning_id),
            subject: event.home().map(ToString::to_string).unwrap_or_default(),
            kind: ActKind::Feedback,
            target: text(field::target),
            why: text(field::note),
        }
    }

    /// A word of feedback as an act.
    pub fn of_feedback(record: &Prepared) -> Self {
        let mut act = Self::unread(record);
        let text = |f| record.event.fields.text(f).unwrap_or_default().to_owned();
        act.actor = text(field::unit);
        "officer".clone_into(&mut act.role);
        act.why = text(field::verdict);
        act
    }

    /// Which of several words of officers is the latest.
    pub fn rank(&self) -> (EventTime, i64, RecordKey) {
        (self.at, self.origin.rank.version, self.origin.key)
    }
}

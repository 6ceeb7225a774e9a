//! What of a rule is understood without Rhai, and what is left to it: for `rule plan`.
//!
//! cost     at load only

use super::clause::{Atom, Clause};
use super::{Guard, Question, Step, Tree, Wanted};
use crate::engine::rule::ask::Filter;
use crate::engine::time::DAY_MS;
use rhai::Position;

/// A place that is left to Rhai.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::rule) struct Gap {
    /// Where.
    pub at: Position,
}

/// The places of a guard that are left to Rhai, in the order of the text.
pub(in crate::engine::rule) fn gaps(guard: &Guard) -> Vec<Gap> {
    let mut found = Vec::new();
    in_steps(&guard.voice.body, &mut found);
    found.sort_by_key(|gap| (gap.at.line(), gap.at.position()));
    found.dedup();
    found
}

fn in_steps(steps: &[Step], found: &mut Vec<Gap>) {
    for step in steps {
        match step {
            Step::Unknown(gap) => found.push(*gap),
            Step::Set(_, tree)
            | Step::Change(_, _, tree)
            | Step::Check(tree)
            | Step::Value(tree)
            | Step::Return(Some(tree)) => in_tree(tree, found),
            Step::If(condition, yes, no) => {
                in_tree(condition, found);
                in_steps(yes, found);
                in_steps(no, found);
            }
            Step::For(_, list, body) => {
                in_tree(list, found);
                in_steps(body, found);
            }
            Step::Say(saying) => {
                for tree in saying.trees() {
                    in_tree(tree, found);
                }
            }
            Step::Sort(_)
            | Step::Dedup(_)
            | Step::Nothing
            | Step::Return(None)
            | Step::Continue
            | Step::Break => {}
        }
    }
}

fn in_tree(tree: &Tree, found: &mut Vec<Gap>) {
    match tree {
        Tree::Field(of, _)
        | Tree::Time(of)
        | Tree::Stream(of)
        | Tree::Id(of)
        | Tree::Not(of)
        | Tree::Negative(of)
        | Tree::AnyOf(of, _) => in_tree(of, found),
        Tree::And(parts)
        | Tree::Or(parts)
        | Tree::Coalesce(parts)
        | Tree::Call(_, parts)
        | Tree::Joined(parts) => {
            for part in parts {
                in_tree(part, found);
            }
        }
        Tree::At(pair) | Tree::Compare(_, pair) | Tree::Arithmetic(_, pair) => {
            for part in pair.iter() {
                in_tree(part, found);
            }
        }
        Tree::Each(_, list, _, body) => {
            in_tree(list, found);
            in_steps(body, found);
        }
        Tree::Block(steps) => in_steps(steps, found),
        Tree::Inline(sets, steps) => {
            for (_, tree) in sets {
                in_tree(tree, found);
            }
            in_steps(steps, found);
        }
        Tree::Constant(_)
        | Tree::Slot(_)
        | Tree::Anchor
        | Tree::Now
        | Tree::Name
        | Tree::Question(..) => {}
    }
}

/// A clause as an analyst reads it: `ev.result 为“不合格”`, `who.count(complaint, 7d) ≥ 3`.
pub(in crate::engine::rule) fn words(clause: &Clause) -> String {
    let parts: Vec<String> = clause.iter().map(atom).collect();
    parts.join(" 或 ")
}

fn atom(atom: &Atom) -> String {
    match atom {
        Atom::Of(stream) => format!("事件为 {}", stream.name()),
        Atom::Text(field, text) => format!("ev.{} 为“{text}”", field.name()),
        Atom::Truth(field, truth) => {
            format!("ev.{} 为{}", field.name(), if *truth { "是" } else { "否" })
        }
        Atom::Held(field) => format!("有 ev.{}", field.name()),
        Atom::Lacks(field) => format!("没有 ev.{}", field.name()),
        Atom::Amount(field, least) => format!("ev.{} ≥ {least}", field.name()),
        Atom::Facts(stream, least) => format!("{} 记录 ≥ {least}", stream.name()),
        Atom::Asked(ask) => match ask.question {
            Question::Count(..)
            | Question::CountBy(..)
            | Question::Distinct(..)
            | Question::List(..)
            | Question::Licences => format!("{} ≥ {}", question(&ask.question), ask.least),
            _ => format!("有 {}", question(&ask.question)),
        },
    }
}

fn question(question: &Question) -> String {
    let filter = |wanted: &Wanted| match wanted {
        Wanted::All => String::new(),
        Wanted::Fixed(filter) => format!(", {}", Filter::text(filter)),
        Wanted::Made(..) => ", …".to_owned(),
    };
    match question {
        Question::Count(stream, ms, wanted) => {
            format!(
                "who.count({}, {}{})",
                stream.name(),
                span(ms.ms),
                filter(wanted)
            )
        }
        Question::CountBy(stream, field, ms, wanted) => format!(
            "who.count_by({}, {}, {}{})",
            stream.name(),
            field.name(),
            span(ms.ms),
            filter(wanted)
        ),
        Question::Sum(stream, field, ms) => {
            format!(
                "who.sum({}, {}, {})",
                stream.name(),
                field.name(),
                span(ms.ms)
            )
        }
        Question::Distinct(stream, field, ms) => {
            format!(
                "who.distinct({}, {}, {})",
                stream.name(),
                field.name(),
                span(ms.ms)
            )
        }
        Question::Average(stream, ms, days) => {
            let name = if *days == 7 {
                "weekly_average"
            } else {
                "daily_average"
            };
            format!("who.{name}({}, {})", stream.name(), span(ms.ms))
        }
        Question::List(stream, ms, wanted) => {
            format!(
                "who.list({}, {}{})",
                stream.name(),
                span(ms.ms),
                filter(wanted)
            )
        }
        Question::Last(stream, _, wanted) => {
            format!("who.last({}{})", stream.name(), filter(wanted))
        }
        Question::DaysSince(stream, _, wanted) => {
            format!("who.days_since({}{})", stream.name(), filter(wanted))
        }
        Question::Licence(kind) => format!("who.licence({})", text(kind)),
        Question::Licences => "who.licences()".to_owned(),
        Question::OnList(list) => format!("who.on_list({})", text(list)),
        Question::ListEntry(list) => format!("who.list_entry({})", text(list)),
        Question::HasTag(tag) => format!("who.has_tag({})", text(tag)),
        Question::Registry => "who.registry()".to_owned(),
    }
}

fn text(tree: &Tree) -> &str {
    match tree {
        Tree::Constant(super::value::Constant::Text(text)) => text,
        _ => "…",
    }
}

fn span(ms: i64) -> String {
    if ms % DAY_MS == 0 {
        format!("{}d", ms / DAY_MS)
    } else {
        format!("{}h", ms / 3_600_000)
    }
}

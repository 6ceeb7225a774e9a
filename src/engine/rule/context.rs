//! One judgement: what is judged, as of when, and what the rule asked and said on the way.
//!
//! The context goes with the call as Rhai's tag, so that `warn(…)` and `working_days(…)` find it whoever calls them. It
//! keeps each question to `who` with its answer, and where the answer came from; texts and evidence are made of that only
//! when the rule said something.
//!
//! bounds   [`OBSERVED_MAX`] questions are kept for the text, [`SEEN_MAX`] for the evidence

use super::compiled::{Core, Rule, Shared};
use super::convert::{fail, fault};
use crate::engine::event::{Event, RecordKey};
use crate::engine::schema::{Field, Stream};
use crate::engine::subject::groups::GroupKey;
use crate::engine::subject::view::{
    Anchor, EVIDENCE_MAX, OBSERVED_MAX, Observation, SanctionCall, SignalCall, Verdict, View,
    WarnCall,
};
use crate::engine::time::EventTime;
use rhai::{Dynamic, EvalAltResult, NativeCallContext};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most answers of one judgement whose facts become evidence.
const SEEN_MAX: usize = 64;

/// One judgement.
#[derive(Debug)]
pub(super) struct Context {
    /// The rule.
    pub rule: Arc<Core>,
    /// The subject.
    pub view: View,
    /// What is judged.
    pub anchor: Anchor,
    /// The anchor's event; none for a day of a group.
    pub event: Option<Arc<Event>>,
    /// As of when.
    pub as_of: EventTime,
    book: Mutex<Book>,
}

/// What was asked and said.
#[derive(Debug, Default)]
pub(super) struct Book {
    asked: Vec<Asked>,
    seen: Vec<Seen>,
    /// Comparisons in the order in which they were made, when somebody asks why.
    pub compared: Vec<super::trace::Compared>,
    /// What variables held when they were read, when somebody asks why.
    pub held: std::collections::BTreeMap<String, Vec<String>>,
    /// The facts that the rule named itself.
    pub named: Option<Vec<(EventTime, RecordKey)>>,
    /// The last call of `warn`.
    pub warning: Option<WarnCall>,
    /// The last call of `signal`.
    pub signal: Option<SignalCall>,
    /// The last call of `sanction`.
    pub sanction: Option<SanctionCall>,
    /// The earliest time asked for with `check_on`.
    pub check_at: Option<EventTime>,
}

#[derive(Debug)]
struct Asked {
    what: Question,
    answer: Answer,
}

/// A question to `who`, kept without text.
#[derive(Debug, Clone)]
pub(super) enum Question {
    /// `count(complaint, 7d)` and its like: method, stream, span.
    Window(&'static str, Stream, rhai::ImmutableString),
    /// The same with a field or a filter in between, as text.
    Detail(&'static str, Stream, Box<str>, rhai::ImmutableString),
    /// `last(complaint)`.
    Stream(&'static str, Stream),
    /// `on_list(abnormal)`.
    Name(&'static str, rhai::ImmutableString),
    /// `registry()`.
    Plain(&'static str),
}

impl Question {
    fn text(&self) -> Box<str> {
        match self {
            Self::Window(method, stream, span) => format!("{method}({}, {span})", stream.name()),
            Self::Detail(method, stream, detail, span) if span.is_empty() => {
                format!("{method}({}, {detail})", stream.name())
            }
            Self::Detail(method, stream, detail, span) => {
                format!("{method}({}, {detail}, {span})", stream.name())
            }
            Self::Stream(method, stream) => format!("{method}({})", stream.name()),
            Self::Name(method, name) => format!("{method}({name})"),
            Self::Plain(method) => format!("{method}()"),
        }
        .into_boxed_str()
    }
}

/// An answer, kept without text where it can be.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// A number, or whether something holds.
    Value(Dynamic),
    /// So many facts.
    Facts(usize),
    /// Something that happened then.
    At(EventTime),
    /// Nothing.
    None,
}

impl Answer {
    fn text(&self) -> Box<str> {
        match self {
            Self::Value(value) if value.is_bool() => if value.as_bool().unwrap_or(false) {
                "是"
            } else {
                "否"
            }
            .into(),
            Self::Value(value) if value.is_unit() => "无".into(),
            Self::Value(value) => value.to_string().into_boxed_str(),
            Self::Facts(count) => format!("{count} 条").into_boxed_str(),
            Self::At(time) => time.to_string().into_boxed_str(),
            Self::None => "无".into(),
        }
    }
}

/// Where an answer came from.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    /// All facts of the stream after that time.
    After(Stream, EventTime),
    /// These facts.
    Keys(Vec<(EventTime, RecordKey)>),
    /// No single facts.
    Nothing,
}

impl Context {
    /// A judgement that nothing has been asked in.
    pub(super) fn new(
        rule: Arc<Core>,
        view: View,
        anchor: Anchor,
        event: Option<Arc<Event>>,
        as_of: EventTime,
    ) -> Self {
        Self {
            rule,
            view,
            anchor,
            event,
            as_of,
            book: Mutex::new(Book::default()),
        }
    }

    /// What was asked and said so far.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        // A poisoned book belongs to a call that panicked; nobody reads it after that.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a question and its answer.
    pub(super) fn note(&self, what: Question, answer: Answer, seen: Seen) {
        let mut book = self.book();
        if book.asked.len() < OBSERVED_MAX {
            book.asked.push(Asked { what, answer });
        }
        if book.seen.len() < SEEN_MAX && !matches!(seen, Seen::Nothing) {
            book.seen.push(seen);
        }
    }

    /// When the anchor happened.
    pub(super) fn anchor_time(&self) -> EventTime {
        match (self.anchor, &self.event) {
            (Anchor::Day(day), _) => EventTime::from_day(day),
            (Anchor::Fact(_), Some(event)) => event.occurred_at,
            (Anchor::Fact(_), None) => self.as_of,
        }
    }

    /// The anchor's stream.
    pub(super) fn anchor_stream(&self) -> Stream {
        match (&self.view, &self.event) {
            (View::Collective { group, .. }, _) => group.stream,
            (View::Individual { .. }, Some(event)) => event.stream,
            (View::Individual { .. }, None) => self
                .rule
                .manifest
                .on
                .first()
                .copied()
                .unwrap_or(Stream::Complaint),
        }
    }

    /// How evidence names the anchor: the event, or `region:320106 2026-03-01`.
    pub(super) fn anchor_id(&self) -> String {
        match (&self.view, &self.event) {
            (View::Individual { .. }, Some(event)) => event.id(),
            (View::Individual { key, .. } | View::Collective { key, .. }, _) => {
                format!("{key} {}", EventTime::from_day(self.anchor_time().day()))
            }
        }
    }

    /// The value that the judged group has for a field of the rule's `by`.
    pub(super) fn group_value(
        &self,
        group: &GroupKey,
        field: Field,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        let by = &self.rule.manifest.by;
        let Some(at) = by.iter().position(|f| *f == field) else {
            return fail(format!(
                "群体主体的规则只能读 by 里的字段,没有 {}",
                field.name()
            ));
        };
        Ok(group
            .values
            .get(at)
            .filter(|value| !value.is_empty())
            .map_or(Dynamic::UNIT, |value| value.as_ref().into()))
    }

    /// What the rule said, with the texts if it said anything (or if they are wanted anyway).
    pub(super) fn verdict(&self, with_observations: bool) -> Verdict {
        let mut book = self.book();
        let says = book.warning.is_some() || book.signal.is_some() || book.sanction.is_some();
        let observed = if says || with_observations {
            book.asked
                .iter()
                .map(|asked| Observation {
                    what: asked.what.text(),
                    value: asked.answer.text(),
                })
                .collect()
        } else {
            Vec::new()
        };
        let evidence = if says {
            self.evidence(&book)
        } else {
            Vec::new()
        };
        Verdict {
            warning: book.warning.take(),
            signal: book.signal.take(),
            sanction: book.sanction.take(),
            check_at: book.check_at,
            observed,
            evidence,
        }
    }

    /// The newest [`EVIDENCE_MAX`] facts, oldest first, without the anchor.
    fn evidence(&self, book: &Book) -> Vec<RecordKey> {
        let mut facts: Vec<(EventTime, RecordKey)> = Vec::new();
        if let Some(named) = &book.named {
            facts.extend(named);
        } else if let View::Individual { facts: held, .. } = &self.view {
            for seen in &book.seen {
                match seen {
                    Seen::After(stream, after) => {
                        let window = held.window(*stream, *after, self.as_of);
                        // One more than kept, because the anchor may be among them.
                        let from = window.len().saturating_sub(EVIDENCE_MAX + 1);
                        let newest = window.get(from..).unwrap_or(&[]);
                        facts.extend(newest.iter().map(|fact| (fact.time, fact.key)));
                    }
                    Seen::Keys(keys) => facts.extend(keys),
                    Seen::Nothing => {}
                }
            }
        }
        if let Anchor::Fact(anchor) = self.anchor {
            facts.retain(|(_, key)| *key != anchor);
        }
        facts.sort_unstable();
        facts.dedup();
        let from = facts.len().saturating_sub(EVIDENCE_MAX);
        facts
            .split_off(from)
            .into_iter()
            .map(|(_, key)| key)
            .collect()
    }
}

/// What goes with a call.
#[derive(Debug, Clone)]
pub(super) enum Tag {
    /// `decide` judges something.
    Judgement(Arc<Context>),
    /// A test function of the rule runs.
    Test(Arc<Rule>),
}

/// The tag of a call.
pub(super) fn tag(call: &NativeCallContext) -> Option<Tag> {
    call.tag()?.read_lock::<Tag>().map(|tag| tag.clone())
}

/// The judgement that a function is called in.
pub(super) fn current(call: &NativeCallContext) -> Result<Arc<Context>, Box<EvalAltResult>> {
    match tag(call) {
        Some(Tag::Judgement(context)) => Ok(context),
        _ => Err(fault(
            format!("{} 只能在 decide 里调用", call.fn_name()),
            call.call_position(),
        )),
    }
}

/// What all rules share, in a judgement or a test.
pub(super) fn shared(call: &NativeCallContext) -> Result<Arc<Shared>, Box<EvalAltResult>> {
    match tag(call) {
        Some(Tag::Judgement(context)) => Ok(Arc::clone(&context.rule.shared)),
        Some(Tag::Test(rule)) => Ok(Arc::clone(&rule.core.shared)),
        None => Err(fault(
            format!("{} 不能在这里调用", call.fn_name()),
            call.call_position(),
        )),
    }
}

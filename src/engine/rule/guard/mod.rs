//! A rule's first look, without Rhai: whether it surely has nothing to say.
//!
//! Most judgements end in `return;` before anything is said, and most of their cost is Rhai's. So `decide` is also kept as
//! a small tree ([`compile`]) of what this module understands: `let`, `if`, `for`, `return`, questions to `who`, fields,
//! comparisons, arithmetic, dates, texts, closures over lists, `check_on`. [`Guard::look`] runs it ([`eval`]). It answers
//! only when it came to a `return` (or the end) through nothing but what it understands, without any failure; then Rhai
//! would have come there too, and nothing would have been said. In every other case it does not know, and Rhai judges from
//! the start.
//!
//! So a first look can never make a warning, change one, or hide a failure. A property test holds it to Rhai's answer.
//!
//! A rule that does speak is run by the same tree with what it says in it ([`voice`]), if all that it does there is
//! understood, without any failure; its questions and their answers go into the same notes, by the same functions, as
//! with Rhai. A property test, and a sampled check in production, hold the verdicts to each other: all words, values and
//! evidence.
//!
//! A question whose words all stand in the rule has a number ([`Questions`]), the same in every rule that asks it; its
//! answer is kept in a [`Memo`] for the other rules that judge the same subject as of the same time.
//!
//! bounds   [`FUEL_MAX`] steps, far below Rhai's limit of operations; no more than [`SLOTS_MAX`] variables
//! cost     tens of nanoseconds and what the questions cost, once for all rules

mod clause;
mod compile;
mod eval;
mod kinds;
mod memo;
mod operate;
mod plan;
mod questions;
#[cfg(test)]
mod tests;
mod value;
mod voice;
mod witness;

pub(super) use clause::{Atom, Clause, Witness, price};
pub use memo::Memo;
pub(super) use memo::Questions;
pub(super) use plan::{Gap, gaps, words};

use super::ask::Filter;
use super::bodies::Body;
use super::compiled::Core;
use super::context::Context;
use super::manifest::Manifest;
use crate::engine::event::{Event, SubjectKey};
use crate::engine::schema::{Field, Stream};
use crate::engine::subject::facts::Facts;
use crate::engine::subject::groups::{GroupKey, Groups};
use crate::engine::subject::view::Verdict;
use crate::engine::time::EventTime;
use rhai::{ImmutableString, Map};
use value::{Constant, Words};
use voice::Saying;

/// The most steps of one run. Rhai counts a few operations for each of them.
const FUEL_MAX: u32 = 10_000;
/// The most variables of a guard; Rhai has a limit too.
const SLOTS_MAX: usize = 40;

/// The tree of `decide`.
#[derive(Debug)]
pub(super) struct Guard {
    body: Vec<Step>,
    slots: usize,
    /// The same with what the rule says.
    voice: Voice,
}

/// The tree of `decide` with what it says; see [`voice`].
#[derive(Debug)]
struct Voice {
    body: Vec<Step>,
    slots: usize,
}

/// Whose state a guard looks at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose<'a> {
    /// An individual: its facts, and which of them is judged.
    Individual(&'a Facts, &'a Event),
    /// A collective: its counts, and which group is judged on which day.
    Collective(&'a Groups, &'a GroupKey, EventTime),
}

/// What a guard looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'a> {
    /// The rule.
    pub core: &'a Core,
    /// The subject.
    pub key: &'a SubjectKey,
    /// Its state and what is judged.
    pub whose: Whose<'a>,
    /// As of when.
    pub as_of: EventTime,
}

/// What a first look shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The rule says nothing, and wants to be asked again at this time if there is one.
    Silent(Option<EventTime>),
    /// Only Rhai can tell.
    Unknown,
}

impl Look {
    /// Whether Rhai's verdict is what this look foretold.
    pub(super) fn agrees(self, verdict: &Verdict) -> bool {
        match self {
            Self::Unknown => true,
            Self::Silent(check_at) => {
                *verdict
                    == Verdict {
                        check_at,
                        ..Verdict::default()
                    }
            }
        }
    }
}

impl Guard {
    /// The guard of a rule, if any of it is understood.
    pub(super) fn new(
        bodies: &[Body],
        params: &Map,
        manifest: &Manifest,
        questions: &mut Questions,
    ) -> Option<Self> {
        let (body, slots) = compile::decide(bodies, params, manifest, (questions, false))?;
        let (spoken, with_voice) = compile::decide(bodies, params, manifest, (questions, true))?;
        let guard = Self {
            body,
            slots,
            voice: Voice {
                body: spoken,
                slots: with_voice,
            },
        };
        let starts_blind = matches!(guard.voice.body.first(), Some(Step::Unknown(_)));
        (guard.slots <= SLOTS_MAX && !starts_blind).then_some(guard)
    }

    /// What must be so before the rule can say anything.
    pub(super) fn witness(&self, manifest: &Manifest, questions: &mut Questions) -> Witness {
        Witness::of(self, manifest, questions)
    }

    /// Whether the rule surely says nothing and does not fail.
    pub(super) fn look<'a>(&'a self, sight: Sight<'a>, memo: &mut Memo<'a>) -> Look {
        eval::run(self, sight, memo)
    }

    /// Runs the rule to its end, with what it asks and says noted in the context; false if only Rhai can.
    pub(super) fn speak<'a>(&'a self, sight: Sight<'a>, context: &Context) -> bool {
        self.voice.slots <= SLOTS_MAX && eval::speak(&self.voice, sight, context)
    }
}

/// The answer to a question as a number: a count, the length of a list, 1 for what is there or true; none if only Rhai can
/// tell.
pub(super) fn measure<'a>(
    question: &'a Question,
    number: u32,
    sight: Sight<'a>,
    memo: &mut Memo<'a>,
) -> Option<i64> {
    eval::measure(question, number, sight, memo)
}

/// A statement.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// `let x = …`, `x = …`.
    Set(usize, Tree),
    /// `x += …` and its like.
    Change(usize, Operation, Tree),
    /// `x.sort()`.
    Sort(usize),
    /// `x.dedup()`.
    Dedup(usize),
    /// `check_on(…)`.
    Check(Tree),
    /// `warn(#{ … })` and its like; only where the rule speaks, see [`voice`].
    Say(Saying),
    /// `if … { … } else { … }`.
    If(Tree, Vec<Step>, Vec<Step>),
    /// `for x in … { … }`.
    For(usize, Tree, Vec<Step>),
    /// An expression; the last one is the value of its block.
    Value(Tree),
    /// `;` alone.
    Nothing,
    /// `return`, with a value in a function.
    Return(Option<Tree>),
    /// `continue`.
    Continue,
    /// `break`.
    Break,
    /// What the guard does not understand: whoever comes here does not know.
    Unknown(Gap),
}

/// An expression.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Constant(Constant),
    Slot(usize),
    /// `ev`.
    Anchor,
    /// `who.now`.
    Now,
    Field(Box<Tree>, Field),
    /// `who.name`.
    Name,
    /// `x[i]`.
    At(Box<[Tree; 2]>),
    /// `x.time`.
    Time(Box<Tree>),
    /// `x.stream`.
    Stream(Box<Tree>),
    /// `x.id`, in texts; only where the rule speaks, see [`voice`].
    Id(Box<Tree>),
    /// A question, with its number if all rules that ask it get the same answer.
    Question(Box<Question>, Option<u32>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Coalesce(Vec<Tree>),
    Not(Box<Tree>),
    Negative(Box<Tree>),
    Compare(Comparison, Box<[Tree; 2]>),
    Arithmetic(Operation, Box<[Tree; 2]>),
    Call(Function, Vec<Tree>),
    /// A text with expressions in it; only where the rule speaks, see [`voice`].
    Joined(Vec<Tree>),
    /// Whether a text, or a list, contains one of some words.
    AnyOf(Box<Tree>, Words),
    /// A list and a closure over its items: the item's slot and the body.
    Each(Each, Box<Tree>, usize, Vec<Step>),
    Block(Vec<Step>),
    /// A function of the rule: arguments into slots, then its body.
    Inline(Vec<(usize, Tree)>, Vec<Step>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Each {
    Some,
    All,
    Filter,
    Map,
}

/// A function that the guard knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Min,
    Max,
    Abs,
    Len,
    IsEmpty,
    Contains,
    Date,
    DaysBetween,
    AddDays,
    WorkingDays,
    AddWorkingDays,
    YearStart,
    Round,
}

/// A window, within the rule's history.
#[derive(Clone)]
pub(super) struct Span {
    pub ms: i64,
    /// As the rule writes it: `1w` is `7d` to a question, and not to the note of it.
    pub text: ImmutableString,
}

impl core::fmt::Debug for Span {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ms", self.ms)
    }
}

/// A question to `who`. Where there is no span, the rule's history stands in its place, ms.
#[derive(Debug, Clone)]
pub(super) enum Question {
    Count(Stream, Span, Wanted),
    CountBy(Stream, Field, Span, Wanted),
    Sum(Stream, Field, Span),
    Distinct(Stream, Field, Span),
    /// Facts per so many days.
    Average(Stream, Span, i64),
    List(Stream, Span, Wanted),
    Last(Stream, i64, Wanted),
    DaysSince(Stream, i64, Wanted),
    Licence(Tree),
    Licences,
    OnList(Tree),
    ListEntry(Tree),
    HasTag(Tree),
    Registry,
}

impl Question {
    /// The same about what a variable stands for, where it is about the variable and must have an answer that is `()` or not.
    fn with_constant(&self, slot: usize, constant: &Constant) -> Option<Self> {
        let is_it = |tree: &Tree| matches!(tree, Tree::Slot(same) if *same == slot);
        let of = || Tree::Constant(constant.clone());
        match self {
            Self::Licence(what) if is_it(what) => Some(Self::Licence(of())),
            Self::ListEntry(what) if is_it(what) => Some(Self::ListEntry(of())),
            _ => None,
        }
    }

    /// The stream whose facts it is about.
    pub(super) fn stream(&self) -> Stream {
        match self {
            Self::Count(stream, ..)
            | Self::CountBy(stream, ..)
            | Self::Sum(stream, ..)
            | Self::Distinct(stream, ..)
            | Self::Average(stream, ..)
            | Self::List(stream, ..)
            | Self::Last(stream, ..)
            | Self::DaysSince(stream, ..) => *stream,
            Self::Licence(_) | Self::Licences => Stream::Licence,
            Self::OnList(_) | Self::ListEntry(_) => Stream::ListChange,
            Self::HasTag(_) | Self::Registry => Stream::RegistryChange,
        }
    }
}

/// A filter: none, known at load, or made of values and what is known at load.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    All,
    Fixed(Filter),
    Made(Vec<(Field, Tree)>, Option<Filter>),
}

//! A rule's first look, without Rhai: whether it surely has nothing to say.
//!
//! Most judgements end in `return;` before anything is said, and most of their cost is Rhai's. So `decide` is also kept as
//! a small tree ([`compile`]) of what this module understands: `let`, `if`, `for`, `return`, questions to `who`, fields,
//! comparisons, arithmetic, dates, closures over lists. [`Guard::is_silent`] runs it ([`eval`]). It answers only when it
//! came to a `return` (or the end) through nothing but what it understands, without any failure; then Rhai would have come
//! there too, and nothing would have been said. In every other case it does not know, and Rhai judges from the start.
//!
//! So a guard can never make a warning, change one, or hide a failure. A property test holds it to Rhai's answer.
//!
//! bounds   [`FUEL_MAX`] steps, far below Rhai's limit of operations; no more than [`SLOTS_MAX`] variables
//! cost     tens of nanoseconds and what the questions cost

mod compile;
mod eval;
mod questions;
#[cfg(test)]
mod tests;
mod value;

use super::ask::Filter;
use super::bodies::Body;
use super::manifest::Manifest;
use crate::engine::calendar::Calendar;
use crate::engine::event::Event;
use crate::engine::schema::{Field, Stream};
use crate::engine::subject::facts::Facts;
use crate::engine::time::EventTime;
use rhai::Map;
use value::Constant;

/// The most steps of one run. Rhai counts a few operations for each of them.
const FUEL_MAX: u32 = 10_000;
/// The most variables of a guard; Rhai has a limit too.
const SLOTS_MAX: usize = 40;

/// The tree of `decide`.
#[derive(Debug)]
pub(super) struct Guard {
    body: Vec<Step>,
    slots: usize,
    history_ms: i64,
    on: Box<[Stream]>,
}

/// What a guard looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'a> {
    /// The subject's facts.
    pub facts: &'a Facts,
    /// What is judged.
    pub event: &'a Event,
    /// As of when.
    pub as_of: EventTime,
    /// Working days.
    pub calendar: &'a Calendar,
}

impl Guard {
    /// The guard of a rule on individuals, if any of it is understood.
    pub(super) fn new(bodies: &[Body], params: &Map, manifest: &Manifest) -> Option<Self> {
        let (body, slots) = compile::decide(bodies, params)?;
        let guard = Self {
            body,
            slots,
            history_ms: manifest.history_ms,
            on: manifest.on.as_slice().into(),
        };
        let starts_blind = matches!(guard.body.first(), Some(Step::Unknown));
        (guard.slots <= SLOTS_MAX && !starts_blind).then_some(guard)
    }

    /// Whether the rule surely says nothing, asks for no check and does not fail.
    pub(super) fn is_silent<'a>(&'a self, sight: Sight<'a>) -> bool {
        eval::run(self, sight)
    }
}

/// A statement.
#[derive(Debug, Clone)]
enum Step {
    /// `let x = …`, `x = …`.
    Set(usize, Tree),
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
    Unknown,
}

/// An expression.
#[derive(Debug, Clone)]
enum Tree {
    Constant(Constant),
    Slot(usize),
    /// `ev`.
    Anchor,
    /// `who.now`.
    Now,
    Field(Box<Tree>, Field),
    /// `x.time`.
    Time(Box<Tree>),
    /// `x.stream`.
    Stream(Box<Tree>),
    Question(Box<Question>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Coalesce(Vec<Tree>),
    Not(Box<Tree>),
    Negative(Box<Tree>),
    Compare(Comparison, Box<[Tree; 2]>),
    Arithmetic(Operation, Box<[Tree; 2]>),
    Call(Function, Vec<Tree>),
    /// A list and a closure over its items: the item's slot and the body.
    Each(Each, Box<Tree>, usize, Vec<Step>),
    Block(Vec<Step>),
    /// A function of the rule: arguments into slots, then its body.
    Inline(Vec<(usize, Tree)>, Vec<Step>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Each {
    Some,
    All,
    Filter,
}

/// A function that the guard knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
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
}

/// A question to `who`.
#[derive(Debug, Clone)]
enum Question {
    Count(Stream, i64, Wanted),
    CountBy(Stream, Field, i64, Wanted),
    Sum(Stream, Field, i64),
    Distinct(Stream, Field, i64),
    Average(Stream, i64, i64),
    List(Stream, i64, Wanted),
    Last(Stream, Wanted),
    DaysSince(Stream, Wanted),
    Licence(Tree),
    Licences,
    OnList(Tree),
    ListEntry(Tree),
    HasTag(Tree),
    Registry,
}

/// A filter: none, known at load, or made of values and what is known at load.
#[derive(Debug, Clone)]
enum Wanted {
    All,
    Fixed(Filter),
    Made(Vec<(Field, Tree)>, Option<Filter>),
}

//! Why a rule spoke or kept silent: one judgement with every comparison that it made.
//!
//! The rule runs in the same sealed engine over the same facts; only its comparisons also note both sides, the outcome and
//! the place. Nothing else differs, so the verdict is the one that the live engine gives, and the caller checks that.
//!
//! bounds   [`COMPARED_MAX`] comparisons are kept, the first ones
//! cost     as much as a judgement without its first look, and a text for each side of each comparison

use super::compiled::{Judgement, Rule};
use super::context::current;
use super::error::RuleError;
use super::{api, compare, sandbox};
use crate::engine::subject::view::Verdict;
use rhai::{Dynamic, Engine, NativeCallContext};

/// The most comparisons that are kept of one judgement.
const COMPARED_MAX: usize = 256;

/// A comparison that a rule made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Compared {
    /// The line in the rule's file, from 1; 0 if unknown.
    pub line: usize,
    /// The column of the operator in characters, from 1; 0 if unknown.
    pub column: usize,
    /// `<`, `==` and their like.
    pub operator: String,
    /// The left side as text.
    pub left: String,
    /// The right side as text.
    pub right: String,
    /// Whether it held.
    pub held: bool,
}

/// A judgement and how it came about.
#[derive(Debug)]
pub struct Traced {
    /// What the rule said, with what it saw even if it said nothing; or why it failed.
    pub verdict: Result<Verdict, RuleError>,
    /// Its comparisons in the order in which they were made.
    pub compared: Vec<Compared>,
}

impl Rule {
    /// Judges an anchor and keeps what was compared on the way.
    pub fn trace(&self, judgement: &Judgement<'_>) -> Traced {
        let engine = self.core.shared.traced.get_or_init(engine);
        let (context, ran) = self.run(engine, judgement);
        let compared = core::mem::take(&mut context.book().compared);
        let verdict = ran.map(|()| context.verdict(true));
        Traced { verdict, compared }
    }
}

fn engine() -> Engine {
    let mut engine = sandbox::engine();
    api::register(&mut engine);
    compare::register_noting(&mut engine);
    engine
}

/// Notes a comparison in the judgement that it is made in.
pub(super) fn note(call: &NativeCallContext, left: &Dynamic, right: &Dynamic, held: bool) {
    let Ok(context) = current(call) else { return };
    let mut book = context.book();
    if book.compared.len() < COMPARED_MAX {
        let at = call.call_position();
        book.compared.push(Compared {
            line: at.line().unwrap_or(0),
            column: at.position().unwrap_or(0),
            operator: call.fn_name().to_owned(),
            left: text(left),
            right: text(right),
            held,
        });
    }
}

fn text(value: &Dynamic) -> String {
    if value.is_unit() {
        return "无".to_owned();
    }
    match value.as_bool() {
        Ok(true) => "是".to_owned(),
        Ok(false) => "否".to_owned(),
        Err(_) => value.to_string(),
    }
}

//! Why a rule spoke or kept silent: one judgement with every comparison that it made, and what its lines saw.
//!
//! The rule runs in the same sealed engine over the same facts; only its comparisons also note both sides, the outcome and
//! the place, and its variables note what they held when they were read. Nothing else differs, so the verdict is the one that
//! the live engine gives, and the caller checks that.
//!
//! bounds   [`COMPARED_MAX`] comparisons are kept, the first ones; [`VALUES_MAX`] values of a variable
//! cost     as much as a judgement without its first look, and a text for each side of each comparison

use super::bodies::bodies;
use super::compiled::{Judgement, Rule};
use super::context::{Context, Tag, current};
use super::error::RuleError;
use super::{api, compare, sandbox};
use crate::engine::schema::Field;
use crate::engine::subject::view::Verdict;
use rhai::{ASTNode, Dynamic, Engine, Expr, NativeCallContext, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// The most comparisons that are kept of one judgement.
const COMPARED_MAX: usize = 256;
/// The most different values that are kept of a variable.
const VALUES_MAX: usize = 4;

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
    /// What the lines of `decide` saw: variables where they are set, fields of the anchor where they are read.
    pub values: Vec<Shown>,
}

/// What a line saw.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Shown {
    /// The line in the rule's file, from 1.
    pub line: usize,
    /// `recent`, `ev.result`.
    pub what: String,
    /// What it held; different values one after the other.
    pub value: String,
}

impl Rule {
    /// Judges an anchor and keeps what was compared on the way.
    pub fn trace(&self, judgement: &Judgement<'_>) -> Traced {
        let engine = self.core.shared.traced.get_or_init(engine);
        let (context, ran) = self.run(engine, judgement);
        let (compared, held) = {
            let mut book = context.book();
            (
                core::mem::take(&mut book.compared),
                core::mem::take(&mut book.held),
            )
        };
        let verdict = ran.map(|()| context.verdict(true));
        let values = self.shown(&held, judgement);
        Traced {
            verdict,
            compared,
            values,
        }
    }

    /// What was held, by the lines of `decide`.
    fn shown(&self, held: &BTreeMap<String, Vec<String>>, judgement: &Judgement<'_>) -> Vec<Shown> {
        let mut shown = BTreeSet::new();
        for body in bodies(&self.ast).iter().filter(|b| b.name == "decide") {
            let ev = body.params.first().map_or("", String::as_str);
            body.ast.walk(&mut |path| {
                let (place, what, value) = match path.last() {
                    Some(ASTNode::Stmt(Stmt::Var(parts, _, at))) => {
                        let name = parts.0.name.to_string();
                        let values = held.get(&name).map(|values| values.join("、"));
                        (*at, name, values)
                    }
                    Some(ASTNode::Expr(Expr::Dot(parts, _, at))) => {
                        let (whose, field) = (name_of(&parts.lhs), property(&parts.rhs));
                        let is_anchor = whose == Some(ev);
                        let field = field.filter(|_| is_anchor).unwrap_or_default();
                        let value = field_text(judgement, field);
                        (*at, format!("{ev}.{field}"), value)
                    }
                    _ => return true,
                };
                if let (Some(line), Some(value)) = (place.line(), value) {
                    shown.insert(Shown { line, what, value });
                }
                true
            });
        }
        shown.into_iter().collect()
    }
}

fn name_of(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Variable(parts, ..) => Some(parts.1.as_str()),
        _ => None,
    }
}

/// The property that is read first.
fn property(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Property(parts, _) => Some(parts.2.as_str()),
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) => property(&parts.lhs),
        _ => None,
    }
}

/// What the anchor's field holds, as text.
fn field_text(judgement: &Judgement<'_>, name: &str) -> Option<String> {
    let event = judgement.event?;
    let field = Field::of(event.stream, name)?;
    let value = event.fields.get(field);
    Some(value.map_or_else(|| "无".to_owned(), |v| text(&super::convert::to_dynamic(v))))
}

fn engine() -> Engine {
    let mut engine = sandbox::engine();
    api::register(&mut engine);
    compare::register_noting(&mut engine);
    #[expect(
        deprecated,
        reason = "Rhai marks what may change by it; the version is pinned"
    )]
    engine.on_var(|name, _, call| {
        if let Some(Tag::Judgement(context)) = call.tag().read_lock::<Tag>().as_deref()
            && let Some(value) = call.scope().get(name)
        {
            hold(context, name, value);
        }
        Ok(None)
    });
    engine
}

/// Notes what a variable holds when it is read.
fn hold(context: &Context, name: &str, value: &Dynamic) {
    let mut book = context.book();
    let values = book.held.entry(name.to_owned()).or_default();
    if values.len() < VALUES_MAX {
        let value = super::probe::brief(value);
        if !values.contains(&value) {
            values.push(value);
        }
    }
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

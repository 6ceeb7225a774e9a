//! What is known at one place of a function: variables, and what conditions on the way have shown of them.
//!
//! A condition narrows a *path*: a variable, a field of it (`ev.amount`), a question with literal arguments
//! (`who.last("inspection")`). What is shown of a path holds until its variable is assigned.

use super::shape::Shape;
use rhai::{Expr, FnCallExpr};
use std::collections::BTreeMap;

/// What is known at one place.
#[derive(Debug, Clone, Default)]
pub(super) struct Env {
    variables: Vec<(String, Shape)>,
    shown: BTreeMap<String, Shape>,
    /// What else holds when a variable is true, by its name.
    implied: BTreeMap<String, Vec<(String, Shape)>>,
    /// Nothing comes here.
    pub is_dead: bool,
}

impl Env {
    /// Where `let` may stand again: to be passed to [`Env::leave`].
    pub(super) fn enter(&self) -> usize {
        self.variables.len()
    }

    /// Leaves a block.
    pub(super) fn leave(&mut self, depth: usize) {
        while depth < self.variables.len() {
            if let Some((name, _)) = self.variables.pop() {
                self.forget(&name);
            }
        }
    }

    /// `let name = …`
    pub(super) fn declare(&mut self, name: &str, shape: Shape) {
        self.forget(name);
        self.variables.push((name.to_owned(), shape));
    }

    /// `name = …`
    pub(super) fn assign(&mut self, name: &str, shape: Shape) {
        self.forget(name);
        if let Some((_, held)) = self.variables.iter_mut().rev().find(|(n, _)| n == name) {
            *held = shape;
        }
    }

    /// What the variable holds.
    pub(super) fn variable(&self, name: &str) -> Option<&Shape> {
        let found = self.variables.iter().rev().find(|(n, _)| n == name);
        found.map(|(_, shape)| shape)
    }

    /// What conditions have shown of the path.
    pub(super) fn shown(&self, path: &str) -> Option<&Shape> {
        self.shown.get(path)
    }

    /// A condition shows this of the path.
    pub(super) fn show(&mut self, path: &str, shape: Shape) {
        if !path.contains('.') {
            if let Some((_, held)) = self.variables.iter_mut().rev().find(|(n, _)| n == path) {
                *held = shape;
            }
            return;
        }
        self.shown.insert(path.to_owned(), shape);
    }

    fn forget(&mut self, name: &str) {
        let inside = |path: &str| path.strip_prefix(name).is_some_and(|r| r.starts_with('.'));
        self.shown.retain(|path, _| !inside(path));
        self.implied.remove(name);
        for shown in self.implied.values_mut() {
            shown.retain(|(path, _)| path != name && !inside(path));
        }
    }

    /// What is shown here and was not shown there.
    pub(super) fn shown_beyond(&self, before: &Self) -> Vec<(String, Shape)> {
        let variables = self.variables.iter().zip(&before.variables);
        let changed = variables.filter(|(now, then)| now != then);
        let paths = self.shown.iter();
        let paths = paths.filter(|(path, shape)| before.shown.get(*path) != Some(shape));
        changed
            .map(|(now, _)| now.clone())
            .chain(paths.map(|(path, shape)| (path.clone(), shape.clone())))
            .collect()
    }

    /// When the variable is true, this holds as well.
    pub(super) fn imply(&mut self, name: &str, shown: Vec<(String, Shape)>) {
        if !shown.is_empty() {
            self.implied.insert(name.to_owned(), shown);
        }
    }

    /// The variable is true.
    pub(super) fn hold(&mut self, name: &str) {
        for (path, shape) in self.implied.get(name).cloned().unwrap_or_default() {
            self.show(&path, shape);
        }
    }

    /// What is known after one way or the other.
    pub(super) fn join(self, other: Self) -> Self {
        if self.is_dead {
            return other;
        }
        if other.is_dead {
            return self;
        }
        let variables = self.variables.into_iter().zip(other.variables);
        let variables = variables.map(|((name, a), (_, b))| (name, a.join(&b)));
        let mut shown = BTreeMap::new();
        for (path, a) in self.shown {
            if let Some(b) = other.shown.get(&path) {
                shown.insert(path, a.join(b));
            }
        }
        let mut implied = self.implied;
        implied.retain(|name, shown| other.implied.get(name) == Some(shown));
        Self {
            variables: variables.collect(),
            shown,
            implied,
            is_dead: false,
        }
    }
}

/// The path that an expression is, if it is one.
pub(super) fn path(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Variable(parts, ..) => Some(parts.1.to_string()),
        Expr::Dot(parts, ..) => {
            let Expr::Variable(receiver, ..) = &parts.lhs else {
                return None;
            };
            link(&parts.rhs).map(|rest| format!("{}.{rest}", receiver.1))
        }
        _ => None,
    }
}

fn link(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Property(property, _) => Some(property.2.to_string()),
        Expr::MethodCall(call, _) => question(call),
        Expr::Dot(parts, ..) => Some(format!("{}.{}", link(&parts.lhs)?, link(&parts.rhs)?)),
        _ => None,
    }
}

pub(super) fn question(call: &FnCallExpr) -> Option<String> {
    let arguments: Option<Vec<String>> = call
        .args
        .iter()
        .map(|argument| match argument {
            Expr::Map(..) => None,
            Expr::Dot(..) => path(argument),
            other => other
                .get_literal_value(None)
                .map(|value| format!("{value:?}").replace('.', "·")),
        })
        .collect();
    Some(format!("{}({})", call.name, arguments?.join(",")))
}

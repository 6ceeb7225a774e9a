//! Statements: what each does to what is known, and whether anything comes after it.

use super::env::Env;
use super::shape::{Kinds, Shape};
use super::{Function, Walker, is_closure};
use rhai::{ASTFlags, ASTNode, Expr, FlowControl, Stmt};
use std::collections::{BTreeMap, BTreeSet};

impl Walker<'_> {
    /// Goes through a block that has its own scope; gives what its last statement gives.
    pub(super) fn block(&mut self, statements: &[Stmt], env: &mut Env) -> Shape {
        let depth = env.enter();
        let mut last = Shape::unit();
        for statement in statements {
            if matches!(statement, Stmt::Noop(_) | Stmt::Share(_)) {
                continue;
            }
            if env.is_dead {
                let at = statement.position();
                let help = "上面一定已经返回(或跳出),请删去,或检查上面的条件";
                self.warning("unreachable", at, "这一句永远执行不到".to_owned(), help);
                break;
            }
            last = self.statement(statement, env);
        }
        env.leave(depth);
        last
    }

    fn statement(&mut self, statement: &Stmt, env: &mut Env) -> Shape {
        match statement {
            Stmt::Var(parts, ..) => {
                let (name, value) = (&parts.0.name, &parts.1);
                self.declare(name, value, env);
                Shape::unit()
            }
            Stmt::Assignment(parts) => {
                self.assignment(
                    parts.0.get_op_assignment_info().map(|(.., op)| op),
                    &parts.1,
                    env,
                );
                Shape::unit()
            }
            Stmt::If(flow, _) => self.branches(flow, env),
            Stmt::While(flow, _) | Stmt::Do(flow, ..) => {
                self.loop_body(flow.body.statements(), env, |walker, inside| {
                    if !matches!(flow.expr, Expr::Unit(_)) {
                        *inside = walker.condition(&flow.expr, inside, "while").0;
                    }
                });
                Shape::unit()
            }
            Stmt::For(parts, _) => {
                let source = self.expression(&parts.2.expr, env);
                let item = self.iterated(&source, parts.2.expr.position());
                self.loop_body(parts.2.body.statements(), env, |_, inside| {
                    inside.declare(&parts.0.name, item);
                    if let Some(counter) = &parts.1 {
                        inside.declare(&counter.name, Shape::int(Some(0), None));
                    }
                });
                Shape::unit()
            }
            Stmt::Switch(parts, at) => self.switch(parts, *at, env),
            Stmt::FnCall(call, at) => self.call(call, *at, env),
            Stmt::Block(block) => self.block(block.statements(), env),
            Stmt::TryCatch(flow, _) => {
                let mut body = env.clone();
                self.block(flow.body.statements(), &mut body);
                forget_assigned(flow.body.statements(), env);
                self.block(flow.branch.statements(), env);
                Shape::any()
            }
            Stmt::Expr(expression) => self.expression(expression, env),
            Stmt::Return(value, flags, _) => {
                let given = value
                    .as_ref()
                    .map_or_else(Shape::unit, |value| self.expression(value, env));
                if !flags.contains(ASTFlags::BREAK) {
                    self.returned.push(given);
                }
                env.is_dead = true;
                Shape::of(Kinds::NONE)
            }
            Stmt::BreakLoop(value, ..) => {
                if let Some(value) = value {
                    self.expression(value, env);
                }
                env.is_dead = true;
                Shape::of(Kinds::NONE)
            }
            _ => Shape::any(),
        }
    }

    fn branches(&mut self, flow: &FlowControl, env: &mut Env) -> Shape {
        let (mut yes, mut no) = self.condition(&flow.expr, env, "if");
        let a = self.block(flow.body.statements(), &mut yes);
        let b = self.block(flow.branch.statements(), &mut no);
        let shape = match (yes.is_dead, no.is_dead) {
            (true, false) => b,
            (false, true) => a,
            _ => a.join(&b),
        };
        *env = yes.join(no);
        shape
    }

    fn declare(&mut self, name: &str, value: &Expr, env: &mut Env) {
        let before = env.clone();
        // A condition that is given a name shows the same when the name is asked.
        let (shape, shown) = if is_condition(value) {
            let (yes, no) = self.condition(value, env, "let");
            let truth = match (yes.is_dead, no.is_dead) {
                (true, false) => Some(false),
                (false, true) => Some(true),
                _ => None,
            };
            let mut shape = Shape::bool(truth);
            shape.varies = truth.is_none();
            (shape, yes.shown_beyond(&before))
        } else {
            (self.expression(value, env), Vec::new())
        };
        let shape = if self.rebound.contains(name) {
            Shape::any()
        } else {
            shape
        };
        env.declare(name, shape);
        env.imply(name, shown);
    }

    fn assignment(&mut self, operator: Option<&str>, sides: &rhai::BinaryExpr, env: &mut Env) {
        let mut value = self.expression(&sides.rhs, env);
        let Expr::Variable(parts, ..) = &sides.lhs else {
            self.expression(&sides.lhs, env);
            return;
        };
        if let Some(operator) = operator {
            let held = self.expression(&sides.lhs, env);
            let operator = operator.trim_end_matches('=');
            let at = sides.rhs.position();
            value = self.arithmetic(operator, (&held, &sides.lhs), (&value, &sides.rhs), at);
        }
        if self.rebound.contains(parts.1.as_str()) {
            value = Shape::any();
        }
        env.assign(&parts.1, value);
    }

    /// A body that may run any number of times: nothing is known of what it assigns.
    fn loop_body(
        &mut self,
        statements: &[Stmt],
        env: &mut Env,
        begin: impl FnOnce(&mut Self, &mut Env),
    ) {
        forget_assigned(statements, env);
        let mut inside = env.clone();
        let depth = inside.enter();
        begin(self, &mut inside);
        self.block(statements, &mut inside);
        inside.leave(depth);
    }

    fn iterated(&mut self, source: &Shape, at: rhai::Position) -> Shape {
        let kinds = source.kinds;
        let can = Kinds::LIST.or(Kinds::TEXT).or(Kinds::OTHER).or(Kinds::INT);
        if !kinds.has(can) {
            let message = format!("for 只能遍历列表、区间、文本,这里是{}", kinds.title());
            self.error(
                "not-a-list",
                at,
                message,
                "写作 for x in 列表 { … } 或 for n in 0..10 { … }",
            );
            return Shape::any();
        }
        match &source.items {
            Some(items) if kinds == Kinds::LIST => (**items).clone(),
            _ => Shape::any(),
        }
    }
}

/// Whether the expression is a comparison or joins some.
fn is_condition(expression: &Expr) -> bool {
    match expression {
        Expr::And(..) | Expr::Or(..) => true,
        Expr::FnCall(call, _) => {
            call.op_token.is_some() && super::operators::Comparison::of(&call.name).is_some()
        }
        _ => false,
    }
}

fn forget_assigned(statements: &[Stmt], env: &mut Env) {
    let mut names = BTreeSet::new();
    for statement in statements {
        assigned(statement, &mut names);
    }
    for name in names {
        env.assign(&name, Shape::any());
    }
}

fn assigned(statement: &Stmt, names: &mut BTreeSet<String>) {
    statement.walk(&mut Vec::new(), &mut |path| {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Assignment(parts))) => {
                if let Expr::Variable(parts, ..) = &parts.1.lhs {
                    names.insert(parts.1.to_string());
                }
            }
            // A method may change what it is called on: `rows.push(x)`.
            Some(ASTNode::Expr(Expr::Dot(parts, ..))) => {
                if let (Expr::Variable(name, ..), Expr::MethodCall(call, _)) =
                    (&parts.lhs, &parts.rhs)
                    && super::methods::CHANGING.contains(&call.name.as_str())
                {
                    names.insert(name.1.to_string());
                }
            }
            _ => {}
        }
        true
    });
}

/// The variables that closures assign: what they hold depends on whether and how often the closure ran.
pub(super) fn rebound(functions: &BTreeMap<String, Function>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, function) in functions.iter().filter(|(name, _)| is_closure(name)) {
        for statement in &function.statements {
            assigned(statement, &mut names);
        }
    }
    names
}

//! Finds closures that use the very value that the call is made on: `who.list("complaint", "7d").filter(|x| x.time < who.now)`.
//!
//! Rhai shares what a closure captures, and holds it locked while a chain of calls on it runs. The closure then cannot have
//! it: Rhai waits five times ten milliseconds and fails. So it is refused at load, with the way out.

use super::bodies::bodies;
use super::diagnostic::Report;
use rhai::{AST, ASTNode, Expr, Position, Stmt};

/// Reports every such closure.
pub(super) fn check(ast: &AST, report: &mut Report<'_>) {
    let mut found: Vec<(Position, String)> = Vec::new();
    for body in bodies(ast) {
        body.ast.walk(&mut |path| {
            if let Some(ASTNode::Expr(Expr::Dot(parts, ..) | Expr::Index(parts, ..))) = path.last()
                && let Expr::Variable(receiver, ..) = &parts.lhs
            {
                captures(&parts.rhs, receiver.1.as_str(), &mut found);
            }
            true
        });
    }
    found.sort_by_key(|(at, _)| (at.line(), at.position()));
    found.dedup();
    for (at, name) in found {
        report.error(
            "captured-receiver",
            at,
            format!("闭包里用到了 {name},而这次调用正是在 {name} 上发起的,执行时一定失败"),
            format!("先写 let x = {name}.…; 把要用的值取出来,再在闭包里用 x"),
        );
    }
}

fn captures(rest: &Expr, receiver: &str, found: &mut Vec<(Position, String)>) {
    rest.walk(&mut Vec::new(), &mut |path| {
        if let Some(ASTNode::Stmt(Stmt::Share(captured))) = path.last() {
            let same = captured.iter().filter(|(name, _)| name.name == receiver);
            found.extend(same.map(|(name, _)| (name.pos, receiver.to_owned())));
        }
        true
    });
}

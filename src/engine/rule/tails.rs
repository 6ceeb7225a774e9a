//! The texts that an expression can come out as: `if a { "红" } else { "橙" }` gives both.

use rhai::{Expr, Position, Stmt};

/// The literal texts at the ends of an expression's branches; what is computed is not among them.
pub(super) fn tails(expression: &Expr) -> Vec<(&str, Position)> {
    let mut found = Vec::new();
    of_expression(expression, &mut found);
    found
}

fn of_expression<'a>(expression: &'a Expr, found: &mut Vec<(&'a str, Position)>) {
    match expression {
        Expr::StringConstant(text, at) => found.push((text.as_str(), *at)),
        Expr::Stmt(block) => of_block(block.statements(), found),
        Expr::Coalesce(parts, _) => {
            for part in parts.iter() {
                of_expression(part, found);
            }
        }
        _ => {}
    }
}

fn of_block<'a>(statements: &'a [Stmt], found: &mut Vec<(&'a str, Position)>) {
    match statements.last() {
        Some(Stmt::Expr(expression)) => of_expression(expression, found),
        Some(Stmt::Block(block)) => of_block(block.statements(), found),
        Some(Stmt::If(flow, _)) => {
            of_block(flow.body.statements(), found);
            of_block(flow.branch.statements(), found);
        }
        Some(Stmt::Switch(parts, _)) => {
            for case in &parts.1.expressions {
                of_expression(&case.rhs, found);
            }
        }
        _ => {}
    }
}

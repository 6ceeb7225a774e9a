//! The functions of a rule, each by itself.
//!
//! Rhai hands out the statements of all functions of a tree in one walk and does not say where one ends; a tree that
//! holds a single function does.

use rhai::{AST, ASTNode, Stmt};

/// One function.
#[derive(Debug)]
pub(super) struct Body {
    /// Its name; closures have made-up ones.
    pub name: String,
    /// Its parameters.
    pub params: Vec<String>,
    /// A tree that holds nothing else.
    pub ast: AST,
}

impl Body {
    /// Its statements.
    pub(super) fn statements(&self) -> Vec<Stmt> {
        let mut statements = Vec::new();
        self.ast.walk(&mut |path| {
            if let [ASTNode::Stmt(statement)] = path {
                statements.push((*statement).clone());
            }
            true
        });
        statements
    }
}

/// The functions in the order in which they stand in the text.
pub(super) fn bodies(ast: &AST) -> Vec<Body> {
    let mut found: Vec<_> = ast
        .iter_fn_def()
        .map(|f| {
            let mut only = ast.clone_functions_only();
            only.retain_functions(|_, _, name, count| f.name == name && f.params.len() == count);
            let body = Body {
                name: f.name.to_string(),
                params: f.params.iter().map(ToString::to_string).collect(),
                ast: only,
            };
            (f.body.start_position(), body)
        })
        .collect();
    found.sort_by(|(a, x), (b, y)| (a, &x.name).cmp(&(b, &y.name)));
    found.into_iter().map(|(_, body)| body).collect()
}

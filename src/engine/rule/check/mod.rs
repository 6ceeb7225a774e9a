//! A rule's functions, gone through as if they ran, with what is known of every value instead of the value.
//!
//! [`analyse`](super::analyse) finds names that do not exist. This finds what is wrong among names that do: kinds that
//! cannot be compared, a condition that is none, a field that may be empty, a branch that nothing reaches, a threshold that
//! no fact can pass. What certainly fails when it runs is an error; what can only be a mistake is a warning.
//!
//! ```text
//! decide, tests, functions → statements → conditions (what each way shows) → expressions (what comes out) → findings
//! shape: what a value can be    env: what is known at a place    operators, calls: which kinds go together
//! ```
//!
//! bounds   a function of the rule is gone through at its calls [`DEPTH_MAX`] deep and [`FOLLOWED_MAX`] times; beyond that nothing is known of it
//! cost     about as long as the rule takes to compile
//! why      Rhai finds these when the line runs: for the first firm that it should have warned of, or never

mod calls;
mod conditions;
mod env;
mod expressions;
mod methods;
mod operators;
mod purpose;
mod shape;
mod statements;
mod switches;
mod testing;

use super::bodies::Body;
use super::diagnostic::{Help, Report, Severity};
use super::law::Measures;
use super::manifest::Manifest;
use env::Env;
use rhai::{AST, Map, Position, Stmt};
use shape::{Kinds, Shape};
use std::collections::{BTreeMap, BTreeSet};

/// How deep calls of the rule's own functions are followed.
const DEPTH_MAX: usize = 3;
/// How many calls of the rule's own functions are followed in all.
const FOLLOWED_MAX: usize = 2_000;

/// A function of the rule, ready to be gone through.
#[derive(Debug)]
struct Function {
    params: Vec<String>,
    statements: Vec<Stmt>,
    at: Position,
}

/// Something found.
#[derive(Debug)]
struct Finding {
    severity: Severity,
    code: &'static str,
    at: Position,
    message: String,
    help: Help,
}

/// Goes through the functions.
#[derive(Debug)]
struct Walker<'a> {
    functions: &'a BTreeMap<String, Function>,
    manifest: &'a Manifest,
    measures: &'a Measures,
    /// What `decide` gets as `p`.
    params: Shape,
    found: Vec<Finding>,
    /// Found things are dropped while this is not 0.
    muted: usize,
    in_test: bool,
    depth: usize,
    followed: usize,
    /// What the rule's functions are called with.
    called: BTreeMap<String, Vec<Shape>>,
    /// Variables that a closure assigns.
    rebound: BTreeSet<String>,
    /// What the function that is gone through gives back early.
    returned: Vec<Shape>,
    /// The `switch` statements that were met.
    switched: Vec<switches::Switched>,
}

/// Goes through a rule. What is wrong goes to the report, unless something worse stands at its place already.
pub(super) fn run(
    (ast, bodies): (&AST, &[Body]),
    manifest: &Manifest,
    params: &Map,
    measures: &Measures,
    report: &mut Report<'_>,
) {
    let functions: BTreeMap<String, Function> = bodies
        .iter()
        .map(|body| {
            let defined = ast
                .iter_fn_def()
                .find(|f| f.name == body.name && f.params.len() == body.params.len());
            let function = Function {
                params: body.params.clone(),
                statements: body.statements(),
                at: defined.map_or(Position::NONE, |f| f.body.start_position()),
            };
            (body.name.clone(), function)
        })
        .collect();
    let mut walker = Walker {
        functions: &functions,
        manifest,
        measures,
        params: Shape::literal(&rhai::Dynamic::from_map(params.clone())),
        found: Vec::new(),
        muted: 0,
        in_test: false,
        depth: 0,
        followed: 0,
        called: BTreeMap::new(),
        rebound: statements::rebound(&functions),
        returned: Vec::new(),
        switched: Vec::new(),
    };
    walker.all(bodies);
    purpose::check(&mut walker, ast, params, report.source());
    testing::check(&mut walker, bodies);
    switches::check(&mut walker, report.source());
    let mut found = core::mem::take(&mut walker.found);
    found.sort_by_key(|finding| (finding.at, finding.severity));
    for Finding {
        severity,
        code,
        at,
        message,
        help,
    } in found
    {
        let follows = code == "unused-param" && report.has("unknown-param");
        if !report.has_error_at(at, code) && !follows {
            report.add(severity, code, at, (message, help));
        }
    }
}

fn is_closure(name: &str) -> bool {
    name.starts_with("anon$")
}

impl Walker<'_> {
    fn all(&mut self, bodies: &[Body]) {
        if let Some(decide) = self.functions.get("decide")
            && let [_, _, _] = decide.params.as_slice()
        {
            let ev = if self.manifest.is_collective() {
                Shape::record(&[])
            } else {
                Shape::record(&self.manifest.on)
            };
            let arguments = vec![ev, Shape::of(Kinds::OTHER), self.params.clone()];
            self.function(decide, &arguments);
        }
        self.in_test = true;
        for body in bodies.iter().filter(|body| body.name.starts_with("test_")) {
            if let Some(test) = self.functions.get(&body.name) {
                self.function(test, &[]);
            }
        }
        self.in_test = false;
        let own: Vec<&Body> = bodies
            .iter()
            .filter(|b| b.name != "decide" && !b.name.starts_with("test_") && !is_closure(&b.name))
            .collect();
        // Functions that only others of them call are known after those have been gone through.
        self.muted += 1;
        for body in &own {
            self.own_function(body);
        }
        self.muted -= 1;
        for body in &own {
            self.own_function(body);
        }
    }

    fn own_function(&mut self, body: &Body) {
        let Some(function) = self.functions.get(&body.name) else {
            return;
        };
        let Some(arguments) = self.called.get(&body.name).cloned() else {
            let message = format!("函数 {} 没有被用到", body.name);
            let help = "测试的函数名要以 test_ 开头;用不到的请删去";
            self.warning("unused-function", function.at, message, help);
            return;
        };
        self.function(function, &arguments);
    }

    /// Goes through a function by itself; gives what it gives.
    fn function(&mut self, function: &Function, arguments: &[Shape]) -> Shape {
        let mut env = Env::default();
        for (at, name) in function.params.iter().enumerate() {
            let shape = arguments.get(at).cloned().unwrap_or_else(Shape::any);
            env.declare(name, shape);
        }
        let outer = core::mem::take(&mut self.returned);
        let last = self.block(&function.statements, &mut env);
        let mut given = if env.is_dead {
            Shape::of(Kinds::NONE)
        } else {
            last
        };
        for early in core::mem::replace(&mut self.returned, outer) {
            given = given.join(&early);
        }
        if given.kinds.is_none() {
            Shape::any()
        } else {
            given
        }
    }

    fn error(&mut self, code: &'static str, at: Position, message: String, help: impl Into<Help>) {
        self.find(Severity::Error, code, at, (message, help.into()));
    }

    fn warning(
        &mut self,
        code: &'static str,
        at: Position,
        message: String,
        help: impl Into<Help>,
    ) {
        self.find(Severity::Warning, code, at, (message, help.into()));
    }

    fn find(
        &mut self,
        severity: Severity,
        code: &'static str,
        at: Position,
        (message, help): (String, Help),
    ) {
        if self.muted == 0 {
            self.found.push(Finding {
                severity,
                code,
                at,
                message,
                help,
            });
        }
    }

    /// Says that the expression may be empty where that fails.
    fn refuse_empty(&mut self, shape: &Shape, what: Option<String>, at: Position) {
        // Tests state their own facts.
        let is_sometimes = shape.kinds.has(Kinds::UNIT) && shape.kinds != Kinds::ANY;
        if !is_sometimes || self.in_test {
            return;
        }
        let name = what.filter(|name| !name.contains('('));
        let (title, help) = if let Some(name) = name {
            let help = format!("先写 if {name} == () {{ return; }},或写成 ({name} ?? 默认值)");
            (format!("{name} "), help)
        } else {
            let help = "先用 let 起个名字,写 if 名字 == () { return; };或写成 (… ?? 默认值)";
            ("这个值".to_owned(), help.to_owned())
        };
        if shape.kinds == Kinds::UNIT {
            let message = format!("{title}一定是空的,不能这样用");
            self.error("always-empty", at, message, "先赋值再用");
            return;
        }
        let message = format!("{title}可能是空的,遇到空的就会出错");
        self.warning("maybe-empty", at, message, help);
    }
}

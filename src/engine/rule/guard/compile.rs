//! From the functions of a rule to the tree of a guard.
//!
//! Whatever is not understood becomes [`Step::Unknown`], or makes its whole statement that. Names are resolved here:
//! variables get slots, `p.x` becomes what it is, functions of the rule are put in where they are called.

use super::questions::question;
use super::value::{Constant, Words};
use super::{Comparison, Each, Function, Gap, Operation, Questions, Step, Tree};
use crate::engine::rule::bodies::Body;
use crate::engine::rule::manifest::Manifest;
use crate::engine::rule::says::Speech;
use crate::engine::schema::{Field, Stream};
use rhai::{ASTFlags, Dynamic, Expr, FnCallExpr, FnPtr, Map, Stmt, Token};

/// How deep functions of the rule are put into each other.
const INLINE_DEPTH_MAX: usize = 4;

/// The tree of `decide` and how many slots it has; with what the rule says if it `speaks`.
pub(super) fn decide(
    bodies: &[Body],
    params: &Map,
    manifest: &Manifest,
    (questions, speaks): (&mut Questions, bool),
) -> Option<(Vec<Step>, usize)> {
    let body = bodies
        .iter()
        .find(|b| b.name == "decide" && b.params.len() == 3)?;
    let [ev, who, p] = body.params.as_slice() else {
        return None;
    };
    let mut compiler = Compiler {
        bodies,
        params,
        manifest,
        questions,
        names: vec![
            (ev.clone(), Name::Anchor),
            (who.clone(), Name::Who),
            (p.clone(), Name::Params),
        ],
        slots: 0,
        depth: 0,
        speaks,
    };
    let steps = compiler.block(&body.statements());
    Some((steps, compiler.slots))
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Anchor,
    Who,
    Params,
    Slot(usize),
}

/// Knows the names in scope.
pub(super) struct Compiler<'a> {
    bodies: &'a [Body],
    params: &'a Map,
    pub(super) manifest: &'a Manifest,
    questions: &'a mut Questions,
    names: Vec<(String, Name)>,
    slots: usize,
    depth: usize,
    /// Whether what the rule says is part of the tree.
    speaks: bool,
}

impl Compiler<'_> {
    fn slot(&mut self, name: &str) -> usize {
        let slot = self.slots;
        self.slots += 1;
        self.names.push((name.to_owned(), Name::Slot(slot)));
        slot
    }

    fn name(&self, expression: &Expr) -> Option<Name> {
        let Expr::Variable(parts, ..) = expression else {
            return None;
        };
        let known = self
            .names
            .iter()
            .rev()
            .find(|(name, _)| *name == parts.1.as_str());
        known.map(|(_, name)| *name)
    }

    fn block(&mut self, statements: &[Stmt]) -> Vec<Step> {
        let scope = self.names.len();
        let mut steps = Vec::with_capacity(statements.len());
        for statement in statements {
            let step = self.step(statement).unwrap_or_else(|| gap(statement));
            let is_end = matches!(step, Step::Unknown(_));
            steps.push(step);
            if is_end {
                break;
            }
        }
        self.names.truncate(scope);
        steps
    }

    fn step(&mut self, statement: &Stmt) -> Option<Step> {
        Some(match statement {
            // Captured variables are shared from here on; their values stay.
            Stmt::Noop(_) | Stmt::Share(_) => Step::Nothing,
            Stmt::Var(parts, ..) => {
                let tree = self.tree(&parts.1)?;
                Step::Set(self.slot(&parts.0.name), tree)
            }
            Stmt::Assignment(parts) => {
                let Name::Slot(slot) = self.name(&parts.1.lhs)? else {
                    return None;
                };
                let tree = self.tree(&parts.1.rhs)?;
                match parts.0.get_op_assignment_info() {
                    None => Step::Set(slot, tree),
                    Some((.., operator, _)) => Step::Change(slot, operation(operator)?, tree),
                }
            }
            Stmt::If(flow, _) => Step::If(
                self.tree(&flow.expr)?,
                self.block(flow.body.statements()),
                self.block(flow.branch.statements()),
            ),
            Stmt::For(parts, _) => {
                let (name, counter, flow) = &**parts;
                if counter.is_some() {
                    return None;
                }
                let list = self.tree(&flow.expr)?;
                let scope = self.names.len();
                let slot = self.slot(&name.name);
                let body = self.block(flow.body.statements());
                self.names.truncate(scope);
                Step::For(slot, list, body)
            }
            Stmt::Block(block) => Step::Value(Tree::Block(self.block(block.statements()))),
            Stmt::Expr(expression) => match (self.mutation(expression), &**expression) {
                (Some(step), _) => step,
                (None, Expr::FnCall(call, _)) => self.said(call)?,
                (None, expression) => Step::Value(self.tree(expression)?),
            },
            Stmt::FnCall(call, _) => self.said(call)?,
            Stmt::Return(value, flags, _) if !flags.contains(ASTFlags::BREAK) => {
                Step::Return(match value {
                    None => None,
                    Some(value) => Some(self.tree(value)?),
                })
            }
            Stmt::BreakLoop(None, flags, _) if flags.contains(ASTFlags::BREAK) => Step::Break,
            Stmt::BreakLoop(None, ..) => Step::Continue,
            _ => return None,
        })
    }

    /// `x.sort()`, `x.dedup()`.
    fn mutation(&self, expression: &Expr) -> Option<Step> {
        let Expr::Dot(parts, flags, _) = expression else {
            return None;
        };
        let (Some(Name::Slot(slot)), Expr::MethodCall(call, _)) =
            (self.name(&parts.lhs), &parts.rhs)
        else {
            return None;
        };
        if flags.contains(ASTFlags::NEGATED) || !call.args.is_empty() || self.has_own(&call.name) {
            return None;
        }
        match call.name.as_str() {
            "sort" => Some(Step::Sort(slot)),
            "dedup" => Some(Step::Dedup(slot)),
            _ => None,
        }
    }

    /// A call that stands alone: `check_on(…)`, or one whose value may be that of its block.
    fn said(&mut self, call: &FnCallExpr) -> Option<Step> {
        match call.args.as_slice() {
            [time] if call.name == "check_on" && !self.has_own("check_on") => {
                Some(Step::Check(self.tree(time)?))
            }
            [words] if self.speaks && !self.has_own(&call.name) => {
                match Speech::by_name(&call.name) {
                    Some(speech) => Some(Step::Say(self.saying(speech, words)?)),
                    None => Some(Step::Value(self.call(call)?)),
                }
            }
            _ => Some(Step::Value(self.call(call)?)),
        }
    }

    /// Whether the rule has a function of this name itself.
    fn has_own(&self, name: &str) -> bool {
        self.bodies.iter().any(|body| body.name == name)
    }

    /// An expression, if all of it is understood.
    pub(super) fn tree(&mut self, expression: &Expr) -> Option<Tree> {
        if let Some(value) = self.fixed(expression) {
            return Constant::read(&value).map(Tree::Constant);
        }
        Some(match expression {
            Expr::Variable(..) => match self.name(expression)? {
                Name::Slot(slot) => Tree::Slot(slot),
                Name::Anchor => Tree::Anchor,
                Name::Who | Name::Params => return None,
            },
            Expr::And(parts, _) => Tree::And(self.trees(parts)?),
            Expr::Or(parts, _) => Tree::Or(self.trees(parts)?),
            Expr::Coalesce(parts, _) => Tree::Coalesce(self.trees(parts)?),
            Expr::Stmt(block) => Tree::Block(self.block(block.statements())),
            Expr::InterpolatedString(parts, _) if self.speaks => Tree::Joined(self.trees(parts)?),
            Expr::FnCall(call, _) => self.call(call)?,
            Expr::Dot(parts, flags, _) if !flags.contains(ASTFlags::NEGATED) => {
                self.chain(&parts.lhs, &parts.rhs)?
            }
            // A chain of places, or a place of a chain, is not looked into.
            Expr::Index(parts, flags, _)
                if !flags.contains(ASTFlags::NEGATED)
                    && !matches!(parts.rhs, Expr::Dot(..) | Expr::Index(..)) =>
            {
                Tree::At(Box::new([self.tree(&parts.lhs)?, self.tree(&parts.rhs)?]))
            }
            _ => return None,
        })
    }

    pub(super) fn trees(&mut self, expressions: &[Expr]) -> Option<Vec<Tree>> {
        expressions
            .iter()
            .map(|expression| self.tree(expression))
            .collect()
    }

    /// The value of a literal, or of `p.x`.
    pub(super) fn fixed(&self, expression: &Expr) -> Option<Dynamic> {
        match expression {
            Expr::Dot(parts, flags, _)
                if self.name(&parts.lhs) == Some(Name::Params)
                    && !flags.contains(ASTFlags::NEGATED) =>
            {
                let Expr::Property(property, _) = &parts.rhs else {
                    return None;
                };
                self.params.get(property.2.as_str()).cloned()
            }
            // `x?.y` on a literal and the like are no literals.
            Expr::FnCall(..) | Expr::InterpolatedString(..) | Expr::Variable(..) => None,
            other => other.get_literal_value(None),
        }
    }

    /// `receiver.first.rest…`
    fn chain(&mut self, receiver: &Expr, rest: &Expr) -> Option<Tree> {
        let (first, rest) = match rest {
            Expr::Dot(parts, flags, _) if !flags.contains(ASTFlags::NEGATED) => {
                (&parts.lhs, Some(&parts.rhs))
            }
            Expr::Dot(..) | Expr::Index(..) => return None,
            other => (other, None),
        };
        let mut tree = match (self.name(receiver), first) {
            (Some(Name::Who), Expr::Property(property, _)) if property.2 == "now" => Tree::Now,
            (Some(Name::Who), Expr::Property(property, _)) if property.2 == "name" => Tree::Name,
            (Some(Name::Who), Expr::MethodCall(call, _)) => {
                let question = question(self, call)?;
                let number = self.questions.number(&question);
                Tree::Question(Box::new(question), number)
            }
            (Some(Name::Who), _) => return None,
            (Some(Name::Params), Expr::Property(property, _)) => {
                let value = self.params.get(property.2.as_str())?;
                Tree::Constant(Constant::read(value)?)
            }
            _ => {
                let receiver = self.tree(receiver)?;
                self.link(receiver, first)?
            }
        };
        let mut rest = rest;
        while let Some(next) = rest {
            let link = match next {
                Expr::Dot(parts, flags, _) if !flags.contains(ASTFlags::NEGATED) => {
                    rest = Some(&parts.rhs);
                    &parts.lhs
                }
                Expr::Dot(..) | Expr::Index(..) => return None,
                other => {
                    rest = None;
                    other
                }
            };
            tree = self.link(tree, link)?;
        }
        Some(tree)
    }

    /// `.property` or `.method(…)` of a value.
    fn link(&mut self, receiver: Tree, link: &Expr) -> Option<Tree> {
        match link {
            Expr::Property(property, _) => match property.2.as_str() {
                "time" => Some(Tree::Time(Box::new(receiver))),
                "stream" => Some(Tree::Stream(Box::new(receiver))),
                "id" if self.speaks => Some(Tree::Id(Box::new(receiver))),
                name => Some(Tree::Field(Box::new(receiver), field(name)?)),
            },
            Expr::MethodCall(call, _) => {
                let each = match call.name.as_str() {
                    "some" => Some(Each::Some),
                    "all" => Some(Each::All),
                    "filter" => Some(Each::Filter),
                    "map" => Some(Each::Map),
                    _ => None,
                };
                if let Some(each) = each {
                    let [closure] = call.args.as_slice() else {
                        return None;
                    };
                    let (slot, body) = self.closure(closure)?;
                    if each == Each::Some
                        && let Some(any) = any_of(&receiver, slot, &body)
                    {
                        return Some(any);
                    }
                    return Some(Tree::Each(each, Box::new(receiver), slot, body));
                }
                let mut arguments = vec![receiver];
                arguments.extend(self.trees(&call.args)?);
                self.function(&call.name, arguments)
            }
            _ => None,
        }
    }

    /// A closure of one parameter: the slot of its parameter and its body.
    fn closure(&mut self, expression: &Expr) -> Option<(usize, Vec<Step>)> {
        let pointer = match expression {
            Expr::DynamicConstant(value, _) => value,
            // With captured variables: { share x; curry(closure, x) }.
            Expr::Stmt(block) => match block.statements() {
                [Stmt::Share(_), Stmt::Expr(call)] => match &**call {
                    Expr::FnCall(call, _) if call.name == "curry" => match call.args.first()? {
                        Expr::DynamicConstant(value, _) => value,
                        _ => return None,
                    },
                    _ => return None,
                },
                _ => return None,
            },
            _ => return None,
        };
        let name = pointer.read_lock::<FnPtr>()?.fn_name().to_owned();
        let bodies = self.bodies;
        let body = bodies.iter().find(|body| body.name == name)?;
        let parameter = body.params.last()?;
        // What is captured has the same name inside and outside.
        let captured = body.params.len() - 1;
        if body
            .params
            .iter()
            .take(captured)
            .any(|name| self.slot_of(name).is_none())
        {
            return None;
        }
        let scope = self.names.len();
        let slot = self.slot(parameter);
        let steps = self.block(&body.statements());
        self.names.truncate(scope);
        Some((slot, steps))
    }

    fn slot_of(&self, name: &str) -> Option<Name> {
        self.names
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, name)| *name)
    }

    fn call(&mut self, call: &FnCallExpr) -> Option<Tree> {
        if let Some(token) = &call.op_token {
            return self.operator(token, &call.args);
        }
        let bodies = self.bodies;
        let own = bodies
            .iter()
            .find(|b| b.name == call.name.as_str() && b.params.len() == call.args.len());
        if let Some(body) = own {
            return self.inline(body, &call.args);
        }
        let arguments = self.trees(&call.args)?;
        self.function(&call.name, arguments)
    }

    /// Puts a function of the rule in where it is called. It sees its parameters only.
    fn inline(&mut self, body: &Body, arguments: &[Expr]) -> Option<Tree> {
        if INLINE_DEPTH_MAX <= self.depth || body.name == "decide" {
            return None;
        }
        let values = self.trees(arguments)?;
        let outside = core::mem::take(&mut self.names);
        self.depth += 1;
        let set = body
            .params
            .iter()
            .zip(values)
            .map(|(name, tree)| (self.slot(name), tree))
            .collect();
        let steps = self.block(&body.statements());
        self.depth -= 1;
        self.names = outside;
        Some(Tree::Inline(set, steps))
    }

    fn operator(&mut self, token: &Token, arguments: &[Expr]) -> Option<Tree> {
        if let [only] = arguments {
            let tree = Box::new(self.tree(only)?);
            return match token {
                Token::Bang => Some(Tree::Not(tree)),
                Token::Minus | Token::UnaryMinus => Some(Tree::Negative(tree)),
                _ => None,
            };
        }
        let [left, right] = arguments else {
            return None;
        };
        let pair = Box::new([self.tree(left)?, self.tree(right)?]);
        Some(match token {
            Token::EqualsTo => Tree::Compare(Comparison::Equal, pair),
            Token::NotEqualsTo => Tree::Compare(Comparison::NotEqual, pair),
            Token::LessThan => Tree::Compare(Comparison::Less, pair),
            Token::LessThanEqualsTo => Tree::Compare(Comparison::LessOrEqual, pair),
            Token::GreaterThan => Tree::Compare(Comparison::Greater, pair),
            Token::GreaterThanEqualsTo => Tree::Compare(Comparison::GreaterOrEqual, pair),
            other => Tree::Arithmetic(operation(other)?, pair),
        })
    }

    fn function(&self, name: &str, arguments: Vec<Tree>) -> Option<Tree> {
        // A function of the rule called like a method is not looked into.
        if self.has_own(name) {
            return None;
        }
        let function = match (name, arguments.len()) {
            ("min", 2) => Function::Min,
            ("max", 2) => Function::Max,
            ("abs", 1) => Function::Abs,
            ("len", 1) => Function::Len,
            ("is_empty", 1) => Function::IsEmpty,
            ("contains", 2) => Function::Contains,
            ("date", 1) => Function::Date,
            ("days_between", 2) => Function::DaysBetween,
            ("add_days", 2) => Function::AddDays,
            ("working_days", 2) => Function::WorkingDays,
            ("add_working_days", 2) => Function::AddWorkingDays,
            ("year_start", 1) => Function::YearStart,
            ("round", 1 | 2) => Function::Round,
            _ => return None,
        };
        Some(Tree::Call(function, arguments))
    }
}

/// A statement that is left to Rhai.
fn gap(statement: &Stmt) -> Step {
    Step::Unknown(Gap {
        at: statement.position(),
    })
}

/// `words.some(|w| text.contains(w))`, with words that stand in the rule and a text that is the same for all of them.
fn any_of(list: &Tree, slot: usize, body: &[Step]) -> Option<Tree> {
    let (
        Tree::Constant(Constant::List(words)),
        [Step::Value(Tree::Call(Function::Contains, pair))],
    ) = (list, body)
    else {
        return None;
    };
    let [whole, Tree::Slot(word)] = pair.as_slice() else {
        return None;
    };
    let is_fit = *word == slot && !words.is_empty() && is_simple(whole, slot);
    is_fit.then(|| Tree::AnyOf(Box::new(whole.clone()), Words::new(words)))
}

/// Whether an expression is a field, a variable, or one with a stand-in, and the closure's parameter no part of it.
fn is_simple(tree: &Tree, parameter: usize) -> bool {
    match tree {
        Tree::Constant(_) | Tree::Anchor | Tree::Name => true,
        Tree::Slot(slot) => *slot != parameter,
        Tree::Field(of, _) => is_simple(of, parameter),
        Tree::Coalesce(parts) => parts.iter().all(|part| is_simple(part, parameter)),
        _ => false,
    }
}

fn operation(token: &Token) -> Option<Operation> {
    Some(match token {
        Token::Plus => Operation::Add,
        Token::Minus => Operation::Subtract,
        Token::Multiply => Operation::Multiply,
        Token::Divide => Operation::Divide,
        _ => return None,
    })
}

/// The field of this name; a name is one row of the table, whichever streams have it.
fn field(name: &str) -> Option<Field> {
    Stream::ALL
        .into_iter()
        .find_map(|stream| Field::of(stream, name))
}

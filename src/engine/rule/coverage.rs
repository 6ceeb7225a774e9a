//! Which lines and branches of a rule its own tests reach.
//!
//! The text of a rule is given a counter before each statement and at the beginning of each branch, all on the lines where
//! they stand; the rule so marked runs its tests in an engine of its own. The engine that judges facts has no counters and
//! no debugger, so it loses no time to this.
//!
//! A line counts if a statement begins on it. A branch is a way of an `if`, the body of a loop, a block of a `switch`, a
//! `return` or `continue` after `??`. Ways that cannot be marked (a `switch` case that is no block, code inside a text) are
//! not counted either way. Tests themselves are not counted.

use super::compiled::{Core, Rule, Shared};
use super::scan::{Token, Word, words};
use super::{api, sandbox, scenario};
use crate::engine::rule::set::RuleSet;
use rhai::{ASTNode, Expr, FlowControl, INT, Position, Stmt, StmtBlock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the tests of a rule reach.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Coverage {
    /// The rule's id.
    pub rule: String,
    /// The rule's file.
    pub file: String,
    /// Lines on which a statement begins, and how often it ran.
    pub lines: Vec<(usize, u64)>,
    /// Branches, in the order of the text.
    pub branches: Vec<Branch>,
}

/// A way that the rule can take.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Branch {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Which way, Chinese.
    pub way: &'static str,
    /// How often it was taken.
    pub taken: u64,
}

impl Coverage {
    /// Reached lines and all lines.
    pub fn line_counts(&self) -> (usize, usize) {
        let reached = self.lines.iter().filter(|(_, hits)| 0 < *hits).count();
        (reached, self.lines.len())
    }

    /// Taken branches and all branches.
    pub fn branch_counts(&self) -> (usize, usize) {
        let taken = self.branches.iter().filter(|b| 0 < b.taken).count();
        (taken, self.branches.len())
    }

    /// Lines that no test reaches.
    pub fn missed_lines(&self) -> impl Iterator<Item = usize> {
        self.lines
            .iter()
            .filter(|(_, hits)| *hits == 0)
            .map(|(line, _)| *line)
    }

    /// Branches that no test takes.
    pub fn missed_branches(&self) -> impl Iterator<Item = &Branch> {
        self.branches.iter().filter(|branch| branch.taken == 0)
    }
}

/// What the tests of each rule reach, in the order of ids. A rule that cannot be marked is left out.
pub fn cover(set: &RuleSet) -> Vec<Coverage> {
    set.rules()
        .iter()
        .filter_map(|rule| of_rule(rule))
        .collect()
}

fn of_rule(rule: &Rule) -> Option<Coverage> {
    let source = rule.source();
    let words: Vec<Word<'_>> = words(source)
        .into_iter()
        .filter(|word| word.token != Token::Comment)
        .collect();
    let mut marks = Marks {
        words: &words,
        inserts: Vec::new(),
        lines: Vec::new(),
        ways: Vec::new(),
    };
    for body in super::bodies::bodies(&rule.ast) {
        if !body.name.starts_with("test_") {
            marks.function(&body.ast);
        }
    }
    let Marks {
        inserts,
        lines,
        ways,
        ..
    } = marks;
    let hits = run(rule, &marked(source, inserts))?;
    let hit = |at: usize| hits.get(at).copied().unwrap_or(0);
    let mut by_line: BTreeMap<usize, u64> = BTreeMap::new();
    for (line, counter) in lines {
        let held = by_line.entry(line).or_default();
        *held = (*held).max(hit(counter));
    }
    let mut branches: Vec<Branch> = ways
        .into_iter()
        .map(|(at, way, count)| Branch {
            line: at.line().unwrap_or(0),
            column: at.position().unwrap_or(0),
            way,
            taken: match count {
                Count::Of(counter) => hit(counter),
                Count::Rest(whole, part) => part
                    .iter()
                    .fold(hit(whole), |rest, part| rest.saturating_sub(hit(*part))),
            },
        })
        .collect();
    branches.sort();
    Some(Coverage {
        rule: rule.manifest().id.to_string(),
        file: rule.manifest().file.to_string(),
        lines: by_line.into_iter().collect(),
        branches,
    })
}

/// Runs the tests of the marked text; gives how often each counter was passed.
fn run(rule: &Rule, text: &str) -> Option<Vec<u64>> {
    let counters: Arc<Mutex<Vec<u64>>> = Arc::default();
    let mut engine = sandbox::engine();
    api::register(&mut engine);
    let passed = Arc::clone(&counters);
    engine.register_fn(COUNTER, move |counter: INT| {
        let at = usize::try_from(counter).unwrap_or(0);
        let mut counters = passed.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.len() <= at {
            counters.resize(at + 1, 0);
        }
        if let Some(count) = counters.get_mut(at) {
            *count += 1;
        }
    });
    let ast = engine.compile(text).ok()?;
    let shared = &rule.core.shared;
    let marked = Arc::new(Rule {
        core: Arc::new(Core {
            manifest: rule.core.manifest.clone(),
            shared: Arc::new(Shared {
                engine,
                tables: shared.tables.clone(),
                traced: std::sync::OnceLock::new(),
                calendar: shared.calendar.clone(),
                scoring: shared.scoring.clone(),
                laws: shared.laws.clone(),
                measures: shared.measures.clone(),
                offices: shared.offices.clone(),
            }),
            feeds: rule.core.feeds.clone(),
        }),
        ast,
        params: rule.params.clone(),
        guard: None,
        witness: rule.witness.clone(),
        source: text.into(),
        mentions: rule.mentions.clone(),
    });
    scenario::run(&marked);
    let counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
    Some(counters.clone())
}

/// What a marked text calls.
const COUNTER: &str = "__passed";

/// How often a way was taken.
#[derive(Debug)]
enum Count {
    /// As a counter says.
    Of(usize),
    /// As often as the first, less the others.
    Rest(usize, Vec<usize>),
}

/// Finds the places for counters.
struct Marks<'a> {
    words: &'a [Word<'a>],
    /// Byte, bytes that go, text that comes.
    inserts: Vec<(usize, usize, String)>,
    /// Line and counter.
    lines: Vec<(usize, usize)>,
    ways: Vec<(Position, &'static str, Count)>,
}

impl Marks<'_> {
    fn function(&mut self, ast: &rhai::AST) {
        let mut found: Vec<(Stmt, bool)> = Vec::new();
        ast.walk(&mut |path| {
            match path.last() {
                Some(ASTNode::Stmt(statement)) => found.push(((*statement).clone(), false)),
                Some(ASTNode::Expr(Expr::Coalesce(parts, _))) => {
                    if let Some(Expr::Stmt(block)) = parts.last()
                        && let [only] = block.statements()
                    {
                        found.push((only.clone(), true));
                    }
                }
                _ => {}
            }
            true
        });
        let escapes: Vec<Position> = found
            .iter()
            .filter(|(_, is_escape)| *is_escape)
            .map(|(statement, _)| statement.position())
            .collect();
        for at in escapes {
            self.escape(at);
        }
        for (statement, _) in found.iter().filter(|(_, is_escape)| !is_escape) {
            self.statement(statement);
        }
    }

    fn word(&self, at: Position) -> Option<usize> {
        let place = (at.line()?, at.position()?);
        self.words
            .binary_search_by_key(&place, |word| (word.line, word.column))
            .ok()
    }

    fn counter(&self) -> usize {
        self.inserts.len()
    }

    fn before(&self, word: usize) -> &str {
        let before = word.checked_sub(1).and_then(|at| self.words.get(at));
        before.map_or("", |word| word.text)
    }

    fn statement(&mut self, statement: &Stmt) {
        let counter = self.first(statement);
        match statement {
            Stmt::If(flow, at) => {
                let is_inner = self
                    .word(*at)
                    .is_some_and(|word| self.before(word) == "else");
                if !is_inner {
                    self.branches(flow, *at, counter, &mut Vec::new());
                }
            }
            Stmt::While(flow, at) | Stmt::Do(flow, _, at) => self.body(&flow.body, *at, "循环体"),
            Stmt::For(parts, at) => self.body(&parts.2.body, *at, "循环体"),
            Stmt::Switch(parts, _) => {
                for case in &parts.1.expressions {
                    if let Expr::Stmt(block) = &case.rhs {
                        self.body(block, block.position(), "这一种情况");
                    }
                }
            }
            _ => {}
        }
    }

    /// A counter before the statement, if one can stand there.
    fn first(&mut self, statement: &Stmt) -> Option<usize> {
        let at = match statement {
            Stmt::Noop(_) | Stmt::Share(_) | Stmt::Block(_) => return None,
            Stmt::Assignment(parts) => parts.1.lhs.start_position(),
            other => other.position(),
        };
        let word = self.word(at)?;
        if !matches!(self.before(word), "{" | ";" | "}") {
            return None;
        }
        let start = self.words.get(word)?.start;
        let counter = self.counter();
        self.inserts
            .push((start, 0, format!("{COUNTER}({counter});")));
        self.lines.push((at.line()?, counter));
        Some(counter)
    }

    /// A counter at the beginning of a block.
    fn inside(&mut self, block: &StmtBlock) -> Option<usize> {
        let word = self.words.get(self.word(block.position())?)?;
        if word.text != "{" {
            return None;
        }
        let counter = self.counter();
        self.inserts
            .push((word.start + 1, 0, format!("{COUNTER}({counter});")));
        Some(counter)
    }

    fn body(&mut self, block: &StmtBlock, at: Position, way: &'static str) {
        if let Some(counter) = self.inside(block) {
            self.ways.push((at, way, Count::Of(counter)));
        }
    }

    /// The ways of an `if` and of those that follow its `else`; `whole` counts how often the first is asked.
    fn branches(
        &mut self,
        flow: &FlowControl,
        at: Position,
        whole: Option<usize>,
        before: &mut Vec<usize>,
    ) {
        let Some(yes) = self.inside(&flow.body) else {
            return;
        };
        self.ways.push((at, "条件成立", Count::Of(yes)));
        before.push(yes);
        if let [Stmt::If(inner, inner_at)] = flow.branch.statements()
            && self
                .word(*inner_at)
                .is_some_and(|word| self.before(word) == "else")
        {
            self.branches(inner, *inner_at, whole, before);
        } else if let Some(no) = self.inside(&flow.branch) {
            self.ways.push((at, "条件不成立", Count::Of(no)));
        } else if let Some(whole) = whole {
            self.ways
                .push((at, "条件不成立", Count::Rest(whole, before.clone())));
        }
    }

    /// `?? return` becomes `?? { …; return }`.
    fn escape(&mut self, at: Position) {
        let Some(word) = self.word(at) else { return };
        let (Some(this), Some(next)) = (self.words.get(word), self.words.get(word + 1)) else {
            return;
        };
        let is_bare = matches!(this.text, "return" | "continue" | "break")
            && matches!(next.text, ";" | ")" | "," | "}");
        if is_bare && self.before(word) == "??" {
            let counter = self.counter();
            let text = format!("{{ {COUNTER}({counter}); {} }}", this.text);
            self.inserts.push((this.start, this.text.len(), text));
            self.ways.push((at, "没有值", Count::Of(counter)));
        }
    }
}

/// The text with the counters put in.
fn marked(source: &str, mut inserts: Vec<(usize, usize, String)>) -> String {
    // At one place the counter of the block stands before that of its first statement: they were found in that order or
    // stand at different bytes, and a stable sort keeps it.
    inserts.sort_by_key(|(at, ..)| *at);
    let mut text = String::with_capacity(source.len() * 2);
    let mut done = 0;
    for (at, length, insert) in inserts {
        text.push_str(source.get(done..at).unwrap_or(""));
        text.push_str(&insert);
        done = at + length;
    }
    text.push_str(source.get(done..).unwrap_or(""));
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::{load, rule};
    use super::*;

    #[test]
    fn tells_what_the_tests_reach() {
        let body = "  let kind = ev.topic ?? return;\n  let n = 0;\n  \
            for x in who.list(\"complaint\", \"30d\") {\n    if x.topic == kind { n += 1; }\n  }\n  \
            if n < 2 { return; }\n  \
            let level = if n > 9 { \"红\" } else if n > 4 { \"橙\" } else { \"黄\" };\n  \
            warn(#{ level: level, score: 1, message: `${n} 件` })";
        let tests = "fn test_a() {\n  let t = scenario();\n  t.add(\"complaint\", \"2026-03-01\", #{ topic: \"a\" });\n  \
            t.expect_none();\n  t.add(\"complaint\", \"2026-03-02\", #{ topic: \"a\" });\n  t.expect(\"黄\", \"2 件\");\n}";
        let set = load(&[("complaint/t.rhai", &rule("", body, tests))]);
        let covered = cover(&set);
        let only = covered.first().unwrap();
        assert_eq!(only.line_counts(), (7, 7), "{only:?}");
        let missed: Vec<_> = only
            .missed_branches()
            .map(|b| (b.line, b.column, b.way))
            .collect();
        assert_eq!(
            missed,
            [
                (7, 26, "没有值"),
                (10, 5, "条件不成立"),
                (13, 15, "条件成立"),
                (13, 37, "条件成立"),
            ]
        );
        assert_eq!(only.branch_counts(), (5, 9));
    }
}

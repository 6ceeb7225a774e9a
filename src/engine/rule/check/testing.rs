//! Tests of a rule: that there are some, of both sorts, that they can run, and that they expect something.

use super::super::bodies::Body;
use super::Walker;
use super::env::Env;
use super::methods::entries;
use super::shape::{Kinds, Shape};
use crate::engine::schema::Stream;
use crate::engine::subject::view::Level;
use rhai::{ASTNode, Expr, FnCallExpr, Position};
use std::collections::BTreeSet;

const POSITIVE: [&str; 3] = ["expect", "expect_signal", "expect_sanction"];
const NEGATIVE: [&str; 2] = ["expect_none", "expect_withdrawn"];

/// Looks at the tests as a whole.
pub(super) fn check(walker: &mut Walker<'_>, bodies: &[Body]) {
    let mut all: BTreeSet<String> = BTreeSet::new();
    let mut first = None;
    for body in bodies.iter().filter(|body| body.name.starts_with("test_")) {
        let at = walker
            .functions
            .get(&body.name)
            .map_or(Position::NONE, |f| f.at);
        if !body.params.is_empty() {
            let message = format!("{} 有参数,不会被当作测试运行", body.name);
            walker.warning(
                "test-with-parameters",
                at,
                message,
                "测试写作 fn test_名字() { … },没有参数",
            );
            continue;
        }
        first = first.or(Some(at));
        let calls = expectations(body);
        if calls.is_empty() {
            let message = format!("{} 没有说应当得到什么,永远不会失败", body.name);
            let help = "最后写上 t.expect(\"黄\", \"…\") 或 t.expect_none()";
            walker.warning("test-without-expectation", at, message, help);
        }
        all.extend(calls);
    }
    let Some(at) = first else { return };
    if !all.iter().any(|call| POSITIVE.contains(&call.as_str())) {
        let help = "加一个应预警的例子,最后写 t.expect(\"黄\", \"…\")";
        walker.warning("no-positive-test", at, "没有应预警的例子".to_owned(), help);
    }
    if !all.iter().any(|call| NEGATIVE.contains(&call.as_str())) {
        let help = "加一个不应预警的例子(最好是“差一点”的),最后写 t.expect_none()";
        walker.warning(
            "no-negative-test",
            at,
            "没有不应预警的例子".to_owned(),
            help,
        );
    }
}

/// The methods of the scenario that say what should come.
fn expectations(body: &Body) -> Vec<String> {
    let mut calls = Vec::new();
    body.ast.walk(&mut |path| {
        if let Some(ASTNode::Expr(Expr::MethodCall(call, _))) = path.last()
            && call.name.starts_with("expect")
        {
            calls.push(call.name.to_string());
        }
        true
    });
    calls
}

impl Walker<'_> {
    /// `t.add(…)` and the other methods of a scenario.
    pub(super) fn scenario_call(&mut self, call: &FnCallExpr, env: &mut Env) -> Shape {
        let shapes: Vec<Shape> = call.args.iter().map(|a| self.expression(a, env)).collect();
        match (call.name.as_str(), shapes.as_slice(), call.args.as_slice()) {
            ("add", [stream, time, _], [_, at, fields]) => {
                self.refuse_date(time, at);
                let stream = stream.text().and_then(Stream::by_name);
                if let (Some(stream), Some(entries)) = (stream, entries(fields)) {
                    self.filter(stream, entries, env);
                }
                Shape::of(Kinds::TEXT)
            }
            ("licence", [_, time], [_, at]) => {
                self.refuse_date(time, at);
                Shape::of(Kinds::TEXT)
            }
            ("at", [time], [at]) => {
                self.refuse_date(time, at);
                Shape::unit()
            }
            ("expect", [level, _], [at, _]) => {
                if let Some(level) = level.text().filter(|l| Level::by_name(l).is_none()) {
                    let message = format!("预警级别“{level}”无效");
                    self.error(
                        "unknown-level",
                        at.position(),
                        message,
                        "应为 红、橙、黄、蓝 之一",
                    );
                }
                Shape::unit()
            }
            ("expect_sanction", [measure], [at]) => {
                if let Some(Err(message)) = measure.text().map(|m| self.measures.check(m)) {
                    let help = "写 sanction 里建议的那项措施,名称和清单一致";
                    self.error("unknown-measure", at.position(), message, help);
                }
                Shape::unit()
            }
            _ => Shape::unit(),
        }
    }

    fn refuse_date(&mut self, shape: &Shape, argument: &Expr) {
        let at = argument.position();
        if let Some(text) = shape.text() {
            if crate::engine::time::EventTime::parse(text).is_none() {
                let message = format!("“{text}”不是日期");
                self.error(
                    "bad-date",
                    at,
                    message,
                    "应写作 2026-03-01 或 2026-03-01 08:30",
                );
            }
        } else if !shape.kinds.has(Kinds::TEXT.or(Kinds::TIME)) && !shape.kinds.is_none() {
            let message = format!("这里需要日期,而不是{}", shape.kinds.title());
            self.error(
                "wrong-type",
                at,
                message,
                "日期要加引号,写作 \"2026-03-01\"",
            );
        }
    }
}

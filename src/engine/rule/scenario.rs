//! Tests of a rule, written in the rule's own file: `fn test_平日零星投诉_不预警()`.
//!
//! `scenario()` gives one subject without facts. Facts that are added are kept; each expectation judges every anchor anew,
//! in the order of event time, as of its own time, and once more at each time that the rule asked for with `check_on`,
//! as far as the scenario's clock has come: the end of the latest fact, or of `t.at(…)`.
//!
//! `t.expect` looks at the warning of the latest anchor that has one.

use super::compiled::{Judgement, Rule};
use super::context::{Tag, tag};
use super::convert::{fail, fault, time as read_time, to_value};
use super::guard::{Look, Memo};
use super::stage::{Said, Stage};
use super::who::{Given, field_of, stream};
use crate::engine::event::Fields;
use crate::engine::schema::{Stream, field};
use crate::engine::subject::view::{Level, Verdict};
use crate::engine::time::{EventTime, Precision};
use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Map, NativeCallContext};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A scenario, as a test has it.
#[derive(Debug, Clone)]
pub(super) struct Scenario(Arc<Mutex<Stage>>);

impl Scenario {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Text = ImmutableString;
type Done = Result<(), Box<EvalAltResult>>;

/// Registers `scenario` and the methods.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Scenario>("情景")
        .register_fn("scenario", |call: NativeCallContext| match tag(&call) {
            Some(Tag::Test(rule)) => Ok(Scenario(Arc::new(Mutex::new(Stage::new(rule))))),
            _ => Err(fault(
                "scenario 只能在 test_ 函数里调用",
                call.call_position(),
            )),
        })
        .register_fn(
            "add",
            |t: &mut Scenario, s: Text, at: Dynamic, fields: Map| {
                add(&mut t.stage(), &s, &at, &fields)
            },
        )
        .register_fn("withdraw", |t: &mut Scenario, id: Text| {
            withdraw(&mut t.stage(), &id)
        })
        .register_fn("at", |t: &mut Scenario, time: Dynamic| -> Done {
            let (time, precision) = when(&time)?;
            t.stage().move_clock(time, precision);
            Ok(())
        })
        .register_fn(
            "licence",
            |t: &mut Scenario, name: Text, valid_to: Dynamic| {
                licence(&mut t.stage(), &name, &valid_to)
            },
        )
        .register_fn("tag", |t: &mut Scenario, tag: Text| t.stage().tag(&tag))
        .register_fn("expect", |t: &mut Scenario, level: Text, text: Text| {
            expect(&t.stage(), &level, &text)
        })
        .register_fn("expect_none", |t: &mut Scenario| expect_none(&t.stage()))
        .register_fn("expect_signal", |t: &mut Scenario, text: Text| {
            expect_signal(&t.stage(), &text)
        })
        .register_fn("expect_sanction", |t: &mut Scenario, measure: Text| {
            expect_sanction(&t.stage(), &measure)
        })
        .register_fn("expect_withdrawn", |t: &mut Scenario| {
            expect_withdrawn(&t.stage())
        });
}

fn when(value: &Dynamic) -> Given<(EventTime, Precision)> {
    match read_time(value) {
        Some(when) => Ok(when),
        None => fail(format!(
            "“{value}”不是日期,应写作 2026-03-01 或 2026-03-01 08:30"
        )),
    }
}

fn add(stage: &mut Stage, name: &str, at: &Dynamic, map: &Map) -> Given<String> {
    let stream = stream(name)?;
    let (time, precision) = when(at)?;
    let mut fields = Fields::new();
    for (name, value) in map.iter().filter(|(_, value)| !value.is_unit()) {
        let field = field_of(stream, name)?;
        match to_value(field, value) {
            Ok(value) => fields.set(field, value),
            Err(message) => return fail(message),
        }
    }
    Ok(stage.add(stream, time, precision, fields))
}

fn withdraw(stage: &mut Stage, id: &str) -> Done {
    let before = stage.judge()?;
    if stage.withdraw(id, !before.is_empty()) {
        Ok(())
    } else {
        fail(format!(
            "情景里没有记录 {id};withdraw 的参数是 t.add 的返回值"
        ))
    }
}

fn licence(stage: &mut Stage, name: &str, valid_to: &Dynamic) -> Given<String> {
    let mut fields = Fields::new();
    for (field, value) in [
        (field::licence_kind, name.into()),
        (field::valid_to, valid_to.clone()),
    ] {
        match to_value(field, &value) {
            Ok(value) => fields.set(field, value),
            Err(message) => return fail(message),
        }
    }
    Ok(stage.add(Stream::Licence, Stage::since(), Precision::Day, fields))
}

/// What was found instead.
fn found(said: &[Said]) -> String {
    if said.is_empty() {
        return "实际:没有预警、信号或惩戒建议".to_owned();
    }
    let lines: Vec<String> = said.iter().map(Said::to_string).collect();
    format!("实际:{}", lines.join(";"))
}

fn expect(stage: &Stage, level: &str, text: &str) -> Done {
    let Some(wanted) = Level::by_name(level) else {
        return fail(format!("预警级别“{level}”无效,应为 红、橙、黄、蓝 之一"));
    };
    let said = stage.judge()?;
    let latest = said
        .iter()
        .filter(|s| s.verdict.warning.is_some())
        .map(|s| s.time)
        .max();
    let holds = said.iter().filter(|s| Some(s.time) == latest).any(|s| {
        s.verdict
            .warning
            .as_ref()
            .is_some_and(|w| w.level == wanted && w.message.contains(text))
    });
    if holds {
        return Ok(());
    }
    let level = wanted.title();
    fail(format!("应有{level}色预警且含“{text}”;{}", found(&said)))
}

fn expect_none(stage: &Stage) -> Done {
    let said = stage.judge()?;
    if said.is_empty() {
        return Ok(());
    }
    fail(format!("不应有预警、信号或惩戒建议;{}", found(&said)))
}

fn expect_signal(stage: &Stage, text: &str) -> Done {
    let said = stage.judge()?;
    let signals = said.iter().filter_map(|s| s.verdict.signal.as_ref());
    if signals
        .into_iter()
        .any(|signal| signal.message.contains(text))
    {
        return Ok(());
    }
    fail(format!("应有含“{text}”的信号;{}", found(&said)))
}

fn expect_sanction(stage: &Stage, measure: &str) -> Done {
    let said = stage.judge()?;
    let mut sanctions = said.iter().filter_map(|s| s.verdict.sanction.as_ref());
    if sanctions.any(|sanction| sanction.measures.iter().any(|m| m.as_ref() == measure)) {
        return Ok(());
    }
    fail(format!("应建议惩戒措施“{measure}”;{}", found(&said)))
}

fn expect_withdrawn(stage: &Stage) -> Done {
    if !stage.had_something() {
        return fail("expect_withdrawn 之前要有 t.withdraw,且撤回前应有预警、信号或惩戒建议");
    }
    let said = stage.judge()?;
    if said.is_empty() {
        return Ok(());
    }
    fail(format!(
        "撤回后不应再有预警、信号或惩戒建议;{}",
        found(&said)
    ))
}

/// How a test went.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Not as expected, or it could not run.
    Failed {
        /// What was expected and what was found, Chinese.
        message: String,
        /// The line in the rule's file, from 1; 0 if unknown.
        line: usize,
        /// The column in characters, from 1; 0 if unknown.
        column: usize,
    },
}

/// One test function and how it went.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TestReport {
    /// The rule's id.
    pub rule: String,
    /// The rule's file.
    pub file: String,
    /// The function.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
}

impl TestReport {
    /// Whether it went as expected.
    pub fn is_passed(&self) -> bool {
        self.outcome == Outcome::Passed
    }
}

/// The names of the tests, in the order of the text.
pub(super) fn tests(ast: &rhai::AST) -> Vec<String> {
    let mut tests: Vec<_> = ast
        .iter_fn_def()
        .filter(|f| f.name.starts_with("test_") && f.params.is_empty())
        .map(|f| (f.body.start_position().line(), f.name.to_string()))
        .collect();
    tests.sort();
    tests.into_iter().map(|(_, name)| name).collect()
}

/// Runs the tests of a rule, in the order of the file.
pub(super) fn run(rule: &Arc<Rule>) -> Vec<TestReport> {
    tests(&rule.ast)
        .into_iter()
        .map(|name| {
            let outcome = match rule.call_test(&name) {
                Ok(()) => Outcome::Passed,
                Err(error) => Outcome::Failed {
                    message: error.message,
                    line: error.line,
                    column: error.column,
                },
            };
            TestReport {
                rule: rule.manifest().id.to_string(),
                file: rule.manifest().file.to_string(),
                name,
                outcome,
            }
        })
        .collect()
}

/// Judges with words about the place, for a failure inside `decide`. The two ways of judging are held against each other.
pub(super) fn judge(rule: &Rule, judgement: &Judgement<'_>) -> Given<Verdict> {
    let look = rule.look(judgement, &mut Memo::default());
    match rule.judge(judgement, false) {
        Ok(verdict) if !look.agrees(&verdict) => {
            fail("系统缺陷:预判为不预警,而规则有话要说;请报告给开发者")
        }
        Ok(verdict) => Ok(verdict),
        Err(_) if look != Look::Unknown => {
            fail("系统缺陷:预判为不预警,而规则执行失败;请报告给开发者")
        }
        Err(error) => fail(format!(
            "decide 在第 {} 行第 {} 列失败:{}",
            error.line, error.column, error.message
        )),
    }
}

//! A rule that failed: what happened, where, in words that an analyst understands.

use super::compiled::Rule;
use super::diagnostic::{Diagnostic, Severity};
use rhai::{EvalAltResult, ParseErrorType, Position};
use std::fmt;

/// Why a rule could not be judged.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RuleError {
    /// What happened, Chinese.
    pub message: String,
    /// The rule's id.
    pub rule: String,
    /// The rule's file.
    pub file: String,
    /// The line, from 1; 0 if unknown.
    pub line: usize,
    /// The column in characters, from 1; 0 if unknown.
    pub column: usize,
    /// The line's text.
    pub source_line: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.message
        )
    }
}

impl std::error::Error for RuleError {}

impl RuleError {
    /// What Rhai's error means.
    pub fn read(rule: &Rule, error: &EvalAltResult) -> Self {
        let (inner, at) = innermost(error);
        let manifest = rule.manifest();
        let line = at.line().unwrap_or(0);
        Self {
            message: translate(inner),
            rule: manifest.id.to_string(),
            file: manifest.file.to_string(),
            line,
            column: at.position().unwrap_or(0),
            source_line: line
                .checked_sub(1)
                .and_then(|at| rule.source().lines().nth(at))
                .unwrap_or("")
                .to_owned(),
        }
    }

    /// The same as a diagnostic, for its rendering.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic {
            code: "rule-failed",
            severity: Severity::Error,
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            message: self.message.clone(),
            help: String::new(),
            source_line: self.source_line.clone(),
            width: 0,
            fix: None,
        }
    }
}

/// The error inside the calls, at the innermost place that is known.
fn innermost(error: &EvalAltResult) -> (&EvalAltResult, Position) {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, at) => {
            let (inner, place) = innermost(inner);
            (inner, if place.is_none() { *at } else { place })
        }
        other => (other, other.position()),
    }
}

fn translate(error: &EvalAltResult) -> String {
    use EvalAltResult as E;
    match error {
        E::ErrorRuntime(value, _) => value.to_string(),
        E::ErrorFunctionNotFound(signature, _) => {
            format!("没有能这样调用的函数或运算:{}", types(signature))
        }
        E::ErrorPropertyNotFound(name, _) => format!("没有属性 {name}"),
        E::ErrorDotExpr(text, _) => format!("不能这样取属性:{}", types(text)),
        E::ErrorVariableNotFound(name, _) => format!("没有变量 {name}"),
        E::ErrorIndexNotFound(value, _) => format!("没有下标 {value}"),
        E::ErrorIndexingType(text, _) => format!("不能取下标:{}", types(text)),
        E::ErrorArrayBounds(length, at, _) => format!("列表只有 {length} 项,取不到第 {at} 项"),
        E::ErrorStringBounds(length, at, _) => format!("文本只有 {length} 字,取不到第 {at} 字"),
        E::ErrorMismatchDataType(wanted, found, _)
        | E::ErrorMismatchOutputType(wanted, found, _) => {
            format!("类型不符:应为{},而这里是{}", types(wanted), types(found))
        }
        E::ErrorFor(_) => "for 只能遍历列表、区间、文本".to_owned(),
        E::ErrorArithmetic(text, _) => format!("算术错误:{text}"),
        E::ErrorTooManyOperations(_) => "运算步数超过上限(疑似死循环)".to_owned(),
        E::ErrorTooManyVariables(_) => "变量个数超过上限".to_owned(),
        E::ErrorStackOverflow(_) => "函数调用层数超过上限(疑似递归)".to_owned(),
        E::ErrorDataTooLarge(what, _) => format!("数据超过上限:{}", types(what)),
        E::ErrorAssignmentToConstant(name, _) => format!("常量 {name} 不能赋值"),
        E::ErrorNonPureMethodCallOnConstant(name, _) => format!("常量不能用 {name} 修改"),
        E::ErrorParsing(what, _) => syntax(what),
        other => format!("运行失败:{other}"),
    }
}

/// Rhai's type names in an analyst's words.
fn types(text: &str) -> String {
    [
        ("&str | ImmutableString | String", "文本"),
        ("string", "文本"),
        ("i64", "整数"),
        ("decimal", "小数"),
        ("bool", "是否"),
        ("array", "列表"),
        ("map", "映射"),
        ("()", "空值"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

pub(super) fn syntax(kind: &ParseErrorType) -> String {
    match kind {
        ParseErrorType::UnexpectedEOF => "语法错误:文件在这里意外结束(可能少了 } 或 ))".to_owned(),
        ParseErrorType::MissingToken(token, what) => {
            format!("语法错误:缺少 {token}{}", to_what(what))
        }
        ParseErrorType::ExprTooDeep => "表达式嵌套太深".to_owned(),
        ParseErrorType::TooManyFunctions => "函数(含测试与匿名函数)太多".to_owned(),
        ParseErrorType::FnDuplicatedDefinition(name, _) => format!("函数 {name} 定义了两次"),
        ParseErrorType::DuplicatedProperty(name) => format!("映射里 {name} 写了两次"),
        ParseErrorType::LiteralTooLarge(what, max) => format!("{what} 太大(上限 {max})"),
        other => format!("语法错误:{other}"),
    }
}

/// What a missing token would have been for, in an analyst's words.
fn to_what(what: &str) -> &'static str {
    const WORDS: [(&str, &str); 7] = [
        ("terminate this statement", "(一句话写完要有 ;)"),
        ("terminate this block", "(前面有一个 { 没有配对)"),
        ("start a statement block", "(条件后面应是 { … })"),
        (
            "separate the items of this object map",
            "(映射的每一项之间要有逗号)",
        ),
        (
            "separate the items of this array",
            "(列表的每一项之间要有逗号)",
        ),
        ("separate the arguments", "(参数之间要有逗号)"),
        ("close the arguments list", "(前面有一个 ( 没有配对)"),
    ];
    let found = WORDS.iter().find(|(english, _)| what.contains(english));
    found.map_or("", |(_, chinese)| chinese)
}

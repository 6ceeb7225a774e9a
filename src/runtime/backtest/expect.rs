//! What a back-test is expected to give, as a file: `exactly`, `at_least`, `at_most` so many warnings.
//!
//! ```toml
//! [[expect]]
//! rule = "JC-001"        # a rule's id; without it, all rules together
//! level = "红"            # only this level; without it, all
//! at_most = 40
//! ```

use super::BacktestError;
use super::judge::Told;
use crate::engine::rule::RuleSet;
use crate::engine::settle::COMPOSITE;
use crate::engine::subject::view::Level;
use serde::Deserialize;
use std::path::Path;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    expect: Vec<Expectation>,
}

/// One expectation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    rule: Option<String>,
    level: Option<String>,
    exactly: Option<u64>,
    at_least: Option<u64>,
    at_most: Option<u64>,
}

/// What came of one expectation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    /// Whether it holds.
    pub held: bool,
    /// One Chinese sentence.
    pub words: String,
}

/// Reads a file of expectations.
pub fn read(path: &Path) -> Result<Vec<Expectation>, BacktestError> {
    let text = std::fs::read_to_string(path).map_err(|cause| BacktestError::File {
        doing: "read",
        path: path.to_owned(),
        cause,
    })?;
    let fault = |line: u64, what: String| BacktestError::Content {
        path: path.to_owned(),
        line,
        what,
    };
    let file: File = toml::from_str(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or_default();
        let line = u64::try_from(before.lines().count()).unwrap_or(0);
        fault(line.max(1), error.message().to_owned())
    })?;
    for one in &file.expect {
        let limits = [one.exactly, one.at_least, one.at_most];
        if limits.iter().all(Option::is_none) {
            let what =
                "an expectation says none of exactly, at_least, at_most; give one".to_owned();
            return Err(fault(1, what));
        }
        if let Some(level) = &one.level
            && Level::by_name(level).is_none()
        {
            return Err(fault(
                1,
                format!("level \"{level}\" is not 红, 橙, 黄 or 蓝"),
            ));
        }
    }
    Ok(file.expect)
}

/// Holds the warnings against the expectations. Of a rule that the set does not have nothing can be expected.
pub fn check(expectations: &[Expectation], told: &[&Told], set: &RuleSet) -> Vec<Held> {
    let is_known = |rule: &str| rule == COMPOSITE || set.rule(rule).is_some();
    expectations
        .iter()
        .map(|one| match &one.rule {
            Some(rule) if !is_known(rule) => Held {
                held: false,
                words: format!("规则集里没有规则 {rule}，请核对预期文件：不符"),
            },
            _ => one.check(told),
        })
        .collect()
}

impl Expectation {
    fn check(&self, told: &[&Told]) -> Held {
        let level = self.level.as_deref().and_then(Level::by_name);
        let count = told
            .iter()
            .filter(|t| self.rule.as_ref().is_none_or(|rule| *rule == t.rule))
            .filter(|t| level.is_none_or(|level| level == t.level))
            .count();
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let held = self.exactly.is_none_or(|n| count == n)
            && self.at_least.is_none_or(|n| n <= count)
            && self.at_most.is_none_or(|n| count <= n);
        let mut wanted = Vec::new();
        wanted.extend(self.exactly.map(|n| format!("恰好 {n}")));
        wanted.extend(self.at_least.map(|n| format!("至少 {n}")));
        wanted.extend(self.at_most.map(|n| format!("至多 {n}")));
        let whose = self.rule.as_deref().unwrap_or("全部规则");
        let level = self.level.as_deref().unwrap_or("");
        let verdict = if held { "符合" } else { "不符" };
        Held {
            held,
            words: format!(
                "{whose} {level}预警 {count} 件，预期{}：{verdict}",
                wanted.join("、")
            ),
        }
    }
}

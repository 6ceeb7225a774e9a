//! How a rule comes into service: its status, how much of the past it judges then, and whose place it would take.
//!
//! ```text
//! draft ─▶ shadow (judged, kept, not sent; perhaps beside the rule that it `challenges`) ─▶ active ─▶ retired
//! ```

use super::compiled::Rule;
use super::diagnostic::{Diagnostic, Report};
use super::manifest::{Literal, RuleStatus};
use super::scan::{Word, words};
use rhai::Position;
use std::sync::Arc;

impl Literal {
    pub(super) fn challenges(
        &self,
        status: RuleStatus,
        report: &mut Report<'_>,
    ) -> Option<Arc<str>> {
        let id = self.optional("challenges", report)?;
        if status == RuleStatus::Active {
            report.error(
                "bad-manifest",
                self.place("challenges"),
                format!("启用的规则不能再挑战“{id}”,否则同一情况会预警两次"),
                "试行时写 status: \"shadow\";要替换就去掉 challenges,并停用原规则",
            );
        }
        Some(id.into())
    }

    pub(super) fn status(&self, report: &mut Report<'_>) -> RuleStatus {
        let Some(text) = self.optional("status", report) else {
            return RuleStatus::Active;
        };
        let found = RuleStatus::ALL
            .into_iter()
            .find(|status| status.name() == text);
        found.unwrap_or_else(|| {
            report.error(
                "bad-manifest",
                self.place("status"),
                format!("状态“{text}”无效"),
                "应为 draft(草稿)、shadow(影子)、active(启用)、retired(停用)之一",
            );
            RuleStatus::Draft
        })
    }
}

impl Rule {
    /// Whether the two judge alike: their texts differ in nothing but whether they are in service.
    pub fn judges_like(&self, other: &Self) -> bool {
        self.manifest().status.is_judged()
            && other.manifest().status.is_judged()
            && (self.source() == other.source()
                || but_for_service(self.source()) == but_for_service(other.source()))
    }
}

/// The text without the entries of the manifest that say whether the rule is in service.
fn but_for_service(source: &str) -> String {
    let mut text = source.to_owned();
    for key in ["status", "fill", "challenges"] {
        let found = text.match_indices(key).find_map(|(at, _)| {
            let after = text.get(at..)?.strip_prefix(key)?;
            let value = after.trim_start().strip_prefix(':')?.trim_start();
            let rest = value.strip_prefix('"')?.split_once('"')?.1.trim_start();
            let rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
            Some((at, text.len().saturating_sub(rest.len())))
        });
        if let Some((from, to)) = found {
            text.replace_range(from..to, "");
        }
    }
    text
}

/// A challenger needs a rule to stand beside, on the same kind of subjects.
pub(super) fn refuse_challenges(rules: &[Arc<Rule>], out: &mut Vec<Diagnostic>) {
    for rule in rules {
        let Some(id) = &rule.manifest().challenges else {
            continue;
        };
        let champion = rules.iter().find(|other| other.manifest().id == *id);
        let (message, help) = match champion {
            Some(other) if Arc::ptr_eq(other, rule) => (
                format!("规则 {id} 不能挑战自己"),
                "挑战者要有自己的编号,如原编号后加 -B".to_owned(),
            ),
            Some(other) if other.manifest().subjects == rule.manifest().subjects => continue,
            Some(_) => (
                format!("{id} 研判的主体类型与本规则不同,无从比较"),
                "两条规则的 subject 应相同".to_owned(),
            ),
            None => (
                format!("没有编号为“{id}”的规则"),
                "写被挑战规则的编号".to_owned(),
            ),
        };
        let words = words(rule.source());
        let key = words.iter().find(|word| word.text == "challenges");
        let at = key.map_or(Position::NONE, Word::position);
        Report::new(&rule.manifest().file, rule.source(), out).error(
            "bad-challenge",
            at,
            message,
            help.as_str(),
        );
    }
}

/// Makes a draft, or a rule in the shadow, speak as if it were in service; nobody else has the rule yet.
pub(super) fn put_into_service(rule: &mut Arc<Rule>) {
    if let Some(core) = Arc::get_mut(rule).and_then(|rule| Arc::get_mut(&mut rule.core))
        && matches!(core.manifest.status, RuleStatus::Draft | RuleStatus::Shadow)
    {
        core.manifest.status = RuleStatus::Active;
    }
}

//! `fenghuo rule plan`: what keeps a rule from being looked at, and what of it is left to Rhai.

use crate::cli::args::Format;
use crate::cli::look::table;
use crate::cli::{Ending, say, say_json};
use crate::engine::rule::{Plan, RuleSet, RuleSources, Severity};
use serde_json::json;

/// Says how each rule is run.
pub(super) fn plan(sources: &RuleSources, format: Format) -> Ending {
    let set = match RuleSet::load(sources) {
        Ok(set) => set,
        Err(found) => {
            for diagnostic in found.iter().filter(|d| d.severity == Severity::Error) {
                say(&format!("{diagnostic}\n"));
            }
            return Ending::Finding;
        }
    };
    let plans = set.plan();
    let complete = plans.iter().filter(|plan| plan.is_complete()).count();
    let either = plans
        .iter()
        .filter(|plan| plan.is_complete() || plan.is_gated())
        .count();
    match format {
        Format::Json => say_json(&json!({
            "rules": plans.len(), "complete": complete, "complete_or_gated": either, "plans": plans,
        })),
        Format::Table => {
            let mut out = table(&["规则", "事件", "什么时候才看它", "编译"]);
            for plan in &plans {
                for (at, gate) in plan.gates.iter().enumerate() {
                    let first = at == 0;
                    out.add_row([
                        if first { plan.id.as_str() } else { "" },
                        gate.stream,
                        gate.needs.as_deref().unwrap_or("每一条"),
                        if first { compiled(plan) } else { String::new() }.as_str(),
                    ]);
                }
            }
            say(&out.to_string());
            say(&format!(
                "{} 条规则：{complete} 条全部编译（预警语句也在内），{either} 条编译或有索引",
                plans.len()
            ));
        }
    }
    Ending::Fine
}

fn compiled(plan: &Plan) -> String {
    if plan.is_interpreted {
        return "按要求由 Rhai 执行".to_owned();
    }
    if !plan.is_compiled {
        return "全部由 Rhai 执行".to_owned();
    }
    if plan.left_to_rhai.is_empty() {
        return "全部".to_owned();
    }
    let lines: Vec<String> = plan.left_to_rhai.iter().map(ToString::to_string).collect();
    format!("到第 {} 行交给 Rhai", lines.join("、"))
}

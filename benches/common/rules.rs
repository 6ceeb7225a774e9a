//! Many rules for benches: mixed ones made by number, and the shipped ones over and over.

use fenghuo::engine::rule::{Diagnostic, RuleSources};
use fenghuo::runtime::bundle;
use std::error::Error;

/// Kinds of rules that [`mixed`] goes through.
const KINDS: usize = 10;

fn one_of(list: &[&'static str], at: usize) -> &'static str {
    list.get(at % list.len()).copied().unwrap_or_default()
}

/// Over complaints: a text, membership and a window, a window between bounds, people, a word in a text, a number and variety.
fn on_complaint(kind: usize, n: usize) -> String {
    let problem = one_of(
        &["食品质量", "食品标签", "虚假宣传", "预付卡退费", "电器质量"],
        n,
    );
    let (word, days) = (one_of(&["过期", "退款", "异物", "爆炸"], n), 7 + n % 60);
    let count = format!("who.count(\"complaint\", \"{days}d\"");
    match kind {
        0 => format!("if ev.problem_type != \"{problem}{n}\" {{ return; }}"),
        1 => format!(
            "if !(ev.problem_type in [\"{problem}\", \"乙{n}\", \"丙{n}\"]) {{ return; }}\n\
             if {count}, #{{ problem_type: \"{problem}\" }}) < {} {{ return; }}",
            30 + n % 50
        ),
        2 => format!(
            "let n = {count});\nif n < {} || n > {} {{ return; }}",
            60 + n % 100,
            90 + n % 100
        ),
        3 => format!(
            "if who.count_by(\"complaint\", \"complainant\", \"{days}d\") < {} {{ return; }}",
            40 + n % 60
        ),
        4 => format!("if !(ev.title ?? \"\").contains(\"{word}{n}\") {{ return; }}"),
        _ => format!(
            "if (ev.group_size ?? 1) < {} || who.distinct(\"complaint\", \"problem_type\", \"{days}d\") < 4 {{ return; }}",
            5 + n % 50
        ),
    }
}

/// Over inspections and penalties: a result and how often, what came before; amounts and sums, an entry of a list.
fn on_supervision(kind: usize, n: usize) -> String {
    match kind {
        6 => format!(
            "if ev.result != \"不合格\" || who.count(\"inspection\", \"{}d\", #{{ result: \"不合格\" }}) < {} {{ return; }}",
            90 + n % 200,
            6 + n % 5
        ),
        7 => format!(
            "if (ev.amount ?? 0.0) < {}.0 && who.sum(\"penalty\", \"amount\", \"365d\") < {}.0 {{ return; }}",
            2_000_000 + 10_000 * n,
            5_000_000 + 50_000 * n
        ),
        8 => format!(
            "let entry = who.list_entry(\"serious\") ?? return;\nif entry.reason != \"事由{n}\" {{ return; }}"
        ),
        _ => format!(
            "let before = who.last(\"complaint\", #{{ problem_type: \"食品质量\" }}) ?? return;\n\
             if ev.result != \"不合格\" || who.days_since(\"penalty\") ?? 999 > {} {{ return; }}",
            3 + n % 30
        ),
    }
}

/// A rule by its number. Numbers, spans and words differ from rule to rule; each speaks seldom.
fn mixed(number: usize) -> (String, String) {
    let (kind, n) = (number % KINDS, number / KINDS);
    let (stream, body) = match kind {
        0..=5 => ("complaint", on_complaint(kind, n)),
        7 | 8 => ("penalty", on_supervision(kind, n)),
        _ => ("inspection", on_supervision(kind, n)),
    };
    let text = format!(
        "const RULE = #{{ id: \"MX-{number:04}\", name: \"试验\", owner: \"处\", basis: [\"《中华人民共和国行政处罚法》第一条\"], \
         on: [\"{stream}\"], history: \"365d\", dimension: \"complaint\" }};\n\
         fn decide(ev, who, p) {{\n{body}\nwarn(#{{ level: \"蓝\", score: 1, message: \"试验\" }});\n}}\n"
    );
    (format!("{stream}/mixed_{number}.rhai"), text)
}

/// The shipped rules, and mixed ones up to `count` of all.
pub(crate) fn mixed_rules(count: usize) -> RuleSources {
    let mut sources = bundle::shipped_rules();
    let shipped = sources.files.len();
    sources
        .files
        .extend((0..count.saturating_sub(shipped)).map(mixed));
    sources
}

/// What is wrong with a bench's rules.
pub(crate) fn wrong(found: &[Diagnostic]) -> Box<dyn Error> {
    let first = found.first().map(ToString::to_string).unwrap_or_default();
    format!("the bench's rules do not load: {first}").into()
}

//! `rule explain` and `warning explain`: why, why not, and how far.
//!
//! Both run the core again over the facts in durable state, with the rule set in force there; nothing is changed. A line of
//! the rule is shown with what was compared on it. `warning explain` ends with a finding (exit code 1) if the warning
//! cannot be written anew byte for byte, and says why.

use super::args::{Format, StateArgs};
use super::look::{open, the_warning};
use super::{CliError, Ending, say, say_json};
use crate::engine::event::SubjectKey;
use crate::engine::explain::{Distance, Place, account, distances, places, reproduce};
use crate::engine::province::Province;
use crate::engine::rule::{Compared, Rule};
use crate::engine::subject::state::Subject;
use crate::engine::subject::view::Verdict;
use crate::engine::time::{EventTime, as_of};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// `rule explain`
pub(super) fn rule(
    (key, at, only): (&str, &str, Option<&str>),
    state: &StateArgs,
    format: Format,
) -> Result<Ending, CliError> {
    let key = SubjectKey::parse(key).ok_or_else(|| {
        CliError::Usage(format!(
            "\"{key}\" is no subject; write kind:key, as enterprise:9132… or region:320100"
        ))
    })?;
    let (time, precision) = EventTime::parse(at).ok_or_else(|| {
        CliError::Usage(format!(
            "\"{at}\" is no time; write 2026-03-01 or \"2026-03-01 08:30\""
        ))
    })?;
    let recovered = open(state)?;
    let province = &recovered.province;
    if let Some(id) = only
        && province.set().rule(id).is_none()
    {
        return Err(CliError::Usage(format!(
            "there is no rule \"{id}\" in the rule set in force"
        )));
    }
    let Some(subject) = province.subject(&key) else {
        say(&format!("{key}: 没有记录"));
        return Ok(Ending::Finding);
    };
    let mut told = Vec::new();
    for rule in province.set().rules() {
        if only.is_some_and(|id| id != rule.manifest().id.as_ref()) {
            continue;
        }
        for place in places(rule, &subject, as_of(time, precision)) {
            told.extend(tell(rule, &subject, &place));
        }
    }
    if told.is_empty() {
        say(&format!("{key}: {at} 之前没有可研判的事实"));
        return Ok(Ending::Finding);
    }
    print(province, &told, format, None);
    Ok(Ending::Fine)
}

/// `warning explain`
pub(super) fn warning(id: &str, state: &StateArgs, format: Format) -> Result<Ending, CliError> {
    let recovered = open(state)?;
    let province = &recovered.province;
    let Some(warning) = the_warning(province, id) else {
        return Ok(Ending::Finding);
    };
    let court = province.court();
    let subject = SubjectKey::parse(&warning.subject).and_then(|key| province.subject(&key));
    let Some((subject, again)) = subject.and_then(|s| {
        let again = reproduce(&court, &s, &warning.warning_id)?;
        Some((s, again))
    }) else {
        say(&format!("{id}: 没有这条预警"));
        return Ok(Ending::Finding);
    };
    let mut told = Vec::new();
    if let Some(rule) = province.set().rule(&warning.rule_id) {
        let findings = subject.core.as_ref().map(|core| core.findings.as_slice());
        let newest = findings
            .unwrap_or_default()
            .iter()
            .filter(|f| f.rule.as_ref() == warning.rule_id)
            .filter(|f| f.group.as_ref().map(|g| g.describe()).unwrap_or_default() == warning.group)
            .max_by_key(|f| (f.since, f.anchor));
        let place = newest.map(|f| Place {
            anchor: f.anchor,
            group: f.group.clone(),
            as_of: f.judged_at,
        });
        told.extend(place.and_then(|place| tell(rule, &subject, &place)));
    }
    let verdict = if again.is_same {
        format!(
            "预警 {} 由 {} 项研判重算，逐字节一致",
            warning.warning_id, again.findings
        )
    } else {
        format!(
            "预警 {} 不能重现：{}",
            warning.warning_id,
            again.reasons.join("；")
        )
    };
    print(province, &told, format, Some((verdict, json!(again))));
    Ok(if again.is_same {
        Ending::Fine
    } else {
        Ending::Finding
    })
}

/// One judgement, explained.
struct Told {
    json: Value,
    text: String,
}

fn tell(rule: &Rule, subject: &Subject, place: &Place) -> Option<Told> {
    let traced = account(rule, subject, place)?;
    let far = distances(rule, subject, place);
    let manifest = rule.manifest();
    let group = place.group.as_ref().map(|g| g.describe());
    let (said, observed) = match &traced.verdict {
        Ok(verdict) => (words(verdict), json!(verdict.observed)),
        Err(error) => (format!("规则出错：{error}"), Value::Null),
    };
    let mut text = format!(
        "{} {}（{}）截至 {}{}\n{said}\n",
        manifest.id,
        manifest.name,
        manifest.file,
        place.as_of,
        group.as_ref().map_or(String::new(), |g| format!("，{g}"))
    );
    annotate(&mut text, rule, &traced.compared);
    if let Ok(verdict) = &traced.verdict {
        text.push_str("规则所见\n");
        for seen in &verdict.observed {
            let _ = writeln!(text, "  {} = {}", seen.what, seen.value);
        }
    }
    for Distance { words, .. } in &far {
        let _ = writeln!(text, "{words}");
    }
    let verdict = traced.verdict.as_ref().ok();
    Some(Told {
        json: json!({
            "rule": manifest.id, "name": manifest.name, "file": manifest.file, "group": group,
            "as_of": place.as_of.rfc3339(), "verdict": said,
            "warning": verdict.and_then(|v| v.warning.clone()),
            "compared": traced.compared, "observed": observed, "distances": far,
        }),
        text,
    })
}

pub(super) fn words(verdict: &Verdict) -> String {
    let mut parts = Vec::new();
    if let Some(warning) = &verdict.warning {
        parts.push(format!(
            "{}色预警（{} 分）：{}",
            warning.level.title(),
            warning.points,
            warning.message
        ));
    }
    if let Some(signal) = &verdict.signal {
        parts.push(format!("信号：{}", signal.message));
    }
    if let Some(sanction) = &verdict.sanction {
        parts.push(format!("惩戒建议：{}", sanction.message));
    }
    if let Some(at) = verdict.check_at {
        parts.push(format!("将于 {at} 再次研判"));
    }
    if !verdict.speaks() {
        parts.insert(0, "不预警".to_owned());
    }
    parts.join("\n")
}

/// The lines of the rule on which something was compared, each with both sides and the outcome.
fn annotate(text: &mut String, rule: &Rule, compared: &[Compared]) {
    let mut lines: BTreeMap<usize, Vec<&Compared>> = BTreeMap::new();
    for one in compared {
        lines.entry(one.line).or_default().push(one);
    }
    for (line, list) in lines {
        let source = line
            .checked_sub(1)
            .and_then(|at| rule.source().lines().nth(at));
        let _ = writeln!(text, "{line:>4} | {}", source.unwrap_or("").trim_end());
        for one in list {
            let held = if one.held { "成立" } else { "不成立" };
            let _ = writeln!(
                text,
                "     |   第 {} 列：{} {} {} {held}",
                one.column, one.left, one.operator, one.right
            );
        }
    }
}

fn print(province: &Province, told: &[Told], format: Format, again: Option<(String, Value)>) {
    let hash = province.set().hash();
    match format {
        Format::Json => {
            let judged: Vec<&Value> = told.iter().map(|t| &t.json).collect();
            say_json(&json!({
                "rule_set": hash, "judged": judged, "reproduction": again.map(|(_, json)| json),
            }));
        }
        Format::Table => {
            for one in told {
                say(&one.text);
            }
            if let Some((text, _)) = again {
                say(&text);
            }
            say(&format!("规则集 {hash}"));
        }
    }
}

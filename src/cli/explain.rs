//! `rule explain` and `warning explain`: why, why not, and how far.
//!
//! Both run the core again over the facts in durable state, with the rule set in force there or an older one of the same
//! state; what is past retention is taken from the archive, if one is named. Nothing is changed. A line of the rule is shown
//! with what it saw and compared. `warning explain` asks the rule sets of the state that the warning may have been made by, unless
//! one is named; it ends with a finding (exit code 1) if the warning cannot be written anew byte for byte, and says why.

use super::args::{Format, GroundArgs};
use super::ground::Ground;
use super::look::the_warning;
use super::{CliError, Ending, say, say_json};
use crate::engine::event::SubjectKey;
use crate::engine::explain::{
    Distance, Place, Reproduction, account, distances, places, reproduce,
};
use crate::engine::judge::Court;
use crate::engine::rule::{Rule, RuleSet, Traced};
use crate::engine::schema::Stream;
use crate::engine::settle::COMPOSITE;
use crate::engine::subject::facts::Fact;
use crate::engine::subject::state::{Finding, Holdings, Subject};
use crate::engine::subject::view::{Anchor, Verdict};
use crate::engine::time::{EventTime, as_of};
use crate::engine::warning::Warning;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// `rule explain`
pub(super) fn rule(
    (key, at, only): (&str, &str, Option<&str>),
    ground: &GroundArgs,
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
    let ground = Ground::open(ground)?;
    if let Some(id) = only
        && ground.set().rule(id).is_none()
    {
        return Err(CliError::Usage(format!(
            "there is no rule \"{id}\" in the rule set {}",
            ground.set().hash()
        )));
    }
    let Some(subject) = ground.subject(&key)? else {
        say(&format!("{key}: 没有记录"));
        return Ok(Ending::Finding);
    };
    let mut told = Vec::new();
    for rule in ground.set().rules() {
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
    print(ground.set(), &told, format, None);
    Ok(Ending::Fine)
}

/// `warning explain`
pub(super) fn warning(id: &str, args: &GroundArgs, format: Format) -> Result<Ending, CliError> {
    let ground = Ground::open(args)?;
    let Some(warning) = the_warning(ground.province(), id) else {
        return Ok(Ending::Finding);
    };
    let subject = SubjectKey::parse(&warning.subject).map(|key| ground.subject(&key));
    let Some((subject, again)) = subject.transpose()?.flatten().and_then(|s| {
        let again = reproduce(&ground.court(), &[], &s, &warning.warning_id)?;
        Some((s, again))
    }) else {
        say(&format!("{id}: 没有这条预警"));
        return Ok(Ending::Finding);
    };
    let (again, elders) = if again.is_same {
        (again, Vec::new())
    } else {
        by_elders(&ground, &subject, (&warning, again))?
    };
    let findings = subject.core.as_ref().map(|core| core.findings.as_slice());
    let newest = findings
        .unwrap_or_default()
        .iter()
        .filter(|f| f.rule.as_ref() == warning.rule_id)
        .filter(|f| f.group.as_ref().map(|g| g.describe()).unwrap_or_default() == warning.group)
        .max_by_key(|f| (f.since, f.anchor));
    let told = newest.and_then(|finding| tell_finding(&ground, &elders, (&subject, finding)));
    let told = Vec::from_iter(told);
    let verdict = if again.is_same {
        format!(
            "预警 {} 由 {} 项研判重算，逐字节一致{}",
            warning.warning_id,
            again.findings,
            older_part(&again, ground.set().hash())
        )
    } else {
        format!(
            "预警 {} 不能重现：{}",
            warning.warning_id,
            again.reasons.join("；")
        )
    };
    print(ground.set(), &told, format, Some((verdict, json!(again))));
    Ok(if again.is_same {
        Ending::Fine
    } else {
        Ending::Finding
    })
}

/// Asks the other rule sets of the state as well: rules may have changed since the warning was made.
fn by_elders(
    ground: &Ground,
    subject: &Subject,
    (warning, first): (&Warning, Reproduction),
) -> Result<(Reproduction, Vec<RuleSet>), CliError> {
    let core = subject.core.as_ref();
    let findings = core
        .map(|core| core.findings.as_slice())
        .unwrap_or_default();
    let rules: BTreeSet<&str> = if warning.rule_id == COMPOSITE {
        findings.iter().map(|f| f.rule.as_ref()).collect()
    } else {
        BTreeSet::from([warning.rule_id.as_str()])
    };
    let elders = ground.elders(&rules)?;
    let courts: Vec<Court<'_>> = elders.iter().map(|set| ground.court_of(set)).collect();
    let again = reproduce(&ground.court(), &courts, subject, &warning.warning_id);
    let mut again = again.unwrap_or(first);
    // The findings of a retired rule are gone, its texts are not.
    if again.findings == 0
        && let Some(set) = elders
            .iter()
            .find(|set| set.rule(&warning.rule_id).is_some())
    {
        again.reasons.push(format!(
            "当时的规则还在：fenghuo rule explain --subject {} --at \"{}\" --rule {} --rule-set {}",
            warning.subject,
            warning.last_event_at,
            warning.rule_id,
            short(set.hash())
        ));
    }
    Ok((again, elders))
}

/// How much of it is by rule sets that are no longer in force.
fn older_part(again: &Reproduction, in_force: &str) -> String {
    let older = again.rule_sets.iter().filter(|(hash, _)| *hash != in_force);
    let parts: Vec<String> = older
        .map(|(hash, count)| format!("{count} 项按当时的规则集 {}", short(hash)))
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!("（其中 {}）", parts.join("，"))
    }
}

/// Enough of a hash to be found by.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// The judgement behind a finding, by the first rule set that gives it again; by the one in force if none does.
fn tell_finding(
    ground: &Ground,
    elders: &[RuleSet],
    (subject, finding): (&Subject, &Finding),
) -> Option<Told> {
    let place = Place {
        anchor: finding.anchor,
        group: finding.group.clone(),
        as_of: finding.judged_at,
    };
    let gives = |rule: &Rule| {
        let verdict = account(rule, subject, &place).and_then(|traced| traced.verdict.ok());
        verdict.is_some_and(|verdict| {
            (&verdict.warning, &verdict.signal, &verdict.sanction)
                == (&finding.warning, &finding.signal, &finding.sanction)
        })
    };
    let mut sets = std::iter::once(ground.set()).chain(elders);
    let by = sets.find(|set| set.rule(&finding.rule).is_some_and(|rule| gives(rule)));
    let set = by.unwrap_or(ground.set());
    let mut told = tell(set.rule(&finding.rule)?, subject, &place)?;
    if set.hash() != ground.set().hash() {
        told.text = format!("按当时的规则集 {}\n{}", short(set.hash()), told.text);
        if let Some(json) = told.json.as_object_mut() {
            json.insert("rule_set".to_owned(), json!(set.hash()));
        }
    }
    Some(told)
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
    annotate(&mut text, rule, &traced);
    let mut evidence = Vec::new();
    if let Ok(verdict) = &traced.verdict {
        text.push_str("规则所见\n");
        for seen in &verdict.observed {
            let _ = writeln!(text, "  {} = {}", seen.what, seen.value);
        }
        evidence = evidence_of(verdict, subject, place);
    }
    if !evidence.is_empty() {
        text.push_str("依据\n");
        for line in &evidence {
            let _ = writeln!(text, "  {line}");
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
            "compared": traced.compared, "values": traced.values, "observed": observed, "evidence": evidence,
            "distances": far,
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

/// The facts that a verdict rests on, the anchor first: when, of which stream, and how evidence names it.
fn evidence_of(verdict: &Verdict, subject: &Subject, place: &Place) -> Vec<String> {
    let Some(facts) = subject.facts() else {
        let Holdings::Groups(groups) = &subject.holdings else {
            return Vec::new();
        };
        let series = place.group.as_ref().and_then(|group| groups.get(group));
        let recent = series.map(|series| series.recent(place.as_of.day()));
        let lines = recent.into_iter().flatten();
        return lines
            .map(|fact| format!("{} {}", fact.time, fact.id))
            .collect();
    };
    if !verdict.speaks() {
        return Vec::new();
    }
    let anchor = match place.anchor {
        Anchor::Fact(key) => Some(key),
        Anchor::Day(_) => None,
    };
    let keys = anchor.into_iter().chain(verdict.evidence.iter().copied());
    let line = |stream: Stream, fact: &Fact| {
        let id = fact.peek().map(|peek| peek.id()).unwrap_or_default();
        format!("{} {} {id}", fact.time, stream.title())
    };
    keys.filter_map(|key| facts.find(key))
        .map(|(stream, fact)| line(stream, fact))
        .collect()
}

/// The lines of the rule that saw or compared something: values, and each comparison with both sides and the outcome.
fn annotate(text: &mut String, rule: &Rule, traced: &Traced) {
    let mut lines: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for seen in &traced.values {
        let words = format!("{} = {}", seen.what, seen.value);
        lines.entry(seen.line).or_default().push(words);
    }
    for one in &traced.compared {
        let held = if one.held { "成立" } else { "不成立" };
        let apart = match (one.left.parse::<Decimal>(), one.right.parse::<Decimal>()) {
            (Ok(left), Ok(right)) if left != right => format!("（相差 {}）", (left - right).abs()),
            _ => String::new(),
        };
        let words = format!(
            "第 {} 列：{} {} {} {held}{apart}",
            one.column, one.left, one.operator, one.right
        );
        let of_line = lines.entry(one.line).or_default();
        if !of_line.contains(&words) {
            of_line.push(words);
        }
    }
    for (line, list) in lines {
        let source = line
            .checked_sub(1)
            .and_then(|at| rule.source().lines().nth(at));
        let _ = writeln!(text, "{line:>4} | {}", source.unwrap_or("").trim_end());
        for words in list {
            let _ = writeln!(text, "     |   {words}");
        }
    }
}

fn print(set: &RuleSet, told: &[Told], format: Format, again: Option<(String, Value)>) {
    let hash = set.hash();
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

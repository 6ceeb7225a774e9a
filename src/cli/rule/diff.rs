//! `fenghuo rule diff`: what another rule set changes, rule by rule: entries of the manifest, thresholds, text.
//!
//! exit codes: 1 if they differ

use super::args::DiffArgs;
use super::sources;
use crate::cli::args::Format;
use crate::cli::{CliError, Ending, say, say_json};
use crate::engine::rule::{Rule, RuleSet};
use serde_json::{Value, json};
use similar::TextDiff;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// `rule diff`
pub(super) fn diff(args: &DiffArgs, format: Format) -> Result<Ending, CliError> {
    let (old, new) = (load(args.old.as_ref())?, load(Some(&args.new))?);
    let ids: BTreeSet<&str> = [&old, &new]
        .into_iter()
        .flat_map(|set| set.rules().iter().map(|rule| rule.manifest().id.as_ref()))
        .collect();
    let changes: Vec<Change> = ids
        .into_iter()
        .filter_map(|id| {
            change(
                old.rule(id).map(AsRef::as_ref),
                new.rule(id).map(AsRef::as_ref),
            )
        })
        .collect();
    match format {
        Format::Json => {
            let changes: Vec<Value> = changes.iter().map(|change| change.json.clone()).collect();
            say_json(&json!({ "old": old.hash(), "new": new.hash(), "changes": changes }));
        }
        Format::Table => {
            for change in &changes {
                say(&change.text);
            }
            let tables = if old.hash() != new.hash() && changes.is_empty() {
                "；规则没有变化，日历、法规、措施或分值的表有变化"
            } else {
                ""
            };
            say(&format!("{} 条规则有变化{tables}", changes.len()));
            say(&format!("旧规则集 {}\n新规则集 {}", old.hash(), new.hash()));
        }
    }
    Ok(if old.hash() == new.hash() {
        Ending::Fine
    } else {
        Ending::Finding
    })
}

fn load(path: Option<&PathBuf>) -> Result<RuleSet, CliError> {
    let found = sources(path)?;
    RuleSet::restore(&found.sources).map_err(|found| {
        let first = found.first().map(ToString::to_string).unwrap_or_default();
        CliError::Usage(format!("the rules cannot be loaded:\n{first}"))
    })
}

struct Change {
    text: String,
    json: Value,
}

fn change(old: Option<&Rule>, new: Option<&Rule>) -> Option<Change> {
    match (old, new) {
        (Some(old), Some(new)) => changed(old, new),
        (Some(rule), None) => Some(one_sided("删去", "removed", rule)),
        (None, Some(rule)) => Some(one_sided("新增", "added", rule)),
        (None, None) => None,
    }
}

fn one_sided(word: &str, kind: &str, rule: &Rule) -> Change {
    let manifest = rule.manifest();
    Change {
        text: format!(
            "{word} {} {}（{}）\n",
            manifest.id, manifest.name, manifest.file
        ),
        json: json!({ "rule": manifest.id, "kind": kind, "file": manifest.file }),
    }
}

fn changed(old: &Rule, new: &Rule) -> Option<Change> {
    let manifest = new.manifest();
    if old.source() == new.source() && old.manifest().file == manifest.file {
        return None;
    }
    let (before, after): (BTreeMap<_, _>, BTreeMap<_, _>) = (
        old.entries().into_iter().collect(),
        new.entries().into_iter().collect(),
    );
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let none = "（无）".to_owned();
    let entries: Vec<(&String, &String, &String)> = keys
        .into_iter()
        .map(|key| {
            (
                key,
                before.get(key).unwrap_or(&none),
                after.get(key).unwrap_or(&none),
            )
        })
        .filter(|(_, before, after)| before != after)
        .collect();
    let diff = TextDiff::from_lines(old.source(), new.source());
    let unified = diff
        .unified_diff()
        .context_radius(2)
        .header(&old.manifest().file, &manifest.file)
        .to_string();
    let listed: Vec<String> = entries
        .iter()
        .map(|(key, before, after)| format!("  {key}: {before} → {after}\n"))
        .collect();
    Some(Change {
        text: format!(
            "改动 {} {}（{}）\n{}{unified}",
            manifest.id,
            manifest.name,
            manifest.file,
            listed.concat()
        ),
        json: json!({
            "rule": manifest.id, "kind": "changed", "file": manifest.file,
            "entries": entries.iter().map(|(key, before, after)| json!({
                "key": key, "old": before, "new": after,
            })).collect::<Vec<_>>(),
            "diff": unified,
        }),
    })
}

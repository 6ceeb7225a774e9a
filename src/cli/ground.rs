//! What a verdict is explained from: durable state, a rule set of it, and the archive for what is past retention.

use super::CliError;
use super::archive::tell;
use super::args::GroundArgs;
use super::look::store_in;
use crate::engine::event::SubjectKey;
use crate::engine::explain::extend;
use crate::engine::judge::Court;
use crate::engine::province::Province;
use crate::engine::rule::{RuleSet, RuleSources};
use crate::engine::subject::state::Subject;
use crate::runtime::archive;
use crate::runtime::archive::slip::Wanted;
use crate::runtime::journal::{read_rules, rule_sets};
use crate::runtime::recover::{Recovered, recover, rules_of};
use crate::runtime::store::DiskStore;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Older rule sets that are asked.
const ELDERS_MAX: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct Ground {
    store: DiskStore,
    recovered: Recovered,
    /// Another rule set than the one in force.
    older: Option<RuleSet>,
    archive: Option<PathBuf>,
}

impl Ground {
    /// Reads the state, and the rule set that is asked for.
    pub(super) fn open(args: &GroundArgs) -> Result<Self, CliError> {
        let store = store_in(&args.state)?;
        let recovered = recover(&store, usize::MAX)?.ok_or_else(|| {
            CliError::Usage(format!(
                "the state in \"{}\" is empty",
                args.state.state.display()
            ))
        })?;
        let older = match &args.rule_set {
            None => None,
            Some(beginning) => {
                let all = rule_sets(&store)?;
                let mut fit = all.iter().filter(|hash| hash.starts_with(beginning));
                let (Some(hash), None) = (fit.next(), fit.next()) else {
                    let message = format!(
                        "\"{beginning}\" is the beginning of no single rule set of the state; there are: {}",
                        all.join(", ")
                    );
                    return Err(CliError::Usage(message));
                };
                Some(rules_of(&store, hash)?)
            }
        };
        Ok(Self {
            store,
            recovered,
            older,
            archive: args.archive.clone(),
        })
    }

    pub(super) fn province(&self) -> &Province {
        &self.recovered.province
    }

    /// The rule set that is judged by.
    pub(super) fn set(&self) -> &RuleSet {
        self.older.as_ref().unwrap_or(self.recovered.province.set())
    }

    pub(super) fn court(&self) -> Court<'_> {
        match &self.older {
            Some(set) => self.court_of(set),
            None => self.recovered.province.court(),
        }
    }

    /// Judges by another rule set of the state.
    pub(super) fn court_of<'a>(&'a self, set: &'a RuleSet) -> Court<'a> {
        Court {
            set,
            // Who is suspended is known of the rule set in force only.
            suspended: &[],
            ..self.recovered.province.court()
        }
    }

    /// The other rule sets of the state in which these rules have a text or a calendar of their own, each once; none if a rule set was
    /// asked for.
    pub(super) fn elders(&self, rules: &BTreeSet<&str>) -> Result<Vec<RuleSet>, CliError> {
        let mut elders = Vec::new();
        if self.older.is_some() {
            return Ok(elders);
        }
        let texts = |sources: &RuleSources| {
            let names: Vec<String> = rules.iter().map(|rule| format!("\"{rule}\"")).collect();
            let mut texts = sources.files.clone();
            texts.retain(|(_, text)| names.iter().any(|name| text.contains(name.as_str())));
            texts.sort();
            if !texts.is_empty() {
                // Working days are judged by it.
                texts.push((String::new(), sources.calendar.clone()));
            }
            texts
        };
        let in_force = read_rules(&self.store, self.set().hash())?;
        let mut seen = Vec::from_iter(in_force.as_ref().map(texts));
        for hash in rule_sets(&self.store)? {
            let text = read_rules(&self.store, &hash)?.as_ref().map(texts);
            let Some(text) = text.filter(|text| !text.is_empty() && !seen.contains(text)) else {
                continue;
            };
            seen.push(text);
            elders.push(rules_of(&self.store, &hash)?);
            if elders.len() == ELDERS_MAX {
                break;
            }
        }
        Ok(elders)
    }

    /// A subject, with what it let go if there is an archive.
    pub(super) fn subject(&self, key: &SubjectKey) -> Result<Option<Subject>, CliError> {
        let Some(subject) = self.recovered.province.subject(key) else {
            return Ok(None);
        };
        let mut subject = subject.into_owned();
        if let (Some(dir), false) = (&self.archive, key.kind.is_collective()) {
            let wanted = Wanted::all();
            let mut events = Vec::new();
            let mut damaged = Vec::new();
            for part in archive::parts(dir)? {
                let damage = archive::scan(&part, &wanted, &mut |slip| {
                    let is_its = |(kind, name): &(_, &str)| *kind == key.kind && **name == *key.key;
                    if slip.subjects.iter().any(is_its) {
                        events.push(slip.event());
                    }
                });
                damaged.extend(damage);
            }
            tell(&damaged);
            extend(&mut subject, events);
        }
        Ok(Some(subject))
    }
}

//! The laws that rules rest on and the measures that they may propose: `rules/laws.toml`, `rules/measures.toml`.
//!
//! A rule's `basis` names laws by title; a title that is not in the table is an error, one that is repealed a warning that
//! names its successor. A measure outside the table cannot be proposed: joint sanctions may only take measures of the
//! published list, each with its basis and edition.

use serde::Deserialize;
use std::collections::BTreeMap;

/// One law.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Law {
    /// Its title without 《》.
    pub title: String,
    /// When this text came into force, `2026-04-15`; may be only a year.
    #[serde(default)]
    pub effective: Option<String>,
    /// Since when it is no longer in force.
    #[serde(default)]
    pub repealed: Option<String>,
    /// The title of what took its place.
    #[serde(default)]
    pub successor: Option<String>,
    /// Number of the order, remarks.
    #[serde(default)]
    pub note: Option<String>,
}

/// The laws by title.
#[derive(Debug, Clone, Default)]
pub struct Laws(BTreeMap<String, Law>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LawFile {
    #[serde(default)]
    law: Vec<Law>,
}

impl Laws {
    /// Reads `rules/laws.toml`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: LawFile = toml::from_str(text).map_err(|error| format!("laws.toml: {error}"))?;
        let mut laws = BTreeMap::new();
        for law in file.law {
            if let Some(twice) = laws.insert(law.title.clone(), law) {
                return Err(format!("laws.toml: 《{}》 is there twice", twice.title));
            }
        }
        Ok(Self(laws))
    }

    /// The law of this title.
    pub fn get(&self, title: &str) -> Option<&Law> {
        self.0.get(title)
    }

    /// All laws, in the order of titles.
    pub fn iter(&self) -> impl Iterator<Item = &Law> {
        self.0.values()
    }
}

/// The titles between 《 and 》.
pub(super) fn titles(basis: &str) -> Vec<&str> {
    basis
        .split('《')
        .skip(1)
        .filter_map(|rest| rest.split_once('》').map(|(title, _)| title))
        .collect()
}

/// One measure of joint sanction.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// Its code.
    pub code: String,
    /// Its name, as rules and proposals write it.
    pub name: String,
    /// Other names for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What it rests on.
    pub basis: String,
    /// The edition of the list that has it.
    pub edition: String,
}

/// The measures.
#[derive(Debug, Clone, Default)]
pub struct Measures(Vec<Measure>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeasureFile {
    #[serde(default)]
    measure: Vec<Measure>,
}

impl Measures {
    /// Reads `rules/measures.toml`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: MeasureFile =
            toml::from_str(text).map_err(|error| format!("measures.toml: {error}"))?;
        let mut names: Vec<&str> = file.measure.iter().flat_map(Measure::names).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair.first() == pair.last()) {
            return Err(format!(
                "measures.toml: \"{}\" is there twice",
                pair.join(", ")
            ));
        }
        Ok(Self(file.measure))
    }

    /// The measure of this code or name.
    pub fn get(&self, name: &str) -> Option<&Measure> {
        self.0
            .iter()
            .find(|measure| measure.names().any(|n| n == name))
    }

    /// Whether there is such a measure; the error says what to do.
    pub fn check(&self, name: &str) -> Result<(), String> {
        if self.get(name).is_some() {
            return Ok(());
        }
        let near = self.nearest(name);
        let near = near.map_or(String::new(), |near| format!(";是不是想写 {near}?"));
        Err(format!("惩戒措施“{name}”不在 measures.toml 中{near}"))
    }

    /// The measure whose name is nearest to this one, if any is near.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        super::names::nearest(name, self.0.iter().map(|measure| measure.name.as_str()))
    }

    /// All measures.
    pub fn iter(&self) -> impl Iterator<Item = &Measure> {
        self.0.iter()
    }
}

impl Measure {
    fn names(&self) -> impl Iterator<Item = &str> {
        let aliases = self.aliases.iter().map(String::as_str);
        [self.code.as_str(), self.name.as_str()]
            .into_iter()
            .chain(aliases)
    }
}

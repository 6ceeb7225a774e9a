//! Rules and connectors as files: from a directory, or as they were built into the binary.
//!
//! A rules directory holds `calendar.toml`, `scoring.toml`, `laws.toml`, `measures.toml`, `routing.toml`,
//! `sanctions.toml` and `<line>/<name>.rhai`; a
//! connectors directory holds `<id>.toml`, each with a sibling `.rhai` if it has a script. Files are taken in the order of
//! their names, so the same directory gives the same rule set on every machine.

use crate::engine::connector::Connector;
use crate::engine::rule::{Diagnostic, RuleSet, RuleSources, Severity};
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

static RULES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/rules");
static CONNECTORS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/connectors");

/// The most bytes of a rule, connector or table file.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Why rules or connectors cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file or directory cannot be read.
    #[error("cannot read {path}: check that it exists and is UTF-8 text", path = path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}", path = path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Rules with errors.
    #[error("{count} error(s) in the rules under {path}; `fenghuo rule check {path}` shows them, the first is:\n{first}", path = path.display())]
    Rules {
        /// The directory.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first, with its place.
        first: String,
    },
    /// A connector with errors.
    #[error("{0}")]
    Connector(String),
    /// Two connectors with one id.
    #[error(
        "connector \"{id}\" stands in two files: {one} and {other}; give one of them another id"
    )]
    Twice {
        /// The id.
        id: String,
        /// One file.
        one: String,
        /// The other.
        other: String,
    },
}

/// Text files by their path below the directory, `/` between parts.
pub type Texts = BTreeMap<String, String>;

/// The texts of a directory on disk, with these endings.
pub fn read_texts(dir: &Path, endings: &[&str]) -> Result<Texts, BundleError> {
    let mut texts = Texts::new();
    read_into(dir, "", endings, &mut texts)?;
    Ok(texts)
}

fn read_into(
    dir: &Path,
    prefix: &str,
    endings: &[&str],
    texts: &mut Texts,
) -> Result<(), BundleError> {
    let fault = |path: &Path, cause| BundleError::Read {
        path: path.to_owned(),
        cause,
    };
    for entry in std::fs::read_dir(dir).map_err(|e| fault(dir, e))? {
        let entry = entry.map_err(|e| fault(dir, e))?;
        let (path, name) = (
            entry.path(),
            entry.file_name().to_string_lossy().into_owned(),
        );
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            read_into(&path, &format!("{prefix}{name}/"), endings, texts)?;
        } else if endings.iter().any(|end| name.ends_with(end)) {
            let length = entry.metadata().map_err(|e| fault(&path, e))?.len();
            if FILE_BYTES_MAX < length {
                let cause =
                    std::io::Error::other(format!("{length} bytes are more than {FILE_BYTES_MAX}"));
                return Err(fault(&path, cause));
            }
            let text = std::fs::read_to_string(&path).map_err(|e| fault(&path, e))?;
            texts.insert(format!("{prefix}{name}"), text);
        }
    }
    Ok(())
}

fn built_in(dir: &Dir<'_>, endings: &[&str], texts: &mut Texts) {
    for file in dir.files() {
        let path = file.path().to_string_lossy().replace('\\', "/");
        if let (true, Some(text)) = (
            endings.iter().any(|end| path.ends_with(end)),
            file.contents_utf8(),
        ) {
            texts.insert(path, text.to_owned());
        }
    }
    for dir in dir.dirs() {
        built_in(dir, endings, texts);
    }
}

fn has_ending(name: &str, ending: &str) -> bool {
    Path::new(name).extension().is_some_and(|e| e == ending)
}

/// Rule sources from texts; tables that are not there are empty and the loading says so.
pub fn rule_sources(mut texts: Texts) -> RuleSources {
    let mut table = |name: &str| texts.remove(name).unwrap_or_default();
    let (calendar, scoring) = (table("calendar.toml"), table("scoring.toml"));
    let (laws, measures) = (table("laws.toml"), table("measures.toml"));
    let (routing, sanctions) = (table("routing.toml"), table("sanctions.toml"));
    let files = texts
        .into_iter()
        .filter(|(path, _)| has_ending(path, "rhai"))
        .collect();
    RuleSources {
        files,
        calendar,
        scoring,
        laws,
        measures,
        routing,
        sanctions,
    }
}

/// The texts that give these sources.
pub fn texts_of(sources: &RuleSources) -> Texts {
    // Named one by one, so that a new table cannot be left out.
    let RuleSources {
        files,
        calendar,
        scoring,
        laws,
        measures,
        routing,
        sanctions,
    } = sources;
    let mut texts: Texts = files.iter().cloned().collect();
    for (name, text) in [
        ("calendar.toml", calendar),
        ("scoring.toml", scoring),
        ("laws.toml", laws),
        ("measures.toml", measures),
        ("routing.toml", routing),
        ("sanctions.toml", sanctions),
    ] {
        texts.insert(name.to_owned(), text.clone());
    }
    texts
}

/// Rule sources of a directory. Tables that it lacks are those of the shipped rules.
pub fn rules_in(dir: &Path) -> Result<RuleSources, BundleError> {
    let mut texts = read_texts(dir, &[".rhai", ".toml"])?;
    let mut shipped = Texts::new();
    built_in(&RULES, &[".toml"], &mut shipped);
    for (name, text) in shipped {
        texts.entry(name).or_insert(text);
    }
    Ok(rule_sources(texts))
}

/// The shipped rules.
pub fn shipped_rules() -> RuleSources {
    let mut texts = Texts::new();
    built_in(&RULES, &[".rhai", ".toml"], &mut texts);
    rule_sources(texts)
}

/// Loads rules, or says what is wrong with the first of them.
pub fn load_rules(path: &Path, sources: &RuleSources) -> Result<RuleSet, BundleError> {
    RuleSet::load(sources).map_err(|found| {
        let (count, first) = errors(&found);
        BundleError::Rules {
            path: path.to_owned(),
            count,
            first,
        }
    })
}

/// How many errors there are among diagnostics, and the first; warnings stop nothing.
pub fn errors(found: &[Diagnostic]) -> (usize, String) {
    let mut errors = found.iter().filter(|d| d.severity == Severity::Error);
    let first = errors.next().map(ToString::to_string).unwrap_or_default();
    (1 + errors.count(), first)
}

/// Connectors from texts, in the order of their ids.
pub fn connectors_of(texts: &Texts) -> Result<Vec<Arc<Connector>>, BundleError> {
    let mut known: BTreeMap<String, (String, Arc<Connector>)> = BTreeMap::new();
    for (name, text) in texts.iter().filter(|(name, _)| has_ending(name, "toml")) {
        let script = name
            .strip_suffix(".toml")
            .and_then(|stem| texts.get(&format!("{stem}.rhai")));
        let connector = Connector::parse(name, text, script.map(String::as_str))
            .map_err(|error| BundleError::Connector(error.to_string()))?;
        let id = connector.id().to_owned();
        if let Some((one, _)) = known.insert(id.clone(), (name.clone(), Arc::new(connector))) {
            return Err(BundleError::Twice {
                id,
                one,
                other: name.clone(),
            });
        }
    }
    Ok(known
        .into_values()
        .map(|(_, connector)| connector)
        .collect())
}

/// Connectors of a directory.
pub fn connectors_in(dir: &Path) -> Result<Vec<Arc<Connector>>, BundleError> {
    connectors_of(&read_texts(dir, &[".toml", ".rhai"])?)
}

/// The shipped connectors.
pub fn shipped_connectors() -> Result<Vec<Arc<Connector>>, BundleError> {
    let mut texts = Texts::new();
    built_in(&CONNECTORS, &[".toml", ".rhai"], &mut texts);
    connectors_of(&texts)
}

/// Writes the shipped rules and connectors below a directory, as `rules/` and `connectors/`.
pub fn write_shipped(dir: &Path) -> Result<(), BundleError> {
    let mut texts = Texts::new();
    for (folder, built) in [("rules", &RULES), ("connectors", &CONNECTORS)] {
        let mut inside = Texts::new();
        built_in(built, &[".rhai", ".toml"], &mut inside);
        texts.extend(
            inside
                .into_iter()
                .map(|(path, text)| (format!("{folder}/{path}"), text)),
        );
    }
    for (path, text) in texts {
        let path = dir.join(path);
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(dir))?;
            std::fs::write(&path, &text)
        };
        write().map_err(|cause| BundleError::Write {
            path: path.clone(),
            cause,
        })?;
    }
    Ok(())
}

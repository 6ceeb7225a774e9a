//! A directory that `fenghuo run` can be pointed at: the feeds, the truth, the manifest, a configuration and a key.

use super::feed::{Feed, FileFeeds};
use super::summary::{Summary, configuration};
use super::{GenerateError, Plan, generate};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The key of personal hashes that the package brings. It protects nobody: the people are invented.
pub const PERSONAL_KEY: &[u8] = b"fenghuo-generate: the key of people who do not exist";

/// Where the configuration finds what the package does not bring; relative paths start at the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Rules.
    pub rules: String,
    /// Connectors.
    pub connectors: String,
}

/// Makes the province as files of `dir`, which is created if need be: nine feeds, `truth.csv`, `manifest.json`, `fenghuo.toml` and
/// `personal.key`. Files of these names are overwritten.
pub fn write_package(
    dir: &Path,
    plan: &Plan,
    folders: &Folders,
    progress: &mut dyn FnMut(u64),
) -> Result<Summary, GenerateError> {
    let fault = |file: &str| {
        let file = dir.join(file).display().to_string();
        move |source: io::Error| GenerateError::Write { file, source }
    };
    plan.check()?;
    std::fs::create_dir_all(dir).map_err(fault(""))?;
    let mut feeds = FileFeeds::create(dir).map_err(fault(&Feed::HotlineOrder.file_name()))?;
    let summary = generate(plan, &mut feeds, progress)?;
    feeds.finish().map_err(fault("*"))?;
    let texts = [
        ("truth.csv", summary.truth_csv()),
        ("manifest.json", summary.manifest_json(plan)),
        (
            "fenghuo.toml",
            configuration(&folders.rules, &folders.connectors),
        ),
    ];
    for (name, text) in texts {
        std::fs::write(dir.join(name), text).map_err(fault(name))?;
    }
    write_key(&dir.join("personal.key")).map_err(fault("personal.key"))?;
    Ok(summary)
}

/// Readable by its owner alone, as the configuration demands.
fn write_key(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(PERSONAL_KEY)
}

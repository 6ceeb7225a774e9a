//! `fenghuo demo`: a small province, generated, and run through the very same path as `fenghuo run`.

use super::args::{DemoArgs, Format};
use super::generate::package;
use super::look::FileError;
use super::run::{report, run_config};
use super::{CliError, Ending, say};
use crate::generate::Plan;
use crate::runtime::assembly::Parts;
use crate::runtime::clock::Stopwatch;
use crate::runtime::config::Config;
use crate::runtime::digest::Digest;
use std::path::{Path, PathBuf};

/// A directory that goes when the demo is over.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is small and lies where the system cleans up.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `demo`
pub(super) fn demo(args: &DemoArgs, format: Format) -> Result<Ending, CliError> {
    let (dir, scratch) = if let Some(dir) = &args.out {
        (dir.clone(), None)
    } else {
        let dir = std::env::temp_dir().join(format!("fenghuo-demo-{}", std::process::id()));
        (dir.clone(), Some(Scratch(dir)))
    };
    empty(&dir)?;
    package(&dir, &Plan::new(args.subjects, args.events, args.seed))?;
    let config = Config::load(&dir.join("fenghuo.toml"))?;
    let digest = Digest::default();
    let watch = Stopwatch::start();
    run_config(&config, Parts::shipped()?, &dir, true, &digest)?;
    report(&digest, watch.elapsed_seconds(), format);
    if let (Some(dir), Format::Table) = (&args.out, format) {
        let dir = dir.display();
        say(&format!(
            "\n输出在 {dir}/out（warnings.jsonl、sanctions.jsonl、dead-letters.jsonl），状态在 {dir}/state\n继续看：fenghuo warning list --state {dir}/state"
        ));
    }
    drop(scratch);
    Ok(Ending::Fine)
}

/// Makes the directory; one that holds something is left alone.
fn empty(dir: &Path) -> Result<(), CliError> {
    let fault = |source| FileError {
        doing: "create",
        path: dir.to_owned(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(fault)?;
    if std::fs::read_dir(dir).map_err(fault)?.next().is_some() {
        return Err(CliError::Usage(format!(
            "\"{}\" is not empty; give a new directory",
            dir.display()
        )));
    }
    Ok(())
}

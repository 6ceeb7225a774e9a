//! `fenghuo demo`: a small province, generated, and run through the very same path as `fenghuo run`.

use super::args::{DemoArgs, Format};
use super::generate::package;
use super::look::FileError;
use super::run::{report, run_config};
use super::{CliError, Ending, say};
use crate::generate::{Feed, Officers, Plan};
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
    rehearse(&dir)?;
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

/// Lets officers answer the warnings that will come: what they do, and what they find out, are feeds like any other. A run over the
/// province without them says which warnings those are; its state and outputs are not kept.
fn rehearse(dir: &Path) -> Result<(), CliError> {
    let real = dir.join("fenghuo.toml");
    let config = std::fs::read_to_string(&real)?;
    let rehearsal = dir.join("rehearsal");
    std::fs::create_dir(&rehearsal)?;
    let apart = config
        .replace("state = \"state\"", "state = \"rehearsal/state\"")
        .replace("dir = \"out\"", "dir = \"rehearsal/out\"");
    let file = dir.join("rehearsal.toml");
    std::fs::write(&file, apart)?;
    let loaded = Config::load(&file)?;
    run_config(&loaded, Parts::shipped()?, dir, true, &Digest::default())?;
    let steps = std::fs::read_to_string(rehearsal.join("out/tasks.jsonl"))?;
    let officers = Officers::of(&steps);
    std::fs::write(dir.join("action.jsonl"), officers.actions)?;
    std::fs::write(dir.join(Feed::Feedback.file_name()), officers.feedback)?;
    let acts = "\n[[source]]\nkind = \"file\"\nconnector = \"action\"\npath = \"action.jsonl\"\norder = \"event-time\"\n";
    std::fs::write(&real, config + acts)?;
    std::fs::remove_file(&file)?;
    Ok(std::fs::remove_dir_all(&rehearsal)?)
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

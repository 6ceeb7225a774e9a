//! `fenghuo run`: the configured sources, judged and delivered.

use super::args::{Format, RoleArg, RunArgs};
#[cfg(feature = "rdkafka")]
use super::look::FileError;
use super::progress::Progress;
use super::{CliError, Ending, say, say_json, summary};
use crate::runtime::assembly::{Parts, job, personal_key};
use crate::runtime::clock::{Clock, Stopwatch};
use crate::runtime::config::Config;
use crate::runtime::digest::{Digest, Watchers};
use crate::runtime::doors::Doors;
use crate::runtime::run::{self, Report};
use crate::runtime::signal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// `run`
pub(super) fn run(args: &RunArgs, format: Format) -> Result<Ending, CliError> {
    let config = Config::load(&args.config)?;
    let parts = Parts::of(&config)?;
    let base = args
        .config
        .parent()
        .unwrap_or_else(|| Path::new(""))
        .to_owned();
    let digest = Digest::default();
    let watch = Stopwatch::start();
    let is_delivered = if config.cluster.is_some() {
        share(&config, parts, &base, (args, &digest))?
    } else if args.role == RoleArg::All {
        let end = run_config(&config, parts, &base, args.until_end, &digest)?;
        end.waiting.is_empty()
    } else {
        let what = "--role needs [cluster] in the configuration: stages are joined by topics";
        return Err(CliError::Usage(what.to_owned()));
    };
    if args.until_end {
        report(&digest, watch.elapsed_seconds(), format);
        if !is_delivered {
            return Ok(Ending::Finding);
        }
    }
    Ok(Ending::Fine)
}

/// Prints the summary of a run.
pub(super) fn report(digest: &Digest, elapsed_seconds: f64, format: Format) {
    let inner = digest.take();
    match format {
        Format::Table => say(&summary::text(&inner, elapsed_seconds)),
        Format::Json => say_json(&summary::json(&inner, elapsed_seconds)),
    }
}

/// Runs a configuration with these parts until its end, or until the process is told to stop.
pub(super) fn run_config(
    config: &Config,
    parts: Parts,
    base: &Path,
    until_end: bool,
    digest: &Digest,
) -> Result<Report, CliError> {
    let clock = Clock::System;
    let key = personal_key(config, &parts)?;
    let stop = Arc::new(AtomicBool::new(false));
    signal::stop_on_signal(Arc::clone(&stop));
    let mut job = job(config, parts, &key, (base, until_end, &clock))?;
    let doors = Doors::open(config, &mut job, &clock, until_end)?;
    let progress = Progress::new("records", None);
    let mut watchers: Vec<&dyn run::Watch> = vec![digest, &progress];
    let seen = doors.of(0);
    watchers.push(&seen);
    let report = run::run(job, &stop, &Watchers(watchers));
    progress.finish();
    doors.close()?;
    Ok(report?)
}

/// Takes part in a cluster.
#[cfg(feature = "rdkafka")]
fn share(
    config: &Config,
    parts: Parts,
    base: &Path,
    (args, digest): (&RunArgs, &Digest),
) -> Result<bool, CliError> {
    use crate::runtime::cluster::work::{Process, Role};
    let key = personal_key(config, &parts)?;
    let stop = Arc::new(AtomicBool::new(false));
    signal::stop_on_signal(Arc::clone(&stop));
    let mut process = Process::new(config, parts, key, (base, args.until_end))?;
    let doors = process.open_doors(&Clock::System)?;
    let role = Role {
        ingests: args.role != RoleArg::Engine,
        judges: args.role != RoleArg::Ingest,
    };
    let progress = Progress::new("records", None);
    let watchers = Watchers(vec![digest, &progress]);
    let done = process.run(role, &stop, (&watchers, Some(&doors)));
    progress.finish();
    doors.close()?;
    Ok(done?)
}

/// `state rebuild`
#[cfg(feature = "rdkafka")]
pub(super) fn rebuild(path: &Path, format: Format) -> Result<Ending, CliError> {
    use crate::runtime::cluster::work::Process;
    let config = Config::load(path)?;
    let parts = Parts::of(&config)?;
    let process = Process::new(&config, parts, Arc::from([]), (Path::new(""), true))?;
    for (partition, took, ledger) in process.rebuild()? {
        let seconds = f64::from(u32::try_from(took.took_us).unwrap_or(u32::MAX)) / 1e6;
        let root = ledger.root.to_string();
        match format {
            Format::Table => say(&format!(
                "partition {partition}: {} records of the log in {seconds:.3} s, {ledger}",
                took.records
            )),
            Format::Json => say_json(&serde_json::json!({
                "partition": partition, "records": took.records, "seconds": seconds, "root": root,
                "entries": ledger.entries, "bytes": ledger.bytes,
            })),
        }
    }
    Ok(Ending::Fine)
}

/// `state import --config`
#[cfg(feature = "rdkafka")]
pub(super) fn carry(path: &Path, file: &Path, format: Format) -> Result<Ending, CliError> {
    use crate::runtime::cluster::work::Process;
    let config = Config::load(path)?;
    let parts = Parts::of(&config)?;
    let process = Process::new(&config, parts, Arc::from([]), (Path::new(""), true))?;
    let opened = std::fs::File::open(file).map_err(|source| FileError {
        doing: "open",
        path: file.to_owned(),
        source,
    })?;
    let carried = process.carry(&mut std::io::BufReader::new(opened))?;
    match format {
        Format::Table => say(&format!(
            "已带入集群：{} 个主体，{} 条记录的去向；区域、行业、部门 {} 个不带入",
            carried.subjects, carried.records, carried.left
        )),
        Format::Json => say_json(&serde_json::json!({
            "subjects": carried.subjects, "records": carried.records, "left": carried.left,
        })),
    }
    Ok(Ending::Fine)
}

#[cfg(not(feature = "rdkafka"))]
fn share(_: &Config, _: Parts, _: &Path, _: (&RunArgs, &Digest)) -> Result<bool, CliError> {
    Err(crate::runtime::assembly::AssemblyError::NoKafka.into())
}

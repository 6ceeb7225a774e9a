//! The whole way, from files to durable warnings: a generated province, 100 rules, embedded store, file sink; and the same
//! records as an archive, tried with the same rules in a back-test.
//!
//! Prints events per second, processor time, latency from read to durable, memory and state per subject. `FENGHUO_BENCH_EVENTS` and
//! `FENGHUO_BENCH_SUBJECTS` set the size (1,000,000 and 200,000 for the figures in `README.md`); without them it is small.
//! `FENGHUO_BENCH_WARM` sets how many firms are kept ready in memory; the others rest in a file, or with `FENGHUO_BENCH_DISK=0` packed
//! in memory.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "common/memory.rs"]
mod memory;

#[path = "common/copies.rs"]
mod copies;

use fenghuo::engine::time::EventTime;
use fenghuo::generate::{Folders, Plan, write_package};
use fenghuo::runtime::archive::intake::take_in;
use fenghuo::runtime::archive::slip::Wanted;
use fenghuo::runtime::archive::{self, ArchiveError};
use fenghuo::runtime::assembly::{Parts, job, lanes, personal_key};
use fenghuo::runtime::attempt::Attempts;
use fenghuo::runtime::backtest::gather::{Gathered, Taking};
use fenghuo::runtime::backtest::judge::{Order, judge};
use fenghuo::runtime::bundle;
use fenghuo::runtime::clock::{Clock, Stopwatch};
use fenghuo::runtime::config::Config;
use fenghuo::runtime::digest::Digest;
use fenghuo::runtime::run::run;
use fenghuo::runtime::source::Merge;
use memory::memory_kb;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Events that are put into the archive at once.
const WRITE_ROWS: usize = 262_144;

/// The shipped rules four times over, under other ids: 100 rules as a province might have them.
fn hundred(dir: &Path) -> Result<(), Box<dyn Error>> {
    bundle::write_shipped(dir)?;
    let shipped = bundle::shipped_rules().files.len();
    for (path, text) in copies::copied_rules(4 * shipped).files {
        std::fs::write(dir.join("rules").join(path), text)?;
    }
    Ok(())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Seconds of processor time of this process so far, on all cores; 0 where there is no `/proc`.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // User and system ticks are the 14th and 15th fields; the second may hold spaces, and ends with a bracket.
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let events = setting("FENGHUO_BENCH_EVENTS", 20_000);
    let subjects = setting("FENGHUO_BENCH_SUBJECTS", events / 5);
    let dir = tempfile::tempdir()?;
    let folders = Folders {
        rules: "rules".to_owned(),
        connectors: "connectors".to_owned(),
    };
    write_package(
        dir.path(),
        &Plan::new(subjects, events, 2026),
        &folders,
        &mut |_| {},
    )?;
    hundred(dir.path())?;
    let mut config = Config::load(&dir.path().join("fenghuo.toml"))?;
    let warm = setting("FENGHUO_BENCH_WARM", 1_000_000);
    config.engine.warm_subjects_max = usize::try_from(warm)?;
    config.engine.resting_on_disk = 0 < setting("FENGHUO_BENCH_DISK", 1);
    let parts = Parts::of(&config)?;
    let rules = parts.rules.0.rules().len();
    let key = personal_key(&config, &parts)?;
    let before_kb = memory_kb("VmRSS");
    let digest = Digest::default();
    let (watch, processor_before) = (Stopwatch::start(), processor_seconds());
    let job = job(&config, parts, &key, (dir.path(), true, &Clock::System))?;
    let report = run(job, &AtomicBool::new(false), &digest)?;
    let seconds = watch.elapsed_seconds();
    let processor = processor_seconds() - processor_before;
    let inner = digest.take();
    let percentile = |p| {
        inner
            .latency_us
            .as_ref()
            .map_or(0, |h| h.value_at_percentile(p))
            / 1_000
    };
    let (after_kb, peak_kb) = (memory_kb("VmRSS"), memory_kb("VmHWM"));
    let per_subject = |kb: u64| kb * 1_024 / u64::try_from(report.subjects.max(1)).unwrap_or(1);
    writeln!(
        std::io::stdout(),
        "run: {events} records, {rules} rules, {} subjects: {seconds:.1} s; p50 {} ms, p99 {} ms from read to durable\n\
         memory: {} MiB at the end, {} MiB at most; {} bytes a subject resident",
        report.subjects,
        percentile(50.0),
        percentile(99.0),
        after_kb / 1_024,
        peak_kb / 1_024,
        per_subject(after_kb.saturating_sub(before_kb)),
    )?;
    let per_second = f64::from(u32::try_from(events)?) / seconds;
    writeln!(
        std::io::stdout(),
        "throughput: {per_second:.0} records/s, durable commits on; {processor:.1} s of processor time"
    )?;
    drop(report);
    tried(&config, dir.path(), per_second)
}

/// Puts the records into an archive and tries the rules on it; the speed is that from the archive to the last verdict.
fn tried(config: &Config, dir: &Path, run_per_second: f64) -> Result<(), Box<dyn Error>> {
    let parts = Parts::of(config)?;
    let key = personal_key(config, &parts)?;
    let kept = dir.join("tried");
    let mut waiting = Vec::new();
    let lanes = lanes(config, &parts, &key, (dir, true, &Clock::System))?;
    take_in(
        Merge::new(lanes, Attempts::none()),
        &parts.connectors,
        1,
        &mut |rows| {
            waiting.extend(rows);
            if WRITE_ROWS <= waiting.len() {
                archive::write(&kept, &waiting)?;
                waiting.clear();
            }
            Ok::<(), ArchiveError>(())
        },
    )?;
    archive::write(&kept, &waiting)?;
    drop(waiting);
    let (watch, processor_before) = (Stopwatch::start(), processor_seconds());
    let sets = vec![Arc::clone(&parts.rules.0)];
    let wanted = Wanted::of(&sets, &[]);
    let taking = Taking {
        wanted: &wanted,
        until: EventTime::MAX,
        each: &|_| (),
    };
    let (mut gathered, stop) = (Gathered::default(), AtomicBool::new(false));
    gathered.take_parts(&archive::parts(&kept)?, taking, &stop, &|_| ())?;
    gathered.settle();
    let reading = watch.elapsed_seconds();
    let order = Order {
        sets,
        until: gathered.tally().newest,
        moments: &BTreeMap::new(),
        work: None,
        input: String::new(),
    };
    let sides = judge(&order, &gathered, &stop, &|_| ())?;
    let seconds = watch.elapsed_seconds();
    let processor = processor_seconds() - processor_before;
    let events = u32::try_from(gathered.tally().events)?;
    let per_second = f64::from(events) / seconds;
    writeln!(
        std::io::stdout(),
        "back-test: {events} events, {} warnings: {seconds:.1} s, {reading:.1} s of it reading; {per_second:.0} events/s, {:.1} times the run; \
         {processor:.1} s of processor time; {} MiB at most",
        sides.iter().map(|side| side.told.len()).sum::<usize>(),
        per_second / run_per_second,
        memory_kb("VmHWM") / 1_024,
    )?;
    Ok(())
}

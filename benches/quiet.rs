//! What subjects take in memory that nothing happens to: resident bytes each, with all of them at rest and put away in a file.
//!
//! A generated province of as many firms as records, so most have one or two facts and no more; records go through the core as they are made and
//! are not kept. `FENGHUO_BENCH_EVENTS` sets the size: 2,250,000 come to a million subjects, 11,250,000 to five;
//! `FENGHUO_BENCH_WARM` how many firms are ready while the state is filled; `FENGHUO_BENCH_DISK=0` leaves those at rest in memory.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "common/feed.rs"]
mod feed;
#[path = "common/memory.rs"]
mod memory;
#[path = "common/process.rs"]
mod process;

use feed::Reader;
use fenghuo::engine::input::{Alone, Input};
use fenghuo::engine::province::Province;
use fenghuo::engine::record::Prepared;
use fenghuo::engine::shard::Shard;
use fenghuo::runtime::assembly::Parts;
use fenghuo::runtime::clock::Stopwatch;
use fenghuo::runtime::spill::Spill;
use memory::memory_kb;
use process::setting;
use std::error::Error;
use std::io::Write;
use std::sync::Arc;

/// Records of a batch, as the loop takes them.
const BATCH: usize = 4_096;

fn step(province: &mut Province, prepared: &mut Vec<Prepared>) {
    let events = prepared
        .iter()
        .map(|one| Input::Event(Arc::clone(&one.event)));
    let inputs: Vec<Input> = events.collect();
    province.step(&inputs, prepared, &Alone);
    prepared.clear();
}

fn print(what: &str, province: &Province, before_kb: u64) -> Result<(), Box<dyn Error>> {
    let subjects = u64::try_from(province.shards().iter().map(Shard::len).sum::<usize>())?;
    let grown = memory_kb("VmRSS").saturating_sub(before_kb);
    let resting = province.resting();
    writeln!(
        std::io::stdout(),
        "{what}: {subjects} subjects, {} of them at rest, {} put away in {} MiB, {} records known: {} MiB resident, {} bytes a subject",
        resting.count(),
        resting.away,
        resting.away_bytes >> 20,
        province.records(),
        grown / 1_024,
        grown * 1_024 / subjects.max(1),
    )?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let count = setting("FENGHUO_BENCH_EVENTS", 225_000, 2_000);
    let parts = Parts::shipped()?;
    let mut province = Province::new(Arc::clone(&parts.rules.0), 4);
    let warm = usize::try_from(setting("FENGHUO_BENCH_WARM", 1_000, 100))?;
    let dir = tempfile::tempdir()?;
    if 0 < setting("FENGHUO_BENCH_DISK", 1, 1) {
        Spill::beside(dir.path()).lend(&mut province);
    }
    province.set_warm_max(warm);
    let mut reader = Reader::new()?;
    let before_kb = memory_kb("VmRSS");
    let watch = Stopwatch::start();
    let mut prepared = Vec::with_capacity(BATCH);
    feed::province((count, count), &mut |record| {
        prepared.extend(reader.read(&record).and_then(Result::ok).map(Prepared::new));
        if BATCH <= prepared.len() {
            step(&mut province, &mut prepared);
        }
    })?;
    step(&mut province, &mut prepared);
    drop((prepared, reader));
    writeln!(
        std::io::stdout(),
        "filled in {:.0} s",
        watch.elapsed_seconds()
    )?;
    print(&format!("{warm} ready"), &province, before_kb)?;
    province.set_warm_max(0);
    print("all at rest", &province, before_kb)
}

//! The core in memory on one thread: from the bytes of feeds to judged events, and how long single events take.
//!
//! A generated province with 1,000 mixed rules. A first half of the records fills the state; of the next quarter it is told how many
//! events a second are framed, decoded and stepped over, in batches; of the last quarter how long each step of a single
//! event took. Nothing is written. `FENGHUO_BENCH_EVENTS` and `FENGHUO_BENCH_SUBJECTS` set the size.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "common/feed.rs"]
mod feed;
#[path = "common/process.rs"]
mod process;
#[path = "common/rules.rs"]
mod rules;

use feed::{Reader, Record};
use fenghuo::engine::input::{Alone, Input, Outcome};
use fenghuo::engine::province::Province;
use fenghuo::engine::record::Prepared;
use fenghuo::engine::rule::RuleSet;
use fenghuo::engine::shard::Shard;
use fenghuo::engine::time::HOUR_MS;
use fenghuo::runtime::clock::ticks_ns;
use hdrhistogram::Histogram;
use process::setting;
use rules::{mixed_rules, wrong};
use std::error::Error;
use std::io::Write;
use std::sync::Arc;

/// Records of a batch, as the loop takes them.
const BATCH: usize = 4_096;
const RULES: usize = 1_000;

/// The core, and what reads for it.
struct Core {
    province: Province,
    reader: Reader,
}

impl Core {
    fn decode(&mut self, records: &[Record]) -> Vec<Prepared> {
        let events = records.iter().filter_map(|record| self.reader.read(record));
        events.flatten().map(Prepared::new).collect()
    }

    fn step(&mut self, prepared: &[Prepared]) -> Outcome {
        let events = prepared
            .iter()
            .map(|one| Input::Event(Arc::clone(&one.event)));
        let inputs: Vec<Input> = events.collect();
        self.province.step(&inputs, prepared, &Alone)
    }
}

/// Processor time of this thread so far, ns; 0 where there is no `/proc`. On a busy machine it says more than the clock.
fn processor_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// How long single steps took, ns; those in which an hour ended apart.
struct Times {
    within: Histogram<u64>,
    at_ends: Histogram<u64>,
}

fn single(core: &mut Core, records: &[Record]) -> Result<Times, Box<dyn Error>> {
    let fresh = || Histogram::<u64>::new_with_bounds(1, 10_000_000_000, 3);
    let mut times = Times {
        within: fresh()?,
        at_ends: fresh()?,
    };
    for one in core.decode(records) {
        let inputs = [Input::Event(Arc::clone(&one.event))];
        let prepared = [one];
        let hour = core.province.clock().0.div_euclid(HOUR_MS);
        let start = ticks_ns();
        let outcome = core.province.step(&inputs, &prepared, &Alone);
        let took = ticks_ns().saturating_sub(start);
        let is_same = core.province.clock().0.div_euclid(HOUR_MS) == hour;
        drop(outcome);
        let histogram = if is_same {
            &mut times.within
        } else {
            &mut times.at_ends
        };
        histogram.saturating_record(took);
    }
    Ok(times)
}

fn print(what: &str, times: &Histogram<u64>) -> std::io::Result<()> {
    let tenths = |p| times.value_at_percentile(p) / 100;
    let us = |p| format!("{}.{}", tenths(p) / 10, tenths(p) % 10);
    writeln!(
        std::io::stdout(),
        "one step, {what}: {} of them; p50 {} µs, p99 {}, p99.9 {}, at most {}",
        times.len(),
        us(50.0),
        us(99.0),
        us(99.9),
        us(100.0),
    )
}

fn main() -> Result<(), Box<dyn Error>> {
    let count = setting("FENGHUO_BENCH_EVENTS", 400_000, 2_000);
    let firms = setting("FENGHUO_BENCH_SUBJECTS", count / 5, 400);
    let set = RuleSet::load(&mixed_rules(RULES)).map_err(|found| wrong(&found))?;
    let mut core = Core {
        province: Province::new(Arc::new(set), 1),
        reader: Reader::new()?,
    };
    let mut records = Vec::new();
    feed::province((firms, count), &mut |record| records.push(record))?;
    let (first, rest) = records.split_at(records.len() / 2);
    let (second, third) = rest.split_at(rest.len() / 2);
    for batch in first.chunks(BATCH) {
        let prepared = core.decode(batch);
        core.step(&prepared);
    }
    let (mut decoding, mut stepping, mut told) = (0, 0, 0);
    let start = ticks_ns();
    for batch in second.chunks(BATCH) {
        let before = processor_ns();
        let prepared = core.decode(batch);
        let between = processor_ns();
        told += core.step(&prepared).sent.len();
        decoding += between.saturating_sub(before);
        stepping += processor_ns().saturating_sub(between);
    }
    let number = u64::try_from(second.len())?;
    let rate = |ns: u64| number * 1_000_000_000 / ns.max(1);
    let subjects: usize = core.province.shards().iter().map(Shard::len).sum();
    writeln!(
        std::io::stdout(),
        "in memory, one thread, {RULES} mixed rules, {subjects} subjects: {} records/s of processor time, {} of the clock's; \
         {} ns to decode and {} ns to judge each; {number} records, {told} messages",
        rate(decoding + stepping),
        rate(ticks_ns() - start),
        decoding / number.max(1),
        stepping / number.max(1),
    )?;
    let times = single(&mut core, third)?;
    print("within an hour", &times.within)?;
    print("that ends an hour", &times.at_ends)?;
    Ok(())
}

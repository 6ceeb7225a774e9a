//! How often memory is asked for, an event and stage: decoding, stepping, journal. A count, so the same on any machine.
//!
//! A generated province with 1,000 mixed rules on one thread; the first half of the records fills the state. Events are stepped over
//! one at a time first, and told apart by what came of them. In a second province of the same records, those that change nothing but facts and counts are
//! stepped over in batches, as far as they come one after the other.

#[path = "common/feed.rs"]
mod feed;
#[path = "common/process.rs"]
mod process;
#[path = "common/rules.rs"]
mod rules;

use feed::{Reader, Record};
use fenghuo::engine::input::{Alone, Disposition, Input};
use fenghuo::engine::province::Province;
use fenghuo::engine::record::Prepared;
use fenghuo::engine::rule::RuleSet;
use fenghuo::engine::time::HOUR_MS;
use fenghuo::runtime::journal::encode_inputs;
use process::setting;
use rules::{mixed_rules, wrong};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use std::alloc::System;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const RULES: usize = 1_000;
/// Records of a batch, as the loop takes them.
const BATCH: usize = 4_096;

/// What was asked for in so many tries.
#[derive(Debug, Default, Clone, Copy)]
struct Asked {
    events: u32,
    times: u32,
    bytes: u32,
}

impl Asked {
    fn add(&mut self, events: usize, stats: Stats) -> Result<(), Box<dyn Error>> {
        self.events += u32::try_from(events)?;
        self.times += u32::try_from(stats.allocations + stats.reallocations)?;
        self.bytes += u32::try_from(stats.bytes_allocated)?;
        Ok(())
    }

    fn print(&self, what: &str) -> std::io::Result<()> {
        let events = f64::from(self.events.max(1));
        let (times, bytes) = (
            f64::from(self.times) / events,
            f64::from(self.bytes) / events,
        );
        writeln!(
            std::io::stdout(),
            "{what}: {times:.2} allocations and {bytes:.0} bytes each, of {}",
            self.events
        )
    }
}

/// Counts what `job` asks for.
fn counted<T>(job: impl FnOnce() -> T) -> (T, Stats) {
    let region = Region::new(ALLOCATOR);
    let done = job();
    let stats = region.change();
    (done, stats)
}

/// What came of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Silent,
    Later,
    Echo,
    EndsHour,
    Told,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Silent => "that is new and silent",
            Self::Later => "that is a later version and silent",
            Self::Echo => "that is known or too old",
            Self::EndsHour => "that ends an hour",
            Self::Told => "of which something is said",
        }
    }
}

/// A province that has seen the first half of the records.
fn filled(set: &Arc<RuleSet>, first: &[Prepared]) -> Province {
    let mut province = Province::new(Arc::clone(set), 1);
    for part in first.chunks(BATCH) {
        province.step(&inputs_of(part), part, &Alone);
    }
    province
}

fn inputs_of(prepared: &[Prepared]) -> Vec<Input> {
    let events = prepared
        .iter()
        .map(|one| Input::Event(Arc::clone(&one.event)));
    events.collect()
}

/// Steps over one event, and says what came of it.
fn single(province: &mut Province, one: &Prepared) -> (Kind, Stats) {
    let (inputs, prepared) = (inputs_of(core::slice::from_ref(one)), [one.clone()]);
    let hour = province.clock().0.div_euclid(HOUR_MS);
    let (outcome, asked) = counted(|| province.step(&inputs, &prepared, &Alone));
    let is_silent = outcome.sent.is_empty() && outcome.firings.iter().all(|n| *n == 0);
    let kind = match outcome.dispositions.first() {
        _ if province.clock().0.div_euclid(HOUR_MS) != hour => Kind::EndsHour,
        Some(Disposition::Applied) if is_silent => Kind::Silent,
        Some(Disposition::Replaced) if is_silent => Kind::Later,
        Some(Disposition::Applied | Disposition::Replaced) => Kind::Told,
        _ => Kind::Echo,
    };
    (kind, asked)
}

/// Decodes all records, and says what that asked for.
fn decode(records: &[Record]) -> Result<Vec<Prepared>, Box<dyn Error>> {
    let mut reader = Reader::new()?;
    let (mut decoding, mut preparing) = (BTreeMap::<&str, Asked>::new(), Asked::default());
    let mut all = Vec::with_capacity(records.len());
    for record in records {
        let (read, asked) = counted(|| reader.read(record));
        if let Some(Ok(event)) = read {
            let feed = record.feed.connector();
            decoding.entry(feed).or_default().add(1, asked)?;
            let (prepared, asked) = counted(|| Prepared::new(event));
            preparing.add(1, asked)?;
            all.push(prepared);
        }
    }
    for (feed, asked) in &decoding {
        asked.print(&format!("decode {feed}"))?;
    }
    preparing.print("identity and rank")?;
    Ok(all)
}

fn main() -> Result<(), Box<dyn Error>> {
    let count = setting("FENGHUO_BENCH_EVENTS", 100_000, 2_000);
    let firms = setting("FENGHUO_BENCH_SUBJECTS", count / 5, 400);
    let set = Arc::new(RuleSet::load(&mixed_rules(RULES)).map_err(|found| wrong(&found))?);
    let mut records = Vec::new();
    feed::province((firms, count), &mut |record| records.push(record))?;
    let all = decode(&records)?;
    drop(records);
    let (first, second) = all.split_at(all.len() / 2);
    let mut province = filled(&set, first);
    let mut stepping = BTreeMap::<Kind, Asked>::new();
    let mut kinds = Vec::with_capacity(second.len());
    for one in second {
        let (kind, asked) = single(&mut province, one);
        stepping.entry(kind).or_default().add(1, asked)?;
        kinds.push((kind, one.clone()));
    }
    for (kind, asked) in &stepping {
        asked.print(&format!("one step over one event {}", kind.words()))?;
    }
    let mut province = filled(&set, first);
    let (mut stepping, mut writing) = (Asked::default(), Asked::default());
    for run in kinds.chunk_by(|a, b| a.0 == b.0) {
        let prepared: Vec<Prepared> = run.iter().map(|(_, one)| one.clone()).collect();
        let inputs = inputs_of(&prepared);
        let (outcome, asked) = counted(|| province.step(&inputs, &prepared, &Alone));
        drop(outcome);
        if run.first().is_some_and(|(kind, _)| *kind == Kind::Silent) {
            stepping.add(run.len(), asked)?;
        }
    }
    stepping.print("a step over all new and silent events in a row, an event")?;
    for part in second.chunks(BATCH) {
        let inputs = inputs_of(part);
        let (bytes, asked) = counted(|| encode_inputs(&inputs));
        drop(bytes);
        writing.add(inputs.len(), asked)?;
    }
    writing.print(&format!("journal, {BATCH} at a time"))?;
    Ok(())
}

//! What a reload of 1,000 rules costs: in the background, where they are loaded, checked and tested, and at the swap, for which the
//! stream waits.
//!
//! Mixed rules over a generated province, then the shipped ones over and over, with their tests: there all copies say the same, so
//! firms have some forty times as many findings. Four changes: the words of one rule, one rule gone, the words of every rule, the
//! owner of every rule. `FENGHUO_BENCH_EVENTS` and `FENGHUO_BENCH_SUBJECTS` set the size of the state, `FENGHUO_BENCH_WARM` how many
//! firms are ready; the others rest packed.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "common/copies.rs"]
mod copies;
#[path = "common/feed.rs"]
mod feed;
#[path = "common/process.rs"]
mod process;
#[path = "common/rules.rs"]
mod rules;

use copies::copied_rules;
use feed::Reader;
use fenghuo::engine::input::Input;
use fenghuo::engine::province::Province;
use fenghuo::engine::record::Prepared;
use fenghuo::engine::rule::{Rule, RuleSet, RuleSources, run_tests_of};
use fenghuo::engine::shard::Shard;
use fenghuo::engine::time::EventTime;
use fenghuo::runtime::clock::Stopwatch;
use fenghuo::runtime::pipeline::Pipeline;
use fenghuo::runtime::recover::Together;
use process::{is_trial, setting};
use rules::{mixed_rules, wrong};
use std::error::Error;
use std::io::Write;
use std::sync::Arc;

/// Records of a batch, as the loop takes them.
const BATCH: usize = 4_096;

/// A province in which `set` is in force.
fn filled(set: Arc<RuleSet>) -> Result<Province, Box<dyn Error>> {
    let count = setting("FENGHUO_BENCH_EVENTS", 100_000, 2_000);
    let firms = setting("FENGHUO_BENCH_SUBJECTS", count / 5, 400);
    let mut province = Province::new(set, 4);
    let mut reader = Reader::new()?;
    let mut prepared: Vec<Prepared> = Vec::new();
    feed::province((firms, count), &mut |record| {
        prepared.extend(reader.read(&record).and_then(Result::ok).map(Prepared::new));
    })?;
    for part in prepared.chunks(BATCH) {
        let events = part.iter().map(|one| Input::Event(Arc::clone(&one.event)));
        let inputs: Vec<Input> = events.collect();
        province.step(&inputs, part, &Together);
    }
    Ok(province)
}

/// Takes a change up as the service does, and says how long each part took, ms.
fn change(what: &str, province: &mut Province, sources: RuleSources) -> Result<(), Box<dyn Error>> {
    let today = EventTime::from_day(20_600);
    let before = Arc::clone(province.set());
    let watch = Stopwatch::start();
    let set = RuleSet::check_after(&before, &sources, today).map_err(|found| wrong(&found))?;
    let loading = watch.elapsed_us() / 1_000;
    let is_known = |rule: &Arc<Rule>| {
        let known = before.rule(&rule.manifest().id);
        known.is_some_and(|known| Arc::ptr_eq(known, rule))
    };
    let watch = Stopwatch::start();
    let tests = run_tests_of(set.rules().iter().filter(|rule| !is_known(rule)));
    let testing = watch.elapsed_us() / 1_000;
    let failed = tests.iter().filter(|test| !test.is_passed()).count();
    let set = Arc::new(set);
    let watch = Stopwatch::start();
    let outcome = province.change_rules(&set, &Together);
    let changing = watch.elapsed_us();
    let watch = Stopwatch::start();
    let commit = Pipeline::adopt(set.hash(), sources, &outcome);
    let writing = watch.elapsed_us();
    writeln!(
        std::io::stdout(),
        "{what}: in the background {loading} ms to load and check, {testing} ms for {} tests, {failed} of which fail; \
         the stream waits {}.{} ms: {changing} µs for the swap, {writing} µs for the commit; {} messages",
        tests.len(),
        (changing + writing) / 1_000,
        (changing + writing) / 100 % 10,
        commit.entries.len(),
    )?;
    Ok(())
}

/// Loads the rules, fills a province and changes them.
fn go(what: &str, sources: &RuleSources) -> Result<(), Box<dyn Error>> {
    let watch = Stopwatch::start();
    let set = RuleSet::load(sources).map_err(|found| wrong(&found))?;
    let loading = watch.elapsed_us() / 1_000;
    let mut province = filled(Arc::new(set))?;
    province.set_warm_max(usize::try_from(setting(
        "FENGHUO_BENCH_WARM",
        1_000_000,
        100,
    ))?);
    let subjects: usize = province.shards().iter().map(Shard::len).sum();
    writeln!(
        std::io::stdout(),
        "{} {what} rules loaded in {loading} ms; {subjects} subjects, {} of them at rest",
        sources.files.len(),
        province.resting().count()
    )?;
    let mut words = sources.clone();
    if let Some((_, text)) = words.files.last_mut() {
        text.push_str("// 改一个字\n");
    }
    change("one rule in other words", &mut province, words.clone())?;
    let mut fewer = words;
    fewer
        .files
        .retain(|(path, _)| path != "complaint/surge.rhai");
    change("one rule gone", &mut province, fewer.clone())?;
    let mut all = fewer;
    for (_, text) in &mut all.files {
        text.push_str("// 全部改过\n");
    }
    change("every rule in other words", &mut province, all.clone())?;
    for (_, text) in &mut all.files {
        if let Some((before, rest)) = text.split_once("owner:") {
            *text = format!("{before}owner:{}", rest.replacen('"', "\"新", 1));
        }
    }
    change("every rule with another owner", &mut province, all)
}

fn main() -> Result<(), Box<dyn Error>> {
    let count = if is_trial() { 60 } else { 1_000 };
    go("mixed", &mixed_rules(count))?;
    go("shipped, over and over,", &copied_rules(count))
}

//! One event through the core in memory: admission, facts, rules, episodes; with 15, 100 and 1,000 rules.
//!
//! Events are complaints over 2,000 firms in time order, so each is judged once by every rule on complaints; the copies of
//! a rule differ only in their id, which is the dearest case: no rule can be told from another without calling it.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fenghuo::engine::event::{Event, Fields, Op, SubjectKey, SubjectKind, Validity, Value};
use fenghuo::engine::input::{Alone, Input};
use fenghuo::engine::province::Province;
use fenghuo::engine::record::Prepared;
use fenghuo::engine::rule::RuleSet;
use fenghuo::engine::schema::{Stream, field};
use fenghuo::engine::time::{EventTime, Precision};
use fenghuo::runtime::bundle;
use std::sync::Arc;

const FIRMS: u64 = 2_000;
const EVENTS: u64 = 1_000;

fn event(number: u64) -> Event {
    let firm = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % FIRMS;
    let at = EventTime::from_day(20_000).plus_ms(i64::try_from(number).unwrap_or(0) * 60_000);
    let mut fields = Fields::new();
    fields.set(field::name, Value::Text("某公司".into()));
    fields.set(field::problem_type, Value::Text("虚假宣传".into()));
    fields.set(field::complainant, Value::Text(format!("c{number}").into()));
    Event {
        source: "bench".into(),
        record_id: number.to_string().into(),
        version: 0,
        op: Op::Insert,
        stream: Stream::Complaint,
        occurred_at: at,
        precision: Precision::Second,
        arrived_at: at,
        validity: Validity::Valid,
        subjects: vec![
            SubjectKey::new(SubjectKind::Enterprise, &format!("firm-{firm}")),
            SubjectKey::new(SubjectKind::Region, "320106"),
        ],
        fields,
    }
}

/// A set of so many rules: the shipped ones first, then copies of the complaint surge under other ids.
fn rules(count: usize) -> Arc<RuleSet> {
    let mut sources = bundle::shipped_rules();
    let surge = sources
        .files
        .iter()
        .find(|(path, _)| path.ends_with("surge.rhai"))
        .cloned();
    sources.files.truncate(count);
    if let Some((_, text)) = surge {
        while sources.files.len() < count {
            let number = sources.files.len();
            let copy = text.replace("TS-001", &format!("BX-{number:04}"));
            sources
                .files
                .push((format!("complaint/copy_{number}.rhai"), copy));
        }
    }
    match RuleSet::load(&sources) {
        Ok(set) => Arc::new(set),
        Err(found) => {
            let first = found.first().map(ToString::to_string).unwrap_or_default();
            assert!(found.is_empty(), "the bench's rules load: {first}");
            std::process::exit(3)
        }
    }
}

fn step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step");
    group
        .throughput(Throughput::Elements(EVENTS))
        .sample_size(10);
    for count in [15, 100, 1_000] {
        let set = rules(count);
        let mut next = 0;
        group.bench_function(format!("{count} rules"), |bencher| {
            let mut province = Province::new(Arc::clone(&set), 1);
            bencher.iter_batched(
                || {
                    let events: Vec<Event> = (next..next + EVENTS).map(event).collect();
                    next += EVENTS;
                    let prepared: Vec<Prepared> = events.into_iter().map(Prepared::new).collect();
                    let inputs = prepared
                        .iter()
                        .map(|p| Input::Event(Arc::clone(&p.event)))
                        .collect::<Vec<_>>();
                    (inputs, prepared)
                },
                |(inputs, prepared)| province.step(&inputs, &prepared, &Alone),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);

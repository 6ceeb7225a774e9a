//! What it costs to know what a record is and who keeps it, and to keep it: the record index, the shard, facts, images.
//!
//! Records are those of a generated province; a firm has 40 facts. Prints what it measures and never fails by time.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

#[path = "common/feed.rs"]
mod feed;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use feed::Reader;
use fenghuo::engine::event::{SubjectKey, SubjectKind};
use fenghuo::engine::record::{Prepared, RecordIndex};
use fenghuo::engine::subject::facts::{Fact, Facts};
use fenghuo::engine::subject::state::{Holdings, Subject};
use std::hint::black_box;
use std::sync::Arc;

const RECORDS: u64 = 10_000;
/// Facts of a firm.
const FACTS: usize = 40;

fn events() -> Vec<Prepared> {
    let mut reader = Reader::new().unwrap();
    let mut all = Vec::new();
    let mut each = |record| all.extend(reader.read(&record).and_then(Result::ok));
    feed::province((RECORDS / 5, RECORDS), &mut each).unwrap();
    all.into_iter().map(Prepared::new).collect()
}

fn route(criterion: &mut Criterion) {
    let prepared = events();
    let mut group = criterion.benchmark_group("route");
    group
        .throughput(Throughput::Elements(u64::try_from(prepared.len()).unwrap()))
        .sample_size(10);
    let fresh = || {
        let index = RecordIndex::default();
        (index, prepared.clone())
    };
    group.bench_function("records that are new, or later versions", |bencher| {
        bencher.iter_batched(
            fresh,
            |(mut index, prepared)| {
                for one in &prepared {
                    black_box(index.admit(one));
                }
                index
            },
            BatchSize::LargeInput,
        );
    });
    let mut index = RecordIndex::default();
    for one in &prepared {
        index.admit(one);
    }
    group.bench_function("records that are known", |bencher| {
        bencher.iter(|| {
            for one in &prepared {
                black_box(index.admit(one));
            }
        });
    });
    group.bench_function("the shard of a subject", |bencher| {
        bencher.iter(|| {
            for subject in prepared.iter().filter_map(|one| one.event.subjects.first()) {
                black_box(subject.shard(4));
            }
        });
    });
    group.finish();
}

fn state(criterion: &mut Criterion) {
    let prepared = events();
    let events: Vec<_> = prepared
        .iter()
        .rev()
        .map(|one| &one.event)
        .take(FACTS)
        .collect();
    let mut group = criterion.benchmark_group("state");
    group.throughput(Throughput::Elements(u64::try_from(FACTS).unwrap()));
    group.bench_function("facts kept", |bencher| {
        bencher.iter(|| {
            let mut facts = Facts::default();
            for event in &events {
                facts.insert(event.stream, Fact::of(event));
            }
            facts
        });
    });
    let mut facts = Facts::default();
    for event in &events {
        facts.insert(event.stream, Fact::of(event));
    }
    let key = Arc::new(SubjectKey::new(
        SubjectKind::Enterprise,
        "91320106MA1XK8QJ3T",
    ));
    let mut subject = Subject::new(key);
    subject.holdings = Holdings::Facts(Arc::new(facts));
    let image = subject.to_bytes();
    group.bench_function("facts to an image", |bencher| {
        bencher.iter(|| black_box(&subject).to_bytes());
    });
    group.bench_function("facts of an image", |bencher| {
        bencher.iter(|| Subject::from_bytes(black_box(&image)));
    });
    group.finish();
}

criterion_group!(benches, route, state);
criterion_main!(benches);

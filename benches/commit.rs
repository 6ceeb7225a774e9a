//! Durable commits of the disk store, as the journal and the images of subjects make them. Prints; never fails by time.
//!
//! - `journal/append/<n>`: n values of 4,000 bytes under ever new, rising keys
//! - `journal/ring/<n>`: the same into 8,192 slots that are written over again and again (32 MB)
//! - `journal/append_delete/<n>`: ever new keys, and as many old ones deleted, 8,192 behind
//! - `images/random/1000`: 1,000 values of 300 bytes under random keys out of 100,000
//! - `open/verified`: opening a store of 100 MB with the full check; `open/unchecked`: without
//!
//! The directory is `FENGHUO_BENCH_DIR`, else the system's temporary one; a RAM disk measures nothing.
#![expect(
    clippy::expect_used,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a benchmark stops at the first failure and prints to a person"
)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fenghuo::runtime::store::{Batch, DiskOptions, DiskStore, Store};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;
use tempfile::TempDir;

/// Slots of the ring, and how far a deletion runs behind.
const KEPT: u64 = 8_192;
const VALUE_SIZE_BYTES: usize = 4_000;

fn scratch() -> TempDir {
    match std::env::var_os("FENGHUO_BENCH_DIR") {
        Some(directory) => TempDir::new_in(directory),
        None => TempDir::new(),
    }
    .expect("a scratch directory")
}

fn journal_key(number: u64) -> Vec<u8> {
    [b"j/".as_slice(), &number.to_be_bytes()].concat()
}

/// Bytes that nothing can compress, cut from one pool so that making them costs little.
struct Payloads {
    pool: Vec<u8>,
    at: usize,
}

impl Payloads {
    fn new() -> Self {
        let mut pool = vec![0; 1 << 20];
        ChaCha8Rng::seed_from_u64(7).fill_bytes(&mut pool);
        Self { pool, at: 0 }
    }

    fn next(&mut self, length: usize) -> &[u8] {
        self.at = (self.at + 4_099) % (self.pool.len() - length);
        &self.pool[self.at..self.at + length]
    }
}

fn journal(c: &mut Criterion) {
    let mut group = c.benchmark_group("journal");
    group.sample_size(20);
    for count in [25_u64, 100, 400] {
        group.throughput(Throughput::Bytes(count * VALUE_SIZE_BYTES as u64));
        for way in ["append", "ring", "append_delete"] {
            let directory = scratch();
            let mut store = DiskStore::open(directory.path()).expect("open");
            let mut payloads = Payloads::new();
            let mut number = 0_u64;
            let mut deleted = 0_u64;
            group.bench_function(BenchmarkId::new(way, count), |b| {
                b.iter(|| {
                    let mut batch = Batch::new();
                    for _ in 0..count {
                        let slot = if way == "ring" { number % KEPT } else { number };
                        batch.put(journal_key(slot), payloads.next(VALUE_SIZE_BYTES));
                        number += 1;
                    }
                    while way == "append_delete" && deleted + KEPT < number {
                        batch.delete(journal_key(deleted));
                        deleted += 1;
                    }
                    store.commit(&batch).expect("commit");
                });
            });
            let (held, on_disk) = (store.ledger().bytes >> 20, store.size_bytes() >> 20);
            eprintln!("journal/{way}/{count}: holds {held} MiB in {on_disk} MiB on disk");
        }
    }
    group.finish();
}

fn images(c: &mut Criterion) {
    let mut group = c.benchmark_group("images");
    group.sample_size(20);
    group.throughput(Throughput::Elements(1_000));
    let directory = scratch();
    let mut store = DiskStore::open(directory.path()).expect("open");
    let mut payloads = Payloads::new();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    group.bench_function("random/1000", |b| {
        b.iter(|| {
            let mut batch = Batch::new();
            for _ in 0..1_000 {
                let subject = random.next_u32() % 100_000;
                batch.put(format!("s/{subject:018}"), payloads.next(300));
            }
            store.commit(&batch).expect("commit");
        });
    });
    let (held, on_disk) = (store.ledger().bytes >> 20, store.size_bytes() >> 20);
    eprintln!("images/random: holds {held} MiB in {on_disk} MiB on disk");
    group.finish();
}

fn open(c: &mut Criterion) {
    let directory = scratch();
    let mut store = DiskStore::open(directory.path()).expect("open");
    let mut payloads = Payloads::new();
    for commit in 0..100_u64 {
        let mut batch = Batch::new();
        for slot in 0..250 {
            let value = payloads.next(VALUE_SIZE_BYTES);
            batch.put(journal_key(commit * 250 + slot), value);
        }
        store.commit(&batch).expect("commit");
    }
    let held = store.ledger().bytes;
    drop(store);
    let mut group = c.benchmark_group("open");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(held));
    for (name, verify) in [("verified", true), ("unchecked", false)] {
        let options = DiskOptions {
            verify,
            ..DiskOptions::default()
        };
        group.bench_function(name, |b| {
            b.iter(|| black_box(DiskStore::open_with(directory.path(), options).expect("open")));
        });
    }
    group.finish();
}

criterion_group!(benches, journal, images, open);
criterion_main!(benches);

//! What several owners do to one log: takes over, comes too late, is cut off, loses its disk.

use super::super::log::{Log, MemoryLog};
use super::*;
use crate::engine::time::EventTime;
use crate::runtime::metrics::Metrics;
use tempfile::TempDir;

fn claimant(name: &str, session: u32) -> Claimant {
    Claimant {
        name: name.to_owned(),
        session,
        place: "state/0".to_owned(),
        partitions: 8,
        metrics: Metrics::new(EventTime(0)).cluster(),
        copy_after_bytes: u64::MAX / 4,
    }
}

fn own(dir: &Path, log: &MemoryLog, who: &Claimant) -> Result<(LogStore, TakeOver), StoreError> {
    Cache::open(dir, 8)?.claim(Box::new(log.clone()), who)
}

fn put(store: &mut LogStore, key: &str, value: &[u8]) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    batch.put(key.as_bytes(), value);
    store.commit(&batch)
}

fn value(store: &LogStore, key: &str) -> Option<String> {
    let bytes = store.get(key.as_bytes()).unwrap();
    bytes.map(|bytes| String::from_utf8(bytes).unwrap())
}

fn dirs() -> (TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    (dir, a, b)
}

#[test]
fn who_is_frozen_while_another_takes_over_commits_nothing_more() {
    let (_dir, a, b) = dirs();
    let log = MemoryLog::default();
    let (mut first, _) = own(&a, &log, &claimant("a", 1)).unwrap();
    put(&mut first, "k1", b"from a").unwrap();
    let (mut second, took) = own(&b, &log, &claimant("b", 2)).unwrap();
    assert_eq!(took.records, 3, "a claim, a batch, its own claim");
    assert_eq!(value(&second, "k1").as_deref(), Some("from a"));
    let error = put(&mut first, "k2", b"too late").unwrap_err();
    assert!(matches!(error, StoreError::Lost { .. }), "{error}");
    put(&mut second, "k3", b"from b").unwrap();
    put(&mut first, "k4", b"still too late").unwrap_err();
    assert_eq!(value(&second, "k2"), None);
    drop(first);
    // It comes back and reads what counted.
    let (first, took) = own(&a, &log, &claimant("a", 3)).unwrap();
    assert_eq!(took.void, 1, "the late batch");
    assert_eq!(first.ledger(), second.ledger());
}

#[test]
fn a_late_record_of_a_dead_owner_does_not_unseat_the_living_one() {
    let (_dir, a, b) = dirs();
    let mut log = MemoryLog::default();
    let (mut first, _) = own(&a, &log, &claimant("a", 1)).unwrap();
    put(&mut first, "k", b"1").unwrap();
    let delta = Delta::of(&Batch::new(), first.ledger());
    let late = parts(Kind::Batch, first.epoch, 1, &delta.encode());
    drop(first);
    let (mut second, _) = own(&b, &log, &claimant("b", 2)).unwrap();
    log.append(&late).unwrap();
    put(&mut second, "k", b"2").unwrap();
    put(&mut second, "k", b"3").unwrap();
    let (again, took) = own(&a, &log, &claimant("a", 3)).unwrap();
    assert_eq!((value(&again, "k").as_deref(), took.void), (Some("3"), 1));
}

#[test]
fn a_cache_that_is_gone_or_wrong_is_made_again_with_the_same_root() {
    let (_dir, a, _) = dirs();
    let log = MemoryLog::default();
    let (mut store, _) = own(&a, &log, &claimant("a", 1)).unwrap();
    for number in 0..200 {
        put(&mut store, &format!("k{}", number % 50), &[7; 100]).unwrap();
        if number == 120 {
            store.copy().unwrap();
        }
    }
    let root = store.ledger();
    drop(store);
    std::fs::remove_dir_all(&a).unwrap();
    let (store, took) = own(&a, &log, &claimant("a", 2)).unwrap();
    assert_eq!(store.ledger(), root);
    assert_eq!(
        took.records,
        1 + 79 + 1,
        "the copy, what came after it, the claim"
    );
    drop(store);
    // The disk has gone bad.
    std::fs::write(a.join("db"), [0x5a; 4_096]).unwrap();
    let (mut store, took) = own(&a, &log, &claimant("a", 3)).unwrap();
    assert_eq!((store.ledger(), took.records), (root, 1 + 79 + 2));
    put(&mut store, "k8", b"later").unwrap();
}

#[test]
fn a_batch_in_parts_that_was_cut_off_counts_for_nobody() {
    let (_dir, a, b) = dirs();
    let mut log = MemoryLog::default();
    let (store, _) = own(&a, &log, &claimant("a", 1)).unwrap();
    let mut batch = Batch::new();
    for number in 0_u32..600 {
        let noise: Vec<u8> = (0..4_000_u32)
            .map(|at| {
                crate::engine::hash::murmur2(&(number * 4_000 + at).to_le_bytes()).to_le_bytes()[0]
            })
            .collect();
        batch.put(format!("k{number}"), noise);
    }
    let delta = Delta::of(&batch, store.ledger());
    let records = parts(Kind::Batch, store.epoch, 0, &delta.encode());
    assert_eq!(records.len(), 3);
    log.append(&records[..2]).unwrap();
    drop(store);
    let (mut store, _) = own(&b, &log, &claimant("b", 2)).unwrap();
    log.append(&records[2..]).unwrap();
    assert_eq!(store.ledger().entries, 0);
    store.commit(&batch).unwrap();
    assert_eq!(store.ledger().entries, 600);
    let (again, _) = own(&a, &log, &claimant("a", 3)).unwrap();
    assert_eq!(again.ledger(), store.ledger());
}

#[test]
fn a_log_that_lost_its_beginning_is_refused() {
    let (_dir, a, b) = dirs();
    let mut log = MemoryLog::default();
    let (mut store, _) = own(&a, &log, &claimant("a", 1)).unwrap();
    put(&mut store, "k", b"1").unwrap();
    put(&mut store, "k", b"2").unwrap();
    log.trim(2).unwrap();
    let error = own(&b, &log, &claimant("b", 2)).unwrap_err();
    assert!(error.to_string().contains("begins at offset 2"), "{error}");
    let other = Claimant {
        partitions: 9,
        ..claimant("a", 3)
    };
    drop(store);
    let cache = Cache::open(&a, 9).unwrap();
    let mut log = Box::new(log);
    log.append(&[Record::Claim {
        epoch: Epoch {
            number: 9,
            instance: 9,
        },
        partitions: 8,
        instance: "x",
    }
    .encode()])
        .unwrap();
    let error = cache.claim(log, &other).unwrap_err();
    assert!(
        error.to_string().contains("had 8 partitions, now it has 9"),
        "{error}"
    );
}

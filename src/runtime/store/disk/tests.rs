//! What the store on disk keeps, refuses and notices.

use super::*;
use crate::runtime::store::MemoryStore;
use tempfile::tempdir;

fn batch(numbers: std::ops::Range<u32>) -> Batch {
    let mut batch = Batch::new();
    for number in numbers {
        let key = [b"j/", &number.to_be_bytes()[..]].concat();
        batch.put(key, format!("value {number}").into_bytes());
    }
    batch
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("a/b");
    let mut store = DiskStore::open(&path).unwrap();
    let mut twin = MemoryStore::default();
    for batch in [batch(0..40), batch(30..60)] {
        store.commit(&batch).unwrap();
        twin.commit(&batch).unwrap();
    }
    let mut gone = Batch::new();
    gone.delete(*b"j/\0\0\0\x05");
    gone.delete(*b"never there");
    store.commit(&gone).unwrap();
    twin.commit(&gone).unwrap();
    assert_eq!(store.ledger(), twin.ledger());
    drop(store);

    let store = DiskStore::open(&path).unwrap();
    assert_eq!(store.ledger(), twin.ledger());
    assert_eq!(store.verify().unwrap().ledger.entries, 59);
    let value = store.get(b"j/\0\0\0\x07").unwrap();
    assert_eq!(value.as_deref(), Some(&b"value 7"[..]));
    let mut keys = Vec::new();
    store
        .scan(b"j/\0\0\0", &mut |key, _| {
            keys.push(key[5]);
            Ok(())
        })
        .unwrap();
    assert!(keys.is_sorted());
    assert_eq!(keys.len(), 59);
}

#[test]
fn a_second_process_is_told_what_to_do() {
    let directory = tempdir().unwrap();
    let _store = DiskStore::open(directory.path()).unwrap();
    let error = DiskStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }));
    let text = error.to_string();
    assert!(text.contains(directory.path().to_str().unwrap()), "{text}");
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    assert!(text.contains("stop that one first"), "{text}");
}

#[test]
fn left_overs_of_a_kill_are_swept() {
    let directory = tempdir().unwrap();
    let path = directory.path();
    let half_made = path.join("snap.00000000000000FF.generating");
    fs::write(path.join("conf"), b"half a configur").unwrap();
    fs::write(&half_made, b"").unwrap();
    let mut store = DiskStore::open(path).unwrap();
    assert!(!half_made.exists());
    store.commit(&batch(0..3)).unwrap();
    drop(store);
    fs::write(&half_made, b"").unwrap();
    let store = DiskStore::open(path).unwrap();
    assert_eq!(store.ledger().entries, 3);
}

#[test]
fn unsynced_blobs_are_refused() {
    let directory = tempdir().unwrap();
    fs::create_dir(directory.path().join("blobs")).unwrap();
    fs::write(directory.path().join("blobs/17"), b"x").unwrap();
    let error = DiskStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Blobs { count: 1, .. }));
}

#[test]
fn a_changed_value_is_found_and_poisons_the_store() {
    let directory = tempdir().unwrap();
    let mut store = DiskStore::open(directory.path()).unwrap();
    store.commit(&batch(0..3)).unwrap();
    let key = b"j/\0\0\0\x01";
    let mut stored = store.db.get(key).unwrap().unwrap().to_vec();
    stored[3] ^= 1;
    store.db.insert(key, stored).unwrap();

    let first = store.get(key).unwrap_err().to_string();
    assert!(first.contains(r"entry j/\x00\x00\x00\x01"), "{first}");
    assert_eq!(store.get(b"j/\0\0\0\x02").unwrap_err().to_string(), first);
    assert_eq!(store.commit(&batch(7..8)).unwrap_err().to_string(), first);
    assert_eq!(store.verify().unwrap_err().to_string(), first);
    drop(store);
    let again = DiskStore::open(directory.path()).unwrap_err();
    assert_eq!(again.to_string(), first);
}

#[test]
fn an_entry_that_vanishes_is_missed() {
    let directory = tempdir().unwrap();
    let mut store = DiskStore::open(directory.path()).unwrap();
    store.commit(&batch(0..3)).unwrap();
    store.db.remove(b"j/\0\0\0\x01").unwrap();
    drop(store);
    let error = DiskStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Unbalanced { .. }), "{error}");
    let unchecked = DiskOptions {
        verify: false,
        ..DiskOptions::default()
    };
    let store = DiskStore::open_with(directory.path(), unchecked).unwrap();
    let error = store.verify().unwrap_err().to_string();
    assert!(error.contains("kept 3 entries"), "{error}");
    assert!(error.contains("found 2 entries"), "{error}");
}

#[test]
fn entries_without_a_ledger_are_refused() {
    let directory = tempdir().unwrap();
    let mut store = DiskStore::open(directory.path()).unwrap();
    store.commit(&batch(0..3)).unwrap();
    store.db.remove(LEDGER_KEY).unwrap();
    drop(store);
    let error = DiskStore::open(directory.path()).unwrap_err().to_string();
    assert!(error.contains("ledger: missing"), "{error}");
}

#[test]
fn a_damaged_log_is_a_fault_and_not_a_panic() {
    let directory = tempdir().unwrap();
    let mut store = DiskStore::open(directory.path()).unwrap();
    for from in 0..60 {
        store.commit(&batch(from * 10..from * 10 + 30)).unwrap();
    }
    drop(store);
    // Opening again writes a snapshot, which is what makes damage visible.
    drop(DiskStore::open(directory.path()).unwrap());
    let log = OpenOptions::new()
        .write(true)
        .open(directory.path().join("db"))
        .unwrap();
    log.set_len(1_000).unwrap();
    DiskStore::open(directory.path()).unwrap_err();
}

#[test]
fn the_visitors_own_error_is_no_fault_of_the_store() {
    let directory = tempdir().unwrap();
    let mut store = DiskStore::open(directory.path()).unwrap();
    store.commit(&batch(0..3)).unwrap();
    let error = store.scan(b"j/", &mut |key, _| Err(StoreError::damaged(key, "mine")));
    assert!(error.unwrap_err().to_string().contains("mine"));
    assert_eq!(store.verify().unwrap().ledger.entries, 3);
}

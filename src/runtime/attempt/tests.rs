//! Processes that die at work, one after the other, over the same notes.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Decodes one record in a process of its own, which may die of it.
fn process(directory: &Path, spot: &Spot, is_deadly: bool) -> Result<(), Reject> {
    let attempts = Attempts::beside(directory, &Alone::default());
    attempts.begin(7);
    let decode = || assert!(!is_deadly, "dies, as by a bug");
    let died = catch_unwind(AssertUnwindSafe(|| {
        let _working = (!attempts.is_careful()).then(|| attempts.working(Work::Batch));
        let decoded = attempts.on(|| spot.clone(), decode);
        attempts.passed(1);
        decoded
    }));
    died.unwrap_or(Ok(()))
}

#[test]
fn a_record_that_kills_while_it_is_decoded_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let spot = Spot::at("feed:a.csv", "a.csv", 40);
    // Two as one of many, three alone.
    for _ in 0..5 {
        process(directory.path(), &spot, true).unwrap();
    }
    let reject = process(directory.path(), &spot, true).unwrap_err();
    assert_eq!(reject.code, RejectCode::Deadly);
    assert!(reject.message.contains("a.csv, offset 40"), "{reject}");
    process(
        directory.path(),
        &Spot::at("feed:a.csv", "a.csv", 80),
        false,
    )
    .unwrap();
    process(directory.path(), &spot, true).unwrap_err();
}

#[test]
fn a_pushed_record_is_refused_once_and_may_come_again() {
    let directory = tempfile::tempdir().unwrap();
    let spot = Spot::pushed("feed:http", b"{}");
    for _ in 0..5 {
        process(directory.path(), &spot, true).unwrap();
    }
    process(directory.path(), &spot, true).unwrap_err();
    // What it died of is mended.
    process(directory.path(), &spot, false).unwrap();
}

#[test]
fn who_ends_between_two_batches_is_not_suspected_of_anything() {
    let directory = tempfile::tempdir().unwrap();
    let spot = Spot::at("feed:a.csv", "a.csv", 40);
    for _ in 0..9 {
        process(directory.path(), &spot, false).unwrap();
    }
    let note = std::fs::read(directory.path().join("attempt.json")).unwrap();
    assert_eq!(note.len(), NOTE_BYTES);
    assert!(note.starts_with(b"null "));
    assert!(!directory.path().join("doubt.json").exists());
}

#[test]
fn a_note_that_cannot_be_read_is_as_good_as_none() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("attempt.json"), "{\"Rec").unwrap();
    std::fs::write(directory.path().join("doubt.json"), "?").unwrap();
    process(directory.path(), &Spot::at("a", "b", 0), false).unwrap();
}

#[test]
fn a_record_that_is_survived_once_is_not_condemned() {
    let directory = tempfile::tempdir().unwrap();
    let spot = Spot::at("feed:a.csv", "a.csv", 40);
    for _ in 0..9 {
        for is_deadly in [true, true, false] {
            process(directory.path(), &spot, is_deadly).unwrap();
        }
    }
}

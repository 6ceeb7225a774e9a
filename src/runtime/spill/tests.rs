//! Places against a naive map, the length of the file, and what becomes of faults.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn drawers() -> (tempfile::TempDir, Drawers) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("resting");
    let file = open(&path).unwrap();
    assert!(!path.exists(), "it has no name");
    (dir, Drawers::new(file, path))
}

/// Bytes of a length that cannot be taken for those of another step.
fn content(step: usize, length: usize) -> Vec<u8> {
    let text = step.to_string().into_bytes();
    text.into_iter().cycle().take(length).collect()
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        20 => 0_usize..700,
        3 => 700_usize..9_000,
        1 => 30_000_usize..80_000,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn drawers_hold_what_maps_hold(steps in prop::collection::vec((0_usize..2, 0_u8..40, 0_u8..3, length()), 1..600)) {
        let (_dir, drawers) = drawers();
        let mut each = [drawers.drawer(), drawers.drawer()];
        let mut maps: [BTreeMap<u8, (Place, Vec<u8>)>; 2] = Default::default();
        // Units of each class that are in use, and the most that ever were.
        let mut used: [BTreeMap<usize, (u64, u64)>; 2] = Default::default();
        for (step, (which, key, what, length)) in steps.into_iter().enumerate() {
            let (drawer, map, used) = (&mut each[which], &mut maps[which], &mut used[which]);
            if let Some((place, bytes)) = map.remove(&key) {
                prop_assert_eq!(drawer.get(place), bytes.as_slice());
                drawer.free(place);
                let (class, units) = class_of(SUM_BYTES + bytes.len());
                used.get_mut(&class).unwrap().0 -= units;
            }
            if what != 0 {
                let bytes = content(step, length);
                map.insert(key, (drawer.put(&bytes).unwrap(), bytes));
                let (class, units) = class_of(SUM_BYTES + length);
                let (now, most) = used.entry(class).or_default();
                *now += units;
                *most = (*most).max(*now);
            }
        }
        for (drawer, map) in each.iter().zip(&maps) {
            drawer.foresee();
            for (place, bytes) in map.values() {
                prop_assert_eq!(&drawer.get(*place), bytes);
            }
        }
        let most: u64 = used.iter().flat_map(BTreeMap::values).map(|(_, most)| most).sum();
        let end = drawers.0.end.load(Ordering::Relaxed);
        prop_assert!(end <= most + most.div_ceil(7) + 2 * PIECE_UNITS, "{end} units, {most} at the fullest");
        prop_assert!(drawers.0.file.metadata().unwrap().len() <= end * UNIT_BYTES);
    }

    #[test]
    fn a_place_of_a_class_is_large_enough_and_not_much_larger(bytes in 1_usize..=SUM_BYTES + LENGTH_MAX) {
        let (class, units) = class_of(bytes);
        let room = usize::try_from(units * UNIT_BYTES).unwrap();
        prop_assert!(bytes <= room && room - bytes <= (bytes / 4).max(31), "{bytes} in {room}");
        // The same class has the same room.
        prop_assert_eq!(class_of(room), (class, units));
        prop_assert!(class_of(room + 1).0 == class + 1);
    }

    #[test]
    fn a_place_says_what_it_was_told(unit in 0..UNITS_MAX, length in 0..=LENGTH_MAX, turn: u8) {
        let parts = Parts { unit, length, turn };
        prop_assert_eq!(Parts::from(Place::from(parts)), parts);
    }
}

#[test]
fn the_same_sizes_again_and_again_take_no_more_room() {
    let (_dir, drawers) = drawers();
    let mut drawer = drawers.drawer();
    let mut places: Vec<Place> = Vec::new();
    let mut put = |step: usize, places: &mut Vec<Place>| {
        for n in 0..500 {
            places.push(drawer.put(&content(step, 50 + n % 400)).unwrap());
        }
        for place in places.drain(..) {
            drawer.free(place);
        }
        drawers.0.end.load(Ordering::Relaxed)
    };
    let first = put(0, &mut places);
    for step in 1..50 {
        assert_eq!(put(step, &mut places), first);
    }
}

#[test]
fn what_is_too_large_stays_in_memory() {
    let (_dir, drawers) = drawers();
    let mut drawer = drawers.drawer();
    assert_eq!(drawer.put(&vec![7; LENGTH_MAX + 1]), None);
    let place = drawer.put(&vec![7; LENGTH_MAX]).unwrap();
    assert_eq!(drawer.get(place).len(), LENGTH_MAX);
}

#[test]
fn a_file_that_cannot_be_written_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("resting");
    std::fs::write(&path, b"").unwrap();
    let drawers = Drawers::new(File::open(&path).unwrap(), path);
    let mut drawer = drawers.drawer();
    for _ in 0..100 {
        assert_eq!(drawer.put(b"a subject"), None);
    }
    // The place is used again, so failures do not lengthen the file.
    assert_eq!(drawers.0.end.load(Ordering::Relaxed), PIECE_UNITS);
    assert_eq!(drawer.piece.0, 1);
}

#[test]
fn what_cannot_be_read_is_a_fault_with_the_name_of_the_file() {
    let (_dir, drawers) = drawers();
    let mut drawer = drawers.drawer();
    let place = drawer.put(b"a subject at rest").unwrap();
    assert_eq!(guarded(|| drawer.get(place)).unwrap(), b"a subject at rest");
    // Another that was there before is not taken for it.
    let before = drawer.put(b"one that has gone").unwrap();
    drawer.free(before);
    let after = drawer.put(b"one that is there").unwrap();
    assert_eq!(Parts::from(before).unit, Parts::from(after).unit);
    let error = guarded(|| drawer.get(before)).unwrap_err();
    assert_eq!(error.source.kind(), io::ErrorKind::InvalidData);
    // Somebody cuts it off.
    drawers.0.file.set_len(10).unwrap();
    let error = guarded(|| drawer.get(place)).unwrap_err();
    assert_eq!(error.source.kind(), io::ErrorKind::UnexpectedEof);
    let message = error.to_string();
    assert!(
        message.starts_with("cannot read 21 bytes at offset 0 of \"")
            && message.contains("resting"),
        "{message}"
    );
}

#[test]
fn bugs_are_no_faults() {
    let bug = catch_unwind(|| guarded(|| resume_unwind(Box::new("a bug"))));
    let payload = bug.unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"a bug"));
}

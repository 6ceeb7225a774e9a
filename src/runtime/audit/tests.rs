//! What the audit log notices: every flip, cut and move.

use super::*;
use tempfile::{TempDir, tempdir};

const ACT: Act<'_> = Act {
    time: EventTime(1_772_325_000_000),
    actor: "zhang",
    role: "analyst",
    action: "rules.load",
    object: "rules@9f3c",
    result: "allowed \"四眼\"\n",
};

/// A log of five entries: its directory, its path and its lines with their ends.
fn log() -> (TempDir, PathBuf, Vec<String>) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let mut audit = Audit::open(&path).unwrap();
    for _ in 0..5 {
        audit.append(&ACT).unwrap();
    }
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.split_inclusive('\n').map(str::to_owned).collect();
    (directory, path, lines)
}

fn complaint(path: &Path, lines: &[String]) -> String {
    fs::write(path, lines.concat()).unwrap();
    let text = verify(path).unwrap_err().to_string();
    assert!(Audit::open(path).is_err(), "a broken chain takes no more");
    text
}

#[test]
fn a_chain_holds_over_restarts() {
    let (_directory, path, lines) = log();
    let report = verify(&path).unwrap();
    assert_eq!(report.head.seq, 5);
    let mut audit = Audit::open(&path).unwrap();
    assert_eq!(audit.head(), &report.head);
    assert_eq!(audit.append(&ACT).unwrap().seq, 6);
    let mut entries = Vec::new();
    read(&path, |entry| entries.push(entry)).unwrap();
    assert_eq!(entries.len(), 6);
    assert_eq!(entries[5].prev, report.head.hash);
    assert_eq!(entries[0].result, ACT.result);
    let second = Audit::open(&path).unwrap_err();
    assert!(matches!(second, AuditError::Locked { .. }));
    assert!(lines[0].starts_with(r#"{"seq":1,"time":"2026-03-01T08:30:00+08:00","actor""#));
}

#[test]
fn every_flipped_byte_of_every_entry_is_named() {
    let (_directory, path, lines) = log();
    let mut start = 0;
    let whole = lines.concat().into_bytes();
    for (number, line) in lines.iter().enumerate() {
        for at in start..start + line.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let error = verify(&path).unwrap_err();
            let AuditError::Broken { line, .. } = error else {
                panic!("byte {at}: {error}");
            };
            assert_eq!(line, u64::try_from(number + 1).unwrap(), "byte {at}");
        }
        start += line.len();
    }
}

#[test]
fn every_entry_taken_out_doubled_or_moved_is_named() {
    let (_directory, path, lines) = log();
    for at in 0..lines.len() {
        let mut cut = lines.clone();
        cut.remove(at);
        let text = complaint(&path, &cut);
        if at == 4 {
            assert!(
                text.contains("cut off: 4 entries, the head names 5"),
                "{text}"
            );
        } else {
            let expected = format!("line {}: entry {} where", at + 1, at + 2);
            assert!(text.contains(&expected), "{text}");
        }

        let mut doubled = lines.clone();
        doubled.insert(at, lines[at].clone());
        let text = complaint(&path, &doubled);
        assert!(text.contains(&format!("line {}:", at + 2)), "{text}");

        if at > 0 {
            let mut moved = lines.clone();
            moved.swap(at - 1, at);
            let text = complaint(&path, &moved);
            assert!(text.contains(&format!("line {at}:")), "{text}");
        }
    }
    assert!(complaint(&path, &[]).contains("cut off: 0 entries"));
}

#[test]
fn an_entry_edited_with_a_new_hash_breaks_the_next() {
    let (_directory, path, mut lines) = log();
    let entry: AuditEntry = serde_json::from_str(&lines[2]).unwrap();
    let (forged, _) = line_of(&Hashed {
        seq: entry.seq,
        time: &entry.time,
        actor: "li",
        role: &entry.role,
        action: &entry.action,
        object: &entry.object,
        result: &entry.result,
        prev: &entry.prev,
    });
    lines[2] = String::from_utf8(forged).unwrap();
    let text = complaint(&path, &lines);
    assert!(text.contains("line 4: does not follow entry 3"), "{text}");
    // The last entry has no next one; the head stands for it.
    lines.truncate(3);
    assert!(complaint(&path, &lines).contains("the head names"));
}

#[test]
fn what_a_kill_leaves_is_mended() {
    let (_directory, path, lines) = log();
    // Part of a line, never acknowledged.
    let torn = [lines.concat().as_str(), "{\"seq\":6,"].concat();
    fs::write(&path, torn).unwrap();
    assert_eq!(verify(&path).unwrap().torn_bytes, 9);
    let mut audit = Audit::open(&path).unwrap();
    audit.append(&ACT).unwrap();
    drop(audit);
    assert_eq!(verify(&path).unwrap().head.seq, 6);

    // A whole line whose head was not written.
    fs::write(&path, lines.concat()).unwrap();
    let fourth: AuditEntry = serde_json::from_str(&lines[3]).unwrap();
    let head = Head {
        seq: 4,
        hash: fourth.hash,
    };
    write_head(&path, &head).unwrap();
    assert_eq!(verify(&path).unwrap().head.seq, 5);
    drop(Audit::open(&path).unwrap());
    assert_eq!(read_head(&path).unwrap().unwrap().seq, 5);

    // But not two of them, and not none.
    write_head(&path, &Head::start()).unwrap();
    verify(&path).unwrap_err();
    fs::remove_file(head_path(&path)).unwrap();
    let text = verify(&path).unwrap_err().to_string();
    assert!(text.contains("head file is missing"), "{text}");
}

#[test]
fn after_a_fault_every_act_is_refused() {
    let (_directory, path, lines) = log();
    let mut audit = Audit::open(&path).unwrap();
    fs::write(&path, lines.concat() + "x").unwrap();
    assert!(audit.append(&ACT).is_err());
    fs::write(&path, lines.concat()).unwrap();
    assert!(audit.append(&ACT).is_err(), "the first fault is final");
    assert_eq!(verify(&path).unwrap().head.seq, 5);
}

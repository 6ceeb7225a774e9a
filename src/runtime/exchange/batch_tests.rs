//! Batches: their numbers, and that a kill or a full disk at any step leads to each row once.

use super::*;
use sm2::dsa::signature::Verifier;
use sm2::pkcs8::{EncodePrivateKey, LineEnding};
use std::os::unix::fs::PermissionsExt;

const START_MS: i64 = 1_790_000_000_000;
fn parcel(seq: u64) -> Parcel {
    let body = format!(
        r#"{{"kind":"riskWarning","id":"id-{seq}","record":"w-{seq}","operation":"i","text":"“甲”, 乙"}}"#
    );
    Parcel {
        seq,
        id: format!("id-{seq}"),
        subject: format!("enterprise:{}", seq % 2),
        lane_no: 1,
        since_ms: 0,
        body_sm3: hex(&Sm3::digest(body.as_bytes())),
        body: body.into_bytes(),
    }
}

fn tried(seqs: std::ops::Range<u64>) -> Vec<Tried> {
    seqs.map(|seq| (parcel(seq), 0)).collect()
}

fn config(dir: &Path, form: Form) -> BatchConfig {
    let key = dir.join("sm2.pem");
    let secret = sm2::SecretKey::from_slice(&[7; 32]).unwrap();
    fs::write(&key, secret.to_pkcs8_pem(LineEnding::LF).unwrap()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    BatchConfig {
        out: dir.join("out"),
        source: "320000".into(),
        form,
        key,
        signer: SIGNER.into(),
        rows_max: 10,
        every_ms: 0,
        held: Some(dir.join("held.jsonl")),
    }
}

fn numbers(outcomes: &[Outcome]) -> Vec<String> {
    let number = |outcome: &Outcome| match outcome {
        Outcome::Accepted(receipt) => receipt.number.clone(),
        other => other.reason().to_owned(),
    };
    outcomes.iter().map(number).collect()
}

#[test]
fn numbers_follow_the_day_and_never_come_twice() {
    let at = |text: &str| EventTime::parse(text).unwrap().0;
    let (day, next) = (at("2019-04-11 12:00"), at("2019-04-12 00:00"));
    let number = |last: &str, now| next_number(last, now).unwrap();
    assert_eq!(number("", day), "2019041100001");
    assert_eq!(number("2019041100001", day), "2019041100002");
    assert_eq!(number("2019041100002", next), "2019041200001");
    assert_eq!(number("2019041200007", day), "2019041200008", "set back");
    let full = next_number("2019041199999", day).unwrap_err();
    assert!(full.contains("rows_max"), "{full}");
}

#[test]
fn a_batch_appears_whole_and_names_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::at(EventTime(START_MS));
    let batches = Batches::new(config(dir.path(), Form::Csv), clock).unwrap();
    let first = batches.send_all(&tried(1..3));
    assert_eq!(numbers(&first), ["2026092100001-1", "2026092100001-2"]);
    assert_eq!(
        numbers(&batches.send_all(&tried(3..4))),
        ["2026092100002-1"]
    );
    let out = dir.path().join("out");
    let records = fs::read_to_string(out.join("2026092100001/records.csv")).unwrap();
    expect_test::expect![[r#"
        cd_id,cd_time,cd_source,cd_batch,cd_operation,kind,record,subject,lane_no,body_sm3,body
        id-1,2026-09-21T22:13:20+08:00,320000,2026092100001,i,riskWarning,w-1,enterprise:1,1,c74d0fc43b0fb2b1a8ae0cbbfd5427ba9da6dfd71744720f9ce3a44dbbd777a2,"{""kind"":""riskWarning"",""id"":""id-1"",""record"":""w-1"",""operation"":""i"",""text"":""“甲”, 乙""}"
        id-2,2026-09-21T22:13:20+08:00,320000,2026092100001,i,riskWarning,w-2,enterprise:0,1,92631524ad929fe2c5e82aa2766ab3c278df6733746bb4ddeb658dfa836fb6f8,"{""kind"":""riskWarning"",""id"":""id-2"",""record"":""w-2"",""operation"":""i"",""text"":""“甲”, 乙""}"
    "#]]
    .assert_eq(&records);
    let read = |number: &str| fs::read(out.join(number).join("manifest.json")).unwrap();
    let second: serde_json::Value = serde_json::from_slice(&read("2026092100002")).unwrap();
    assert_eq!(second["before"], "2026092100001");
    assert_eq!(
        second["before_sm3"],
        hex(&Sm3::digest(read("2026092100001")))
    );
    assert_eq!(second["rows"], 1);
    let signed = fs::read(out.join("2026092100002/manifest.sig")).unwrap();
    let signature = sm2::dsa::Signature::from_der(&signed).unwrap();
    let key = batches.key.verifying_key();
    key.verify(&read("2026092100002"), &signature).unwrap();
    assert!(key.verify(&read("2026092100001"), &signature).is_err());
}

#[test]
fn what_a_kill_or_a_fault_leaves_is_finished_and_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::at(EventTime(START_MS));
    let open = || Batches::new(config(dir.path(), Form::Jsonl), clock.clone()).unwrap();
    let out = dir.path().join("out");
    let first = open().send_all(&tried(0..2));
    // Killed after it had appeared, before the receipts were written down: the same receipts, no new batch.
    assert_eq!(open().send_all(&tried(0..2)), first);
    // Killed before it appeared: it does now; what is new goes into the next.
    fs::rename(out.join("2026092100001"), out.join(".2026092100001.part")).unwrap();
    let again = open().send_all(&tried(0..3));
    assert_eq!(again[..2], first[..]);
    assert_eq!(numbers(&again[2..]), ["2026092100002-1"]);
    assert!(out.join("2026092100001/manifest.sig").exists());
    // Killed while the files were written: they never counted.
    fs::create_dir(out.join(".2026092100003.part")).unwrap();
    fs::write(out.join(".2026092100003.part/records.jsonl"), "half").unwrap();
    assert_eq!(numbers(&open().send_all(&tried(3..4))), ["2026092100003-1"]);
    let rows = fs::read_to_string(out.join("2026092100003/records.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 1);
    // The same id with other bytes is refused, and what stands behind it waits.
    let mut other = tried(3..6);
    other[0].0.body_sm3 = "0".repeat(64);
    let told = numbers(&open().send_all(&other));
    assert!(told[0].contains("other bytes"), "{told:?}");
    assert_eq!(told[1], "2026092100004-1");
    assert!(told[2].contains("waits behind"), "{told:?}");
    // A directory that cannot be written is "not now".
    let batches = open();
    fs::write(out.join(".2026092100005.part"), "in the way").unwrap();
    assert!(batches.send(&parcel(9), 0).reason().contains("out"));
    fs::remove_file(out.join(".2026092100005.part")).unwrap();
    assert!(matches!(batches.send(&parcel(9), 1), Outcome::Accepted(_)));
}

#[test]
fn what_the_far_end_holds_is_read_from_its_list() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::at(EventTime(START_MS));
    let batches = Batches::new(config(dir.path(), Form::Csv), clock.clone()).unwrap();
    assert!(batches.list().unwrap_err().contains("held_file"));
    fs::write(
        dir.path().join("held.jsonl"),
        "{\"id\":\"a\",\"sm3\":\"b\"}\n\nnonsense\n",
    )
    .unwrap();
    assert!(batches.list().unwrap_err().contains("line 3"));
    let without = BatchConfig {
        held: None,
        ..config(dir.path(), Form::Csv)
    };
    let batches = Batches::new(without, clock.clone()).unwrap();
    assert!(batches.list().unwrap_err().contains("name it in"));
    fs::write(dir.path().join("sm2.pem"), "nothing").unwrap();
    let error = Batches::new(
        BatchConfig {
            held: None,
            ..batches.config
        },
        clock,
    )
    .unwrap_err();
    assert!(error.to_string().contains("holds no SM2 key"), "{error}");
}

//! The real records of one regulator, whole: every one accounted for, the same bytes every time, and warnings in time.
//!
//! Runs where `FENGHUO_CHICAGO` names the directory of the data (`.ci/run` does); elsewhere it says that it did not.

use crate::province::{Outputs, fenghuo};
use crate::support::project;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

const RECORDS: u64 = 99_045;

fn run(data: &str, dir: &Path, shards: u32) -> (serde_json::Value, Outputs) {
    let text = std::fs::read_to_string(project("fixtures/chicago/fenghuo.toml")).unwrap();
    let text = text
        .replace(
            "../../out/chicago/state",
            &dir.join("state").display().to_string(),
        )
        .replace("../../out/chicago", &dir.join("out").display().to_string())
        .replace("../../../shared/data/chicago", data)
        .replace(
            "dir = \"rules\"",
            &format!("dir = \"{}\"", project("fixtures/chicago/rules").display()),
        )
        .replace(
            "dir = \"connectors\"",
            &format!(
                "dir = \"{}\"",
                project("fixtures/chicago/connectors").display()
            ),
        )
        .replace("shards = 8", &format!("shards = {shards}"));
    let config = dir.join("fenghuo.toml");
    std::fs::write(&config, text).unwrap();
    let output = fenghuo()
        .args(["--format", "json", "run", "--until-end", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (
        serde_json::from_slice(&output.stdout).unwrap(),
        Outputs::of(&dir.join("out")),
    )
}

fn say(line: &str) {
    let mut err = std::io::stderr().lock();
    err.write_all(line.as_bytes())
        .and_then(|()| err.write_all(b"\n"))
        .unwrap();
}

/// When a warning about each licence was open, as days: (raised, over).
fn open_spans(warnings: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut spans: BTreeMap<String, (String, String, String)> = BTreeMap::new();
    for line in warnings.lines() {
        let w: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| w[name].as_str().unwrap().to_owned();
        let day = text("generated_at")[..10].to_owned();
        let span = spans.entry(text("warning_id")).or_insert((
            text("subject"),
            day.clone(),
            "9999".to_owned(),
        ));
        if w["status"] != "open" {
            span.2 = day;
        }
    }
    let mut by_subject: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (subject, from, to) in spans.into_values() {
        by_subject.entry(subject).or_default().push((from, to));
    }
    by_subject
}

#[test]
fn every_record_counts_once_and_warnings_come_before_critical_violations() {
    let Ok(data) = std::env::var("FENGHUO_CHICAGO") else {
        say("not run: FENGHUO_CHICAGO does not name the directory of the real records");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let places: Vec<_> = ["a", "b", "c", "d"]
        .map(|name| dir.path().join(name))
        .into();
    for place in &places {
        std::fs::create_dir(place).unwrap();
    }
    let (summary, first) = run(&data, &places[0], 8);
    let mut read = 0;
    for account in summary["accounts"].as_object().unwrap().values() {
        let count = |name: &str| account[name].as_u64().unwrap();
        let refused: u64 = account["refused"]
            .as_object()
            .unwrap()
            .values()
            .map(|v| v.as_u64().unwrap())
            .sum();
        assert_eq!(
            count("read"),
            count("applied") + count("duplicates") + count("stale") + refused
        );
        read += count("read");
    }
    assert_eq!(read, RECORDS);
    first.assert_same(&run(&data, &places[1], 8).1, "a second run");
    first.assert_same(&run(&data, &places[2], 1).1, "1 shard");
    first.assert_same(&run(&data, &places[3], 2).1, "2 shards");
    let spans = open_spans(&first.files[0]);
    let inspections = std::fs::read_to_string(Path::new(&data).join("inspections.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(inspections.as_bytes());
    let (mut all, mut critical, mut warned, mut foreseen) = (0_u32, 0_u32, 0_u32, 0_u32);
    for row in reader.records() {
        let row = row.unwrap();
        let (licence, day, is_critical) = (&row[1], &row[7], &row[11] != "0");
        let was_open = spans
            .get(&format!("licence:{licence}"))
            .is_some_and(|list| {
                list.iter()
                    .any(|(from, to)| from.as_str() < day && day <= to.as_str())
            });
        all += 1;
        critical += u32::from(is_critical);
        warned += u32::from(was_open);
        foreseen += u32::from(was_open && is_critical);
    }
    say(&format!(
        "{all} inspections, {critical} with a critical violation; {warned} under an open warning, of those {foreseen} critical"
    ));
    assert!(
        0 < foreseen,
        "some critical violations are warned of before"
    );
    // Better than chance: the share among the warned is above the share among all.
    assert!(u64::from(critical) * u64::from(warned) < u64::from(foreseen) * u64::from(all));
}

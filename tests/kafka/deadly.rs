//! A record that kills the processes of a cluster is found and left out; nothing else is, in any partition.

use crate::cluster::Read;
use crate::feeds::Province;
use crate::mortal::Mortal;
use crate::shared::Trial;
use crate::{DEAD, Same, WARNINGS, compare, setting};
use fenghuo::runtime::assembly::{Parts, personal_key};
use fenghuo::runtime::cluster::work::{Process, Role};
use fenghuo::runtime::config::Config;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

const CONFIG: &str = "FENGHUO_TEST_DEADLY_CONFIG";
const DEADLY: &str = "FENGHUO_TEST_DEADLY";

/// Not a test of its own: what the parent starts.
#[test]
fn child() {
    let (Some(path), Ok(of)) = (std::env::var_os(CONFIG), std::env::var(DEADLY)) else {
        return;
    };
    let path = Path::new(&path);
    let config = Config::load(path).unwrap();
    let parts = Parts::of(&config).unwrap();
    let key = personal_key(&config, &parts).unwrap();
    let process = Process::new(&config, parts, key, (path.parent().unwrap(), true)).unwrap();
    let role = Role {
        ingests: true,
        judges: true,
    };
    let stop = AtomicBool::new(false);
    process
        .run(role, &stop, (&Mortal { of: vec![of] }, None))
        .unwrap();
}

/// The number of a record that stands once in its feed, in the middle of it, and its line.
fn chosen(feed: &str) -> (String, String) {
    let id = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).ok()?;
        record["ROWGUID"].as_str().map(str::to_owned)
    };
    let middle = feed.lines().skip(feed.lines().count() / 2);
    let mut with_id = middle.filter_map(|line| Some((id(line)?, line.to_owned())));
    let is_only = |(id, _): &(String, String)| feed.matches(id.as_str()).count() == 1;
    with_id.find(is_only).unwrap()
}

#[test]
fn shared_partitions_leave_out_a_record_that_kills_and_nothing_else() {
    let mut deadly = String::new();
    let without_it = |province: &Province| {
        let path = province.feed("hotline-order");
        let feed = std::fs::read_to_string(path).unwrap();
        let (id, line) = chosen(&feed);
        std::fs::write(path, feed.replace(&format!("{line}\n"), "")).unwrap();
        let (lines, _) = province.embedded();
        std::fs::write(path, feed).unwrap();
        deadly = id;
        lines
    };
    let trial = Trial::over(setting("FENGHUO_KAFKA_EVENTS", 20_000), without_it);
    let config = trial.config("a", "");
    let mut deaths = 0;
    loop {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "deadly::child", "--test-threads=1"])
            .env(CONFIG, &config)
            .env(DEADLY, &deadly)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        if status.success() {
            break;
        }
        assert_eq!(status.code(), None, "it is killed, it does not fail");
        deaths += 1;
        assert!(deaths < 30, "{deaths} starts, and it still dies");
    }
    let duplicates = compare(&trial.cluster.read(WARNINGS), &trial.lines, Same::Bytes);
    let dead = trial.cluster.read(DEAD);
    let is_deadly = |read: &&Read| read.headers["__streams.errors.exception"] == "deadly";
    let found: Vec<_> = dead.iter().filter(is_deadly).collect();
    // Once in the partition of each subject that it names.
    assert!((1..=3).contains(&found.len()), "{} left out", found.len());
    for letter in &found {
        let topic = &letter.headers["__streams.errors.topic"];
        assert_eq!(topic, "fenghuo.event.v1");
        let value = String::from_utf8_lossy(&letter.value);
        assert!(value.contains(&deadly), "its bytes");
    }
    println!(
        "a record that kills: {deaths} deaths, left out in {} partitions; {} warnings, equal to the embedded run without it, {duplicates} duplicates",
        found.len(),
        trial.lines.len()
    );
}

//! A record that kills the process is found, refused with its bytes, and everything else is as if it had never been sent.

use crate::mortal::Mortal;
use crate::province::{Outputs, Package};
use fenghuo::runtime::assembly::{Parts, job, personal_key};
use fenghuo::runtime::clock::Clock;
use fenghuo::runtime::config::Config;
use fenghuo::runtime::run::run;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

const DIRECTORY: &str = "FENGHUO_TEST_DEADLY_DIRECTORY";
const DEADLY: &str = "FENGHUO_TEST_DEADLY";
const FEED: &str = "hotline-order.jsonl";
/// More starts than two records can need: two to be careful, one a batch, three alone.
const STARTS_MAX: usize = 2 * 6 + 1;

/// Not a test of its own: what the parent starts.
#[test]
fn child() {
    let (Some(directory), Ok(of)) = (std::env::var_os(DIRECTORY), std::env::var(DEADLY)) else {
        return;
    };
    let directory = Path::new(&directory);
    let config = Config::load(&directory.join("fenghuo.toml")).unwrap();
    let parts = Parts::of(&config).unwrap();
    let key = personal_key(&config, &parts).unwrap();
    let job = job(&config, parts, &key, (directory, true, &Clock::System)).unwrap();
    let of = of.split(',').map(str::to_owned).collect();
    run(job, &AtomicBool::new(false), &Mortal { of }).unwrap();
}

/// Starts a run again and again until it ends well; how often it did not.
fn live(directory: &Path, deadly: &str) -> usize {
    for deaths in 0..STARTS_MAX {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "deadly::child", "--test-threads=1"])
            .env(DIRECTORY, directory)
            .env(DEADLY, deadly)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        if status.success() {
            return deaths;
        }
        assert_eq!(status.code(), None, "it is killed, it does not fail");
    }
    panic!("{STARTS_MAX} starts, and it still dies");
}

fn refused(dead_letters: &str) -> BTreeMap<String, Vec<serde_json::Value>> {
    let mut refused: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
    for line in dead_letters.lines() {
        let letter: serde_json::Value = serde_json::from_str(line).unwrap();
        let code = letter["code"].as_str().unwrap().to_owned();
        refused.entry(code).or_default().push(letter);
    }
    refused
}

#[test]
fn records_that_kill_the_process_are_left_out_and_nothing_else_is() {
    let package = Package::generate(120, 2_500, 7);
    let feed = std::fs::read_to_string(package.path(FEED)).unwrap();
    let id = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).ok()?;
        record["ROWGUID"].as_str().map(str::to_owned)
    };
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for id in feed.lines().filter_map(id) {
        *times.entry(id).or_default() += 1;
    }
    let only: Vec<&str> = feed
        .lines()
        .filter(|line| id(line).is_some_and(|id| times[&id] == 1))
        .collect();
    let deadly = [only[only.len() / 3], only[only.len() * 2 / 3]];
    // What it has to come to: the same without them.
    let without: String = feed
        .split_inclusive('\n')
        .filter(|line| !deadly.contains(&line.trim_end()))
        .collect();
    std::fs::write(package.path(FEED), without).unwrap();
    let expected = package.run();
    std::fs::write(package.path(FEED), &feed).unwrap();
    package.reset();

    let ids: Vec<String> = deadly.iter().filter_map(|line| id(line)).collect();
    let deaths = live(package.dir.path(), &ids.join(","));
    let outputs = Outputs::of(&package.path("out"));
    // Two deaths to be careful, one of a small batch, three alone; the second record comes while it is still careful.
    assert_eq!(deaths, 6 + 4);
    assert!(!expected.files[0].is_empty(), "the province gives warnings");
    assert_eq!(
        outputs.files[..2],
        expected.files[..2],
        "warnings, sanctions"
    );
    let (mut refused, before) = (refused(&outputs.files[2]), refused(&expected.files[2]));
    let found = refused.remove("deadly").unwrap();
    let count = |of: &BTreeMap<String, Vec<serde_json::Value>>| -> Vec<(String, usize)> {
        of.iter()
            .map(|(code, all)| (code.clone(), all.len()))
            .collect()
    };
    assert_eq!(count(&refused), count(&before), "the others as before");
    for (letter, line) in found.iter().zip(deadly) {
        let text = letter.to_string();
        assert!(text.contains(&id(line).unwrap()), "its bytes: {text}");
        let reason = letter["message"].as_str().unwrap();
        assert!(
            reason.contains("over this record alone, three times running"),
            "{reason}"
        );
    }
    assert_eq!(found.len(), 2);
}

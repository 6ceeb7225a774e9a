//! Against a real broker: what a run over topics tells, whatever is killed meanwhile. Called by `.ci/kafka`.
//!
//! `FENGHUO_KAFKA_KILLS` (default 20) and `FENGHUO_KAFKA_BOUNCES` (3) say how often the engine and the broker are killed,
//! `FENGHUO_KAFKA_EVENTS` (20000) how many records there are.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "measures and kills real processes, and says what it saw"
)]

/// What is told beside warnings.
mod beside;
/// A state that goes from one process to several.
mod carry;
mod cluster;
/// The readers of `fixtures/contracts`.
mod consumers;
/// Records that kill the process.
mod deadly;
#[path = "../it/mortal.rs"]
mod mortal;
mod feeds;
mod process;
/// TLS, names and passwords.
#[cfg(feature = "kafka-tls")]
mod secure;
/// Several processes.
mod shared;

use cluster::{Cluster, Read};
use feeds::{Engine, Province, fenghuo, succeed};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) const WARNINGS: &str = "fenghuo.warning.v1";
pub(crate) const DEAD: &str = "fenghuo.dlq.v1";

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn create_topics(config: &Path, replication: &str) {
    succeed(
        fenghuo()
            .args(["topics", "create", "--partitions", "4"])
            .args([
                "--replication",
                replication,
                "--config",
                config.to_str().unwrap(),
            ]),
    );
}

/// What of a message is the same as in an embedded run. Records of several partitions come in another order than from one file where
/// they are out of order by minutes, so at full speed the logical clock, and with it `generated_at` and `due`, can differ.
#[derive(Clone, Copy)]
enum Same {
    Bytes,
    Ids,
}

impl Same {
    fn of(self, message: &[u8]) -> String {
        match self {
            Self::Bytes => String::from_utf8_lossy(message).into_owned(),
            Self::Ids => {
                let value: serde_json::Value = serde_json::from_slice(message).unwrap();
                value["id"].as_str().unwrap_or_default().to_owned()
            }
        }
    }
}

/// Holds what the topic has against the lines of an embedded run; gives the number of duplicates.
fn compare(read: &[Read], lines: &[String], same: Same) -> usize {
    let subject_of = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        value["subject"].as_str().unwrap_or_default().to_owned()
    };
    let mut first: BTreeMap<&str, &[u8]> = BTreeMap::new();
    let mut order: BTreeMap<(&str, i32), Vec<&[u8]>> = BTreeMap::new();
    let mut duplicates = 0;
    for message in read {
        if let Some(before) = first.get(message.id()) {
            assert_eq!(
                *before,
                message.value,
                "id {} with two bodies",
                message.id()
            );
            duplicates += 1;
        } else {
            first.insert(message.id(), &message.value);
            order
                .entry((&message.key, message.partition))
                .or_default()
                .push(&message.value);
        }
    }
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        expected
            .entry(subject_of(line))
            .or_default()
            .push(same.of(line.as_bytes()));
    }
    assert_eq!(
        first.len(),
        lines.len(),
        "as many messages as the embedded run"
    );
    let keys: Vec<&str> = order.keys().map(|(key, _)| *key).collect();
    let subjects: Vec<&str> = expected.keys().map(String::as_str).collect();
    assert_eq!(keys, subjects, "each subject in one partition");
    for ((subject, _), told) in order {
        let told: Vec<_> = told.into_iter().map(|message| same.of(message)).collect();
        assert_eq!(
            told, expected[subject],
            "what is told of {subject}, in order"
        );
    }
    duplicates
}

#[test]
fn killed_engines_and_brokers_leave_the_same_warnings() {
    let kills = setting("FENGHUO_KAFKA_KILLS", 20);
    let bounces = setting("FENGHUO_KAFKA_BOUNCES", 3);
    let events = setting("FENGHUO_KAFKA_EVENTS", 20_000);
    let dir = tempfile::tempdir().unwrap();
    let mut province = Province::generate(&dir.path().join("province"), events / 10, events);
    province.ask_for_remarks();
    let (lines, _) = province.embedded();
    assert!(100 < lines.len(), "the province gives warnings");
    let cluster = Cluster::start(&dir.path().join("broker"), 1);
    let count: usize = province.publish(&cluster, 4).iter().sum();
    // Slow enough that every kill meets a run at work.
    let rate = (events / 9 / (kills + 1)).max(50);
    let config = province.configure(&cluster, &format!("rate_max = {rate}"));
    create_topics(&config, "1");
    let mut rng = ChaCha8Rng::seed_from_u64(setting("FENGHUO_KAFKA_SEED", 2026));
    let (mut killed, mut bounced, mut failed) = (0, 0, 0);
    while killed < kills || bounced < bounces {
        let engine = Engine::start(&config);
        let mut ended = engine.ends_within(Duration::from_millis(rng.random_range(50..2_000)));
        let is_turn = kills <= killed || rng.random_range(0..kills + bounces) < bounces;
        if ended.is_none() && bounced < bounces && is_turn {
            cluster.bounce(1);
            bounced += 1;
            ended = engine.ends_within(Duration::from_millis(rng.random_range(50..2_000)));
        }
        match ended {
            Some(output) if output.status.success() => {
                println!("the run was complete after {killed} kills");
                break;
            }
            // It began while the broker was away, and said so.
            Some(output) => {
                let error = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(
                    error.contains("the Kafka cluster cannot be asked"),
                    "{error}"
                );
                failed += 1;
            }
            None => {
                engine.kill();
                killed += 1;
            }
        }
    }
    let config = province.configure(&cluster, "");
    succeed(fenghuo().args(["run", "--until-end", "--config", config.to_str().unwrap()]));
    let duplicates = compare(&cluster.read(WARNINGS), &lines, Same::Bytes);
    beside::compare_remarks(&cluster, &province);
    println!(
        "{count} records, {killed} kills, {bounced} broker restarts, {failed} runs that ended by themselves: {} warnings, equal to the embedded run; {duplicates} duplicates",
        lines.len()
    );
}

#[test]
fn throughput_beside_the_embedded_run() {
    let events = setting("FENGHUO_KAFKA_SPEED_EVENTS", 100_000);
    let dir = tempfile::tempdir().unwrap();
    let province = Province::generate(&dir.path().join("province"), events / 10, events);
    let (lines, embedded_s) = province.embedded();
    let cluster = Cluster::start(&dir.path().join("broker"), 1);
    let count: usize = province.publish(&cluster, 4).iter().sum();
    let config = province.configure(&cluster, "");
    create_topics(&config, "1");
    let started = Instant::now();
    succeed(fenghuo().args(["run", "--until-end", "--config", config.to_str().unwrap()]));
    let kafka_s = started.elapsed().as_secs_f64();
    assert_eq!(
        compare(&cluster.read(WARNINGS), &lines, Same::Ids),
        0,
        "no duplicates without faults"
    );
    let rate = |seconds: f64| f64::from(u32::try_from(count).unwrap()) / seconds;
    println!(
        "{count} records, start and stop included: embedded {embedded_s:.1} s ({:.0}/s), through the broker {kafka_s:.1} s ({:.0}/s)",
        rate(embedded_s),
        rate(kafka_s)
    );
}

#[test]
fn bad_messages_become_dead_letters_and_expired_ones_stop_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let province = Province::generate(&dir.path().join("province"), 200, 2_000);
    let cluster = Cluster::start(&dir.path().join("broker"), 1);
    province.publish(&cluster, 2);
    let topic = "in.hotline-order";
    let at = cluster
        .read(topic)
        .iter()
        .filter(|read| read.partition == 1)
        .count();
    let bad = [
        None,
        Some(b"\xff\xfe poison".to_vec()),
        Some(vec![b'x'; 5_000_000]),
    ];
    cluster.produce(topic, &bad.map(|value| (1, value)));
    let config = province.configure(&cluster, "");
    let told = succeed(fenghuo().args([
        "topics",
        "create",
        "--dry-run",
        "--config",
        config.to_str().unwrap(),
    ]));
    assert!(told.contains("would make fenghuo.warning.v1"), "{told}");
    create_topics(&config, "1");
    succeed(fenghuo().args(["topics", "check", "--config", config.to_str().unwrap()]));
    succeed(fenghuo().args(["run", "--until-end", "--config", config.to_str().unwrap()]));
    let dead = cluster.read(DEAD);
    for (offset, code, length) in [
        (at, "bad_json", 0),
        (at + 1, "bad_encoding", 9),
        (at + 2, "too_long", 65_536),
    ] {
        let offset = offset.to_string();
        let is_it = |read: &&Read| {
            let header = |key: &str| read.headers.get(key).map(String::as_str);
            header("__streams.errors.topic") == Some(topic)
                && header("__streams.errors.partition") == Some("1")
                && header("__streams.errors.offset") == Some(&offset)
        };
        let found = dead.iter().find(is_it);
        let found = found.unwrap_or_else(|| {
            let told: Vec<_> = dead.iter().map(|read| &read.headers).collect();
            panic!("{at} messages before; none of offset {offset} among {told:#?}")
        });
        assert_eq!(found.headers["__streams.errors.exception"], code);
        assert_eq!(found.value.len(), length);
    }
    // Two more messages, of which the first is gone before it is read.
    cluster.produce(
        topic,
        &[(1, Some(b"{}".to_vec())), (1, Some(b"{}".to_vec()))],
    );
    cluster.expire(topic, 1, i64::try_from(at).unwrap() + 4);
    let output = fenghuo()
        .args(["run", "--until-end", "--config", config.to_str().unwrap()])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("data expired before it was read"), "{error}");
    let config = province.configure(&cluster, "when_expired = \"go-on\"");
    succeed(fenghuo().args(["run", "--until-end", "--config", config.to_str().unwrap()]));
    assert_eq!(cluster.read(DEAD).len(), dead.len() + 1);
}

#[test]
fn three_nodes_lose_their_leader_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let province = Province::generate(&dir.path().join("province"), 500, 5_000);
    let (lines, _) = province.embedded();
    let cluster = Cluster::start(&dir.path().join("broker"), 3);
    // Slow enough that the run is at work all the time.
    let config = province.configure(&cluster, "rate_max = 8");
    province.publish(&cluster, 3);
    create_topics(&config, "3");
    let engine = Engine::start(&config);
    for node in [1, 2, 3, 1, 2] {
        for step in [Cluster::end, Cluster::again] {
            if let Some(ended) = engine.ends_within(Duration::from_secs(1)) {
                let error = String::from_utf8_lossy(&ended.stderr);
                panic!("the run ended with {}: {error}", ended.status);
            }
            step(&cluster, node);
        }
    }
    engine.kill();
    let config = province.configure(&cluster, "");
    succeed(fenghuo().args(["run", "--until-end", "--config", config.to_str().unwrap()]));
    let duplicates = compare(&cluster.read(WARNINGS), &lines, Same::Bytes);
    println!(
        "three nodes, 5 killed in turn while the run was at work: {} warnings, equal to the embedded run; {duplicates} duplicates",
        lines.len()
    );
}

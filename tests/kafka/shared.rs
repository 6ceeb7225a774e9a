//! Several processes that share partitions: killed, frozen, robbed of their state.
//!
//! `FENGHUO_KAFKA_SHARED_KILLS` (default 6) says how often processes are killed, `FENGHUO_KAFKA_SHARED_BOUNCES` (3) how often the
//! broker is, `FENGHUO_KAFKA_EVENTS` how many records there are, `FENGHUO_KAFKA_SEED` in which order. The long form: 100 kills,
//! 1,000,000 records, 20 times the broker.

use crate::beside::compare_remarks;
use crate::cluster::{Cluster, SHORT, let_pass};
use crate::feeds::{Province, fenghuo, succeed};
use crate::process::Process;
use crate::{Same, WARNINGS, compare, setting};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SESSION_MS: u64 = 6_000;

/// A province, its embedded run, and its records in topics.
pub(crate) struct Trial {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) province: Province,
    pub(crate) lines: Vec<String>,
    pub(crate) cluster: Cluster,
    count: usize,
    /// Records of the largest feed.
    largest: usize,
    /// Where the doors of each process are.
    ports: BTreeMap<&'static str, u16>,
    /// How many followers configurations that are written from now on ask for.
    standby: std::cell::Cell<u32>,
}

/// A port on which nobody listens.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// As it stands in a path.
fn escaped(text: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b':';
    let escape = |byte: u8| match byte {
        byte if is_plain(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// A take-over: how long it took, ms, how long of that until the claim stood in the log and was read up to, and how many
/// records of the log were read for it.
#[derive(Debug, Clone, Copy)]
struct Took {
    ms: u64,
    log_ms: u64,
    records: u64,
}

/// The middle one and the one below which 99 of 100 are, ms.
fn quantiles(took: &[Took]) -> String {
    let of = |part: fn(&Took) -> u64| {
        let mut all: Vec<u64> = took.iter().map(part).collect();
        all.sort_unstable();
        let at = |percent: usize| {
            let place = (all.len() * percent / 100).min(all.len().saturating_sub(1));
            all.get(place).copied().unwrap_or(0)
        };
        format!("p50 {} ms, p99 {} ms", at(50), at(99))
    };
    format!(
        "{} take-overs, {}, of that the log {}",
        took.len(),
        of(|took| took.ms),
        of(|took| took.log_ms)
    )
}

impl Trial {
    pub(crate) fn new(events: u64) -> Self {
        Self::over(events, |province| province.embedded().0)
    }

    /// A trial whose outcome `expected` works out.
    pub(crate) fn over(events: u64, expected: impl FnOnce(&Province) -> Vec<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut province = Province::generate(&dir.path().join("province"), events / 10, events);
        province.ask_for_remarks();
        // Rules about regions and departments need one process that sees everything.
        for line in ["region", "department"] {
            std::fs::remove_dir_all(province.dir.join("rules").join(line)).unwrap();
        }
        let lines = expected(&province);
        assert!(100 < lines.len(), "the province gives warnings");
        let cluster = Cluster::start(&dir.path().join("broker"), 1);
        // One partition a feed, so that its records come as they stand in its file, to the minute, however many there are; what
        // several partitions of a feed do to their order is no matter of this suite.
        let counts = province.publish(&cluster, 1);
        let trial = Self {
            dir,
            province,
            lines,
            cluster,
            count: counts.iter().sum(),
            largest: counts.into_iter().max().unwrap(),
            ports: ["a", "b", "i"].map(|name| (name, free_port())).into(),
            standby: std::cell::Cell::new(1),
        };
        let config = trial.config("a", "");
        let create = [
            "topics",
            "create",
            "--partitions",
            "8",
            "--replication",
            "1",
        ];
        let config = config.to_str().unwrap();
        succeed(fenghuo().args(create).args(["--config", config]));
        succeed(fenghuo().args(["topics", "check", "--config", config]));
        trial
    }

    pub(crate) fn config(&self, instance: &str, more: &str) -> PathBuf {
        let (standby, port) = (self.standby.get(), self.ports[instance]);
        let cluster = format!(
            "[cluster]\ninstance = \"{instance}\"\nsession_timeout_ms = {SESSION_MS}\nstandby = {standby}\ncopy_after_kb = 512\n[http]\nlisten = \"127.0.0.1:{port}\"\n[audit]\npath = \"audit-{instance}.jsonl\"\n"
        );
        self.province
            .configure_as(&self.cluster, instance, (&cluster, more))
    }

    fn log(&self, instance: &str) -> PathBuf {
        self.dir.path().join(format!("{instance}.log"))
    }

    pub(crate) fn start(&self, instance: &str, role: &str, more: &str) -> Process {
        Process::start(&self.config(instance, more), role, &self.log(instance))
    }

    /// For the sources: slow enough that the largest feed lasts so many seconds, so that what happens meanwhile meets work.
    pub(crate) fn lasting(&self, seconds: u64) -> String {
        let rate = u64::try_from(self.largest).unwrap() / seconds;
        format!("rate_max = {}", rate.max(20))
    }

    /// How long everything may take when nothing disturbs it.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_mins(3) + Duration::from_millis(u64::try_from(self.count).unwrap())
    }

    /// Waits until every expected warning is in the topic; how many messages there are.
    pub(crate) fn await_all(&self, limit: Duration, processes: &mut [Option<Process>]) {
        let started = Instant::now();
        loop {
            let read = self.cluster.read(WARNINGS);
            let ids: std::collections::BTreeSet<&str> =
                read.iter().map(super::cluster::Read::id).collect();
            if self.lines.len() <= ids.len() {
                return;
            }
            for process in processes.iter_mut().flatten() {
                assert!(process.is_running(), "a process has ended: {}", self.tail());
            }
            assert!(
                started.elapsed() < limit,
                "{} of {} warnings after {limit:?}: {}",
                ids.len(),
                self.lines.len(),
                self.tail()
            );
            let_pass(Duration::from_secs(1));
        }
    }

    /// The last lines of the logs, for who has to find out.
    fn tail(&self) -> String {
        let mut tail = String::new();
        for instance in ["a", "b"] {
            let text = std::fs::read_to_string(self.log(instance)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(12)..];
            let _ = write!(tail, "\n--- {instance}\n{}", last.join("\n"));
        }
        tail
    }

    /// What a process has logged under a message, in order.
    fn logged(&self, instance: &str, message: &str) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.log(instance)).unwrap_or_default();
        let fields = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).ok()?;
            let fields = value.get("fields").unwrap_or(&value).clone();
            (fields["message"] == message).then_some(fields)
        };
        text.lines().filter_map(fields).collect()
    }

    /// What the doors of a process answer: status and body.
    fn ask(&self, instance: &str, path: &str) -> (u16, String) {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.ports[instance])).unwrap();
        stream.set_read_timeout(Some(SHORT)).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, body.to_owned())
    }

    /// What a process shows of a metric.
    fn shown(&self, instance: &str, series: &str) -> u64 {
        let (_, text) = self.ask(instance, "/metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(series));
        value.unwrap_or("0").trim().parse().unwrap()
    }

    /// Of two processes that share the partitions, the one that owns a subject tells of it, the other one says so.
    fn look_through_doors(&self, standby: u32) {
        let of = |name: &str, role: &str| {
            self.shown(
                name,
                &format!("fenghuo_cluster_partitions{{role=\"{role}\"}}"),
            )
        };
        assert_eq!((of("a", "engine"), of("b", "engine")), (4, 4));
        let followed = of("a", "standby") + of("b", "standby");
        assert_eq!(followed > 0, 0 < standby, "{followed} followed");
        for line in self.lines.iter().take(30) {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let path = format!(
                "/api/v1/subjects/{}",
                escaped(value["subject"].as_str().unwrap())
            );
            let mut answers = ["a", "b"].map(|name| self.ask(name, &path));
            answers.sort();
            let [(here, told), (there, said)] = answers;
            assert_eq!((here, there), (200, 421), "{told} {said}");
            assert!(said.contains("in partition"), "{said}");
        }
    }

    fn take_overs(&self, instance: &str) -> Vec<Took> {
        let logged = self.logged(instance, "partition taken over");
        let took = |fields: &serde_json::Value| Took {
            ms: fields["took_ms"].as_u64().unwrap(),
            log_ms: fields["log_ms"].as_u64().unwrap(),
            records: fields["records"].as_u64().unwrap(),
        };
        logged.iter().map(took).collect()
    }

    /// Waits until a process has logged a message so often.
    fn await_logged(&self, instance: &str, (message, count): (&str, usize)) {
        let started = Instant::now();
        while self.logged(instance, message).len() < count {
            let limit = Duration::from_mins(1);
            let tail = || self.tail();
            assert!(
                started.elapsed() < limit,
                "{instance} does not say \"{message}\" {count} times: {}",
                tail()
            );
            let_pass(Duration::from_millis(200));
        }
    }

    pub(crate) fn report(&self, what: &str) {
        let read = self.cluster.read(WARNINGS);
        let duplicates = compare(&read, &self.lines, Same::Bytes);
        compare_remarks(&self.cluster, &self.province);
        let took = ["a", "b"].iter().flat_map(|name| self.take_overs(name));
        let took: Vec<Took> = took.collect();
        println!(
            "{} records, {what}: {} warnings, equal to the embedded run, {duplicates} duplicates; {}",
            self.count,
            self.lines.len(),
            quantiles(&took)
        );
    }
}

#[test]
fn shared_partitions_survive_kills_of_either_and_of_both() {
    let kills = setting("FENGHUO_KAFKA_SHARED_KILLS", 6);
    let events = setting("FENGHUO_KAFKA_EVENTS", 20_000);
    let trial = Trial::new(events);
    let mut rng = ChaCha8Rng::seed_from_u64(setting("FENGHUO_KAFKA_SEED", 2026));
    let slow = trial.lasting(5 * (kills + 1));
    let names = ["a", "b"];
    let mut processes = names.map(|name| Some(trial.start(name, "all", &slow)));
    let mut killed = 0;
    while killed < kills {
        let_pass(Duration::from_millis(rng.random_range(500..6_000)));
        let first = rng.random_range(0..2_usize);
        let both = rng.random_range(0..4) == 0;
        for at in if both { vec![0, 1] } else { vec![first] } {
            let process = processes[at].take().unwrap();
            process.kill();
            killed += 1;
        }
        // Sometimes the others have taken over before it is back.
        if rng.random_range(0..3) == 0 {
            let away_ms = rng.random_range(0..2 * SESSION_MS);
            let_pass(Duration::from_millis(away_ms));
        }
        for (at, name) in names.iter().enumerate() {
            if processes[at].is_none() {
                processes[at] = Some(trial.start(name, "all", &slow));
            }
        }
    }
    for process in &mut processes {
        process.take().unwrap().stop();
    }
    let told = trial.cluster.read(WARNINGS).len();
    println!("after {killed} kills {told} messages about warnings were told");
    let mut processes = names.map(|name| Some(trial.start(name, "all", "")));
    trial.await_all(trial.limit(), &mut processes);
    for process in &mut processes {
        process.take().unwrap().stop();
    }
    trial.report(&format!("{killed} kills"));
}

#[test]
fn shared_partitions_survive_a_broker_that_is_killed() {
    let bounces = setting("FENGHUO_KAFKA_SHARED_BOUNCES", 3);
    let trial = Trial::new(setting("FENGHUO_KAFKA_EVENTS", 20_000));
    let mut rng = ChaCha8Rng::seed_from_u64(setting("FENGHUO_KAFKA_SEED", 2026));
    let slow = trial.lasting(10 * (bounces + 1));
    let mut processes = ["a", "b"].map(|name| Some(trial.start(name, "all", &slow)));
    for _ in 0..bounces {
        let_pass(Duration::from_millis(rng.random_range(4_000..12_000)));
        trial.cluster.end(1);
        // Some are away for longer than the session.
        let_pass(Duration::from_millis(rng.random_range(0..2 * SESSION_MS)));
        trial.cluster.again(1);
    }
    // The same processes: none has ended, none hangs.
    trial.await_all(trial.limit(), &mut processes);
    for process in &mut processes {
        process.take().unwrap().stop();
    }
    trial.report(&format!("the broker killed {bounces} times"));
}

#[test]
fn shared_partitions_of_two_processes_with_one_name_are_left_to_one_of_them() {
    let trial = Trial::new(setting("FENGHUO_KAFKA_EVENTS", 20_000));
    let slow = trial.lasting(30);
    let first = trial.start("a", "all", &slow);
    let config = trial.config("b", &slow);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("instance = \"b\"", "instance = \"a\""),
    )
    .unwrap();
    let second = Process::start(&config, "all", &trial.log("b"));
    let mut both = [("a", first), ("b", second)];
    let started = Instant::now();
    let ended = loop {
        let mut gone = both.iter_mut().filter_map(|(name, process)| {
            let is_gone = !process.is_running();
            is_gone.then_some(*name)
        });
        if let Some(name) = gone.next() {
            break name;
        }
        assert!(
            started.elapsed() < Duration::from_mins(2),
            "{}",
            trial.tail()
        );
        let_pass(Duration::from_millis(200));
    };
    let said = std::fs::read_to_string(trial.log(ended)).unwrap();
    assert!(said.contains("another process runs as"), "{said}");
    let left = both.into_iter().find(|(name, _)| *name != ended);
    let mut left = [left.map(|(_, process)| process)];
    trial.await_all(trial.limit(), &mut left);
    for process in &mut left {
        process.take().unwrap().stop();
    }
    trial.report("two processes with one name");
}

#[test]
fn shared_partitions_of_a_frozen_owner_go_to_the_other_and_its_word_counts_no_more() {
    let trial = Trial::new(setting("FENGHUO_KAFKA_EVENTS", 20_000));
    let ingest = trial.start("i", "ingest", &trial.lasting(40));
    let mut a = trial.start("a", "engine", "");
    let b = trial.start("b", "engine", "");
    for _ in 0..2 {
        let_pass(Duration::from_secs(5));
        a.signal("STOP");
        let_pass(Duration::from_millis(2 * SESSION_MS));
        a.signal("CONT");
    }
    let_pass(Duration::from_secs(5));
    if !a.is_running() {
        // Who was away for longer than the session may also end with a message, and is started again.
        a = trial.start("a", "engine", "");
    }
    ingest.stop();
    let mut all = [Some(trial.start("i", "ingest", "")), Some(a), Some(b)];
    trial.await_all(trial.limit(), &mut all);
    for process in &mut all {
        process.take().unwrap().stop();
    }
    trial.report("an owner frozen twice");
}

#[test]
fn shared_partitions_are_made_again_when_the_state_is_deleted() {
    let trial = Trial::new(setting("FENGHUO_KAFKA_EVENTS", 20_000));
    let mut processes = [Some(trial.start("a", "all", ""))];
    trial.await_all(trial.limit(), &mut processes);
    for process in &mut processes {
        process.take().unwrap().stop();
    }
    let state = trial.province.dir.join("state-a");
    let roots = || -> Vec<String> {
        let verify = |partition: usize| {
            let dir = state.join(format!("p{partition}"));
            let mut command = fenghuo();
            command.args(["--format", "json", "state", "verify", "--state"]);
            let shown = succeed(command.arg(dir));
            let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
            value["root"].as_str().unwrap().to_owned()
        };
        (0..8).map(verify).collect()
    };
    let before = (roots(), trial.cluster.read(WARNINGS).len());
    std::fs::remove_dir_all(&state).unwrap();
    let config = trial.config("a", "");
    let rebuilt = succeed(
        fenghuo()
            .args(["state", "rebuild", "--config"])
            .arg(&config),
    );
    println!("{rebuilt}");
    assert_eq!(roots(), before.0, "the same roots");
    std::fs::remove_dir_all(&state).unwrap();
    succeed(
        fenghuo()
            .args(["run", "--until-end", "--config"])
            .arg(&config),
    );
    let after = trial.cluster.read(WARNINGS).len();
    assert_eq!(after, before.1, "nothing is told again");
    trial.report("state deleted twice");
}

#[test]
fn shared_partitions_are_taken_over_by_who_stands_by_without_reading_their_logs() {
    let trial = Trial::new(setting("FENGHUO_KAFKA_EVENTS", 20_000));
    // Who runs in the first round follows nobody, whenever it is looked at.
    trial.standby.set(0);
    let mut running = trial.start("a", "engine", "");
    let mut all = [Some(trial.start("i", "ingest", "")), None];
    trial.await_all(trial.limit(), &mut all);
    let mut rounds = Vec::new();
    for (standby, stays) in [(0, "b"), (1, "a")] {
        trial.standby.set(standby);
        let state = trial.province.dir.join(format!("state-{stays}"));
        if state.exists() {
            std::fs::remove_dir_all(state).unwrap();
        }
        let before = trial.take_overs(stays).len();
        let other = trial.start(stays, "engine", "");
        trial.await_logged(stays, ("partition taken over", before + 4));
        if 0 < standby {
            trial.await_logged(stays, ("followed to the end", 4));
        }
        trial.look_through_doors(standby);
        running.kill();
        let killed = Instant::now();
        trial.await_logged(stays, ("partition taken over", before + 8));
        println!(
            "standby = {standby}: all taken over {} ms after the kill, the session being {SESSION_MS} ms",
            killed.elapsed().as_millis()
        );
        rounds.push(trial.take_overs(stays).split_off(before + 4));
        running = other;
    }
    running.stop();
    let (without, with) = (rounds.remove(0), rounds.remove(0));
    let records = |round: &[Took]| round.iter().map(|took| took.records).sum::<u64>();
    println!(
        "without standby: {}, {} records read; with: {}, {} records read",
        quantiles(&without),
        records(&without),
        quantiles(&with),
        records(&with)
    );
    // Its own claims are all that is new.
    assert!(
        records(&with) <= 8 && 8 < records(&without),
        "{with:?} {without:?}"
    );
    trial.report("taken over twice");
}

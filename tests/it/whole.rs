//! Whole runs over a generated province: the books balance, runs are alike, shards make no difference, looking works.

use crate::province::{Package, fenghuo};
use fenghuo::engine::province::Province;
use fenghuo::runtime::assembly::{Parts, job, personal_key};
use fenghuo::runtime::clock::Clock;
use fenghuo::runtime::config::Config;
use fenghuo::runtime::pipeline::Stepped;
use fenghuo::runtime::recover::recover;
use fenghuo::runtime::run::{Watch, run};
use fenghuo::runtime::store::DiskStore;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn json(text: &[u8]) -> serde_json::Value {
    serde_json::from_slice(text).unwrap()
}

#[test]
fn the_books_balance_and_every_run_is_alike() {
    let package = Package::generate(150, 3_000, 11);
    let output = fenghuo()
        .args(["--format", "json", "run", "--until-end", "--config"])
        .arg(package.path("fenghuo.toml"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Feedback on warnings that are not there, as departments send it, is in the log with its reason.
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        log.contains("没有编号为“GJ") && log.contains("a feedback was refused"),
        "{log}"
    );
    let summary = json(&output.stdout);
    let mut read = 0;
    for (connector, account) in summary["accounts"].as_object().unwrap() {
        let count = |name: &str| account[name].as_u64().unwrap();
        let refused: u64 = account["refused"]
            .as_object()
            .unwrap()
            .values()
            .map(|v| v.as_u64().unwrap())
            .sum();
        let sum = count("applied") + count("duplicates") + count("stale") + refused;
        assert_eq!(count("read"), sum, "{connector}");
        read += count("read");
    }
    assert_eq!(read, 3_000);
    let first = crate::province::Outputs::of(&package.path("out"));
    package.reset();
    first.assert_same(&package.run(), "a second run");
    for shards in ["1", "2", "8"] {
        package.reset();
        let now = std::fs::read_to_string(package.path("fenghuo.toml")).unwrap();
        let line = now.lines().find(|line| line.starts_with("shards")).unwrap();
        package.set(line, &format!("shards = {shards}"));
        first.assert_same(&package.run(), &format!("{shards} shards"));
    }
    // Nearly every firm is packed in memory whenever nothing happens to it.
    package.reset();
    package.set("warm_subjects_max = 200", "warm_subjects_max = 1");
    first.assert_same(&package.run(), "firms at rest, put away");
    package.reset();
    package.set(
        "warm_subjects_max = 1",
        "warm_subjects_max = 1\nresting_on_disk = false",
    );
    first.assert_same(&package.run(), "firms at rest, in memory");
    package.reset();
    package.set("warm_subjects_max = 1\n", "warm_subjects_max = 1000000\n");
    first.assert_same(&package.run(), "no firm at rest");
}

#[test]
fn officers_answer_the_warnings_of_the_demo() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("demo");
    let run = fenghuo()
        .args(["demo", "--subjects", "800", "--events", "8000", "--out"])
        .arg(&out)
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert!(!out.join("rehearsal").exists() && !out.join("rehearsal.toml").exists());
    let report = fenghuo()
        .args(["--format", "json", "report", "evaluation", "--state"])
        .arg(out.join("state"))
        .output()
        .unwrap();
    let report = json(&report.stdout);
    let total = &report["total"];
    let share = |of: &str| total[of].as_f64().unwrap();
    assert!(10 <= total["cases"].as_u64().unwrap(), "{total}");
    assert!(0.75 < share("claimed_share"), "{total}");
    assert!(
        0.5 < share("on_time_share") && 0.3 < share("confirmed_share"),
        "{total}"
    );
    // What officers find out changes a little of what is warned of afterwards.
    let tasks = std::fs::read_to_string(out.join("out/tasks.jsonl")).unwrap();
    let acts = std::fs::read_to_string(out.join("action.jsonl")).unwrap();
    let unknown = tasks.matches("没有编号为").count();
    assert!(
        20 * unknown < acts.lines().count(),
        "{unknown} acts on warnings that are not there"
    );
    let frequency = &report["inspection_frequency"];
    assert_eq!(frequency["standard"]["rule"], "JC-006");
    let share = frequency["total"]["compliant_share"].as_f64().unwrap();
    assert!((0.5..=1.0).contains(&share), "{frequency}");
}

#[test]
fn state_can_be_looked_at_checked_and_carried() {
    let package = Package::generate(150, 3_000, 12);
    package.run();
    let state = package.path("state").display().to_string();
    let ok = |args: &[&str]| {
        let output = fenghuo().args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{args:?}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    };
    let verified = json(ok(&["--format", "json", "state", "verify", "--state", &state]).as_bytes());
    let list = json(
        ok(&[
            "--format", "json", "warning", "list", "--all", "--limit", "3", "--state", &state,
        ])
        .as_bytes(),
    );
    let warning = &list["warnings"][0];
    let id = warning["warning_id"].as_str().unwrap();
    let shown = json(
        ok(&[
            "--format",
            "json",
            "warning",
            "show",
            &id[..16],
            "--state",
            &state,
        ])
        .as_bytes(),
    );
    assert_eq!(&shown, warning);
    let subject = warning["subject"].as_str().unwrap();
    assert!(ok(&["state", "show", subject, "--state", &state]).contains(subject));
    let copy = package.path("state.export").display().to_string();
    let other = package.path("other").display().to_string();
    ok(&["state", "export", "--state", &state, &copy]);
    ok(&["state", "import", "--state", &other, &copy]);
    let again = json(ok(&["--format", "json", "state", "verify", "--state", &other]).as_bytes());
    assert_eq!(verified, again);
    let letters = package.path("out/dead-letters.jsonl").display().to_string();
    let dead = json(ok(&["--format", "json", "dlq", "list", "--file", &letters]).as_bytes());
    assert!(0 < dead["total"].as_u64().unwrap());
}

#[test]
fn the_true_bad_actors_are_found() {
    let package = Package::generate(400, 12_000, 13);
    let outputs = package.run();
    let truth = std::fs::read_to_string(package.path("truth.csv")).unwrap();
    let mut by_scenario: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for row in truth.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let found = outputs.files[0].contains(&format!("\"subject\":\"{}\"", cells[0]));
        let entry = by_scenario.entry(cells[1].to_owned()).or_default();
        entry.0 += 1;
        entry.1 += u32::from(found);
    }
    let (all, found) = by_scenario
        .values()
        .fold((0, 0), |(a, f), (x, y)| (a + x, f + y));
    assert!(
        0 < all && all <= found * 2,
        "at least half of the known bad actors are warned of: {by_scenario:?}"
    );
}

#[test]
fn a_second_process_on_the_same_state_is_refused() {
    let package = Package::generate(50, 500, 14);
    package.run();
    let _held = DiskStore::open(package.path("state")).unwrap();
    let output = package.start().wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("in use by another process"), "{said}");
}

#[test]
fn images_do_not_pile_up_over_a_long_run() {
    use fenghuo::runtime::journal::{pack_images, read_chunks};
    let package = Package::generate(400, 12_000, 15);
    package.run();
    let store = DiskStore::open(package.path("state")).unwrap();
    let (mut kept, mut runs) = (0, 0);
    read_chunks(&store, b'g', &mut |number, bytes| {
        kept += bytes.len();
        runs = runs.max(number);
        Ok(())
    })
    .unwrap();
    let recovered = recover(&store, usize::MAX).unwrap().unwrap();
    let shards = recovered.province.shards().iter();
    let all = pack_images(
        shards.flat_map(fenghuo::engine::shard::Shard::subjects),
        &mut Vec::new(),
    )
    .len();
    assert!(60 < runs, "images were written often: {runs} blocks");
    // The last images of all, twice as much of what changed since, and a run that is being written.
    assert!(
        kept < all * 5,
        "{kept} bytes of images for {all} bytes of state"
    );
}

/// Tells the run to stop after so many records.
struct Stopper<'s> {
    after: u64,
    taken: AtomicU64,
    stop: &'s AtomicBool,
}

impl Watch for Stopper<'_> {
    fn stepped(&self, _: &Province, stepped: &Stepped) {
        let records = u64::try_from(stepped.records).unwrap();
        let taken = self.taken.fetch_add(records, Ordering::AcqRel) + records;
        self.stop.store(self.after <= taken, Ordering::Release);
    }
}

#[test]
fn a_run_that_is_told_to_stop_leaves_no_journal_to_step_over() {
    let package = Package::generate(150, 3_000, 16);
    let expected = package.run();
    package.reset();
    // So long that no images are written before.
    package.set("checkpoint_journal_kb = 32", "checkpoint_journal_kb = 4096");
    let config = Config::load(&package.path("fenghuo.toml")).unwrap();
    let (directory, stop) = (package.dir.path(), AtomicBool::new(false));
    for after in [1_000, 1_300] {
        stop.store(false, Ordering::Release);
        let parts = Parts::of(&config).unwrap();
        let key = personal_key(&config, &parts).unwrap();
        let job = job(&config, parts, &key, (directory, true, &Clock::System)).unwrap();
        let stopper = Stopper {
            after,
            taken: AtomicU64::new(0),
            stop: &stop,
        };
        run(job, &stop, &stopper).unwrap();
        assert!(stop.load(Ordering::Acquire), "it was not at the end yet");
        let store = DiskStore::open(&config.engine.state).unwrap();
        let recovered = recover(&store, usize::MAX).unwrap().unwrap();
        assert_eq!(recovered.replayed, 0);
        assert!(1_000 < recovered.head.commit * 64, "it was at work");
    }
    let rest = package.run();
    expected.assert_same(&rest, "stopped twice");
}

//! Subjects at rest that are lost end the run, and cost nothing: the state knows nothing of where they were.

use crate::province::Package;
use fenghuo::engine::province::Province;
use fenghuo::runtime::assembly::{Parts, job, personal_key};
use fenghuo::runtime::clock::Clock;
use fenghuo::runtime::config::Config;
use fenghuo::runtime::pipeline::Stepped;
use fenghuo::runtime::run::{Durable, RunError, Watch, run};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Records of a batch in the packages of these tests.
const BATCH: usize = 64;

/// The file of this run that has no name.
fn without_name(directory: &Path) -> PathBuf {
    let name = format!("{} (deleted)", directory.join("state/resting").display());
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut open = open.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let is_it = |path: &PathBuf| {
        std::fs::read_link(path).is_ok_and(|target| target.as_os_str() == name.as_str())
    };
    open.find(is_it).expect("subjects at rest are in a file")
}

/// Empties the file after so many records.
struct Thief<'s> {
    directory: &'s Path,
    left: Mutex<Option<usize>>,
    stepped: AtomicUsize,
    durable: AtomicUsize,
}

impl Watch for Thief<'_> {
    fn stepped(&self, province: &Province, stepped: &Stepped) {
        self.stepped.fetch_add(stepped.records, Ordering::AcqRel);
        let mut left = self.left.lock().unwrap();
        let Some(records) = *left else {
            return;
        };
        *left = records.checked_sub(stepped.records);
        if left.is_none() {
            let resting = province.resting();
            assert!(100 < resting.away && resting.here == 0, "{resting:?}");
            let file = without_name(self.directory);
            let file = OpenOptions::new().write(true).open(file).unwrap();
            file.set_len(0).unwrap();
        }
    }

    fn durable(&self, durable: &Durable) {
        self.durable.fetch_add(durable.records, Ordering::AcqRel);
    }
}

#[test]
fn what_is_lost_ends_the_run_and_the_next_goes_on() {
    let package = Package::generate(150, 3_000, 17);
    package.set("warm_subjects_max = 200", "warm_subjects_max = 1");
    let expected = package.run();
    package.reset();
    let directory = package.dir.path();
    let config = Config::load(&package.path("fenghuo.toml")).unwrap();
    // At the second start what was there is put away by the recovery.
    for after in [1_500, 200] {
        let parts = Parts::of(&config).unwrap();
        let key = personal_key(&config, &parts).unwrap();
        let job = job(&config, parts, &key, (directory, true, &Clock::System)).unwrap();
        let thief = Thief {
            directory,
            left: Mutex::new(Some(after)),
            stepped: AtomicUsize::new(0),
            durable: AtomicUsize::new(0),
        };
        let ended = run(job, &AtomicBool::new(false), &thief);
        let error = match ended {
            Err(RunError::Spill(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(error.path, package.path("state/resting"));
        assert!(error.to_string().contains("state/resting\""), "{error}");
        // What was complete before is durable, but for a batch with which images were to be made; nothing was done after.
        let stepped = thief.stepped.load(Ordering::Acquire);
        assert!((after..after + 65).contains(&stepped), "{stepped} records");
        let durable = thief.durable.load(Ordering::Acquire);
        assert!(
            [stepped, stepped - BATCH].contains(&durable),
            "{durable} of {stepped}"
        );
        // No record is blamed for it.
        let attempt = std::fs::read_to_string(package.path("state/attempt.json")).unwrap();
        assert_eq!(attempt.trim(), "null");
        assert!(!package.path("state/doubt.json").exists());
    }
    let rest = package.run();
    expected.assert_same(&rest, "ended twice");
}

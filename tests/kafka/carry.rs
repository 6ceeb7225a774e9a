//! The state of one process that reads topics is carried into a cluster, which goes on where it stopped.

use crate::cluster::let_pass;
use crate::feeds::{fenghuo, succeed};
use crate::process::Process;
use crate::shared::Trial;
use crate::{WARNINGS, setting};
use std::time::{Duration, Instant};

#[test]
fn shared_partitions_go_on_from_the_state_of_one_process() {
    let trial = Trial::new(setting("FENGHUO_KAFKA_EVENTS", 20_000));
    let slow = trial.lasting(20);
    let alone = trial
        .province
        .configure_as(&trial.cluster, "alone", ("", &slow));
    let log = trial.dir.path().join("alone.log");
    let mut process = Process::start(&alone, "all", &log);
    let started = Instant::now();
    let told = || trial.cluster.read(WARNINGS).len();
    while told() < trial.lines.len() / 3 {
        assert!(
            process.is_running(),
            "{}",
            std::fs::read_to_string(&log).unwrap()
        );
        assert!(started.elapsed() < trial.limit(), "too few warnings");
        let_pass(Duration::from_millis(500));
    }
    process.stop();
    let before = told();
    assert!(before < trial.lines.len(), "it was not at the end yet");
    let file = trial.dir.path().join("state.export");
    let (file, state) = (
        file.to_str().unwrap(),
        trial.province.dir.join("state-alone"),
    );
    let state = state.to_str().unwrap();
    succeed(fenghuo().args(["state", "export", "--state", state, file]));
    let config = trial.config("a", "");
    let config = config.to_str().unwrap();
    let import = ["state", "import", "--config", config, file];
    println!("{}", succeed(fenghuo().args(import)));
    // Nothing is put over a state that is there.
    let again = fenghuo().args(import).output().unwrap();
    assert_eq!(again.status.code(), Some(3));
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(said.contains("has a state already"), "{said}");
    let mut processes = ["a", "b"].map(|name| Some(trial.start(name, "all", "")));
    trial.await_all(trial.limit(), &mut processes);
    processes.into_iter().flatten().for_each(Process::stop);
    trial.report(&format!(
        "{before} messages by one process, the others by two"
    ));
}

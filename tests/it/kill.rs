//! A run that is killed again and again, start-up included, ends with the same files as one left in peace.
//!
//! `FENGHUO_KILLS` says how often (a few in `cargo test`, 200 in `.ci/run`), `FENGHUO_KILL_SEED` when.

use crate::province::{Outputs, Package};
use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().unwrap())
}

/// Waits for the child so long, then kills it; whether it ended by itself.
fn ends_within(mut child: Child, limit: Duration) -> bool {
    let id = child.id();
    let (sender, receiver) = channel();
    let stderr = child.stderr.take();
    let waiter = std::thread::spawn(move || {
        let status = child.wait().unwrap();
        // The test may have stopped listening.
        let _ = sender.send(status);
        status
    });
    match receiver.recv_timeout(limit) {
        Ok(status) => {
            let text = stderr
                .map(|s| std::io::read_to_string(s).unwrap())
                .unwrap_or_default();
            assert!(
                status.success(),
                "a run failed instead of being killed: {text}"
            );
            true
        }
        Err(RecvTimeoutError::Timeout) => {
            let killed = std::process::Command::new("kill")
                .args(["-9", &id.to_string()])
                .status()
                .unwrap();
            let status = waiter.join().unwrap();
            // It may have ended between the two.
            status.success() && !killed.success()
        }
        Err(RecvTimeoutError::Disconnected) => panic!("nobody waited for the run"),
    }
}

#[test]
fn a_run_that_is_killed_at_any_moment_leaves_the_same_files() {
    let kills = setting("FENGHUO_KILLS", 6);
    let seed = setting("FENGHUO_KILL_SEED", 2026);
    let package = Package::generate(120, 2_500, 7);
    let expected = package.run();
    assert!(!expected.files[0].is_empty(), "the province gives warnings");
    package.reset();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut done, mut whole) = (0, 0);
    // At least one run has to be completed after the kills.
    while done < kills || whole == 0 {
        let most = if done < kills { 400 } else { 600_000 };
        let limit = Duration::from_millis(rng.random_range(1..=most));
        if ends_within(package.start(), limit) {
            whole += 1;
            let name = format!("seed {seed}, after {done} kills");
            expected.assert_same(&Outputs::of(&package.path("out")), &name);
            package.reset();
        } else {
            done += 1;
        }
    }
}

//! A process of a cluster at work, which a test kills, stops and freezes.

use crate::cluster::{SHORT, let_pass};
use crate::feeds::fenghuo;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process of the cluster; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn start(config: &Path, role: &str, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let child = fenghuo()
            .env("FENGHUO_LOG", "info")
            .args(["run", "--role", role, "--config", config.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let signal = format!("-{name}");
        let status = Command::new("kill").args([&signal, &id]).status().unwrap();
        assert!(status.success(), "kill {signal} {id}");
    }

    pub(crate) fn kill(mut self) {
        self.signal("KILL");
        self.child.wait().unwrap();
    }

    /// SIGTERM, and an end by itself.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        let started = Instant::now();
        while started.elapsed() < SHORT {
            if let Some(status) = self.child.try_wait().unwrap() {
                // One that has just been started may not listen yet.
                let is_fine = status.success() || status.signal() == Some(15);
                assert!(is_fine, "{status}");
                return;
            }
            let_pass(Duration::from_millis(50));
        }
        panic!("a process does not end when it is told to");
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

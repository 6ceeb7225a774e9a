//! The real command over a generated province: what suites about whole runs share.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A generated province in a directory of its own.
pub(crate) struct Package {
    /// The directory; it goes with this value.
    pub dir: tempfile::TempDir,
}

/// The command under test.
pub(crate) fn fenghuo() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fenghuo"))
}

impl Package {
    /// Generates a province whose run commits often and writes images often.
    pub(crate) fn generate(subjects: u64, events: u64, seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let status = fenghuo()
            .args([
                "generate",
                "--subjects",
                &subjects.to_string(),
                "--events",
                &events.to_string(),
            ])
            .args(["--seed", &seed.to_string(), "--out"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let package = Self { dir };
        package.set(
            "shards = 8",
            "shards = 4\ncommit_events_max = 64\ncheckpoint_journal_kb = 32\nwarm_subjects_max = 200",
        );
        package
    }

    /// A file of the package.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Changes a line of the configuration.
    pub(crate) fn set(&self, from: &str, to: &str) {
        let path = self.path("fenghuo.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Forgets state and outputs.
    pub(crate) fn reset(&self) {
        for name in ["state", "out"] {
            if self.path(name).exists() {
                std::fs::remove_dir_all(self.path(name)).unwrap();
            }
        }
    }

    /// Starts a run.
    pub(crate) fn start(&self) -> Child {
        fenghuo()
            .args(["run", "--until-end", "--config"])
            .arg(self.path("fenghuo.toml"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs to the end and gives what left.
    pub(crate) fn run(&self) -> Outputs {
        let output = self.start().wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Outputs::of(&self.path("out"))
    }
}

/// The files that a run leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outputs {
    /// Warnings, sanctions, dead letters.
    pub files: Vec<String>,
}

impl Outputs {
    /// Reads them.
    pub(crate) fn of(dir: &Path) -> Self {
        let names = ["warnings.jsonl", "sanctions.jsonl", "dead-letters.jsonl"];
        Self {
            files: names
                .map(|name| std::fs::read_to_string(dir.join(name)).unwrap_or_default())
                .into(),
        }
    }

    /// Says where two differ first.
    pub(crate) fn assert_same(&self, other: &Self, what: &str) {
        for (mine, theirs) in self.files.iter().zip(&other.files) {
            for (number, (a, b)) in mine.lines().zip(theirs.lines()).enumerate() {
                assert_eq!(a, b, "{what}: line {}", number + 1);
            }
            assert_eq!(
                mine.lines().count(),
                theirs.lines().count(),
                "{what}: number of lines"
            );
        }
    }
}

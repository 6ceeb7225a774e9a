//! A generated province as topics: the rows of its files as JSON messages, and the configuration that reads them.

use crate::cluster::Cluster;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// A province in a directory, with the configuration for files and the one for topics.
pub(crate) struct Province {
    pub dir: PathBuf,
    sources: Vec<(String, PathBuf)>,
    /// Stands before the tables of the sinks.
    sinks: &'static str,
}

pub(crate) fn fenghuo() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fenghuo"));
    command.env("FENGHUO_LOG", "warn");
    command
}

/// Runs to the end and gives standard output.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}: {error}{told}");
    String::from_utf8(output.stdout).unwrap()
}

impl Province {
    pub(crate) fn generate(dir: &Path, subjects: u64, events: u64) -> Self {
        succeed(
            fenghuo()
                .args(["generate", "--subjects", &subjects.to_string()])
                .args([
                    "--events",
                    &events.to_string(),
                    "--seed",
                    "11",
                    "--out",
                    dir.to_str().unwrap(),
                ]),
        );
        let text = std::fs::read_to_string(dir.join("fenghuo.toml")).unwrap();
        let config: toml::Table = text.parse().unwrap();
        let word = |table: &toml::Value, key: &str| table[key].as_str().unwrap().to_owned();
        let sources = config["source"].as_array().unwrap().iter();
        let sources = sources.map(|s| (word(s, "connector"), dir.join(word(s, "path"))));
        Self {
            dir: dir.to_owned(),
            sources: sources.collect(),
            sinks: "",
        }
    }

    /// From now on decisions and risks of subjects are told, too.
    pub(crate) fn ask_for_remarks(&mut self) {
        self.sinks = "[sinks]\ndecisions = true\nsubject_risks = true\n";
        let path = self.dir.join("fenghuo.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("[sinks.file]"), "{text}");
        let text = text.replace("[sinks.file]", &format!("{}[sinks.file]", self.sinks));
        std::fs::write(path, text).unwrap();
    }

    /// The lines of one of the files that an embedded run has written.
    pub(crate) fn told(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.join("out").join(file)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The file of a feed.
    pub(crate) fn feed(&self, connector: &str) -> &Path {
        let mut sources = self.sources.iter();
        &sources.find(|(id, _)| id == connector).unwrap().1
    }

    /// The lines that a run over the files tells, and how long it took, s.
    pub(crate) fn embedded(&self) -> (Vec<String>, f64) {
        let config = self.dir.join("fenghuo.toml");
        let started = std::time::Instant::now();
        succeed(fenghuo().args(["run", "--until-end", "--config", config.to_str().unwrap()]));
        let took = started.elapsed().as_secs_f64();
        let text = std::fs::read_to_string(self.dir.join("out/warnings.jsonl")).unwrap();
        (text.lines().map(str::to_owned).collect(), took)
    }

    /// Puts every record into the topic of its feed; gives how many each has.
    pub(crate) fn publish(&self, cluster: &Cluster, partitions: i32) -> Vec<usize> {
        let mut counts = Vec::new();
        for (connector, path) in &self.sources {
            let topic = format!("in.{connector}");
            cluster.make(&topic, partitions, cluster.nodes);
            let messages: Vec<(i32, Option<Vec<u8>>)> = records(path)
                .into_iter()
                .map(|record| (partition_of(&record, partitions), Some(record)))
                .collect();
            counts.push(messages.len());
            cluster.produce(&topic, &messages);
        }
        counts
    }

    /// A configuration that reads and writes topics; `more` goes into each source.
    pub(crate) fn configure(&self, cluster: &Cluster, more: &str) -> PathBuf {
        self.configure_as(cluster, "kafka", ("", more))
    }

    /// The same for a process with a name and state of its own; `tables` go before the sources.
    pub(crate) fn configure_as(
        &self,
        cluster: &Cluster,
        name: &str,
        (tables, more): (&str, &str),
    ) -> PathBuf {
        let text = std::fs::read_to_string(self.dir.join("fenghuo.toml")).unwrap();
        let files: toml::Table = text.parse().unwrap();
        let mut engine = files["engine"].as_table().unwrap().clone();
        engine.insert("state".to_owned(), format!("state-{name}").into());
        engine.insert("commit_events_max".to_owned(), toml::Value::Integer(2_048));
        let mut config = format!(
            "[engine]\n{engine}\n[kafka]\nbrokers = \"{}\"\n{}[sinks.kafka]\n[rules]\ndir = \"rules\"\n[connectors]\ndir = \"connectors\"\n{tables}",
            cluster.address, self.sinks
        );
        for (connector, _) in &self.sources {
            let _ = write!(
                config,
                "[[source]]\nkind = \"kafka\"\nconnector = \"{connector}\"\ntopic = \"in.{connector}\"\n{more}\n"
            );
        }
        let path = self.dir.join(format!("{name}.toml"));
        std::fs::write(&path, config).unwrap();
        path
    }
}

/// A run at work.
pub(crate) struct Engine {
    id: u32,
    ended: Receiver<Output>,
}

impl Engine {
    pub(crate) fn start(config: &Path) -> Self {
        let child = fenghuo()
            .args(["run", "--until-end", "--config", config.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let id = child.id();
        let (sender, ended) = channel();
        std::thread::spawn(move || {
            // The test may have stopped listening.
            let _ = sender.send(child.wait_with_output().unwrap());
        });
        Self { id, ended }
    }

    /// How it ended, if it does within this time.
    pub(crate) fn ends_within(&self, limit: Duration) -> Option<Output> {
        match self.ended.recv_timeout(limit) {
            Ok(output) => Some(output),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the end of the run was already told"),
        }
    }

    /// SIGKILL; its end is waited for.
    pub(crate) fn kill(self) {
        let id = self.id.to_string();
        Command::new("kill").args(["-9", &id]).status().unwrap();
        self.ended.recv().unwrap();
    }
}

/// The records of a file as messages: lines as they are, CSV rows as objects.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_none_or(|extension| extension != "csv") {
        let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        return lines.map(<[u8]>::to_vec).collect();
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => encoding_rs::GB18030.decode(error.as_bytes()).0.into_owned(),
    };
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.unwrap();
        if row.len() != header.len() {
            records.push(row.iter().collect::<Vec<_>>().join(",").into_bytes());
            continue;
        }
        let object: serde_json::Map<String, serde_json::Value> = header
            .iter()
            .zip(row.iter())
            .map(|(key, cell)| (key.trim_start_matches('\u{feff}').to_owned(), cell.into()))
            .collect();
        records.push(serde_json::to_vec(&object).unwrap());
    }
    records
}

/// Records with the same social credit code (18 of 0-9 and A-Z) go to the same partition.
fn partition_of(record: &[u8], partitions: i32) -> i32 {
    let is_code = |w: &&[u8]| {
        w.len() == 18
            && w.iter()
                .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
    };
    let code = record.split(|b| *b == b'"').find(is_code).unwrap_or(record);
    let sum = code.iter().fold(7_u32, |sum, b| {
        sum.wrapping_mul(31).wrapping_add(u32::from(*b))
    });
    i32::try_from(sum % u32::try_from(partitions).unwrap()).unwrap()
}

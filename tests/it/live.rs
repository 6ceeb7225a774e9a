//! Rules change under a running engine: files, SIGHUP and signed bundles, all or nothing and without a restart.

use crate::support::project;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long the engine may take to say something; far more than it needs.
const SAYS_SECONDS_MAX: u64 = 120;

fn fenghuo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fenghuo"))
        .args(args)
        .output()
        .unwrap()
}

fn told(args: &[&str]) -> String {
    let output = fenghuo(args);
    assert!(
        output.status.success(),
        "{args:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A directory with a configuration, an empty folder that is read, and one rule.
struct Place {
    dir: tempfile::TempDir,
}

fn rule(id: &str, more: &str) -> String {
    format!(
        "//! 试验\nconst RULE = #{{ id: \"{id}\", name: \"试验\", owner: \"信用监管处\",\n  \
         basis: [\"《中华人民共和国食品安全法》第一百二十二条\"], on: [\"penalty\"], {more} }};\n\
         fn decide(ev, who, p) {{\n    if ev.amount == () || ev.amount < 100000.00 {{ return; }}\n    \
         warn(#{{ level: \"黄\", score: 10, message: \"试验\" }})\n}}\n\
         fn test_raised() {{\n    let t = scenario();\n    t.add(\"penalty\", \"2026-03-01\", #{{ amount: 200000.00 }});\n    t.expect(\"黄\", \"试验\");\n}}\n\
         fn test_silent() {{\n    let t = scenario();\n    t.add(\"penalty\", \"2026-03-01\", #{{ amount: 200.00 }});\n    t.expect_none();\n}}\n"
    )
}

impl Place {
    fn new(rules: &str) -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir_all(place.path("rules/complaint")).unwrap();
        std::fs::create_dir_all(place.path("inbox")).unwrap();
        std::fs::write(
            place.path("personal.key"),
            "0123456789abcdef0123456789abcdef",
        )
        .unwrap();
        Command::new("chmod")
            .args(["600", place.path("personal.key").to_str().unwrap()])
            .status()
            .unwrap();
        place.write("XX-001", &rule("XX-001", ""));
        let connectors = project("connectors");
        std::fs::write(
            place.path("fenghuo.toml"),
            format!(
                "[engine]\nstate = \"state\"\npersonal_key_file = \"personal.key\"\n[rules]\n{rules}\n\
                 [connectors]\ndir = \"{}\"\n[[source]]\nkind = \"directory\"\nconnector = \"credit-penalty\"\n\
                 path = \"inbox\"\n[sinks.file]\ndir = \"out\"\n",
                connectors.display()
            ),
        )
        .unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Puts a rule into the folder as an editor does: beside it first.
    fn write(&self, id: &str, text: &str) {
        let beside = self.path(&format!("rules/complaint/.{id}.part"));
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, self.path(&format!("rules/complaint/{id}.rhai"))).unwrap();
    }

    fn start(&self) -> Engine {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fenghuo"))
            .args([
                "run",
                "--log",
                "json",
                "--config",
                &self.text("fenghuo.toml"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, says) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let engine = Engine { child, says };
        engine.says("state recovered");
        engine
    }

    fn audited(&self) -> String {
        told(&["audit", "verify", "--file", &self.text("audit.jsonl")]);
        std::fs::read_to_string(self.path("audit.jsonl")).unwrap()
    }
}

struct Engine {
    child: Child,
    says: Receiver<String>,
}

impl Engine {
    /// Waits until it logs a line with these words.
    fn says(&self, words: &str) -> String {
        let mut lines = Vec::new();
        let limit = Duration::from_secs(SAYS_SECONDS_MAX);
        while let Ok(line) = self.says.recv_timeout(limit) {
            if line.contains(words) {
                return line;
            }
            lines.push(line);
        }
        panic!("it never said {words}; it said {lines:#?}");
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let done = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(done.success());
    }

    fn stop(mut self) {
        self.signal("-TERM");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It has ended, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn status(place: &Place) -> serde_json::Value {
    let text = told(&[
        "rule",
        "status",
        "--format",
        "json",
        "--state",
        &place.text("state"),
    ]);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_rule_goes_from_shadow_to_service_without_a_restart() {
    let place = Place::new("dir = \"rules\"");
    let engine = place.start();
    place.write(
        "XX-002",
        &rule("XX-002", "status: \"shadow\", challenges: \"XX-001\""),
    );
    let first = engine.says("rules are in force");
    // A mistake stops nothing and changes nothing.
    place.write("XX-003", "const RULE = ");
    let refused = engine.says("rules were not loaded");
    assert!(refused.contains("XX-003.rhai"), "{refused}");
    std::fs::remove_file(place.path("rules/complaint/XX-003.rhai")).unwrap();
    // The folder is as it was: nothing new comes into force. Then the rule is put into service.
    place.write("XX-002", &rule("XX-002", "status: \"active\""));
    let second = engine.says("rules are in force");
    assert_ne!(first, second);
    engine.stop();
    let status = status(&place);
    assert_eq!(status["rules"][1]["status"], "active");
    assert_eq!(status["rules"].as_array().unwrap().len(), 2);
    let audited = place.audited();
    assert!(
        audited.contains("files changed") && audited.contains("refused"),
        "{audited}"
    );
}

#[test]
fn without_a_watch_a_signal_takes_changes_up() {
    let place = Place::new("dir = \"rules\"\nwatch = false");
    let engine = place.start();
    place.write("XX-002", &rule("XX-002", ""));
    engine.signal("-HUP");
    engine.says("rules are in force");
    engine.stop();
    assert_eq!(status(&place)["rules"].as_array().unwrap().len(), 2);
    assert!(place.audited().contains("SIGHUP"));
}

fn sign(place: &Place, name: &str, role: &str) {
    let key = place.text(&format!("{role}.pem"));
    let said = told(&[
        "rule",
        "sign",
        &place.text("rules.fhb"),
        "--key",
        &key,
        "--name",
        name,
        "--role",
        role,
    ]);
    let entry = said.split_once("[[signer]]").unwrap().1;
    let list = place.path("signers.toml");
    let known = std::fs::read_to_string(&list).unwrap_or_default();
    if !known.contains(entry.trim()) {
        std::fs::write(&list, format!("{known}[[signer]]{entry}")).unwrap();
    }
}

#[test]
fn production_takes_only_what_two_people_signed() {
    let place = Place::new("bundle = \"rules.fhb\"\nsigners = \"signers.toml\"");
    for (role, key) in [
        (
            "maker",
            "MC4CAQAwBQYDK2VwBCIEIB+zwsMCX8WJ/bJl7VHAL+7DxJfC+Js/MQj0pB6+qNAZ",
        ),
        (
            "checker",
            "MC4CAQAwBQYDK2VwBCIEICqzwsMCX8WJ/bJl7VHAL+7DxJfC+Js/MQj0pB6+qNAZ",
        ),
    ] {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
        std::fs::write(place.path(&format!("{role}.pem")), pem).unwrap();
    }
    let (rules, bundle) = (place.text("rules"), place.text("rules.fhb"));
    told(&["rule", "bundle", &rules, "--out", &bundle]);
    sign(&place, "张三", "maker");
    // Signed once: the engine does not start.
    let config = place.text("fenghuo.toml");
    let refused = fenghuo(&["run", "--config", &config]);
    assert!(!refused.status.success());
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("no checker"), "{why}");
    sign(&place, "李四", "checker");
    told(&[
        "rule",
        "verify",
        &bundle,
        "--signers",
        &place.text("signers.toml"),
    ]);
    let engine = place.start();
    // A new version that one person signed is refused, and the refusal is on record.
    place.write("XX-002", &rule("XX-002", ""));
    let next = place.text("next.fhb");
    told(&["rule", "bundle", &rules, "--out", &next]);
    std::fs::rename(&next, &bundle).unwrap();
    engine.says("rules were not loaded");
    sign(&place, "张三", "maker");
    engine.says("rules were not loaded");
    sign(&place, "李四", "checker");
    engine.says("rules are in force");
    // Tampered with after signing.
    tamper(Path::new(&bundle));
    let refused = engine.says("rules were not loaded");
    assert!(refused.contains("changed after it was made"), "{refused}");
    engine.stop();
    assert_eq!(status(&place)["rules"].as_array().unwrap().len(), 2);
    assert!(place.audited().contains("changed after it was made"));
}

fn tamper(bundle: &Path) {
    let text = std::fs::read_to_string(bundle).unwrap();
    let beside = bundle.with_extension("part");
    std::fs::write(&beside, text.replace("< 100000.00", "< 100.00")).unwrap();
    std::fs::rename(beside, bundle).unwrap();
}

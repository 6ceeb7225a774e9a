//! The readers that other systems start from: each message once, copies dropped by id, after a restart of their own as well.

use super::cluster::Cluster;
use super::feeds::{Province, fenghuo, succeed};
use super::{WARNINGS, create_topics};
use std::path::Path;
use std::process::Command;

/// What a reader printed, and what it said at its end.
fn read(command: &mut Command) -> (Vec<String>, String) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    assert!(output.status.success(), "{said}");
    let told = String::from_utf8(output.stdout).unwrap();
    let mut told: Vec<String> = told.lines().map(str::to_owned).collect();
    told.sort();
    (told, said)
}

#[test]
fn readers_deal_with_each_warning_once() {
    let dir = tempfile::tempdir().unwrap();
    let province = Province::generate(&dir.path().join("province"), 500, 5_000);
    let cluster = Cluster::start(&dir.path().join("broker"), 1);
    province.publish(&cluster, 2);
    let config = province.configure(&cluster, "");
    create_topics(&config, "1");
    succeed(fenghuo().args(["run", "--until-end", "--config", config.to_str().unwrap()]));
    let count = cluster.read(WARNINGS).len();
    assert!(10 < count, "the province gives warnings");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = |group: &str| {
        let mut command = Command::new("python3");
        command.arg(root.join("fixtures/contracts/consumer.py"));
        command.args([cluster.address.as_str(), "--until-end", "--group", group]);
        command.arg("--seen").arg(dir.path().join("seen.sqlite"));
        read(&mut command)
    };
    let rust = |group: &str| {
        let example = std::env::var("FENGHUO_CONSUMER").expect("set by .ci/kafka");
        let mut command = Command::new(example);
        command.args([cluster.address.as_str(), "--until-end"]);
        command.arg(dir.path().join("seen.ids"));
        command.args([WARNINGS, group]);
        read(&mut command)
    };
    let all = format!("{count} messages, 0 copies dropped");
    let (by_python, said) = python("first");
    assert_eq!(said, all);
    let (by_rust, said) = rust("second");
    assert_eq!(said, all);
    assert_eq!(by_python, by_rust, "both say the same");
    // A group that has read nothing meets everything again, as after a lost commit.
    let copies = format!("0 messages, {count} copies dropped");
    assert_eq!(python("third"), (Vec::new(), copies.clone()));
    assert_eq!(rust("fourth"), (Vec::new(), copies));
    println!(
        "{count} warnings: each told once by the reader in Python and by that in Rust, {count} copies dropped by each"
    );
}

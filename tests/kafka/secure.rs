//! Ways into a cluster: a certificate, a name with a password; and what is said when one does not fit.

use crate::cluster::Cluster;
use crate::feeds::{Province, fenghuo, succeed};
use crate::{Same, WARNINGS, compare};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The configuration of a province with another way in and topics of its own.
fn config(cluster: &Cluster, province: &Province, name: &str, way: &str) -> PathBuf {
    let path = province.configure_as(cluster, name, ("", ""));
    let text = std::fs::read_to_string(&path).unwrap();
    let plain = format!("brokers = \"{}\"\n", cluster.address);
    assert!(text.contains(&plain), "{text}");
    let text = text.replace(&plain, way).replace(
        "[sinks.kafka]\n",
        &format!("[sinks.kafka]\nprefix = \"{name}.\"\n"),
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn password(dir: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A command of the program, which also knows the password for PLAIN.
fn command(args: &[&str], config: &Path) -> Command {
    let mut command = fenghuo();
    command.env("FENGHUO_TEST_PASSWORD", "plain-secret");
    command
        .args(args)
        .args(["--config", config.to_str().unwrap()]);
    command
}

/// Makes topics of its own, runs, and finds the warnings in them.
fn comes_in(cluster: &Cluster, config: &Path, (name, lines): (&str, &[String])) {
    let shape = ["--partitions", "2", "--replication", "1"];
    succeed(command(&["topics", "create"], config).args(shape));
    succeed(&mut command(&["topics", "check"], config));
    succeed(&mut command(&["run", "--until-end"], config));
    let told = cluster.read(&format!("{name}.{WARNINGS}"));
    assert_eq!(compare(&told, lines, Same::Ids), 0, "{name}");
    println!(
        "{name}: {} warnings, equal to the embedded run",
        lines.len()
    );
}

fn is_refused(config: &Path, (name, reason): (&str, &str)) {
    let output = command(&["topics", "check"], config).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{name} comes in");
    assert!(error.contains(reason), "{name}: {error}");
    assert!(!error.contains("sesame"), "{name}: {error}");
}

#[test]
fn secure_ways_in_are_those_of_the_configuration_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let province = Province::generate(&dir.path().join("province"), 500, 5_000);
    let (lines, _) = province.embedded();
    let (cluster, mtls, sasl) = Cluster::secure(&dir.path().join("broker"));
    province.publish(&cluster, 2);
    let tls = dir.path().join("broker/tls");
    let file = |name: &str| tls.join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let scram = password(dir.path(), "scram", "scram-secret\n");
    let wrong = password(dir.path(), "wrong", "open sesame\n");
    let of_sasl = |mechanism: &str, secret: &str| {
        format!(
            "brokers = \"{sasl}\"\nsecurity = \"sasl-tls\"\ntls_ca = \"{ca}\"\nsasl_mechanism = \"{mechanism}\"\nsasl_user = \"fenghuo\"\n{secret}\n"
        )
    };
    let file_of = |path: &Path| format!("sasl_password_file = \"{}\"", path.display());
    let with_certificate = format!(
        "brokers = \"{mtls}\"\nsecurity = \"tls\"\ntls_ca = \"{ca}\"\ntls_cert = \"{cert}\"\ntls_key = \"{key}\"\n"
    );
    let ways = [
        ("mtls", with_certificate),
        ("scram", of_sasl("SCRAM-SHA-512", &file_of(&scram))),
        (
            "plain",
            of_sasl("PLAIN", "sasl_password_env = \"FENGHUO_TEST_PASSWORD\""),
        ),
    ];
    for (name, way) in ways {
        let config = config(&cluster, &province, name, &way);
        comes_in(&cluster, &config, (name, &lines));
    }
    let refused = [
        (
            "wrong",
            of_sasl("SCRAM-SHA-512", &file_of(&wrong)),
            "uthentication",
        ),
        (
            "nobody",
            format!("brokers = \"{mtls}\"\nsecurity = \"tls\"\ntls_ca = \"{ca}\"\n"),
            "SSL",
        ),
        (
            "stranger",
            format!("brokers = \"{mtls}\"\nsecurity = \"tls\"\ntls_ca = \"{cert}\"\n"),
            "certificate verify failed",
        ),
    ];
    for (name, way, reason) in refused {
        let config = config(&cluster, &province, name, &way);
        is_refused(&config, (name, reason));
    }
}

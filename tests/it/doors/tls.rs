//! TLS from PEM files, and what other machines need before they may connect.

use super::house::{Answer, House, Plan, request};
use fenghuo::runtime::config::TlsConfig;
use fenghuo::runtime::http::StartError;
use fenghuo::runtime::tokens::rights::Role;
use rustls::pki_types::{CertificateDer, ServerName};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

fn write_pem(dir: &Path) -> (TlsConfig, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = TlsConfig {
        cert: dir.join("tls.crt"),
        key: dir.join("tls.key"),
    };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    set_mode(&files.key, 0o600);
    (files, made.cert.der().clone())
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn plan(tls: Option<TlsConfig>, with_tokens: bool, listen: &'static str) -> Plan {
    Plan {
        with_tokens,
        tls,
        listen,
        ..Plan::default()
    }
}

fn ask(house: &House, trusted: &CertificateDer<'static>, bytes: &[u8]) -> Answer {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, house.connect());
    stream.write_all(bytes).unwrap();
    Answer::read(&mut stream)
}

#[test]
fn other_machines_are_served_over_tls_with_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let (files, certificate) = write_pem(dir.path());
    let house = plan(Some(files), true, "0.0.0.0:0").build();
    let token = house.token(Role::Reader, &[]);
    let bearer = format!("Authorization: Bearer {token}");
    let answer = ask(
        &house,
        &certificate,
        &request("GET", "/api/v1/rules", &[&bearer], b""),
    );
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("strict-transport-security"),
        Some("max-age=31536000")
    );
    let without = ask(
        &house,
        &certificate,
        &request("GET", "/api/v1/rules", &[], b""),
    );
    assert_eq!(without.status, 401);
    // Plain HTTP gets no answer.
    let plain = house.connect();
    let mut plain_stream = &plain;
    plain_stream
        .write_all(&request("GET", "/healthz", &[], b""))
        .unwrap();
    let mut bytes = Vec::new();
    // An alert or a reset, but nothing of HTTP.
    let _ = std::io::Read::read_to_end(&mut plain_stream, &mut bytes);
    assert!(!bytes.starts_with(b"HTTP"), "{bytes:?}");
}

#[test]
fn a_renewed_certificate_is_served_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (files, first) = write_pem(dir.path());
    let house = plan(Some(files.clone()), false, "127.0.0.1:0").build();
    let health = request("GET", "/healthz", &[], b"");
    assert_eq!(ask(&house, &first, &health).status, 200);
    // Half renewed: the key does not fit, and what was in use stays.
    let key = std::fs::read(&files.key).unwrap();
    let (_, second) = write_pem(dir.path());
    let renewed_key = std::fs::read(&files.key).unwrap();
    std::fs::write(&files.key, key).unwrap();
    assert_eq!(ask(&house, &first, &health).status, 200);
    std::fs::write(&files.key, renewed_key).unwrap();
    assert_eq!(ask(&house, &second, &health).status, 200);
}

#[test]
fn an_open_door_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = write_pem(dir.path());
    for (tls, with_tokens, missing) in [
        (
            None,
            false,
            "http.tokens and http.tls_cert with http.tls_key are not set",
        ),
        (None, true, "http.tls_cert with http.tls_key is not set"),
        (Some(files), false, "http.tokens is not set"),
    ] {
        let error = plan(tls, with_tokens, "0.0.0.0:0")
            .try_build()
            .err()
            .unwrap();
        assert!(matches!(error, StartError::Exposed(_)), "{error:?}");
        assert!(error.to_string().contains(missing), "{error}");
    }
}

#[test]
fn a_key_that_others_can_read_is_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = write_pem(dir.path());
    set_mode(&files.key, 0o640);
    let error = plan(Some(files), false, "127.0.0.1:0")
        .try_build()
        .err()
        .unwrap();
    let why = fenghuo::runtime::logging::chain(&error);
    assert!(why.contains("has mode 0640"), "{why}");
}

#[test]
fn pem_that_makes_no_tls_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = write_pem(dir.path());
    let other = tempfile::tempdir().unwrap();
    let (others, _) = write_pem(other.path());
    for (cert, key, setting) in [
        (&files.cert, &others.key, "http.tls_key"),
        (&files.key, &files.key, "http.tls_cert"),
        (&files.cert, &files.cert, "http.tls_key"),
    ] {
        set_mode(key, 0o600);
        let tls = TlsConfig {
            cert: cert.clone(),
            key: key.clone(),
        };
        let error = plan(Some(tls), false, "127.0.0.1:0")
            .try_build()
            .err()
            .unwrap();
        assert!(error.to_string().starts_with(setting), "{error}");
    }
}

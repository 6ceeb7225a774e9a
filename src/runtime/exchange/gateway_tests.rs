//! Every answer of the far end's over a real socket, and what the gateway makes of it.

use super::*;
use crate::engine::hash::hex;
use crate::engine::time::EventTime;
use crate::runtime::exchange::sign::sign;
use crate::runtime::far_end::{answer, serve};
use std::os::unix::fs::PermissionsExt;
use std::thread::JoinHandle;

const SECRET: &str = "0123456789abcdef0123";
const NOW_MS: i64 = 1_790_000_000_000;

fn server(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    serve("fxyj", answers)
}

fn slip(id: &str, sm3: &str, secret: &str) -> String {
    let text = format!("{id}{sm3}n12026-09-21");
    let signed = sign(Algorithm::Sm3, secret.as_bytes(), &text);
    format!(
        r#"{{"code":"0","receipt":{{"id":"{id}","sm3":"{sm3}","number":"n1","accepted_at":"2026-09-21","sign":"{signed}"}}}}"#
    )
}

fn parcel() -> Parcel {
    use sm3::{Digest, Sm3};
    Parcel {
        seq: 1,
        id: "id-1".into(),
        subject: "enterprise:1".into(),
        lane_no: 1,
        since_ms: 0,
        body: b"{}".to_vec(),
        body_sm3: hex(&Sm3::digest(b"{}")),
    }
}

struct Far {
    gateway: Gateway,
    dir: tempfile::TempDir,
    serving: JoinHandle<Vec<String>>,
}

fn secret_file(dir: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn far(answers: Vec<String>) -> Far {
    let dir = tempfile::tempdir().unwrap();
    let (url, serving) = server(answers);
    let config = GatewayConfig {
        url,
        rid: "rid".into(),
        sid: "sid".into(),
        algorithm: Algorithm::Sm3,
        secret: SecretFrom::File(secret_file(&dir, "secret", SECRET)),
        client: None,
        ca: None,
        timeout_ms: 5_000,
    };
    let clock = Clock::at(EventTime(NOW_MS));
    Far {
        gateway: Gateway::new(config, clock).unwrap(),
        dir,
        serving,
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted(_) => "accepted",
        Outcome::Refused(_) => "refused",
        Outcome::Unsure { .. } => "unsure",
        Outcome::Denied(_) => "denied",
        Outcome::Untrusted(_) => "untrusted",
    }
}

#[test]
fn a_request_carries_the_headers_of_the_protocol() {
    let good = slip("id-1", &parcel().body_sm3, SECRET);
    let far = far(vec![answer("200 OK", "", &good)]);
    let outcome = far.gateway.send(&parcel(), 0);
    assert!(
        matches!(&outcome, Outcome::Accepted(receipt) if receipt.number == "n1"),
        "{outcome:?}"
    );
    let request = far.serving.join().unwrap().remove(0);
    let signed = sign(
        Algorithm::Sm3,
        SECRET.as_bytes(),
        &format!("sidrid{NOW_MS}"),
    );
    for expected in [
        "POST /fxyj HTTP/1.1".to_owned(),
        "gjgxjhpt_rid: rid".to_owned(),
        "gjgxjhpt_sid: sid".to_owned(),
        format!("gjgxjhpt_rtime: {NOW_MS}"),
        format!("gjgxjhpt_sign: {signed}"),
        "idempotency-key: id-1".to_owned(),
    ] {
        assert!(request.contains(&expected), "{expected}\n{request}");
    }
    assert!(request.ends_with("\r\n\r\n{}"));
}

#[test]
fn every_answer_has_a_meaning() {
    let sm3 = parcel().body_sm3;
    let good = slip("id-1", &sm3, SECRET);
    let other = slip("id-1", &"0".repeat(64), SECRET);
    let forged = slip("id-1", &sm3, "another secret");
    let foreign = slip("id-2", &sm3, SECRET);
    let long = "x".repeat(70_000);
    for (status, body, expected, said) in [
        ("200 OK", good.as_str(), "accepted", ""),
        ("200 OK", &other, "refused", "other bytes under this id"),
        ("200 OK", &forged, "unsure", "signature is bad"),
        ("200 OK", &foreign, "unsure", "another parcel"),
        ("200 OK", r#"{"code":"0"}"#, "unsure", "no receipt"),
        (
            "200 OK",
            r#"{"code":"7","message":"无此主体"}"#,
            "refused",
            "code 7: 无此主体",
        ),
        ("200 OK", "<html>", "unsure", "not JSON"),
        ("200 OK", &long, "unsure", "large"),
        (
            "422 Unprocessable",
            "no such firm",
            "refused",
            "422: no such firm",
        ),
        ("413 Too Large", "", "refused", "413"),
        ("401 Unauthorized", "", "denied", "401"),
        ("403 Forbidden", "ip", "denied", "403: ip"),
        ("404 Not Found", "", "denied", "404"),
        ("302 Found", "", "denied", "302"),
        ("429 Too Many", "", "unsure", "429"),
        ("500 Broken", "oops", "unsure", "500: oops"),
        (
            "400 Bad Request",
            "No required SSL certificate was sent",
            "untrusted",
            "SSL certificate",
        ),
        ("400 Bad Request", "domain?", "refused", "400: domain?"),
    ] {
        let far = far(vec![answer(status, "", body)]);
        let outcome = far.gateway.send(&parcel(), 0);
        assert_eq!(word(&outcome), expected, "{status} {outcome:?}");
        let why = outcome.reason();
        assert!(why.contains(said), "{status} {body:.60}: {why}");
        far.serving.join().unwrap();
    }
}

#[test]
fn a_lost_answer_is_asked_for_before_anything_is_sent_again() {
    let good = slip("id-1", &parcel().body_sm3, SECRET);
    // Nothing comes back, then it is there; then it is not there and is sent; then a 409 that proves nothing.
    let far = far(vec![
        String::new(),
        answer("200 OK", "", &good),
        answer("404 Not Found", "", ""),
        answer("200 OK", "", &good),
        answer("409 Conflict", "", ""),
        answer("200 OK", "", &good),
        answer("409 Conflict", "", ""),
        answer("404 Not Found", "", ""),
    ]);
    let send = |attempts| word(&far.gateway.send(&parcel(), attempts)).to_owned();
    assert_eq!(
        [send(0), send(1), send(2), send(0), send(0)],
        ["unsure", "accepted", "accepted", "accepted", "unsure"]
    );
    let lines: Vec<String> = far
        .serving
        .join()
        .unwrap()
        .iter()
        .map(|request| request.lines().next().unwrap().replace(" HTTP/1.1", ""))
        .collect();
    assert_eq!(
        lines,
        [
            "POST /fxyj",
            "GET /fxyj?id=id-1",
            "GET /fxyj?id=id-1",
            "POST /fxyj",
            "POST /fxyj",
            "GET /fxyj?id=id-1",
            "POST /fxyj",
            "GET /fxyj?id=id-1",
        ]
    );
}

#[test]
fn a_new_secret_in_the_file_is_used_after_a_denial_and_old_receipts_still_hold() {
    let sm3 = parcel().body_sm3;
    let new = "a brand new secret";
    let far = far(vec![
        answer("401 Unauthorized", "", ""),
        answer("200 OK", "", &slip("id-1", &sm3, new)),
        answer("200 OK", "", &slip("id-1", &sm3, SECRET)),
    ]);
    assert_eq!(word(&far.gateway.send(&parcel(), 0)), "denied");
    secret_file(&far.dir, "secret", new);
    assert_eq!(word(&far.gateway.send(&parcel(), 0)), "accepted");
    assert_eq!(word(&far.gateway.send(&parcel(), 0)), "accepted");
    let requests = far.serving.join().unwrap();
    let signed = |secret: &str, at: i64| {
        // No two requests carry the same rtime.
        let rtime = NOW_MS + at;
        sign(Algorithm::Sm3, secret.as_bytes(), &format!("sidrid{rtime}"))
    };
    assert!(requests[0].contains(&signed(SECRET, 0)));
    assert!(requests[1].contains(&signed(new, 1)));
}

#[test]
fn the_refresh_interface_gives_a_secret_that_ends() {
    let dir = tempfile::tempdir().unwrap();
    let app_key = secret_file(&dir, "app.key", "0123456789abcdef");
    // AES-128-ECB of "new-secret" under that key; see sign.rs.
    let sealed = r#"{"code":"0","secret":"ipfQaoSux2Tj6Qw7oUR7Nw==","secretEndTime":END}"#;
    let good = slip("id-1", &parcel().body_sm3, "new-secret");
    let body = |end: i64| sealed.replace("END", &end.to_string());
    let (url, serving) = server(vec![
        answer("200 OK", "", r#"{"code":"1"}"#),
        answer("503 Busy", "retry-after: 3\r\n", "oops"),
        answer("400 Bad Request", "", "The SSL certificate error"),
        answer("200 OK", "", &body(NOW_MS + 100_000)),
        answer("200 OK", "", &good),
        answer("200 OK", "", &body(NOW_MS + 900_000)),
        answer("200 OK", "", &good),
    ]);
    let clock = Clock::at(EventTime(NOW_MS));
    let config = GatewayConfig {
        secret: SecretFrom::Refresh {
            url: url.replace("fxyj", "secret"),
            app_key,
        },
        url,
        rid: "rid".into(),
        sid: "sid".into(),
        algorithm: Algorithm::Sm3,
        client: None,
        ca: None,
        timeout_ms: 5_000,
    };
    let gateway = Gateway::new(config, clock.clone()).unwrap();
    let denied = gateway.send(&parcel(), 0);
    assert!(denied.reason().contains("does not open"), "{denied:?}");
    let busy = gateway.send(&parcel(), 0);
    let after_ms = Some(3_000);
    assert!(matches!(&busy, Outcome::Unsure { after_ms: asked, .. } if *asked == after_ms));
    assert_eq!(word(&gateway.send(&parcel(), 0)), "untrusted");
    assert_eq!(word(&gateway.send(&parcel(), 0)), "accepted");
    // It ends within a minute: fetched anew before it does.
    clock.set(EventTime(NOW_MS + 50_000));
    assert_eq!(word(&gateway.send(&parcel(), 0)), "accepted");
    assert_eq!(serving.join().unwrap().len(), 7);
    assert!(!format!("{gateway:?}").contains("new-secret"));
}

#[test]
fn waits_as_long_as_asked_lists_and_notes_the_clock() {
    let far = far(vec![
        answer(
            "503 Busy",
            "retry-after: 7\r\ndate: Mon, 21 Sep 2026 00:00:00 GMT\r\n",
            "",
        ),
        answer(
            "401 Unauthorized",
            "date: Mon, 21 Sep 2026 00:00:00 GMT\r\n",
            "",
        ),
        answer(
            "200 OK",
            "",
            "{\"id\":\"a\",\"sm3\":\"h\"}\n{\"id\":\"b\",\"sm3\":\"g\"}\n",
        ),
        answer("200 OK", "", "nonsense\n"),
        answer("500 Broken", "", "oops"),
    ]);
    assert!(matches!(
        far.gateway.send(&parcel(), 0),
        Outcome::Unsure {
            after_ms: Some(7_000),
            ..
        }
    ));
    let denied = far.gateway.send(&parcel(), 0);
    assert!(
        denied.reason().contains("our clock differs by"),
        "{denied:?}"
    );
    assert_eq!(far.gateway.list().unwrap().len(), 2);
    assert!(far.gateway.list().unwrap_err().contains("nonsense"));
    assert!(far.gateway.list().unwrap_err().contains("500: oops"));
    // The script is at its end: nobody listens any more.
    let gone = far.gateway.list().unwrap_err();
    assert!(
        gone.contains("/fxyj/list: ") && gone.contains("check the address"),
        "{gone}"
    );
    far.serving.join().unwrap();
}

#[test]
fn certificates_that_are_none_refuse_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let none = secret_file(&dir, "none.pem", "nothing");
    let config = GatewayConfig {
        url: "https://127.0.0.1:1/".into(),
        rid: "r".into(),
        sid: "s".into(),
        algorithm: Algorithm::Sha256,
        secret: SecretFrom::File(secret_file(&dir, "secret", SECRET)),
        client: Some((none.clone(), none.clone())),
        ca: None,
        timeout_ms: 1_000,
    };
    let clock = Clock::at(EventTime(NOW_MS));
    let error = Gateway::new(config.clone(), clock.clone())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("tls_cert") && error.contains("holds no PEM certificate"),
        "{error}"
    );
    let config = GatewayConfig {
        client: None,
        ca: Some(none),
        ..config
    };
    let error = Gateway::new(config, clock).unwrap_err().to_string();
    assert!(error.contains("exchange.gateway.ca"), "{error}");
}

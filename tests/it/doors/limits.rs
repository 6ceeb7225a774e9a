//! Slow, greedy and malformed callers.

use super::PENALTY;
use super::house::{Answer, Plan};
use std::io::Write;

#[test]
fn headers_that_trickle_in_are_cut_off() {
    let house = Plan::limits(|limits| limits.header_ms_max = 50).build();
    let mut slow = house.connect();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: local")
        .unwrap();
    let answer = Answer::read(&mut slow);
    assert!([0, 408].contains(&answer.status), "{answer:?}");
    // A connection that says nothing at all, and one that says nothing more.
    assert_eq!(Answer::read(&mut house.connect()).status, 0);
    let mut kept = house.connect();
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    assert_eq!(Answer::read(&mut kept).status, 200);
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let house = Plan::limits(|limits| limits.body_ms_max = 50).build();
    let mut slow = house.connect();
    let head =
        format!("POST {PENALTY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\none");
    slow.write_all(head.as_bytes()).unwrap();
    assert_eq!(Answer::read(&mut slow).code(), "408 body_slow");
    assert!(house.behind.pushed.lock().unwrap().is_empty());
}

#[test]
fn a_standstill_ends_the_connection() {
    let house = Plan::limits(|limits| limits.idle_ms_max = 50).build();
    let mut slow = house.connect();
    let head =
        format!("POST {PENALTY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\none");
    slow.write_all(head.as_bytes()).unwrap();
    let answer = Answer::read(&mut slow);
    assert!([0, 400].contains(&answer.status), "{answer:?}");
}

#[test]
fn bodies_are_bounded_with_and_without_a_declared_length() {
    let house = Plan::limits(|limits| limits.body_bytes_max = 1_000).build();
    assert_eq!(house.ask("POST", PENALTY, &[], &[b'x'; 1_000]).status, 200);
    assert_eq!(
        house.ask("POST", PENALTY, &[], &[b'x'; 1_001]).code(),
        "413 body_too_large"
    );
    // The length alone is enough to refuse.
    let declared = format!(
        "POST {PENALTY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
    );
    assert_eq!(house.raw(declared.as_bytes()).code(), "413 body_too_large");
    let mut chunked = format!(
        "POST {PENALTY} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    for _ in 0..11 {
        chunked.push_str("64\r\n");
        chunked.push_str(&"x".repeat(100));
        chunked.push_str("\r\n");
    }
    chunked.push_str("0\r\n\r\n");
    assert_eq!(house.raw(chunked.as_bytes()).code(), "413 body_too_large");
    assert_eq!(house.behind.pushed.lock().unwrap().len(), 1);
}

#[test]
fn one_mebibyte_is_taken_by_default() {
    let house = Plan::default().build();
    let body = vec![b'x'; 1_024 * 1_024];
    assert_eq!(house.ask("POST", PENALTY, &[], &body).status, 200);
}

#[test]
fn connections_above_the_limit_are_closed() {
    let house = Plan::limits(|limits| limits.connections_max = 1).build();
    let mut first = house.connect();
    first
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    // Its answer has begun, so its slot is taken.
    let mut byte = [0];
    std::io::Read::read_exact(&mut first, &mut byte).unwrap();
    assert_eq!(house.get("/healthz").status, 0);
    assert_eq!(house.metrics.http_connections.get(), 1);
    assert_eq!(house.metrics.http_connections_refused.get(), 1);
}

#[test]
fn bodies_in_flight_are_bounded() {
    let house = Plan::limits(|limits| limits.bodies_max = 0).build();
    let answer = house.ask("POST", PENALTY, &[], b"one");
    assert_eq!(
        (answer.code().as_str(), answer.header("retry-after")),
        ("429 queue_full", Some("1"))
    );
}

#[test]
fn knocking_does_not_fill_the_audit_log() {
    let mut plan = Plan::with_tokens();
    plan.limits.denials_per_second_max = 2;
    let house = plan.build();
    let codes: Vec<String> = (0..5).map(|_| house.get("/api/v1/rules").code()).collect();
    assert_eq!(codes[..2], ["401 token_missing", "401 token_missing"]);
    assert_eq!(
        codes[2..],
        [
            "429 too_many_denied",
            "429 too_many_denied",
            "429 too_many_denied"
        ]
    );
    assert_eq!(house.audited().len(), 2);
    house.clock.set(super::NOW.plus_ms(1_000));
    assert_eq!(house.get("/api/v1/rules").status, 401);
    let last = house.audited().pop().unwrap();
    assert_eq!(
        last,
        "unknown from 127.0.0.1 [none] rules.read /api/v1/rules: denied 401, 3 more before not written"
    );
}

#[test]
fn what_is_not_http_is_refused() {
    let house = Plan::default().build();
    let many = "X-A: 1\r\n".repeat(65);
    let long = "x".repeat(200_000);
    for (bytes, statuses) in [
        ("\x16\x03\x01\x02\x00hello\r\n\r\n".to_owned(), &[400][..]),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), &[400, 505]),
        (
            format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"),
            &[431],
        ),
        (
            format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n"),
            &[431, 0],
        ),
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            &[400, 505, 0],
        ),
        // Two lengths: request smuggling.
        (
            format!(
                "POST {PENALTY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\none"
            ),
            &[400],
        ),
    ] {
        let answer = house.raw(bytes.as_bytes());
        assert!(
            statuses.contains(&answer.status),
            "{:.60} {answer:?}",
            bytes.escape_debug().to_string()
        );
    }
    assert_eq!(house.get("/healthz").status, 200, "still serving");
}

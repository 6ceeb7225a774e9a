//! The doors, with the real server on a free port and raw HTTP over a socket.

mod house;
mod limits;
mod tls;

use expect_test::expect;
use fenghuo::runtime::http::behind::{Act, PushError, Receipt, WarningQuery};
use fenghuo::runtime::http::routes::ROUTES;
use fenghuo::runtime::tokens::rights::Role;
use house::{House, NOW, Plan, request};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

const PENALTY: &str = "/api/v1/events/a-penalty";

/// A path of a route, with something that exists in place of its parameter.
fn example(template: &str) -> String {
    template
        .replace("{connector}", "a-penalty")
        .replace("{subject}", "enterprise:91320100MA1TEST00X")
        .replace("rules/{id}", "rules/FS-003-B")
        .replace("{id}", "w1")
}

fn call(house: &House, route: &fenghuo::runtime::http::routes::Route, token: Option<&str>) -> u16 {
    let bearer = token.map(|token| format!("Authorization: Bearer {token}"));
    let headers: Vec<&str> = bearer.iter().map(String::as_str).collect();
    let path = example(route.path);
    house
        .ask(route.method.as_str(), &path, &headers, b"{}")
        .status
}

#[test]
fn probes_say_whether_the_process_can_work() {
    let house = Plan::default().build();
    assert_eq!(house.get("/healthz").body, "{\"status\":\"alive\"}");
    let answer = house.get("/readyz");
    assert_eq!(answer.code(), "503 not_ready");
    assert!(
        answer
            .body
            .contains("state is being recovered; sources are not running")
    );
    house.health.set_recovered();
    house.health.set_sources_running(true);
    assert_eq!(house.get("/readyz").body, "{\"status\":\"ready\"}");
    assert!(house.get("/metrics").body.contains("\nfenghuo_ready 1\n"));
    house.health.set_poisoned();
    assert_eq!(house.get("/readyz").status, 503);
    assert_eq!(house.get("/healthz").status, 200);
}

#[test]
fn metrics_count_requests_by_template_and_status() {
    let house = Plan::default().build();
    house.get("/api/v1/warnings/w1");
    house.get("/api/v1/warnings/w2");
    house.get("/nowhere/91320100MA1TEST00X");
    let answer = house.get("/metrics");
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    for line in [
        "fenghuo_http_requests_total{route=\"/api/v1/warnings/{id}\",status=\"200\"} 1",
        "fenghuo_http_requests_total{route=\"/api/v1/warnings/{id}\",status=\"404\"} 1",
        "fenghuo_http_requests_total{route=\"other\",status=\"404\"} 1",
        "fenghuo_http_connections 1",
    ] {
        assert!(answer.body.contains(line), "{line}\n{}", answer.body);
    }
    assert!(!answer.body.contains("91320100MA1TEST00X"));
}

#[test]
fn every_answer_is_dressed_and_no_browser_may_share_it() {
    let house = Plan::default().build();
    for path in [
        "/healthz",
        "/api/v1/rules",
        "/nowhere",
        "/api/v1/warnings/w2",
    ] {
        let answer = house.ask("GET", path, &["X-Request-Id: abc-1"], b"");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-request-id"), Some("abc-1"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        assert_eq!(answer.header("strict-transport-security"), None, "{path}");
    }
    let answer = house.ask("GET", "/healthz", &["X-Request-Id: a b\"<script>"], b"");
    assert!(answer.header("x-request-id").unwrap().starts_with('r'));
}

#[test]
fn paths_and_methods_that_are_not_there() {
    let house = Plan::default().build();
    for (method, path, code) in [
        ("GET", "/", "404 no_route"),
        ("GET", "/api/v1/", "404 no_route"),
        ("GET", "/api/v1/../../etc/passwd", "404 no_route"),
        ("GET", "/debug/pprof", "404 no_route"),
        ("POST", "/api/v1/rules", "405 no_method"),
        ("DELETE", "/api/v1/warnings/w1", "405 no_method"),
        ("GET", PENALTY, "405 no_method"),
        ("GET", "/api/v1/subjects/..%2f..%2fetc", "400 bad_subject"),
        ("GET", "/api/v1/subjects/enterprise:%ff", "400 bad_path"),
        ("GET", "/api/v1/subjects/enterprise:a%0ab", "400 bad_path"),
        (
            "GET",
            "/api/v1/subjects/enterprise:none",
            "404 unknown_subject",
        ),
        ("GET", "/api/v1/warnings/none", "404 unknown_warning"),
        ("GET", "/api/v1/warnings?level=%E7%BB%BF", "400 bad_level"),
        ("GET", "/api/v1/warnings?city=nanjing", "400 bad_city"),
        ("GET", "/api/v1/warnings?limit=501", "400 bad_limit"),
        ("GET", "/api/v1/warnings?limit=x", "400 bad_query"),
        ("GET", "/api/v1/warnings?levle=P0", "400 bad_query"),
        (
            "GET",
            "/api/v1/subjects/enterprise:91320100MA1TEST00X",
            "200",
        ),
    ] {
        assert_eq!(
            house.ask(method, path, &[], b"").code(),
            code,
            "{method} {path}"
        );
    }
    house.get("/api/v1/warnings?level=%E7%BA%A2&city=320500&limit=7");
    let query = house.behind.queries.lock().unwrap().pop().unwrap();
    let red = fenghuo::engine::subject::view::Level::Red;
    let city = Some("320500".to_owned());
    assert_eq!(
        query,
        WarningQuery {
            level: Some(red),
            city,
            limit: 7
        }
    );
}

#[test]
fn records_are_receipted() {
    let house = Plan::default().build();
    let answer = house.ask(
        "POST",
        PENALTY,
        &["X-Request-Id: batch-7"],
        b"one\ntwo\nthree",
    );
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, "{\"read\":3,\"accepted\":2,\"refused\":1}");
    let pushed = house.behind.pushed.lock().unwrap().pop().unwrap();
    assert_eq!(
        pushed,
        (
            "a-penalty".into(),
            b"one\ntwo\nthree".to_vec(),
            "batch-7".into()
        )
    );
}

#[test]
fn the_answer_comes_only_when_the_records_are_durable() {
    let house = Plan::default().build();
    let (hold, receipts) = mpsc::channel();
    *house.behind.held.lock().unwrap() = Some(hold);
    let is_durable = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let answer = house.ask("POST", PENALTY, &[], b"one");
            assert!(
                is_durable.load(Ordering::SeqCst),
                "answered before it was durable"
            );
            answer
        });
        let give = receipts.recv().unwrap();
        is_durable.store(true, Ordering::SeqCst);
        give.send(Receipt {
            read: 1,
            accepted: 1,
            refused: 0,
        })
        .unwrap();
        assert_eq!(client.join().unwrap().status, 200);
    });
}

#[test]
fn records_that_are_not_taken() {
    let house = Plan::limits(|limits| limits.receipt_ms_max = 50).build();
    assert_eq!(
        house.ask("POST", PENALTY, &[], b"").code(),
        "400 body_empty"
    );
    let unknown = house.ask("POST", "/api/v1/events/nobody", &[], b"one");
    assert_eq!(unknown.code(), "404 unknown_connector");
    let encoded = house.ask("POST", PENALTY, &["Content-Encoding: gzip"], b"one");
    assert_eq!(encoded.code(), "415 encoded");
    for (error, code, retry_after) in [
        (
            PushError::Full { retry_after_s: 3 },
            "429 queue_full",
            Some("3"),
        ),
        (PushError::Draining, "503 draining", Some("10")),
        (
            PushError::Body("no header row".into()),
            "400 body_refused",
            None,
        ),
    ] {
        *house.behind.push_error.lock().unwrap() = Some(error);
        let answer = house.ask("POST", PENALTY, &[], b"one");
        assert_eq!(
            (answer.code().as_str(), answer.header("retry-after")),
            (code, retry_after)
        );
    }
    *house.behind.push_error.lock().unwrap() = None;
    let (hold, receipts) = mpsc::channel();
    *house.behind.held.lock().unwrap() = Some(hold);
    // Nobody gives the receipt in time.
    assert_eq!(
        house.ask("POST", PENALTY, &[], b"one").code(),
        "504 outcome_unknown"
    );
    // The one who should give it goes away.
    drop(receipts);
    *house.behind.held.lock().unwrap() = None;
    let (hold, receipts) = mpsc::channel();
    *house.behind.held.lock().unwrap() = Some(hold);
    std::thread::scope(|scope| {
        scope.spawn(move || drop(receipts.recv().unwrap()));
        assert_eq!(
            house.ask("POST", PENALTY, &[], b"one").code(),
            "503 outcome_unknown"
        );
    });
    house.health.set_draining();
    assert_eq!(
        house.ask("POST", PENALTY, &[], b"one").code(),
        "503 draining"
    );
}

#[test]
fn each_role_opens_its_own_doors_only() {
    let house = Plan::with_tokens().build();
    let tokens: Vec<String> = Role::ALL.map(|role| house.token(role, &[])).into();
    let mut text = String::from("none reader ingest officer admin auditor\n");
    for route in &ROUTES {
        write!(text, "{}", call(&house, route, None)).unwrap();
        for (role, token) in Role::ALL.into_iter().zip(&tokens) {
            let status = call(&house, route, Some(token));
            write!(text, " {status}").unwrap();
            let is_allowed = route.right.is_none_or(|right| role.may(right));
            assert_eq!(status != 403, is_allowed, "{} {}", role.name(), route.path);
        }
        writeln!(text, " {} {}", route.method, route.path).unwrap();
    }
    expect![[r#"
        none reader ingest officer admin auditor
        200 200 200 200 200 200 GET /healthz
        503 503 503 503 503 503 GET /readyz
        401 200 403 200 200 200 GET /metrics
        401 403 200 403 403 403 POST /api/v1/events/{connector}
        401 200 403 200 403 403 GET /api/v1/subjects/{subject}
        401 200 403 200 403 403 GET /api/v1/warnings
        401 200 403 200 403 403 GET /api/v1/warnings/{id}
        401 403 403 200 403 403 POST /api/v1/warnings/{id}/feedback
        401 403 403 200 403 403 POST /api/v1/warnings/{id}/actions
        401 200 403 200 403 403 GET /api/v1/cases/{id}
        401 200 403 200 403 403 GET /api/v1/key-events
        401 200 403 200 403 403 GET /api/v1/key-events/{id}
        401 200 403 200 403 403 GET /api/v1/key-events/{id}/report
        401 403 403 200 403 403 POST /api/v1/key-events/{id}/actions
        401 200 403 200 200 200 GET /api/v1/rules
        401 200 403 200 200 200 GET /api/v1/rules/{id}/duel
        401 403 403 403 200 403 POST /api/v1/rules/reload
        401 403 403 403 403 200 GET /api/v1/audit
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_key_event_is_found_with_and_without_its_prefix_and_reported_in_three_forms() {
    let house = Plan::with_tokens().build();
    let officer = house.token(Role::Officer, &[]);
    let get = |path: &str| house.ask_as(&officer, "GET", path, b"");
    for id in ["w1", "event%3Aw1"] {
        let one = get(&format!("/api/v1/key-events/{id}"));
        assert_eq!(one.body, r#"{"id":"event:w1"}"#);
    }
    let report = "/api/v1/key-events/w1/report";
    for (form, told, media) in [
        ("", "Markdown", "text/markdown; charset=utf-8"),
        ("?form=html", "Html", "text/html; charset=utf-8"),
        (
            "?form=xlsx",
            "Xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
    ] {
        let answer = get(&format!("{report}{form}"));
        assert_eq!(answer.body, told);
        assert_eq!(answer.header("content-type"), Some(media));
    }
    assert_eq!(get(&format!("{report}?form=pdf")).code(), "400 bad_form");
    let none = get("/api/v1/key-events/w2/report");
    assert_eq!(none.code(), "404 unknown_key_event");
    house.ask_as(
        &officer,
        "POST",
        "/api/v1/key-events/w1/actions",
        b"{\"act\":\"open\"}",
    );
    let acts = house.behind.acts.lock().unwrap();
    let object = "event:w1".to_owned();
    let what = serde_json::json!({"act": "open"});
    assert_eq!(
        acts.last(),
        Some(&("officer".to_owned(), Act::Dispose { object, what }))
    );
}

#[test]
fn a_token_must_be_good() {
    let house = Plan::with_tokens().build();
    let token = house.token(Role::Officer, &[]);
    let rules = "/api/v1/rules";
    let missing = house.get(rules);
    assert_eq!(missing.code(), "401 token_missing");
    assert_eq!(
        missing.header("www-authenticate"),
        Some("bearer realm=\"fenghuo\"")
    );
    let almost = token[..token.len() - 1].to_owned();
    let longer = format!("{token}0");
    for wrong in ["fh_", &almost, &longer, &token.to_uppercase()] {
        let answer = house.ask_as(wrong, "GET", rules, b"");
        assert_eq!(answer.code(), "401 token_invalid", "{wrong}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("invalid_token"), "{challenge}");
    }
    let basic = house.ask(
        "GET",
        rules,
        &[&format!("Authorization: Basic {token}")],
        b"",
    );
    assert_eq!(basic.code(), "401 token_missing");
    assert_eq!(house.ask_as(&token, "GET", rules, b"").status, 200);
    house.clock.set(NOW.plus_days(31));
    assert_eq!(
        house.ask_as(&token, "GET", rules, b"").code(),
        "401 token_invalid"
    );
    assert!(
        !house.audited().join("\n").contains("fh_"),
        "a token in the audit log"
    );
}

#[test]
fn a_feeding_token_may_be_bound_to_connectors() {
    let house = Plan::with_tokens().build();
    let token = house.token(Role::Ingest, &["a-penalty"]);
    assert_eq!(house.ask_as(&token, "POST", PENALTY, b"one").status, 200);
    let other = house.ask_as(&token, "POST", "/api/v1/events/b-list", b"one");
    assert_eq!(other.code(), "403 connector_denied");
    let encoded = house.ask_as(&token, "POST", "/api/v1/events/a%2Dpenalty", b"one");
    assert_eq!(encoded.status, 200, "the same connector, written otherwise");
    assert_eq!(
        house.audited(),
        ["ingest [ingest] events.push /api/v1/events/b-list: denied 403"]
    );
}

#[test]
fn control_acts_are_audited_before_and_after_and_denials_too() {
    let house = Plan::with_tokens().build();
    let officer = house.token(Role::Officer, &[]);
    let admin = house.token(Role::Admin, &[]);
    let feedback = "/api/v1/warnings/w1/feedback";
    house.ask_as(
        &officer,
        "POST",
        feedback,
        b"{\"finding\":\"\xe5\xb1\x9e\xe5\xae\x9e\"}",
    );
    house.ask_as(&officer, "POST", "/api/v1/warnings/w9/feedback", b"{}");
    house.ask_as(&admin, "POST", "/api/v1/rules/reload", b"");
    house.ask_as(&admin, "POST", feedback, b"{}");
    house.ask("POST", "/api/v1/rules/reload", &[], b"");
    expect![[r#"
        officer [officer] warning.feedback /api/v1/warnings/w1/feedback: requested
        officer [officer] warning.feedback /api/v1/warnings/w1/feedback: done
        officer [officer] warning.feedback /api/v1/warnings/w9/feedback: requested
        officer [officer] warning.feedback /api/v1/warnings/w9/feedback: failed 404
        admin [admin] rules.reload /api/v1/rules/reload: requested
        admin [admin] rules.reload /api/v1/rules/reload: done
        admin [admin] warning.feedback /api/v1/warnings/w1/feedback: denied 403
        unknown from 127.0.0.1 [none] rules.reload /api/v1/rules/reload: denied 401"#]]
    .assert_eq(&house.audited().join("\n"));
    let acts = house.behind.acts.lock().unwrap();
    let finding = serde_json::json!({"finding": "属实"});
    let warning = "w1".to_owned();
    assert_eq!(
        *acts,
        [
            ("officer".to_owned(), Act::Feedback { warning, finding }),
            ("admin".to_owned(), Act::ReloadRules)
        ]
    );
}

#[test]
fn a_caller_who_hangs_up_leaves_no_act_without_its_outcome() {
    let house = Plan::with_tokens().build();
    let admin = house.token(Role::Admin, &[]);
    let (open, gate) = mpsc::channel();
    *house.behind.act_gate.lock().unwrap() = Some(gate);
    let (tap, heard) = mpsc::channel();
    *house.behind.audit_tap.lock().unwrap() = Some(tap);
    let mut client = house.connect();
    let start = "POST /api/v1/rules/reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer";
    let bytes = format!("{start} {admin}\r\nContent-Length: 0\r\n\r\n");
    std::io::Write::write_all(&mut client, bytes.as_bytes()).unwrap();
    assert!(heard.recv().unwrap().ends_with("requested"));
    drop(client);
    // The connection is gone for the server too before the act goes on.
    while house.metrics.http_connections.get() != 0 {
        std::thread::yield_now();
    }
    open.send(()).unwrap();
    assert!(heard.recv().unwrap().ends_with("done"));
    assert_eq!(house.behind.acts.lock().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_audited_is_not_done() {
    let house = Plan::with_tokens().build();
    let admin = house.token(Role::Admin, &[]);
    house.behind.audit_fails.store(true, Ordering::Relaxed);
    let answer = house.ask_as(&admin, "POST", "/api/v1/rules/reload", b"");
    assert_eq!(answer.code(), "503 audit_unavailable");
    assert!(house.behind.acts.lock().unwrap().is_empty());
    // A denied call stays denied, and data still flows.
    assert_eq!(house.get("/api/v1/rules").code(), "503 audit_unavailable");
    let feeder = house.token(Role::Ingest, &[]);
    assert_eq!(house.ask_as(&feeder, "POST", PENALTY, b"one").status, 200);
}

#[test]
fn an_outcome_that_cannot_be_audited_is_told_to_the_caller() {
    let house = Plan::with_tokens().build();
    let admin = house.token(Role::Admin, &[]);
    let (open, gate) = mpsc::channel();
    *house.behind.act_gate.lock().unwrap() = Some(gate);
    let (tap, heard) = mpsc::channel();
    *house.behind.audit_tap.lock().unwrap() = Some(tap);
    std::thread::scope(|scope| {
        let reload = "/api/v1/rules/reload";
        let client = scope.spawn(|| house.ask_as(&admin, "POST", reload, b"").code());
        assert!(heard.recv().unwrap().ends_with("requested"));
        house.behind.audit_fails.store(true, Ordering::Relaxed);
        open.send(()).unwrap();
        assert_eq!(client.join().unwrap(), "500 audit_incomplete");
    });
}

#[test]
fn without_tokens_this_machine_may_read_and_feed_but_not_control() {
    let house = Plan::default().build();
    for route in &ROUTES {
        let is_control = route
            .right
            .is_some_and(fenghuo::runtime::tokens::rights::Right::is_control);
        let status = call(&house, route, None);
        if is_control {
            assert_eq!(status, 403, "{}", route.path);
        } else {
            assert!(
                status == 200 || route.path == "/readyz",
                "{} {status}",
                route.path
            );
        }
    }
    assert_eq!(house.audited().len(), 5, "{:?}", house.audited());
}

#[test]
fn without_tokens_a_web_page_gets_nothing() {
    let house = Plan::default().build();
    let page = house.ask("POST", PENALTY, &["Origin: http://evil.example"], b"one");
    assert_eq!(page.code(), "403 not_local");
    // A name of the attacker that resolves to 127.0.0.1.
    let rebound = b"GET /api/v1/rules HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(house.raw(rebound).code(), "403 not_local");
    assert!(house.behind.pushed.lock().unwrap().is_empty());
}

#[test]
fn stopping_finishes_what_is_under_way() {
    let mut house = Plan::default().build();
    let (hold, receipts) = mpsc::channel();
    *house.behind.held.lock().unwrap() = Some(hold);
    let mut client = house.connect();
    std::io::Write::write_all(&mut client, &request("POST", PENALTY, &[], b"one")).unwrap();
    let give = receipts.recv().unwrap();
    // A second connection that sits idle must not delay the end.
    let idle = house.connect();
    house.stop();
    give.send(Receipt {
        read: 1,
        accepted: 1,
        refused: 0,
    })
    .unwrap();
    assert_eq!(house::Answer::read(&mut client).status, 200);
    drop(idle);
    house.join();
    assert!(std::net::TcpStream::connect(house.address).is_err());
}

//! What goes to the nation, and in which form.

use super::*;
use crate::engine::desk::task::OrderedMeasure;
use crate::engine::time::EventTime;

const SUBJECT: &str = "enterprise:91320106MA1XK8QJ3T";

fn entry(kind: OutputKind, subject: &str, line: Vec<u8>) -> OutboxEntry {
    OutboxEntry {
        seq: 1,
        kind,
        subject: subject.into(),
        id: "t1".into(),
        line,
    }
}

fn task(step: Word) -> Vec<u8> {
    let task = Task {
        id: "t1".into(),
        number: 3,
        step,
        step_title: step.title().into(),
        subject_name: "某店".into(),
        department: "某市市场监督管理局".into(),
        actor: "王检".into(),
        verdict: "属实".into(),
        linked: vec!["js/JC-1@0".into()],
        ..Task::bare("w1", SUBJECT, EventTime::from_day(20_500))
    };
    serde_json::to_vec(&task).unwrap()
}

fn measure(order: &str) -> Vec<u8> {
    let measure = Measure {
        id: "m2".into(),
        sanction_id: "s1".into(),
        number: 2,
        order: order.into(),
        lifts: if order == "lift" { "m1" } else { "" }.into(),
        department: "某市财政局".into(),
        subject: SUBJECT.into(),
        subject_name: String::new(),
        rule_id: "ML-001".into(),
        measures: vec![OrderedMeasure {
            code: "CJ-06".into(),
            name: "限制申请财政性资金项目".into(),
            basis: "某条".into(),
            edition: "2024".into(),
            memorandum: String::new(),
        }],
        reason: "列入严重违法失信名单".into(),
        confirmed_by: vec!["李审".into(), "赵批".into()],
        effective_from: "2026-03-01".into(),
        effective_to: None,
        issued_at: "2026-03-01T00:00:00+08:00".into(),
    };
    serde_json::to_vec(&measure).unwrap()
}

#[test]
fn a_step_of_a_case_goes_when_it_changes_the_status_and_names_no_officer() {
    let around = (7, "320000");
    let mut told = Vec::new();
    for step in Word::ALL {
        let line = task(*step);
        let goes = goes(&entry(OutputKind::Task, SUBJECT, line.clone()));
        let message = message(OutputKind::Task, &line, around);
        assert_eq!(goes, message.is_ok(), "{step:?}");
        if let Ok(message) = message {
            let text = String::from_utf8(message).unwrap();
            assert!(!text.contains("王检"), "{text}");
            let value: Value = serde_json::from_str(&text).unwrap();
            let details = &value["supervisionProcess"]["taskDetails"];
            let (status, operation) = (&details["status"], &value["operation"]);
            told.push(format!("{} {status} {operation}\n", step.name()));
        }
    }
    expect_test::expect![[r#"
            dispatched "分发" "i"
            withdrawn "结束" "d"
            claimed "认领" "u"
            fed_back "反馈" "u"
            closed "结束" "u"
            reopened "分发" "u"
            transferred "分发" "u"
            merged "结束" "u"
        "#]]
    .assert_eq(&told.concat());
    let line = task(Word::FedBack);
    let text = message(OutputKind::Task, &line, around).unwrap();
    expect_test::expect![[r#"{"kind":"supervisionProcess","id":"t1","record":"w1","operation":"u","subject":"enterprise:91320106MA1XK8QJ3T","lane_no":7,"supervisionProcess":{"props":{"at":"2026-02-16T00:00:00+08:00","due":null,"level":"","linked":["js/JC-1@0"],"number":3,"onTime":null,"ruleId":"","state":"","step":"fed_back","verdict":"属实"},"province":"320000","riskObject":"某店","riskObjectCertCode":"91320106MA1XK8QJ3T","taskDetails":{"claimTime":"","endReason":"","endTime":"","feedbackSuggestion":"属实","feedbackTime":"2026-02-16T00:00:00+08:00","status":"反馈","taskNo":"w1","unionUnitName":"某市市场监督管理局","unionUnitType":"dept"}}}"#]].assert_eq(std::str::from_utf8(&text).unwrap());
    assert!(!goes(&entry(
        OutputKind::Task,
        "rule:ML-001",
        task(Word::Dispatched)
    )));
    assert!(!goes(&entry(OutputKind::DeadLetter, SUBJECT, Vec::new())));
    assert!(!goes(&entry(OutputKind::Sanction, SUBJECT, Vec::new())));
    // What cannot be read is told when it is shaped.
    assert!(goes(&entry(OutputKind::Task, SUBJECT, b"{}".to_vec())));
    assert!(message(OutputKind::Task, b"{}", around).is_err());
}

#[test]
fn what_the_nation_has_sent_does_not_go_back() {
    let warning = |rule: &str, evidence: &[&str]| {
        let line = json!({ "rule_id": rule, "evidence": evidence }).to_string();
        goes(&entry(OutputKind::Warning, SUBJECT, line.into_bytes()))
    };
    assert!(!warning("QY-001", &["national/FXYJ1@0", "national/RW1@3"]));
    assert!(!warning("GJ-001", &["national/FXYJ1@0"]));
    assert!(!warning("GJ-001", &[]), "withdrawn");
    assert!(warning(
        "QY-001",
        &["national/FXYJ1@0", "hotline-order/1@0"]
    ));
    assert!(warning("QY-001", &[]), "withdrawn");
    let step = json!({ "rule_id": "GJ-001", "step": "claimed" }).to_string();
    assert!(!goes(&entry(OutputKind::Task, SUBJECT, step.into_bytes())));
}

#[test]
fn a_joint_task_is_answered_under_its_number_and_its_end_is_not_told_back() {
    let step = |word: &str, case: &str| {
        let mut line: Value = serde_json::from_slice(&task(Word::FedBack)).unwrap();
        line["case_id"] = json!(case);
        line["rule_id"] = json!("GJ-TASK");
        line["step"] = json!(word);
        line.to_string().into_bytes()
    };
    let goes = |word: &str, case: &str| goes(&entry(OutputKind::Task, SUBJECT, step(word, case)));
    for (word, expected) in [
        ("dispatched", true),
        ("claimed", true),
        ("fed_back", true),
        ("closed", true),
        ("reminded", false),
        ("withdrawn", false),
        ("ended", false),
    ] {
        assert_eq!(goes(word, "task:RW2026050001"), expected, "{word}");
    }
    assert!(!goes("claimed", "w1"), "a warning from the nation");
    let text = message(
        OutputKind::Task,
        &step("fed_back", "task:RW2026050001"),
        (4, "320000"),
    );
    let value: Value = serde_json::from_slice(&text.unwrap()).unwrap();
    let details = &value["supervisionProcess"]["taskDetails"];
    assert_eq!(
        (
            &value["kind"],
            &value["record"],
            &value["operation"],
            &details["taskNo"],
            &details["status"],
            &details["feedbackSuggestion"]
        ),
        (
            &json!("supervisionProcess"),
            &json!("RW2026050001"),
            &json!("u"),
            &json!("RW2026050001"),
            &json!("反馈"),
            &json!("属实")
        )
    );
}

#[test]
fn a_key_event_is_not_sent() {
    let mut line: Value = serde_json::from_slice(&task(Word::Closed)).unwrap();
    line["case_id"] = json!("event:2026-1");
    let line = line.to_string().into_bytes();
    assert!(!goes(&entry(OutputKind::Task, "region:320000", line)));
}

#[test]
fn an_order_and_its_lift_are_one_record() {
    for order in ["impose", "lift"] {
        let line = measure(order);
        assert!(goes(&entry(OutputKind::Measure, SUBJECT, line.clone())));
        let text = message(OutputKind::Measure, &line, (1, "320000")).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains("李审"), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        let expected = if order == "lift" {
            ("m1", "d")
        } else {
            ("m2", "i")
        };
        assert_eq!(
            (&value["record"], &value["operation"]),
            (&json!(expected.0), &json!(expected.1))
        );
        if order == "impose" {
            expect_test::expect![[r#"{"kind":"jointSanction","id":"m2","record":"m2","operation":"i","subject":"enterprise:91320106MA1XK8QJ3T","lane_no":1,"jointSanction":{"confirmations":2,"department":"某市财政局","effectiveFrom":"2026-03-01","effectiveTo":null,"issuedAt":"2026-03-01T00:00:00+08:00","lifts":"","measures":[{"basis":"某条","code":"CJ-06","edition":"2024","name":"限制申请财政性资金项目"}],"order":"impose","province":"320000","reason":"列入严重违法失信名单","riskObject":"91320106MA1XK8QJ3T","riskObjectCertCode":"91320106MA1XK8QJ3T","ruleId":"ML-001","sanctionNo":"s1"}}"#]].assert_eq(&text);
        }
    }
}

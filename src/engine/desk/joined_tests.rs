//! Tests of key events, of joint tasks of the nation, and of the catalogue's part in routing.

use super::key_event::Phase;
use super::tests::{FIRM, Office, refusal, set_routed, tasks};
use super::*;
use proptest::prelude::*;
use serde_json::json;

const EVENT: &str = "event:2026-1";

fn on_event(office: &mut Office, event: &str, act: &str, target: &str, at: &str) -> Vec<Message> {
    let fields = json!({
        "warning_id": event, "act": act, "actor": "赵处", "actor_role": "officer", "note": "因故", "target": target,
    });
    office.record("action", at, &fields)
}

fn event<'a>(office: &'a Office, id: &str) -> &'a KeyEvent {
    office
        .desk
        .key_events()
        .find(|event| event.id == id)
        .unwrap()
}

#[test]
fn an_event_is_opened_joined_and_closed_when_all_is_fed_back() {
    let mut office = Office::new();
    office.warn("W1", "黄", "2026-05-06", "raised");
    office.sanction("S1", "限制消费", "proposed", "2026-05-06");
    let at = "2026-05-07 09:00";
    let why = refusal(on_event(&mut office, EVENT, "join", "W1", at));
    assert!(why.contains("须先立"), "{why}");
    let told = tasks(on_event(&mut office, EVENT, "open", "某某系列", at));
    assert_eq!(
        (told[0].step, told[0].number, told[0].title.as_str()),
        (Word::Opened, 1, "某某系列")
    );
    for target in ["W1", "S1"] {
        let told = tasks(on_event(&mut office, EVENT, "join", target, at));
        assert_eq!(told[0].step, Word::Joined, "{target}");
    }
    let why = refusal(on_event(&mut office, EVENT, "join", "W9", at));
    assert!(why.contains("没有编号为“W9”"), "{why}");
    let why = refusal(on_event(&mut office, EVENT, "close", "", at));
    assert!(why.contains("还有 1 件预警未反馈,如 W1"), "{why}");
    office.record(
        "feedback",
        at,
        &json!({ "warning_id": "W1", "verdict": "属实", "unit": "市" }),
    );
    let told = tasks(on_event(&mut office, EVENT, "close", "", at));
    assert_eq!(
        (told[0].step, told[0].state.as_str()),
        (Word::Closed, "closed")
    );
    assert_eq!(event(&office, EVENT).conclusion, "因故");
    let why = refusal(on_event(&mut office, EVENT, "leave", "S1", at));
    assert!(why.contains("已结案"), "{why}");
    let told = tasks(on_event(&mut office, EVENT, "reopen", "", at));
    assert_eq!(
        (told[0].step, told[0].linked.as_slice()),
        (Word::Reopened, &["W1".to_owned(), "S1".to_owned()][..])
    );
}

#[test]
fn an_event_needs_an_id_and_a_title_that_can_be_used() {
    let mut office = Office::new();
    let at = "2026-05-07 09:00";
    for (id, title) in [("event:", "x"), ("event:a b", "x"), ("event:a/b", "x")] {
        let why = refusal(on_event(&mut office, id, "open", title, at));
        assert!(why.contains("不能用"), "{id}: {why}");
    }
    let long = "长".repeat(101);
    let why = refusal(on_event(&mut office, EVENT, "open", &long, at));
    assert!(why.contains("须有名称"), "{why}");
    let why = refusal(on_event(&mut office, EVENT, "claim", "", at));
    assert!(why.contains("须先立"), "{why}");
    assert_eq!(office.desk.key_events().count(), 0);
}

#[test]
fn what_belongs_to_an_event_is_kept_as_long_as_the_event() {
    let mut office = Office::new();
    let at = "2026-05-07 09:00";
    for id in ["W1", "W2"] {
        office.warn(id, "黄", "2026-05-06", "raised");
        office.record(
            "feedback",
            at,
            &json!({ "warning_id": id, "verdict": "属实", "unit": "市" }),
        );
        office.act(id, "close", "王检", at);
    }
    on_event(&mut office, EVENT, "open", "某某系列", at);
    on_event(&mut office, EVENT, "join", "W1", at);
    let later = EventTime::parse("2029-12-31").map(|(at, _)| at).unwrap();
    office.desk.forget(later.plus_days(-KEPT_DAYS));
    assert!(office.desk.get("W1").is_some() && office.desk.get("W2").is_none());
    on_event(&mut office, EVENT, "close", "", "2026-05-08 09:00");
    office.desk.forget(later.plus_days(-KEPT_DAYS));
    assert!(office.desk.get(EVENT).is_none() && office.desk.get("W1").is_none());
}

/// The same desk again, from what it keeps.
fn restarted(office: Office) -> Office {
    let mut desk = Desk::default();
    for item in office.desk.items() {
        let bytes = postcard::to_allocvec(item).unwrap();
        desk.restore(&office.set, postcard::from_bytes(&bytes).unwrap());
    }
    Office { desk, ..office }
}

proptest! {
    /// Whatever officers do: a warning is in one open event at most, no event was closed over a warning without feedback, the numbers
    /// of a course have no gap, and a restart after every act changes nothing.
    #[test]
    fn events_keep_their_promises_whatever_officers_do(
        acts in proptest::collection::vec((0_usize..7, 0_usize..3, 0_usize..3), 1..40),
    ) {
        let (mut whole, mut broken) = (Office::new(), Office::new());
        for office in [&mut whole, &mut broken] {
            for id in ["W0", "W1", "W2"] {
                office.warn(id, "黄", "2026-05-06", "raised");
            }
        }
        for (number, (act, of, target)) in acts.into_iter().enumerate() {
            let at = format!("2026-05-07 09:{number:02}");
            let (of, target) = (format!("event:{of}"), format!("W{target}"));
            let what = |office: &mut Office| match act {
                0 => on_event(office, &of, "open", "事", &at),
                1 | 2 => on_event(office, &of, "join", &target, &at),
                3 => on_event(office, &of, "leave", &target, &at),
                4 => on_event(office, &of, "close", "", &at),
                5 => on_event(office, &of, "reopen", "", &at),
                _ => office.record("feedback", &at, &json!({ "warning_id": target, "verdict": "属实", "unit": "市" })),
            };
            let said = what(&mut whole);
            prop_assert_eq!(&said, &what(&mut broken));
            broken = restarted(broken);
            for event in whole.desk.key_events() {
                let numbers: Vec<u32> = event.steps.iter().map(|step| step.number).collect();
                let expected: Vec<u32> = (1..).take(numbers.len()).collect();
                prop_assert_eq!(numbers, expected);
                let others = whole.desk.key_events().filter(|other| other.id != event.id && other.state == Phase::Open);
                for member in others.flat_map(|other| &other.members) {
                    prop_assert!(event.state == Phase::Closed || !event.has(&member.id), "{} twice", member.id);
                }
            }
            for task in tasks(said).iter().filter(|task| task.step == Word::Closed) {
                for id in &task.linked {
                    let Some(Item::Case(case)) = whole.desk.get(id) else { panic!("{id}") };
                    prop_assert!(!case.is_open(), "{id} without feedback");
                }
            }
        }
        let items = |office: &Office| office.desk.items().cloned().collect::<Vec<_>>();
        prop_assert_eq!(items(&whole), items(&broken));
    }
}

#[test]
fn a_joint_task_is_a_case_under_the_number_of_the_nation() {
    let mut office = Office::new();
    let task = |status: &str| {
        json!({
            "kind": "协同任务", "national_no": "RW1", "title": "联合检查", "status": status, "initiator": "国家局", "region": "320106",
        })
    };
    let told = tasks(office.record("national", "2026-05-06 09:00", &task("分发")));
    let first = &told[0];
    assert_eq!(
        (first.case_id.as_str(), first.step, first.level.as_str()),
        ("task:RW1", Word::Dispatched, "黄")
    );
    assert_eq!(
        (first.rule_id.as_str(), first.why.as_str()),
        ("GJ-TASK", "国家局：联合检查")
    );
    assert_eq!(first.department, "市场监督管理局（320106）");
    let told = tasks(office.act("task:RW1", "claim", "王检", "2026-05-06 10:00"));
    assert_eq!(told[0].step, Word::Claimed);
    let told = tasks(office.record("national", "2026-05-06 11:00", &task("认领")));
    assert_eq!(told[0].step, Word::Revised);
    let told = tasks(office.record(
        "inspection",
        "2026-05-07 09:00",
        &json!({ "result": "合格" }),
    ));
    assert_eq!((told[0].step, told[0].linked.len()), (Word::Linked, 1));
    let said = json!({ "warning_id": "task:RW1", "verdict": "不属实", "unit": "区局" });
    let told = tasks(office.record("feedback", "2026-05-08 09:00", &said));
    assert_eq!((told[0].step, told[0].on_time), (Word::FedBack, Some(true)));
    // A national warning is none of the desk's own tasks.
    let warning = json!({ "kind": "风险预警", "national_no": "FX1", "title": "线索" });
    assert!(
        office
            .record("national", "2026-05-08 10:00", &warning)
            .is_empty()
    );
    assert_eq!(office.desk.get("task:FX1"), None);
    assert_eq!(FIRM, first.subject);
}

#[test]
fn a_warning_goes_by_the_domain_of_its_catalogue_item() {
    let routing = "[[route]]\ndomains = [\"食品\"]\ndepartment = \"食药\"\nsuperior = \"省\"\n\n[[route]]\ndepartment = \"其余\"\nsuperior = \"省\"\n";
    let mut office = Office::new();
    office.set = set_routed("", routing);
    let item = |domain: &str| json!({ "item_code": "01320000000001", "domain": domain, "department": "省局", "main_item": "检查" });
    let route = |office: &mut Office, id: &str| {
        office.seq += 1;
        let warning = json!({
            "id": id, "warning_id": id, "transition": "raised", "transition_number": 1, "status": "open", "revision": 0,
            "subject": FIRM, "rule_id": "T-1", "rule_name": "试验", "level": "黄", "level_code": "P2", "message": "x",
            "points": 1, "score": 1.0, "first_event_at": "2026-05-06", "last_event_at": "2026-05-06", "generated_at": "2026-05-06",
            "is_late": false, "findings": 1, "evidence": [], "observed": [], "basis": [], "rule_set": "",
            "item_code": "01320000000001",
        });
        let warning = serde_json::from_value(warning).unwrap();
        tasks(office.go(Vec::new(), vec![Message::Warning(Box::new(warning))]))[0]
            .department
            .clone()
    };
    assert_eq!(route(&mut office, "W1"), "其余");
    assert!(
        office
            .record("catalogue", "2026-05-01", &item("食品"))
            .is_empty()
    );
    assert_eq!(route(&mut office, "W2"), "食药");
    let mut office = restarted(office);
    assert_eq!(route(&mut office, "W3"), "食药");
    office.record("catalogue", "2026-05-02", &item("药品"));
    assert_eq!(route(&mut office, "W4"), "其余");
}

#[test]
fn a_case_is_returned_transferred_and_merged_and_says_to_whom() {
    let mut office = Office::new();
    for id in ["W1", "W2"] {
        office.warn(id, "黄", "2026-05-06", "raised");
    }
    let act = |office: &mut Office, id: &str, act: &str, target: &str, at: &str| {
        let fields = json!({
            "warning_id": id, "act": act, "actor": "王检", "actor_role": "officer", "note": "因故", "target": target,
        });
        tasks(office.record("action", at, &fields)).remove(0)
    };
    let told = act(&mut office, "W1", "return", "", "2026-05-06 10:00");
    assert_eq!(
        (told.step, told.state.as_str()),
        (Word::Returned, "returned")
    );
    let told = act(
        &mut office,
        "W1",
        "transfer",
        "应急管理局",
        "2026-05-08 10:00",
    );
    assert_eq!(
        (told.step, told.department.as_str(), told.why.as_str()),
        (Word::Transferred, "应急管理局", "应急管理局 因故")
    );
    let due = told.due.map(|due| (due.what, due.at));
    assert_eq!(
        due,
        Some(("认领".to_owned(), "2026-05-09T23:59:59+08:00".to_owned())),
        "counted anew; the ninth is worked"
    );
    let told = act(&mut office, "W1", "escalate", "", "2026-05-08 11:00");
    assert_eq!(
        (told.step, told.department.as_str()),
        (Word::Escalated, "江苏省市场监督管理局")
    );
    for target in ["W1", "W9"] {
        let told = act(&mut office, "W1", "merge", target, "2026-05-08 12:00");
        assert_eq!(told.step, Word::Refused, "{target}");
    }
    let told = act(&mut office, "W1", "merge", "W2", "2026-05-08 13:00");
    assert_eq!(
        (told.step, told.state.as_str(), told.due),
        (Word::Merged, "merged", None)
    );
    let told = act(&mut office, "W2", "merge", "W1", "2026-05-08 14:00");
    assert!(told.why.contains("不存在或已了结"), "{}", told.why);
    let said = json!({ "warning_id": "W1", "verdict": "属实", "unit": "区局" });
    let why = refusal(office.record("feedback", "2026-05-08 15:00", &said));
    assert!(why.contains("预警已合并"), "{why}");
}

#[test]
fn what_is_due_in_one_hour_is_told_in_the_same_order_after_a_restart() {
    for is_restarted in [false, true] {
        let mut office = Office::new();
        office.warn("W2", "橙", "2026-05-06 08:00", "raised");
        office.warn("W1", "橙", "2026-05-06 09:00", "raised");
        // Counted anew: W2 is due at 14:00 and no longer at 12:00, W1 at 13:00.
        let fields = json!({
            "warning_id": "W2", "act": "transfer", "actor": "王检", "actor_role": "officer", "target": "某局",
        });
        office.record("action", "2026-05-06 10:00", &fields);
        if is_restarted {
            office = restarted(office);
        }
        let told = office.tick("2026-05-06 15:00");
        let order: Vec<(&str, Word)> = told
            .iter()
            .map(|task| (task.case_id.as_str(), task.step))
            .collect();
        assert_eq!(
            order,
            [("W1", Word::Overdue), ("W2", Word::Overdue)],
            "{is_restarted}"
        );
    }
}

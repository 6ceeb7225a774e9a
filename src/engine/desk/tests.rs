//! Tests of the desk: deadlines by the calendar, who may do what, and that no lift comes before or without its order.

use super::case::Due;
use super::evaluation::Evaluation;
use super::sanction::Stand;
use super::*;
use crate::engine::connector::canonical;
use crate::engine::rule::RuleSources;
use proptest::prelude::*;
use serde_json::json;

pub(super) const FIRM: &str = "enterprise:91320106MA1076724W";
const MEASURES: &str = r#"
measure = [
  { code = "M-1", name = "限制消费", basis = "清单", edition = "2024" },
  { code = "M-2", name = "列为重点", basis = "清单", edition = "2024" },
]
"#;
const SANCTIONS: &str = r#"
limits = { per_rule_and_day = 2, receive_working_days = 1, apply_working_days = 3 }
order = [
  { code = "M-1", departments = ["甲局", "乙局"], two_persons = true },
  { code = "M-2", departments = ["甲局", "乙局", "丙局"] },
]
"#;
const RULE: &str = "//! 试验规则\nconst RULE = #{ id: \"T-1\", name: \"试验\", owner: \"处\", basis: [\"《中华人民共和国行政处罚法》\"],\n  \
    on: [\"complaint\"], history: \"365d\" };\nfn decide(ev, who, p) { warn(#{ level: \"蓝\", score: 1, message: \"x\" }); }\n";

/// The repository's tables, with one rule, seven working days to verify a 黄, and this at the end of the calendar.
fn set(calendar: &str) -> RuleSet {
    set_routed(calendar, include_str!("../../../rules/routing.toml"))
}

/// The same with other routes.
pub(super) fn set_routed(calendar: &str, routing: &str) -> RuleSet {
    let scoring = include_str!("../../../rules/scoring.toml");
    let sources = RuleSources {
        files: vec![("complaint/t.rhai".to_owned(), RULE.to_owned())],
        calendar: format!(
            "{}\n{calendar}",
            include_str!("../../../rules/calendar.toml")
        ),
        scoring: scoring.replace("verify_working_days = 5", "verify_working_days = 7"),
        laws: include_str!("../../../rules/laws.toml").to_owned(),
        measures: MEASURES.to_owned(),
        routing: routing.to_owned(),
        sanctions: SANCTIONS.to_owned(),
    };
    RuleSet::restore(&sources).unwrap_or_else(|found| panic!("{found:?}"))
}

pub(super) fn time(text: &str) -> EventTime {
    EventTime::parse(text).map(|(time, _)| time).unwrap()
}

/// A desk with its rules and the next place in the stream.
pub(super) struct Office {
    pub(super) set: RuleSet,
    pub(super) desk: Desk,
    pub(super) seq: u64,
}

impl Office {
    pub(super) fn new() -> Self {
        Self {
            set: set(""),
            desk: Desk::default(),
            seq: 0,
        }
    }

    pub(super) fn go(&mut self, cues: Vec<Cue>, messages: Vec<Message>) -> Vec<Message> {
        let sent = messages.into_iter().map(|message| Sent {
            seq: self.seq,
            is_collective: false,
            subject: Arc::new(SubjectKey::parse(FIRM).unwrap()),
            message,
        });
        let out = self.desk.work(&self.set, cues, sent.collect());
        out.into_iter().map(|sent| sent.message).collect()
    }

    pub(super) fn warn(&mut self, id: &str, level: &str, at: &str, transition: &str) -> Vec<Task> {
        self.seq += 1;
        let warning = json!({
            "id": id, "warning_id": id, "transition": transition, "transition_number": 1, "status": "open", "revision": 0,
            "subject": FIRM, "rule_id": "T-1", "rule_name": "试验", "level": level, "level_code": "P2", "message": "x",
            "points": 1, "score": 1.0, "first_event_at": at, "last_event_at": at, "generated_at": at, "is_late": false,
            "findings": 1, "evidence": [], "observed": [], "basis": [], "rule_set": "",
        });
        let warning = serde_json::from_value(warning).unwrap();
        tasks(self.go(Vec::new(), vec![Message::Warning(Box::new(warning))]))
    }

    pub(super) fn sanction(
        &mut self,
        id: &str,
        measure: &str,
        status: &str,
        at: &str,
    ) -> Vec<Message> {
        self.seq += 1;
        let transition = if status == "proposed" {
            "raised"
        } else {
            "withdrawn"
        };
        let sanction = json!({
            "id": id, "sanction_id": id, "transition": transition, "transition_number": 1, "status": status,
            "subject": FIRM, "rule_id": "T-1", "rule_name": "试验", "measures": [measure], "partners": [], "message": "x",
            "lift_reason": "处罚已撤销", "effective_from": at, "needs_review": true, "generated_at": at, "evidence": [],
            "basis": [], "rule_set": "",
        });
        let sanction = serde_json::from_value(sanction).unwrap();
        self.go(Vec::new(), vec![Message::Sanction(Box::new(sanction))])
    }

    pub(super) fn record(
        &mut self,
        stream: &str,
        at: &str,
        fields: &serde_json::Value,
    ) -> Vec<Message> {
        self.seq += 1;
        let line = json!({
            "source": "t", "record_id": format!("R{}", self.seq), "version": 1, "stream": stream, "occurred_at": at,
            "subjects": [FIRM], "fields": fields,
        });
        let event = canonical::read(&line.to_string()).unwrap();
        let cue = Cue {
            seq: self.seq,
            clock: event.occurred_at,
            what: What::Record(Prepared::new(event)),
        };
        self.go(vec![cue], Vec::new())
    }

    pub(super) fn act(&mut self, id: &str, act: &str, actor: &str, at: &str) -> Vec<Message> {
        let fields = json!({ "warning_id": id, "act": act, "actor": actor, "actor_role": "officer", "note": "因故" });
        self.record("action", at, &fields)
    }

    /// What a department says.
    fn say(&mut self, act: &str, department: &str, at: &str) -> Vec<Message> {
        let fields = json!({
            "warning_id": "S", "act": act, "actor": "接口", "actor_role": "officer", "target": department,
        });
        self.record("action", at, &fields)
    }

    pub(super) fn tick(&mut self, at: &str) -> Vec<Task> {
        self.seq += 1;
        let cue = Cue {
            seq: self.seq,
            clock: time(at),
            what: What::Tick,
        };
        tasks(self.go(vec![cue], Vec::new()))
    }
}

pub(super) fn tasks(messages: Vec<Message>) -> Vec<Task> {
    let of = |message| match message {
        Message::Task(task) => Some(*task),
        _ => None,
    };
    messages.into_iter().filter_map(of).collect()
}

fn orders(messages: &[Message]) -> Vec<&Measure> {
    let mut orders = Vec::new();
    for message in messages {
        if let Message::Measure(measure) = message {
            orders.push(&**measure);
        }
    }
    orders
}

pub(super) fn refusal(messages: Vec<Message>) -> String {
    match tasks(messages).as_slice() {
        [task] if task.step == Word::Refused => task.why.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn deadlines_fall_on_the_days_of_the_published_calendar() {
    for (level, act, from, what, due) in [
        ("黄", "claim", "2026-09-29", "核查", "2026-10-14"),
        ("黄", "claim", "2026-02-12", "核查", "2026-02-28"),
        ("蓝", "verify", "2026-04-29", "反馈", "2026-05-22"),
        ("蓝", "verify", "2026-09-24", "反馈", "2026-10-22"),
    ] {
        let mut office = Office::new();
        let at = format!("{from}T09:00:00+08:00");
        office.warn("W", level, &at, "raised");
        let mut told = tasks(office.act("W", "claim", "王", &at));
        if act == "verify" {
            told = tasks(office.act("W", "verify", "王", &at));
        }
        let due = Due {
            what: what.to_owned(),
            at: format!("{due}T23:59:59+08:00"),
            problem: String::new(),
        };
        assert_eq!(told[0].due, Some(due), "{from}");
    }
}

#[test]
fn a_deadline_that_moved_on_is_told_in_its_new_place() {
    let mut office = Office::new();
    office.warn("A", "橙", "2026-09-29T09:00:00+08:00", "raised");
    office.warn("B", "橙", "2026-09-29T09:30:00+08:00", "raised");
    // Due at 14:00 instead of at 13:00, which was before what is due of the other.
    office.warn("A", "红", "2026-09-29T12:00:00+08:00", "revised");
    let told = office.tick("2026-09-29T14:00:00+08:00");
    let cases: Vec<&str> = told.iter().map(|task| task.case_id.as_str()).collect();
    assert_eq!(cases, ["B", "A"]);
}

#[test]
fn reminds_then_is_overdue_then_goes_up() {
    let mut office = Office::new();
    office.warn("W", "黄", "2026-09-29T09:00:00+08:00", "raised");
    office.act("W", "claim", "王", "2026-09-29T10:00:00+08:00");
    let mut course = Vec::new();
    for day in 1..=16 {
        let at = format!("2026-10-{day:02}T01:00:00+08:00");
        course.extend(office.tick(&at).into_iter().map(|task| (day, task.step)));
    }
    // Due on 10-14: a reminder a working day before, overdue the day after, then a working day more.
    let expected = [
        (13, Word::Reminded),
        (15, Word::Overdue),
        (16, Word::Escalated),
    ];
    assert_eq!(course, expected);
    assert_eq!(office.desk.count().overdue, 1);
    let feedback = json!({ "warning_id": "W", "verdict": "属实", "unit": "甲局" });
    let told = tasks(office.record("feedback", "2026-10-30T09:00:00+08:00", &feedback));
    assert_eq!(
        (told[0].step, told[0].on_time),
        (Word::FedBack, Some(false))
    );
    assert_eq!(office.desk.count().overdue, 0);
}

#[test]
fn indicators_count_what_the_course_of_cases_says() {
    let mut office = Office::new();
    for id in ["A", "B", "C"] {
        office.warn(id, "黄", "2026-06-01T09:00:00+08:00", "raised");
    }
    office.warn("D", "黄", "2026-07-01T09:00:00+08:00", "raised");
    office.act("A", "claim", "王", "2026-06-01T10:00:00+08:00");
    let word =
        |id: &str, verdict: &str| json!({ "warning_id": id, "verdict": verdict, "unit": "甲局" });
    office.record(
        "feedback",
        "2026-06-01T19:00:00+08:00",
        &word("A", "部分属实"),
    );
    office.record(
        "feedback",
        "2026-07-01T09:00:00+08:00",
        &word("B", "不属实"),
    );
    office.tick("2026-07-03T09:00:00+08:00");
    let june = Evaluation::of(&office.desk, time("2026-06-01"), time("2026-06-30"));
    let all = &june.total;
    assert_eq!((all.cases, all.claimed, all.repeated), (3, 1, 2));
    assert_eq!((all.fed_back, all.on_time, all.late), (2, 1, 1));
    assert_eq!((all.confirmed, all.refuted, all.overdue), (1, 1, 1));
    assert_eq!(
        (all.on_time_share, all.confirmed_share),
        (Some(0.5), Some(0.5))
    );
    // Ten hours, and thirty days.
    assert_eq!(all.disposal_hours_mean, Some(365.0));
    assert_eq!(june.rules.get("T-1"), Some(all));
    assert_eq!(june.departments.get("市场监督管理局（320000）"), Some(all));
    let july = Evaluation::of(&office.desk, time("2026-07-01"), time("2026-07-31"));
    assert_eq!((july.total.cases, july.total.repeated), (1, 1));
    assert_eq!(july.total.on_time_share, None);
}

#[test]
fn an_unpublished_year_is_said_and_its_publication_gives_the_deadline() {
    let mut office = Office::new();
    office.warn("W", "蓝", "2026-12-25T09:00:00+08:00", "raised");
    let told = tasks(office.act("W", "claim", "王", "2026-12-25T10:00:00+08:00"));
    let due = told[0].due.clone().unwrap();
    assert_eq!(due.at, "");
    assert!(due.problem.contains("2027 年"), "{}", due.problem);
    assert_eq!(office.desk.count().undated, 1);
    assert_eq!(office.tick("2026-12-28T09:00:00+08:00"), []);

    office.set = set("[year.2027]\nsource = [\"通知\"]\noff = [\"01-01..01-03\"]\nwork = []\n");
    let place = Place {
        set: &office.set,
        seq: 9,
        clock: time("2026-12-28T09:00:00+08:00"),
    };
    let moved: Vec<Message> = office
        .desk
        .recalculate(place)
        .into_iter()
        .map(|sent| sent.message)
        .collect();
    let told = tasks(moved);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].step, Word::DueChanged);
    // 12-28 to 12-31 are four, 01-04 to 01-08 five, 01-11 the tenth.
    assert_eq!(told[0].due.clone().unwrap().at, "2027-01-11T23:59:59+08:00");
    assert_eq!(office.desk.count().undated, 0);
    assert_eq!(
        office.tick("2027-01-08T09:00:00+08:00")[0].step,
        Word::Reminded
    );
}

#[test]
fn of_two_officers_at_once_the_first_holds_the_case() {
    let mut office = Office::new();
    let at = "2026-06-01T10:00:00+08:00";
    office.warn("W", "橙", "2026-06-01T09:00:00+08:00", "raised");
    assert_eq!(
        tasks(office.act("W", "claim", "王", at))[0].step,
        Word::Claimed
    );
    assert_eq!(refusal(office.act("W", "claim", "李", at)), "已由“王”认领");
    let why = refusal(office.act("W", "verify", "李", at));
    assert_eq!(why, "由“王”认领,须由其办理或先转办");
    assert_eq!(
        refusal(office.act("W", "close", "王", at)),
        "预警处于“认领”,不能办结"
    );
}

#[test]
fn a_flood_of_refusals_keeps_nobody_from_a_case() {
    let mut office = Office::new();
    let at = "2026-06-01T10:00:00+08:00";
    office.warn("W", "橙", "2026-06-01T09:00:00+08:00", "raised");
    let told = (0..STEPS_MAX * 2).map(|_| tasks(office.act("W", "close", "王", at)).len());
    let told: usize = told.sum();
    assert!(
        told < STEPS_MAX && STEPS_MAX / 2 < told,
        "{told} refusals were told"
    );
    for (act, step) in [("claim", Word::Claimed), ("verify", Word::Verifying)] {
        assert_eq!(tasks(office.act("W", act, "王", at))[0].step, step);
    }
    assert!(office.act("W", "claim", "李", at).is_empty());
}

#[test]
fn feedback_on_what_is_unknown_or_over_is_refused_aloud() {
    let mut office = Office::new();
    let at = "2026-06-01T10:00:00+08:00";
    let word =
        |id: &str, verdict: &str| json!({ "warning_id": id, "verdict": verdict, "unit": "甲局" });
    let why = refusal(office.record("feedback", at, &word("无", "属实")));
    assert_eq!(why, "没有编号为“无”的预警");
    office.warn("W", "橙", "2026-06-01T09:00:00+08:00", "raised");
    office.warn("W", "橙", at, "withdrawn");
    assert_eq!(
        refusal(office.record("feedback", at, &word("W", "属实"))),
        "预警已撤销"
    );
    office.warn("V", "橙", "2026-06-01T09:00:00+08:00", "raised");
    office.record("feedback", at, &word("V", "属实"));
    office.act("V", "close", "王", at);
    // A closed case hears a later word: what was found out may have been wrong.
    let told = tasks(office.record(
        "feedback",
        "2026-06-02T10:00:00+08:00",
        &word("V", "不属实"),
    ));
    assert_eq!(
        (told[0].step, told[0].verdict.as_str()),
        (Word::FedBack, "不属实")
    );
    assert_eq!(told[0].state, "closed");
}

#[test]
fn the_gravest_measures_need_two_persons() {
    let mut office = Office::new();
    let at = "2026-06-01T10:00:00+08:00";
    office.sanction("S", "限制消费", "proposed", at);
    let first = office.act("S", "confirm", "赵", at);
    assert_eq!(orders(&first), Vec::<&Measure>::new());
    let why = refusal(office.act("S", "confirm", "赵", at));
    assert_eq!(why, "“赵”已确认过,须由另一人确认");
    let second = office.act("S", "confirm", "钱", at);
    let departments: Vec<&str> = orders(&second)
        .into_iter()
        .map(|order| order.department.as_str())
        .collect();
    assert_eq!(departments, ["乙局", "甲局"]);
    assert_eq!(orders(&second)[0].confirmed_by, ["赵", "钱"]);
}

#[test]
fn a_quota_halts_a_rule_and_two_persons_release_it_and_lifts_go_on() {
    let mut office = Office::new();
    let at = "2026-06-01T10:00:00+08:00";
    for id in ["S", "S2", "S3"] {
        office.sanction(id, "列为重点", "proposed", at);
    }
    assert_eq!(orders(&office.act("S", "confirm", "赵", at)).len(), 3);
    assert_eq!(orders(&office.act("S2", "confirm", "赵", at)).len(), 3);
    let third = office.act("S3", "confirm", "赵", at);
    assert!(orders(&third).is_empty());
    let words: Vec<Word> = tasks(third).iter().map(|task| task.step).collect();
    assert_eq!(words, [Word::Halted, Word::Refused]);
    assert_eq!(office.desk.count().halted, 1);
    // The next day it is halted still, and lifts are not held back.
    let next = "2026-06-02T10:00:00+08:00";
    assert!(refusal(office.act("S3", "confirm", "赵", next)).contains("已停用"));
    office.say("receive", "甲局", next);
    assert_eq!(
        orders(&office.sanction("S", "列为重点", "lifted", next)).len(),
        1
    );
    office.act("rule:T-1", "release", "孙", next);
    let why = refusal(office.act("rule:T-1", "release", "孙", next));
    assert_eq!(why, "“孙”已同意恢复,须由另一人同意");
    assert_eq!(
        tasks(office.act("rule:T-1", "release", "李", next))[0].step,
        Word::Released
    );
    assert_eq!(orders(&office.act("S3", "confirm", "赵", next)).len(), 3);
    // By hand.
    office.act("rule:T-1", "halt", "孙", next);
    assert_eq!(office.desk.count().halted, 1);
}

/// What happens to a sanction, in any order.
fn happening() -> impl Strategy<Value = (u8, u8)> {
    (0_u8..7, 0_u8..3)
}

proptest! {
    /// At each department orders and lifts take turns, a lift names the order before it, and the department had said that it
    /// has that order; what is lifted in the end is lifted everywhere where it was received.
    #[test]
    fn a_lift_never_overtakes_or_precedes_its_order(happenings in prop::collection::vec(happening(), 0..60)) {
        let mut office = Office::new();
        let departments = ["甲局", "乙局", "丙局"];
        // Of each department: the order that stands there, and whether it said that it has it.
        let mut standing: BTreeMap<String, (String, bool)> = BTreeMap::new();
        for (step, (what, who)) in happenings.into_iter().enumerate() {
            let at = format!("2026-06-{:02}T10:00:00+08:00", 1 + step % 28);
            let department = departments[usize::from(who)];
            let told = match what {
                0 => office.sanction("S", "列为重点", "proposed", &at),
                1 => office.sanction("S", "列为重点", "lifted", &at),
                2 => office.act("S", "confirm", "赵", &at),
                3 => office.act("S", "reject", "赵", &at),
                4 => office.say("receive", department, &at),
                5 => office.say("apply", department, &at),
                _ => office.say("remove", department, &at),
            };
            let is_refused = told.iter().any(|m| matches!(m, Message::Task(t) if t.step == Word::Refused));
            if matches!(what, 4 | 5) && !is_refused && let Some(stands) = standing.get_mut(department) {
                stands.1 = true;
            }
            for order in orders(&told) {
                if order.order == "impose" {
                    let entry = (order.id.clone(), false);
                    prop_assert_eq!(standing.insert(order.department.clone(), entry), None);
                } else {
                    let before = standing.remove(&order.department);
                    prop_assert_eq!(before, Some((order.lifts.clone(), true)));
                }
            }
            if let Some(Item::Order(order)) = office.desk.get("S") && order.state == Stand::Lifted {
                prop_assert!(standing.is_empty());
            }
        }
    }
}

//! What is known of a subject, as JSON: behind `GET /api/v1/subjects/…` and `fenghuo state show --format json`.

use crate::engine::desk::Item;
use crate::engine::desk::key_event::KeyEvent;
use crate::engine::duel::Duel;
use crate::engine::event::SubjectKey;
use crate::engine::input::Conduct;
use crate::engine::province::Province;
use crate::engine::settle::{score, standing};
use crate::engine::subject::state::{Holdings, Subject};
use crate::engine::time::EventTime;
use crate::engine::warning::Message;
use serde_json::{Value, json};

/// What is known of a subject, as JSON.
pub fn describe(province: &Province, subject: &Subject) -> Value {
    let court = province.court();
    let score = score(&court, subject);
    let messages: Vec<Value> = standing(&court, subject).iter().map(message_json).collect();
    let holdings = match &subject.holdings {
        Holdings::Facts(facts) => {
            let list: Vec<Value> = facts
                .streams()
                .flat_map(|(stream, list)| list.iter().filter_map(move |fact| fact.event(stream)))
                .map(|event| {
                    let text: Vec<String> = event.fields.iter().map(|(f, v)| format!("{}={}", f.name(), words(v))).collect();
                    let fields: serde_json::Map<String, Value> =
                        event.fields.iter().map(|(f, v)| (f.name().to_owned(), json!(words(v)))).collect();
                    json!({ "stream": event.stream.name(), "id": event.id(), "occurred_at": event.occurred_at.to_string(), "fields": fields, "text": text.join("；") })
                })
                .collect();
            let withdrawn: Vec<Value> = facts
                .tombstones()
                .iter()
                .map(|t| json!({ "id": t.id, "occurred_at": t.time.to_string(), "why": t.validity.title() }))
                .collect();
            json!({ "facts": list, "withdrawn": withdrawn, "is_truncated": facts.is_truncated() })
        }
        Holdings::Groups(groups) => {
            let list: Vec<Value> = groups
                .in_order()
                .into_iter()
                .map(|(key, series)| {
                    json!({ "stream": key.stream.name(), "group": key.describe(), "by": key.by,
                            "count": series.count(i32::MIN, i32::MAX), "is_truncated": series.is_truncated() })
                })
                .collect();
            json!({ "groups": list })
        }
    };
    json!({
        "subject": subject.key.to_string(),
        "clock": province.clock().rfc3339(),
        "score_hundredths": score,
        "score": hundredths(score),
        "episodes": messages,
        "holdings": holdings,
        "state_bytes": subject.to_bytes().len(),
    })
}

/// The rules in force, and from when on each has judged: behind `GET /api/v1/rules` and `fenghuo rule status`.
pub fn rules(province: &Province) -> Value {
    let conduct = |id: &str| province.globals.conduct.iter().find(|c| c.rule == id);
    let rules: Vec<Value> = province
        .set()
        .rules()
        .iter()
        .map(|rule| {
            let m = rule.manifest();
            let conduct = conduct(&m.id);
            let time = |of: fn(&Conduct) -> Option<EventTime>| {
                conduct.and_then(of).map(EventTime::rfc3339)
            };
            json!({
                "id": m.id, "name": m.name, "owner": m.owner, "status": m.status.name(), "file": m.file,
                "basis": m.basis, "summary": m.summary, "challenges": m.challenges,
                "judged_from": time(|c| c.judged_from), "whole_from": time(|c| c.whole_from),
                "filled": conduct.map_or(0, |c| c.filled),
                "suspended_since": time(|c| c.suspended_since), "debt": conduct.map_or(0, |c| c.debt),
            })
        })
        .collect();
    json!({ "hash": province.set().hash(), "judged_through": province.clock().rfc3339(), "rules": rules })
}

/// A challenge, as JSON.
pub fn duel(duel: &Duel) -> Value {
    let keys = |list: &[SubjectKey]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "champion": duel.champion, "challenger": duel.challenger,
        "from": duel.from.map(EventTime::rfc3339), "through": duel.through.rfc3339(),
        "champion_episodes": duel.episodes.0, "challenger_episodes": duel.episodes.1,
        "both": keys(&duel.both), "added": keys(&duel.added), "dropped": keys(&duel.dropped),
    })
}

/// What the desk keeps for itself.
const INWARD: [&str; 6] = ["heard", "told", "due_told", "origin", "day", "count"];

/// A case, a sanction or a rule's brake, as JSON: behind `GET /api/v1/cases/…` and `fenghuo warning case`. Words and times are as
/// in `tasks.jsonl`.
pub fn case(item: &Item) -> Value {
    let (mut value, state) = match item {
        Item::Case(case) => (json!(case), Some(case.state.name())),
        Item::Order(order) => (json!(order), Some(order.state.name())),
        Item::Brake(brake) => (json!(brake), None),
        Item::Stray(stray) => (json!(stray), None),
        Item::Event(event) => return key_event(event),
        Item::Matter(matter) => (json!(matter), None),
    };
    outward(&mut value);
    if let (Some(state), Some(map)) = (state, value.as_object_mut()) {
        map.insert("state".to_owned(), json!(state));
    }
    value
}

/// A key event, as JSON: behind `GET /api/v1/key-events/…` and `fenghuo key-event show`.
pub fn key_event(event: &KeyEvent) -> Value {
    let mut value = json!(event);
    outward(&mut value);
    if let Some(map) = value.as_object_mut() {
        map.insert("state".to_owned(), json!(event.state.name()));
    }
    value
}

/// All key events without their courses: behind `GET /api/v1/key-events` and `fenghuo key-event list`.
pub fn key_events(province: &Province) -> Value {
    let list: Vec<Value> = province
        .desk()
        .key_events()
        .map(|event| {
            json!({
                "id": event.id, "title": event.title, "state": event.state.name(), "opened_by": event.opened_by,
                "opened_at": event.steps.first().map(|step| step.at.rfc3339()), "reason": event.reason,
                "members": event.members.len(), "conclusion": event.conclusion,
                "over_at": event.over_at.map(EventTime::rfc3339),
            })
        })
        .collect();
    json!({ "total": list.len(), "key_events": list })
}

/// Takes out what is the desk's own, and writes times as others read them.
fn outward(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !INWARD.contains(&key.as_str()));
            for (key, value) in map.iter_mut() {
                let is_time = key == "at" || key == "start" || key.ends_with("_at");
                match value.as_i64() {
                    Some(ms) if is_time => *value = json!(EventTime(ms).rfc3339()),
                    _ => outward(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(outward),
        _ => {}
    }
}

fn message_json(message: &Message) -> Value {
    match message {
        Message::Warning(warning) => json!(warning),
        Message::Sanction(sanction) => json!(sanction),
        Message::Task(task) => json!(task),
        Message::Measure(measure) => json!(measure),
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "at most 10,000"
)]
fn hundredths(score: i64) -> f64 {
    score as f64 / 100.0
}

/// A value as people read it.
pub fn words(value: &crate::engine::event::Value) -> String {
    use crate::engine::event::Value as V;
    match value {
        V::Bool(yes) => if *yes { "是" } else { "否" }.to_owned(),
        V::Int(number) => number.to_string(),
        V::Decimal(number) => number.to_string(),
        V::Text(text) => text.to_string(),
        V::Time(time, _) => time.to_string(),
        V::List(list) => list.join("；"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_goes_out_with_times_and_without_book_keeping() {
        let mut value = json!({
            "start": 0, "over_at": null, "returns": 3, "heard": [1, 2, [3]], "told": 2,
            "steps": [{ "at": 86_400_000, "number": 1, "origin": null, "word": "claimed" }],
        });
        outward(&mut value);
        let expected = json!({
            "start": "1970-01-01T08:00:00+08:00", "over_at": null, "returns": 3,
            "steps": [{ "at": "1970-01-02T08:00:00+08:00", "number": 1, "word": "claimed" }],
        });
        assert_eq!(value, expected);
    }
}

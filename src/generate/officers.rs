//! What officers would do about the warnings of an invented province: claims, verifications, feedback and closings, most in time.
//!
//! Given the steps that a rehearsal has told (`tasks.jsonl`), it writes the records of the feeds `action` and `feedback` about exactly
//! those warnings. What each officer does is decided by the digits of the warning's id, so the same province gets the same officers.
//! About three warnings in a hundred nobody claims, one in ten is claimed late, one in eight is fed back late.
//!
//! bounds   nothing after the last step that was told: the province ends there
//! cost     one pass over the steps

use super::record::quote;
use crate::engine::time::{EventTime, HOUR_MS};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const MINUTE_MS: i64 = 60_000;

/// The two feeds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Officers {
    /// Canonical events of the stream `action`.
    pub actions: String,
    /// Canonical events of the stream `feedback`.
    pub feedback: String,
}

#[derive(Deserialize)]
struct Told {
    case_id: String,
    #[serde(rename = "step")]
    word: String,
    subject: String,
    #[serde(default)]
    subject_name: String,
    #[serde(default)]
    department: String,
    #[serde(default)]
    level: String,
    at: String,
}

/// A warning that was dispatched.
struct Job {
    step: Told,
    at: EventTime,
    /// When its ground went away.
    until: EventTime,
}

impl Officers {
    /// What they do about these steps; lines that are no steps are passed over.
    pub fn of(steps: &str) -> Self {
        let mut jobs: BTreeMap<String, Job> = BTreeMap::new();
        let mut end = EventTime::MIN;
        let told = steps
            .lines()
            .filter_map(|line| serde_json::from_str::<Told>(line).ok());
        for step in told {
            let Some((at, _)) = EventTime::parse(&step.at) else {
                continue;
            };
            end = end.max(at);
            match step.word.as_str() {
                "dispatched" => {
                    let until = EventTime::MAX;
                    let id = step.case_id.clone();
                    jobs.entry(id).or_insert(Job { step, at, until });
                }
                "withdrawn" => {
                    if let Some(job) = jobs.get_mut(&step.case_id) {
                        job.until = at;
                    }
                }
                _ => {}
            }
        }
        let mut said = Said::default();
        for job in jobs.values() {
            said.dispose(job, end.min(job.until));
        }
        Self {
            actions: in_order(said.actions),
            feedback: in_order(said.feedback),
        }
    }
}

/// A feed is in the order of time.
fn in_order(mut lines: Vec<(EventTime, String)>) -> String {
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// What they do, before it is in order.
#[derive(Default)]
struct Said {
    actions: Vec<(EventTime, String)>,
    feedback: Vec<(EventTime, String)>,
}

impl Said {
    fn dispose(&mut self, job: &Job, end: EventTime) {
        let dice = Dice::of(&job.step.case_id);
        if dice.at(0) < 8 {
            return;
        }
        // In minutes: an officer on duty; or the next day but one.
        let claim = if dice.at(1) < 26 {
            2_900
        } else {
            15 + dice.at(1) / 3
        };
        let claimed = job.at.plus_ms(claim * MINUTE_MS);
        // In hours, about half of what the level allows; or far beyond it.
        let hours = match job.step.level.as_str() {
            "红" => 20 + dice.at(2) / 16,
            "橙" => 44 + dice.at(2) / 8,
            _ => 72 + dice.at(2) / 4,
        };
        let late = if dice.at(3) < 32 { 24 * 25 } else { 0 };
        let answered = claimed.plus_ms((hours + late) * HOUR_MS);
        let actor = dice.pick(
            4,
            &[
                "王检", "李检", "张检", "刘检", "陈检", "杨检", "赵检", "黄检",
            ],
        );
        let verified = claimed.plus_ms(hours / 3 * HOUR_MS);
        for (act, at) in [("claim", claimed), ("verify", verified)] {
            self.act(job, (act, at), (actor, ""), end);
        }
        if end <= answered {
            return;
        }
        let verdict = match dice.at(5) {
            0..=139 => "属实",
            140..=190 => "部分属实",
            191..=230 => "不属实",
            _ => "无法核实",
        };
        self.answer(job, verdict, answered);
        if 20 < dice.at(6) {
            let closed = answered.plus_ms(26 * HOUR_MS);
            self.act(job, ("close", closed), (actor, "已反馈，办结"), end);
        }
    }

    fn act(
        &mut self,
        job: &Job,
        (act, at): (&str, EventTime),
        (actor, note): (&str, &str),
        end: EventTime,
    ) {
        if end <= at {
            return;
        }
        let id = &job.step.case_id;
        let short = id.get(..16).unwrap_or(id);
        let fields = [
            ("warning_id", id.as_str()),
            ("act", act),
            ("actor", actor),
            ("actor_role", "officer"),
            ("note", note),
        ];
        let record = format!("FH-CZ-{short}-{act}");
        let line = line(("action", &record, at), &job.step.subject, &fields);
        self.actions.push((at, line));
    }

    fn answer(&mut self, job: &Job, verdict: &str, at: EventTime) {
        let Told {
            case_id,
            subject,
            subject_name,
            department,
            ..
        } = &job.step;
        let short = case_id.get(..16).unwrap_or(case_id);
        let fields = [
            ("name", subject_name.as_str()),
            ("warning_id", case_id),
            ("verdict", verdict),
            ("unit", department),
        ];
        let record = format!("FH-FK-{short}");
        let line = line(("feedback", &record, at), subject, &fields);
        self.feedback.push((at, line));
    }
}

/// A canonical event.
fn line(
    (stream, record, at): (&str, &str, EventTime),
    subject: &str,
    fields: &[(&str, &str)],
) -> String {
    let time = at.rfc3339();
    let mut out = format!(
        "{{\"source\":\"{stream}\",\"record_id\":\"{record}\",\"version\":{},\"stream\":\"{stream}\",\"occurred_at\":\"{time}\",\"subjects\":[",
        at.0
    );
    quote(&mut out, subject);
    out.push_str("],\"fields\":{");
    let mut sign = "";
    for (name, text) in fields.iter().filter(|(_, text)| !text.is_empty()) {
        let _ = write!(out, "{sign}\"{name}\":");
        quote(&mut out, text);
        sign = ",";
    }
    out.push_str("}}\n");
    out
}

/// Numbers of 0 to 255 from the digits of an id.
struct Dice<'a>(&'a str);

impl<'a> Dice<'a> {
    fn of(id: &'a str) -> Self {
        Self(id)
    }

    fn at(&self, throw: usize) -> i64 {
        let digits = self.0.get(2 * throw..2 * throw + 2);
        digits.map_or(128, |digits| i64::from_str_radix(digits, 16).unwrap_or(128))
    }

    fn pick<'t>(&self, throw: usize, of: &[&'t str]) -> &'t str {
        let place = usize::try_from(self.at(throw)).unwrap_or(0) % of.len().max(1);
        of.get(place).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::connector::canonical;
    use crate::engine::hash::sm3_hex;

    fn steps() -> String {
        (0..200).fold(String::new(), |mut text, number| {
            let id = sm3_hex(&[&[number]]);
            let day = 1 + number % 20;
            let _ = writeln!(
                text,
                "{{\"case_id\":\"{id}\",\"step\":\"dispatched\",\"subject\":\"enterprise:91320106MA1076724W\",\"department\":\"市\",\"level\":\"黄\",\"at\":\"2026-03-{day:02}T09:00:00+08:00\"}}"
            );
            if number % 10 == 0 {
                let _ = writeln!(text, "{{\"case_id\":\"{id}\",\"step\":\"withdrawn\",\"subject\":\"x:y\",\"at\":\"2026-03-{day:02}T09:05:00+08:00\"}}");
            }
            text
        }) + "{\"case_id\":\"x\",\"step\":\"reminded\",\"subject\":\"x:y\",\"at\":\"2026-04-30T09:00:00+08:00\"}\nno step\n"
    }

    #[test]
    fn officers_answer_most_warnings_and_none_whose_ground_is_gone() {
        let officers = Officers::of(&steps());
        assert_eq!(officers, Officers::of(&steps()));
        let count =
            |text: &str, word: &str| text.lines().filter(|line| line.contains(word)).count();
        let claims = count(&officers.actions, "\"act\":\"claim\"");
        assert!((165..180).contains(&claims), "{claims} of 180 that stay");
        let answers = officers.feedback.lines().count();
        assert!((150..=claims).contains(&answers), "{answers}");
        for verdict in crate::engine::desk::case::VERDICTS {
            assert!(
                2 < count(&officers.feedback, &format!("\"{verdict}\"")),
                "{verdict}"
            );
        }
        for line in officers.actions.lines().chain(officers.feedback.lines()) {
            canonical::read(line).unwrap();
        }
    }
}

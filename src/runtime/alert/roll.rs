//! Which alerts are on, which of them are due, and how they look.
//!
//! An alert is known by its labels. When a warning's level changes its labels do too: the alert with the old ones ends.
//!
//! units    times are wall time
//! cost     O(log n) for each message and each alert told

use super::AlertsConfig;
use crate::engine::region::{city_of, name_of};
use crate::engine::subject::state::Status;
use crate::engine::time::EventTime;
use crate::engine::warning::Warning;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// An alert stays valid for so many rounds after it was told.
const VALID_ROUNDS: i64 = 3;
/// Never told yet, or changed since: before everything that was.
const AT_ONCE: EventTime = EventTime(i64::MIN);

/// What tells alerts apart.
type Labels = BTreeMap<&'static str, String>;

#[derive(Debug)]
struct Entry {
    warning_id: String,
    annotations: BTreeMap<&'static str, String>,
    starts_at: Option<EventTime>,
    is_ended: bool,
    /// The place in the queue.
    due: EventTime,
    /// 0 is the gravest.
    rank: usize,
    /// Told apart from what was taken before it changed.
    version: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Roll {
    entries: BTreeMap<Labels, Entry>,
    of_warning: BTreeMap<String, Labels>,
    queue: BTreeSet<(EventTime, usize, Labels)>,
    version: u64,
}

/// An alert to be told, and what has to be known when it was.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    labels: Labels,
    version: u64,
    /// As Alertmanager wants it.
    pub(super) body: Value,
}

impl Roll {
    /// Takes up how a warning stands.
    pub(super) fn post(&mut self, config: &AlertsConfig, warning: &Warning) {
        let is_on = warning.status == Status::Open && config.level_min <= warning.level;
        let labels = labels(warning);
        let before = self.of_warning.get(&warning.warning_id).cloned();
        if let Some(before) = before.filter(|before| !is_on || *before != labels) {
            self.end(&before, &warning.warning_id);
        }
        if !is_on {
            return;
        }
        self.of_warning
            .insert(warning.warning_id.clone(), labels.clone());
        let entry = Entry {
            warning_id: warning.warning_id.clone(),
            annotations: annotations(config, warning),
            starts_at: EventTime::parse(&warning.first_event_at).map(|(time, _)| time),
            is_ended: false,
            due: AT_ONCE,
            rank: crate::engine::subject::view::Level::ALL
                .iter()
                .rev()
                .position(|level| *level == warning.level)
                .unwrap_or(0),
            version: 0,
        };
        self.put(labels, entry);
    }

    /// How many are on.
    pub(super) fn open(&self) -> usize {
        self.of_warning.len()
    }

    /// The alerts that are due, at most so many, the changed and the gravest first.
    pub(super) fn due(&self, config: &AlertsConfig, now: EventTime, most: usize) -> Vec<Told> {
        let round_ms = self.round_ms(config);
        let until = now.plus_ms(round_ms.saturating_mul(VALID_ROUNDS));
        let keys = self.queue.iter().take_while(|(due, _, _)| *due <= now);
        keys.take(most)
            .filter_map(|(_, _, labels)| {
                let entry = self.entries.get(labels)?;
                let starts_at = entry.starts_at.unwrap_or(now).min(now);
                let ends_at = if entry.is_ended { now } else { until };
                let body = json!({
                    "labels": labels,
                    "annotations": entry.annotations,
                    "startsAt": starts_at.rfc3339(),
                    "endsAt": ends_at.rfc3339(),
                    "generatorURL": entry.annotations.get("link").map_or("", String::as_str),
                });
                Some(Told {
                    labels: labels.clone(),
                    version: entry.version,
                    body,
                })
            })
            .collect()
    }

    /// They were told: what has ended is forgotten, what is open comes again.
    pub(super) fn told(&mut self, config: &AlertsConfig, told: &[Told], now: EventTime) {
        let again = now.plus_ms(self.round_ms(config));
        for one in told {
            let is_same = |entry: &&mut Entry| entry.version == one.version;
            let Some(entry) = self.entries.get_mut(&one.labels).filter(is_same) else {
                continue;
            };
            self.queue
                .remove(&(entry.due, entry.rank, one.labels.clone()));
            if entry.is_ended {
                self.entries.remove(&one.labels);
            } else {
                entry.due = again;
                self.queue.insert((again, entry.rank, one.labels.clone()));
            }
        }
    }

    /// How long it takes to tell everything once, ms.
    fn round_ms(&self, config: &AlertsConfig) -> i64 {
        let open = i64::try_from(self.entries.len()).unwrap_or(i64::MAX);
        let least = open.saturating_mul(1_000) / i64::from(config.alerts_per_second_max.max(1));
        config.refresh_ms.max(least)
    }

    fn end(&mut self, labels: &Labels, warning_id: &str) {
        self.of_warning.remove(warning_id);
        // Another warning may carry the same labels by now; then the alert goes on.
        if let Some(mut entry) = self.entries.remove(labels) {
            self.queue.remove(&(entry.due, entry.rank, labels.clone()));
            if entry.warning_id == warning_id {
                entry.is_ended = true;
                entry.due = AT_ONCE;
            }
            self.put(labels.clone(), entry);
        }
    }

    fn put(&mut self, labels: Labels, mut entry: Entry) {
        self.version += 1;
        entry.version = self.version;
        self.queue.insert((entry.due, entry.rank, labels.clone()));
        if let Some(old) = self.entries.insert(labels.clone(), entry) {
            let is_moved = self
                .entries
                .get(&labels)
                .is_some_and(|new| (new.due, new.rank) != (old.due, old.rank));
            if is_moved {
                self.queue.remove(&(old.due, old.rank, labels));
            }
        }
    }
}

fn labels(warning: &Warning) -> Labels {
    let city = city_of(&warning.region).filter(|_| !warning.region.ends_with("0000"));
    let mut labels = Labels::from([
        ("alertname", "FenghuoWarning".to_owned()),
        ("family", "warning".to_owned()),
        ("level", warning.level.title().to_owned()),
        ("level_code", warning.level_code.clone()),
        ("city", city.unwrap_or("other").to_owned()),
        (
            "city_name",
            city.and_then(name_of).unwrap_or("省级或未知").to_owned(),
        ),
        ("rule", warning.rule_id.clone()),
        ("subject", warning.subject.clone()),
    ]);
    if !warning.group.is_empty() {
        labels.insert("group", warning.group.clone());
    }
    labels
}

fn annotations(config: &AlertsConfig, warning: &Warning) -> BTreeMap<&'static str, String> {
    let whom = if warning.subject_name.is_empty() {
        &warning.subject
    } else {
        &warning.subject_name
    };
    let mut all = BTreeMap::from([
        (
            "summary",
            format!("【{}】{whom}：{}", warning.level.title(), warning.rule_name),
        ),
        ("description", warning.message.clone()),
        ("warning_id", warning.warning_id.clone()),
    ]);
    if !warning.suggest.is_empty() {
        all.insert("suggest", warning.suggest.clone());
    }
    if let Some(due) = &warning.due {
        all.insert("claim_until", due.claim_at.clone());
    }
    if let Some(link) = &config.link {
        all.insert(
            "link",
            link.replace("{subject}", &encoded(&warning.subject)),
        );
    }
    all
}

/// A subject as a part of an address.
fn encoded(subject: &str) -> String {
    let mut text = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::worker::tests::{config, warning};
    use super::*;
    use crate::engine::subject::view::Level;

    const NOW: EventTime = EventTime(1_780_000_000_000);

    fn words<'a>(told: &'a [Told], label: &str) -> Vec<&'a str> {
        told.iter()
            .map(|one| one.body["labels"][label].as_str().unwrap())
            .collect()
    }

    #[test]
    fn an_alert_says_who_where_why_and_what_to_do() {
        let mut roll = Roll::default();
        roll.post(&config(), &warning("w", Level::Red));
        let told = roll.due(&config(), NOW, 9);
        expect_test::expect![[r#"
            {
              "annotations": {
                "claim_until": "2026-05-28T06:26:40+08:00",
                "description": "近 12 个月被处罚 3 次",
                "link": "https://g.example/d/fenghuo-subject?var-subject=enterprise%3A91320505MA0EX0026E",
                "suggest": "上门核查",
                "summary": "【红】示例公司：屡罚不改",
                "warning_id": "w"
              },
              "endsAt": "2026-05-29T04:29:40+08:00",
              "generatorURL": "https://g.example/d/fenghuo-subject?var-subject=enterprise%3A91320505MA0EX0026E",
              "labels": {
                "alertname": "FenghuoWarning",
                "city": "320500",
                "city_name": "苏州市",
                "family": "warning",
                "level": "红",
                "level_code": "P0",
                "rule": "CF-001",
                "subject": "enterprise:91320505MA0EX0026E"
              },
              "startsAt": "2026-05-01T00:00:00+08:00"
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&told[0].body).unwrap());
    }

    #[test]
    fn open_warnings_come_again_and_ended_ones_are_resolved_once() {
        let (config, mut roll) = (config(), Roll::default());
        roll.post(&config, &warning("w", Level::Red));
        let told = roll.due(&config, NOW, 9);
        roll.told(&config, &told, NOW);
        assert!(roll.due(&config, NOW.plus_ms(59_999), 9).is_empty());
        assert_eq!(roll.due(&config, NOW.plus_ms(60_000), 9).len(), 1);
        let mut ended = warning("w", Level::Red);
        ended.status = Status::Ended;
        roll.post(&config, &ended);
        let later = NOW.plus_ms(1_000);
        let told = roll.due(&config, later, 9);
        assert_eq!(told[0].body["endsAt"], json!(later.rfc3339()));
        roll.told(&config, &told, later);
        assert!(roll.due(&config, NOW.plus_ms(1_000_000), 9).is_empty());
        assert_eq!((roll.open(), roll.entries.len()), (0, 0));
        assert!(roll.queue.is_empty());
    }

    #[test]
    fn a_changed_level_ends_the_old_alert() {
        let (config, mut roll) = (config(), Roll::default());
        roll.post(&config, &warning("w", Level::Yellow));
        let told = roll.due(&config, NOW, 9);
        roll.told(&config, &told, NOW);
        roll.post(&config, &warning("w", Level::Red));
        let told = roll.due(&config, NOW, 9);
        assert_eq!(words(&told, "level"), ["红", "黄"]);
        assert_eq!(told[1].body["endsAt"], json!(NOW.rfc3339()));
    }

    #[test]
    fn a_warning_that_takes_over_the_labels_of_another_is_not_ended_with_it() {
        let (config, mut roll) = (config(), Roll::default());
        roll.post(&config, &warning("old", Level::Red));
        roll.post(&config, &warning("new", Level::Red));
        let mut ended = warning("old", Level::Red);
        ended.status = Status::Withdrawn;
        roll.post(&config, &ended);
        let told = roll.due(&config, NOW, 9);
        assert_eq!(told.len(), 1);
        assert_ne!(told[0].body["endsAt"], json!(NOW.rfc3339()));
        assert_eq!(roll.queue.len(), 1);
    }

    #[test]
    fn what_changes_while_it_is_told_is_told_again() {
        let (config, mut roll) = (config(), Roll::default());
        roll.post(&config, &warning("w", Level::Red));
        let told = roll.due(&config, NOW, 9);
        let mut ended = warning("w", Level::Red);
        ended.status = Status::Ended;
        roll.post(&config, &ended);
        roll.told(&config, &told, NOW);
        assert_eq!(roll.due(&config, NOW, 9).len(), 1);
    }

    #[test]
    fn the_gravest_come_first_and_the_least_are_left_out() {
        let (mut config, mut roll) = (config(), Roll::default());
        config.level_min = Level::Yellow;
        for (id, level) in [
            ("a", Level::Blue),
            ("b", Level::Yellow),
            ("c", Level::Red),
            ("d", Level::Orange),
        ] {
            roll.post(&config, &warning(id, level));
        }
        assert_eq!(
            words(&roll.due(&config, NOW, 9), "level"),
            ["红", "橙", "黄"]
        );
        assert_eq!(words(&roll.due(&config, NOW, 1), "level"), ["红"]);
    }

    #[test]
    fn many_open_warnings_are_told_less_often_and_stay_valid_for_longer() {
        let (mut config, mut roll) = (config(), Roll::default());
        config.alerts_per_second_max = 1;
        for n in 0..200 {
            let mut one = warning(&format!("w{n}"), Level::Red);
            one.subject = format!("enterprise:{n}");
            roll.post(&config, &one);
        }
        let told = roll.due(&config, NOW, 1);
        roll.told(&config, &told, NOW);
        let ends = told[0].body["endsAt"].as_str().unwrap();
        assert_eq!(ends, NOW.plus_ms(600_000).rfc3339());
        let last = roll.queue.last().unwrap().0;
        assert_eq!(last, NOW.plus_ms(200_000));
    }
}

//! What was made: counts that a reader's accounting can be held against, and the truth about the bad actors.

use super::dirt::Kind;
use super::feed::Feed;
use super::{Plan, record::quote};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What a bad actor did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// `enterprise:91…`, `department:11…` or `region:3201…`.
    pub subject: String,
    /// `prepaid_flight`.
    pub scenario: &'static str,
    /// The rule that should find it.
    pub rule: &'static str,
    /// `warned`, or `withdrawn` when later facts take the warning back.
    pub outcome: &'static str,
    /// The day of the first evidence.
    pub from: String,
    /// The day by which the rule can know, if its data came at once.
    pub to: String,
}

/// What [`super::generate`] made. All counts are of records that were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records in all feeds, dirt and copies included, header lines not.
    pub records: u64,
    /// Bytes written, line ends and header lines included.
    pub bytes: u64,
    /// Records by feed.
    pub feeds: BTreeMap<Feed, u64>,
    /// Records by kind of dirt; a copy counts as a copy only.
    pub dirt: BTreeMap<Kind, u64>,
    /// Records that a reader must refuse, by feed and reject code; copies count.
    pub refused: BTreeMap<(Feed, &'static str), u64>,
    /// The bad actors, in the order in which they began.
    pub truths: Vec<Truth>,
}

impl Summary {
    pub(super) fn count(&mut self, feed: Feed, kinds: &[Kind], refused: Option<&'static str>) {
        self.records += 1;
        *self.feeds.entry(feed).or_default() += 1;
        for kind in kinds {
            *self.dirt.entry(*kind).or_default() += 1;
        }
        if let Some(code) = refused {
            *self.refused.entry((feed, code)).or_default() += 1;
        }
    }

    /// How many records a reader must refuse.
    pub fn refused_count(&self) -> u64 {
        self.refused.values().sum()
    }

    /// `truth.csv`: who did what, when, and which rule should find it.
    pub fn truth_csv(&self) -> String {
        let mut text = String::from("subject,scenario,rule,outcome,from,to\n");
        for truth in &self.truths {
            let Truth {
                subject,
                scenario,
                rule,
                outcome,
                from,
                to,
            } = truth;
            let _ = writeln!(text, "{subject},{scenario},{rule},{outcome},{from},{to}");
        }
        text
    }

    /// `manifest.json`: the plan, the counts, and the rate, count and meaning of every kind of dirt.
    pub fn manifest_json(&self, plan: &Plan) -> String {
        let refused_of = |feed: Feed| -> BTreeMap<&str, u64> {
            let own = self.refused.iter().filter(|((each, _), _)| *each == feed);
            own.map(|((_, code), count)| (*code, *count)).collect()
        };
        let feeds: Vec<_> = self
            .feeds
            .iter()
            .map(|(feed, records)| {
                json!({
                    "connector": feed.connector(), "file": feed.file_name(), "records": records,
                    "refused": refused_of(*feed),
                })
            })
            .collect();
        let dirt: Vec<_> = Kind::ALL
            .iter()
            .map(|kind| {
                let spec = kind.spec();
                json!({
                    "kind": spec.name, "per_10000": plan.dirt.per_10k(*kind), "of": spec.of, "note": spec.note,
                    "refused_as": spec.refused.map(crate::engine::reject::RejectCode::name),
                    "records": self.dirt.get(kind).copied().unwrap_or(0),
                })
            })
            .collect();
        let manifest = json!({
            "about": "an invented province: every firm, person, code, order and penalty here is made up by `fenghuo generate`",
            "plan": {
                "subjects": plan.subjects, "events": plan.events, "seed": plan.seed,
                "from": plan.from.to_string(), "to": plan.to.to_string(),
            },
            "records": self.records, "bytes": self.bytes, "refused": self.refused_count(),
            "bad_actors": self.truths.len(), "feeds": feeds, "dirt": dirt,
        });
        let mut text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// A configuration for `fenghuo run --config DIR/fenghuo.toml --until-end` over the files of `DIR`.
pub fn configuration(rules_dir: &str, connectors_dir: &str) -> String {
    let quoted = |text: &str| {
        let mut out = String::new();
        quote(&mut out, text);
        out
    };
    let mut text = format!(
        "# Made by `fenghuo generate`. Run: fenghuo run --config fenghuo.toml --until-end\n\n\
         [engine]\nstate = \"state\"\nshards = 8\nclock = \"events\"\npersonal_key_file = \"personal.key\"\n\n\
         [rules]\ndir = {}\n\n[connectors]\ndir = {}\n",
        quoted(rules_dir),
        quoted(connectors_dir)
    );
    for feed in Feed::ALL {
        let _ = write!(
            text,
            "\n[[source]]\nkind = \"file\"\nconnector = \"{}\"\npath = \"{}\"\norder = \"event-time\"\n",
            feed.connector(),
            feed.file_name()
        );
    }
    text.push_str("\n[sinks.file]\ndir = \"out\"\n");
    text
}

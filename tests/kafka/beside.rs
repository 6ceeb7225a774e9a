//! What is told beside warnings, in its topics: decisions, and how subjects stand, held against the files of an embedded run.

use crate::cluster::{Cluster, Read};
use crate::feeds::Province;
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) const DECISIONS: &str = "fenghuo.decision.v1";
pub(crate) const RISKS: &str = "fenghuo.subject-risk.v1";

/// A line without its id: that holds the place in the stream, which each partition counts for itself.
fn without_id(line: &[u8]) -> (String, Value) {
    let mut value: Value = serde_json::from_slice(line).unwrap();
    let object = value.as_object_mut().unwrap();
    object.remove("id");
    let subject = object["subject"].as_str().unwrap().to_owned();
    (subject, value)
}

fn of_lines(lines: &[String]) -> BTreeMap<String, Vec<Value>> {
    let mut by_subject: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines {
        let (subject, value) = without_id(line.as_bytes());
        by_subject.entry(subject).or_default().push(value);
    }
    by_subject
}

/// Messages by subject, each id once; copies are the same to the byte.
fn of_topic(read: &[Read]) -> BTreeMap<String, Vec<&[u8]>> {
    let mut first: BTreeMap<&str, &[u8]> = BTreeMap::new();
    let mut by_subject: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
    for message in read {
        match first.insert(message.id(), &message.value) {
            Some(before) => assert_eq!(before, message.value, "id {} twice", message.id()),
            None => by_subject
                .entry(message.key.clone())
                .or_default()
                .push(&message.value),
        }
    }
    by_subject
}

/// Holds both topics against the files of the embedded run of the same province.
pub(crate) fn compare_remarks(cluster: &Cluster, province: &Province) {
    let decisions = cluster.read(DECISIONS);
    let told = of_topic(&decisions);
    let expected = of_lines(&province.told("decisions.jsonl"));
    let keys = |map: &BTreeMap<String, Vec<Value>>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(told.keys().cloned().collect::<Vec<_>>(), keys(&expected));
    for (subject, bytes) in &told {
        let told: Vec<Value> = bytes.iter().map(|line| without_id(line).1).collect();
        assert_eq!(told, expected[subject], "decisions about {subject}");
    }
    let risks = cluster.read(RISKS);
    let expected = of_lines(&province.told("subject-risks.jsonl"));
    // A compacted topic may have lost all but the last message of a subject.
    let mut gone = 0;
    for (subject, bytes) in of_topic(&risks) {
        let last = expected[&subject].last().unwrap();
        let told = bytes.last().unwrap();
        if last["is_gone"] == true {
            assert!(told.is_empty(), "{subject} is taken back");
            gone += 1;
        } else {
            assert_eq!(&without_id(told).1, last, "how {subject} stands");
        }
    }
    let subjects: std::collections::BTreeSet<&str> = risks.iter().map(|r| r.key.as_str()).collect();
    assert_eq!(subjects.len(), expected.len(), "every subject is told of");
    println!(
        "{} decisions, {} risks of {} subjects, {gone} of them taken back: equal to the embedded run",
        decisions.len(),
        risks.len(),
        subjects.len()
    );
}

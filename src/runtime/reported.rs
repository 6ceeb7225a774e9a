//! Records of supervision on their way to the nation: inspections, penalties, coercive measures, and items of the catalogue.
//!
//! Each version of a record that changed the state leaves once, as it was read: cleaned, coded, and without what the connector
//! masks. The first is an `i`, a later one a `u`; one that is revoked, withdrawn, repaired, shielded or deleted is a `d`. Of what is gone
//! when it is first heard of nothing leaves. What came from the nation does not go back. They leave only when
//! `[exchange]` has `"record"` in its `sends`, and from then on.
//!
//! shape    a flat object; `fields` by the names of the table of fields, values as people read them
//! cost     one line of JSON a record; nothing when it is not switched on

use super::describe::words;
use super::sink::{OutboxEntry, OutputKind};
use crate::engine::event::Event;
use crate::engine::hash::sm3_hex;
use crate::engine::schema::{Stream, field};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The source of what the nation sends down.
const NATIONAL: &str = "national";

/// A version of a record, as it leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reported {
    /// SM3 of (record, version, operation).
    pub id: String,
    /// `source/record id`.
    pub record: String,
    /// The source's version.
    pub version: i64,
    /// `i`, `u` or `d`.
    pub operation: String,
    /// `inspection`, `penalty`, `coercion` or `catalogue`.
    pub stream: String,
    /// Whom it is about.
    pub subject: String,
    /// When it happened, RFC 3339.
    pub occurred_at: String,
    /// When it reached us by the source's own words, RFC 3339.
    pub arrived_at: String,
    /// Why it no longer holds; absent while it does.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub gone: String,
    /// What it says.
    pub fields: BTreeMap<String, String>,
}

/// The output for a version that changed the state, if it is one that goes to the nation; `is_known` says whether an older version
/// was known.
pub fn entry(event: &Event, is_known: bool) -> Option<OutboxEntry> {
    let is_of_supervision = matches!(
        event.stream,
        Stream::Inspection | Stream::Penalty | Stream::Coercion | Stream::Catalogue
    );
    if !is_of_supervision || &*event.source == NATIONAL {
        return None;
    }
    let operation = match (event.is_live(), is_known) {
        (true, false) => "i",
        (true, true) => "u",
        (false, true) => "d",
        (false, false) => return None,
    };
    // Items of the catalogue keep their order by item, whoever is responsible.
    let subject = match event.fields.text(field::item_code) {
        Some(code) if event.stream == Stream::Catalogue => format!("item:{code}"),
        _ => event.home().map(ToString::to_string).unwrap_or_default(),
    };
    let text = |event: &Event| {
        let fields = event.fields.iter();
        fields
            .map(|(of, value)| (of.name().to_owned(), words(value)))
            .collect()
    };
    let reported = Reported {
        id: sm3_hex(&[event.id().as_bytes(), operation.as_bytes()]),
        record: format!("{}/{}", event.source, event.record_id),
        version: event.version,
        operation: operation.to_owned(),
        stream: event.stream.name().to_owned(),
        subject: subject.clone(),
        occurred_at: event.occurred_at.rfc3339(),
        arrived_at: event.arrived_at.rfc3339(),
        gone: if event.is_live() {
            String::new()
        } else {
            event.validity.title().to_owned()
        },
        fields: text(event),
    };
    Some(OutboxEntry {
        seq: 0,
        kind: OutputKind::Record,
        subject,
        id: reported.id.clone(),
        line: serde_json::to_vec(&reported).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::connector::canonical;

    fn event(source: &str, stream: &str, more: &str) -> Event {
        let line = format!(
            r#"{{"source":"{source}","record_id":"R1","version":2,"stream":"{stream}","occurred_at":"2026-05-20T09:00:00+08:00","subjects":["enterprise:91320106MA1076724W"],"fields":{{"name":"某店"}}{more}}}"#
        );
        canonical::read(&line).unwrap()
    }

    #[test]
    fn a_first_version_is_inserted_a_later_one_updated_and_one_that_is_gone_deleted() {
        let revoked = r#","validity":"revoked""#;
        for (more, is_known, operation) in [
            ("", false, Some("i")),
            ("", true, Some("u")),
            (revoked, true, Some("d")),
            (revoked, false, None),
        ] {
            let entry = entry(&event("js", "penalty", more), is_known);
            let told = entry.map(|entry| {
                let told: Reported = serde_json::from_slice(&entry.line).unwrap();
                assert_eq!(told.id, entry.id);
                told
            });
            assert_eq!(told.as_ref().map(|told| told.operation.as_str()), operation);
            if operation == Some("d") {
                assert_eq!(told.unwrap().gone, "已撤销");
            }
        }
    }

    #[test]
    fn what_is_no_supervision_or_came_from_the_nation_stays_here() {
        for (source, stream) in [
            ("js", "complaint"),
            ("js", "licence"),
            ("national", "penalty"),
        ] {
            assert_eq!(
                entry(&event(source, stream, ""), false),
                None,
                "{source} {stream}"
            );
        }
        assert!(entry(&event("js", "coercion", ""), false).is_some());
    }
}

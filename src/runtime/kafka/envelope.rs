//! Out of its envelope: from a message to the records in it, byte for byte as they stood.
//!
//! | envelope    | record                                                                                           |
//! |-------------|--------------------------------------------------------------------------------------------------|
//! | none        | the message                                                                                      |
//! | confluent   | what follows the zero byte and the schema number, which has to be JSON                           |
//! | debezium    | the change `{before, after, op, ts_ms}` for a connector that reads changes (`record.row`), else the row after it |
//! | canal       | each row of `data`: as such a change for a connector that reads changes, else the row            |
//! | cloudevents | the data, of a binary event (headers `ce_*`) or of a structured one                              |
//!
//! A tombstone after a Debezium delete and a Canal statement without rows are passed over; a tombstone elsewhere is refused.
//!
//! errors   a [`Reject`]: `bad_json`, `bad_encoding`, `bad_operation`
//! source   Debezium 2 "Change events"; Canal `FlatMessage`; CloudEvents 1.0.2 with its Kafka binding 1.0.2

use crate::engine::reject::{Reject, RejectCode};
use crate::runtime::config::kafka::Envelope;
use crate::runtime::dlq::bytes_of_base64;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wrapped<'m> {
    /// The value; none: a tombstone.
    pub value: Option<&'m [u8]>,
    /// Whether its headers say that it is a binary CloudEvent.
    pub is_binary_cloud_event: bool,
}

/// Opens envelopes for one connector.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opener {
    /// What stands around records.
    pub envelope: Envelope,
    /// Whether the connector reads changes with `before` and `after` by itself.
    pub reads_changes: bool,
}

#[derive(Deserialize)]
struct Connect<'m> {
    #[serde(borrow)]
    payload: Option<&'m RawValue>,
}

#[derive(Deserialize)]
struct Change<'m> {
    #[serde(borrow)]
    after: Option<&'m RawValue>,
    op: Option<String>,
}

#[derive(Deserialize)]
struct Canal<'m> {
    #[serde(borrow)]
    data: Option<Vec<&'m RawValue>>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default, rename = "isDdl")]
    is_ddl: bool,
    ts: Option<i64>,
}

#[derive(Deserialize)]
struct CloudEvent<'m> {
    specversion: Option<String>,
    #[serde(borrow)]
    data: Option<&'m RawValue>,
    data_base64: Option<String>,
}

impl Opener {
    /// The records of a message; none when it has nothing to say.
    pub(super) fn open(self, message: Wrapped<'_>) -> Result<Vec<Vec<u8>>, Reject> {
        let Some(value) = message.value else {
            if self.envelope == Envelope::Debezium {
                return Ok(Vec::new());
            }
            let what = "a message without a value (a tombstone), where records are expected";
            return Err(Reject::new(RejectCode::BadJson, what));
        };
        match self.envelope {
            Envelope::None => Ok(vec![value.to_vec()]),
            Envelope::Confluent => confluent(value),
            Envelope::Debezium => self.debezium(value),
            Envelope::Canal => self.canal(value),
            Envelope::CloudEvents if message.is_binary_cloud_event => Ok(vec![value.to_vec()]),
            Envelope::CloudEvents => structured(value),
        }
    }

    fn debezium(self, value: &[u8]) -> Result<Vec<Vec<u8>>, Reject> {
        let what = "a Debezium change event";
        let inner: Option<&RawValue> = parsed::<Connect<'_>>(value, what)?.payload;
        let event = inner.map_or(value, |payload| payload.get().as_bytes());
        if event == b"null" {
            return Ok(Vec::new());
        }
        if self.reads_changes {
            return Ok(vec![event.to_vec()]);
        }
        let change: Change<'_> = parsed(event, what)?;
        match (change.op.as_deref(), change.after) {
            (Some("c" | "r" | "u"), Some(after)) => Ok(vec![after.get().as_bytes().to_vec()]),
            (op, _) => Err(no_row(op)),
        }
    }

    fn canal(self, value: &[u8]) -> Result<Vec<Vec<u8>>, Reject> {
        let message: Canal<'_> = parsed(value, "a Canal flat message")?;
        if message.is_ddl {
            return Ok(Vec::new());
        }
        let rows = message.data.unwrap_or_default();
        let (op, side) = match message.kind.as_deref() {
            Some("INSERT") => ("c", "after"),
            Some("UPDATE") => ("u", "after"),
            Some("DELETE") => ("d", "before"),
            other => return Err(no_row(other)),
        };
        if !self.reads_changes && op == "d" {
            return Err(no_row(Some("DELETE")));
        }
        let ts_ms = message.ts.unwrap_or(0);
        let record = |row: &&RawValue| {
            if self.reads_changes {
                format!(
                    "{{\"op\":\"{op}\",\"ts_ms\":{ts_ms},\"{side}\":{}}}",
                    row.get()
                )
                .into_bytes()
            } else {
                row.get().as_bytes().to_vec()
            }
        };
        Ok(rows.iter().map(record).collect())
    }
}

fn parsed<'m, T: Deserialize<'m>>(bytes: &'m [u8], what: &str) -> Result<T, Reject> {
    serde_json::from_slice(bytes).map_err(|error| {
        let code = match core::str::from_utf8(bytes) {
            Ok(_) => RejectCode::BadJson,
            Err(_) => RejectCode::BadEncoding,
        };
        Reject::new(code, format!("the message is not {what}: {error}"))
    })
}

fn no_row(op: Option<&str>) -> Reject {
    let message = format!(
        "operation {:?} brings no row that this connector reads (it reads rows; give it record.row = [\"after\", \"before\"] and record.op to read deletes)",
        op.unwrap_or("")
    );
    Reject::new(RejectCode::BadOperation, message)
}

fn confluent(value: &[u8]) -> Result<Vec<Vec<u8>>, Reject> {
    let [0, _, _, _, _, record @ ..] = value else {
        let what = "the message does not begin with a zero byte and four bytes of schema number (Confluent's framing)";
        return Err(Reject::new(RejectCode::BadEncoding, what));
    };
    if record.trim_ascii_start().first() != Some(&b'{') {
        let what = "after the schema number there is no JSON object; Avro and Protobuf are not read, let the producer write JSON Schema";
        return Err(Reject::new(RejectCode::BadEncoding, what));
    }
    Ok(vec![record.to_vec()])
}

fn structured(value: &[u8]) -> Result<Vec<Vec<u8>>, Reject> {
    let event: CloudEvent<'_> = parsed(value, "a CloudEvent")?;
    if event.specversion.is_none() {
        let what = "neither headers ce_* nor \"specversion\" in the value: the message is not a CloudEvent";
        return Err(Reject::new(RejectCode::BadJson, what));
    }
    match (event.data, event.data_base64) {
        (Some(data), None) => Ok(vec![data.get().as_bytes().to_vec()]),
        (None, Some(base64)) => bytes_of_base64(&base64)
            .map(|data| vec![data])
            .ok_or_else(|| {
                Reject::new(
                    RejectCode::BadEncoding,
                    "\"data_base64\" is not base64 (RFC 4648)",
                )
            }),
        _ => Err(Reject::new(
            RejectCode::BadJson,
            "the CloudEvent has neither \"data\" nor \"data_base64\", or both",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(envelope: Envelope, reads_changes: bool, value: Option<&str>) -> Vec<String> {
        let opener = Opener {
            envelope,
            reads_changes,
        };
        let wrapped = Wrapped {
            value: value.map(str::as_bytes),
            is_binary_cloud_event: false,
        };
        match opener.open(wrapped) {
            Ok(records) => records
                .into_iter()
                .map(|record| String::from_utf8(record).unwrap())
                .collect(),
            Err(reject) => vec![format!("! {}", reject.code.name())],
        }
    }

    #[test]
    fn a_debezium_change_gives_its_row_or_itself() {
        let bare = r#"{"before":null,"after":{"a":1.50},"op":"u","ts_ms":5}"#;
        let connect = format!(r#"{{"schema":{{}},"payload":{bare}}}"#);
        for message in [bare, &connect] {
            assert_eq!(open(Envelope::Debezium, true, Some(message)), [bare]);
            assert_eq!(
                open(Envelope::Debezium, false, Some(message)),
                [r#"{"a":1.50}"#]
            );
        }
        let delete = r#"{"before":{"a":1},"after":null,"op":"d"}"#;
        assert_eq!(open(Envelope::Debezium, true, Some(delete)), [delete]);
        assert_eq!(
            open(Envelope::Debezium, false, Some(delete)),
            ["! bad_operation"]
        );
        assert!(open(Envelope::Debezium, false, None).is_empty());
        assert_eq!(open(Envelope::Debezium, false, Some("[")), ["! bad_json"]);
    }

    #[test]
    fn a_canal_message_gives_each_row() {
        let message = r#"{"data":[{"id":"1"},{"id":"2"}],"type":"UPDATE","isDdl":false,"ts":9}"#;
        assert_eq!(
            open(Envelope::Canal, false, Some(message)),
            [r#"{"id":"1"}"#, r#"{"id":"2"}"#]
        );
        assert_eq!(
            open(Envelope::Canal, true, Some(message)),
            [
                r#"{"op":"u","ts_ms":9,"after":{"id":"1"}}"#,
                r#"{"op":"u","ts_ms":9,"after":{"id":"2"}}"#
            ]
        );
        let ddl = r#"{"data":null,"type":"ALTER","isDdl":true}"#;
        assert!(open(Envelope::Canal, true, Some(ddl)).is_empty());
        let other = r#"{"data":[],"type":"TRUNCATE","isDdl":false}"#;
        assert_eq!(
            open(Envelope::Canal, true, Some(other)),
            ["! bad_operation"]
        );
    }

    #[test]
    fn a_confluent_frame_is_taken_off() {
        assert_eq!(
            open(Envelope::Confluent, false, Some("\0\0\0\0\u{7}{\"a\":1}")),
            [r#"{"a":1}"#]
        );
        for wrong in ["{\"a\":1}", "\0\0\0", "\0\0\0\0\u{7}\u{2}avro"] {
            assert_eq!(
                open(Envelope::Confluent, false, Some(wrong)),
                ["! bad_encoding"]
            );
        }
    }

    #[test]
    fn a_cloud_event_gives_its_data() {
        let data = r#"{"specversion":"1.0","data":{"a":1}}"#;
        assert_eq!(
            open(Envelope::CloudEvents, false, Some(data)),
            [r#"{"a":1}"#]
        );
        let base64 = r#"{"specversion":"1.0","data_base64":"e30="}"#;
        assert_eq!(open(Envelope::CloudEvents, false, Some(base64)), ["{}"]);
        assert_eq!(
            open(Envelope::CloudEvents, false, Some("{}")),
            ["! bad_json"]
        );
        let opener = Opener {
            envelope: Envelope::CloudEvents,
            reads_changes: false,
        };
        let binary = Wrapped {
            value: Some(b"{}"),
            is_binary_cloud_event: true,
        };
        assert_eq!(opener.open(binary), Ok(vec![b"{}".to_vec()]));
    }

    #[test]
    fn a_tombstone_where_none_belongs_is_refused() {
        for envelope in [
            Envelope::None,
            Envelope::Confluent,
            Envelope::Canal,
            Envelope::CloudEvents,
        ] {
            assert_eq!(open(envelope, false, None), ["! bad_json"]);
        }
    }
}

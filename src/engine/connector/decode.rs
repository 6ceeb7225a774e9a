//! One record of a feed to one event: limits, character set, layout; what the cells mean is in [`super::mapping`].
//!
//! errors   every message names the connector

use super::super::event::Event;
use super::super::reject::{Reject, RejectCode};
use super::super::time::EventTime;
use super::mapping::Mapping;
use super::personal::PersonalKey;
use super::rows::{self, Header};
use super::spec::Charset;
use super::{Connector, Layout, RECORD_BYTES_MAX, canonical, xml};
use std::borrow::Cow;
use std::sync::Arc;

/// Reads the records of one file or stream of a feed.
#[derive(Debug)]
pub struct Decoder {
    connector: Arc<Connector>,
    key: PersonalKey,
    header: Option<Header>,
    is_of_messages: bool,
}

impl Decoder {
    /// A decoder of `connector`; `personal_key` is the key of the hashes that stand for people.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the key is shared by its owner"
    )]
    pub fn new(connector: Arc<Connector>, personal_key: Arc<[u8]>) -> Self {
        Self {
            connector,
            key: PersonalKey::new(&personal_key),
            header: None,
            is_of_messages: false,
        }
    }

    /// A decoder of messages that are one JSON object each, in UTF-8, with the columns of the feed: what capture of
    /// database changes makes of the table that a CSV feed is a dump of.
    pub fn of_messages(connector: Arc<Connector>, personal_key: Arc<[u8]>) -> Self {
        Self {
            is_of_messages: true,
            ..Self::new(connector, personal_key)
        }
    }

    /// The connector whose records are read.
    pub fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    /// Takes the header of a CSV file. For other feeds it does nothing.
    pub fn set_header(&mut self, row: &[u8]) -> Result<(), Reject> {
        let Layout::Csv(plan) = &self.connector.layout else {
            return Ok(());
        };
        self.header = None;
        let header = self
            .decoded(row)
            .and_then(|row| rows::header(plan, &row))
            .map_err(|reject| self.named(&reject))?;
        self.header = Some(header);
        Ok(())
    }

    /// Reads one record. `received_at` is the logical now, for refusing facts of the future; [`EventTime::MAX`] refuses none.
    pub fn decode(&self, record: &[u8], received_at: EventTime) -> Result<Event, Reject> {
        self.event(record)
            .and_then(|event| self.not_of_the_future(event, received_at))
            .map_err(|reject| self.named(&reject))
    }

    fn named(&self, reject: &Reject) -> Reject {
        let message = format!("connector {:?}: {}", self.connector.id(), reject.message);
        Reject::new(reject.code, message)
    }

    fn event(&self, record: &[u8]) -> Result<Event, Reject> {
        if RECORD_BYTES_MAX < record.len() {
            let message = format!("a record of {} bytes (at most 256 KiB)", record.len());
            return Err(Reject::new(RejectCode::TooLong, message));
        }
        let text = self.decoded(record)?;
        let message;
        let (plan, row) = match &self.connector.layout {
            Layout::Canonical => {
                let event = canonical::read(&text)?;
                let stream = self.connector.stream;
                if event.stream != stream {
                    let message = format!(
                        "stream {:?}, but this feed brings {:?}",
                        event.stream.name(),
                        stream.name()
                    );
                    return Err(Reject::new(RejectCode::BadValue, message));
                }
                return Ok(event);
            }
            Layout::Json(plan) => (plan, rows::json_row(plan, &text)?),
            Layout::Xml(plan) => {
                message = xml::to_json(&text)?;
                (plan, rows::json_row(plan, &message)?)
            }
            Layout::Csv(plan) if self.is_of_messages => (plan, rows::json_row(plan, &text)?),
            Layout::Csv(plan) => {
                let Some(header) = &self.header else {
                    let message = "a row before the file's header";
                    return Err(Reject::new(RejectCode::BadCsv, message));
                };
                (plan, rows::csv_row(plan, header, &text)?)
            }
        };
        Mapping {
            connector: &self.connector,
            plan,
            row: &row,
            key: &self.key,
        }
        .event()
    }

    /// The record's text; bytes that are not of the declared character set are refused, never replaced.
    fn decoded<'a>(&self, record: &'a [u8]) -> Result<Cow<'a, str>, Reject> {
        let charset = if self.is_of_messages {
            Charset::Utf8
        } else {
            self.connector.charset
        };
        let (text, charset) = match charset {
            Charset::Utf8 => (
                simdutf8::basic::from_utf8(record).ok().map(Cow::Borrowed),
                "UTF-8",
            ),
            Charset::Gb18030 => (
                encoding_rs::GB18030.decode_without_bom_handling_and_without_replacement(record),
                "GB18030",
            ),
        };
        text.ok_or_else(|| {
            let message = format!("bytes that are not {charset} (the connector's charset)");
            Reject::new(RejectCode::BadEncoding, message)
        })
    }

    fn not_of_the_future(&self, event: Event, received_at: EventTime) -> Result<Event, Reject> {
        let latest = received_at.plus_ms(self.connector.future_ms_max);
        if event.occurred_at <= latest {
            return Ok(event);
        }
        let message = format!(
            "occurred at {}, which is after {latest} (now, with the feed's allowance)",
            event.occurred_at
        );
        Err(Reject::new(RejectCode::FutureTime, message))
    }
}

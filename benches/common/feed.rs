//! A generated province, record by record in order of arrival, as the bytes of its feeds.
//!
//! Nine feeds by the shipped connectors: orders as JSON, extracts as CSV, in GB18030 too, changes of a database, canonical
//! lines; among them what the generator spoils on purpose.

use fenghuo::engine::connector::{Decoder, Frame, Framer, Framing};
use fenghuo::engine::event::Event;
use fenghuo::engine::reject::Reject;
use fenghuo::engine::time::EventTime;
use fenghuo::generate::{Feed, Feeds, GenerateError, PERSONAL_KEY, Plan, generate};
use fenghuo::runtime::bundle::{BundleError, shipped_connectors};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// A record of a feed, with its line end.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) feed: Feed,
    pub(crate) bytes: Vec<u8>,
}

/// Makes a province of so many firms and records.
pub(crate) fn province(
    (firms, records): (u64, u64),
    each: &mut dyn FnMut(Record),
) -> Result<(), GenerateError> {
    generate(&Plan::new(firms, records, 2026), &mut To(each), &mut |_| {}).map(|_| ())
}

struct To<'a>(&'a mut dyn FnMut(Record));

impl Feeds for To<'_> {
    fn append(&mut self, feed: Feed, line: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(line.len().saturating_add(1));
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        (self.0)(Record { feed, bytes });
        Ok(())
    }
}

/// Reads the records of all feeds.
#[derive(Debug)]
pub(crate) struct Reader(BTreeMap<Feed, (Framer, Decoder, bool)>);

impl Reader {
    /// With the shipped connectors.
    pub(crate) fn new() -> Result<Self, BundleError> {
        let connectors = shipped_connectors()?;
        let of = |feed: Feed| {
            let connector = connectors.iter().find(|c| c.id() == feed.connector())?;
            let framing = connector.framing();
            let decoder = Decoder::new(Arc::clone(connector), Arc::from(PERSONAL_KEY));
            Some((
                feed,
                (Framer::new(framing), decoder, framing == Framing::Csv),
            ))
        };
        Ok(Self(Feed::ALL.into_iter().filter_map(of).collect()))
    }

    /// The event of a record: framed and decoded; nothing of a header.
    pub(crate) fn read(&mut self, record: &Record) -> Option<Result<Event, Reject>> {
        let (framer, decoder, has_header) = self.0.get_mut(&record.feed)?;
        let Frame::Record { start, end, .. } = framer.next(&record.bytes, true) else {
            return None;
        };
        let row = record.bytes.get(start..end)?;
        if core::mem::take(has_header) {
            return decoder.set_header(row).err().map(Err);
        }
        Some(decoder.decode(row, EventTime::MAX))
    }
}

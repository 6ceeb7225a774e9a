//! A lane of bodies that were pushed over HTTP, one connector each.
//!
//! A body is a file of its own: its CSV begins with the header. Whoever pushed it gets a receipt when every record of it
//! is durable, as an event or as a dead letter.
//!
//! bounds   [`BODIES_MAX`] bodies wait; then pushing is refused until there is room

use super::lane::{Decoded, Lane, Refill};
use super::{Place, SourceFault};
use crate::engine::connector::{Connector, Decoder, Frame, Framer, Framing};
use crate::engine::record::Prepared;
use crate::engine::reject::{Reject, RejectCode};
use crate::engine::time::EventTime;
use crate::runtime::attempt::{Attempts, Spot};
use crate::runtime::clock::Clock;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Bodies that wait for the loop.
pub(super) const BODIES_MAX: usize = 64;

/// A body and the number of its receipt.
#[derive(Debug)]
pub struct Pushed {
    /// The records, in the connector's framing.
    pub body: Vec<u8>,
    /// Whom it came from, for the place of its records.
    pub request: String,
    /// The number of the receipt.
    pub receipt: u64,
}

/// What the doors push into and the lane takes from.
#[derive(Debug, Default)]
pub struct PushQueue(Mutex<VecDeque<Pushed>>);

impl PushQueue {
    /// Adds a body; gives it back when there is no room.
    pub fn push(&self, pushed: Pushed) -> Result<(), Pushed> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if BODIES_MAX <= queue.len() {
            return Err(pushed);
        }
        queue.push_back(pushed);
        Ok(())
    }

    fn pop(&self) -> Option<Pushed> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }
}

/// See the module.
pub struct PushLane {
    name: String,
    connector: (usize, Arc<Connector>),
    personal_key: Arc<[u8]>,
    attempts: Arc<Attempts>,
    queue: Arc<PushQueue>,
    ready: VecDeque<Decoded>,
    clock: Clock,
}

impl fmt::Debug for PushLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushLane")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PushLane {
    /// A lane that takes from this queue.
    pub fn new(
        connector: (usize, Arc<Connector>),
        personal_key: Arc<[u8]>,
        queue: Arc<PushQueue>,
        clock: Clock,
    ) -> Self {
        let name = format!("{}:http", connector.1.id());
        Self {
            name,
            connector,
            personal_key,
            attempts: Attempts::none(),
            queue,
            ready: VecDeque::new(),
            clock,
        }
    }

    fn take(&mut self, pushed: Pushed) {
        let connector = Arc::clone(&self.connector.1);
        let framing = connector.framing();
        let id = connector.id().to_owned();
        let mut decoder = Decoder::new(connector, Arc::clone(&self.personal_key));
        let mut framer = Framer::new(framing);
        let mut needs_header = matches!(framing, Framing::Csv);
        let block = Arc::new(pushed.body);
        let file: Arc<str> = format!("http/{}", pushed.request).into();
        let (mut used, mut number) = (0, 0);
        let mut header: Option<Arc<[u8]>> = None;
        loop {
            let rest = block.get(used..).unwrap_or_default();
            let (range, consumed, too_long) = match framer.next(rest, true) {
                Frame::Record {
                    start,
                    end,
                    consumed,
                } => ((used + start, used + end), consumed, false),
                Frame::Skip { consumed } => {
                    used += consumed;
                    continue;
                }
                Frame::TooLong { consumed } => ((used, used + consumed), consumed, true),
                Frame::NeedMore | Frame::End => break,
            };
            let from = u64::try_from(used).unwrap_or(u64::MAX);
            used += consumed;
            let bytes = block.get(range.0..range.1).unwrap_or_default();
            if needs_header {
                needs_header = false;
                if !too_long && decoder.set_header(bytes).is_ok() {
                    header = Some(Arc::from(bytes));
                    continue;
                }
            }
            number += 1;
            let result = if too_long {
                let message = format!(
                    "connector \"{id}\": the record is longer than 256 KiB; deliver it in parts"
                );
                Err(Reject::new(RejectCode::TooLong, message))
            } else {
                let decode = || decoder.decode(bytes, self.clock.now()).map(Prepared::new);
                let spot = || Spot::pushed(&self.name, bytes);
                let done = self.attempts.on(spot, decode);
                done.and_then(core::convert::identity)
            };
            let arrived_at = result
                .as_ref()
                .map_or(EventTime::MIN, |p| p.event.arrived_at);
            self.ready.push_back(Decoded {
                result: Some(result),
                place: Place {
                    file: Arc::clone(&file),
                    from,
                    to: u64::try_from(used).unwrap_or(u64::MAX),
                    number,
                },
                block: Arc::clone(&block),
                range,
                header: header.clone(),
                arrived_at,
                clock: None,
                receipt: Some(pushed.receipt),
            });
        }
    }
}

impl Lane for PushLane {
    fn name(&self) -> &str {
        &self.name
    }

    fn connector(&self) -> usize {
        self.connector.0
    }

    fn refill(&mut self) -> Result<Refill, SourceFault> {
        while self.ready.is_empty() {
            match self.queue.pop() {
                Some(pushed) => self.take(pushed),
                None => return Ok(Refill::Empty),
            }
        }
        Ok(Refill::Ready)
    }

    fn ready(&mut self) -> &mut VecDeque<Decoded> {
        &mut self.ready
    }

    fn is_merged(&self) -> bool {
        false
    }

    fn watched_by(&mut self, attempts: &Arc<Attempts>) {
        self.attempts = Arc::clone(attempts);
    }

    fn is_durable(&self) -> bool {
        false
    }
}

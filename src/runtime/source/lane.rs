//! What every lane is to the pipeline: decoded records in order, and whether there is more.

use super::{Place, SourceFault};
use crate::engine::event::Event;
use crate::engine::record::Prepared;
use crate::engine::reject::Reject;
use crate::engine::time::EventTime;
use crate::runtime::attempt::{Attempts, Spot};
use std::collections::VecDeque;
use std::sync::Arc;

/// A record after decoding.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The event, or why there is none; a mark that only tells the clock has neither.
    pub result: Option<Result<Prepared, Reject>>,
    /// Where it stood.
    pub place: Place,
    /// The block it stood in and its range there, for the dead letters.
    pub block: Arc<Vec<u8>>,
    /// See `block`.
    pub range: (usize, usize),
    /// The header of the CSV file it stood in, for those who want to read it again.
    pub header: Option<Arc<[u8]>>,
    /// When it arrived by its own words; a refused record goes with the one before.
    pub arrived_at: EventTime,
    /// What the clock says before it, when another process keeps the clock.
    pub clock: Option<EventTime>,
    /// Its number among the receipts of pushed bodies, if it was pushed.
    pub receipt: Option<u64>,
}

impl Decoded {
    /// The record's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.block
            .get(self.range.0..self.range.1)
            .unwrap_or_default()
    }

    /// Where it is found again.
    pub fn spot(&self, lane: &dyn Lane) -> Spot {
        if lane.is_durable() {
            Spot::at(lane.name(), &self.place.file, self.place.from)
        } else {
            Spot::pushed(lane.name(), self.bytes())
        }
    }

    /// The event, if there is one.
    pub fn event(&self) -> Option<&Arc<Event>> {
        let result = self.result.as_ref()?;
        result.as_ref().ok().map(|prepared| &prepared.event)
    }
}

/// What a lane has to give.
#[derive(Debug)]
pub enum Pull {
    /// Its next record.
    Record(Box<Decoded>),
    /// Nothing now; perhaps later.
    Empty,
    /// Nothing now or ever.
    Done,
}

/// How reading ahead went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refill {
    /// There are records.
    Ready,
    /// Nothing now; perhaps later.
    Empty,
    /// Nothing now, but more is known to be there: merged lanes wait for it.
    Awaited,
    /// Nothing now or ever.
    Done,
}

/// One source.
pub trait Lane: Send {
    /// Its name in positions and messages.
    fn name(&self) -> &str;
    /// The place of its connector in the list of connectors.
    fn connector(&self) -> usize;
    /// Reads and decodes ahead if nothing is ready.
    fn refill(&mut self) -> Result<Refill, SourceFault>;
    /// Reads and decodes ahead, while what was taken is judged, if little is ready. What it comes to is for the next
    /// [`Lane::refill`] to say.
    fn read_ahead(&mut self) -> Result<(), SourceFault> {
        Ok(())
    }
    /// From now on the lane decodes as these say.
    fn watched_by(&mut self, attempts: &Arc<Attempts>);
    /// What is ready, oldest first.
    fn ready(&mut self) -> &mut VecDeque<Decoded>;
    /// Whether it is merged with others by arrival time.
    fn is_merged(&self) -> bool;
    /// Whether it can be read again from a position; if not, none is kept.
    fn is_durable(&self) -> bool {
        true
    }
}

//! The order in which records of several lanes are taken.

use super::SourceFault;
use super::lane::{Decoded, Lane, Pull, Refill};
use crate::engine::time::EventTime;
use crate::runtime::attempt::{Attempts, Work};
use std::fmt;
use std::sync::Arc;

/// All lanes.
pub struct Merge {
    attempts: Arc<Attempts>,
    lanes: Vec<Box<dyn Lane>>,
    done: Vec<bool>,
    awaited: Vec<bool>,
    /// What went wrong while reading ahead; the next call says it.
    fault: Option<SourceFault>,
}

impl fmt::Debug for Merge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.lanes.iter().map(|lane| lane.name()))
            .finish()
    }
}

/// What is to be known of a lane while it reads ahead.
#[derive(Debug, Clone)]
pub struct LaneCard {
    /// Its name.
    pub name: String,
    /// The place of its connector.
    pub connector: usize,
    /// Whether its positions are worth keeping.
    pub is_durable: bool,
}

/// A record with the lane that it came from.
pub type Taken = (usize, Decoded);

impl Merge {
    /// The lanes in the order of the configuration; that they are at work is noted.
    pub fn new(mut lanes: Vec<Box<dyn Lane>>, attempts: Arc<Attempts>) -> Self {
        let done: Vec<bool> = lanes.iter().map(|_| false).collect();
        for lane in &mut lanes {
            lane.watched_by(&attempts);
        }
        Self {
            attempts,
            lanes,
            awaited: done.clone(),
            done,
            fault: None,
        }
    }

    /// The name of a lane.
    pub fn name(&self, lane: usize) -> &str {
        self.lanes.get(lane).map_or("", |lane| lane.name())
    }

    /// Whether positions of a lane are worth keeping.
    pub fn is_durable(&self, lane: usize) -> bool {
        self.lanes.get(lane).is_some_and(|lane| lane.is_durable())
    }

    /// The connector of a lane.
    pub fn connector(&self, lane: usize) -> usize {
        self.lanes.get(lane).map_or(0, |lane| lane.connector())
    }

    /// The cards of all lanes.
    pub fn cards(&self) -> Vec<LaneCard> {
        let card = |lane| LaneCard {
            name: self.name(lane).to_owned(),
            connector: self.connector(lane),
            is_durable: self.is_durable(lane),
        };
        (0..self.lanes.len()).map(card).collect()
    }

    /// What it is to judge what was taken: one record, if that may matter, or a batch.
    pub fn work(&self, taken: &[Taken]) -> Work {
        let one = match taken {
            [(lane, record)] if self.attempts.is_careful() => {
                self.lanes.get(*lane).map(|lane| record.spot(lane.as_ref()))
            }
            _ => None,
        };
        one.map_or(Work::Batch, Work::Step)
    }

    /// Takes up to `max` records. Merged lanes give the record that arrived first, of equals the one of the earlier
    /// lane; a merged lane that is empty but not done holds nobody up, one that is known to have more holds up the merged
    /// ones. The others are read in turn.
    pub fn take(&mut self, max: usize, out: &mut Vec<Taken>) -> Result<Pull, SourceFault> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let mut heads: Vec<Option<EventTime>> = Vec::with_capacity(self.lanes.len());
        for at in 0..self.lanes.len() {
            heads.push(self.head(at)?);
        }
        while out.len() < max {
            let is_held = self.awaited.contains(&true);
            let first = heads
                .iter()
                .enumerate()
                .filter_map(|(at, head)| head.map(|time| (time, at)))
                .filter(|(_, at)| {
                    !is_held || self.lanes.get(*at).is_some_and(|lane| !lane.is_merged())
                })
                .min();
            let Some((_, at)) = first else { break };
            if let Some(record) = self
                .lanes
                .get_mut(at)
                .and_then(|lane| lane.ready().pop_front())
            {
                out.push((at, record));
            }
            let head = self.head(at)?;
            if let Some(slot) = heads.get_mut(at) {
                *slot = head;
            }
        }
        let all_done = self.done.iter().all(|done| *done);
        Ok(if out.is_empty() && all_done {
            Pull::Done
        } else {
            Pull::Empty
        })
    }

    /// Lets lanes read and decode ahead; which records are taken next, and in which order, does not depend on it.
    pub fn read_ahead(&mut self) {
        let lanes = self.lanes.iter_mut().zip(&self.done);
        let mut lanes = lanes.filter(|(_, done)| !**done);
        self.fault = lanes.find_map(|(lane, _)| lane.read_ahead().err());
    }

    /// The time by which a lane's next record is ordered; nothing if it has none.
    fn head(&mut self, at: usize) -> Result<Option<EventTime>, SourceFault> {
        let Some(lane) = self.lanes.get_mut(at) else {
            return Ok(None);
        };
        if lane.ready().is_empty() {
            if self.done.get(at).copied().unwrap_or(true) {
                return Ok(None);
            }
            // One by one, lanes note records themselves.
            let working = (!self.attempts.is_careful()).then(|| self.attempts.working(Work::Batch));
            let refilled = lane.refill();
            drop(working);
            match refilled? {
                Refill::Ready => {}
                Refill::Awaited => {
                    if let Some(awaited) = self.awaited.get_mut(at) {
                        *awaited = lane.is_merged();
                    }
                    return Ok(None);
                }
                Refill::Empty => {
                    if let Some(awaited) = self.awaited.get_mut(at) {
                        *awaited = false;
                    }
                    return Ok(None);
                }
                Refill::Done => {
                    if let Some(awaited) = self.awaited.get_mut(at) {
                        *awaited = false;
                    }
                    if let Some(done) = self.done.get_mut(at) {
                        *done = true;
                    }
                    return Ok(None);
                }
            }
        }
        let merged = lane.is_merged();
        if let Some(awaited) = self.awaited.get_mut(at) {
            *awaited = false;
        }
        Ok(lane
            .ready()
            .front()
            .map(|r| if merged { r.arrived_at } else { EventTime::MIN }))
    }
}

//! What is told to which partition: events to those that have a part in them, hours to all.
//!
//! So every partition sees its events in the order of one reader, and between them the hours at the same places as an engine
//! that reads everything.

use super::event::Told;
use super::routes::Routes;
use crate::engine::event::Event;
use crate::engine::time::{EventTime, HOUR_MS};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A value on its way to a partition.
pub type Out = (u32, Arc<[u8]>, Arc<[u8]>);

/// Follows the logical clock and says what goes where.
#[derive(Debug)]
pub struct Teller {
    /// Which partitions have which records.
    pub routes: Routes,
    partitions: u32,
    clock: Option<EventTime>,
}

impl Teller {
    /// A teller for so many partitions that goes on from a clock.
    pub fn new(routes: Routes, partitions: u32, clock: Option<EventTime>) -> Self {
        Self {
            routes,
            partitions,
            clock,
        }
    }

    /// The logical clock.
    pub fn clock(&self) -> Option<EventTime> {
        self.clock
    }

    /// The records of an event: it goes to each partition that has a part in it; when it is the first of an hour, the
    /// others get a mark.
    pub fn tell(&mut self, event: &Arc<Event>, out: &mut Vec<Out>) {
        let to = self.routes.of(event);
        self.pass(event.arrived_at, &to, out);
        let clock = self.clock.filter(|clock| event.arrived_at < *clock);
        let told = Told {
            clock,
            event: Some(Arc::clone(event)),
        };
        let value: Arc<[u8]> = told.encode().into();
        let home = event.home().map(ToString::to_string).unwrap_or_default();
        let key: Arc<[u8]> = home.into_bytes().into();
        for partition in to {
            out.push((partition, Arc::clone(&key), Arc::clone(&value)));
        }
    }

    /// Moves the clock on; everyone is told of a new hour, but for those to whom an event says it: to an engine the hour and
    /// the event that brings it are one place in the stream.
    pub fn pass(&mut self, time: EventTime, except: &BTreeSet<u32>, out: &mut Vec<Out>) {
        let Some(before) = self.clock.replace(time) else {
            return;
        };
        self.clock = Some(before.max(time));
        let hour = EventTime(time.0.div_euclid(HOUR_MS) * HOUR_MS);
        if before < hour {
            let mark = Told {
                clock: Some(hour),
                event: None,
            };
            let value: Arc<[u8]> = mark.encode().into();
            let key: Arc<[u8]> = Arc::from(&b""[..]);
            let marks = (0..self.partitions).filter(|p| !except.contains(p));
            out.extend(marks.map(|p| (p, Arc::clone(&key), Arc::clone(&value))));
        }
    }
}

//! The facts that an individual subject keeps: what every window, list and look-up of a rule reads.
//!
//! Facts stand per stream in the order of (event time, record key), so a window is two binary searches whatever the
//! order of arrival, and a withdrawn fact leaves no trace in it. A fact's content is kept encoded and is decoded only
//! when a rule looks inside. What was withdrawn stays as a [`Tombstone`]: it keeps older versions out and says why.
//!
//! shape    about 50 bytes a fact and its content (around 120 bytes); most firms have fewer than ten
//! bounds   [`STREAM_FACTS_MAX`] a stream, the oldest go first and [`Facts::is_truncated`] then says so
//! errors   content that cannot be decoded gives `None`: the store has checked every byte before
//! cost     window O(log n), insert O(n) in one stream

use super::body;
use crate::engine::event::{Event, Op, Rank, RecordKey, SubjectKey, Validity};
use crate::engine::schema::Stream;
use crate::engine::time::{EventTime, Precision};
use serde::{Deserialize, Serialize};

/// The most facts of one stream that one subject keeps.
pub const STREAM_FACTS_MAX: usize = 4_096;
/// The most facts of one standing stream (licences, lists, registration) that one subject keeps.
pub const STANDING_FACTS_MAX: usize = 128;
/// The most tombstones that one subject keeps.
pub const TOMBSTONES_MAX: usize = 1_024;

/// One live fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// When it happened.
    pub time: EventTime,
    /// The identity of its record.
    pub key: RecordKey,
    /// How exactly the time is known.
    pub precision: Precision,
    body: Box<[u8]>,
}

/// What stands behind a fact's fields.
#[derive(Serialize)]
struct TailRef<'a> {
    source: &'a str,
    record_id: &'a str,
    rank: Rank,
    op: Op,
    arrived_at: EventTime,
    subjects: &'a [SubjectKey],
}

#[derive(Deserialize)]
struct Tail {
    source: Box<str>,
    record_id: Box<str>,
    rank: Rank,
    op: Op,
    arrived_at: EventTime,
    subjects: Vec<SubjectKey>,
}

impl Fact {
    /// The fact that a live event states.
    pub fn of(event: &Event, rank: Rank) -> Self {
        Self::of_record(event, event.record_key(), rank)
    }

    /// The same, of an event whose record's key is known.
    pub fn of_record(event: &Event, key: RecordKey, rank: Rank) -> Self {
        let tail = TailRef {
            source: &event.source,
            record_id: &event.record_id,
            rank,
            op: event.op,
            arrived_at: event.arrived_at,
            subjects: &event.subjects,
        };
        Self {
            time: event.occurred_at,
            key,
            precision: event.precision,
            body: body::encode(&event.fields, &tail),
        }
    }

    /// The event that stated it.
    pub fn event(&self, stream: Stream) -> Option<Event> {
        let tail: Tail = body::read_tail(&self.body)?;
        Some(Event {
            source: tail.source,
            record_id: tail.record_id,
            version: tail.rank.version,
            op: tail.op,
            stream,
            occurred_at: self.time,
            precision: self.precision,
            arrived_at: tail.arrived_at,
            validity: Validity::Valid,
            subjects: tail.subjects,
            fields: body::fields(&self.body)?,
        })
    }

    /// Its fields, borrowed from the stored bytes.
    pub fn peek(&self) -> Option<super::peek::Peek<'_>> {
        super::peek::Peek::of(&self.body)
    }

    /// The rank of the version that it is.
    pub fn rank(&self) -> Option<Rank> {
        body::read_tail::<Tail>(&self.body).map(|tail| tail.rank)
    }

    /// Bytes it takes in memory.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.body.len()
    }
}

/// A record that was withdrawn: deleted, revoked, repaired, or moved to another subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The identity of the record.
    pub key: RecordKey,
    /// The version that withdrew it.
    pub rank: Rank,
    /// When the withdrawn fact had happened.
    pub time: EventTime,
    /// Why it is gone.
    pub validity: Validity,
    /// How evidence named it.
    pub id: Box<str>,
}

/// All facts of one subject.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    streams: Vec<(Stream, Vec<Fact>)>,
    dead: Vec<Tombstone>,
    truncated: bool,
}

impl Facts {
    /// The live facts of a stream, oldest first.
    pub fn of(&self, stream: Stream) -> &[Fact] {
        self.streams
            .iter()
            .find(|(s, _)| *s == stream)
            .map_or(&[], |(_, facts)| facts.as_slice())
    }

    /// The live facts of a stream later than `after` and not later than `through`, oldest first.
    pub fn window(&self, stream: Stream, after: EventTime, through: EventTime) -> &[Fact] {
        let facts = self.of(stream);
        let from = facts.partition_point(|fact| fact.time <= after);
        let to = facts.partition_point(|fact| fact.time <= through);
        facts.get(from..to.max(from)).unwrap_or(&[])
    }

    /// Every stream with its facts, in the order of streams.
    pub fn streams(&self) -> impl Iterator<Item = (Stream, &[Fact])> {
        self.streams
            .iter()
            .map(|(stream, facts)| (*stream, facts.as_slice()))
    }

    /// The fact of a record, with its stream.
    pub fn find(&self, key: RecordKey) -> Option<(Stream, &Fact)> {
        self.streams.iter().find_map(|(stream, facts)| {
            facts
                .iter()
                .find(|fact| fact.key == key)
                .map(|f| (*stream, f))
        })
    }

    /// What was withdrawn, in the order of record keys.
    pub fn tombstones(&self) -> &[Tombstone] {
        &self.dead
    }

    /// Whether facts were let go because there were too many: windows then count at least what they say.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Marks the facts as truncated, when they are read back from the store.
    pub fn mark_truncated(&mut self) {
        self.truncated = true;
    }

    /// The number of live facts.
    pub fn len(&self) -> usize {
        self.streams.iter().map(|(_, facts)| facts.len()).sum()
    }

    /// Whether there is no live fact.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a fact in its place. Returns the records that had to go because the stream is full.
    pub fn insert(&mut self, stream: Stream, fact: Fact) -> Option<RecordKey> {
        let at = match self.streams.binary_search_by_key(&stream, |(s, _)| *s) {
            Ok(at) => at,
            Err(at) => {
                self.streams.insert(at, (stream, Vec::with_capacity(1)));
                at
            }
        };
        let (_, facts) = self.streams.get_mut(at)?;
        let place = facts.partition_point(|f| (f.time, f.key) < (fact.time, fact.key));
        if facts
            .get(place)
            .is_some_and(|f| (f.time, f.key) == (fact.time, fact.key))
        {
            if let Some(slot) = facts.get_mut(place) {
                *slot = fact;
            }
            return None;
        }
        if facts.len() == facts.capacity() {
            facts.reserve_exact((facts.len() / 4).max(1));
        }
        facts.insert(place, fact);
        let max = if stream.is_standing() {
            STANDING_FACTS_MAX
        } else {
            STREAM_FACTS_MAX
        };
        if max < facts.len() {
            self.truncated = true;
            return Some(facts.remove(0).key);
        }
        None
    }

    /// Lets go of the facts of a stream, and of withdrawals, from before a time. Gives the records that went.
    pub fn trim(&mut self, stream: Stream, before: EventTime) -> Vec<RecordKey> {
        let mut gone = Vec::new();
        if let Some((_, facts)) = self.streams.iter_mut().find(|(s, _)| *s == stream) {
            let old = facts.partition_point(|fact| fact.time < before);
            gone.extend(facts.drain(..old).map(|fact| fact.key));
        }
        self.streams.retain(|(_, facts)| !facts.is_empty());
        self.dead.retain(|t| {
            let stays = before <= t.time;
            if !stays {
                gone.push(t.key);
            }
            stays
        });
        gone
    }

    /// Takes a fact out.
    pub fn remove(&mut self, stream: Stream, key: RecordKey) -> Option<Fact> {
        let (_, facts) = self.streams.iter_mut().find(|(s, _)| *s == stream)?;
        let at = facts.iter().position(|fact| fact.key == key)?;
        let fact = facts.remove(at);
        self.streams.retain(|(_, facts)| !facts.is_empty());
        Some(fact)
    }

    /// Remembers a withdrawal, over an earlier one of the same record.
    pub fn bury(&mut self, tombstone: Tombstone) {
        match self.dead.binary_search_by_key(&tombstone.key, |t| t.key) {
            Ok(at) => {
                if let Some(slot) = self.dead.get_mut(at) {
                    *slot = tombstone;
                }
            }
            Err(at) => self.dead.insert(at, tombstone),
        }
        if TOMBSTONES_MAX < self.dead.len()
            && let Some(oldest) = self
                .dead
                .iter()
                .min_by_key(|t| (t.time, t.key))
                .map(|t| t.key)
        {
            self.exhume(oldest);
        }
    }

    /// Forgets a withdrawal, because a later version made the fact live again or it is past all windows.
    pub fn exhume(&mut self, key: RecordKey) -> Option<Tombstone> {
        let at = self.dead.binary_search_by_key(&key, |t| t.key).ok()?;
        Some(self.dead.remove(at))
    }

    /// Bytes it takes in memory.
    pub fn size_bytes(&self) -> usize {
        let live: usize = self
            .streams
            .iter()
            .flat_map(|(_, facts)| facts)
            .map(Fact::size_bytes)
            .sum();
        let dead: usize = self
            .dead
            .iter()
            .map(|t| size_of::<Tombstone>() + t.id.len())
            .sum();
        live + dead
    }
}

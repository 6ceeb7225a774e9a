//! The facts that an individual subject keeps: what every window, list and look-up of a rule reads.
//!
//! Facts stand stream by stream in the order of (event time, record key), so a window is two binary searches whatever the
//! order of arrival, and a withdrawn fact leaves no trace in it. A fact's content is kept encoded and is decoded only
//! when a rule looks inside. What was withdrawn stays as a [`Tombstone`]: it keeps older versions out and says why.
//!
//! shape    one list; 48 bytes a fact and its content (some 200 bytes); most firms have fewer than ten
//! bounds   [`STREAM_FACTS_MAX`] a stream, the oldest go first and [`Facts::is_truncated`] then says so
//! errors   content that cannot be decoded gives `None`: the store has checked every byte before
//! cost     window O(log n), insert O(n)

use super::body::{self, Content};
use super::peek::Peek;
use crate::engine::event::{Event, Rank, RecordKey, Validity};
use crate::engine::schema::Stream;
use crate::engine::time::{EventTime, Precision};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::ops::Range;

/// The most facts of one stream that one subject keeps.
pub const STREAM_FACTS_MAX: usize = 4_096;
/// The most facts of one standing stream (licences, lists, registration) that one subject keeps.
pub const STANDING_FACTS_MAX: usize = 128;
/// The most tombstones that one subject keeps.
pub const TOMBSTONES_MAX: usize = 1_024;

/// One live fact.
#[derive(Debug, Clone)]
pub struct Fact {
    /// When it happened.
    pub time: EventTime,
    /// The identity of its record.
    pub key: RecordKey,
    /// How exactly the time is known.
    pub precision: Precision,
    body: Box<str>,
}

/// A fact as it stands in the store: no words by number.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    time: EventTime,
    key: RecordKey,
    precision: Precision,
    #[serde(borrow)]
    body: Cow<'a, str>,
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body = self.in_full();
        Stored {
            time: self.time,
            key: self.key,
            precision: self.precision,
            body,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored {
            time,
            key,
            precision,
            body,
        } = Stored::deserialize(deserializer)?;
        let body = body::rewritten(&body, time, true).unwrap_or_else(|| body.into());
        Ok(Self {
            time,
            key,
            precision,
            body,
        })
    }
}

/// Two facts are the same if they say the same; what words are written by number is nobody's business.
impl PartialEq for Fact {
    fn eq(&self, other: &Self) -> bool {
        let place = |fact: &Self| (fact.time, fact.key, fact.precision);
        place(self) == place(other)
            && (self.body == other.body || self.in_full() == other.in_full())
    }
}

impl Eq for Fact {}

impl Fact {
    /// The fact that a live event states.
    pub fn of(event: &Event) -> Self {
        Self::of_record(event, event.record_key())
    }

    /// The same, of an event whose record's key is known.
    pub fn of_record(event: &Event, key: RecordKey) -> Self {
        Self {
            time: event.occurred_at,
            key,
            precision: event.precision,
            body: body::encode(event),
        }
    }

    /// The event that stated it.
    pub fn event(&self, stream: Stream) -> Option<Event> {
        let content = Content::of(&self.body, self.time)?;
        let tail = content.tail()?;
        Some(Event {
            source: tail.source.into(),
            record_id: tail.record_id.into(),
            version: tail.version,
            op: tail.op,
            stream,
            occurred_at: self.time,
            precision: self.precision,
            arrived_at: tail.arrived_at,
            validity: Validity::Valid,
            subjects: tail.subjects,
            fields: content.fields()?,
        })
    }

    /// Its fields, borrowed from the stored bytes.
    pub fn peek(&self) -> Option<Peek<'_>> {
        Content::of(&self.body, self.time).map(Peek::of)
    }

    /// Itself, words by number.
    fn as_it_is(&self) -> Stored<'_> {
        Stored {
            time: self.time,
            key: self.key,
            precision: self.precision,
            body: Cow::Borrowed(&self.body),
        }
    }

    /// Its content with all texts written out.
    fn in_full(&self) -> Cow<'_, str> {
        body::rewritten(&self.body, self.time, false)
            .map_or(Cow::Borrowed(&self.body), |body| Cow::Owned(body.into()))
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// In the order of stream, time and key.
    live: Vec<Fact>,
    /// Where each stream ends among them, by its place in [`Stream::EVERY`].
    ends: [u16; Stream::EVERY.len()],
    dead: Vec<Tombstone>,
    truncated: bool,
}

/// The same as it stands in the store.
#[derive(Serialize, Deserialize)]
struct StoredFacts<L, D> {
    streams: Vec<(Stream, L)>,
    dead: D,
    truncated: bool,
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = StoredFacts {
            streams: self.streams().collect(),
            dead: self.dead.as_slice(),
            truncated: self.truncated,
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored: StoredFacts<Vec<Fact>, Vec<Tombstone>> =
            StoredFacts::deserialize(deserializer)?;
        Self::in_order(stored).ok_or_else(|| serde::de::Error::custom("facts out of order"))
    }
}

/// Facts as they are in memory, words by number, to be packed and unpacked by this process.
#[derive(Debug)]
pub(in crate::engine) struct Raw<F>(pub(in crate::engine) F);

impl Serialize for Raw<&Facts> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let streams = self.0.streams();
        let stored = StoredFacts {
            streams: streams
                .map(|(stream, facts)| {
                    (stream, facts.iter().map(Fact::as_it_is).collect::<Vec<_>>())
                })
                .collect(),
            dead: self.0.dead.as_slice(),
            truncated: self.0.truncated,
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Raw<Facts> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored: StoredFacts<Vec<Stored<'de>>, Vec<Tombstone>> =
            StoredFacts::deserialize(deserializer)?;
        let as_it_is = |stored: Stored<'de>| Fact {
            time: stored.time,
            key: stored.key,
            precision: stored.precision,
            body: stored.body.into(),
        };
        let stored = StoredFacts {
            streams: stored
                .streams
                .into_iter()
                .map(|(stream, facts)| (stream, facts.into_iter().map(as_it_is).collect()))
                .collect(),
            dead: stored.dead,
            truncated: stored.truncated,
        };
        let facts = Facts::in_order(stored)
            .ok_or_else(|| serde::de::Error::custom("facts out of order"))?;
        Ok(Self(facts))
    }
}

impl Facts {
    /// Facts by stream, if the streams are in their order.
    fn in_order(stored: StoredFacts<Vec<Fact>, Vec<Tombstone>>) -> Option<Self> {
        let mut facts = Self {
            dead: stored.dead,
            truncated: stored.truncated,
            ..Self::default()
        };
        facts
            .live
            .reserve_exact(stored.streams.iter().map(|(_, list)| list.len()).sum());
        for (stream, list) in stored.streams {
            if facts.live.len() != facts.range(stream).end || STREAM_FACTS_MAX < list.len() {
                return None;
            }
            let count = u16::try_from(list.len()).ok()?;
            facts.live.extend(list);
            facts.shift(stream, |end| end.saturating_add(count));
        }
        Some(facts)
    }

    /// Where the facts of a stream are.
    fn range(&self, stream: Stream) -> Range<usize> {
        let end = |at: usize| self.ends.get(at).map_or(0, |end| usize::from(*end));
        let at = stream.place();
        at.checked_sub(1).map_or(0, end)..end(at)
    }

    /// Moves the end of a stream, and of those behind it.
    fn shift(&mut self, stream: Stream, to: impl Fn(u16) -> u16) {
        for end in self.ends.iter_mut().skip(stream.place()) {
            *end = to(*end);
        }
    }

    fn take_out(&mut self, stream: Stream, at: usize) -> Fact {
        self.shift(stream, |end| end.saturating_sub(1));
        self.live.remove(at)
    }

    /// The live facts of a stream, oldest first.
    pub fn of(&self, stream: Stream) -> &[Fact] {
        self.live.get(self.range(stream)).unwrap_or(&[])
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
        let all = Stream::EVERY
            .into_iter()
            .map(|stream| (stream, self.of(stream)));
        all.filter(|(_, facts)| !facts.is_empty())
    }

    /// The fact of a record, with its stream.
    pub fn find(&self, key: RecordKey) -> Option<(Stream, &Fact)> {
        let at = self.live.iter().position(|fact| fact.key == key)?;
        let stream = Stream::EVERY
            .into_iter()
            .find(|stream| at < self.range(*stream).end)?;
        Some((stream, self.live.get(at)?))
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
        self.live.len()
    }

    /// Whether there is no live fact.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a fact in its place. Returns the records that had to go because the stream is full.
    pub fn insert(&mut self, stream: Stream, fact: Fact) -> Option<RecordKey> {
        let range = self.range(stream);
        let facts = self.of(stream);
        let place = facts.partition_point(|f| (f.time, f.key) < (fact.time, fact.key));
        let at = range.start.saturating_add(place);
        if let Some(slot) = self
            .live
            .get_mut(at)
            .filter(|f| at < range.end && (f.time, f.key) == (fact.time, fact.key))
        {
            *slot = fact;
            return None;
        }
        if self.live.len() == self.live.capacity() {
            self.live.reserve_exact((self.live.len() / 4).max(1));
        }
        self.live.insert(at, fact);
        self.shift(stream, |end| end.saturating_add(1));
        let max = if stream.is_standing() {
            STANDING_FACTS_MAX
        } else {
            STREAM_FACTS_MAX
        };
        if max <= range.len() {
            self.truncated = true;
            return Some(self.take_out(stream, range.start).key);
        }
        None
    }

    /// Lets go of the facts of a stream, and of withdrawals, from before a time. Gives the records that went.
    pub fn trim(&mut self, stream: Stream, before: EventTime) -> Vec<RecordKey> {
        let old = self.of(stream).partition_point(|fact| fact.time < before);
        let from = self.range(stream).start;
        let gone = self.live.drain(from..from.saturating_add(old));
        let mut gone: Vec<RecordKey> = gone.map(|fact| fact.key).collect();
        let count = u16::try_from(old).unwrap_or(u16::MAX);
        self.shift(stream, |end| end.saturating_sub(count));
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
        let place = self.of(stream).iter().position(|fact| fact.key == key)?;
        let at = self.range(stream).start.saturating_add(place);
        Some(self.take_out(stream, at))
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
        let live: usize = self.live.iter().map(Fact::size_bytes).sum();
        let dead: usize = self
            .dead
            .iter()
            .map(|t| size_of::<Tombstone>() + t.id.len())
            .sum();
        live + dead
    }
}

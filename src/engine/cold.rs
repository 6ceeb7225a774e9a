//! Subjects at rest: packed while nothing happens to them, and put away where the shell lends a place for that.
//!
//! Most firms are quiet for months. A shard keeps so many subjects ready ([`Rest::warm_max`]); the others are packed to some
//! hundred bytes, which an [`Attic`] takes out of memory. One is unpacked when something happens to it or somebody asks for it.
//! Whether a subject is at rest, and where, changes nothing but memory and time: no output depends on it, and the store holds
//! the same bytes.
//!
//! The facts of a firm say much alike, and so do those of different firms: what is packed first becomes the dictionary for the
//! rest. The second-chance rule decides who rests: who was used since it was last considered stays.
//!
//! bounds   [`DICTIONARY_BYTES_MAX`]; individuals only, as regions and departments are never quiet
//! errors   bytes that cannot be unpacked are a bug, and panic: they were packed by this process. An attic that cannot give bytes
//!          back ends the run, see [`Attic::get`]; one that cannot take them leaves them in memory
//! cost     packing and unpacking about 4 µs each, taking the facts apart included; what the attic takes comes on top

use super::event::SubjectKey;
use super::subject::facts::{Facts, Raw};
use super::subject::state::{Core, Holdings, Subject};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// The most bytes of the dictionary. LZ4 reads all of it for every subject that it packs: with 16 KiB packing took 20 µs and
/// gave 355 bytes of 672, with 1 KiB 2.4 µs and 425, with none 1.3 µs and 467 (Zstandard with a dictionary: 26 µs and 318).
const DICTIONARY_BYTES_MAX: usize = 1_024;

/// Where bytes were put away. What it says is known to the [`Attic`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub u64);

/// Where packed subjects are put away, out of memory. Lent by the shell, one a shard; nothing that is kept or leaves depends on it.
pub trait Attic: fmt::Debug + Send + Sync {
    /// Puts bytes away; none if they cannot be taken, and then they stay in memory.
    fn put(&mut self, bytes: &[u8]) -> Option<Place>;
    /// The bytes that were put there. The core cannot go on without them: where they are lost this does not return but unwinds,
    /// with a payload that whoever lent it takes for the fault that it is.
    fn get(&self, place: Place) -> Vec<u8>;
    /// Nobody asks for these bytes again.
    fn free(&mut self, place: Place);
    /// Nearly all of it is going to be asked for, in any order.
    fn foresee(&self) {}
}

/// How many subjects are at rest, and where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resting {
    /// Packed, in memory.
    pub here: u64,
    /// Packed and put away.
    pub away: u64,
    /// Bytes of those that are put away.
    pub away_bytes: u64,
    /// How often bytes were not taken, so far.
    pub refused: u64,
}

impl Resting {
    /// How many there are.
    pub fn count(self) -> u64 {
        self.here.saturating_add(self.away)
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            here: self.here.saturating_add(other.here),
            away: self.away.saturating_add(other.away),
            away_bytes: self.away_bytes.saturating_add(other.away_bytes),
            refused: self.refused.saturating_add(other.refused),
        }
    }
}

/// A subject at rest.
#[derive(Debug)]
pub(super) enum Packed {
    /// In memory.
    Here(Box<[u8]>),
    /// Put away.
    Away(Place),
}

/// Who is ready, and what the others are packed with.
#[derive(Debug)]
pub(super) struct Rest {
    /// The most individuals that are ready.
    pub(super) warm_max: usize,
    /// Those that are, the one that is considered next first.
    pub(super) warm: VecDeque<Arc<SubjectKey>>,
    /// Where the others are put away; none: they stay in memory.
    pub(super) attic: Option<Box<dyn Attic>>,
    /// How many there are of them.
    pub(super) resting: Resting,
    dictionary: Vec<u8>,
    /// What stands in the place of packed facts.
    nothing: Arc<Facts>,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            warm_max: usize::MAX,
            warm: VecDeque::new(),
            attic: None,
            resting: Resting::default(),
            dictionary: Vec::new(),
            nothing: Arc::default(),
        }
    }
}

impl Rest {
    /// Whether the dictionary is still to be made.
    pub(super) fn needs_samples(&self) -> bool {
        self.dictionary.is_empty()
    }

    /// Makes the dictionary of the subjects that fit.
    pub(super) fn learn<'a>(&mut self, samples: impl Iterator<Item = &'a Subject>) {
        for bytes in samples.map(bytes_of) {
            if self.dictionary.len().saturating_add(bytes.len()) <= DICTIONARY_BYTES_MAX {
                self.dictionary.extend(bytes);
            }
        }
        if self.dictionary.is_empty() {
            // Never empty, so that it is made once.
            self.dictionary.push(0);
        }
    }

    /// Packs a subject, and puts it away if there is a place for that.
    pub(super) fn pack(&mut self, subject: &Subject) -> Packed {
        let bytes = bytes_of(subject);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        let packed = lz4_flex::block::compress_with_dict(&bytes, &self.dictionary);
        let bytes = [length.as_slice(), packed.as_slice()].concat();
        if let Some(attic) = &mut self.attic {
            if let Some(place) = attic.put(&bytes) {
                self.resting.away += 1;
                self.resting.away_bytes += size(&bytes);
                return Packed::Away(place);
            }
            self.resting.refused += 1;
        }
        self.resting.here += 1;
        Packed::Here(bytes.into())
    }

    /// The subject of this key that was packed, at rest no longer.
    pub(super) fn wake(&mut self, key: &Arc<SubjectKey>, packed: Packed) -> Subject {
        match packed {
            Packed::Here(bytes) => {
                let subject = self.unpack(key, &bytes);
                self.resting.here -= 1;
                subject
            }
            Packed::Away(place) => {
                let bytes = self.fetch(place);
                let subject = self.unpack(key, &bytes);
                self.resting.away -= 1;
                self.resting.away_bytes -= size(&bytes);
                if let Some(attic) = &mut self.attic {
                    attic.free(place);
                }
                subject
            }
        }
    }

    /// The subject of this key that is packed.
    pub(super) fn look(&self, key: &Arc<SubjectKey>, packed: &Packed) -> Subject {
        match packed {
            Packed::Here(bytes) => self.unpack(key, bytes),
            Packed::Away(place) => self.unpack(key, &self.fetch(*place)),
        }
    }

    #[expect(clippy::expect_used, reason = "only an attic gives places")]
    fn fetch(&self, place: Place) -> Vec<u8> {
        self.attic.as_ref().expect("an attic").get(place)
    }

    #[expect(
        clippy::expect_used,
        reason = "this process packed it; anything else is a bug"
    )]
    fn unpack(&self, key: &Arc<SubjectKey>, packed: &[u8]) -> Subject {
        let (length, packed) = packed.split_first_chunk::<4>().expect("a length");
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(0);
        let bytes = lz4_flex::block::decompress_with_dict(packed, length, &self.dictionary)
            .expect("what was packed here");
        let (facts, core): (Option<Raw<Facts>>, Option<Box<Core>>) =
            postcard::from_bytes(&bytes).expect("what was packed here");
        let facts = facts.map_or_else(|| Arc::clone(&self.nothing), |facts| Arc::new(facts.0));
        let holdings = Holdings::Facts(facts);
        Subject {
            key: Arc::clone(key),
            holdings,
            core,
        }
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// What a subject is beside its key, as this process has it in memory; nothing of a collective.
fn bytes_of(subject: &Subject) -> Vec<u8> {
    let facts = subject.facts().map(|facts| Raw(facts.as_ref()));
    postcard::to_stdvec(&(facts, &subject.core)).unwrap_or_default()
}

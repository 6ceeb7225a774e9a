//! Subjects at rest: packed in memory while nothing happens to them.
//!
//! Most firms are quiet for months. A shard keeps so many subjects ready ([`Rest::warm_max`]); of the others it keeps the
//! packed bytes, some hundreds a firm, and unpacks one when something happens to it or somebody asks for it. Whether a
//! subject is at rest changes nothing but memory and time: no output depends on it, and the store holds the same bytes.
//!
//! The facts of a firm say much alike, and so do those of different firms: what is packed first becomes the dictionary for the
//! rest. The second-chance rule decides who rests: who was used since it was last considered stays.
//!
//! bounds   [`DICTIONARY_BYTES_MAX`]; individuals only, as regions and departments are never quiet
//! errors   bytes that cannot be unpacked are a bug, and panic: they were packed by this process
//! cost     packing and unpacking about 4 µs each, taking the facts apart included

use super::event::SubjectKey;
use super::subject::facts::{Facts, Raw};
use super::subject::state::{Core, Holdings, Subject};
use std::collections::VecDeque;
use std::sync::Arc;

/// The most bytes of the dictionary. LZ4 reads all of it for every subject that it packs: with 16 KiB packing took 20 µs and
/// gave 355 bytes of 672, with 1 KiB 2.4 µs and 425, with none 1.3 µs and 467 (Zstandard with a dictionary: 26 µs and 318).
const DICTIONARY_BYTES_MAX: usize = 1_024;

/// Who is ready, and what the others are packed with.
#[derive(Debug)]
pub(super) struct Rest {
    /// The most individuals that are ready.
    pub(super) warm_max: usize,
    /// Those that are, the one that is considered next first.
    pub(super) warm: VecDeque<Arc<SubjectKey>>,
    dictionary: Vec<u8>,
    /// What stands in the place of packed facts.
    nothing: Arc<Facts>,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            warm_max: usize::MAX,
            warm: VecDeque::new(),
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

    /// Packs a subject and leaves nothing of it but its key.
    pub(super) fn pack(&self, subject: &mut Subject) -> Box<[u8]> {
        let bytes = bytes_of(subject);
        subject.holdings = Holdings::Facts(Arc::clone(&self.nothing));
        subject.core = None;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        let packed = lz4_flex::block::compress_with_dict(&bytes, &self.dictionary);
        [length.as_slice(), packed.as_slice()].concat().into()
    }

    /// The subject of this key that was packed.
    #[expect(
        clippy::expect_used,
        reason = "this process packed it; anything else is a bug"
    )]
    pub(super) fn unpack(&self, key: &Arc<SubjectKey>, packed: &[u8]) -> Subject {
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

/// What a subject is beside its key, as this process has it in memory; nothing of a collective.
fn bytes_of(subject: &Subject) -> Vec<u8> {
    let facts = subject.facts().map(|facts| Raw(facts.as_ref()));
    postcard::to_stdvec(&(facts, &subject.core)).unwrap_or_default()
}

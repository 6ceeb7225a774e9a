//! The hashes that this project uses, each for one purpose.
//!
//! - murmur2: which shard owns a subject; the same as Kafka's default partitioner, so shards and partitions agree.
//! - SipHash 1-3 with a fixed key: telling versions of a record apart, never for security.
//! - foldhash with a fixed key: tables in memory, see [`FixedState`].
//! - SM3 (GB/T 32905): identities that leave the system, see [`sm3_hex`].

use siphasher::sip::SipHasher13;
use sm3::{Digest, Sm3};
use std::hash::Hasher;

/// Kafka's murmur2, seed 0x9747b28c.
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut h = 0x9747_b28c_u32 ^ length;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut bytes = [0_u8; 4];
        bytes.copy_from_slice(chunk);
        let mut k = u32::from_le_bytes(bytes).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * at);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// A 64-bit hash of bytes, the same on every machine.
pub fn sip64(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x6665_6e67_6875_6f31, 0x7269_736b_7761_726e);
    hasher.write(bytes);
    hasher.finish()
}

/// Builds the same hasher for every map on every machine, so that no order is random. What it gives is for tables in memory alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct FixedState;

impl std::hash::BuildHasher for FixedState {
    type Hasher = foldhash::fast::FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        foldhash::fast::FixedState::with_seed(0x6665_6e67_6875_6f32).build_hasher()
    }
}

/// SM3 over parts, each ended by a zero byte so that no two lists of parts run together, as 64 hex digits.
pub fn sm3_hex(parts: &[&[u8]]) -> String {
    let mut hash = Sm3::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    hex(&hash.finalize())
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

/// The first 16 bytes of a digest.
pub fn first_16(digest: &[u8]) -> [u8; 16] {
    let mut out = [0_u8; 16];
    for (to, from) in out.iter_mut().zip(digest) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_of_any_length_is_owned_by_its_text() {
        use crate::engine::event::{SubjectKey, SubjectKind};
        for length in 0..200 {
            let key = SubjectKey::new(SubjectKind::Enterprise, &"9132".repeat(50)[..length]);
            let owner = (murmur2(key.to_string().as_bytes()) & 0x7fff_ffff) % 7;
            assert_eq!(key.shard(7), owner, "{length}");
        }
    }

    #[test]
    fn murmur2_agrees_with_kafka() {
        // From org.apache.kafka.common.utils.UtilsTest.
        for (text, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
        ] {
            assert_eq!(murmur2(text.as_bytes()), hash.cast_unsigned(), "{text}");
        }
    }

    #[test]
    fn sm3_agrees_with_the_standard() {
        // GB/T 32905-2016, example 1: SM3("abc").
        assert_eq!(
            hex(&Sm3::digest(b"abc")),
            "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
        );
    }
}

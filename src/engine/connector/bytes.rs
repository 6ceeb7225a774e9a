//! Bytes looked at eight at a time, in an ordinary register: where a string ends, whether a text needs care.
//!
//! The trick finds bytes below a bound: subtracting the bound from every byte borrows into the high bit of those below it.
//! A borrow may spread to bytes above the first hit, never below it, so the first hit is exact and so is "none".
//!
//! cost     about ten instructions per eight bytes
//! source   Warren, "Hacker's Delight", 2nd ed., section 6-1

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bits of bytes below `bound` (at most 128).
fn below(word: u64, bound: u64) -> u64 {
    word.wrapping_sub(ONES * bound) & !word & HIGH
}

/// The high bits of bytes that are `byte`.
fn equal(word: u64, byte: u64) -> u64 {
    below(word ^ (ONES * byte), 1)
}

/// The place of the first quote, backslash or control character.
pub(super) fn plain_string_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        let hits = below(word, 0x20) | equal(word, 0x22) | equal(word, 0x5c);
        if hits != 0 {
            return Some(at + usize::try_from(hits.trailing_zeros() / 8).ok()?);
        }
        at += 8;
    }
    let mut rest = chunks.remainder().iter();
    let stop = rest.position(|b| matches!(b, b'"' | b'\\' | 0..=31))?;
    Some(at + stop)
}

/// Whether no byte is a control character, a blank or E2, the lead of the marks that turn the reading direction.
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        if below(word, 0x21) | equal(word, 0x7f) | equal(word, 0xe2) != 0 {
            return false;
        }
    }
    let odd = |b: &u8| *b < 0x21 || *b == 0x7f || *b == 0xe2;
    !chunks.remainder().iter().any(odd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn eight_at_a_time_find_what_one_does(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let slow = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=31));
            prop_assert_eq!(plain_string_end(&bytes), slow);
            let odd = |b: &u8| *b < 0x21 || *b == 0x7f || *b == 0xe2;
            prop_assert_eq!(is_plain(&bytes), !bytes.iter().any(odd));
        }
    }
}

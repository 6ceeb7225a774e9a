//! Words that facts share: departments, regions, kinds, results, kept once in the process and named by number.
//!
//! A fact of a province says little that no other says: of its twenty texts most are one of some thousands. A text that is
//! written a second time becomes a word, and facts in memory then hold its number ([`super::body`]) instead of it. Nothing
//! that leaves and nothing in the store depends on which texts are words: bytes for the store hold the texts.
//!
//! shape    a table of texts that only grows, and a hash table of their numbers with open addresses; no lock to read
//! bounds   [`WORDS_MAX`] words of at most [`WORD_BYTES_MAX`] bytes, [`FIELD_WORDS_MAX`] a field, so that a field whose
//!          values are all different (names, titles) cannot take the room; a text that finds none stays a text
//! cost     finding a number about 15 ns, not finding one three times that: of a field that seldom has a word only one
//!          text in [`SAMPLE`] is looked up; the text of a number one look into the table

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The most words there are.
const WORDS_MAX: usize = 65_536;
/// The most bytes of a word.
const WORD_BYTES_MAX: usize = 96;
/// The most words that come from one field.
const FIELD_WORDS_MAX: u32 = 8_192;
/// Places for numbers, a power of two; twice as many as words, so that a search ends soon.
const PLACES: usize = 131_072;
/// How many places are looked at for one text.
const PROBES_MAX: usize = 32;
/// Places for what was seen once, a power of two.
const SEEN: usize = 65_536;

/// By its hash one text in so many says whether its field has words, a power of two.
const SAMPLE: u64 = 16;
/// So many of those texts are looked at before a field is judged by them.
const SAMPLED_MIN: u32 = 64;
/// A field of which fewer than one text in so many is a word is passed over.
const WORTH: u32 = 8;

/// Whose texts they are: a field's row, or one of these.
pub(super) const OF_SOURCES: u8 = 0x7e;
/// Keys of subjects.
pub(super) const OF_SUBJECTS: u8 = 0x7f;

static TEXTS: [OnceLock<Box<str>>; WORDS_MAX] = [const { OnceLock::new() }; WORDS_MAX];
static NUMBERS: [AtomicU32; PLACES] = [const { AtomicU32::new(0) }; PLACES];
static ONCE: [AtomicU32; SEEN] = [const { AtomicU32::new(0) }; SEEN];
static OF_FIELD: [AtomicU32; 128] = [const { AtomicU32::new(0) }; 128];
/// Texts of the sample that were looked up, and those of them that were words, by field.
static SAMPLED: [[AtomicU32; 2]; 128] = [const { [const { AtomicU32::new(0) }; 2] }; 128];
/// The last number given.
static LAST: Mutex<u32> = Mutex::new(0);

/// The word of a number.
pub(super) fn word(number: u64) -> Option<&'static str> {
    let at = usize::try_from(number).ok()?;
    TEXTS.get(at)?.get().map(AsRef::as_ref)
}

/// The number of a text, from 1, if it is a word; a text that was seen before becomes one.
pub(super) fn number_of(text: &str, of: u8) -> Option<u64> {
    if text.len() < 2 || WORD_BYTES_MAX < text.len() {
        return None;
    }
    let hash = hash(text.as_bytes());
    let [looked_up, words] = SAMPLED.get(usize::from(of))?;
    let is_sampled = hash >> 32 & (SAMPLE - 1) == 0;
    if !is_sampled && is_poor(looked_up, words) {
        return None;
    }
    let number = match find(text, hash) {
        Found::Number(number) => Some(number),
        Found::Nothing if is_second_time(hash) => enter(text, hash, of),
        Found::Nothing | Found::Full => None,
    };
    if is_sampled {
        note(looked_up, words, number.is_some());
    }
    number
}

/// Whether the texts of a field are hardly ever words, as far as is known.
fn is_poor(looked_up: &AtomicU32, words: &AtomicU32) -> bool {
    let looked_up = looked_up.load(Ordering::Relaxed);
    SAMPLED_MIN <= looked_up && words.load(Ordering::Relaxed) < looked_up / WORTH
}

/// Counts a text of the sample. What is counted changes room and time and nothing else; after 2^32 texts of it the count begins anew.
fn note(looked_up: &AtomicU32, words: &AtomicU32, is_word: bool) {
    looked_up.fetch_add(1, Ordering::Relaxed);
    if is_word {
        words.fetch_add(1, Ordering::Relaxed);
    }
}

enum Found {
    Number(u64),
    Nothing,
    Full,
}

/// The places at which a text of this hash may stand.
fn places(hash: u64) -> impl Iterator<Item = &'static AtomicU32> {
    let from = usize::try_from(hash & 0xffff_ffff).unwrap_or(0);
    (0..PROBES_MAX).filter_map(move |step| NUMBERS.get(from.wrapping_add(step) % PLACES))
}

fn find(text: &str, hash: u64) -> Found {
    for place in places(hash) {
        let number = u64::from(place.load(Ordering::Acquire));
        if number == 0 {
            return Found::Nothing;
        }
        if word(number) == Some(text) {
            return Found::Number(number);
        }
    }
    Found::Full
}

/// Whether a text with this hash was seen not long ago; if not, it is remembered.
fn is_second_time(hash: u64) -> bool {
    let high = hash >> 32;
    let at = usize::try_from(high).unwrap_or(0) % SEEN;
    let print = u32::try_from(hash & 0xffff_ffff).unwrap_or(0) | 1;
    let Some(place) = ONCE.get(at) else {
        return false;
    };
    if place.load(Ordering::Relaxed) == print {
        return true;
    }
    place.store(print, Ordering::Relaxed);
    false
}

fn enter(text: &str, hash: u64, of: u8) -> Option<u64> {
    let count = OF_FIELD.get(usize::from(of))?;
    if FIELD_WORDS_MAX <= count.load(Ordering::Relaxed) {
        return None;
    }
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    // Somebody may have been faster.
    if let Found::Number(number) = find(text, hash) {
        return Some(number);
    }
    let number = last.checked_add(1)?;
    let place = places(hash).find(|place| place.load(Ordering::Acquire) == 0)?;
    TEXTS
        .get(usize::try_from(number).ok()?)?
        .set(text.into())
        .ok()?;
    *last = number;
    count.fetch_add(1, Ordering::Relaxed);
    // Last, so that whoever finds the number finds its text.
    place.store(number, Ordering::Release);
    Some(u64::from(number))
}

/// A quick hash; that texts may be made to collide costs their sender room and nobody an answer.
fn hash(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = u64::try_from(bytes.len()).unwrap_or(0).wrapping_mul(PRIME);
    let mut mix = |part: u64| {
        hash = (hash ^ part).wrapping_mul(PRIME);
        hash ^= hash >> 29;
    };
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        mix(u64::from_le_bytes(*chunk));
    }
    let mut last = [0_u8; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    mix(u64::from_le_bytes(last));
    mix(PRIME);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn a_text_becomes_a_word_the_second_time_and_keeps_its_number() {
        let text = "测试局：只在这个测试里";
        assert_eq!(number_of(text, 3), None);
        let number = number_of(text, 3).unwrap();
        assert_eq!(word(number), Some(text));
        assert_eq!(number_of(text, 4), Some(number));
        assert_eq!(word(0), None);
        assert_eq!(word(u64::MAX), None);
    }

    #[test]
    fn long_texts_stay_texts() {
        let text = "长".repeat(40);
        assert_eq!(number_of(&text, 5), None);
        assert_eq!(number_of(&text, 5), None);
    }

    #[test]
    fn a_field_whose_texts_are_all_different_is_passed_over() {
        let titles = |from: u32| (from..from + 4_000).map(|n| format!("标题 {n}"));
        let second_time = |texts: Vec<String>, of: u8| {
            let numbers = texts.iter().map(|text| {
                number_of(text, of);
                number_of(text, of)
            });
            numbers.flatten().count()
        };
        for title in titles(0) {
            number_of(&title, 7);
        }
        // What comes twice is not seen any more, but for the sample.
        let known = second_time(titles(10_000).take(800).collect(), 7);
        assert!((10..200).contains(&known), "{known} of 800 are words");
        let known = second_time((0..800).map(|n| format!("部门 {n}")).collect(), 8);
        assert!(700 < known, "{known} of 800 are words");
    }

    #[test]
    fn threads_agree_on_numbers() {
        let texts: Vec<String> = (0..500).map(|n| format!("同时写下的词 {n}")).collect();
        let all = |texts: &[String]| -> Vec<Option<u64>> {
            for text in texts {
                number_of(text, 6);
            }
            texts.iter().map(|text| number_of(text, 6)).collect()
        };
        let lists: Vec<_> = (0..4).into_par_iter().map(|_| all(&texts)).collect();
        for list in &lists {
            for (text, number) in texts.iter().zip(list) {
                if let Some(number) = number {
                    assert_eq!(word(*number), Some(text.as_str()));
                }
            }
        }
        let again = all(&texts);
        let known = again.iter().flatten().count();
        assert!(450 < known, "{known} of 500 are words");
    }
}

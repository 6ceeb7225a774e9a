//! Subjects by their key, with hardly any room to spare: pages of slots, and a hash table of their numbers. A slot holds the
//! subject, or while it is at rest its key and where its packed bytes are.
//!
//! A hash table that holds the slots themselves has room for up to twice as many. Here it holds four bytes a slot, and the slots
//! stand in pages that are filled one after the other and never move. Subjects do not go, so neither do slots.
//!
//! shape    the slot, and 7 to 12 bytes
//! cost     one look-up; [`PAGE_SLOTS`] slots are made room for at once

use super::cold::{Packed, Rest};
use super::event::SubjectKey;
use super::hash::FixedState;
use super::moved::{Marks, Moved};
use super::subject::state::{Core, Subject};
use super::time::EventTime;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::borrow::Cow;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Slots of a page.
const PAGE_SLOTS: usize = 256;

/// What has a key.
pub(super) trait Keyed {
    /// The key.
    fn key(&self) -> &SubjectKey;
}

/// What a shard keeps of a subject.
#[derive(Debug)]
pub(super) struct Slot {
    body: Body,
    pub(super) due: EventTime,
    /// Which rules have said something of it, while it is at rest.
    marks: Marks,
    pub(super) is_dirty: bool,
    /// Whether it was used since it was last considered for rest.
    pub(super) is_used: bool,
}

/// A subject, or its key and where the rest of it is.
#[derive(Debug)]
enum Body {
    Ready(Subject),
    Resting(Arc<SubjectKey>, Packed),
}

impl Keyed for Slot {
    fn key(&self) -> &SubjectKey {
        self.shared_key()
    }
}

impl Slot {
    pub(super) fn new(subject: Subject) -> Self {
        Self {
            body: Body::Ready(subject),
            due: EventTime::MAX,
            marks: Marks::default(),
            is_dirty: false,
            is_used: true,
        }
    }

    pub(super) fn shared_key(&self) -> &Arc<SubjectKey> {
        match &self.body {
            Body::Ready(subject) => &subject.key,
            Body::Resting(key, _) => key,
        }
    }

    /// The subject, unless it is at rest.
    pub(super) fn ready(&self) -> Option<&Subject> {
        match &self.body {
            Body::Ready(subject) => Some(subject),
            Body::Resting(..) => None,
        }
    }

    /// The subject, woken if it was at rest; whether it was.
    #[expect(clippy::unreachable, reason = "it was woken just before")]
    pub(super) fn wake(&mut self, rest: &mut Rest) -> (&mut Subject, bool) {
        let mut was_resting = false;
        if let Body::Resting(key, packed) = &mut self.body {
            let packed = core::mem::replace(packed, Packed::Here(Box::default()));
            self.body = Body::Ready(rest.wake(key, packed));
            was_resting = true;
        }
        match &mut self.body {
            Body::Ready(subject) => (subject, was_resting),
            Body::Resting(..) => unreachable!("just woken"),
        }
    }

    /// Lays it to rest.
    pub(super) fn lay_to_rest(&mut self, rest: &mut Rest) {
        self.is_used = false;
        if let Body::Ready(subject) = &self.body {
            self.marks = Marks::of(subject.core.as_deref());
            let packed = rest.pack(subject);
            self.body = Body::Resting(Arc::clone(&subject.key), packed);
        }
    }

    /// The subject, unpacked if it is at rest.
    pub(super) fn subject(&self, rest: &Rest) -> Cow<'_, Subject> {
        match &self.body {
            Body::Ready(subject) => Cow::Borrowed(subject),
            Body::Resting(key, packed) => Cow::Owned(rest.look(key, packed)),
        }
    }

    /// Whether a change of rules concerns the subject.
    pub(super) fn is_concerned(&self, moved: &Moved<'_>, rest: &Rest) -> bool {
        let concerns =
            |core: &Option<Box<Core>>| core.as_deref().is_some_and(|core| moved.concerns(core));
        match self.ready() {
            Some(subject) => concerns(&subject.core),
            None => moved.may_concern(self.marks) && concerns(&self.subject(rest).core),
        }
    }

    /// Whether rules have said something of it that still counts.
    pub(super) fn is_spoken_of(&self) -> bool {
        self.ready()
            .map_or(self.marks != Marks::default(), |subject| {
                subject.core.is_some()
            })
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Slots<T> {
    numbers: HashTable<u32>,
    pages: Vec<Vec<T>>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            numbers: HashTable::new(),
            pages: Vec::new(),
        }
    }
}

/// The page of a number, and the place on it.
fn place(number: u32) -> (usize, usize) {
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    (number / PAGE_SLOTS, number % PAGE_SLOTS)
}

fn at<T>(pages: &[Vec<T>], number: u32) -> Option<&T> {
    let (page, at) = place(number);
    pages.get(page)?.get(at)
}

fn hash(key: &SubjectKey) -> u64 {
    FixedState.hash_one(key)
}

impl<T: Keyed> Slots<T> {
    fn number(&self, key: &SubjectKey) -> Option<u32> {
        let is_this = |number: &u32| at(&self.pages, *number).is_some_and(|slot| slot.key() == key);
        self.numbers.find(hash(key), is_this).copied()
    }

    /// The slot of this key.
    pub(super) fn get(&self, key: &SubjectKey) -> Option<&T> {
        at(&self.pages, self.number(key)?)
    }

    /// The slot of this key, to be changed.
    pub(super) fn get_mut(&mut self, key: &SubjectKey) -> Option<&mut T> {
        let (page, at) = place(self.number(key)?);
        self.pages.get_mut(page)?.get_mut(at)
    }

    /// The slot of this key, made if there is none.
    #[expect(clippy::expect_used, reason = "it was found or put there just before")]
    pub(super) fn get_or_make(&mut self, key: &SubjectKey, make: impl FnOnce() -> T) -> &mut T {
        let pages = &mut self.pages;
        let is_this = |number: &u32| at(pages, *number).is_some_and(|slot| slot.key() == key);
        let hash_again = |number: &u32| at(pages, *number).map_or(0, |slot| hash(slot.key()));
        let number = match self.numbers.entry(hash(key), is_this, hash_again) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(vacant) => {
                let full = pages.last().is_none_or(|page| page.len() == PAGE_SLOTS);
                let before = pages.len().saturating_sub(usize::from(!full));
                if full {
                    pages.push(Vec::with_capacity(PAGE_SLOTS));
                }
                let page = pages.last_mut().expect("a page");
                let number = before.saturating_mul(PAGE_SLOTS).saturating_add(page.len());
                page.push(make());
                let number = u32::try_from(number).expect("fewer than 2^32 subjects");
                vacant.insert(number);
                number
            }
        };
        let (page, at) = place(number);
        let page = self.pages.get_mut(page);
        page.and_then(|page| page.get_mut(at)).expect("a slot")
    }

    /// All slots, in the order in which they were made.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::SubjectKind;

    impl Keyed for (SubjectKey, u32) {
        fn key(&self) -> &SubjectKey {
            &self.0
        }
    }

    #[test]
    fn a_slot_is_small() {
        assert_eq!(size_of::<Slot>(), 48);
    }

    #[test]
    fn every_slot_is_found_under_its_key() {
        let key = |n: u32| SubjectKey::new(SubjectKind::Enterprise, &n.to_string());
        let mut slots = Slots::default();
        for n in (0..2_000).chain(0..1_000) {
            slots.get_or_make(&key(n), || (key(n), 0)).1 += 1;
        }
        assert_eq!(slots.len(), 2_000);
        assert_eq!(slots.get(&key(999)), Some(&(key(999), 2)));
        assert_eq!(slots.get_mut(&key(1_999)), Some(&mut (key(1_999), 1)));
        assert_eq!(slots.get(&key(2_000)), None);
        let made: Vec<&(SubjectKey, u32)> = slots.values().collect();
        assert!(made.iter().zip(0..).all(|(slot, n)| slot.0 == key(n)));
    }
}

//! The entries of a shard as the holder of its lock sees them.
//!
//! Owns: how an id becomes a key and a value without a copy. This is the one file of the shard with
//! unsafe code: it hands out plain bytes of words that are otherwise atomics.

#![allow(unsafe_code)]

use std::ops::Range;

use super::Space;
use super::large::{LargeEntries, LargeEntry};
use super::space::prefetch_behind;
use crate::entry::{self, Head, NEVER};
use crate::expiry::Timers;
use crate::slab::{self, EntryId, MAX_RUN, Slab};

/// Words of the longest run.
const MAX_RUN_WORDS: usize = MAX_RUN / 4;

/// An entry that is in the index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) id: EntryId,
    pub(super) head: Head,
}

/// The entries of a shard, to be read while nobody changes them.
///
/// Borrowing the slab keeps the shard's lock: it is a part of the shard, so whoever has a reference
/// to it holds the lock, and no `&mut Shard`, without which no entry changes, exists beside it.
#[derive(Clone, Copy)]
pub(super) struct Entries<'a> {
    pub(super) space: &'a Space,
    pub(super) slab: &'a Slab,
    pub(super) large: &'a LargeEntries,
}

impl<'a> Entries<'a> {
    /// The entry of an id from the index.
    #[inline]
    pub(super) fn get(self, id: EntryId) -> Found {
        match Head::read(&self.space.words, id) {
            Some(head) => Found { id, head },
            None => unreachable!("{id:?} is in the index and has no entry"),
        }
    }

    /// The entry of an id from the index, if it has this key.
    #[inline(always)]
    pub(super) fn with_key(self, id: EntryId, key: &[u8]) -> Option<Found> {
        let place = self.space.words.run(id.word(), MAX_RUN_WORDS);
        prefetch_behind(place);
        let head = Head::of(place)?;
        let found = Found { id, head };
        let has_key = match self.large_part(&found) {
            None => head.has_key(place, key),
            Some(large) => *large.key == *key,
        };
        has_key.then_some(found)
    }

    /// The entry that starts at an id which may be stale.
    #[inline]
    pub(super) fn live(self, id: EntryId) -> Option<Found> {
        if !self.slab.is_live(&self.space.words, id) {
            return None;
        }
        Head::read(&self.space.words, id).map(|head| Found { id, head })
    }

    #[inline]
    pub(super) fn key(self, found: &Found) -> &'a [u8] {
        match self.large_part(found) {
            None => self.run(found.id, found.head.key_range()),
            Some(large) => &large.key,
        }
    }

    #[inline]
    pub(super) fn value(self, found: &Found) -> &'a [u8] {
        match self.large_part(found) {
            None => self.run(found.id, found.head.value_range()),
            Some(large) => large.value.as_slice(),
        }
    }

    /// The part of an entry that is out of line, if it has one.
    #[inline]
    pub(super) fn large_part(self, found: &Found) -> Option<&'a LargeEntry> {
        if !found.head.is_large() {
            return None;
        }
        Some(self.large.get(entry::large_number(&self.space.words, found.id, &found.head)))
    }

    /// What an entry is charged.
    #[inline]
    pub(super) fn charge(self, found: &Found) -> usize {
        let large = self.large_part(found).map_or(0, LargeEntry::bytes);
        slab::charge(found.head.run_len()) + large
    }

    #[inline]
    fn run(self, id: EntryId, range: Range<usize>) -> &'a [u8] {
        // SAFETY: for as long as these bytes are borrowed nothing writes to them. Words of entries
        // are only written by methods of the shard that take `&mut self`, and the borrow of the
        // slab, a part of the shard, excludes that (see the type). Readers without the lock only
        // load. The range lies in the place, because it comes from the head of the entry there.
        unsafe { self.space.words.bytes(id.word(), range.start, range.len()) }
    }
}

impl Timers for Entries<'_> {
    #[inline]
    fn deadline(&self, id: EntryId) -> Option<i64> {
        self.live(id).map(|found| found.head.deadline).filter(|deadline| *deadline != NEVER)
    }

    #[inline]
    fn prefetch(&self, id: EntryId) {
        self.space.words.prefetch(id.word());
    }
}

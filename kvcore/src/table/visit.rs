//! Looking at many entries: scans, a random one, and all of them to check every invariant.
//!
//! Only under the shard's lock, for reading or for writing.

use std::collections::HashSet;

use crate::slab::EntryId;
use crate::sync::atomic::Ordering::*;

use super::bucket::{self, OPEN, SLOTS};
use super::layout::{ACCESS_BITS, HASH_BITS, Layout};
use super::{Table, TableState};

/// How many hash numbers there are, by which entries are visited in order.
pub(crate) const HASH_NUMBERS: usize = 1 << HASH_BITS;

impl Table {
    /// Shows every entry of the bucket that has the hash number `from`, if its own is not less.
    /// Answers where the next bucket begins, or `None` after the last. Hash numbers are of 26 bits:
    /// begin with 0.
    ///
    /// The order of hashes is the same however the table grows and shrinks. So a scan that goes on
    /// where it was told sees every entry once that is there from its beginning to its end.
    pub(crate) fn visit(&self, from: u32, mut each: impl FnMut(u32, EntryId)) -> Option<u32> {
        let layout = Layout::from_word(self.layout.load(Relaxed));
        if layout.high() == 0 || from >> HASH_BITS != 0 {
            return None;
        }
        let bucket = layout.home(from << ACCESS_BITS);
        for slot in bucket::slots(&self.nodes, self.line(bucket)) {
            let word = slot.load(Relaxed);
            let number = word as u32 >> ACCESS_BITS;
            if number >= from {
                each(number, bucket::id_of(word));
            }
        }
        let (_, next) = layout.hashes(bucket);
        u32::try_from(next).ok().filter(|next| next >> HASH_BITS == 0)
    }

    /// Some entry, each about as likely as any other. `below(n)` draws a number below `n`.
    pub(crate) fn random(
        &self,
        state: &TableState,
        mut below: impl FnMut(usize) -> usize,
    ) -> Option<EntryId> {
        /// As many as nearly every bucket has at most, so that every entry is as likely. Entries of
        /// a bucket with more share the chance of the last.
        const DEPTH: usize = 12;
        const TRIES: usize = 64;
        if state.len == 0 {
            return None;
        }
        let bucket = |number: usize| {
            let cursor = state.layout.cursor();
            let gap = if number < cursor { 0 } else { state.layout.high_start() - cursor };
            self.line(number + gap)
        };
        for _ in 0..TRIES {
            let (line, depth) = (bucket(below(state.used)), below(DEPTH));
            let mut slots = bucket::slots(&self.nodes, line).skip(depth);
            let Some(mut slot) = slots.next() else { continue };
            if depth == DEPTH - 1 {
                let more = below(slots.count() + 1);
                slot = bucket::slots(&self.nodes, line).nth(depth + more).unwrap_or(slot);
            }
            return Some(bucket::id_of(slot.load(Relaxed)));
        }
        // Most entries are in few buckets, against all odds: take the next one there is.
        let start = below(state.used);
        (start..state.used)
            .chain(0..start)
            .find_map(|number| bucket::slots(&self.nodes, bucket(number)).next())
            .map(|slot| bucket::id_of(slot.load(Relaxed)))
    }

    /// Checks every invariant, for tests.
    ///
    /// # Panics
    /// If one does not hold.
    pub(crate) fn validate(&self, state: &TableState) {
        let layout = state.layout;
        assert_eq!(layout.word(), self.layout.load(Relaxed), "readers have another layout");
        assert_eq!(state.used, layout.used());
        assert!(state.touched >= layout.high());
        assert!((state.len == 0) == (state.bytes() == 0), "{} B", state.bytes());
        let (mut len, mut nodes, mut ids) = (0, 0, HashSet::new());
        for number in 0..state.touched {
            let line = self.line(number);
            let meta = line[SLOTS].load(Relaxed);
            assert!(meta & OPEN == 0, "bucket {number} is open");
            let words: Vec<u64> =
                bucket::slots(&self.nodes, line).map(|slot| slot.load(Relaxed)).collect();
            for word in &words {
                assert!(ids.insert(bucket::id_of(*word).number()), "an id is there twice");
                assert_eq!(layout.home(*word as u32), number, "an entry is in another bucket");
            }
            let links = self.count_links(bucket::link_of(meta), state.nodes.high);
            assert_eq!(links, words.len().saturating_sub(SLOTS).div_ceil(bucket::NODE_SLOTS));
            if links > 0 {
                assert!(line[..SLOTS].iter().all(|slot| slot.load(Relaxed) != 0));
            }
            (len, nodes) = (len + words.len(), nodes + links);
        }
        assert_eq!(len, state.len);
        assert_eq!(nodes, state.nodes.used);
        assert_eq!(state.nodes.count_free(&self.nodes), state.nodes.high - state.nodes.used);
    }

    fn count_links(&self, mut link: u32, most: usize) -> usize {
        let mut count = 0;
        while link != 0 {
            count += 1;
            assert!(count <= most && link as usize <= most, "a link leads astray");
            link =
                bucket::link_of(bucket::node(&self.nodes, link)[bucket::NODE_SLOTS].load(Relaxed));
        }
        count
    }
}

//! The hash index of one shard: from the hash of a key to the id of its entry.
//!
//! Owns: the buckets. It never sees a key; whoever asks compares keys through the ids it is given.
//! Invariants: an id is in the index once, in the bucket of its hash (`layout`); it says beforehand
//! what the next insert may add to its bytes, and never adds more; removing never adds any; an empty
//! index is charged nothing and keeps a page at most.
//!
//! A bucket is one cache line of seven slots (`bucket`), so a lookup touches one line before the
//! entry. The few that get more than seven have nodes. A slot keeps 26 bits of the hash, so that
//! moving touches no entry, and 6 bits for the eviction policy, which readers may change at any time.
//! Readers need no lock (`read`). Writers hold the shard's, and open a bucket while they change it or
//! the entries in it.
//!
//! Growing and shrinking is done in place and a bucket at a time by the inserts and removals
//! themselves (`migrate`), so none of them ever pays for a whole table, and the number of buckets
//! follows the number of entries closely. The obvious other way, a second table of twice the size,
//! pauses or holds three times the memory for a while. Placing hashes in their order, rather than by
//! their remainder, is what makes it possible in place, and gives scans an order that stays.

mod bucket;
mod layout;
mod migrate;
mod read;
mod visit;

#[cfg(all(test, kv_shuttle))]
mod interleavings;
#[cfg(all(test, not(kv_shuttle)))]
mod tests;

use std::marker::PhantomData;

use crate::error::Error;
use crate::planted::{Planted, is_planted};
use crate::region::Region;
use crate::slab::EntryId;
use crate::sync::atomic::{AtomicU64, Ordering::*, fence};

use bucket::{LINE_BYTES, Line, NODE_BYTES, Nodes, SLOTS};
use layout::Layout;
use read::LINE_WORDS;

#[allow(unused_imports)]
pub(crate) use read::{Candidate, Probe};
pub(crate) use visit::HASH_NUMBERS;

/// Buckets that stay in memory when the last entry goes.
const KEPT_BUCKETS: usize = 4096 / LINE_BYTES;

/// The part of the index that readers share. Hot: the layout and the root of the buckets.
#[repr(C)]
pub(crate) struct Table {
    /// A `Layout`.
    layout: AtomicU64,
    buckets: Region<AtomicU64>,
    nodes: Region<AtomicU64>,
}

/// The part of the index that only writers touch.
pub(crate) struct TableState {
    layout: Layout,
    len: usize,
    /// Buckets in use.
    used: usize,
    /// Buckets ever touched: all others are zero.
    touched: usize,
    nodes: Nodes,
}

/// What was found in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: EntryId,
    pub(crate) access: u8,
}

/// A bucket that is being changed: readers keep away from its entries until this is dropped. It
/// borrows the state, so that nothing can move to another bucket meanwhile. If a bucket is opened
/// twice, it is closed when the first one is dropped: drop them together, or the last one first.
pub(crate) struct Opened<'a> {
    /// The line, if this is what opened it.
    line: Option<&'a Line>,
    state: PhantomData<&'a TableState>,
}

impl Drop for Opened<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(line) = self.line {
            bucket::close(line);
        }
    }
}

impl TableState {
    pub(crate) const fn new() -> Self {
        TableState { layout: Layout::EMPTY, len: 0, used: 0, touched: 0, nodes: Nodes::new() }
    }

    /// Entries in the index.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes charged now: the buckets and the nodes in use.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.used * LINE_BYTES + self.nodes.used * NODE_BYTES
    }

    /// Bytes that may be in memory, at most.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.touched * LINE_BYTES + self.nodes.high * NODE_BYTES
    }
}

impl Table {
    pub(crate) const fn new() -> Self {
        let layout = AtomicU64::new(Layout::EMPTY.word());
        Table { layout, buckets: Region::new(), nodes: Region::new() }
    }

    #[inline(always)]
    fn line(&self, bucket: usize) -> &Line {
        self.buckets.line::<LINE_WORDS>(bucket * LINE_WORDS)
    }

    /// The bucket of a hash, for those who hold the shard's lock.
    #[inline(always)]
    fn home(&self, hash: u32) -> &Line {
        self.line(Layout::from_word(self.layout.load(Relaxed)).home(hash))
    }

    fn publish(&self, state: &mut TableState, layout: Layout) {
        state.layout = layout;
        self.layout.store(layout.word(), Release);
    }

    /// The slot of an entry. Only under the shard's lock, as everything below.
    #[inline]
    fn locate(&self, hash: u32, id: EntryId) -> Option<&AtomicU64> {
        bucket::slots(&self.nodes, self.home(hash)).find(|slot| {
            let word = slot.load(Relaxed);
            bucket::matches(word, hash) && bucket::id_of(word) == id
        })
    }

    /// The entry with this hash that `is_it` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u32, mut is_it: impl FnMut(EntryId) -> bool) -> Option<Found> {
        let line = self.home(hash);
        let mut slots = &line[..SLOTS];
        let mut link = bucket::link_of(line[SLOTS].load(Relaxed));
        loop {
            for slot in slots {
                let word = slot.load(Relaxed);
                if bucket::matches(word, hash) && is_it(bucket::id_of(word)) {
                    let (id, access) = (bucket::id_of(word), bucket::access_of(word));
                    return Some(Found { id, access });
                }
            }
            if link == 0 {
                return None;
            }
            let node = bucket::node(&self.nodes, link);
            slots = &node[..bucket::NODE_SLOTS];
            link = bucket::link_of(node[bucket::NODE_SLOTS].load(Relaxed));
        }
    }

    /// The access bits of an entry.
    #[inline]
    pub(crate) fn access(&self, hash: u32, id: EntryId) -> Option<u8> {
        self.locate(hash, id).map(|slot| bucket::access_of(slot.load(Relaxed)))
    }

    /// Changes the access bits of an entry, if it is in the index.
    #[inline]
    pub(crate) fn set_access(&self, hash: u32, id: EntryId, access: u8) {
        self.update_access(hash, id, |_| access);
    }

    /// The same, to what `update` makes of the old ones. Writes nothing if these stay as they are.
    #[inline]
    pub(crate) fn update_access(&self, hash: u32, id: EntryId, update: impl FnOnce(u8) -> u8) {
        let Some(slot) = self.locate(hash, id) else { return };
        let word = slot.load(Relaxed);
        let updated = bucket::with_access(word, update(bucket::access_of(word)));
        if updated != word {
            slot.store(updated, Relaxed);
        }
    }

    /// Opens the bucket of a hash, to change what entries in it consist of.
    #[inline]
    pub(crate) fn open<'a>(&'a self, state: &'a TableState, hash: u32) -> Opened<'a> {
        let opens = state.used > 0 && !is_planted(Planted::NoOpen);
        let line = opens.then(|| self.line(state.layout.home(hash)));
        Opened { line: line.filter(|line| bucket::open(line)), state: PhantomData }
    }

    /// Makes room for `more` entries, so that inserting them cannot fail.
    ///
    /// # Errors
    /// `NoMemory`.
    #[inline]
    pub(crate) fn reserve(&self, state: &mut TableState, more: usize) -> Result<(), Error> {
        self.buckets.reserve(LINE_WORDS)?;
        self.nodes.reserve(state.nodes.words_for(state.nodes.used + state.nodes_needed(more)))
    }

    /// Adds an entry that is not in the index. Room must have been reserved.
    #[inline]
    pub(crate) fn insert(&self, state: &mut TableState, hash: u32, id: EntryId, access: u8) {
        debug_assert!(id.number() != 0);
        state.len += 1;
        self.widen(state);
        let line = self.line(state.layout.home(hash));
        let opened = bucket::open(line);
        debug_assert!(opened);
        state.nodes.push(&self.nodes, line, bucket::slot_word(hash, id, access));
        bucket::close(line);
    }

    /// Takes an entry out. False if it was not in the index.
    #[inline]
    pub(crate) fn remove(&self, state: &mut TableState, hash: u32, id: EntryId) -> bool {
        let Some(slot) = self.locate(hash, id) else { return false };
        let line = self.line(state.layout.home(hash));
        let opened = bucket::open(line);
        debug_assert!(opened);
        state.nodes.take(&self.nodes, line, slot);
        bucket::close(line);
        state.len -= 1;
        self.narrow(state);
        true
    }

    /// Gives an entry another id. It keeps its access bits. False if it was not in the index.
    #[inline]
    pub(crate) fn replace(&self, hash: u32, old: EntryId, new: EntryId) -> bool {
        let Some(slot) = self.locate(hash, old) else { return false };
        let line = self.home(hash);
        let opened = bucket::open(line);
        let access = bucket::access_of(slot.load(Relaxed));
        slot.store(bucket::slot_word(hash, new, access), Relaxed);
        if opened {
            bucket::close(line);
        }
        true
    }

    /// Keeps readers without the lock away from all buckets, until [`release`](Table::release). So a
    /// change of many keys is seen as a whole. What they have begun to read no longer holds.
    pub(crate) fn hold(&self, state: &mut TableState) {
        if !is_planted(Planted::NoHold) {
            self.publish(state, state.layout.with_other_hold());
            fence(Release);
        }
    }

    /// Lets readers in again, if they are held off.
    pub(crate) fn release(&self, state: &mut TableState) {
        if state.layout.is_held() {
            self.publish(state, state.layout.with_other_hold());
        }
    }

    /// Takes every entry out.
    pub(crate) fn clear(&self, state: &mut TableState) {
        state.len = 0;
        // Readers of the old epoch find out that it is over, whatever they see meanwhile.
        let emptied = state.layout.emptied();
        let next = if is_planted(Planted::NoEpoch) { emptied } else { emptied.with_next_epoch() };
        self.publish(state, next);
        fence(Release);
        self.buckets.discard(0, state.touched * LINE_WORDS);
        state.nodes.clear(&self.nodes);
        (state.used, state.touched) = (0, 0);
    }
}

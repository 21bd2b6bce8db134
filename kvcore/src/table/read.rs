//! Looking a key up without a lock.
//!
//! A reader notes the version of the bucket that the hash belongs to, reads slots and the entries
//! behind them, and asks afterwards whether the version is still the same. If so, all that it read is
//! what was there at one moment; if not, it forgets it and tries again, and takes the shard's lock
//! after a few times. This is a sequence lock for each bucket (Lameter 2005; Boehm, "Can seqlocks get
//! along with programming language memory models?", MSPC 2012): everything is read through atomics,
//! so there is no data race, and fences order it against the version.

use crate::planted::{Planted, is_planted};
use crate::slab::EntryId;
use crate::sync::atomic::{AtomicU64, Ordering::*, fence};

use super::Table;
use super::bucket::{self, Line, NODE_SLOTS, OPEN, SLOTS};
use super::layout::Layout;

/// How often a reader looks whether a change of the bucket is over.
const SPINS: usize = if cfg!(kv_shuttle) { 2 } else { 64 };

/// A look at one bucket at one moment.
pub(crate) struct Probe<'a> {
    table: &'a Table,
    line: &'a Line,
    /// The eighth word, with the version, as it was at the beginning.
    meta: u64,
    layout: Layout,
    hash: u32,
}

impl Table {
    #[inline(always)]
    fn layout(&self) -> Layout {
        Layout::from_word(self.layout.load(Acquire))
    }

    /// Fetches the bucket of a hash into the cache.
    #[inline(always)]
    pub(crate) fn prefetch(&self, hash: u32) {
        self.buckets.prefetch(self.layout().home(hash) * LINE_WORDS);
    }

    /// Begins to read the bucket of a hash. `None` if it is being changed for long.
    #[inline(always)]
    pub(crate) fn probe(&self, hash: u32) -> Option<Probe<'_>> {
        let layout = self.layout();
        let line = self.line(layout.home(hash));
        let meta = line[SLOTS].load(Acquire);
        if meta & OPEN != 0 || layout.is_held() {
            return self.probe_patiently(hash);
        }
        Some(Probe { table: self, line, meta, layout, hash })
    }

    #[cold]
    fn probe_patiently(&self, hash: u32) -> Option<Probe<'_>> {
        for _ in 0..SPINS {
            std::hint::spin_loop();
            let layout = self.layout();
            let line = self.line(layout.home(hash));
            let meta = line[SLOTS].load(Acquire);
            if meta & OPEN == 0 && !layout.is_held() {
                return Some(Probe { table: self, line, meta, layout, hash });
            }
        }
        None
    }
}

/// Words of a bucket.
pub(super) const LINE_WORDS: usize = SLOTS + 1;

impl<'a> Probe<'a> {
    /// The slots whose hash is the one looked for. Ends early if the bucket changes.
    #[inline(always)]
    pub(crate) fn candidates(&self) -> Candidates<'_> {
        let slots = &self.line[..SLOTS];
        let link = bucket::link_of(self.meta);
        Candidates { probe: self, slots, matching: self.matching(slots), link }
    }

    /// A bit for each slot that has the hash.
    #[inline(always)]
    fn matching(&self, slots: &[AtomicU64]) -> u32 {
        slots.iter().enumerate().fold(0, |matching, (number, slot)| {
            matching | u32::from(bucket::has_hash(slot.load(Relaxed), self.hash)) << number
        })
    }

    #[inline(always)]
    fn is_unchanged(&self) -> bool {
        self.line[SLOTS].load(Relaxed) == self.meta
    }

    /// Whether everything that was read since the probe began, from the bucket and from the entries it
    /// points to, was there at one moment.
    #[inline(always)]
    pub(crate) fn still_holds(&self) -> bool {
        // What was read before is not read later than the version.
        fence(Acquire);
        if is_planted(Planted::NoRecheck) {
            return true;
        }
        self.is_unchanged() && self.table.layout().epoch() == self.layout.epoch()
    }

    /// Whether this was the bucket of the hash too, at one moment since the probe began: if no
    /// candidate was the key, the key was not in the table then.
    #[inline(always)]
    pub(crate) fn absent(&self) -> bool {
        fence(Acquire);
        // The layout first: the version then says that the bucket was the same at this moment.
        let layout = self.table.layout();
        let same = layout == self.layout
            || layout.epoch() == self.layout.epoch()
                && layout.home(self.hash) == self.layout.home(self.hash);
        same && self.is_unchanged()
    }
}

/// The slots of a bucket that may be the one looked for.
pub(crate) struct Candidates<'a> {
    probe: &'a Probe<'a>,
    slots: &'a [AtomicU64],
    /// Those of `slots` that are still to be looked at, as bits.
    matching: u32,
    link: u32,
}

impl<'a> Iterator for Candidates<'a> {
    type Item = Candidate<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Candidate<'a>> {
        loop {
            while self.matching != 0 {
                let number = self.matching.trailing_zeros() as usize;
                self.matching &= self.matching - 1;
                let slot = self.slots.get(number)?;
                let word = slot.load(Relaxed);
                if bucket::matches(word, self.probe.hash) {
                    return Some(Candidate { slot, word });
                }
            }
            if self.link == 0 {
                return None;
            }
            self.follow()?;
        }
    }
}

impl Candidates<'_> {
    /// Goes to the next node, if the way there is still the bucket's. Otherwise the node may be
    /// another bucket's by now, and a way through changing nodes need not have an end.
    fn follow(&mut self) -> Option<()> {
        fence(Acquire);
        if !self.probe.is_unchanged() {
            return None;
        }
        let node = bucket::node(&self.probe.table.nodes, self.link);
        self.slots = &node[..NODE_SLOTS];
        self.matching = self.probe.matching(self.slots);
        self.link = bucket::link_of(node[NODE_SLOTS].load(Relaxed));
        Some(())
    }
}

/// A slot that has the hash looked for.
pub(crate) struct Candidate<'a> {
    slot: &'a AtomicU64,
    word: u64,
}

impl Candidate<'_> {
    /// The entry, if the probe still holds. Any number otherwise.
    #[inline(always)]
    pub(crate) fn id(&self) -> EntryId {
        bucket::id_of(self.word)
    }

    /// The access bits, if the probe still holds.
    #[inline(always)]
    pub(crate) fn access(&self) -> u8 {
        bucket::access_of(self.word)
    }

    /// Changes the access bits, unless the slot has changed meanwhile. That the slot may belong to
    /// another bucket by now does no harm: it then has the same entry, or is left alone.
    #[inline(always)]
    pub(crate) fn set_access(&self, access: u8) {
        let word = bucket::with_access(self.word, access);
        // Whoever was faster has noted an access too.
        let _ = self.slot.compare_exchange(self.word, word, Relaxed, Relaxed);
    }
}

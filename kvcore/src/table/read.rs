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
use crate::words;

use super::Table;
use super::bucket::{self, Line, NODE_SLOTS, OPEN, SLOTS};
use super::layout::{ACCESS_BITS, Layout};

/// How often a reader looks whether a change of the bucket is over.
const SPINS: usize = if cfg!(kv_shuttle) { 2 } else { 64 };

/// Where a hash belongs, before its bucket is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Aim<'a> {
    table: &'a Table,
    line: &'a Line,
    layout: Layout,
    hash: u32,
}

/// A look at one bucket at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Probe<'a> {
    aim: Aim<'a>,
    /// The eighth word, with the version, as it was at the beginning.
    meta: u64,
    /// A bit for each slot of the line that has the hash.
    matching: u32,
}

impl Table {
    #[inline(always)]
    fn layout(&self) -> Layout {
        Layout::from_word(self.layout.load(Acquire))
    }

    /// Finds the bucket of a hash, without a look at it.
    #[inline(always)]
    pub(crate) fn aim(&self, hash: u32) -> Aim<'_> {
        let layout = self.layout();
        Aim { table: self, line: self.line(layout.home(hash)), layout, hash }
    }

    /// Begins to read the bucket of a hash. `None` if it is being changed for long.
    #[inline(always)]
    pub(crate) fn probe(&self, hash: u32) -> Option<Probe<'_>> {
        self.aim(hash).probe().or_else(|| self.probe_patiently(hash))
    }

    #[cold]
    fn probe_patiently(&self, hash: u32) -> Option<Probe<'_>> {
        (0..SPINS).find_map(|_| {
            std::hint::spin_loop();
            self.aim(hash).probe()
        })
    }
}

impl<'a> Aim<'a> {
    /// Fetches the bucket into the cache.
    #[inline(always)]
    pub(crate) fn prefetch(&self) {
        words::prefetch(self.line);
    }

    /// Begins to read the bucket. `None` if it is being changed.
    #[inline(always)]
    pub(crate) fn probe(self) -> Option<Probe<'a>> {
        let meta = self.line[SLOTS].load(Acquire);
        if meta & OPEN != 0 || self.layout.is_held() {
            return None;
        }
        let matching = words::equal_above(self.line, self.hash, ACCESS_BITS) & SLOTS_MASK;
        Some(Probe { aim: self, meta, matching })
    }
}

/// The bits of a line's slots.
const SLOTS_MASK: u32 = (1 << SLOTS) - 1;

/// Words of a bucket.
pub(super) const LINE_WORDS: usize = SLOTS + 1;

impl<'a> Probe<'a> {
    /// The slots whose hash is the one looked for. Ends early if the bucket changes.
    #[inline(always)]
    pub(crate) fn candidates(&self) -> Candidates<'_> {
        let slots = &self.aim.line[..SLOTS];
        let link = bucket::link_of(self.meta);
        Candidates { probe: self, slots, matching: self.matching, link }
    }

    /// The first candidate in the bucket's own line.
    #[inline(always)]
    pub(crate) fn first(&self) -> Option<Candidate<'a>> {
        if self.matching == 0 {
            return None;
        }
        let slot = &self.aim.line[self.matching.trailing_zeros() as usize & SLOTS];
        Some(Candidate { slot, word: slot.load(Relaxed) })
    }

    /// Fetches the first node of the bucket into the cache, if it has one.
    #[inline(always)]
    pub(crate) fn prefetch_node(&self) {
        let link = bucket::link_of(self.meta);
        if link != 0 {
            bucket::prefetch_node(&self.aim.table.nodes, link);
        }
    }

    #[inline(always)]
    fn is_unchanged(&self) -> bool {
        self.aim.line[SLOTS].load(Relaxed) == self.meta
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
        self.is_unchanged() && self.aim.table.layout().epoch() == self.aim.layout.epoch()
    }

    /// Whether this was the bucket of the hash too, at one moment since the probe began: if no
    /// candidate was the key, the key was not in the table then.
    #[inline(always)]
    pub(crate) fn absent(&self) -> bool {
        fence(Acquire);
        // The layout first: the version then says that the bucket was the same at this moment.
        let (now, then) = (self.aim.table.layout(), self.aim.layout);
        let same = now == then
            || now.epoch() == then.epoch() && now.home(self.aim.hash) == then.home(self.aim.hash);
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
                if bucket::matches(word, self.probe.aim.hash) {
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
        let node = bucket::node(&self.probe.aim.table.nodes, self.link);
        self.slots = &node[..NODE_SLOTS];
        // Vacant slots are sorted out when their turn comes.
        self.matching = (1 << NODE_SLOTS) - 1;
        self.link = bucket::link_of(node[NODE_SLOTS].load(Relaxed));
        Some(())
    }
}

/// A slot that has the hash looked for.
#[derive(Clone, Copy)]
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

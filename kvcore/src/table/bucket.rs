//! One bucket: a cache line of seven slots, and nodes of three more for what does not fit.
//!
//! Owns: the packing of slots and of the eighth word, and the nodes. Invariants, while a bucket is
//! closed: its slots are filled from the first on; it has nodes only if its seven slots are full, and
//! only the first of its nodes may be less than full. So a bucket of `k` nodes has more than `3k + 4`
//! entries. A slot of zero is vacant.
//!
//! The eighth word is `version << 32 | link`. An odd version says that the bucket is being changed:
//! readers keep away. A link is the number of a node plus one, zero for none.

use crate::region::Region;
use crate::slab::EntryId;
use crate::sync::atomic::{AtomicU64, Ordering::*, fence};

use super::layout::ACCESS_BITS;

/// Slots in a bucket's line.
pub(super) const SLOTS: usize = 7;
/// Bytes of a bucket's line.
pub(super) const LINE_BYTES: usize = 64;
/// Slots in a node.
pub(super) const NODE_SLOTS: usize = 3;
/// Bytes of a node.
pub(super) const NODE_BYTES: usize = 32;
/// Words of a node: its slots, and the link to the next.
const NODE_WORDS: usize = 4;

/// Set in the eighth word while a bucket is being changed.
pub(super) const OPEN: u64 = 1 << 32;

pub(super) type Line = [AtomicU64; 8];

pub(super) const fn slot_word(hash: u32, id: EntryId, access: u8) -> u64 {
    (id.number() as u64) << 32 | with_access(hash as u64, access)
}

/// A slot's word with other access bits.
pub(super) const fn with_access(word: u64, access: u8) -> u64 {
    word >> ACCESS_BITS << ACCESS_BITS | (access & ((1 << ACCESS_BITS) - 1)) as u64
}

#[inline(always)]
pub(super) const fn id_of(word: u64) -> EntryId {
    EntryId::new((word >> 32) as u32)
}

#[inline(always)]
pub(super) const fn access_of(word: u64) -> u8 {
    word as u8 & ((1 << ACCESS_BITS) - 1)
}

/// Whether a slot has this hash, or is vacant and the hash is zero.
#[inline(always)]
pub(super) const fn has_hash(word: u64, hash: u32) -> bool {
    (word as u32 ^ hash) >> ACCESS_BITS == 0
}

/// Whether a slot has this hash and is not vacant.
#[inline(always)]
pub(super) const fn matches(word: u64, hash: u32) -> bool {
    has_hash(word, hash) && word >> 32 != 0
}

/// The link of an eighth word, or of a node's last.
#[inline(always)]
pub(super) const fn link_of(word: u64) -> u32 {
    word as u32
}

/// The node of a link that is not zero.
#[inline(always)]
pub(super) fn node(nodes: &Region<AtomicU64>, link: u32) -> &[AtomicU64; NODE_WORDS] {
    nodes.line::<NODE_WORDS>((link as usize).wrapping_sub(1).wrapping_mul(NODE_WORDS))
}

/// Fetches the node of a link into the cache; for none, some other.
pub(super) fn prefetch_node(nodes: &Region<AtomicU64>, link: u32) {
    nodes.prefetch((link as usize).wrapping_sub(1).wrapping_mul(NODE_WORDS));
}

/// Says that a bucket is about to change. False if it was open already.
pub(super) fn open(line: &Line) -> bool {
    let meta = line[SLOTS].load(Relaxed);
    if meta & OPEN != 0 {
        return false;
    }
    line[SLOTS].store(meta | OPEN, Relaxed);
    // Nobody sees what changes from here on without seeing the odd version too.
    fence(Release);
    true
}

/// Says that a bucket is whole again.
pub(super) fn close(line: &Line) {
    let meta = line[SLOTS].load(Relaxed);
    debug_assert!(meta & OPEN != 0);
    line[SLOTS].store(meta.wrapping_add(OPEN), Release);
}

fn set_link(line: &Line, link: u32) {
    let meta = line[SLOTS].load(Relaxed);
    line[SLOTS].store(meta >> 32 << 32 | u64::from(link), Relaxed);
}

/// How many of these slots are taken. They are filled from the first on.
pub(super) fn taken(slots: &[AtomicU64]) -> usize {
    slots.iter().position(|slot| slot.load(Relaxed) == 0).unwrap_or(slots.len())
}

/// Every slot of a bucket that is taken. Only under the shard's lock.
pub(super) fn slots<'a>(
    nodes: &'a Region<AtomicU64>,
    line: &'a Line,
) -> impl Iterator<Item = &'a AtomicU64> {
    let mut link = link_of(line[SLOTS].load(Relaxed));
    let more = std::iter::from_fn(move || {
        let node = (link != 0).then(|| node(nodes, link))?;
        link = link_of(node[NODE_SLOTS].load(Relaxed));
        Some(&node[..NODE_SLOTS])
    });
    let all = line[..SLOTS].iter().chain(more.flatten());
    all.filter(|slot| slot.load(Relaxed) != 0)
}

/// Who owns the nodes: which are free, and how many there are.
pub(super) struct Nodes {
    /// Nodes that hold something.
    pub(super) used: usize,
    /// Nodes ever used: all numbers are below.
    pub(super) high: usize,
    /// A link to the first of the free ones, which are linked.
    free: u32,
}

impl Nodes {
    pub(super) const fn new() -> Nodes {
        Nodes { used: 0, high: 0, free: 0 }
    }

    /// Words that must be reserved for `used` nodes to be in use at once.
    pub(super) fn words_for(&self, used: usize) -> usize {
        self.high.max(used) * NODE_WORDS
    }

    fn alloc(&mut self, nodes: &Region<AtomicU64>) -> u32 {
        self.used += 1;
        if self.free == 0 {
            self.high += 1;
            return self.high as u32;
        }
        let link = self.free;
        self.free = link_of(node(nodes, link)[NODE_SLOTS].load(Relaxed));
        link
    }

    /// Takes a node back. Its slots must be zero.
    fn release(&mut self, nodes: &Region<AtomicU64>, link: u32) {
        /// Nodes in a page, which is kept.
        const KEPT: usize = 4096 / NODE_BYTES;
        self.used -= 1;
        node(nodes, link)[NODE_SLOTS].store(u64::from(self.free), Relaxed);
        self.free = link;
        if self.used == 0 {
            if self.high > KEPT {
                nodes.discard(KEPT * NODE_WORDS, self.high * NODE_WORDS);
            }
            (self.high, self.free) = (0, 0);
        }
    }

    /// Forgets every node: what they held is no longer asked for.
    pub(super) fn clear(&mut self, nodes: &Region<AtomicU64>) {
        nodes.discard(0, self.high * NODE_WORDS);
        *self = Nodes::new();
    }

    /// How many nodes are on the list of free ones, for `validate`.
    pub(super) fn count_free(&self, nodes: &Region<AtomicU64>) -> usize {
        let (mut link, mut count) = (self.free, 0);
        while link != 0 && count <= self.high {
            link = link_of(node(nodes, link)[NODE_SLOTS].load(Relaxed));
            count += 1;
        }
        count
    }

    /// Adds a word to an open bucket.
    pub(super) fn push(&mut self, nodes: &Region<AtomicU64>, line: &Line, word: u64) {
        let free = taken(&line[..SLOTS]);
        if free < SLOTS {
            return line[free].store(word, Relaxed);
        }
        let link = link_of(line[SLOTS].load(Relaxed));
        if link != 0 {
            let node = node(nodes, link);
            let free = taken(&node[..NODE_SLOTS]);
            if free < NODE_SLOTS {
                return node[free].store(word, Relaxed);
            }
        }
        let new = self.alloc(nodes);
        let node = node(nodes, new);
        node[0].store(word, Relaxed);
        node[1].store(0, Relaxed);
        node[2].store(0, Relaxed);
        node[NODE_SLOTS].store(u64::from(link), Relaxed);
        set_link(line, new);
    }

    /// Takes the word of a slot out of an open bucket, and fills the hole with the bucket's last.
    pub(super) fn take(&mut self, nodes: &Region<AtomicU64>, line: &Line, slot: &AtomicU64) {
        let link = link_of(line[SLOTS].load(Relaxed));
        let filled: &[AtomicU64] =
            if link == 0 { &line[..SLOTS] } else { &node(nodes, link)[..NODE_SLOTS] };
        let count = taken(filled);
        let Some(last) = count.checked_sub(1).and_then(|last| filled.get(last)) else {
            debug_assert!(false, "a bucket without entries has one to take");
            return;
        };
        slot.store(last.load(Relaxed), Relaxed);
        last.store(0, Relaxed);
        if link != 0 && count == 1 {
            set_link(line, link_of(node(nodes, link)[NODE_SLOTS].load(Relaxed)));
            self.release(nodes, link);
        }
    }

    /// Empties an open bucket and hands out its words. Nodes are free before their words are handed
    /// out, so `to` needs few new ones.
    pub(super) fn drain(
        &mut self,
        nodes: &Region<AtomicU64>,
        line: &Line,
        mut to: impl FnMut(&mut Nodes, u64),
    ) {
        let mut link = link_of(line[SLOTS].load(Relaxed));
        set_link(line, 0);
        let mut hand_out = |this: &mut Nodes, words: &[u64]| {
            words.iter().filter(|word| **word != 0).for_each(|word| to(this, *word));
        };
        let words: [u64; SLOTS] = std::array::from_fn(|slot| line[slot].load(Relaxed));
        line[..SLOTS].iter().for_each(|slot| slot.store(0, Relaxed));
        hand_out(self, &words);
        while link != 0 {
            let node = node(nodes, link);
            let words: [u64; NODE_SLOTS] = std::array::from_fn(|slot| node[slot].load(Relaxed));
            let next = link_of(node[NODE_SLOTS].load(Relaxed));
            node[..NODE_SLOTS].iter().for_each(|slot| slot.store(0, Relaxed));
            self.release(nodes, link);
            hand_out(self, &words);
            link = next;
        }
    }
}

//! Growing and shrinking, a bucket at a time.
//!
//! Owns: when buckets are added and given back, and how entries move. An insert that finds the table
//! crowded moves a bucket or two to the larger size; a removal that leaves it sparse moves some to
//! the smaller one. Every bucket that takes part is open meanwhile, and the new layout is published
//! before they are closed: a reader either sees the old places of the entries, or the new ones, or
//! that it must look again.

use crate::error::Error;
use crate::sync::atomic::{AtomicU64, Ordering::*, fence};

use super::bucket::{self, LINE_BYTES, NODE_BYTES, NODE_SLOTS, SLOTS};
use super::layout::Layout;
use super::read::LINE_WORDS;
use super::{KEPT_BUCKETS, Table, TableState};

/// The table is crowded above this many entries in four buckets. Fuller buckets would save little:
/// what the lines save, the nodes cost, and every node is one more miss.
const CROWDED: usize = 24;
/// The table is sparse below this many entries in eight buckets. Half as many buckets then are not
/// crowded by far.
const SPARSE: usize = 21;
/// Buckets that one insert or removal moves.
const MOVES: usize = 2;
/// Nodes that moving one bucket may add.
const NODES_A_MOVE: usize = 5;
/// Unused buckets that one removal gives back to the system.
const TRIMMED: usize = 4096;
/// Buckets that are given back end at a multiple of this: of every size of a page.
const TRIM_ALIGN: usize = (64 << 10) / LINE_BYTES;

const fn is_crowded(len: usize, used: usize) -> bool {
    len * 4 > used * CROWDED
}

impl TableState {
    fn is_sparse(&self) -> bool {
        self.len * 8 < self.used * SPARSE && self.used > 1
    }

    /// Bytes that the next insert may add.
    #[inline]
    pub(crate) fn growth(&self) -> usize {
        self.growth_for(1)
    }

    /// Bytes that the next `more` inserts may add.
    #[inline]
    pub(crate) fn growth_for(&self, more: usize) -> usize {
        self.buckets_needed(more) * LINE_BYTES + self.nodes_needed(more) * NODE_BYTES
    }

    /// Buckets that `more` inserts may add: each move adds one at most, and none is made without need.
    fn buckets_needed(&self, more: usize) -> usize {
        let len = self.len + more;
        if more == 0 || self.used > 0 && !is_crowded(len, self.used) {
            return 0;
        }
        let wanted = (len * 4).div_ceil(CROWDED);
        let first = usize::from(self.used == 0);
        first + (more * MOVES).min(wanted.saturating_sub(self.used + first))
    }

    /// Nodes that `more` inserts may add.
    pub(super) fn nodes_needed(&self, more: usize) -> usize {
        let len = self.len + more;
        if len <= SLOTS {
            return 0;
        }
        let moves = if is_crowded(len, self.used) { MOVES } else { 0 };
        // A node but the first of a bucket is full, and a bucket with a node has seven other entries.
        let most = len / NODE_SLOTS + NODES_A_MOVE;
        (more * (1 + moves * NODES_A_MOVE)).min(most.saturating_sub(self.nodes.used))
    }

    /// Notes how many buckets are in use.
    fn count_buckets(&mut self) {
        self.used = self.layout.used();
    }
}

impl Table {
    /// Gives an empty table the buckets that so many entries need, or a few less, so that those move
    /// hardly any on their way in. A table that has entries is left as it is.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(crate) fn presize(&self, state: &mut TableState, entries: usize) -> Result<(), Error> {
        if state.len > 0 {
            return Ok(());
        }
        let layout = state.layout.sized(entries.saturating_mul(4) / CROWDED);
        self.buckets.reserve(layout.high() * LINE_WORDS)?;
        state.touched = state.touched.max(layout.high());
        self.publish(state, layout);
        state.count_buckets();
        Ok(())
    }

    /// Adds buckets if the entries need more.
    #[inline]
    pub(super) fn widen(&self, state: &mut TableState) {
        if state.used == 0 || is_crowded(state.len, state.used) {
            self.widen_by_moves(state);
        }
    }

    #[inline(never)]
    fn widen_by_moves(&self, state: &mut TableState) {
        for _ in 0..MOVES {
            if state.used > 0 && !is_crowded(state.len, state.used) {
                return;
            }
            let layout = state.layout.settled();
            if layout.is_still() {
                let Some(layout) = layout.growing() else { return };
                // Without memory buckets get fuller, and the next insert tries again.
                if self.buckets.reserve(layout.high() * LINE_WORDS).is_err() {
                    return;
                }
                state.touched = state.touched.max(layout.high());
                self.publish(state, layout);
                state.count_buckets();
            }
            if !state.layout.is_still() {
                self.grow_one(state);
            }
        }
    }

    /// Moves the last bucket that is placed by the smaller size to where the larger one has it.
    fn grow_one(&self, state: &mut TableState) {
        let old = state.layout;
        let source = old.cursor() - 1;
        let layout = old.with_cursor(source);
        let (first, last) = old.span(source);
        self.change(source, first, last, || {
            // How full the targets are: a bucket has three at most.
            let mut full = [None; 3];
            state.nodes.drain(&self.nodes, self.line(source), |nodes, word| {
                let target = layout.home_when_grown(word as u32);
                let line = self.line(target);
                if let Some(full) = full.get_mut(target.wrapping_sub(first)) {
                    let taken = full.get_or_insert_with(|| bucket::taken(&line[..SLOTS]));
                    if *taken < SLOTS {
                        line[*taken].store(word, Relaxed);
                        *taken += 1;
                        return;
                    }
                }
                nodes.push(&self.nodes, line, word);
            });
            self.publish(state, layout);
        });
        state.used = source + layout.high() - first;
        // What the next moves need. The first node of the next bucket is known only by its line,
        // which was fetched a move ago.
        let next = self.line(source.saturating_sub(1));
        bucket::prefetch_node(&self.nodes, bucket::link_of(next[SLOTS].load(Relaxed)));
        self.buckets.prefetch(source.saturating_sub(2) * LINE_WORDS);
        self.buckets.prefetch(first.saturating_sub(1) * LINE_WORDS);
        self.settle(state);
    }

    /// Moves the first hashes that are placed by the larger size to where the smaller one has them.
    fn shrink_one(&self, state: &mut TableState) {
        let old = state.layout;
        let target = old.cursor();
        let layout = old.with_cursor(target + 1);
        let (first, last) = old.span(target);
        self.change(target, first, last, || {
            for source in first.max(target + 1)..=last {
                let line = self.line(source);
                let leaves = |word: u64| layout.home(word as u32) == target;
                while let Some(slot) =
                    bucket::slots(&self.nodes, line).find(|slot| leaves(slot.load(Relaxed)))
                {
                    let word = slot.load(Relaxed);
                    state.nodes.take(&self.nodes, line, slot);
                    state.nodes.push(&self.nodes, self.line(target), word);
                }
            }
            self.publish(state, layout);
        });
        state.count_buckets();
        // What the next move needs.
        self.buckets.prefetch((target + 1) * LINE_WORDS);
        (1..3).for_each(|next| self.buckets.prefetch((last + next) * LINE_WORDS));
        self.settle(state);
    }

    /// Opens bucket `one` and those from `first` to `last`, and closes them after `change`.
    fn change(&self, one: usize, first: usize, last: usize, change: impl FnOnce()) {
        let apart = (one < first || one > last).then_some(one);
        let all = || apart.into_iter().chain(first..=last).map(|bucket| self.line(bucket));
        for line in all() {
            let opened = bucket::open(line);
            debug_assert!(opened, "entries move while one of them is being changed");
        }
        change();
        all().for_each(bucket::close);
    }

    /// After a move: perhaps it was the last one.
    fn settle(&self, state: &mut TableState) {
        let settled = state.layout.settled();
        if settled != state.layout {
            self.publish(state, settled);
        }
        debug_assert_eq!(state.used, settled.used());
    }

    /// Takes buckets away if there are too many for the entries.
    #[inline]
    pub(super) fn narrow(&self, state: &mut TableState) {
        if state.len == 0
            || state.is_sparse()
            || state.touched > state.layout.high().max(KEPT_BUCKETS)
        {
            self.narrow_by_moves(state);
        }
    }

    #[inline(never)]
    fn narrow_by_moves(&self, state: &mut TableState) {
        if state.len == 0 {
            self.publish(state, state.layout.emptied());
            state.used = 0;
            while state.touched > KEPT_BUCKETS {
                self.trim(state);
            }
        } else if state.is_sparse() {
            let layout = state.layout.settled();
            let begun = if layout.is_still() { layout.shrinking() } else { Some(layout) };
            if let Some(layout) = begun {
                self.publish(state, layout);
                state.count_buckets();
                (0..self.moves_that_save(state)).for_each(|_| self.shrink_one(state));
            }
        }
        self.trim(state);
    }

    /// How many moves to the smaller size together add no byte: as few as possible, or none. A bucket
    /// that gets the entries of two may need nodes, which may cost more than what becomes free.
    fn moves_that_save(&self, state: &TableState) -> usize {
        let mut layout = state.layout;
        // Bytes that nodes take more than now, and what the last move takes from its last source.
        let (mut more, mut shared) = (0, (usize::MAX, 0));
        for moves in 1..=4 * MOVES {
            let target = layout.cursor();
            let (first, last) = layout.span(target);
            layout = layout.with_cursor(target + 1);
            let mut gathered = 0;
            for source in first..=last {
                let words = || bucket::slots(&self.nodes, self.line(source));
                let taken = if source == shared.0 { shared.1 } else { 0 };
                let left = words().count() - taken;
                let leaves = |slot: &&AtomicU64| layout.home(slot.load(Relaxed) as u32) == target;
                let moved = words().filter(leaves).count();
                shared = (source, moved);
                gathered += moved;
                more += node_bytes(left - moved) - node_bytes(left);
            }
            more += node_bytes(gathered);
            let less = (state.used as isize - layout.used() as isize) * LINE_BYTES as isize;
            let is_last = layout.settled() != layout;
            if more <= less && (moves >= MOVES || is_last) {
                return moves;
            }
            if is_last {
                break;
            }
        }
        0
    }

    /// Gives buckets that are no longer in use back to the system, some at a time.
    fn trim(&self, state: &mut TableState) {
        let kept = state.layout.high().max(KEPT_BUCKETS);
        if state.touched <= kept {
            return;
        }
        let from = state.touched.saturating_sub(TRIMMED) / TRIM_ALIGN * TRIM_ALIGN;
        let from = from.max(kept);
        // The versions of these buckets begin again, so readers must not compare them.
        self.publish(state, state.layout.with_next_epoch());
        fence(Release);
        self.buckets.discard(from * LINE_WORDS, state.touched * LINE_WORDS);
        state.touched = from;
    }
}

/// Bytes of the nodes that a bucket of `entries` has.
const fn node_bytes(entries: usize) -> isize {
    (entries.saturating_sub(SLOTS).div_ceil(NODE_SLOTS) * NODE_BYTES) as isize
}

impl Layout {
    /// Buckets in use.
    pub(super) const fn used(self) -> usize {
        self.cursor() + self.high() - self.high_start()
    }
}

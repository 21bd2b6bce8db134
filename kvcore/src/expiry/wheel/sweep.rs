//! Drops stale records in small steps.
//!
//! A pass takes the records of one slot after the other, sorts out those that are stale or there
//! twice, and puts the others back. Groups of a few hundred are sorted at once; more are first split
//! by hash, again and again, so that no step looks at more than a group and no memory beside the
//! lines is needed. Invariant: the bags here hold records of one slot alone, which joins them again
//! when its time comes before they are done.
//!
//! Why not a mark in each entry that was seen: a mark that somebody forgets to keep loses the entry.

use std::cmp::Reverse;

use super::{LEVELS, SLOTS, Slot, Timers, Wheel, ticks};
use crate::records::Bag;
use crate::slab::EntryId;

/// Records sorted at once.
const GROUP: usize = 256;
/// Bags that a larger bag is split into.
const SPLIT_BITS: u32 = 3;
const SPLIT: usize = 1 << SPLIT_BITS;
/// Bags here at most: by then, so few hashes share a bag that a group holds them all.
pub(super) const MAX_BAGS: usize = 8 * SPLIT;

/// A pass over all records.
pub(super) struct Sweep {
    active: bool,
    /// Steps that are paid for.
    credit: isize,
    /// The number of the next slot, counted through all levels.
    cursor: usize,
    slot: Slot,
    /// What is left of the slot, and how often it was split.
    bags: Vec<(Bag, u32)>,
    /// The bag that is being split, and what it is split into so far.
    splitting: Option<(Bag, u32)>,
    parts: [Bag; SPLIT],
}

impl Sweep {
    pub(super) const fn new() -> Self {
        Sweep {
            active: false,
            credit: 0,
            cursor: 0,
            slot: Slot { level: LEVELS, number: 0 },
            bags: Vec::new(),
            splitting: None,
            parts: [Bag::EMPTY; SPLIT],
        }
    }

    /// Whether records of a slot are here.
    pub(super) fn is_in_slot(&self) -> bool {
        self.slot.level < LEVELS
    }

    /// The slot whose records are here; one above all others if there are none.
    pub(super) fn slot(&self) -> Slot {
        self.slot
    }

    pub(super) fn bags(&self) -> impl Iterator<Item = &Bag> {
        let split = self.splitting.iter().map(|(bag, _)| bag);
        self.bags.iter().map(|(bag, _)| bag).chain(split).chain(&self.parts)
    }
}

impl Wheel {
    /// Goes on dropping stale records if they are many. To be called after each change, with some
    /// steps; each record looked at is about one.
    pub(crate) fn tidy(&mut self, steps: usize, timers: &impl Timers) {
        if !self.sweep.active {
            if self.records <= self.live + self.live / 2 + 32 {
                return;
            }
            self.sweep = Sweep { active: true, ..Sweep::new() };
            self.tidy_early(timers);
        }
        self.sweep.credit += steps as isize;
        while self.sweep.credit > 0 && self.sweep.active {
            let cost = if !self.cascade.is_empty() {
                self.cascade_one(timers);
                1
            } else if let Some((bag, depth)) = self.sweep.splitting.take() {
                self.split(bag, depth)
            } else if let Some((bag, depth)) = self.sweep.bags.pop() {
                self.tidy_bag(bag, depth, timers)
            } else {
                self.sweep_next_slot();
                1
            };
            self.sweep.credit -= cost as isize;
        }
    }

    /// Puts back what is left of the slot that is being swept.
    pub(super) fn stop_sweeping_slot(&mut self) {
        if !self.sweep.is_in_slot() {
            return;
        }
        let rest = Sweep { active: self.sweep.active, cursor: self.sweep.cursor, ..Sweep::new() };
        let sweep = std::mem::replace(&mut self.sweep, rest);
        for bag in sweep.bags() {
            self.join(sweep.slot, *bag);
        }
    }

    fn sweep_next_slot(&mut self) {
        let next = (self.sweep.cursor..LEVELS * SLOTS).find(|slot| {
            let level = &self.levels[slot / SLOTS];
            level.as_ref().is_some_and(|level| level.in_use & 1 << (slot % SLOTS) != 0)
        });
        let Some(next) = next else {
            self.sweep = Sweep::new();
            return;
        };
        self.sweep.cursor = next + 1;
        self.sweep.slot = Slot { level: next / SLOTS, number: next % SLOTS };
        let bag = self.take_all(self.sweep.slot);
        self.sweep.bags.push((bag, 0));
    }

    /// Puts back what is valid of a bag that one group holds, or begins to split a larger one.
    fn tidy_bag(&mut self, mut bag: Bag, depth: u32, timers: &impl Timers) -> usize {
        let (mut group, mut len, mut cost) = ([0; GROUP], 0, 0);
        while len <= GROUP / 2 && !bag.is_empty() {
            while len < GROUP
                && let Some(number) = bag.pop(&mut self.pool)
            {
                group[len] = number;
                len += 1;
                cost += 1;
            }
            group[..len].sort_unstable();
            let distinct = dedup(&mut group[..len]);
            self.records -= len - distinct;
            len = distinct;
        }
        let group = &group[..len];
        if !bag.is_empty() {
            group.iter().for_each(|number| self.push_part(*number, depth));
            self.sweep.splitting = Some((bag, depth));
            return cost;
        }
        group.iter().for_each(|number| timers.prefetch(EntryId::new(*number)));
        for number in group {
            if self.is_valid(EntryId::new(*number), self.sweep.slot, timers) {
                self.push(self.sweep.slot, *number);
            } else {
                self.records -= 1;
            }
        }
        if self.sweep.bags.is_empty() {
            self.sweep.slot = Slot { level: LEVELS, number: 0 };
        }
        cost
    }

    fn split(&mut self, mut bag: Bag, depth: u32) -> usize {
        for _ in 0..GROUP / 4 {
            let Some(number) = bag.pop(&mut self.pool) else { break };
            self.push_part(number, depth);
        }
        if bag.is_empty() {
            let parts = std::mem::replace(&mut self.sweep.parts, [Bag::EMPTY; SPLIT]);
            let parts = parts.into_iter().filter(|part| !part.is_empty());
            self.sweep.bags.extend(parts.map(|part| (part, depth + 1)));
        } else {
            self.sweep.splitting = Some((bag, depth));
        }
        GROUP / 4
    }

    fn push_part(&mut self, number: u32, depth: u32) {
        // Multiplying by an odd number loses nothing: what shares all bits is the same record.
        let hash = number.wrapping_mul(0x9E37_79B1).rotate_left(SPLIT_BITS * (depth + 1));
        self.sweep.parts[hash as usize % SPLIT].push(&mut self.pool, number);
    }

    fn tidy_early(&mut self, timers: &impl Timers) {
        let before = self.early.len();
        let mut early = std::mem::take(&mut self.early).into_vec();
        early.sort_unstable();
        early.dedup();
        early.retain(|Reverse((deadline, number))| {
            timers.deadline(EntryId::new(*number)).map(ticks) == Some(*deadline)
        });
        self.records -= before - early.len();
        self.early = early.into();
    }
}

/// Moves the different ones of sorted numbers to the front, and counts them.
fn dedup(sorted: &mut [u32]) -> usize {
    let mut len = 0;
    for at in 0..sorted.len() {
        if len == 0 || sorted[len - 1] != sorted[at] {
            sorted[len] = sorted[at];
            len += 1;
        }
    }
    len
}

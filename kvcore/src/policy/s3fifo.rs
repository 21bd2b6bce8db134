//! S3-FIFO: three first-in first-out queues; an entry that is not hit soon leaves soon.
//!
//! Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023. New entries are in
//! the small queue. What was hit there goes on to main; what was not leaves, and its key is
//! remembered ([`Ghost`]). Main gives hit entries another round.
//!
//! Two changes to the paper. The share of the small queue is not fixed but up to [`Balance`], so
//! that loops do not lose a tenth of the store and recency gets what it needs. And an
//! entry with a single use to its credit (one hit, or a key that is remembered) enters main only if
//! the next candidate there was not hit meanwhile: else loops larger than the store would push
//! everything out that is of use.
//!
//! Costs 4.3 bytes an entry, one tag byte, 2 bytes for keys that left. A good choice when in doubt. Do
//! not use it where exact order of use is expected: that is `lru`.

use super::balance::Balance;
use super::ghost::Ghost;
use super::lists::Lists;
use super::{Mark, Residents};
use crate::slab::EntryId;

const SMALL: usize = 1;
const MAIN: usize = 2;
/// Hits that are told apart.
pub(super) const MOST: u8 = 3;
/// From so many hits on an entry enters main in any case.
const SURE: u8 = 2;
/// The least share of the small queue.
const LEAST: f64 = 0.02;

/// The state of one shard.
pub(crate) struct S3Fifo {
    lists: Lists<2>,
    ghost: Ghost,
    balance: Balance,
}

impl S3Fifo {
    pub(super) fn new() -> S3Fifo {
        S3Fifo { lists: Lists::new(), ghost: Ghost::default(), balance: Balance::new(LEAST) }
    }

    pub(super) fn admitted(&mut self, id: EntryId, hash: u32, weight: usize) -> Mark {
        let age = self.ghost.take(hash);
        if let Some(age) = age {
            self.balance.came_again(age, self.lists.len(SMALL), self.lists.len(MAIN));
        }
        Mark { tag: self.lists.admit(SMALL, id, weight), access: u8::from(age.is_some()) }
    }

    pub(super) fn moved(&mut self, id: Option<EntryId>, tag: u8, weights: [usize; 2]) -> u8 {
        self.lists.moved(id, tag, weights)
    }

    pub(super) fn removed(&mut self, tag: u8, weight: usize) {
        self.lists.removed(tag, weight);
        if self.lists.live() == 0 {
            *self = S3Fifo::new();
        }
    }

    pub(super) fn victim(&mut self, residents: &mut impl Residents) -> Option<EntryId> {
        loop {
            let total = self.lists.weight(SMALL) + self.lists.weight(MAIN);
            let small = self.balance.newcomers(total, self.lists.live());
            if self.lists.weight(SMALL) < small
                && let Some(id) = self.idle(usize::MAX, residents)
            {
                return self.lists.give(id, MAIN, residents);
            }
            let Some(new) = self.newcomer(residents) else {
                let id = self.idle(usize::MAX, residents)?;
                return self.lists.give(id, MAIN, residents);
            };
            if self.lists.weight(MAIN) + residents.weight(new) + small < total {
                self.lists.relist(new, SMALL, MAIN, residents);
                continue;
            }
            return self.contest(new, residents);
        }
    }

    /// The newcomer goes, or one of main in its stead.
    fn contest(&mut self, new: EntryId, residents: &mut impl Residents) -> Option<EntryId> {
        let live = self.lists.live();
        self.balance.compared(live);
        let hits = residents.access(new);
        let looks = match hits {
            0 => usize::from(self.balance.is_due()),
            SURE.. => usize::MAX,
            _ => 1,
        };
        match self.idle(looks, residents) {
            Some(old) if hits > 0 => {
                residents.set_access(new, 0);
                self.lists.relist(new, SMALL, MAIN, residents);
                return self.lists.give(old, MAIN, residents);
            }
            Some(old) => self.lists.relist(old, MAIN, MAIN, residents),
            None => (),
        }
        self.ghost.insert(residents.hash(new), live);
        self.lists.give(new, SMALL, residents)
    }

    /// The oldest entry of the small queue that may go.
    fn newcomer(&mut self, residents: &mut impl Residents) -> Option<EntryId> {
        for _ in 0..2 {
            let id = self.lists.valid(SMALL, residents)?;
            if residents.may_go(id) {
                return Some(id);
            }
            self.lists.relist(id, SMALL, SMALL, residents);
        }
        None
    }

    /// The next entry of main that was not hit, if so many looks find one.
    fn idle(&mut self, looks: usize, residents: &mut impl Residents) -> Option<EntryId> {
        let rounds = self.lists.len(MAIN).saturating_mul(usize::from(MOST) + 2);
        for _ in 0..looks.min(rounds) {
            let id = self.lists.valid(MAIN, residents)?;
            let hits = residents.access(id);
            let may_go = residents.may_go(id);
            if hits == 0 && may_go {
                return Some(id);
            }
            if hits > 0 {
                self.balance.was_hit(self.lists.live());
                residents.set_access(id, hits - 1);
            }
            self.lists.relist(id, MAIN, MAIN, residents);
        }
        None
    }

    pub(super) fn tidy(&mut self, steps: usize, residents: &mut impl Residents) {
        self.lists.tidy(steps, residents);
    }

    pub(super) fn bytes(&self) -> usize {
        self.lists.bytes() + self.ghost.bytes(self.lists.live())
    }

    pub(super) fn validate(&self, residents: &impl Residents) -> Result<(), String> {
        self.lists.validate(residents)
    }
}

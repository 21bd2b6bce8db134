//! W-TinyLFU: a newcomer must have come more often than the entry it would push out.
//!
//! Einziger, Friedman and Manes, "TinyLFU: a highly efficient cache admission policy", 2017, with
//! an adaptive window. New entries pass through the window; what leaves it is compared with the
//! next candidate of main by how often their keys came lately ([`Sketch`]), and the loser goes. A
//! tie, or a lead of one, keeps the older: so loops larger than the store keep a part of it in
//! place. A lead of one is enough once the window has grown, for then what is old is rarely of use.
//! How much the window gets is up to [`Window`].
//!
//! Other than in the paper, both parts are first-in first-out with a second chance instead of
//! linked lists, and the sketch hears of hits when their entry is looked at: readers only count
//! them in four bits of the slot of the index. A fifth bit marks entries of main that had no hit when
//! they were looked at last.
//!
//! Costs 4.3 bytes an entry, one tag byte, 8 bytes for the sketch and 2 for keys refused lately. Do
//! not use it for a short-lived store: it has to see keys a few times before it knows them.

use super::ghost::Ghost;
use super::lists::Lists;
use super::sketch::Sketch;
use super::window::Window;
use super::{Mark, Residents};
use crate::slab::EntryId;

const WINDOW: usize = 1;
const MAIN: usize = 2;
/// The bits of `access` that count hits between two looks.
pub(super) const HITS: u8 = 15;
/// The bit of `access` of entries that had no hit when they were looked at last, and of new ones.
const IN_LINE: u8 = HITS + 1;

/// The state of one shard.
pub(crate) struct TinyLfu {
    lists: Lists<2>,
    sketch: Sketch,
    ghost: Ghost,
    window: Window,
}

impl TinyLfu {
    pub(super) fn new() -> TinyLfu {
        TinyLfu {
            lists: Lists::new(),
            sketch: Sketch::default(),
            ghost: Ghost::default(),
            window: Window::new(),
        }
    }

    pub(super) fn admitted(&mut self, id: EntryId, hash: u32, weight: usize) -> Mark {
        self.sketch.add(hash, 1);
        if let Some(age) = self.ghost.take(hash) {
            self.window.came_again(age, self.lists.len(WINDOW), self.lists.len(MAIN));
        }
        Mark { tag: self.lists.admit(WINDOW, id, weight), access: IN_LINE }
    }

    pub(super) fn moved(&mut self, id: Option<EntryId>, tag: u8, weights: [usize; 2]) -> u8 {
        self.lists.moved(id, tag, weights)
    }

    pub(super) fn removed(&mut self, tag: u8, weight: usize) {
        self.lists.removed(tag, weight);
        if self.lists.live() == 0 {
            *self = TinyLfu::new();
        }
    }

    pub(super) fn victim(&mut self, residents: &mut impl Residents) -> Option<EntryId> {
        self.sketch.fit(self.lists.live());
        loop {
            let total = self.lists.weight(WINDOW) + self.lists.weight(MAIN);
            let window = self.window.weight(total, self.lists.live());
            if self.lists.weight(WINDOW) < window
                && let Some(id) = self.next(MAIN, residents)
            {
                return self.lists.give(id, MAIN, residents);
            }
            let Some(new) = self.next(WINDOW, residents) else {
                let id = self.next(MAIN, residents)?;
                return self.lists.give(id, MAIN, residents);
            };
            if self.lists.weight(MAIN) + residents.weight(new) + window < total {
                self.lists.relist(new, WINDOW, MAIN, residents);
                continue;
            }
            let Some(old) = self.next(MAIN, residents) else {
                return self.lists.give(new, WINDOW, residents);
            };
            return self.contest(new, old, residents);
        }
    }

    /// One of the two goes, the other one is in main.
    fn contest(
        &mut self,
        new: EntryId,
        old: EntryId,
        residents: &mut impl Residents,
    ) -> Option<EntryId> {
        let live = self.lists.live();
        self.window.compared(live);
        let [new_hash, old_hash] = [residents.hash(new), residents.hash(old)];
        let lead = u8::from(!self.window.is_large());
        if self.sketch.count(new_hash) > self.sketch.count(old_hash).saturating_add(lead) {
            self.lists.relist(new, WINDOW, MAIN, residents);
            return self.lists.give(old, MAIN, residents);
        }
        self.lists.relist(old, MAIN, MAIN, residents);
        self.ghost.insert(new_hash, live);
        self.lists.give(new, WINDOW, residents)
    }

    /// Takes the next entry of a list that was not hit since it was looked at last.
    fn next(&mut self, list: usize, residents: &mut impl Residents) -> Option<EntryId> {
        let mut chances = self.lists.len(list) * 2;
        while let Some(id) = self.lists.valid(list, residents) {
            let access = residents.access(id);
            let hits = access & HITS;
            let may_go = residents.may_go(id);
            if may_go && (hits == 0 || chances == 0) {
                if access & IN_LINE == 0 {
                    residents.set_access(id, IN_LINE);
                }
                return Some(id);
            }
            if list == MAIN && hits > 0 {
                let lens = [WINDOW, MAIN].map(|list| self.lists.len(list));
                self.window.was_hit(access & IN_LINE != 0, lens[0], lens[1]);
            }
            self.sketch.add(residents.hash(id), hits);
            let proven = list == MAIN && hits > 0;
            residents.set_access(id, if proven { 0 } else { IN_LINE });
            self.lists.relist(id, list, list, residents);
            if chances == 0 {
                return None;
            }
            chances -= 1;
        }
        None
    }

    pub(super) fn tidy(&mut self, steps: usize, residents: &mut impl Residents) {
        self.lists.tidy(steps, residents);
    }

    pub(super) fn bytes(&self) -> usize {
        let live = self.lists.live();
        self.lists.bytes() + self.ghost.bytes(live) + self.sketch.bytes(live)
    }

    /// With the first entry, the least sketch.
    pub(super) fn growth(&self) -> usize {
        if self.lists.live() == 0 { self.first_growth() } else { super::GROWTH }
    }

    pub(super) fn first_growth(&self) -> usize {
        super::GROWTH + self.sketch.bytes(1)
    }

    pub(super) fn validate(&self, residents: &impl Residents) -> Result<(), String> {
        self.lists.validate(residents)
    }
}

//! The closest deadline, for the policy that evicts by it.
//!
//! `elapsed` runs ahead of the clock to the first deadline, splitting slots on the way as if their
//! time had come. An entry moves down at most once a level, so a search costs constant time on
//! average, though the first one in a slot looks at all its records. No copy of anything is kept.

use std::cmp::Reverse;

use super::{EARLY_BYTES, Timers, Wheel, ticks};
use crate::slab::EntryId;

/// Entries that may not go and are passed over, before the search is given up.
const SPARED: usize = 64;

/// Bytes that a search may add: what it passed over may have to wait in `early`.
pub(crate) const CLOSEST_GROWTH: usize = SPARED * EARLY_BYTES;

impl Wheel {
    /// The entry with the closest deadline, of those that may go. It stays on the wheel. `None` too
    /// if very many of those with closer deadlines may not go. Adds [`CLOSEST_GROWTH`] at most.
    pub(crate) fn earliest(
        &mut self,
        timers: &impl Timers,
        mut may_go: impl FnMut(EntryId) -> bool,
    ) -> Option<EntryId> {
        let mut spared = Vec::new();
        let found = loop {
            if spared.len() == SPARED {
                break None;
            }
            if let Some(Reverse((deadline, number))) = self.early.peek().copied() {
                let id = EntryId::new(number);
                let valid = timers.deadline(id).map(ticks) == Some(deadline);
                if valid && may_go(id) {
                    break Some(id);
                }
                self.early.pop();
                self.records -= 1;
                if valid {
                    spared.push((id, deadline));
                }
            } else if !self.cascade.is_empty() {
                self.cascade_one(timers);
            } else if self.first_slot().is_none() {
                break None;
            } else if let Some(slot) = self.enter_first_slot() {
                let id = self.take(slot, timers);
                if !self.is_valid(id, slot, timers) {
                    continue;
                }
                if may_go(id) {
                    self.records += 1;
                    self.push(slot, id.number());
                    break Some(id);
                }
                spared.push((id, self.elapsed));
            }
        };
        self.records += spared.len();
        self.early.reserve_exact(spared.iter().filter(|(_, at)| *at < self.elapsed).count());
        for (id, deadline) in spared {
            self.put(id, deadline);
        }
        found
    }
}

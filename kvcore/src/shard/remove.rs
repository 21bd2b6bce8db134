//! Takes entries out of a shard: deleted, expired, evicted or cleared.

use super::{Change, Shard};
use crate::budget::Need;
use crate::expiry::{Due, Wheel};
use crate::slab::{EntryId, Slab};
use crate::stats::Event;
use crate::table::Table;

/// What a bounded step of cleaning came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cleaned {
    /// Entries freed.
    pub(crate) freed: u64,
    /// Whether there may be more to free now.
    pub(crate) more: bool,
}

impl Shard {
    /// Takes an entry out, whatever the reason, and counts that.
    pub(super) fn remove(&mut self, id: EntryId, why: Event, change: &mut Change<'_>) {
        let before = self.bytes_before(change);
        self.unschedule(id);
        self.remove_unscheduled(id, why, before, change);
    }

    fn remove_unscheduled(
        &mut self,
        id: EntryId,
        why: Event,
        before: usize,
        change: &mut Change<'_>,
    ) {
        let hash = change.context.hasher.key(self.slab.get(id).key()).index_hash();
        self.table.remove(hash, id);
        let entry = self.slab.remove(id);
        self.key_bytes -= entry.key().len() as u64;
        self.value_bytes -= entry.value().len() as u64;
        self.entry_bytes -= entry.bytes();
        change.scrap.entry(entry, &self.pins);
        change.context.next_revision();
        change.context.count(&self.counters, why);
        change.context.budget.release(Need { entries: 1, bytes: 0 });
        self.settle(before, Need::default(), change);
    }

    /// Frees entries that have expired, looking at `steps` at most.
    pub(crate) fn free_expired(&mut self, steps: usize, change: &mut Change<'_>) -> Cleaned {
        let (mut left, mut freed) = (steps, 0);
        loop {
            let before = self.bytes_before(change);
            match self.wheel.next_due(change.now.ms(), &mut left, &mut self.slab) {
                Due::Entry(id) => self.remove_unscheduled(id, Event::Expired, before, change),
                Due::Unknown => return Cleaned { freed, more: true },
                Due::Nothing => return Cleaned { freed, more: false },
            }
            freed += 1;
        }
    }

    /// Evicts the entry that the policy names, of those whose keys are not spared.
    pub(crate) fn evict(
        &mut self,
        spares: impl Fn(&[u8]) -> bool,
        change: &mut Change<'_>,
    ) -> bool {
        let may_go = |id| !spares(self.slab.get(id).key());
        let victim = self.policy.victim(&self.slab, may_go);
        if let Some(id) = victim {
            self.remove(id, Event::Evicted, change);
        }
        victim.is_some()
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self, change: &mut Change<'_>) {
        change.context.budget.release(self.used());
        self.table = Table::new();
        self.wheel = Wheel::new(change.now.ms());
        let slab = std::mem::replace(&mut self.slab, Slab::new(self.keeps_access));
        change.scrap.slab(slab, &self.pins);
        (self.entry_bytes, self.key_bytes, self.value_bytes) = (0, 0, 0);
    }
}

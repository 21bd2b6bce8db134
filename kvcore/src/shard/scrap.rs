//! What a change removed, kept until the lock is gone.
//!
//! Freeing memory takes time, and a large value's last reader may be anybody; neither belongs under
//! a shard's lock. Small entries need no freeing: their places are reused.

use super::large::{LargeEntries, LargeEntry};
use crate::order::OrderIndex;
use crate::value::PinMeter;

/// What a change removed. Most changes remove nothing of the kind: that must cost no more than a
/// look, when it begins and when it ends. So the lists are out of line.
#[derive(Default)]
pub(crate) struct Scrap(Option<Box<Lists>>);

#[derive(Default)]
struct Lists {
    entries: Vec<LargeEntry>,
    orders: Vec<OrderIndex>,
}

impl Scrap {
    /// Takes an entry that the store has let go of.
    pub(super) fn entry(&mut self, entry: LargeEntry, pins: &'static PinMeter) {
        entry.value.release(pins);
        self.0.get_or_insert_default().entries.push(entry);
    }

    /// Takes the order of a shard that was cleared: it may have many nodes.
    pub(super) fn order(&mut self, order: OrderIndex) {
        self.0.get_or_insert_default().orders.push(order);
    }

    /// Takes all entries of a shard.
    pub(super) fn all(&mut self, large: LargeEntries, pins: &'static PinMeter) {
        for entry in large.into_entries() {
            self.entry(entry, pins);
        }
    }
}

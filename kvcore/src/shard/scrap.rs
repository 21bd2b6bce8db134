//! What a change removed, kept until the lock is gone.
//!
//! Freeing memory takes time, and a large value's last reader may be anybody; neither belongs under
//! a shard's lock.

use std::sync::Arc;

use crate::entry::Entry;
use crate::slab::Slab;
use crate::value::PinMeter;

/// What a change removed.
#[derive(Default)]
pub(crate) struct Scrap {
    // Most changes remove one entry at most, and that must not cost an allocation.
    first: Option<Entry>,
    more: Vec<Entry>,
    slabs: Vec<(Slab, Arc<PinMeter>)>,
}

impl Scrap {
    /// Takes an entry that the store has let go of.
    pub(super) fn entry(&mut self, entry: Entry, pins: &Arc<PinMeter>) {
        if let Some(value) = entry.large_value() {
            value.release(pins);
        }
        if self.first.is_none() {
            self.first = Some(entry);
        } else {
            self.more.push(entry);
        }
    }

    /// Takes all entries of a shard.
    pub(super) fn slab(&mut self, slab: Slab, pins: &Arc<PinMeter>) {
        self.slabs.push((slab, Arc::clone(pins)));
    }
}

impl Drop for Scrap {
    fn drop(&mut self) {
        for (slab, pins) in &self.slabs {
            for id in (0..slab.chunks()).flat_map(|chunk| slab.ids(chunk)) {
                if let Some(value) = slab.get(id).large_value() {
                    value.release(pins);
                }
            }
        }
    }
}

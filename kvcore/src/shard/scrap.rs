//! What a change removed, kept until the lock is gone.
//!
//! Freeing memory takes time, and a large value's last reader may be anybody; neither belongs under
//! a shard's lock.

use std::sync::Arc;

use crate::entry::Entry;
use crate::slab::Slab;
use crate::value::PinMeter;

/// What a change removed. Most changes remove one entry at most: that must not cost an allocation,
/// and dropping the rest must not cost more than a look.
#[derive(Default)]
pub(crate) struct Scrap {
    first: Option<Entry>,
    more: Option<Box<More>>,
}

/// What few changes remove.
#[derive(Default)]
struct More {
    entries: Vec<Entry>,
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
            self.more.get_or_insert_default().entries.push(entry);
        }
    }

    /// Takes all entries of a shard.
    pub(super) fn slab(&mut self, slab: Slab, pins: &Arc<PinMeter>) {
        self.more.get_or_insert_default().slabs.push((slab, Arc::clone(pins)));
    }
}

impl Drop for More {
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

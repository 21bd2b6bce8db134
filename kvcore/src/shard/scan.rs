//! What a shard shows to scans. Only under its lock, for reading.

use super::{Found, Seen, Shard, is_live};
use crate::clock::Now;
use crate::context::Context;
use crate::scan::Entry;
use crate::value::{PinMeter, ValueInfo};

/// An entry as a scan sees it.
pub(crate) struct Shown<'a> {
    shard: &'a Shard,
    found: Found,
}

impl<'a> Shown<'a> {
    pub(super) fn new(shard: &'a Shard, found: Found) -> Self {
        Shown { shard, found }
    }

    pub(crate) fn key(&self) -> &'a [u8] {
        self.shard.entries().key(&self.found)
    }

    /// The revision of its last change.
    pub(crate) fn version(&self) -> u64 {
        self.found.head.version
    }

    pub(super) fn value_len(&self) -> usize {
        self.shard.entries().value(&self.found).len()
    }

    /// A copy to keep; a large value is shared instead.
    pub(crate) fn entry(&self, keys_only: bool, pins: &'static PinMeter) -> Entry {
        let value = (!keys_only).then(|| self.shard.value(&self.found, pins));
        Entry::new(self.key(), value, ValueInfo::of(&self.found.head))
    }
}

impl Shard {
    /// An entry that a reader was shown.
    pub(crate) fn shown(&self, seen: &Seen) -> Shown<'_> {
        Shown { shard: self, found: seen.0 }
    }

    /// Shows the live entries of the part of the index that begins at `from`: of so many buckets, or
    /// fewer once `each` answers false; the bucket that is begun is shown to its end. Answers where the
    /// next part begins, or `None` after the last.
    pub(crate) fn visit_live(
        &self,
        from: u32,
        buckets: usize,
        context: &Context,
        mut each: impl FnMut(Shown<'_>) -> bool,
    ) -> Option<u32> {
        let now = Now::new(&context.clock);
        let entries = self.entries();
        let (mut next, mut goes_on) = (Some(from), true);
        for _ in 0..buckets {
            let Some(start) = next.filter(|_| goes_on) else { break };
            next = self.space.table.visit(start, |_, id| {
                let found = entries.get(id);
                if is_live(&found, &now) {
                    goes_on = each(Shown { shard: self, found });
                }
            });
        }
        next
    }
}

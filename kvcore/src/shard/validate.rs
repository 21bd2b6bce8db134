//! Checks every invariant of a shard, for tests.

use super::Shard;
use crate::budget::Need;
use crate::entry::NEVER;
use crate::hash::KeyHasher;

impl Shard {
    /// Panics if an invariant is broken; returns what the shard takes of the limits.
    pub(crate) fn validate(&self, hasher: &KeyHasher) -> Need {
        let (mut entry_bytes, mut key_bytes, mut value_bytes) = (0, 0, 0);
        let (mut entries, mut expiring) = (0, 0);
        for id in (0..self.slab.chunks()).flat_map(|chunk| self.slab.ids(chunk)) {
            let entry = self.slab.get(id);
            let key = hasher.key(entry.key());
            assert_eq!(self.find(key), Some(id), "an entry is not found by its key");
            assert!(entry.version() > 0, "an entry has no version");
            entries += 1;
            expiring += usize::from(entry.deadline() != NEVER);
            entry_bytes += entry.bytes();
            key_bytes += entry.key().len() as u64;
            value_bytes += entry.value().len() as u64;
        }
        assert_eq!(entries, self.slab.len(), "the slab miscounts its entries");
        assert_eq!(entries, self.table.len(), "the index and the slab disagree");
        assert_eq!(expiring, self.wheel.len(), "the wheel and the entries disagree");
        assert_eq!(expiring, self.wheel.count_due(NEVER, &self.slab), "the wheel lost an entry");
        assert_eq!(entry_bytes, self.entry_bytes, "the bytes of the entries are miscounted");
        assert_eq!(key_bytes, self.key_bytes, "the bytes of the keys are miscounted");
        assert_eq!(value_bytes, self.value_bytes, "the bytes of the values are miscounted");
        if entries == 0 {
            assert_eq!(self.used().bytes, 0, "an empty shard holds memory");
        }
        self.used()
    }
}

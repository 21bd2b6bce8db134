//! Checks every invariant of a shard, for tests.

use super::Shard;
use crate::budget::Need;
use crate::entry::NEVER;
use crate::hash::KeyHasher;

impl Shard {
    /// Panics if an invariant is broken; returns what the shard takes of the limits.
    pub(crate) fn validate(&mut self, hasher: &KeyHasher) -> Need {
        let mut ids = Vec::new();
        let mut from = Some(0);
        while let Some(start) = from {
            from = self.space.table.visit(start, |_, id| ids.push(id));
        }
        let (mut places, mut large, mut larges) = (0, 0, 0);
        let (mut key_bytes, mut value_bytes, mut expiring) = (0, 0, 0);
        let entries = self.entries();
        for id in &ids {
            let found = entries.live(*id);
            assert!(found.is_some(), "{id:?} is in the index and has no entry");
            let Some(found) = found else { continue };
            let key = hasher.key(entries.key(&found));
            assert_eq!(self.find(key).map(|f| f.id), Some(*id), "an entry is not found by its key");
            assert!(found.head.version > 0, "an entry has no version");
            assert_eq!(found.head.tag().is_some(), self.policy.needs_tag());
            expiring += usize::from(found.head.deadline != NEVER);
            let part = entries.large_part(&found);
            (large, larges) =
                (large + part.map_or(0, |l| l.bytes()), larges + usize::from(part.is_some()));
            places += entries.charge(&found) - part.map_or(0, |l| l.bytes());
            key_bytes += entries.key(&found).len() as u64;
            value_bytes += entries.value(&found).len() as u64;
        }
        assert_eq!(ids.len(), self.len(), "the index miscounts its entries");
        assert_eq!(ids.len(), self.slab.len(), "the index and the slab disagree");
        assert_eq!(expiring, self.wheel.len(), "the wheel and the entries disagree");
        assert_eq!(expiring, self.wheel.count_due(NEVER, &entries), "the wheel lost an entry");
        self.wheel.validate(&entries);
        assert_eq!(places, self.slab.bytes(), "the bytes of the places are miscounted");
        assert_eq!((larges, large), (self.large.len(), self.large.bytes()));
        assert_eq!(key_bytes, self.key_bytes, "the bytes of the keys are miscounted");
        assert_eq!(value_bytes, self.value_bytes, "the bytes of the values are miscounted");
        if let Some(order) = &self.order {
            order.validate(ids.len(), &entries);
        }
        self.space.table.validate(&self.table);
        if ids.is_empty() {
            let parts = [
                &self.table.bytes(),
                &self.wheel.bytes(),
                &self.policy.bytes(),
                &self.order_bytes(),
            ];
            assert_eq!(self.used().bytes, 0, "an empty shard is charged: {parts:?}");
        }
        let (policy, residents) = self.policy_and_residents(hasher, |_| false);
        if let Err(broken) = policy.validate(&residents) {
            panic!("the policy is broken: {broken}");
        }
        self.used()
    }
}

//! A shard as its policy sees it.

use super::Space;
use super::entries::Entries;
use super::large::LargeEntries;
use crate::entry;
use crate::expiry::Wheel;
use crate::hash::KeyHasher;
use crate::policy::{Policy, Recency, Residents};
use crate::random;
use crate::slab::{EntryId, Slab};
use crate::table::TableState;

/// Everything of a shard but its policy.
pub(super) struct ShardResidents<'a, S> {
    space: &'a Space,
    table: &'a TableState,
    slab: &'a Slab,
    large: &'a LargeEntries,
    wheel: &'a mut Wheel,
    hasher: &'a KeyHasher,
    weighs_bytes: bool,
    spares: S,
}

impl super::Shard {
    /// Splits the shard into its policy and what that may look at.
    pub(super) fn policy_and_residents<'a, S: Fn(&[u8]) -> bool>(
        &'a mut self,
        hasher: &'a KeyHasher,
        spares: S,
    ) -> (&'a mut Policy, ShardResidents<'a, S>) {
        let residents = ShardResidents {
            space: &self.space,
            table: &self.table,
            slab: &self.slab,
            large: &self.large,
            wheel: &mut self.wheel,
            hasher,
            weighs_bytes: self.weighs_bytes,
            spares,
        };
        (&mut self.policy, residents)
    }
}

impl<'a, S: Fn(&[u8]) -> bool> ShardResidents<'a, S> {
    /// The clock of `lru`, which readers share.
    pub(super) fn recency(&self) -> &'a Recency {
        &self.space.recency
    }

    fn entries(&self) -> Entries<'_> {
        Entries { space: self.space, slab: self.slab, large: self.large }
    }

    fn index_hash(&self, id: EntryId) -> u32 {
        let entries = self.entries();
        self.hasher.key(entries.key(&entries.get(id))).index_hash()
    }
}

impl<S: Fn(&[u8]) -> bool> Residents for ShardResidents<'_, S> {
    fn tag(&self, id: EntryId) -> Option<u8> {
        self.entries().live(id)?.head.tag()
    }

    fn set_tag(&mut self, id: EntryId, tag: u8) {
        // Readers do not look at tags, and the rest of the word stays as it is.
        entry::set_tag(&self.space.words, id, tag);
    }

    fn access(&self, id: EntryId) -> u8 {
        self.space.table.access(self.index_hash(id), id).unwrap_or(0)
    }

    fn set_access(&mut self, id: EntryId, access: u8) {
        self.space.table.set_access(self.index_hash(id), id, access);
    }

    fn hash(&self, id: EntryId) -> u32 {
        self.index_hash(id)
    }

    fn weight(&self, id: EntryId) -> usize {
        let entries = self.entries();
        if self.weighs_bytes { entries.charge(&entries.get(id)) } else { 1 }
    }

    fn may_go(&self, id: EntryId) -> bool {
        let entries = self.entries();
        !(self.spares)(entries.key(&entries.get(id)))
    }

    fn random(&mut self) -> Option<EntryId> {
        self.space.table.random(self.table, random::below)
    }

    fn closest_deadline(&mut self) -> Option<EntryId> {
        let entries = Entries { space: self.space, slab: self.slab, large: self.large };
        let spares = &self.spares;
        self.wheel.earliest(&entries, |id| !spares(entries.key(&entries.get(id))))
    }
}

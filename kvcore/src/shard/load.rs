//! Filling a shard from files: entries as they were, with their versions.
//!
//! Nothing here counts, calls back, expires or asks for room: the limits are put in force once the
//! store is full of what it had.

use super::put::{Content, fits_in_place};
use super::{Change, Found, Refusal, Shard};
use crate::entry::NEVER;
use crate::hash::Key;
use crate::slab::EntryId;

/// What an entry brings along beside key, value and deadline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loaded {
    pub(crate) version: u64,
    /// When it was created, if that is known.
    pub(crate) created_at_ms: Option<i64>,
    /// Steps of its counter of hits.
    pub(crate) hits: u8,
    /// What the policy knew of its use; zero is nothing.
    pub(crate) access: u8,
}

impl Shard {
    /// Prepares the index of an empty shard for about so many entries, which then come in without moving
    /// others. A fifth of what filling a store takes was spent on that.
    pub(crate) fn expect_entries(&mut self, entries: usize) {
        // Without memory for all of it at once it grows on the way.
        let _ = self.space.table.presize(&mut self.table, entries);
    }

    /// Puts an entry as it was, instead of what the key has.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(crate) fn load(
        &mut self,
        key: Key<'_>,
        value: &[u8],
        deadline: i64,
        loaded: Loaded,
        change: &mut Change<'_>,
    ) -> Result<(), Refusal> {
        change.load(loaded);
        let content = Content { key: key.bytes, value: [value, b""], deadline, spare: 0 };
        let found = self.find(key);
        let head = self.head(&content, found.as_ref(), change);
        match &found {
            Some(found) if fits_in_place(found, &head) => {
                self.rewrite(key, found, &content, head, change);
            }
            Some(found) => {
                let place = self.place(&content, &head)?;
                self.replace_at(key, found, &content, head, place, change);
            }
            None => {
                self.table_room(1)?;
                let place = self.place(&content, &head)?;
                self.insert_at(key, &content, head, place, change);
            }
        }
        self.tidy(change);
        Ok(())
    }

    /// What an entry would be charged alone, without what the shard keeps of it elsewhere. The same in every
    /// shard of the store.
    pub(crate) fn load_charge(
        &self,
        key: &[u8],
        value: &[u8],
        deadline: i64,
        loaded: Loaded,
        change: &mut Change<'_>,
    ) -> usize {
        change.load(loaded);
        let content = Content { key, value: [value, b""], deadline, spare: 0 };
        content.charge(&self.head(&content, None, change))
    }

    /// Bytes that this shard, which is empty, is charged beside so many entries at most, `timed` of them
    /// with deadlines from `soonest` to `latest`.
    pub(crate) fn structure_at_most(
        &self,
        entries: usize,
        timed: usize,
        [soonest, latest]: [i64; 2],
    ) -> usize {
        let wheel = if timed == 0 { 0 } else { self.wheel.growth(soonest, latest, timed) };
        self.table.growth_for(entries)
            + self.policy.growth_for(entries)
            + self.order_growth(entries)
            + wheel
    }

    /// Lets an entry go that the policy names, when the shard was filled with more than the store may hold.
    /// The log and the callbacks are not told. `false` if there is none.
    pub(crate) fn shed(&mut self, change: &mut Change<'_>) -> bool {
        if self.len() == 0 {
            return false;
        }
        let (policy, mut residents) = self.policy_and_residents(&change.context.hasher, |_| false);
        let recency = residents.recency();
        let Some(id) = policy.victim(&mut residents, recency) else { return false };
        let found = self.entries().get(id);
        let hash = change.context.hasher.key(self.entries().key(&found)).index_hash();
        self.unload_found(hash, &found, change);
        self.counters.evicted += 1;
        true
    }

    /// Gives an entry another deadline and version. A key that is not there is left alone.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(crate) fn load_deadline(
        &mut self,
        key: Key<'_>,
        deadline: i64,
        version: u64,
        change: &mut Change<'_>,
    ) -> Result<(), Refusal> {
        let Some(found) = self.find(key) else { return Ok(()) };
        let value = self.entries().value(&found).to_vec();
        let (created_at_ms, hits) =
            found.head.access().map_or((None, 0), |(created, hits)| (Some(created), hits));
        let loaded = Loaded { version, created_at_ms, hits, access: 0 };
        self.load(key, &value, deadline, loaded, change)
    }

    /// Takes an entry out, if it is there.
    pub(crate) fn unload(&mut self, key: Key<'_>, change: &mut Change<'_>) {
        if let Some(found) = self.find(key) {
            self.unload_found(key.index_hash(), &found, change);
        }
    }

    /// Takes out every entry with a deadline of which `drops` says so, by its version and deadline.
    pub(crate) fn unload_where(
        &mut self,
        drops: impl Fn(u64, i64) -> bool,
        change: &mut Change<'_>,
    ) {
        // Looking at every entry takes a while, and most stores have none that may go.
        if self.wheel.len() == 0 {
            return;
        }
        let mut dropped: Vec<EntryId> = Vec::new();
        let mut from = Some(0);
        while let Some(start) = from {
            let entries = self.entries();
            from = self.space.table.visit(start, |_, id| {
                let head = entries.get(id).head;
                if head.deadline != NEVER && drops(head.version, head.deadline) {
                    dropped.push(id);
                }
            });
        }
        for id in dropped {
            let found = self.entries().get(id);
            let hash = change.context.hasher.key(self.entries().key(&found)).index_hash();
            self.unload_found(hash, &found, change);
        }
    }

    fn unload_found(&mut self, hash: u32, found: &Found, change: &mut Change<'_>) {
        change.settles_whole(true);
        if found.head.deadline != NEVER {
            self.wheel.cancelled();
        }
        self.take_out(hash, found, change);
        self.tidy(change);
    }

    /// Ends the filling: the policy goes on with all entries.
    pub(crate) fn loaded(&mut self, change: &mut Change<'_>) {
        change.settles_whole(true);
        if !self.policy.resumes() {
            return;
        }
        let mut ids = Vec::new();
        let mut from = Some(0);
        while let Some(start) = from {
            from = self.space.table.visit(start, |_, id| ids.push(id));
        }
        let (policy, mut residents) = self.policy_and_residents(&change.context.hasher, |_| false);
        let recency = residents.recency();
        policy.resume(&ids, &mut residents, recency);
    }
}

//! Fills a store from files.

use crate::error::Result;
use crate::hash::Key;
use crate::planted::{Planted, is_planted};
use crate::recovery::Target;
use crate::shard::{Change, Loaded, Refusal, Shard};
use crate::snapshot::Saved;
use crate::store::Core;
use crate::sync::atomic::{AtomicBool, Ordering};

/// A store while it is being filled.
pub(super) struct Loader<'a> {
    core: &'a Core,
    /// Whether access bits are those of the store's policy.
    same_policy: AtomicBool,
    /// Whether entries were left out because they had expired.
    has_dropped: AtomicBool,
}

impl<'a> Loader<'a> {
    /// Fills this store, which nobody else uses yet.
    pub(super) fn new(core: &'a Core) -> Self {
        Loader { core, same_policy: AtomicBool::new(false), has_dropped: AtomicBool::new(false) }
    }

    /// Whether entries were left out because they had expired.
    pub(super) fn has_dropped(&self) -> bool {
        self.has_dropped.load(Ordering::Relaxed)
    }

    /// Changes the shard of a key.
    fn change<R>(
        &self,
        key: &[u8],
        change: impl FnOnce(&mut Shard, Key<'_>, &mut Change<'_>) -> Result<R, Refusal>,
    ) -> Result<R> {
        let key = self.core.context.hasher.key(key);
        let mut under_way = Change::new(&self.core.context);
        let result =
            change(&mut self.core.write_shard(self.core.shard_of(key)), key, &mut under_way);
        under_way.finish();
        result.map_err(Refusal::without_room)
    }
}

impl Target for Loader<'_> {
    fn begin(&self, eviction: &str) {
        self.same_policy.store(eviction == self.core.eviction(), Ordering::Relaxed);
    }

    fn put(&self, saved: &Saved<'_>) -> Result<()> {
        let loaded = Loaded {
            version: saved.version,
            created_at_ms: saved.created_at_ms,
            hits: saved.hits,
            access: if self.same_policy.load(Ordering::Relaxed) { saved.access } else { 0 },
        };
        if is_planted(Planted::ExpireFirst) && saved.deadline <= self.core.context.clock.now_ms() {
            return self.delete(saved.key);
        }
        if is_planted(Planted::CountReplay) {
            self.core.context.count_read(true);
        }
        self.change(saved.key, |shard, key, change| {
            shard.load(key, saved.value, saved.deadline, loaded, change)
        })
    }

    fn part_of(&self, key: &[u8], parts: usize) -> usize {
        self.core.shard_of(self.core.context.hasher.key(key)) % parts
    }

    fn prefetch(&self, keys: &mut dyn Iterator<Item = &[u8]>) {
        self.core.prefetch(keys.map(|key| self.core.context.hasher.key(key)));
    }

    fn delete(&self, key: &[u8]) -> Result<()> {
        self.change(key, |shard, key, change| {
            shard.unload(key, change);
            Ok(())
        })
    }

    fn touch(&self, key: &[u8], deadline: i64, version: u64) -> Result<()> {
        self.change(key, |shard, key, change| shard.load_deadline(key, deadline, version, change))
    }

    fn clear(&self) -> Result<()> {
        self.core.free_contents();
        Ok(())
    }

    fn finish(&self, expired: &dyn Fn(u64, i64) -> bool) -> Result<()> {
        let now_ms = self.core.context.clock.now_ms();
        for shard in 0..self.core.shard_count() {
            let mut change = Change::new(&self.core.context);
            self.core.write_shard(shard).unload_where(
                |version, deadline| {
                    let drops = deadline <= now_ms || expired(version, deadline);
                    if drops {
                        self.has_dropped.store(true, Ordering::Relaxed);
                    }
                    drops
                },
                &mut change,
            );
            self.core.write_shard(shard).loaded(&mut change);
            change.finish();
        }
        Ok(())
    }
}

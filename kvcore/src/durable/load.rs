//! Fills a store from files.
//!
//! Steps come by the thousand and are sorted by shard, so that a thread holds each lock for many of them. A
//! lock for each would pass the shard's state, with every step, from the cache of one processor to that of
//! another: two threads then take as long as one.

use crate::error::Result;
use crate::hash::Key;
use crate::planted::{Planted, is_planted};
use crate::recovery::{Step, Target};
use crate::shard::{Change, Loaded, Refusal, Shard};
use crate::store::Core;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Entries whose places are fetched into the cache together.
const TOGETHER: usize = 32;

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

    /// Takes the steps for one shard, under one hold of its lock.
    fn fill(&self, steps: &[Step<'_>], aims: &[Aim<'_>]) -> Result<()> {
        let Some(first) = aims.first() else { return Ok(()) };
        let mut change = Change::new(&self.core.context);
        let mut shard = self.core.write_shard(first.shard);
        let filled = aims.chunks(TOGETHER).try_for_each(|aims| {
            self.core.prefetch(aims.iter().map(|aim| aim.key));
            aims.iter()
                .try_for_each(|aim| self.step(&mut shard, aim.key, &steps[aim.step], &mut change))
        });
        drop(shard);
        change.finish();
        filled.map_err(Refusal::without_room)
    }

    fn step(
        &self,
        shard: &mut Shard,
        key: Key<'_>,
        step: &Step<'_>,
        change: &mut Change<'_>,
    ) -> Result<(), Refusal> {
        match step {
            Step::Put(saved) => {
                if is_planted(Planted::ExpireFirst)
                    && saved.deadline <= self.core.context.clock.now_ms()
                {
                    shard.unload(key, change);
                    return Ok(());
                }
                if is_planted(Planted::CountReplay) {
                    self.core.count_read(0, true);
                }
                let loaded = Loaded {
                    version: saved.version,
                    created_at_ms: saved.created_at_ms,
                    hits: saved.hits,
                    access: if self.same_policy.load(Ordering::Relaxed) { saved.access } else { 0 },
                };
                shard.load(key, saved.value, saved.deadline, loaded, change)
            }
            Step::Delete(_) => {
                shard.unload(key, change);
                Ok(())
            }
            &Step::Touch { deadline, version, .. } => {
                shard.load_deadline(key, deadline, version, change)
            }
        }
    }
}

/// Which step goes where.
#[derive(Clone, Copy, Default)]
struct Aim<'a> {
    shard: usize,
    /// Its place among the steps.
    step: usize,
    key: Key<'a>,
}

/// Sorts by shard, and leaves those of one shard in their order.
fn by_shard<'a>(aims: &[Aim<'a>], shards: usize) -> Vec<Aim<'a>> {
    let mut next = vec![0; shards];
    aims.iter().for_each(|aim| next[aim.shard] += 1);
    let mut before = 0;
    for place in &mut next {
        before += std::mem::replace(place, before);
    }
    let mut sorted = vec![Aim::default(); aims.len()];
    for aim in aims {
        sorted[next[aim.shard]] = *aim;
        next[aim.shard] += 1;
    }
    sorted
}

impl Target for Loader<'_> {
    fn begin(&self, eviction: &str, entries: u64) {
        self.same_policy.store(eviction == self.core.eviction(), Ordering::Relaxed);
        let each = usize::try_from(entries).unwrap_or(usize::MAX) / self.core.shard_count();
        (0..self.core.shard_count())
            .for_each(|shard| self.core.write_shard(shard).expect_entries(each));
    }

    fn make(&self, steps: &[Step<'_>]) -> Result<()> {
        let core = self.core;
        let keys = steps.iter().map(|step| core.context.hasher.key(step.key()));
        let aim = |(step, key)| Aim { shard: core.shard_of(key), step, key };
        let aims: Vec<_> = keys.enumerate().map(aim).collect();
        let Some(first) = aims.first().map(|aim| aim.shard) else { return Ok(()) };
        let aims = by_shard(&aims, core.shard_count());
        let runs: Vec<_> = aims.chunk_by(|a, b| a.shard == b.shard).collect();
        // Threads that begin anywhere and go on in one order seldom meet at a lock.
        let (later, sooner) = runs.split_at(runs.partition_point(|run| run[0].shard < first));
        sooner.iter().chain(later).try_for_each(|run| self.fill(steps, run))
    }

    fn part_of(&self, key: &[u8], parts: usize) -> usize {
        self.core.shard_of(self.core.context.hasher.key(key)) % parts
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

//! Counters of changes and of reads, for each shard.
//!
//! Changes are counted under the lock of their shard. Reads mostly take no lock, so they are counted in
//! stripes, one for each thread, in which the shards lie side by side: a thread that reads all over a
//! store with a few shards counts in one or two cache lines that nobody else writes.

use super::Stats;
use crate::striped::StripedTable;

/// What was done in one shard under its lock.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) sets: u64,
    pub(crate) deletes: u64,
    pub(crate) expired: u64,
    pub(crate) evicted: u64,
    /// Values that were read and deleted in one step.
    pub(crate) hits: u64,
    /// Such reads that found none.
    pub(crate) misses: u64,
}

impl Counters {
    pub(crate) fn add_to(&self, stats: &mut Stats) {
        stats.sets += self.sets;
        stats.deletes += self.deletes;
        stats.expired += self.expired;
        stats.evicted += self.evicted;
        stats.hits += self.hits;
        stats.misses += self.misses;
        stats.gets += self.hits + self.misses;
    }
}

/// Counts the reads of each shard: threads that read at the same time share no cache line.
pub(crate) struct ReadCounters(StripedTable);

impl ReadCounters {
    pub(crate) fn new(shards: usize) -> Self {
        ReadCounters(StripedTable::new(shards * 2))
    }

    /// Counts a read.
    #[inline(always)]
    pub(crate) fn count(&self, shard: usize, hit: bool) {
        self.0.add(shard * 2 + usize::from(hit), 1);
    }

    /// Adds what was read of one shard.
    pub(crate) fn add_to(&self, shard: usize, stats: &mut Stats) {
        let (misses, hits) = (self.0.sum(shard * 2), self.0.sum(shard * 2 + 1));
        stats.hits += hits;
        stats.misses += misses;
        stats.gets += hits + misses;
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn reads_are_told_apart_by_shard() {
        let reads = ReadCounters::new(256);
        for shard in 0..256 {
            (0..shard).for_each(|_| reads.count(shard, true));
            reads.count(shard, false);
        }
        for shard in 0..256 {
            let mut stats = Stats::default();
            reads.add_to(shard, &mut stats);
            let hits = shard as u64;
            assert_eq!((stats.hits, stats.misses, stats.gets), (hits, 1, hits + 1));
        }
    }
}

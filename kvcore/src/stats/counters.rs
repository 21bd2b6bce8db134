//! Counters of changes and of reads, for each shard.
//!
//! Changes are counted under the lock of their shard. Reads mostly take no lock, so they are counted in
//! stripes, one for each thread, that nobody else writes. Each shard has stripes of its own. To let shards
//! share them would take fewer cache lines and more instructions to find the place, of which a quick read
//! feels every one.

use super::Stats;
use crate::striped::{Stripe, Striped};

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

/// Counts the reads of one shard: threads that read at the same time share no cache line.
pub(crate) struct ReadCounters(Striped<2>);

impl ReadCounters {
    pub(crate) fn new() -> Self {
        ReadCounters(Striped::new())
    }

    /// Counts a read.
    #[inline(always)]
    pub(crate) fn count(&self, hit: bool) {
        self.0.add(usize::from(hit), 1);
    }

    /// As [`count`](ReadCounters::count), for one of many reads.
    #[inline(always)]
    pub(crate) fn count_in(&self, stripe: Stripe, hit: bool) {
        self.0.add_in(stripe, usize::from(hit), 1);
    }

    /// Adds what was read.
    pub(crate) fn add_to(&self, stats: &mut Stats) {
        let (misses, hits) = (self.0.sum(0), self.0.sum(1));
        stats.hits += hits;
        stats.misses += misses;
        stats.gets += hits + misses;
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn reads_of_all_threads_are_counted() {
        let reads = ReadCounters::new();
        std::thread::scope(|scope| {
            for thread in 0..40 {
                let reads = &reads;
                scope.spawn(move || (0..=thread).for_each(|read| reads.count(read > 0)));
            }
        });
        let mut stats = Stats { gets: 1, ..Stats::default() };
        reads.add_to(&mut stats);
        assert_eq!((stats.hits, stats.misses, stats.gets), (780, 40, 821));
    }
}

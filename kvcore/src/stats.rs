//! What a store counts, and how it tells it.
//!
//! Owns: [`Stats`], the counters of changes in one shard, those of reads, and the small counter of
//! hits on one entry.

use serde::Serialize;

use crate::random;
use crate::striped::Striped;

/// A picture of a store: what it holds now, and what it has done since it was opened.
///
/// Bytes are bytes, and counts are counts. The numbers of different shards are read one after the
/// other, so under concurrent writes they need not add up to the entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Entries, with those that have expired and wait to be freed.
    pub entries: u64,
    /// Entries that have a deadline.
    pub expiring_entries: u64,
    /// Entries that have expired and wait to be freed.
    pub expired_pending: u64,
    /// Sum of the lengths of the keys.
    pub key_bytes: u64,
    /// Sum of the lengths of the values.
    pub value_bytes: u64,
    /// What the data is charged, with everything it needs; `max_memory` limits this.
    pub memory_bytes: u64,
    /// What the store holds from the system.
    pub resident_bytes: u64,
    /// What values in callers' hands hold beside that.
    pub pinned_bytes: u64,
    /// Reads of a value.
    pub gets: u64,
    /// Reads that found one.
    pub hits: u64,
    /// Reads that found none.
    pub misses: u64,
    /// Values written.
    pub sets: u64,
    /// Entries deleted by a call.
    pub deletes: u64,
    /// Entries freed because they had expired.
    pub expired: u64,
    /// Entries evicted to make room.
    pub evicted: u64,
    /// Callbacks that were dropped because their queue was full.
    pub callbacks_dropped: u64,
    /// Bytes in the log.
    pub wal_bytes: u64,
    /// Flushes of the log to the disk.
    pub wal_syncs: u64,
    /// Snapshots taken.
    pub snapshots: u64,
    /// The revision of the last change.
    pub revision: u64,
}

impl Stats {
    /// Hits in percent of reads; 0 before the first read.
    pub fn hit_rate(&self) -> f64 {
        if self.gets == 0 { 0.0 } else { self.hits as f64 * 100.0 / self.gets as f64 }
    }

    /// One JSON object, a member for each field.
    pub(crate) fn to_json(self) -> String {
        // A struct of integers always serialises.
        serde_json::to_string(&self).unwrap_or_default()
    }

    /// The Prometheus text format, a family for each field, with `kv_` before its name.
    pub(crate) fn to_prometheus(self) -> String {
        let mut text = String::new();
        for (name, help, kind, number) in self.families() {
            let suffix = if kind == "counter" { "_total" } else { "" };
            text += &format!("# HELP kv_{name}{suffix} {help}\n# TYPE kv_{name}{suffix} {kind}\n");
            text += &format!("kv_{name}{suffix} {number}\n");
        }
        text
    }

    fn families(&self) -> [(&'static str, &'static str, &'static str, u64); 20] {
        [
            ("entries", "Entries in the store.", "gauge", self.entries),
            ("expiring_entries", "Entries that have a deadline.", "gauge", self.expiring_entries),
            ("expired_pending", "Expired entries not yet freed.", "gauge", self.expired_pending),
            ("key_bytes", "Sum of key lengths.", "gauge", self.key_bytes),
            ("value_bytes", "Sum of value lengths.", "gauge", self.value_bytes),
            ("memory_bytes", "Bytes charged to the data.", "gauge", self.memory_bytes),
            ("resident_bytes", "Bytes held from the system.", "gauge", self.resident_bytes),
            ("pinned_bytes", "Bytes held by values in use.", "gauge", self.pinned_bytes),
            ("gets", "Reads of a value.", "counter", self.gets),
            ("hits", "Reads that found a value.", "counter", self.hits),
            ("misses", "Reads that found none.", "counter", self.misses),
            ("sets", "Values written.", "counter", self.sets),
            ("deletes", "Entries deleted by a call.", "counter", self.deletes),
            ("expired", "Entries freed after expiry.", "counter", self.expired),
            ("evicted", "Entries evicted to make room.", "counter", self.evicted),
            ("callbacks_dropped", "Callbacks dropped.", "counter", self.callbacks_dropped),
            ("wal_bytes", "Bytes in the log.", "gauge", self.wal_bytes),
            ("wal_syncs", "Flushes of the log.", "counter", self.wal_syncs),
            ("snapshots", "Snapshots taken.", "counter", self.snapshots),
            ("revision", "Revision of the last change.", "gauge", self.revision),
        ]
    }
}

/// What the changes of one shard came to. Kept under the shard's lock.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) sets: u64,
    pub(crate) deletes: u64,
    pub(crate) expired: u64,
    pub(crate) evicted: u64,
}

impl Counters {
    pub(crate) fn add_to(&self, stats: &mut Stats) {
        stats.sets += self.sets;
        stats.deletes += self.deletes;
        stats.expired += self.expired;
        stats.evicted += self.evicted;
    }
}

/// Counts reads: threads that read at the same time share no cache line.
pub(crate) struct ReadCounters(Striped<2>);

const HITS: usize = 0;
const MISSES: usize = 1;

impl ReadCounters {
    pub(crate) fn new() -> Self {
        ReadCounters(Striped::new())
    }

    /// Counts a read.
    #[inline]
    pub(crate) fn count(&self, hit: bool) {
        self.0.add(if hit { HITS } else { MISSES }, 1);
    }

    /// Counts many reads at once.
    pub(crate) fn add(&self, hits: u64, misses: u64) {
        self.0.add(HITS, hits);
        self.0.add(MISSES, misses);
    }

    pub(crate) fn add_to(&self, stats: &mut Stats) {
        (stats.hits, stats.misses) = (self.0.sum(HITS), self.0.sum(MISSES));
        stats.gets = stats.hits + stats.misses;
    }
}

/// Counts to about a million in one byte: exactly to 16, then by chance, in steps that double
/// every 16 (Morris, "Counting Large Numbers of Events in Small Registers", 1978).
pub(crate) struct HitCounter;

const STEPS: u32 = 16;

impl HitCounter {
    /// The step after one more hit, which is mostly the same step.
    pub(crate) fn next(step: u8) -> u8 {
        let doublings = u32::from(step) / STEPS;
        let counts = step < u8::MAX && (doublings == 0 || random::below(1 << doublings) == 0);
        step + u8::from(counts)
    }

    /// The count: a step of the n-th sixteen stands for `2^n` hits.
    pub(crate) fn about(step: u8) -> u64 {
        let step = u32::from(step);
        let (doublings, rest) = (step / STEPS, step % STEPS);
        u64::from(STEPS * ((1 << doublings) - 1) + (rest << doublings))
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn hits_are_exact_at_first_and_close_later() {
        let mut step = 0;
        for n in 0..=16 {
            assert_eq!(HitCounter::about(step), n);
            step = HitCounter::next(step);
        }
        step = 0;
        for _ in 0..100_000 {
            step = HitCounter::next(step);
        }
        let about = HitCounter::about(step);
        assert!((30_000..300_000).contains(&about), "{about}");
    }

    #[test]
    fn text_forms_have_every_field() {
        let stats = Stats { entries: 3, hits: 1, gets: 2, misses: 1, ..Stats::default() };
        let json: serde_json::Value = serde_json::from_str(&stats.to_json()).unwrap();
        let fields = json.as_object().unwrap();
        assert_eq!(fields["entries"], 3);
        let prometheus = stats.to_prometheus();
        for name in fields.keys() {
            assert!(prometheus.contains(&format!("kv_{name}")), "{name}");
        }
        assert_eq!(prometheus.lines().count(), fields.len() * 3);
        assert_eq!(stats.hit_rate(), 50.0);
    }
}

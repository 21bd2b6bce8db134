//! What a store counts, and how it tells it.
//!
//! Owns: [`Stats`]. `counters` counts changes and reads, `latency` times calls, in `histogram`s, `hits`
//! is the small counter of one entry, `text` writes all of it for other programs. Invariants: what is
//! counted decides nothing, so all of it is relaxed; counting writes nothing that another thread reads
//! on its way, but a look at the statistics; a shard and the store are told in the same struct, so that
//! they cannot differ in what a number means.

mod counters;
mod histogram;
mod hits;
mod latency;
mod text;

use serde::Serialize;

pub(crate) use counters::{Counters, ReadCounters};
pub use histogram::Latency;
pub(crate) use hits::HitCounter;
pub use latency::Timed;
pub(crate) use latency::{LatencyMeter, LatencyMode};
pub(crate) use text::Report;

/// How soon is soon, in milliseconds: what the fields of [`Stats`] named `expiring_in_…` stand for.
pub(crate) const SOON_MS: [u64; 4] = [1_000, 10_000, 60_000, 600_000];

/// A picture of a store: what it holds now, and what it has done since it was opened.
///
/// Bytes are bytes, and counts are counts. The numbers of different shards are read one after the
/// other, so under concurrent writes they need not add up to the entry.
///
/// [`Store::shard_stats`](crate::Store::shard_stats) gives the same for one shard. A field that says "of the
/// store" belongs to the store as a whole, and is zero there.
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
    /// What the data is charged, with everything it needs; `max_memory` limits this. The sum of the
    /// parts from `index_bytes` to `order_bytes`, and of room that is reserved at this moment.
    pub memory_bytes: u64,
    /// What the store holds from the system.
    pub resident_bytes: u64,
    /// What values in callers' hands, images for a snapshot, callbacks and watches hold beside that.
    /// Of the store.
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
    /// Callbacks that were dropped because their queue was full. Of the store.
    pub callbacks_dropped: u64,
    /// Bytes in the log. Of the store.
    pub wal_bytes: u64,
    /// Flushes of the log to the disk. Of the store.
    pub wal_syncs: u64,
    /// Snapshots taken. Of the store.
    pub snapshots: u64,
    /// The revision of the last change. Of the store.
    pub revision: u64,
    /// Of `memory_bytes`: the hash index.
    pub index_bytes: u64,
    /// Of `memory_bytes`: the places of entries, with their keys and values.
    pub entry_bytes: u64,
    /// Of `memory_bytes`: keys and values of entries too large for a place.
    pub large_bytes: u64,
    /// Of `memory_bytes`: the timing wheel.
    pub expiry_bytes: u64,
    /// Of `memory_bytes`: what the eviction policy keeps of entries.
    pub policy_bytes: u64,
    /// Of `memory_bytes`: the sorted index of `ordered_index`.
    pub order_bytes: u64,
    /// Of `pinned_bytes`: removals that wait for the callback. Of the store.
    pub callback_bytes: u64,
    /// Of `pinned_bytes`: events that are kept for watches. Of the store.
    pub watch_bytes: u64,
    /// Buffers of the log, beside all others. Of the store.
    pub wal_buffer_bytes: u64,
    /// Entries that will have expired a second from now, without those that have by now. Exact as long
    /// as few of a shard's entries are due so soon; otherwise the slots of the timing wheel are counted,
    /// and the one that the time falls in goes in proportion.
    pub expiring_in_1s: u64,
    /// As `expiring_in_1s`, for ten seconds; these are among them.
    pub expiring_in_10s: u64,
    /// As `expiring_in_1s`, for a minute.
    pub expiring_in_1m: u64,
    /// As `expiring_in_1s`, for ten minutes.
    pub expiring_in_10m: u64,
    /// Reads that the near cache of a remote store answered. Of the store, as the rest of these.
    pub near_hits: u64,
    /// Values that the near cache took in.
    pub near_fills: u64,
    /// Keys, or whole parts of the near cache, that a server told to be changed.
    pub near_invalidations: u64,
    /// Values that the near cache did not take in, because they may have changed since they were asked for.
    pub near_drops: u64,
}

impl Stats {
    /// Hits as a share of reads, from 0 to 1; 0 before the first read.
    pub fn hit_ratio(&self) -> f64 {
        if self.gets == 0 { 0.0 } else { self.hits as f64 / self.gets as f64 }
    }

    /// Hits in percent of reads; 0 before the first read.
    pub fn hit_rate(&self) -> f64 {
        self.hit_ratio() * 100.0
    }

    /// These numbers as text, as [`Store::stats_text`](crate::Store::stats_text) writes them, without shards and
    /// latencies.
    ///
    /// # Errors
    /// `Unsupported` for another format than `"json"` and `"prometheus"`.
    pub fn text(&self, format: &str) -> crate::Result<String> {
        let write = Report::writer(format)?;
        Ok(write(&Report { stats: *self, shards: Vec::new(), latencies: Vec::new() }))
    }

    /// Adds what a shard has.
    pub(crate) fn add_shard(&mut self, shard: &Stats) {
        self.entries += shard.entries;
        self.expiring_entries += shard.expiring_entries;
        self.expired_pending += shard.expired_pending;
        self.key_bytes += shard.key_bytes;
        self.value_bytes += shard.value_bytes;
        self.memory_bytes += shard.memory_bytes;
        self.resident_bytes += shard.resident_bytes;
        self.hits += shard.hits;
        self.misses += shard.misses;
        self.gets += shard.gets;
        self.sets += shard.sets;
        self.deletes += shard.deletes;
        self.expired += shard.expired;
        self.evicted += shard.evicted;
        self.index_bytes += shard.index_bytes;
        self.entry_bytes += shard.entry_bytes;
        self.large_bytes += shard.large_bytes;
        self.expiry_bytes += shard.expiry_bytes;
        self.policy_bytes += shard.policy_bytes;
        self.order_bytes += shard.order_bytes;
        self.expiring_in_1s += shard.expiring_in_1s;
        self.expiring_in_10s += shard.expiring_in_10s;
        self.expiring_in_1m += shard.expiring_in_1m;
        self.expiring_in_10m += shard.expiring_in_10m;
    }

    /// How many entries expire within each of [`SOON_MS`].
    pub(crate) fn soon(&self) -> [u64; SOON_MS.len()] {
        [self.expiring_in_1s, self.expiring_in_10s, self.expiring_in_1m, self.expiring_in_10m]
    }

    /// Says how many entries expire within each of [`SOON_MS`].
    pub(crate) fn set_soon(&mut self, soon: [u64; SOON_MS.len()]) {
        [self.expiring_in_1s, self.expiring_in_10s, self.expiring_in_1m, self.expiring_in_10m] =
            soon;
    }
}

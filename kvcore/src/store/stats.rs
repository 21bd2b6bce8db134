//! The calls that tell what a store holds, what it has done, and how long that took.

use super::Store;
use super::core::Core;
use crate::durable::Durable;
use crate::error::Result;
use crate::stats::{Latency, Report, Stats, Timed};

impl Store {
    /// What the store holds and has done.
    ///
    /// Looks at one shard after the other, under the lock of each for reading, for as long as there are
    /// entries in it that have expired and wait to be freed.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn stats(&self) -> Result<Stats> {
        self.core.state.check_read()?;
        let now_ms = self.core.context.clock.now_ms();
        let shards = 0..self.core.shard_count();
        let stats = whole(&self.core, shards.map(|shard| self.core.shard_stats(shard, now_ms)));
        self.core.state.check_open()?;
        Ok(stats)
    }

    /// Bytes charged to the data, as [`Stats`] has them. One look at a counter while the store limits them, and at
    /// every shard while it does not.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn memory_bytes(&self) -> Result<u64> {
        self.core.state.check_read()?;
        let charged = |shard| self.core.read_shard(shard).bytes() as u64;
        let bytes = match self.core.context.budget.bytes_taken() {
            Some(taken) => taken,
            None => (0..self.core.shard_count()).map(charged).sum(),
        };
        // A store that was closed meanwhile may be empty, and that is no answer.
        self.core.state.check_open()?;
        Ok(bytes)
    }

    /// What one shard holds and has done; `None` if there are not so many shards. Shards are counted from
    /// zero. What belongs to the store as a whole is zero in it.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn shard_stats(&self, shard: usize) -> Result<Option<Stats>> {
        self.core.state.check_read()?;
        let now_ms = self.core.context.clock.now_ms();
        let is_there = shard < self.core.shard_count();
        let stats = is_there.then(|| self.core.shard_stats(shard, now_ms));
        self.core.state.check_open()?;
        Ok(stats)
    }

    /// How long calls of a kind took since the store was opened: those that the option `latency` had timed.
    ///
    /// A `Get` is a read of one key's value in any form, one that finds none too, but not the reads of
    /// `get_many`. A `Set` is [`set`](Store::set) or [`set_with`](Store::set_with), with making room and
    /// the wait for the log. A `Sync` is a flush of the log to the disk, whoever waits for it. Calls that
    /// fail are not among them.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn latency(&self, timed: Timed) -> Result<Latency> {
        self.core.state.check_read()?;
        Ok(self.core.context.latency.read(timed))
    }

    /// [`stats`](Store::stats), those of every shard, and what was timed, as text: `"json"`, or
    /// `"prometheus"` for its text format.
    ///
    /// # Errors
    /// `Unsupported` for another format, `Closed`, `Forked`.
    pub fn stats_text(&self, format: &str) -> Result<String> {
        let write = Report::writer(format)?;
        self.core.state.check_read()?;
        let now_ms = self.core.context.clock.now_ms();
        let shards = 0..self.core.shard_count();
        let shards: Vec<Stats> = shards.map(|shard| self.core.shard_stats(shard, now_ms)).collect();
        let stats = whole(&self.core, shards.iter().copied());
        let meter = &self.core.context.latency;
        let timed = Timed::ALL.map(|timed| (timed, meter.read(timed)));
        self.core.state.check_open()?;
        let latencies = if meter.was_on() { timed.into() } else { Vec::new() };
        Ok(write(&Report { stats, shards, latencies }))
    }
}

/// What all shards hold and have done, and the store as a whole.
fn whole(core: &Core, shards: impl Iterator<Item = Stats>) -> Stats {
    let mut stats = Stats::default();
    shards.for_each(|shard| stats.add_shard(&shard));
    let context = &core.context;
    // What is limited is told as it is counted: a sum over shards that change meanwhile could exceed the limit.
    stats.entries = context.budget.entries_taken().unwrap_or(stats.entries);
    stats.memory_bytes = context.budget.bytes_taken().unwrap_or(stats.memory_bytes);
    stats.callbacks_dropped = context.removals.dropped();
    stats.callback_bytes = context.removals.pinned_bytes();
    stats.watch_bytes = context.feed.pinned_bytes();
    stats.pinned_bytes = context.pins.bytes() + stats.callback_bytes + stats.watch_bytes;
    stats.revision = context.revision();
    if let Some(log) = context.journal.log() {
        (stats.wal_bytes, stats.wal_syncs) = (log.bytes(), log.syncs());
        stats.wal_buffer_bytes = log.buffer_bytes();
    }
    stats.snapshots = core.durable().map_or(0, Durable::snapshots);
    stats
}

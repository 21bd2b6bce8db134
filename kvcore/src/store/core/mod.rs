//! What the handles of a store and its threads share.
//!
//! Owns: the shards, their locks, and what finds a key's shard. `reads` has how a key is read, `changes`
//! how a change reaches a shard, `room` the limits and who gives way, `settings` opening and the options.
//! Invariants: no lock of a shard is held while room is made, while entries are dropped or while the
//! cleaner is told something; several locks are only ever taken in the order of the shards.

mod changes;
mod reads;
mod room;
mod settings;

use std::sync::{Arc, OnceLock};

use crossbeam_utils::CachePadded;

use crate::budget::Need;
use crate::clock::Clock;
use crate::context::{Context, limit};
use crate::durable::Durable;
use crate::error::{Error, Result, Status};
use crate::hash::Key;
use crate::options::Options;
use crate::poison::State;
use crate::policy::Policy;
use crate::shard::{Shard, ShardPlan, Space};
use crate::stats::{ReadCounters, Stats};
use crate::sync::{Mutex, ReadGuard, RwLock, WriteGuard};

/// Keys whose buckets and entries are brought into the cache together.
pub(crate) const WAVE: usize = 32;

/// A store without its handles.
pub(crate) struct Core {
    pub(crate) state: State,
    pub(crate) context: Context,
    shards: Box<[CachePadded<Cell>]>,
    /// Whether the policy can evict, and whether it may.
    can_evict: bool,
    keeps_access: bool,
    plan: ShardPlan,
    max_key_bytes: usize,
    max_value_bytes: usize,
    options: Mutex<Options>,
    /// Set once the store has been filled from its directory.
    durable: OnceLock<Durable>,
}

/// One shard: what its readers share, and the rest behind its lock.
struct Cell {
    space: Arc<Space>,
    reads: ReadCounters,
    shard: RwLock<Shard>,
}

impl Core {
    /// An empty store in memory.
    pub(crate) fn new(mut options: Options, clock: Clock) -> Self {
        drop(options.take_progress());
        let policy = Policy::named(options.eviction());
        let plan = ShardPlan {
            policy: options.eviction(),
            keeps_access: options.entry_stats(),
            keeps_order: options.ordered_index(),
            weighs_bytes: options.max_memory() != 0,
            now_ms: clock.now_ms(),
        };
        let count = shard_count(&options);
        let cell = |_| {
            let (space, shard) = Shard::new(plan);
            CachePadded::new(Cell { space, reads: ReadCounters::new(), shard: RwLock::new(shard) })
        };
        let (state, context) =
            (State::new(), Context::new(&options, clock, count * policy.growth()));
        state.wakes(Arc::clone(&context.feed));
        settings::measure(&state, &options);
        Core {
            state,
            context,
            shards: (0..count).map(cell).collect(),
            can_evict: policy.may_evict(),
            keeps_access: options.entry_stats(),
            plan,
            max_key_bytes: options.max_key_bytes(),
            max_value_bytes: options.max_value_bytes(),
            options: Mutex::new(options),
            durable: OnceLock::new(),
        }
    }

    /// The store's part on disk, if it is in a directory.
    pub(crate) fn durable(&self) -> Option<&Durable> {
        self.durable.get()
    }

    /// Takes note of a fault of the disk: writes stop for good, unless it was only full.
    pub(crate) fn fault(&self, fault: Error) {
        match fault.status() {
            Status::NoSpace => self.state.note_fault(fault),
            _ => self.state.poison(Some(fault)),
        }
    }

    /// Whether entries may be evicted.
    pub(crate) fn may_evict(&self) -> bool {
        self.can_evict && self.context.may_evict()
    }

    /// Lets the policy evict or not. Answers whether it evicts from now on.
    pub(crate) fn allow_eviction(&self, allow: bool) -> bool {
        self.context.allow_eviction(allow);
        self.may_evict()
    }

    /// Whether keys are kept sorted.
    pub(crate) fn keeps_order(&self) -> bool {
        self.plan.keeps_order
    }

    /// A shard as those of this store are when they are empty, and a part of none.
    pub(crate) fn blank_shard(&self) -> Shard {
        Shard::new(ShardPlan { now_ms: self.context.clock.now_ms(), ..self.plan }).1
    }

    /// How many shards there are.
    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// The shard a key belongs to.
    pub(crate) fn shard_of(&self, key: Key<'_>) -> usize {
        key.shard(self.shards.len() - 1)
    }

    /// Hashes a key whose length is within the limit.
    #[inline(always)]
    pub(crate) fn key<'k>(&self, key: &'k [u8]) -> Result<Key<'k>> {
        if key.len() > self.max_key_bytes {
            return Err(too_large("key", key.len(), self.max_key_bytes));
        }
        Ok(self.context.hasher.key(key))
    }

    /// Checks the length of one of many keys.
    pub(crate) fn check_key(&self, key: &[u8], number: usize) -> Result<()> {
        if key.len() <= self.max_key_bytes {
            return Ok(());
        }
        Err(numbered("key", number, &too_large("key", key.len(), self.max_key_bytes)))
    }

    /// Checks the length of a value.
    #[inline]
    pub(crate) fn check_value(&self, value: &[u8]) -> Result<()> {
        if value.len() > self.max_value_bytes {
            return Err(too_large("value", value.len(), self.max_value_bytes));
        }
        Ok(())
    }

    /// The longest value that is taken, in bytes.
    pub(crate) fn max_value_bytes(&self) -> usize {
        self.max_value_bytes
    }

    /// What one shard holds and has done.
    pub(crate) fn shard_stats(&self, shard: usize, now_ms: i64) -> Stats {
        let mut stats = self.read_shard(shard).stats(now_ms);
        self.shards[shard].reads.add_to(&mut stats);
        stats
    }

    /// Locks a shard for reading.
    pub(crate) fn read_shard(&self, shard: usize) -> ReadGuard<'_, Shard> {
        self.shards[shard].shard.read()
    }

    /// Locks a shard for a change.
    pub(crate) fn write_shard(&self, shard: usize) -> WriteGuard<'_, Shard> {
        self.shards[shard].shard.write()
    }

    /// Locks all shards for a change.
    pub(crate) fn lock_all(&self) -> Vec<WriteGuard<'_, Shard>> {
        self.shards.iter().map(|cell| cell.shard.write()).collect()
    }

    /// Checks every invariant; panics if one is broken.
    pub(crate) fn validate(&self) {
        let mut shards = self.lock_all();
        let used = Need::sum(shards.iter_mut().map(|shard| shard.validate(&self.context.hasher)));
        self.context.budget.validate(used);
    }
}

/// An error of one of many keys or values, which says which one.
#[cold]
pub(super) fn numbered(what: &str, number: usize, error: &Error) -> Error {
    Error::new(error.status(), format!("{what} {number}: {}", error.message()))
}

#[cold]
fn too_large(what: &str, len: usize, limit: usize) -> Error {
    Error::new(
        Status::TooLarge,
        format!(
            "the {what} has {len} bytes and max_{what}_bytes is {limit}: shorten it or open the store with a higher limit"
        ),
    )
}

/// The number of shards: four for each core, and fewer where a limit would be spread too thin: a shard
/// keeps partly filled spans of each size of entry it has.
fn shard_count(options: &Options) -> usize {
    const MEMORY_PER_SHARD: u64 = 64 << 20;
    const ENTRIES_PER_SHARD: u64 = 1 << 14;
    if let Some(count) = options.shards() {
        return count;
    }
    let cores = std::thread::available_parallelism().map_or(4, usize::from);
    let by_cores = (cores * 4).next_power_of_two().min(256) as u64;
    let by_memory = limit(options.max_memory()) / MEMORY_PER_SHARD;
    let by_entries = limit(options.max_entries()) / ENTRIES_PER_SHARD;
    let count = by_cores.min(by_memory).min(by_entries).max(1) as usize;
    // Rounded down to a power of two.
    1 << count.ilog2()
}

impl Drop for Core {
    fn drop(&mut self) {
        self.context.pins.give_back();
    }
}

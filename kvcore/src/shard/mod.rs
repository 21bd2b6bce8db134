//! One shard: a share of the keys, behind one lock.
//!
//! Owns: the index, the entries, the wheel, the policy and the count of what they hold. This is the
//! only module that changes data. `space` is what readers reach without the lock, `read` answers those
//! that have it, `write` has the operations of callers, `put` what they are made of, `group` writes of
//! many keys at once, `ordered` keeps keys sorted, `remove` takes entries out, `journal` tells the log
//! and snapshots, `views` scans of one moment. Invariants, all checked by `validate`: every id in
//! the index names an entry and is found by its key; exactly the entries with a deadline have a valid
//! record on the wheel; the byte counts are the sums over the entries; room is reserved in the budget
//! before it is used. Nothing is dropped and nobody is called under the lock: what a change removes
//! goes to its [`Scrap`].

mod change;
mod entries;
mod group;
mod journal;
mod large;
mod load;
mod ordered;
mod put;
mod read;
mod remove;
mod residents;
mod scan;
mod scrap;
mod space;
mod validate;
mod views;
mod write;

use std::sync::Arc;

use crate::budget::Need;
use crate::clock::Now;
use crate::entry::NEVER;
use crate::expiry::Wheel;
use crate::hash::Key;
use crate::order::OrderIndex;
use crate::policy::Policy;
use crate::slab::Slab;
use crate::stats::{Counters, SOON_MS, Stats};
use crate::table::TableState;

pub(crate) use change::{Change, Refusal};
use entries::{Entries, Found};
pub(crate) use group::{GroupNeeds, Memory, Plan, Tally};
pub(crate) use journal::Viewer;
use large::{LargeEntries, LargeEntry};
pub(crate) use load::Loaded;
pub(crate) use read::{Reader, Seen, remaining};
pub(crate) use scan::Shown;
pub(crate) use scrap::Scrap;
pub(crate) use space::{Peek, Sight, Space};

/// One shard, for the holder of its lock.
pub(crate) struct Shard {
    space: Arc<Space>,
    table: TableState,
    slab: Slab,
    large: LargeEntries,
    wheel: Wheel,
    policy: Policy,
    /// The keys in order, if the store keeps them so.
    order: Option<Box<OrderIndex>>,
    keeps_access: bool,
    /// Whether the policy weighs entries by their bytes, or counts them.
    weighs_bytes: bool,
    key_bytes: u64,
    value_bytes: u64,
    counters: Counters,
    /// How far a snapshot under way has come, if it still needs this shard.
    picture: Option<journal::Picture>,
    /// Entries that are still to be moved together because others have expired.
    owed_moves: usize,
    /// The scans of one moment that still need this shard.
    views: Vec<views::Viewed>,
}

/// What the shards of one store are made for.
#[derive(Clone, Copy)]
pub(crate) struct ShardPlan {
    pub(crate) policy: &'static str,
    pub(crate) keeps_access: bool,
    pub(crate) weighs_bytes: bool,
    pub(crate) keeps_order: bool,
    pub(crate) now_ms: i64,
}

impl Shard {
    /// An empty shard, which holds no memory, and what its readers share.
    pub(crate) fn new(plan: ShardPlan) -> (Arc<Space>, Shard) {
        let policy = Policy::named(plan.policy);
        let space = Arc::new(Space::new(policy.touch()));
        let shard = Shard {
            space: Arc::clone(&space),
            table: TableState::new(),
            slab: Slab::new(),
            large: LargeEntries::default(),
            wheel: Wheel::new(plan.now_ms),
            policy,
            order: plan.keeps_order.then(|| Box::new(OrderIndex::new())),
            keeps_access: plan.keeps_access,
            weighs_bytes: plan.weighs_bytes,
            key_bytes: 0,
            value_bytes: 0,
            counters: Counters::default(),
            picture: None,
            owed_moves: 0,
            views: Vec::new(),
        };
        (space, shard)
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Bytes charged for everything in this shard.
    pub(crate) fn bytes(&self) -> usize {
        self.structure_bytes() + self.slab.bytes() + self.large.bytes()
    }

    /// Bytes charged beside the entries themselves.
    pub(crate) fn structure_bytes(&self) -> usize {
        self.table.bytes() + self.wheel.bytes() + self.policy.bytes() + self.order_bytes()
    }

    /// What this shard takes of the limits.
    pub(crate) fn used(&self) -> Need {
        Need { entries: self.len() as u64, bytes: self.bytes() as u64 }
    }

    /// Keeps readers without the lock away until [`let_in`](Shard::let_in), so that what changes
    /// meanwhile, in this and other shards, is seen as a whole.
    pub(crate) fn hold_off(&mut self) {
        self.space.table.hold(&mut self.table);
    }

    /// Ends [`hold_off`](Shard::hold_off).
    pub(crate) fn let_in(&mut self) {
        self.space.table.release(&mut self.table);
    }

    /// No entry is due before this time.
    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        self.wheel.next_at_ms()
    }

    /// What this shard holds and did. Reads without its lock are counted elsewhere.
    pub(crate) fn stats(&self, now_ms: i64) -> Stats {
        let mut stats = Stats {
            entries: self.len() as u64,
            expiring_entries: self.wheel.len() as u64,
            expired_pending: self.wheel.count_due(now_ms, &self.entries()) as u64,
            key_bytes: self.key_bytes,
            value_bytes: self.value_bytes,
            memory_bytes: self.bytes() as u64,
            resident_bytes: self.resident_bytes() as u64,
            index_bytes: self.table.bytes() as u64,
            entry_bytes: self.slab.bytes() as u64,
            large_bytes: self.large.bytes() as u64,
            expiry_bytes: self.wheel.bytes() as u64,
            policy_bytes: self.policy.bytes() as u64,
            order_bytes: self.order_bytes() as u64,
            ..Stats::default()
        };
        stats.set_soon(self.wheel.count_soon(now_ms, SOON_MS, &self.entries()));
        self.counters.add_to(&mut stats);
        stats
    }

    /// Bytes held from the system.
    fn resident_bytes(&self) -> usize {
        let structure = self.table.resident_bytes() + self.wheel.bytes() + self.policy.bytes();
        structure
            + self.order_bytes()
            + self.slab.resident_bytes(&self.space.words)
            + self.large.bytes()
            + size_of::<Shard>()
    }

    /// The entries, for as long as nothing changes.
    #[inline]
    fn entries(&self) -> Entries<'_> {
        Entries { space: &self.space, slab: &self.slab, large: &self.large }
    }

    #[inline]
    fn find(&self, key: Key<'_>) -> Option<Found> {
        let entries = self.entries();
        let mut found = None;
        self.space.table.find(key.index_hash(), |id| {
            found = entries.with_key(id, key.bytes);
            found.is_some()
        })?;
        found
    }

    /// The entry of a key, if it has not expired.
    #[inline]
    fn find_live(&self, key: Key<'_>, now: &Now<'_>) -> Option<Found> {
        self.find(key).filter(|found| is_live(found, now))
    }

    /// What the policy makes of an entry that is charged so much.
    fn weight(&self, charge: usize) -> usize {
        if self.weighs_bytes { charge } else { 1 }
    }
}

#[inline]
fn is_live(found: &Found, now: &Now<'_>) -> bool {
    found.head.deadline == NEVER || found.head.deadline > now.ms()
}

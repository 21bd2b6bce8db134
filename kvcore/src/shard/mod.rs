//! One shard: a share of the keys, behind one lock.
//!
//! Owns: the index, the entries, the wheel and the count of what they hold. This is the only module
//! that changes data. `read` answers reads, `write` has the operations of callers, `remove` takes
//! entries out, and this file has what they are made of. Invariants, all checked by `validate`:
//! every id in the index is in use in the slab and found by its key; exactly the entries with a
//! deadline are on the wheel; the byte counts are the sums over the entries; room is reserved in the
//! budget before it is used. Nothing is dropped and nobody is called under the lock: what a change
//! removes goes to its [`Scrap`].

mod read;
mod remove;
mod scrap;
mod validate;
mod write;

use std::sync::Arc;

use crate::budget::Need;
use crate::clock::Now;
use crate::context::Context;
use crate::entry::{Content, Entry, NEVER};
use crate::error::{Error, Status};
use crate::expiry::Wheel;
use crate::hash::Key;
use crate::policy::Policy;
use crate::slab::{EntryId, Slab};
use crate::stats::{Counters, Stats};
use crate::table::Table;
use crate::value::PinMeter;

pub(crate) use scrap::Scrap;
pub(crate) use write::PutNeeds;

/// One shard.
pub(crate) struct Shard {
    table: Table,
    slab: Slab,
    wheel: Wheel,
    policy: Policy,
    keeps_access: bool,
    /// What the entries themselves hold.
    entry_bytes: usize,
    key_bytes: u64,
    value_bytes: u64,
    counters: Counters,
    pins: Arc<PinMeter>,
}

/// Why a change was not made.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It needs this much room. Nothing has changed; make room without the lock and try again.
    Room(Need),
    /// It cannot be made.
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Error(error)
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Refusal::Error(status.into())
    }
}

/// One change under way: its time, and what it leaves behind.
pub(crate) struct Change<'a> {
    pub(crate) context: &'a Context,
    pub(crate) now: Now<'a>,
    pub(crate) scrap: Scrap,
    /// The earliest deadline that was put on the wheel.
    earliest: i64,
    /// Whether the caller settles with the budget for all parts of the change at once.
    settles_whole: bool,
}

impl<'a> Change<'a> {
    #[inline]
    pub(crate) fn new(context: &'a Context) -> Self {
        Change {
            context,
            now: Now::new(&context.clock),
            scrap: Scrap::default(),
            earliest: NEVER,
            settles_whole: false,
        }
    }

    /// Says that the caller has reserved the room for what follows, and will give back the rest.
    pub(crate) fn settles_whole(&mut self) {
        self.settles_whole = true;
    }

    /// Whether each part of the change settles with the budget. Without a limit there is nothing to
    /// settle, but debug builds check the sums all the same.
    #[inline]
    fn settles(&self) -> bool {
        !self.settles_whole && (cfg!(debug_assertions) || self.context.budget.is_counting())
    }

    /// Ends the change, once no lock is held: tells the cleaner of new deadlines and drops what was
    /// removed.
    #[inline]
    pub(crate) fn finish(self) {
        if self.earliest != NEVER {
            self.context.alarm.note(self.earliest);
        }
    }
}

impl Shard {
    pub(crate) fn new(policy: Policy, keeps_access: bool, now_ms: i64) -> Self {
        Shard {
            table: Table::new(),
            slab: Slab::new(keeps_access),
            wheel: Wheel::new(now_ms),
            policy,
            keeps_access,
            entry_bytes: 0,
            key_bytes: 0,
            value_bytes: 0,
            counters: Counters::default(),
            pins: Arc::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Bytes charged for everything in this shard.
    fn bytes(&self) -> usize {
        self.structure_bytes() + self.entry_bytes
    }

    /// What this shard takes of the limits.
    pub(crate) fn used(&self) -> Need {
        Need { entries: self.len() as u64, bytes: self.bytes() as u64 }
    }

    /// No entry is due before this time.
    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        self.wheel.next_at_ms()
    }

    pub(crate) fn add_to(&self, stats: &mut Stats, now_ms: i64) {
        let bytes = self.bytes() as u64;
        stats.entries += self.len() as u64;
        stats.expiring_entries += self.wheel.len() as u64;
        stats.expired_pending += self.wheel.count_due(now_ms, &self.slab) as u64;
        stats.key_bytes += self.key_bytes;
        stats.value_bytes += self.value_bytes;
        stats.memory_bytes += bytes;
        stats.resident_bytes += bytes + size_of::<Shard>() as u64;
        stats.pinned_bytes += self.pins.bytes();
        self.counters.add_to(stats);
    }

    #[inline]
    fn find(&self, key: Key<'_>) -> Option<EntryId> {
        self.table.find(key.index_hash(), |id| self.slab.get(id).key() == key.bytes)
    }

    /// The entry of a key, if it has not expired.
    #[inline]
    fn find_live(&self, key: Key<'_>, now: &Now<'_>) -> Option<EntryId> {
        self.find(key).filter(|id| is_live(self.slab.get(*id), now))
    }

    /// Room that an insert needs.
    fn insert_need(&mut self, content: &Content<'_>) -> Need {
        let timed = content.deadline.is_some();
        let wheel = content.deadline.map_or(0, |deadline| self.wheel.growth(deadline));
        let index = self.table.growth() + self.slab.growth(timed);
        Need { entries: 1, bytes: (content.bytes() + index + wheel) as u64 }
    }

    /// Bytes held beside the entries.
    fn structure_bytes(&self) -> usize {
        self.table.bytes() + self.slab.bytes() + self.wheel.bytes()
    }

    /// Refuses an entry for which there would be no room even if everything else went, so that
    /// nothing goes in vain. `structure` is what this shard then holds beside the entry.
    fn check_ever_fits(
        &self,
        entry: usize,
        deadline: Option<i64>,
        structure: usize,
        context: &Context,
    ) -> Result<(), Refusal> {
        let wheel = Wheel::new(context.clock.now_ms());
        let wheel = deadline.map_or(0, |deadline| wheel.growth(deadline));
        let slab = Slab::new(self.keeps_access).growth(deadline.is_some());
        let smallest = Table::new().growth() + slab + wheel;
        if !context.budget.could_ever_fit(Need::bytes(entry + smallest)) {
            let message = format!(
                "the entry would take {} bytes with its index, which is more than max_memory: \
                 shorten it or raise the limit",
                entry + smallest
            );
            return Err(Error::new(Status::TooLarge, message).into());
        }
        if !context.budget.could_ever_fit(Need::bytes(entry + structure)) {
            return Err(Status::Full.into());
        }
        Ok(())
    }

    /// Reserves room to change an entry that stays in its place, so that it takes `bytes` with this
    /// deadline.
    #[inline]
    fn reserve_change(
        &self,
        id: EntryId,
        bytes: usize,
        deadline: Option<i64>,
        context: &Context,
    ) -> Result<Need, Refusal> {
        let more = bytes.saturating_sub(self.slab.get(id).bytes());
        let timer = self.timer_growth(id, deadline.unwrap_or(NEVER));
        let need = Need::bytes(more + timer);
        if context.budget.reserve(need) {
            return Ok(need);
        }
        // What goes may leave more structure behind than one entry alone would need.
        self.check_ever_fits(bytes, deadline, self.structure_bytes() + timer, context)?;
        Err(Refusal::Room(need))
    }

    /// Adds an entry for a key that is not there.
    fn insert(
        &mut self,
        key: Key<'_>,
        content: Content<'_>,
        change: &mut Change<'_>,
    ) -> Result<u64, Refusal> {
        let need = self.insert_need(&content);
        if !self.slab.has_ids() {
            return Err(Status::NoMemory.into());
        }
        if !change.context.budget.reserve(need) {
            self.check_ever_fits(content.bytes(), content.deadline, 0, change.context)?;
            return Err(Refusal::Room(need));
        }
        let before = self.bytes_before(change);
        let built = self.table.reserve(1).and_then(|()| Entry::new(&content));
        let version = match built {
            Ok(entry) => Ok(self.insert_entry(key, entry, change)),
            Err(error) => {
                change.context.budget.release(Need { entries: 1, bytes: 0 });
                Err(error.into())
            }
        };
        self.settle(before, need, change);
        version
    }

    /// As [`insert`](Shard::insert), when the entry is built, the index has room and the caller
    /// settles.
    fn insert_entry(&mut self, key: Key<'_>, mut entry: Entry, change: &mut Change<'_>) -> u64 {
        let version = change.context.next_revision();
        entry.set_version(version);
        self.key_bytes += entry.key().len() as u64;
        self.value_bytes += entry.value().len() as u64;
        self.entry_bytes += entry.bytes();
        let id = self.slab.insert(entry, || change.now.ms());
        self.table.insert(key.index_hash(), id);
        self.schedule(id, change);
        version
    }

    /// Bytes that giving an entry this deadline adds beside the entry.
    #[inline]
    fn timer_growth(&self, id: EntryId, deadline: i64) -> usize {
        if deadline == NEVER {
            return 0;
        }
        self.wheel.growth(deadline) + self.slab.link_growth(id)
    }

    /// Gives an entry new content and the next version.
    #[inline]
    fn replace(
        &mut self,
        id: EntryId,
        content: Content<'_>,
        change: &mut Change<'_>,
    ) -> Result<u64, Refusal> {
        let need = self.reserve_change(id, content.bytes(), content.deadline, change.context)?;
        self.edit(id, need, change, |entry| {
            if entry.overwrite(&content) {
                return Ok(None);
            }
            Ok(Some(std::mem::replace(entry, Entry::new(&content)?)))
        })
    }

    /// Changes an entry in its place, gives it the next version, and keeps everything that is
    /// counted in step. What `edit` hands back is dropped once the lock is gone.
    #[inline]
    fn edit(
        &mut self,
        id: EntryId,
        reserved: Need,
        change: &mut Change<'_>,
        edit: impl FnOnce(&mut Entry) -> Result<Option<Entry>, Error>,
    ) -> Result<u64, Refusal> {
        let before = self.bytes_before(change);
        self.unschedule(id);
        let entry = self.slab.get_mut(id);
        self.value_bytes -= entry.value().len() as u64;
        self.entry_bytes -= entry.bytes();
        let version = edit(entry).map(|old| {
            let version = change.context.next_revision();
            entry.set_version(version);
            if let Some(old) = old {
                change.scrap.entry(old, &self.pins);
            }
            version
        });
        self.value_bytes += entry.value().len() as u64;
        self.entry_bytes += entry.bytes();
        self.schedule(id, change);
        self.settle(before, reserved, change);
        version.map_err(Refusal::from)
    }

    /// Puts an entry on the wheel if it has a deadline.
    #[inline]
    fn schedule(&mut self, id: EntryId, change: &mut Change<'_>) {
        let deadline = self.slab.get(id).deadline();
        if deadline != NEVER {
            self.slab.ensure_link(id);
            self.wheel.schedule(id, &mut self.slab);
            change.earliest = change.earliest.min(deadline);
        }
    }

    /// Takes an entry off the wheel if it has a deadline. Its deadline may be changed then.
    #[inline]
    fn unschedule(&mut self, id: EntryId) {
        if self.slab.get(id).deadline() != NEVER {
            self.wheel.cancel(id, &mut self.slab);
        }
    }

    /// What this shard is charged before a change, for [`settle`](Shard::settle).
    #[inline]
    fn bytes_before(&self, change: &Change<'_>) -> usize {
        if change.settles() { self.bytes() } else { 0 }
    }

    /// Gives back what was reserved and not used, and what has become free.
    #[inline]
    fn settle(&self, before: usize, reserved: Need, change: &Change<'_>) {
        if !change.settles() {
            return;
        }
        let (held, after) = (before + reserved.bytes as usize, self.bytes());
        debug_assert!(after <= held, "used {after}, reserved {held}");
        change.context.budget.release(Need::bytes(held.saturating_sub(after)));
    }
}

#[inline]
fn is_live(entry: &Entry, now: &Now<'_>) -> bool {
    let deadline = entry.deadline();
    deadline == NEVER || deadline > now.ms()
}

//! What the handles of a store and its thread share: the shards, and how a change reaches them.
//!
//! Owns: the shards and their locks. Invariants: no lock of a shard is held while room is made, while
//! entries are dropped or while the cleaner is told something; several locks are only ever taken in
//! the order of the shards.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crossbeam_utils::CachePadded;

use crate::budget::Need;
use crate::clock::{Clock, Now};
use crate::context::{Context, limit};
use crate::durable::Durable;
use crate::entry::NEVER;
use crate::error::{Error, Result, Status};
use crate::hash::Key;
use crate::io::Disk;
use crate::journal::Lack;
use crate::options::Options;
use crate::poison::State;
use crate::policy::Policy;
use crate::random;
use crate::shard::{Change, Peek, Reader, Refusal, Shard, ShardPlan, Space};
use crate::snapshot::Compression;
use crate::sync::atomic::Ordering;
use crate::sync::{Mutex, ReadGuard, RwLock, WriteGuard};
use crate::table::Probe;

/// Entries that are looked at under one hold of a shard's lock.
const CLEANING_STEPS: usize = 128;

/// Shards whose fill is compared with that of the shard to be written, before one evicts.
const SHARDS_COMPARED: usize = 2;

/// Keys whose buckets and entries are brought into the cache together.
pub(crate) const WAVE: usize = 32;

/// A store without its handles.
pub(crate) struct Core {
    pub(crate) state: State,
    pub(crate) context: Context,
    shards: Box<[CachePadded<Cell>]>,
    may_evict: bool,
    keeps_access: bool,
    max_key_bytes: usize,
    max_value_bytes: usize,
    options: Mutex<Options>,
    /// Set once the store has been filled from its directory.
    durable: OnceLock<Durable>,
}

/// One shard: what its readers share, and the rest behind its lock.
struct Cell {
    space: Arc<Space>,
    shard: RwLock<Shard>,
}

impl Core {
    pub(crate) fn new(options: Options, clock: Clock) -> Self {
        let policy = Policy::named(options.eviction());
        let plan = ShardPlan {
            policy: options.eviction(),
            keeps_access: options.entry_stats(),
            weighs_bytes: options.max_memory() != 0,
            now_ms: clock.now_ms(),
        };
        let count = shard_count(&options);
        let cell = |_| {
            let (space, shard) = Shard::new(plan);
            CachePadded::new(Cell { space, shard: RwLock::new(shard) })
        };
        Core {
            state: State::new(),
            context: Context::new(&options, clock, count * policy.growth()),
            shards: (0..count).map(cell).collect(),
            may_evict: policy.may_evict(),
            keeps_access: options.entry_stats(),
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

    /// Opens the directory of a store that nobody else uses yet, and fills it from there.
    ///
    /// # Errors
    /// As [`Durable::open`]; `Full` if the store would hold more than it may.
    pub(crate) fn open_directory(&self, disk: Arc<dyn Disk>, path: &Path) -> Result<()> {
        let options = self.options.lock().clone();
        let durable = Durable::open(self, &options, disk, path)?;
        let (max_entries, max_bytes) = (limit(options.max_entries()), limit(options.max_memory()));
        while let Err(excess) = self.set_limits(max_entries, max_bytes) {
            self.shed(excess, max_entries, max_bytes)?;
        }
        let second = self.durable.set(durable).is_err();
        debug_assert!(!second, "a store has one directory");
        Ok(())
    }

    /// The eviction policy.
    pub(crate) fn eviction(&self) -> &'static str {
        self.options.lock().eviction()
    }

    /// How snapshots are compressed.
    pub(crate) fn compression(&self) -> Compression {
        self.options.lock().compression()
    }

    /// Takes note of a fault of the disk: writes stop for good, unless it was only full.
    pub(crate) fn fault(&self, fault: Error) {
        match fault.status() {
            Status::NoSpace => self.state.note_fault(fault),
            _ => self.state.poison(Some(fault)),
        }
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    pub(crate) fn shard_of(&self, key: Key<'_>) -> usize {
        key.shard(self.shards.len() - 1)
    }

    /// Hashes a key whose length is within the limit.
    #[inline]
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

    #[inline]
    pub(crate) fn check_value(&self, value: &[u8]) -> Result<()> {
        if value.len() > self.max_value_bytes {
            return Err(too_large("value", value.len(), self.max_value_bytes));
        }
        Ok(())
    }

    pub(crate) fn max_value_bytes(&self) -> usize {
        self.max_value_bytes
    }

    /// Reads the entry of a key: without the lock if it can, by `peek`, which is called once at most
    /// with bytes of one moment; with the lock otherwise, by `locked`. `hit` is whether this counts as
    /// a use of the entry.
    #[inline]
    pub(crate) fn read<R>(
        &self,
        key: &[u8],
        hit: bool,
        reader: &mut impl Reader<R>,
    ) -> Result<Option<R>> {
        self.state.check_read()?;
        let key = self.key(key)?;
        let cell = &self.shards[self.shard_of(key)];
        self.read_probed(cell, key, None, hit, reader)
    }

    /// As [`read`](Core::read), when the state was checked, the key is hashed and perhaps a probe was
    /// begun.
    #[inline(always)]
    fn read_probed<R>(
        &self,
        cell: &Cell,
        key: Key<'_>,
        begun: Option<Probe<'_>>,
        hit: bool,
        reader: &mut impl Reader<R>,
    ) -> Result<Option<R>> {
        let now = Now::new(&self.context.clock);
        let peeked =
            cell.space.peek(key, begun, &now, hit, |head, value| reader.peeked(head, value, &now));
        let read = match peeked {
            Peek::Found(read) => Some(read),
            Peek::Absent => None,
            Peek::Unknown => self.read_locked(cell, key, hit, false, reader),
            Peek::Counts => self.read_locked(cell, key, hit, true, reader),
        };
        // A store that was closed meanwhile may be empty, and that is no answer.
        self.state.check_open()?;
        Ok(read)
    }

    /// Reads a wave of keys: finds their buckets and brings them into the cache, then their entries,
    /// and only then reads one after the other. Each step waits for all keys at once. There is an
    /// answer for each key, in their order.
    pub(crate) fn read_wave<'k, R>(
        &self,
        keys: impl Iterator<Item = &'k [u8]>,
        reader: &mut impl Reader<R>,
        mut answer: impl FnMut(Option<R>),
    ) -> Result<()> {
        let mut places = [const { None }; WAVE];
        for (place, key) in places.iter_mut().zip(keys) {
            let key = self.context.hasher.key(key);
            let cell = &self.shards[self.shard_of(key)];
            let aim = cell.space.table.aim(key.index_hash());
            aim.prefetch();
            *place = Some((key, cell, aim));
        }
        let mut probes = [None; WAVE];
        for (probe, (_, cell, aim)) in probes.iter_mut().zip(places.iter().flatten()) {
            *probe = aim.probe().inspect(|probe| cell.space.prefetch(probe));
        }
        let (mut hits, mut misses) = (0, 0);
        for (probe, (key, cell, _)) in probes.into_iter().zip(places.into_iter().flatten()) {
            let read = self.read_probed(cell, key, probe, true, reader)?;
            if read.is_some() {
                hits += 1;
            } else {
                misses += 1;
                reader.absent();
            }
            answer(read);
        }
        self.context.count_reads(hits, misses);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn read_locked<R>(
        &self,
        cell: &Cell,
        key: Key<'_>,
        hit: bool,
        counts: bool,
        reader: &mut impl Reader<R>,
    ) -> Option<R> {
        let now = Now::new(&self.context.clock);
        if hit && (counts || self.keeps_access) {
            cell.shard.write().count_hit(key, &now, counts);
        }
        if hit && cell.space.is_stuck() {
            let ((), _) = self.change_cell(cell, |shard, change| shard.sort_policy(change));
        }
        let shard = cell.shard.read();
        shard.read(key, &now, hit, |shard, seen| reader.locked(shard, seen, &now))
    }

    /// Locks a shard for reading.
    pub(crate) fn read_shard(&self, shard: usize) -> ReadGuard<'_, Shard> {
        self.shards[shard].shard.read()
    }

    /// Locks a shard for a change.
    pub(crate) fn write_shard(&self, shard: usize) -> WriteGuard<'_, Shard> {
        self.shards[shard].shard.write()
    }

    /// Brings the buckets of a wave of keys into the cache, and then their entries.
    pub(crate) fn prefetch<'k>(&self, keys: impl Iterator<Item = Key<'k>>) {
        let mut aims = [const { None }; WAVE];
        for (to, key) in aims.iter_mut().zip(keys) {
            let space = &*self.shards[self.shard_of(key)].space;
            let aim = space.table.aim(key.index_hash());
            aim.prefetch();
            *to = Some((space, aim));
        }
        for (space, aim) in aims.into_iter().flatten() {
            if let Some(probe) = aim.probe() {
                space.prefetch(&probe);
            }
        }
    }

    /// Changes the shard of a key, making room as often as it takes.
    #[inline]
    pub(crate) fn write<R>(
        &self,
        key: &[u8],
        write: impl FnMut(&mut Shard, Key<'_>, &mut Change<'_>) -> Result<R, Refusal>,
    ) -> Result<R> {
        self.state.check_write()?;
        let key = self.key(key)?;
        self.write_hashed(key, write)
    }

    /// As [`write`](Core::write), when the state was checked and the key is hashed.
    #[inline]
    pub(crate) fn write_hashed<R>(
        &self,
        key: Key<'_>,
        mut write: impl FnMut(&mut Shard, Key<'_>, &mut Change<'_>) -> Result<R, Refusal>,
    ) -> Result<R> {
        let shard = self.shard_of(key);
        loop {
            let (changed, waited) = self.change(shard, |shard, change| {
                self.state.check_open().map_err(Refusal::Error)?;
                write(shard, key, change)
            });
            match changed {
                Ok(done) => return waited.map(|()| done),
                Err(Refusal::Lacks(lack)) => self.supply(lack)?,
                Err(Refusal::Room(need)) => {
                    self.make_room(need, shard, |other| other == key.bytes)?;
                }
                Err(Refusal::Error(error)) => return Err(error),
            }
        }
    }

    /// Changes one shard under its lock, and ends the change without it. Also says whether what was
    /// changed is as safe as `sync` promises; the next wait of anybody covers it too.
    #[inline]
    fn change<R>(
        &self,
        shard: usize,
        change: impl FnOnce(&mut Shard, &mut Change<'_>) -> R,
    ) -> (R, Result<()>) {
        self.change_cell(&self.shards[shard], change)
    }

    #[inline]
    fn change_cell<R>(
        &self,
        cell: &Cell,
        change: impl FnOnce(&mut Shard, &mut Change<'_>) -> R,
    ) -> (R, Result<()>) {
        let mut under_way = Change::new(&self.context);
        let guard = self.state.guard();
        let result = {
            let mut shard = cell.shard.write();
            let result = change(&mut shard, &mut under_way);
            under_way.commit();
            result
        };
        guard.done();
        let waited = self.settle_log(&under_way);
        under_way.finish();
        (result, waited)
    }

    /// Waits for the records of a change, with no lock held. A log that fails poisons the store.
    ///
    /// # Errors
    /// `Io`: the outcome is unknown. `Poisoned`.
    #[inline]
    pub(crate) fn settle_log(&self, change: &Change<'_>) -> Result<()> {
        change.wait().inspect_err(|fault| self.state.poison(Some(fault.clone())))
    }

    /// Sees to what a change lacked to be recorded, with no lock held.
    ///
    /// # Errors
    /// `NoSpace` if the disk is full: nothing has changed. `Io`, `Poisoned`.
    #[cold]
    pub(crate) fn supply(&self, lack: Lack) -> Result<()> {
        self.context.journal.supply(lack).inspect_err(|fault| self.fault(fault.clone()))
    }

    /// Makes room: frees what has expired, then evicts, but no key that is spared. `home` is a shard
    /// that is to be written.
    ///
    /// # Errors
    /// `Full` if there is nothing left that may go.
    #[cold]
    #[inline(never)]
    pub(crate) fn make_room(
        &self,
        need: Need,
        home: usize,
        spares: impl Fn(&[u8]) -> bool,
    ) -> Result<()> {
        let has_room = || self.context.budget.has_room(need);
        while !has_room() {
            // Others may take what is freed here, so every round begins with what has expired.
            if self.free_expired(has_room) == 0 && !has_room() && !self.evict_one(home, &spares)? {
                return self.find_room(need, spares);
            }
        }
        Ok(())
    }

    /// As [`make_room`](Core::make_room), once nothing was found in any shard: entries come and go
    /// meanwhile, so only a look at all shards at one moment can tell that nothing may go.
    fn find_room(&self, need: Need, spares: impl Fn(&[u8]) -> bool) -> Result<()> {
        let mut change = Change::new(&self.context);
        let guard = self.state.guard();
        let mut shards = self.lock_all();
        let mut found = self.context.budget.has_room(need);
        for shard in &mut shards {
            let cleaned = shard.free_expired(CLEANING_STEPS, &mut change);
            found |= cleaned.more || cleaned.freed > 0;
        }
        let mut evicted = Ok(false);
        for shard in shards.iter_mut().take_while(|_| !found && self.may_evict) {
            if matches!(evicted, Ok(false)) {
                evicted = shard.evict(&spares, &mut change);
            }
            if matches!(evicted, Ok(false)) {
                evicted = shard.evict_any(&spares, &mut change);
            }
        }
        change.commit();
        drop(shards);
        guard.done();
        let waited = self.settle_log(&change);
        change.finish();
        waited?;
        match evicted {
            _ if found => Ok(()),
            Ok(true) => Ok(()),
            Ok(false) => Err(Status::Full.into()),
            Err(Refusal::Lacks(lack)) => self.supply(lack),
            Err(Refusal::Error(error)) => Err(error),
            Err(Refusal::Room(_)) => unreachable!("an eviction needs no room"),
        }
    }

    /// Evicts one entry: of the shard that is to be written, unless others are fuller. So every shard
    /// keeps about its share of the limit.
    fn evict_one(&self, home: usize, spares: impl Fn(&[u8]) -> bool) -> Result<bool> {
        if !self.may_evict {
            return Ok(false);
        }
        let count = self.shards.len();
        let fill = |shard: usize| self.shards[shard].space.fill.load(Ordering::Relaxed);
        let start = (0..SHARDS_COMPARED.min(count))
            .map(|_| random::below(count))
            .fold(home, |fullest, other| if fill(other) > fill(fullest) { other } else { fullest });
        for shard in start..start + count {
            let (evicted, waited) =
                self.change(shard % count, |shard, change| shard.evict(&spares, change));
            waited?;
            match evicted {
                Ok(false) => {}
                Ok(true) => return Ok(true),
                // Once that is there, the caller comes again.
                Err(Refusal::Lacks(lack)) => return self.supply(lack).map(|()| true),
                Err(Refusal::Error(error)) => return Err(error),
                Err(Refusal::Room(_)) => unreachable!("an eviction needs no room"),
            }
        }
        Ok(false)
    }

    /// Frees what has expired, in short holds of one lock at a time, until nothing is left to free
    /// or `enough` says so. Returns how many entries it freed.
    pub(crate) fn free_expired(&self, enough: impl Fn() -> bool) -> u64 {
        let mut freed = 0;
        let now_ms = self.context.clock.now_ms();
        if now_ms < self.context.alarm.quiet_until() {
            return freed;
        }
        for shard in 0..self.shards.len() {
            loop {
                if enough() {
                    return freed;
                }
                let due = self.shards[shard].shard.read().next_due_ms();
                if due.is_none_or(|due| due > now_ms) {
                    break;
                }
                // What expired is not recorded, so there is nothing to wait for.
                let (cleaned, _) =
                    self.change(shard, |shard, change| shard.free_expired(CLEANING_STEPS, change));
                self.context.journal.count_expired(cleaned.freed);
                freed += cleaned.freed;
                if !cleaned.more {
                    break;
                }
            }
        }
        freed
    }

    /// No entry of the store is due before this time.
    pub(crate) fn next_due_ms(&self) -> i64 {
        let due = self.shards.iter().filter_map(|cell| cell.shard.read().next_due_ms());
        due.min().unwrap_or(NEVER)
    }

    /// Takes everything out, at one moment for the whole store, and tells callbacks and the log.
    ///
    /// # Errors
    /// As of every change. Nothing was taken out then, unless it is `Io`.
    pub(crate) fn clear(&self) -> Result<()> {
        loop {
            let mut change = Change::new(&self.context);
            match change.reserve_records(1, 0) {
                Ok(()) => return self.clear_recorded(change),
                Err(Refusal::Lacks(lack)) => self.supply(lack)?,
                Err(refusal) => unreachable!("room for a record was refused: {refusal:?}"),
            }
        }
    }

    fn clear_recorded(&self, mut change: Change<'_>) -> Result<()> {
        let guard = self.state.guard();
        let mut shards = self.lock_all();
        self.empty(&mut shards, true, &mut change);
        change.record_clear();
        change.commit();
        drop(shards);
        guard.done();
        let waited = self.settle_log(&change);
        change.finish();
        waited
    }

    /// Frees the contents of a store that was closed. Nobody is told, the log least of all.
    pub(crate) fn free_contents(&self) {
        let mut change = Change::new(&self.context);
        self.empty(&mut self.lock_all(), false, &mut change);
        change.finish();
    }

    pub(crate) fn empty(
        &self,
        shards: &mut [WriteGuard<'_, Shard>],
        tells: bool,
        change: &mut Change<'_>,
    ) {
        self.context.journal.images.spoil();
        shards.iter_mut().for_each(|shard| shard.hold_off());
        for shard in &mut *shards {
            shard.clear(tells, change);
        }
        shards.iter_mut().for_each(|shard| shard.let_in());
    }

    /// Locks all shards for a change.
    pub(crate) fn lock_all(&self) -> Vec<WriteGuard<'_, Shard>> {
        self.shards.iter().map(|cell| cell.shard.write()).collect()
    }

    /// Changes one option of the open store.
    ///
    /// # Errors
    /// As [`Options::set`]; `Full` if the store holds more than a new limit and may not evict.
    pub(crate) fn configure(&self, name: &str, value: &str) -> Result<()> {
        let mut current = self.options.lock();
        let mut options = current.clone();
        options.set_online(name, value)?;
        let (max_entries, max_bytes) = (limit(options.max_entries()), limit(options.max_memory()));
        while let Err(excess) = self.set_limits(max_entries, max_bytes) {
            self.shed(excess, max_entries, max_bytes)?;
        }
        self.context.apply(&options);
        self.context.alarm.ring();
        if let Some(durable) = self.durable() {
            durable.options_changed();
        }
        *current = options;
        Ok(())
    }

    /// The limits on entries and bytes, zero for none.
    pub(crate) fn limits(&self) -> (u64, u64) {
        let options = self.options.lock();
        (options.max_entries(), options.max_memory())
    }

    /// Counts anew what the shards hold, which were filled without asking for room.
    ///
    /// # Errors
    /// `Full` if that is more than the limits allow.
    pub(crate) fn recount(&self, shards: &mut [WriteGuard<'_, Shard>]) -> Result<()> {
        let (max_entries, max_bytes) = self.limits();
        let used = Need::sum(shards.iter().map(|shard| shard.used()));
        if used.entries > limit(max_entries) || used.bytes > limit(max_bytes) {
            return Err(Status::Full.into());
        }
        self.context.budget.set_limits(limit(max_entries), limit(max_bytes), used);
        Ok(())
    }

    /// Puts new limits in force, or says what the store holds if that is more than they allow.
    fn set_limits(&self, max_entries: u64, max_bytes: u64) -> Result<(), Need> {
        let shards = self.lock_all();
        let used = Need::sum(shards.iter().map(|shard| shard.used()));
        if used.entries > max_entries || used.bytes > max_bytes {
            return Err(used);
        }
        self.context.budget.set_limits(max_entries, max_bytes, used);
        Ok(())
    }

    /// Lets entries go until the store is within limits that are not in force yet.
    fn shed(&self, used: Need, max_entries: u64, max_bytes: u64) -> Result<()> {
        if self.free_expired(|| false) > 0 {
            return Ok(());
        }
        if !self.may_evict {
            return Err(Error::new(
                Status::Full,
                format!(
                    "the store holds {} entries in {} bytes and may not evict: delete something first, \
                     or open it with an eviction policy; the limit is unchanged",
                    used.entries, used.bytes
                ),
            ));
        }
        // What an entry gives back is only known once it has gone, so the bytes are a guess.
        let too_many = used.entries.saturating_sub(max_entries);
        let bytes_each = (used.bytes / used.entries.max(1)).max(1);
        let too_much = used.bytes.saturating_sub(max_bytes) / bytes_each;
        let group = too_many.max(too_much).max(1);
        for _ in 0..group {
            if !self.evict_one(random::below(self.shards.len()), |_| false)? {
                break;
            }
        }
        Ok(())
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

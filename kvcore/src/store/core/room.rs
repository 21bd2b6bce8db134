//! Room for what is to come: freeing what has expired, evicting, and the limits themselves.
//!
//! Owns: which shard gives something up, and the limits that are in force. Invariants: no lock of a shard
//! is held when this is called; "full" is said only after a look at all shards at one moment, because
//! entries come and go; a lower limit is in force only once the store is within it.

use super::Core;
use crate::budget::Need;
use crate::entry::NEVER;
use crate::error::{Error, Result, Status};
use crate::random;
use crate::shard::{Change, Refusal, Shard};
use crate::sync::WriteGuard;
use crate::sync::atomic::Ordering;

/// Entries that are looked at under one hold of a shard's lock.
const CLEANING_STEPS: usize = 128;

/// Shards whose fill is compared with that of the shard to be written, before one evicts.
const SHARDS_COMPARED: usize = 2;

impl Core {
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
        for shard in shards.iter_mut().take_while(|_| !found && self.may_evict()) {
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
        if !self.may_evict() {
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
                if self.shards[shard].shard.read().is_clean(now_ms) {
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

    /// The limits in force on entries and bytes. Who holds shards asks here and not the options: a thread
    /// that changes an option has those locked while it waits for the shards.
    pub(crate) fn limits(&self) -> Need {
        let budget = &self.context.budget;
        Need { entries: budget.max_entries(), bytes: budget.max_bytes() }
    }

    /// Counts anew what the shards hold, which were filled without asking for room. Where that is over the
    /// limits and the store may evict, the fullest shards let entries go until it is not; nobody is told.
    ///
    /// # Errors
    /// `Full` if it is over the limits and nothing may go.
    pub(crate) fn recount(&self, shards: &mut [WriteGuard<'_, Shard>]) -> Result<()> {
        let limits = self.limits();
        let mut used = Need::sum(shards.iter().map(|shard| shard.used()));
        while used.entries > limits.entries || used.bytes > limits.bytes {
            let fullest = shards.iter_mut().max_by_key(|shard| shard.fill_now());
            let Some(shard) = fullest.filter(|_| self.may_evict()) else {
                return Err(Status::Full.into());
            };
            let before = shard.used();
            let mut change = Change::new(&self.context);
            let sheds = shard.shed(&mut change);
            change.finish();
            if !sheds {
                return Err(Status::Full.into());
            }
            let after = shard.used();
            used.entries = used.entries - before.entries + after.entries;
            used.bytes = used.bytes - before.bytes + after.bytes;
        }
        self.context.budget.set_limits(limits.entries, limits.bytes, used);
        Ok(())
    }

    /// Puts new limits in force, or says what the store holds if that is more than they allow.
    pub(super) fn set_limits(&self, max_entries: u64, max_bytes: u64) -> Result<(), Need> {
        let shards = self.lock_all();
        let used = Need::sum(shards.iter().map(|shard| shard.used()));
        if used.entries > max_entries || used.bytes > max_bytes {
            return Err(used);
        }
        self.context.budget.set_limits(max_entries, max_bytes, used);
        Ok(())
    }

    /// Lets entries go until the store is within limits that are not in force yet.
    pub(super) fn shed(&self, used: Need, max_entries: u64, max_bytes: u64) -> Result<()> {
        if self.free_expired(|| false) > 0 {
            return Ok(());
        }
        if !self.may_evict() {
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
}

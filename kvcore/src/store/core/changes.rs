//! How a change reaches a shard: under its lock, recorded, and waited for without the lock.
//!
//! Owns: the order of a change's steps. Invariants: memory and log change under one hold of a shard's
//! lock, so both have the same order; waiting for the log, making room and dropping what was replaced
//! happen with no lock held; a panic under a lock poisons the store.

use super::{Cell, Core};
use crate::error::Result;
use crate::hash::Key;
use crate::journal::Lack;
use crate::planted::{Planted, is_planted};
use crate::shard::{Change, Refusal, Shard};
use crate::sync::WriteGuard;

impl Core {
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
        // On its way while the lock is taken.
        self.shards[shard].space.table.aim(key.index_hash()).prefetch();
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
    pub(super) fn change<R>(
        &self,
        shard: usize,
        change: impl FnOnce(&mut Shard, &mut Change<'_>) -> R,
    ) -> (R, Result<()>) {
        self.change_cell(&self.shards[shard], change)
    }

    /// As [`change`](Core::change), of a cell that was found already.
    #[inline]
    pub(super) fn change_cell<R>(
        &self,
        cell: &Cell,
        change: impl FnOnce(&mut Shard, &mut Change<'_>) -> R,
    ) -> (R, Result<()>) {
        let mut under_way = Change::new(&self.context);
        let guard = self.state.guard();
        let result = {
            let mut shard = cell.shard.write();
            let result = change(&mut shard, &mut under_way);
            if is_planted(Planted::LateLog) {
                drop(shard);
                (0..50).for_each(|_| crate::sync::yield_now());
            }
            under_way.commit();
            if is_planted(Planted::LockedSync) {
                let _ = under_way.wait();
            }
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

    /// Waits for a record whose change ended before it was safe. With no lock held.
    ///
    /// # Errors
    /// As [`settle_log`](Core::settle_log).
    pub(crate) fn await_record(&self, lsn: u64) -> Result<()> {
        let waited = self.context.journal.wait(lsn);
        waited.inspect_err(|fault| self.state.poison(Some(fault.clone())))
    }

    /// Sees to what a change lacked to be recorded, with no lock held.
    ///
    /// # Errors
    /// `NoSpace` if the disk is full: nothing has changed. `Io`, `Poisoned`.
    #[cold]
    pub(crate) fn supply(&self, lack: Lack) -> Result<()> {
        self.context.journal.supply(lack).inspect_err(|fault| self.fault(fault.clone()))
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

    /// Clears the store with a change that has room for its record.
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
        self.context.feed.clear();
    }

    /// Takes everything out of shards that are held. `tells` is whether callbacks learn of it.
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
}

//! How a key is read: without the lock of its shard if it can be, with it otherwise.
//!
//! Owns: the two ways to an entry, and the waves that read many at once. Invariants: what was read
//! without the lock is of one moment, and reaches the caller once at most; no answer is given for a store
//! that was closed meanwhile. A wave waits for the memory of all its keys at once, which is why many keys
//! are read several times faster together than one by one.

use super::{Cell, Core, WAVE};
use crate::clock::Now;
use crate::error::Result;
use crate::hash::Key;
use crate::shard::{Peek, Reader};
use crate::table::Probe;

impl Core {
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
}

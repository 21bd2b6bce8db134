//! How a key is read: without the lock of its shard if it can be, with it otherwise.
//!
//! Owns: the two ways to an entry, and the waves that read many at once. Invariants: what was read
//! without the lock is of one moment, and reaches the caller once at most; no answer is given for a store
//! that was closed meanwhile. A wave waits for the memory of all its keys at once, which is why many keys
//! are read several times faster together than one by one.

use super::{Cell, Core, WAVE};
use crate::clock::{Now, Stopwatch};
use crate::error::Result;
use crate::hash::Key;
use crate::shard::{Peek, Reader};
use crate::stats::Timed;
use crate::striped::Stripe;

impl Core {
    /// Reads the entry of a key: without the lock if it can, by `peek`, which is called once at most
    /// with bytes of one moment; with the lock otherwise, by `locked`. `hit` is whether this is a use of
    /// the entry, which is counted and timed.
    #[inline]
    pub(crate) fn read<R>(
        &self,
        key: &[u8],
        hit: bool,
        reader: &mut impl Reader<R>,
    ) -> Result<Option<R>> {
        if self.state.is_plain() {
            return self.read_untimed(key, hit, reader);
        }
        self.read_measured(key, hit, reader)
    }

    /// As [`read`](Core::read), when it may be refused or is perhaps to be timed.
    #[cold]
    #[inline(never)]
    fn read_measured<R>(
        &self,
        key: &[u8],
        hit: bool,
        reader: &mut impl Reader<R>,
    ) -> Result<Option<R>> {
        self.state.check_read()?;
        let times = hit && self.state.times() && self.context.latency.is_due(Timed::Get);
        let watch = times.then(Stopwatch::start);
        let read = self.read_untimed(key, hit, reader)?;
        if let Some(watch) = watch {
            self.context.latency.record(Timed::Get, watch.elapsed());
        }
        Ok(read)
    }

    /// Counts a read of a value that was not made by a caller, by the number of the shard.
    pub(crate) fn count_read(&self, shard: usize, hit: bool) {
        if self.state.counts() {
            self.shards[shard].reads.count(hit);
        }
    }

    /// Reads, once the state of the store allows it.
    #[inline(always)]
    fn read_untimed<R>(
        &self,
        key: &[u8],
        hit: bool,
        reader: &mut impl Reader<R>,
    ) -> Result<Option<R>> {
        let key = self.key(key)?;
        let cell = &self.shards[self.shard_of(key)];
        let now = Now::new(&self.context.clock);
        let peeked = cell.space.peek(key, &now, hit, reader);
        let read = self.settle_read(peeked, cell, key, hit, reader);
        if !self.state.is_open_and_counts() {
            // A store that was closed meanwhile may be empty, and that is no answer.
            self.state.check_open()?;
            return Ok(read);
        }
        match &read {
            Some(read) if hit && reader.is_whole(read) => cell.reads.count(true),
            None if hit => cell.reads.count(false),
            _ => {}
        }
        Ok(read)
    }

    /// What a look without the lock has found, or else what one with it finds.
    #[inline(always)]
    fn settle_read<R>(
        &self,
        peeked: Peek<R>,
        cell: &Cell,
        key: Key<'_>,
        hit: bool,
        reader: &mut impl Reader<R>,
    ) -> Option<R> {
        let counts = match peeked {
            Peek::Found(read) => return Some(read),
            Peek::Absent => return None,
            Peek::Unknown => false,
            Peek::Counts => true,
        };
        self.read_locked(cell, key.parts(), hit, counts, reader)
    }

    /// Reads a wave of keys: finds their buckets and brings them into the cache, then their entries,
    /// then what is further away, and only then reads one after the other. Each step waits for all
    /// keys at once. There is an answer for each key, in their order.
    pub(crate) fn read_wave<'k, R>(
        &self,
        keys: impl Iterator<Item = &'k [u8]>,
        reader: &mut impl Reader<R>,
        mut answer: impl FnMut(Option<R>),
    ) -> Result<()> {
        // One reading of the clock for all: it is a moment of this call.
        let now = Now::new(&self.context.clock);
        let mut places = [const { None }; WAVE];
        let mut count = 0;
        for (place, key) in places.iter_mut().zip(keys) {
            let key = self.context.hasher.key(key);
            let cell = &self.shards[self.shard_of(key)];
            let aim = cell.space.table.aim(key.index_hash());
            aim.prefetch();
            *place = Some((key, cell, aim));
            count += 1;
        }
        let places = &places[..count];
        let mut probes = [None; WAVE];
        let probes = &mut probes[..count];
        for (probe, (_, cell, aim)) in probes.iter_mut().zip(places.iter().flatten()) {
            *probe = aim.probe().inspect(|probe| cell.space.prefetch(probe));
        }
        for (probe, (_, cell, _)) in probes.iter().zip(places.iter().flatten()) {
            probe.iter().for_each(|probe| cell.space.prefetch_rest(probe));
        }
        // Found once for all: in a shared library, what belongs to a thread is a call away.
        let stripe = self.state.counts().then(Stripe::mine);
        for (probe, (key, cell, _)) in probes.iter_mut().zip(places.iter().flatten()) {
            let peeked = match probe.take() {
                Some(probe) => cell.space.peek_probed(*key, probe, &now, true, reader),
                None => cell.space.peek_on(key.parts(), None, &now, true, reader),
            };
            let read = self.settle_read(peeked, cell, *key, true, reader);
            if let Some(stripe) = stripe {
                cell.reads.count_in(stripe, read.is_some());
            }
            if read.is_none() {
                reader.absent();
            }
            answer(read);
        }
        // A store that was closed meanwhile may be empty, and that is no answer.
        self.state.check_open()
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
        (key, hash): (&[u8], u64),
        hit: bool,
        counts: bool,
        reader: &mut impl Reader<R>,
    ) -> Option<R> {
        let key = Key::of_parts(key, hash);
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

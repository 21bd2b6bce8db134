//! The calls that read, of one key and of many.
//!
//! A read first looks without the shard's lock (`shard/space.rs`). A caller's closure is called once,
//! with a copy of a small value, or under the lock with a larger one.

use super::core::WAVE;
use super::{Core, Store};
use crate::clock::Now;
use crate::entry::Head;
use crate::error::Result;
use crate::set_options::Remaining;
use crate::shard::{Reader, Seen, Shard, Sight, remaining};
use crate::value::{PinMeter, Value, ValueInfo, Within};

impl Store {
    /// The value of a key, or `None` if it is absent or expired.
    ///
    /// A small value is copied; one of about 4 KiB or more is shared with the store.
    ///
    /// # Errors
    /// Those of every call.
    #[inline]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        self.core.read(key.as_ref(), true, &mut Keep(self.core.context.pins))
    }

    /// Shows the value of a key to `read` and returns what that makes of it, if the value has at
    /// most `longest` bytes. A longer one is not read, and does not count as a read.
    ///
    /// `read` may run under the lock of the key's shard: it should copy what it needs and return. It
    /// must not call the store, or it may wait for itself for ever.
    ///
    /// # Errors
    /// Those of every call.
    #[inline]
    pub fn get_within<R>(
        &self,
        key: impl AsRef<[u8]>,
        longest: usize,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<Within<R>>> {
        self.core.read(key.as_ref(), true, &mut Show { longest, read: Some(read) })
    }

    /// As [`get_within`](Store::get_within), for a value of any length.
    ///
    /// # Errors
    /// Those of every call.
    #[inline]
    pub fn get_with<R>(
        &self,
        key: impl AsRef<[u8]>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        let found = self.get_within(key, usize::MAX, read)?;
        Ok(found.and_then(|within| match within {
            Within::Read(result) => Some(result),
            Within::Longer(_) => None,
        }))
    }

    /// As [`get`](Store::get), but does not count as a read, nor as a use of the entry that an eviction policy
    /// would see.
    ///
    /// # Errors
    /// Those of every call.
    pub fn peek(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        self.core.read(key.as_ref(), false, &mut Keep(self.core.context.pins))
    }

    /// As [`get_with`](Store::get_with), but does not count as a read, nor as a use of the entry that an eviction
    /// policy would see.
    ///
    /// # Errors
    /// Those of every call.
    pub fn peek_with<R>(
        &self,
        key: impl AsRef<[u8]>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        let mut show = Show { longest: usize::MAX, read: Some(read) };
        let found = self.core.read(key.as_ref(), false, &mut show)?;
        Ok(found.and_then(|within| match within {
            Within::Read(result) => Some(result),
            Within::Longer(_) => None,
        }))
    }

    /// Copies the value of a key into `buffer` and returns its length, or `None` if the key is
    /// absent or expired. If the length is more than the buffer has, nothing was written, and it
    /// does not count as a read.
    ///
    /// # Errors
    /// Those of every call.
    #[inline]
    pub fn get_into(&self, key: impl AsRef<[u8]>, buffer: &mut [u8]) -> Result<Option<usize>> {
        self.core.read(key.as_ref(), true, &mut CopyInto(buffer))
    }

    /// Whether a key is there. Does not count as a read of its value.
    ///
    /// # Errors
    /// Those of every call.
    pub fn exists(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.core.read(key.as_ref(), false, &mut Exists)?.is_some())
    }

    /// How long a key has left, or `None` if it is absent or expired.
    ///
    /// # Errors
    /// Those of every call.
    pub fn ttl(&self, key: impl AsRef<[u8]>) -> Result<Option<Remaining>> {
        self.core.read(key.as_ref(), false, &mut TimeLeft)
    }

    /// The values of many keys, in their order, `None` where a key is absent or expired.
    ///
    /// Each key is read by itself: the answers need not be from one moment. That is many times faster
    /// than single gets where the data does not fit the processor's caches, because their misses
    /// overlap.
    ///
    /// # Errors
    /// `TooLarge` for a key over its limit, before anything is read; `Closed`, `Forked`.
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Value>>> {
        let mut values = Vec::with_capacity(keys.len());
        let mut keep = Keep(self.core.context.pins);
        self.core.read_waves(keys, &mut keep, |value| values.push(value))?;
        Ok(values)
    }

    /// Shows the values of many keys to `visit`: the number of the key, and its value or `None` where
    /// it is absent or expired. In the order of the keys.
    ///
    /// Each key is read by itself, as with [`get_many`](Store::get_many). `visit` may run under a lock:
    /// it should copy what it needs and return, and it must not call the store.
    ///
    /// # Errors
    /// As [`get_many`](Store::get_many).
    pub fn get_many_with<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        visit: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<()> {
        self.core.read_waves(keys, &mut Visits { next: 0, visit }, |_| {})
    }

    /// Brings what leads to some keys into the processor's caches, so that calls on one key each that follow at once
    /// do not miss one after the other, as with [`get_many`](Store::get_many). Only a hint: it reads no value, counts
    /// as no use of a key and fails never. A few dozen keys at a time are enough; more push each other out.
    pub fn prefetch<K: AsRef<[u8]>>(&self, keys: &[K]) {
        let core = &*self.core;
        if core.state.check_read().is_err() {
            // The call that follows tells why.
            return;
        }
        for wave in keys.chunks(WAVE) {
            core.prefetch(wave.iter().map(|key| core.context.hasher.key(key.as_ref())));
        }
    }
}

impl Core {
    /// Reads many keys in waves.
    pub(super) fn read_waves<K: AsRef<[u8]>, R>(
        &self,
        keys: &[K],
        reader: &mut impl Reader<R>,
        mut answer: impl FnMut(Option<R>),
    ) -> Result<()> {
        self.state.check_read()?;
        for (number, key) in keys.iter().enumerate() {
            self.check_key(key.as_ref(), number)?;
        }
        for wave in keys.chunks(WAVE) {
            self.read_wave(wave.iter().map(AsRef::as_ref), reader, &mut answer)?;
        }
        Ok(())
    }
}

/// Keeps a value for the caller.
struct Keep(&'static PinMeter);

impl Reader<Value> for Keep {
    #[inline(always)]
    fn peeked(&mut self, head: &Head, value: &[u8], _: &Now<'_>) -> Value {
        Value::copy(value, self.0, ValueInfo::of(head))
    }

    fn locked(&mut self, shard: &Shard, seen: &Seen, _: &Now<'_>) -> Value {
        shard.value_of(seen, self.0)
    }
}

/// Copies a value into a buffer if it fits, and tells its length.
struct CopyInto<'b>(&'b mut [u8]);

impl CopyInto<'_> {
    #[inline(always)]
    fn copy(&mut self, value: &[u8]) -> usize {
        if let Some(to) = self.0.get_mut(..value.len()) {
            to.copy_from_slice(value);
        }
        value.len()
    }
}

impl Reader<usize> for CopyInto<'_> {
    #[inline(always)]
    fn peek(&mut self, sight: &Sight<'_>) -> Option<usize> {
        if sight.is_short(self.0.len()) {
            return sight.copy_short(self.0);
        }
        sight.show(|_, value, _| self.copy(value))
    }

    #[inline(always)]
    fn peeked(&mut self, _: &Head, value: &[u8], _: &Now<'_>) -> usize {
        self.copy(value)
    }

    fn locked(&mut self, shard: &Shard, seen: &Seen, _: &Now<'_>) -> usize {
        self.copy(shard.value_bytes(seen))
    }

    #[inline(always)]
    fn is_whole(&self, len: &usize) -> bool {
        *len <= self.0.len()
    }
}

/// Shows a value of bounded length to a closure.
struct Show<F> {
    longest: usize,
    read: Option<F>,
}

impl<F> Show<F> {
    #[inline]
    fn show<R>(&mut self, value: &[u8]) -> Within<R>
    where
        F: FnOnce(&[u8]) -> R,
    {
        match self.read.take_if(|_| value.len() <= self.longest) {
            Some(read) => Within::Read(read(value)),
            None => Within::Longer(value.len()),
        }
    }
}

impl<R, F: FnOnce(&[u8]) -> R> Reader<Within<R>> for Show<F> {
    #[inline(always)]
    fn peeked(&mut self, _: &Head, value: &[u8], _: &Now<'_>) -> Within<R> {
        self.show(value)
    }

    fn locked(&mut self, shard: &Shard, seen: &Seen, _: &Now<'_>) -> Within<R> {
        self.show(shard.value_bytes(seen))
    }

    #[inline(always)]
    fn is_whole(&self, within: &Within<R>) -> bool {
        matches!(within, Within::Read(_))
    }
}

/// Only asks whether there is an entry.
struct Exists;

impl Reader<()> for Exists {
    fn peeked(&mut self, _: &Head, _: &[u8], _: &Now<'_>) {}
    fn locked(&mut self, _: &Shard, _: &Seen, _: &Now<'_>) {}
}

/// Asks how long an entry has left.
struct TimeLeft;

impl Reader<Remaining> for TimeLeft {
    fn peeked(&mut self, head: &Head, _: &[u8], now: &Now<'_>) -> Remaining {
        remaining(head.deadline, now)
    }

    fn locked(&mut self, _: &Shard, seen: &Seen, now: &Now<'_>) -> Remaining {
        seen.remaining(now)
    }
}

/// Shows one value after the other to a closure.
struct Visits<F> {
    next: usize,
    visit: F,
}

impl<F: FnMut(usize, Option<&[u8]>)> Visits<F> {
    fn show(&mut self, value: Option<&[u8]>) {
        (self.visit)(self.next, value);
        self.next += 1;
    }
}

impl<F: FnMut(usize, Option<&[u8]>)> Reader<()> for Visits<F> {
    #[inline(always)]
    fn peeked(&mut self, _: &Head, value: &[u8], _: &Now<'_>) {
        self.show(Some(value));
    }

    fn locked(&mut self, shard: &Shard, seen: &Seen, _: &Now<'_>) {
        self.show(Some(shard.value_bytes(seen)));
    }

    fn absent(&mut self) {
        self.show(None);
    }
}

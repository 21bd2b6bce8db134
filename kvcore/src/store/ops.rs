//! The calls that change one key: check, lock the key's shard, do it there, and let go.
//!
//! The errors that every call shares are those of [`Store`]; what a call adds is listed with it.

use super::Store;
use crate::clock::Stopwatch;
use crate::error::Result;
use crate::set_options::{DeleteOutcome, Expiry, SetOptions, SetOutcome};
use crate::stats::Timed;
use crate::value::Value;

impl Store {
    /// Sets a key, with the store's `default_ttl`, and returns the version of the new value.
    ///
    /// # Errors
    /// `TooLarge` for a key or value over its limit; `Full` if the store is at its limit and may not
    /// evict; `NoMemory`. Nothing has changed then.
    #[inline]
    pub fn set(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<u64> {
        match self.set_with(key, value, &SetOptions::default())? {
            SetOutcome::Stored { version } => Ok(version),
            outcome => unreachable!("without a condition the outcome was {outcome:?}"),
        }
    }

    /// Sets a key with an expiry and under a condition.
    ///
    /// # Errors
    /// As [`set`](Store::set), and `Invalid` for a deadline before 1970.
    #[inline]
    pub fn set_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: &SetOptions,
    ) -> Result<SetOutcome> {
        let value = value.as_ref();
        self.core.check_value(value)?;
        options.expiry.check()?;
        if self.core.state.times() && self.core.context.latency.is_due(Timed::Set) {
            return self.set_timed(key.as_ref(), value, options);
        }
        self.core.write(key.as_ref(), |shard, key, change| shard.set(key, value, options, change))
    }

    /// As [`set_with`](Store::set_with), when it is timed.
    #[cold]
    #[inline(never)]
    fn set_timed(&self, key: &[u8], value: &[u8], options: &SetOptions) -> Result<SetOutcome> {
        let watch = Stopwatch::start();
        let set =
            self.core.write(key, |shard, key, change| shard.set(key, value, options, change))?;
        self.core.context.latency.record(Timed::Set, watch.elapsed());
        Ok(set)
    }

    /// Removes a key and returns the value it had, in one step.
    ///
    /// # Errors
    /// Those of every call.
    pub fn take(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        self.core.write(key.as_ref(), |shard, key, change| shard.take(key, change))
    }

    /// Removes a key; `false` if it is absent or expired.
    ///
    /// # Errors
    /// Those of every call.
    pub fn del(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.core.write(key.as_ref(), |shard, key, change| shard.del(key, change))
    }

    /// Removes a key if it has this version.
    ///
    /// # Errors
    /// Those of every call.
    pub fn del_if(&self, key: impl AsRef<[u8]>, version: u64) -> Result<DeleteOutcome> {
        self.core.write(key.as_ref(), |shard, key, change| shard.del_if(key, version, change))
    }

    /// Adds to an integer kept as decimal text, and returns the sum. An absent key counts from 0 and
    /// gets `expiry` as a set would give it; a key that is there keeps its deadline unless `expiry`
    /// says otherwise.
    ///
    /// # Errors
    /// `Type` if the value is no integer or the sum overflows; else as [`set`](Store::set).
    pub fn incr(&self, key: impl AsRef<[u8]>, delta: i64, expiry: Expiry) -> Result<i64> {
        expiry.check()?;
        let longest = self.core.max_value_bytes();
        self.core.write(key.as_ref(), |shard, key, change| {
            shard.incr(key, delta, expiry, longest, change)
        })
    }

    /// Appends to a value, which keeps its deadline, and returns the new length. An absent key is
    /// set.
    ///
    /// # Errors
    /// As [`set`](Store::set), for the value that would result.
    pub fn append(&self, key: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Result<usize> {
        let (data, longest) = (data.as_ref(), self.core.max_value_bytes());
        self.core.check_value(data)?;
        self.core.write(key.as_ref(), |shard, key, change| shard.append(key, data, longest, change))
    }

    /// Makes a key expire `ttl_ms` milliseconds from now: zero or less deletes it at once, and
    /// [`TTL_NONE`](crate::TTL_NONE) makes it stay. `false` if it is absent or expired.
    ///
    /// # Errors
    /// `Full` if the deadline needs room that there is not; `NoMemory`.
    pub fn expire(&self, key: impl AsRef<[u8]>, ttl_ms: i64) -> Result<bool> {
        self.core.write(key.as_ref(), |shard, key, change| shard.expire(key, ttl_ms, change))
    }

    /// Makes a key expire at a Unix time in milliseconds; one that has passed deletes it at once.
    /// `false` if it is absent or expired.
    ///
    /// # Errors
    /// As [`expire`](Store::expire).
    pub fn expire_at(&self, key: impl AsRef<[u8]>, unix_ms: i64) -> Result<bool> {
        self.core.write(key.as_ref(), |shard, key, change| shard.expire_at(key, unix_ms, change))
    }

    /// Makes a key stay. `false` if it is absent or expired.
    ///
    /// # Errors
    /// Those of every call.
    pub fn persist(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.expire_at(key, crate::TTL_NONE)
    }
}

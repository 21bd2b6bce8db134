//! Operations on many keys at once: together (`write`, `set_many`), or each by itself (`del_many`).

use super::Store;
use super::core::{WAVE, numbered};
use super::group::{self, Step};
use crate::batch::{Batch, BatchOp as Op, BatchOutcome};
use crate::error::Result;
use crate::hash::Key;
use crate::set_options::{Expiry, SetOptions};

impl Store {
    /// Makes all changes of a batch, at one moment for whoever reads the store, or none of them. After
    /// a crash, too, all of them are there or none.
    ///
    /// # Errors
    /// As [`set`](Store::set) and [`expire`](Store::expire), for all changes together: `TooLarge` and
    /// `Invalid` name the change. Nothing has changed then.
    pub fn write(&self, batch: &Batch) -> Result<BatchOutcome> {
        let core = &*self.core;
        core.state.check_write()?;
        let steps = group::steps(core, batch)?;
        group::write(core, steps)
    }

    /// Sets many keys with one expiry, all of them or none. Of a key that comes twice, the last
    /// value stays.
    ///
    /// # Errors
    /// As [`set`](Store::set); nothing is set then.
    pub fn set_many<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        items: &[(K, V)],
        expiry: Expiry,
    ) -> Result<()> {
        let core = &*self.core;
        core.state.check_write()?;
        expiry.check()?;
        let options = SetOptions { expiry, ..SetOptions::default() };
        let mut steps = Vec::with_capacity(items.len());
        for (index, (key, value)) in items.iter().enumerate() {
            core.check_key(key.as_ref(), index)?;
            let (key, value) = (core.key(key.as_ref())?, value.as_ref());
            core.check_value(value).map_err(|error| numbered("value", index, &error))?;
            steps.push(Step {
                shard: core.shard_of(key),
                key,
                index,
                op: Op::Set { value, options },
            });
        }
        group::write(core, steps).map(drop)
    }

    /// Removes many keys, each by itself, and returns how many were there.
    ///
    /// # Errors
    /// `TooLarge` for a key over its limit, before anything is removed; those of every call.
    pub fn del_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<u64> {
        let core = &*self.core;
        core.state.check_write()?;
        for (number, key) in keys.iter().enumerate() {
            core.check_key(key.as_ref(), number)?;
        }
        let mut deleted = 0;
        for wave in keys.chunks(WAVE) {
            let mut hashed = [Key::default(); WAVE];
            for (to, key) in hashed.iter_mut().zip(wave) {
                *to = core.context.hasher.key(key.as_ref());
            }
            let hashed = &hashed[..wave.len()];
            core.prefetch(hashed.iter().copied());
            for key in hashed {
                deleted += u64::from(
                    core.write_hashed(*key, |shard, key, change| shard.del(key, change))?,
                );
            }
        }
        Ok(deleted)
    }
}

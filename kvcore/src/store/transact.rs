//! Reading and changing keys in one step, as a closure of the caller's decides.
//!
//! The closure runs under the locks of all shards concerned, reads what is there and notes changes in a
//! batch, which is then written under the same locks (`group`). So nothing has changed when it panics, and
//! a change that lacks room can let go of the locks, have it made, and ask the closure again.

use super::group::{self, Target};
use super::{Core, Store};
use crate::batch::{Batch, Op};
use crate::error::{Error, Result, Status};
use crate::hash::Key;
use crate::set_options::{Expiry, SetOptions};
use crate::shard::{Change, Refusal, Shard};
use crate::sync::WriteGuard;

/// What [`Store::update`] makes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// It stays as it is.
    Keep,
    /// It gets a value, and keeps its deadline if it is there.
    Set(Vec<u8>),
    /// It gets a value and a deadline.
    SetWith(Vec<u8>, Expiry),
    /// It goes.
    Delete,
}

/// The keys of a [`Store::transact`], for its closure.
pub struct Transaction<'a> {
    core: &'a Core,
    keys: &'a [Key<'a>],
    shards: &'a [(usize, WriteGuard<'a, Shard>)],
    change: &'a Change<'a>,
    batch: &'a mut Batch,
}

impl Store {
    /// Reads a key and changes it in one step: `update` is given its value, if it is there, and says
    /// what becomes of it.
    ///
    /// It is as [`transact`](Store::transact) for one key, and the same holds for the closure.
    ///
    /// # Errors
    /// As [`set`](Store::set).
    pub fn update(
        &self,
        key: impl AsRef<[u8]>,
        mut update: impl FnMut(Option<&[u8]>) -> Update,
    ) -> Result<()> {
        let key = key.as_ref();
        self.transact(&[key], |keys| match update(keys.get(key)?) {
            Update::Keep => Ok(()),
            Update::Set(value) => keys.set(key, value, Expiry::Keep),
            Update::SetWith(value, expiry) => keys.set(key, value, expiry),
            Update::Delete => keys.del(key),
        })
    }

    /// Reads and changes some keys in one step. Nobody else reads or writes them meanwhile, and all
    /// changes are made together, in memory and after a crash, or none of them: none if `decide`
    /// answers an error or panics.
    ///
    /// `decide` runs under the locks of the keys' shards, so it should be short. It must not call the
    /// store, or it may wait for itself for ever. It may be called again, with what is there then, if
    /// room has to be made for its changes first.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Expiry, Options, Store};
    ///
    /// let store = Store::memory(Options::new())?;
    /// store.set("from", "money")?;
    /// store.transact(&["from", "to"], |keys| {
    ///     let moved = keys.get("from")?.map(<[u8]>::to_vec).unwrap_or_default();
    ///     keys.del("from")?;
    ///     keys.set("to", moved, Expiry::Default)
    /// })?;
    /// assert_eq!(store.get("to")?.as_deref(), Some(&b"money"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of `decide`; as [`write`](Store::write). Nothing has changed then.
    pub fn transact<K: AsRef<[u8]>, R>(
        &self,
        keys: &[K],
        mut decide: impl FnMut(&mut Transaction<'_>) -> Result<R>,
    ) -> Result<R> {
        let core = &*self.core;
        core.state.check_write()?;
        let mut hashed = Vec::with_capacity(keys.len());
        for (number, key) in keys.iter().enumerate() {
            core.check_key(key.as_ref(), number)?;
            hashed.push(core.key(key.as_ref())?);
        }
        let mut shards: Vec<usize> = hashed.iter().map(|key| core.shard_of(*key)).collect();
        shards.sort_unstable();
        shards.dedup();
        let home = shards.first().copied().unwrap_or(0);
        loop {
            match attempt(core, &hashed, &shards, &mut decide) {
                Ok(decided) => return Ok(decided),
                Err(Refusal::Room(need)) => {
                    core.make_room(need, home, |key| hashed.iter().any(|own| own.bytes == key))?;
                }
                Err(Refusal::Lacks(lack)) => core.supply(lack)?,
                Err(Refusal::Error(error)) => return Err(error),
            }
        }
    }
}

/// Tries it once. `shards` are those of the keys, in order.
fn attempt<R>(
    core: &Core,
    keys: &[Key<'_>],
    shards: &[usize],
    decide: &mut impl FnMut(&mut Transaction<'_>) -> Result<R>,
) -> Result<R, Refusal> {
    let mut change = Change::new(&core.context);
    let mut batch = Batch::new();
    let locked: Vec<_> = shards.iter().map(|shard| (*shard, core.write_shard(*shard))).collect();
    core.state.check_open()?;
    let decided = decide(&mut Transaction {
        core,
        keys,
        shards: &locked,
        change: &change,
        batch: &mut batch,
    })?;
    let steps = group::steps(core, &batch)?;
    let steps = group::sorted(steps);
    let mut targets = Target::all(&steps);
    // Until now nothing was changed that a panic would leave half done.
    let guard = core.state.guard();
    let mut groups = group::grouped(locked, &mut targets);
    let made = group::make(core, &mut groups, &mut change);
    change.commit();
    drop(groups);
    guard.done();
    let waited = core.settle_log(&change);
    change.finish();
    made?;
    waited?;
    Ok(decided)
}

impl<'a> Transaction<'a> {
    /// The value of a key, with what this transaction has made of it; `None` if it is absent or
    /// expired.
    ///
    /// # Errors
    /// `Invalid` for a key that was not named to [`Store::transact`].
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<&[u8]>> {
        let key = self.named(key.as_ref())?;
        let made = self.batch.ops().rev().find(|(other, _)| *other == key.bytes);
        match made {
            Some((_, Op::Set { value, .. })) => Ok(Some(value)),
            Some(_) => Ok(None),
            None => {
                let shard = self.core.shard_of(key);
                let locked = self.shards.iter().find(|(number, _)| *number == shard);
                Ok(locked.and_then(|(_, shard)| shard.live_value(key, &self.change.now)))
            }
        }
    }

    /// Sets a key.
    ///
    /// # Errors
    /// `Invalid` for a key that was not named to [`Store::transact`], or a deadline before 1970.
    pub fn set(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        expiry: Expiry,
    ) -> Result<()> {
        expiry.check()?;
        let key = self.named(key.as_ref())?;
        let options = SetOptions { expiry, ..SetOptions::default() };
        self.batch.set_with(key.bytes, value, &options);
        Ok(())
    }

    /// Removes a key.
    ///
    /// # Errors
    /// `Invalid` for a key that was not named to [`Store::transact`].
    pub fn del(&mut self, key: impl AsRef<[u8]>) -> Result<()> {
        let key = self.named(key.as_ref())?;
        self.batch.del(key.bytes);
        Ok(())
    }

    fn named(&self, key: &[u8]) -> Result<Key<'a>> {
        self.keys.iter().copied().find(|named| named.bytes == key).ok_or_else(|| {
            Error::new(
                Status::Invalid,
                "the key was not named to transact: name every key that it reads or changes",
            )
        })
    }
}

impl std::fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("changes", &self.batch.len()).finish_non_exhaustive()
    }
}

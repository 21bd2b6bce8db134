//! Reading and changing keys in one step, as a closure of the caller's decides.
//!
//! The closure runs under the locks of all shards concerned, reads what is there and notes changes in a
//! batch, which is then written under the same locks (`group`). So nothing has changed when it panics, and
//! a change that lacks room can let go of the locks, have it made, and ask the closure again.

use super::group::{self, Target};
use super::{Core, Store};
use crate::batch::Batch;
use crate::context::Deadline;
use crate::entry::NEVER;
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
    /// Sorted, each one once.
    keys: &'a [Key<'a>],
    shards: &'a [(usize, WriteGuard<'a, Shard>)],
    change: &'a Change<'a>,
    batch: &'a mut Batch,
    /// What the transaction has made of each key.
    made: Vec<Made>,
}

/// What a transaction has made of a key so far.
#[derive(Debug, Clone, Copy)]
enum Made {
    /// Nothing.
    Nothing,
    /// It has the value of this change of the batch, and this deadline.
    Put { op: usize, deadline: i64 },
    /// Its entry has another deadline.
    Redated(i64),
    /// It is gone.
    Gone,
}

/// A key as a [`Transaction`] finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held<'t> {
    /// Its value.
    pub value: &'t [u8],
    /// When it expires, in Unix milliseconds; `None` if it does not.
    pub expire_at_ms: Option<i64>,
    /// The revision of its last change before the transaction; `None` if the transaction itself set it.
    pub version: Option<u64>,
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
        hashed.sort_unstable_by_key(|key| key.bytes);
        hashed.dedup_by_key(|key| key.bytes);
        let mut shards: Vec<usize> = hashed.iter().map(|key| core.shard_of(*key)).collect();
        shards.sort_unstable();
        shards.dedup();
        let home = shards.first().copied().unwrap_or(0);
        loop {
            match attempt(core, &hashed, &shards, &mut decide) {
                Ok(decided) => return Ok(decided),
                Err(Refusal::Room(need)) => {
                    core.make_room(need, home, |key| position(&hashed, key).is_some())?;
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
        made: vec![Made::Nothing; keys.len()],
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

/// Where a key is among sorted ones.
fn position(keys: &[Key<'_>], key: &[u8]) -> Option<usize> {
    keys.binary_search_by_key(&key, |own| own.bytes).ok()
}

impl<'a> Transaction<'a> {
    /// The value of a key, with what this transaction has made of it; `None` if it is absent or
    /// expired.
    ///
    /// # Errors
    /// `Invalid` for a key that was not named to [`Store::transact`].
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<&[u8]>> {
        Ok(self.held(key)?.map(|held| held.value))
    }

    /// A key with its value, deadline and version, and with what this transaction has made of it; `None`
    /// if it is absent or expired.
    ///
    /// # Errors
    /// `Invalid` for a key that was not named to [`Store::transact`].
    pub fn held(&self, key: impl AsRef<[u8]>) -> Result<Option<Held<'_>>> {
        let at = self.named(key.as_ref())?;
        let there = || {
            let key = self.keys[at];
            let shard = self.shard_of(key)?;
            let value = shard.live_value(key, &self.change.now)?;
            shard.live_info(key, &self.change.now).map(|info| (value, info))
        };
        let held = |value, deadline, version| Held {
            value,
            expire_at_ms: (deadline != NEVER).then_some(deadline),
            version,
        };
        Ok(match self.made[at] {
            Made::Nothing => there().map(|(value, (at, version))| held(value, at, Some(version))),
            Made::Redated(to) => {
                there().map(|(value, (_, version))| held(value, to, Some(version)))
            }
            Made::Put { op, deadline } => Some(held(self.batch.value(op), deadline, None)),
            Made::Gone => None,
        })
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
        let at = self.named(key.as_ref())?;
        let now = &self.change.now;
        // Settled here, so that whatever is asked later of this key agrees with what will be written.
        match self.core.context.deadline(expiry, self.deadline(at), now) {
            Deadline::Past => {
                self.batch.del(self.keys[at].bytes);
                self.made[at] = Made::Gone;
            }
            Deadline::At(deadline) => {
                self.made[at] = Made::Put { op: self.batch.len(), deadline };
                let options =
                    SetOptions { expiry: Expiry::AtMs(deadline), ..SetOptions::default() };
                self.batch.set_with(self.keys[at].bytes, value, &options);
            }
        }
        Ok(())
    }

    /// Makes a key expire at a Unix time in milliseconds: one that has passed removes it, and
    /// [`TTL_NONE`](crate::TTL_NONE) makes it stay. `false` if it is absent or expired.
    ///
    /// # Errors
    /// `Invalid` for a key that was not named to [`Store::transact`].
    pub fn expire_at(&mut self, key: impl AsRef<[u8]>, unix_ms: i64) -> Result<bool> {
        let at = self.named(key.as_ref())?;
        if self.deadline(at).is_none() {
            return Ok(false);
        }
        if unix_ms <= self.change.now.ms() {
            self.batch.del(self.keys[at].bytes);
            self.made[at] = Made::Gone;
            return Ok(true);
        }
        self.batch.expire_at(self.keys[at].bytes, unix_ms);
        self.made[at] = match self.made[at] {
            Made::Put { op, .. } => Made::Put { op, deadline: unix_ms },
            _ => Made::Redated(unix_ms),
        };
        Ok(true)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// `Invalid` for a key that was not named to [`Store::transact`].
    pub fn del(&mut self, key: impl AsRef<[u8]>) -> Result<()> {
        let at = self.named(key.as_ref())?;
        self.batch.del(self.keys[at].bytes);
        self.made[at] = Made::Gone;
        Ok(())
    }

    /// The moment at which the transaction takes place, in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.change.now.ms()
    }

    /// The deadline of a key, with what the transaction has made of it; `None` if it is absent.
    fn deadline(&self, at: usize) -> Option<i64> {
        match self.made[at] {
            Made::Put { deadline, .. } | Made::Redated(deadline) => Some(deadline),
            Made::Gone => None,
            Made::Nothing => {
                let key = self.keys[at];
                let info = self.shard_of(key)?.live_info(key, &self.change.now)?;
                Some(info.0)
            }
        }
    }

    /// The shard of a key, which is locked.
    fn shard_of(&self, key: Key<'_>) -> Option<&'a Shard> {
        let number = self.core.shard_of(key);
        let at = self.shards.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(&self.shards[at].1)
    }

    fn named(&self, key: &[u8]) -> Result<usize> {
        position(self.keys, key).ok_or_else(|| {
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

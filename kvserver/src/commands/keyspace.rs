//! The keys as a command reaches them: in the store, or inside a transaction.
//!
//! Owns: [`Keyspace`], so that each command is written once. Inside `EXEC` all keys of its commands are locked
//! and the store itself must not be called, which would wait for itself; so a command says what it wants of
//! keys here, and not to the store.

use kvcore::{Condition, Expiry, Remaining, SetOptions, SetOutcome, Store, TTL_NONE, Transaction};

use super::failure::Failure;

/// Where a command finds its keys.
#[derive(Debug)]
pub enum Keyspace<'c, 't> {
    /// In the store.
    Store(&'c Store),
    /// In the store, where reading a key is no use of it (`CLIENT NO-TOUCH`).
    Untouched(&'c Store),
    /// Among the keys of a transaction.
    Group(&'c mut Transaction<'t>),
}

impl Keyspace<'_, '_> {
    /// Shows the value of a key to `read`, which must not use the keyspace.
    pub fn read<R>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>, Failure> {
        Ok(match self {
            Keyspace::Store(store) => store.get_with(key, read)?,
            Keyspace::Untouched(store) => store.peek_with(key, read)?,
            Keyspace::Group(keys) => keys.get(key)?.map(read),
        })
    }

    /// As [`read`](Keyspace::read), for what is about a value and no use of it.
    pub fn look<R>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>, Failure> {
        match self {
            Keyspace::Store(store) => Ok(store.peek_with(key, read)?),
            Keyspace::Untouched(_) | Keyspace::Group(_) => self.read(key, read),
        }
    }

    /// Whether a key is there.
    pub fn exists(&self, key: &[u8]) -> Result<bool, Failure> {
        Ok(match self {
            Keyspace::Store(store) | Keyspace::Untouched(store) => store.exists(key)?,
            Keyspace::Group(keys) => keys.held(key)?.is_some(),
        })
    }

    /// How long a key has left, in milliseconds: `Some(None)` if it does not expire.
    pub fn ttl_ms(&self, key: &[u8]) -> Result<Option<Option<i64>>, Failure> {
        Ok(match self {
            Keyspace::Store(store) | Keyspace::Untouched(store) => {
                store.ttl(key)?.map(|left| match left {
                    Remaining::Never => None,
                    Remaining::Ms(ms) => Some(ms),
                })
            }
            Keyspace::Group(keys) => {
                keys.held(key)?.map(|held| held.expire_at_ms.map(|at| (at - keys.now_ms()).max(1)))
            }
        })
    }

    /// When a key expires, in Unix milliseconds: `Some(None)` if it does not.
    pub fn deadline_ms(&self, key: &[u8]) -> Result<Option<Option<i64>>, Failure> {
        Ok(match self {
            Keyspace::Store(store) | Keyspace::Untouched(store) => {
                store.peek(key)?.map(|value| value.expire_at_ms())
            }
            Keyspace::Group(keys) => keys.held(key)?.map(|held| held.expire_at_ms),
        })
    }

    /// The version of a key, for telling whether it changed. `None` if it is absent.
    pub fn version(&self, key: &[u8]) -> Result<Option<u64>, Failure> {
        Ok(match self {
            Keyspace::Store(store) | Keyspace::Untouched(store) => {
                store.peek(key)?.map(|value| value.version())
            }
            Keyspace::Group(keys) => keys.held(key)?.and_then(|held| held.version),
        })
    }

    /// Sets a key if a condition holds. Answers whether it did.
    pub fn set(
        &mut self,
        key: &[u8],
        value: &[u8],
        expiry: Expiry,
        condition: Condition,
    ) -> Result<bool, Failure> {
        match self {
            Keyspace::Store(store) | Keyspace::Untouched(store) => {
                let outcome = store.set_with(key, value, &SetOptions { expiry, condition })?;
                Ok(matches!(outcome, SetOutcome::Stored { .. }))
            }
            Keyspace::Group(keys) => {
                let is_there = keys.held(key)?.is_some();
                let holds = match condition {
                    Condition::Absent => !is_there,
                    Condition::Present => is_there,
                    _ => true,
                };
                if holds {
                    keys.set(key, value, expiry)?;
                }
                Ok(holds)
            }
        }
    }

    /// Removes a key. Answers whether it was there.
    pub fn del(&mut self, key: &[u8]) -> Result<bool, Failure> {
        match self {
            Keyspace::Store(store) | Keyspace::Untouched(store) => Ok(store.del(key)?),
            Keyspace::Group(keys) => {
                let is_there = keys.held(key)?.is_some();
                if is_there {
                    keys.del(key)?;
                }
                Ok(is_there)
            }
        }
    }

    /// Makes a key expire at a Unix time in milliseconds. Answers whether it was there.
    pub fn expire_at(&mut self, key: &[u8], at_ms: i64) -> Result<bool, Failure> {
        // The largest number would mean that it stays.
        let at_ms = at_ms.clamp(0, TTL_NONE - 1);
        match self {
            Keyspace::Store(store) | Keyspace::Untouched(store) => Ok(store.expire_at(key, at_ms)?),
            Keyspace::Group(keys) => Ok(keys.expire_at(key, at_ms)?),
        }
    }

    /// Reads and changes keys in one step. `act` may be called again if room has to be made, and changes
    /// nothing if it fails.
    pub fn edit<R>(
        &mut self,
        keys: &[&[u8]],
        mut act: impl FnMut(&mut Transaction<'_>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        match self {
            Keyspace::Store(store) | Keyspace::Untouched(store) => {
                store.transact(keys, |keys| match act(keys) {
                    Ok(done) => Ok(Ok(done)),
                    Err(Failure::Store(error)) => Err(error),
                    Err(failure) => Ok(Err(failure)),
                })?
            }
            Keyspace::Group(keys) => act(keys),
        }
    }

    /// The store, for what concerns all of it.
    ///
    /// # Errors
    /// Inside a transaction of single keys.
    pub fn store(&self) -> Result<&Store, Failure> {
        match self {
            Keyspace::Store(store) | Keyspace::Untouched(store) => Ok(store),
            Keyspace::Group(_) => {
                Err(Failure::fixed("ERR the command needs the whole store, not only some keys"))
            }
        }
    }
}

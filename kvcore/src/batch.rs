//! A batch: changes that are made all together or not at all.
//!
//! Owns: [`Batch`], which only collects them. A store plans and makes them in `store/group.rs`. Keys and
//! values are copied into one run of bytes, so a batch that is cleared and filled again allocates
//! nothing.

use crate::error::{Result, Status};
use crate::set_options::SetOptions;

/// Bytes of a cleared batch that are kept for the next filling.
const KEPT_BYTES: usize = 1 << 20;

/// Changes of many keys for [`Store::write`](crate::Store::write), which makes all of them or none.
///
/// They are made in order: what comes later sees what came before, also of the same key. Nothing is
/// checked before `write`. A batch may be written any number of times, and to any store.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{Batch, BatchOutcome, Options, SetOptions, Store};
///
/// let store = Store::memory(Options::new())?;
/// let mut batch = Batch::new();
/// batch.set("a", "1").set_with("lock", "me", &SetOptions::default().if_absent()).del("b");
/// assert_eq!(store.write(&batch)?, BatchOutcome::Applied { applied: 2, missing: 1 });
/// assert_eq!(store.write(&batch)?, BatchOutcome::Conflict { index: 1 });
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Batch {
    ops: Vec<Stored>,
    bytes: Vec<u8>,
}

/// One change: its key begins where the one before ends, and its value, if any, follows the key.
#[derive(Debug, Clone, Copy)]
struct Stored {
    kind: Kind,
    at: usize,
    key_len: usize,
    value_len: usize,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Set(SetOptions),
    Del,
    Expire(i64),
    ExpireAt(i64),
}

/// One change of a [`Batch`], as a store reads it.
#[derive(Debug, Clone, Copy)]
pub enum BatchOp<'a> {
    /// Sets the key.
    Set {
        /// To this value.
        value: &'a [u8],
        /// With this expiry, and under this condition.
        options: SetOptions,
    },
    /// Removes the key.
    Del,
    /// In this many milliseconds.
    Expire(i64),
    /// At this Unix time in milliseconds.
    ExpireAt(i64),
}

/// What [`Store::write`](crate::Store::write) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchOutcome {
    /// Everything was done.
    Applied {
        /// Changes that were made.
        applied: u64,
        /// Deletions and new deadlines of keys that were absent or expired.
        missing: u64,
    },
    /// Nothing was done: the condition of a set did not hold.
    Conflict {
        /// The first one of these sets, counted from 0.
        index: usize,
    },
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Sets a key, with the store's `default_ttl`.
    pub fn set(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Batch {
        self.set_with(key, value, &SetOptions::default())
    }

    /// Sets a key with an expiry and under a condition. If that does not hold, nothing of the batch is
    /// done. A condition on a version never holds once the batch itself has changed the key.
    pub fn set_with(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: &SetOptions,
    ) -> &mut Batch {
        self.push(Kind::Set(*options), key.as_ref(), value.as_ref())
    }

    /// Removes a key.
    pub fn del(&mut self, key: impl AsRef<[u8]>) -> &mut Batch {
        self.push(Kind::Del, key.as_ref(), b"")
    }

    /// Makes a key expire `ttl_ms` milliseconds after the batch is written: zero or less deletes it,
    /// and [`TTL_NONE`](crate::TTL_NONE) makes it stay.
    pub fn expire(&mut self, key: impl AsRef<[u8]>, ttl_ms: i64) -> &mut Batch {
        self.push(Kind::Expire(ttl_ms), key.as_ref(), b"")
    }

    /// Makes a key expire at a Unix time in milliseconds; one that has passed deletes it.
    pub fn expire_at(&mut self, key: impl AsRef<[u8]>, unix_ms: i64) -> &mut Batch {
        self.push(Kind::ExpireAt(unix_ms), key.as_ref(), b"")
    }

    /// The number of changes.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether there is no change.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Takes all changes out. A little memory is kept for the next ones.
    pub fn clear(&mut self) {
        self.ops.clear();
        self.bytes.clear();
        self.ops.shrink_to(KEPT_BYTES / size_of::<Stored>());
        self.bytes.shrink_to(KEPT_BYTES);
    }

    /// Makes room for one more change with a key and value of so many bytes together, so that adding
    /// it does not end the process where there is no memory.
    ///
    /// # Errors
    /// `NoMemory`.
    pub fn try_reserve(&mut self, bytes: usize) -> Result<()> {
        let reserved = self.ops.try_reserve(1).and_then(|()| self.bytes.try_reserve(bytes));
        reserved.map_err(|_| Status::NoMemory.into())
    }

    fn push(&mut self, kind: Kind, key: &[u8], value: &[u8]) -> &mut Batch {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.ops.push(Stored { kind, at, key_len: key.len(), value_len: value.len() });
        self
    }

    /// The value of a change, by its place in the batch; empty if it has none.
    pub(crate) fn value(&self, index: usize) -> &[u8] {
        self.ops.get(index).map_or(&[], |stored| {
            let from = stored.at + stored.key_len;
            &self.bytes[from..from + stored.value_len]
        })
    }

    /// The changes and their keys, in order.
    pub fn ops(&self) -> impl DoubleEndedIterator<Item = (&[u8], BatchOp<'_>)> {
        self.ops.iter().map(|stored| {
            let (key, rest) = self.bytes[stored.at..].split_at(stored.key_len);
            let op = match stored.kind {
                Kind::Set(options) => BatchOp::Set { value: &rest[..stored.value_len], options },
                Kind::Del => BatchOp::Del,
                Kind::Expire(ttl_ms) => BatchOp::Expire(ttl_ms),
                Kind::ExpireAt(unix_ms) => BatchOp::ExpireAt(unix_ms),
            };
            (key, op)
        })
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn what_went_in_comes_out() {
        let mut batch = Batch::new();
        for round in 0..2 {
            assert!(batch.is_empty());
            batch.set("a", "1").del("").expire("bb", 5).expire_at("c", 7);
            batch.set_with("", "", &SetOptions::default().if_version(round));
            assert_eq!(batch.len(), 5);
            let keys: Vec<&[u8]> = batch.ops().map(|(key, _)| key).collect();
            assert_eq!(keys, [&b"a"[..], b"", b"bb", b"c", b""]);
            let shown: Vec<String> = batch.ops().map(|(_, op)| format!("{op:?}")).collect();
            assert!(shown[0].starts_with("Set { value: [49], "), "{}", shown[0]);
            assert_eq!(shown[1..4], ["Del", "Expire(5)", "ExpireAt(7)"]);
            assert!(shown[4].contains(&format!("Version({round})")), "{}", shown[4]);
            batch.clear();
        }
        assert_eq!(
            batch.try_reserve(isize::MAX as usize).map_err(|e| e.status()),
            Err(Status::NoMemory)
        );
    }
}

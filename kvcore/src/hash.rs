//! The one place that says how keys are hashed.
//!
//! Every store draws seeds of its own, so keys that collide in one store do not in another, and
//! nobody outside can choose keys that collide.

use std::cmp::Ordering;
use std::hash::{BuildHasher, Hasher};

/// Hashes keys under random seeds.
pub(crate) struct KeyHasher(ahash::RandomState);

impl KeyHasher {
    pub(crate) fn new() -> Self {
        KeyHasher(ahash::RandomState::new())
    }

    #[inline(always)]
    pub(crate) fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        let mut hasher = self.0.build_hasher();
        hasher.write(bytes);
        Key { bytes, hash: hasher.finish() }
    }
}

/// A key with its hash, so that it is hashed once a call.
#[derive(Clone, Copy, Default)]
pub(crate) struct Key<'a> {
    pub(crate) bytes: &'a [u8],
    hash: u64,
}

impl<'a> Key<'a> {
    /// The bytes and the hash, which go to another function in registers.
    #[inline(always)]
    pub(crate) fn parts(self) -> (&'a [u8], u64) {
        (self.bytes, self.hash)
    }

    /// The key again.
    #[inline(always)]
    pub(crate) fn of_parts(bytes: &'a [u8], hash: u64) -> Self {
        Key { bytes, hash }
    }

    /// Which of `mask + 1` shards has this key. Uses the bits that the index does not.
    #[inline]
    pub(crate) fn shard(&self, mask: usize) -> usize {
        (self.hash >> 32) as usize & mask
    }

    /// Some order of keys, in which keys that are equal are neighbours. By the hash first, because
    /// that is at hand.
    #[inline]
    pub(crate) fn order(&self, other: Key<'_>) -> Ordering {
        self.hash.cmp(&other.hash).then_with(|| self.bytes.cmp(other.bytes))
    }

    /// The bits that the index of a shard goes by.
    #[inline]
    pub(crate) fn index_hash(&self) -> u32 {
        self.hash as u32
    }
}

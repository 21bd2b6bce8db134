//! The hash index of one shard: from the hash of a key to the id of its entry.
//!
//! Owns: the buckets. It never sees a key; whoever asks compares keys through the ids it is given.
//! Invariants: an id is in the index once; it says beforehand what the next insert would allocate,
//! and never allocates more than it said; an empty index holds no memory.

use hashbrown::HashTable;

use crate::error::{Error, Status};
use crate::slab::EntryId;

/// Eight bytes a key: the hash is kept so that growing touches no entry.
#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    id: EntryId,
}

/// hashbrown takes the bucket from the low bits and the tag from the seven highest.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// The index of one shard.
pub(crate) struct Table {
    slots: HashTable<Slot>,
}

impl Table {
    pub(crate) const fn new() -> Self {
        Table { slots: HashTable::new() }
    }

    /// The entry with this hash that `is_it` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(EntryId) -> bool) -> Option<EntryId> {
        let found = self.slots.find(spread(hash), |slot| slot.hash == hash && is_it(slot.id));
        found.map(|slot| slot.id)
    }

    /// Makes room for `more` ids, so that inserting them cannot fail.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(crate) fn reserve(&mut self, more: usize) -> Result<(), Error> {
        if self.slots.len() + more <= self.slots.capacity() {
            return Ok(());
        }
        let hash = |slot: &Slot| spread(slot.hash);
        self.slots.try_reserve(more, hash).map_err(|_| Status::NoMemory.into())
    }

    pub(crate) fn insert(&mut self, hash: u32, id: EntryId) {
        self.slots.insert_unique(spread(hash), Slot { hash, id }, |slot| spread(slot.hash));
    }

    /// Takes out an id that is in the index, and gives memory back once most of it is unused.
    pub(crate) fn remove(&mut self, hash: u32, id: EntryId) {
        let found = self.slots.find_entry(spread(hash), |slot| slot.id == id);
        debug_assert!(found.is_ok(), "the index does not have {id:?}");
        if let Ok(slot) = found {
            slot.remove();
        }
        let len = self.slots.len();
        if len == 0 || (self.slots.capacity() > 64 && len < self.slots.capacity() / 8) {
            self.slots.shrink_to(len * 2, |slot| spread(slot.hash));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.allocation_size()
    }

    /// Bytes that the next insert would add.
    pub(crate) fn growth(&self) -> usize {
        self.growth_for(1)
    }

    /// Bytes that the next `more` inserts would add.
    pub(crate) fn growth_for(&self, more: usize) -> usize {
        let wanted = self.slots.len() + more;
        let full = capacity_of(self.slots.num_buckets());
        // Where half is left behind by removals, the table is cleaned in its place.
        if wanted <= self.slots.capacity() || wanted <= full / 2 {
            return 0;
        }
        allocation(wanted.max(full + 1)) - self.bytes()
    }
}

/// How many ids a number of buckets takes: seven eighths, or all but one of few.
fn capacity_of(buckets: usize) -> usize {
    match buckets {
        0..=1 => 0,
        2..=8 => buckets - 1,
        _ => buckets / 8 * 7,
    }
}

/// What a table with room for `wanted` ids takes: buckets in powers of two, a control byte for
/// each, and one group of control bytes more.
fn allocation(wanted: usize) -> usize {
    let buckets = match wanted {
        0..=3 => 4,
        4..=7 => 8,
        8..=14 => 16,
        _ => (wanted * 8 / 7).next_power_of_two(),
    };
    const GROUP: usize = 16;
    (buckets * size_of::<Slot>()).next_multiple_of(GROUP) + buckets + GROUP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_foretold() {
        let mut table = Table::new();
        assert_eq!(table.bytes(), 0);
        for n in 0..100_000u32 {
            let before = table.bytes();
            let growth = table.growth();
            table.reserve(1).unwrap();
            table.insert(n.wrapping_mul(0x9e37_79b9), EntryId::new(n));
            assert!(
                table.bytes() <= before + growth,
                "at {n}: {} > {before} + {growth}",
                table.bytes()
            );
        }
        for n in 0..100_000u32 {
            let hash = n.wrapping_mul(0x9e37_79b9);
            assert_eq!(table.find(hash, |id| id == EntryId::new(n)), Some(EntryId::new(n)));
            table.remove(hash, EntryId::new(n));
        }
        assert_eq!((table.len(), table.bytes()), (0, 0));
    }

    #[test]
    fn growth_is_foretold_amid_removals() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut table = Table::new();
        let mut ids = Vec::new();
        for n in 0..200_000u32 {
            let grows = n % 40_000 < 20_000;
            if !ids.is_empty() && random.u8(..100) < if grows { 45 } else { 55 } {
                let (hash, id) = ids.swap_remove(random.usize(..ids.len()));
                table.remove(hash, id);
                continue;
            }
            let (hash, id) = (random.u32(..), EntryId::new(n));
            let foretold = table.bytes() + table.growth();
            table.reserve(1).unwrap();
            table.insert(hash, id);
            ids.push((hash, id));
            assert!(table.bytes() <= foretold, "at {n}: {} > {foretold}", table.bytes());
        }
    }

    #[test]
    fn equal_hashes_are_told_apart_by_the_caller() {
        let mut table = Table::new();
        for n in 0..10 {
            table.reserve(1).unwrap();
            table.insert(7, EntryId::new(n));
        }
        assert_eq!(table.find(7, |id| id == EntryId::new(4)), Some(EntryId::new(4)));
        table.remove(7, EntryId::new(4));
        assert_eq!(table.find(7, |id| id == EntryId::new(4)), None);
        assert_eq!(table.len(), 9);
    }
}

//! The parts of large entries that are out of line, by number.
//!
//! Owns: [`LargeEntry`] and where they are kept. Invariant: a number names its entry for as long as
//! that lives, whatever happens to the place that holds the number.

use std::sync::Arc;

use crate::budget::allocation;
use crate::error::{Error, Result, Status};
use crate::value::LargeValue;

/// Key and value of an entry too long for a place, shared with whoever reads the value.
pub(crate) struct LargeEntry {
    pub(crate) key: Box<[u8]>,
    pub(crate) value: Arc<LargeValue>,
}

impl LargeEntry {
    /// Copies key and value, with room behind the value so that appends need not copy it each time.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(crate) fn new(key: &[u8], value: [&[u8]; 2], spare: usize) -> Result<LargeEntry> {
        let mut copy = with_capacity(key.len())?;
        copy.extend_from_slice(key);
        let value = LargeValue::new(value, spare)?;
        Ok(LargeEntry { key: copy.into_boxed_slice(), value: Arc::new(value) })
    }

    /// What an entry of these lengths is charged, `value` with its spare room.
    pub(crate) fn bytes_for(key: usize, value: usize) -> usize {
        allocation(key) + LargeValue::bytes_for(value) + size_of::<Option<LargeEntry>>()
    }

    /// What this entry is charged.
    pub(crate) fn bytes(&self) -> usize {
        allocation(self.key.len()) + self.value.bytes() + size_of::<Option<LargeEntry>>()
    }
}

/// An empty buffer with exactly this capacity.
fn with_capacity(len: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Error::from(Status::NoMemory))?;
    Ok(bytes)
}

/// The large entries of one shard.
#[derive(Default)]
pub(crate) struct LargeEntries {
    entries: Vec<Option<LargeEntry>>,
    vacant: Vec<u32>,
    bytes: usize,
}

impl LargeEntries {
    /// Keeps an entry and returns its number.
    pub(crate) fn insert(&mut self, entry: LargeEntry) -> u32 {
        self.bytes += entry.bytes();
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.entries.push(None);
            // A shard has fewer places than there are numbers, and every large entry has a place.
            self.entries.len() as u32 - 1
        });
        self.entries[number as usize] = Some(entry);
        number
    }

    /// The entry of a number that is in use.
    pub(crate) fn get(&self, number: u32) -> &LargeEntry {
        match &self.entries[number as usize] {
            Some(entry) => entry,
            None => unreachable!("the large entry {number} is not in use"),
        }
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, number: u32) -> LargeEntry {
        let Some(entry) = self.entries[number as usize].take() else {
            unreachable!("the large entry {number} is not in use")
        };
        self.bytes -= entry.bytes();
        self.vacant.push(number);
        if self.vacant.len() == self.entries.len() {
            *self = LargeEntries::default();
        }
        entry
    }

    /// Whether the value of an entry can grow by `more` where it is.
    pub(crate) fn can_append(&mut self, number: u32, more: usize) -> bool {
        self.unshared(number).is_some_and(|value| value.spare() >= more)
    }

    /// Appends to a value that has room and that nobody else reads.
    pub(crate) fn append(&mut self, number: u32, data: &[u8]) -> bool {
        self.unshared(number).is_some_and(|value| value.append(data))
    }

    fn unshared(&mut self, number: u32) -> Option<&mut LargeValue> {
        Arc::get_mut(&mut self.entries[number as usize].as_mut()?.value)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.vacant.len()
    }

    /// What all entries are charged.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes all entries out.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = LargeEntry> {
        self.entries.into_iter().flatten()
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_reused_and_bytes_are_counted() {
        let mut entries = LargeEntries::default();
        let entry = |n: u8| LargeEntry::new(&[n], [&[n; 5000], b"x"], 2).unwrap();
        let numbers: Vec<u32> = (0..10).map(|n| entries.insert(entry(n))).collect();
        assert_eq!(entries.bytes(), 10 * LargeEntry::bytes_for(1, 5003));
        let taken = entries.remove(numbers[3]);
        assert_eq!((&*taken.key, taken.value.as_slice().len()), (&[3][..], 5001));
        assert_eq!(entries.insert(entry(9)), numbers[3]);
        assert!(entries.append(numbers[1], b"y") && entries.append(numbers[1], b"z"));
        assert!(!entries.can_append(numbers[1], 1));
        let reader = Arc::clone(&entries.get(numbers[2]).value);
        assert!(!entries.append(numbers[2], b"y"));
        drop(reader);
        for number in numbers {
            entries.remove(number);
        }
        assert_eq!((entries.len(), entries.bytes()), (0, 0));
    }
}

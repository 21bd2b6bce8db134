//! Reading many values to where they are to stay.
//!
//! Owns: [`ValueSink`], and the reader that fills one. A value is copied once: from its entry into memory that
//! the sink gives, while writers may be changing the entry. If one did, the copy is forgotten and made again, so
//! the sink hears of a value only once the copy is whole and of one moment.
//!
//! Why the sink is asked before that is known: asked afterwards, it could only be given a second copy. The price
//! is that a length may be asked for which nobody uses.

use std::mem::MaybeUninit;

use super::Store;
use crate::clock::Now;
use crate::entry::Head;
use crate::error::Result;
use crate::shard::{Reader, Seen, Shard, Sight};

/// Takes the values that [`Store::get_many_to`] reads.
///
/// Keys are gone through in their order, and each ends with one call of `found` or of `absent`. All of it may
/// happen under a lock: a sink must not call the store.
pub trait ValueSink {
    /// Memory for the value of a key: exactly `len` bytes, which are then written. `None` if there is no room:
    /// only the length is told then. It may be asked several times for one key, also with another length, and
    /// only the last answer counts.
    fn room(&mut self, number: usize, len: usize) -> Option<&mut [MaybeUninit<u8>]>;

    /// The value has so many bytes. All of them are in the room that was given last, if one was.
    fn found(&mut self, number: usize, len: usize);

    /// The key is absent or expired, whatever room was asked for it.
    fn absent(&mut self, number: usize);
}

impl Store {
    /// Copies the values of many keys to where `sink` wants them, in the order of the keys.
    ///
    /// Each key is read by itself, as with [`get_many`](Store::get_many), and no value is copied twice.
    ///
    /// # Errors
    /// As [`get_many`](Store::get_many).
    pub fn get_many_to<K: AsRef<[u8]>>(&self, keys: &[K], sink: &mut impl ValueSink) -> Result<()> {
        self.core.read_waves(keys, &mut Fill { number: 0, sink }, |_| {})
    }
}

/// Fills a sink, one value after the other.
struct Fill<'s, S> {
    number: usize,
    sink: &'s mut S,
}

impl<S: ValueSink> Fill<'_, S> {
    fn put(&mut self, value: &[u8]) {
        if let Some(room) = self.sink.room(self.number, value.len()) {
            room.write_copy_of_slice(value);
        }
        self.found(value.len());
    }

    #[inline(always)]
    fn found(&mut self, len: usize) {
        self.sink.found(self.number, len);
        self.number += 1;
    }
}

impl<S: ValueSink> Reader<()> for Fill<'_, S> {
    #[inline(always)]
    fn peek(&mut self, sight: &Sight<'_>) -> Option<()> {
        let len = sight.near_value_len()?;
        let whole = match self.sink.room(self.number, len) {
            Some(room) => sight.copy_near(room),
            None => sight.is_sure(),
        };
        whole.then(|| self.found(len))
    }

    fn peeked(&mut self, _: &Head, value: &[u8], _: &Now<'_>) {
        self.put(value);
    }

    fn locked(&mut self, shard: &Shard, seen: &Seen, _: &Now<'_>) {
        self.put(shard.value_bytes(seen));
    }

    fn absent(&mut self) {
        self.sink.absent(self.number);
        self.number += 1;
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::options::Options;

    /// Has room for values of up to 2,000 bytes, and notes what it hears. The bytes themselves are looked at where
    /// memory may be read that a compiler takes for unwritten: in the tests of `words`, of the C interface and of
    /// Python.
    #[derive(Default)]
    struct Heard {
        room: Vec<MaybeUninit<u8>>,
        lens: Vec<Option<usize>>,
    }

    impl ValueSink for Heard {
        fn room(&mut self, number: usize, len: usize) -> Option<&mut [MaybeUninit<u8>]> {
            assert_eq!(number, self.lens.len());
            self.room.resize(len, MaybeUninit::uninit());
            (len <= 2000).then_some(&mut self.room)
        }

        fn found(&mut self, number: usize, len: usize) {
            assert_eq!((number, len), (self.lens.len(), self.room.len()));
            self.lens.push(Some(len));
        }

        fn absent(&mut self, number: usize) {
            assert_eq!(number, self.lens.len());
            self.lens.push(None);
        }
    }

    #[test]
    fn each_key_ends_once_and_in_its_order() {
        let store = Store::memory(Options::new()).unwrap();
        let lens: Vec<usize> = (0..700).chain([1999, 2000, 2001, 5000, 100_000]).collect();
        for &len in &lens {
            store.set(len.to_le_bytes(), vec![b'v'; len]).unwrap();
        }
        let keys = lens.iter().flat_map(|len| [*len, len + 1_000_000]);
        let keys: Vec<_> = keys.map(usize::to_le_bytes).collect();
        let mut heard = Heard::default();
        store.get_many_to(&keys, &mut heard).unwrap();
        let expected: Vec<_> = lens.iter().flat_map(|&len| [Some(len), None]).collect();
        assert_eq!(heard.lens, expected);
        let stats = store.stats().unwrap();
        assert_eq!((stats.hits, stats.misses), (lens.len() as u64, lens.len() as u64));
    }
}

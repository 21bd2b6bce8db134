//! Parts of a store by a number, for callers that remember nothing between calls.
//!
//! Owns: [`Store::scan_page`], whose cursor is a number that says where in the order of hashes to go on,
//! and [`Store::random_key`]. That order stays however the index grows (`table`), so an entry that is there
//! all the time is met exactly once, without any state for a scan that may never be finished.

use super::Store;
use crate::error::Result;
use crate::random;
use crate::table;

/// Buckets that are gone through for each key that is asked for, at most: a page of a store that is nearly
/// empty, or of which most has expired, ends although it found little.
const BUCKETS_PER_KEY: usize = 10;

impl Store {
    /// Shows the keys of one part of the store, about `count` of them, and says where the next part begins.
    /// The first part begins at 0, and 0 is answered after the last one.
    ///
    /// A key that is there from the first part to the last is shown exactly once, whatever else changes.
    /// A page may be empty though there are more. `each` runs under a lock: it must not call the store.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn scan_page(&self, cursor: u64, count: usize, mut each: impl FnMut(&[u8])) -> Result<u64> {
        let core = &*self.core;
        core.state.check_read()?;
        let (mut number, mut from) = ((cursor >> 32) as usize, cursor as u32);
        let (mut shown, mut buckets) = (0, count.max(1).saturating_mul(BUCKETS_PER_KEY));
        while number < core.shard_count() && shown < count.max(1) && buckets > 0 {
            let shard = core.read_shard(number);
            // One bucket at a time: only that keeps a page close to what was asked for.
            let next = shard.visit_live(from, 1, &core.context, |entry| {
                each(entry.key());
                shown += 1;
                true
            });
            drop(shard);
            buckets -= 1;
            number += usize::from(next.is_none());
            from = next.unwrap_or(0);
        }
        core.state.check_open()?;
        Ok(if number < core.shard_count() { (number as u64) << 32 | u64::from(from) } else { 0 })
    }

    /// Some key that is there, or `None` in an empty store. Each key has a chance, though not quite the same
    /// one: a place in the order of hashes is drawn, and the next key from there on is taken.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn random_key(&self) -> Result<Option<Vec<u8>>> {
        let core = &*self.core;
        core.state.check_read()?;
        let first = self.random_shard();
        for step in 0..core.shard_count() {
            let shard = core.read_shard((first + step) % core.shard_count());
            let drawn = random::below(table::HASH_NUMBERS) as u32;
            // To the end from there, and if nothing lives behind it, from the beginning.
            for start in [drawn, 0] {
                let (mut next, mut found, mut seen) = (Some(start), None, 0);
                while let Some(from) = next.filter(|_| found.is_none()) {
                    next = shard.visit_live(from, 1, &core.context, |entry| {
                        seen += 1;
                        if random::below(seen) == 0 {
                            found = Some(entry.key().to_vec());
                        }
                        true
                    });
                }
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        core.state.check_open()?;
        Ok(None)
    }

    /// A shard, drawn by how much it holds.
    fn random_shard(&self) -> usize {
        let lens: Vec<usize> =
            (0..self.core.shard_count()).map(|shard| self.core.read_shard(shard).len()).collect();
        let mut drawn = match lens.iter().sum() {
            0 => return 0,
            total => random::below(total),
        };
        lens.iter()
            .position(|&len| {
                let is_here = drawn < len;
                drawn = drawn.saturating_sub(len);
                is_here
            })
            .unwrap_or(0)
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use crate::{Clock, Options, Store};

    fn pages(store: &Store, count: usize, mut between: impl FnMut()) -> BTreeMap<Vec<u8>, u32> {
        let (mut met, mut cursor) = (BTreeMap::new(), 0);
        loop {
            cursor = store
                .scan_page(cursor, count, |key| *met.entry(key.to_vec()).or_insert(0) += 1)
                .unwrap();
            if cursor == 0 {
                return met;
            }
            between();
        }
    }

    #[test]
    fn what_stays_is_met_once_while_the_store_grows_and_shrinks() {
        let store = Store::memory(Options::new().with("shards", "4").unwrap()).unwrap();
        for n in 0..1000 {
            store.set(format!("stays{n}"), "").unwrap();
        }
        let mut round = 0;
        let met = pages(&store, 10, || {
            for n in 0..200 {
                store.set(format!("new{round}.{n}"), "").unwrap();
                store.del(format!("new{}.{n}", round - 1)).unwrap();
            }
            round += 1;
        });
        assert!((0..1000).all(|n| met.get(format!("stays{n}").as_bytes()) == Some(&1)));
    }

    #[test]
    fn a_cursor_from_elsewhere_ends_the_scan() {
        let store = Store::memory(Options::new()).unwrap();
        store.set("a", "").unwrap();
        assert_eq!(store.scan_page(u64::MAX, 10, |_| panic!("nothing is there")).unwrap(), 0);
        assert_eq!(pages(&store, 0, || {}).len(), 1);
    }

    #[test]
    fn a_random_key_is_one_that_lives() {
        let (clock, hand) = Clock::manual(1_000_000);
        let options = Options::new().with("shards", "2").unwrap();
        let store = Store::with_clock(options, clock).unwrap();
        assert_eq!(store.random_key().unwrap(), None);
        for n in 0..100 {
            store
                .set_with(
                    format!("dies{n}"),
                    "",
                    &crate::SetOptions::default().expire_at_ms(1_000_010),
                )
                .unwrap();
        }
        store.set("a", "").unwrap();
        store.set("b", "").unwrap();
        hand.advance_ms(10);
        let drawn: std::collections::BTreeSet<_> =
            (0..200).map(|_| store.random_key().unwrap().unwrap()).collect();
        assert!(drawn.iter().all(|key| key == b"a" || key == b"b"), "{drawn:?}");
        store.del("a").unwrap();
        store.del("b").unwrap();
        assert_eq!(store.random_key().unwrap(), None);
    }
}

//! The index against a model.

#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, HashSet};

use super::*;

/// Entries of a bucket, on average, above which a table grows.
const CROWDED_BUCKET: usize = 6;

/// A table with what it must have.
#[derive(Default)]
struct Model {
    entries: HashMap<u32, (u32, u8)>,
    ids: Vec<u32>,
}

struct Pair {
    table: Table,
    state: TableState,
    model: Model,
    next_id: u32,
}

impl Pair {
    fn new() -> Self {
        Pair { table: Table::new(), state: TableState::new(), model: Model::default(), next_id: 1 }
    }

    fn insert(&mut self, hash: u32) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        let access = (id % 64) as u8;
        let foretold = self.state.bytes() + self.state.growth();
        self.table.reserve(&mut self.state, 1).unwrap();
        self.table.insert(&mut self.state, hash, EntryId::new(id), access);
        let bytes = self.state.bytes();
        assert!(bytes <= foretold, "{bytes} > {foretold} at {}", self.state.len());
        self.model.entries.insert(id, (hash, access));
        self.model.ids.push(id);
        id
    }

    /// A pair of which the table was made for so many entries.
    fn presized(entries: usize) -> Self {
        let mut pair = Pair::new();
        pair.table.presize(&mut pair.state, entries).unwrap();
        pair
    }

    fn remove(&mut self, index: usize) {
        let id = self.model.ids.swap_remove(index);
        let (hash, _) = self.model.entries.remove(&id).unwrap();
        let before = self.state.bytes();
        assert!(self.table.remove(&mut self.state, hash, EntryId::new(id)));
        assert!(self.state.bytes() <= before, "{} > {before}", self.state.bytes());
        assert!(!self.table.remove(&mut self.state, hash, EntryId::new(id)));
    }

    /// Looks an entry up as a writer and as a reader.
    fn check(&self, id: u32) {
        let entry = EntryId::new(id);
        let (hash, access) = self.model.entries[&id];
        assert_eq!(self.table.find(hash, |id| id == entry), Some(Found { id: entry, access }));
        assert_eq!(self.table.access(hash, entry), Some(access));
        let probe = self.table.probe(hash).unwrap();
        let found = probe.candidates().find(|candidate| candidate.id() == entry).unwrap();
        assert_eq!(found.access(), access);
        assert!(probe.still_holds() && probe.absent());
    }

    fn check_all(&self) {
        self.table.validate(&self.state);
        assert_eq!(self.state.len(), self.model.entries.len());
        self.model.ids.iter().for_each(|id| self.check(*id));
    }
}

#[test]
fn one_table_from_nothing_to_nothing() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut pair = Pair::new();
    pair.check_all();
    for n in 0..30_000 {
        pair.insert(random.u32(..));
        if n < 100 || n % 9999 == 0 {
            pair.check_all();
        }
    }
    let bytes = pair.state.bytes();
    assert!(bytes < 30_000 * 13, "{bytes}");
    for n in (0..30_000).rev() {
        pair.remove(random.usize(..=n));
        if n < 100 || n % 9999 == 0 {
            pair.check_all();
        }
        assert!(pair.state.bytes() <= 64 + n * 40, "{} B for {n}", pair.state.bytes());
    }
    assert_eq!((pair.state.len(), pair.state.bytes()), (0, 0));
    assert!(pair.state.resident_bytes() <= 4096);
}

#[test]
fn a_table_that_was_made_for_its_entries_is_no_larger_than_one_that_grew() {
    for entries in [0, 1, 5, 6, 7, 40, 1_000, 30_000] {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut grown, mut made) = (Pair::new(), Pair::presized(entries));
        let prepared = made.state.used;
        assert!(prepared * CROWDED_BUCKET <= entries, "{prepared} buckets for {entries} entries");
        for _ in 0..entries {
            let hash = random.u32(..);
            grown.insert(hash);
            made.insert(hash);
        }
        made.check_all();
        // It grew by what the sizes leave over, and moved nothing else.
        assert!(made.state.used <= prepared + prepared / 8 + 2);
        assert!(made.state.used <= grown.state.used + 1, "{entries}");
        while !made.model.ids.is_empty() {
            made.remove(random.usize(..made.model.ids.len()));
        }
        assert_eq!(made.state.bytes(), 0);
    }
    // One that has entries stays as it is.
    let mut pair = Pair::new();
    pair.insert(7);
    pair.table.presize(&mut pair.state, 1_000_000).unwrap();
    assert_eq!(pair.state.used, 1);
    pair.check_all();
}

#[test]
fn growth_is_foretold_amid_removals() {
    for seed in 0..4 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::new();
        // Some runs have few hashes, so that buckets have many nodes.
        let mask = [u32::MAX, 0xff00_0000, 0x0000_0fff, 0x8000_0040][seed as usize];
        let wave = if mask == u32::MAX { 10_000 } else { 1_000 };
        for n in 0..6 * wave {
            let grows = n % (2 * wave) < wave;
            let len = pair.model.ids.len();
            if len > 0 && random.u8(..100) < if grows { 20 } else { 85 } {
                pair.remove(random.usize(..len));
            } else {
                pair.insert(random.u32(..) & mask);
            }
            if n % 1999 == 0 {
                pair.check_all();
            }
        }
        pair.check_all();
        pair.table.clear(&mut pair.state);
        pair.model = Model::default();
        pair.check_all();
        assert_eq!((pair.state.bytes(), pair.state.resident_bytes()), (0, 0));
        pair.insert(7);
        pair.check_all();
    }
}

#[test]
fn many_inserts_are_foretold_at_once() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut pair = Pair::new();
    for _ in 0..200 {
        let more = random.usize(..300);
        let foretold = pair.state.bytes() + pair.state.growth_for(more);
        pair.table.reserve(&mut pair.state, more).unwrap();
        for _ in 0..more {
            pair.insert(random.u32(..));
        }
        assert!(pair.state.bytes() <= foretold);
    }
    pair.check_all();
    assert_eq!(pair.state.growth_for(0), 0);
}

#[test]
fn equal_hashes_are_told_apart_by_the_caller() {
    let mut pair = Pair::new();
    let ids: Vec<u32> = (0..100).map(|_| pair.insert(7)).collect();
    pair.check_all();
    assert_eq!(pair.table.find(7 << 6, |_| true), None);
    // Sparse hashes in a table of many buckets stay together in one.
    let probe = pair.table.probe(7).unwrap();
    let seen: HashSet<u32> = probe.candidates().map(|candidate| candidate.id().number()).collect();
    assert_eq!(seen, ids.into_iter().collect());
}

#[test]
fn an_id_is_exchanged_and_access_is_kept() {
    let mut pair = Pair::new();
    let old = EntryId::new(pair.insert(99 << 6));
    let new = EntryId::new(1_000_000);
    assert!(pair.table.replace(99 << 6, old, new));
    assert!(!pair.table.replace(99 << 6, old, new));
    assert_eq!(pair.table.access(99 << 6, new), Some(1));
    pair.table.set_access(99 << 6, new, 63);
    assert_eq!(pair.table.access(99 << 6, new), Some(63));
    let probe = pair.table.probe(99 << 6).unwrap();
    let candidate = probe.candidates().next().unwrap();
    candidate.set_access(9);
    candidate.set_access(10);
    assert_eq!(pair.table.access(99 << 6, new), Some(9));
    assert!(probe.still_holds());
}

#[test]
fn readers_keep_away_from_an_open_bucket() {
    let mut pair = Pair::new();
    assert!(pair.table.open(&pair.state, 5).line.is_none());
    pair.insert(5);
    let before = pair.table.probe(5).unwrap();
    {
        let outer = pair.table.open(&pair.state, 5);
        let inner = pair.table.open(&pair.state, 5);
        assert!(pair.table.probe(5).is_none());
        assert!(!before.still_holds() && !before.absent());
        assert!(pair.table.replace(5, EntryId::new(1), EntryId::new(2)));
        drop(inner);
        assert!(pair.table.probe(5).is_none());
        drop(outer);
    }
    assert!(!before.still_holds() && !before.absent());
    let after = pair.table.probe(5).unwrap();
    assert_eq!(after.candidates().next().unwrap().id(), EntryId::new(2));
    assert!(after.still_holds());
}

#[test]
fn a_scan_sees_what_stays_exactly_once() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::new();
        let stay: HashSet<u32> = (0..500).map(|_| pair.insert(random.u32(..))).collect();
        let grows = seed % 2 == 0;
        if !grows {
            for _ in 0..20_000 {
                pair.insert(random.u32(..));
            }
        }
        let mut seen = HashMap::new();
        let mut from = Some(0);
        while let Some(at) = from {
            from = pair.table.visit(at, |number, id| {
                assert!(number >= at);
                *seen.entry(id.number()).or_insert(0) += 1;
            });
            assert!(from.is_none_or(|next| next > at));
            for _ in 0..30 {
                if grows {
                    pair.insert(random.u32(..));
                    continue;
                }
                let index = random.usize(..pair.model.ids.len());
                if !stay.contains(&pair.model.ids[index]) {
                    pair.remove(index);
                }
            }
        }
        pair.check_all();
        assert!(stay.iter().all(|id| seen.get(id) == Some(&1)));
        assert!(seen.values().all(|count| *count == 1));
    }
}

#[test]
fn a_random_entry_is_any_entry() {
    let mut random = fastrand::Rng::with_seed(8);
    let mut pair = Pair::new();
    assert_eq!(pair.table.random(&pair.state, |_| 0), None);
    let ids: Vec<u32> = (0..1000).map(|_| pair.insert(random.u32(..))).collect();
    let mut counts: HashMap<u32, u32> = HashMap::new();
    for _ in 0..200_000 {
        let id = pair.table.random(&pair.state, |n| random.usize(..n)).unwrap();
        *counts.entry(id.number()).or_default() += 1;
    }
    // 200 each, give or take five standard deviations; less deep down in full buckets.
    assert!(counts.values().all(|count| (20..270).contains(count)), "{counts:?}");
    assert!(counts.values().filter(|count| **count > 130).count() > 950);
    assert!(ids.iter().all(|id| counts.contains_key(id)));
    // One bucket with everything: still an answer.
    let mut pair = Pair::new();
    let ids: HashSet<u32> = (0..100).map(|_| pair.insert(1)).collect();
    for _ in 0..100 {
        assert!(ids.contains(&pair.table.random(&pair.state, |n| n - 1).unwrap().number()));
    }
}

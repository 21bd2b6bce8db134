//! Readers without a lock against one writer, in many interleavings of threads.
//!
//! Runs with `RUSTFLAGS="--cfg kv_shuttle" cargo test -p kvcore --lib --release interleavings`. What
//! an entry consists of stands in two words, which must always be read as one pair.

use shuttle::sync::Arc;
use shuttle::thread;

use super::*;
use crate::sync::atomic::AtomicU32;

/// A table and the entries it points to: two equal words each, of an entry's hash.
struct Space {
    table: Table,
    entries: Region<AtomicU32>,
}

fn check(scene: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(scene.clone(), 2000);
    shuttle::check_pct(scene, 1000, 3);
}

fn open() -> (Arc<Space>, TableState) {
    let space = Space { table: Table::new(), entries: Region::new() };
    space.entries.reserve(1000).unwrap();
    (Arc::new(space), TableState::new())
}

impl Space {
    fn write(&self, id: u32, value: u32) {
        self.entries.get(id as usize * 2).store(value, Relaxed);
        self.entries.get(id as usize * 2 + 1).store(value, Relaxed);
    }

    fn insert(&self, state: &mut TableState, hash: u32, id: u32) {
        // As the slab does.
        fence(Release);
        self.write(id, hash);
        self.table.reserve(state, 1).unwrap();
        self.table.insert(state, hash, EntryId::new(id), 0);
    }

    /// The entry of this hash, told by its first word, if it could be read in a few tries.
    fn read(&self, hash: u32) -> Result<Option<(u32, u32)>, ()> {
        for _ in 0..6 {
            let Some(probe) = self.table.probe(hash) else { continue };
            let found = probe.candidates().find_map(|candidate| {
                candidate.set_access(candidate.access() + 1);
                let at = candidate.id().number() as usize * 2;
                let pair =
                    (self.entries.get(at).load(Relaxed), self.entries.get(at + 1).load(Relaxed));
                (pair.0 % 1000 == hash % 1000).then_some(pair)
            });
            match found {
                Some(pair) if probe.still_holds() => return Ok(Some(pair)),
                None if probe.absent() => return Ok(None),
                _ => {}
            }
        }
        Err(())
    }

    fn read_often(&self, hash: u32, may_be_absent: bool) {
        for _ in 0..3 {
            match self.read(hash) {
                Ok(Some((first, second))) => assert_eq!(first, second),
                Ok(None) => assert!(may_be_absent, "an entry that stays was not found"),
                Err(()) => {}
            }
        }
    }
}

/// Hashes over the whole range; the last three digits tell them apart.
fn hash(n: u32) -> u32 {
    (n.wrapping_mul(0x9e37_79b9) / 1000 % 4_000_000) * 1000 + n
}

#[test]
fn an_entry_that_stays_is_found_while_the_table_grows_and_shrinks() {
    check(|| {
        let (space, mut state) = open();
        (0..5).for_each(|n| space.insert(&mut state, hash(n), n + 1));
        let reader = Arc::clone(&space);
        let reading = thread::spawn(move || reader.read_often(hash(3), false));
        (5..16).for_each(|n| space.insert(&mut state, hash(n), n + 1));
        for n in (4..16).rev() {
            assert!(space.table.remove(&mut state, hash(n), EntryId::new(n + 1)));
        }
        reading.join().unwrap();
        space.table.validate(&state);
    });
}

#[test]
fn a_place_that_is_used_again_is_not_read_as_the_former_entry() {
    check(|| {
        let (space, mut state) = open();
        space.insert(&mut state, hash(1), 1);
        let reader = Arc::clone(&space);
        let reading = thread::spawn(move || reader.read_often(hash(1), true));
        space.table.remove(&mut state, hash(1), EntryId::new(1));
        space.insert(&mut state, hash(2), 1);
        space.insert(&mut state, hash(1), 2);
        space.table.clear(&mut state);
        space.insert(&mut state, hash(1), 3);
        reading.join().unwrap();
    });
}

#[test]
fn what_changes_in_an_open_bucket_is_seen_as_a_whole() {
    check(|| {
        let (space, mut state) = open();
        (0..9).for_each(|n| space.insert(&mut state, hash(1), n + 1));
        let reader = Arc::clone(&space);
        let reading = thread::spawn(move || reader.read_often(hash(1), true));
        for round in 1..3 {
            for id in 1..10 {
                let opened = space.table.open(&state, hash(1));
                space.write(id, hash(1) + round * 1000);
                drop(opened);
            }
        }
        (1..10).for_each(|id| {
            assert!(space.table.remove(&mut state, hash(1), EntryId::new(id)));
        });
        reading.join().unwrap();
    });
}

#[test]
fn noting_an_access_loses_no_entry() {
    check(|| {
        let (space, mut state) = open();
        (0..9).for_each(|n| space.insert(&mut state, hash(n), n + 1));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let space = Arc::clone(&space);
                thread::spawn(move || space.read_often(hash(8), true))
            })
            .collect();
        assert!(space.table.replace(hash(8), EntryId::new(9), EntryId::new(9)));
        assert!(space.table.remove(&mut state, hash(0), EntryId::new(1)));
        assert!(space.table.remove(&mut state, hash(8), EntryId::new(9)));
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(state.len(), 7);
        space.table.validate(&state);
    });
}

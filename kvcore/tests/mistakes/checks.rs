//! The checks, each as quick as it may be and still catch its mistakes.

use kvcore::simulation::{Call, Fault, Survivors};
use kvcore::{Options, Status, Store};

use crate::rigs::hostile::{self, Corpus};
use crate::rigs::{bits, damage, lives, replay, sequences, stuck};
use crate::runs::{PLACE, World};
use crate::script::contents;

/// A check, which panics when it fails.
pub struct Check {
    pub name: &'static str,
    pub what: &'static str,
    pub run: fn(),
}

const fn check(name: &'static str, what: &'static str, run: fn()) -> Check {
    Check { name, what, run }
}

pub const CHECKS: &[Check] = &[
    check("lives", "random scripts with power cuts, deaths, errors and full disks", || {
        (0..800).for_each(lives::run)
    }),
    check("sequences", "short sequences of operations, a crash at every call", || {
        (0..sequences::count()).step_by(499).map(sequences::run).sum::<u64>();
    }),
    check("stuck", "a sync that hangs and then fails, with a second writer and a reader", || {
        (0..4).for_each(stuck::run)
    }),
    check("replay", "eight threads on hot keys: the log replayed is the memory", || {
        (0..100).for_each(replay::run)
    }),
    check("flips", "a bit flipped in every file of a store that was closed", || damage::flips(5)),
    check("bits", "bits flipped in a log that a crash has ended", || {
        assert!(bits::run(1, 997) > 500)
    }),
    check(
        "unreadable",
        "every call fails by which an opener learns what is there",
        damage::unreadable,
    ),
    check("missing", "files removed from a store that was closed", damage::missing),
    check("second", "a second opener is locked out", second_opener),
    check("evictions", "what was evicted stays away after a crash", evictions),
    check("counters", "a store that was recovered counts nothing", counters),
    check("settle", "a sync that failed, and a power cut after the next life", settle),
    check("marks", "the mark of a clean close comes back with a power cut", marks),
    check("loose", "a snapshot whose name was lost, and a power cut after it was read", loose),
    check("retire", "a power cut between a snapshot and the end of the log before it", retire),
    check("readback", "a snapshot that the disk did not write as it was told", read_back),
    check("hostile", "bytes that nobody wrote, within 64 MiB", hostile),
];

fn second_opener() {
    let world = World::new(1, &[]);
    let store = world.open().unwrap();
    assert_eq!(world.open().map(drop).unwrap_err().status(), Status::Locked);
    drop(store);
}

fn evictions() {
    for eviction in ["lru", "lfu", "s3fifo", "tinylfu", "random"] {
        let options =
            [("eviction", eviction), ("max_entries", "20"), ("sync", "always"), ("shards", "1")];
        let world = World::new(1, &options);
        let store = world.open().unwrap();
        for number in 0..100 {
            store.set(format!("key {number}"), "x").unwrap();
        }
        let memory = contents(&store);
        world.disk.crash();
        drop(store);
        // Room for all of them, so that nothing is evicted on the way back.
        let options = Options::new().with("eviction", eviction).unwrap();
        let next = World { options, ..world.copy(1) };
        assert_eq!(contents(&next.open().unwrap()), memory, "{eviction}");
    }
}

fn counters() {
    let mut world = World::new(1, &[("sync", "always")]);
    let store = world.open().unwrap();
    world.run(&store, &crate::script::script(1, 40));
    world.lose_power(Survivors::Any);
    drop(store);
    let stats = world.open().unwrap().stats().unwrap();
    let counted = [stats.sets, stats.deletes, stats.gets, stats.hits, stats.expired, stats.evicted];
    assert_eq!(counted, [0; 6]);
}

fn settle() {
    for seed in 0..20 {
        let mut world = World::new(seed, &[("sync", "always")]);
        let store = world.open().unwrap();
        store.set("first", "x").unwrap();
        world.disk.fail_sync_once();
        store.set("lost or not", "x").unwrap_err();
        world.disk.kill();
        drop(store);
        // What this life shows must be there in all later ones, whatever happened to that sync.
        let store = world.open().unwrap();
        let shown = contents(&store);
        store.set("second", "x").unwrap();
        world.lose_power(Survivors::Nothing);
        drop(store);
        let mut held = contents(&world.open().unwrap());
        held.remove(&b"second"[..]);
        assert_eq!(held, shown, "seed {seed}");
    }
}

fn marks() {
    for persistence in ["snapshot", "wal", "hybrid"] {
        for seed in 0..8 {
            let options = [("sync", "always"), ("persistence", persistence)];
            let mut world = World::new(seed, &options);
            let store = world.open().unwrap();
            store.set("key", "one").unwrap();
            store.shutdown().unwrap();
            // The next opener takes the mark away, and the sync of that fails.
            world.disk.inject(Fault::at(1, libc::EIO).of(&[Call::SyncDir]).on(PLACE));
            assert_eq!(world.open().map(drop).unwrap_err().status(), Status::Io);
            world.disk.kill();
            let store = world.open().unwrap();
            store.set("key", "two").unwrap();
            store.sync().unwrap();
            let safe = contents(&store);
            store.set("other", "x").unwrap();
            let revision = store.stats().unwrap().revision;
            end(&world, store);
            world.lose_power(Survivors::Nothing);
            let what = format!("{persistence}, seed {seed}");
            let store = world.open().unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(store.stats().unwrap().revision >= revision, "{what}: revisions come again");
            let mut held = contents(&store);
            held.remove(&b"other"[..]);
            assert_eq!(held, safe, "{what}");
        }
    }
}

/// Drops a store that can do nothing any more: without a log it would take a last snapshot otherwise.
fn end(world: &World, store: Store) {
    world.disk.cut_power_after(0);
    drop(store);
}

fn loose() {
    for seed in 0..20 {
        let mut world = World::new(seed, &[("persistence", "snapshot")]);
        let store = world.open().unwrap();
        store.set("key", "x").unwrap();
        // The name may be lost, and the process dies before the file is removed.
        world.disk.inject(Fault::at(1, libc::EIO).of(&[Call::SyncDir]));
        world.disk.inject(Fault::at(1, libc::EIO).of(&[Call::Remove]).on(".kvs"));
        store.snapshot(None).unwrap_err();
        end(&world, store);
        world.disk.kill();
        let store = world.open().unwrap();
        let shown = contents(&store);
        assert_eq!(shown.len(), 1);
        end(&world, store);
        world.lose_power(Survivors::Nothing);
        assert_eq!(contents(&world.open().unwrap()), shown, "seed {seed}");
    }
}

fn retire() {
    for seed in 0..3 {
        let mut calls = 0;
        loop {
            let mut world = World::new(seed, &[("sync", "always"), ("snapshot_keep", "1")]);
            for number in 0..3 {
                let store = world.open().unwrap();
                store.set(format!("key {number}"), "x").unwrap();
                world.disk.kill();
                drop(store);
            }
            let store = world.open().unwrap();
            let memory = contents(&store);
            world.disk.cut_power_after(calls);
            let done = store.snapshot(None).is_ok();
            world.lose_power(Survivors::Nothing);
            drop(store);
            let store = world.open().unwrap_or_else(|error| panic!("after {calls}: {error}"));
            assert_eq!(contents(&store), memory, "after {calls} calls");
            if done {
                break;
            }
            calls += 1;
        }
    }
}

fn read_back() {
    let world = World::new(1, &[("sync", "always"), ("snapshot_keep", "1")]);
    let store = world.open().unwrap();
    store.set("key", vec![7; 5_000]).unwrap();
    let memory = contents(&store);
    world.disk.inject(Fault::at(1, Fault::SILENT).of(&[Call::Write]).on("snapshot-"));
    store.snapshot(None).unwrap_err();
    world.disk.crash();
    drop(store);
    assert_eq!(contents(&world.open().unwrap()), memory);
}

fn hostile() {
    let corpus = Corpus::new();
    hostile::forget_peak();
    let before = hostile::peak_bytes();
    (0..800).for_each(|seed| corpus.run(seed));
    let grown = hostile::peak_bytes() - before;
    assert!(grown <= 64 << 20, "{grown} bytes");
}

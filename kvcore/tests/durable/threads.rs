//! Many threads, one order: what the log gives back is what memory held.

use kvcore::{Expiry, Store};

use crate::runs::World;
use crate::script::contents;

const THREADS: u64 = 8;

fn hammer(store: &Store, thread: u64, seed: u64, steps: u64) {
    let mut random = fastrand::Rng::with_seed(seed * THREADS + thread);
    for step in 0..steps {
        let key = format!("hot {}", random.u8(..4));
        let value = format!("{thread} {step}");
        match random.u8(..10) {
            0..4 => drop(store.set(&key, &value).unwrap()),
            4 => drop(store.del(&key).unwrap()),
            5 => drop(store.incr(format!("number {}", random.u8(..2)), 1, Expiry::Never).unwrap()),
            6 => drop(store.append("list", "x").unwrap()),
            7 => drop(store.expire(&key, 1_000_000).unwrap()),
            8 => {
                let items = [("a", &value), ("b", &value), ("c", &value)];
                store.set_many(&items, Expiry::Default).unwrap();
            }
            _ => drop(store.take(&key).unwrap()),
        }
    }
}

#[test]
fn the_log_replayed_is_the_memory() {
    for seed in 0..20 {
        for snapshots in [false, true] {
            let world = World::new(seed, &[("sync", "interval"), ("shards", "8")]);
            let store = world.open().unwrap();
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let store = &store;
                    scope.spawn(move || hammer(store, thread, seed, 200));
                }
                if snapshots {
                    for _ in 0..4 {
                        store.snapshot(None).unwrap();
                    }
                }
            });
            let memory = contents(&store);
            let versions = |store: &Store| -> Vec<u64> {
                memory.keys().map(|key| store.get(key).unwrap().unwrap().version()).collect()
            };
            let before = versions(&store);
            world.disk.kill();
            drop(store);
            let store = world.open().unwrap();
            store.validate();
            assert_eq!(contents(&store), memory, "seed {seed}, snapshots {snapshots}");
            assert_eq!(versions(&store), before, "seed {seed}");
            let batch: Vec<_> = ["a", "b", "c"].iter().map(|key| store.get(key).unwrap()).collect();
            let texts: Vec<_> = batch.iter().map(|v| v.as_deref().map(<[u8]>::to_vec)).collect();
            assert!(texts.windows(2).all(|two| two[0] == two[1]), "a batch is whole");
        }
    }
}

#[test]
fn a_snapshot_is_one_moment() {
    // Two keys are always changed together; a snapshot must never show them apart.
    for seed in 0..10 {
        let world = World::new(seed, &[("persistence", "snapshot"), ("shards", "8")]);
        let store = world.open().unwrap();
        let filler: Vec<(String, &str)> =
            (0..3_000).map(|n| (format!("filler {n}"), "x")).collect();
        store.set_many(&filler, Expiry::Default).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (store, done) = (&store, &done);
                scope.spawn(move || {
                    let mut n = 0_u64;
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        n += 1;
                        let value = n.to_string();
                        let (left, right) = (format!("left {thread}"), format!("right {thread}"));
                        store
                            .set_many(&[(left, &value), (right, &value)], Expiry::Default)
                            .unwrap();
                        store.del(format!("filler {}", n % 3_000)).unwrap();
                        store.set(format!("filler {}", n % 3_000), "x").unwrap();
                    }
                });
            }
            for _ in 0..5 {
                store.snapshot(None).unwrap();
                let copy = World {
                    disk: world.disk.duplicate(seed),
                    ..World::new(seed, &[("persistence", "snapshot")])
                };
                copy.disk.kill();
                let read = copy.open().unwrap();
                for thread in 0..2 {
                    let at = |side: &str| {
                        read.get(format!("{side} {thread}")).unwrap().map(|v| v.to_vec())
                    };
                    assert_eq!(at("left"), at("right"), "seed {seed}");
                }
                // One filler of each writer may be away for a moment.
                let fillers = read.len().unwrap();
                assert!((2_998..=3_004).contains(&fillers), "{fillers}");
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}

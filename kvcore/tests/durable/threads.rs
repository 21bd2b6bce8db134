//! Many threads at once.

use kvcore::Expiry;

use crate::rigs::replay;
use crate::runs::World;

#[test]
fn the_log_replayed_is_the_memory() {
    (0..40).for_each(replay::run);
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

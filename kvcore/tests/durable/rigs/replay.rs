//! Many threads, one order: what the log gives back is what memory held.

use kvcore::simulation::Survivors;
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

/// Writes hot keys by many threads, every other seed with snapshots beside, and compares what the next
/// life finds: after the death of the process, or of the machine once all is synced.
pub fn run(seed: u64) {
    let world = World::new(seed, &[("sync", "interval"), ("shards", "8")]);
    let store = world.open().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || hammer(store, thread, seed, 200));
        }
        if seed % 2 == 1 {
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
    if seed % 4 < 2 {
        world.disk.kill();
    } else {
        store.sync().unwrap();
        world.disk.crash_with(Survivors::Any);
    }
    drop(store);
    let store = world.open().unwrap();
    store.validate();
    assert_eq!(contents(&store), memory, "seed {seed}");
    assert_eq!(versions(&store), before, "seed {seed}");
    let batch: Vec<_> = ["a", "b", "c"].iter().map(|key| store.get(key).unwrap()).collect();
    let texts: Vec<_> = batch.iter().map(|v| v.as_deref().map(<[u8]>::to_vec)).collect();
    assert!(texts.windows(2).all(|two| two[0] == two[1]), "a batch is whole");
}

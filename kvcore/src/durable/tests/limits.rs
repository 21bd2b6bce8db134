//! Restoring into stores with limits: all of a file, or nothing and the store goes on as it was.

use super::*;
use crate::Expiry;

/// A store without files, by a clock that stands still.
fn memory(options: &[(&str, &str)]) -> Store {
    let all: Vec<_> =
        [("persistence", "none")].into_iter().chain(options.iter().copied()).collect();
    open(&SimDisk::new(1), &all).unwrap()
}

/// A backup of small and large entries, some with a deadline, and what it holds.
fn backup(place: &Place, entries: usize) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let store = memory(&[]);
    for n in 0..entries {
        let len = if n % 50 == 49 { 5_000 + n } else { n * 7 % 90 };
        store.set(format!("key {n}"), vec![n as u8; len]).unwrap();
        if n % 3 == 0 {
            store.expire(format!("key {n}"), 1_000 * (n as i64 + 1)).unwrap();
        }
    }
    store.snapshot(Some(&place.0)).unwrap();
    contents(&store)
}

/// Sees that a restore was refused, and that nothing has changed and nothing stopped.
fn assert_refused(store: &Store, place: &Place) {
    let before = contents(store);
    let error = store.restore(&place.0).unwrap_err();
    assert_eq!(error.status(), Status::Full, "{error}");
    assert!(error.message().contains("nothing has changed"), "{error}");
    assert_eq!(contents(store), before);
    store.set("writes", "go on").unwrap();
    store.validate();
}

#[test]
fn what_fits_to_the_byte_is_restored_and_what_does_not_changes_nothing() {
    let place = Place::new("to-the-byte");
    let held = backup(&place, 3_000);
    for ordered in ["false", "true"] {
        for persistence in ["none", "wal", "snapshot"] {
            let disk = SimDisk::new(1);
            let options = [
                ("persistence", persistence),
                ("ordered_index", ordered),
                ("max_memory", "1GiB"),
                ("shards", "8"),
            ];
            let store = open(&disk, &options).unwrap();
            store.restore(&place.0).unwrap();
            // Which hashes meet is the same in one store, so it takes the same each time.
            let need = store.stats().unwrap().memory_bytes;
            for less in [1, 0, need / 100, need / 7, need / 2] {
                store.clear().unwrap();
                store.set("old", "contents").unwrap();
                store.configure("max_memory", &(need - less).to_string()).unwrap();
                if less > 0 {
                    assert_refused(&store, &place);
                    continue;
                }
                store.restore(&place.0).unwrap();
                store.validate();
                assert_eq!(store.stats().unwrap().memory_bytes, need);
                assert_eq!(contents(&store), held);
            }
        }
    }
}

#[test]
fn random_limits_give_all_or_nothing() {
    let place = Place::new("random-limits");
    let held = backup(&place, 400);
    let mut random = fastrand::Rng::with_seed(7);
    let (mut whole, mut refused) = (0, 0);
    for _ in 0..60 {
        let (bytes, entries) = (random.u64(60_000..140_000), random.usize(350..500));
        let (max_memory, max_entries) = (bytes.to_string(), entries.to_string());
        let store = memory(&[("max_memory", &max_memory), ("max_entries", &max_entries)]);
        store.set("old", "contents").unwrap();
        if store.restore(&place.0).is_ok() {
            assert!(entries >= held.len());
            assert_eq!(contents(&store), held);
            store.validate();
            whole += 1;
        } else {
            assert_refused(&store, &place);
            refused += 1;
        }
    }
    assert!(whole > 5 && refused > 5, "{whole} restored and {refused} refused");
}

#[test]
fn longer_keys_and_values_than_the_store_takes_change_nothing() {
    let place = Place::new("longer");
    let store = memory(&[]);
    store.set_many(&[("a", "1"), ("b", "2")], Expiry::Default).unwrap();
    store.set(vec![b'k'; 500], vec![b'v'; 5_000]).unwrap();
    store.snapshot(Some(&place.0)).unwrap();
    for option in [("max_key_bytes", "499"), ("max_value_bytes", "4999")] {
        let store = memory(&[option]);
        store.set("old", "contents").unwrap();
        assert_refused(&store, &place);
    }
    let store = memory(&[("max_key_bytes", "500"), ("max_value_bytes", "5000")]);
    store.restore(&place.0).unwrap();
    assert_eq!(store.len().unwrap(), 3);
}

#[test]
fn a_store_that_evicts_lets_go_of_what_its_index_has_no_room_for() {
    let place = Place::new("lets-go");
    let source = memory(&[]);
    for n in 0..2_000 {
        source.set(format!("key {n:04}"), vec![n as u8; 200]).unwrap();
    }
    source.snapshot(Some(&place.0)).unwrap();
    for eviction in ["lru", "lfu", "random", "ttl", "s3fifo", "tinylfu"] {
        let disk = SimDisk::new(1);
        let options = [
            ("persistence", "wal"),
            ("eviction", eviction),
            ("max_memory", "1GiB"),
            ("shards", "4"),
        ];
        let store = open(&disk, &options).unwrap();
        store.restore(&place.0).unwrap();
        let need = store.stats().unwrap().memory_bytes;
        store.clear().unwrap();
        store.set("old", "contents").unwrap();
        store.configure("max_memory", &(need / 2).to_string()).unwrap();
        assert_refused(&store, &place);
        store.configure("max_memory", &(need - need / 50).to_string()).unwrap();
        store.restore(&place.0).unwrap();
        store.validate();
        let left = contents(&store);
        assert!((1_800..2_000).contains(&left.len()), "{} are left with {eviction}", left.len());
        assert!(store.stats().unwrap().evicted >= 2_000 - left.len() as u64);
        // What went is not in the snapshot that stands for the restored state either.
        disk.kill();
        drop(store);
        let store = open(&disk, &options).unwrap();
        assert_eq!(contents(&store), left, "{eviction}");
        store.set("next", "write").unwrap();
    }
    let few = memory(&[("eviction", "lru"), ("max_entries", "1999")]);
    few.set("old", "contents").unwrap();
    assert_refused(&few, &place);
}

#[test]
fn limits_that_change_meanwhile_stop_nothing() {
    let place = Place::new("meanwhile");
    backup(&place, 300);
    let store = memory(&[("max_memory", "1GiB")]);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..30).for_each(|_| store.restore(&place.0).unwrap()));
        scope.spawn(|| {
            for n in 0..300 {
                store.configure("max_memory", &format!("{}MiB", 100 + n)).unwrap();
            }
        });
    });
    store.validate();
}

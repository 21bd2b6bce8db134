//! Snapshots of stores in memory, and what a directory needs eyes inside for: `compaction` of the log,
//! changes of `persistence` between openings, `restoring`. What crashes leave is in `tests/durable`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod compaction;
mod copies;
mod limits;
mod names;
mod persistence;
mod restoring;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::picture;
use crate::io::{RealDisk, SimDisk};
use crate::snapshot::{BlockBuffer, SnapshotReader};
use crate::{Clock, Error, Options, Status, Store};

/// Where a store is on a simulated disk.
const DIR: &str = "/data/store";

/// Opens the store on a simulated disk, without threads, with segments and shards as small as can be.
fn open(disk: &SimDisk, options: &[(&str, &str)]) -> Result<Store, Error> {
    let all = [("wal_segment_bytes", "64KiB"), ("shards", "2")].iter().chain(options);
    let options = all.fold(Options::new(), |all, (name, value)| all.with(name, value).unwrap());
    Store::open_on(disk.disk(), Path::new(DIR), options, Clock::manual(1_700_000_000_000).0)
}

/// The names of the store's files of one kind, in order.
fn files(disk: &SimDisk, extension: &str) -> Vec<PathBuf> {
    let mut paths = disk.paths();
    paths.retain(|path| path.extension().is_some_and(|end| end == extension));
    paths.sort();
    paths
}

/// All that a store holds.
fn contents(store: &Store) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let keys = store.keys().unwrap().map(|key| key.unwrap().to_vec());
    keys.map(|key| (key.clone(), store.get(&key).unwrap().unwrap().to_vec())).collect()
}

/// A file of this test's own.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let name = format!("kv-{name}-{}", std::process::id());
        Place(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn held(place: &Place) -> BTreeMap<Vec<u8>, (Vec<u8>, i64, u64)> {
    let reader = SnapshotReader::open(&RealDisk, &place.0).unwrap();
    let mut buffer = BlockBuffer::new();
    let mut held = BTreeMap::new();
    for index in 0..reader.blocks().len() {
        for saved in reader.read_block(index, &mut buffer).unwrap() {
            let saved = saved.unwrap();
            let entry = (saved.value.to_vec(), saved.deadline, saved.version);
            held.insert(saved.key.to_vec(), entry);
        }
    }
    held
}

#[test]
fn a_snapshot_has_every_entry_as_it_is() {
    let place = Place::new("as-it-is");
    let store = Store::memory(Options::new()).unwrap();
    for n in 0..2_000_usize {
        store.set(format!("key {n}"), vec![n as u8; n * 7 % 9_000]).unwrap();
    }
    store.expire("key 3", 1_000_000).unwrap();
    let info = store.snapshot(Some(&place.0)).unwrap();
    assert_eq!((info.entries, info.revision), (2_000, 2_001));
    let held = held(&place);
    assert_eq!(held.len(), 2_000);
    for (key, (value, deadline, version)) in held {
        let now = store.get(&key).unwrap().unwrap();
        assert_eq!((&now[..], now.version()), (&value[..], version));
        assert_eq!(now.expire_at_ms().unwrap_or(i64::MAX), deadline);
    }
}

#[test]
fn restoring_brings_back_what_was_there() {
    let place = Place::new("brings-back");
    for eviction in ["none", "lru", "lfu", "random", "ttl", "s3fifo", "tinylfu"] {
        let options = || {
            let options = Options::new().with("eviction", eviction).unwrap();
            options.with("max_entries", "5000").unwrap().with("shards", "2").unwrap()
        };
        let store = Store::memory(options()).unwrap();
        for n in 0..1_000 {
            store.set(format!("key {n}"), format!("value {n}")).unwrap();
        }
        store.set("large", vec![7; 100_000]).unwrap();
        store.expire("key 5", 1_000_000).unwrap();
        store.snapshot(Some(&place.0)).unwrap();
        let before = store.stats().unwrap();
        store.clear().unwrap();
        store.set("later", "x").unwrap();
        store.restore(&place.0).unwrap();
        store.validate();
        let after = store.stats().unwrap();
        assert_eq!((after.entries, after.value_bytes), (before.entries, before.value_bytes));
        assert_eq!(after.expiring_entries, 1, "{eviction}");
        assert!(after.revision > before.revision + 1_001, "revisions go on");
        assert!(store.get("later").unwrap().is_none());
        assert_eq!(store.get("large").unwrap().unwrap().len(), 100_000);
        store.set("key 1", "changed").unwrap();
        store.validate();
    }
}

#[test]
fn what_does_not_fit_or_is_damaged_changes_nothing() {
    let place = Place::new("changes-nothing");
    let store = Store::memory(Options::new()).unwrap();
    for n in 0..100 {
        store.set(format!("key {n}"), "value").unwrap();
    }
    store.snapshot(Some(&place.0)).unwrap();
    let small = Store::memory(Options::new().with("max_entries", "99").unwrap()).unwrap();
    small.set("mine", "x").unwrap();
    assert_eq!(small.restore(&place.0).unwrap_err().status(), crate::Status::Full);
    let mut bytes = std::fs::read(&place.0).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&place.0, bytes).unwrap();
    let error = store.restore(&place.0).unwrap_err();
    assert_eq!(error.status(), crate::Status::Corrupt);
    assert!(error.message().contains(place.0.to_str().unwrap()), "{error}");
    assert_eq!((small.len().unwrap(), store.len().unwrap()), (1, 100));
    assert!(store.restore("/nowhere/at/all").is_err());
    store.set("still", "open").unwrap();
}

#[test]
fn a_warm_start_keeps_the_order_of_use() {
    let place = Place::new("warm");
    let options = || {
        let options = Options::new().with("eviction", "lru").unwrap();
        options.with("max_entries", "100").unwrap().with("shards", "1").unwrap()
    };
    let store = Store::memory(options()).unwrap();
    for n in 0..100 {
        store.set(format!("key {n:02}"), "value").unwrap();
    }
    // The first half is used again, so the second half is older.
    for n in 0..50 {
        store.get(format!("key {n:02}")).unwrap();
    }
    store.snapshot(Some(&place.0)).unwrap();
    let next = Store::memory(options()).unwrap();
    next.restore(&place.0).unwrap();
    for n in 0..40 {
        next.set(format!("new {n}"), "value").unwrap();
    }
    next.validate();
    let left = (0..50).filter(|n| next.exists(format!("key {n:02}")).unwrap()).count();
    assert!(left >= 48, "{left} of 50 that were used last are left");
}

/// Takes snapshots with so many threads while another one writes, and looks at each.
fn snapshots_beside_a_writer(packers: usize) {
    let place = Place::new(&format!("beside-{packers}"));
    let options = [("shards", "8"), ("compression", "lz4")];
    let options = options.iter().try_fold(Options::new(), |all, (name, to)| all.with(name, to));
    let store = Store::memory(options.unwrap()).unwrap();
    let filler: Vec<(String, &str)> = (0..20_000).map(|n| (format!("filler {n}"), "x")).collect();
    store.set_many(&filler, crate::Expiry::Default).unwrap();
    let large: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
    for n in 0..20 {
        store.set(format!("large {n}"), &large).unwrap();
    }
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = || {
            let mut n = 0_u64;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                n += 1;
                let pair = [("left", n.to_string()), ("right", n.to_string())];
                store.set_many(&pair, crate::Expiry::Default).unwrap();
                let key = format!("filler {}", n % 20_000);
                store.del(&key).unwrap();
                store.set(&key, "x").unwrap();
                store.set(format!("large {}", n % 20), &large).unwrap();
            }
        };
        let handle = scope.spawn(writer);
        for _ in 0..10 {
            let info = picture::write_to(&store.core, &RealDisk, packers, &place.0).unwrap();
            let held = held(&place);
            assert_eq!(info.entries, held.len() as u64, "an entry twice, or one too many");
            assert_eq!(held.get(&b"left"[..]).map(|e| &e.0), held.get(&b"right"[..]).map(|e| &e.0));
            let fillers = held.keys().filter(|key| key.starts_with(b"filler")).count();
            assert!((19_999..=20_000).contains(&fillers), "{fillers}");
            let larges: Vec<_> = held.iter().filter(|(key, _)| key.starts_with(b"large")).collect();
            assert!(larges.len() == 20 && larges.iter().all(|(_, entry)| entry.0 == large));
            assert!(held.values().all(|entry| entry.2 <= info.revision));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        handle.join().unwrap();
    });
}

#[test]
fn a_snapshot_beside_writers_is_one_moment() {
    snapshots_beside_a_writer(1);
}

#[test]
fn a_snapshot_that_several_threads_write_is_one_moment() {
    snapshots_beside_a_writer(3);
}

#[test]
fn what_fails_for_one_of_several_threads_fails_the_snapshot() {
    let disk = SimDisk::new(1);
    let store = open(&disk, &[("persistence", "wal"), ("sync", "never")]).unwrap();
    let value: Vec<u8> = (0..60_000_u32).map(|n| ((n * n) >> 3) as u8).collect();
    for n in 0..40 {
        store.set(format!("{n}"), &value).unwrap();
    }
    let to = Path::new(DIR).join("copy");
    let snapshot = || picture::write_to(&store.core, &*disk.disk(), 2, &to);
    disk.set_capacity(Some(4 << 20));
    let before = disk.paths();
    assert_eq!(snapshot().unwrap_err().status(), Status::NoSpace);
    assert_eq!(disk.paths(), before);
    disk.set_capacity(None);
    assert_eq!(snapshot().unwrap().entries, 40);
}

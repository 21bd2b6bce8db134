//! Restoring into a store in a directory: what the disk keeps, and what a failure leaves.

use super::*;
use crate::io::{Call, Fault};
use crate::{Expiry, Status};

const KINDS: [&str; 3] = ["wal", "snapshot", "hybrid"];

/// A backup of a store with these entries.
fn backup(place: &Place, entries: &[(&str, &str)]) {
    let store = Store::memory(Options::new()).unwrap();
    store.set_many(entries, Expiry::Default).unwrap();
    store.snapshot(Some(&place.0)).unwrap();
}

#[test]
fn what_was_restored_stays_restored() {
    let place = Place::new("stays-restored");
    backup(&place, &[("a", "backup"), ("b", "backup")]);
    for kind in KINDS {
        for crash in [false, true] {
            let disk = SimDisk::new(3);
            let options = [("persistence", kind), ("sync", "always")];
            let store = open(&disk, &options).unwrap();
            store.set("a", "old").unwrap();
            store.snapshot(None).unwrap();
            store.set("old", "old").unwrap();
            store.restore(&place.0).unwrap();
            store.set("c", "later").unwrap();
            let held = contents(&store);
            assert_eq!(held.len(), 3);
            store.sync().unwrap();
            if crash {
                disk.crash();
            } else {
                store.shutdown().unwrap();
            }
            drop(store);
            let store = open(&disk, &options).unwrap();
            assert_eq!(contents(&store), held, "{kind}");
            store.validate();
            drop(store);
            let report = crate::recovery::verify(&disk, Path::new(DIR)).unwrap();
            assert!(report.is_sound(), "{report:?}");
        }
    }
}

#[test]
fn no_older_snapshot_stands_in_for_what_was_restored() {
    let place = Place::new("stands-in");
    backup(&place, &[("a", "backup")]);
    for kind in KINDS {
        let disk = SimDisk::new(3);
        let options = [("persistence", kind), ("sync", "always")];
        let store = open(&disk, &options).unwrap();
        store.set("a", "old").unwrap();
        store.snapshot(None).unwrap();
        store.set("a", "older than the backup").unwrap();
        store.restore(&place.0).unwrap();
        store.set("c", "later").unwrap();
        disk.kill();
        drop(store);
        let newest = files(&disk, "kvs").pop().unwrap();
        let bytes = disk.contents(&newest).unwrap();
        for at in [200, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            disk.put(&newest, &flipped).unwrap();
            let error = open(&disk, &options).unwrap_err();
            assert_eq!(error.status(), Status::Corrupt, "{kind}: {error}");
        }
        disk.put(&newest, &bytes).unwrap();
        assert_eq!(&*open(&disk, &options).unwrap().get("a").unwrap().unwrap(), b"backup");
    }
}

#[test]
fn a_failure_midway_poisons_and_the_disk_keeps_the_old_contents() {
    let place = Place::new("midway");
    backup(&place, &[("a", "backup")]);
    for kind in KINDS {
        let mut survived = 0;
        for at in 1.. {
            let disk = SimDisk::new(3);
            let options = [("persistence", kind), ("sync", "always")];
            let store = open(&disk, &options).unwrap();
            store.set("a", "old").unwrap();
            store.sync().unwrap();
            let (before, snapshots) = (contents(&store), files(&disk, "kvs"));
            disk.inject(Fault::at(at, libc::EIO).lasting().of(&[
                Call::Write,
                Call::SyncData,
                Call::Rename,
            ]));
            let restored = store.restore(&place.0);
            disk.clear_faults();
            if restored.is_ok() {
                break;
            }
            assert_eq!(store.set("b", "1").unwrap_err().status(), Status::Poisoned);
            assert!(store.last_fault().is_some());
            store.stats().unwrap();
            let published = files(&disk, "kvs") != snapshots;
            drop(store);
            disk.crash();
            let held = contents(&open(&disk, &options).unwrap());
            assert!(held == before || published, "{kind}: call {at} left {held:?}");
            survived += u32::from(held == before);
        }
        assert!(survived > 3, "{kind}: {survived}");
    }
}

#[test]
fn a_panic_midway_poisons() {
    let place = Place::new("panic-midway");
    backup(&place, &[("a", "backup")]);
    let store = Store::memory(Options::new()).unwrap();
    store.set("a", "old").unwrap();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = store.core.state.guard();
        let mut shards = store.core.lock_all();
        shards.iter_mut().for_each(|shard| shard.hold_off());
        panic!("planted");
    }));
    assert!(caught.is_err());
    // Readers that are held off find their answer under the lock.
    assert_eq!(&*store.get("a").unwrap().unwrap(), b"old");
    assert_eq!(store.restore(&place.0).unwrap_err().status(), Status::Poisoned);
    store.shutdown().unwrap();
}

#[test]
fn snapshots_and_restores_at_once_do_not_wait_for_each_other_for_ever() {
    let place = Place::new("at-once");
    backup(&place, &[("a", "backup")]);
    let disk = SimDisk::new(3);
    let store = open(&disk, &[("persistence", "hybrid")]).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..50).for_each(|_| store.restore(&place.0).unwrap()));
        scope.spawn(|| (0..50).for_each(|_| drop(store.snapshot(None).unwrap())));
    });
    assert_eq!(store.len().unwrap(), 1);
}

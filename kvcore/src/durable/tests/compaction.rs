//! The log is shortened once it is longer than `wal_bytes_max`.

use super::*;
use crate::Status;

const MIB: u64 = 1 << 20;

/// What the thread does that takes snapshots, every second.
fn look(store: &Store) -> bool {
    let durable = store.core.durable().unwrap();
    durable.snapshot_if_due(&store.core, 0.0, &|| false).unwrap()
}

#[test]
fn a_long_log_is_compacted_whatever_the_size_of_a_segment() {
    // A segment larger than the limit is ended early, or nothing of it could ever be removed.
    for segment_bytes in ["64KiB", "16MiB"] {
        let disk = SimDisk::new(1);
        let options = [
            ("persistence", "wal"),
            ("sync", "never"),
            ("wal_bytes_max", "1MiB"),
            ("wal_segment_bytes", segment_bytes),
        ];
        let store = open(&disk, &options).unwrap();
        let (mut longest, mut looks) = (0, 0);
        for n in 0..5_000_u32 {
            store.set(format!("key {}", n % 100), vec![n as u8; 2_000]).unwrap();
            if n % 50 == 0 {
                looks += u32::from(look(&store));
                longest = longest.max(store.stats().unwrap().wal_bytes);
            }
        }
        let stats = store.stats().unwrap();
        assert!(longest < 2 * MIB, "{longest} bytes in segments of {segment_bytes}");
        assert!(stats.snapshots > 10 && stats.snapshots <= u64::from(looks));
        let log_files = files(&disk, "log").len();
        assert!(log_files <= 40, "{log_files} segments of {segment_bytes}");
        assert_eq!(files(&disk, "kvs").len(), 2);
        let before = contents(&store);
        disk.kill();
        drop(store);
        let store = open(&disk, &options).unwrap();
        assert_eq!(contents(&store), before);
        assert!(!store.recovery().unwrap().fallback_used);
    }
}

#[test]
fn a_log_within_its_limit_and_a_store_that_rests_are_left_alone() {
    let disk = SimDisk::new(1);
    let options = [("persistence", "wal"), ("wal_bytes_max", "1MiB")];
    let store = open(&disk, &options).unwrap();
    store.set("a", vec![1; 500_000]).unwrap();
    assert!(!look(&store));
    store.set("b", vec![2; 700_000]).unwrap();
    assert!(look(&store));
    assert!(store.stats().unwrap().wal_bytes > MIB, "the log is the only way back so far");
    // At rest no second generation comes, so the first one is enough, once it is read back.
    assert!(look(&store));
    assert!(store.stats().unwrap().wal_bytes < 10_000);
    assert_eq!(store.stats().unwrap().snapshots, 1, "nothing has changed since the first");
    assert!(!look(&store));
    let before = contents(&store);
    disk.kill();
    drop(store);
    assert_eq!(contents(&open(&disk, &options).unwrap()), before);
}

#[test]
fn a_long_log_of_a_store_at_rest_goes_with_what_needs_it() {
    let disk = SimDisk::new(1);
    let options = [("persistence", "wal"), ("wal_bytes_max", "1MiB")];
    let store = open(&disk, &options).unwrap();
    store.set("a", "1").unwrap();
    store.snapshot(None).unwrap();
    for n in 0..20 {
        store.set("b", vec![n; 100_000]).unwrap();
    }
    assert!(look(&store));
    assert_eq!(files(&disk, "kvs").len(), 2);
    assert!(store.stats().unwrap().wal_bytes > MIB);
    // The newest one is damaged: the log stays, and another one takes its place.
    let newest = files(&disk, "kvs").pop().unwrap();
    let mut bytes = disk.contents(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    disk.put(&newest, &bytes).unwrap();
    assert!(look(&store));
    assert_eq!((files(&disk, "kvs").len(), store.stats().unwrap().snapshots), (2, 3));
    assert!(store.stats().unwrap().wal_bytes > MIB);
    assert!(look(&store));
    assert_eq!(files(&disk, "kvs"), [newest]);
    assert!(store.stats().unwrap().wal_bytes < 10_000);
    assert!(!look(&store));
    let before = contents(&store);
    disk.kill();
    drop(store);
    let store = open(&disk, &options).unwrap();
    assert_eq!(contents(&store), before);
    assert!(!store.recovery().unwrap().fallback_used);
}

#[test]
fn a_snapshot_that_is_not_the_stores_takes_no_place_among_those_that_are_kept() {
    let stranger = SimDisk::new(2);
    let other = open(&stranger, &[("persistence", "wal")]).unwrap();
    other.set_many(&[("a", "1"), ("b", "2"), ("c", "3")], crate::Expiry::Default).unwrap();
    other.snapshot(None).unwrap();
    for foreign in [false, true] {
        let disk = SimDisk::new(1);
        let options = [("persistence", "wal")];
        let store = open(&disk, &options).unwrap();
        store.set("a", "1").unwrap();
        store.snapshot(None).unwrap();
        let own = files(&disk, "kvs").pop().unwrap();
        // A copy under another name, or one of another store.
        let from = if foreign { &stranger } else { &disk };
        let bytes = from.contents(&files(from, "kvs")[0]).unwrap();
        let false_one = Path::new(DIR).join(crate::directory::snapshot_name(3));
        for n in 0..5 {
            store.set("b", [n]).unwrap();
        }
        disk.put(&false_one, &bytes).unwrap();
        store.snapshot(None).unwrap();
        let kept = files(&disk, "kvs");
        assert!(kept.len() == 3 && kept[0] == own, "{kept:?}");
        let before = contents(&store);
        disk.kill();
        drop(store);
        disk.disk().remove(&false_one).unwrap();
        let mut bytes = disk.contents(&kept[2]).unwrap();
        bytes[100] ^= 1;
        disk.put(&kept[2], &bytes).unwrap();
        let store = open(&disk, &options).unwrap();
        assert_eq!(contents(&store), before);
        assert!(store.recovery().unwrap().fallback_used);
    }
}

#[test]
fn writers_go_on_while_the_log_is_compacted() {
    let disk = SimDisk::new(1);
    let options = [("persistence", "wal"), ("sync", "never"), ("wal_bytes_max", "1MiB")];
    let store = open(&disk, &options).unwrap();
    let working = std::sync::atomic::AtomicUsize::new(4);
    std::thread::scope(|scope| {
        for writer in 0..4_u8 {
            let (store, working) = (&store, &working);
            scope.spawn(move || {
                for n in 0..1_000_u32 {
                    store.set(format!("{writer} {}", n % 50), vec![n as u8; 2_000]).unwrap();
                }
                working.fetch_sub(1, std::sync::atomic::Ordering::Release);
            });
        }
        while working.load(std::sync::atomic::Ordering::Acquire) > 0 {
            look(&store);
        }
    });
    // What came during the last snapshots goes with the next two.
    for n in 0..2 {
        store.set("last", [n]).unwrap();
        look(&store);
    }
    assert!(store.stats().unwrap().wal_bytes <= MIB + 10_000);
    store.validate();
    let before = contents(&store);
    assert_eq!(before.len(), 201);
    disk.kill();
    drop(store);
    assert_eq!(contents(&open(&disk, &options).unwrap()), before);
}

#[test]
fn a_disk_without_room_for_a_segment_may_have_it_for_a_snapshot() {
    let disk = SimDisk::new(1);
    let options = [("persistence", "wal"), ("sync", "never"), ("wal_segment_bytes", "4MiB")];
    let store = open(&disk, &options).unwrap();
    store.set("a", vec![1; 100_000]).unwrap();
    // The segment in use, and less than another one.
    disk.set_capacity(Some(5 * MIB));
    store.snapshot(None).unwrap();
    assert_eq!(files(&disk, "kvs").len(), 1);
    disk.set_capacity(Some(4 * MIB + 100_000));
    store.set("a", vec![2; 100_000]).unwrap();
    assert_eq!(store.snapshot(None).unwrap_err().status(), Status::NoSpace);
    assert_eq!(files(&disk, "kvs").len(), 1);
    store.set("b", "writes go on").unwrap();
}

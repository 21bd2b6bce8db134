//! A store that is opened with another `persistence` than the last time.

use super::*;
use crate::Status;

const KINDS: [&str; 4] = ["none", "wal", "snapshot", "hybrid"];

/// How one life of a store ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Close,
    /// The machine fails right after a sync.
    Crash,
}

/// One life: looks at what is there, changes it in every way, and ends. Returns what the next one is to
/// find.
fn live(disk: &SimDisk, kind: &str, ending: Ending, expected: &Held, life: u32) -> Held {
    let what = format!("life {life} with {kind}, {ending:?}");
    let store = open(disk, &[("persistence", kind)]).unwrap_or_else(|e| panic!("{what}: {e}"));
    if kind == "none" {
        // A store in memory: it neither sees the directory nor touches it.
        assert!(store.is_empty().unwrap());
        store.set("in memory", "x").unwrap();
        store.shutdown().unwrap();
        return expected.clone();
    }
    assert_eq!(contents(&store), *expected, "{what}");
    let revision = store.stats().unwrap().revision;
    store.set(format!("life {life}"), kind).unwrap();
    store.set("every", format!("{life}")).unwrap();
    store.set("gone", "x").unwrap();
    store.del("gone").unwrap();
    if life > 1 {
        store.del(format!("life {}", life - 2)).unwrap();
    }
    assert!(store.stats().unwrap().revision > revision);
    store.sync().unwrap();
    let held = contents(&store);
    match ending {
        Ending::Close => store.shutdown().unwrap(),
        Ending::Crash => {
            disk.crash();
            drop(store);
        }
    }
    held
}

type Held = BTreeMap<Vec<u8>, Vec<u8>>;

#[test]
fn every_change_of_persistence_keeps_what_was_there() {
    for first in KINDS {
        for second in KINDS {
            for endings in 0..4_u32 {
                let disk = SimDisk::new(u64::from(endings));
                let ending = |life: u32| match endings >> (life % 2) & 1 {
                    0 => Ending::Close,
                    _ => Ending::Crash,
                };
                let mut held = Held::new();
                for life in 0..6 {
                    let kind = if life % 2 == 0 { first } else { second };
                    held = live(&disk, kind, ending(life), &held, life);
                }
                let report = crate::recovery::verify(&disk, Path::new(DIR));
                assert!(
                    report.as_ref().map_or((first, second) == ("none", "none"), |r| r.is_sound()),
                    "{first}, {second}, {endings}: {report:?}"
                );
            }
        }
    }
}

#[test]
fn a_damaged_snapshot_never_brings_back_what_came_before_it() {
    for kinds in [["wal", "snapshot", "wal"], ["hybrid", "snapshot", "hybrid"]] {
        for endings in [Ending::Close, Ending::Crash] {
            let disk = SimDisk::new(5);
            let mut held = Held::new();
            for (life, kind) in (0..).zip(kinds) {
                held = live(&disk, kind, endings, &held, life);
            }
            // The snapshot of the middle life is all there is of that life.
            let newest = files(&disk, "kvs").pop().unwrap();
            disk.erase(&newest).unwrap();
            let error = open(&disk, &[("persistence", "wal")]).unwrap_err();
            assert_eq!(error.status(), Status::Corrupt, "{error}");
        }
    }
}

#[test]
fn a_log_that_is_not_kept_any_more_goes() {
    let disk = SimDisk::new(5);
    let store = open(&disk, &[("persistence", "wal")]).unwrap();
    for n in 0..100 {
        store.set(format!("key {n}"), vec![n; 3_000]).unwrap();
    }
    store.shutdown().unwrap();
    assert!(files(&disk, "log").len() > 3);
    let store = open(&disk, &[("persistence", "snapshot"), ("snapshot_keep", "1")]).unwrap();
    store.set("key 0", "changed").unwrap();
    store.snapshot(None).unwrap();
    assert!(files(&disk, "log").is_empty());
    let held = contents(&store);
    store.shutdown().unwrap();
    let report = crate::recovery::verify(&disk, Path::new(DIR)).unwrap();
    assert!(report.findings.is_empty(), "{report:?}");
    assert_eq!(contents(&open(&disk, &[("persistence", "wal")]).unwrap()), held);
}

#[test]
fn half_a_header_is_no_damage_to_a_store_without_a_log() {
    let disk = SimDisk::new(5);
    let store = open(&disk, &[("persistence", "wal")]).unwrap();
    store.set("a", "1").unwrap();
    store.sync().unwrap();
    disk.kill();
    drop(store);
    // A crash while the log went on in its next segment.
    let mut half = vec![0; 64 << 10];
    half[..20].copy_from_slice(b"libkvwal\x01\0\0\0\0\0\0\0half");
    disk.put(Path::new(DIR).join(crate::wal::segment_name(2)), &half).unwrap();
    for _ in 0..2 {
        let store = open(&disk, &[("persistence", "snapshot")]).unwrap();
        assert_eq!(&*store.get("a").unwrap().unwrap(), b"1");
        store.shutdown().unwrap();
    }
}

//! Opening, locking and closing a directory, and what must be in it.

use std::path::Path;

use super::*;
use crate::io::{Call, Fault, SYNCS, SimDisk};

const DIR: &str = "/data/store";

fn open(disk: &SimDisk) -> Result<Directory> {
    Directory::open(disk.disk(), Path::new(DIR), 1000)
}

fn status<T>(result: Result<T>) -> Option<Status> {
    result.err().map(|error| error.status())
}

const MARK: CleanMark = CleanMark { segment: 2, end: 300, last_lsn: 7, revision: 9, time_ms: 1100 };

#[test]
fn one_opener_at_a_time() {
    let disk = SimDisk::new(1);
    let first = open(&disk).unwrap();
    assert_eq!(status(open(&disk)), Some(Status::Locked));
    first.close(None).unwrap();
    let second = open(&disk).unwrap();
    assert_eq!(second.store_id(), first.store_id());
    drop(second);
    assert!(open(&disk).is_ok());
}

#[test]
fn what_was_noted_survives_a_crash() {
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let dir = open(&disk).unwrap();
        let id = dir.store_id();
        dir.enrol_segment(4).unwrap();
        dir.reserve_revisions(99).unwrap();
        dir.enrol_segment(3).unwrap();
        disk.crash();
        let dir = open(&disk).unwrap();
        assert_eq!(dir.store_id(), id);
        let roll = Roll { segment: 4, snapshot: None, revision_ceiling: 99 };
        assert_eq!((dir.roll(), dir.clean_mark()), (roll, None));
        dir.close(Some(MARK)).unwrap();
        disk.crash();
        let dir = open(&disk).unwrap();
        assert_eq!(dir.clean_mark(), Some(MARK));
        dir.begin_life().unwrap();
        disk.crash();
        assert_eq!(open(&disk).unwrap().clean_mark(), None);
    }
}

#[test]
fn a_crash_or_an_error_at_any_call_leaves_a_directory_that_opens() {
    let work = |disk: &SimDisk| -> Result<[u8; 16]> {
        let dir = open(disk)?;
        dir.enrol_segment(1)?;
        dir.close(Some(MARK))?;
        Ok(dir.store_id())
    };
    let calls = {
        let disk = SimDisk::new(0);
        work(&disk).unwrap();
        disk.calls()
    };
    for at in 1..=calls {
        for seed in 0..8 {
            let disk = SimDisk::new(seed);
            disk.cut_power_after(at);
            let _ = work(&disk);
            disk.crash();
            work(&disk).unwrap();
        }
        let disk = SimDisk::new(at);
        disk.inject(Fault::at(at, libc::ENOSPC));
        let _ = work(&disk);
        disk.clear_faults();
        work(&disk).unwrap();
    }
}

#[test]
fn a_mark_that_comes_back_is_not_believed() {
    let mut came_back = 0;
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        open(&disk).unwrap().close(Some(MARK)).unwrap();
        let dir = open(&disk).unwrap();
        assert_eq!(dir.clean_mark(), Some(MARK));
        disk.inject(Fault::at(1, libc::EIO).of(&[Call::SyncDir]));
        assert_eq!(status(dir.begin_life()), Some(Status::Io));
        disk.kill();
        // Nothing was written in that life, so the mark would still be right.
        let dir = open(&disk).unwrap();
        assert_eq!(dir.clean_mark(), None);
        dir.settle().unwrap();
        dir.begin_life().unwrap();
        disk.crash();
        came_back += usize::from(disk.contents(Path::new(DIR).join(CLOSED)).is_some());
        let dir = open(&disk).unwrap();
        assert_eq!(dir.clean_mark(), None, "seed {seed}");
        dir.close(Some(MARK)).unwrap();
        assert_eq!(open(&disk).unwrap().clean_mark(), Some(MARK));
    }
    assert!(came_back > 0, "the disk never lost a removal");
}

#[test]
fn a_snapshot_whose_name_may_be_lost_is_taken_back() {
    let disk = SimDisk::new(3);
    let dir = open(&disk).unwrap();
    let fail = |dir: &Directory, lsn| {
        disk.put(dir.snapshot_tmp_path(lsn), b"new").unwrap();
        disk.inject(Fault::at(1, libc::EIO).of(&[Call::SyncDir]));
        assert_eq!(status(dir.publish_snapshot(lsn)), Some(Status::Io));
    };
    disk.put(dir.snapshot_tmp_path(5), b"old").unwrap();
    dir.publish_snapshot(5).unwrap();
    fail(&dir, 6);
    assert!(disk.contents(dir.snapshot_path(6)).is_none());
    // One that replaces another is as good as that.
    fail(&dir, 5);
    assert!(disk.contents(dir.snapshot_path(5)).is_some());
    assert_eq!(dir.roll().snapshot, Some(5));
}

#[test]
fn a_full_disk_and_a_failed_sync_are_told() {
    let disk = SimDisk::new(3);
    let dir = open(&disk).unwrap();
    disk.inject(Fault::at(1, libc::ENOSPC).of(&[Call::Write]));
    assert_eq!(status(dir.enrol_segment(1)), Some(Status::NoSpace));
    disk.inject(Fault::at(1, libc::EIO).of(SYNCS));
    assert_eq!(status(dir.enrol_segment(1)), Some(Status::Io));
    assert_eq!(dir.roll().segment, 0);
    dir.enrol_segment(1).unwrap();
}

#[test]
fn a_missing_or_damaged_identity_is_never_made_anew() {
    let disk = SimDisk::new(1);
    drop(open(&disk).unwrap());
    let path = Path::new(DIR).join(STORE);
    let bytes = disk.contents(&path).unwrap();
    for len in 0..bytes.len() {
        disk.put(&path, &bytes[..len]).unwrap();
        assert_eq!(status(open(&disk)), Some(Status::Corrupt), "{len}");
    }
    disk.erase(&path).unwrap();
    for name in ["wal-00000000000000000001.log", "snapshot-00000000000000000009.kvs", CLOSED] {
        let other = Path::new(DIR).join(name);
        disk.put(&other, b"").unwrap();
        let error = open(&disk).unwrap_err();
        assert!(error.message().contains("STORE is missing"), "{error}");
        disk.erase(&other).unwrap();
    }
    assert!(open(&disk).is_ok());
}

#[test]
fn only_our_own_leftovers_are_swept() {
    let disk = SimDisk::new(1);
    drop(open(&disk).unwrap());
    let foreign = ["a.tmp", "wal-1.log", "wal-1.tmp", "STORE.bak", "snapshot-x.kvs", "notes.txt"];
    let ours = ["STORE.tmp", "wal-00000000000000000007.tmp", "snapshot-00000000000000000007.tmp"];
    for name in foreign.iter().chain(&ours) {
        disk.put(Path::new(DIR).join(name), b"x").unwrap();
    }
    let dir = open(&disk).unwrap();
    for name in foreign {
        assert!(disk.contents(dir.path().join(name)).is_some(), "{name}");
    }
    for name in ours {
        assert!(disk.contents(dir.path().join(name)).is_none(), "{name}");
    }
    assert!(!dir.files().unwrap().has_data());
}

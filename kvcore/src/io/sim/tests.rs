//! The model of a disk, held against what POSIX promises and what it does not.

#![allow(clippy::unwrap_used)]

mod contents;
mod names;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::thread;

use super::*;
use crate::io::{read_exact_at, write_all_at};

fn path(name: &str) -> PathBuf {
    Path::new("/db").join(name)
}

/// A disk with a directory that survives.
fn disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.create_dir_all(Path::new("/db")).unwrap();
    disk
}

/// A disk with a file that survives, open to write.
fn disk_with_file(seed: u64, bytes: &[u8]) -> (SimDisk, Box<dyn DiskFile>) {
    let disk = disk(seed);
    let file = disk.create(&path("file")).unwrap();
    write_all_at(&*file, bytes, 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/db")).unwrap();
    (disk, file)
}

fn os_code<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn file_of(disk: &SimDisk) -> Vec<u8> {
    disk.contents(path("file")).unwrap()
}

/// What each of many crashes leaves.
fn outcomes<T: Ord>(disk: &SimDisk, see: impl Fn(&SimDisk) -> T) -> BTreeSet<T> {
    let crashed = (0..400).map(|seed| {
        let copy = disk.duplicate(seed);
        copy.crash();
        see(&copy)
    });
    crashed.collect()
}

#[test]
fn faults_strike_the_call_they_are_meant_for() {
    let (disk, file) = disk_with_file(14, b"abc");
    let before = disk.calls();
    disk.inject(Fault::at(2, libc::EIO).of(&[Call::Read]));
    disk.inject(Fault::at(1, libc::EACCES).on("other"));
    let mut bytes = [0; 3];
    file.read_at(&mut bytes, 0).unwrap();
    file.len().unwrap();
    assert_eq!(os_code(file.read_at(&mut bytes, 0)), Some(libc::EIO));
    file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(os_code(disk.create(&path("other"))), Some(libc::EACCES));
    assert!(!disk.exists(&path("other")).unwrap());
    assert_eq!((disk.calls() - before, disk.calls_of(Call::Read)), (6, 3));

    disk.inject(Fault::at(2, libc::EDQUOT).lasting());
    file.len().unwrap();
    assert_eq!(os_code(file.len()), Some(libc::EDQUOT));
    assert_eq!(os_code(disk.list(Path::new("/db"))), Some(libc::EDQUOT));
    disk.clear_faults();
    file.len().unwrap();
}

#[test]
fn a_failed_write_may_have_written_a_part() {
    let seen: BTreeSet<Vec<u8>> = (0..100)
        .map(|seed| {
            let (disk, file) = disk_with_file(seed, b"");
            disk.inject(Fault::at(1, libc::EIO).of(&[Call::Write]));
            assert_eq!(os_code(file.write_at(b"ab", 0)), Some(libc::EIO));
            file_of(&disk)
        })
        .collect();
    let expected: [&[u8]; 3] = [b"", b"a", b"ab"];
    assert_eq!(seen, expected.map(<[u8]>::to_vec).into());
}

#[test]
fn the_power_can_be_cut_between_any_two_calls() {
    for calls in 0..8 {
        let (disk, file) = disk_with_file(15, b"");
        disk.cut_power_after(calls);
        let mut went_well = 0;
        for _ in 0..4 {
            went_well += u64::from(file.write_at(b"x", went_well).is_ok());
            went_well += u64::from(file.sync_data().is_ok());
        }
        assert_eq!(went_well, calls);
        assert_eq!(disk.has_power(), calls == 8);
        assert_eq!(os_code(disk.list(Path::new("/db"))), Some(libc::EIO));
        assert!(!disk.has_power());
        disk.crash_with(Survivors::Nothing);
        assert!(disk.has_power());
        assert_eq!(file_of(&disk).iter().filter(|&&byte| byte == b'x').count() as u64, calls / 2);
    }
}

#[test]
fn what_was_open_is_dead_after_a_crash() {
    let kill: fn(&SimDisk) = SimDisk::kill;
    for end in [SimDisk::crash, kill] {
        let (disk, file) = disk_with_file(16, b"abc");
        let lock = disk.lock(&path("LOCK")).unwrap().unwrap();
        end(&disk);
        assert_eq!(os_code(file.len()), Some(libc::EIO));
        assert_eq!(os_code(file.write_at(b"x", 0)), Some(libc::EIO));
        assert_eq!(os_code(file.sync_data()), Some(libc::EIO));
        let next = disk.lock(&path("LOCK")).unwrap().unwrap();
        // The lock of the one who died is not that of the next.
        lock.unlock();
        drop(lock);
        drop(file);
        assert!(disk.lock(&path("LOCK")).unwrap().is_none());
        drop(next);
        assert_eq!(file_of(&disk), b"abc");
    }
}

#[test]
fn one_opener_has_the_lock() {
    let disk = disk(17);
    let lock = disk.lock(&path("LOCK")).unwrap().unwrap();
    assert!(disk.clone().lock(&path("LOCK")).unwrap().is_none());
    lock.unlock();
    let next = disk.lock(&path("LOCK")).unwrap().unwrap();
    lock.unlock();
    drop(lock);
    assert!(disk.lock(&path("LOCK")).unwrap().is_none());
    drop(next);
    assert!(disk.lock(&path("LOCK")).unwrap().is_some());
}

#[test]
fn a_full_disk_takes_what_fits() {
    let (disk, file) = disk_with_file(18, &[1; 1024]);
    disk.set_capacity(Some(2048));
    assert_eq!(disk.free_bytes(Path::new("/db")).unwrap(), 1024);
    assert_eq!(file.write_at(&[2; 2000], 1000).unwrap(), 1048);
    assert_eq!(os_code(file.write_at(&[2; 10], 2048)), Some(libc::ENOSPC));
    assert_eq!(os_code(write_all_at(&*file, &[3; 2000], 1000)), Some(libc::ENOSPC));
    assert_eq!(file.len().unwrap(), 2048);
    // Writing over what is there takes no room.
    file.write_at(&[4; 2048], 0).unwrap();
    assert_eq!(os_code(file.allocate(2049)), Some(libc::ENOSPC));
    assert_eq!(file.len().unwrap(), 2048);
    file.set_len(512).unwrap();
    file.allocate(2048).unwrap();
    assert_eq!(disk.free_bytes(Path::new("/db")).unwrap(), 0);
    file.write_at(&[5; 2048], 0).unwrap();

    // A file that is open takes room without a name.
    disk.remove(&path("file")).unwrap();
    assert_eq!(disk.free_bytes(Path::new("/db")).unwrap(), 0);
    drop(file);
    assert_eq!(disk.free_bytes(Path::new("/db")).unwrap(), 2048);
    let file = disk.create(&path("next")).unwrap();
    assert_eq!(os_code(file.allocate(4096)), Some(libc::ENOSPC));
    disk.set_capacity(None);
    file.allocate(1 << 40).unwrap();
}

#[test]
fn reads_and_writes_can_be_short_but_never_empty() {
    let (disk, file) = disk_with_file(21, b"");
    disk.short_writes(1);
    disk.short_reads(1);
    let written = file.write_at(&[1; 100], 0).unwrap();
    assert!((1..100).contains(&written));
    assert_eq!(file.write_at(&[1], 0).unwrap(), 1);
    write_all_at(&*file, &[2; 3000], 7).unwrap();
    let mut bytes = [0; 3000];
    assert!((1..3000).contains(&file.read_at(&mut bytes, 7).unwrap()));
    read_exact_at(&*file, &mut bytes, 7).unwrap();
    assert!(bytes.iter().all(|&byte| byte == 2));
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let run = |seed| {
        let (disk, file) = disk_with_file(seed, &[1; 5000]);
        disk.short_writes(2);
        for n in 0..20u8 {
            file.write_at(&[n; 700], u64::from(n) * 400).unwrap();
            disk.create(&path(&format!("file-{n}"))).unwrap();
        }
        disk.crash();
        let paths = disk.paths();
        (paths.iter().map(|path| disk.contents(path)).collect::<Vec<_>>(), paths)
    };
    assert_eq!(run(22), run(22));
    assert_ne!(run(22), run(23));
}

#[test]
fn duplicates_are_disks_of_their_own() {
    let (disk, file) = disk_with_file(23, b"abc");
    disk.inject(Fault::at(1, libc::EIO).of(&[Call::Len]));
    let copy = disk.duplicate(0);
    copy.open(&path("file")).unwrap().len().unwrap();
    copy.erase(path("file")).unwrap();
    assert_eq!(copy.contents(path("file")), None);
    copy.put("/other/dir/file", b"x").unwrap();
    copy.crash_with(Survivors::Nothing);
    assert_eq!(copy.paths(), [Path::new("/other/dir/file")]);
    assert_eq!(os_code(file.len()), Some(libc::EIO));
    assert_eq!(file_of(&disk), b"abc");
    assert_eq!(disk.paths(), [path("file")]);
}

#[test]
fn threads_may_share_it() {
    let disk = disk(24);
    thread::scope(|scope| {
        for n in 0..4u8 {
            let disk = disk.clone();
            scope.spawn(move || {
                let file = disk.create(&path(&format!("{n}"))).unwrap();
                for at in 0..50 {
                    write_all_at(&*file, &[n; 100], at * 100).unwrap();
                    file.sync_data().unwrap();
                }
                disk.sync_dir(Path::new("/db")).unwrap();
            });
        }
    });
    disk.crash_with(Survivors::Nothing);
    for n in 0..4u8 {
        assert_eq!(disk.contents(path(&format!("{n}"))).unwrap(), [n; 5000]);
    }
}

//! Every call fails once, and the disk fills up: nothing acknowledged is lost, and nothing is
//! acknowledged after a failure.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::thread;

use super::*;
use crate::io::{Call, Fault, SYNCS};

const THREADS: u64 = 8;
const UNITS: u64 = 5;
const BYTES: usize = 4000;

/// Several threads write to a log, and say what was acknowledged. Some of the calls fail.
fn run(disk: &SimDisk, log: &Log) -> BTreeSet<u64> {
    let numbers = AtomicU64::new(0);
    let acknowledged = thread::scope(|scope| {
        let worker = |thread: u64| {
            let mut acknowledged = Vec::new();
            for at in 0..UNITS {
                let number = numbers.fetch_add(1, Ordering::SeqCst) + 1;
                let had_failed = log.fault().is_some();
                if write(log, number, BYTES + (thread * 97 + at) as usize).is_ok() {
                    assert!(!had_failed, "acknowledged after a failure");
                    acknowledged.push(number);
                }
                if thread == 0 {
                    // The same that a background thread does.
                    let _ = (log.sync(), log.mark_time());
                }
            }
            acknowledged
        };
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || worker(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    if let Some(fault) = log.fault() {
        assert_eq!(fault.status(), Status::Io);
        let calls = disk.calls();
        assert_eq!(write(log, 1000, BYTES).unwrap_err().status(), Status::Poisoned);
        assert!(log.sync().is_err() && log.close().is_err());
        assert_eq!(disk.calls(), calls, "a log that has failed touches nothing");
    }
    acknowledged
}

/// What is there must hold all that was acknowledged, and be what a log can go on from.
fn check(disk: &SimDisk, acknowledged: &BTreeSet<u64>, what: &str) {
    let found = read(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let there: BTreeSet<u64> = found.units.iter().copied().collect();
    assert_eq!(there.len(), found.units.len(), "{what}: a unit came twice");
    assert!(acknowledged.is_subset(&there), "{what}: lost {:?}", acknowledged - &there);
    let log = Log::begin(found.resume(disk, SyncMode::Always)).unwrap();
    write(&log, 500, 20).unwrap();
    drop(log);
    disk.crash();
    let again = read(disk).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    assert_eq!(again.units[..found.units.len()], found.units, "{what}");
    assert_eq!(again.units[found.units.len()..], [500], "{what}");
}

fn begun(seed: u64, mode: SyncMode) -> (SimDisk, Log) {
    let disk = disk(seed);
    disk.short_writes(3);
    let log = Log::begin(start(&disk, mode)).unwrap();
    (disk, log)
}

/// Lets the n-th call fail, for every n, and returns after the first run in which none did.
fn every_call(mode: SyncMode, fault: impl Fn(u64) -> Fault) {
    for n in 1.. {
        let (disk, log) = begun(n, mode);
        let before = disk.calls();
        disk.inject(fault(n));
        let acknowledged = run(&disk, &log);
        let none_failed = log.fault().is_none() && acknowledged.len() as u64 == THREADS * UNITS;
        let calls = disk.calls() - before;
        drop(log);
        disk.clear_faults();
        if mode == SyncMode::Always {
            disk.crash();
        } else {
            disk.kill();
        }
        check(&disk, &acknowledged, &format!("call {n}"));
        if none_failed && n > calls {
            assert!(n > 20, "there are more calls than that");
            return;
        }
    }
}

#[test]
fn every_call_fails_once_in_always() {
    every_call(SyncMode::Always, |n| Fault::at(n, libc::EIO));
}

#[test]
fn every_call_fails_from_then_on_in_always() {
    every_call(SyncMode::Always, |n| Fault::at(n, libc::EIO).lasting());
}

#[test]
fn every_call_fails_once_in_interval() {
    every_call(SyncMode::Interval, |n| Fault::at(n, libc::ENOSPC));
}

#[test]
fn every_sync_fails_once_in_interval() {
    every_call(SyncMode::Interval, |n| Fault::at(n, libc::EIO).of(SYNCS));
}

#[test]
fn every_sync_fails_once() {
    every_call(SyncMode::Always, |n| Fault::at(n, libc::EIO).of(SYNCS));
}

#[test]
fn power_is_cut_before_every_call() {
    for mode in [SyncMode::Always, SyncMode::Interval] {
        for n in 0..80 {
            let (disk, log) = begun(n, mode);
            disk.cut_power_after(n);
            let acknowledged = run(&disk, &log);
            let durable = log.durable_lsn();
            drop(log);
            disk.crash();
            let promised = if mode == SyncMode::Always { acknowledged } else { BTreeSet::new() };
            assert!(read(&disk).unwrap().units.len() as u64 >= durable);
            check(&disk, &promised, &format!("power cut after {n}"));
        }
    }
}

#[test]
fn beginning_may_fail_anywhere_and_be_repeated() {
    for n in 0.. {
        let disk = disk(n);
        disk.cut_power_after(n);
        let begun = Log::begin(start(&disk, SyncMode::Always));
        let worked = begun.is_ok();
        drop(begun);
        disk.crash();
        let found = read(&disk).unwrap();
        assert_eq!(found.units, [0; 0]);
        let log = Log::begin(found.resume(&disk, SyncMode::Always)).unwrap();
        write(&log, 1, 20).unwrap();
        drop(log);
        disk.crash();
        assert_eq!(read(&disk).unwrap().units, [1]);
        if worked {
            break;
        }
    }
}

#[test]
fn a_full_disk_refuses_before_anything_changes_and_resumes() {
    for seed in 0..20 {
        let disk = disk(seed);
        disk.set_capacity(Some(400 << 10));
        let start = LogStart { segment_bytes: 256 << 10, ..start(&disk, SyncMode::Always) };
        let log = Log::begin(start).unwrap();
        let (mut written, mut refused) = (0, 0);
        for step in 0..200u64 {
            let bytes = 200 + (step as usize * 7919 + seed as usize * 104_729) % 20_000;
            match write(&log, written + 1, bytes) {
                Ok(_) => written += 1,
                Err(error) => {
                    assert_eq!(error.status(), Status::NoSpace);
                    assert!(log.fault().is_none());
                    // Marks and barriers do not need what is not there, or say so.
                    log.sync().unwrap();
                    refused += 1;
                    disk.set_capacity(Some((400 << 10) + ((refused * 150) << 10)));
                }
            }
        }
        assert!(refused > 2, "{refused}");
        log.close().unwrap();
        disk.crash();
        assert_eq!(read(&disk).unwrap().units, (1..=written).collect::<Vec<_>>());
    }
}

#[test]
fn what_was_reserved_is_written_on_a_full_disk() {
    let disk = disk(1);
    let log = Log::begin(start(&disk, SyncMode::Always)).unwrap();
    write(&log, 1, 60_000).unwrap();
    let mut reserved = Vec::new();
    for bytes in [3000, 100, 50_000, 70_000, 12, 64_000, 200_000, 900] {
        while !log.reserve(bytes) {
            log.make_room(bytes).unwrap();
        }
        reserved.push(bytes);
    }
    disk.set_capacity(Some(0));
    log.tend().unwrap();
    let mut written = 1;
    for bytes in reserved.into_iter().rev() {
        written += 1;
        log.wait(log.append(&unit(written, bytes), 1, bytes)).unwrap();
    }
    let refused = (0..100).find_map(|_| write(&log, written + 1, 60_000).err());
    assert_eq!(refused.unwrap().status(), Status::NoSpace);
    let (head, room) = (log.sync(), log.make_room(1 << 20));
    head.unwrap();
    assert_eq!(room.unwrap_err().status(), Status::NoSpace);
    drop(log);
    disk.crash();
    assert!(read(&disk).unwrap().units.len() as u64 >= written);
}

#[test]
fn a_failed_preparation_leaves_the_log_as_it_was() {
    for call in [Call::Create, Call::Allocate, Call::Rename, Call::Exists] {
        let disk = disk(1);
        let log = Log::begin(start(&disk, SyncMode::Always)).unwrap();
        disk.inject(Fault::at(1, libc::EIO).of(&[call]));
        assert_eq!(log.make_room(100_000).unwrap_err().status(), Status::Io, "{call:?}");
        assert!(log.fault().is_none());
        write(&log, 1, 100_000).unwrap();
        log.close().unwrap();
        assert_eq!(read(&disk).unwrap().units, [1]);
    }
}

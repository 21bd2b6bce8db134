//! Threads that wait for one another's writes and syncs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::thread;

use super::*;
use crate::io::{Call, Disk, DiskFile, Fault};

/// Lets others run until it is so.
fn until(what: impl Fn() -> bool) {
    while !what() {
        thread::yield_now();
    }
}

#[test]
fn one_sync_covers_all_that_queued_before_it_began() {
    let disk = disk(1);
    let log = Log::begin(start(&disk, SyncMode::Always)).unwrap();
    let before = log.syncs();
    disk.hold_syncs();
    thread::scope(|scope| {
        scope.spawn(|| write(&log, 1, 20).unwrap());
        until(|| disk.syncs_held() == 1);
        for number in 2..=16 {
            // The numbers are in the order of the log only if the threads come one by one.
            let log = &log;
            scope.spawn(move || write(log, number, 20).unwrap());
            until(|| log.last_lsn() == number);
        }
        assert_eq!(log.durable_lsn(), 0, "nothing is durable while the sync goes on");
        disk.release_syncs();
    });
    assert_eq!(log.durable_lsn(), 16);
    assert_eq!(log.syncs() - before, 2);
    drop(log);
    disk.crash();
    assert_eq!(read(&disk).unwrap().units, (1..=16).collect::<Vec<_>>());
}

#[test]
fn appends_and_writes_go_on_while_a_sync_is_stuck() {
    let disk = disk(2);
    let log = Log::begin(start(&disk, SyncMode::Interval)).unwrap();
    write(&log, 1, 20).unwrap();
    disk.hold_syncs();
    thread::scope(|scope| {
        let sync = scope.spawn(|| log.sync());
        until(|| disk.syncs_held() == 1);
        // None of these waits for the sync.
        for number in 2..=50 {
            write(&log, number, 20).unwrap();
        }
        assert!(log.reserve(10) && log.revision_room(1));
        log.release(10);
        assert_eq!((log.last_lsn(), log.durable_lsn(), log.segments().len()), (50, 0, 1));
        disk.release_syncs();
        sync.join().unwrap().unwrap();
    });
    assert!(log.durable_lsn() >= 1);
}

#[test]
fn waiting_for_what_nobody_queued_does_not_hang() {
    let disk = disk(3);
    let log = Log::begin(start(&disk, SyncMode::Always)).unwrap();
    write(&log, 1, 20).unwrap();
    log.wait(u64::MAX).unwrap();
    log.set_mode(SyncMode::Never);
    log.wait(u64::MAX).unwrap();
}

#[test]
fn the_error_of_the_leader_reaches_all_who_wait() {
    let disk = disk(4);
    let log = Log::begin(start(&disk, SyncMode::Always)).unwrap();
    disk.hold_syncs();
    disk.fail_sync_once();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for number in 1..=8 {
            let log = &log;
            threads.push(scope.spawn(move || write(log, number, 20)));
            until(|| log.last_lsn() == number);
            until(|| disk.syncs_held() == 1);
        }
        disk.release_syncs();
        for thread in threads {
            let error = thread.join().unwrap().unwrap_err();
            assert_eq!((error.status(), error.os_code()), (Status::Io, Some(libc::EIO)));
        }
    });
    // Those who come later are told that it happened, and nothing is tried again.
    let syncs = disk.calls_of(Call::SyncData);
    let reserved = log.reserve(12);
    let lsn = log.append(&unit(9, 12), 1, 12);
    assert!(reserved);
    for mode in [SyncMode::Always, SyncMode::Interval] {
        log.set_mode(mode);
        assert_eq!(log.wait(lsn).unwrap_err().status(), Status::Poisoned);
        assert_eq!(log.wait(1).unwrap_err().status(), Status::Io);
    }
    for refused in
        [log.sync(), log.mark_time(), log.make_room(5), log.tend(), log.make_revision_room()]
    {
        assert_eq!(refused.unwrap_err().status(), Status::Poisoned);
    }
    assert_eq!(log.rotate(0).unwrap_err().status(), Status::Poisoned);
    assert_eq!(log.close().unwrap_err().status(), Status::Poisoned);
    assert_eq!(log.fault().unwrap().status(), Status::Io);
    assert_eq!(disk.calls_of(Call::SyncData), syncs);
    assert_eq!(log.durable_lsn(), 0);
}

#[test]
fn records_without_room_stop_the_log() {
    let disk = disk(5);
    let log = Log::begin(start(&disk, SyncMode::Interval)).unwrap();
    write(&log, 1, 20).unwrap();
    let lsn = log.append(&unit(2, 100_000), 1, 100_000);
    assert_eq!(log.wait(lsn).unwrap_err().status(), Status::Poisoned);
    assert_eq!(log.fault().unwrap().status(), Status::Panic);
    disk.kill();
    assert_eq!(read(&disk).unwrap().units, [1]);
}

/// A disk whose files panic in the n-th call.
#[derive(Debug)]
struct Panicking {
    inner: SimDisk,
    left: Arc<AtomicU64>,
}

#[derive(Debug)]
struct PanickingFile {
    inner: Box<dyn DiskFile>,
    left: Arc<AtomicU64>,
}

fn count_down(left: &AtomicU64) {
    let before = left.fetch_sub(1, Ordering::SeqCst);
    assert_ne!(before, 1, "planted");
}

impl Disk for Panicking {
    fn create_dir_all(&self, dir: &Path) -> std::io::Result<()> {
        self.inner.create_dir_all(dir)
    }
    fn exists(&self, path: &Path) -> std::io::Result<bool> {
        self.inner.exists(path)
    }
    fn list(&self, dir: &Path) -> std::io::Result<Vec<crate::io::Listed>> {
        self.inner.list(dir)
    }
    fn create(&self, path: &Path) -> std::io::Result<Box<dyn DiskFile>> {
        count_down(&self.left);
        let inner = self.inner.create(path)?;
        Ok(Box::new(PanickingFile { inner, left: Arc::clone(&self.left) }))
    }
    fn open(&self, path: &Path) -> std::io::Result<Box<dyn DiskFile>> {
        self.inner.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        self.inner.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> std::io::Result<()> {
        count_down(&self.left);
        self.inner.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> std::io::Result<Option<Box<dyn crate::io::DirLock>>> {
        self.inner.lock(path)
    }
    fn free_bytes(&self, dir: &Path) -> std::io::Result<u64> {
        self.inner.free_bytes(dir)
    }
}

impl DiskFile for PanickingFile {
    fn len(&self) -> std::io::Result<u64> {
        self.inner.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<usize> {
        count_down(&self.left);
        self.inner.write_at(bytes, offset)
    }
    fn allocate(&self, len: u64) -> std::io::Result<()> {
        count_down(&self.left);
        self.inner.allocate(len)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.inner.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        count_down(&self.left);
        self.inner.sync_data()
    }
    fn sync_all(&self) -> std::io::Result<()> {
        count_down(&self.left);
        self.inner.sync_all()
    }
}

#[test]
fn a_panic_anywhere_hangs_nobody_and_loses_nothing() {
    for n in 1..=40 {
        let disk = disk(n);
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let panicking = Panicking { inner: disk.clone(), left: Arc::clone(&left) };
        let begin = LogStart { disk: Arc::new(panicking), ..start(&disk, SyncMode::Always) };
        let log = Log::begin(begin).unwrap();
        left.store(n, Ordering::SeqCst);
        let numbers = AtomicU64::new(0);
        let acknowledged = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut acknowledged = Vec::new();
                        for _ in 0..6 {
                            let number = numbers.fetch_add(1, Ordering::SeqCst) + 1;
                            let was_sound = log.fault().is_none();
                            let written =
                                catch_unwind(AssertUnwindSafe(|| write(&log, number, 9000)));
                            if let Ok(Ok(_)) = written {
                                assert!(was_sound, "acknowledged after a panic");
                                acknowledged.push(number);
                            }
                        }
                        acknowledged
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        if left.load(Ordering::SeqCst) > n {
            assert_eq!(log.fault().unwrap().status(), Status::Panic, "call {n}");
        }
        drop(log);
        disk.crash();
        let units = read(&disk).unwrap().units;
        assert!(acknowledged.iter().all(|number| units.contains(number)), "call {n}");
    }
}

#[test]
fn a_failed_write_is_not_written_behind() {
    let disk = disk(6);
    let log = Log::begin(start(&disk, SyncMode::Interval)).unwrap();
    write(&log, 1, 20).unwrap();
    disk.inject(Fault::at(1, libc::EIO).of(&[Call::Write]));
    assert_eq!(write(&log, 2, 20).unwrap_err().status(), Status::Io);
    let writes = disk.calls_of(Call::Write);
    assert_eq!(write(&log, 3, 20).unwrap_err().status(), Status::Poisoned);
    assert_eq!(disk.calls_of(Call::Write), writes);
    disk.kill();
    assert_eq!(read(&disk).unwrap().units[0], 1);
}

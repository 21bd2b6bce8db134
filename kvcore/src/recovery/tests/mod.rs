//! Recovery of directories that were closed, cut off, damaged or robbed of files.

// Also outside of the tests themselves.
#![allow(clippy::unwrap_used)]

mod log;
mod room;
mod salvage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::clock::ManualClock;
use crate::directory::{CLOSED, CleanMark, LOCK};
use crate::entry::NEVER;
use crate::io::{Call, SimDisk, Survivors};
use crate::record::Record;
use crate::snapshot::{Compression, SnapshotWriter};
use crate::stats::LatencyMeter;
use crate::sync::Mutex;
use crate::wal::{Log, LogStart, SyncMode};

const DIR: &str = "/data/store";

pub(super) type Map = BTreeMap<Vec<u8>, (Vec<u8>, i64, u64)>;

/// An engine that is a map.
#[derive(Default)]
pub(super) struct Model(pub(super) Mutex<Map>);

impl Target for Model {
    fn begin(&self, _: &str, _: u64) {}
    fn make(&self, steps: &[Step<'_>]) -> Result<()> {
        let mut map = self.0.lock();
        for step in steps {
            match *step {
                Step::Put(Saved { key, value, deadline, version, .. }) => {
                    map.insert(key.to_vec(), (value.to_vec(), deadline, version));
                }
                Step::Delete(key) => drop(map.remove(key)),
                Step::Touch { key, deadline, version } => {
                    if let Some(entry) = map.get_mut(key) {
                        (entry.1, entry.2) = (deadline, version);
                    }
                }
            }
        }
        Ok(())
    }
    fn part_of(&self, key: &[u8], parts: usize) -> usize {
        key.iter().map(|&byte| usize::from(byte)).sum::<usize>() % parts
    }
    fn clear(&self) -> Result<()> {
        self.0.lock().clear();
        Ok(())
    }
    fn finish(&self, expired: &dyn Fn(u64, i64) -> bool) -> Result<()> {
        self.0.lock().retain(|_, entry| !expired(entry.2, entry.1));
        Ok(())
    }
}

fn recovered(dir: &Directory, clock: &Clock) -> Result<(Recovered, Map)> {
    let model = Model::default();
    let mut recovered = recover(dir, &model, &|_| (), 2, clock)?;
    // Reports are compared, and no two take as long.
    recovered.report.seconds = 0.0;
    Ok((recovered, model.0.into_inner()))
}

/// A store of few parts: a map, a log and a directory.
struct Small {
    dir: Directory,
    log: Log,
    map: Map,
    revision: u64,
    clock: Clock,
    hand: ManualClock,
}

impl Small {
    fn open(disk: &SimDisk, now_ms: u64) -> Result<Small> {
        Small::with_segments(disk, now_ms, 0)
    }

    fn with_segments(disk: &SimDisk, now_ms: u64, segment_bytes: u64) -> Result<Small> {
        let (clock, hand) = Clock::manual(now_ms);
        let dir = Directory::open(disk.disk(), Path::new(DIR), now_ms as i64)?;
        let (found, map) = recovered(&dir, &clock)?;
        dir.begin_life()?;
        let log = Log::begin(LogStart {
            disk: disk.disk(),
            dir: PathBuf::from(DIR),
            names: dir.names().clone(),
            store_id: dir.store_id(),
            segment: found.next_segment,
            first_lsn: found.last_lsn + 1,
            previous: found.previous,
            revision: found.revision,
            segment_bytes,
            mode: SyncMode::Always,
            clock: clock.clone(),
            older: found.segments,
            latency: Arc::new(LatencyMeter::new()),
        })?;
        dir.enrol_segment(found.next_segment)?;
        Ok(Small { dir, log, map, revision: found.revision, clock, hand })
    }

    fn log(&self, record: &Record<'_>) -> Result<()> {
        let mut unit = Vec::new();
        record.encode(&mut unit);
        while !self.log.reserve(unit.len()) {
            self.log.make_room(unit.len())?;
        }
        let lsn = self.log.append(&unit, 1, unit.len());
        self.log.wait(lsn)
    }

    fn set_until(&mut self, key: &str, value: &[u8], deadline: i64) -> Result<()> {
        self.revision += 1;
        let (version, key) = (self.revision, key.as_bytes());
        let created_at_ms = None;
        self.log(&Record::Set { key, value: [value, b""], deadline, version, created_at_ms })?;
        self.map.insert(key.to_vec(), (value.to_vec(), deadline, version));
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        self.set_until(key, value.as_bytes(), NEVER)
    }

    fn delete(&mut self, key: &str) -> Result<()> {
        self.revision += 1;
        self.log(&Record::Delete { key: key.as_bytes(), version: self.revision })?;
        self.map.remove(key.as_bytes());
        Ok(())
    }

    fn snapshot(&mut self, keep: usize) -> Result<u64> {
        self.log.sync()?;
        let segment = self.log.rotate(0)?;
        let lsn = self.log.last_lsn();
        let head = SnapshotHead {
            store_id: self.dir.store_id(),
            lsn,
            segment,
            revision: self.revision,
            time_ms: self.clock.now_ms(),
            eviction: "lru".into(),
            has_log: true,
        };
        let path = self.dir.snapshot_tmp_path(lsn);
        let disk = self.dir.disk();
        crate::directory::remove(&**disk, &path)?;
        let writer = SnapshotWriter::create(&**disk, &path, &head, Compression::None)?;
        let mut packer = writer.packer();
        for (key, &(ref value, deadline, version)) in &self.map {
            packer.push(&Saved::unused(key, value, deadline, version, None))?;
        }
        packer.finish()?;
        writer.finish()?;
        self.dir.publish_snapshot(lsn)?;
        self.log.retire_before(self.dir.retire(keep)?)?;
        Ok(lsn)
    }

    fn close(self) -> Result<Map> {
        let end = self.log.close()?;
        self.dir.close(Some(CleanMark {
            segment: end.segment,
            end: end.end,
            last_lsn: end.last_lsn,
            revision: self.revision,
            time_ms: self.clock.now_ms(),
        }))?;
        Ok(self.map)
    }
}

/// What a disk holds.
fn look(disk: &SimDisk, now_ms: u64) -> Result<(Recovered, Map)> {
    let (clock, _) = Clock::manual(now_ms);
    let dir = Directory::open(disk.disk(), Path::new(DIR), now_ms as i64)?;
    recovered(&dir, &clock)
}

/// Three lives, with two snapshots and every kind of change. The last one was closed.
fn lived() -> (SimDisk, Map) {
    let disk = SimDisk::new(7);
    let mut store = Small::open(&disk, 1000).unwrap();
    for number in 0..5 {
        store.set(&format!("a{number}"), "one").unwrap();
    }
    store.snapshot(2).unwrap();
    store.delete("a1").unwrap();
    store.close().unwrap();
    let mut store = Small::open(&disk, 2000).unwrap();
    store.set("b", "two").unwrap();
    store.snapshot(2).unwrap();
    store.set("a0", "three").unwrap();
    drop(store);
    disk.crash();
    let mut store = Small::open(&disk, 3000).unwrap();
    store.delete("a2").unwrap();
    let map = store.close().unwrap();
    (disk, map)
}

fn status<T>(result: &Result<T>) -> Option<Status> {
    result.as_ref().err().map(|error| error.status())
}

#[test]
fn a_new_directory_is_an_empty_store() {
    let disk = SimDisk::new(1);
    let (found, map) = look(&disk, 5).unwrap();
    assert!(map.is_empty() && found.segments.is_empty());
    assert_eq!((found.last_lsn, found.next_segment, found.previous), (0, 1, None));
    assert_eq!(found.report, RecoveryReport::default());
    assert!(found.report.to_json().contains("\"fallback_used\":false"));
}

#[test]
fn what_was_closed_comes_back_again_and_again() {
    let (disk, map) = lived();
    for _ in 0..3 {
        let (found, again) = look(&disk, 4000).unwrap();
        assert_eq!(again, map);
        assert_eq!((found.report.discarded_bytes, found.report.fallback_used), (0, false));
        assert_eq!(found.report.records, 2);
        assert!(found.report.snapshot_revision > 0);
    }
    let before = disk.paths();
    let report = verify(&disk, Path::new(DIR)).unwrap();
    assert!(report.findings.is_empty(), "{report:?}");
    assert_eq!(disk.paths(), before);
    assert_eq!(Small::open(&disk, 4000).unwrap().close().unwrap(), map);
}

#[test]
fn a_second_opener_is_refused() {
    let (disk, _) = lived();
    let store = Small::open(&disk, 4000).unwrap();
    assert_eq!(status(&look(&disk, 4000)), Some(Status::Locked));
    assert_eq!(status(&verify(&disk, Path::new(DIR))), Some(Status::Locked));
    drop(store);
    assert!(look(&disk, 4000).is_ok());
}

#[test]
fn no_file_can_go_missing_unseen() {
    let (disk, map) = lived();
    let mut errors = 0;
    for path in disk.paths() {
        let robbed = disk.duplicate(3);
        robbed.erase(&path).unwrap();
        let report = verify(&robbed, Path::new(DIR)).unwrap();
        match look(&robbed, 4000) {
            Ok((found, again)) => {
                assert_eq!(again, map, "{}", path.display());
                let newest = found.report.fallback_used;
                let spare = path.ends_with(LOCK) || path.ends_with(CLOSED);
                assert!(newest || spare || report.is_sound() || !report.findings.is_empty());
            }
            Err(error) => {
                errors += 1;
                assert_eq!(error.status(), Status::Corrupt, "{error}");
                assert!(!report.is_sound(), "{}", path.display());
            }
        }
    }
    assert!(errors >= 3);
}

#[test]
fn the_newest_snapshot_can_be_done_without() {
    let (disk, map) = lived();
    let mut snapshots = disk.paths();
    snapshots.retain(|path| path.extension().is_some_and(|end| end == "kvs"));
    let newest = snapshots.pop().unwrap();
    let robbed = disk.duplicate(1);
    robbed.erase(&newest).unwrap();
    let (found, again) = look(&robbed, 4000).unwrap();
    assert!(found.report.fallback_used && again == map);
    assert!(found.report.reason.contains("is missing"), "{}", found.report.reason);
    // Without the older one too, only the whole log would do, and the log may go back so far.
    for path in snapshots {
        robbed.erase(&path).unwrap();
    }
    match look(&robbed, 4000) {
        Ok((_, again)) => assert_eq!(again, map),
        Err(error) => assert_eq!(error.status(), Status::Corrupt),
    }
}

#[test]
fn no_bit_can_flip_unseen() {
    let (disk, map) = lived();
    for path in disk.paths() {
        let bytes = disk.contents(&path).unwrap();
        // All bits of what is not empty, and one in a while of what was prepared and not used.
        let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        // Behind the end that the next segment states, a crash may have left anything.
        let ended_in_a_crash = path.ends_with("wal-00000000000000000004.log");
        let padding = if ended_in_a_crash { used } else { bytes.len() };
        let few = (used..padding).step_by(7919);
        for at in (0..used).chain(few) {
            let flipped = disk.duplicate(1);
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            flipped.put(&path, &changed).unwrap();
            match look(&flipped, 4000) {
                Ok((found, again)) => {
                    assert_eq!(again, map, "{} {at}", path.display());
                    if !found.report.fallback_used {
                        // It was not needed.
                        let report = verify(&flipped, Path::new(DIR)).unwrap();
                        assert!(!report.is_sound(), "{} {at}", path.display());
                    } else {
                        assert!(found.report.reason.contains("at offset"));
                    }
                }
                Err(error) => {
                    let name = path.file_name().unwrap().to_str().unwrap();
                    let known = [Status::Corrupt, Status::Unsupported].contains(&error.status());
                    assert!(known && error.message().contains("offset"), "{error}");
                    assert!(error.message().contains(name), "{name} {at}: {error}");
                }
            }
        }
    }
}

#[test]
fn a_torn_tail_is_cut_off_and_told() {
    let disk = SimDisk::new(5);
    let mut store = Small::open(&disk, 1000).unwrap();
    store.set("kept", "1").unwrap();
    let map = store.map.clone();
    store.set("torn", "2").unwrap();
    let path = store.dir.segment_path(1);
    drop(store);
    let mut bytes = disk.contents(&path).unwrap();
    let last = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    bytes[last] ^= 1;
    disk.put(&path, &bytes).unwrap();
    assert!(verify(&disk, Path::new(DIR)).unwrap().findings.iter().any(|found| found.harmless));
    let mut reports = Vec::new();
    for _ in 0..3 {
        let (found, again) = look(&disk, 1000).unwrap();
        assert_eq!(again, map);
        assert!(found.report.discarded_bytes > 0 && found.report.reason.contains("wal-"));
        reports.push(found.report);
    }
    assert!(reports.windows(2).all(|pair| pair[0] == pair[1]));
    let mut store = Small::open(&disk, 1000).unwrap();
    store.set("later", "3").unwrap();
    let map = store.close().unwrap();
    assert_eq!(look(&disk, 1000).unwrap().1, map);
}

#[test]
fn crashes_during_recovery_change_nothing() {
    let disk = SimDisk::new(5);
    let mut store = Small::open(&disk, 1000).unwrap();
    for number in 0..20 {
        store.set(&format!("key {number}"), "value").unwrap();
    }
    store.snapshot(2).unwrap();
    store.delete("key 3").unwrap();
    let map = store.map.clone();
    drop(store);
    disk.crash();
    let whole = disk.duplicate(1);
    let before = whole.calls();
    look(&whole, 1000).unwrap();
    for at in 1..=whole.calls() - before {
        let mut disk = disk.duplicate(at);
        for depth in 0..3 {
            disk.cut_power_after((at + depth) % (whole.calls() - before) + 1);
            let _ = look(&disk, 1000);
            disk.crash();
            disk = disk.duplicate(at + depth);
        }
        assert_eq!(look(&disk, 1000).unwrap().1, map, "{at}");
    }
}

#[test]
fn what_was_seen_after_a_failed_sync_stays() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let mut store = Small::open(&disk, 1000).unwrap();
        store.set("first", "1").unwrap();
        disk.fail_sync_once();
        assert!(store.set("second", "2").is_err());
        drop(store);
        disk.kill();
        let mut store = Small::open(&disk, 1000).unwrap();
        store.set("third", "3").unwrap();
        let map = store.map.clone();
        drop(store);
        disk.crash_with(Survivors::Nothing);
        assert_eq!(look(&disk, 1000).unwrap().1, map, "seed {seed}");
    }
}

#[test]
fn a_read_error_is_never_an_end() {
    let (disk, map) = lived();
    let whole = disk.duplicate(1);
    let before = whole.calls_of(Call::Read);
    look(&whole, 4000).unwrap();
    for at in 1..=whole.calls_of(Call::Read) - before {
        let disk = disk.duplicate(1);
        disk.inject(crate::io::Fault::at(at, libc::EIO).of(&[Call::Read]));
        assert_eq!(status(&look(&disk, 4000)), Some(Status::Io), "read {at}");
        assert_eq!(look(&disk, 4000).unwrap().1, map);
    }
}

#[test]
fn what_had_expired_stays_expired_when_the_clock_goes_back() {
    let disk = SimDisk::new(5);
    let mut store = Small::open(&disk, 10_000).unwrap();
    store.set_until("short", b"1", 10_500).unwrap();
    store.set_until("long", b"2", 90_000).unwrap();
    store.hand.advance_ms(1000);
    store.log.mark_time().unwrap();
    store.log.sync().unwrap();
    drop(store);
    disk.crash();
    let (found, map) = look(&disk, 4000).unwrap();
    assert_eq!(map.keys().collect::<Vec<_>>(), [b"long"]);
    assert_eq!(found.report.clock_regression_ms, 7000);
    let mut store = Small::open(&disk, 4000).unwrap();
    store.set_until("new", b"3", 4500).unwrap();
    drop(store);
    disk.crash();
    assert_eq!(look(&disk, 4000).unwrap().1.len(), 2);
}

#[test]
fn revisions_never_repeat() {
    let disk = SimDisk::new(5);
    let mut given = 0;
    for _ in 0..5 {
        let mut store = Small::open(&disk, 1000).unwrap();
        assert!(store.revision >= given);
        store.set("a", "b").unwrap();
        given = store.revision + 1;
        drop(store);
        disk.crash();
    }
    let dir = Directory::open(disk.disk(), Path::new(DIR), 1000).unwrap();
    dir.reserve_revisions(1 << 40).unwrap();
    drop(dir);
    assert_eq!(look(&disk, 1000).unwrap().0.revision, 1 << 40);
}

#[test]
fn foreign_files_are_left_alone() {
    let (disk, map) = lived();
    disk.put(Path::new(DIR).join("wal-1.log"), b"mine").unwrap();
    disk.put(Path::new(DIR).join("photo.jpg"), b"mine").unwrap();
    assert_eq!(Small::open(&disk, 4000).unwrap().close().unwrap(), map);
    for name in ["wal-1.log", "photo.jpg"] {
        assert_eq!(disk.contents(Path::new(DIR).join(name)).as_deref(), Some(&b"mine"[..]));
    }
}

#[test]
fn progress_is_told_from_the_first_byte_to_the_last() {
    let (disk, _) = lived();
    let dir = Directory::open(disk.disk(), Path::new(DIR), 4000).unwrap();
    let told = std::cell::RefCell::new(Vec::new());
    let note = |progress| told.borrow_mut().push(progress);
    recover(&dir, &Model::default(), &note, 2, &Clock::manual(4000).0).unwrap();
    let told: Vec<Progress> = told.into_inner();
    let phases: Vec<Phase> = told.iter().map(|progress| progress.phase).collect();
    assert!(
        phases.starts_with(&[Phase::Snapshot]) && phases.ends_with(&[Phase::Log]),
        "{phases:?}"
    );
    assert!(told.is_sorted_by_key(|progress| progress.done_bytes));
    assert!(told.iter().all(|progress| progress.total_bytes == told[0].total_bytes));
    let last = told.last().unwrap();
    assert_eq!((told[0].done_bytes, last.done_bytes), (0, last.total_bytes));
    drop(dir);
    // A new directory has nothing to read.
    let dir = Directory::open(disk.disk(), Path::new("/empty"), 4000).unwrap();
    recover(&dir, &Model::default(), &|_| panic!("told"), 2, &Clock::manual(4000).0).unwrap();
}

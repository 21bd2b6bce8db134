//! What a look at a log tells of one that is sound, torn, damaged, or robbed of a segment.

use super::salvage::long_log;
use super::*;
use crate::{Options, Store};

/// Opens a store on a simulated disk, with segments as small as can be.
fn store(disk: &SimDisk) -> Store {
    let options = Options::new().with("wal_segment_bytes", "64KiB").unwrap();
    let options = options.with("persistence", "wal").unwrap().with("shards", "2").unwrap();
    let (clock, _) = Clock::manual(1_700_000_000_000);
    Store::open_on(disk.disk(), Path::new(DIR), options, clock).unwrap()
}

fn reader(disk: &SimDisk) -> LogReader {
    LogReader::on(disk.disk(), Path::new(DIR)).unwrap()
}

/// The records that can be read, and the faults.
fn read(disk: &SimDisk) -> (Vec<LogRecord>, Vec<Error>) {
    let (records, faults): (Vec<_>, Vec<_>) = reader(disk).partition(Result::is_ok);
    let records = records.into_iter().map(Result::unwrap).collect();
    (records, faults.into_iter().map(Result::unwrap_err).collect())
}

/// Flips a bit of a byte.
fn flip(disk: &SimDisk, path: &Path, at: usize) {
    let mut bytes = disk.contents(path).unwrap();
    bytes[at] ^= 1;
    disk.put(path, &bytes).unwrap();
}

/// A log of three segments at least, in which the values tell the order.
fn three_segments() -> (SimDisk, Vec<PathBuf>) {
    let disk = SimDisk::new(9);
    let life = store(&disk);
    for number in 0..300 {
        life.set(format!("key {number}"), vec![b'v'; 600]).unwrap();
    }
    life.shutdown().unwrap();
    let mut paths: Vec<_> = disk.paths();
    paths.retain(|path| path.extension().is_some_and(|end| end == "log"));
    paths.sort();
    assert!(paths.len() >= 3, "{paths:?}");
    (disk, paths)
}

#[test]
fn every_change_comes_as_it_resulted() {
    let disk = SimDisk::new(1);
    let life = store(&disk);
    life.set("a", "1").unwrap();
    life.incr("a", 4, crate::Expiry::Default).unwrap();
    life.expire_at("a", 1_800_000_000_000).unwrap();
    life.del("a").unwrap();
    life.clear().unwrap();
    life.shutdown().unwrap();
    // The next life goes on in a segment of its own.
    let life = store(&disk);
    life.set(b"\xff", b"").unwrap();
    life.shutdown().unwrap();
    let mut log = reader(&disk);
    let records: Vec<_> = log.by_ref().map(Result::unwrap).collect();
    let seen: Vec<_> = records
        .iter()
        .map(|r| (r.lsn, r.op.name(), &r.key[..], r.value.as_deref(), r.expire_at_ms))
        .collect();
    let deadline = Some(1_800_000_000_000);
    assert_eq!(
        seen,
        [
            (1, "set", &b"a"[..], Some(&b"1"[..]), None),
            (2, "set", b"a", Some(b"5"), None),
            (3, "touch", b"a", None, deadline),
            (4, "delete", b"a", None, None),
            (5, "clear", b"", None, None),
            (6, "set", b"\xff", Some(b""), None),
        ]
    );
    assert!(records.is_sorted_by_key(|record| (record.segment, record.revision)));
    assert!(records.iter().all(|record| record.written_at_ms == 1_700_000_000_000));
    assert_eq!((log.discarded_bytes(), log.done_bytes()), (0, log.total_bytes()));
    assert!(log.next().is_none());
}

#[test]
fn an_open_store_is_not_looked_into() {
    let disk = SimDisk::new(2);
    let life = store(&disk);
    let refused = LogReader::on(disk.disk(), Path::new(DIR));
    assert_eq!(refused.unwrap_err().status(), Status::Locked);
    life.shutdown().unwrap();
    let log = reader(&disk);
    assert_eq!(verify(&*disk.disk(), Path::new(DIR)).unwrap_err().status(), Status::Locked);
    drop(log);
    assert!(verify(&*disk.disk(), Path::new(DIR)).unwrap().is_sound());
    let nothing = LogReader::on(disk.disk(), Path::new("/elsewhere"));
    assert_eq!(nothing.unwrap_err().status(), Status::Invalid);
}

#[test]
fn what_a_crash_left_of_a_write_is_no_fault() {
    let (disk, path, groups) = long_log();
    flip(&disk, &path, groups[49] + 70);
    let mut log = reader(&disk);
    assert_eq!(log.by_ref().map(Result::unwrap).count(), 49);
    assert!(log.discarded_bytes() > 0);
}

#[test]
fn behind_damage_it_goes_on_in_the_next_segment() {
    let (disk, paths) = three_segments();
    let sound = read(&disk).0;
    assert_eq!(sound.len(), 300);
    flip(&disk, &paths[1], 1_000);
    let (records, faults) = read(&disk);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].status(), Status::Corrupt);
    assert!(faults[0].message().contains("wal-00000000000000000002.log"), "{}", faults[0]);
    assert_eq!(records.first(), sound.first());
    assert_eq!(records.last(), sound.last());
    assert!(records.is_sorted_by_key(|record| record.lsn));
    let second = |records: &[LogRecord]| records.iter().filter(|r| r.segment == 2).count();
    assert!(second(&records) < second(&sound));
}

#[test]
fn a_segment_that_is_missing_or_without_a_header_is_told() {
    let (disk, paths) = three_segments();
    for spoil in [
        &(|disk: &SimDisk, path: &Path| disk.erase(path).unwrap()) as &dyn Fn(&SimDisk, &Path),
        &|disk, path| flip(disk, path, 20),
    ] {
        let spoiled = disk.duplicate(3);
        spoil(&spoiled, &paths[1]);
        let (records, faults) = read(&spoiled);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].message().contains("wal-00000000000000000002.log"), "{}", faults[0]);
        assert!(records.iter().all(|record| record.segment != 2));
        assert_eq!(records.last().map(|record| record.lsn), Some(300));
    }
}

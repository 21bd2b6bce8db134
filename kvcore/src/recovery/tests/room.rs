//! Opening after a crash where there is little room, and of files to which somebody added something.

use super::*;
use crate::wal::MIN_SEGMENT_BYTES;

const SEGMENT: u64 = 256 << 10;
/// Less than what is used of a segment that is more than half full.
const LITTLE: u64 = 50_000;
const VALUE: usize = 25_000;

/// A store with so many large values in one segment, which was not closed.
fn half_full(values: usize) -> (SimDisk, Small) {
    let disk = SimDisk::new(5);
    let mut store = Small::with_segments(&disk, 1000, SEGMENT).unwrap();
    for number in 0..values {
        store.set(&format!("key {number}"), &"v".repeat(VALUE)).unwrap();
    }
    (disk, store)
}

/// Leaves so much room beside what the files take.
fn leave_room(disk: &SimDisk, bytes: u64) {
    const PLENTY: u64 = 1 << 40;
    disk.set_capacity(Some(PLENTY));
    let free = disk.disk().free_bytes(Path::new(DIR)).unwrap();
    disk.set_capacity(Some(PLENTY - free + bytes));
}

/// Opens a copy of the disk, and cuts that at every call, by a power cut or by the death of the process. In
/// the end the store always opens, with the same contents.
fn opens_in_the_end(disk: &SimDisk, map: &Map, what: &str) {
    let whole = disk.duplicate(1);
    let before = whole.calls();
    let store = Small::with_segments(&whole, 1000, SEGMENT);
    assert_eq!(store.unwrap_or_else(|error| panic!("{what}: {error}")).map, *map, "{what}");
    for at in 0..whole.calls() - before {
        for dies in [false, true] {
            let disk = disk.duplicate(at);
            disk.cut_power_after(at);
            drop(Small::with_segments(&disk, 1000, SEGMENT));
            match dies {
                true => disk.kill(),
                false => disk.crash(),
            }
            let what = format!("{what}, cut at {at}, dies {dies}");
            let mut store = Small::with_segments(&disk, 1000, SEGMENT)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(store.map, *map, "{what}");
            store.set("later", "value").unwrap();
        }
    }
}

#[test]
fn a_crash_on_a_small_disk_leaves_a_store_that_opens() {
    let (disk, store) = half_full(6);
    // The next segment is prepared, and takes what is left but for a little.
    store.log.tend().unwrap();
    let map = store.map.clone();
    disk.kill();
    drop(store);
    leave_room(&disk, LITTLE);
    opens_in_the_end(&disk, &map, "150 KB, and room for 50");
}

#[test]
fn what_is_not_used_of_a_segment_needs_no_room() {
    let (disk, store) = half_full(1);
    let map = store.map.clone();
    disk.kill();
    drop(store);
    leave_room(&disk, LITTLE);
    let calls = disk.calls_of(Call::Rename);
    opens_in_the_end(&disk, &map, "25 KB, and room for 50");
    // `STORE`, the copy, and the new segment: nothing had to give way.
    drop(Small::with_segments(&disk, 1000, SEGMENT).unwrap());
    assert_eq!(disk.calls_of(Call::Rename) - calls, 4, "with STORE for the new segment");
}

#[test]
fn a_crash_between_two_segments_needs_no_more_room() {
    let mut cuts = 0;
    loop {
        let (disk, store) = half_full(6);
        store.log.tend().unwrap();
        let map = store.map.clone();
        disk.cut_power_after(cuts);
        let rotated = store.log.rotate(0).is_ok();
        disk.kill();
        drop(store);
        leave_room(&disk, LITTLE);
        let opened = Small::with_segments(&disk, 1000, SEGMENT);
        assert_eq!(opened.unwrap_or_else(|error| panic!("cut at {cuts}: {error}")).map, map);
        if rotated {
            break;
        }
        cuts += 1;
    }
    assert!(cuts >= 4, "{cuts}");
}

#[test]
fn half_a_header_is_told_again_after_it_gave_its_room() {
    let (disk, store) = half_full(6);
    store.log.tend().unwrap();
    let (map, path) = (store.map.clone(), store.dir.segment_path(2));
    disk.kill();
    drop(store);
    let mut bytes = disk.contents(&path).unwrap();
    bytes[..10].fill(7);
    disk.put(&path, &bytes).unwrap();
    leave_room(&disk, LITTLE);
    for _ in 0..2 {
        let (found, again) = look(&disk, 1000).unwrap();
        assert_eq!((again == map, found.report.discarded_bytes), (true, 10));
        assert_eq!(disk.contents(&path).unwrap().len() as u64, MIN_SEGMENT_BYTES);
    }
}

#[test]
fn without_any_room_nothing_is_left_behind_by_the_attempt() {
    let (disk, store) = half_full(6);
    let map = store.map.clone();
    disk.kill();
    drop(store);
    leave_room(&disk, LITTLE);
    let before = disk.paths();
    assert_eq!(status(&look(&disk, 1000)), Some(Status::NoSpace));
    assert_eq!(disk.paths(), before);
    disk.set_capacity(None);
    assert_eq!(look(&disk, 1000).unwrap().1, map);
}

#[test]
fn what_was_added_to_a_segment_is_not_read() {
    let (disk, store) = half_full(2);
    let (map, path) = (store.map.clone(), store.dir.segment_path(1));
    disk.kill();
    drop(store);
    let mut bytes = disk.contents(&path).unwrap();
    bytes.resize(8 << 20, 0);
    disk.put(&path, &bytes).unwrap();
    let report = verify(&disk, Path::new(DIR)).unwrap();
    let [found] = &report.findings[..] else { panic!("{report:?}") };
    assert_eq!((found.offset, found.harmless), (SEGMENT, true));
    assert!(report.is_sound() && found.problem.contains("longer"), "{report:?}");
    let reads = disk.calls_of(Call::Read);
    let (found, again) = look(&disk, 1000).unwrap();
    assert_eq!((again, found.report.discarded_bytes), (map, 0));
    // The segment is read three times, each time at once.
    assert!(disk.calls_of(Call::Read) - reads < 10);
    assert_eq!(disk.contents(&path).unwrap().len() as u64, SEGMENT);
    assert!(verify(&disk, Path::new(DIR)).unwrap().findings.is_empty());
}

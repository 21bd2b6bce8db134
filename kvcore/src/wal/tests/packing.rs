//! What is appended is what is read, however it is packed into groups and segments.

use proptest::prelude::*;

use super::*;
use crate::io::{Call, Disk, Fault};

#[test]
fn an_empty_log_is_there_before_it_is_used() {
    let disk = disk(1);
    let log = Log::begin(start(&disk, SyncMode::Always)).unwrap();
    assert_eq!((log.last_lsn(), log.durable_lsn()), (0, 0));
    assert_eq!(log.segments(), [SegmentInfo { number: 1, first_lsn: 1, bytes: 128 }]);
    drop(log);
    disk.crash();
    let found = read(&disk).unwrap();
    assert_eq!((&found.end, found.last), (&None, (0, 0)));
    assert_eq!(found.ceiling, 1 << 26);
}

#[test]
fn what_is_closed_ends_to_the_byte() {
    let disk = disk(2);
    let log = Log::begin(start(&disk, SyncMode::Interval)).unwrap();
    for number in 1..=3 {
        write(&log, number, 20).unwrap();
    }
    let end = log.close().unwrap();
    assert_eq!(end, LogEnd { segment: 1, end: 128 + 3 * 84 + 64, last_lsn: 3 });
    assert_eq!(log.close().unwrap_err().status(), Status::Closed);
    assert_eq!(write(&log, 4, 20).unwrap_err().status(), Status::Closed);
    assert_eq!(log.sync().unwrap_err().status(), Status::Closed);
    disk.crash();
    assert_eq!(disk.contents(path(1)).unwrap().len() as u64, end.end);
    let found = read(&disk).unwrap();
    assert_eq!(
        (found.units.as_slice(), &found.end),
        (&[1, 2, 3][..], &Some(End::Closed { end: end.end }))
    );

    // The next life goes on in the next segment.
    let log = Log::begin(found.resume(&disk, SyncMode::Always)).unwrap();
    write(&log, 4, 20).unwrap();
    assert_eq!(log.segments().len(), 2);
    assert_eq!(log.bytes(), end.end + 128 + 84);
    drop(log);
    disk.crash();
    assert_eq!(read(&disk).unwrap().units, [1, 2, 3, 4]);
}

#[test]
fn a_unit_that_is_larger_than_a_segment_gets_one_of_its_size() {
    let disk = disk(3);
    let log = Log::begin(start(&disk, SyncMode::Interval)).unwrap();
    let large = 3 << 20;
    write(&log, 1, 100).unwrap();
    write(&log, 2, large).unwrap();
    write(&log, 3, 100).unwrap();
    assert!(!log.reserve(usize::MAX));
    assert_eq!(log.make_room(usize::MAX).unwrap_err().status(), Status::TooLarge);
    log.close().unwrap();
    assert_eq!(read(&disk).unwrap().units, [1, 2, 3]);
}

#[test]
fn rotation_seals_and_retiring_removes() {
    let disk = disk(4);
    let log = Log::begin(start(&disk, SyncMode::Interval)).unwrap();
    write(&log, 1, 20).unwrap();
    assert_eq!(log.rotate(0).unwrap(), 2);
    assert_eq!(log.durable_lsn(), 1, "what is sealed is durable");
    write(&log, 2, 20).unwrap();
    assert_eq!(log.rotate(0).unwrap(), 3);
    assert_eq!(log.rotate(0).unwrap(), 4);
    let segments = log.segments();
    let firsts: Vec<_> =
        segments.iter().map(|segment| (segment.number, segment.first_lsn)).collect();
    assert_eq!(firsts, [(1, 1), (2, 2), (3, 3), (4, 3)]);
    assert_eq!(read(&disk).unwrap().units, [1, 2]);

    disk.inject(Fault::at(2, libc::EIO).of(&[Call::Remove]));
    assert_eq!(log.retire_before(3).unwrap_err().status(), Status::Io);
    log.retire_before(3).unwrap();
    log.retire_before(3).unwrap();
    assert_eq!(log.segments(), segments[2..]);
    let names = |disk: &SimDisk| disk.list(Path::new(DIR)).unwrap().len();
    disk.crash();
    assert_eq!(names(&disk), 2, "removals are durable");
}

#[test]
fn the_segment_in_use_is_never_retired() {
    let disk = disk(5);
    let log = Log::begin(start(&disk, SyncMode::Never)).unwrap();
    write(&log, 1, 20).unwrap();
    log.retire_before(u64::MAX).unwrap();
    assert_eq!(read(&disk).unwrap().units, [1]);
}

#[test]
fn what_an_earlier_life_prepared_is_replaced() {
    let disk = disk(6);
    let log = Log::begin(start(&disk, SyncMode::Always)).unwrap();
    write(&log, 1, 40_000).unwrap();
    log.tend().unwrap();
    append(&log, 2, 60_000).unwrap();
    append(&log, 3, 60_000).unwrap();
    assert!(disk.list(Path::new(DIR)).unwrap().len() >= 3);
    drop(log);
    disk.put(Path::new(DIR).join("wal-00000000000000000009.tmp"), b"half").unwrap();
    disk.kill();
    let found = read(&disk).unwrap();
    assert_eq!(found.units, [1]);
    let log = Log::begin(found.resume(&disk, SyncMode::Always)).unwrap();
    assert_eq!(disk.list(Path::new(DIR)).unwrap().len(), 2);
    write(&log, 2, 60_000).unwrap();
    write(&log, 3, 60_000).unwrap();
    drop(log);
    disk.crash();
    assert_eq!(read(&disk).unwrap().units, [1, 2, 3]);
}

#[test]
fn a_segment_that_holds_a_log_is_never_replaced() {
    let disk = disk(7);
    let log = Log::begin(start(&disk, SyncMode::Always)).unwrap();
    write(&log, 1, 20).unwrap();
    log.rotate(0).unwrap();
    write(&log, 2, 20).unwrap();
    drop(log);
    for segment in [0, 1, 2] {
        let begun = Log::begin(LogStart { segment, ..start(&disk, SyncMode::Always) });
        assert_eq!(begun.unwrap_err().status(), Status::Corrupt, "{segment}");
    }
    assert_eq!(read(&disk).unwrap().units, [1, 2]);
}

#[test]
fn marks_carry_the_time() {
    let disk = disk(8);
    let (clock, hand) = Clock::manual(5000);
    let log = Log::begin(LogStart { clock, ..start(&disk, SyncMode::Always) }).unwrap();
    write(&log, 1, 20).unwrap();
    hand.advance_ms(70);
    log.mark_time().unwrap();
    log.sync().unwrap();
    drop(log);
    disk.crash();
    let opened = SegmentReader::open(&disk, &path(1), &STORE, 1, None).unwrap();
    let Opened::Used(mut reader) = opened else { panic!("it was used") };
    let mut marks = Vec::new();
    while let Step::Group(group) = reader.next().unwrap() {
        marks.push((group.first_lsn, group.count, group.time_ms));
    }
    assert_eq!(marks, [(1, 1, 5000), (2, 0, 5070)]);
}

#[test]
fn revisions_are_given_out_below_a_durable_ceiling_only() {
    let disk = disk(9);
    let log = Log::begin(LogStart { revision: 100, ..start(&disk, SyncMode::Never) }).unwrap();
    let ceiling = 100 + (1 << 26);
    assert!(log.revision_room(ceiling) && !log.revision_room(ceiling + 1));
    log.sync().unwrap();
    assert!(log.revision_room(ceiling + (1 << 26)), "sync raises it when half is used");
    assert!(!log.revision_room(ceiling + (1 << 26) + 1));
    log.make_revision_room().unwrap();
    assert!(log.revision_room(ceiling + (2 << 26)));
    drop(log);
    disk.crash();
    assert_eq!(read(&disk).unwrap().ceiling, ceiling + (2 << 26));

    let last = (1 << 48) - 1;
    let new = disk_with_revision(last - 5);
    assert!(new.revision_room(last) && !new.revision_room(last + 1));
    assert_eq!(new.make_revision_room().unwrap_err().status(), Status::Full);
}

fn disk_with_revision(revision: u64) -> Log {
    Log::begin(LogStart { revision, ..start(&disk(10), SyncMode::Never) }).unwrap()
}

#[test]
fn a_failed_raise_gives_no_revisions() {
    let disk = disk(11);
    let log = Log::begin(start(&disk, SyncMode::Never)).unwrap();
    disk.fail_sync_once();
    assert_eq!(log.make_revision_room().unwrap_err().status(), Status::Io);
    assert!(!log.revision_room((1 << 26) + 1));
}

#[derive(Debug, Clone)]
enum Deed {
    Append(usize),
    Write(usize),
    Sync,
    Rotate,
    Mark,
    Tend,
    Mode(SyncMode),
}

fn deed() -> impl Strategy<Value = Deed> {
    let bytes = prop_oneof![6 => 0..2000usize, 3 => 0..60_000usize, 1 => 60_000..200_000usize];
    let mode = prop_oneof![Just(SyncMode::Always), Just(SyncMode::Interval), Just(SyncMode::Never)];
    prop_oneof![
        8 => bytes.clone().prop_map(Deed::Append),
        8 => bytes.prop_map(Deed::Write),
        1 => Just(Deed::Sync),
        1 => Just(Deed::Rotate),
        1 => Just(Deed::Mark),
        1 => Just(Deed::Tend),
        1 => mode.prop_map(Deed::Mode),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn all_that_is_written_is_read(
        deeds in prop::collection::vec(deed(), 1..60),
        seed: u64,
        short: bool,
        ends in 0..3,
    ) {
        let disk = disk(seed);
        disk.short_writes(if short { 2 } else { 0 });
        disk.short_reads(if short { 2 } else { 0 });
        let log = Log::begin(start(&disk, SyncMode::Interval)).unwrap();
        let mut appended = 0;
        for deed in deeds {
            match deed {
                Deed::Append(bytes) => {
                    appended += 1;
                    prop_assert_eq!(append(&log, appended, bytes).unwrap(), appended);
                }
                Deed::Write(bytes) => {
                    appended += 1;
                    prop_assert_eq!(write(&log, appended, bytes).unwrap(), appended);
                }
                Deed::Sync => {
                    log.sync().unwrap();
                    prop_assert_eq!(log.durable_lsn(), appended);
                }
                Deed::Rotate => { log.rotate(0).unwrap(); }
                Deed::Mark => log.mark_time().unwrap(),
                Deed::Tend => log.tend().unwrap(),
                Deed::Mode(mode) => log.set_mode(mode),
            }
        }
        let durable = log.durable_lsn();
        let expected: Vec<u64> = (1..=appended).collect();
        match ends {
            0 => {
                let end = log.close().unwrap();
                prop_assert_eq!(end.last_lsn, appended);
                let found = read(&disk).unwrap();
                prop_assert_eq!(&found.units, &expected);
                prop_assert_eq!(found.last, (end.segment, end.end));
                prop_assert_eq!(found.segments, log.segments());
            }
            1 => {
                log.sync().unwrap();
                disk.crash();
                prop_assert_eq!(read(&disk).unwrap().units, expected);
            }
            _ => {
                disk.crash();
                let found = read(&disk).unwrap();
                prop_assert!(found.units.len() as u64 >= durable);
                prop_assert_eq!(&found.units[..], &expected[..found.units.len()]);
            }
        }
    }
}

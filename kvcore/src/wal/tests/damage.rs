//! Truncation at every byte and every single bit flipped: never silent.

use super::super::frame::{Frame, Kind, Seed};
use super::*;
use crate::io::DiskFile;

/// The bytes of a log of a few groups of known places, closed or not. In the open one, what is up to
/// and with unit 4 was known to be durable when unit 5 was written.
fn small_log(close: bool) -> (SimDisk, Vec<u8>) {
    let disk = disk(1);
    let log = Log::begin(start(&disk, SyncMode::Interval)).unwrap();
    for number in 1..=4 {
        write(&log, number, 30).unwrap();
    }
    log.sync().unwrap();
    for number in 5..=6 {
        write(&log, number, 30).unwrap();
    }
    if close {
        log.close().unwrap();
    }
    drop(log);
    disk.kill();
    let bytes = disk.contents(path(1)).unwrap();
    (disk, bytes)
}

/// A file that only tells what it holds.
#[derive(Debug)]
struct Image(Vec<u8>);

impl DiskFile for Image {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.0.len() as u64)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or(b"");
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
    fn write_at(&self, _: &[u8], _: u64) -> std::io::Result<usize> {
        Err(std::io::Error::other("it is read only"))
    }
    fn allocate(&self, _: u64) -> std::io::Result<()> {
        Err(std::io::Error::other("it is read only"))
    }
    fn set_len(&self, _: u64) -> std::io::Result<()> {
        Err(std::io::Error::other("it is read only"))
    }
    fn sync_data(&self) -> std::io::Result<()> {
        Ok(())
    }
    fn sync_all(&self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is reported of these bytes as the segment: the units and the end, or an error.
fn verdict(bytes: &[u8], ends_at: Option<u64>) -> Result<(Vec<u64>, End)> {
    let file = Box::new(Image(bytes.to_vec()));
    let mut reader = match SegmentReader::read(file, &path(1), &STORE, 1, ends_at)? {
        Opened::Used(reader) => *reader,
        Opened::Unused { .. } => panic!("it was used"),
    };
    let mut found = Vec::new();
    loop {
        match reader.next()? {
            Step::Group(group) => units(group.payload, group.count, &mut found),
            Step::End(End::Damaged(error)) => return Err(error),
            Step::End(end) => return Ok((found, end)),
        }
    }
}

#[test]
fn a_closed_log_that_is_cut_anywhere_is_damaged() {
    let (_, bytes) = small_log(true);
    for len in 0..bytes.len() {
        let error = verdict(&bytes[..len], None).unwrap_err();
        assert_eq!(error.status(), Status::Corrupt, "{len}");
        assert!(error.message().contains("wal-00000000000000000001.log"), "{error}");
        assert!(error.message().contains("offset"), "{error}");
    }
}

#[test]
fn an_open_log_that_is_cut_anywhere_is_damaged() {
    let (_, bytes) = small_log(false);
    let used = 128 + 6 * 94;
    for len in (0..used + 200).chain([4096, 65_535]) {
        let error = verdict(&bytes[..len], None).unwrap_err();
        assert_eq!(error.status(), Status::Corrupt, "{len}");
    }
    assert_eq!(verdict(&bytes, None).unwrap().0.len(), 6);
}

#[test]
fn a_closed_log_with_any_bit_flipped_is_damaged() {
    let (_, bytes) = small_log(true);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = verdict(&flipped, None).unwrap_err();
        assert_eq!(error.status(), Status::Corrupt, "bit {bit}");
    }
}

#[test]
fn an_open_log_with_any_bit_flipped_says_so() {
    let (_, bytes) = small_log(false);
    let group = 94;
    let known_durable = 128 + 4 * group;
    let used = 128 + 6 * group;
    let tail = (used * 8..(used + 70) * 8).chain((bytes.len() - 10) * 8..bytes.len() * 8);
    for bit in (0..used * 8).chain(tail) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match verdict(&flipped, None) {
            Err(error) => {
                assert_eq!(error.status(), Status::Corrupt);
                assert!(bit / 8 < known_durable, "bit {bit} is in what a crash may tear");
            }
            Ok((units, End::Torn { at, bytes: torn, .. })) => {
                assert!(bit / 8 >= known_durable, "bit {bit} is in what was durable");
                assert_eq!(at as usize, 128 + units.len() * group);
                assert!(torn > 0);
            }
            Ok(other) => panic!("bit {bit} is silent: {other:?}"),
        }
    }
}

#[test]
fn a_sealed_log_is_protected_by_the_next_one() {
    let disk = disk(2);
    let log = Log::begin(start(&disk, SyncMode::Never)).unwrap();
    for number in 1..=3 {
        write(&log, number, 30).unwrap();
    }
    log.rotate(0).unwrap();
    drop(log);
    disk.kill();
    let whole = disk.contents(path(1)).unwrap();
    let used = 128 + 3 * 94 + 64;
    for bit in (0..(used + 20) * 8).chain((whole.len() - 1) * 8..whole.len() * 8) {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = verdict(&flipped, Some(used as u64)).unwrap_err();
        assert_eq!(error.status(), Status::Corrupt, "bit {bit}");
    }
    for len in 0..used {
        let error = verdict(&whole[..len], Some(used as u64)).unwrap_err();
        assert_eq!(error.status(), Status::Corrupt, "{len}");
    }
    for wrong in [0, 127, used as u64 - 1, used as u64 + 1, used as u64 + 64, u64::MAX] {
        let error = verdict(&whole, Some(wrong)).unwrap_err();
        assert_eq!(error.status(), Status::Corrupt, "{wrong}");
    }
    assert_eq!(read(&disk).unwrap().units, [1, 2, 3]);
}

#[test]
fn what_was_prepared_and_not_used_is_told_from_what_was_damaged() {
    let disk = disk(3);
    let open = |bytes: &[u8]| {
        disk.put(path(1), bytes).unwrap();
        SegmentReader::open(&disk, &path(1), &STORE, 1, None)
    };
    let mut bytes = vec![0; MIN_SEGMENT_BYTES as usize];
    assert!(matches!(open(&bytes).unwrap(), Opened::Unused { bytes: 0 }));
    bytes[127] = 1;
    assert!(matches!(open(&bytes).unwrap(), Opened::Unused { bytes: 1 }));
    assert_eq!(open(&bytes[..60_000]).unwrap_err().status(), Status::Corrupt);
    bytes[128] = 1;
    assert_eq!(open(&bytes).unwrap_err().status(), Status::Corrupt);
    assert_eq!(open(b"").unwrap_err().status(), Status::Corrupt);
}

#[test]
fn a_segment_in_another_place_is_refused() {
    let (disk, bytes) = small_log(true);
    let open = |store: &[u8; 16], number| {
        disk.put(path(number), &bytes).unwrap();
        SegmentReader::open(&disk, &path(number), store, number, None).unwrap_err().status()
    };
    assert_eq!(open(&STORE, 2), Status::Corrupt);
    assert_eq!(open(b"another store id", 1), Status::Corrupt);
}

#[test]
fn an_error_of_reading_is_no_end() {
    let (disk, _) = small_log(false);
    for n in 1.. {
        disk.clear_faults();
        let fault = crate::io::Fault::at(n, libc::EIO);
        disk.inject(fault.of(&[
            crate::io::Call::Open,
            crate::io::Call::Len,
            crate::io::Call::Read,
        ]));
        let opened = match SegmentReader::open(&disk, &path(1), &STORE, 1, None) {
            Err(error) => {
                assert_eq!(error.status(), Status::Io);
                continue;
            }
            Ok(Opened::Used(reader)) => *reader,
            Ok(Opened::Unused { .. }) => panic!("it was used"),
        };
        let mut reader = opened;
        let mut units = 0;
        let failed = loop {
            match reader.next() {
                Ok(Step::Group(_)) => units += 1,
                Ok(Step::End(end)) => {
                    assert_eq!((units, end), (6, End::Open { end: 128 + 6 * 94 }));
                    break false;
                }
                Err(error) => {
                    assert_eq!(error.status(), Status::Io);
                    break true;
                }
            }
        };
        if !failed {
            assert!(n > 3);
            return;
        }
    }
}

#[test]
fn a_torn_tail_at_every_byte_is_reported_and_can_be_gone_on_from() {
    let (disk, bytes) = small_log(false);
    let group = 94;
    // All of unit 5 and 6 was on its way: the first so many bytes of it arrived.
    for arrived in 128 + 4 * group..=128 + 6 * group {
        let mut torn = bytes.clone();
        torn[arrived..].fill(0);
        let (units, end) = verdict(&torn, None).unwrap();
        let whole = (arrived - 128) / group;
        assert_eq!(units.len(), whole);
        match end {
            End::Open { end } => assert_eq!(end as usize, arrived),
            End::Torn { at, bytes, .. } => {
                assert_eq!(at as usize, 128 + whole * group);
                assert!(bytes > 0 && bytes as usize <= arrived - at as usize);
            }
            other => panic!("{other:?}"),
        }
        if arrived % 7 != 0 {
            continue;
        }
        disk.put(path(1), &torn).unwrap();
        let found = read(&disk).unwrap();
        let log = Log::begin(found.resume(&disk, SyncMode::Always)).unwrap();
        write(&log, 7, 20).unwrap();
        drop(log);
        disk.crash();
        let again = read(&disk).unwrap();
        assert_eq!(again.units[whole..], [7]);
        disk.erase(path(2)).unwrap();
    }
}

#[test]
fn hostile_bytes_are_refused_without_much_memory() {
    let (_, bytes) = small_log(false);
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..2000 {
        let mut hostile = bytes.clone();
        for _ in 0..random.usize(1..8) {
            let at = random.usize(0..800);
            hostile[at] = random.u8(..);
        }
        // Whatever it is, it ends, and no panic.
        let file = Box::new(Image(hostile));
        if let Ok(Opened::Used(mut reader)) = SegmentReader::read(file, &path(1), &STORE, 1, None) {
            while let Ok(Step::Group(_)) = reader.next() {}
        }
    }
    // A right head that asks for more than there is.
    let kind = frame::Kind::Group { bytes: u64::MAX, count: 1, checksum: 0 };
    let frame = frame::Frame { kind, lsn: 1, time_ms: 0, revision_ceiling: 0, durable_lsn: 0 };
    let mut hostile = bytes;
    hostile[128..192].copy_from_slice(&frame.encode(frame::Seed::new(&STORE, 1).at(128)));
    assert_eq!(verdict(&hostile, None).unwrap_err().status(), Status::Corrupt);
}

/// The header of segment 1, which says that the file has so many bytes.
fn stated(first_lsn: u64, segment_bytes: u64) -> SegmentHeader {
    SegmentHeader {
        store_id: STORE,
        segment: 1,
        first_lsn,
        previous: None,
        revision_ceiling: 1,
        created_at_ms: 0,
        segment_bytes,
    }
}

#[test]
fn numbers_that_no_store_gives_out_are_refused() {
    for (first_lsn, is_possible) in [(0, false), (1 << 63, true), (u64::MAX, false)] {
        let mut bytes = vec![0; MIN_SEGMENT_BYTES as usize];
        let header = stated(first_lsn, MIN_SEGMENT_BYTES).encode();
        bytes[..header.len()].copy_from_slice(&header);
        assert_eq!(verdict(&bytes, None).is_ok(), is_possible, "{first_lsn}");
    }
}

#[test]
fn nothing_behind_the_stated_length_of_a_segment_is_read() {
    let (_, bytes) = small_log(false);
    let sound = verdict(&bytes, None);
    for added in [0, 0xf7] {
        let mut longer = bytes.clone();
        longer.resize(bytes.len() + (1 << 20), added);
        assert_eq!(verdict(&longer, None), sound);
    }
}

/// Some bytes and zeros behind them, and how much of it was asked for at once.
#[derive(Debug)]
struct Sparse {
    bytes: Image,
    len: u64,
    longest: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl DiskFile for Sparse {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.len)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.longest.fetch_max(buffer.len(), std::sync::atomic::Ordering::Relaxed);
        let read = self.bytes.read_at(buffer, offset)?;
        buffer[read..].fill(0);
        Ok(buffer.len())
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<usize> {
        self.bytes.write_at(bytes, offset)
    }
    fn allocate(&self, len: u64) -> std::io::Result<()> {
        self.bytes.allocate(len)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.bytes.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        Ok(())
    }
    fn sync_all(&self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_long_group_is_held_only_once_its_checksum_is_right() {
    let (len, payload) = (40 << 20, 30 << 20);
    let place = Seed::new(&STORE, 1).at(HEADER_BYTES as u64);
    let right = place.payload(&vec![0; payload]);
    for checksum in [right, right ^ 1] {
        let kind = Kind::Group { bytes: payload as u64, count: 1, checksum };
        let frame =
            Frame { kind, lsn: 1, time_ms: 0, revision_ceiling: 1, durable_lsn: 0 }.encode(place);
        let bytes = Image([&stated(1, len).encode()[..], &frame].concat());
        let longest = std::sync::Arc::default();
        let file = Sparse { bytes, len, longest: std::sync::Arc::clone(&longest) };
        let Opened::Used(mut reader) =
            SegmentReader::read(Box::new(file), &path(1), &STORE, 1, None).unwrap()
        else {
            panic!("it was used");
        };
        let passed = matches!(reader.next().unwrap(), Step::Group(_));
        let longest = longest.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!((passed, longest > 1 << 20), (checksum == right, checksum == right));
    }
}

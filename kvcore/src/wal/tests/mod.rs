//! Tests of the log as a whole, on the simulated disk.
//!
//! A unit of these tests states its own length and a number, so that what is read can be compared with
//! what was appended, whatever groups it came in.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod damage;
mod failures;
mod groups;
mod packing;

use std::path::{Path, PathBuf};

use super::*;
use crate::io::{Disk, SimDisk};

pub(super) const STORE: [u8; 16] = *b"a store of tests";
pub(super) const DIR: &str = "/data";

/// A disk with the directory of a store.
pub(super) fn disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk
}

pub(super) fn path(segment: u64) -> PathBuf {
    Path::new(DIR).join(segment_name(segment))
}

/// How the first log on a disk begins.
pub(super) fn start(disk: &SimDisk, mode: SyncMode) -> LogStart {
    LogStart {
        disk: disk.disk(),
        dir: DIR.into(),
        names: Arc::new(crate::sync::Mutex::new(())),
        store_id: STORE,
        segment: 1,
        first_lsn: 1,
        previous: None,
        revision: 0,
        segment_bytes: MIN_SEGMENT_BYTES,
        mode,
        clock: Clock::manual(1000).0,
        older: Vec::new(),
        latency: Arc::new(LatencyMeter::new()),
    }
}

/// A unit of so many bytes, 12 at least.
pub(super) fn unit(number: u64, bytes: usize) -> Vec<u8> {
    let len = bytes.max(12);
    let mut unit = (len as u32).to_le_bytes().to_vec();
    unit.extend_from_slice(&number.to_le_bytes());
    unit.resize(len, number as u8);
    unit
}

/// Reserves and appends a unit.
pub(super) fn append(log: &Log, number: u64, bytes: usize) -> Result<u64> {
    let unit = unit(number, bytes);
    while !log.reserve(unit.len()) {
        log.make_room(unit.len())?;
    }
    Ok(log.append(&unit, 1, unit.len()))
}

/// Appends a unit and waits for it.
pub(super) fn write(log: &Log, number: u64, bytes: usize) -> Result<u64> {
    let lsn = append(log, number, bytes)?;
    log.wait(lsn)?;
    Ok(lsn)
}

/// What is read of all segments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The numbers of the units, in order; the first one has LSN 1.
    pub(super) units: Vec<u64>,
    /// The end of the last segment in use.
    pub(super) end: Option<End>,
    /// Its number, and the offset behind its last frame.
    pub(super) last: (u64, u64),
    /// Bytes of headers that did not reach the disk.
    pub(super) torn_headers: u64,
    /// The highest revision ceiling that was read.
    pub(super) ceiling: u64,
    pub(super) segments: Vec<SegmentInfo>,
}

impl Found {
    /// How a log goes on behind what was found, which recovery makes durable first.
    pub(super) fn resume(&self, disk: &SimDisk, mode: SyncMode) -> LogStart {
        let (segment, end) = self.last;
        if segment != 0 {
            crate::recovery::settle(disk, &path(segment), u64::MAX).unwrap();
        }
        LogStart {
            segment: segment + 1,
            first_lsn: self.units.len() as u64 + 1,
            previous: (segment != 0).then_some((segment, end)),
            revision: self.ceiling,
            older: self.segments.clone(),
            ..start(disk, mode)
        }
    }
}

fn units(payload: &[u8], count: u32, to: &mut Vec<u64>) {
    let (mut rest, mut found) = (payload, 0);
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        let number = u64::from_le_bytes(rest[4..12].try_into().unwrap());
        assert!(rest[12..len].iter().all(|&byte| byte == number as u8));
        to.push(number);
        found += 1;
        rest = &rest[len..];
    }
    assert_eq!(found, count);
}

/// Reads all segments, as recovery does. The error is what would keep a store from opening.
pub(super) fn read(disk: &SimDisk) -> Result<Found> {
    let mut found = Found::default();
    let listed = disk.list(Path::new(DIR)).unwrap();
    let numbers: Vec<u64> = listed.iter().filter_map(|file| segment_number(&file.name)).collect();
    let mut opened = Vec::new();
    for (at, &number) in numbers.iter().enumerate() {
        assert_eq!(number, at as u64 + 1, "a segment is missing");
        match SegmentReader::open(disk, &path(number), &STORE, number, None)? {
            Opened::Used(mut reader) => {
                found.ceiling = found.ceiling.max(reader.header().revision_ceiling);
                let header = reader.header().clone();
                let begun =
                    matches!(reader.next()?, Step::End(End::Open { .. } | End::Torn { .. }));
                opened.push((header, begun));
            }
            Opened::Unused { bytes } => found.torn_headers += bytes,
        }
    }
    // Whether a header alone is durable, nobody knows, unless the next segment goes on from it.
    while opened.last().is_some_and(|(_, begun)| *begun) {
        opened.pop();
    }
    let opened: Vec<_> = opened.into_iter().map(|(header, _)| header).collect();
    for (at, header) in opened.iter().enumerate() {
        assert_eq!(header.segment, at as u64 + 1, "a segment between others was not used");
        assert_eq!(header.first_lsn, found.units.len() as u64 + 1);
        let previous = found.last.0;
        assert_eq!(header.previous, (previous != 0).then_some(found.last));
        let ends_at = opened.get(at + 1).and_then(|next| next.previous).map(|(_, end)| end);
        read_segment(disk, header.segment, ends_at, &mut found)?;
    }
    Ok(found)
}

fn read_segment(
    disk: &SimDisk,
    number: u64,
    ends_at: Option<u64>,
    found: &mut Found,
) -> Result<()> {
    let opened = SegmentReader::open(disk, &path(number), &STORE, number, ends_at)?;
    let Opened::Used(mut reader) = opened else { panic!("segment {number} was used") };
    found.ceiling = found.ceiling.max(reader.header().revision_ceiling);
    let first_lsn = reader.header().first_lsn;
    let end = loop {
        match reader.next()? {
            Step::Group(group) => {
                assert_eq!(group.first_lsn, found.units.len() as u64 + 1);
                assert!(group.durable_lsn < group.first_lsn);
                found.ceiling = found.ceiling.max(group.revision_ceiling);
                units(group.payload, group.count, &mut found.units);
            }
            Step::End(end) => break end,
        }
    };
    let bytes = match end.clone() {
        End::Damaged(error) => return Err(error),
        End::Sealed { end, .. } | End::Closed { end } | End::Open { end } => end,
        End::Torn { at, .. } => at,
    };
    assert!(ends_at.is_none_or(|stated| stated == bytes));
    found.last = (number, bytes);
    found.segments.push(SegmentInfo { number, first_lsn, bytes });
    found.end = Some(end);
    Ok(())
}

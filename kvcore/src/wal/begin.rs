//! Begins the log of one life of a store.
//!
//! Owns: the making of the first segment, with what is carried over from the one before. Invariant:
//! the segment gets its name only when its header and all that is carried over are durable, so at any
//! moment either it is there with all of that, or the one before still ends the log.
//!
//! Why anything is carried over: an earlier life may have ended because a sync failed. What it had
//! written can be read then, from memory, and may never reach the disk, though every later sync of
//! that file succeeds. Only writing it again makes it durable.

use std::collections::VecDeque;

use crate::error::{Error, Result, Status};
use crate::io::{DiskFile, write_all_at};
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
use crate::sync::{Condvar, Mutex};

use super::commit::Gate;
use super::fault::Fault;
use super::frame::{FRAME_BYTES, Frame, HEADER_BYTES, Kind, Seed, SegmentHeader};
use super::grow::raised;
use super::queue::{Queue, Room, capacity, segment_bytes};
use super::reader::{Carry, Opened, SegmentReader, Step};
use super::segments::{MIN_SEGMENT_BYTES, Maker};
use super::writer::{Files, Ledger};
use super::{Log, LogStart, SegmentInfo};

impl Log {
    /// Begins the log in a new segment, which is durable then, and so is all that comes before. Files
    /// of segments behind it are removed; no group may be in them.
    ///
    /// # Errors
    /// `NoSpace` if the disk is full, `Io` if a call of the system fails, `Corrupt` if a file is in
    /// the way that holds a log, or if what is to be carried over is not there.
    pub(crate) fn begin(start: LogStart) -> Result<Log> {
        let maker =
            Maker { disk: start.disk.clone(), dir: start.dir.clone(), store_id: start.store_id };
        let ceiling = raised(start.revision)?;
        maker.remove_unused_above(start.segment)?;
        let carried = start.carry.map_or(0, |carry| carry.to.saturating_sub(carry.from));
        let least = segment_bytes(carried).max(MIN_SEGMENT_BYTES);
        let mut end = 0;
        let wanted = start.segment_bytes.max(least);
        let prepared = maker.prepare(start.segment, least, wanted, &mut |file, bytes| {
            end = fill(&start, &maker, ceiling, file, bytes)?;
            Ok(())
        });
        let current = prepared.map_err(|failed| failed.error)?;
        let room = (capacity(current.bytes) + HEADER_BYTES as u64).saturating_sub(end);
        let lsn = start.first_lsn.saturating_sub(1);
        let first_lsn = start.carry.map_or(lsn + 1, |carry| carry.first_lsn);
        let info = SegmentInfo { number: start.segment, first_lsn, bytes: end };
        Ok(Log {
            segment_bytes: start.segment_bytes.max(MIN_SEGMENT_BYTES),
            mode: AtomicU8::new(start.mode as u8),
            fault: Fault::none(),
            room: Room::new(room),
            queue: Mutex::new(Queue::new(lsn + 1, start.segment, room)),
            queued_lsn: AtomicU64::new(lsn),
            queued_units: AtomicUsize::new(0),
            preparing: Mutex::new(start.segment + 1),
            prepared: Mutex::new(VecDeque::new()),
            files: Mutex::new(Files::new(current, &start.store_id, end, lsn, ceiling)),
            writing: AtomicBool::new(false),
            written_lsn: AtomicU64::new(lsn),
            ledger: Mutex::new(Ledger::new(start.older, info)),
            retiring: Mutex::new(()),
            gate: Mutex::new(Gate::default()),
            synced: Condvar::new(),
            durable_lsn: AtomicU64::new(lsn),
            durable_ticket: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            ceiling: AtomicU64::new(ceiling),
            ceiling_is_near: AtomicBool::new(false),
            clock: start.clock,
            maker,
        })
    }
}

/// Writes the header, and what is carried over. Returns the offset behind it.
fn fill(
    start: &LogStart,
    maker: &Maker,
    ceiling: u64,
    file: &dyn DiskFile,
    bytes: u64,
) -> Result<u64> {
    let carry = start.carry.zip(start.previous);
    let write = |bytes: &[u8], at: u64| {
        let path = maker.path(start.segment);
        write_all_at(file, bytes, at)
            .map_err(|error| Error::from_os(&format!("cannot write {}", path.display()), &error))
    };
    let header = SegmentHeader {
        store_id: start.store_id,
        segment: start.segment,
        first_lsn: carry.map_or(start.first_lsn, |(carry, _)| carry.first_lsn),
        previous: carry.map_or(start.previous, |(carry, (number, _))| Some((number, carry.from))),
        revision_ceiling: ceiling,
        created_at_ms: start.clock.now_ms(),
        segment_bytes: bytes,
    };
    write(&header.encode(), 0)?;
    let mut end = HEADER_BYTES as u64;
    let mut next_lsn = header.first_lsn;
    if let Some((carry, (number, _))) = carry {
        let seed = Seed::new(&start.store_id, start.segment);
        let mut reader = open(maker, number, carry)?;
        while let Step::Group(group) = reader.next()? {
            if group.offset < carry.from {
                continue;
            }
            let checksum = seed.payload(end, group.payload);
            let len = group.payload.len() as u64;
            let frame = Frame {
                kind: Kind::Group { bytes: len, count: group.count, checksum },
                lsn: group.first_lsn,
                time_ms: group.time_ms,
                revision_ceiling: group.revision_ceiling,
                durable_lsn: carry.first_lsn.saturating_sub(1),
            };
            write(&frame.encode(seed, end), end)?;
            write(group.payload, end + FRAME_BYTES as u64)?;
            end += FRAME_BYTES as u64 + len;
            next_lsn = group.first_lsn + u64::from(group.count);
        }
    }
    if next_lsn != start.first_lsn {
        let path = maker.path(start.segment);
        let message = format!("{}: the records to be carried over are not there", path.display());
        return Err(Error::new(Status::Corrupt, message));
    }
    Ok(end)
}

fn open(maker: &Maker, number: u64, carry: Carry) -> Result<SegmentReader> {
    let path = maker.path(number);
    match SegmentReader::open(&*maker.disk, &path, &maker.store_id, number, Some(carry.to))? {
        Opened::Used(reader) => Ok(*reader),
        Opened::Unused { .. } => {
            let message = format!("{} holds no log", path.display());
            Err(Error::new(Status::Corrupt, message))
        }
    }
}

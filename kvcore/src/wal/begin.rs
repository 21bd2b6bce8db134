//! Begins the log of one life of a store.
//!
//! Owns: the making of the first segment. Invariant: the segment gets its name only when its header is
//! durable, so at any moment either it is there as a whole, or the one before still ends the log.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::io::{DiskFile, write_all_at};
use crate::planted::{Planted, is_planted};
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
use crate::sync::{Condvar, Mutex};

use super::commit::Gate;
use super::fault::Fault;
use super::frame::{HEADER_BYTES, SegmentHeader};
use super::grow::raised;
use super::queue::{Queue, Room, capacity};
use super::segments::{MIN_SEGMENT_BYTES, Maker};
use super::writer::{Files, Ledger};
use super::{Log, LogStart, SegmentInfo};

impl Log {
    /// Begins the log in a new segment, which is durable then, and so is all that comes before. Files
    /// of segments behind it are removed; no group may be in them.
    ///
    /// # Errors
    /// `NoSpace` if the disk is full, `Io` if a call of the system fails, `Corrupt` if a file is in
    /// the way that holds a log.
    pub(crate) fn begin(start: LogStart) -> Result<Log> {
        let maker = Maker {
            disk: start.disk.clone(),
            dir: start.dir.clone(),
            names: start.names.clone(),
            store_id: start.store_id,
        };
        let ceiling = raised(start.revision)?;
        maker.remove_unused_above(start.segment)?;
        let wanted = start.segment_bytes.max(MIN_SEGMENT_BYTES);
        let prepared =
            maker.prepare(start.segment, MIN_SEGMENT_BYTES, wanted, &mut |file, bytes| {
                write_header(&start, &maker, ceiling, file, bytes)
            });
        let current = prepared.map_err(|failed| failed.error)?;
        let (room, end) = (capacity(current.bytes), HEADER_BYTES as u64);
        let lsn = start.first_lsn.saturating_sub(1);
        let info = SegmentInfo { number: start.segment, first_lsn: lsn + 1, bytes: end };
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
            current_bytes: AtomicU64::new(info.bytes),
            ledger: Mutex::new(Ledger::new(start.older, info)),
            retiring: Mutex::new(()),
            gate: Mutex::new(Gate::default()),
            synced: Condvar::new(),
            durable_lsn: AtomicU64::new(lsn),
            durable_ticket: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            latency: start.latency,
            batch_bytes: AtomicUsize::new(0),
            ceiling: AtomicU64::new(ceiling),
            ceiling_is_near: AtomicBool::new(false),
            clock: start.clock,
            maker,
        })
    }
}

/// Writes the header.
fn write_header(
    start: &LogStart,
    maker: &Maker,
    ceiling: u64,
    file: &dyn DiskFile,
    bytes: u64,
) -> Result<()> {
    let header = SegmentHeader {
        store_id: start.store_id,
        segment: start.segment,
        first_lsn: start.first_lsn,
        previous: start.previous.filter(|_| !is_planted(Planted::NoEnd)),
        revision_ceiling: ceiling,
        created_at_ms: start.clock.now_ms(),
        segment_bytes: bytes,
    };
    let path = maker.path(start.segment);
    write_all_at(file, &header.encode(), 0)
        .map_err(|error| Error::from_os(&format!("cannot write {}", path.display()), &error))
}

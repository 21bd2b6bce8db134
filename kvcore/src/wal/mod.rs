//! The write-ahead log: one order of all changes, in segments, each a file.
//!
//! Owns: [`Log`], which is written, and [`SegmentReader`], which reads what an earlier life has
//! written. A change is queued under its shard's lock (`queue`), which is a copy into memory; then,
//! with no lock held, its thread waits until it is written and, if asked, durable (`commit`). One of the
//! threads that wait writes for all of them (`writer`). Room is reserved before memory changes, and
//! segments are prepared as a whole (`segments`), so what was queued never meets a full disk.
//!
//! Invariants: records are written in the order of their LSNs, and a record is in the file only if all
//! before it are or were lost with it; nothing is written to a segment before all of the one before
//! is durable; nothing is written behind a write that failed, and a sync that failed is not repeated:
//! the first failure stops the log for ever (`fault`), and nobody is told of success after it.
//!
//! Locks, in the order in which they are taken: `gate` (never held over input or output),
//! `preparing`, `files`, that of a segment's sync, `ledger`, `prepared`, `queue` (never held over
//! input or output, nor with any lock taken inside but that of the fault). That of the directory's
//! names comes last.
//!
//! Why not one log for each shard: a batch over several shards would need a commit record of its own,
//! and the states that a crash may leave would not be those of one order.

mod begin;
mod commit;
mod fault;
mod frame;
#[cfg(any(test, feature = "simulation"))]
mod fuzz;
mod grow;
mod queue;
mod reader;
mod segments;
mod tail;
#[cfg(all(test, not(kv_shuttle)))]
mod tests;
mod window;
mod writer;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
#[cfg(all(test, not(kv_shuttle)))]
use crate::error::Result;
use crate::error::{Error, Status};
use crate::io::Disk;
use crate::planted::{Planted, is_planted};
use crate::stats::LatencyMeter;
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};

use commit::Gate;
use fault::Fault;
use queue::{Queue, Room};
use segments::{Maker, Segment};
use writer::{Files, Ledger};

pub(crate) use frame::{FRAME_BYTES, HEADER_BYTES, SegmentHeader};
#[cfg(any(test, feature = "simulation"))]
pub use fuzz::{LogSeen, fuzz_read as read_log_fuzzed, read_log};
pub(crate) use reader::{End, Group, Opened, SegmentReader, Step};
pub(crate) use segments::{MIN_SEGMENT_BYTES, segment_name, segment_number};

/// When a write may be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum SyncMode {
    /// Once it is durable.
    Always,
    /// Once it is handed to the system; somebody calls [`Log::sync`] from time to time.
    Interval,
    /// Once it is handed to the system.
    Never,
}

/// A segment that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentInfo {
    /// Its number.
    pub(crate) number: u64,
    /// The LSN of its first record.
    pub(crate) first_lsn: u64,
    /// How much of it is used, in bytes.
    pub(crate) bytes: u64,
}

/// How a log begins.
#[derive(Debug)]
pub(crate) struct LogStart {
    /// Where files are.
    pub(crate) disk: Arc<dyn Disk>,
    /// The directory, which is there.
    pub(crate) dir: PathBuf,
    /// The lock to hold from a change of names there until they are synced.
    pub(crate) names: Arc<Mutex<()>>,
    /// The identity of the store.
    pub(crate) store_id: [u8; 16],
    /// The number of the segment to begin with, from 1.
    pub(crate) segment: u64,
    /// The LSN of the first record, from 1.
    pub(crate) first_lsn: u64,
    /// The segment before, and the offset behind the last frame of the log in it. All of that is
    /// durable: recovery sees to it before it shows anything.
    pub(crate) previous: Option<(u64, u64)>,
    /// The last revision that may have been given out.
    pub(crate) revision: u64,
    /// The bytes of a segment; at least [`MIN_SEGMENT_BYTES`] are taken.
    pub(crate) segment_bytes: u64,
    /// When a write may be acknowledged.
    pub(crate) mode: SyncMode,
    /// What time it is.
    pub(crate) clock: Clock,
    /// The segments that are there already, the oldest first.
    pub(crate) older: Vec<SegmentInfo>,
    /// What times the syncs.
    pub(crate) latency: Arc<LatencyMeter>,
}

/// Where a log ended that was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogEnd {
    /// The last segment.
    pub(crate) segment: u64,
    /// Its length in bytes.
    pub(crate) end: u64,
    /// The LSN of the last record.
    pub(crate) last_lsn: u64,
}

/// A log that is open for writing. Any number of threads may use it at once.
#[derive(Debug)]
pub(crate) struct Log {
    clock: Clock,
    maker: Maker,
    segment_bytes: u64,
    mode: AtomicU8,
    fault: Fault,

    room: Room,
    queue: Mutex<Queue>,
    /// The LSN of the last record that was queued, and how many units wait.
    queued_lsn: AtomicU64,
    queued_units: AtomicUsize,

    /// The number of the next segment to prepare.
    preparing: Mutex<u64>,
    /// Segments that were prepared and are not in use yet. All that the queue knows of, at least.
    prepared: Mutex<VecDeque<Segment>>,

    /// What the thread that writes needs. Who holds the lock is the one.
    files: Mutex<Files>,
    writing: AtomicBool,
    /// Memory of the batch that is being written, or was last, in bytes.
    batch_bytes: AtomicUsize,
    written_lsn: AtomicU64,
    ledger: Mutex<Ledger>,
    /// How much of the segment in use is used, in bytes.
    current_bytes: AtomicU64,
    retiring: Mutex<()>,

    /// Which thread syncs, and what the others wait for.
    gate: Mutex<Gate>,
    synced: Condvar,
    durable_lsn: AtomicU64,
    durable_ticket: AtomicU64,
    syncs: AtomicU64,
    latency: Arc<LatencyMeter>,

    /// Revisions up to this may be given out.
    ceiling: AtomicU64,
    ceiling_is_near: AtomicBool,
}

impl Log {
    /// Queues the records of one unit, `count` of them, and returns the LSN of the last one. Call it
    /// under the lock that orders the changes themselves. It takes one short lock, makes no system
    /// call, and cannot fail: `reserved` bytes were reserved for it, which are given back by this.
    /// What is queued after a failure is thrown away; [`Self::wait`] says so.
    pub(crate) fn append(&self, unit: &[u8], count: u32, reserved: usize) -> u64 {
        let mut queue = self.queue.lock();
        // Asked under the lock: whoever stops the log takes it to learn what was queued before.
        let placed = match self.fault.is_set() {
            true => None,
            false => queue.append(unit, count, reserved, &self.room),
        };
        let lsn = match placed {
            Some(lsn) => lsn,
            None => {
                let before = queue.last_lsn();
                let lsn = queue.swallow(count);
                if !self.fault.is_set() {
                    let message = "records were appended for which no room was reserved";
                    self.fault.set(Error::new(Status::Panic, message), before);
                }
                lsn
            }
        };
        self.queued_lsn.store(lsn, Ordering::Release);
        self.queued_units.store(queue.units(), Ordering::Relaxed);
        lsn
    }

    /// Changes when a write may be acknowledged, for those that begin to wait after this.
    pub(crate) fn set_mode(&self, mode: SyncMode) {
        self.mode.store(mode as u8, Ordering::Release);
    }

    /// Whether a write may be acknowledged only once it is durable.
    pub(crate) fn is_always(&self) -> bool {
        self.mode.load(Ordering::Acquire) == SyncMode::Always as u8
    }

    /// The LSN of the last record that was queued.
    pub(crate) fn last_lsn(&self) -> u64 {
        self.queued_lsn.load(Ordering::Acquire)
    }

    /// All records up to this LSN are durable.
    pub(crate) fn durable_lsn(&self) -> u64 {
        self.durable_lsn.load(Ordering::Acquire)
    }

    /// How often a segment was synced.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Memory of the records that wait and of those being written, in bytes.
    pub(crate) fn buffer_bytes(&self) -> u64 {
        let queued = self.queue.lock().memory_bytes();
        (queued + self.batch_bytes.load(Ordering::Relaxed)) as u64
    }

    /// What stopped the log, if anything did.
    #[cfg(all(test, not(kv_shuttle)))]
    pub(crate) fn fault(&self) -> Option<Error> {
        self.fault.get()
    }

    /// Stops the log for ever.
    fn poison(&self, error: Error) {
        if is_planted(Planted::NoFault) {
            return;
        }
        let queue = self.queue.lock();
        self.fault.set(error, queue.last_lsn());
    }

    /// A guard for the time in which a panic would leave a write half done.
    fn guard(&self) -> PanicGuard<'_> {
        PanicGuard(self)
    }
}

/// Stops the log unless it is told that all went well.
struct PanicGuard<'a>(&'a Log);

impl PanicGuard<'_> {
    fn done(self) {
        std::mem::forget(self);
    }
}

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        self.0.poison(Error::new(Status::Panic, "the log was left in the middle of a write"));
    }
}

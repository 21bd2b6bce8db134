//! What the shards of a durable store tell of their changes.
//!
//! Owns: the way from a change to the log, and the images of entries that a snapshot under way still
//! needs. Invariants: room for every record is reserved before memory changes; a change's records
//! enter the log under the locks it holds, so the order of the log is the order of memory; no disk is
//! touched under a lock, and whoever changed something waits for its records without one.
//!
//! An expiry is no record. A group of the log carries the time at which it was made, and whatever was
//! due by then had expired (see `recovery`); so ten million expiries cost the log nothing.

use std::cell::Cell;
use std::sync::OnceLock;

use crate::error::Error;
use crate::images::Images;
use crate::record::Record;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::wal::Log;

/// Bytes of a record beside key and value, at most.
const RECORD_HEAD: usize = 64;

/// The longest buffer that a thread keeps for its next change, in bytes.
const KEPT_BYTES: usize = 64 << 10;

thread_local! {
    /// A buffer for the records of this thread's next change: most changes are one short record, for
    /// which memory would have to be found and given back each time.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Revisions that one change may take before it is asked for room again.
const REVISIONS: u64 = 1 << 20;

/// The engine's side of durability.
pub(crate) struct Journal {
    /// Set when the store has been filled, if a log is kept.
    log: OnceLock<Log>,
    pub(crate) images: Images,
    /// Held by whoever takes a snapshot: one at a time.
    pub(crate) taking: Mutex<()>,
    /// Entries that were freed because they had expired.
    expired: AtomicU64,
}

/// The records of one change, until they enter the log.
#[derive(Default)]
pub(crate) struct Unit {
    bytes: Vec<u8>,
    count: u32,
    reserved: usize,
}

/// What is missing before a change can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// Room for a unit of so many bytes in the log.
    Log(usize),
    /// Revisions that a crash would not give out again.
    Revisions,
    /// Room for an image of so many bytes.
    Images(usize),
}

impl Unit {
    #[inline(never)]
    fn add(&mut self, record: &Record<'_>) {
        if self.bytes.capacity() == 0 {
            // A thread that ends has none any more.
            self.bytes = SPARE.try_with(Cell::take).unwrap_or_default();
        }
        record.encode(&mut self.bytes);
        self.count += 1;
    }

    #[inline(never)]
    fn append_to(&mut self, log: &Log) -> Option<u64> {
        let reserved = std::mem::take(&mut self.reserved);
        if self.count == 0 {
            if reserved > 0 {
                log.release(reserved);
            }
            return None;
        }
        let lsn = log.append(&self.bytes, self.count, reserved);
        self.count = 0;
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() <= KEPT_BYTES {
            bytes.clear();
            let _ = SPARE.try_with(|spare| spare.set(bytes));
        }
        Some(lsn)
    }
}

impl Journal {
    pub(crate) fn new() -> Journal {
        Journal {
            log: OnceLock::new(),
            images: Images::new(),
            taking: Mutex::new(()),
            expired: AtomicU64::new(0),
        }
    }

    /// Keeps a log from now on: the store has been filled, and nobody else uses it yet.
    pub(crate) fn begin(&self, log: Log) {
        let second = self.log.set(log).is_err();
        debug_assert!(!second, "a second log would be a second order of changes");
    }

    /// Counts entries that were freed because they had expired.
    pub(crate) fn count_expired(&self, count: u64) {
        self.expired.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }

    /// The log, where one is kept.
    #[inline]
    pub(crate) fn log(&self) -> Option<&Log> {
        self.log.get()
    }

    /// Reserves room for records with keys and values of so many bytes in all. `revision` is the last
    /// one taken.
    pub(crate) fn reserve(
        &self,
        unit: &mut Unit,
        count: usize,
        bytes: usize,
        revision: u64,
    ) -> Result<(), Lack> {
        let Some(log) = self.log() else { return Ok(()) };
        if !log.revision_room(revision + REVISIONS + count as u64) {
            return Err(Lack::Revisions);
        }
        // The log wants one reservation for a unit, which lies in one piece there.
        let before = std::mem::take(&mut unit.reserved);
        if before > 0 {
            log.release(before);
        }
        let bytes = before + bytes + count * RECORD_HEAD;
        if !log.reserve(bytes) {
            return Err(Lack::Log(bytes));
        }
        unit.reserved = bytes;
        Ok(())
    }

    /// Adds a record to a unit that has room for it, if a log is kept.
    #[inline]
    pub(crate) fn record(&self, unit: &mut Unit, record: &Record<'_>) {
        if self.log().is_some() {
            unit.add(record);
        }
    }

    /// Puts a unit into the log, under the locks of its change. Returns the LSN to wait for.
    #[inline]
    pub(crate) fn append(&self, unit: &mut Unit) -> Option<u64> {
        self.log().and_then(|log| unit.append_to(log))
    }

    /// Waits until a record is as safe as `sync` promises. With no lock held.
    ///
    /// # Errors
    /// `Io` or `Poisoned` if the log could not be written: the outcome is unknown.
    pub(crate) fn wait(&self, lsn: u64) -> Result<(), Error> {
        self.log().map_or(Ok(()), |log| log.wait(lsn))
    }

    /// Sees to what a change lacked. With no lock held.
    ///
    /// # Errors
    /// `NoSpace` if the disk is full; `Io` or `Poisoned` after a failure.
    pub(crate) fn supply(&self, lack: Lack) -> Result<(), Error> {
        match (lack, self.log()) {
            (Lack::Images(bytes), _) => {
                self.images.wait_for_room(bytes);
                Ok(())
            }
            (Lack::Log(bytes), Some(log)) => log.make_room(bytes),
            (Lack::Revisions, Some(log)) => log.make_revision_room(),
            (Lack::Log(_) | Lack::Revisions, None) => Ok(()),
        }
    }
}

//! Keeps room ahead of the log: for bytes and for revisions.
//!
//! Owns: reservation, the preparing of segments, and the revision ceiling. Invariants: a promise of
//! room is kept by a segment that is there as a whole; a revision is given out only below a ceiling
//! that is durable, so that a crash never makes one come twice.

use crate::error::{Error, Result, Status};
use crate::sync::atomic::Ordering;

use super::Log;
use super::queue::{capacity, cost, segment_bytes};
use super::segments::{NotPrepared, Segment};

/// How many revisions are reserved at once.
const CEILING_STEP: u64 = 1 << 26;
/// The last revision there can be: revisions have 48 bits.
const LAST_REVISION: u64 = (1 << 48) - 1;
/// The longest unit, in bytes.
const UNIT_MAX: usize = 1 << 40;
/// Room that is prepared beyond what is asked for, for those who reserve at the same time.
const SLACK: u64 = 16 << 10;

impl Log {
    /// Promises room for one unit of so many bytes, before memory changes. False if there is none
    /// prepared: call [`Self::make_room`] with no lock held and ask again. Takes no lock. What is
    /// promised is given back by [`Self::append`] or [`Self::release`], once.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        self.room.take(cost(bytes))
    }

    /// Gives back what was reserved and is not needed.
    pub(crate) fn release(&self, bytes: usize) {
        self.room.give(cost(bytes));
    }

    /// Prepares a segment if there is no room for a unit of so many bytes. Call it with no lock held:
    /// it writes and syncs.
    ///
    /// # Errors
    /// `NoSpace` if the disk is full, `TooLarge` if no unit may be that long, `Poisoned`, `Closed`;
    /// `Io` if a call of the system fails. Nothing has changed then, but a failed sync stops the log.
    pub(crate) fn make_room(&self, bytes: usize) -> Result<()> {
        if bytes > UNIT_MAX {
            return Err(Status::TooLarge.into());
        }
        let next = self.preparing.lock();
        // Somebody else may have made room while this thread waited.
        if self.room.free() >= cost(bytes) {
            return self.fault.check();
        }
        self.prepare(next, cost(bytes).unsigned_abs())
    }

    /// Puts a segment at the end of the line that has room for so many bytes of frames beyond all
    /// that is promised.
    fn prepare(&self, mut next: impl std::ops::DerefMut<Target = u64>, bytes: u64) -> Result<()> {
        self.fault.check()?;
        let in_line = self.queue.lock().last_in_line();
        let promised = in_line.saturating_sub(u64::try_from(self.room.free()).unwrap_or(0));
        // More may be promised meanwhile, but never more than there is in line.
        for promised in [promised, in_line] {
            let segment =
                self.make_segment(*next, segment_bytes(promised.saturating_add(bytes)))?;
            let (path, room) = (segment.path.clone(), capacity(segment.bytes));
            self.prepared.lock().push_back(segment);
            if self.queue.lock().offer(room, &self.room) {
                *next += 1;
                return Ok(());
            }
            self.prepared.lock().pop_back();
            self.maker.remove(&path)?;
        }
        Err(Status::NoSpace.into())
    }

    fn make_segment(&self, number: u64, least: u64) -> Result<Segment> {
        let wanted = self.segment_bytes.max(least.saturating_add(SLACK));
        let guard = self.guard();
        let prepared = self.maker.prepare(number, least, wanted, &mut |_, _| Ok(()));
        if let Err(NotPrepared { error, at_sync: true }) = &prepared {
            self.poison(error.clone());
        }
        guard.done();
        prepared.map_err(|failed| failed.error)
    }

    /// Does ahead what somebody would have to wait for otherwise: prepares the next segment when half
    /// of this one is used, and raises the revision ceiling when half of it is used.
    ///
    /// # Errors
    /// As [`Self::make_room`] and [`Self::make_revision_room`].
    pub(crate) fn tend(&self) -> Result<()> {
        if self.ceiling_is_near.load(Ordering::Relaxed) {
            self.make_revision_room()?;
        }
        let is_low = || self.queue.lock().is_low(self.segment_bytes / 2);
        if is_low() {
            let next = self.preparing.lock();
            if is_low() {
                self.prepare(next, 0)?;
            }
        }
        self.fault.check()
    }

    /// Whether the revision may be given out. Takes no lock.
    pub(crate) fn revision_room(&self, revision: u64) -> bool {
        let ceiling = self.ceiling.load(Ordering::Acquire);
        if revision.saturating_add(CEILING_STEP / 2) > ceiling && ceiling < LAST_REVISION {
            self.ceiling_is_near.store(true, Ordering::Relaxed);
        }
        revision <= ceiling
    }

    /// Raises the revision ceiling and makes that durable. Call it with no lock held.
    ///
    /// # Errors
    /// `Full` if there are no more revisions, `NoSpace` if the disk is full, or what stopped the log.
    pub(crate) fn make_revision_room(&self) -> Result<()> {
        self.reserve_or_make(0)?;
        {
            let mut files = self.files.lock();
            match raised(files.ceiling) {
                // Somebody else has raised it, and may not have made that durable yet.
                _ if files.ceiling > self.ceiling.load(Ordering::Acquire) => {}
                Ok(ceiling) => files.ceiling = ceiling,
                Err(error) => {
                    self.release(0);
                    return Err(error);
                }
            }
            self.append(b"", 0, 0);
            self.flush(&mut files)?;
        }
        self.barrier()?;
        self.ceiling_is_near.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Writes an empty group, so that the log says what time it has become.
    ///
    /// # Errors
    /// `NoSpace` if the disk is full, or what stopped the log.
    pub(crate) fn mark_time(&self) -> Result<()> {
        self.reserve_or_make(0)?;
        self.append(b"", 0, 0);
        let mut files = self.files.lock();
        self.flush(&mut files)?;
        self.fault.check()
    }

    /// Sees that a segment is there to go on in behind the one in use, and returns its number. It may
    /// come into use at any time.
    ///
    /// # Errors
    /// As [`Self::make_room`].
    pub(crate) fn prepare_next(&self) -> Result<u64> {
        loop {
            self.fault.check()?;
            {
                let queue = self.queue.lock();
                if queue.has_next() {
                    return Ok(queue.segment() + 1);
                }
            }
            let next = self.preparing.lock();
            if !self.queue.lock().has_next() {
                self.prepare(next, 0)?;
            }
        }
    }

    /// Seals the segment in use and goes on in the next one, with the LSNs after so many that no record
    /// gets. Returns the number of the new segment: all records that are queued after this call began are
    /// in it or behind it.
    ///
    /// # Errors
    /// As [`Self::make_room`].
    pub(crate) fn rotate(&self, skipped: u32) -> Result<u64> {
        let number = loop {
            self.prepare_next()?;
            let mut queue = self.queue.lock();
            if queue.rotate(skipped) {
                self.queued_lsn.store(queue.last_lsn(), Ordering::Release);
                break queue.segment();
            }
        };
        let mut files = self.files.lock();
        self.flush(&mut files)?;
        self.fault.check()?;
        Ok(number)
    }

    fn reserve_or_make(&self, bytes: usize) -> Result<()> {
        self.fault.check()?;
        while !self.reserve(bytes) {
            self.make_room(bytes)?;
        }
        Ok(())
    }
}

/// The ceiling after this revision.
pub(super) fn raised(revision: u64) -> Result<u64> {
    if revision >= LAST_REVISION {
        return Err(Error::new(Status::Full, "no more revisions: copy the entries to a new store"));
    }
    Ok(revision.saturating_add(CEILING_STEP).min(LAST_REVISION))
}

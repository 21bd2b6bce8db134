//! Who writes and syncs for whom.
//!
//! Owns: the waiting of threads for their records. Without a sync, the thread that gets the lock of
//! the files writes for all whose records are queued; the others find theirs written. With one,
//! the thread that comes first leads: it writes and syncs for all that are queued when it begins, and
//! those that come meanwhile wait at the gate, until one of them leads the next round.
//!
//! Invariants: a thread is let go only when its record is safe and the log has not failed; a round
//! that ends in any way, a panic included, opens the gate for the next; nobody waits who could lead.

use std::sync::Arc;

use crate::error::{Result, Status};
use crate::planted::{Planted, is_planted};
use crate::sync;
use crate::sync::atomic::Ordering;

use super::Log;

/// How often a thread looks whether another one has written for it, before it waits for the lock.
const LOOKS: usize = 100;
/// How often a leader lets others run that may have something to add to its round.
const YIELDS: usize = 64;

/// The state of the rounds.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Whether a round is on.
    is_led: bool,
    /// Units in the last round: about as many threads will come back soon.
    last_units: usize,
}

/// Opens the gate when a round has ended.
struct Round<'a> {
    log: &'a Log,
    /// Units in this round.
    units: usize,
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        *self.log.gate.lock() = Gate { is_led: false, last_units: self.units };
        self.log.synced.notify_all();
    }
}

impl Log {
    /// Waits until the record with this LSN, and all before it, are handed to the system or, in mode
    /// `Always`, durable. Call it with no lock held.
    ///
    /// # Errors
    /// What stopped the log if the record was queued before that, and `Poisoned` or `Closed` if
    /// after. The outcome is unknown in the first case; the record is lost in the second.
    pub(crate) fn wait(&self, lsn: u64) -> Result<()> {
        // Nobody is to wait for what nobody has queued.
        let lsn = lsn.min(self.last_lsn());
        if self.is_always() {
            return self.await_sync(lsn, &|| self.durable_lsn() >= lsn);
        }
        if is_planted(Planted::Buffered) {
            return self.fault.admit(lsn);
        }
        for _ in 0..LOOKS {
            if !self.writing.load(Ordering::Relaxed) || self.is_written(lsn) {
                break;
            }
            sync::spin_loop();
        }
        if !self.is_written(lsn) {
            let mut files = self.files.lock();
            if !self.is_written(lsn) {
                // The fault says what went wrong, and to whom.
                let _ = self.flush(&mut files);
            }
        }
        self.fault.admit(lsn)
    }

    fn is_written(&self, lsn: u64) -> bool {
        self.written_lsn.load(Ordering::Acquire) >= lsn
    }

    /// Makes durable all that was queued before, in any mode, and then does what [`Self::tend`] does.
    ///
    /// # Errors
    /// What stopped the log, now or before.
    pub(crate) fn sync(&self) -> Result<()> {
        self.fault.check()?;
        self.barrier()?;
        match self.tend() {
            // Those who need room will hear of it.
            Err(error) if error.status() == Status::NoSpace => Ok(()),
            tended => tended,
        }
    }

    /// Makes durable all that was queued before, also what has no LSN.
    pub(super) fn barrier(&self) -> Result<()> {
        let (lsn, ticket) = {
            let queue = self.queue.lock();
            (queue.last_lsn(), queue.ticket())
        };
        self.await_sync(lsn, &|| self.durable_ticket.load(Ordering::Acquire) >= ticket)
    }

    /// Leads rounds, or waits for those that others lead, until it is done or the log has failed.
    fn await_sync(&self, lsn: u64, is_done: &dyn Fn() -> bool) -> Result<()> {
        let mut gate = self.gate.lock();
        while !self.fault.is_set() && !is_done() {
            if gate.is_led {
                self.synced.wait(&mut gate);
                if is_planted(Planted::FollowerOk) {
                    return Ok(());
                }
                continue;
            }
            gate.is_led = true;
            let expected = gate.last_units;
            drop(gate);
            self.lead(expected);
            gate = self.gate.lock();
        }
        drop(gate);
        self.fault.admit(lsn)
    }

    /// One round: the gate is shut, and opens when this returns.
    fn lead(&self, expected: usize) {
        let mut round = Round { log: self, units: 0 };
        for _ in 0..YIELDS {
            if self.queued_units.load(Ordering::Relaxed) >= expected {
                break;
            }
            sync::yield_now();
        }
        round.units = self.queued_units.load(Ordering::Relaxed);
        assert!(!is_planted(Planted::PanicInRound), "planted by a test");
        // The fault says what went wrong.
        let _ = self.write_and_sync();
    }

    fn write_and_sync(&self) -> Result<()> {
        let (segment, lsn, ticket, ceiling) = {
            let mut files = self.files.lock();
            self.flush(&mut files)?;
            (Arc::clone(&files.current), files.lsn, files.ticket, files.ceiling)
        };
        // The segments before it are durable: it would not have been entered otherwise.
        if self.durable_ticket.load(Ordering::Acquire) < ticket {
            self.sync_segment(&segment)?;
            self.durable_lsn.fetch_max(lsn, Ordering::AcqRel);
            self.durable_ticket.fetch_max(ticket, Ordering::AcqRel);
            self.ceiling.fetch_max(ceiling, Ordering::AcqRel);
        }
        Ok(())
    }
}

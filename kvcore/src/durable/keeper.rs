//! The threads that tend a store's files: one syncs the log, one takes snapshots.
//!
//! Two, because a snapshot may take minutes and the log must be synced every `sync_interval`.
//! Invariants: a thread that fails poisons the store, unless the disk was full or a snapshot could not
//! be written, which are tried again; both end when they are told to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::Durable;
use crate::clock::Stopwatch;
use crate::error::{Error, Result, Status};
use crate::planted::{Planted, is_planted};
use crate::store::Core;
use crate::sync::{Condvar, Mutex, Thread, spawn};

/// How often the length of the log is looked at.
const WATCH_MS: u64 = 1_000;

/// How often the wait is doubled after snapshots that could not be written, to 8 s: a disk that is full stays
/// so for a while, but the log must not grow for long once there is room.
const BACK_OFF_MAX: u32 = 3;

/// What a thread does until it is told to stop.
type Body = fn(&Keeper, &Core, &Durable);

/// The threads of one store.
pub(super) struct Keeper {
    orders: Mutex<Orders>,
    bell: Condvar,
}

#[derive(Default)]
struct Orders {
    stop: bool,
    /// Times the options have changed.
    changes: u64,
    threads: Vec<Thread>,
}

impl Keeper {
    /// No thread yet.
    pub(super) fn new() -> Keeper {
        Keeper { orders: Mutex::new(Orders::default()), bell: Condvar::new() }
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// `Io` if the system has no thread to give.
    pub(super) fn start(&self, core: &Arc<Core>) -> Result<()> {
        let bodies: [(&str, Body); 2] = [("kv-log", tend_log), ("kv-snapshot", take_snapshots)];
        for (name, body) in bodies {
            let core = Arc::clone(core);
            let thread = spawn(name, move || {
                let Some(durable) = core.durable() else { return };
                let run = AssertUnwindSafe(|| body(&durable.keeper, &core, durable));
                if catch_unwind(run).is_err() {
                    let message = "a thread that tends the store's files panicked";
                    core.state.poison(Some(Error::new(Status::Panic, message)));
                }
            });
            let thread = thread.map_err(|error| {
                Error::from_os("a thread for the store's files could not be started", &error)
            })?;
            self.orders.lock().threads.push(thread);
        }
        Ok(())
    }

    /// Makes the threads look at the options again.
    pub(super) fn ring(&self) {
        self.orders.lock().changes += 1;
        self.bell.notify_all();
    }

    /// Stops the threads and waits until they have ended.
    pub(super) fn stop(&self) {
        let threads = {
            let mut orders = self.orders.lock();
            orders.stop = true;
            std::mem::take(&mut orders.threads)
        };
        self.bell.notify_all();
        for thread in threads {
            // A panic in there has poisoned the store already.
            let _ = thread.join();
        }
    }

    fn is_stopped(&self) -> bool {
        self.orders.lock().stop
    }

    /// Waits for so long, or until it is told to stop or to look again. `seen` is how many changes of the
    /// options the thread knows of: one that came since it last looked ends the nap before it begins.
    /// `false` if the thread is to stop.
    fn nap(&self, ms: u64, seen: &mut u64) -> bool {
        let mut orders = self.orders.lock();
        if !orders.stop && orders.changes == *seen {
            self.bell.wait_for(&mut orders, Duration::from_millis(ms));
        }
        *seen = orders.changes;
        !orders.stop
    }
}

/// Syncs the log every `sync_interval`, or only sees that it has room.
fn tend_log(keeper: &Keeper, core: &Core, durable: &Durable) {
    let (mut expired, mut seen) = (0, 0);
    while keeper.nap(core.context.files.sync_interval_ms(), &mut seen) {
        assert!(!is_planted(Planted::PanicInLog), "planted by a test");
        let tended = match core.context.journal.log() {
            Some(log) => {
                // What has expired stays so, whatever the clock says when the store is opened again.
                let count = core.context.journal.expired();
                let marked = if count == expired { Ok(()) } else { log.mark_time() };
                expired = count;
                marked.and_then(|()| {
                    if core.context.files.syncs_by_interval() { log.sync() } else { log.tend() }
                })
            }
            None => durable.extend_revisions(core),
        };
        if let Err(fault) = tended {
            core.fault(fault);
        }
    }
}

/// Takes a snapshot every `snapshot_interval` if something has changed, and whenever the log has become
/// too long.
fn take_snapshots(keeper: &Keeper, core: &Core, durable: &Durable) {
    let (mut failed, mut seen) = (0_u32, 0);
    let mut since_last = Stopwatch::start();
    while keeper.nap(WATCH_MS << failed.min(BACK_OFF_MAX), &mut seen) {
        assert!(!is_planted(Planted::PanicInSnapshot), "planted by a test");
        match durable.snapshot_if_due(core, since_last.seconds(), &|| keeper.is_stopped()) {
            Ok(taken) => {
                failed = 0;
                if taken {
                    since_last = Stopwatch::start();
                }
            }
            Err(_) if keeper.is_stopped() => return,
            Err(fault) => {
                failed += 1;
                core.state.note_fault(fault);
            }
        }
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_came_before_a_nap_ends_it_at_once() {
        let keeper = Keeper::new();
        let mut seen = 0;
        keeper.ring();
        // A nap of weeks: the test would not end if it were taken.
        assert!(keeper.nap(1 << 31, &mut seen));
        assert!(keeper.nap(1, &mut seen));
        keeper.stop();
        assert!(!keeper.nap(1 << 31, &mut seen));
    }
}

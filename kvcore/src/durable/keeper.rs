//! The threads that tend a store's files: one syncs the log, one takes snapshots.
//!
//! Two, because a snapshot may take minutes and the log must be synced every `sync_interval`.
//! Invariants: a thread that fails poisons the store, unless the disk was full or a snapshot could not
//! be written, which are tried again; both end when they are told to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::Durable;
use crate::error::{Error, Result, Status};
use crate::store::Core;
use crate::sync::{Condvar, Mutex, Thread, spawn};

/// How often the length of the log is looked at.
const WATCH_MS: u64 = 1_000;

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

    /// Waits for so long, or until it is told to stop or to look again. `false` if it is to stop.
    fn nap(&self, ms: u64) -> bool {
        let mut orders = self.orders.lock();
        let changes = orders.changes;
        if !orders.stop && orders.changes == changes {
            self.bell.wait_for(&mut orders, Duration::from_millis(ms));
        }
        !orders.stop
    }
}

/// Syncs the log every `sync_interval`, or only sees that it has room.
fn tend_log(keeper: &Keeper, core: &Core, durable: &Durable) {
    let mut expired = 0;
    while keeper.nap(core.context.files.sync_interval_ms()) {
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
    let mut waited_ms = 0;
    let mut failed = 0_u32;
    loop {
        // A disk that is full stays so for a while.
        let nap = WATCH_MS << failed.min(6);
        if !keeper.nap(nap) {
            return;
        }
        waited_ms += nap;
        let files = &core.context.files;
        let due = durable.persistence.has_snapshots()
            && files.snapshot_interval_ms() != 0
            && waited_ms >= files.snapshot_interval_ms();
        let log = core.context.journal.log();
        let too_long = log.is_some_and(|log| log.bytes() > files.wal_bytes_max());
        if !due && !too_long {
            continue;
        }
        match durable.snapshot_if_changed(core, &|| keeper.is_stopped()) {
            Ok(()) => (waited_ms, failed) = (0, 0),
            Err(_) if keeper.is_stopped() => return,
            Err(fault) => {
                failed += 1;
                core.state.note_fault(fault);
            }
        }
    }
}

//! Changes whose waiting for the log is put off, so that many of them wait once.
//!
//! Owns: what the changes of a thread have still to wait for while it is inside
//! [`Store::defer`](crate::Store::defer), and [`Ticket`], which takes that out. A program that serves many
//! clients from one thread must not stop all of them for the sync of one, and wants the log written once for
//! a pipeline. So the change is made and queued as always, and only its last step comes later: waiting, and
//! then telling the watches.
//!
//! Invariants: what is put off is never forgotten, since dropping a ticket waits; a watch learns of a
//! change only once its record is as safe as `sync` promises, as without a deferral; a deferral belongs to
//! one thread and one store, and changes of other stores wait for themselves.
//!
//! Why a scope of the thread and not a second set of calls: every way to change a store, with all that
//! may happen on it, ends in the same two steps, which are all that differs.

use std::cell::RefCell;
use std::sync::Arc;

use crate::context::Context;
use crate::error::Result;
use crate::store::Core;
use crate::watch::Told;

/// What the changes of a scope have still to wait for.
#[derive(Default)]
struct Pending {
    /// The context of the store, by its address.
    of: usize,
    /// The LSN of the last record.
    lsn: Option<u64>,
    /// What the watches are to be told.
    told: Vec<Told>,
}

thread_local! {
    static PENDING: RefCell<Option<Pending>> = const { RefCell::new(None) };
}

fn address(context: &Context) -> usize {
    std::ptr::from_ref(context).addr()
}

/// Puts the waiting for a record off, if this thread is inside a deferral of this store.
pub(crate) fn put_off(context: &Context, lsn: u64) -> bool {
    PENDING.with_borrow_mut(|pending| match pending {
        Some(pending) if pending.of == address(context) => {
            pending.lsn = pending.lsn.max(Some(lsn));
            true
        }
        _ => false,
    })
}

/// Keeps what watches are to be told for later. Gives it back if there is no deferral.
pub(crate) fn keep(context: &Context, told: Told) -> Option<Told> {
    PENDING.with_borrow_mut(|pending| match pending {
        // Without a record before it, it has nothing to wait for.
        Some(pending) if pending.of == address(context) && pending.lsn.is_some() => {
            pending.told.push(told);
            None
        }
        _ => Some(told),
    })
}

/// A scope in which waiting is put off. Ends the scope when it is dropped, also by a panic.
pub(crate) struct Scope {
    core: Arc<Core>,
    /// The scope around this one.
    outer: Option<Pending>,
    is_over: bool,
}

impl Scope {
    pub(crate) fn begin(core: &Arc<Core>) -> Scope {
        let own = Pending { of: address(&core.context), ..Pending::default() };
        let outer = PENDING.replace(Some(own));
        Scope { core: Arc::clone(core), outer, is_over: false }
    }

    pub(crate) fn end(mut self) -> Ticket {
        self.take()
    }

    fn take(&mut self) -> Ticket {
        self.is_over = true;
        let pending = PENDING.replace(self.outer.take()).unwrap_or_default();
        Ticket { core: Arc::clone(&self.core), pending }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if !self.is_over {
            drop(self.take());
        }
    }
}

/// What the changes of a [`Store::defer`](crate::Store::defer) have still to wait for.
///
/// It may be sent to another thread and waited for there. Dropping it waits too, so nothing is ever left
/// undone; only the outcome is lost then. It does not keep the store open.
#[must_use = "the changes may be acknowledged only after waiting for the ticket"]
pub struct Ticket {
    core: Arc<Core>,
    pending: Pending,
}

impl Ticket {
    /// Whether nothing is left to wait for, as after reads alone and in a store without a log.
    pub fn is_settled(&self) -> bool {
        self.pending.lsn.is_none()
    }

    /// Whether waiting takes a sync of the disk, which is better left to a thread that nobody else
    /// needs meanwhile.
    pub fn waits_for_disk(&self) -> bool {
        let log = self.core.context.journal.log();
        !self.is_settled() && log.is_some_and(|log| log.is_always())
    }

    /// Waits until the changes are as safe as `sync` promises: durable with `always`, otherwise handed to
    /// the system. With `always` this takes as long as a sync.
    ///
    /// # Errors
    /// `Io` or `Poisoned` if the log could not be written: the outcome is unknown, nothing may be
    /// acknowledged, and the store takes no more writes.
    pub fn wait(mut self) -> Result<()> {
        self.settle()
    }

    fn settle(&mut self) -> Result<()> {
        let Some(lsn) = self.pending.lsn.take() else { return Ok(()) };
        if self.core.state.is_forked() {
            return Err(crate::Status::Forked.into());
        }
        self.core.await_record(lsn)?;
        for told in self.pending.told.drain(..) {
            self.core.context.feed.publish(told);
        }
        Ok(())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // The fault of the store says what went wrong.
        let _ = self.settle();
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("is_settled", &self.is_settled()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use crate::clock::Clock;
    use crate::io::SimDisk;
    use crate::{Options, Status, Store, WatchOptions, Watched};

    fn store(disk: &SimDisk) -> Store {
        let options = Options::new().with("sync", "always").unwrap();
        let clock = Clock::manual(1_000_000).0;
        Store::open_on(disk.disk(), Path::new("/data/store"), options, clock).unwrap()
    }

    #[test]
    fn many_changes_wait_for_one_sync() {
        let disk = SimDisk::new(1);
        let store = store(&disk);
        let before = store.stats().unwrap().wal_syncs;
        let ((), ticket) = store.defer(|| {
            for n in 0..50 {
                store.set(format!("key{n}"), "value").unwrap();
            }
        });
        assert_eq!(store.stats().unwrap().wal_syncs, before);
        assert!(!ticket.is_settled());
        assert_eq!(store.get("key7").unwrap().as_deref(), Some(&b"value"[..]));
        ticket.wait().unwrap();
        assert_eq!(store.stats().unwrap().wal_syncs, before + 1);
    }

    #[test]
    fn a_watch_learns_of_a_change_when_the_ticket_was_waited_for() {
        let disk = SimDisk::new(1);
        let store = store(&disk);
        let mut watch = store.watch(&WatchOptions::all()).unwrap();
        let (_, ticket) = store.defer(|| store.set("a", "1").unwrap());
        assert!(matches!(watch.try_next(), Ok(Watched::TimedOut)));
        ticket.wait().unwrap();
        assert!(matches!(watch.try_next(), Ok(Watched::Event(_))));
    }

    #[test]
    fn a_ticket_that_is_dropped_was_waited_for() {
        let disk = SimDisk::new(1);
        let store = store(&disk);
        let mut watch = store.watch(&WatchOptions::all()).unwrap();
        let before = store.stats().unwrap().wal_syncs;
        let (_, ticket) = store.defer(|| store.set("a", "1").unwrap());
        drop(ticket);
        assert_eq!(store.stats().unwrap().wal_syncs, before + 1);
        assert!(matches!(watch.try_next(), Ok(Watched::Event(_))));
        // A panic ends the scope in the same way.
        let panics = std::panic::AssertUnwindSafe(|| {
            let _ = store.defer(|| {
                store.set("b", "1").unwrap();
                panic!("in the middle of it");
            });
        });
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_eq!(store.stats().unwrap().wal_syncs, before + 2);
        store.set("c", "1").unwrap();
        assert_eq!(store.stats().unwrap().wal_syncs, before + 3);
    }

    #[test]
    fn reads_and_stores_in_memory_leave_nothing_to_wait_for() {
        let disk = SimDisk::new(1);
        let (on_disk, in_memory) = (store(&disk), Store::memory(Options::new()).unwrap());
        let (_, ticket) = on_disk.defer(|| on_disk.get("a").unwrap());
        assert!(ticket.is_settled());
        let (_, ticket) = in_memory.defer(|| in_memory.set("a", "1").unwrap());
        assert!(ticket.is_settled());
        // The change of another store waits for itself.
        let before = on_disk.stats().unwrap().wal_syncs;
        let (_, ticket) = in_memory.defer(|| on_disk.set("a", "1").unwrap());
        assert!(ticket.is_settled());
        assert_eq!(on_disk.stats().unwrap().wal_syncs, before + 1);
    }

    #[test]
    fn a_sync_that_fails_is_told_by_the_ticket() {
        let disk = SimDisk::new(1);
        let store = store(&disk);
        let (_, ticket) = store.defer(|| store.set("a", "1").unwrap());
        disk.fail_sync_once();
        assert_eq!(ticket.wait().map_err(|e| e.status()), Err(Status::Io));
        assert_eq!(store.set("b", "1").map_err(|e| e.status()), Err(Status::Poisoned));
    }
}

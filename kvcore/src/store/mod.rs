//! The store as callers see it: opening, closing, and everything that concerns all of it.
//!
//! Owns: [`Store`], the handle. `read` has the calls that read, `ops` those that change one
//! key, `batch` those that change many, `group` how changes of many keys are made as one, `transact` those
//! that a closure decides, `stats` what is counted and timed, `core` what the handles share. Invariants: the
//! last handle stops the store's thread before it goes; a handle that crossed a `fork` touches no lock, not
//! even to free what it holds.

mod batch;
mod core;
mod files;
mod group;
mod ops;
mod page;
mod read;
mod sink;
mod stats;
mod transact;

use std::sync::Arc;

pub(crate) use self::core::Core;
pub use self::sink::ValueSink;
pub use self::transact::{Held, Transaction, Update};
use crate::background::Cleaner;
use crate::clock::Clock;
use crate::deferral::{Scope, Ticket};
use crate::error::{Error, Result, Status};
use crate::keys::Keys;
use crate::location::Location;
use crate::options::{Options, shown};

/// A key-value store.
///
/// A handle: cloning it is cheap and gives another handle of the same store. All calls may be made
/// from any number of threads. The store is closed by [`shutdown`](Store::shutdown) or when its last
/// handle goes; values that were read stay valid.
///
/// Every call can fail with `Closed` once the store was shut down, with `Forked` in a child process
/// that inherited the handle, and every write with `Poisoned` after a bug was contained. A key over
/// its limit is `TooLarge` in every call.
#[derive(Clone)]
pub struct Store {
    pub(crate) core: Arc<Core>,
    handle: Arc<Handle>,
}

/// What is there once for all handles; its end is the end of the store.
struct Handle {
    core: Arc<Core>,
    cleaner: Cleaner,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.core.state.is_forked() {
            // A lock may have been held, or an entry half written, at the moment of the fork.
            std::mem::forget(Arc::clone(&self.core));
            self.cleaner.abandon();
        } else {
            let was_sound = self.core.state.close();
            self.cleaner.stop(&self.core.context.alarm);
            if let Some(durable) = self.core.durable() {
                // There is nobody left to tell: shutdown says what could not be made safe.
                let _ = durable.close(&self.core, was_sound);
            }
            self.core.context.removals.abandon();
            // A watch does not keep a store open, but it does keep its memory.
            if was_sound && self.core.context.feed.is_on() {
                self.core.free_contents();
            }
        }
    }
}

impl Store {
    /// Opens a store in memory.
    ///
    /// # Errors
    /// `Invalid` if the options ask for something to be kept on disk; `Io` if the system has no
    /// thread to give.
    pub fn memory(options: Options) -> Result<Store> {
        Store::with_clock(options, Clock::system())
    }

    /// Opens the store at a location: `":memory:"`, a directory, or `kv:PLACE?name=value&…` with
    /// options that win over `options`.
    ///
    /// # Errors
    /// As [`memory`](Store::memory), [`open_directory`](Store::open_directory) and [`Options::set`];
    /// `Unsupported` for a store on a server, which the engine itself cannot reach.
    pub fn open(location: &str, mut options: Options) -> Result<Store> {
        match Location::read(location, &mut options)? {
            Location::Memory => Store::memory(options),
            Location::Directory(path) => Store::open_directory(path, options),
            Location::Remote(place) => Err(Error::new(
                Status::Unsupported,
                format!(
                    "cannot open '{}': a store on a server is not reached by this interface, \
                     open \":memory:\" instead",
                    shown(place.without_user())
                ),
            )),
        }
    }

    /// Opens a store in memory that goes by this clock. With a manual clock there is no thread that
    /// frees what has expired; [`purge_expired`](Store::purge_expired) does it.
    ///
    /// # Errors
    /// As [`memory`](Store::memory).
    pub fn with_clock(options: Options, clock: Clock) -> Result<Store> {
        if options.wants_disk() {
            return Err(Error::new(
                Status::Invalid,
                "a store in memory keeps nothing on disk: leave out persistence, or set it to none",
            ));
        }
        options.check_local()?;
        Store::start(Arc::new(Core::new(options, clock)))
    }

    /// Starts the threads of a store and gives out its first handle.
    fn start(core: Arc<Core>) -> Result<Store> {
        let manual = core.context.clock.is_manual();
        core.context.removals.start()?;
        let cleaner = if manual { Ok(Cleaner::none()) } else { Cleaner::start(&core) };
        let cleaner = cleaner.inspect_err(|_| core.context.removals.abandon())?;
        let handle = Arc::new(Handle { core: Arc::clone(&core), cleaner });
        if let Some(durable) = core.durable().filter(|_| !manual) {
            durable.start(&core)?;
        }
        Ok(Store { core, handle })
    }

    /// Closes the store for all handles: calls that come later answer `Closed`, the store's thread
    /// ends, the contents are freed. Calls that are under way end as they would have, or answer
    /// `Closed`. May be called again.
    ///
    /// # Errors
    /// `Forked`.
    pub fn shutdown(&self) -> Result<()> {
        if self.is_forked() {
            return Err(Status::Forked.into());
        }
        self.core.context.removals.check_may_stop()?;
        let was_sound = self.core.state.close();
        self.handle.cleaner.stop(&self.core.context.alarm);
        let closed = match self.core.durable() {
            Some(durable) => durable.close(&self.core, was_sound),
            None => Ok(()),
        };
        self.core.context.removals.stop();
        // A panic may have left a poisoned store in pieces, which only the last handle clears away.
        if was_sound {
            self.core.free_contents();
        }
        closed
    }

    /// Makes changes without waiting for the log: what `act` changes on this thread, by any call, is queued
    /// and seen by everybody, and [`Ticket::wait`] waits for all of it at once. So a pipeline of changes
    /// takes one write to the log, or one sync with `sync=always`, and a program that serves many callers
    /// from one thread may have another one wait. Nothing may be acknowledged before that.
    ///
    /// In here a call that changes answers `Ok` although its record may still fail to be written; the
    /// ticket tells. What other threads do, and changes of other stores, wait as always.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::memory(kvcore::Options::new())?;
    /// let (outcomes, ticket) = store.defer(|| [store.set("a", "1"), store.set("b", "2")]);
    /// ticket.wait()?;
    /// assert!(outcomes.iter().all(Result::is_ok));
    /// # Ok(())
    /// # }
    /// ```
    pub fn defer<R>(&self, act: impl FnOnce() -> R) -> (R, Ticket) {
        let scope = Scope::begin(&self.core);
        let result = act();
        (result, scope.end())
    }

    /// What time it is for the store, in Unix milliseconds: a deadline has passed once this is not less.
    pub fn now_ms(&self) -> i64 {
        self.core.context.clock.now_ms()
    }

    /// The number of entries, with those that have expired and wait to be freed.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn len(&self) -> Result<u64> {
        self.core.state.check_read()?;
        let shards = 0..self.core.shard_count();
        let count: u64 = shards.map(|shard| self.core.read_shard(shard).len() as u64).sum();
        self.core.state.check_open()?;
        // The sum over the shards is from no one moment, and might show a limit exceeded.
        Ok(count.min(self.core.context.budget.max_entries()))
    }

    /// Whether [`len`](Store::len) is zero.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// The keys, in no order, while the store goes on changing: an entry that is there during the
    /// whole walk comes exactly once.
    ///
    /// # Errors
    /// `Closed`, `Forked`; the iterator ends with the same if the store is closed meanwhile.
    pub fn keys(&self) -> Result<Keys> {
        self.core.state.check_read()?;
        Ok(Keys::new(self.clone()))
    }

    /// Takes everything out, at one moment for the whole store.
    ///
    /// # Errors
    /// `Closed`, `Forked`, `Poisoned`.
    pub fn clear(&self) -> Result<()> {
        self.core.state.check_write()?;
        self.core.clear()
    }

    /// Frees what has expired by now, and says how many entries that were.
    ///
    /// # Errors
    /// `Closed`, `Forked`, `Poisoned`.
    pub fn purge_expired(&self) -> Result<u64> {
        self.core.state.check_write()?;
        Ok(self.core.free_expired(|| false))
    }

    /// Has the thread that frees expired entries leave them where they are, or go on with what waited.
    /// A held entry has expired all the same: no call finds it, and a write of its key frees it.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn hold_expired(&self, hold: bool) -> Result<()> {
        self.core.state.check_read()?;
        self.core.context.hold_expired(hold);
        Ok(())
    }

    /// Changes an option that the table marks as online.
    ///
    /// A limit that is lowered is in force when this returns, after evicting what was too much.
    ///
    /// # Errors
    /// `Unsupported` for an unknown option or one that cannot be changed now; `Invalid` for a value
    /// that does not fit; `Full` if the store holds more than a new limit and may not evict. The
    /// option is unchanged then.
    pub fn configure(&self, name: &str, value: &str) -> Result<()> {
        self.core.state.check_write()?;
        self.core.configure(name, value)
    }

    /// The limit on memory in bytes, 0 without one: the option `max_memory`, and of a share of the machine's
    /// memory what that comes to now.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn max_memory(&self) -> Result<u64> {
        self.core.state.check_read()?;
        Ok(self.core.max_memory())
    }

    /// Lets the eviction policy make room, as it does at first, or makes a full store refuse writes as with
    /// `eviction=none`. Which policy it is was chosen when the store was opened. Answers whether entries are
    /// evicted from now on: never with `eviction=none`.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn allow_eviction(&self, allow: bool) -> Result<bool> {
        self.core.state.check_read()?;
        Ok(self.core.allow_eviction(allow))
    }

    /// What poisoned the store, if anything did. Works on a closed store too.
    pub fn last_fault(&self) -> Option<Error> {
        if self.is_forked() {
            return Some(Status::Forked.into());
        }
        self.core.state.fault()
    }

    /// Whether this handle was inherited through a `fork`, so that every call answers `Forked`.
    pub fn is_forked(&self) -> bool {
        self.core.state.is_forked()
    }

    /// Stops all writes, after a binding has caught a panic.
    #[doc(hidden)]
    pub fn poison(&self, message: &str) {
        if !self.is_forked() {
            self.core.state.poison(Some(Error::new(Status::Panic, message.to_string())));
        }
    }

    /// Checks every invariant of the store and panics if one is broken. For tests; stops all calls
    /// while it looks at everything.
    #[doc(hidden)]
    pub fn validate(&self) {
        self.core.validate();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("shards", &self.core.shard_count()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_may_not_evict_refuses() {
        let options =
            Options::new().with("eviction", "lru").unwrap().with("max_entries", "1").unwrap();
        let store = Store::memory(options).unwrap();
        store.set("a", "").unwrap();
        assert_eq!(store.allow_eviction(false), Ok(false));
        assert_eq!(store.set("b", "").map_err(|e| e.status()), Err(Status::Full));
        assert_eq!(store.allow_eviction(true), Ok(true));
        store.set("b", "").unwrap();
        assert_eq!(store.get("a").unwrap().as_deref(), None);
        assert_eq!(Store::memory(Options::new()).unwrap().allow_eviction(true), Ok(false));
    }

    #[test]
    fn shutdown_frees_the_contents_though_a_handle_stays() {
        let store = Store::memory(Options::new()).unwrap();
        store.set("large", vec![7; 100_000]).unwrap();
        let value = store.get("large").unwrap().unwrap();
        store.shutdown().unwrap();
        let shards = 0..store.core.shard_count();
        assert_eq!(shards.map(|shard| store.core.read_shard(shard).len()).sum::<usize>(), 0);
        assert_eq!(value.len(), 100_000);
        store.validate();
    }
}

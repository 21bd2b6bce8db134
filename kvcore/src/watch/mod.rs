//! The ordered change feed: every change of the store, or of some keys, in the order of revisions.
//!
//! Owns: [`Watch`]. `told` is what a change has to tell, `ring` where that is kept and `spare` its memory when
//! it goes, `feed` where it comes into one order, `listener` where a watch waits, `replay` what the log still has of older changes.
//! Invariants: the revisions of a watch rise; it misses nothing that it asked for unless it says so
//! ([`Watched::Lagged`]); it sees a batch as a whole; no writer ever waits for a watch; what is
//! buffered stays within `watch_buffer` and `watch_buffer_bytes`.
//!
//! # How it is made
//!
//! * **While nobody watches** a change costs one look at a flag, under the lock that it has anyway.
//! * **Told under the lock, published without.** A change copies its events while it holds the lock of
//!   its shard, and publishes them when it has let go, and has waited for the log. So with `sync=always`
//!   nothing is seen that a crash could take back, and nothing is ever called under a lock.
//! * **The order is that of the revisions**, which are taken under the locks of the shards and not under
//!   a lock of the store. Threads therefore publish in any order: into a ring with a slot for each
//!   revision. Every revision is an event, so a slot that stays empty is a change under way.
//! * **Exposing.** Whoever publishes also moves the mark up to which there are no empty slots and
//!   no half batches, unless another thread is at it. What is behind the mark can be read by
//!   all watches, without any lock but the slot's.
//! * **A watch that has read everything waits** in a list, and is called only for what it asked for: so
//!   watching one quiet key of a busy store costs no thread's time, and never lags.
//! * **A watch that reads too slowly** finds another revision in the slot of its next one. It is told how
//!   many it missed, and goes on with the oldest that is there.
//!
//! Why not a queue for each watch: every writer would copy its event for every watch, or count
//! references. Why not the order of the log: a store in memory has none, and an expiry is no record.

mod event;
mod feed;
mod listener;
mod options;
mod replay;
mod ring;
mod spare;
mod told;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use event::{Event, EventKind, EventKinds};
pub(crate) use feed::Feed;
pub use options::WatchOptions;
pub(crate) use told::Told;

use crate::error::{Error, Result, Status};
use crate::planted::{Planted, is_planted};
use crate::store::{Core, Store};
use feed::Rest;
use listener::{Listener, Seat};
use replay::{Replay, Replayed};
use ring::Read;

/// Revisions after which a watch that has caught up looks away for a moment before it waits to be
/// called: calling it for each of many changes would cost their writers more than all the rest.
const BURST: usize = 64;

/// How long it looks away.
const NAP: Duration = Duration::from_millis(1);

/// What a [`Watch`] answers.
#[derive(Debug, Clone)]
pub enum Watched {
    /// A change that it asked for.
    Event(Event),
    /// Events went before they were read, or are not kept any more. The watch goes on with `revision`.
    Lagged {
        /// The next revision that the watch may see; a new watch can begin here too.
        revision: u64,
        /// How many revisions were not seen.
        missed: u64,
    },
    /// Nothing happened in time.
    TimedOut,
    /// The watch was cancelled.
    Cancelled,
}

/// The changes of a store, one after the other.
///
/// It belongs to one thread at a time; [`WatchCancel`] ends it from any other. It does not keep the store
/// open: once that is closed, it answers `Closed`.
pub struct Watch {
    core: Arc<Core>,
    listener: Arc<Listener>,
    /// The next revision to look at.
    next: u64,
    /// Whether it waits, or was called and has not answered.
    rests: bool,
    /// What comes next, if that was asked for already.
    ahead: Option<Watched>,
    /// The log, as long as the next revision is not in the buffer yet.
    replay: Option<Box<Replay>>,
    /// Whether there is a descriptor to keep readable.
    has_fd: bool,
    /// Revisions looked at since it last waited.
    looked_at: usize,
}

impl Store {
    /// Watches changes: from now on, or from an earlier revision if that is still there.
    ///
    /// The events come from a buffer in memory, which is kept while somebody watches, and for as many
    /// changes after that as it has room for. What came before is read from the log, if one is kept. A
    /// revision that is not kept any more, or not there yet, makes the watch begin with
    /// [`Watched::Lagged`].
    ///
    /// The log has no record of expiries, which are missed there ([`Watched::Lagged`]), and calls an
    /// eviction a deletion.
    ///
    /// # Errors
    /// `TooLarge` for a key over its limit, `NoMemory` for the buffer, `Io` and `Corrupt` for the log,
    /// `Closed`, `Forked`.
    pub fn watch(&self, options: &WatchOptions) -> Result<Watch> {
        let core = &self.core;
        core.state.check_read()?;
        core.key(options.filter.key_or_prefix())?;
        let feed = &core.context.feed;
        let now = feed.join(core)?;
        let mut watch = Watch {
            core: Arc::clone(core),
            listener: Arc::new(Listener::new(options.filter.clone())),
            next: if options.from_revision == 0 { now } else { options.from_revision },
            rests: false,
            ahead: None,
            replay: None,
            has_fd: false,
            looked_at: 0,
        };
        if watch.next > core.context.revision() + 1 {
            // It may never come, and what comes before it would be missed in silence.
            watch.ahead = Some(Watched::Lagged { revision: now, missed: 0 });
            watch.next = now;
        } else if watch.next < watch.oldest()
            && let Some(log) = core.context.journal.log()
        {
            watch.replay = Some(Box::new(Replay::begin(log, watch.next)?));
        }
        Ok(watch)
    }
}

impl Watch {
    /// The next change, waiting for it if there is none. `None` waits for ever.
    ///
    /// # Errors
    /// `Closed` once the store is closed; `Poisoned` if it takes no more changes and all were seen;
    /// `Io` and `Corrupt` if a watch that began in the past cannot read the log, after which it goes on
    /// with the buffer; `Forked`.
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Watched> {
        loop {
            self.core.state.check_read()?;
            if self.listener.is_cancelled() {
                return Ok(Watched::Cancelled);
            }
            if let Some(watched) = self.take(timeout.is_none_or(|timeout| timeout > NAP))? {
                if matches!(watched, Watched::Lagged { .. }) && !is_planted(Planted::ClosedIsLag) {
                    // Closing lets go of all events, which is not to be taken for being slow.
                    self.core.state.check_read()?;
                }
                return Ok(watched);
            }
            if !self.listener.wait(timeout) {
                return Ok(Watched::TimedOut);
            }
        }
    }

    /// The next change, if there is one.
    ///
    /// # Errors
    /// As [`next`](Watch::next).
    pub fn try_next(&mut self) -> Result<Watched> {
        self.next(Some(Duration::ZERO))
    }

    /// Stops all writes of the store, after a binding has caught a panic.
    #[doc(hidden)]
    pub fn poison(&self, message: &str) {
        if !self.core.state.is_forked() {
            let fault = Error::new(Status::Panic, message.to_string());
            self.core.state.poison(Some(fault));
        }
    }

    /// A handle that ends this watch from any thread.
    pub fn canceller(&self) -> WatchCancel {
        WatchCancel(Arc::clone(&self.listener))
    }

    /// A descriptor for `poll` and `epoll`: readable while something waits to be read with
    /// [`next`](Watch::next), level triggered, never to be read or closed by the caller. It is made by
    /// the first call and goes with the watch. `None` if the system has none to give, and in a process
    /// that was forked off.
    pub fn fd(&mut self) -> Option<i32> {
        if self.core.state.is_forked() {
            return None;
        }
        if self.has_fd {
            return self.listener.fd();
        }
        let fd = self.listener.open_fd()?;
        self.has_fd = true;
        self.settle();
        Some(fd)
    }

    /// Takes what comes next, and sees to the descriptor. `may_nap` is whether the caller has time.
    fn take(&mut self, may_nap: bool) -> Result<Option<Watched>> {
        let found = match self.ahead.take() {
            Some(found) => Some(found),
            None => self.find_or_rest(may_nap)?,
        };
        if found.is_some() && self.has_fd {
            self.settle();
        }
        Ok(found)
    }

    /// Sees that the descriptor is readable only while something waits. Whatever is wrong is said by
    /// the next call, for which it stays readable.
    fn settle(&mut self) {
        if self.ahead.is_none() {
            self.ahead = self.find_or_rest(false).unwrap_or(None);
        }
    }

    /// What comes next; `None` once it waits to be called.
    fn find_or_rest(&mut self, may_nap: bool) -> Result<Option<Watched>> {
        if self.rests {
            match self.listener.answer() {
                Seat::Called(revision) => (self.rests, self.next) = (false, revision),
                Seat::Waiting | Seat::Away => return Ok(None),
            }
        }
        let core = Arc::clone(&self.core);
        loop {
            if let Some(found) = self.find()? {
                return Ok(Some(found));
            }
            if may_nap && !self.has_fd && std::mem::take(&mut self.looked_at) >= BURST {
                self.listener.nap(NAP);
                continue;
            }
            let over = || core.state.check_write().is_err();
            match core.context.feed.rest(&self.listener, self.next, over) {
                Rest::Behind => {}
                Rest::Waiting => {
                    self.rests = true;
                    return Ok(None);
                }
                Rest::Over => return Err(self.why_over()),
            }
        }
    }

    /// Why nothing comes any more.
    fn why_over(&self) -> Error {
        let refused = self.core.state.check_read().and_then(|()| self.core.state.check_write());
        refused.err().unwrap_or_else(|| Status::Closed.into())
    }

    /// The first revision that the buffer has.
    fn oldest(&self) -> u64 {
        let context = &self.core.context;
        context.feed.ring().map_or(0, |ring| ring.oldest(context.revision()))
    }

    /// What comes next of what can be read.
    fn find(&mut self) -> Result<Option<Watched>> {
        let core = Arc::clone(&self.core);
        // A log that cannot be read is said once; then the watch goes on with the buffer.
        while let (Some(mut replay), Some(log)) = (self.replay.take(), core.context.journal.log()) {
            match replay.next(log, &self.listener.filter, &|| self.oldest())? {
                Replayed::Watched(watched) => {
                    self.replay = Some(replay);
                    return Ok(Some(watched));
                }
                Replayed::UpTo(next) => self.next = next,
            }
        }
        Ok(self.find_in_buffer())
    }

    /// What comes next of what the buffer has.
    fn find_in_buffer(&mut self) -> Option<Watched> {
        let feed = &self.core.context.feed;
        let ring = feed.ring()?;
        let mut exposed = feed.exposed();
        while self.next <= exposed || self.next < ring.floor() {
            self.looked_at += 1;
            match ring.read(self.next, &self.listener.filter) {
                Read::Event(event) => {
                    self.next += 1;
                    return Some(Watched::Event(event));
                }
                Read::Other => self.next += 1,
                Read::Gone => {
                    let revision = ring.oldest(self.core.context.revision()).max(self.next + 1);
                    let missed = revision - self.next;
                    self.next = revision;
                    return Some(Watched::Lagged { revision, missed });
                }
            }
            if self.next > exposed {
                exposed = feed.exposed();
            }
        }
        None
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.core.state.is_forked() {
            // Nothing that this process inherited may be touched, not even to free it.
            std::mem::forget((Arc::clone(&self.core), Arc::clone(&self.listener)));
            // Another thread may have been changing these.
            std::mem::forget((self.ahead.take(), self.replay.take()));
        } else {
            self.core.context.feed.leave(&self.listener);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("next_revision", &self.next).finish_non_exhaustive()
    }
}

/// Ends a [`Watch`], from any thread and more than once.
#[derive(Clone)]
pub struct WatchCancel(Arc<Listener>);

impl WatchCancel {
    /// Ends the watch: it answers [`Watched::Cancelled`] from now on, and wakes if it waits.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether the watch was inherited through a `fork`, so that nothing of it may be touched.
    pub fn is_forked(&self) -> bool {
        self.0.is_forked()
    }
}

impl fmt::Debug for WatchCancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchCancel").finish_non_exhaustive()
    }
}

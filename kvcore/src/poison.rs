//! Whether a store still takes calls: open, poisoned or closed.
//!
//! Owns: the state and the fault that poisoned it. Invariant: it only moves forward, from open to
//! poisoned to closed. A poisoned store answers reads and refuses writes, because a panic may have
//! left a change half done; it never turns back.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result, Status};
use crate::fork;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::watch::Feed;

const OPEN: u8 = 0;
const POISONED: u8 = 1;
const CLOSED: u8 = 2;

/// The state of one store.
pub(crate) struct State {
    state: AtomicU8,
    fork_generation: u32,
    fault: Mutex<Option<Error>>,
    /// Whoever watches is woken when no more changes come.
    feed: OnceLock<Arc<Feed>>,
}

impl State {
    /// An open store of this process.
    pub(crate) fn new() -> Self {
        fork::watch();
        State {
            state: AtomicU8::new(OPEN),
            fork_generation: fork::generation(),
            fault: Mutex::new(None),
            feed: OnceLock::new(),
        }
    }

    /// Wakes those who watch once the store takes no more changes.
    pub(crate) fn wakes(&self, feed: Arc<Feed>) {
        let second = self.feed.set(feed).is_err();
        debug_assert!(!second, "a store has one feed");
    }

    fn wake_watches(&self) {
        if let Some(feed) = self.feed.get() {
            feed.wake_all();
        }
    }

    /// Whether the handle was inherited through a `fork`.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        fork::generation() != self.fork_generation
    }

    /// Lets a read pass, also when poisoned.
    #[inline]
    pub(crate) fn check_read(&self) -> Result<()> {
        if self.state.load(Ordering::Acquire) <= POISONED && !self.is_forked() {
            return Ok(());
        }
        Err(self.refusal())
    }

    /// Lets a write pass.
    #[inline]
    pub(crate) fn check_write(&self) -> Result<()> {
        if self.state.load(Ordering::Acquire) == OPEN && !self.is_forked() {
            return Ok(());
        }
        Err(self.refusal())
    }

    #[cold]
    fn refusal(&self) -> Error {
        if self.is_forked() {
            return Status::Forked.into();
        }
        match self.state.load(Ordering::Acquire) {
            CLOSED => Status::Closed.into(),
            _ => Status::Poisoned.into(),
        }
    }

    /// Lets a call pass that holds the lock of a shard. A store that was closed while the call
    /// waited for the lock may be empty by now, and that must not be taken for an answer.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.state.load(Ordering::Acquire) != CLOSED {
            return Ok(());
        }
        Err(self.refusal())
    }

    /// Refuses all calls from now on. Says whether this call closed a store that was sound.
    pub(crate) fn close(&self) -> bool {
        let was_open = self.state.swap(CLOSED, Ordering::AcqRel) == OPEN;
        self.wake_watches();
        was_open
    }

    /// Refuses all writes from now on. The first fault with a message is the one that is kept.
    pub(crate) fn poison(&self, fault: Option<Error>) {
        {
            let mut kept = self.fault.lock();
            if kept.as_ref().is_none_or(|kept| kept.status() == Status::NoSpace) {
                *kept = fault.or(kept.take());
            }
            // A closed store stays closed.
            let _ =
                self.state.compare_exchange(OPEN, POISONED, Ordering::AcqRel, Ordering::Acquire);
        }
        self.wake_watches();
    }

    /// Keeps what filled the disk. Writes go on once there is room.
    pub(crate) fn note_fault(&self, fault: Error) {
        self.fault.lock().get_or_insert(fault);
    }

    /// What poisoned the store or filled its disk, if anything did.
    pub(crate) fn fault(&self) -> Option<Error> {
        let kept = self.fault.lock().clone();
        let poisoned = self.state.load(Ordering::Acquire) == POISONED;
        kept.or_else(|| poisoned.then(|| Status::Panic.into()))
    }

    /// A guard for the time in which a panic would leave a change half done.
    pub(crate) fn guard(&self) -> PanicGuard<'_> {
        PanicGuard(self)
    }
}

/// Poisons the store unless it is told that the change is whole.
pub(crate) struct PanicGuard<'a>(&'a State);

impl PanicGuard<'_> {
    /// The change is whole.
    pub(crate) fn done(self) {
        std::mem::forget(self);
    }
}

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        self.0.poison(None);
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    fn status(result: Result<()>) -> Option<Status> {
        result.err().map(|error| error.status())
    }

    #[test]
    fn a_panic_poisons_and_reads_go_on() {
        let state = State::new();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = state.guard();
            panic!("planted");
        }));
        assert!(caught.is_err());
        assert_eq!(status(state.check_write()), Some(Status::Poisoned));
        assert_eq!(status(state.check_read()), None);
        assert_eq!(state.fault().map(|fault| fault.status()), Some(Status::Panic));
        state.poison(Some(Error::new(Status::Panic, "planted")));
        state.poison(Some(Error::new(Status::Panic, "later")));
        assert_eq!(state.fault().map(|fault| fault.message().to_string()), Some("planted".into()));
        state.close();
        assert_eq!(status(state.check_read()), Some(Status::Closed));
        state.poison(None);
        assert_eq!(status(state.check_write()), Some(Status::Closed));
    }

    #[test]
    fn a_finished_change_does_not() {
        let state = State::new();
        state.guard().done();
        assert_eq!(status(state.check_write()), None);
        assert!(state.fault().is_none());
    }
}

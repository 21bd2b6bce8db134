//! Whether a store still takes calls: open, poisoned or closed.
//!
//! Owns: the state and the fault that poisoned it. Invariant: it only moves forward, from open to
//! poisoned to closed. A poisoned store answers reads and refuses writes, because a panic may have
//! left a change half done; it never turns back.
//!
//! What is measured of calls lies in the same byte. So a read, which is quick, learns by one look that it may begin and
//! is not timed, and by one more that it may answer and is counted.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result, Status};
use crate::fork;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::watch::Feed;

/// Bits of the byte. A store is open while neither of the first two is set, and one that was closed stays so, whether
/// it is poisoned or not.
const POISONED: u8 = 1;
const CLOSED: u8 = 2;
/// Reads are not counted.
const UNCOUNTED: u8 = 4;
/// Calls may be timed.
const TIMED: u8 = 8;

/// The state of one store.
pub(crate) struct State {
    bits: AtomicU8,
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
            bits: AtomicU8::new(0),
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

    /// Whether none of these bits is set.
    #[inline(always)]
    fn is_clear(&self, bits: u8) -> bool {
        self.bits.load(Ordering::Acquire) & bits == 0
    }

    /// Says whether reads are counted, and whether calls may be timed.
    pub(crate) fn measure(&self, counts: bool, times: bool) {
        let bits = if counts { 0 } else { UNCOUNTED } | if times { TIMED } else { 0 };
        // Those that are to be set first: for a moment more is refused the short way than need be.
        self.bits.fetch_or(bits, Ordering::AcqRel);
        self.bits.fetch_and(bits | POISONED | CLOSED, Ordering::AcqRel);
    }

    /// Whether reads are counted.
    #[inline]
    pub(crate) fn counts(&self) -> bool {
        self.is_clear(UNCOUNTED)
    }

    /// Whether calls may be timed.
    #[inline]
    pub(crate) fn times(&self) -> bool {
        !self.is_clear(TIMED)
    }

    /// Whether a read passes [`check_read`](State::check_read), and is not to be timed.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.is_clear(CLOSED | TIMED) && !self.is_forked()
    }

    /// Whether a read passes [`check_open`](State::check_open), and is to be counted.
    #[inline(always)]
    pub(crate) fn is_open_and_counts(&self) -> bool {
        self.is_clear(CLOSED | UNCOUNTED)
    }

    /// Lets a read pass, also when poisoned.
    #[inline]
    pub(crate) fn check_read(&self) -> Result<()> {
        if self.is_clear(CLOSED) && !self.is_forked() {
            return Ok(());
        }
        Err(self.refusal())
    }

    /// Lets a write pass.
    #[inline]
    pub(crate) fn check_write(&self) -> Result<()> {
        if self.is_clear(CLOSED | POISONED) && !self.is_forked() {
            return Ok(());
        }
        Err(self.refusal())
    }

    #[cold]
    fn refusal(&self) -> Error {
        if self.is_forked() {
            return Status::Forked.into();
        }
        let refused = if self.is_clear(CLOSED) { Status::Poisoned } else { Status::Closed };
        refused.into()
    }

    /// Lets a call pass that holds the lock of a shard. A store that was closed while the call
    /// waited for the lock may be empty by now, and that must not be taken for an answer.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_clear(CLOSED) {
            return Ok(());
        }
        Err(self.refusal())
    }

    /// Refuses all calls from now on. Says whether this call closed a store that was sound.
    pub(crate) fn close(&self) -> bool {
        let was_open = self.bits.fetch_or(CLOSED, Ordering::AcqRel) & (CLOSED | POISONED) == 0;
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
            self.bits.fetch_or(POISONED, Ordering::AcqRel);
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
        let poisoned = self.bits.load(Ordering::Acquire) & (CLOSED | POISONED) == POISONED;
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
    fn what_is_measured_changes_no_state() {
        let state = State::new();
        assert!(state.is_plain() && state.is_open_and_counts());
        for (counts, times) in [(false, true), (true, true), (false, false), (true, false)] {
            state.measure(counts, times);
            assert_eq!((state.counts(), state.times()), (counts, times));
            assert_eq!((state.is_open_and_counts(), state.is_plain()), (counts, !times));
            assert_eq!(status(state.check_write()), None);
        }
        state.poison(None);
        assert!(state.is_plain() && state.is_open_and_counts());
        assert!(!state.close() && !state.is_plain() && !state.is_open_and_counts());
        state.measure(false, true);
        state.measure(true, false);
        assert_eq!(status(state.check_write()), Some(Status::Closed));
        assert!(!state.is_plain() && !state.is_open_and_counts());
    }

    #[test]
    fn a_finished_change_does_not() {
        let state = State::new();
        state.guard().done();
        assert_eq!(status(state.check_write()), None);
        assert!(state.fault().is_none());
    }
}

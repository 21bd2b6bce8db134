//! Where a watch waits, and how it is woken.
//!
//! Owns: [`Listener`], what a watch shares with those who publish and with those who cancel it.
//! Invariants: a listener that waits is in the feed's list, one that was called is not; its descriptor,
//! if it has one, is readable from the call on until the watch waits again; once cancelled it stays so.

use std::time::Duration;

use crate::clock::Stopwatch;
use crate::fork;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex, Signal};

use super::options::Filter;

/// What a watch does while nobody asks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    /// It reads, or will find something to read.
    Away,
    /// It has read everything; whoever publishes calls it.
    Waiting,
    /// It is to go on at this revision. Nothing before concerns it.
    Called(u64),
}

/// One watch, as others see it.
pub(super) struct Listener {
    pub(super) filter: Filter,
    seat: Mutex<State>,
    bell: Condvar,
    cancelled: AtomicBool,
    fork_generation: u32,
}

struct State {
    seat: Seat,
    signal: Option<Signal>,
}

impl Listener {
    pub(super) fn new(filter: Filter) -> Listener {
        Listener {
            filter,
            seat: Mutex::new(State { seat: Seat::Away, signal: None }),
            bell: Condvar::new(),
            cancelled: AtomicBool::new(false),
            fork_generation: fork::generation(),
        }
    }

    /// Takes the seat, and makes the descriptor unreadable.
    pub(super) fn sit(&self) {
        let mut state = self.seat.lock();
        state.seat = Seat::Waiting;
        if let Some(signal) = state.signal.as_ref().filter(|_| !self.is_cancelled()) {
            signal.clear();
        }
    }

    /// Calls the watch to go on at a revision.
    pub(super) fn call(&self, revision: u64) {
        let mut state = self.seat.lock();
        state.seat = Seat::Called(revision);
        if let Some(signal) = &state.signal {
            signal.set();
        }
        drop(state);
        self.bell.notify_all();
    }

    /// Leaves the seat if it was called. Says where it is now, and where to go on.
    pub(super) fn answer(&self) -> Seat {
        let mut state = self.seat.lock();
        let seat = state.seat;
        if let Seat::Called(_) = seat {
            state.seat = Seat::Away;
        }
        seat
    }

    /// Waits until it is called or cancelled. False if the time is over before that; `None` is for
    /// ever.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> bool {
        let watch = Stopwatch::start();
        let mut state = self.seat.lock();
        while state.seat == Seat::Waiting && !self.is_cancelled() {
            let Some(timeout) = timeout else {
                self.bell.wait(&mut state);
                continue;
            };
            let left = timeout.saturating_sub(watch.elapsed());
            if left.is_zero() {
                return false;
            }
            self.bell.wait_for(&mut state, left);
        }
        true
    }

    /// Looks away for a while, unless it is cancelled.
    pub(super) fn nap(&self, time: Duration) {
        let mut state = self.seat.lock();
        if !self.is_cancelled() {
            self.bell.wait_for(&mut state, time);
        }
    }

    /// Ends the watch, and wakes it.
    pub(super) fn cancel(&self) {
        // A lock may have been held at the moment of the fork by a thread that is not here.
        if self.is_forked() {
            return;
        }
        let state = self.seat.lock();
        self.cancelled.store(true, Ordering::Release);
        if let Some(signal) = &state.signal {
            signal.set();
        }
        drop(state);
        self.bell.notify_all();
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub(super) fn is_forked(&self) -> bool {
        fork::generation() != self.fork_generation
    }

    /// The number of the descriptor, if there is one.
    pub(super) fn fd(&self) -> Option<i32> {
        self.seat.lock().signal.as_ref().map(Signal::fd)
    }

    /// Has a descriptor from now on, which is readable unless the watch waits. None if the system has none to give.
    pub(super) fn open_fd(&self) -> Option<i32> {
        let signal = Signal::new().ok()?;
        let fd = signal.fd();
        let mut state = self.seat.lock();
        if state.seat != Seat::Waiting || self.is_cancelled() {
            signal.set();
        }
        state.signal = Some(signal);
        Some(fd)
    }
}

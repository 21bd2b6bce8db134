//! How far opening a store has come, for whoever waits for it.
//!
//! Owns: [`Progress`], and [`Meter`], which tells it. Invariants: the callback runs on the thread that
//! opens the store, with no lock held that a call of another store could want; each phase is told when it
//! begins and when it ends, and in between at most every [`EVERY_MS`] milliseconds, so a callback that
//! draws a bar costs nothing that could be measured.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use crate::clock::Stopwatch;

/// Milliseconds between two calls within a phase, at least.
const EVERY_MS: f64 = 100.0;

/// What opening a store is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum Phase {
    /// Entries of a snapshot are read.
    Snapshot = 1,
    /// The log is replayed that goes on from there.
    Log = 2,
}

impl Phase {
    /// Its name on every surface: `"snapshot"`, `"log"`.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Snapshot => "snapshot",
            Phase::Log => "log",
        }
    }
}

/// How far opening a store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What it is busy with.
    pub phase: Phase,
    /// Bytes of files that are read, of both phases. It begins anew if a snapshot turns out to be damaged
    /// and an older one is read.
    pub done_bytes: u64,
    /// Bytes of all files that are to be read.
    pub total_bytes: u64,
}

/// A callback as the options keep it.
#[derive(Clone)]
pub(crate) struct ProgressListener(Arc<dyn Fn(Progress) + Send + Sync>);

impl ProgressListener {
    /// Wraps a callback.
    pub(crate) fn new(callback: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        ProgressListener(Arc::new(callback))
    }

    /// Calls it.
    pub(crate) fn tell(&self, progress: Progress) {
        (self.0)(progress);
    }
}

impl PartialEq for ProgressListener {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ProgressListener {}

impl fmt::Debug for ProgressListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressListener").finish_non_exhaustive()
    }
}

/// Tells how far one attempt to build a state has come.
pub(super) struct Meter<'a> {
    listener: &'a dyn Fn(Progress),
    total_bytes: u64,
    /// When the last call was.
    last: Cell<Option<Stopwatch>>,
    /// How far it had come when the clock was last asked.
    looked_at: Cell<u64>,
}

/// Bytes between two looks at the clock: a log may have a group, and so a call, for every hundred.
const LOOK_BYTES: u64 = 256 << 10;

impl<'a> Meter<'a> {
    /// Nothing of so many bytes is read yet.
    pub(super) fn new(listener: &'a dyn Fn(Progress), total_bytes: u64) -> Meter<'a> {
        Meter { listener, total_bytes, last: Cell::new(None), looked_at: Cell::new(0) }
    }

    /// A phase begins or ends here.
    pub(super) fn mark(&self, phase: Phase, done_bytes: u64) {
        (self.listener)(Progress { phase, done_bytes, total_bytes: self.total_bytes });
        self.last.set(Some(Stopwatch::start()));
    }

    /// It has come so far, which is told if the last time is a while ago.
    pub(super) fn tell(&self, phase: Phase, done_bytes: u64) {
        if done_bytes < self.looked_at.get().saturating_add(LOOK_BYTES) {
            return;
        }
        self.looked_at.set(done_bytes);
        let last = self.last.take();
        if last.as_ref().is_none_or(|last| last.seconds() * 1_000.0 >= EVERY_MS) {
            self.mark(phase, done_bytes);
        } else {
            self.last.set(last);
        }
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn what_comes_at_once_is_told_once() {
        let told = RefCell::new(Vec::new());
        let listener = |progress: Progress| told.borrow_mut().push(progress.done_bytes);
        let end = 1_000 * LOOK_BYTES;
        let meter = Meter::new(&listener, end);
        meter.mark(Phase::Log, 0);
        // Far less time than a tenth of a second, unless the machine is suspended for each of them.
        (1..1_000).for_each(|done| meter.tell(Phase::Log, done * LOOK_BYTES));
        meter.mark(Phase::Log, end);
        let told = told.into_inner();
        assert!(told.len() < 500, "{} calls", told.len());
        assert_eq!((told.first(), told.last()), (Some(&0), Some(&end)));
        assert!(told.is_sorted());
    }
}

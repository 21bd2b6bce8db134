//! The thread that frees what has expired, and how it is woken and stopped.
//!
//! Owns: [`Alarm`], which tells the thread when the next entry is due, and [`Cleaner`], the thread.
//! Invariants: an entry is freed at most `cleanup_interval` after its deadline, unless more expires
//! than can be freed; with nothing to expire the thread sleeps; a write touches the alarm's lock
//! only if its deadline comes before everything the thread waits for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::entry::NEVER;
use crate::error::{Error, Result, Status};
use crate::planted::{Planted, is_planted};
use crate::store::Core;
use crate::sync::atomic::{AtomicI64, Ordering};
use crate::sync::{Condvar, Mutex, Thread, spawn};

/// After so long the cleaner looks at the clock again.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// Tells the cleaner when to look.
pub(crate) struct Alarm {
    /// Whoever schedules something earlier than this must say so. Lowered under the lock below.
    wake_at: AtomicI64,
    /// No entry is due before this. Changed under the lock below.
    quiet_until: AtomicI64,
    request: Mutex<Request>,
    bell: Condvar,
}

struct Request {
    /// The earliest deadline that was noted since the cleaner last began to look.
    earliest: i64,
    stop: bool,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Alarm {
            wake_at: AtomicI64::new(NEVER),
            quiet_until: AtomicI64::new(NEVER),
            request: Mutex::new(Request { earliest: NEVER, stop: false }),
            bell: Condvar::new(),
        }
    }

    /// Says that an entry with this deadline is on the wheel of its shard.
    ///
    /// The cleaner begins by asking for every deadline, and only then looks at the shards. So either
    /// it sees the entry there, or the lock of the shard makes its question visible here.
    #[inline]
    pub(crate) fn note(&self, deadline: i64) {
        if deadline < self.wake_at.load(Ordering::Acquire) {
            self.wake_for(deadline);
        }
    }

    /// No entry of the store is due before this time, but for one that is being written just now.
    pub(crate) fn quiet_until(&self) -> i64 {
        self.quiet_until.load(Ordering::Acquire)
    }

    #[cold]
    fn wake_for(&self, deadline: i64) {
        let mut request = self.request.lock();
        self.quiet_until.fetch_min(deadline, Ordering::AcqRel);
        if deadline < request.earliest {
            request.earliest = deadline;
            if deadline < self.wake_at.load(Ordering::Acquire) {
                self.wake_at.store(deadline, Ordering::Release);
                self.bell.notify_all();
            }
        }
    }

    /// Makes the cleaner think again about how long to sleep.
    pub(crate) fn ring(&self) {
        let _request = self.request.lock();
        self.bell.notify_all();
    }

    fn stop(&self) {
        self.request.lock().stop = true;
        self.bell.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.request.lock().stop
    }

    /// Asks for every deadline from now on.
    fn listen(&self) {
        let mut request = self.request.lock();
        request.earliest = NEVER;
        self.wake_at.store(NEVER, Ordering::Release);
        // Until the shards have been looked at, anything may be due.
        self.quiet_until.store(i64::MIN, Ordering::Release);
    }

    /// Sleeps until half the interval behind the earliest deadline, so that entries are freed in
    /// groups and still within the interval.
    fn sleep(&self, due: i64, clock: &Clock, interval_ms: impl Fn() -> u64) {
        let mut request = self.request.lock();
        while !request.stop {
            let earliest = due.min(request.earliest);
            self.wake_at.store(earliest, Ordering::Release);
            self.quiet_until.store(earliest, Ordering::Release);
            if earliest == NEVER {
                self.bell.wait(&mut request);
                continue;
            }
            let until = earliest.saturating_add_unsigned(interval_ms() / 2);
            let left = until.saturating_sub(clock.now_ms());
            if left <= 0 {
                return;
            }
            // The wait stands still while the machine is suspended, and the clock does not.
            let nap = Duration::from_millis(left.unsigned_abs()).min(LONGEST_NAP);
            self.bell.wait_for(&mut request, nap);
        }
    }
}

/// The thread that frees what has expired.
pub(crate) struct Cleaner(Mutex<Option<Thread>>);

impl Cleaner {
    /// No thread, as for a store with a manual clock.
    pub(crate) fn none() -> Self {
        Cleaner(Mutex::new(None))
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// `Io` if the system has no thread to give.
    pub(crate) fn start(core: &Arc<Core>) -> Result<Self> {
        let core = Arc::clone(core);
        let thread = spawn("kv-cleaner", move || {
            if catch_unwind(AssertUnwindSafe(|| run(&core))).is_err() {
                let fault =
                    Error::new(Status::Panic, "the thread that frees expired entries panicked");
                core.state.poison(Some(fault));
            }
        });
        match thread {
            Ok(thread) => Ok(Cleaner(Mutex::new(Some(thread)))),
            Err(error) => Err(Error::from_os("the store's thread could not be started", &error)),
        }
    }

    /// Lets go of a thread that did not come along through a `fork`.
    pub(crate) fn abandon(&mut self) {
        std::mem::forget(self.0.get_mut().take());
    }

    /// Stops the thread and waits until it has ended. May be called from several threads.
    pub(crate) fn stop(&self, alarm: &Alarm) {
        alarm.stop();
        let mut thread = self.0.lock();
        if let Some(thread) = thread.take() {
            // A panic in there has poisoned the store already.
            let _ = thread.join();
        }
    }
}

fn run(core: &Core) {
    let context = &core.context;
    // A new store has nothing to free. A look at once would free early whatever has expired before
    // a busy system came to start this thread.
    context.alarm.sleep(NEVER, &context.clock, || context.cleanup_interval_ms());
    loop {
        context.alarm.listen();
        assert!(!is_planted(Planted::PanicInCleaner), "planted by a test");
        core.free_expired(|| context.alarm.is_stopped());
        if context.alarm.is_stopped() {
            return;
        }
        context.alarm.sleep(core.next_due_ms(), &context.clock, || context.cleanup_interval_ms());
    }
}

//! The seam to time: what time a store thinks it is.
//!
//! Owns: [`Clock`] and its manual twin. Invariant: a clock never goes back. The system clock is the
//! wall clock at the moment the store opened, carried on by the boot-time clock, so that setting the
//! wall clock does not move a deadline and time spent suspended counts.

#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time in Unix milliseconds, to a store and to its tests.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    /// What to add to the boot-time clock to have nanoseconds since 1970.
    System {
        offset_ns: i64,
    },
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The system's clock, from the wall clock of this moment on.
    pub fn system() -> Clock {
        // The two clocks are read one after the other. The tightest of some readings keeps what
        // passes in between, a preemption at worst, out of every deadline.
        let reading = |_| {
            let before = boot_ns();
            let wall = wall_ns();
            let passed = boot_ns() - before;
            (passed, wall - (before + passed / 2))
        };
        let tightest = (0..READINGS).map(reading).min();
        Clock(Source::System { offset_ns: tightest.map_or(0, |(_, offset)| offset) })
    }

    /// A clock for tests that stands still until it is told to move, and the handle to move it.
    pub fn manual(start_unix_ms: u64) -> (Clock, ManualClock) {
        let start = i64::try_from(start_unix_ms).unwrap_or(i64::MAX);
        let time = Arc::new(AtomicI64::new(start));
        (Clock(Source::Manual(Arc::clone(&time))), ManualClock(time))
    }

    /// Unix time in whole milliseconds, never negative.
    pub fn now_ms(&self) -> i64 {
        match &self.0 {
            Source::System { offset_ns } => (boot_ns() + offset_ns) / 1_000_000,
            Source::Manual(time) => time.load(Ordering::SeqCst),
        }
    }

    /// Whether only a test moves this clock.
    pub(crate) fn is_manual(&self) -> bool {
        matches!(self.0, Source::Manual(_))
    }
}

/// Moves a manual [`Clock`].
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance_ms(&self, ms: u64) {
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        let later = |now: i64| Some(now.saturating_add(ms));
        // The closure never refuses, so neither does the update.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
    }

    /// Unix time in milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// How often the two clocks are compared when a store opens.
const READINGS: usize = 16;

/// Nanoseconds since 1970 by the wall clock.
fn wall_ns() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_nanos()).unwrap_or(0)
}

/// Nanoseconds of the boot-time clock, which runs on while the machine is suspended.
#[allow(unsafe_code)]
fn boot_ns() -> i64 {
    #[cfg(target_os = "linux")]
    const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
    // On macOS the monotonic clock counts suspended time too.
    #[cfg(not(target_os = "linux"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for one timespec, and the call writes nothing else. It fails
    // only for an unknown clock or a bad address; then `time` stays zero, which is a valid time.
    unsafe { libc::clock_gettime(CLOCK, &mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Tells how long something took.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.0.elapsed()
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// The time of one call: read from the clock at most once, and only if it is needed.
pub(crate) struct Now<'a> {
    clock: &'a Clock,
    read: std::cell::Cell<Option<i64>>,
}

impl<'a> Now<'a> {
    pub(crate) fn new(clock: &'a Clock) -> Self {
        Now { clock, read: std::cell::Cell::new(None) }
    }

    pub(crate) fn ms(&self) -> i64 {
        if let Some(ms) = self.read.get() {
            return ms;
        }
        let ms = self.clock.now_ms();
        self.read.set(Some(ms));
        ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_clock_is_unix_time() {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        let clock = Clock::system();
        let first = clock.now_ms();
        assert!((first - wall).abs() < 60_000, "{first} against {wall}");
        assert!(clock.now_ms() >= first);
    }

    #[test]
    fn manual_clock_moves_when_told() {
        let (clock, hand) = Clock::manual(1000);
        let now = Now::new(&clock);
        assert_eq!(now.ms(), 1000);
        hand.advance_ms(5);
        assert_eq!((now.ms(), clock.now_ms(), hand.now_ms()), (1000, 1005, 1005));
        hand.advance_ms(u64::MAX);
        assert_eq!(clock.now_ms(), i64::MAX);
    }
}

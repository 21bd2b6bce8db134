//! Timing calls, if the option `latency` asks for it.
//!
//! Owns: the histograms, one for each kind of call, in stripes, and which calls are timed. Two readings of
//! the clock cost about as much as a quick get. So `sampled` times about one call in 64 of each thread, at
//! distances drawn by chance, that no rhythm of the caller's falls in step with; `full` times all. The
//! syncs of the log are always timed, unless it is off. Nothing is allocated before it is first switched on.

use std::sync::OnceLock;
// Not shuttle's: what is timed decides nothing.
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::{BUCKETS, Latency, bucket_of};
use crate::random;
use crate::striped::{Striped, StripedTable};

/// A kind of call that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Timed {
    /// A read of one key's value.
    Get = 1,
    /// A write of one key's value, with the wait for the log.
    Set = 2,
    /// A flush of the log to the disk.
    Sync = 3,
}

impl Timed {
    /// All kinds.
    pub const ALL: [Timed; 3] = [Timed::Get, Timed::Set, Timed::Sync];

    /// The name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Timed::Get => "get",
            Timed::Set => "set",
            Timed::Sync => "sync",
        }
    }
}

/// Which calls are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum LatencyMode {
    Off = 0,
    Sampled = 1,
    Full = 2,
}

const SAMPLED: u8 = LatencyMode::Sampled as u8;
const FULL: u8 = LatencyMode::Full as u8;

/// The mean distance between two calls that are timed with `sampled`.
const EVERY: u64 = 64;

/// Kinds of calls, for what there is of each.
const KINDS: usize = Timed::ALL.len();

/// Words of one kind in a stripe: its buckets, and the sum of its times.
const SUM: usize = BUCKETS;
const WORDS: usize = BUCKETS + 1;

/// Times calls.
#[derive(Debug)]
pub(crate) struct LatencyMeter {
    mode: AtomicU8,
    kept: OnceLock<Kept>,
}

/// What is kept once anything is to be timed.
#[derive(Debug)]
struct Kept {
    histograms: StripedTable,
    /// Calls of each thread and kind that are not timed before the next one is.
    left: Box<Striped<KINDS>>,
}

impl Kept {
    fn new() -> Self {
        Kept { histograms: StripedTable::new(KINDS * WORDS), left: Box::new(Striped::new()) }
    }
}

impl LatencyMeter {
    pub(crate) fn new() -> Self {
        LatencyMeter { mode: AtomicU8::new(LatencyMode::Off as u8), kept: OnceLock::new() }
    }

    /// Says which calls are timed from now on. What was timed before stays.
    pub(crate) fn set_mode(&self, mode: LatencyMode) {
        if mode != LatencyMode::Off {
            self.kept.get_or_init(Kept::new);
        }
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// Whether a call that begins now is to be timed. Of most calls that are sampled a count-down tells, in a
    /// few instructions: a quick get has time for no more.
    #[inline(always)]
    pub(crate) fn is_due(&self, timed: Timed) -> bool {
        match self.mode.load(Ordering::Relaxed) {
            SAMPLED => timed == Timed::Sync || self.is_sample(timed),
            mode => mode == FULL,
        }
    }

    /// Notes how long a call took.
    pub(crate) fn record(&self, timed: Timed, elapsed: Duration) {
        let Some(Kept { histograms, .. }) = self.kept.get() else { return };
        let ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        histograms.add(first_word(timed) + bucket_of(ns), 1);
        histograms.add(first_word(timed) + SUM, ns);
    }

    /// Whether the turn of this thread has come.
    #[inline(always)]
    fn is_sample(&self, timed: Timed) -> bool {
        let Some(kept) = self.kept.get() else { return false };
        let left = kept.left.word(number(timed));
        let calls = left.load(Ordering::Relaxed);
        if calls == 0 {
            return begin_again(left);
        }
        left.store(calls - 1, Ordering::Relaxed);
        false
    }

    /// Whether anything was ever to be timed.
    pub(crate) fn was_on(&self) -> bool {
        self.kept.get().is_some()
    }

    /// What was timed so far.
    pub(crate) fn read(&self, timed: Timed) -> Latency {
        let sum = |word| self.kept.get().map_or(0, |kept| kept.histograms.sum(word));
        let first = first_word(timed);
        Latency::new((first..first + BUCKETS).map(sum).collect(), sum(first + SUM))
    }
}

/// Draws how many calls are not timed after this one, which is.
#[cold]
#[inline(never)]
fn begin_again(left: &AtomicU64) -> bool {
    left.store(random::up_to(2 * (EVERY - 1)), Ordering::Relaxed);
    true
}

fn number(timed: Timed) -> usize {
    timed as usize - 1
}

fn first_word(timed: Timed) -> usize {
    number(timed) * WORDS
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    fn timed(meter: &LatencyMeter, kind: Timed, calls: usize) -> u64 {
        for _ in 0..calls {
            if meter.is_due(kind) {
                meter.record(kind, Duration::from_nanos(7));
            }
        }
        meter.read(kind).count()
    }

    #[test]
    fn each_mode_times_what_it_says() {
        let meter = LatencyMeter::new();
        assert_eq!(timed(&meter, Timed::Get, 1000), 0);
        assert!(!meter.was_on());
        meter.set_mode(LatencyMode::Full);
        assert_eq!(timed(&meter, Timed::Get, 1000), 1000);
        assert_eq!(timed(&meter, Timed::Set, 10), 10);
        meter.set_mode(LatencyMode::Sampled);
        assert_eq!(timed(&meter, Timed::Sync, 50), 50);
        let sampled = timed(&meter, Timed::Get, 64_000) - 1000;
        assert!((500..2000).contains(&sampled), "{sampled} of 64,000");
        meter.set_mode(LatencyMode::Off);
        assert_eq!(timed(&meter, Timed::Set, 1000), 10);
    }

    #[test]
    fn times_of_all_threads_are_in_the_histogram() {
        let meter = LatencyMeter::new();
        meter.set_mode(LatencyMode::Full);
        std::thread::scope(|scope| {
            for n in 1..=40 {
                let meter = &meter;
                scope.spawn(move || meter.record(Timed::Set, Duration::from_micros(n)));
            }
        });
        let set = meter.read(Timed::Set);
        assert_eq!((set.count(), set.sum_ns()), (40, 820_000));
        assert!((40_000..=45_000).contains(&set.max_ns()));
        assert_eq!(meter.read(Timed::Get).count(), 0);
    }
}

//! Timing calls, if the option `latency` asks for it.
//!
//! Owns: the histograms, one for each kind of call, in stripes, and which calls are timed. Two readings of
//! the clock cost about as much as a quick get. So `sampled` times about one call in 64 of each thread, at
//! distances drawn by chance, that no rhythm of the caller's falls in step with; `full` times all. The
//! syncs of the log are always timed, unless it is off. Nothing is allocated before it is first switched on.

use std::sync::OnceLock;
// Not shuttle's: what is timed decides nothing.
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::histogram::{BUCKETS, Latency, bucket_of};
use crate::clock::Stopwatch;
use crate::random;
use crate::striped::StripedTable;

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

/// The mean distance between two calls that are timed with `sampled`.
const SAMPLED: u64 = 64;

/// Words of one kind in a stripe: its buckets, the sum of its times, and calls that are not timed before
/// the next one is.
const SUM: usize = BUCKETS;
const LEFT: usize = BUCKETS + 1;
const WORDS: usize = BUCKETS + 2;

/// Times calls.
#[derive(Debug)]
pub(crate) struct LatencyMeter {
    mode: AtomicU8,
    histograms: OnceLock<StripedTable>,
}

impl LatencyMeter {
    pub(crate) fn new() -> Self {
        LatencyMeter { mode: AtomicU8::new(LatencyMode::Off as u8), histograms: OnceLock::new() }
    }

    /// Says which calls are timed from now on. What was timed before stays.
    pub(crate) fn set_mode(&self, mode: LatencyMode) {
        if mode != LatencyMode::Off {
            self.histograms.get_or_init(|| StripedTable::new(Timed::ALL.len() * WORDS));
        }
        self.mode.store(mode as u8, Ordering::Release);
    }

    /// Starts to time a call, if this one is to be timed.
    pub(crate) fn start(&self, timed: Timed) -> Option<Stopwatch> {
        let mode = self.mode.load(Ordering::Acquire);
        let wanted = mode == LatencyMode::Full as u8
            || mode == LatencyMode::Sampled as u8
                && (timed == Timed::Sync || self.is_sample(timed));
        wanted.then(Stopwatch::start)
    }

    /// Ends what [`start`](LatencyMeter::start) began.
    pub(crate) fn end(&self, timed: Timed, started: Option<Stopwatch>) {
        if let Some(watch) = started {
            self.record(timed, watch.elapsed());
        }
    }

    pub(super) fn record(&self, timed: Timed, elapsed: Duration) {
        let Some(histograms) = self.histograms.get() else { return };
        let ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        histograms.add(first_word(timed) + bucket_of(ns), 1);
        histograms.add(first_word(timed) + SUM, ns);
    }

    /// Whether the turn of this thread has come.
    fn is_sample(&self, timed: Timed) -> bool {
        let Some(histograms) = self.histograms.get() else { return false };
        let left = histograms.word(first_word(timed) + LEFT);
        match left.load(Ordering::Relaxed) {
            0 => {
                left.store(random::up_to(2 * (SAMPLED - 1)), Ordering::Relaxed);
                true
            }
            more => {
                left.store(more - 1, Ordering::Relaxed);
                false
            }
        }
    }

    /// Whether anything was ever to be timed.
    pub(crate) fn was_on(&self) -> bool {
        self.histograms.get().is_some()
    }

    /// What was timed so far.
    pub(crate) fn read(&self, timed: Timed) -> Latency {
        let sum = |word| self.histograms.get().map_or(0, |histograms| histograms.sum(word));
        let first = first_word(timed);
        Latency::new((first..first + BUCKETS).map(sum).collect(), sum(first + SUM))
    }
}

fn first_word(timed: Timed) -> usize {
    (timed as usize - 1) * WORDS
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    fn timed(meter: &LatencyMeter, kind: Timed, calls: usize) -> u64 {
        (0..calls).for_each(|_| meter.end(kind, meter.start(kind)));
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

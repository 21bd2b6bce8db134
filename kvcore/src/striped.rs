//! One of something for each thread, so that counting writes nothing that others read.
//!
//! Owns: which stripe a thread uses. A thread takes a stripe of its own when it first counts, and
//! gives it back when it ends. While it has one, nobody else writes there, so it counts with a load
//! and a store. Threads that come when all stripes are taken share one more, and count with atomic
//! additions there.

use std::cell::Cell;
// Not shuttle's: what is counted decides nothing, and a meter of values outlives a scene.
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// Stripes that belong to one thread each. The one behind them is shared.
const OWN: usize = 32;

/// Several sums, each in stripes.
pub(crate) struct Striped<const SUMS: usize>(Box<[CachePadded<[AtomicU64; SUMS]>]>);

impl<const SUMS: usize> Striped<SUMS> {
    pub(crate) fn new() -> Self {
        let stripe = |_| CachePadded::new([const { AtomicU64::new(0) }; SUMS]);
        Striped((0..=OWN).map(stripe).collect())
    }

    /// Adds to a sum. What one thread adds another may take away, so stripes wrap around.
    #[inline]
    pub(crate) fn add(&self, sum: usize, number: u64) {
        let stripe = stripe();
        add(&self.0[stripe][sum], stripe, number);
    }

    /// Takes from a sum.
    #[inline]
    pub(crate) fn sub(&self, sum: usize, number: u64) {
        self.add(sum, number.wrapping_neg());
    }

    /// A sum over all stripes; zero if more is seen to be taken than was seen to be added.
    pub(crate) fn sum(&self, sum: usize) -> u64 {
        let part = |stripe: &CachePadded<[AtomicU64; SUMS]>| stripe[sum].load(Ordering::Relaxed);
        let sum = self.0.iter().map(part).fold(0, u64::wrapping_add);
        sum.cast_signed().max(0).cast_unsigned()
    }
}

/// As many sums as are asked for when it is made, in stripes.
#[derive(Debug)]
pub(crate) struct StripedTable {
    lines: Box<[CachePadded<[AtomicU64; LINE]>]>,
    /// A stripe has two to this power words.
    stripe_bits: u32,
}

/// Words to a line of a table: as many as `CachePadded` pads to on the usual processors.
const LINE: usize = 16;

impl StripedTable {
    pub(crate) fn new(sums: usize) -> Self {
        let words = sums.next_power_of_two().max(LINE);
        let line = |_| CachePadded::new([const { AtomicU64::new(0) }; LINE]);
        let lines = (0..(OWN + 1) * words / LINE).map(line).collect();
        StripedTable { lines, stripe_bits: words.ilog2() }
    }

    #[inline(always)]
    fn place(&self, stripe: usize, sum: usize) -> &AtomicU64 {
        let word = (stripe << self.stripe_bits) + sum;
        &self.lines[word / LINE][word % LINE]
    }

    /// Adds to a sum.
    #[inline(always)]
    pub(crate) fn add(&self, sum: usize, number: u64) {
        let stripe = stripe();
        add(self.place(stripe, sum), stripe, number);
    }

    /// This thread's part of a sum.
    pub(crate) fn word(&self, sum: usize) -> &AtomicU64 {
        self.place(stripe(), sum)
    }

    /// A sum over all stripes.
    pub(crate) fn sum(&self, sum: usize) -> u64 {
        let part = |stripe| self.place(stripe, sum).load(Ordering::Relaxed);
        (0..=OWN).map(part).fold(0, u64::wrapping_add)
    }
}

/// Adds to what a stripe has of a sum.
#[inline(always)]
fn add(place: &AtomicU64, stripe: usize, number: u64) {
    if stripe < OWN {
        place.store(place.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
    } else {
        place.fetch_add(number, Ordering::Relaxed);
    }
}

/// A bit for each stripe that a thread has.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// A thread's stripe.
struct Mine(Cell<usize>);

const NONE: usize = usize::MAX;

std::thread_local! {
    static MINE: Mine = const { Mine(Cell::new(NONE)) };
}

impl Drop for Mine {
    fn drop(&mut self) {
        let stripe = self.0.replace(OWN);
        if stripe < OWN {
            // Release: whoever takes the stripe next sees what was counted there.
            TAKEN.fetch_and(!(1 << stripe), Ordering::Release);
        }
    }
}

/// The stripe of this thread.
#[inline]
fn stripe() -> usize {
    // Under shuttle all its threads are one thread of the system.
    if cfg!(kv_shuttle) {
        return OWN;
    }
    // A thread that is ending shares.
    MINE.try_with(|mine| {
        let stripe = mine.0.get();
        if stripe != NONE { stripe } else { take(mine) }
    })
    .unwrap_or(OWN)
}

#[cold]
fn take(mine: &Mine) -> usize {
    let lowest = |taken: u32| taken | (taken + 1);
    let took = TAKEN.fetch_update(Ordering::Acquire, Ordering::Relaxed, |taken| {
        (taken != u32::MAX).then(|| lowest(taken))
    });
    let stripe = took.map_or(OWN, |taken| taken.trailing_ones() as usize);
    mine.0.set(stripe);
    stripe
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_right_whoever_adds_and_takes() {
        let sums = Striped::<2>::new();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..50 {
                    scope.spawn(|| {
                        for _ in 0..100 {
                            sums.add(0, 10);
                            sums.sub(1, 1);
                        }
                    });
                }
            });
        }
        sums.add(1, 15_000);
        assert_eq!((sums.sum(0), sums.sum(1)), (150_000, 0));
    }
}

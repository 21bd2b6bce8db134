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
        let place = &self.0[stripe][sum];
        if stripe < OWN {
            place.store(place.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
        } else {
            place.fetch_add(number, Ordering::Relaxed);
        }
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

//! One of something for each thread, so that counting writes nothing that others read.
//!
//! Owns: which stripe a thread uses. A thread takes a stripe of its own when it first counts, and
//! gives it back when it ends. While it has one, nobody else writes there, so it counts with a load
//! and a store. Threads that come when all stripes are taken share one more, and count with atomic
//! additions there.

use std::cell::Cell;
use std::marker::PhantomData;
// Not shuttle's: what is counted decides nothing, and a meter of values outlives a scene.
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// Stripes that belong to one thread each. The one behind them is shared.
const OWN: usize = 32;

/// The stripe of a thread, for who adds often: finding it is most of the work of adding. Not to be sent to another
/// thread.
#[derive(Clone, Copy)]
pub(crate) struct Stripe(usize, PhantomData<*const ()>);

impl Stripe {
    /// The stripe of this thread.
    #[inline(always)]
    pub(crate) fn mine() -> Stripe {
        Stripe(stripe(), PhantomData)
    }
}

/// Several sums, each in stripes. Their number is known when it is compiled, and they lie where they are owned, so
/// that finding one takes few instructions: reads are counted here, and those are quick.
#[derive(Debug)]
pub(crate) struct Striped<const SUMS: usize>([CachePadded<[AtomicU64; SUMS]>; OWN + 1]);

impl<const SUMS: usize> Striped<SUMS> {
    pub(crate) fn new() -> Self {
        let stripe = |_| CachePadded::new([const { AtomicU64::new(0) }; SUMS]);
        Striped(std::array::from_fn(stripe))
    }

    /// Adds to a sum. What one thread adds another may take away, so stripes wrap around.
    #[inline(always)]
    pub(crate) fn add(&self, sum: usize, number: u64) {
        let stripe = MINE.get();
        if stripe < OWN {
            let place = &self.0[stripe][sum];
            place.store(place.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
        } else {
            self.add_slowly(sum, number);
        }
    }

    /// As [`add`](Striped::add), where the stripe was found before.
    #[inline(always)]
    pub(crate) fn add_in(&self, Stripe(stripe, _): Stripe, sum: usize, number: u64) {
        add(&self.0[stripe][sum], stripe, number);
    }

    /// The same for a thread that has no stripe of its own, or none yet.
    #[cold]
    #[inline(never)]
    fn add_slowly(&self, sum: usize, number: u64) {
        self.add_in(Stripe::mine(), sum, number);
    }

    /// This thread's part of a sum.
    #[inline(always)]
    pub(crate) fn word(&self, sum: usize) -> &AtomicU64 {
        &self.0[stripe()][sum]
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
    words: Box<[AtomicU64]>,
    /// A stripe has two to this power words.
    stripe_bits: u32,
}

/// Words between what two threads write, at least: two lines of the cache, wherever the table begins.
const GAP: usize = 16;

impl StripedTable {
    pub(crate) fn new(sums: usize) -> Self {
        let stripe = (sums + GAP).next_power_of_two();
        let words = (0..(OWN + 1) * stripe).map(|_| AtomicU64::new(0)).collect();
        StripedTable { words, stripe_bits: stripe.ilog2() }
    }

    #[inline(always)]
    fn place(&self, stripe: usize, sum: usize) -> &AtomicU64 {
        &self.words[(stripe << self.stripe_bits) + sum]
    }

    /// Adds to a sum.
    #[inline(always)]
    pub(crate) fn add(&self, sum: usize, number: u64) {
        let stripe = MINE.get();
        if stripe < OWN {
            let place = self.place(stripe, sum);
            place.store(place.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
        } else {
            self.add_slowly(sum, number);
        }
    }

    /// The same for a thread that has no stripe of its own, or none yet.
    #[cold]
    #[inline(never)]
    fn add_slowly(&self, sum: usize, number: u64) {
        let stripe = stripe();
        add(self.place(stripe, sum), stripe, number);
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

/// Gives back the stripes of all other threads, in a child of `fork`, which does not have them.
pub(crate) fn forget_others() {
    let mine = MINE.get();
    TAKEN.store(if mine < OWN { 1 << mine } else { 0 }, Ordering::Relaxed);
}

/// Gives a thread's stripe back when the thread ends.
struct Kept(Cell<usize>);

const NONE: usize = usize::MAX;

std::thread_local! {
    /// The stripe of this thread. It needs no destructor, so that reading it asks for nothing else.
    static MINE: Cell<usize> = const { Cell::new(NONE) };
    static KEPT: Kept = const { Kept(Cell::new(NONE)) };
}

impl Drop for Kept {
    fn drop(&mut self) {
        // What the thread still counts, it counts where all do.
        MINE.set(OWN);
        let stripe = self.0.get();
        if stripe < OWN {
            // Release: whoever takes the stripe next sees what was counted there.
            TAKEN.fetch_and(!(1 << stripe), Ordering::Release);
        }
    }
}

/// The stripe of this thread.
#[inline(always)]
fn stripe() -> usize {
    // Under shuttle all its threads are one thread of the system.
    if cfg!(kv_shuttle) {
        return OWN;
    }
    let stripe = MINE.get();
    if stripe != NONE { stripe } else { take() }
}

#[cold]
fn take() -> usize {
    let lowest = |taken: u32| taken | (taken + 1);
    // A thread that is ending shares.
    let kept = KEPT.try_with(|kept| {
        let took = TAKEN.fetch_update(Ordering::Acquire, Ordering::Relaxed, |taken| {
            (taken != u32::MAX).then(|| lowest(taken))
        });
        let stripe = took.map_or(OWN, |taken| taken.trailing_ones() as usize);
        kept.0.set(stripe);
        stripe
    });
    let stripe = kept.unwrap_or(OWN);
    MINE.set(stripe);
    stripe
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_right_whoever_adds_and_takes() {
        let sums = Striped::<2>::new();
        let table = StripedTable::new(20);
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..50 {
                    scope.spawn(|| {
                        for _ in 0..100 {
                            sums.add(0, 10);
                            sums.sub(1, 1);
                            table.add(19, 2);
                        }
                    });
                }
            });
        }
        sums.add(1, 15_000);
        assert_eq!((sums.sum(0), sums.sum(1)), (150_000, 0));
        assert_eq!((table.sum(18), table.sum(19)), (0, 30_000));
    }
}

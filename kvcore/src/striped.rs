//! One of something for each group of threads, so that counting writes nothing that others read.
//!
//! Owns: which stripe a thread uses. Threads take stripes in turn, so as many threads as there are
//! stripes share none.

use std::cell::Cell;

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicUsize, Ordering};

/// A value for each stripe.
pub(crate) struct Striped<T>(Box<[CachePadded<T>]>);

impl<T: Default> Striped<T> {
    /// Two stripes for each core.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        let count = (2 * cores).next_power_of_two().clamp(4, 64);
        Striped((0..count).map(|_| CachePadded::new(T::default())).collect())
    }

    /// The stripe of this thread.
    #[inline]
    pub(crate) fn mine(&self) -> &T {
        &self.0[stripe() & (self.0.len() - 1)]
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|stripe| &**stripe)
    }
}

/// The number of this thread, from 0.
#[inline]
fn stripe() -> usize {
    const NONE: usize = usize::MAX;
    std::thread_local! {
        static MINE: Cell<usize> = const { Cell::new(NONE) };
    }
    let mine = MINE.get();
    if mine != NONE { mine } else { first_use(&MINE) }
}

#[cold]
fn first_use(mine: &'static std::thread::LocalKey<Cell<usize>>) -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    mine.set(next);
    next
}

/// A sum that many threads add to and take from.
pub(crate) struct StripedSum(Striped<AtomicUsize>);

impl StripedSum {
    pub(crate) fn new() -> Self {
        StripedSum(Striped::new())
    }

    #[inline]
    pub(crate) fn add(&self, number: usize) {
        self.0.mine().fetch_add(number, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn sub(&self, number: usize) {
        self.0.mine().fetch_sub(number, Ordering::Relaxed);
    }

    /// The sum. What one thread adds another may take away, so single stripes wrap around.
    pub(crate) fn sum(&self) -> usize {
        self.0.all().fold(0, |sum, part| sum.wrapping_add(part.load(Ordering::Relaxed)))
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_right_whoever_adds_and_takes() {
        let sum = StripedSum::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| sum.add(10));
            }
        });
        for _ in 0..7 {
            sum.sub(10);
        }
        assert_eq!(sum.sum(), 10);
    }
}

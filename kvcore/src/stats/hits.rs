//! The count of hits on one entry, in one byte of it.

use crate::random;

/// Counts to about a million in one byte: exactly to 16, then by chance, in steps that double
/// every 16 (Morris, "Counting Large Numbers of Events in Small Registers", 1978).
pub(crate) struct HitCounter;

const STEPS: u32 = 16;

impl HitCounter {
    /// The step after one more hit, which is mostly the same step.
    pub(crate) fn next(step: u8) -> u8 {
        let doublings = u32::from(step) / STEPS;
        let counts = step < u8::MAX && (doublings == 0 || random::below(1 << doublings) == 0);
        step + u8::from(counts)
    }

    /// The count: a step of the n-th sixteen stands for `2^n` hits.
    pub(crate) fn about(step: u8) -> u64 {
        let step = u32::from(step);
        let (doublings, rest) = (step / STEPS, step % STEPS);
        u64::from(STEPS * ((1 << doublings) - 1) + (rest << doublings))
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn hits_are_exact_at_first_and_close_later() {
        let mut step = 0;
        for n in 0..=16 {
            assert_eq!(HitCounter::about(step), n);
            step = HitCounter::next(step);
        }
        step = 0;
        for _ in 0..100_000 {
            step = HitCounter::next(step);
        }
        let about = HitCounter::about(step);
        assert!((30_000..300_000).contains(&about), "{about}");
    }
}

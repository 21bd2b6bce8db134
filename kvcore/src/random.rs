//! The seam to randomness. Nothing else in the crate draws random numbers.
//!
//! Under `--cfg kv_shuttle` they come from shuttle, so that a failure it found can be played again.

#![allow(clippy::disallowed_methods)]

/// A number below `bound`, each as likely as any other. `bound` is not zero.
pub(crate) fn below(bound: usize) -> usize {
    #[cfg(not(kv_shuttle))]
    return fastrand::usize(..bound);
    #[cfg(kv_shuttle)]
    return shuttle::rand::Rng::gen_range(&mut shuttle::rand::thread_rng(), 0..bound);
}

/// A number up to `most`, each as likely as any other.
pub(crate) fn up_to(most: u64) -> u64 {
    #[cfg(not(kv_shuttle))]
    return fastrand::u64(..=most);
    #[cfg(kv_shuttle)]
    return shuttle::rand::Rng::gen_range(&mut shuttle::rand::thread_rng(), 0..=most);
}

//! The seam to randomness. Nothing else in the crate draws random numbers.
//!
//! Those that decide something small come from a generator of each thread; a child of `fork` gets another seed
//! for the one it inherits. Names that must be unlike all others in the world come from the system.
//!
//! Under `--cfg kv_shuttle` all of them come from shuttle, so that a failure it found can be played again.

#![allow(clippy::disallowed_methods)]

use crate::error::Result;
#[cfg(not(kv_shuttle))]
use crate::error::{Error, Status};

/// Sixteen bytes that nobody else has.
///
/// # Errors
/// `Io` if the system has none to give.
pub(crate) fn id() -> Result<[u8; 16]> {
    let mut id = [0; 16];
    #[cfg(not(kv_shuttle))]
    getrandom::fill(&mut id).map_err(|error| {
        Error::new(Status::Io, format!("the system gives no random bytes: {error}"))
    })?;
    #[cfg(kv_shuttle)]
    shuttle::rand::RngCore::fill_bytes(&mut shuttle::rand::thread_rng(), &mut id);
    Ok(id)
}

/// Gives this thread's generator another seed. Takes no lock and no memory.
pub(crate) fn reseed(seed: u64) {
    fastrand::seed(seed);
}

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

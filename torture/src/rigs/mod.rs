//! One file for each rig: what is done to the store, how often, and what counts as a violation.

pub mod bits;
pub mod errors;
pub mod full;
pub mod kills;
pub mod memory;
pub mod power;
pub mod sync_fails;

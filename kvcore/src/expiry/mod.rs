//! Which entries are due: a timing wheel for each shard.

#[allow(dead_code, unused_imports)]
mod lazy;
mod wheel;

pub(crate) use wheel::{Due, Timers, Wheel};

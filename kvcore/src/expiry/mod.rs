//! Which entries are due: a timing wheel for each shard.

mod wheel;

pub(crate) use wheel::{CLOSEST_GROWTH, Due, Timers, Wheel};

//! How much is measured of the server.

use std::time::Duration;

/// Sizes, times and repetitions.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// Rounds of `speed`, in which both servers have a turn at everything.
    pub rounds: usize,
    /// Requests of a turn, for each of the pipeline lengths.
    pub requests: [usize; 3],
    /// Keys that requests of many keys draw from, and that are weighed.
    pub entries: usize,
    /// Rounds of `pace`.
    pub paces: usize,
    /// How long a load of a fixed rate lasts.
    pub pace: Duration,
    /// Connections that do nothing.
    pub idle: usize,
    /// Clients that mean harm.
    pub hostile: usize,
}

impl Sizes {
    /// What the committed results are made with.
    pub const FULL: Sizes = Sizes {
        rounds: 5,
        requests: [100_000, 600_000, 1_200_000],
        entries: 1_000_000,
        paces: 7,
        pace: Duration::from_secs(3),
        idle: 10_000,
        hostile: 1_000,
    };

    /// Enough to see that everything runs; its figures say little.
    pub const QUICK: Sizes = Sizes {
        rounds: 1,
        requests: [10_000, 50_000, 50_000],
        entries: 50_000,
        paces: 1,
        pace: Duration::from_millis(500),
        idle: 500,
        hostile: 50,
    };
}

//! How much is measured of durability.

use std::time::Duration;

/// Sizes, times and repetitions.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// Whether this is only to see that everything runs.
    pub quick: bool,
    /// Keys of the stores that are set.
    pub entries: usize,
    /// Rounds of sets, in which every peer has its turns.
    pub rounds: usize,
    /// How long a turn of sets lasts.
    pub turn: Duration,
    /// How long one lasts in which the disk is synced once a second.
    pub second: Duration,
    /// How long a sync is stuck.
    pub stuck: Duration,
    /// How often a sync gets stuck, and a snapshot is taken.
    pub repeats: usize,
    /// Entries of the store that a snapshot is taken of.
    pub pictured: usize,
    /// Entries of the directories that libkv opens.
    pub recovered: usize,
    /// Entries of those that every engine opens.
    pub recovered_by_all: usize,
    /// How often each directory is opened.
    pub openings: usize,
}

impl Sizes {
    /// What the committed results are made with.
    pub const FULL: Sizes = Sizes {
        quick: false,
        entries: 500_000,
        rounds: 7,
        turn: Duration::from_millis(300),
        second: Duration::from_millis(1000),
        stuck: Duration::from_millis(2000),
        repeats: 5,
        pictured: 4_000_000,
        recovered: 10_000_000,
        recovered_by_all: 1_000_000,
        openings: 3,
    };

    /// Enough to see that everything runs; its figures say little.
    pub const QUICK: Sizes = Sizes {
        quick: true,
        entries: 20_000,
        rounds: 2,
        turn: Duration::from_millis(40),
        second: Duration::from_millis(100),
        stuck: Duration::from_millis(300),
        repeats: 1,
        pictured: 200_000,
        recovered: 200_000,
        recovered_by_all: 20_000,
        openings: 1,
    };
}

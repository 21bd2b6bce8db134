//! How much the comparison of engines measures.

/// Sizes and repetitions.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// Whether this is only to see that everything runs.
    pub quick: bool,
    /// Keys of the stores that race, with how often each is filled anew and the rounds of a fill.
    pub races: [Race; 2],
    /// Calls of a contestant in a round, by each thread.
    pub calls: usize,
    /// Calls of a contestant on the hot key in a round, by each thread.
    pub hot_calls: usize,
    /// Rounds on the hot key, and of the promised figures.
    pub short_rounds: usize,
    /// Entries of a store that grows from nothing, and of one that expires at once.
    pub entries: usize,
    /// How often libkv grows and expires; the others grow once.
    pub repeats: usize,
}

/// A size of store that races.
#[derive(Clone, Copy)]
pub struct Race {
    /// Keys in the store.
    pub entries: usize,
    /// How often the stores are filled anew.
    pub fills: usize,
    /// Rounds in a fill.
    pub rounds: usize,
}

impl Sizes {
    /// What the committed results are made with.
    pub const FULL: Sizes = Sizes {
        quick: false,
        races: [
            Race { entries: 1_000_000, fills: 1, rounds: 5 },
            Race { entries: 10_000_000, fills: 1, rounds: 3 },
        ],
        calls: 100_000,
        hot_calls: 1_000_000,
        short_rounds: 7,
        entries: 10_000_000,
        repeats: 1,
    };

    /// Enough to see that everything runs; its figures say little.
    pub const QUICK: Sizes = Sizes {
        quick: true,
        races: [
            Race { entries: 20_000, fills: 1, rounds: 2 },
            Race { entries: 200_000, fills: 1, rounds: 2 },
        ],
        calls: 20_000,
        hot_calls: 50_000,
        short_rounds: 3,
        entries: 200_000,
        repeats: 1,
    };
}

//! How much a run measures.

/// Sizes and repetitions.
pub struct Scale {
    /// Keys of the large store.
    pub entries: usize,
    /// How often stores are filled anew.
    pub fills: usize,
    /// Rounds in a fill.
    pub rounds: usize,
    /// Calls of a contestant in a round, by each thread.
    pub calls: usize,
    /// How often the programs in other languages are run.
    pub repeats: usize,
}

impl Scale {
    /// What the committed results are made with.
    pub const FULL: Scale =
        Scale { entries: 1_000_000, fills: 3, rounds: 5, calls: 100_000, repeats: 3 };

    /// Enough to see that everything runs; its figures say little.
    pub const QUICK: Scale =
        Scale { entries: 200_000, fills: 1, rounds: 3, calls: 50_000, repeats: 1 };
}

//! How much of a shard newcomers get, in `s3fifo` and `tinylfu`.
//!
//! Both keep newcomers apart from entries that have proven themselves (main), and how large a share
//! is right for newcomers depends on what comes: nothing for loops and scans, most of the store where only
//! recency counts. Two things are known under the lock, without hearing of hits:
//!
//! * a key that was refused by main comes again, so soon that it would still be here if newcomers
//!   had had more room: one more place for newcomers;
//! * the next candidate for eviction in main turns out to have been hit: main earns its room, so
//!   [`LOSS`] of a place less for newcomers.
//!
//! Main is looked at about once for each refusal, so both are counted over the same time. A
//! key that comes again only after more distinct ones than the store holds (a loop) is no argument
//! for more room: that number is estimated from how many of main's entries were hit meanwhile.
//! (The idea of learning from keys that were evicted is that of Megiddo and Modha, "ARC", FAST 2003;
//! Einziger et al., "Adaptive software cache management", 2018, climb by the hit ratio instead,
//! which needs a count of hits.)

/// What a hit in main weighs against a key that came again too late.
const LOSS: f64 = 0.5;
/// The largest share of newcomers.
const MOST: f64 = 0.99;

#[derive(Debug)]
pub(super) struct Balance {
    least: f64,
    share: f64,
    /// Entries of main that were found hit, and refusals, in about as many refusals as there are
    /// entries.
    kept: f64,
    refused: f64,
    turn: u8,
}

impl Balance {
    /// Starts at the least share.
    pub(super) fn new(least: f64) -> Balance {
        Balance { least, share: least, kept: 0.0, refused: 1.0, turn: 0 }
    }

    /// A key is back that was refused `age` refusals ago.
    pub(super) fn came_again(&mut self, age: usize, newcomers: usize, main: usize) {
        let all = (newcomers + main).max(1) as f64;
        let since = (newcomers + age) as f64;
        let distinct = since + (main as f64).min(since * self.kept / self.refused);
        if distinct <= all {
            self.share += 1.0 / all;
        }
    }

    /// A candidate for eviction in main was found hit.
    pub(super) fn was_hit(&mut self, live: usize) {
        self.kept += 1.0;
        self.share -= LOSS / live.max(1) as f64;
    }

    /// Whether main should be looked at although nobody asks to enter it: every eighth time.
    pub(super) fn is_due(&mut self) -> bool {
        self.turn = self.turn.wrapping_add(1);
        self.turn.is_multiple_of(8)
    }

    /// A newcomer is compared with main.
    pub(super) fn compared(&mut self, live: usize) {
        self.refused += 1.0;
        if self.refused > live as f64 {
            self.refused /= 2.0;
            self.kept /= 2.0;
        }
    }

    /// What newcomers may weigh, of `total`.
    pub(super) fn newcomers(&mut self, total: usize, live: usize) -> usize {
        let one = 1.0 / live.max(1) as f64;
        let least = self.least.max(one).min(MOST);
        self.share = self.share.clamp(least, MOST);
        (total as f64 * self.share).round() as usize
    }
}

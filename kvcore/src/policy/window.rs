//! How much of a shard the window of `tinylfu` gets.
//!
//! What is right depends on what comes: next to nothing for loops and scans, and where some keys are
//! always popular; most of the shard where only recency counts. One place more is worth
//! more on one side or on the other, and both can be told under the lock, without hearing of hits:
//!
//! * A key that was refused comes again after no more than [`NEAR`] of a shard's refusals: so many
//!   more places in the window would have kept it.
//! * An entry of main that was last in line, as it had not been hit when it was looked at last, was
//!   hit since: with fewer places in main it would have gone. The others are not in danger and do not
//!   count.
//!
//! The first is divided by the places that it stands for, the second by how many are in that
//! line. A key that comes again only after more distinct ones than the shard holds (a loop) is no
//! argument for more room: that number is estimated from how many of main's entries were hit
//! meanwhile.
//!
//! How many places a sign moves grows with the root of the shard, as in [`step`].
//!
//! The idea of learning from keys that were evicted is that of Megiddo and Modha, "ARC", FAST 2003.
//! Einziger, Eytan, Friedman and Manes, "Adaptive software cache management", 2018, have the same
//! window climb by the hit ratio instead, which needs a count of hits.

use super::room::step;

/// Refusals after which a key came again soon, to the entries of the shard.
const NEAR: f64 = 0.15;
/// What a key that came again later than that counts: keys that all come again after the same long
/// time would not be noticed else.
const FAR: f64 = 0.1;
/// The least share.
const LEAST: f64 = 0.005;
/// The share to start with.
const FIRST: f64 = 0.01;
/// The largest share.
const MOST: f64 = 0.99;
/// From this share on recency counts.
const RECENCY: f64 = 0.1;
/// How many places a sign is worth, to the root of the entries; see [`step`].
const STEADY: f64 = 0.05;
/// What one entry of main can count at most, to a key that came again.
const HEAVIEST: f64 = 9.0;

#[derive(Debug)]
pub(super) struct Window {
    share: f64,
    /// Entries of main that were found hit, and refusals, in about as many refusals as there are
    /// entries.
    hit: f64,
    refused: f64,
}

impl Window {
    pub(super) fn new() -> Window {
        Window { share: FIRST, hit: 0.0, refused: 1.0 }
    }

    /// A key is back that was refused `age` refusals ago.
    pub(super) fn came_again(&mut self, age: usize, window: usize, main: usize) {
        let all = (window + main).max(1) as f64;
        let since = (window + age) as f64;
        let distinct = since + (main as f64).min(since * self.hit / self.refused);
        if distinct <= all {
            let places = if age as f64 <= all * NEAR { 1.0 } else { FAR };
            self.share += places * step(all, STEADY) / all;
        }
    }

    /// An entry of main was found hit; `in_line`: for the first time since it was found not to be.
    pub(super) fn was_hit(&mut self, in_line: bool, window: usize, main: usize) {
        self.hit += 1.0;
        if in_line {
            let all = (window + main).max(1) as f64;
            let line = (main as f64 * self.refused / (self.refused + self.hit)).max(1.0);
            let places = (NEAR * all / line).min(HEAVIEST);
            self.share -= places * step(all, STEADY) / all;
        }
    }

    /// A newcomer is compared with main.
    pub(super) fn compared(&mut self, live: usize) {
        self.refused += 1.0;
        if self.refused > live as f64 {
            self.refused /= 2.0;
            self.hit /= 2.0;
        }
    }

    /// What the window may weigh, of `total`: at least one entry.
    pub(super) fn weight(&mut self, total: usize, live: usize) -> usize {
        let one = 1.0 / live.max(1) as f64;
        self.share = self.share.clamp(LEAST.max(one).min(MOST), MOST);
        (total as f64 * self.share).round() as usize
    }

    /// Whether recency has proven to count.
    pub(super) fn is_large(&self) -> bool {
        self.share > RECENCY
    }
}

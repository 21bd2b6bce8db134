//! How much room newcomers get in `s3fifo`.
//!
//! As little as possible for loops and scans, most of the store where only recency counts. What one more
//! place would bring is learned on both sides, from what is known under the lock, without hearing
//! of hits:
//!
//! * a key comes again soon after it left ([`SOON`]): with a little more room for newcomers it
//!   would have been a hit;
//! * an entry of main was hit when it is looked at: main earns its room.
//!
//! A key that comes again only after about as many distinct ones as the store holds (a loop) is no
//! argument for more room. That number is estimated from how many of main's entries were hit
//! in the last round.
//!
//! One sign moves the share by [`step`] places: one in a small shard, and in a large one as many as
//! leave the share as steady as it is in a small one, or else a large shard would be turned over
//! several times before it has learned what to do. The share does not run ahead of what newcomers
//! have by more than [`AHEAD`], because the room is given up by main one entry at a time: what is
//! learned meanwhile is about the room that they have, not about the room that they were promised.
//!
//! Learning from keys that left is the idea of Megiddo and Modha, "ARC", FAST 2003; ARC asks whether
//! they come again at all, which takes the popular for the recent.

/// A key comes again soon if no more have left since than this share of the entries.
const SOON: f64 = 0.06;
/// What a key that comes again soon counts, in places.
const GAIN: f64 = 4.0;
/// What one counts that comes later. Where main is of no use, it is enough.
const LATE: f64 = 0.3;
/// What an entry of main that was hit counts.
const LOSS: f64 = 0.3;
/// More than this share of the entries, distinct since, are too many: what is known of main is old.
const FITS: f64 = 0.7;
/// How far the share may be ahead of the newcomers that are there, beside [`AHEAD_LEAST`] entries.
const AHEAD: f64 = 0.01;
/// Entries by which it may be ahead in any case.
const AHEAD_LEAST: f64 = 4.0;
/// How many places a sign is worth, to the root of the entries; see [`step`].
const STEADY: f64 = 0.03;
/// The limits of the share.
const LEAST: f64 = 0.005;
const MOST: f64 = 0.99;

/// The share of newcomers in one shard.
#[derive(Debug)]
pub(super) struct Room {
    share: f64,
    /// Entries of main looked at lately, and how many of them had been hit.
    looks: f64,
    hit: f64,
}

impl Room {
    pub(super) fn new() -> Room {
        Room { share: LEAST, looks: 1.0, hit: 0.0 }
    }

    /// A key is back, `age` departures after it left. Main goes round in `round` departures.
    pub(super) fn came_again(&mut self, age: u64, round: u64, newcomers: usize, main: usize) {
        let all = (newcomers + main).max(1) as f64;
        let since = newcomers as f64 + age as f64;
        let of_main = self.hit / self.looks * (since / round.max(1) as f64).min(1.0);
        if since + main as f64 * of_main <= all * FITS {
            let gain = if age as f64 <= SOON * all { GAIN } else { LATE };
            let ahead = (newcomers as f64 + AHEAD_LEAST) / all + AHEAD;
            let most = ahead.max(self.share).min(MOST);
            self.share = (self.share + gain * step(all, STEADY) / all).min(most);
        }
    }

    /// An entry of main was looked at.
    pub(super) fn looked(&mut self, hit: bool, live: usize) {
        let live = live.max(1) as f64;
        self.looks += 1.0;
        if hit {
            self.hit += 1.0;
            self.share = (self.share - LOSS * step(live, STEADY) / live).max(LEAST);
        }
        if self.looks > live {
            self.looks /= 2.0;
            self.hit /= 2.0;
        }
    }

    /// What newcomers may weigh, of `total`: at least about one entry.
    pub(super) fn newcomers(&self, total: usize, live: usize) -> usize {
        let one = 1.0 / live.max(1) as f64;
        (total as f64 * self.share.max(one).min(MOST)).round() as usize
    }
}

/// How many places one sign moves a share of `all` entries.
///
/// Signs come by chance, about as many in the time that a shard is turned over as it has entries. So a
/// share that moves by a place for each wanders by the root of that: by little of a large shard,
/// and too slowly to get anywhere. A step that grows with the root wanders by the same share of
/// each.
pub(super) fn step(all: f64, steady: f64) -> f64 {
    (all.sqrt() * steady).max(1.0)
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_soon_makes_room_unless_main_is_all_in_use() {
        let mut room = Room::new();
        for _ in 0..2_000 {
            let newcomers = room.newcomers(1_000, 1_000);
            room.came_again(30, 1_000, newcomers, 1_000 - newcomers);
        }
        assert!(room.newcomers(1_000, 1_000) > 600);
        (0..4_000).for_each(|_| room.looked(true, 1_000));
        assert_eq!(room.newcomers(1_000, 1_000), 5);
        // All of main was hit within one departure: a loop.
        (0..2_000).for_each(|_| room.came_again(30, 1, 10, 990));
        assert_eq!(room.newcomers(1_000, 1_000), 5);
        assert_eq!(room.newcomers(3, 3), 1);
    }

    #[test]
    fn the_share_waits_for_the_room() {
        let mut room = Room::new();
        (0..2_000).for_each(|_| room.came_again(30, 1_000, 10, 990));
        assert_eq!(room.newcomers(1_000, 1_000), 24, "10, 4 and a hundredth");
    }

    #[test]
    fn a_step_is_a_place_in_small_shards_and_many_in_large_ones() {
        assert_eq!([step(1.0, 0.05), step(400.0, 0.05)], [1.0, 1.0]);
        assert_eq!(step(1_000_000.0, 0.05), 50.0);
    }
}

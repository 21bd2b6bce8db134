//! S3-FIFO: first-in first-out queues; an entry that is not hit soon leaves soon.
//!
//! Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023. New entries are in
//! the small queue. What was hit there goes on to main; what was not leaves, and its key is
//! remembered ([`Departed`]). Main gives hit entries another round.
//!
//! Three changes to the paper:
//!
//! * The share of the small queue is not fixed but learned ([`Room`]).
//! * A key that comes again is not in main at once. It asks for it when it leaves the small
//!   queue, like one that was hit once; and it may ask only if it was away for less time than main
//!   takes to go round, or else main's entries had no fair time to be hit. Who asks gets a few
//!   looks at main, and the place of the first entry that was idle; if there is none, main is worth
//!   more, and the newcomer goes. So a part of a loop larger than the store stays in place. This is how LIRS
//!   compares reuse distance and recency (Jiang and Zhang, SIGMETRICS 2002), with a clock hand in
//!   place of its stack.
//! * Main is looked at now and then although nobody asks, so that it does not keep idle entries.
//!
//! Access bits: the low four count hits since the entry was looked at. The high two are, in main,
//! rounds that it may be idle; in the small queue, what it may ask for ([`LOOK_FOR`]).
//!
//! Costs 4.3 bytes an entry, one tag byte, 2 bytes for keys that left (up to 20 in the smallest
//! shards). A good choice when in doubt. Do not use it where exact order of use is expected: that
//! is `lru`.

use super::departed::{self, Departed};
use super::lists::Lists;
use super::room::Room;
use super::{Mark, Residents};
use crate::slab::EntryId;

const SMALL: usize = 1;
const MAIN: usize = 2;
/// Hits that are told apart between two looks.
pub(super) const MOST: u8 = 15;
/// The most that hits and rounds left are worth.
const WORTH: u8 = 3;
/// From so many hits on, an entry is sure to be of use.
const SURE: u8 = 2;
/// One look for so many entries of main, by the high bits: for strangers that were hit once, and for
/// keys that came again within a round, within half of one, within a quarter. At least one look, and
/// at most [`STEPS`]. A share and no number, so that an idle entry is as easily found in a large main
/// as in a small one, and a few keys cannot turn a tiny main over.
const LOOK_FOR: [usize; 4] = [usize::MAX, 256, 128, 32];
/// The most steps of one kind in one call.
const STEPS: usize = 64;
/// One in so many of those that do not ask has main looked at.
const EVERY: u32 = 16;

/// The state of one shard.
pub(crate) struct S3Fifo {
    lists: Lists<2>,
    departed: Departed,
    room: Room,
    rounds: Rounds,
    /// Whether anything had to go yet. Until then all are in main.
    full: bool,
    turn: u32,
}

impl S3Fifo {
    pub(super) fn new() -> S3Fifo {
        S3Fifo {
            lists: Lists::new(),
            departed: Departed::default(),
            room: Room::new(),
            rounds: Rounds::default(),
            full: false,
            turn: 0,
        }
    }

    pub(super) fn admitted(&mut self, id: EntryId, hash: u32, weight: usize) -> Mark {
        if !self.full {
            return Mark { tag: self.lists.admit(MAIN, id, weight), access: 0 };
        }
        let may_ask = self.departed.take(hash).map_or(0, |age| {
            let round = self.rounds.last(self.lists.first_number(MAIN), self.departed.now());
            self.room.came_again(age, round, self.lists.len(SMALL), self.lists.len(MAIN));
            let age = age.max(1);
            match () {
                () if age * 4 <= round => 3,
                () if age * 2 <= round => 2,
                () if age * 13 <= round * 10 => 1,
                () => 0,
            }
        });
        Mark { tag: self.lists.admit(SMALL, id, weight), access: may_ask << 4 }
    }

    pub(super) fn moved(&mut self, id: Option<EntryId>, tag: u8, weights: [usize; 2]) -> u8 {
        self.lists.moved(id, tag, weights)
    }

    pub(super) fn removed(&mut self, tag: u8, weight: usize) {
        self.lists.removed(tag, weight);
        if self.lists.live() == 0 {
            *self = S3Fifo::new();
        }
    }

    pub(super) fn victim(&mut self, residents: &mut impl Residents) -> Option<EntryId> {
        self.full = true;
        let mut moves = 0;
        loop {
            let total = self.lists.weight(SMALL) + self.lists.weight(MAIN);
            let small = self.room.newcomers(total, self.lists.live());
            if self.lists.weight(SMALL) < small
                && let Some(id) = self.idle(STEPS, residents)
            {
                return self.lists.give(id, MAIN, residents);
            }
            let Some(new) = self.oldest(SMALL, residents) else {
                let idle = self.idle(STEPS, residents);
                let id = idle.or_else(|| self.oldest(MAIN, residents))?;
                return self.lists.give(id, MAIN, residents);
            };
            let fits = self.lists.weight(MAIN) + residents.weight(new) + small < total;
            if !fits || moves == STEPS {
                return self.contest(new, residents);
            }
            self.enter_main(new, residents);
            moves += 1;
        }
    }

    /// The newcomer goes, or one of main in its stead.
    fn contest(&mut self, new: EntryId, residents: &mut impl Residents) -> Option<EntryId> {
        let access = residents.access(new);
        let looks = match (access & 15, access >> 4) {
            (0, 0) => usize::from(self.is_due()),
            (SURE.., _) => STEPS,
            (1.., _) => self.looks_for(0),
            (0, may_ask) => self.looks_for(usize::from(may_ask & 3)),
        };
        match self.idle(looks, residents) {
            Some(old) if access > 0 => {
                self.enter_main(new, residents);
                return self.lists.give(old, MAIN, residents);
            }
            Some(old) => self.again(old, residents),
            None => (),
        }
        self.departed.insert(residents.hash(new), self.lists.live());
        self.lists.give(new, SMALL, residents)
    }

    /// The looks at main that who may ask for so much gets.
    fn looks_for(&self, may_ask: usize) -> usize {
        (self.lists.len(MAIN) / LOOK_FOR[may_ask]).clamp(1, STEPS)
    }

    /// Whether main should be looked at although nobody asks.
    fn is_due(&mut self) -> bool {
        self.turn = (self.turn + 1) % EVERY;
        self.turn == 0
    }

    /// The oldest entry of a list that may go.
    fn oldest(&mut self, list: usize, residents: &mut impl Residents) -> Option<EntryId> {
        for _ in 0..2 {
            let id = self.lists.valid(list, residents)?;
            if residents.may_go(id) {
                return Some(id);
            }
            self.lists.relist(id, list, list, residents);
        }
        None
    }

    /// The next entry of main that was not hit, if so many looks find one.
    fn idle(&mut self, looks: usize, residents: &mut impl Residents) -> Option<EntryId> {
        for _ in 0..looks {
            let id = self.lists.valid(MAIN, residents)?;
            let access = residents.access(id);
            let worth = (access & 15).saturating_add(access >> 4).min(WORTH);
            self.room.looked(access & 15 > 0, self.lists.live());
            if worth == 0 && residents.may_go(id) {
                return Some(id);
            }
            residents.set_access(id, worth.saturating_sub(1) << 4);
            self.again(id, residents);
        }
        None
    }

    fn enter_main(&mut self, id: EntryId, residents: &mut impl Residents) {
        residents.set_access(id, 0);
        self.lists.relist(id, SMALL, MAIN, residents);
        self.note_push();
    }

    /// An entry of main gets another round.
    fn again(&mut self, id: EntryId, residents: &mut impl Residents) {
        self.lists.relist(id, MAIN, MAIN, residents);
        self.note_push();
    }

    fn note_push(&mut self) {
        let [first, next] = [self.lists.first_number(MAIN), self.lists.next_number(MAIN)];
        self.rounds.note([first, next - 1], self.departed.now());
    }

    pub(super) fn tidy(&mut self, steps: usize, residents: &mut impl Residents) {
        self.lists.tidy(steps, residents);
    }

    pub(super) fn bytes(&self) -> usize {
        self.lists.bytes() + self.departed.bytes(self.lists.live())
    }

    pub(super) fn growth(&self) -> usize {
        super::GROWTH.max(departed::GROWTH)
    }

    pub(super) fn validate(&self, residents: &impl Residents) -> Result<(), String> {
        self.lists.validate(residents)
    }
}

/// Marks in [`Rounds`].
const MARKS: usize = 32;

/// When main's records were made, to about a sixteenth of a round: so when its oldest entry was
/// looked at.
#[derive(Default)]
struct Rounds {
    /// The number of a record and the time when it was made, oldest first.
    marks: [(u64, u64); MARKS],
    count: usize,
}

impl Rounds {
    /// The newest record was made; the numbers are those of the oldest and the newest.
    fn note(&mut self, [first, newest]: [u64; 2], now: u64) {
        let gap = (newest - first) / 16 + 1;
        if self.count > 0 && newest < self.marks[self.count - 1].0 + gap {
            return;
        }
        self.forget(first);
        if self.count == MARKS {
            (0..MARKS / 2).for_each(|mark| self.marks[mark] = self.marks[mark * 2]);
            self.count = MARKS / 2;
        }
        self.marks[self.count] = (newest, now);
        self.count += 1;
    }

    /// How long ago the oldest record was made; since ever, if that is not known.
    fn last(&mut self, first: u64, now: u64) -> u64 {
        self.forget(first);
        let known = self.count > 0;
        now - if known { self.marks[0].1 } else { 0 }
    }

    /// Drops marks that tell nothing about the oldest record.
    fn forget(&mut self, first: u64) {
        let marks = &self.marks[..self.count];
        let useless = marks.iter().skip(1).take_while(|mark| mark.0 <= first).count();
        self.marks.copy_within(useless..self.count, 0);
        self.count -= useless;
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_known_to_about_a_sixteenth() {
        let mut rounds = Rounds::default();
        assert_eq!(rounds.last(0, 7), 7, "nothing known");
        // A queue of 1,000 records, and a record every third departure.
        for newest in 0..10_000 {
            let first = u64::saturating_sub(newest, 1_000);
            rounds.note([first, newest], newest * 3);
            let known = rounds.last(first, newest * 3);
            let exact = (newest - first) * 3;
            assert!(known.abs_diff(exact) <= exact / 7 + 6, "{known}, not {exact}");
        }
    }
}

//! A hierarchical timing wheel with ticks of one millisecond (Varghese and Lauck, "Hashed and
//! Hierarchical Timing Wheels", 1987).
//!
//! Owns: the heads of the lists; the links are kept beside the entries and reached through
//! [`Timers`]. Level `n` has 64 slots of `64^n` ms. An entry sits on the level of the highest base-64
//! digit in which its deadline differs from `elapsed`, in the slot of its own digit there, and moves
//! to lower levels as that slot comes. Scheduling and cancelling take constant time, entries come due
//! in the order of their deadlines exact to the tick, and every step of work is counted, so that the
//! caller can stop and go on later.
//!
//! Invariants: `elapsed` never goes back and never passes a slot that is in use; an entry is on one
//! list at most; when a slot above the lowest level has come, its list moves to `cascade` in one
//! step and is placed anew from there before anything else comes due.

use crate::budget::allocation;
use crate::slab::EntryId;

const SLOT_BITS: usize = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// Eleven digits of six bits cover every non-negative `i64`.
const LEVELS: usize = 11;
/// The number of the list `cascade`, behind those of all slots.
const CASCADE: u32 = (LEVELS * SLOTS) as u32;

const NIL: u32 = u32::MAX;
/// Marks a `prev` that names a list instead of an entry.
const HEAD: u32 = 1 << 31;

/// The neighbours of an entry in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    prev: u32,
    next: u32,
}

impl Default for Link {
    fn default() -> Self {
        Link { prev: NIL, next: NIL }
    }
}

/// Where the wheel finds deadlines and links.
pub(crate) trait Timers {
    /// The deadline of an entry that is on the wheel.
    fn deadline(&self, id: EntryId) -> i64;
    /// The link of an entry, to change it.
    fn link(&mut self, id: EntryId) -> &mut Link;
    /// The link of an entry, to walk on.
    fn next(&self, id: EntryId) -> Link;
}

struct Level {
    in_use: u64,
    heads: [u32; SLOTS],
}

const LEVEL_BYTES: usize = allocation(size_of::<Level>());

/// What [`Wheel::next_due`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// This entry is due, and is off the wheel now.
    Entry(EntryId),
    /// The steps allowed are used up; there may be more.
    Unknown,
    /// Nothing is due.
    Nothing,
}

/// The timing wheel of one shard.
pub(crate) struct Wheel {
    elapsed: u64,
    levels: [Option<Box<Level>>; LEVELS],
    cascade: u32,
    len: usize,
}

impl Wheel {
    /// An empty wheel, which holds no memory, at this time.
    pub(crate) fn new(now_ms: i64) -> Self {
        Wheel { elapsed: now_ms.max(0) as u64, levels: Default::default(), cascade: NIL, len: 0 }
    }

    /// Puts an entry on the wheel, by its deadline.
    pub(crate) fn schedule(&mut self, id: EntryId, timers: &mut impl Timers) {
        let place = self.place(timers.deadline(id));
        // Cascades only move down, so with these levels there no cascade needs memory.
        for level in &mut self.levels[..=place as usize / SLOTS] {
            level.get_or_insert_with(|| Box::new(Level { in_use: 0, heads: [NIL; SLOTS] }));
        }
        self.push(place, id, timers);
        self.len += 1;
    }

    /// Takes an entry off the wheel.
    pub(crate) fn cancel(&mut self, id: EntryId, timers: &mut impl Timers) {
        self.unlink(id, timers);
        self.removed_one();
    }

    /// The next entry whose deadline has come by `now_ms`. Every entry looked at takes one of
    /// `steps`.
    pub(crate) fn next_due(
        &mut self,
        now_ms: i64,
        steps: &mut usize,
        timers: &mut impl Timers,
    ) -> Due {
        let now = now_ms.max(0) as u64;
        loop {
            if self.len == 0 {
                self.elapsed = self.elapsed.max(now);
                return Due::Nothing;
            }
            if *steps == 0 {
                return Due::Unknown;
            }
            if self.cascade != NIL {
                *steps -= 1;
                let id = EntryId::new(self.cascade);
                self.unlink(id, timers);
                let place = self.place(timers.deadline(id));
                self.push(place, id, timers);
                continue;
            }
            let Some((level, slot, start)) = self.first_slot().filter(|first| first.2 <= now)
            else {
                self.elapsed = self.elapsed.max(now);
                return Due::Nothing;
            };
            self.elapsed = self.elapsed.max(start);
            if level == 0 {
                *steps -= 1;
                let id = EntryId::new(self.head(slot as u32));
                self.unlink(id, timers);
                self.removed_one();
                return Due::Entry(id);
            }
            self.start_cascade(level, slot, timers);
        }
    }

    /// No entry is due before this time; `None` if the wheel is empty.
    pub(crate) fn next_at_ms(&self) -> Option<i64> {
        if self.cascade != NIL {
            return Some(self.elapsed as i64);
        }
        self.first_slot().map(|(_, _, start)| start as i64)
    }

    /// How many entries have come due by `now_ms` and are still on the wheel. Looks at these
    /// entries and at those that share a slot with them.
    pub(crate) fn count_due(&self, now_ms: i64, timers: &impl Timers) -> usize {
        let due_in = |head: u32| {
            let mut count = 0;
            let mut at = head;
            while at != NIL {
                let id = EntryId::new(at);
                count += usize::from(timers.deadline(id) <= now_ms);
                at = timers.next(id).next;
            }
            count
        };
        let mut count = due_in(self.cascade);
        for (number, level) in self.levels.iter().enumerate() {
            let Some(level) = level else { continue };
            for slot in 0..SLOTS {
                if level.in_use & 1 << slot != 0 && self.slot_start(number, slot) as i64 <= now_ms {
                    count += due_in(level.heads[slot]);
                }
            }
        }
        count
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.levels.iter().flatten().count() * LEVEL_BYTES
    }

    /// Bytes that scheduling a deadline would add.
    pub(crate) fn growth(&self, deadline: i64) -> usize {
        let highest = self.place(deadline) as usize / SLOTS;
        self.levels[..=highest].iter().filter(|level| level.is_none()).count() * LEVEL_BYTES
    }

    /// The number of the slot, counted through all levels, that a deadline belongs to now.
    fn place(&self, deadline: i64) -> u32 {
        // A deadline that has come is due at once, so it goes to the slot of this tick.
        let deadline = (deadline.max(0) as u64).max(self.elapsed);
        let differs = deadline ^ self.elapsed;
        let level = (63 - (differs | 1).leading_zeros() as usize) / SLOT_BITS;
        let slot = (deadline >> (level * SLOT_BITS)) as usize % SLOTS;
        (level * SLOTS + slot) as u32
    }

    /// The earliest slot in use: its level, its number there and its first tick.
    fn first_slot(&self) -> Option<(usize, usize, u64)> {
        // Every slot of a level comes before every slot of the level above.
        let (number, level) = self
            .levels
            .iter()
            .enumerate()
            .find_map(|(n, level)| level.as_ref().filter(|l| l.in_use != 0).map(|l| (n, l)))?;
        let slot = level.in_use.trailing_zeros() as usize;
        Some((number, slot, self.slot_start(number, slot)))
    }

    /// The first tick of a slot: the digits of `elapsed` above its level, then its own.
    fn slot_start(&self, level: usize, slot: usize) -> u64 {
        let shift = level * SLOT_BITS;
        let above = u64::MAX.checked_shl((shift + SLOT_BITS) as u32).unwrap_or(0);
        self.elapsed & above | (slot as u64) << shift
    }

    fn start_cascade(&mut self, level: usize, slot: usize, timers: &mut impl Timers) {
        let list = (level * SLOTS + slot) as u32;
        let first = self.head(list);
        self.set_head(list, NIL);
        self.set_head(CASCADE, first);
        timers.link(EntryId::new(first)).prev = HEAD | CASCADE;
    }

    fn head(&self, list: u32) -> u32 {
        if list == CASCADE {
            return self.cascade;
        }
        let level = &self.levels[list as usize / SLOTS];
        level.as_ref().map_or(NIL, |level| level.heads[list as usize % SLOTS])
    }

    fn set_head(&mut self, list: u32, first: u32) {
        if list == CASCADE {
            self.cascade = first;
            return;
        }
        let slot = list as usize % SLOTS;
        if let Some(level) = &mut self.levels[list as usize / SLOTS] {
            level.heads[slot] = first;
            let bit = 1 << slot;
            level.in_use = if first == NIL { level.in_use & !bit } else { level.in_use | bit };
        }
    }

    fn push(&mut self, list: u32, id: EntryId, timers: &mut impl Timers) {
        let first = self.head(list);
        *timers.link(id) = Link { prev: HEAD | list, next: first };
        if first != NIL {
            timers.link(EntryId::new(first)).prev = id.number();
        }
        self.set_head(list, id.number());
    }

    fn unlink(&mut self, id: EntryId, timers: &mut impl Timers) {
        let Link { prev, next } = std::mem::take(timers.link(id));
        debug_assert_ne!(prev, NIL, "{id:?} is not on the wheel");
        if prev & HEAD != 0 {
            self.set_head(prev & !HEAD, next);
        } else {
            timers.link(EntryId::new(prev)).next = next;
        }
        if next != NIL {
            timers.link(EntryId::new(next)).prev = prev;
        }
    }

    fn removed_one(&mut self) {
        self.len -= 1;
        if self.len == 0 {
            self.levels = Default::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries that are nothing but a deadline.
    #[derive(Default)]
    struct Deadlines(Vec<(i64, Link)>);

    impl Timers for Deadlines {
        fn deadline(&self, id: EntryId) -> i64 {
            self.0[id.number() as usize].0
        }
        fn link(&mut self, id: EntryId) -> &mut Link {
            &mut self.0[id.number() as usize].1
        }
        fn next(&self, id: EntryId) -> Link {
            self.0[id.number() as usize].1
        }
    }

    fn add(wheel: &mut Wheel, timers: &mut Deadlines, deadline: i64) -> EntryId {
        let id = EntryId::new(timers.0.len() as u32);
        timers.0.push((deadline, Link::default()));
        let foretold = wheel.bytes() + wheel.growth(deadline);
        wheel.schedule(id, timers);
        assert_eq!(wheel.bytes(), foretold);
        id
    }

    fn drain(wheel: &mut Wheel, timers: &mut Deadlines, now: i64, step: usize) -> Vec<i64> {
        let mut due = Vec::new();
        loop {
            let mut steps = step;
            loop {
                match wheel.next_due(now, &mut steps, timers) {
                    Due::Entry(id) => due.push(timers.deadline(id)),
                    Due::Unknown => break,
                    Due::Nothing => return due,
                }
            }
        }
    }

    #[test]
    fn comes_due_in_order_and_on_time() {
        for (seed, step) in [(1, 1), (2, 3), (3, 1000)] {
            let mut random = fastrand::Rng::with_seed(seed);
            let start = 1_700_000_000_000;
            let (mut wheel, mut timers) = (Wheel::new(start), Deadlines::default());
            let mut now = start;
            let mut waiting = Vec::new();
            for _ in 0..3000 {
                for _ in 0..random.usize(..8) {
                    let reach = random.u32(0..40);
                    let deadline = now + random.i64(-5..1 << reach);
                    let id = add(&mut wheel, &mut timers, deadline);
                    waiting.push((deadline, id));
                }
                if random.u8(..4) == 0 && !waiting.is_empty() {
                    let (_, id) = waiting.swap_remove(random.usize(..waiting.len()));
                    wheel.cancel(id, &mut timers);
                }
                let reach = random.u32(0..24);
                now += random.i64(0..1 << reach);
                let mut expected: Vec<i64> =
                    waiting.iter().map(|w| w.0).filter(|deadline| *deadline <= now).collect();
                waiting.retain(|w| w.0 > now);
                assert_eq!(wheel.count_due(now, &timers), expected.len());
                let next = wheel.next_at_ms();
                assert!(expected.is_empty() || next.is_some_and(|at| at <= now), "{next:?}");
                let due = drain(&mut wheel, &mut timers, now, step);
                // Those that were late already when they were scheduled come in any order.
                assert!(due.is_sorted_by(|a, b| a <= b || *a - *b <= 5), "{due:?}");
                expected.sort_unstable();
                let mut sorted = due;
                sorted.sort_unstable();
                assert_eq!(sorted, expected);
                assert_eq!(wheel.len(), waiting.len());
            }
            for (_, id) in waiting {
                wheel.cancel(id, &mut timers);
            }
            assert_eq!((wheel.len(), wheel.bytes()), (0, 0));
        }
    }

    #[test]
    fn the_far_end_of_time() {
        let (mut wheel, mut timers) = (Wheel::new(0), Deadlines::default());
        add(&mut wheel, &mut timers, i64::MAX - 1);
        add(&mut wheel, &mut timers, i64::MAX);
        assert_eq!(drain(&mut wheel, &mut timers, i64::MAX - 2, 10), [0; 0]);
        assert_eq!(drain(&mut wheel, &mut timers, i64::MAX - 1, 10), [i64::MAX - 1]);
        assert_eq!(drain(&mut wheel, &mut timers, i64::MAX, 10), [i64::MAX]);
    }

    #[test]
    fn work_stops_when_the_steps_are_used_up() {
        let (mut wheel, mut timers) = (Wheel::new(0), Deadlines::default());
        for _ in 0..100 {
            add(&mut wheel, &mut timers, 100_000);
        }
        let mut steps = 10;
        assert_eq!(wheel.next_due(100_000, &mut steps, &mut timers), Due::Unknown);
        assert_eq!(steps, 0);
        assert_eq!(wheel.count_due(100_000, &timers), 100);
        assert_eq!(wheel.count_due(99_999, &timers), 0);
        assert_eq!(drain(&mut wheel, &mut timers, 100_000, 7).len(), 100);
    }
}

//! A hierarchical timing wheel with ticks of one millisecond (Varghese and Lauck, "Hashed and
//! Hierarchical Timing Wheels", 1987), of records that are cancelled lazily.
//!
//! Owns: four-byte records, each the id of an entry, in bags of cache lines (`records`). Level `n`
//! has 64 slots of `64^n` ms. A record sits on the level of the highest base-64 digit in which the
//! deadline of its entry differs from `elapsed`, in the slot of its own digit there, and moves to
//! lower levels as that slot comes. Scheduling takes constant time, entries come due in the order
//! of their deadlines exact to the tick, and every step of work is counted, so that the caller can
//! stop and go on later.
//!
//! A record is valid if its entry lives and has a deadline that belongs to the slot the record is
//! in. Nobody looks for the record of an entry that goes, or whose deadline changes: it is stale
//! from then on and dropped when it is met, or by a pass over all records (`sweep`) that begins
//! before the stale ones are more than the live entries. Ids are used again, so several records may
//! be valid for one entry: the first one met makes the others stale.
//!
//! `elapsed` may run ahead of the clock while the closest deadlines are looked for (`closest`).
//! Entries that are scheduled before it then wait in a heap, `early`, whose records hold their
//! deadlines; when they become many, `elapsed` goes back to the clock (`floor`) and they join the
//! others.
//!
//! Invariants: every live timed entry has a valid record; `elapsed` never passes a slot with
//! records; a slot's records, taken out for a cascade or a sweep, are in no other slot; all of
//! `early` is before `elapsed`. What is charged depends only on how many records and levels there
//! are, at their worst spread over lines, so that time, which moves records about, never makes the
//! wheel larger: only scheduling does.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::budget::allocation;
use crate::records::{Bag, LINE_BYTES, LINE_RECORDS, Pool};
use crate::slab::EntryId;

mod closest;
mod soon;
mod sweep;
#[cfg(all(test, not(kv_shuttle)))]
mod tests;

pub(crate) use closest::CLOSEST_GROWTH;
use sweep::Sweep;

const SLOT_BITS: usize = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// Eleven digits of six bits cover every non-negative `i64`.
const LEVELS: usize = 11;
const LEVEL_BYTES: usize = allocation(size_of::<Level>());
const EARLY_BYTES: usize = size_of::<Early>();

/// Where the wheel finds deadlines. Ids may be stale: of a place that is free, or another entry's.
pub(crate) trait Timers {
    /// The deadline of the live entry that starts at this place, if there is one and it has one.
    fn deadline(&self, id: EntryId) -> Option<i64>;
    /// Says that the entry will be asked for soon.
    fn prefetch(&self, id: EntryId);
}

/// What [`Wheel::next_due`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// This entry is due, and is off the wheel now: the caller removes it.
    Entry(EntryId),
    /// The steps allowed are used up; there may be more.
    Unknown,
    /// Nothing is due.
    Nothing,
}

struct Level {
    in_use: u64,
    bags: [Bag; SLOTS],
}

impl Level {
    fn empty() -> Box<Level> {
        Box::new(Level { in_use: 0, bags: [Bag::EMPTY; SLOTS] })
    }
}

/// A slot: its level and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    level: usize,
    number: usize,
}

/// A deadline and the number of its entry.
type Early = Reverse<(u64, u32)>;

/// The timing wheel of one shard.
pub(crate) struct Wheel {
    elapsed: u64,
    /// The latest time told, where `elapsed` may go back to.
    floor: u64,
    /// Held from the lowest to the highest that was needed.
    levels: [Option<Box<Level>>; LEVELS],
    pool: Pool,
    /// What is left of the slot that began at `elapsed`, and that slot's level.
    cascade: Bag,
    cascade_level: usize,
    early: BinaryHeap<Early>,
    /// Pushes to `early` since `elapsed` last went back.
    early_added: usize,
    sweep: Sweep,
    /// All records, stale ones too.
    records: usize,
    /// Entries that are scheduled.
    live: usize,
}

impl Wheel {
    /// An empty wheel, which holds no memory, at this time.
    pub(crate) fn new(now_ms: i64) -> Self {
        let now = ticks(now_ms);
        Wheel {
            elapsed: now,
            floor: now,
            levels: Default::default(),
            pool: Pool::new(),
            cascade: Bag::EMPTY,
            cascade_level: 0,
            early: BinaryHeap::new(),
            early_added: 0,
            sweep: Sweep::new(),
            records: 0,
            live: 0,
        }
    }

    /// What this wheel will be once nothing is scheduled.
    pub(crate) fn emptied(&self) -> Self {
        Wheel::new(self.floor as i64)
    }

    /// Puts an entry that is not scheduled on the wheel, by its deadline.
    pub(crate) fn schedule(&mut self, id: EntryId, deadline: i64) {
        self.live += 1;
        self.add(id, ticks(deadline));
    }

    /// Tells of a scheduled entry that got another deadline and kept its id.
    pub(crate) fn reschedule(&mut self, id: EntryId, old_deadline: i64, new_deadline: i64) {
        let (old, new) = (ticks(old_deadline), ticks(new_deadline));
        let keeps_slot = self.slot(old).is_some_and(|slot| self.slot(new) == Some(slot));
        if old != new && !keeps_slot {
            self.add(id, new);
        }
    }

    /// Tells that a scheduled entry is gone, is at another place now, or has no deadline any more.
    pub(crate) fn cancelled(&mut self) {
        debug_assert!(self.live != 0, "an entry that was not scheduled");
        self.live -= 1;
        if self.live == 0 {
            *self = self.emptied();
        }
    }

    /// The next entry whose deadline has come by `now_ms`. Every record looked at takes one of
    /// `steps`. `taken` are those that it gave and the caller has not removed yet: a second record of one
    /// of them is as good as stale.
    pub(crate) fn next_due(
        &mut self,
        now_ms: i64,
        steps: &mut usize,
        taken: &[EntryId],
        timers: &impl Timers,
    ) -> Due {
        let now = ticks(now_ms);
        self.floor = self.floor.max(now);
        loop {
            let begins = self.begins().filter(|begins| *begins <= now);
            if begins.is_none() {
                self.elapsed = self.elapsed.max(now);
                return Due::Nothing;
            }
            if *steps == 0 {
                return Due::Unknown;
            }
            *steps -= 1;
            if let Some(Reverse((deadline, number))) = self.pop_early(now) {
                self.records -= 1;
                let id = EntryId::new(number);
                if timers.deadline(id).map(ticks) == Some(deadline) && !taken.contains(&id) {
                    self.cancelled();
                    return Due::Entry(id);
                }
            } else if !self.cascade.is_empty() {
                self.cascade_one(timers);
            } else if let Some(slot) = self.enter_first_slot() {
                let id = self.take(slot, timers);
                if self.is_valid(id, slot, timers) && !taken.contains(&id) {
                    self.cancelled();
                    return Due::Entry(id);
                }
            }
        }
    }

    /// No entry is due before this time; `None` if the wheel is empty.
    pub(crate) fn next_at_ms(&self) -> Option<i64> {
        self.begins().map(|at| at as i64)
    }

    /// How many entries on the wheel have come due by `now_ms`. Looks at all records of slots that
    /// have come, and needs memory for those that are due.
    pub(crate) fn count_due(&self, now_ms: i64, timers: &impl Timers) -> usize {
        let now = ticks(now_ms);
        let mut due: Vec<u32> = Vec::new();
        let mut add = |number: u32| {
            if timers.deadline(EntryId::new(number)).is_some_and(|deadline| deadline <= now_ms) {
                due.push(number);
            }
        };
        self.early.iter().for_each(|Reverse((_, number))| add(*number));
        self.loose_bags().for_each(|bag| bag.iter(&self.pool).for_each(&mut add));
        for (slot, bag) in self.slots() {
            if self.slot_start(slot) <= now {
                bag.iter(&self.pool).for_each(&mut add);
            }
        }
        due.sort_unstable();
        due.dedup();
        due.len()
    }

    /// How many entries are scheduled.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// Bytes charged.
    pub(crate) fn bytes(&self) -> usize {
        charge(self.levels_held(), self.records) + self.early.capacity() * EARLY_BYTES
    }

    /// Bytes that scheduling `count` entries with deadlines from `soonest` to `latest`, anew or
    /// again, adds at most.
    pub(crate) fn growth(&self, soonest: i64, latest: i64, count: usize) -> usize {
        let held = self.levels_held();
        let needed = self.slot(ticks(latest)).map_or(0, |slot| slot.level + 1).max(held);
        let lines = charge(needed, self.records + count) - charge(held, self.records);
        let early = self.early.len() + count;
        if ticks(soonest) >= self.elapsed || early <= self.early.capacity() {
            return lines;
        }
        lines + (early + early / 8 + EARLY_STEP - self.early.capacity()) * EARLY_BYTES
    }

    /// Checks the wheel against the entries, for tests.
    pub(crate) fn validate(&self, timers: &impl Timers) {
        let mut valid: Vec<u32> = Vec::new();
        let mut records = self.early.len();
        for Reverse((deadline, number)) in &self.early {
            assert!(*deadline < self.elapsed, "a record of the present is early");
            if timers.deadline(EntryId::new(*number)).map(ticks) == Some(*deadline) {
                valid.push(*number);
            }
        }
        let here = Slot { level: self.cascade_level, number: self.digit(self.cascade_level) };
        let taken = self.sweep.bags().map(|bag| (self.sweep.slot(), *bag));
        for (slot, bag) in self.slots().chain(taken).chain([(here, self.cascade)]) {
            let covers = |deadline| match self.slot(deadline) {
                Some(finer) if slot == here => finer.level < slot.level || finer == slot,
                finer => finer == Some(slot),
            };
            for number in bag.iter(&self.pool) {
                records += 1;
                if timers.deadline(EntryId::new(number)).map(ticks).is_some_and(covers) {
                    valid.push(number);
                }
            }
        }
        for level in self.levels.iter().flatten() {
            for (number, bag) in level.bags.iter().enumerate() {
                assert_eq!(bag.is_empty(), level.in_use & 1 << number == 0, "the bitmap is wrong");
            }
        }
        valid.sort_unstable();
        valid.dedup();
        assert_eq!(valid.len(), self.live, "the wheel lost an entry, or has one too many");
        assert_eq!(records, self.records, "the wheel lost count of its records");
        assert!(
            self.pool.bytes() <= charge(self.levels_held(), self.records),
            "charged too little"
        );
    }

    /// Adds a record.
    fn add(&mut self, id: EntryId, deadline: u64) {
        self.records += 1;
        self.put(id, deadline);
        if deadline < self.elapsed {
            self.early_added += 1;
            if self.early_added > self.records / 16 + SLOTS {
                self.early_added = 0;
                self.go_back();
            }
        }
    }

    /// Puts a record where it belongs.
    fn put(&mut self, id: EntryId, deadline: u64) {
        match self.slot(deadline) {
            Some(slot) => self.push(slot, id.number()),
            None => {
                if self.early.len() == self.early.capacity() {
                    self.early.reserve_exact(self.early.len() / 8 + EARLY_STEP);
                }
                self.early.push(Reverse((deadline, id.number())));
            }
        }
    }

    fn pop_early(&mut self, now: u64) -> Option<Early> {
        let is_due = self.early.peek().is_some_and(|Reverse((deadline, _))| *deadline <= now);
        is_due.then(|| self.early.pop())?
    }

    fn push(&mut self, slot: Slot, number: u32) {
        // Cascades only move down, so with these levels there no cascade needs another one.
        for level in &mut self.levels[..slot.level] {
            level.get_or_insert_with(Level::empty);
        }
        let level = self.levels[slot.level].get_or_insert_with(Level::empty);
        level.in_use |= 1 << slot.number;
        level.bags[slot.number].push(&mut self.pool, number);
    }

    /// Puts back many records of one slot.
    fn join(&mut self, slot: Slot, bag: Bag) {
        if !bag.is_empty() {
            let level = self.levels[slot.level].get_or_insert_with(Level::empty);
            level.in_use |= 1 << slot.number;
            level.bags[slot.number].append(&mut self.pool, bag);
        }
    }

    /// Takes all records of a slot.
    fn take_all(&mut self, slot: Slot) -> Bag {
        let Some(level) = &mut self.levels[slot.level] else { return Bag::EMPTY };
        level.in_use &= !(1 << slot.number);
        std::mem::replace(&mut level.bags[slot.number], Bag::EMPTY)
    }

    /// Takes one record out of a slot that has some.
    fn take(&mut self, slot: Slot, timers: &impl Timers) -> EntryId {
        let mut bag = self.take_all(slot);
        let id = self.pop(&mut bag, timers);
        if let Some(level) = self.levels[slot.level].as_mut().filter(|_| !bag.is_empty()) {
            level.in_use |= 1 << slot.number;
            level.bags[slot.number] = bag;
        }
        self.records -= 1;
        id
    }

    /// Takes one record out of a bag that has some.
    fn pop(&mut self, bag: &mut Bag, timers: &impl Timers) -> EntryId {
        for number in bag.upcoming(&self.pool) {
            timers.prefetch(EntryId::new(*number));
        }
        // Zero names no entry.
        EntryId::new(bag.pop(&mut self.pool).unwrap_or(0))
    }

    /// Whether the record of an entry is where it belongs.
    fn is_valid(&self, id: EntryId, slot: Slot, timers: &impl Timers) -> bool {
        timers.deadline(id).is_some_and(|deadline| self.slot(ticks(deadline)) == Some(slot))
    }

    /// Moves to the first slot in use. If it is one tick, it is the answer; if not, its records
    /// begin to cascade.
    fn enter_first_slot(&mut self) -> Option<Slot> {
        let slot = self.first_slot()?;
        if self.sweep.slot() == slot {
            self.stop_sweeping_slot();
        }
        self.elapsed = self.elapsed.max(self.slot_start(slot));
        if slot.level == 0 {
            return Some(slot);
        }
        self.cascade = self.take_all(slot);
        self.cascade_level = slot.level;
        None
    }

    /// Moves one record of the slot that began to where it belongs now.
    fn cascade_one(&mut self, timers: &impl Timers) {
        let mut bag = self.cascade;
        let id = self.pop(&mut bag, timers);
        self.cascade = bag;
        let shift = self.cascade_level * SLOT_BITS;
        match timers.deadline(id).map(ticks) {
            Some(deadline) if deadline >> shift == self.elapsed >> shift => self.put(id, deadline),
            _ => self.records -= 1,
        }
    }

    /// Lets `elapsed` go back to the latest time told. The slots between become one again.
    fn go_back(&mut self) {
        let differs = self.elapsed ^ self.floor;
        if self.elapsed <= self.floor {
            return;
        }
        let level = differs.ilog2() as usize / SLOT_BITS;
        let slot = Slot { level, number: self.digit(level) };
        if self.sweep.slot().level < level {
            self.stop_sweeping_slot();
        }
        let mut all = std::mem::replace(&mut self.cascade, Bag::EMPTY);
        for finer in 0..level {
            for number in 0..SLOTS {
                let bag = self.take_all(Slot { level: finer, number });
                all.append(&mut self.pool, bag);
            }
        }
        self.elapsed = self.floor;
        self.join(slot, all);
        for Reverse((deadline, number)) in std::mem::take(&mut self.early) {
            self.put(EntryId::new(number), deadline);
        }
    }

    /// The slot that a deadline belongs to now; none if it is before `elapsed`.
    fn slot(&self, deadline: u64) -> Option<Slot> {
        let differs = deadline ^ self.elapsed;
        let level = (differs | 1).ilog2() as usize / SLOT_BITS;
        let number = (deadline >> (level * SLOT_BITS)) as usize % SLOTS;
        (deadline >= self.elapsed).then_some(Slot { level, number })
    }

    /// The first tick of a slot: the digits of `elapsed` above its level, then its own.
    fn slot_start(&self, slot: Slot) -> u64 {
        let shift = slot.level * SLOT_BITS;
        let above = u64::MAX.checked_shl((shift + SLOT_BITS) as u32).unwrap_or(0);
        self.elapsed & above | (slot.number as u64) << shift
    }

    /// The digit of `elapsed` on a level.
    fn digit(&self, level: usize) -> usize {
        (self.elapsed >> (level * SLOT_BITS)) as usize % SLOTS
    }

    /// The earliest slot with records, those that are being swept too.
    fn first_slot(&self) -> Option<Slot> {
        // Every slot of a level comes before every slot of the level above.
        let first = self.levels.iter().enumerate().find_map(|(number, level)| {
            let in_use = level.as_ref().map(|level| level.in_use).filter(|in_use| *in_use != 0)?;
            Some(Slot { level: number, number: in_use.trailing_zeros() as usize })
        });
        let swept = self.sweep.is_in_slot().then(|| self.sweep.slot());
        first.into_iter().chain(swept).min_by_key(|slot| (slot.level, slot.number))
    }

    /// Nothing is due before this tick.
    fn begins(&self) -> Option<u64> {
        if let Some(Reverse((deadline, _))) = self.early.peek() {
            return Some(*deadline);
        }
        if !self.cascade.is_empty() {
            return Some(self.elapsed);
        }
        self.first_slot().map(|slot| self.slot_start(slot))
    }

    fn slots(&self) -> impl Iterator<Item = (Slot, Bag)> {
        let levels = self.levels.iter().enumerate();
        let levels = levels.filter_map(|(number, level)| Some((number, level.as_ref()?)));
        levels.flat_map(|(level, held)| {
            held.bags.iter().enumerate().map(move |(number, bag)| (Slot { level, number }, *bag))
        })
    }

    /// The bags that are in no slot.
    fn loose_bags(&self) -> impl Iterator<Item = &Bag> {
        self.sweep.bags().chain([&self.cascade])
    }

    fn levels_held(&self) -> usize {
        self.levels.iter().take_while(|level| level.is_some()).count()
    }
}

/// The least that `early` grows by.
const EARLY_STEP: usize = 64;

/// Times before zero are as good as zero.
fn ticks(time_ms: i64) -> u64 {
    time_ms.max(0) as u64
}

/// What this many records on this many levels take at most: one line in each bag may be partly
/// used.
fn charge(levels: usize, records: usize) -> usize {
    let bags = levels * SLOTS + sweep::MAX_BAGS + 1;
    levels * LEVEL_BYTES + (records / LINE_RECORDS + bags).min(records) * LINE_BYTES
}

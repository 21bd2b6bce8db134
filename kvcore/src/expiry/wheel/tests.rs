#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, HashMap};

use super::*;

/// Steps of tidying after each change.
const TIDY_STEPS: usize = 32;

/// Entries that are nothing but a deadline, at places that are used again.
#[derive(Default)]
struct Deadlines {
    live: HashMap<u32, Option<i64>>,
    free: Vec<u32>,
    last: u32,
}

impl Timers for Deadlines {
    fn deadline(&self, id: EntryId) -> Option<i64> {
        self.live.get(&id.number()).copied().flatten()
    }
    fn prefetch(&self, _: EntryId) {}
}

impl Deadlines {
    fn place(&mut self, deadline: Option<i64>) -> EntryId {
        let number = self.free.pop().unwrap_or_else(|| {
            self.last += 1;
            self.last
        });
        self.live.insert(number, deadline);
        EntryId::new(number)
    }

    fn remove(&mut self, id: EntryId) -> i64 {
        self.free.push(id.number());
        self.live.remove(&id.number()).flatten().unwrap()
    }
}

/// A wheel with its entries, and the same in a sorted set.
struct Model {
    wheel: Wheel,
    timers: Deadlines,
    sorted: BTreeSet<(i64, u32)>,
}

impl Model {
    fn new(now: i64) -> Self {
        Model { wheel: Wheel::new(now), timers: Deadlines::default(), sorted: BTreeSet::new() }
    }

    fn add(&mut self, deadline: i64) -> EntryId {
        let id = self.timers.place(Some(deadline));
        let bound = self.wheel.bytes() + self.wheel.growth(deadline, deadline, 1);
        self.wheel.schedule(id, deadline);
        assert!(self.wheel.bytes() <= bound);
        self.sorted.insert((deadline, id.number()));
        self.tidy();
        id
    }

    fn remove(&mut self, id: EntryId) {
        let deadline = self.timers.remove(id);
        assert!(self.sorted.remove(&(deadline, id.number())));
        self.wheel.cancelled();
        self.tidy();
    }

    fn change(&mut self, id: EntryId, deadline: i64) {
        let old = self.timers.live.insert(id.number(), Some(deadline)).flatten().unwrap();
        let bound = self.wheel.bytes() + self.wheel.growth(deadline, deadline, 1);
        self.wheel.reschedule(id, old, deadline);
        assert!(self.wheel.bytes() <= bound);
        assert!(self.sorted.remove(&(old, id.number())));
        self.sorted.insert((deadline, id.number()));
        self.tidy();
    }

    /// Takes the deadline off an entry that stays.
    fn persist(&mut self, id: EntryId) {
        let old = self.timers.live.insert(id.number(), None).flatten().unwrap();
        assert!(self.sorted.remove(&(old, id.number())));
        self.wheel.cancelled();
        self.timers.live.remove(&id.number());
        self.tidy();
    }

    fn tidy(&mut self) {
        let before = self.wheel.bytes();
        self.wheel.tidy(TIDY_STEPS, &self.timers);
        assert!(self.wheel.bytes() <= before);
        let (records, live) = (self.wheel.records, self.wheel.live);
        assert!(records <= 2 * live + 64, "{records} records of {live} entries");
        assert_eq!(live, self.sorted.len());
        assert_eq!(live == 0, self.wheel.bytes() == 0);
    }

    fn drain(&mut self, now: i64, step: usize) -> Vec<i64> {
        let mut due = Vec::new();
        loop {
            let mut steps = step;
            loop {
                let before = self.wheel.bytes();
                let found = self.wheel.next_due(now, &mut steps, &[], &self.timers);
                assert!(self.wheel.bytes() <= before);
                match found {
                    Due::Entry(id) => {
                        let deadline = self.timers.remove(id);
                        assert!(self.sorted.remove(&(deadline, id.number())));
                        due.push(deadline);
                    }
                    Due::Unknown => {
                        assert_eq!(steps, 0);
                        break;
                    }
                    Due::Nothing => return due,
                }
            }
        }
    }

    fn check_earliest(&mut self, spared: Option<u32>) {
        let expected = self.sorted.iter().find(|(_, id)| Some(*id) != spared).map(|first| first.0);
        let found = self.wheel.earliest(&self.timers, |id| Some(id.number()) != spared);
        let found = found.map(|id| {
            assert_ne!(Some(id.number()), spared);
            self.timers.deadline(id).unwrap()
        });
        assert_eq!(found, expected);
    }

    fn any(&self, random: &mut fastrand::Rng) -> Option<EntryId> {
        let from = (0, random.u32(..self.timers.last.max(1)));
        let from = self.sorted.range((from.0 + self.pivot(random), from.1)..).next();
        from.or(self.sorted.first()).map(|(_, id)| EntryId::new(*id))
    }

    /// A time among the deadlines.
    fn pivot(&self, random: &mut fastrand::Rng) -> i64 {
        match (self.sorted.first(), self.sorted.last()) {
            (Some((first, _)), Some((last, _))) => random.i64(*first..=*last),
            _ => 0,
        }
    }
}

const START: i64 = 1_700_000_000_000;

/// Some thousand random calls. `reach`: deadlines are below `2^reach` ms away; `looks`: one call in
/// so many asks for the closest deadline, and evicts that entry half of the time.
fn storm(seed: u64, step: usize, reach: u32, looks: u32, size: usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut model = Model::new(START);
    let mut now = START;
    for round in 0..10_000 {
        let until = random.u32(0..reach);
        let deadline = now + random.i64(-5..1 << until);
        let any = model.any(&mut random);
        match (random.u32(..10), any) {
            (0..4, _) if model.sorted.len() < size => {
                model.add(deadline);
            }
            (4..7, Some(id)) => model.change(id, deadline),
            (7, Some(id)) if random.bool() => model.persist(id),
            (7 | 8, Some(id)) => model.remove(id),
            _ => {}
        }
        if looks != 0 && random.u32(..looks) == 0 {
            let spared = any.filter(|_| random.bool()).map(EntryId::number);
            model.check_earliest(spared.or(model.sorted.first().map(|first| first.1)));
            model.check_earliest(None);
            if random.bool()
                && let Some((_, id)) = model.sorted.first().copied()
            {
                model.remove(EntryId::new(id));
            }
        }
        if random.u32(..20) == 0 {
            let until = random.u32(0..reach - 2);
            now += random.i64(0..1 << until);
            let mut expected: Vec<i64> = model.sorted.iter().map(|entry| entry.0).collect();
            expected.retain(|deadline| *deadline <= now);
            assert_eq!(model.wheel.count_due(now, &model.timers), expected.len());
            let next = model.wheel.next_at_ms();
            assert!(expected.is_empty() || next.is_some_and(|at| at <= now), "{next:?}");
            assert_eq!(model.drain(now, step), expected);
            let next = model.wheel.next_at_ms();
            assert!(next.is_none_or(|at| at <= model.sorted.first().unwrap().0 && at > now));
            assert_eq!(next.is_none(), model.sorted.is_empty());
        }
        if round % 50 == 0 {
            model.wheel.validate(&model.timers);
        }
    }
    while let Some((_, id)) = model.sorted.first().copied() {
        model.remove(EntryId::new(id));
    }
    assert_eq!((model.wheel.len(), model.wheel.bytes()), (0, 0));
}

#[test]
fn comes_due_in_order_and_on_time() {
    for (seed, step) in [(1, 1), (2, 3), (3, 1000)] {
        storm(seed, step, 40, 0, 2000);
        storm(seed, step, 20, 0, 100);
        storm(seed, step, 12, 0, 5000);
    }
}

#[test]
fn the_closest_deadline_is_exact_and_time_goes_on() {
    for (seed, step) in [(1, 1), (2, 7), (3, 1000)] {
        storm(seed, step, 40, 3, 2000);
        storm(seed, step, 22, 1, 300);
        storm(seed, step, 12, 20, 5000);
        storm(seed, step, 8, 2, 20);
    }
}

#[test]
fn the_far_end_of_time() {
    let mut model = Model::new(0);
    model.add(i64::MAX - 1);
    model.add(i64::MAX);
    assert_eq!(model.drain(i64::MAX - 2, 10), [0; 0]);
    assert_eq!(model.drain(i64::MAX - 1, 10), [i64::MAX - 1]);
    assert_eq!(model.drain(i64::MAX, 10), [i64::MAX]);
}

#[test]
fn work_stops_when_the_steps_are_used_up() {
    let mut model = Model::new(0);
    for _ in 0..100 {
        model.add(100_000);
    }
    let mut steps = 10;
    assert_eq!(model.wheel.next_due(100_000, &mut steps, &[], &model.timers), Due::Unknown);
    assert_eq!(steps, 0);
    assert_eq!(model.wheel.count_due(100_000, &model.timers), 100);
    assert_eq!(model.wheel.count_due(99_999, &model.timers), 0);
    assert_eq!(model.drain(100_000, 7).len(), 100);
}

#[test]
fn an_entry_that_changes_a_million_times_stays_small() {
    let mut model = Model::new(START);
    let id = model.add(START + 1000);
    for turn in 0..1_000_000 {
        model.change(id, START + 1000 + turn % 7 * 100_000);
    }
    // Between the same two slots, so that every other record is valid.
    for turn in 0..100_000 {
        model.change(id, START + 1000 + turn % 2 * 100_000_000);
    }
    assert!(model.wheel.bytes() < 100 * 64 + 6 * LEVEL_BYTES, "{}", model.wheel.bytes());
    model.wheel.validate(&model.timers);
}

#[test]
fn many_entries_that_come_and_go_in_one_slot_stay_few_records() {
    for size in [1_usize, 10, 200, 3000, 20_000] {
        let mut model = Model::new(START);
        let mut ids: Vec<EntryId> = (0..size).map(|_| model.add(START + 3_600_000)).collect();
        for turn in 0..10 * size.max(2000) {
            let at = turn % size;
            // The place of the entry that goes is taken by the next one at once.
            if size > 1 || turn % 2 == 0 {
                model.remove(ids[at]);
                ids[at] = model.add(START + 3_600_000);
            } else {
                model.change(ids[at], START + 3_600_000 + turn as i64);
            }
        }
        model.wheel.validate(&model.timers);
        assert_eq!(model.drain(START + 4_000_000, 100).len(), size);
    }
}

#[test]
fn the_closest_deadline_costs_little_on_average() {
    use std::cell::Cell;
    struct Counted<'a>(&'a Deadlines, &'a Cell<usize>);
    impl Timers for Counted<'_> {
        fn deadline(&self, id: EntryId) -> Option<i64> {
            self.1.set(self.1.get() + 1);
            self.0.deadline(id)
        }
        fn prefetch(&self, _: EntryId) {}
    }
    // Every TTL is an hour; then they are half as long, so that new ones come before old ones.
    let (mut model, asked) = (Model::new(START), Cell::new(0));
    let mut now = START;
    for turn in 0..60_000_i64 {
        now += turn % 2;
        let ttl = if turn < 40_000 { 3_600_000 } else { 1_800_000 };
        model.add(now + ttl - turn * 7 % 10);
        if model.sorted.len() > 10_000 {
            let found = model.wheel.earliest(&Counted(&model.timers, &asked), |_| true).unwrap();
            assert_eq!(model.timers.deadline(found), model.sorted.first().map(|first| first.0));
            model.remove(found);
        }
    }
    assert!(asked.get() < 60_000 * 20, "{}", asked.get());
}

#[test]
fn many_timed_entries_cost_little_more_than_their_records() {
    let mut random = fastrand::Rng::with_seed(4);
    let mut wheel = Wheel::new(START);
    for id in 1..=150_000 {
        wheel.schedule(EntryId::new(id), START + random.i64(0..3_600_000));
    }
    let (levels, early) = (wheel.levels_held(), wheel.early.capacity());
    assert!(wheel.bytes() < 150_000 * 45 / 10, "{} {levels} {early}", wheel.bytes());
}

#[test]
fn early_entries_join_the_others_even_while_these_are_swept() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut model = Model::new(START);
    let mut went_back = 0;
    for turn in 0..40_000 {
        let deadline = START + 3_600_000 + random.i64(0..60_000);
        if model.sorted.len() < 4000 {
            model.add(deadline);
            continue;
        }
        let any = model.any(&mut random).unwrap();
        model.change(any, deadline);
        if turn % 16 == 0 {
            // All of these come before those above, which the wheel has gone on to.
            model.check_earliest(None);
            let first = EntryId::new(model.sorted.first().unwrap().1);
            model.remove(first);
            model.add(START + 3_500_000 - random.i64(0..5000));
        } else if random.u32(..400) == 0 {
            for _ in 0..500 {
                let before = (model.wheel.elapsed, model.wheel.sweep.is_in_slot());
                let any = model.any(&mut random).unwrap();
                model.change(any, START + 1_000_000 + random.i64(0..1000));
                went_back += u32::from(model.wheel.elapsed < before.0 && before.1);
            }
            assert!(model.wheel.early.len() <= model.wheel.records / 16 + SLOTS);
            model.wheel.validate(&model.timers);
            for _ in 0..500 {
                model.check_earliest(None);
                let first = EntryId::new(model.sorted.first().unwrap().1);
                model.remove(first);
            }
        }
        if turn % 100 == 0 {
            model.wheel.validate(&model.timers);
        }
    }
    assert!(went_back > 0);
}

const SOON: [u64; 3] = [100, 1000, 10_000];

#[test]
fn few_that_come_due_soon_are_counted_exactly() {
    for start in [0, 4000, 262_100, 1_700_000_000_000] {
        let mut model = Model::new(start);
        let ids: Vec<_> = (0..300).map(|n| model.add(start + n * 50)).collect();
        // Stale records, of entries that went, stay or come due later.
        ids.iter().step_by(7).for_each(|id| model.remove(*id));
        model.change(ids[1], start + 20_000);
        model.change(ids[2], start + 20_000);
        model.change(ids[2], start + 100);
        model.persist(ids[3]);
        for passed in [0, 1, 75, 5_000] {
            let now = start + passed;
            let exact = SOON.map(|soon| {
                let due = |(at, _): &&(i64, u32)| *at > now && *at <= now + soon as i64;
                model.sorted.iter().filter(due).count() as u64
            });
            assert_eq!(model.wheel.count_soon(now, SOON, &model.timers), exact);
            let mut steps = usize::MAX;
            while let Due::Entry(id) = model.wheel.next_due(now, &mut steps, &[], &model.timers) {
                let deadline = model.timers.remove(id);
                model.sorted.remove(&(deadline, id.number()));
            }
        }
    }
}

#[test]
fn many_that_come_due_soon_are_estimated() {
    let start = 1_700_000_000_000;
    let mut model = Model::new(start);
    let ids: Vec<_> = (0..100_000).map(|n| model.add(start + n % 20_000)).collect();
    let close = |told: [u64; 3], all: f64| {
        for (told, soon) in told.into_iter().zip(SOON) {
            let exact = all * soon as f64 / 20_000.0;
            assert!((told as f64 - exact).abs() < exact * 0.05 + 50.0, "{told} for {exact}");
        }
    };
    close(model.wheel.count_soon(start, SOON, &model.timers), 100_000.0);
    // A third of the records is stale.
    ids.iter().step_by(3).for_each(|id| model.remove(*id));
    close(model.wheel.count_soon(start, SOON, &model.timers), 66_666.0);
}

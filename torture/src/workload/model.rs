//! Whether what was found after a crash is what one prefix of the one order has.
//!
//! Each thread's history is there up to a point, the cut, which the state of the thread's own keys
//! tells: they must be exactly what a `BTreeMap` says, to the byte, the deadline and the version. The
//! cuts of all threads must be one cut of one order: nothing is there that began after something had
//! returned that is not. Keys that all threads change must be what the last of them made before
//! the cut, and a sum must be the number of additions before it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::dump::{Dump, Held};
use super::ledger::{Answer, Notes, Outcome};
use super::ops::{self, Op, Place, Script};

/// How far the wall clock and the store's may be apart, in milliseconds.
const CLOCK_TOLERANCE_MS: i64 = 100;

/// What must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Everything that was acknowledged.
    Acknowledged,
    /// What a sync or a snapshot made durable that had returned.
    Synced,
}

/// How it was.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verdict {
    /// Operations that were acknowledged.
    pub acknowledged: u64,
    /// Of these, how many are not there, none of which had to be.
    pub lost: u64,
    /// When the oldest of them was acknowledged, by the clock of the ledger.
    pub oldest_lost_ns: Option<u64>,
}

/// What a directory held when its present life began.
pub struct Model {
    base: Dump,
    seed: u64,
    life: u64,
    life_ms: i64,
    /// The highest revision that anybody was ever told.
    highest: u64,
}

/// When an entry goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Never,
    At(i64),
    /// It has a deadline that nobody saw.
    Unseen,
}

/// What an entry must be.
#[derive(Debug, Clone)]
struct Cell {
    value: Vec<u8>,
    due: Due,
    version: Option<u64>,
}

type State = BTreeMap<Vec<u8>, Cell>;

/// One thread's part in a life: what it did, and how much of it may be there.
struct Part<'a> {
    thread: usize,
    ops: Vec<Op>,
    notes: &'a Notes,
    /// How many of its operations are there.
    there: RangeInclusive<u64>,
}

impl Model {
    /// A directory that does not exist yet.
    pub fn new(seed: u64) -> Model {
        Model { base: Dump::default(), seed, life: 0, life_ms: 0, highest: 0 }
    }

    /// The next life, which begins with what was found.
    pub fn begin(&mut self, base: Dump, life: u64, life_ms: i64) {
        let found = base.entries.values().map(|held| held.version).max().unwrap_or(0);
        self.highest = self.highest.max(found).max(base.last_revision);
        (self.base, self.life, self.life_ms) = (base, life, life_ms);
    }

    /// Notes what revisions were given out, and whether one was so before.
    ///
    /// # Errors
    /// A sentence about the violation.
    pub fn see_revisions(&mut self, notes: &[Notes]) -> Result<(), String> {
        let all = || notes.iter().flat_map(|notes| &notes.answers).map(|answer| answer.revision);
        let lowest = all().filter(|revision| *revision > 0).min();
        if let Some(lowest) = lowest.filter(|lowest| *lowest <= self.highest) {
            return Err(format!("revision {lowest} was given out again; {} was", self.highest));
        }
        self.highest = self.highest.max(all().max().unwrap_or(0));
        Ok(())
    }

    /// Compares what was found with what may be there after this life.
    ///
    /// # Errors
    /// A sentence about the violation.
    pub fn check(&self, notes: &[Notes], found: &Dump, bound: Bound) -> Result<Verdict, String> {
        if found.last_revision < self.base.last_revision {
            return Err(format!(
                "revision {} was recovered before, and now only {}",
                self.base.last_revision, found.last_revision
            ));
        }
        let mut parts = Vec::new();
        for (thread, notes) in notes.iter().enumerate() {
            parts.push(self.place_part(thread, notes, found, bound)?);
        }
        check_one_cut(&parts)?;
        self.check_shared(&parts, found)?;
        self.check_sums(&parts, found)?;
        check_strangers(found)?;
        let mut verdict = Verdict::default();
        for part in &parts {
            let done = |answer: &&Answer| answer.outcome == Outcome::Done;
            verdict.acknowledged += part.notes.answers.iter().filter(done).count() as u64;
            let lost = part.notes.answers.iter().skip(*part.there.end() as usize).filter(done);
            verdict.lost += lost.clone().count() as u64;
            let oldest = lost.map(|answer| answer.at_ns).min();
            verdict.oldest_lost_ns = [verdict.oldest_lost_ns, oldest].into_iter().flatten().min();
        }
        Ok(verdict)
    }

    /// Finds how many of a thread's operations are there.
    fn place_part<'a>(
        &self,
        thread: usize,
        notes: &'a Notes,
        found: &Dump,
        bound: Bound,
    ) -> Result<Part<'a>, String> {
        let ops: Vec<Op> = Script::new(self.seed, self.life, thread, self.life_ms)
            .take(notes.issued as usize)
            .collect();
        let (least, most) = window(thread, notes, found.last_revision, bound)?;
        let prefix = format!("t{thread}/").into_bytes();
        let mut state = own_state(&self.base, &prefix);
        for (number, op) in ops.iter().enumerate().take(least as usize) {
            self.apply(&mut state, op, thread, number as u64, notes);
        }
        let (mut there, mut first_difference) = (None, None);
        for count in least..=most {
            match compare(&state, found, &prefix) {
                Ok(()) => {
                    let start =
                        there.as_ref().map_or(count, |there: &RangeInclusive<u64>| *there.start());
                    there = Some(start..=count);
                }
                Err(difference) => drop(first_difference.get_or_insert(difference)),
            }
            if let Some(op) = ops.get(count as usize) {
                self.apply(&mut state, op, thread, count, notes);
            }
        }
        let Some(there) = there else {
            return Err(format!(
                "thread {thread}: no state after {least} to {most} of its operations is there: {}",
                first_difference.unwrap_or_default()
            ));
        };
        Ok(Part { thread, ops, notes, there })
    }

    /// Does to a state what an operation does to the keys of its thread.
    fn apply(&self, state: &mut State, op: &Op, thread: usize, number: u64, notes: &Notes) {
        let answer = notes.answers.get(number as usize);
        if answer.is_some_and(|answer| answer.outcome == Outcome::Refused) {
            return;
        }
        let place = Place { life: self.life, thread, number };
        let version = answer.map(|answer| answer.revision).filter(|revision| *revision > 0);
        let mut set = |key: Vec<u8>, value: Vec<u8>, due, version| {
            state.insert(key, Cell { value, due, version });
        };
        match op {
            Op::Set(key, len) => {
                set(ops::own_key(thread, *key), ops::value(place, *len), Due::Never, version);
            }
            Op::SetAt(key, at) => {
                set(ops::brief_key(thread, *key), ops::value(place, 25), Due::At(*at), version);
            }
            Op::SetAfter(key, _) => {
                let due = match answer.map_or(0, |answer| answer.deadline_ms) {
                    0 => Due::Unseen,
                    at => Due::At(at),
                };
                set(ops::brief_key(thread, *key), ops::value(place, 25), due, version);
            }
            Op::Batch(keys) => {
                for key in keys {
                    set(ops::own_key(thread, *key), ops::value(place, 30), Due::Never, None);
                }
            }
            Op::Append(key, len) => {
                let cell = state.entry(ops::own_key(thread, *key)).or_insert_with(Cell::empty);
                cell.value.extend(ops::value(place, *len));
                cell.version = version;
            }
            Op::Incr(key) => {
                let cell = state.entry(ops::count_key(thread, *key)).or_insert_with(Cell::empty);
                let count = number_in(&cell.value).unwrap_or(0);
                cell.value = (count + 1).to_string().into_bytes();
                cell.version = version;
            }
            Op::Del(key) | Op::Take(key) => drop(state.remove(&ops::own_key(thread, *key))),
            Op::ExpireAt(key, at) => set_due(state, &ops::own_key(thread, *key), Due::At(*at)),
            Op::Persist(key) => set_due(state, &ops::own_key(thread, *key), Due::Never),
            Op::Hot(..) | Op::Group | Op::Sum(_) => {}
        }
    }

    /// Keys that all threads set: each is what the last change before the cut made it.
    fn check_shared(&self, parts: &[Part<'_>], found: &Dump) -> Result<(), String> {
        for number in 0..ops::HOT {
            let writes = |op: &Op| matches!(op, Op::Hot(hot, _) if *hot == number);
            self.check_key(parts, found, &ops::hot_key(number), &writes)?;
        }
        let values: Vec<Option<&Held>> =
            (0..ops::GROUP).map(|number| found.entries.get(&ops::group_key(number))).collect();
        if values
            .windows(2)
            .any(|two| two[0].map(|held| &held.value) != two[1].map(|held| &held.value))
        {
            return Err("a batch is there in part: the keys of the group differ".to_owned());
        }
        self.check_key(parts, found, &ops::group_key(0), &|op: &Op| *op == Op::Group)
    }

    /// One key that all threads set.
    fn check_key(
        &self,
        parts: &[Part<'_>],
        found: &Dump,
        key: &[u8],
        writes: &dyn Fn(&Op) -> bool,
    ) -> Result<(), String> {
        let name = String::from_utf8_lossy(key);
        let held = found.entries.get(key);
        let before = self.base.entries.get(key);
        let writer = held.and_then(|held| ops::writer_of(&held.value));
        let ours = writer.filter(|place| place.life == self.life);
        if ours.is_none() && held != before {
            return Err(format!("{name} is neither what it was nor what this life made of it"));
        }
        if let (Some(place), Some(held)) = (ours, held) {
            let part = parts.get(place.thread).ok_or("a value names a thread that is none")?;
            let op = part.ops.get(place.number as usize).filter(|op| writes(op));
            let (Some(op), true) = (op, place.number < *part.there.end()) else {
                return Err(format!("{name} has a value that was not written before the cut"));
            };
            let len = if let Op::Hot(_, len) = op { *len } else { 20 };
            if held.value != ops::value(place, len) {
                return Err(format!("{name} has a value that differs from what was written"));
            }
        }
        for part in parts {
            let sure = part.ops.iter().enumerate().take(*part.there.start() as usize);
            for (number, _) in sure.filter(|(_, op)| writes(op)) {
                let Some(answer) = part.notes.answers.get(number) else { continue };
                if answer.outcome != Outcome::Done {
                    continue;
                }
                let Some((place, held)) = ours.zip(held) else {
                    return Err(format!("{name} shows nothing of what this life wrote"));
                };
                let later_in_thread =
                    place.thread == part.thread && (place.number as usize) < number;
                if later_in_thread || answer.revision > held.version {
                    return Err(format!(
                        "{name} has version {}, but thread {} wrote version {} before the cut",
                        held.version, part.thread, answer.revision
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_sums(&self, parts: &[Part<'_>], found: &Dump) -> Result<(), String> {
        for number in 0..ops::SUMS {
            let key = ops::sum_key(number);
            let value = |dump: &Dump| match dump.entries.get(&key) {
                None => Some(0),
                Some(held) => number_in(&held.value),
            };
            let adds = |end: fn(&RangeInclusive<u64>) -> &u64| -> u64 {
                parts.iter().map(|part| part.additions(number, *end(&part.there))).sum()
            };
            let (least, most) = (adds(RangeInclusive::start), adds(RangeInclusive::end));
            let before = value(&self.base).ok_or("a sum is no number")?;
            let now = value(found).ok_or("a sum is no number")?;
            if !(before + least..=before + most).contains(&now) {
                return Err(format!(
                    "a sum is {now}, and {before} with {least} to {most} additions before the cut"
                ));
            }
        }
        Ok(())
    }
}

impl Part<'_> {
    /// Additions to a sum among the first operations.
    fn additions(&self, sum: u8, end: u64) -> u64 {
        let is_done = |number: usize| {
            let answer = self.notes.answers.get(number);
            answer.is_none_or(|answer| answer.outcome != Outcome::Refused)
        };
        let ops = self.ops.iter().enumerate().take(end as usize);
        ops.filter(|(number, op)| **op == Op::Sum(sum) && is_done(*number)).count() as u64
    }
}

impl Cell {
    fn empty() -> Cell {
        Cell { value: Vec::new(), due: Due::Never, version: None }
    }
}

/// How many of a thread's operations may be there, by what the thread was told.
fn window(
    thread: usize,
    notes: &Notes,
    last_revision: u64,
    bound: Bound,
) -> Result<(u64, u64), String> {
    let is_done = |answer: &Answer| answer.outcome == Outcome::Done;
    let acknowledged = notes.answers.iter().rposition(is_done).map_or(0, |at| at as u64 + 1);
    let least = match bound {
        Bound::Acknowledged => acknowledged,
        Bound::Synced => notes.floor,
    };
    let mut most = notes.issued;
    for (number, answer) in notes.answers.iter().enumerate() {
        if !is_done(answer) || answer.revision == 0 {
            continue;
        }
        // That a lower one must be there does not follow: a thread may have taken it, and not yet have
        // entered its record into the log, while changes of other shards went ahead.
        if answer.revision > last_revision {
            most = most.min(number as u64);
        }
    }
    if least > most {
        return Err(format!(
            "thread {thread}: the first {least} operations must be there, and from {most} on they are \
             over revision {last_revision}"
        ));
    }
    Ok((least, most))
}

/// Nothing is there that began after something had returned that is not there.
fn check_one_cut(parts: &[Part<'_>]) -> Result<(), String> {
    let done = |answer: &&Answer| answer.outcome == Outcome::Done;
    let last_begun = parts.iter().flat_map(|part| {
        let sure = *part.there.start() as usize;
        part.notes.answers.iter().take(sure).map(|answer| answer.began_ns)
    });
    let missing = parts.iter().flat_map(|part| {
        let from = *part.there.end() as usize;
        part.notes.answers.iter().skip(from).filter(done).map(|answer| answer.at_ns)
    });
    match (last_begun.max(), missing.min()) {
        (Some(begun), Some(returned)) if returned < begun => Err(format!(
            "what is there is no prefix: a write is missing that had returned {} us before \
             another one began that is there",
            (begun - returned) / 1000
        )),
        _ => Ok(()),
    }
}

/// What a thread's own keys were.
fn own_state(base: &Dump, prefix: &[u8]) -> State {
    let own = base.entries.iter().filter(|(key, _)| key.starts_with(prefix));
    own.map(|(key, held)| {
        let due = held.deadline_ms.map_or(Due::Never, Due::At);
        (key.clone(), Cell { value: held.value.clone(), due, version: Some(held.version) })
    })
    .collect()
}

fn set_due(state: &mut State, key: &[u8], due: Due) {
    if let Some(cell) = state.get_mut(key) {
        // It may have taken a revision, which nobody was told.
        (cell.due, cell.version) = (due, None);
    }
}

fn number_in(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Compares a thread's own keys with what was found of them.
fn compare(state: &State, found: &Dump, prefix: &[u8]) -> Result<(), String> {
    let name = |key: &[u8]| String::from_utf8_lossy(&key[..key.len().min(20)]).into_owned();
    for (key, _) in found.entries.iter().filter(|(key, _)| key.starts_with(prefix)) {
        if !state.contains_key(key) {
            return Err(format!("{} is there and should not be", name(key)));
        }
    }
    for (key, cell) in state {
        let gone = match cell.due {
            Due::Never => false,
            Due::At(at) => at <= found.after_ms + CLOCK_TOLERANCE_MS,
            Due::Unseen => true,
        };
        let Some(held) = found.entries.get(key) else {
            if gone {
                continue;
            }
            return Err(format!("{} is missing", name(key)));
        };
        let expired = match cell.due {
            Due::At(at) => at < found.before_ms - CLOCK_TOLERANCE_MS,
            Due::Never | Due::Unseen => false,
        };
        let same_deadline = match cell.due {
            Due::Never => held.deadline_ms.is_none(),
            Due::At(at) => held.deadline_ms == Some(at),
            Due::Unseen => held.deadline_ms.is_some(),
        };
        let same_version = cell.version.is_none_or(|version| version == held.version);
        if expired || held.value != cell.value || !same_deadline || !same_version {
            return Err(format!(
                "{}: {} bytes by {:?}, deadline {:?}, version {}; expected {} bytes by {:?}, {:?}, {:?}",
                name(key),
                held.value.len(),
                ops::writer_of(&held.value),
                held.deadline_ms,
                held.version,
                cell.value.len(),
                ops::writer_of(&cell.value),
                cell.due,
                cell.version
            ));
        }
    }
    Ok(())
}

/// Nobody wrote any other key, and no version is beyond the last.
fn check_strangers(found: &Dump) -> Result<(), String> {
    for (key, held) in &found.entries {
        let kinds = [b"t".as_slice(), b"hot/", b"group/", b"sum/"];
        if !kinds.iter().any(|prefix| key.starts_with(prefix)) {
            return Err(format!("nobody wrote the key {}", String::from_utf8_lossy(key)));
        }
        if held.version > found.last_revision {
            return Err(format!(
                "version {} is over the last, {}",
                held.version, found.last_revision
            ));
        }
    }
    Ok(())
}

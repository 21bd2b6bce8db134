//! What is in one file of the simulated disk: what can be read now, what a crash cannot take, and
//! every state of a sector in between.
//!
//! Invariants: a sector survives whole, in one of the states it had since the last sync; sectors and
//! the length survive independently of each other; after a failed sync nothing is left to sync,
//! although what was not written can still be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;

use super::Odds;

/// The bytes that survive together or not at all.
pub(super) const SECTOR: u64 = 512;

/// The states of one sector that are kept while it waits for a sync.
const STATES: usize = 8;

/// The bytes of a sector. Shared until it is written again.
pub(super) type Sector = Arc<[u8; SECTOR as usize]>;

/// How far a file reaches.
#[derive(Clone, Copy, Default, PartialEq)]
struct Shape {
    /// In bytes.
    len: u64,
    /// Sectors, from the first on, that have room on the disk, written or not.
    allocated: u64,
}

/// A change and the moment of it.
#[derive(Clone)]
struct Stamped<T> {
    at: u64,
    to: T,
}

/// One file.
#[derive(Clone, Default)]
pub(super) struct Content {
    now: BTreeMap<u64, Sector>,
    shape: Shape,
    durable: BTreeMap<u64, Sector>,
    durable_shape: Shape,
    /// By sector, oldest first; `None` is a sector that was cut off.
    unsynced: BTreeMap<u64, Vec<Stamped<Option<Sector>>>>,
    unsynced_shapes: Vec<Stamped<Shape>>,
    /// Sectors in `now` beyond those that are allocated.
    extra: u64,
    changes: u64,
    syncing: u32,
}

impl Content {
    /// A file that survives with these bytes.
    pub(super) fn of(bytes: &[u8]) -> Content {
        let mut content = Content::default();
        content.write(0, bytes);
        content.settle();
        content
    }

    pub(super) fn len(&self) -> u64 {
        self.shape.len
    }

    /// Bytes of the disk that it takes.
    pub(super) fn used(&self) -> u64 {
        (self.shape.allocated + self.extra) * SECTOR
    }

    /// Reads to the end of the buffer or of the file, and says how much.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let left = usize::try_from(self.shape.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = left.min(buffer.len());
        for (sector, within, place) in pieces(offset, len) {
            match self.now.get(&sector) {
                Some(bytes) => buffer[place].copy_from_slice(&bytes[within]),
                None => buffer[place].fill(0),
            }
        }
        len
    }

    /// How many of the bytes can be written with room for so many more sectors.
    pub(super) fn fits(&self, offset: u64, len: usize, mut room: u64) -> usize {
        for (sector, _, place) in pieces(offset, len) {
            if sector >= self.shape.allocated && !self.now.contains_key(&sector) {
                if room == 0 {
                    return place.start;
                }
                room -= 1;
            }
        }
        len
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        for (sector, within, place) in pieces(offset, bytes.len()) {
            let mut now = self.now.get(&sector).cloned().unwrap_or_else(zeros);
            Arc::make_mut(&mut now)[within].copy_from_slice(&bytes[place]);
            self.change(sector, Some(now));
        }
        let end = offset + bytes.len() as u64;
        if end > self.shape.len && !bytes.is_empty() {
            self.reshape(Shape { len: end, ..self.shape });
        }
    }

    /// The sectors that room must be found for if the file is to have so many bytes.
    pub(super) fn wants(&self, len: u64) -> u64 {
        let after = len.div_ceil(SECTOR);
        let more = after.saturating_sub(self.shape.allocated);
        let had = if more == 0 { 0 } else { self.now.range(self.shape.allocated..after).count() };
        more - had as u64
    }

    pub(super) fn allocate(&mut self, len: u64) {
        let allocated = self.shape.allocated.max(len.div_ceil(SECTOR));
        self.reshape(Shape { len: self.shape.len.max(len), allocated });
        self.count();
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let end = len.div_ceil(SECTOR);
        let cut: Vec<u64> = self.now.range(end..).map(|(&sector, _)| sector).collect();
        for sector in cut {
            self.change(sector, None);
        }
        if let Some(last) = self.now.get(&(len / SECTOR)).filter(|_| len < self.shape.len) {
            let mut last = Arc::clone(last);
            Arc::make_mut(&mut last)[(len % SECTOR) as usize..].fill(0);
            self.change(len / SECTOR, Some(last));
        }
        self.reshape(Shape { len, allocated: self.shape.allocated.min(end) });
        self.count();
    }

    /// Begins a sync, which covers what was changed until now.
    pub(super) fn begin_sync(&mut self) -> u64 {
        self.syncing += 1;
        self.changes
    }

    /// Ends the sync that began at `from`: all that it covers survives from now on or, if it failed,
    /// any part of that, and nothing will be written again.
    pub(super) fn end_sync(&mut self, from: u64, failed: bool, random: &mut Rng) {
        self.syncing = self.syncing.saturating_sub(1);
        let durable = &mut self.durable;
        self.unsynced.retain(|&sector, states| {
            let covered = states.partition_point(|state| state.at <= from);
            if let Some(last) = states.drain(..covered).next_back()
                && (!failed || random.bool())
            {
                put(durable, sector, last.to);
            }
            !states.is_empty()
        });
        let covered = self.unsynced_shapes.partition_point(|shape| shape.at <= from);
        if let Some(last) = self.unsynced_shapes.drain(..covered).next_back()
            && (!failed || random.bool())
        {
            self.durable_shape = last.to;
        }
    }

    /// All that is there survives from now on.
    pub(super) fn settle(&mut self) {
        let now = self.begin_sync();
        self.end_sync(now, false, &mut Rng::with_seed(0));
    }

    /// The power fails. Sectors that a write added, and whose contents did not survive, may show
    /// what was on the disk before: some of `stale`.
    pub(super) fn crash(&mut self, odds: Odds, stale: &[Sector], random: &mut Rng) {
        let len_before = self.durable_shape.len;
        if let Some(shape) = odds.pick(&self.unsynced_shapes, random) {
            self.durable_shape = shape.to;
        }
        let shape = self.durable_shape;
        for (sector, states) in std::mem::take(&mut self.unsynced) {
            if let Some(state) = odds.pick(&states, random) {
                put(&mut self.durable, sector, state.to.clone());
            } else if sector >= len_before.div_ceil(SECTOR)
                && sector >= shape.allocated
                && !stale.is_empty()
                && random.bool()
            {
                self.durable.insert(sector, Arc::clone(&stale[random.usize(..stale.len())]));
            }
        }
        self.durable.split_off(&shape.len.div_ceil(SECTOR));
        if let Some(last) = self.durable.get_mut(&(shape.len / SECTOR)) {
            Arc::make_mut(last)[(shape.len % SECTOR) as usize..].fill(0);
        }
        self.now = self.durable.clone();
        self.shape = shape;
        self.unsynced_shapes.clear();
        self.syncing = 0;
        self.count();
    }

    /// The sectors that the disk has of it.
    pub(super) fn sectors(&self) -> impl Iterator<Item = &Sector> {
        self.now.values()
    }

    fn change(&mut self, sector: u64, to: Option<Sector>) {
        let had = self.now.contains_key(&sector);
        if sector >= self.shape.allocated {
            self.extra = self.extra + u64::from(to.is_some()) - u64::from(had);
        }
        put(&mut self.now, sector, to.clone());
        self.changes += 1;
        let states = self.unsynced.entry(sector).or_default();
        note(states, Stamped { at: self.changes, to }, self.syncing);
    }

    fn reshape(&mut self, to: Shape) {
        if to != self.shape {
            self.shape = to;
            self.changes += 1;
            note(&mut self.unsynced_shapes, Stamped { at: self.changes, to }, self.syncing);
        }
    }

    fn count(&mut self) {
        self.extra = self.now.range(self.shape.allocated..).count() as u64;
    }
}

/// Notes one more state and, if no sync needs them, forgets one of those between if there are many.
fn note<T>(states: &mut Vec<Stamped<T>>, state: Stamped<T>, syncing: u32) {
    if states.len() >= STATES && syncing == 0 {
        states.remove(state.at as usize % states.len());
    }
    states.push(state);
}

impl Odds {
    /// The state that survives, if any does.
    fn pick<'a, T>(&self, states: &'a [Stamped<T>], random: &mut Rng) -> Option<&'a Stamped<T>> {
        if !self.survives(random) {
            return None;
        }
        // Mostly the last one: the system writes out what it has at that time.
        let last = states.len().checked_sub(1)?;
        states.get(if self.certain() || random.u8(..4) > 0 { last } else { random.usize(..=last) })
    }
}

fn put(sectors: &mut BTreeMap<u64, Sector>, sector: u64, to: Option<Sector>) {
    match to {
        Some(bytes) => sectors.insert(sector, bytes),
        None => sectors.remove(&sector),
    };
}

fn zeros() -> Sector {
    Arc::new([0; SECTOR as usize])
}

/// Cuts bytes at an offset into sectors: the sector, where in it, and where in the bytes.
fn pieces(
    offset: u64,
    len: usize,
) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let start = (at % SECTOR) as usize;
        let count = (len - done).min(SECTOR as usize - start);
        done += count;
        (count > 0).then_some((at / SECTOR, start..start + count, done - count..done))
    })
}

//! One life of a store after the other, and the states that the next one may find.

use kvcore::simulation::{SimDisk, Survivors, open};
use kvcore::{Clock, ManualClock, Options, Result, Status, Store};

use crate::script::{self, Op, State};

pub const START_MS: u64 = 1_700_000_000_000;
pub const PLACE: &str = "/data/store";

/// A disk, a clock, and what a store there may hold.
pub struct World {
    pub disk: SimDisk,
    pub hand: ManualClock,
    pub clock: Clock,
    pub options: Options,
    /// The states after each operation since the last that is known to be safe, which is the first.
    pub states: Vec<State>,
    pub step: usize,
    /// Whether acknowledged means safe from a crash of the machine.
    pub always: bool,
    /// The highest revision that was ever given out.
    pub revision: u64,
    /// Which of the states the system had at the least when the process died. A power cut before they
    /// are recovered may take it back.
    pub handed: usize,
}

impl World {
    pub fn new(seed: u64, options: &[(&str, &str)]) -> World {
        let (clock, hand) = Clock::manual(START_MS);
        let always = options.contains(&("sync", "always"));
        let options = [("wal_segment_bytes", "64KiB"), ("shards", "2")]
            .iter()
            .chain(options)
            .fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
        let disk = SimDisk::new(seed);
        let states = vec![State::new()];
        World { disk, hand, clock, options, states, step: 0, always, revision: 0, handed: 0 }
    }

    pub fn open(&self) -> Result<Store> {
        self.open_on(&self.disk)
    }

    /// Opens what is on another disk, with the same options.
    pub fn open_on(&self, disk: &SimDisk) -> Result<Store> {
        open(disk, PLACE, self.options.clone(), self.clock.clone())
    }

    /// A world of its own in the same state. Its clock is the same.
    pub fn copy(&self, seed: u64) -> World {
        World {
            disk: self.disk.duplicate(seed),
            hand: self.hand.clone(),
            clock: self.clock.clone(),
            options: self.options.clone(),
            states: self.states.clone(),
            ..*self
        }
    }

    /// All that was done is safe.
    pub fn only_last(&mut self) {
        self.states.drain(..self.states.len() - 1);
    }

    /// The process dies, and the machine lives: nothing acknowledged is lost. `broken`: the last
    /// operation may or may not have happened.
    pub fn die(&mut self, broken: bool) {
        let kept = if broken { 2 } else { 1 };
        self.handed = self.states.len().saturating_sub(kept);
        self.disk.kill();
    }

    /// The machine dies.
    pub fn lose_power(&mut self, survivors: Survivors) {
        self.handed = 0;
        self.disk.crash_with(survivors);
    }

    /// Runs operations until one fails. Says with what, if one did.
    pub fn run(&mut self, store: &Store, ops: &[Op]) -> Option<Status> {
        ops.iter().find_map(|op| self.run_one(store, op).err())
    }

    /// Runs one operation, and notes what the next life may find.
    pub fn run_one(&mut self, store: &Store, op: &Op) -> Result<(), Status> {
        self.step += 1;
        if let Op::Advance(ms) = op {
            self.hand.advance_ms(*ms);
        }
        let done = script::run(store, op, self.step).map_err(|error| error.status());
        self.revision = store.stats().unwrap().revision.max(self.revision);
        let mut next = self.states.last().unwrap().clone();
        script::apply(&mut next, op, self.step, self.hand.now_ms());
        match done {
            Ok(()) => {
                // After a sync nothing before it can be the state any more. Time makes nothing safe.
                let safe = match op {
                    Op::Sync | Op::Snapshot => true,
                    Op::Advance(_) => false,
                    _ => self.always,
                };
                if safe {
                    self.states.clear();
                }
                self.states.push(next);
            }
            Err(status) if script::is_unknown(status) => self.states.push(next),
            Err(_) => {}
        }
        done
    }

    /// Opens the store again after a crash, and checks what it holds.
    pub fn reopen(&mut self, what: &str) -> Store {
        self.try_reopen(what).unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// As [`reopen`](World::reopen), where the disk may still fail.
    pub fn try_reopen(&mut self, what: &str) -> Result<Store> {
        let store = self.open()?;
        store.validate();
        let revision = store.stats().unwrap().revision;
        assert!(revision >= self.revision, "{what}: revision {revision} after {}", self.revision);
        let held = script::contents(&store);
        let now = self.hand.now_ms();
        let states = &self.states[self.handed..];
        let allowed = states.iter().any(|state| {
            let live = state.iter().filter(|(_, (_, deadline))| deadline.is_none_or(|at| at > now));
            live.eq(held.iter())
        });
        assert!(
            allowed,
            "{what}: found {}, and {} states may be, the last {}; {:?}",
            script::describe(&held),
            states.len(),
            script::describe(self.states.last().unwrap()),
            store.recovery().unwrap(),
        );
        (self.states, self.handed) = (vec![held], 0);
        Ok(store)
    }
}

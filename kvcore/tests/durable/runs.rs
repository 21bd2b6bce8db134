//! One life of a store after the other, and the states that the next one may find.

use kvcore::simulation::{SimDisk, open};
use kvcore::{Clock, ManualClock, Options, Result, Status, Store};

use crate::script::{self, Op, State};

pub const START_MS: u64 = 1_700_000_000_000;
const PLACE: &str = "/data/store";

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
        World { disk, hand, clock, options, states: vec![State::new()], step: 0, always }
    }

    pub fn open(&self) -> Result<Store> {
        open(&self.disk, PLACE, self.options.clone(), self.clock.clone())
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
        let mut next = self.states.last().unwrap().clone();
        script::apply(&mut next, op, self.step, self.hand.now_ms());
        match done {
            Ok(()) => {
                // After a sync nothing before it can be the state any more.
                let safe = self.always || matches!(op, Op::Sync | Op::Snapshot);
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
        let store = self.open().unwrap_or_else(|error| panic!("{what}: {error}"));
        store.validate();
        let held = script::contents(&store);
        let now = self.hand.now_ms();
        let allowed = self.states.iter().any(|state| {
            let live = state.iter().filter(|(_, (_, deadline))| deadline.is_none_or(|at| at > now));
            live.eq(held.iter())
        });
        assert!(
            allowed,
            "{what}: {} keys are none of {} states, the last with {}; {:?}",
            held.len(),
            self.states.len(),
            self.states.last().unwrap().len(),
            store.recovery().unwrap(),
        );
        self.states = vec![held];
        store
    }
}

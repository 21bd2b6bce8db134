//! The power fails while a store recovers from a crash, and again while it recovers from that: the end is
//! always the same.

use kvcore::simulation::SimDisk;

use super::MODES;
use crate::runs::World;
use crate::script::{State, contents, script};

/// How often recovery is cut short before it may finish.
const DEPTH: u32 = 3;

/// Makes one crash, and cuts its recovery at every call; each of those again at every call if `whole`, or
/// at some; and each of those at one call. Returns how many recoveries were cut.
pub fn run(seed: u64, whole: bool) -> u64 {
    let mut random = fastrand::Rng::with_seed(seed);
    let mode = MODES[(seed % 4) as usize];
    let mut world = World::new(seed, mode);
    world.disk.cut_power_after(random.u64(40..160));
    if let Ok(store) = world.open() {
        world.run(&store, &script(seed, 30));
    }
    world.disk.crash();
    let what = format!("{mode:?}, seed {seed}");
    let first = Crashed { world: &world, what: &what, whole };
    let state = first.open_copy(&world.disk).unwrap_or_else(|| panic!("{what}: does not open"));
    first.cut_all(&world.disk, &state, DEPTH, &mut random)
}

struct Crashed<'a> {
    world: &'a World,
    what: &'a str,
    whole: bool,
}

impl Crashed<'_> {
    /// What a store finds on a copy of a disk. `None` if the power failed before it was open.
    fn open_copy(&self, disk: &SimDisk) -> Option<State> {
        let store = self.world.open_on(disk).ok()?;
        store.validate();
        Some(contents(&store))
    }

    fn cut_all(
        &self,
        disk: &SimDisk,
        state: &State,
        depth: u32,
        random: &mut fastrand::Rng,
    ) -> u64 {
        let mut cuts = 0;
        let step = |random: &mut fastrand::Rng| match (depth, self.whole) {
            (DEPTH, _) | (2, true) => 1,
            (1, _) => random.u64(20..60),
            _ => random.u64(1..20),
        };
        let mut calls = 0;
        loop {
            let copy = disk.duplicate(random.u64(..));
            copy.cut_power_after(calls);
            let open = self.open_copy(&copy).is_some();
            cuts += 1;
            copy.crash();
            let found = self.open_copy(&copy.duplicate(random.u64(..)));
            let what = self.what;
            assert_eq!(
                found.as_ref(),
                Some(state),
                "{what}: cut after {calls} calls, {depth} more to come"
            );
            if open {
                return cuts;
            }
            if depth > 1 {
                cuts += self.cut_all(&copy, state, depth - 1, random);
            }
            calls += step(random);
        }
    }
}

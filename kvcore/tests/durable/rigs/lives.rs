//! Several lives of a store, one after the other. How each of them ends, its options and its script
//! come from the number of the run.

use fastrand::Rng;
use kvcore::simulation::{Fault, SYNCS, Survivors};
use kvcore::{Status, Store};

use super::errors::ERRORS;
use super::{MODES, keeps_log};
use crate::runs::{PLACE, World};
use crate::script::{self, Op};

/// What ends a life, or disturbs it.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// Nothing but the end itself.
    None,
    /// Everything fails after so many calls of the disk.
    Off(u64),
    /// One call fails, or all from then on.
    Error { call: u64, errno: i32, lasting: bool },
    /// A sync fails once.
    Sync(u64),
    /// The disk is full for some operations.
    Full,
}

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Close,
    PowerCut(Survivors),
    Death,
}

/// Runs the lives of one number.
pub fn run(seed: u64) {
    let mut random = Rng::with_seed(seed ^ 0x006c_6976_6573);
    let mode = MODES[random.usize(..MODES.len())];
    let options = options(mode, &mut random);
    let mut world = World::new(seed, &options);
    world.disk.short_writes([0, 2, 7][random.usize(..3)]);
    world.disk.short_reads([0, 2, 7][random.usize(..3)]);
    world.disk.expose_stale(random.bool());
    // A directory whose name could not be synced once is not the store's to mend: it is there before.
    world.disk.put(format!("{PLACE}/other"), b"").unwrap();
    let mut what = format!("seed {seed}, {options:?}");
    for _ in 0..random.usize(1..4) {
        what = one_life(&mut world, mode, what, &mut random);
    }
    drop(world.reopen(&what));
}

fn options(
    mode: &[(&'static str, &'static str)],
    random: &mut Rng,
) -> Vec<(&'static str, &'static str)> {
    let mut options = mode.to_vec();
    options.push(("shards", ["1", "2", "4"][random.usize(..3)]));
    options.push(("compression", ["none", "gzip", "lz4", "zstd"][random.usize(..4)]));
    options.push(("snapshot_keep", ["1", "2"][random.usize(..2)]));
    options
}

/// Runs one life. Returns what happened in all of them.
fn one_life(world: &mut World, mode: &[(&str, &str)], before: String, random: &mut Rng) -> String {
    let trouble = trouble(random);
    let mut ending = match random.u8(..8) {
        0 => Ending::Close,
        1..3 => Ending::Death,
        3 => Ending::PowerCut(Survivors::Nothing),
        4 => Ending::PowerCut(Survivors::Everything),
        _ => Ending::PowerCut(Survivors::Any),
    };
    let what = format!("{before}; {trouble:?}, {ending:?}");
    match trouble {
        Trouble::Off(calls) => world.disk.cut_power_after(calls),
        Trouble::Error { call, errno, lasting } => {
            let fault = Fault::at(call, errno);
            world.disk.inject(if lasting { fault.lasting() } else { fault });
        }
        Trouble::Sync(nth) => world.disk.inject(Fault::at(nth, libc::EIO).of(SYNCS)),
        Trouble::None | Trouble::Full => {}
    }
    let ops = script::script(random.u64(..), random.usize(1..40));
    match world.try_reopen(&what) {
        Ok(store) => {
            let broken = live(world, &store, &ops, matches!(trouble, Trouble::Full), &what);
            if ending == Ending::Close && store.shutdown().is_ok() && !broken {
                world.only_last();
            } else if ending == Ending::Close {
                ending = Ending::PowerCut(Survivors::Any);
            } else if ending == Ending::Death && keeps_log(mode) {
                world.die(broken);
            }
        }
        Err(error) => assert!(
            !matches!(trouble, Trouble::None | Trouble::Full),
            "{what}: an ordinary crash, and then: {error}"
        ),
    }
    world.disk.clear_faults();
    world.disk.set_capacity(None);
    match ending {
        Ending::Death => world.disk.kill(),
        Ending::PowerCut(survivors) => world.lose_power(survivors),
        // What is left of a close is a crash of a machine where everything was safe.
        Ending::Close => world.lose_power(Survivors::Any),
    }
    what
}

fn trouble(random: &mut Rng) -> Trouble {
    match random.u8(..8) {
        0..3 => Trouble::Off(random.u64(..160)),
        3..5 => Trouble::Error {
            call: random.u64(1..160),
            errno: ERRORS[random.usize(..ERRORS.len())],
            lasting: random.bool(),
        },
        5 => Trouble::Sync(random.u64(1..40)),
        6 => Trouble::Full,
        _ => Trouble::None,
    }
}

/// Runs a script, and sees that nothing is acknowledged once the outcome of a write was unknown. Says
/// whether that happened.
fn live(world: &mut World, store: &Store, ops: &[Op], fills: bool, what: &str) -> bool {
    let mut broken = false;
    for (number, op) in ops.iter().enumerate() {
        if fills {
            // The middle of the script runs on a full disk.
            let middle = ops.len() / 3..ops.len() * 2 / 3;
            world.disk.set_capacity(middle.contains(&number).then_some(0));
        }
        if matches!(op, Op::Snapshot | Op::Advance(_)) && broken {
            continue;
        }
        if broken {
            let refused = script::run(store, op, number).map_err(|error| error.status());
            assert_eq!(refused, Err(Status::Poisoned), "{what}: {op:?} after a failure");
            continue;
        }
        broken = match world.run_one(store, op) {
            Ok(()) | Err(Status::NoSpace) => false,
            // The snapshots before stay, and so does the store.
            Err(_) => !matches!(op, Op::Snapshot),
        };
    }
    broken
}

//! Every sequence of up to three operations, with a crash at every call of the disk.
//!
//! A sequence is crashed from the last operation on: what comes before is a shorter sequence, of which
//! the same is tried. So every moment of every sequence is tried once.

use kvcore::simulation::Survivors;

use super::{MODES, keeps_log};
use crate::runs::World;
use crate::script::Op;

/// Operations in the longest sequence.
pub const LONGEST: usize = 3;

/// What sequences are made of: something for each kind of record, entries in line and out of line, a
/// batch over the shards, and what is done with files.
pub fn alphabet() -> Vec<Op> {
    vec![
        Op::Set(1, 3),
        Op::Set(2, 6_000),
        Op::Set(0, 20_000),
        Op::SetFor(1, 100),
        Op::Del(1),
        Op::Append(1, 90),
        Op::Incr(6),
        Op::Expire(1, 100),
        Op::Batch(vec![1, 2, 3, 4]),
        Op::Clear,
        Op::Snapshot,
        Op::Sync,
        Op::Advance(150),
    ]
}

/// How many sequences there are, over all modes.
pub fn count() -> u64 {
    let letters = alphabet().len() as u64;
    (1..=LONGEST as u32).map(|len| letters.pow(len)).sum::<u64>() * MODES.len() as u64
}

/// The sequence of a number below [`count`], and its mode.
fn sequence(number: u64) -> (&'static [(&'static str, &'static str)], Vec<Op>) {
    let letters = alphabet();
    let mode = MODES[(number % MODES.len() as u64) as usize];
    let mut rest = number / MODES.len() as u64;
    let base = letters.len() as u64;
    let mut len = 1;
    while rest >= base.pow(len) {
        rest -= base.pow(len);
        len += 1;
    }
    let ops = (0..len).map(|place| letters[(rest / base.pow(place) % base) as usize].clone());
    (mode, ops.collect())
}

/// What is left of a crash.
const LEFT: [Option<Survivors>; 5] = [
    Some(Survivors::Nothing),
    Some(Survivors::Everything),
    Some(Survivors::Any),
    Some(Survivors::Any),
    // The process dies, the machine lives.
    None,
];

/// Runs the sequence of a number with all its crashes. Returns how many they were.
pub fn run(number: u64) -> u64 {
    let (mode, ops) = sequence(number);
    let mut whole = World::new(number, mode);
    let store = whole.open().unwrap();
    assert_eq!(whole.run(&store, &ops[..ops.len() - 1]), None);
    let first = whole.disk.calls();
    drop(store);
    let mut crashes = 0;
    for calls in first.. {
        let through = crash_after(calls, number, mode, &ops);
        crashes += LEFT.len() as u64;
        if through {
            break;
        }
    }
    crashes
}

/// Lets the power fail after so many calls, and looks at all that may be left. Says whether the
/// sequence got through, with a clean close.
fn crash_after(calls: u64, number: u64, mode: &[(&str, &str)], ops: &[Op]) -> bool {
    let mut world = World::new(number, mode);
    world.disk.cut_power_after(calls);
    let mut through = false;
    let mut broken = true;
    if let Ok(store) = world.open() {
        broken = world.run(&store, ops).is_some();
        through = !broken && store.shutdown().is_ok();
    }
    if through {
        world.only_last();
    }
    for (which, left) in LEFT.into_iter().enumerate() {
        let what = format!("sequence {number}, {mode:?}, {ops:?}, off after {calls}, {left:?}");
        let mut after = world.copy(which as u64);
        match left {
            Some(survivors) => after.lose_power(survivors),
            None if keeps_log(mode) => after.die(broken),
            None => after.disk.kill(),
        }
        drop(after.reopen(&what));
    }
    through
}

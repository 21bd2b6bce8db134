//! The power fails, or the process dies, at every call of the disk.

use kvcore::simulation::Survivors;

use crate::rigs::MODES;
use crate::runs::World;
use crate::script::script;

/// Runs a script with the power failing after `calls` calls. Says whether it got through.
fn cut_after(calls: u64, seed: u64, mode: &[(&str, &str)], kills: bool) -> bool {
    let what = format!("{mode:?}, seed {seed}, power off after {calls} calls, kill {kills}");
    let mut world = World::new(seed, mode);
    world.disk.cut_power_after(calls);
    let ops = script(seed, 40);
    let mut through = false;
    if let Ok(store) = world.open() {
        through = world.run(&store, &ops).is_none() && store.shutdown().is_ok();
        drop(store);
    }
    if through {
        // What a clean close wrote is safe, in every mode.
        world.only_last();
    }
    if kills {
        // Everything that was acknowledged was handed to the system.
        world.die(!through);
    } else {
        world.lose_power(Survivors::Any);
    }
    let store = world.reopen(&what);
    // The next life goes on, and ends well.
    assert_eq!(world.run(&store, &script(seed + 1, 10)), None, "{what}");
    store.shutdown().unwrap_or_else(|error| panic!("{what}: {error}"));
    world.only_last();
    drop(store);
    drop(world.reopen(&what));
    through
}

fn every_crash(mode: &[(&str, &str)], kills: bool) {
    for seed in 0..3 {
        let mut calls = 0;
        while !cut_after(calls, seed, mode, kills) {
            calls += 1;
        }
        assert!(calls > 50, "{mode:?}: the script made {calls} calls");
    }
}

#[test]
fn power_off_at_every_call_with_sync_always() {
    every_crash(MODES[0], false);
}

#[test]
fn power_off_at_every_call_with_sync_interval() {
    every_crash(MODES[1], false);
}

#[test]
fn power_off_at_every_call_with_sync_never() {
    every_crash(MODES[2], false);
}

#[test]
fn power_off_at_every_call_with_snapshots_alone() {
    every_crash(MODES[3], false);
}

#[test]
fn the_process_dies_at_every_call() {
    for mode in &MODES[..3] {
        every_crash(mode, true);
    }
}

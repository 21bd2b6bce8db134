//! The checks of durability are shown to be able to fail: each mistake that is easily made is planted,
//! and one of them must catch it.
//!
//! In a process of its own, and one test at a time: a planted mistake is everybody's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]
#![cfg(all(feature = "simulation", not(kv_shuttle)))]
// The tests of durability use all of these modules, and this a part.
#![allow(dead_code)]

mod checks;
mod panics;
#[path = "../durable/rigs/mod.rs"]
mod rigs;
#[path = "../durable/runs.rs"]
mod runs;
#[path = "../durable/script.rs"]
mod script;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use checks::{CHECKS, Check};
use kvcore::simulation::Planted;

/// Each mistake, and the check that catches it. `docs/durability.md` prints this table.
const MISTAKES: &[(Planted, &str)] = &[
    (Planted::EarlyOk, "lives"),
    (Planted::IgnoredSync, "stuck"),
    (Planted::RepeatedSync, "stuck"),
    (Planted::NoFault, "stuck"),
    (Planted::FollowerOk, "stuck"),
    (Planted::LockedSync, "stuck"),
    (Planted::OneWrite, "lives"),
    (Planted::Buffered, "lives"),
    (Planted::NoFileSync, "lives"),
    (Planted::NoDirSync, "lives"),
    (Planted::NoParentSync, "sequences"),
    (Planted::ReadErrorIsEnd, "unreadable"),
    (Planted::UnreadableIsEmpty, "unreadable"),
    (Planted::StartEmpty, "missing"),
    (Planted::ProcessLock, "second"),
    (Planted::LateLog, "replay"),
    (Planted::SplitBatch, "lives"),
    (Planted::RelativeDeadline, "lives"),
    (Planted::RelativeAppend, "lives"),
    (Planted::SilentEviction, "evictions"),
    (Planted::WriteOn, "lives"),
    (Planted::UnsyncedSeal, "lives"),
    (Planted::NoEnd, "lives"),
    (Planted::UncheckedHead, "flips"),
    (Planted::UncheckedRecords, "lives"),
    (Planted::UncheckedLength, "hostile"),
    (Planted::ErrorIsEnd, "bits"),
    (Planted::TornIsDamage, "lives"),
    (Planted::ExpireFirst, "lives"),
    (Planted::CountReplay, "counters"),
    (Planted::SyncToSettle, "settle"),
    (Planted::StaleMark, "lives"),
    (Planted::OldMark, "marks"),
    (Planted::LooseSnapshot, "loose"),
    (Planted::NoCeiling, "lives"),
    (Planted::EarlyRetire, "retire"),
    (Planted::NoVerify, "readback"),
];

/// How often a check may look for a mistake. All but races are found at once.
const ATTEMPTS: usize = 20;

/// Held by the test that runs.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Whether a check goes well.
fn passes(check: &Check) -> bool {
    catch_unwind(AssertUnwindSafe(check.run)).is_ok()
}

#[test]
fn every_mistake_is_caught() {
    let _one = ONE_AT_A_TIME.lock().unwrap();
    for check in CHECKS {
        assert!(passes(check), "{} finds a mistake where none is planted", check.name);
    }
    // What is caught panics, and that is nothing to print.
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for &(mistake, name) in MISTAKES {
        let check = CHECKS.iter().find(|check| check.name == name).unwrap();
        // Threads that happen to take turns show no race, so a check may be asked again.
        let caught = (0..ATTEMPTS).any(|_| !mistake.during(|| passes(check)));
        let verdict = if caught { "caught by" } else { "MISSED by" };
        println!("{:<20} {verdict} {name}: {}", format!("{mistake:?}"), check.what);
        if !caught {
            missed.push(mistake);
        }
    }
    std::panic::set_hook(loud);
    let (runs, violations) = (MISTAKES.len(), missed.len());
    println!("rig=mistakes runs={runs} violations={violations} seed=0 seconds=0");
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn a_panic_in_any_thread_is_contained() {
    let _one = ONE_AT_A_TIME.lock().unwrap();
    panics::in_every_thread();
}

//! Every call of the disk fails, with every error that a disk gives, once or from then on.

use kvcore::Status;
use kvcore::simulation::{Fault, SYNCS};

use crate::runs::World;
use crate::script::{Op, script};

const ERRORS: [i32; 5] = [libc::EIO, libc::ENOSPC, libc::EDQUOT, libc::EROFS, libc::EINTR];

const ALWAYS: &[(&str, &str)] = &[("sync", "always")];

fn fail_at(call: u64, errno: i32, lasting: bool, seed: u64) -> bool {
    let what = format!("seed {seed}, call {call} fails with {errno}, lasting {lasting}");
    let mut world = World::new(seed, ALWAYS);
    let fault = Fault::at(call, errno);
    world.disk.inject(if lasting { fault.lasting() } else { fault });
    let before = world.disk.calls();
    let mut reached = false;
    if let Ok(store) = world.open() {
        let mut refused = None;
        for op in &script(seed, 30) {
            match world.run_one(&store, op) {
                // Once poisoned, nothing is acknowledged any more.
                Ok(()) => assert!(
                    refused != Some(Status::Poisoned)
                        || matches!(op, Op::Advance(_) | Op::Snapshot),
                    "{what}: {op:?} was acknowledged by a poisoned store"
                ),
                Err(status) => refused = Some(status),
            }
        }
        // A store that was poisoned has nothing to close well.
        let _ = store.shutdown();
        reached = world.disk.calls() - before >= call;
    }
    world.disk.clear_faults();
    world.disk.crash();
    let store = world.reopen(&what);
    assert_eq!(world.run(&store, &script(seed + 1, 5)), None, "{what}");
    !reached
}

#[test]
fn every_call_fails_with_every_error() {
    for errno in ERRORS {
        for lasting in [false, true] {
            for call in (1..).step_by(3) {
                if fail_at(call, errno, lasting, 11) {
                    break;
                }
            }
        }
    }
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged() {
    for seed in 0..20 {
        let mut world = World::new(seed, ALWAYS);
        let store = world.open().unwrap();
        assert_eq!(world.run(&store, &[Op::Set(1, 10), Op::Set(2, 10)]), None);
        world.disk.inject(Fault::at(1 + seed % 3, libc::EIO).of(SYNCS));
        let mut failed = false;
        for n in 0..10 {
            match world.run_one(&store, &Op::Set(n % 6, 10)) {
                Ok(()) => assert!(!failed, "seed {seed}: acknowledged after a failed sync"),
                Err(status) => {
                    assert!(matches!(status, Status::Io | Status::Poisoned), "{status:?}");
                    failed = true;
                }
            }
        }
        assert!(failed);
        assert!(store.last_fault().is_some());
        assert!(store.get("key 1").unwrap().is_some(), "reads go on");
        assert!(store.sync().is_err());
        drop(store);
        world.disk.crash();
        world.reopen(&format!("seed {seed}"));
    }
}

#[test]
fn a_full_disk_refuses_and_resumes() {
    for seed in 0..5 {
        let mut world = World::new(seed, ALWAYS);
        let store = world.open().unwrap();
        for round in 0..10 {
            world.disk.set_capacity(Some(0));
            let mut refused = 0;
            for _ in 0..60 {
                match world.run_one(&store, &Op::Set(3, 20_000)) {
                    Ok(()) => assert_eq!(refused, 0, "round {round}: a full disk took a write"),
                    Err(status) => {
                        assert_eq!(status, Status::NoSpace, "round {round}");
                        refused += 1;
                    }
                }
            }
            assert!(refused > 0, "round {round}");
            world.disk.set_capacity(None);
            assert_eq!(world.run(&store, &[Op::Set(3, 20_000), Op::Snapshot]), None);
        }
        drop(store);
        world.disk.crash();
        world.reopen(&format!("seed {seed}"));
    }
}

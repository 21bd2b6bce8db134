//! Every call of the disk fails, with every error that a disk gives, once or from then on.

use kvcore::Status;
use kvcore::simulation::{Fault, SYNCS};

use crate::rigs::errors::{ERRORS, fail_at};
use crate::runs::World;
use crate::script::Op;

const ALWAYS: &[(&str, &str)] = &[("sync", "always")];

#[test]
fn every_call_fails_with_every_error() {
    // Each error meets every ninth call here, and the example `proof` goes through all of them.
    for (number, errno) in ERRORS.into_iter().enumerate() {
        for lasting in [false, true] {
            let first = 1 + number as u64 % 9;
            let mut calls = (first..).step_by(9);
            while calls.next().is_some_and(|call| fail_at(ALWAYS, call, errno, lasting, 11)) {}
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

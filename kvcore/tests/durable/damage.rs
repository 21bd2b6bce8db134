//! Files that were changed, cut or removed while the store was closed.

use kvcore::Status;

use crate::rigs::bits;
use crate::rigs::damage::{check, closed_world, files, flips, missing, open_on, unreadable};
use crate::runs::{PLACE, World};
use crate::script;

#[test]
fn no_flipped_bit_is_silent() {
    flips(3);
}

#[test]
fn no_flipped_bit_or_cut_of_a_full_file_is_silent() {
    // One bit in some hundreds; the example `proof` flips all of them.
    for file in 0..bits::FILES {
        assert!(bits::run(file, 397) > 1_000);
    }
}

#[test]
fn no_cut_is_silent() {
    let (world, held) = closed_world();
    for (path, bytes) in files(&world) {
        for len in (0..bytes.len()).step_by(7) {
            check(&world, &held, &format!("{path} cut to {len}"), |disk| {
                disk.put(&path, &bytes[..len]).unwrap();
            });
        }
        let mut longer = bytes.clone();
        longer.push(1);
        check(&world, &held, &format!("{path} with a byte more"), |disk| {
            disk.put(&path, &longer).unwrap();
        });
    }
}

#[test]
fn no_missing_file_is_silent() {
    missing();
}

#[test]
fn what_cannot_be_read_is_not_taken_for_less() {
    unreadable();
}

#[test]
fn without_the_mark_of_a_clean_close_everything_is_there() {
    let (world, held) = closed_world();
    let disk = world.disk.duplicate(1);
    disk.kill();
    disk.erase(format!("{PLACE}/CLOSED")).unwrap();
    let store = open_on(&world, &disk).unwrap();
    assert_eq!(script::contents(&store), held);
}

#[test]
fn a_second_opener_is_locked_out() {
    let world = World::new(1, &[]);
    let store = world.open().unwrap();
    assert_eq!(world.open().unwrap_err().status(), Status::Locked);
    store.shutdown().unwrap();
    world.open().unwrap();
}

#[test]
fn what_had_expired_stays_expired_though_the_clock_goes_back() {
    let world = World::new(1, &[("sync", "always")]);
    let store = world.open().unwrap();
    store.set("stays", "x").unwrap();
    store.set_many(&[("goes", "x")], kvcore::Expiry::AfterMs(1_000)).unwrap();
    world.hand.advance_ms(5_000);
    assert!(store.get("goes").unwrap().is_none());
    // Any group of the log marks the time.
    store.set("later", "x").unwrap();
    store.shutdown().unwrap();
    drop(store);
    let earlier = World { disk: world.disk.clone(), ..World::new(1, &[("sync", "always")]) };
    let store = earlier.open().unwrap();
    assert!(store.get("goes").unwrap().is_none());
    assert!(store.get("stays").unwrap().is_some());
    assert_eq!(store.recovery().unwrap().clock_regression_ms, 5_000);
}

#[test]
fn versions_are_never_given_out_twice() {
    for mode in ["always", "never"] {
        let world = World::new(1, &[("sync", mode)]);
        let mut last = 0;
        for _ in 0..5 {
            let store = world.open().unwrap();
            for n in 0..10 {
                let version = store.set(format!("key {n}"), "x").unwrap();
                assert!(version > last, "{mode}: {version} after {last}");
                last = version;
            }
            drop(store);
            world.disk.crash();
        }
    }
}

//! Files that were changed, cut or removed while the store was closed.

use kvcore::simulation::SimDisk;
use kvcore::{Result, Status, Store};

use crate::runs::World;
use crate::script::{self, State};

const PLACE: &str = "/data/store";

/// A world whose store was closed in order, after two snapshots and some log.
fn closed_world() -> (World, State) {
    let mut world = World::new(3, &[("sync", "always")]);
    let store = world.open().unwrap();
    for seed in 0..3 {
        let small: Vec<_> = script::script(seed, 12)
            .into_iter()
            .filter(|op| !matches!(op, script::Op::Set(_, 100..) | script::Op::Append(_, 100..)))
            .filter(|op| !matches!(op, script::Op::Set(0, _) | script::Op::SetFor(..)))
            .filter(|op| !matches!(op, script::Op::Expire(..) | script::Op::Snapshot))
            .collect();
        assert_eq!(world.run(&store, &small), None);
        store.set("always there", "x").unwrap();
        if seed < 2 {
            store.snapshot(None).unwrap();
        }
    }
    let held = script::contents(&store);
    store.shutdown().unwrap();
    (world, held)
}

fn open_on(world: &World, disk: SimDisk) -> Result<Store> {
    World { disk, hand: world.hand.clone(), ..World::new(3, &[]) }.open()
}

/// Opens a changed copy: it must be an error that names a file, or give what was there.
fn check(world: &World, held: &State, what: &str, change: impl FnOnce(&SimDisk)) -> bool {
    let disk = world.disk.duplicate(1);
    disk.kill();
    change(&disk);
    match open_on(world, disk) {
        Ok(store) => {
            let report = store.recovery().unwrap();
            assert_eq!(&script::contents(&store), held, "{what}: silently other contents");
            assert!(report.fallback_used && !report.reason.is_empty(), "{what}: {report:?}");
            false
        }
        Err(error) => {
            assert!(
                matches!(error.status(), Status::Corrupt | Status::Unsupported),
                "{what}: {error}"
            );
            assert!(error.message().contains("/data/store"), "{what}: {error}");
            true
        }
    }
}

fn files(world: &World) -> Vec<(String, Vec<u8>)> {
    let all = world.disk.paths().into_iter().map(|path| path.to_str().unwrap().to_string());
    let mut data: Vec<_> =
        all.filter(|path| path.starts_with(PLACE) && !path.ends_with("LOCK")).collect();
    // Nobody reads an older snapshot while the newest one is whole.
    let newest = data.iter().filter(|path| path.ends_with(".kvs")).max().cloned();
    data.retain(|path| !path.ends_with(".kvs") || Some(path) == newest.as_ref());
    data.into_iter().map(|path| (path.clone(), world.disk.contents(&path).unwrap())).collect()
}

#[test]
fn no_flipped_bit_is_silent() {
    let (world, held) = closed_world();
    let mut random = fastrand::Rng::with_seed(9);
    for (path, bytes) in files(&world) {
        for at in 0..bytes.len() {
            let bit = random.u8(..8);
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            check(&world, &held, &format!("{path}, byte {at}, bit {bit}"), |disk| {
                disk.put(&path, &changed).unwrap();
            });
        }
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
    let (world, held) = closed_world();
    let all = files(&world);
    assert!(all.len() >= 4, "{}", all.len());
    for (path, _) in &all {
        if path.ends_with("CLOSED") {
            continue;
        }
        let disk = world.disk.duplicate(1);
        disk.kill();
        disk.erase(path).unwrap();
        if let Ok(store) = open_on(&world, disk) {
            assert_eq!(script::contents(&store), held, "{path} is missing");
        }
    }
}

#[test]
fn without_the_mark_of_a_clean_close_everything_is_there() {
    let (world, held) = closed_world();
    let disk = world.disk.duplicate(1);
    disk.kill();
    disk.erase(format!("{PLACE}/CLOSED")).unwrap();
    let store = open_on(&world, disk).unwrap();
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

//! Files of a store that were changed, cut or removed while it was closed.

use kvcore::simulation::{Call, Fault, SimDisk};
use kvcore::{Result, Status, Store};

use crate::runs::{PLACE, World};
use crate::script::{self, State};

/// A world whose store was closed in order, after two snapshots and some log.
pub fn closed_world() -> (World, State) {
    let mut world = World::new(3, &[("sync", "always")]);
    let store = world.open().unwrap();
    for seed in 0..3 {
        let small: Vec<_> = script::script(seed, 12)
            .into_iter()
            .filter(|op| !matches!(op, script::Op::Set(_, 100..) | script::Op::Append(_, 100..)))
            .filter(|op| !matches!(op, script::Op::Set(0, _) | script::Op::SetFor(..)))
            .filter(|op| !matches!(op, script::Op::Expire(..) | script::Op::Snapshot))
            .filter(|op| !matches!(op, script::Op::Write(..)))
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

pub fn open_on(world: &World, disk: &SimDisk) -> Result<Store> {
    World { disk: disk.clone(), hand: world.hand.clone(), ..World::new(3, &[]) }.open()
}

/// Opens a changed copy: it must be an error that names a file, or give what was there.
pub fn check(world: &World, held: &State, what: &str, change: impl FnOnce(&SimDisk)) {
    let disk = world.disk.duplicate(1);
    disk.kill();
    change(&disk);
    match open_on(world, &disk) {
        Ok(store) => {
            let report = store.recovery().unwrap();
            assert_eq!(&script::contents(&store), held, "{what}: silently other contents");
            assert!(report.fallback_used && !report.reason.is_empty(), "{what}: {report:?}");
        }
        Err(error) => {
            assert!(
                matches!(error.status(), Status::Corrupt | Status::Unsupported),
                "{what}: {error}"
            );
            assert!(error.message().contains(PLACE), "{what}: {error}");
        }
    }
}

/// The files that the next opener reads, and what is in them.
pub fn files(world: &World) -> Vec<(String, Vec<u8>)> {
    let all = world.disk.paths().into_iter().map(|path| path.to_str().unwrap().to_string());
    let mut data: Vec<_> =
        all.filter(|path| path.starts_with(PLACE) && !path.ends_with("LOCK")).collect();
    // Nobody reads an older snapshot, or the log before the newest one, while that is whole: a snapshot
    // begins a segment of its own. `verify` reads them all.
    for end in [".kvs", ".log"] {
        let newest = data.iter().filter(|path| path.ends_with(end)).max().cloned();
        data.retain(|path| !path.ends_with(end) || Some(path) == newest.as_ref());
    }
    data.into_iter().map(|path| (path.clone(), world.disk.contents(&path).unwrap())).collect()
}

/// Flips one bit in each of one byte in `step`.
pub fn flips(step: usize) {
    let (world, held) = closed_world();
    let mut random = fastrand::Rng::with_seed(9);
    for (path, bytes) in files(&world) {
        for at in (0..bytes.len()).step_by(step) {
            let bit = random.u8(..8);
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            check(&world, &held, &format!("{path}, byte {at}, bit {bit}"), |disk| {
                disk.put(&path, &changed).unwrap();
            });
        }
    }
}

/// Removes each of the files.
pub fn missing() {
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
        if let Ok(store) = open_on(&world, &disk) {
            assert_eq!(script::contents(&store), held, "{path} is missing");
        }
    }
    // Without a snapshot there is only the log, and then there is nothing.
    let world = World::new(4, &[("sync", "always"), ("persistence", "wal")]);
    let store = world.open().unwrap();
    store.set("key", "value").unwrap();
    world.disk.kill();
    drop(store);
    let (path, _) = files(&world).into_iter().find(|(path, _)| path.ends_with(".log")).unwrap();
    world.disk.erase(&path).unwrap();
    let error = world.open().map(drop).unwrap_err();
    assert_eq!(error.status(), Status::Corrupt, "{error}");
}

/// Lets every call fail by which an opener learns what is there. None may pass for less than that.
pub fn unreadable() {
    let mut world = World::new(5, &[("sync", "always")]);
    let store = world.open().unwrap();
    assert_eq!(world.run(&store, &script::script(5, 20)), None);
    let held = script::contents(&store);
    world.disk.kill();
    drop(store);
    for call in [Call::Read, Call::List, Call::Len, Call::Open] {
        for nth in 1.. {
            let disk = world.disk.duplicate(1);
            let before = disk.calls_of(call);
            disk.inject(Fault::at(nth, libc::EIO).of(&[call]));
            match open_on(&world, &disk) {
                Ok(store) => assert_eq!(script::contents(&store), held, "{call:?} {nth} fails"),
                Err(error) => assert_eq!(error.status(), Status::Io, "{call:?} {nth}: {error}"),
            }
            if disk.calls_of(call) - before < nth {
                break;
            }
        }
    }
}

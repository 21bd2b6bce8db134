//! A sync that does not come back, and what other threads see meanwhile.

use std::sync::mpsc;
use std::time::Duration;

use kvcore::Store;
use kvcore::simulation::{Fault, SYNCS};

use crate::runs::World;

/// After so long a call that ought not to wait is held to hang. Nothing waits for it when all is well.
const LONG: Duration = Duration::from_secs(60);

/// Lets a writer hang in its sync, and another one behind it. Meanwhile everything is read. Then the sync
/// fails, and neither may be told that its write is safe.
pub fn run(seed: u64) {
    let world = World::new(seed, &[("sync", "always"), ("shards", "1")]);
    let store = world.open().unwrap();
    store.set("before", "x").unwrap();
    world.disk.hold_syncs();
    world.disk.inject(Fault::at(1, libc::EIO).of(SYNCS));
    let (leader, follower) = std::thread::scope(|scope| {
        let leader = scope.spawn(|| store.set("leader", "x"));
        wait_until(|| world.disk.syncs_held() == 1);
        let follower = scope.spawn(|| store.set("follower", "x"));
        let seen = reads_go_on(&store);
        if seen {
            // It is in memory, and its thread waits for the round of the other one, or is about to.
            wait_until(|| store.exists("follower").unwrap());
            (0..1_000).for_each(|_| std::thread::yield_now());
        }
        world.disk.release_syncs();
        assert!(seen, "reads wait for a sync");
        (leader.join().unwrap(), follower.join().unwrap())
    });
    assert!(leader.is_err(), "the leader was told that its write is safe");
    assert!(follower.is_err(), "a follower was told that its write is safe");
    assert!(store.set("later", "x").is_err());
    assert!(store.get("before").unwrap().is_some(), "reads go on");
}

/// Whether calls that take the lock of the shard come back.
fn reads_go_on(store: &Store) -> bool {
    let (done, come_back) = mpsc::channel();
    let store = store.clone();
    std::thread::spawn(move || {
        store.validate();
        // Nobody listens any more if it took too long.
        let _ = done.send(());
    });
    come_back.recv_timeout(LONG).is_ok()
}

fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}

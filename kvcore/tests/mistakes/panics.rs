//! A panic in each thread that a store has of its own: the store is poisoned, says why, goes on reading,
//! and closes without a hang.

use std::time::{Duration, Instant};

use kvcore::simulation::{Planted, SimDisk, open};
use kvcore::{Clock, Error, Expiry, Options, Status, Store};

/// After so long a thread that ought to have run has not.
const LONG: Duration = Duration::from_secs(60);

/// Plants a panic in each of the threads.
pub fn in_every_thread() {
    for planted in [Planted::PanicInLog, Planted::PanicInSnapshot, Planted::PanicInCleaner] {
        let store = threaded("interval");
        let fault = planted.during(|| first_fault(&store));
        assert_eq!(fault.status(), Status::Poisoned, "{planted:?}");
        contained(&store, planted);
    }
    // The thread that leads a round is a caller's: the panic is its own, as with any call.
    let store = threaded("always");
    let caught = Planted::PanicInRound.during(|| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| store.set("key", "x")))
    });
    assert!(caught.is_err());
    // The gate is open again: nobody waits for a round that nobody leads.
    let _ = store.set("key", "y");
    assert!(store.get("first").unwrap().is_some());
    let _ = store.shutdown();
}

/// A store with threads.
fn threaded(sync: &str) -> Store {
    let options = [("sync", sync), ("sync_interval", "10ms"), ("cleanup_interval", "10ms")]
        .iter()
        .fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
    let store = open(&SimDisk::new(1), "/store", options, Clock::system()).unwrap();
    store.set("first", "x").unwrap();
    store
}

/// Writes until that is refused. What expires makes the cleaner run.
fn first_fault(store: &Store) -> Error {
    let began = Instant::now();
    loop {
        match store.set_many(&[("soon", "x")], Expiry::AfterMs(5)) {
            Err(fault) => return fault,
            Ok(()) => assert!(began.elapsed() < LONG, "the thread has not run"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn contained(store: &Store, planted: Planted) {
    assert_eq!(store.last_fault().map(|fault| fault.status()), Some(Status::Panic), "{planted:?}");
    assert_eq!(store.get("first").unwrap().as_deref(), Some(&b"x"[..]));
    assert_eq!(store.set("later", "x").unwrap_err().status(), Status::Poisoned);
    // Its threads have ended, one of them by the panic, and nobody waits for it.
    let _ = store.shutdown();
    assert_eq!(store.get("first").unwrap_err().status(), Status::Closed);
}

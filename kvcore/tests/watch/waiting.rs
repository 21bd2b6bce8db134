//! Waiting, waking, and the ends of a watch.

use std::os::fd::RawFd;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use kvcore::{Status, WatchOptions, Watched};

use super::{open, told};

fn is_cancelled(watched: &Watched) -> bool {
    matches!(watched, Watched::Cancelled)
}

#[test]
fn a_watch_that_waits_is_woken_by_what_concerns_it() {
    let (store, _) = open(&[]);
    let mut watch = store.watch(&WatchOptions::key("k")).unwrap();
    let (send, seen) = channel();
    let waiter = thread::spawn(move || {
        loop {
            match watch.next(None) {
                Ok(Watched::Event(event)) => send.send(event.revision()).unwrap(),
                Ok(other) => panic!("{other:?}"),
                Err(error) => return error.status(),
            }
        }
    });
    for _ in 0..100 {
        store.set("other", "").unwrap();
        let revision = store.set("k", "").unwrap();
        assert_eq!(seen.recv().unwrap(), revision);
    }
    store.shutdown().unwrap();
    assert_eq!(waiter.join().unwrap(), Status::Closed);
}

#[test]
fn cancelling_wakes_from_any_thread_and_stays() {
    let (store, _) = open(&[]);
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    let cancel = watch.canceller();
    let waiter = thread::spawn(move || {
        let first = watch.next(None).unwrap();
        (first, watch.next(None).unwrap(), watch.try_next().unwrap())
    });
    cancel.cancel();
    cancel.clone().cancel();
    let (first, second, third) = waiter.join().unwrap();
    assert!(is_cancelled(&first) && is_cancelled(&second) && is_cancelled(&third));
    store.set("k", "").unwrap();
}

#[test]
fn a_closed_store_ends_its_watches() {
    let (store, _) = open(&[]);
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    let mut other = store.watch(&WatchOptions::all()).unwrap();
    store.set("k", "").unwrap();
    let waiter = thread::spawn(move || {
        while let Ok(Watched::Event(_)) = watch.next(None) {}
        watch.next(None).unwrap_err().status()
    });
    // The last handle goes.
    drop(store);
    assert_eq!(waiter.join().unwrap(), Status::Closed);
    assert_eq!(other.try_next().unwrap_err().status(), Status::Closed);
}

#[test]
fn a_poisoned_store_ends_its_watches_once_they_have_seen_all() {
    let (store, _) = open(&[]);
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    let mut waiting = store.watch(&WatchOptions::key("never")).unwrap();
    let waiter = thread::spawn(move || waiting.next(None).unwrap_err().status());
    store.set("k", "").unwrap();
    store.poison("planted");
    assert_eq!(waiter.join().unwrap(), Status::Poisoned);
    assert!(matches!(watch.try_next().unwrap(), Watched::Event(_)));
    assert_eq!(watch.next(None).unwrap_err().status(), Status::Poisoned);
}

#[test]
fn a_time_that_is_over_is_no_end() {
    let (store, _) = open(&[]);
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    for _ in 0..3 {
        assert!(matches!(watch.next(Some(Duration::from_millis(2))).unwrap(), Watched::TimedOut));
        store.set("k", "").unwrap();
        assert_eq!(told(&mut watch), ["set k"]);
    }
}

/// Whether a descriptor is readable.
fn readable(fd: RawFd) -> bool {
    let mut asked = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one descriptor to ask for, which lives on this stack; the call does not wait.
    let ready = unsafe { libc::poll(&raw mut asked, 1, 0) };
    assert!(ready >= 0 && asked.revents & !libc::POLLIN == 0);
    ready == 1
}

#[test]
#[cfg(target_os = "linux")]
fn the_descriptor_is_readable_while_something_waits() {
    let (store, _) = open(&[("watch_buffer", "4")]);
    let mut watch = store.watch(&WatchOptions::prefix("k")).unwrap();
    let fd = watch.fd().unwrap();
    assert_eq!(watch.fd(), Some(fd));
    assert!(!readable(fd));
    store.set("other", "").unwrap();
    assert!(!readable(fd));
    for round in 0..3 {
        store.set("k1", "").unwrap();
        assert!(readable(fd), "{round}");
        store.set("k2", "").unwrap();
        assert!(readable(fd));
        assert!(matches!(watch.next(None).unwrap(), Watched::Event(_)));
        assert!(readable(fd));
        assert!(matches!(watch.next(None).unwrap(), Watched::Event(_)));
        assert!(!readable(fd));
        assert!(matches!(watch.try_next().unwrap(), Watched::TimedOut));
        assert!(!readable(fd));
    }
    for _ in 0..6 {
        store.set("k", "").unwrap();
    }
    assert!(readable(fd));
    assert!(matches!(watch.try_next().unwrap(), Watched::Lagged { .. }));
    assert_eq!(told(&mut watch).len(), 4);
    assert!(!readable(fd));
    watch.canceller().cancel();
    assert!(readable(fd));
    assert!(is_cancelled(&watch.try_next().unwrap()));
    assert!(readable(fd));
}

#[test]
#[cfg(target_os = "linux")]
fn a_descriptor_made_late_knows_what_waits() {
    let (store, _) = open(&[]);
    let mut behind = store.watch(&WatchOptions::all()).unwrap();
    let mut waiting = store.watch(&WatchOptions::all()).unwrap();
    assert_eq!(told(&mut waiting), [""; 0]);
    assert!(!readable(waiting.fd().unwrap()));
    store.set("k", "").unwrap();
    assert!(readable(waiting.fd().unwrap()) && readable(behind.fd().unwrap()));
    let mut far = store.watch(&WatchOptions::all().from_revision(100)).unwrap();
    let fd = far.fd().unwrap();
    assert!(readable(fd));
    assert!(matches!(far.try_next().unwrap(), Watched::Lagged { revision: 2, missed: 0 }));
    assert!(!readable(fd));
    store.shutdown().unwrap();
    assert!(readable(fd));
    assert_eq!(far.try_next().unwrap_err().status(), Status::Closed);
}

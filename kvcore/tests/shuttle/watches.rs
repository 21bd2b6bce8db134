//! Watches beside writers: nothing is left behind, nobody sleeps for ever, no change is seen in part, and
//! the end of a store is not taken for a lag.
//!
//! A mistake that is planted in the change feed (`kvcore/src/planted.rs`) must be found by the scene for it.

use kvcore::{Event, Planted, WatchOptions, Watched};

use super::reads::{check, finds};
use super::*;

/// The next event, however long it takes. One that never comes is a deadlock, which shuttle finds.
fn next(watch: &mut kvcore::Watch) -> Event {
    match watch.next(None).unwrap() {
        Watched::Event(event) => event,
        other => panic!("{other:?}"),
    }
}

fn three_writers() {
    let (store, _) = open(&[("shards", "4"), ("watch_buffer", "8")]);
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    let watcher = thread::spawn(move || {
        for revision in 1..=4 {
            assert_eq!(next(&mut watch).revision(), revision);
        }
    });
    parts![
        store: { store.set("a", "1").unwrap(); store.set("b", "2").unwrap(); },
        store: { store.set("c", "3").unwrap(); },
        store: { store.set("d", "4").unwrap(); },
    ];
    watcher.join().unwrap();
}

#[test]
fn every_event_comes_in_its_order() {
    check(three_writers);
    finds(Planted::NoSecondLook, three_writers);
}

fn a_group_beside_a_set() {
    let (store, _) = open(&[("shards", "8"), ("watch_buffer", "8")]);
    let mut watch = store.watch(&WatchOptions::prefix("group")).unwrap();
    let watcher = thread::spawn(move || {
        next(&mut watch);
        assert!(matches!(watch.try_next().unwrap(), Watched::Event(_)), "half of a group");
    });
    parts![
        store: store.set_many(&[("group a", ""), ("group b", "")], Expiry::Default).unwrap(),
        store: { store.set("single", "").unwrap(); },
    ];
    watcher.join().unwrap();
}

#[test]
fn a_group_is_seen_as_a_whole() {
    check(a_group_beside_a_set);
    finds(Planted::NoWhole, a_group_beside_a_set);
}

#[test]
fn a_watch_that_begins_beside_writers_misses_nothing_after_that() {
    check(|| {
        let (store, _) = open(&[("shards", "2"), ("watch_buffer", "8")]);
        parts![
            store: {
                let mut watch = store.watch(&WatchOptions::all()).unwrap();
                let own = store.set("own", "").unwrap();
                let mut last = None;
                while last != Some(own) {
                    let revision = next(&mut watch).revision();
                    assert!(last.is_none_or(|last| revision == last + 1));
                    last = Some(revision);
                }
            },
            store: { store.set("a", "").unwrap(); store.del("a").unwrap(); },
            store: { store.set("b", "").unwrap(); },
        ];
    });
}

#[test]
fn cancelling_and_closing_wake_whoever_waits() {
    check(|| {
        let (store, _) = open(&[("shards", "1"), ("watch_buffer", "8")]);
        let mut cancelled = store.watch(&WatchOptions::key("never")).unwrap();
        let mut closed = store.watch(&WatchOptions::key("never")).unwrap();
        let cancel = cancelled.canceller();
        let first = thread::spawn(move || cancelled.next(None));
        let second = thread::spawn(move || closed.next(None));
        store.set("other", "").unwrap();
        cancel.cancel();
        assert!(matches!(first.join().unwrap(), Ok(Watched::Cancelled)));
        store.shutdown().unwrap();
        assert_eq!(second.join().unwrap().unwrap_err().status(), Status::Closed);
    });
}

fn closing_beside_a_reader() {
    let (store, _) = open(&[("shards", "1"), ("watch_buffer", "8")]);
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    store.set("a", "1").unwrap();
    store.set("b", "2").unwrap();
    let reader = thread::spawn(move || {
        let mut read = 0;
        loop {
            match watch.next(None) {
                Ok(Watched::Event(event)) => {
                    read += 1;
                    assert_eq!(event.revision(), read);
                }
                Err(error) => break assert_eq!(error.status(), Status::Closed),
                other => panic!("{other:?}"),
            }
        }
    });
    store.shutdown().unwrap();
    reader.join().unwrap();
}

/// Closing lets go of the events. Who was about to read one must be told why it is not there.
#[test]
fn a_reader_beside_a_closing_store_is_never_said_to_lag() {
    check(closing_beside_a_reader);
    finds(Planted::ClosedIsLag, closing_beside_a_reader);
}

//! Scans beside changes: what stays comes exactly once, in order, and nothing comes twice.

#![allow(clippy::unwrap_used)]
#![cfg(not(kv_shuttle))]
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use kvcore::{Batch, Clock, Options, Order, ScanOptions, SetOptions, Status, Store};

const ORDERS: [Order; 3] = [Order::None, Order::Asc, Order::Desc];

fn store(ordered: bool) -> Store {
    let options = Options::new().with("shards", "4").unwrap();
    Store::memory(options.with("ordered_index", &ordered.to_string()).unwrap()).unwrap()
}

fn keys(store: &Store, options: &ScanOptions) -> Vec<Vec<u8>> {
    store.scan(options).unwrap().map(|entry| entry.unwrap().into_parts().0).collect()
}

/// Keys that take more than one pass.
#[test]
fn more_keys_than_a_pass_keeps_come_in_order() {
    let name = |n: u32| {
        format!("{:08}-{n}-and-more-so-that-passes-are-short", n.wrapping_mul(2_654_435_761))
    };
    let mut all: Vec<Vec<u8>> = (0..70_000).map(|n| name(n).into_bytes()).collect();
    for ordered in [false, true] {
        let store = store(ordered);
        for key in &all {
            store.set(key, "v").unwrap();
        }
        all.sort();
        let options = ScanOptions::new().order(Order::Asc).keys_only();
        assert!(keys(&store, &options) == all);
        all.reverse();
        assert!(keys(&store, &options.clone().order(Order::Desc)) == all);
        all.sort();
        assert!(keys(&store, &options.limit(3)) == all[..3]);
    }
}

/// Writers add and remove every key that does not stay, so that the index grows, shrinks and moves
/// entries while scans are under way.
#[test]
fn what_stays_comes_exactly_once_beside_writers() {
    const STAY: u32 = 2_000;
    for ordered in [false, true] {
        let store = store(ordered);
        let name = |n: u32| format!("key:{:05}", n.wrapping_mul(40_503) % 65_536);
        let stays: BTreeSet<Vec<u8>> = (0..STAY).map(|n| name(n).into_bytes()).collect();
        for key in &stays {
            store.set(key, "stays").unwrap();
        }
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..2u32 {
                let (store, done) = (&store, &done);
                scope.spawn(move || {
                    let mut round = 0;
                    while !done.load(Relaxed) {
                        for n in (STAY + writer..20_000).step_by(2) {
                            match round % 2 {
                                0 => drop(store.set(name(n), vec![b'x'; n as usize % 90]).unwrap()),
                                _ => drop(store.del(name(n)).unwrap()),
                            }
                        }
                        // A value of another size gives its entry another place.
                        let key = name(writer);
                        store.set(key, vec![b'y'; round % 200]).unwrap();
                        round += 1;
                    }
                });
            }
            for round in 0..24 {
                let order = ORDERS[round % 3];
                let options = ScanOptions::new().prefix("key:").order(order);
                let got = keys(&store, &options);
                let met: BTreeSet<Vec<u8>> = got.iter().cloned().collect();
                assert_eq!(met.len(), got.len(), "a key came twice");
                assert!(met.is_superset(&stays), "{order:?}: a key that stays did not come");
                match order {
                    Order::None => {}
                    Order::Asc => assert!(got.is_sorted()),
                    Order::Desc => assert!(got.iter().rev().is_sorted()),
                }
            }
            done.store(true, Relaxed);
        });
        store.validate();
    }
}

#[test]
fn what_expires_before_its_turn_does_not_come() {
    for ordered in [false, true] {
        for order in ORDERS {
            let (clock, hand) = Clock::manual(1_000_000);
            let options = Options::new().with("ordered_index", &ordered.to_string()).unwrap();
            let store = Store::with_clock(options, clock).unwrap();
            for n in 0..40 {
                let ttl = std::time::Duration::from_millis(if n == 7 { 1_000 } else { 10 });
                store.set_with(format!("k{n}"), "v", &SetOptions::default().ttl(ttl)).unwrap();
            }
            let mut scan = store.scan(&ScanOptions::new().prefix("k").order(order)).unwrap();
            let first = scan.next().unwrap().unwrap();
            hand.advance_ms(10);
            let rest: Vec<Vec<u8>> = scan.map(|entry| entry.unwrap().key().to_vec()).collect();
            assert!(rest == [b"k7"] || first.key() == b"k7" && rest.is_empty(), "{rest:?}");
        }
    }
}

#[test]
fn an_entry_that_was_taken_is_shown_until_it_expires() {
    let (clock, hand) = Clock::manual(1_000_000);
    let store = Store::with_clock(Options::new(), clock).unwrap();
    let ttl = std::time::Duration::from_millis(10);
    store.set_with("k", "v", &SetOptions::default().ttl(ttl)).unwrap();
    store.set("l", "v").unwrap();
    let mut scan = store.scan(&ScanOptions::new().order(Order::Asc)).unwrap();
    let (k, l) = (scan.try_next().unwrap().unwrap(), scan.try_next().unwrap().unwrap());
    hand.advance_ms(9);
    assert!(scan.still_shows(&k).unwrap() && scan.still_shows(&l).unwrap());
    hand.advance_ms(1);
    assert!(!scan.still_shows(&k).unwrap() && scan.still_shows(&l).unwrap());
    store.shutdown().unwrap();
    assert_eq!(scan.still_shows(&l).unwrap_err().status(), Status::Closed);
}

#[test]
fn a_scan_ends_with_the_contents_it_began_with() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("scan-{}.kvs", std::process::id()));
    for ordered in [false, true] {
        let store = store(ordered);
        for n in 0..1_000 {
            store.set(format!("k{n}"), "v").unwrap();
        }
        store.snapshot(Some(&path)).unwrap();
        for order in ORDERS {
            let mut scan = store.scan(&ScanOptions::new().prefix("k").order(order)).unwrap();
            scan.try_next().unwrap().unwrap();
            store.restore(&path).unwrap();
            assert_eq!(scan.try_next().unwrap_err().status(), Status::Conflict);
            assert_eq!(scan.try_next().unwrap_err().status(), Status::Conflict);
            assert!(scan.next().is_none());
            assert_eq!(keys(&store, &ScanOptions::new().order(order)).len(), 1_000);
        }
        let mut open = store.scan(&ScanOptions::new().limit(2)).unwrap();
        let mut ended = store.scan(&ScanOptions::new().prefix("x")).unwrap();
        open.try_next().unwrap().unwrap();
        assert!(ended.try_next().unwrap().is_none());
        store.shutdown().unwrap();
        for scan in [&mut open, &mut ended] {
            assert_eq!(scan.try_next().unwrap_err().status(), Status::Closed);
        }
        assert!(store.scan(&ScanOptions::new()).is_err());
    }
    std::fs::remove_file(path).unwrap();
}

/// With batches as the only writers, whoever reads `a` and then `b` never sees an older `b`.
#[test]
fn a_batch_is_seen_as_a_whole() {
    let store = store(true);
    let names: Vec<String> = (0..8).map(|n| format!("n{n}")).collect();
    let write = |round: u64| {
        let mut batch = Batch::new();
        for name in &names {
            batch.del(name).set(name, round.to_string());
        }
        store.write(&batch).unwrap();
    };
    write(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (store, names, done) = (&store, &names, &done);
            scope.spawn(move || {
                let mut last = 0;
                while !done.load(Relaxed) {
                    for name in names.iter().cycle().skip(reader * 3).take(names.len()) {
                        let read = store.get_with(name, |value| value.to_vec()).unwrap().unwrap();
                        let round: u64 = String::from_utf8(read).unwrap().parse().unwrap();
                        assert!(round >= last, "{name} is of round {round}, after {last}");
                        last = round;
                    }
                }
            });
        }
        (1..3_000).for_each(write);
        done.store(true, Relaxed);
    });
    store.validate();
}

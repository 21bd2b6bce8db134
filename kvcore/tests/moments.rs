//! Scans of one moment: what they show while everything changes, and what ends them.

#![allow(clippy::unwrap_used)]
#![cfg(not(kv_shuttle))]
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use kvcore::{
    Batch, Clock, Entry, Expiry, Options, Order, Result, Scan, ScanOptions, SetOptions, Status,
    Store,
};
use proptest::prelude::*;

const ORDERS: [Order; 3] = [Order::None, Order::Asc, Order::Desc];

fn open(options: &[(&str, &str)]) -> Store {
    let options =
        options.iter().fold(Options::new(), |all, (name, value)| all.with(name, value).unwrap());
    Store::memory(options).unwrap()
}

/// Sets so many keys to a value.
fn fill(store: &Store, count: usize, value: &str) {
    for n in 0..count {
        store.set(format!("k{n:03}"), value).unwrap();
    }
}

fn moment(store: &Store, order: Order) -> Scan {
    store.scan(&ScanOptions::new().order(order).point_in_time()).unwrap()
}

/// What is there now.
fn contents(store: &Store) -> BTreeMap<Vec<u8>, (Vec<u8>, u64)> {
    collected(store.scan(&ScanOptions::new()).unwrap(), Order::None)
}

/// What a scan gives, of which no key comes twice, in its order.
fn collected(
    scan: impl Iterator<Item = Result<Entry>>,
    order: Order,
) -> BTreeMap<Vec<u8>, (Vec<u8>, u64)> {
    let (mut all, mut last) = (BTreeMap::new(), None);
    for entry in scan {
        let entry = entry.unwrap();
        let (key, version) = (entry.key().to_vec(), entry.version());
        match (order, last.replace(key.clone())) {
            (Order::Asc, Some(last)) => assert!(last < key),
            (Order::Desc, Some(last)) => assert!(last > key),
            _ => {}
        }
        let again = all.insert(key, (entry.value().to_vec(), version));
        assert!(again.is_none(), "{:?} came twice", entry.key().escape_ascii().to_string());
    }
    all
}

fn status(scan: &mut Scan) -> Status {
    scan.try_next().unwrap_err().status()
}

/// Some of everything that changes entries, picked by a number.
fn change(store: &Store, number: u64) {
    let key = |n: u64| {
        format!("k{:04}", (number.wrapping_mul(2_654_435_761) >> 7).wrapping_add(n) % 1_500)
    };
    match number % 13 {
        0 => drop(store.set(key(0), "v".repeat(number as usize % 300)).unwrap()),
        1 => drop(store.set(key(0), "large".repeat(1_000 + number as usize % 500)).unwrap()),
        2 => drop(store.del(key(0)).unwrap()),
        3 => drop(store.take(key(0)).unwrap()),
        4 | 5 => drop(store.append(key(0), "and more ".repeat(1 + number as usize % 200)).unwrap()),
        6 => drop(store.expire(key(0), 1_000_000).unwrap()),
        7 => drop(store.persist(key(0)).unwrap()),
        8 => drop(store.incr(format!("n{}", number % 40), 1, Expiry::Default).unwrap()),
        9 => drop(store.set_many(&[(key(0), "x"), (key(1), "y"), (key(2), "z")], Expiry::Default)),
        10 => {
            let mut batch = Batch::new();
            batch.set(key(0), "batch").del(key(1)).expire(key(2), 9_000);
            store.write(&batch).unwrap();
        }
        11 => store
            .transact(&[key(0), key(1)], |keys| {
                let value = keys.get(key(0))?.map(<[u8]>::to_vec).unwrap_or_default();
                keys.del(key(0))?;
                keys.set(key(1), value, Expiry::Default)
            })
            .unwrap(),
        _ => drop(store.set(format!("new{number}"), "new").unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// So many entries that a scan reads them in many parts, and changes of every kind between its steps.
    #[test]
    fn every_entry_comes_as_it_was(
        ordered: bool,
        evicts: bool,
        order in prop::sample::select(&ORDERS[..]),
        seed in any::<u32>(),
        changes in 1u64..6,
    ) {
        let limit = if evicts { "1400" } else { "0" };
        let store = open(&[
            ("shards", "2"),
            ("ordered_index", &ordered.to_string()),
            ("eviction", "random"),
            ("max_entries", limit),
        ]);
        let mut number = u64::from(seed);
        for _ in 0..4_000 {
            number += 1;
            change(&store, number);
        }
        let want = contents(&store);
        let mut scan = moment(&store, order);
        // A second one of another moment, and a snapshot, want images of their own.
        let second = (contents(&store), moment(&store, Order::None));
        let beside = std::iter::from_fn(|| {
            for _ in 0..changes {
                number += 1;
                change(&store, number);
            }
            scan.next()
        });
        prop_assert!(collected(beside, order) == want);
        prop_assert!(collected(second.1, Order::None) == second.0);
        store.validate();
    }
}

#[test]
fn keys_only_and_bounds_hold_for_what_changed_too() {
    for ordered in ["false", "true"] {
        let store = open(&[("ordered_index", ordered)]);
        let names = |range: std::ops::Range<u32>| range.map(|n| format!("k{n:03}").into_bytes());
        for name in names(0..100) {
            store.set(name, "v").unwrap();
        }
        for order in ORDERS {
            let options = ScanOptions::new().start("k010").end("k090").order(order).point_in_time();
            let mut keys = store.scan(&options.clone().keys_only()).unwrap();
            let limited = store.scan(&options.limit(7)).unwrap();
            let first = keys.next().unwrap().unwrap();
            for name in names(0..120) {
                store.set(name, "longer than before").unwrap();
            }
            let mut all = vec![first.into_parts().0];
            all.extend(keys.map(|entry| {
                let (key, value) = entry.unwrap().into_parts();
                assert!(value.is_none());
                key
            }));
            match order {
                Order::None => all.sort(),
                Order::Asc => {}
                Order::Desc => all.reverse(),
            }
            assert!(all.into_iter().eq(names(10..90)));
            assert_eq!(collected(limited, order).len(), 7);
        }
    }
}

/// Two scans and a snapshot show the moments at which they began, beside writers.
#[test]
fn moments_beside_writers_and_a_snapshot() {
    const KEYS: u64 = 3_000;
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = path.join(format!("moments-{}.kvs", std::process::id()));
    let store = open(&[("shards", "4"), ("ordered_index", "true")]);
    // Every round sets all keys of a writer to one number, in one step each for a pair of keys.
    let round = |writer: u64, round: u64| {
        for n in (writer..KEYS).step_by(2) {
            let pair = [format!("a{n}"), format!("b{n}")].map(|key| (key, round.to_string()));
            store.set_many(&pair, Expiry::Default).unwrap();
        }
    };
    (0..2).for_each(|writer| round(writer, 0));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (round, done) = (&round, &done);
            scope.spawn(move || {
                (1..).take_while(|_| !done.load(Relaxed)).for_each(|n| round(writer, n));
            });
        }
        for n in 0..9 {
            let other = moment(&store, ORDERS[(n + 1) % 3]);
            let order = ORDERS[n % 3];
            for all in [collected(moment(&store, order), order), collected(other, Order::None)] {
                assert_eq!(all.len() as u64, KEYS * 2);
                for (key, value) in &all {
                    let partner = [if key[0] == b'a' { b"b" } else { b"a" }, &key[1..]].concat();
                    assert_eq!(all[&partner].0, value.0, "half of a batch");
                }
                // Of one writer some keys are of a round and the rest, which come later, of the one before.
                for writer in 0..2 {
                    let rounds = (writer..KEYS).step_by(2).map(|n| {
                        let text = &all[format!("a{n}").as_bytes()].0;
                        std::str::from_utf8(text).unwrap().parse::<u64>().unwrap()
                    });
                    let rounds: Vec<u64> = rounds.collect();
                    assert!(rounds.iter().rev().is_sorted());
                    assert!(rounds[0] - rounds[rounds.len() - 1] <= 1, "two moments");
                }
            }
            if n % 4 == 0 {
                let info = store.snapshot(Some(&path)).unwrap();
                assert_eq!(info.entries, KEYS * 2);
            }
        }
        done.store(true, Relaxed);
    });
    store.validate();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_scan_that_may_not_keep_enough_says_so() {
    for order in ORDERS {
        let store = open(&[("scan_buffer_bytes", "4KiB"), ("shards", "1")]);
        fill(&store, 1_000, "v");
        // What has been given, and what is not wanted, counts nothing.
        let mut scan = moment(&store, order);
        for _ in 0..1_000 {
            let key = scan.try_next().unwrap().unwrap().into_parts().0;
            store.set(key, "changed").unwrap();
            store.set("k500", "again").unwrap();
            store.set("new", "changed").unwrap();
        }
        assert!(scan.try_next().unwrap().is_none());
        let elsewhere = ScanOptions::new().prefix("x").order(order).point_in_time();
        let mut unaware = store.scan(&elsewhere).unwrap();
        let mut scan = moment(&store, order);
        fill(&store, 1_000, "w");
        let error = scan.try_next().unwrap_err();
        assert_eq!(error.status(), Status::Conflict);
        assert!(error.message().contains("scan_buffer_bytes"), "{error}");
        assert_eq!(status(&mut scan), Status::Conflict);
        assert!(unaware.try_next().unwrap().is_none());
        // An option for scans that begin from now on.
        store.configure("scan_buffer_bytes", "1MiB").unwrap();
        let mut scan = moment(&store, order);
        fill(&store, 1_000, "x");
        assert!(collected(scan.by_ref(), order).values().all(|(value, _)| value != b"x"));
    }
}

#[test]
fn clearing_ends_a_moment_and_a_restore_says_so() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = path.join(format!("cleared-{}.kvs", std::process::id()));
    for order in ORDERS {
        let store = open(&[]);
        fill(&store, 500, "v");
        store.snapshot(Some(&path)).unwrap();
        let mut scan = moment(&store, order);
        scan.try_next().unwrap().unwrap();
        store.clear().unwrap();
        let error = scan.try_next().unwrap_err();
        assert_eq!(error.status(), Status::Conflict);
        assert!(error.message().contains("cleared"), "{error}");
        let mut scan = moment(&store, order);
        store.restore(&path).unwrap();
        let error = scan.try_next().unwrap_err();
        assert_eq!(error.status(), Status::Conflict);
        assert!(error.message().contains("restore"), "{error}");
        assert_eq!(collected(moment(&store, order), order).len(), 500);
        let mut scan = moment(&store, order);
        store.shutdown().unwrap();
        assert_eq!(status(&mut scan), Status::Closed);
        assert_eq!(
            store.scan(&ScanOptions::new().point_in_time()).unwrap_err().status(),
            Status::Closed
        );
    }
    std::fs::remove_file(path).unwrap();
}

/// What a scan keeps is let go of when it ends, by itself, at its limit or by an error, and when it is
/// dropped. Values that somebody holds are counted as pinned.
#[test]
fn nothing_is_kept_for_a_scan_that_is_over() {
    for order in ORDERS {
        let store = open(&[("shards", "2")]);
        let fill = |letter: &str| fill(&store, 200, &letter.repeat(5_000));
        let pinned = || store.stats().unwrap().pinned_bytes;
        fill("a");
        let options = ScanOptions::new().order(order).point_in_time();
        let dropped = moment(&store, order);
        let mut limited = store.scan(&options.limit(2)).unwrap();
        let mut ended = moment(&store, order);
        let mut cleared = moment(&store, order);
        fill("b");
        assert!(pinned() > 0);
        drop(dropped);
        assert_eq!((0..2).filter(|_| limited.try_next().unwrap().is_some()).count(), 2);
        assert_eq!(collected(ended.by_ref(), order).len(), 200);
        store.clear().unwrap();
        assert_eq!(status(&mut cleared), Status::Conflict);
        assert_eq!(pinned(), 0);
        fill("c");
        fill("d");
        assert_eq!(pinned(), 0, "something is kept for a scan that is over");
        drop((limited, ended, cleared));
    }
}

#[test]
fn what_expires_after_the_moment_does_not_come() {
    for order in ORDERS {
        let (clock, hand) = Clock::manual(1_000_000);
        let store = Store::with_clock(Options::new(), clock).unwrap();
        let ttl = |ms| SetOptions::default().ttl(Duration::from_millis(ms));
        store.set_with("short", "v", &ttl(10)).unwrap();
        store.set_with("prolonged", "v", &ttl(10)).unwrap();
        store.set_with("shortened", "v", &ttl(1_000)).unwrap();
        store.set_with("replaced", "v", &ttl(1_000)).unwrap();
        let scan = moment(&store, order);
        store.expire("prolonged", 9_000).unwrap();
        store.expire("shortened", 5).unwrap();
        store.set_with("replaced", "w", &ttl(5)).unwrap();
        hand.advance_ms(10);
        store.purge_expired().unwrap();
        let keys: Vec<_> = collected(scan, order).into_keys().collect();
        assert_eq!(keys, [&b"replaced"[..], b"shortened"]);
    }
}

//! Scans of one moment beside writers: each shows what was there at one moment, under every interleaving.
//!
//! The mistake that is planted in the engine (`kvcore/src/planted.rs`) must be found by the scene for it.

use kvcore::{Order, Planted, ScanOptions};

use super::reads::{check, finds};
use super::*;

/// All keys and values that a scan gives, sorted and in one word.
fn shown(scan: kvcore::Scan) -> String {
    let mut all: Vec<String> = scan
        .map(|entry| {
            let entry = entry.unwrap();
            [entry.key(), entry.value()].concat().escape_ascii().to_string()
        })
        .collect();
    all.sort();
    all.concat()
}

/// A group and a deletion; a scan, and a second one of which most are dropped half way.
fn a_group_goes(order: Order) {
    let (store, _) = open(&[("shards", "2")]);
    let both = |store: &Store, value| {
        store.set_many(&[("a", value), ("b", value)], Expiry::Default).unwrap();
    };
    both(&store, "1");
    parts![
        store: {
            both(&store, "2");
            store.del("a").unwrap();
        },
        store: {
            let options = ScanOptions::new().order(order).point_in_time();
            let scan = store.scan(&options).unwrap();
            let mut dropped = store.scan(&options).unwrap();
            dropped.try_next().unwrap();
            drop(dropped);
            let shown = shown(scan);
            assert!(["a1b1", "a2b2", "b2"].contains(&shown.as_str()), "two moments: {shown}");
        },
    ];
    store.validate();
}

#[test]
fn a_walk_shows_one_moment() {
    check(|| a_group_goes(Order::None));
    finds(Planted::NothingLeft, || a_group_goes(Order::None));
}

#[test]
fn a_sorted_scan_shows_one_moment() {
    check(|| a_group_goes(Order::Asc));
    finds(Planted::NothingLeft, || a_group_goes(Order::Desc));
}

#[test]
fn a_clear_meanwhile_is_told() {
    check(|| {
        let (store, _) = open(&[("shards", "2")]);
        store.set_many(&[("a", "1"), ("b", "1")], Expiry::Default).unwrap();
        parts![
            store: { store.clear().unwrap(); store.set("c", "3").unwrap(); },
            store: {
                let scan = store.scan(&ScanOptions::new().point_in_time()).unwrap();
                let entries: Result<Vec<_>, _> = scan.collect();
                match entries {
                    Ok(entries) => assert!(matches!(entries.len(), 0..=2)),
                    Err(error) => assert_eq!(error.status(), Status::Conflict),
                }
            },
        ];
        store.validate();
    });
}

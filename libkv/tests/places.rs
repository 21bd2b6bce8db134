//! One program on every place: in memory, in a directory, on a server and on a server behind a near cache.
//!
//! They need `redis-server` or `valkey-server`, which `cargo xtask test` installs.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

// The servers of the tests of `kvremote`, which use more of them.
#[allow(dead_code)]
#[path = "../../kvremote/tests/remote/servers.rs"]
mod servers;

use std::collections::BTreeSet;
use std::time::Duration;

use libkv::{
    Batch, BatchOutcome, Expiry, Options, Remaining, ScanOptions, SetOptions, SetOutcome, Status,
    Store, WatchOptions, Watched, Within,
};

/// What any store does alike.
fn use_it(store: &Store) {
    let mut watch = store.watch(&WatchOptions::key("a")).unwrap();
    store.set(b"a", b"1").unwrap();
    let told = watch.next(Some(Duration::from_secs(10))).unwrap();
    assert!(matches!(told, Watched::Event(event) if event.key() == b"a"));
    watch.canceller().cancel();
    assert!(matches!(watch.try_next(), Ok(Watched::Cancelled)));

    assert_eq!(store.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(store.get_with(b"a", <[u8]>::len), Ok(Some(1)));
    assert_eq!(store.get_within(b"a", 9, <[u8]>::len), Ok(Some(Within::Read(1))));
    assert_eq!(store.get_within(b"a", 0, <[u8]>::len), Ok(Some(Within::Longer(1))));
    let mut buffer = [0; 4];
    assert_eq!(store.get_into(b"a", &mut buffer), Ok(Some(1)));
    assert_eq!(
        store.set_with(b"a", b"2", &SetOptions::default().if_absent()),
        Ok(SetOutcome::Exists)
    );
    assert_eq!(store.incr(b"a", 5, Expiry::Default), Ok(6));
    assert_eq!(store.append(b"a", b"0"), Ok(2));
    assert_eq!((store.expire(b"a", 600_000), store.persist(b"a")), (Ok(true), Ok(true)));
    assert_eq!(store.ttl(b"a"), Ok(Some(Remaining::Never)));

    let mut batch = Batch::new();
    batch.set("b", "2").set("c", "3").del("gone");
    assert_eq!(store.write(&batch), Ok(BatchOutcome::Applied { applied: 2, missing: 1 }));
    store.set_many(&[("d", "4"), ("e", "5")], Expiry::Default).unwrap();
    let mut seen = Vec::new();
    store.get_many_with(&["d", "gone"], |_, value| seen.push(value.is_some())).unwrap();
    assert_eq!(seen, [true, false]);
    let scan = store.scan(&ScanOptions::new()).unwrap();
    let keys: BTreeSet<Vec<u8>> = scan.map(|entry| entry.unwrap().key().to_vec()).collect();
    assert_eq!(keys.len(), 5);
    let walked: BTreeSet<Vec<u8>> = store.keys().unwrap().map(Result::unwrap).collect();
    assert_eq!(walked, keys);
    assert_eq!(store.len(), Ok(5));
    assert!(store.stats().unwrap().entries >= 5);
    assert!(store.stats_text("json").unwrap().contains("\"entries\""));
    assert_eq!(store.take(b"a").unwrap().as_deref(), Some(&b"60"[..]));
    assert_eq!(store.del_many(&["b", "c", "gone"]), Ok(2));
    assert_eq!((store.exists(b"d"), store.del(b"d")), (Ok(true), Ok(true)));
    store.clear().unwrap();
    assert_eq!(store.is_empty(), Ok(true));
    assert!(store.last_fault().is_none() && !store.is_forked());
    assert_eq!(store.check(), Ok(()));
    store.shutdown().unwrap();
    assert_eq!(store.check().map_err(|e| e.status()), Err(Status::Closed));
    assert_eq!(store.get(b"a").map(drop).map_err(|e| e.status()), Err(Status::Closed));
}

fn open(location: &str) -> Store {
    Store::open(location, Options::new()).unwrap()
}

#[test]
fn in_memory() {
    let store = open(":memory:");
    assert!(store.capabilities().versions);
    use_it(&store);
}

#[test]
fn in_a_directory() {
    let folder = std::env::temp_dir().join(format!("libkv-places-{}", std::process::id()));
    let store = open(folder.to_str().unwrap());
    assert_eq!((store.directory(), store.is_remote()), (Some(folder.as_path()), false));
    use_it(&store);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn on_a_server() {
    let store = open(&format!("valkey://{}/?prefix=places:", servers::one().address()));
    assert!(!store.capabilities().versions);
    assert!(store.is_remote() && store.directory().is_none());
    assert_eq!(store.sync().map_err(|e| e.status()), Err(Status::Unsupported));
    assert_eq!(store.recovery().map(drop).map_err(|e| e.status()), Err(Status::Unsupported));
    assert_eq!(store.snapshot(None).map(drop).map_err(|e| e.status()), Err(Status::Unsupported));
    use_it(&store);
}

#[test]
fn on_a_server_behind_a_near_cache() {
    let query = "prefix=near-places:&near=1MiB";
    let store = open(&format!("valkey://{}/?{query}", servers::one().address()));
    servers::wait_until("the listener is confirmed", || store.near_stats().confirmed);
    store.set(b"hot", b"1").unwrap();
    servers::wait_until("a read is answered near", || {
        store.get(b"hot").unwrap();
        store.near_stats().hits > 0
    });
    store.del(b"hot").unwrap();
    let (stats, near) = (store.stats().unwrap(), store.near_stats());
    assert!(stats.near_fills > 0 && stats.near_hits > 0);
    assert!(near.fills >= stats.near_fills && near.hits >= stats.near_hits);
    use_it(&store);
}

#[test]
fn a_panic_in_a_binding_stops_the_store() {
    for store in [open(":memory:"), open(&format!("valkey://{}", servers::one().address()))] {
        store.poison("planted");
        assert_eq!(store.set(b"k", b"v").map_err(|e| e.status()), Err(Status::Poisoned));
        assert_eq!(store.last_fault().map(|fault| fault.status()), Some(Status::Panic));
    }
}

//! What a cluster does beyond the cases.

use std::collections::BTreeSet;

use kvcore::{Batch, BatchOutcome, Expiry, ScanOptions, Status, WatchOptions, Watched};
use kvremote::RemoteStore;

use crate::servers::{Cluster, Server, cluster, wait_until};
use crate::single::next;

#[test]
fn a_batch_of_two_slots_is_refused_before_anything_is_sent() {
    let store = cluster().open("prefix=cross:");
    let mut batch = Batch::new();
    batch.set("alpha", "1").set("beta", "2");
    let error = store.write(&batch).unwrap_err();
    assert_eq!(error.status(), Status::CrossSlot);
    assert!(error.message().contains("'alpha'") && error.message().contains("'beta'"), "{error}");
    assert_eq!(store.len(), Ok(0));
    let mut batch = Batch::new();
    batch.set("{user42}:a", "1").set("{user42}:b", "2").del("{user42}:c");
    let outcome = store.write(&batch).unwrap();
    assert_eq!(outcome, BatchOutcome::Applied { applied: 2, missing: 1 });
    store.clear().unwrap();
}

#[test]
fn many_keys_of_all_masters() {
    let store = cluster().open("prefix=many:");
    let items: Vec<(String, String)> =
        (0..3000).map(|number| (format!("k{number}"), format!("v{number}"))).collect();
    store.set_many(&items, Expiry::Default).unwrap();
    let keys: Vec<&String> = items.iter().map(|(key, _)| key).collect();
    let values = store.get_many(&keys).unwrap();
    for ((_, expected), value) in items.iter().zip(values) {
        assert_eq!(value.as_deref(), Some(expected.as_bytes()));
    }
    let scan = store.scan(&ScanOptions::new().keys_only()).unwrap();
    let scanned: BTreeSet<Vec<u8>> = scan.map(|entry| entry.unwrap().key().to_vec()).collect();
    let expected: BTreeSet<Vec<u8>> =
        items.iter().map(|(key, _)| key.as_bytes().to_vec()).collect();
    assert_eq!(scanned, expected);
    assert_eq!(store.len(), Ok(3000));
    assert_eq!(store.del_many(&keys[..1000]), Ok(1000));
    store.clear().unwrap();
    assert_eq!(store.len(), Ok(0));
}

#[test]
fn a_key_that_is_too_long_is_refused_before_anything_is_read() {
    let store = cluster().open("prefix=long:&max_key_bytes=8");
    let error = store.get_many(&["short", "too long a key"]).unwrap_err();
    assert_eq!(error.status(), Status::TooLarge);
    assert_eq!(store.stats().unwrap().gets, 0);
}

#[test]
fn a_watch_sees_every_master() {
    let store = cluster().open("prefix=watched:");
    let mut watch = store.watch(&WatchOptions::all()).unwrap();
    let keys: BTreeSet<Vec<u8>> =
        (0..300).map(|number| format!("k{number}").into_bytes()).collect();
    for key in &keys {
        store.set(key, "v").unwrap();
    }
    let mut seen = BTreeSet::new();
    while seen.len() < keys.len() {
        match next(&mut watch) {
            Watched::Event(event) => seen.insert(event.key().to_vec()),
            other => panic!("{other:?} after {} events", seen.len()),
        };
    }
    assert_eq!(seen, keys);
    store.clear().unwrap();
}

#[test]
fn replicas_confirm_changes_or_the_call_says_so() {
    let store = cluster().open("prefix=acks:&ack_replicas=1");
    store.set("k", "v").unwrap();
    assert_eq!(store.incr("n", 5, Expiry::Default), Ok(5));
    let mut batch = Batch::new();
    batch.set("{k}1", "v").del("{k}2");
    assert_eq!(store.write(&batch), Ok(BatchOutcome::Applied { applied: 1, missing: 1 }));
    let store = cluster().open("prefix=acks:&ack_replicas=5&timeout=5s");
    let error = store.set("k", "w").unwrap_err();
    assert_eq!(error.status(), Status::Io);
    assert!(error.message().contains("1 of 5"), "{error}");
}

/// Reads until each master is asked by a connection that a caller uses by itself. Those speak the older protocol.
fn with_lines(cluster: &Cluster, store: &RemoteStore, keys: &[String]) {
    let has_line = |server: &Server| {
        let clients = server.say(&["CLIENT", "LIST"]);
        clients.lines().any(|client| client.contains("cmd=get ") && client.contains("resp=2"))
    };
    wait_until("callers have connections of their own", || {
        store.get_many(keys).unwrap();
        cluster.masters().iter().all(has_line)
    });
}

#[test]
fn slots_may_move_and_masters_die_between_two_readings_of_many_keys() {
    let cluster = Cluster::start();
    // What a replica has confirmed outlives its master.
    let acked = cluster.open("prefix=many:&ack_replicas=1");
    let items: Vec<(String, String)> =
        (0..300).map(|number| (format!("k{number}"), format!("v{number}"))).collect();
    acked.set_many(&items, Expiry::Default).unwrap();
    let keys: Vec<String> = items.iter().map(|(key, _)| key.clone()).collect();
    let plain = cluster.open("prefix=many:&timeout=10s");
    let near = cluster.open("prefix=many:&timeout=10s&near=4MiB");
    wait_until("the listeners are confirmed", || near.near_stats().confirmed);
    let check = |store: &RemoteStore, what: &str| {
        let values = store.get_many(&keys).unwrap();
        for ((key, expected), value) in items.iter().zip(values) {
            assert_eq!(value.as_deref(), Some(expected.as_bytes()), "{key}, {what}");
        }
    };
    for store in [&plain, &near] {
        check(store, "at first");
    }
    with_lines(&cluster, &plain, &keys);
    check(&plain, "by the short way");
    cluster.move_slot("many:k150");
    for store in [&plain, &near] {
        check(store, "after a slot has moved");
    }
    with_lines(&cluster, &plain, &keys);
    cluster.kill_master(0);
    for store in [&plain, &near] {
        check(store, "after a master has died");
    }
}

#[test]
fn a_key_on_its_way_to_another_server_is_found() {
    // Slots that move would end the scans of other tests.
    let cluster = Cluster::start();
    let store = cluster.open("prefix=moving:");
    store.set("k", "1").unwrap();
    store.set("n", "1").unwrap();
    let name = |server: &Server| server.say(&["CLUSTER", "MYID"]);
    for key in ["moving:k", "moving:n"] {
        let slot = cluster.servers[0].say(&["CLUSTER", "KEYSLOT", key]);
        let has = |server: &&Server| {
            let mut connection = server.connection();
            redis::cmd("EXISTS").arg(key).query::<i64>(&mut connection).is_ok()
        };
        let masters = cluster.masters();
        let from = masters.iter().find(has).unwrap();
        let to = masters.iter().find(|server| !has(server)).unwrap();
        to.say(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &name(from)]);
        from.say(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &name(to)]);
        let port = to.port.to_string();
        from.say(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
        // Between the two servers: only who asks the new one is answered.
        let known = &key["moving:".len()..];
        assert_eq!(store.get(known).unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(store.incr(known, 1, Expiry::Default), Ok(2));
        assert_eq!(store.get_many(&[known]).unwrap()[0].as_deref(), Some(&b"2"[..]));
        for server in masters {
            server.say(&["CLUSTER", "SETSLOT", &slot, "NODE", &name(to)]);
        }
        assert_eq!(store.incr(known, 1, Expiry::Default), Ok(3));
    }
}

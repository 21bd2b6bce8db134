//! The near cache against real servers: what was told to have changed is not shown any more.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kvremote::RemoteStore;

use crate::servers::{Server, cluster, wait_until};

/// Keys that everybody reads and one writes.
const KEYS: usize = 4;

fn number(store: &RemoteStore, key: usize) -> u64 {
    let value = store.get(format!("k{key}")).unwrap();
    value.map_or(0, |value| std::str::from_utf8(&value).unwrap().parse().unwrap())
}

fn confirmed(store: RemoteStore) -> RemoteStore {
    wait_until("the listeners are confirmed", || store.near_stats().confirmed);
    store
}

/// A writer with a handle of its own and readers of one near cache: while it writes, no reader goes back; once it is
/// quiet, nobody is shown anything old.
fn race(open: impl Fn() -> RemoteStore, rounds: u64, between: impl Fn(u64)) {
    let (reading, writing) = (confirmed(open()), open());
    let (begun, done, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for reader in 0..8 {
            let (reading, begun, stop) = (&reading, &begun, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let seen = number(reading, reader % KEYS);
                    assert!(seen <= begun.load(Ordering::SeqCst), "a value from nowhere");
                }
            });
        }
        for round in 1..=rounds {
            begun.store(round, Ordering::SeqCst);
            for key in 0..KEYS {
                writing.set(format!("k{key}"), round.to_string()).unwrap();
            }
            done.store(round, Ordering::SeqCst);
            between(round);
            // Quiet: what was told is on its way, and arrives.
            for key in 0..KEYS {
                wait_until("a reader sees the last value", || number(&reading, key) == round);
                // And never the one before again.
                assert_eq!(number(&reading, key), round);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let stats = reading.near_stats();
    assert!(stats.hits > 0 && stats.fills > 0 && stats.invalidations > 0, "{stats:?}");
}

#[test]
fn nothing_old_is_shown_once_it_is_quiet() {
    race(|| cluster().open("prefix=near:&near=4MiB"), 40, |_| {});
}

#[test]
fn nothing_old_is_shown_after_killed_listeners() {
    let server = Server::start(&[]);
    race(
        || server.open("near=4MiB"),
        20,
        |round| {
            if round % 4 == 0 {
                server.say(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            }
        },
    );
}

#[test]
fn a_flush_empties_it() {
    let server = Server::start(&[]);
    let store = confirmed(server.open("near=1MiB"));
    store.set("k", "v").unwrap();
    assert!(store.get("k").unwrap().is_some());
    let before = store.near_stats().hits;
    assert!(store.get("k").unwrap().is_some());
    assert_eq!(store.near_stats().hits, before + 1);
    server.say(&["FLUSHALL"]);
    wait_until("the flush was told", || store.get("k").unwrap().is_none());
}

#[test]
fn a_silent_server_is_not_vouched_for() {
    let server = Server::start(&[]);
    let store = confirmed(server.open("near=1MiB&timeout=500ms"));
    store.set("k", "v").unwrap();
    assert!(store.get("k").unwrap().is_some());
    server.signal("-STOP");
    wait_until("the silence is noticed", || !store.near_stats().confirmed);
    assert!(store.get("k").is_err());
    server.signal("-CONT");
    wait_until("the server is back", || store.near_stats().confirmed);
    assert!(store.get("k").unwrap().is_some());
}

#[test]
fn whoever_writes_reads_what_was_written() {
    let store = confirmed(cluster().open("prefix=own:&near=1MiB"));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let key = format!("k{thread}");
                for round in 0..100i64 {
                    store.set(&key, round.to_string()).unwrap();
                    let read = || store.get(&key).unwrap();
                    assert_eq!(read().as_deref(), Some(round.to_string().as_bytes()));
                    assert_eq!(read().as_deref(), Some(round.to_string().as_bytes()));
                    assert_eq!(store.incr(&key, 1000, kvcore::Expiry::Default), Ok(round + 1000));
                    assert_eq!(read().as_deref(), Some((round + 1000).to_string().as_bytes()));
                    assert!(store.del(&key).unwrap());
                    assert!(read().is_none());
                }
            });
        }
    });
    let stats = store.near_stats();
    assert!(stats.memory_bytes <= 1 << 20, "{stats:?}");
}

#[test]
fn deadlines_hold_in_it() {
    let server = Server::start(&[]);
    let store = confirmed(server.open("near=1MiB"));
    let ttl = kvcore::SetOptions::default().ttl(std::time::Duration::from_millis(200));
    store.set_with("k", "v", &ttl).unwrap();
    let first = store.get("k").unwrap();
    let again = store.get("k").unwrap();
    if let (Some(first), Some(again)) = (first, again) {
        assert_eq!(first.expire_at_ms(), again.expire_at_ms());
    }
    std::thread::sleep(std::time::Duration::from_millis(201));
    assert!(store.get("k").unwrap().is_none());
}

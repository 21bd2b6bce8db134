//! The near cache against real servers: what was told to have changed is not shown any more.

use kvremote::RemoteStore;

use crate::race::{self, Race, Stores};
use crate::servers::{Cluster, Server, cluster, wait_until};

pub fn confirmed(store: RemoteStore) -> RemoteStore {
    wait_until("the listeners are confirmed", || store.near_stats().confirmed);
    store
}

fn stores(open: impl Fn(&str) -> RemoteStore) -> Stores {
    let near = || confirmed(open("prefix=race:&near=4MiB"));
    Stores { writing: near(), reading: near(), plain: open("prefix=race:") }
}

#[test]
fn nothing_old_is_shown_once_it_is_quiet() {
    race::run(&stores(|query| cluster().open(query)), 20, |_, _| {}).check();
}

#[test]
fn nothing_old_is_shown_after_killed_connections() {
    let server = Server::start(&[]);
    let kill =
        |_, _: &Race<'_>| drop(server.say(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]));
    let outcome = race::run(&stores(|query| server.open(query)), 8, kill);
    outcome.check();
    assert!(outcome.breaks > 0, "{outcome:?}");
}

#[test]
fn nothing_old_is_shown_after_moved_slots_and_flushes_and_lost_listeners() {
    // Slots that move would end the scans of other tests.
    let cluster = Cluster::start();
    let harm = |round, race: &Race<'_>| match round % 3 {
        0 => race.flush(|| cluster.flush()),
        1 => cluster.servers.iter().for_each(Server::kill_listeners),
        _ => cluster.move_slot(&format!("race:{}", race::key(round as usize % race::KEYS))),
    };
    let outcome = race::run(&stores(|query| cluster.open(query)), 12, harm);
    outcome.check();
    assert!(outcome.breaks > 0, "{outcome:?}");
}

#[test]
fn a_flush_empties_it() {
    let server = Server::start(&[]);
    let store = confirmed(server.open("near=1MiB"));
    store.set("k", "v").unwrap();
    assert!(store.get("k").unwrap().is_some());
    let before = store.near_stats().hits;
    // On a busy machine its listener may count as silent for a moment.
    wait_until("the near cache answers", || {
        store.get("k").unwrap().is_some() && store.near_stats().hits > before
    });
    server.say(&["FLUSHALL"]);
    wait_until("the flush was told", || store.get("k").unwrap().is_none());
}

#[test]
fn a_silent_server_is_not_vouched_for() {
    let server = Server::start(&[]);
    let store = confirmed(server.open("near=1MiB&timeout=5s"));
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

//! Which entry goes when room is needed: every policy through the public interface.
//!
//! Orders are asserted where a policy promises one, in a store of one shard. What all of them promise
//! is held under churn: limits are never passed, what was just written stays, and the store's own
//! invariants hold after each step.

#![allow(clippy::unwrap_used)]
#![cfg(not(kv_shuttle))]

use std::time::Duration;

use kvcore::{Clock, Expiry, ManualClock, Options, SetOptions, Status, Store};

const POLICIES: [&str; 6] = ["lru", "lfu", "random", "ttl", "s3fifo", "tinylfu"];

fn open(policy: &str, options: &[(&str, &str)]) -> (Store, ManualClock) {
    let (clock, hand) = Clock::manual(1_700_000_000_000);
    let all = [("eviction", policy)].into_iter().chain(options.iter().copied());
    let options =
        all.fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
    (Store::with_clock(options, clock).unwrap(), hand)
}

/// A store of one shard that holds so many entries.
fn small(policy: &str, max_entries: usize) -> (Store, ManualClock) {
    open(policy, &[("shards", "1"), ("max_entries", &max_entries.to_string())])
}

fn set(store: &Store, key: &str) {
    store.set(key, "v").unwrap();
    store.validate();
}

fn ttl(ms: u64) -> SetOptions {
    SetOptions::default().ttl(Duration::from_millis(ms))
}

fn hit(store: &Store, key: &str) {
    assert!(store.get(key).unwrap().is_some(), "{key} has gone");
}

/// What is there of these keys. Asking is not a use.
fn there<'a>(store: &Store, keys: &[&'a str]) -> Vec<&'a str> {
    keys.iter().copied().filter(|key| store.exists(key).unwrap()).collect()
}

/// Adds keys until every one of these has gone, and says in which order they went.
fn order_of_leaving<'a>(store: &Store, keys: &[&'a str]) -> Vec<&'a str> {
    let (mut left, mut order) = (there(store, keys), Vec::new());
    for n in 0.. {
        if left.is_empty() {
            break;
        }
        set(store, &format!("new {n}"));
        let now = there(store, &left);
        order.extend(left.iter().copied().filter(|key| !now.contains(key)));
        left = now;
    }
    order
}

#[test]
fn lru_evicts_in_the_order_of_the_last_use() {
    let (store, _) = small("lru", 5);
    let keys = ["a", "b", "c", "d", "e"];
    keys.iter().for_each(|key| set(&store, key));
    hit(&store, "b");
    set(&store, "a");
    hit(&store, "d");
    assert_eq!(order_of_leaving(&store, &keys), ["c", "e", "b", "a", "d"]);
}

#[test]
fn lru_counts_every_kind_of_use() {
    let (store, _) = small("lru", 8);
    let keys = ["set", "get", "many", "incr", "append", "expire", "exists", "none"];
    keys.iter().for_each(|key| store.set(key, "1").map(drop).unwrap());
    store.set("set", "longer than before").unwrap();
    hit(&store, "get");
    assert_eq!(store.get_many(&["many"]).unwrap().len(), 1);
    store.incr("incr", 1, Expiry::Default).unwrap();
    store.append("append", "1").unwrap();
    store.expire("expire", 600_000).unwrap();
    store.exists("exists").unwrap();
    let order = order_of_leaving(&store, &keys);
    assert_eq!(order, ["exists", "none", "set", "get", "many", "incr", "append", "expire"]);
}

#[test]
fn a_peek_is_no_use() {
    let (store, _) = small("lru", 2);
    set(&store, "a");
    set(&store, "b");
    assert_eq!(store.peek("a").unwrap().as_deref(), Some(&b"v"[..]));
    assert_eq!(store.peek_with("a", <[u8]>::len).unwrap(), Some(1));
    assert!(store.peek("none").unwrap().is_none());
    assert_eq!(store.stats().unwrap().hits, 0);
    set(&store, "c");
    assert!(!store.exists("a").unwrap() && store.exists("b").unwrap());
}

#[test]
fn bytes_are_the_same_with_a_limit_and_without() {
    for limit in ["0", "1GiB"] {
        let (store, _) = open("lru", &[("max_memory", limit)]);
        assert_eq!(store.memory_bytes().unwrap(), 0);
        (0..100).for_each(|number| set(&store, &format!("key {number}")));
        let bytes = store.memory_bytes().unwrap();
        assert_eq!(bytes, store.stats().unwrap().memory_bytes, "limit {limit}");
        assert!(bytes > 100 * "key 10v".len() as u64);
        store.shutdown().unwrap();
        assert_eq!(store.memory_bytes().unwrap_err().status(), Status::Closed);
    }
}

#[test]
fn lru_forgets_what_was_deleted_or_expired() {
    let (store, hand) = small("lru", 4);
    let keys = ["a", "b", "c", "d"];
    keys.iter().for_each(|key| set(&store, key));
    hit(&store, "a");
    store.del("b").unwrap();
    set(&store, "b");
    store.expire("c", 10).unwrap();
    hand.advance_ms(20);
    // The expired one makes room before any other has to go.
    set(&store, "e");
    assert_eq!(there(&store, &["a", "b", "d", "e"]), ["a", "b", "d", "e"]);
    assert_eq!(order_of_leaving(&store, &["a", "b", "d", "e"]), ["d", "a", "b", "e"]);
    assert_eq!(store.stats().unwrap().expired, 1);
}

#[test]
fn lfu_evicts_the_least_used_first() {
    let (store, _) = small("lfu", 4);
    for (key, uses) in [("a", 3), ("b", 1), ("c", 2), ("d", 5)] {
        set(&store, key);
        (0..uses).for_each(|_| hit(&store, key));
    }
    // Newcomers that are not used push each other out.
    set(&store, "e");
    assert_eq!(there(&store, &["a", "b", "c", "d", "e"]), ["a", "c", "d", "e"]);
    set(&store, "f");
    assert_eq!(there(&store, &["a", "c", "d", "e", "f"]), ["a", "c", "d", "f"]);
    for key in ["g", "h"] {
        set(&store, key);
        (0..9).for_each(|_| hit(&store, key));
    }
    assert_eq!(there(&store, &["a", "c", "d", "g", "h"]), ["a", "d", "g", "h"]);
}

#[test]
fn lfu_forgets_what_was_popular_once() {
    let (store, _) = small("lfu", 10);
    set(&store, "once popular");
    (0..15).for_each(|_| hit(&store, "once popular"));
    let mut added = 0;
    while store.exists("once popular").unwrap() {
        set(&store, &format!("k{added}"));
        added += 1;
        assert!(added < 2000, "it stays for ever");
    }
    assert!(added > 100, "it went after {added}");
}

#[test]
fn ttl_evicts_in_the_order_of_the_deadlines() {
    let (store, _) = small("ttl", 5);
    let ttls = [("a", 500_000), ("b", 200_000), ("c", 900_000), ("d", 300_000), ("e", 700_000)];
    for (key, ttl_ms) in ttls {
        store.set(key, "v").unwrap();
        store.expire(key, ttl_ms).unwrap();
    }
    store.expire("a", 1_000_000).unwrap();
    hit(&store, "b");
    let far = ttl(3_600_000);
    let mut order = Vec::new();
    for n in 0..5 {
        let before = there(&store, &["a", "b", "c", "d", "e"]);
        store.set_with(format!("far {n}"), "v", &far).unwrap();
        store.validate();
        order.extend(before.into_iter().filter(|key| !store.exists(key).unwrap()));
    }
    assert_eq!(order, ["b", "d", "e", "c", "a"]);
}

#[test]
fn ttl_evicts_entries_without_a_deadline_last() {
    let (store, _) = small("ttl", 3);
    set(&store, "a");
    set(&store, "b");
    store.set_with("c", "v", &ttl(600_000)).unwrap();
    set(&store, "d");
    assert_eq!(there(&store, &["a", "b", "c", "d"]), ["a", "b", "d"]);
    // None is left with a deadline: any may go, but for the one that is written.
    set(&store, "e");
    assert_eq!(there(&store, &["a", "b", "d", "e"]).len(), 3);
    hit(&store, "e");
}

/// Used keys among many that come once.
fn survivors(policy: &str, rounds: usize) -> usize {
    let (store, _) = small(policy, 100);
    let hot: Vec<String> = (0..20).map(|n| format!("hot {n}")).collect();
    for round in 0..rounds {
        for key in &hot {
            if store.get(key).unwrap().is_none() {
                store.set(key, "v").unwrap();
            }
        }
        for n in 0..40 {
            store.set(format!("once {round} {n}"), "v").unwrap();
        }
        store.validate();
    }
    for n in 0..1000 {
        store.set(format!("scan {n}"), "v").unwrap();
    }
    store.validate();
    hot.iter().filter(|key| store.exists(key).unwrap()).count()
}

#[test]
fn s3fifo_and_tinylfu_keep_what_is_used_through_a_scan() {
    assert!(survivors("s3fifo", 50) >= 10, "{}", survivors("s3fifo", 50));
    assert!(survivors("tinylfu", 50) >= 15, "{}", survivors("tinylfu", 50));
    assert_eq!(survivors("lru", 50), 0);
}

/// Sets, deletes, deadlines, appends and reads of random keys, of sizes that change.
fn churn(store: &Store, hand: &ManualClock, steps: usize, mut check: impl FnMut(&Store, &str)) {
    let mut random = fastrand::Rng::with_seed(7);
    for step in 0..steps {
        let key = format!("key {}", random.u32(0..300) * random.u32(0..300) / 300);
        let most = if step % 1000 < 500 { 100 } else { 6000 };
        let value = "v".repeat(random.usize(0..most));
        match random.u8(0..12) {
            0..5 => store.set(&key, &value).map(drop).unwrap(),
            5 => {
                let options = ttl(random.u64(1..500));
                store.set_with(&key, &value, &options).map(drop).unwrap();
            }
            6 => store.append(&key, "more").map(drop).unwrap(),
            7 => store.del(&key).map(drop).unwrap(),
            8 => store.expire(&key, random.i64(1..500)).map(drop).unwrap(),
            9 => hand.advance_ms(random.u64(0..20)),
            _ => store.get(&key).map(drop).unwrap(),
        }
        check(store, &key);
        if step % 8 == 0 {
            store.validate();
        }
    }
    store.clear().unwrap();
    store.validate();
}

#[test]
fn every_policy_holds_max_entries_through_churn() {
    for policy in POLICIES {
        for (shards, most) in [("1", 40), ("4", 100)] {
            let limit = most.to_string();
            let (store, hand) = open(policy, &[("shards", shards), ("max_entries", &limit)]);
            churn(&store, &hand, 3000, |store, _| assert!(store.len().unwrap() <= most));
            assert_eq!(store.stats().unwrap().memory_bytes, 0, "{policy}");
        }
    }
}

#[test]
fn every_policy_holds_max_memory_through_churn() {
    for policy in POLICIES {
        for shards in ["1", "4"] {
            let (store, hand) = open(policy, &[("shards", shards), ("max_memory", "100000")]);
            churn(&store, &hand, 3000, |store, _| {
                assert!(store.stats().unwrap().memory_bytes <= 100_000, "{policy}");
            });
            let stats = store.stats().unwrap();
            assert!(stats.evicted > 0 && stats.memory_bytes == 0, "{policy}: {stats:?}");
        }
    }
}

#[test]
fn every_policy_spares_what_is_being_written() {
    for policy in POLICIES {
        let (store, _) = small(policy, 3);
        for n in 0..500 {
            let key = format!("key {n}");
            set(&store, &key);
            hit(&store, &key);
            let many = [(format!("{key} a"), b"1"), (format!("{key} b"), b"2"), (key, b"3")];
            store.set_many(&many, Expiry::Default).unwrap();
            store.validate();
            for (key, value) in &many {
                assert_eq!(store.get(key).unwrap().as_deref(), Some(&value[..]), "{policy}");
            }
        }
    }
}

#[test]
fn every_policy_follows_a_limit_that_moves() {
    for policy in POLICIES {
        let (store, _) = small(policy, 200);
        for (round, limit) in [200u64, 10, 1, 50, 500, 3].into_iter().enumerate() {
            store.configure("max_entries", &limit.to_string()).unwrap();
            store.validate();
            assert!(store.len().unwrap() <= limit, "{policy}");
            for n in 0..limit * 3 {
                store.set(format!("{round} {n}"), "v").unwrap();
            }
            store.validate();
            assert_eq!(store.len().unwrap(), limit, "{policy}");
        }
    }
}

#[test]
fn a_batch_evicts_none_of_its_own_keys() {
    const HELD: usize = 300;
    for policy in POLICIES {
        for (shards, kept, new) in [("1", 298, 2), ("1", 200, 100), ("1", 0, 300), ("4", 290, 10)] {
            let (store, _hand) =
                open(policy, &[("shards", shards), ("max_entries", &HELD.to_string())]);
            let old: Vec<String> = (0..HELD).map(|n| format!("old {n}")).collect();
            for key in &old {
                store.set(key, "v").unwrap();
            }
            let added = (0..new).map(|n| format!("new {n}"));
            let batch: Vec<(String, &str)> =
                old[..kept].iter().cloned().chain(added).map(|key| (key, "w")).collect();
            store.set_many(&batch, Expiry::AfterMs(1_000)).unwrap();
            store.validate();
            for (key, value) in &batch {
                let held = store.get(key).unwrap().map(|held| held.to_vec());
                assert_eq!(held.as_deref(), Some(value.as_bytes()), "{policy}: {key}");
            }
            assert_eq!(store.len().unwrap(), HELD as u64, "{policy}");
        }
    }
}

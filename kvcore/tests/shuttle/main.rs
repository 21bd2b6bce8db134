//! Small scenes of two or three threads, under every kind of interleaving that shuttle tries.
//!
//! Runs only with `RUSTFLAGS="--cfg kv_shuttle" cargo test -p kvcore --test shuttle --release`: the
//! store's locks and atomics are shuttle's then. Each scene states what holds in every order.

#![allow(clippy::unwrap_used)]
#![cfg(kv_shuttle)]

use std::sync::Arc;

use kvcore::{
    Clock, DeleteOutcome, Expiry, ManualClock, Options, SetOptions, SetOutcome, Status, Store,
};
use shuttle::thread;

fn open(options: &[(&str, &str)]) -> (Arc<Store>, ManualClock) {
    let (clock, hand) = Clock::manual(1_700_000_000_000);
    let options = options
        .iter()
        .fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
    (Arc::new(Store::with_clock(options, clock).unwrap()), hand)
}

/// Tries a scene under many schedules.
fn check(scene: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(scene.clone(), 3000);
    shuttle::check_pct(scene, 2000, 3);
}

/// Runs the parts of a scene at once and gives back what they answer.
fn together<T: Send + 'static>(parts: Vec<Box<dyn FnOnce() -> T + Send>>) -> Vec<T> {
    let threads: Vec<_> = parts.into_iter().map(thread::spawn).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

macro_rules! parts {
    ($($store:ident: $body:expr),* $(,)?) => {
        together(vec![$({
            let $store = Arc::clone(&$store);
            Box::new(move || $body) as Box<dyn FnOnce() -> _ + Send>
        }),*])
    };
}

/// Scans of one moment beside writers.
mod moments;
/// Reads without the lock, which need the macro.
mod reads;
/// Watches beside writers and a store that closes.
mod watches;

#[test]
fn increments_add_up() {
    check(|| {
        let (store, _) = open(&[("shards", "2")]);
        let twice = |store: &Store| {
            store.incr("n", 1, Expiry::Default).unwrap();
            store.incr("n", 1, Expiry::Default).unwrap();
        };
        parts![store: twice(&store), store: twice(&store), store: twice(&store)];
        assert_eq!(&store.get("n").unwrap().unwrap()[..], b"6");
        store.validate();
    });
}

#[test]
fn appends_add_up() {
    check(|| {
        let (store, _) = open(&[("shards", "1")]);
        let append = |store: &Store| store.append("s", "x".repeat(3000)).unwrap();
        parts![store: append(&store), store: append(&store), store: append(&store)];
        assert_eq!(store.get("s").unwrap().unwrap().len(), 9000);
        store.validate();
    });
}

#[test]
fn a_token_is_taken_once() {
    check(|| {
        let (store, _) = open(&[("shards", "1")]);
        store.set("token", "t").unwrap();
        let taken = parts![
            store: store.take("token").unwrap().is_some(),
            store: store.take("token").unwrap().is_some(),
            store: store.del("token").unwrap(),
        ];
        assert_eq!(taken.into_iter().filter(|taken| *taken).count(), 1);
        store.validate();
    });
}

#[test]
fn one_compare_and_set_wins() {
    check(|| {
        let (store, _) = open(&[("shards", "1")]);
        let version = store.set("k", "0").unwrap();
        let try_it = move |store: &Store| {
            let options = SetOptions::default().if_version(version);
            matches!(store.set_with("k", "1", &options).unwrap(), SetOutcome::Stored { .. })
        };
        let won = parts![
            store: try_it(&store),
            store: try_it(&store),
            store: store.del_if("k", version).unwrap() == DeleteOutcome::Deleted,
        ];
        assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
        store.validate();
    });
}

#[test]
fn reads_never_go_back() {
    check(|| {
        let (store, _) = open(&[("shards", "1")]);
        let read = |store: &Store| {
            let seen: Vec<_> =
                (0..3).map(|_| store.get("k").unwrap().map(|v| v.version())).collect();
            assert!(seen.windows(2).all(|pair| pair[0] <= pair[1]), "{seen:?}");
        };
        parts![
            store: (0..3).for_each(|n| assert!(store.set("k", "v".repeat(n)).is_ok())),
            store: read(&store),
            store: read(&store),
        ];
    });
}

#[test]
fn a_limit_is_reached_exactly() {
    check(|| {
        let (store, _) = open(&[("shards", "2"), ("max_entries", "2")]);
        let set = |store: &Store, key: &str| {
            let stored = store.set(key, "v");
            assert!(store.len().unwrap() <= 2);
            stored.map_err(|error| assert_eq!(error.status(), Status::Full)).is_ok()
        };
        let stored = parts![
            store: set(&store, "a"),
            store: set(&store, "b"),
            store: set(&store, "c"),
        ];
        assert_eq!(stored.into_iter().filter(|stored| *stored).count(), 2);
        assert_eq!(store.len().unwrap(), 2);
        store.validate();
    });
}

#[test]
fn eviction_keeps_the_limit_and_refuses_nothing() {
    check(|| {
        let (store, _) = open(&[("shards", "2"), ("max_entries", "2"), ("eviction", "random")]);
        let set = |store: &Store, key: &str| {
            store.set(key, "v").unwrap();
            assert!(store.len().unwrap() <= 2);
        };
        parts![
            store: { set(&store, "a"); set(&store, "b") },
            store: { set(&store, "c"); set(&store, "d") },
            store: { set(&store, "e"); set(&store, "f") },
        ];
        let stats = store.stats().unwrap();
        assert_eq!(stats.entries + stats.evicted, 6);
        store.validate();
    });
}

#[test]
fn memory_keeps_its_limit() {
    check(|| {
        let (store, _) = open(&[("shards", "2"), ("max_memory", "12000"), ("eviction", "random")]);
        let set = |store: &Store, key: &str, len: usize| {
            let _ = store.set(key, vec![0; len]).map_err(|e| assert_eq!(e.status(), Status::Full));
            assert!(store.stats().unwrap().memory_bytes <= 12_000);
        };
        parts![
            store: { set(&store, "a", 3000); set(&store, "a", 6000) },
            store: { set(&store, "b", 5000); assert!(store.del("b").is_ok()) },
            store: { set(&store, "c", 4000); set(&store, "a", 10) },
        ];
        store.validate();
    });
}

#[test]
fn a_limit_lowered_meanwhile_holds_afterwards() {
    check(|| {
        let (store, _) = open(&[("shards", "2"), ("max_entries", "3"), ("eviction", "random")]);
        parts![
            store: { store.set("a", "v").unwrap(); store.set("b", "v").unwrap(); },
            store: { store.set("c", "v").unwrap(); store.set("d", "v").unwrap(); },
            store: {
                store.configure("max_entries", "1").unwrap();
                assert!(store.len().unwrap() <= 1);
            },
        ];
        assert!(store.len().unwrap() <= 1);
        store.validate();
    });
}

#[test]
fn a_limit_that_cannot_be_lowered_stays() {
    check(|| {
        let (store, _) = open(&[("shards", "2")]);
        let full = |error: kvcore::Error| assert_eq!(error.status(), Status::Full);
        let done = parts![
            store: store.set("a", "v").map(drop).map_err(full).is_ok(),
            store: store.set("b", "v").map(drop).map_err(full).is_ok(),
            store: store.configure("max_entries", "1").map_err(full).is_ok(),
        ];
        let stored = u64::from(done[0]) + u64::from(done[1]);
        assert_eq!(store.len().unwrap(), stored);
        assert!(stored == if done[2] { 1 } else { 2 }, "{done:?}");
        store.validate();
    });
}

#[test]
fn clear_beside_writes() {
    check(|| {
        let (store, _) = open(&[("shards", "2"), ("max_entries", "4")]);
        parts![
            store: { store.set("a", "v").unwrap(); store.incr("n", 1, Expiry::Default).unwrap(); },
            store: { store.set("b", "v").unwrap(); store.append("a", "w").unwrap(); },
            store: store.clear().unwrap(),
        ];
        store.validate();
        store.clear().unwrap();
        let stats = store.stats().unwrap();
        assert_eq!((stats.entries, stats.key_bytes, stats.value_bytes), (0, 0, 0));
        store.validate();
    });
}

#[test]
fn a_batch_is_stored_whole_or_not_at_all() {
    check(|| {
        let (store, _) = open(&[("shards", "2"), ("max_entries", "3")]);
        let results = parts![
            store: store.set_many(&[("a", "1"), ("b", "1")], Expiry::Default).is_ok(),
            store: store.set_many(&[("c", "2"), ("d", "2")], Expiry::Default).is_ok(),
        ];
        let there = |key: &str| store.exists(key).unwrap();
        assert_eq!((there("a"), there("b")), (results[0], results[0]));
        assert_eq!((there("c"), there("d")), (results[1], results[1]));
        assert!(results[0] != results[1], "one of them has room, and never both");
        store.validate();
    });
}

#[test]
fn overlapping_batches_do_not_deadlock() {
    check(|| {
        let (store, _) = open(&[("shards", "2")]);
        let write = |store: &Store, keys: [&str; 3], value: &str| {
            store.set_many(&keys.map(|key| (key, value)), Expiry::Default).unwrap();
        };
        parts![
            store: write(&store, ["a", "b", "c"], "1"),
            store: write(&store, ["c", "b", "a"], "2"),
        ];
        let values: Vec<_> =
            ["a", "b", "c"].map(|key| store.get(key).unwrap().unwrap().to_vec()).into();
        assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "two batches are mixed");
        store.validate();
    });
}

#[test]
fn expiry_beside_a_counter() {
    check(|| {
        let (store, hand) = open(&[("shards", "1")]);
        let short = SetOptions { expiry: Expiry::AfterMs(5), ..SetOptions::default() };
        store.set_with("n", "10", &short).unwrap();
        let counted: Vec<i64> = parts![
            store: store.incr("n", 1, Expiry::Default).unwrap(),
            store: { hand.advance_ms(5); store.purge_expired().unwrap(); 0i64 },
            store: { store.get("n").unwrap(); store.exists("n").unwrap(); 0i64 },
        ];
        // Before the deadline the counter goes on and then expires; after it a new one begins.
        match counted[0] {
            11 => assert!(!store.exists("n").unwrap()),
            1 => assert!(store.exists("n").unwrap()),
            other => panic!("{other}"),
        }
        assert_eq!(store.stats().unwrap().expired_pending, 0);
        store.validate();
    });
}

#[test]
fn expired_entries_make_room_beside_a_purge() {
    check(|| {
        let (store, hand) = open(&[("shards", "2"), ("max_entries", "2")]);
        let short = SetOptions { expiry: Expiry::AfterMs(5), ..SetOptions::default() };
        store.set_with("x", "v", &short).unwrap();
        store.set_with("y", "v", &short).unwrap();
        hand.advance_ms(5);
        parts![
            store: store.set("a", "v").map(drop).unwrap(),
            store: store.set("b", "v").map(drop).unwrap(),
            store: store.purge_expired().map(drop).unwrap(),
        ];
        assert_eq!(store.len().unwrap(), 2);
        assert_eq!(store.stats().unwrap().expired, 2);
        store.validate();
    });
}

#[test]
fn keys_that_stay_are_listed_once() {
    check(|| {
        let (store, _) = open(&[("shards", "2")]);
        for key in ["stay1", "stay2", "go1", "go2"] {
            store.set(key, "v").unwrap();
        }
        parts![
            store: {
                store.del("go1").unwrap();
                store.set("come", "v").unwrap();
                store.set("stay1", "longer").unwrap();
                store.del("go2").unwrap();
            },
            store: {
                let keys: Vec<_> = store.keys().unwrap().map(Result::unwrap).collect();
                assert_eq!(keys.iter().filter(|key| key.starts_with(b"stay")).count(), 2);
            },
        ];
        store.validate();
    });
}

#[test]
fn shutdown_beside_calls() {
    check(|| {
        let (store, _) = open(&[("shards", "1")]);
        let is_closed = |status: Status| assert_eq!(status, Status::Closed);
        store.set("there", "v").unwrap();
        parts![
            store: store.set("a", "v").map(drop).unwrap_or_else(|error| is_closed(error.status())),
            // What was there is there until the store is closed, though a shutdown empties it.
            store: match store.get("there") {
                Ok(value) => assert!(value.is_some()),
                Err(error) => is_closed(error.status()),
            },
            store: match store.set_with("there", "w", &SetOptions::default().if_absent()) {
                Ok(outcome) => assert_eq!(outcome, SetOutcome::Exists),
                Err(error) => is_closed(error.status()),
            },
            store: store.shutdown().unwrap(),
        ];
        assert_eq!(store.get("a").unwrap_err().status(), Status::Closed);
    });
}

/// Shuttle is shown to find what it is there for: an update that is lost between two calls.
#[test]
#[should_panic(expected = "planted")]
fn a_planted_race_is_found() {
    check(|| {
        let (store, _) = open(&[("shards", "1")]);
        store.set("n", "0").unwrap();
        let racy = |store: &Store| {
            let old: i64 =
                std::str::from_utf8(&store.get("n").unwrap().unwrap()).unwrap().parse().unwrap();
            store.set("n", (old + 1).to_string()).unwrap();
        };
        parts![store: racy(&store), store: racy(&store)];
        assert_eq!(&store.get("n").unwrap().unwrap()[..], b"2", "planted");
    });
}

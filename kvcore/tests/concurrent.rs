//! Many threads on one store: nothing lost, nothing torn, no limit passed.
//!
//! Plain threads and real time, so these are also the tests to run under ThreadSanitizer. What they
//! check holds whatever the order in which the threads run.

#![allow(clippy::unwrap_used)]
#![cfg(not(kv_shuttle))]
#![allow(clippy::disallowed_methods)]

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kvcore::{DeleteOutcome, Expiry, Options, SetOptions, SetOutcome, Status, Store};

const THREADS: u64 = 4;
/// Rounds of a thread, fewer where an instrumented build would take too long.
const ROUNDS: u64 = 5000;

fn store(options: &[(&str, &str)]) -> Store {
    let options = options
        .iter()
        .fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
    Store::memory(options).unwrap()
}

/// Runs `work` on all threads at once, with the thread's number, and gives back their results.
fn on_threads<T: Send>(work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || work(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Runs `work` on all threads, and `watch` over and over beside them until they are done.
fn watched(work: impl Fn(u64) + Sync, watch: impl Fn() + Sync) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                watch();
            }
        });
        // Also when the work panics, or the watcher would go on for ever.
        let worked = catch_unwind(AssertUnwindSafe(|| on_threads(work)));
        done.store(true, Ordering::Release);
        watcher.join().unwrap();
        worked.unwrap();
    });
}

#[test]
fn no_increment_is_lost() {
    let store = store(&[]);
    on_threads(|_| {
        for round in 0..ROUNDS {
            store.incr(format!("n{}", round % 4), 1, Expiry::Default).unwrap();
        }
    });
    for n in 0..4 {
        let sum = store.incr(format!("n{n}"), 0, Expiry::Default).unwrap();
        assert_eq!(sum as u64, THREADS * ROUNDS / 4);
    }
    store.validate();
}

#[test]
fn no_append_is_lost() {
    let store = store(&[]);
    let each = ROUNDS / 5;
    on_threads(|n| {
        for _ in 0..each {
            store.append("log", [n as u8]).unwrap();
        }
    });
    let log = store.get("log").unwrap().unwrap();
    for n in 0..THREADS {
        assert_eq!(log.iter().filter(|byte| **byte == n as u8).count() as u64, each);
    }
    store.validate();
}

#[test]
fn compare_and_set_loses_no_update() {
    let store = store(&[]);
    store.set("n", 0u64.to_le_bytes()).unwrap();
    let each = ROUNDS / 10;
    on_threads(|_| {
        for _ in 0..each {
            loop {
                let old = store.get("n").unwrap().unwrap();
                let next = u64::from_le_bytes(old[..].try_into().unwrap()) + 1;
                let options = SetOptions::default().if_version(old.version());
                match store.set_with("n", next.to_le_bytes(), &options).unwrap() {
                    SetOutcome::Stored { .. } => break,
                    SetOutcome::Conflict => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    });
    let total = store.get("n").unwrap().unwrap();
    assert_eq!(u64::from_le_bytes(total[..].try_into().unwrap()), THREADS * each);
}

#[test]
fn each_token_is_taken_once() {
    let store = store(&[]);
    for token in 0..ROUNDS {
        store.set(token.to_le_bytes(), token.to_le_bytes()).unwrap();
    }
    let taken = on_threads(|_| {
        let mut mine = Vec::new();
        for token in 0..ROUNDS {
            if let Some(value) = store.take(token.to_le_bytes()).unwrap() {
                mine.push(u64::from_le_bytes(value[..].try_into().unwrap()));
            }
        }
        mine
    });
    let mut all: Vec<u64> = taken.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..ROUNDS));
    assert_eq!(store.len().unwrap(), 0);
    store.validate();
}

#[test]
fn each_version_is_deleted_once() {
    let store = store(&[]);
    let deleted: u64 = on_threads(|_| {
        let mut mine = 0;
        for round in 0..ROUNDS {
            let key = (round % 16).to_le_bytes();
            let version = store.set(key, "v").unwrap();
            mine += u64::from(store.del_if(key, version).unwrap() == DeleteOutcome::Deleted);
        }
        mine
    })
    .iter()
    .sum();
    let stats = store.stats().unwrap();
    assert_eq!(stats.deletes, deleted);
    assert_eq!(stats.sets, THREADS * ROUNDS);
    store.validate();
}

#[test]
fn if_absent_has_one_winner() {
    let store = store(&[]);
    let wins: u64 = on_threads(|n| {
        let mut mine = 0;
        for round in 0..ROUNDS {
            let options = SetOptions::default().if_absent();
            let outcome = store.set_with(round.to_le_bytes(), [n as u8], &options).unwrap();
            mine += u64::from(matches!(outcome, SetOutcome::Stored { .. }));
        }
        mine
    })
    .iter()
    .sum();
    assert_eq!(wins, ROUNDS);
    assert_eq!(store.len().unwrap(), ROUNDS);
}

#[test]
fn no_version_is_given_twice() {
    let store = store(&[]);
    let versions = on_threads(|_| {
        let mut mine = Vec::new();
        for round in 0..ROUNDS {
            mine.push(store.set((round % 64).to_le_bytes(), "v").unwrap());
        }
        assert!(mine.windows(2).all(|pair| pair[0] < pair[1]), "versions of one thread rise");
        mine
    });
    let all: Vec<u64> = versions.concat();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert_eq!(store.stats().unwrap().revision, *all.iter().max().unwrap());
}

/// Values of many lengths, each of one repeated byte, so that a mixture shows.
#[test]
fn no_value_is_torn() {
    let store = store(&[("shards", "1")]);
    let value = |n: u64, round: u64| {
        let len = [1, 7, 8, 60, 1000, 5000, 20_000][(round % 7) as usize];
        vec![n as u8; len]
    };
    store.set("k", value(0, 0)).unwrap();
    let whole = |bytes: &[u8]| assert!(bytes.iter().all(|byte| *byte == bytes[0]), "torn value");
    watched(
        |n| {
            for round in 0..ROUNDS {
                store.set("k", value(n, round)).unwrap();
            }
        },
        || {
            whole(&store.get("k").unwrap().unwrap());
            store.get_with("k", whole).unwrap().unwrap();
            let mut buffer = [0; 32_000];
            let len = store.get_into("k", &mut buffer).unwrap().unwrap();
            whole(&buffer[..len]);
        },
    );
    store.validate();
}

#[test]
fn a_value_in_hand_never_changes() {
    let store = store(&[("shards", "1")]);
    let big = vec![7; 100_000];
    store.set("small", "seven").unwrap();
    store.set("big", &big).unwrap();
    let (small, large) = (store.get("small").unwrap().unwrap(), store.get("big").unwrap().unwrap());
    on_threads(|n| {
        for round in 0..ROUNDS / 10 {
            store.set("small", format!("{n}-{round}")).unwrap();
            store.set("big", vec![n as u8; 100_000]).unwrap();
            store.append("big", "more").unwrap();
            assert_eq!((&small[..], &large[..]), (&b"seven"[..], &big[..]));
        }
    });
    store.clear().unwrap();
    store.shutdown().unwrap();
    drop(store);
    assert_eq!((&small[..], &large[..]), (&b"seven"[..], &big[..]));
}

#[test]
fn max_entries_refuses_exactly() {
    let store = store(&[("max_entries", "100"), ("shards", "8")]);
    let balance = AtomicU64::new(0);
    watched(
        |n| {
            for round in 0..ROUNDS {
                let key = (n * 1000 + round % 200).to_le_bytes();
                match store.set_with(key, "v", &SetOptions::default().if_absent()) {
                    Ok(SetOutcome::Stored { .. }) => drop(balance.fetch_add(1, Ordering::SeqCst)),
                    Ok(_) => {
                        assert!(store.del(key).unwrap());
                        balance.fetch_sub(1, Ordering::SeqCst);
                    }
                    Err(error) => assert_eq!(error.status(), Status::Full),
                }
            }
        },
        || assert!(store.len().unwrap() <= 100, "more than max_entries"),
    );
    assert_eq!(store.len().unwrap(), balance.load(Ordering::SeqCst));
    store.validate();
}

#[test]
fn random_eviction_never_passes_max_entries() {
    let store = store(&[("max_entries", "100"), ("eviction", "random"), ("shards", "8")]);
    watched(
        |n| {
            for round in 0..ROUNDS {
                store.set((n * ROUNDS + round).to_le_bytes(), "v").unwrap();
            }
        },
        || assert!(store.len().unwrap() <= 100, "more than max_entries"),
    );
    let stats = store.stats().unwrap();
    assert_eq!(stats.entries + stats.evicted, THREADS * ROUNDS);
    store.validate();
}

#[test]
fn memory_never_passes_its_limit() {
    const LIMIT: u64 = 256 * 1024;
    for eviction in ["none", "random"] {
        let store = store(&[("max_memory", "256KiB"), ("eviction", eviction), ("shards", "4")]);
        watched(
            |n| {
                for round in 0..ROUNDS {
                    let key = (n * 100_000 + round % 500).to_le_bytes();
                    let value = vec![n as u8; (round * 37 % 9000) as usize];
                    match store.set(key, value) {
                        Ok(_) => {}
                        Err(error) => assert_eq!(error.status(), Status::Full),
                    }
                    if round % 3 == 0 {
                        store.del(key).unwrap();
                    }
                }
            },
            || {
                let bytes = store.stats().unwrap().memory_bytes;
                assert!(bytes <= LIMIT, "{bytes} bytes with eviction={eviction}");
            },
        );
        store.validate();
    }
}

#[test]
fn limits_may_change_meanwhile() {
    let store = store(&[("eviction", "random"), ("shards", "4")]);
    watched(
        |n| {
            for round in 0..ROUNDS {
                store.set((n * ROUNDS + round).to_le_bytes(), "v").unwrap();
            }
        },
        || {
            for limit in ["500", "50", "0", "100"] {
                store.configure("max_entries", limit).unwrap();
            }
        },
    );
    store.configure("max_entries", "10").unwrap();
    assert!(store.len().unwrap() <= 10);
    store.validate();
}

#[test]
fn clear_beside_writers() {
    let store = store(&[("shards", "4")]);
    watched(
        |n| {
            for round in 0..ROUNDS {
                let key = (n * 50 + round % 50).to_le_bytes();
                let ttl = Expiry::AfterMs(1 + round % 5);
                store
                    .set_with(key, "v", &SetOptions { expiry: ttl, ..SetOptions::default() })
                    .unwrap();
                store.append(key, "w").unwrap();
                store.expire(key, 1).unwrap();
            }
        },
        || {
            store.clear().unwrap();
            store.purge_expired().unwrap();
        },
    );
    store.clear().unwrap();
    let stats = store.stats().unwrap();
    assert_eq!((stats.entries, stats.key_bytes, stats.value_bytes), (0, 0, 0));
    store.validate();
}

#[test]
fn keys_that_stay_are_listed_once_beside_change() {
    let store = store(&[("shards", "4")]);
    for n in 0..200u64 {
        store.set(format!("stays{n}"), "v").unwrap();
    }
    watched(
        |n| {
            for round in 0..ROUNDS {
                let key = format!("comes{n}-{}", round % 300);
                store.set(&key, "v").unwrap();
                if round % 2 == 0 {
                    store.del(&key).unwrap();
                }
                store
                    .set(format!("stays{}", round % 200), "w".repeat((round % 90) as usize))
                    .unwrap();
            }
        },
        || {
            let keys: Vec<Vec<u8>> = store.keys().unwrap().map(Result::unwrap).collect();
            let stays = keys.iter().filter(|key| key.starts_with(b"stays")).count();
            assert_eq!(stays, 200, "each key that was there all the time, once");
        },
    );
}

#[test]
fn set_many_is_refused_whole() {
    let store = store(&[("max_entries", "20"), ("shards", "8")]);
    watched(
        |n| {
            for round in 0..ROUNDS / 10 {
                let items: Vec<(String, String)> =
                    (0..6).map(|i| (format!("{n}-{i}"), round.to_string())).collect();
                match store.set_many(&items, Expiry::Default) {
                    Ok(()) => {
                        // Nobody else writes these keys, so all six are there, with one value.
                        for (key, value) in &items {
                            assert_eq!(&store.take(key).unwrap().unwrap()[..], value.as_bytes());
                        }
                    }
                    Err(error) => {
                        assert_eq!(error.status(), Status::Full);
                        for (key, _) in &items {
                            assert!(!store.exists(key).unwrap(), "half a batch");
                        }
                    }
                }
            }
        },
        || assert!(store.len().unwrap() <= 20),
    );
    assert_eq!(store.len().unwrap(), 0);
    store.validate();
}

#[test]
fn shutdown_beside_calls() {
    for _ in 0..20 {
        let store = store(&[("shards", "2")]);
        let closed = |status: Status| assert_eq!(status, Status::Closed);
        store.set("there", "v").unwrap();
        let absent = SetOptions::default().if_absent();
        on_threads(|n| {
            for round in 0..200u64 {
                if n == 0 && round == 100 {
                    store.shutdown().unwrap();
                }
                let key = (round % 10).to_le_bytes();
                let _ = store.set(key, "v").map_err(|error| closed(error.status()));
                let _ = store.get(key).map_err(|error| closed(error.status()));
                let _ = store.incr("n", 1, Expiry::Default).map_err(|error| closed(error.status()));
                // What was there is there until the store is closed, though a shutdown empties it.
                match store.get("there") {
                    Ok(value) => assert!(value.is_some()),
                    Err(error) => closed(error.status()),
                }
                match store.set_with("there", "w", &absent) {
                    Ok(outcome) => assert_eq!(outcome, SetOutcome::Exists),
                    Err(error) => closed(error.status()),
                }
                match store.stats() {
                    Ok(stats) => assert!(stats.entries > 0),
                    Err(error) => closed(error.status()),
                }
            }
        });
        assert_eq!(store.get("k").unwrap_err().status(), Status::Closed);
        store.shutdown().unwrap();
    }
}

#[test]
fn stores_come_and_go() {
    on_threads(|n| {
        for _ in 0..50 {
            let store = store(&[("cleanup_interval", "1ms")]);
            let options = SetOptions { expiry: Expiry::AfterMs(1), ..SetOptions::default() };
            store.set_with(n.to_le_bytes(), "v", &options).unwrap();
            let twin = store.clone();
            drop(store);
            twin.set("k", "v").unwrap();
        }
    });
}

//! Removal callbacks: every way out of the store is told once, with its cause and the last value, and
//! nothing else is; callbacks may use their store, drop its last handle, and panic.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]
#![cfg(not(kv_shuttle))]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use kvcore::{
    Cause, Causes, Clock, Expiry, ManualClock, Options, SetOptions, SetOutcome, Status, Store,
};

type Told = (Cause, String, Vec<u8>);

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Options whose callback passes on what it is told.
fn telling(options: &[(&str, &str)], causes: impl Into<Causes>) -> (Options, Receiver<Told>) {
    let (told, tells) = channel();
    let told = Mutex::new(told);
    let options = options.iter().fold(Options::new(), |all, (n, v)| all.with(n, v).unwrap());
    let options = options.on_remove(causes, move |removal| {
        let _ =
            told.lock().unwrap().send((removal.cause, text(removal.key), removal.value.to_vec()));
    });
    (options, tells)
}

fn manual(options: &[(&str, &str)]) -> (Store, ManualClock, Receiver<Told>) {
    let (options, tells) = telling(options, Causes::ALL);
    let (clock, hand) = Clock::manual(1_700_000_000_000);
    (Store::with_clock(options, clock).unwrap(), hand, tells)
}

/// What was told once nothing waits any more, as "cause key value".
fn all(store: &Store, tells: &Receiver<Told>) -> Vec<String> {
    store.shutdown().unwrap();
    let told = tells.try_iter();
    told.map(|(cause, key, value)| format!("{} {key} {}", cause.name(), text(&value))).collect()
}

fn after_ms(ms: u64) -> SetOptions {
    SetOptions { expiry: Expiry::AfterMs(ms), ..SetOptions::default() }
}

#[test]
fn deletions() {
    let (store, _, tells) = manual(&[]);
    for key in ["del", "del_if", "take", "expire", "expire_at", "set", "many", "many2"] {
        store.set(key, "v").unwrap();
    }
    store.del("del").unwrap();
    let version = store.get("del_if").unwrap().unwrap().version();
    store.del_if("del_if", version + 1).unwrap();
    store.del_if("del_if", version).unwrap();
    store.take("take").unwrap();
    store.expire("expire", 0).unwrap();
    store.expire_at("expire_at", 1).unwrap();
    let past = SetOptions { expiry: Expiry::AtMs(1), ..SetOptions::default() };
    store.set_with("set", "never stored", &past).unwrap();
    store.del_many(&["many", "absent", "many2"]).unwrap();
    store.del("absent").unwrap();
    store.take("absent").unwrap();
    let expected = ["del", "del_if", "take", "expire", "expire_at", "set", "many", "many2"];
    assert_eq!(all(&store, &tells), expected.map(|key| format!("deleted {key} v")));
}

#[test]
fn replacements_tell_the_value_before() {
    let (store, _, tells) = manual(&[]);
    store.set("k", "one").unwrap();
    store.set("k", "two").unwrap(); // of the same length: in place
    store.set("k", "three").unwrap();
    store.set_with("k", "4", &after_ms(1000)).unwrap();
    store.expire("k", 2000).unwrap();
    store.persist("k").unwrap();
    store.incr("k", 1, Expiry::Default).unwrap();
    store.append("k", "0").unwrap();
    store.set_many(&[("k", "many"), ("new", "n")], Expiry::Default).unwrap();
    let refused = store.set_with("k", "x", &SetOptions::default().if_absent()).unwrap();
    assert_eq!(refused, SetOutcome::Exists);
    assert_eq!(store.incr("k", 1, Expiry::Default).unwrap_err().status(), Status::Type);
    assert_eq!(
        all(&store, &tells),
        ["one", "two", "three", "4", "5", "50"].map(|value| format!("replaced k {value}"))
    );
}

#[test]
fn expiry_is_told_once_however_it_is_noticed() {
    let (store, hand, tells) = manual(&[]);
    for key in ["purged", "read", "set", "deleted", "cleared"] {
        store.set_with(key, "v", &after_ms(10)).unwrap();
    }
    store.set("stays", "v").unwrap();
    hand.advance_ms(10);
    assert!(store.get("read").unwrap().is_none());
    store.set("set", "new").unwrap();
    assert!(!store.del("deleted").unwrap());
    assert_eq!(store.purge_expired().unwrap(), 3);
    store.set_with("cleared", "v2", &after_ms(10)).unwrap();
    hand.advance_ms(10);
    store.clear().unwrap();
    let mut told = all(&store, &tells);
    told[2..5].sort();
    told[5..].sort();
    let expired = |key| format!("expired {key} v");
    assert_eq!(told[..2], [expired("set"), expired("deleted")]);
    assert_eq!(told[2..5], [expired("cleared"), expired("purged"), expired("read")]);
    assert_eq!(told[5..], ["cleared set new", "cleared stays v", "expired cleared v2"]);
}

#[test]
fn evictions_and_refusals() {
    let (store, _, tells) = manual(&[("max_entries", "1"), ("eviction", "random")]);
    for key in ["a", "b", "c"] {
        store.set(key, "v").unwrap();
    }
    assert_eq!(all(&store, &tells), ["evicted a v", "evicted b v"]);

    let (store, _, tells) = manual(&[("max_entries", "1")]);
    store.set("a", "v").unwrap();
    assert_eq!(store.set("b", "v").unwrap_err().status(), Status::Full);
    assert_eq!(all(&store, &tells), [""; 0]);

    // A write that finds no room tells nothing of the value that stays.
    let (store, _, tells) = manual(&[("max_memory", "1MiB"), ("shards", "1")]);
    store.set("a", "v").unwrap();
    store.set("b", vec![0; 600_000]).unwrap();
    assert_eq!(store.set("a", vec![0; 600_000]).unwrap_err().status(), Status::Full);
    assert!(store.append("a", vec![0; 600_000]).is_err());
    let many = [("a", vec![0; 600_000])];
    assert!(store.set_many(&many, Expiry::Default).is_err());
    assert_eq!(all(&store, &tells), [""; 0]);
}

#[test]
fn large_values_are_told_whole_while_readers_hold_them() {
    let (store, _, tells) = manual(&[]);
    let large: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    store.set("k", &large).unwrap();
    let held = store.get("k").unwrap().unwrap();
    store.append("k", "more").unwrap();
    store.append("k", "more").unwrap();
    store.del("k").unwrap();
    store.shutdown().unwrap();
    let told: Vec<_> = tells.try_iter().collect();
    assert_eq!(
        told.iter().map(|told| told.2.len()).collect::<Vec<_>>(),
        [100_000, 100_004, 100_008]
    );
    assert!(told.iter().all(|told| told.2.starts_with(&large)));
    assert_eq!(*held, large[..]);
}

#[test]
fn what_is_not_asked_for_is_not_told() {
    let (options, tells) = telling(&[("max_entries", "2"), ("eviction", "random")], Cause::Evicted);
    let store = Store::memory(options).unwrap();
    for n in 0..10 {
        store.set(n.to_string(), "v").unwrap();
    }
    store.clear().unwrap();
    store.set("a", "v").unwrap();
    store.set("a", "v").unwrap();
    store.del("a").unwrap();
    assert_eq!(all(&store, &tells).len(), 8);
    assert_eq!(Store::memory(Options::new()).unwrap().stats().unwrap().callbacks_dropped, 0);
}

/// Every value that was ever stored goes exactly once, or is still there at the end.
#[test]
fn nothing_is_lost_or_told_twice_beside_many_threads() {
    let limits = [("max_entries", "300"), ("eviction", "random"), ("cleanup_interval", "1ms")];
    let buffer = [("callback_buffer", "10000000")];
    let (options, tells) = telling(&[&limits[..], &buffer[..]].concat(), Causes::ALL);
    let store = Store::memory(options).unwrap();
    let stored = AtomicU64::new(0);
    thread::scope(|scope| {
        for seed in 0..4 {
            let (store, stored) = (&store, &stored);
            scope.spawn(move || {
                let mut random = fastrand_like(seed);
                for _ in 0..4000 {
                    let key = (random() % 500).to_string();
                    match random() % 8 {
                        0 => drop(store.del(&key).unwrap()),
                        1 => drop(store.take(&key).unwrap()),
                        2 if random().is_multiple_of(500) => store.clear().unwrap(),
                        n => {
                            let ttl = if n < 5 { 1 + random() % 5 } else { 1_000_000 };
                            let value = stored.fetch_add(1, Ordering::Relaxed).to_string();
                            store.set_with(&key, value, &after_ms(ttl)).unwrap();
                        }
                    }
                }
            });
        }
    });
    store.clear().unwrap();
    assert_eq!(store.stats().unwrap().callbacks_dropped, 0);
    store.shutdown().unwrap();
    let mut times: HashMap<Vec<u8>, u64> = HashMap::new();
    for (_, _, value) in tells.try_iter() {
        *times.entry(value).or_default() += 1;
    }
    assert_eq!(times.len() as u64, stored.load(Ordering::Relaxed));
    assert!(times.values().all(|count| *count == 1));
}

/// A small generator, so that a failure repeats (Steele and others, "SplitMix", 2014).
fn fastrand_like(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// A store whose callback is handed the store itself, and then does `body` once.
fn with_itself(body: impl Fn(Store) + Send + Sync + 'static) -> (Store, Sender<Store>) {
    let (give, given) = channel::<Store>();
    let given = Mutex::new(given);
    let options = Options::new().on_remove(Cause::Deleted, move |_| {
        if let Ok(store) = given.lock().unwrap().recv() {
            body(store);
        }
    });
    (Store::memory(options).unwrap(), give)
}

#[test]
fn a_callback_may_use_its_store_but_not_shut_it_down() {
    let (said, says) = channel();
    let said = Mutex::new(said);
    let (store, give) = with_itself(move |store| {
        store.set("from the callback", "v").unwrap();
        let other = Store::memory(Options::new()).unwrap();
        other.shutdown().unwrap();
        let refused = store.shutdown().unwrap_err();
        let _ = said.lock().unwrap().send((refused.status(), store.is_in_callback()));
    });
    store.set("k", "v").unwrap();
    store.del("k").unwrap();
    give.send(store.clone()).unwrap();
    assert_eq!(says.recv().unwrap(), (Status::Invalid, true));
    assert!(!store.is_in_callback());
    assert!(store.exists("from the callback").unwrap());
    drop(give);
    store.shutdown().unwrap();
}

#[test]
fn the_last_handle_may_be_dropped_in_the_callback() {
    let (ended, ends) = channel();
    let ended = Mutex::new(ended);
    let held = Arc::new(());
    let gone = Arc::downgrade(&held);
    let (store, give) = with_itself(move |store| {
        let _ = &held;
        drop(store);
        let _ = ended.lock().unwrap().send(());
    });
    store.set("k", "v").unwrap();
    store.del("k").unwrap();
    give.send(store).unwrap();
    ends.recv().unwrap();
    // The thread ends by itself and lets go of the callback.
    while gone.strong_count() > 0 {
        thread::yield_now();
    }
}

#[test]
fn a_dropped_store_still_tells_what_waits() {
    let (options, tells) = telling(&[], Causes::ALL);
    let store = Store::memory(options).unwrap();
    for n in 0..100 {
        store.set("k", n.to_string()).unwrap();
    }
    drop(store);
    // Ends once the callback, and the channel in it, are gone.
    assert_eq!(tells.iter().count(), 99);
}

#[test]
fn a_panic_in_the_callback_leaves_the_store_sound() {
    let (told, tells) = channel();
    let told = Mutex::new(told);
    let options = Options::new().on_remove(Causes::ALL, move |removal| {
        if removal.value == b"bad" {
            panic!("planted");
        }
        let _ = told.lock().unwrap().send(text(removal.value));
    });
    let store = Store::memory(options).unwrap();
    for value in ["good", "bad", "better"] {
        store.set("k", value).unwrap();
        store.del("k").unwrap();
    }
    store.set("k", "v").unwrap();
    assert!(store.last_fault().is_none());
    store.shutdown().unwrap();
    assert_eq!(tells.try_iter().collect::<Vec<_>>(), ["good", "better"]);
}

#[test]
fn shutting_down_from_many_threads_tells_all_first() {
    let (options, tells) = telling(&[], Causes::ALL);
    let store = Store::memory(options).unwrap();
    for n in 0..1000 {
        store.set("k", n.to_string()).unwrap();
    }
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                store.shutdown().unwrap();
                assert_eq!(store.get("k").unwrap_err().status(), Status::Closed);
            });
        }
    });
    assert_eq!(tells.try_iter().count(), 999);
}

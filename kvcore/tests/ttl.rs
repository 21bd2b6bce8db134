//! Exact deadlines under load: nothing is seen after its deadline, and nothing is gone before it.
//!
//! The outcome does not depend on how the threads are scheduled. A probe with a deadline far away
//! tells the time of the store's own clock; it is read before and after each look at an entry, so
//! whatever the look finds can be judged without tolerance.

#![allow(clippy::unwrap_used)]
#![cfg(not(kv_shuttle))]
#![allow(clippy::disallowed_methods)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kvcore::{Clock, Options, Remaining, SetOptions, Store};

const KEYS: i64 = 100_000;
const SPREAD_MS: i64 = 2000;

fn key(index: i64) -> [u8; 8] {
    index.to_be_bytes()
}

/// The store's own time, told by a key whose deadline is known.
struct Probe<'a> {
    store: &'a Store,
    deadline: i64,
}

impl<'a> Probe<'a> {
    const KEY: &'static str = "probe";

    fn new(store: &'a Store) -> Probe<'a> {
        let deadline = 4_102_444_800_000;
        store.set_with(Self::KEY, "", &SetOptions::default().expire_at_ms(deadline)).unwrap();
        Probe { store, deadline }
    }

    fn now_ms(&self) -> i64 {
        match self.store.ttl(Self::KEY).unwrap() {
            Some(Remaining::Ms(left)) => self.deadline - left,
            other => panic!("the probe has a deadline, not {other:?}"),
        }
    }
}

/// Whether a key is there, asked in one of several ways.
fn is_there(store: &Store, index: i64, way: u64) -> bool {
    let key = key(index);
    match way % 5 {
        0 => store.get(key).unwrap().is_some(),
        1 => store.exists(key).unwrap(),
        2 => store.ttl(key).unwrap().is_some(),
        3 => store.get_into(key, &mut [0; 64]).unwrap().is_some(),
        _ => store.get_many(&[key]).unwrap()[0].is_some(),
    }
}

/// What the pollers found, for the eye.
#[derive(Default)]
struct Found {
    alive: AtomicU64,
    gone: AtomicU64,
    /// Looks within two milliseconds of a deadline.
    close: AtomicU64,
}

/// Looks once, and judges what it finds by the store's time before and after.
fn look(probe: &Probe<'_>, index: i64, deadline: i64, way: u64, found: &Found) -> bool {
    let before = probe.now_ms();
    let alive = is_there(probe.store, index, way);
    let after = probe.now_ms();
    assert!(!alive || before < deadline, "key {index} seen {} ms late", before - deadline);
    assert!(alive || after >= deadline, "key {index} gone {} ms early", deadline - after);
    let counter = if alive { &found.alive } else { &found.gone };
    counter.fetch_add(1, Ordering::Relaxed);
    if (after - deadline).abs() <= 2 {
        found.close.fetch_add(1, Ordering::Relaxed);
    }
    alive
}

/// Two kinds of pollers: odd ones look at everything in turn, even ones at what is due just now.
fn poll(probe: &Probe<'_>, thread: u64, start: i64, found: &Found) {
    let deadline = |index: i64| start + index * SPREAD_MS / KEYS;
    let last = deadline(KEYS - 1);
    let mut way = thread;
    let mut sweep = 0;
    while probe.now_ms() < last + 20 {
        let due = (probe.now_ms() - start) * KEYS / SPREAD_MS;
        for step in 0..200 {
            way += 1;
            sweep = (sweep + 7919) % KEYS;
            let index = if thread.is_multiple_of(2) { due - 100 + step } else { sweep };
            if (0..KEYS).contains(&index) {
                look(probe, index, deadline(index), way, found);
            }
        }
    }
    for index in 0..KEYS {
        assert!(!look(probe, index, deadline(index), way, found));
    }
}

/// Stores all keys before the first deadline, with as much time as this machine needs, and returns
/// that deadline.
fn load(probe: &Probe<'_>) -> i64 {
    let mut ahead_ms = 1000;
    loop {
        let start = probe.now_ms() + ahead_ms;
        for index in 0..KEYS {
            let options = SetOptions::default().expire_at_ms(start + index * SPREAD_MS / KEYS);
            probe.store.set_with(key(index), [b'v'; 32], &options).unwrap();
        }
        if probe.now_ms() < start {
            return start;
        }
        ahead_ms *= 2;
    }
}

#[test]
fn nothing_is_seen_late_and_nothing_is_gone_early() {
    let store = Store::memory(Options::new()).unwrap();
    let empty_bytes = store.stats().unwrap().memory_bytes;
    let probe = Probe::new(&store);
    let start = load(&probe);
    let found = Found::default();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (probe, found) = (&probe, &found);
            scope.spawn(move || poll(probe, thread, start, found));
        }
    });
    println!(
        "{} alive, {} gone, {} close",
        found.alive.load(Ordering::Relaxed),
        found.gone.load(Ordering::Relaxed),
        found.close.load(Ordering::Relaxed)
    );
    store.del(Probe::KEY).unwrap();
    // How soon is measured by the example `ttl_reclaim`; that it happens at all is a matter of tests.
    eventually("the memory comes back by itself", || {
        let stats = store.stats().unwrap();
        stats.entries == 0 && stats.memory_bytes <= empty_bytes
    });
    // More on a machine so slow that it had to load them again.
    assert!(store.stats().unwrap().expired >= KEYS as u64);
    store.validate();
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn each_millisecond_frees_what_is_due_and_no_more() {
    let (clock, hand) = Clock::manual(1_700_000_000_000);
    let store = Store::with_clock(Options::new(), clock).unwrap();
    let start = hand.now_ms();
    for index in 0..KEYS {
        let options = SetOptions::default().expire_at_ms(start + 1 + index * SPREAD_MS / KEYS);
        store.set_with(key(index), "v", &options).unwrap();
    }
    for passed in 1..=SPREAD_MS {
        hand.advance_ms(1);
        let first_alive = passed * KEYS / SPREAD_MS;
        assert!(!store.exists(key(first_alive - 1)).unwrap());
        assert_eq!(store.exists(key(first_alive)).unwrap(), first_alive < KEYS);
        assert_eq!(store.purge_expired().unwrap(), (KEYS / SPREAD_MS) as u64);
        assert_eq!(store.len().unwrap(), (KEYS - first_alive) as u64);
    }
    store.validate();
}

#[test]
fn far_deadlines_are_exact_too() {
    let (clock, hand) = Clock::manual(1_700_000_000_000);
    let store = Store::with_clock(Options::new(), clock).unwrap();
    let distances: Vec<u64> =
        (0..41).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]).collect();
    let start = hand.now_ms();
    for (index, distance) in distances.iter().enumerate() {
        let options = SetOptions::default().expire_at_ms(start + *distance as i64);
        store.set_with(key(index as i64), "v", &options).unwrap();
    }
    let mut sorted = distances.clone();
    sorted.sort_unstable();
    for next in sorted.into_iter().filter(|distance| *distance > 1) {
        let passed = (hand.now_ms() - start) as u64;
        if next <= passed {
            continue;
        }
        for step in [next - 1 - passed, 1] {
            hand.advance_ms(step);
            store.purge_expired().unwrap();
            store.validate();
            let passed = (hand.now_ms() - start) as u64;
            let left = distances.iter().filter(|distance| **distance > passed).count();
            assert_eq!(store.len().unwrap(), left as u64, "{passed} ms on");
        }
    }
}

#[test]
fn a_ttl_counts_from_the_call() {
    let store = Store::memory(Options::new()).unwrap();
    let probe = Probe::new(&store);
    for round in 0..50 {
        let ttl_ms = 1 + round % 10;
        let before = probe.now_ms();
        let options = SetOptions::default().ttl(Duration::from_millis(ttl_ms as u64));
        store.set_with("k", "v", &options).unwrap();
        let after = probe.now_ms();
        loop {
            let look_before = probe.now_ms();
            let value = store.get("k").unwrap();
            let look_after = probe.now_ms();
            match value {
                Some(value) => {
                    let deadline = value.expire_at_ms().unwrap();
                    assert!((before + ttl_ms..=after + ttl_ms).contains(&deadline));
                    assert!(look_before < deadline);
                }
                None => break assert!(look_after >= before + ttl_ms),
            }
        }
    }
}

#[test]
fn the_clock_of_a_store_is_unix_time() {
    let store = Store::memory(Options::new()).unwrap();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    // A minute is room for a clock that somebody sets while the test runs.
    assert!((Probe::new(&store).now_ms() - wall).abs() < 60_000);
}

#[test]
fn what_is_held_back_has_expired_and_is_freed_later() {
    let options = Options::new().with("cleanup_interval", "1ms").unwrap();
    let store = Store::memory(options).unwrap();
    store.hold_expired(true).unwrap();
    store.set_with("a", "v", &SetOptions::default().ttl(Duration::from_millis(1))).unwrap();
    store.set_with("b", "v", &SetOptions::default().ttl(Duration::from_millis(1))).unwrap();
    eventually("both have expired", || !store.exists("a").unwrap() && !store.exists("b").unwrap());
    // Many times as long as the cleaner would take.
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(store.len().unwrap(), 2);
    assert!(!store.del("a").unwrap());
    assert_eq!(store.len().unwrap(), 1, "a write frees what its key held");
    store.hold_expired(false).unwrap();
    eventually("the cleaner frees the rest", || store.len().unwrap() == 0);
}

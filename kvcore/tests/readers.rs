//! Readers of every kind beside writers, under every eviction policy: nothing torn, nothing that
//! goes back, nothing of another key.
//!
//! Values say what they are: whoever reads one can work out each byte from the first sixteen. Their
//! lengths lie on both sides of every border in the engine: read without the lock or with it, in a
//! place or out of line. Plain threads and real time; `cargo xtask tsan` runs them too.

#![allow(clippy::unwrap_used)]
#![cfg(not(kv_shuttle))]
#![allow(clippy::disallowed_methods)]

use std::sync::atomic::{AtomicUsize, Ordering};

use kvcore::{Expiry, Options, Remaining, SetOptions, Status, Store, Value};

const KEYS: u64 = 96;
const WRITERS: u64 = 2;
const READERS: u64 = 2;
/// Writes of one thread in one store.
const ROUNDS: u64 = 4000;
/// The longest TTL.
const TTL_MS: u64 = 4;

/// Lengths of values, of which some fit the same place.
const LENGTHS: [usize; 16] =
    [16, 17, 18, 40, 90, 100, 231, 232, 255, 256, 590, 640, 700, 4060, 4090, 9000];

/// Numbers of splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// The bytes that a key and a number make.
fn value(key: u64, number: u64) -> Vec<u8> {
    let len = LENGTHS[(number % LENGTHS.len() as u64) as usize];
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&key.to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    let mut filler = Numbers(key ^ number.rotate_left(32));
    bytes.resize_with(len, || filler.next() as u8);
    bytes
}

fn name(key: u64) -> String {
    format!("key:{key:0width$}", width = if key.is_multiple_of(2) { 4 } else { 19 })
}

/// Checks every byte of a value.
fn whole(key: u64, bytes: &[u8]) {
    let number = bytes[8..16].try_into().map(u64::from_le_bytes).unwrap();
    assert_eq!(bytes, value(key, number), "a torn value of {key}");
}

fn write(store: &Store, seed: u64) {
    let mut numbers = Numbers(seed);
    for _ in 0..ROUNDS {
        let (key, number) = (numbers.below(KEYS), numbers.next());
        let expiry = match numbers.below(3) {
            0 => Expiry::AfterMs(1 + numbers.below(TTL_MS)),
            _ => Expiry::Never,
        };
        let done = match numbers.below(20) {
            0 | 1 => store.del(name(key)).map(drop),
            2 => store.expire(name(key), 1 + numbers.below(TTL_MS) as i64).map(drop),
            3 => store.persist(name(key)).map(drop),
            4 => {
                let keys = [key, (key + 1) % KEYS, (key + 2) % KEYS];
                let items = keys.map(|key| (name(key), value(key, number)));
                store.set_many(&items, expiry)
            }
            5 if numbers.below(20) == 0 => store.clear(),
            _ => {
                let options = SetOptions { expiry, ..SetOptions::default() };
                store.set_with(name(key), value(key, number), &options).map(drop)
            }
        };
        done.unwrap_or_else(|error| assert_eq!(error.status(), Status::Full));
    }
}

/// Reads in every way until the writers are done; returns how many values it has seen.
fn read(store: &Store, seed: u64, writing: &AtomicUsize) -> u64 {
    let mut numbers = Numbers(seed);
    let mut versions = [0; KEYS as usize];
    let mut buffer = vec![0; 10_000];
    let mut seen = 0;
    while writing.load(Ordering::Acquire) > 0 {
        let key = numbers.below(KEYS);
        let mut newer = |key: u64, found: &Value| {
            whole(key, found);
            let last = &mut versions[key as usize];
            assert!(*last <= found.version(), "{key} went back");
            *last = found.version();
        };
        match numbers.below(6) {
            0 => {
                seen += store.get(name(key)).unwrap().map_or(0, |found| {
                    newer(key, &found);
                    1
                })
            }
            1 => {
                if let Some(len) = store.get_into(name(key), &mut buffer).unwrap() {
                    whole(key, &buffer[..len]);
                    seen += 1;
                }
            }
            2 => {
                let keys: Vec<u64> = (0..40).map(|_| numbers.below(KEYS)).collect();
                let names: Vec<String> = keys.iter().copied().map(name).collect();
                let found = store.get_many(&names).unwrap();
                assert_eq!(found.len(), keys.len());
                for (key, found) in keys.into_iter().zip(&found) {
                    found.iter().for_each(|found| newer(key, found));
                }
            }
            3 => store
                .get_many_with(&[name(key), name(key + KEYS)], |index, found| match index {
                    0 => found.into_iter().for_each(|found| whole(key, found)),
                    _ => assert_eq!(found, None),
                })
                .unwrap(),
            4 => drop(store.exists(name(key)).unwrap()),
            _ => match store.ttl(name(key)).unwrap() {
                Some(Remaining::Ms(left)) => assert!((1..=TTL_MS as i64).contains(&left), "{left}"),
                Some(Remaining::Never) | None => {}
            },
        }
    }
    seen
}

fn readers_beside_writers(options: &[(&str, &str)]) {
    let options = options
        .iter()
        .fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
    let store = Store::memory(options.with("cleanup_interval", "2ms").unwrap()).unwrap();
    let writing = AtomicUsize::new(WRITERS as usize);
    std::thread::scope(|scope| {
        let (store, writing) = (&store, &writing);
        let readers: Vec<_> =
            (0..READERS).map(|n| scope.spawn(move || read(store, 1000 + n, writing))).collect();
        for n in 0..WRITERS {
            scope.spawn(move || {
                let _done = Done(writing);
                write(store, n);
            });
        }
        let seen: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        println!("{seen} values were seen");
    });
    store.validate();
}

/// Says that a writer has ended, also by a panic.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

#[test]
fn without_limits() {
    readers_beside_writers(&[("shards", "1")]);
    readers_beside_writers(&[("shards", "4"), ("entry_stats", "true")]);
}

#[test]
fn at_a_limit_without_eviction() {
    readers_beside_writers(&[("max_entries", "40"), ("shards", "2")]);
}

#[test]
fn under_every_policy_by_entries() {
    for policy in ["random", "lru", "lfu", "ttl", "s3fifo", "tinylfu"] {
        readers_beside_writers(&[("max_entries", "48"), ("shards", "2"), ("eviction", policy)]);
    }
}

#[test]
fn under_every_policy_by_memory() {
    for policy in ["random", "lru", "lfu", "ttl", "s3fifo", "tinylfu"] {
        readers_beside_writers(&[
            ("max_memory", "100000"),
            ("shards", "1"),
            ("eviction", policy),
            ("entry_stats", "true"),
        ]);
    }
}

#[test]
fn looking_keys_up_ahead_changes_nothing_that_can_be_seen() {
    let store = Store::memory(Options::new()).unwrap();
    let keys: Vec<String> = (0..100).map(|number| format!("k{number}")).collect();
    for key in keys.iter().step_by(2) {
        store.set(key, "v").unwrap();
    }
    let before = store.stats().unwrap();
    store.prefetch(&keys);
    store.prefetch(&[vec![b'k'; 1 << 20], Vec::new()]);
    store.prefetch::<&str>(&[]);
    let after = store.stats().unwrap();
    assert_eq!((before.hits, before.misses), (after.hits, after.misses));
    assert_eq!(before.entries, after.entries);
}

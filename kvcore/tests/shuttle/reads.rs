//! Reads without the lock beside every kind of change of what they read.
//!
//! Every value tells its key and is of one letter, so that a mixture of two entries shows. A mistake
//! that is planted in the engine (`kvcore/src/planted.rs`) must be found by the scene for it.

use kvcore::{Planted, Remaining, Value};

use super::*;

/// A value of a key: the letter of its key at the start, and then one other letter.
fn value(key: &str, letter: char, len: usize) -> String {
    format!("{key}{}", letter.to_string().repeat(len))
}

/// Checks that a value is one of those that the key has had.
fn whole(key: &str, value: &[u8]) {
    let text = std::str::from_utf8(value).unwrap();
    let letters = text.strip_prefix(key).unwrap_or_else(|| panic!("torn: {text} of {key}"));
    let first = letters.chars().next().unwrap();
    assert!(letters.chars().all(|letter| letter == first), "torn: {text} of {key}");
}

/// Reads a key a few times. Says whether it was always there.
fn read(store: &Store, key: &str) -> bool {
    let mut last = 0;
    let mut always = true;
    for round in 0..2 {
        match round {
            0 => match store.get(key).unwrap() {
                Some(found) => {
                    whole(key, &found);
                    assert!(found.version() >= last, "a version went back");
                    last = found.version();
                }
                None => always = false,
            },
            _ => store
                .get_many_with(&[key], |_, found| match found {
                    Some(found) => whole(key, found),
                    None => always = false,
                })
                .unwrap(),
        }
    }
    always & store.exists(key).unwrap()
}

fn set(store: &Store, key: &str, letter: char, len: usize) {
    store.set(key, value(key, letter, len)).unwrap();
}

/// As [`check`], with fewer schedules: these scenes have more steps than others.
pub(super) fn check(scene: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(scene.clone(), 1000);
    shuttle::check_pct(scene, 700, 3);
}

/// Fewer still.
fn check_some(scene: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(scene.clone(), 150);
    shuttle::check_pct(scene, 150, 3);
}

/// Checks a scene with a mistake planted, which must be found.
pub(super) fn finds(mistake: Planted, scene: impl Fn() + Send + Sync + Clone + 'static) {
    let planted = move || {
        mistake.plant();
        check(scene);
    };
    // Interleavings are chosen by chance, so one look may miss it.
    let found = (0..10).any(|_| std::thread::spawn(planted.clone()).join().is_err());
    assert!(found, "{mistake:?} went unseen");
}

fn overwrites_in_place() {
    let (store, _) = open(&[("shards", "1")]);
    set(&store, "k", 'a', 14);
    parts![
        store: { set(&store, "k", 'b', 14); set(&store, "k", 'c', 14) },
        store: assert!(read(&store, "k")),
        store: assert!(read(&store, "k")),
    ];
    store.validate();
}

#[test]
fn beside_overwrites_in_place() {
    check(overwrites_in_place);
    finds(Planted::NoRecheck, overwrites_in_place);
    finds(Planted::NoOpen, overwrites_in_place);
}

#[test]
fn beside_overwrites_of_another_size() {
    check(|| {
        let (store, _) = open(&[("shards", "1")]);
        set(&store, "k", 'a', 6);
        parts![
            store: for (letter, len) in [('b', 30), ('c', 5), ('d', 5000), ('e', 7)] {
                set(&store, "k", letter, len);
            },
            store: assert!(read(&store, "k")),
        ];
        store.validate();
    });
}

fn another_key_in_the_place() {
    let (store, _) = open(&[("shards", "1")]);
    set(&store, "k", 'a', 10);
    parts![
        store: {
            assert!(store.del("k").unwrap());
            set(&store, "n", 'b', 10);
            assert!(store.del("n").unwrap());
            set(&store, "k", 'c', 10);
        },
        store: { read(&store, "k"); },
        store: { read(&store, "n"); },
    ];
    assert!(read(&store, "k"));
    store.validate();
}

#[test]
fn beside_another_key_in_the_place() {
    check(another_key_in_the_place);
    finds(Planted::NoRecheck, another_key_in_the_place);
}

#[test]
fn beside_a_growing_and_shrinking_index() {
    check_some(|| {
        let (store, _) = open(&[("shards", "1")]);
        for n in 0..6 {
            set(&store, &format!("s{n}"), 'a', 4);
        }
        parts![
            store: {
                (0..20).for_each(|n| set(&store, &format!("n{n}"), 'b', 4));
                (0..20).for_each(|n| assert!(store.del(format!("n{n}")).unwrap()));
            },
            store: (0..6).for_each(|n| assert!(read(&store, &format!("s{n}")))),
        ];
        store.validate();
    });
}

fn clears() {
    let (store, _) = open(&[("shards", "1")]);
    set(&store, "k", 'a', 8);
    parts![
        store: { store.clear().unwrap(); set(&store, "n", 'b', 8); set(&store, "k", 'c', 9) },
        store: { read(&store, "k"); },
        store: { read(&store, "n"); },
    ];
    assert!(read(&store, "k"));
    store.validate();
}

#[test]
fn beside_a_clear() {
    check(clears);
    finds(Planted::NoRecheck, clears);
}

#[test]
fn beside_a_shutdown() {
    check(|| {
        let (store, _) = open(&[("shards", "1")]);
        set(&store, "k", 'a', 8);
        let closed = |error: kvcore::Error| assert_eq!(error.status(), Status::Closed);
        let seen = |found: Option<Value>| whole("k", &found.unwrap());
        parts![
            store: store.shutdown().unwrap(),
            store: store.get("k").map_or_else(closed, seen),
            store: store.exists("k").map_or_else(closed, |there| assert!(there)),
        ];
    });
}

/// Keys of two shards, if there are two.
const PAIR: [&str; 2] = ["a", "b"];

/// What a reader of both keys sees must not mix before and after.
fn in_one_step(shards: &'static str, change: fn(&Store)) {
    let (store, _) = open(&[("shards", shards)]);
    let old = PAIR.map(|key| (key, value(key, 'o', 5)));
    store.set_many(&old, Expiry::Default).unwrap();
    let is_old = |store: &Store, key: &str| {
        store.get(key).unwrap().is_some_and(|found| {
            whole(key, &found);
            found.ends_with(b"o")
        })
    };
    let both = move |store: &Store, [first, second]: [&str; 2]| {
        let (first, second) = (is_old(store, first), is_old(store, second));
        assert!(first || !second, "half of a change was seen");
    };
    parts![
        store: change(&store),
        store: both(&store, ["a", "b"]),
        store: both(&store, ["b", "a"]),
    ];
    store.validate();
}

fn set_both(store: &Store) {
    store.set_many(&PAIR.map(|key| (key, value(key, 'n', 5))), Expiry::Default).unwrap();
}

fn set_both_longer(store: &Store) {
    store.set_many(&PAIR.map(|key| (key, value(key, 'n', 40))), Expiry::Default).unwrap();
}

#[test]
fn changes_of_many_keys_are_seen_whole() {
    for shards in ["1", "4"] {
        check(move || in_one_step(shards, set_both));
        check(move || in_one_step(shards, set_both_longer));
        check(move || in_one_step(shards, |store| store.clear().unwrap()));
        finds(Planted::NoHold, move || in_one_step(shards, set_both));
    }
}

fn a_deadline_put_off() {
    let (store, hand) = open(&[("shards", "1")]);
    let short = SetOptions { expiry: Expiry::AfterMs(5), ..SetOptions::default() };
    store.set_with("k", value("k", 'a', 5), &short).unwrap();
    parts![
        store: {
            assert!(store.expire("k", 50).unwrap());
            hand.advance_ms(5);
        },
        store: assert!(store.get("k").unwrap().is_some(), "gone before its deadline"),
        store: match store.ttl("k").unwrap() {
            Some(Remaining::Ms(left)) => assert!((1..=50).contains(&left), "{left} ms left"),
            other => panic!("{other:?}"),
        },
    ];
}

#[test]
fn a_deadline_that_is_put_off_does_not_pass() {
    check(a_deadline_put_off);
    finds(Planted::LateClock, a_deadline_put_off);
}

#[test]
fn beside_expiry_and_reuse() {
    check(|| {
        let (store, hand) = open(&[("shards", "1")]);
        let short = SetOptions { expiry: Expiry::AfterMs(5), ..SetOptions::default() };
        store.set_with("k", value("k", 'a', 9), &short).unwrap();
        parts![
            store: {
                hand.advance_ms(5);
                assert!(!store.exists("k").unwrap());
                store.purge_expired().unwrap();
                set(&store, "n", 'b', 9);
            },
            store: { read(&store, "k"); },
            store: { read(&store, "n"); },
        ];
        store.validate();
    });
}

/// Long entries, so that few fill a span; then most of them go, and the rest must move.
#[test]
fn beside_entries_that_move_together() {
    const LEN: usize = 590;
    check_some(|| {
        let (store, _) = open(&[("shards", "1")]);
        for n in 0..60 {
            set(&store, &format!("m{n:02}"), 'a', LEN);
        }
        for n in (0..60).filter(|n| n % 3 != 0) {
            store.del(format!("m{n:02}")).unwrap();
        }
        parts![
            store: {
                for n in 0..12 {
                    set(&store, "other", 'b', n);
                }
            },
            store: for n in (0..60).step_by(15) {
                let key = format!("m{n:02}");
                whole(&key, &store.get(&key).unwrap().unwrap());
            },
        ];
        store.validate();
    });
}

#[test]
fn beside_every_policy() {
    for policy in ["random", "lru", "lfu", "ttl", "s3fifo", "tinylfu"] {
        check_some(move || {
            let (store, _) = open(&[("shards", "1"), ("max_entries", "3"), ("eviction", policy)]);
            for key in ["a", "b", "c"] {
                set(&store, key, 'a', 4);
            }
            parts![
                store: {
                    set(&store, "d", 'b', 4);
                    set(&store, "a", 'b', 8);
                    set(&store, "e", 'b', 4);
                },
                store: for key in ["a", "b", "a", "d"] { read(&store, key); },
                store: for key in ["b", "a", "e", "a"] { read(&store, key); },
            ];
            assert!(store.len().unwrap() <= 3);
            store.validate();
        });
    }
}

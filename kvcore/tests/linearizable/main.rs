//! Concurrent histories of the store, checked to be those of one store that does one call at a time.
//!
//! With plain threads by default. Under `RUSTFLAGS="--cfg kv_shuttle"` shuttle runs the threads and
//! decides at every lock and atomic which goes on, so that rare interleavings come often:
//! `RUSTFLAGS="--cfg kv_shuttle" cargo test -p kvcore --test linearizable --test shuttle --release`.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods)]

mod history;

use std::sync::Arc;
// Not shuttle's: drawing a number must not be a point at which threads change.
use std::sync::atomic::{AtomicU64, Ordering};

use history::{Call, Event, Reply, is_linearizable};
use kvcore::{Clock, Error, Expiry, Options, SetOptions, SetOutcome, Status, Store};

#[cfg(not(kv_shuttle))]
use std::thread;

#[cfg(kv_shuttle)]
use shuttle::thread;

const THREADS: usize = 3;
const CALLS: usize = 4;

#[derive(Clone, Copy)]
struct Setup {
    shards: &'static str,
    max_entries: usize,
    /// Whether calls on the whole store take part.
    whole_store: bool,
}

/// How a call is carried out.
type Carry = fn(&Store, &Call) -> Reply;

fn refused(error: &Error) -> Reply {
    match error.status() {
        Status::Full => Reply::Full,
        Status::Type => Reply::Type,
        other => panic!("{other:?}"),
    }
}

fn text(value: Option<kvcore::Value>) -> Reply {
    Reply::Value(value.map(|value| String::from_utf8(value.to_vec()).unwrap()))
}

fn carry(store: &Store, call: &Call) -> Reply {
    let answer = match call {
        Call::Get(key) => store.get([*key]).map(text),
        Call::Set(key, value) => store.set([*key], value.to_string()).map(|_| Reply::Done),
        Call::SetIfAbsent(key, value) => {
            let options = SetOptions::default().if_absent();
            store.set_with([*key], value.to_string(), &options).map(|outcome| match outcome {
                SetOutcome::Stored { .. } => Reply::Done,
                SetOutcome::Exists => Reply::Exists,
                other => panic!("{other:?}"),
            })
        }
        Call::Incr(key, delta) => store.incr([*key], *delta, Expiry::Default).map(Reply::Number),
        Call::Append(key) => store.append([*key], "7").map(|len| Reply::Number(len as i64)),
        Call::Take(key) => store.take([*key]).map(text),
        Call::Del(key) => store.del([*key]).map(Reply::Bool),
        Call::Len => store.len().map(|len| Reply::Number(len as i64)),
        Call::Clear => store.clear().map(|()| Reply::Done),
    };
    answer.unwrap_or_else(|error| refused(&error))
}

/// As [`carry`], with an increment that another thread can come into.
fn carry_with_a_lost_update(store: &Store, call: &Call) -> Reply {
    let Call::Incr(key, delta) = call else { return carry(store, call) };
    let old = match store.get([*key]).unwrap() {
        None => 0,
        Some(value) => match std::str::from_utf8(&value).unwrap().parse::<i64>() {
            Ok(number) => number,
            Err(_) => return Reply::Type,
        },
    };
    thread::yield_now();
    let sum = old + delta;
    match store.set([*key], sum.to_string()) {
        Ok(_) => Reply::Number(sum),
        Err(error) => refused(&error),
    }
}

/// A few calls drawn from `seed`.
fn draw(mut seed: u64, setup: Setup) -> Vec<Call> {
    let mut next = |below: u64| {
        // Numbers of splitmix64.
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    };
    (0..CALLS)
        .map(|_| {
            let (key, number) = (next(3) as u8, next(50) as i64);
            match next(if setup.whole_store { 20 } else { 18 }) {
                0..4 => Call::Get(key),
                4..7 => Call::Set(key, number),
                7..9 => Call::SetIfAbsent(key, number),
                9..13 => Call::Incr(key, 1),
                13 => Call::Append(key),
                14..16 => Call::Take(key),
                16..18 => Call::Del(key),
                18 => Call::Len,
                _ => Call::Clear,
            }
        })
        .collect()
}

/// Lets the threads make their calls at once, and checks what they saw.
fn round(seed: u64, setup: Setup, carry: Carry) {
    let options = Options::new()
        .with("shards", setup.shards)
        .and_then(|options| options.with("max_entries", &setup.max_entries.to_string()))
        .unwrap();
    let store = Store::with_clock(options, Clock::manual(1_700_000_000_000).0).unwrap();
    let ticks = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (store, ticks) = (store.clone(), Arc::clone(&ticks));
            let calls = draw(seed.wrapping_mul(31).wrapping_add(number as u64), setup);
            thread::spawn(move || {
                let timed = |call: Call| {
                    let start = ticks.fetch_add(1, Ordering::SeqCst);
                    let reply = carry(&store, &call);
                    Event { call, reply, start, end: ticks.fetch_add(1, Ordering::SeqCst) }
                };
                calls.into_iter().map(timed).collect::<Vec<Event>>()
            })
        })
        .collect();
    let events: Vec<Event> =
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let max_entries = if setup.max_entries == 0 { usize::MAX } else { setup.max_entries };
    assert!(is_linearizable(&events, max_entries), "no order explains seed {seed}: {events:#?}");
    store.validate();
}

#[cfg(not(kv_shuttle))]
fn rounds(setup: Setup, carry: Carry) {
    (0..1500).for_each(|seed| round(seed, setup, carry));
}

#[cfg(kv_shuttle)]
fn rounds(setup: Setup, carry: Carry) {
    static SEED: AtomicU64 = AtomicU64::new(0);
    let one = move || round(SEED.fetch_add(1, Ordering::SeqCst), setup, carry);
    shuttle::check_random(one, 4000);
    shuttle::check_pct(one, 2000, 3);
}

#[test]
fn one_shard() {
    rounds(Setup { shards: "1", max_entries: 0, whole_store: true }, carry);
}

#[test]
fn two_shards() {
    rounds(Setup { shards: "2", max_entries: 0, whole_store: false }, carry);
}

#[test]
fn two_shards_at_a_limit() {
    rounds(Setup { shards: "2", max_entries: 2, whole_store: false }, carry);
}

#[test]
fn one_shard_at_a_limit() {
    rounds(Setup { shards: "1", max_entries: 1, whole_store: true }, carry);
}

#[test]
fn a_lost_update_is_found() {
    let event = |call: Call, reply: Reply, start: u64, end: u64| Event { call, reply, start, end };
    let both_got_one = [
        event(Call::Incr(1, 1), Reply::Number(1), 0, 3),
        event(Call::Incr(1, 1), Reply::Number(1), 1, 2),
    ];
    assert!(!is_linearizable(&both_got_one, usize::MAX));
    let stale_read =
        [event(Call::Set(1, 5), Reply::Done, 0, 1), event(Call::Get(1), Reply::Value(None), 2, 3)];
    assert!(!is_linearizable(&stale_read, usize::MAX));
    let overlapping =
        [event(Call::Set(1, 5), Reply::Done, 0, 3), event(Call::Get(1), Reply::Value(None), 1, 2)];
    assert!(is_linearizable(&overlapping, usize::MAX));
}

/// The machinery is shown to be able to fail: with an increment that is not atomic it must. Plain
/// threads may be lucky, shuttle's may not.
#[cfg(kv_shuttle)]
#[test]
fn a_planted_race_is_found() {
    let caught = std::panic::catch_unwind(|| {
        rounds(Setup { shards: "2", max_entries: 0, whole_store: false }, carry_with_a_lost_update);
    });
    assert!(caught.is_err(), "a lost update went unseen");
}

/// With plain threads the planted race only has to do no harm of its own to calls in turn.
#[cfg(not(kv_shuttle))]
#[test]
fn the_planted_race_is_right_without_company() {
    let store = Store::memory(Options::new()).unwrap();
    for n in 1..5 {
        assert_eq!(carry_with_a_lost_update(&store, &Call::Incr(1, 1)), Reply::Number(n));
    }
}

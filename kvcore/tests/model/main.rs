//! The store against a model of it: random sequences of every operation, on a manual clock.
//!
//! After each operation the two must agree on what a caller can see, to the millisecond, and the
//! store checks its own invariants. Afterwards every deadline passes under observation.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(not(kv_shuttle))]

mod batch;
mod check;
mod model;
mod moment;
mod ops;
mod pair;
mod scan;

use ops::{Op, Part, Ttl, When};
use pair::{Pair, Setup};
use proptest::prelude::*;

const PLAIN: Setup = Setup {
    shards: 1,
    entry_stats: false,
    ordered: false,
    max_entries: 0,
    max_memory: 0,
    eviction: "none",
};

fn run(setup: Setup, ops: &[Op]) {
    let mut pair = Pair::new(setup);
    for op in ops {
        pair.apply(op);
    }
    pair.see_all();
    pair.end_moments();
    pair.run_out();
}

fn sequences() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(ops::op(), 1..120)
}

/// The eviction policies. Which entry goes is theirs to say; the model looks and takes it as given.
fn policy() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["random", "ttl", "lru", "lfu", "s3fifo", "tinylfu"][..])
}

fn config() -> ProptestConfig {
    // KV_MODEL_CASES: how many sequences a test tries, for a longer search.
    let cases = std::env::var("KV_MODEL_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(256),
        failure_persistence: None,
        // A failure is to be read, not to be waited for.
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn without_limits(shards in prop_oneof![Just(1u32), Just(4)], ordered: bool, ops in sequences()) {
        run(Setup { shards, ordered, ..PLAIN }, &ops);
    }

    #[test]
    fn with_entry_stats(ops in sequences()) {
        run(Setup { shards: 2, entry_stats: true, ..PLAIN }, &ops);
    }

    #[test]
    fn with_max_entries(max_entries in 1u64..6, ops in sequences()) {
        run(Setup { shards: 2, max_entries, ..PLAIN }, &ops);
    }

    #[test]
    fn with_max_memory(max_memory in 8_000u64..200_000, ordered: bool, ops in sequences()) {
        run(Setup { shards: 2, max_memory, ordered, ..PLAIN }, &ops);
    }

    #[test]
    fn with_eviction_by_entries(max_entries in 1u64..6, eviction in policy(), ops in sequences()) {
        run(Setup { shards: 2, max_entries, eviction, ..PLAIN }, &ops);
    }

    #[test]
    fn with_eviction_by_memory(
        max_memory in 60_000u64..200_000,
        entry_stats: bool,
        ordered: bool,
        eviction in policy(),
        ops in sequences(),
    ) {
        run(Setup { max_memory, entry_stats, ordered, eviction, ..PLAIN }, &ops);
    }
}

/// The comparison is shown to be able to fail: a sequence on which the model is made to lie.
#[test]
fn a_lying_model_is_found() {
    let ops = [Op::SetWith(
        7,
        ops::Bytes(b"5".to_vec()),
        Ttl::AfterMs(50),
        When::Plain(kvcore::Condition::Any),
    )];
    type Lie = fn(&mut Pair);
    let lies: [(&str, Lie); 5] = [
        ("a value", |pair| pair.model.entries.get_mut(&ops::key(7)).unwrap().value.push(b'!')),
        ("a version", |pair| pair.model.entries.get_mut(&ops::key(7)).unwrap().version += 1),
        ("a deadline", |pair| {
            let entry = pair.model.entries.get_mut(&ops::key(7)).unwrap();
            entry.deadline = entry.deadline.map(|at| at + 1);
        }),
        ("a key", |pair| drop(pair.model.entries.remove(&ops::key(7)))),
        ("a clock", |pair| pair.model.now += 1),
    ];
    for (what, lie) in lies {
        let caught = std::panic::catch_unwind(|| {
            let mut pair = Pair::new(PLAIN);
            ops.iter().for_each(|op| pair.apply(op));
            pair.see_all();
            lie(&mut pair);
            pair.apply(&Op::Remaining(7));
            pair.apply(&Op::Get(7));
            pair.run_out();
        });
        assert!(caught.is_err(), "{what} was wrong and nobody noticed");
    }
}

/// What a batch would need in an empty store is not what it would need now: nothing goes in vain.
#[test]
fn a_batch_that_never_fits_evicts_nothing() {
    let empty = || ops::Bytes(Vec::new());
    let at_once = Op::SetWith(6, empty(), Ttl::AtOffset(1), When::Plain(kvcore::Condition::Any));
    let batch = vec![(8, empty()), (9, ops::Bytes(vec![b'm'; 632])), (4, empty())];
    let ops = [at_once, Op::Set(7, empty()), Op::SetMany(batch, Ttl::AfterMs(1))];
    for max_memory in (60_000..80_000).step_by(50) {
        run(Setup { max_memory, eviction: "ttl", ..PLAIN }, &ops);
    }
}

/// A batch evicts no key that it names. So what such a key has counts as well, also where only its deadline
/// changes, or nothing: if all of it does not fit, nothing goes in vain.
#[test]
fn a_batch_whose_keys_do_not_fit_together_evicts_nothing() {
    let any = When::Plain(kvcore::Condition::Any);
    let bytes = |len| ops::Bytes(vec![b'l'; len]);
    let put = |k, len| Part::Set(k, bytes(len), Ttl::Never, any);
    let parts = [
        // The key of number 4 is most of what fits.
        vec![put(8, 37_000), Part::ExpireAtOffset(4, 8), put(12, 25_000)],
        vec![put(8, 37_000), Part::Expire(4, kvcore::TTL_NONE), put(12, 25_000)],
    ];
    for parts in parts {
        let ops = [Op::Set(4, bytes(0)), Op::Set(9, bytes(12)), Op::Batch(parts)];
        for max_memory in (66_000..76_000).step_by(250) {
            run(Setup { max_memory, eviction: "random", ..PLAIN }, &ops);
        }
    }
}

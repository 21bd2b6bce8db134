//! What a document promised of a store with 32 shards, in calls a second: each has to be twice that
//! on this machine, from Rust and from Go.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use kvcore::{Expiry, Options, Store};

use super::child;
use super::sizes::Sizes;
use crate::clock;
use crate::outside::stdout_of;
use crate::plan::{self, Key, VALUE, Visits};
use crate::samples::{Goal, Limit, Samples};
use crate::text::{count, table};

/// The word for a child that measures this in Rust.
pub const KIND: &str = "promised";
const TABLE: &str = "promised";
const RUST: &str = "Rust";
const GO: &str = "Go";
const SHARDS: &str = "32";
const ENTRIES: usize = 100_000;
const BATCH: usize = 100;
const BATCH_SET: &str = "batch of 100 sets";
const BATCH_GET: &str = "batch of 100 gets";
/// The calls, with how many a second were promised.
const PROMISED: [(&str, f64); 6] = [
    ("set", 5e5),
    ("get", 1e6),
    ("concurrent set", 2e6),
    ("concurrent get", 5e6),
    (BATCH_SET, 5e4),
    (BATCH_GET, 5e4),
];
/// How many times that it has to be.
const GOAL: f64 = 2.0;

/// Measures in a child, and in Go if the repository's own C library is there.
pub fn run(root: &Path, sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    child::measure(sizes, &[KIND, "from Rust"], TABLE, samples)?;
    from_go(root, sizes, samples)
}

fn from_go(root: &Path, sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    println!("{TABLE}: from Go");
    let program = std::env::temp_dir().join(format!("kvbench-promised-{}", std::process::id()));
    let mut compile = Command::new("go");
    compile.args(["build", "-o"]).arg(&program).arg(".").current_dir(root.join("bench/go"));
    stdout_of(&mut compile)?;
    let numbers = [sizes.calls, sizes.short_rounds, ENTRIES].map(|number| number.to_string());
    let text = stdout_of(Command::new(&program).args(numbers));
    std::fs::remove_file(&program)?;
    for line in text?.lines() {
        let (case, ns) = line.split_once('\t').context("the program in Go printed no figure")?;
        samples.add(TABLE, case, GO, "ns", ns.parse()?);
    }
    Ok(())
}

/// Does all calls from Rust.
pub fn in_child(sizes: &Sizes) -> Result<()> {
    let store = Store::memory(Options::new().with("shards", SHARDS)?)?;
    for number in 0..ENTRIES {
        store.set(plan::key(number), VALUE)?;
    }
    let visits = Visits::uniform(ENTRIES);
    let calls = sizes.calls;
    for round in 0..sizes.short_rounds {
        let keys = |thread| visits.of_turn(2 * round + thread, calls);
        let each = |ns: f64, threads: usize| ns / (calls * threads) as f64;
        let times = [
            each(clock::alone(|| set(&store, keys(0))), 1),
            each(clock::alone(|| get(&store, keys(0))), 1),
            each(clock::together(2, |thread| set(&store, keys(thread))), 2),
            each(clock::together(2, |thread| get(&store, keys(thread))), 2),
            each(clock::alone(|| set_many(&store, keys(0))), 1) * BATCH as f64,
            each(clock::alone(|| get_many(&store, keys(0))), 1) * BATCH as f64,
        ];
        for ((case, _), ns) in PROMISED.into_iter().zip(times) {
            child::print(case, RUST, "ns", ns);
        }
    }
    ensure!(store.len()? == ENTRIES as u64, "keys were lost");
    Ok(())
}

fn set(store: &Store, keys: &[Key]) {
    let done = keys.iter().filter(|key| store.set(key, VALUE).is_ok()).count();
    assert_eq!(done, keys.len(), "sets failed");
}

fn get(store: &Store, keys: &[Key]) {
    let got = |key: &&Key| matches!(std::hint::black_box(store.get(key)), Ok(Some(_)));
    assert_eq!(keys.iter().filter(got).count(), keys.len(), "gets failed");
}

fn set_many(store: &Store, keys: &[Key]) {
    let mut items = Vec::with_capacity(BATCH);
    for keys in keys.chunks_exact(BATCH) {
        items.clear();
        items.extend(keys.iter().map(|key| (key, VALUE)));
        let done = store.set_many(&items, Expiry::Never);
        assert!(done.is_ok(), "a batch failed");
    }
}

fn get_many(store: &Store, keys: &[Key]) {
    for keys in keys.chunks_exact(BATCH) {
        let got = std::hint::black_box(store.get_many(keys));
        assert!(got.is_ok_and(|values| values.iter().all(Option::is_some)), "a batch failed");
    }
}

/// What was promised.
pub fn goals(samples: &Samples) -> Vec<Goal> {
    let mut goals = Vec::new();
    for language in [RUST, GO] {
        let goal = |(case, promised): (&str, f64)| Goal {
            what: format!("{case} from {language}, times {} a second", count(promised as usize)),
            measured: 1e9 / samples.median(TABLE, case, language) / promised,
            limit: Limit::AtLeast(GOAL),
            unit: "x",
        };
        goals.extend(PROMISED.map(goal));
    }
    goals
}

/// The table, in Markdown.
pub fn report(samples: &Samples) -> String {
    let row = |(case, promised): (&str, f64)| {
        let speed = |language| {
            let a_second = 1e9 / samples.median(TABLE, case, language);
            if a_second.is_nan() { String::new() } else { count(a_second as usize) }
        };
        [case.to_owned(), count(promised as usize), speed(RUST), speed(GO)]
    };
    format!(
        "## Promised figures\n\nCalls a second on a store of 32 shards with {} keys; the concurrent \
         ones by two threads. A get makes a value to keep.\n\n{}",
        count(ENTRIES),
        table(&["call", "promised", RUST, GO], &PROMISED.map(row))
    )
}

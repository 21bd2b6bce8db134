//! One hot key: whether two threads that read it run at twice the speed of one.
//!
//! Both are timed by the wall clock, because waiting for a cache line is what is looked for.

use anyhow::{Result, ensure};

use super::child;
use super::field::{self, LIBKV, LIBKV_ALL, PEERS};
use super::sizes::Sizes;
use crate::clock;
use crate::contestants::Call;
use crate::plan;
use crate::samples::{Goal, Limit, Samples};
use crate::text::table;

/// The word for a child that reads one key.
pub const KIND: &str = "hot";
const TABLE: &str = "hot key";
const CASES: [&str; 2] = ["1 thread", "2 threads"];
/// Entries of the store that has the key.
const ENTRIES: usize = 1000;
const HOT: usize = 7;

fn names() -> impl Iterator<Item = &'static str> {
    [LIBKV, LIBKV_ALL].into_iter().chain(PEERS)
}

/// Measures every engine in one child.
pub fn run(sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    child::measure(sizes, &[KIND, "one key, 1 and 2 threads"], TABLE, samples)
}

/// Reads one key by one thread and by two.
pub fn in_child(sizes: &Sizes) -> Result<()> {
    let mut members = Vec::new();
    for name in names() {
        let store = field::open(name, false, ENTRIES)?;
        super::race::fill_up(&store, ENTRIES);
        members.push((name, store));
    }
    let keys = vec![plan::key(HOT); sizes.hot_calls];
    for _ in 0..sizes.short_rounds {
        members.rotate_left(1);
        for (name, store) in &members {
            store.run(Call::GetInto, &keys[..keys.len() / 10]);
            for (threads, case) in [1, 2].into_iter().zip(CASES) {
                let ns = clock::together(threads, |_| {
                    let found = store.run(Call::GetInto, &keys);
                    assert_eq!(found, keys.len(), "{name} lost the hot key");
                });
                child::print(case, name, "ns", ns / (keys.len() * threads) as f64);
            }
        }
    }
    ensure!(!keys.is_empty(), "no calls were asked for");
    Ok(())
}

/// How many times one thread's speed two threads have.
fn speedup(samples: &Samples, name: &str) -> f64 {
    let [one, two] = CASES.map(|case| samples.series(TABLE, case, name).into_iter());
    crate::samples::median(one.zip(two).map(|(one, two)| one / two).collect())
}

/// What the hot key has to show.
pub fn goals(samples: &Samples) -> Vec<Goal> {
    let goal = |name| Goal {
        what: format!("two threads on one hot key, times one thread ({name})"),
        measured: speedup(samples, name),
        limit: Limit::AtLeast(1.7),
        unit: "x",
    };
    [LIBKV, LIBKV_ALL].map(goal).into()
}

/// The table, in Markdown.
pub fn report(samples: &Samples) -> String {
    let row = |name: &str| {
        let [one, two] = CASES.map(|case| 1e3 / samples.median(TABLE, case, name));
        let speedup = speedup(samples, name);
        [name.to_owned(), format!("{one:.1}"), format!("{two:.1}"), format!("{speedup:.2}x")]
    };
    let rows: Vec<_> = names().map(row).collect();
    format!(
        "## One hot key\n\nMillions of gets a second of the same key, by the wall clock.\n\n{}",
        table(&["engine", CASES[0], CASES[1], "2 threads : 1"], &rows)
    )
}

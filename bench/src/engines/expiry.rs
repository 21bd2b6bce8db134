//! Mass expiry: all entries of a large store are due in the same second, while a thread reads.
//!
//! Reclaiming is timed from the last deadline until the store is empty but for what has no TTL, by
//! the wall clock and by the processor time of the store's own threads: all of the process less the
//! threads that measure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use kvcore::{Options, SetOptions, Store};

use super::child;
use super::sizes::Sizes;
use crate::clock;
use crate::plan::{self, VALUE};
use crate::samples::{Goal, Limit, Samples};
use crate::text::{count, table};

/// The word for a child whose entries expire.
pub const KIND: &str = "expiry";
const TABLE: &str = "expiry";
const CASE: &str = "all due in one second";
/// Entries without a TTL, which a thread reads.
const STAYING: usize = 100_000;
const SECOND_MS: i64 = 1000;
const FIGURES: [(&str, &str); 7] = [
    (LAST, "ms"),
    (WORK, "ms"),
    ("gets meanwhile", "calls"),
    ("get, p50", "ns"),
    (P99, "ns"),
    ("get, p99.9", "ns"),
    ("get, worst", "ns"),
];
const LAST: &str = "reclaimed, after the last deadline";
const WORK: &str = "processor time of the store's threads";
const P99: &str = "get, p99";

/// Runs a child several times.
pub fn run(sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    for _ in 0..sizes.repeats {
        child::measure(sizes, &[KIND, CASE], TABLE, samples)?;
    }
    Ok(())
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    since.as_millis() as i64
}

/// A store whose entries are due within the second from the given moment on.
fn fill(entries: usize, from_ms: i64) -> Result<Store> {
    let store = Store::memory(Options::default())?;
    let mut random = fastrand::Rng::with_seed(3);
    for number in 0..entries {
        let options = SetOptions::default().expire_at_ms(from_ms + random.i64(0..SECOND_MS));
        store.set_with(plan::key(number), VALUE, &options)?;
    }
    for number in entries..entries + STAYING {
        store.set(plan::key(number), VALUE)?;
    }
    Ok(store)
}

/// Fills a store, waits for its entries to expire and sees what that does.
pub fn in_child(sizes: &Sizes) -> Result<()> {
    let entries = sizes.entries;
    let mut allowed_ms = 3000 + entries as i64 * 7 / 10_000;
    let (store, from_ms) = loop {
        let from_ms = now_ms() + allowed_ms;
        let store = fill(entries, from_ms)?;
        if now_ms() + 500 < from_ms {
            break (store, from_ms);
        }
        // A machine that is slow today gets more time.
        allowed_ms *= 2;
        ensure!(allowed_ms < 300_000, "filling the store takes longer than its entries live");
    };
    while now_ms() < from_ms {
        std::thread::sleep(Duration::from_millis(1));
    }
    let stop = AtomicBool::new(false);
    let (before, own_before) = (clock::process_ns(), clock::thread_ns());
    let (times, reader_ns, last_ms) = std::thread::scope(|scope| -> Result<_> {
        let reader = scope.spawn(|| read(&store, entries, &stop));
        let mut emptied = Ok(());
        while store.len()? > STAYING as u64 {
            std::thread::sleep(Duration::from_millis(2));
            if now_ms() > from_ms + 120_000 {
                emptied = Err(anyhow::anyhow!("two minutes later, entries are still there"));
                break;
            }
        }
        let last_ms = (now_ms() - from_ms - SECOND_MS) as f64;
        stop.store(true, Ordering::Relaxed);
        let (times, reader_ns) =
            reader.join().map_err(|_| anyhow::anyhow!("the reading thread panicked"))??;
        emptied.map(|()| (times, reader_ns, last_ms))
    })?;
    let own = clock::thread_ns() - own_before;
    let store_ms = (clock::process_ns() - before - own - reader_ns) / 1e6;
    let at = |percentile| times.value_at_percentile(percentile) as f64;
    let values = [last_ms, store_ms, times.len() as f64, at(50.0), at(99.0), at(99.9), at(100.0)];
    for ((figure, unit), value) in FIGURES.into_iter().zip(values) {
        child::print(CASE, figure, unit, value);
    }
    Ok(())
}

/// Reads what stays until told to stop. Gives the times, and the processor time it used itself.
fn read(store: &Store, from: usize, stop: &AtomicBool) -> Result<(Histogram<u32>, f64)> {
    let began = clock::thread_ns();
    let mut times = Histogram::<u32>::new_with_bounds(1, 60_000_000_000, 3)?;
    let mut random = fastrand::Rng::with_seed(4);
    let mut buffer = [0; 128];
    while !stop.load(Ordering::Relaxed) {
        let key = plan::key(from + random.usize(..STAYING));
        let start = Instant::now();
        let found = store.get_into(key, &mut buffer)?;
        times.record((start.elapsed().as_nanos() as u64).max(1))?;
        ensure!(found.is_some(), "a key without a TTL is gone");
    }
    Ok((times, clock::thread_ns() - began))
}

/// What mass expiry has to show.
pub fn goals(sizes: &Sizes, samples: &Samples) -> Vec<Goal> {
    let entries = count(sizes.entries);
    let median = |figure| samples.median(TABLE, CASE, figure);
    let work = "processor time that frees";
    vec![
        Goal {
            what: format!("{work} {entries} entries due in the same second"),
            measured: median(WORK) / 1e3,
            limit: Limit::AtMost(2.0),
            unit: "s",
        },
        Goal {
            what: format!("all {entries} freed, after the last deadline, with a reader beside"),
            measured: median(LAST) / 1e3,
            limit: Limit::AtMost(2.0),
            unit: "s",
        },
        Goal {
            what: "p99 of a get meanwhile".to_owned(),
            measured: median(P99) / 1e3,
            limit: Limit::AtMost(100.0),
            unit: "us",
        },
    ]
}

/// The table, in Markdown.
pub fn report(sizes: &Sizes, samples: &Samples) -> String {
    let row = |(figure, unit): (&str, &str)| {
        let value = samples.median(TABLE, CASE, figure);
        let text = match unit {
            "ns" => format!("{:.2} us", value / 1e3),
            "calls" => count(value as usize),
            unit => format!("{value:.0} {unit}"),
        };
        [figure.to_owned(), text]
    };
    format!(
        "## Mass expiry\n\n{} entries are due in the same second, {} stay and are read by one \
         thread from the first deadline until the last of the others is freed. Medians of the \
         runs.\n\n{}",
        count(sizes.entries),
        count(STAYING),
        table(&["figure", "libkv"], &FIGURES.map(row))
    )
}

//! A snapshot while two threads set as fast as they can: what it takes of memory, and what a set takes
//! meanwhile.
//!
//! Both are held against the same seconds without one, just before. Memory is the most that the
//! process held, as the system counts it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use hdrhistogram::Histogram;
use kvcore::{Options, Store};

use super::child::{self, Ground};
use super::content::value;
use super::sizes::Sizes;
use crate::engines::system::{forget_peak, peak_bytes};
use crate::plan;
use crate::samples::{Goal, Limit, Samples};
use crate::text::{count, table};

/// The word for a child that takes snapshots.
pub const KIND: &str = "snapshot";
const TABLE: &str = "snapshot";
const CASE: &str = "two writers";
const HELD: &str = "held at most, without a snapshot";
const HELD_MEANWHILE: &str = "held at most, during a snapshot";
const P99: &str = "set, p99, without a snapshot";
const P99_MEANWHILE: &str = "set, p99, during a snapshot";
const WORST: &str = "set, worst, without a snapshot";
const WORST_MEANWHILE: &str = "set, worst, during a snapshot";
const SETS: &str = "sets a second, without a snapshot";
const SETS_MEANWHILE: &str = "sets a second, during a snapshot";
const SECONDS: &str = "a snapshot took";
const WRITERS: usize = 2;
const FIGURES: [(&str, &str); 9] = [
    (HELD, "bytes"),
    (HELD_MEANWHILE, "bytes"),
    (P99, "ns"),
    (P99_MEANWHILE, "ns"),
    (WORST, "ns"),
    (WORST_MEANWHILE, "ns"),
    (SETS, "calls"),
    (SETS_MEANWHILE, "calls"),
    (SECONDS, "s"),
];

/// Measures in one child.
pub fn run(ground: &Ground, samples: &mut Samples) -> Result<()> {
    ground.measure(&[KIND, CASE], TABLE, samples)
}

/// Fills a store and takes snapshots of it.
pub fn in_child(ground: &Ground) -> Result<()> {
    let sizes = &ground.sizes;
    let folder = ground.folder(KIND)?;
    // None comes by itself.
    let options = Options::new().with("snapshot_interval", "0")?.with("wal_bytes_max", "1TiB")?;
    let store = Store::open_directory(folder.path(), options)?;
    for number in 0..sizes.pictured {
        let key = plan::key(number);
        store.set(key, value(&key))?;
    }
    let (stop, phase) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, stop, phase) = (&store, &stop, &phase);
                scope.spawn(move || write(store, sizes.pictured, writer as u64, stop, phase))
            })
            .collect();
        let taken = take(sizes, &store, &phase);
        stop.store(true, Ordering::Relaxed);
        let mut phases: Vec<Histogram<u32>> = Vec::new();
        for thread in running {
            let written = thread.join().map_err(|_| anyhow!("a writer panicked"))??;
            for (phase, times) in written.into_iter().enumerate() {
                match phases.get_mut(phase) {
                    Some(sum) => sum.add(times)?,
                    None => phases.push(times),
                }
            }
        }
        print_all(&taken?, &phases)
    })
}

/// What the process held without a snapshot and during one, and how long both took.
struct Taken {
    held: [f64; 2],
    seconds: [f64; 2],
}

/// Takes snapshots. An even phase is one without; the writers see its number.
fn take(sizes: &Sizes, store: &Store, phase: &AtomicUsize) -> Result<Vec<Taken>> {
    let mut taken = Vec::new();
    // The first one warms up.
    let mut seconds = store.snapshot(None)?.seconds;
    for _ in 0..sizes.repeats {
        let without = seconds.max(0.2);
        forget_peak()?;
        phase.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs_f64(without));
        let held = peak_bytes()?;
        forget_peak()?;
        phase.fetch_add(1, Ordering::SeqCst);
        seconds = store.snapshot(None)?.seconds;
        taken.push(Taken { held: [held, peak_bytes()?], seconds: [without, seconds] });
    }
    phase.fetch_add(1, Ordering::SeqCst);
    Ok(taken)
}

/// Sets keys at random until told to stop. Gives the times of each phase.
fn write(
    store: &Store,
    entries: usize,
    seed: u64,
    stop: &AtomicBool,
    phase: &AtomicUsize,
) -> Result<Vec<Histogram<u32>>> {
    let new = || Histogram::<u32>::new_with_bounds(1, 60_000_000_000, 2);
    let mut phases = vec![new()?];
    let mut random = fastrand::Rng::with_seed(seed);
    while !stop.load(Ordering::Relaxed) {
        let now = phase.load(Ordering::Relaxed);
        while phases.len() <= now {
            phases.push(new()?);
        }
        let key = plan::key(random.usize(..entries));
        let start = Instant::now();
        store.set(key, value(&key))?;
        phases[now].record((start.elapsed().as_nanos() as u64).max(1))?;
    }
    Ok(phases)
}

fn print_all(taken: &[Taken], phases: &[Histogram<u32>]) -> Result<()> {
    for (at, taken) in taken.iter().enumerate() {
        let pair = phases.get(2 * at + 1).zip(phases.get(2 * at + 2));
        let (without, during) = pair.ok_or_else(|| anyhow!("the writers missed a snapshot"))?;
        ensure!(!without.is_empty() && !during.is_empty(), "the writers did not write");
        let p99 = |times: &Histogram<u32>| times.value_at_quantile(0.99) as f64;
        let values = [
            taken.held[0],
            taken.held[1],
            p99(without),
            p99(during),
            without.max() as f64,
            during.max() as f64,
            without.len() as f64 / taken.seconds[0],
            during.len() as f64 / taken.seconds[1],
            taken.seconds[1],
        ];
        for ((figure, unit), value) in FIGURES.into_iter().zip(values) {
            child::print(CASE, figure, unit, value);
        }
    }
    Ok(())
}

/// What a snapshot has to show.
pub fn goals(samples: &Samples) -> Vec<Goal> {
    let more = samples.ratio(TABLE, CASE, HELD_MEANWHILE, HELD) - 1.0;
    vec![
        Goal {
            what: "memory that a snapshot takes under full write load".to_owned(),
            measured: 100.0 * more,
            limit: Limit::AtMost(5.0),
            unit: "%",
        },
        Goal {
            what: "p99 of a set during a snapshot, times that without".to_owned(),
            measured: samples.ratio(TABLE, CASE, P99_MEANWHILE, P99),
            limit: Limit::AtMost(3.0),
            unit: "x",
        },
    ]
}

/// The table, in Markdown.
pub fn report(sizes: &Sizes, samples: &Samples) -> String {
    let row = |(figure, unit): (&str, &str)| {
        let value = samples.median(TABLE, CASE, figure);
        let text = match unit {
            "bytes" => format!("{:.1} MiB", value / f64::from(1 << 20)),
            "ns" => format!("{:.2} us", value / 1e3),
            "calls" => count(value as usize),
            unit => format!("{value:.2} {unit}"),
        };
        [figure.to_owned(), text]
    };
    format!(
        "## Snapshots under full write load\n\n{} entries, {WRITERS} threads that overwrite at random \
         with `sync=interval`. Medians of {} snapshots, each after as many seconds without one.\n\n{}",
        count(sizes.pictured),
        sizes.repeats,
        table(&["figure", "libkv"], &FIGURES.map(row))
    )
}

//! Runs for hours what the tests run in seconds: stores on a simulated disk, against a model.
//!
//! ```sh
//! cargo run --release -p kvcore --example proof -- RIG [--seeds FROM..TO] [--threads N]
//! ```
//!
//! prints one line, `rig=<name> runs=<n> violations=<n> seed=<from..to> seconds=<t>`, after one line for
//! each violation, and ends with status 1 if there were any. A seed that was violated is run again by
//! `--seeds N..N+1`. Without `--seeds`, all that the rig has are run: see [`RIGS`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]
// The tests use all of these modules, and this a part.
#![allow(dead_code)]

#[path = "../../tests/durable/rigs/mod.rs"]
mod rigs;
#[path = "../../tests/durable/runs.rs"]
mod runs;
#[path = "../../tests/durable/script.rs"]
mod script;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rigs::hostile::{self, Corpus};
use rigs::{MODES, bits, errors, lives, nested, replay, sequences, stuck};

/// A rig: its name, the seeds that it has if none are named, and what it does with one. That returns
/// how many runs it was.
struct Rig {
    name: &'static str,
    seeds: fn() -> std::ops::Range<u64>,
    run: fn(u64) -> u64,
}

const RIGS: &[Rig] = &[
    // Lives of a store that end in any way.
    Rig { name: "random", seeds: || 0..1_000_000, run: |seed| (lives::run(seed), 1).1 },
    // Every sequence of up to three operations, with a crash at every call of the disk.
    Rig { name: "sequences", seeds: || 0..sequences::count(), run: sequences::run },
    // Crashes during recovery, during that recovery, and during that one.
    Rig { name: "nested", seeds: || 0..40, run: |seed| nested::run(seed, true) },
    // Every call of a script fails, with every error, once or from then on. The seed is the script.
    Rig { name: "errors", seeds: || 0..4, run: every_error },
    // Every bit of a file flipped, and the file cut at every byte. The seed is the file.
    Rig { name: "bits", seeds: || 0..bits::FILES, run: |file| bits::run(file, 1) },
    // Eight threads on hot keys, against the log replayed.
    Rig { name: "replay", seeds: || 0..1_000, run: |seed| (replay::run(seed), 1).1 },
    // A sync that hangs and then fails.
    Rig { name: "stuck", seeds: || 0..1_000, run: |seed| (stuck::run(seed), 1).1 },
    // Bytes that nobody wrote, a thousand to a seed.
    Rig { name: "hostile", seeds: || 0..1_000, run: hostile_bytes },
];

/// Bytes by which memory may grow while hostile bytes are read.
const GROWTH_MAX: u64 = 64 << 20;

fn hostile_bytes(seed: u64) -> u64 {
    thread_local!(static CORPUS: Corpus = Corpus::new());
    CORPUS.with(|corpus| {
        let before = hostile::peak_bytes();
        (seed * 1_000..(seed + 1) * 1_000).for_each(|input| corpus.run(input));
        let grown = hostile::peak_bytes() - before;
        assert!(grown <= GROWTH_MAX, "memory grew by {grown} bytes");
    });
    1_000
}

fn every_error(seed: u64) -> u64 {
    let mut runs = 0;
    for errno in errors::ERRORS {
        for lasting in [false, true] {
            for mode in MODES {
                let failed = (1..).take_while(|&n| errors::fail_at(mode, n, errno, lasting, seed));
                runs += failed.count() as u64 + 1;
            }
        }
    }
    runs
}

/// What the command line asks for.
struct Order {
    rig: &'static Rig,
    seeds: std::ops::Range<u64>,
    threads: u64,
}

fn order() -> Option<Order> {
    let mut words = std::env::args().skip(1);
    let name = words.next()?;
    let rig = RIGS.iter().find(|rig| rig.name == name)?;
    let mut order = Order { rig, seeds: (rig.seeds)(), threads: 1 };
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--seeds" => {
                let (from, to) = value.split_once("..")?;
                order.seeds = from.parse().ok()?..to.parse().ok()?;
            }
            "--threads" => order.threads = value.parse().ok().filter(|&threads| threads > 0)?,
            _ => return None,
        }
    }
    Some(order)
}

/// Runs the seeds, shared out over threads. Returns the runs and the violations.
fn carry_out(order: &Order) -> (u64, u64) {
    let (next, runs) = (AtomicU64::new(order.seeds.start), AtomicU64::new(0));
    let violations = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..order.threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= order.seeds.end {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| (order.rig.run)(seed))) {
                        Ok(more) => runs.fetch_add(more, Ordering::Relaxed),
                        Err(_) => {
                            println!("violation rig={} seed={seed}", order.rig.name);
                            violations.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            });
        }
    });
    (runs.into_inner(), violations.into_inner())
}

fn main() -> ExitCode {
    let Some(order) = order() else {
        let names: Vec<_> = RIGS.iter().map(|rig| rig.name).collect();
        eprintln!("usage: proof RIG [--seeds FROM..TO] [--threads N]; rigs: {}", names.join(", "));
        return ExitCode::from(2);
    };
    let began = Instant::now();
    let (runs, violations) = carry_out(&order);
    let (name, seeds) = (order.rig.name, &order.seeds);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "rig={name} runs={runs} violations={violations} seed={}..{} seconds={seconds:.1}",
        seeds.start, seeds.end
    );
    ExitCode::from(u8::from(violations > 0))
}

//! `cargo xtask bench limit`: `max_memory=256MiB` under values of random sizes up to 1 MiB.
//!
//! Two threads write while one looks at what the store counts, as fast as it can. The count must
//! never be above the limit, and the process must not grow by more than 5 % beyond it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use kvcore::{Options, Status, Store};

use crate::contestants;
use crate::engines::system::{peak_bytes, resident_bytes};
use crate::machine;
use crate::plan;
use crate::results::{self, Asked};
use crate::samples::{Goal, Limit, Samples};
use crate::text::{count, table};

const USAGE: &str = "\
usage: cargo xtask bench limit [--quick] [--seconds N] [--name NAME]

  --quick       a few seconds
  --seconds N   how long each distribution of sizes is written, in place of 30
  --name NAME   write bench/results/NAME.md and .csv instead of limit.*";

const TABLE: &str = "limit";
const SECONDS: &str = "--seconds";
const LIMIT: u64 = 256 << 20;
const VALUE_MAX: usize = 1 << 20;
const GROWTH_MAX: f64 = 1.05;
const MIB: f64 = (1 << 20) as f64;
/// Keys that are written: far more than fit.
const KEYS: usize = 1 << 20;
const WRITERS: u64 = 2;

/// How sizes are drawn.
#[derive(Clone, Copy)]
enum Sizes {
    /// Every length is as likely.
    Even,
    /// Every order of magnitude is as likely.
    Logarithmic,
    /// Both, by turns, and small ones between: the mix that leaves most holes.
    Mixed,
}

impl Sizes {
    const ALL: [Sizes; 3] = [Sizes::Even, Sizes::Logarithmic, Sizes::Mixed];

    fn name(self) -> &'static str {
        match self {
            Sizes::Even => "evenly up to 1 MiB",
            Sizes::Logarithmic => "by order of magnitude up to 1 MiB",
            Sizes::Mixed => "mixed: even, by magnitude, and up to 100 B",
        }
    }

    fn draw(self, random: &mut fastrand::Rng) -> usize {
        match self {
            Sizes::Even => random.usize(1..=VALUE_MAX),
            Sizes::Logarithmic => (VALUE_MAX as f64).powf(random.f64()) as usize,
            Sizes::Mixed => match random.u8(..16) {
                0 => Sizes::Even.draw(random),
                1..=4 => Sizes::Logarithmic.draw(random),
                _ => random.usize(1..=100),
            },
        }
    }
}

/// What one phase showed.
struct Seen {
    sizes: Sizes,
    sets: u64,
    evicted: u64,
    looks: u64,
    counted_most: u64,
    grown_most: f64,
}

/// Writes, and says what was seen.
pub fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let asked = Asked::read(arguments, &[], &[SECONDS], USAGE)?;
    let seconds = asked.number(SECONDS).unwrap_or(if asked.quick { 2.0 } else { 30.0 });
    let machine = machine::describe(root);
    // What the threads write is there before the store is.
    let mut value = vec![0; VALUE_MAX];
    fastrand::Rng::with_seed(6).fill(&mut value);
    let policy = contestants::policy()?;
    let before = resident_bytes()?;
    let options =
        Options::new().with("max_memory", &LIMIT.to_string())?.with("eviction", policy)?;
    let store = Store::memory(options)?;
    let mut phases = Vec::new();
    for sizes in Sizes::ALL {
        println!("limit: {}", sizes.name());
        phases.push(phase(&store, sizes, &value, Duration::from_secs_f64(seconds), before)?);
    }
    let grown = peak_bytes()? - before;
    refuse_what_cannot_fit(&store)?;
    let goals = goals(&phases, grown);
    let mut samples = Samples::default();
    for seen in &phases {
        for (subject, bytes) in
            [("counted, most", seen.counted_most as f64), ("process, most", seen.grown_most)]
        {
            samples.add(TABLE, seen.sizes.name(), subject, "bytes", bytes);
        }
    }
    let name = asked.name_or(TABLE);
    let command = ["cargo xtask bench limit"].into_iter();
    let command = command.chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let report = report(&phases, policy, grown);
    let text = results::compose(&name, &command, &machine, &goals, &[report]);
    results::publish(root, &name, &text, &samples.csv(), &goals)
}

fn phase(store: &Store, sizes: Sizes, value: &[u8], length: Duration, before: f64) -> Result<Seen> {
    let stop = AtomicBool::new(false);
    let (sets, evicted) = (AtomicU64::new(0), store.stats()?.evicted);
    let mut seen = Seen { sizes, sets: 0, evicted: 0, looks: 0, counted_most: 0, grown_most: 0.0 };
    std::thread::scope(|scope| -> Result<()> {
        let writers: Vec<_> = (0..WRITERS)
            .map(|seed| {
                scope.spawn({
                    let (stop, sets) = (&stop, &sets);
                    move || write(store, sizes, value, seed, stop, sets)
                })
            })
            .collect();
        let looked = look(store, length, before, &mut seen);
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.join().map_err(|_| anyhow!("a writing thread panicked"))??;
        }
        looked
    })?;
    seen.sets = sets.load(Ordering::Relaxed);
    seen.evicted = store.stats()?.evicted - evicted;
    Ok(seen)
}

fn look(store: &Store, length: Duration, before: f64, seen: &mut Seen) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < length {
        seen.counted_most = seen.counted_most.max(store.stats()?.memory_bytes);
        if seen.looks.is_multiple_of(64) {
            seen.grown_most = seen.grown_most.max(resident_bytes()? - before);
        }
        seen.looks += 1;
    }
    Ok(())
}

fn write(
    store: &Store,
    sizes: Sizes,
    value: &[u8],
    seed: u64,
    stop: &AtomicBool,
    sets: &AtomicU64,
) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    while !stop.load(Ordering::Relaxed) {
        let key = plan::key(random.usize(..KEYS));
        store.set(key, &value[..sizes.draw(&mut random).clamp(1, VALUE_MAX)])?;
        sets.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// A value that is larger than the limit is refused and evicts nothing.
fn refuse_what_cannot_fit(store: &Store) -> Result<()> {
    let before = store.stats()?;
    let refused = store.set("too large", vec![0; LIMIT as usize + 1]);
    let status = refused.err().map(|error| error.status());
    ensure!(
        matches!(status, Some(Status::TooLarge | Status::Full)),
        "a value over the limit was answered with {status:?}"
    );
    let after = store.stats()?;
    ensure!(after.evicted == before.evicted, "a value over the limit has evicted others");
    ensure!(after.entries == before.entries, "a value over the limit has changed the store");
    Ok(())
}

fn goals(phases: &[Seen], grown: f64) -> Vec<Goal> {
    let counted = phases.iter().map(|seen| seen.counted_most).max().unwrap_or(u64::MAX);
    let looks: u64 = phases.iter().map(|seen| seen.looks).sum();
    vec![
        Goal {
            what: format!("most that was counted, in {} looks", count(looks as usize)),
            measured: counted as f64 / MIB,
            limit: Limit::AtMost(LIMIT as f64 / MIB),
            unit: "MiB",
        },
        Goal {
            what: "most that the process grew by, times the limit".to_owned(),
            measured: grown / LIMIT as f64,
            limit: Limit::AtMost(GROWTH_MAX),
            unit: "x",
        },
    ]
}

fn report(phases: &[Seen], policy: &str, grown: f64) -> String {
    let row = |seen: &Seen| {
        let numbers = [seen.sets, seen.evicted, seen.looks].map(|number| count(number as usize));
        let [sets, evicted, looks] = numbers;
        let counted = format!("{:.3}", seen.counted_most as f64 / MIB);
        let grown = format!("{:.1}", seen.grown_most / MIB);
        [seen.sizes.name().to_owned(), sets, evicted, looks, counted, grown]
    };
    let rows: Vec<_> = phases.iter().map(row).collect();
    let header =
        ["sizes", "sets", "evicted", "looks", "counted at most, MiB", "grown at most, MiB"];
    format!(
        "## Limit\n\n`max_memory=256MiB`, `eviction={policy}`, {WRITERS} threads that write. The \
         process grew by {:.1} MiB at its peak. A value larger than the limit was refused then, and \
         evicted nothing.\n\n{}",
        grown / MIB,
        table(&header, &rows)
    )
}

//! Reads while the disk hangs: a sync that takes two seconds, with writers that go on or wait for it.
//!
//! The reader's times in those seconds are held against its times just before, with the same writers
//! and a disk that works.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use hdrhistogram::Histogram;
use kvcore::{Options, Store};

use super::child::{self, Ground};
use super::content::value;
use super::peers::Mode;
use super::sizes::Sizes;
use super::slow_sync;
use crate::plan;
use crate::samples::{Goal, Limit, Samples};
use crate::text::table;

/// The word for a child whose syncs get stuck.
pub const KIND: &str = "stuck";
const TABLE: &str = "stuck";
const USUAL: &str = "get, p99, usual";
const STUCK: &str = "get, p99, sync stuck";
const READS: &str = "gets while stuck";
const MODES: [Mode; 2] = [Mode::Always, Mode::Interval];
const WRITERS: usize = 2;

/// Measures in one child.
pub fn run(ground: &Ground, samples: &mut Samples) -> Result<()> {
    ground.measure(&[KIND, "reads while a sync is stuck"], TABLE, samples)
}

/// Reads and writes, with a disk that works and one that does not, in turns.
pub fn in_child(ground: &Ground) -> Result<()> {
    let sizes = &ground.sizes;
    for mode in MODES {
        let folder = ground.folder(KIND)?;
        for _ in 0..sizes.repeats {
            let [usual, stuck] = measure(sizes, mode, folder.path())?;
            child::print(mode.name(), USUAL, "ns", usual.value_at_quantile(0.99) as f64);
            child::print(mode.name(), STUCK, "ns", stuck.value_at_quantile(0.99) as f64);
            child::print(mode.name(), READS, "calls", stuck.len() as f64);
        }
    }
    Ok(())
}

fn measure(sizes: &Sizes, mode: Mode, dir: &Path) -> Result<[Histogram<u32>; 2]> {
    let options = Options::new().with("sync", mode.name())?.with("sync_interval", "50ms")?;
    let store = Store::open_directory(dir, options)?;
    store.configure("sync", Mode::Never.name())?;
    for number in 0..sizes.entries {
        let key = plan::key(number);
        store.set(key, value(&key))?;
    }
    store.configure("sync", mode.name())?;
    let stop = AtomicBool::new(false);
    let times = std::thread::scope(|scope| {
        let running: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, stop) = (&store, &stop);
                scope.spawn(move || write(store, sizes.entries, writer as u64, stop))
            })
            .collect();
        let times = read_both(&store, sizes);
        stop.store(true, Ordering::Relaxed);
        let written: Result<Vec<()>> = running
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a writer panicked"))?)
            .collect();
        written.and(times)
    })?;
    store.shutdown()?;
    Ok(times)
}

fn read_both(store: &Store, sizes: &Sizes) -> Result<[Histogram<u32>; 2]> {
    let end = Instant::now() + sizes.stuck;
    let usual = read(store, sizes.entries, || Instant::now() < end)?;
    slow_sync::stick(sizes.stuck);
    let began = Instant::now();
    while !slow_sync::is_stuck() {
        ensure!(began.elapsed() < Duration::from_secs(20), "no sync got stuck");
        std::thread::yield_now();
    }
    // Those that come after this one are as always.
    slow_sync::stick(Duration::ZERO);
    let stuck = read(store, sizes.entries, slow_sync::is_stuck)?;
    Ok([usual, stuck])
}

/// Reads keys at random as long as it is to go on.
fn read(store: &Store, entries: usize, goes_on: impl Fn() -> bool) -> Result<Histogram<u32>> {
    let mut times = Histogram::<u32>::new_with_bounds(1, 60_000_000_000, 3)?;
    let mut random = fastrand::Rng::with_seed(8);
    let mut buffer = [0; 256];
    while goes_on() {
        for _ in 0..16 {
            let key = plan::key(random.usize(..entries));
            let start = Instant::now();
            let found = store.get_into(key, &mut buffer)?;
            times.record((start.elapsed().as_nanos() as u64).max(1))?;
            ensure!(found.is_some(), "a key is gone");
        }
    }
    ensure!(!times.is_empty(), "nothing was read");
    Ok(times)
}

fn write(store: &Store, entries: usize, seed: u64, stop: &AtomicBool) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    while !stop.load(Ordering::Relaxed) {
        let key = plan::key(random.usize(..entries));
        store.set(key, value(&key))?;
    }
    Ok(())
}

/// What reads have to show.
pub fn goals(samples: &Samples) -> Vec<Goal> {
    let goal = |mode: Mode| Goal {
        what: format!("`{}`: p99 of a get while a sync is stuck, times the usual", mode.name()),
        measured: samples.ratio(TABLE, mode.name(), STUCK, USUAL),
        limit: Limit::AtMost(2.0),
        unit: "x",
    };
    MODES.map(goal).into()
}

/// The table, in Markdown.
pub fn report(sizes: &Sizes, samples: &Samples) -> String {
    let row = |mode: Mode| {
        let median = |subject| samples.median(TABLE, mode.name(), subject);
        let micros = |subject| format!("{:.2}", median(subject) / 1e3);
        [mode.name().to_owned(), micros(USUAL), micros(STUCK), format!("{:.0}", median(READS))]
    };
    format!(
        "## Reads while a sync is stuck\n\nOne thread reads, {WRITERS} write, and one sync takes {:.1} s: \
         p99 of a get in microseconds while it does, and as long before with a disk that works. \
         Medians of {} times.\n\n{}",
        sizes.stuck.as_secs_f64(),
        sizes.repeats,
        table(&["sync", "usual", "stuck", "gets while stuck"], &MODES.map(row))
    )
}

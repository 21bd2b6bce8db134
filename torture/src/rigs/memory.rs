//! The log replayed is the memory: eight threads change a few hot keys as fast as they can, and a copy
//! of the files, as a kill would leave them, must give back every value, version and deadline.
//!
//! Goal: 1,000 runs, no difference.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use kvcore::{Expiry, Options, SetOptions, Store};

use crate::arguments::Arguments;
use crate::life::copy_dir;
use crate::native::fresh;
use crate::results::{self, Row};
use crate::workload::{Dump, THREADS, wall_ms};

/// The name of the rig.
pub const NAME: &str = "memory";
/// How many runs there are to be.
pub const GOAL: u64 = 1_000;
const STEPS: u64 = 400;
/// No deadline comes in the course of a run.
const FAR_MS: i64 = 3_600_000;

/// Runs the rig.
///
/// # Errors
/// The first difference, with the directory that shows it.
pub fn run(arguments: &Arguments) -> Result<()> {
    let goal = arguments.runs.unwrap_or(GOAL);
    let started = Instant::now();
    let place = arguments.place(NAME);
    let mut runs = 0;
    for number in (0..goal).take_while(|_| !arguments.is_over()) {
        let seed = arguments.seed.wrapping_add(number);
        fresh(&place)?;
        one(&place, seed).with_context(|| {
            let place = place.display();
            format!("the directory is {place}; again with: kvtorture memory --runs 1 --seed {seed}")
        })?;
        runs += 1;
        if runs % 100 == 0 {
            println!("memory: {runs} of {goal}");
        }
    }
    fs::remove_dir_all(&place)?;
    let row = Row {
        rig: NAME.into(),
        part: format!("{THREADS} threads, hot keys"),
        unit: "runs".into(),
        runs,
        violations: 0,
        seed: arguments.seed,
        seconds: started.elapsed().as_secs_f64(),
        counts: vec![("writes".into(), runs * STEPS * THREADS as u64)],
        note: String::new(),
    };
    results::add(arguments, &row)
}

fn options(seed: u64) -> Result<Options> {
    let small = Options::new().with("sync", "never")?.with("wal_segment_bytes", "64KiB")?;
    let shards = ["1", "2", "8"][(seed % 3) as usize];
    let interval = ["0", "5ms"][(seed % 2) as usize];
    Ok(small.with("shards", shards)?.with("snapshot_interval", interval)?)
}

fn one(place: &std::path::Path, seed: u64) -> Result<()> {
    let (dir, copy) = (place.join("store"), place.join("copy"));
    let before_ms = wall_ms();
    let store = Store::open_directory(&dir, options(seed)?)?;
    let threads: Result<()> = std::thread::scope(|scope| {
        let store = &store;
        let all: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || hammer(store, thread as u64, seed)))
            .collect();
        all.into_iter().try_for_each(|one| {
            one.join().map_err(|_| anyhow::anyhow!("VIOLATION: a thread has panicked"))?
        })
    });
    threads?;
    if seed % 2 == 1 {
        // No snapshot is under way after this, so the files stay as they are for the copy.
        store.configure("snapshot_interval", "0")?;
        store.snapshot(None)?;
        hammer(&store, THREADS as u64, seed)?;
    }
    let memory = Dump::of(&store, before_ms)?;
    copy_dir(&dir, &copy)?;
    let again = Store::open_directory(&copy, options(seed)?).context("the copy does not open")?;
    again.validate();
    let found = Dump::of(&again, before_ms)?;
    for (key, held) in &memory.entries {
        let name = String::from_utf8_lossy(key);
        ensure!(found.entries.get(key) == Some(held), "VIOLATION: {name} is not what it was");
    }
    ensure!(found.entries.len() == memory.entries.len(), "VIOLATION: there are more keys");
    Ok(())
}

fn hammer(store: &Store, thread: u64, seed: u64) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(31) + thread);
    for step in 0..STEPS {
        let key = format!("hot {}", random.u8(..4));
        let value = format!("{thread} {step}");
        match random.u8(..12) {
            0..4 => drop(store.set(&key, &value)?),
            4 => drop(store.del(&key)?),
            5 => drop(store.incr(format!("number {}", random.u8(..2)), 1, Expiry::Never)?),
            6 => drop(store.append("list", "x")?),
            7 => drop(store.expire(&key, FAR_MS + random.i64(0..1000))?),
            8 => drop(store.persist(&key)?),
            9 => {
                let items = [("a", &value), ("b", &value), ("c", &value)];
                store.set_many(&items, Expiry::Default)?;
            }
            10 => {
                let options = SetOptions::default().keep_ttl();
                let _outcome = store.set_with(&key, &value, &options)?;
            }
            _ => drop(store.take(&key)?),
        }
    }
    Ok(())
}

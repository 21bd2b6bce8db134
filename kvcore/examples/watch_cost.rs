//! What watches cost the writers: `cargo run --release -p kvcore --example watch_cost`.
//!
//! Eight threads set keys. Beside them there is nobody, or a watch of one quiet key, or one of everything that
//! is asleep, or three: of everything and read at once, of a quiet prefix, and asleep. Every round measures each
//! setting once, in turn; the figure is the median over the rounds of the ratio to nobody in the same round.
//! Threads that read compete with the writers for the processors, so the last one depends on how many there are.

#![allow(clippy::disallowed_methods)]

use std::thread;
use std::time::{Duration, Instant};

use kvcore::{Options, Result, Store, Watch, WatchOptions, Watched};

const WRITERS: usize = 8;
const SETS: usize = 100_000;
const KEYS: usize = 100_000;
const ROUNDS: usize = 15;

const SETTINGS: [&str; 4] = ["nobody", "quiet key", "asleep", "all, quiet prefix, asleep"];

fn key(number: usize) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// Reads until it is cancelled, and says how many events it was given or told it has missed.
fn read(mut watch: Watch) -> Result<u64> {
    let mut seen = 0;
    loop {
        match watch.next(Some(Duration::from_secs(60)))? {
            Watched::Event(_) => seen += 1,
            Watched::Lagged { missed, .. } => seen += missed,
            Watched::TimedOut | Watched::Cancelled => return Ok(seen),
        }
    }
}

/// Sets a second by all writers, beside the watches of a setting.
fn speed(setting: usize) -> Result<f64> {
    let store = Store::memory(Options::new())?;
    for number in 0..KEYS {
        store.set(key(number), [b'v'; 100])?;
    }
    let quiet = WatchOptions::key("nobody sets this");
    let (readers, sleeper) = match setting {
        0 => (vec![], None),
        1 => (vec![store.watch(&quiet)?], None),
        2 => (vec![], Some(store.watch(&WatchOptions::all())?)),
        _ => (
            vec![store.watch(&WatchOptions::all())?, store.watch(&WatchOptions::prefix("quiet"))?],
            Some(store.watch(&WatchOptions::all())?),
        ),
    };
    let cancels: Vec<_> = readers.iter().map(Watch::canceller).collect();
    let reading: Vec<_> =
        readers.into_iter().map(|watch| thread::spawn(move || read(watch))).collect();
    let began = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let write = |writer: usize| {
            let store = &store;
            move || -> Result<()> {
                let mut number = writer * 7_919;
                for _ in 0..SETS {
                    number = (number * 31 + 17) % KEYS;
                    store.set(key(number), [b'w'; 100])?;
                }
                Ok(())
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(write(writer))).collect();
        for writer in writers {
            // A panic in a writer has been reported by the panic hook already.
            writer.join().unwrap_or(Ok(()))?;
        }
        Ok(())
    })?;
    let passed = began.elapsed().as_secs_f64();
    cancels.iter().for_each(kvcore::WatchCancel::cancel);
    for reader in reading {
        reader.join().unwrap_or(Ok(0))?;
    }
    drop(sleeper);
    Ok((WRITERS * SETS) as f64 / passed)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() -> Result<()> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    println!("{WRITERS} writers on {processors} processors, values of 100 bytes, {ROUNDS} rounds");
    let mut speeds = vec![Vec::new(); SETTINGS.len()];
    for round in 0..ROUNDS {
        for turn in 0..SETTINGS.len() {
            let setting = (round + turn) % SETTINGS.len();
            speeds[setting].push(speed(setting)?);
        }
    }
    for (name, own) in SETTINGS.iter().zip(&speeds) {
        let ratios = own.iter().zip(&speeds[0]).map(|(own, alone)| own / alone);
        let (ratio, sets) = (median(ratios.collect()), median(own.clone()));
        println!("  {name}: {:.2} million sets a second, {ratio:.3} times", sets / 1e6);
    }
    Ok(())
}

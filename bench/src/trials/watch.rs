//! `cargo xtask bench watch`: what watches cost the writers.
//!
//! Eight threads set keys. Beside them there is nobody, or a watch of one quiet key, or one of everything that is
//! asleep, or three: of everything and read at once, of a quiet prefix, and asleep. The store is in memory, or in a
//! directory. In each round every setting has its turn, in a new store. No writer waits for a watch, so what is lost
//! is the work of telling, and the processors on which the readers run.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use kvcore::{Options, Store, Watch, WatchCancel, WatchOptions, Watched};

use crate::machine;
use crate::results::{self, Asked};
use crate::samples::{Goal, Limit, Samples};
use crate::text::{count, table};

const USAGE: &str = "\
usage: cargo xtask bench watch [--quick] [--name NAME]

  --quick       fewer rounds
  --name NAME   write bench/results/NAME.md and .csv instead of watch.*";

const TABLE: &str = "watch";
const WRITERS: usize = 8;
const KEYS: usize = 100_000;
/// Sets of each writer in a turn, in memory and in a directory.
const SETS: [usize; 2] = [100_000, 50_000];
const VALUE: [u8; 100] = [b'v'; 100];
/// What is to be left of the writers' speed.
const RATIO_MIN: f64 = 0.9;

const NOBODY: &str = "nobody";
const THREE: &str = "everything, a quiet prefix, asleep";
/// Who watches.
const SETTINGS: [&str; 4] = [NOBODY, "a quiet key", "asleep", THREE];
/// Where the store is.
const PLACES: [&str; 2] = ["in memory", "in a directory"];

/// The watches of a setting, with the threads that read them.
struct Watchers {
    reading: Vec<thread::JoinHandle<kvcore::Result<u64>>>,
    cancels: Vec<WatchCancel>,
    _asleep: Option<Watch>,
}

impl Watchers {
    fn begin(store: &Store, setting: &str) -> Result<Watchers> {
        let (read, sleeps) = match setting {
            NOBODY => (vec![], false),
            "asleep" => (vec![], true),
            THREE => (vec![WatchOptions::all(), WatchOptions::prefix("quiet")], true),
            _ => (vec![WatchOptions::key("nobody sets this")], false),
        };
        let asleep = sleeps.then(|| store.watch(&WatchOptions::all())).transpose()?;
        let mut watchers = Watchers { reading: vec![], cancels: vec![], _asleep: asleep };
        for options in read {
            let watch = store.watch(&options)?;
            watchers.cancels.push(watch.canceller());
            watchers.reading.push(thread::spawn(move || read_all(watch)));
        }
        Ok(watchers)
    }

    /// Ends the watches; how many events they were given, or told that they missed.
    fn end(self) -> Result<u64> {
        self.cancels.iter().for_each(WatchCancel::cancel);
        let seen = |reader: thread::JoinHandle<kvcore::Result<u64>>| match reader.join() {
            Ok(seen) => Ok(seen?),
            Err(_) => Err(anyhow!("a reader panicked")),
        };
        self.reading.into_iter().map(seen).sum()
    }
}

/// Reads until it is cancelled.
fn read_all(mut watch: Watch) -> kvcore::Result<u64> {
    let mut seen = 0;
    loop {
        match watch.next(Some(Duration::from_secs(60)))? {
            Watched::Event(_) => seen += 1,
            Watched::Lagged { missed, .. } => seen += missed,
            Watched::TimedOut | Watched::Cancelled => return Ok(seen),
        }
    }
}

fn key(number: usize) -> String {
    format!("key:{number:012}")
}

/// Sets a second by all writers together, beside the watches of a setting.
fn speed(place: usize, setting: &str, folder: &Path) -> Result<f64> {
    let store = match place {
        0 => Store::memory(Options::new())?,
        _ => {
            let _ = std::fs::remove_dir_all(folder);
            Store::open(folder.to_str().context("the path is no UTF-8")?, Options::new())?
        }
    };
    let keys: Vec<String> = (0..KEYS).map(key).collect();
    for key in &keys {
        store.set(key, VALUE)?;
    }
    let watchers = Watchers::begin(&store, setting)?;
    let sets = SETS[place];
    let write = |writer: usize| {
        let mut random = fastrand::Rng::with_seed(writer as u64);
        (0..sets).try_for_each(|_| store.set(&keys[random.usize(..KEYS)], VALUE).map(drop))
    };
    let began = Instant::now();
    thread::scope(|scope| {
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        for writer in writers {
            writer.join().map_err(|_| anyhow!("a writer panicked"))??;
        }
        anyhow::Ok(())
    })?;
    let seconds = began.elapsed().as_secs_f64();
    watchers.end()?;
    store.shutdown()?;
    Ok((WRITERS * sets) as f64 / seconds)
}

/// Measures every setting in turns.
pub fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let asked = Asked::read(arguments, &[], &[], USAGE)?;
    let rounds = if asked.quick { 3 } else { 15 };
    let machine = machine::describe(root);
    let folder: PathBuf = root.join("target/bench-watch");
    let mut samples = Samples::default();
    for round in 0..rounds {
        println!("watch: round {} of {rounds}", round + 1);
        for (place, name) in PLACES.iter().enumerate() {
            for turn in 0..SETTINGS.len() {
                let setting = SETTINGS[(round + turn) % SETTINGS.len()];
                let speed = speed(place, setting, &folder)?;
                samples.add(TABLE, name, setting, "sets/s", speed);
            }
        }
    }
    std::fs::remove_dir_all(&folder)?;
    let goals = PLACES.map(|place| Goal {
        what: format!(
            "speed of {WRITERS} writers beside three watches ({THREE}), of their speed without, {place}"
        ),
        measured: samples.ratio(TABLE, place, THREE, NOBODY),
        limit: Limit::AtLeast(RATIO_MIN),
        unit: "x",
    });
    let name = asked.name_or(TABLE);
    let command = ["cargo xtask bench watch"].into_iter();
    let command = command.chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let text = results::compose(&name, &command, &machine, &goals, &[report(&samples, rounds)]);
    results::publish(root, &name, &text, &samples.csv(), &goals)
}

fn report(samples: &Samples, rounds: usize) -> String {
    let row = |place: &str, setting: &str| {
        let sets = samples.median(TABLE, place, setting);
        let ratio = samples.ratio(TABLE, place, setting, NOBODY);
        [place.to_owned(), setting.to_owned(), format!("{:.2}", sets / 1e6), format!("{ratio:.2}x")]
    };
    let rows: Vec<_> =
        PLACES.iter().flat_map(|place| SETTINGS.map(|setting| row(place, setting))).collect();
    format!(
        "## Writers beside watches\n\n{WRITERS} threads that set {} keys, values of {} bytes; medians of {rounds} \
         rounds. The readers run on the same processors as the writers.\n\n{}",
        count(KEYS),
        VALUE.len(),
        table(&["store", "who watches", "million sets a second", "of nobody"], &rows)
    )
}

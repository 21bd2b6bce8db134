//! Opening a directory: how many entries a second, in how much memory, and how it compares with
//! reading the files and doing nothing with them.
//!
//! Directories are filled by one process, which ends without closing the store where that is what a
//! crash would leave, and opened by others. `cold` means that the system was told to forget the files
//! before, which a disk below a virtual machine may still remember; `warm` that they were just read.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use kvcore::{Options, Store};

use super::child::{self, Ground};
use super::content::value;
use super::files;
use super::peers::{self, LIBKV, OTHERS, REDIS};
use super::sizes::Sizes;
use crate::engines::system::{peak_bytes, resident_bytes};
use crate::plan::{self, Key};
use crate::samples::{Goal, Limit, Samples};
use crate::text::{count, table};

/// The word for a child that fills or opens.
pub const KIND: &str = "recovery";
const TABLE: &str = "recovery";
const FILL: &str = "fill";
const OPEN: &str = "open";
const FILL_PEER: &str = "fill-peer";
const OPEN_PEER: &str = "open-peer";
/// What a directory holds.
const LOG: &str = "log";
const SNAPSHOT: &str = "snapshot";
const HYBRID: &str = "hybrid";
const KINDS: [&str; 3] = [SNAPSHOT, LOG, HYBRID];
const COLD: &str = "cold";
const WARM: &str = "warm";
const CACHES: [&str; 2] = [COLD, WARM];
/// The numbers of an opening.
const SECONDS: &str = "opened in";
const READ: &str = "files read in";
const BYTES: &str = "files";
const PEAK: &str = "grown by, at most";
const COUNTED: &str = "counted";
const RECORDS: &str = "entries";
/// All engines, opened with the same contents.
const ALL: &str = "after a crash";

fn case(kind: &str, cache: &str) -> String {
    format!("{kind}, {cache}")
}

/// Fills directories and opens them, each in a child.
pub fn run(ground: &Ground, samples: &mut Samples) -> Result<()> {
    let sizes = &ground.sizes;
    for kind in KINDS {
        let folder = ground.folder(&format!("{KIND}-{kind}"))?;
        let path = folder.path().to_string_lossy().into_owned();
        ground.measure(&[KIND, FILL, kind, &path], TABLE, samples)?;
        for _ in 0..sizes.openings {
            for cache in CACHES {
                let case = case(kind, cache);
                prepare(folder.path(), cache)?;
                let (bytes, seconds) = files::read_all(folder.path())?;
                samples.add(TABLE, &case, BYTES, "bytes", bytes as f64);
                samples.add(TABLE, &case, READ, "s", seconds);
                prepare(folder.path(), cache)?;
                ground.measure(&[KIND, OPEN, kind, cache, &path], TABLE, samples)?;
            }
        }
    }
    for name in [LIBKV].into_iter().chain(OTHERS) {
        let folder = ground.folder(&format!("{KIND}-{name}"))?;
        let path = folder.path().to_string_lossy().into_owned();
        if let Err(error) = ground.measure(&[KIND, FILL_PEER, name, &path], TABLE, samples) {
            ensure!(OTHERS.contains(&name), "{error:#}");
            eprintln!("left out: {name}: {error:#}");
            continue;
        }
        for _ in 0..sizes.openings {
            ground.measure(&[KIND, OPEN_PEER, name, &path], TABLE, samples)?;
        }
    }
    Ok(())
}

fn prepare(dir: &Path, cache: &str) -> Result<()> {
    match cache {
        COLD => files::forget(dir),
        _ => files::read_all(dir).map(drop),
    }
}

/// Does one of these things.
pub fn in_child(sizes: &Sizes, words: &[&str]) -> Result<()> {
    match words {
        [FILL, kind, path] => fill(kind, Path::new(path), sizes.recovered),
        [OPEN, kind, cache, path] => open(kind, cache, Path::new(path), sizes.recovered),
        [FILL_PEER, name, path] => fill_peer(name, Path::new(path), sizes.recovered_by_all),
        [OPEN_PEER, name, path] => open_peer(name, Path::new(path), sizes.recovered_by_all),
        _ => bail!("{KIND} does not know {words:?}"),
    }
}

fn options(kind: &str) -> Result<Options> {
    let options = Options::new().with("snapshot_interval", "0")?.with("wal_bytes_max", "1TiB")?;
    let persistence = match kind {
        LOG => "wal",
        SNAPSHOT => "snapshot",
        _ => "hybrid",
    };
    Ok(options.with("persistence", persistence)?)
}

fn fill(kind: &str, dir: &Path, entries: usize) -> Result<()> {
    let store = Store::open_directory(dir, options(kind)?)?;
    for number in 0..entries {
        if kind == HYBRID && number == entries / 10 * 9 {
            store.snapshot(None)?;
        }
        let key = plan::key(number);
        store.set(key, value(&key))?;
    }
    match kind {
        SNAPSHOT => store.shutdown()?,
        _ => store.sync()?,
    }
    // What follows is what a crash does.
    std::process::exit(0);
}

fn open(kind: &str, cache: &str, dir: &Path, entries: usize) -> Result<()> {
    let before = resident_bytes()?;
    let began = Instant::now();
    let store = Store::open_directory(dir, options(kind)?)?;
    let seconds = began.elapsed().as_secs_f64();
    let peak = peak_bytes()? - before;
    let stats = store.stats()?;
    ensure!(stats.entries == entries as u64, "{} of {entries} entries are there", stats.entries);
    let case = case(kind, cache);
    child::print(&case, SECONDS, "s", seconds);
    child::print(&case, PEAK, "bytes", peak);
    child::print(&case, COUNTED, "bytes", stats.memory_bytes as f64);
    child::print(&case, RECORDS, "calls", entries as f64);
    std::process::exit(0);
}

fn fill_peer(name: &str, dir: &Path, entries: usize) -> Result<()> {
    let keys: Vec<Key> = (0..entries).map(plan::key).collect();
    let peer = peers::open(name, dir)?;
    peer.fill(&keys)?;
    peer.tick()?;
    if name == REDIS {
        drop(peer);
    }
    std::process::exit(0);
}

fn open_peer(name: &str, dir: &Path, entries: usize) -> Result<()> {
    let began = Instant::now();
    let peer = peers::open(name, dir)?;
    let mut writer = peer.writer()?;
    let found = writer.get(&plan::key(0))? && writer.get(&plan::key(entries - 1))?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(found, "{name} lost what it was given");
    child::print(ALL, name, "s", seconds);
    drop(writer);
    if name == REDIS {
        drop(peer);
    }
    std::process::exit(0);
}

fn median(samples: &Samples, kind: &str, cache: &str, subject: &str) -> f64 {
    samples.median(TABLE, &case(kind, cache), subject)
}

/// Millions of entries a second.
fn speed(samples: &Samples, kind: &str, cache: &str) -> f64 {
    1e-6 * samples.ratio(TABLE, &case(kind, cache), RECORDS, SECONDS)
}

fn memory(samples: &Samples, kind: &str) -> f64 {
    samples.ratio(TABLE, &case(kind, WARM), PEAK, COUNTED)
}

/// What recovery has to show.
pub fn goals(sizes: &Sizes, samples: &Samples) -> Vec<Goal> {
    let entries = count(sizes.recovered);
    let mut goals = Vec::new();
    for (kind, least) in [(SNAPSHOT, 2.0), (LOG, 1.5)] {
        goals.push(Goal {
            what: format!("{entries} entries from a {kind}, files in memory"),
            measured: speed(samples, kind, WARM),
            limit: Limit::AtLeast(least),
            unit: "M/s",
        });
    }
    goals.extend(KINDS.map(|kind| Goal {
        what: format!("most memory while opening ({kind}), times memory_bytes"),
        measured: memory(samples, kind),
        limit: Limit::AtMost(1.2),
        unit: "x",
    }));
    goals.push(Goal {
        what: format!("opening {entries} entries (hybrid), times reading the files, both cold"),
        measured: samples.ratio(TABLE, &case(HYBRID, COLD), SECONDS, READ),
        limit: Limit::AtMost(2.0),
        unit: "x",
    });
    goals
}

/// The tables, in Markdown.
pub fn report(sizes: &Sizes, samples: &Samples) -> String {
    let mut rows = Vec::new();
    for kind in KINDS {
        for cache in CACHES {
            let of = |subject| median(samples, kind, cache, subject);
            rows.push([
                case(kind, cache),
                format!("{:.0}", of(BYTES) / f64::from(1 << 20)),
                format!("{:.2}", of(READ)),
                format!("{:.2}", of(SECONDS)),
                format!("{:.2}", speed(samples, kind, cache)),
                format!("{:.2}", samples.ratio(TABLE, &case(kind, cache), PEAK, COUNTED)),
            ]);
        }
    }
    let header =
        ["directory", "files, MiB", "read, s", "opened, s", "M entries/s", "most memory : counted"];
    let all: Vec<_> = [LIBKV]
        .into_iter()
        .chain(OTHERS)
        .map(|name| {
            let seconds = samples.median(TABLE, ALL, name);
            let text =
                if seconds.is_nan() { "not installed".into() } else { format!("{seconds:.3}") };
            [name.to_owned(), text]
        })
        .collect();
    format!(
        "## Recovery\n\n{} entries of libkv: a snapshot after a clean close; a log, and a snapshot of \
         nine tenths with a log, after a crash. Medians of {} openings.\n\n{}\n\
         Every engine with {} entries, not closed: seconds until the first and the last key that was set \
         have been read. libkv and Redis have everything in memory then; the others go on reading \
         from files.\n\n{}",
        count(sizes.recovered),
        sizes.openings,
        table(&header, &rows),
        count(sizes.recovered_by_all),
        table(&["engine", "opened, s"], &all)
    )
}

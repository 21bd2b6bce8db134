//! Sets in every mode, by one thread and by many, in turns.
//!
//! All stores are open at once and hold the same keys. In a round every peer has a short turn in each
//! mode and with each number of threads, one after the other, and every round begins with another
//! peer. A turn lasts a fixed time, and what counts is the time from its start to its end through the
//! number of sets that returned.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use super::child::{self, Ground};
use super::content::value;
use super::files::Folder;
use super::peers::{self, DISK, DISK_ALLOCATED, LIBKV, MEMORY, Mode, OTHERS, Peer, ROCKSDB};
use super::sizes::Sizes;
use crate::plan::{self, Key, Visits};
use crate::samples::{Goal, Limit, Samples, median};
use crate::text::{count, table};

/// The word for a child that sets.
pub const KIND: &str = "sets";
const TABLE: &str = "sets";
const THREADS: [usize; 2] = [1, 16];
/// Sets between two looks at the clock, where sets are fast.
const BLOCK: usize = 16;
/// A peer that is not installed has this in place of numbers.
const ABSENT: &str = "absent";

fn case(mode: Mode, threads: usize) -> String {
    let plural = if threads == 1 { "" } else { "s" };
    format!("{}, {threads} thread{plural}", mode.name())
}

/// Who sets in a mode.
fn names(mode: Mode) -> Vec<&'static str> {
    let beside: &[&str] = match mode {
        Mode::Always => &[DISK, DISK_ALLOCATED],
        Mode::Interval | Mode::Never => &[MEMORY],
    };
    [LIBKV].into_iter().chain(OTHERS).chain(beside.iter().copied()).collect()
}

/// Measures all peers in one child.
pub fn run(ground: &Ground, samples: &mut Samples) -> Result<()> {
    ground.measure(&[KIND, "every mode, 1 and 16 threads"], TABLE, samples)
}

/// A peer that takes part, with the folder it is in.
struct Member {
    name: &'static str,
    peer: Box<dyn Peer>,
    _folder: Folder,
}

/// Fills every peer and lets them take turns.
pub fn in_child(ground: &Ground) -> Result<()> {
    let sizes = &ground.sizes;
    let keys: Vec<Key> = (0..sizes.entries).map(plan::key).collect();
    let visits = Visits::uniform(sizes.entries);
    let mut members = Vec::new();
    for name in [LIBKV, MEMORY].into_iter().chain(OTHERS).chain([DISK, DISK_ALLOCATED]) {
        let folder = ground.folder(name)?;
        match peers::open(name, folder.path()) {
            Ok(peer) => {
                peer.fill(&keys)?;
                members.push(Member { name, peer, _folder: folder });
            }
            Err(error) => {
                ensure!(OTHERS.contains(&name), "{name}: {error:#}");
                eprintln!("left out: {name}: {error:#}");
                child::print(ABSENT, name, "calls", 0.0);
            }
        }
    }
    let mut turn_number = 0;
    for _ in 0..sizes.rounds {
        members.rotate_left(1);
        for mode in Mode::ALL {
            for threads in THREADS {
                for member in &mut members {
                    if names(mode).contains(&member.name) {
                        turn_number += 1;
                        let ns = take_turn(sizes, member, mode, threads, |thread| {
                            visits.of_turn(turn_number * THREADS[1] + thread, 4096)
                        })?;
                        child::print(&case(mode, threads), member.name, "ns", ns);
                    }
                }
            }
        }
    }
    Ok(())
}

/// One turn. Gives the nanoseconds of a set, by the wall clock, through all threads.
fn take_turn<'k>(
    sizes: &Sizes,
    member: &mut Member,
    mode: Mode,
    threads: usize,
    keys: impl Fn(usize) -> &'k [Key] + Sync,
) -> Result<f64> {
    member.peer.set_mode(mode)?;
    let time = if mode == Mode::Interval { sizes.second } else { sizes.turn };
    let block = if mode == Mode::Always { 1 } else { BLOCK };
    let peer = &*member.peer;
    let (ready, stop) = (Barrier::new(threads + 1), AtomicBool::new(false));
    let work = |thread: usize| -> Result<(usize, Instant)> {
        let writer = peer.writer();
        ready.wait();
        let mut writer = writer?;
        let mut done = 0;
        'turn: loop {
            for keys in keys(thread).chunks(block) {
                for key in keys {
                    writer.set(key, value(key))?;
                }
                done += keys.len();
                if stop.load(Ordering::Relaxed) {
                    break 'turn;
                }
            }
        }
        Ok((done, Instant::now()))
    };
    let (began, ended) = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let work = &work;
                scope.spawn(move || work(thread))
            })
            .collect();
        ready.wait();
        let began = Instant::now();
        let ticked = rest(peer, mode, time);
        stop.store(true, Ordering::Relaxed);
        let ended: Result<Vec<_>> = running
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a writer panicked"))?)
            .collect();
        ticked.and(ended).map(|ended| (began, ended))
    })?;
    let sets: usize = ended.iter().map(|(sets, _)| sets).sum();
    let last = ended.iter().map(|(_, end)| *end).max().unwrap_or(began);
    Ok((last - began).as_nanos() as f64 / sets.max(1) as f64)
}

/// Lets the writers write; in the middle of a second the disk is synced, where the engine does not
/// see to that.
fn rest(peer: &dyn Peer, mode: Mode, time: Duration) -> Result<()> {
    std::thread::sleep(time / 2);
    let ticked = if mode == Mode::Interval { peer.tick() } else { Ok(()) };
    std::thread::sleep(time / 2);
    ticked
}

/// The median over the rounds of one peer's time in one case through another's in another.
fn across(samples: &Samples, one: (&str, Mode, usize), other: (&str, Mode, usize)) -> f64 {
    let series = |(name, mode, threads)| samples.series(TABLE, &case(mode, threads), name);
    median(series(one).iter().zip(series(other)).map(|(one, other)| one / other).collect())
}

/// What sets have to show.
pub fn goals(samples: &Samples) -> Vec<Goal> {
    use Mode::{Always, Interval, Never};
    let goal =
        |what: &str, measured, limit| Goal { what: what.to_owned(), measured, limit, unit: "x" };
    vec![
        goal(
            "`interval`, one thread: speed, times that in memory",
            across(samples, (MEMORY, Interval, 1), (LIBKV, Interval, 1)),
            Limit::AtLeast(0.5),
        ),
        goal(
            "`interval`, one thread: speed, times RocksDB's without any sync",
            across(samples, (ROCKSDB, Never, 1), (LIBKV, Interval, 1)),
            Limit::AtLeast(2.5),
        ),
        goal(
            "`always`, one thread: time, times a bare write and sync into a file of zeros",
            across(samples, (LIBKV, Always, 1), (DISK, Always, 1)),
            Limit::AtMost(1.3),
        ),
        goal(
            "`always`, one thread: time, times a bare write and sync into an allocated file",
            across(samples, (LIBKV, Always, 1), (DISK_ALLOCATED, Always, 1)),
            Limit::AtMost(1.3),
        ),
        goal(
            "`always`: speed of 16 threads, times one",
            across(samples, (LIBKV, Always, 1), (LIBKV, Always, 16)),
            Limit::AtLeast(8.0),
        ),
    ]
}

/// Thousands of sets a second: for each peer that took part, in each mode.
pub fn speeds(samples: &Samples, threads: usize) -> (Vec<&'static str>, Vec<(String, Vec<f64>)>) {
    let named: Vec<_> = [LIBKV].into_iter().chain(OTHERS).chain([MEMORY, DISK]).collect();
    let groups = Mode::ALL.map(|mode| {
        let speed = |name: &&str| 1e6 / samples.median(TABLE, &case(mode, threads), name);
        (mode.name().to_owned(), named.iter().map(speed).collect())
    });
    (named, groups.into())
}

/// The tables, in Markdown.
pub fn report(sizes: &Sizes, samples: &Samples) -> String {
    let mut text = format!(
        "## Sets\n\nStores of {} keys. Thousands of sets a second through all threads, by the wall \
         clock, and how many times the speed of the peer libkv has: medians of {} rounds.\n",
        count(sizes.entries),
        sizes.rounds
    );
    for mode in Mode::ALL {
        let rows: Vec<_> = names(mode)
            .into_iter()
            .map(|name| {
                let mut row = vec![name.to_owned()];
                for threads in THREADS {
                    let case = case(mode, threads);
                    let speed = 1e6 / samples.median(TABLE, &case, name);
                    let ratio = samples.ratio(TABLE, &case, name, LIBKV);
                    row.extend(if speed.is_nan() {
                        ["not installed".to_owned(), String::new()]
                    } else {
                        [format!("{speed:.1}"), format!("{ratio:.2}x")]
                    });
                }
                row
            })
            .collect();
        let header = ["peer", "1 thread, k/s", "libkv : peer", "16 threads, k/s", "libkv : peer"];
        text.push_str(&format!("\n### `sync={}`\n\n{}", mode.name(), table(&header, &rows)));
    }
    text
}

//! Growing from nothing: what the slowest sets take, and what an entry costs beyond its key and
//! its value.
//!
//! Every engine grows in a process of its own. What the process holds is asked of the system, so
//! nothing is left out: not the allocator's waste, not the room that a table has to spare. What a
//! set takes is the smaller of wall clock and processor time, so that the set does not pay for
//! another program that ran meanwhile; what the hypervisor says it has taken away is subtracted from
//! the slowest ones. Reading the clocks without a set is measured the same way, as `nothing`.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;

use super::child;
use super::field::{self, LIBKV, LIBKV_ALL, PEERS};
use super::sizes::Sizes;
use super::system::{resident_bytes, stolen_ns};
use crate::clock;
use crate::contestants::Call;
use crate::plan::{self, KEY_BYTES, VALUE_BYTES};
use crate::samples::{Goal, Limit, Samples};
use crate::text::{count, table};

/// The word for a child that grows.
pub const KIND: &str = "growth";
const TABLE: &str = "growth";
const PLAIN: &str = "no TTL";
const TIMED: &str = "with a TTL";
/// What is measured when nothing is set.
const NOTHING: &str = "nothing";
/// From here on it is asked what was stolen.
const SLOW_NS: f64 = 2e5;
/// The percentiles of the table, with their names.
const PERCENTILES: [(f64, &str); 7] = [
    (50.0, "p50"),
    (90.0, "p90"),
    (99.0, "p99"),
    (99.9, "p99.9"),
    (99.99, "p99.99"),
    (99.999, "p99.999"),
    (100.0, "worst"),
];
const WALL: &str = "worst by the wall clock";
const RESIDENT: &str = "grown by";
const COUNTED: &str = "counted";
const WHOLE: &str = "whole fill";

/// Who grows: engine, whether it has a TTL, and how often.
fn growers(sizes: &Sizes) -> Vec<(&'static str, bool, usize)> {
    let mut growers = vec![(NOTHING, false, sizes.repeats)];
    growers.extend([(LIBKV, false, sizes.repeats), (LIBKV, true, 1), (LIBKV_ALL, true, 1)]);
    growers.extend(PEERS.iter().flat_map(|peer| [(*peer, false, 1), (*peer, true, 1)]));
    growers
}

fn case(with_ttl: bool, figure: &str) -> String {
    format!("{}, {figure}", if with_ttl { TIMED } else { PLAIN })
}

/// Measures every engine, each in a child.
pub fn run(sizes: &Sizes, samples: &mut Samples) -> Result<()> {
    for (name, with_ttl, repeats) in growers(sizes) {
        for _ in 0..repeats {
            let words = [KIND, name, if with_ttl { TIMED } else { PLAIN }];
            child::measure(sizes, &words, TABLE, samples)?;
        }
    }
    Ok(())
}

/// Fills one store, one set at a time.
pub fn in_child(sizes: &Sizes, words: &[&str]) -> Result<()> {
    let [name, ttl] = words else { anyhow::bail!("{KIND} takes an engine and a TTL") };
    let with_ttl = *ttl == TIMED;
    let entries = sizes.entries;
    let print = |figure: &str, unit: &str, value: f64| {
        child::print(&case(with_ttl, figure), name, unit, value);
    };
    // One minute is more than any set takes.
    let mut times = Histogram::<u32>::new_with_bounds(1, 60_000_000_000, 3)?;
    times.record(1)?;
    times.reset();
    let store = match *name {
        NOTHING => None,
        name => Some(field::open(name, with_ttl, entries)?),
    };
    let before = resident_bytes()?;
    let start = clock::thread_ns();
    let slowest = fill_and_time(entries, &mut times, |key| {
        store.as_ref().is_none_or(|store| store.run(Call::Insert, &[key]) == 1)
    })?;
    print(WHOLE, "s", (clock::thread_ns() - start) / 1e9);
    for (percentile, name) in PERCENTILES {
        print(name, "ns", times.value_at_percentile(percentile) as f64);
    }
    print(WALL, "ns", slowest);
    let grown = resident_bytes()? - before;
    let beyond = |bytes: f64| bytes / entries as f64 - (KEY_BYTES + VALUE_BYTES) as f64;
    if let Some(store) = &store {
        print(RESIDENT, "bytes", beyond(grown));
        if let Some(counted) = store.counted_bytes() {
            print(COUNTED, "bytes", beyond(counted as f64));
        }
    }
    Ok(())
}

/// Times one set after the other and gives the slowest by the wall clock.
fn fill_and_time(
    entries: usize,
    times: &mut Histogram<u32>,
    set: impl Fn(plan::Key) -> bool,
) -> Result<f64> {
    let mut slowest: f64 = 0.0;
    let mut stolen_before = stolen_ns();
    for number in 0..entries {
        if number.is_multiple_of(1 << 16) {
            stolen_before = stolen_ns();
        }
        let key = plan::key(number);
        let worked = clock::thread_ns();
        let began = Instant::now();
        let done = set(key);
        let wall = began.elapsed().as_nanos() as f64;
        let worked = clock::thread_ns() - worked;
        ensure!(done, "a set failed");
        let mut took = wall.min(worked);
        if took > SLOW_NS {
            let stolen = stolen_ns();
            took -= (stolen - stolen_before).clamp(0.0, took);
            stolen_before = stolen;
        }
        slowest = slowest.max(wall);
        times.record((took as u64).max(1)).context("a set took more than a minute")?;
    }
    Ok(slowest)
}

/// What growth has to show.
pub fn goals(sizes: &Sizes, samples: &Samples) -> Vec<Goal> {
    let entries = count(sizes.entries);
    let bytes = |name: &str, with_ttl, limit| {
        let figure = |figure| samples.median(TABLE, &case(with_ttl, figure), name);
        [(RESIDENT, "by the system"), (COUNTED, "as counted")].map(|(kind, by)| Goal {
            what: format!("bytes an entry beyond key and value, {by} ({entries} entries; {name})"),
            measured: figure(kind),
            limit: Limit::AtMost(limit),
            unit: "B",
        })
    };
    let mut goals = Vec::new();
    goals.extend(bytes(LIBKV, false, 28.0));
    goals.extend(bytes(LIBKV, true, 36.0).map(|mut goal| {
        goal.what = goal.what.replace(LIBKV, "libkv, TTL");
        goal
    }));
    goals.extend(bytes(LIBKV_ALL, true, 40.0));
    let worst = |with_ttl, name| samples.median(TABLE, &case(with_ttl, "worst"), name) / 1e6;
    goals.extend([(false, LIBKV), (true, LIBKV_ALL)].map(|(with_ttl, name)| Goal {
        what: format!("worst set while growing to {entries} entries ({name})"),
        measured: worst(with_ttl, name),
        limit: Limit::AtMost(1.0),
        unit: "ms",
    }));
    goals
}

/// The tables, in Markdown.
pub fn report(sizes: &Sizes, samples: &Samples) -> String {
    let mut rows = Vec::new();
    let mut sizes_of_entries = Vec::new();
    for (name, with_ttl, _) in growers(sizes) {
        let figure = |figure| samples.median(TABLE, &case(with_ttl, figure), name);
        let ttl = if with_ttl { TIMED } else { PLAIN };
        let mut row = vec![name.to_owned(), ttl.to_owned()];
        row.extend(PERCENTILES.map(|(_, name)| micros(figure(name))));
        row.push(micros(figure(WALL)));
        rows.push(row);
        if name != NOTHING {
            let bytes = |kind| match figure(kind) {
                number if number.is_nan() => String::new(),
                number => format!("{number:.1}"),
            };
            let seconds = format!("{:.1}", figure(WHOLE));
            let [by_system, counted] = [RESIDENT, COUNTED].map(bytes);
            sizes_of_entries.push([name.to_owned(), ttl.to_owned(), by_system, counted, seconds]);
        }
    }
    let mut header = vec!["engine", "TTL"];
    header.extend(PERCENTILES.map(|(_, name)| name));
    header.push(WALL);
    let entries = count(sizes.entries);
    format!(
        "## Memory of an entry\n\nBytes for each of {entries} entries beyond the {KEY_BYTES} of the \
         key and the {VALUE_BYTES} of the value: what the process grew by, and what the store counts \
         itself. The last column is the processor time of the fill, with the reading of clocks.\n\n{}\n\
         ## Sets while growing\n\nMicroseconds of one set from empty to {entries} entries; `nothing` \
         reads the clocks and sets nothing. Medians of several fills for libkv and for nothing.\n\n{}",
        table(&["engine", "TTL", "process", "counted", "fill, s"], &sizes_of_entries),
        table(&header, &rows)
    )
}

fn micros(ns: f64) -> String {
    let micros = ns / 1e3;
    if micros < 10.0 { format!("{micros:.2}") } else { format!("{micros:.0}") }
}

/// Bytes beyond key and value: for each engine without and with a TTL.
pub fn overheads(samples: &Samples, engines: &[&str]) -> Vec<(String, Vec<f64>)> {
    let of = |with_ttl| {
        let of_engine = |name: &&str| samples.median(TABLE, &case(with_ttl, RESIDENT), name);
        engines.iter().map(of_engine).collect()
    };
    [(PLAIN.to_owned(), of(false)), (TIMED.to_owned(), of(true))].into()
}

/// Microseconds of a set at each percentile, for each engine: without a TTL, but for
/// libkv with everything on.
pub fn percentiles(samples: &Samples, engines: &[&str]) -> Vec<(String, Vec<f64>)> {
    let of_percentile = |(_, percentile): (f64, &str)| {
        let of_engine =
            |name: &&str| samples.median(TABLE, &case(*name == LIBKV_ALL, percentile), name) / 1e3;
        (percentile.to_owned(), engines.iter().map(of_engine).collect())
    };
    PERCENTILES.map(of_percentile).into()
}

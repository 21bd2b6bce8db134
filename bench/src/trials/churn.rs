//! `cargo xtask bench churn`: half an hour of overwrites and expiries with values of 10 B to 4 KiB,
//! whose sizes shift, at constant live data. What the process holds has to stay within 1.3 times
//! what the store counts, and flat.
//!
//! Sizes are drawn evenly over the logarithm within a window of a factor of eight that moves up and
//! down between the smallest and the largest value. Keys are added while there is less than the
//! live data asked for, and removed while there is more, so that their number shifts as well.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use kvcore::{Options, SetOptions, Stats, Store};

use crate::engines::system::{peak_bytes, resident_bytes};
use crate::plan;
use crate::plot::{self, Frame};
use crate::results::{self, Asked};
use crate::samples::{Goal, Limit, Samples};
use crate::{machine, text};

const USAGE: &str = "\
usage: cargo xtask bench churn [--quick] [--minutes N] [--name NAME]

  --quick       half a minute, and little data
  --minutes N   how long, in place of 30
  --name NAME   write bench/results/NAME.md, .csv and .svg instead of churn.*";

const TABLE: &str = "churn";
const MINUTES: &str = "--minutes";
const SMALLEST: f64 = 10.0;
const LARGEST: f64 = 4096.0;
/// How much larger the largest value of a moment is than the smallest.
const WINDOW: f64 = 8.0;
/// One value in so many has a TTL, of up to so long.
const TIMED_ONE_IN: usize = 4;
/// Operations between two looks at how much there is.
const BLOCK: usize = 2048;
/// What may be held of what is counted.
const HELD_MAX: f64 = 1.3;
/// What the last third of the run may hold of what the one before it held.
const RISE_MAX: f64 = 1.05;
const MIB: f64 = (1 << 20) as f64;

struct Trial {
    seconds: f64,
    /// Sum of the lengths of keys and values that are there.
    live_bytes: u64,
    /// How long the window takes up and down again.
    shift_seconds: f64,
    sample_seconds: f64,
    ttl_ms_max: u64,
}

impl Trial {
    fn of(asked: &Asked) -> Trial {
        let minutes = asked.number(MINUTES);
        if asked.quick {
            return Trial {
                seconds: minutes.map_or(30.0, |minutes| minutes * 60.0),
                live_bytes: 32 << 20,
                shift_seconds: 10.0,
                sample_seconds: 0.5,
                ttl_ms_max: 3000,
            };
        }
        Trial {
            seconds: minutes.unwrap_or(30.0) * 60.0,
            live_bytes: 512 << 20,
            shift_seconds: 300.0,
            sample_seconds: 10.0,
            ttl_ms_max: 30_000,
        }
    }

    /// The smallest value of a moment.
    fn smallest(&self, second: f64) -> f64 {
        let phase = second / self.shift_seconds % 1.0;
        let up = 1.0 - (2.0 * phase - 1.0).abs();
        SMALLEST * (LARGEST / WINDOW / SMALLEST).powf(up)
    }
}

/// One look at the process.
struct Look {
    second: f64,
    /// What the process has grown by since the store was empty.
    resident: f64,
    stats: Stats,
}

impl Look {
    fn held(&self) -> f64 {
        self.resident / self.stats.memory_bytes as f64
    }
}

/// Churns, and writes what it saw.
pub fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let asked = Asked::read(arguments, &[], &[MINUTES], USAGE)?;
    let trial = Trial::of(&asked);
    let machine = machine::describe(root);
    let (looks, operations) = churn(&trial)?;
    let mut samples = Samples::default();
    for look in &looks {
        let Look { second, resident, stats } = look;
        let case = format!("{second:.1} s");
        for (subject, bytes) in [
            ("held by the process", *resident),
            ("memory_bytes", stats.memory_bytes as f64),
            ("resident_bytes", stats.resident_bytes as f64),
            ("keys and values", (stats.key_bytes + stats.value_bytes) as f64),
        ] {
            samples.add(TABLE, &case, subject, "bytes", bytes);
        }
    }
    let name = asked.name_or(TABLE);
    let goals = goals(&trial, &looks);
    let file = format!("{name}.svg");
    draw(&results::path(root, &file)?, &looks)?;
    let report = report(&trial, &looks, operations, &file)?;
    let command = ["cargo xtask bench churn"].into_iter();
    let command = command.chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let text = results::compose(&name, &command, &machine, &goals, &[report]);
    results::publish(root, &name, &text, &samples.csv(), &goals)
}

/// Keys that were set and not removed; some of them have expired.
struct Writer {
    random: fastrand::Rng,
    store: Store,
    numbers: Vec<u32>,
    next: u32,
    value: Vec<u8>,
    ttl_ms_max: u64,
}

impl Writer {
    fn new(trial: &Trial) -> Result<Writer> {
        let mut random = fastrand::Rng::with_seed(5);
        let mut value = vec![0; LARGEST as usize];
        random.fill(&mut value);
        // Touched now, so that it does not count as what the store grows by.
        let room = trial.live_bytes as usize / (SMALLEST as usize + plan::KEY_BYTES);
        let mut numbers = vec![1; room];
        numbers.clear();
        let store = Store::memory(Options::default())?;
        Ok(Writer { random, store, numbers, next: 0, value, ttl_ms_max: trial.ttl_ms_max })
    }

    fn set(&mut self, number: u32, smallest: f64) -> Result<()> {
        let len = (smallest * WINDOW.powf(self.random.f64())) as usize;
        let value = &self.value[..len.clamp(1, self.value.len())];
        let mut options = SetOptions::default().never();
        if self.random.usize(..TIMED_ONE_IN) == 0 {
            let ttl_ms = self.random.u64(1..=self.ttl_ms_max);
            options = SetOptions::default().ttl(Duration::from_millis(ttl_ms));
        }
        self.store.set_with(plan::key(number as usize), value, &options)?;
        Ok(())
    }

    /// Overwrites keys, and moves the live data towards what it should be. An overwrite of a key
    /// that has expired brings it back. Gives how many operations that was.
    fn block(&mut self, trial: &Trial, second: f64) -> Result<u64> {
        let smallest = trial.smallest(second);
        let stats = self.store.stats()?;
        let live = stats.key_bytes + stats.value_bytes;
        let too_much = live > trial.live_bytes;
        // What goes has the size of what is there, what comes that of the moment.
        let mean = match too_much {
            true => live as f64 / stats.entries.max(1) as f64,
            false => smallest * (WINDOW - 1.0) / WINDOW.ln() + plan::KEY_BYTES as f64,
        };
        let off = live.abs_diff(trial.live_bytes) as f64 / mean;
        let moved = (off as usize).min(BLOCK);
        for _ in 0..moved {
            if !too_much {
                self.numbers.push(self.next);
                self.set(self.next, smallest)?;
                self.next += 1;
            } else if !self.numbers.is_empty() {
                let at = self.random.usize(..self.numbers.len());
                let number = self.numbers.swap_remove(at);
                self.store.del(plan::key(number as usize))?;
            }
        }
        let overwritten = if self.numbers.is_empty() { 0 } else { BLOCK - moved };
        for _ in 0..overwritten {
            let at = self.random.usize(..self.numbers.len());
            self.set(self.numbers[at], smallest)?;
        }
        Ok((moved + overwritten) as u64)
    }
}

fn churn(trial: &Trial) -> Result<(Vec<Look>, u64)> {
    let mut writer = Writer::new(trial)?;
    let before = resident_bytes()?;
    let start = Instant::now();
    let (mut looks, mut operations, mut next_look) = (Vec::new(), 0, trial.sample_seconds);
    loop {
        let second = start.elapsed().as_secs_f64();
        if second > trial.seconds {
            return Ok((looks, operations));
        }
        operations += writer.block(trial, second)?;
        if second >= next_look {
            next_look += trial.sample_seconds;
            let resident = resident_bytes()? - before;
            let look = Look { second, resident, stats: writer.store.stats()? };
            println!(
                "{second:7.1} s: process {:.1} MiB, counted {:.1} MiB, ratio {:.3}, {} entries",
                look.resident / MIB,
                look.stats.memory_bytes as f64 / MIB,
                look.held(),
                text::count(look.stats.entries as usize),
            );
            looks.push(look);
        }
    }
}

/// The looks after the store was first full: from a tenth of the run on.
fn settled(looks: &[Look]) -> &[Look] {
    &looks[looks.len() / 10..]
}

fn most(looks: &[Look], figure: impl Fn(&Look) -> f64) -> f64 {
    looks.iter().map(figure).fold(f64::NAN, f64::max)
}

fn goals(trial: &Trial, looks: &[Look]) -> Vec<Goal> {
    let looks = settled(looks);
    let third = looks.len() / 3;
    let (earlier, last) = looks[third..].split_at(third.min(looks.len() - third));
    let minutes = trial.seconds / 60.0;
    vec![
        Goal {
            what: format!("held by the process, times memory_bytes, worst of {minutes} minutes"),
            measured: most(looks, Look::held),
            limit: Limit::AtMost(HELD_MAX),
            unit: "x",
        },
        Goal {
            what: "peak of the last third of the run, times that of the third before".to_owned(),
            measured: most(last, |look| look.resident) / most(earlier, |look| look.resident),
            limit: Limit::AtMost(RISE_MAX),
            unit: "x",
        },
    ]
}

fn draw(path: &Path, looks: &[Look]) -> Result<()> {
    let minutes = |figure: fn(&Look) -> f64| {
        looks.iter().map(|look| (look.second / 60.0, figure(look) / MIB)).collect()
    };
    let series = [
        ("held by the process", minutes(|look| look.resident)),
        ("memory_bytes", minutes(|look| look.stats.memory_bytes as f64)),
        ("keys and values", minutes(|look| (look.stats.key_bytes + look.stats.value_bytes) as f64)),
    ];
    let frame = Frame { title: "Memory while sizes shift", values: "MiB", logarithmic: false };
    plot::lines(path, &frame, "minutes", &series)
}

fn report(trial: &Trial, looks: &[Look], operations: u64, plot: &str) -> Result<String> {
    let step = (looks.len() / 20).max(1);
    let rows: Vec<_> = looks
        .iter()
        .step_by(step)
        .map(|look| {
            let mib = |bytes: f64| format!("{:.1}", bytes / MIB);
            [
                format!("{:.1}", look.second),
                format!("{:.0}", trial.smallest(look.second)),
                text::count(look.stats.entries as usize),
                mib((look.stats.key_bytes + look.stats.value_bytes) as f64),
                mib(look.stats.memory_bytes as f64),
                mib(look.resident),
                format!("{:.3}", look.held()),
            ]
        })
        .collect();
    let header = [
        "second",
        "smallest value, B",
        "entries",
        "keys and values, MiB",
        "memory_bytes, MiB",
        "process, MiB",
        "process : memory_bytes",
    ];
    Ok(format!(
        "## Churn\n\n{} operations; one value in {TIMED_ONE_IN} has a TTL of up to {} s. The process \
         held {:.0} MiB at its peak, with what it had before the store was filled.\n\n\
         ![Memory while sizes shift]({plot})\n\n{}",
        text::count(operations as usize),
        trial.ttl_ms_max as f64 / 1e3,
        peak_bytes()? / MIB,
        text::table(&header, &rows)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_move_up_and_down() {
        let asked = Asked::read(&[], &[], &[], "").unwrap();
        let trial = Trial::of(&asked);
        let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-9;
        assert!(close(trial.smallest(0.0), SMALLEST));
        assert!(close(trial.smallest(trial.shift_seconds / 2.0), LARGEST / WINDOW));
        assert!(close(trial.smallest(trial.shift_seconds), SMALLEST));
    }

    #[test]
    fn a_short_trial_keeps_its_live_data() {
        let trial = Trial {
            seconds: 0.6,
            live_bytes: 1 << 18,
            shift_seconds: 0.2,
            sample_seconds: 0.05,
            ttl_ms_max: 50,
        };
        let (looks, operations) = churn(&trial).unwrap();
        assert!(operations > 0 && !looks.is_empty());
        let goals = goals(&trial, &looks);
        assert_eq!(goals.len(), 2);
    }
}

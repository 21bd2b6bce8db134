//! `kill -9` at random moments: eight writers, every sync mode, every kind of persistence.
//!
//! Goal: 10,000 kills, nothing acknowledged lost. A directory lives through forty kills without ever
//! being closed; a fifth of the kills come while the store recovers, up to three one after the other.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::arguments::Arguments;
use crate::life::{Kill, Lives};
use crate::results::{self, Row};
use crate::workload::Setting;

/// The name of the rig.
pub const NAME: &str = "kills";
/// How many kills there are to be.
pub const GOAL: u64 = 10_000;
/// Kills that one directory lives through.
const LIVES: u64 = 40;

/// What a sync mode came to.
#[derive(Default)]
struct Sum {
    kills: u64,
    recovering: u64,
    acknowledged: u64,
    unsynced: u64,
}

/// Runs the rig.
///
/// # Errors
/// The first violation, with the directory that shows it.
pub fn run(arguments: &Arguments) -> Result<()> {
    let goal = arguments.runs.unwrap_or(GOAL);
    let started = Instant::now();
    let place = arguments.place(NAME);
    let mut sums: [Sum; 3] = Default::default();
    let mut series = 0;
    while sums.iter().map(|sum| sum.kills).sum::<u64>() < goal && !arguments.is_over() {
        let seed = arguments.seed.wrapping_add(series);
        let setting = Setting(series);
        let mut lives = Lives::new(&place, &place.join("store"), setting, seed)?;
        let sum = &mut sums[(setting.0 % 3) as usize];
        for life in 0..LIVES.min(goal) {
            let result = one(&mut lives, life, seed, sum);
            result.with_context(|| {
                format!(
                    "{}; again with: kvtorture kills --seed {}",
                    lives.evidence(),
                    arguments.seed
                )
            })?;
        }
        series += 1;
        if series % 5 == 0 {
            let kills: u64 = sums.iter().map(|sum| sum.kills).sum();
            println!("kills: {kills} of {goal}, {:.0} s", started.elapsed().as_secs_f64());
        }
    }
    std::fs::remove_dir_all(&place)?;
    let seconds = started.elapsed().as_secs_f64();
    for (number, sum) in sums.iter().enumerate().filter(|(_, sum)| sum.kills > 0) {
        let row = Row {
            rig: NAME.into(),
            part: format!("sync={}", Setting(number as u64).sync()),
            unit: "kills".into(),
            runs: sum.kills,
            violations: 0,
            seed: arguments.seed,
            seconds: seconds / 3.0,
            counts: vec![
                ("during recovery".into(), sum.recovering),
                ("writes acknowledged".into(), sum.acknowledged),
                ("after the last snapshot of persistence=snapshot".into(), sum.unsynced),
            ],
            note: String::new(),
        };
        results::add(arguments, &row)?;
    }
    Ok(())
}

/// One kill while writing, and now and then some while recovering.
fn one(lives: &mut Lives, life: u64, seed: u64, sum: &mut Sum) -> Result<()> {
    let verdict = lives.end_writing(&mut Kill)?;
    sum.kills += 1;
    sum.acknowledged += verdict.acknowledged;
    sum.unsynced += verdict.lost;
    if (seed + life).is_multiple_of(8) {
        let depth = 1 + (seed + life) / 8 % 3;
        let ends = lives.end_recovering(&mut Kill, depth)?;
        sum.kills += ends;
        sum.recovering += ends.saturating_sub(1);
    }
    Ok(())
}

//! Power cuts on ext4: `FS_IOC_SHUTDOWN` without a flush of the journal drops everything that has not
//! reached the device, and all that is in the cache goes with the mount.
//!
//! Goal: 10,000 cuts, half of them with `noauto_da_alloc,data=writeback`, where the file system helps
//! least. With `sync=always` nothing acknowledged is lost; otherwise what is there is a prefix that has
//! everything a sync has covered, and with `sync=interval` what is lost is no older than the interval
//! and one sync.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::arguments::Arguments;
use crate::life::{End, Lives};
use crate::mounts::Ext4;
use crate::results::{self, Row};
use crate::system;
use crate::workload::{Bound, Persistence, Setting, monotonic_ns};

/// The name of the rig.
pub const NAME: &str = "power";
/// How many cuts there are to be.
pub const GOAL: u64 = 10_000;
/// Cuts that one directory lives through.
const LIVES: u64 = 30;
const IMAGE_BYTES: u64 = 64 << 20;
/// The mounts, each with its share of the cuts.
const MOUNTS: [&str; 2] = ["", "noauto_da_alloc,data=writeback"];

/// A cut of the file system.
struct Cut<'a> {
    disk: &'a mut Ext4,
    /// When the last cut was made, by the clock of the ledger.
    at_ns: u64,
}

impl End for Cut<'_> {
    fn strike(&mut self) -> Result<()> {
        self.at_ns = monotonic_ns()?;
        system::cut_off(self.disk.path())
    }

    fn struck_ns(&self) -> u64 {
        self.at_ns
    }

    fn recover(&mut self) -> Result<()> {
        self.disk.unmount()?;
        self.disk.mount()
    }

    fn bound(&self, setting: Setting) -> Bound {
        match (setting.sync(), setting.persistence()) {
            ("always", Persistence::Wal | Persistence::Hybrid) => Bound::Acknowledged,
            _ => Bound::Synced,
        }
    }

    fn takes_the_disk(&self) -> bool {
        true
    }
}

/// What a sync mode came to on one mount.
#[derive(Default)]
struct Sum {
    cuts: u64,
    recovering: u64,
    acknowledged: u64,
    lost: u64,
    /// The age of the oldest write that an interval did not cover.
    oldest_ms: u64,
}

/// Runs the rig.
///
/// # Errors
/// The first violation, with the directory that shows it; that this machine allows no mounts.
pub fn run(arguments: &Arguments) -> Result<()> {
    let goal = arguments.runs.unwrap_or(GOAL);
    for (number, options) in MOUNTS.iter().enumerate() {
        let arguments = arguments.share((MOUNTS.len() - number) as u32);
        run_mount(&arguments, options, goal.div_ceil(2), number as u64)?;
    }
    Ok(())
}

fn run_mount(arguments: &Arguments, options: &str, goal: u64, number: u64) -> Result<()> {
    let started = Instant::now();
    let place = arguments.place(NAME);
    std::fs::create_dir_all(&place)?;
    let mut sums: [Sum; 3] = Default::default();
    let mut series = number * 7;
    let name = if options.is_empty() { "default" } else { options };
    while sums.iter().map(|sum| sum.cuts).sum::<u64>() < goal && !arguments.is_over() {
        let seed = arguments.seed.wrapping_add(series).wrapping_add(1 << 32);
        let setting = Setting(series);
        let sum = &mut sums[(setting.0 % 3) as usize];
        // A file system of its own for each directory, so that none is ever short of room.
        let mut disk = Ext4::new(&place.join("image"), IMAGE_BYTES, &place.join("mount"), options)?;
        let store = disk.path().join("store");
        let mut lives = Lives::new(&place.join("work"), &store, setting, seed)?;
        let mut cut = Cut { disk: &mut disk, at_ns: 0 };
        for life in 0..LIVES.min(goal) {
            one(&mut lives, &mut cut, setting, life, sum).with_context(|| {
                let seed = arguments.seed;
                format!(
                    "{}, mount {name}; again with: kvtorture power --seed {seed}",
                    lives.evidence()
                )
            })?;
        }
        series += 1;
        let cuts: u64 = sums.iter().map(|sum| sum.cuts).sum();
        println!("power, mount {name}: {cuts} of {goal}, {:.0} s", started.elapsed().as_secs_f64());
    }
    std::fs::remove_dir_all(&place)?;
    let seconds = started.elapsed().as_secs_f64() / 3.0;
    for (number, sum) in sums.iter().enumerate().filter(|(_, sum)| sum.cuts > 0) {
        let mode = Setting(number as u64).sync();
        let row = Row {
            rig: NAME.into(),
            part: format!("mount {name}, sync={mode}"),
            unit: "cuts".into(),
            runs: sum.cuts,
            violations: 0,
            seed: arguments.seed,
            seconds,
            counts: vec![
                ("during recovery".into(), sum.recovering),
                ("writes acknowledged".into(), sum.acknowledged),
                ("of these lost as the mode allows".into(), sum.lost),
                ("oldest of them in ms".into(), sum.oldest_ms),
            ],
            note: String::new(),
        };
        results::add(arguments, &row)?;
    }
    Ok(())
}

fn one(
    lives: &mut Lives,
    cut: &mut Cut<'_>,
    setting: Setting,
    life: u64,
    sum: &mut Sum,
) -> Result<()> {
    let cut_ns = cut.at_ns;
    let verdict = lives.end_writing(cut)?;
    sum.cuts += 1;
    sum.acknowledged += verdict.acknowledged;
    sum.lost += verdict.lost;
    let is_interval =
        setting.sync() == "interval" && setting.persistence() != Persistence::Snapshot;
    if let Some(oldest_ns) = verdict.oldest_lost_ns.filter(|_| is_interval) {
        let age_ms = cut_ns.saturating_sub(oldest_ns) / 1_000_000;
        sum.oldest_ms = sum.oldest_ms.max(age_ms);
    }
    if life % 8 == 5 {
        let ends = lives.end_recovering(cut, 1 + life / 8 % 3)?;
        sum.cuts += ends;
        sum.recovering += ends.saturating_sub(1);
    }
    Ok(())
}

//! The disk is full, and then there is room again, on tmpfs and on ext4.
//!
//! Goal: 200 cycles. A write without room answers `NoSpace` and changes nothing, reads go on, the first
//! write within a second after there is room again is taken, the store is never poisoned, and a store
//! that is opened again, now and then while the disk is still full, holds what was acknowledged.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kvcore::{Options, Status, Store};

use crate::arguments::Arguments;
use crate::mounts::{Ext4, Tmpfs};
use crate::native::fresh;
use crate::results::{self, Row};

/// The name of the rig.
pub const NAME: &str = "full";
/// How many cycles there are to be.
pub const GOAL: u64 = 200;
const BYTES: u64 = 24 << 20;
/// How soon writes must be taken again, where that is measured.
const SOON: Duration = Duration::from_secs(1);
/// The same where it is not: a busy disk may take that long for one commit of its journal.
const AT_LAST: Duration = Duration::from_secs(60);
/// More writes than the disk has room for.
const WRITES_MAX: u64 = 200_000;

/// A store on a small disk, and what it must hold.
struct Cycle {
    store: Store,
    model: BTreeMap<String, Vec<u8>>,
    random: fastrand::Rng,
    number: u64,
}

/// What the cycles came to.
#[derive(Default)]
struct Sum {
    cycles: u64,
    refused: u64,
    slowest: Duration,
}

/// Runs the rig.
///
/// # Errors
/// The first violation; that this machine allows no mounts.
pub fn run(arguments: &Arguments) -> Result<()> {
    let goal = arguments.runs.unwrap_or(GOAL).div_ceil(2);
    let place = arguments.place(NAME);
    fresh(&place)?;
    {
        let at = place.join("tmpfs");
        let _mounted = Tmpfs::new(&at, BYTES)?;
        run_on(&arguments.share(2), &at, "tmpfs", goal)?;
    }
    {
        let at = place.join("ext4");
        let _mounted = Ext4::new(&place.join("image"), BYTES, &at, "")?;
        run_on(arguments, &at, "ext4", goal)?;
    }
    Ok(fs::remove_dir_all(&place)?)
}

fn options() -> Result<Options> {
    // Snapshots are taken whenever the log would grow over its limit.
    let small =
        Options::new().with("wal_segment_bytes", "256KiB")?.with("wal_bytes_max", "2MiB")?;
    Ok(small
        .with("persistence", "hybrid")?
        .with("sync", "interval")?
        .with("sync_interval", "20ms")?)
}

fn run_on(arguments: &Arguments, disk: &Path, name: &str, goal: u64) -> Result<()> {
    let started = Instant::now();
    let dir = disk.join("store");
    let mut cycle = Cycle {
        store: Store::open_directory(&dir, options()?)?,
        model: BTreeMap::new(),
        random: fastrand::Rng::with_seed(arguments.seed),
        number: 0,
    };
    let mut sum = Sum::default();
    for number in (0..goal).take_while(|_| !arguments.is_over()) {
        let soon = if arguments.results.is_some() { SOON } else { AT_LAST };
        let ran = one(&mut cycle, disk, &dir, number, soon, &mut sum);
        ran.with_context(|| {
            format!(
                "cycle {number} on {name}; again with: kvtorture full --seed {}",
                arguments.seed
            )
        })?;
        if number % 20 == 19 {
            println!("full, {name}: {} of {goal}", number + 1);
        }
    }
    cycle.store.shutdown()?;
    let row = Row {
        rig: NAME.into(),
        part: name.into(),
        unit: "cycles".into(),
        runs: sum.cycles,
        violations: 0,
        seed: arguments.seed,
        seconds: started.elapsed().as_secs_f64(),
        counts: vec![
            ("writes refused".into(), sum.refused),
            ("slowest to resume in us".into(), sum.slowest.as_micros() as u64),
        ],
        note: String::new(),
    };
    results::add(arguments, &row)
}

fn one(
    cycle: &mut Cycle,
    disk: &Path,
    dir: &Path,
    number: u64,
    soon: Duration,
    sum: &mut Sum,
) -> Result<()> {
    let ballast = disk.join("ballast");
    fill(&ballast)?;
    sum.refused += cycle.write_until_refused()?;
    cycle.check()?;
    fs::remove_file(&ballast)?;
    // On ext4 the room is there once its journal says so.
    File::open(disk)?.sync_all()?;
    let freed = Instant::now();
    loop {
        match cycle.write() {
            Ok(()) => break,
            Err(error) if error.status() == Status::NoSpace => {
                ensure!(
                    freed.elapsed() <= soon,
                    "VIOLATION: no write is taken for {soon:?}: {error}"
                );
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => bail!("VIOLATION: after there was room again: {error}"),
        }
    }
    let took = freed.elapsed();
    ensure!(took <= soon, "VIOLATION: the first write was taken after {took:?}");
    sum.slowest = sum.slowest.max(took);
    for _ in 0..50 {
        cycle.write().map_err(|error| anyhow::anyhow!("VIOLATION: {error}"))?;
    }
    // Snapshots that failed are tried again after a while only, and the cycles are quicker than that: the
    // log must be retired, or it is what fills the disk.
    cycle.store.snapshot(None).context("VIOLATION: with room again no snapshot is taken")?;
    if number % 10 == 9 {
        cycle.store.shutdown().context("VIOLATION: closing failed")?;
        cycle.store =
            Store::open_directory(dir, options()?).context("VIOLATION: opening failed")?;
        cycle.check()?;
    }
    sum.cycles += 1;
    Ok(())
}

impl Cycle {
    /// Sets or deletes a key, and does the same to the model if that was acknowledged.
    fn write(&mut self) -> kvcore::Result<()> {
        self.number += 1;
        let key = format!("key {}", self.random.u16(..400));
        if self.random.u8(..8) == 0 {
            self.store.del(&key)?;
            self.model.remove(&key);
            return Ok(());
        }
        let mut value = format!("{}:", self.number).into_bytes();
        value.resize(value.len() + self.random.usize(..6_000), b'v');
        self.store.set(&key, &value)?;
        self.model.insert(key, value);
        Ok(())
    }

    fn write_until_refused(&mut self) -> Result<u64> {
        for _ in 0..WRITES_MAX {
            let Err(error) = self.write() else { continue };
            ensure!(error.status() == Status::NoSpace, "VIOLATION: a full disk answers {error}");
            // It stays refused, and whoever asks again does no harm.
            let more = (0..20).filter(|_| self.write().is_err()).count();
            return Ok(1 + more as u64);
        }
        bail!("VIOLATION: the disk is full, and {WRITES_MAX} writes were taken");
    }

    /// Compares the store with the model.
    fn check(&self) -> Result<()> {
        let len = self.store.len()?;
        ensure!(len == self.model.len() as u64, "VIOLATION: {len} keys, not {}", self.model.len());
        for (key, value) in &self.model {
            let held = self.store.get(key)?;
            ensure!(held.as_deref() == Some(&value[..]), "VIOLATION: {key} has another value");
        }
        Ok(())
    }
}

/// Writes a file until there is no room for more.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    let mut len = 1 << 20;
    while len > 0 {
        match file.write(&vec![1; len]) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => len /= 4,
            Err(error) => return Err(error).context("cannot fill the disk"),
        }
    }
    // Blocks are taken when a file is written back, on ext4.
    match file.sync_all() {
        Err(error) if error.raw_os_error() != Some(libc::ENOSPC) => Err(error.into()),
        _ => Ok(()),
    }
}

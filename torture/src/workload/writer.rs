//! The program that is killed: it opens the store, tells what it found, and writes from eight threads
//! until it is ended, while another thread takes syncs and snapshots.
//!
//! It never stops by itself unless a thread has noted all that its region holds, or the disk is gone.

use std::io::stdout;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kvcore::{Status, Store};

use super::ledger::{Answer, Ledger, OPS_MAX, Outcome, monotonic_ns, wall_ms};
use super::ops::{self, Place, Script, Seen};
use super::{Dump, Setting, THREADS};

/// The first argument of a process that is a writer.
pub const ROLE: &str = "writer";

/// What the driver tells a writer.
pub struct Orders {
    /// The store's directory.
    pub dir: PathBuf,
    /// The ledger, outside of the crash.
    pub ledger: PathBuf,
    /// How the store is opened.
    pub setting: Setting,
    /// The seed of the series.
    pub seed: u64,
    /// Which life of the directory this is.
    pub life: u64,
    /// The Unix time from which deadlines are counted.
    pub life_ms: i64,
}

impl Orders {
    /// The arguments that say so.
    pub fn arguments(&self) -> Vec<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let numbers = [self.setting.0, self.seed, self.life].map(|number| number.to_string());
        let mut all = vec![ROLE.to_owned(), text(&self.dir), text(&self.ledger)];
        all.extend(numbers);
        all.push(self.life_ms.to_string());
        all
    }

    fn read(arguments: &[String]) -> Result<Orders> {
        let [dir, ledger, setting, seed, life, life_ms] = arguments else {
            bail!("a writer wants DIR LEDGER SETTING SEED LIFE LIFE_MS");
        };
        Ok(Orders {
            dir: dir.into(),
            ledger: ledger.into(),
            setting: Setting(setting.parse()?),
            seed: seed.parse()?,
            life: life.parse()?,
            life_ms: life_ms.parse()?,
        })
    }
}

/// Lives until it is killed.
///
/// # Errors
/// If the store cannot be opened or looked at.
pub fn run(arguments: &[String]) -> Result<()> {
    let orders = Orders::read(arguments)?;
    let before_ms = wall_ms();
    let store = Store::open_directory(&orders.dir, orders.setting.options()?)
        .context("the store does not open")?;
    Dump::of(&store, before_ms)?.write(&mut stdout().lock())?;
    let ledger = Ledger::open(&orders.ledger)?;
    let done: [AtomicU64; THREADS] = std::array::from_fn(|_| AtomicU64::new(0));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (store, ledger, orders, done) = (&store, &ledger, &orders, &done[thread]);
                scope.spawn(move || write(store, ledger, orders, thread, done))
            })
            .collect();
        scope.spawn(|| keep(&store, &ledger, &orders, &done));
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a writing thread has panicked"))??;
        }
        // Nothing is left to do but to be killed.
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    })
}

/// Does one operation after the other, and notes each before and after.
fn write(
    store: &Store,
    ledger: &Ledger,
    orders: &Orders,
    thread: usize,
    done: &AtomicU64,
) -> Result<()> {
    let script = Script::new(orders.seed, orders.life, thread, orders.life_ms);
    for (number, op) in (0..OPS_MAX).zip(script) {
        ledger.intend(thread, number + 1)?;
        let began_ns = monotonic_ns()?;
        let answer = ops::run(store, &op, Place { life: orders.life, thread, number });
        let at_ns = monotonic_ns()?;
        let (outcome, seen) = match answer {
            Ok(seen) => (Outcome::Done, seen),
            Err(error) => match error.status() {
                Status::NoSpace | Status::Poisoned | Status::Full => {
                    (Outcome::Refused, Seen::default())
                }
                _ => (Outcome::Unknown, Seen::default()),
            },
        };
        let Seen { revision, deadline_ms } = seen;
        let answer = Answer { outcome, revision, deadline_ms, began_ns, at_ns };
        ledger.answered(thread, number, &answer)?;
        match outcome {
            Outcome::Done => done.store(number + 1, Ordering::Release),
            // The store is poisoned, and what comes now is refused.
            Outcome::Refused | Outcome::Unknown => return Ok(()),
        }
    }
    Ok(())
}

/// Syncs and takes snapshots, and notes what they have made durable.
fn keep(store: &Store, ledger: &Ledger, orders: &Orders, done: &[AtomicU64; THREADS]) {
    let mut random = fastrand::Rng::with_seed(orders.seed ^ orders.life);
    let mut count = 0;
    loop {
        std::thread::sleep(Duration::from_micros(random.u64(500..12_000)));
        let floors = std::array::from_fn(|thread| done[thread].load(Ordering::Acquire));
        let safe = match random.u8(..4) {
            0 => store.snapshot(None).map(drop),
            _ => store.sync(),
        };
        // A sync that failed promises nothing; the driver sees to what the others promise.
        if safe.is_ok() {
            if ledger.floor(count, &floors).is_err() {
                return;
            }
            count += 1;
        }
    }
}

//! A sync that fails once, for real: ext4 on a loop device whose file is on a small tmpfs that is full.
//!
//! What the log writes goes into the cache, since its segment was preallocated; then the device has no
//! room for it, and `fdatasync` says so once. There is room again right after, and every later sync of
//! the same file would succeed without what was lost. Goal: no write is acknowledged after the failure;
//! the next opening shows everything acknowledged before; and what it shows is still there after a power
//! cut, though the cache had shown it things that were on no disk.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use kvcore::{Options, Status, Store};

use crate::arguments::Arguments;
use crate::mounts::{Ext4, Tmpfs};
use crate::native::fresh;
use crate::results::{self, Row};
use crate::system;

/// The name of the rig.
pub const NAME: &str = "sync-fails";
/// How many failures there are to be.
pub const GOAL: u64 = 50;
const IMAGE_BYTES: u64 = 64 << 20;
const TMPFS_BYTES: u64 = 20 << 20;
/// Writes that are tried after the failure.
const AFTER: u64 = 50;
/// More writes than fit into the tmpfs.
const WRITES_MAX: u64 = 20_000;

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// Runs the rig.
///
/// # Errors
/// The first violation; that this machine allows no mounts.
pub fn run(arguments: &Arguments) -> Result<()> {
    let goal = arguments.runs.unwrap_or(GOAL);
    let started = Instant::now();
    let place = arguments.place(NAME);
    let (mut runs, mut acknowledged, mut refused) = (0, 0, 0);
    for number in (0..goal).take_while(|_| !arguments.is_over()) {
        fresh(&place)?;
        let seed = arguments.seed.wrapping_add(number);
        let (before, after) = one(&place, seed).with_context(|| {
            format!("run {number}; again with: kvtorture sync-fails --runs 1 --seed {seed}")
        })?;
        acknowledged += before;
        refused += after;
        runs += 1;
        if runs % 10 == 0 {
            println!("sync-fails: {runs} of {goal}");
        }
    }
    fs::remove_dir_all(&place)?;
    let row = Row {
        rig: NAME.into(),
        part: "ext4 on a loop device on a full tmpfs".into(),
        unit: "failed syncs".into(),
        runs,
        violations: 0,
        seed: arguments.seed,
        seconds: started.elapsed().as_secs_f64(),
        counts: vec![
            ("writes acknowledged before".into(), acknowledged),
            ("writes refused after".into(), refused),
            ("writes acknowledged after".into(), 0),
        ],
        note: String::new(),
    };
    results::add(arguments, &row)
}

fn options() -> Result<Options> {
    let options = Options::new().with("sync", "always")?.with("persistence", "wal")?;
    // Recovery copies the last segment, so there must be room for two.
    Ok(options.with("wal_segment_bytes", "4MiB")?)
}

fn one(place: &Path, seed: u64) -> Result<(u64, u64)> {
    let backing = place.join("tmpfs");
    let _tmpfs = Tmpfs::new(&backing, TMPFS_BYTES)?;
    let mut disk = Ext4::new(&backing.join("image"), IMAGE_BYTES, &place.join("mount"), "")?;
    let dir = disk.path().join("store");
    let mut random = fastrand::Rng::with_seed(seed);
    let store = Store::open_directory(&dir, options()?)?;
    let mut model = State::new();
    for number in 0..random.u64(1..200) {
        write(&store, &mut random, number, &mut model)
            .map_err(|(error, ..)| anyhow::anyhow!("the disk fails before it is full: {error}"))?;
    }
    let ballast = backing.join("ballast");
    fill(&ballast)?;
    let mut failed = None;
    for number in 1_000..WRITES_MAX {
        if let Err((error, key, value)) = write(&store, &mut random, number, &mut model) {
            ensure!(error.status() == Status::Io, "VIOLATION: a failed sync answers {error}");
            failed = Some((key, value));
            break;
        }
    }
    let Some(doubtful) = failed else { bail!("no sync failed: the machine hides it") };
    fs::remove_file(&ballast)?;
    let before = model.len() as u64;
    for number in 0..AFTER {
        let again = write(&store, &mut random, WRITES_MAX + number, &mut model);
        ensure!(again.is_err(), "VIOLATION: a write was acknowledged after a sync had failed");
    }
    ensure!(store.sync().is_err(), "VIOLATION: a sync succeeded after one had failed");
    // It cannot be closed cleanly, and says so or not; what counts is what is there.
    let _ = store.shutdown();
    drop(store);
    let (store, shown) = reopen(&dir, &mut disk, &model, &doubtful)?;
    system::cut_off(disk.path())?;
    // It is open when the power goes, and has nothing to write to when it is closed.
    drop(store);
    disk.unmount()?;
    disk.mount()?;
    let store = Store::open_directory(&dir, options()?)
        .context("VIOLATION: it does not open after the power cut")?;
    ensure!(contents(&store)? == shown, "VIOLATION: what an opening had shown is gone");
    store.shutdown()?;
    drop(store);
    disk.unmount()?;
    Ok((before, AFTER))
}

/// Opens the directory while the cache still has what never reached the device. If the journal of the
/// file system was hit too, it is read-only now, and mounted anew first.
fn reopen(
    dir: &Path,
    disk: &mut Ext4,
    model: &State,
    doubtful: &(Vec<u8>, Vec<u8>),
) -> Result<(Store, State)> {
    let store = match Store::open_directory(dir, options()?) {
        Ok(store) => store,
        Err(error) if error.status() == Status::Io => {
            disk.unmount()?;
            disk.mount()?;
            Store::open_directory(dir, options()?).context("VIOLATION: it does not open again")?
        }
        Err(error) => bail!("VIOLATION: it does not open again: {error}"),
    };
    let mut found = contents(&store)?;
    let mut with_doubtful = model.clone();
    with_doubtful.insert(doubtful.0.clone(), doubtful.1.clone());
    ensure!(
        found == *model || found == with_doubtful,
        "VIOLATION: of {} entries {} are there",
        model.len(),
        found.len()
    );
    store.set("after", "the failure")?;
    found.insert(b"after".to_vec(), b"the failure".to_vec());
    Ok((store, found))
}

type Failed = (kvcore::Error, Vec<u8>, Vec<u8>);

fn write(
    store: &Store,
    random: &mut fastrand::Rng,
    number: u64,
    model: &mut State,
) -> Result<(), Failed> {
    let key = format!("key {number}").into_bytes();
    let mut value = format!("{number}:").into_bytes();
    value.resize(value.len() + random.usize(..8_000), b'v');
    match store.set(&key, &value) {
        Ok(_) => drop(model.insert(key, value)),
        Err(error) => return Err((error, key, value)),
    }
    Ok(())
}

fn contents(store: &Store) -> Result<State> {
    let mut state = State::new();
    for key in store.keys()? {
        let key = key?;
        let value = store.get(&key)?.context("a key without a value")?;
        state.insert(key, value.to_vec());
    }
    Ok(state)
}

/// Takes all that is left of a tmpfs.
fn fill(path: &Path) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    let page = [1; 4096];
    loop {
        match file.write(&page) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => return Ok(()),
            Err(error) => return Err(error).context("cannot fill the tmpfs"),
        }
    }
}

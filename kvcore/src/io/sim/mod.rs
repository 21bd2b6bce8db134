//! A disk in memory that loses whatever a crash is allowed to lose.
//!
//! Owns: a strict model of what POSIX promises, and the handles that tests turn it with. What was not
//! synced survives a crash in any part: each sector of 512 bytes, each length and each name on its
//! own. A failed sync leaves its data readable and lost. Any call can be made to fail, and the power
//! can be cut between any two. Invariant: the same seed and the same calls give the same disk.
//!
//! Why so strict, when common file systems keep more: a store that is right here is right on all of
//! them, in every mode they are mounted in.

mod content;
mod faults;
mod file;
#[cfg(all(test, not(kv_shuttle)))]
mod tests;
mod tree;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use fastrand::Rng;

use super::directories::{self, Directories};
use super::{DirLock, Disk, DiskFile, Listed};
use crate::planted::{Planted, is_planted};
use crate::sync::{Condvar, Mutex};
use faults::Fate;
pub use faults::{Call, Fault, SYNCS};
use file::{SimFile, SimLock};
use tree::{NodeId, Tree, sectors_in};

/// How much of what was not synced survives a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survivors {
    /// None of it.
    Nothing,
    /// All of it.
    Everything,
    /// Any part, as the seed has it.
    Any,
}

/// The odds of each thing to survive, in eighths.
#[derive(Debug, Clone, Copy)]
struct Odds(u8);

impl Odds {
    /// Nothing, everything and each in between are equally likely.
    fn new(survivors: Survivors, random: &mut Rng) -> Odds {
        Odds(match survivors {
            Survivors::Nothing => 0,
            Survivors::Everything => 8,
            Survivors::Any => random.u8(0..=8),
        })
    }

    fn survives(self, random: &mut Rng) -> bool {
        random.u8(0..8) < self.0
    }

    fn certain(self) -> bool {
        self.0 == 8
    }
}

/// A simulated disk. Clones are handles to the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Shared>);

struct Shared {
    world: Mutex<World>,
    /// Told when held syncs may go on.
    released: Condvar,
}

#[derive(Clone)]
struct World {
    tree: Tree,
    fate: Fate,
    random: Rng,
    /// Counts crashes; what was opened before the last one is dead.
    life: u64,
    locks: BTreeSet<NodeId>,
    capacity: Option<u64>,
    short_writes: u32,
    short_reads: u32,
    show_stale: bool,
    hold_syncs: bool,
    held: usize,
}

impl SimDisk {
    /// An empty disk. Everything that is left to chance comes from the seed.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk::of(World {
            tree: Tree::new(),
            fate: Fate::default(),
            random: Rng::with_seed(seed),
            life: 0,
            locks: BTreeSet::new(),
            capacity: None,
            short_writes: 0,
            short_reads: 0,
            show_stale: false,
            hold_syncs: false,
            held: 0,
        })
    }

    fn of(world: World) -> SimDisk {
        SimDisk(Arc::new(Shared { world: Mutex::new(world), released: Condvar::new() }))
    }

    /// The disk as a store takes it.
    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// The power fails and comes back. Open files and locks are of no use any more.
    pub fn crash(&self) {
        self.crash_with(Survivors::Any);
    }

    /// As [`SimDisk::crash`], with what survives.
    pub fn crash_with(&self, survivors: Survivors) {
        let mut guard = self.0.world.lock();
        let world = &mut *guard;
        let data = Odds::new(survivors, &mut world.random);
        let names = Odds::new(survivors, &mut world.random);
        world.tree.crash(data, names, world.show_stale, &mut world.random);
        world.end_life();
        world.fate.light();
        drop(guard);
        self.0.released.notify_all();
    }

    /// The process dies and the machine lives: all that was written is there, and no more of it is
    /// synced than before. Open files and locks are of no use any more. After a cut of the power this
    /// is the death of the process at that call, with no loss.
    pub fn kill(&self) {
        let mut world = self.0.world.lock();
        world.tree.close_all();
        world.end_life();
        world.fate.light();
        drop(world);
        self.0.released.notify_all();
    }

    /// Lets so many calls through. From then on every call fails, and changes nothing, until the
    /// disk is told what that was: a crash of the machine or the end of the process.
    pub fn cut_power_after(&self, calls: u64) {
        self.0.world.lock().fate.cut_after(calls);
    }

    /// Whether the power is on.
    pub fn has_power(&self) -> bool {
        !self.0.world.lock().fate.is_dark()
    }

    /// Makes calls fail, besides those that are to fail already. A write that fails may have written
    /// a part; a sync that fails makes any part survive and gives the rest up.
    pub fn inject(&self, fault: Fault) {
        self.0.world.lock().fate.inject(fault);
    }

    /// The next sync of a file fails. Those after it succeed, and do not bring back what it lost.
    pub fn fail_sync_once(&self) {
        self.inject(Fault::at(1, libc::EIO).of(&[Call::SyncData, Call::SyncAll]));
    }

    /// No more calls fail, save for want of room or power.
    pub fn clear_faults(&self) {
        self.0.world.lock().fate.clear_faults();
    }

    /// Bytes that files may take, in whole sectors. `None`: as many as they like.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.world.lock().capacity = bytes;
    }

    /// One write in so many, by chance, writes only a part of the bytes. 0: none.
    pub fn short_writes(&self, one_in: u32) {
        self.0.world.lock().short_writes = one_in;
    }

    /// One read in so many, by chance, reads only a part of the bytes. 0: none.
    pub fn short_reads(&self, one_in: u32) {
        self.0.world.lock().short_reads = one_in;
    }

    /// Whether a file that grew by a write may show, after a crash, bytes of files removed before,
    /// as file systems do that keep no order between data and lengths.
    pub fn expose_stale(&self, may_show: bool) {
        self.0.world.lock().show_stale = may_show;
    }

    /// Syncs of files do not come back until they are released, or until a crash.
    pub fn hold_syncs(&self) {
        self.0.world.lock().hold_syncs = true;
    }

    /// Lets held syncs, and later ones, go on.
    pub fn release_syncs(&self) {
        self.0.world.lock().hold_syncs = false;
        self.0.released.notify_all();
    }

    /// Syncs that are being held.
    pub fn syncs_held(&self) -> usize {
        self.0.world.lock().held
    }

    /// Calls so far, those that failed included.
    pub fn calls(&self) -> u64 {
        self.0.world.lock().fate.count()
    }

    /// Calls of one kind so far.
    pub fn calls_of(&self, call: Call) -> u64 {
        self.0.world.lock().fate.count_of(call)
    }

    /// A disk of its own in the same state, with nothing open or locked, no faults to come and its
    /// own chances: to see what different crashes would leave.
    pub fn duplicate(&self, seed: u64) -> SimDisk {
        let mut world = self.0.world.lock().clone();
        world.random = Rng::with_seed(seed);
        world.fate.clear_faults();
        world.hold_syncs = false;
        world.held = 0;
        world.tree.close_all();
        world.end_life();
        SimDisk::of(world)
    }

    /// What is in a file, past all faults and uncounted. `None` if there is no such file.
    pub fn contents(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let mut world = self.0.world.lock();
        let node = world.tree.find(path.as_ref()).ok()??;
        let content = world.tree.file(node).ok()?;
        let mut bytes = vec![0; usize::try_from(content.len()).ok()?];
        content.read(0, &mut bytes);
        Some(bytes)
    }

    /// Makes a file be these bytes, past all faults and uncounted, so that it survives, with the
    /// directories above it.
    ///
    /// # Errors
    /// If the path leads through a file, or to a directory.
    pub fn put(&self, path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        self.0.world.lock().tree.put(path.as_ref(), bytes)
    }

    /// Removes a file for good, past all faults and uncounted.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn erase(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.0.world.lock().tree.erase(path.as_ref())
    }

    /// The paths of all files, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.0.world.lock().tree.paths()
    }

    /// Makes a call that fails whole or succeeds.
    fn call<T>(
        &self,
        call: Call,
        path: &Path,
        act: impl FnOnce(&mut World) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut world = self.0.world.lock();
        match world.fate.meet(call, path)? {
            Some(failure) => Err(failure),
            None => act(&mut world),
        }
    }

    fn handle(&self, world: &mut World, node: NodeId, path: &Path, writable: bool) -> SimFile {
        world.tree.opened(node);
        SimFile { disk: self.clone(), node, life: world.life, path: path.to_path_buf(), writable }
    }
}

impl World {
    /// What is open and locked is of no use from now on.
    fn end_life(&mut self) {
        self.life += 1;
        self.locks.clear();
    }

    /// Sectors that may still be taken.
    fn room(&self) -> u64 {
        let left = |capacity: u64| sectors_in(capacity.saturating_sub(self.tree.used()));
        self.capacity.map_or(u64::MAX, left)
    }

    /// Cuts a length short, by chance.
    fn shorten(&mut self, len: usize, one_in: u32) -> usize {
        if len > 1 && one_in > 0 && self.random.u32(..one_in) == 0 {
            self.random.usize(1..len)
        } else {
            len
        }
    }
}

/// A system's error.
fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl Disk for SimDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        directories::create_all(self, dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.call(Call::Exists, path, |world| Ok(world.tree.find(path)?.is_some()))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        self.call(Call::List, dir, |world| {
            let names = world.tree.dir(world.tree.get(dir)?)?;
            let listed = |(name, &node): (&String, &NodeId)| {
                let len = world.tree.len(node);
                Listed { name: name.clone(), len: len.unwrap_or(0), is_file: len.is_some() }
            };
            Ok(names.iter().map(listed).collect())
        })
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.call(Call::Create, path, |world| {
            let node = world.tree.make(path, false)?;
            Ok(Box::new(self.handle(world, node, path, true)) as Box<dyn DiskFile>)
        })
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.call(Call::Open, path, |world| {
            let node = world.tree.get(path)?;
            if world.tree.is_dir(node) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
            }
            Ok(Box::new(self.handle(world, node, path, false)) as Box<dyn DiskFile>)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Rename, from, |world| world.tree.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove, path, |world| world.tree.remove(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if is_planted(Planted::NoDirSync) {
            return Ok(());
        }
        let mut guard = self.0.world.lock();
        let world = &mut *guard;
        let failure = world.fate.meet(Call::SyncDir, dir)?;
        let node = world.tree.get(dir)?;
        world.tree.dir(node)?;
        world.tree.sync_dir(node, failure.is_some(), &mut world.random);
        failure.map_or(Ok(()), Err)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        self.call(Call::Lock, path, |world| {
            let node = match world.tree.find(path)? {
                Some(node) if world.tree.is_dir(node) => return Err(errno(libc::EISDIR)),
                Some(node) => node,
                None => world.tree.make(path, false)?,
            };
            if !world.locks.insert(node) && !is_planted(Planted::ProcessLock) {
                return Ok(None);
            }
            let lock = SimLock { disk: self.clone(), node, life: AtomicU64::new(world.life) };
            Ok(Some(Box::new(lock) as Box<dyn DirLock>))
        })
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.call(Call::FreeBytes, dir, |world| {
            world.tree.dir(world.tree.get(dir)?)?;
            Ok(world.room().saturating_mul(content::SECTOR))
        })
    }
}

impl Directories for SimDisk {
    fn is_dir(&self, dir: &Path) -> io::Result<bool> {
        self.call(Call::Exists, dir, |world| match world.tree.find(dir)? {
            Some(node) => world.tree.dir(node).map(|_| true),
            None => Ok(false),
        })
    }

    fn make(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::CreateDir, dir, |world| world.tree.make(dir, true).map(|_| ()))
    }

    fn sync(&self, dir: &Path) -> io::Result<()> {
        self.sync_dir(dir)
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

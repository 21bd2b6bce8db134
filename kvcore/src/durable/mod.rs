//! What a store in a directory has beside its memory: files, the threads that tend them, and the order
//! in which they are opened and closed.
//!
//! Owns: [`Durable`]. `load` fills a store from files, `picture` writes a snapshot while the store goes
//! on, `keeper` has the threads. Invariants: nothing is acknowledged before the directory says which
//! files must be there; the mark of a clean close is written only after everything else is safe, and
//! taken away before the first change.

mod keeper;
mod load;
mod measure;
mod picture;
mod restore;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::Clock;
use crate::directory::{CleanMark, Directory, is_file_of_store};
use crate::error::{Error, Result, Status};
use crate::io::{Disk, RealDisk};
use crate::options::{Options, Persistence};
use crate::planted::{Planted, is_planted};
use crate::random;
use crate::recovery::{self, Progress, RecoveryReport, SalvageReport, VerifyReport};
use crate::snapshot::{self, SnapshotHead, SnapshotReader};
use crate::store::Core;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::wal::{Log, LogStart};

use keeper::Keeper;
pub use picture::SnapshotInfo;

/// Revisions that are reserved at a time where no log does it.
const REVISIONS: u64 = 1 << 28;

/// A store's part on disk.
pub(crate) struct Durable {
    directory: Directory,
    persistence: Persistence,
    keep: usize,
    report: RecoveryReport,
    keeper: Keeper,
    /// The revision of the last snapshot. Held while one is taken, and locked before `Journal::taking`.
    last_snapshot: Mutex<u64>,
    snapshots: AtomicU64,
    /// Where no log is kept: the number of the last state on disk, the log segment that would go on
    /// from there, and the revisions reserved.
    unlogged: Unlogged,
    closed: AtomicBool,
}

#[derive(Default)]
struct Unlogged {
    lsn: AtomicU64,
    segment: u64,
    ceiling: AtomicU64,
}

impl Durable {
    /// Opens a directory and fills a store from it. The store is not used by anybody else yet. `progress`
    /// is told how far that has come, on this thread.
    ///
    /// # Errors
    /// `Locked` if another opener has the directory; `Corrupt`, `Unsupported`, `Io`, `NoSpace`.
    pub(crate) fn open(
        core: &Core,
        options: &Options,
        disk: Arc<dyn Disk>,
        path: &Path,
        progress: &dyn Fn(Progress),
    ) -> Result<Durable> {
        let clock = &core.context.clock;
        if !options.create() && !disk.exists(path).map_err(|e| Error::from_os("open", &e))? {
            let message = format!(
                "there is no directory '{}' and create is false: give another path, or let it be made",
                path.display()
            );
            return Err(Error::new(Status::Invalid, message));
        }
        let directory = Directory::open(Arc::clone(&disk), path, clock.now_ms())?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let loader = load::Loader::new(core);
        let found = recovery::recover(&directory, &loader, progress, threads, clock)?;
        core.context.resume_above(found.revision);
        if loader.has_dropped() {
            // A revision without a record: who watches from before it has missed something.
            core.context.next_revision();
        }
        let revision = core.context.revision();
        directory.begin_life()?;
        let persistence = options.persistence();
        let mut unlogged = Unlogged::default();
        if persistence.has_log() {
            let log = Log::begin(LogStart {
                disk,
                dir: path.to_path_buf(),
                names: Arc::clone(directory.names()),
                store_id: directory.store_id(),
                segment: found.next_segment,
                first_lsn: found.last_lsn + 1,
                previous: found.previous,
                revision,
                segment_bytes: options.wal_segment_bytes(),
                mode: options.sync_mode(),
                clock: clock.clone(),
                older: found.segments,
                latency: Arc::clone(&core.context.latency),
            })?;
            directory.enrol_segment(found.next_segment)?;
            core.context.journal.begin(log);
        } else {
            let ceiling = revision + REVISIONS;
            directory.reserve_revisions(ceiling)?;
            // What a log prepared and never used. A crash may have left half a header in it, which would
            // look like damage after this life was closed in order.
            directory.remove_segments(|number| number >= found.next_segment)?;
            unlogged = Unlogged {
                lsn: AtomicU64::new(found.last_lsn),
                segment: found.next_segment,
                ceiling: AtomicU64::new(ceiling),
            };
        }
        let last = found.report.snapshot_revision;
        Ok(Durable {
            directory,
            persistence,
            keep: options.snapshot_keep(),
            report: found.report,
            keeper: Keeper::new(),
            last_snapshot: Mutex::new(last),
            snapshots: AtomicU64::new(0),
            unlogged,
            closed: AtomicBool::new(false),
        })
    }

    /// Starts the threads, once the store is complete.
    ///
    /// # Errors
    /// `Io` if the system has no thread to give.
    pub(crate) fn start(&self, core: &Arc<Core>) -> Result<()> {
        self.keeper.start(core)
    }

    /// The directory, as it was given.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What recovery found.
    pub(crate) fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// Snapshots taken into the directory since it was opened.
    pub(crate) fn snapshots(&self) -> u64 {
        self.snapshots.load(Ordering::Relaxed)
    }

    /// Makes the threads look at the options again.
    pub(crate) fn options_changed(&self) {
        self.keeper.ring();
    }

    /// Everything that was acknowledged before is on the disk when this returns.
    ///
    /// # Errors
    /// `Io`, `NoSpace`, `Poisoned`.
    pub(crate) fn sync(&self, core: &Core) -> Result<()> {
        match core.context.journal.log() {
            Some(log) => log.sync(),
            None => self.snapshot_if_changed(core, &|| core.state.check_open().is_err()),
        }
    }

    /// Writes a snapshot into the directory.
    ///
    /// # Errors
    /// `Io`, `NoSpace`: the snapshots before stay.
    pub(crate) fn snapshot(&self, core: &Core) -> Result<SnapshotInfo> {
        let mut last = self.last_snapshot.lock();
        self.snapshot_held(core, &|| core.state.check_open().is_err(), &mut last)
    }

    fn snapshot_if_changed(&self, core: &Core, cancelled: &picture::Cancelled<'_>) -> Result<()> {
        let mut last = self.last_snapshot.lock();
        if core.context.revision() == *last {
            return Ok(());
        }
        self.snapshot_held(core, cancelled, &mut last).map(drop)
    }

    /// Takes a snapshot if one is due, `waited` seconds after the last: by the clock, or because the log
    /// has become longer than `wal_bytes_max`. What the log is shortened to is what older snapshots need,
    /// so it may take `snapshot_keep` of them. Says whether one was due.
    ///
    /// # Errors
    /// As [`snapshot`](Durable::snapshot); `Closed` once it is cancelled.
    fn snapshot_if_due(
        &self,
        core: &Core,
        waited: f64,
        cancelled: &picture::Cancelled<'_>,
    ) -> Result<bool> {
        let files = &core.context.files;
        let interval_ms = files.snapshot_interval_ms();
        let is_time = self.persistence.has_snapshots()
            && interval_ms != 0
            && waited * 1_000.0 >= interval_ms as f64;
        let long = core.context.journal.log().filter(|log| log.bytes() > files.wal_bytes_max());
        if !is_time && long.is_none() {
            return Ok(false);
        }
        let mut last = self.last_snapshot.lock();
        let is_done = match long {
            _ if core.context.revision() != *last => false,
            Some(log) => self.shorten(log)?,
            None => true,
        };
        if !is_done {
            self.snapshot_held(core, cancelled, &mut last)?;
        }
        Ok(true)
    }

    /// Shortens the log of a store at rest to what came after the newest snapshot, which is read back first.
    /// The older ones go with it, because they need that log. No second snapshot is taken instead: one of the
    /// same state would have the same name. `false` if the newest one is damaged, or there is none.
    ///
    /// # Errors
    /// `Io`; nothing but older snapshots and a part of the log may be gone.
    fn shorten(&self, log: &Log) -> Result<bool> {
        let disk = &**self.directory.disk();
        let Some(lsn) = self.directory.roll().snapshot else { return Ok(false) };
        let path = self.directory.snapshot_path(lsn);
        let newest = match SnapshotReader::open(disk, &path) {
            Err(error) if error.status() == Status::Corrupt => return Ok(false),
            Ok(reader) if !self.directory.is_own(reader.head(), lsn) => return Ok(false),
            opened => opened?.head().segment,
        };
        if log.segments().iter().all(|segment| segment.number >= newest) {
            return Ok(true);
        }
        match snapshot::verify(disk, &path) {
            Err(error) if error.status() == Status::Corrupt => return Ok(false),
            verified => verified.map(drop)?,
        }
        log.retire_before(self.directory.retire(1)?)?;
        Ok(true)
    }

    fn snapshot_held(
        &self,
        core: &Core,
        cancelled: &picture::Cancelled<'_>,
        last: &mut u64,
    ) -> Result<SnapshotInfo> {
        let disk = &**self.directory.disk();
        begin_segment(core)?;
        let one_at_a_time = core.context.journal.taking.lock();
        let taken =
            picture::take(core, disk, picture::packers(core), cancelled, self.place(core, None))?;
        drop(one_at_a_time);
        self.publish(core, taken, last)
    }

    /// Where a snapshot of a moment goes, and its head. `leap` is the segment that the log will go on in
    /// where the contents were exchanged: the snapshot then has an LSN that no record gets.
    fn place(
        &self,
        core: &Core,
        leap: Option<u64>,
    ) -> impl Fn(&picture::Cut) -> (PathBuf, SnapshotHead) {
        let unlogged = self.unlogged.lsn.load(Ordering::Relaxed) + 1;
        let logs = core.context.journal.log().is_some();
        let (store_id, eviction) = (self.directory.store_id(), core.eviction().to_string());
        move |cut| {
            let (lsn, segment) = match (logs, leap) {
                (false, _) => (unlogged, self.unlogged.segment),
                (true, None) => (cut.lsn, cut.segment),
                (true, Some(segment)) => (cut.lsn + 1, segment),
            };
            let head = SnapshotHead {
                store_id,
                lsn,
                segment,
                revision: cut.revision,
                time_ms: cut.time_ms,
                eviction: eviction.clone(),
                has_log: logs,
            };
            let tmp = self.directory.snapshot_tmp_path(lsn);
            // One that could not be removed when it failed would be in the way.
            picture::remove(&**self.directory.disk(), &tmp);
            (tmp, head)
        }
    }

    /// Puts a snapshot in its place, and lets go of what it stands for.
    fn publish(&self, core: &Core, taken: picture::Taken, last: &mut u64) -> Result<SnapshotInfo> {
        let log = core.context.journal.log();
        // The records that a snapshot stands for may not be on the disk yet, and the log goes on from
        // there.
        log.map_or(Ok(()), Log::sync)?;
        if let Some(log) = log.filter(|_| is_planted(Planted::EarlyRetire)) {
            log.retire_before(taken.head.segment)?;
        }
        self.directory.publish_snapshot(taken.head.lsn)?;
        self.unlogged.lsn.store(taken.head.lsn, Ordering::Relaxed);
        self.snapshots.fetch_add(1, Ordering::Relaxed);
        *last = taken.head.revision;
        let oldest = self.directory.retire(self.keep)?;
        match log {
            Some(log) => log.retire_before(oldest)?,
            None => self.directory.remove_segments(|number| number < oldest)?,
        }
        let path = self.directory.snapshot_path(taken.head.lsn);
        Ok(taken.info(path))
    }

    /// Puts a snapshot of contents that were exchanged, while all shards are held, in the place of
    /// everything before.
    ///
    /// No record leads from the old contents to the new ones. So the log leaves out one LSN, which is that
    /// of the snapshot: without it, an older snapshot and the log do not connect, and recovery says so
    /// instead of bringing the old contents back.
    fn exchange(
        &self,
        core: &Core,
        last: &mut u64,
        take: impl FnOnce(
            &dyn Disk,
            &dyn Fn(&picture::Cut) -> (PathBuf, SnapshotHead),
        ) -> Result<picture::Taken>,
    ) -> Result<()> {
        let log = core.context.journal.log();
        let leap = log.map(Log::prepare_next).transpose()?;
        let taken = take(&**self.directory.disk(), &self.place(core, leap))?;
        self.publish(core, taken, last)?;
        log.map_or(Ok(()), |log| log.rotate(1).map(drop))
    }

    /// Stops the threads and closes the directory, once. `sound` is whether memory and log may be trusted.
    ///
    /// # Errors
    /// What could not be made safe; the directory is let go of all the same.
    pub(crate) fn close(&self, core: &Core, sound: bool) -> Result<()> {
        self.keeper.stop();
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let closed = if sound { self.close_soundly(core).map(Some) } else { Ok(None) };
        match closed {
            Ok(mark) => self.directory.close(mark),
            Err(fault) => {
                // The fault is what the caller should hear of.
                let _ = self.directory.close(None);
                Err(fault)
            }
        }
    }

    fn close_soundly(&self, core: &Core) -> Result<CleanMark> {
        // No change begins any more, and those that had begun end here.
        drop(core.lock_all());
        let revision = core.context.revision();
        let (segment, end, last_lsn) = match core.context.journal.log() {
            Some(log) => {
                let end = log.close()?;
                (end.segment, end.end, end.last_lsn)
            }
            None => {
                self.snapshot_if_changed(core, &|| false)?;
                (0, 0, self.unlogged.lsn.load(Ordering::Relaxed))
            }
        };
        let time_ms = core.context.clock.now_ms();
        Ok(CleanMark { segment, end, last_lsn, revision, time_ms })
    }

    /// Reserves more revisions where no log does it, once half of them are used.
    fn extend_revisions(&self, core: &Core) -> Result<()> {
        let (revision, ceiling) =
            (core.context.revision(), self.unlogged.ceiling.load(Ordering::Relaxed));
        if ceiling.saturating_sub(revision) > REVISIONS / 2 {
            return Ok(());
        }
        self.directory.reserve_revisions(revision + REVISIONS)?;
        self.unlogged.ceiling.store(revision + REVISIONS, Ordering::Relaxed);
        Ok(())
    }
}

/// Lets the log go on in a new segment, so that what a snapshot stands for can be removed as a whole.
///
/// # Errors
/// As [`Log::rotate`], but for `NoSpace`: without room for a segment the log goes on where it is.
fn begin_segment(core: &Core) -> Result<()> {
    let Some(log) = core.context.journal.log().filter(|log| !log.is_at_start()) else {
        return Ok(());
    };
    match log.rotate(0) {
        Err(error) if error.status() == Status::NoSpace => Ok(()),
        rotated => rotated.map(drop),
    }
}

/// Reads every byte of a store's directory, or of one snapshot file, checks every checksum, and says
/// what is damaged and what that loses. The store must not be open.
///
/// # Errors
/// `Io` if something cannot be read, `Locked` if the store is open, `Invalid` if there is no store.
pub fn verify(path: impl AsRef<Path>) -> Result<VerifyReport> {
    recovery::verify(&RealDisk, path.as_ref())
}

/// Copies what can be read of a damaged directory into a new one, and says what was lost. The old one
/// is left as it is.
///
/// # Errors
/// `Invalid` if `to` has anything in it or `from` is not there; `Corrupt` if `from` has no file of a store
/// that can be read; `Locked` if one of them is open; `NoSpace`, `NoMemory`, `Io`.
pub fn salvage(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<SalvageReport> {
    let now_ms = Clock::system().now_ms();
    recovery::salvage(Arc::new(RealDisk), from.as_ref(), to.as_ref(), now_ms)
}

/// Writes a snapshot of a store to a file, which is replaced if it is there.
///
/// # Errors
/// `Invalid` if the path names no file, or one that a store keeps in its directory; `Io`, `NoSpace`: the file
/// is as it was, unless only the sync of its directory failed.
pub(crate) fn snapshot_to(core: &Core, path: &Path) -> Result<SnapshotInfo> {
    check_free(&RealDisk, path)?;
    picture::write_to(core, &RealDisk, picture::packers(core), path)
}

/// Exchanges the contents of a store for those of a snapshot file.
///
/// # Errors
/// `Corrupt`, `Unsupported`, `Io` for the file, `Full`: nothing has changed. Later failures poison the
/// store.
pub(crate) fn restore_from(core: &Core, path: &Path) -> Result<()> {
    restore::restore(core, core.durable(), &RealDisk, path)
}

/// Sees that a path names a file, and none that a store relies on in its directory: to put another one over
/// `LOCK`, say, would let a second opener in.
///
/// # Errors
/// `Invalid`; `Io` if the system does not say.
fn check_free(disk: &dyn Disk, path: &Path) -> Result<()> {
    if path.file_name().is_none() {
        let message = format!("'{}' names no file: give the path of one", path.display());
        return Err(Error::new(Status::Invalid, message));
    }
    if is_file_of_store(disk, path)? {
        let message = format!(
            "'{}' has the name of a file that the store there keeps for itself: give the snapshot another name",
            path.display()
        );
        return Err(Error::new(Status::Invalid, message));
    }
    Ok(())
}

/// Where a file is written until it is complete: beside it, under a name that no other call has, of this or
/// any other process. It is as long whatever the file is called.
fn beside(path: &Path) -> PathBuf {
    let (process, number) = (std::process::id(), random::up_to(u64::MAX));
    path.with_file_name(format!(".kv-snapshot-{process}-{number:016x}.tmp"))
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests;

//! The calls that concern a store's files: opening a directory, syncing, snapshots, and what recovery
//! found.

use std::path::Path;
use std::sync::Arc;

use super::{Core, Store};
use crate::clock::Clock;
use crate::durable::{self, SnapshotInfo};
use crate::error::Result;
use crate::io::{Disk, RealDisk};
use crate::options::{Options, Persistence};
use crate::recovery::RecoveryReport;

impl Store {
    /// Opens the store that a directory holds, and makes it if there is none. The path is never parsed.
    ///
    /// Everything that was acknowledged as durable is there again, as of one moment, and
    /// [`recovery`](Store::recovery) says what was found. Opening never changes an old file.
    ///
    /// # Errors
    /// `Locked` if another opener has the directory; `Corrupt` if a file is damaged or missing, which
    /// it names; `Unsupported` for files of another format; `Full` if the store would hold more than
    /// its limits allow and may not evict; `NoSpace`, `Io`.
    pub fn open_directory(path: impl AsRef<Path>, options: Options) -> Result<Store> {
        Store::open_on(Arc::new(RealDisk), path.as_ref(), options, Clock::system())
    }

    /// As [`open_directory`](Store::open_directory), on this disk and by this clock. With a manual clock
    /// there are no threads: the caller purges, syncs and takes snapshots.
    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        path: &Path,
        mut options: Options,
        clock: Clock,
    ) -> Result<Store> {
        options.check_local()?;
        let listener = options.take_progress();
        let progress = |progress| {
            if let Some(listener) = &listener {
                listener.tell(progress);
            }
        };
        let in_memory = options.persistence() == Persistence::None;
        let core = Arc::new(Core::new(options, clock));
        if !in_memory {
            core.open_directory(disk, path, &progress)?;
        }
        Store::start(core)
    }

    /// Waits until everything that was acknowledged before is on the disk, in every `sync` mode. A store
    /// that keeps only snapshots takes one; a store in memory has nothing to wait for.
    ///
    /// # Errors
    /// `Io` or `Poisoned` if that failed: no write is acknowledged any more until the store is opened
    /// again. `NoSpace` if a snapshot had no room. `Closed`, `Forked`.
    pub fn sync(&self) -> Result<()> {
        self.core.state.check_write()?;
        let synced = match self.core.durable() {
            Some(durable) => durable.sync(&self.core),
            None => Ok(()),
        };
        synced.inspect_err(|fault| self.core.fault(fault.clone()))
    }

    /// Writes a snapshot, the exact state of one moment, while the store goes on: into the store's own
    /// directory, or to a file at `path`, which is replaced if it is there.
    ///
    /// # Errors
    /// `Unsupported` without a path for a store in memory; `Invalid` for a path that names no file, or one that
    /// a store keeps in its directory; `Io`, `NoSpace`: what was there before stays, unless all that failed was
    /// the sync of the directory. `Closed`, `Forked`.
    pub fn snapshot(&self, path: Option<&Path>) -> Result<SnapshotInfo> {
        self.core.state.check_read()?;
        match (path, self.core.durable()) {
            (Some(path), _) => durable::snapshot_to(&self.core, path),
            (None, Some(durable)) => durable.snapshot(&self.core),
            (None, None) => Err(crate::Error::new(
                crate::Status::Unsupported,
                "a store in memory has no directory for a snapshot: give the path of a file",
            )),
        }
    }

    /// Puts the contents of a snapshot file in the place of the store's contents, while other calls wait.
    /// Entries keep their deadlines and get new versions. A store that evicts takes a file whose entries fit
    /// its limits without their index, and evicts what the index has no room for.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported` or `Io` for the file, which is checked first; `Full` if it holds more
    /// than the limits allow, or a longer key or value: nothing has changed. If a later step fails, also for
    /// want of memory, the store is poisoned and the disk keeps the old contents. `Closed`, `Forked`, `Poisoned`.
    pub fn restore(&self, path: impl AsRef<Path>) -> Result<()> {
        self.core.state.check_write()?;
        durable::restore_from(&self.core, path.as_ref())
    }

    /// What opening the store found. All zero for a store in memory.
    ///
    /// # Errors
    /// `Forked`.
    pub fn recovery(&self) -> Result<RecoveryReport> {
        if self.is_forked() {
            return Err(crate::Status::Forked.into());
        }
        Ok(self.core.durable().map_or_else(RecoveryReport::default, |d| d.report().clone()))
    }

    /// The directory of the store, as it was given; `None` for a store in memory.
    pub fn directory(&self) -> Option<&Path> {
        self.core.durable().map(durable::Durable::path)
    }
}

//! Stores on a simulated disk, for tests of what a crash leaves behind.

use std::path::Path;

pub use crate::io::{
    Call, DirLock, Disk, DiskFile, Fault, Listed, RealDisk, SYNCS, SimDisk, Survivors,
    read_exact_at, write_all_at,
};

pub use crate::snapshot::fuzz_read as read_snapshot;

use crate::clock::Clock;
use crate::error::Result;
use crate::options::Options;
use crate::store::Store;

/// Opens a store in a directory of a simulated disk. With a manual clock it has no threads.
///
/// # Errors
/// As [`Store::open_directory`].
pub fn open(
    disk: &SimDisk,
    path: impl AsRef<Path>,
    options: Options,
    clock: Clock,
) -> Result<Store> {
    Store::open_on(disk.disk(), path.as_ref(), options, clock)
}

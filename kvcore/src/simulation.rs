//! Stores on a simulated disk, for tests of what a crash leaves behind.

use std::path::Path;

pub use crate::io::{
    Call, DirLock, Disk, DiskFile, Fault, Listed, RealDisk, SYNCS, SimDisk, Survivors,
    read_exact_at, write_all_at,
};

pub use crate::planted::Planted;
pub use crate::snapshot::{fuzz_read as fuzz_snapshot, read_whole as read_snapshot};
pub use crate::wal::{LogSeen, read_log, read_log_fuzzed as fuzz_log};

use crate::clock::Clock;
use crate::directory::fuzz_notes as decode_notes;
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

/// Reads bytes as the small files of a directory, and text as a location with options. None of it may
/// panic or take memory out of proportion. Says whether the bytes are such a file.
#[must_use]
pub fn fuzz_notes(bytes: &[u8]) -> bool {
    let mut options = Options::new();
    let _ = crate::location::Location::read(&String::from_utf8_lossy(bytes), &mut options);
    decode_notes(bytes)
}

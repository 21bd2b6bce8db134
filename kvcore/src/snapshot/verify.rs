//! Reads a whole snapshot and keeps nothing of it.

use std::path::Path;

use super::SnapshotSummary;
use super::reader::{BlockBuffer, SnapshotReader};
use crate::error::Result;
use crate::io::Disk;

/// Reads and decodes everything in a snapshot, and says how much there is.
///
/// # Errors
/// The first thing that is wrong, as [`SnapshotReader::open`] and [`SnapshotReader::read_block`].
pub(crate) fn verify(disk: &dyn Disk, path: &Path) -> Result<SnapshotSummary> {
    check(&SnapshotReader::open(disk, path)?)
}

/// Reads and decodes all blocks. As many entries as the index says come out of each, or an error.
pub(super) fn check(reader: &SnapshotReader) -> Result<SnapshotSummary> {
    let mut buffer = BlockBuffer::new();
    for number in 0..reader.blocks().len() {
        for entry in reader.read_block(number, &mut buffer)? {
            entry?;
        }
    }
    Ok(reader.summary())
}

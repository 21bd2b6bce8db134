//! Makes durable what recovery found at the end of a log that was not closed, or in a snapshot that was
//! not enrolled.
//!
//! After a sync has failed the system may hold bytes in memory that never reached the disk, and call
//! the next sync a success. Whoever reads the file then sees records that the next power cut takes
//! away, from before others that were acknowledged in the meantime. So the last segment is not synced
//! but copied, as it is, and the copy takes its name once it is durable. The log syncs each segment
//! before it writes to the next one, so those before are durable already. The same goes for the name of
//! a snapshot: a sync of the directory that failed may have lost it.
//!
//! Nothing is ever written to a copy again. So pages of zeros, which are most of a segment, take no room
//! in it. Where there is no room for the rest, segments that were prepared and never used give way to the
//! shortest ones there may be. They keep their names, because a seal or a snapshot may name them.

use std::path::Path;

use crate::directory::{failed, remove, sync_dir};
use crate::error::Result;
use crate::io::{Disk, DiskFile, read_exact_at, write_all_at};
use crate::planted::{Planted, is_planted};
use crate::wal::{HEADER_BYTES, MIN_SEGMENT_BYTES};

const CHUNK: u64 = 1 << 20;
const PAGE: usize = 4096;

/// Replaces a file by a copy of its first `bytes_max` bytes that is durable, of all if it is no longer.
///
/// # Errors
/// `NoSpace` and `Io`; the file is as it was then, or durable.
pub(crate) fn settle(disk: &dyn Disk, from: &Path, bytes_max: u64) -> Result<()> {
    if is_planted(Planted::SyncToSettle) {
        let synced = disk.open(from).and_then(|file| file.sync_all());
        return synced.map_err(|error| failed("cannot sync", from, &error));
    }
    replace(disk, from, "cannot make durable", &|source, copy| {
        let len = source.len()?.min(bytes_max);
        // As long as before, so that it is not taken for one that was cut short.
        copy.set_len(len)?;
        copy_pages(source, copy, len)
    })
}

/// Gives back the room of a segment that was prepared and never used. What a crash left of its header stays.
///
/// # Errors
/// `NoSpace` and `Io`; the segment is as it was then, or short.
pub(super) fn shorten_unused(disk: &dyn Disk, path: &Path) -> Result<()> {
    replace(disk, path, "cannot shorten", &|source, copy| {
        copy.set_len(MIN_SEGMENT_BYTES)?;
        copy_pages(source, copy, HEADER_BYTES as u64)
    })
}

/// Puts a file in the place of one, in one step, when what `fill` makes of it is durable.
fn replace(
    disk: &dyn Disk,
    path: &Path,
    what: &str,
    fill: &dyn Fn(&dyn DiskFile, &dyn DiskFile) -> std::io::Result<()>,
) -> Result<()> {
    let to = path.with_extension("tmp");
    remove(disk, &to)?;
    let replaced = (|| {
        let source = disk.open(path)?;
        let copy = disk.create(&to)?;
        fill(&*source, &*copy)?;
        copy.sync_all()?;
        drop(copy);
        disk.rename(&to, path)
    })();
    replaced.map_err(|error| {
        // The room that it took is needed; and if it stays, the next opening removes it.
        let _ = disk.remove(&to);
        failed(what, path, &error)
    })?;
    sync_dir(disk, path.parent().unwrap_or(Path::new("")))
}

/// Copies the first bytes to a file that has only zeros.
fn copy_pages(source: &dyn DiskFile, copy: &dyn DiskFile, len: u64) -> std::io::Result<()> {
    let mut buffer = vec![0; len.min(CHUNK) as usize];
    let mut at = 0;
    while at < len {
        let bytes = &mut buffer[..(len - at).min(CHUNK) as usize];
        read_exact_at(source, bytes, at)?;
        for (page, offset) in bytes.chunks(PAGE).zip((at..).step_by(PAGE)) {
            if page.iter().any(|&byte| byte != 0) {
                write_all_at(copy, page, offset)?;
            }
        }
        at += bytes.len() as u64;
    }
    Ok(())
}

//! Makes durable what recovery found at the end of a log that was not closed, or in a snapshot that was
//! not enrolled.
//!
//! After a sync has failed the system may hold bytes in memory that never reached the disk, and call
//! the next sync a success. Whoever reads the file then sees records that the next power cut takes
//! away, from before others that were acknowledged in the meantime. So the last segment is not synced
//! but copied, as it is, and the copy takes its name once it is durable. The log syncs each segment
//! before it writes to the next one, so those before are durable already. The same goes for the name of
//! a snapshot: a sync of the directory that failed may have lost it.

use std::path::Path;

use crate::directory::{failed, remove, sync_dir};
use crate::error::Result;
use crate::io::{Disk, read_exact_at, write_all_at};
use crate::planted::{Planted, is_planted};

const CHUNK: usize = 1 << 20;
const PAGE: usize = 4096;

/// Replaces a file by a copy of the same bytes that is durable.
///
/// # Errors
/// `NoSpace` and `Io`; the segment is as it was then, or durable.
pub(crate) fn settle(disk: &dyn Disk, from: &Path) -> Result<()> {
    if is_planted(Planted::SyncToSettle) {
        let synced = disk.open(from).and_then(|file| file.sync_all());
        return synced.map_err(|error| failed("cannot sync", from, &error));
    }
    let to = from.with_extension("tmp");
    remove(disk, &to)?;
    let copied = (|| {
        let source = disk.open(from)?;
        let len = source.len()?;
        let copy = disk.create(&to)?;
        copy.allocate(len)?;
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        while at < len {
            let bytes = &mut buffer[..CHUNK.min(usize::try_from(len - at).unwrap_or(CHUNK))];
            read_exact_at(&*source, bytes, at)?;
            // What was allocated is zero already.
            for (page, offset) in bytes.chunks(PAGE).zip((at..).step_by(PAGE)) {
                if page.iter().any(|&byte| byte != 0) {
                    write_all_at(&*copy, page, offset)?;
                }
            }
            at += bytes.len() as u64;
        }
        copy.sync_all()?;
        drop(copy);
        disk.rename(&to, from)
    })();
    copied.map_err(|error| failed("cannot make durable", from, &error))?;
    sync_dir(disk, from.parent().unwrap_or(Path::new("")))
}

//! Reads the log while it is being written, for watches that begin in the past.
//!
//! Invariant: nothing is read that is not as safe as `sync` promises, nor anything behind the last
//! frame that is complete, so what is being written meanwhile is never looked at.

use crate::error::Result;

use super::reader::{Opened, SegmentReader};
use super::{Log, SegmentInfo};

impl Log {
    /// The segments, the oldest first, with everything in them that was queued before this call, and
    /// nothing that is not safe yet. Call it with no lock held: it may write and sync.
    ///
    /// # Errors
    /// What stopped the log.
    pub(crate) fn readable(&self) -> Result<Vec<SegmentInfo>> {
        self.wait(self.last_lsn())?;
        let segments = self.segments();
        // What others have written meanwhile is not safe before this.
        self.wait(self.last_lsn())?;
        Ok(segments)
    }

    /// Opens a segment to read, up to where the log ends in it. `None` if it has been retired.
    ///
    /// # Errors
    /// As [`SegmentReader::open`].
    pub(crate) fn open_segment(&self, number: u64, ends_at: u64) -> Result<Option<Opened>> {
        let (disk, path) = (&*self.maker.disk, self.maker.path(number));
        match SegmentReader::open(disk, &path, &self.maker.store_id, number, Some(ends_at)) {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.os_code() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

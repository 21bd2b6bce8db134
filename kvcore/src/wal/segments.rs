//! The files of the log: their names, and how one comes to be there.
//!
//! Owns: [`Maker`], which prepares segments, and [`Segment`], an open one. Invariants: a file gets the
//! name of a segment only when its whole length is allocated and synced, and it is used only when its
//! name is synced, too, so that a write into it never meets a full disk and a file that is too short
//! is known to be damaged; a file that holds a log is never replaced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result, Status};
use crate::io::{Disk, DiskFile};
use crate::sync::Mutex;

use super::reader::{End, Opened, SegmentReader, Step};

/// Bytes of the smallest segment.
pub(crate) const MIN_SEGMENT_BYTES: u64 = 64 << 10;
/// Segments are whole numbers of pages.
const PAGE: u64 = 4096;

const PREFIX: &str = "wal-";
const SUFFIX: &str = ".log";
const SUFFIX_UNFINISHED: &str = ".tmp";

/// The file name of a segment.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{PREFIX}{number:020}{SUFFIX}")
}

/// The number of the segment with this file name; `None` if it is none of a segment.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()?;
    // There is one name for a number only.
    (number != 0 && segment_name(number) == name).then_some(number)
}

/// Whether the file is a segment that was not prepared to the end.
fn is_unfinished(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX_UNFINISHED)
}

/// Whether there is no room for what was asked, rather than that it failed.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// A segment that is open for writing.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// The length of the file in bytes.
    pub(super) bytes: u64,
    pub(super) file: Box<dyn DiskFile>,
    /// Held during a sync of the file. Of two syncs at once, the system may tell the error to one
    /// and success to the other.
    pub(super) syncing: Mutex<()>,
}

impl Segment {
    /// An error of the system about this file.
    pub(super) fn error(&self, what: &str, error: &io::Error) -> Error {
        failed(what, &self.path, error)
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::from_os(&format!("cannot {what} {}", path.display()), error)
}

/// Why no segment was prepared.
#[derive(Debug)]
pub(super) struct NotPrepared {
    pub(super) error: Error,
    /// Whether a sync failed. Nothing is sure of a disk that fails to sync.
    pub(super) at_sync: bool,
}

impl NotPrepared {
    fn new(what: &str, path: &Path, error: &io::Error) -> Self {
        if is_full(error) {
            let message = format!(
                "the disk is full: no room for {}: free some room, writes then resume by themselves; not applied",
                path.display()
            );
            return NotPrepared { error: Error::new(Status::NoSpace, message), at_sync: false };
        }
        NotPrepared { error: failed(what, path, error), at_sync: false }
    }

    fn at_sync(what: &str, path: &Path, error: &io::Error) -> Self {
        NotPrepared { at_sync: !is_full(error), ..NotPrepared::new(what, path, error) }
    }
}

impl From<Error> for NotPrepared {
    fn from(error: Error) -> Self {
        NotPrepared { error, at_sync: false }
    }
}

/// Prepares segments.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    /// Held from a change of names there until they are synced: a sync that fails may lose all changes
    /// before it, also those of others, whose own sync would then be called a success.
    pub(super) names: Arc<Mutex<()>>,
    pub(super) store_id: [u8; 16],
}

impl Maker {
    /// Where a segment is.
    pub(super) fn path(&self, number: u64) -> PathBuf {
        self.dir.join(segment_name(number))
    }

    /// Makes a segment of `wanted` bytes, or of as many as there is room for, but of no fewer than
    /// `least`. It is all zeros but for what `fill` writes, and durable.
    pub(super) fn prepare(
        &self,
        number: u64,
        least: u64,
        wanted: u64,
        fill: &mut dyn FnMut(&dyn DiskFile, u64) -> Result<()>,
    ) -> Result<Segment, NotPrepared> {
        let path = self.path(number);
        let unfinished = path.with_extension(&SUFFIX_UNFINISHED[1..]);
        let mut naming = None;
        let made = self.make(&unfinished, least, wanted).and_then(|(file, bytes)| {
            fill(&*file, bytes)?;
            let synced = file.sync_all();
            synced.map_err(|error| NotPrepared::at_sync("sync", &unfinished, &error))?;
            self.refuse_used(number)?;
            naming = Some(self.names.lock());
            let renamed = self.disk.rename(&unfinished, &path);
            renamed.map_err(|error| NotPrepared::new("rename", &unfinished, &error))?;
            Ok((file, bytes))
        });
        let (file, bytes) = made.inspect_err(|_| {
            // It may not be there; and if it stays, the next attempt removes it.
            let _ = self.disk.remove(&unfinished);
        })?;
        let synced = self.disk.sync_dir(&self.dir);
        drop(naming);
        synced.map_err(|error| NotPrepared::at_sync("sync", &self.dir, &error))?;
        Ok(Segment { number, path, bytes, file, syncing: Mutex::new(()) })
    }

    fn make(
        &self,
        path: &Path,
        least: u64,
        wanted: u64,
    ) -> Result<(Box<dyn DiskFile>, u64), NotPrepared> {
        let created = match self.disk.create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let removed = self.disk.remove(path);
                removed.map_err(|error| NotPrepared::new("remove", path, &error))?;
                self.disk.create(path)
            }
            created => created,
        };
        let file = created.map_err(|error| NotPrepared::new("create", path, &error))?;
        let whole_pages = |bytes: u64| bytes.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
        let least = whole_pages(least.max(MIN_SEGMENT_BYTES));
        let mut bytes = whole_pages(wanted).max(least);
        loop {
            match file.allocate(bytes) {
                Ok(()) => break,
                Err(error) if is_full(&error) && bytes > least => {
                    bytes = whole_pages(bytes / 2).max(least);
                }
                Err(error) => return Err(NotPrepared::new("allocate", path, &error)),
            }
        }
        let len = file.len().map_err(|error| NotPrepared::new("measure", path, &error))?;
        if len < bytes {
            let short = io::Error::other("the file is shorter than what was allocated");
            return Err(NotPrepared::new("allocate", path, &short));
        }
        Ok((file, len))
    }

    /// Refuses to go on if the file of the segment holds a group. One with a header alone was begun
    /// and not used: nobody knows whether its header is durable, and nothing was acknowledged in it.
    fn refuse_used(&self, number: u64) -> Result<()> {
        let path = self.path(number);
        let there = self.disk.exists(&path).map_err(|error| failed("look for", &path, &error))?;
        if !there {
            return Ok(());
        }
        match SegmentReader::open(&*self.disk, &path, &self.store_id, number, None)? {
            Opened::Unused { .. } => Ok(()),
            Opened::Used(mut reader) => match reader.next()? {
                Step::End(End::Open { .. } | End::Torn { .. }) => Ok(()),
                Step::End(End::Damaged(error)) => Err(error),
                _ => {
                    let message = format!("{} holds a log where none should be", path.display());
                    Err(Error::new(Status::Corrupt, message))
                }
            },
        }
    }

    /// Removes what an earlier life prepared behind this segment and did not use.
    pub(super) fn remove_unused_above(&self, number: u64) -> Result<()> {
        let _one = self.names.lock();
        let listed = self.disk.list(&self.dir);
        let mut removed = false;
        for file in listed.map_err(|error| failed("list", &self.dir, &error))? {
            let unused = match segment_number(&file.name) {
                Some(above) if above > number => {
                    self.refuse_used(above)?;
                    true
                }
                _ => is_unfinished(&file.name),
            };
            if unused {
                self.remove(&self.dir.join(&file.name))?;
                removed = true;
            }
        }
        if removed { self.sync_dir() } else { Ok(()) }
    }

    /// Removes files that may be gone already, in their order, and makes that durable.
    ///
    /// # Errors
    /// `Io`; some may have been removed then.
    pub(super) fn remove_all(&self, mut paths: impl Iterator<Item = PathBuf>) -> Result<()> {
        let _one = self.names.lock();
        paths.try_for_each(|path| self.remove(&path))?;
        self.sync_dir()
    }

    /// Removes a file that may be gone already. Not durable before `sync_dir`.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", path, &error))
            }
            _ => Ok(()),
        }
    }

    /// Makes names and removals durable.
    fn sync_dir(&self) -> Result<()> {
        self.disk.sync_dir(&self.dir).map_err(|error| failed("sync", &self.dir, &error))
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_one_to_one() {
        assert_eq!(segment_name(7), "wal-00000000000000000007.log");
        for number in [1, 7, u64::MAX] {
            assert_eq!(segment_number(&segment_name(number)), Some(number));
        }
        for name in [
            "wal-7.log",
            "wal-00000000000000000000.log",
            "wal-+0000000000000000007.log",
            "wal-00000000000000000007.tmp",
            "wal-99999999999999999999.log",
            "xwal-00000000000000000007.log",
            "wal-.log",
            "",
        ] {
            assert_eq!(segment_number(name), None, "{name}");
        }
    }
}

//! The files of one store: who may open them, what they are called, and which of them must be there.
//!
//! Owns: the directory's lock, its identity (`STORE`), the mark of a clean close (`CLOSED`), and the
//! making known and removing of snapshots. Invariants: one opener at a time; a small file is replaced
//! as a whole or not at all; `STORE` names the newest segment and snapshot that must be there before
//! anything in them is acknowledged, so that no missing file is taken for an empty store or an older
//! state; `CLOSED` is gone, durably, before anything is written, and one that comes back is not believed;
//! files with other names are left alone.
//!
//! A sync of the directory that failed may have lost names for good, and a later one is called a
//! success all the same. So whoever changes names holds a lock until they are synced, lest the
//! failure of one take the names of another with it (`names`). And a mark is believed only with the
//! edition of `STORE` that it was written with: an opener that finds no mark writes `STORE` again
//! before anything else.

mod names;
mod notes;
#[cfg(all(test, not(kv_shuttle)))]
mod tests;

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result, Status};
use crate::io::{DirLock, Disk, read_exact_at, write_all_at};
use crate::planted::{Planted, is_planted};
use crate::random;
use crate::snapshot::{SnapshotHead, SnapshotReader};
use crate::sync::Mutex;
use crate::wal::segment_name;

pub(crate) use names::{CLOSED, Files, LOCK, Numbered, STORE, snapshot_name};
pub(crate) use notes::Identity;
use notes::NOTE_BYTES;

/// What must be in the directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Roll {
    /// The log has this segment, or a later one, in use. 0: there never was a log.
    pub(crate) segment: u64,
    /// The LSN of a snapshot that is there, or has given way to a newer one.
    pub(crate) snapshot: Option<u64>,
    /// No revision above this, or above those that the log reserved, was ever given out.
    pub(crate) revision_ceiling: u64,
}

/// Where a store ended that was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CleanMark {
    /// The last segment of the log; 0 if there was no log.
    pub(crate) segment: u64,
    /// The length of that segment in bytes.
    pub(crate) end: u64,
    /// The LSN of the last record.
    pub(crate) last_lsn: u64,
    /// The last revision that was given out.
    pub(crate) revision: u64,
    /// When it was closed, in Unix milliseconds.
    pub(crate) time_ms: i64,
}

/// What `STORE` says beside the identity.
#[derive(Debug, Clone, Copy)]
struct Noted {
    roll: Roll,
    edition: u64,
}

/// The directory of a store that this opener has locked.
#[derive(Debug)]
pub(crate) struct Directory {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    store_id: [u8; 16],
    created_at_ms: i64,
    /// Whether this opener made the identity.
    is_new: bool,
    clean_mark: Option<CleanMark>,
    noted: Mutex<Noted>,
    names: Arc<Mutex<()>>,
    lock: Box<dyn DirLock>,
}

impl Directory {
    /// Opens the store in a directory, or makes one. What was never finished is swept away.
    ///
    /// # Errors
    /// `Locked` if another opener has it; `Corrupt` if its identity is damaged, or is missing where
    /// other files of a store are; `Unsupported` if another version of the format wrote it; `NoSpace`
    /// and `Io`.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: &Path, now_ms: i64) -> Result<Directory> {
        disk.create_dir_all(path).map_err(|error| failed("cannot make", path, &error))?;
        let lock = lock(&*disk, path)?;
        let files = files(&*disk, path)?;
        let identity = if files.store {
            identity(&*disk, path)?
        } else if files.has_data() {
            return Err(store_is_missing(path));
        } else {
            let identity = Identity {
                store_id: random::id()?,
                created_at_ms: now_ms,
                roll: Roll::default(),
                edition: 0,
            };
            write_note(&*disk, path, STORE, &identity.encode())?;
            identity
        };
        let clean_mark = if files.closed {
            clean_mark(&*disk, path, identity.store_id, Some(identity.edition))?
        } else {
            None
        };
        for name in &files.leftovers {
            remove(&*disk, &path.join(name))?;
        }
        Ok(Directory {
            disk,
            path: path.to_path_buf(),
            store_id: identity.store_id,
            created_at_ms: identity.created_at_ms,
            is_new: !files.store,
            clean_mark,
            noted: Mutex::new(Noted { roll: identity.roll, edition: identity.edition }),
            names: Arc::new(Mutex::new(())),
            lock,
        })
    }

    /// Where the files are.
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The directory's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The identity of the store, which is in every file of it.
    pub(crate) fn store_id(&self) -> [u8; 16] {
        self.store_id
    }

    /// The lock to hold from a change of names in the directory until they are synced. No other lock is
    /// taken inside.
    pub(crate) fn names(&self) -> &Arc<Mutex<()>> {
        &self.names
    }

    /// What must be there.
    pub(crate) fn roll(&self) -> Roll {
        self.noted.lock().roll
    }

    /// Where the store ended, if it was closed before this opener came.
    pub(crate) fn clean_mark(&self) -> Option<CleanMark> {
        self.clean_mark
    }

    /// The path of a segment of the log.
    pub(crate) fn segment_path(&self, number: u64) -> PathBuf {
        self.path.join(segment_name(number))
    }

    /// The path of the snapshot of the state after an LSN.
    pub(crate) fn snapshot_path(&self, lsn: u64) -> PathBuf {
        self.path.join(snapshot_name(lsn))
    }

    /// Where that snapshot is written.
    pub(crate) fn snapshot_tmp_path(&self, lsn: u64) -> PathBuf {
        self.path.join(names::snapshot_tmp_name(lsn))
    }

    /// What is there now.
    ///
    /// # Errors
    /// `Io` if the directory cannot be read.
    pub(crate) fn files(&self) -> Result<Files> {
        files(&*self.disk, &self.path)
    }

    /// Makes the identity durable that was found after a life which did not end in order. It is written
    /// again, because its name may be there in memory only: if a sync of the directory has failed, a
    /// later one may be called a success and bring nothing back. From then on no older mark of a clean
    /// close is believed, should it come back.
    ///
    /// # Errors
    /// `NoSpace` and `Io`.
    pub(crate) fn settle(&self) -> Result<()> {
        if self.is_new {
            return Ok(());
        }
        let mut noted = self.noted.lock();
        let roll = noted.roll;
        self.write_store(&mut noted, roll)
    }

    /// Takes the mark of a clean close away. Comes after recovery and before anything is written.
    ///
    /// # Errors
    /// `Io`; nothing may be written then.
    pub(crate) fn begin_life(&self) -> Result<()> {
        if is_planted(Planted::StaleMark) {
            return Ok(());
        }
        let path = self.path.join(CLOSED);
        let _one = self.names.lock();
        remove(&*self.disk, &path)?;
        sync_dir(&*self.disk, &self.path)
    }

    /// From now on this segment, or a later one, must be there. Comes after it was made and before a
    /// write to it is acknowledged.
    ///
    /// # Errors
    /// `NoSpace` and `Io`; nothing may be acknowledged then.
    pub(crate) fn enrol_segment(&self, segment: u64) -> Result<()> {
        self.enrol(|roll| roll.segment = roll.segment.max(segment))
    }

    /// From now on revisions up to this one may be given out by a store without a log.
    ///
    /// # Errors
    /// `NoSpace` and `Io`; the revisions may not be given out then.
    pub(crate) fn reserve_revisions(&self, ceiling: u64) -> Result<()> {
        self.enrol(|roll| roll.revision_ceiling = roll.revision_ceiling.max(ceiling))
    }

    /// Makes a snapshot known that is finished and synced, but for its name.
    ///
    /// # Errors
    /// `NoSpace` and `Io`; nothing may be retired then.
    pub(crate) fn publish_snapshot(&self, lsn: u64) -> Result<()> {
        let path = self.snapshot_path(lsn);
        let one = self.names.lock();
        self.disk
            .rename(&self.snapshot_tmp_path(lsn), &path)
            .map_err(|error| failed("cannot give its name to", &path, &error))?;
        if let Err(fault) = sync_dir(&*self.disk, &self.path) {
            // It may be there in memory only, and no later sync would tell. Under this name there may be
            // one that counts already; any other one must not be taken for the newest.
            if self.roll().snapshot < Some(lsn) {
                let _ = self.disk.remove(&path);
            }
            return Err(fault);
        }
        drop(one);
        self.enrol_snapshot(lsn)
    }

    /// From now on this snapshot must be there, or a later one. Comes after its name is durable.
    ///
    /// # Errors
    /// `NoSpace` and `Io`; nothing may be retired then.
    pub(crate) fn enrol_snapshot(&self, lsn: u64) -> Result<()> {
        self.enrol(|roll| roll.snapshot = roll.snapshot.max(Some(lsn)))
    }

    /// Removes the snapshots that are older than the newest `keep` ones of this store which can be opened, one
    /// at least, and returns the oldest segment that is still needed. As long as there are fewer than
    /// `keep` and the log goes back to the beginning, all of it is needed.
    ///
    /// # Errors
    /// `Io`; some may have been removed then.
    pub(crate) fn retire(&self, keep: usize) -> Result<u64> {
        let files = self.files()?;
        let _one = self.names.lock();
        let mut kept = Vec::new();
        for file in files.snapshots.iter().rev() {
            if kept.len() >= keep.max(1) {
                remove(&*self.disk, &self.snapshot_path(file.number))?;
                continue;
            }
            match SnapshotReader::open(&*self.disk, &self.snapshot_path(file.number)) {
                // A file of another store, or a copy under another name, is nothing to fall back to.
                Ok(reader) if !self.is_own(reader.head(), file.number) => {}
                Ok(reader) => kept.push(reader.head().segment),
                Err(error) if error.status() == Status::Corrupt => {}
                Err(error) => return Err(error),
            }
        }
        sync_dir(&*self.disk, &self.path)?;
        let from_the_start = files.segments.first().is_some_and(|file| file.number <= 1);
        if kept.len() < keep.max(1) && from_the_start {
            return Ok(1);
        }
        Ok(kept.into_iter().min().unwrap_or(1))
    }

    /// Whether a snapshot with this number in its name is one that this store took, and named so.
    pub(crate) fn is_own(&self, head: &SnapshotHead, number: u64) -> bool {
        (head.store_id, head.lsn) == (self.store_id, number)
    }

    /// Removes the segments with these numbers, the oldest first, where no log does it.
    ///
    /// # Errors
    /// `Io`; some may have been removed then.
    pub(crate) fn remove_segments(&self, unneeded: impl Fn(u64) -> bool) -> Result<()> {
        let files = self.files()?;
        let _one = self.names.lock();
        let unneeded: Vec<_> = files.segments.iter().filter(|file| unneeded(file.number)).collect();
        for file in &unneeded {
            remove(&*self.disk, &self.segment_path(file.number))?;
        }
        if unneeded.is_empty() { Ok(()) } else { sync_dir(&*self.disk, &self.path) }
    }

    /// Lets the next opener in. With a mark, the store was closed in order and all is durable.
    ///
    /// # Errors
    /// `NoSpace` and `Io` if the mark could not be written; the directory is unlocked all the same.
    pub(crate) fn close(&self, mark: Option<CleanMark>) -> Result<()> {
        let written = match mark {
            Some(mark) => {
                let bytes = mark.encode(self.store_id, self.noted.lock().edition);
                let _one = self.names.lock();
                write_note(&*self.disk, &self.path, CLOSED, &bytes)
            }
            None => Ok(()),
        };
        self.lock.unlock();
        written
    }

    /// Changes what must be there, durably first.
    fn enrol(&self, change: impl FnOnce(&mut Roll)) -> Result<()> {
        let mut noted = self.noted.lock();
        let mut roll = noted.roll;
        change(&mut roll);
        if roll == noted.roll { Ok(()) } else { self.write_store(&mut noted, roll) }
    }

    /// Writes the next edition of `STORE`, durably.
    fn write_store(&self, noted: &mut Noted, roll: Roll) -> Result<()> {
        let &Directory { store_id, created_at_ms, .. } = self;
        let edition = noted.edition.saturating_add(1);
        let identity = Identity { store_id, created_at_ms, roll, edition };
        let _one = self.names.lock();
        write_note(&*self.disk, &self.path, STORE, &identity.encode())?;
        *noted = Noted { roll, edition };
        Ok(())
    }
}

/// Locks a directory.
pub(crate) fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DirLock>> {
    let path = dir.join(LOCK);
    let lock = disk.lock(&path).map_err(|error| failed("cannot lock", &path, &error))?;
    lock.ok_or_else(|| {
        let message = format!("{} is open elsewhere: close it there first", dir.display());
        Error::new(Status::Locked, message)
    })
}

/// What is in a directory.
pub(crate) fn files(disk: &dyn Disk, dir: &Path) -> Result<Files> {
    let mut listed = disk.list(dir);
    if is_planted(Planted::UnreadableIsEmpty) {
        listed = Ok(listed.unwrap_or_default());
    }
    let listed = listed.map_err(|error| failed("cannot list", dir, &error))?;
    Ok(Files::of(listed))
}

/// Whether a path names a file that a store has in its directory, or makes there. Of any store, open or not.
///
/// # Errors
/// `Io` if the system does not say what is there.
pub(crate) fn is_file_of_store(disk: &dyn Disk, path: &Path) -> Result<bool> {
    if !path.file_name().and_then(OsStr::to_str).is_some_and(names::is_taken) {
        return Ok(false);
    }
    for name in [LOCK, STORE] {
        let sign = path.with_file_name(name);
        if disk.exists(&sign).map_err(|error| failed("cannot look for", &sign, &error))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What `STORE` says in a directory.
///
/// # Errors
/// `Corrupt`, `Unsupported` and `Io` for that file.
pub(crate) fn identity(disk: &dyn Disk, dir: &Path) -> Result<Identity> {
    let path = dir.join(STORE);
    Identity::decode(&path, &read_note(disk, &path)?)
}

/// The mark of a clean close that is in a directory; `None` if it belongs to another edition of `STORE`
/// than this, if that is known: it is from before the last life, and a sync that failed has brought it
/// back.
///
/// # Errors
/// `Corrupt`, `Unsupported` and `Io` for that file.
pub(crate) fn clean_mark(
    disk: &dyn Disk,
    dir: &Path,
    store_id: [u8; 16],
    edition: Option<u64>,
) -> Result<Option<CleanMark>> {
    let path = dir.join(CLOSED);
    let (mark, of) = CleanMark::decode(&path, &read_note(disk, &path)?, store_id)?;
    let is_current = edition.is_none_or(|edition| edition == of) || is_planted(Planted::OldMark);
    Ok(is_current.then_some(mark))
}

/// The error of a directory without an identity.
pub(crate) fn store_is_missing(dir: &Path) -> Error {
    let message = format!(
        "{} is missing, and other files of a store are there: bring it back from a backup, or run \
         kv salvage",
        dir.join(STORE).display()
    );
    Error::new(Status::Corrupt, message)
}

/// An error of the system, `NoSpace` where the disk is full.
pub(crate) fn failed(what: &str, path: &Path, error: &std::io::Error) -> Error {
    let what = format!("{what} {}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Error::new(Status::NoSpace, format!("{what}: {error}: free some room and try again"))
        }
        _ => Error::from_os(&what, error),
    }
}

/// Makes names durable.
pub(crate) fn sync_dir(disk: &dyn Disk, dir: &Path) -> Result<()> {
    disk.sync_dir(dir).map_err(|error| failed("cannot sync", dir, &error))
}

/// Removes a file if it is there.
pub(crate) fn remove(disk: &dyn Disk, path: &Path) -> Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(failed("cannot remove", path, &error))
        }
        _ => Ok(()),
    }
}

/// Whether bytes are one of the small files, as they are or once their checksum is mended.
#[cfg(any(test, feature = "simulation"))]
pub(crate) fn fuzz_notes(bytes: &[u8]) -> bool {
    let mut mended = bytes.to_vec();
    if let Some((covered, sum)) = mended.split_last_chunk_mut::<4>() {
        *sum = crc32c::crc32c(covered).to_le_bytes();
    }
    let decodes = |bytes: &[u8]| {
        let id = bytes.get(16..32).and_then(|id| id.try_into().ok()).unwrap_or_default();
        let path = Path::new("memory");
        Identity::decode(path, bytes).is_ok() || CleanMark::decode(path, bytes, id).is_ok()
    };
    decodes(&mended) || decodes(bytes)
}

fn read_note(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>> {
    let file = disk.open(path).map_err(|error| failed("cannot open", path, &error))?;
    let len = file.len().map_err(|error| failed("cannot measure", path, &error))?;
    if len != NOTE_BYTES as u64 {
        return Err(notes::damaged(path, "it has the wrong length"));
    }
    let mut bytes = vec![0; NOTE_BYTES];
    read_exact_at(&*file, &mut bytes, 0).map_err(|error| failed("cannot read", path, &error))?;
    Ok(bytes)
}

/// Replaces a small file as a whole, durably.
fn write_note(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = dir.join(format!("{name}.tmp"));
    remove(disk, &path)?;
    let written = (|| {
        let file = disk.create(&path)?;
        write_all_at(&*file, bytes, 0)?;
        if !is_planted(Planted::NoFileSync) {
            file.sync_all()?;
        }
        drop(file);
        disk.rename(&path, &dir.join(name))?;
        disk.sync_dir(dir)
    })();
    written.map_err(|error| failed("cannot write", &dir.join(name), &error))
}

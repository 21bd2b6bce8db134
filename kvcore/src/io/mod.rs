//! The seam to files and to what the system says of itself. Nothing else in the crate reaches them.
//!
//! Owns: what a store may ask of a disk ([`Disk`], [`DiskFile`], [`DirLock`]), and the two disks
//! there are: the system's ([`RealDisk`]) and, for tests, one that loses whatever a crash may lose
//! ([`SimDisk`]). Invariants: what has been synced survives a crash and nothing else is promised; an
//! error is never hidden and a sync is never tried again, because the system may have dropped what
//! it could not write and would call the second one a success.
//!
//! Why a trait of our own and not `std::fs`: a test must be able to let every call fail and to cut
//! the power between any two of them, and positioned reads and writes leave no shared cursor that
//! threads would have to agree on.

#![allow(clippy::disallowed_methods)]

#[cfg(any(test, feature = "simulation"))]
mod bytes;
mod directories;
mod real;
#[cfg(any(test, feature = "simulation"))]
mod sim;
mod system;

use std::fmt::Debug;
use std::io;
use std::path::Path;

use crate::planted::{Planted, is_planted};
#[cfg(any(test, feature = "simulation"))]
pub(crate) use bytes::Bytes;
pub use real::RealDisk;
#[cfg(any(test, feature = "simulation"))]
pub use sim::{Call, Fault, SYNCS, SimDisk, Survivors};
pub use system::read_file;
pub(crate) use system::usable_memory;

/// Where a store keeps its files.
///
/// Every error is the system's, with its number where it gave one. Paths of files are never followed
/// through a symbolic link at their end; the directories on the way may be links.
pub trait Disk: Send + Sync + Debug {
    /// Makes a directory and those above it that are missing, for the owner alone (0700), so that
    /// they survive a crash. One that is there already is left as it is.
    ///
    /// # Errors
    /// What the system says, `NotADirectory` if a file is in the way. Some of the directories may
    /// have been made then; the call may be repeated.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Whether something has this name, a link that leads nowhere included.
    ///
    /// # Errors
    /// What the system says if that cannot be told.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// What is in a directory, by name. A name that is not UTF-8 is left out: it is none of ours.
    ///
    /// # Errors
    /// What the system says; a list that may have gaps is never returned.
    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>>;

    /// Makes a file that only its owner may touch (0600), to read and write. Its name survives a
    /// crash once the directory is synced.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken, and what the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file to read, and to sync. It cannot be written through this handle.
    ///
    /// # Errors
    /// `NotFound`, `InvalidInput` if it is no regular file, `ELOOP` if it is a symbolic link, and
    /// what the system says.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name in one step, in place of the file that has it now.
    ///
    /// # Errors
    /// What the system says; the names are as before then.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name. Who has the file open may go on reading it.
    ///
    /// # Errors
    /// `NotFound`, and what the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory survive a crash: files made, renamed and removed before.
    ///
    /// # Errors
    /// What the system says. Any of the names may be lost then, and a second call that succeeds
    /// does not change that. A file system that cannot sync a directory fails here: a promise that
    /// it does not keep is not made.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Locks a directory against other openers, in this process and in others, by a file in it that
    /// is made if it is missing and that nothing ever removes. `None` if another opener has it.
    ///
    /// # Errors
    /// What the system says, `InvalidInput` if the name belongs to something other than a file.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DirLock>>>;

    /// The bytes that may still be written to the file system of a directory.
    ///
    /// # Errors
    /// What the system says.
    #[cfg(any(test, feature = "simulation"))]
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file. Threads may share it; there is no cursor. Dropping it closes it and syncs nothing.
// Whether it is empty is nothing that anyone asks.
#[allow(clippy::len_without_is_empty)]
pub trait DiskFile: Send + Sync + Debug {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Reads up to as many bytes as the buffer has, and says how many. Zero is the end of the file;
    /// fewer than asked for is not.
    ///
    /// # Errors
    /// What the system says. A call that a signal interrupts is repeated.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of the bytes, from the first on, and says how many. The file grows as needed.
    ///
    /// # Errors
    /// What the system says. Any part of the bytes may have been written then. A call that a signal
    /// interrupts before it wrote anything is repeated.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Gives the file at least `len` bytes of length, with room on the disk for all of them, so that
    /// writing there later needs no more room. New bytes are zeros. Nobody may write meanwhile.
    ///
    /// # Errors
    /// `ENOSPC` if there is no room, and what the system says. The length is as before then, as far
    /// as the system lets it.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes the file exactly so long. What is cut off is gone; what is added reads as zeros and has
    /// no room on the disk yet.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes everything written before the call survive a crash, and the length. Not the name.
    ///
    /// # Errors
    /// What the system says. Never repeated here, and not to be repeated by anyone: what was written
    /// before may be lost although it can still be read, and a second call may say it is fine.
    fn sync_data(&self) -> io::Result<()>;

    /// As `sync_data`, and the times and rights too.
    ///
    /// # Errors
    /// As `sync_data`.
    fn sync_all(&self) -> io::Result<()>;
}

/// Holds a directory. Dropping it lets go as well.
pub trait DirLock: Send + Sync + Debug {
    /// Lets go, so that another opener may have it. Does nothing the second time, and nothing in a
    /// process that was forked off with it.
    fn unlock(&self);
}

/// One thing in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, without the directory.
    pub name: String,
    /// Its length in bytes, if it is a file.
    pub len: u64,
    /// Whether it is a regular file: no directory, link, socket or device.
    pub is_file: bool,
}

/// Fills the buffer from a file.
///
/// # Errors
/// `UnexpectedEof` if the file ends before, and what the disk says.
pub fn read_exact_at(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], after(offset, done)?)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => done += count,
        }
    }
    Ok(())
}

/// Writes all of the bytes to a file, in as many calls as that takes.
///
/// # Errors
/// `WriteZero` if the disk takes no more, and what it says. Any part of the bytes may have been
/// written then.
pub fn write_all_at(file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    if is_planted(Planted::OneWrite) {
        return file.write_at(bytes, offset).map(drop);
    }
    while done < bytes.len() {
        match file.write_at(&bytes[done..], after(offset, done)?)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => done += count,
        }
    }
    Ok(())
}

/// The offset so many bytes on.
fn after(offset: u64, count: usize) -> io::Result<u64> {
    offset.checked_add(count as u64).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

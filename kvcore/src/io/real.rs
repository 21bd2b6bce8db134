//! The system's disk.
//!
//! Owns: how each call of [`Disk`] is made of system calls. Invariants: files are 0600, directories
//! 0700; no descriptor passes an `exec`, and that of a lock passes no `fork` either; no name of a
//! file is followed through a link; nothing waits for the other end of a pipe that someone put in
//! place of a file.
//!
//! Why `flock` and not the locks of `fcntl`: those belong to the process, so that closing any other
//! descriptor of the file drops them and a second opener in the process is let in.

#![allow(unsafe_code)]

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::directories::{self, Directories};
use super::{DirLock, Disk, DiskFile, Listed};
use crate::fork::Uninherited;

/// How often a call that signals interrupt is made before it counts as failed.
const ATTEMPTS: u32 = 1000;

/// Bytes to write at once where room is made by writing.
const CHUNK: usize = 1 << 18;

/// Never through a link, not waiting for anyone, and not as a terminal.
const FLAGS: i32 = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;

/// The files of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        directories::create_all(self, dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        let mut listed = Vec::new();
        for entry in fs::read_dir(or_here(dir))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            match entry.metadata() {
                Ok(data) => listed.push(Listed { name, len: data.len(), is_file: data.is_file() }),
                // It went away in between.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = options().write(true).create_new(true).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(regular(options().open(path)?)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        sync(&open_dir(dir)?)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        let open = || regular(options().write(true).create(true).open(path)?);
        let file = Uninherited::open(open)?;
        match file.with(File::try_lock) {
            Some(Ok(())) => {}
            Some(Err(TryLockError::WouldBlock)) => return Ok(None),
            Some(Err(TryLockError::Error(error))) => return Err(error),
            None => return Err(io::Error::from_raw_os_error(libc::EBADF)),
        }
        Ok(Some(Box::new(RealLock { file, unlocked: AtomicBool::new(false) })))
    }

    #[cfg(any(test, feature = "simulation"))]
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        free(&open_dir(dir)?)
    }
}

impl Directories for RealDisk {
    fn is_dir(&self, dir: &Path) -> io::Result<bool> {
        match fs::metadata(dir) {
            Ok(found) if found.is_dir() => Ok(true),
            Ok(_) => Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn make(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(dir)
    }

    fn sync(&self, dir: &Path) -> io::Result<()> {
        self.sync_dir(dir)
    }
}

/// An open file of this machine.
#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        uninterrupted(|| self.0.read_at(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        uninterrupted(|| self.0.write_at(bytes, offset))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let before = self.len()?;
        let result = match reserve(&self.0, len) {
            Err(error) if is_unsupported(&error) => {
                // Writing would find out too, but not before everyone else was out of room.
                if len.saturating_sub(before) > free(&self.0)? {
                    return Err(io::Error::from_raw_os_error(libc::ENOSPC));
                }
                fill(self, before, len)
            }
            result => result,
        };
        if result.is_err() {
            // Gives back what was taken. The first error is the one to tell: this one adds nothing.
            let _ = self.0.set_len(before);
        }
        result
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        sync_data(&self.0)
    }

    fn sync_all(&self) -> io::Result<()> {
        sync(&self.0)
    }
}

/// A lock by `flock`. It belongs to what `open` made and not to the process, so it must be released
/// by name: a child that was forked off at a bad moment may still have the descriptor.
#[derive(Debug)]
struct RealLock {
    file: Uninherited,
    unlocked: AtomicBool,
}

impl DirLock for RealLock {
    fn unlock(&self) {
        if !self.unlocked.swap(true, Ordering::AcqRel) {
            // In a forked child there is no file, and the parent keeps its lock. Elsewhere this
            // cannot fail for an open file, and closing it comes next in any case.
            let _ = self.file.with(File::unlock);
        }
    }
}

impl Drop for RealLock {
    fn drop(&mut self) {
        self.unlock();
    }
}

/// What every file is opened with.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).mode(0o600).custom_flags(FLAGS);
    options
}

/// A file that is none of the kinds that are not just bytes.
fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// What `Path::parent` calls the empty path is the working directory.
fn or_here(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

fn open_dir(dir: &Path) -> io::Result<File> {
    let flags = libc::O_DIRECTORY | libc::O_CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags).open(or_here(dir))
}

/// The bytes that may still be written to the file system of an open file or directory.
// The fields are narrower on other systems.
#[allow(clippy::unnecessary_cast)]
fn free(file: &File) -> io::Result<u64> {
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the descriptor is open while `file` lives, and there is room for one `statvfs`.
    check(unsafe { libc::fstatvfs(file.as_raw_fd(), found.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it filled the place; before, it was all zeros, which is a value
    // of that type as well.
    let found = unsafe { found.assume_init() };
    Ok((found.f_bavail as u64).saturating_mul(found.f_frsize as u64))
}

/// Makes room for a file's first `len` bytes, and the length at least that.
#[cfg(target_os = "linux")]
fn reserve(file: &File, len: u64) -> io::Result<()> {
    let Ok(len) = libc::off64_t::try_from(len) else {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    };
    if len == 0 {
        return Ok(());
    }
    uninterrupted(|| {
        // SAFETY: the descriptor is open while `file` lives, and no memory is passed.
        check(unsafe { libc::fallocate64(file.as_raw_fd(), 0, 0, len) })
    })
}

#[cfg(not(target_os = "linux"))]
fn reserve(_: &File, _: u64) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS))
}

/// Makes room by writing: what is there as it is, since it may have holes, and zeros after it.
fn fill(file: &dyn DiskFile, before: u64, len: u64) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    while at < len {
        let part = &mut chunk[..CHUNK.min(usize::try_from(len - at).unwrap_or(CHUNK))];
        let kept = usize::try_from(before.saturating_sub(at)).unwrap_or(CHUNK).min(part.len());
        super::read_exact_at(file, &mut part[..kept], at)?;
        part[kept..].fill(0);
        super::write_all_at(file, part, at)?;
        at += part.len() as u64;
    }
    Ok(())
}

/// Repeats a call that signals interrupt, but not for ever.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..ATTEMPTS {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
    call()
}

/// The system's error, if a call says there is one.
fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `fsync`, once. The standard library's would be repeated after a signal.
#[cfg(target_os = "linux")]
fn sync(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open while `file` lives, and no memory is passed.
    check(unsafe { libc::fsync(file.as_raw_fd()) })
}

/// `fdatasync`, once.
#[cfg(target_os = "linux")]
fn sync_data(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open while `file` lives, and no memory is passed.
    check(unsafe { libc::fdatasync(file.as_raw_fd()) })
}

/// Where `fsync` only reaches the drive's own memory, the standard library asks for more.
#[cfg(not(target_os = "linux"))]
fn sync(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// As `sync`.
#[cfg(not(target_os = "linux"))]
fn sync_data(file: &File) -> io::Result<()> {
    file.sync_all()
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests;

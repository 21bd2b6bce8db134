//! Making directories that survive a crash: the same steps for every disk.
//!
//! Owns: the order of the steps. Invariant: a directory is made only when the one above it is known
//! to survive, so a process that is killed on the way leaves at most one directory that might not,
//! the deepest; and the next call syncs the name of the deepest directory it finds, made by such a
//! process or not.

use std::io;
use std::path::Path;

use crate::planted::{Planted, is_planted};

/// What it takes to make directories.
pub(super) trait Directories {
    /// Whether a directory has this name; following links, as all of the path is.
    fn is_dir(&self, dir: &Path) -> io::Result<bool>;
    /// Makes one directory, for its owner alone.
    fn make(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory survive a crash.
    fn sync(&self, dir: &Path) -> io::Result<()>;
}

/// Makes `dir` and what is missing above it, durably.
pub(super) fn create_all(disk: &dyn Directories, dir: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut found = None;
    for ancestor in dir.ancestors() {
        // The last ancestor of a relative path is empty and means the working directory.
        if ancestor.as_os_str().is_empty() || disk.is_dir(ancestor)? {
            found = Some(ancestor);
            break;
        }
        missing.push(ancestor);
    }
    let syncs = !is_planted(Planted::NoParentSync);
    if let Some(parent) = found.and_then(Path::parent).filter(|_| syncs) {
        sync_found(disk, parent)?;
    }
    for &dir in missing.iter().rev() {
        match disk.make(dir) {
            Ok(()) => {}
            // Another process may be making the same directories.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && disk.is_dir(dir)? => {}
            Err(error) => return Err(error),
        }
        if let Some(parent) = dir.parent().filter(|_| syncs) {
            disk.sync(parent)?;
        }
    }
    Ok(())
}

/// Syncs the directory above one that was there before this call. Where that is not ours to open, or
/// is of a file system that has nothing to sync, we did not make the directory either.
fn sync_found(disk: &dyn Directories, parent: &Path) -> io::Result<()> {
    match disk.sync(parent) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

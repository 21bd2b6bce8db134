//! The folders that are measured in, and what reading their files takes.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

/// Bytes that are read at once.
const STEP: usize = 1 << 20;

/// A folder that goes when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// An empty one.
    pub fn make(path: PathBuf) -> Result<Folder> {
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Folder(path))
    }

    /// An empty one for a test.
    #[cfg(test)]
    pub fn temporary(name: &str) -> Result<Folder> {
        let name = format!("kvbench-{name}-{}-{:x}", std::process::id(), fastrand::u32(..));
        Folder::make(std::env::temp_dir().join(name))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is swept away by the next run.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Reads every file of a folder from its beginning to its end. Gives the bytes and the seconds.
pub fn read_all(dir: &Path) -> Result<(u64, f64)> {
    let mut buffer = vec![0; STEP];
    let began = Instant::now();
    let mut bytes = 0;
    for file in files(dir)? {
        let mut at = 0;
        loop {
            let count = file.read_at(&mut buffer, at)?;
            if count == 0 {
                break;
            }
            at += count as u64;
        }
        bytes += at;
    }
    Ok((bytes, began.elapsed().as_secs_f64()))
}

/// Has the system forget what it holds of the files of a folder in memory. It still holds what the
/// disk below it remembers by itself.
#[allow(unsafe_code)]
pub fn forget(dir: &Path) -> Result<()> {
    for file in files(dir)? {
        file.sync_all()?;
        // SAFETY: the descriptor is open while `file` lives, and no memory is passed.
        let code =
            unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        if code != 0 {
            return Err(std::io::Error::from_raw_os_error(code).into());
        }
    }
    Ok(())
}

fn files(dir: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(File::open(entry.path())?);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_are_read_and_forgotten() {
        let folder = Folder::temporary("files").unwrap();
        std::fs::write(folder.path().join("a"), vec![1; STEP + 5]).unwrap();
        std::fs::write(folder.path().join("b"), [2]).unwrap();
        std::fs::create_dir(folder.path().join("c")).unwrap();
        forget(folder.path()).unwrap();
        assert_eq!(read_all(folder.path()).unwrap().0, STEP as u64 + 6);
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }
}

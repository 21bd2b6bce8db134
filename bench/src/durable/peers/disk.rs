//! The least that any engine can do: one `pwrite` and one `fdatasync` for each set, one after the
//! other through a file of fixed length.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Result, anyhow, bail};

use super::{Mode, Peer, Writer};
use crate::plan::Key;

/// Length of the file: that of a segment of libkv's log.
const FILE_BYTES: usize = 64 << 20;
/// What the log writes with a record beside key and value: the head of a frame, kind, version and
/// two lengths.
const BESIDE_BYTES: usize = 64 + 1 + 4 + 2;

/// A file and where to write next.
pub(super) struct Bare {
    file: File,
    next: Mutex<u64>,
}

impl Bare {
    /// Makes the file, `written` with zeros or only allocated.
    pub(super) fn create(dir: &Path, written: bool) -> Result<Bare> {
        let file = File::create_new(dir.join("bare"))?;
        if written {
            file.write_all_at(&vec![0; FILE_BYTES], 0)?;
        } else {
            allocate(&file)?;
        }
        file.sync_all()?;
        Ok(Bare { file, next: Mutex::new(0) })
    }
}

#[allow(unsafe_code)]
fn allocate(file: &File) -> Result<()> {
    // SAFETY: the descriptor is open while `file` lives, and no memory is passed.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, FILE_BYTES as libc::off_t) } {
        0 => Ok(()),
        error => Err(std::io::Error::from_raw_os_error(error).into()),
    }
}

impl Peer for Bare {
    fn set_mode(&mut self, mode: Mode) -> Result<()> {
        if mode != Mode::Always {
            bail!("the bare disk always syncs");
        }
        Ok(())
    }

    fn writer(&self) -> Result<Box<dyn Writer + '_>> {
        Ok(Box::new(self))
    }

    fn fill(&self, _: &[Key]) -> Result<()> {
        Ok(())
    }
}

impl Writer for &Bare {
    fn set(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        let mut bytes = [0; 512];
        let len = BESIDE_BYTES + key.len() + value.len();
        let bytes = bytes.get_mut(..len).ok_or_else(|| anyhow!("the value is too long"))?;
        bytes[BESIDE_BYTES..BESIDE_BYTES + key.len()].copy_from_slice(key);
        bytes[BESIDE_BYTES + key.len()..].copy_from_slice(value);
        let mut next = self.next.lock().map_err(|_| anyhow!("a writer panicked"))?;
        if *next as usize + len > FILE_BYTES {
            *next = 0;
        }
        self.file.write_all_at(bytes, *next)?;
        *next += len as u64;
        self.file.sync_data()?;
        Ok(())
    }

    fn get(&mut self, _: &Key) -> Result<bool> {
        bail!("the bare disk has no keys")
    }
}

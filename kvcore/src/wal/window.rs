//! Reads a file piece by piece, ahead of what is asked for.
//!
//! Owns: [`Window`], a buffer over a part of the file. Invariants: it is no longer than what was asked
//! for or one step, whichever is more, and never longer than the file; an error of the system is
//! never taken for the end of the file.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result, Status};
use crate::io::{DiskFile, read_exact_at};
use crate::planted::{Planted, is_planted};

/// Bytes that are read at once.
const STEP: usize = 256 << 10;
/// Bytes that are compared with zeros at once.
pub(super) const PAGE: usize = 4096;
const ZEROS: [u8; PAGE] = [0; PAGE];

/// A window on a file that does not change meanwhile.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) file: Box<dyn DiskFile>,
    path: PathBuf,
    len: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    start: u64,
}

impl Window {
    /// A window on the whole file.
    ///
    /// # Errors
    /// `Io` if its length cannot be read.
    pub(super) fn new(file: Box<dyn DiskFile>, path: &Path) -> Result<Window> {
        let path = path.to_path_buf();
        let len = file.len().map_err(|error| unreadable(&path, 0, &error))?;
        Ok(Window { file, path, len, buffer: Vec::new(), start: 0 })
    }

    /// Takes no notice of what the file has behind so many bytes.
    pub(super) fn cut(&mut self, bytes: u64) {
        self.len = self.len.min(bytes);
        let within = self.len.saturating_sub(self.start);
        self.buffer.truncate(usize::try_from(within).unwrap_or(usize::MAX));
    }

    /// The length of the file in bytes, as far as notice is taken of it.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Forgets what was read ahead, which may have been written since.
    pub(super) fn forget(&mut self) {
        self.buffer.clear();
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes at an offset; `None` if the file ends before.
    ///
    /// # Errors
    /// `Io` if they cannot be read, `NoMemory` if there is no room for them.
    pub(super) fn get(&mut self, at: u64, len: usize) -> Result<Option<&[u8]>> {
        let end = at.checked_add(len as u64).filter(|&end| end <= self.len);
        if end.is_none() {
            return Ok(None);
        }
        let buffered = |window: &Window| {
            let skip = usize::try_from(at.checked_sub(window.start)?).ok()?;
            let end = skip.checked_add(len)?;
            (end <= window.buffer.len()).then_some(skip..end)
        };
        if let Some(range) = buffered(self) {
            return Ok(self.buffer.get(range));
        }
        self.fill(at, len)?;
        Ok(self.buffer.get(..len))
    }

    /// Some bytes from an offset on, as many as are at hand; none at the end of the file.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) fn some(&mut self, at: u64) -> Result<&[u8]> {
        let rest = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        Ok(self.get(at, rest.min(STEP))?.unwrap_or(b""))
    }

    /// The offset of the first byte that is not zero, from an offset on.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) fn first_byte(&mut self, from: u64) -> Result<Option<u64>> {
        let mut at = from;
        loop {
            let chunk = self.some(at)?;
            if chunk.is_empty() {
                return Ok(None);
            }
            for page in chunk.chunks(PAGE) {
                if !is_zero(page) {
                    let skip = page.iter().position(|&byte| byte != 0).unwrap_or(0);
                    return Ok(Some(at + skip as u64));
                }
                at += page.len() as u64;
            }
        }
    }

    fn fill(&mut self, at: u64, len: usize) -> Result<()> {
        let rest = usize::try_from(self.len - at).unwrap_or(usize::MAX);
        let wanted = len.max(STEP).min(rest);
        self.buffer.clear();
        self.buffer.shrink_to(wanted.max(STEP));
        if self.buffer.try_reserve_exact(wanted).is_err() {
            return Err(Status::NoMemory.into());
        }
        self.buffer.resize(wanted, 0);
        self.start = at;
        let read = read_exact_at(&*self.file, &mut self.buffer, at);
        if is_planted(Planted::ReadErrorIsEnd) && read.is_err() {
            self.buffer.fill(0);
            return Ok(());
        }
        read.map_err(|error| {
            self.buffer.clear();
            unreadable(&self.path, at, &error)
        })
    }
}

/// Whether the bytes, a page at most, are all zero. Comparing whole pages takes a small part of the
/// time of looking at bytes.
pub(super) fn is_zero(page: &[u8]) -> bool {
    *page == ZEROS[..page.len()]
}

fn unreadable(path: &Path, at: u64, error: &std::io::Error) -> Error {
    Error::from_os(&format!("cannot read {} at offset {at}", path.display()), error)
}

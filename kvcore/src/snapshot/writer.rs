//! Writes a snapshot file, from any number of threads.
//!
//! Owns: the file until it is whole, which place in it belongs to whom, and the index so far.
//! Invariants: places are handed out under the lock, packed and written without it; no two overlap;
//! after the first failure nothing is promised any more, every later call says what failed, and
//! [`finish`](SnapshotWriter::finish) never makes such a file look whole.

use std::io;
use std::path::{Path, PathBuf};

use super::SnapshotSummary;
use super::block::{BlockBuilder, Pushed};
use super::compress::{Compression, Packing};
use super::entry::{self, MAX_KEY, MAX_VALUE, Saved};
use super::format::{
    BLOCK_HEAD_BYTES, BlockHead, FOOTER_BYTES, Footer, HEAD_BYTES, Kind, MAX_EVICTION, MAX_RAW,
    SnapshotHead, block_crc, place_seed, put, u32_at,
};
use super::index::{LINE_BYTES, Line};
use crate::error::{Error, Result, Status};
use crate::io::{Disk, DiskFile, write_all_at};
use crate::sync::Mutex;

/// After so many bytes what was written is synced, so that the system never has much of a snapshot
/// to write at once, in the way of the log's syncs.
const SYNC_BYTES: u64 = 32 << 20;

/// The index is written in parts of so many lines.
const LINES_AT_ONCE: usize = 8192;

/// A snapshot file that is being written.
pub(crate) struct SnapshotWriter {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    /// Where all checksums start from.
    seed: u32,
    base_ms: i64,
    compression: Compression,
    state: Mutex<Progress>,
}

/// How far a snapshot has come.
struct Progress {
    /// Where the next block goes.
    end: u64,
    /// Bytes that belong to someone who has not said yet that they are written.
    open: u64,
    /// Bytes written since the last sync began.
    unsynced: u64,
    lines: Vec<Line>,
    blocks: u64,
    fault: Option<Error>,
}

impl SnapshotWriter {
    /// Begins a snapshot in a new file.
    ///
    /// # Errors
    /// `Invalid` if the name of the policy is too long, `NoSpace` if the disk is full, `Io` if the
    /// file is there already or the system fails. A file that was made stays.
    pub(crate) fn create(
        disk: &dyn Disk,
        path: &Path,
        head: &SnapshotHead,
        compression: Compression,
    ) -> Result<SnapshotWriter> {
        if head.eviction.len() > MAX_EVICTION {
            let message = format!("the eviction policy {:?} has too long a name", head.eviction);
            return Err(Error::new(Status::Invalid, message));
        }
        let bytes = head.encode();
        let file = disk.create(path).map_err(|error| failure("make", path, &error))?;
        write_all_at(&*file, &bytes, 0).map_err(|error| failure("write", path, &error))?;
        Ok(SnapshotWriter {
            file,
            path: path.to_path_buf(),
            seed: u32_at(&bytes, HEAD_BYTES - 4),
            base_ms: head.time_ms,
            compression,
            state: Mutex::new(Progress {
                end: HEAD_BYTES as u64,
                open: 0,
                unsynced: 0,
                lines: Vec::new(),
                blocks: 0,
                fault: None,
            }),
        })
    }

    /// An empty block for this snapshot. A thread keeps one and uses it again and again.
    pub(crate) fn builder(&self) -> BlockBuilder {
        BlockBuilder::new(self.base_ms, self.compression)
    }

    /// Packs and writes a block, and empties it. A block without entries is left out.
    ///
    /// # Errors
    /// `NoSpace` or `Io`, the same for all calls from the first failure on.
    pub(crate) fn write_block(&self, block: &mut BlockBuilder) -> Result<()> {
        if block.is_empty() {
            return self.check();
        }
        let (raw, entries) = (block.raw() as u32, block.entries());
        let (compression, bytes) =
            block.pack().map_err(|error| self.fail(failure("pack", &self.path, &error)))?;
        let stored = (bytes.len() - BLOCK_HEAD_BYTES) as u32;
        let kind = Kind::Entries;
        let head = BlockHead { kind, compression, raw, stored, entries, piece: 0, owner: 0 };
        let line = self.place(&head, bytes)?;
        self.enter(&[line])?;
        block.clear();
        Ok(())
    }

    /// Writes an entry that is too large for a block, in pieces. The value is not copied, or a piece
    /// at a time if it is compressed. May take long: not to be called under a lock.
    ///
    /// # Errors
    /// `TooLarge` if the key or the value is longer than the format allows, else as
    /// [`write_block`](SnapshotWriter::write_block).
    pub(crate) fn write_large(&self, saved: &Saved<'_>) -> Result<()> {
        if saved.key.len() > MAX_KEY || saved.value.len() as u64 > MAX_VALUE {
            return Err(Status::TooLarge.into());
        }
        let mut bytes = vec![0; BLOCK_HEAD_BYTES];
        bytes.extend_from_slice(entry::head(saved, self.base_ms).bytes());
        bytes.extend_from_slice(saved.key);
        let len = (bytes.len() - BLOCK_HEAD_BYTES) as u32;
        let mut head = BlockHead {
            kind: Kind::Large,
            compression: Compression::None,
            raw: len,
            stored: len,
            entries: 1,
            piece: 0,
            owner: 0,
        };
        let first = self.place(&head, &mut bytes)?;
        let mut lines = vec![first];
        let mut packing = Packing::new(self.compression);
        head = BlockHead { kind: Kind::Piece, entries: 0, owner: first.offset, ..head };
        for piece in saved.value.chunks(MAX_RAW as usize) {
            head.raw = piece.len() as u32;
            let packed = packing.pack(piece);
            let packed = packed.map_err(|e| self.fail(failure("pack", &self.path, &e)))?;
            lines.push(match packed {
                Some((compression, bytes)) => {
                    head.compression = compression;
                    head.stored = (bytes.len() - BLOCK_HEAD_BYTES) as u32;
                    self.place(&head, bytes)?
                }
                None => {
                    head.compression = Compression::None;
                    head.stored = head.raw;
                    self.place_apart(&head, piece)?
                }
            });
            head.piece += 1;
        }
        self.enter(&lines)
    }

    /// Collects entries of one thread and writes them a block at a time.
    pub(crate) fn packer(&self) -> Packer<'_> {
        Packer { writer: self, block: self.builder() }
    }

    /// Writes the index and makes the file durable. Its name is not; the caller sees to that.
    ///
    /// # Errors
    /// `NoSpace` or `Io`: what failed now or before. The file is worth nothing then.
    pub(crate) fn finish(self) -> Result<SnapshotSummary> {
        let (lines, blocks, index_at) = {
            let mut state = self.state.lock();
            check(&state)?;
            if state.open != 0 {
                let path = self.path.display();
                let message = format!("snapshot {path} has a block that was begun and never ended");
                return Err(Error::new(Status::Io, message));
            }
            (std::mem::take(&mut state.lines), state.blocks, state.end)
        };
        let (mut at, mut index_crc) = (index_at, place_seed(self.seed, index_at));
        let mut bytes = Vec::with_capacity(lines.len().min(LINES_AT_ONCE) * LINE_BYTES);
        for part in lines.chunks(LINES_AT_ONCE) {
            bytes.clear();
            part.iter().for_each(|line| bytes.extend_from_slice(&line.encode()));
            index_crc = crc32c::crc32c_append(index_crc, &bytes);
            self.write(&bytes, at)?;
            at += bytes.len() as u64;
        }
        let footer = Footer {
            index_at,
            lines: lines.len() as u64,
            entries: lines.iter().map(|line| u64::from(line.entries)).sum(),
            raw_bytes: lines.iter().map(|line| u64::from(line.raw)).sum(),
            index_crc,
        };
        self.write(&footer.encode(self.seed, at), at)?;
        self.file.sync_all().map_err(|error| failure("sync", &self.path, &error))?;
        Ok(SnapshotSummary {
            entries: footer.entries,
            blocks,
            raw_bytes: footer.raw_bytes,
            bytes: at + FOOTER_BYTES as u64,
        })
    }

    /// Finds a place for a block and writes it there. The first of the bytes are for its head.
    fn place(&self, head: &BlockHead, bytes: &mut [u8]) -> Result<Line> {
        let offset = self.take(bytes.len() as u64)?;
        let encoded = head.encode(self.seed, offset, &[&bytes[BLOCK_HEAD_BYTES..]]);
        put(bytes, 0, &encoded);
        self.write(bytes, offset)?;
        Ok(Line::of(offset, head, block_crc(&encoded)))
    }

    /// Finds a place for a block and writes it there from where its payload is.
    fn place_apart(&self, head: &BlockHead, payload: &[u8]) -> Result<Line> {
        let offset = self.take((BLOCK_HEAD_BYTES + payload.len()) as u64)?;
        let encoded = head.encode(self.seed, offset, &[payload]);
        self.write(&encoded, offset)?;
        self.write(payload, offset + BLOCK_HEAD_BYTES as u64)?;
        Ok(Line::of(offset, head, block_crc(&encoded)))
    }

    /// Hands out the next so many bytes of the file.
    fn take(&self, bytes: u64) -> Result<u64> {
        let mut state = self.state.lock();
        check(&state)?;
        let offset = state.end;
        state.end += bytes;
        state.open += bytes;
        Ok(offset)
    }

    /// Enters a block that was written, with all of its pieces, into the index.
    fn enter(&self, lines: &[Line]) -> Result<()> {
        let mut state = self.state.lock();
        check(&state)?;
        state.lines.extend_from_slice(lines);
        state.blocks += 1;
        state.open -= lines.iter().map(Line::bytes).sum::<u64>();
        Ok(())
    }

    /// Writes to the file, and syncs it from time to time.
    fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let written = write_all_at(&*self.file, bytes, offset);
        written.map_err(|error| self.fail(failure("write", &self.path, &error)))?;
        if self.is_sync_due(bytes.len() as u64) {
            let synced = self.file.sync_data();
            synced.map_err(|error| self.fail(failure("sync", &self.path, &error)))?;
        }
        Ok(())
    }

    /// Counts what was written. Whoever crosses the bound syncs, and the others go on meanwhile.
    fn is_sync_due(&self, bytes: u64) -> bool {
        let mut state = self.state.lock();
        state.unsynced += bytes;
        let is_due = state.unsynced >= SYNC_BYTES;
        if is_due {
            state.unsynced = 0;
        }
        is_due
    }

    /// Keeps the first fault, and returns it.
    fn fail(&self, fault: Error) -> Error {
        self.state.lock().fault.get_or_insert(fault).clone()
    }

    fn check(&self) -> Result<()> {
        check(&self.state.lock())
    }
}

fn check(state: &Progress) -> Result<()> {
    state.fault.clone().map_or(Ok(()), Err)
}

/// What to say when a call of the system failed.
fn failure(what: &str, path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    let is_full = matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
        || error.kind() == io::ErrorKind::StorageFull;
    if is_full {
        let message = format!("cannot {what} snapshot {path}: the disk is full ({error})");
        return Error::new(Status::NoSpace, message);
    }
    Error::from_os(&format!("cannot {what} snapshot {path}"), error)
}

/// Entries of one thread on their way to a snapshot.
pub(crate) struct Packer<'a> {
    writer: &'a SnapshotWriter,
    block: BlockBuilder,
}

impl Packer<'_> {
    /// Adds an entry of any size. Writes a block when one is full.
    ///
    /// # Errors
    /// As [`SnapshotWriter::write_block`] and [`SnapshotWriter::write_large`].
    pub(crate) fn push(&mut self, saved: &Saved<'_>) -> Result<()> {
        loop {
            match self.block.push(saved) {
                Pushed::Added => return Ok(()),
                Pushed::Full => self.writer.write_block(&mut self.block)?,
                Pushed::Large => return self.writer.write_large(saved),
            }
        }
    }

    /// Writes what is left. Without it the last entries are not in the snapshot.
    ///
    /// # Errors
    /// As [`SnapshotWriter::write_block`].
    pub(crate) fn finish(mut self) -> Result<()> {
        self.writer.write_block(&mut self.block)
    }
}

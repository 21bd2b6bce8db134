//! Reads a snapshot file, from any number of threads.
//!
//! Owns: the way from a file to entries. Invariants: the head, the footer and the index are sound
//! before a reader exists; a block is compared with the index, and both of its checksums are right,
//! before it is unpacked; it is unpacked into as many bytes as the index says and no more; entries
//! borrow from the caller's buffer, so nothing is allocated for one. Every error of a damaged file
//! names the file and the offset.

use std::io;
use std::path::{Path, PathBuf};

use super::SnapshotSummary;
use super::compress::{Compression, Unpacking};
use super::entry::{Saved, take, take_head};
use super::format::{
    BLOCK_HEAD_BYTES, BadHead, BlockHead, Damage, FOOTER_BYTES, FORMAT, Footer, HEAD_BYTES, Kind,
    SnapshotHead, place_seed,
};
use super::index::{BlockRef, Index, LINE_BYTES, Line};
use crate::error::{Error, Result, Status};
use crate::io::{Disk, DiskFile, read_exact_at};

/// A buffer that grew beyond this for one large entry is given back before the next block.
const KEPT_BYTES: usize = 4 << 20;

/// The index is read in parts of so many bytes, which are whole lines.
const PART_BYTES: usize = LINE_BYTES << 13;

/// A snapshot file that can be read.
#[derive(Debug)]
pub(crate) struct SnapshotReader {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    seed: u32,
    head: SnapshotHead,
    index: Index,
    summary: SnapshotSummary,
}

impl SnapshotReader {
    /// Opens a snapshot and checks all of it but the blocks.
    ///
    /// # Errors
    /// `Corrupt` if the file is damaged, `Unsupported` if another version of the format wrote it,
    /// `Io` if it cannot be opened or read, `NoMemory` if there is none for the index.
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> Result<SnapshotReader> {
        let file = disk.open(path).map_err(|error| {
            Error::from_os(&format!("cannot open snapshot {}", path.display()), &error)
        })?;
        SnapshotReader::from_file(file, path)
    }

    /// Reads from an open file. The path is for messages.
    pub(super) fn from_file(file: Box<dyn DiskFile>, path: &Path) -> Result<SnapshotReader> {
        let source = Source { file: &*file, path };
        let len = file.len().map_err(|error| {
            Error::from_os(&format!("cannot measure snapshot {}", path.display()), &error)
        })?;
        let mut head = [0; HEAD_BYTES];
        if len < HEAD_BYTES as u64 {
            return Err(source.damaged(len, "it ends within its head"));
        }
        source.read(&mut head, 0)?;
        let (head, seed) = SnapshotHead::decode(&head).map_err(|bad| match bad {
            BadHead::Damaged(damage) => source.damaged(damage.offset, damage.what),
            BadHead::Format(format) => source.foreign(format),
        })?;
        let (index, summary) = source.index(seed, len)?;
        Ok(SnapshotReader { path: path.to_path_buf(), seed, head, index, summary, file })
    }

    /// What the snapshot says of itself.
    pub(crate) fn head(&self) -> &SnapshotHead {
        &self.head
    }

    /// How much is in it.
    pub(crate) fn summary(&self) -> SnapshotSummary {
        self.summary
    }

    /// What can be read, in any order.
    pub(crate) fn blocks(&self) -> &[BlockRef] {
        &self.index.blocks
    }

    /// Reads one of [`blocks`](SnapshotReader::blocks), by its number. A large entry needs memory for
    /// its value; nothing else needs more than about a megabyte.
    ///
    /// # Errors
    /// `Corrupt` if it is damaged, `Io` if it cannot be read, `NoMemory`, and `Invalid` if there is
    /// no such block.
    pub(crate) fn read_block<'a>(
        &'a self,
        number: usize,
        buffer: &'a mut BlockBuffer,
    ) -> Result<Entries<'a>> {
        let Some(block) = self.blocks().get(number) else {
            let message = format!("snapshot {} has no block {number}", self.path.display());
            return Err(Error::new(Status::Invalid, message));
        };
        let lines = &self.index.lines[block.first..block.first + block.lines];
        let offset = block.offset;
        if buffer.value.capacity() > KEPT_BYTES {
            buffer.value = Vec::new();
        }
        buffer.value.clear();
        if let Some((first, pieces)) =
            lines.split_first().filter(|(line, _)| line.kind == Kind::Large)
        {
            return self.read_large(first, pieces, buffer);
        }
        let compression = self.fetch(&lines[0], 0, 0, &mut buffer.stored)?;
        let bytes = match compression {
            Compression::None => payload(&buffer.stored, &lines[0]),
            _ => self.unpack(compression, &lines[0], buffer)?,
        };
        let (base_ms, left) = (self.head.time_ms, block.entries);
        Ok(Entries { bytes, left, large: None, base_ms, source: self.source(), offset })
    }

    /// Reads an entry that has its value in pieces.
    fn read_large<'a>(
        &'a self,
        first: &Line,
        pieces: &[Line],
        buffer: &'a mut BlockBuffer,
    ) -> Result<Entries<'a>> {
        let source = self.source();
        let offset = first.offset;
        let bad = |what| source.damaged(offset, what);
        let compression = self.fetch(first, 0, 0, &mut buffer.start)?;
        if compression != Compression::None {
            return Err(bad("the start of a large entry is compressed"));
        }
        let BlockBuffer { start, stored, value, unpacking, .. } = buffer;
        let mut bytes = payload(start, first);
        let base_ms = self.head.time_ms;
        let Some((mut saved, value_len)) = take_head(&mut bytes, base_ms) else {
            return Err(bad("the start of a large entry makes no sense"));
        };
        // The index has been compared with the length of the file, so this is no larger than what
        // is really there allows.
        let there: u64 = pieces.iter().map(|line| u64::from(line.raw)).sum();
        if !bytes.is_empty() || value_len != there {
            return Err(bad("the pieces of a large entry are not those that it had"));
        }
        let len = usize::try_from(value_len).map_err(|_| Error::from(Status::NoMemory))?;
        value.try_reserve_exact(len).map_err(|_| Error::from(Status::NoMemory))?;
        for (number, line) in pieces.iter().enumerate() {
            let compression = self.fetch(line, number as u32, offset, stored)?;
            let from = value.len();
            let packed = payload(stored, line);
            if compression == Compression::None {
                value.extend_from_slice(packed);
                continue;
            }
            value.resize(from + line.raw as usize, 0);
            if !unpacking.unpack(compression, packed, &mut value[from..]) {
                return Err(source.damaged(line.offset, UNPACKED));
            }
        }
        saved.value = value;
        Ok(Entries { bytes: &[], left: 0, large: Some(saved), base_ms, source, offset })
    }

    /// Reads a block as it is in the file, and checks it. Says how it is packed.
    fn fetch(&self, line: &Line, piece: u32, owner: u64, to: &mut Vec<u8>) -> Result<Compression> {
        let source = self.source();
        let len = BLOCK_HEAD_BYTES + line.stored as usize;
        let bytes = grown(to, len);
        source.read(bytes, line.offset)?;
        let head = BlockHead::decode(bytes, self.seed, line.offset, line.crc)
            .map_err(|damage| source.damaged(damage.offset, damage.what))?;
        let compression = head.compression;
        let Line { kind, raw, stored, entries, .. } = *line;
        if head != (BlockHead { kind, compression, raw, stored, entries, piece, owner }) {
            return Err(source.damaged(line.offset, "a block is not what the index says of it"));
        }
        if compression == Compression::None && stored != raw {
            return Err(source.damaged(line.offset, "a block has a length that it cannot have"));
        }
        Ok(compression)
    }

    /// Unpacks the block that was fetched last.
    fn unpack<'a>(
        &self,
        compression: Compression,
        line: &Line,
        buffer: &'a mut BlockBuffer,
    ) -> Result<&'a [u8]> {
        let raw = grown(&mut buffer.raw, line.raw as usize);
        if buffer.unpacking.unpack(compression, payload(&buffer.stored, line), raw) {
            Ok(raw)
        } else {
            Err(self.source().damaged(line.offset, UNPACKED))
        }
    }

    fn source(&self) -> Source<'_> {
        Source { file: &*self.file, path: &self.path }
    }
}

const UNPACKED: &str = "a block does not unpack to what it was";

/// The first so many bytes of a buffer, which is made longer if need be.
fn grown(buffer: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    &mut buffer[..len]
}

/// The payload of a block that was fetched.
fn payload<'a>(stored: &'a [u8], line: &Line) -> &'a [u8] {
    &stored[BLOCK_HEAD_BYTES..BLOCK_HEAD_BYTES + line.stored as usize]
}

/// The memory in which one thread reads blocks. To be used again and again.
#[derive(Default)]
pub(crate) struct BlockBuffer {
    /// A block as it is in the file.
    stored: Vec<u8>,
    /// A block unpacked.
    raw: Vec<u8>,
    /// The start of a large entry.
    start: Vec<u8>,
    /// The value of a large entry.
    value: Vec<u8>,
    unpacking: Unpacking,
}

impl BlockBuffer {
    /// An empty buffer.
    pub(crate) fn new() -> BlockBuffer {
        BlockBuffer::default()
    }
}

/// The entries of a block that was read.
#[derive(Debug)]
pub(crate) struct Entries<'a> {
    bytes: &'a [u8],
    left: u32,
    large: Option<Saved<'a>>,
    base_ms: i64,
    source: Source<'a>,
    offset: u64,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Saved<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Result<Saved<'a>>> {
        if self.left == 0 {
            return self.last_one();
        }
        self.left -= 1;
        match take(&mut self.bytes, self.base_ms) {
            Some(saved) => Some(Ok(saved)),
            None => Some(Err(self.stop("an entry makes no sense"))),
        }
    }
}

impl<'a> Entries<'a> {
    #[cold]
    fn last_one(&mut self) -> Option<Result<Saved<'a>>> {
        if let Some(saved) = self.large.take() {
            return Some(Ok(saved));
        }
        (!self.bytes.is_empty()).then(|| Err(self.stop("a block has more bytes than entries")))
    }

    /// Nothing more will come.
    #[cold]
    fn stop(&mut self, what: &str) -> Error {
        (self.left, self.bytes) = (0, &[]);
        self.source.damaged(self.offset, what)
    }
}

/// A file with its name.
#[derive(Debug, Clone, Copy)]
struct Source<'a> {
    file: &'a dyn DiskFile,
    path: &'a Path,
}

impl Source<'_> {
    /// Fills the bytes from the file.
    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        read_exact_at(self.file, bytes, offset).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                return self.damaged(offset, "it ends there while it is read");
            }
            let path = self.path.display();
            Error::from_os(&format!("cannot read snapshot {path} at offset {offset}"), &error)
        })
    }

    /// Reads and checks what a file of this length ends with.
    fn index(&self, seed: u32, len: u64) -> Result<(Index, SnapshotSummary)> {
        let wrong = |damage: Damage| self.damaged(damage.offset, damage.what);
        let mut footer = [0; FOOTER_BYTES];
        let Some(footer_at) =
            len.checked_sub(FOOTER_BYTES as u64).filter(|&at| at >= HEAD_BYTES as u64)
        else {
            return Err(self.damaged(len, "it ends behind its head"));
        };
        self.read(&mut footer, footer_at)?;
        let footer = Footer::decode(&footer, seed, footer_at).map_err(wrong)?;
        let bytes = footer_at.checked_sub(footer.index_at);
        if bytes.is_none() || bytes != footer.lines.checked_mul(LINE_BYTES as u64) {
            return Err(self.damaged(footer_at, "the footer has no room for its index"));
        }
        let mut crc = place_seed(seed, footer.index_at);
        self.each_part(footer.index_at, footer_at, |part, _| {
            crc = crc32c::crc32c_append(crc, part);
            Ok(())
        })?;
        if crc != footer.index_crc {
            return Err(self.damaged(footer.index_at, "the checksum of the index is wrong"));
        }
        let mut index = Index::default();
        self.each_part(footer.index_at, footer_at, |part, offset| {
            index.add(part, offset).map_err(wrong)
        })?;
        let summary = index.check(&footer, footer_at).map_err(wrong)?;
        Ok((index, summary))
    }

    /// Reads the index in parts of whole lines, so that a length that is a lie costs no memory.
    fn each_part(
        &self,
        mut from: u64,
        to: u64,
        mut visit: impl FnMut(&[u8], u64) -> Result<()>,
    ) -> Result<()> {
        let mut part = vec![0; to.saturating_sub(from).min(PART_BYTES as u64) as usize];
        while from < to {
            let len = part.len().min(usize::try_from(to - from).unwrap_or(usize::MAX));
            self.read(&mut part[..len], from)?;
            visit(&part[..len], from)?;
            from += len as u64;
        }
        Ok(())
    }

    #[cold]
    fn damaged(&self, offset: u64, what: &str) -> Error {
        let path = self.path.display();
        let message = format!("snapshot {path} is damaged at offset {offset}: {what}");
        Error::new(Status::Corrupt, message)
    }

    #[cold]
    fn foreign(&self, format: u32) -> Error {
        let path = self.path.display();
        let message = format!(
            "snapshot {path} has format version {format}, and this build reads version {FORMAT}: \
             use the release that wrote it or a newer one"
        );
        Error::new(Status::Unsupported, message)
    }
}

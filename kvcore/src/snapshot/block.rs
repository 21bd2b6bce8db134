//! A block while it is filled.
//!
//! Owns: the entries of one block, in memory. Nothing here blocks or reaches a file, so a block may
//! be filled under a lock; the writer packs and writes it later, with no lock held. Invariant: a
//! block has at most [`BLOCK_BYTES`] before compression.

use super::compress::{Compression, Packing};
use super::entry::{self, MAX_HEAD, MAX_KEY, Saved};
use super::format::BLOCK_HEAD_BYTES;

/// The most bytes of a block of whole entries before compression. Large enough for few calls and
/// good compression, small enough to stay in a core's cache.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

/// An entry with more bytes of key and value than this is written by itself.
pub(super) const LARGE_ABOVE: usize = 64 << 10;

const _: () = assert!(LARGE_ABOVE + MAX_HEAD <= BLOCK_BYTES);

/// What became of an entry that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed {
    /// It is in the block.
    Added,
    /// It is not: the block has no room. Write the block and push the entry again.
    Full,
    /// It is not: an entry so large goes to [`write_large`](super::SnapshotWriter::write_large).
    Large,
}

/// Entries on their way to one block.
pub(crate) struct BlockBuilder {
    base_ms: i64,
    /// Room for the head, then entries.
    bytes: Vec<u8>,
    entries: u32,
    packing: Packing,
}

impl BlockBuilder {
    /// An empty block of a snapshot that was taken at `base_ms`.
    pub(super) fn new(base_ms: i64, compression: Compression) -> BlockBuilder {
        let mut bytes = Vec::with_capacity(BLOCK_HEAD_BYTES + BLOCK_BYTES);
        bytes.resize(BLOCK_HEAD_BYTES, 0);
        BlockBuilder { base_ms, bytes, entries: 0, packing: Packing::new(compression) }
    }

    /// Whether an entry with a key and a value of so many bytes is written by itself. A key that is
    /// longer than the format allows counts as large too, and is refused there.
    pub(crate) fn is_large(key_len: usize, value_len: usize) -> bool {
        key_len > MAX_KEY || key_len.saturating_add(value_len) > LARGE_ABOVE
    }

    /// Adds an entry, if there is room.
    #[inline]
    pub(crate) fn push(&mut self, saved: &Saved<'_>) -> Pushed {
        if BlockBuilder::is_large(saved.key.len(), saved.value.len()) {
            return Pushed::Large;
        }
        let prefix = entry::head(saved, self.base_ms);
        let len = prefix.bytes().len() + saved.key.len() + saved.value.len();
        if self.bytes.len() + len > BLOCK_HEAD_BYTES + BLOCK_BYTES {
            return Pushed::Full;
        }
        self.bytes.extend_from_slice(prefix.bytes());
        self.bytes.extend_from_slice(saved.key);
        self.bytes.extend_from_slice(saved.value);
        self.entries += 1;
        Pushed::Added
    }

    /// Whether nothing was pushed since the block was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Entries in the block.
    pub(crate) fn entries(&self) -> u32 {
        self.entries
    }

    /// Forgets what was pushed.
    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(BLOCK_HEAD_BYTES);
        self.entries = 0;
    }

    /// Bytes of the entries before compression.
    pub(super) fn raw(&self) -> usize {
        self.bytes.len() - BLOCK_HEAD_BYTES
    }

    /// The payload as it goes to the file, behind room for the head of the block.
    ///
    /// # Errors
    /// What the compressor says if it cannot work at all.
    pub(super) fn pack(&mut self) -> std::io::Result<(Compression, &mut [u8])> {
        match self.packing.pack(&self.bytes[BLOCK_HEAD_BYTES..])? {
            Some(packed) => Ok(packed),
            None => Ok((Compression::None, &mut self.bytes)),
        }
    }
}

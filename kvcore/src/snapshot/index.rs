//! The index of a snapshot: where its blocks are.
//!
//! Owns: the lines of the index, and what must hold between them. Invariant: an index that passes
//! [`Index::check`] names every byte between the head and itself exactly once, and neither its lines
//! nor its sums claim more than blocks of these lengths can hold. So a reader may go by it.

use super::SnapshotSummary;
use super::compress::is_plausible;
use super::entry::MIN_ENTRY;
use super::format::{
    BLOCK_HEAD_BYTES, BlockHead, Damage, FOOTER_BYTES, Footer, HEAD_BYTES, Kind, MAX_RAW, put,
    u32_at, u64_at,
};

/// Bytes of a line.
pub(super) const LINE_BYTES: usize = 28;

const STORED_AT: usize = 8;
const RAW_AT: usize = 12;
const ENTRIES_AT: usize = 16;
const CRC_AT: usize = 20;
const KIND_AT: usize = 24;
const ZEROS_AT: usize = 25;

/// What the index says of one block. The pieces of a large entry follow its line in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// Where the block begins.
    pub(super) offset: u64,
    /// Bytes of its payload in the file.
    pub(super) stored: u32,
    /// Bytes of its payload before compression.
    pub(super) raw: u32,
    /// Entries that begin in it.
    pub(super) entries: u32,
    /// The checksum of its head, which covers that of the payload.
    pub(super) crc: u32,
    /// What it holds.
    pub(super) kind: Kind,
}

impl Line {
    /// The line for a block that was written.
    pub(super) fn of(offset: u64, head: &BlockHead, crc: u32) -> Line {
        let BlockHead { kind, raw, stored, entries, .. } = *head;
        Line { offset, stored, raw, entries, crc, kind }
    }

    /// Bytes of the block in the file, its head included.
    pub(super) fn bytes(&self) -> u64 {
        BLOCK_HEAD_BYTES as u64 + u64::from(self.stored)
    }

    /// The bytes of the line.
    pub(super) fn encode(&self) -> [u8; LINE_BYTES] {
        let mut bytes = [0; LINE_BYTES];
        put(&mut bytes, 0, &self.offset.to_le_bytes());
        put(&mut bytes, STORED_AT, &self.stored.to_le_bytes());
        put(&mut bytes, RAW_AT, &self.raw.to_le_bytes());
        put(&mut bytes, ENTRIES_AT, &self.entries.to_le_bytes());
        put(&mut bytes, CRC_AT, &self.crc.to_le_bytes());
        bytes[KIND_AT] = self.kind.number();
        bytes
    }

    /// The line in these bytes, which are as many as a line has.
    fn decode(bytes: &[u8]) -> Result<Line, &'static str> {
        let Some(kind) = Kind::from_number(bytes[KIND_AT]) else {
            return Err("the index names a kind of block that does not exist");
        };
        if bytes[ZEROS_AT..LINE_BYTES] != [0; LINE_BYTES - ZEROS_AT] {
            return Err("the index has bytes where there should be zeros");
        }
        Ok(Line {
            offset: u64_at(bytes, 0),
            stored: u32_at(bytes, STORED_AT),
            raw: u32_at(bytes, RAW_AT),
            entries: u32_at(bytes, ENTRIES_AT),
            crc: u32_at(bytes, CRC_AT),
            kind,
        })
    }

    /// Whether a block can be like this.
    fn check(&self) -> Result<(), &'static str> {
        if self.raw == 0 || self.raw > MAX_RAW {
            return Err("the index names a block of an impossible length");
        }
        if self.stored > self.raw || !is_plausible(self.raw.into(), self.stored.into()) {
            return Err("the index names a block that is packed impossibly well or badly");
        }
        let possible = match self.kind {
            Kind::Entries => (1..=self.raw / MIN_ENTRY).contains(&self.entries),
            Kind::Large => self.entries == 1,
            Kind::Piece => self.entries == 0,
        };
        if !possible {
            return Err("the index names a block with an impossible number of entries");
        }
        Ok(())
    }
}

/// A part of a snapshot that is read at once: a block, or a large entry with all of its pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockRef {
    /// Where it begins in the file.
    pub(crate) offset: u64,
    /// Bytes that it takes in the file. Pieces of a large entry need not follow one another.
    pub(crate) bytes: u64,
    /// Entries in it.
    pub(crate) entries: u32,
    /// Its lines in the index.
    pub(super) first: usize,
    pub(super) lines: usize,
}

/// A whole index that has been checked.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) lines: Vec<Line>,
    pub(super) blocks: Vec<BlockRef>,
}

impl Index {
    /// Adds the next lines, which begin at `offset` of the file.
    ///
    /// # Errors
    /// The first line that no index can have. So memory is only taken for lines that may be true.
    pub(super) fn add(&mut self, bytes: &[u8], mut offset: u64) -> Result<(), Damage> {
        for line in bytes.chunks_exact(LINE_BYTES) {
            self.add_line(line).map_err(|what| Damage { offset, what })?;
            offset += LINE_BYTES as u64;
        }
        Ok(())
    }

    fn add_line(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        let line = Line::decode(bytes)?;
        line.check()?;
        let first = self.lines.len();
        match (line.kind, self.blocks.last_mut()) {
            (Kind::Piece, Some(block)) if self.lines[block.first].kind == Kind::Large => {
                block.bytes += line.bytes();
                block.lines += 1;
            }
            (Kind::Piece, _) => return Err("the index names a piece of nothing"),
            _ => self.blocks.push(BlockRef {
                offset: line.offset,
                bytes: line.bytes(),
                entries: line.entries,
                first,
                lines: 1,
            }),
        }
        self.lines.push(line);
        Ok(())
    }

    /// Checks what must hold between all lines and the footer at `footer_at`, and says how much
    /// there is.
    ///
    /// # Errors
    /// The first thing that does not.
    pub(super) fn check(&self, footer: &Footer, footer_at: u64) -> Result<SnapshotSummary, Damage> {
        let wrong = |what| Damage { offset: footer.index_at, what };
        check_places(&self.lines, footer.index_at).map_err(wrong)?;
        let sum = |of: fn(&Line) -> u32| self.lines.iter().map(|line| u64::from(of(line))).sum();
        let summary = SnapshotSummary {
            entries: sum(|line| line.entries),
            blocks: self.blocks.len() as u64,
            raw_bytes: sum(|line| line.raw),
            bytes: footer_at + FOOTER_BYTES as u64,
        };
        if summary.entries != footer.entries || summary.raw_bytes != footer.raw_bytes {
            return Err(Damage { offset: footer_at, what: "the sums are not those of the index" });
        }
        Ok(summary)
    }
}

/// Whether the blocks take every byte between the head and the index, none of them twice.
fn check_places(lines: &[Line], index_at: u64) -> Result<(), &'static str> {
    let mut places: Vec<(u64, u64)> =
        lines.iter().map(|line| (line.offset, line.bytes())).collect();
    places.sort_unstable();
    let mut end = HEAD_BYTES as u64;
    for (offset, bytes) in places {
        if offset != end {
            return Err("the blocks that the index names overlap or leave a gap");
        }
        // The sum of lengths of 32 bits, as many as fit a file, does not overflow.
        end = end.saturating_add(bytes);
    }
    if end == index_at { Ok(()) } else { Err("the blocks do not end where the index begins") }
}

//! The frames of a snapshot file, as pure bytes: head, heads of blocks, footer.
//!
//! Owns: their layout, which docs/format.md maps. Invariants: whatever bytes it is given, nothing
//! here panics, and a frame comes out of `decode` only if its checksum is right. All checksums but
//! the head's start from the head's checksum and the frame's offset, so that bytes of another file,
//! or from another place of the same one, never pass.

use super::compress::Compression;
use crate::record::NUMBER_MAX;

/// Bytes of the head, in every version of the format.
pub(super) const HEAD_BYTES: usize = 128;
/// Bytes before the payload of a block.
pub(super) const BLOCK_HEAD_BYTES: usize = 40;
/// Bytes of the footer.
pub(super) const FOOTER_BYTES: usize = 64;

/// The version of the format that is written, and the only one that is read.
pub(super) const FORMAT: u32 = 1;

/// The most bytes that a block may have before compression.
pub(super) const MAX_RAW: u32 = 1 << 20;

/// The most bytes before compression for one byte in the file, heads included. LZ4 stays below 256;
/// a block that another method packs better than this is packed by LZ4.
pub(super) const MAX_RATIO: u64 = 1024;

/// The longest name of an eviction policy in bytes.
pub(super) const MAX_EVICTION: usize = 32;

const MAGIC: [u8; 8] = *b"libkvsnp";
const BLOCK_MAGIC: [u8; 4] = *b"kvBk";
const END_MAGIC: [u8; 8] = *b"kvsn-end";
const HAS_LOG: u32 = 1;

const FORMAT_AT: usize = 8;
const FLAGS_AT: usize = 12;
const STORE_AT: usize = 16;
const LSN_AT: usize = 32;
const SEGMENT_AT: usize = 40;
const REVISION_AT: usize = 48;
const TIME_AT: usize = 56;
const EVICTION_LEN_AT: usize = 64;
const EVICTION_AT: usize = 65;
const HEAD_CRC_AT: usize = HEAD_BYTES - 4;

/// What is wrong with some bytes, and where in the file they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    /// Offset in the file, in bytes.
    pub(super) offset: u64,
    /// In a few words.
    pub(super) what: &'static str,
}

/// What a snapshot says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotHead {
    /// The store whose state this is.
    pub(crate) store_id: [u8; 16],
    /// The state is that after the record with this number.
    pub(crate) lsn: u64,
    /// The segment of the log that holds, or will hold, the record after that.
    pub(crate) segment: u64,
    /// The last revision that was given out.
    pub(crate) revision: u64,
    /// When the state was taken, in Unix milliseconds.
    pub(crate) time_ms: i64,
    /// The eviction policy whose access bits and tags the entries have. At most 32 bytes.
    pub(crate) eviction: String,
    /// Whether the store keeps a log, so that what came after is there.
    pub(crate) has_log: bool,
}

/// Why a head cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHead {
    /// The bytes are not what was written.
    Damaged(Damage),
    /// The bytes are sound and of another version of the format.
    Format(u32),
}

impl SnapshotHead {
    /// The bytes of the head. A name that is too long is cut; the writer refuses it before.
    pub(super) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, FORMAT_AT, &FORMAT.to_le_bytes());
        let flags = if self.has_log { HAS_LOG } else { 0 };
        put(&mut bytes, FLAGS_AT, &flags.to_le_bytes());
        put(&mut bytes, STORE_AT, &self.store_id);
        put(&mut bytes, LSN_AT, &self.lsn.to_le_bytes());
        put(&mut bytes, SEGMENT_AT, &self.segment.to_le_bytes());
        put(&mut bytes, REVISION_AT, &self.revision.to_le_bytes());
        put(&mut bytes, TIME_AT, &self.time_ms.to_le_bytes());
        let name = self.eviction.as_bytes();
        let name = &name[..name.len().min(MAX_EVICTION)];
        bytes[EVICTION_LEN_AT] = name.len() as u8;
        put(&mut bytes, EVICTION_AT, name);
        let crc = crc32c::crc32c(&bytes[..HEAD_CRC_AT]);
        put(&mut bytes, HEAD_CRC_AT, &crc.to_le_bytes());
        bytes
    }

    /// The head in these bytes, and the seed of all other checksums of its file.
    pub(super) fn decode(bytes: &[u8; HEAD_BYTES]) -> Result<(SnapshotHead, u32), BadHead> {
        let bad =
            |offset: usize, what| Err(BadHead::Damaged(Damage { offset: offset as u64, what }));
        if bytes[..MAGIC.len()] != MAGIC {
            return bad(0, "it does not begin like a snapshot");
        }
        let crc = u32_at(bytes, HEAD_CRC_AT);
        if crc32c::crc32c(&bytes[..HEAD_CRC_AT]) != crc {
            return bad(0, "the checksum of the head is wrong");
        }
        // Where the version and the checksum are is the same in all versions.
        let format = u32_at(bytes, FORMAT_AT);
        if format != FORMAT {
            return Err(BadHead::Format(format));
        }
        let flags = u32_at(bytes, FLAGS_AT);
        if flags & !HAS_LOG != 0 {
            return bad(FLAGS_AT, "the head has a flag that does not exist");
        }
        let numbers = [LSN_AT, SEGMENT_AT, REVISION_AT];
        if let Some(at) = numbers.into_iter().find(|&at| u64_at(bytes, at) > NUMBER_MAX) {
            return bad(at, "the head has a number that is too large");
        }
        let len = usize::from(bytes[EVICTION_LEN_AT]);
        if len > MAX_EVICTION {
            return bad(EVICTION_LEN_AT, "the name of the eviction policy is too long");
        }
        let (name, rest) = bytes[EVICTION_AT..HEAD_CRC_AT].split_at(len);
        if rest.iter().any(|&byte| byte != 0) {
            return bad(EVICTION_AT + len, "the head has bytes where there should be zeros");
        }
        let Ok(name) = std::str::from_utf8(name) else {
            return bad(EVICTION_AT, "the name of the eviction policy is not UTF-8");
        };
        let mut store_id = [0; 16];
        store_id.copy_from_slice(&bytes[STORE_AT..LSN_AT]);
        let head = SnapshotHead {
            store_id,
            lsn: u64_at(bytes, LSN_AT),
            segment: u64_at(bytes, SEGMENT_AT),
            revision: u64_at(bytes, REVISION_AT),
            time_ms: u64_at(bytes, TIME_AT) as i64,
            eviction: name.to_string(),
            has_log: flags & HAS_LOG != 0,
        };
        Ok((head, crc))
    }
}

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole entries, one after the other.
    Entries,
    /// One large entry without its value. The pieces of the value follow in the index.
    Large,
    /// A piece of the value of a large entry.
    Piece,
}

impl Kind {
    /// The number that stands for it in a file.
    pub(super) fn number(self) -> u8 {
        match self {
            Kind::Entries => 0,
            Kind::Large => 1,
            Kind::Piece => 2,
        }
    }

    /// What a number stands for.
    pub(super) fn from_number(number: u8) -> Option<Kind> {
        match number {
            0 => Some(Kind::Entries),
            1 => Some(Kind::Large),
            2 => Some(Kind::Piece),
            _ => None,
        }
    }
}

/// What stands before the payload of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHead {
    /// What it holds.
    pub(super) kind: Kind,
    /// How the payload is packed.
    pub(super) compression: Compression,
    /// Bytes of the payload before compression.
    pub(super) raw: u32,
    /// Bytes of the payload in the file.
    pub(super) stored: u32,
    /// Entries that begin in it.
    pub(super) entries: u32,
    /// Of a piece: which one of its value, from 0.
    pub(super) piece: u32,
    /// Of a piece: the offset of the block that its entry begins in.
    pub(super) owner: u64,
}

const KIND_AT: usize = 4;
const COMPRESSION_AT: usize = 5;
const RAW_AT: usize = 8;
const STORED_AT: usize = 12;
const ENTRIES_AT: usize = 16;
const PIECE_AT: usize = 20;
const OWNER_AT: usize = 24;
const PAYLOAD_CRC_AT: usize = 32;
const BLOCK_CRC_AT: usize = 36;

impl BlockHead {
    /// The bytes of the head of a block at `offset`. `payload` is what follows in the file, in parts.
    pub(super) fn encode(
        &self,
        seed: u32,
        offset: u64,
        payload: &[&[u8]],
    ) -> [u8; BLOCK_HEAD_BYTES] {
        let mut bytes = [0; BLOCK_HEAD_BYTES];
        put(&mut bytes, 0, &BLOCK_MAGIC);
        bytes[KIND_AT] = self.kind.number();
        bytes[COMPRESSION_AT] = self.compression.number();
        put(&mut bytes, RAW_AT, &self.raw.to_le_bytes());
        put(&mut bytes, STORED_AT, &self.stored.to_le_bytes());
        put(&mut bytes, ENTRIES_AT, &self.entries.to_le_bytes());
        put(&mut bytes, PIECE_AT, &self.piece.to_le_bytes());
        put(&mut bytes, OWNER_AT, &self.owner.to_le_bytes());
        let start = place_seed(seed, offset);
        let crc = payload.iter().fold(start, |crc, part| crc32c::crc32c_append(crc, part));
        put(&mut bytes, PAYLOAD_CRC_AT, &crc.to_le_bytes());
        let crc = crc32c::crc32c_append(start, &bytes[..BLOCK_CRC_AT]);
        put(&mut bytes, BLOCK_CRC_AT, &crc.to_le_bytes());
        bytes
    }

    /// The head of the block that these bytes at `offset` begin with; the payload is the rest of
    /// them, and its checksum is right too. `crc` is the head's checksum that the index knows.
    pub(super) fn decode(
        bytes: &[u8],
        seed: u32,
        offset: u64,
        crc: u32,
    ) -> Result<BlockHead, Damage> {
        let bad = |at: usize, what| Err(Damage { offset: offset + at as u64, what });
        let Some((head, payload)) = bytes.split_at_checked(BLOCK_HEAD_BYTES) else {
            return bad(0, "the head of a block is cut off");
        };
        if head[..BLOCK_MAGIC.len()] != BLOCK_MAGIC {
            return bad(0, "there is no block here");
        }
        let start = place_seed(seed, offset);
        let own = u32_at(head, BLOCK_CRC_AT);
        if crc32c::crc32c_append(start, &head[..BLOCK_CRC_AT]) != own || own != crc {
            return bad(0, "the checksum of the head of a block is wrong");
        }
        if crc32c::crc32c_append(start, payload) != u32_at(head, PAYLOAD_CRC_AT) {
            return bad(BLOCK_HEAD_BYTES, "the checksum of a block is wrong");
        }
        let Some(kind) = Kind::from_number(head[KIND_AT]) else {
            return bad(KIND_AT, "there is no such kind of block");
        };
        let Some(compression) = Compression::from_number(head[COMPRESSION_AT]) else {
            return bad(COMPRESSION_AT, "there is no such compression");
        };
        if head[COMPRESSION_AT + 1..RAW_AT] != [0, 0] {
            return bad(COMPRESSION_AT + 1, "a block has bytes where there should be zeros");
        }
        Ok(BlockHead {
            kind,
            compression,
            raw: u32_at(head, RAW_AT),
            stored: u32_at(head, STORED_AT),
            entries: u32_at(head, ENTRIES_AT),
            piece: u32_at(head, PIECE_AT),
            owner: u64_at(head, OWNER_AT),
        })
    }
}

/// The checksum that the bytes of the head of a block end with.
pub(super) fn block_crc(head: &[u8; BLOCK_HEAD_BYTES]) -> u32 {
    u32_at(head, BLOCK_CRC_AT)
}

/// What a snapshot ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    /// Where the index begins. It ends where the footer begins.
    pub(super) index_at: u64,
    /// Lines of the index.
    pub(super) lines: u64,
    /// Entries in the file.
    pub(super) entries: u64,
    /// Bytes of all payloads before compression.
    pub(super) raw_bytes: u64,
    /// Checksum of the index.
    pub(super) index_crc: u32,
}

const INDEX_AT: usize = 8;
const LINES_AT: usize = 16;
const TOTAL_AT: usize = 24;
const RAW_BYTES_AT: usize = 32;
const LEN_AT: usize = 40;
const INDEX_CRC_AT: usize = 48;
const FOOTER_ZEROS_AT: usize = 52;
const FOOTER_CRC_AT: usize = FOOTER_BYTES - 4;

impl Footer {
    /// The bytes of the footer that begins at `offset`.
    pub(super) fn encode(&self, seed: u32, offset: u64) -> [u8; FOOTER_BYTES] {
        let mut bytes = [0; FOOTER_BYTES];
        put(&mut bytes, 0, &END_MAGIC);
        put(&mut bytes, INDEX_AT, &self.index_at.to_le_bytes());
        put(&mut bytes, LINES_AT, &self.lines.to_le_bytes());
        put(&mut bytes, TOTAL_AT, &self.entries.to_le_bytes());
        put(&mut bytes, RAW_BYTES_AT, &self.raw_bytes.to_le_bytes());
        let len = offset.saturating_add(FOOTER_BYTES as u64);
        put(&mut bytes, LEN_AT, &len.to_le_bytes());
        put(&mut bytes, INDEX_CRC_AT, &self.index_crc.to_le_bytes());
        let crc = crc32c::crc32c_append(place_seed(seed, offset), &bytes[..FOOTER_CRC_AT]);
        put(&mut bytes, FOOTER_CRC_AT, &crc.to_le_bytes());
        bytes
    }

    /// The footer in these bytes, which end the file and begin at `offset`.
    pub(super) fn decode(
        bytes: &[u8; FOOTER_BYTES],
        seed: u32,
        offset: u64,
    ) -> Result<Footer, Damage> {
        let bad = |at: usize, what| Err(Damage { offset: offset + at as u64, what });
        if bytes[..END_MAGIC.len()] != END_MAGIC {
            return bad(
                0,
                "it does not end like a snapshot: its end is cut off, or something follows",
            );
        }
        let crc = crc32c::crc32c_append(place_seed(seed, offset), &bytes[..FOOTER_CRC_AT]);
        if crc != u32_at(bytes, FOOTER_CRC_AT) {
            return bad(0, "the checksum of the footer is wrong");
        }
        if u64_at(bytes, LEN_AT) != offset + FOOTER_BYTES as u64 {
            return bad(LEN_AT, "the file has another length than it says");
        }
        if bytes[FOOTER_ZEROS_AT..FOOTER_CRC_AT].iter().any(|&byte| byte != 0) {
            return bad(FOOTER_ZEROS_AT, "the footer has bytes where there should be zeros");
        }
        Ok(Footer {
            index_at: u64_at(bytes, INDEX_AT),
            lines: u64_at(bytes, LINES_AT),
            entries: u64_at(bytes, TOTAL_AT),
            raw_bytes: u64_at(bytes, RAW_BYTES_AT),
            index_crc: u32_at(bytes, INDEX_CRC_AT),
        })
    }
}

/// What the checksums of everything at one place of a file start from.
pub(super) fn place_seed(seed: u32, offset: u64) -> u32 {
    crc32c::crc32c_append(seed, &offset.to_le_bytes())
}

/// Copies bytes to a place where they fit.
pub(super) fn put(to: &mut [u8], at: usize, bytes: &[u8]) {
    to[at..at + bytes.len()].copy_from_slice(bytes);
}

/// The number at a place, which must be there.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// The number at a place, which must be there.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

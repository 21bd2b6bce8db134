//! Feeds any bytes to the reader, for fuzzers and for tests.

use std::path::Path;

use super::format::{BLOCK_HEAD_BYTES, FOOTER_BYTES, HEAD_BYTES, place_seed, put, u32_at, u64_at};
use super::index::LINE_BYTES;
use super::reader::SnapshotReader;
use super::{entry, verify};
use crate::error::Result;
use crate::io::Bytes;

/// Reads a snapshot that is in memory as far as it goes, and says how many entries it has. Reads it
/// again with all of its checksums mended, so that what comes after them is tried too, and takes the
/// bytes for entries as well. None of it may panic or take memory out of proportion.
///
/// # Errors
/// What reading the bytes as they are gives.
pub fn fuzz_read(bytes: &[u8]) -> Result<u64> {
    let mut rest = bytes;
    while entry::take(&mut rest, 0).is_some() {}
    let mut mended = bytes.to_vec();
    mend(&mut mended);
    let _ = read(mended);
    read(bytes.to_vec())
}

/// Reads all of a snapshot that is in memory, and says how many entries it has.
///
/// # Errors
/// `Corrupt`, `Unsupported`: what is wrong with it.
pub fn read(bytes: Vec<u8>) -> Result<u64> {
    let reader = SnapshotReader::from_file(Box::new(Bytes(bytes)), Path::new("memory"))?;
    verify::check(&reader).map(|summary| summary.entries)
}

/// Makes every checksum right that can be found.
pub(super) fn mend(bytes: &mut [u8]) {
    let len = bytes.len();
    if len < HEAD_BYTES + FOOTER_BYTES {
        return;
    }
    let seed = crc32c::crc32c(&bytes[..HEAD_BYTES - 4]);
    put(bytes, HEAD_BYTES - 4, &seed.to_le_bytes());
    let footer_at = len - FOOTER_BYTES;
    let index_at = usize::try_from(u64_at(bytes, footer_at + 8)).unwrap_or(usize::MAX);
    if index_at <= footer_at {
        for line in (index_at..footer_at).step_by(LINE_BYTES) {
            if line + LINE_BYTES <= footer_at {
                mend_block(bytes, line, index_at, seed);
            }
        }
        let start = place_seed(seed, index_at as u64);
        let crc = crc32c::crc32c_append(start, &bytes[index_at..footer_at]);
        put(bytes, footer_at + 48, &crc.to_le_bytes());
    }
    let start = place_seed(seed, footer_at as u64);
    let crc = crc32c::crc32c_append(start, &bytes[footer_at..len - 4]);
    put(bytes, len - 4, &crc.to_le_bytes());
}

/// Makes the checksums right of the block that a line of the index names.
fn mend_block(bytes: &mut [u8], line: usize, index_at: usize, seed: u32) {
    let offset = u64_at(bytes, line);
    let stored = u32_at(bytes, line + 8) as usize;
    let Some((at, end)) = usize::try_from(offset).ok().and_then(|at| {
        let end = at.checked_add(BLOCK_HEAD_BYTES)?.checked_add(stored)?;
        (end <= index_at).then_some((at, end))
    }) else {
        return;
    };
    let start = place_seed(seed, offset);
    let crc = crc32c::crc32c_append(start, &bytes[at + BLOCK_HEAD_BYTES..end]);
    put(bytes, at + 32, &crc.to_le_bytes());
    let crc = crc32c::crc32c_append(start, &bytes[at..at + 36]);
    put(bytes, at + 36, &crc.to_le_bytes());
    put(bytes, line + 20, &crc.to_le_bytes());
}

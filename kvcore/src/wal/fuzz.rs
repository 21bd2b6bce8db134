//! Feeds any bytes to the reader of segments, for fuzzers and for tests.

use std::path::Path;

use super::frame::{FRAME_BYTES, HEADER_BYTES, Seed};
use super::reader::{End, Group, Opened, SegmentReader, Step};
use crate::error::{Error, Result, Status};
use crate::io::Bytes;
use crate::record::Records;

/// Frames whose checksums are mended at most.
const MENDED: usize = 1 << 12;

/// What a reader made of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogSeen {
    /// How many records it holds.
    pub records: u64,
    /// The checksum of all records, with their numbers and times.
    pub digest: u32,
    /// Bytes behind the last record that a crash may have left.
    pub torn_bytes: u64,
    /// Whether it ends in a seal or a footer.
    pub is_ended: bool,
}

/// Reads a segment that is in memory, of the store and with the number that its header names.
///
/// # Errors
/// `Corrupt`, `Unsupported`: what is wrong with it.
pub fn read_log(bytes: &[u8]) -> Result<LogSeen> {
    let id: [u8; 16] = bytes.get(16..32).and_then(|id| id.try_into().ok()).unwrap_or_default();
    let number = bytes.get(32..40).and_then(|number| number.try_into().ok()).unwrap_or_default();
    let (file, number) = (Box::new(Bytes(bytes.to_vec())), u64::from_le_bytes(number));
    let mut seen = LogSeen::default();
    let mut reader = match SegmentReader::read(file, Path::new("memory"), &id, number, None)? {
        Opened::Used(reader) => reader,
        Opened::Unused { bytes } => return Ok(LogSeen { torn_bytes: bytes, ..seen }),
    };
    loop {
        match reader.next()? {
            Step::Group(group) => seen.take(group)?,
            Step::End(End::Damaged(error)) => return Err(error),
            Step::End(End::Torn { bytes, .. }) => {
                return Ok(LogSeen { torn_bytes: bytes, ..seen });
            }
            Step::End(End::Sealed { .. } | End::Closed { .. }) => {
                return Ok(LogSeen { is_ended: true, ..seen });
            }
            Step::End(End::Open { .. }) => return Ok(seen),
        }
    }
}

impl LogSeen {
    fn take(&mut self, group: Group<'_>) -> Result<()> {
        for record in Records::new(group.payload) {
            record.map_err(|malformed| Error::new(Status::Corrupt, malformed.what))?;
            self.records += 1;
        }
        for part in [&group.first_lsn.to_le_bytes()[..], &group.time_ms.to_le_bytes()] {
            self.digest = crc32c::crc32c_append(self.digest, part);
        }
        self.digest = crc32c::crc32c_append(self.digest, group.payload);
        Ok(())
    }
}

/// Reads bytes as a segment, once more with its checksums mended, so that what comes behind them is
/// tried too, and as records. None of it may panic or take memory out of proportion.
///
/// # Errors
/// What reading the bytes as they are gives.
pub fn fuzz_read(bytes: &[u8]) -> Result<LogSeen> {
    let _ = Records::new(bytes).filter(Result::is_ok).count();
    let mut mended = bytes.to_vec();
    mend(&mut mended);
    let _ = read_log(&mended);
    read_log(bytes)
}

/// Makes every checksum right that can be found.
fn mend(bytes: &mut [u8]) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    seal(&mut bytes[..HEADER_BYTES], 0);
    let id: [u8; 16] = bytes[16..32].try_into().unwrap_or_default();
    let seed = Seed::new(&id, number(bytes, 32));
    let mut at = HEADER_BYTES;
    for _ in 0..MENDED {
        let Some(payload) = at.checked_add(FRAME_BYTES).filter(|&end| end <= bytes.len()) else {
            return;
        };
        let end =
            usize::try_from(number(bytes, at + 8)).ok().and_then(|len| payload.checked_add(len));
        let end = end.filter(|&end| end <= bytes.len()).unwrap_or(payload);
        let checksum = seed.at(at as u64).payload(&bytes[payload..end]);
        // A seal and a footer have no payload, and nothing where a group has its checksum.
        if bytes[at..].starts_with(b"\xf7kvgroup") {
            bytes[at + 20..at + 24].copy_from_slice(&checksum.to_le_bytes());
        }
        let head = seed.at(at as u64).payload(&bytes[at..at + FRAME_BYTES - 4]);
        bytes[at + FRAME_BYTES - 4..at + FRAME_BYTES].copy_from_slice(&head.to_le_bytes());
        at = end;
    }
}

/// Puts a checksum behind all that comes before it.
fn seal(bytes: &mut [u8], start: u32) {
    let at = bytes.len() - 4;
    let checksum = crc32c::crc32c_append(start, &bytes[..at]);
    bytes[at..].copy_from_slice(&checksum.to_le_bytes());
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default())
}

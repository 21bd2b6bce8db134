//! The bytes of the two small files: `STORE` and `CLOSED`.
//!
//! Both are 128 bytes, little endian, with a checksum (CRC-32C of bytes 0 to 123) at 124. Every later
//! format keeps the magic, the format number at 8 and that checksum, so that a file of another version
//! is told from a damaged one. What this version would not have written is refused.
//!
//! `STORE`: 0 `libkvsto`, 8 format u32, 16 identity, 32 created i64 (unix ms), 40 segment u64, 48 one
//! more than the snapshot's LSN u64 (0: none), 56 revision ceiling u64, 64 edition u64.
//! `CLOSED`: 0 `libkvcls`, 8 format u32, 16 identity, 32 time i64 (unix ms), 40 segment u64, 48 end
//! u64, 56 last LSN u64, 64 revision u64, 72 edition u64 of the `STORE` it belongs to.

use std::path::Path;

use super::{CleanMark, Roll};
use crate::error::{Error, Result, Status};

/// Bytes of either file.
pub(super) const NOTE_BYTES: usize = 128;

const FORMAT: u32 = 1;
const STORE_MAGIC: [u8; 8] = *b"libkvsto";
const CLOSED_MAGIC: [u8; 8] = *b"libkvcls";
const CHECKSUM: usize = NOTE_BYTES - 4;

/// What `STORE` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The identity of the store, which is in every file of it.
    pub(crate) store_id: [u8; 16],
    /// When it was made, in Unix milliseconds.
    pub(super) created_at_ms: i64,
    /// What must be in the directory.
    pub(crate) roll: Roll,
    /// How often it was written again. Rises with every write.
    pub(crate) edition: u64,
}

impl Identity {
    pub(super) fn encode(&self) -> [u8; NOTE_BYTES] {
        let mut bytes = begin(STORE_MAGIC, self.store_id, self.created_at_ms);
        put(&mut bytes, 40, self.roll.segment);
        put(&mut bytes, 48, self.roll.snapshot.map_or(0, |lsn| lsn.saturating_add(1)));
        put(&mut bytes, 56, self.roll.revision_ceiling);
        put(&mut bytes, 64, self.edition);
        sum(bytes)
    }

    pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Identity> {
        let note = check(path, bytes, STORE_MAGIC)?;
        let identity = Identity {
            store_id: array(note, 16),
            created_at_ms: i64::from_le_bytes(array(note, 32)),
            roll: Roll {
                segment: get(note, 40),
                snapshot: get(note, 48).checked_sub(1),
                revision_ceiling: get(note, 56),
            },
            edition: get(note, 64),
        };
        exact(path, note, identity.encode()).map(|()| identity)
    }
}

impl CleanMark {
    /// The mark of a store with this identity, as of this edition of `STORE`.
    pub(super) fn encode(&self, store_id: [u8; 16], edition: u64) -> [u8; NOTE_BYTES] {
        let mut bytes = begin(CLOSED_MAGIC, store_id, self.time_ms);
        put(&mut bytes, 40, self.segment);
        put(&mut bytes, 48, self.end);
        put(&mut bytes, 56, self.last_lsn);
        put(&mut bytes, 64, self.revision);
        put(&mut bytes, 72, edition);
        sum(bytes)
    }

    /// A mark, and the edition of `STORE` that it belongs to.
    pub(super) fn decode(
        path: &Path,
        bytes: &[u8],
        store_id: [u8; 16],
    ) -> Result<(CleanMark, u64)> {
        let note = check(path, bytes, CLOSED_MAGIC)?;
        let mark = CleanMark {
            time_ms: i64::from_le_bytes(array(note, 32)),
            segment: get(note, 40),
            end: get(note, 48),
            last_lsn: get(note, 56),
            revision: get(note, 64),
        };
        let edition = get(note, 72);
        exact(path, note, mark.encode(store_id, edition)).map(|()| (mark, edition))
    }
}

fn begin(magic: [u8; 8], store_id: [u8; 16], time_ms: i64) -> [u8; NOTE_BYTES] {
    let mut bytes = [0; NOTE_BYTES];
    bytes[..8].copy_from_slice(&magic);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[16..32].copy_from_slice(&store_id);
    bytes[32..40].copy_from_slice(&time_ms.to_le_bytes());
    bytes
}

fn sum(mut bytes: [u8; NOTE_BYTES]) -> [u8; NOTE_BYTES] {
    let checksum = crc32c::crc32c(&bytes[..CHECKSUM]);
    bytes[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Checks the magic, the checksum and the format, in this order.
fn check<'a>(path: &Path, bytes: &'a [u8], magic: [u8; 8]) -> Result<&'a [u8; NOTE_BYTES]> {
    let Ok(note) = <&[u8; NOTE_BYTES]>::try_from(bytes) else {
        return Err(damaged(path, "it has the wrong length"));
    };
    if crc32c::crc32c(&note[..CHECKSUM]).to_le_bytes() != note[CHECKSUM..] {
        return Err(damaged(path, "its checksum is wrong"));
    }
    if note[..8] != magic {
        return Err(damaged(path, "it is another kind of file"));
    }
    let format = u32::from_le_bytes(array(note, 8));
    if format != FORMAT {
        let message = format!(
            "{}: its format is {format}, and this version reads {FORMAT}: use the version of libkv \
             that wrote it",
            path.display()
        );
        return Err(Error::new(Status::Unsupported, message));
    }
    Ok(note)
}

fn exact(path: &Path, note: &[u8; NOTE_BYTES], again: [u8; NOTE_BYTES]) -> Result<()> {
    if *note == again { Ok(()) } else { Err(damaged(path, "it is not of this store")) }
}

pub(super) fn damaged(path: &Path, what: &str) -> Error {
    let message = format!("{} is damaged at offset 0: {what}: run kv verify", path.display());
    Error::new(Status::Corrupt, message)
}

fn put(bytes: &mut [u8; NOTE_BYTES], at: usize, number: u64) {
    bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
}

fn get(bytes: &[u8; NOTE_BYTES], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

/// The field at an offset; all offsets are constants within the array.
fn array<const N: usize>(bytes: &[u8; NOTE_BYTES], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let roll = Roll { segment: 3, snapshot: Some(0), revision_ceiling: 9 };
        Identity { store_id: *b"0123456789abcdef", created_at_ms: -7, roll, edition: 6 }
    }

    #[test]
    fn every_flip_and_every_cut_is_refused() {
        let path = Path::new("STORE");
        let bytes = identity().encode();
        assert_eq!(Identity::decode(path, &bytes), Ok(identity()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = Identity::decode(path, &flipped).unwrap_err();
            assert_eq!(error.status(), Status::Corrupt, "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Identity::decode(path, &bytes[..len]).is_err());
        }
        let mark = CleanMark { segment: 1, end: 2, last_lsn: 3, revision: 4, time_ms: 5 };
        let bytes = mark.encode([7; 16], 6);
        assert_eq!(CleanMark::decode(path, &bytes, [7; 16]), Ok((mark, 6)));
        assert!(CleanMark::decode(path, &bytes, [8; 16]).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(CleanMark::decode(path, &flipped, [7; 16]).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn other_formats_are_named() {
        for format in [0u8, 2] {
            let mut bytes = identity().encode();
            bytes[8] = format;
            let error = Identity::decode(Path::new("STORE"), &sum(bytes)).unwrap_err();
            assert_eq!(error.status(), Status::Unsupported);
            assert!(error.message().contains(&format!("format is {format}")), "{error}");
        }
    }
}

//! The bytes of a log segment: its header, and the heads of the frames behind it.
//!
//! Owns: their encoding and strict decoding; both are pure. Invariants: what decodes has passed its
//! checksum, and encodes to the same bytes again; the checksum of a frame begins with the identity of
//! the store, the segment and the offset, so that the right bytes in the wrong place do not pass;
//! bytes that are all zero are no header and no frame. `docs/format.md` has the maps.

use crate::error::{Error, Result, Status};
use crate::planted::{Planted, is_planted};

/// Bytes of a segment's header.
pub(crate) const HEADER_BYTES: usize = 128;
/// Bytes of the head of a frame; a seal and a footer are no more than that.
pub(crate) const FRAME_BYTES: usize = 64;
/// Bytes at the end of a segment that are kept for its seal or footer.
pub(super) const SEAL_BYTES: u64 = FRAME_BYTES as u64;
/// The first byte of every frame, and of nothing else that is likely.
pub(super) const FRAME_MARK: u8 = 0xf7;

const SEGMENT_MAGIC: [u8; 8] = *b"libkvwal";
const FORMAT: u32 = 1;
const GROUP_MAGIC: [u8; 8] = *b"\xf7kvgroup";
const SEAL_MAGIC: [u8; 8] = *b"\xf7kv_seal";
const FOOTER_MAGIC: [u8; 8] = *b"\xf7kv__end";

/// What the header of a segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The store whose log this is.
    pub(crate) store_id: [u8; 16],
    /// The number of the segment, from 1.
    pub(crate) segment: u64,
    /// The LSN of the first record that this segment may hold.
    pub(crate) first_lsn: u64,
    /// The segment before this one, and the offset behind the last frame of the log in it.
    pub(crate) previous: Option<(u64, u64)>,
    /// No revision above this was given out when the header was written.
    pub(crate) revision_ceiling: u64,
    /// When the segment was begun, in Unix milliseconds.
    pub(crate) created_at_ms: i64,
    /// The length of the file in bytes, unless it ends in a footer.
    pub(crate) segment_bytes: u64,
}

impl SegmentHeader {
    /// The bytes of the header.
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let (previous, previous_end) = self.previous.unwrap_or((0, 0));
        let mut bytes = [0; HEADER_BYTES];
        put(&mut bytes, 0, SEGMENT_MAGIC);
        put(&mut bytes, 8, FORMAT.to_le_bytes());
        put(&mut bytes, 16, self.store_id);
        put(&mut bytes, 32, self.segment.to_le_bytes());
        put(&mut bytes, 40, self.first_lsn.to_le_bytes());
        put(&mut bytes, 48, previous.to_le_bytes());
        put(&mut bytes, 56, previous_end.to_le_bytes());
        put(&mut bytes, 64, self.revision_ceiling.to_le_bytes());
        put(&mut bytes, 72, self.created_at_ms.to_le_bytes());
        put(&mut bytes, 80, self.segment_bytes.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..124]);
        put(&mut bytes, 124, checksum.to_le_bytes());
        bytes
    }

    /// The header in these bytes; `None` if they are no header of any known format.
    ///
    /// # Errors
    /// `Unsupported` if they are one of another format.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Option<SegmentHeader>> {
        let checksum = crc32c::crc32c(&bytes[..124]);
        if get(bytes, 0) != SEGMENT_MAGIC || get(bytes, 124) != checksum.to_le_bytes() {
            return Ok(None);
        }
        let format = u32::from_le_bytes(get(bytes, 8));
        if format != FORMAT {
            let message = format!("its format is {format}, and this version reads {FORMAT}");
            return Err(Error::new(Status::Unsupported, message));
        }
        let number = |at| u64::from_le_bytes(get(bytes, at));
        let previous = (number(48), number(56));
        let header = SegmentHeader {
            store_id: get(bytes, 16),
            segment: number(32),
            first_lsn: number(40),
            previous: (previous.0 != 0).then_some(previous),
            revision_ceiling: number(64),
            created_at_ms: i64::from_le_bytes(get(bytes, 72)),
            segment_bytes: number(80),
        };
        // Whatever this version would not have written is not of this format.
        Ok((header.encode() == *bytes).then_some(header))
    }
}

/// What the checksums of one segment's frames begin with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed(u32);

impl Seed {
    /// The seed of a segment.
    pub(super) fn new(store_id: &[u8; 16], segment: u64) -> Self {
        Seed(crc32c::crc32c_append(crc32c::crc32c(store_id), &segment.to_le_bytes()))
    }

    /// What the checksums of the frame at an offset begin with.
    pub(super) fn at(self, offset: u64) -> Place {
        Place(crc32c::crc32c_append(self.0, &offset.to_le_bytes()))
    }
}

/// What the two checksums of one frame begin with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(u32);

impl Place {
    /// What the checksum of the rest of a payload begins with, behind a piece of it.
    pub(super) fn behind(self, piece: &[u8]) -> Place {
        Place(crc32c::crc32c_append(self.0, piece))
    }

    /// The checksum of the frame's payload.
    pub(super) fn payload(self, payload: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0, payload)
    }
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A payload of records follows, or none.
    Group {
        /// Bytes of the payload.
        bytes: u64,
        /// How many records those are.
        count: u32,
        /// The checksum of the payload.
        checksum: u32,
    },
    /// The log goes on in another segment.
    Seal {
        /// Its number.
        next: u64,
    },
    /// The log was closed.
    Footer,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// The LSN of its first record, or of the next record there will be.
    pub(super) lsn: u64,
    /// Unix milliseconds when it was written; everything due by then had expired.
    pub(super) time_ms: i64,
    /// No revision above this was given out when it was written.
    pub(super) revision_ceiling: u64,
    /// All records up to this LSN were known to be durable when it was written.
    pub(super) durable_lsn: u64,
}

impl Frame {
    /// The bytes of the frame's head, for a place.
    pub(super) fn encode(&self, place: Place) -> [u8; FRAME_BYTES] {
        let (magic, len_or_next, count, payload) = match self.kind {
            Kind::Group { bytes, count, checksum } => (GROUP_MAGIC, bytes, count, checksum),
            Kind::Seal { next } => (SEAL_MAGIC, next, 0, 0),
            Kind::Footer => (FOOTER_MAGIC, 0, 0, 0),
        };
        let mut bytes = [0; FRAME_BYTES];
        put(&mut bytes, 0, magic);
        put(&mut bytes, 8, len_or_next.to_le_bytes());
        put(&mut bytes, 16, count.to_le_bytes());
        put(&mut bytes, 20, payload.to_le_bytes());
        put(&mut bytes, 24, self.lsn.to_le_bytes());
        put(&mut bytes, 32, self.time_ms.to_le_bytes());
        put(&mut bytes, 40, self.revision_ceiling.to_le_bytes());
        put(&mut bytes, 48, self.durable_lsn.to_le_bytes());
        let checksum = crc32c::crc32c_append(place.0, &bytes[..60]);
        put(&mut bytes, 60, checksum.to_le_bytes());
        bytes
    }

    /// The frame's head in these bytes; `None` if they are none, or not one for that place.
    pub(super) fn decode(bytes: &[u8; FRAME_BYTES], seed: Seed, offset: u64) -> Option<Frame> {
        if bytes[0] != FRAME_MARK {
            return None;
        }
        let len_or_next = u64::from_le_bytes(get(bytes, 8));
        let kind = match get(bytes, 0) {
            GROUP_MAGIC => Kind::Group {
                bytes: len_or_next,
                count: u32::from_le_bytes(get(bytes, 16)),
                checksum: u32::from_le_bytes(get(bytes, 20)),
            },
            SEAL_MAGIC => Kind::Seal { next: len_or_next },
            FOOTER_MAGIC => Kind::Footer,
            _ => return None,
        };
        let frame = Frame {
            kind,
            lsn: u64::from_le_bytes(get(bytes, 24)),
            time_ms: i64::from_le_bytes(get(bytes, 32)),
            revision_ceiling: u64::from_le_bytes(get(bytes, 40)),
            durable_lsn: u64::from_le_bytes(get(bytes, 48)),
        };
        let is_right = frame.encode(seed.at(offset)) == *bytes;
        (is_right || is_planted(Planted::UncheckedHead)).then_some(frame)
    }
}

/// Writes a field. All offsets are constants within the array.
fn put<const N: usize>(bytes: &mut [u8], at: usize, field: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&field);
}

/// Reads a field. All offsets are constants within the array.
fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            store_id: *b"0123456789abcdef",
            segment: 7,
            first_lsn: 300,
            previous: Some((6, 4096)),
            revision_ceiling: 1 << 26,
            created_at_ms: -5,
            segment_bytes: 65536,
        }
    }

    fn frames() -> [Frame; 3] {
        let group = Kind::Group { bytes: 10, count: 2, checksum: 99 };
        [group, Kind::Seal { next: 8 }, Kind::Footer].map(|kind| Frame {
            kind,
            lsn: 300,
            time_ms: 1_700_000_000_000,
            revision_ceiling: 5,
            durable_lsn: 299,
        })
    }

    #[test]
    fn headers_come_back_and_every_flip_is_refused() {
        let bytes = header().encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(Some(header())));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), Ok(None), "bit {bit}");
        }
        assert_eq!(SegmentHeader::decode(&[0; HEADER_BYTES]), Ok(None));
        let first = SegmentHeader { previous: None, ..header() };
        assert_eq!(SegmentHeader::decode(&first.encode()), Ok(Some(first)));
    }

    fn resummed(mut bytes: [u8; HEADER_BYTES]) -> [u8; HEADER_BYTES] {
        let checksum = crc32c::crc32c(&bytes[..124]);
        put(&mut bytes, 124, checksum.to_le_bytes());
        bytes
    }

    #[test]
    fn other_formats_are_named_and_bytes_for_later_must_be_zero() {
        let mut bytes = header().encode();
        bytes[100] = 1;
        assert_eq!(SegmentHeader::decode(&resummed(bytes)), Ok(None));
        bytes[8] = 2;
        let error = SegmentHeader::decode(&resummed(bytes)).unwrap_err();
        assert_eq!(error.status(), Status::Unsupported);
    }

    #[test]
    fn frames_come_back_in_their_place_only() {
        let seed = Seed::new(b"0123456789abcdef", 7);
        for frame in frames() {
            let bytes = frame.encode(seed.at(128));
            assert_eq!(Frame::decode(&bytes, seed, 128), Some(frame));
            assert_eq!(Frame::decode(&bytes, seed, 129), None);
            assert_eq!(Frame::decode(&bytes, Seed::new(b"0123456789abcdef", 8), 128), None);
            assert_eq!(Frame::decode(&bytes, Seed::new(b"0123456789abcdeg", 7), 128), None);
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes;
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Frame::decode(&flipped, seed, 128), None, "bit {bit}");
            }
        }
        assert_eq!(Frame::decode(&[0; FRAME_BYTES], seed, 128), None);
    }

    #[test]
    fn the_layout_is_what_the_format_says() {
        let bytes = header().encode();
        assert_eq!(&bytes[..12], b"libkvwal\x01\0\0\0");
        assert_eq!(&bytes[16..32], b"0123456789abcdef");
        assert_eq!((bytes[32], bytes[40], bytes[41], bytes[48]), (7, 44, 1, 6));
        let bytes = frames()[0].encode(Seed::new(b"0123456789abcdef", 7).at(128));
        assert_eq!(&bytes[..8], b"\xf7kvgroup");
        assert_eq!((bytes[8], bytes[16], bytes[20], bytes[24]), (10, 2, 99, 44));
    }

    #[test]
    fn payloads_are_summed_with_their_place() {
        let seed = Seed::new(b"0123456789abcdef", 7);
        assert_ne!(seed.at(128).payload(b"payload"), seed.at(129).payload(b"payload"));
        assert_ne!(seed.at(128).payload(b"payload"), seed.at(128).payload(b"paYload"));
        assert_ne!(seed.at(128).payload(b""), 0);
    }
}

//! The bytes of what the log records: one change of one entry, or of all of them.
//!
//! Owns: the encoding of a [`Record`] and its strict decoding by [`Records`]. Both are pure.
//! Invariants: a record says what a change resulted in, never what was asked for, so applying it
//! twice is applying it once; every record has exactly one encoding, so bytes that decode encode to
//! themselves again; a length is compared with what is there before it is used, and nothing is
//! allocated.
//!
//! ```text
//! kind      1 byte   low four bits: 1 set, 2 delete, 3 touch, 4 clear; 0x10: a deadline follows;
//!                    0x20: a time of creation follows (set only); all other bits are zero
//! version   varint
//! deadline  varint, zigzag   if 0x10; Unix milliseconds, never that of "never"
//! created   varint, zigzag   if 0x20; Unix milliseconds
//! key       varint length, then so many bytes       set, delete, touch
//! value     varint length, then so many bytes       set
//! ```
//!
//! A varint is seven bits a byte, the lowest first, the high bit set in all bytes but the last, as
//! short as it can be.

use crate::entry::NEVER;
use crate::planted::{Planted, is_planted};
use crate::varint::{Short, VARINT_MAX, unzigzag, zigzag};

/// The highest number that a record, a segment or a revision in a file may have: sums with a few of them
/// stay within 64 bits, and no store lives long enough to come near.
pub(crate) const NUMBER_MAX: u64 = 1 << 63;

const SET: u8 = 1;
const DELETE: u8 = 2;
const TOUCH: u8 = 3;
const CLEAR: u8 = 4;
const KIND: u8 = 0x0f;
const HAS_DEADLINE: u8 = 0x10;
const HAS_CREATED: u8 = 0x20;

/// Bytes before a key at most: the kind, a version, two times and a length.
const HEAD_MAX: usize = 1 + 4 * VARINT_MAX;

/// One change, as it resulted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// The entry is this from now on.
    Set {
        /// The key.
        key: &'a [u8],
        /// The value in two parts. Decoding gives it in the first.
        value: [&'a [u8]; 2],
        /// Unix milliseconds from which the entry has expired, or `NEVER`.
        deadline: i64,
        /// The number of the change.
        version: u64,
        /// Unix milliseconds at which the entry was created, if that is kept.
        created_at_ms: Option<i64>,
    },
    /// The entry was deleted or evicted.
    Delete {
        /// The key.
        key: &'a [u8],
        /// The number of the change.
        version: u64,
    },
    /// The entry has another deadline, and is as it was otherwise.
    Touch {
        /// The key.
        key: &'a [u8],
        /// Unix milliseconds from which the entry has expired, or `NEVER`.
        deadline: i64,
        /// The number of the change.
        version: u64,
    },
    /// All entries are gone.
    Clear {
        /// The number of the change.
        version: u64,
    },
}

impl<'a> Record<'a> {
    /// The key that it concerns; none if it concerns all.
    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        match *self {
            Record::Set { key, .. } | Record::Delete { key, .. } | Record::Touch { key, .. } => {
                Some(key)
            }
            Record::Clear { .. } => None,
        }
    }

    /// The number of the change.
    pub(crate) fn version(&self) -> u64 {
        match *self {
            Record::Set { version, .. }
            | Record::Delete { version, .. }
            | Record::Touch { version, .. }
            | Record::Clear { version } => version,
        }
    }

    /// Appends the record's bytes.
    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        to.reserve(self.bytes_max());
        match *self {
            Record::Set { key, value, deadline, version, created_at_ms } => {
                put_head(to, SET, version, deadline, created_at_ms, Some(key));
                let mut len = Short::<VARINT_MAX>::new();
                len.varint((value[0].len() + value[1].len()) as u64);
                to.extend_from_slice(len.bytes());
                to.extend_from_slice(value[0]);
                to.extend_from_slice(value[1]);
            }
            Record::Delete { key, version } => {
                put_head(to, DELETE, version, NEVER, None, Some(key));
            }
            Record::Touch { key, deadline, version } => {
                put_head(to, TOUCH, version, deadline, None, Some(key));
            }
            Record::Clear { version } => put_head(to, CLEAR, version, NEVER, None, None),
        }
    }

    /// A bound on the bytes that `encode` appends.
    pub(crate) fn bytes_max(&self) -> usize {
        let (key, value) = match self {
            Record::Set { key, value, .. } => (key.len(), value[0].len() + value[1].len()),
            Record::Delete { key, .. } | Record::Touch { key, .. } => (key.len(), 0),
            Record::Clear { .. } => (0, 0),
        };
        // A set has the length of its value beside.
        HEAD_MAX + VARINT_MAX + key + value
    }
}

/// Appends what comes before the value.
#[inline]
fn put_head(
    to: &mut Vec<u8>,
    kind: u8,
    version: u64,
    deadline: i64,
    created: Option<i64>,
    key: Option<&[u8]>,
) {
    let deadline = (deadline != NEVER).then_some(deadline);
    let flag = |there: bool, bit: u8| if there { bit } else { 0 };
    let mut head = Short::<HEAD_MAX>::new();
    head.byte(kind | flag(deadline.is_some(), HAS_DEADLINE) | flag(created.is_some(), HAS_CREATED));
    head.varint(version);
    for time in [deadline, created].into_iter().flatten() {
        head.varint(zigzag(time));
    }
    let key = key.inspect(|key| head.varint(key.len() as u64));
    to.extend_from_slice(head.bytes());
    to.extend_from_slice(key.unwrap_or_default());
}

/// Bytes that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Where in the payload the record begins that cannot be read, in bytes.
    pub(crate) at: usize,
    /// What is wrong with it.
    pub(crate) what: &'static str,
}

/// Reads the records of a payload one after the other. The first that is malformed is the last item.
#[derive(Debug, Clone)]
pub(crate) struct Records<'a> {
    rest: &'a [u8],
    /// Offset of `rest` in the payload.
    at: usize,
}

impl<'a> Records<'a> {
    /// The records of these bytes.
    pub(crate) fn new(payload: &'a [u8]) -> Self {
        Records { rest: payload, at: 0 }
    }

    /// Where in the payload the next record begins, in bytes.
    pub(crate) fn at(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut cursor = Cursor(self.rest);
        let record = cursor.record().map_err(|what| Malformed { at: self.at, what });
        let rest = if record.is_ok() { cursor.0 } else { b"" };
        self.at += self.rest.len() - rest.len();
        self.rest = rest;
        Some(record)
    }
}

/// What has not been read of a payload.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn record(&mut self) -> Result<Record<'a>, &'static str> {
        let head = self.byte()?;
        let kind = head & KIND;
        let flags = head & !KIND;
        let allowed = match kind {
            SET => HAS_DEADLINE | HAS_CREATED,
            TOUCH => HAS_DEADLINE,
            DELETE | CLEAR => 0,
            _ => return Err("a record of an unknown kind"),
        };
        if flags & !allowed != 0 {
            return Err("a record with an unknown flag");
        }
        let version = self.varint()?;
        let deadline = match flags & HAS_DEADLINE {
            0 => NEVER,
            _ => unzigzag(self.varint()?),
        };
        if flags & HAS_DEADLINE != 0 && deadline == NEVER {
            return Err("a deadline that is none");
        }
        let created_at_ms = match flags & HAS_CREATED {
            0 => None,
            _ => Some(unzigzag(self.varint()?)),
        };
        Ok(match kind {
            CLEAR => Record::Clear { version },
            DELETE => Record::Delete { key: self.bytes()?, version },
            TOUCH => Record::Touch { key: self.bytes()?, deadline, version },
            _ => {
                let (key, value) = (self.bytes()?, self.bytes()?);
                Record::Set { key, value: [value, b""], deadline, version, created_at_ms }
            }
        })
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        let (&first, rest) = self.0.split_first().ok_or("a record that is cut short")?;
        self.0 = rest;
        Ok(first)
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err("a number of more than 64 bits");
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                let longer_than_needed = byte == 0 && shift != 0;
                return if longer_than_needed {
                    Err("a number with a needless byte")
                } else {
                    Ok(number)
                };
            }
        }
        Err("a number of more than 64 bits")
    }

    fn bytes(&mut self) -> Result<&'a [u8], &'static str> {
        let len = self.varint()?;
        if is_planted(Planted::UncheckedLength) {
            // Writing to it is what takes the memory.
            std::hint::black_box(vec![1_u8; (len as usize).min(256 << 20)]);
        }
        let len = usize::try_from(len).ok().filter(|&len| len <= self.0.len());
        let len = len.ok_or("a length beyond the end of the payload")?;
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(bytes)
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(records: &[Record<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for record in records {
            let before = bytes.len();
            record.encode(&mut bytes);
            assert!(bytes.len() - before <= record.bytes_max(), "{record:?}");
        }
        bytes
    }

    fn some() -> Vec<Record<'static>> {
        vec![
            Record::Set {
                key: b"key",
                value: [b"val", b"ue"],
                deadline: 1_700_000_000_000,
                version: 300,
                created_at_ms: Some(-1),
            },
            Record::Set {
                key: b"",
                value: [b"", b""],
                deadline: NEVER,
                version: 0,
                created_at_ms: None,
            },
            Record::Delete { key: b"gone", version: (1 << 48) - 1 },
            Record::Touch { key: b"key", deadline: i64::MIN, version: u64::MAX },
            Record::Touch { key: b"key", deadline: NEVER, version: 1 },
            Record::Clear { version: 127 },
            Record::Clear { version: 128 },
        ]
    }

    /// The record as decoding gives it, with its value joined.
    fn joined<'a>(record: &Record<'a>, space: &'a mut Vec<u8>) -> Record<'a> {
        match *record {
            Record::Set { key, value, deadline, version, created_at_ms } => {
                *space = value.concat();
                Record::Set { key, value: [space, b""], deadline, version, created_at_ms }
            }
            other => other,
        }
    }

    #[test]
    fn what_was_encoded_comes_back() {
        let records = some();
        let bytes = encoded(&records);
        let decoded: Vec<_> = Records::new(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(decoded.len(), records.len());
        for (record, decoded) in records.iter().zip(&decoded) {
            let mut space = Vec::new();
            assert_eq!(joined(record, &mut space), *decoded);
        }
        assert!(Records::new(b"").next().is_none());
    }

    #[test]
    fn the_encoding_is_what_the_format_says() {
        let set = Record::Set {
            key: b"k",
            value: [b"v", b"w"],
            deadline: 64,
            version: 128,
            created_at_ms: Some(-1),
        };
        assert_eq!(encoded(&[set]), [0x31, 0x80, 1, 0x80, 1, 1, 1, b'k', 2, b'v', b'w']);
        assert_eq!(encoded(&[Record::Delete { key: b"k", version: 5 }]), [2, 5, 1, b'k']);
        assert_eq!(
            encoded(&[Record::Touch { key: b"k", deadline: 0, version: 5 }]),
            [0x13, 5, 0, 1, b'k']
        );
        assert_eq!(encoded(&[Record::Clear { version: 5 }]), [4, 5]);
    }

    #[test]
    fn a_payload_cut_anywhere_else_than_between_records_is_malformed() {
        let records = some();
        let bytes = encoded(&records);
        let mut borders = vec![0];
        for record in &records {
            borders.push(borders.last().unwrap() + encoded(&[*record]).len());
        }
        for len in 0..bytes.len() {
            let decoded: Vec<_> = Records::new(&bytes[..len]).collect();
            let whole = borders.iter().filter(|&&border| border <= len).count() - 1;
            assert_eq!(decoded.iter().filter(|record| record.is_ok()).count(), whole);
            assert_eq!(decoded.iter().all(Result::is_ok), borders.contains(&len), "{len}");
            if let Some(Err(malformed)) = decoded.last() {
                assert_eq!(malformed.at, borders[whole]);
            }
        }
    }

    #[test]
    fn there_is_one_encoding_only() {
        let bad: [&[u8]; 13] = [
            &[0],
            &[5, 1],
            &[0x0f, 1],
            &[0x41, 1, 0, 0],
            &[0x81, 1, 0, 0],
            &[0x12, 1, 2, 0],
            &[0x23, 1, 2, 0],
            &[0x14, 1, 2],
            &[4, 0x80, 0],
            &[4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
            &[4, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
            &[2, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            &[0x13, 1, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0],
        ];
        for bytes in bad {
            let decoded: Vec<_> = Records::new(bytes).collect();
            assert_eq!(decoded.len(), 1, "{bytes:?}");
            assert!(decoded[0].is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_encode_to_themselves(bytes: Vec<u8>) {
            let mut again = Vec::new();
            for record in Records::new(&bytes) {
                match record {
                    Ok(record) => record.encode(&mut again),
                    Err(malformed) => {
                        prop_assert_eq!(malformed.at, again.len());
                        break;
                    }
                }
            }
            prop_assert_eq!(&bytes[..again.len()], &again[..]);
        }

        #[test]
        fn any_record_comes_back(key: Vec<u8>, value: Vec<u8>, cut: usize, deadline: i64,
            version: u64, created_at_ms: Option<i64>) {
            let (first, second) = value.split_at(cut % (value.len() + 1));
            let record = Record::Set { key: &key, value: [first, second], deadline, version, created_at_ms };
            let bytes = encoded(&[record]);
            let decoded: Vec<_> = Records::new(&bytes).collect::<Result<_, _>>().unwrap();
            let mut space = Vec::new();
            prop_assert_eq!(decoded, vec![joined(&record, &mut space)]);
        }
    }
}

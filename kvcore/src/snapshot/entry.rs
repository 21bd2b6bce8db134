//! The bytes of one entry in a snapshot.
//!
//! Owns: the encoding. An entry is
//!
//! ```text
//! flags u8 | key length | value length | version | [deadline] | [created at] | [hits u8] | [access u8] | [tag u8] | key | value
//! ```
//!
//! where lengths, version and times are varints (LEB128), times as their zigzag distance from the time of the
//! snapshot, and the parts in brackets are there if a bit of the flags says so. Invariant: whatever
//! bytes it is given, `take` neither panics nor allocates, and what it returns borrows from them.

use crate::entry::NEVER;
use crate::varint::{Short, VARINT_MAX, unzigzag, zigzag};

const TIMED: u8 = 1;
const CREATED: u8 = 1 << 1;
const HITS: u8 = 1 << 2;
const ACCESS: u8 = 1 << 3;
const TAG: u8 = 1 << 4;
const KNOWN: u8 = TIMED | CREATED | HITS | ACCESS | TAG;

/// The most bytes before the key.
pub(super) const MAX_HEAD: usize = 1 + 5 * VARINT_MAX + 3;
/// The fewest bytes of an entry: flags, two lengths and a version.
pub(super) const MIN_ENTRY: u32 = 4;

/// The longest key in bytes.
pub(super) const MAX_KEY: usize = u16::MAX as usize;
/// The longest value in bytes.
pub(super) const MAX_VALUE: u64 = u32::MAX as u64;

/// An entry as a snapshot keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved<'a> {
    /// The key, at most 65,535 bytes.
    pub(crate) key: &'a [u8],
    /// The value, at most 4 GiB - 1.
    pub(crate) value: &'a [u8],
    /// When it expires in Unix milliseconds; [`NEVER`] if it does not.
    pub(crate) deadline: i64,
    /// The revision of its last change.
    pub(crate) version: u64,
    /// When it was made in Unix milliseconds, in stores that keep that.
    pub(crate) created_at_ms: Option<i64>,
    /// Steps of its hit counter, in stores that keep one.
    pub(crate) hits: u8,
    /// What the eviction policy knows of its use.
    pub(crate) access: u8,
    /// What the eviction policy noted with it.
    pub(crate) tag: u8,
}

impl<'a> Saved<'a> {
    /// An entry as the log has it, which knows nothing of its use.
    pub(crate) fn unused(
        key: &'a [u8],
        value: &'a [u8],
        deadline: i64,
        version: u64,
        created_at_ms: Option<i64>,
    ) -> Saved<'a> {
        Saved { key, value, deadline, version, created_at_ms, hits: 0, access: 0, tag: 0 }
    }
}

/// What stands before the key of an entry. Times are told from `base_ms`.
#[inline]
pub(super) fn head(saved: &Saved<'_>, base_ms: i64) -> Short<MAX_HEAD> {
    let mut head = Short::new();
    let mut flags = 0;
    head.byte(flags);
    head.varint(saved.key.len() as u64);
    head.varint(saved.value.len() as u64);
    head.varint(saved.version);
    if saved.deadline != NEVER {
        flags |= TIMED;
        head.varint(zigzag(saved.deadline.wrapping_sub(base_ms)));
    }
    if let Some(created_at_ms) = saved.created_at_ms {
        flags |= CREATED;
        head.varint(zigzag(created_at_ms.wrapping_sub(base_ms)));
    }
    for (flag, byte) in [(HITS, saved.hits), (ACCESS, saved.access), (TAG, saved.tag)] {
        if byte != 0 {
            flags |= flag;
            head.byte(byte);
        }
    }
    head.set_first(flags);
    head
}

/// Takes a whole entry from the front of the bytes. `None` if there is none.
#[inline]
pub(super) fn take<'a>(bytes: &mut &'a [u8], base_ms: i64) -> Option<Saved<'a>> {
    let (mut saved, value_len) = take_head(bytes, base_ms)?;
    let (value, rest) = bytes.split_at_checked(usize::try_from(value_len).ok()?)?;
    saved.value = value;
    *bytes = rest;
    Some(saved)
}

/// Takes an entry but for its value, and the length of the value in bytes.
#[inline]
pub(super) fn take_head<'a>(bytes: &mut &'a [u8], base_ms: i64) -> Option<(Saved<'a>, u64)> {
    let mut from = *bytes;
    let flags = take_byte(&mut from)?;
    if flags & !KNOWN != 0 {
        return None;
    }
    let key_len = usize::try_from(take_varint(&mut from)?).ok().filter(|&len| len <= MAX_KEY)?;
    let value_len = take_varint(&mut from).filter(|&len| len <= MAX_VALUE)?;
    let mut saved = Saved {
        key: &[],
        value: &[],
        deadline: NEVER,
        version: take_varint(&mut from)?,
        created_at_ms: None,
        hits: 0,
        access: 0,
        tag: 0,
    };
    if flags & TIMED != 0 {
        saved.deadline = take_time(&mut from, base_ms)?;
    }
    if flags & CREATED != 0 {
        saved.created_at_ms = Some(take_time(&mut from, base_ms)?);
    }
    if flags & HITS != 0 {
        saved.hits = take_byte(&mut from)?;
    }
    if flags & ACCESS != 0 {
        saved.access = take_byte(&mut from)?;
    }
    if flags & TAG != 0 {
        saved.tag = take_byte(&mut from)?;
    }
    let (key, rest) = from.split_at_checked(key_len)?;
    saved.key = key;
    *bytes = rest;
    Some((saved, value_len))
}

#[inline]
fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(first)
}

#[inline]
fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        *bytes = rest;
        return Some(first.into());
    }
    take_long_varint(bytes)
}

/// A varint that does not fit a byte. One that does not fit 64 bits is none.
fn take_long_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (n, &byte) in bytes.iter().enumerate().take(VARINT_MAX) {
        if n == VARINT_MAX - 1 && byte > 1 {
            return None;
        }
        number |= u64::from(byte & 0x7f) << (7 * n);
        if byte < 0x80 {
            *bytes = &bytes[n + 1..];
            return Some(number);
        }
    }
    None
}

#[inline]
fn take_time(bytes: &mut &[u8], base_ms: i64) -> Option<i64> {
    Some(unzigzag(take_varint(bytes)?).wrapping_add(base_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_entry_costs_about_eight_bytes() {
        let saved = Saved {
            key: b"key",
            value: b"value",
            deadline: NEVER,
            version: 10_000_000,
            created_at_ms: None,
            hits: 0,
            access: 3,
            tag: 0,
        };
        assert_eq!(head(&saved, 1_700_000_000_000).bytes().len(), 8);
        let timed = Saved { deadline: 1_700_003_600_000, ..saved };
        assert_eq!(head(&timed, 1_700_000_000_000).bytes().len(), 12);
    }

    #[test]
    fn the_extremes_round_trip() {
        for number in [0, 1, 127, 128, u64::MAX - 1, u64::MAX] {
            for base in [0, i64::MIN, i64::MAX, 1_700_000_000_000] {
                let saved = Saved {
                    key: b"",
                    value: b"",
                    deadline: number as i64 ^ i64::MIN,
                    version: number,
                    created_at_ms: Some(number as i64),
                    hits: 255,
                    access: 255,
                    tag: 255,
                };
                let prefix = head(&saved, base);
                let mut bytes = prefix.bytes();
                assert_eq!(take(&mut bytes, base), Some(saved));
                assert!(bytes.is_empty());
                for len in 0..prefix.bytes().len() {
                    assert_eq!(take(&mut &prefix.bytes()[..len], base), None);
                }
            }
        }
    }

    #[test]
    fn what_no_writer_writes_is_refused() {
        let cases: [&[u8]; 5] = [
            &[32, 0, 0, 0],                                                      // unknown flag
            &[0, 0x80, 0x80, 4, 0, 0],                                           // a key of 64 KiB
            &[0, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 0],                            // a value of 4 GiB
            &[0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], // 65 bits
            &[0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
        ];
        for bytes in cases {
            let mut long = bytes.to_vec();
            long.resize(70_000, 1);
            assert_eq!(take(&mut &long[..], 0), None, "{bytes:?}");
        }
    }
}

//! The bytes of one entry: its metadata, its key and its value.
//!
//! Owns: the layout. An entry is one run of bytes,
//!
//! ```text
//! flags u8 | key length u16 | version u64 | deadline i64, if timed | key | value
//! ```
//!
//! little endian, so a lookup that found the entry reads its key, deadline and value from
//! neighbouring cache lines. A large value lives on its own behind a reference count instead, so
//! that handing it out copies nothing. Invariants: the length of an entry's run never changes, only
//! its contents do; every allocation sized by a caller can fail without a panic.

use std::sync::Arc;

use crate::budget::allocation;
use crate::error::{Error, Result, Status};
use crate::value::LargeValue;

/// From this length on a value lives on its own.
pub(crate) const LARGE_VALUE_BYTES: usize = 16 * 1024;

/// A deadline that never comes.
pub(crate) const NEVER: i64 = i64::MAX;

const KEY_LEN_AT: usize = 1;
const VERSION_AT: usize = 3;
const DEADLINE_AT: usize = 11;
const DEADLINE_BYTES: usize = 8;
const TIMED: u8 = 1;

/// One entry.
pub(crate) enum Entry {
    /// Head, key and value in one run.
    Inline(Box<[u8]>),
    /// Head and key in one run, and the value elsewhere.
    Large(Box<LargeEntry>),
}

/// An entry whose value is shared with whoever reads it.
pub(crate) struct LargeEntry {
    run: Box<[u8]>,
    value: Arc<LargeValue>,
}

/// What an entry is made of. The value comes in parts, so that an append joins nothing beforehand.
#[derive(Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: [&'a [u8]; 2],
    pub(crate) version: u64,
    /// `None` is without room for a deadline; `Some(NEVER)` is with room for a later one.
    pub(crate) deadline: Option<i64>,
    /// Room to leave behind the value, if it is large, so that appends need not copy it each time.
    pub(crate) spare: usize,
}

impl Content<'_> {
    pub(crate) fn value_len(&self) -> usize {
        self.value[0].len() + self.value[1].len()
    }

    #[inline]
    fn head_len(&self) -> usize {
        if self.deadline.is_some() { DEADLINE_AT + DEADLINE_BYTES } else { DEADLINE_AT }
    }

    #[inline]
    fn is_large(&self) -> bool {
        self.value_len() >= LARGE_VALUE_BYTES
    }

    #[inline]
    fn run_len(&self) -> usize {
        let value = if self.is_large() { 0 } else { self.value_len() };
        self.head_len() + self.key.len() + value
    }

    /// Bytes that an entry of this content is charged.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        let run = allocation(self.run_len());
        if !self.is_large() {
            return run;
        }
        let value = LargeValue::bytes_for(self.value_len() + self.spare);
        run + allocation(size_of::<LargeEntry>()) + value
    }

    #[inline]
    fn write_head(&self, run: &mut [u8]) {
        run[0] = if self.deadline.is_some() { TIMED } else { 0 };
        run[KEY_LEN_AT..VERSION_AT].copy_from_slice(&(self.key.len() as u16).to_le_bytes());
        run[VERSION_AT..DEADLINE_AT].copy_from_slice(&self.version.to_le_bytes());
        if let Some(deadline) = self.deadline {
            run[DEADLINE_AT..DEADLINE_AT + DEADLINE_BYTES].copy_from_slice(&deadline.to_le_bytes());
        }
    }
}

impl Entry {
    /// The empty place of a slab: holds no memory and is never read as an entry.
    pub(crate) fn vacant() -> Entry {
        Entry::Inline(Box::default())
    }

    /// Builds an entry.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(crate) fn new(content: &Content<'_>) -> Result<Entry> {
        let mut run = with_capacity(content.run_len())?;
        run.resize(content.head_len(), 0);
        content.write_head(&mut run);
        run.extend_from_slice(content.key);
        if content.is_large() {
            let mut value = with_capacity(content.value_len() + content.spare)?;
            value.extend_from_slice(content.value[0]);
            value.extend_from_slice(content.value[1]);
            let value = Arc::new(LargeValue::new(value));
            return Ok(Entry::Large(Box::new(LargeEntry { run: run.into_boxed_slice(), value })));
        }
        run.extend_from_slice(content.value[0]);
        run.extend_from_slice(content.value[1]);
        Ok(Entry::Inline(run.into_boxed_slice()))
    }

    /// Overwrites this entry in place if the new content of the same key has the same shape.
    #[inline]
    pub(crate) fn overwrite(&mut self, content: &Content<'_>) -> bool {
        let Entry::Inline(run) = self else { return false };
        let timed = run[0] & TIMED != 0;
        if content.is_large()
            || timed != content.deadline.is_some()
            || run.len() != content.run_len()
        {
            return false;
        }
        content.write_head(run);
        let value = &mut run[content.head_len() + content.key.len()..];
        let (first, second) = value.split_at_mut(content.value[0].len());
        first.copy_from_slice(content.value[0]);
        second.copy_from_slice(content.value[1]);
        true
    }

    #[inline]
    fn run(&self) -> &[u8] {
        match self {
            Entry::Inline(run) => run,
            Entry::Large(large) => &large.run,
        }
    }

    #[inline]
    fn run_mut(&mut self) -> &mut [u8] {
        match self {
            Entry::Inline(run) => run,
            Entry::Large(large) => &mut large.run,
        }
    }

    /// Whether there is room for a deadline.
    #[inline]
    pub(crate) fn is_timed(&self) -> bool {
        self.run()[0] & TIMED != 0
    }

    #[inline]
    fn key_at(&self) -> usize {
        if self.is_timed() { DEADLINE_AT + DEADLINE_BYTES } else { DEADLINE_AT }
    }

    #[inline]
    fn key_len(&self) -> usize {
        let run = self.run();
        usize::from(u16::from_le_bytes([run[KEY_LEN_AT], run[KEY_LEN_AT + 1]]))
    }

    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        let start = self.key_at();
        &self.run()[start..start + self.key_len()]
    }

    #[inline]
    pub(crate) fn value(&self) -> &[u8] {
        match self {
            Entry::Inline(run) => &run[self.key_at() + self.key_len()..],
            Entry::Large(large) => large.value.as_slice(),
        }
    }

    /// The value, to be shared, if it is large.
    pub(crate) fn large_value(&self) -> Option<&Arc<LargeValue>> {
        match self {
            Entry::Inline(_) => None,
            Entry::Large(large) => Some(&large.value),
        }
    }

    pub(crate) fn version(&self) -> u64 {
        self.number_at(VERSION_AT)
    }

    /// When the entry expires; [`NEVER`] if it does not.
    #[inline]
    pub(crate) fn deadline(&self) -> i64 {
        if self.is_timed() { self.number_at(DEADLINE_AT) as i64 } else { NEVER }
    }

    #[inline]
    pub(crate) fn set_version(&mut self, version: u64) {
        self.run_mut()[VERSION_AT..DEADLINE_AT].copy_from_slice(&version.to_le_bytes());
    }

    /// Changes the deadline of a timed entry.
    pub(crate) fn set_deadline(&mut self, deadline: i64) {
        debug_assert!(self.is_timed());
        self.run_mut()[DEADLINE_AT..DEADLINE_AT + DEADLINE_BYTES]
            .copy_from_slice(&deadline.to_le_bytes());
    }

    #[inline]
    fn number_at(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.run()[at..at + 8]);
        u64::from_le_bytes(bytes)
    }

    /// Whether [`append_in_place`](Entry::append_in_place) would succeed.
    pub(crate) fn can_append_in_place(&mut self, more: usize) -> bool {
        let Entry::Large(large) = self else { return false };
        Arc::get_mut(&mut large.value).is_some_and(|value| value.spare() >= more)
    }

    /// Appends to a large value in place if it has room and nobody else reads it.
    pub(crate) fn append_in_place(&mut self, data: &[u8]) -> bool {
        let Entry::Large(large) = self else { return false };
        Arc::get_mut(&mut large.value).is_some_and(|value| value.append(data))
    }

    /// Bytes that [`make_timed`](Entry::make_timed) would add.
    pub(crate) fn timed_growth(&self) -> usize {
        let len = self.run().len();
        if self.is_timed() { 0 } else { allocation(len + DEADLINE_BYTES) - allocation(len) }
    }

    /// Makes sure that there is room for a deadline.
    ///
    /// # Errors
    /// `NoMemory`; the entry is unchanged then.
    pub(crate) fn make_timed(&mut self) -> Result<()> {
        if self.is_timed() {
            return Ok(());
        }
        let old = self.run();
        let mut run = with_capacity(old.len() + DEADLINE_BYTES)?;
        run.extend_from_slice(&old[..DEADLINE_AT]);
        run.extend_from_slice(&NEVER.to_le_bytes());
        run.extend_from_slice(&old[DEADLINE_AT..]);
        run[0] = TIMED;
        let run = run.into_boxed_slice();
        match self {
            Entry::Inline(old) => *old = run,
            Entry::Large(large) => large.run = run,
        }
        Ok(())
    }

    /// Bytes that this entry is charged.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Entry::Inline(run) => allocation(run.len()),
            Entry::Large(large) => {
                allocation(large.run.len())
                    + allocation(size_of::<LargeEntry>())
                    + large.value.bytes()
            }
        }
    }
}

/// An empty buffer with exactly this capacity.
fn with_capacity(len: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Error::from(Status::NoMemory))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content<'a>(key: &'a [u8], value: &'a [u8], deadline: Option<i64>) -> Content<'a> {
        let (first, second) = value.split_at(value.len() / 3);
        Content { key, value: [first, second], version: 7, deadline, spare: 0 }
    }

    #[test]
    fn an_entry_gives_back_what_it_was_made_of() {
        let long_key = vec![1; 65_535];
        let large = vec![2; LARGE_VALUE_BYTES];
        for key in [&b""[..], b"k", &long_key] {
            for value in [&b""[..], b"v", &large[1..], &large] {
                for deadline in [None, Some(5), Some(NEVER)] {
                    let content = content(key, value, deadline);
                    let entry = Entry::new(&content).unwrap();
                    assert_eq!((entry.key(), entry.value()), (key, value));
                    assert_eq!(entry.version(), 7);
                    assert_eq!(entry.deadline(), deadline.unwrap_or(NEVER));
                    assert_eq!(entry.is_timed(), deadline.is_some());
                    assert_eq!(entry.bytes(), content.bytes());
                    assert_eq!(entry.large_value().is_some(), value.len() >= LARGE_VALUE_BYTES);
                }
            }
        }
    }

    #[test]
    fn metadata_changes_in_place() {
        let mut entry = Entry::new(&content(b"key", b"value", Some(5))).unwrap();
        entry.set_version(u64::MAX);
        entry.set_deadline(i64::MAX - 1);
        assert_eq!((entry.version(), entry.deadline()), (u64::MAX, i64::MAX - 1));
        assert_eq!((entry.key(), entry.value()), (&b"key"[..], &b"value"[..]));
    }

    #[test]
    fn only_the_same_shape_is_overwritten() {
        let mut entry = Entry::new(&content(b"key", b"value", None)).unwrap();
        assert!(!entry.overwrite(&content(b"key", b"longer value", None)));
        assert!(!entry.overwrite(&content(b"key", b"value", Some(1))));
        assert!(entry.overwrite(&content(b"key", b"VALUE", None)));
        assert_eq!(entry.value(), b"VALUE");
    }

    #[test]
    fn large_values_grow_in_place_while_nobody_reads_them() {
        let large = vec![2; LARGE_VALUE_BYTES];
        let mut entry = Entry::new(&content(b"key", &large, None)).unwrap();
        assert!(!entry.append_in_place(b"x"));
        let with_spare = Content { spare: 2, ..content(b"key", &large, None) };
        let mut entry_with_spare = Entry::new(&with_spare).unwrap();
        assert_eq!(entry_with_spare.bytes(), with_spare.bytes());
        std::mem::swap(&mut entry, &mut entry_with_spare);
        let reader = entry.large_value().cloned();
        assert!(!entry.append_in_place(b"x"));
        drop(reader);
        assert!(entry.append_in_place(b"x"));
        assert!(entry.append_in_place(b"y"));
        assert!(!entry.append_in_place(b"z"));
        assert!(entry.value().ends_with(b"\x02xy"));
    }

    #[test]
    fn room_for_a_deadline_can_come_later() {
        let large = vec![2; LARGE_VALUE_BYTES];
        for value in [&b"value"[..], &large] {
            let mut entry = Entry::new(&content(b"key", value, None)).unwrap();
            let foretold = entry.bytes() + entry.timed_growth();
            entry.make_timed().unwrap();
            assert_eq!((entry.bytes(), entry.timed_growth()), (foretold, 0));
            assert_eq!((entry.key(), entry.value(), entry.version()), (&b"key"[..], value, 7));
            assert_eq!(entry.deadline(), NEVER);
        }
    }

    #[test]
    fn sixteen_bytes_a_place() {
        assert_eq!(size_of::<Entry>(), 16);
    }
}

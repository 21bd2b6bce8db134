//! The bytes of one entry: its metadata, its key and its value.
//!
//! Owns: the layout. An entry is one run of bytes in a place of the slab,
//!
//! ```text
//! flags u8 | version 6 | key length 1 | value length 1 | tag 1 | deadline 6 | access 7 | key | value
//! ```
//!
//! little endian. The version and the deadline take 8 bytes if one of them needs it (`FAR`), the
//! lengths 2 each (`WIDE`); the tag is there if the policy wants one, the deadline if there is one,
//! and creation time and hits (`access`) in stores with `entry_stats`. So an entry pays for what it
//! uses, and a lookup that found it reads everything from neighbouring cache lines. An entry whose run
//! would be longer than [`MAX_RUN`] has its key and value out of line (`LARGE`): there the run ends
//! with a number in place of the key, and the lengths are zero.
//!
//! Readers copy runs while a writer may be changing them, so runs are only ever written word by word
//! through atomics, and what a reader made of a copy counts for nothing until the bucket of its key
//! says that nobody changed it meanwhile (`table`). Invariant: whatever bytes it is given,
//! [`Head::parse`] neither panics nor claims more than a place can hold.

use std::mem::MaybeUninit;

use crate::region::Region;
use crate::slab::{EntryId, MAX_RUN};
use crate::stats::HitCounter;
use crate::sync::atomic::{AtomicU32, Ordering, fence};
use crate::words;

/// A deadline that never comes.
pub(crate) const NEVER: i64 = i64::MAX;

/// The first byte of a place without an entry is 0, of one with an entry it has this bit.
const USED: u8 = 1;
const TIMED: u8 = 1 << 1;
const WIDE: u8 = 1 << 2;
const LARGE: u8 = 1 << 3;
const TAG: u8 = 1 << 4;
const STATS: u8 = 1 << 5;
const FAR: u8 = 1 << 6;

const VERSION_AT: usize = 1;
/// Bytes of a version, a deadline or a creation time, unless the entry is `FAR`.
const NEAR_BYTES: usize = 6;
const FAR_BYTES: usize = 8;
/// The first time or version that takes more bytes.
const FAR_FROM: u64 = 1 << (8 * NEAR_BYTES);
/// Versions are written long before they need it, because a run is measured with a version that may
/// not be its last.
const VERSION_MARGIN: u64 = 1 << 32;
/// What stands in place of the key of a large entry.
const NUMBER_BYTES: usize = 4;

/// The longest head: flags, version, lengths, tag, deadline, access.
const MAX_HEAD: usize = 1 + FAR_BYTES + 4 + 1 + FAR_BYTES + FAR_BYTES + 1;
const WORD: usize = 4;
/// Words that every place has. They hold the whole head of most entries.
const FIRST_WORDS: usize = 4;
/// The longest run that is put together before it is written.
const SHORT_RUN: usize = 256;
const MAX_HEAD_WORDS: usize = MAX_HEAD.div_ceil(WORD) + 1;

/// What stands before the key of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    flags: u8,
    tag: u8,
    hits: u8,
    len: u8,
    key_len: u16,
    value_len: u16,
    pub(crate) version: u64,
    /// When the entry expires; [`NEVER`] if it does not.
    pub(crate) deadline: i64,
    created_at_ms: i64,
}

/// What an entry is made of beside key and value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta {
    pub(crate) version: u64,
    pub(crate) deadline: i64,
    /// For the policy, if it wants one.
    pub(crate) tag: Option<u8>,
    /// Creation time and steps of the hit counter, if the store keeps them.
    pub(crate) access: Option<(i64, u8)>,
}

impl Head {
    /// The head of an entry with this key and value.
    #[inline]
    pub(crate) fn new(meta: &Meta, key_len: usize, value_len: usize) -> Head {
        let created_at_ms = meta.access.map_or(0, |(created_at_ms, _)| created_at_ms);
        let mut flags = USED;
        let timed = meta.deadline != NEVER;
        if timed {
            flags |= TIMED;
        }
        if meta.tag.is_some() {
            flags |= TAG;
        }
        if meta.access.is_some() {
            flags |= STATS;
        }
        let far = |number: u64| number >= FAR_FROM;
        if far(meta.version.saturating_add(VERSION_MARGIN))
            || timed && far(meta.deadline as u64)
            || far(created_at_ms as u64)
        {
            flags |= FAR;
        }
        let mut head = Head {
            flags,
            tag: meta.tag.unwrap_or(0),
            hits: meta.access.map_or(0, |(_, hits)| hits),
            len: 0,
            key_len: 0,
            value_len: 0,
            version: meta.version,
            deadline: meta.deadline,
            created_at_ms,
        };
        head.set_lengths(key_len, value_len);
        head
    }

    #[inline]
    fn set_lengths(&mut self, key_len: usize, value_len: usize) {
        if key_len.max(value_len) > usize::from(u8::MAX) {
            self.flags |= WIDE;
        }
        self.len = head_len(self.flags) as u8;
        if usize::from(self.len) + key_len + value_len > MAX_RUN {
            self.flags = self.flags & !WIDE | LARGE;
            self.len = head_len(self.flags) as u8;
        } else {
            (self.key_len, self.value_len) = (key_len as u16, value_len as u16);
        }
    }

    /// Whether key and value are out of line.
    #[inline]
    pub(crate) fn is_large(&self) -> bool {
        self.flags & LARGE != 0
    }

    /// Bytes of the whole run.
    #[inline]
    pub(crate) fn run_len(&self) -> usize {
        let rest = if self.is_large() {
            NUMBER_BYTES
        } else {
            usize::from(self.key_len) + usize::from(self.value_len)
        };
        usize::from(self.len) + rest
    }

    /// Where the key lies in the run.
    #[inline]
    pub(crate) fn key_range(&self) -> std::ops::Range<usize> {
        let start = usize::from(self.len);
        start..start + usize::from(self.key_len)
    }

    /// Where the value lies in the run.
    #[inline]
    pub(crate) fn value_range(&self) -> std::ops::Range<usize> {
        let start = usize::from(self.len) + usize::from(self.key_len);
        start..start + usize::from(self.value_len)
    }

    pub(crate) fn tag(&self) -> Option<u8> {
        (self.flags & TAG != 0).then_some(self.tag)
    }

    /// Creation time and steps of the hit counter, if the store keeps them.
    #[inline]
    pub(crate) fn access(&self) -> Option<(i64, u8)> {
        (self.flags & STATS != 0).then_some((self.created_at_ms, self.hits))
    }

    /// Creation time and about how many hits, as callers see them.
    pub(crate) fn access_shown(&self) -> Option<(i64, u64)> {
        self.access().map(|(created_at_ms, hits)| (created_at_ms, HitCounter::about(hits)))
    }

    /// The same with another version, which takes no more bytes.
    pub(crate) fn with_version(self, version: u64) -> Head {
        Head { version, ..self }
    }

    /// Sets the policy's tag, if the entry has one.
    #[inline]
    pub(crate) fn set_tag(&mut self, tag: u8) {
        if self.flags & TAG != 0 {
            self.tag = tag;
        }
    }

    /// The head of the same large entry with another deadline.
    pub(crate) fn with_deadline(&self, deadline: i64, version: u64) -> Head {
        debug_assert!(self.is_large());
        let meta = Meta { version, deadline, tag: self.tag(), access: self.access() };
        Head::new(&meta, MAX_RUN, MAX_RUN)
    }

    /// The byte of the tag in the run.
    fn tag_at(&self) -> usize {
        lengths_at(self.flags) + lengths_bytes(self.flags)
    }

    /// The byte of the hits in the run.
    fn hits_at(&self) -> usize {
        usize::from(self.len) - 1
    }

    /// Reads a head; `None` if no entry starts here. `bytes` are the first of a place, at least as
    /// many as the flags in the first of them ask for.
    #[inline]
    fn parse(bytes: &[u8; MAX_HEAD_WORDS * WORD]) -> Option<Head> {
        let flags = bytes[0];
        if flags & USED == 0 {
            return None;
        }
        let number_bytes = if flags & FAR == 0 { NEAR_BYTES } else { FAR_BYTES };
        let version = number(bytes, VERSION_AT, number_bytes);
        let mut at = VERSION_AT + number_bytes;
        let (key_len, value_len) = if flags & WIDE == 0 {
            (u16::from(bytes[at]), u16::from(bytes[at + 1]))
        } else {
            (number(bytes, at, 2) as u16, number(bytes, at + 2, 2) as u16)
        };
        // Out of line the lengths are elsewhere; a copy that was taken in the midst of a change may
        // say otherwise.
        let (key_len, value_len) = if flags & LARGE == 0 { (key_len, value_len) } else { (0, 0) };
        at += lengths_bytes(flags);
        let mut tag = 0;
        if flags & TAG != 0 {
            tag = bytes[at];
            at += 1;
        }
        let mut deadline = NEVER;
        if flags & TIMED != 0 {
            deadline = number(bytes, at, number_bytes) as i64;
            at += number_bytes;
        }
        let (mut created_at_ms, mut hits) = (0, 0);
        if flags & STATS != 0 {
            created_at_ms = number(bytes, at, number_bytes) as i64;
            hits = bytes[at + number_bytes];
            at += number_bytes + 1;
        }
        let head = Head {
            flags,
            tag,
            hits,
            len: at as u8,
            key_len,
            value_len,
            version,
            deadline,
            created_at_ms,
        };
        (head.run_len() <= MAX_RUN).then_some(head)
    }

    /// Reads the head at a place, whose words may be changing; `None` if no entry starts there.
    #[inline(always)]
    pub(crate) fn read(words: &Region<AtomicU32>, id: EntryId) -> Option<Head> {
        Head::of(words.run(id.word(), MAX_HEAD_WORDS))
    }

    /// As [`read`](Head::read), from the words of the place and perhaps some that follow.
    #[inline(always)]
    pub(crate) fn of(place: &[AtomicU32]) -> Option<Head> {
        Head::near(place).or_else(|| Head::of_rare(place))
    }

    /// As [`of`](Head::of), but only heads like nearly all are: not `FAR`, not of a large entry, and
    /// without `access`.
    #[inline(always)]
    pub(crate) fn near(place: &[AtomicU32]) -> Option<Head> {
        let low = words::first_number(place.first_chunk()?);
        let flags = low as u8;
        if flags & (USED | LARGE | FAR | STATS) != USED {
            return None;
        }
        // What a caller does not ask for is not loaded either.
        const NEAR: u64 = FAR_FROM - 1;
        let len = HEAD_LENS[usize::from(flags)];
        let (key_len, value_len) = if flags & WIDE == 0 {
            let lengths = words::number(place, NEAR_LENGTHS_AT - 6) >> 48;
            (lengths as u8 as u16, (lengths >> 8) as u16)
        } else {
            let lengths = words::number(place, NEAR_LENGTHS_AT - 4) >> 32;
            (lengths as u16, (lengths >> 16) as u16)
        };
        let (mut end, mut deadline) = (usize::from(len), NEVER);
        if flags & TIMED != 0 {
            deadline = (words::number(place, end - 8) >> 16) as i64;
            end -= NEAR_BYTES;
        }
        let tag = if flags & TAG != 0 { (words::number(place, end - 8) >> 56) as u8 } else { 0 };
        let version = low >> 8 & NEAR;
        let (hits, created_at_ms) = (0, 0);
        let head =
            Head { flags, tag, hits, len, key_len, value_len, version, deadline, created_at_ms };
        (head.run_len() <= MAX_RUN).then_some(head)
    }

    #[cold]
    #[inline(never)]
    fn of_rare(place: &[AtomicU32]) -> Option<Head> {
        let flags = place.first()?.load(Ordering::Relaxed) as u8;
        if flags & USED == 0 {
            return None;
        }
        let mut bytes = [0; MAX_HEAD_WORDS * WORD];
        let len = head_len(flags).max(FIRST_WORDS * WORD).next_multiple_of(WORD);
        load(place, &mut bytes[..len]);
        // The flags may have changed meanwhile, to ones that ask for more than was loaded: the bytes
        // are zero there, and the bucket of the key will say that it changed.
        Head::parse(&bytes)
    }

    /// Whether the entry at this place, whose words may be changing, has this key. The key of a large
    /// entry is not there, so the answer is no.
    #[inline(always)]
    pub(crate) fn has_key(&self, place: &[AtomicU32], key: &[u8]) -> bool {
        if usize::from(self.key_len) != key.len() || self.is_large() {
            return false;
        }
        words::equal(place, usize::from(self.len), key)
    }

    /// Copies the value from the place of this entry, whose words may be changing. `None` if it is not
    /// there, or too long for the copy.
    #[inline(always)]
    pub(crate) fn load_value<'a>(
        &self,
        place: &[AtomicU32],
        to: &'a mut [MaybeUninit<u32>],
    ) -> Option<&'a [u8]> {
        let value = self.value_range();
        words::load(place, value.start, value.len(), to)
    }

    /// The bytes of the head.
    #[inline]
    fn bytes(&self) -> ([u8; MAX_HEAD_WORDS * WORD], usize) {
        let mut bytes = [0; MAX_HEAD_WORDS * WORD];
        bytes[0] = self.flags;
        let number_bytes = if self.flags & FAR == 0 { NEAR_BYTES } else { FAR_BYTES };
        // Whole words are written and then partly overwritten by what follows.
        bytes[VERSION_AT..VERSION_AT + 8].copy_from_slice(&self.version.to_le_bytes());
        let mut at = VERSION_AT + number_bytes;
        if self.flags & WIDE == 0 {
            bytes[at] = self.key_len as u8;
            bytes[at + 1] = self.value_len as u8;
            at += 2;
        } else {
            bytes[at..at + 2].copy_from_slice(&self.key_len.to_le_bytes());
            bytes[at + 2..at + 4].copy_from_slice(&self.value_len.to_le_bytes());
            at += 4;
        }
        if self.flags & TAG != 0 {
            bytes[at] = self.tag;
            at += 1;
        }
        if self.flags & TIMED != 0 {
            bytes[at..at + 8].copy_from_slice(&self.deadline.to_le_bytes());
            at += number_bytes;
        }
        if self.flags & STATS != 0 {
            bytes[at..at + 8].copy_from_slice(&self.created_at_ms.to_le_bytes());
            bytes[at + number_bytes] = self.hits;
            at += number_bytes + 1;
        }
        (bytes, at)
    }
}

const fn lengths_at(flags: u8) -> usize {
    VERSION_AT + if flags & FAR == 0 { NEAR_BYTES } else { FAR_BYTES }
}

const fn lengths_bytes(flags: u8) -> usize {
    if flags & WIDE == 0 { 2 } else { 4 }
}

const fn head_len(flags: u8) -> usize {
    let number = if flags & FAR == 0 { NEAR_BYTES } else { FAR_BYTES };
    let mut len = lengths_at(flags) + lengths_bytes(flags);
    if flags & TAG != 0 {
        len += 1;
    }
    if flags & TIMED != 0 {
        len += number;
    }
    if flags & STATS != 0 {
        len += number + 1;
    }
    len
}

/// Where the lengths of a head that is not `FAR` begin.
const NEAR_LENGTHS_AT: usize = VERSION_AT + NEAR_BYTES;

/// The length of the head for every value of the flags, since every lookup asks for one.
static HEAD_LENS: [u8; 256] = {
    let mut lens = [0; 256];
    let mut flags = 0;
    while flags < lens.len() {
        lens[flags] = head_len(flags as u8) as u8;
        flags += 1;
    }
    lens
};

/// A number of `len` bytes. Whole words are read, so that no length needs a loop.
#[inline]
fn number(bytes: &[u8; MAX_HEAD_WORDS * WORD], at: usize, len: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number) & (u64::MAX >> (64 - 8 * len))
}

/// Copies words of a place.
#[inline]
fn load(place: &[AtomicU32], bytes: &mut [u8]) {
    for (to, word) in bytes.chunks_exact_mut(WORD).zip(place) {
        to.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
}

/// Writes the run of an entry into its place. The bucket of its key must be open if a reader can
/// find the place.
#[inline]
pub(crate) fn write(region: &Region<AtomicU32>, id: EntryId, head: &Head, rest: [&[u8]; 3]) {
    // Orders what follows behind the opening of buckets that pointed to this place before.
    fence(Ordering::Release);
    let (bytes, len) = head.bytes();
    let run = region.run(id.word(), head.run_len().div_ceil(WORD));
    if head.run_len() > SHORT_RUN {
        return write_long(run, &bytes[..len], rest);
    }
    // A short run is put together first: that takes no care for where words begin.
    let mut short = [0; SHORT_RUN];
    short[..MAX_HEAD_WORDS * WORD].copy_from_slice(&bytes);
    let mut at = len;
    for part in rest {
        if let Some(to) = short.get_mut(at..at + part.len()) {
            to.copy_from_slice(part);
        }
        at += part.len();
    }
    words::store(&short[..run.len() * WORD], run);
}

fn write_long(run: &[AtomicU32], head: &[u8], rest: [&[u8]; 3]) {
    let mut writer = RunWriter { words: run, carry: [0; WORD], filled: 0 };
    writer.push(head);
    for part in rest {
        writer.push(part);
    }
    writer.finish();
}

/// As [`write`], for an entry whose key and value are out of line.
pub(crate) fn write_large(words: &Region<AtomicU32>, id: EntryId, head: &Head, number: u32) {
    write(words, id, head, [&number.to_le_bytes(), b"", b""]);
}

/// Copies the run of an entry to another place.
pub(crate) fn copy(region: &Region<AtomicU32>, from: EntryId, to: EntryId, head: &Head) {
    fence(Ordering::Release);
    let len = head.run_len().div_ceil(WORD);
    for (from, to) in region.run(from.word(), len).iter().zip(region.run(to.word(), len)) {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// The number of the out-of-line part of a large entry.
pub(crate) fn large_number(words: &Region<AtomicU32>, id: EntryId, head: &Head) -> u32 {
    let at = usize::from(head.len);
    let mut bytes = [0; 2 * WORD];
    load(words.run(id.word() + at / WORD, 2), &mut bytes);
    let mut number = [0; NUMBER_BYTES];
    number.copy_from_slice(&bytes[at % WORD..at % WORD + NUMBER_BYTES]);
    u32::from_le_bytes(number)
}

/// Changes one byte of a run that readers do not look at, or may see at any time.
fn set_byte(words: &Region<AtomicU32>, id: EntryId, at: usize, byte: u8) {
    let word = words.get(id.word() + at / WORD);
    let mut bytes = word.load(Ordering::Relaxed).to_le_bytes();
    bytes[at % WORD] = byte;
    word.store(u32::from_le_bytes(bytes), Ordering::Relaxed);
}

/// Changes the policy's tag of an entry that has one. For whoever has the shard's write lock.
pub(crate) fn set_tag(words: &Region<AtomicU32>, id: EntryId, tag: u8) {
    if let Some(head) = Head::read(words, id).filter(|head| head.tag().is_some()) {
        set_byte(words, id, head.tag_at(), tag);
    }
}

/// Changes the steps of the hit counter of an entry that has one. For whoever has the shard's write
/// lock: the word may hold bytes of the key too.
pub(crate) fn set_hits(words: &Region<AtomicU32>, id: EntryId, head: &Head, hits: u8) {
    if head.access().is_some() {
        set_byte(words, id, head.hits_at(), hits);
    }
}

/// Streams bytes into the words of a place.
struct RunWriter<'a> {
    words: &'a [AtomicU32],
    /// Bytes of the word under way, which is not stored yet.
    carry: [u8; WORD],
    filled: usize,
}

impl RunWriter<'_> {
    #[inline(always)]
    fn store(&mut self, bytes: &[u8]) {
        let stored = words::store(bytes, self.words);
        self.words = &self.words[stored..];
    }

    #[inline(always)]
    fn push(&mut self, mut bytes: &[u8]) {
        if self.filled > 0 {
            let (first, rest) = bytes.split_at(bytes.len().min(WORD - self.filled));
            self.carry[self.filled..self.filled + first.len()].copy_from_slice(first);
            self.filled += first.len();
            bytes = rest;
            if self.filled < WORD {
                return;
            }
            let carry = self.carry;
            self.store(&carry);
        }
        self.store(bytes);
        let rest = bytes.as_chunks::<WORD>().1;
        self.carry = [0; WORD];
        self.carry[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }

    #[inline(always)]
    fn finish(mut self) {
        if self.filled > 0 {
            let carry = self.carry;
            self.store(&carry);
        }
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn meta(version: u64, deadline: i64, tag: Option<u8>, access: Option<(i64, u8)>) -> Meta {
        Meta { version, deadline, tag, access }
    }

    /// Writes an entry into fresh words and reads it back.
    fn write_and_read(head: &Head, key: &[u8], value: &[u8]) -> (Head, Vec<u8>) {
        let words = Region::<AtomicU32>::new();
        words.reserve(3 * MAX_RUN).unwrap();
        let id = EntryId::new(7);
        let (first, second) = value.split_at(value.len() / 3);
        write(&words, id, head, [key, first, second]);
        let mut run = vec![0; head.run_len().next_multiple_of(WORD)];
        load(words.run(id.word(), run.len() / WORD), &mut run);
        (Head::read(&words, id).unwrap(), run)
    }

    #[test]
    fn an_entry_gives_back_what_it_was_made_of() {
        let far = FAR_FROM as i64;
        let long = [7; 300];
        for version in [1, FAR_FROM - VERSION_MARGIN - 1, FAR_FROM, u64::MAX] {
            for deadline in [0, 5, far - 1, far, NEVER - 1, NEVER] {
                for tag in [None, Some(0), Some(255)] {
                    for access in [None, Some((1, 2)), Some((far, 255))] {
                        for key in [&b""[..], b"k", b"key", &long] {
                            for value in [&b""[..], b"v", b"value", &long] {
                                let meta = meta(version, deadline, tag, access);
                                let head = Head::new(&meta, key.len(), value.len());
                                let (read, run) = write_and_read(&head, key, value);
                                assert_eq!(read, head);
                                assert_eq!(&run[read.key_range()], key);
                                assert_eq!(&run[read.value_range()], value);
                                assert_eq!((read.version, read.deadline), (version, deadline));
                                assert_eq!((read.tag(), read.access()), (tag, access));
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_plain_entry_costs_nine_bytes() {
        let head = |deadline, tag| Head::new(&meta(9, deadline, tag, None), 16, 100);
        assert_eq!(head(NEVER, None).run_len(), 116 + 9);
        assert_eq!(head(5, None).run_len(), 116 + 15);
        assert_eq!(head(5, Some(1)).run_len(), 116 + 16);
    }

    #[test]
    fn long_runs_go_out_of_line() {
        let plain = meta(1, NEVER, None, None);
        assert!(!Head::new(&plain, 4, MAX_RUN - 15).is_large());
        let large = Head::new(&plain, 5, MAX_RUN - 15);
        assert!(large.is_large());
        let words = Region::<AtomicU32>::new();
        words.reserve(3 * MAX_RUN).unwrap();
        for meta in [plain, meta(1, 2, Some(3), Some((4, 5)))] {
            let large = Head::new(&meta, 65_535, 1 << 30);
            write_large(&words, EntryId::new(9), &large, 0xdead_beef);
            let read = Head::read(&words, EntryId::new(9)).unwrap();
            assert_eq!(read, large);
            assert_eq!(large_number(&words, EntryId::new(9), &read), 0xdead_beef);
        }
    }

    #[test]
    fn whatever_the_bytes_a_head_stays_within_a_place() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100_000 {
            let mut bytes = [0; MAX_HEAD_WORDS * WORD];
            random.fill(&mut bytes);
            if let Some(head) = Head::parse(&bytes) {
                assert!(head.run_len() <= MAX_RUN);
                assert!(head.value_range().end <= MAX_RUN);
            }
        }
    }

    #[test]
    fn tag_and_hits_change_in_place() {
        let words = Region::<AtomicU32>::new();
        words.reserve(3 * MAX_RUN).unwrap();
        let id = EntryId::new(3);
        let head = Head::new(&meta(1, 2, Some(3), Some((4, 0))), 3, 5);
        write(&words, id, &head, [b"key", b"value", b""]);
        set_tag(&words, id, 200);
        set_hits(&words, id, &head, 1);
        let read = Head::read(&words, id).unwrap();
        assert_eq!((read.tag(), read.access()), (Some(200), Some((4, 1))));
        assert_eq!((read.version, read.deadline, read.key_len), (1, 2, 3));
    }
}

//! Runs of bytes in shared words where words are loaded whole: the bytes are shifted out of them.
//!
//! Owns: the same functions as `bytes`, for processors without loads of their own here, and under
//! shuttle, whose atomics have no bytes to refer to.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use super::{Holds, WORD};
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The first eight bytes of a run, as a number.
#[inline(always)]
pub(crate) fn first_number(run: &[AtomicU32; 2]) -> u64 {
    u64::from(run[0].load(Relaxed)) | u64::from(run[1].load(Relaxed)) << 32
}

/// The eight bytes `at` a place of a run, as a number. Zero if the run ends before them.
#[inline(always)]
pub(crate) fn number(run: &[AtomicU32], at: usize) -> u64 {
    let Some(words) = words(run, at, 8) else { return 0 };
    let word = |number: usize| words.get(number).map_or(0, |word| u128::from(word.load(Relaxed)));
    ((word(0) | word(1) << 32 | word(2) << 64) >> (at % WORD * 8)) as u64
}

/// Whether the bytes `at` a place of a run are these. Not if the run ends before them.
#[inline(always)]
pub(crate) fn equal(run: &[AtomicU32], at: usize, bytes: &[u8]) -> bool {
    let Some(words) = words(run, at, bytes.len()) else { return false };
    let shift = at % WORD * 8;
    let mut words = words.iter();
    let mut low = words.next().map_or(0, |word| u64::from(word.load(Relaxed)));
    // The next eight bytes, out of the three words that they lie in.
    let mut next = || {
        let mut word = || words.next().map_or(0, |word| u64::from(word.load(Relaxed)));
        let (middle, high) = (word(), word());
        let both = u128::from(high) << 64 | u128::from(middle << 32 | low);
        low = high;
        (both >> shift) as u64
    };
    let (whole, last) = bytes.as_chunks::<8>();
    // Nearly always the bytes are equal, so nothing is gained by stopping early.
    let mut differs = 0;
    for part in whole {
        differs |= next() ^ u64::from_le_bytes(*part);
    }
    if last.is_empty() {
        return differs == 0;
    }
    let mut padded = [0; 8];
    padded[..last.len()].copy_from_slice(last);
    let mask = u64::MAX >> (8 * (8 - last.len()));
    differs | (next() & mask ^ u64::from_le_bytes(padded)) == 0
}

/// Loads `len` bytes that begin `at` a place of a run, and shows the copy. `None` if they are not in
/// the run, or too many for the copy, which has the bytes before them in the first word too.
#[inline(always)]
pub(crate) fn load<'a>(
    run: &[AtomicU32],
    at: usize,
    len: usize,
    to: &'a mut [MaybeUninit<u32>],
) -> Option<&'a [u8]> {
    let words = words(run, at, len)?;
    let to = to.get_mut(..words.len())?;
    for (from, to) in words.iter().zip(&mut *to) {
        to.write(from.load(Relaxed).to_le());
    }
    // SAFETY: every one of these words was written just now, and words are bytes without padding. The
    // bytes begin in the first of them and end in the last.
    Some(unsafe { std::slice::from_raw_parts(to.as_ptr().cast::<u8>().add(at % WORD), len) })
}

/// Loads as many bytes as `to` has, of those that begin `at` a place of a run. False, and nothing is written,
/// if they are not all in the run.
#[inline(always)]
pub(crate) fn load_into(run: &[AtomicU32], at: usize, to: &mut [MaybeUninit<u8>]) -> bool {
    let Some(words) = words(run, at, to.len()) else { return false };
    let bytes = words.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).skip(at % WORD);
    for (to, byte) in to.iter_mut().zip(bytes) {
        to.write(byte);
    }
    true
}

/// The longest run of bytes that [`move_if`] takes.
pub(crate) const MOVED: usize = 128;

/// Loads `len` bytes that begin `at` a place of a run, and writes them to the front of `to` if `check`
/// says, once all are loaded, that they belong together. Whether it did. Not if the bytes are not in
/// the run, do not fit, or are more than [`MOVED`].
#[inline(always)]
pub(crate) fn move_if(
    run: &[AtomicU32],
    at: usize,
    len: usize,
    to: &mut [u8],
    check: &impl Holds,
) -> bool {
    let mut copy = [const { MaybeUninit::uninit() }; MOVED / WORD + 1];
    if len > MOVED {
        return false;
    }
    let (Some(bytes), Some(to)) = (load(run, at, len, &mut copy), to.get_mut(..len)) else {
        return false;
    };
    let holds = check.holds();
    if holds {
        to.copy_from_slice(bytes);
    }
    holds
}

/// The words that have `len` bytes which begin `at` a place of a run.
#[inline(always)]
fn words(run: &[AtomicU32], at: usize, len: usize) -> Option<&[AtomicU32]> {
    let words = run.get(at / WORD..)?;
    words.get(..(at % WORD).checked_add(len)?.div_ceil(WORD))
}

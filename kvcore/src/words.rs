//! Copies and compares words that other threads may be reading or writing meanwhile.
//!
//! Owns: how that is done fast. Each word is loaded or stored once, as a relaxed atomic access, in
//! no particular order among the words. On x86-64 four words go in one instruction: the processor
//! never tears an aligned word of four bytes, however wide the access it is part of (Intel SDM,
//! volume 3, 9.1.1), so this is what the same number of relaxed accesses to single words may do. It
//! is written in assembly, because the language has no such access of its own and would take a plain
//! one for a data race.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Bytes of a word.
const WORD: usize = 4;
/// Words that go together.
const GROUP: usize = 4;

/// Loads as many words as both sides have, and shows them as bytes.
#[inline(always)]
pub(crate) fn load<'a>(from: &[AtomicU32], to: &'a mut [MaybeUninit<u32>]) -> &'a [u8] {
    let words = from.len().min(to.len());
    let (from, to) = (&from[..words], &mut to[..words]);
    // Four groups at a time, then single groups, then single words.
    let (from_fours, from) = from.as_chunks::<{ 4 * GROUP }>();
    let (to_fours, to_left) = to.as_chunks_mut::<{ 4 * GROUP }>();
    for (from, to) in from_fours.iter().zip(to_fours) {
        for (from, to) in from.as_chunks::<GROUP>().0.iter().zip(to.as_chunks_mut::<GROUP>().0) {
            load_group(from, to);
        }
    }
    let (from_groups, from_rest) = from.as_chunks::<GROUP>();
    let (to_groups, to_rest) = to_left.as_chunks_mut::<GROUP>();
    for (from, to) in from_groups.iter().zip(to_groups) {
        load_group(from, to);
    }
    for (from, to) in from_rest.iter().zip(to_rest) {
        to.write(from.load(Relaxed).to_le());
    }
    // SAFETY: every one of these words was written just now, and words are bytes without padding.
    unsafe { std::slice::from_raw_parts(to.as_ptr().cast(), words * WORD) }
}

/// Stores whole words, as many as both sides have. Returns how many words that were.
#[inline(always)]
pub(crate) fn store(from: &[u8], to: &[AtomicU32]) -> usize {
    let words = (from.len() / WORD).min(to.len());
    let (from_groups, from_rest) = from[..words * WORD].as_chunks::<{ GROUP * WORD }>();
    let (to_groups, to_rest) = to[..words].as_chunks::<GROUP>();
    for (from, to) in from_groups.iter().zip(to_groups) {
        store_group(from, to);
    }
    for (from, to) in from_rest.as_chunks::<WORD>().0.iter().zip(to_rest) {
        to.store(u32::from_le_bytes(*from), Relaxed);
    }
    words
}

#[cfg(all(target_arch = "x86_64", not(kv_shuttle)))]
#[inline(always)]
fn load_group(from: &[AtomicU32; GROUP], to: &mut [MaybeUninit<u32>; GROUP]) {
    use std::arch::x86_64::{__m128i, _mm_storeu_si128};
    let group: __m128i;
    // SAFETY: the instruction reads 16 bytes, which are the four words, and changes nothing but the
    // register. Words are aligned to four bytes, so it may stand for four relaxed loads (see the top).
    unsafe {
        std::arch::asm!(
            "movups {group}, [{from}]",
            group = out(xmm_reg) group,
            from = in(reg) from.as_ptr(),
            options(nostack, preserves_flags, readonly),
        );
    }
    // SAFETY: `to` has 16 bytes that are only ours, and the intrinsic asks for no alignment.
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), group) };
}

#[cfg(all(target_arch = "x86_64", not(kv_shuttle)))]
#[inline(always)]
fn store_group(from: &[u8; GROUP * WORD], to: &[AtomicU32; GROUP]) {
    use std::arch::x86_64::_mm_loadu_si128;
    // SAFETY: `from` has 16 initialised bytes, and the intrinsic asks for no alignment.
    let group = unsafe { _mm_loadu_si128(from.as_ptr().cast()) };
    // SAFETY: the instruction writes 16 bytes, which are the four words; atomics may be written
    // through a shared reference. Words are aligned to four bytes, so it may stand for four relaxed
    // stores (see the top).
    unsafe {
        std::arch::asm!(
            "movups [{to}], {group}",
            group = in(xmm_reg) group,
            to = in(reg) to.as_ptr(),
            options(nostack, preserves_flags),
        );
    }
}

#[cfg(not(all(target_arch = "x86_64", not(kv_shuttle))))]
#[inline(always)]
fn load_group(from: &[AtomicU32; GROUP], to: &mut [MaybeUninit<u32>; GROUP]) {
    for (from, to) in from.iter().zip(to) {
        to.write(from.load(Relaxed).to_le());
    }
}

#[cfg(not(all(target_arch = "x86_64", not(kv_shuttle))))]
#[inline(always)]
fn store_group(from: &[u8; GROUP * WORD], to: &[AtomicU32; GROUP]) {
    for (from, to) in from.as_chunks::<WORD>().0.iter().zip(to) {
        to.store(u32::from_le_bytes(*from), Relaxed);
    }
}

/// A bit for each word whose lower half, but for its lowest `ignored` bits, is that of `number`.
#[cfg(all(target_arch = "x86_64", not(kv_shuttle)))]
#[inline(always)]
pub(crate) fn equal_above(line: &[AtomicU64; 8], number: u32, ignored: u32) -> u32 {
    use std::arch::x86_64::*;
    let pair = |first: usize| {
        let pair: __m128;
        // SAFETY: the instruction reads two words of eight bytes, each of which is aligned, so it
        // may stand for two relaxed loads: aligned words of eight bytes are not torn either.
        unsafe {
            std::arch::asm!(
                "movups {pair}, [{from}]",
                pair = out(xmm_reg) pair,
                from = in(reg) &raw const line[first],
                options(nostack, preserves_flags, readonly),
            );
        }
        pair
    };
    // SAFETY: SSE2 is part of every x86-64 processor, and these work on registers alone.
    unsafe {
        let (shift, zero) = (_mm_cvtsi32_si128(ignored as i32), _mm_setzero_si128());
        let wanted = _mm_set1_epi32(number as i32);
        let equal = |low: __m128, high: __m128| {
            let halves = _mm_castps_si128(_mm_shuffle_ps::<0b10_00_10_00>(low, high));
            _mm_cmpeq_epi32(_mm_srl_epi32(_mm_xor_si128(halves, wanted), shift), zero)
        };
        let (first, second) = (equal(pair(0), pair(2)), equal(pair(4), pair(6)));
        let bytes = _mm_packs_epi16(_mm_packs_epi32(first, second), zero);
        _mm_movemask_epi8(bytes) as u32
    }
}

#[cfg(not(all(target_arch = "x86_64", not(kv_shuttle))))]
#[inline(always)]
pub(crate) fn equal_above(line: &[AtomicU64; 8], number: u32, ignored: u32) -> u32 {
    line.iter().enumerate().fold(0, |bits, (index, word)| {
        let equal = (word.load(Relaxed) as u32 ^ number) >> ignored == 0;
        bits | u32::from(equal) << index
    })
}

/// Asks the processor to fetch the cache line of a word. Any address is fine.
#[inline(always)]
pub(crate) fn prefetch<T: ?Sized>(place: &T) {
    crate::region::prefetch((&raw const *place).cast());
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn equal_halves_are_found() {
        let line: [AtomicU64; 8] = std::array::from_fn(|n| {
            AtomicU64::new((n as u64) << 40 | 0xabcd_0000 | (n as u64 * 32))
        });
        assert_eq!(equal_above(&line, 0xabcd_0000, 6), 0b11);
        assert_eq!(equal_above(&line, 0xabcd_0000, 5), 0b1);
        assert_eq!(equal_above(&line, 0xabcd_00e1, 6), 0b1100_0000);
        assert_eq!(equal_above(&line, 0xabcd_0000, 31), 0b1111_1111);
        assert_eq!(equal_above(&line, 0x1bcd_0000, 6), 0);
    }

    #[test]
    fn words_come_back_as_they_were() {
        for words in 0..40 {
            for start in 0..5 {
                let shared: Vec<AtomicU32> = (0..50).map(|_| AtomicU32::new(7)).collect();
                let plain: Vec<u8> = (0..words * 4 + start).map(|n| n as u8 | 128).collect();
                assert_eq!(store(&plain, &shared[start..start + words]), words);
                let mut copy = [const { MaybeUninit::uninit() }; 40];
                let bytes = load(&shared[start..], &mut copy[..words]);
                assert_eq!(bytes, &plain[..words * 4]);
                let untouched = shared.iter().filter(|word| word.load(Relaxed) == 7).count();
                assert_eq!(untouched, 50 - words);
            }
        }
    }
}

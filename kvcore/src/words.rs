//! Copies and compares words that other threads may be reading or writing meanwhile.
//!
//! Owns: how that is done fast. Each word is loaded or stored once, as a relaxed atomic access, in
//! no particular order among the words. On x86-64 four words go in one instruction: the processor
//! never tears an aligned word of four bytes, however wide the access it is part of (Intel SDM,
//! volume 3, 9.1.1), so this is what the same number of relaxed accesses to single words may do. It
//! is written in assembly, because the language has no such access of its own and would take a plain
//! one for a data race.
//!
//! Keys and values begin anywhere in a word, and on x86-64 they are loaded from where they begin. No
//! byte is ever torn, so such a load may stand for a relaxed load of the word of each of its bytes, of
//! which that byte is kept. That different bytes of a word may be from different moments is nothing
//! new to readers: words are too, and what they make of a copy counts only once they know that
//! nothing changed.

#![allow(unsafe_code)]

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

#[cfg(all(target_arch = "x86_64", not(kv_shuttle)))]
mod bytes;
#[cfg(not(all(target_arch = "x86_64", not(kv_shuttle))))]
#[path = "words/shifts.rs"]
mod bytes;

pub(crate) use bytes::{MOVED, equal, first_number, load, load_into, move_if, number};

/// Tells, after something was loaded, whether it belongs together.
pub(crate) trait Holds {
    /// Whether it does. Comes with a fence: what was loaded before is not loaded later than this looks.
    fn holds(&self) -> bool;
}

/// Bytes of a word.
const WORD: usize = 4;
/// Words that go together.
const GROUP: usize = 4;

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
    #![allow(clippy::unwrap_used)]

    use std::mem::MaybeUninit;

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

    struct Said(bool);

    impl Holds for Said {
        fn holds(&self) -> bool {
            self.0
        }
    }

    #[test]
    fn bytes_come_back_as_they_were() {
        for len in (0..80).chain([127, 128, 129, 191, 192, 193, 300]) {
            for at in 0..9 {
                let shared: Vec<AtomicU32> =
                    (0..100).map(|_| AtomicU32::new(0x0707_0707)).collect();
                let plain: Vec<u8> = (0..len + at).map(|n| n as u8 | 128).collect();
                let mut padded = plain.clone();
                padded.resize(plain.len().next_multiple_of(WORD), 7);
                assert_eq!(store(&padded, &shared), padded.len() / WORD);
                let untouched = shared.iter().filter(|word| word.load(Relaxed) == 0x0707_0707);
                assert_eq!(untouched.count(), 100 - padded.len() / WORD);
                let value = &plain[at..];
                let mut copied = [const { MaybeUninit::uninit() }; 80];
                assert_eq!(load(&shared, at, len, &mut copied), Some(value));
                let mut whole = vec![MaybeUninit::new(7); len];
                assert!(load_into(&shared, at, &mut whole));
                // SAFETY: all of it was written when it was made.
                let is = |(byte, value): (&MaybeUninit<u8>, &u8)| unsafe { byte.assume_init() } == *value;
                assert!(whole.iter().zip(value).all(is));
                let mut again = vec![0; len + 1];
                let moved = move_if(&shared, at, len, &mut again, &Said(false));
                assert!(!moved && again.iter().all(|byte| *byte == 0));
                let moved = move_if(&shared, at, len, &mut again, &Said(true));
                assert_eq!(moved, len <= MOVED);
                if moved {
                    assert_eq!(again.pop(), Some(0));
                    assert_eq!(again, value);
                }
                again = value.to_vec();
                assert!(equal(&shared, at, value));
                for other in 0..len {
                    again[other] ^= 1;
                    assert!(!equal(&shared, at, &again), "{other} of {len}");
                    again[other] ^= 1;
                }
            }
        }
    }

    #[test]
    fn nothing_is_read_beyond_the_words() {
        let shared: Vec<AtomicU32> = (0..4).map(AtomicU32::new).collect();
        let mut copied = [const { MaybeUninit::uninit() }; 8];
        for (at, len) in [(0, 17), (15, 2), (16, 1), (17, 0), (usize::MAX, 2), (1, usize::MAX)] {
            assert_eq!(load(&shared, at, len, &mut copied), None);
        }
        assert_eq!(load(&shared, 0, 16, &mut copied[..4]).map(<[u8]>::len), Some(16));
        assert_eq!(load(&shared, 0, 16, &mut copied[..3]), None);
        assert!(!load_into(&shared, 13, &mut [const { MaybeUninit::uninit() }; 4]));
        let mut buffer = [0; 8];
        assert!(!move_if(&shared, 13, 4, &mut buffer, &Said(true)));
        assert!(!move_if(&shared, 0, 9, &mut buffer, &Said(true)));
        assert!(!equal(&shared, 13, b"four"));
        assert!(!equal(&shared, usize::MAX, b"four"));
        assert_eq!(first_number(shared.first_chunk().unwrap()), 1 << 32);
        assert_eq!((number(&shared, 4), number(&shared, 8)), (1 | 2 << 32, 2 | 3 << 32));
        assert_eq!((number(&shared, 5), number(&shared, 9)), (2 << 24 | 3 << 56, 0));
    }
}

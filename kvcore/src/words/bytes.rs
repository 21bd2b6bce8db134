//! Runs of bytes in shared words on x86-64, loaded from where they begin.
//!
//! Owns: the loads. All are at most 16 bytes wide, so the processor need have no more than SSE2, and
//! all of a run lies within the words it is said to be in: the functions check that themselves.

#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::{Holds, WORD};
use crate::sync::atomic::AtomicU32;

/// Bytes of a vector.
const VECTOR: usize = size_of::<__m128i>();

/// The first eight bytes of a run, as a number.
#[inline(always)]
pub(crate) fn first_number(run: &[AtomicU32; 2]) -> u64 {
    // SAFETY: eight bytes begin here.
    unsafe { load_8(run.as_ptr().cast()) }
}

/// The eight bytes `at` a place of a run, as a number. Zero if the run ends before them.
#[inline(always)]
pub(crate) fn number(run: &[AtomicU32], at: usize) -> u64 {
    // SAFETY: eight bytes begin there.
    start(run, at, 8).map_or(0, |from| unsafe { load_8(from) })
}

/// Whether the bytes `at` a place of a run are these. Not if the run ends before them.
#[inline(always)]
pub(crate) fn equal(run: &[AtomicU32], at: usize, bytes: &[u8]) -> bool {
    let Some(from) = start(run, at, bytes.len()) else { return false };
    let (to, len) = (bytes.as_ptr(), bytes.len());
    // SAFETY: as many bytes as `bytes` has begin at `from`, and every load below lies within both.
    unsafe {
        match len {
            VECTOR.. => {
                // What is left over overlaps what comes before it.
                let mut same = same_16(from.add(len - VECTOR), to.add(len - VECTOR));
                let mut done = 0;
                while done + VECTOR < len {
                    same = _mm_and_si128(same, same_16(from.add(done), to.add(done)));
                    done += VECTOR;
                }
                _mm_movemask_epi8(same) == 0xffff
            }
            8.. => {
                let differs = |at: usize| load_8(from.add(at)) ^ plain(to.add(at).cast::<u64>());
                differs(0) | differs(len - 8) == 0
            }
            4.. => {
                let differs = |at: usize| load_4(from.add(at)) ^ plain(to.add(at).cast::<u32>());
                differs(0) | differs(len - 4) == 0
            }
            1.. => {
                let differs = |at: usize| load_1(from.add(at)) ^ *to.add(at);
                differs(0) | differs(len / 2) | differs(len - 1) == 0
            }
            0 => true,
        }
    }
}

/// Loads `len` bytes that begin `at` a place of a run, and shows the copy. `None` if they are not in
/// the run, or too many for the copy.
#[inline(always)]
pub(crate) fn load<'a>(
    run: &[AtomicU32],
    at: usize,
    len: usize,
    to: &'a mut [MaybeUninit<u32>],
) -> Option<&'a [u8]> {
    let from = start(run, at, len).filter(|_| len <= size_of_val(to))?;
    let to = to.as_mut_ptr().cast::<u8>();
    // SAFETY: `from` has so many bytes, and so has `to`, which is only ours. They are written then.
    unsafe {
        transfer(from, to, len);
        Some(std::slice::from_raw_parts(to, len))
    }
}

/// Loads as many bytes as `to` has, of those that begin `at` a place of a run. False, and nothing is written,
/// if they are not all in the run.
#[inline(always)]
pub(crate) fn load_into(run: &[AtomicU32], at: usize, to: &mut [MaybeUninit<u8>]) -> bool {
    let Some(from) = start(run, at, to.len()) else { return false };
    // SAFETY: `from` has so many bytes, and so has `to`, which is only ours.
    unsafe { transfer(from, to.as_mut_ptr().cast(), to.len()) };
    true
}

/// The longest run of bytes that [`move_if`] takes.
pub(crate) const MOVED: usize = 8 * VECTOR;

/// Loads `len` bytes that begin `at` a place of a run, and writes them to the front of `to` if `check`
/// says, once all are loaded, that they belong together. Whether it did. Not if the bytes are not in
/// the run, do not fit, or are more than [`MOVED`].
///
/// In between they are in registers, so nothing is copied twice.
#[inline(always)]
pub(crate) fn move_if(
    run: &[AtomicU32],
    at: usize,
    len: usize,
    to: &mut [u8],
    check: &impl Holds,
) -> bool {
    let Some(from) = start(run, at, len).filter(|_| len <= to.len() && len <= MOVED) else {
        return false;
    };
    let to = to.as_mut_ptr();
    // SAFETY: both have `len` bytes, and every access lies within them: see the lengths of each part.
    unsafe {
        if len > 4 * VECTOR {
            // The second half overlaps the first.
            let rest = len - 4 * VECTOR;
            let halves = [load_64(from), load_64(from.add(rest))];
            let holds = check.holds();
            if holds {
                store_64(to, halves[0]);
                store_64(to.add(rest), halves[1]);
            }
            return holds;
        }
        if len >= VECTOR {
            let (last, second) = (len - VECTOR, VECTOR.min(len - VECTOR));
            let places = [0, second, last - second, last];
            let vectors = places.map(|place| load_16(from.add(place)));
            let holds = check.holds();
            if holds {
                for (place, vector) in places.into_iter().zip(vectors) {
                    _mm_storeu_si128(to.add(place).cast(), vector);
                }
            }
            return holds;
        }
        let mut few = [0_u8; VECTOR];
        transfer(from, few.as_mut_ptr(), len);
        let holds = check.holds();
        if holds {
            transfer(few.as_ptr(), to, len);
        }
        holds
    }
}

/// Where `len` bytes begin `at` a place of a run, if they lie in it.
#[inline(always)]
fn start(run: &[AtomicU32], at: usize, len: usize) -> Option<*const u8> {
    let bytes = run.len() * WORD;
    // SAFETY: the place lies in the run, or at its end.
    (at <= bytes && len <= bytes - at).then(|| unsafe { run.as_ptr().cast::<u8>().add(at) })
}

/// Copies bytes that may be changing.
///
/// # Safety
/// `from` must have `len` bytes of atomics or of memory that nobody changes, and `to` as many that are
/// only the caller's.
#[inline(always)]
unsafe fn transfer(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: every access lies within the first `len` bytes of either side.
    unsafe {
        match len {
            VECTOR.. => {
                let mut done = 0;
                while done + 4 * VECTOR < len {
                    store_64(to.add(done), load_64(from.add(done)));
                    done += 4 * VECTOR;
                }
                while done + VECTOR < len {
                    _mm_storeu_si128(to.add(done).cast(), load_16(from.add(done)));
                    done += VECTOR;
                }
                // What is left over overlaps what comes before it.
                let last = len - VECTOR;
                _mm_storeu_si128(to.add(last).cast(), load_16(from.add(last)));
            }
            8.. => {
                let (first, last) = (load_8(from), load_8(from.add(len - 8)));
                to.cast::<u64>().write_unaligned(first);
                to.add(len - 8).cast::<u64>().write_unaligned(last);
            }
            4.. => {
                let (first, last) = (load_4(from), load_4(from.add(len - 4)));
                to.cast::<u32>().write_unaligned(first);
                to.add(len - 4).cast::<u32>().write_unaligned(last);
            }
            1.. => {
                let (middle, last) = (load_1(from.add(len / 2)), load_1(from.add(len - 1)));
                to.write(load_1(from));
                to.add(len / 2).write(middle);
                to.add(len - 1).write(last);
            }
            0 => {}
        }
    }
}

/// A number out of plain memory.
///
/// # Safety
/// Its bytes must be there.
#[inline(always)]
unsafe fn plain<N>(from: *const N) -> N {
    // SAFETY: the caller's promise.
    unsafe { from.read_unaligned() }
}

/// Which of sixteen bytes are the same: each all ones, or all zeros.
///
/// # Safety
/// As [`load_16`] for `shared`; sixteen plain bytes at `bytes`.
#[inline(always)]
unsafe fn same_16(shared: *const u8, bytes: *const u8) -> __m128i {
    // SAFETY: the caller's promise; the intrinsic asks for no alignment.
    unsafe { _mm_cmpeq_epi8(load_16(shared), _mm_loadu_si128(bytes.cast())) }
}

macro_rules! loads {
    ($($name:ident, $kind:ident, $type:ty, $instruction:literal;)*) => { $(
        /// Loads bytes that may be changing.
        ///
        /// # Safety
        /// So many bytes of atomics, or of memory that nobody changes, must begin there.
        #[inline(always)]
        unsafe fn $name(from: *const u8) -> $type {
            let loaded: $type;
            // SAFETY: the instruction reads these bytes, and changes nothing but the register. See the
            // top of `words` for what loads it stands for.
            unsafe {
                asm!(
                    concat!($instruction, ", [{from}]"),
                    loaded = out($kind) loaded,
                    from = in(reg) from,
                    options(pure, nostack, preserves_flags, readonly),
                );
            }
            loaded
        }
    )* };
}

loads! {
    load_16, xmm_reg, __m128i, "movups {loaded}";
    load_8, reg, u64, "mov {loaded}";
    load_4, reg, u32, "mov {loaded:e}";
    load_1, reg_byte, u8, "mov {loaded}";
}

/// Stores four vectors.
///
/// # Safety
/// 64 bytes that are only the caller's must begin there.
#[inline(always)]
unsafe fn store_64(to: *mut u8, vectors: [__m128i; 4]) {
    for (place, vector) in vectors.into_iter().enumerate() {
        // SAFETY: it lies within the 64 bytes; the intrinsic asks for no alignment.
        unsafe { _mm_storeu_si128(to.add(place * VECTOR).cast(), vector) };
    }
}

/// Loads four vectors at once.
///
/// # Safety
/// As [`load_16`], for 64 bytes.
#[inline(always)]
unsafe fn load_64(from: *const u8) -> [__m128i; 4] {
    let (first, second, third, fourth);
    // SAFETY: as `load_16`.
    unsafe {
        asm!(
            "movups {first}, [{from}]",
            "movups {second}, [{from} + 16]",
            "movups {third}, [{from} + 32]",
            "movups {fourth}, [{from} + 48]",
            first = out(xmm_reg) first,
            second = out(xmm_reg) second,
            third = out(xmm_reg) third,
            fourth = out(xmm_reg) fourth,
            from = in(reg) from,
            options(pure, nostack, preserves_flags, readonly),
        );
    }
    [first, second, third, fourth]
}

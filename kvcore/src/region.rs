//! Memory that grows in chunks, never moves, and stays mapped until it is dropped.
//!
//! Owns: the mappings behind a shard's index and slab. Invariants: a word that was once within
//! [`reserve`](Region::reserve) can be read by any thread until the region is dropped, however the
//! region grows or is discarded meanwhile; a word that was never written, or was discarded, reads as
//! zero; a word outside of what is reserved reads as zero too, so a reader that follows an outdated
//! index reads nonsense at worst, and never memory that is not the region's.
//!
//! Why not a `Vec` of boxes: readers look words up without a lock, so nothing may move, and a table
//! of chunk pointers that is mapped once never does. Chunks are as large as a huge page of x86-64 and
//! aligned to it. The first ones come in small pages, so that a small store touches what it uses;
//! they are put into huge pages once they are mostly in use. All later ones ask for
//! huge pages at once, and no longer once a part of them was discarded:
//! a lookup in a large store then misses the translation cache far less often.
//!
//! Under `--cfg kv_shuttle` the atomics are shuttle's and larger than a word, so chunks are arrays on
//! the heap, and small.

#![allow(unsafe_code)]

#[cfg(not(kv_shuttle))]
mod memory;
#[cfg(kv_shuttle)]
#[path = "region/model.rs"]
mod memory;
#[cfg(not(kv_shuttle))]
mod spares;
#[cfg(all(test, not(kv_shuttle)))]
mod tests;

use std::marker::PhantomData;
use std::ptr::{self, NonNull};
// The pointers to chunks are no part of what shuttle explores: they only ever go from null to set.
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};

use crate::error::{Error, Status};
use crate::sync::atomic::{AtomicU32, AtomicU64};

/// Bytes of a chunk.
#[cfg(not(kv_shuttle))]
const CHUNK_BYTES: usize = 2 << 20;
#[cfg(kv_shuttle)]
const CHUNK_BYTES: usize = 16 << 10;

/// Chunks in small pages at the start of a region.
const SMALL_CHUNKS: usize = 3;

/// Chunks of a region of 8-byte words that an index of 32 bits reaches.
#[cfg(not(kv_shuttle))]
const CHUNKS: usize = (8 << 32) / CHUNK_BYTES;
#[cfg(kv_shuttle)]
const CHUNKS: usize = 64;

type Root = [AtomicPtr<()>; CHUNKS];

/// The chunks of a region that has none. Shared, never written, and in no file.
static NO_CHUNKS: Root = [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS];

/// What a region is made of: an atomic integer.
///
/// # Safety
/// All bits zero must be a valid value, and equal to `ZERO`. Outside of shuttle the type must have
/// the size and alignment of `BYTES`, a power of two.
pub(crate) unsafe trait Word: Sized {
    const ZERO: Self;
    const BYTES: usize;
    /// Eighths of a chunk in small pages that are in use when it gets a huge one. Fewer for an index,
    /// which is small beside the entries and looked at for every one of them.
    const JOINED_FROM: usize;
    fn set_zero(&self);
}

macro_rules! word {
    ($atomic:ident, $bytes:literal, $joined_from:literal) => {
        // SAFETY: a standard atomic has the layout of its integer, whose zero is all bits zero; where
        // 8-byte integers have a smaller alignment, the atomic still has 8.
        unsafe impl Word for $atomic {
            #[allow(clippy::declare_interior_mutable_const)]
            const ZERO: Self = $atomic::new(0);
            const BYTES: usize = $bytes;
            const JOINED_FROM: usize = $joined_from;
            fn set_zero(&self) {
                // A page that nobody has written stays out of memory.
                #[cfg(not(kv_shuttle))]
                let is_zero = self.load(Relaxed) == 0;
                // SAFETY: only a load, and not one that other threads come before: nearly all words
                // are zero.
                #[cfg(kv_shuttle)]
                let is_zero = unsafe { self.raw_load() } == 0;
                if !is_zero {
                    self.store(0, Relaxed);
                }
            }
        }
    };
}

word!(AtomicU32, 4, 7);
word!(AtomicU64, 8, 4);

/// Growing memory of atomic words, indexed by 32 bits.
#[repr(C)]
pub(crate) struct Region<A: Word> {
    /// `NO_CHUNKS`, or a mapping of this region's own.
    root: AtomicPtr<Root>,
    /// Words that may have been touched: all lie below.
    extent: AtomicUsize,
    /// What is read where nothing is.
    nothing: [A; 8],
    words: PhantomData<A>,
    /// What `bytes` has shown, because shuttle's atomics have no bytes to refer to.
    #[cfg(kv_shuttle)]
    shown: std::sync::Mutex<Vec<Vec<u8>>>,
}

impl<A: Word> Region<A> {
    /// Words of a chunk, a power of two.
    pub(crate) const CHUNK_WORDS: usize = CHUNK_BYTES / A::BYTES;
    const SHIFT: u32 = Self::CHUNK_WORDS.trailing_zeros();

    pub(crate) const fn new() -> Self {
        Region {
            root: AtomicPtr::new((&raw const NO_CHUNKS).cast_mut()),
            extent: AtomicUsize::new(0),
            nothing: [const { A::ZERO }; 8],
            words: PhantomData,
            #[cfg(kv_shuttle)]
            shown: std::sync::Mutex::new(Vec::new()),
        }
    }

    /// The chunk that has word `index`, or null. Indexes count modulo 2^32.
    #[inline(always)]
    fn chunk(&self, index: usize) -> *mut A {
        let number = (index as u32 >> Self::SHIFT) as usize;
        // SAFETY: the root is `NO_CHUNKS` or a mapping of a whole `Root` that lives as long as the
        // region; both are valid for reads. Acquire shows the root's own contents.
        let root = unsafe { &*self.root.load(Acquire) };
        if number >= CHUNKS {
            // Only under shuttle, or this is optimised away.
            return ptr::null_mut();
        }
        root[number].load(Acquire).cast()
    }

    /// The word at `index`; a zero that must not be written where nothing is reserved.
    #[inline(always)]
    pub(crate) fn get(&self, index: usize) -> &A {
        &self.line::<1>(index)[0]
    }

    /// The `N` words around `index`, where `N` is a power of two up to 8; `index` is rounded down to
    /// a multiple of `N`. All zero, and not to be written, where nothing is reserved.
    #[inline(always)]
    pub(crate) fn line<const N: usize>(&self, index: usize) -> &[A; N] {
        const { assert!(N.is_power_of_two() && N <= 8) };
        let chunk = self.chunk(index);
        let line = if chunk.is_null() {
            self.nothing.as_ptr()
        } else {
            // SAFETY: a chunk has `CHUNK_WORDS` words, and the offset is less.
            unsafe { chunk.add(index & (Self::CHUNK_WORDS - 1) & !(N - 1)) }
        };
        // SAFETY: `N` words start here: the offset into the chunk is a multiple of `N`, as is the
        // length of a chunk; `nothing` has 8. Chunks are zeroed, aligned to their size, only
        // accessed through atomics (and see `bytes`), and live as long as the region.
        unsafe { &*line.cast::<[A; N]>() }
    }

    /// The words from `index` on, `len` of them or as many as are left in the chunk. None where
    /// nothing is reserved.
    #[inline(always)]
    pub(crate) fn run(&self, index: usize, len: usize) -> &[A] {
        let chunk = self.chunk(index);
        if chunk.is_null() {
            return &[];
        }
        let offset = index & (Self::CHUNK_WORDS - 1);
        let len = len.min(Self::CHUNK_WORDS - offset);
        // SAFETY: the words lie within one chunk, of which `line` says why it may be referred to.
        unsafe { std::slice::from_raw_parts(chunk.add(offset), len) }
    }

    /// Asks the processor to fetch the cache line of a word.
    #[inline(always)]
    pub(crate) fn prefetch(&self, index: usize) {
        let chunk = self.chunk(index);
        prefetch(chunk.wrapping_add(index & (Self::CHUNK_WORDS - 1)).cast());
    }

    /// Makes the words below `len` addressable. They cost no memory before they are written. Any
    /// number of threads may call this at once.
    ///
    /// # Errors
    /// `NoMemory`; what was addressable before still is.
    #[inline]
    pub(crate) fn reserve(&self, len: usize) -> Result<(), Error> {
        if len <= self.extent.load(Relaxed) { Ok(()) } else { self.grow(len) }
    }

    #[cold]
    fn grow(&self, len: usize) -> Result<(), Error> {
        if len > CHUNKS.saturating_mul(Self::CHUNK_WORDS).min(1 << 32) {
            return Err(Status::NoMemory.into());
        }
        let root = self.own_root()?;
        let before = self.extent.load(Relaxed);
        for (number, place) in root.iter().enumerate().take(len.div_ceil(Self::CHUNK_WORDS)) {
            if place.load(Relaxed).is_null() {
                let huge = number >= SMALL_CHUNKS;
                let spare = if huge { spares::take() } else { None };
                let chunk = match spare {
                    Some(chunk) => chunk,
                    None => memory::map_chunk::<A>(huge).ok_or(Status::NoMemory)?,
                };
                if place.compare_exchange(ptr::null_mut(), chunk.as_ptr(), AcqRel, Acquire).is_err()
                {
                    // SAFETY: another thread was first, so nobody has seen this chunk.
                    unsafe { memory::unmap_chunk::<A>(chunk) };
                }
            }
            let start = number * Self::CHUNK_WORDS;
            let crosses = |eighths: usize| {
                let mark = start + Self::CHUNK_WORDS / 8 * eighths;
                before <= mark && len > mark
            };
            if number < SMALL_CHUNKS && crosses(A::JOINED_FROM) {
                // Another thread joins its pages: that would stop this write for a millisecond.
                memory::advise(place.load(Relaxed), true);
                NonNull::new(place.load(Relaxed)).inspect(|chunk| spares::join(*chunk));
            }
            if number + 1 >= SMALL_CHUNKS && crosses(6) {
                spares::want();
            }
        }
        self.extent.fetch_max(len, Relaxed);
        Ok(())
    }

    /// The root, made now if the region has none.
    fn own_root(&self) -> Result<&Root, Error> {
        let none = (&raw const NO_CHUNKS).cast_mut();
        if self.root.load(Relaxed) == none {
            let root = memory::map_root().ok_or(Status::NoMemory)?;
            if self.root.compare_exchange(none, root.as_ptr(), AcqRel, Acquire).is_err() {
                // SAFETY: another thread was first, so nobody has seen this root.
                unsafe { memory::unmap_root(root) };
            }
        }
        // SAFETY: as in `chunk`.
        Ok(unsafe { &*self.root.load(Acquire) })
    }

    /// Makes the words of `[from, to)` zero, and gives the whole pages among them back to the
    /// system. They stay addressable. If they were the last ones, the extent ends before them.
    pub(crate) fn discard(&self, from: usize, to: usize) {
        let mut at = from;
        while at < to {
            let end = to.min((at / Self::CHUNK_WORDS + 1) * Self::CHUNK_WORDS);
            let words = self.run(at, end - at);
            if memory::zero(words) {
                // The system would fill the holes of a chunk again that is to have huge pages. One
                // that is empty gets its huge page back when it is used again.
                let whole = words.len() == Self::CHUNK_WORDS;
                let huge = whole && at / Self::CHUNK_WORDS >= SMALL_CHUNKS;
                memory::advise(self.chunk(at).cast(), huge);
            }
            at = end;
        }
        let extent = self.extent.load(Relaxed);
        if from < extent && to >= extent {
            // Fails only if another thread has just reserved more; the extent is then that.
            let _ = self.extent.compare_exchange(extent, from, Relaxed, Relaxed);
        }
    }

    /// Bytes that may be in memory, at most: all up to the highest word reserved and not discarded
    /// since, as whole chunks where those ask for huge pages. Does not know of discards before that.
    pub(crate) fn resident_bytes(&self) -> usize {
        let bytes = self.extent.load(Relaxed) * A::BYTES;
        let huge = bytes > SMALL_CHUNKS * CHUNK_BYTES
            || bytes % CHUNK_BYTES > CHUNK_BYTES / 8 * A::JOINED_FROM;
        if huge { bytes.next_multiple_of(CHUNK_BYTES) } else { bytes }
    }
}

impl Region<AtomicU32> {
    /// The `len` bytes that begin `offset` bytes after word `index`, or fewer where the chunk ends.
    ///
    /// # Safety
    /// No other thread may write those words while the result lives. (Other threads may read them.)
    #[cfg(not(kv_shuttle))]
    #[inline(always)]
    pub(crate) unsafe fn bytes(&self, index: usize, offset: usize, len: usize) -> &[u8] {
        let words = self.run(index, (offset + len).div_ceil(4));
        let offset = offset.min(words.len() * 4);
        let len = len.min(words.len() * 4 - offset);
        // SAFETY: the bytes lie within the words, which are initialised integers; the caller sees to
        // it that none changes.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>().add(offset), len) }
    }

    /// As above, from a copy that is kept until the region is dropped: scenes are short.
    ///
    /// # Safety
    /// None is needed here; callers are written for the other one.
    #[cfg(kv_shuttle)]
    pub(crate) unsafe fn bytes(&self, index: usize, offset: usize, len: usize) -> &[u8] {
        let words = self.run(index, (offset + len).div_ceil(4));
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.load(Relaxed).to_le_bytes()).collect();
        let offset = offset.min(bytes.len());
        let shown = bytes[offset..bytes.len().min(offset + len)].to_vec();
        let (start, len) = (shown.as_ptr(), shown.len());
        self.shown.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(shown);
        // SAFETY: the vector is kept, unchanged, until the region is dropped, and what it has on the
        // heap stays where it is when the vector itself moves.
        unsafe { std::slice::from_raw_parts(start, len) }
    }
}

#[cfg(all(target_endian = "big", not(kv_shuttle)))]
compile_error!("entries are read as bytes of little-endian words");

impl<A: Word> Drop for Region<A> {
    fn drop(&mut self) {
        let root = *self.root.get_mut();
        let Some(root) = NonNull::new(root).filter(|_| !ptr::eq(root, &raw const NO_CHUNKS)) else {
            return;
        };
        // SAFETY: the root is this region's own, and still mapped.
        for chunk in unsafe { root.as_ref() } {
            if let Some(chunk) = NonNull::new(chunk.load(Relaxed)) {
                // SAFETY: nobody refers to the region any more, so nobody to its chunks.
                unsafe { memory::unmap_chunk::<A>(chunk) };
            }
        }
        // SAFETY: as above.
        unsafe { memory::unmap_root(root) };
    }
}

/// Asks the processor to fetch the cache line at an address. Any address is fine.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint that faults on no address, and SSE is part of x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a prefetch is a hint that faults on no address and changes no register.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

/// None under shuttle, where chunks have no huge pages.
#[cfg(kv_shuttle)]
mod spares {
    pub(super) fn want() {}

    pub(super) fn join(_: std::ptr::NonNull<()>) {}

    pub(super) fn take() -> Option<std::ptr::NonNull<()>> {
        None
    }
}

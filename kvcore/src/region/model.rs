//! Chunks on the heap instead of mappings, because shuttle's atomics are larger than the words they
//! stand for.

#![allow(unsafe_code)]

use super::*;

pub(super) fn map_root() -> Option<NonNull<Root>> {
    let root: Box<Root> = Box::new([const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS]);
    NonNull::new(Box::into_raw(root))
}

/// # Safety
/// The root must come from `map_root`, and nobody may use it any more.
pub(super) unsafe fn unmap_root(root: NonNull<Root>) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(root.as_ptr()) });
}

pub(super) fn map_chunk<A: Word>(_huge: bool) -> Option<NonNull<()>> {
    let chunk: Box<[A]> = (0..Region::<A>::CHUNK_WORDS).map(|_| A::ZERO).collect();
    NonNull::new(Box::into_raw(chunk).cast())
}

/// # Safety
/// The chunk must come from `map_chunk` of the same type, and nobody may use it any more.
pub(super) unsafe fn unmap_chunk<A: Word>(chunk: NonNull<()>) {
    let chunk = ptr::slice_from_raw_parts_mut(chunk.as_ptr().cast(), Region::<A>::CHUNK_WORDS);
    // SAFETY: the caller's promise; every chunk has this length.
    drop(unsafe { Box::<[A]>::from_raw(chunk) });
}

pub(super) fn advise(_chunk: *mut (), _huge: bool) {}

pub(super) fn zero<A: Word>(words: &[A]) -> bool {
    words.iter().for_each(Word::set_zero);
    false
}

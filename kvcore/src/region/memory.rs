//! Calls of the system for the chunks of a region.
//!
//! Owns: how chunks are mapped, aligned, advised of and discarded. Invariant: nothing here touches
//! memory that was not mapped here.

#![allow(unsafe_code)]

use super::*;

const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;
const PRIVATE: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

/// Fresh zeroed memory, or none.
fn map(bytes: usize) -> Option<NonNull<()>> {
    // SAFETY: a new private mapping at an address of the system's choice touches nothing else.
    let at = unsafe { libc::mmap(ptr::null_mut(), bytes, READ_WRITE, PRIVATE, -1, 0) };
    if at == libc::MAP_FAILED { None } else { NonNull::new(at.cast()) }
}

/// # Safety
/// The bytes must come from `map`, and nobody may use them any more.
unsafe fn unmap(at: NonNull<()>, bytes: usize) {
    // SAFETY: the caller gives up these pages, and they are no one else's.
    unsafe { libc::munmap(at.as_ptr().cast(), bytes) };
}

pub(super) fn map_root() -> Option<NonNull<Root>> {
    map(size_of::<Root>()).map(NonNull::cast)
}

/// # Safety
/// As `unmap`.
pub(super) unsafe fn unmap_root(root: NonNull<Root>) {
    // SAFETY: the caller's promise.
    unsafe { unmap(root.cast(), size_of::<Root>()) };
}

/// # Safety
/// As `unmap`.
#[expect(clippy::extra_unused_type_parameters, reason = "under shuttle they matter")]
pub(super) unsafe fn unmap_chunk<A>(chunk: NonNull<()>) {
    // SAFETY: the caller's promise.
    unsafe { unmap(chunk, CHUNK_BYTES) };
}

/// A chunk aligned to its size.
#[expect(clippy::extra_unused_type_parameters, reason = "under shuttle they matter")]
pub(super) fn map_chunk<A>(huge: bool) -> Option<NonNull<()>> {
    let chunk = match map(CHUNK_BYTES)? {
        // The system aligns mappings of this size by itself if it is recent.
        chunk if chunk.addr().get() % CHUNK_BYTES == 0 => chunk,
        chunk => {
            // SAFETY: it came from `map`, and was given to nobody.
            unsafe { unmap(chunk, CHUNK_BYTES) };
            map_aligned()?
        }
    };
    if huge {
        advise(chunk.as_ptr(), true);
    }
    Some(chunk)
}

/// Maps twice the size and gives back what is not aligned.
fn map_aligned() -> Option<NonNull<()>> {
    let all = map(2 * CHUNK_BYTES)?;
    let before = all.addr().get().wrapping_neg() % CHUNK_BYTES;
    let chunk = NonNull::new(all.as_ptr().wrapping_byte_add(before))?;
    let rest = NonNull::new(chunk.as_ptr().wrapping_byte_add(CHUNK_BYTES))?;
    // SAFETY: the two parts lie within `all`, beside the chunk, and are used by nobody. Addresses
    // and lengths are multiples of a page, because `all` and a chunk's size are.
    unsafe {
        if before > 0 {
            unmap(all, before);
        }
        unmap(rest, CHUNK_BYTES - before);
    }
    Some(chunk)
}

/// Asks for huge pages in a chunk, or asks that no more of its pages be put into one.
pub(super) fn advise(chunk: *mut (), huge: bool) {
    #[cfg(target_os = "linux")]
    {
        let advice = if huge { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
        // SAFETY: advice on pages that are ours, which keeps their contents. If it is refused,
        // they stay as they are.
        unsafe { libc::madvise(chunk.cast(), CHUNK_BYTES, advice) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (chunk, huge);
}

/// Puts the pages of a chunk into a huge one now, which takes a part of a millisecond. Other threads
/// may use the chunk meanwhile, or have given it back: the system then refuses.
#[cfg(target_os = "linux")]
pub(super) fn collapse(chunk: NonNull<()>) {
    // SAFETY: whatever is mapped there keeps its contents. A system that does not know this advice,
    // or has no huge page to give, leaves the pages as they are.
    unsafe { libc::madvise(chunk.as_ptr().cast(), CHUNK_BYTES, libc::MADV_COLLAPSE) };
}

/// Nothing: the system joins pages by itself, or not at all.
#[cfg(not(target_os = "linux"))]
pub(super) fn collapse(_: NonNull<()>) {}

/// Bytes of a page.
fn page() -> usize {
    static PAGE: AtomicUsize = AtomicUsize::new(0);
    let mut page = PAGE.load(Relaxed);
    if page == 0 {
        // SAFETY: a question to the system about itself.
        page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        PAGE.store(page, Relaxed);
    }
    page
}

/// Makes words zero, and gives whole pages of them back. Whether there were any.
pub(super) fn zero<A: Word>(words: &[A]) -> bool {
    let page = page();
    let start = words.as_ptr().addr();
    let head = (start.next_multiple_of(page) - start) / A::BYTES;
    let (head, rest) = words.split_at(head.min(words.len()));
    let (pages, tail) = rest.split_at(rest.len() * A::BYTES / page * page / A::BYTES);
    head.iter().chain(tail).for_each(Word::set_zero);
    if !pages.is_empty() && !give_back(pages.as_ptr().cast_mut().cast(), size_of_val(pages)) {
        pages.iter().for_each(Word::set_zero);
    }
    !pages.is_empty()
}

/// Exchanges whole pages for fresh ones. To other threads it is as if somebody stored zeros.
fn give_back(at: *mut libc::c_void, bytes: usize) -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: the pages are ours, hold nothing but integers that anybody may change at any time,
    // and stay mapped. Fails for locked pages, which then are as they were.
    return unsafe { libc::madvise(at, bytes, libc::MADV_DONTNEED) } == 0;
    #[cfg(not(target_os = "linux"))]
    {
        const OVER: i32 = PRIVATE | libc::MAP_FIXED;
        // SAFETY: as above; a mapping over pages of our own exchanges them in one step.
        unsafe { libc::mmap(at, bytes, READ_WRITE, OVER, -1, 0) != libc::MAP_FAILED }
    }
}

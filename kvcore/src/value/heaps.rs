//! The heaps of large values: addresses from the system, and pages given back to it.
//!
//! Owns: the mappings, which are never undone, and the free runs in them. Invariants: a run is handed
//! out to one block at a time; pages are given back only while their run belongs to nobody, and without
//! the lock.

#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
// Heaps are no part of what shuttle explores.
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::runs::Runs;
use crate::fork::{self, PerProcess};

/// Bytes mapped at a time, at least. They are addresses until they are used.
const AREA: usize = 64 << 20;

/// From this length on pages are asked for at once, not one fault at a time.
const POPULATED: usize = 16 << 10;

/// The heaps of one process.
pub(super) struct Heaps {
    /// Of blocks that share pages, and of those that do not.
    shared: Mutex<Runs>,
    paged: Mutex<Runs>,
    generation: u32,
}

impl Default for Heaps {
    fn default() -> Self {
        let runs = || Mutex::new(Runs::new());
        Heaps { shared: runs(), paged: runs(), generation: fork::generation() }
    }
}

/// Those of an earlier process stay as they are.
static CURRENT: PerProcess<Heaps> = PerProcess::new();

/// The heaps for new blocks.
pub(super) fn current() -> &'static Heaps {
    CURRENT.current()
}

impl Heaps {
    fn runs(&self, paged: bool) -> MutexGuard<'_, Runs> {
        let runs = if paged { &self.paged } else { &self.shared };
        runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run of exactly `bytes`, of which nothing is known.
    pub(super) fn take(&self, bytes: usize, paged: bool) -> Option<NonNull<u8>> {
        let mut runs = self.runs(paged);
        let taken = match runs.take(bytes) {
            Some(taken) => taken,
            None => {
                let area = bytes.checked_next_multiple_of(AREA)?;
                runs.add(memory::map(area)?, area);
                runs.take(bytes)?
            }
        };
        drop(runs);
        let start = ptr::with_exposed_provenance_mut::<u8>(taken.start);
        if !taken.warm && bytes >= POPULATED {
            memory::populate(start, bytes);
        }
        NonNull::new(start)
    }

    /// Takes a run back.
    ///
    /// # Safety
    /// It came from `take` of these heaps with these arguments, and nobody refers to it any more.
    pub(super) unsafe fn give_back(&self, start: NonNull<u8>, bytes: usize, paged: bool) {
        if self.generation != fork::generation() {
            // The lock may never be free in this process.
            return;
        }
        let mut runs = self.runs(paged);
        runs.free(start.addr().get(), bytes);
        while let Some(cooling) = runs.next_to_cool(memory::page()) {
            drop(runs);
            let pages = cooling.pages.clone();
            let at = ptr::with_exposed_provenance_mut::<u8>(pages.start);
            // SAFETY: the pages lie in free runs that are in no list now, so they are nobody's.
            unsafe { memory::discard(at, pages.len()) };
            runs = self.runs(paged);
            runs.cooled(cooling);
        }
    }
}

/// Calls of the system.
#[cfg(not(kv_shuttle))]
mod memory {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;
    const PRIVATE: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

    /// The address of fresh memory.
    pub(super) fn map(bytes: usize) -> Option<usize> {
        // SAFETY: a new private mapping at an address of the system's choice touches nothing else.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), bytes, READ_WRITE, PRIVATE, -1, 0) };
        (at != libc::MAP_FAILED).then(|| at.expose_provenance())
    }

    /// Puts the whole pages of a run into memory, if the system can do that at once.
    pub(super) fn populate(at: *mut u8, bytes: usize) {
        #[cfg(target_os = "linux")]
        {
            /// Of Linux 5.14, and younger than some versions of libc.
            const MADV_POPULATE_WRITE: i32 = 23;
            let before = at.addr().next_multiple_of(page()) - at.addr();
            let pages = bytes.saturating_sub(before) / page() * page();
            let at = at.wrapping_add(before).cast();
            // SAFETY: this changes no byte of the pages. If it is refused, each comes with a fault.
            unsafe { libc::madvise(at, pages, MADV_POPULATE_WRITE) };
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (at, bytes);
    }

    /// Gives pages back. They stay addressable, and what is in them is lost.
    ///
    /// # Safety
    /// They are whole pages of mappings made here, and nobody uses them.
    pub(super) unsafe fn discard(at: *mut u8, bytes: usize) {
        if bytes == 0 {
            return;
        }
        #[cfg(target_os = "linux")]
        // SAFETY: the caller's promise. A refusal leaves the pages in memory.
        unsafe {
            libc::madvise(at.cast(), bytes, libc::MADV_DONTNEED);
        }
        #[cfg(not(target_os = "linux"))]
        // SAFETY: the caller's promise; a mapping over pages of our own exchanges them in one step.
        unsafe {
            libc::mmap(at.cast(), bytes, READ_WRITE, PRIVATE | libc::MAP_FIXED, -1, 0);
        }
    }

    /// Bytes of a page.
    pub(super) fn page() -> usize {
        static PAGE: AtomicUsize = AtomicUsize::new(0);
        let mut page = PAGE.load(Relaxed);
        if page == 0 {
            // SAFETY: a question to the system about itself.
            page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
            PAGE.store(page, Relaxed);
        }
        page
    }
}

/// The same from the program's allocator, of which shuttle's tests need no memory back.
#[cfg(kv_shuttle)]
mod memory {
    pub(super) fn map(bytes: usize) -> Option<usize> {
        let area = vec![0_u8; bytes];
        Some(area.leak().as_mut_ptr().expose_provenance())
    }

    pub(super) fn populate(_at: *mut u8, _bytes: usize) {}

    /// # Safety
    /// None.
    pub(super) unsafe fn discard(_at: *mut u8, _bytes: usize) {}

    pub(super) fn page() -> usize {
        4096
    }
}

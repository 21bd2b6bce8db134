//! Tells a store that it has crossed a `fork`.
//!
//! Owns: the process's fork generation. A child starts with a copy of every lock, held or not, and
//! without the threads that would release them, so an inherited store must not be used there. The
//! child's handler only moves a counter; a call compares it with the one its store opened under.

#![allow(unsafe_code)]

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(0);
static WATCH: Once = Once::new();

/// The number of forks between the first process and this one, since the first store was opened.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Starts counting forks. Called by every open; only the first call does something.
pub(crate) fn watch() {
    WATCH.call_once(|| {
        // SAFETY: the handler is a plain function that lives as long as the library, which is
        // linked so that it is never unloaded, and it only touches an atomic, as a child of a
        // process with threads must. A failure (no memory) leaves forks uncounted.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

//! Chunks in huge pages that are in memory before anybody writes to them, and chunks that get theirs
//! later.
//!
//! Owns: a thread, and the chunks it has prepared. Invariants: a spare belongs to whoever takes it out
//! of its place, the thread or a region; nobody ever waits for the thread.
//!
//! The first touch of a huge page clears 2 MiB, which takes from a fifth of a millisecond to several:
//! too long for one write. So a region that is near the end of a chunk asks for a spare, and finds it
//! here when it gets there. If it comes too early, or the thread is missing, it touches a chunk of its own. To put the pages of a chunk in use into a huge one takes as long, and is
//! done by the same thread. Spares that nobody took in some seconds are given back.

use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};
use std::thread::Thread;
use std::time::Duration;

use super::memory;
use crate::fork::PerProcess;
use crate::sync::spawn;

/// The most chunks that wait to be taken.
const PLACES: usize = 16;

/// How long they wait.
const PATIENCE: Duration = Duration::from_secs(4);

static SPARES: [AtomicPtr<()>; PLACES] = [const { AtomicPtr::new(ptr::null_mut()) }; PLACES];
static WANTED: AtomicUsize = AtomicUsize::new(0);
/// The thread, as [`wake`] found or started it.
static HELPER: PerProcess<Helper> = PerProcess::new();

#[derive(Default)]
struct Helper {
    /// Whoever sets it starts the thread.
    is_started: AtomicBool,
    thread: OnceLock<Thread>,
}

/// Chunks in small pages that are to have a huge one. The first chunks of a region begin that way; once
/// they are mostly in use, only lookups count, and those miss the translation cache far less often then.
static JOINED: [AtomicPtr<()>; JOINS] = [const { AtomicPtr::new(ptr::null_mut()) }; JOINS];

/// The most chunks that wait for that. The system joins the pages of others in its own time.
const JOINS: usize = 64;

/// Asks that the pages of a chunk be put into a huge one soon.
pub(super) fn join(chunk: NonNull<()>) {
    let none = ptr::null_mut();
    let place = JOINED
        .iter()
        .find(|place| place.compare_exchange(none, chunk.as_ptr(), AcqRel, Relaxed).is_ok());
    if place.is_some() {
        wake();
    }
}

/// Asks for one more spare.
pub(super) fn want() {
    WANTED.fetch_add(1, AcqRel);
    wake();
}

/// Wakes the thread, or starts it. Waits for nobody who does: the thread looks at everything when it begins.
fn wake() {
    let helper = HELPER.current();
    if let Some(thread) = helper.thread.get() {
        thread.unpark();
    } else if !helper.is_started.swap(true, AcqRel)
        && let Ok(handle) = spawn("kv-pages", serve)
    {
        // If the system has no thread to give, there are no spares. One that was asked for meanwhile, after the
        // thread had looked, is made with the next one.
        let _ = helper.thread.set(handle.thread().clone());
        handle.thread().unpark();
    }
}

/// A spare, if there is one.
pub(super) fn take() -> Option<NonNull<()>> {
    SPARES.iter().find_map(|place| {
        let empty = place.load(Relaxed).is_null();
        if empty { None } else { NonNull::new(place.swap(ptr::null_mut(), AcqRel)) }
    })
}

/// What the thread does.
fn serve() {
    loop {
        while WANTED.load(Acquire) > 0 {
            prepare();
            WANTED.fetch_sub(1, AcqRel);
        }
        for place in &JOINED {
            if let Some(chunk) = NonNull::new(place.swap(ptr::null_mut(), AcqRel)) {
                memory::collapse(chunk);
            }
        }
        let waits = SPARES.iter().any(|place| !place.load(Relaxed).is_null());
        if !waits {
            std::thread::park();
            continue;
        }
        std::thread::park_timeout(PATIENCE);
        if WANTED.load(Acquire) == 0 {
            while let Some(spare) = take() {
                // SAFETY: it was taken out, so it is nobody else's, and no region has seen it.
                unsafe { memory::unmap_chunk::<()>(spare) };
            }
        }
    }
}

/// Puts a chunk into the first free place.
fn prepare() {
    let Some(place) = SPARES.iter().find(|place| place.load(Relaxed).is_null()) else { return };
    let Some(chunk) = memory::map_chunk::<()>(true) else { return };
    // SAFETY: the chunk is mapped, and nobody else knows of it.
    unsafe { chunk.as_ptr().cast::<u8>().write_volatile(0) };
    if place.compare_exchange(ptr::null_mut(), chunk.as_ptr(), AcqRel, Relaxed).is_err() {
        // SAFETY: it was given to nobody.
        unsafe { memory::unmap_chunk::<()>(chunk) };
    }
}

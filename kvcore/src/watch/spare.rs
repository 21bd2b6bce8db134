//! The memory of an event that made room, for the next event of the same thread.
//!
//! Owns: one run of bytes for each thread that changes a watched store. While a store is watched, every change puts
//! an event into the buffer and takes another one out, which mostly another thread has put there. Freeing memory of
//! another thread is the dearest thing an allocator does, so the run is used again instead.
//!
//! Invariants: a thread keeps [`KEPT_BYTES`] at most; an event never holds much more than it needs, because what
//! events hold is limited.

use std::cell::Cell;

use crate::words;

/// The longest run that is kept.
const KEPT_BYTES: usize = 4 << 10;

/// What a run may have beyond twice of what is asked for.
const SLACK_BYTES: usize = 64;

/// Bytes of a cache line, and lines of a run that are sent for: the processor finds out by itself that it goes on.
const LINE: usize = 64;
const PREFETCHED_LINES: usize = 4;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty run with room for so many bytes.
pub(super) fn take(len: usize) -> Vec<u8> {
    // A thread that is ending has none.
    let mut spare = SPARE.try_with(Cell::take).unwrap_or_default();
    if (len..=2 * len + SLACK_BYTES).contains(&spare.capacity()) {
        spare.clear();
        return spare;
    }
    Vec::with_capacity(len)
}

/// Keeps a run for the next event of this thread.
pub(super) fn give(run: Vec<u8>) {
    if run.capacity() <= KEPT_BYTES {
        // It was written long ago, and is written next.
        for line in run.chunks(LINE).take(PREFETCHED_LINES) {
            words::prefetch(line);
        }
        let _ = SPARE.try_with(|spare| spare.set(run));
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_used_again_where_it_fits() {
        let run = Vec::with_capacity(100);
        let place = run.as_ptr();
        give(run);
        let again = take(90);
        assert!(again.is_empty() && again.capacity() == 100 && again.as_ptr() == place);
        for wrong in [101, 17] {
            give(Vec::with_capacity(100));
            assert_eq!(take(wrong).capacity(), wrong);
        }
        give(Vec::with_capacity(KEPT_BYTES + 1));
        assert_eq!(take(KEPT_BYTES).capacity(), KEPT_BYTES);
    }
}

//! Mistakes that tests plant, to show that the scenes under shuttle would find them.
//!
//! Owns: which of them the running test has planted. In any other build no mistake can be, and the
//! questions are gone from the code.

/// A step that is left out, or done where it is too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(kv_shuttle), allow(dead_code))]
pub enum Planted {
    /// Readers do not ask whether the bucket has changed.
    NoRecheck,
    /// Writers change an entry without opening its bucket.
    NoOpen,
    /// Readers are not held off while many keys change.
    NoHold,
    /// Readers ask for the time once they know that nothing has changed.
    LateClock,
    /// A table is emptied and goes on in the same epoch.
    NoEpoch,
    /// Who had the stage of the change feed does not look for what others published meanwhile.
    NoSecondLook,
    /// The change feed exposes parts of a change.
    NoWhole,
}

/// Whether a mistake is planted.
#[cfg(not(kv_shuttle))]
#[inline(always)]
pub(crate) const fn is_planted(_: Planted) -> bool {
    false
}

#[cfg(kv_shuttle)]
pub(crate) use shuttle_only::is_planted;

#[cfg(kv_shuttle)]
mod shuttle_only {
    use std::cell::Cell;

    use super::Planted;

    thread_local! {
        // Shuttle runs all threads of a scene on the one of its test.
        static NOW: Cell<Option<Planted>> = const { Cell::new(None) };
    }

    pub(crate) fn is_planted(mistake: Planted) -> bool {
        NOW.get() == Some(mistake)
    }

    impl Planted {
        /// Plants the mistake in everything that the calling thread runs from now on.
        pub fn plant(self) {
            NOW.set(Some(self));
        }
    }
}

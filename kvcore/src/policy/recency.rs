//! Time as `lru` sees it: a number of six bits that touches advance.
//!
//! One word for a shard, changed by readers without its lock. It counts in parts of a quantum,
//! 2^32 of them, so that a touch is one addition and the quantum may change at any moment. Stamps
//! run from 1 to 63 and around; 0 means "not touched since its record was last looked at".
//!
//! The clock stands still when the next stamp is still in use by entries that nobody has looked at
//! since it was given last. The policy moves that limit on as it looks at them.

use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Parts in a quantum.
const QUANTUM: u64 = 1 << 32;
/// How many stamps there are.
pub(super) const STAMPS: u64 = 63;
/// From this many touches in a quantum on, one touch in [`CHANCE`] counts for all of them.
const MANY: u64 = 256;
/// See [`MANY`].
const CHANCE: u64 = 16;

/// The clock of one shard.
#[derive(Debug)]
pub(crate) struct Recency {
    /// Parts of quanta since the start.
    time: AtomicU64,
    /// Parts that a touch adds.
    step: AtomicU64,
    /// The quantum that may not be passed.
    stop: AtomicU64,
}

impl Recency {
    /// A clock whose quantum is one touch.
    pub(crate) fn new() -> Recency {
        Recency {
            time: AtomicU64::new(QUANTUM),
            step: AtomicU64::new(QUANTUM),
            stop: AtomicU64::new(STAMPS - 1),
        }
    }

    /// Whether touches are no longer told apart although they should be, one by one.
    pub(crate) fn stuck(&self) -> bool {
        self.step.load(Relaxed) >= QUANTUM && self.now() >= self.stop.load(Relaxed)
    }

    /// The quantum.
    pub(super) fn now(&self) -> u64 {
        self.time.load(Relaxed) / QUANTUM
    }

    /// The stamp of a quantum.
    pub(super) fn stamp_of(quantum: u64) -> u8 {
        (quantum % STAMPS) as u8 + 1
    }

    /// The last quantum, up to `now`, that has this stamp.
    pub(super) fn quantum_of(stamp: u8, now: u64) -> u64 {
        let back = (now % STAMPS + STAMPS + 1 - u64::from(stamp)) % STAMPS;
        now.saturating_sub(back)
    }

    /// The new stamp of what is touched now.
    #[inline]
    pub(super) fn touch(&self, access: u8) -> u8 {
        let time = self.time.load(Relaxed);
        let step = self.step.load(Relaxed);
        let stamp = Self::stamp_of(time / QUANTUM);
        if access == stamp {
            return stamp;
        }
        if step * MANY > QUANTUM {
            return Self::stamp_of(self.advance(time, step));
        }
        if crate::random::up_to(CHANCE - 1) == 0 {
            self.advance(time, step * CHANCE);
        }
        stamp
    }

    /// Moves on by `parts`, unless that would pass the limit. Answers with the quantum.
    pub(super) fn advance(&self, time: u64, parts: u64) -> u64 {
        let stop = self.stop.load(Relaxed);
        if (time + parts) / QUANTUM > stop {
            return (time / QUANTUM).min(stop);
        }
        // Readers that add at the same moment may pass the limit by a quantum or two; it leaves room.
        (self.time.fetch_add(parts, Relaxed) + parts) / QUANTUM
    }

    /// Ends the quantum before its time. False if the limit does not allow that.
    pub(super) fn end_quantum(&self) -> bool {
        let now = self.now();
        self.advance(self.time.load(Relaxed), QUANTUM) > now
    }

    /// An entry is added: always a touch.
    pub(super) fn tick(&self) -> u64 {
        self.advance(self.time.load(Relaxed), self.step.load(Relaxed))
    }

    /// Sets the touches in a quantum.
    pub(super) fn set_quantum(&self, touches: u64) {
        let step = QUANTUM / touches.max(1);
        if self.step.load(Relaxed) != step {
            self.step.store(step, Relaxed);
        }
    }

    /// Sets the quantum that may not be passed.
    pub(super) fn set_stop(&self, stop: u64) {
        self.stop.store(stop, Relaxed);
    }
}

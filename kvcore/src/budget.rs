//! The limits of a store, and what counts against them.
//!
//! Owns: the global counts of entries and of bytes, each kept only while it has a limit. Invariants: room
//! is reserved before it is used, so neither limit is exceeded at any moment; what a shard holds and
//! what is counted here change under that shard's lock, so with all locks held they agree.

use crate::sync::atomic::{AtomicU64, Ordering};

/// No limit.
pub(crate) const UNLIMITED: u64 = u64::MAX;

/// What an allocation of `bytes` takes from the system. Models the size classes of mimalloc, which
/// the final artefacts use: steps of 16 bytes up to 64, then a quarter of a power of two.
pub(crate) const fn allocation(bytes: usize) -> usize {
    const PAGE: usize = 4096;
    match bytes {
        0 => 0,
        1..=8 => 8,
        9..=64 => bytes.next_multiple_of(16),
        65..=131_072 => {
            // A power of two, so that rounding needs no division: this is part of every write.
            let step = bytes.next_power_of_two() / 8;
            (bytes + step - 1) & !(step - 1)
        }
        _ => bytes.next_multiple_of(PAGE),
    }
}

/// Room that a change needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

impl Need {
    /// Room in bytes alone.
    pub(crate) fn bytes(bytes: usize) -> Need {
        Need { entries: 0, bytes: bytes as u64 }
    }

    pub(crate) fn sum(needs: impl IntoIterator<Item = Need>) -> Need {
        needs.into_iter().fold(Need::default(), |sum, need| Need {
            entries: sum.entries + need.entries,
            bytes: sum.bytes + need.bytes,
        })
    }
}

/// One limit, and what counts against it. A limit comes and goes only while every shard's lock is held.
struct Limit {
    max: AtomicU64,
    /// What is taken, reservations included; means nothing without a limit.
    taken: AtomicU64,
}

impl Limit {
    fn new(max: u64) -> Limit {
        Limit { max: AtomicU64::new(max), taken: AtomicU64::new(0) }
    }

    #[inline]
    fn max(&self) -> u64 {
        self.max.load(Ordering::Acquire)
    }

    /// Whether there is a limit, and so whether anything is counted.
    #[inline]
    fn counts(&self) -> bool {
        self.max.load(Ordering::Relaxed) != UNLIMITED
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// What is taken, for who holds no lock: whoever sees a new limit sees what was counted for it.
    fn seen(&self) -> Option<u64> {
        (self.max() != UNLIMITED).then(|| self.taken())
    }

    /// Takes so much unless more than `max` would be taken.
    #[inline]
    fn take(&self, more: u64, max: u64) -> bool {
        if more == 0 || !self.counts() {
            return true;
        }
        let within = |taken: u64| taken.checked_add(more).filter(|total| *total <= max);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, within).is_ok()
    }

    #[inline]
    fn give(&self, less: u64) {
        if less > 0 && self.counts() {
            self.taken.fetch_sub(less, Ordering::AcqRel);
        }
    }

    fn fits(&self, more: u64, max: u64) -> bool {
        more == 0
            || !self.counts()
            || self.taken().checked_add(more).is_some_and(|total| total <= max)
    }

    fn set(&self, max: u64, taken: u64) {
        self.taken.store(taken, Ordering::Release);
        self.max.store(max, Ordering::Release);
    }

    fn validate(&self, what: &str, used: u64) {
        if self.counts() {
            assert_eq!(self.taken(), used, "the budget disagrees with the shards about {what}");
            assert!(used <= self.max(), "{used} {what} are over the limit of {}", self.max());
        }
    }
}

/// The limits of one store.
pub(crate) struct Budget {
    entries: Limit,
    bytes: Limit,
    /// What may be taken without asking, and so is kept back from those who ask.
    margin: u64,
}

impl Budget {
    /// Limits of an empty store. `margin` is the most that [`overdraw`](Budget::overdraw) takes.
    pub(crate) fn new(max_entries: u64, max_bytes: u64, margin: u64) -> Self {
        Budget { entries: Limit::new(max_entries), bytes: Limit::new(max_bytes), margin }
    }

    /// Whether bytes are limited, and so counted. Stays as it is while the lock of any shard is held.
    #[inline]
    pub(crate) fn counts_bytes(&self) -> bool {
        self.bytes.counts()
    }

    /// Entries taken now, reservations included; `None` while they are not counted.
    pub(crate) fn entries_taken(&self) -> Option<u64> {
        self.entries.seen()
    }

    /// Bytes taken now, reservations included; `None` while they are not counted.
    pub(crate) fn bytes_taken(&self) -> Option<u64> {
        self.bytes.seen()
    }

    /// Takes room, or takes nothing and answers `false`.
    #[inline]
    pub(crate) fn reserve(&self, need: Need) -> bool {
        if !self.entries.take(need.entries, self.entries.max()) {
            return false;
        }
        if !self.bytes.take(need.bytes, self.askable_bytes()) {
            self.entries.give(need.entries);
            return false;
        }
        true
    }

    /// Gives room back.
    #[inline]
    pub(crate) fn release(&self, room: Need) {
        self.entries.give(room.entries);
        self.bytes.give(room.bytes);
    }

    /// Takes a little room without asking. The policy's margin is there for that.
    pub(crate) fn overdraw(&self, bytes: usize) {
        if self.bytes.counts() {
            self.bytes.taken.fetch_add(bytes as u64, Ordering::AcqRel);
        }
    }

    /// Whether there would be room now.
    pub(crate) fn has_room(&self, need: Need) -> bool {
        self.entries.fits(need.entries, self.entries.max())
            && self.bytes.fits(need.bytes, self.askable_bytes())
    }

    /// Whether an empty store would have room.
    pub(crate) fn could_ever_fit(&self, need: Need) -> bool {
        need.entries <= self.entries.max() && need.bytes <= self.askable_bytes()
    }

    /// The limit on bytes for those who ask.
    #[inline]
    fn askable_bytes(&self) -> u64 {
        const LEAST_SHARE: u64 = 16;
        let max = self.bytes.max();
        if max == UNLIMITED { max } else { max - self.margin.min(max / LEAST_SHARE) }
    }

    /// The limit on entries.
    pub(crate) fn max_entries(&self) -> u64 {
        self.entries.max()
    }

    /// The limit on bytes.
    pub(crate) fn max_bytes(&self) -> u64 {
        self.bytes.max()
    }

    /// Sets new limits, given what all shards together use. The caller holds every shard's lock.
    pub(crate) fn set_limits(&self, max_entries: u64, max_bytes: u64, used: Need) {
        self.entries.set(max_entries, used.entries);
        self.bytes.set(max_bytes, used.bytes);
    }

    /// Checks the counts against what all shards together use. The caller holds every shard's lock.
    pub(crate) fn validate(&self, used: Need) {
        self.entries.validate("entries", used.entries);
        self.bytes.validate("bytes", used.bytes);
    }
}

#[cfg(all(test, not(kv_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn allocations_never_shrink() {
        for bytes in 1..200_000 {
            assert!(allocation(bytes) >= bytes);
            assert!(allocation(bytes) >= allocation(bytes - 1));
            assert_eq!(allocation(allocation(bytes)), allocation(bytes));
        }
    }

    #[test]
    fn room_is_taken_whole_or_not_at_all() {
        let budget = Budget::new(2, 100, 0);
        let need = |entries, bytes| Need { entries, bytes };
        assert!(budget.reserve(need(1, 60)));
        assert!(!budget.reserve(need(1, 60)));
        assert!(budget.reserve(need(1, 40)));
        assert!(!budget.reserve(need(1, 0)));
        assert!(budget.reserve(need(0, 0)));
        budget.validate(need(2, 100));
        budget.release(need(1, 40));
        assert!(budget.has_room(need(1, 40)) && !budget.has_room(need(1, 41)));
        assert!(budget.could_ever_fit(need(2, 100)));
        assert!(!budget.could_ever_fit(need(0, 101)) && !budget.could_ever_fit(need(3, 0)));
    }
}

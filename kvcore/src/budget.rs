//! The limits of a store, and what counts against them.
//!
//! Owns: the global count of entries and bytes, kept only while there is a limit. Invariants: room
//! is reserved before it is used, so neither limit is exceeded at any moment; what a shard holds and
//! what is counted here change under that shard's lock, so with all locks held they agree.

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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

/// The limits of one store.
pub(crate) struct Budget {
    /// Whether there is a limit, and so whether anything is counted. Changes only while every
    /// shard's lock is held.
    counting: AtomicBool,
    max_entries: AtomicU64,
    max_bytes: AtomicU64,
    entries: AtomicU64,
    bytes: AtomicU64,
    /// What may be taken without asking, and so is kept back from those who ask.
    margin: u64,
}

impl Budget {
    /// Limits of an empty store. `margin` is the most that [`overdraw`](Budget::overdraw) takes.
    pub(crate) fn new(max_entries: u64, max_bytes: u64, margin: u64) -> Self {
        Budget {
            counting: AtomicBool::new(max_entries != UNLIMITED || max_bytes != UNLIMITED),
            max_entries: AtomicU64::new(max_entries),
            max_bytes: AtomicU64::new(max_bytes),
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            margin,
        }
    }

    /// Whether there is a limit, and so whether anything is counted. Stays as it is while the lock of
    /// any shard is held.
    #[inline]
    pub(crate) fn is_counting(&self) -> bool {
        self.counting.load(Ordering::Relaxed)
    }

    /// What is taken now, reservations included; `None` while nothing is counted.
    pub(crate) fn taken(&self) -> Option<Need> {
        self.is_counting().then(|| Need {
            entries: self.entries.load(Ordering::Acquire),
            bytes: self.bytes.load(Ordering::Acquire),
        })
    }

    /// Takes room, or takes nothing and answers `false`.
    #[inline]
    pub(crate) fn reserve(&self, need: Need) -> bool {
        if !self.is_counting() {
            return true;
        }
        if !take(&self.entries, need.entries, self.max_entries.load(Ordering::Acquire)) {
            return false;
        }
        if !take(&self.bytes, need.bytes, self.askable_bytes()) {
            self.entries.fetch_sub(need.entries, Ordering::AcqRel);
            return false;
        }
        true
    }

    /// Gives room back.
    #[inline]
    pub(crate) fn release(&self, room: Need) {
        if self.is_counting() {
            self.entries.fetch_sub(room.entries, Ordering::AcqRel);
            self.bytes.fetch_sub(room.bytes, Ordering::AcqRel);
        }
    }

    /// Takes a little room without asking. The policy's margin is there for that.
    pub(crate) fn overdraw(&self, bytes: usize) {
        if self.is_counting() {
            self.bytes.fetch_add(bytes as u64, Ordering::AcqRel);
        }
    }

    /// Whether there would be room now.
    pub(crate) fn has_room(&self, need: Need) -> bool {
        let fits = |used: &AtomicU64, more: u64, max: u64| {
            let total = used.load(Ordering::Acquire).checked_add(more);
            more == 0 || total.is_some_and(|total| total <= max)
        };
        !self.is_counting()
            || fits(&self.entries, need.entries, self.max_entries.load(Ordering::Acquire))
                && fits(&self.bytes, need.bytes, self.askable_bytes())
    }

    /// Whether an empty store would have room.
    pub(crate) fn could_ever_fit(&self, need: Need) -> bool {
        need.entries <= self.max_entries.load(Ordering::Acquire)
            && need.bytes <= self.askable_bytes()
    }

    /// The limit on bytes for those who ask.
    fn askable_bytes(&self) -> u64 {
        const LEAST_SHARE: u64 = 16;
        let max = self.max_bytes.load(Ordering::Acquire);
        if max == UNLIMITED { max } else { max - self.margin.min(max / LEAST_SHARE) }
    }

    /// The limit on entries.
    pub(crate) fn max_entries(&self) -> u64 {
        self.max_entries.load(Ordering::Acquire)
    }

    /// Sets new limits, given what all shards together use. The caller holds every shard's lock.
    pub(crate) fn set_limits(&self, max_entries: u64, max_bytes: u64, used: Need) {
        self.max_entries.store(max_entries, Ordering::Release);
        self.max_bytes.store(max_bytes, Ordering::Release);
        self.entries.store(used.entries, Ordering::Release);
        self.bytes.store(used.bytes, Ordering::Release);
        let limited = max_entries != UNLIMITED || max_bytes != UNLIMITED;
        self.counting.store(limited, Ordering::Release);
    }

    /// Checks the count against what all shards together use. The caller holds every shard's lock.
    pub(crate) fn validate(&self, used: Need) {
        if let Some(taken) = self.taken() {
            assert_eq!(taken, used, "the budget disagrees with the shards");
            assert!(used.entries <= self.max_entries.load(Ordering::Acquire));
            assert!(used.bytes <= self.max_bytes.load(Ordering::Acquire));
        }
    }
}

fn take(used: &AtomicU64, more: u64, max: u64) -> bool {
    if more == 0 {
        return true;
    }
    let within = |used: u64| used.checked_add(more).filter(|total| *total <= max);
    used.fetch_update(Ordering::AcqRel, Ordering::Acquire, within).is_ok()
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

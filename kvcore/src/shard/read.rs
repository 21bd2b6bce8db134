//! Reads of one shard by the holder of its lock. They change nothing but what they count.

use super::{Found, Shard, Sight};
use crate::clock::Now;
use crate::entry::{self, Head, NEVER};
use crate::hash::Key;
use crate::set_options::Remaining;
use crate::stats::HitCounter;
use crate::value::{PinMeter, Value, ValueInfo};

impl Shard {
    /// Shows the entry of a key to `read`. `hit` is whether that counts as a use of it.
    #[inline]
    pub(crate) fn read<R>(
        &self,
        key: Key<'_>,
        now: &Now<'_>,
        hit: bool,
        read: impl FnOnce(&Shard, &Seen) -> R,
    ) -> Option<R> {
        let found = self.find_live(key, now)?;
        if hit {
            self.used_again(key, found.id);
        }
        Some(read(self, &Seen(found)))
    }

    /// Counts a hit of an entry that counts its hits: surely, or by chance as its counter wants.
    pub(crate) fn count_hit(&mut self, key: Key<'_>, now: &Now<'_>, surely: bool) {
        let Some(found) = self.find_live(key, now) else { return };
        if let Some((_, hits)) = found.head.access() {
            let next = if surely { hits.saturating_add(1) } else { HitCounter::next(hits) };
            entry::set_hits(&self.space.words, found.id, &found.head, next);
        }
    }

    /// The bytes of a value that was seen.
    pub(crate) fn value_bytes(&self, seen: &Seen) -> &[u8] {
        self.entries().value(&seen.0)
    }

    /// A value that was seen, for a caller to keep.
    pub(crate) fn value_of(&self, seen: &Seen, pins: &'static PinMeter) -> Value {
        self.value(&seen.0, pins)
    }

    /// The bytes of the value of a key, if it is there and has not expired.
    pub(crate) fn live_value(&self, key: Key<'_>, now: &Now<'_>) -> Option<&[u8]> {
        let found = self.find_live(key, now)?;
        Some(self.entries().value(&found))
    }

    /// Deadline, which may be [`NEVER`](crate::entry::NEVER), and version of a key, if it is there and has
    /// not expired.
    pub(crate) fn live_info(&self, key: Key<'_>, now: &Now<'_>) -> Option<(i64, u64)> {
        self.find_live(key, now).map(|found| (found.head.deadline, found.head.version))
    }

    pub(super) fn value(&self, found: &Found, pins: &'static PinMeter) -> Value {
        let info = ValueInfo::of(&found.head);
        let entries = self.entries();
        match entries.large_part(found) {
            Some(large) => Value::share(&large.value, info),
            None => Value::copy(entries.value(found), pins, info),
        }
    }
}

/// What a call makes of an entry that it reads.
pub(crate) trait Reader<R> {
    /// Makes it of an entry that others may be changing, at the first look. `None` if it may not be
    /// shown yet, and nothing was made of it.
    #[inline(always)]
    fn peek(&mut self, sight: &Sight<'_>) -> Option<R> {
        sight.show(|head, value, now| self.peeked(head, value, now))
    }
    /// Makes it of a copy that was taken without the lock.
    fn peeked(&mut self, head: &Head, value: &[u8], now: &Now<'_>) -> R;
    /// Makes it of the entry itself, under the lock.
    fn locked(&mut self, shard: &Shard, seen: &Seen, now: &Now<'_>) -> R;
    /// Whether what was made of it is a read of the value: not if the value was too long to be read.
    #[inline(always)]
    fn is_whole(&self, _: &R) -> bool {
        true
    }
    /// Hears that there is no entry, where many are read.
    fn absent(&mut self) {}
}

/// An entry that a reader was shown.
pub(crate) struct Seen(pub(super) Found);

impl Seen {
    /// What is left of its time.
    pub(crate) fn remaining(&self, now: &Now<'_>) -> Remaining {
        remaining(self.0.head.deadline, now)
    }
}

/// What is left until a deadline.
pub(crate) fn remaining(deadline: i64, now: &Now<'_>) -> Remaining {
    if deadline == NEVER { Remaining::Never } else { Remaining::Ms(deadline - now.ms()) }
}

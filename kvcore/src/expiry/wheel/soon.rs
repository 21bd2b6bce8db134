//! How many entries come due soon, told from how full the slots are.
//!
//! Looking at every deadline would hold the shard for as long as there are entries. So the records that
//! come first are looked at, up to [`LOOKED_AT`] of them, and are counted exactly. Of the slots behind
//! those only the number of records is taken: less the share that is stale in the whole wheel, and of a slot
//! that a horizon falls in so much as lies before it, as if its deadlines were spread evenly. So a count is
//! wrong by the entries of one slot at most, and by what differs in staleness from the average.

use std::cmp::Reverse;

use super::{SLOT_BITS, Slot, Timers, Wheel, ticks};
use crate::records::Bag;
use crate::slab::EntryId;

/// Records of a shard that are looked at one by one.
const LOOKED_AT: usize = 1024;

/// Records with deadlines between two times, both included.
struct Span {
    first: u64,
    last: u64,
    bag: Bag,
}

/// Counts of entries that come due by each of some times.
struct Tally<const N: usize> {
    now: u64,
    by: [u64; N],
    /// Entries that were looked at, and their deadlines.
    seen: Vec<(u32, u64)>,
    /// What the others come to.
    estimate: [f64; N],
}

impl<const N: usize> Tally<N> {
    /// Adds records that are somewhere in a span of time, each of which stands for `weight` entries.
    fn spread(&mut self, first: u64, last: u64, records: usize, weight: f64) {
        let width = (last - first) as f64 + 1.0;
        let from = first.max(self.now + 1);
        for (by, estimate) in self.by.iter().zip(&mut self.estimate) {
            let until = last.min(*by);
            if until >= from {
                *estimate += records as f64 * weight * ((until - from) as f64 + 1.0) / width;
            }
        }
    }

    /// The counts, none of them over `most`.
    fn sums(mut self, most: usize) -> [u64; N] {
        self.seen.sort_unstable();
        self.seen.dedup();
        std::array::from_fn(|n| {
            let due = |(_, deadline): &&(u32, u64)| *deadline > self.now && *deadline <= self.by[n];
            let seen = self.seen.iter().filter(due).count() as u64;
            (seen + self.estimate[n].round() as u64).min(most as u64)
        })
    }
}

impl Wheel {
    /// About how many entries come due after `now_ms` and within each of these times, which rise.
    pub(crate) fn count_soon<const N: usize>(
        &self,
        now_ms: i64,
        within_ms: [u64; N],
        timers: &impl Timers,
    ) -> [u64; N] {
        let now = ticks(now_ms);
        let by = within_ms.map(|within| now.saturating_add(within));
        let mut tally = Tally { now, by, seen: Vec::new(), estimate: [0.0; N] };
        let weight = self.live as f64 / self.records.max(1) as f64;
        let mut left = LOOKED_AT;
        self.tally_early(&mut tally, &mut left, weight, timers);
        let mut spans = self.spans();
        spans.sort_unstable_by_key(|span| (span.first, span.last));
        let end = by.last().copied().unwrap_or(now);
        for span in spans.iter().take_while(|span| span.first <= end) {
            let records = span.bag.len();
            if span.last <= now {
                // All of it has come due.
            } else if records <= left {
                left -= records;
                for number in span.bag.iter(&self.pool) {
                    let deadline = timers.deadline(EntryId::new(number)).map(ticks);
                    let there = deadline.filter(|at| (span.first..=span.last).contains(at));
                    tally.seen.extend(there.map(|at| (number, at)));
                }
            } else {
                left = 0;
                tally.spread(span.first, span.last, records, weight);
            }
        }
        tally.sums(self.live)
    }

    /// Counts those that wait in the heap, whose records hold their deadlines.
    fn tally_early<const N: usize>(
        &self,
        tally: &mut Tally<N>,
        left: &mut usize,
        weight: f64,
        timers: &impl Timers,
    ) {
        let exact = self.early.len() <= *left;
        *left = left.saturating_sub(self.early.len());
        for Reverse((deadline, number)) in &self.early {
            if !exact {
                tally.spread(*deadline, *deadline, 1, weight);
            } else if timers.deadline(EntryId::new(*number)).map(ticks) == Some(*deadline) {
                tally.seen.push((*number, *deadline));
            }
        }
    }

    /// All records but those in the heap, with the times that they may be due at.
    fn spans(&self) -> Vec<Span> {
        let here = Slot { level: self.cascade_level, number: self.digit(self.cascade_level) };
        let swept = self.sweep.bags().map(|bag| (self.sweep.slot(), *bag));
        let all = self.slots().chain(swept).chain([(here, self.cascade)]);
        let filled = all.filter(|(_, bag)| !bag.is_empty());
        filled
            .map(|(slot, bag)| {
                let first = self.slot_start(slot);
                let width = 1_u64.checked_shl((slot.level * SLOT_BITS) as u32).unwrap_or(0);
                Span { first, last: first.saturating_add(width.wrapping_sub(1)), bag }
            })
            .collect()
    }
}

//! The entry that was used least recently goes first.
//!
//! Exact up to a quantum of time. A touch stamps the entry's slot with the quantum (six bits; see
//! [`Recency`]); there is a list of records for each quantum, and two for what is older. The oldest
//! record whose entry has no newer stamp is the victim; one with a newer stamp moves to the list of
//! that quantum. A quantum is one touch in a shard of up to [`EXACT`] entries, and a forty-eighth
//! of the entries in touches above that. New entries are always in their exact order.
//!
//! Stamps are used again after 63 quanta, so every record is looked at before that: the oldest
//! quantum is drained into `cold`, in order, its entries' stamps set to 0; and `cold` is passed
//! through, in order, from one list into the other, touched entries leaving it. When there is no
//! time for that, because nothing but reads comes, the clock stands still: what is touched then
//! counts as touched in one moment. The same holds while nothing may be evicted: no order is kept then, and
//! nothing is paid for it.
//!
//! Why not linked lists: a hit would take the lock and write to three entries. Costs 4.3 bytes an
//! entry, one tag byte, and two records looked at for a touch.
//!
//! Do not use it where scans or loops larger than the store pass through: they flush it.
//! `s3fifo` and `tinylfu` do not mind them.

use super::recency::STAMPS;
use super::{Mark, Recency, Residents};
use crate::records::{LINE_BYTES, LINE_RECORDS, Pool, Queue};
use crate::slab::EntryId;

/// Up to this many entries the order is exact.
const EXACT: usize = 128;
/// Quanta to a shard's worth of touches.
const QUANTA: usize = 48;
/// The clock may be ahead of the oldest stamp by as many quanta; some are left to readers that race.
const AHEAD: u64 = STAMPS - 6;
/// The age of what was not used for longer than stamps can tell.
const OLDEST: u8 = 63;
/// Lists: 1 to 63 by stamp, then the two that are older than all stamps.
const COLD: [u8; 2] = [64, 65];

/// The state of one shard.
pub(crate) struct Lru {
    pool: Pool,
    /// By tag; 0 is not used.
    queues: Box<[Queue; 66]>,
    /// Which of [`COLD`] takes what this pass has been through. Its entries are the older ones.
    passed: usize,
    /// Quanta up to this one have no list any more.
    floor: u64,
    /// When this pass began, and the one before.
    began: [u64; 2],
    records: usize,
    live: usize,
}

impl Lru {
    pub(super) fn new() -> Lru {
        Lru {
            pool: Pool::new(),
            queues: Box::new([const { Queue::new() }; 66]),
            passed: 0,
            floor: 0,
            began: [1; 2],
            records: 0,
            live: 0,
        }
    }

    pub(super) fn admitted(&mut self, id: EntryId, recency: &Recency) -> Mark {
        let stamp = Recency::stamp_of(recency.tick());
        self.live += 1;
        let quantum = if self.live <= EXACT { 1 } else { self.live / QUANTA };
        recency.set_quantum(quantum as u64);
        self.push(stamp, id);
        Mark { tag: stamp, access: stamp }
    }

    /// How long ago an entry was used, in quanta; all that are cold are alike.
    pub(super) fn age(access: u8, recency: &Recency) -> u8 {
        let now = recency.now();
        match access {
            0 => OLDEST,
            stamp => (now - Recency::quantum_of(stamp, now)).min(u64::from(OLDEST)) as u8,
        }
    }

    /// Takes in an entry of an earlier life. It is listed by [`resume`](Lru::resume).
    pub(super) fn readmitted(&mut self, age: u8) -> Mark {
        self.live += 1;
        Mark { tag: 0, access: age.min(OLDEST) }
    }

    /// Lists all entries of an earlier life, whose access bits are their ages.
    pub(super) fn resume(
        &mut self,
        ids: &[EntryId],
        residents: &mut impl Residents,
        recency: &Recency,
    ) {
        const STEPS: usize = 4;
        *self = Lru::new();
        let mut by_age = vec![Vec::new(); usize::from(OLDEST) + 1];
        for id in ids {
            by_age[usize::from(residents.access(*id).min(OLDEST))].push(*id);
        }
        for id in by_age.into_iter().rev().flatten() {
            let mark = self.admitted(id, recency);
            residents.set_tag(id, mark.tag);
            residents.set_access(id, mark.access);
            self.tidy(STEPS, residents, recency);
        }
    }

    pub(super) fn moved(&mut self, id: EntryId, tag: u8) -> u8 {
        if tag != 0 {
            self.push(tag, id);
        }
        tag
    }

    pub(super) fn removed(&mut self) {
        self.live -= 1;
        if self.live == 0 {
            for queue in self.queues.iter_mut() {
                queue.clear(&mut self.pool);
            }
            self.pool = Pool::new();
            self.records = 0;
        }
    }

    pub(super) fn cleared(&mut self) {
        self.live = 1;
        self.removed();
    }

    pub(super) fn victim(
        &mut self,
        residents: &mut impl Residents,
        recency: &Recency,
    ) -> Option<EntryId> {
        let mut spared = Vec::new();
        let victim = self.least_recent(&mut spared, residents, recency);
        // What may not go is being written, so it is used now.
        let stamp = Recency::stamp_of(recency.now());
        for id in spared {
            residents.set_access(id, stamp);
            self.list(id, stamp, residents);
        }
        victim
    }

    fn least_recent(
        &mut self,
        spared: &mut Vec<EntryId>,
        residents: &mut impl Residents,
        recency: &Recency,
    ) -> Option<EntryId> {
        // Each record moves at most once: to a list that is looked at later.
        while spared.len() < super::SPARED {
            let list = self.oldest(recency)?;
            let Some(id) = self.pop(list) else { continue };
            if residents.tag(id) != Some(list) {
                continue;
            }
            let access = residents.access(id);
            if !residents.may_go(id) {
                spared.push(id);
            } else if access == 0 || access == list {
                residents.set_tag(id, 0);
                return Some(id);
            } else {
                self.relist(id, access, residents, recency);
            }
        }
        None
    }

    /// The list with the oldest records.
    fn oldest(&mut self, recency: &Recency) -> Option<u8> {
        let cold = [COLD[self.passed], COLD[1 - self.passed]];
        if let Some(list) = cold.into_iter().find(|list| !self.queue(*list).is_empty()) {
            return Some(list);
        }
        let now = recency.now();
        while self.floor < now {
            let list = Recency::stamp_of(self.floor + 1);
            if !self.queue(list).is_empty() {
                return Some(list);
            }
            if self.floor + 1 == now {
                return None;
            }
            self.floor += 1;
        }
        None
    }

    /// Whether records of entries that left or moved have piled up.
    pub(super) fn is_stale(&self) -> bool {
        self.records > self.live * 2 + 64
    }

    /// Looks at some records, so that the clock may go on and stale records do not pile up.
    pub(super) fn tidy(&mut self, steps: usize, residents: &mut impl Residents, recency: &Recency) {
        let stale = self.is_stale();
        let small = if recency.stuck() { 8 } else { 1 } * self.live.min(EXACT);
        for _ in 0..steps.max(small) {
            let now = recency.now();
            let drained = now < self.floor + AHEAD / 2 && !stale || !self.drain(residents, recency);
            let passed =
                now < self.began[0] + AHEAD / 4 && !stale || !self.pass(residents, recency);
            if drained && passed {
                // What is left is of this quantum, which ends by itself only when other entries are used.
                recency.set_stop(self.stop());
                if !self.is_stale() || !recency.end_quantum() {
                    break;
                }
            }
        }
        recency.set_stop(self.stop());
    }

    /// The quantum that the clock may not pass, because stamps would be used again too early.
    fn stop(&self) -> u64 {
        self.floor.min(self.began[0]) + AHEAD
    }

    /// Looks at the next record of the oldest quantum. False if there is none before now.
    fn drain(&mut self, residents: &mut impl Residents, recency: &Recency) -> bool {
        // Cold entries that were touched in that quantum must have been found before.
        if self.floor + 1 >= self.began[0] {
            return false;
        }
        let list = Recency::stamp_of(self.floor + 1);
        let Some(id) = self.pop(list) else {
            self.floor += 1;
            return true;
        };
        if residents.tag(id) == Some(list) {
            let access = residents.access(id);
            if access == list {
                residents.set_access(id, 0);
                self.list(id, COLD[1 - self.passed], residents);
            } else {
                self.relist(id, access, residents, recency);
            }
        }
        true
    }

    /// Looks at the next record of the pass through what is cold. False if a pass need not begin.
    fn pass(&mut self, residents: &mut impl Residents, recency: &Recency) -> bool {
        let from = COLD[1 - self.passed];
        let Some(id) = self.pop(from) else {
            self.passed = 1 - self.passed;
            self.began = [self.began[1], recency.now()];
            return self.began[0] + 1 < recency.now();
        };
        if residents.tag(id) == Some(from) {
            match residents.access(id) {
                0 => self.list(id, COLD[self.passed], residents),
                access => self.relist(id, access, residents, recency),
            }
        }
        true
    }

    /// Lists an entry by its stamp.
    fn relist(
        &mut self,
        id: EntryId,
        access: u8,
        residents: &mut impl Residents,
        recency: &Recency,
    ) {
        let late = access == 0 || Recency::quantum_of(access, recency.now()) <= self.floor;
        if late {
            residents.set_access(id, 0);
        }
        self.list(id, if late { COLD[1 - self.passed] } else { access }, residents);
    }

    fn list(&mut self, id: EntryId, list: u8, residents: &mut impl Residents) {
        self.push(list, id);
        residents.set_tag(id, list);
    }

    fn push(&mut self, list: u8, id: EntryId) {
        self.records += 1;
        self.queues[usize::from(list)].push_back(&mut self.pool, id.number());
    }

    fn pop(&mut self, list: u8) -> Option<EntryId> {
        let number = self.queues[usize::from(list)].pop_front(&mut self.pool)?;
        self.records -= 1;
        Some(EntryId::new(number))
    }

    fn queue(&self, list: u8) -> &Queue {
        &self.queues[usize::from(list)]
    }

    /// What the records take at the worst spread over the lists, so that sorting them never takes
    /// more.
    pub(super) fn bytes(&self) -> usize {
        let begun = self.records.min(self.queues.len());
        (begun + self.records / LINE_RECORDS) * LINE_BYTES
    }

    /// One call adds two records at most, and each may begin a line.
    pub(super) fn growth(&self) -> usize {
        4 * LINE_BYTES
    }

    pub(super) fn validate(&self, residents: &impl Residents) -> Result<(), String> {
        let mut listed = std::collections::HashSet::new();
        for (list, queue) in self.queues.iter().enumerate() {
            for number in queue.iter(&self.pool) {
                if residents.tag(EntryId::new(number)).map(usize::from) == Some(list) {
                    listed.insert(number);
                }
            }
        }
        super::all_listed(listed.len(), self.live)
    }
}

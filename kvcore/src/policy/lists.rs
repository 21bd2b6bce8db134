//! The records of a policy: first-in first-out lists of entry ids, 4 bytes each.
//!
//! A record may be stale: its entry is gone, or listed elsewhere since. The tag byte in the entry
//! tells: it names the list (two bits) and the low six bits of the number that its record has in
//! it. Numbers count pushes, so the number of a record that is popped is known without storing it.
//! A stale record passes for a valid one only when its place was taken anew by an entry whose own
//! record has the same six bits in the same list; then that entry is met a little early, and no harm
//! is done.
//!
//! Why not links in the entries: two links are 8 bytes, and each hit on a list in order of use
//! would write to three entries. Records are written in runs, and only under the lock.

use super::Residents;
use crate::records::{Pool, Queue};
use crate::slab::EntryId;

/// The tag of an entry without a record: one that was just given as a victim.
pub(super) const UNLISTED: u8 = 0;

/// `N` lists, numbered from 1 (three at most), in one pool of lines.
pub(super) struct Lists<const N: usize> {
    pool: Pool,
    queues: [Queue; N],
    pops: [u64; N],
    /// By list; [0] is what was given as victims and is not removed yet.
    weights: [usize; 4],
    live: usize,
}

impl<const N: usize> Lists<N> {
    pub(super) fn new() -> Self {
        const { assert!(N <= 3) };
        Lists {
            pool: Pool::new(),
            queues: std::array::from_fn(|_| Queue::new()),
            pops: [0; N],
            weights: [0; 4],
            live: 0,
        }
    }

    /// The list that a tag names; 0 for none.
    pub(super) fn of(tag: u8) -> usize {
        usize::from(tag >> 6)
    }

    /// Appends a record and answers with the tag that makes it valid.
    pub(super) fn push(&mut self, list: usize, id: EntryId) -> u8 {
        let queue = list - 1;
        let number = self.next_number(list) as u8;
        self.queues[queue].push_back(&mut self.pool, id.number());
        (list as u8) << 6 | number & 63
    }

    /// Takes the oldest record of a list, with the tag that its entry has if the record is valid.
    pub(super) fn pop(&mut self, list: usize) -> Option<(EntryId, u8)> {
        let queue = list - 1;
        let id = EntryId::new(self.queues[queue].pop_front(&mut self.pool)?);
        let number = self.pops[queue];
        self.pops[queue] = number + 1;
        Some((id, (list as u8) << 6 | number as u8 & 63))
    }

    /// The number of the oldest record of a list, or of the next one if it is empty.
    pub(super) fn first_number(&self, list: usize) -> u64 {
        self.pops[list - 1]
    }

    /// The number that the next record of a list gets.
    pub(super) fn next_number(&self, list: usize) -> u64 {
        self.pops[list - 1] + self.queues[list - 1].len() as u64
    }

    pub(super) fn len(&self, list: usize) -> usize {
        self.queues[list - 1].len()
    }

    pub(super) fn records(&self) -> usize {
        self.queues.iter().map(Queue::len).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        self.pool.bytes()
    }

    /// The records of a list, oldest first, with the tags that make them valid.
    pub(super) fn iter(&self, list: usize) -> impl Iterator<Item = (EntryId, u8)> + '_ {
        let queue = list - 1;
        self.queues[queue].iter(&self.pool).enumerate().map(move |(index, number_of)| {
            let id = EntryId::new(number_of);
            let number = (self.pops[queue] as u8).wrapping_add(index as u8);
            (id, (list as u8) << 6 | number & 63)
        })
    }

    /// Lists a new entry.
    pub(super) fn admit(&mut self, list: usize, id: EntryId, weight: usize) -> u8 {
        self.live += 1;
        self.weights[list] += weight;
        self.push(list, id)
    }

    /// An entry has a new weight and maybe a new place, where it is listed anew.
    pub(super) fn moved(&mut self, id: Option<EntryId>, tag: u8, weights: [usize; 2]) -> u8 {
        let list = Self::of(tag);
        self.weights[list] = self.weights[list] + weights[1] - weights[0];
        match id {
            Some(id) if list != 0 => self.push(list, id),
            _ => tag,
        }
    }

    pub(super) fn removed(&mut self, tag: u8, weight: usize) {
        self.live -= 1;
        self.weights[Self::of(tag)] -= weight;
    }

    /// Lists an entry, whose record was just taken, again.
    pub(super) fn relist(
        &mut self,
        id: EntryId,
        from: usize,
        to: usize,
        residents: &mut impl Residents,
    ) {
        let weight = residents.weight(id);
        self.weights[from] -= weight;
        self.weights[to] += weight;
        let tag = self.push(to, id);
        residents.set_tag(id, tag);
    }

    /// An entry, whose record was just taken, is the victim.
    pub(super) fn give(
        &mut self,
        id: EntryId,
        from: usize,
        residents: &mut impl Residents,
    ) -> Option<EntryId> {
        let weight = residents.weight(id);
        self.weights[from] -= weight;
        self.weights[0] += weight;
        residents.set_tag(id, UNLISTED);
        Some(id)
    }

    /// Takes the oldest record that is valid, and drops the stale ones before it.
    pub(super) fn valid(&mut self, list: usize, residents: &impl Residents) -> Option<EntryId> {
        while let Some((id, tag)) = self.pop(list) {
            if residents.tag(id) == Some(tag) {
                return Some(id);
            }
        }
        None
    }

    /// Turns the longest list a little if stale records outnumber the valid ones by far.
    pub(super) fn tidy(&mut self, steps: usize, residents: &mut impl Residents) {
        if self.records() <= self.live * 2 + 64 {
            return;
        }
        let Some(list) = (1..=N).max_by_key(|list| self.len(*list)) else { return };
        for _ in 0..steps {
            let Some((id, tag)) = self.pop(list) else { return };
            if residents.tag(id) == Some(tag) {
                self.relist(id, list, list, residents);
            }
        }
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn weight(&self, list: usize) -> usize {
        self.weights[list]
    }

    pub(super) fn validate(&self, residents: &impl Residents) -> Result<(), String> {
        let mut listed = std::collections::HashSet::new();
        for list in 1..=N {
            let mut weight = 0;
            for (id, tag) in self.iter(list) {
                if residents.tag(id) == Some(tag) && listed.insert(id.number()) {
                    weight += residents.weight(id);
                }
            }
            if weight != self.weights[list] {
                return Err(format!("list {list} weighs {weight}, not {}", self.weights[list]));
            }
        }
        super::all_listed(listed.len(), self.live)
    }
}

//! The entry that was used least often goes first; of those, the one that has been so for longest.
//!
//! Six bits in an entry's slot count its uses: exactly up to [`EXACT`], and above that by a chance
//! that halves with every four, so that 63 stands for about 30,000. A list of records for each
//! count; an entry whose count has grown moves when its record is met.
//!
//! Aging: when eight times as many entries were added as there are, all counts are halved. That is
//! done record by record, a few with each write, from the lowest count up, so that entries
//! halved already and others are side by side for a while. Without aging, what was popular once
//! would never leave. (Compare Arlitt et al., "Evaluating content management techniques for web
//! proxy caches", 2000; Redis ages by the clock instead.)
//!
//! Costs 4.3 bytes an entry, one tag byte. Do not use it where what is popular changes often:
//! new entries start at the bottom. `tinylfu` has the same strength without that weakness.

use super::{Mark, Residents};
use crate::records::{Pool, Queue};
use crate::slab::EntryId;

/// Counts up to this one are exact.
pub(super) const EXACT: u8 = 15;
/// The highest count.
pub(super) const MOST: u8 = 63;
/// Entries added, for each one there is, until counts are halved.
const AGE: usize = 8;
/// The bit of a tag that tells in which round of aging the entry was listed; below is the list.
const ROUND: u8 = 0x80;
/// The tag of an entry without a record.
const UNLISTED: u8 = 0x7f;

/// The state of one shard.
pub(crate) struct Lfu {
    pool: Pool,
    /// By count.
    queues: Box<[Queue; 64]>,
    round: u8,
    /// The list that is being aged; 64 between rounds.
    aging: usize,
    /// Whether this round halves counts, or only drops stale records.
    halves: bool,
    /// Records of each list that this round has not come to.
    old: Box<[usize; 64]>,
    added: usize,
    records: usize,
    live: usize,
}

impl Lfu {
    pub(super) fn new() -> Lfu {
        Lfu {
            pool: Pool::new(),
            queues: Box::new([const { Queue::new() }; 64]),
            round: 0,
            aging: 64,
            halves: false,
            old: Box::new([0; 64]),
            added: 0,
            records: 0,
            live: 0,
        }
    }

    pub(super) fn admitted(&mut self, id: EntryId) -> Mark {
        self.live += 1;
        self.added += 1;
        Mark { tag: self.push(1, id), access: 1 }
    }

    pub(super) fn moved(&mut self, id: EntryId, tag: u8) -> u8 {
        if tag & !ROUND == UNLISTED { tag } else { self.push(tag & !ROUND, id) }
    }

    pub(super) fn removed(&mut self) {
        self.live -= 1;
        if self.live == 0 {
            *self = Lfu::new();
        }
    }

    pub(super) fn victim(&mut self, residents: &mut impl Residents) -> Option<EntryId> {
        let mut spared = Vec::new();
        let victim = self.least(residents, &mut spared);
        for (id, count) in spared {
            let tag = self.push(count, id);
            residents.set_tag(id, tag);
        }
        if let Some(id) = victim {
            residents.set_tag(id, UNLISTED);
        }
        victim
    }

    fn least(
        &mut self,
        residents: &mut impl Residents,
        spared: &mut Vec<(EntryId, u8)>,
    ) -> Option<EntryId> {
        while spared.len() < super::SPARED {
            let list = self.queues.iter().position(|queue| !queue.is_empty())?;
            let Some(id) = self.valid(list, residents) else { continue };
            let count = residents.access(id);
            if !residents.may_go(id) {
                spared.push((id, count));
            } else if usize::from(count) > list {
                let tag = self.push(count, id);
                residents.set_tag(id, tag);
            } else {
                return Some(id);
            }
        }
        None
    }

    /// Halves some counts if it is time to, and drops stale records when there are too many.
    pub(super) fn tidy(&mut self, steps: usize, residents: &mut impl Residents) {
        let stale = self.records > self.live * 2 + 64;
        let aged = self.added > self.live * AGE + 64;
        if self.aging == 64 && (aged || stale) {
            self.added = if aged { 0 } else { self.added };
            self.halves = aged;
            self.round ^= ROUND;
            self.aging = 0;
            *self.old = std::array::from_fn(|list| self.queues[list].len());
        }
        let mut left = steps;
        while left > 0 && self.aging < 64 {
            if self.old[self.aging] == 0 {
                self.aging += 1;
                continue;
            }
            left -= 1;
            let Some(id) = self.valid(self.aging, residents) else { continue };
            let count = residents.access(id) >> u32::from(self.halves);
            residents.set_access(id, count);
            let tag = self.push(count, id);
            residents.set_tag(id, tag);
        }
    }

    /// Takes the next record of a list, if it is valid.
    fn valid(&mut self, list: usize, residents: &impl Residents) -> Option<EntryId> {
        let id = EntryId::new(self.queues[list].pop_front(&mut self.pool)?);
        self.records -= 1;
        let tag = self.tag(list, self.old[list] > 0);
        self.old[list] = self.old[list].saturating_sub(1);
        (residents.tag(id) == Some(tag)).then_some(id)
    }

    /// The tag that makes a record of a list valid.
    fn tag(&self, list: usize, old: bool) -> u8 {
        list as u8 | if old { self.round ^ ROUND } else { self.round }
    }

    fn push(&mut self, count: u8, id: EntryId) -> u8 {
        let list = count.min(MOST);
        self.records += 1;
        self.queues[usize::from(list)].push_back(&mut self.pool, id.number());
        list | self.round
    }

    pub(super) fn bytes(&self) -> usize {
        self.pool.bytes()
    }

    pub(super) fn validate(&self, residents: &impl Residents) -> Result<(), String> {
        let mut listed = std::collections::HashSet::new();
        for (list, queue) in self.queues.iter().enumerate() {
            for (index, number) in queue.iter(&self.pool).enumerate() {
                let tag = self.tag(list, index < self.old[list]);
                if residents.tag(EntryId::new(number)) == Some(tag) {
                    listed.insert(number);
                }
            }
        }
        super::all_listed(listed.len(), self.live)
    }
}

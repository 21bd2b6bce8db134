//! Takes entries out of a shard: deleted, expired, evicted or cleared; and keeps the rest in order.

use super::journal::record;
use super::{Change, Entries, Found, Refusal, Shard};
use crate::budget::Need;
use crate::entry::{self, NEVER};
use crate::expiry::{Due, Wheel};
use crate::hash::Key;
use crate::order::OrderIndex;
use crate::planted::{Planted, is_planted};
use crate::record::Record;
use crate::removals::Cause;
use crate::slab::EntryId;
use crate::watch::EventKind;

/// Stale records that a write looks at, of the policy and of the wheel. The wheel keeps its bound of
/// twice the live records with so many, and looks at none while it has few.
const TIDY_STEPS: usize = 4;
const WHEEL_STEPS: usize = 32;

/// Entries that a change moves out of a span that is being emptied.
const MOVES: usize = 2;

/// Expired entries that are taken out together, their buckets brought into the cache beforehand.
const DUE: usize = 16;

/// What a bounded step of cleaning came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cleaned {
    /// Entries freed.
    pub(crate) freed: u64,
    /// Whether there may be more to free now.
    pub(crate) more: bool,
}

/// How watches see a removal.
fn kind_of(cause: Cause) -> EventKind {
    match cause {
        Cause::Expired => EventKind::Expired,
        Cause::Evicted => EventKind::Evicted,
        Cause::Cleared => EventKind::Cleared,
        Cause::Deleted | Cause::Replaced => EventKind::Deleted,
    }
}

impl Shard {
    /// Takes an entry out, whatever the reason, and counts that. Returns the revision of the removal.
    pub(super) fn remove(
        &mut self,
        hash: u32,
        found: &Found,
        cause: Cause,
        change: &mut Change<'_>,
    ) -> u64 {
        let revision = self.remove_alone(hash, found, cause, change);
        self.tidy(change);
        revision
    }

    /// As [`remove`](Shard::remove), but no other entry moves.
    pub(super) fn remove_alone(
        &mut self,
        hash: u32,
        found: &Found,
        cause: Cause,
        change: &mut Change<'_>,
    ) -> u64 {
        let before = self.bytes_before(change);
        if found.head.deadline != NEVER {
            self.wheel.cancelled();
        }
        let revision = self.take_note_out(hash, found, cause, change);
        self.settle(before, Need::default(), change);
        revision
    }

    /// Takes an entry out that has not expired, and records that. Returns the revision of the removal.
    ///
    /// # Errors
    /// What the record lacks; nothing has changed then.
    pub(super) fn remove_live(
        &mut self,
        key: Key<'_>,
        found: &Found,
        cause: Cause,
        change: &mut Change<'_>,
    ) -> Result<u64, Refusal> {
        self.prepare(key.index_hash(), Some(found), key.bytes.len(), change)?;
        let version = self.remove(key.index_hash(), found, cause, change);
        record(Record::Delete { key: key.bytes, version }, change);
        Ok(version)
    }

    /// Takes an entry out as a group of changes planned it. The caller counts, settles and tidies.
    pub(super) fn remove_planned(
        &mut self,
        hash: u32,
        found: &Found,
        change: &mut Change<'_>,
    ) -> u64 {
        change.note(Cause::Deleted, self.entries(), found);
        if found.head.deadline != NEVER {
            self.wheel.cancelled();
        }
        let revision = change.context.next_revision();
        // A revision that nobody is told of would hold up every watch at it.
        if let Some(told) = change.tells() {
            told.gone(revision, EventKind::Deleted, self.entries().key(found));
        }
        self.take_out(hash, found, change);
        revision
    }

    /// Takes an entry out that is off the wheel, and counts and tells that. The caller settles its bytes.
    fn take_note_out(
        &mut self,
        hash: u32,
        found: &Found,
        cause: Cause,
        change: &mut Change<'_>,
    ) -> u64 {
        change.note(cause, self.entries(), found);
        let revision = change.context.next_revision();
        if let Some(told) = change.tells() {
            told.gone(revision, kind_of(cause), self.entries().key(found));
        }
        self.take_out(hash, found, change);
        if change.context.counts() {
            match cause {
                Cause::Expired => self.counters.expired += 1,
                Cause::Evicted => self.counters.evicted += 1,
                Cause::Deleted | Cause::Cleared | Cause::Replaced => self.counters.deletes += 1,
            }
        }
        change.context.budget.release(Need { entries: 1, bytes: 0 });
        revision
    }

    /// Takes an entry out that is off the wheel, and nothing more.
    pub(super) fn take_out(&mut self, hash: u32, found: &Found, change: &mut Change<'_>) {
        self.leave(hash, found, change);
        let weight = self.weight(self.entries().charge(found));
        self.count_out(found);
        self.space.table.remove(&mut self.table, hash, found.id);
        self.order_remove(found);
        self.policy.removed(found.head.tag().unwrap_or(0), weight);
        self.free_place(found, change);
        self.space.publish_fill(self.fill_now());
    }

    /// The hash of an entry's key, as the index has it.
    fn index_hash(&self, found: &Found, change: &Change<'_>) -> u32 {
        change.context.hasher.key(self.entries().key(found)).index_hash()
    }

    /// Frees entries that have expired, looking at `steps` at most.
    pub(crate) fn free_expired(&mut self, steps: usize, change: &mut Change<'_>) -> Cleaned {
        let mut left = steps;
        let mut cleaned = Cleaned { freed: 0, more: true };
        let mut due = [EntryId::new(0); DUE];
        loop {
            let before = self.bytes_before(change);
            let mut count = 0;
            let entries = Entries { space: &self.space, slab: &self.slab, large: &self.large };
            let stopped = loop {
                let taken = &due[..count];
                match self.wheel.next_due(change.now.ms(), &mut left, taken, &entries) {
                    Due::Entry(id) => due[count] = id,
                    stopped => break Some(stopped),
                }
                count += 1;
                if count == DUE {
                    break None;
                }
            };
            self.remove_due(&due[..count], change);
            // Records that were looked at may have given lines back.
            self.settle(before, Need::default(), change);
            cleaned.freed += count as u64;
            self.owed_moves += MOVES * count;
            if let Some(stopped) = stopped {
                if stopped == Due::Nothing {
                    // Before, what is moved might be due next.
                    self.pay_moves(left, change);
                    cleaned.more = self.owed_moves > 0;
                }
                break;
            }
        }
        self.tidy(change);
        cleaned
    }

    /// Whether nothing has expired by then, and nothing is left to do for what has been freed.
    pub(crate) fn is_clean(&self, now_ms: i64) -> bool {
        self.owed_moves == 0 && self.next_due_ms().is_none_or(|due| due > now_ms)
    }

    /// Takes out entries that are off the wheel, and brings the buckets of all into the cache first. The
    /// caller settles.
    fn remove_due(&mut self, due: &[EntryId], change: &mut Change<'_>) {
        let mut hashes = [0; DUE];
        for (hash, id) in hashes.iter_mut().zip(due) {
            *hash = self.index_hash(&self.entries().get(*id), change);
            self.space.table.aim(*hash).prefetch();
        }
        for (hash, id) in hashes.into_iter().zip(due) {
            let found = self.entries().get(*id);
            self.take_note_out(hash, &found, Cause::Expired, change);
        }
    }

    /// Moves some of the entries that were to be moved as others expired, looking at so many.
    fn pay_moves(&mut self, steps: usize, change: &mut Change<'_>) {
        for _ in 0..steps.min(self.owed_moves) {
            self.owed_moves -= 1;
            match self.slab.draining_next(&self.space.words) {
                Some(id) => self.move_entry(id, change),
                None if self.slab.is_draining() => {}
                None => {
                    self.owed_moves = 0;
                    return;
                }
            }
        }
    }

    /// Evicts the entry that the policy names, of those whose keys are not spared. `false` if there
    /// is none.
    ///
    /// # Errors
    /// What the record of it lacks; nothing has changed then.
    pub(crate) fn evict(
        &mut self,
        spares: impl Fn(&[u8]) -> bool,
        change: &mut Change<'_>,
    ) -> Result<bool, Refusal> {
        if self.len() == 0 {
            // A policy takes memory to find something, and here is nothing to charge it to.
            return Ok(false);
        }
        // The policy names a victim for good, so there has to be room for any.
        self.prepare_any(change)?;
        let before = self.bytes_before(change);
        let (policy, mut residents) = self.policy_and_residents(&change.context.hasher, spares);
        let recency = residents.recency();
        let victim = policy.victim(&mut residents, recency);
        self.settle(before, Need::default(), change);
        match victim {
            Some(id) => {
                self.evict_entry(id, change);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Evicts any entry whose key is not spared, for when the policy has given up because it met so
    /// many that are. Looks at every entry if it must.
    #[cold]
    pub(crate) fn evict_any(
        &mut self,
        spares: impl Fn(&[u8]) -> bool,
        change: &mut Change<'_>,
    ) -> Result<bool, Refusal> {
        let entries = self.entries();
        let mut victim = None;
        let mut from = Some(0);
        while let (Some(start), None) = (from, victim) {
            from = self.space.table.visit(start, |_, id| {
                victim = victim.or_else(|| (!spares(entries.key(&entries.get(id)))).then_some(id));
            });
        }
        let Some(id) = victim else { return Ok(false) };
        self.prepare_any(change)?;
        self.evict_entry(id, change);
        Ok(true)
    }

    /// Evicts an entry, when any may go.
    fn evict_entry(&mut self, id: EntryId, change: &mut Change<'_>) {
        let found = self.entries().get(id);
        let hash = self.index_hash(&found, change);
        self.keep_image(hash, &found, change);
        let key = change.context.journal.log().map(|_| self.entries().key(&found).to_vec());
        let version = self.remove(hash, &found, Cause::Evicted, change);
        if let Some(key) = key.filter(|_| !is_planted(Planted::SilentEviction)) {
            record(Record::Delete { key: &key, version }, change);
        }
    }

    /// Does a little of what keeps the shard small: drops stale records, and empties a span that
    /// holds few entries.
    #[inline]
    pub(super) fn tidy(&mut self, change: &mut Change<'_>) {
        self.tidy_after(1, change);
    }

    /// As [`tidy`](Shard::tidy), after so many changes.
    #[inline]
    pub(super) fn tidy_after(&mut self, changes: usize, change: &mut Change<'_>) {
        if changes == 0 {
            return;
        }
        let before = self.records_bytes(change);
        if self.policy.may_evict() {
            self.tidy_policy(TIDY_STEPS * changes, !change.context.may_evict(), change);
        }
        let entries = Entries { space: &self.space, slab: &self.slab, large: &self.large };
        self.wheel.tidy(WHEEL_STEPS * changes, &entries);
        self.settle_records(before, change);
        self.evacuate(MOVES * changes, change);
    }

    /// What the records of the policy and of the wheel are charged, which is all that tidying changes.
    #[inline]
    fn records_bytes(&self, change: &Change<'_>) -> usize {
        if change.settles() { self.policy.bytes() + self.wheel.bytes() } else { 0 }
    }

    #[inline]
    fn settle_records(&self, before: usize, change: &Change<'_>) {
        if change.settles() {
            let after = self.policy.bytes() + self.wheel.bytes();
            self.settle_parts((before, after), Need::default(), change);
        }
    }

    /// Lets the policy sort all that was used since it last did.
    #[cold]
    pub(crate) fn sort_policy(&mut self, change: &mut Change<'_>) {
        const STEPS: usize = 256;
        let before = self.records_bytes(change);
        self.tidy_policy(STEPS, false, change);
        self.settle_records(before, change);
    }

    /// `rests` as in [`Policy::tidy`](crate::policy::Policy::tidy). The caller settles.
    fn tidy_policy(&mut self, steps: usize, rests: bool, change: &Change<'_>) {
        let (policy, mut residents) = self.policy_and_residents(&change.context.hasher, |_| false);
        let recency = residents.recency();
        policy.tidy(steps, rests, &mut residents, recency);
    }

    /// Moves entries out of a span that is being emptied.
    #[inline]
    fn evacuate(&mut self, moves: usize, change: &mut Change<'_>) {
        for _ in 0..moves {
            match self.slab.draining_next(&self.space.words) {
                None => return,
                Some(id) => self.move_entry(id, change),
            }
        }
    }

    /// Gives an entry another place. If there is no room for that now, it stays.
    #[cold]
    fn move_entry(&mut self, id: EntryId, change: &mut Change<'_>) {
        let found = self.entries().get(id);
        let need = Need::bytes(self.policy.growth() + self.wheel_growth(found.head.deadline));
        let settles = change.settles();
        if settles && !change.context.budget.reserve(need) {
            return;
        }
        let before = self.bytes_before(change);
        if let Ok(new) = self.slab.alloc(&self.space.words, found.head.run_len()) {
            let hash = self.index_hash(&found, change);
            {
                let _open = self.space.table.open(&self.table, hash);
                entry::copy(&self.space.words, found.id, new, &found.head);
            }
            self.space.table.replace(hash, found.id, new);
            self.order_moved(&found, new);
            if found.head.deadline != NEVER {
                self.wheel.cancelled();
                self.wheel.schedule(new, found.head.deadline);
            }
            let charge = self.entries().charge(&found);
            self.policy_moved(&found, new, (charge, charge));
            self.slab.free(&self.space.words, id);
        }
        self.settle(before, need, change);
    }

    /// Takes everything out. `tells` is whether callbacks are told.
    pub(crate) fn clear(&mut self, tells: bool, change: &mut Change<'_>) {
        if tells {
            self.note_all(change);
        }
        change.context.budget.release(self.used());
        self.space.table.clear(&mut self.table);
        self.slab.clear(&self.space.words);
        self.wheel = Wheel::new(change.now.ms());
        self.policy.cleared();
        if let Some(order) = self.order.as_deref_mut() {
            change.scrap.order(std::mem::replace(order, OrderIndex::new()));
        }
        let large = std::mem::take(&mut self.large);
        change.scrap.all(large, change.context.pins);
        (self.key_bytes, self.value_bytes) = (0, 0);
        self.picture = None;
        self.owed_moves = 0;
        self.clear_views();
        self.space.publish_fill(0);
    }

    /// Notes every entry for the callbacks, as far as their queue has room.
    fn note_all(&self, change: &mut Change<'_>) {
        let removals = &change.context.removals;
        if !removals.wants(Cause::Cleared) && !removals.wants(Cause::Expired) {
            return;
        }
        let mut ids = Vec::new();
        let mut from = Some(0);
        while let Some(start) = from {
            from = self.space.table.visit(start, |_, id| ids.push(id));
        }
        for id in ids {
            let found = self.entries().get(id);
            let live = super::is_live(&found, &change.now);
            let cause = if live { Cause::Cleared } else { Cause::Expired };
            if removals.has_room() {
                change.note(cause, self.entries(), &found);
            } else if removals.wants(cause) {
                removals.count_dropped(1);
            }
        }
    }
}

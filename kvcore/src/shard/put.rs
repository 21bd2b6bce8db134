//! Putting an entry into its place: what it needs, and the steps that cannot fail any more.
//!
//! Every write comes down to one of three things: a new entry, an entry rewritten where it is, or one
//! that moves to another place because its run has another size. Each first reserves what it may add,
//! then takes the memory it needs, and only then changes something.

use std::sync::Arc;

use super::journal::{record_set, record_touch};
use super::{Change, Found, LargeEntry, Refusal, Shard};
use crate::budget::Need;
use crate::context::Context;
use crate::entry::{self, Head, Meta, NEVER};
use crate::error::{Error, Status};
use crate::expiry::Wheel;
use crate::hash::Key;
use crate::slab::{self, EntryId};
use crate::table::TableState;
use crate::value::LargeValue;

/// What a write makes of an entry. The value comes in parts, so that an append joins nothing
/// beforehand.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: [&'a [u8]; 2],
    pub(super) deadline: i64,
    /// Room to leave behind the value, if it is large, so that appends need not copy it each time.
    pub(super) spare: usize,
}

impl Content<'_> {
    fn value_len(&self) -> usize {
        self.value[0].len() + self.value[1].len()
    }

    /// Bytes of key and value.
    pub(super) fn len(&self) -> usize {
        self.key.len() + self.value_len()
    }

    /// What an entry of this content and head is charged.
    #[inline]
    pub(super) fn charge(&self, head: &Head) -> usize {
        let large = if head.is_large() {
            LargeEntry::bytes_for(self.key.len(), self.value_len() + self.spare)
        } else {
            0
        };
        slab::charge(head.run_len()) + large
    }
}

/// The memory of an entry that is about to be put: its place, and its part out of line.
pub(crate) struct Place {
    id: EntryId,
    large: Option<LargeEntry>,
}

impl Shard {
    /// The head of an entry to be written; its version is not final.
    #[inline]
    pub(super) fn head(
        &self,
        content: &Content<'_>,
        found: Option<&Found>,
        change: &Change<'_>,
    ) -> Head {
        let old = found.map(|found| found.head);
        let tag = || old.and_then(|head| head.tag()).unwrap_or(0);
        let kept = || {
            let kept = old.and_then(|head| head.access()).filter(|_| !change.renews);
            kept.unwrap_or_else(|| (change.now.ms(), 0))
        };
        let access = || change.loaded_access().unwrap_or_else(kept);
        let meta = Meta {
            version: change.expected_version(),
            deadline: content.deadline,
            tag: self.policy.needs_tag().then(tag),
            access: self.keeps_access.then(access),
        };
        Head::new(&meta, content.key.len(), content.value_len())
    }

    /// Adds an entry for a key that is not there.
    pub(super) fn insert(
        &mut self,
        key: Key<'_>,
        content: &Content<'_>,
        change: &mut Change<'_>,
    ) -> Result<u64, Refusal> {
        let head = self.head(content, None, change);
        let charge = content.charge(&head);
        let structure = self.table.growth() + self.policy.growth() + self.order_growth(1);
        let structure = structure + self.wheel_growth(content.deadline);
        let need = Need { entries: 1, bytes: (charge + structure) as u64 };
        if !change.context.budget.reserve(need) {
            self.check_ever_fits(charge, content.deadline, change.context)?;
            return Err(Refusal::Room(need));
        }
        if let Err(refusal) = self.prepare(key.index_hash(), None, content.len(), change) {
            change.context.budget.release(need);
            return Err(refusal);
        }
        let before = self.bytes_before(change);
        let place = self.table_room(1).and_then(|()| self.place(content, &head));
        let version = match place {
            Ok(place) => Ok(self.insert_at(key, content, head, place, change)),
            Err(error) => {
                change.context.budget.release(Need { entries: 1, bytes: 0 });
                Err(error.into())
            }
        };
        self.settle(before, need, change);
        version
    }

    /// Gives an entry new content and the next version.
    #[inline]
    pub(super) fn replace(
        &mut self,
        key: Key<'_>,
        found: &Found,
        content: &Content<'_>,
        change: &mut Change<'_>,
    ) -> Result<u64, Refusal> {
        let head = self.head(content, Some(found), change);
        let need = self.reserve_replace(found, content, &head, change.context)?;
        if let Err(refusal) = self.prepare(key.index_hash(), Some(found), content.len(), change) {
            change.context.budget.release(need);
            return Err(refusal);
        }
        let before = self.bytes_before(change);
        let version = if fits_in_place(found, &head) {
            Ok(self.rewrite(key, found, content, head, change))
        } else {
            let place = self.place(content, &head);
            place.map(|place| self.replace_at(key, found, content, head, place, change))
        };
        self.settle(before, need, change);
        version.map_err(Refusal::from)
    }

    /// Reserves room to replace an entry.
    #[inline]
    pub(super) fn reserve_replace(
        &self,
        found: &Found,
        content: &Content<'_>,
        head: &Head,
        context: &Context,
    ) -> Result<Need, Refusal> {
        if !context.budget.counts_bytes() && !cfg!(debug_assertions) {
            return Ok(Need::default());
        }
        let charge = content.charge(head);
        let more = charge.saturating_sub(self.entries().charge(found));
        let need = Need::bytes(more + self.policy.growth() + self.wheel_growth(content.deadline));
        if context.budget.reserve(need) {
            return Ok(need);
        }
        self.check_ever_fits(charge, content.deadline, context)?;
        Err(Refusal::Room(need))
    }

    /// Makes sure that so many inserts find room in the index.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(super) fn table_room(&mut self, inserts: usize) -> Result<(), Error> {
        self.space.table.reserve(&mut self.table, inserts)
    }

    /// Takes the memory that an entry needs.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(super) fn place(&mut self, content: &Content<'_>, head: &Head) -> Result<Place, Error> {
        let large = if head.is_large() {
            Some(LargeEntry::new(content.key, content.value, content.spare)?)
        } else {
            None
        };
        Ok(Place { id: self.slab.alloc(&self.space.words, head.run_len())?, large })
    }

    /// Gives back the memory of an entry that was not put after all.
    pub(super) fn give_back(&mut self, place: Place, change: &mut Change<'_>) {
        self.slab.free(&self.space.words, place.id);
        if let Some(large) = place.large {
            change.scrap.entry(large, change.context.pins);
        }
    }

    /// Puts a new entry into its place. The index has room, and the caller settles.
    pub(super) fn insert_at(
        &mut self,
        key: Key<'_>,
        content: &Content<'_>,
        mut head: Head,
        place: Place,
        change: &mut Change<'_>,
    ) -> u64 {
        head.version = change.next_version();
        let id = place.id;
        let weight = self.weight(content.charge(&head));
        let (hash, recency) = (key.index_hash(), &self.space.recency);
        let mark = match change.loaded_use() {
            None => self.policy.admitted(id, hash, weight, recency),
            Some(access) => self.policy.readmitted(id, hash, weight, access, recency),
        };
        head.set_tag(mark.tag);
        self.fill(place, content, &head);
        self.space.table.insert(&mut self.table, key.index_hash(), id, mark.access);
        self.order_insert(key.bytes, id);
        self.count_in(content);
        self.schedule(id, content.deadline, change);
        self.space.publish_fill(self.fill_now());
        record_set(content.key, content.value, self.large_value(id, &head), &head, change);
        head.version
    }

    /// Writes an entry over the old one in the same place. The caller settles.
    #[inline]
    pub(super) fn rewrite(
        &mut self,
        key: Key<'_>,
        found: &Found,
        content: &Content<'_>,
        mut head: Head,
        change: &mut Change<'_>,
    ) -> u64 {
        change.note(change.replacing(), self.entries(), found);
        self.leave(key.index_hash(), found, change);
        head.version = change.next_version();
        self.count_out(found);
        self.count_in(content);
        {
            let _open = self.space.table.open(&self.table, key.index_hash());
            let [first, second] = content.value;
            entry::write(&self.space.words, found.id, &head, [content.key, first, second]);
        }
        self.used_again(key, found.id);
        self.reschedule(found, found.id, content.deadline, change);
        record_set(content.key, content.value, None, &head, change);
        head.version
    }

    /// Puts an entry into a new place instead of its old one. The caller settles.
    pub(super) fn replace_at(
        &mut self,
        key: Key<'_>,
        found: &Found,
        content: &Content<'_>,
        mut head: Head,
        place: Place,
        change: &mut Change<'_>,
    ) -> u64 {
        change.note(change.replacing(), self.entries(), found);
        self.leave(key.index_hash(), found, change);
        head.version = change.next_version();
        let id = place.id;
        self.count_out(found);
        self.count_in(content);
        let weights = (self.entries().charge(found), content.charge(&head));
        self.fill(place, content, &head);
        self.space.table.replace(key.index_hash(), found.id, id);
        self.order_moved(found, id);
        self.policy_moved(found, id, weights);
        self.used_again(key, id);
        self.reschedule(found, id, content.deadline, change);
        self.free_place(found, change);
        self.space.publish_fill(self.fill_now());
        record_set(content.key, content.value, self.large_value(id, &head), &head, change);
        head.version
    }

    /// Gives an entry another deadline and the next version; key and value stay as they are.
    pub(super) fn redate(
        &mut self,
        key: Key<'_>,
        found: &Found,
        deadline: i64,
        change: &mut Change<'_>,
    ) -> Result<u64, Refusal> {
        if found.head.is_large() {
            self.prepare(key.index_hash(), Some(found), key.bytes.len(), change)?;
            let version = self.redate_large(key, found, deadline, change)?;
            record_touch(key.bytes, deadline, version, change);
            return Ok(version);
        }
        // The run is rewritten behind a head that may have another length.
        let value = self.entries().value(found).to_vec();
        let content = Content { key: key.bytes, value: [&value, b""], deadline, spare: 0 };
        change.only_redates = true;
        let version = self.replace(key, found, &content, change);
        change.only_redates = false;
        version
    }

    /// As [`redate`](Shard::redate), where only the run is rewritten. Also gives a value that is about
    /// to change out of line its next version. The caller records it.
    pub(super) fn redate_large(
        &mut self,
        key: Key<'_>,
        found: &Found,
        deadline: i64,
        change: &mut Change<'_>,
    ) -> Result<u64, Refusal> {
        let head = found.head.with_deadline(deadline, change.expected_version());
        let more = slab::charge(head.run_len()).saturating_sub(slab::charge(found.head.run_len()));
        let need = Need::bytes(more + self.policy.growth() + self.wheel_growth(deadline));
        if !change.context.budget.reserve(need) {
            return Err(Refusal::Room(need));
        }
        let before = self.bytes_before(change);
        let id = if slab::same_place(found.head.run_len(), head.run_len()) {
            found.id
        } else {
            match self.slab.alloc(&self.space.words, head.run_len()) {
                Ok(id) => id,
                Err(error) => {
                    self.settle(before, need, change);
                    return Err(error.into());
                }
            }
        };
        let version = self.redate_large_at(key, found, deadline, id, change);
        self.settle(before, need, change);
        Ok(version)
    }

    /// The same, in a place that was taken for the run, or in its own. The caller settles.
    pub(super) fn redate_large_at(
        &mut self,
        key: Key<'_>,
        found: &Found,
        deadline: i64,
        id: EntryId,
        change: &mut Change<'_>,
    ) -> u64 {
        self.leave(key.index_hash(), found, change);
        let head = found.head.with_deadline(deadline, change.next_version());
        let number = entry::large_number(&self.space.words, found.id, &found.head);
        let old_charge = self.entries().charge(found);
        {
            let _open = self.space.table.open(&self.table, key.index_hash());
            entry::write_large(&self.space.words, id, &head, number);
        }
        if id != found.id {
            self.space.table.replace(key.index_hash(), found.id, id);
            self.order_moved(found, id);
            self.slab.free(&self.space.words, found.id);
        }
        let new_charge =
            old_charge + slab::charge(head.run_len()) - slab::charge(found.head.run_len());
        self.policy_moved(found, id, (old_charge, new_charge));
        self.used_again(key, id);
        self.reschedule(found, id, deadline, change);
        head.version
    }

    /// Writes the bytes of an entry that no reader can find yet.
    #[inline]
    fn fill(&mut self, place: Place, content: &Content<'_>, head: &Head) {
        let words = &self.space.words;
        match place.large {
            None => {
                let [first, second] = content.value;
                entry::write(words, place.id, head, [content.key, first, second]);
            }
            Some(large) => {
                let number = self.large.insert(large);
                entry::write_large(words, place.id, head, number);
            }
        }
    }

    /// The value of an entry, if it is out of line.
    #[inline]
    fn large_value(&self, id: EntryId, head: &Head) -> Option<&Arc<LargeValue>> {
        head.is_large().then(|| {
            let number = entry::large_number(&self.space.words, id, head);
            &self.large.get(number).value
        })
    }

    /// Frees the place of an entry that is out of the index.
    #[inline]
    pub(super) fn free_place(&mut self, found: &Found, change: &mut Change<'_>) {
        if found.head.is_large() {
            let number = entry::large_number(&self.space.words, found.id, &found.head);
            change.scrap.entry(self.large.remove(number), change.context.pins);
        }
        self.slab.free(&self.space.words, found.id);
    }

    /// Tells the policy of an entry that has another place or size.
    pub(super) fn policy_moved(&mut self, found: &Found, id: EntryId, (old, new): (usize, usize)) {
        if self.policy.may_evict() && (id != found.id || old != new) {
            let (old, new) = (self.weight(old), self.weight(new));
            let tag = found.head.tag().unwrap_or(0);
            let tag = self.policy.moved(found.id, id, tag, [old, new]);
            entry::set_tag(&self.space.words, id, tag);
        }
    }

    /// Marks an entry as used: an overwrite is a use.
    #[inline]
    pub(super) fn used_again(&self, key: Key<'_>, id: EntryId) {
        if !self.policy.may_evict() {
            return;
        }
        self.space.table.update_access(key.index_hash(), id, |access| self.space.touched(access));
    }

    #[inline]
    fn count_in(&mut self, content: &Content<'_>) {
        self.key_bytes += content.key.len() as u64;
        self.value_bytes += content.value_len() as u64;
    }

    #[inline]
    pub(super) fn count_out(&mut self, found: &Found) {
        let entries = self.entries();
        let (key, value) = (entries.key(found).len(), entries.value(found).len());
        self.key_bytes -= key as u64;
        self.value_bytes -= value as u64;
    }

    /// Bytes that putting an entry on the wheel would add.
    #[inline]
    pub(super) fn wheel_growth(&self, deadline: i64) -> usize {
        growth(&self.wheel, deadline)
    }

    /// Puts an entry on the wheel if it has a deadline.
    #[inline]
    fn schedule(&mut self, id: EntryId, deadline: i64, change: &mut Change<'_>) {
        if deadline != NEVER {
            self.wheel.schedule(id, deadline);
            change.scheduled(deadline);
        }
    }

    /// Puts an entry on the wheel where it belongs now.
    #[inline]
    fn reschedule(&mut self, old: &Found, id: EntryId, deadline: i64, change: &mut Change<'_>) {
        let before = old.head.deadline;
        if before == NEVER {
            self.schedule(id, deadline, change);
        } else if id == old.id && deadline != NEVER {
            self.wheel.reschedule(id, before, deadline);
            change.scheduled(deadline);
        } else {
            self.wheel.cancelled();
            self.schedule(id, deadline, change);
        }
    }

    /// Refuses an entry for which there would be no room even if everything else went, so that
    /// nothing goes in vain.
    pub(super) fn check_ever_fits(
        &self,
        charge: usize,
        deadline: i64,
        context: &Context,
    ) -> Result<(), Refusal> {
        let wheel = growth(&self.wheel.emptied(), deadline);
        let structure = TableState::new().growth() + self.policy.first_growth();
        let smallest = charge + structure + self.order_first_growth(1) + wheel;
        if context.budget.could_ever_fit(Need::bytes(smallest)) {
            return Ok(());
        }
        let message = format!(
            "the entry would take {smallest} bytes with its index, which is more than max_memory: \
             shorten it or raise the limit",
        );
        Err(Error::new(Status::TooLarge, message).into())
    }

    /// What this shard is charged before a change, for [`settle`](Shard::settle).
    #[inline]
    pub(super) fn bytes_before(&self, change: &Change<'_>) -> usize {
        if change.settles() { self.bytes() } else { 0 }
    }

    /// Gives back what was reserved and not used, and what has become free.
    #[inline]
    pub(super) fn settle(&self, before: usize, reserved: Need, change: &Change<'_>) {
        if !change.settles() {
            return;
        }
        self.settle_parts((before, self.bytes()), reserved, change);
    }

    /// The same for parts of the shard, of which the others stay as they are: their bytes before and after.
    #[inline]
    pub(super) fn settle_parts(
        &self,
        (before, after): (usize, usize),
        reserved: Need,
        change: &Change<'_>,
    ) {
        let held = before + reserved.bytes as usize;
        if after <= held {
            change.context.budget.release(Need::bytes(held - after));
        } else {
            // Only a policy that sorts its records takes room it did not ask for.
            debug_assert!(after - held <= self.policy.growth(), "used {after}, reserved {held}");
            change.context.budget.overdraw(after - held);
        }
    }

    /// How full the shard is, as shards are compared for eviction.
    pub(crate) fn fill_now(&self) -> usize {
        if self.weighs_bytes { self.slab.bytes() + self.large.bytes() } else { self.len() }
    }
}

/// Whether an entry can be rewritten where it is.
#[inline]
pub(super) fn fits_in_place(found: &Found, head: &Head) -> bool {
    let inline = !found.head.is_large() && !head.is_large();
    inline && slab::same_place(found.head.run_len(), head.run_len())
}

fn growth(wheel: &Wheel, deadline: i64) -> usize {
    if deadline == NEVER { 0 } else { wheel.growth(deadline, deadline, 1) }
}

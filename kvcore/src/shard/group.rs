//! Changes of many keys at once: planned, then built, then made without a way to fail.
//!
//! `store/group.rs` calls these in that order for all shards of a group.

use super::journal::{record, record_touch};
use super::put::{Content, Place, fits_in_place};
use super::{Change, Found, Refusal, Shard};
use crate::batch::BatchOp as Op;
use crate::budget::Need;
use crate::context::{Context, Deadline};
use crate::entry::{Head, NEVER};
use crate::error::Error;
use crate::expiry::Wheel;
use crate::hash::Key;
use crate::record::Record;
use crate::set_options::Condition;
use crate::slab::{self, EntryId};
use crate::table::TableState;

/// What the operations of a group come to for one key.
#[derive(Debug, Clone, Copy, Default)]
enum Planned<'a> {
    /// It stays as it is.
    #[default]
    Nothing,
    /// It gets a value. `renews`: an entry was there and was deleted first, so this is a new one.
    Put { value: &'a [u8], deadline: i64, renews: bool },
    /// Its entry gets another deadline.
    Redate { deadline: i64 },
    /// Its entry goes.
    Remove,
}

/// What the operations of a group came to, all together.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) applied: u64,
    pub(crate) missing: u64,
    /// The first operation whose condition did not hold.
    pub(crate) failed: Option<usize>,
}

/// What is planned on one shard needs together.
#[derive(Default)]
pub(crate) struct GroupNeeds {
    /// All puts and new deadlines, and what their entries are charged.
    puts: usize,
    put_bytes: usize,
    /// The largest entry among them, and its deadline.
    largest: usize,
    largest_deadline: i64,
    /// Entries that stay as they are, and what is charged for what stays out of line of the others. They
    /// take no room, but none of them is evicted for the group either.
    kept: usize,
    kept_bytes: usize,
    /// Puts of keys that are not there.
    inserts: usize,
    /// Those with a deadline, and the first and last of these.
    timed: usize,
    soonest: i64,
    latest: i64,
    /// Entries that go, and what they and those that are replaced are charged.
    removes: usize,
    freed: u64,
    /// Keys that change, and bytes of all keys and values, for the log.
    pub(crate) records: usize,
    pub(crate) contents: usize,
    /// Bytes of the images that a snapshot under way needs.
    pub(crate) images: usize,
    /// What the calls would have counted, made one by one.
    sets: u64,
    deletes: u64,
}

impl GroupNeeds {
    fn put(&mut self, charge: usize, deadline: i64) {
        self.puts += 1;
        self.put_bytes += charge;
        if charge > self.largest {
            (self.largest, self.largest_deadline) = (charge, deadline);
        }
        if deadline != NEVER {
            let first = self.timed == 0;
            self.soonest = if first { deadline } else { self.soonest.min(deadline) };
            self.latest = self.latest.max(deadline);
            self.timed += 1;
        }
    }

    /// What goes when this is done.
    pub(crate) fn freed(&self) -> Need {
        Need { entries: self.removes as u64, bytes: self.freed }
    }

    /// Bytes that the deadlines add to a wheel at most.
    fn wheel_growth(&self, wheel: &Wheel) -> usize {
        if self.timed == 0 { 0 } else { wheel.growth(self.soonest, self.latest, self.timed) }
    }
}

/// What becomes of one key of a group. Good as long as no entry of the shard moves.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    planned: Planned<'a>,
    /// Its entry, if it has one.
    found: Option<Found>,
    /// The head of the entry that is put; its version is not final.
    head: Option<Head>,
}

impl Plan<'_> {
    /// Whether the key goes.
    pub(crate) fn removes(&self) -> bool {
        matches!(self.planned, Planned::Remove)
    }
}

/// What a planned change has taken.
pub(crate) enum Memory {
    /// None is needed: the entry is rewritten where it is, or goes.
    None,
    /// For an entry that goes to a new place.
    Place(Place),
    /// For the run of an entry whose key and value are out of line and stay.
    Run(EntryId),
}

/// A key as the operations so far leave it.
struct Draft<'a> {
    /// Whether the store has an entry.
    stored: bool,
    /// The deadline, if the key is there.
    live: Option<i64>,
    /// The version, if no operation has changed it.
    version: Option<u64>,
    planned: Planned<'a>,
}

impl<'a> Draft<'a> {
    fn holds(&self, condition: Condition) -> bool {
        match condition {
            Condition::Any => true,
            Condition::Absent => self.live.is_none(),
            Condition::Present => self.live.is_some(),
            Condition::Version(version) => self.version == Some(version),
        }
    }

    fn put(&mut self, value: &'a [u8], deadline: i64) {
        let renews = match self.planned {
            Planned::Put { renews, .. } => renews,
            Planned::Remove => true,
            Planned::Nothing | Planned::Redate { .. } => false,
        };
        (self.live, self.version) = (Some(deadline), None);
        self.planned = Planned::Put { value, deadline, renews };
    }

    fn redate(&mut self, deadline: i64) {
        (self.live, self.version) = (Some(deadline), None);
        match &mut self.planned {
            Planned::Put { deadline: planned, .. } => *planned = deadline,
            planned => *planned = Planned::Redate { deadline },
        }
    }

    fn remove(&mut self) {
        (self.live, self.version) = (None, None);
        self.planned = if self.stored { Planned::Remove } else { Planned::Nothing };
    }
}

impl Shard {
    /// Settles what becomes of a key by these operations, each with its number in the batch, and adds
    /// what that needs. Stops at a condition that does not hold. No entry of the shard moves meanwhile.
    pub(crate) fn plan<'a>(
        &mut self,
        key: Key<'a>,
        ops: impl Iterator<Item = (usize, Op<'a>)>,
        needs: &mut GroupNeeds,
        tally: &mut Tally,
        change: &mut Change<'_>,
    ) -> Plan<'a> {
        let found = self.find_or_leave(key, change);
        let mut draft = Draft {
            stored: found.is_some(),
            live: found.map(|found| found.head.deadline),
            version: found.map(|found| found.head.version),
            planned: Planned::Nothing,
        };
        for (index, op) in ops {
            match op {
                Op::Set { options, .. } if !draft.holds(options.condition) => {
                    tally.failed = Some(tally.failed.map_or(index, |first| first.min(index)));
                    return Plan::default();
                }
                Op::Set { value, options } => {
                    match change.context.deadline(options.expiry, draft.live, &change.now) {
                        Deadline::At(deadline) => draft.put(value, deadline),
                        Deadline::Past => {
                            needs.deletes += u64::from(draft.live.is_some());
                            draft.remove();
                        }
                    }
                    needs.sets += 1;
                }
                _ if draft.live.is_none() => {
                    tally.missing += 1;
                    continue;
                }
                Op::Del => {
                    needs.deletes += 1;
                    draft.remove();
                }
                Op::Expire(ttl_ms) => {
                    let deadline = change.context.expires_at(ttl_ms, &change.now);
                    draft_deadline(&mut draft, deadline, needs, change);
                }
                Op::ExpireAt(deadline) => draft_deadline(&mut draft, deadline, needs, change),
            }
            tally.applied += 1;
        }
        let mut plan = Plan { planned: draft.planned, found, head: None };
        self.add_needs(key, &mut plan, needs, change);
        plan
    }

    /// Adds what a plan needs, and settles the head of what it puts.
    fn add_needs(
        &self,
        key: Key<'_>,
        plan: &mut Plan<'_>,
        needs: &mut GroupNeeds,
        change: &mut Change<'_>,
    ) {
        let entries = self.entries();
        let Plan { planned, found, head } = plan;
        let found = found.as_ref();
        let mut freed = found.map_or(0, |found| entries.charge(found));
        match (&*planned, found) {
            (Planned::Nothing, _) => {
                needs.kept += usize::from(found.is_some());
                needs.kept_bytes += freed;
                return;
            }
            (Planned::Put { value, deadline, renews }, _) => {
                let content = content(key, value, *deadline);
                change.renews = *renews;
                let put = head.insert(self.head(&content, found, change));
                change.renews = false;
                needs.put(content.charge(put), *deadline);
                needs.inserts += usize::from(found.is_none());
                needs.contents += value.len();
            }
            (Planned::Redate { deadline }, Some(found)) if found.head.is_large() => {
                // What is out of line stays.
                let put = found.head.with_deadline(*deadline, change.expected_version());
                let run = slab::charge(found.head.run_len());
                needs.kept_bytes += freed - run;
                freed = run;
                needs.put(slab::charge(head.insert(put).run_len()), *deadline);
            }
            (Planned::Redate { deadline }, Some(found)) => {
                let content = content(key, entries.value(found), *deadline);
                let put = head.insert(self.head(&content, Some(found), change));
                needs.put(content.charge(put), *deadline);
            }
            (Planned::Remove, _) => needs.removes += 1,
            (Planned::Redate { .. }, None) => unreachable!("there is no entry to redate"),
        }
        needs.freed += freed as u64;
        needs.records += 1;
        needs.contents += key.bytes.len();
        if let Some(found) = found {
            needs.images += self.image_bytes(key.index_hash(), found, change);
        }
    }

    /// Room for everything that was planned on this shard, without what that frees.
    pub(crate) fn planned_room(&self, needs: &GroupNeeds) -> Need {
        let structure = self.table.growth_for(needs.inserts)
            + self.policy.growth_for(needs.puts)
            + self.order_growth(needs.inserts);
        let bytes = needs.put_bytes + structure + needs.wheel_growth(&self.wheel);
        Need { entries: needs.inserts as u64, bytes: bytes as u64 }
    }

    /// Room for everything that was planned on this shard, and for what it names and leaves as it is, if
    /// there were no entries beside.
    pub(crate) fn room_alone(&self, needs: &GroupNeeds) -> Need {
        let entries = needs.puts + needs.kept;
        // In an empty shard every part begins anew.
        let first = self.policy.first_growth().saturating_sub(self.policy.growth());
        let structure =
            TableState::new().growth_for(entries) + first + self.policy.growth_for(entries);
        let structure = structure + self.order_first_growth(entries);
        let wheel = needs.wheel_growth(&self.wheel.emptied());
        let bytes = needs.put_bytes + needs.kept_bytes + structure + wheel;
        Need { entries: entries as u64, bytes: bytes as u64 }
    }

    /// Refuses what was planned if its largest entry alone is over the limit.
    pub(crate) fn check_largest(
        &self,
        needs: &GroupNeeds,
        context: &Context,
    ) -> Result<(), Refusal> {
        self.check_ever_fits(needs.largest, needs.largest_deadline, context)
    }

    /// Makes room in the index for everything that was planned on this shard.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(crate) fn reserve_index(&mut self, needs: &GroupNeeds) -> Result<(), Error> {
        self.table_room(needs.inserts)
    }

    /// Takes the memory of a planned change, and leaves an image of what it changes, for which there is
    /// room.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(crate) fn prepare_planned(
        &mut self,
        key: Key<'_>,
        plan: &Plan<'_>,
        change: &Change<'_>,
    ) -> Result<Memory, Refusal> {
        if let (Some(found), false) = (&plan.found, matches!(plan.planned, Planned::Nothing)) {
            self.keep_image(key.index_hash(), found, change);
        }
        let Some(head) = &plan.head else { return Ok(Memory::None) };
        if plan.found.is_some_and(|found| fits_in_place(&found, head)) {
            return Ok(Memory::None);
        }
        Ok(match (&plan.planned, &plan.found) {
            (Planned::Put { value, deadline, .. }, _) => {
                Memory::Place(self.place(&content(key, value, *deadline), head)?)
            }
            (Planned::Redate { .. }, Some(found)) if found.head.is_large() => {
                if slab::same_place(found.head.run_len(), head.run_len()) {
                    Memory::None
                } else {
                    Memory::Run(self.slab.alloc(&self.space.words, head.run_len())?)
                }
            }
            (Planned::Redate { deadline }, Some(found)) => {
                let value = self.entries().value(found).to_vec();
                Memory::Place(self.place(&content(key, &value, *deadline), head)?)
            }
            _ => Memory::None,
        })
    }

    /// Gives back the memory of a change that is not made after all.
    pub(crate) fn cancel(&mut self, memory: Memory, change: &mut Change<'_>) {
        match memory {
            Memory::None => {}
            Memory::Place(place) => self.give_back(place, change),
            Memory::Run(id) => self.slab.free(&self.space.words, id),
        }
    }

    /// Makes a planned change, out of room and memory that were taken beforehand.
    pub(crate) fn make_planned(
        &mut self,
        key: Key<'_>,
        plan: &Plan<'_>,
        memory: Memory,
        change: &mut Change<'_>,
    ) {
        match (&plan.planned, &plan.found) {
            (Planned::Nothing, _) => {}
            (Planned::Put { value, deadline, renews }, _) => {
                change.renews = *renews;
                self.put(key, &content(key, value, *deadline), plan, memory, change);
                change.renews = false;
            }
            (Planned::Redate { deadline }, Some(found)) if found.head.is_large() => {
                let id = if let Memory::Run(id) = memory { id } else { found.id };
                let version = self.redate_large_at(key, found, *deadline, id, change);
                record_touch(key.bytes, *deadline, version, change);
            }
            (Planned::Redate { deadline }, Some(found)) => {
                let value = self.entries().value(found).to_vec();
                change.only_redates = true;
                self.put(key, &content(key, &value, *deadline), plan, memory, change);
                change.only_redates = false;
            }
            (Planned::Remove, Some(found)) => {
                let version = self.remove_planned(key.index_hash(), found, change);
                record(Record::Delete { key: key.bytes, version }, change);
            }
            (Planned::Redate { .. } | Planned::Remove, None) => {
                unreachable!("the entry to change has gone")
            }
        }
    }

    fn put(
        &mut self,
        key: Key<'_>,
        content: &Content<'_>,
        plan: &Plan<'_>,
        memory: Memory,
        change: &mut Change<'_>,
    ) {
        let (Some(head), found) = (plan.head, &plan.found) else {
            unreachable!("what is put has a head")
        };
        match (memory, found) {
            (Memory::Place(place), Some(found)) => {
                self.replace_at(key, found, content, head, place, change);
            }
            (Memory::Place(place), None) => {
                self.insert_at(key, content, head, place, change);
            }
            (_, Some(found)) => {
                self.rewrite(key, found, content, head, change);
            }
            (_, None) => unreachable!("a new entry has no place"),
        }
    }

    /// Counts what was done, and tidies up as after so many changes.
    pub(crate) fn finish_group(&mut self, needs: &GroupNeeds, done: bool, change: &mut Change<'_>) {
        if done && change.context.counts() {
            self.count_changes(needs.sets, needs.deletes);
        }
        self.tidy_after(needs.records, change);
    }
}

/// What a put makes of a key.
fn content<'a>(key: Key<'a>, value: &'a [u8], deadline: i64) -> Content<'a> {
    Content { key: key.bytes, value: [value, b""], deadline, spare: 0 }
}

/// Gives a key that is there another deadline; one that has passed deletes it.
fn draft_deadline(
    draft: &mut Draft<'_>,
    deadline: i64,
    needs: &mut GroupNeeds,
    change: &Change<'_>,
) {
    if deadline <= change.now.ms() {
        needs.deletes += 1;
        draft.remove();
    } else if draft.live != Some(NEVER) || deadline != NEVER {
        draft.redate(deadline);
    }
}

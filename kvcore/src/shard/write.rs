//! The writes of callers, on one shard.
//!
//! Each first frees the entry of its key if that has expired, so that what follows is a new entry.

use super::{Change, Refusal, Shard, is_live};
use crate::budget::Need;
use crate::context::{Context, Deadline};
use crate::entry::{Content, Entry, LARGE_VALUE_BYTES, NEVER};
use crate::error::Status;
use crate::hash::Key;
use crate::number;
use crate::set_options::{Condition, DeleteOutcome, Expiry, SetOptions, SetOutcome};
use crate::slab::EntryId;
use crate::stats::Event;
use crate::value::Value;

impl Shard {
    /// The live entry of a key. Frees the entry if it has expired.
    #[inline]
    fn find_or_free(&mut self, key: Key<'_>, change: &mut Change<'_>) -> Option<EntryId> {
        let id = self.find(key)?;
        if is_live(self.slab.get(id), &change.now) {
            return Some(id);
        }
        self.remove(id, Event::Expired, change);
        None
    }

    #[inline]
    pub(crate) fn set(
        &mut self,
        key: Key<'_>,
        value: &[u8],
        options: &SetOptions,
        change: &mut Change<'_>,
    ) -> Result<SetOutcome, Refusal> {
        let found = self.find_or_free(key, change);
        match (options.condition, found) {
            (Condition::Absent, Some(_)) => return Ok(SetOutcome::Exists),
            (Condition::Present | Condition::Version(_), None) => return Ok(SetOutcome::NotFound),
            (Condition::Version(version), Some(id)) if self.slab.get(id).version() != version => {
                return Ok(SetOutcome::Conflict);
            }
            _ => {}
        }
        let version = self.store(key, found, value, options.expiry, change)?;
        Ok(SetOutcome::Stored { version })
    }

    /// Writes the value of a key, over the entry that was found for it.
    #[inline]
    fn store(
        &mut self,
        key: Key<'_>,
        found: Option<EntryId>,
        value: &[u8],
        expiry: Expiry,
        change: &mut Change<'_>,
    ) -> Result<u64, Refusal> {
        let current = found.map(|id| self.slab.get(id).deadline());
        let version = match change.context.deadline(expiry, current, &change.now) {
            Deadline::At(deadline) => {
                let content = self.content(key, found, [value, b""], deadline);
                match found {
                    Some(id) => self.replace(id, content, change)?,
                    None => self.insert(key, content, change)?,
                }
            }
            Deadline::Past => {
                if let Some(id) = found {
                    self.remove(id, Event::Delete, change);
                }
                change.context.next_revision()
            }
        };
        change.context.count(&self.counters, Event::Set);
        Ok(version)
    }

    /// The content of an entry. One that had a deadline keeps the room for it, so that it can be
    /// overwritten in place.
    #[inline]
    fn content<'a>(
        &self,
        key: Key<'a>,
        found: Option<EntryId>,
        value: [&'a [u8]; 2],
        deadline: i64,
    ) -> Content<'a> {
        let timed = deadline != NEVER || found.is_some_and(|id| self.slab.get(id).is_timed());
        let deadline = timed.then_some(deadline);
        Content { key: key.bytes, value, version: 0, deadline, spare: 0 }
    }

    pub(crate) fn take(&mut self, key: Key<'_>, change: &mut Change<'_>) -> Option<Value> {
        let found = self.find_or_free(key, change);
        let event = if found.is_some() { Event::Hit } else { Event::Miss };
        change.context.count(&self.counters, event);
        let value = self.value(found?, true);
        self.remove(found?, Event::Delete, change);
        Some(value)
    }

    pub(crate) fn del(&mut self, key: Key<'_>, change: &mut Change<'_>) -> bool {
        let found = self.find_or_free(key, change);
        if let Some(id) = found {
            self.remove(id, Event::Delete, change);
        }
        found.is_some()
    }

    pub(crate) fn del_if(
        &mut self,
        key: Key<'_>,
        version: u64,
        change: &mut Change<'_>,
    ) -> DeleteOutcome {
        match self.find_or_free(key, change) {
            None => DeleteOutcome::NotFound,
            Some(id) if self.slab.get(id).version() != version => DeleteOutcome::Conflict,
            Some(id) => {
                self.remove(id, Event::Delete, change);
                DeleteOutcome::Deleted
            }
        }
    }

    /// Adds to a number, as long as its text stays within `longest`.
    pub(crate) fn incr(
        &mut self,
        key: Key<'_>,
        delta: i64,
        expiry: Expiry,
        longest: usize,
        change: &mut Change<'_>,
    ) -> Result<i64, Refusal> {
        let found = self.find_or_free(key, change);
        let (number, expiry) = match found {
            None => (0, expiry),
            Some(id) => {
                let number = number::parse(self.slab.get(id).value()).ok_or(Status::Type)?;
                let keeps = matches!(expiry, Expiry::Default | Expiry::AfterMs(0));
                (number, if keeps { Expiry::Keep } else { expiry })
            }
        };
        let sum = number.checked_add(delta).ok_or(Status::Type)?;
        let text = number::Text::of(sum);
        if text.as_bytes().len() > longest {
            return Err(Status::TooLarge.into());
        }
        self.store(key, found, text.as_bytes(), expiry, change)?;
        Ok(sum)
    }

    /// Appends, as long as the value stays within `longest`.
    pub(crate) fn append(
        &mut self,
        key: Key<'_>,
        data: &[u8],
        longest: usize,
        change: &mut Change<'_>,
    ) -> Result<usize, Refusal> {
        let Some(id) = self.find_or_free(key, change) else {
            self.store(key, None, data, Expiry::Default, change)?;
            return Ok(data.len());
        };
        let len = self.slab.get(id).value().len().saturating_add(data.len());
        if len > longest {
            return Err(Status::TooLarge.into());
        }
        self.append_to(key, id, data, change)?;
        change.context.count(&self.counters, Event::Set);
        Ok(len)
    }

    fn append_to(
        &mut self,
        key: Key<'_>,
        id: EntryId,
        data: &[u8],
        change: &mut Change<'_>,
    ) -> Result<u64, Refusal> {
        if self.slab.get_mut(id).can_append_in_place(data.len()) {
            return self.edit(id, Need::default(), change, |entry| {
                entry.append_in_place(data);
                Ok(None)
            });
        }
        let old = self.slab.get(id);
        // A value that grows by appends and is large already gets a quarter more than it needs.
        let len = old.value().len();
        let spare = if len >= LARGE_VALUE_BYTES { len / 4 } else { 0 };
        let content = self.content(key, Some(id), [old.value(), data], old.deadline());
        let roomy = Content { spare, ..content };
        let context = change.context;
        let reserve = |content: &Content<'_>| {
            self.reserve_change(id, content.bytes(), content.deadline, context)
        };
        // Near a limit the value does without the spare room.
        let (content, need) = match reserve(&roomy) {
            Err(_) if spare > 0 => (content, reserve(&content)?),
            reserved => (roomy, reserved?),
        };
        let new = Entry::new(&content).inspect_err(|_| change.context.budget.release(need))?;
        self.edit(id, need, change, |entry| Ok(Some(std::mem::replace(entry, new))))
    }

    /// Gives an entry a TTL: it is deleted at once if that is not positive, and never expires if it
    /// is the largest number.
    pub(crate) fn expire(
        &mut self,
        key: Key<'_>,
        ttl_ms: i64,
        change: &mut Change<'_>,
    ) -> Result<bool, Refusal> {
        let deadline = match ttl_ms {
            i64::MAX => NEVER,
            1.. => change.context.after(ttl_ms.unsigned_abs(), &change.now),
            _ => i64::MIN,
        };
        self.expire_at(key, deadline, change)
    }

    pub(crate) fn expire_at(
        &mut self,
        key: Key<'_>,
        deadline: i64,
        change: &mut Change<'_>,
    ) -> Result<bool, Refusal> {
        let Some(id) = self.find_or_free(key, change) else { return Ok(false) };
        let entry = self.slab.get(id);
        if deadline == NEVER && entry.deadline() == NEVER {
            return Ok(true);
        }
        if deadline <= change.now.ms() {
            self.remove(id, Event::Delete, change);
            return Ok(true);
        }
        let bytes = entry.bytes() + entry.timed_growth();
        let need = self.reserve_change(id, bytes, Some(deadline), change.context)?;
        self.edit(id, need, change, |entry| {
            entry.make_timed()?;
            entry.set_deadline(deadline);
            Ok(None)
        })?;
        Ok(true)
    }

    /// Settles what setting a key will do, for [`put`](Shard::put), and adds what it needs.
    pub(crate) fn plan_put(
        &mut self,
        key: Key<'_>,
        value: &[u8],
        expiry: Expiry,
        needs: &mut PutNeeds,
        change: &mut Change<'_>,
    ) -> Deadline {
        let found = self.find_or_free(key, change);
        let current = found.map(|id| self.slab.get(id).deadline());
        let planned = change.context.deadline(expiry, current, &change.now);
        let Deadline::At(deadline) = planned else { return planned };
        let content = self.content(key, found, [value, b""], deadline);
        needs.puts += 1;
        needs.put_bytes += content.bytes();
        if content.bytes() > needs.largest {
            (needs.largest, needs.largest_deadline) = (content.bytes(), content.deadline);
        }
        needs.timed |= content.deadline.is_some();
        if deadline != NEVER {
            needs.wheel = needs.wheel.max(self.wheel.growth(deadline));
        }
        match found {
            Some(id) => {
                let links = if deadline == NEVER { 0 } else { self.slab.link_growth(id) };
                needs.bytes += content.bytes() + links;
                needs.links += links;
                needs.freed += self.slab.get(id).bytes() as u64;
            }
            None => {
                needs.inserts += 1;
                needs.bytes += content.bytes();
            }
        }
        planned
    }

    /// Room for everything that was planned on this shard, without what that frees.
    pub(crate) fn planned_room(&mut self, needs: &PutNeeds) -> Need {
        let index =
            self.table.growth_for(needs.inserts) + self.slab.growth_for(needs.inserts, needs.timed);
        Need { entries: needs.inserts as u64, bytes: (needs.bytes + needs.wheel + index) as u64 }
    }

    /// Sets a key as it was planned, out of room that was reserved beforehand. Without an entry the
    /// deadline has passed already, and what was there goes.
    pub(crate) fn put(
        &mut self,
        key: Key<'_>,
        entry: Option<Entry>,
        change: &mut Change<'_>,
    ) -> Result<(), Refusal> {
        match (entry, self.find(key)) {
            (Some(entry), Some(id)) => {
                let swap = |old: &mut Entry| Ok(Some(std::mem::replace(old, entry)));
                self.edit(id, Need::default(), change, swap)?;
            }
            (Some(entry), None) => {
                self.insert_entry(key, entry, change);
            }
            (None, Some(id)) => self.remove(id, Event::Delete, change),
            (None, None) => {}
        }
        change.context.count(&self.counters, Event::Set);
        Ok(())
    }

    /// Room for everything that was planned on this shard, if there were no entries beside. What
    /// goes to make room may leave the structure behind, so that counts as it is.
    pub(crate) fn room_alone(&mut self, needs: &PutNeeds) -> Need {
        let planned = self.planned_room(needs).bytes as usize - needs.bytes;
        let bytes = needs.put_bytes + needs.links + planned + self.structure_bytes();
        Need { entries: needs.puts as u64, bytes: bytes as u64 }
    }

    /// Refuses what was planned if its largest entry alone is over the limit.
    pub(crate) fn check_largest(&self, needs: &PutNeeds, context: &Context) -> Result<(), Refusal> {
        self.check_ever_fits(needs.largest, needs.largest_deadline, 0, context)
    }

    /// Builds the entry of a planned put.
    pub(crate) fn build_put(
        &self,
        key: Key<'_>,
        value: &[u8],
        planned: Deadline,
    ) -> Result<Option<Entry>, Refusal> {
        let Deadline::At(deadline) = planned else { return Ok(None) };
        let content = self.content(key, self.find(key), [value, b""], deadline);
        Ok(Some(Entry::new(&content)?))
    }

    /// Makes room in the index for everything that was planned on this shard.
    pub(crate) fn reserve_index(&mut self, needs: &PutNeeds) -> Result<(), Refusal> {
        Ok(self.table.reserve(needs.inserts)?)
    }
}

/// What the puts planned on one shard need together.
#[derive(Default)]
pub(crate) struct PutNeeds {
    /// All puts, and what their entries hold.
    puts: usize,
    put_bytes: usize,
    /// The largest entry among them, and its deadline.
    largest: usize,
    largest_deadline: Option<i64>,
    /// Those of keys that are not there, and what the shard grows by, without index and wheel.
    inserts: usize,
    bytes: usize,
    links: usize,
    wheel: usize,
    /// What the entries hold that are replaced.
    pub(crate) freed: u64,
    timed: bool,
}

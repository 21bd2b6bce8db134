//! Writes of many keys at once: planned, then built, then applied without a way to fail.

use super::journal::record;
use super::put::{Content, Place, fits_in_place};
use super::{Change, Found, Refusal, Shard};
use crate::budget::Need;
use crate::context::{Context, Deadline};
use crate::entry::NEVER;
use crate::error::Error;
use crate::expiry::Wheel;
use crate::hash::Key;
use crate::record::Record;
use crate::removals::Cause;
use crate::set_options::Expiry;
use crate::table::TableState;

/// What the puts planned on one shard need together.
#[derive(Default)]
pub(crate) struct PutNeeds {
    /// All puts, and what their entries are charged.
    puts: usize,
    put_bytes: usize,
    /// The largest entry among them, and its deadline.
    largest: usize,
    largest_deadline: i64,
    /// Those of keys that are not there.
    inserts: usize,
    /// Those with a deadline, and the first and last of these.
    timed: usize,
    soonest: i64,
    latest: i64,
    /// What the entries are charged that are replaced.
    pub(crate) freed: u64,
    /// Keys, and bytes of all keys and values, for the log.
    pub(crate) records: usize,
    pub(crate) contents: usize,
}

impl PutNeeds {
    /// Bytes that the deadlines add to a wheel at most.
    fn wheel_growth(&self, wheel: &Wheel) -> usize {
        if self.timed == 0 { 0 } else { wheel.growth(self.soonest, self.latest, self.timed) }
    }
}

/// The memory of one planned put.
pub(crate) enum Prepared {
    /// The deadline has passed already: what was there goes.
    Past,
    /// The entry is rewritten where it is.
    InPlace,
    /// The entry goes to a new place.
    Place(Place),
}

impl Shard {
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
        let current = found.map(|found| found.head.deadline);
        let planned = change.context.deadline(expiry, current, &change.now);
        needs.records += 1;
        needs.contents += key.bytes.len() + value.len();
        let Deadline::At(deadline) = planned else { return planned };
        let content = Content { key: key.bytes, value: [value, b""], deadline, spare: 0 };
        let charge = content.charge(&self.head(&content, found.as_ref(), change));
        needs.puts += 1;
        needs.put_bytes += charge;
        if charge > needs.largest {
            (needs.largest, needs.largest_deadline) = (charge, deadline);
        }
        if deadline != NEVER {
            let first = needs.timed == 0;
            needs.soonest = if first { deadline } else { needs.soonest.min(deadline) };
            needs.latest = needs.latest.max(deadline);
            needs.timed += 1;
        }
        match &found {
            Some(found) => needs.freed += self.entries().charge(found) as u64,
            None => needs.inserts += 1,
        }
        planned
    }

    /// Room for everything that was planned on this shard, without what that frees.
    pub(crate) fn planned_room(&self, needs: &PutNeeds) -> Need {
        let structure = self.table.growth_for(needs.inserts) + self.policy.growth_for(needs.puts);
        let bytes = needs.put_bytes + structure + needs.wheel_growth(&self.wheel);
        Need { entries: needs.inserts as u64, bytes: bytes as u64 }
    }

    /// Room for everything that was planned on this shard, if there were no entries beside.
    pub(crate) fn room_alone(&self, needs: &PutNeeds) -> Need {
        // In an empty shard every part begins anew.
        let first = self.policy.first_growth().saturating_sub(self.policy.growth());
        let structure =
            TableState::new().growth_for(needs.puts) + first + self.policy.growth_for(needs.puts);
        let wheel = needs.wheel_growth(&self.wheel.emptied());
        let bytes = needs.put_bytes + structure + wheel;
        Need { entries: needs.puts as u64, bytes: bytes as u64 }
    }

    /// Refuses what was planned if its largest entry alone is over the limit.
    pub(crate) fn check_largest(&self, needs: &PutNeeds, context: &Context) -> Result<(), Refusal> {
        self.check_ever_fits(needs.largest, needs.largest_deadline, context)
    }

    /// Makes room in the index for everything that was planned on this shard.
    ///
    /// # Errors
    /// `NoMemory`.
    pub(crate) fn reserve_index(&mut self, needs: &PutNeeds) -> Result<(), Error> {
        self.table_room(needs.inserts)
    }

    /// Takes the memory of a planned put, and leaves an image of what it replaces.
    ///
    /// # Errors
    /// `NoMemory`, or what lacks for the image.
    pub(crate) fn prepare_put(
        &mut self,
        key: Key<'_>,
        value: &[u8],
        planned: Deadline,
        change: &Change<'_>,
    ) -> Result<Prepared, Refusal> {
        let found = self.find(key);
        if let Some(found) = &found {
            self.prepare_image(key.index_hash(), found, change)?;
        }
        let Deadline::At(deadline) = planned else { return Ok(Prepared::Past) };
        let content = Content { key: key.bytes, value: [value, b""], deadline, spare: 0 };
        let head = self.head(&content, found.as_ref(), change);
        if found.is_some_and(|found| fits_in_place(&found, &head)) {
            return Ok(Prepared::InPlace);
        }
        Ok(Prepared::Place(self.place(&content, &head)?))
    }

    /// Gives back the memory of a put that is not made after all.
    pub(crate) fn cancel_put(&mut self, prepared: Prepared, change: &mut Change<'_>) {
        if let Prepared::Place(place) = prepared {
            self.give_back(place, change);
        }
    }

    /// Sets a key as it was planned, out of room and memory that were taken beforehand.
    pub(crate) fn put(
        &mut self,
        key: Key<'_>,
        value: &[u8],
        planned: Deadline,
        prepared: Prepared,
        change: &mut Change<'_>,
    ) {
        let deadline = if let Deadline::At(deadline) = planned { deadline } else { NEVER };
        let content = Content { key: key.bytes, value: [value, b""], deadline, spare: 0 };
        let found: Option<Found> = self.find(key);
        let head = self.head(&content, found.as_ref(), change);
        match (prepared, found) {
            (Prepared::InPlace, Some(found)) => {
                self.rewrite(key, &found, &content, head, change);
            }
            (Prepared::Place(place), Some(found)) => {
                self.replace_at(key, &found, &content, head, place, change);
            }
            (Prepared::Place(place), None) => {
                self.insert_at(key, &content, head, place, change);
            }
            (Prepared::Past, Some(found)) => {
                let version = self.remove(key.index_hash(), &found, Cause::Deleted, change);
                record(Record::Delete { key: key.bytes, version }, change);
            }
            (Prepared::Past, None) => {}
            (Prepared::InPlace, None) => unreachable!("the entry to rewrite has gone"),
        }
        self.count_set(change);
    }
}

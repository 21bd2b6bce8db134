//! Operations on many keys at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Store;
use super::core::{Core, WAVE, numbered};
use crate::budget::Need;
use crate::context::Deadline;
use crate::error::{Result, Status};
use crate::hash::Key;
use crate::planted::{Planted, is_planted};
use crate::set_options::Expiry;
use crate::shard::{Change, Prepared, PutNeeds, Refusal, Shard};
use crate::sync::WriteGuard;

impl Store {
    /// Removes many keys, each by itself, and returns how many were there.
    ///
    /// # Errors
    /// `TooLarge` for a key over its limit, before anything is removed; those of every call.
    pub fn del_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<u64> {
        let core = &*self.core;
        core.state.check_write()?;
        for (number, key) in keys.iter().enumerate() {
            core.check_key(key.as_ref(), number)?;
        }
        let mut deleted = 0;
        for wave in keys.chunks(WAVE) {
            let mut hashed = [Key::default(); WAVE];
            for (to, key) in hashed.iter_mut().zip(wave) {
                *to = core.context.hasher.key(key.as_ref());
            }
            let hashed = &hashed[..wave.len()];
            core.prefetch(hashed.iter().copied());
            for key in hashed {
                deleted += u64::from(
                    core.write_hashed(*key, |shard, key, change| shard.del(key, change))?,
                );
            }
        }
        Ok(deleted)
    }

    /// Sets many keys with one expiry, all of them or none. Of a key that comes twice, the last
    /// value stays.
    ///
    /// # Errors
    /// As [`set`](Store::set); nothing is set then.
    pub fn set_many<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        items: &[(K, V)],
        expiry: Expiry,
    ) -> Result<()> {
        let core = &*self.core;
        core.state.check_write()?;
        expiry.check()?;
        let mut last = HashMap::with_capacity(items.len());
        let mut puts = Vec::with_capacity(items.len());
        for (number, (key, value)) in items.iter().enumerate() {
            core.check_key(key.as_ref(), number)?;
            let (key, value) = (core.key(key.as_ref())?, value.as_ref());
            core.check_value(value).map_err(|error| numbered("value", number, &error))?;
            let shard = core.shard_of(key);
            let put = Put { shard, key, value, planned: Deadline::Past, prepared: None };
            match last.entry(key.bytes) {
                Entry::Occupied(earlier) => puts[*earlier.get()] = put,
                Entry::Vacant(place) => {
                    place.insert(puts.len());
                    puts.push(put);
                }
            }
        }
        puts.sort_by_key(|put| put.shard);
        for wave in puts.chunks(WAVE) {
            core.prefetch(wave.iter().map(|put| put.key));
        }
        if is_planted(Planted::SplitBatch) {
            for group in puts.chunk_by_mut(|a, b| a.shard == b.shard) {
                let _ = set_all(core, group, expiry);
            }
            return Ok(());
        }
        loop {
            match set_all(core, &mut puts, expiry) {
                Ok(()) => return Ok(()),
                Err(Refusal::Room(need)) => {
                    core.make_room(need, puts[0].shard, |key| last.contains_key(key))?;
                }
                Err(Refusal::Lacks(lack)) => core.supply(lack)?,
                Err(Refusal::Error(error)) => return Err(error),
            }
        }
    }
}

/// One key to set.
struct Put<'a> {
    shard: usize,
    key: Key<'a>,
    value: &'a [u8],
    planned: Deadline,
    /// Taken once it is sure that there is room for it.
    prepared: Option<Prepared>,
}

/// A locked shard and what is put into it.
type Group<'a, 'p, 'v> = (WriteGuard<'a, Shard>, &'p mut [Put<'v>]);

/// Sets all keys under the locks of all their shards. `puts` are sorted by shard, so the locks are
/// taken in order.
fn set_all(core: &Core, puts: &mut [Put<'_>], expiry: Expiry) -> Result<(), Refusal> {
    let mut change = Change::new(&core.context);
    let guard = core.state.guard();
    let mut groups: Vec<Group<'_, '_, '_>> = puts
        .chunk_by_mut(|a, b| a.shard == b.shard)
        .map(|group| (core.write_shard(group[0].shard), group))
        .collect();
    let open = core.state.check_open().map_err(Refusal::Error);
    let needs = plan(&mut groups, expiry, &mut change);
    let (records, contents) =
        needs.iter().fold((0, 0), |sum, needs| (sum.0 + needs.records, sum.1 + needs.contents));
    let recorded = open.and_then(|()| change.reserve_records(records, contents));
    let result = recorded.and_then(|()| reserve(core, &mut groups, &needs)).and_then(|room| {
        change.settles_whole();
        let before = used_by(&groups);
        let result =
            build(&mut groups, &needs, &mut change).map(|()| apply(&mut groups, &mut change));
        let held = before.bytes + room.bytes;
        let entries = if result.is_err() { room.entries } else { 0 };
        core.context
            .budget
            .release(Need { entries, bytes: held.saturating_sub(used_by(&groups).bytes) });
        result
    });
    change.commit();
    drop(groups);
    guard.done();
    let waited = core.settle_log(&change);
    change.finish();
    result.and_then(|()| Ok(waited?))
}

fn used_by(groups: &[Group<'_, '_, '_>]) -> Need {
    Need::sum(groups.iter().map(|(shard, _)| shard.used()))
}

/// Settles every deadline, and what the puts need on each shard.
fn plan(
    groups: &mut [Group<'_, '_, '_>],
    expiry: Expiry,
    change: &mut Change<'_>,
) -> Vec<PutNeeds> {
    let mut all = Vec::with_capacity(groups.len());
    for (shard, group) in groups {
        let mut needs = PutNeeds::default();
        for put in group.iter_mut() {
            put.planned = shard.plan_put(put.key, put.value, expiry, &mut needs, change);
        }
        all.push(needs);
    }
    all
}

/// Reserves the room of all puts together.
fn reserve(
    core: &Core,
    groups: &mut [Group<'_, '_, '_>],
    needs: &[PutNeeds],
) -> Result<Need, Refusal> {
    let budget = &core.context.budget;
    let room = groups.iter_mut().zip(needs).map(|((shard, _), needs)| shard.planned_room(needs));
    let mut room = Need::sum(room);
    // All is counted in one step, so what is replaced makes room for what replaces it.
    let freed: u64 = needs.iter().map(|needs| needs.freed).sum();
    room.bytes = room.bytes.saturating_sub(freed);
    if budget.reserve(room) {
        return Ok(room);
    }
    // What does not fit even into an empty store must not evict what is there.
    let alone =
        Need::sum(groups.iter().zip(needs).map(|((shard, _), needs)| shard.room_alone(needs)));
    if budget.could_ever_fit(alone) {
        return Err(Refusal::Room(room));
    }
    for ((shard, _), needs) in groups.iter().zip(needs) {
        shard.check_largest(needs, &core.context)?;
    }
    Err(Status::Full.into())
}

/// Takes all memory; nothing after this can fail.
fn build(
    groups: &mut [Group<'_, '_, '_>],
    needs: &[PutNeeds],
    change: &mut Change<'_>,
) -> Result<(), Refusal> {
    let mut built: Result<(), Refusal> = Ok(());
    for ((shard, group), needs) in groups.iter_mut().zip(needs) {
        built = built.and_then(|()| Ok(shard.reserve_index(needs)?));
        for put in group.iter_mut() {
            built = built.and_then(|()| {
                put.prepared = Some(shard.prepare_put(put.key, put.value, put.planned, change)?);
                Ok(())
            });
        }
    }
    if built.is_err() {
        for (shard, group) in groups {
            for prepared in group.iter_mut().filter_map(|put| put.prepared.take()) {
                shard.cancel_put(prepared, change);
            }
        }
    }
    built
}

/// Sets all keys, at one moment for whoever reads them.
fn apply(groups: &mut [Group<'_, '_, '_>], change: &mut Change<'_>) {
    groups.iter_mut().for_each(|(shard, _)| shard.hold_off());
    for (shard, group) in &mut *groups {
        for put in group.iter_mut() {
            if let Some(prepared) = put.prepared.take() {
                shard.put(put.key, put.value, put.planned, prepared, change);
            }
        }
    }
    groups.iter_mut().for_each(|(shard, _)| shard.let_in());
}

//! Changes of many keys that are made together, over all shards.
//!
//! Owns: the order in which that happens. All shards are locked, in their order. Then the operations on
//! each key are folded into what they come to (`plan`), room in the log and in the limits is reserved
//! for all of it in one step, all memory is taken (`build`), and only then something changes, in steps
//! that cannot fail (`apply`), while readers without a lock are held off. So it is all or nothing, and
//! whoever reads sees all or nothing.
//!
//! Keys do not depend on each other, so what an operation sees of earlier ones is a matter of its key
//! alone, and a key takes one revision and one record however many operations name it.

use std::cmp::Ordering;

use super::core::{Core, WAVE, numbered};
use crate::batch::{Batch, BatchOp as Op, BatchOutcome};
use crate::budget::Need;
use crate::error::{Result, Status};
use crate::hash::Key;
use crate::journal::Lack;
use crate::planted::{Planted, is_planted};
use crate::shard::{Change, GroupNeeds, Memory, Plan, Refusal, Shard, Tally};
use crate::sync::WriteGuard;

/// One operation.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) shard: usize,
    pub(super) key: Key<'a>,
    /// Its place in the batch.
    pub(super) index: usize,
    pub(super) op: Op<'a>,
}

impl Step<'_> {
    /// The order in which a group is worked off: by shard, then by key.
    fn order(&self, shard: usize, key: Key<'_>) -> Ordering {
        self.shard.cmp(&shard).then_with(|| self.key.order(key))
    }
}

/// A key and the operations on it.
pub(super) struct Target<'a, 's> {
    steps: &'s [Step<'a>],
    plan: Plan<'a>,
    /// Taken once it is sure that there is room for it.
    memory: Option<Memory>,
}

impl<'a, 's> Target<'a, 's> {
    /// The keys of operations that are [`sorted`].
    pub(super) fn all(steps: &'s [Step<'a>]) -> Vec<Self> {
        let groups = steps.chunk_by(|a, b| a.order(b.shard, b.key).is_eq());
        // Most keys come once, and a list that grows is copied again and again.
        let mut targets = Vec::with_capacity(steps.len());
        targets.extend(groups.map(|steps| Target { steps, plan: Plan::default(), memory: None }));
        targets
    }

    fn key(&self) -> Key<'a> {
        self.steps[0].key
    }

    fn shard(&self) -> usize {
        self.steps[0].shard
    }
}

/// A locked shard and what is changed in it.
pub(super) type Group<'g, 't, 'a, 's> = (WriteGuard<'g, Shard>, &'t mut [Target<'a, 's>]);

/// The operations of a batch, checked.
///
/// # Errors
/// `TooLarge` or `Invalid`, with the number of the operation.
pub(super) fn steps<'a>(core: &Core, batch: &'a Batch) -> Result<Vec<Step<'a>>> {
    let mut steps = Vec::with_capacity(batch.len());
    for (index, (key, op)) in batch.ops().enumerate() {
        let named = |error| numbered("operation", index, &error);
        let key = core.key(key).map_err(named)?;
        if let Op::Set { value, options } = op {
            core.check_value(value).and_then(|()| options.expiry.check()).map_err(named)?;
        }
        steps.push(Step { shard: core.shard_of(key), key, index, op });
    }
    Ok(steps)
}

/// Operations by shard, then by key, and those of one key in their order.
pub(super) fn sorted(steps: Vec<Step<'_>>) -> Vec<Step<'_>> {
    // Numbers are sorted in place of steps, which are large.
    let rank = |(place, step): (usize, &Step<'_>)| {
        (step.shard as u128) << 112 | u128::from(step.key.parts().1) << 48 | place as u128
    };
    let mut ranks: Vec<u128> = steps.iter().enumerate().map(rank).collect();
    ranks.sort_unstable();
    let place = |rank: &u128| (rank & ((1 << 48) - 1)) as usize;
    let mut sorted: Vec<Step<'_>> = ranks.iter().map(|rank| steps[place(rank)]).collect();
    // Several keys may have one hash.
    for alike in sorted.chunk_by_mut(|a, b| a.key.parts().1 == b.key.parts().1) {
        if alike.len() > 1 {
            alike.sort_by(|a, b| a.order(b.shard, b.key));
        }
    }
    sorted
}

/// Deals out targets, which are sorted, to the shards they are of, which are locked.
pub(super) fn grouped<'g, 't, 'a, 's>(
    shards: Vec<(usize, WriteGuard<'g, Shard>)>,
    mut targets: &'t mut [Target<'a, 's>],
) -> Vec<Group<'g, 't, 'a, 's>> {
    let mut groups = Vec::with_capacity(shards.len());
    for (number, shard) in shards {
        let count = targets.iter().take_while(|target| target.shard() == number).count();
        let (group, rest) = targets.split_at_mut(count);
        groups.push((shard, group));
        targets = rest;
    }
    groups
}

/// Makes all changes or none.
///
/// # Errors
/// As [`Store::write`](super::Store::write).
pub(super) fn write(core: &Core, steps: Vec<Step<'_>>) -> Result<BatchOutcome> {
    let steps = sorted(steps);
    let mut targets = Target::all(&steps);
    for wave in targets.chunks(WAVE) {
        core.prefetch(wave.iter().map(Target::key));
    }
    let spares = |key: &[u8]| {
        let key = core.context.hasher.key(key);
        let shard = core.shard_of(key);
        steps.binary_search_by(|step| step.order(shard, key)).is_ok()
    };
    if is_planted(Planted::SplitBatch) {
        let mut outcome = Ok(BatchOutcome::Applied { applied: 0, missing: 0 });
        for group in targets.chunk_by_mut(|a, b| a.shard() == b.shard()) {
            outcome = attempt(core, group).or(outcome);
        }
        return outcome;
    }
    loop {
        match attempt(core, &mut targets) {
            Ok(outcome) => return Ok(outcome),
            Err(Refusal::Room(need)) => core.make_room(need, steps[0].shard, spares)?,
            Err(Refusal::Lacks(lack)) => core.supply(lack)?,
            Err(Refusal::Error(error)) => return Err(error),
        }
    }
}

/// Tries it once, under the locks of all shards concerned.
fn attempt(core: &Core, targets: &mut [Target<'_, '_>]) -> Result<BatchOutcome, Refusal> {
    let mut change = Change::new(&core.context);
    let guard = core.state.guard();
    let shards = targets.chunk_by(|a, b| a.shard() == b.shard()).map(|group| group[0].shard());
    let locked = shards.map(|shard| (shard, core.write_shard(shard))).collect();
    let mut groups = grouped(locked, targets);
    let open = core.state.check_open().map_err(Refusal::Error);
    let result = open.and_then(|()| make(core, &mut groups, &mut change));
    change.commit();
    drop(groups);
    guard.done();
    let waited = core.settle_log(&change);
    change.finish();
    result.and_then(|outcome| Ok(waited.map(|()| outcome)?))
}

/// Plans everything, and does it if every condition holds and everything has room.
pub(super) fn make(
    core: &Core,
    groups: &mut [Group<'_, '_, '_, '_>],
    change: &mut Change<'_>,
) -> Result<BatchOutcome, Refusal> {
    let (needs, tally) = plan(groups, change);
    if let Some(index) = tally.failed {
        return Ok(BatchOutcome::Conflict { index });
    }
    let sum = |of: fn(&GroupNeeds) -> usize| needs.iter().map(of).sum::<usize>();
    change.reserve_records(sum(|needs| needs.records), sum(|needs| needs.contents))?;
    let images = sum(|needs| needs.images);
    if images > 0 && !core.context.journal.images.has_room(images) {
        return Err(Refusal::Lacks(Lack::Images(images)));
    }
    let room = reserve(core, groups, &needs)?;
    change.settles_whole(true);
    let before = used_by(groups);
    let result = build(groups, &needs, change).map(|()| apply(groups, change));
    let (held, after) = (Need::sum([before, room]), used_by(groups));
    debug_assert!(held.entries >= after.entries && held.bytes >= after.bytes);
    core.context.budget.release(Need {
        entries: held.entries.saturating_sub(after.entries),
        bytes: held.bytes.saturating_sub(after.bytes),
    });
    change.settles_whole(false);
    for ((shard, _), needs) in groups.iter_mut().zip(&needs) {
        shard.finish_group(needs, result.is_ok(), change);
    }
    result.map(|()| BatchOutcome::Applied { applied: tally.applied, missing: tally.missing })
}

fn used_by(groups: &[Group<'_, '_, '_, '_>]) -> Need {
    Need::sum(groups.iter().map(|(shard, _)| shard.used()))
}

/// Settles what becomes of every key, and what that needs on each shard.
fn plan(groups: &mut [Group<'_, '_, '_, '_>], change: &mut Change<'_>) -> (Vec<GroupNeeds>, Tally) {
    let mut tally = Tally::default();
    let mut all = Vec::with_capacity(groups.len());
    for (shard, group) in groups {
        let mut needs = GroupNeeds::default();
        for target in group.iter_mut() {
            let ops = target.steps.iter().map(|step| (step.index, step.op));
            target.plan = shard.plan(target.key(), ops, &mut needs, &mut tally, change);
        }
        all.push(needs);
    }
    (all, tally)
}

/// Reserves the room of everything together.
fn reserve(
    core: &Core,
    groups: &mut [Group<'_, '_, '_, '_>],
    needs: &[GroupNeeds],
) -> Result<Need, Refusal> {
    let budget = &core.context.budget;
    let room = groups.iter_mut().zip(needs).map(|((shard, _), needs)| shard.planned_room(needs));
    let mut room = Need::sum(room);
    // All is counted in one step, so what goes makes room for what comes.
    let gone = Need::sum(needs.iter().map(GroupNeeds::freed));
    room.bytes = room.bytes.saturating_sub(gone.bytes);
    room.entries = room.entries.saturating_sub(gone.entries);
    if budget.reserve(room) {
        return Ok(room);
    }
    // What does not fit even into an empty store must not evict what is there.
    let alone =
        Need::sum(groups.iter().zip(needs).map(|((shard, _), needs)| shard.room_alone(needs)));
    if budget.could_ever_fit(alone) {
        return Err(Refusal::Room(room));
    }
    for ((shard, _), needs) in groups.iter().zip(needs).filter(|(_, needs)| needs.records > 0) {
        shard.check_largest(needs, &core.context)?;
    }
    Err(Status::Full.into())
}

/// Takes all memory; nothing after this can fail.
fn build(
    groups: &mut [Group<'_, '_, '_, '_>],
    needs: &[GroupNeeds],
    change: &mut Change<'_>,
) -> Result<(), Refusal> {
    let mut built: Result<(), Refusal> = Ok(());
    for ((shard, group), needs) in groups.iter_mut().zip(needs) {
        built = built.and_then(|()| Ok(shard.reserve_index(needs)?));
        for target in group.iter_mut() {
            built = built.and_then(|()| {
                target.memory = Some(shard.prepare_planned(target.key(), &target.plan, change)?);
                Ok(())
            });
        }
    }
    if built.is_err() {
        for (shard, group) in groups {
            for memory in group.iter_mut().filter_map(|target| target.memory.take()) {
                shard.cancel(memory, change);
            }
        }
    }
    built
}

/// Changes all keys, at one moment for whoever reads them. On each shard what is put comes before what
/// goes: the index says what inserts may add to it before anything else happens.
fn apply(groups: &mut [Group<'_, '_, '_, '_>], change: &mut Change<'_>) {
    groups.iter_mut().for_each(|(shard, _)| shard.hold_off());
    for (shard, group) in &mut *groups {
        for removes in [false, true] {
            for target in group.iter_mut() {
                if target.plan.removes() == removes
                    && let Some(memory) = target.memory.take()
                {
                    shard.make_planned(target.key(), &target.plan, memory, change);
                }
            }
        }
    }
    groups.iter_mut().for_each(|(shard, _)| shard.let_in());
}

//! Puts the contents of a snapshot file in the place of a store's contents.
//!
//! The file is checked to its last byte first, and what its contents will take is compared with the limits
//! (`measure`). Then all other calls wait. On disk the exchange is one step: a new snapshot that stands for
//! the whole log so far. If something fails or panics before that, for want of memory too, the disk keeps
//! the old contents, and a store whose memory has changed already is poisoned: reads then see a part of the
//! file until the store is opened again.

use std::path::Path;

use super::Durable;
use super::measure::{Size, each_live, load, loaded};
use super::picture;
use crate::error::Result;
use crate::io::Disk;
use crate::shard::{Change, Shard};
use crate::snapshot::SnapshotReader;
use crate::store::Core;
use crate::sync::WriteGuard;

/// Exchanges the contents of a store.
///
/// # Errors
/// `Corrupt`, `Unsupported` or `Io` for the file, `Full` if it holds more than the store may, `NoMemory` to
/// find that out: nothing has changed. Later failures, also for want of memory, poison the store.
pub(super) fn restore(
    core: &Core,
    durable: Option<&Durable>,
    disk: &dyn Disk,
    path: &Path,
) -> Result<()> {
    // One reader from here on, so that what is read is what was checked, whatever becomes of the name.
    let reader = SnapshotReader::open(disk, path)?;
    let size = Size::of(core, &reader)?;
    // The options have a lock of their own, which is not to be taken while shards are held.
    let compression = core.compression();
    // No snapshot of the store may be under way. In the order in which a snapshot takes them too.
    let mut last_snapshot = durable.map(|durable| durable.last_snapshot.lock());
    let _one_at_a_time = core.context.journal.taking.lock();
    let mut shards = core.lock_all();
    core.state.check_write()?;
    // Limits may have changed meanwhile.
    size.check(core)?;
    let guard = core.state.guard();
    core.context.contents_replaced();
    let mut change = Change::new(&core.context);
    core.empty(&mut shards, false, &mut change);
    change.finish();
    shards.iter_mut().for_each(|shard| shard.hold_off());
    let filled = fill(core, &mut shards, &reader);
    let exchanged = filled.and_then(|()| {
        core.recount(&mut shards)?;
        match (durable, &mut last_snapshot) {
            (Some(durable), Some(last)) => durable.exchange(core, last, |disk, place| {
                picture::take_held(core, compression, &mut shards, disk, place)
            }),
            _ => Ok(()),
        }
    });
    shards.iter_mut().for_each(|shard| shard.let_in());
    core.context.feed.cut(&core.context);
    // Before anybody sees a store whose contents are neither the old ones nor the new ones.
    let exchanged = exchanged.inspect_err(|fault| core.state.poison(Some(fault.clone())));
    guard.done();
    exchanged
}

/// Puts the entries of a file into empty shards, with revisions of their own.
fn fill(core: &Core, shards: &mut [WriteGuard<'_, Shard>], reader: &SnapshotReader) -> Result<()> {
    let same_policy = reader.head().eviction == core.eviction();
    // No earlier than the file was measured, so it is no more than that.
    let now_ms = core.context.clock.now_ms();
    each_live(reader, now_ms, |saved| {
        let shard = &mut shards[core.shard_of(core.context.hasher.key(saved.key))];
        let loaded = loaded(saved, core.context.next_revision(), same_policy);
        load(&core.context, shard, saved, saved.value, loaded)
    })?;
    for shard in shards {
        let mut change = Change::new(&core.context);
        shard.loaded(&mut change);
        change.finish();
    }
    Ok(())
}

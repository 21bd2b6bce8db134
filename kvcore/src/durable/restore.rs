//! Puts the contents of a snapshot file in the place of a store's contents.
//!
//! All other calls wait meanwhile. The file is checked to the last byte first. On disk the exchange is
//! one step: a new snapshot that stands for the whole log so far. If something fails or panics before
//! that, the disk keeps the old contents, and a store whose memory has changed already is poisoned: reads
//! then see a part of the file until the store is opened again.

use std::path::Path;

use super::Durable;
use super::picture;
use crate::clock::Now;
use crate::context::limit;
use crate::entry::NEVER;
use crate::error::{Error, Result, Status};
use crate::io::Disk;
use crate::shard::{Change, Loaded, Refusal, Shard};
use crate::snapshot::{self, BlockBuffer, Saved, SnapshotReader};
use crate::store::Core;
use crate::sync::WriteGuard;

/// Exchanges the contents of a store.
///
/// # Errors
/// `Corrupt`, `Unsupported` or `Io` for the file, `Full` if it holds more than the store may: nothing
/// has changed. Later failures poison the store.
pub(super) fn restore(
    core: &Core,
    durable: Option<&Durable>,
    disk: &dyn Disk,
    path: &Path,
) -> Result<()> {
    let summary = snapshot::verify(disk, path)?;
    let reader = SnapshotReader::open(disk, path)?;
    let limits = core.limits();
    check_fits("entries", summary.entries, limits.0, "max_entries")?;
    check_fits("bytes", summary.raw_bytes, limits.1, "max_memory")?;
    // No snapshot of the store may be under way. In the order in which a snapshot takes them too.
    let mut last_snapshot = durable.map(|durable| durable.last_snapshot.lock());
    let _one_at_a_time = core.context.journal.taking.lock();
    let mut shards = core.lock_all();
    core.state.check_write()?;
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
                picture::take_held(core, &mut shards, disk, place)
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

fn check_fits(what: &str, has: u64, may: u64, option: &str) -> Result<()> {
    if has <= limit(may) {
        return Ok(());
    }
    let message = format!(
        "the snapshot has {has} {what} and {option} is {may}: raise it, or restore into another store; \
         nothing changed"
    );
    Err(Error::new(Status::Full, message))
}

/// Puts the entries of a file into empty shards, with revisions of their own.
fn fill(core: &Core, shards: &mut [WriteGuard<'_, Shard>], reader: &SnapshotReader) -> Result<()> {
    let now = Now::new(&core.context.clock);
    let same_policy = reader.head().eviction == core.eviction();
    let mut buffer = BlockBuffer::new();
    for index in 0..reader.blocks().len() {
        for saved in reader.read_block(index, &mut buffer)? {
            let saved = saved?;
            if saved.deadline == NEVER || saved.deadline > now.ms() {
                put(core, shards, &saved, same_policy)?;
            }
        }
    }
    for shard in shards {
        let mut change = Change::new(&core.context);
        shard.loaded(&mut change);
        change.finish();
    }
    Ok(())
}

fn put(
    core: &Core,
    shards: &mut [WriteGuard<'_, Shard>],
    saved: &Saved<'_>,
    same_policy: bool,
) -> Result<()> {
    let key = core.key(saved.key)?;
    let loaded = Loaded {
        version: core.context.next_revision(),
        created_at_ms: saved.created_at_ms,
        hits: saved.hits,
        access: if same_policy { saved.access } else { 0 },
    };
    let mut change = Change::new(&core.context);
    let shard = &mut shards[core.shard_of(key)];
    let result = shard.load(key, saved.value, saved.deadline, loaded, &mut change);
    change.finish();
    result.map_err(Refusal::without_room)
}
